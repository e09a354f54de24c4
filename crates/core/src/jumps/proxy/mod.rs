//! The PROXY protocol, versions 1 and 2, as haproxy's `doc/proxy-protocol.txt` has it: a proxy says
//! at the start of a connection on whose behalf it comes.
//!
//! Here is what a header says and how it is read ([`Decoder`]) and written ([`encode`]). Whether the
//! one who sends it is believed stands in [`Trust`], and what becomes of the connection in
//! [`Headers`].

mod crc32c;
mod tlv;
mod v1;
mod v2;

use std::{fmt, io, net::SocketAddr, sync::Arc};

pub use tlv::ProxiedTls;
pub(crate) use tlv::Tlvs;

use super::{Failure, Opening, converse};
use crate::{
    Address, Connection, Layer, Peer, Result,
    endpoint::{Network, ProxyVersion},
    work::BoxFuture,
};

/// What a proxy said of a connection that it passed on (`haproxy/…`).
///
/// [`Peer::address`] is then the one the proxy gave, and the connection's local address the one that
/// its client connected to. All of it is the proxy's word: it is taken from those alone whom the
/// endpoint names (`from=`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Proxied {
    /// The proxy itself: its address, and the account on a Unix socket.
    pub proxy: Peer,
    /// The protocol that the client agreed upon by ALPN with the proxy.
    pub alpn: Option<Vec<u8>>,
    /// The host name that the client asked for: SNI, as a rule.
    pub authority: Option<String>,
    /// A name for this connection, in the proxy's log too; at most 128 bytes.
    pub unique_id: Option<Vec<u8>>,
    /// What the client and the proxy agreed upon, if the client spoke TLS with the proxy.
    pub tls: Option<ProxiedTls>,
    /// The network namespace of the proxy's socket.
    pub network_namespace: Option<String>,
    /// What else it said: type and value, in its order.
    pub other: Vec<(u8, Vec<u8>)>,
}

/// Why a connection to a `haproxy/…` endpoint was closed at its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// The peer is not one whose header is believed. The operator names its network by
    /// `haproxy:from=…`, if it is a proxy.
    #[error("not a proxy that is believed; if it is one, name its network by haproxy:from=…")]
    NotTrusted,
    /// It began with something else; the operator has the proxy send a header (`send-proxy`).
    #[error("no PROXY header came first; the proxy must send one (haproxy: send-proxy)")]
    NoHeader,
    /// The header is not what the protocol says; the proxy is at fault.
    #[error("bad PROXY header: {0}")]
    Malformed(&'static str),
    /// It is longer than a header may be: 107 bytes of version 1, 16 KiB of version 2.
    #[error("too long a PROXY header")]
    TooLong,
    /// Its CRC-32C does not fit: it was damaged on the way.
    #[error("a PROXY header with a wrong checksum")]
    Checksum,
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// That the proxy speaks for itself, or cannot say for whom: the real ends count.
    Local,
    Proxied(Box<Ends>),
}

/// The ends of a connection that was passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) source: Address,
    pub(crate) destination: Address,
    pub(crate) tlvs: Tlvs,
}

impl Ends {
    fn inet(source: SocketAddr, destination: SocketAddr) -> Self {
        // As the engine shows them everywhere: no mapped addresses.
        let plain = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port()).into();
        Self {
            source: plain(source),
            destination: plain(destination),
            tlvs: Tlvs::default(),
        }
    }
}

/// Reads one header of either version, and no byte of what follows.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    read: Vec<u8>,
    header: Option<Header>,
}

impl Decoder {
    /// What was read, once nothing more is wanted.
    pub(crate) fn header(self) -> Option<Header> {
        self.header
    }

    fn take(&mut self, byte: u8) -> Result<(), ProxyHeaderError> {
        self.read.push(byte);
        let read = self.read.as_slice();
        self.header = match read[0] {
            b'P' => v1::look(read)?,
            _ => v2::look(read)?,
        };
        Ok(())
    }
}

impl Opening for Decoder {
    type Error = ProxyHeaderError;

    fn wants(&self) -> usize {
        match self.read.first() {
            _ if self.header.is_some() => 0,
            None => v1::LEAST.min(v2::LEAST),
            Some(b'P') => v1::missing(&self.read),
            Some(_) => v2::missing(&self.read),
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Result<(), ProxyHeaderError> {
        bytes.iter().try_for_each(|byte| self.take(*byte))
    }
}

/// The header of a connection on behalf of the client and destination; of the program itself,
/// where there is none.
pub(crate) fn encode(version: ProxyVersion, behalf: Option<&(Address, Address)>) -> Vec<u8> {
    let both = behalf.map(
        |(source, destination)| match (source.inet(), destination.inet()) {
            // Both are of one family in a header; IPv4 can be said in IPv6.
            (Some(source), Some(destination)) if source.is_ipv4() != destination.is_ipv4() => {
                (mapped(source).into(), mapped(destination).into())
            }
            _ => (source.clone(), destination.clone()),
        },
    );
    match version {
        ProxyVersion::V1 => v1::encode(both.as_ref()),
        ProxyVersion::V2 => v2::encode(both.as_ref()),
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
        v6 => v6,
    }
}

/// Who is believed.
#[derive(Clone, Debug)]
pub(crate) struct Trust(Vec<Network>);

impl Trust {
    /// These networks; loopback, if there are none.
    pub(crate) fn new(from: Vec<Network>) -> Self {
        Self(from)
    }

    /// Whether a header from this peer is believed. What comes from within this machine comes by a
    /// way that permissions guard; of a peer that has no address but words nobody can say so much.
    pub(crate) fn covers(&self, peer: &Address) -> bool {
        match peer {
            Address::Inet(peer) if self.0.is_empty() => peer.ip().is_loopback(),
            Address::Inet(peer) => self.0.iter().any(|network| network.contains(peer.ip())),
            Address::Unix(_)
            | Address::Abstract(_)
            | Address::Memory(_)
            | Address::Stdio
            | Address::Process(_) => true,
            Address::Other(_) => false,
        }
    }
}

/// Reads the headers with which a connection begins, one for each `haproxy` of the endpoint, the
/// one nearest to the wire first.
#[derive(Clone, Debug)]
pub(crate) struct Headers(pub(crate) Vec<Trust>);

impl Headers {
    /// Whether this peer speaks for others, so that its connections do not count as its own.
    pub(crate) fn speaks_for_others(&self, peer: &Peer) -> bool {
        let first = self.0.first();
        first.is_some_and(|trust| trust.covers(&peer.address))
    }

    async fn read(&self, mut conn: Connection) -> Result<Connection> {
        let (mut peer, mut local) = (conn.peer.clone(), None);
        for trust in &self.0 {
            if !trust.covers(&peer.address) {
                return Err(ProxyHeaderError::NotTrusted.into());
            }
            let mut decoder = Decoder::default();
            match converse(&mut decoder, &mut conn).await {
                Ok(()) => {}
                Err(Failure::Io(error)) => return Err(error.into()),
                Err(Failure::Ended) if decoder.read.is_empty() => {
                    return Err(ProxyHeaderError::NoHeader.into());
                }
                Err(Failure::Ended) => {
                    let what = "the connection ended in the middle of it";
                    return Err(ProxyHeaderError::Malformed(what).into());
                }
                Err(Failure::Refused(error)) => return Err(error.into()),
            }
            if let Some(Header::Proxied(ends)) = decoder.header() {
                let proxy = std::mem::replace(&mut peer, Peer::new(ends.source));
                peer.proxied = Some(Arc::new(ends.tlvs.of(proxy)));
                local = Some(ends.destination);
            }
        }
        if let Some(local) = local {
            conn.live.proxied(peer.clone(), local)?;
            conn.peer = peer;
        }
        // A handler makes its own when it first waits.
        conn.idle = None;
        Ok(conn)
    }
}

impl Layer for Headers {
    fn wrap<'a>(&'a self, conn: Connection) -> BoxFuture<'a, Result<Connection>> {
        Box::pin(self.read(conn))
    }
}

/// Sends a header, before all else.
pub(crate) async fn send(
    stream: &mut Connection,
    version: ProxyVersion,
    behalf: Option<&(Address, Address)>,
) -> io::Result<()> {
    use tokio::io::AsyncWriteExt;
    stream.write_all(&encode(version, behalf)).await?;
    stream.flush().await
}

impl fmt::Display for Proxied {
    /// The proxy's address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxy.fmt(f)
    }
}

#[cfg(test)]
mod tests;
