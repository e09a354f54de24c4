//! What the handlers of the command share about byte streams: a deadline for those on which nothing
//! moves, and an end that does not lose the last answer.
//!
//! Protocols have both from core's driver; these are for handlers, which own their stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep, timeout},
};

/// A stream that fails when nothing came or went for a while.
pub(crate) struct Idle<S> {
    stream: S,
    limit: Duration,
    moved: Instant,
    /// Moved only when it fires: a byte that comes costs no work of the runtime's timers.
    sleep: Pin<Box<Sleep>>,
}

impl<S> Idle<S> {
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        Self {
            stream,
            limit,
            moved: Instant::now(),
            sleep: Box::pin(sleep(limit)),
        }
    }

    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.moved = Instant::now();
            return result;
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let until = self.moved + self.limit;
            if until <= Instant::now() {
                let why = format!("nothing came or went for {:?}", self.limit);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            self.sleep.as_mut().reset(until);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Idle<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.watch(cx, result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Idle<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, result)
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

/// Reads and throws away what the peer still sends, for so long at most: a socket that is closed
/// with input unread resets the connection, and the last answer may be lost to that (RFC 9112,
/// section 9.6).
pub(crate) async fn discard(stream: &mut (impl AsyncRead + Unpin), at_most: Duration) {
    let mut rest = stream.take(DISCARDED);
    // However it ends, the stream is not used any more.
    let _ = timeout(at_most, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
}

/// How long a peer may take to see the end; core's lingering is as long.
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// The bytes that are thrown away at most.
const DISCARDED: u64 = 256 * 1024;
