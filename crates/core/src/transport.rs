//! What a protocol acts upon: one connection, without its socket.

use std::{
    fmt,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;

use crate::{
    Address, Connection, ConnectionId, Handle, Handler, Item, Limits, OutboxDrain, Output, Payload,
    Peer, Protocol, Result, Stream, Topic,
    flow::{Flow, IntoSink},
    registry::Entry,
    timers::{Timers, clock},
    work::{BoxFuture, Work},
};

/// What a [`Protocol`] acts upon: it writes, sets timers, asks for work, and
/// closes, all without waiting. The driver does what was asked when the
/// callback has returned.
pub struct Transport<P: Protocol> {
    pub(crate) out: Output,
    pub(crate) state: State,
    pub(crate) finish: Finish,
    pub(crate) paused: bool,
    /// Past the high mark, and not yet back at the low one.
    pub(crate) throttled: bool,
    /// Something happened after which unread input is worth another look.
    pub(crate) look_again: bool,
    pub(crate) now: Option<Instant>,
    pub(crate) timers: Timers<P::Timer>,
    pub(crate) work: Option<Box<Work<P::Message>>>,
    pub(crate) outbox: Option<OutboxDrain>,
    /// This poll is to end, so that other tasks have their turn.
    pub(crate) gives_way: bool,
    pub(crate) flow: Option<Box<Flow<P::Message>>>,
    pub(crate) change: Option<Change>,
    pub(crate) peer: Peer,
    pub(crate) entry: Arc<Entry>,
    pub(crate) limits: Arc<Limits>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Open,
    Closing,
    Aborting,
}

/// How far the end of our own side has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Finish {
    No,
    /// Once what was written has left.
    Asked,
    /// Asked, and then something was written.
    Broken,
    /// The peer is told.
    Done,
}

/// What is to become of the stream once what was written has left.
pub(crate) enum Change {
    Upgrade(Box<dyn FnOnce(Stream) -> BoxFuture<'static, io::Result<Stream>> + Send>),
    HandOver(Box<dyn FnOnce(Connection) -> BoxFuture<'static, Result> + Send>),
}

impl<P: Protocol> Transport<P> {
    pub(crate) fn new(peer: Peer, entry: Arc<Entry>, limits: Arc<Limits>) -> Self {
        Self {
            out: Output::default(),
            state: State::Open,
            finish: Finish::No,
            paused: false,
            throttled: false,
            look_again: false,
            now: None,
            timers: Timers::new(),
            work: None,
            outbox: None,
            gives_way: false,
            flow: None,
            change: None,
            peer,
            entry,
            limits,
        }
    }

    /// Queues bytes; see [`Payload`] for what can be written. Everything
    /// written in one turn leaves in one system call.
    ///
    /// There is no need to check [`is_writable`](Self::is_writable) for an
    /// answer of ordinary size: while much waits, nothing more is asked of us.
    ///
    /// What is written after [`finish`](Self::finish) goes nowhere, and the
    /// connection fails.
    pub fn write(&mut self, data: impl Payload) {
        if self.finish != Finish::No {
            self.finish = Finish::Broken;
        } else if let Some(tail) = self.flow.as_mut().and_then(|f| f.tail()) {
            tail.put(data);
        } else {
            self.out.put(data);
        }
    }

    /// Streams a body out in constant memory: it is polled only while there is
    /// room. At its end `done` comes back as a message. What is written
    /// meanwhile comes after it; bodies come in the order they were handed in.
    ///
    /// An error of the body ends the connection, since what was announced can
    /// no longer be sent.
    pub fn send_stream(
        &mut self,
        body: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
        done: P::Message,
    ) {
        if self.finish != Finish::No {
            self.finish = Finish::Broken;
            return;
        }
        self.flow().send(Box::pin(body), done);
    }

    /// Streams the next `octets` bytes of input into `sink`, at its pace, in
    /// constant memory. Until they have come, `received` is not called. Then
    /// the sink is flushed and `done` makes a message of it and of how it
    /// went; a sink that failed is spared the rest, which is thrown away.
    ///
    /// If the peer ends the stream before, the connection fails with
    /// [`Violation::Short`](crate::Violation::Short).
    ///
    /// # Panics
    /// If another body is still on its way in.
    pub fn receive_into<S>(
        &mut self,
        octets: u64,
        sink: S,
        done: impl FnOnce(S, io::Result<()>) -> P::Message + Send + 'static,
    ) where
        S: AsyncWrite + Unpin + Send + 'static,
    {
        let flow = self.flow();
        assert!(
            !flow.is_receiving(),
            "`received` is not called while a body comes in, so no second can begin there"
        );
        flow.receive(Box::new(IntoSink {
            missing: octets,
            sink,
            done,
            failed: None,
        }));
    }

    /// False past the high mark ([`Limits::write_high`](crate::Limits)). The
    /// connection is then neither read nor sent messages until the low mark,
    /// where `writable` is called; so only a protocol that writes of its own
    /// accord, by a timer, needs to look.
    pub fn is_writable(&self) -> bool {
        self.waiting() < self.high()
    }

    /// Bytes written and not yet gone.
    pub fn waiting(&self) -> usize {
        self.out.len() + self.flow.as_ref().map_or(0, |f| f.waiting())
    }

    /// Stops calls of `received` until [`resume`](Self::resume). Reading goes
    /// on for a little, so that the end of the peer is noticed.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// Takes up calls of `received` again, at once if input is unread.
    pub fn resume(&mut self) {
        self.paused = false;
        self.look_again = true;
    }

    /// Whether `received` is held off by [`pause`](Self::pause).
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Ends our side of the stream once what was written has left, bodies
    /// included, and goes on receiving: the peer sees the end of its input
    /// (over TCP and Unix sockets a shutdown for writing, over TLS a
    /// close_notify as well, for a child process the end of its standard
    /// input). Twisted's `loseWriteConnection`.
    ///
    /// Writing after that is an error of the program, and fails the connection
    /// with [`Violation::Finished`](crate::Violation::Finished); ask
    /// [`is_finished`](Self::is_finished) where it is not plain. When the peer
    /// ends its side as well, and [`half_closed`](Protocol::half_closed) was
    /// called, the connection is over.
    ///
    /// The idle limit goes on to hold. Some peers take the end of our side for
    /// the end of the connection, and over TLS 1.2 they should (RFC 5246,
    /// section 7.2.1).
    ///
    /// ```
    /// # use ropewalk_core::{Input, Protocol, Result, Transport, testing::Rig};
    /// /// Asks one question, says that it was all, and takes what comes.
    /// #[derive(Default)]
    /// struct Whois { answer: String }
    ///
    /// impl Protocol for Whois {
    ///     type Message = ();
    ///     type Timer = ();
    ///     fn connected(&mut self, t: &mut Transport<Self>) -> Result {
    ///         t.write("example.org\r\n");
    ///         t.finish();
    ///         Ok(())
    ///     }
    ///     fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
    ///         self.answer += str::from_utf8(&data.take_all())?;
    ///         Ok(())
    ///     }
    /// }
    /// let mut rig = Rig::new(Whois::default());
    /// assert!(rig.is_finished() && !rig.is_closed());
    /// rig.receive("a name for examples").eof();
    /// assert_eq!(rig.finish().answer, "a name for examples");
    /// ```
    pub fn finish(&mut self) {
        if self.finish == Finish::No {
            self.finish = Finish::Asked;
        }
    }

    /// Whether [`finish`](Self::finish) was called: nothing more may be
    /// written.
    pub fn is_finished(&self) -> bool {
        self.finish != Finish::No
    }

    /// Closes once what was written has left, bodies included: no further
    /// callback but `closed`, and no more messages. A peer that takes none of
    /// it for [`Limits::close`](crate::Limits::close) is given up; one that is
    /// only slow gets all.
    pub fn close(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing;
        }
    }

    /// Closes at once: what is unsent is thrown away and the peer is told by a
    /// reset, over TCP and TLS (ECONNRESET there, [`Closed::Reset`] for a peer
    /// that runs on this engine). Other transports have no such thing: over a
    /// Unix socket and in memory the peer sees the end of the stream (on Linux
    /// a reset over a Unix socket too, if we left input unread there), and a
    /// child process is killed.
    ///
    /// [`Closed::Reset`]: crate::Closed::Reset
    pub fn abort(&mut self) {
        self.state = State::Aborting;
    }

    /// Whether the connection is about to close.
    pub fn is_closing(&self) -> bool {
        self.state != State::Open
    }

    /// The time of this turn, by the clock of the runtime: one reading a
    /// turn, virtual under test.
    pub fn now(&mut self) -> Instant {
        *self.now.get_or_insert_with(clock)
    }

    /// Sets a timer, or moves it if it is set. `timeout` is called once.
    pub fn set_timer(&mut self, which: P::Timer, after: Duration) {
        let now = self.now();
        // A time too far to be said is never: thirty years are.
        let at = now
            .checked_add(after)
            .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400));
        self.timers.set(which, at);
    }

    /// Takes a timer back; nothing happens if it is not set.
    pub fn cancel_timer(&mut self, which: P::Timer) {
        self.timers.cancel(which);
    }

    /// Runs a future on this connection's own task; its output comes back as
    /// a message. It is dropped with the connection.
    ///
    /// How many run at a time is the protocol's to bound: one that starts work
    /// for each request [`pause`](Self::pause)s meanwhile.
    pub fn defer(&mut self, work: impl Future<Output = P::Message> + Send + 'static) {
        self.work().defer(work);
    }

    /// A way for other tasks to send messages here.
    pub fn handle(&mut self) -> Handle<P::Message> {
        let capacity = self.limits.inbox;
        self.work().handle(capacity)
    }

    /// Subscribes to a topic: what is published from now on arrives in
    /// `message`, until the connection ends.
    pub fn subscribe<T: Item>(&mut self, topic: &Topic<T>)
    where
        P::Message: From<T>,
    {
        let feed = topic.feed();
        self.work().feed(feed);
    }

    /// From now on what is pushed into the [`Outbox`](crate::Outbox) is written here, between
    /// what the protocol writes; while much waits to be written, it is left where it is. When the
    /// outbox is closed, so is the connection, once all has left.
    pub fn drain_outbox(&mut self, outbox: OutboxDrain) {
        self.outbox = Some(outbox);
    }

    /// Lets other tasks have their turn when this callback is over, though there may be more to
    /// read: for a protocol that has just given others much to do, who should do it before there
    /// is more.
    pub fn give_way(&mut self) {
        self.gives_way = true;
    }

    /// Exchanges the stream for what `change` makes of it, once what was
    /// written has left; then `upgraded` is called. Compression and tunnels
    /// begin so, and TLS by `start_tls`.
    ///
    /// Input that is unread when the change begins ends the connection with
    /// [`Violation::BytesBeforeUpgrade`](crate::Violation): what came before
    /// must not be read as if it came after.
    pub fn upgrade<F, Fut>(&mut self, change: F)
    where
        F: FnOnce(Stream) -> Fut + Send + 'static,
        Fut: Future<Output = io::Result<Stream>> + Send + 'static,
    {
        self.change = Some(Change::Upgrade(Box::new(|s| Box::pin(change(s)))));
    }

    /// Goes on with TLS, as a server (STARTTLS).
    #[cfg(feature = "tls")]
    pub fn start_tls(&mut self, tls: &crate::tls::TlsServer) {
        let tls = tls.clone();
        self.upgrade(move |stream| async move { tls.accept(stream).await });
    }

    /// Goes on with TLS, as a client (STARTTLS), to a server that must be able
    /// to prove `name`.
    #[cfg(feature = "tls")]
    pub fn start_tls_client(
        &mut self,
        tls: &crate::tls::TlsClient,
        name: &crate::tls::ServerName<'static>,
    ) {
        let (tls, name) = (tls.clone(), name.clone());
        self.upgrade(move |stream| async move { tls.connect(stream, name).await });
    }

    /// Hands the connection to an async handler once what was written has
    /// left: unread input goes with it. This protocol ends with
    /// [`Closed::HandedOver`](crate::Closed::HandedOver).
    pub fn hand_over(&mut self, next: impl Handler) {
        self.change = Some(Change::HandOver(Box::new(move |conn| {
            Box::pin(async move { next.serve(conn).await })
        })));
    }

    /// The number of this connection, which its spans and the registry show.
    pub fn id(&self) -> ConnectionId {
        self.entry.id
    }

    /// Our end.
    pub fn local(&self) -> &Address {
        self.entry.local()
    }

    /// The other end, as far as it is known.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether input is to be offered to `received`.
    pub(crate) fn takes_input(&self) -> bool {
        self.state == State::Open
            && !self.paused
            && self.change.is_none()
            && self.has_room()
            && self.flow.as_ref().is_none_or(|f| !f.is_receiving())
            && self.work.as_ref().is_none_or(|w| !w.is_held())
    }

    /// Whether the answers to more input and messages have room.
    pub(crate) fn has_room(&self) -> bool {
        !self.throttled && self.is_writable()
    }

    /// The high mark. At nought nothing would ever be written.
    pub(crate) fn high(&self) -> usize {
        self.limits.write_high.max(1)
    }

    pub(crate) fn work(&mut self) -> &mut Work<P::Message> {
        self.work.get_or_insert_with(|| Box::new(Work::new()))
    }

    fn flow(&mut self) -> &mut Flow<P::Message> {
        self.flow.get_or_insert_with(|| Box::new(Flow::new()))
    }
}

impl<P: Protocol> fmt::Debug for Transport<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("id", &self.entry.id)
            .field("peer", &self.peer)
            .field("state", &self.state)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}
