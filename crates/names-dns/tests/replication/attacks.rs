//! What transfers must withstand: the rows of the attack list that are about them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{Schemes, service::Service, testing::run, wall_clock};
use ropewalk_names_dns::{
    proto::{
        Class, Header, Message, MessageWriter, Opcode, Rcode, RecordType, Section, Serial,
        notify::Call,
        transfer::{Inbound, InboundOptions},
        tsig,
    },
    server::replication::{Remote, Secondary, SecondaryOptions, TransferOptions},
};

use tokio::io::AsyncReadExt as _;

use crate::servers::*;

fn axfr(signed: bool) -> Vec<u8> {
    let key = key();
    let key = signed.then_some((&key, wall_clock()));
    let id = u16::try_from(ropewalk_core::random() >> 48).unwrap();
    Inbound::axfr(origin(), Class::IN, id, key, InboundOptions::default()).1
}

#[test]
fn transfers_are_refused_by_default() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(TransferOptions::default());
        transfers.publish(zone(1, 5));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        for signed in [false, true] {
            assert_eq!(
                rcode(&schemes, "mem:dns", &axfr(signed)).await,
                Rcode::REFUSED
            );
        }
        server.drain().await;
    });
}

#[test]
fn the_same_signed_request_transfers_once() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(allowed(&["transfer.test"]));
        transfers.publish(zone(1, 5));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let request = axfr(true);
        assert_eq!(rcode(&schemes, "mem:dns", &request).await, Rcode::NOERROR);
        // Whoever has seen it on the way sends it again: in a minute, or too late.
        for wait in [0, 60, 400] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            assert_eq!(rcode(&schemes, "mem:dns", &request).await, Rcode::NOTAUTH);
        }
        assert_eq!(
            rcode(&schemes, "mem:dns", &axfr(true)).await,
            Rcode::NOERROR
        );
        server.drain().await;
    });
}

#[test]
fn an_update_is_refused_with_and_without_a_key() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(allowed(&["transfer.test", "0.0.0.0/0"]));
        transfers.publish(zone(1, 5));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let mut writer = MessageWriter::new();
        writer.begin(Header::default().with_opcode(Opcode::UPDATE), 512);
        writer
            .question(origin().as_wire(), RecordType::SOA, Class::IN)
            .unwrap();
        let name = b"\x03new\x07example\x04test\0";
        writer
            .record(
                Section::Authority,
                name,
                RecordType::A,
                Class::IN,
                1,
                &[1; 4],
            )
            .unwrap();
        let mut update = writer.finish().to_vec();
        assert_eq!(rcode(&schemes, "mem:dns", &update).await, Rcode::REFUSED);
        tsig::sign(&mut update, &key(), wall_clock());
        assert_eq!(rcode(&schemes, "mem:dns", &update).await, Rcode::REFUSED);
        assert_eq!(serial(&transfers), Some(Serial(1)));
        server.drain().await;
    });
}

/// Ten thousand NOTIFYs cause as many looks as time allows, and those from strangers none.
#[test]
fn a_flood_of_notifies_is_bounded() {
    run(async {
        let schemes = Schemes::new();
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 5));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let mut options = SecondaryOptions::default();
        options.primaries = vec![Remote::new("mem:primary".parse().unwrap()).with_key(key())];
        options.connect.schemes = schemes.clone();
        let ours = transfers(TransferOptions::default());
        let secondary = Secondary::new(origin(), Class::IN, ours.clone(), options);
        let front = serve(&schemes, "mem:secondary", &ours, vec![secondary.clone()]).await;
        let running = secondary.clone().start();
        let mut state = secondary.state();
        state
            .wait_for(|state| state.serial.is_some())
            .await
            .unwrap();

        let mut conn = connect(&schemes, "mem:secondary").await;
        let before = server.stream.counts().accepted;
        let start = tokio::time::Instant::now();
        let mut codes = Vec::new();
        for id in 0..10_000 {
            // Without a serial: nobody can say that it is no news.
            let key = key();
            let key = (id % 2 == 0).then_some((&key, wall_clock()));
            let (_, notify) = Call::notify(origin(), Class::IN, id, None, key);
            send(&mut conn, &notify).await;
            let answer = receive(&mut conn).await;
            codes.push(Message::read(&answer).unwrap().header().rcode());
            if id % 100 == 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        // Ten seconds, and one look each two.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(start.elapsed() < Duration::from_secs(20), "virtual time");
        let looks = server.stream.counts().accepted - before;
        assert!((3..=8).contains(&looks), "{looks}");
        assert!(
            codes
                .chunks(2)
                .all(|both| both == [Rcode::NOERROR, Rcode::REFUSED])
        );
        // A version that is there already is no reason to look.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = server.stream.counts().accepted;
        secondary.notified(Some(Serial(1)));
        secondary.notified(Some(Serial(0)));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(server.stream.counts().accepted, before);
        drop(conn);
        running.stop().await.unwrap();
        front.drain().await;
        server.drain().await;
    });
}

#[test]
fn a_notify_for_no_zone_of_ours_is_told_so() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(TransferOptions::default());
        transfers.publish(zone(1, 5));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let (_, ours) = Call::notify(origin(), Class::IN, 1, None, None);
        assert_eq!(rcode(&schemes, "mem:dns", &ours).await, Rcode::REFUSED);
        let other = "other.test.".parse().unwrap();
        let (_, theirs) = Call::notify(other, Class::IN, 1, None, None);
        assert_eq!(rcode(&schemes, "mem:dns", &theirs).await, Rcode::NOTAUTH);
        server.drain().await;
    });
}

/// Over UDP a transfer is its SOA at most (RFC 1995, section 2), and AXFR is not there at all.
#[test]
fn datagrams_carry_no_transfers() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(allowed(&["transfer.test"]));
        transfers.publish(zone(3, 500));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let key = key();
        let have = zone(1, 1);
        let soa = (have.soa().ttl(), have.soa().first());
        let limits = InboundOptions::default();
        let signed = Some((&key, wall_clock()));
        let (_, ixfr) = Inbound::ixfr(origin(), Class::IN, 9, soa, signed, limits);
        for (request, rcode, records) in
            [(ixfr, Rcode::NOERROR, 1), (axfr(true), Rcode::FORMERR, 0)]
        {
            let answer = ask_datagram(&schemes, "mem:dns", &request).await;
            let header = Message::read(&answer).unwrap().header();
            assert_eq!((header.rcode(), header.counts[1]), (rcode, records));
        }
        server.drain().await;
    });
}

async fn ask_datagram(schemes: &Schemes, to: &str, request: &[u8]) -> Vec<u8> {
    use ropewalk_core::{DatagramProtocol, DatagramTransport, Datagrams, Result};

    struct Ask(Vec<u8>, tokio::sync::mpsc::UnboundedSender<Vec<u8>>);

    impl DatagramProtocol for Ask {
        type Message = ();
        type Timer = ();
        fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
            t.send_to_peer(&*self.0);
            Ok(())
        }
        fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (data, _) in batch {
                let _ = self.1.send(data.to_vec());
            }
            t.close();
            Ok(())
        }
    }

    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let endpoint: ropewalk_core::ClientEndpoint = to.parse().unwrap();
    let ask = Ask(request.to_vec(), sender);
    let options = ropewalk_core::DatagramOptions::from(schemes.clone());
    let server = endpoint.start_datagrams_with(ask, options).await.unwrap();
    let answer = receiver.recv().await.unwrap();
    server.drain(Duration::from_secs(1)).await;
    answer
}

/// What a hostile primary sends is refused, and the zone stays.
#[test]
fn a_poisoned_transfer_leaves_the_zone_as_it_was() {
    let a = |name: &str| (name.to_owned(), RecordType::A, vec![1; 4]);
    let soa = |serial| ("example.test.".to_owned(), RecordType::SOA, soa(serial));
    let answers = [
        // From outside, by IXFR and by AXFR.
        vec![soa(5), a("www.victim.test."), soa(5)],
        // Round and round, or to what it was.
        vec![soa(5), soa(1), soa(1), soa(1), soa(5), soa(5)],
        vec![soa(5), soa(1), soa(6), soa(6), soa(5), soa(5)],
        // Of another zone's version, or what was never there.
        vec![soa(5), soa(3), soa(5), soa(5)],
        vec![soa(5), soa(1), a("never.example.test."), soa(5), soa(5)],
        // No zone at all.
        vec![soa(5), a("h0.example.test."), soa(5)],
        vec![a("h0.example.test.")],
    ];
    run(async {
        for poison in answers {
            let schemes = Schemes::new();
            let is_hostile = Arc::new(AtomicBool::new(false));
            let (rows, mode) = (poison.clone(), is_hostile.clone());
            let primary = move |conn| hostile(conn, rows.clone(), mode.clone());
            let endpoint: ropewalk_core::ServerEndpoint = "mem:primary".parse().unwrap();
            let server = endpoint
                .listen_with(primary, schemes.clone())
                .await
                .unwrap();
            let mut options = SecondaryOptions::default();
            options.primaries = vec![Remote::new("mem:primary".parse().unwrap())];
            options.connect.schemes = schemes.clone();
            let ours = transfers(TransferOptions::default());
            let secondary = Secondary::new(origin(), Class::IN, ours.clone(), options);
            let running = secondary.clone().start();
            let mut state = secondary.state();
            state
                .wait_for(|state| state.serial.is_some())
                .await
                .unwrap();
            is_hostile.store(true, Relaxed);
            secondary.notified(None);
            state.wait_for(|state| state.error.is_some()).await.unwrap();
            assert_eq!(serial(&ours), Some(Serial(1)));
            let zones = ours.zones().current();
            let here = zones.entry(origin().as_ref()).unwrap().zone().unwrap();
            assert_eq!(content(here), content(&zone(1, 1)), "{poison:?}");
            running.stop().await.unwrap();
            server.drain(Duration::ZERO, Duration::from_secs(1)).await;
        }
    });
}

type Row = (String, RecordType, Vec<u8>);

fn soa(serial: u32) -> Vec<u8> {
    zone(serial, 1).soa().first().to_vec()
}

/// Serves the first version as it is; later, says that there is a fifth, and sends these records
/// to whoever wants it.
async fn hostile(
    mut conn: ropewalk_core::Connection,
    rows: Vec<Row>,
    is_hostile: Arc<AtomicBool>,
) -> ropewalk_core::Result {
    loop {
        let Ok(length) = conn.read_u16().await else {
            return Ok(());
        };
        let mut request = vec![0; length.into()];
        conn.read_exact(&mut request).await?;
        let request = Message::read(&request)?;
        let question = request.question().unwrap()?;
        let good: Vec<Row> = zone(1, 1)
            .records()
            .map(|record| {
                let set = record.set;
                let name = format!("{:?}", set.node());
                (name, set.record_type(), record.rdata.to_vec())
            })
            .collect();
        let good = [good.clone(), vec![good[0].clone()]].concat();
        let rows = match (question.record_type, is_hostile.load(Relaxed)) {
            (RecordType::SOA, _) => vec![("example.test.".into(), RecordType::SOA, soa(5))],
            (_, true) => rows.clone(),
            (_, false) => good,
        };
        let mut writer = MessageWriter::new();
        let header = Header {
            id: request.header().id,
            flags: Header::QR | Header::AA,
            ..Header::default()
        };
        writer.begin(header, 65_535);
        let name = question.name()?;
        writer.question(name.as_bytes(), question.record_type, question.class)?;
        for (name, record_type, rdata) in rows {
            let name: ropewalk_names_dns::proto::Name = name.parse()?;
            let section = Section::Answer;
            writer.record(section, name.as_wire(), record_type, Class::IN, 300, &rdata)?;
        }
        send(&mut conn, writer.finish()).await;
    }
}
