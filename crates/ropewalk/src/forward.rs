//! `ropewalk forward`: from any endpoint to any endpoint, with TLS on or off on the way; `stdio:`
//! makes it a netcat.

use std::borrow::Cow;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use clap::Args;
use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Connection, Handler, Result as Served, ServerEndpoint, relay,
};

use crate::{
    failure::Failure,
    options::Tls,
    plan::{Plan, ServerArgs, Service},
};

pub(crate) const FORWARD: Service = Service {
    name: "forward",
    files: 2,
};

/// The arguments of `ropewalk forward`.
#[derive(Args)]
pub(crate) struct Forward {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, unix:PATH, fd:NUMBER,
    /// stdio:; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    /// Where to: tcp:HOST:PORT, tls:HOST:PORT, unix:PATH, exec:COMMAND, fd:NUMBER; through a proxy
    /// by socks5:HOST:PORT/ENDPOINT or http-connect:HOST:PORT/ENDPOINT, and with a PROXY header that
    /// names the client by haproxy/ENDPOINT
    #[arg(long, value_name = "ENDPOINT")]
    to: ClientEndpoint,

    #[command(flatten)]
    tls: Tls,
}

impl ServerArgs for Forward {
    async fn plan(self, plan: &mut Plan) {
        let tls = plan.tls(&self.tls);
        let options = match self.connecting() {
            Ok(options) => options,
            Err(failure) => {
                plan.fault(failure);
                ConnectOptions::default()
            }
        };
        let forwarder = Forwarder::new(self.to, options);
        for endpoint in &self.listen {
            let options = plan.options(tls.as_ref());
            plan.stream(FORWARD, "--listen", endpoint, forwarder.clone(), options);
        }
        if self.listen.iter().any(|e| e.scheme() == "stdio") {
            let unreachable = forwarder.unreachable;
            plan.at_end(move || match unreachable.load(Relaxed) {
                true => Err(Failure::run("nothing was forwarded")),
                false => Ok(()),
            });
        }
    }
}

impl Forward {
    /// How to connect to the target; what can be known before the first connection fails.
    fn connecting(&self) -> Result<ConnectOptions, Failure> {
        let mut way = std::iter::successors(Some(&self.to), |endpoint| endpoint.inner());
        let datagrams = way.any(|e| matches!(e.scheme(), "udp" | "unix-datagram"));
        if datagrams || self.to.description().is_some() {
            let why = format!(
                "cannot forward to {}, expected tcp, tls, unix, exec, fd, or a proxy before one of them",
                self.to.scheme()
            );
            return Err(Failure::usage("--to", &self.to, why));
        }
        ConnectOptions::default()
            .prepare(&self.to)
            .map_err(|error| {
                let why = format!("{error}, expected certificates in PEM");
                Failure::usage("--to", &self.to, why)
            })
    }
}

/// Connects to the target for each connection, and passes bytes on.
#[derive(Clone)]
pub(crate) struct Forwarder {
    to: Arc<ClientEndpoint>,
    options: Arc<ConnectOptions>,
    /// Whether the target is told for whom each connection is.
    sends_header: bool,
    /// Set when the target could not be connected to.
    unreachable: Arc<AtomicBool>,
}

impl Forwarder {
    pub(crate) fn new(to: ClientEndpoint, options: ConnectOptions) -> Self {
        let mut way = std::iter::successors(Some(&to), |endpoint| endpoint.inner());
        Self {
            sends_header: way.any(|endpoint| endpoint.scheme() == "haproxy"),
            to: Arc::new(to),
            options: Arc::new(options),
            unreachable: Arc::default(),
        }
    }
}

impl Handler for Forwarder {
    async fn serve(&self, conn: Connection) -> Served {
        let peer = conn.peer().clone();
        let mut options = Cow::Borrowed(&*self.options);
        if self.sends_header {
            let ends = (peer.address.clone(), conn.local().clone());
            options.to_mut().on_behalf_of = Some(ends);
        }
        let target = match self.to.connect_with(&options).await {
            Ok(target) => target,
            Err(error) => {
                self.unreachable.store(true, Relaxed);
                tracing::warn!(%peer, "{error}");
                return Ok(());
            }
        };
        if let Err(error) = relay(conn, target).await {
            // Peers come and go as they like; that is no news.
            tracing::debug!(%peer, to = %self.to, %error, "the connection did not end well");
        }
        Ok(())
    }
}
