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

    pub(crate) fn unsupported(endpoint: &impl Display, why: impl Into<String>) -> Self {
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
    /// The address to connect from is not ours, or is taken.
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
            Kind::AddrInUse | Kind::AddrNotAvailable => Self::LocalAddress { endpoint },
            _ => Self::Io { endpoint, source },
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

    pub(crate) fn unsupported(endpoint: &impl Display, why: impl Into<String>) -> Self {
        Self::Unsupported {
            endpoint: endpoint.to_string(),
            why: why.into(),
        }
    }
}
