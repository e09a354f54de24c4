//! A token bucket whose tokens are booked: who comes when it is empty is told
//! the time at which its share will be there.
//!
//! So those who wait have their turn in the order in which they came, each
//! with a timer of its own, and one that does not come back holds nobody up:
//! a queue of sleepers would stand still behind it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use tokio::time::{Sleep, sleep_until};

use super::Rate;
use crate::timers::clock;

/// Tokens are counted in billionths of a byte, so that a nanosecond at any rate
/// is a whole number of them and nothing is lost to rounding.
const BYTE: i128 = 1_000_000_000;

/// The most that one connection takes at a time while others wait: about what
/// one segment of a network carries. Less would be cut into very small writes.
const SEGMENT: u64 = 1400;

/// For how long a share is kept for a connection that does not come for it.
const KEPT: Duration = Duration::from_secs(1);

pub(super) struct Bucket {
    rate: Rate,
    level: Mutex<Level>,
}

struct Level {
    /// Below nothing by what is booked and not there yet.
    tokens: i128,
    filled: Instant,
    /// Bookings that wait for their time.
    waiting: u32,
}

/// Bytes that may go, from a moment on.
struct Booking {
    bytes: u64,
    at: Instant,
    waits: bool,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        let level = Level {
            tokens: i128::from(rate.burst) * BYTE,
            filled: clock(),
            waiting: 0,
        };
        Self {
            rate,
            level: Mutex::new(level),
        }
    }

    /// Whether nobody waits, and nothing is missing.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        let level = self.filled(now);
        level.waiting == 0 && level.tokens == i128::from(self.rate.burst) * BYTE
    }

    #[cfg(test)]
    pub(super) fn empty(&self) {
        self.level().tokens = 0;
    }

    fn book(&self, want: usize, now: Instant) -> Booking {
        let want = u64::try_from(want).unwrap_or(u64::MAX);
        let mut level = self.filled(now);
        // A tenth of a second's worth at a time, so that a slow stream is not
        // cut into single bytes; of many, each takes its part of that.
        let tenth = (self.rate.bytes / 10).max(1);
        let part = tenth / (u64::from(level.waiting) + 1);
        let share = part.max(tenth.min(SEGMENT)).min(self.rate.burst);
        let there = u64::try_from(level.tokens / BYTE).unwrap_or(0);
        let bytes = match level.waiting == 0 && there >= want.min(share) {
            true => want.min(there),
            false => want.min(share),
        };
        level.tokens -= i128::from(bytes) * BYTE;
        let missing = u128::try_from(-level.tokens).unwrap_or(0);
        let nanos = missing.div_ceil(self.rate.bytes.into());
        let wait = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let waits = !wait.is_zero();
        level.waiting += u32::from(waits);
        Booking {
            bytes,
            // A wait beyond the end of time is one without an end.
            at: now.checked_add(wait).unwrap_or(now + FOREVER),
            waits,
        }
    }

    /// A booking was used so far, and is over.
    fn settle(&self, booking: &Booking, used: u64) {
        let mut level = self.level();
        let back = i128::from(booking.bytes - used) * BYTE;
        level.tokens = (level.tokens + back).min(i128::from(self.rate.burst) * BYTE);
        level.waiting -= u32::from(booking.waits);
    }

    fn filled(&self, now: Instant) -> MutexGuard<'_, Level> {
        let mut level = self.level();
        let passed = now.saturating_duration_since(level.filled).as_nanos();
        let gained = i128::try_from(passed).unwrap_or(i128::MAX);
        let gained = gained.saturating_mul(self.rate.bytes.into());
        let most = i128::from(self.rate.burst) * BYTE;
        level.tokens = level.tokens.saturating_add(gained).min(most);
        level.filled = level.filled.max(now);
        level
    }

    fn level(&self) -> MutexGuard<'_, Level> {
        self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hundred years.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// One connection at a bucket, in one direction.
#[derive(Default)]
pub(super) struct Taker {
    booking: Option<Booking>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Taker {
    /// How many bytes may go now, of so many; 1 at least.
    pub(super) fn poll_allowed(
        &mut self,
        bucket: &Bucket,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<usize> {
        let now = clock();
        if let Some(booking) = &self.booking
            && now.saturating_duration_since(booking.at) > KEPT
        {
            self.settle(bucket, 0);
        }
        let booking = self.booking.get_or_insert_with(|| bucket.book(want, now));
        if now < booking.at {
            let at = tokio::time::Instant::from_std(booking.at);
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if sleep.deadline() != at {
                sleep.as_mut().reset(at);
            }
            ready!(sleep.as_mut().poll(cx));
        }
        let bytes = usize::try_from(booking.bytes).unwrap_or(usize::MAX);
        Poll::Ready(bytes.min(want))
    }

    /// So many of those that were allowed went; the others may be taken by
    /// anybody.
    pub(super) fn settle(&mut self, bucket: &Bucket, used: usize) {
        if let Some(booking) = self.booking.take() {
            let used = u64::try_from(used).unwrap_or(u64::MAX);
            bucket.settle(&booking, used.min(booking.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BYTES: u64 = 1000;

    fn bucket(burst: u64) -> (Bucket, Instant) {
        let bucket = Bucket::new(Rate::per_second(BYTES).burst(burst));
        let now = bucket.level().filled;
        (bucket, now)
    }

    #[test]
    fn bookings_come_one_after_the_other() {
        let (bucket, now) = bucket(1000);
        let first = bucket.book(5000, now);
        assert_eq!((first.bytes, first.at), (1000, now), "what is there");
        for turn in 1..=3 {
            let next = bucket.book(5000, now);
            assert_eq!(next.bytes, 100, "a tenth of a second's worth");
            assert_eq!(next.at, now + turn * Duration::from_millis(100));
        }
        // Less is wanted, and it takes less time.
        let small = bucket.book(7, now);
        assert_eq!(small.at, now + Duration::from_millis(307));
    }

    #[test]
    fn what_is_not_used_comes_back() {
        let (bucket, now) = bucket(1000);
        let all = bucket.book(5000, now);
        bucket.settle(&all, 10);
        let rest = bucket.book(5000, now);
        assert_eq!((rest.bytes, rest.at), (990, now));
        bucket.settle(&rest, 990);
        assert!(!bucket.is_full(now + Duration::from_nanos(999_999_999)));
        assert!(bucket.is_full(now + Duration::from_secs(1)));
    }

    proptest! {
        /// Whatever is asked for and whenever, no more goes than the burst and
        /// the rate allow, and nothing of that is lost while somebody wants it.
        #[test]
        fn never_more_and_never_less(
            burst in 1_u64..3000,
            asked in prop::collection::vec((1_usize..4000, 0_u64..400_000_000), 1..60),
        ) {
            let (bucket, begun) = bucket(burst);
            let (mut now, mut gone) = (begun, 0);
            for (want, pause) in asked {
                let before = now;
                now += Duration::from_nanos(pause);
                let booking = bucket.book(want, now);
                now = booking.at;
                gone += booking.bytes;
                bucket.settle(&booking, booking.bytes);
                let nanos = (now - begun).as_nanos();
                let most = u128::from(burst) + nanos * u128::from(BYTES) / 1_000_000_000;
                prop_assert!(u128::from(gone) <= most, "{gone} of {most}");
                // It was not made to wait for what was there.
                let wait = now - before - Duration::from_nanos(pause);
                let share = Duration::from_millis(100);
                prop_assert!(wait <= share, "{wait:?}");
            }
        }
    }
}
