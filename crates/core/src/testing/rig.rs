//! One protocol with no runtime, no socket and no clock.

use std::{
    collections::VecDeque,
    fmt,
    sync::Arc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use crate::{
    Address, Closed, Input, Limits, Peer, Protocol, Result, Transport, Violation,
    registry::Entry,
    session::{EndOfInput, Session},
    topic::Turn,
    transport::{Change, Finish, State},
};

/// Turns that a step may take; a body of many gigabytes takes fewer.
const TURNS: usize = 1_000_000;

/// A protocol on the bench: feed it bytes and time, look at what it sends.
///
/// It calls the callbacks as the driver would: deferred work is polled at
/// every step, and what is written leaves at once unless [`stall`](Self::stall)
/// says otherwise. Work that needs a runtime of its own wants a `mem:`
/// endpoint instead.
pub struct Rig<P: Protocol> {
    session: Session<P>,
    sent: Vec<u8>,
    /// Messages that wait until they can be taken.
    messages: VecDeque<P::Message>,
    drained: bool,
    /// It was drained during an upgrade.
    tell_of_drain: bool,
    stalled: bool,
    upgrading: bool,
    failure: Option<Closed>,
    closed: Option<Closed>,
    handed_over: Option<Vec<u8>>,
}

impl<P: Protocol> Rig<P> {
    /// A protocol whose connection has just come, from 192.0.2.1:49152, with
    /// the default limits.
    pub fn new(protocol: P) -> Self {
        let address = std::net::SocketAddr::from(([192, 0, 2, 1], 49152));
        Self::with(protocol, Peer::new(address), Limits::default())
    }

    /// A protocol whose connection has just come.
    pub fn with(protocol: P, peer: Peer, limits: Limits) -> Self {
        let local = std::net::SocketAddr::from(([192, 0, 2, 2], 1));
        let entry = Arc::new(Entry::new(peer.clone(), Address::from(local)));
        let mut transport = Transport::new(peer, entry, Arc::new(limits));
        transport.now = Some(Instant::now());
        let mut rig = Self {
            session: Session::new(protocol, transport, Input::default()),
            sent: Vec::new(),
            messages: VecDeque::new(),
            drained: false,
            tell_of_drain: false,
            stalled: false,
            upgrading: false,
            failure: None,
            closed: None,
            handed_over: None,
        };
        rig.step(Session::connected);
        rig
    }

    /// Bytes arrive. After the close they are thrown away, as by a driver.
    ///
    /// # Panics
    /// While an upgrade is under way: those bytes are the upgrade's.
    pub fn receive(&mut self, data: impl AsRef<[u8]>) -> &mut Self {
        assert!(!self.upgrading, "an upgrade is under way: call `upgrade`");
        if self.is_open() && self.session.end == EndOfInput::No {
            self.session.input.extend(data.as_ref());
            self.session.transport.look_again = true;
            self.settle();
        }
        self
    }

    /// The same bytes, one at a time: framing must not depend on where
    /// segments end.
    pub fn receive_bytewise(&mut self, data: impl AsRef<[u8]>) -> &mut Self {
        for byte in data.as_ref() {
            self.receive([*byte]);
        }
        self
    }

    /// Time passes: timers fire in their order, each at its own time, and the
    /// idle deadline does not. During an upgrade they wait for its end.
    pub fn advance(&mut self, by: Duration) -> &mut Self {
        let end = self.session.transport.now() + by;
        while self.is_open()
            && !self.upgrading
            && let Some(at) = self.session.transport.timers.next()
            && at <= end
        {
            let now = at.max(self.session.transport.now());
            self.session.transport.now = Some(now);
            self.step(|session| session.timers(now).map(drop));
        }
        self.session.transport.now = Some(end);
        self
    }

    /// The peer ends its side.
    pub fn eof(&mut self) -> &mut Self {
        if self.session.end == EndOfInput::No {
            self.session.end = EndOfInput::Seen;
            self.settle();
        }
        self
    }

    /// A message arrives, as from a handle. It waits while the connection
    /// takes none: during an upgrade, and while too much waits to be sent.
    pub fn message(&mut self, message: P::Message) -> &mut Self {
        self.messages.push_back(message);
        self.settle();
        self
    }

    /// The server drains. The protocol is told once, after an upgrade that is
    /// under way.
    pub fn drain(&mut self) -> &mut Self {
        if std::mem::replace(&mut self.drained, true) {
            return self;
        }
        self.tell_of_drain = self.upgrading;
        if !self.upgrading {
            self.step(Session::draining);
        }
        self
    }

    /// The peer stops reading: what is written waits.
    pub fn stall(&mut self) -> &mut Self {
        self.stalled = true;
        self
    }

    /// The peer reads again.
    pub fn unstall(&mut self) -> &mut Self {
        self.stalled = false;
        self.settle();
        self
    }

    /// The upgrade that the protocol asked for succeeds.
    ///
    /// # Panics
    /// If it asked for none.
    pub fn upgrade(&mut self) -> &mut Self {
        assert!(self.upgrading, "no upgrade is under way");
        self.upgrading = false;
        self.step(Session::upgraded);
        // What came due meanwhile.
        self.advance(Duration::ZERO);
        if std::mem::take(&mut self.tell_of_drain) {
            self.step(Session::draining);
        }
        self
    }

    /// Whether the protocol waits for an upgrade.
    pub fn is_upgrading(&self) -> bool {
        self.upgrading
    }

    /// What was sent since the last call.
    pub fn sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }

    /// What was sent since the last call, as text; what is no UTF-8 becomes
    /// U+FFFD.
    pub fn sent_text(&mut self) -> String {
        String::from_utf8_lossy(&self.sent()).into_owned()
    }

    /// Polls deferred work and topics again.
    pub fn poll(&mut self) -> &mut Self {
        self.settle();
        self
    }

    /// Whether our side of the stream has ended, by
    /// [`Transport::finish`](crate::Transport::finish) or with the connection.
    pub fn is_finished(&self) -> bool {
        self.is_closed() || self.session.transport.finish == Finish::Done
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Why the connection is over.
    pub fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The input that went on to a handler, if the connection was handed over.
    pub fn handed_over(&self) -> Option<&[u8]> {
        self.handed_over.as_deref()
    }

    /// Bytes that arrived and were not taken.
    pub fn unread(&self) -> &[u8] {
        &self.session.input
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
    pub fn transport(&mut self) -> &mut Transport<P> {
        &mut self.session.transport
    }

    /// When the next timer is due, counted from now.
    pub fn next_timer(&mut self) -> Option<Duration> {
        let now = self.session.transport.now();
        let at = self.session.transport.timers.next()?;
        Some(at.saturating_duration_since(now))
    }

    /// Ends the test of this protocol, which comes back. Its timers and
    /// deferred work ended with the connection.
    ///
    /// # Panics
    /// If the connection is still open.
    pub fn finish(self) -> P {
        assert!(self.is_closed(), "the connection is still open");
        self.session.protocol
    }

    fn is_open(&self) -> bool {
        self.closed.is_none() && self.session.transport.state == State::Open
    }

    fn step(&mut self, call: impl FnOnce(&mut Session<P>) -> Result) -> &mut Self {
        if self.is_open() {
            let turn = Turn::begin();
            let result = call(&mut self.session);
            self.session.hold(&turn);
            drop(turn);
            self.note(result);
            self.settle();
        }
        self
    }

    fn note(&mut self, result: Result) {
        if let Err(error) = result {
            self.failure.get_or_insert(Closed::failed(error));
            self.session.transport.close();
        }
    }

    /// Turns, until nothing happens any more.
    fn settle(&mut self) {
        for _ in 0..TURNS {
            if self.closed.is_some() || self.upgrading || !self.turn() {
                return;
            }
        }
        panic!("the protocol never comes to rest: does it set a timer for now, again and again?");
    }

    fn turn(&mut self) -> bool {
        let turn = Turn::begin();
        let mut progress = false;
        if self.session.transport.state == State::Open {
            let result = self.callbacks();
            progress = *result.as_ref().unwrap_or(&true);
            self.note(result.map(drop));
        } else if self.session.transport.state == State::Closing {
            self.session.closing();
            let result = self.session.bodies(&mut Context::from_waker(Waker::noop()));
            progress = *result.as_ref().unwrap_or(&true);
            self.note(result.map(drop));
        }
        self.session.hold(&turn);
        if self.session.transport.state == State::Aborting {
            self.end(Closed::Aborted);
            return false;
        }
        self.session.throttle();
        let out = &mut self.session.transport.out;
        if !self.stalled && !out.is_empty() {
            self.sent.extend(out.take());
            progress = true;
        }
        match self.session.unthrottle() {
            Ok(more) => progress |= more,
            Err(error) => self.note(Err(error)),
        }
        if self.session.is_to_finish() {
            self.session.transport.finish = Finish::Done;
            progress = true;
        } else {
            self.session.close_if_over();
        }
        progress |= self.change();
        if self.session.transport.state == State::Closing && self.session.is_flushed() {
            let why = match (self.failure.take(), self.session.end) {
                (Some(failure), _) => failure,
                (None, EndOfInput::No) => Closed::Local,
                (None, _) => Closed::Peer,
            };
            self.end(why);
            return false;
        }
        progress
    }

    fn callbacks(&mut self) -> Result<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut progress = self.session.messages(&mut cx)?;
        while self.is_open()
            && self.session.transport.change.is_none()
            && self.session.transport.has_room()
            && !self.is_held()
            && let Some(message) = self.messages.pop_front()
        {
            self.session.message(message)?;
            progress = true;
        }
        let now = self.session.transport.now();
        progress |= self.session.timers(now)?;
        progress |= self.session.bodies(&mut cx)?;
        progress |= self.session.offer()?;
        Ok(progress)
    }

    /// Whether a topic that it filled keeps messages from it.
    fn is_held(&self) -> bool {
        let work = self.session.transport.work.as_ref();
        work.is_some_and(|work| work.is_held())
    }

    fn change(&mut self) -> bool {
        let session = &mut self.session;
        if session.transport.state != State::Open || !session.is_flushed() {
            return false;
        }
        match session.transport.change.take() {
            None => return false,
            Some(Change::Upgrade(_)) if !session.input.is_empty() => {
                let violation = Violation::BytesBeforeUpgrade(session.input.len());
                self.note(Err(Box::new(violation)));
            }
            Some(Change::Upgrade(_)) => self.upgrading = true,
            Some(Change::HandOver(_)) => {
                self.handed_over = Some(session.input.to_vec());
                self.end(Closed::HandedOver);
            }
        }
        true
    }

    fn end(&mut self, why: Closed) {
        self.session.end(why.clone());
        self.closed = Some(why);
    }
}

impl<P: Protocol> fmt::Debug for Rig<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rig")
            .field("transport", &self.session.transport)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
