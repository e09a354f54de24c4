//! `MONITOR`: who wants to know of whose coming and going
//! (<https://ircv3.net/specs/extensions/monitor>). An index and no more; who is
//! there, the server knows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use crate::proto::casemap::Folded;

/// Watchers, and the nicks that they watch.
#[derive(Debug)]
pub(crate) struct Monitor<Id> {
    watchers: HashMap<Folded, BTreeSet<Id>>,
    lists: HashMap<Id, BTreeMap<Folded, Box<str>>>,
}

impl<Id> Default for Monitor<Id> {
    fn default() -> Self {
        Self {
            watchers: HashMap::new(),
            lists: HashMap::new(),
        }
    }
}

impl<Id: Copy + Eq + Hash + Ord> Monitor<Id> {
    /// Nobody watches anybody.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Somebody watches a nick. False if the list is full, and then nothing has
    /// changed; true also if the nick was on it.
    pub(crate) fn add(&mut self, watcher: Id, nick: &str, folded: Folded, limit: usize) -> bool {
        let list = self.lists.entry(watcher).or_default();
        if !list.contains_key(&folded) && list.len() >= limit {
            return false;
        }
        list.entry(folded.clone()).or_insert_with(|| nick.into());
        self.watchers.entry(folded).or_default().insert(watcher);
        true
    }

    /// Somebody no longer watches a nick.
    pub(crate) fn remove(&mut self, watcher: Id, folded: &Folded) {
        if let Some(list) = self.lists.get_mut(&watcher) {
            list.remove(folded);
            if list.is_empty() {
                self.lists.remove(&watcher);
            }
        }
        self.unlist(watcher, folded);
    }

    /// Somebody watches nobody any longer, or is gone.
    pub(crate) fn clear(&mut self, watcher: Id) {
        for folded in self.lists.remove(&watcher).unwrap_or_default().into_keys() {
            self.unlist(watcher, &folded);
        }
    }

    /// Whom somebody watches, each as it was written first.
    pub(crate) fn list(&self, watcher: Id) -> impl Iterator<Item = (&Folded, &str)> {
        let list = self.lists.get(&watcher).into_iter().flatten();
        list.map(|(folded, nick)| (folded, &**nick))
    }

    /// Who watches a nick.
    pub(crate) fn watchers(&self, folded: &Folded) -> impl Iterator<Item = Id> {
        self.watchers.get(folded).into_iter().flatten().copied()
    }

    fn unlist(&mut self, watcher: Id, folded: &Folded) {
        if let Some(watchers) = self.watchers.get_mut(folded) {
            watchers.remove(&watcher);
            if watchers.is_empty() {
                self.watchers.remove(folded);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::casemap::CaseMapping::Ascii;

    #[test]
    fn lists_have_limits_and_leave_nothing_behind() {
        let mut monitor = Monitor::new();
        let mut add = |who, nick| monitor.add(who, nick, Ascii.fold(nick), 2);
        assert!(add(1, "Ada") && add(1, "bob") && add(1, "ADA"));
        assert!(!add(1, "carol") && add(2, "ada"));
        let names: Vec<_> = monitor.list(1).map(|(_, nick)| nick).collect();
        assert_eq!(names, ["Ada", "bob"]);
        let watchers = |monitor: &Monitor<u8>, nick| -> Vec<u8> {
            monitor.watchers(&Ascii.fold(nick)).collect()
        };
        assert_eq!(watchers(&monitor, "aDa"), [1, 2]);
        monitor.remove(1, &Ascii.fold("ada"));
        monitor.remove(1, &Ascii.fold("nobody"));
        assert_eq!(watchers(&monitor, "ada"), [2]);
        monitor.clear(1);
        monitor.clear(2);
        monitor.clear(3);
        assert!(monitor.watchers.is_empty() && monitor.lists.is_empty());
    }
}
