//! Numbers from a seed.

use std::{ops::RangeInclusive, time::Duration};

/// A generator whose numbers follow from its seed alone: SplitMix64 (Steele,
/// Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
///
/// Small, fast and well mixed from the first number on, so that the seeds 0,
/// 1, 2 … are as good as any. For tests; nothing about it is secret.
///
/// ```
/// use ropewalk_core::testing::sim::Random;
///
/// let mut dice = Random::from_seed(7);
/// let thrown: Vec<u64> = (0..3).map(|_| 1 + dice.below(6)).collect();
/// let mut again = Random::from_seed(7);
/// assert!(thrown.iter().all(|n| *n == 1 + again.below(6)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A generator of its own, whose numbers are independent of what is drawn
    /// from this one later.
    pub fn fork(&mut self) -> Self {
        Self(self.bits())
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The upper half of the product; what is uneven about it shows after
        // some 2^64 / end draws.
        let product = u128::from(self.bits()) * u128::from(end);
        u64::try_from(product >> 64).expect("the upper half of 128 bits")
    }

    /// A number of a range, both ends included; the start of an empty one.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        match end.saturating_sub(start).checked_add(1) {
            Some(count) => start + self.below(count),
            None => self.bits(),
        }
    }

    /// A time of a range, to the nanosecond, both ends included.
    pub fn duration(&mut self, range: RangeInclusive<Duration>) -> Duration {
        let (start, end) = range.into_inner();
        let spread = end.saturating_sub(start).as_nanos();
        let spread = u64::try_from(spread).unwrap_or(u64::MAX);
        start + Duration::from_nanos(self.within(0..=spread))
    }

    /// True with this probability. What cannot be or must be draws nothing.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 || probability >= 1.0 {
            return probability >= 1.0;
        }
        // The 53 bits that a float holds exactly.
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64) < probability
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// Puts these in another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.bits().to_le_bytes()[..chunk.len()]);
        }
    }

    /// An index below `end`.
    pub(super) fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a usize")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_paper() {
        // The first of seed 1234567, as other implementations have them.
        let mut random = Random::from_seed(1_234_567);
        let numbers: Vec<u64> = (0..3).map(|_| random.bits()).collect();
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(numbers, published);
    }

    #[test]
    fn ranges_are_reached_to_both_ends_and_not_left() {
        let mut random = Random::from_seed(1);
        let drawn: Vec<u64> = (0..1000).map(|_| random.within(3..=5)).collect();
        assert!((3..=5).all(|n| drawn.iter().filter(|d| **d == n).count() > 250));
        assert!(drawn.iter().all(|n| (3..=5).contains(n)));
        assert_eq!(random.below(0), 0);
        random.within(0..=u64::MAX);
        let second = Duration::from_secs(1);
        assert_eq!(random.duration(second..=second), second);
        assert!(random.duration(second..=second * 2) <= second * 2);
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut random = Random::from_seed(2);
        let hits = (0..10_000).filter(|_| random.chance(0.3)).count();
        assert!((2800..3200).contains(&hits), "{hits}");
        let before = random.clone();
        assert!(random.chance(1.0) && !random.chance(0.0));
        assert_eq!(random, before);
    }

    #[test]
    fn a_shuffle_keeps_all_and_a_fill_leaves_nothing() {
        let mut random = Random::from_seed(3);
        let mut items: Vec<u32> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
        let mut bytes = [0; 19];
        random.fill(&mut bytes);
        assert!(bytes[16..].iter().any(|b| *b != 0));
    }
}
