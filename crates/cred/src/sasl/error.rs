//! How an exchange fails, as each side sees it.

use crate::Refused;

/// Why a server's exchange ended without a login.
///
/// Protocols answer [`Refused`](Self::Refused), `ChannelBinding` and
/// `Downgrade` as failed authentication (SMTP 535) and the rest as bad syntax
/// (501). The text is for logs.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The peer's message is not one of this mechanism. The peer's fault.
    #[error("not a message of this mechanism: {0}")]
    Malformed(&'static str),
    /// It is longer than [`LONGEST_MESSAGE`](super::LONGEST_MESSAGE).
    #[error("a message longer than 64 KiB")]
    TooLong,
    /// The client is bound to another TLS connection than this one: somebody
    /// stands between.
    #[error("bound to another channel")]
    ChannelBinding,
    /// The client did not see that we offer channel binding: somebody stands
    /// between (RFC 5802, section 6).
    #[error("the client was not shown that channel binding is offered")]
    Downgrade,
    /// A checker said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The client had no token and asked which would do (RFC 7628, section
    /// 4.3); it has been told. A failed authentication on the wire, and nothing
    /// to hold against the peer.
    #[error("the client asked which tokens are taken")]
    Discovery,
    /// A method was called when it is not its turn. The calling protocol's
    /// fault, or a peer's that goes on after the end.
    #[error("nothing was to come now")]
    OutOfTurn,
}

/// Why a client's exchange failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The server offers nothing that is safe enough and fits what the client
    /// has.
    #[error("none of the server's mechanisms ({offered}) will do")]
    NoMechanism {
        /// What it offers.
        offered: String,
    },
    /// The name or the password cannot be sent: empty, too long, a NUL.
    #[error("{0} cannot be sent")]
    Unsendable(&'static str),
    /// The server's message is not one of this mechanism.
    #[error("the server's message is not one of this mechanism: {0}")]
    Malformed(&'static str),
    /// It is longer than [`LONGEST_MESSAGE`](super::LONGEST_MESSAGE).
    #[error("the server's message is longer than 64 KiB")]
    TooLong,
    /// The server's nonce does not continue ours: a replay.
    #[error("the server answered another exchange's nonce")]
    Nonce,
    /// The server asks for too few iterations (the password could be guessed
    /// from what is sent) or too many (it would burn our time).
    #[error("the server asks for {asked} iterations; {fewest} to {most} are allowed")]
    Iterations {
        /// What it asks for.
        asked: u32,
        /// What is allowed, from.
        fewest: u32,
        /// What is allowed, to.
        most: u32,
    },
    /// The server did not show that it knows the password: it is another one.
    #[error("the server did not prove that it knows the password")]
    ServerNotProven,
    /// The server said why it refuses: an `e=` of SCRAM, a `status` of
    /// OAUTHBEARER.
    #[error("the server refuses: {0}")]
    ServerSaid(String),
    /// More came than the mechanism has.
    #[error("the server goes on after the end")]
    OutOfTurn,
}

impl ClientError {
    /// What a server said, shortened and without what would upset a terminal.
    pub(crate) fn server_said(text: &str) -> Self {
        Self::ServerSaid(text.chars().filter(|c| !c.is_control()).take(200).collect())
    }
}
