//! Who is at either end of a connection.

use std::{fmt, net::SocketAddr, path::Path, sync::Arc};

use crate::Proxied;

/// One end of a connection. Shown with `{}` it is as in an endpoint string,
/// without the scheme.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A Unix socket, with its path unless it has none, as clients do not.
    Unix(Option<Arc<Path>>),
    /// A Unix socket, by its name in Linux's abstract namespace. Shown with an
    /// `@` before it.
    Abstract(Arc<[u8]>),
    /// An in-memory endpoint, by name.
    Memory(Arc<str>),
    /// Standard input and output.
    Stdio,
    /// A process, by its command.
    Process(Arc<str>),
    /// Something else, said in words.
    Other(Arc<str>),
}

impl Address {
    /// The IP address and port, where there is one.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Self::Inet(address) => Some(*address),
            _ => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => write!(f, "{address}"),
            Self::Unix(Some(path)) => write!(f, "{}", path.display()),
            Self::Unix(None) => f.write_str("local"),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Self::Memory(name) | Self::Process(name) | Self::Other(name) => f.write_str(name),
            Self::Stdio => f.write_str("stdio"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<&Self> for Address {
    fn from(address: &Self) -> Self {
        address.clone()
    }
}

impl From<tokio::net::unix::SocketAddr> for Address {
    fn from(address: tokio::net::unix::SocketAddr) -> Self {
        match address.as_abstract_name() {
            Some(name) => Self::Abstract(name.into()),
            None => Self::Unix(address.as_pathname().map(Arc::from)),
        }
    }
}

/// Who is at the other end, as far as is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// Which process and account it is, on a Unix socket. Behind a proxy they
    /// are not known: see [`Proxied::proxy`].
    pub credentials: Option<Credentials>,
    /// Who said that this is the peer, where a proxy did (`haproxy/…`).
    pub proxied: Option<Arc<Proxied>>,
    /// What was agreed upon, once TLS is up.
    #[cfg(feature = "tls")]
    pub tls: Option<Arc<crate::tls::TlsInfo>>,
}

impl Peer {
    /// A peer of whom no more than the address is known.
    pub fn new(address: impl Into<Address>) -> Self {
        Self {
            address: address.into(),
            credentials: None,
            proxied: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// The account and process behind a Unix socket, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The process, where the system tells.
    pub pid: Option<i32>,
}

impl From<tokio::net::unix::UCred> for Credentials {
    fn from(c: tokio::net::unix::UCred) -> Self {
        Self {
            uid: c.uid(),
            gid: c.gid(),
            pid: c.pid(),
        }
    }
}
