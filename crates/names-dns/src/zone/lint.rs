//! What is wrong with a zone, or looks as if it were: for who writes zone files, before anybody
//! is served.
//!
//! Errors are what keeps a zone from being served; the rest is what servers take and resolvers
//! trip over. Only the zone itself is looked at: nothing is asked of the network.

use std::fmt;

use super::builder::{BuildRecord, Place, ZoneBuilder, ZoneRule};
use super::reader::ZoneReader;
use crate::proto::name::{Name, NameRef};
use crate::proto::{Class, RecordType, rdata};

/// Something that is wrong with a zone, or looks so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The file; empty where it is about the zone as a whole.
    pub file: String,
    /// The line, from 1; 0 where it is about the zone as a whole.
    pub line: u32,
    /// The column, from 1; 0 where it is about the whole line.
    pub column: u32,
    /// How bad it is.
    pub level: Level,
    /// The rule that is broken.
    pub rule: LintRule,
    /// What is wrong, and what is expected.
    pub text: String,
}

impl fmt::Display for Finding {
    /// `FILE:LINE:COLUMN: LEVEL: TEXT [RULE]`, without what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}:", self.file, self.line)?;
            if self.column > 0 {
                write!(f, "{}:", self.column)?;
            }
            f.write_str(" ")?;
        } else if !self.file.is_empty() {
            write!(f, "{}: ", self.file)?;
        }
        write!(f, "{}: {} [{}]", self.level, self.text, self.rule)
    }
}

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Works, and could be better.
    Hint,
    /// Served, and probably not what was meant.
    Warning,
    /// The zone is not served.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident $name:literal $level:ident,)*) => {
        /// The rules of the linter, each with a name and a level.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum LintRule {
            $($(#[$doc])* $rule,)*
        }

        impl LintRule {
            /// All rules.
            pub const ALL: &[Self] = &[$(Self::$rule,)*];

            /// The rule's name, as findings show it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $name,)* }
            }

            /// How bad it is to break it.
            pub fn level(self) -> Level {
                match self { $(Self::$rule => Level::$level,)* }
            }
        }
    };
}

rules! {
    /// An entry that cannot be read.
    Syntax "syntax" Error,
    /// No SOA at the zone's top (RFC 1035, 5.2).
    MissingSoa "missing-soa" Error,
    /// More than one SOA.
    SeveralSoas "several-soas" Error,
    /// An SOA below the zone's top.
    SoaBelowApex "soa-below-apex" Error,
    /// No NS at the zone's top.
    MissingNs "missing-ns" Error,
    /// A CNAME beside other records (RFC 1034, 3.6.2).
    CnameAndOther "cname-and-other" Error,
    /// More than one CNAME at a name.
    SeveralCnames "several-cnames" Error,
    /// More than one DNAME at a name.
    SeveralDnames "several-dnames" Error,
    /// More records of a type than a zone holds.
    RrsetTooLarge "rrset-too-large" Error,
    /// A record that is not below the zone's origin, and is left out.
    OutOfZone "out-of-zone" Warning,
    /// A record that is there already.
    DuplicateRecord "duplicate-record" Warning,
    /// Records of a set with several TTLs (RFC 2181, 5.2).
    TtlMismatch "ttl-mismatch" Warning,
    /// NS, MX or SRV that point to an alias (RFC 2181, 10.3; RFC 2782).
    TargetIsAlias "target-is-alias" Warning,
    /// NS, MX or SRV that point to a name of this zone without an address.
    MissingAddress "missing-address" Warning,
    /// A delegation to a name below it, without an address here (RFC 1034, 4.2.1).
    MissingGlue "missing-glue" Warning,
    /// Records below a delegation or a DNAME, which nobody sees.
    OccludedData "occluded-data" Warning,
    /// A DNAME beside a delegation (RFC 6672, 2.4).
    DnameAndNs "dname-and-ns" Warning,
    /// DS where nothing is delegated (RFC 4035, 2.4).
    DsWithoutNs "ds-without-ns" Warning,
    /// An alias of a name that this zone should have, and has not.
    DanglingAlias "dangling-alias" Warning,
    /// An alias that leads to itself.
    AliasLoop "alias-loop" Warning,
    /// `*` where it stands for nothing, or with records that do nothing there (RFC 4592, 4).
    WildcardOddity "wildcard-oddity" Warning,
    /// A target that ends with the origin twice: the dot at its end is missing.
    MissingDot "missing-dot" Warning,
    /// An address where a name is wanted.
    AddressAsName "address-as-name" Warning,
    /// A name of a host that none may have (RFC 1123, 2.1).
    HostName "host-name" Warning,
    /// MX `.` beside other MX (RFC 7505, 3).
    NullMxAndOther "null-mx-and-other" Warning,
    /// More TXT than an answer over UDP takes.
    LongTxt "long-txt" Warning,
    /// Policy for mail that is there twice (RFC 7208, 4.5).
    SeveralSpf "several-spf" Warning,
    /// Timers of the SOA that fight one another (RFC 1912, 2.2).
    SoaTimers "soa-timers" Warning,
    /// A serial number that secondaries take wrongly.
    SoaSerial "soa-serial" Warning,
    /// One name server only (RFC 1034, 4.1).
    SingleNameServer "single-name-server" Hint,
    /// A TTL of 0, or of more than a week.
    OddTtl "odd-ttl" Hint,
    /// A type that nobody asks for any more.
    ObsoleteType "obsolete-type" Hint,
}

impl fmt::Display for LintRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl From<ZoneRule> for LintRule {
    fn from(rule: ZoneRule) -> Self {
        match rule {
            ZoneRule::NoSoa => Self::MissingSoa,
            ZoneRule::SeveralSoas => Self::SeveralSoas,
            ZoneRule::SoaBelowApex => Self::SoaBelowApex,
            ZoneRule::NoNs => Self::MissingNs,
            ZoneRule::CnameAndOther => Self::CnameAndOther,
            ZoneRule::SeveralCnames => Self::SeveralCnames,
            ZoneRule::SeveralDnames => Self::SeveralDnames,
            ZoneRule::RrsetTooLarge => Self::RrsetTooLarge,
        }
    }
}

impl ZoneReader {
    /// Looks for all that is wrong with what was read, in the order of files and
    /// lines; what is about the zone as a whole comes first.
    ///
    /// ```
    /// use ropewalk_names_dns::zone::{ReadOptions, ZoneReader};
    ///
    /// let mut reader = ZoneReader::new("example.org".parse()?, ReadOptions::default());
    /// reader.read("db.example", &b"$TTL 1h
    /// @   SOA  ns hostmaster 2026010100 4h 1h 2w 5m
    ///     NS   ns
    ///     MX   10 www
    /// ns  A    192.0.2.1
    /// www CNAME ns
    /// "[..]);
    /// let findings: Vec<String> = reader.check().iter().map(ToString::to_string).collect();
    /// assert_eq!(findings[0], "db.example:3: hint: example.org. has one name server only [single-name-server]");
    /// assert_eq!(findings[1], "db.example:4: warning: MX to www.example.org., which is an alias [target-is-alias]");
    /// # Ok::<(), ropewalk_names_dns::proto::NameError>(())
    /// ```
    pub fn check(&self) -> Vec<Finding> {
        let mut check = Check::new(self);
        check.run();
        let mut findings = check.findings;
        findings.sort_by_key(|(a, _)| *a);
        let mut findings: Vec<Finding> = findings.into_iter().map(|(_, finding)| finding).collect();
        // What could not be read has its file's name already, in the order of reading.
        findings.extend(self.errors.iter().map(|error| Finding {
            file: error.file.clone(),
            line: error.line,
            column: error.column,
            level: LintRule::Syntax.level(),
            rule: LintRule::Syntax,
            text: error.problem.to_string(),
        }));
        findings
    }
}

const CUT: u8 = 1;
const DNAME: u8 = 2;
const BELOW_CUT: u8 = 4;
const BELOW_DNAME: u8 = 8;

struct Check<'a> {
    reader: &'a ZoneReader,
    zone: &'a ZoneBuilder,
    flags: Vec<u8>,
    findings: Vec<((Place, LintRule), Finding)>,
}

/// What a name is that a record points to.
enum Target {
    /// Of another zone, so that nothing is known.
    Elsewhere,
    /// Below a delegation, without a record here.
    Delegated,
    /// It should be of this zone, and is not there.
    Missing,
    /// A node, or the wildcard that stands for it.
    Node(u32),
}

impl<'a> Check<'a> {
    fn new(reader: &'a ZoneReader) -> Self {
        Self {
            reader,
            zone: &reader.builder,
            flags: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn run(&mut self) {
        let order = self.zone.ordered();
        self.flags = vec![0; self.zone.nodes.len()];
        for &node in &order {
            let has = |wanted| self.zone.records_of(node).any(|r| r.record_type == wanted);
            let mut flags = 0;
            if node != 0 {
                let above = self.flags[self.zone.nodes[node as usize].parent as usize];
                // Both lie two bits above.
                flags = (above & (CUT | DNAME)) << 2 | above & (BELOW_CUT | BELOW_DNAME);
                if has(RecordType::NS) {
                    flags |= CUT;
                }
            }
            if has(RecordType::DNAME) {
                flags |= DNAME;
            }
            self.flags[node as usize] = flags;
        }
        for &(place, ref owner) in &self.reader.ignored {
            let text = format!("{owner} is not in the zone {}", self.zone.origin());
            self.report(place, LintRule::OutOfZone, text);
        }
        for node in order {
            let records: Vec<&BuildRecord> = self.zone.records_of(node).collect();
            let mut errors = Vec::new();
            self.zone.check_node(node, &records, &mut errors);
            for error in errors {
                let text = match error.rule {
                    ZoneRule::NoSoa | ZoneRule::NoNs => error.rule.to_string(),
                    rule => format!("{}: {rule}", error.owner),
                };
                self.report(error.place, error.rule.into(), text);
            }
            if !records.is_empty() {
                self.check_sets(node, &records);
                self.check_owner(node, &records);
                self.check_targets(node, &records);
            }
        }
    }

    fn report(&mut self, place: Place, rule: LintRule, text: String) {
        let file = match place.line {
            0 => String::new(),
            _ => self.reader.file_name(place).to_owned(),
        };
        let finding = Finding {
            file,
            line: place.line,
            column: 0,
            level: rule.level(),
            rule,
            text,
        };
        self.findings.push(((place, rule), finding));
    }

    /// What concerns records of one type at one name.
    fn check_sets(&mut self, node: u32, records: &[&BuildRecord]) {
        let owner = self.zone.name_of(node);
        let mut sorted = records.to_vec();
        sorted.sort_by_key(|record| record.record_type);
        for set in sorted.chunk_by(|a, b| a.record_type == b.record_type) {
            let record_type = set[0].record_type;
            let mut canonical: Vec<&BuildRecord> = set.to_vec();
            canonical.sort_by(|a, b| self.zone.cmp_rdata(record_type, a, b));
            for pair in canonical.windows(2) {
                if self.zone.cmp_rdata(record_type, pair[0], pair[1]).is_eq() {
                    let text = format!("{owner} has this {record_type} already");
                    self.report(pair[1].place, LintRule::DuplicateRecord, text);
                }
            }
            if let Some(other) = set.iter().find(|record| record.ttl != set[0].ttl) {
                let text = format!(
                    "a TTL of {}: other {record_type} of {owner} have {}, and it counts",
                    other.ttl, set[0].ttl,
                );
                self.report(other.place, LintRule::TtlMismatch, text);
            }
            if matches!(set[0].ttl, 0 | 604_801..) && record_type != RecordType::SOA {
                let text = match set[0].ttl {
                    0 => {
                        format!("{owner} {record_type} has a TTL of 0, and is asked for each time")
                    }
                    ttl => format!("{owner} {record_type} has a TTL of {ttl}, more than a week"),
                };
                self.report(set[0].place, LintRule::OddTtl, text);
            }
            match record_type {
                RecordType::TXT | RecordType::SPF => self.check_texts(&owner, set),
                RecordType::SOA => self.check_soa(set[0]),
                RecordType::NS if node == 0 && set.len() == 1 => {
                    let text = format!("{owner} has one name server only");
                    self.report(set[0].place, LintRule::SingleNameServer, text);
                }
                RecordType::MX if set.len() > 1 => {
                    let null = set
                        .iter()
                        .find(|r| self.zone.rdata_of(r).get(2) == Some(&0));
                    if let Some(null) = null {
                        let text = format!("{owner} says that it takes no mail, beside other MX");
                        self.report(null.place, LintRule::NullMxAndOther, text);
                    }
                }
                RecordType::MD
                | RecordType::MF
                | RecordType::WKS
                | RecordType::A6
                | RecordType::NXT
                | RecordType::SIG
                | RecordType::NULL => {
                    let text = format!("{record_type} is obsolete");
                    self.report(set[0].place, LintRule::ObsoleteType, text);
                }
                _ => {}
            }
            if record_type == RecordType::SPF {
                let text = "SPF is a TXT since RFC 7208; nobody asks for this type".to_owned();
                self.report(set[0].place, LintRule::ObsoleteType, text);
            }
        }
    }

    fn check_texts(&mut self, owner: &Name, set: &[&BuildRecord]) {
        let size: usize = set.iter().map(|r| self.zone.rdata_of(r).len() + 12).sum();
        if size > 1_200 {
            let text = format!(
                "{owner} {} is of {size} octets, more than an answer over UDP takes",
                set[0].record_type,
            );
            self.report(set[0].place, LintRule::LongTxt, text);
        }
        let mut policies = set.iter().filter(|record| {
            let text = self.zone.rdata_of(record);
            text.get(1..)
                .and_then(|text| text.get(..6))
                .is_some_and(|start| start.eq_ignore_ascii_case(b"v=spf1"))
        });
        if let (Some(_), Some(second)) = (policies.next(), policies.next()) {
            let place = second.place;
            let text = format!("{owner} has two policies for mail, which is as none");
            self.report(place, LintRule::SeveralSpf, text);
        }
    }

    fn check_soa(&mut self, soa: &BuildRecord) {
        let Some(numbers) = self.zone.rdata_of(soa).last_chunk::<20>() else {
            return;
        };
        let number = |at: usize| {
            u32::from_be_bytes([
                numbers[at],
                numbers[at + 1],
                numbers[at + 2],
                numbers[at + 3],
            ])
        };
        let [serial, refresh, retry, expire, minimum] = [0, 4, 8, 12, 16].map(number);
        let mut timers = |text: String| self.report(soa.place, LintRule::SoaTimers, text);
        if retry >= refresh {
            timers(format!(
                "a retry of {retry} s is not below the refresh of {refresh} s"
            ));
        }
        if u64::from(expire) < u64::from(refresh) + u64::from(retry) {
            timers(format!(
                "after {expire} s a secondary expires, before it has tried twice ({refresh} + {retry} s)",
            ));
        }
        if refresh < 60 {
            timers(format!(
                "a refresh of {refresh} s keeps secondaries busy: 20 min to 12 h is usual"
            ));
        }
        if minimum > 86_400 {
            timers(format!(
                "a minimum of {minimum} s: what is missing stays so for more than a day"
            ));
        }
        if serial == 0 {
            let text = "a serial of 0, which some secondaries take for none".to_owned();
            self.report(soa.place, LintRule::SoaSerial, text);
        }
    }

    /// What concerns a name as such.
    fn check_owner(&mut self, node: u32, records: &[&BuildRecord]) {
        let owner = self.zone.name_of(node);
        let place = records[0].place;
        let flags = self.flags[node as usize];
        let has = |wanted| records.iter().find(|record| record.record_type == wanted);
        if flags & BELOW_DNAME != 0 {
            let text = format!("{owner} is hidden by a DNAME above it");
            self.report(place, LintRule::OccludedData, text);
        } else if flags & BELOW_CUT != 0 {
            let glue =
                |r: &&&BuildRecord| matches!(r.record_type, RecordType::A | RecordType::AAAA);
            if let Some(other) = records.iter().find(|record| !glue(record)) {
                let text = format!(
                    "{} of {owner} is hidden by the delegation above it",
                    other.record_type,
                );
                self.report(other.place, LintRule::OccludedData, text);
            }
        } else if flags & CUT != 0 {
            let hidden = records.iter().find(|record| {
                !matches!(
                    record.record_type,
                    RecordType::NS
                        | RecordType::DS
                        | RecordType::NSEC
                        | RecordType::RRSIG
                        | RecordType::A
                        | RecordType::AAAA
                        | RecordType::DNAME
                        | RecordType::CNAME
                )
            });
            if let Some(hidden) = hidden {
                let text = format!(
                    "{} of {owner} is hidden, since NS delegate it",
                    hidden.record_type
                );
                self.report(hidden.place, LintRule::OccludedData, text);
            }
        }
        if let Some(dname) = has(RecordType::DNAME)
            && flags & CUT != 0
        {
            let text = format!("{owner} is both delegated and an alias of a tree");
            self.report(dname.place, LintRule::DnameAndNs, text);
        }
        if let Some(ds) = has(RecordType::DS)
            && flags & CUT == 0
        {
            let text = format!("{owner} has DS, and is not delegated");
            self.report(ds.place, LintRule::DsWithoutNs, text);
        }
        self.check_wildcard(&owner, records);
        if let Some(address) = has(RecordType::A).or(has(RecordType::AAAA))
            && !owner.is_wildcard()
            && !is_host_name(owner.as_ref())
        {
            let text = format!("{owner} has an address, and is no name of a host");
            self.report(address.place, LintRule::HostName, text);
        }
    }

    fn check_wildcard(&mut self, owner: &Name, records: &[&BuildRecord]) {
        let place = records[0].place;
        if owner.is_wildcard() {
            let odd = records.iter().find(|record| {
                matches!(
                    record.record_type,
                    RecordType::NS | RecordType::DNAME | RecordType::DS
                )
            });
            if let Some(odd) = odd {
                let text = format!(
                    "{} of a wildcard: what it means is not defined",
                    odd.record_type
                );
                self.report(odd.place, LintRule::WildcardOddity, text);
            }
        }
        for (at, label) in owner.labels().enumerate() {
            if label == b"*" && at > 0 {
                let text = format!("{owner} is below a wildcard, and stands for itself alone");
                self.report(place, LintRule::WildcardOddity, text);
            } else if label.len() > 1 && label.contains(&b'*') {
                let text = format!("{owner} has `*` within a label, where it stands for itself");
                self.report(place, LintRule::WildcardOddity, text);
            }
        }
    }

    /// What concerns the names that records point to.
    fn check_targets(&mut self, node: u32, records: &[&BuildRecord]) {
        let origin = self.zone.origin();
        for record in records {
            let record_type = record.record_type;
            let rdata = self.zone.rdata_of(record);
            for part in rdata::names(self.zone.class, record_type, rdata) {
                let twice = origin.prepend(origin);
                if !origin.is_root()
                    && twice.is_ok_and(|twice| part.name.is_at_or_below(twice.as_ref()))
                {
                    let text = format!(
                        "{} ends with {origin} twice: is its last dot missing?",
                        part.name
                    );
                    self.report(record.place, LintRule::MissingDot, text);
                }
            }
            let Some(part) = rdata::names(self.zone.class, record_type, rdata).last() else {
                continue;
            };
            let target = part.name;
            let wants_host = matches!(
                record_type,
                RecordType::NS | RecordType::MX | RecordType::SRV
            );
            if wants_host && !target.is_root() {
                self.check_host(node, record, target);
            }
            if record_type == RecordType::CNAME {
                self.check_alias(node, record, target);
            }
        }
    }

    fn check_host(&mut self, node: u32, record: &BuildRecord, target: NameRef<'_>) {
        let (record_type, place) = (record.record_type, record.place);
        let text = target.to_string();
        if text
            .trim_end_matches('.')
            .parse::<std::net::Ipv4Addr>()
            .is_ok()
        {
            let text = format!("{record_type} to {target}, which is an address, no name");
            return self.report(place, LintRule::AddressAsName, text);
        }
        if record_type != RecordType::SRV && !is_host_name(target) {
            let text = format!("{record_type} to {target}, which is no name of a host");
            self.report(place, LintRule::HostName, text);
        }
        let delegates = record_type == RecordType::NS && node != 0;
        match self.target(target) {
            Target::Node(found) => {
                let has = |wanted| self.zone.records_of(found).any(|r| r.record_type == wanted);
                if has(RecordType::CNAME) {
                    let text = format!("{record_type} to {target}, which is an alias");
                    self.report(place, LintRule::TargetIsAlias, text);
                } else if !has(RecordType::A)
                    && !has(RecordType::AAAA)
                    && self.zone.class == Class::IN
                {
                    let text = format!("{record_type} to {target}, which has no address");
                    self.report(place, LintRule::MissingAddress, text);
                }
            }
            Target::Missing => {
                let text = format!("{record_type} to {target}, which is not there");
                self.report(place, LintRule::MissingAddress, text);
            }
            Target::Delegated
                if delegates && target.is_at_or_below(self.zone.name_of(node).as_ref()) =>
            {
                let text = format!("{target} is below what it serves, and its address is not here");
                self.report(place, LintRule::MissingGlue, text);
            }
            Target::Delegated | Target::Elsewhere => {}
        }
    }

    fn check_alias(&mut self, node: u32, record: &BuildRecord, target: NameRef<'_>) {
        let owner = self.zone.name_of(node);
        if matches!(self.target(target), Target::Missing) {
            let text = format!("{owner} is an alias of {target}, which is not there");
            return self.report(record.place, LintRule::DanglingAlias, text);
        }
        let mut next = target.to_name();
        // As many as any resolver follows.
        for _ in 0..16 {
            if next == owner {
                let text = format!("{owner} is an alias of itself");
                return self.report(record.place, LintRule::AliasLoop, text);
            }
            let Target::Node(found) = self.target(next.as_ref()) else {
                return;
            };
            let cname = self
                .zone
                .records_of(found)
                .find(|r| r.record_type == RecordType::CNAME);
            let Some(cname) = cname else {
                return;
            };
            let Ok(target) = NameRef::from_wire(self.zone.rdata_of(cname)) else {
                return;
            };
            next = target.to_name();
        }
    }

    fn target(&self, name: NameRef<'_>) -> Target {
        let origin = self.zone.origin();
        if !name.is_at_or_below(origin) {
            return Target::Elsewhere;
        }
        let mut above = name;
        let closest = loop {
            if let Some(node) = self.zone.find(above) {
                break node;
            }
            match above.parent() {
                Some(parent) => above = parent,
                None => return Target::Missing,
            }
        };
        let flags = self.flags[closest as usize];
        let has_records = self.zone.nodes[closest as usize].first != super::labels::NONE;
        if flags & (DNAME | BELOW_DNAME) != 0 && above != name || flags & BELOW_DNAME != 0 {
            // Rewritten to somewhere else.
            return Target::Elsewhere;
        }
        if above == name && has_records {
            let only_ns = flags & CUT != 0
                && !self
                    .zone
                    .records_of(closest)
                    .any(|r| matches!(r.record_type, RecordType::A | RecordType::AAAA));
            return if only_ns {
                Target::Delegated
            } else {
                Target::Node(closest)
            };
        }
        if flags & (CUT | BELOW_CUT) != 0 {
            return Target::Delegated;
        }
        if above == name {
            // An empty non-terminal: it is there, and no wildcard stands for it.
            return Target::Node(closest);
        }
        match above
            .wildcard()
            .ok()
            .and_then(|wildcard| self.zone.find(wildcard.as_ref()))
        {
            Some(wildcard) => Target::Node(wildcard),
            None => Target::Missing,
        }
    }
}

/// Letters, digits and hyphens, the latter not at a label's edge (RFC 1123, 2.1).
fn is_host_name(name: NameRef<'_>) -> bool {
    name.labels().all(|label| {
        label
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || *octet == b'-')
            && !label.starts_with(b"-")
            && !label.ends_with(b"-")
    })
}
