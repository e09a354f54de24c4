//! Records in any order become a zone.
//!
//! The builder keeps each record in 20 octets and its data, chained to its
//! owner's node; [`ZoneBuilder::finish`] puts the nodes into canonical order
//! and drops all that building alone needs.

use std::cmp::Ordering;
use std::fmt;

use super::labels::{LabelTable, NONE};
use super::store::{Zone, ZoneNode, ZoneSet};
use crate::proto::name::{MAX_LABELS, cmp_labels};
use crate::proto::{Class, Name, NameRef, RecordType, rdata, rdata::RdataError};

/// Builds a [`Zone`] of records in any order.
///
/// ```
/// use ropewalk_names_dns::proto::{Class, Name, RecordType};
/// use ropewalk_names_dns::zone::ZoneBuilder;
///
/// let origin: Name = "example.org".parse()?;
/// let mut zone = ZoneBuilder::new(origin.clone(), Class::IN);
/// let soa = b"\x02ns\0\x01h\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";
/// zone.push(origin.as_ref(), RecordType::SOA, 3600, soa)?;
/// zone.push(origin.as_ref(), RecordType::NS, 3600, b"\x02ns\0")?;
/// let zone = zone.finish()?;
/// assert_eq!(zone.serial(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ZoneBuilder {
    pub(super) origin: Name,
    pub(super) class: Class,
    pub(super) nodes: Vec<BuildNode>,
    pub(super) records: Vec<BuildRecord>,
    /// Each node's label, behind its length.
    labels: Vec<u8>,
    /// Each record's RDATA, behind its length of 16 bits.
    rdata: Vec<u8>,
    table: LabelTable,
    /// The owner of the last record: the next has the same one, more often than not.
    last_owner: Vec<u8>,
    last_node: u32,
}

/// A name with or above records.
pub(super) struct BuildNode {
    pub(super) parent: u32,
    label: u32,
    /// The chain of its records, in the order they came.
    pub(super) first: u32,
    last: u32,
}

/// A record, but for its owner.
pub(super) struct BuildRecord {
    pub(super) next: u32,
    rdata: u32,
    pub(super) ttl: u32,
    pub(super) place: Place,
    pub(super) record_type: RecordType,
}

/// Where a record comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The file's number with whoever reads; 0 for the first.
    pub(super) file: u16,
    /// From 1; 0 for none.
    pub(super) line: u32,
}

/// A record that no zone takes, or that is not this zone's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The owner is neither the origin nor below it.
    #[error("{owner} is not in the zone {origin}")]
    OutOfZone {
        /// The record's owner.
        owner: Name,
        /// The zone's origin.
        origin: Name,
    },
    /// A type that stands in messages only.
    #[error("{0} is not for zones")]
    Meta(RecordType),
    /// RDATA that the type does not allow.
    #[error("{0}: {1}")]
    Rdata(RecordType, #[source] RdataError),
    /// A TTL with its highest bit set (RFC 2181, section 8).
    #[error("a TTL of {0}: at most 2147483647 seconds expected")]
    Ttl(u32),
    /// More than 4 GiB of data or 4,294,967,294 records.
    #[error("the zone is too large: at most 4 GiB of names and of data expected")]
    TooLarge,
}

/// The greatest TTL (RFC 2181, section 8).
pub const MAX_TTL: u32 = 0x7FFF_FFFF;

/// The most records of one type at a name.
pub const MAX_RRSET: usize = 65_535;

/// A rule that a zone as a whole breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{owner}: {rule}")]
pub struct ZoneError {
    /// The name that it is about.
    pub owner: Name,
    /// The rule.
    pub rule: ZoneRule,
    pub(super) place: Place,
}

/// What a zone must be before it is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ZoneRule {
    /// RFC 1035, 5.2: an SOA at the top.
    NoSoa,
    /// RFC 1035, 5.2: one.
    SeveralSoas,
    /// An SOA at a name that is not the zone's top.
    SoaBelowApex,
    /// RFC 1035, 5.2: name servers at the top.
    NoNs,
    /// RFC 1034, 3.6.2: an alias has no other records, but those of DNSSEC (RFC 4035, 2.5).
    CnameAndOther,
    /// RFC 2181, 10.1: one alias.
    SeveralCnames,
    /// RFC 6672, 2.4: one.
    SeveralDnames,
    /// More than [`MAX_RRSET`] records of a type at a name.
    RrsetTooLarge,
}

impl fmt::Display for ZoneRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSoa => "the zone has no SOA",
            Self::SeveralSoas => "more than one SOA",
            Self::SoaBelowApex => "an SOA that is not at the zone's top",
            Self::NoNs => "the zone has no NS at its top",
            Self::CnameAndOther => "a CNAME beside other records",
            Self::SeveralCnames => "more than one CNAME",
            Self::SeveralDnames => "more than one DNAME",
            Self::RrsetTooLarge => "more than 65535 records of one type",
        })
    }
}

/// All the rules that a zone breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the zone cannot be served: {}", join(.0))]
pub struct ZoneErrors(pub Vec<ZoneError>);

fn join(errors: &[ZoneError]) -> String {
    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl ZoneBuilder {
    /// An empty zone to be.
    pub fn new(origin: Name, class: Class) -> Self {
        Self {
            origin,
            class,
            nodes: vec![BuildNode {
                parent: NONE,
                label: 0,
                first: NONE,
                last: NONE,
            }],
            records: Vec::new(),
            labels: vec![0],
            rdata: Vec::new(),
            table: LabelTable::with_capacity(0),
            last_owner: Vec::new(),
            last_node: NONE,
        }
    }

    /// The zone's origin.
    pub fn origin(&self) -> NameRef<'_> {
        self.origin.as_ref()
    }

    /// The zone's class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How many records were added, duplicates included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record was added.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether this name has records, or stands above one that has.
    pub fn contains(&self, name: NameRef<'_>) -> bool {
        self.find(name).is_some()
    }

    /// Adds a record with its RDATA in wire form, names not compressed.
    ///
    /// Where records of one type at one name have several TTLs, that of the first
    /// counts (RFC 2181, 5.2); one that is there already is dropped in the end.
    ///
    /// # Errors
    ///
    /// What cannot stand in this zone; the record is then not added.
    pub fn push(
        &mut self,
        owner: NameRef<'_>,
        record_type: RecordType,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), RecordError> {
        rdata::check(self.class, record_type, rdata)
            .map_err(|error| RecordError::Rdata(record_type, error))?;
        self.push_checked(owner, record_type, ttl, rdata, Place { file: 0, line: 0 })
    }

    /// Adds a record whose RDATA is known to be well-formed.
    pub(super) fn push_checked(
        &mut self,
        owner: NameRef<'_>,
        record_type: RecordType,
        ttl: u32,
        rdata: &[u8],
        place: Place,
    ) -> Result<(), RecordError> {
        if record_type.is_meta() || record_type.0 == 0 {
            return Err(RecordError::Meta(record_type));
        }
        if ttl > MAX_TTL {
            return Err(RecordError::Ttl(ttl));
        }
        let length = u16::try_from(rdata.len())
            .map_err(|_| RecordError::Rdata(record_type, RdataError::TooLong))?;
        // To its end: in another order, any of them may be the last.
        let start = offset(self.rdata.len(), 2 + rdata.len())?;
        let record = number(self.records.len())?;
        let node = if self.last_owner == owner.as_wire() {
            self.last_node
        } else {
            let node = self.node_of(owner)?;
            self.last_owner.clear();
            self.last_owner.extend_from_slice(owner.as_wire());
            self.last_node = node;
            node
        };
        self.rdata.extend(length.to_be_bytes());
        self.rdata.extend_from_slice(rdata);
        self.records.push(BuildRecord {
            next: NONE,
            rdata: start,
            ttl,
            place,
            record_type,
        });
        let node = &mut self.nodes[node as usize];
        let before = std::mem::replace(&mut node.last, record);
        if before == NONE {
            node.first = record;
        } else {
            self.records[before as usize].next = record;
        }
        Ok(())
    }

    /// The node of a name, made with all that are missing above it.
    fn node_of(&mut self, owner: NameRef<'_>) -> Result<u32, RecordError> {
        if !owner.is_at_or_below(self.origin.as_ref()) {
            return Err(RecordError::OutOfZone {
                owner: owner.to_name(),
                origin: self.origin.clone(),
            });
        }
        let mut node = 0;
        for label in Path::new(owner, self.origin.as_ref()) {
            let hash = self.table.hash(node, label);
            let found = self
                .table
                .find(hash, |child| self.is_child(child, node, label));
            node = match found {
                Some(child) => child,
                None => {
                    let child = number(self.nodes.len())?;
                    let at = offset(self.labels.len(), 1 + label.len())?;
                    #[expect(clippy::cast_possible_truncation, reason = "at most 63")]
                    self.labels.push(label.len() as u8);
                    self.labels.extend_from_slice(label);
                    self.nodes.push(BuildNode {
                        parent: node,
                        label: at,
                        first: NONE,
                        last: NONE,
                    });
                    let (nodes, labels) = (&self.nodes, &self.labels);
                    self.table.insert(hash, child, |table, node| {
                        let node = &nodes[node as usize];
                        table.hash(node.parent, label_at(labels, node.label))
                    });
                    child
                }
            };
        }
        Ok(node)
    }

    fn is_child(&self, child: u32, parent: u32, label: &[u8]) -> bool {
        let node = &self.nodes[child as usize];
        node.parent == parent && label_at(&self.labels, node.label).eq_ignore_ascii_case(label)
    }

    /// The RDATA of a record.
    pub(super) fn rdata_of(&self, record: &BuildRecord) -> &[u8] {
        rdata_at(&self.rdata, record.rdata)
    }

    /// The label of a node.
    pub(super) fn label_of(&self, node: u32) -> &[u8] {
        label_at(&self.labels, self.nodes[node as usize].label)
    }

    /// The name of a node.
    pub(super) fn name_of(&self, mut node: u32) -> Name {
        let mut wire = Vec::new();
        while node != 0 {
            let label = self.label_of(node);
            #[expect(clippy::cast_possible_truncation, reason = "at most 63")]
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
            node = self.nodes[node as usize].parent;
        }
        wire.extend_from_slice(self.origin.as_wire());
        NameRef::trusted(&wire).to_name()
    }

    /// The node of a name, if there is one.
    pub(super) fn find(&self, name: NameRef<'_>) -> Option<u32> {
        if !name.is_at_or_below(self.origin.as_ref()) {
            return None;
        }
        let mut node = 0;
        for label in Path::new(name, self.origin.as_ref()) {
            let hash = self.table.hash(node, label);
            node = self
                .table
                .find(hash, |child| self.is_child(child, node, label))?;
        }
        Some(node)
    }

    /// The numbers of a node's records, in the order they came.
    pub(super) fn records_of(&self, node: u32) -> impl Iterator<Item = &BuildRecord> {
        let mut next = self.nodes[node as usize].first;
        std::iter::from_fn(move || {
            let record = self.records.get(next as usize)?;
            next = record.next;
            Some(record)
        })
    }

    /// The nodes in canonical order.
    pub(super) fn ordered(&self) -> Vec<u32> {
        // A node's parent, the first octets of its label, and its number: sorted
        // as one integer, which leaves only long labels that begin alike.
        let mut children: Vec<u128> = (1..self.nodes.len())
            .map(|node| {
                #[expect(clippy::cast_possible_truncation, reason = "checked as it was pushed")]
                let node = node as u32;
                let mut prefix = [0; 8];
                for (to, from) in prefix.iter_mut().zip(self.label_of(node)) {
                    *to = from.to_ascii_lowercase();
                }
                u128::from(self.nodes[node as usize].parent) << 96
                    | u128::from(u64::from_be_bytes(prefix)) << 32
                    | u128::from(node)
            })
            .collect();
        children.sort_unstable();
        for alike in children.chunk_by_mut(|a, b| a >> 32 == b >> 32) {
            if alike.len() > 1 {
                alike.sort_unstable_by(|a, b| {
                    cmp_labels(self.label_of(low_half(*a)), self.label_of(low_half(*b)))
                });
            }
        }
        // Where each node's children begin.
        let mut first_child = vec![NONE; self.nodes.len()];
        for (at, child) in (0_u32..).zip(&children) {
            let first = &mut first_child[(child >> 96) as usize];
            *first = at.min(*first);
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        order.push(0);
        let mut open = vec![(first_child[0], 0)];
        while let Some((at, parent)) = open.last_mut() {
            let child = children
                .get(*at as usize)
                .filter(|child| (*child >> 96) as usize == *parent);
            let Some(&child) = child else {
                open.pop();
                continue;
            };
            *at += 1;
            let child = low_half(child);
            order.push(child);
            if first_child[child as usize] != NONE {
                open.push((first_child[child as usize], child as usize));
            }
        }
        order
    }

    /// Makes the zone.
    ///
    /// # Errors
    ///
    /// All rules that it breaks, at most 100.
    pub fn finish(self) -> Result<Zone, ZoneErrors> {
        let order = self.ordered();
        let mut errors = Vec::new();
        let mut new_number = vec![0; self.nodes.len()];
        for (new, &old) in (0_u32..).zip(&order) {
            new_number[old as usize] = new;
        }
        let mut table = LabelTable::with_capacity(order.len());
        let mut nodes = Vec::with_capacity(order.len() + 1);
        let mut sets = Vec::with_capacity(self.records.len());
        let mut labels = Vec::with_capacity(self.labels.len());
        let mut data = Vec::with_capacity(self.rdata.len());
        let mut here: Vec<&BuildRecord> = Vec::new();
        let mut count = 0;
        for (new, &old) in (0_u32..).zip(&order) {
            let node = &self.nodes[old as usize];
            let first_set = number_of(sets.len());
            here.clear();
            here.extend(self.records_of(old));
            self.check_node(old, &here, &mut errors);
            if here.len() > 1 {
                // Stable, so that the first record of each type stays known by its TTL.
                here.sort_by_key(|record| record.record_type);
            }
            for set in here.chunk_by_mut(|a, b| a.record_type == b.record_type) {
                let ttl = set[0].ttl;
                let record_type = set[0].record_type;
                let start = number_of(data.len());
                let kept = self.sort_set(set);
                for record in &set[..kept] {
                    let rdata = self.rdata_of(record);
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "checked as it was pushed"
                    )]
                    data.extend((rdata.len() as u16).to_be_bytes());
                    data.extend_from_slice(rdata);
                }
                count += kept;
                sets.push(ZoneSet {
                    rdata: start,
                    ttl,
                    record_type,
                    // Too many are an error above.
                    count: u16::try_from(kept).unwrap_or(u16::MAX),
                });
            }
            let label = self.label_of(old);
            let parent = if new == 0 {
                NONE
            } else {
                let parent = new_number[node.parent as usize];
                table.insert(table.hash(parent, label), new, |_, _| {
                    unreachable!("the table has room for all nodes")
                });
                parent
            };
            nodes.push(ZoneNode::new(parent, number_of(labels.len()), first_set));
            #[expect(clippy::cast_possible_truncation, reason = "at most 63")]
            labels.push(label.len() as u8);
            labels.extend_from_slice(label);
        }
        if !errors.is_empty() {
            return Err(ZoneErrors(errors));
        }
        sets.shrink_to_fit();
        data.shrink_to_fit();
        Ok(Zone::new(
            self.origin,
            self.class,
            nodes,
            sets,
            labels,
            data,
            table,
            count,
        ))
    }

    /// Sorts the records of a set canonically (RFC 4034, 6.3) and puts those that are there twice
    /// behind; gives how many are left.
    fn sort_set(&self, set: &mut [&BuildRecord]) -> usize {
        if set.len() == 1 {
            return 1;
        }
        let record_type = set[0].record_type;
        let compare = |a: &BuildRecord, b: &BuildRecord| self.cmp_rdata(record_type, a, b);
        set.sort_by(|a, b| compare(a, b));
        let mut kept = 1;
        for at in 1..set.len() {
            if compare(set[kept - 1], set[at]) != Ordering::Equal {
                set[kept] = set[at];
                kept += 1;
            }
        }
        kept
    }

    /// The canonical order of two records of a type.
    pub(super) fn cmp_rdata(
        &self,
        record_type: RecordType,
        a: &BuildRecord,
        b: &BuildRecord,
    ) -> Ordering {
        let (a, b) = (self.rdata_of(a), self.rdata_of(b));
        if rdata::names(self.class, record_type, a).next().is_none() {
            return a.cmp(b);
        }
        let canonical = |rdata: &[u8]| {
            let mut rdata = rdata.to_vec();
            rdata::canonicalise(self.class, record_type, &mut rdata);
            rdata
        };
        canonical(a).cmp(&canonical(b))
    }

    /// The rules that need one node only.
    pub(super) fn check_node(
        &self,
        node: u32,
        records: &[&BuildRecord],
        errors: &mut Vec<ZoneError>,
    ) {
        let mut report = |rule, place| {
            if errors.len() < MAX_ERRORS {
                errors.push(ZoneError {
                    owner: self.name_of(node),
                    rule,
                    place,
                });
            }
        };
        let nowhere = Place { file: 0, line: 0 };
        // The second record of a type that differs from the first.
        let second = |record_type| {
            let mut of_type = records.iter().filter(|r| r.record_type == record_type);
            let first = of_type.next()?;
            of_type
                .find(|other| self.cmp_rdata(record_type, first, other) != Ordering::Equal)
                .map(|other| other.place)
        };
        let first = |record_type| records.iter().find(|r| r.record_type == record_type);
        if node == 0 {
            if first(RecordType::SOA).is_none() {
                report(ZoneRule::NoSoa, nowhere);
            }
            if first(RecordType::NS).is_none() {
                report(ZoneRule::NoNs, nowhere);
            }
            if let Some(place) = second(RecordType::SOA) {
                report(ZoneRule::SeveralSoas, place);
            }
        } else if let Some(soa) = first(RecordType::SOA) {
            report(ZoneRule::SoaBelowApex, soa.place);
        }
        if let Some(cname) = first(RecordType::CNAME) {
            if let Some(place) = second(RecordType::CNAME) {
                report(ZoneRule::SeveralCnames, place);
            }
            let other = records.iter().find(|r| !may_stand_by_cname(r.record_type));
            if let Some(other) = other {
                report(ZoneRule::CnameAndOther, other.place.max(cname.place));
            }
        }
        if first(RecordType::DNAME).is_some()
            && let Some(place) = second(RecordType::DNAME)
        {
            report(ZoneRule::SeveralDnames, place);
        }
        if records.len() > MAX_RRSET {
            let mut types: Vec<_> = records.iter().map(|r| (r.record_type, r.place)).collect();
            types.sort_unstable();
            for set in types.chunk_by(|a, b| a.0 == b.0) {
                if let Some((_, place)) = set.get(MAX_RRSET) {
                    report(ZoneRule::RrsetTooLarge, *place);
                }
            }
        }
    }
}

impl fmt::Debug for ZoneBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZoneBuilder")
            .field("origin", &self.origin)
            .field("class", &self.class)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// A CNAME itself, and what DNSSEC puts beside it (RFC 4035, 2.5; RFC 3007, section 3.1).
fn may_stand_by_cname(record_type: RecordType) -> bool {
    matches!(
        record_type,
        RecordType::CNAME
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::SIG
            | RecordType::NXT
            | RecordType::KEY
    )
}

/// The labels of a name below a zone's origin, from the origin's side.
pub(super) struct Path<'a> {
    wire: &'a [u8],
    starts: [u8; MAX_LABELS],
    left: usize,
}

impl<'a> Path<'a> {
    /// For a name that is at or below `origin`.
    pub(super) fn new(name: NameRef<'a>, origin: NameRef<'_>) -> Self {
        let wire = name.as_wire();
        let end = wire.len() - origin.as_wire().len();
        let mut starts = [0; MAX_LABELS];
        let (mut at, mut left) = (0_u8, 0);
        while usize::from(at) < end {
            starts[left] = at;
            left += 1;
            at += 1 + wire[usize::from(at)];
        }
        Self { wire, starts, left }
    }

    /// How many labels have not been given yet.
    pub(super) fn left(&self) -> usize {
        self.left
    }
}

impl<'a> Iterator for Path<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.left = self.left.checked_sub(1)?;
        let start = usize::from(self.starts[self.left]);
        let length = usize::from(self.wire[start]);
        Some(&self.wire[start + 1..=start + length])
    }
}

/// A label of an arena.
pub(super) fn label_at(labels: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    &labels[at + 1..=at + usize::from(labels[at])]
}

/// RDATA of an arena.
pub(super) fn rdata_at(data: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    let length = usize::from(u16::from_be_bytes([data[at], data[at + 1]]));
    &data[at + 2..at + 2 + length]
}

/// Where so many octets go behind those that are there, if all of them can be
/// told by 32 bits.
fn offset(held: usize, more: usize) -> Result<u32, RecordError> {
    match u32::try_from(held + more) {
        Ok(_) => u32::try_from(held).map_err(|_| RecordError::TooLarge),
        Err(_) => Err(RecordError::TooLarge),
    }
}

fn number(count: usize) -> Result<u32, RecordError> {
    u32::try_from(count)
        .ok()
        .filter(|&number| number != NONE)
        .ok_or(RecordError::TooLarge)
}

/// A position in something that is no larger than what it is made of.
fn number_of(count: usize) -> u32 {
    u32::try_from(count).expect("the builder's arenas are no larger than 4 GiB")
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn low_half(key: u128) -> u32 {
    key as u32
}

/// The most errors of a zone that are told.
const MAX_ERRORS: usize = 100;
