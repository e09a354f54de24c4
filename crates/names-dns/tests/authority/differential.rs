//! Same zones, same questions: ours, NSD and Knot.
//!
//! Where NSD and Knot say the same, so do we. Where they differ, we say what
//! one of them says. What is left stands in [`DOCUMENTED`], with its reason.

mod with_nsd {
    mod with_knotd {
        #[test]
        #[ignore = "needs nsd and knotd; cargo xtask test runs it where they are installed"]
        fn answers_are_those_of_both() {
            super::super::compare();
        }
    }
}

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ropewalk_core::{DatagramServer, Server, ServerEndpoint};
use ropewalk_names_dns::{
    proto::{Header, Name, NameRef, RecordType},
    server::{Authority, AuthorityOptions},
    zone::{ReadOptions, Zone, Zones},
};

use crate::{
    ask::{Answer, Client, ask},
    daemon::{knot, nsd},
};

/// Whether it is such a case, and why it is as it is.
type Documented = (fn(&Case<'_>) -> bool, &'static str);

/// What we alone do, and why.
const DOCUMENTED: &[Documented] = &[(
    |case| {
        let is_alias = |record: &String| record.contains(" CNAME ");
        case.record_type == RecordType::NSEC3 && case.ours.sections[0].iter().any(is_alias)
    },
    "an alias is followed whatever the type: NSD follows none for NSEC3, and Knot five at most, in one zone",
)];

const ORIGINS: [&str; 6] = [
    "example",
    "child.example",
    "elsewhere.test",
    "signed.test",
    "hashed.test",
    "optout.test",
];

/// One question and its three answers.
struct Case<'a> {
    name: &'a Name,
    record_type: RecordType,
    nsd: &'a Answer,
    knot: &'a Answer,
    ours: &'a Answer,
}

struct Ours {
    udp: DatagramServer<ropewalk_names_dns::server::LateAnswer>,
    tcp: Server,
}

fn serve(zones: Zones) -> (tokio::runtime::Runtime, Ours) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let ours = runtime.block_on(async {
        let authority = Authority::new(zones, AuthorityOptions::default());
        let udp: ServerEndpoint = "udp:0".parse().unwrap();
        let options = authority.datagram_options();
        let tcp: ServerEndpoint = "tcp:0".parse().unwrap();
        Ours {
            udp: udp
                .listen_datagrams_with(authority.datagrams(), options)
                .await
                .unwrap(),
            tcp: tcp
                .listen_with(authority.handler(), authority.limits())
                .await
                .unwrap(),
        }
    });
    (runtime, ours)
}

fn compare() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authority/zones");
    let files: Vec<(&str, PathBuf)> = ORIGINS
        .iter()
        .map(|origin| (*origin, folder.join(format!("{origin}.zone"))))
        .collect();
    let (nsd, knot) = (nsd(&files), knot(&files));
    let patience = Duration::from_secs(5);
    let mut nsd = Client::new(nsd.address, patience);
    let mut knot = Client::new(knot.address, patience);

    let zones = Zones::new();
    let mut names = Vec::new();
    for origin in ORIGINS {
        let origin: Name = origin.parse().unwrap();
        let file = folder.join(format!("{origin}zone"));
        let zone = Zone::from_file(&file, origin, &ReadOptions::default()).unwrap();
        names.extend(zone.nodes().map(|node| node.name()));
        zones.insert(Arc::new(zone));
    }
    let (_runtime, ours) = serve(zones);
    let mut udp = Client::new(ours.udp.local_address().inet().unwrap(), patience);
    let mut tcp = Client::new(ours.tcp.local_address().inet().unwrap(), patience);

    let deep = std::env::var_os("ROPEWALK_DEEP").is_some();
    let count = if deep { 10_000 } else { 1000 };
    let mut questions = Questions::new(names);
    let mut differences = 0;
    for _ in 0..count {
        let (name, record_type, flags, edns) = questions.next();
        let question = ask(name.as_ref(), record_type, flags, edns);
        let (mut theirs, mut others, mut mine) =
            (nsd.udp(&question), knot.udp(&question), udp.udp(&question));
        // What is ready is what was made.
        assert_eq!(udp.udp(&question), mine, "{name} {record_type}");
        let limit = edns.map_or(512, |(size, _)| size.clamp(512, 1232));
        assert!(mine.len() <= limit.into(), "{name} {record_type}");
        if theirs[2] & 2 != 0 || others[2] & 2 != 0 || mine[2] & 2 != 0 {
            // Where one has no room, compare what all have over TCP.
            (theirs, others, mine) = (nsd.tcp(&question), knot.tcp(&question), tcp.tcp(&question));
        }
        // The name is told as it was asked, in its own letters.
        assert_eq!(mine[12..12 + name.as_wire().len()], *name.as_wire());
        let case = Case {
            name: &name,
            record_type,
            nsd: &Answer::read(&theirs),
            knot: &Answer::read(&others),
            ours: &Answer::read(&mine),
        };
        assert!(!case.ours.twice, "{name} {record_type}: {}", case.ours);
        if let Some(what) = case.difference() {
            differences += 1;
            eprintln!(
                "{what}: {name} {record_type} {edns:?} {flags:04x}\nNSD: {}Knot: {}ours: {}",
                case.nsd, case.knot, case.ours
            );
        }
    }
    assert_eq!(differences, 0, "of {count} answers differ");
}

impl Case<'_> {
    /// What differs that should not.
    fn difference(&self) -> Option<&'static str> {
        if let Some((_, why)) = DOCUMENTED.iter().find(|(is_it, _)| is_it(self)) {
            eprintln!("{} {}: {why}", self.name, self.record_type);
            return None;
        }
        let same = |part: &dyn Fn(&Answer) -> Option<&std::collections::BTreeSet<String>>| {
            let ours = part(self.ours);
            ours == part(self.nsd) || ours == part(self.knot)
        };
        let numbers = |answer: &Answer| (answer.rcode, answer.flags, answer.opt);
        let ours = numbers(self.ours);
        if ours != numbers(self.nsd) && ours != numbers(self.knot) {
            return Some("header");
        }
        for (index, what) in ["answer", "authority", "additional"]
            .into_iter()
            .enumerate()
        {
            if !same(&|answer| Some(&answer.sections[index])) {
                return Some(what);
            }
        }
        None
    }
}

/// Questions, drawn from a seed: the same ones each time.
struct Questions {
    names: Vec<Name>,
    state: u64,
}

impl Questions {
    fn new(names: Vec<Name>) -> Self {
        Self {
            names,
            state: 0x5eed,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        // SplitMix64.
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.state;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((x ^ x >> 31) % n as u64).unwrap()
    }

    fn next(&mut self) -> (Name, RecordType, u16, Option<(u16, bool)>) {
        const TYPES: [&str; 31] = [
            "A",
            "AAAA",
            "NS",
            "SOA",
            "MX",
            "TXT",
            "CNAME",
            "DNAME",
            "DS",
            "SRV",
            "SVCB",
            "HTTPS",
            "PTR",
            "CAA",
            "LOC",
            "HINFO",
            "NSEC",
            "RRSIG",
            "DNSKEY",
            "NAPTR",
            "TLSA",
            "URI",
            "TYPE65280",
            "TYPE999",
            "NSEC3PARAM",
            "NSEC3",
            "RP",
            "AFSDB",
            "A",
            "A",
            "TXT",
        ];
        let index = self.below(self.names.len());
        let mut name = self.names[index].clone();
        // Below it, beside it, or above it.
        match self.below(10) {
            0..4 => {}
            4 => name = self.below_name(&name, &["nowhere"]),
            5 => name = self.below_name(&name, &["a", "b", "www", "*"]),
            6 => {
                let one = self.below_name(&name, &["x", "a", "host"]);
                name = self.below_name(&one, &["y", "*", "b"]);
            }
            7 => {
                if let Some(parent) = name.parent().map(NameRef::to_name) {
                    name = self.below_name(&parent, &["beside", "zzz", "0", "*"]);
                }
            }
            8 => {
                if let Some(parent) = name.parent() {
                    name = parent.to_name();
                }
            }
            _ => {
                // In other letters.
                let wire: Vec<u8> = name
                    .as_wire()
                    .iter()
                    .map(|octet| match self.below(2) {
                        0 => octet.to_ascii_uppercase(),
                        _ => *octet,
                    })
                    .collect();
                name = NameRef::from_wire(&wire).unwrap().to_name();
            }
        }
        let record_type = TYPES[self.below(TYPES.len())].parse().unwrap();
        let flags = [0, 0, Header::RD, Header::RD | Header::AD][self.below(4)];
        let edns = match self.below(5) {
            0 => None,
            1 => Some((512, false)),
            2 => Some((1232, false)),
            3 => Some((4096, true)),
            _ => Some((1232, true)),
        };
        (name, record_type, flags, edns)
    }

    fn below_name(&mut self, name: &Name, labels: &[&str]) -> Name {
        let label: Name = labels[self.below(labels.len())].parse().unwrap();
        name.as_ref()
            .prepend(label.as_ref())
            .unwrap_or_else(|_| name.clone())
    }
}
