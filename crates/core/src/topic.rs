//! Publish to many: one log of shared items, a place in it for each subscriber.
//!
//! What is published is kept once, until the slowest subscriber has it; so
//! memory is bounded for the topic as a whole, however many subscribe.
//! It does not reach other processes.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Violation,
    timers::clock,
    work::{BoxFuture, Feed},
};

/// How far behind a subscriber may be, in bytes, unless told otherwise.
const LIMIT: usize = 1024 * 1024;

/// How long a subscriber may hold publishers back, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Items copied out of the log at a time, so that its lock is short.
const BATCH: usize = 32;

/// Something that can be published: cheap to clone, and of known weight.
pub trait Item: Clone + Send + Sync + 'static {
    /// The bytes it counts for against the limit of a topic.
    fn weight(&self) -> usize {
        size_of_val(self)
    }
}

impl Item for Bytes {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Item for Arc<str> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Item for Arc<[u8]> {
    fn weight(&self) -> usize {
        self.len()
    }
}

impl Item for String {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// What happens when a subscriber is as far behind as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Publishers wait: a connection whose protocol published is not read
    /// until there is room, nor given messages but this topic's own, and tasks
    /// may await [`Topic::room`]. A subscriber that holds them back for the
    /// time given is disconnected, and with it those that took nothing for as
    /// long and are half as far behind: the dead cost the living one wait
    /// together, not one each.
    Wait(Duration),
    /// The subscriber is disconnected at once, with [`Violation::Behind`].
    Disconnect,
    /// The subscriber misses the oldest items; how many is counted
    /// ([`Topic::dropped`]) and logged.
    DropOldest,
}

/// A typed stream of items to any number of subscribers, each bounded.
///
/// Cheap to clone; clones are the same topic. A protocol subscribes with
/// [`Transport::subscribe`](crate::Transport::subscribe) and gets what is
/// published from then on, in order, in `message`.
///
/// A topic made by [`new`](Self::new) allows each subscriber to be 1 MiB
/// behind; then publishers wait, for 10 s at most.
///
/// ```
/// use ropewalk_core::{Overflow, Topic};
///
/// let news = Topic::<String>::with(64 * 1024, Overflow::Disconnect);
/// assert_eq!(news.publish("nobody hears this"), 0);
/// ```
pub struct Topic<T>(Arc<Shared<T>>);

struct Shared<T> {
    state: Mutex<State<T>>,
    limit: usize,
    overflow: Overflow,
}

struct State<T> {
    /// Items not yet read by all, oldest first, each with the number of
    /// subscribers that still want it.
    log: VecDeque<(T, usize)>,
    /// The number of the first item in `log`, counted from the beginning.
    first: u64,
    /// The weight of the items in `log`.
    weight: usize,
    seats: Vec<Option<Seat>>,
    subscribers: usize,
    /// Seats with a waker, so that publishing looks at no others.
    waiting: Vec<usize>,
    /// Publishers that wait for room.
    publishers: Vec<Waker>,
    /// When the log became full, under [`Overflow::Wait`].
    full_since: Option<Instant>,
    /// How often the log was full.
    fulls: u64,
    dropped: u64,
}

struct Seat {
    /// The number of the next item to read.
    next: u64,
    /// How often the log had been full when it last read.
    read_at: u64,
    waker: Option<Waker>,
    /// Whether it is among `waiting`: one that takes nothing now has a waker
    /// too, and publishing leaves it alone.
    waits: bool,
    /// Bytes behind when it was cut off, once it is.
    cut: Option<usize>,
}

impl Seat {
    fn set_waker(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

/// What an item counts for. One without weight takes room in the log too.
fn cost(item: &impl Item) -> usize {
    item.weight().max(1)
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Item> Default for Topic<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        f.debug_struct("Topic")
            .field("subscribers", &state.subscribers)
            .field("items", &state.log.len())
            .field("weight", &state.weight)
            .finish_non_exhaustive()
    }
}

impl<T: Item> Topic<T> {
    /// A topic with the default limit of 1 MiB and [`Overflow::Wait`] of 10 s.
    pub fn new() -> Self {
        Self::with(LIMIT, Overflow::Wait(PATIENCE))
    }

    /// A topic whose subscribers may be `limit` bytes behind.
    pub fn with(limit: usize, overflow: Overflow) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                log: VecDeque::new(),
                first: 0,
                weight: 0,
                seats: Vec::new(),
                subscribers: 0,
                waiting: Vec::new(),
                publishers: Vec::new(),
                full_since: None,
                fulls: 0,
                dropped: 0,
            }),
            limit,
            overflow,
        }))
    }

    /// Publishes to everyone who is subscribed now; says how many that are.
    ///
    /// It never waits. Under [`Overflow::Wait`] it holds back the connection
    /// from whose callback it is called; other tasks await [`room`](Self::room)
    /// first.
    pub fn publish(&self, item: impl Into<T>) -> usize {
        let mut state = self.0.lock();
        if state.subscribers == 0 {
            return 0;
        }
        let item = item.into();
        let readers = state.subscribers;
        state.weight += cost(&item);
        state.log.push_back((item, readers));
        if state.weight > self.0.limit {
            state.overflow(self.0.limit, self.0.overflow);
        }
        let full = state.weight > self.0.limit;
        let mut woken: Vec<Waker> = state.take_waiting();
        woken.append(&mut state.freed(self.0.limit));
        drop(state);
        if full && let Overflow::Wait(_) = self.0.overflow {
            let topic = self.clone();
            let address = Arc::as_ptr(&self.0).addr();
            hold(address, || Box::pin(async move { topic.room().await }));
        }
        woken.into_iter().for_each(Waker::wake);
        readers
    }

    /// Waits until no subscriber is as far behind as it may be.
    pub async fn room(&self) {
        let Overflow::Wait(patience) = self.0.overflow else {
            return;
        };
        loop {
            let full_since = self.0.lock().full_since;
            let mut ready = pin!(poll_fn(|cx| {
                let mut state = self.0.lock();
                // Full again is another wait, with patience of its own.
                if state.weight <= self.0.limit || state.full_since != full_since {
                    return Poll::Ready(());
                }
                if !state.publishers.iter().any(|w| w.will_wake(cx.waker())) {
                    state.publishers.push(cx.waker().clone());
                }
                Poll::Pending
            }));
            let Some(since) = full_since else { return };
            if tokio::runtime::Handle::try_current().is_err() {
                // A test without a runtime has no clock that could run out.
                ready.await;
                continue;
            }
            let left = patience.saturating_sub(clock().saturating_duration_since(since));
            if tokio::time::timeout(left, &mut ready).await.is_err() {
                let publishers = {
                    let mut state = self.0.lock();
                    state.evict(self.0.limit, patience);
                    state.freed(self.0.limit)
                };
                publishers.into_iter().for_each(Waker::wake);
            }
        }
    }

    /// How many subscribe.
    pub fn subscribers(&self) -> usize {
        self.0.lock().subscribers
    }

    /// How many items subscribers have missed under [`Overflow::DropOldest`].
    pub fn dropped(&self) -> u64 {
        self.0.lock().dropped
    }

    pub(crate) fn feed<M: From<T> + Send + 'static>(&self) -> Box<dyn Feed<M>> {
        Box::new(Subscription::new(self.clone()))
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held but a `weight` or a `clone` of the
        // user's, and those leave the log whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Item> State<T> {
    fn end(&self) -> u64 {
        self.first + self.log.len() as u64
    }

    fn take_waiting(&mut self) -> Vec<Waker> {
        let seats = &mut self.seats;
        self.waiting
            .drain(..)
            .filter_map(|seat| {
                let seat = seats[seat].as_mut()?;
                seat.waits = false;
                seat.waker.take()
            })
            .collect()
    }

    fn overflow(&mut self, limit: usize, overflow: Overflow) {
        match overflow {
            Overflow::Wait(patience) => {
                let fulls = &mut self.fulls;
                let since = *self.full_since.get_or_insert_with(|| {
                    *fulls += 1;
                    clock()
                });
                // Where nobody waits for room, publishing itself keeps time.
                if clock().duration_since(since) >= patience {
                    self.evict(limit, patience);
                }
            }
            // The newest item is nobody's fault, however heavy it is.
            Overflow::Disconnect => self.cut(limit, 1),
            Overflow::DropOldest => {
                let mut missed = 0;
                while self.weight > limit && self.log.len() > 1 {
                    for seat in self.seats.iter_mut().flatten() {
                        if seat.next == self.first {
                            seat.next += 1;
                            missed += 1;
                        }
                    }
                    self.pop();
                }
                if self.dropped == 0 && missed > 0 {
                    tracing::warn!("a subscriber is behind its topic and misses the oldest items");
                }
                self.dropped += missed;
            }
        }
    }

    /// Cuts off who has held the log full for `patience`.
    fn evict(&mut self, limit: usize, patience: Duration) {
        if self
            .full_since
            .is_some_and(|since| clock().duration_since(since) >= patience)
        {
            self.cut_stalled(limit / 2);
            self.cut(limit, 0);
        }
    }

    /// Cuts off the subscribers that read nothing since the log became full,
    /// and are more than `limit` behind.
    fn cut_stalled(&mut self, limit: usize) {
        // The number of the first item that may be the next of those who stay.
        let mut first = self.end();
        let mut behind = 0;
        for (item, _) in self.log.iter().rev() {
            behind += cost(item);
            if behind > limit {
                break;
            }
            first -= 1;
        }
        for seat in 0..self.seats.len() {
            if let Some(s) = &self.seats[seat]
                && s.next < first
                && s.read_at != self.fulls
            {
                let from = usize::try_from(s.next - self.first).unwrap_or(usize::MAX);
                let behind = self.log.iter().skip(from).map(|(item, _)| cost(item));
                let behind = behind.sum();
                self.cut_seat(seat, behind);
            }
        }
    }

    /// Cuts off the subscribers at the oldest item until the log fits, or only
    /// the `spared` newest items are left.
    fn cut(&mut self, limit: usize, spared: usize) {
        while self.weight > limit && self.log.len() > spared {
            let (first, weight) = (self.first, self.weight);
            for seat in 0..self.seats.len() {
                let Some(s) = &self.seats[seat] else {
                    continue;
                };
                if s.next == first && s.cut.is_none() {
                    self.cut_seat(seat, weight);
                }
            }
            debug_assert!(self.first > first, "whoever wants the oldest item is cut");
        }
    }

    /// Cuts off a subscriber that is so many bytes behind, and wakes it.
    fn cut_seat(&mut self, seat: usize, behind: usize) {
        let Some(s) = &mut self.seats[seat] else {
            return;
        };
        s.cut = Some(behind);
        let waker = s.waker.take();
        self.leave(seat);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Gives up the claims of a seat on what is in the log.
    fn leave(&mut self, seat: usize) {
        let end = self.end();
        if let Some(s) = &mut self.seats[seat]
            && s.next != u64::MAX
        {
            let from = usize::try_from(s.next - self.first).unwrap_or(usize::MAX);
            s.next = u64::MAX;
            self.subscribers -= 1;
            debug_assert!(from <= self.log.len(), "seat behind the log at {end}");
            for (_, readers) in self.log.iter_mut().skip(from) {
                *readers -= 1;
            }
            self.trim();
        }
    }

    /// Drops the items that nobody wants any more.
    fn trim(&mut self) {
        while self.log.front().is_some_and(|(_, readers)| *readers == 0) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((item, _)) = self.log.pop_front() {
            self.first += 1;
            self.weight -= cost(&item);
        }
    }

    /// The publishers to wake, if there is room now.
    fn freed(&mut self, limit: usize) -> Vec<Waker> {
        if self.weight > limit {
            return Vec::new();
        }
        self.full_since = None;
        std::mem::take(&mut self.publishers)
    }
}

/// One subscriber's place in a topic.
struct Subscription<T: Item> {
    topic: Topic<T>,
    seat: usize,
    batch: VecDeque<T>,
}

impl<T: Item> Subscription<T> {
    fn new(topic: Topic<T>) -> Self {
        let mut state = topic.0.lock();
        let seat = Seat {
            next: state.end(),
            read_at: state.fulls,
            waker: None,
            waits: false,
            cut: None,
        };
        state.subscribers += 1;
        let free = state.seats.iter().position(Option::is_none);
        let index = match free {
            Some(index) => {
                state.seats[index] = Some(seat);
                index
            }
            None => {
                state.seats.push(Some(seat));
                state.seats.len() - 1
            }
        };
        drop(state);
        Self {
            topic,
            seat: index,
            batch: VecDeque::new(),
        }
    }
}

impl<T: Item, M: From<T>> Feed<M> for Subscription<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<M, Violation>> {
        if let Some(item) = self.batch.pop_front() {
            return Poll::Ready(Ok(item.into()));
        }
        let mut guard = self.topic.0.lock();
        let state = &mut *guard;
        let seat = state.seats[self.seat]
            .as_mut()
            .expect("a seat lives as long as its subscription");
        if let Some(behind) = seat.cut {
            return Poll::Ready(Err(Violation::Behind(behind)));
        }
        let from = usize::try_from(seat.next - state.first).expect("the log fits in memory");
        let mut read = 0;
        for (item, readers) in state.log.iter_mut().skip(from).take(BATCH) {
            self.batch.push_back(item.clone());
            *readers -= 1;
            read += 1;
        }
        if read == 0 {
            seat.set_waker(cx);
            if !std::mem::replace(&mut seat.waits, true) {
                state.waiting.push(self.seat);
            }
            return Poll::Pending;
        }
        seat.next += read;
        seat.read_at = state.fulls;
        state.trim();
        let publishers = state.freed(self.topic.0.limit);
        drop(guard);
        publishers.into_iter().for_each(Waker::wake);
        let first = self.batch.pop_front().expect("something was read");
        Poll::Ready(Ok(first.into()))
    }

    fn topic(&self) -> usize {
        Arc::as_ptr(&self.topic.0).addr()
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Violation> {
        let mut state = self.topic.0.lock();
        let seat = state.seats[self.seat]
            .as_mut()
            .expect("a seat lives as long as its subscription");
        if let Some(behind) = seat.cut {
            return Poll::Ready(Violation::Behind(behind));
        }
        seat.set_waker(cx);
        Poll::Pending
    }
}

impl<T: Item> Drop for Subscription<T> {
    fn drop(&mut self) {
        let mut state = self.topic.0.lock();
        state.leave(self.seat);
        let left = state.seats[self.seat].take();
        if left.is_some_and(|seat| seat.waits) {
            let seat = self.seat;
            state.waiting.retain(|waiting| *waiting != seat);
        }
        let publishers = state.freed(self.topic.0.limit);
        drop(state);
        publishers.into_iter().for_each(Waker::wake);
    }
}

thread_local! {
    /// Whether a connection's turn runs on this thread, and what it must wait
    /// for before it is read again: each topic once, by its address.
    static AT: Cell<At> = const { Cell::new(At::Rest) };
    static HOLDS: RefCell<Vec<(usize, BoxFuture<'static, ()>)>> = const { RefCell::new(Vec::new()) };
}

/// What a thread is at; nearly every turn ends without a look at `HOLDS`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    Rest,
    /// In a turn, with nothing in `HOLDS`.
    Turn,
    /// In a turn that must wait.
    Holding,
}

/// Holds back the connection whose turn runs on this thread, if one does.
fn hold(topic: usize, until: impl FnOnce() -> BoxFuture<'static, ()>) {
    if AT.get() != At::Rest {
        AT.set(At::Holding);
        HOLDS.with_borrow_mut(|holds| {
            if holds.iter().all(|(t, _)| *t != topic) {
                holds.push((topic, until()));
            }
        });
    }
}

/// Marks that a connection's turn runs on this thread, until dropped.
///
/// One may run inside another: deferred work may serve a connection of its
/// own. Each waits for its own publishing.
pub(crate) struct Turn {
    outer: Option<Vec<(usize, BoxFuture<'static, ()>)>>,
}

impl Turn {
    #[inline]
    pub(crate) fn begin() -> Self {
        let outer = match AT.replace(At::Turn) {
            At::Rest => None,
            At::Turn => Some(Vec::new()),
            At::Holding => Some(HOLDS.take()),
        };
        Self { outer }
    }

    /// What the turn's publishing must wait for.
    #[inline]
    pub(crate) fn holds(&self) -> Vec<(usize, BoxFuture<'static, ()>)> {
        if AT.get() != At::Holding {
            return Vec::new();
        }
        AT.set(At::Turn);
        HOLDS.take()
    }
}

impl Drop for Turn {
    #[inline]
    fn drop(&mut self) {
        if AT.get() == At::Holding {
            // Left over from a callback that panicked.
            HOLDS.take();
        }
        AT.set(match self.outer.take() {
            None => At::Rest,
            Some(holds) if holds.is_empty() => At::Turn,
            Some(holds) => {
                HOLDS.set(holds);
                At::Holding
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering::Relaxed},
        task::Wake,
    };

    use proptest::prelude::*;

    use super::*;

    /// One subscriber, and whether it was woken since it last found nothing.
    struct Reader {
        feed: Subscription<Bytes>,
        woken: Arc<Flag>,
        waits: bool,
        /// What it has still to get, by the model.
        expected: VecDeque<Bytes>,
        cut: bool,
    }

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    impl Reader {
        fn new(topic: &Topic<Bytes>) -> Self {
            Self {
                feed: Subscription::new(topic.clone()),
                woken: Arc::default(),
                waits: false,
                expected: VecDeque::new(),
                cut: false,
            }
        }

        fn poll(&mut self) -> Poll<Result<Bytes, Violation>> {
            self.woken.0.store(false, Relaxed);
            let waker = Waker::from(self.woken.clone());
            let poll = self.feed.poll_next(&mut Context::from_waker(&waker));
            self.waits = poll.is_pending();
            poll
        }

        fn poll_cut(&mut self) -> Poll<Violation> {
            let mut cx = Context::from_waker(Waker::noop());
            Feed::<Bytes>::poll_cut(&mut self.feed, &mut cx)
        }

        /// What of it stands in the log, and not yet in its own batch.
        fn behind(&self) -> usize {
            self.expected.len() - self.feed.batch.len()
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Leave(prop::sample::Index),
        Publish(usize),
        Read(prop::sample::Index, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let any_one = || any::<prop::sample::Index>();
        prop_oneof![
            2 => Just(Step::Join),
            1 => any_one().prop_map(Step::Leave),
            8 => (0..40_usize).prop_map(Step::Publish),
            6 => (any_one(), 1..60_usize).prop_map(|(who, n)| Step::Read(who, n)),
        ]
    }

    fn check(overflow: Overflow, steps: &[Step]) -> Result<(), TestCaseError> {
        const LIMIT: usize = 500;
        let topic = Topic::<Bytes>::with(LIMIT, overflow);
        let mut readers: Vec<Reader> = Vec::new();
        let mut dropped = 0;
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Join => readers.push(Reader::new(&topic)),
                Step::Leave(who) if !readers.is_empty() => {
                    readers.swap_remove(who.index(readers.len()));
                }
                Step::Publish(length) => {
                    let item = Bytes::from(vec![u8::try_from(number % 251).unwrap(); *length]);
                    let here = readers.iter().filter(|r| !r.cut).count();
                    prop_assert_eq!(topic.publish(item.clone()), here);
                    for reader in readers.iter_mut().filter(|r| !r.cut) {
                        reader.expected.push_back(item.clone());
                        prop_assert!(!reader.waits || reader.woken.0.load(Relaxed), "it sleeps");
                    }
                    // The rule, said plainly: while the longest that anybody
                    // has before it is too heavy, its readers lose.
                    while overflow != Overflow::Wait(PATIENCE) {
                        let most = readers.iter().filter(|r| !r.cut).map(Reader::behind).max();
                        let most = most.unwrap_or(0);
                        let log = |r: &Reader| -> usize {
                            let log = r.expected.iter().skip(r.feed.batch.len());
                            log.map(cost).sum()
                        };
                        let is_last = |r: &&mut Reader| !r.cut && r.behind() == most;
                        let mut last = readers.iter_mut().filter(is_last).peekable();
                        let fits = last.peek().is_none_or(|r| log(r) <= LIMIT);
                        if most <= 1 || fits {
                            break;
                        }
                        for reader in last {
                            let own = reader.feed.batch.len();
                            if overflow == Overflow::Disconnect {
                                reader.cut = true;
                                reader.expected.truncate(own);
                            } else {
                                reader.expected.remove(own);
                                dropped += 1;
                            }
                        }
                    }
                }
                Step::Read(who, items) if !readers.is_empty() => {
                    let who = who.index(readers.len());
                    for _ in 0..*items {
                        let reader = &mut readers[who];
                        match (reader.poll(), reader.expected.pop_front()) {
                            (Poll::Ready(Ok(got)), Some(expected)) => {
                                prop_assert_eq!(got, expected)
                            }
                            (Poll::Ready(Err(_)), None) => prop_assert!(reader.cut),
                            (Poll::Pending, None) => prop_assert!(!reader.cut),
                            (got, expected) => prop_assert!(false, "{got:?} for {expected:?}"),
                        }
                    }
                }
                Step::Leave(_) | Step::Read(..) => {}
            }
            let state = topic.0.lock();
            let log: usize = state.log.iter().map(|(item, _)| cost(item)).sum();
            prop_assert_eq!(state.weight, log);
            let longest = readers.iter().filter(|r| !r.cut).map(Reader::behind).max();
            prop_assert_eq!(
                state.log.len(),
                longest.unwrap_or(0),
                "nobody wants the rest"
            );
            prop_assert_eq!(state.dropped, dropped);
            prop_assert_eq!(
                state.full_since.is_some(),
                log > LIMIT && overflow == Overflow::Wait(PATIENCE)
            );
        }
        drop(readers);
        let state = topic.0.lock();
        prop_assert_eq!(
            (state.subscribers, state.log.len(), state.weight),
            (0, 0, 0)
        );
        prop_assert!(state.waiting.is_empty() && state.seats.iter().all(Option::is_none));
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_a_queue_for_each(steps in prop::collection::vec(step(), 0..200)) {
            check(Overflow::Wait(PATIENCE), &steps)?;
        }

        #[test]
        fn as_a_queue_for_each_that_keeps_up(steps in prop::collection::vec(step(), 0..200)) {
            check(Overflow::Disconnect, &steps)?;
        }

        #[test]
        fn as_a_queue_that_forgets(steps in prop::collection::vec(step(), 0..200)) {
            check(Overflow::DropOldest, &steps)?;
        }
    }

    #[test]
    fn one_that_takes_nothing_hears_that_it_was_cut() {
        let topic = Topic::<Bytes>::with(10, Overflow::Disconnect);
        let mut reader = Reader::new(&topic);
        let waker = Waker::from(reader.woken.clone());
        let mut cx = Context::from_waker(&waker);
        let poll_cut =
            |r: &mut Reader, cx: &mut Context<'_>| Feed::<Bytes>::poll_cut(&mut r.feed, cx);
        assert!(poll_cut(&mut reader, &mut cx).is_pending());
        topic.publish(Bytes::from_static(b"12345678"));
        assert!(!reader.woken.0.load(Relaxed), "items do not concern it");
        topic.publish(Bytes::from_static(b"12345678"));
        assert!(reader.woken.0.load(Relaxed));
        assert!(poll_cut(&mut reader, &mut cx).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn the_dead_cost_the_living_no_wait_each() {
        let topic = Topic::<Bytes>::with(1000, Overflow::Wait(PATIENCE));
        let item = Bytes::from(vec![0; 50]);
        let mut dead = Vec::new();
        for _ in 0..12 {
            dead.push(Reader::new(&topic));
            topic.publish(item.clone());
        }
        let mut alive = Reader::new(&topic);
        // It reads now and then, and is never far behind.
        let mut lazy = Reader::new(&topic);
        let begun = clock();
        for number in 0..100 {
            topic.room().await;
            topic.publish(item.clone());
            assert!(matches!(alive.poll(), Poll::Ready(Ok(_))));
            if number % 8 == 7 {
                while let Poll::Ready(item) = lazy.poll() {
                    assert!(item.is_ok());
                }
            }
            if dead
                .iter_mut()
                .all(|d| matches!(d.poll_cut(), Poll::Ready(_)))
            {
                break;
            }
        }
        assert_eq!(clock() - begun, 2 * PATIENCE, "at most two together");
        assert_eq!(topic.subscribers(), 2);
    }

    #[test]
    fn a_turn_inside_another_keeps_its_own_holds() {
        let outer = Turn::begin();
        hold(1, || Box::pin(async {}));
        let inner = Turn::begin();
        hold(1, || Box::pin(async {}));
        hold(2, || Box::pin(async {}));
        assert_eq!(inner.holds().len(), 2);
        hold(3, || Box::pin(async {}));
        drop(inner);
        hold(4, || Box::pin(async {}));
        assert_eq!(
            outer.holds().into_iter().map(|h| h.0).collect::<Vec<_>>(),
            [1, 4]
        );
        drop(outer);
        hold(5, || unreachable!("no turn runs"));
    }
}
