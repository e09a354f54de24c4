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
//!
//! # A client
//!
//! `client` connects to any endpoint of the engine, stays connected, and
//! tells what happens as one stream of typed events. A bot is a loop:
//!
//! ```no_run
//! use ropewalk_words_irc::client::Client;
//!
//! # async fn bot() -> Result<(), Box<dyn std::error::Error>> {
//! let mut irc = Client::builder("ropebot")
//!     .channel("#rope")
//!     .account("ropebot", "password")
//!     .connect("tls:irc.libera.chat:6697")
//!     .await?;
//! while let Some(event) = irc.next().await {
//!     if event.text() == Some("!hello") {
//!         irc.reply(&event, format!("hello, {}", event.nick())).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it asks, it awaits (`irc.whois("ada").await?`), what it knows is there
//! at any time (`irc.channel("#rope")`), and what it says is split and paced as
//! the server wants it. `testing` has a server that follows a script, for the
//! tests of a bot in virtual time.

#[cfg(feature = "client")]
pub mod client;
pub mod proto;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "websocket")]
pub mod websocket;
