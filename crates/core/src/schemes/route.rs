//! The way of a client: through the jumps of its endpoint, each on what those before it made.

use std::{fmt::Display, future::Future, sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt, time::timeout};

use super::{Accepted, ConnectError, ConnectOptions, ProxyRefusal, Schemes, fd, tcp, unix};
use crate::{
    Address, ClientEndpoint, Connection, Peer,
    endpoint::{ClientSpec, Host, Jump, JumpKind, ProxyConnect, TcpConnect},
    jumps::{
        Destination, Failure, Login, converse, http_connect::HttpConnect, proxy, socks5::Socks5,
    },
    process::Command,
    work::BoxFuture,
};

/// The jumps before an endpoint, and how to connect.
///
/// A [`Scheme`](super::Scheme) is given one, so that what it needs to reach is reached the way that
/// the endpoint says: `socks5:p:1080/ssh:me@bastion/tcp:inner:143` reaches `bastion` through the
/// proxy.
#[derive(Clone, Debug)]
pub struct Route<'a> {
    options: &'a ConnectOptions,
    /// The one nearest to the wire first.
    jumps: Vec<&'a Jump>,
}

impl<'a> Route<'a> {
    /// The shortest one.
    pub(crate) fn new(options: &'a ConnectOptions) -> Self {
        Self {
            options,
            jumps: Vec::new(),
        }
    }

    /// How to connect, as the program said.
    pub fn options(&self) -> &'a ConnectOptions {
        self.options
    }

    /// Connects to an endpoint this way.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn connect(&self, endpoint: &ClientEndpoint) -> Result<Connection, ConnectError> {
        let (route, last) = self.to(endpoint);
        let connect = route.reach(last, endpoint);
        match within(last.timeout(), connect).await {
            Some(result) => result,
            None => Err(ConnectError::timed_out(endpoint)),
        }
    }

    /// The way with the endpoint's own jumps, and where it leads in the end.
    fn to<'b>(&'b self, endpoint: &'b ClientEndpoint) -> (Route<'b>, &'b ClientEndpoint) {
        let mut route: Route<'b> = self.clone();
        let mut last = endpoint;
        while let ClientSpec::Jump(jump) = &last.spec {
            route.jumps.push(jump);
            last = &jump.inner;
        }
        (route, last)
    }

    /// Connects to what is no jump, TLS included. Errors call it by `name`.
    fn reach<'b>(
        &'b self,
        to: &'b ClientEndpoint,
        name: &'b ClientEndpoint,
    ) -> BoxFuture<'b, Result<Connection, ConnectError>> {
        Box::pin(async move {
            if let ClientSpec::Other(description) = &to.spec {
                let scheme = self.options.schemes.added(description.scheme(), name)?;
                return scheme.connect(description, self).await;
            }
            let plain = self.plain(to, name).await?;
            match &to.spec {
                #[cfg(feature = "tls")]
                ClientSpec::Tls(tls) => {
                    let (client, tls_name) = self.options.tls_for(to, tls, name)?;
                    let wrapped = plain.wrap(|stream| client.connect(stream, tls_name)).await;
                    wrapped.map_err(|source| ConnectError::handshake(name, source))
                }
                _ => Ok(plain),
            }
        })
    }

    /// Connects to what is no jump, without TLS.
    fn plain<'b>(
        &'b self,
        to: &'b ClientEndpoint,
        name: &'b ClientEndpoint,
    ) -> BoxFuture<'b, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let Some((last, before)) = self.jumps.split_last() else {
                return self.direct(to, name).await;
            };
            let before = Route {
                options: self.options,
                jumps: before.to_vec(),
            };
            match &last.kind {
                JumpKind::Haproxy(haproxy) => {
                    let mut conn = before.plain(to, name).await?;
                    let behalf = self.options.on_behalf_of.as_ref();
                    proxy::send(&mut conn, haproxy.version, behalf)
                        .await
                        .map_err(|source| ConnectError::new(name.to_string(), source))?;
                    Ok(conn)
                }
                JumpKind::Socks5(proxy) | JumpKind::HttpConnect(proxy) => {
                    let asked = before.through(last, proxy, to, name);
                    match within(proxy.at.timeout(), asked).await {
                        Some(result) => result,
                        None => Err(ConnectError::timed_out(&proxy_name(last, proxy))),
                    }
                }
                JumpKind::Added(description) => {
                    let scheme = self.options.schemes.added(description.scheme(), name)?;
                    scheme.jump(description, &to.without_tls(), &before).await
                }
            }
        })
    }

    /// Asks a proxy, which is reached this way, for a host and port.
    async fn through(
        &self,
        jump: &Jump,
        proxy: &ProxyConnect,
        to: &ClientEndpoint,
        name: &ClientEndpoint,
    ) -> Result<Connection, ConnectError> {
        let Some(tcp) = to.tcp() else {
            let why = format!("{} leads to hosts and ports", proxy_name(jump, proxy));
            return Err(ConnectError::unsupported(name, why));
        };
        let login = login(proxy, name).await?;
        let mut refused = None;
        for destination in destinations(proxy, tcp, &self.options.schemes, name).await? {
            let mut conn = self.reach(&proxy.at, &proxy.at).await?;
            let login = login.clone();
            let said = match &jump.kind {
                JumpKind::HttpConnect(_) => {
                    let mut http = HttpConnect::new(&destination, tcp.port, login.as_ref());
                    converse(&mut http, &mut conn).await
                }
                _ => {
                    let mut socks = Socks5::new(destination.clone(), tcp.port, login);
                    converse(&mut socks, &mut conn).await
                }
            };
            let reason = match said {
                Ok(()) => return Ok(self.arrived(conn, destination, tcp.port)),
                Err(Failure::Io(source)) => {
                    return Err(ConnectError::new(name.to_string(), source));
                }
                Err(Failure::Ended) => ProxyRefusal::Closed,
                Err(Failure::Refused(reason)) => reason,
            };
            // Another address may be more to its liking.
            refused = Some(ConnectError::Proxy {
                endpoint: name.to_string(),
                proxy: proxy_name(jump, proxy),
                reason,
            });
        }
        Err(refused.unwrap_or_else(|| ConnectError::unknown_host(name)))
    }

    /// The connection as what it has become: one with the destination.
    fn arrived(&self, conn: Connection, destination: Destination, port: u16) -> Connection {
        let address = match destination {
            Destination::Address(ip) => Address::Inet((ip, port).into()),
            Destination::Name(name) => Address::Other(format!("{name}:{port}").into()),
        };
        let local = conn.local().clone();
        // Nothing was read beyond the proxy's answer.
        let (stream, _) = conn.into_parts();
        self.made(Accepted::new(stream, Peer::new(address), local))
    }

    /// Connects with no jump in between.
    async fn direct(
        &self,
        to: &ClientEndpoint,
        name: &ClientEndpoint,
    ) -> Result<Connection, ConnectError> {
        let accepted = match &to.spec {
            ClientSpec::Tcp(tcp) => tcp::connect(tcp, &self.options.schemes).await,
            #[cfg(feature = "tls")]
            ClientSpec::Tls(tls) => tcp::connect(&tls.tcp, &self.options.schemes).await,
            #[cfg(not(feature = "tls"))]
            ClientSpec::Tls(_) => return Err(ConnectError::unsupported(name, "built without TLS")),
            ClientSpec::Unix(unix) => unix::connect(unix).await,
            ClientSpec::Fd(number) => fd::connect(*number),
            ClientSpec::Exec(command) => {
                let program = Command::new(&command.program).args(&command.args);
                let address = Address::Process(command.text.as_str().into());
                let child = program.launch().map(|(_, child)| child);
                child.map(|child| Accepted::new(child, Peer::new(address), Address::Stdio))
            }
            ClientSpec::Mem(name) => self.options.schemes.memory.connect(name).await,
            ClientSpec::Udp(_) | ClientSpec::UnixDatagram(_) => {
                let why = "datagrams are exchanged by `start_datagrams`";
                return Err(ConnectError::unsupported(name, why));
            }
            ClientSpec::Jump(_) | ClientSpec::Other(_) => unreachable!("taken apart before"),
        };
        let accepted = accepted.map_err(|source| ConnectError::new(name.to_string(), source))?;
        Ok(self.made(accepted))
    }

    fn made(&self, made: Accepted) -> Connection {
        let limits = Arc::new(self.options.limits.clone());
        Connection::with_limits(made.stream, made.peer, made.local, limits)
    }
}

impl ClientEndpoint {
    /// The endpoint behind all jumps.
    #[cfg(feature = "tls")]
    pub(super) fn last(&self) -> &Self {
        self.inner().map_or(self, Self::last)
    }

    fn tcp(&self) -> Option<&TcpConnect> {
        match &self.spec {
            ClientSpec::Tcp(tcp) => Some(tcp),
            ClientSpec::Tls(tls) => Some(&tls.tcp),
            _ => None,
        }
    }

    /// The stream under it.
    fn without_tls(&self) -> Self {
        match &self.spec {
            ClientSpec::Tls(tls) => Self {
                spec: ClientSpec::Tcp(tls.tcp.clone()),
            },
            _ => self.clone(),
        }
    }

    /// The time for all of connecting.
    fn timeout(&self) -> Duration {
        match &self.spec {
            ClientSpec::Unix(unix) => unix.timeout,
            // A scheme of somebody else's keeps its own time.
            _ => self.tcp().map_or(Duration::MAX, |tcp| tcp.timeout),
        }
    }
}

/// What comes in time.
async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> Option<T> {
    timeout(limit, what).await.ok()
}

/// A proxy as errors call it: `socks5:proxy:1080`.
fn proxy_name(jump: &Jump, proxy: &ProxyConnect) -> String {
    let at: &dyn Display = match &proxy.at.spec {
        ClientSpec::Unix(unix) => &unix.path,
        _ => match proxy.at.tcp() {
            Some(tcp) => return format!("{}:{}:{}", jump.scheme(), tcp.host, tcp.port),
            None => &proxy.at,
        },
    };
    format!("{}:unix={at}", jump.scheme())
}

/// What to ask the proxy for, one after the other: the name, or its addresses if they are looked up
/// here.
async fn destinations(
    proxy: &ProxyConnect,
    tcp: &TcpConnect,
    schemes: &Schemes,
    name: &ClientEndpoint,
) -> Result<Vec<Destination>, ConnectError> {
    match &tcp.host {
        Host::Address(address) => Ok(vec![Destination::Address(address.ip)]),
        Host::Name(host) if !proxy.resolve_locally => Ok(vec![Destination::Name(host.clone())]),
        host => {
            let found = tcp::resolve(host, tcp.port, schemes).await;
            let found = found.map_err(|source| ConnectError::new(name.to_string(), source))?;
            Ok(found
                .into_iter()
                .map(|a| Destination::Address(a.ip()))
                .collect())
        }
    }
}

/// Who asks, with the password from its file.
async fn login(proxy: &ProxyConnect, name: &ClientEndpoint) -> Result<Option<Login>, ConnectError> {
    let (Some(user), Some(path)) = (&proxy.user, &proxy.password) else {
        return Ok(None);
    };
    let failed = |source| ConnectError::Password {
        endpoint: name.to_string(),
        path: path.clone(),
        source,
    };
    let bad = |why: &str| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut text = Vec::new();
    let most = MAX_PASSWORD as u64 + 2;
    file.take(most)
        .read_to_end(&mut text)
        .await
        .map_err(failed)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(password) = str::from_utf8(line) else {
        return Err(bad("its first line is no text"));
    };
    if password.is_empty() || password.len() > MAX_PASSWORD {
        return Err(bad("expected a first line of 1 to 255 bytes"));
    }
    Ok(Some(Login {
        user: user.clone(),
        password: password.to_owned(),
    }))
}

/// RFC 1929 counts a password in one byte.
const MAX_PASSWORD: usize = 255;
