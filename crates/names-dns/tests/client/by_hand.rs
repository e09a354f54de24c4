//! Servers that a test answers for by hand: chains, forgeries, and streams that lie.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    Connection, Schemes, Server, ServerEndpoint,
    testing::{run, sim::Simulation},
};
use ropewalk_names_dns::{
    answering::{
        AnswerDatagrams, Answers, Asked, LateDatagram, StreamLimits, Taken, answer_streams,
    },
    client::{LookupError, Resolver, ResolverOptions, Upstream},
    hickory_proto::{
        op::{Message, MessageType},
        rr::{Name, RData, Record, RecordType, rdata},
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

type Answer = dyn Fn(&mut Message) + Send + Sync;

/// Answers as a function says, and counts.
struct ByHand {
    answer: Box<Answer>,
    asked: Mutex<Vec<Name>>,
}

impl Answers for ByHand {
    fn take(&self, request: &[u8], _: &Asked<'_>, out: &mut Vec<u8>) -> Taken {
        let mut message = Message::from_vec(request).unwrap();
        let name = message.queries[0].name().to_lowercase();
        self.asked.lock().unwrap().push(name);
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        (self.answer)(&mut message);
        out.extend(message.to_vec().unwrap());
        Taken::Answered
    }
}

struct Bench {
    resolver: Resolver,
    by_hand: Arc<ByHand>,
    datagrams: ropewalk_core::DatagramServer<LateDatagram>,
    streams: Server,
}

impl Bench {
    async fn new(answer: impl Fn(&mut Message) + Send + Sync + 'static) -> Self {
        let schemes = Schemes::new();
        let by_hand = Arc::new(ByHand {
            answer: Box::new(answer),
            asked: Mutex::default(),
        });
        let endpoint: ServerEndpoint = "mem:dns".parse().unwrap();
        let datagrams = AnswerDatagrams::new(by_hand.clone());
        let datagrams = endpoint.listen_datagrams_with(datagrams, schemes.clone());
        let streams = answer_streams(by_hand.clone(), StreamLimits::default());
        let (datagrams, streams) = (
            datagrams.await.unwrap(),
            endpoint
                .listen_with(streams, schemes.clone())
                .await
                .unwrap(),
        );
        let upstream: Upstream = "mem:dns".parse().unwrap();
        Self {
            resolver: Resolver::with([upstream], ResolverOptions::from(schemes)),
            by_hand,
            datagrams,
            streams,
        }
    }

    fn asked(&self) -> Vec<String> {
        let asked = std::mem::take(&mut *self.by_hand.asked.lock().unwrap());
        asked.iter().map(ToString::to_string).collect()
    }

    async fn end(self) {
        drop(self.resolver);
        let grace = Duration::from_secs(1);
        self.datagrams.drain(grace).await;
        self.streams.drain(Duration::ZERO, grace).await;
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn cname(of: &Name, to: &str) -> Record {
    let target = RData::CNAME(rdata::CNAME(name(to)));
    Record::from_rdata(of.clone(), 300, target)
}

fn address(of: &str, last: u8) -> Record {
    let address = RData::A(rdata::A::new(192, 0, 2, last));
    Record::from_rdata(name(of), 300, address)
}

/// Each answer is one alias more: the limit counts over all of them.
#[test]
fn a_chain_that_never_ends_is_left_after_the_limit() {
    run(async {
        let next = AtomicUsize::new(1);
        let bench = Bench::new(move |message| {
            let owner = message.queries[0].name().clone();
            let next = next.fetch_add(1, Relaxed);
            message.add_answer(cname(&owner, &format!("n{next}.chain.test.")));
        })
        .await;
        let error = bench.resolver.lookup("n0.chain.test.", RecordType::A).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LookupError::AliasLoop { .. }), "{error}");
        // Sixteen aliases are followed, and the seventeenth is seen.
        assert_eq!(bench.asked().len(), 17);
        bench.end().await;
    });
}

#[test]
fn a_circle_over_several_answers_is_left() {
    run(async {
        let bench = Bench::new(|message| {
            let owner = message.queries[0].name().clone();
            let number: u32 = owner.to_lowercase().to_string()[1..2].parse().unwrap();
            let next = format!("n{}.circle.test.", (number + 1) % 3);
            message.add_answer(cname(&owner, &next));
        })
        .await;
        let error = bench
            .resolver
            .lookup("n0.circle.test.", RecordType::A)
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, LookupError::AliasLoop { .. }), "{error}");
        assert_eq!(bench.asked().len(), 3, "each once");
        bench.end().await;
    });
}

/// One answer with more aliases than are followed; and one with just so many.
#[test]
fn a_long_chain_in_one_answer_is_followed_as_far_as_the_limit() {
    for (links, is_good) in [(16, true), (17, false)] {
        run(async {
            let bench = Bench::new(move |message| {
                let mut owner = message.queries[0].name().clone();
                for n in 0..links {
                    let next = format!("n{n}.long.test.");
                    message.add_answer(cname(&owner, &next));
                    owner = name(&next);
                }
                message.add_answer(address(&owner.to_string(), 1));
            })
            .await;
            let found = bench.resolver.lookup("begin.test.", RecordType::A).await;
            assert_eq!(found.is_ok(), is_good, "{links}");
            assert_eq!(bench.asked().len(), 1);
            bench.end().await;
        });
    }
}

/// Records that no chain leads to are neither shown nor kept, wherever they stand.
#[test]
fn what_was_not_asked_for_is_not_believed() {
    run(async {
        let bench = Bench::new(|message| {
            let owner = message.queries[0].name().clone();
            if owner.to_lowercase() == name("asked.test.") {
                message.add_answer(cname(&name("bank.test."), "evil.test."));
                message.add_answer(address("evil.test.", 66));
                message.add_answer(address("bank.test.", 66));
                message.add_answer(address(&owner.to_string(), 1));
                message.add_authority(address("bank.test.", 66));
                message.add_additional(address("bank.test.", 66));
            } else {
                message.add_answer(address(&owner.to_string(), 2));
            }
        })
        .await;
        let found = bench
            .resolver
            .lookup("asked.test.", RecordType::A)
            .await
            .unwrap();
        assert_eq!(found.records(), [address("asked.test.", 1)]);
        assert!(found.aliases().is_empty());
        let found = bench
            .resolver
            .lookup("bank.test.", RecordType::A)
            .await
            .unwrap();
        assert_eq!(found.records(), [address("bank.test.", 2)]);
        assert_eq!(bench.asked(), ["asked.test.", "bank.test."]);
        bench.end().await;
    });
}

/// A chain in the answer that does not begin with the question leads nowhere.
#[test]
fn a_chain_that_does_not_begin_with_the_question_is_not_followed() {
    run(async {
        let bench = Bench::new(|message| {
            message.add_answer(cname(&name("other.test."), "evil.test."));
            message.add_answer(address("evil.test.", 66));
        })
        .await;
        let error = bench.resolver.lookup("asked.test.", RecordType::A).await;
        let error = error.unwrap_err();
        assert!(matches!(error, LookupError::NoRecords { .. }), "{error}");
        assert_eq!(bench.asked().len(), 1);
        bench.end().await;
    });
}

/// Streams alone, each served by `each`, which is told the number of the connection.
async fn over_streams<F>(
    each: impl Fn(usize, Connection) -> F + Send + Sync + 'static,
) -> (Resolver, Server)
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let schemes = Schemes::new();
    let number = AtomicUsize::new(0);
    let endpoint: ServerEndpoint = "mem:dns".parse().unwrap();
    let serve = move |conn: Connection| {
        let served = each(number.fetch_add(1, Relaxed), conn);
        async move { Ok(served.await?) }
    };
    let server = endpoint.listen_with(serve, schemes.clone()).await.unwrap();
    let upstream: Upstream = "mem:dns".parse().unwrap();
    let upstream = upstream.by_stream_alone();
    let resolver = Resolver::with([upstream], ResolverOptions::from(schemes));
    (resolver, server)
}

async fn read(conn: &mut Connection) -> std::io::Result<Vec<u8>> {
    let length = conn.read_u16().await?;
    let mut message = vec![0; length.into()];
    conn.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(conn: &mut Connection, message: &[u8]) -> std::io::Result<()> {
    conn.write_u16(message.len().try_into().unwrap()).await?;
    conn.write_all(message).await?;
    conn.flush().await
}

/// The answer to a request: one address.
fn good(request: &[u8]) -> Vec<u8> {
    let mut message = Message::from_vec(request).unwrap();
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    let owner = message.queries[0].name().to_string();
    message.add_answer(address(&owner, 1));
    message.to_vec().unwrap()
}

async fn ends(resolver: Resolver, server: Server) {
    drop(resolver);
    server.drain(Duration::ZERO, Duration::from_secs(1)).await;
}

/// What a server may do to its stream, so that there is no answer on it.
#[test]
fn lengths_that_lie_end_the_connection_and_not_the_client() {
    // What is sent after the first request, and whether the stream is then closed.
    let lies: [(&[u8], bool); 6] = [
        (b"\xff\xff\x12\x34", true),
        (b"\xff\xff\x12\x34", false),
        (b"\0", false),
        (b"\0\0", false),
        (b"\0\x05\x12\x34\x81\x80\0", false),
        (b"", true),
    ];
    for (lie, closes) in lies {
        run(async {
            let (resolver, server) = over_streams(move |number, mut conn| async move {
                while let Ok(request) = read(&mut conn).await {
                    if number > 0 {
                        write(&mut conn, &good(&request)).await?;
                        continue;
                    }
                    conn.write_all(lie).await?;
                    conn.flush().await?;
                    if closes {
                        return Ok(());
                    }
                }
                Ok(())
            })
            .await;
            let begin = tokio::time::Instant::now();
            let found = resolver.ipv4("www.example.test.").await;
            let took = begin.elapsed();
            // Where the stream has ended another is made; where it is silent, time goes by.
            if closes || lie == b"\0\0" {
                assert_eq!(found.unwrap().len(), 1, "{lie:?}");
                assert_eq!(took, Duration::ZERO, "{lie:?}");
            } else {
                assert!(took <= Duration::from_secs(12), "{lie:?}: {took:?}");
                if let Err(error) = found {
                    let is_no_answer = matches!(error, LookupError::NoAnswer { .. });
                    assert!(is_no_answer, "{error}");
                }
            }
            ends(resolver, server).await;
        });
    }
}

/// Answers to nobody's question: some are let pass, a flood ends the connection.
#[test]
fn strays_on_a_stream_are_passed_over_until_they_are_too_many() {
    for (strays, connections) in [(900, 1), (1001, 2)] {
        run(async {
            let made = Arc::new(AtomicUsize::new(0));
            let count = made.clone();
            let (resolver, server) = over_streams(move |number, mut conn| {
                count.fetch_add(1, Relaxed);
                async move {
                    while let Ok(request) = read(&mut conn).await {
                        let mut stray = good(&request);
                        stray[0] ^= 1;
                        for _ in 0..if number == 0 { strays } else { 0 } {
                            write(&mut conn, &stray).await?;
                        }
                        write(&mut conn, &good(&request)).await?;
                    }
                    Ok(())
                }
            })
            .await;
            let found = resolver.ipv4("www.example.test.").await.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(made.load(Relaxed), connections, "{strays}");
            ends(resolver, server).await;
        });
    }
}

/// Answers in another order, cut anywhere: each finds its question.
#[test]
fn answers_come_in_any_order_and_in_pieces() {
    Simulation::from_seed(5).run(async |net| {
        let host = net.host("dns");
        let endpoint: ServerEndpoint = "sim:53".parse().unwrap();
        let serve = |mut conn: Connection| async move {
            let mut frames = Vec::new();
            for _ in 0..8 {
                let answer = good(&read(&mut conn).await?);
                frames.push(
                    [
                        &u16::try_from(answer.len()).unwrap().to_be_bytes()[..],
                        &answer,
                    ]
                    .concat(),
                );
            }
            frames.reverse();
            for byte in frames.concat() {
                conn.write_all(&[byte]).await?;
                conn.flush().await?;
            }
            // Until the client has had enough.
            let _ = conn.read_u8().await;
            Ok(())
        };
        let server = endpoint.listen_with(serve, host.schemes()).await.unwrap();
        let upstream: Upstream = "sim:dns:53".parse().unwrap();
        let options = ResolverOptions::from(net.host("client").schemes());
        let resolver = Resolver::with([upstream.by_stream_alone()], options);
        let names = (0..8).map(|n| resolver.lookup(format!("n{n}.test."), RecordType::A));
        let found = futures_util::future::join_all(names).await;
        for (n, found) in found.into_iter().enumerate() {
            let owner = found.unwrap().records()[0].name.to_lowercase();
            assert_eq!(owner, name(&format!("n{n}.test.")));
        }
        ends(resolver, server).await;
    });
}

/// A connection that leads nowhere any more swallows what it is asked, without an error: it is given
/// up though there is always a question out.
#[test]
fn a_connection_that_swallows_questions_is_made_anew() {
    run(async {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let (resolver, server) = over_streams(move |number, mut conn| {
            count.fetch_add(1, Relaxed);
            async move {
                let mut heard = 0;
                while let Ok(request) = read(&mut conn).await {
                    heard += 1;
                    // The first goes dead behind its first answer.
                    if number > 0 || heard == 1 {
                        write(&mut conn, &good(&request)).await?;
                    }
                }
                Ok(())
            }
        })
        .await;
        resolver.ipv4("n0.test.").await.unwrap();
        let begin = tokio::time::Instant::now();
        let mut asked = Vec::new();
        for n in 1..30 {
            let resolver = resolver.clone();
            asked.push(tokio::spawn(async move {
                let name = format!("n{n}.test.");
                resolver.lookup(name, RecordType::A).await.is_ok()
            }));
            tokio::time::sleep(Duration::from_secs(1)).await;
            if made.load(Relaxed) > 1 {
                break;
            }
        }
        assert!(
            begin.elapsed() <= Duration::from_secs(12),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(made.load(Relaxed), 2);
        resolver.ipv4("last.test.").await.unwrap();
        for asked in asked {
            let _ = asked.await;
        }
        ends(resolver, server).await;
    });
}
