//! Topics over real connections: whole, in order, and within bounds, whatever
//! one subscriber does.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

#[path = "common/log.rs"]
mod log;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    Bytes, Closed, Connection, Input, Overflow, Protocol, Result, Schemes, Server, ServerEndpoint,
    ServerOptions, Topic, Transport, Violation, protocol, testing,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    task::yield_now,
    time::{Instant, sleep, timeout},
};

/// Publishes each line to all, itself included, as the example does.
struct Publisher {
    topic: Topic<Bytes>,
    joined: Arc<AtomicUsize>,
    ended: Ended,
}

type Ended = Arc<Mutex<Vec<Closed>>>;

impl Protocol for Publisher {
    type Message = Bytes;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.subscribe(&self.topic);
        self.joined.fetch_add(1, Relaxed);
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(16_384) {
            self.topic.publish(format!("{}\n", line?));
        }
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, line: Bytes) -> Result {
        t.write(line);
        Ok(())
    }
    fn closed(&mut self, why: Closed) {
        self.ended.lock().unwrap().push(why);
    }
}

struct House {
    topic: Topic<Bytes>,
    joined: Arc<AtomicUsize>,
    ended: Ended,
    server: Server,
    schemes: Schemes,
}

impl House {
    async fn open(topic: Topic<Bytes>) -> Self {
        let options = ServerOptions::from(Schemes::new());
        let schemes = options.schemes.clone();
        let ended = Ended::default();
        let joined = Arc::new(AtomicUsize::new(0));
        let make = {
            let (topic, joined, ended) = (topic.clone(), joined.clone(), ended.clone());
            protocol(move |_| Publisher {
                topic: topic.clone(),
                joined: joined.clone(),
                ended: ended.clone(),
            })
        };
        let endpoint: ServerEndpoint = "mem:topic".parse().unwrap();
        let server = endpoint.listen_with(make, options).await.unwrap();
        Self {
            topic,
            joined,
            ended,
            server,
            schemes,
        }
    }

    /// A subscriber that is there.
    async fn join(&self) -> Connection {
        let before = self.joined.load(Relaxed);
        let endpoint = "mem:topic".parse().unwrap();
        let peer = self.schemes.connect(&endpoint).await.unwrap();
        while self.joined.load(Relaxed) == before {
            yield_now().await;
        }
        peer
    }

    fn was_behind(&self) -> bool {
        let ended = self.ended.lock().unwrap();
        matches!(&ended[..], [Closed::Failed(error)]
            if matches!(error.downcast_ref(), Some(Violation::Behind(_))))
    }

    /// Bytes in the log of the topic.
    fn weight(&self) -> usize {
        let shown = format!("{:?}", self.topic);
        let (_, weight) = shown.split_once("weight: ").unwrap();
        let digits = weight.split(|c: char| !c.is_ascii_digit()).next().unwrap();
        digits.parse().unwrap()
    }
}

fn line(number: usize) -> String {
    format!("line {number:>6} {}\n", "x".repeat(85))
}

async fn hear(peer: &mut (impl tokio::io::AsyncRead + Unpin), lines: std::ops::Range<usize>) {
    let expected: String = lines.map(line).collect();
    let mut heard = vec![0; expected.len()];
    peer.read_exact(&mut heard).await.unwrap();
    assert!(
        heard == expected.as_bytes(),
        "something is missing, or out of order"
    );
}

#[test]
fn pipelined_lines_reach_all_whole_and_in_order() {
    testing::run(async {
        // Many times less than is published: everybody must be waited for.
        for limit in [5_000, 1024 * 1024] {
            let topic = Topic::with(limit, Overflow::Wait(Duration::from_secs(10)));
            let house = House::open(topic).await;
            let mut sender = house.join().await;
            let (mut second, mut third) = (house.join().await, house.join().await);
            let text: String = (0..1000).map(line).collect();
            let (mut read, mut write) = tokio::io::split(&mut sender);
            let sends = async { write.write_all(text.as_bytes()).await.unwrap() };
            let hears = async {
                tokio::join!(
                    hear(&mut read, 0..1000),
                    hear(&mut second, 0..1000),
                    hear(&mut third, 0..1000)
                )
            };
            tokio::join!(sends, hears);
            assert_eq!(house.topic.subscribers(), 3);
        }
    });
}

/// Publishes at the pace of the healthy, with one who never reads. Returns
/// what the topic held at most, and when the deaf one was gone.
async fn with_a_deaf_one(house: &House, lines: usize) -> (usize, Option<Duration>) {
    let _deaf = house.join().await;
    let mut sender = house.join().await;
    let mut other = house.join().await;
    let (mut most, mut gone) = (0, None);
    let begun = Instant::now();
    for number in 0..lines {
        sender.write_all(line(number).as_bytes()).await.unwrap();
        let both = async {
            tokio::join!(
                hear(&mut sender, number..number + 1),
                hear(&mut other, number..number + 1)
            )
        };
        timeout(Duration::from_secs(60), both)
            .await
            .expect("the others are served");
        most = most.max(house.weight());
        if house.topic.subscribers() < 3 && gone.is_none() {
            gone = Some(begun.elapsed());
        }
    }
    if gone.is_some() {
        // What is still to be said to it has the deadline of every close.
        house.server.until_connections(|open| open == 2).await;
        assert!(house.was_behind());
    }
    (most, gone)
}

const LIMIT: usize = 50_000;

#[test]
fn who_never_reads_is_disconnected_at_once() {
    testing::run(async {
        let house = House::open(Topic::with(LIMIT, Overflow::Disconnect)).await;
        let (most, gone) = with_a_deaf_one(&house, 3000).await;
        assert!(most <= LIMIT, "{most} bytes were held");
        assert_eq!(gone, Some(Duration::ZERO));
    });
}

#[test]
fn who_never_reads_holds_publishers_back_for_a_while() {
    testing::run(async {
        let patience = Duration::from_secs(7);
        let house = House::open(Topic::with(LIMIT, Overflow::Wait(patience))).await;
        let (most, gone) = with_a_deaf_one(&house, 3000).await;
        assert!(most <= LIMIT + 200, "{most} bytes were held");
        assert_eq!(gone.map(|g| g.as_secs()), Some(7));
    });
}

#[test]
fn who_never_reads_misses_the_oldest() {
    let (said, dropped) = log::heard(tracing::Level::WARN, || {
        testing::run(async {
            let house = House::open(Topic::with(LIMIT, Overflow::DropOldest)).await;
            let (most, gone) = with_a_deaf_one(&house, 3000).await;
            assert!(most <= LIMIT, "{most} bytes were held");
            assert_eq!(gone, None);
            house.topic.dropped()
        })
    });
    assert!(dropped > 500, "{dropped}");
    let misses = said.matches("behind its topic and misses the oldest items");
    assert_eq!(misses.count(), 1, "{said}");
}

#[test]
fn the_publisher_may_be_the_slow_one() {
    testing::run(async {
        let patience = Duration::from_secs(7);
        let house = House::open(Topic::with(LIMIT, Overflow::Wait(patience))).await;
        let mut other = house.join().await;
        // It pipelines, and reads none of what comes back.
        let deaf = house.join().await;
        let (_unread, mut write) = tokio::io::split(deaf);
        let sends = tokio::spawn(async move {
            for number in 0.. {
                if write.write_all(line(number).as_bytes()).await.is_err() {
                    return number;
                }
            }
            0
        });
        // It stalls itself first, and nobody else: it is not read any more.
        hear(&mut other, 0..1000).await;
        while timeout(Duration::from_secs(1), other.read(&mut [0; 4096]))
            .await
            .is_ok()
        {}
        let begun = Instant::now();
        for number in 0..1000 {
            other.write_all(line(number).as_bytes()).await.unwrap();
            hear(&mut other, number..number + 1).await;
        }
        // Then it held the other one back, and that had an end.
        assert_eq!(begun.elapsed().as_secs(), 7);
        house.server.until_connections(|open| open == 1).await;
        assert!(house.was_behind());
        assert!(sends.await.unwrap() > 1000);
    });
}

#[test]
fn all_publishers_go_on_when_one_subscriber_was_given_up() {
    testing::run(async {
        let patience = Duration::from_secs(5);
        let topic = Topic::<Bytes>::with(1000, Overflow::Wait(patience));
        let house = House::open(topic.clone()).await;
        let _deaf = house.join().await;
        // It takes what its connection and stream hold, and no more.
        let begun = Instant::now();
        for _ in 0..40 {
            topic.publish(Bytes::from(vec![b'x'; 10_000]));
            yield_now().await;
        }
        let waits: Vec<_> = (0..4)
            .map(|late| {
                let topic = topic.clone();
                tokio::spawn(async move {
                    sleep(Duration::from_secs(late)).await;
                    topic.room().await;
                    Instant::now()
                })
            })
            .collect();
        for wait in waits {
            let waited = wait.await.unwrap() - begun;
            assert_eq!(waited.as_secs(), 5, "each from when it became full");
        }
    });
}

/// A wait that is over is forgotten: the next one who is slow has all of the
/// patience.
#[test]
fn patience_begins_anew() {
    testing::run(async {
        let patience = Duration::from_secs(5);
        let topic = Topic::<Bytes>::with(1000, Overflow::Wait(patience));
        let house = House::open(topic.clone()).await;
        let deaf = house.join().await;
        for _ in 0..40 {
            topic.publish(Bytes::from(vec![b'x'; 10_000]));
            yield_now().await;
        }
        topic.room().await;
        drop(deaf);
        sleep(Duration::from_secs(60)).await;
        let mut healthy = house.join().await;
        // Full at once, before anybody could read any of it.
        for _ in 0..5 {
            topic.publish(Bytes::from(vec![b'y'; 900]));
        }
        assert_eq!(topic.subscribers(), 1, "it had no time at all");
        healthy.read_exact(&mut [0; 4500]).await.unwrap();
    });
}

/// One item beyond the limit is nobody's fault, and nor is one without weight.
#[test]
fn heavy_and_weightless_items() {
    testing::run(async {
        for overflow in [
            Overflow::Disconnect,
            Overflow::DropOldest,
            Overflow::Wait(Duration::from_secs(1)),
        ] {
            let house = House::open(Topic::with(10, overflow)).await;
            let mut peer = house.join().await;
            for _ in 0..3 {
                house.topic.publish(Bytes::from(vec![b'x'; 1000]));
                peer.read_exact(&mut [0; 1000]).await.unwrap();
            }
        }
        let house = House::open(Topic::with(LIMIT, Overflow::DropOldest)).await;
        let _peer = house.join().await;
        for _ in 0..LIMIT * 3 {
            house.topic.publish(Bytes::new());
        }
        assert!(house.weight() <= LIMIT);
        assert!(house.topic.dropped() > 0, "they take room in the log too");
    });
}

#[test]
fn subscribers_come_and_go_under_load() {
    testing::run(async {
        let topic = Topic::with(20_000, Overflow::Wait(Duration::from_secs(10)));
        let house = House::open(topic.clone()).await;
        let mut steady = BufReader::new(house.join().await);
        let publishing = tokio::spawn({
            let topic = topic.clone();
            async move {
                for number in 0..2000 {
                    topic.room().await;
                    topic.publish(line(number));
                    yield_now().await;
                }
            }
        });
        let guests = async {
            for round in 0..200 {
                let mut guest = BufReader::new(house.join().await);
                let mut text = String::new();
                if guest.read_line(&mut text).await.unwrap() == 0 {
                    break;
                }
                // From where it came in, without a gap.
                let first: usize = text[5..11].trim().parse().unwrap();
                if first + 10 < 2000 {
                    hear(&mut guest, first + 1..first + 1 + round % 9).await;
                }
                if first > 1900 {
                    break;
                }
                // Half of them go without a word, with lines on their way.
                if round % 2 == 0 {
                    guest.shutdown().await.unwrap();
                }
            }
        };
        tokio::join!(hear(&mut steady, 0..2000), guests);
        publishing.await.unwrap();
        sleep(Duration::from_secs(20)).await;
        assert_eq!((topic.subscribers(), house.weight()), (1, 0));
    });
}

/// On real threads, where wake-ups can be lost.
#[test]
fn nobody_sleeps_through_an_item() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for limit in [2_000, 100_000] {
            let topic = Topic::with(limit, Overflow::Wait(Duration::from_secs(60)));
            let house = Arc::new(House::open(topic.clone()).await);
            let mut hearers = Vec::new();
            for _ in 0..4 {
                let mut peer = house.join().await;
                hearers.push(tokio::spawn(async move { hear(&mut peer, 0..3000).await }));
            }
            for number in 0..3000 {
                topic.room().await;
                topic.publish(line(number));
            }
            for hearer in hearers {
                timeout(Duration::from_secs(30), hearer)
                    .await
                    .expect("one sleeps")
                    .unwrap();
            }
        }
    });
}

/// Publishes what it is told by message: what a relay does.
struct Relay {
    topic: Topic<Bytes>,
    relayed: Arc<AtomicUsize>,
}

impl Protocol for Relay {
    type Message = Bytes;
    type Timer = ();
    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        Ok(())
    }
    fn message(&mut self, _: &mut Transport<Self>, item: Bytes) -> Result {
        self.topic.publish(item);
        self.relayed.fetch_add(1, Relaxed);
        Ok(())
    }
}

#[test]
fn who_publishes_from_messages_is_held_back_too() {
    testing::run(async {
        let house = House::open(Topic::with(1000, Overflow::Wait(Duration::from_secs(10)))).await;
        let deaf = house.join().await;
        // As far behind as the stream of one who never reads lets it be.
        let (near, far) = tokio::io::duplex(10);
        let here = ropewalk_core::Address::Memory("relay".into());
        let peer = ropewalk_core::Peer::new(here.clone());
        let relayed = Arc::new(AtomicUsize::new(0));
        let relay = Relay {
            topic: house.topic.clone(),
            relayed: relayed.clone(),
        };
        let relay = ropewalk_core::Client::start(Connection::new(near.into(), peer, here), relay);
        let feeds = async {
            for _ in 0..10_000 {
                relay.tell(Bytes::from(vec![b'x'; 100])).await.unwrap();
            }
        };
        // Until the deaf one is given up, its sender waits, who asks for no room.
        assert!(timeout(Duration::from_secs(9), feeds).await.is_err());
        let held = relayed.load(Relaxed);
        assert!(held < 2_000, "{held} were published past a full topic");
        assert!(house.weight() < 20_000, "{}", house.weight());
        while house.topic.subscribers() > 0 {
            sleep(Duration::from_secs(1)).await;
        }
        relay.tell(Bytes::from_static(b"on")).await.unwrap();
        while relayed.load(Relaxed) <= held {
            yield_now().await;
        }
        // What was written to it has its time to leave.
        while house.ended.lock().unwrap().is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
        assert!(house.was_behind());
        drop((deaf, relay, far));
    });
}
