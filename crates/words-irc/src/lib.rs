//! IRC: messages and their parts without I/O, and on them a server and a
//! client.
//!
//! [`proto`] reads and writes what is on the wire, and knows nothing of sockets;
//! [`server`] is a network of channels on any endpoint:
//!
//! ```
//! use ropewalk_words_irc::proto::{ctcp::Ctcp, message::{Message, Writer}};
//!
//! let line = ":ada!a@host PRIVMSG #rope :\u{1}ACTION waves\u{1}";
//! let message = Message::parse(line)?;
//! let [channel, text] = message.params[..] else { return Ok(()) };
//! assert_eq!(Ctcp::parse(text), Some(Ctcp::action("waves")));
//!
//! let mut out = Vec::new();
//! Writer::new(&mut out).command("PRIVMSG").param(channel).text_param("hello").end()?;
//! assert_eq!(out, b"PRIVMSG #rope :hello\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "client")]
pub mod client;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "websocket")]
pub mod websocket;
