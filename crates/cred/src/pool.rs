//! Password hashing away from the threads that serve.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::Refused;

/// How much hashing goes on at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashLimits {
    /// Hashes at a time. Default half of the processors, one at least: a flood
    /// of logins leaves the other half to those who are in. Each takes the
    /// memory of its hash, 19 MiB for our own.
    pub at_once: usize,
    /// Logins that wait for their turn; further ones are refused at once with
    /// [`Refused::TooMany`]. Default 256, a few seconds' work.
    pub waiting: usize,
}

impl Default for HashLimits {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            at_once: (processors / 2).max(1),
            waiting: 256,
        }
    }
}

/// Runs what is slow on tokio's blocking threads, a bounded number at a time.
/// Clones share their limits; give one to all checkers of a process.
#[derive(Clone, Debug)]
pub struct HashPool {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    begun: Arc<AtomicU64>,
}

impl HashPool {
    /// A pool with these limits.
    pub fn new(limits: &HashLimits) -> Self {
        let at_once = limits.at_once.clamp(1, 1024);
        Self {
            admitted: Arc::new(Semaphore::new(at_once + limits.waiting.min(1 << 20))),
            running: Arc::new(Semaphore::new(at_once)),
            begun: Arc::default(),
        }
    }

    /// How many pieces of work have begun since it was made: a metric, and what
    /// shows that every login costs the same.
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Runs `work` when it is its turn. Work that has begun goes on, and
    /// counts, even if nobody waits for it any longer: else connections that
    /// come and go would start any number of hashes.
    pub async fn run<T, F>(&self, work: F) -> Result<T, Refused>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let full = Refused::TooMany {
            retry_after: Duration::from_secs(2),
        };
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| full)?;
        let running = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(Refused::unavailable)?;
        self.begun.fetch_add(1, Ordering::Relaxed);
        let work = move || {
            let _turn = (admitted, running);
            work()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(Refused::unavailable)
    }
}

impl Default for HashPool {
    fn default() -> Self {
        Self::new(&HashLimits::default())
    }
}
