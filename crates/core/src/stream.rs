//! Any byte stream that an endpoint makes.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    process::ExitStatus,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::{TcpStream, UnixStream},
};

#[cfg(feature = "testing")]
use crate::testing::sim::SimStream;
use crate::{
    process::Child,
    wrapper::{Around, Wrapper},
};

/// A byte stream: TCP, TLS, a Unix socket, a pipe, a memory buffer, or
/// whatever a scheme of your own makes.
///
/// One type, so that there is one copy of the driver per protocol and the
/// stream can be exchanged under it. The common ones cost a jump; others an
/// allocation.
pub struct Stream(Kind);

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Memory(DuplexStream),
    Child(Box<Child>),
    #[cfg(feature = "testing")]
    Simulated(SimStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::TlsStream<Stream>>),
    Wrapped(Around),
    Other(Box<dyn ByteStream>),
    /// Taken away, while it is being upgraded.
    Gone,
}

trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

impl Stream {
    /// Any other stream.
    pub fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Kind::Other(Box::new(stream)))
    }

    /// One around another stream.
    pub(crate) fn wrapped(wrapper: impl Wrapper) -> Self {
        Self(Kind::Wrapped(Around(Box::new(wrapper))))
    }

    pub(crate) fn take(&mut self) -> Self {
        Self(std::mem::replace(&mut self.0, Kind::Gone))
    }

    /// The socket, if it is one of TCP.
    #[cfg(test)]
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.0 {
            Kind::Tcp(stream) => Some(stream),
            _ => None,
        }
    }

    /// Makes dropping the stream throw away what is unsent and tell the peer
    /// by a reset, where the transport has such a thing.
    pub(crate) fn reset_on_drop(&self) {
        match &self.0 {
            Kind::Tcp(stream) => {
                // Best effort: an abort that ends as a plain close is still an end.
                let _ = socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO));
            }
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.get_ref().0.reset_on_drop(),
            Kind::Wrapped(stream) => stream.0.inner().reset_on_drop(),
            #[cfg(feature = "testing")]
            Kind::Simulated(stream) => stream.reset_on_drop(),
            _ => {}
        }
    }

    /// Whether a read is worth a buffer; ready wherever that cannot be told.
    #[inline]
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.0 {
            Kind::Tcp(stream) => stream.poll_read_ready(cx).map(drop),
            Kind::Unix(stream) => stream.poll_read_ready(cx).map(drop),
            Kind::Wrapped(stream) => stream.0.poll_readable(cx),
            _ => Poll::Ready(()),
        }
    }

    /// Whether a process is at the other end.
    pub(crate) fn is_child(&self) -> bool {
        match &self.0 {
            Kind::Child(_) => true,
            Kind::Wrapped(stream) => stream.0.inner().is_child(),
            _ => false,
        }
    }

    /// How the process at the other end ended, once it has; for others, none.
    pub(crate) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<Option<ExitStatus>> {
        match &mut self.0 {
            Kind::Child(child) => child.poll_exit(cx),
            Kind::Wrapped(stream) => stream.0.inner_mut().poll_exit(cx),
            _ => Poll::Ready(None),
        }
    }

    /// What TLS agreed upon, if this is a TLS stream.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_info(&self) -> Option<crate::tls::TlsInfo> {
        match &self.0 {
            Kind::Tls(stream) => Some(crate::tls::TlsInfo::of(stream)),
            Kind::Wrapped(stream) => stream.0.inner().tls_info(),
            _ => None,
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Tcp(_) => "Stream(tcp)",
            Kind::Unix(_) => "Stream(unix)",
            Kind::Memory(_) => "Stream(mem)",
            Kind::Child(_) => "Stream(exec)",
            #[cfg(feature = "testing")]
            Kind::Simulated(_) => "Stream(sim)",
            #[cfg(feature = "tls")]
            Kind::Tls(_) => "Stream(tls)",
            Kind::Wrapped(stream) => return write!(f, "Wrapped({:?})", stream.0.inner()),
            Kind::Other(_) => "Stream(other)",
            Kind::Gone => "Stream(gone)",
        })
    }
}

macro_rules! from {
    ($($type:ty => $kind:ident),* $(,)?) => {$(
        impl From<$type> for Stream {
            fn from(stream: $type) -> Self {
                Self(Kind::$kind(stream.into()))
            }
        }
    )*};
}

from!(
    TcpStream => Tcp,
    UnixStream => Unix,
    DuplexStream => Memory,
    Child => Child,
);

#[cfg(feature = "tls")]
from!(tokio_rustls::TlsStream<Stream> => Tls);

#[cfg(feature = "testing")]
from!(SimStream => Simulated);

macro_rules! each {
    ($self:ident, $s:ident => $e:expr) => {
        match &mut $self.get_mut().0 {
            Kind::Tcp($s) => $e,
            Kind::Unix($s) => $e,
            Kind::Memory($s) => $e,
            Kind::Child($s) => {
                let $s = &mut **$s;
                $e
            }
            #[cfg(feature = "testing")]
            Kind::Simulated($s) => $e,
            #[cfg(feature = "tls")]
            Kind::Tls($s) => {
                let $s = &mut **$s;
                $e
            }
            Kind::Wrapped($s) => $e,
            Kind::Other($s) => $e,
            Kind::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, s => Pin::new(s).poll_write(cx, buf))
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, s => Pin::new(s).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(s) => s.is_write_vectored(),
            Kind::Unix(s) => s.is_write_vectored(),
            Kind::Memory(s) => s.is_write_vectored(),
            Kind::Child(s) => s.is_write_vectored(),
            #[cfg(feature = "testing")]
            Kind::Simulated(s) => s.is_write_vectored(),
            #[cfg(feature = "tls")]
            Kind::Tls(s) => s.is_write_vectored(),
            Kind::Wrapped(s) => s.is_write_vectored(),
            Kind::Other(s) => s.is_write_vectored(),
            Kind::Gone => false,
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}
