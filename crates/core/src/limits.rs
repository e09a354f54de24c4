//! What a server allows, and for how long.

use std::time::Duration;

/// Limits and deadlines of a server's connections, and of a client's.
///
/// The defaults protect; a larger number is a decision. Durations are
/// measured by tokio's clock, which tests may pause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections at a time. Further ones wait in the listener's backlog, and
    /// one warning a minute says so. Default 10,000.
    pub connections: usize,
    /// Connections at a time from one IPv4 address or one IPv6 /64 network;
    /// further ones are closed at once. 0 is no limit. Default 256: a small
    /// office behind one address fits, and one peer cannot take all.
    pub per_peer: usize,
    /// Whether loopback peers are exempt from `per_peer`. Default true, since
    /// a proxy on the same host speaks for everybody.
    pub loopback_exempt: bool,
    /// Time for a handshake: TLS, a proxy header, an upgrade. Default 10 s.
    pub handshake: Duration,
    /// Time with no byte in either direction; `None` is for ever. Default one
    /// hour: longer than the longest time-out that a standard asks of a server
    /// (30 minutes, IMAP4), so that a protocol's own timer speaks first and in
    /// its own words.
    pub idle: Option<Duration>,
    /// Time to write what is left, and to end TLS, at a close; it begins anew
    /// whenever `write_low` bytes of it have left. Default 10 s.
    pub close: Duration,
    /// Time and bytes for which a closed connection goes on to read and
    /// discard, so that the last answer is not lost to a reset (RFC 9112,
    /// section 9.6). Default 2 s; at most 256 KiB.
    pub linger: Duration,
    /// Bytes that a protocol may leave unread. At the limit reading stops; if
    /// the protocol still takes nothing, the connection fails. Default 256 KiB.
    pub unread: usize,
    /// Past this many unsent bytes the connection is neither read nor sent
    /// messages. Default 64 KiB.
    pub write_high: usize,
    /// At this many unsent bytes it goes on. Default 16 KiB.
    pub write_low: usize,
    /// Messages that wait in a connection's inbox. Default 64.
    pub inbox: usize,
}

impl Limits {
    /// Bytes read and discarded after a close; see [`linger`](Self::linger).
    pub(crate) const LINGER_BYTES: usize = 256 * 1024;

    /// The time for which a connection that is drained lingers at most: a
    /// drain is short, and its peer has been told.
    pub(crate) const LINGER_DRAINING: Duration = Duration::from_millis(200);

    /// How old a connection from which nothing came must be before it is
    /// drained: its first request may be on its way.
    pub(crate) const YOUNG: Duration = Duration::from_secs(1);

    /// What a client's connection is held to: as a server's, but it may stay
    /// idle for as long as it likes.
    pub fn client() -> Self {
        Self {
            idle: None,
            ..Self::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            per_peer: 256,
            loopback_exempt: true,
            handshake: Duration::from_secs(10),
            idle: Some(Duration::from_secs(3600)),
            close: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            unread: 256 * 1024,
            write_high: 64 * 1024,
            write_low: 16 * 1024,
            inbox: 64,
        }
    }
}
