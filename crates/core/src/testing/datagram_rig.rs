//! One datagram protocol with no runtime, no socket and no clock.

use std::{
    collections::VecDeque,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{
    Address, Closed, DatagramOption, DatagramOptions, DatagramProtocol, DatagramSocket,
    DatagramTransport, Datagrams, Result, UnsentDatagrams, datagram::session::Session, topic::Turn,
};

/// Turns that a step may take.
const TURNS: usize = 1_000_000;

/// A datagram protocol on the bench: feed it datagrams and time, look at what
/// it sends.
///
/// It calls the callbacks as the driver would: deferred work is polled at every
/// step, and what is sent leaves at once unless [`stall`](Self::stall) says
/// otherwise. Work that needs a runtime of its own wants a `mem:` endpoint.
///
/// ```
/// # use ropewalk_core::{DatagramProtocol, Datagrams, DatagramTransport, Result};
/// use ropewalk_core::testing::DatagramRig;
///
/// # struct Echo;
/// # impl DatagramProtocol for Echo {
/// #     type Message = ();
/// #     type Timer = ();
/// #     fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
/// #         for (data, from) in batch { t.send(data, from) }
/// #         Ok(())
/// #     }
/// # }
/// let mut rig = DatagramRig::new(Echo);
/// rig.receive("a", "192.0.2.7:7").receive("b", "[2001:db8::7]:7");
/// assert_eq!(rig.sent_text(), "192.0.2.7:7 a\n[2001:db8::7]:7 b\n");
/// rig.drain();
/// assert!(rig.is_closed());
/// ```
pub struct DatagramRig<P: DatagramProtocol> {
    session: Session<P>,
    wire: Arc<Mutex<Wire>>,
    closed: Option<Closed>,
}

/// What the socket of a rig and the rig itself share.
struct Wire {
    local: Address,
    peer: Option<Address>,
    arrived: VecDeque<(Vec<u8>, Address)>,
    sent: Vec<(Vec<u8>, Address)>,
    stalled: bool,
    refused: VecDeque<io::Error>,
    options: Vec<DatagramOption>,
}

impl<P: DatagramProtocol> DatagramRig<P> {
    /// A protocol whose socket, 192.0.2.2:1, has just been opened.
    pub fn new(protocol: P) -> Self {
        Self::with(protocol, None, DatagramOptions::default())
    }

    /// A protocol whose socket is connected to a peer: to what reads as an IP
    /// address and port, or else to a `mem:` name.
    pub fn connected(protocol: P, peer: &str) -> Self {
        Self::with(protocol, Some(address(peer)), DatagramOptions::default())
    }

    /// A protocol whose socket has just been opened, with options.
    pub fn with(protocol: P, peer: Option<Address>, options: DatagramOptions) -> Self {
        let wire = Arc::new(Mutex::new(Wire {
            local: address("192.0.2.2:1"),
            peer,
            arrived: VecDeque::new(),
            sent: Vec::new(),
            stalled: false,
            refused: VecDeque::new(),
            options: Vec::new(),
        }));
        let mut session = Session::new(protocol, Box::new(Socket(wire.clone())), options);
        session.transport.now = Some(Instant::now());
        let mut rig = Self {
            session,
            wire,
            closed: None,
        };
        rig.settle();
        rig
    }

    /// A datagram arrives, from an IP address and port, or else from a `mem:`
    /// name.
    pub fn receive(&mut self, data: impl AsRef<[u8]>, from: &str) -> &mut Self {
        self.receive_batch([(data, from)])
    }

    /// Datagrams arrive together.
    pub fn receive_batch<'a, D: AsRef<[u8]>>(
        &mut self,
        batch: impl IntoIterator<Item = (D, &'a str)>,
    ) -> &mut Self {
        let batch = batch
            .into_iter()
            .map(|(data, from)| (data.as_ref().to_vec(), address(from)));
        self.wire().arrived.extend(batch);
        self.settle()
    }

    /// Time passes: timers fire in their order, each at its own time.
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        let end = self.session.transport.now() + by;
        while self.closed.is_none()
            && let Some(at) = self.session.transport.timers.next()
            && at <= end
        {
            let now = at.max(self.session.transport.now());
            self.step(|session| session.timer(now).map(drop));
        }
        self.session.transport.now = Some(end);
        self
    }

    /// A message arrives, as from a handle.
    pub fn message(&mut self, message: P::Message) -> &mut Self {
        self.step(|session| session.message(message))
    }

    /// The network says that something which was sent did not arrive, as a
    /// connected socket hears.
    pub fn refuse(&mut self, error: impl Into<io::Error>) -> &mut Self {
        self.wire().refused.push_back(error.into());
        self.settle()
    }

    /// The server drains.
    pub fn drain(&mut self) -> &mut Self {
        self.step(Session::draining)
    }

    /// The socket takes nothing: what is sent waits.
    pub fn stall(&mut self) -> &mut Self {
        self.wire().stalled = true;
        self
    }

    /// The socket takes what is sent again.
    pub fn unstall(&mut self) -> &mut Self {
        self.wire().stalled = false;
        self.settle()
    }

    /// Polls deferred work and topics again.
    pub fn poll(&mut self) -> &mut Self {
        self.settle()
    }

    /// What was sent since the last call, each with where to.
    pub fn sent(&mut self) -> Vec<(Vec<u8>, Address)> {
        std::mem::take(&mut self.wire().sent)
    }

    /// What was sent since the last call: a line each, where to and what. What
    /// is no UTF-8 becomes U+FFFD.
    pub fn sent_text(&mut self) -> String {
        self.sent()
            .iter()
            .map(|(data, to)| format!("{to} {}\n", String::from_utf8_lossy(data)))
            .collect()
    }

    /// The options that the protocol has set on its socket, groups that it
    /// joined among them, in order.
    pub fn options(&self) -> Vec<DatagramOption> {
        self.wire().options.clone()
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Why it is over.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The protocol.
    pub fn protocol(&self) -> &P {
        &self.session.protocol
    }

    /// The protocol, to be changed behind its back.
    pub fn protocol_mut(&mut self) -> &mut P {
        &mut self.session.protocol
    }

    /// The transport.
    pub fn transport(&mut self) -> &mut DatagramTransport<P> {
        &mut self.session.transport
    }

    /// When the next timer is due, counted from now.
    pub fn next_timer(&mut self) -> Option<Duration> {
        let now = self.session.transport.now();
        let at = self.session.transport.timers.next()?;
        Some(at.saturating_duration_since(now))
    }

    /// Ends the test of this protocol, which comes back.
    ///
    /// # Panics
    /// If its socket is still open.
    pub fn finish(self) -> P {
        assert!(self.is_closed(), "the socket is still open");
        self.session.protocol
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&mut self, call: impl FnOnce(&mut Session<P>) -> Result) -> &mut Self {
        if self.closed.is_none() {
            let turn = Turn::begin();
            let result = call(&mut self.session);
            self.session.hold(&turn);
            if let Err(error) = result {
                self.end(Closed::failed(error));
            }
        }
        self.settle()
    }

    /// Turns, until nothing happens any more.
    fn settle(&mut self) -> &mut Self {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..TURNS {
            if self.closed.is_some() {
                return self;
            }
            let turn = Turn::begin();
            let now = self.session.transport.now();
            let mut progress = self.session.turn(&mut cx);
            if let Ok(false) = progress {
                progress = self.session.timer(now);
            }
            self.session.hold(&turn);
            match progress {
                Err(error) => self.end(Closed::failed(error)),
                Ok(_) if self.session.is_over() => self.end(Closed::Local),
                Ok(true) => {}
                Ok(false) => return self,
            }
        }
        panic!("the protocol never comes to rest: does it set a timer for now, again and again?");
    }

    fn end(&mut self, why: Closed) {
        self.session.end(why.clone());
        self.closed = Some(why);
    }
}

impl<P: DatagramProtocol> fmt::Debug for DatagramRig<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramRig")
            .field("transport", &self.session.transport)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

fn address(text: &str) -> Address {
    match text.parse() {
        Ok(address) => Address::Inet(address),
        Err(_) => Address::Memory(text.into()),
    }
}

struct Socket(Arc<Mutex<Wire>>);

impl Socket {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DatagramSocket for Socket {
    fn poll_receive(&mut self, _: &mut Context<'_>, batch: &mut Datagrams) -> Poll<io::Result<()>> {
        let arrived = &mut self.wire().arrived;
        if arrived.is_empty() {
            return Poll::Pending;
        }
        while batch.room() > 0
            && let Some((data, from)) = arrived.pop_front()
        {
            batch.push(&data, from);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>> {
        let mut wire = self.wire();
        if wire.stalled {
            return Poll::Pending;
        }
        while let Some((data, to)) = unsent.front() {
            let to = to.cloned().or_else(|| wire.peer.clone());
            let to = to.ok_or(io::ErrorKind::NotConnected)?;
            wire.sent.push((data.to_vec(), to));
            unsent.sent(1);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_refused(&mut self, _: &mut Context<'_>) -> Poll<io::Error> {
        match self.wire().refused.pop_front() {
            Some(error) => Poll::Ready(error),
            None => Poll::Pending,
        }
    }

    fn local(&self) -> Address {
        self.wire().local.clone()
    }

    fn peer(&self) -> Option<Address> {
        self.wire().peer.clone()
    }

    fn set(&mut self, option: &DatagramOption) -> io::Result<()> {
        self.wire().options.push(option.clone());
        Ok(())
    }
}
