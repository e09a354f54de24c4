//! Drives one protocol over one stream: read, write, timers, messages and
//! drain meet in one hand-written `poll`, so that cancel safety is nobody's
//! business.
//!
//! It keeps the deadlines of [`Limits`]; which callback is called when is the
//! session's to say.

use std::{
    future::Future,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::{
    io::{AsyncWrite, ReadBuf},
    task::coop::has_budget_remaining,
    time::{Sleep, sleep_until},
};
use tokio_util::io::poll_read_buf;

use crate::{
    Closed, Connection, ConnectionState, Deadline, Error, Limits, Protocol, Result, Stream,
    Transport, Violation,
    registry::Live,
    session::{EndOfInput, Session},
    timers::clock,
    topic::Turn,
    transport::{Change, Finish, State},
    work::BoxFuture,
};

/// Turns in one poll; then other tasks of the thread have theirs.
const TURNS: usize = 32;

/// Input read ahead while the protocol takes none, so that the end of the peer
/// is noticed.
const READ_AHEAD: usize = 16 * 1024;

/// Serves a connection after a protocol has handed it over.
pub(crate) type Next = Box<dyn FnOnce(Connection) -> BoxFuture<'static, Result> + Send>;

/// What is left when a protocol's connection is over.
pub(crate) struct Ended<P> {
    pub(crate) protocol: P,
    pub(crate) why: Closed,
    pub(crate) next: Option<(Next, Connection)>,
}

/// A protocol on its connection: a future that ends with it.
pub(crate) struct Driver<P: Protocol> {
    /// None once it is over.
    session: Option<Session<P>>,
    stream: Stream,
    live: Option<Live>,
    phase: Phase,
    /// When the phase must be over; in `Open`, when the connection is idle.
    deadline: Option<Instant>,
    /// One timer of the runtime, moved only when it fires: pushing a deadline
    /// back, as every message does, costs no work.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether `sleep` will wake the task that polls this.
    armed: bool,
    waker: Option<Waker>,
    drain: Drain,
    /// The stream itself holds bytes that have not left.
    unflushed: bool,
    truncated: bool,
    /// This turn's read was made at the end of the last one.
    was_read: bool,
    /// Why it closes, where that is not what the stream's end says.
    failure: Option<Closed>,
}

enum Phase {
    New,
    Open,
    Upgrading(BoxFuture<'static, io::Result<Stream>>),
    /// Writing what is left; so many bytes left since the deadline was set.
    Closing(usize),
    /// Ending the stream on our side.
    Shutdown,
    /// Waiting for how the process ended.
    Exit,
    /// Reading and discarding, with so many bytes still allowed.
    Lingering(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    No,
    Asked,
    Told,
}

/// What ends the ordinary course of a connection.
enum Stop {
    /// A callback failed: what it wrote is still sent.
    Callback(Error),
    /// The connection is over now.
    Now(Closed),
    HandOver(Next),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Callback(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Now(Closed::from_io(error))
    }
}

impl<P: Protocol> Driver<P> {
    pub(crate) fn new(protocol: P, connection: Connection) -> Self {
        let Connection {
            stream,
            prefix,
            peer,
            live,
            ..
        } = connection;
        let transport = Transport::new(peer, live.entry.clone(), live.limits.clone());
        Self {
            session: Some(Session::new(protocol, transport, prefix)),
            stream,
            live: Some(live),
            phase: Phase::New,
            deadline: None,
            sleep: None,
            armed: false,
            waker: None,
            drain: Drain::No,
            unflushed: false,
            truncated: false,
            was_read: false,
            failure: None,
        }
    }

    fn session(&mut self) -> &mut Session<P> {
        self.session.as_mut().expect("not polled after its end")
    }

    fn limits(&mut self) -> Arc<Limits> {
        self.session().transport.limits.clone()
    }

    fn poll_turns(&mut self, cx: &mut Context<'_>) -> Poll<Stop> {
        let turn = Turn::begin();
        for _ in 0..TURNS {
            match self.turn(cx, &turn) {
                Ok(true) if self.gives_way() => break,
                Ok(true) => {}
                Ok(false) if self.tell_of_drain() => {}
                Ok(false) => return Poll::Pending,
                Err(Stop::Callback(error)) => {
                    // The first failure is the reason; there is no callback
                    // after it that could fail again.
                    self.failure.get_or_insert(Closed::failed(error));
                    if let Err(stop) = self.begin_close() {
                        return Poll::Ready(stop);
                    }
                }
                Err(stop) => return Poll::Ready(stop),
            }
        }
        self.tell_of_drain();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the protocol wants the others to have their turn first.
    fn gives_way(&mut self) -> bool {
        std::mem::take(&mut self.session().transport.gives_way)
    }

    /// One turn of whatever phase this is; true if something happened.
    fn turn(&mut self, cx: &mut Context<'_>, turn: &Turn) -> Result<bool, Stop> {
        match &mut self.phase {
            Phase::New => {
                self.phase = Phase::Open;
                self.rest_until_idle();
                let session = self.session();
                session.transport.entry.set_state(ConnectionState::Open);
                session.connected()?;
                session.hold(turn);
                Ok(true)
            }
            Phase::Open => self.open(cx, turn),
            Phase::Upgrading(change) => {
                let Poll::Ready(stream) = change.as_mut().poll(cx) else {
                    return self.overdue(cx, Deadline::Handshake);
                };
                self.stream = stream?;
                self.phase = Phase::Open;
                self.rest_until_idle();
                #[cfg(feature = "tls")]
                if let Some(tls) = self.stream.tls_info() {
                    self.session().transport.peer.tls = Some(Arc::new(tls));
                }
                self.session().upgraded()?;
                Ok(true)
            }
            Phase::Closing(_) => {
                let mut progress = self.session().bodies(cx)?;
                progress |= self.flush(cx)?;
                if self.session().is_flushed() && !self.unflushed {
                    self.phase = Phase::Shutdown;
                    return Ok(true);
                }
                let heard = self.discard_of_child(cx);
                if heard || !progress {
                    self.overdue(cx, Deadline::Close)?;
                }
                Ok(progress || heard)
            }
            Phase::Shutdown => {
                let told = self.session().transport.finish == Finish::Done;
                // A peer that is gone cannot be told; that is no failure now.
                if !told && Pin::new(&mut self.stream).poll_shutdown(cx).is_pending() {
                    return self.overdue(cx, Deadline::Close);
                }
                self.phase = Phase::Exit;
                Ok(true)
            }
            Phase::Exit => {
                let Poll::Ready(status) = self.stream.poll_exit(cx) else {
                    // One that never ends to speak is late all the same.
                    self.overdue(cx, Deadline::Close)?;
                    return Ok(self.discard_of_child(cx));
                };
                if let Some(status) = status {
                    return Err(Stop::Now(self.reason(Some(status))));
                }
                if self.session().end != EndOfInput::No {
                    return Err(Stop::Now(self.reason(None)));
                }
                let mut linger = self.limits().linger;
                if self.drain != Drain::No {
                    linger = linger.min(Limits::LINGER_DRAINING);
                }
                self.phase = Phase::Lingering(Limits::LINGER_BYTES);
                self.deadline = Some(self.session().transport.now() + linger);
                Ok(true)
            }
            Phase::Lingering(_) => self.linger(cx),
        }
    }

    /// Messages, timers, one read, what they call for, then one write.
    fn open(&mut self, cx: &mut Context<'_>, turn: &Turn) -> Result<bool, Stop> {
        let mut progress = std::mem::take(&mut self.was_read);
        if !progress {
            progress = self.session().messages(cx)?;
            progress |= self.timers(cx)?;
            progress |= self.read(cx)?;
        }
        let session = self.session.as_mut().expect("not polled after its end");
        if session.transport.flow.is_some() {
            // Before a body takes all the room there is, and with it the turn of what was read.
            progress |= session.offer()?;
            progress |= session.bodies(cx)?;
        }
        progress |= session.offer()?;
        session.hold(turn);
        if session.transport.state == State::Aborting {
            return Err(Stop::Now(Closed::Aborted));
        }
        session.throttle();
        progress |= self.flush(cx)?;
        progress |= self.session().unthrottle()?;
        progress |= self.finish_side(cx)?;
        progress |= self.change()?;
        if self.session().transport.state == State::Closing && matches!(self.phase, Phase::Open) {
            self.begin_close()?;
            return Ok(true);
        }
        if !progress || !self.awaits_input_only() || self.timers(cx)? {
            return Ok(progress);
        }
        // The turn that would find nothing to do, cut short.
        if self.stream.poll_readable(cx).is_ready() {
            self.was_read = self.read(cx)?;
        }
        Ok(self.was_read)
    }

    /// Whether nothing but more input or a timer can bring the next callback.
    fn awaits_input_only(&self) -> bool {
        let session = self.session.as_ref().expect("not polled after its end");
        let t = &session.transport;
        matches!(self.phase, Phase::Open)
            && t.state == State::Open
            && t.work.is_none()
            && t.flow.is_none()
            && !t.gives_way
            && !t.look_again
            && t.takes_input()
            && session.end == EndOfInput::No
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let session = self.session.as_mut().expect("not polled after its end");
        let t = &mut session.transport;
        let room = if t.takes_input() {
            t.limits.unread
        } else {
            READ_AHEAD
        };
        if session.end != EndOfInput::No
            || t.state != State::Open
            || t.change.is_some()
            || !t.has_room()
            || session.input.len() >= room
        {
            return Ok(false);
        }
        let buffer = session.input.for_reading();
        match poll_read_buf(Pin::new(&mut self.stream), cx, buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => session.end = EndOfInput::Seen,
            Poll::Ready(Ok(n)) => {
                t.entry.count_read(n);
                t.look_again = true;
                self.rest_until_idle();
            }
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.truncated = true;
                session.end = EndOfInput::Seen;
            }
            Poll::Ready(Err(error)) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Writes what waits; true if that made room for a body to go on.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let session = self.session.as_mut().expect("not polled after its end");
        let t = &mut session.transport;
        let before = t.out.len();
        if before == 0 && !self.unflushed {
            return Ok(false);
        }
        let result = t.out.poll_flush(&mut self.stream, cx);
        let written = before - t.out.len();
        t.entry.count_written(written);
        self.unflushed = result.is_pending();
        if let Poll::Ready(result) = result {
            result?;
        }
        let sending = t.flow.as_ref().is_some_and(|f| f.is_sending());
        if written > 0 {
            self.rest(written);
        }
        Ok(written > 0 && sending)
    }

    /// Ends our side of the stream, if that was asked and all has left; true
    /// when it has ended.
    fn finish_side(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let session = self.session.as_mut().expect("not polled after its end");
        if self.unflushed || !session.is_to_finish() {
            session.close_if_over();
            return Ok(false);
        }
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => Ok(false),
            Poll::Ready(result) => {
                result?;
                session.transport.finish = Finish::Done;
                Ok(true)
            }
        }
    }

    /// Reads and throws away what a child process still says while we close: it
    /// could not come to its end with nobody to take that. True if there was
    /// something.
    fn discard_of_child(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.stream.is_child() {
            return false;
        }
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, &mut buffer);
        matches!(read, Poll::Ready(Ok(()))) && !buffer.filled().is_empty()
    }

    /// Begins an upgrade or a hand-over that was asked for, once all has left.
    fn change(&mut self) -> Result<bool, Stop> {
        let session = self.session.as_mut().expect("not polled after its end");
        let t = &mut session.transport;
        let asked = t.change.is_some() && t.state == State::Open && t.finish != Finish::Asked;
        if !asked || self.unflushed || !session.is_flushed() {
            return Ok(false);
        }
        match session.transport.change.take() {
            Some(Change::Upgrade(_)) if !session.input.is_empty() => {
                let violation = Violation::BytesBeforeUpgrade(session.input.len());
                Err(Stop::Callback(Box::new(violation)))
            }
            Some(Change::Upgrade(change)) => {
                self.phase = Phase::Upgrading(change(self.stream.take()));
                let t = &mut self.session().transport;
                self.deadline = Some(t.now() + t.limits.handshake);
                Ok(true)
            }
            Some(Change::HandOver(next)) => Err(Stop::HandOver(next)),
            None => Ok(false),
        }
    }

    fn begin_close(&mut self) -> Result<(), Stop> {
        if self.session().transport.state == State::Aborting {
            return Err(Stop::Now(Closed::Aborted));
        }
        self.session().closing();
        let t = &mut self.session().transport;
        t.entry.set_state(ConnectionState::Closing);
        let deadline = t.now() + t.limits.close;
        self.deadline = Some(deadline);
        self.phase = Phase::Closing(0);
        Ok(())
    }

    fn linger(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let Phase::Lingering(allowed) = &mut self.phase else {
            return Ok(false);
        };
        let mut scratch = [0; 4096];
        let mut buffer = ReadBuf::new(&mut scratch);
        let read = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.stream), cx, &mut buffer);
        let n = buffer.filled().len();
        *allowed = allowed.saturating_sub(n);
        let over = match read {
            Poll::Ready(result) => result.is_err() || n == 0 || *allowed == 0,
            Poll::Pending => self.poll_sleep(cx, self.deadline).is_some(),
        };
        if over {
            return Err(Stop::Now(self.reason(None)));
        }
        Ok(n > 0)
    }

    /// Why the connection is over, when it closed in good order.
    fn reason(&mut self, exit: Option<std::process::ExitStatus>) -> Closed {
        if let Some(status) = exit {
            Closed::Exit(status)
        } else if self.truncated {
            Closed::Truncated
        } else if self.session().end == EndOfInput::No {
            Closed::Local
        } else {
            Closed::Peer
        }
    }

    /// Says goodbye if that is asked and it is time; true if it did.
    fn tell_of_drain(&mut self) -> bool {
        if self.drain != Drain::Asked || !matches!(self.phase, Phase::Open) || self.is_young() {
            return false;
        }
        self.drain = Drain::Told;
        let session = self.session();
        session.transport.entry.set_state(ConnectionState::Draining);
        if let Err(error) = session.draining() {
            self.failure.get_or_insert(Closed::failed(error));
            self.session().transport.close();
        }
        true
    }

    /// Whether the first request may still be on its way.
    fn is_young(&mut self) -> bool {
        let of_a_server = self.live.as_ref().is_some_and(|l| l.registry.is_some());
        let t = &mut self.session().transport;
        of_a_server && t.entry.read() == 0 && t.now() < t.entry.since + Limits::YOUNG
    }

    /// Bytes left, and the deadlines move: a slow peer gets all, and one that
    /// stopped to read is given up. At a close so much must have left for that
    /// as there is between the marks' low one and nothing; a peer that takes a
    /// byte now and then would hold a closed connection for days.
    fn rest(&mut self, written: usize) {
        let session = self.session.as_mut().expect("not polled after its end");
        let t = &mut session.transport;
        match &mut self.phase {
            Phase::Closing(left) => {
                *left += written;
                if *left >= t.limits.write_low {
                    *left = 0;
                    self.deadline = Some(t.now() + t.limits.close);
                }
            }
            _ => self.rest_until_idle(),
        }
    }

    fn rest_until_idle(&mut self) {
        let t = &mut self.session().transport;
        self.deadline = t.limits.idle.and_then(|idle| t.now().checked_add(idle));
    }

    /// Calls timers that are due, and ends a connection that is idle.
    fn timers(&mut self, cx: &mut Context<'_>) -> Result<bool, Stop> {
        let mut next = earlier(self.session().transport.timers.next(), self.deadline);
        if self.drain == Drain::Asked {
            let young = self.session().transport.entry.since + Limits::YOUNG;
            next = earlier(next, Some(young));
        }
        let Some(now) = self.poll_sleep(cx, next) else {
            return Ok(false);
        };
        self.session().transport.now = Some(now);
        if self.session().timers(now)? {
            return Ok(true);
        }
        if self.deadline.is_some_and(|at| at <= now) {
            return Err(Stop::Now(Closed::TimedOut(Deadline::Idle)));
        }
        Ok(false)
    }

    /// Ends the connection if the phase took too long.
    fn overdue(&mut self, cx: &mut Context<'_>, which: Deadline) -> Result<bool, Stop> {
        match self.poll_sleep(cx, self.deadline) {
            Some(_) => Err(Stop::Now(Closed::TimedOut(which))),
            None => Ok(false),
        }
    }

    /// The time, once `at` has come.
    fn poll_sleep(&mut self, cx: &mut Context<'_>, at: Option<Instant>) -> Option<Instant> {
        let at = at?;
        let until = tokio::time::Instant::from_std(at);
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if self.armed && sleep.deadline() <= until && !sleep.is_elapsed() {
            return None;
        }
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        loop {
            // Polled by a task that has used up its share, it does not listen.
            self.armed = has_budget_remaining();
            if sleep.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.armed = false;
            let now = clock();
            if at <= now {
                return Some(now);
            }
            sleep.as_mut().reset(until);
        }
    }

    /// Hears of a drain, and of a new task that polls this.
    fn listen_for_drain(&mut self, cx: &mut Context<'_>) {
        let entry = &self
            .session
            .as_ref()
            .expect("not polled after its end")
            .transport
            .entry;
        if !self.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            entry.register(cx.waker());
            self.waker = Some(cx.waker().clone());
            self.armed = false;
        }
        if self.drain == Drain::No && entry.is_asked_to_drain() {
            self.drain = Drain::Asked;
        }
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

impl<P: Protocol> Future for Driver<P> {
    type Output = Ended<P>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended<P>> {
        let this = &mut *self;
        this.session().transport.now = None;
        this.listen_for_drain(cx);
        let poll = this.poll_turns(cx);
        let session = this.session();
        session.input.release();
        session.transport.out.release();
        let stop = ready!(poll);
        let session = this.session.take().expect("not polled after its end");
        let live = this.live.take().expect("as long as the session");
        Poll::Ready(this.finish(session, live, stop))
    }
}

impl<P: Protocol> Driver<P> {
    fn finish(&mut self, mut session: Session<P>, live: Live, stop: Stop) -> Ended<P> {
        let (why, next) = match stop {
            Stop::Now(why) => (why, None),
            Stop::Callback(error) => (Closed::failed(error), None),
            Stop::HandOver(next) => (Closed::HandedOver, Some(next)),
        };
        if matches!(why, Closed::Aborted | Closed::TimedOut(_)) {
            self.stream.reset_on_drop();
        }
        // What went wrong first is the reason, however it ended then.
        let why = self.failure.take().unwrap_or(why);
        live.entry.set_end(&why);
        session.end(why.clone());
        let Session {
            protocol,
            transport,
            input,
            ..
        } = session;
        let stream = self.stream.take();
        let next = next.map(|next| {
            let connection = Connection {
                stream,
                prefix: input,
                peer: transport.peer,
                live,
                idle: None,
            };
            (next, connection)
        });
        Ended {
            protocol,
            why,
            next,
        }
    }
}

impl<P: Protocol> Drop for Driver<P> {
    fn drop(&mut self) {
        // The task was aborted, or whoever polled it lost interest.
        if let Some(mut session) = self.session.take()
            && !session.has_ended()
        {
            let mut end = || session.end(Closed::Aborted);
            if std::thread::panicking() {
                // A callback panicked, and left the protocol who knows how. A
                // second panic would end the whole program.
                let _ = catch_unwind(AssertUnwindSafe(end));
            } else {
                end();
            }
        }
    }
}

impl<P: Protocol> Unpin for Driver<P> {}

impl<P: Protocol> Driver<P> {
    /// A way to send messages to the protocol, from before it runs.
    pub(crate) fn handle(&mut self) -> crate::Handle<P::Message> {
        self.session().transport.handle()
    }
}
