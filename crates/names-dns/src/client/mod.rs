//! The stub client: names looked up by asking servers that do the work.
//!
//! A [`Resolver`] has servers ([`Upstream`]), a cache, and the files of the system if it is told
//! so. It asks by UDP and TCP, over TLS (RFC 7858) and over HTTPS (RFC 8484, feature `doh`),
//! through core's endpoints, so that it runs in `mem:` and `sim:` and in virtual time as well.
//! Questions that are equal are asked once, whoever waits for the answer. Dropping a look-up gives
//! it up.
//!
//! ```no_run
//! use ropewalk_names_dns::{client::Resolver, hickory_proto::rr::RecordType};
//!
//! # async fn example() -> ropewalk_core::Result {
//! let resolver = Resolver::new(["9.9.9.9".parse()?, "tls:dns.quad9.net".parse()?]);
//! for mx in resolver.mx("example.org").await? {
//!     println!("{} {}", mx.preference, mx.exchange);
//! }
//! let caa = resolver.lookup("example.org", RecordType::CAA).await?;
//! println!("{} for {:?}", caa.records().len(), caa.ttl());
//! # Ok(())
//! # }
//! ```
//!
//! It does not go from the root servers down, and does not check signatures: it believes the
//! servers that it was given. See [`ResolverOptions::dnssec_ok`] for what they say of that.

mod datagram;
mod error;
mod files;
#[cfg(feature = "doh")]
mod https;
mod lookup;
pub(crate) mod network;
mod options;
mod srv;
mod stream;
mod upstream;

use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use hickory_proto::rr::Name;
use ropewalk_core::{Metrics, Resolve, metrics::Counter};
use tokio::task::JoinSet;

pub use crate::proto::{
    ExtendedError, Hosts, Query, ResolvConf,
    cache::{Cache, CacheCounts, CacheOptions, Found, Kind},
    exchange::{ExchangeOptions, Selection},
    srv_order,
};
use crate::proto::{Section, walk::Walk};
pub use error::LookupError;
use files::Files;
pub use lookup::Lookup;
use network::{Current, Network, now};
pub use options::{Families, ResolverOptions};
pub use srv::{SrvError, SrvScheme};
pub use upstream::{Upstream, UpstreamError};

/// Looks names up. Cheap to clone; clones share servers, connections and cache.
#[derive(Clone)]
pub struct Resolver {
    pub(crate) inner: Arc<Inner>,
    /// What goes on when nobody waits for it: answers fetched in advance. Ends with the last clone.
    tasks: Arc<Mutex<JoinSet<()>>>,
}

pub(crate) struct Inner {
    pub(crate) options: ResolverOptions,
    pub(crate) cache: Cache,
    counters: Counters,
    current: Mutex<Current>,
    files: Option<Files>,
    flying: Mutex<Flying>,
}

/// An answer as servers and the cache have it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// With id 0 and no OPT record.
    pub(crate) message: Arc<[u8]>,
    pub(crate) found: Found,
}

/// Why there is none, with the refusal of a server if there was one.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "the forwarder alone passes refusals on")
)]
pub(crate) struct Unanswered {
    pub(crate) error: LookupError,
    pub(crate) refusal: Option<Arc<[u8]>>,
    pub(crate) errors: Arc<[ExtendedError]>,
}

type Outcome = Result<Answer, Unanswered>;
type Flight = Shared<BoxFuture<'static, Outcome>>;

/// Questions that are out, so that equal ones share an answer.
#[derive(Default)]
struct Flying {
    flights: HashMap<Query, (u64, WeakShared<BoxFuture<'static, Outcome>>)>,
    number: u64,
}

impl Resolver {
    /// Asks these servers, with the default options.
    pub fn new(upstreams: impl IntoIterator<Item = Upstream>) -> Self {
        Self::with(upstreams, ResolverOptions::default())
    }

    /// Asks these servers.
    pub fn with(upstreams: impl IntoIterator<Item = Upstream>, options: ResolverOptions) -> Self {
        let upstreams: Vec<Upstream> = upstreams.into_iter().collect();
        let counters = Counters::new(options.metrics.as_ref());
        let network = Network::new(&upstreams, options.exchange.clone(), &options, &counters);
        let mut conf = ResolvConf::default();
        conf.search.clone_from(&options.search);
        conf.ndots = options.ndots;
        Self::build(options, counters, network, conf, None)
    }

    /// As the system is configured: the servers and options of `/etc/resolv.conf`, and the names of
    /// `/etc/hosts`, both read again when they change.
    pub fn system() -> Self {
        let options = ResolverOptions::default();
        Self::from_files("/etc/resolv.conf", "/etc/hosts", options)
    }

    /// As these files say, read again when they change; they are looked at once a second at most,
    /// when something is asked, on a thread of their own. resolv.conf is also read here, which may
    /// wait for the disk. What the options say of servers' order, rounds and search the file
    /// overrules.
    pub fn from_files(
        resolv_conf: impl AsRef<Path>,
        hosts: impl AsRef<Path>,
        options: ResolverOptions,
    ) -> Self {
        let counters = Counters::new(options.metrics.as_ref());
        let (resolv_conf, hosts) = (resolv_conf.as_ref().to_owned(), hosts.as_ref().to_owned());
        let (files, conf) = Files::new(resolv_conf, hosts);
        let (network, conf) = configured(conf, &options, &counters);
        Self::build(options, counters, network, conf, Some(files))
    }

    fn build(
        options: ResolverOptions,
        counters: Counters,
        network: Network,
        conf: ResolvConf,
        files: Option<Files>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                cache: Cache::new(options.cache.clone()),
                counters,
                current: Mutex::new(Current {
                    network: Arc::new(network),
                    conf,
                    hosts: files.is_some().then(Arc::default),
                }),
                files,
                flying: Mutex::default(),
                options,
            }),
            tasks: Arc::default(),
        }
    }

    /// Its cache: what it did, and to forget things.
    pub fn cache(&self) -> &Cache {
        &self.inner.cache
    }

    /// The servers that are asked now, as endpoint strings, each with its smoothed round trip if it
    /// has answered.
    pub fn servers(&self) -> Vec<(String, Option<Duration>)> {
        let network = self.inner.network();
        let servers = network.servers();
        let names = network.names().enumerate();
        names
            .map(|(index, name)| (name.to_owned(), servers.round_trip(index)))
            .collect()
    }

    /// An answer from the cache or the servers, without a look at aliases, files or the name.
    pub(crate) async fn resolve(&self, query: &Query) -> Outcome {
        let stale = match self.cached(query) {
            Some((answer, true)) => Some(answer),
            Some((answer, false)) => return remembered(query, answer),
            None => None,
        };
        let flight = self.inner.fly(query)?;
        let Some(stale) = stale else {
            return flight.await;
        };
        // RFC 8767, section 5: who waits is not to wait for longer than he would have patience.
        tokio::select! {
            biased;
            outcome = flight.clone() => match outcome {
                Ok(answer) => Ok(answer),
                Err(_) => Ok(stale),
            },
            () = tokio::time::sleep(self.inner.options.stale_after) => {
                self.go_on(flight);
                Ok(stale)
            }
        }
    }

    /// What the cache has, and whether that is only for want of better.
    fn cached(&self, query: &Query) -> Option<(Answer, bool)> {
        let (message, found) = self.inner.cache.get(query, now())?;
        if found.wants_refresh {
            self.refresh(query);
        }
        let only = found.is_stale && !found.is_held;
        let answer = Answer {
            message: message.into(),
            found,
        };
        Some((answer, only))
    }

    /// Fetches an answer in advance.
    pub(crate) fn refresh(&self, query: &Query) {
        if let Ok(flight) = self.inner.fly(query) {
            self.go_on(flight);
        }
    }

    fn go_on(&self, flight: Flight) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() < MOST_TASKS {
            tasks.spawn(async move {
                let _ = flight.await;
            });
        }
    }
}

/// An answer of the cache that says that there is none.
fn remembered(query: &Query, answer: Answer) -> Outcome {
    if answer.found.kind != Kind::Failure {
        return Ok(answer);
    }
    let errors = answer.found.errors.to_vec();
    let error = LookupError::RememberedFailure {
        query: query.clone(),
        errors,
    };
    Err(Unanswered {
        error,
        refusal: Some(answer.message),
        errors: answer.found.errors,
    })
}

impl Inner {
    /// The servers as they are now.
    pub(crate) fn network(&self) -> Arc<Network> {
        self.current().network.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what the files say now, if it is time to look.
    async fn look(&self) {
        let Some(files) = &self.files else { return };
        let Some(news) = files.look().await else {
            return;
        };
        if let Some(conf) = news.resolv_conf {
            let (network, conf) = configured(conf, &self.options, &self.counters);
            tracing::info!(servers = conf.servers.len(), "read the servers again");
            let mut current = self.current();
            current.network = Arc::new(network);
            current.conf = conf;
        }
        if let Some(hosts) = news.hosts {
            self.current().hosts = Some(Arc::new(hosts));
        }
    }

    /// The names to ask for, for one that somebody typed.
    fn candidates(&self, name: &Name) -> Vec<Name> {
        self.current().conf.candidates(name)
    }

    fn hosts(&self) -> Option<Arc<Hosts>> {
        self.current().hosts.clone()
    }

    /// Asks the servers, together with whoever asks them the same just now.
    fn fly(self: &Arc<Self>, query: &Query) -> Result<Flight, Unanswered> {
        let mut flying = self.flying();
        let known = flying.flights.get(query);
        if let Some(flight) = known.and_then(|(_, flight)| flight.upgrade()) {
            self.counters.shared.increment();
            return Ok(flight);
        }
        if flying.flights.len() >= self.options.in_flight {
            return Err(Unanswered {
                error: LookupError::Busy,
                refusal: None,
                errors: Arc::default(),
            });
        }
        flying.number += 1;
        let landing = Landing {
            inner: self.clone(),
            query: query.clone(),
            number: flying.number,
        };
        let network = flying.number;
        let flight = async move { landing.fly().await }.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            flying.flights.insert(query.clone(), (network, weak));
        }
        Ok(flight)
    }

    fn flying(&self) -> MutexGuard<'_, Flying> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is out; when it is dropped, answered or not, nobody joins it any more.
struct Landing {
    inner: Arc<Inner>,
    query: Query,
    number: u64,
}

impl Landing {
    async fn fly(&self) -> Outcome {
        let (inner, query) = (&self.inner, &self.query);
        inner.look().await;
        let network = inner.network();
        let result = network.ask(query).await;
        let now = now();
        match result {
            Ok(reply) => match inner.cache.store(query, &reply.message, now) {
                Some(found) => {
                    inner.counters.answered.increment();
                    let mut message = reply.message;
                    strip(&mut message);
                    Ok(Answer {
                        message: message.into(),
                        found,
                    })
                }
                None => {
                    let error = LookupError::Malformed {
                        query: query.clone(),
                        why: "its records are not whole, or its code is not known".to_owned(),
                    };
                    Err(self.failed(error, None, Vec::new()))
                }
            },
            Err(failure) => {
                let (error, refusal, errors) = network.explain(query, failure);
                Err(self.failed(error, refusal, errors))
            }
        }
    }

    fn failed(
        &self,
        error: LookupError,
        refusal: Option<Vec<u8>>,
        errors: Vec<ExtendedError>,
    ) -> Unanswered {
        let inner = &self.inner;
        inner.counters.failed.increment();
        tracing::debug!(%error, "a question has no answer");
        let cache = &inner.cache;
        cache.store_failure(&self.query, refusal.as_deref(), &errors, now());
        Unanswered {
            error,
            refusal: refusal.map(Into::into),
            errors: errors.into(),
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flying = self.inner.flying();
        // Another may have taken the place of one that nobody waited for.
        if flying
            .flights
            .get(&self.query)
            .is_some_and(|(n, _)| *n == self.number)
        {
            flying.flights.remove(&self.query);
        }
    }
}

/// Takes the OPT record off, and all that stands behind it.
fn strip(message: &mut Vec<u8>) {
    message[..2].fill(0);
    let Ok(walk) = Walk::read(message) else {
        return;
    };
    let Some(opt) = walk.opt().ok().flatten() else {
        return;
    };
    let before = walk
        .records()
        .flatten()
        .filter(|r| r.section == Section::Additional && r.start < opt.start);
    let (count, end) = (u16::try_from(before.count()).unwrap_or_default(), opt.start);
    message.truncate(end);
    message[10..12].copy_from_slice(&count.to_be_bytes());
}

/// Servers and search as a resolv.conf has them.
fn configured(
    mut conf: ResolvConf,
    options: &ResolverOptions,
    counters: &Counters,
) -> (Network, ResolvConf) {
    for (line, what) in &conf.unknown {
        tracing::debug!(line, what, "a word of resolv.conf is passed over");
    }
    if conf.servers.is_empty() {
        conf.servers.push(IpAddr::from([127, 0, 0, 1]));
    }
    let mut exchange = options.exchange.clone();
    exchange.timeout = conf.timeout;
    exchange.rounds = conf.attempts;
    exchange.authentic_data = conf.trust_ad;
    exchange.selection = match conf.rotate {
        true => Selection::Rotate,
        false => Selection::InOrder,
    };
    let upstreams = conf.servers.iter().map(|ip| match conf.use_vc {
        false => Upstream::from(*ip),
        true => Upstream::from(*ip).by_stream_alone(),
    });
    let upstreams: Vec<Upstream> = upstreams.collect();
    (Network::new(&upstreams, exchange, options, counters), conf)
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("servers", &self.servers())
            .finish_non_exhaustive()
    }
}

/// For [`Schemes::resolve_with`](ropewalk_core::Schemes::resolve_with): hosts in endpoint strings are
/// then looked up by this resolver.
///
/// The schemes that the resolver itself uses must be others: to reach a server by its name it would
/// have to ask that server.
impl Resolve for Resolver {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
    ) -> ropewalk_core::BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            match self.lookup_ip(host).await {
                Ok(addresses) => Ok(addresses),
                Err(error) if error.is_negative() => Ok(Vec::new()),
                Err(error) => Err(error.into()),
            }
        })
    }
}

/// What is counted of questions.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    sent: Counter,
    strays: Counter,
    connections: Counter,
    answered: Counter,
    failed: Counter,
    shared: Counter,
}

impl Counters {
    fn new(metrics: Option<&Metrics>) -> Self {
        let Some(metrics) = metrics else {
            return Self::default();
        };
        let counter = |name, help| metrics.counter(name, help, &[]);
        Self {
            sent: counter("ropewalk_dns_client_queries", "Queries sent to servers."),
            strays: counter(
                "ropewalk_dns_client_strays",
                "Datagrams that were the answer to nothing: late, twice, or forged.",
            ),
            connections: counter(
                "ropewalk_dns_client_connections",
                "Connections made with servers.",
            ),
            answered: counter(
                "ropewalk_dns_client_answers",
                "Questions that were answered.",
            ),
            failed: counter(
                "ropewalk_dns_client_failures",
                "Questions that no server answered.",
            ),
            shared: counter(
                "ropewalk_dns_client_shared",
                "Questions that joined an equal one.",
            ),
        }
    }
}

/// Answers that are fetched in advance at a time.
const MOST_TASKS: usize = 1000;
