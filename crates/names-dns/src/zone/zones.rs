//! Which zones there are, and which of them a question belongs to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Zone;
use crate::proto::name::{MAX_NAME, Name, NameRef};

/// The zones of a server: replaced at any time, looked up without a lock.
///
/// Clones are handles of the same set. Whoever answers questions takes a
/// [`ZonesView`] of their own, which costs one atomic load a look-up while
/// nothing changes.
///
/// ```
/// # fn demo(zone: ropewalk_names_dns::zone::Zone) {
/// use std::sync::Arc;
/// use ropewalk_names_dns::zone::Zones;
///
/// let zones = Zones::new();
/// let mut view = zones.view();
/// zones.insert(Arc::new(zone));
/// let name: ropewalk_names_dns::proto::Name = "www.example.org".parse().unwrap();
/// let found = view.current().find(name.as_ref());
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Zones(Arc<Shared>);

#[derive(Default)]
struct Shared {
    current: Mutex<Arc<ZoneMap>>,
    /// Counts the changes; written with the lock held.
    version: AtomicU64,
}

/// A zone that is served, or that should be and cannot.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Entry {
    /// It is served.
    Zone(Arc<Zone>),
    /// The server is the zone's, and has none: a secondary before its first transfer, or after
    /// the SOA's expiry. Questions get SERVFAIL, not REFUSED.
    Unavailable,
}

impl Entry {
    /// The zone, where there is one.
    pub fn zone(&self) -> Option<&Arc<Zone>> {
        match self {
            Self::Zone(zone) => Some(zone),
            Self::Unavailable => None,
        }
    }
}

impl Zones {
    /// No zones.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a zone, or puts it in the place of the one with its name.
    pub fn insert(&self, zone: Arc<Zone>) {
        self.change(|map| {
            map.insert(zone);
        });
    }

    /// Says that a zone is this server's, but cannot be served now.
    pub fn insert_unavailable(&self, origin: &Name) {
        self.change(|map| map.insert_unavailable(origin));
    }

    /// Removes a zone; gives whether there was one.
    pub fn remove(&self, origin: NameRef<'_>) -> bool {
        self.change(|map| map.remove(origin))
    }

    /// Changes several zones at once: no question sees some changed and others not.
    pub fn change<T>(&self, change: impl FnOnce(&mut ZoneMap) -> T) -> T {
        let mut current = self.lock();
        // Views keep theirs; the map itself is a few words a zone.
        let mut map = ZoneMap::clone(&current);
        let result = change(&mut map);
        *current = Arc::new(map);
        self.0.version.fetch_add(1, Ordering::Release);
        result
    }

    /// The zones as they are now.
    pub fn current(&self) -> Arc<ZoneMap> {
        self.lock().clone()
    }

    /// A view that follows the changes.
    pub fn view(&self) -> ZonesView {
        // In this order: a change in between makes the view look again, and never miss one.
        let version = self.version();
        ZonesView {
            map: self.current(),
            version,
            zones: self.clone(),
        }
    }

    /// How often the zones were changed: another number, another [`ZoneMap`].
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ZoneMap>> {
        // Only whole maps are put there, so that a panic elsewhere leaves a good one.
        self.0
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Zones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Zones").field(&*self.lock()).finish()
    }
}

/// The zones as one task sees them: looks for changes by one atomic load.
#[derive(Debug, Clone)]
pub struct ZonesView {
    zones: Zones,
    map: Arc<ZoneMap>,
    version: u64,
}

impl ZonesView {
    /// The zones as they are now.
    pub fn current(&mut self) -> &Arc<ZoneMap> {
        let version = self.zones.version();
        if version != self.version {
            self.map = self.zones.current();
            self.version = version;
        }
        &self.map
    }
}

/// Zones by name, of one moment.
#[derive(Debug, Clone, Default)]
pub struct ZoneMap {
    /// By name in lower case, on the wire: what is looked up is a piece of the name asked for.
    entries: HashMap<Box<[u8]>, (Name, Entry)>,
    /// How many labels the longest origin has: no longer suffix of a name is looked up.
    deepest: usize,
}

impl ZoneMap {
    /// The zone that a name belongs to: that with the longest origin (RFC 1034, 4.3.2, step 2).
    pub fn find(&self, name: NameRef<'_>) -> Option<&Entry> {
        let name = name.suffix(self.deepest).as_wire();
        let mut buffer = [0; MAX_NAME];
        let lower = &mut buffer[..name.len()];
        lower.copy_from_slice(name);
        // Lengths of labels are below the codes of letters.
        lower.make_ascii_lowercase();
        let mut suffix = &*lower;
        loop {
            if let Some((_, entry)) = self.entries.get(suffix) {
                return Some(entry);
            }
            let (&length, rest) = suffix.split_first()?;
            suffix = rest.get(usize::from(length)..).filter(|_| length != 0)?;
        }
    }

    /// The zone above the one that begins at `name`: where DS at a zone's own top belongs to
    /// (RFC 4035, 3.1.4.1).
    pub fn find_above(&self, name: NameRef<'_>) -> Option<&Entry> {
        self.find(name.parent()?)
    }

    /// The zone that begins at this very name.
    pub fn entry(&self, origin: NameRef<'_>) -> Option<&Entry> {
        let origin = origin.to_lowercase();
        self.entries.get(origin.as_wire()).map(|(_, entry)| entry)
    }

    /// Adds a zone, or puts it in the place of the one with its name, which is given back.
    pub fn insert(&mut self, zone: Arc<Zone>) -> Option<Entry> {
        let origin = zone.origin().to_name();
        self.put(origin, Entry::Zone(zone))
    }

    /// Says that a zone is this server's, but cannot be served now.
    pub fn insert_unavailable(&mut self, origin: &Name) {
        self.put(origin.clone(), Entry::Unavailable);
    }

    fn put(&mut self, origin: Name, entry: Entry) -> Option<Entry> {
        self.deepest = self.deepest.max(origin.label_count());
        let key = origin.to_lowercase().as_wire().into();
        self.entries
            .insert(key, (origin, entry))
            .map(|(_, old)| old)
    }

    /// Removes a zone; gives whether there was one.
    pub fn remove(&mut self, origin: NameRef<'_>) -> bool {
        let removed = self
            .entries
            .remove(origin.to_lowercase().as_wire())
            .is_some();
        let origins = self.entries.values().map(|(origin, _)| origin);
        self.deepest = origins.map(Name::label_count).max().unwrap_or(0);
        removed
    }

    /// All zones, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.entries.values().map(|(origin, entry)| (origin, entry))
    }

    /// How many zones there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no zone.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
