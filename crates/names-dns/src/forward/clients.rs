//! What each client may have: so many questions out, and so many a second.
//!
//! An address that is shown to be the client's own and one that a datagram only says are two clients.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Instant,
};

/// Clients that are remembered at a time; those with nothing out are forgotten first.
const MOST: usize = 65_536;

pub(super) struct Clients {
    per_client: usize,
    rate: Option<u32>,
    clients: Mutex<HashMap<Who, Client>>,
}

/// A network, and whether the address was proven.
type Who = (IpAddr, bool);

struct Client {
    out: usize,
    /// Questions that it may ask now, in thousandths.
    credit: u64,
    at: Option<Instant>,
}

impl Clients {
    pub(super) fn new(per_client: usize, rate: Option<u32>) -> Self {
        Self {
            per_client,
            rate,
            clients: Mutex::default(),
        }
    }

    /// Whether a client may ask one more this second.
    pub(super) fn admits(&self, client: Option<IpAddr>, is_proven: bool, now: Instant) -> bool {
        let (Some(rate), Some(network)) = (self.rate, client.and_then(network)) else {
            return true;
        };
        let full = u64::from(rate) * 1000;
        let mut clients = self.lock();
        make_room(&mut clients);
        let client = clients.entry((network, is_proven)).or_insert(Client {
            out: 0,
            credit: full,
            at: None,
        });
        if let Some(at) = client.at {
            let passed = u64::try_from((now - at).as_millis()).unwrap_or(u64::MAX);
            let earned = passed.saturating_mul(u64::from(rate));
            client.credit = client.credit.saturating_add(earned).min(full);
        }
        client.at = Some(now);
        let admits = client.credit >= 1000;
        client.credit -= if admits { 1000 } else { 0 };
        admits
    }

    /// One question more is out; `None` if it has too many.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        is_proven: bool,
    ) -> Option<Option<Entered>> {
        let Some(network) = client.and_then(network) else {
            return Some(None);
        };
        let mut clients = self.lock();
        make_room(&mut clients);
        let client = clients.entry((network, is_proven)).or_insert(Client {
            out: 0,
            credit: u64::from(self.rate.unwrap_or_default()) * 1000,
            at: None,
        });
        if client.out >= self.per_client {
            return None;
        }
        client.out += 1;
        Some(Some(Entered {
            clients: self.clone(),
            who: (network, is_proven),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Who, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(clients: &mut HashMap<Who, Client>) {
    if clients.len() >= MOST {
        clients.retain(|_, client| client.out > 0);
    }
}

/// Whom an address stands for; nobody, if it is this machine's own.
fn network(address: IpAddr) -> Option<IpAddr> {
    if address.is_loopback() {
        return None;
    }
    Some(match address {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from(u128::from(ip) & !0 << 64).into(),
    })
}

/// A client's question that is out, until it is dropped.
pub(super) struct Entered {
    clients: Arc<Clients>,
    who: Who,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get_mut(&self.who) {
            client.out -= 1;
            if client.out == 0 && client.at.is_none() {
                clients.remove(&self.who);
            }
        }
    }
}

/// One of all the questions that are out, until it is dropped.
pub(super) struct Ticket {
    all: Arc<AtomicUsize>,
    _client: Option<Entered>,
}

impl Ticket {
    pub(super) fn new(all: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        if all.fetch_add(1, Relaxed) >= most {
            all.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Self {
            all: all.clone(),
            _client: None,
        })
    }

    pub(super) fn of(mut self, client: Option<Entered>) -> Self {
        self._client = client;
        self
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_has_its_share_and_no_more() {
        let clients = Arc::new(Clients::new(2, None));
        let ip = |text: &str| Some(text.parse().unwrap());
        let first = clients.enter(ip("2001:db8::1"), false).unwrap();
        let _second = clients.enter(ip("2001:db8::2"), false).unwrap();
        assert!(
            clients.enter(ip("2001:db8::3"), false).is_none(),
            "one network"
        );
        assert!(clients.enter(ip("2001:db8::3"), true).is_some(), "proven");
        assert!(clients.enter(ip("2001:db8:0:1::3"), false).is_some());
        drop(first);
        assert!(clients.enter(ip("2001:db8::3"), false).is_some());
        let own: Vec<_> = (0..9)
            .map(|_| clients.enter(ip("127.0.0.1"), false))
            .collect();
        assert!(own.iter().all(Option::is_some));
    }

    #[test]
    fn a_rate_is_a_rate() {
        let clients = Clients::new(9, Some(10));
        let (ip, mut now) = (Some("192.0.2.1".parse().unwrap()), Instant::now());
        let mut asked = 0;
        for _ in 0..300 {
            asked += u32::from(clients.admits(ip, false, now));
            now += Duration::from_millis(10);
        }
        assert!(
            (38..=41).contains(&asked),
            "{asked}: ten in advance, and three seconds"
        );
    }
}
