//! What a datagram protocol acts upon.

use std::{
    fmt,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use super::{
    DatagramCounts, DatagramOption, DatagramOptions, DatagramProtocol, DatagramSocket,
    MulticastGroup, Undelivered, UnsentDatagrams, batch::LARGEST,
};
use crate::{
    Address, Handle, Item, Payload, Topic,
    timers::{Timers, clock},
    work::Work,
};

/// What a [`DatagramProtocol`] acts upon.
pub struct DatagramTransport<P: DatagramProtocol> {
    pub(super) socket: Box<dyn DatagramSocket>,
    pub(super) out: UnsentDatagrams,
    /// What was refused before it came to the socket, and is not yet told.
    pub(super) refused: Vec<Undelivered>,
    pub(super) state: State,
    pub(super) paused: bool,
    pub(crate) now: Option<Instant>,
    pub(crate) timers: Timers<P::Timer>,
    pub(super) work: Work<P::Message>,
    pub(super) options: DatagramOptions,
    pub(super) totals: Arc<Totals>,
    local: Address,
    peer: Option<Address>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Receives so many more of those that are here already.
    Last(usize),
    /// Receives no more; closes when deferred work has ended.
    Working,
    Closing,
}

impl<P: DatagramProtocol> DatagramTransport<P> {
    pub(super) fn new(socket: Box<dyn DatagramSocket>, options: DatagramOptions) -> Self {
        Self {
            local: socket.local(),
            peer: socket.peer(),
            socket,
            out: UnsentDatagrams::default(),
            refused: Vec::new(),
            state: State::Open,
            paused: false,
            now: None,
            timers: Timers::new(),
            work: Work::new(),
            options,
            totals: Arc::default(),
        }
    }

    /// Sends a datagram. One that the socket has no room for waits; when more
    /// than [`DatagramOptions::unsent`] bytes wait, further ones are dropped
    /// and counted, as the network would.
    ///
    /// One of more than 65,535 bytes, or more than the network takes, comes
    /// back to [`undelivered`](DatagramProtocol::undelivered) as
    /// [`Undelivered::TooLong`]. (UDP over IPv4 carries 65,507.)
    pub fn send(&mut self, data: impl Payload, to: impl Into<Address>) {
        self.queue(data, Some(to.into()));
    }

    /// Sends a datagram to the peer that a client's socket is connected to.
    /// Without one it is dropped and counted.
    pub fn send_to_peer(&mut self, data: impl Payload) {
        match self.peer {
            Some(_) => self.queue(data, None),
            None => self.totals.dropped.add(1),
        }
    }

    fn queue(&mut self, data: impl Payload, to: Option<Address>) {
        let room = self.options.unsent.saturating_sub(self.out.bytes());
        let back = to.clone();
        let length = self
            .out
            .push(data, to, |length| length <= room.min(LARGEST));
        if length > LARGEST {
            let to = self.destination(back);
            self.refused.push(Undelivered::TooLong { length, to });
            self.totals.failed.add(1);
        } else if length > room {
            self.totals.dropped.add(1);
        }
    }

    /// Where a datagram goes that goes to the peer.
    pub(super) fn destination(&self, to: Option<Address>) -> Address {
        to.or_else(|| self.peer.clone())
            .unwrap_or_else(|| self.local.clone())
    }

    /// How many datagrams came, went and were lost, since the start.
    pub fn counts(&self) -> DatagramCounts {
        self.totals.counts()
    }

    /// Stops calls of `received` until [`resume`](Self::resume): what comes
    /// meanwhile waits in the socket, as far as there is room, and is lost
    /// beyond. For work that is not bounded by
    /// [`DatagramOptions::deferred`].
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Takes up calls of `received` again.
    pub fn resume(&mut self) {
        self.paused = false;
    }

    /// Closes the socket once what was sent has left. Deferred work is dropped.
    pub fn close(&mut self) {
        self.state = State::Closing;
    }

    /// Closes the socket in good order: what has arrived by now is received
    /// still (1024 datagrams at most), and when all deferred work has ended and
    /// what was sent has left, it closes.
    pub fn close_after_work(&mut self) {
        if self.state == State::Open {
            self.state = State::Last(LAST);
        }
    }

    /// The time of this turn; virtual under test.
    pub fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(clock)
    }

    /// Sets a timer, or moves it if it is set.
    pub fn set_timer(&mut self, which: P::Timer, after: Duration) {
        let now = self.now();
        // A time too far to be said is never: thirty years are.
        let at = now
            .checked_add(after)
            .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400));
        self.timers.set(which, at);
    }

    /// Takes a timer back.
    pub fn cancel_timer(&mut self, which: P::Timer) {
        self.timers.cancel(which);
    }

    /// Runs a future on this socket's own task; its output comes back as a
    /// message. While [`DatagramOptions::deferred`] of them run, nothing is
    /// received.
    pub fn defer(&mut self, work: impl Future<Output = P::Message> + Send + 'static) {
        self.work.defer(work);
    }

    /// A way for other tasks to send messages here; at most
    /// [`DatagramOptions::inbox`] wait.
    pub fn handle(&mut self) -> Handle<P::Message> {
        self.work.handle(self.options.inbox)
    }

    /// Subscribes to a topic: what is published from now on arrives in
    /// `message`.
    pub fn subscribe<T: Item>(&mut self, topic: &Topic<T>)
    where
        P::Message: From<T>,
    {
        self.work.feed(topic.feed());
    }

    /// Joins a multicast group: what is sent to it and our port is received.
    ///
    /// # Errors
    /// What the system says: no such interface, no route, joined already. The
    /// socket must be bound to all interfaces or to the group's address.
    pub fn join(&mut self, group: &MulticastGroup) -> io::Result<()> {
        self.set(&DatagramOption::Join(group.clone()))
    }

    /// Leaves a group, as it was joined.
    ///
    /// # Errors
    /// What the system says: it was not joined.
    pub fn leave(&mut self, group: &MulticastGroup) -> io::Result<()> {
        self.set(&DatagramOption::Leave(group.clone()))
    }

    /// Sets an option of the socket.
    ///
    /// # Errors
    /// What the system says, or that there is no such option here.
    pub fn set(&mut self, option: &DatagramOption) -> io::Result<()> {
        self.socket.set(option)
    }

    /// Our end.
    pub fn local(&self) -> &Address {
        &self.local
    }

    /// The other end, where the socket is connected to one.
    pub fn peer(&self) -> Option<&Address> {
        self.peer.as_ref()
    }

    /// Whether more is to be received.
    pub(super) fn takes_input(&self) -> bool {
        matches!(self.state, State::Open | State::Last(_))
            && !self.paused
            // While answers wait for the socket, questions wait too.
            && self.out.bytes() <= self.options.unsent / 2
            && !self.work.is_held()
            && self.work.deferred() < self.options.deferred
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

/// What a socket has done, for all who ask.
#[derive(Default)]
pub(crate) struct Totals {
    pub(super) received: Total,
    pub(super) received_bytes: Total,
    pub(super) sent: Total,
    pub(super) sent_bytes: Total,
    pub(super) dropped: Total,
    pub(super) failed: Total,
    pub(super) truncated: Total,
}

impl Totals {
    pub(crate) fn counts(&self) -> DatagramCounts {
        DatagramCounts {
            received: self.received.get(),
            received_bytes: self.received_bytes.get(),
            sent: self.sent.get(),
            sent_bytes: self.sent_bytes.get(),
            dropped: self.dropped.get(),
            failed: self.failed.get(),
            truncated: self.truncated.get(),
        }
    }
}

/// A number that one task counts up, and others read.
#[derive(Default)]
pub(super) struct Total(AtomicU64);

impl Total {
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.get() + n, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Datagrams that are still received at a close in good order: as many as a
/// socket's buffer of ordinary size holds.
const LAST: usize = 1024;
