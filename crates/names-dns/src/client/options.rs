//! How a resolver works.

use std::{sync::Arc, time::Duration};

use hickory_proto::rr::Name;
use ropewalk_core::{Metrics, Schemes};

use crate::proto::{cache::CacheOptions, exchange::ExchangeOptions};

/// Which addresses [`lookup_ip`](super::Resolver::lookup_ip) looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Families {
    /// IPv6 and IPv4, asked for at the same time and given in turn (RFC 8305, section 4).
    #[default]
    Both,
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

/// How a [`Resolver`](super::Resolver) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolverOptions {
    /// How servers are asked.
    pub exchange: ExchangeOptions,
    /// What is kept.
    pub cache: CacheOptions,
    /// What the endpoints of servers mean. Default [`Schemes::global`].
    pub schemes: Schemes,
    /// The TLS side of servers over TLS that name no `ca` themselves. Default none: the platform's
    /// roots.
    #[cfg(feature = "tls")]
    pub tls: Option<ropewalk_core::tls::TlsClient>,
    /// What is put behind short names. Default nothing.
    pub search: Vec<Name>,
    /// A name with so many dots is asked for as it is first. Default 1.
    pub ndots: usize,
    /// Which addresses are looked for. Default both.
    pub families: Families,
    /// Aliases that are followed in all for one look-up. Default 16.
    pub aliases: usize,
    /// Asks for DNSSEC's records (the DO bit); they then stand in
    /// [`Lookup::message`](super::Lookup::message). Whether a server found an answer to be authentic
    /// is told without it too. Default false.
    pub dnssec_ok: bool,
    /// Whether answers with private, local or loopback addresses are believed. Where they are not,
    /// a web site's owner cannot have a browser's user reach into his own network by them (DNS
    /// rebinding). Default true. What `hosts` files say is always believed.
    pub private_addresses: bool,
    /// Names below these may have private addresses even so. Default none.
    pub private_names: Arc<[Name]>,
    /// How long an idle connection with a server is kept (RFC 7766, section 6.2.3). Default 10 s.
    pub idle: Duration,
    /// With an expired answer at hand, for how long a fresh one is waited for (RFC 8767, section
    /// 5). Default 1.8 s.
    pub stale_after: Duration,
    /// Different questions that are out at a time. Default 10,000.
    pub in_flight: usize,
    /// Questions that go from one UDP port in all, before another port is drawn. 1 gives each a
    /// port of its own, as RFC 5452, section 9.2, would have it best; more of them spare sockets,
    /// each of which costs four system calls and a task. A forgery has no better a chance by it
    /// (id, port, case and cookie are to be guessed as before), but a port lives longer. Default 32:
    /// then sockets are no longer what a busy resolver spends its time on, and a port still lives no
    /// longer than those 32 questions.
    pub per_port: usize,
    /// Where it counts. Default nowhere.
    pub metrics: Option<Metrics>,
}

impl Default for ResolverOptions {
    fn default() -> Self {
        Self {
            exchange: ExchangeOptions::default(),
            cache: CacheOptions::default(),
            schemes: Schemes::global(),
            #[cfg(feature = "tls")]
            tls: None,
            search: Vec::new(),
            ndots: 1,
            families: Families::default(),
            aliases: 16,
            dnssec_ok: false,
            private_addresses: true,
            private_names: Arc::default(),
            idle: Duration::from_secs(10),
            stale_after: Duration::from_millis(1800),
            in_flight: 10_000,
            per_port: 32,
            metrics: None,
        }
    }
}

impl From<Schemes> for ResolverOptions {
    fn from(schemes: Schemes) -> Self {
        Self {
            schemes,
            ..Self::default()
        }
    }
}
