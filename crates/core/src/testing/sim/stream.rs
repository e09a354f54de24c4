//! One end of a simulated connection, as a byte stream.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{network::Network, state::Side};

/// One end of a connection. Dropping it closes as a socket does: in good
/// order, or by a reset where something was left unread.
pub(crate) struct SimStream {
    network: Network,
    connection: u64,
    side: Side,
}

impl SimStream {
    pub(super) fn new(network: Network, connection: u64, side: Side) -> Self {
        Self {
            network,
            connection,
            side,
        }
    }

    /// What is unsent is thrown away when this is dropped, and the peer told
    /// by a reset.
    pub(crate) fn reset_on_drop(&self) {
        self.network
            .state()
            .reset_on_drop(self.connection, self.side);
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.network.state();
        state.poll_read(self.connection, self.side, cx, buf)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.network.state();
        state.poll_write(self.connection, self.side, cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.network.state();
        state.poll_write(self.connection, self.side, cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.network.state();
        Poll::Ready(state.shutdown(self.connection, self.side))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.network.state().close(self.connection, self.side);
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStream(#{})", self.connection)
    }
}
