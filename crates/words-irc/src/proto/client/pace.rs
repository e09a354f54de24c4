//! Token buckets: so many at once, and one more in each such time.

use std::time::{Duration, Instant};

/// A bucket that is full at first.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    burst: u32,
    every: Duration,
    /// When it would be full again, as RFC 1459, section 8.10, counts.
    full_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(burst: u32, every: Duration) -> Self {
        Self {
            burst: burst.max(1),
            every,
            full_at: None,
        }
    }

    /// When the next may be taken; `None` for now.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let ahead = self.every.saturating_mul(self.burst - 1);
        let at = self.full_at?.checked_sub(ahead)?;
        (at > now).then_some(at)
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if self.next(now).is_some() {
            return false;
        }
        let from = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(from + self.every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_by_one() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut bucket = Bucket::new(3, 2 * second);
        let taken = |bucket: &mut Bucket, now| {
            std::iter::repeat_with(|| bucket.take(now))
                .take_while(|it| *it)
                .count()
        };
        assert_eq!(taken(&mut bucket, start), 3);
        assert_eq!(bucket.next(start), Some(start + 2 * second));
        assert!(!bucket.take(start + second));
        assert_eq!(taken(&mut bucket, start + 2 * second), 1);
        assert_eq!(
            taken(&mut bucket, start + 60 * second),
            3,
            "no more than a burst"
        );
    }

    #[test]
    fn without_a_wait_there_is_always_one() {
        let start = Instant::now();
        let mut bucket = Bucket::new(u32::MAX, Duration::ZERO);
        assert!((0..10_000).all(|_| bucket.take(start)));
        assert!(Bucket::new(0, Duration::from_secs(1)).take(start));
    }
}
