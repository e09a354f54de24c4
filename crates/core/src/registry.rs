//! Every open connection of a server, in one place.
//!
//! It is what limits, drain, kill by id, metrics and a status page look at,
//! so that none of them costs anything per message.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use futures_util::task::AtomicWaker;
use tokio::{sync::Notify, task::AbortHandle};

use crate::{
    Address, Allowance, Closed, Counts, Limits, Peer, Result,
    tally::{AcceptError, End, Handshake, Refusal, Totals},
    timers::clock,
};

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
    /// What its server is called; see [`ServerOptions::service`](crate::ServerOptions::service).
    pub service: Arc<str>,
    /// The other end: who connected, or whom a proxy's header names.
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
    peer: Peer,
    local: Address,
    /// Who is at either end in truth, once a proxy has said so.
    proxied: OnceLock<Box<(Peer, Address)>>,
    /// Whether it counts as one of its peer's.
    counted: AtomicBool,
    pub(crate) since: Instant,
    /// Only the connection's task writes these two.
    read: AtomicU64,
    written: AtomicU64,
    state: AtomicU8,
    drain: AtomicU8,
    /// An [`End`].
    end: AtomicU8,
    waker: AtomicWaker,
    task: OnceLock<AbortHandle>,
}

impl Entry {
    pub(crate) fn new(peer: Peer, local: Address) -> Self {
        Self {
            id: ConnectionId::next(),
            peer,
            local,
            proxied: OnceLock::new(),
            counted: AtomicBool::new(false),
            since: clock(),
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            state: AtomicU8::new(0),
            drain: AtomicU8::new(0),
            end: AtomicU8::new(End::Aborted as u8),
            waker: AtomicWaker::new(),
            task: OnceLock::new(),
        }
    }

    /// The other end; the proxied one, where there is one.
    pub(crate) fn peer(&self) -> &Peer {
        self.proxied.get().map_or(&self.peer, |ends| &ends.0)
    }

    /// Our end; what the peer of a proxy connected to, where there is one.
    pub(crate) fn local(&self) -> &Address {
        self.proxied.get().map_or(&self.local, |ends| &ends.1)
    }

    fn set_proxied(&self, peer: Peer, local: Address) {
        // Headers are read once, all together, so nobody has said so before.
        let _ = self.proxied.set(Box::new((peer, local)));
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

    /// Says why it ends, or why the protocol of it did.
    pub(crate) fn set_end(&self, why: &Closed) {
        if let Some(end) = End::of(why) {
            self.end.store(end as u8, Relaxed);
        }
    }

    /// Says why it ended if its protocol, where it has one, did not.
    pub(crate) fn set_end_of_handler(&self, result: &Result) {
        if self.end() == End::Aborted {
            let end = match result {
                Ok(()) => End::Local,
                Err(error) => End::of_error(error),
            };
            self.end.store(end as u8, Relaxed);
        }
    }

    pub(crate) fn set_declined(&self) {
        self.end.store(End::Declined as u8, Relaxed);
    }

    pub(crate) fn set_handshake_failed(&self) {
        self.end.store(End::Handshake as u8, Relaxed);
    }

    fn end(&self) -> End {
        End::from_u8(self.end.load(Relaxed))
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

    pub(crate) fn kill(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn info(&self, service: &Arc<str>) -> ConnectionInfo {
        ConnectionInfo {
            id: self.id,
            service: service.clone(),
            peer: self.peer().clone(),
            local: self.local().clone(),
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
    pub(crate) service: Arc<str>,
    /// What it allows by itself, and what together with others.
    own: Allowance,
    shared: Option<Allowance>,
    open: Mutex<Open>,
    /// Told when a connection begins or ends.
    changed: Notify,
    stage: Mutex<Stage>,
    /// Told when the stage moves; not a `watch`, which wakes who waits in an
    /// order of chance.
    moved: Notify,
}

#[derive(Default)]
struct Open {
    entries: HashMap<ConnectionId, Arc<Entry>>,
    /// Under the same lock as the entries: what a connection had read moves
    /// from there to here at one moment, and is never counted twice.
    totals: Totals,
    /// The server is gone; its accept loop may not know yet.
    closed: bool,
}

/// A peer has as many connections as it may
/// ([`Limits::per_peer`](crate::Limits::per_peer)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this peer has as many connections as it may")]
pub(crate) struct TooMany;

/// That one more connection may be. It goes back when dropped.
pub(crate) struct Room(Option<Arc<Registry>>);

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(registry) = self.0.take() {
            registry.allowances().for_each(Allowance::free);
        }
    }
}

impl Registry {
    pub(crate) fn new(limits: Limits, service: Arc<str>, shared: Option<Allowance>) -> Arc<Self> {
        let registry = Arc::new(Self {
            own: Allowance::new(&limits),
            limits: Arc::new(limits),
            service,
            shared,
            open: Mutex::default(),
            changed: Notify::new(),
            stage: Mutex::new(Stage::Serving),
            moved: Notify::new(),
        });
        if let Some(shared) = &registry.shared {
            shared.join(&registry);
        }
        registry
    }

    fn allowances(&self) -> impl Iterator<Item = &Allowance> {
        std::iter::once(&self.own).chain(&self.shared)
    }

    /// Room for one more connection, if there is some.
    pub(crate) fn try_room(self: &Arc<Self>) -> Option<Room> {
        let own = self.own.try_room()?;
        if let Some(shared) = &self.shared {
            shared.try_room()?.forget();
        }
        own.forget();
        Some(Room(Some(self.clone())))
    }

    /// Room for one more connection, once there is some.
    pub(crate) async fn room(self: &Arc<Self>) -> Room {
        // In this order, everywhere: who has the second waits for nothing.
        let own = self.own.room().await;
        if let Some(shared) = &self.shared {
            shared.room().await.forget();
        }
        own.forget();
        Room(Some(self.clone()))
    }

    /// The limit that keeps newcomers waiting, if it is time to say so.
    pub(crate) fn may_warn_of_waiting(&self) -> Option<usize> {
        let full = self.allowances().find(|a| a.try_room().is_none())?;
        full.may_warn().then(|| full.limit())
    }

    /// Enters a connection, unless its peer has as many as it may, or the
    /// server is gone. A proxy that will say for whom it speaks is not
    /// `counted`: see [`proxied`](Self::proxied).
    pub(crate) fn admit(
        self: &Arc<Self>,
        mut room: Room,
        peer: Peer,
        local: Address,
        counted: bool,
    ) -> Option<Live> {
        if counted && self.enter(&peer).is_err() {
            return None;
        }
        let entry = Arc::new(Entry::new(peer, local));
        entry.counted.store(counted, Relaxed);
        let mut open = self.lock();
        if open.closed {
            drop(open);
            self.forget(&entry);
            return None;
        }
        open.entries.insert(entry.id, entry.clone());
        open.totals.accepted += 1;
        drop(open);
        self.changed.notify_waiters();
        // Its own from here on, until it leaves.
        room.0 = None;
        Some(Live::new(entry, Some(self.clone()), self.limits.clone()))
    }

    /// Counts a connection of this peer with all that allow it, or with none.
    fn enter(&self, peer: &Peer) -> Result<(), TooMany> {
        if self.own.enter(peer) {
            if self.shared.as_ref().is_none_or(|a| a.enter(peer)) {
                return Ok(());
            }
            self.own.leave(peer);
        }
        self.refused(Refusal::Peer);
        Err(TooMany)
    }

    /// Counts it no longer as one of its peer's.
    fn forget(&self, entry: &Entry) {
        if entry.counted.swap(false, Relaxed) {
            self.allowances().for_each(|a| a.leave(entry.peer()));
        }
    }

    /// Notes who is at either end of a connection in truth, as a proxy has said:
    /// from now on it counts for that peer, and is shown as its.
    fn proxied(&self, entry: &Entry, peer: Peer, local: Address) -> Result<(), TooMany> {
        // The place that it had is given back first: it may be the same one's.
        self.forget(entry);
        self.enter(&peer)?;
        entry.set_proxied(peer, local);
        entry.counted.store(true, Relaxed);
        Ok(())
    }

    pub(crate) fn refused(&self, why: Refusal) {
        self.lock().totals.refused[why as usize] += 1;
    }

    pub(crate) fn handshake(&self, how: Handshake) {
        self.lock().totals.handshake(how);
    }

    /// A connection's task is over.
    pub(crate) fn ended(&self, entry: &Entry) {
        self.lock().totals.closed[entry.end() as usize] += 1;
    }

    pub(crate) fn accept_failed(&self, why: AcceptError) {
        self.lock().totals.accept_errors[why as usize] += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    pub(crate) fn counts(&self) -> Counts {
        let open = self.lock();
        Counts {
            open: open.entries.len(),
            accepted: open.totals.accepted,
            refused: open.totals.refused.iter().sum(),
        }
    }

    /// How many are open, and the sums with what those have read and written.
    pub(crate) fn totals(&self) -> (usize, Totals) {
        let open = self.lock();
        let mut totals = open.totals.clone();
        for entry in open.entries.values() {
            totals.read += entry.read();
            totals.written += entry.written.load(Relaxed);
        }
        (open.entries.len(), totals)
    }

    /// Waits until `enough` is true of the number of open connections.
    pub(crate) async fn until(&self, enough: impl Fn(usize) -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if enough(self.len()) {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionInfo> {
        let entries = self.entries();
        entries.iter().map(|e| e.info(&self.service)).collect()
    }

    /// The oldest first: what is done to all is done in the same order in
    /// every run.
    fn entries(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<_> = self.lock().entries.values().cloned().collect();
        all.sort_by_key(|e| e.id);
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
        let entries = self.entries();
        entries.iter().for_each(|e| e.kill());
        entries.len()
    }

    /// Moves the drain on, and tells the connections which that concerns.
    pub(crate) fn drain(&self, stage: Stage) {
        let entries = self.entries();
        entries.iter().for_each(|e| e.ask_to_drain());
        // Behind the marks on the entries, since handlers look at those when
        // the stage changes.
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = stage;
        self.moved.notify_waiters();
    }

    /// Waits until `enough` is true of how far the drain has come.
    pub(crate) async fn until_stage(&self, enough: impl Fn(Stage) -> bool) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if enough(*self.stage.lock().unwrap_or_else(PoisonError::into_inner)) {
                return;
            }
            moved.await;
        }
    }

    fn leave(&self, entry: &Entry) {
        let lasted = clock().saturating_duration_since(entry.since);
        let written = entry.written.load(Relaxed);
        let mut open = self.lock();
        open.entries.remove(&entry.id);
        open.totals.end(entry.read(), written, lasted);
        drop(open);
        self.forget(entry);
        self.allowances().for_each(Allowance::free);
        self.changed.notify_waiters();
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

impl Live {
    /// Notes who is at either end in truth, as a proxy has said.
    pub(crate) fn proxied(&self, peer: Peer, local: Address) -> Result<(), TooMany> {
        match &self.registry {
            Some(registry) => registry.proxied(&self.entry, peer, local),
            None => {
                self.entry.set_proxied(peer, local);
                Ok(())
            }
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::new(address.parse::<SocketAddr>().unwrap())
    }

    /// A proxy is counted as nobody until it says for whom it speaks.
    #[test]
    fn a_proxied_connection_counts_for_whom_the_proxy_names() {
        let limits = Limits {
            per_peer: 1,
            ..Limits::default()
        };
        let shared = Allowance::new(&limits);
        let registry = Registry::new(limits, "x".into(), Some(shared.clone()));
        let proxy = peer("198.51.100.1:1");
        let admit = |counted| {
            let room = registry.try_room().unwrap();
            let local = Address::Stdio;
            registry.admit(room, proxy.clone(), local, counted)
        };
        let one = admit(false).unwrap();
        let two = admit(false).unwrap();
        let (ada, bob) = (peer("203.0.113.1:1"), peer("203.0.113.2:1"));
        let to = || Address::Stdio;
        one.proxied(ada.clone(), to()).unwrap();
        assert_eq!(two.proxied(ada.clone(), to()), Err(TooMany));
        two.proxied(bob.clone(), to()).unwrap();
        assert_eq!(two.entry.peer().address, bob.address);
        // The proxy's own place was never taken.
        let own = admit(true).unwrap();
        assert!(admit(true).is_none());
        drop((one, two, own));
        for one in [ada, bob, proxy] {
            assert!(shared.enter(&one), "its place is free again");
        }
        assert_eq!(registry.counts().refused, 2);
        assert_eq!(registry.len(), 0);
    }
}
