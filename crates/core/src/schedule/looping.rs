//! The same thing again and again, at an interval.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep_until},
};

use crate::{
    BoxFuture, Result,
    service::{Life, Service},
};

/// The runtime's clock is no finer.
const SHORTEST: Duration = Duration::from_millis(1);

/// Calls an async function at an interval. Cheap to clone; clones are the same
/// loop.
///
/// Calls never overlap: while one takes longer than the interval, the ticks
/// that come due are missed, and the next call is told how many. Nor do they
/// drift: the tenth tick is ten intervals after the beginning, however long
/// calls took and however late the runtime woke.
///
/// It is a [`Service`]: it calls while it is run, by [`start`](Service::start)
/// or in [`Services`](crate::Services), and when it is told to stop it lets the
/// call that is under way end.
///
/// ```
/// # use std::time::Duration;
/// # use ropewalk_core::{Service, testing};
/// use ropewalk_core::schedule::LoopingCall;
///
/// # testing::run(async {
/// let minutely = LoopingCall::new(Duration::from_secs(60), |tick| async move {
///     println!("minute {}, and {} were missed", tick.number, tick.missed);
///     Ok(())
/// });
/// let running = minutely.start();
/// // …
/// # running.ready().await?;
/// running.stop().await?;
/// # Ok::<(), ropewalk_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct LoopingCall {
    name: Arc<str>,
    interval: Duration,
    first: First,
    on_error: OnError,
    call: Arc<Mutex<Call>>,
    shared: Arc<Shared>,
}

type Call = dyn FnMut(Tick) -> BoxFuture<'static, Result> + Send;

/// Which call this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tick {
    /// The number of this call since the loop was made, from 1.
    pub number: u64,
    /// Ticks that passed since the one before, without a call.
    pub missed: u64,
}

/// When the first call is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum First {
    /// At once.
    #[default]
    Now,
    /// After one interval.
    AfterInterval,
}

/// What an error of a call means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnError {
    /// The loop ends with it: a failure of the service.
    #[default]
    Stop,
    /// It is logged and counted, and the next tick is called.
    Continue,
}

#[derive(Default)]
struct Shared {
    calls: AtomicU64,
    missed: AtomicU64,
    errors: AtomicU64,
    stopped: AtomicBool,
    /// A reset or a stop.
    told: Notify,
}

impl LoopingCall {
    /// Calls `call` at once, and then each `interval`, of a millisecond at
    /// least.
    pub fn new<F, Fut>(interval: Duration, mut call: F) -> Self
    where
        F: FnMut(Tick) -> Fut + Send + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        Self {
            name: "looping call".into(),
            interval: interval.max(SHORTEST),
            first: First::default(),
            on_error: OnError::default(),
            call: Arc::new(Mutex::new(move |tick| {
                Box::pin(call(tick)) as BoxFuture<'static, Result>
            })),
            shared: Arc::default(),
        }
    }

    /// With a name for the log and status pages.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// With another time for the first call.
    #[must_use]
    pub fn first(mut self, first: First) -> Self {
        self.first = first;
        self
    }

    /// With another answer to errors.
    #[must_use]
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Counts anew from this moment: the next call is made one interval from
    /// now, or from the end of the one that is under way.
    pub fn reset(&self) {
        self.shared.told.notify_one();
    }

    /// Ends the loop well, after the call that is under way: how a call ends
    /// its own loop. It does not begin again.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Relaxed);
        self.shared.told.notify_one();
    }

    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Relaxed)
    }

    /// How many ticks were missed.
    pub fn missed(&self) -> u64 {
        self.shared.missed.load(Relaxed)
    }

    /// How many calls failed.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Relaxed)
    }

    async fn call(&self, missed: u64) -> Result {
        self.shared.missed.fetch_add(missed, Relaxed);
        let number = self.shared.calls.fetch_add(1, Relaxed) + 1;
        // One run at a time holds it: a clone that is run as well waits.
        let call = (self.call.lock().await)(Tick { number, missed });
        let Err(error) = call.await else {
            return Ok(());
        };
        self.shared.errors.fetch_add(1, Relaxed);
        match self.on_error {
            OnError::Stop => Err(error),
            OnError::Continue => {
                tracing::warn!(service = %self.name, error, "a call failed");
                Ok(())
            }
        }
    }
}

impl Service for LoopingCall {
    fn name(&self) -> String {
        self.name.to_string()
    }

    async fn run(&self, life: Life) -> Result {
        life.ready();
        let mut ticks = Ticks::new(self.interval, self.first);
        while !self.shared.stopped.load(Relaxed) {
            tokio::select! {
                biased;
                _ = life.stopping() => break,
                () = self.shared.told.notified() => ticks = Ticks::new(self.interval, First::AfterInterval),
                () = sleep_until(ticks.due()) => {
                    let missed = ticks.take(Instant::now());
                    self.call(missed).await?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for LoopingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopingCall")
            .field("name", &self.name)
            .field("interval", &self.interval)
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

/// When ticks are due, counted from the beginning so that nothing adds up.
struct Ticks {
    next: Instant,
    interval: Duration,
}

impl Ticks {
    fn new(interval: Duration, first: First) -> Self {
        let now = Instant::now();
        Self {
            next: match first {
                First::Now => now,
                First::AfterInterval => now + interval,
            },
            interval,
        }
    }

    fn due(&self) -> Instant {
        self.next
    }

    /// Takes the newest tick that is due; says how many before it were missed.
    fn take(&mut self, now: Instant) -> u64 {
        let late = now.saturating_duration_since(self.next);
        let missed = late.as_nanos() / self.interval.as_nanos();
        // A clock of 64 bits has no more intervals than that.
        let missed = u64::try_from(missed).unwrap_or(u64::MAX);
        // In whole intervals from the tick that was due, so that what is left
        // of one is not lost.
        let rest = late.as_nanos() % self.interval.as_nanos();
        let rest = Duration::from_nanos(u64::try_from(rest).unwrap_or_default());
        self.next = now.checked_sub(rest).unwrap_or(now) + self.interval;
        missed
    }
}
