//! Named deadlines. Setting one is a store: no timer of the runtime moves.

use std::time::Instant;

/// The timers of one connection, by name.
pub(crate) struct Timers<T>(Vec<(T, Instant)>);

impl<T: Copy + Eq> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn set(&mut self, which: T, at: Instant) {
        match self.0.iter_mut().find(|(t, _)| *t == which) {
            Some(slot) => slot.1 = at,
            None => self.0.push((which, at)),
        }
    }

    pub(crate) fn cancel(&mut self, which: T) {
        // In order, so that two that are due at once fire as they were set.
        self.0.retain(|(t, _)| *t != which);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<T> {
        let (which, _) = *self
            .0
            .iter()
            .filter(|(_, at)| *at <= now)
            .min_by_key(|(_, at)| *at)?;
        self.cancel(which);
        Some(which)
    }
}

/// The time, by tokio's clock: virtual where a test paused it.
pub(crate) fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time of day. It moves as [`clock`] does: where a test pauses that one,
/// this stands still too, and certificates expire when virtual time says so.
#[cfg(feature = "tls")]
pub(crate) fn wall_clock() -> std::time::SystemTime {
    let (now, real) = (clock(), Instant::now());
    let wall = std::time::SystemTime::now();
    match now.checked_duration_since(real) {
        Some(ahead) => wall + ahead,
        None => wall - (real - now),
    }
}
