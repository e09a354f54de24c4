//! `sim:`, the endpoints of a simulated network.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{network::Network, state::Side, stream::SimStream};
use crate::{
    Accepted, Address, Bound, ConnectError, Connection, ListenError, Listener, Peer, Route, Scheme,
    Schemes, endpoint::Description, schemes::UnknownHost, work::BoxFuture,
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
            let fields: Vec<&str> = description.positionals().collect();
            let (host, port) = match fields[..] {
                [port] => (None, port),
                [host, port] => (Some(host), port),
                _ => return Err(description.refuse("port", "", "sim:PORT").into()),
            };
            let number: u16 = port
                .parse()
                .map_err(|_| description.refuse("port", port, "a number from 0 to 65535"))?;
            let mut backlog = BACKLOG;
            for (name, value) in description.keywords() {
                backlog = match (name, value.parse()) {
                    ("backlog", Ok(number)) if number > 0 => number,
                    ("backlog", _) => {
                        return Err(description
                            .refuse("backlog", value, "a number from 1")
                            .into());
                    }
                    _ => {
                        return Err(description
                            .refuse("keyword", value, "no other than backlog")
                            .into());
                    }
                };
            }
            let failed =
                |kind: io::ErrorKind| ListenError::new(description.to_string(), kind.into());
            let mut state = self.network.state();
            let own = host.is_none_or(|host| state.resolve(self.host, host) == Some(self.host));
            if !own {
                return Err(failed(io::ErrorKind::AddrNotAvailable));
            }
            if state.is_dead(self.host, self.boot) {
                return Err(failed(io::ErrorKind::NetworkDown));
            }
            let local = state
                .listen(self.host, number, backlog)
                .ok_or_else(|| failed(io::ErrorKind::AddrInUse))?;
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
            let fields: Vec<&str> = description.positionals().collect();
            let [host, port] = fields[..] else {
                return Err(description.refuse("port", "", "sim:HOST:PORT").into());
            };
            let port: u16 = port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(|| description.refuse("port", port, "a number from 1 to 65535"))?;
            let mut timeout = TIMEOUT;
            for (name, value) in description.keywords() {
                let seconds = value.parse::<f64>().ok().filter(|s| *s > 0.0);
                timeout = match (name, seconds.map(Duration::try_from_secs_f64)) {
                    ("timeout", Some(Ok(time))) => time,
                    ("timeout", _) => {
                        return Err(description
                            .refuse("timeout", value, "seconds, above 0")
                            .into());
                    }
                    _ => {
                        return Err(description
                            .refuse("keyword", value, "no other than timeout")
                            .into());
                    }
                };
            }
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
}

impl Sim {
    async fn reach(&self, host: &str, port: u16) -> io::Result<Accepted> {
        let stream = {
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
        let (id, stream) = stream;
        let (near, far) = poll_fn(|cx| self.network.state().poll_connect(id, cx)).await?;
        Ok(Accepted::new(stream, Peer::new(far), near.into()))
    }
}

struct SimListener {
    network: Network,
    host: usize,
    boot: u64,
    local: std::net::SocketAddr,
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
