//! The forwarder, asked by messages of another maker.

use std::time::Duration;

use ropewalk_core::{
    ClientEndpoint, DatagramProtocol, DatagramServer, DatagramTransport, Datagrams, Metrics,
    Result, Schemes, Server, ServerEndpoint, metrics::Exposition, testing::run,
};
use ropewalk_names_dns::{
    answering::LateDatagram,
    client::{Resolver, ResolverOptions, Upstream},
    forward::{Forwarder, ForwarderOptions},
    hickory_proto::{
        op::{Edns, Message, Query, ResponseCode},
        rr::{Name, RecordType},
    },
    testing::{FakeDns, FakeServer, Fault},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::lookups::RECORDS;

/// Sends datagrams, and hands out what comes back.
struct Asker(mpsc::UnboundedSender<Vec<u8>>);

impl DatagramProtocol for Asker {
    type Message = Vec<u8>;
    type Timer = ();

    fn received(&mut self, _: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, _) in batch {
            let _ = self.0.send(data.to_vec());
        }
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, message: Vec<u8>) -> Result {
        t.send_to_peer(message);
        Ok(())
    }
}

struct Bench {
    dns: FakeDns,
    fake: FakeServer,
    forwarder: Forwarder,
    datagrams: DatagramServer<LateDatagram>,
    streams: Server,
    schemes: Schemes,
    asker: DatagramServer<Vec<u8>>,
    answers: mpsc::UnboundedReceiver<Vec<u8>>,
}

async fn bench(change: impl FnOnce(&mut ForwarderOptions)) -> Bench {
    let (dns, schemes) = (FakeDns::new(), Schemes::new());
    dns.add(RECORDS).unwrap();
    let fake = dns.serve(&schemes, "mem:dns").await.unwrap();
    let resolver = dns.resolver(&schemes, "mem:dns").unwrap();
    bench_over(dns, fake, schemes, resolver, change).await
}

async fn bench_over(
    dns: FakeDns,
    fake: FakeServer,
    schemes: Schemes,
    resolver: Resolver,
    change: impl FnOnce(&mut ForwarderOptions),
) -> Bench {
    let mut options = ForwarderOptions::default();
    change(&mut options);
    let forwarder = Forwarder::with(resolver, options);
    let endpoint: ServerEndpoint = "mem:forwarder".parse().unwrap();
    let mut options = forwarder.datagram_options();
    options.schemes = schemes.clone();
    let datagrams = endpoint
        .listen_datagrams_with(forwarder.datagrams(), options)
        .await
        .unwrap();
    let streams = endpoint
        .listen_with(forwarder.handler(), schemes.clone())
        .await
        .unwrap();
    let (sender, answers) = mpsc::unbounded_channel();
    let client: ClientEndpoint = "mem:forwarder".parse().unwrap();
    let asker = client
        .start_datagrams_with(Asker(sender), schemes.clone())
        .await
        .unwrap();
    Bench {
        dns,
        fake,
        forwarder,
        datagrams,
        streams,
        schemes,
        asker,
        answers,
    }
}

fn question(name: &str, record_type: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(name).unwrap();
    message.add_query(Query::query(name, record_type));
    message
}

fn with_edns(mut message: Message, payload: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

impl Bench {
    async fn raw(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.asker.handle().send(bytes).await.unwrap();
        self.answers.recv().await.unwrap()
    }

    async fn ask(&mut self, message: &Message) -> Message {
        let bytes = self.raw(message.to_vec().unwrap()).await;
        let answer = Message::from_vec(&bytes).unwrap();
        assert_eq!(answer.metadata.id, message.metadata.id);
        answer
    }

    async fn end(self) {
        let grace = Duration::from_secs(1);
        self.asker.drain(grace).await;
        self.datagrams.drain(grace).await;
        self.streams.drain(Duration::ZERO, grace).await;
        drop(self.forwarder);
        self.fake.end().await;
    }
}

fn ede(message: &Message) -> Vec<u16> {
    use ropewalk_names_dns::hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    let options = &message.edns.as_ref().unwrap().options().options;
    let codes = options
        .iter()
        .filter_map(|(code, option)| match (code, option) {
            (EdnsCode::Unknown(15), EdnsOption::Unknown(_, data)) => {
                Some(u16::from_be_bytes([data[0], data[1]]))
            }
            _ => None,
        });
    codes.collect()
}

#[test]
fn answers_come_from_the_server_and_then_from_the_cache() {
    run(async {
        let metrics = Metrics::new();
        let mut bench = bench(|options| options.metrics = Some(metrics.clone())).await;
        let asked = with_edns(question("WwW.eXample.test.", RecordType::A), 4096);
        for _ in 0..3 {
            let answer = bench.ask(&asked).await;
            assert_eq!(answer.answers.len(), 2);
            assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
            assert!(answer.queries[0].name().eq_case(asked.queries[0].name()));
            assert!(answer.edns.is_some());
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        let answer = bench
            .ask(&question("www.example.test.", RecordType::A))
            .await;
        assert_eq!(answer.answers[0].ttl, 270);
        assert!(answer.edns.is_none());
        assert_eq!(bench.dns.take_questions().len(), 1);
        let page = metrics.render(Exposition::Prometheus);
        assert!(page.contains("ropewalk_dns_forward_hits_total 3"), "{page}");
        assert!(
            page.contains("ropewalk_dns_forward_misses_total 1"),
            "{page}"
        );
        bench.end().await;
    });
}

#[test]
fn bits_are_passed_on_and_kept_apart() {
    run(async {
        let mut bench = bench(|_| ()).await;
        let mut plain = with_edns(question("www.example.test.", RecordType::A), 1232);
        bench.ask(&plain).await;
        plain.edns.as_mut().unwrap().set_dnssec_ok(true);
        plain.metadata.checking_disabled = true;
        let answer = bench.ask(&plain).await;
        assert!(answer.edns.unwrap().flags().dnssec_ok);
        assert!(answer.metadata.checking_disabled);
        assert_eq!(bench.dns.take_questions().len(), 2, "another question");
        bench.end().await;
    });
}

#[test]
fn what_is_too_long_is_cut_and_whole_over_a_stream() {
    run(async {
        let mut bench = bench(|_| ()).await;
        let text = "x".repeat(200);
        for n in 0..10 {
            bench
                .dns
                .add(&format!("long.test. 300 TXT {text}{n}"))
                .unwrap();
        }
        for (asked, is_cut) in [
            (question("long.test.", RecordType::TXT), true),
            (
                with_edns(question("long.test.", RecordType::TXT), 65_000),
                true,
            ),
            (with_edns(question("long.test.", RecordType::TXT), 0), true),
            (
                with_edns(question("www.example.test.", RecordType::A), 0),
                false,
            ),
        ] {
            let bytes = bench.raw(asked.to_vec().unwrap()).await;
            assert!(bytes.len() <= 1232);
            let answer = Message::from_vec(&bytes).unwrap();
            assert_eq!(answer.metadata.truncation, is_cut);
            assert_eq!(answer.answers.is_empty(), is_cut);
        }
        // Two at once, over one connection; and a third that is not asked to its end.
        let mut conn = bench
            .schemes
            .connect(&"mem:forwarder".parse().unwrap())
            .await
            .unwrap();
        let asked = question("long.test.", RecordType::TXT).to_vec().unwrap();
        let length = u16::try_from(asked.len()).unwrap().to_be_bytes();
        for _ in 0..2 {
            conn.write_all(&length).await.unwrap();
            conn.write_all(&asked).await.unwrap();
        }
        for _ in 0..2 {
            let mut length = [0; 2];
            conn.read_exact(&mut length).await.unwrap();
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            conn.read_exact(&mut answer).await.unwrap();
            assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 10);
        }
        conn.write_all(&[0xff, 0xff, 0]).await.unwrap();
        let begin = tokio::time::Instant::now();
        assert_eq!(conn.read(&mut [0; 1]).await.unwrap(), 0, "it is closed");
        assert!(begin.elapsed() <= Duration::from_secs(11));
        drop(conn);
        bench.end().await;
    });
}

#[test]
fn failures_say_why_and_what_expired_is_said_to_be_so() {
    run(async {
        let mut bench = bench(|_| ()).await;
        let asked = with_edns(question("www.example.test.", RecordType::A), 1232);
        bench.ask(&asked).await;
        bench.dns.fault(".", Fault::Silence, usize::MAX);
        let other = with_edns(question("text.example.test.", RecordType::TXT), 1232);
        let answer = bench.ask(&other).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        assert_eq!(ede(&answer), [22]);
        let answer = bench.ask(&other).await;
        assert_eq!(ede(&answer), [13, 22], "a remembered one");
        tokio::time::sleep(Duration::from_secs(300)).await;
        let answer = bench.ask(&asked).await;
        assert_eq!(answer.answers.len(), 2);
        assert_eq!((ede(&answer), answer.answers[0].ttl), (vec![3], 30));
        bench.end().await;
    });
}

#[test]
fn bad_requests_have_answers_of_their_own() {
    run(async {
        let mut bench = bench(|_| ()).await;
        let good = question("www.example.test.", RecordType::A)
            .to_vec()
            .unwrap();
        let change = |at: usize, with: u8| {
            let mut bytes = good.clone();
            bytes[at] = with;
            bytes
        };
        for (bytes, code) in [
            (change(2, 0x29), 4_u8),
            (change(2, 0x21), 4),
            (change(5, 0), 1),
            (change(5, 2), 1),
            (change(12, 0x40), 1),
            (good[..20].to_vec(), 1),
            (change(good.len() - 1, 3), 5),
            (change(good.len() - 3, 252), 4),
            (change(2, 0), 5),
        ] {
            let answer = bench.raw(bytes.clone()).await;
            assert_eq!(answer[3] & 15, code, "{bytes:?}");
            assert_eq!(answer[..2], bytes[..2]);
        }
        // EDNS of a version to come.
        let mut later = with_edns(question("www.example.test.", RecordType::A), 1232);
        later.edns.as_mut().unwrap().set_version(1);
        let answer = bench.ask(&later).await;
        assert_eq!(u16::from(answer.metadata.response_code), 16, "BADVERS");
        // Answers, and what has no header, are not answered.
        let handle = bench.asker.handle();
        for bytes in [change(2, 0x81), good[..11].to_vec(), Vec::new()] {
            handle.send(bytes).await.unwrap();
        }
        bench.ask(&question("localhost.", RecordType::A)).await;
        assert!(bench.answers.try_recv().is_err());
        let answer = bench.ask(&question("x.invalid.", RecordType::A)).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert!(bench.dns.take_questions().is_empty());
        bench.end().await;
    });
}

#[test]
fn the_rebinding_filter_withholds() {
    run(async {
        let mut bench = bench(|options| {
            options.rebinding_filter = true;
            options.private_names = [Name::from_ascii("inner.test.").unwrap()].into();
        })
        .await;
        bench
            .dns
            .add("evil.test. A 192.168.0.1\nx.inner.test. A 10.0.0.1")
            .unwrap();
        let evil = with_edns(question("evil.test.", RecordType::A), 1232);
        for _ in 0..2 {
            let answer = bench.ask(&evil).await;
            assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
            assert!(answer.answers.is_empty());
            assert_eq!(ede(&answer), [15]);
        }
        let inner = bench.ask(&question("x.inner.test.", RecordType::A)).await;
        assert_eq!(inner.answers.len(), 1);
        bench.end().await;
    });
}

#[test]
fn a_server_that_asks_us_is_found_and_left() {
    run(async {
        let (dns, schemes) = (FakeDns::new(), Schemes::new());
        dns.add(RECORDS).unwrap();
        let fake = dns.serve(&schemes, "mem:dns").await.unwrap();
        let servers: Vec<Upstream> = ["mem:forwarder", "mem:dns"]
            .map(|s| s.parse().unwrap())
            .into();
        let mut options = ResolverOptions::from(schemes.clone());
        options.exchange.selection = ropewalk_names_dns::client::Selection::InOrder;
        let resolver = Resolver::with(servers, options);
        let mut bench = bench_over(dns, fake, schemes, resolver, |_| ()).await;
        assert_eq!(bench.forwarder.check_loops().await, ["mem:forwarder"]);
        let begin = tokio::time::Instant::now();
        let answer = bench
            .ask(&question("www.example.test.", RecordType::A))
            .await;
        assert_eq!(answer.answers.len(), 2);
        assert_eq!(begin.elapsed(), Duration::ZERO);
        bench.end().await;
    });
}

#[test]
fn so_many_questions_and_no_more() {
    run(async {
        let mut bench = bench(|options| options.pending = 10).await;
        bench
            .dns
            .fault(".", Fault::Delay(Duration::from_secs(1)), usize::MAX);
        let handle = bench.asker.handle();
        for n in 0..20 {
            let asked = question(&format!("n{n}.test."), RecordType::A);
            handle.send(asked.to_vec().unwrap()).await.unwrap();
        }
        let mut codes = Vec::new();
        for _ in 0..20 {
            let answer = bench.answers.recv().await.unwrap();
            codes.push(answer[3] & 15);
        }
        codes.sort_unstable();
        assert_eq!(codes, [[2_u8; 10], [3; 10]].concat());
        bench.end().await;
    });
}
