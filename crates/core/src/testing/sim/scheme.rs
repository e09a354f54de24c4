//! `sim:`, the endpoints of a simulated network.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    str::FromStr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    datagram::SimSocket,
    network::Network,
    state::{Side, State},
    stream::SimStream,
};
use crate::{
    Accepted, Address, Bound, ConnectError, Connection, DatagramSocket, ListenError, Listener,
    Peer, Route, Scheme, Schemes,
    endpoint::{Description, ParseError},
    schemes::UnknownHost,
    work::BoxFuture,
};

/// How long connecting may take, unless the endpoint says so; as for `tcp:`.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Connections that wait to be accepted, unless the endpoint says so.
const BACKLOG: usize = 1024;

/// `sim:` as one host has it.
pub(super) struct Sim {
    pub(super) network: Network,
    pub(super) host: usize,
    pub(super) boot: u64,
}

impl Scheme for Sim {
    fn name(&self) -> &str {
        "sim"
    }

    /// `sim:PORT`, `sim:HOST:PORT` where that is this host; with `backlog=`.
    fn listen<'a>(
        &'a self,
        description: &'a Description,
        _: &'a Schemes,
    ) -> BoxFuture<'a, Result<Bound, ListenError>> {
        Box::pin(async move {
            let port = self.own_port(description)?;
            let backlog = number(description, "backlog", BACKLOG, "a number from 1", |n| {
                *n > 0
            })?;
            let local = self
                .take(|state, host| state.listen(host, port, backlog))
                .map_err(|kind| ListenError::new(description.to_string(), kind.into()))?;
            Ok(Bound::new(SimListener {
                network: self.network.clone(),
                host: self.host,
                boot: self.boot,
                local,
            }))
        })
    }

    /// `sim:HOST:PORT`, with `timeout=SECONDS`.
    fn connect<'a>(
        &'a self,
        description: &'a Description,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let (host, port) = far(description)?;
            let seconds = TIMEOUT.as_secs_f64();
            let is_time = |s: &f64| *s > 0.0 && Duration::try_from_secs_f64(*s).is_ok();
            let timeout = number(description, "timeout", seconds, "seconds, above 0", is_time)?;
            let timeout = Duration::from_secs_f64(timeout);
            let attempt = tokio::time::timeout(timeout, self.reach(host, port));
            let result = attempt.await.unwrap_or(Err(io::ErrorKind::TimedOut.into()));
            let Accepted {
                stream,
                peer,
                local,
            } = result.map_err(|source| ConnectError::new(description.to_string(), source))?;
            let limits = Arc::new(route.options().limits.clone());
            Ok(Connection::with_limits(stream, peer, local, limits))
        })
    }

    /// As [`listen`](Self::listen), without options.
    fn listen_datagrams<'a>(
        &'a self,
        description: &'a Description,
        _: &'a Schemes,
    ) -> BoxFuture<'a, Result<Box<dyn DatagramSocket>, ListenError>> {
        Box::pin(async move {
            let port = self.own_port(description)?;
            no_other(description, None)?;
            let local = self
                .take(|state, host| state.open_datagrams(host, port, None))
                .map_err(|kind| ListenError::new(description.to_string(), kind.into()))?;
            Ok(self.socket(local, None))
        })
    }

    /// As [`connect`](Self::connect), without options: there is nothing to
    /// wait for.
    fn connect_datagrams<'a>(
        &'a self,
        description: &'a Description,
        _: &'a Schemes,
    ) -> BoxFuture<'a, Result<Box<dyn DatagramSocket>, ConnectError>> {
        Box::pin(async move {
            let (host, port) = far(description)?;
            no_other(description, None)?;
            let failed = |source| ConnectError::new(description.to_string(), source);
            let ip = {
                let state = self.network.state();
                let id = state.resolve(self.host, host);
                id.map(|id| state.hosts[id].ip)
                    .ok_or_else(|| failed(io::Error::other(UnknownHost)))?
            };
            let peer = Some((ip, port).into());
            let local = self
                .take(|state, host| state.open_datagrams(host, 0, peer))
                .map_err(|kind| failed(kind.into()))?;
            Ok(self.socket(local, peer))
        })
    }
}

impl Sim {
    /// The port of this host that a server's endpoint names.
    fn own_port(&self, description: &Description) -> Result<u16, ListenError> {
        let fields: Vec<&str> = description.positionals().collect();
        let (host, port) = match fields[..] {
            [port] => (None, port),
            [host, port] => (Some(host), port),
            _ => return Err(description.refuse("port", "", "sim:PORT").into()),
        };
        let number = port
            .parse()
            .map_err(|_| description.refuse("port", port, "a number from 0 to 65535"))?;
        let state = self.network.state();
        match host {
            Some(host) if state.resolve(self.host, host) != Some(self.host) => {
                let kind = io::ErrorKind::AddrNotAvailable;
                Err(ListenError::new(description.to_string(), kind.into()))
            }
            _ => Ok(number),
        }
    }

    /// Takes something of this host, unless it has crashed or that is taken.
    fn take<T>(
        &self,
        take: impl FnOnce(&mut State, usize) -> Option<T>,
    ) -> Result<T, io::ErrorKind> {
        let mut state = self.network.state();
        if state.is_dead(self.host, self.boot) {
            return Err(io::ErrorKind::NetworkDown);
        }
        take(&mut state, self.host).ok_or(io::ErrorKind::AddrInUse)
    }

    fn socket(&self, local: SocketAddr, peer: Option<SocketAddr>) -> Box<dyn DatagramSocket> {
        Box::new(SimSocket {
            network: self.network.clone(),
            host: self.host,
            boot: self.boot,
            local,
            peer,
        })
    }

    async fn reach(&self, host: &str, port: u16) -> io::Result<Accepted> {
        let (id, stream) = {
            let mut state = self.network.state();
            if state.is_dead(self.host, self.boot) {
                return Err(io::ErrorKind::NetworkDown.into());
            }
            let to = state
                .resolve(self.host, host)
                .ok_or_else(|| io::Error::other(UnknownHost))?;
            let id = state.connect(self.host, to, port);
            // Dropped before it is open, it gives up connecting.
            (id, SimStream::new(self.network.clone(), id, Side::Client))
        };
        let (near, far) = poll_fn(|cx| self.network.state().poll_connect(id, cx)).await?;
        Ok(Accepted::new(stream, Peer::new(far), near.into()))
    }
}

/// The host and port that a client's endpoint names.
fn far(description: &Description) -> Result<(&str, u16), ParseError> {
    let fields: Vec<&str> = description.positionals().collect();
    let [host, port] = fields[..] else {
        return Err(description.refuse("port", "", "sim:HOST:PORT"));
    };
    let number = port.parse().ok().filter(|port| *port > 0);
    let number =
        number.ok_or_else(|| description.refuse("port", port, "a number from 1 to 65535"))?;
    Ok((host, number))
}

/// The only keyword that an endpoint may have.
fn number<T: FromStr>(
    description: &Description,
    name: &'static str,
    default: T,
    expected: &str,
    fits: impl FnOnce(&T) -> bool,
) -> Result<T, ParseError> {
    no_other(description, Some(name))?;
    let Some(value) = description.keyword(name) else {
        return Ok(default);
    };
    let number = value.parse().ok().filter(fits);
    number.ok_or_else(|| description.refuse(name, value, expected))
}

fn no_other(description: &Description, name: Option<&str>) -> Result<(), ParseError> {
    let mut others = description.keywords().filter(|(n, _)| Some(*n) != name);
    match (others.next(), name) {
        (None, _) => Ok(()),
        (Some((_, value)), Some(name)) => {
            Err(description.refuse("keyword", value, format!("no other than {name}")))
        }
        (Some((_, value)), None) => Err(description.refuse("keyword", value, "none")),
    }
}

struct SimListener {
    network: Network,
    host: usize,
    boot: u64,
    local: SocketAddr,
}

impl SimListener {
    fn next(&self) -> Option<Accepted> {
        let (id, peer) = self.network.state().accept(self.host, self.local.port())?;
        let stream = SimStream::new(self.network.clone(), id, Side::Server);
        Some(Accepted::new(stream, Peer::new(peer), self.local.into()))
    }
}

impl Listener for SimListener {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        if self.network.state().is_dead(self.host, self.boot) {
            return Poll::Ready(None);
        }
        if let Some(accepted) = self.next() {
            return Poll::Ready(Some(Ok(accepted)));
        }
        let mut state = self.network.state();
        if let Some(port) = state.hosts[self.host].ports.get_mut(&self.local.port()) {
            port.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn local(&self) -> Address {
        self.local.into()
    }

    fn finish(self: Box<Self>) -> Vec<Accepted> {
        if self.network.state().is_dead(self.host, self.boot) {
            return Vec::new();
        }
        std::iter::from_fn(|| self.next()).collect()
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.network.state();
        // After a crash the port may be somebody else's.
        if !state.is_dead(self.host, self.boot) {
            state.unlisten(self.host, self.local.port());
        }
    }
}
