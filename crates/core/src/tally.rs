//! What a server has counted: sums of whole connections, taken when they begin
//! and end, so that a message costs nothing.

use std::{collections::BTreeMap, io, time::Duration};

use crate::{Closed, Deadline, Error, ProxyHeaderError};

/// An enum whose variants are the values of a metric's label.
macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($(#[$why:meta])* $variant:ident = $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum $name {
            $($(#[$why])* $variant,)*
        }

        impl $name {
            pub(crate) const LABELS: &[&str] = &[$($label),*];
        }
    };
}

reasons! {
    /// Why a connection was turned away.
    Refusal {
        /// Its peer has as many as it may.
        Peer = "peer",
        /// The server drained, and its backlog held more than there was room for.
        Full = "full",
        /// The factory made no protocol for it.
        Declined = "declined",
    }
}

reasons! {
    /// Why a connection ended. The first is what holds if nobody says more: its
    /// task was dropped.
    End {
        Aborted = "aborted",
        Local = "local",
        Peer = "peer",
        Reset = "reset",
        Truncated = "truncated",
        Idle = "idle",
        CloseTimedOut = "close_timeout",
        Handshake = "handshake",
        Exit = "exit",
        Declined = "declined",
        Failed = "failed",
    }
}

reasons! {
    /// Why accept failed.
    AcceptError {
        /// The connection was gone before it was accepted.
        Connection = "connection",
        /// No descriptors, no buffers, or whatever else the system lacks.
        System = "system",
    }
}

impl End {
    const ALL: [Self; Self::LABELS.len()] = [
        Self::Aborted,
        Self::Local,
        Self::Peer,
        Self::Reset,
        Self::Truncated,
        Self::Idle,
        Self::CloseTimedOut,
        Self::Handshake,
        Self::Exit,
        Self::Declined,
        Self::Failed,
    ];

    pub(crate) fn from_u8(number: u8) -> Self {
        Self::ALL[usize::from(number)]
    }

    /// None where the connection goes on to a handler, which ends it.
    pub(crate) fn of(why: &Closed) -> Option<Self> {
        Some(match why {
            Closed::Peer => Self::Peer,
            Closed::Local => Self::Local,
            Closed::Aborted => Self::Aborted,
            Closed::Reset => Self::Reset,
            Closed::Truncated => Self::Truncated,
            Closed::TimedOut(Deadline::Idle) => Self::Idle,
            Closed::TimedOut(Deadline::Close) => Self::CloseTimedOut,
            Closed::TimedOut(Deadline::Handshake) => Self::Handshake,
            Closed::HandedOver => return None,
            Closed::Exit(_) => Self::Exit,
            Closed::Failed(_) => Self::Failed,
        })
    }

    /// Why a handler ended that ended with this.
    pub(crate) fn of_error(error: &Error) -> Self {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
        while let Some(error) = next {
            if let Some(why) = error.downcast_ref::<Closed>() {
                return Self::of(why).unwrap_or(Self::Failed);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                if let Some(why) = error.get_ref().and_then(|e| e.downcast_ref::<Closed>()) {
                    return Self::of(why).unwrap_or(Self::Failed);
                }
                match error.kind() {
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe => return Self::Reset,
                    io::ErrorKind::UnexpectedEof => return Self::Truncated,
                    _ => {}
                }
            }
            next = error.source();
        }
        Self::Failed
    }
}

/// How the handshake of a listener's layers went, as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Handshake(&'static str);

impl Handshake {
    pub(crate) const OK: Self = Self("ok");
    pub(crate) const DRAINING: Self = Self("draining");
    pub(crate) const TIMED_OUT: Self = Self("timed_out");
    const DISCONNECTED: Self = Self("disconnected");
    const PROXY_HEADER: Self = Self("proxy_header");
    const OTHER: Self = Self("other");

    /// All labels there are.
    pub(crate) fn labels() -> impl Iterator<Item = &'static str> {
        let own = [
            Self::OK,
            Self::DRAINING,
            Self::TIMED_OUT,
            Self::DISCONNECTED,
            Self::PROXY_HEADER,
            Self::OTHER,
        ];
        let own = own.map(|own| own.0);
        #[cfg(feature = "tls")]
        let tls = crate::tls::HandshakeFailure::ALL
            .iter()
            .map(|why| why.as_str());
        #[cfg(not(feature = "tls"))]
        let tls: [&'static str; 0] = [];
        let more = tls.into_iter().filter(move |label| !own.contains(label));
        own.into_iter().chain(more)
    }

    /// Why a handshake failed that failed with this.
    pub(crate) fn of_error(error: &Error) -> Self {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
        while let Some(error) = next {
            if error.is::<ProxyHeaderError>() {
                return Self::PROXY_HEADER;
            }
            #[cfg(feature = "tls")]
            if let Some(why) = crate::tls::HandshakeFailure::of(error) {
                return Self(why.as_str());
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                match error.kind() {
                    io::ErrorKind::TimedOut => return Self::TIMED_OUT,
                    io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof => return Self::DISCONNECTED,
                    _ => {}
                }
            }
            next = error.source();
        }
        Self::OTHER
    }
}

/// Sums since a server began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) accepted: u64,
    pub(crate) refused: [u64; Refusal::LABELS.len()],
    pub(crate) closed: [u64; End::LABELS.len()],
    pub(crate) handshakes: BTreeMap<&'static str, u64>,
    pub(crate) accept_errors: [u64; AcceptError::LABELS.len()],
    pub(crate) read: u64,
    pub(crate) written: u64,
    /// Of the connections that ended, so many within each of [`DURATIONS`] and
    /// not within the one before; the last ones lasted longer than all.
    pub(crate) durations: [u64; DURATIONS.len() + 1],
    pub(crate) lasted: Duration,
}

/// Bounds of the histogram of how long connections last, in seconds: from one
/// exchange on the same machine to an IMAP client's day.
pub(crate) const DURATIONS: [f64; 9] =
    [0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0];

impl Totals {
    pub(crate) fn handshake(&mut self, how: Handshake) {
        *self.handshakes.entry(how.0).or_default() += 1;
    }

    /// A connection left.
    pub(crate) fn end(&mut self, read: u64, written: u64, lasted: Duration) {
        self.read += read;
        self.written += written;
        let seconds = lasted.as_secs_f64();
        let bucket = DURATIONS.iter().position(|bound| seconds <= *bound);
        self.durations[bucket.unwrap_or(DURATIONS.len())] += 1;
        self.lasted += lasted;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        fn each(sums: &mut [u64], others: &[u64]) {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
        self.accepted += other.accepted;
        each(&mut self.refused, &other.refused);
        each(&mut self.closed, &other.closed);
        for (label, count) in &other.handshakes {
            *self.handshakes.entry(label).or_default() += count;
        }
        each(&mut self.accept_errors, &other.accept_errors);
        self.read += other.read;
        self.written += other.written;
        each(&mut self.durations, &other.durations);
        self.lasted += other.lasted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_its_number() {
        for end in End::ALL {
            assert_eq!(End::from_u8(end as u8), end);
        }
    }

    #[test]
    fn reasons_are_found_behind_errors() {
        let idle = io::Error::new(io::ErrorKind::TimedOut, Closed::TimedOut(Deadline::Idle));
        assert_eq!(End::of_error(&idle.into()), End::Idle);
        let reset = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(End::of_error(&reset.into()), End::Reset);
        assert_eq!(End::of_error(&"whatever".into()), End::Failed);
        let garbage = io::Error::new(io::ErrorKind::InvalidData, "nonsense");
        assert_eq!(Handshake::of_error(&garbage.into()), Handshake::OTHER);
        let gone = io::Error::from(io::ErrorKind::UnexpectedEof);
        let gone = Handshake::of_error(&gone.into());
        assert_eq!(gone, Handshake::DISCONNECTED);
        assert!(Handshake::labels().any(|label| label == gone.0));
    }

    #[test]
    fn labels_are_there_once() {
        let labels: Vec<_> = Handshake::labels().collect();
        let once: std::collections::BTreeSet<_> = labels.iter().collect();
        assert_eq!(once.len(), labels.len(), "{labels:?}");
    }

    #[test]
    fn a_bound_is_within_its_bucket() {
        let mut totals = Totals::default();
        for seconds in [0.01, 0.011, 1.0, 100_000.0] {
            totals.end(1, 2, Duration::from_secs_f64(seconds));
        }
        assert_eq!(totals.durations, [1, 1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!((totals.read, totals.written), (4, 8));
        let mut twice = totals.clone();
        twice.add(&totals);
        assert_eq!((twice.read, twice.written), (8, 16));
        assert_eq!(twice.durations[0], 2);
    }
}
