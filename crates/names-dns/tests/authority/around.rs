//! What stands around an answer: TLS and padding, signatures, counts; and who
//! waits for whom.

use std::{sync::Arc, time::SystemTime};

use ropewalk_core::{
    ClientEndpoint, ConnectOptions, Connection, DatagramOptions, DatagramProtocol,
    DatagramTransport, Datagrams, Metrics, Result, Schemes, ServerEndpoint, ServerOptions,
    metrics::Exposition,
    testing::{self, run_in_real_time},
    tls::TestCa,
};
use ropewalk_names_dns::{
    proto::{
        Class, Edns, Header, Message, MessageWriter, Name, OptionCode, RecordType, put_option,
        tsig::{self, Algorithm, Key, TsigError, VerifyError},
    },
    server::{Authority, AuthorityOptions},
    zone::{Zone, Zones},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    ask::{Answer, question},
    message::rig,
};

fn authority(options: AuthorityOptions) -> Authority {
    let zones = Zones::new();
    let origin: Name = "example".parse().unwrap();
    let text = "@ 1 SOA . . 1 2 3 4 5\n@ 1 NS .\nwww 1 A 192.0.2.1\n";
    zones.insert(Arc::new(Zone::from_text(origin, text).unwrap()));
    Authority::new(zones, options)
}

/// A question for www.example, with EDNS, and with padding of so many octets.
fn padded(padding: Option<usize>) -> Vec<u8> {
    let mut options = Vec::new();
    if let Some(octets) = padding {
        put_option(&mut options, OptionCode::PADDING, &vec![0; octets]);
    }
    let name: Name = "www.example".parse().unwrap();
    let mut writer = MessageWriter::new();
    writer.begin(Header::default(), 65_535);
    writer
        .question(name.as_wire(), RecordType::A, Class::IN)
        .unwrap();
    let edns = Edns {
        udp_size: 1232,
        options: &options,
        ..Edns::default()
    };
    writer.opt(&edns).unwrap();
    writer.finish().to_vec()
}

async fn exchange(connection: &mut Connection, request: &[u8]) -> Vec<u8> {
    let length = u16::try_from(request.len()).unwrap();
    let frame = [&length.to_be_bytes(), request].concat();
    connection.write_all(&frame).await.unwrap();
    let mut length = [0; 2];
    connection.read_exact(&mut length).await.unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    connection.read_exact(&mut answer).await.unwrap();
    answer
}

/// RFC 7858, and RFC 8467, section 4.1: whoever pads is answered in blocks of
/// 468 octets, over TLS alone.
#[test]
fn answers_over_tls_are_padded_for_who_pads() {
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let authority = authority(AuthorityOptions::default());
        let mut options = ServerOptions::from(authority.limits());
        options.tls = Some(ca.server(&["dns.test"]).unwrap());
        let tls: ServerEndpoint = "tls:0".parse().unwrap();
        let tls = tls.listen_with(authority.handler(), options).await.unwrap();
        let port = tls.port().unwrap();
        let mut options = ConnectOptions::default();
        options.tls = Some(ca.client().unwrap());
        let endpoint: ClientEndpoint = format!("tls:127.0.0.1:{port}:sni=dns.test")
            .parse()
            .unwrap();
        let mut over_tls = endpoint.connect_with(&options).await.unwrap();
        let tcp: ServerEndpoint = "tcp:0".parse().unwrap();
        let tcp = tcp
            .listen_with(authority.handler(), authority.limits())
            .await
            .unwrap();
        let endpoint: ClientEndpoint = format!("tcp:127.0.0.1:{}", tcp.port().unwrap())
            .parse()
            .unwrap();
        let mut in_the_clear = endpoint.connect().await.unwrap();
        for padding in [None, Some(0), Some(100), Some(2000)] {
            let request = padded(padding);
            let answer = exchange(&mut over_tls, &request).await;
            let message = Message::read(&answer).unwrap();
            let option = Edns::find(&message)
                .unwrap()
                .unwrap()
                .option(OptionCode::PADDING);
            assert_eq!(option.is_some(), padding.is_some());
            assert_eq!(answer.len().is_multiple_of(468), padding.is_some());
            assert_eq!(Answer::read(&answer).sections[0].len(), 1);
            let plain = exchange(&mut in_the_clear, &request).await;
            assert_eq!(Answer::read(&plain).sections[0].len(), 1);
            assert!(plain.len() < 100, "{}", plain.len());
        }
    });
}

/// RFC 8945, sections 5.2 and 5.3: an ordinary question is answered signed, one
/// with a signature that does not hold is told why, and nothing else.
#[test]
fn signed_questions_have_signed_answers() {
    let key =
        |name: &str, secret: &[u8]| Key::new(name.parse().unwrap(), Algorithm::HmacSha256, secret);
    let ours = key("ours.key", b"nobody else knows this secret");
    let mut options = AuthorityOptions::default();
    options.keys = Arc::new([ours.clone()].into_iter().collect());
    let mut rig = rig(options);
    let mut ask = |key: &Key, name: &str, now: SystemTime| {
        let mut request = question(name, "A");
        let mut verifier = tsig::sign(&mut request, key, now);
        rig.receive(&request, "192.0.2.1:53");
        let mut answers = rig.sent();
        let (mut answer, _) = answers.remove(0);
        assert!(answers.is_empty());
        let verified = verifier.verify(&mut answer, SystemTime::now());
        (answer, verified)
    };
    let now = SystemTime::now();
    // Made, then ready, and a name that is not there.
    for (name, rcode) in [
        ("www.example", 0),
        ("www.example", 0),
        ("no.where.example", 3),
    ] {
        let (answer, verified) = ask(&ours, name, now);
        assert!(matches!(verified, Ok(true)), "{verified:?}");
        assert_eq!(Answer::read(&answer).rcode, rcode, "{name}");
    }
    let wrong = [
        (key("their.key", b"something"), TsigError::BadKey),
        (key("ours.key", b"something"), TsigError::BadSig),
    ];
    for (key, expected) in wrong {
        let (answer, verified) = ask(&key, "www.example", now);
        let told = matches!(&verified, Err(VerifyError::Refused(error)) if *error == expected);
        assert!(told, "{expected:?}, not {verified:?}");
        let header = Header::read(&answer).unwrap();
        assert_eq!((header.rcode().0, header.counts[1]), (9, 0));
    }
}

#[test]
fn what_it_did_is_counted() {
    let metrics = Metrics::new();
    let mut options = AuthorityOptions::default();
    options.metrics = Some(metrics.clone());
    let mut rig = rig(options);
    for name in [
        "www.example",
        "www.example",
        "no.where.example",
        "elsewhere",
    ] {
        rig.receive(question(name, "A"), "192.0.2.1:53");
    }
    rig.receive([0; 5], "192.0.2.1:53");
    assert_eq!(rig.sent().len(), 4);
    let text = metrics.render(Exposition::Prometheus);
    let number = |labels: &str| {
        let line = text.lines().find(|line| line.contains(labels));
        let line = line.unwrap_or_else(|| panic!("{labels} is not in\n{text}"));
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    assert_eq!(number("rcode=\"NOERROR\""), 2);
    assert_eq!(number("rcode=\"NXDOMAIN\""), 1);
    assert_eq!(number("rcode=\"REFUSED\""), 1);
    assert_eq!(number("fate=\"ignored\""), 1);
    assert_eq!(number("fate=\"ready\"") + number("fate=\"made\""), 4);
    assert!(number("fate=\"ready\"") >= 1);
}

/// Hands on what arrives.
struct Hear(mpsc::UnboundedSender<Vec<u8>>);

impl DatagramProtocol for Hear {
    type Message = Vec<u8>;
    type Timer = ();

    fn received(&mut self, _: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, _) in batch {
            self.0.send(data.to_vec())?;
        }
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, data: Vec<u8>) -> Result {
        t.send_to_peer(data);
        Ok(())
    }
}

/// Connections that say nothing, and some that say half of something, are in
/// nobody's way: not in that of UDP, nor in each other's.
#[test]
fn udp_answers_beside_many_idle_connections() {
    let connections = match std::env::var_os("ROPEWALK_DEEP") {
        Some(_) => 10_000,
        None => 200,
    };
    testing::run(async move {
        let schemes = Schemes::new();
        let mut options = AuthorityOptions::default();
        options.rate_limit = None;
        let authority = authority(options);
        let mut options = ServerOptions::from(authority.limits());
        options.schemes = schemes.clone();
        options.limits.per_peer = 0;
        options.limits.connections = 20_000;
        let tcp: ServerEndpoint = "mem:tcp".parse().unwrap();
        let _tcp = tcp.listen_with(authority.handler(), options).await.unwrap();
        let udp: ServerEndpoint = "mem:udp".parse().unwrap();
        let mut options = authority.datagram_options();
        options.schemes = schemes.clone();
        let _udp = udp
            .listen_datagrams_with(authority.datagrams(), options)
            .await
            .unwrap();
        let endpoint: ClientEndpoint = "mem:tcp".parse().unwrap();
        let mut idle = Vec::new();
        for n in 0..connections {
            let mut connection = schemes.connect(&endpoint).await.unwrap();
            if n % 3 == 0 {
                connection.write_all(&[0, 200, 1]).await.unwrap();
            }
            idle.push(connection);
        }
        let endpoint: ClientEndpoint = "mem:udp".parse().unwrap();
        let (heard, mut answers) = mpsc::unbounded_channel();
        let client = endpoint
            .start_datagrams_with(Hear(heard), DatagramOptions::from(schemes.clone()))
            .await
            .unwrap();
        for _ in 0..500 {
            let sent = client.handle().send(question("www.example", "A")).await;
            assert!(sent.is_ok());
            let answer = answers.recv().await.unwrap();
            assert_eq!(Answer::read(&answer).sections[0].len(), 1);
        }
        // And the last of them is as good as the first.
        let last = idle.last_mut().unwrap();
        last.shutdown().await.unwrap();
        let mut rest = Vec::new();
        last.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    });
}
