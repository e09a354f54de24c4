//! How long to wait before trying again.
//!
//! It is plain arithmetic: it looks at no clock and sleeps for nobody.

use std::time::Duration;

use crate::ambient::random;

/// How the waits between attempts grow.
///
/// The first failure makes one wait `initial`, each further one `factor` times
/// as long, up to `maximum`; a part of each wait is left to chance, so that a
/// thousand clients of a server that restarts do not come back in one instant.
///
/// ```
/// use std::time::Duration;
/// use ropewalk_core::BackOff;
///
/// let mut back_off = BackOff::default();
/// back_off.jitter = 0.0;
/// back_off.attempts = Some(3);
/// let mut retry = back_off.start();
/// let at_once = Duration::ZERO;
/// assert_eq!(retry.after(at_once), Some(Duration::from_secs(1)));
/// assert_eq!(retry.after(at_once), Some(Duration::from_secs(2)));
/// assert_eq!(retry.after(at_once), None, "three attempts were made");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackOff {
    /// The wait after the first failure. Default 1 s. Zero means that there is
    /// never a wait, and an attempt that fails at once spins.
    pub initial: Duration,
    /// How many times as long each further wait is; less than 1 counts as 1.
    /// Default 2.
    pub factor: f64,
    /// The longest wait. Default 60 s: when the other side is back, nobody
    /// should have to wait for an hour.
    pub maximum: Duration,
    /// The part of a wait that is left to chance, from 0 to 1: at 0.25, a wait
    /// of 8 s is any time between 6 s and 8 s. It only ever shortens, so that
    /// `maximum` holds. Default 0.25.
    pub jitter: f64,
    /// Attempts in a row that may fail; then there is no other. Default none:
    /// it goes on for ever.
    pub attempts: Option<u32>,
    /// An attempt that held for this long was a success, and the next failure
    /// counts as the first. Default 60 s: what fails again and again after ten
    /// seconds should back off too.
    pub reset_after: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2.0,
            maximum: Duration::from_secs(60),
            jitter: 0.25,
            attempts: None,
            reset_after: Duration::from_secs(60),
        }
    }
}

impl BackOff {
    /// Counts from the first attempt on.
    pub fn start(&self) -> Retry {
        Retry {
            back_off: self.clone(),
            failures: 0,
        }
    }

    /// The wait after so many failures in a row, if chance has drawn `draw`
    /// from `0.0..1.0`.
    fn wait(&self, failures: u32, draw: f64) -> Duration {
        if self.initial.is_zero() {
            return Duration::ZERO;
        }
        // `max` and `min` take the number where the other one is none.
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let wait = grown.min(self.maximum.as_secs_f64());
        let jitter = if self.jitter.is_nan() {
            0.0
        } else {
            self.jitter.clamp(0.0, 1.0)
        };
        // What does not fit a `Duration` is above any maximum.
        Duration::try_from_secs_f64(wait * (1.0 - jitter * draw))
            .map_or(self.maximum, |wait| wait.min(self.maximum))
    }
}

/// The attempts so far of somebody who backs off; see [`BackOff::start`].
#[derive(Clone, Debug)]
pub struct Retry {
    back_off: BackOff,
    failures: u32,
}

impl Retry {
    /// How long to wait after an attempt that held for `lasted` (zero, if it
    /// came to nothing); `None` if it was the last.
    pub fn after(&mut self, lasted: Duration) -> Option<Duration> {
        if lasted >= self.back_off.reset_after {
            self.reset();
        }
        self.failures = self.failures.saturating_add(1);
        if self
            .back_off
            .attempts
            .is_some_and(|most| self.failures >= most)
        {
            return None;
        }
        Some(self.back_off.wait(self.failures, draw()))
    }

    /// How many attempts failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Forgets all failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// An even draw from `0.0..1.0`; from the seed, in a simulation.
fn draw() -> f64 {
    // As many bits as an f64 tells apart.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let draw = (random() >> 11) as f64;
    draw / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn waits_grow_up_to_the_maximum_for_ever() {
        let back_off = BackOff {
            jitter: 0.0,
            ..BackOff::default()
        };
        let mut retry = back_off.start();
        let waits: Vec<_> = (0..8).map(|_| retry.after(Duration::ZERO)).collect();
        let expected = [1, 2, 4, 8, 16, 32, 60, 60].map(|n| Some(secs(n)));
        assert_eq!(waits, expected);
        retry.failures = u32::MAX;
        assert_eq!(retry.after(Duration::ZERO), Some(secs(60)));
    }

    #[test]
    fn chance_shortens_a_wait_by_its_part_at_most() {
        let back_off = BackOff::default();
        assert_eq!(back_off.wait(4, 0.0), secs(8));
        assert_eq!(back_off.wait(4, 0.5), secs(7));
        let mut retry = back_off.start();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            retry.reset();
            let wait = retry.after(Duration::ZERO).expect("there is no last one");
            assert!(
                wait > Duration::from_millis(749) && wait <= secs(1),
                "{wait:?}"
            );
            seen.insert(wait);
        }
        assert!(seen.len() > 90, "{} waits differ", seen.len());
    }

    #[test]
    fn who_held_long_enough_begins_anew() {
        let back_off = BackOff {
            jitter: 0.0,
            attempts: Some(3),
            ..BackOff::default()
        };
        let mut retry = back_off.start();
        assert_eq!(retry.after(secs(59)), Some(secs(1)));
        assert_eq!(retry.after(secs(59)), Some(secs(2)));
        assert_eq!(retry.after(secs(60)), Some(secs(1)));
        assert_eq!(retry.after(secs(0)), Some(secs(2)));
        assert_eq!((retry.after(secs(0)), retry.failures()), (None, 3));
    }

    #[test]
    fn numbers_that_make_no_sense_do_no_harm() {
        for number in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e300] {
            for initial in [Duration::ZERO, secs(1), Duration::MAX] {
                let back_off = BackOff {
                    initial,
                    factor: number,
                    jitter: number,
                    maximum: Duration::MAX,
                    ..BackOff::default()
                };
                for failures in [0, 1, 2, 1000, u32::MAX] {
                    let wait = back_off.wait(failures, 0.999);
                    assert_eq!(wait.is_zero(), initial.is_zero(), "{number} {initial:?}");
                }
            }
        }
    }
}
