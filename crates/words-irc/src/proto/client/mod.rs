//! The client's side of a conversation, without I/O: lines and time come in;
//! lines, events and answers come out.
//!
//! A [`Session`] outlasts its connections. It registers (capabilities, SASL, a
//! nick), keeps the [`State`] in step, joins again after a reconnect, paces what
//! is sent, matches answers to requests, and asks whether the server is still
//! there. Whoever has a socket and a clock drives it: `ropewalk_words_irc`'s own
//! client does, and so can a test.
//!
//! ```
//! use std::time::{Instant, SystemTime};
//! use ropewalk_words_irc::proto::client::{Kind, Link, Options, Session};
//!
//! let mut options = Options::new("bot");
//! options.channels.push(("#rope".to_owned(), None));
//! let mut session = Session::new(options);
//! let now = Instant::now();
//! session.connected(now, SystemTime::now(), Link::default());
//! let mut out = Vec::new();
//! session.transmit(now, &mut out);
//! assert_eq!(out, b"CAP LS 302\r\nNICK bot\r\nUSER bot 0 * bot\r\n");
//!
//! session.receive(now, b":irc.example.com 001 bot :Welcome");
//! session.receive(now, b":irc.example.com 422 bot :No MOTD");
//! session.receive(now, b":bot!bot@host JOIN #rope");
//! assert!(session.state().channel("#rope").is_some());
//! let mut kinds = std::iter::from_fn(|| session.next_event()).map(|event| event.kind);
//! assert!(kinds.any(|kind| matches!(kind, Kind::Registered { .. })));
//! ```

mod batch;
mod event;
mod options;
mod pace;
mod registration;
mod request;
mod session;
mod state;
#[cfg(test)]
mod tests;

pub use event::{Ended, Event, Kind, Level, ModeChange};
pub use options::{CtcpOptions, Deadlines, Limits, Options, Pace};
pub use registration::RegistrationError;
pub use request::{Answer, Found, Listed, Listing, Named, Request, RequestError, RequestId, Whois};
pub use session::{Link, Say, SendError, Session, StsPolicy};
pub use state::{Channel, Member, State, User};
