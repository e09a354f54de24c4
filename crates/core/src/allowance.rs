//! How many connections there may be at a time: of one server, or of several
//! that share the number.
//!
//! It counts and makes wait. It knows no socket; who waits is the accept loop
//! of a listener, which leaves the newest connections in its backlog.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    ConnectionId, ConnectionInfo, Counts, Limits, Peer, registry::Registry, timers::clock,
};

/// How often the same trouble is logged.
pub(crate) const WARN_EVERY: Duration = Duration::from_secs(60);

/// What several servers of a program allow together: so many connections in
/// all, and so many from one peer.
///
/// Put clones of one value into the [`ServerOptions`](crate::ServerOptions) of
/// each. A server is held to its own [`Limits`] besides. Where the allowance is
/// used up, the newest connections wait in their listener's backlog, and
/// listeners have their turn in the order in which they began to wait: a busy
/// one cannot starve the others.
///
/// ```
/// use ropewalk_core::*;
/// # #[derive(Default)]
/// # struct Echo;
/// # impl Protocol for Echo {
/// #     type Message = ();
/// #     type Timer = ();
/// #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
/// #         t.write(data);
/// #         Ok(())
/// #     }
/// # }
/// # testing::run_in_real_time(async {
/// let mut limits = Limits::default();
/// limits.connections = 1000;
/// let mut options = ServerOptions::from(limits.clone());
/// options.allowance = Some(Allowance::new(&limits));
/// let one: ServerEndpoint = "tcp:0".parse()?;
/// let other: ServerEndpoint = "tcp:0".parse()?;
/// let one = one.listen_with(each::<Echo>(), options.clone()).await?;
/// let other = other.listen_with(each::<Echo>(), options.clone()).await?;
/// assert!(options.allowance.unwrap().connections().is_empty());
/// # drop((one, other));
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Allowance(Arc<Pool>);

struct Pool {
    connections: usize,
    per_peer: usize,
    loopback_exempt: bool,
    /// One permit for each connection that may still be; first come, first
    /// served.
    room: Semaphore,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    peers: HashMap<IpAddr, usize>,
    servers: Vec<Weak<Registry>>,
    warned: Option<Instant>,
}

impl Allowance {
    /// As many connections as `connections` and `per_peer` of these limits say,
    /// with their `loopback_exempt`; the others are each server's own matter.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Pool {
            connections: limits.connections,
            per_peer: limits.per_peer,
            loopback_exempt: limits.loopback_exempt,
            room: Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)),
            state: Mutex::default(),
        }))
    }

    /// The open connections of all servers that share it, the oldest first.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let mut all: Vec<_> = self
            .servers()
            .iter()
            .flat_map(|server| server.connections())
            .collect();
        all.sort_by_key(|connection| connection.id);
        all
    }

    /// What the servers that share it, and have not ended, have and had.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for server in self.servers() {
            let counts = server.counts();
            sum.open += counts.open;
            sum.accepted += counts.accepted;
            sum.refused += counts.refused;
        }
        sum
    }

    /// Ends one connection at once; false if there is none of that number.
    pub fn kill(&self, id: ConnectionId) -> bool {
        self.servers().iter().any(|server| server.kill(id))
    }

    /// Lists a server from now on, for as long as it lives.
    pub(crate) fn join(&self, server: &Arc<Registry>) {
        let mut state = self.lock();
        state.servers.retain(|server| server.strong_count() > 0);
        state.servers.push(Arc::downgrade(server));
    }

    fn servers(&self) -> Vec<Arc<Registry>> {
        let state = self.lock();
        state.servers.iter().filter_map(Weak::upgrade).collect()
    }

    /// The most there may be.
    pub(crate) fn limit(&self) -> usize {
        self.0.connections
    }

    /// Room for one connection, if there is some and nobody waits for it.
    pub(crate) fn try_room(&self) -> Option<SemaphorePermit<'_>> {
        self.0.room.try_acquire().ok()
    }

    /// Room for one connection, once there is some.
    pub(crate) async fn room(&self) -> SemaphorePermit<'_> {
        self.0.room.acquire().await.expect("it is never closed")
    }

    /// Gives back the room of a connection whose permit was forgotten.
    pub(crate) fn free(&self) {
        self.0.room.add_permits(1);
    }

    /// Counts a connection of this peer, unless it has as many as it may.
    pub(crate) fn enter(&self, peer: &Peer) -> bool {
        let Some(network) = self.counted(peer) else {
            return true;
        };
        let mut state = self.lock();
        let count = state.peers.entry(network).or_default();
        let may = *count < self.0.per_peer;
        *count += usize::from(may);
        may
    }

    /// A connection that was counted as one of this peer is no longer.
    pub(crate) fn leave(&self, peer: &Peer) {
        let Some(network) = self.counted(peer) else {
            return;
        };
        let mut state = self.lock();
        if let Some(count) = state.peers.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                state.peers.remove(&network);
            }
        }
    }

    /// The network by which a peer's connections are counted, if they are.
    fn counted(&self, peer: &Peer) -> Option<IpAddr> {
        let ip = peer.address.inet()?.ip().to_canonical();
        let exempt = self.0.per_peer == 0 || (ip.is_loopback() && self.0.loopback_exempt);
        (!exempt).then(|| network(ip))
    }

    /// Whether it is time to say once more that connections wait.
    pub(crate) fn may_warn(&self) -> bool {
        may_warn(&mut self.lock().warned)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowance")
            .field("connections", &self.0.connections)
            .field("per_peer", &self.0.per_peer)
            .field("room", &self.0.room.available_permits())
            .finish_non_exhaustive()
    }
}

/// Whether something was not said within [`WARN_EVERY`]; then it is said now.
pub(crate) fn may_warn(warned: &mut Option<Instant>) -> bool {
    let now = clock();
    let may = warned.is_none_or(|at| now - at >= WARN_EVERY);
    if may {
        *warned = Some(now);
    }
    may
}

/// What counts as one peer: an IPv4 address, or an IPv6 /64, since a household
/// has one, and all of its addresses.
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        v4 => v4,
    }
}
