//! Every open connection of a server, in one place.
//!
//! It is what limits, drain, kill by id, metrics and a status page look at,
//! so that none of them costs anything per message.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use futures_util::task::AtomicWaker;
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use crate::{Address, Limits, Peer, timers::clock};

/// The number of a connection, unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Relaxed))
    }

    /// The number itself.
    pub fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionState {
    /// A handshake of the listener's layers is under way.
    Handshake,
    /// Open.
    Open,
    /// Told to say goodbye.
    Draining,
    /// Closed by us; the rest is on its way.
    Closing,
}

/// One open connection, as the registry shows it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number.
    pub id: ConnectionId,
    /// The other end, as it was when the connection was accepted.
    pub peer: Peer,
    /// Our end.
    pub local: Address,
    /// When it was accepted.
    pub since: Instant,
    /// Bytes read.
    pub read: u64,
    /// Bytes written.
    pub written: u64,
    /// What it is doing.
    pub state: ConnectionState,
}

/// How far a server's drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Serving,
    /// Open connections are told; new ones are still accepted, and not told.
    Announced,
    /// No more are accepted, and all are told.
    Stopped,
}

/// The registry's record of one connection.
pub(crate) struct Entry {
    pub(crate) id: ConnectionId,
    pub(crate) peer: Peer,
    pub(crate) local: Address,
    pub(crate) since: Instant,
    /// Only the connection's task writes these two.
    read: AtomicU64,
    written: AtomicU64,
    state: AtomicU8,
    drain: AtomicU8,
    waker: AtomicWaker,
    task: OnceLock<AbortHandle>,
}

impl Entry {
    pub(crate) fn new(peer: Peer, local: Address) -> Self {
        Self {
            id: ConnectionId::next(),
            peer,
            local,
            since: clock(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            state: AtomicU8::new(0),
            drain: AtomicU8::new(0),
            waker: AtomicWaker::new(),
            task: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn count_read(&self, n: usize) {
        self.read.store(self.read() + n as u64, Relaxed);
    }

    #[inline]
    pub(crate) fn count_written(&self, n: usize) {
        self.written
            .store(self.written.load(Relaxed) + n as u64, Relaxed);
    }

    #[inline]
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Relaxed)
    }

    pub(crate) fn set_state(&self, state: ConnectionState) {
        self.state.store(state as u8, Relaxed);
    }

    /// Asks the connection to say goodbye.
    pub(crate) fn ask_to_drain(&self) {
        self.drain.store(1, std::sync::atomic::Ordering::Release);
        self.waker.wake();
    }

    #[inline]
    pub(crate) fn is_asked_to_drain(&self) -> bool {
        self.drain.load(std::sync::atomic::Ordering::Acquire) != 0
    }

    /// Wakes this task when the connection is asked to drain.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// The task that serves it, to be aborted by a kill.
    pub(crate) fn set_task(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    fn kill(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn info(&self) -> ConnectionInfo {
        ConnectionInfo {
            id: self.id,
            peer: self.peer.clone(),
            local: self.local.clone(),
            since: self.since,
            read: self.read(),
            written: self.written.load(Relaxed),
            state: match self.state.load(Relaxed) {
                0 => ConnectionState::Handshake,
                1 => ConnectionState::Open,
                2 => ConnectionState::Draining,
                _ => ConnectionState::Closing,
            },
        }
    }
}

/// The connections of one server.
pub(crate) struct Registry {
    pub(crate) limits: Arc<Limits>,
    open: Mutex<Open>,
    /// Told when a connection ends.
    ended: Notify,
    pub(crate) stage: watch::Sender<Stage>,
    accepted: AtomicU64,
    refused: AtomicU64,
}

#[derive(Default)]
struct Open {
    entries: HashMap<ConnectionId, Arc<Entry>>,
    per_peer: HashMap<IpAddr, usize>,
    /// The server is gone; its accept loop may not know yet.
    closed: bool,
}

impl Registry {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits: Arc::new(limits),
            open: Mutex::default(),
            ended: Notify::new(),
            stage: watch::Sender::new(Stage::Serving),
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Enters a connection, unless its peer has as many as it may.
    pub(crate) fn admit(self: &Arc<Self>, peer: Peer, local: Address) -> Option<Live> {
        let network = self.counted_network(&peer);
        let mut open = self.lock();
        if open.closed {
            return None;
        }
        if let Some(network) = network {
            let count = open.per_peer.entry(network).or_default();
            if *count >= self.limits.per_peer {
                self.refused.fetch_add(1, Relaxed);
                return None;
            }
            *count += 1;
        }
        let entry = Arc::new(Entry::new(peer, local));
        open.entries.insert(entry.id, entry.clone());
        drop(open);
        self.accepted.fetch_add(1, Relaxed);
        Some(Live::new(entry, Some(self.clone()), self.limits.clone()))
    }

    /// The network that a peer's connections are counted by, if they are.
    fn counted_network(&self, peer: &Peer) -> Option<IpAddr> {
        let ip = peer.address.inet()?.ip().to_canonical();
        if self.limits.per_peer == 0 || (ip.is_loopback() && self.limits.loopback_exempt) {
            return None;
        }
        Some(match ip {
            IpAddr::V4(_) => ip,
            // A household has a /64, and all of its addresses are one peer.
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.limits.connections
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Waits until `enough` is true of the number of open connections.
    pub(crate) async fn until(&self, enough: impl Fn(usize) -> bool) {
        loop {
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if enough(self.len()) {
                return;
            }
            ended.await;
        }
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        let mut all: Vec<_> = self.lock().entries.values().map(|e| e.info()).collect();
        all.sort_by_key(|c| c.id);
        all
    }

    pub(crate) fn kill(&self, id: ConnectionId) -> bool {
        let entry = self.lock().entries.get(&id).cloned();
        entry.inspect(|e| e.kill()).is_some()
    }

    /// Admits no more, and aborts every connection there is.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.kill_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Aborts every connection; says how many there were.
    pub(crate) fn kill_all(&self) -> usize {
        let entries: Vec<_> = self.lock().entries.values().cloned().collect();
        entries.iter().for_each(|e| e.kill());
        entries.len()
    }

    /// Moves the drain on, and tells the connections which that concerns.
    pub(crate) fn drain(&self, stage: Stage) {
        let entries: Vec<_> = self.lock().entries.values().cloned().collect();
        entries.iter().for_each(|e| e.ask_to_drain());
        // Behind the marks on the entries, since handlers look at those when
        // the stage changes.
        self.stage.send_replace(stage);
    }

    fn leave(&self, entry: &Entry) {
        let network = self.counted_network(&entry.peer);
        let mut open = self.lock();
        open.entries.remove(&entry.id);
        if let Some(network) = network
            && let Some(count) = open.per_peer.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                open.per_peer.remove(&network);
            }
        }
        drop(open);
        self.ended.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry for as long as its connection is open.
pub(crate) struct Live {
    pub(crate) entry: Arc<Entry>,
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) limits: Arc<Limits>,
}

impl Live {
    pub(crate) fn new(
        entry: Arc<Entry>,
        registry: Option<Arc<Registry>>,
        limits: Arc<Limits>,
    ) -> Self {
        #[cfg(feature = "testing")]
        crate::testing::leaks::opened(&entry);
        Self {
            entry,
            registry,
            limits,
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        #[cfg(feature = "testing")]
        crate::testing::leaks::closed(&self.entry);
        if let Some(registry) = &self.registry {
            registry.leave(&self.entry);
        }
    }
}
