//! What is known of each server: how fast it is, whether it answers, and what it does not
//! understand.

use std::time::{Duration, Instant};

use super::ExchangeOptions;

/// The servers that may be asked, and what their answers taught.
///
/// One value is shared by all exchanges with them.
#[derive(Clone, Debug)]
pub struct Servers {
    list: Vec<Server>,
    turn: usize,
}

/// By which ways a server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ways {
    /// Datagrams: asked first.
    pub datagram: bool,
    /// A stream of bytes: where there are no datagrams, or an answer did not fit into one.
    pub stream: bool,
    /// The stream is encrypted, and the other end proved who it is.
    pub secure: bool,
}

impl Ways {
    /// UDP, and TCP where that does not do.
    pub const PLAIN: Self = Self {
        datagram: true,
        stream: true,
        secure: false,
    };

    /// A plain stream alone.
    pub const STREAM: Self = Self {
        datagram: false,
        stream: true,
        secure: false,
    };

    /// Over TLS.
    pub const SECURE: Self = Self {
        datagram: false,
        stream: true,
        secure: true,
    };
}

/// In which order servers are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Selection {
    /// Those that answer fastest first, by measured round trips; the others are measured again now
    /// and then.
    #[default]
    Fastest,
    /// As they stand, as resolv.conf wants it. One that has not answered for a while comes last.
    InOrder,
    /// In turn (resolv.conf's `rotate`).
    Rotate,
}

#[derive(Clone, Debug)]
struct Server {
    ways: Ways,
    /// The smoothed round trip, and how much it varies (RFC 6298).
    round_trip: Option<(Duration, Duration)>,
    /// Questions without an answer since the last one.
    unanswered: u32,
    down_until: Option<Instant>,
    /// Does not understand EDNS, until then.
    plain_until: Option<Instant>,
    /// Does not keep the case of letters, until then.
    folds_case_until: Option<Instant>,
    cookie: Cookie,
    is_excluded: bool,
}

#[derive(Clone, Debug, Default)]
struct Cookie {
    /// Ours and then the server's; empty before the first question.
    bytes: Vec<u8>,
    since: Option<Instant>,
    /// The server has sent one of its own, so that an answer without is suspicious.
    is_kept: bool,
}

impl Servers {
    /// Servers of whom nothing is known yet.
    pub fn new(ways: impl IntoIterator<Item = Ways>) -> Self {
        let server = |ways| Server {
            ways,
            round_trip: None,
            unanswered: 0,
            down_until: None,
            plain_until: None,
            folds_case_until: None,
            cookie: Cookie::default(),
            is_excluded: false,
        };
        Self {
            list: ways.into_iter().map(server).collect(),
            turn: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The smoothed round trip to a server, if it has answered.
    pub fn round_trip(&self, server: usize) -> Option<Duration> {
        Some(self.list.get(server)?.round_trip?.0)
    }

    /// Asks a server no more, since it leads back to us.
    pub fn exclude(&mut self, server: usize) {
        if let Some(server) = self.list.get_mut(server) {
            server.is_excluded = true;
        }
    }

    /// Whether a server has been silent for so long that the others are asked first.
    pub fn is_down(&self, server: usize, now: Instant) -> bool {
        let down = self.list.get(server).and_then(|s| s.down_until);
        down.is_some_and(|until| until > now)
    }

    pub(crate) fn ways(&self, server: usize) -> Ways {
        self.list[server].ways
    }

    /// The order in which to ask.
    pub(super) fn order(
        &mut self,
        selection: Selection,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> Vec<usize> {
        let asked = self.list.iter().enumerate().filter(|(_, s)| !s.is_excluded);
        let mut order: Vec<usize> = asked.map(|(index, _)| index).collect();
        if order.len() < 2 {
            return order;
        }
        match selection {
            Selection::InOrder => {}
            Selection::Rotate => {
                let turn = self.turn % order.len();
                order.rotate_left(turn);
                self.turn = self.turn.wrapping_add(1);
            }
            Selection::Fastest => {
                // Who was never asked is asked soon: it counts as fast.
                let estimates: Vec<Duration> = self
                    .list
                    .iter()
                    .map(|s| match s.round_trip {
                        Some((smoothed, _)) => smoothed,
                        None => Duration::from_millis(random() % 8),
                    })
                    .collect();
                order.sort_by_key(|s| estimates[*s]);
                for slower in &order[1..] {
                    // What is not asked ages, so that its turn comes to be measured again.
                    if let Some((smoothed, _)) = &mut self.list[*slower].round_trip {
                        *smoothed = *smoothed * 49 / 50;
                    }
                }
            }
        }
        order.sort_by_key(|s| self.is_down(*s, now));
        order
    }

    /// How long to wait for this server before another one is asked too.
    pub(super) fn wait(&self, server: usize, options: &ExchangeOptions) -> Duration {
        let server = &self.list[server];
        let wait = match server.round_trip {
            Some((smoothed, variance)) => smoothed + 4 * variance,
            // A handshake or two come first.
            None if !server.ways.datagram => 2 * FIRST_WAIT,
            None => FIRST_WAIT,
        };
        wait.clamp(SHORTEST_WAIT, options.timeout.max(SHORTEST_WAIT))
    }

    pub(super) fn answered(&mut self, server: usize, took: Duration) {
        let server = &mut self.list[server];
        server.unanswered = 0;
        server.down_until = None;
        server.round_trip = Some(match server.round_trip {
            None => (took, took / 2),
            Some((smoothed, variance)) => {
                let off = smoothed.abs_diff(took);
                ((smoothed * 7 + took) / 8, (variance * 3 + off) / 4)
            }
        });
    }

    /// Nothing came in time, or it cannot be reached.
    pub(super) fn silent(&mut self, server: usize, now: Instant) {
        let server = &mut self.list[server];
        server.unanswered = server.unanswered.saturating_add(1);
        if let Some((smoothed, _)) = &mut server.round_trip {
            *smoothed = (*smoothed * 2).min(SLOWEST);
        }
        if server.unanswered >= DOWN_AFTER {
            let times = (server.unanswered - DOWN_AFTER).min(4);
            server.down_until = Some(now + DOWN_FOR * 2_u32.pow(times));
        }
    }

    pub(super) fn speaks_edns(&self, server: usize, now: Instant) -> bool {
        self.list[server].plain_until.is_none_or(|u| u <= now)
    }

    pub(super) fn learn_plain(&mut self, server: usize, now: Instant) {
        self.list[server].plain_until = Some(now + REMEMBERED);
    }

    pub(super) fn keeps_case(&self, server: usize, now: Instant) -> bool {
        self.list[server].folds_case_until.is_none_or(|u| u <= now)
    }

    pub(super) fn learn_folds_case(&mut self, server: usize, now: Instant) {
        self.list[server].folds_case_until = Some(now + REMEMBERED);
    }

    /// The cookies to send: ours alone, or with the server's.
    pub(super) fn cookie(
        &mut self,
        server: usize,
        now: Instant,
        random: &mut dyn FnMut() -> u64,
    ) -> &[u8] {
        let cookie = &mut self.list[server].cookie;
        if cookie.since.is_none_or(|since| now - since > COOKIE_LIFE) {
            cookie.bytes = random().to_be_bytes().to_vec();
            cookie.since = Some(now);
        }
        &cookie.bytes
    }

    /// What the cookies of an answer over an open way say (RFC 7873, section 5.3): whether it may be
    /// believed. `sent` is what the question had.
    pub(super) fn check_cookie(
        &mut self,
        server: usize,
        sent: &[u8],
        received: Option<&[u8]>,
    ) -> bool {
        let cookie = &mut self.list[server].cookie;
        match received {
            None => !cookie.is_kept,
            Some(received) => {
                let Some((ours, theirs)) = received.split_at_checked(8) else {
                    return false;
                };
                if !sent.starts_with(ours) {
                    return false;
                }
                // Another question may have begun a new life meanwhile.
                if (8..=32).contains(&theirs.len()) && cookie.bytes.starts_with(ours) {
                    cookie.bytes.truncate(8);
                    cookie.bytes.extend(theirs);
                    cookie.is_kept = true;
                }
                true
            }
        }
    }

    /// What was learned of cookies was wrong: an answer over TCP came without one.
    pub(super) fn forget_cookie(&mut self, server: usize) {
        self.list[server].cookie = Cookie::default();
    }
}

/// The wait for a server of whom nothing is known: twice the way round the world and a slow server.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// However fast a server was: it may have to ask others.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);

/// The largest round trip that is remembered.
const SLOWEST: Duration = Duration::from_secs(10);

/// So many questions without an answer, and the others come first for a while.
const DOWN_AFTER: u32 = 3;

/// For so long at first; four times twice as long if it stays silent.
const DOWN_FOR: Duration = Duration::from_secs(5);

/// How long a server's limits are remembered, before it is asked for better again.
const REMEMBERED: Duration = Duration::from_secs(15 * 60);

/// How long a client cookie lives: it ties questions together, for whoever watches.
const COOKIE_LIFE: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn the_fastest_comes_first_and_the_others_have_their_turn() {
        let now = Instant::now();
        let mut servers = Servers::new([Ways::PLAIN; 3]);
        for (server, took) in [(0, 90), (1, 10), (2, 30)] {
            servers.answered(server, ms(took));
        }
        let mut zero = || 0;
        let order = servers.order(Selection::Fastest, now, &mut zero);
        assert_eq!(order, [1, 2, 0]);
        let first = (0..200).map(|_| servers.order(Selection::Fastest, now, &mut zero)[0]);
        assert!(first.into_iter().any(|first| first == 2));
    }

    #[test]
    fn who_is_silent_comes_last_for_a_while() {
        let now = Instant::now();
        let mut servers = Servers::new([Ways::PLAIN; 2]);
        for _ in 0..DOWN_AFTER {
            servers.silent(0, now);
        }
        let mut zero = || 0;
        assert_eq!(servers.order(Selection::InOrder, now, &mut zero), [1, 0]);
        let later = now + DOWN_FOR;
        assert_eq!(servers.order(Selection::InOrder, later, &mut zero), [0, 1]);
        servers.silent(0, later);
        assert!(servers.is_down(0, later + DOWN_FOR));
        servers.answered(0, ms(1));
        assert!(!servers.is_down(0, later));
    }

    #[test]
    fn rotation_begins_with_each() {
        let mut servers = Servers::new([Ways::PLAIN; 3]);
        let firsts: Vec<usize> = (0..4)
            .map(|_| servers.order(Selection::Rotate, Instant::now(), &mut || 0)[0])
            .collect();
        assert_eq!(firsts, [0, 1, 2, 0]);
    }

    #[test]
    fn a_cookie_is_ours_or_the_answer_is_not() {
        let now = Instant::now();
        let mut servers = Servers::new([Ways::PLAIN]);
        let sent = servers.cookie(0, now, &mut || 5).to_vec();
        assert_eq!(sent.len(), 8);
        // Nothing is known of the server yet.
        assert!(servers.check_cookie(0, &sent, None));
        assert!(!servers.check_cookie(0, &sent, Some(b"another!12345678")));
        assert!(!servers.check_cookie(0, &sent, Some(b"short")));
        let whole = [&sent[..], b"12345678"].concat();
        assert!(servers.check_cookie(0, &sent, Some(&whole)));
        assert_eq!(servers.cookie(0, now, &mut || 6), whole);
        assert!(!servers.check_cookie(0, &whole, None));
        let tomorrow = now + COOKIE_LIFE + ms(1);
        assert_ne!(servers.cookie(0, tomorrow, &mut || 6)[..8], sent);
    }
}
