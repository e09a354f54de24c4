use std::sync::Arc;

use super::*;
use crate::proto::{Class, Name, RecordType};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

const SOA: &[u8] = b"\x02ns\0\x01h\0\0\0\0\x07\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";

fn builder(origin: &str) -> ZoneBuilder {
    let mut builder = ZoneBuilder::new(name(origin), Class::IN);
    let origin = name(origin);
    builder
        .push(origin.as_ref(), RecordType::SOA, 60, SOA)
        .unwrap();
    builder
        .push(origin.as_ref(), RecordType::NS, 60, b"\x02ns\0")
        .unwrap();
    builder
}

/// A zone of addresses at these names, NS at those that begin with `!`, DNAME with `=`.
fn zone(names: &[&str]) -> Zone {
    let mut builder = builder("example");
    for entry in names {
        let (record_type, owner, rdata) = match entry.split_at(1) {
            ("!", owner) => (RecordType::NS, owner, &b"\x02ns\0"[..]),
            ("=", owner) => (RecordType::DNAME, owner, &b"\x02to\0"[..]),
            _ => (RecordType::A, *entry, &[192, 0, 2, 1][..]),
        };
        builder
            .push(name(owner).as_ref(), record_type, 60, rdata)
            .unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn nodes_stand_in_canonical_order_with_all_that_are_between() {
    let zone = zone(&[
        "z.a.b.example",
        "B.example",
        "*.b.example",
        "longer-than-eight-2.example",
        "longer-than-eight-1.example",
        r"b\000.example",
        "a.example",
    ]);
    let names: Vec<String> = zone.nodes().map(|node| node.name().to_string()).collect();
    assert_eq!(
        names,
        [
            "example.",
            "a.example.",
            "b.example.",
            "*.b.example.",
            "a.b.example.",
            "z.a.b.example.",
            r"b\000.example.",
            "longer-than-eight-1.example.",
            "longer-than-eight-2.example.",
        ]
    );
    let mut sorted: Vec<Name> = zone.nodes().map(Node::name).collect();
    sorted.sort();
    assert!(
        sorted
            .iter()
            .eq(zone.nodes().map(Node::name).collect::<Vec<_>>().iter())
    );
    let below: Vec<u32> = zone
        .node(name("b.example").as_ref())
        .unwrap()
        .descendants()
        .map(Node::number)
        .collect();
    assert_eq!(below, [3, 4, 5]);
    assert!(
        zone.node(name("A.B.example").as_ref())
            .unwrap()
            .is_empty_non_terminal()
    );
}

#[test]
fn a_walk_says_what_was_met() {
    let zone = zone(&[
        "a.b.example",
        "*.b.example",
        "!cut.example",
        "ns.cut.example",
        "=d.example",
    ]);
    let walk = |text: &str| zone.walk(name(text).as_ref()).unwrap();

    assert!(walk("A.B.Example").is_exact());
    let wild = walk("x.y.b.example");
    assert_eq!((wild.missing(), wild.node().name()), (2, name("b.example")));
    assert_eq!(wild.wildcard().unwrap().name(), name("*.b.example"));
    // Below a name that is there, the wildcard is no source (RFC 4592, 2.2.1).
    assert_eq!(walk("x.a.b.example").wildcard(), None);
    assert_eq!(walk("nothing.example").wildcard(), None);

    for below in ["cut.example", "ns.cut.example", "x.y.cut.example"] {
        let Some(Barrier::Cut(cut)) = walk(below).barrier() else {
            panic!("{below}")
        };
        assert_eq!(cut.name(), name("cut.example"));
    }
    assert!(walk("ns.cut.example").node().is_below_cut());
    assert!(walk("d.example").barrier().is_none());
    assert!(matches!(
        walk("x.d.example").barrier(),
        Some(Barrier::Dname(_))
    ));
    assert!(zone.walk(name("other").as_ref()).is_none());
    assert!(zone.walk(name("xexample").as_ref()).is_none());
}

#[test]
fn the_predecessor_is_the_last_that_is_not_behind() {
    let zone = zone(&["b.example", "c.b.example", "d.example", "x.y.e.example"]);
    for (asked, found) in [
        ("example", "example"),
        ("a.example", "example"),
        ("b.example", "b.example"),
        ("a.b.example", "b.example"),
        ("d.b.example", "c.b.example"),
        ("z.c.b.example", "c.b.example"),
        ("c.example", "c.b.example"),
        ("dd.example", "d.example"),
        ("x.e.example", "e.example"),
        ("z.e.example", "x.y.e.example"),
        ("f.example", "x.y.e.example"),
    ] {
        assert_eq!(
            zone.predecessor(name(asked).as_ref()).unwrap().name(),
            name(found),
            "{asked}"
        );
    }
}

#[test]
fn sets_are_sorted_and_without_duplicates() {
    let mut builder = builder("example");
    let origin = name("example");
    for (ttl, rdata) in [(30, b"\x01b\0"), (60, b"\x01a\0"), (90, b"\x01B\0")] {
        builder
            .push(name("x.example").as_ref(), RecordType::PTR, ttl, rdata)
            .unwrap();
    }
    let zone = builder.finish().unwrap();
    let set = zone
        .node(name("x.example").as_ref())
        .unwrap()
        .rrset(RecordType::PTR)
        .unwrap();
    assert_eq!((set.count(), set.ttl()), (2, 30));
    assert!(set.rdata().eq([b"\x01a\0", b"\x01b\0"]));
    let all: Vec<_> = zone
        .records()
        .map(|r| (r.set.node().name(), r.set.record_type()))
        .collect();
    assert_eq!(
        all,
        [
            (origin.clone(), RecordType::SOA),
            (origin, RecordType::NS),
            (name("x.example"), RecordType::PTR),
            (name("x.example"), RecordType::PTR),
        ]
    );
    assert_eq!((zone.len(), zone.serial()), (4, 7));
}

#[test]
fn rules_are_told_all_at_once() {
    let mut builder = ZoneBuilder::new(name("example"), Class::IN);
    for (owner, record_type, rdata) in [
        ("a.example", RecordType::CNAME, &b"\x01x\0"[..]),
        ("a.example", RecordType::CNAME, b"\x01y\0"),
        ("a.example", RecordType::A, &[1, 2, 3, 4]),
        ("b.example", RecordType::SOA, SOA),
        ("c.example", RecordType::CNAME, b"\x01x\0"),
        ("c.example", RecordType::CNAME, b"\x01X\0"),
        ("c.example", RecordType::NSEC, b"\x01x\0"),
        ("d.example", RecordType::DNAME, b"\x01x\0"),
        ("d.example", RecordType::DNAME, b"\x01y\0"),
    ] {
        builder
            .push(name(owner).as_ref(), record_type, 60, rdata)
            .unwrap();
    }
    let rules: Vec<String> = builder
        .finish()
        .unwrap_err()
        .0
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        rules,
        [
            "example.: the zone has no SOA",
            "example.: the zone has no NS at its top",
            "a.example.: more than one CNAME",
            "a.example.: a CNAME beside other records",
            "b.example.: an SOA that is not at the zone's top",
            "d.example.: more than one DNAME",
        ]
    );
}

#[test]
fn records_that_no_zone_takes_are_refused() {
    let mut builder = builder("example");
    let owner = name("www.example");
    let mut push = |owner: &Name, record_type, ttl, rdata: &[u8]| {
        builder
            .push(owner.as_ref(), record_type, ttl, rdata)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        push(&name("org"), RecordType::A, 1, &[0; 4]),
        "org. is not in the zone example."
    );
    assert_eq!(
        push(&owner, RecordType::AXFR, 1, b""),
        "AXFR is not for zones"
    );
    assert_eq!(
        push(&owner, RecordType::A, 1, &[0; 5]),
        "A: more than the type has fields"
    );
    assert_eq!(
        push(&owner, RecordType::A, 1 << 31, &[0; 4]),
        "a TTL of 2147483648: at most 2147483647 seconds expected",
    );
}

#[test]
fn the_longest_origin_wins_and_views_follow() {
    let zones = Zones::new();
    let mut view = zones.view();
    assert!(view.current().find(name("a.example").as_ref()).is_none());
    zones.insert(Arc::new(zone(&[])));
    zones.insert(Arc::new(builder("sub.example").finish().unwrap()));
    zones.insert_unavailable(&name("other"));
    let mut origin = |text: &str| {
        let map = view.current().clone();
        map.find(name(text).as_ref()).map(|entry| {
            entry
                .zone()
                .map_or("unavailable".to_owned(), |zone| zone.origin().to_string())
        })
    };
    assert_eq!(origin("a.b.Example").as_deref(), Some("example."));
    assert_eq!(origin("x.SUB.example").as_deref(), Some("sub.example."));
    assert_eq!(origin("x.other").as_deref(), Some("unavailable"));
    assert_eq!(origin("org"), None);
    assert_eq!(origin("."), None);
    let above = zones
        .current()
        .find_above(name("sub.example").as_ref())
        .cloned();
    assert_eq!(above.unwrap().zone().unwrap().origin(), name("example"));
    assert!(zones.remove(name("SUB.example").as_ref()));
    assert!(!zones.remove(name("sub.example").as_ref()));
    assert_eq!(origin("x.sub.example").as_deref(), Some("example."));
}

#[test]
fn a_million_records_would_fit_in_120_octets_each() {
    let mut builder = builder("example");
    let count = 20_000_u32;
    for i in 0..count {
        let owner = name(&format!("host-{i:07}.example"));
        builder
            .push(owner.as_ref(), RecordType::A, 60, &i.to_be_bytes())
            .unwrap();
    }
    let zone = builder.finish().unwrap();
    let each = zone.memory() / zone.len();
    assert!(each <= 64, "{each} octets a record");
}
