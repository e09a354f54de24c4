//! Why a client does not come to be.

use ropewalk_core::{Closed, ConnectError, endpoint::ParseError};

use crate::proto::client::Ended;

/// Why there is no connection to a server that has taken the client in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint's string is none; the caller is at fault.
    #[error(transparent)]
    Endpoint(#[from] ParseError),
    /// There is no way to the server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server, or the client itself, ended it.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// The connection ended without a word.
    #[error("the connection ended: {0}")]
    Lost(Closed),
    /// The server speaks no IRC over WebSocket there.
    #[cfg(feature = "websocket")]
    #[error("no WebSocket: {0}")]
    WebSocket(std::io::Error),
    /// The WebSocket was not there in time.
    #[cfg(feature = "websocket")]
    #[error("no WebSocket within {0:?}")]
    Slow(std::time::Duration),
}

impl Error {
    /// Whether another attempt can only fail in the same way.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Endpoint(_) => true,
            Self::Connect(error) => matches!(
                error,
                ConnectError::Endpoint(_) | ConnectError::Unsupported { .. }
            ),
            Self::Ended(ended) => ended.is_final(),
            _ => false,
        }
    }
}
