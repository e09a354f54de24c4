//! How an authority answers.

use std::{fmt, sync::Arc, time::Duration};

use ropewalk_core::Metrics;

use super::{CookieSecret, Extension, RateLimit};
use crate::proto::tsig::Keys;

/// How an [`Authority`](super::Authority) answers, and what it allows.
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthorityOptions {
    /// The longest answer over UDP, in octets, however much an asker takes.
    /// Default 1232: what goes through every network in one piece (the DNS flag
    /// day of 2020). At least 512.
    pub udp_size: u16,
    /// What is told to who asks by NSID (RFC 5001) which server this is. Default
    /// nothing.
    pub nsid: Option<Vec<u8>>,
    /// The answer to `version.bind` and `version.server`, TXT of class CH.
    /// Default none: it is refused.
    pub version: Option<String>,
    /// The answer to `id.server` and `hostname.bind` (RFC 4892). Default none.
    pub identity: Option<String>,
    /// What server cookies are made with (RFC 9018); `None` answers without.
    /// Default a random secret, of which other servers of the same name know
    /// nothing.
    pub cookies: Option<CookieSecret>,
    /// How often one network is told the same over UDP; `None` is without a
    /// limit, and makes a server a good amplifier. Default
    /// [`RateLimit::default`].
    pub rate_limit: Option<RateLimit>,
    /// Keys that requests may be signed with. Default none: a signed request is
    /// answered with BADKEY.
    pub keys: Arc<Keys>,
    /// What answers transfers, NOTIFY and UPDATE. Default none: they are
    /// refused.
    pub extension: Option<Arc<dyn Extension>>,
    /// How long a stream may be without a whole request or an answer that
    /// leaves. Default 10 s: RFC 7766, section 6.2.3, wants some seconds, and
    /// thousands of idle ones cost little.
    pub idle: Duration,
    /// Requests of one stream that wait for an [`Extension`]; more are not read
    /// meanwhile. Default 16.
    pub pending: usize,
    /// Bytes of answers kept ready, for each thread that answers. When they are
    /// used up it begins anew. Default 16 MiB, enough for some 100,000
    /// questions; 0 keeps none.
    pub compiled: usize,
    /// Where answers are counted. Default nowhere.
    pub metrics: Option<Metrics>,
}

impl Default for AuthorityOptions {
    fn default() -> Self {
        Self {
            udp_size: 1232,
            nsid: None,
            version: None,
            identity: None,
            cookies: Some(CookieSecret::random()),
            rate_limit: Some(RateLimit::default()),
            keys: Arc::default(),
            extension: None,
            idle: Duration::from_secs(10),
            pending: 16,
            compiled: 16 * 1024 * 1024,
            metrics: None,
        }
    }
}

impl fmt::Debug for AuthorityOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityOptions")
            .field("udp_size", &self.udp_size)
            .field("nsid", &self.nsid)
            .field("version", &self.version)
            .field("identity", &self.identity)
            .field("cookies", &self.cookies)
            .field("rate_limit", &self.rate_limit)
            .field("extension", &self.extension.is_some())
            .field("idle", &self.idle)
            .field("pending", &self.pending)
            .field("compiled", &self.compiled)
            .finish_non_exhaustive()
    }
}
