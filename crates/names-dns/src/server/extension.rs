//! What a zone alone does not answer: transfers, NOTIFY, UPDATE.
//!
//! The authority reads such a request, checks its signature, and hands it to an
//! [`Extension`]; what comes back is signed if the request was, and goes to
//! whoever asked.

use std::{fmt, time::SystemTime};

use futures_util::stream::BoxStream;
use ropewalk_core::{Address, BoxFuture};

use super::Request;
use crate::proto::{Name, Rcode};

/// The way a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Via {
    /// A datagram, from an address that anybody may have written there.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream over TLS (RFC 7858).
    Tls,
}

impl Via {
    /// Whether it is a stream, where answers are as long as they must be.
    pub fn is_stream(self) -> bool {
        self != Self::Udp
    }
}

/// Who asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asker {
    /// Its address; over UDP only what the datagram says.
    pub address: Address,
    /// How it came.
    pub via: Via,
    /// The key that the request is signed with, its signature verified.
    pub key: Option<Name>,
    /// When it came.
    pub now: SystemTime,
    /// The most octets that a message of the answer may have: what the asker
    /// takes, less the room for a signature.
    pub longest: usize,
}

/// Answers what zones alone do not: AXFR and IXFR, NOTIFY, UPDATE.
///
/// It is called from the server's own callbacks and must not wait: what takes
/// time is a [`Reply::Later`].
pub trait Extension: Send + Sync + 'static {
    /// Answers a request: its opcode is NOTIFY or UPDATE, or its type AXFR or
    /// IXFR. `None` leaves it to the server, which refuses (UPDATE: NOTIMP).
    fn answer(&self, request: &Request<'_>, asker: &Asker) -> Option<Reply>;
}

/// The answer to a request, without the signature, which the server adds.
#[non_exhaustive]
pub enum Reply {
    /// No answer.
    Nothing,
    /// The question, and this.
    Rcode(Rcode),
    /// A whole message. Over UDP, one longer than the asker takes becomes an
    /// empty one with TC.
    Message(Vec<u8>),
    /// Messages one after the other, as fast as the peer takes them. Over UDP
    /// there is no way to send them: the answer has TC, and nothing in it.
    Messages(BoxStream<'static, Vec<u8>>),
    /// It takes a while.
    Later(BoxFuture<'static, Self>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Rcode(rcode) => f.debug_tuple("Rcode").field(rcode).finish(),
            Self::Message(bytes) => write!(f, "Message({} octets)", bytes.len()),
            Self::Messages(_) => f.write_str("Messages(..)"),
            Self::Later(_) => f.write_str("Later(..)"),
        }
    }
}
