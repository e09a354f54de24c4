//! Datagrams: the same callbacks over UDP, in batches.
//!
//! There are no connections and so no registry, no upgrade and no drain of
//! peers: one protocol serves one socket.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use tokio::{
    io::{Interest, ReadBuf},
    net::UdpSocket,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Sleep, sleep_until},
};

use crate::{
    Address, ClientEndpoint, Closed, ConnectError, Handle, Item, ListenError, Output, Payload,
    Result, ServerEndpoint, Topic,
    endpoint::{ClientSpec, ServerSpec},
    schemes::{resolve_host, udp_socket},
    signals::Signals,
    timers::{Timers, clock},
    work::{BoxFuture, Work},
};

/// Datagrams of one batch at most; then it is the turn of the answers.
const BATCH: usize = 64;

/// Turns in one poll; then other tasks of the thread have theirs.
const TURNS: usize = 32;

/// The largest datagram there is (IPv6 without jumbograms).
const LARGEST: usize = 65_535;

/// Bytes of answers that wait for the socket. What comes beyond is dropped and
/// counted, as the network itself would.
const UNSENT: usize = 1024 * 1024;

/// The state machine of one datagram socket.
///
/// ```
/// use ropewalk_core::{DatagramProtocol, Datagrams, DatagramTransport, Result};
///
/// struct Echo;
/// impl DatagramProtocol for Echo {
///     type Message = ();
///     type Timer = ();
///     fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
///         for (data, from) in batch {
///             t.send(data, from);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait DatagramProtocol: Sized + Send + 'static {
    /// What other tasks and deferred work send here.
    type Message: Send + 'static;
    /// The names of this protocol's timers.
    type Timer: Copy + Eq + Send + 'static;

    /// The socket is open.
    ///
    /// # Errors
    /// An error ends the protocol and closes its socket.
    fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        let _ = t;
        Ok(())
    }

    /// Datagrams arrived.
    ///
    /// # Errors
    /// An error ends the protocol; what one peer sent should not be one.
    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result;

    /// A message from a handle, a topic, or deferred work.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn message(&mut self, t: &mut DatagramTransport<Self>, message: Self::Message) -> Result {
        let _ = (t, message);
        Ok(())
    }

    /// A timer fired; it is no longer set.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn timeout(&mut self, t: &mut DatagramTransport<Self>, which: Self::Timer) -> Result {
        let _ = (t, which);
        Ok(())
    }

    /// The network said that something sent did not arrive: nobody listens
    /// there, or it was too large. Only a connected socket hears of it.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn undelivered(&mut self, t: &mut DatagramTransport<Self>, error: &io::Error) -> Result {
        let _ = (t, error);
        Ok(())
    }

    /// The server drains. By default the socket closes once the answers have
    /// left.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn draining(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        t.close();
        Ok(())
    }

    /// It is over. Called exactly once, and last.
    fn closed(&mut self, why: Closed) {
        let _ = why;
    }
}

/// Datagrams that arrived together; iterate over it.
#[derive(Default)]
pub struct Datagrams {
    bytes: BytesMut,
    /// Where each ends, and whence it came.
    ends: Vec<(usize, SocketAddr)>,
}

impl Datagrams {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn poll_receive(
        &mut self,
        socket: &UdpSocket,
        peer: Option<SocketAddr>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.bytes.reserve(LARGEST);
        let start = self.bytes.len();
        self.bytes.resize(start + LARGEST, 0);
        let mut buffer = ReadBuf::new(&mut self.bytes[start..]);
        let from = match peer {
            Some(peer) => socket.poll_recv(cx, &mut buffer).map_ok(|()| peer),
            None => socket.poll_recv_from(cx, &mut buffer),
        };
        let length = buffer.filled().len();
        let end = match &from {
            Poll::Ready(Ok(_)) => start + length,
            _ => start,
        };
        self.bytes.truncate(end);
        let from = ready!(from)?;
        self.ends.push((end, from));
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagrams({})", self.len())
    }
}

impl<'a> IntoIterator for &'a Datagrams {
    type Item = (&'a [u8], SocketAddr);
    type IntoIter = DatagramsIter<'a>;

    fn into_iter(self) -> DatagramsIter<'a> {
        DatagramsIter {
            rest: &self.bytes,
            at: 0,
            ends: self.ends.iter(),
        }
    }
}

/// Goes through [`Datagrams`].
#[derive(Debug)]
pub struct DatagramsIter<'a> {
    rest: &'a [u8],
    at: usize,
    ends: std::slice::Iter<'a, (usize, SocketAddr)>,
}

impl<'a> Iterator for DatagramsIter<'a> {
    type Item = (&'a [u8], SocketAddr);

    fn next(&mut self) -> Option<Self::Item> {
        let (end, from) = self.ends.next()?;
        let (data, rest) = self.rest.split_at(end - self.at);
        self.rest = rest;
        self.at = *end;
        Some((data, *from))
    }
}

/// What a [`DatagramProtocol`] acts upon.
pub struct DatagramTransport<P: DatagramProtocol> {
    out: Vec<(Vec<u8>, Option<SocketAddr>)>,
    unsent: usize,
    dropped: u64,
    closing: bool,
    now: Option<Instant>,
    timers: Timers<P::Timer>,
    work: Work<P::Message>,
    local: SocketAddr,
    peer: Option<SocketAddr>,
}

impl<P: DatagramProtocol> DatagramTransport<P> {
    /// Sends a datagram. One that the socket has no room for waits; with a
    /// mebibyte waiting, further ones are dropped and counted, as the network
    /// would.
    pub fn send(&mut self, data: impl Payload, to: SocketAddr) {
        self.queue(data, Some(to));
    }

    /// Sends a datagram to the peer that a client's socket is connected to.
    /// Without one it is dropped and counted.
    pub fn send_to_peer(&mut self, data: impl Payload) {
        match self.peer {
            Some(_) => self.queue(data, None),
            None => self.dropped += 1,
        }
    }

    fn queue(&mut self, data: impl Payload, to: Option<SocketAddr>) {
        let mut out = Output::default();
        out.put(data);
        let data = out.take();
        if self.unsent + data.len() > UNSENT || data.len() > LARGEST {
            self.dropped += 1;
            return;
        }
        self.unsent += data.len();
        self.out.push((data, to));
    }

    /// How many datagrams were dropped for lack of room, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Closes the socket once what was sent has left.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// The time of this turn; virtual under test.
    pub fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(clock)
    }

    /// Sets a timer, or moves it if it is set.
    pub fn set_timer(&mut self, which: P::Timer, after: Duration) {
        let at = self.now() + after;
        self.timers.set(which, at);
    }

    /// Takes a timer back.
    pub fn cancel_timer(&mut self, which: P::Timer) {
        self.timers.cancel(which);
    }

    /// Runs a future on this socket's own task; its output comes back as a
    /// message.
    pub fn defer(&mut self, work: impl Future<Output = P::Message> + Send + 'static) {
        self.work.defer(work);
    }

    /// A way for other tasks to send messages here; at most 64 wait.
    pub fn handle(&mut self) -> Handle<P::Message> {
        self.work.handle(64)
    }

    /// Subscribes to a topic: what is published from now on arrives in
    /// `message`.
    pub fn subscribe<T: Item>(&mut self, topic: &Topic<T>)
    where
        P::Message: From<T>,
    {
        self.work.feed(topic.feed());
    }

    /// Our end.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end, where the socket is connected to one.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl<P: DatagramProtocol> fmt::Debug for DatagramTransport<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramTransport")
            .field("local", &self.local)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// Drives one protocol on one socket.
struct Driver<P: DatagramProtocol> {
    protocol: P,
    socket: Arc<UdpSocket>,
    /// Waits for an error, on a connected socket: the runtime tells a reader
    /// of data only.
    refusals: Option<BoxFuture<'static, io::Error>>,
    transport: DatagramTransport<P>,
    batch: Datagrams,
    sleep: Option<Pin<Box<Sleep>>>,
    drain: Option<oneshot::Receiver<()>>,
    started: bool,
    ended: bool,
}

impl<P: DatagramProtocol> Driver<P> {
    fn turns(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>> {
        self.transport.now = None;
        for _ in 0..TURNS {
            let progress = self.turn(cx)?;
            if self.transport.closing && self.transport.out.is_empty() {
                return Ok(Poll::Ready(()));
            }
            if !progress {
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    /// Messages, timers, a batch, then the answers; true if a callback was
    /// called, which may have asked for any of these again.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut progress = false;
        let t = &mut self.transport;
        if !std::mem::replace(&mut self.started, true) {
            self.protocol.started(t)?;
            progress = true;
        }
        if let Some(drain) = &mut self.drain
            && Pin::new(drain).poll(cx).is_ready()
        {
            self.drain = None;
            self.protocol.draining(t)?;
            progress = true;
        }
        for _ in 0..BATCH {
            let Poll::Ready(message) = self.transport.work.poll(cx) else {
                break;
            };
            self.protocol.message(&mut self.transport, message?)?;
            progress = true;
        }
        progress |= self.timers(cx)?;
        progress |= self.refused(cx)?;
        progress |= self.receive(cx)?;
        progress |= self.flush(cx)?;
        Ok(progress)
    }

    /// Hears that something sent was refused.
    fn refused(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let Some(refusals) = &mut self.refusals else {
            return Ok(false);
        };
        let Poll::Ready(error) = refusals.as_mut().poll(cx) else {
            return Ok(false);
        };
        self.refusals = Some(refusal(self.socket.clone()));
        self.protocol.undelivered(&mut self.transport, &error)?;
        Ok(true)
    }

    /// Reads a batch; true if there was one.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        // While answers wait for the socket, questions wait too.
        if self.transport.closing || self.transport.unsent > UNSENT / 2 {
            return Ok(false);
        }
        let mut called = false;
        while self.batch.len() < BATCH {
            match self
                .batch
                .poll_receive(&self.socket, self.transport.peer, cx)
            {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                // Something sent before was refused on its way.
                Poll::Ready(Err(error)) => {
                    self.protocol.undelivered(&mut self.transport, &error)?;
                    called = true;
                }
            }
        }
        if self.batch.is_empty() {
            // The buffer of an idle socket is not kept.
            self.batch = Datagrams::default();
        } else {
            self.protocol.received(&mut self.transport, &self.batch)?;
            self.batch.clear();
            called = true;
        }
        Ok(called)
    }

    /// Sends what waits; true if a callback was called, or a full queue has
    /// room again.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let was_full = self.transport.unsent > UNSENT / 2;
        let mut sent = 0;
        let mut failed = None;
        for (data, to) in &self.transport.out {
            let result = match to {
                Some(to) => self.socket.poll_send_to(cx, data, *to),
                None => self.socket.poll_send(cx, data),
            };
            match result {
                Poll::Pending => break,
                Poll::Ready(result) => {
                    // One that cannot be sent is lost, as on the network.
                    failed = result.err().or(failed);
                    self.transport.unsent -= data.len();
                    sent += 1;
                }
            }
        }
        self.transport.out.drain(..sent);
        if let Some(error) = failed {
            tracing::debug!(%error, "a datagram could not be sent");
            self.protocol.undelivered(&mut self.transport, &error)?;
            return Ok(true);
        }
        Ok(was_full && self.transport.unsent <= UNSENT / 2)
    }

    fn timers(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut called = false;
        while let Some(at) = self.transport.timers.next() {
            let until = tokio::time::Instant::from_std(at);
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            let now = clock();
            self.transport.now = Some(now);
            if let Some(which) = self.transport.timers.take_due(now) {
                self.protocol.timeout(&mut self.transport, which)?;
                called = true;
            }
        }
        Ok(called)
    }
}

/// Waits for the next error of a socket.
fn refusal(socket: Arc<UdpSocket>) -> BoxFuture<'static, io::Error> {
    Box::pin(async move {
        loop {
            if let Err(error) = socket.ready(Interest::ERROR).await {
                return error;
            }
            let error = socket.take_error();
            // Says that there is no more, so that the next wait waits.
            let _ = socket.try_io(Interest::ERROR, || {
                Err::<(), _>(io::ErrorKind::WouldBlock.into())
            });
            match error {
                Ok(Some(error)) | Err(error) => return error,
                Ok(None) => {}
            }
        }
    })
}

impl<P: DatagramProtocol> Future for Driver<P> {
    type Output = Closed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        let why = match self.turns(cx) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Closed::Local,
            Err(error) => Closed::failed(error),
        };
        self.ended = true;
        self.protocol.closed(why.clone());
        Poll::Ready(why)
    }
}

impl<P: DatagramProtocol> Unpin for Driver<P> {}

impl<P: DatagramProtocol> Drop for Driver<P> {
    fn drop(&mut self) {
        if !self.ended {
            self.protocol.closed(Closed::Aborted);
        }
    }
}

/// A datagram protocol that runs. Dropping it ends it at once.
#[must_use = "a datagram server that is dropped stops at once"]
pub struct DatagramServer<M> {
    local: SocketAddr,
    handle: Handle<M>,
    drain: Option<oneshot::Sender<()>>,
    closed: watch::Receiver<Option<Closed>>,
    task: JoinHandle<()>,
}

impl<M: Send + 'static> DatagramServer<M> {
    fn start<P: DatagramProtocol<Message = M>>(
        protocol: P,
        socket: UdpSocket,
        peer: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let socket = Arc::new(socket);
        let (drain, asked) = oneshot::channel();
        let (over, closed) = watch::channel(None);
        let mut driver = Driver {
            protocol,
            refusals: peer.map(|_| refusal(socket.clone())),
            socket,
            transport: DatagramTransport {
                out: Vec::new(),
                unsent: 0,
                dropped: 0,
                closing: false,
                now: None,
                timers: Timers::new(),
                work: Work::new(),
                local,
                peer,
            },
            batch: Datagrams::default(),
            sleep: None,
            drain: Some(asked),
            started: false,
            ended: false,
        };
        let handle = driver.transport.handle();
        let task = tokio::spawn(async move {
            let why = driver.await;
            if let Closed::Failed(error) = &why {
                tracing::warn!(%error, %local, "datagram protocol failed");
            }
            over.send_replace(Some(why));
        });
        Ok(Self {
            local,
            handle,
            drain: Some(drain),
            closed,
            task,
        })
    }

    /// Where it listens; the real port where 0 asked for any.
    pub fn local_address(&self) -> Address {
        self.local.into()
    }

    /// Where it listens, as a server's endpoint string.
    pub fn local_endpoint(&self) -> String {
        format!("udp:{}", self.local)
    }

    /// A way to send messages to the protocol.
    pub fn handle(&self) -> Handle<M> {
        self.handle.clone()
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
    /// most. False if it had to be cut.
    pub async fn drain(mut self, grace: Duration) -> bool {
        if let Some(drain) = self.drain.take() {
            let _ = drain.send(());
        }
        tokio::time::timeout(grace, self.closed()).await.is_ok()
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
        write!(f, "DatagramServer(udp:{})", self.local)
    }
}

impl ServerEndpoint {
    /// Serves datagrams (`udp:`) with a protocol.
    ///
    /// # Errors
    /// [`ListenError`] says what stands in the way.
    pub async fn listen_datagrams<P: DatagramProtocol>(
        &self,
        protocol: P,
    ) -> Result<DatagramServer<P::Message>, ListenError> {
        let ServerSpec::Udp(udp) = &self.spec else {
            return Err(ListenError::unsupported(
                self,
                "it does not carry datagrams",
            ));
        };
        udp_socket(udp)
            .and_then(|socket| DatagramServer::start(protocol, socket, None))
            .map_err(|source| ListenError::new(self.to_string(), source))
    }
}

impl ClientEndpoint {
    /// Exchanges datagrams (`udp:`) with one peer.
    ///
    /// # Errors
    /// [`ConnectError`] says what stands in the way.
    pub async fn start_datagrams<P: DatagramProtocol>(
        &self,
        protocol: P,
    ) -> Result<DatagramServer<P::Message>, ConnectError> {
        let ClientSpec::Udp(udp) = &self.spec else {
            return Err(ConnectError::unsupported(
                self,
                "it does not carry datagrams",
            ));
        };
        let start = async {
            let bind = match &udp.bind {
                Some(bind) => Some(crate::schemes::socket_address(bind, 0)?),
                None => None,
            };
            let mut last = io::ErrorKind::AddrNotAvailable.into();
            for peer in resolve_host(&udp.host, udp.port).await? {
                let any = match peer {
                    SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
                    SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
                };
                let socket = UdpSocket::bind(bind.unwrap_or(any)).await?;
                match socket.connect(peer).await {
                    Ok(()) => return DatagramServer::start(protocol, socket, Some(peer)),
                    Err(error) => last = error,
                }
            }
            Err(last)
        };
        start
            .await
            .map_err(|source| ConnectError::new(self.to_string(), source))
    }
}
