//! Connecting to a service by its SRV records (RFC 2782), and the endpoint scheme `srv:`.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use hickory_proto::rr::Name;
use ropewalk_core::{
    BoxFuture, ClientEndpoint, ConnectError, ConnectOptions, Connection, Route, Scheme,
    endpoint::{Description, quote},
};

use super::{LookupError, Resolver};

/// How long one address has before the next is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// The scheme `srv:`, which connects to a service by its SRV records.
///
/// `srv:_imaps._tcp.example.org:tls` finds the servers of the service, and connects to the one that
/// comes first by priority and weight and answers.
///
/// - The flag `tls` speaks TLS with it. The server proves the name of the domain that the service is
///   of (RFC 9525, section 6.3), unless `sni=NAME` says another: what DNS says of targets could be
///   forged. The options of `tls:` endpoints may stand there too (`ca=`, `cert=`, `key=`,
///   `insecure-no-verify`).
/// - `port=PORT`: where there are no SRV records, connects to the domain itself at this port.
/// - `timeout=SECONDS`, for one target.
///
/// ```
/// use ropewalk_core::{ClientEndpoint, Schemes};
/// use ropewalk_names_dns::client::{Resolver, SrvScheme};
///
/// let schemes = Schemes::new().add(SrvScheme::new(Resolver::system()));
/// let endpoint: ClientEndpoint = "srv:_imaps._tcp.example.org:tls:port=993".parse()?;
/// # let _ = (schemes, endpoint);
/// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
/// ```
#[derive(Clone)]
pub struct SrvScheme {
    resolver: Resolver,
    over: Arc<str>,
}

/// Why a service cannot be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SrvError {
    /// The records cannot be looked up, or there are none.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The domain says that it does not offer the service (a target of `.`).
    #[error("{service} is not offered")]
    NotOffered {
        /// The service's name.
        service: String,
    },
    /// No target could be connected to.
    #[error("no server of {service} can be reached: {}", joined(tried))]
    Unreachable {
        /// The service's name.
        service: String,
        /// What became of each.
        tried: Vec<String>,
    },
}

fn joined(tried: &[String]) -> String {
    tried.join("; ")
}

impl SrvScheme {
    /// With what resolves names.
    pub fn new(resolver: Resolver) -> Self {
        Self {
            resolver,
            over: "tcp".into(),
        }
    }

    /// Reaches targets by this scheme, which takes an address and a port, instead of by `tcp:`. In a
    /// simulated network it is `sim`.
    #[must_use]
    pub fn over(mut self, scheme: &str) -> Self {
        self.over = scheme.into();
        self
    }

    /// Connects to a service.
    ///
    /// # Errors
    /// [`SrvError`] says whether it is there at all.
    pub async fn connect(
        &self,
        service: &str,
        options: &ConnectOptions,
    ) -> Result<Connection, SrvError> {
        let plan = Plan {
            service,
            default_port: None,
            options: String::new(),
            over: self.over.to_string(),
        };
        self.carry_out(&plan, By::Options(options)).await
    }

    async fn carry_out(&self, plan: &Plan<'_>, by: By<'_>) -> Result<Connection, SrvError> {
        let mut tried = Vec::new();
        for (target, port) in self.targets(plan).await? {
            let addresses = match self.resolver.lookup_ip(&target.to_ascii()).await {
                Ok(addresses) => addresses,
                Err(error) => {
                    tried.push(error.to_string());
                    continue;
                }
            };
            let endpoints = addresses.into_iter().map(|ip| plan.endpoint(ip, port));
            let endpoints: Vec<_> =
                endpoints
                    .collect::<Result<_, _>>()
                    .map_err(|error| SrvError::Unreachable {
                        service: plan.service.to_owned(),
                        tried: vec![error.to_string()],
                    })?;
            match first_to_answer(&endpoints, by, &mut tried).await {
                Some(connection) => return Ok(connection),
                None => tracing::debug!(%target, port, "a target of a service does not answer"),
            }
        }
        Err(SrvError::Unreachable {
            service: plan.service.to_owned(),
            tried,
        })
    }

    /// The targets in order, or the domain itself.
    async fn targets(&self, plan: &Plan<'_>) -> Result<Vec<(Name, u16)>, SrvError> {
        let found = self.resolver.srv(plan.service).await;
        let targets = match (found, plan.default_port) {
            (Ok(targets), _) => targets,
            (Err(error), Some(port)) if error.is_negative() => {
                let domain = Name::from_utf8(plan.domain());
                let domain = domain.map_err(|error| LookupError::BadName {
                    why: error.to_string(),
                })?;
                return Ok(vec![(domain, port)]);
            }
            (Err(error), _) => return Err(error.into()),
        };
        if targets.is_empty() {
            return Err(SrvError::NotOffered {
                service: plan.service.to_owned(),
            });
        }
        let targets = targets.into_iter().take(MOST_TARGETS);
        Ok(targets.map(|srv| (srv.target, srv.port)).collect())
    }
}

/// What an endpoint asks for.
struct Plan<'a> {
    service: &'a str,
    default_port: Option<u16>,
    /// Options of the endpoint that is connected to in the end, each with a colon before it.
    options: String,
    /// Its scheme.
    over: String,
}

impl Plan<'_> {
    /// The name behind `_SERVICE._PROTO.`.
    fn domain(&self) -> &str {
        let mut rest = self.service;
        while let Some((label, behind)) = rest.split_once('.')
            && label.starts_with('_')
        {
            rest = behind;
        }
        rest.strip_suffix('.').unwrap_or(rest)
    }

    fn endpoint(
        &self,
        address: IpAddr,
        port: u16,
    ) -> Result<ClientEndpoint, ropewalk_core::endpoint::ParseError> {
        let (over, options) = (&self.over, &self.options);
        match address {
            IpAddr::V4(ip) => format!("{over}:{ip}:{port}{options}").parse(),
            IpAddr::V6(ip) => format!("{over}:[{ip}]:{port}{options}").parse(),
        }
    }

    fn read<'a>(scheme: &SrvScheme, text: &'a Description) -> Result<Plan<'a>, ConnectError> {
        const EXPECTED: &str = "srv:_SERVICE._PROTO.DOMAIN";
        let mut fields = text.positionals();
        let service = fields.next().unwrap_or_default();
        if service.is_empty() {
            return Err(text.refuse("service", service, EXPECTED).into());
        }
        let flags: Vec<&str> = fields.collect();
        let is_tls = flags.iter().any(|flag| flag.eq_ignore_ascii_case("tls"));
        let mut plan = Plan {
            service,
            default_port: None,
            options: String::new(),
            over: match is_tls {
                true => "tls".to_owned(),
                false => scheme.over.to_string(),
            },
        };
        if is_tls && text.keyword("sni").is_none() {
            plan.options = format!(":sni={}", quote(plan.domain()));
        }
        for flag in flags
            .iter()
            .filter(|flag| !flag.eq_ignore_ascii_case("tls"))
        {
            plan.options.push_str(&format!(":{}", quote(flag)));
        }
        for (name, value) in text.keywords() {
            if name == "port" {
                let port = value.parse().ok().filter(|port| *port > 0);
                let bad = || text.refuse("port", value, "a number from 1 to 65535");
                plan.default_port = Some(port.ok_or_else(bad)?);
            } else {
                plan.options.push_str(&format!(":{name}={}", quote(value)));
            }
        }
        // What the options are worth shows now, and not with the first target.
        plan.endpoint(IpAddr::from([192, 0, 2, 1]), 1)
            .map_err(|error| text.refuse("option", "", error.to_string()))?;
        Ok(plan)
    }
}

/// How targets are connected to.
#[derive(Clone, Copy)]
enum By<'a> {
    Options(&'a ConnectOptions),
    /// The way that the endpoint says: it may stand behind a proxy.
    Route(&'a Route<'a>),
}

impl By<'_> {
    async fn connect(self, endpoint: &ClientEndpoint) -> Result<Connection, ConnectError> {
        match self {
            By::Options(options) => endpoint.connect_with(options).await,
            By::Route(route) => route.connect(endpoint).await,
        }
    }
}

/// Connects to the first that answers: each has a head start over the next.
async fn first_to_answer(
    endpoints: &[ClientEndpoint],
    by: By<'_>,
    tried: &mut Vec<String>,
) -> Option<Connection> {
    let mut waiting = endpoints.iter();
    let mut attempts = FuturesUnordered::new();
    loop {
        let next = waiting.next();
        let is_last = next.is_none();
        attempts.extend(next.map(|endpoint| by.connect(endpoint)));
        if attempts.is_empty() {
            return None;
        }
        let head_start = async {
            match is_last {
                true => std::future::pending().await,
                false => tokio::time::sleep(STAGGER).await,
            }
        };
        tokio::select! {
            biased;
            Some(result) = attempts.next() => match result {
                Ok(connection) => return Some(connection),
                // A refusal lets the next one begin at once.
                Err(error) => tried.push(error.to_string()),
            },
            () = head_start => {}
        }
    }
}

impl Scheme for SrvScheme {
    fn name(&self) -> &str {
        "srv"
    }

    fn connect<'a>(
        &'a self,
        description: &'a Description,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let plan = Plan::read(self, description)?;
            self.carry_out(&plan, By::Route(route))
                .await
                .map_err(|error| match error {
                    SrvError::NotOffered { .. } => {
                        ConnectError::unsupported(description, error.to_string())
                    }
                    error => {
                        let error = std::io::Error::other(error);
                        ConnectError::new(description.to_string(), error)
                    }
                })
        })
    }
}

impl fmt::Debug for SrvScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrvScheme")
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Targets that are tried: whoever writes the records would have us knock on many doors.
const MOST_TARGETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<String, String> {
        let resolver = Resolver::new([]);
        let scheme = SrvScheme::new(resolver);
        let endpoint: ClientEndpoint = text.parse().map_err(|e| format!("{e}"))?;
        let plan = Plan::read(&scheme, endpoint.description().unwrap());
        let plan = plan.map_err(|error| error.to_string())?;
        let endpoint = plan.endpoint("2001:db8::1".parse().unwrap(), 993).unwrap();
        Ok(endpoint.to_string())
    }

    #[test]
    fn strings_say_how_targets_are_reached() {
        assert_eq!(
            plan("srv:_a._tcp.example.org"),
            Ok("tcp:[2001:db8::1]:993".into())
        );
        assert_eq!(
            plan("srv:_imaps._tcp.example.org.:tls:timeout=5:port=993"),
            Ok("tls:[2001:db8::1]:993:timeout=5:sni=example.org".into())
        );
        assert_eq!(
            plan("srv:_a._tcp.x.test:tls:sni=y.test:insecure-no-verify"),
            Ok("tls:[2001:db8::1]:993:sni=y.test:insecure-no-verify".into())
        );
        for text in [
            "srv:",
            "srv:_a._tcp.x.test:port=0",
            "srv:_a._tcp.x.test:nonsense=1",
        ] {
            assert!(plan(text).is_err(), "{text}");
        }
    }
}
