//! One speaks, all hear.
//!
//! A delivery is a message, whole, read from the socket of one member. In a
//! burst the speaker sends a thousand messages at once and waits until every
//! member has them all; paced, it waits after each.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Spread, Target, compare_servers, print_samples,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{Barrier, Notify},
};

use crate::{
    client::{Client, within},
    peers::{Server, servers},
};

/// The target of a row, as a share of the best peer's.
pub(crate) fn bursts(options: &Options) -> Vec<Line> {
    [300, 500]
        .into_iter()
        .flat_map(|members| {
            let burst = if options.quick { 100 } else { 1000 };
            let load = Talk {
                members,
                burst,
                messages: burst,
                turns: 3,
            };
            let what = format!("fan-out to {members}, a burst of {burst}: server CPU a delivery");
            measure(&load, what, 0.7, options)
        })
        .collect()
}

pub(crate) fn paced(options: &Options) -> Vec<Line> {
    let load = Talk {
        members: 500,
        burst: 1,
        messages: 20,
        turns: 10,
    };
    let what = "fan-out to 500, one by one: server CPU a delivery".into();
    measure(&load, what, 0.9, options)
}

fn measure(load: &Talk, what: String, most: f64, options: &Options) -> Vec<Line> {
    let servers = servers();
    let start: Vec<_> = servers.iter().map(|server| || server.start()).collect();
    let samples = compare_servers(&start, load, options);
    print_samples(&what, servers, &samples);
    against_best(servers, &samples, |sample| sample.cpu, Target::AtMost(most))
        .map(|(peer, ratio, [ours, theirs], target)| Line {
            what: what.clone(),
            peer,
            ours: format!("{ours:.0} ns"),
            theirs: format!("{theirs:.0} ns"),
            ratio,
            target,
        })
        .collect()
}

/// Ours against each peer; the best of them, whose figure is the least, has the
/// target.
pub(crate) fn against_best(
    servers: &[Server],
    samples: &[Vec<Sample>],
    part: fn(&Sample) -> f64,
    target: Target,
) -> impl Iterator<Item = (&'static str, Spread, [f64; 2], Target)> {
    let median = |of: &[Sample]| Spread::of(of.iter().map(part)).median;
    let (ours, theirs) = samples.split_last().expect("ours is always measured");
    let best = theirs
        .iter()
        .map(|it| median(it))
        .fold(f64::INFINITY, f64::min);
    let lines: Vec<_> = servers
        .iter()
        .zip(theirs)
        .map(|(peer, theirs)| {
            let target = match median(theirs) <= best {
                true => target,
                false => Target::None,
            };
            let ratio = Spread::of_ratios(ours, theirs, part);
            (peer.name(), ratio, [median(ours), median(theirs)], target)
        })
        .collect();
    lines.into_iter()
}

struct Talk {
    members: usize,
    /// Messages at a time.
    burst: usize,
    /// Messages of one turn.
    messages: usize,
    /// Turns of a round: a burst of a thousand lasts long enough that few do.
    turns: usize,
}

/// What the members have heard, all together.
#[derive(Default)]
struct Tally {
    /// Lines.
    heard: AtomicUsize,
    awaited: AtomicUsize,
    reached: Notify,
}

struct Channel {
    speaker: Client,
    tally: Arc<Tally>,
}

const CHANNEL: &str = "#bench";

impl Load for Talk {
    type Clients = Channel;

    fn turns(&self) -> usize {
        self.turns
    }

    async fn connect(&self, server: &Running) -> Channel {
        let tally = Arc::new(Tally::default());
        // Each hears those who join later, and this, once, when all are there.
        tally.awaited.store(self.members, Relaxed);
        let there = Arc::new(Barrier::new(self.members + 1));
        for n in 0..self.members {
            let mut member = Client::connect(server.address).await;
            let (tally, there) = (tally.clone(), there.clone());
            tokio::spawn(async move {
                member.register(&format!("m{n}")).await;
                member.join(CHANNEL).await;
                there.wait().await;
                member
                    .until("the first message", |message| message.is("PRIVMSG"))
                    .await;
                tally.add(1);
                listen(member.into_stream(), tally).await;
            });
        }
        within("all members to join", there.wait()).await;
        let mut speaker = Client::connect(server.address).await;
        speaker.register("speaker").await;
        speaker.join(CHANNEL).await;
        speaker.send(&message(0)).await;
        tally.reach().await;
        Channel { speaker, tally }
    }

    async fn work(&self, channel: &mut Channel) -> usize {
        let Channel { speaker, tally } = channel;
        let mut sent = 0;
        while sent < self.messages {
            let burst: String = (sent..sent + self.burst).map(message).collect();
            tally.awaited.fetch_add(self.members * self.burst, Relaxed);
            speaker.send(&burst).await;
            tally.reach().await;
            sent += self.burst;
        }
        self.members * self.messages
    }
}

/// As people write: some sixty letters.
fn message(n: usize) -> String {
    format!("PRIVMSG {CHANNEL} :{n:04} the rope is made of strands, each of them of yarns\r\n")
}

impl Tally {
    fn add(&self, lines: usize) {
        let heard = self.heard.fetch_add(lines, Relaxed) + lines;
        if heard == self.awaited.load(Relaxed) {
            self.reached.notify_one();
        }
    }

    /// Waits until all that is awaited was heard.
    async fn reach(&self) {
        let what = "all members to hear all messages";
        while self.heard.load(Relaxed) < self.awaited.load(Relaxed) {
            within(what, self.reached.notified()).await;
        }
    }
}

async fn listen(mut stream: TcpStream, tally: Arc<Tally>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        tally.add(memchr::memchr_iter(b'\n', &buffer[..n]).count());
    }
}
