//! What holds of any name, RDATA and zone file: shared by the tests and the fuzz targets.

use std::io::Read;

use ropewalk_names_dns::proto::name::{MAX_NAME, Name, NameRef};
use ropewalk_names_dns::proto::{Class, RecordType, rdata};
use ropewalk_names_dns::zone::{Level, ReadOptions, Zone, ZoneReader};

/// A name on the wire, and as text.
pub(crate) fn check_name(data: &[u8]) {
    for at in 0..data.len().min(4) {
        if let Ok((name, end)) = Name::from_message(data, at) {
            assert!(end <= data.len());
            check_good_name(&name);
            if let Ok((plain, rest)) = NameRef::split_from(&data[at..]) {
                assert!(plain.eq_case(name.as_ref()), "{name}");
                assert_eq!(data.len() - rest.len(), end);
            }
        }
    }
    let origin: Name = "example".parse().expect("a name");
    if let Ok(name) = Name::from_text(data, Some(origin.as_ref())) {
        check_good_name(&name);
    }
}

fn check_good_name(name: &Name) {
    assert!(name.as_wire().len() <= MAX_NAME);
    let text = name.to_string();
    assert!(text.is_ascii());
    let again: Name = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
    assert!(again.as_ref().eq_case(name.as_ref()), "{text}");
    let theirs = hickory_proto::rr::Name::from(name);
    assert!(
        Name::from(&theirs).as_ref().eq_case(name.as_ref()),
        "{text}"
    );
    let lower = name.to_lowercase();
    assert_eq!(lower, *name);
    assert!(lower.cmp(name).is_eq());
    if let Some(parent) = name.parent() {
        assert!(name.is_below(parent));
        assert!(parent < name.as_ref());
    }
}

/// RDATA of any type: type, then octets.
pub(crate) fn check_rdata(data: &[u8]) {
    let [high, low, rest @ ..] = data else {
        return;
    };
    // Most types stand below 300, and those of a fuzzer should be among them.
    let record_type = RecordType(u16::from_be_bytes([high & 1, *low]));
    let class = if high & 2 == 0 { Class::IN } else { Class::CH };
    let good = rdata::check(class, record_type, rest).is_ok();
    let mut unpacked = Vec::new();
    let taken = rdata::unpack(class, record_type, rest, 0, rest.len(), &mut unpacked);
    if good {
        assert!(taken.is_ok(), "{record_type}");
        assert_eq!(unpacked, rest);
        let _ = rdata::to_hickory(record_type, rest);
    }
    if taken.is_ok() {
        rdata::check(class, record_type, &unpacked).expect("what was unpacked is well-formed");
        let mut canonical = unpacked.clone();
        rdata::canonicalise(class, record_type, &mut canonical);
        assert!(canonical.eq_ignore_ascii_case(&unpacked));
        for part in rdata::names(class, record_type, &unpacked) {
            assert!(unpacked[part.at..].starts_with(part.name.as_wire()));
        }
    }
    let text = rdata::to_text(class, record_type, rest);
    assert!(text.is_ascii());
    if good && class == Class::IN {
        let again = rdata::from_text(class, record_type, &text);
        assert_eq!(again.as_deref(), Ok(rest), "{record_type} {text}");
    }
    if let Ok(text) = std::str::from_utf8(rest)
        && let Ok(wire) = rdata::from_text(class, record_type, text)
    {
        rdata::check(class, record_type, &wire)
            .unwrap_or_else(|error| panic!("{record_type} {text:?}: {error}"));
        let text = rdata::to_text(class, record_type, &wire);
        assert_eq!(
            rdata::from_text(class, record_type, &text),
            Ok(wire),
            "{record_type} {text}"
        );
    }
}

/// A zone file: read whole, in pieces and bytewise alike; what is written reads back the same.
pub(crate) fn check_zone(data: &[u8]) {
    let whole = read(data, usize::MAX);
    for piece in [1, 7] {
        let pieces = read(data, piece);
        match (&whole, &pieces) {
            (Ok(a), Ok(b)) => assert_eq!(a.to_text(), b.to_text()),
            (Err(a), Err(b)) => assert_eq!(a, b),
            _ => panic!("{whole:?}, in pieces of {piece}: {pieces:?}"),
        }
    }
    // Bare data may be a zone but for its head.
    let headed = [HEAD, data].concat();
    for zone in [whole, read(&headed, usize::MAX)].into_iter().flatten() {
        let text = zone.to_text();
        assert!(text.is_ascii());
        let again = Zone::from_text("example".parse().expect("a name"), &text)
            .unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        assert_eq!(again.to_text(), text);
        assert_eq!(
            (again.len(), again.node_count()),
            (zone.len(), zone.node_count())
        );
    }
}

const HEAD: &[u8] = b"@ 60 IN SOA ns h 1 2 3 4 5\n@ NS ns\n";

fn read(data: &[u8], piece: usize) -> Result<Zone, String> {
    let mut options = ReadOptions::default();
    // A fuzzer finds `$GENERATE` soon, and has better to do.
    options.generated = 64;
    let mut reader = ZoneReader::new("example".parse().expect("a name"), options);
    reader.read("data", Pieces(data, piece));
    let findings = reader.check();
    let zone = reader.finish().map_err(|errors| errors.to_string());
    // What keeps a zone from being served is what the linter calls an error.
    let errors = findings.iter().any(|finding| finding.level == Level::Error);
    assert_eq!(errors, zone.is_err(), "{findings:?}");
    zone
}

/// Reads so many octets at once.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = buffer.len().min(self.1).min(self.0.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}
