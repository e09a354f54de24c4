//! The servers that are asked, and what carries an [`Exchange`] out.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::ResponseCode;
use ropewalk_core::ConnectOptions;

use super::{Counters, LookupError, ResolverOptions, Upstream, datagram::Ports, stream::Kept};
use crate::proto::{
    ExtendedError, Query,
    cache::extended_errors,
    exchange::{
        Attempt, Exchange, ExchangeOptions, Failure, Reply, Servers, Step, Trouble, Way,
        response_code,
    },
    walk::Walk,
};

/// Some servers, with what is open to them and known of them.
pub(crate) struct Network {
    servers: Mutex<Servers>,
    upstreams: Vec<Connected>,
    options: ExchangeOptions,
}

struct Connected {
    name: String,
    ports: Option<Ports>,
    stream: Option<Streams>,
}

enum Streams {
    Plain(Box<Kept>),
    #[cfg(feature = "doh")]
    Https(Box<super::https::Https>),
}

impl Network {
    pub(super) fn new(
        upstreams: &[Upstream],
        exchange: ExchangeOptions,
        options: &ResolverOptions,
        counters: &Counters,
    ) -> Self {
        let connected = upstreams.iter().map(|upstream| {
            let ports = upstream.datagram.clone();
            Connected {
                name: upstream.to_string(),
                ports: ports.map(|endpoint| {
                    Ports::new(
                        endpoint,
                        options.schemes.clone(),
                        options.per_port,
                        counters.clone(),
                    )
                }),
                stream: streams(upstream, options, counters),
            }
        });
        Self {
            servers: Mutex::new(Servers::new(upstreams.iter().map(Upstream::ways))),
            upstreams: connected.collect(),
            options: exchange,
        }
    }

    pub(super) fn servers(&self) -> MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.upstreams.iter().map(|upstream| upstream.name.as_str())
    }

    /// Asks, and carries out what the exchange wants until it is over. Whoever drops this ends it.
    pub(super) async fn ask(&self, query: &Query) -> Result<Reply, Failure> {
        self.ask_with(query, &self.options).await
    }

    /// Asks one server alone, once.
    #[cfg(feature = "server")]
    pub(crate) async fn probe(&self, query: &Query, server: usize) -> Result<Vec<u8>, Trouble> {
        let mut options = self.options.clone();
        options.rounds = 1;
        let mut one = Servers::new([self.servers().ways(server)]);
        let mut random = ropewalk_core::random;
        let mut exchange = Exchange::new(query.clone(), &options, &mut one, now(), &mut random);
        match exchange.poll(&mut one, now(), &mut random) {
            Step::Send(attempt) => {
                let sent = self.send(Attempt { server, ..attempt });
                match tokio::time::timeout(options.timeout, sent).await {
                    Ok((_, result)) => result,
                    Err(_) => Err(Trouble::NoAnswer),
                }
            }
            _ => Err(Trouble::NoAnswer),
        }
    }

    async fn ask_with(&self, query: &Query, options: &ExchangeOptions) -> Result<Reply, Failure> {
        let mut random = ropewalk_core::random;
        let mut exchange = {
            let mut servers = self.servers();
            Exchange::new(query.clone(), options, &mut servers, now(), &mut random)
        };
        let mut out = FuturesUnordered::new();
        loop {
            let step = exchange.poll(&mut self.servers(), now(), &mut random);
            let until = match step {
                Step::Send(attempt) => {
                    out.push(self.send(attempt));
                    continue;
                }
                Step::Done(done) => return done,
                Step::Wait(until) => until,
            };
            tokio::select! {
                biased;
                Some((number, result)) = out.next(), if !out.is_empty() => {
                    let mut servers = self.servers();
                    match result {
                        Ok(message) => exchange.answered(number, message, &mut servers, now()),
                        Err(trouble) => exchange.failed(number, trouble, &mut servers, now()),
                    }
                }
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    async fn send(&self, attempt: Attempt) -> (usize, Result<Vec<u8>, Trouble>) {
        let upstream = &self.upstreams[attempt.server];
        let none = || Trouble::Unreachable("there is no such way to this server".to_owned());
        let result = match (attempt.way, &upstream.ports, &upstream.stream) {
            (Way::Datagram, Some(ports), _) => ports.ask(attempt.query).await,
            (Way::Stream, _, Some(Streams::Plain(kept))) => kept.ask(attempt.query).await,
            #[cfg(feature = "doh")]
            (Way::Stream, _, Some(Streams::Https(https))) => https.ask(attempt.query).await,
            _ => Err(none()),
        };
        (attempt.number, result)
    }

    /// Asks a server no more.
    #[cfg(feature = "server")]
    pub(crate) fn exclude(&self, server: usize) {
        self.servers().exclude(server);
    }

    /// The failure in words, and what a server said of it.
    pub(super) fn explain(
        &self,
        query: &Query,
        failure: Failure,
    ) -> (LookupError, Option<Vec<u8>>, Vec<ExtendedError>) {
        let name = |server: usize| {
            let upstream = self.upstreams.get(server);
            upstream.map_or_else(|| format!("server {server}"), |u| u.name.clone())
        };
        if let Some((server, message)) = failure.refusal {
            let (code, errors) = read_refusal(&message);
            let error = LookupError::Refused {
                query: query.clone(),
                server: name(server),
                code,
                errors: errors.clone(),
            };
            return (error, Some(message), errors);
        }
        if self.upstreams.is_empty() {
            return (LookupError::NoServers, None, Vec::new());
        }
        let timed_out = failure.tried.iter().any(|t| t.trouble == Trouble::NoAnswer);
        let code = match timed_out {
            true => ExtendedError::NO_REACHABLE_AUTHORITY,
            false => ExtendedError::NETWORK_ERROR,
        };
        let tried = failure.tried.iter().map(|tried| {
            let way = match tried.way {
                Way::Datagram => "",
                Way::Stream => ", by a stream",
            };
            format!("{}{way}: {}", name(tried.server), tried.trouble)
        });
        let error = LookupError::NoAnswer {
            query: query.clone(),
            tried: tried.collect(),
            timed_out,
        };
        (error, None, vec![ExtendedError::new(code, "")])
    }
}

fn read_refusal(message: &[u8]) -> (ResponseCode, Vec<ExtendedError>) {
    let Ok(walk) = Walk::read(message) else {
        return (ResponseCode::ServFail, Vec::new());
    };
    let opt = walk.opt().ok().flatten();
    let errors = opt.iter().flat_map(|o| extended_errors(o)).collect();
    (response_code(&walk, opt.as_deref()), errors)
}

fn streams(upstream: &Upstream, options: &ResolverOptions, counters: &Counters) -> Option<Streams> {
    let endpoint = upstream.stream.clone()?;
    let mut connect = ConnectOptions::default();
    connect.schemes = options.schemes.clone();
    connect.limits.inbox = 1024;
    #[cfg(feature = "tls")]
    {
        connect.tls = options.tls.clone();
    }
    #[cfg(feature = "doh")]
    if let Some(url) = &upstream.https {
        connect.tls = connect
            .tls
            .or_else(|| ropewalk_core::tls::TlsClient::platform().ok());
        connect.tls = connect.tls.map(|tls| tls.alpn(&["h2"]));
        let https = super::https::Https::new(url.clone(), endpoint, connect, counters.clone());
        return Some(Streams::Https(Box::new(https)));
    }
    // A file that cannot be read is told of when it is needed.
    #[cfg(feature = "tls")]
    let connect = match connect.clone().prepare(&endpoint) {
        Ok(prepared) => prepared,
        Err(_) => connect,
    };
    let kept = Kept::new(endpoint, connect, options.idle, counters.clone());
    Some(Streams::Plain(Box::new(kept)))
}

/// The time by the runtime's clock, which tests may pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// What changes when the files do: the servers, how names are searched, and names that are known.
pub(super) struct Current {
    pub(super) network: Arc<Network>,
    pub(super) conf: crate::proto::ResolvConf,
    /// `None` for a resolver without files.
    pub(super) hosts: Option<Arc<crate::proto::Hosts>>,
}
