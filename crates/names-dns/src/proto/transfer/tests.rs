//! Both sides against each other, and what a hostile server could say.

use std::time::{SystemTime, UNIX_EPOCH};

use super::*;
use crate::proto::{
    Header, Message, MessageWriter, Name, Rcode, Section, Serial,
    tsig::{Algorithm, Key, Keys, VerifyError},
};

type Row = (Name, RecordType, u32, Vec<u8>);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn soa(serial: u32) -> Row {
    let mut rdata = b"\x02ns\0\x01h\0".to_vec();
    for number in [serial, 60, 60, 600, 60] {
        rdata.extend(number.to_be_bytes());
    }
    (name("example."), RecordType::SOA, 60, rdata)
}

fn a(owner: &str, last: u8) -> Row {
    (name(owner), RecordType::A, 60, vec![192, 0, 2, last])
}

struct Rows(Vec<Row>, usize);

impl Source for Rows {
    fn current(&self) -> Option<Entry<'_>> {
        let (name, record_type, ttl, rdata) = self.0.get(self.1)?;
        Some(Entry {
            name: name.as_ref(),
            record_type: *record_type,
            class: Class::IN,
            ttl: *ttl,
            rdata,
        })
    }

    fn advance(&mut self) {
        self.1 += 1;
    }
}

fn key() -> Key {
    Key::new(name("k."), Algorithm::HmacSha256, b"a secret")
}

/// The messages that answer a request.
fn answers(request: &[u8], rows: Vec<Row>) -> Vec<Vec<u8>> {
    let keys = Keys::from_iter([key()]);
    let signer = keys.check(request, UNIX_EPOCH).unwrap();
    let message = Message::read(request).unwrap();
    let question = message.question().unwrap().unwrap();
    let mut outbound = Outbound::new(
        Rows(rows, 0),
        message.header(),
        name("example."),
        question.record_type,
        Class::IN,
    );
    if let Some(signed) = signer {
        outbound = outbound.signed(signed.into_signer());
    }
    let mut writer = MessageWriter::new();
    let mut messages = Vec::new();
    while let Some(message) = outbound.next_message(&mut writer, UNIX_EPOCH).unwrap() {
        messages.push(message);
    }
    messages
}

/// What a client makes of messages: the changes, and how it ended.
fn receive(
    mut inbound: Inbound,
    messages: &[Vec<u8>],
) -> (Vec<String>, Result<Progress, TransferError>) {
    let mut changes = Vec::new();
    let mut progress = Ok(Progress::More);
    for message in messages {
        progress = inbound.receive(&mut message.clone(), UNIX_EPOCH, &mut |change| {
            changes.push(shown(change));
            Ok(())
        });
        if progress.is_err() {
            break;
        }
    }
    (changes, progress)
}

fn shown(change: Change<'_>) -> String {
    let of = |sign: &str, entry: Entry<'_>| match entry.record_type {
        RecordType::SOA => format!("{sign}{}", entry.rdata[10]),
        _ => format!("{sign}{}{}", entry.name, entry.rdata.last().unwrap()),
    };
    match change {
        Change::Whole => "whole".into(),
        Change::Add(entry) => of("+", entry),
        Change::Remove(entry) => of("-", entry),
    }
}

fn axfr(signed: bool) -> (Inbound, Vec<u8>) {
    let key = key();
    let key = signed.then_some((&key, UNIX_EPOCH));
    Inbound::axfr(
        name("example."),
        Class::IN,
        7,
        key,
        InboundOptions::default(),
    )
}

fn ixfr(have: u32) -> (Inbound, Vec<u8>) {
    let (_, _, ttl, rdata) = soa(have);
    Inbound::ixfr(
        name("example."),
        Class::IN,
        7,
        (ttl, &rdata),
        None,
        InboundOptions::default(),
    )
}

#[track_caller]
fn ixfr_of(have: u32, rows: Vec<Row>) -> (String, Result<Progress, TransferError>) {
    let (inbound, request) = ixfr(have);
    let (changes, result) = receive(inbound, &answers(&request, rows));
    (changes.join(" "), result)
}

#[test]
fn a_zone_of_many_messages_arrives() {
    for signed in [false, true] {
        let (inbound, request) = axfr(signed);
        let mut rows = vec![soa(9)];
        rows.extend((0..5000).map(|n| a(&format!("host{n}.example."), 1)));
        rows.push(soa(9));
        let messages = answers(&request, rows);
        assert!(messages.len() > 4);
        assert!(messages.iter().all(|message| message.len() < 17 * 1024));
        let (changes, result) = receive(inbound, &messages);
        assert_eq!(result, Ok(Progress::Complete(Serial(9))));
        assert_eq!(changes.len(), 5002);
        assert_eq!(changes[..3], ["whole", "+9", "+host0.example.1"]);
    }
}

#[test]
fn a_long_record_has_a_message_of_its_own() {
    let (inbound, request) = axfr(true);
    let long = (name("example."), RecordType::TXT, 1, vec![0; 65_400]);
    let messages = answers(&request, vec![soa(1), a("a.example.", 1), long, soa(1)]);
    assert_eq!(messages.len(), 3);
    assert_eq!(
        receive(inbound, &messages).1,
        Ok(Progress::Complete(Serial(1)))
    );
    let too_long = (name("example."), RecordType::TXT, 1, vec![0; 65_530]);
    let mut outbound = Outbound::new(
        Rows(vec![too_long], 0),
        Header::default(),
        name("example."),
        RecordType::AXFR,
        Class::IN,
    );
    assert!(
        outbound
            .next_message(&mut MessageWriter::new(), UNIX_EPOCH)
            .is_err()
    );
}

/// RFC 1995, section 7: three versions, as its example has them.
#[test]
fn differences_arrive_in_order() {
    let rows = vec![
        soa(3),
        soa(1),
        a("nezu.example.", 5),
        soa(2),
        a("jain.example.", 4),
        a("jain.example.", 1),
        soa(2),
        a("jain.example.", 4),
        soa(3),
        a("jain.example.", 3),
        soa(3),
    ];
    let (changes, result) = ixfr_of(1, rows);
    assert_eq!(result, Ok(Progress::Complete(Serial(3))));
    assert_eq!(
        changes,
        "-1 -nezu.example.5 +2 +jain.example.4 +jain.example.1 -2 -jain.example.4 +3 +jain.example.3"
    );
}

#[test]
fn an_ixfr_may_be_answered_by_the_whole_zone_or_by_nothing_new() {
    let rows = vec![soa(3), a("a.example.", 1), soa(3)];
    let (changes, result) = ixfr_of(1, rows);
    assert_eq!(
        (&*changes, result),
        ("whole +3 +a.example.1", Ok(Progress::Complete(Serial(3))))
    );
    // A zone of an SOA alone.
    let (changes, result) = ixfr_of(1, vec![soa(3), soa(3)]);
    assert_eq!(
        (&*changes, result),
        ("whole +3", Ok(Progress::Complete(Serial(3))))
    );
    for theirs in [1, 0, u32::MAX] {
        let (changes, result) = ixfr_of(1, vec![soa(theirs)]);
        assert_eq!(
            (&*changes, result),
            ("", Ok(Progress::UpToDate(Serial(theirs))))
        );
    }
    // One SOA may be the beginning of more.
    let (changes, result) = ixfr_of(1, vec![soa(3)]);
    assert_eq!((&*changes, result), ("", Ok(Progress::More)));
}

#[test]
fn serials_may_wrap_and_not_go_round() {
    let rows = vec![soa(1), soa(u32::MAX), soa(0), soa(0), soa(1), soa(1)];
    assert_eq!(ixfr_of(u32::MAX, rows).1, Ok(Progress::Complete(Serial(1))));
    for (have, rows) in [
        // Back to where it was.
        (1, vec![soa(3), soa(1), soa(1)]),
        (1, vec![soa(3), soa(1), soa(2), soa(2), soa(1)]),
        // Beyond the last, and half the circle on.
        (1, vec![soa(3), soa(1), soa(4)]),
        (1, vec![soa(3), soa(1), soa(1 + (1 << 31))]),
        // From another version than ours, and with one missing.
        (1, vec![soa(3), soa(2), soa(3), soa(3)]),
        (1, vec![soa(5), soa(1), soa(2), soa(3)]),
        // Something behind the end.
        (1, vec![soa(3), soa(1), soa(3), soa(3), a("a.example.", 1)]),
        (1, vec![soa(1), a("a.example.", 1)]),
        // No beginning.
        (1, vec![a("a.example.", 1)]),
    ] {
        let shown: Vec<_> = rows.iter().map(|row| row.3.clone()).collect();
        let result = ixfr_of(have, rows).1;
        assert!(
            matches!(result, Err(TransferError::Sequence(_))),
            "{shown:?}: {result:?}"
        );
    }
}

#[test]
fn an_older_zone_is_refused() {
    for (theirs, ours) in [(1, 2), (2, 2), (0, 1), (u32::MAX, 0), (1 << 31, 0)] {
        let (inbound, request) = axfr(false);
        let inbound = inbound.newer_than(Serial(ours));
        let rows = vec![soa(theirs), soa(theirs)];
        let (changes, result) = receive(inbound, &answers(&request, rows));
        let (theirs, ours) = (Serial(theirs), Serial(ours));
        assert_eq!(result, Err(TransferError::NotNewer { theirs, ours }));
        assert!(changes.is_empty());
    }
}

#[test]
fn records_that_the_zone_cannot_have_are_refused() {
    let with = |row: Row| {
        let (inbound, request) = axfr(false);
        receive(inbound, &answers(&request, vec![soa(1), row, soa(1)])).1
    };
    assert!(with(a("a.example.", 1)).is_ok());
    let short = (name("a.example."), RecordType::A, 1, vec![1, 2, 3]);
    let below = (name("sub.example."), RecordType::SOA, 1, soa(1).3);
    for row in [
        a("a.other.", 1),
        a("anexample.", 1),
        a(".", 1),
        short,
        below,
        (name("a.example."), RecordType::ANY, 1, vec![]),
        (name("a.example."), RecordType(41), 1, vec![]),
        (name("a.example."), RecordType::MX, 1, vec![0, 1, 1]),
        (name("a.example."), RecordType::NS, 1, vec![0, 1]),
    ] {
        let result = with(row);
        assert!(
            matches!(
                result,
                Err(TransferError::Foreign { .. } | TransferError::Malformed(_))
            ),
            "{result:?}"
        );
    }
}

#[test]
fn what_grows_has_a_limit() {
    let (mut inbound, request) = axfr(false);
    inbound.options.records = 3;
    let rows = vec![soa(1), a("a.example.", 1), a("a.example.", 2), soa(1)];
    let messages = answers(&request, rows);
    let result = receive(inbound, &messages).1;
    assert!(
        matches!(result, Err(TransferError::TooMuch(_))),
        "{result:?}"
    );

    let (mut inbound, _) = axfr(false);
    inbound.options.octets = 60;
    let result = receive(inbound, &messages).1;
    assert!(
        matches!(result, Err(TransferError::TooMuch(_))),
        "{result:?}"
    );

    let (mut inbound, request) = ixfr(1);
    inbound.options.differences = 1;
    let rows = vec![soa(3), soa(1), soa(2), soa(2), soa(3), soa(3)];
    let result = receive(inbound, &answers(&request, rows)).1;
    assert!(
        matches!(result, Err(TransferError::TooMuch(_))),
        "{result:?}"
    );

    // Messages that say nothing.
    let empty = answers(&axfr(false).1, vec![]);
    assert_eq!(empty.len(), 1);
    let (inbound, request) = axfr(false);
    assert!(receive(inbound, &empty).1.is_err());
    let (inbound, _) = axfr(false);
    let mut messages = answers(&request, vec![soa(1)]);
    messages.extend(std::iter::repeat_n(empty[0].clone(), 17));
    assert!(receive(inbound, &messages).1.is_err());
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let (_, request) = axfr(false);
    let good = answers(&request, vec![soa(1), soa(1)]).remove(0);
    let changed = |at: usize, to: u8| {
        let mut message = good.clone();
        message[at] = to;
        receive(axfr(false).0, &[message]).1
    };
    assert_eq!(changed(1, 7), Ok(Progress::Complete(Serial(1))));
    for (at, to) in [
        (1, 8),
        (2, 0),
        (2, 0xA0),
        (2, 0x86),
        (5, 2),
        (13, b'f'),
        (22, 253),
    ] {
        assert!(changed(at, to).is_err(), "{at} {to}");
    }
    assert_eq!(changed(3, 5), Err(TransferError::Refused(Rcode::REFUSED)));
}

#[test]
fn a_signed_request_takes_no_unsigned_answer() {
    let (inbound, _) = axfr(true);
    let unsigned = answers(&axfr(false).1, vec![soa(1), soa(1)]);
    let result = receive(inbound, &unsigned).1;
    assert_eq!(result, Err(TransferError::Signature(VerifyError::Unsigned)));

    // The end of a stream must be signed, or it may have been cut there.
    let (inbound, request) = axfr(true);
    let mut rows = vec![soa(9)];
    rows.extend((0..2000).map(|n| a(&format!("host{n}.example."), 1)));
    rows.push(soa(9));
    let mut messages = answers(&request, rows);
    let last = messages.last_mut().unwrap();
    let mut forged = MessageWriter::new();
    let header = Header::read(last).unwrap();
    forged.begin(header, 512);
    let (owner, record_type, ttl, rdata) = soa(9);
    forged
        .record(
            Section::Answer,
            owner.as_wire(),
            record_type,
            Class::IN,
            ttl,
            &rdata,
        )
        .unwrap();
    *last = forged.finish().to_vec();
    let result = receive(inbound, &messages).1;
    assert_eq!(result, Err(TransferError::Signature(VerifyError::Unsigned)));
}

/// However the records are spread over messages, the changes are the same.
#[test]
fn the_edges_of_messages_do_not_matter() {
    let rows = [
        soa(3),
        soa(1),
        a("nezu.example.", 5),
        soa(2),
        a("jain.example.", 4),
        soa(2),
        soa(3),
        a("jain.example.", 3),
        soa(3),
    ];
    let whole = ixfr_of(1, rows.to_vec());
    let (_, request) = ixfr(1);
    for mask in 0..1 << (rows.len() - 1) {
        let mut messages = Vec::new();
        let mut part = Vec::new();
        for (n, row) in rows.iter().enumerate() {
            part.push(row.clone());
            if mask >> n & 1 == 1 || n + 1 == rows.len() {
                messages.extend(answers(&request, std::mem::take(&mut part)));
            }
        }
        let (changes, result) = receive(ixfr(1).0, &messages);
        assert_eq!((changes.join(" "), result), whole);
    }
}

#[test]
fn the_sink_may_refuse() {
    let (mut inbound, request) = axfr(false);
    let mut messages = answers(&request, vec![soa(1), soa(1)]);
    let result = inbound.receive(&mut messages[0], SystemTime::UNIX_EPOCH, &mut |_| {
        Err(TransferError::Conflict("no"))
    });
    assert_eq!(result, Err(TransferError::Conflict("no")));
}
