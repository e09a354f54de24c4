//! What the connection's task and the program's share.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
    time::Instant,
};

use ropewalk_core::CancellationToken;
use tokio::sync::{Notify, oneshot};

use crate::proto::client::{Answer, Event, Options, RequestError, RequestId, Session};

pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// Events that may wait for the program.
    most: usize,
    /// An event is there, or there will be none.
    ready: Notify,
    /// The connection has something to do.
    pub(super) wake: Notify,
    /// There may be room to send.
    pub(super) room: Notify,
    /// Nobody is interested any more.
    pub(super) stop: CancellationToken,
}

pub(super) struct Inner {
    pub(super) session: Session,
    events: VecDeque<Event>,
    /// The memory of the events.
    bytes: usize,
    /// The connection waits until there is room for events.
    held: bool,
    pub(super) answers: BTreeMap<RequestId, Waiter>,
    finished: bool,
}

pub(super) type Waiter = oneshot::Sender<Result<Answer, RequestError>>;

impl Shared {
    pub(super) fn new(options: Options, most: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                session: Session::new(options),
                events: VecDeque::new(),
                bytes: 0,
                held: false,
                answers: BTreeMap::new(),
                finished: false,
            }),
            most: most.max(1),
            ready: Notify::new(),
            wake: Notify::new(),
            room: Notify::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Never held across an await. A panic of somebody's closure leaves nothing
    /// half done in it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|it| it.into_inner())
    }

    /// Passes on what the session has for others; true if the program has as
    /// much to read as may wait.
    pub(super) fn pass_on(&self, inner: &mut Inner) -> bool {
        while let Some(event) = inner.session.next_event() {
            inner.bytes += event.bytes();
            inner.events.push_back(event);
            self.ready.notify_one();
        }
        while let Some((id, answer)) = inner.session.next_answer() {
            if let Some(waiter) = inner.answers.remove(&id) {
                // Nobody waits any more: then nobody misses it.
                let _ = waiter.send(answer);
            }
        }
        // Once held back, the connection waits for half of the room.
        let part = if inner.held { 2 } else { 1 };
        inner.held = inner.events.len() >= self.most.div_ceil(part) || inner.bytes >= BYTES / part;
        inner.held
    }

    pub(super) fn finish(&self, inner: &mut Inner) {
        self.pass_on(inner);
        inner.finished = true;
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    pub(super) async fn next_event(&self) -> Option<Event> {
        loop {
            {
                let mut inner = self.lock();
                if let Some(event) = inner.events.pop_front() {
                    inner.bytes = inner.bytes.saturating_sub(event.bytes());
                    if inner.held
                        && inner.events.len() < self.most.div_ceil(2)
                        && inner.bytes < BYTES / 2
                    {
                        inner.held = false;
                        self.wake.notify_one();
                    }
                    return Some(event);
                }
                if inner.finished {
                    return None;
                }
            }
            self.ready.notified().await;
        }
    }

    /// Does something with the session, and has the connection see to it.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Session) -> T) -> T {
        let result = act(&mut self.lock().session);
        self.wake.notify_one();
        result
    }
}

/// The memory of events that wait for the program, roughly: 32 MiB. It is some
/// batches, or what 10,000 ordinary lines take several times over.
const BYTES: usize = 32 << 20;

/// The time of the runtime's clock, which may be virtual.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
