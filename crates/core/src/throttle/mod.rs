//! Fewer bytes a second than the network gives: of each connection, of each
//! peer, or of all together.
//!
//! Layers nest: a connection that passes several throttles is as fast as all
//! of them allow. Where several connections share one, they have their turn in
//! the order in which they came, and the same number of bytes each.

mod bucket;

use std::{
    collections::HashMap,
    fmt,
    io::{self, IoSlice},
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Instant,
};

use bucket::{Bucket, Taker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Connection, Layer, Result, Stream, allowance::network, timers::clock, work::BoxFuture,
    wrapper::Wrapper,
};

/// Peers of whom a throttle remembers what they have used up after they have
/// gone. Beyond them it forgets, and who comes back has a full bucket.
const REMEMBERED: usize = 65_536;

/// A layer that bounds how fast connections are read and written, by a token
/// bucket for each direction.
///
/// What a protocol writes beyond the rate waits in its buffer and so holds it
/// back as a slow peer would; its timers run on. A throttle is pushed to
/// [`ServerOptions::layers`](crate::ServerOptions::layers); the same one (or a
/// clone) in the options of several servers is shared by them.
///
/// ```
/// use std::sync::Arc;
/// use ropewalk_core::{Rate, ServerOptions, Throttle};
///
/// let mut options = ServerOptions::default();
/// // 1 MB/s for each connection, 2 MB/s for each peer with all it has, and
/// // no more than 10 MB/s go out, in bursts of at most 1 MB.
/// options.layers.push(Arc::new(Throttle::new().read(1_000_000).write(1_000_000)));
/// options.layers.push(Arc::new(Throttle::per_peer().write(2_000_000)));
/// let out = Rate::per_second(10_000_000).burst(1_000_000);
/// options.layers.push(Arc::new(Throttle::in_all().write(out)));
/// ```
#[derive(Clone)]
pub struct Throttle {
    read: Option<Rate>,
    write: Option<Rate>,
    scope: Scope,
}

#[derive(Clone)]
enum Scope {
    Connection,
    Peer(Arc<Peers>),
    All(Arc<Buckets>),
}

/// How many bytes may go in a second, and how many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    bytes: u64,
    burst: u64,
}

impl Rate {
    /// So many bytes a second, and a second's worth at once after a time of
    /// rest. 0 is 1.
    pub const fn per_second(bytes: u64) -> Self {
        let bytes = if bytes == 0 { 1 } else { bytes };
        Self {
            bytes,
            burst: bytes,
        }
    }

    /// So many bytes at once, after a time of rest. 0 is 1.
    #[must_use]
    pub const fn burst(mut self, bytes: u64) -> Self {
        self.burst = if bytes == 0 { 1 } else { bytes };
        self
    }
}

impl From<u64> for Rate {
    fn from(bytes_per_second: u64) -> Self {
        Self::per_second(bytes_per_second)
    }
}

impl Throttle {
    /// Each connection by itself; no bound yet.
    pub fn new() -> Self {
        Self::of(Scope::Connection)
    }

    /// All connections of one peer (an IPv4 address, or an IPv6 /64)
    /// together; no bound yet. One without an address (a Unix socket, memory)
    /// is bound by itself.
    ///
    /// What a peer has used up is remembered when it has gone, until its bucket
    /// is full again; of 65,536 such peers at most.
    pub fn per_peer() -> Self {
        Self::of(Scope::Peer(Arc::default()))
    }

    /// All connections together; no bound yet.
    pub fn in_all() -> Self {
        Self::of(Scope::All(Arc::default()))
    }

    fn of(scope: Scope) -> Self {
        Self {
            read: None,
            write: None,
            scope,
        }
    }

    /// At most so many bytes a second from peers.
    #[must_use]
    pub fn read(mut self, rate: impl Into<Rate>) -> Self {
        self.read = Some(rate.into());
        self.anew()
    }

    /// At most so many bytes a second to peers.
    #[must_use]
    pub fn write(mut self, rate: impl Into<Rate>) -> Self {
        self.write = Some(rate.into());
        self.anew()
    }

    /// With buckets of its own: it is another throttle than the one it was.
    fn anew(mut self) -> Self {
        self.scope = match self.scope {
            Scope::Connection => Scope::Connection,
            Scope::Peer(_) => Scope::Peer(Arc::default()),
            Scope::All(_) => Scope::All(Arc::new(self.buckets())),
        };
        self
    }

    fn buckets(&self) -> Buckets {
        Buckets {
            read: self.read.map(Bucket::new),
            write: self.write.map(Bucket::new),
        }
    }

    fn buckets_for(&self, conn: &Connection) -> Arc<Buckets> {
        match &self.scope {
            Scope::All(shared) => shared.clone(),
            Scope::Peer(peers) => match conn.peer().address.inet() {
                Some(address) => peers.of(network(address.ip()), || self.buckets()),
                None => Arc::new(self.buckets()),
            },
            Scope::Connection => Arc::new(self.buckets()),
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Scope::Connection => "connection",
            Scope::Peer(_) => "peer",
            Scope::All(_) => "all",
        };
        f.debug_struct("Throttle")
            .field("scope", &scope)
            .field("read", &self.read)
            .field("write", &self.write)
            .finish()
    }
}

impl Layer for Throttle {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        let buckets = self.buckets_for(&conn);
        Box::pin(async move {
            let change = async |stream| {
                Ok(Stream::wrapped(Throttled {
                    stream,
                    buckets,
                    reader: Taker::default(),
                    writer: Taker::default(),
                }))
            };
            Ok(conn.wrap(change).await?)
        })
    }

    fn negotiates(&self) -> bool {
        false
    }
}

/// The buckets of whatever is bound together.
#[derive(Default)]
struct Buckets {
    read: Option<Bucket>,
    write: Option<Bucket>,
}

impl Buckets {
    fn is_full(&self, now: Instant) -> bool {
        let is_full = |bucket: &Option<Bucket>| bucket.as_ref().is_none_or(|b| b.is_full(now));
        is_full(&self.read) && is_full(&self.write)
    }
}

/// The buckets of each peer that has connections, or had some lately.
#[derive(Default)]
struct Peers(Mutex<Known>);

#[derive(Default)]
struct Known {
    peers: HashMap<IpAddr, Arc<Buckets>>,
    /// At so many it looks for those that can be forgotten: at twice as many as
    /// there were after it looked last, so that each costs little.
    sweep_at: usize,
}

impl Peers {
    fn of(&self, peer: IpAddr, make: impl FnOnce() -> Buckets) -> Arc<Buckets> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.peers.len() >= known.sweep_at {
            known.sweep(clock());
        }
        let buckets = known.peers.entry(peer);
        buckets.or_insert_with(|| Arc::new(make())).clone()
    }
}

impl Known {
    fn sweep(&mut self, now: Instant) {
        // Who holds one has it from here, under the lock: one that only this
        // holds nobody uses.
        let in_use = |buckets: &Arc<Buckets>| Arc::strong_count(buckets) > 1;
        self.peers
            .retain(|_, buckets| in_use(buckets) || !buckets.is_full(now));
        if self.peers.len() >= REMEMBERED {
            self.peers.retain(|_, buckets| in_use(buckets));
        }
        let least = 1024;
        // Of many in use, twice as many; of many that are remembered, no more
        // than are remembered at most.
        let connected = self.peers.values().filter(|b| in_use(b)).count();
        self.sweep_at = (self.peers.len() * 2)
            .min(connected * 2 + REMEMBERED)
            .max(least);
    }
}

struct Throttled {
    stream: Stream,
    buckets: Arc<Buckets>,
    reader: Taker,
    writer: Taker,
}

impl Throttled {
    /// Writes as many of so many bytes as are allowed.
    fn poll_write_some(
        &mut self,
        cx: &mut Context<'_>,
        want: usize,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>, usize) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.stream);
        let Some(bucket) = self.buckets.write.as_ref().filter(|_| want > 0) else {
            return write(stream, cx, want);
        };
        let allowed = ready!(self.writer.poll_allowed(bucket, want, cx));
        let result = write(stream, cx, allowed);
        let written = match &result {
            Poll::Ready(Ok(written)) => *written,
            _ => 0,
        };
        self.writer.settle(bucket, written);
        result
    }
}

impl Wrapper for Throttled {
    fn inner(&self) -> &Stream {
        &self.stream
    }

    fn inner_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let want = buf.remaining();
        let stream = &mut self.stream;
        let Some(bucket) = self.buckets.read.as_ref().filter(|_| want > 0) else {
            return Pin::new(stream).poll_read(cx, buf);
        };
        // Nothing is booked for what has not come.
        ready!(stream.poll_readable(cx));
        let allowed = ready!(self.reader.poll_allowed(bucket, want, cx));
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(allowed));
        let result = Pin::new(stream).poll_read(cx, &mut part);
        let read = part.filled().len();
        buf.advance(read);
        self.reader.settle(bucket, read);
        result
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_some(cx, data.len(), |stream, cx, allowed| {
            stream.poll_write(cx, &data[..allowed])
        })
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let want = data.iter().map(|part| part.len()).sum();
        self.poll_write_some(cx, want, |stream, cx, allowed| {
            // As many as may go whole; of the first, if it may not, a part.
            let mut left = allowed;
            let whole = data
                .iter()
                .take_while(|part| match left.checked_sub(part.len()) {
                    Some(rest) => {
                        left = rest;
                        true
                    }
                    None => false,
                })
                .count();
            match data.get(whole) {
                Some(next) if left == allowed => stream.poll_write(cx, &next[..allowed]),
                _ => stream.poll_write_vectored(cx, &data[..whole]),
            }
        })
    }
}

impl Drop for Throttled {
    fn drop(&mut self) {
        // What it was promised, others may have.
        for (bucket, taker) in [
            (&self.buckets.read, &mut self.reader),
            (&self.buckets.write, &mut self.writer),
        ] {
            if let Some(bucket) = bucket {
                taker.settle(bucket, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    /// A crowd that comes and goes is remembered up to a limit, and who is
    /// connected is never forgotten.
    #[test]
    fn peers_are_forgotten() {
        let peers = Peers::default();
        // A bucket that takes a day to fill.
        let make = || {
            let bucket = Bucket::new(Rate::per_second(1).burst(86_400));
            bucket.empty();
            Buckets {
                read: Some(bucket),
                write: None,
            }
        };
        let stays = peers.of(address(0), make);
        let mut most = 0;
        for number in 1..300_000 {
            drop(peers.of(address(number), make));
            most = most.max(peers.0.lock().unwrap().peers.len());
        }
        assert!(most <= REMEMBERED + 1024, "{most}");
        assert!(Arc::ptr_eq(&stays, &peers.of(address(0), make)));
        // Whose bucket is full again is nobody in particular.
        let mut known = peers.0.lock().unwrap();
        known.sweep(clock() + Duration::from_secs(2 * 86_400));
        assert_eq!(known.peers.len(), 1);
    }
}
