//! Why handshakes fail, in few words that can be counted.

use std::{
    error::Error,
    fmt, io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use rustls::CertificateError;

/// Why a handshake of a server failed.
///
/// Few enough to be the label of a counter ([`as_str`](Self::as_str));
/// [`TlsServer::handshakes`](super::TlsServer::handshakes) counts them. What
/// the peer did exactly stands in the error and in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeFailure {
    /// It did not end in time ([`Limits::handshake`](crate::Limits)). One that
    /// the end of the server cut short is counted here too.
    TimedOut,
    /// The peer ended the connection.
    Disconnected,
    /// What came was plain HTTP. Its URL should say `https:`.
    PlainHttp,
    /// What came was something else than TLS.
    NotTls,
    /// The two have no version, cipher suite, group or protocol (ALPN) in
    /// common.
    Incompatible,
    /// What came was TLS, and broke its rules.
    Misbehaved,
    /// The peer gave up by an alert: most often it does not trust our
    /// certificate.
    RefusedByPeer,
    /// The peer showed no certificate, and one is required.
    NoClientCertificate,
    /// The peer's certificate has expired, or is not valid yet.
    ClientCertificateExpired,
    /// The peer's certificate is from an authority that is not trusted.
    ClientCertificateUntrusted,
    /// The peer's certificate cannot be accepted for another reason.
    ClientCertificateInvalid,
    /// Something on our side.
    Other,
}

impl HandshakeFailure {
    /// All of them, in the order of their numbers.
    pub const ALL: &[Self] = &[
        Self::TimedOut,
        Self::Disconnected,
        Self::PlainHttp,
        Self::NotTls,
        Self::Incompatible,
        Self::Misbehaved,
        Self::RefusedByPeer,
        Self::NoClientCertificate,
        Self::ClientCertificateExpired,
        Self::ClientCertificateUntrusted,
        Self::ClientCertificateInvalid,
        Self::Other,
    ];

    /// The reason as the label of a metric: `plain_http`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Disconnected => "disconnected",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::Incompatible => "incompatible",
            Self::Misbehaved => "misbehaved",
            Self::RefusedByPeer => "refused_by_peer",
            Self::NoClientCertificate => "no_client_certificate",
            Self::ClientCertificateExpired => "client_certificate_expired",
            Self::ClientCertificateUntrusted => "client_certificate_untrusted",
            Self::ClientCertificateInvalid => "client_certificate_invalid",
            Self::Other => "other",
        }
    }

    /// The reason behind an error of a handshake, such as
    /// [`TlsServer::accept`](super::TlsServer::accept) gives; none for an error
    /// of something else.
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(handshake) = error.downcast_ref::<HandshakeError>() {
            return Some(handshake.failure);
        }
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        Self::of(inner)
    }

    fn of_rustls(error: &rustls::Error, first: &[u8]) -> Self {
        use rustls::Error as E;
        match error {
            // A handshake record begins with 22, an alert with 21 (RFC 8446,
            // section 5.1).
            E::InvalidMessage(_) => match first {
                [22 | 21, ..] => Self::Misbehaved,
                _ if is_http(first) => Self::PlainHttp,
                _ => Self::NotTls,
            },
            E::PeerIncompatible(_) | E::NoApplicationProtocol => Self::Incompatible,
            E::PeerMisbehaved(_)
            | E::DecryptError
            | E::InappropriateMessage { .. }
            | E::InappropriateHandshakeMessage { .. }
            | E::PeerSentOversizedRecord => Self::Misbehaved,
            E::AlertReceived(_) => Self::RefusedByPeer,
            E::NoCertificatesPresented => Self::NoClientCertificate,
            E::InvalidCertificate(why) => match why {
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::ClientCertificateExpired,
                CertificateError::UnknownIssuer => Self::ClientCertificateUntrusted,
                _ => Self::ClientCertificateInvalid,
            },
            _ => Self::Other,
        }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "it did not end in time",
            Self::Disconnected => "the peer ended the connection",
            Self::PlainHttp => "plain HTTP on a TLS port",
            Self::NotTls => "what came is no TLS",
            Self::Incompatible => "nothing in common",
            Self::Misbehaved => "the peer broke the rules of TLS",
            Self::RefusedByPeer => "refused by the peer",
            Self::NoClientCertificate => "no client certificate",
            Self::ClientCertificateExpired => "the client's certificate is not valid now",
            Self::ClientCertificateUntrusted => {
                "the client's certificate is of no trusted authority"
            }
            Self::ClientCertificateInvalid => "the client's certificate cannot be accepted",
            Self::Other => "failed",
        })
    }
}

/// A handshake that failed: the reason, and what was said about it.
///
/// [`TlsServer::accept`](super::TlsServer::accept) wraps it in an
/// [`io::Error`]; [`HandshakeFailure::of`] finds the reason there.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandshakeError {
    /// The reason.
    pub failure: HandshakeFailure,
    source: io::Error,
}

impl HandshakeError {
    pub(super) fn new(failure: HandshakeFailure, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self { failure, source }
    }

    /// Whatever a stream or rustls said, of a peer whose first bytes were
    /// these.
    pub(super) fn from_io(source: io::Error, first: &[u8]) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let rustls = source.get_ref().and_then(|e| e.downcast_ref());
        let failure = match (rustls, source.kind()) {
            (Some(error), _) => HandshakeFailure::of_rustls(error, first),
            (None, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof) => {
                HandshakeFailure::Disconnected
            }
            (None, _) => HandshakeFailure::Other,
        };
        Self { failure, source }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS handshake: {} ({})", self.failure, self.source)
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<HandshakeError> for io::Error {
    /// Of the kind that the error below has.
    fn from(error: HandshakeError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// Whether these bytes begin a request of HTTP/1 or 2 (RFC 9110, section 9.1).
fn is_http(first: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"CONNECT ",
        b"OPTIONS ",
        b"PATCH ",
        b"PRI * HTTP/2.0",
    ];
    METHODS.iter().any(|method| first.starts_with(method))
}

/// How many handshakes a server did, since it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandshakeCounts {
    /// That ended well, and showed a certificate.
    pub full: u64,
    /// That ended well, and resumed an earlier session.
    pub resumed: u64,
    failed: [u64; HandshakeFailure::ALL.len()],
}

impl HandshakeCounts {
    /// That failed for this reason.
    pub fn failed(&self, why: HandshakeFailure) -> u64 {
        self.failed[why as usize]
    }

    /// Every reason with its count, also those that never came up: as a
    /// counter's series should be from the start.
    pub fn failures(&self) -> impl Iterator<Item = (HandshakeFailure, u64)> {
        HandshakeFailure::ALL.iter().copied().zip(self.failed)
    }
}

/// The same, while it counts.
#[derive(Default)]
pub(super) struct Counting {
    full: AtomicU64,
    resumed: AtomicU64,
    failed: [AtomicU64; HandshakeFailure::ALL.len()],
}

impl Counting {
    pub(super) fn succeeded(&self, resumed: bool) {
        match resumed {
            true => self.resumed.fetch_add(1, Relaxed),
            false => self.full.fetch_add(1, Relaxed),
        };
    }

    pub(super) fn failed(&self, why: HandshakeFailure) {
        self.failed[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn counts(&self) -> HandshakeCounts {
        HandshakeCounts {
            full: self.full.load(Relaxed),
            resumed: self.resumed.load(Relaxed),
            failed: std::array::from_fn(|i| self.failed[i].load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_stand_at_their_numbers_and_have_labels_of_their_own() {
        for (number, why) in HandshakeFailure::ALL.iter().enumerate() {
            assert_eq!(*why as usize, number);
        }
        let labels: std::collections::BTreeSet<_> = HandshakeFailure::ALL
            .iter()
            .map(|why| why.as_str())
            .collect();
        assert_eq!(labels.len(), HandshakeFailure::ALL.len());
    }

    #[test]
    fn a_reason_is_found_behind_an_io_error() {
        let source = io::Error::new(
            io::ErrorKind::InvalidData,
            rustls::Error::NoCertificatesPresented,
        );
        let error: io::Error = HandshakeError::from_io(source, &[22]).into();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let why = HandshakeFailure::of(&error);
        assert_eq!(why, Some(HandshakeFailure::NoClientCertificate));
        assert_eq!(HandshakeFailure::of(&io::Error::other("else")), None);
    }
}
