//! What was said, in memory: of channels, and of conversations by account.
//!
//! It keeps what it is given in the order in which it came, answers the ranges
//! of `CHATHISTORY` ([`Range`]), and forgets by count, bytes and age, of each
//! target and of all. It is plain data: time is passed in.
//!
//! It does not know who may see what. A channel's history is its members'; a
//! conversation is kept once for each side that has an account, and is that
//! account's alone, so that nobody reads another's by taking a nick.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use crate::proto::{
    casemap::Folded,
    chathistory::{Range, Selector},
    timestamp::Timestamp,
};

/// How much is kept, and how much is told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryLimits {
    /// Messages of a channel or conversation. Default 1,024: some screens. 0
    /// keeps nothing, and `CHATHISTORY` is not offered.
    pub messages: usize,
    /// Bytes of a channel or conversation. Default 512 KiB, which is a line of
    /// the usual length for each of its messages.
    pub bytes_of_target: usize,
    /// Conversations of an account. Default 256; beyond them the one goes whose
    /// last message is oldest, so that strangers who write to somebody cost no
    /// more than that.
    pub conversations: usize,
    /// Bytes in all. Default 64 MiB; beyond them the oldest messages go, whose
    /// ever they are.
    pub bytes: usize,
    /// For how long. Default seven days.
    pub age: Duration,
    /// Messages that one request gets, whatever it asks for: `CHATHISTORY=` in
    /// `ISUPPORT`. Default 256, some 100 KB.
    pub most_at_once: usize,
}

impl Default for HistoryLimits {
    fn default() -> Self {
        Self {
            messages: 1024,
            bytes_of_target: 512 * 1024,
            conversations: 256,
            bytes: 64 * 1024 * 1024,
            age: Duration::from_secs(7 * 24 * 60 * 60),
            most_at_once: 256,
        }
    }
}

/// Of what there is a history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    /// A channel.
    Channel(Folded),
    /// What an account and somebody else said to one another.
    Conversation {
        /// Whose copy it is: an account.
        owner: Folded,
        /// The other's account, or the nick of who has none.
        with: Folded,
    },
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<T> {
    /// Its `msgid`.
    pub(crate) msgid: Arc<str>,
    /// Its `time`.
    pub(crate) time: Timestamp,
    /// Whether it is something other than a `PRIVMSG` or `NOTICE`, for those
    /// who ask for events.
    pub(crate) event: bool,
    /// What it counts for against limits, without what is here.
    pub(crate) bytes: usize,
    /// The message.
    pub(crate) content: T,
}

/// What somebody may see of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Events too.
    pub(crate) events: bool,
    /// Nothing before this.
    pub(crate) since: Timestamp,
}

/// What was said.
#[derive(Debug)]
pub(crate) struct History<T> {
    limits: HistoryLimits,
    logs: BTreeMap<Arc<Target>, Log<T>>,
    /// What was kept, the oldest first, whether it is still there or not: by its
    /// number.
    order: VecDeque<(u64, Arc<Target>)>,
    next: u64,
    kept: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Log<T> {
    /// How a conversation's other side was called last.
    name: Box<str>,
    items: VecDeque<Item<T>>,
    bytes: usize,
}

#[derive(Debug)]
struct Item<T> {
    number: u64,
    /// When it was, and never before the one before it, should a clock be set
    /// back: what is looked for by time is then found.
    at: Timestamp,
    entry: Entry<T>,
}

/// What an entry takes beside its content: a rough figure, so that a flood of
/// empty messages is bounded as well.
const OVERHEAD: usize = 128;

impl<T> History<T> {
    /// Nothing yet.
    pub(crate) fn new(limits: HistoryLimits) -> Self {
        Self {
            limits,
            logs: BTreeMap::new(),
            order: VecDeque::new(),
            next: 0,
            kept: 0,
            bytes: 0,
        }
    }

    /// What it is held to.
    pub(crate) fn limits(&self) -> &HistoryLimits {
        &self.limits
    }

    /// Messages kept, and their bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.kept, self.bytes)
    }

    /// Keeps a message of a target. `name` is how the target is called: a
    /// channel, or the other's nick at this time.
    pub(crate) fn keep(&mut self, target: Target, name: &str, entry: Entry<T>) {
        if self.limits.messages == 0 {
            return;
        }
        let key = match self.logs.get_key_value(&target) {
            Some((key, _)) => Arc::clone(key),
            None => {
                self.make_room_for(&target);
                let key = Arc::new(target);
                let log = Log {
                    name: name.into(),
                    items: VecDeque::new(),
                    bytes: 0,
                };
                self.logs.insert(Arc::clone(&key), log);
                key
            }
        };
        let number = self.next;
        self.next += 1;
        let oldest = entry.time.before(self.limits.age);
        let Some(log) = self.logs.get_mut(&key) else {
            return;
        };
        if *log.name != *name {
            log.name = name.into();
        }
        let at = log
            .items
            .back()
            .map_or(entry.time, |last| last.at.max(entry.time));
        let bytes = entry.cost();
        log.items.push_back(Item { number, at, entry });
        log.bytes += bytes;
        self.bytes += bytes;
        self.kept += 1;
        self.order.push_back((number, Arc::clone(&key)));
        // The newest stays, were it alone too great.
        while log.items.len() > 1
            && (log.items.len() > self.limits.messages
                || log.bytes > self.limits.bytes_of_target
                || log.items.front().is_some_and(|item| item.at < oldest))
        {
            let gone = log.drop_oldest();
            self.bytes -= gone;
            self.kept -= 1;
        }
        while self.bytes > self.limits.bytes && self.kept > 1 {
            if !self.drop_oldest() {
                break;
            }
        }
        self.tidy();
    }

    /// Forgets what is older than it may be.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        let oldest = now.before(self.limits.age);
        while let Some((number, key)) = self.order.front() {
            let first = self.logs.get(key).and_then(|log| log.items.front());
            match first {
                Some(item) if item.number == *number && item.at >= oldest => break,
                Some(item) if item.number == *number => {
                    self.drop_oldest();
                }
                // It is gone already, and the next may be young.
                _ => {
                    self.order.pop_front();
                }
            }
        }
    }

    /// Forgets a target.
    pub(crate) fn forget(&mut self, target: &Target) {
        if let Some(log) = self.logs.remove(target) {
            self.bytes -= log.bytes;
            self.kept -= log.items.len();
        }
        self.tidy();
    }

    /// Forgets all conversations of an account: it was dropped, and whoever
    /// registers its name next is another.
    pub(crate) fn forget_account(&mut self, owner: &Folded) {
        let targets: Vec<_> = self
            .conversations(owner)
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for target in targets {
            self.forget(&target);
        }
    }

    /// The messages of a range that somebody may see, the earliest first. An
    /// unknown `msgid` is no point of the history, so nothing is there.
    pub(crate) fn select(
        &self,
        target: &Target,
        range: &Range,
        limit: usize,
        view: View,
    ) -> Vec<&Entry<T>> {
        let Some(log) = self.logs.get(target) else {
            return Vec::new();
        };
        log.select(range, limit.min(self.limits.most_at_once), view)
            .unwrap_or_default()
    }

    /// The conversation of an account with whom is now called `nick`, by their
    /// account if they have one; else with whom was last called so.
    pub(crate) fn conversation(
        &self,
        owner: &Folded,
        with: &Folded,
        same: impl Fn(&str) -> bool,
    ) -> Target {
        let exact = Target::Conversation {
            owner: owner.clone(),
            with: with.clone(),
        };
        if self.logs.contains_key(&exact) {
            return exact;
        }
        self.conversations(owner)
            .filter(|(_, log)| same(&log.name))
            .max_by_key(|(_, log)| log.items.back().map(|item| item.number))
            .map_or(exact, |(key, _)| Target::clone(key))
    }

    /// The names of targets whose last message that may be seen is between two
    /// points in time, and when that was, the earliest first: of `channels`, each
    /// with what may be seen of it, and of an account's conversations. If `from`
    /// is the later one the last are told when there are too many, else the
    /// first.
    pub(crate) fn targets<'a>(
        &'a self,
        channels: impl IntoIterator<Item = (&'a Folded, View)>,
        owner: Option<(&'a Folded, View)>,
        (from, to): (Timestamp, Timestamp),
        limit: usize,
    ) -> Vec<(&'a str, Timestamp)> {
        let (first, last) = (from.min(to), from.max(to));
        let of_channels = channels.into_iter().filter_map(|(channel, view)| {
            let log = self.logs.get(&Target::Channel(channel.clone()))?;
            Some((log, view))
        });
        let of_owner = owner
            .into_iter()
            .flat_map(|(owner, view)| self.conversations(owner).map(move |(_, log)| (log, view)));
        let mut found: Vec<_> = of_channels
            .chain(of_owner)
            .filter_map(|(log, view)| {
                let item = log.items.iter().rev().find(|item| item.seen_by(view))?;
                (first < item.at && item.at < last).then_some((&*log.name, item.at, item.number))
            })
            .collect();
        found.sort_by_key(|(_, at, number)| (*at, *number));
        let limit = limit.min(self.limits.most_at_once);
        if from > to {
            found.drain(..found.len().saturating_sub(limit));
        } else {
            found.truncate(limit);
        }
        found.into_iter().map(|(name, at, _)| (name, at)).collect()
    }

    fn conversations(&self, owner: &Folded) -> impl Iterator<Item = (&Arc<Target>, &Log<T>)> {
        let first = Target::Conversation {
            owner: owner.clone(),
            with: Folded::default(),
        };
        self.logs.range(first..).take_while(
            move |(key, _)| matches!(&***key, Target::Conversation { owner: it, .. } if it == owner),
        )
    }

    /// An account with too many conversations loses the one that has been quiet
    /// for longest.
    fn make_room_for(&mut self, target: &Target) {
        let Target::Conversation { owner, .. } = target else {
            return;
        };
        let owner = owner.clone();
        while self.conversations(&owner).count() >= self.limits.conversations.max(1) {
            let quiet = self
                .conversations(&owner)
                .min_by_key(|(_, log)| log.items.back().map(|item| item.number))
                .map(|(key, _)| Arc::clone(key));
            let Some(quiet) = quiet else { return };
            self.forget(&quiet);
        }
    }

    /// Forgets the oldest message of all; false if there is none.
    fn drop_oldest(&mut self) -> bool {
        while let Some((number, key)) = self.order.pop_front() {
            let Some(log) = self.logs.get_mut(&key) else {
                continue;
            };
            if log.items.front().is_none_or(|item| item.number != number) {
                continue;
            }
            self.bytes -= log.drop_oldest();
            self.kept -= 1;
            if log.items.is_empty() {
                self.logs.remove(&key);
            }
            return true;
        }
        false
    }

    /// Forgets the numbers of what is gone, once they are as many as those of
    /// what is there.
    fn tidy(&mut self) {
        if self.order.len() <= 2 * self.kept + 64 {
            return;
        }
        let logs = &self.logs;
        self.order.retain(|(number, key)| {
            logs.get(key)
                .and_then(|log| log.items.front())
                .is_some_and(|first| first.number <= *number)
        });
    }
}

impl<T> Log<T> {
    fn drop_oldest(&mut self) -> usize {
        let gone = self.items.pop_front().map_or(0, |item| item.entry.cost());
        self.bytes -= gone;
        gone
    }

    /// Where a point is: what is before the first index is before it, what is at
    /// the second or behind is behind it.
    fn point(&self, selector: &Selector) -> Option<(usize, usize)> {
        match selector {
            Selector::Msgid(msgid) => {
                let mut items = self.items.iter();
                let at = items.position(|item| *item.entry.msgid == **msgid)?;
                Some((at, at + 1))
            }
            Selector::Time(time) => Some((
                self.items.partition_point(|item| item.at < *time),
                self.items.partition_point(|item| item.at <= *time),
            )),
        }
    }

    fn select(&self, range: &Range, limit: usize, view: View) -> Option<Vec<&Entry<T>>> {
        let all = self.items.len();
        let first = |from, to| self.first(from, to, limit, view);
        let last = |from, to| self.last(from, to, limit, view);
        Some(match range {
            Range::Latest(None) => last(0, all),
            Range::Latest(Some(point)) => last(self.point(point)?.1, all),
            Range::Before(point) => last(0, self.point(point)?.0),
            Range::After(point) => first(self.point(point)?.1, all),
            Range::Around(point) => {
                let at = self.point(point)?.0;
                let mut found = self.last(0, at, limit / 2, view);
                found.extend(self.first(at, all, limit - limit / 2, view));
                found
            }
            Range::Between(one, other) => {
                let (one, other) = (self.point(one)?, self.point(other)?);
                if one.0 <= other.0 {
                    first(one.1, other.0)
                } else {
                    last(other.1, one.0)
                }
            }
        })
    }

    fn first(&self, from: usize, to: usize, limit: usize, view: View) -> Vec<&Entry<T>> {
        let items = self.items.iter().take(to).skip(from);
        let seen = items.filter(|item| item.seen_by(view));
        seen.take(limit).map(|item| &item.entry).collect()
    }

    fn last(&self, from: usize, to: usize, limit: usize, view: View) -> Vec<&Entry<T>> {
        let items = self.items.iter().take(to).skip(from);
        let seen = items.rev().filter(|item| item.seen_by(view));
        let mut found: Vec<_> = seen.take(limit).map(|item| &item.entry).collect();
        found.reverse();
        found
    }
}

impl<T> Item<T> {
    fn seen_by(&self, view: View) -> bool {
        self.at >= view.since && (view.events || !self.entry.event)
    }
}

impl<T> Entry<T> {
    fn cost(&self) -> usize {
        self.bytes + self.msgid.len() + OVERHEAD
    }
}

#[cfg(test)]
mod tests;
