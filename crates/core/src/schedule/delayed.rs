//! Something once, later.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

/// Runs `work` after a time, in a task of its own, unless it is cancelled
/// before.
///
/// Where nobody would put it off or cancel it, sleep in a task of your own; in
/// a protocol, set a timer.
///
/// ```
/// # use std::time::Duration;
/// # use ropewalk_core::testing;
/// use ropewalk_core::schedule::call_later;
///
/// # testing::run(async {
/// let call = call_later(Duration::from_secs(5), async { "now" });
/// call.put_off(Duration::from_secs(10));
/// assert_eq!(call.await, Some("now"));
/// # });
/// ```
pub fn call_later<F>(after: Duration, work: F) -> DelayedCall<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let stage = Arc::new(watch::Sender::new(Stage::Due(Instant::now() + after)));
    let told = stage.clone();
    let task = tokio::spawn(async move {
        let mut changes = told.subscribe();
        loop {
            let Stage::Due(at) = *changes.borrow_and_update() else {
                return None;
            };
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = sleep_until(at) => {
                    // In one step, so that who cancels knows that it did.
                    let begun = told.send_if_modified(|stage| {
                        let is_due = *stage == Stage::Due(at);
                        if is_due {
                            *stage = Stage::Begun;
                        }
                        is_due
                    });
                    if begun {
                        return Some(work.await);
                    }
                }
            }
        }
    });
    DelayedCall { stage, task }
}

/// Something that is to happen later; see [`call_later`].
///
/// As a future it is what the work returned, or `None` if it was cancelled.
/// Dropping it cancels it, also while it is under way.
#[must_use = "a delayed call that is dropped is cancelled"]
pub struct DelayedCall<T> {
    stage: Arc<watch::Sender<Stage>>,
    task: JoinHandle<Option<T>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Due(Instant),
    Begun,
    Cancelled,
}

impl<T> DelayedCall<T> {
    /// Cancels it; false if it has begun already, which nothing undoes, or was
    /// cancelled before.
    pub fn cancel(&self) -> bool {
        self.change(|_| Stage::Cancelled)
    }

    /// Puts it off by so much more; false if it has begun or was cancelled.
    pub fn put_off(&self, by: Duration) -> bool {
        self.change(|at| Stage::Due(at + by))
    }

    /// Has it happen so long from now, sooner or later than it was to; false
    /// if it has begun or was cancelled.
    pub fn reset(&self, after: Duration) -> bool {
        self.change(|_| Stage::Due(Instant::now() + after))
    }

    /// When it is due; `None` if it has begun or was cancelled.
    pub fn due(&self) -> Option<std::time::Instant> {
        match *self.stage.borrow() {
            Stage::Due(at) => Some(at.into_std()),
            _ => None,
        }
    }

    fn change(&self, change: impl FnOnce(Instant) -> Stage) -> bool {
        self.stage.send_if_modified(|stage| match *stage {
            Stage::Due(at) => {
                *stage = change(at);
                true
            }
            _ => false,
        })
    }
}

impl<T> Future for DelayedCall<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.task)
            .poll(cx)
            .map(|joined| match joined {
                Ok(result) => result,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime ended.
                    Err(_) => None,
                },
            })
    }
}

impl<T> Drop for DelayedCall<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> fmt::Debug for DelayedCall<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DelayedCall({:?})", *self.stage.borrow())
    }
}
