//! A forwarder: it answers from its cache, and asks other servers for the rest.
//!
//! A [`Forwarder`] is a [`Resolver`] that is asked from outside, over UDP, TCP and TLS. What it asks
//! goes by the ways of the resolver's upstreams, over TLS and HTTPS as well. It passes on the DO and
//! CD bits, and AD to those who understand it (RFC 6840, section 5.7), cuts answers to what the
//! client takes, says why there is none (RFC 8914), asks equal questions once, and lets no client
//! have more than its share.
//!
//! ```no_run
//! use ropewalk_core::ServerEndpoint;
//! use ropewalk_names_dns::{client::Resolver, forward::Forwarder};
//!
//! # async fn example() -> ropewalk_core::Result {
//! let forwarder = Forwarder::new(Resolver::new(["tls:dns.quad9.net".parse()?]));
//! let udp: ServerEndpoint = "udp:5300".parse()?;
//! let udp = udp.listen_datagrams_with(forwarder.datagrams(), forwarder.datagram_options()).await?;
//! let tcp: ServerEndpoint = "tcp:5300".parse()?;
//! let tcp = tcp.listen(forwarder.handler()).await?;
//! # let _ = (udp, tcp);
//! # Ok(())
//! # }
//! ```
//!
//! It does not look names up from the root down, and has no zones of its own.

mod clients;
mod reply;

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

use clients::{Clients, Ticket};
use hickory_proto::rr::{Name, RecordType};
use reply::{Cookies, Request};
use ropewalk_core::{
    DatagramOptions, Handler, Metrics,
    metrics::{Counter, Gauge},
};

use crate::{
    answering::{AnswerDatagrams, Answers, Asked, StreamLimits, Taken, answer_streams},
    client::{Found, Kind, Resolver},
    proto::{Class, ExtendedError, Header, Key, Query, Rcode, private, special},
    server::CookieSecret,
};

/// How a [`Forwarder`] works.
#[derive(Clone)]
#[non_exhaustive]
pub struct ForwarderOptions {
    /// Who may ask. Default [`is_local`](Self::is_local): an open forwarder is found within a day and
    /// used to attack others.
    pub allow: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// The largest datagram that is sent, in bytes. Default 1232, which no network has to cut up.
    pub payload: u16,
    /// Questions of one client (an IPv4 address, an IPv6 /64) that are out at a time; further ones
    /// are refused. Those of this machine do not count. Default 256.
    ///
    /// Here and in [`rate`](Self::rate), who shows that its address is its own, by a stream or a good
    /// cookie, is counted apart from those who only say that address: a flood in a client's name
    /// takes nothing from a client with cookies.
    pub per_client: usize,
    /// Questions a second of one client, with a second's worth in advance; further ones are refused,
    /// or over datagrams without a good cookie dropped, and every second one cut short with TC, so
    /// that a forwarder is no weapon against whose address is forged. Those of this machine do not
    /// count. Default none: it answers its own networks alone, which can keep forged addresses out.
    ///
    /// An authority's limit of equal answers does not suit a forwarder: its clients are few, and ask
    /// for the same names all day.
    pub rate: Option<u32>,
    /// What server cookies are made with (RFC 7873, RFC 9018); `None` answers without. Servers of
    /// one address must have the same. Default one drawn at random.
    pub cookies: Option<CookieSecret>,
    /// Questions of all clients that are out at a time. Default 10,000.
    pub pending: usize,
    /// What a connection may do.
    pub streams: StreamLimits,
    /// Refuses answers with private addresses, which public names should not have (DNS rebinding),
    /// but for names below [`private_names`](Self::private_names). Default false, since inner names
    /// are what many forwarders are for.
    pub rebinding_filter: bool,
    /// Names below these may have private addresses even so.
    pub private_names: Arc<[Name]>,
    /// Where it counts. Default nowhere.
    pub metrics: Option<Metrics>,
}

impl ForwarderOptions {
    /// Whether an address is of this machine or its own networks: loopback, private (RFC 1918),
    /// unique local (RFC 4193) and link-local ones.
    pub fn is_local(address: IpAddr) -> bool {
        private::is_private(address.to_canonical())
    }
}

impl Default for ForwarderOptions {
    fn default() -> Self {
        Self {
            allow: Arc::new(Self::is_local),
            payload: 1232,
            per_client: 256,
            rate: None,
            cookies: Some(CookieSecret::random()),
            pending: 10_000,
            streams: StreamLimits::default(),
            rebinding_filter: false,
            private_names: Arc::default(),
            metrics: None,
        }
    }
}

impl fmt::Debug for ForwarderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwarderOptions")
            .field("payload", &self.payload)
            .field("per_client", &self.per_client)
            .field("rate", &self.rate)
            .field("rebinding_filter", &self.rebinding_filter)
            .finish_non_exhaustive()
    }
}

/// Answers clients from a cache and by asking others. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Forwarder(Arc<Shared>);

/// What all sockets of a forwarder share.
pub struct Shared {
    resolver: Resolver,
    options: ForwarderOptions,
    clients: Arc<Clients>,
    counters: Counters,
    pending: Arc<AtomicUsize>,
    probe: Arc<Probe>,
    slips: AtomicUsize,
}

impl Forwarder {
    /// Answers with what this resolver finds.
    pub fn new(resolver: Resolver) -> Self {
        Self::with(resolver, ForwarderOptions::default())
    }

    /// Answers with what this resolver finds, and options.
    pub fn with(resolver: Resolver, options: ForwarderOptions) -> Self {
        Self(Arc::new(Shared {
            clients: Arc::new(Clients::new(options.per_client, options.rate)),
            counters: Counters::new(options.metrics.as_ref()),
            pending: Arc::default(),
            probe: Arc::new(Probe::new()),
            slips: AtomicUsize::new(0),
            resolver,
            options,
        }))
    }

    /// The resolver that it asks.
    pub fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }

    /// What answers on a socket for datagrams; one for each.
    pub fn datagrams(&self) -> AnswerDatagrams<Shared> {
        AnswerDatagrams::new(self.0.clone())
    }

    /// What such a socket should allow: as many questions out as the forwarder does, or those that
    /// wait would keep out those that have an answer.
    pub fn datagram_options(&self) -> DatagramOptions {
        let mut options = DatagramOptions::default();
        options.deferred = self.0.options.pending.saturating_add(1);
        options.largest = 4096;
        options.service = "dns".into();
        options.metrics.clone_from(&self.0.options.metrics);
        options
    }

    /// What answers on connections, in the clear and over TLS.
    pub fn handler(&self) -> impl Handler + use<> {
        answer_streams(self.0.clone(), self.0.options.streams.clone())
    }

    /// Asks each server for a name that nobody has but this forwarder, and says which of them come
    /// back to it with that: they lead in a circle, and are asked no more. To be called once the
    /// forwarder listens. What comes of a circle without it is small, since equal questions are asked
    /// once; but nothing is answered.
    pub async fn check_loops(&self) -> Vec<String> {
        let network = self.0.resolver.inner.network();
        let mut looping = Vec::new();
        for (server, name) in network.names().enumerate() {
            self.0.probe.seen.store(false, Relaxed);
            let query = Query::new(&self.0.probe.name(), RecordType::TXT);
            let _ = network.probe(&query, server).await;
            if self.0.probe.seen.load(Relaxed) {
                tracing::error!(server = name, "this server asks us what we ask it");
                network.exclude(server);
                looping.push(name.to_owned());
            }
        }
        looping
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Forwarder").field(&self.0.resolver).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Answers for Shared {
    fn take(&self, bytes: &[u8], asked: &Asked<'_>, out: &mut Vec<u8>) -> Taken {
        let client = asked.from.inet().map(|address| address.ip().to_canonical());
        let cookies = self.options.cookies.as_ref().zip(client);
        let cookies = cookies.map(|(secret, client)| Cookies { secret, client });
        let Some(read) = Request::read(bytes, asked, cookies) else {
            // Answers, and what is too short to be anything, are never answered.
            self.counters.ignored.increment();
            return Taken::Nothing;
        };
        self.counters.requests.increment();
        let request = match read {
            Ok(request) => request,
            Err(error) => {
                error.write(out);
                return Taken::Answered;
            }
        };
        // What is no address of the Internet is this machine's own.
        if client.is_some_and(|ip| !(self.options.allow)(ip)) {
            self.counters.refused.increment();
            return self.refuse(&request, Rcode::REFUSED, ExtendedError::PROHIBITED, "", out);
        }
        if let Some(taken) = self.local(&request, out) {
            return taken;
        }
        if !self.clients.admits(client, request.is_proven(), asked.now) {
            self.counters.limited.increment();
            if !request.is_proven() {
                return self.slip(&request, out);
            }
            return self.refuse(
                &request,
                Rcode::REFUSED,
                ExtendedError::PROHIBITED,
                "too many",
                out,
            );
        }
        let Some(key) = Key::of(&request.walk, request.dnssec_ok()) else {
            return Taken::Nothing;
        };
        // The answer at hand, copied and then made this client's.
        let cache = self.resolver.cache();
        match cache.write(key.as_slice(), asked.now, out) {
            Some(found) if !found.is_stale || found.is_held => {
                self.counters.hits.increment();
                if found.wants_refresh {
                    self.resolver.refresh(&Query::from_key(key.as_slice()));
                }
                self.finish(&request, &found, out);
                Taken::Answered
            }
            _ => {
                out.clear();
                self.ask(&request, Query::from_key(key.as_slice()), client, out)
            }
        }
    }
}

impl Shared {
    /// What is answered without asking anybody.
    fn local(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Option<Taken> {
        let walk = &request.walk;
        let (record_type, class) = walk.asked()?;
        let refuse = |code, why, out: &mut Vec<u8>| {
            Some(self.refuse(request, code, ExtendedError::OTHER, why, out))
        };
        if (128..=254).contains(&record_type.0) {
            return refuse(
                Rcode::NOTIMP,
                "no transfers, no types for transactions",
                out,
            );
        }
        if class != Class::IN {
            return refuse(Rcode::REFUSED, "class IN alone", out);
        }
        if self.probe.is(walk.name()) {
            self.probe.seen.store(true, Relaxed);
            return refuse(Rcode::REFUSED, "a probe for circles came back", out);
        }
        if !walk.header().has(Header::RD) {
            // What others asked is nobody's business.
            return refuse(Rcode::REFUSED, "recursion is all there is", out);
        }
        let name: Name =
            hickory_proto::serialize::binary::BinDecodable::from_bytes(last_label(walk.name()))
                .ok()?;
        match special::of(&name)? {
            special::Special::Nowhere => reply::write_empty(request, Rcode::NXDOMAIN, out),
            special::Special::Loopback => reply::write_loopback(request, out),
        }
        request.end(&[], self.options.payload, out);
        Some(Taken::Answered)
    }

    fn refuse(
        &self,
        request: &Request<'_>,
        code: Rcode,
        why: u16,
        text: &str,
        out: &mut Vec<u8>,
    ) -> Taken {
        reply::write_empty(request, code, out);
        let error = ExtendedError::new(why, text);
        request.end(&[error], self.options.payload, out);
        Taken::Answered
    }

    /// What is said to one who asks too much, if it is one: of its address there is no proof, so
    /// every second question gets nothing, and the others an answer that is no longer than they are
    /// and that a real client asks again over a stream for.
    fn slip(&self, request: &Request<'_>, out: &mut Vec<u8>) -> Taken {
        if self.slips.fetch_add(1, Relaxed) % 2 == 1 {
            return Taken::Nothing;
        }
        reply::write_truncated(request, out);
        request.end(&[], self.options.payload, out);
        Taken::Answered
    }

    /// Asks the servers.
    fn ask(
        &self,
        request: &Request<'_>,
        query: Query,
        client: Option<IpAddr>,
        out: &mut Vec<u8>,
    ) -> Taken {
        let ticket = Ticket::new(&self.pending, self.options.pending)
            .and_then(|ticket| Some(ticket.of(self.clients.enter(client, request.is_proven())?)));
        let Some(ticket) = ticket else {
            self.counters.limited.increment();
            let code = Rcode::SERVFAIL;
            return self.refuse(
                request,
                code,
                ExtendedError::OTHER,
                "too many questions",
                out,
            );
        };
        self.counters.misses.increment();
        self.show_cache();
        let request = request.to_owned();
        let resolver = self.resolver.clone();
        let later = Later {
            counters: self.counters.clone(),
            payload: self.options.payload,
            filter: self
                .options
                .rebinding_filter
                .then(|| self.options.private_names.clone()),
        };
        Taken::Later(Box::pin(async move {
            let _ticket = ticket;
            let outcome = resolver.resolve(&query).await;
            let request = request.borrowed()?;
            let mut out = Vec::new();
            match outcome {
                Ok(answer) => {
                    out.extend_from_slice(&answer.message);
                    later.finish(&request, &answer.found, &mut out);
                }
                Err(failed) => {
                    later.counters.failed.increment();
                    reply::write_failure(&request, failed.refusal.as_deref(), &mut out);
                    request.end(&failed.errors, later.payload, &mut out);
                }
            }
            Some(out)
        }))
    }

    fn finish(&self, request: &Request<'_>, found: &Found, out: &mut Vec<u8>) {
        let filter = self
            .options
            .rebinding_filter
            .then_some(&self.options.private_names);
        finish(
            request,
            found,
            filter.map(|names| &names[..]),
            &self.counters,
            self.options.payload,
            out,
        );
    }

    /// Shows what the cache holds, once a second at most.
    fn show_cache(&self) {
        let Some(shown) = &self.counters.cache else {
            return;
        };
        let now = self.counters.since.elapsed().as_secs();
        if shown.at.swap(now, Relaxed) != now {
            let counts = self.resolver.cache().counts();
            let set =
                |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            set(&shown.entries, counts.entries);
            set(&shown.bytes, counts.bytes);
        }
    }
}

/// What an answer that comes later needs of the forwarder.
struct Later {
    counters: Counters,
    payload: u16,
    filter: Option<Arc<[Name]>>,
}

impl Later {
    fn finish(&self, request: &Request<'_>, found: &Found, out: &mut Vec<u8>) {
        finish(
            request,
            found,
            self.filter.as_deref(),
            &self.counters,
            self.payload,
            out,
        );
    }
}

/// Makes an answer of the cache this client's.
fn finish(
    request: &Request<'_>,
    found: &Found,
    filter: Option<&[Name]>,
    counters: &Counters,
    payload: u16,
    out: &mut Vec<u8>,
) {
    if let Some(except) = filter
        && let Some(address) = private::found_in(out, except)
    {
        tracing::warn!(%address, "a public name has a private address");
        counters.filtered.increment();
        reply::write_empty(request, Rcode::REFUSED, out);
        let why = ExtendedError::new(ExtendedError::BLOCKED, "a private address");
        return request.end(&[why], payload, out);
    }
    request.adopt(out);
    if found.errors.is_empty() && !found.is_stale && found.kind != Kind::Failure {
        return request.end(&[], payload, out);
    }
    let mut errors = found.errors.to_vec();
    if found.is_stale {
        counters.stale.increment();
        let code = match found.kind {
            Kind::NoName => ExtendedError::STALE_NXDOMAIN,
            _ => ExtendedError::STALE_ANSWER,
        };
        errors.insert(0, ExtendedError::new(code, ""));
    } else if found.kind == Kind::Failure {
        errors.insert(0, ExtendedError::new(ExtendedError::CACHED_ERROR, ""));
    }
    request.end(&errors, payload, out);
}

/// The last label of a name and the root.
fn last_label(name: &[u8]) -> &[u8] {
    let mut rest = name;
    while let Some((length, behind)) = rest.split_first() {
        let Some(behind) = behind.get(usize::from(*length)..) else {
            break;
        };
        if behind.len() <= 1 {
            break;
        }
        rest = behind;
    }
    rest
}

/// A name that only this forwarder asks for.
struct Probe {
    label: String,
    seen: AtomicBool,
}

impl Probe {
    fn new() -> Self {
        Self {
            label: format!("{:016x}", ropewalk_core::random()),
            seen: AtomicBool::new(false),
        }
    }

    /// Below `test`, which no real server has, and which forwarders pass on.
    fn name(&self) -> Name {
        Name::from_ascii(format!("{}.ropewalk-probe.test.", self.label)).unwrap_or_default()
    }

    fn is(&self, name: &[u8]) -> bool {
        name.len() == 1 + 16 + 1 + 14 + 6
            && name[0] == 16
            && name[1..17].eq_ignore_ascii_case(self.label.as_bytes())
            && name[17..].eq_ignore_ascii_case(b"\x0eropewalk-probe\x04test\0")
    }
}

/// What is counted of clients.
#[derive(Clone)]
struct Counters {
    requests: Counter,
    hits: Counter,
    misses: Counter,
    stale: Counter,
    failed: Counter,
    refused: Counter,
    limited: Counter,
    filtered: Counter,
    ignored: Counter,
    cache: Option<Arc<Shown>>,
    since: Instant,
}

struct Shown {
    entries: Gauge,
    bytes: Gauge,
    at: AtomicU64,
}

impl Counters {
    fn new(metrics: Option<&Metrics>) -> Self {
        let fresh = Metrics::new();
        let all = metrics.unwrap_or(&fresh);
        let counter = |name, help| all.counter(name, help, &[]);
        let refused = |reason| {
            let help = "Requests that were turned away.";
            all.counter("ropewalk_dns_forward_refused", help, &[("reason", reason)])
        };
        Self {
            requests: counter("ropewalk_dns_forward_requests", "Requests of clients."),
            hits: counter(
                "ropewalk_dns_forward_hits",
                "Requests answered from the cache.",
            ),
            misses: counter(
                "ropewalk_dns_forward_misses",
                "Requests that servers were asked for.",
            ),
            stale: counter("ropewalk_dns_forward_stale", "Answers that had expired."),
            failed: counter(
                "ropewalk_dns_forward_failures",
                "Requests that nobody answered.",
            ),
            refused: refused("client"),
            limited: refused("limit"),
            filtered: refused("private_address"),
            ignored: refused("no_request"),
            cache: metrics.map(|metrics| {
                let gauge = |name, help| metrics.gauge(name, help, &[]);
                Arc::new(Shown {
                    entries: gauge("ropewalk_dns_cache_entries", "Answers that are kept."),
                    bytes: gauge(
                        "ropewalk_dns_cache_bytes",
                        "Bytes of the answers that are kept.",
                    ),
                    at: AtomicU64::new(u64::MAX),
                })
            }),
            since: Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests;
