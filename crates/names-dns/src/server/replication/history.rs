//! What changed between versions of a zone.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::{
    proto::{Name, RecordType, Serial},
    zone::{RrSet, Zone},
};

/// A record that is kept beside its zone.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    pub(super) ttl: u32,
    pub(super) rdata: Box<[u8]>,
}

impl Row {
    fn octets(&self) -> usize {
        // What it takes with what is around it.
        size_of::<Self>() + self.name.as_wire().len() + self.rdata.len()
    }
}

/// The SOA of a zone.
pub(super) fn soa(zone: &Zone) -> Row {
    let soa = zone.soa();
    Row {
        name: zone.origin().to_name(),
        record_type: RecordType::SOA,
        ttl: soa.ttl(),
        rdata: soa.first().into(),
    }
}

/// The way from one version to the next.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) from: Row,
    pub(super) to: Row,
    pub(super) removed: Vec<Row>,
    pub(super) added: Vec<Row>,
    from_serial: Serial,
    octets: usize,
}

impl Difference {
    /// Compares two versions; none if it would take more than `most` octets,
    /// or as much as the new version itself.
    pub(super) fn between(old: &Zone, new: &Zone, most: usize) -> Option<Self> {
        let mut difference = Self {
            from: soa(old),
            to: soa(new),
            removed: Vec::new(),
            added: Vec::new(),
            from_serial: Serial(old.serial()),
            octets: 0,
        };
        let most = most.min(new.memory());
        let mut olds = old.nodes().peekable();
        let mut news = new.nodes().peekable();
        loop {
            if difference.octets > most {
                return None;
            }
            // Both are in canonical order.
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return Some(difference),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(old), Some(new)) => old.name().as_ref().cmp(&new.name().as_ref()),
            };
            let old = olds.next_if(|_| order.is_le());
            let new = news.next_if(|_| order.is_ge());
            let mut old_sets = old.into_iter().flat_map(|node| node.rrsets()).peekable();
            let mut new_sets = new.into_iter().flat_map(|node| node.rrsets()).peekable();
            loop {
                let order = match (old_sets.peek(), new_sets.peek()) {
                    (None, None) => break,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(old), Some(new)) => old.record_type().cmp(&new.record_type()),
                };
                let old = old_sets.next_if(|_| order.is_le());
                let new = new_sets.next_if(|_| order.is_ge());
                difference.compare(old, new);
            }
        }
    }

    /// Compares two sets of a name and type.
    fn compare(&mut self, old: Option<RrSet<'_>>, new: Option<RrSet<'_>>) {
        let record_type = old.or(new).map(RrSet::record_type);
        if record_type == Some(RecordType::SOA) {
            return;
        }
        let is_same_ttl = match (old, new) {
            (Some(old), Some(new)) => old.ttl() == new.ttl(),
            _ => false,
        };
        let old_data = old.map(RrSet::rdata).into_iter().flatten();
        let new_data = new.map(RrSet::rdata).into_iter().flatten();
        if is_same_ttl && old_data.eq(new_data) {
            return;
        }
        // With another TTL, all records are others.
        let none = HashSet::new();
        let (in_old, in_new): (HashSet<_>, HashSet<_>) = match is_same_ttl {
            true => (
                old.into_iter().flat_map(RrSet::rdata).collect(),
                new.into_iter().flat_map(RrSet::rdata).collect(),
            ),
            false => (none.clone(), none),
        };
        for (set, others, rows) in [
            (old, in_new, &mut self.removed),
            (new, in_old, &mut self.added),
        ] {
            let Some(set) = set else { continue };
            for rdata in set.rdata().filter(|rdata| !others.contains(rdata)) {
                let row = Row {
                    name: set.node().name(),
                    record_type: set.record_type(),
                    ttl: set.ttl(),
                    rdata: rdata.into(),
                };
                self.octets += row.octets();
                rows.push(row);
            }
        }
    }
}

/// The last versions of a zone, as far as there is room.
#[derive(Debug, Default)]
pub(super) struct History {
    differences: VecDeque<Arc<Difference>>,
    octets: usize,
}

impl History {
    /// Notes how the newest version came to be; `None` breaks the way from all
    /// older ones.
    pub(super) fn push(&mut self, difference: Option<Difference>, versions: usize, octets: usize) {
        let Some(difference) = difference else {
            return *self = Self::default();
        };
        self.octets += difference.octets;
        self.differences.push_back(Arc::new(difference));
        while self.differences.len() > versions || self.octets > octets {
            match self.differences.pop_front() {
                Some(oldest) => self.octets -= oldest.octets,
                None => break,
            }
        }
    }

    /// The way from a version to the newest, if it is known.
    pub(super) fn since(&self, serial: Serial) -> Option<Vec<Arc<Difference>>> {
        let first = self
            .differences
            .iter()
            .rposition(|difference| difference.from_serial == serial)?;
        Some(self.differences.iter().skip(first).cloned().collect())
    }
}
