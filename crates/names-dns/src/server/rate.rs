//! Response rate limiting: who sends questions in another's name makes a server
//! a weapon, so what one network is told again and again over UDP gets rarer.
//!
//! As BIND and NSD do it: a bucket for each network and kind of answer. When it
//! is empty, most answers are dropped and every second one is sent truncated
//! (the *slip*), so that a resolver that really asks comes again over TCP. Who
//! brings a good cookie is not limited, nor is TCP.
//!
//! Buckets live in a table of fixed size: who makes more of them evicts others,
//! and takes no memory.

use std::{net::IpAddr, time::Instant};

/// How often one network is told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Answers a second to one network of the same kind: about the same name,
    /// or that names of one zone do not exist. Default 200, which is NSD's: more
    /// than a resolver needs for one name, even a big one.
    pub responses: u32,
    /// Seconds whose answers may come at once. Default 2: a resolver that
    /// starts asks much.
    pub burst: u32,
    /// Every so many answers beyond are sent truncated rather than dropped; 1
    /// truncates all, 0 drops all. Default 2.
    pub slip: u32,
    /// Buckets. Default 65,536, which takes 1 MiB for each socket.
    pub buckets: usize,
    /// Whether askers on this host are exempt, whose addresses nobody else can
    /// forge. Default true.
    pub loopback_exempt: bool,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            responses: 200,
            burst: 2,
            slip: 2,
            buckets: 65_536,
            loopback_exempt: true,
        }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Send,
    /// Truncated, with no records.
    Slip,
    Drop,
}

/// Kinds of answers, which are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Positive = 1,
    NoData,
    NoName,
    Referral,
    Error,
}

impl Kind {
    /// The one with this number.
    #[inline]
    pub(super) fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Positive,
            2 => Self::NoData,
            3 => Self::NoName,
            4 => Self::Referral,
            _ => Self::Error,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    key: u32,
    /// Thousandths of an answer that it holds.
    tokens: u32,
    /// When it was last filled, in milliseconds since the start.
    filled: u32,
    /// Answers since it became empty.
    over: u32,
}

/// The buckets of one socket.
pub(super) struct Rate {
    limit: RateLimit,
    buckets: Box<[Bucket]>,
    start: Instant,
    seed: u64,
}

impl Rate {
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        Self {
            limit,
            buckets: vec![Bucket::default(); limit.buckets.max(1)].into(),
            start: now,
            seed: ropewalk_core::random(),
        }
    }

    /// Whether an answer of this kind, about the name of this hash, may go.
    #[inline]
    pub(super) fn ask(&mut self, to: IpAddr, kind: Kind, name: u64, now: Instant) -> Verdict {
        let network = match to {
            _ if self.limit.loopback_exempt && to.is_loopback() => return Verdict::Send,
            // /24 and /56, as BIND and NSD have them: an attacker aims at
            // links, and a host of IPv6 has a whole network.
            IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
            IpAddr::V6(ip) => (ip.to_bits() >> 72) as u64 | 1 << 63,
        };
        let hash = mix(mix(self.seed ^ network) ^ name ^ kind as u64);
        let index = usize::try_from(hash >> 32).unwrap_or(0) % self.buckets.len();
        let bucket = &mut self.buckets[index];
        // Never that of an empty bucket.
        let key = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0) | 1;
        let since = now.saturating_duration_since(self.start);
        // It wraps after 49 days, and one bucket is full or empty too early.
        let now = u32::try_from(since.as_millis() & u128::from(u32::MAX)).unwrap_or(0);
        let most = self.limit.responses.saturating_mul(1000);
        let most = most.saturating_mul(self.limit.burst.max(1));
        if bucket.key != key {
            *bucket = Bucket {
                key,
                tokens: most,
                filled: now,
                over: 0,
            };
        } else {
            // A thousandth of an answer for each answer a second and millisecond.
            let elapsed = now.wrapping_sub(bucket.filled);
            let more = elapsed.saturating_mul(self.limit.responses);
            bucket.tokens = bucket.tokens.saturating_add(more).min(most);
            bucket.filled = now;
        }
        if let Some(left) = bucket.tokens.checked_sub(1000) {
            bucket.tokens = left;
            bucket.over = 0;
            return Verdict::Send;
        }
        bucket.over = bucket.over.wrapping_add(1);
        match self.limit.slip {
            0 => Verdict::Drop,
            slip if bucket.over.is_multiple_of(slip) => Verdict::Slip,
            _ => Verdict::Drop,
        }
    }
}

/// The finaliser of SplitMix64: every bit of the input moves half of the output.
fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn counts(rate: &mut Rate, from: &str, kind: Kind, name: u64, at: Instant) -> [usize; 3] {
        let mut counts = [0; 3];
        for _ in 0..1000 {
            let verdict = rate.ask(from.parse().unwrap(), kind, name, at);
            counts[verdict as usize] += 1;
        }
        counts
    }

    #[test]
    fn a_network_has_its_share_a_second() {
        let now = Instant::now();
        let limit = RateLimit {
            responses: 100,
            ..RateLimit::default()
        };
        let mut rate = Rate::new(limit, now);
        let positive = Kind::Positive;
        let first = counts(&mut rate, "192.0.2.1", positive, 1, now);
        assert_eq!(first, [200, 400, 400]);
        // The neighbour shares it; another network, name or kind does not.
        let next = counts(&mut rate, "192.0.2.200", positive, 1, now);
        assert_eq!(next, [0, 500, 500]);
        for (from, kind, name) in [
            ("192.0.3.1", positive, 1),
            ("192.0.2.1", positive, 2),
            ("192.0.2.1", Kind::NoName, 1),
            ("2001:db8::1", positive, 1),
        ] {
            assert_eq!(counts(&mut rate, from, kind, name, now)[0], 200);
        }
        let v6 = counts(&mut rate, "2001:db8:0:ff::1", positive, 1, now);
        assert_eq!(v6[0], 0, "the same /56");
        let later = now + Duration::from_millis(1500);
        assert_eq!(counts(&mut rate, "192.0.2.1", positive, 1, later)[0], 150);
    }

    #[test]
    fn this_host_is_exempt_unless_it_is_not() {
        let now = Instant::now();
        let mut rate = Rate::new(RateLimit::default(), now);
        let kind = Kind::Error;
        assert_eq!(counts(&mut rate, "127.0.0.1", kind, 0, now), [1000, 0, 0]);
        let limit = RateLimit {
            loopback_exempt: false,
            slip: 0,
            ..RateLimit::default()
        };
        let mut rate = Rate::new(limit, now);
        assert_eq!(counts(&mut rate, "::1", kind, 0, now), [400, 0, 600]);
    }
}
