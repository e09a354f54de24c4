//! Long work, a little at a time.

use std::{
    fmt,
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use tokio::{task::yield_now, time::Instant};

use crate::BoxFuture;

/// Time for which steps are taken before others have their turn. Twice that is
/// the longest delay that a well-behaved step causes anybody.
const SLICE: Duration = Duration::from_millis(1);

/// Steps after which others have their turn, however short they were: in
/// virtual time they take none.
const STEPS: u32 = 1000;

/// Takes steps until one breaks, for a millisecond or a thousand steps at a
/// time; between two slices everything else of the thread has its turn.
///
/// It does nothing by itself: await it, spawn it, or give it to
/// [`Transport::defer`](crate::Transport::defer).
///
/// ```
/// # use ropewalk_core::testing;
/// use std::ops::ControlFlow;
/// use ropewalk_core::schedule::cooperate;
///
/// # testing::run(async {
/// let (mut n, mut sum) = (0_u64, 0);
/// let sum = cooperate(move || {
///     n += 1;
///     sum += n;
///     if n < 1_000_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(sum) }
/// });
/// assert_eq!(sum.await.unwrap(), 500_000_500_000);
/// # });
/// ```
pub fn cooperate<T, F>(step: F) -> Cooperation<F>
where
    F: FnMut() -> ControlFlow<T>,
{
    Cooperation {
        step,
        slice: SLICE,
        shared: Arc::default(),
        yielding: None,
    }
}

/// Calls `each` for every item, as [`cooperate`] takes steps.
pub fn cooperate_over<I: IntoIterator>(
    items: I,
    mut each: impl FnMut(I::Item),
) -> Cooperation<impl FnMut() -> ControlFlow<()>> {
    let mut items = items.into_iter();
    cooperate(move || match items.next() {
        Some(item) => {
            each(item);
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    })
}

/// Work that takes its turns; see [`cooperate`]. As a future it is what the
/// last step broke with.
///
/// A step that panics does so in whoever awaits this.
#[must_use = "it does nothing unless it is awaited"]
pub struct Cooperation<F> {
    step: F,
    slice: Duration,
    shared: Arc<Shared>,
    /// The turn of the others.
    yielding: Option<BoxFuture<'static, ()>>,
}

/// The work was stopped before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped before it was done")]
pub struct Stopped;

#[derive(Default)]
struct Shared {
    wish: AtomicU8,
    steps: AtomicU64,
    waker: AtomicWaker,
}

const RUN: u8 = 0;
const PAUSE: u8 = 1;
const STOP: u8 = 2;

impl<F> Cooperation<F> {
    /// With another time for a slice than a millisecond. Longer ones make the
    /// work faster by little, and everything else slower by much.
    pub fn slice(mut self, slice: Duration) -> Self {
        self.slice = slice;
        self
    }

    /// A way to pause, to resume and to stop it, and to see how far it is.
    pub fn cooperator(&self) -> Cooperator {
        Cooperator(self.shared.clone())
    }
}

impl<T, F> Future for Cooperation<F>
where
    F: FnMut() -> ControlFlow<T>,
{
    type Output = Result<T, Stopped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(yielding) = &mut this.yielding {
            ready!(yielding.as_mut().poll(cx));
            this.yielding = None;
        }
        // Before the wish is looked at, so that no other is missed.
        this.shared.waker.register(cx.waker());
        match this.shared.wish.load(Ordering::Acquire) {
            STOP => return Poll::Ready(Err(Stopped)),
            PAUSE => return Poll::Pending,
            _ => {}
        }
        let began = Instant::now();
        let mut steps = 0;
        let done = loop {
            let step = (this.step)();
            steps += 1;
            match step {
                ControlFlow::Break(result) => break Some(result),
                ControlFlow::Continue(()) if steps == STEPS => break None,
                ControlFlow::Continue(()) if began.elapsed() >= this.slice => break None,
                ControlFlow::Continue(()) => {}
            }
        };
        this.shared
            .steps
            .fetch_add(u64::from(steps), Ordering::Relaxed);
        if let Some(result) = done {
            return Poll::Ready(Ok(result));
        }
        // Not a wake-up of our own: that would come before the sockets are
        // asked for what is new.
        let yielding = this.yielding.insert(Box::pin(yield_now()));
        match yielding.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl<F> Unpin for Cooperation<F> {}

impl<F> fmt::Debug for Cooperation<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cooperation")
            .field("steps", &self.cooperator().steps())
            .finish_non_exhaustive()
    }
}

/// Whoever holds it may pause, resume and stop some work, from any task. Cheap
/// to clone.
#[derive(Clone)]
pub struct Cooperator(Arc<Shared>);

impl Cooperator {
    /// No step is taken after the slice that is under way, until
    /// [`resume`](Self::resume).
    pub fn pause(&self) {
        self.wish(PAUSE);
    }

    /// Steps are taken again.
    pub fn resume(&self) {
        self.wish(RUN);
    }

    /// No step is taken after the slice that is under way, for good: the work
    /// is [`Stopped`].
    pub fn stop(&self) {
        self.0.wish.store(STOP, Ordering::Release);
        self.0.waker.wake();
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    fn wish(&self, wish: u8) {
        // What was stopped stays so.
        let change = |now| (now != STOP).then_some(wish);
        let _ = self
            .0
            .wish
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        self.0.waker.wake();
    }
}

impl fmt::Debug for Cooperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cooperator")
            .field("steps", &self.steps())
            .finish_non_exhaustive()
    }
}
