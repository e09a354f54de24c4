//! Accepting connections, serving each in a task of its own, and ending well.

use std::{
    fmt,
    future::poll_fn,
    io,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::Instrument;

use crate::{
    Address, Bound, Connection, ConnectionId, ConnectionInfo, ConnectionState, Handler, Layer,
    Limits, ListenError, Listener, Result, Schemes, ServerEndpoint,
    registry::{Registry, Stage},
    schemes::Accepted,
    timers::clock,
};

/// The first back-off after an accept that failed for lack of something.
const BACK_OFF: Duration = Duration::from_millis(10);

/// The longest back-off: what is lacking comes back when a connection ends,
/// and a peer in the backlog should not wait much longer than that.
const BACK_OFF_MOST: Duration = Duration::from_secs(1);

/// How often the same trouble of a listener is logged.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// How a server that ends by a signal drains: announce, then wait.
pub(crate) const ANNOUNCE: Duration = Duration::from_secs(1);
pub(crate) const GRACE: Duration = Duration::from_secs(9);

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
        let bound = options.schemes.listen(self).await?;
        options.serve(self, bound, handler)
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
            .field("limits", &self.limits)
            .field("layers", &self.layers.len())
            .finish_non_exhaustive()
    }
}

impl ServerOptions {
    fn serve(
        self,
        endpoint: &ServerEndpoint,
        bound: Bound,
        handler: impl Handler,
    ) -> Result<Server, ListenError> {
        let mut layers = bound.layers;
        #[cfg(feature = "tls")]
        let tls = match bound.tls {
            Some(own) => {
                let tls = own
                    .or(self.tls)
                    .ok_or_else(|| crate::tls::TlsError::NoCertificate(endpoint.to_string()))?;
                layers.insert(0, Arc::new(tls.clone()));
                Some(tls)
            }
            None => None,
        };
        layers.extend(self.layers);
        let registry = Registry::new(self.limits);
        let local = bound.listener.local();
        let (stop, stopped) = oneshot::channel();
        let accepting = Accepting {
            listener: bound.listener,
            registry: registry.clone(),
            service: Arc::new(Service { handler, layers }),
            warned: None,
        };
        Ok(Server {
            scheme: endpoint.scheme().to_owned(),
            local,
            registry,
            stop: Some(stop),
            accepting: tokio::spawn(accepting.run(stopped)),
            #[cfg(feature = "tls")]
            tls,
        })
    }
}

/// A server that listens.
///
/// Dropping it ends it at once, with its connections; [`drain`](Self::drain)
/// and [`until_signal`](Self::until_signal) end it well.
#[must_use = "a server that is dropped stops at once"]
pub struct Server {
    scheme: String,
    local: Address,
    registry: Arc<Registry>,
    stop: Option<oneshot::Sender<()>>,
    accepting: JoinHandle<()>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::TlsServer>,
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

    /// Where it listens, as a server's endpoint string without options:
    /// `tcp:127.0.0.1:8080`.
    pub fn local_endpoint(&self) -> String {
        format!("{}:{}", self.scheme, self.local)
    }

    /// The port it listens on, where it has one.
    pub fn port(&self) -> Option<u16> {
        self.local.inet().map(|a| a.port())
    }

    /// The open connections, the oldest first.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        self.registry.connections()
    }

    /// How many connections are open, were accepted, and were refused by a
    /// limit.
    pub fn counts(&self) -> Counts {
        Counts {
            open: self.registry.len(),
            accepted: self.registry.accepted(),
            refused: self.registry.refused(),
        }
    }

    /// Ends one connection at once; false if there is none of that number.
    pub fn kill(&self, id: ConnectionId) -> bool {
        self.registry.kill(id)
    }

    /// Serves new connections with another certificate. False if this server
    /// does not speak TLS.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self, tls: &crate::tls::TlsServer) -> bool {
        self.tls.as_ref().inspect(|own| own.replace(tls)).is_some()
    }

    /// Waits until `enough` is true of the number of open connections, as they
    /// end.
    pub async fn until_connections(&self, enough: impl Fn(usize) -> bool) {
        self.registry.until(enough).await;
    }

    /// Ends well, in three steps: announces, so that each connection says
    /// goodbye, while new ones are still accepted, for `announce` at most;
    /// stops accepting, after what the backlog holds; waits for `grace` at
    /// most, and cuts the rest.
    pub async fn drain(mut self, announce: Duration, grace: Duration) -> Leftover {
        self.registry.drain(Stage::Announced);
        let _ = timeout(announce, self.registry.until(|open| open == 0)).await;
        self.stop_accepting().await;
        self.registry.drain(Stage::Stopped);
        let _ = timeout(grace, self.registry.until(|open| open == 0)).await;
        let cut = self.registry.kill_all();
        // An aborted task is dropped at its next turn.
        self.registry.until(|open| open == 0).await;
        Leftover { cut }
    }

    /// Serves until the program is told to end (SIGINT, SIGTERM), or until the
    /// only connection of a `stdio:` endpoint has ended; then drains, one
    /// second to announce and nine more. A second signal cuts that short.
    ///
    /// # Errors
    /// [`Interrupted`](crate::Interrupted) at a second signal.
    pub async fn until_signal(mut self) -> Result {
        let signals = crate::signals::Signals::new()?;
        tokio::select! {
            () = signals.first() => {}
            () = self.until_exhausted() => return Ok(()),
        }
        let leftover = signals.unless_second(self.drain(ANNOUNCE, GRACE)).await?;
        if leftover.cut > 0 {
            tracing::warn!(connections = leftover.cut, "cut at the end of the drain");
        }
        Ok(())
    }

    /// Waits until no connection will come any more and none is open.
    pub async fn until_exhausted(&mut self) {
        // An accept loop that panicked will accept no more either.
        let _ = (&mut self.accepting).await;
        self.registry.until(|open| open == 0).await;
    }

    async fn stop_accepting(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if !self.accepting.is_finished() {
            let _ = (&mut self.accepting).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.registry.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("endpoint", &self.local_endpoint())
            .field("connections", &self.registry.len())
            .finish_non_exhaustive()
    }
}

/// How many connections a server has and had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Open now.
    pub open: usize,
    /// Accepted since it began.
    pub accepted: u64,
    /// Closed at once, since their peer had as many as it may.
    pub refused: u64,
}

/// What serves a connection, and what it passes through first.
struct Service<H> {
    handler: H,
    layers: Vec<Arc<dyn Layer>>,
}

impl<H: Handler> Service<H> {
    /// The connection comes in a box that is gone when it is served: what an
    /// `async fn` is given stays in its task to the end, beside whatever it is
    /// moved to.
    async fn serve(self: Arc<Self>, conn: Box<Connection>) {
        let entry = conn.live.entry.clone();
        if let Err(error) = self.serve_wrapped(conn).await {
            // With its peer: the span that names it is for those who debug.
            tracing::info!(error, peer = %entry.peer, "connection failed");
        }
    }

    async fn serve_wrapped(&self, mut conn: Box<Connection>) -> Result {
        if !self.layers.is_empty() {
            conn = Box::pin(self.wrap(unbox(conn))).await?;
        }
        self.handler.serve(unbox(conn)).await
    }

    async fn wrap(&self, mut conn: Connection) -> Result<Box<Connection>> {
        let deadline = conn.live.limits.handshake;
        let draining = conn.draining();
        let wrapped = async {
            for layer in &self.layers {
                conn = layer.wrap(conn).await?;
            }
            conn.live.entry.set_state(ConnectionState::Open);
            Ok(conn)
        };
        tokio::select! {
            biased;
            result = timeout(deadline, wrapped) => match result {
                Ok(result) => result.map(Box::new),
                Err(_) => Err(HandshakeError::TimedOut.into()),
            },
            // Nobody waits for one who has not even said hello.
            () = draining => Err(HandshakeError::Draining.into()),
        }
    }
}

#[expect(clippy::boxed_local, reason = "that it is one is the point")]
/// Frees the box at once; `*boxed` would keep it to the end of its scope.
fn unbox<T>(boxed: Box<T>) -> T {
    *boxed
}

/// Why a connection did not come through its layers.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the handshake did not end in time")]
    TimedOut,
    #[error("the server drained during the handshake")]
    Draining,
}

/// The accept loop of one listener.
struct Accepting<H> {
    listener: Box<dyn Listener>,
    registry: Arc<Registry>,
    service: Arc<Service<H>>,
    warned: Option<Instant>,
}

impl<H: Handler> Accepting<H> {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut back_off = BACK_OFF;
        loop {
            let event = tokio::select! {
                biased;
                _ = &mut stopped => break,
                event = self.next() => event,
            };
            match event {
                Some(Ok(accepted)) => {
                    back_off = BACK_OFF;
                    self.admit(accepted);
                }
                None => return,
                Some(Err(error)) if is_of_one_connection(&error) => {
                    tracing::debug!(%error, "a connection ended before it was accepted");
                }
                // No descriptors, no buffers: they come back when connections
                // end. Trying at once again would spin.
                Some(Err(error)) => {
                    if self.may_warn() {
                        tracing::warn!(%error, "cannot accept; trying again shortly");
                    }
                    tokio::select! {
                        _ = &mut stopped => break,
                        () = sleep(back_off) => {}
                    }
                    back_off = (back_off * 2).min(BACK_OFF_MOST);
                }
            }
        }
        let listener = std::mem::replace(&mut self.listener, Box::new(Ended));
        for accepted in listener.finish() {
            self.admit(accepted);
        }
    }

    /// The next connection, once there is room for it.
    async fn next(&mut self) -> Option<io::Result<Accepted>> {
        if self.registry.is_full() {
            let limit = self.registry.limits.connections;
            if self.may_warn() {
                tracing::warn!(limit, "as many connections as allowed; further ones wait");
            }
            self.registry.until(|open| open < limit).await;
        }
        poll_fn(|cx| self.listener.poll_accept(cx)).await
    }

    fn admit(&self, accepted: Accepted) {
        let Accepted {
            stream,
            peer,
            local,
        } = accepted;
        let Some(live) = self.registry.admit(peer.clone(), local) else {
            if !self.registry.is_closed() {
                tracing::info!(%peer, "refused: this peer has as many connections as it may");
            }
            return;
        };
        let entry = live.entry.clone();
        if self.service.layers.is_empty() {
            entry.set_state(ConnectionState::Open);
        }
        let span = tracing::debug_span!("connection", id = %entry.id, %peer);
        let conn = Box::new(Connection {
            stream,
            prefix: crate::Input::default(),
            peer,
            live,
            idle: None,
        });
        let task = tokio::spawn(self.service.clone().serve(conn).instrument(span));
        entry.set_task(task.abort_handle());
        if self.registry.is_closed() {
            // The server was dropped before it could know of this task.
            task.abort();
        }
    }

    fn may_warn(&mut self) -> bool {
        let now = clock();
        let may = self.warned.is_none_or(|at| now - at >= WARN_EVERY);
        if may {
            self.warned = Some(now);
        }
        may
    }
}

/// Whether an error of accept is about the connection that was to be accepted,
/// and says nothing about the next one (see accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::NotConnected
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::TimedOut
            | Kind::PermissionDenied
            | Kind::InvalidInput
    )
}

/// In the place of a listener that has ended.
struct Ended;

impl Listener for Ended {
    fn poll_accept(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> Poll<Option<io::Result<Accepted>>> {
        Poll::Ready(None)
    }

    fn local(&self) -> Address {
        Address::Other("ended".into())
    }
}
