//! The time of a turn, and how it is written.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::proto::timestamp::date;

/// The time by both clocks, as whoever began the turn read them.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    /// For measuring.
    pub(crate) now: Instant,
    /// Since 1970, for showing.
    wall: Duration,
    /// `wall` as `server-time` has it.
    stamp: Stamp,
}

impl Clock {
    pub(crate) fn new(now: Instant, wall: SystemTime) -> Self {
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            now,
            wall,
            stamp: Stamp::of(wall),
        }
    }

    pub(crate) fn set(&mut self, now: Instant, wall: SystemTime) {
        self.now = now;
        let wall = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        if wall.as_millis() != self.wall.as_millis() {
            self.stamp = Stamp::of(wall);
        }
        self.wall = wall;
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.wall.as_secs()
    }

    #[allow(dead_code, reason = "for records that are ordered by time")]
    pub(crate) fn since_epoch(&self) -> Duration {
        self.wall
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// `2026-11-22T20:00:00.000Z` (ISO 8601, as `server-time` wants it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp([u8; 24]);

impl Stamp {
    pub(crate) fn of(since_epoch: Duration) -> Self {
        let (year, month, day) = date(since_epoch.as_secs() / 86_400);
        let seconds = since_epoch.as_secs() % 86_400;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut put = |at: usize, digits: usize, mut number: u64| {
            for place in (at..at + digits).rev() {
                text[place] = b'0' + u8::try_from(number % 10).unwrap_or_default();
                number /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, seconds / 3600);
        put(14, 2, seconds / 60 % 60);
        put(17, 2, seconds % 60);
        put(20, 3, u64::from(since_epoch.subsec_millis()));
        Self(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self::of(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        let stamp = |seconds: u64, millis| {
            let stamp = Stamp::of(Duration::from_millis(seconds * 1000 + millis));
            stamp.as_str().to_owned()
        };
        assert_eq!(stamp(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(stamp(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(stamp(1_795_392_000, 999), "2026-11-23T00:00:00.999Z");
        assert_eq!(stamp(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }
}
