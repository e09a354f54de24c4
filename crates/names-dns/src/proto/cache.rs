//! Answers that are kept until they expire, and a little longer.
//!
//! What is kept is the message as it will be said again, with its TTLs counted down where they
//! stand, so that an answer from here is a copy and a few bytes changed. Answers, denials (RFC 2308)
//! and failures (RFC 9520) are kept; one that has expired may be given where nothing better is to
//! be had (RFC 8767). Nothing here sends or waits, and the time is passed in.
//!
//! An answer is found by the question that it answered, and by nothing else: no record of one
//! message is ever said in the place of another's. So whoever answers one question falsely says
//! nothing about any other.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Edns, ExtendedError, Header, OptionCode, Query, Rcode, Record, RecordType, Section, walk::Walk,
};

/// How much is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// Bytes of all that is kept, counted with what it costs to keep it. Default 8 MiB, some 30,000
    /// answers; 0 keeps nothing.
    pub bytes: usize,
    /// The shortest time that an answer is kept. Default 0: as its TTL says.
    pub min_ttl: Duration,
    /// The longest time that an answer is kept. Default a day.
    pub max_ttl: Duration,
    /// The longest time that the absence of a name or record is kept (RFC 2308, section 5). Default
    /// an hour.
    pub max_negative_ttl: Duration,
    /// For how long a failure is remembered: 1 s to 5 min (RFC 9520, section 3.2). Default 5 s.
    pub failure_ttl: Duration,
    /// For how long after its end an answer may still be given, if there is no other (RFC 8767,
    /// section 5). Default a day; 0 is never.
    pub max_stale: Duration,
    /// The TTL that such an answer is given. Default 30 s.
    pub stale_ttl: Duration,
    /// For how long after a failure it is given at once, without asking again. Default 30 s.
    pub stale_recheck: Duration,
    /// An answer that is asked for in the last part of its time is fetched anew in advance: the
    /// last so many hundredths. Default 10; 0 is never.
    pub prefetch_percent: u32,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            bytes: 8 * 1024 * 1024,
            min_ttl: Duration::ZERO,
            max_ttl: Duration::from_secs(86_400),
            max_negative_ttl: Duration::from_secs(3600),
            failure_ttl: Duration::from_secs(5),
            max_stale: Duration::from_secs(86_400),
            stale_ttl: Duration::from_secs(30),
            stale_recheck: Duration::from_secs(30),
            prefetch_percent: 10,
        }
    }
}

/// What a cache has done and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Questions answered by what was fresh.
    pub hits: u64,
    /// Questions that had no answer here.
    pub misses: u64,
    /// Questions answered by what had expired.
    pub stale: u64,
    /// Answers put in.
    pub stored: u64,
    /// Answers thrown out for lack of room.
    pub evicted: u64,
    /// How many are kept now.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There are records of that type.
    Records,
    /// The name exists, and has none of that type.
    NoRecords,
    /// There is no such name.
    NoName,
    /// Nobody could say.
    Failure,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What kind of answer it is.
    pub kind: Kind,
    /// For how long it holds.
    pub remaining: Duration,
    /// It has expired: better ask, and give this if that fails.
    pub is_stale: bool,
    /// Asking was tried a short while ago, and failed: give this at once.
    pub is_held: bool,
    /// It is time to fetch it anew. Said once.
    pub wants_refresh: bool,
    /// What the server said of it besides.
    pub errors: Arc<[ExtendedError]>,
}

/// Answers by their questions. It is shared by many, each of whom holds it for a short time.
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    options: CacheOptions,
}

impl Cache {
    /// An empty one.
    pub fn new(options: CacheOptions) -> Self {
        // Each part has room for some of the largest answers.
        let parts = (options.bytes / PART).clamp(1, MOST_PARTS);
        let shard = || {
            Mutex::new(Shard {
                limit: options.bytes / parts,
                ..Shard::default()
            })
        };
        Self {
            shards: std::iter::repeat_with(shard).take(parts).collect(),
            options,
        }
    }

    /// How it keeps.
    pub fn options(&self) -> &CacheOptions {
        &self.options
    }

    /// Keeps an answer to a question: NOERROR or NXDOMAIN, as it came. Returns what was found in
    /// it; what may not be kept (a TTL of 0, a denial without its SOA) is not.
    pub fn store(&self, query: &Query, message: &[u8], now: Instant) -> Option<Found> {
        let entry = Entry::of_answer(query, message, &self.options, now)?;
        // What came this moment is not stale, even if it holds no longer than that.
        let found = Found {
            remaining: entry.fresh_until - now,
            is_stale: false,
            ..entry.found(&self.options, now)
        };
        if entry.fresh_until > now {
            self.put(query, entry);
        }
        Some(found)
    }

    /// Remembers that nobody could answer, with the refusal if there was one. What expired is kept,
    /// and given for a while without asking.
    pub fn store_failure(
        &self,
        query: &Query,
        refusal: Option<&[u8]>,
        errors: &[ExtendedError],
        now: Instant,
    ) {
        let mut shard = self.shard(query.key());
        if let Some(entry) = shard.entry(query.key())
            && entry.kind != Kind::Failure
            && entry.stale_until > now
        {
            entry.held_until = Some(now + self.options.stale_recheck);
            return;
        }
        drop(shard);
        let message = match refusal.and_then(|m| Some((Walk::read(m).ok()?, m))) {
            Some((walk, message)) if walk.has_question() => {
                let mut message = message[..walk.question_end()].to_vec();
                message[6..12].fill(0);
                message
            }
            _ => {
                let mut message = vec![0, 0, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0];
                message.extend(query.wire());
                message
            }
        };
        let ttl = self
            .options
            .failure_ttl
            .clamp(SHORTEST_FAILURE, LONGEST_FAILURE);
        self.put(
            query,
            Entry {
                key: query.key().into(),
                message: canonical(message, query),
                ttls: Box::default(),
                kind: Kind::Failure,
                stored: now,
                fresh_until: now + ttl,
                stale_until: now + ttl,
                held_until: None,
                errors: errors.into(),
                is_used: false,
                is_refreshed: true,
            },
        );
    }

    /// Looks a question up; the message has id 0 and no OPT record.
    pub fn get(&self, query: &Query, now: Instant) -> Option<(Vec<u8>, Found)> {
        let mut message = Vec::new();
        let found = self.write(query.key(), now, &mut message)?;
        Some((message, found))
    }

    /// Looks a question up by its key, and writes the answer behind what is in `out`.
    pub(crate) fn write(&self, key: &[u8], now: Instant, out: &mut Vec<u8>) -> Option<Found> {
        let mut shard = self.shard(key);
        let found = match shard.entry(key) {
            Some(entry) if entry.stale_until > now => {
                entry.is_used = true;
                let found = entry.found(&self.options, now);
                entry.is_refreshed |= found.wants_refresh;
                entry.write(&self.options, now, out);
                Some(found)
            }
            _ => None,
        };
        match &found {
            None => shard.counts.misses += 1,
            Some(found) if found.is_stale => shard.counts.stale += 1,
            Some(_) => shard.counts.hits += 1,
        }
        found
    }

    /// Forgets what is known of one question. Returns whether there was something.
    pub fn forget(&self, query: &Query) -> bool {
        self.shard(query.key()).remove(query.key())
    }

    /// Forgets everything.
    pub fn clear(&self) {
        for shard in &self.shards {
            let mut shard = lock(shard);
            let counts = shard.counts;
            *shard = Shard {
                limit: shard.limit,
                counts,
                ..Shard::default()
            };
        }
    }

    /// What it has done and holds.
    pub fn counts(&self) -> CacheCounts {
        let mut sum = CacheCounts::default();
        for shard in &self.shards {
            let shard = lock(shard);
            sum.hits += shard.counts.hits;
            sum.misses += shard.counts.misses;
            sum.stale += shard.counts.stale;
            sum.stored += shard.counts.stored;
            sum.evicted += shard.counts.evicted;
            sum.entries += shard.index.len() as u64;
            sum.bytes += shard.bytes as u64;
        }
        sum
    }

    fn put(&self, query: &Query, entry: Entry) {
        self.shard(query.key()).put(entry);
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        // Not the map's own hash, whose seed differs from run to run: what is thrown out when must
        // not.
        let hash = key.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        lock(&self.shards[(hash >> 8) as usize % self.shards.len()])
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("options", &self.options)
            .field("counts", &self.counts())
            .finish()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One part of a cache. Who is thrown out is found by a clock's hand: it passes over what was used
/// since it came by last.
#[derive(Default)]
struct Shard {
    index: HashMap<Arc<[u8]>, usize>,
    slots: Vec<Option<Entry>>,
    free: Vec<usize>,
    hand: usize,
    bytes: usize,
    limit: usize,
    counts: CacheCounts,
}

impl Shard {
    fn entry(&mut self, key: &[u8]) -> Option<&mut Entry> {
        let slot = *self.index.get(key)?;
        self.slots[slot].as_mut()
    }

    fn put(&mut self, entry: Entry) {
        let size = entry.size();
        if size > self.limit {
            return;
        }
        self.remove(&entry.key);
        while self.bytes + size > self.limit {
            self.evict();
        }
        self.bytes += size;
        self.counts.stored += 1;
        let key = entry.key.clone();
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot] = Some(entry);
                slot
            }
            None => {
                self.slots.push(Some(entry));
                self.slots.len() - 1
            }
        };
        self.index.insert(key, slot);
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let Some(slot) = self.index.remove(key) else {
            return false;
        };
        if let Some(entry) = self.slots[slot].take() {
            self.bytes -= entry.size();
        }
        self.free.push(slot);
        true
    }

    /// Throws one out. There is one: the sum of their sizes is above 0.
    fn evict(&mut self) {
        loop {
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match &mut self.slots[self.hand] {
                Some(entry) if entry.is_used => entry.is_used = false,
                Some(entry) => {
                    let key = entry.key.clone();
                    self.counts.evicted += 1;
                    self.remove(&key);
                    return;
                }
                None => {}
            }
        }
    }
}

struct Entry {
    key: Arc<[u8]>,
    message: Box<[u8]>,
    /// Where TTLs stand in it.
    ttls: Box<[u16]>,
    kind: Kind,
    stored: Instant,
    fresh_until: Instant,
    /// At least `fresh_until`.
    stale_until: Instant,
    held_until: Option<Instant>,
    errors: Arc<[ExtendedError]>,
    is_used: bool,
    is_refreshed: bool,
}

impl Entry {
    fn of_answer(
        query: &Query,
        message: &[u8],
        options: &CacheOptions,
        now: Instant,
    ) -> Option<Self> {
        let walk = Walk::read(message).ok()?;
        let is_same = walk.question().eq_ignore_ascii_case(query.wire());
        let header = walk.header();
        if !header.has(Header::QR) || header.has(Header::TC) || !is_same {
            return None;
        }
        let opt = walk.opt().ok()?;
        let errors: Vec<ExtendedError> = opt.iter().flat_map(|o| extended_errors(o)).collect();
        let (mut body, additional) = match &opt {
            Some(opt) => {
                let before = walk.records().flatten();
                let before =
                    before.filter(|r| r.section == Section::Additional && r.start < opt.start);
                (message[..opt.start].to_vec(), before.count())
            }
            None => (message.to_vec(), usize::from(header.counts[3])),
        };
        // What stands behind the OPT record is left out: it is there to be helpful, and to move it
        // would mean to move what points into it.
        let additional = u16::try_from(additional).ok()?;
        body[10..12].copy_from_slice(&additional.to_be_bytes());
        let mut records: Vec<Record<'_>> = walk.records().collect::<Result<_, _>>().ok()?;
        records.retain(|r| r.record_type != RecordType::OPT && r.start < body.len());
        let wanted = RecordType(query.record_type().into());
        let has_wanted = records
            .iter()
            .filter(|r| r.section == Section::Answer)
            .any(|r| wanted == RecordType::ANY || r.record_type == wanted);
        let kind = match header.rcode() {
            Rcode::NXDOMAIN => Kind::NoName,
            Rcode::NOERROR if has_wanted => Kind::Records,
            // An alias alone: its target is yet to be asked for.
            Rcode::NOERROR if header.counts[1] > 0 && !has_soa(&records) => Kind::Records,
            Rcode::NOERROR => Kind::NoRecords,
            _ => return None,
        };
        let is_negative = kind != Kind::Records;
        let max = match is_negative {
            true => options.max_ttl.min(options.max_negative_ttl),
            false => options.max_ttl,
        };
        let max = u32::try_from(max.as_secs()).unwrap_or(u32::MAX);
        let min = u32::try_from(options.min_ttl.as_secs())
            .unwrap_or(u32::MAX)
            .min(max);
        let mut least = if is_negative && !has_soa(&records) {
            0
        } else {
            max
        };
        let mut ttls = Vec::with_capacity(records.len());
        for record in &records {
            // RFC 2181, section 8.
            let mut ttl = if record.ttl >> 31 == 1 { 0 } else { record.ttl };
            if is_negative && is_soa(record) {
                let minimum = record.rdata().last_chunk()?;
                ttl = ttl.min(u32::from_be_bytes(*minimum));
            }
            let ttl = ttl.clamp(min, max);
            least = least.min(ttl);
            let at = record.ttl_at();
            body[at..at + 4].copy_from_slice(&ttl.to_be_bytes());
            ttls.push(u16::try_from(at).ok()?);
        }
        let fresh_until = now + Duration::from_secs(least.into());
        Some(Self {
            key: query.key().into(),
            message: canonical(body, query),
            ttls: ttls.into(),
            kind,
            stored: now,
            fresh_until,
            stale_until: fresh_until + options.max_stale,
            held_until: None,
            errors: errors.into(),
            is_used: false,
            is_refreshed: false,
        })
    }

    fn found(&self, options: &CacheOptions, now: Instant) -> Found {
        let is_stale = now >= self.fresh_until;
        let remaining = match is_stale {
            true => options.stale_ttl,
            false => self.fresh_until - now,
        };
        let lifetime = self.fresh_until - self.stored;
        let late = lifetime * options.prefetch_percent / 100;
        Found {
            kind: self.kind,
            remaining,
            is_stale,
            is_held: is_stale && self.held_until.is_some_and(|until| until > now),
            wants_refresh: !is_stale && !self.is_refreshed && remaining < late,
            errors: self.errors.clone(),
        }
    }

    fn write(&self, options: &CacheOptions, now: Instant, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.message);
        let age = u32::try_from((now - self.stored).as_secs()).unwrap_or(u32::MAX);
        let stale = u32::try_from(options.stale_ttl.as_secs()).unwrap_or(u32::MAX);
        let is_stale = now >= self.fresh_until;
        for at in &self.ttls {
            let at = start + usize::from(*at);
            let Some(ttl) = out[at..].first_chunk_mut() else {
                continue;
            };
            let left = match is_stale {
                true => stale,
                false => u32::from_be_bytes(*ttl).saturating_sub(age),
            };
            *ttl = left.to_be_bytes();
        }
    }

    fn size(&self) -> usize {
        let errors: usize = self.errors.iter().map(|e| e.text.len() + 32).sum();
        OVERHEAD + self.key.len() + self.message.len() + 2 * self.ttls.len() + errors
    }
}

fn has_soa(records: &[Record<'_>]) -> bool {
    records.iter().any(is_soa)
}

fn is_soa(record: &Record<'_>) -> bool {
    record.section == Section::Authority && record.record_type == RecordType::SOA
}

/// What a server says of its answer besides (RFC 8914); four at most.
pub(crate) fn extended_errors(edns: &Edns<'_>) -> Vec<ExtendedError> {
    let errors = edns
        .options()
        .flatten()
        .filter(|(code, _)| *code == OptionCode::EXTENDED_ERROR);
    errors
        .take(4)
        .filter_map(|(_, data)| ExtendedError::read(data))
        .collect()
}

/// With id 0, not authoritative, and the name in lower case.
fn canonical(mut message: Vec<u8>, query: &Query) -> Box<[u8]> {
    message[..2].fill(0);
    message[2] &= !4;
    let name = query.wire_name();
    message[Header::LENGTH..Header::LENGTH + name.len()].copy_from_slice(name);
    message.into()
}

/// What an entry costs beside its own bytes: the slot, its place in the map, and what the allocator
/// adds to four pieces of memory.
const OVERHEAD: usize = size_of::<Option<Entry>>() + 2 * size_of::<(Arc<[u8]>, usize)>() + 4 * 16;

/// Bytes for which a part of its own is worth it.
const PART: usize = 512 * 1024;

/// Enough for the threads of a large machine not to meet often.
const MOST_PARTS: usize = 64;

/// RFC 9520, section 3.2.
const SHORTEST_FAILURE: Duration = Duration::from_secs(1);
const LONGEST_FAILURE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
