//! What those do who mean harm.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ropewalk_core::{
    ClientEndpoint, Connection, Schemes, ServerEndpoint, ServerOptions,
    testing::{self, DatagramRig},
};
use ropewalk_names_dns::{
    proto::{
        Class, Edns, Header, Message, MessageWriter, Name, OptionCode, Rcode, RecordType, Section,
        put_option,
        tsig::{self, Algorithm, Key},
    },
    server::{Asker, Authority, AuthorityDatagrams, AuthorityOptions, Extension, Reply, Request},
    zone::{Zone, Zones},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    ask::{Answer, question},
    message::rig,
};

fn deep() -> bool {
    std::env::var_os("ROPEWALK_DEEP").is_some()
}

fn ask_rig(rig: &mut DatagramRig<AuthorityDatagrams>, bytes: &[u8], from: &str) -> Vec<Vec<u8>> {
    rig.receive(bytes, from);
    rig.sent().into_iter().map(|(answer, _)| answer).collect()
}

/// A message with these counts and this behind the header.
fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let header = Header {
        id: 7,
        flags,
        counts,
    };
    [&header.to_bytes()[..], rest].concat()
}

#[test]
fn what_is_malformed_is_told_so_or_ignored() {
    let mut rig = rig(AuthorityOptions::default());
    let name = b"\x03www\x07example\0\0\x01\0\x01";
    let with = |rest: &[u8]| [&name[..], rest].concat();
    let opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "a pointer to itself",
            message(0, [1, 0, 0, 0], b"\xc0\x0c\0\x01\0\x01"),
        ),
        (
            "a pointer ahead",
            message(0, [1, 0, 0, 0], b"\xc0\x20\0\x01\0\x01"),
        ),
        (
            "a label of 0x40",
            message(0, [1, 0, 0, 0], b"\x41aa\0\0\x01\0\x01"),
        ),
        (
            "a label of 0x80",
            message(0, [1, 0, 0, 0], b"\x81aa\0\0\x01\0\x01"),
        ),
        ("a name over 255", {
            let label = [&[63][..], &[b'a'; 63]].concat();
            message(
                0,
                [1, 0, 0, 0],
                &[label.repeat(4), b"\0\0\x01\0\x01".to_vec()].concat(),
            )
        }),
        ("no question", message(0, [0, 0, 0, 0], b"")),
        ("two questions", message(0, [2, 0, 0, 0], &with(name))),
        ("65,535 of all", message(0, [0xFFFF; 4], &with(name))),
        (
            "records that are not there",
            message(0, [1, 0, 0, 0xFFFF], name),
        ),
        (
            "RDLENGTH past the end",
            message(0, [1, 0, 0, 1], &with(b"\0\0\x29\x04\xd0\0\0\0\0\xff\xff")),
        ),
        ("two OPTs", message(0, [1, 0, 0, 2], &with(&opt.repeat(2)))),
        (
            "an option past the end",
            message(
                0,
                [1, 0, 0, 1],
                &with(b"\0\0\x29\x04\xd0\0\0\0\0\0\x04\0\x0a\0\x09"),
            ),
        ),
        (
            "TSIG not last",
            message(
                0,
                [1, 0, 0, 2],
                &with(&[&b"\0\0\xfa\0\xff\0\0\0\0\0\0"[..], opt].concat()),
            ),
        ),
        (
            "an answer in a question",
            message(0, [1, 1, 0, 0], &with(b"\0\0\x01\0\x01\0\0\0\0\0\0")),
        ),
        (
            "a cookie of nine",
            message(
                0,
                [1, 0, 0, 1],
                &with(b"\0\0\x29\x04\xd0\0\0\0\0\0\x0d\0\x0a\0\x09123456789"),
            ),
        ),
    ];
    for (what, bytes) in cases {
        let answers = ask_rig(&mut rig, &bytes, "127.0.0.1:9");
        assert_eq!(answers.len(), 1, "{what}");
        let header = Header::read(&answers[0]).unwrap();
        assert_eq!(header.rcode().0, 1, "{what}");
        let empty = Answer::read(&answers[0])
            .sections
            .iter()
            .all(|it| it.is_empty());
        assert!(empty, "{what}");
    }
    for length in 0..12 {
        assert!(ask_rig(&mut rig, &[0; 12][..length], "127.0.0.1:9").is_empty());
    }
    // Nobody is answered who answers.
    let answer = message(Header::QR, [1, 0, 0, 0], name);
    assert!(ask_rig(&mut rig, &answer, "127.0.0.1:9").is_empty());
}

#[test]
fn many_options_cost_what_one_costs() {
    let mut rig = rig(AuthorityOptions::default());
    let mut options = Vec::new();
    while options.len() < 3900 {
        put_option(&mut options, OptionCode::NSID, b"");
        put_option(&mut options, OptionCode::COOKIE, b"12345678");
        put_option(&mut options, OptionCode::PADDING, b"");
    }
    let mut writer = MessageWriter::new();
    writer.begin(Header::default(), 4095);
    let name: Name = "www.example".parse().unwrap();
    let (a, class) = (RecordType::A, Class::IN);
    writer.question(name.as_wire(), a, class).unwrap();
    let edns = Edns {
        udp_size: 4096,
        options: &options,
        ..Edns::default()
    };
    writer.opt(&edns).unwrap();
    let answers = ask_rig(&mut rig, writer.finish(), "127.0.0.1:9");
    let view = Message::read(&answers[0]).unwrap();
    let opt = Edns::find(&view).unwrap().unwrap();
    let cookies = opt.options().flatten();
    assert_eq!(
        cookies
            .filter(|(code, _)| *code == OptionCode::COOKIE)
            .count(),
        1
    );
    assert!(answers[0].len() < 200);
}

/// Who asks in another's name gains less than three octets for each of its own,
/// whatever it asks for; who has a cookie is answered each time.
#[test]
fn nobody_is_amplified_who_has_no_cookie() {
    for record_type in ["TXT", "ANY", "MX"] {
        let mut rig = rig(AuthorityOptions::default());
        let name: Name = "big.example".parse().unwrap();
        let record_type: RecordType = record_type.parse().unwrap();
        let ask = crate::ask::ask(name.as_ref(), record_type, 0, Some((4096, false)));
        let (mut asked, mut answered) = (0, 0);
        let mut truncated = 0;
        for _ in 0..20_000 {
            asked += ask.len();
            for answer in ask_rig(&mut rig, &ask, "192.0.2.66:5353") {
                answered += answer.len();
                truncated += usize::from(answer[2] & 2 != 0);
            }
        }
        assert!(
            answered < 3 * asked,
            "{record_type}: {answered} for {asked}"
        );
        // And a resolver that really asks hears that it should come over TCP.
        assert!(truncated > 1000, "{truncated}");
    }
    let mut rig = rig(AuthorityOptions::default());
    let with_cookie = |cookie: &[u8]| {
        let mut options = Vec::new();
        put_option(&mut options, OptionCode::COOKIE, cookie);
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), 512);
        let name: Name = "big.example".parse().unwrap();
        let (txt, class) = (RecordType::TXT, Class::IN);
        writer.question(name.as_wire(), txt, class).unwrap();
        let edns = Edns {
            udp_size: 1232,
            options: &options,
            ..Edns::default()
        };
        writer.opt(&edns).unwrap();
        writer.finish().to_vec()
    };
    let first = ask_rig(&mut rig, &with_cookie(b"12345678"), "192.0.2.66:5353");
    let view = Message::read(&first[0]).unwrap();
    let opt = Edns::find(&view).unwrap().unwrap();
    let cookie = opt.option(OptionCode::COOKIE).unwrap();
    let again = with_cookie(cookie);
    for _ in 0..2000 {
        let answers = ask_rig(&mut rig, &again, "192.0.2.66:5353");
        assert!(answers.len() == 1 && answers[0][2] & 2 == 0);
    }
}

#[test]
fn answers_over_udp_are_of_1232_octets_at_most() {
    let zone = "@ 1 SOA . . 1 2 3 4 5\n@ 1 NS .\n".to_owned()
        + &(0..200).fold(String::new(), |text, n| {
            text + &format!("many 1 A 192.0.2.{n}\n")
        });
    let zones = Zones::new();
    let origin: Name = "example".parse().unwrap();
    zones.insert(Arc::new(Zone::from_text(origin, &zone).unwrap()));
    let authority = Authority::new(zones, AuthorityOptions::default());
    let mut rig = DatagramRig::new(authority.datagrams());
    let name: Name = "many.example".parse().unwrap();
    for (edns, most) in [
        (None, 512),
        (Some(0), 512),
        (Some(600), 600),
        (Some(65_535), 1232),
    ] {
        let edns = edns.map(|size| (size, false));
        let ask = crate::ask::ask(name.as_ref(), RecordType::A, 0, edns);
        let answers = ask_rig(&mut rig, &ask, "127.0.0.1:9");
        assert!(answers[0].len() <= most);
        assert!(answers[0][2] & 2 != 0, "truncated");
        assert_eq!(Message::read(&answers[0]).unwrap().header().counts[1], 0);
    }
}

#[test]
fn what_changes_or_copies_a_zone_is_refused_by_default() {
    let mut rig = rig(AuthorityOptions::default());
    let name = b"\x07example\0";
    let with = |record_type: u16| [&name[..], &record_type.to_be_bytes(), &[0, 1]].concat();
    for (flags, record_type, rcode) in [
        (0, RecordType::AXFR, 5),
        (0, RecordType::IXFR, 5),
        (4 << 11, RecordType::SOA, 5),
        (5 << 11, RecordType::SOA, 4),
        (3 << 11, RecordType::SOA, 4),
    ] {
        let bytes = message(flags, [1, 0, 0, 0], &with(record_type.0));
        let answers = ask_rig(&mut rig, &bytes, "127.0.0.1:9");
        let header = Header::read(&answers[0]).unwrap();
        assert_eq!(header.rcode().0, rcode, "{flags:x} {record_type}");
        assert_eq!(header.counts[1..], [0; 3]);
    }
}

/// An authority at `mem:` names, over streams and datagrams.
async fn serve(schemes: &Schemes) -> (impl Sized, impl Sized) {
    let zones = Zones::new();
    let origin: Name = "example".parse().unwrap();
    let text = "@ 1 SOA . . 1 2 3 4 5\n@ 1 NS .\nwww 1 A 192.0.2.1\n".to_owned()
        + &(0..100).fold(String::new(), |text, n| {
            text + &format!("big 1 TXT \"{n} {}\"\n", "x".repeat(200))
        });
    zones.insert(Arc::new(Zone::from_text(origin, &text).unwrap()));
    let authority = Authority::new(zones, AuthorityOptions::default());
    let tcp: ServerEndpoint = "mem:tcp".parse().unwrap();
    let mut options = ServerOptions::from(authority.limits());
    options.schemes = schemes.clone();
    options.limits.per_peer = 0;
    options.limits.connections = 20_000;
    let tcp = tcp.listen_with(authority.handler(), options).await.unwrap();
    let udp: ServerEndpoint = "mem:udp".parse().unwrap();
    let mut options = authority.datagram_options();
    options.schemes = schemes.clone();
    let udp = udp
        .listen_datagrams_with(authority.datagrams(), options)
        .await
        .unwrap();
    (tcp, udp)
}

async fn connect(schemes: &Schemes) -> Connection {
    let endpoint: ClientEndpoint = "mem:tcp".parse().unwrap();
    schemes.connect(&endpoint).await.unwrap()
}

fn frame(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

async fn read_answer(connection: &mut Connection) -> Vec<u8> {
    let mut length = [0; 2];
    connection.read_exact(&mut length).await.unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut answer).await.unwrap();
    answer
}

/// Everything that is left to read, until the server closes.
async fn rest(connection: &mut Connection) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = connection.read_to_end(&mut rest).await;
    rest
}

#[test]
fn who_sends_half_a_message_is_let_go() {
    testing::run(async {
        let schemes = Schemes::new();
        let _serving = serve(&schemes).await;
        let whole = frame(&question("www.example", "A"));
        for length in [0, 1, 2, 3, whole.len() - 1] {
            let mut connection = connect(&schemes).await;
            let start = tokio::time::Instant::now();
            connection.write_all(&whole[..length]).await.unwrap();
            assert_eq!(rest(&mut connection).await, b"");
            assert!(start.elapsed() <= Duration::from_secs(13), "{length}");
        }
        // Octet by octet it is no faster, however long that takes.
        let mut connection = connect(&schemes).await;
        let start = tokio::time::Instant::now();
        for octet in &whole {
            tokio::time::advance(Duration::from_secs(1)).await;
            if connection.write_all(&[*octet]).await.is_err() {
                break;
            }
        }
        assert_eq!(rest(&mut connection).await, b"");
        assert!(start.elapsed() < Duration::from_secs(60));
        // Frames that hold no header are no DNS.
        for length in [0, 1, 11] {
            let mut connection = connect(&schemes).await;
            connection
                .write_all(&frame(&vec![0; length]))
                .await
                .unwrap();
            assert_eq!(rest(&mut connection).await, b"", "{length}");
        }
    });
}

#[test]
fn pipelined_questions_are_answered_in_one_go_and_in_order() {
    testing::run(async {
        let schemes = Schemes::new();
        let _serving = serve(&schemes).await;
        let mut connection = connect(&schemes).await;
        let mut all = Vec::new();
        for id in 0..100_u16 {
            let mut ask = question("www.example", "A");
            ask[..2].copy_from_slice(&id.to_be_bytes());
            all.extend(frame(&ask));
        }
        connection.write_all(&all).await.unwrap();
        for id in 0..100_u16 {
            assert_eq!(read_answer(&mut connection).await[..2], id.to_be_bytes());
        }
        // Long ones come whole.
        let ask = frame(&question("big.example", "TXT"));
        connection.write_all(&ask).await.unwrap();
        let answer = read_answer(&mut connection).await;
        assert_eq!(Answer::read(&answer).sections[0].len(), 100);
    });
}

/// Thousands that say nothing, and one that asks and never reads, keep nobody
/// else from an answer.
#[test]
fn the_idle_and_the_deaf_hold_nobody_up() {
    testing::run(async {
        let schemes = Schemes::new();
        let _serving = serve(&schemes).await;
        let mut idle = Vec::new();
        for _ in 0..if deep() { 10_000 } else { 100 } {
            idle.push(connect(&schemes).await);
        }
        let mut deaf = connect(&schemes).await;
        let ask = frame(&question("big.example", "TXT")).repeat(1000);
        // 20 MB of answers are asked for: sooner or later no more is read.
        let stuck = tokio::time::timeout(Duration::from_secs(5), async {
            for _ in 0..1000 {
                deaf.write_all(&ask).await.unwrap();
            }
        });
        assert!(stuck.await.is_err(), "it is not read from for ever");
        let mut other = connect(&schemes).await;
        other
            .write_all(&frame(&question("www.example", "A")))
            .await
            .unwrap();
        assert_eq!(
            Answer::read(&read_answer(&mut other).await).sections[0].len(),
            1
        );
        // Whoever does not read is let go in the end.
        tokio::time::sleep(Duration::from_secs(40)).await;
        let got = rest(&mut deaf).await.len();
        assert!(got < 2_000_000, "{got}");
        for mut connection in idle {
            assert_eq!(rest(&mut connection).await, b"");
        }
    });
}

#[test]
fn a_zone_is_replaced_between_two_questions() {
    let zones = Zones::new();
    let zone = |address: &str| {
        let origin: Name = "example".parse().unwrap();
        let text = format!("@ 1 SOA . . 1 2 3 4 5\n@ 1 NS .\nwww 1 A {address}\n");
        Arc::new(Zone::from_text(origin, &text).unwrap())
    };
    zones.insert(zone("192.0.2.1"));
    let authority = Authority::new(zones.clone(), AuthorityOptions::default());
    let mut rig = DatagramRig::new(authority.datagrams());
    let ask = question("www.example", "A");
    let mut said = HashMap::new();
    for n in 0..100 {
        zones.insert(zone(&format!("192.0.2.{n}")));
        for _ in 0..3 {
            let answers = ask_rig(&mut rig, &ask, "127.0.0.1:9");
            let view = Message::read(&answers[0]).unwrap();
            let record = view.records().next().unwrap().unwrap();
            assert_eq!(record.section, Section::Answer);
            assert_eq!(record.rdata(), [192, 0, 2, n]);
            *said.entry(n).or_insert(0) += 1;
        }
    }
    assert!(said.len() == 100 && said.values().all(|count| *count == 3));
}

/// A key may have a name so long that its signature leaves no room for the
/// question (RFC 8945, section 5.3).
#[test]
fn a_signature_that_takes_all_room_truncates_the_answer() {
    let long = |letter: &str| format!("{0}.{0}.{0}", letter.repeat(60));
    let name = format!("{}.key", long("k")).parse().unwrap();
    let key = Key::new(
        name,
        Algorithm::HmacSha512,
        b"nobody else knows this secret",
    );
    let mut options = AuthorityOptions::default();
    options.keys = Arc::new([key.clone()].into_iter().collect());
    let mut rig = rig(options);
    let name = format!("{}.example", long("n"));
    let mut request = question(&name, "A");
    let mut verifier = tsig::sign(&mut request, &key, SystemTime::now());
    let mut answer = ask_rig(&mut rig, &request, "192.0.2.1:53").remove(0);
    assert!(
        answer.len() <= 512 + 300,
        "the signature is all that is added"
    );
    assert!(verifier.verify(&mut answer, SystemTime::now()).unwrap());
    let header = Header::read(&answer).unwrap();
    assert!(header.has(Header::QR | Header::TC));
    assert_eq!(header.counts, [1, 0, 0, 0]);
}

/// Who asks and ends its side still hears what takes a while.
#[test]
fn who_asks_no_more_gets_what_it_asked_for() {
    struct Slow;

    impl Extension for Slow {
        fn answer(&self, _: &Request<'_>, _: &Asker) -> Option<Reply> {
            Some(Reply::Later(Box::pin(async {
                tokio::time::sleep(Duration::from_secs(3)).await;
                Reply::Rcode(Rcode::NOERROR)
            })))
        }
    }

    testing::run(async {
        let schemes = Schemes::new();
        let mut options = AuthorityOptions::default();
        options.extension = Some(Arc::new(Slow));
        let authority = Authority::new(Zones::new(), options);
        let tcp: ServerEndpoint = "mem:tcp".parse().unwrap();
        let mut options = ServerOptions::from(authority.limits());
        options.schemes = schemes.clone();
        let _tcp = tcp.listen_with(authority.handler(), options).await.unwrap();
        let mut connection = connect(&schemes).await;
        let mut notify = question("example", "SOA");
        notify[2] |= 4 << 3;
        connection.write_all(&frame(&notify)).await.unwrap();
        connection.shutdown().await.unwrap();
        let start = tokio::time::Instant::now();
        let answer = rest(&mut connection).await;
        assert_eq!(answer.len(), 2 + notify.len());
        assert!(start.elapsed() < Duration::from_secs(4), "and no longer");
    });
}

/// RFC 1035, section 6.2.
#[test]
fn nobody_has_authority_over_all_classes() {
    let mut rig = rig(AuthorityOptions::default());
    for class in [Class::IN, Class::ANY] {
        let mut request = question("www.example", "A");
        let end = request.len();
        request[end - 2..].copy_from_slice(&class.0.to_be_bytes());
        // What is made, and what is ready.
        for _ in 0..2 {
            let answer = ask_rig(&mut rig, &request, "192.0.2.1:53").remove(0);
            let header = Header::read(&answer).unwrap();
            assert_eq!(header.has(Header::AA), class == Class::IN);
            assert!(header.counts[1] > 0);
        }
    }
}
