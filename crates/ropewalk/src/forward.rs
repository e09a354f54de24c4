//! `ropewalk forward`: from any endpoint to any endpoint, with TLS on or off on the way; `stdio:`
//! makes it a netcat.

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
    listen::{self, Servers, Service},
    options::{Common, Tls, check_stdio},
};

pub(crate) const FORWARD: Service = Service {
    name: "forward",
    files: 2,
};

/// Forward connections from any endpoint to any endpoint
///
/// TLS may be on or off on either side. `--listen stdio:` forwards standard input and output, and
/// ends with the connection. In a drain, transfers go on until its time is over.
#[derive(Args)]
pub(crate) struct Forward {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, unix:PATH, fd:NUMBER,
    /// stdio:; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    /// Where to: tcp:HOST:PORT, tls:HOST:PORT, unix:PATH, exec:COMMAND, fd:NUMBER
    #[arg(long, value_name = "ENDPOINT")]
    to: ClientEndpoint,

    #[command(flatten)]
    tls: Tls,

    #[command(flatten)]
    common: Common,
}

impl Forward {
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_stdio(&self.listen)?;
        self.check_schemes()?;
        let tls = self.tls.server(&self.listen)?;
        let options = ConnectOptions::default()
            .prepare(&self.to)
            .map_err(|error| {
                let why = format!("{error}, expected certificates in PEM");
                Failure::usage("--to", &self.to, why)
            })?;
        let forwarder = Forwarder::new(self.to, options);
        let unreachable = forwarder.unreachable.clone();
        let netcat = self.listen.iter().any(|e| e.scheme() == "stdio");
        listen::run(&self.common, async {
            let mut servers = Servers::new(&self.common)?;
            for endpoint in &self.listen {
                let mut options = servers.options();
                options.tls = tls.clone();
                servers
                    .stream(FORWARD, endpoint, forwarder.clone(), options)
                    .await?;
            }
            servers.serve().await?;
            match netcat && unreachable.load(Relaxed) {
                true => Err(Failure::run("nothing was forwarded")),
                false => Ok(()),
            }
        })
    }

    /// What can be known before the first connection fails.
    fn check_schemes(&self) -> Result<(), Failure> {
        if let Some(udp) = self.listen.iter().find(|e| e.scheme() == "udp") {
            let why = "datagrams are not forwarded, expected tcp, tls, unix, fd or stdio";
            return Err(Failure::usage("--listen", udp, why));
        }
        if self.to.scheme() == "udp" || self.to.description().is_some() {
            let why = format!(
                "cannot forward to {}, expected tcp, tls, unix, exec or fd",
                self.to.scheme()
            );
            return Err(Failure::usage("--to", &self.to, why));
        }
        Ok(())
    }
}

/// Connects to the target for each connection, and passes bytes on.
#[derive(Clone)]
pub(crate) struct Forwarder {
    to: Arc<ClientEndpoint>,
    options: Arc<ConnectOptions>,
    /// Set when the target could not be connected to.
    unreachable: Arc<AtomicBool>,
}

impl Forwarder {
    pub(crate) fn new(to: ClientEndpoint, options: ConnectOptions) -> Self {
        Self {
            to: Arc::new(to),
            options: Arc::new(options),
            unreachable: Arc::default(),
        }
    }
}

impl Handler for Forwarder {
    async fn serve(&self, conn: Connection) -> Served {
        let peer = conn.peer().clone();
        let target = match self.to.connect_with(&self.options).await {
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
