//! The answer algorithm (RFC 1034, section 4.3.2), without I/O: what zones say
//! to a name and a type.
//!
//! With it: wildcards and empty non-terminals (RFC 4592), DNAME (RFC 6672), SOA
//! where there is nothing (RFC 2308), rcodes of chains (RFC 6604), the records
//! of DNSSEC that stand in a zone (RFC 4035, section 3.1; RFC 5155, section
//! 7.2), minimal answers to ANY (RFC 8482), addresses for SVCB (RFC 9460,
//! section 4.1). Chains of aliases are followed through all zones that are
//! served here, as NSD does. Answers are minimal: no NS where nobody needs
//! them.

use super::{
    deny::{self, Denial},
    rate::Kind,
};
use crate::{
    proto::{
        Class, Full, MessageWriter, Name, NameRef, Rcode, RecordType, Section, name::MAX_NAME,
    },
    zone::{Barrier, Entry, Node, RrSet, Walk, Zone, ZoneMap},
};

/// Aliases that are followed; a longer chain ends there, and the asker goes on.
const CHAIN: usize = 16;

/// Names whose addresses are looked for, at most: a zone may have thousands of
/// NS at a name, and no answer has room for so many.
const ADDITIONAL: usize = 64;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: NameRef<'a>,
    pub(super) record_type: RecordType,
    pub(super) dnssec: bool,
}

/// What an answer is, beyond what stands in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'z> {
    pub(super) rcode: Rcode,
    pub(super) authoritative: bool,
    /// Something that must be there had no room.
    pub(super) truncated: bool,
    /// Something that may be missing had no room.
    pub(super) incomplete: bool,
    pub(super) kind: Kind,
    /// Whether it may be used again for its whole family.
    pub(super) keep: bool,
    /// The node, or closest encloser, of the name that was asked for.
    pub(super) first: Option<Node<'z>>,
}

/// Which questions have the same answer, so that it may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// The same question alone.
    Exact,
    /// Those about the same name, for types that it has not.
    NoData,
    /// Those of the type about names that one wildcard stands for.
    Wildcard,
    /// Those about such names, for types that it has not.
    WildcardNoData,
    /// Those about missing names with the same closest encloser.
    Missing,
    /// Those at and below one delegation.
    Cut,
    /// None, as far as is known.
    None,
}

/// Finds the family of a question, and the node that it has in common.
pub(super) fn family<'z>(zones: &'z ZoneMap, asked: Asked<'_>) -> (Family, Option<Node<'z>>) {
    let Some(zone) = entry_for(zones, asked).and_then(Entry::zone) else {
        return (Family::None, None);
    };
    let Some(walk) = zone.walk(asked.name) else {
        return (Family::None, None);
    };
    let has = |node: Node<'_>| {
        asked.record_type == RecordType::ANY
            || node.rrset(asked.record_type).is_some()
            || node.rrset(RecordType::CNAME).is_some()
    };
    // A proof that something is not there is for one name.
    let proves = || asked.dnssec && deny::is_signed(zone);
    match walk.barrier() {
        Some(Barrier::Cut(cut)) if !is_parents_own(asked, walk, cut) => (Family::Cut, Some(cut)),
        Some(Barrier::Dname(_)) => (Family::None, None),
        _ => match place(walk) {
            Place::There(node) if has(node) => (Family::Exact, Some(node)),
            Place::There(node) => (Family::NoData, Some(node)),
            _ if proves() => (Family::None, None),
            Place::Wildcard(wildcard, _) if has(wildcard) => (Family::Wildcard, Some(wildcard)),
            Place::Wildcard(wildcard, _) => (Family::WildcardNoData, Some(wildcard)),
            Place::Missing(encloser) => (Family::Missing, Some(encloser)),
        },
    }
}

/// Where a name is in a zone.
#[derive(Clone, Copy)]
enum Place<'z> {
    /// Here, be it as an empty non-terminal.
    There(Node<'z>),
    /// This wildcard stands for it, below the closest encloser.
    Wildcard(Node<'z>, Node<'z>),
    /// Nowhere; the closest encloser.
    Missing(Node<'z>),
}

/// Where a walk led, which met neither a cut nor a DNAME.
fn place(walk: Walk<'_>) -> Place<'_> {
    let node = walk.node();
    // The owners of NSEC3 are no names of the zone (RFC 5155, section 7.2.8).
    let is_proof = |set: RrSet<'_>| {
        let record_type = set.record_type();
        record_type == RecordType::NSEC3 || record_type == RecordType::RRSIG
    };
    let hides = node.rrset(RecordType::NSEC3).is_some() && node.rrsets().all(is_proof);
    let (encloser, wildcard) = match node.parent().filter(|_| hides) {
        None if walk.is_exact() => return Place::There(node),
        None => (node, walk.wildcard()),
        Some(parent) => (parent, parent.wildcard_child()),
    };
    match wildcard {
        Some(wildcard) => Place::Wildcard(wildcard, encloser),
        None => Place::Missing(encloser),
    }
}

/// Whether it is DS at the very delegation, which the parent has (RFC 4035,
/// section 3.1.4.1).
fn is_parents_own(asked: Asked<'_>, walk: Walk<'_>, cut: Node<'_>) -> bool {
    asked.record_type == RecordType::DS && walk.is_exact() && walk.node() == cut
}

/// The zone that knows: the nearest one above, but for DS at its top, which the
/// parent has, if that is served here.
fn entry_for<'z>(zones: &'z ZoneMap, asked: Asked<'_>) -> Option<&'z Entry> {
    let entry = zones.find(asked.name)?;
    if asked.record_type == RecordType::DS
        && let Some(zone) = entry.zone()
        && zone.origin() == asked.name
        && let Some(parent) = zones.find_above(asked.name)
    {
        return Some(parent);
    }
    Some(entry)
}

/// Writes the answer of `zones` behind the question; `None` if the name is in
/// none of them.
pub(super) fn answer<'z>(
    zones: &'z ZoneMap,
    asked: Asked<'_>,
    writer: &mut MessageWriter,
) -> Option<Told<'z>> {
    let mut answer = Answer {
        zones,
        asked,
        writer,
        told: Told {
            rcode: Rcode::NOERROR,
            authoritative: true,
            truncated: false,
            incomplete: false,
            kind: Kind::Positive,
            keep: true,
            first: None,
        },
        aliases: Vec::new(),
        dnames: Vec::new(),
        authority: Authority::None,
        denials: Denial::new(),
        targets: Vec::new(),
    };
    if !answer.follow(asked.name) {
        return None;
    }
    // What is cut off is cut off whole: nobody believes a part of it, and
    // what is short amplifies nothing.
    if answer.sections().is_err() {
        answer.told.truncated = true;
    }
    // Types that are not behind an alias are too many to be kept.
    if !answer.aliases.is_empty() && answer.told.kind != Kind::Positive {
        answer.told.keep = false;
    }
    Some(answer.told)
}

/// Where a zone's say ended, which goes behind the answers.
enum Authority<'z> {
    None,
    /// There is no such thing: SOA.
    Negative(&'z Zone),
    /// Somebody else's: NS, with the labels of the name that are the cut's.
    Referral(&'z Zone, Node<'z>, Name),
}

struct Answer<'a, 'z> {
    zones: &'z ZoneMap,
    asked: Asked<'a>,
    writer: &'a mut MessageWriter,
    told: Told<'z>,
    /// Owners of aliases in the answer.
    aliases: Vec<Name>,
    /// DNAMEs in the answer.
    dnames: Vec<Node<'z>>,
    authority: Authority<'z>,
    denials: Denial<'z>,
    /// Names whose addresses may be of use; whether they must be there.
    targets: Vec<(&'z Zone, NameRef<'z>, bool)>,
}

impl<'z> Answer<'_, 'z> {
    /// Looks for a name and writes what answers; false if no zone has it.
    fn follow(&mut self, name: NameRef<'_>) -> bool {
        let asked = Asked { name, ..self.asked };
        let Some(entry) = entry_for(self.zones, asked) else {
            return false;
        };
        let Some(zone) = entry.zone() else {
            if self.aliases.is_empty() {
                self.told.rcode = Rcode::SERVFAIL;
                self.told.authoritative = false;
                self.told.kind = Kind::Error;
            }
            return true;
        };
        let Some(walk) = zone.walk(name) else {
            return false;
        };
        if self.aliases.is_empty() {
            self.told.first = Some(walk.node());
        }
        match walk.barrier() {
            Some(Barrier::Cut(cut)) if !is_parents_own(asked, walk, cut) => {
                self.refer(zone, cut, name);
            }
            Some(Barrier::Dname(dname)) => self.dname(dname, name),
            _ => match place(walk) {
                Place::There(node) => self.node(zone, node, name, None),
                Place::Wildcard(node, encloser) => self.node(zone, node, name, Some(encloser)),
                Place::Missing(encloser) => {
                    self.told.kind = Kind::NoName;
                    self.told.rcode = Rcode::NXDOMAIN;
                    self.authority = Authority::Negative(zone);
                    if self.asked.dnssec {
                        self.denials.name(zone, name, encloser);
                    }
                }
            },
        }
        true
    }

    /// A name that is there, or that a wildcard below `encloser` stands for.
    fn node(
        &mut self,
        zone: &'z Zone,
        node: Node<'z>,
        name: NameRef<'_>,
        encloser: Option<Node<'z>>,
    ) {
        let wanted = self.asked.record_type;
        if let Some(encloser) = encloser
            && self.asked.dnssec
        {
            // The name itself is not there (RFC 4035, section 3.1.3.3).
            self.denials.expansion(zone, name, encloser);
        }
        if wanted == RecordType::ANY {
            // One RRset is an answer to ANY (RFC 8482, section 4.1).
            if let Some(set) = node
                .rrsets()
                .find(|set| set.record_type() != RecordType::RRSIG)
            {
                self.positive(zone, name, set);
                return;
            }
        } else if let Some(set) = node.rrset(wanted) {
            self.positive(zone, name, set);
            return;
        } else if let Some(set) = node.rrset(RecordType::CNAME) {
            self.alias(name, set);
            return;
        }
        self.told.kind = Kind::NoData;
        self.authority = Authority::Negative(zone);
        if self.asked.dnssec {
            self.denials.data(zone, node, name, encloser);
        }
    }

    fn positive(&mut self, zone: &'z Zone, name: NameRef<'_>, set: RrSet<'z>) {
        if self.put(Section::Answer, name, set, set.ttl()).is_err() {
            self.told.truncated = true;
            return;
        }
        self.want_addresses(zone, set, |_| false);
    }

    /// An alias, and what is behind it.
    fn alias(&mut self, name: NameRef<'_>, set: RrSet<'z>) {
        if self.aliases.iter().any(|alias| *alias == name) {
            // Round and round.
            return;
        }
        if self.put(Section::Answer, name, set, set.ttl()).is_err() {
            self.told.truncated = true;
            return;
        }
        let Ok(target) = NameRef::from_wire(set.first()) else {
            return;
        };
        self.go_on(name, target);
    }

    fn go_on(&mut self, name: NameRef<'_>, target: NameRef<'_>) {
        self.aliases.push(name.to_name());
        if self.aliases.len() < CHAIN {
            // A name that is nobody's here is for the asker.
            self.follow(target);
        }
    }

    /// A whole tree's alias: the DNAME, and the CNAME that it makes (RFC 6672,
    /// section 3.1).
    fn dname(&mut self, node: Node<'z>, name: NameRef<'_>) {
        self.told.keep = false;
        let Some(set) = node.rrset(RecordType::DNAME) else {
            return;
        };
        let owner = node.name();
        if self.aliases.iter().any(|alias| *alias == name) {
            return;
        }
        // Once is enough, however often it is used.
        if !self.dnames.contains(&node) {
            if self
                .put(Section::Answer, owner.as_ref(), set, set.ttl())
                .is_err()
            {
                self.told.truncated = true;
                return;
            }
            self.dnames.push(node);
        }
        let prefix = &name.as_wire()[..name.as_wire().len() - owner.as_wire().len()];
        let target = set.first();
        if prefix.len() + target.len() > MAX_NAME {
            self.told.rcode = Rcode::YXDOMAIN;
            return;
        }
        let target = [prefix, target].concat();
        let written = self.writer.record(
            Section::Answer,
            name.as_wire(),
            RecordType::CNAME,
            Class::IN,
            set.ttl(),
            &target,
        );
        if written.is_err() {
            self.told.truncated = true;
            return;
        }
        let wanted = self.asked.record_type;
        if wanted == RecordType::CNAME || wanted == RecordType::ANY {
            return;
        }
        if let Ok(target) = NameRef::from_wire(&target) {
            self.go_on(name, target);
        }
    }

    fn refer(&mut self, zone: &'z Zone, cut: Node<'z>, name: NameRef<'_>) {
        if self.aliases.is_empty() {
            self.told.authoritative = false;
        }
        self.told.kind = Kind::Referral;
        let depth = zone.origin().label_count() + cut.depth();
        self.authority = Authority::Referral(zone, cut, name.suffix(depth).to_name());
    }

    /// Authority and additional sections.
    fn sections(&mut self) -> Result<(), Full> {
        if self.told.truncated {
            return Err(Full);
        }
        match std::mem::replace(&mut self.authority, Authority::None) {
            Authority::None => {}
            Authority::Negative(zone) => {
                let soa = zone.soa();
                let minimum = soa.first().last_chunk().copied();
                let ttl = soa.ttl().min(minimum.map_or(0, u32::from_be_bytes));
                self.put(Section::Authority, zone.origin(), soa, ttl)?;
            }
            Authority::Referral(zone, cut, name) => self.referral(zone, cut, name.as_ref())?,
        }
        if self.asked.dnssec {
            for set in std::mem::take(&mut self.denials).into_sets() {
                let owner = set.node().name();
                self.put(Section::Authority, owner.as_ref(), set, set.ttl())?;
            }
        }
        self.additional()
    }

    fn referral(&mut self, zone: &'z Zone, cut: Node<'z>, name: NameRef<'_>) -> Result<(), Full> {
        if let Some(ns) = cut.rrset(RecordType::NS) {
            self.put_unsigned(Section::Authority, name, ns, ns.ttl())?;
            self.want_addresses(zone, ns, |target| target.is_at_or_below(name));
        }
        if !self.asked.dnssec || !deny::is_signed(zone) {
            return Ok(());
        }
        match cut.rrset(RecordType::DS) {
            Some(ds) => self.put(Section::Authority, name, ds, ds.ttl())?,
            // That there is none must be proved (RFC 4035, section 3.1.4.1).
            None => self.denials.data(zone, cut, name, None),
        }
        Ok(())
    }

    /// Remembers the names in a set whose addresses are of use to who sees it.
    fn want_addresses(
        &mut self,
        zone: &'z Zone,
        set: RrSet<'z>,
        required: impl Fn(NameRef<'_>) -> bool,
    ) {
        let skip = match set.record_type() {
            RecordType::NS => 0,
            RecordType::MX | RecordType::SVCB | RecordType::HTTPS => 2,
            RecordType::SRV => 6,
            _ => return,
        };
        for rdata in set.rdata() {
            let name = rdata.get(skip..).map(NameRef::split_from);
            let Some(Ok((target, _))) = name else {
                continue;
            };
            if self.targets.len() >= ADDITIONAL {
                return;
            }
            let must = required(target);
            if !self.targets.iter().any(|(_, known, _)| *known == target) {
                self.targets.push((zone, target, must));
            }
        }
    }

    fn additional(&mut self) -> Result<(), Full> {
        let mut targets = std::mem::take(&mut self.targets);
        // What must be there comes first.
        targets.sort_by_key(|(_, _, must)| !must);
        for (zone, target, must) in targets {
            let Some(node) = zone.node(target) else {
                continue;
            };
            for record_type in [RecordType::A, RecordType::AAAA] {
                let Some(set) = node.rrset(record_type) else {
                    continue;
                };
                let glue = node.is_cut() || node.is_below_cut();
                let ttl = set.ttl();
                let result = match glue {
                    true => self.put_unsigned(Section::Additional, target, set, ttl),
                    false => self.put(Section::Additional, target, set, ttl),
                };
                match result {
                    Err(Full) if must => return Err(Full),
                    Err(Full) => self.told.incomplete = true,
                    Ok(()) => {}
                }
            }
        }
        Ok(())
    }

    /// Writes a set under a name, with its signatures if they are wanted; all
    /// or nothing.
    fn put(
        &mut self,
        section: Section,
        name: NameRef<'_>,
        set: RrSet<'z>,
        ttl: u32,
    ) -> Result<(), Full> {
        let mark = self.writer.mark();
        let mut written = self.put_unsigned(section, name, set, ttl);
        if written.is_ok()
            && self.asked.dnssec
            && let Some(signatures) = set.node().rrset(RecordType::RRSIG)
        {
            let of_set = set.record_type().0.to_be_bytes();
            written = signatures
                .rdata()
                .filter(|rdata| rdata.starts_with(&of_set))
                .try_for_each(|rdata| {
                    let (rrsig, class) = (RecordType::RRSIG, Class::IN);
                    self.writer
                        .record(section, name.as_wire(), rrsig, class, ttl, rdata)
                });
        }
        if written.is_err() {
            self.writer.back_to(mark);
        }
        written
    }

    fn put_unsigned(
        &mut self,
        section: Section,
        name: NameRef<'_>,
        set: RrSet<'z>,
        ttl: u32,
    ) -> Result<(), Full> {
        let mark = self.writer.mark();
        for rdata in set.rdata() {
            let (record_type, class) = (set.record_type(), Class::IN);
            // Signatures live as long as what they sign (RFC 4034, section 3).
            let signed = match (record_type, rdata) {
                (RecordType::RRSIG, [t0, t1, ..]) => {
                    let signed = RecordType(u16::from_be_bytes([*t0, *t1]));
                    set.node().rrset(signed)
                }
                _ => None,
            };
            let ttl = signed.map_or(ttl, RrSet::ttl);
            let written =
                self.writer
                    .record(section, name.as_wire(), record_type, class, ttl, rdata);
            if written.is_err() {
                self.writer.back_to(mark);
                return written;
            }
        }
        Ok(())
    }
}
