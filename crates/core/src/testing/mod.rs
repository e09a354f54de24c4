//! The testing kit: protocols without a network, in virtual time.
//!
//! - [`Rig`] runs one protocol with no runtime, socket or clock.
//! - [`DatagramRig`] is the same for datagram protocols.
//! - [`Dialogue`] is a transcript that is both test and document.
//! - [`Pair`] joins a client and a server of ours, with any segment size, and
//!   cuts the connection at any byte.
//! - [`Opening`] reads what a jump begins with.
//! - [`run`] runs an async test in virtual time and fails if it leaves a
//!   connection or a task behind.
//! - [`sim`] is a network of hosts with latency, losses and partitions, from a
//!   seed that replays.
//!
//! ```
//! # use ropewalk_core::{Input, Protocol, Result, Transport};
//! use ropewalk_core::testing::Rig;
//!
//! # #[derive(Default)]
//! # struct Echo;
//! # impl Protocol for Echo {
//! #     type Message = ();
//! #     type Timer = ();
//! #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
//! #         t.write(data);
//! #         Ok(())
//! #     }
//! # }
//! let mut rig = Rig::new(Echo);
//! rig.receive("a").receive("b").receive("c");
//! assert_eq!(rig.sent(), b"abc");
//! rig.eof();
//! assert!(rig.is_closed());
//! ```

mod datagram_rig;
mod dialogue;
pub(crate) mod leaks;
mod opening;
mod pair;
mod rig;
pub mod sim;

pub use datagram_rig::DatagramRig;
pub use dialogue::{Dialogue, DialogueError};
pub use leaks::{run, run_in_real_time};
pub use opening::Opening;
pub use pair::Pair;
pub use rig::Rig;
