//! Zone transfers without I/O: AXFR (RFC 5936) and IXFR (RFC 1995), both ways.
//!
//! [`Inbound`] is the client: it makes the request, takes one message after the
//! other, and tells what changes. [`Outbound`] is the server: it makes one
//! message after the other from a [`Source`] of records, only when asked for
//! the next, so that a zone is never in memory a second time.
//!
//! Neither knows how zones are stored, nor what carries the messages; on a
//! stream, each has two octets of length before it.

mod inbound;
mod outbound;

pub use inbound::{Change, Inbound, InboundOptions, Progress, TransferError};
pub use outbound::{Outbound, Source};

use super::{Class, NameRef, RecordType};

/// A record of a zone, as a transfer carries it: names uncompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose it is.
    pub name: NameRef<'a>,
    /// What it holds.
    pub record_type: RecordType,
    /// Its class, which is the zone's.
    pub class: Class,
    /// How long it may be kept, in seconds.
    pub ttl: u32,
    /// Its data, with names whole.
    pub rdata: &'a [u8],
}

#[cfg(test)]
mod tests;
