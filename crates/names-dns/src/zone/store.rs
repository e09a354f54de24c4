//! A zone as it is served: built once, never changed, shared by `Arc`.
//!
//! Nodes stand in canonical order (RFC 4034, 6.1), so that a node's
//! descendants follow it without a gap, and point into arenas of labels, sets
//! and RDATA: about 40 octets a name and 14 a record, above the data itself.

use std::fmt;
use std::sync::OnceLock;

use super::builder::{Path, label_at, rdata_at};
use super::labels::{LabelTable, NONE};
use crate::proto::{Class, Name, NameRef, RecordType, rdata};

/// A zone: an origin, and the records at and below it.
pub struct Zone {
    origin: Name,
    class: Class,
    nodes: Vec<ZoneNode>,
    sets: Vec<ZoneSet>,
    labels: Vec<u8>,
    data: Vec<u8>,
    table: LabelTable,
    records: usize,
    serial: u32,
    /// The nodes with NSEC3, once somebody asked for them.
    hashed: OnceLock<Box<[u32]>>,
}

/// A name; its sets are those up to the next node's first.
pub(super) struct ZoneNode {
    parent: u32,
    /// The first node that is not below this one.
    end: u32,
    label: u32,
    first_set: u32,
    flags: u8,
    /// Labels below the origin.
    depth: u8,
}

impl ZoneNode {
    pub(super) fn new(parent: u32, label: u32, first_set: u32) -> Self {
        Self {
            parent,
            end: 0,
            label,
            first_set,
            flags: 0,
            depth: 0,
        }
    }
}

/// Records of a type at a name.
pub(super) struct ZoneSet {
    pub(super) rdata: u32,
    pub(super) ttl: u32,
    pub(super) record_type: RecordType,
    pub(super) count: u16,
}

/// NS below the zone's top.
const CUT: u8 = 1;
/// A node above is a cut.
const BELOW_CUT: u8 = 2;
/// DNAME here.
const DNAME: u8 = 4;
/// A node above has DNAME.
const BELOW_DNAME: u8 = 8;
/// There is a child `*`.
const HAS_WILDCARD: u8 = 16;

impl Zone {
    #[expect(clippy::too_many_arguments, reason = "the builder's parts, each once")]
    pub(super) fn new(
        origin: Name,
        class: Class,
        nodes: Vec<ZoneNode>,
        sets: Vec<ZoneSet>,
        labels: Vec<u8>,
        data: Vec<u8>,
        table: LabelTable,
        records: usize,
    ) -> Self {
        let mut zone = Self {
            origin,
            class,
            nodes,
            sets,
            labels,
            data,
            table,
            records,
            serial: 0,
            hashed: OnceLock::new(),
        };
        zone.mark_nodes();
        let serial = zone
            .soa()
            .first()
            .last_chunk::<20>()
            .map_or(0, |&[a, b, c, d, ..]| u32::from_be_bytes([a, b, c, d]));
        zone.serial = serial;
        zone
    }

    /// What a node is because of its sets and of what is above and below it.
    fn mark_nodes(&mut self) {
        for at in 0..self.nodes.len() {
            let sets = self.sets_of(at);
            let has = |wanted| sets.iter().any(|set| set.record_type == wanted);
            let mut flags = 0;
            if has(RecordType::NS) && at != 0 {
                flags |= CUT;
            }
            if has(RecordType::DNAME) {
                flags |= DNAME;
            }
            if let Some(parent) = self.nodes.get(self.nodes[at].parent as usize) {
                // Both lie one bit above.
                flags |=
                    (parent.flags & (CUT | DNAME)) << 1 | parent.flags & (BELOW_CUT | BELOW_DNAME);
                self.nodes[at].depth = parent.depth + 1;
            }
            self.nodes[at].flags |= flags;
            if self.label(at) == b"*" && at != 0 {
                let parent = self.nodes[at].parent as usize;
                self.nodes[parent].flags |= HAS_WILDCARD;
            }
        }
        for at in (0..self.nodes.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the builder numbers by u32"
            )]
            let own = at as u32 + 1;
            let end = self.nodes[at].end.max(own);
            self.nodes[at].end = end;
            let parent = self.nodes[at].parent as usize;
            if let Some(parent) = self.nodes.get_mut(parent) {
                parent.end = parent.end.max(end);
            }
        }
    }

    fn sets_of(&self, node: usize) -> &[ZoneSet] {
        let start = self.nodes[node].first_set as usize;
        let end = match self.nodes.get(node + 1) {
            Some(next) => next.first_set as usize,
            None => self.sets.len(),
        };
        &self.sets[start..end]
    }

    fn label(&self, node: usize) -> &[u8] {
        label_at(&self.labels, self.nodes[node].label)
    }

    /// The zone's name.
    pub fn origin(&self) -> NameRef<'_> {
        self.origin.as_ref()
    }

    /// The zone's class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there is no record; never so, since an SOA is there.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// How many names there are, empty non-terminals included.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The octets of memory that the zone takes.
    pub fn memory(&self) -> usize {
        self.nodes.capacity() * size_of::<ZoneNode>()
            + self.sets.capacity() * size_of::<ZoneSet>()
            + self.labels.capacity()
            + self.data.capacity()
            + self.table.memory()
            + self.origin.as_wire().len()
            + size_of::<Self>()
    }

    /// The node at the zone's top.
    pub fn apex(&self) -> Node<'_> {
        Node { zone: self, at: 0 }
    }

    /// The zone's SOA.
    pub fn soa(&self) -> RrSet<'_> {
        self.apex()
            .rrset(RecordType::SOA)
            .expect("the builder makes no zone without SOA")
    }

    /// The SOA's serial number (RFC 1982 says how two compare).
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The node of this name, also where it is below a cut.
    pub fn node(&self, name: NameRef<'_>) -> Option<Node<'_>> {
        if !name.is_at_or_below(self.origin()) {
            return None;
        }
        let walk = self.walk(name)?;
        walk.is_exact().then_some(walk.node)
    }

    /// Looks for a name from the zone's top down, and says what was met: the
    /// first step of the algorithm of RFC 1034, section 4.3.2.
    ///
    /// Nothing where the name is not in the zone.
    pub fn walk(&self, name: NameRef<'_>) -> Option<Walk<'_>> {
        if !name.is_at_or_below(self.origin()) {
            return None;
        }
        let mut path = Path::new(name, self.origin());
        let mut node = 0_u32;
        let mut barrier = None;
        loop {
            let flags = self.nodes[node as usize].flags;
            let left = path.left();
            if barrier.is_none() && flags & (CUT | DNAME) != 0 {
                let here = Node {
                    zone: self,
                    at: node,
                };
                if flags & CUT != 0 {
                    barrier = Some(Barrier::Cut(here));
                } else if left > 0 {
                    barrier = Some(Barrier::Dname(here));
                }
            }
            let Some(label) = path.next() else {
                break;
            };
            let hash = self.table.hash(node, label);
            let child = self.table.find(hash, |child| {
                self.nodes[child as usize].parent == node
                    && self.label(child as usize).eq_ignore_ascii_case(label)
            });
            match child {
                Some(child) => node = child,
                None => {
                    return Some(Walk {
                        node: Node {
                            zone: self,
                            at: node,
                        },
                        missing: left,
                        barrier,
                    });
                }
            }
        }
        Some(Walk {
            node: Node {
                zone: self,
                at: node,
            },
            missing: 0,
            barrier,
        })
    }

    /// All nodes in canonical order, empty non-terminals included, the zone's top first.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator + Clone {
        self.node_range(0, self.nodes.len())
    }

    fn node_range(
        &self,
        start: usize,
        end: usize,
    ) -> impl DoubleEndedIterator<Item = Node<'_>> + ExactSizeIterator + Clone {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the builder numbers by u32"
        )]
        (start as u32..end as u32).map(|at| Node { zone: self, at })
    }

    /// The node with this number, as [`Node::number`] gives it.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn node_at(&self, number: u32) -> Node<'_> {
        assert!((number as usize) < self.nodes.len(), "no node {number}");
        Node {
            zone: self,
            at: number,
        }
    }

    /// The last node that is not behind `name` in canonical order: what an NSEC that covers the
    /// name begins with. Nothing where the name is not in the zone.
    pub fn predecessor(&self, name: NameRef<'_>) -> Option<Node<'_>> {
        let walk = self.walk(name)?;
        let closest = walk.node;
        let Some(missing) = walk.missing.checked_sub(1) else {
            return Some(closest);
        };
        // The label that was not found, among the descendants of where the walk ended.
        let label = name.labels().nth(missing)?;
        let depth = self.nodes[closest.at as usize].depth + 1;
        let (mut low, mut high) = (closest.at + 1, self.nodes[closest.at as usize].end);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut child = middle;
            while self.nodes[child as usize].depth > depth {
                child = self.nodes[child as usize].parent;
            }
            let order = crate::proto::name::cmp_labels(self.label(child as usize), label);
            if order.is_lt() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(Node {
            zone: self,
            at: low - 1,
        })
    }

    /// How names are hashed in the proofs of this zone: the data of its first
    /// NSEC3PARAM with SHA-1 and no flags, which are all that is known of (RFC
    /// 5155, section 4.1). A zone that changes its salt may have several.
    pub(crate) fn hash_parameters(&self) -> Option<&[u8]> {
        let mut all = self.apex().rrset(RecordType::NSEC3PARAM)?.rdata();
        all.find(|rdata| rdata.starts_with(&[1, 0]))
    }

    /// The numbers of the nodes with an NSEC3 of the zone's
    /// first NSEC3PARAM, in canonical order, which is that of
    /// their hashes (RFC 5155, section 1.3). Looked for when it is asked first.
    pub fn hashed(&self) -> &[u32] {
        self.hashed.get_or_init(|| {
            let Some([_, _, wanted @ ..]) = self.hash_parameters() else {
                return Box::default();
            };
            // Hash algorithm, flags of its own, and then what must be the same.
            let is_of_chain = |rdata: &[u8]| {
                rdata.first() == Some(&1) && rdata.get(2..).is_some_and(|r| r.starts_with(wanted))
            };
            self.apex()
                .descendants()
                .filter(|node| node.depth() == 1)
                .filter(|node| {
                    let set = node.rrset(RecordType::NSEC3);
                    set.is_some_and(|set| set.rdata().any(is_of_chain))
                })
                .map(Node::number)
                .collect()
        })
    }

    /// All records: the SOA first, then in canonical order of names and by type; what a transfer
    /// sends, but for the SOA at its end (RFC 5936).
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        let others = self
            .nodes()
            .flat_map(Node::rrsets)
            .filter(|set| set.record_type() != RecordType::SOA);
        std::iter::once(self.soa())
            .chain(others)
            .flat_map(|set| set.rdata().map(move |rdata| Record { set, rdata }))
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zone")
            .field("origin", &self.origin)
            .field("class", &self.class)
            .field("serial", &self.serial)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

/// What was met on the way from a zone's top down to a name.
#[derive(Debug, Clone, Copy)]
pub struct Walk<'z> {
    node: Node<'z>,
    missing: usize,
    barrier: Option<Barrier<'z>>,
}

impl<'z> Walk<'z> {
    /// The name's node, or its closest encloser (RFC 4592, 3.3.1).
    pub fn node(self) -> Node<'z> {
        self.node
    }

    /// Whether the name itself is there, be it as an empty non-terminal.
    pub fn is_exact(self) -> bool {
        self.missing == 0
    }

    /// How many labels of the name have no node; 0 where the name is there.
    pub fn missing(self) -> usize {
        self.missing
    }

    /// The first thing on the way that ends this zone's say: the uppermost cut
    /// at or above the name, or the uppermost DNAME above it, whichever is higher.
    ///
    /// A DNAME at the name itself is none, and where a name has both, it is the cut.
    pub fn barrier(self) -> Option<Barrier<'z>> {
        self.barrier
    }

    /// The wildcard that the name is made of where it is not there: the child `*` of the closest
    /// encloser, which is the source of synthesis (RFC 4592, 3.3.1).
    pub fn wildcard(self) -> Option<Node<'z>> {
        if self.missing == 0 {
            None
        } else {
            self.node.wildcard_child()
        }
    }
}

/// Where a zone's say ends.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Barrier<'z> {
    /// A delegation: NS below the zone's top. For DS at this very name the zone has its say still
    /// (RFC 4035, 3.1.4.1).
    Cut(Node<'z>),
    /// A DNAME, and the name is below it.
    Dname(Node<'z>),
}

/// A name of a zone, with its records.
#[derive(Clone, Copy)]
pub struct Node<'z> {
    zone: &'z Zone,
    at: u32,
}

impl<'z> Node<'z> {
    fn entry(self) -> &'z ZoneNode {
        &self.zone.nodes[self.at as usize]
    }

    /// The zone it is of.
    pub fn zone(self) -> &'z Zone {
        self.zone
    }

    /// Its place in canonical order, from 0 for the zone's top; below [`Zone::node_count`].
    pub fn number(self) -> u32 {
        self.at
    }

    /// The name, with the case of its letters as it was first written.
    pub fn name(self) -> Name {
        let mut wire = Vec::with_capacity(64);
        self.write_name(&mut wire);
        NameRef::trusted(&wire).to_name()
    }

    /// Appends the name in wire form.
    pub fn write_name(self, out: &mut Vec<u8>) {
        let mut node = self.entry();
        while node.parent != NONE {
            let start = node.label as usize;
            let length = usize::from(self.zone.labels[start]);
            out.extend_from_slice(&self.zone.labels[start..=start + length]);
            node = &self.zone.nodes[node.parent as usize];
        }
        out.extend_from_slice(self.zone.origin.as_wire());
    }

    /// The first label of the name, or the empty one at the zone's top.
    pub fn label(self) -> &'z [u8] {
        self.zone.label(self.at as usize)
    }

    /// How many labels the name has below the zone's origin.
    pub fn depth(self) -> usize {
        usize::from(self.entry().depth)
    }

    /// The node above, but for the zone's top.
    pub fn parent(self) -> Option<Self> {
        let at = self.entry().parent;
        (at != NONE).then_some(Self { at, ..self })
    }

    /// Its children `*` alone, if there is one.
    pub fn wildcard_child(self) -> Option<Self> {
        if self.entry().flags & HAS_WILDCARD == 0 {
            return None;
        }
        self.child(b"*")
    }

    /// The child of this label, in any case.
    pub fn child(self, label: &[u8]) -> Option<Self> {
        let zone = self.zone;
        let at = zone.table.find(zone.table.hash(self.at, label), |child| {
            zone.nodes[child as usize].parent == self.at
                && zone.label(child as usize).eq_ignore_ascii_case(label)
        })?;
        Some(Self { at, ..self })
    }

    /// All names below this one, in canonical order.
    pub fn descendants(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        self.zone
            .node_range(self.at as usize + 1, self.entry().end as usize)
    }

    /// Whether this is the zone's top.
    pub fn is_apex(self) -> bool {
        self.at == 0
    }

    /// Whether there are no records here, only below (RFC 4592, 2.2.2).
    pub fn is_empty_non_terminal(self) -> bool {
        self.zone.sets_of(self.at as usize).is_empty()
    }

    /// Whether this is a delegation: NS below the zone's top.
    pub fn is_cut(self) -> bool {
        self.entry().flags & CUT != 0
    }

    /// Whether there is a delegation above: what is here is glue, or nobody's.
    pub fn is_below_cut(self) -> bool {
        self.entry().flags & BELOW_CUT != 0
    }

    /// Whether there is a DNAME here.
    pub fn has_dname(self) -> bool {
        self.entry().flags & DNAME != 0
    }

    /// Whether there is a DNAME above, which hides what is here.
    pub fn is_below_dname(self) -> bool {
        self.entry().flags & BELOW_DNAME != 0
    }

    /// Whether the name begins with `*`.
    pub fn is_wildcard(self) -> bool {
        !self.is_apex() && self.label() == b"*"
    }

    /// The records of a type.
    pub fn rrset(self, record_type: RecordType) -> Option<RrSet<'z>> {
        let set = self
            .zone
            .sets_of(self.at as usize)
            .iter()
            .find(|set| set.record_type == record_type)?;
        Some(RrSet { node: self, set })
    }

    /// All sets here, by type in ascending order.
    pub fn rrsets(self) -> impl DoubleEndedIterator<Item = RrSet<'z>> + ExactSizeIterator + Clone {
        self.zone
            .sets_of(self.at as usize)
            .iter()
            .map(move |set| RrSet { node: self, set })
    }
}

impl PartialEq for Node<'_> {
    /// Whether both are the same name of the same zone.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.zone, other.zone) && self.at == other.at
    }
}

impl Eq for Node<'_> {}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.name(), f)
    }
}

/// The records of a type at a name (RFC 2181, section 5).
#[derive(Clone, Copy)]
pub struct RrSet<'z> {
    node: Node<'z>,
    set: &'z ZoneSet,
}

impl<'z> RrSet<'z> {
    /// The name.
    pub fn node(self) -> Node<'z> {
        self.node
    }

    /// The type.
    pub fn record_type(self) -> RecordType {
        self.set.record_type
    }

    /// The TTL, which all records of the set have.
    pub fn ttl(self) -> u32 {
        self.set.ttl
    }

    /// How many records there are: at least one.
    pub fn count(self) -> usize {
        usize::from(self.set.count)
    }

    /// The RDATA of each record, in canonical order (RFC 4034, 6.3).
    pub fn rdata(self) -> RdataIter<'z> {
        RdataIter {
            data: &self.node.zone.data[self.set.rdata as usize..],
            left: self.set.count,
        }
    }

    /// The RDATA of the first record.
    pub fn first(self) -> &'z [u8] {
        rdata_at(&self.node.zone.data, self.set.rdata)
    }

    /// The names in RDATA of this set, as [`rdata::names`].
    pub fn names_in(self, rdata: &[u8]) -> rdata::Names<'_> {
        rdata::names(self.node.zone.class, self.set.record_type, rdata)
    }
}

impl fmt::Debug for RrSet<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {} ×{}",
            self.node,
            self.record_type(),
            self.count()
        )
    }
}

/// The RDATA of a set's records.
#[derive(Debug, Clone)]
pub struct RdataIter<'z> {
    data: &'z [u8],
    left: u16,
}

impl<'z> Iterator for RdataIter<'z> {
    type Item = &'z [u8];

    fn next(&mut self) -> Option<&'z [u8]> {
        self.left = self.left.checked_sub(1)?;
        let rdata = rdata_at(self.data, 0);
        self.data = &self.data[2 + rdata.len()..];
        Some(rdata)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for RdataIter<'_> {}

/// A record of a zone.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Record<'z> {
    /// The set it is of, with its name, type and TTL.
    pub set: RrSet<'z>,
    /// Its data in wire form.
    pub rdata: &'z [u8],
}
