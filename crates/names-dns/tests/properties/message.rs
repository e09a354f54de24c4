//! What holds for any octets that come as a message: shared by the ordinary
//! tests and the fuzz targets `dns_message` and `dns_answer`.

use std::sync::{Arc, OnceLock};

use ropewalk_core::testing::DatagramRig;
use ropewalk_names_dns::{
    proto::{Class, Header, Message, MessageWriter, Name, NameRef, RecordType, Section},
    server::{Authority, AuthorityDatagrams, AuthorityOptions},
    zone::{Zone, Zones},
};

/// A question as it was read.
type Asked = (Vec<u8>, RecordType, Class);

/// A record as it was read.
type Plain = (Section, Vec<u8>, RecordType, Class, u32, Vec<u8>);

/// All of a message, if it is one.
fn read(bytes: &[u8]) -> Option<(Vec<Asked>, Vec<Plain>)> {
    let message = Message::read(bytes).ok()?;
    let mut questions = Vec::new();
    for question in message.questions() {
        let question = question.ok()?;
        let name = question.name().ok()?.as_bytes().to_vec();
        questions.push((name, question.record_type, question.class));
    }
    let mut records = Vec::new();
    for record in message.records() {
        let record = record.ok()?;
        let mut data = Vec::new();
        record.expand_rdata(&mut data).ok()?;
        let name = record.name().ok()?.as_bytes().to_vec();
        records.push((
            record.section,
            name,
            record.record_type,
            record.class,
            record.ttl,
            data,
        ));
    }
    Some((questions, records))
}

/// Reading never fails badly; what was read, written and read again is the
/// same, but for the case of letters; and hickory reads what we write.
pub(crate) fn check_message(bytes: &[u8]) {
    let Some((questions, records)) = read(bytes) else {
        return;
    };
    let header = Header::read(bytes).expect("it was read");
    let mut writer = MessageWriter::new();
    writer.begin(header, usize::MAX);
    for (name, record_type, class) in &questions {
        if writer.question(name, *record_type, *class).is_err() {
            return;
        }
    }
    for (section, name, record_type, class, ttl, data) in &records {
        let written = writer.record(*section, name, *record_type, *class, *ttl, data);
        if written.is_err() {
            // Expanded it may be longer than any message.
            return;
        }
    }
    let again = writer.finish().to_vec();
    let (mut theirs, mut ours) = (
        (questions, records),
        read(&again).expect("what we write can be read"),
    );
    for (questions, records) in [&mut theirs, &mut ours] {
        for (name, ..) in questions {
            name.make_ascii_lowercase();
        }
        for (_, name, .., data) in records {
            name.make_ascii_lowercase();
            // Names in data are compressed in any case, too.
            data.make_ascii_lowercase();
        }
    }
    assert_eq!(theirs, ours);
    // Only what hickory takes in the first place: it reads data, we do not.
    if hickory_proto::op::Message::from_vec(bytes).is_ok() {
        let message = hickory_proto::op::Message::from_vec(&again);
        assert!(message.is_ok(), "{message:?}");
    }
}

/// A zone with everything that answers differ by.
const ZONE: &str = r#"
$ORIGIN example.
$TTL 3600
@ SOA ns h 1 2 3 4 300
@ NS ns
@ MX 10 mail
ns A 192.0.2.1
mail A 192.0.2.2
www CNAME mail
loop CNAME loop
*.w TXT "wild"
d DNAME w
cut NS ns.cut
ns.cut A 192.0.2.3
a.ent TXT "ent"
big TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
svc SVCB 1 mail alpn=h2
"#;

/// An authority for that zone, on the bench.
pub(crate) fn rig(options: AuthorityOptions) -> DatagramRig<AuthorityDatagrams> {
    static PARSED: OnceLock<Arc<Zone>> = OnceLock::new();
    let zone = PARSED.get_or_init(|| {
        let origin: Name = "example".parse().expect("a name");
        Arc::new(Zone::from_text(origin, ZONE).expect("a zone"))
    });
    let zones = Zones::new();
    zones.insert(zone.clone());
    DatagramRig::new(Authority::new(zones, options).datagrams())
}

/// The answer of that authority to one datagram.
fn answer(rig: &mut DatagramRig<AuthorityDatagrams>, bytes: &[u8]) -> Option<Vec<u8>> {
    rig.receive(bytes, "192.0.2.9:53");
    let mut sent = rig.sent();
    assert!(sent.len() <= 1 && !rig.is_closed());
    sent.pop().map(|(answer, _)| answer)
}

/// Any datagram is answered by the rules or not at all, and twice the same,
/// whether the answer is made or ready.
pub(crate) fn check_answer(bytes: &[u8]) {
    let options = || {
        let mut options = AuthorityOptions::default();
        options.rate_limit = None;
        options.cookies = None;
        // Room is made anew for each datagram here.
        options.compiled = 16 * 1024;
        options
    };
    let mut rig = rig(options());
    let Some(first) = answer(&mut rig, bytes) else {
        // Only what is no request is not answered.
        assert!(
            Header::read(bytes).is_none_or(|header| header.has(Header::QR)) || bytes.len() > 4095
        );
        return;
    };
    assert_eq!(answer(&mut rig, bytes).as_ref(), Some(&first));
    let (asked, header) = (
        Header::read(bytes).expect("only requests are answered"),
        Header::read(&first).expect("an answer has a header"),
    );
    assert_eq!(header.id, asked.id);
    assert!(header.has(Header::QR) && !header.has(Header::RA));
    assert_eq!(header.opcode(), asked.opcode());
    let kept = Header::RD | Header::CD;
    assert_eq!(header.flags & kept, asked.flags & kept);
    assert!(first.len() <= 1232, "{} octets", first.len());
    let (_, records) = read(&first).expect("an answer can be read");
    if header.has(Header::TC) {
        let no_opt = |record: &&Plain| record.2 != RecordType::OPT;
        assert_eq!(
            records.iter().filter(no_opt).count(),
            0,
            "TC, and nothing else"
        );
    }
    if header.counts[0] == 1 {
        let end = 12
            + NameRef::split_from(&first[12..])
                .expect("a name")
                .0
                .as_wire()
                .len()
            + 4;
        assert_eq!(
            first[12..end],
            bytes[12..end],
            "the question as it was asked"
        );
    }
    // What we say is never an occasion to say more.
    assert_eq!(answer(&mut rig, &first), None);
    let mut bare = options();
    bare.compiled = 0;
    let mut without = self::rig(bare);
    assert_eq!(answer(&mut without, bytes), Some(first), "made each time");
}
