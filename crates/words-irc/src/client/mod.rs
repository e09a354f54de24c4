//! The client: connects, stays, and tells what happens.
//!
//! ```no_run
//! use ropewalk_words_irc::client::{Client, Kind};
//!
//! # async fn bot() -> Result<(), Box<dyn std::error::Error>> {
//! let mut irc = Client::builder("ropebot").channel("#rope").connect("tls:irc.libera.chat:6697").await?;
//! while let Some(event) = irc.next().await {
//!     if let Kind::Privmsg { text, .. } = &event.kind
//!         && text.starts_with("!hello")
//!     {
//!         irc.reply(&event, format!("hello, {}", event.nick())).await?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Builder`] says who the client is and where it goes. [`Client::next`] is
//! all that happens, as one stream. [`Handle`], which a client is too and of
//! which there may be many, talks and asks; what it asks awaits the answer. What
//! the client knows of channels and users is read with [`Handle::with`].
//!
//! When the connection is lost, it is made again after a while, and the
//! channels are joined again; the stream of events goes on and tells of it.
//! What is said meanwhile fails at once. Errors that another attempt cannot
//! heal, such as a wrong password, end the client.
//!
//! The protocol itself is [`proto::client`](crate::proto::client), which knows
//! no socket. DCC is not spoken.

mod builder;
mod error;
mod handle;
mod protocol;
mod run;
mod shared;
mod sts;

use std::ops::Deref;

pub use builder::Builder;
pub use error::Error;
pub use handle::Handle;
pub use ropewalk_cred::sasl::Login;
pub use sts::{MemorySts, StsEntry, StsStore};

pub use crate::proto::client::{
    Answer, Channel, CtcpOptions, Deadlines, Ended, Event, Found, Kind, Level, Limits, Listed,
    Listing, Member, ModeChange, Named, Options, Pace, RegistrationError, Request, RequestError,
    SendError, State, User, Whois,
};

/// A client of one server, or of whichever comes after it. Dropped, it quits.
#[derive(Debug)]
pub struct Client {
    handle: Handle,
}

impl Client {
    /// A client that wants to be called this.
    pub fn builder(nick: impl Into<String>) -> Builder {
        Builder::new(nick)
    }

    /// The next thing that happened; `None` after the end, of which the last
    /// event tells. Nothing is lost if the future is dropped.
    ///
    /// Who does not ask for long holds the server back, and is thrown out by it
    /// in the end.
    pub async fn next(&mut self) -> Option<Event> {
        self.handle.shared.next_event().await
    }

    /// Another way to talk, for other tasks.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Says goodbye, and waits until the connection is over. What was said
    /// before is sent first.
    pub async fn quit(mut self, reason: &str) {
        self.handle.quit(reason);
        while self.next().await.is_some() {}
    }
}

impl Deref for Client {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.handle.shared.stop.cancel();
    }
}
