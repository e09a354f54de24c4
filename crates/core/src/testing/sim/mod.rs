//! A simulated network: hosts, links and faults, all from one seed.
//!
//! What runs on a [`Host`] listens on `sim:PORT` and connects to
//! `sim:HOST:PORT` with that host's [`Schemes`](crate::Schemes); protocols and
//! handlers run over it as they are. Time is virtual, and every choice of the
//! network is drawn from the seed: how long a segment is on its way, where one
//! ends, what arrives first, what breaks. A failure names its seed, and the
//! seed brings the same run again.
//!
//! ```
//! use std::time::Duration;
//! use ropewalk_core::{*, testing::sim::simulate};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
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
//! simulate(20, async |net| {
//!     net.host("server").start(|host| async move {
//!         let endpoint: ServerEndpoint = "sim:7".parse()?;
//!         let _server = endpoint.listen_with(each::<Echo>(), host.schemes()).await?;
//!         std::future::pending().await
//!     });
//!     let client = net.host("client");
//!     let mut conn = client.schemes().connect(&"sim:server:7".parse()?).await?;
//!     net.partition("client", "server");
//!     conn.write_all(b"hello").await?;
//!     tokio::time::sleep(Duration::from_secs(30)).await;
//!     net.repair("client", "server");
//!     let mut echoed = [0; 5];
//!     conn.read_exact(&mut echoed).await?;
//!     assert_eq!(&echoed, b"hello");
//!     Ok(())
//! });
//! ```
//!
//! - [`simulate`] runs a test over many seeds, [`Simulation`] once or with
//!   other limits.
//! - [`Network`] has the hosts, and cuts and repairs the ways between them.
//! - [`Link`] says what a way is like: latency, bandwidth, sizes of segments,
//!   losses, resets; and what it does to datagrams, which `sim:` carries too.
//! - [`Faults`] break things by themselves.
//! - [`Trace`] is what happened.
//!
//! # What replays, and what does not
//!
//! One thread, a paused clock and one order of events: with these all of core
//! replays. Code under test must take its part: `select!` says `biased`, what
//! is sent does not follow the order of a `HashMap`, and time and randomness
//! come from [`wall_clock`](crate::wall_clock),
//! [`fill_random`](crate::fill_random) and tokio's clock. [`simulate`] runs a
//! seed twice to hold it to that. The keys of TLS are the system's, so what
//! goes over TLS differs from run to run; simulate in the clear, or say
//! [`without_replay`](Simulation::without_replay). A runtime built with
//! `--cfg tokio_unstable` draws the order of `select!` from the seed too.
//!
//! # What it is not
//!
//! It simulates what TCP shows to programs, not its packets: no congestion
//! control, no acknowledgements, no window on the wire. There are no sockets
//! in a simulation; `tcp:` fails there.

mod connection;
mod datagram;
mod faults;
mod host;
mod link;
mod network;
mod random;
mod run;
mod scheme;
mod state;
mod stream;
mod trace;

pub use faults::Faults;
pub use host::Host;
pub use link::Link;
pub use network::Network;
pub use random::Random;
pub use run::{Simulation, simulate};
pub(crate) use stream::SimStream;
pub use trace::Trace;
