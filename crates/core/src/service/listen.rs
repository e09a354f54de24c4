//! Servers as services.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Life, Service};
use crate::{Connection, DatagramServer, Handler, Result, Server, ServerEndpoint, ServerOptions};

/// A server that listens when it is run, and again when it is restarted.
///
/// A [`Server`] that listens already is a service too, for one run.
///
/// ```
/// # use ropewalk_core::{Connection, Services, service::listen};
/// # async fn handler(_: Connection) -> ropewalk_core::Result { Ok(()) }
/// let services = Services::new()
///     .add(listen("tcp:8080", handler).named("web"))
///     .add(listen("unix:/run/admin.sock:mode=600", handler));
/// ```
pub fn listen<H: Handler>(endpoint: impl ToString, handler: H) -> Listen<H> {
    let endpoint = endpoint.to_string();
    Listen {
        name: endpoint.clone(),
        endpoint,
        handler: Arc::new(handler),
        options: ServerOptions::default(),
        server: Mutex::new(None),
    }
}

/// What [`listen()`] makes.
pub struct Listen<H> {
    name: String,
    endpoint: String,
    handler: Arc<H>,
    options: ServerOptions,
    server: Mutex<Option<Arc<Server>>>,
}

impl<H: Handler> Listen<H> {
    /// With a name for the log and status pages, in the place of its endpoint.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// With limits other than the default ones, or with other options.
    #[must_use]
    pub fn options(mut self, options: impl Into<ServerOptions>) -> Self {
        self.options = options.into();
        self
    }

    /// The server, while it listens.
    pub fn server(&self) -> Option<Arc<Server>> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<Server>>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Handler> Service for Listen<H> {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn bind(&self) -> Result {
        let endpoint: ServerEndpoint = self.endpoint.parse()?;
        let handler = Shared(self.handler.clone());
        let server = endpoint.listen_with(handler, self.options.clone()).await?;
        tracing::info!("listening on {}", server.local_endpoint());
        *self.slot() = Some(Arc::new(server));
        Ok(())
    }

    async fn run(&self, life: Life) -> Result {
        if self.slot().is_none() {
            self.bind().await?;
        }
        let serving = Serving(self);
        let Some(server) = serving.0.server() else {
            return Err("its server was taken down meanwhile".into());
        };
        server.run(life).await
    }

    /// Reads its certificates again.
    async fn reload(&self) -> Result {
        match self.server() {
            Some(server) => server.reload().await,
            None => Ok(()),
        }
    }
}

/// Takes the server down with the run, however that ends.
struct Serving<'a, H: Handler>(&'a Listen<H>);

impl<H: Handler> Drop for Serving<'_, H> {
    fn drop(&mut self) {
        if let Some(server) = self.0.slot().take() {
            server.cut();
        }
    }
}

impl<H> fmt::Debug for Listen<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listen")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A handler that outlives the server it is given to, for the next one.
struct Shared<H>(Arc<H>);

impl<H: Handler> Handler for Shared<H> {
    fn serve(&self, conn: Connection) -> impl Future<Output = Result> + Send {
        self.0.serve(conn)
    }
}

/// A server that listens already, until it is told to stop; then it drains. It
/// serves once: a set cannot restart it (see [`listen()`]).
impl Service for Server {
    fn name(&self) -> String {
        self.local_endpoint()
    }

    async fn run(&self, life: Life) -> Result {
        if !self.is_serving() {
            return Err("it was drained, and cannot serve again".into());
        }
        life.ready();
        tokio::select! {
            biased;
            stop = life.stopping() => {
                let leftover = self.drain_shared(stop.announce, stop.grace).await;
                let (server, served) = (self.local_endpoint(), self.counts().accepted);
                match leftover.cut {
                    0 => tracing::info!(server, served, "drained"),
                    cut => tracing::warn!(server, served, cut, "drained; connections were cut at its end"),
                }
            }
            // Nothing will come any more, as where `stdio:` has ended.
            () = self.exhausted() => {}
        }
        Ok(())
    }

    /// Reads its certificates again, where it speaks TLS and came by files.
    async fn reload(&self) -> Result {
        #[cfg(feature = "tls")]
        self.reload_certificates()?;
        Ok(())
    }
}

/// A socket that is open already, until it is told to stop; then its protocol
/// drains. It serves once: a set cannot restart it.
impl<M: Send + 'static> Service for DatagramServer<M> {
    fn name(&self) -> String {
        self.local_endpoint()
    }

    async fn run(&self, life: Life) -> Result {
        life.ready();
        let ended = tokio::select! {
            biased;
            stop = life.stopping() => {
                if !self.drain_shared(stop.total()).await {
                    tracing::warn!(server = self.local_endpoint(), "cut at the end of the drain");
                }
                return Ok(());
            }
            ended = self.closed() => ended,
        };
        if ended.is_clean() {
            Ok(())
        } else {
            Err(ended.into())
        }
    }
}
