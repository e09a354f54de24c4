//! Failures make whoever fails wait.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::Refused;

/// How long failures make others of the same account or peer wait.
///
/// The first failures are free; each further one doubles the wait, from
/// `first` to the cap. Time is tokio's, which tests may pause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackoffOptions {
    /// Failures that cost nothing, for slips of the finger. Default 3 for an
    /// account, and as many for a peer times four, since many may share it.
    pub free: u32,
    /// The wait after the first failure that is not free. Default 250 ms.
    pub first: Duration,
    /// The longest wait for an account. Default 4 s. Short, since its owner
    /// waits too: others must not be able to lock somebody out. Attempts for an
    /// account wait side by side.
    pub account_cap: Duration,
    /// The longest wait for a peer. Default 30 s. Attempts of a peer wait one
    /// after the other, and those whose turn would be later than this are
    /// refused with [`Refused::TooMany`] at once: so a peer guesses twice a
    /// minute, however many connections it opens.
    pub peer_cap: Duration,
    /// After this time without a failure all is forgotten. Default 15 minutes.
    pub forget: Duration,
    /// Accounts and peers remembered, of each. At the limit those go that were
    /// not seen for longest. Default 65,536, some 15 MB in all when full, however
    /// long the names are.
    pub remembered: usize,
    /// Whether loopback peers are exempt, since a proxy on the same host speaks
    /// for everybody. Default true.
    pub loopback_exempt: bool,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self {
            free: 3,
            first: Duration::from_millis(250),
            account_cap: Duration::from_secs(4),
            peer_cap: Duration::from_secs(30),
            forget: Duration::from_secs(15 * 60),
            remembered: 65_536,
            loopback_exempt: true,
        }
    }
}

/// Failures by account and by peer.
#[derive(Debug)]
pub struct Backoff {
    options: BackoffOptions,
    names: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    accounts: Table<Name>,
    peers: Table<Network>,
}

impl Backoff {
    /// With these options.
    pub fn new(options: BackoffOptions) -> Self {
        let tables = Tables {
            accounts: Table::new(options.remembered),
            peers: Table::new(options.remembered),
        };
        Self {
            options,
            names: RandomState::new(),
            tables: Mutex::new(tables),
        }
    }

    /// How long an attempt has to wait before it is judged. For a peer the
    /// turn is taken by asking.
    pub fn wait(&self, account: Option<&str>, peer: Option<IpAddr>) -> Result<Duration, Refused> {
        let (now, options) = (Instant::now(), &self.options);
        let mut tables = self.tables();
        let mut wait = Duration::ZERO;
        if let Some(entry) =
            account.and_then(|it| tables.accounts.seen(&self.name(it), now, options.forget))
        {
            wait = options.delay(entry.failures, options.free, options.account_cap);
        }
        if let Some(entry) = self
            .network(peer)
            .and_then(|it| tables.peers.seen(&it, now, options.forget))
        {
            let delay = options.delay(entry.failures, options.peer_free(), options.peer_cap);
            let turn = entry.next.max(now) + delay;
            let queued = turn - now;
            if !delay.is_zero() && queued > options.peer_cap {
                return Err(Refused::TooMany {
                    retry_after: queued,
                });
            }
            entry.next = turn;
            wait = wait.max(queued);
        }
        Ok(wait)
    }

    /// An attempt failed.
    pub fn failed(&self, account: Option<&str>, peer: Option<IpAddr>) {
        let now = Instant::now();
        let mut tables = self.tables();
        if let Some(account) = account {
            tables
                .accounts
                .count(self.name(account), now, self.options.forget);
        }
        if let Some(network) = self.network(peer) {
            tables.peers.count(network, now, self.options.forget);
        }
    }

    /// An attempt succeeded: the account's failures are forgotten. The peer's
    /// are not, or one account of one's own would wash away all guesses.
    pub fn succeeded(&self, account: &str) {
        let name = self.name(account);
        self.tables().accounts.remove(&name);
    }

    /// How many accounts and peers are remembered.
    pub fn remembered(&self) -> (usize, usize) {
        let tables = self.tables();
        (tables.accounts.len(), tables.peers.len())
    }

    /// In one case, or `Alice` and `aLICE` would be guesses of their own where a
    /// checker takes them for one.
    fn name(&self, account: &str) -> Name {
        Name(self.names.hash_one(account.to_lowercase()))
    }

    fn network(&self, peer: Option<IpAddr>) -> Option<Network> {
        let peer = peer?.to_canonical();
        (!(self.options.loopback_exempt && peer.is_loopback())).then(|| Network::of(peer))
    }

    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        // Counters are whole after any panic.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(BackoffOptions::default())
    }
}

impl BackoffOptions {
    fn peer_free(&self) -> u32 {
        self.free.saturating_mul(4)
    }

    fn delay(&self, failures: u32, free: u32, cap: Duration) -> Duration {
        match failures.saturating_sub(free) {
            0 => Duration::ZERO,
            n => self.first.saturating_mul(1 << (n - 1).min(20)).min(cap),
        }
    }
}

/// A name by its keyed hash: a fixed size, and no copy of what somebody may have
/// typed into the wrong field. Two names in 2^64 sharing an entry wait together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name(u64);

/// An IPv4 address, or an IPv6 /64: a house has one, with 2^64 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Network(IpAddr);

impl Network {
    fn of(peer: IpAddr) -> Self {
        Self(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(peer) => {
                let [a, b, c, d, ..] = peer.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    failures: u32,
    last: Instant,
    /// When the next attempt of a peer may be judged.
    next: Instant,
}

/// A bounded map in two generations. When the young one is half the limit it
/// becomes the old one, and the old one goes: constant time, and what was seen
/// lately stays.
#[derive(Debug)]
struct Table<K> {
    half: usize,
    young: HashMap<K, Entry>,
    old: HashMap<K, Entry>,
}

impl<K: Hash + Eq> Table<K> {
    fn new(limit: usize) -> Self {
        Self {
            half: (limit / 2).max(1),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    fn seen(&mut self, key: &K, now: Instant, forget: Duration) -> Option<&mut Entry> {
        let entry = if self.young.contains_key(key) {
            self.young.get_mut(key)
        } else {
            self.old.get_mut(key)
        };
        entry.filter(|it| now.duration_since(it.last) < forget)
    }

    fn count(&mut self, key: K, now: Instant, forget: Duration) {
        let known = self.seen(&key, now, forget).copied();
        let mut entry = known.unwrap_or(Entry {
            failures: 0,
            last: now,
            next: now,
        });
        entry.failures = entry.failures.saturating_add(1);
        entry.last = now;
        self.old.remove(&key);
        self.young.insert(key, entry);
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }
}
