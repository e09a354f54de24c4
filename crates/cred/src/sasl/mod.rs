//! SASL (RFC 4422), both sides, as state machines: bytes in, bytes out, no
//! sockets, no clock, no base64. Protocols carry the bytes in their own
//! clothes (`AUTHENTICATE`, `AUTH`, `+ `, `334 `) and their own cancelling.
//!
//! A server offers [`Mechanisms`] that fit what its checkers take and what
//! the connection is ([`Channel`]), and starts a [`Server`]. That asks for
//! responses ([`Step::Challenge`]) or for a decision ([`Step::Ask`]), which
//! a portal gives.
//! A client reads the server's list into `Mechanisms` too, chooses by
//! strength with what it has ([`Login`]), and gets a [`Client`].
//!
//! ```
//! use ropewalk_cred::{Account, Kind, sasl::*};
//!
//! // The server: its users are in a portal; here everybody is welcome.
//! let channel = Channel::encrypted();
//! let offer = Mechanisms::offered(&[Takes::Passwords], &channel, &ServerOptions::default());
//! assert_eq!(offer.to_string(), "PLAIN LOGIN");
//!
//! // The client, at the other end of an encrypted connection.
//! let login = Login::password("tim", "tanstaaftanstaaf");
//! let seen = Mechanisms::parse("PLAIN LOGIN X-NEW");
//! let mut client = seen.choose(&login, &channel, &ClientOptions::default())?;
//! let initial = client.initial();
//!
//! let mut server = offer.start(client.mechanism().name(), &channel, &ServerOptions::default())?;
//! let Step::Ask(Question::Login(credentials)) = server.step(initial.as_deref()) else { panic!() };
//! assert_eq!(credentials.user(), Some("tim"));
//! let known = Account::new("tim", credentials.kind());
//! let Step::Success { account, data } = server.answered(Answer::Login(Ok(known))) else { panic!() };
//! assert_eq!(account.name, "tim");
//! client.finish(data.as_deref())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | mechanism | where | notes |
//! | --- | --- | --- |
//! | SCRAM-SHA-256-PLUS, SCRAM-SHA-256 | RFC 7677, 5802, 9266, 5929 | where checkers have keys |
//! | SCRAM-SHA-1-PLUS, SCRAM-SHA-1 | RFC 5802 | likewise |
//! | EXTERNAL | RFC 4422, appendix A | with a client certificate |
//! | OAUTHBEARER, XOAUTH2 | RFC 7628; Google's | TLS only |
//! | PLAIN, LOGIN | RFC 4616; draft-murchison-sasl-login | TLS only |
//! | ANONYMOUS | RFC 4505 | where a checker takes it |
//! | CRAM-MD5 | RFC 2195 | only by an option that says what it is |

mod client;
mod error;
mod mechanisms;
mod messages;
mod scram;
mod server;
mod tokens;

pub use client::{Client, ClientOptions, Login};
pub use error::{ClientError, Failure};
pub use mechanisms::{Mechanism, Mechanisms, NotOffered, ServerOptions, Takes};
pub(crate) use messages::cram_md5_digest;
pub use scram::{Binding, BindingKind, KeysError, ScramHash, ScramKeys, ScramRecord};
pub use server::{Answer, Question, Server, Step};
pub use tokens::{TokenAdvice, TokenRefusal};

use crate::Certificate;

/// The longest message taken, in bytes. Tokens are the longest in use, at a
/// few KiB; SMTP's limit for a line is 12,288 (RFC 4954, section 4). 64 KiB.
pub const LONGEST_MESSAGE: usize = 64 * 1024;

/// What is known of the connection below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Channel {
    /// Whether others can read it. True for TLS, and for what never leaves the
    /// machine.
    pub encrypted: bool,
    /// Ways to bind to it, the client's favourite first.
    pub bindings: Vec<Binding>,
    /// The peer's verified certificate; for a client, none is needed here.
    pub certificate: Option<Certificate>,
}

impl Channel {
    /// Anybody may read along.
    pub fn clear() -> Self {
        Self::default()
    }

    /// Nobody may, and that is all that is known.
    pub fn encrypted() -> Self {
        Self {
            encrypted: true,
            ..Self::default()
        }
    }

    /// The same with one more way to bind to it.
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.bindings.push(binding);
        self
    }

    /// The same with the client's verified certificate.
    pub fn with_certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }
}
