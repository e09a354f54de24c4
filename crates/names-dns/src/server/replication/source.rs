//! The records of an answer, one after the other, out of what is there
//! anyway.

use std::sync::Arc;

use super::history::{Difference, Row, soa};
use crate::{
    proto::{
        Class, Name, RecordType, Serial, SoaNumbers,
        transfer::{Entry, Source},
    },
    zone::Zone,
};

/// What a transfer sends.
pub(super) enum Records {
    /// The SOA alone: there is nothing new, or UDP has no room.
    Soa(Option<Row>, Class),
    Whole(WholeZone),
    Differences(Differences),
}

impl Records {
    pub(super) fn soa(zone: &Zone) -> Self {
        Self::Soa(Some(soa(zone)), zone.class())
    }

    /// For the log.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Soa(..) => "SOA",
            Self::Whole(_) => "whole",
            Self::Differences(_) => "differences",
        }
    }
}

impl Source for Records {
    fn current(&self) -> Option<Entry<'_>> {
        match self {
            Self::Soa(row, class) => row.as_ref().map(|row| entry(row, *class)),
            Self::Whole(zone) => zone.current(),
            Self::Differences(differences) => differences.current(),
        }
    }

    fn advance(&mut self) {
        match self {
            Self::Soa(row, _) => *row = None,
            Self::Whole(zone) => zone.advance(),
            Self::Differences(differences) => differences.advance(),
        }
    }
}

fn entry(row: &Row, class: Class) -> Entry<'_> {
    Entry {
        name: row.name.as_ref(),
        record_type: row.record_type,
        class,
        ttl: row.ttl,
        rdata: &row.rdata,
    }
}

/// A whole zone: the SOA, all else, the SOA (RFC 5936, section 2.2). Of it one
/// set is copied at a time.
pub(super) struct WholeZone {
    zone: Arc<Zone>,
    /// The node and its set that come next.
    next: (u32, usize),
    /// The last SOA was loaded.
    ended: bool,
    owner: Name,
    record_type: RecordType,
    ttl: u32,
    /// The data of the set that is sent, and where in it each record ends.
    data: Vec<u8>,
    ends: Vec<usize>,
    at: usize,
}

impl WholeZone {
    pub(super) fn new(zone: Arc<Zone>) -> Self {
        let mut this = Self {
            owner: zone.origin().to_name(),
            zone,
            next: (0, 0),
            ended: false,
            record_type: RecordType::SOA,
            ttl: 0,
            data: Vec::new(),
            ends: Vec::new(),
            at: 0,
        };
        this.load_soa();
        this
    }

    fn load_soa(&mut self) {
        let zone = self.zone.clone();
        self.owner = zone.origin().to_name();
        self.load(&zone.soa());
    }

    fn load(&mut self, set: &crate::zone::RrSet<'_>) {
        self.record_type = set.record_type();
        self.ttl = set.ttl();
        self.data.clear();
        self.ends.clear();
        self.at = 0;
        for rdata in set.rdata() {
            self.data.extend_from_slice(rdata);
            self.ends.push(self.data.len());
        }
    }

    /// Goes on to the next set but the SOA, and at last to the SOA.
    fn load_next(&mut self) {
        let zone = self.zone.clone();
        while (self.next.0 as usize) < zone.node_count() {
            let node = zone.node_at(self.next.0);
            match node.rrsets().nth(self.next.1) {
                Some(set) => {
                    self.next.1 += 1;
                    if set.record_type() == RecordType::SOA {
                        continue;
                    }
                    if self.next.1 == 1 || node.is_apex() {
                        self.owner = node.name();
                    }
                    return self.load(&set);
                }
                None => self.next = (self.next.0 + 1, 0),
            }
        }
        match self.ended {
            true => self.ends.clear(),
            false => self.load_soa(),
        }
        self.ended = true;
    }
}

impl Source for WholeZone {
    fn current(&self) -> Option<Entry<'_>> {
        let end = *self.ends.get(self.at)?;
        let start = match self.at {
            0 => 0,
            at => self.ends[at - 1],
        };
        Some(Entry {
            name: self.owner.as_ref(),
            record_type: self.record_type,
            class: self.zone.class(),
            ttl: self.ttl,
            rdata: &self.data[start..end],
        })
    }

    fn advance(&mut self) {
        self.at += 1;
        if self.at == self.ends.len() {
            self.load_next();
        }
    }
}

/// The way from one version to the newest (RFC 1995, section 4): its SOA, then
/// for each version what goes and what comes, each behind its SOA, and the
/// newest SOA at the end.
pub(super) struct Differences {
    class: Class,
    newest: Arc<Difference>,
    differences: Vec<Arc<Difference>>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    First,
    /// Of a difference, the record with this number: `from`, what goes, `to`,
    /// what comes.
    Within(usize, usize),
    Last,
    End,
}

impl Differences {
    /// Of at least one difference.
    pub(super) fn new(differences: Vec<Arc<Difference>>, class: Class) -> Option<Self> {
        Some(Self {
            class,
            newest: differences.last()?.clone(),
            differences,
            stage: Stage::First,
        })
    }

    /// The serial that they lead to.
    pub(super) fn newest(&self) -> Option<Serial> {
        SoaNumbers::read(&self.newest.to.rdata).map(|numbers| numbers.serial)
    }

    fn row(&self) -> Option<&Row> {
        match self.stage {
            Stage::First | Stage::Last => Some(&self.newest.to),
            Stage::Within(which, at) => {
                let difference = self.differences.get(which)?;
                let removed = difference.removed.len();
                match at {
                    0 => Some(&difference.from),
                    at if at <= removed => difference.removed.get(at - 1),
                    at if at == removed + 1 => Some(&difference.to),
                    at => difference.added.get(at - removed - 2),
                }
            }
            Stage::End => None,
        }
    }
}

impl Source for Differences {
    fn current(&self) -> Option<Entry<'_>> {
        self.row().map(|row| entry(row, self.class))
    }

    fn advance(&mut self) {
        self.stage = match self.stage {
            Stage::First => Stage::Within(0, 0),
            Stage::Within(which, at) => Stage::Within(which, at + 1),
            Stage::Last | Stage::End => Stage::End,
        };
        if let Stage::Within(which, _) = self.stage
            && self.row().is_none()
        {
            self.stage = match which + 1 < self.differences.len() {
                true => Stage::Within(which + 1, 0),
                false => Stage::Last,
            };
        }
    }
}
