//! What holds of any octets that come as a signed message, as a file of keys, or as the answer to a
//! request for a zone: shared by the tests and the fuzz targets `dns_tsig` and `dns_transfer`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ropewalk_names_dns::proto::{
    Class, Header, LONGEST_MESSAGE, Message, MessageWriter, Name, RecordType, Section, Serial,
    SoaNumbers,
    transfer::{Change, Entry, Inbound, InboundOptions, Progress, TransferError},
    tsig::{self, Algorithm, Key, Keys, parse_keys},
};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn key() -> Key {
    let name = "transfer.test.".parse().expect("a name");
    Key::new(
        name,
        Algorithm::HmacSha256,
        b"nobody else knows this secret",
    )
}

/// What is signed is accepted and comes out again; what was changed in one place is not; and nothing
/// is accepted that is not signed.
pub(crate) fn check_tsig(data: &[u8]) {
    let (key, keys) = (key(), Keys::from_iter([key()]));
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(read) = parse_keys(text)
    {
        assert!(!read.is_empty());
    }
    let checked = keys.check(data, now());
    if let Ok(Some(signed)) = &checked {
        let plain = signed.unsigned(data);
        assert!(matches!(keys.check(&plain, now()), Ok(None)));
    }
    // As an answer.
    let mut request = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01".to_vec();
    let mut verifier = tsig::sign(&mut request, &key, now());
    let mut answer = data.to_vec();
    if verifier.verify(&mut answer, now()).is_err() {
        assert_eq!(answer, data, "what is not good is left as it was");
    }
    // And as something to sign, if it is a message to its end.
    let room = usize::from(u16::MAX) - key.signature_len();
    if !matches!(checked, Ok(None)) || data.len() > room || !is_whole(data) {
        return;
    }
    let mut signed = data.to_vec();
    tsig::sign(&mut signed, &key, now());
    let found = keys.check(&signed, now()).expect("it was signed just now");
    let found = found.expect("it was signed just now");
    assert_eq!(found.unsigned(&signed), data);
    // The id may change on the way (RFC 8945, section 4.2), nothing else of the message.
    let places = data.len() - 2;
    let at = 2 + data.iter().map(|octet| usize::from(*octet)).sum::<usize>() % places;
    signed[at] ^= 1 << (at % 8);
    assert!(!matches!(keys.check(&signed, now()), Ok(Some(_))), "{at}");
}

/// Whether a message ends where its records do, and has room for one more.
fn is_whole(data: &[u8]) -> bool {
    let Ok(message) = Message::read(data) else {
        return false;
    };
    let mut records = message.records();
    records.by_ref().all(|record| record.is_ok())
        && records.position() == data.len()
        && message.header().counts[3] < u16::MAX
}

const ID: u16 = 7;

fn zone() -> Name {
    "example.test.".parse().expect("a name")
}

/// The SOA of the version that is there.
fn have() -> Vec<u8> {
    let mut soa = b"\x02ns\x07example\x04test\0\x04host\x07example\x04test\0".to_vec();
    for number in [1_u32, 60, 20, 600, 30] {
        soa.extend(number.to_be_bytes());
    }
    soa
}

fn inbound(incremental: bool) -> Inbound {
    let mut limits = InboundOptions::default();
    limits.records = 10_000;
    let have = have();
    match incremental {
        true => Inbound::ixfr(zone(), Class::IN, ID, (300, &have), None, limits).0,
        false => Inbound::axfr(zone(), Class::IN, ID, None, limits).0,
    }
}

/// A change, as it compares.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Whole,
    Add(Row),
    Remove(Row),
}

/// Owner, type, TTL, data.
type Row = (Vec<u8>, RecordType, u32, Vec<u8>);

/// What a client makes of messages: how it ends, after how many of them, and what changes.
fn receive(
    incremental: bool,
    messages: &[Vec<u8>],
) -> (Result<Progress, TransferError>, usize, Vec<Told>) {
    let mut inbound = inbound(incremental);
    let mut changes = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        let progress = inbound.receive(&mut message.clone(), now(), &mut |change| {
            // Without the case of letters, which compression does not keep.
            let row = |entry: Entry<'_>| {
                (
                    entry.name.as_wire().to_ascii_lowercase(),
                    entry.record_type,
                    entry.ttl,
                    entry.rdata.to_ascii_lowercase(),
                )
            };
            changes.push(match change {
                Change::Whole => Told::Whole,
                Change::Add(entry) => Told::Add(row(entry)),
                Change::Remove(entry) => Told::Remove(row(entry)),
            });
            Ok(())
        });
        match progress {
            Ok(Progress::More) => {}
            end => return (end, number + 1, changes),
        }
    }
    (Ok(Progress::More), messages.len(), changes)
}

/// A transfer is complete with its last record and not before, and what it says does not depend on
/// how its records are divided into messages (RFC 5936, section 2.2). The first octet says what was
/// asked for; then come messages, each behind its length.
pub(crate) fn check_transfer(data: &[u8]) {
    let Some((first, mut rest)) = data.split_first() else {
        return;
    };
    let incremental = first & 1 == 1;
    let mut messages = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((message, behind)) = behind.split_at_checked(length) else {
            break;
        };
        messages.push(message.to_vec());
        rest = behind;
    }
    let (end, used, changes) = receive(incremental, &messages);
    let messages = &messages[..used];
    let serial = match end {
        Ok(Progress::Complete(serial)) => Some(serial),
        Ok(Progress::UpToDate(_)) => {
            assert!(incremental && changes.is_empty());
            None
        }
        _ => return,
    };
    if let Some(serial) = serial {
        check_changes(&changes, incremental, serial);
    }
    let records = records(messages);
    // In one message, if there is room, and in one for each record.
    for most in [usize::MAX, 1] {
        let Some(again) = divided(incremental, &records, most) else {
            continue;
        };
        let (end_again, used, changes_again) = receive(incremental, &again);
        assert_eq!((&end_again, used), (&end, again.len()));
        assert_eq!(changes_again, changes);
        // Without its last record it is half a transfer, whatever that was.
        if let Some(half) = divided(incremental, &records[..records.len() - 1], most) {
            let (end, ..) = receive(incremental, &half);
            assert!(!matches!(end, Ok(Progress::Complete(_))), "{end:?}");
        }
        // So it is if the last message is cut.
        if let Some((last, before)) = again.split_last() {
            for cut in (0..last.len()).step_by(1 + last.len() / 8) {
                let cut = [before, &[last[..cut].to_vec()]].concat();
                let (end, ..) = receive(incremental, &cut);
                assert!(end.is_err(), "{end:?}");
            }
        }
    }
}

/// A serial as it is in data that was made lower case.
fn lower(serial: Serial) -> Serial {
    Serial(u32::from_be_bytes(
        serial
            .0
            .to_be_bytes()
            .map(|octet| octet.to_ascii_lowercase()),
    ))
}

/// What a complete transfer says makes sense: it begins and ends with the right SOAs.
fn check_changes(changes: &[Told], incremental: bool, serial: Serial) {
    let serial_of = |row: &Row| {
        assert_eq!(row.1, RecordType::SOA);
        SoaNumbers::read(&row.3).map(|numbers| numbers.serial)
    };
    match changes {
        [Told::Whole, Told::Add(soa), rest @ ..] => {
            assert_eq!(serial_of(soa), Some(lower(serial)));
            let only_soa = |told: &Told| matches!(told, Told::Add(row) if row.1 != RecordType::SOA);
            assert!(rest.iter().all(only_soa));
        }
        [Told::Remove(soa), rest @ ..] => {
            assert!(incremental);
            assert_eq!(serial_of(soa), Some(Serial(1)));
            let last = rest.iter().rev().find_map(|told| match told {
                Told::Add(row) if row.1 == RecordType::SOA => Some(row),
                _ => None,
            });
            assert_eq!(last.and_then(serial_of), Some(lower(serial)));
        }
        _ => panic!("{changes:?}"),
    }
}

/// A record as it stands in a message: owner, type, class, TTL, data.
type Plain = (Vec<u8>, RecordType, Class, u32, Vec<u8>);

/// All records of the answers, with names expanded.
fn records(messages: &[Vec<u8>]) -> Vec<Plain> {
    let mut all = Vec::new();
    for message in messages {
        let message = Message::read(message).expect("it was taken");
        for record in message.records() {
            let record = record.expect("it was taken");
            if record.section != Section::Answer {
                break;
            }
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata).expect("it was taken");
            let name = record.name().expect("it was taken").as_bytes().to_vec();
            all.push((name, record.record_type, record.class, record.ttl, rdata));
        }
    }
    all
}

/// The records in messages of so many each; none if one has no room.
fn divided(incremental: bool, records: &[Plain], most: usize) -> Option<Vec<Vec<u8>>> {
    let mut writer = MessageWriter::new();
    let mut messages = Vec::new();
    for some in records.chunks(most.min(records.len().max(1))) {
        let header = Header {
            id: ID,
            flags: Header::QR | Header::AA,
            counts: [0; 4],
        };
        writer.begin(header, LONGEST_MESSAGE);
        if messages.is_empty() {
            let asked = match incremental {
                true => RecordType::IXFR,
                false => RecordType::AXFR,
            };
            writer
                .question(zone().as_wire(), asked, Class::IN)
                .expect("it has room");
        }
        for (name, record_type, class, ttl, rdata) in some {
            let section = Section::Answer;
            let written = writer.record(section, name, *record_type, *class, *ttl, rdata);
            written.ok()?;
        }
        messages.push(writer.finish().to_vec());
    }
    Some(messages)
}
