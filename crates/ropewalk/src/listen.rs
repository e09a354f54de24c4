//! The listeners of one process: they say where they are, and end together.
//!
//! What the lines on standard output look like is a contract; scripts wait for them. Nothing here
//! knows a protocol.

use std::{
    future::{Future, pending},
    io::{self, Write as _},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::future::{join, join_all, select_all};
use ropewalk_core::{
    Address, Allowance, BoxFuture, Closed, Connection, DatagramOptions, DatagramProtocol,
    DatagramServer, Handler, Metrics, Result as Served, Server, ServerEndpoint, ServerOptions,
    Signals, raise_open_files,
    service::{Notify, drop_privileges},
    tls::TlsServer,
};
use tokio::time::sleep;

use crate::{
    failure::Failure,
    metrics::{METRICS, Pages},
    options::Common,
    plan::Service,
    web::{self, Http},
};

/// All that listens in this process.
pub(crate) struct Servers {
    common: Common,
    signals: Signals,
    /// Who wants to know how it goes, as systemd does.
    manager: Option<Notify>,
    /// What all of them together may have.
    allowance: Allowance,
    metrics: Metrics,
    ready: Arc<AtomicBool>,
    streams: Vec<Server>,
    datagrams: Vec<Box<dyn AnyDatagrams>>,
    /// Service and endpoint of each, for the listening lines.
    lines: Vec<(&'static str, String)>,
    open_files: Option<u64>,
    /// Of the service whose connections need the most.
    files_each: usize,
    served: Arc<AtomicU64>,
    /// What SIGHUP reads again besides certificates.
    reloads: Vec<Reload>,
    beside: Vec<Beside>,
}

/// A server of datagrams, whatever messages its protocol has.
trait AnyDatagrams: Send + Sync {
    fn local_endpoint(&self) -> String;
    fn closed(&self) -> BoxFuture<'_, Closed>;
    fn drain(self: Box<Self>, grace: Duration) -> BoxFuture<'static, bool>;
}

impl<M: Send + 'static> AnyDatagrams for DatagramServer<M> {
    fn local_endpoint(&self) -> String {
        self.local_endpoint()
    }

    fn closed(&self) -> BoxFuture<'_, Closed> {
        Box::pin(self.closed())
    }

    fn drain(self: Box<Self>, grace: Duration) -> BoxFuture<'static, bool> {
        Box::pin((*self).drain(grace))
    }
}

/// Something that is read again at SIGHUP: what it is called, and how. It says what is wrong; what
/// was read before is kept then.
pub(crate) struct Reload {
    pub(crate) what: &'static str,
    pub(crate) read: Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>,
}

/// Work beside the listeners, such as keeping what changes on the disk.
pub(crate) struct Beside {
    /// Runs while the process serves and drains.
    pub(crate) work: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// What is left to do once all connections have ended.
    pub(crate) last: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
}

/// Open files besides those of connections: the listeners, the log, the runtime's own.
const OTHER_FILES: usize = 64;

/// Runs a server's future on a runtime of its own, with the log set up.
pub(crate) fn run(
    common: &Common,
    serve: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    common.start_log();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::run)?;
    let result = runtime.block_on(serve);
    // Reading standard input blocks a thread that nothing can wake.
    runtime.shutdown_background();
    result
}

impl Servers {
    /// None yet. From here on signals are heard, so that one which comes while listeners open is
    /// not lost; and the limit of open files is raised.
    pub(crate) fn new(common: Common) -> Result<Self, Failure> {
        let open_files = raise_open_files()
            .inspect_err(|error| tracing::warn!(%error, "cannot raise the limit of open files"));
        Ok(Self {
            allowance: Allowance::new(&common.limits()),
            metrics: Metrics::new(),
            ready: Arc::default(),
            common,
            signals: Signals::with_reload().map_err(Failure::run)?,
            manager: Notify::from_env().map_err(Failure::run)?,
            streams: Vec::new(),
            datagrams: Vec::new(),
            lines: Vec::new(),
            open_files: open_files.ok(),
            files_each: 0,
            served: Arc::default(),
            reloads: Vec::new(),
            beside: Vec::new(),
        })
    }

    /// Measures where these say.
    pub(crate) fn measure_in(&mut self, metrics: Metrics) {
        self.metrics = metrics;
    }

    /// Reads something again at SIGHUP.
    pub(crate) fn reload(&mut self, reload: Reload) {
        self.reloads.push(reload);
    }

    /// Does something beside serving.
    pub(crate) fn beside(&mut self, beside: Beside) {
        self.beside.push(beside);
    }

    /// What is measured in this process.
    pub(crate) fn numbers(&self) -> &Metrics {
        &self.metrics
    }

    /// The options of a server, as far as the common ones say.
    pub(crate) fn options(&self) -> ServerOptions {
        self.common.limits().into()
    }

    /// Serves connections, and returns where.
    pub(crate) async fn stream(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        handler: impl Handler,
        mut options: ServerOptions,
    ) -> Result<Address, Failure> {
        options.allowance = Some(self.allowance.clone());
        if endpoint.scheme() != "stdio" {
            self.files_each = self.files_each.max(service.files);
        }
        let handler = Counted {
            handler,
            served: self.served.clone(),
        };
        self.open(service, option, endpoint, handler, options).await
    }

    /// Serves the numbers of this process, and whether it is well.
    pub(crate) async fn metrics(&mut self, endpoint: &ServerEndpoint) -> Result<(), Failure> {
        let pages = Pages {
            metrics: self.metrics.clone(),
            ready: self.ready.clone(),
        };
        let options = web::options(self.options());
        let opened = self.open(METRICS, "--metrics", endpoint, Http::new(pages), options);
        opened.await.map(drop)
    }

    async fn open(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        handler: impl Handler,
        mut options: ServerOptions,
    ) -> Result<Address, Failure> {
        options.service = service.name.into();
        options.metrics = Some(self.metrics.clone());
        let server = endpoint
            .listen_with(handler, options)
            .await
            .map_err(|error| Failure::listen(option, endpoint, error))?;
        let address = server.local_address().clone();
        // Nobody connects to standard input and output.
        if address != Address::Stdio {
            self.lines.push((service.name, server.local_endpoint()));
        }
        self.streams.push(server);
        Ok(address)
    }

    /// Serves datagrams, and returns where.
    pub(crate) async fn datagrams(
        &mut self,
        service: Service,
        option: &'static str,
        endpoint: &ServerEndpoint,
        protocol: impl DatagramProtocol,
        mut options: DatagramOptions,
    ) -> Result<Address, Failure> {
        options.service = service.name.into();
        options.metrics = Some(self.metrics.clone());
        let server = endpoint
            .listen_datagrams_with(protocol, options)
            .await
            .map_err(|error| Failure::listen(option, endpoint, error))?;
        self.lines.push((service.name, server.local_endpoint()));
        let address = server.local_address();
        self.datagrams.push(Box::new(server));
        Ok(address)
    }

    /// Ends a server with the others that nobody outside can reach, and that has no line.
    pub(crate) fn keep(&mut self, server: Server) {
        self.streams.push(server);
    }

    /// Becomes the account that it is to serve as, once all listens.
    pub(crate) fn become_user(&self) -> Result<(), Failure> {
        let Some(account) = &self.common.user else {
            return Ok(());
        };
        drop_privileges(account).map_err(Failure::run)
    }

    /// Says on standard output what listens, once all of it does: whoever waits for the first line
    /// must not meet a process that fails at the second.
    pub(crate) async fn announce(&self) {
        let mut text = String::new();
        for (service, endpoint) in &self.lines {
            text += &match self.common.json {
                true => format!(
                    "{{\"event\":\"listening\",\"service\":\"{service}\",\"endpoint\":{}}}\n",
                    serde_json::Value::from(endpoint.as_str())
                ),
                false => format!("listening {service} {endpoint}\n"),
            };
        }
        say(&text);
        self.ready.store(true, Relaxed);
        tell(&self.manager, Notify::ready).await;
    }

    /// Says so if all the connections that are allowed cannot have an open file each.
    pub(crate) fn check_open_files(&self) {
        let connections = self.common.limits().connections;
        let needed = connections
            .saturating_mul(self.files_each)
            .saturating_add(OTHER_FILES);
        if let Some(limit) = self.open_files
            && usize::try_from(limit).is_ok_and(|limit| limit < needed)
        {
            tracing::warn!(
                limit,
                needed,
                "fewer open files are allowed than --max-connections may need; lower it, or raise \
                 the limit (ulimit -Hn, LimitNOFILE=)"
            );
        }
    }

    /// Says what listens, and serves to the end: all that is left to do for most servers.
    pub(crate) async fn serve(self) -> Result<(), Failure> {
        self.become_user()?;
        self.check_open_files();
        self.announce().await;
        self.until_signal().await
    }

    /// Serves until the process is told to end, then drains everything together; or until nothing
    /// can come any more, as when the connection of `stdio:` has ended.
    pub(crate) async fn until_signal(self) -> Result<(), Failure> {
        let Self {
            common,
            signals,
            manager,
            ready,
            mut streams,
            datagrams,
            served,
            reloads,
            beside,
            ..
        } = self;
        let (work, last): (Vec<_>, Vec<_>) =
            beside.into_iter().map(|it| (it.work, it.last)).unzip();
        let work: Vec<_> = work.into_iter().map(tokio::spawn).collect();
        let certificates = certificates(&streams);
        let again = Arc::new(reloads);
        let reloads = async {
            loop {
                signals.reload().await;
                tell(&manager, Notify::reloading).await;
                read_again(certificates.clone(), again.clone()).await;
                tell(&manager, Notify::ready).await;
            }
        };
        tokio::select! {
            () = signals.first() => {}
            () = reloads => {}
            () = reassure(&manager) => {}
            ended = ended(&mut streams, &datagrams) => return ended,
        }
        ready.store(false, Relaxed);
        tracing::debug!("not ready any more");
        tell(&manager, Notify::stopping).await;
        let announce = (common.drain() / 10).min(ANNOUNCE);
        let grace = common.drain() - announce;
        // All announce at the same time, and all stop at the same time.
        let streams = join_all(streams.into_iter().map(|s| s.drain(announce, grace)));
        let datagrams = join_all(datagrams.into_iter().map(|d| d.drain(common.drain())));
        let both = signals.unless_second(join(streams, datagrams)).await;
        work.iter().for_each(tokio::task::JoinHandle::abort);
        // Also where a second signal cut the drain short: what has changed is not to be lost.
        for last in last {
            last.await?;
        }
        let (leftovers, _) = both.map_err(Failure::run)?;
        let cut: usize = leftovers.iter().map(|leftover| leftover.cut).sum();
        let served = served.load(Relaxed);
        match cut {
            0 => tracing::info!(served, "drained"),
            _ => tracing::warn!(served, cut, "drained; connections were cut at its end"),
        }
        Ok(())
    }
}

/// Tells the service manager, if there is one. That it does not listen is its affair.
async fn tell<'a>(
    manager: &'a Option<Notify>,
    what: impl AsyncFnOnce(&'a Notify) -> io::Result<()>,
) {
    if let Some(manager) = manager
        && let Err(error) = what(manager).await
    {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// Tells a service manager with a watchdog that the process is alive; never ends.
async fn reassure(manager: &Option<Notify>) {
    match manager.as_ref().and_then(Notify::heartbeat) {
        Some(every) => loop {
            tell(manager, Notify::alive).await;
            sleep(every).await;
        },
        None => pending().await,
    }
}

/// The servers' sides of TLS, each with where it listens.
fn certificates(streams: &[Server]) -> Vec<(String, TlsServer)> {
    let of = |server: &Server| Some((server.local_endpoint(), server.tls()?.clone()));
    streams.iter().filter_map(of).collect()
}

/// Reads the files of all certificates again and whatever else is to be, as SIGHUP asks for, and says
/// what came of it. What cannot be used is not; what was read before is kept in its place.
async fn read_again(certificates: Vec<(String, TlsServer)>, reloads: Arc<Vec<Reload>>) {
    let reading = tokio::task::spawn_blocking(move || {
        for Reload { what, read } in reloads.iter() {
            match read() {
                Ok(()) => tracing::info!("SIGHUP: reloaded {what}"),
                Err(why) => tracing::error!("SIGHUP: {}; {what} of before are kept", why.text()),
            }
        }
        let nothing_else = reloads.is_empty();
        let (mut read, mut failed) = (Vec::new(), Vec::new());
        for (endpoint, tls) in certificates {
            match tls.reload() {
                Ok(()) => read.push(endpoint),
                Err(error) => failed.push(error.to_string()),
            }
        }
        // Several listeners may have the same files.
        failed.sort();
        failed.dedup();
        (read, failed, nothing_else)
    });
    // It fails only when the runtime ends.
    let Ok((read, failed, nothing_else)) = reading.await else {
        return;
    };
    for error in &failed {
        tracing::error!("SIGHUP: {error}; the certificate of before is kept");
    }
    match read.is_empty() {
        true if failed.is_empty() && nothing_else => {
            tracing::info!("SIGHUP: there is nothing to reload");
        }
        true => {}
        false => tracing::info!("SIGHUP: reloaded the certificates of {}", read.join(", ")),
    }
}

/// The longest announcement of a drain: time enough for every protocol's goodbye.
const ANNOUNCE: Duration = Duration::from_secs(1);

/// Waits until no listener has anything to come, or one fails.
async fn ended(streams: &mut [Server], datagrams: &[Box<dyn AnyDatagrams>]) -> Result<(), Failure> {
    let exhausted = async {
        if !datagrams.is_empty() {
            return pending().await;
        }
        join_all(streams.iter_mut().map(Server::until_exhausted)).await;
    };
    let failed = async {
        if datagrams.is_empty() {
            return pending().await;
        }
        let (why, which, _) = select_all(datagrams.iter().map(|d| d.closed())).await;
        format!("{}: {why}", datagrams[which].local_endpoint())
    };
    tokio::select! {
        () = exhausted => Ok(()),
        why = failed => Err(Failure::run(why)),
    }
}

/// Writes to standard output, at once. If nobody reads it any more, serving goes on.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        tracing::warn!(%error, "cannot write to standard output");
    }
}

/// A handler that counts the connections it is given.
struct Counted<H> {
    handler: H,
    served: Arc<AtomicU64>,
}

impl<H: Handler> Handler for Counted<H> {
    fn serve(&self, conn: Connection) -> impl Future<Output = Served> + Send {
        self.served.fetch_add(1, Relaxed);
        self.handler.serve(conn)
    }
}
