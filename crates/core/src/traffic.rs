//! What goes over connections, for who looks for a mistake in a protocol.
//!
//! It shows everything that is said, passwords too. Nothing here is ever on
//! unless a program puts the layer there.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    Connection, ConnectionId, Layer, Peer, Result, Stream, work::BoxFuture, wrapper::Wrapper,
};

/// A layer that logs the bytes of connections, in both directions.
///
/// **It shows secrets**: passwords, cookies, mail. Behind TLS it sees what was
/// encrypted, since the layers of
/// [`ServerOptions::layers`](crate::ServerOptions::layers) are inside it. Use it
/// to find a mistake, and take it out again.
///
/// By default records go to the log, at `info`, under the target
/// `ropewalk_core::traffic`; [`TrafficLog::to`] gives them to you. Of what is
/// read or written at once 256 bytes are shown, and 64 KiB of a connection.
///
/// ```
/// use std::sync::Arc;
/// use ropewalk_core::{ServerOptions, TrafficLog};
///
/// let mut options = ServerOptions::default();
/// options.layers.push(Arc::new(TrafficLog::new().record_limit(1024)));
/// let sink = TrafficLog::to(|record| eprintln!("{} {record}", record.connection));
/// options.layers.push(Arc::new(sink));
/// ```
#[derive(Clone)]
pub struct TrafficLog {
    sink: Arc<Sink>,
    record: usize,
    total: u64,
}

type Sink = dyn Fn(&Traffic<'_>) + Send + Sync;

impl TrafficLog {
    /// To the log, as text with escapes.
    pub fn new() -> Self {
        Self::to(|record| {
            let (id, peer) = (record.connection, record.peer);
            tracing::info!(target: TARGET, %id, %peer, "{record}");
        })
    }

    /// To the log, in hexadecimal.
    pub fn hex() -> Self {
        Self::to(|record| {
            let (id, peer) = (record.connection, record.peer);
            tracing::info!(target: TARGET, %id, %peer, "{record:x}");
        })
    }

    /// To a function, which is called on the connection's task and must not
    /// wait.
    pub fn to(sink: impl Fn(&Traffic<'_>) + Send + Sync + 'static) -> Self {
        Self {
            sink: Arc::new(sink),
            record: 256,
            total: 64 * 1024,
        }
    }

    /// So many bytes of what is read or written at once; how many more there
    /// were is said.
    #[must_use]
    pub fn record_limit(mut self, bytes: usize) -> Self {
        self.record = bytes;
        self
    }

    /// So many bytes of each connection, in both directions together; of the
    /// rest there are no records.
    #[must_use]
    pub fn total_limit(mut self, bytes: u64) -> Self {
        self.total = bytes;
        self
    }
}

impl Default for TrafficLog {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TrafficLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrafficLog")
            .field("record_limit", &self.record)
            .field("total_limit", &self.total)
            .finish_non_exhaustive()
    }
}

const TARGET: &str = "ropewalk_core::traffic";

impl Layer for TrafficLog {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        let log = self.clone();
        let (id, peer) = (conn.id(), conn.peer().clone());
        Box::pin(async move {
            let change = async |stream| {
                Ok(Stream::wrapped(Logged {
                    stream,
                    left: log.total,
                    log,
                    id,
                    peer,
                }))
            };
            Ok(conn.wrap(change).await?)
        })
    }

    fn negotiates(&self) -> bool {
        false
    }
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    In,
    /// To the peer.
    Out,
}

/// What was read or written at once. `{}` shows it as text with escapes, one
/// line, `{:x}` in hexadecimal: `< EHLO ada\r\n (+12)`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Traffic<'a> {
    /// The connection.
    pub connection: ConnectionId,
    /// Its other end.
    pub peer: &'a Peer,
    /// Which way it went.
    pub direction: Direction,
    /// What it was, as far as the limits allow. Nothing at all, and nothing
    /// omitted, is the end of the stream in this direction.
    pub bytes: &'a [u8],
    /// How many bytes went with them and are not shown.
    pub omitted: usize,
    /// Whether the connection's share is used up: its last record.
    pub last: bool,
}

impl Traffic<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, bytes: impl fmt::Display) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::In => "< ",
            Direction::Out => "> ",
        })?;
        if self.bytes.is_empty() && self.omitted == 0 {
            return f.write_str("(end)");
        }
        bytes.fmt(f)?;
        if self.omitted > 0 {
            write!(f, " (+{})", self.omitted)?;
        }
        if self.last {
            f.write_str(" (no more is shown)")?;
        }
        Ok(())
    }
}

impl fmt::Display for Traffic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.bytes.escape_ascii())
    }
}

impl fmt::LowerHex for Traffic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Hex<'a>(&'a [u8]);
        impl fmt::Display for Hex<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        self.write(f, Hex(self.bytes))
    }
}

struct Logged {
    stream: Stream,
    log: TrafficLog,
    id: ConnectionId,
    peer: Peer,
    left: u64,
}

impl Logged {
    fn log(&mut self, direction: Direction, bytes: &[u8], length: usize) {
        if self.left == 0 {
            return;
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let shown = bytes.len().min(self.log.record).min(most);
        // No number of bytes in memory is more than fits.
        self.left -= shown as u64;
        (self.log.sink)(&Traffic {
            connection: self.id,
            peer: &self.peer,
            direction,
            bytes: &bytes[..shown],
            omitted: length - shown,
            last: self.left == 0,
        });
    }
}

impl Wrapper for Logged {
    fn inner(&self) -> &Stream {
        &self.stream
    }

    fn inner_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = result
            && buf.capacity() > before
        {
            let read = &buf.filled()[before..];
            self.log(Direction::In, read, read.len());
        }
        result
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, data);
        if let Poll::Ready(Ok(written @ 1..)) = result {
            self.log(Direction::Out, &data[..written], written);
        }
        result
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        if let Poll::Ready(Ok(written @ 1..)) = result {
            let most = written.min(self.log.record);
            let mut shown = Vec::with_capacity(most);
            for part in data {
                shown.extend(&part[..part.len().min(most - shown.len())]);
            }
            self.log(Direction::Out, &shown, written);
        }
        result
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        if let Poll::Ready(Ok(())) = result {
            self.log(Direction::Out, &[], 0);
        }
        result
    }
}
