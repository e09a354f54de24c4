//! `ropewalk forward`: from any endpoint to any endpoint, with TLS on or off on the way; `stdio:`
//! makes it a netcat.
//!
//! Bytes are passed on as they come, both ways, with back-pressure and half-closes; nothing is read
//! into them.

use std::{
    future::pending,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use clap::Args;
use ropewalk_core::{
    Address, ClientEndpoint, ConnectOptions, Connection, Handler, Result as Served, ServerEndpoint,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    time::timeout,
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

/// Passes bytes on between the two until both have ended.
async fn relay(near: Connection, far: Connection) -> io::Result<()> {
    // Whoever types at a terminal has nothing more to say to a peer that has ended.
    let netcat = near.peer().address == Address::Stdio;
    // The near side's idle limit is that of both: nothing moves here that does not move there.
    let (near_reader, near_writer) = split(near);
    let (far_reader, far_writer) = split(far);
    let mut there = pin!(pass_on(near_reader, far_writer));
    let mut back = pin!(pass_on(far_reader, near_writer));
    if netcat {
        let broken = async {
            match there.await {
                Ok(()) => pending().await,
                failed => failed,
            }
        };
        return tokio::select! {
            result = back => result,
            result = broken => result,
        };
    }
    tokio::try_join!(there.as_mut(), back.as_mut())?;
    Ok(())
}

/// Passes one direction on, and then its end.
///
/// A writer that takes no more is not the end of the other direction: a server may answer and close
/// before it has read all, and that answer must arrive. So this ends well then, having thrown away
/// a little of what still came. A reader that fails, a TLS stream without its close_notify among
/// them, fails the whole: passed on as an end it would look like all there was.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = from.read(&mut buffer).await?;
        let passed = async {
            if n == 0 {
                return to.shutdown().await;
            }
            to.write_all(&buffer[..n]).await?;
            // TLS and standard output hold bytes back until then.
            to.flush().await
        };
        match passed.await {
            Ok(()) if n == 0 => return Ok(()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "one side takes no more");
                let mut rest = from.take(DISCARDED);
                let mut nowhere = tokio::io::sink();
                let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
                return Ok(());
            }
        }
    }
}

/// One record of TLS; two of these are most of what an idle connection costs.
const BUFFER: usize = 16 * 1024;

/// How long a side that is passed on no more may take to see the end; core's lingering is as long.
const LINGER: Duration = Duration::from_secs(2);

/// The bytes that are thrown away then, at most.
const DISCARDED: u64 = 256 * 1024;
