//! Why there is no answer.

use std::time::Duration;

use hickory_proto::{op::ResponseCode, rr::Name};

use crate::proto::{ExtendedError, Query};

/// Why a look-up has no records to show.
///
/// [`NoName`](Self::NoName) and [`NoRecords`](Self::NoRecords) are answers: asking again says the
/// same for a while. The others say that nobody knows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The text is no name of DNS. Whoever wrote it is at fault.
    #[error("no name of DNS: {why}")]
    BadName {
        /// What is wrong with it.
        why: String,
    },
    /// There is no such name (NXDOMAIN).
    #[error("there is no name {}", query.name())]
    NoName {
        /// What was asked last: the end of the aliases, if there were any.
        query: Query,
        /// For how long that holds, as the zone's SOA says; `None` if there was none.
        ttl: Option<Duration>,
    },
    /// The name exists, and has no records of this type (NODATA).
    #[error("{} has no {} records", query.name(), query.record_type())]
    NoRecords {
        /// What was asked last.
        query: Query,
        /// For how long that holds, as the zone's SOA says; `None` if there was none.
        ttl: Option<Duration>,
    },
    /// Servers answered, and said no: SERVFAIL, REFUSED and the like. The operator of the server or
    /// of the zone is at fault; the extended errors may say which and why.
    #[error("{server} answered {code} for {query}{}", shown(errors))]
    Refused {
        /// What was asked.
        query: Query,
        /// Which server, or that this is remembered.
        server: String,
        /// The code.
        code: ResponseCode,
        /// What it says of that (RFC 8914).
        errors: Vec<ExtendedError>,
    },
    /// No server gave an answer that could be used.
    #[error("no answer for {query}: {}", tried.join("; "))]
    NoAnswer {
        /// What was asked.
        query: Query,
        /// Each server that was tried, and what became of that.
        tried: Vec<String>,
        /// The time was up: nothing is known to be wrong but silence.
        timed_out: bool,
    },
    /// A short time ago nobody had an answer, and that is remembered (RFC 9520).
    #[error(
        "no answer for {query} a moment ago, and not asked again yet{}",
        shown(errors)
    )]
    RememberedFailure {
        /// What was asked.
        query: Query,
        /// What was said of it.
        errors: Vec<ExtendedError>,
    },
    /// Aliases lead in a circle, or on and on. The owner of the zone is at fault.
    #[error("the aliases of {name} lead nowhere")]
    AliasLoop {
        /// Where they begin.
        name: Name,
    },
    /// A public name has a private address, which the options forbid
    /// ([`ResolverOptions::private_addresses`](super::ResolverOptions::private_addresses)).
    #[error("{query} has the private address {address}, which is not believed")]
    Rebinding {
        /// What was asked.
        query: Query,
        /// The address.
        address: std::net::IpAddr,
    },
    /// There is no server to ask.
    #[error("there is no name server to ask: name one, or see that resolv.conf does")]
    NoServers,
    /// So many questions are out that no more are asked
    /// ([`ResolverOptions::in_flight`](super::ResolverOptions::in_flight)).
    #[error("too many questions are out")]
    Busy,
    /// An answer that has the right form on the outside, and cannot be read.
    #[error("the answer for {query} cannot be read: {why}")]
    Malformed {
        /// What was asked.
        query: Query,
        /// What is wrong.
        why: String,
    },
}

impl LookupError {
    /// Whether it is an answer: there is nothing, and asking again will not help soon.
    pub fn is_negative(&self) -> bool {
        matches!(self, Self::NoName { .. } | Self::NoRecords { .. })
    }
}

fn shown(errors: &[ExtendedError]) -> String {
    errors.iter().map(|error| format!(": {error}")).collect()
}

impl From<LookupError> for std::io::Error {
    fn from(error: LookupError) -> Self {
        use std::io::ErrorKind as Kind;
        let kind = match &error {
            LookupError::NoName { .. } | LookupError::NoRecords { .. } => Kind::NotFound,
            LookupError::NoAnswer {
                timed_out: true, ..
            } => Kind::TimedOut,
            LookupError::BadName { .. } => Kind::InvalidInput,
            _ => Kind::Other,
        };
        Self::new(kind, error)
    }
}
