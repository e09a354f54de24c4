//! What a service hears while it runs, and what it says.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use tokio::sync::watch;

use super::status::Node;

/// How a service is to stop: what serves peers announces its end first, while
/// it still accepts, and then gives them time.
///
/// A service that has no peers has `announce` and `grace` together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stop {
    /// Time to announce at most. Default 1 s.
    pub announce: Duration,
    /// Time that is given after that. Default 9 s.
    pub grace: Duration,
}

impl Stop {
    /// Announces for so long at most, and waits for so long after that.
    pub const fn new(announce: Duration, grace: Duration) -> Self {
        Self { announce, grace }
    }

    /// Both together.
    pub fn total(&self) -> Duration {
        self.announce.saturating_add(self.grace)
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new(crate::server::ANNOUNCE, crate::server::GRACE)
    }
}

/// One run of a service, as the service sees it. Cheap to clone.
#[derive(Clone)]
pub struct Life {
    pub(super) node: Arc<Node>,
    /// Which run this is: one that is over says nothing any more.
    pub(super) run: u64,
    pub(super) stop: Stop,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Life {
    /// Says that the service does what it is for: the next one may start. To
    /// say it again changes nothing.
    pub fn ready(&self) {
        self.node.ready(self.run);
    }

    /// Waits until the service is told to stop; says how.
    pub async fn stopping(&self) -> Stop {
        let mut stopping = self.stopping.clone();
        // Whoever ran it is gone: that is to stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
        self.stop
    }

    /// Whether the service was told to stop.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }

    /// Waits for `work`, unless the service is told to stop before; then
    /// `work` is dropped.
    pub async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            _ = self.stopping() => None,
            done = work => Some(done),
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("service", &self.node.name)
            .field("stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}
