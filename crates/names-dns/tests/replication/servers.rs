//! Zones, servers of them, and what is asked of those.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{Connection, DatagramServer, Schemes, Server, ServerEndpoint};
use ropewalk_names_dns::{
    proto::{
        Class, Message, Name, Rcode, RecordType, Serial,
        transfer::{Change, Inbound, InboundOptions, Progress, TransferError},
        tsig::{Algorithm, Key, Keys},
    },
    server::{
        Authority, AuthorityOptions,
        replication::{Secondaries, Secondary, TransferOptions, Transfers},
    },
    zone::{Zone, ZoneBuilder, Zones},
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub(crate) fn origin() -> Name {
    "example.test.".parse().unwrap()
}

pub(crate) fn key() -> Key {
    Key::new(
        "transfer.test.".parse().unwrap(),
        Algorithm::HmacSha256,
        b"nobody else knows this secret",
    )
}

/// A zone with so many hosts, the first of which has the serial in its address. Its refresh is a
/// minute, its retry 20 seconds, and it expires after ten minutes.
pub(crate) fn zone(serial: u32, hosts: u32) -> Arc<Zone> {
    let mut builder = ZoneBuilder::new(origin(), Class::IN);
    let mut soa = b"\x02ns\x07example\x04test\0\x04host\x07example\x04test\0".to_vec();
    for number in [serial, 60, 20, 600, 30] {
        soa.extend(number.to_be_bytes());
    }
    let mut push = |name: &Name, record_type, rdata: &[u8]| {
        builder
            .push(name.as_ref(), record_type, 300, rdata)
            .unwrap();
    };
    push(&origin(), RecordType::SOA, &soa);
    push(&origin(), RecordType::NS, b"\x02ns\x07example\x04test\0");
    for host in 0..hosts {
        let name = format!("h{host}.example.test.").parse().unwrap();
        let address = if host == 0 { serial } else { host };
        push(&name, RecordType::A, &address.to_be_bytes());
    }
    Arc::new(builder.finish().unwrap())
}

/// The text of each record, in the zone's order.
pub(crate) fn content(zone: &Zone) -> Vec<String> {
    let record = |record: ropewalk_names_dns::zone::Record<'_>| {
        let set = record.set;
        format!(
            "{:?} {} {} {:?}",
            set.node(),
            set.ttl(),
            set.record_type(),
            record.rdata
        )
    };
    zone.records().map(record).collect()
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) stream: Server,
    pub(crate) datagrams: DatagramServer<ropewalk_names_dns::server::LateAnswer>,
}

impl Running {
    pub(crate) async fn drain(self) {
        self.stream
            .drain(Duration::ZERO, Duration::from_secs(1))
            .await;
        self.datagrams.drain(Duration::from_secs(1)).await;
    }
}

/// What `options` allow, with no zones yet.
pub(crate) fn transfers(options: TransferOptions) -> Transfers {
    Transfers::new(Zones::new(), options)
}

/// What is allowed to these, networks or keys.
pub(crate) fn allowed(whom: &[&str]) -> TransferOptions {
    let mut options = TransferOptions::default();
    options.access = whom.iter().map(|text| text.parse().unwrap()).collect();
    options
}

/// Serves zones over streams and datagrams of one name.
pub(crate) async fn serve(
    schemes: &Schemes,
    endpoint: &str,
    transfers: &Transfers,
    secondaries: Vec<Arc<Secondary>>,
) -> Running {
    let mut options = AuthorityOptions::default();
    options.keys = Arc::new(Keys::from_iter([key()]));
    options.rate_limit = None;
    options.extension = Some(Arc::new(Secondaries::new(transfers.clone(), secondaries)));
    let authority = Authority::new(transfers.zones().clone(), options);
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    let mut datagrams = authority.datagram_options();
    datagrams.schemes = schemes.clone();
    Running {
        stream: endpoint
            .listen_with(authority.handler(), schemes.clone())
            .await
            .unwrap(),
        datagrams: endpoint
            .listen_datagrams_with(authority.datagrams(), datagrams)
            .await
            .unwrap(),
    }
}

pub(crate) async fn connect(schemes: &Schemes, endpoint: &str) -> Connection {
    schemes.connect(&endpoint.parse().unwrap()).await.unwrap()
}

pub(crate) async fn send(conn: &mut Connection, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    conn.write_u16(length).await.unwrap();
    conn.write_all(message).await.unwrap();
    conn.flush().await.unwrap();
}

pub(crate) async fn receive(conn: &mut Connection) -> Vec<u8> {
    let length = conn.read_u16().await.unwrap();
    let mut message = vec![0; length.into()];
    conn.read_exact(&mut message).await.unwrap();
    message
}

/// The code of the answer to a request.
pub(crate) async fn rcode(schemes: &Schemes, endpoint: &str, request: &[u8]) -> Rcode {
    let mut conn = connect(schemes, endpoint).await;
    send(&mut conn, request).await;
    let answer = receive(&mut conn).await;
    Message::read(&answer).unwrap().header().rcode()
}

/// Transfers the zone: how many records came and went, and how it ended.
pub(crate) async fn transfer(
    schemes: &Schemes,
    endpoint: &str,
    have: Option<&Zone>,
    with_key: bool,
) -> (Vec<String>, Result<Progress, TransferError>) {
    let key = key();
    let now = ropewalk_core::wall_clock();
    let signed = with_key.then_some((&key, now));
    let limits = InboundOptions::default();
    // The same request twice would be a replay.
    let id = u16::try_from(ropewalk_core::random() >> 48).unwrap();
    let (mut inbound, request) = match have {
        Some(zone) => {
            let soa = (zone.soa().ttl(), zone.soa().first());
            Inbound::ixfr(origin(), Class::IN, id, soa, signed, limits)
        }
        None => Inbound::axfr(origin(), Class::IN, id, signed, limits),
    };
    let mut conn = connect(schemes, endpoint).await;
    send(&mut conn, &request).await;
    let mut changes = Vec::new();
    loop {
        let mut message = receive(&mut conn).await;
        let progress = inbound.receive(&mut message, ropewalk_core::wall_clock(), &mut |change| {
            changes.push(match change {
                Change::Whole => "whole".to_owned(),
                Change::Add(entry) => format!("+{} {}", entry.name, entry.record_type),
                Change::Remove(entry) => format!("-{} {}", entry.name, entry.record_type),
            });
            Ok(())
        });
        match progress {
            Ok(Progress::More) => {}
            progress => return (changes, progress),
        }
    }
}

/// The serial that a server has of the zone now.
pub(crate) fn serial(transfers: &Transfers) -> Option<Serial> {
    let zones = transfers.zones().current();
    let zone = zones.entry(origin().as_ref())?.zone()?.clone();
    Some(Serial(zone.serial()))
}
