//! A server: what it is given, what it shows of itself, and how it ends.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    Address, Allowance, Bound, ConnectionId, ConnectionInfo, Handler, Layer, Limits, ListenError,
    Listener, Metrics, Result, Schemes, ServerEndpoint,
    accept::{Accepting, Service},
    endpoint::quote,
    jumps::proxy::Headers,
    registry::{Registry, Stage},
    shards::{self, Shard},
};

/// How a server that ends by a signal drains: announce, then wait.
pub(crate) const ANNOUNCE: Duration = Duration::from_secs(1);
pub(crate) const GRACE: Duration = Duration::from_secs(9);

/// How long a drain waits for tasks that were aborted to be dropped.
const DROPPED: Duration = Duration::from_millis(500);

impl ServerEndpoint {
    /// Listens, and serves every connection with `handler`.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen(&self, handler: impl Handler) -> Result<Server, ListenError> {
        self.listen_with(handler, ServerOptions::default()).await
    }

    /// Listens with limits other than the default ones, or with other options.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen_with(
        &self,
        handler: impl Handler,
        options: impl Into<ServerOptions>,
    ) -> Result<Server, ListenError> {
        let options = options.into();
        let (bound, shards) = match options.shards {
            0 => (options.schemes.listen(self).await?, Vec::new()),
            count => shards::listen(self, &options.schemes, count).await?,
        };
        options.serve(self, bound, shards, handler)
    }
}

/// How a server serves, beyond what its endpoint says.
///
/// [`Limits`] alone are options too.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerOptions {
    /// What it allows. Default [`Limits::default`].
    pub limits: Limits,
    /// What schemes mean. Default [`Schemes::global`].
    pub schemes: Schemes,
    /// The TLS side of a `tls:` endpoint that names no certificate.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::tls::TlsServer>,
    /// What every connection passes through, the outermost first, after the
    /// layers of the endpoint itself.
    pub layers: Vec<Arc<dyn Layer>>,
    /// What it is called in metrics and lists of connections. Default `server`.
    pub service: Arc<str>,
    /// What it allows together with other servers that have a clone of the
    /// same. Default none: [`limits`](Self::limits) alone.
    pub allowance: Option<Allowance>,
    /// Where it is measured. Default nowhere.
    pub metrics: Option<Metrics>,
    /// Serve on so many threads, each with a socket of its own on the same port
    /// (SO_REUSEPORT) and a runtime of its own: `tcp:` and `tls:` on systems
    /// that spread connections over such sockets, as Linux does. A processor's
    /// number of threads is what one would take. Default 0: on the runtime that
    /// calls `listen`.
    ///
    /// What a shard's connections spawn runs on the shard. Another program of
    /// the same user that asks for it can have a part of the port: what is
    /// listened on twice by mistake is not noticed.
    pub shards: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Limits> for ServerOptions {
    fn from(limits: Limits) -> Self {
        Self {
            limits,
            schemes: Schemes::global(),
            #[cfg(feature = "tls")]
            tls: None,
            layers: Vec::new(),
            service: "server".into(),
            allowance: None,
            metrics: None,
            shards: 0,
        }
    }
}

impl From<Schemes> for ServerOptions {
    fn from(schemes: Schemes) -> Self {
        Self {
            schemes,
            ..Self::default()
        }
    }
}

impl fmt::Debug for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerOptions")
            .field("service", &self.service)
            .field("limits", &self.limits)
            .field("allowance", &self.allowance)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl ServerOptions {
    fn serve(
        self,
        endpoint: &ServerEndpoint,
        bound: Bound,
        shards: Vec<(Shard, Option<Box<dyn Listener>>)>,
        handler: impl Handler,
    ) -> Result<Server, ListenError> {
        let mut layers = bound.layers;
        #[cfg(feature = "tls")]
        let clients = bound.tls.as_ref().and_then(|asked| asked.clients.clone());
        #[cfg(feature = "tls")]
        let tls = match bound.tls {
            Some(asked) => {
                let tls = asked.or(self.tls, endpoint)?;
                layers.insert(0, Arc::new(tls.clone()));
                Some(tls)
            }
            None => None,
        };
        layers.extend(self.layers);
        let headers = (!bound.headers.is_empty()).then(|| Arc::new(Headers(bound.headers)));
        if let Some(headers) = &headers {
            layers.insert(0, headers.clone());
        }
        let registry = Registry::new(self.limits, self.service, self.allowance);
        let local = bound.listener.local();
        let local_endpoint = endpoint.shown(&local);
        if let Some(metrics) = &self.metrics {
            metrics.watch(local_endpoint.clone(), &registry);
        }
        let service = Arc::new(Service { handler, layers });
        let accept = |listener, shard: Option<&Shard>| {
            let (stop, stopped) = oneshot::channel();
            let accepting =
                Accepting::new(listener, registry.clone(), service.clone(), headers.clone());
            let (over, ended) = watch::channel(());
            let accepting = async move {
                // Gone with the loop, also if that panics.
                let _over = over;
                accepting.run(stopped).await;
            };
            AcceptLoop {
                stop: Mutex::new(Some(stop)),
                ended,
                task: match shard {
                    Some(shard) => shard.runtime.spawn(accepting),
                    None => tokio::spawn(accepting),
                },
            }
        };
        let first = shards.first().map(|(shard, _)| shard);
        let mut accepting = vec![accept(bound.listener, first)];
        let mut threads = Vec::new();
        for (shard, listener) in shards {
            accepting.extend(listener.map(|listener| accept(listener, Some(&shard))));
            threads.push(shard);
        }
        Ok(Server {
            local_endpoint,
            local,
            registry,
            accepting,
            shards: threads,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "tls")]
            clients,
        })
    }
}

impl ServerEndpoint {
    /// What listens there, as a string that is accepted back.
    fn shown(&self, local: &Address) -> String {
        if let Some(inner) = self.inner() {
            return inner.shown(local);
        }
        place(self.scheme(), local)
    }
}

/// What listens there, as a string that is accepted back.
pub(crate) fn place(scheme: &str, local: &Address) -> String {
    let unix = match scheme {
        "unix-datagram" => scheme,
        _ => "unix",
    };
    match (local, scheme) {
        (Address::Stdio, _) => "stdio:".to_owned(),
        (Address::Inet(address), "fd" | "systemd") => format!("tcp:{address}"),
        (Address::Unix(Some(path)), _) => {
            shortest(format!("{unix}:{}", quote(&path.display().to_string())))
        }
        (Address::Abstract(name), _) => {
            let name = String::from_utf8_lossy(name);
            shortest(format!("{unix}:@{}", quote(&name)))
        }
        (Address::Memory(name), _) => shortest(format!("mem:{}", quote(name))),
        (address, scheme) => format!("{scheme}:{address}"),
    }
}

/// `quote` escapes for any place; an endpoint prints itself with the fewest
/// escapes. What does not parse stays, such as a path with a line's end in it.
fn shortest(endpoint: String) -> String {
    endpoint
        .parse()
        .map_or(endpoint, |parsed: ServerEndpoint| parsed.to_string())
}

/// A server that listens.
///
/// Dropping it ends it at once, with its connections; [`drain`](Self::drain)
/// and [`until_signal`](Self::until_signal) end it well.
#[must_use = "a server that is dropped stops at once"]
pub struct Server {
    local_endpoint: String,
    local: Address,
    registry: Arc<Registry>,
    accepting: Vec<AcceptLoop>,
    /// Threads of its own, if it is sharded. They end with it.
    shards: Vec<Shard>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::TlsServer>,
    /// What its endpoint asks of clients (`client-ca=`).
    #[cfg(feature = "tls")]
    clients: Option<Arc<crate::tls::Clients>>,
}

/// The accept loop of one socket.
struct AcceptLoop {
    stop: Mutex<Option<oneshot::Sender<()>>>,
    /// Closed once it is over.
    ended: watch::Receiver<()>,
    task: JoinHandle<()>,
}

/// What a drain had to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leftover {
    /// Connections that were cut when its time was over.
    pub cut: usize,
}

impl Server {
    /// Where it listens; the real port where 0 asked for any.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Where it listens, as a server's endpoint string without options and
    /// jumps: `tcp:127.0.0.1:8080`, `unix:/run/x.sock`. A socket that was
    /// passed on (`fd:`, `systemd:`) is called what it is.
    pub fn local_endpoint(&self) -> String {
        self.local_endpoint.clone()
    }

    /// The port it listens on, where it has one.
    pub fn port(&self) -> Option<u16> {
        self.local.inet().map(|a| a.port())
    }

    /// The open connections, the oldest first.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.registry.connections()
    }

    /// How many connections are open, were accepted, and were turned away.
    pub fn counts(&self) -> Counts {
        self.registry.counts()
    }

    /// Ends one connection at once; false if there is none of that number.
    pub fn kill(&self, id: ConnectionId) -> bool {
        self.registry.kill(id)
    }

    /// Serves new connections as `tls` would, with another certificate as a
    /// rule. What the endpoint itself asks of clients (`client-ca=`) stays in
    /// force. False if this server does not speak TLS, or `tls` is a
    /// configuration of rustls that cannot be asked for that; then nothing
    /// changes.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self, tls: &crate::tls::TlsServer) -> bool {
        let replace = |own: &crate::tls::TlsServer| {
            own.replace_keeping(tls, self.clients.as_ref())
                .inspect_err(|error| tracing::error!(%error, "the certificate is not replaced"))
                .is_ok()
        };
        self.tls.as_ref().is_some_and(replace)
    }

    /// Reads the files of its certificates again, for new connections: see
    /// [`TlsServer::reload`](crate::tls::TlsServer::reload). For SIGHUP. Nothing
    /// happens where it does not speak TLS, or came by no files.
    ///
    /// # Errors
    /// [`TlsError`](crate::tls::TlsError) names the file. What it was to
    /// replace is kept.
    #[cfg(feature = "tls")]
    pub fn reload_certificates(&self) -> Result<(), crate::tls::TlsError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// Its side of TLS, where the listener speaks it: among others, to count
    /// [handshakes](crate::tls::TlsServer::handshakes).
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> Option<&crate::tls::TlsServer> {
        self.tls.as_ref()
    }

    /// Waits until `enough` is true of the number of open connections, as they
    /// begin and end.
    pub async fn until_connections(&self, enough: impl Fn(usize) -> bool) {
        self.registry.until(enough).await;
    }

    /// Ends well, in three steps: announces, so that each connection says
    /// goodbye, while new ones are still accepted, for `announce` at most;
    /// stops accepting, after what the backlog holds; waits for `grace` at
    /// most, and cuts the rest. What a handler gave to a task of its own cannot
    /// be cut; it is waited for half a second more.
    pub async fn drain(self, announce: Duration, grace: Duration) -> Leftover {
        self.drain_shared(announce, grace).await
    }

    /// As [`drain`](Self::drain), by one of its owners; others may look on.
    pub(crate) async fn drain_shared(&self, announce: Duration, grace: Duration) -> Leftover {
        self.registry.drain(Stage::Announced);
        let _ = timeout(announce, self.registry.until(|open| open == 0)).await;
        self.stop_accepting().await;
        self.registry.drain(Stage::Stopped);
        let _ = timeout(grace, self.registry.until(|open| open == 0)).await;
        let cut = self.registry.kill_all();
        // An aborted task is dropped at its next turn. A connection that its
        // handler gave to another task cannot be ended from here, and must not
        // keep the program from its end.
        let dropped = self.registry.until(|open| open == 0);
        if timeout(DROPPED, dropped).await.is_err() {
            let connections = self.registry.len();
            tracing::warn!(
                connections,
                "could not be cut: a task of their own has them"
            );
        }
        Leftover { cut }
    }

    /// Serves until the program is told to end (SIGINT, SIGTERM), or until the
    /// only connection of a `stdio:` endpoint has ended; then drains, one
    /// second to announce and nine more. A second signal cuts that short.
    ///
    /// # Errors
    /// [`Interrupted`](crate::Interrupted) at a second signal.
    pub async fn until_signal(self) -> Result {
        let signals = crate::signals::Signals::new()?;
        tokio::select! {
            () = signals.first() => {}
            () = self.exhausted() => return Ok(()),
        }
        let leftover = signals.unless_second(self.drain(ANNOUNCE, GRACE)).await?;
        if leftover.cut > 0 {
            tracing::warn!(connections = leftover.cut, "cut at the end of the drain");
        }
        Ok(())
    }

    /// Waits until no connection will come any more and none is open.
    pub async fn until_exhausted(&mut self) {
        self.exhausted().await;
    }

    pub(crate) async fn exhausted(&self) {
        // An accept loop that panicked will accept no more either.
        self.until_none_accepts().await;
        self.registry.until(|open| open == 0).await;
    }

    /// Whether nobody told it to stop accepting yet.
    pub(crate) fn is_serving(&self) -> bool {
        self.accepting.iter().any(|a| a.stop().is_some())
    }

    /// Ends it at once, with its connections.
    pub(crate) fn cut(&self) {
        self.accepting.iter().for_each(|a| a.task.abort());
        self.registry.close();
    }

    async fn stop_accepting(&self) {
        // All at the same time: the kernel spreads what comes over those that
        // are left.
        for accepting in &self.accepting {
            let stop = accepting.stop().take();
            if let Some(stop) = stop {
                let _ = stop.send(());
            }
        }
        self.until_none_accepts().await;
    }

    async fn until_none_accepts(&self) {
        for accepting in &self.accepting {
            let mut ended = accepting.ended.clone();
            // Nothing is ever sent: it only closes.
            while ended.changed().await.is_ok() {}
        }
    }
}

impl AcceptLoop {
    fn stop(&self) -> MutexGuard<'_, Option<oneshot::Sender<()>>> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.cut();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.local_endpoint())
            .field("connections", &self.registry.len())
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

/// How many connections a server has and had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Open now.
    pub open: usize,
    /// Accepted since it began.
    pub accepted: u64,
    /// Turned away: their peer had as many as it may, the factory declined
    /// them, or the server drained and had no room for what its backlog held.
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn what_listens_is_named_by_a_string_that_is_accepted_back() {
        let check = |endpoint: &str, local: Address, expected: &str| {
            let endpoint: ServerEndpoint = endpoint.parse().unwrap();
            let shown = endpoint.shown(&local);
            assert_eq!(shown, expected);
            let again: ServerEndpoint = shown.parse().unwrap();
            assert_eq!(again.to_string(), expected);
        };
        let v4 = || Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 80)));
        check("tcp:80:backlog=5", v4(), "tcp:127.0.0.1:80");
        check("tls:80:cert=/x", v4(), "tls:127.0.0.1:80");
        check("fd:3", v4(), "tcp:127.0.0.1:80");
        check("systemd:name=web", v4(), "tcp:127.0.0.1:80");
        check("haproxy/tls:80:cert=/x", v4(), "tls:127.0.0.1:80");
        check("haproxy/systemd:index=0", v4(), "tcp:127.0.0.1:80");
        let v6 = "[fe80::1%7]:80".parse::<std::net::SocketAddr>().unwrap();
        check("tcp:[fe80::1%7]:80", v6.into(), "tcp:[fe80::1%7]:80");
        let path = |path: &str| Address::Unix(Some(Arc::from(Path::new(path))));
        check("unix:/run/x:mode=660", path("/run/x"), "unix:/run/x");
        check(r"unix:/run/a\:b", path("/run/a:b"), r"unix:/run/a\:b");
        check("systemd:name=x", path("/run/x"), "unix:/run/x");
        let name = |name: &str| Address::Abstract(name.as_bytes().into());
        check("unix:@name:backlog=5", name("name"), "unix:@name");
        check("fd:3", name("a:b"), r"unix:@a\:b");
        check(r"mem:a\:b", Address::Memory("a:b".into()), r"mem:a\:b");
        check("stdio:", Address::Stdio, "stdio:");
    }
}
