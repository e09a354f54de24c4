//! The zone that is served, and questions about it.

use std::{fmt::Write, path::Path};

use ropewalk_names_dns::proto::{Name, RecordType};

use crate::ask::ask;

/// Hosts, delegations, and a wildcard.
const HOSTS: usize = 20_000;

pub(crate) const ORIGIN: &str = "bench.example";

/// The zone as text.
pub(crate) fn text() -> String {
    let mut text = format!(
        "$ORIGIN {ORIGIN}.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\n@ NS ns2\n\
         ns1 A 192.0.2.1\nns2 A 192.0.2.2\nmail A 192.0.2.3\n*.wild A 192.0.2.4\n"
    );
    for n in 0..HOSTS {
        let (high, low) = (n / 256, n % 256);
        let _ = writeln!(text, "host{n} A 10.1.{high}.{low}");
        let _ = writeln!(text, "host{n} MX 10 mail");
        let _ = writeln!(text, "cut{n} NS ns.cut{n}");
        let _ = writeln!(text, "ns.cut{n} A 10.2.{high}.{low}");
    }
    text
}

pub(crate) fn write(file: &Path) {
    std::fs::write(file, text()).unwrap();
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hit,
    Missing,
    Wildcard,
    Referral,
}

/// Questions of these kinds, in turn: drawn from a seed, so that all servers
/// are asked the same. Two in three have EDNS.
pub(crate) fn questions(kinds: &[Kind], count: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    (0..count)
        .map(|index| {
            let n = random(HOSTS);
            let (name, record_type) = match kinds[index % kinds.len()] {
                Kind::Hit if n % 4 == 0 => (format!("host{n}.{ORIGIN}"), RecordType::MX),
                Kind::Hit => (format!("host{n}.{ORIGIN}"), RecordType::A),
                Kind::Missing => (format!("no{n}-{index}.{ORIGIN}"), RecordType::A),
                Kind::Wildcard => (format!("some{n}-{index}.wild.{ORIGIN}"), RecordType::A),
                Kind::Referral => (format!("www.cut{n}.{ORIGIN}"), RecordType::AAAA),
            };
            let name: Name = name.parse().unwrap();
            let edns = (index % 3 > 0).then_some((1232, false));
            ask(name.as_ref(), record_type, 0, edns)
        })
        .collect()
}
