//! One publisher, many subscribers.
//!
//! A delivery is one line, whole, read from the socket of one subscriber. The
//! publisher sends a burst of lines, waits until every subscriber has them
//! all, and sends the next; so nobody is behind, and a channel that drops what
//! a slow subscriber misses drops nothing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ropewalk_core::{Bytes, Input, Protocol, Result, ServerOptions, Topic, Transport, protocol};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::{Notify, broadcast},
};

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Side, Spread, Target, by_hand, compare, connect,
    print_samples,
};

use crate::side::ropewalk;

const SUBSCRIBERS: usize = 500;

/// Bytes of a line, with its end.
const LINE: usize = 64;

/// Whoever says `SUB` subscribes; every other line is published.
struct Hub(Topic<Bytes>);

impl Protocol for Hub {
    type Message = Bytes;
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(8192) {
            let line = line?;
            if &*line == b"SUB" {
                t.subscribe(&self.0);
                t.write("OK\n");
            } else {
                self.0.publish([&*line, b"\n"].concat());
            }
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, line: Bytes) -> Result {
        t.write(line);
        Ok(())
    }
}

pub(crate) const OURS: Side = Side {
    name: "ropewalk, Topic",
    serve: |told| {
        let topic = Topic::new();
        let handler = protocol(move |_| Hub(topic.clone()));
        ropewalk("tcp:0", handler, ServerOptions::default(), told)
    },
};

const BROADCAST: Side = Side {
    name: "broadcast + write_all",
    serve: |told| {
        let (topic, _) = broadcast::channel(1024);
        by_hand(move |s| hub(s, topic.clone(), false), told)
    },
};

const BATCHED: Side = Side {
    name: "broadcast, batched",
    serve: |told| {
        let (topic, _) = broadcast::channel(1024);
        by_hand(move |s| hub(s, topic.clone(), true), told)
    },
};

/// The same with tokio's own channel. Batched, everything that waits goes out
/// by one write.
async fn hub(
    mut stream: TcpStream,
    topic: broadcast::Sender<Bytes>,
    batched: bool,
) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        if line == b"SUB\n" {
            let mut feed = topic.subscribe();
            writer.write_all(b"OK\n").await?;
            let mut batch = Vec::new();
            loop {
                let item = feed.recv().await.map_err(io::Error::other)?;
                if batched {
                    batch.extend_from_slice(&item);
                    while let Ok(item) = feed.try_recv() {
                        batch.extend_from_slice(&item);
                    }
                    writer.write_all(&batch).await?;
                    batch.clear();
                } else {
                    writer.write_all(&item).await?;
                }
            }
        }
        // Nobody need be there to hear it.
        let _ = topic.send(Bytes::copy_from_slice(&line));
        line.clear();
    }
    Ok(())
}

/// Bursts of a hundred lines, which has the target, and single ones.
pub(crate) fn fanout(options: &Options) -> Vec<Line> {
    let sides = [BROADCAST, BATCHED, OURS];
    let mut lines = Vec::new();
    for (burst, target) in [(100, Target::AtLeast(3.0)), (1, Target::None)] {
        let samples = compare(&sides, &Bursts(burst), options);
        let title = format!("fan-out to {SUBSCRIBERS} subscribers, bursts of {burst}");
        print_samples(&title, &sides, &samples);
        let deliveries = |samples: &[Sample]| {
            let rate = Spread::of(samples.iter().map(|s| s.rate)).median;
            format!("{:.0} k/s", rate / 1000.0)
        };
        let mut against = |peer, theirs: &Vec<Sample>, target| {
            let bursts = match burst {
                1 => "lines one by one".into(),
                _ => format!("bursts of {burst} lines"),
            };
            lines.push(Line {
                what: format!("pub/sub, 1 to {SUBSCRIBERS}, {bursts}: deliveries"),
                peer,
                ours: deliveries(&samples[2]),
                theirs: deliveries(theirs),
                ratio: Spread::of_ratios(&samples[2], theirs, |s| s.rate),
                target,
            });
        };
        against("tokio broadcast + write_all", &samples[0], target);
        against(
            "the same, all that waits in one write",
            &samples[1],
            Target::None,
        );
    }
    lines
}

/// What the subscribers have read, all together.
#[derive(Default)]
struct Tally {
    /// Bytes.
    read: AtomicUsize,
    awaited: AtomicUsize,
    reached: Notify,
}

/// Lines published at a time.
pub(crate) struct Bursts(pub(crate) usize);

pub(crate) struct Clients {
    publisher: TcpStream,
    tally: Arc<Tally>,
}

impl Load for Bursts {
    type Clients = Clients;

    async fn connect(&self, server: &Running) -> Clients {
        let tally = Arc::new(Tally::default());
        for _ in 0..SUBSCRIBERS {
            let stream = subscribe(connect(server.address).await).await;
            tokio::spawn(subscriber(stream, tally.clone()));
        }
        let publisher = connect(server.address).await;
        Clients { publisher, tally }
    }

    async fn work(&self, clients: &mut Clients) -> usize {
        let Clients { publisher, tally } = clients;
        let line = [&[b'x'; LINE - 1][..], b"\n"].concat();
        publisher.write_all(&line.repeat(self.0)).await.unwrap();
        let bytes = SUBSCRIBERS * self.0 * LINE;
        let awaited = tally.awaited.fetch_add(bytes, Relaxed) + bytes;
        while tally.read.load(Relaxed) < awaited {
            tally.reached.notified().await;
        }
        SUBSCRIBERS * self.0
    }
}

async fn subscribe(mut stream: TcpStream) -> TcpStream {
    stream.write_all(b"SUB\n").await.unwrap();
    let mut answer = [0; 3];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"OK\n");
    stream
}

async fn subscriber(mut stream: TcpStream, tally: Arc<Tally>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        let read = tally.read.fetch_add(n, Relaxed) + n;
        if read == tally.awaited.load(Relaxed) {
            tally.reached.notify_one();
        }
    }
}
