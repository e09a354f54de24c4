//! A datagram protocol that runs, and how endpoints start one.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use super::{
    DatagramProtocol, DatagramSocket, batch::LARGEST, driver::Driver, session::Session,
    transport::Totals,
};
use crate::{
    Address, ClientEndpoint, Closed, ConnectError, Handle, ListenError, Metrics, Result, Schemes,
    ServerEndpoint, signals::Signals,
};

/// How datagrams are served, beyond what the endpoint says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatagramOptions {
    /// What schemes mean. Default [`Schemes::global`].
    pub schemes: Schemes,
    /// The longest datagram taken, in bytes; longer ones are thrown away and
    /// counted. Default 65,535, which is every one of UDP; where they are known
    /// to be short, a smaller number lets more of them come in one system call
    /// (up to 4 KiB, all 64 of a batch). More than 1 MiB counts as 1 MiB.
    pub largest: usize,
    /// Bytes that may wait to be sent; what comes beyond is dropped and
    /// counted. Past half of it nothing is received. Default 1 MiB.
    pub unsent: usize,
    /// Futures of [`DatagramTransport::defer`](crate::DatagramTransport::defer)
    /// that run at a time; while there are so many, nothing is received.
    /// Default 1024.
    pub deferred: usize,
    /// Messages that wait in the inbox. Default 64.
    pub inbox: usize,
    /// What it is called in metrics. Default `server`.
    pub service: Arc<str>,
    /// Where a server is measured. Default nowhere.
    pub metrics: Option<Metrics>,
}

impl Default for DatagramOptions {
    fn default() -> Self {
        Self {
            schemes: Schemes::global(),
            largest: LARGEST,
            unsent: 1024 * 1024,
            deferred: 1024,
            inbox: 64,
            service: "server".into(),
            metrics: None,
        }
    }
}

impl From<Schemes> for DatagramOptions {
    fn from(schemes: Schemes) -> Self {
        Self {
            schemes,
            ..Self::default()
        }
    }
}

/// What a datagram socket has done since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatagramCounts {
    /// Datagrams received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Datagrams not sent for lack of room, or since there is no peer.
    pub dropped: u64,
    /// Datagrams that could not be sent, or came back as undelivered.
    pub failed: u64,
    /// Datagrams that came and were longer than is taken.
    pub truncated: u64,
}

/// A datagram protocol that runs. Dropping it ends it at once.
#[must_use = "a datagram server that is dropped stops at once"]
pub struct DatagramServer<M> {
    scheme: String,
    local: Address,
    handle: Handle<M>,
    totals: Arc<Totals>,
    drain: Mutex<Option<oneshot::Sender<()>>>,
    closed: watch::Receiver<Option<Closed>>,
    task: JoinHandle<()>,
}

impl<M: Send + 'static> DatagramServer<M> {
    fn start<P: DatagramProtocol<Message = M>>(
        scheme: &str,
        protocol: P,
        socket: Box<dyn DatagramSocket>,
        options: DatagramOptions,
    ) -> Self {
        let (drain, asked) = oneshot::channel();
        let (over, closed) = watch::channel(None);
        let mut session = Session::new(protocol, socket, options);
        let handle = session.transport.handle();
        let totals = session.transport.totals.clone();
        let local = session.transport.local().clone();
        let driver = Driver::new(session, asked);
        let name = local.clone();
        let task = tokio::spawn(async move {
            let why = driver.await;
            if let Closed::Failed(error) = &why {
                tracing::warn!(%error, local = %name, "datagram protocol failed");
            }
            over.send_replace(Some(why));
        });
        Self {
            scheme: scheme.to_owned(),
            local,
            handle,
            totals,
            drain: Mutex::new(Some(drain)),
            closed,
            task,
        }
    }

    /// Where it listens; the real port where 0 asked for any.
    pub fn local_address(&self) -> Address {
        self.local.clone()
    }

    /// Where it listens, as a server's endpoint string.
    pub fn local_endpoint(&self) -> String {
        crate::server::place(&self.scheme, &self.local)
    }

    /// The port it listens on, where it has one.
    pub fn port(&self) -> Option<u16> {
        self.local.inet().map(|a| a.port())
    }

    /// A way to send messages to the protocol.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
    }

    /// How many datagrams came, went and were lost, since the start.
    pub fn counts(&self) -> DatagramCounts {
        self.totals.counts()
    }

    /// Waits until it is over; says why.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or(Closed::Aborted),
            Err(_) => Closed::Aborted,
        }
    }

    /// Tells the protocol that it drains, and waits for its end for `grace` at
    /// most. False if it had to be cut: then deferred work was left, or answers
    /// that the socket would not take.
    pub async fn drain(self, grace: Duration) -> bool {
        self.drain_shared(grace).await
    }

    /// As [`drain`](Self::drain), by one of its owners.
    pub(crate) async fn drain_shared(&self, grace: Duration) -> bool {
        let drain = self
            .drain
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(drain) = drain {
            let _ = drain.send(());
        }
        let ended = tokio::time::timeout(grace, self.closed()).await.is_ok();
        self.task.abort();
        ended
    }

    /// Serves until the program is told to end; then drains.
    ///
    /// # Errors
    /// Why it failed, if it did before; [`Interrupted`](crate::Interrupted) at
    /// a second signal.
    pub async fn until_signal(self) -> Result {
        let signals = Signals::new()?;
        tokio::select! {
            () = signals.first() => {}
            why = self.closed() => return if why.is_clean() { Ok(()) } else { Err(why.into()) },
        }
        signals
            .unless_second(self.drain(crate::server::GRACE))
            .await?;
        Ok(())
    }
}

impl<M> Drop for DatagramServer<M> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<M> fmt::Debug for DatagramServer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramServer({}:{})", self.scheme, self.local)
    }
}

impl ServerEndpoint {
    /// Whether it carries datagrams, and is served by
    /// [`listen_datagrams`](Self::listen_datagrams) alone.
    pub fn is_datagram(&self) -> bool {
        matches!(self.scheme(), "udp" | "unix-datagram")
    }

    /// Serves datagrams (`udp:`, `unix-datagram:`, `mem:`) with a protocol.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen_datagrams<P: DatagramProtocol>(
        &self,
        protocol: P,
    ) -> Result<DatagramServer<P::Message>, ListenError> {
        self.listen_datagrams_with(protocol, DatagramOptions::default())
            .await
    }

    /// Serves datagrams with options other than the default ones.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen_datagrams_with<P: DatagramProtocol>(
        &self,
        protocol: P,
        options: impl Into<DatagramOptions>,
    ) -> Result<DatagramServer<P::Message>, ListenError> {
        let options = options.into();
        let socket = options.schemes.listen_datagrams(self).await?;
        // A socket that was passed on is called what it is.
        let scheme = match self.scheme() {
            "systemd" => "udp",
            scheme => scheme,
        };
        let measured = options.metrics.clone().zip(Some(options.service.clone()));
        let server = DatagramServer::start(scheme, protocol, socket, options);
        if let Some((metrics, service)) = measured {
            metrics.watch_datagrams(service, server.local_endpoint(), &server.totals);
        }
        Ok(server)
    }
}

impl ClientEndpoint {
    /// Exchanges datagrams (`udp:`, `unix-datagram:`, `mem:`) with one peer.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn start_datagrams<P: DatagramProtocol>(
        &self,
        protocol: P,
    ) -> Result<DatagramServer<P::Message>, ConnectError> {
        self.start_datagrams_with(protocol, DatagramOptions::default())
            .await
    }

    /// Exchanges datagrams with options other than the default ones.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn start_datagrams_with<P: DatagramProtocol>(
        &self,
        protocol: P,
        options: impl Into<DatagramOptions>,
    ) -> Result<DatagramServer<P::Message>, ConnectError> {
        let options = options.into();
        let socket = options.schemes.connect_datagrams(self).await?;
        Ok(DatagramServer::start(
            self.scheme(),
            protocol,
            socket,
            options,
        ))
    }
}
