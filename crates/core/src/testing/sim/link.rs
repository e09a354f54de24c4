//! What the way from one host to another is like.

use std::{ops::RangeInclusive, time::Duration};

use super::Random;

/// After this long a lost segment of a stream is sent again, as by TCP.
pub(super) const RETRANSMIT: Duration = Duration::from_millis(200);

/// The most losses of one segment in a row: a link that loses all is cut off
/// by a partition, which ends.
const LOSSES: u32 = 8;

/// What the way from one host to another is like, in one direction.
///
/// The default delivers everything after 1 to 10 ms, in segments of 1 byte to
/// 64 KiB, and breaks nothing. [`Network::links`](super::Network::links) and
/// its kin change one:
///
/// ```
/// # use std::time::Duration;
/// # ropewalk_core::testing::sim::Simulation::from_seed(1).run(async |net| {
/// # let (_a, _b) = (net.host("client"), net.host("mail"));
/// net.link("client", "mail", |link| {
///     link.bandwidth = Some(10_000);
///     link.loss = 0.01;
/// });
/// # });
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Link {
    /// How long a segment is on its way; drawn for each one. Default 1 to
    /// 10 ms. The clock of a simulation moves in whole milliseconds: what
    /// arrives between two is noticed at the later one, and no error adds up.
    pub latency: RangeInclusive<Duration>,
    /// Bytes a second, which all connections of this direction share, in the
    /// order in which they were written. Default no limit.
    pub bandwidth: Option<u64>,
    /// Sizes of a stream's segments. A read never goes over a segment's edge,
    /// so that what a protocol makes of edges shows. Small and large ones are
    /// equally likely. Default 1 byte to 64 KiB.
    pub segments: RangeInclusive<usize>,
    /// Bytes of one connection that may be on their way or unread; writing
    /// waits for room. Default 64 KiB.
    pub window: usize,
    /// The probability that a segment or datagram is lost. A stream's comes
    /// 200 ms later, as TCP sends it again. Default 0.
    pub loss: f64,
    /// The probability that a segment is answered by a reset from somewhere on
    /// the way: both sides lose the connection. Default 0.
    pub reset: f64,
    /// The probability that a connection is refused. Default 0.
    pub refuse: f64,
    /// The probability that a datagram arrives twice. That they overtake each
    /// other comes with latencies that differ. Default 0.
    pub duplicate: f64,
    /// The bytes of the largest datagram; a larger one is lost without a word,
    /// as where fragments are dropped. Default 65,507, the most that UDP over
    /// IPv4 has.
    pub mtu: usize,
    /// How long bytes may wait for a way that is cut; then the side that wrote
    /// them has its connection time out, and the other hears nothing. Default
    /// a minute; TCP's own are from nine minutes to half an hour.
    pub give_up: Duration,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1)..=Duration::from_millis(10),
            bandwidth: None,
            segments: 1..=64 * 1024,
            window: 64 * 1024,
            loss: 0.0,
            reset: 0.0,
            refuse: 0.0,
            duplicate: 0.0,
            mtu: 65_507,
            give_up: Duration::from_secs(60),
        }
    }
}

/// One direction between two hosts.
pub(super) struct Way {
    pub(super) link: Link,
    /// When the last byte that was accepted will have left, in ns.
    free_at: u64,
    /// Cut by the test.
    pub(super) cut: bool,
    /// Cut by so many faults.
    pub(super) faults: u32,
    /// Added to the latency by faults.
    pub(super) lag: Duration,
}

/// When something leaves and when it is there, in ns.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    pub(super) leaves: u64,
    pub(super) arrives: u64,
}

impl Way {
    pub(super) fn new(link: Link) -> Self {
        Self {
            link,
            free_at: 0,
            cut: false,
            faults: 0,
            lag: Duration::ZERO,
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut || self.faults > 0
    }

    /// Sends so many bytes behind all that were sent before.
    pub(super) fn pass(&mut self, now: u64, bytes: usize, random: &mut Random) -> Passage {
        let leaves = self.send(now, bytes);
        let mut latency = self.latency(random);
        let mut losses = 0;
        while losses < LOSSES && random.chance(self.link.loss) {
            losses += 1;
            latency += RETRANSMIT;
        }
        Passage {
            leaves,
            arrives: self.free_at.saturating_add(ns(latency)),
        }
    }

    /// Sends a datagram that is not lost; says when it arrives.
    pub(super) fn pass_datagram(&mut self, now: u64, bytes: usize, random: &mut Random) -> u64 {
        self.send(now, bytes);
        self.free_at.saturating_add(ns(self.latency(random)))
    }

    fn latency(&self, random: &mut Random) -> Duration {
        random.duration(self.link.latency.clone()) + self.lag
    }

    /// Takes the time of so many bytes on the wire; says when that begins.
    fn send(&mut self, now: u64, bytes: usize) -> u64 {
        let leaves = self.free_at.max(now);
        let sending = match self.link.bandwidth {
            Some(rate) => {
                let ns = bytes as u128 * 1_000_000_000 / u128::from(rate.max(1));
                u64::try_from(ns).unwrap_or(u64::MAX)
            }
            None => 0,
        };
        self.free_at = leaves.saturating_add(sending);
        leaves
    }

    /// The size of the next segment of a stream with so many bytes to send.
    pub(super) fn segment(&self, bytes: usize, random: &mut Random) -> usize {
        let (least, most) = (*self.link.segments.start(), *self.link.segments.end());
        let (least, most) = (least.max(1), most.max(least).max(1));
        // By its magnitude first, so that a byte alone is as likely as half a
        // window.
        let magnitude = random.within(least.ilog2().into()..=most.ilog2().into());
        let low = 1_usize << magnitude;
        let size = low + random.index(low);
        size.clamp(least, most).min(bytes)
    }
}

pub(super) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn way(change: impl FnOnce(&mut Link)) -> Way {
        let mut link = Link {
            latency: Duration::from_millis(5)..=Duration::from_millis(5),
            ..Link::default()
        };
        change(&mut link);
        Way::new(link)
    }

    #[test]
    fn bandwidth_is_shared_in_order_and_exact() {
        let mut random = Random::from_seed(0);
        let mut way = way(|link| link.bandwidth = Some(1000));
        let first = way.pass(0, 10, &mut random);
        let second = way.pass(2 * MS, 20, &mut random);
        let later = way.pass(100 * MS, 1, &mut random);
        let times = [first, second, later].map(|p| (p.leaves / MS, p.arrives / MS));
        assert_eq!(times, [(0, 15), (10, 35), (100, 106)]);
    }

    #[test]
    fn a_lost_segment_comes_later() {
        let mut random = Random::from_seed(0);
        let mut way = way(|link| link.loss = 0.5);
        let late = (0..1000)
            .map(|_| way.pass(0, 1, &mut random).arrives / MS)
            .filter(|ms| {
                assert_eq!((ms - 5) % 200, 0);
                *ms > 5
            });
        assert!((400..600).contains(&late.count()));
        let mut all = Way::new(Link::default());
        all.link.loss = 1.0;
        assert!(all.pass(0, 1, &mut random).arrives <= 1610 * MS);
    }

    #[test]
    fn segments_have_every_magnitude() {
        let mut random = Random::from_seed(0);
        let way = way(|_| ());
        let sizes: Vec<usize> = (0..1000)
            .map(|_| way.segment(1 << 20, &mut random))
            .collect();
        assert!(sizes.iter().all(|s| (1..=65_536).contains(s)));
        assert!(sizes.contains(&1));
        assert!(sizes.iter().any(|s| *s > 32_768));
        assert_eq!(way.segment(1, &mut random), 1);
    }

    #[test]
    fn segments_of_one_size() {
        let mut random = Random::from_seed(0);
        let way = way(|link| link.segments = 1460..=1460);
        assert_eq!(way.segment(10_000, &mut random), 1460);
        assert_eq!(way.segment(1000, &mut random), 1000);
    }
}
