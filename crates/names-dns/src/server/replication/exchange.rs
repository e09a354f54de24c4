//! What is said to other servers: questions and transfers over streams and
//! datagrams, with deadlines.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Connection, DatagramOptions, DatagramProtocol,
    DatagramTransport, Datagrams, Result as CoreResult, Undelivered, random, wall_clock,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::oneshot,
    time::timeout,
};

use super::apply::Receiving;
use crate::{
    proto::{
        Class, Name, Rcode, Serial, SoaNumbers,
        notify::Call,
        transfer::{Inbound, InboundOptions, Progress, TransferError},
        tsig::Key,
    },
    zone::Zone,
};

/// Another server, and the key that is used with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Remote {
    /// Where it is: `tcp:` or `tls:` for transfers (RFC 9103), `udp:` too for
    /// NOTIFY.
    pub endpoint: ClientEndpoint,
    /// What is said is signed with this. Default nothing.
    pub key: Option<Key>,
}

impl Remote {
    /// A server without a key.
    pub fn new(endpoint: ClientEndpoint) -> Self {
        Self {
            endpoint,
            key: None,
        }
    }

    /// The same with a key.
    #[must_use]
    pub fn with_key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Reads an address, with or without its port (53), as an endpoint of this
    /// scheme; or an endpoint.
    ///
    /// ```
    /// use ropewalk_names_dns::server::replication::Remote;
    ///
    /// let remote = |text| Remote::parse(text, "tcp").map(|remote| remote.endpoint.to_string());
    /// assert_eq!(remote("192.0.2.1")?, "tcp:192.0.2.1:53");
    /// assert_eq!(remote("[2001:db8::1]:5300")?, "tcp:[2001:db8::1]:5300");
    /// assert_eq!(remote("tls:ns.example:853")?, "tls:ns.example:853");
    /// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// What is neither.
    pub fn parse(text: &str, scheme: &str) -> Result<Self, ropewalk_core::endpoint::ParseError> {
        let plain = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let address = match (
            text.parse::<SocketAddr>(),
            plain.unwrap_or(text).parse::<IpAddr>(),
        ) {
            (Ok(address), _) => Some(address),
            (_, Ok(address)) => Some(SocketAddr::new(address, 53)),
            _ => None,
        };
        let endpoint = match address {
            Some(address) => format!("{scheme}:{address}").parse()?,
            None => text.parse()?,
        };
        Ok(Self::new(endpoint))
    }

    /// Its address, where the endpoint names one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        let host = self.endpoint.host()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host.parse().ok()
    }

    fn is_datagram(&self) -> bool {
        matches!(self.endpoint.scheme(), "udp" | "unix-datagram")
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// How long others may take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection, TLS included. Default 10 s.
    pub connect: Duration,
    /// For an answer, and for each further message of one. Default 30 s: a
    /// busy primary may compute for a while.
    pub answer: Duration,
    /// For a transfer as a whole. Default two hours, as BIND's: who sends an
    /// octet a second should not hold it for ever.
    pub transfer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            transfer: Duration::from_secs(2 * 60 * 60),
        }
    }
}

/// Why another server did not do what was asked of it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(Arc<io::Error>),
    /// Nothing came for too long.
    #[error("it did not {0} in time")]
    TimedOut(&'static str),
    /// The answer.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// What came makes no zone.
    #[error("{0}")]
    Zone(String),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl ExchangeError {
    /// Whether an IXFR that ended so may do better as an AXFR: the server does
    /// not know it, or what it sent does not fit.
    pub(super) fn is_for_axfr(&self) -> bool {
        match self {
            Self::Transfer(TransferError::Refused(rcode)) => {
                !matches!(*rcode, Rcode::REFUSED | Rcode::NOTAUTH)
            }
            Self::Transfer(TransferError::Signature(_) | TransferError::NotNewer { .. }) => false,
            Self::Transfer(_) | Self::Zone(_) | Self::Io(_) => true,
            Self::Connect(_) | Self::TimedOut(_) => false,
        }
    }
}

/// A version of a zone: its TTL, data and serial.
pub(super) struct Version<'a> {
    pub(super) ttl: u32,
    pub(super) rdata: &'a [u8],
    pub(super) serial: Serial,
}

impl<'a> Version<'a> {
    pub(super) fn of(zone: &'a Zone) -> Self {
        let soa = zone.soa();
        Self {
            ttl: soa.ttl(),
            rdata: soa.first(),
            serial: Serial(zone.serial()),
        }
    }
}

/// A conversation over a stream.
pub(super) struct Dialog<'a> {
    connection: Connection,
    key: Option<&'a Key>,
    timeouts: &'a Timeouts,
}

impl<'a> Dialog<'a> {
    pub(super) async fn connect(
        remote: &'a Remote,
        options: &ConnectOptions,
        timeouts: &'a Timeouts,
    ) -> Result<Self, ExchangeError> {
        let connecting = connect(&remote.endpoint, options);
        let connection = match timeout(timeouts.connect, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(ExchangeError::TimedOut("connect")),
        };
        Ok(Self {
            connection,
            key: remote.key.as_ref(),
            timeouts,
        })
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), ExchangeError> {
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        // In one write, so that it goes in one segment.
        let framed = [&length.to_be_bytes(), message].concat();
        let sending = async {
            self.connection.write_all(&framed).await?;
            self.connection.flush().await
        };
        match timeout(self.timeouts.answer, sending).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ExchangeError::TimedOut("take the request")),
        }
    }

    async fn receive(&mut self) -> Result<Vec<u8>, ExchangeError> {
        let receiving = async {
            let length = self.connection.read_u16().await?;
            let mut message = vec![0; length.into()];
            self.connection.read_exact(&mut message).await?;
            Ok::<_, io::Error>(message)
        };
        match timeout(self.timeouts.answer, receiving).await {
            Ok(received) => Ok(received?),
            Err(_) => Err(ExchangeError::TimedOut("answer")),
        }
    }

    /// Asks for the SOA.
    pub(super) async fn soa(
        &mut self,
        zone: &Name,
        class: Class,
    ) -> Result<SoaNumbers, ExchangeError> {
        let key = self.key.map(|key| (key, wall_clock()));
        let (mut call, request) = Call::soa(zone.clone(), class, id(), key);
        self.send(&request).await?;
        let mut answer = self.receive().await?;
        match call.read(&mut answer, wall_clock())? {
            Some(soa) => Ok(soa),
            None => Err(TransferError::Sequence("an answer without an SOA").into()),
        }
    }

    /// Tells that a zone has changed.
    async fn call(&mut self, mut call: Call, request: &[u8]) -> Result<(), ExchangeError> {
        self.send(request).await?;
        let mut answer = self.receive().await?;
        call.read(&mut answer, wall_clock())?;
        Ok(())
    }

    /// Transfers a zone: what changed since a version, or all of it.
    /// `incremental` says which is asked for.
    pub(super) async fn transfer(
        &mut self,
        receiving: &mut Receiving,
        zone: &Name,
        class: Class,
        have: Option<&Version<'_>>,
        incremental: bool,
        limits: &InboundOptions,
    ) -> Result<Progress, ExchangeError> {
        let key = self.key.map(|key| (key, wall_clock()));
        let limits = limits.clone();
        let (mut inbound, request) = match have {
            Some(version) if incremental => {
                let soa = (version.ttl, version.rdata);
                Inbound::ixfr(zone.clone(), class, id(), soa, key, limits)
            }
            have => {
                let (inbound, request) = Inbound::axfr(zone.clone(), class, id(), key, limits);
                match have {
                    Some(version) => (inbound.newer_than(version.serial), request),
                    None => (inbound, request),
                }
            }
        };
        self.send(&request).await?;
        loop {
            let mut message = self.receive().await?;
            let progress = inbound.receive(&mut message, wall_clock(), &mut |change| {
                receiving.change(change)
            });
            match (progress, receiving.fault.take()) {
                (Ok(Progress::More), _) => {}
                (Ok(progress), _) => return Ok(progress),
                (Err(_), Some(fault)) => return Err(ExchangeError::Zone(fault.to_string())),
                (Err(error), None) => return Err(error.into()),
            }
        }
    }
}

/// An id that nobody foresees.
fn id() -> u16 {
    let [a, b, ..] = random().to_le_bytes();
    u16::from_le_bytes([a, b])
}

#[cfg(feature = "tls")]
async fn connect(
    endpoint: &ClientEndpoint,
    options: &ConnectOptions,
) -> Result<Connection, ExchangeError> {
    let failed = |error: ropewalk_core::ConnectError| ExchangeError::Connect(error.to_string());
    // What RFC 9103, section 7.1, has a client offer.
    let options = options
        .clone()
        .prepare(endpoint)
        .map_err(failed)?
        .alpn(&["dot"]);
    endpoint.connect_with(&options).await.map_err(failed)
}

#[cfg(not(feature = "tls"))]
async fn connect(
    endpoint: &ClientEndpoint,
    options: &ConnectOptions,
) -> Result<Connection, ExchangeError> {
    let connected = endpoint.connect_with(options).await;
    connected.map_err(|error| ExchangeError::Connect(error.to_string()))
}

/// Tells a server that a zone has changed, once; the caller repeats it.
pub(super) async fn notify(
    remote: &Remote,
    zone: &Zone,
    options: &ConnectOptions,
    timeouts: &Timeouts,
) -> Result<(), ExchangeError> {
    let version = Version::of(zone);
    let (call, request) = Call::notify(
        zone.origin().to_name(),
        zone.class(),
        id(),
        Some((version.ttl, version.rdata)),
        remote.key.as_ref().map(|key| (key, wall_clock())),
    );
    if !remote.is_datagram() {
        let mut dialog = Dialog::connect(remote, options, timeouts).await?;
        return dialog.call(call, &request).await;
    }
    let (answered, answer) = oneshot::channel();
    let asking = Asking {
        call,
        request,
        answered: Some(answered),
    };
    let datagrams = DatagramOptions::from(options.schemes.clone());
    let started = remote
        .endpoint
        .start_datagrams_with(asking, datagrams)
        .await;
    // Dropped at the end of this, and the socket with it.
    let _server = started.map_err(|error| ExchangeError::Connect(error.to_string()))?;
    match timeout(timeouts.answer, answer).await {
        Ok(Ok(result)) => Ok(result?),
        Ok(Err(_)) => Err(ExchangeError::Connect("the socket failed".into())),
        Err(_) => Err(ExchangeError::TimedOut("answer")),
    }
}

/// One request by a datagram.
struct Asking {
    call: Call,
    request: Vec<u8>,
    answered: Option<oneshot::Sender<Result<(), TransferError>>>,
}

impl DatagramProtocol for Asking {
    type Message = ();
    type Timer = ();

    fn started(&mut self, t: &mut DatagramTransport<Self>) -> CoreResult {
        t.send_to_peer(&*self.request);
        Ok(())
    }

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> CoreResult {
        for (data, _) in batch {
            match self.call.read(&mut data.to_vec(), wall_clock()) {
                // Somebody else's words: the right answer may still come.
                Err(TransferError::Stray(_) | TransferError::Signature(_)) => {}
                result => {
                    if let Some(answered) = self.answered.take() {
                        // Who asked may have given up.
                        let _ = answered.send(result.map(drop));
                    }
                    t.close();
                }
            }
        }
        Ok(())
    }

    fn undelivered(&mut self, _: &mut DatagramTransport<Self>, _: &Undelivered) -> CoreResult {
        // As good as lost: it is said again.
        Ok(())
    }
}
