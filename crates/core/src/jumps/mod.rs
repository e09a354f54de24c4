//! What is said on a stream before the endpoint behind it begins: headers of the PROXY protocol,
//! SOCKS5, CONNECT.
//!
//! Each is a codec that does no I/O, an [`Opening`]; [`converse`] holds the conversation on a
//! stream. Which stream that is, and what comes behind, is for the schemes to say. Servers of
//! SOCKS5 and CONNECT do not stand here: they are protocols of their own.

pub(crate) mod http_connect;
pub(crate) mod proxy;
pub(crate) mod socks5;

use std::{io, net::IpAddr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// A conversation at the start of a stream.
pub(crate) trait Opening {
    /// Why it cannot go on.
    type Error;

    /// What is to be sent now, if anything. Empty at the next call.
    fn output(&mut self) -> Vec<u8> {
        Vec::new()
    }

    /// How many bytes may be read next without taking one of what follows the conversation; it
    /// needs at least so many. 0 when it is over.
    fn wants(&self) -> usize;

    /// Takes bytes, no more than it [`wants`](Self::wants).
    ///
    /// # Errors
    /// The peer says no, or makes no sense.
    fn received(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// Why a conversation failed.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The stream did.
    Io(io::Error),
    /// The other side ended in the middle.
    Ended,
    /// The other side said no, or something that makes no sense.
    Refused(E),
}

/// Holds a conversation. The stream then stands at the first byte behind it. Dropping the future
/// leaves the stream in the middle of it, good for nothing.
pub(crate) async fn converse<O: Opening>(
    opening: &mut O,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), Failure<O::Error>> {
    let mut buffer = [0; 256];
    loop {
        let output = opening.output();
        if !output.is_empty() {
            stream.write_all(&output).await.map_err(Failure::Io)?;
            stream.flush().await.map_err(Failure::Io)?;
        }
        let wants = opening.wants().min(buffer.len());
        if wants == 0 {
            return Ok(());
        }
        let read = stream
            .read(&mut buffer[..wants])
            .await
            .map_err(Failure::Io)?;
        if read == 0 {
            return Err(Failure::Ended);
        }
        opening
            .received(&buffer[..read])
            .map_err(Failure::Refused)?;
    }
}

/// Where a proxy is asked to connect: a name for it to look up, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A name, of at most 255 bytes.
    Name(String),
    Address(IpAddr),
}

/// Who asks a proxy.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    /// Not empty.
    pub(crate) password: String,
}

#[cfg(test)]
mod tests;
