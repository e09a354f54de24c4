//! The waist of the hourglass: a byte stream, who it is from, and the wish of
//! its server that it should end.

use std::{
    fmt,
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use crate::{
    Address, Closed, ConnectionId, Deadline, Handler, Input, Limits, Peer, Protocol, Stream,
    driver::Driver,
    registry::{Entry, Live, Stage},
    timers::clock,
    wrapper::Prefixed,
};

/// One connection, accepted or made: what a [`Handler`] serves.
///
/// It reads and writes as any tokio stream does. It begins with what was read
/// before: bytes left over by [`Transport::hand_over`](crate::Transport), or
/// peeked at by a layer.
pub struct Connection {
    pub(crate) stream: Stream,
    pub(crate) prefix: Input,
    pub(crate) peer: Peer,
    pub(crate) live: Live,
    /// Made when a handler first waits; a protocol's driver keeps its own.
    pub(crate) idle: Option<Idle>,
}

impl Connection {
    /// A connection of no server, over any stream: for clients, and for
    /// streams that came from elsewhere.
    pub fn new(stream: Stream, peer: Peer, local: Address) -> Self {
        Self::with_limits(stream, peer, local, Arc::new(Limits::client()))
    }

    pub(crate) fn with_limits(
        stream: Stream,
        peer: Peer,
        local: Address,
        limits: Arc<Limits>,
    ) -> Self {
        let entry = Arc::new(Entry::new(peer.clone(), local));
        Self {
            stream,
            prefix: Input::default(),
            peer,
            live: Live::new(entry, None, limits),
            idle: None,
        }
    }

    /// The number of this connection, which its spans and the registry show.
    pub fn id(&self) -> ConnectionId {
        self.live.entry.id
    }

    /// Our end.
    pub fn local(&self) -> &Address {
        self.live.entry.local()
    }

    /// The other end, as far as it is known.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Resolves when the server drains and this connection should say goodbye.
    /// One that is so young that its first request may be on its way is given
    /// a second for it.
    ///
    /// A library that is told to shut down gracefully before it was polled may
    /// throw away a request that is already there (hyper does): serve first and
    /// look at this second, as `select!` with `biased` does.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static {
        let entry = self.live.entry.clone();
        let registry = self.live.registry.clone();
        async move {
            let Some(registry) = registry else {
                return std::future::pending().await;
            };
            let asked = |stage| stage == Stage::Stopped || entry.is_asked_to_drain();
            // A server that is gone without a drain asks for nothing.
            registry.until_stage(asked).await;
            if entry.read() == 0 {
                let young = Limits::YOUNG.saturating_sub(clock() - entry.since);
                sleep(young).await;
            }
        }
    }

    /// Puts bytes in front of those that are still to be read.
    pub fn unread(&mut self, bytes: &[u8]) {
        let rest = std::mem::take(&mut self.prefix);
        self.prefix.extend(bytes);
        self.prefix.extend(&rest);
    }

    /// The stream under it and what was read of it before its time. The
    /// server's registry forgets the connection; for layers, which
    /// [`wrap`](Self::wrap) it again, and for programs that know better.
    pub fn into_parts(self) -> (Stream, Vec<u8>) {
        (self.stream, self.prefix.to_vec())
    }

    /// Exchanges the stream for what `change` makes of it, and keeps who and
    /// what the connection is: how a [`Layer`](crate::Layer) wraps one.
    ///
    /// # Errors
    /// That of `change`, or bytes that were read before the change.
    pub async fn wrap<F, Fut>(mut self, change: F) -> io::Result<Self>
    where
        F: FnOnce(Stream) -> Fut,
        Fut: Future<Output = io::Result<Stream>>,
    {
        let stream = std::mem::take(&mut self.prefix);
        let stream = if stream.is_empty() {
            self.stream
        } else {
            Stream::wrapped(Prefixed {
                prefix: stream,
                stream: self.stream,
            })
        };
        self.stream = change(stream).await?;
        #[cfg(feature = "tls")]
        if let Some(tls) = self.stream.tls_info() {
            self.peer.tls = Some(Arc::new(tls));
        }
        Ok(self)
    }

    /// Reads and throws away what the peer still sends, as
    /// [`Limits::linger`](crate::Limits) allows, shorter in a drain. A handler
    /// that has shut its side down does so last: a socket that is closed with
    /// input unread resets the connection, and the last answer may be lost to
    /// that (RFC 9112, section 9.6). Protocols have it from their driver.
    pub async fn linger(&mut self) {
        let limits = &self.live.limits;
        let linger = match self.live.entry.is_asked_to_drain() {
            true => limits.linger.min(Limits::LINGER_DRAINING),
            false => limits.linger,
        };
        let mut rest = self.take(Limits::LINGER_BYTES as u64);
        let mut nowhere = tokio::io::sink();
        let discard = tokio::io::copy(&mut rest, &mut nowhere);
        // However it ends, the stream is not used any more.
        let _ = tokio::time::timeout(linger, discard).await;
    }

    /// Runs a protocol over this connection until it ends; the protocol comes
    /// back with what it has become.
    pub async fn run<P: Protocol>(self, protocol: P) -> (P, Closed) {
        let ended = Driver::new(protocol, self).await;
        if let Some((next, connection)) = ended.next
            && let Err(error) = next(connection).await
        {
            return (ended.protocol, Closed::failed(error));
        }
        (ended.protocol, ended.why)
    }

    /// Serves this connection with a handler, as a server would.
    ///
    /// # Errors
    /// That of the handler.
    pub async fn serve(self, handler: &impl Handler) -> crate::Result {
        handler.serve(self).await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer", &self.peer)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// Reads what was read before its time first.
pub(crate) fn poll_read(
    prefix: &mut Input,
    stream: &mut Stream,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    if prefix.is_empty() {
        return Pin::new(stream).poll_read(cx, buf);
    }
    let n = prefix.len().min(buf.remaining());
    buf.put_slice(&prefix[..n]);
    prefix.advance(n);
    prefix.release();
    Poll::Ready(Ok(()))
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = poll_read(&mut this.prefix, &mut this.stream, cx, buf);
        this.live.entry.count_read(buf.filled().len() - before);
        this.watch(cx, result)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, result)
    }
}

impl Connection {
    fn written(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = result {
            self.live.entry.count_written(n);
        }
        self.watch(cx, result)
    }

    /// Holds a handler's stream to the idle limit: what waits fails once
    /// nothing came or went for so long.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Some(limit) = self.live.limits.idle else {
            return result;
        };
        if result.is_ready() {
            if let Some(idle) = &mut self.idle {
                idle.moved = Instant::now();
            }
            return result;
        }
        let idle = self.idle.get_or_insert_with(|| Idle {
            moved: Instant::now(),
            sleep: Box::pin(sleep(limit)),
        });
        loop {
            ready!(idle.sleep.as_mut().poll(cx));
            let until = idle.moved + limit;
            if until <= Instant::now() {
                let why = Closed::TimedOut(Deadline::Idle);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            idle.sleep.as_mut().reset(until);
        }
    }
}

/// When a handler's stream moved last, and a timer of the runtime that is
/// moved only when it fires.
pub(crate) struct Idle {
    moved: Instant,
    sleep: Pin<Box<Sleep>>,
}
