//! Why an endpoint could not listen or connect.

use std::{fmt::Display, io};

/// Why a server could not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The string is no server's endpoint. Whoever wrote it is at fault.
    #[error(transparent)]
    Endpoint(#[from] crate::endpoint::ParseError),
    /// Somebody else listens there; the operator ends them or takes another.
    #[error("cannot listen on {endpoint}: the address is in use{}", owner(.by))]
    InUse {
        /// The endpoint.
        endpoint: String,
        /// The process that has it, where the system tells.
        by: Option<String>,
    },
    /// This account may not listen there, as below port 1024.
    #[error("cannot listen on {endpoint}: permission denied")]
    Denied {
        /// The endpoint.
        endpoint: String,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {endpoint}: {source}")]
    Io {
        /// The endpoint.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
    /// The scheme is not known, or cannot serve so.
    #[error("cannot listen on {endpoint}: {why}")]
    Unsupported {
        /// The endpoint.
        endpoint: String,
        /// What would be possible.
        why: String,
    },
    /// A certificate or key cannot be used.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
}

fn owner(process: &Option<String>) -> String {
    process
        .as_ref()
        .map_or_else(String::new, |p| format!(", by {p}"))
}

impl ListenError {
    /// What the system said when `endpoint` was to listen.
    pub fn new(endpoint: impl Into<String>, source: io::Error) -> Self {
        let endpoint = endpoint.into();
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                let by = super::owner::of(&endpoint);
                Self::InUse { endpoint, by }
            }
            io::ErrorKind::PermissionDenied => Self::Denied { endpoint },
            _ => Self::Io { endpoint, source },
        }
    }

    /// That a scheme cannot do what the endpoint asks, and what would be possible.
    pub fn unsupported(endpoint: &impl Display, why: impl Into<String>) -> Self {
        Self::Unsupported {
            endpoint: endpoint.to_string(),
            why: why.into(),
        }
    }
}

/// Why a client could not connect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The string is no client's endpoint. Whoever wrote it is at fault.
    #[error(transparent)]
    Endpoint(#[from] crate::endpoint::ParseError),
    /// Nobody listens there.
    #[error("cannot connect to {endpoint}: connection refused")]
    Refused {
        /// The endpoint.
        endpoint: String,
    },
    /// Nobody answered in time.
    #[error("cannot connect to {endpoint}: timed out")]
    TimedOut {
        /// The endpoint.
        endpoint: String,
    },
    /// There is no way to that network or host.
    #[error("cannot connect to {endpoint}: no route to host")]
    NoRoute {
        /// The endpoint.
        endpoint: String,
    },
    /// The host's name has no address.
    #[error("cannot connect to {endpoint}: unknown host")]
    UnknownHost {
        /// The endpoint.
        endpoint: String,
    },
    /// The address and port to connect from (`bind=`, `bind-port=`) are taken.
    #[error("cannot connect to {endpoint}: the local address is in use")]
    AddressInUse {
        /// The endpoint.
        endpoint: String,
    },
    /// The program gave it up, by [`ConnectOptions::cancel`](crate::ConnectOptions::cancel).
    #[error("cannot connect to {endpoint}: cancelled")]
    Cancelled {
        /// The endpoint.
        endpoint: String,
    },
    /// A proxy on the way was asked, and did not lead on.
    #[error("cannot connect to {endpoint}: {proxy}: {reason}")]
    Proxy {
        /// The endpoint.
        endpoint: String,
        /// The proxy, as `socks5:proxy:1080`.
        proxy: String,
        /// What it said.
        #[source]
        reason: ProxyRefusal,
    },
    /// The file with the password for a proxy cannot be used.
    #[error("cannot connect to {endpoint}: {}: {source}", path.display())]
    Password {
        /// The endpoint.
        endpoint: String,
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The address to connect from is not ours, or has no port left.
    #[error("cannot connect to {endpoint}: the local address is not available")]
    LocalAddress {
        /// The endpoint.
        endpoint: String,
    },
    /// The system refused for another reason.
    #[error("cannot connect to {endpoint}: {source}")]
    Io {
        /// The endpoint.
        endpoint: String,
        /// What the system said.
        source: io::Error,
    },
    /// Connected, but the two sides did not agree on TLS: a certificate that
    /// is not trusted, a name that is not its own, no common version.
    #[error("cannot connect to {endpoint}: TLS: {source}")]
    Handshake {
        /// The endpoint.
        endpoint: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The scheme is not known, or cannot connect so.
    #[error("cannot connect to {endpoint}: {why}")]
    Unsupported {
        /// The endpoint.
        endpoint: String,
        /// What would be possible.
        why: String,
    },
    /// A certificate or key of ours cannot be used.
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
}

/// Why a proxy did not lead on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyRefusal {
    /// It wants to know who asks, and was not told; the operator sets `user=` and `password-file=`.
    #[error("the proxy wants a password: set user= and password-file=")]
    PasswordNeeded,
    /// It does not take this user or password.
    #[error("the proxy refuses the user or password")]
    PasswordRefused,
    /// It failed, and did not say why (SOCKS5's reply 1).
    #[error("the proxy failed to connect")]
    Failed,
    /// Its rules forbid it (SOCKS5's reply 2).
    #[error("the proxy's rules do not allow it")]
    NotAllowed,
    /// It has no way to the network (SOCKS5's reply 3).
    #[error("the proxy cannot reach the network")]
    NetworkUnreachable,
    /// It has no way to the host, or does not know its name (SOCKS5's reply 4).
    #[error("the proxy cannot reach the host")]
    HostUnreachable,
    /// The destination refused it (SOCKS5's reply 5).
    #[error("the connection was refused to the proxy")]
    ConnectionRefused,
    /// The destination did not answer it in time (SOCKS5's reply 6).
    #[error("the proxy got no answer in time")]
    TimedOut,
    /// It does not connect for others at all (SOCKS5's reply 7).
    #[error("the proxy does not know the command")]
    CommandNotSupported,
    /// It does not know names, or IPv6 (SOCKS5's reply 8). For names there is the flag
    /// `resolve-locally`.
    #[error("the proxy does not know this kind of address; for a name, try resolve-locally")]
    AddressNotSupported,
    /// A reply of SOCKS5 that no RFC knows.
    #[error("the proxy gave the unknown reply {0}")]
    Other(u8),
    /// It answered CONNECT with a status other than success and 407, which are told above.
    #[error("the proxy answered {status} {reason:?}")]
    Http {
        /// The status, as 403.
        status: u16,
        /// The proxy's words for it, the first hundred characters.
        reason: String,
    },
    /// It said something that makes no sense. Is it a proxy of this kind?
    #[error("{0}")]
    Malformed(&'static str),
    /// It closed the connection before it gave an answer.
    #[error("the proxy closed the connection")]
    Closed,
}

/// Marks a name that has no address, in an `io::Error` on its way to
/// [`ConnectError::UnknownHost`].
#[derive(Debug, thiserror::Error)]
#[error("unknown host")]
pub(crate) struct UnknownHost;

impl ConnectError {
    /// What the system said when `endpoint` was to connect.
    pub fn new(endpoint: impl Into<String>, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        let endpoint = endpoint.into();
        if source.get_ref().is_some_and(|e| e.is::<UnknownHost>()) {
            return Self::UnknownHost { endpoint };
        }
        match source.kind() {
            Kind::ConnectionRefused => Self::Refused { endpoint },
            Kind::TimedOut => Self::TimedOut { endpoint },
            Kind::HostUnreachable | Kind::NetworkUnreachable => Self::NoRoute { endpoint },
            Kind::AddrInUse => Self::AddressInUse { endpoint },
            Kind::AddrNotAvailable => Self::LocalAddress { endpoint },
            _ => Self::Io { endpoint, source },
        }
    }

    pub(crate) fn unknown_host(endpoint: &impl Display) -> Self {
        Self::UnknownHost {
            endpoint: endpoint.to_string(),
        }
    }

    pub(crate) fn timed_out(endpoint: &impl Display) -> Self {
        Self::TimedOut {
            endpoint: endpoint.to_string(),
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn handshake(endpoint: &impl Display, source: io::Error) -> Self {
        Self::Handshake {
            endpoint: endpoint.to_string(),
            source,
        }
    }

    /// That a scheme cannot do what the endpoint asks, and what would be possible.
    pub fn unsupported(endpoint: &impl Display, why: impl Into<String>) -> Self {
        Self::Unsupported {
            endpoint: endpoint.to_string(),
            why: why.into(),
        }
    }
}
