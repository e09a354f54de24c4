//! Streams around other streams: a layer changes how bytes go, and everything
//! else is still that of the stream inside.
//!
//! `Stream::new` would do for any of them, and lose what a [`Stream`] knows:
//! whether a read is worth a buffer, what TLS agreed upon, how a process ended,
//! that an abort is a reset, and vectored writes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Input, Stream};

/// A stream around another. Only what it changes is written down; `Stream`
/// asks the one inside for the rest.
pub(crate) trait Wrapper: Send + 'static {
    fn inner(&self) -> &Stream;

    fn inner_mut(&mut self) -> &mut Stream;

    /// Whether a read is worth a buffer.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner().poll_readable(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner_mut()).poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.inner_mut()).poll_write(cx, data)
    }

    /// A wrapper that changes `poll_write` changes this one too.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.inner_mut()).poll_write_vectored(cx, data)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.inner_mut()).poll_shutdown(cx)
    }
}

/// A wrapper as a stream: the one place where all of this is passed on.
pub(crate) struct Around(pub(crate) Box<dyn Wrapper>);

impl AsyncRead for Around {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsyncWrite for Around {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.inner().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.inner_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

/// A stream that begins with what was read of it before its time.
pub(crate) struct Prefixed {
    pub(crate) prefix: Input,
    pub(crate) stream: Stream,
}

impl Wrapper for Prefixed {
    fn inner(&self) -> &Stream {
        &self.stream
    }

    fn inner_mut(&mut self) -> &mut Stream {
        &mut self.stream
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.prefix.is_empty() {
            true => self.stream.poll_readable(cx),
            false => Poll::Ready(()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        crate::connection::poll_read(&mut self.prefix, &mut self.stream, cx, buf)
    }
}
