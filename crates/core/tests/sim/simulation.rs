//! Protocols and handlers under every fault: each byte arrives in its order,
//! or the connection ends with a reason; and what is begun comes to an end.

use std::{
    io,
    sync::{Arc, Mutex},
};

use ropewalk_core::{
    Client, Closed, Deadline, Limits, ServerOptions, each,
    testing::sim::{Faults, Random, simulate},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    time::timeout,
};

use super::*;

/// The byte at a place of a stream, so that none can be lost, doubled or
/// exchanged unseen.
fn byte(key: u64, at: usize) -> u8 {
    let n = (at as u64)
        .wrapping_add(key)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n.to_be_bytes()[0]
}

fn number(random: &mut Random, most: u64) -> usize {
    usize::try_from(random.within(1..=most)).unwrap()
}

/// Links of some kind, drawn anew for each run.
fn weather(net: &Network, random: &mut Random) {
    let (slow, small) = (random.chance(0.3), random.chance(0.3));
    let (loss, reset) = (random.chance(0.5), random.chance(0.3));
    let window = number(random, 1 << 16);
    let bandwidth = random.within(2_000..=1_000_000);
    net.links(|link| {
        link.window = window;
        link.bandwidth = slow.then_some(bandwidth);
        link.segments = if small { 1..=7 } else { 1..=65_536 };
        link.loss = if loss { 0.1 } else { 0.0 };
        link.reset = if reset { 0.002 } else { 0.0 };
    });
    if random.chance(0.7) {
        let mut faults = Faults::default();
        faults.crashes = random.chance(0.5);
        net.inject(faults);
    }
}

/// Sends `total` bytes in pieces to an echo and hears them all again, or says
/// why not.
async fn echo_through(
    conn: Connection,
    key: u64,
    total: usize,
    mut random: Random,
) -> io::Result<()> {
    let (mut reader, mut writer) = split(conn);
    let send = async {
        let mut at = 0;
        while at < total {
            let n = number(&mut random, 9_000).min(total - at);
            let piece: Vec<u8> = (at..at + n).map(|at| byte(key, at)).collect();
            writer.write_all(&piece).await?;
            at += n;
            if random.chance(0.2) {
                tokio::time::sleep(random.duration(ms(0)..=ms(500))).await;
            }
        }
        writer.shutdown().await
    };
    let hear = async {
        let mut at = 0;
        let mut buffer = vec![0; 3000];
        loop {
            let n = reader.read(&mut buffer).await?;
            for heard in &buffer[..n] {
                assert_eq!(*heard, byte(key, at), "byte {at} of {total}");
                at += 1;
            }
            if n == 0 {
                // An end without a reason comes behind the last byte.
                assert_eq!(at, total, "cut off in silence");
                return Ok(());
            }
        }
    };
    tokio::try_join!(send, hear).map(drop)
}

fn is_a_reason(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, TimedOut};
    matches!(error.kind(), BrokenPipe | ConnectionReset | TimedOut)
}

#[test]
fn every_byte_arrives_in_order_or_there_is_a_reason() {
    simulate(200, async |net| {
        let mut random = net.random();
        serves(&net.host("handler"), || echo);
        serves(&net.host("protocol"), each::<Echo>);
        weather(&net, &mut random);
        let mut clients = tokio::task::JoinSet::new();
        for key in 0..random.within(1..=4) {
            let host = *random.pick(&["one", "two"]);
            let host = net.host(host);
            let server = *random.pick(&["handler", "protocol"]);
            let total = number(&mut random, 30_000);
            let (net, random) = (net.clone(), random.fork());
            clients.spawn(async move {
                let conn = match connect(&host, &format!("sim:{server}:7")).await {
                    Ok(conn) => conn,
                    Err(ConnectError::Refused { .. } | ConnectError::TimedOut { .. }) => return,
                    Err(ConnectError::Io { source, .. }) if is_a_reason(&source) => return,
                    Err(error) => panic!("{error}"),
                };
                let talk = timeout(ms(3_600_000), echo_through(conn, key, total, random));
                let Ok(result) = talk.await else {
                    // Who only listens hears nothing of an end that is not told.
                    let trace = net.trace().to_string();
                    assert!(
                        trace.contains("loses power") || trace.contains("reset, lost"),
                        "it neither came nor ended"
                    );
                    return;
                };
                net.note(format_args!("{key} of {server}: {result:?}"));
                if let Err(error) = result {
                    assert!(is_a_reason(&error), "{error}");
                }
            });
        }
        while let Some(result) = clients.join_next().await {
            result?;
        }
        Ok(())
    });
}

/// Asks a hundred questions at once, and counts what is answered in order.
struct Asker {
    heard: Arc<Mutex<usize>>,
    asked: usize,
}

impl Protocol for Asker {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        for question in 0..self.asked {
            t.write(format_args!("question {question}\r\n"));
        }
        // Else it would wait for as long as it may be idle.
        t.set_timer((), ms(300_000));
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let mut heard = self.heard.lock().unwrap();
        for line in data.lines(100) {
            assert_eq!(line?.as_ref(), format!("question {heard}").as_bytes());
            *heard += 1;
        }
        if *heard == self.asked {
            t.close();
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        t.abort();
        Ok(())
    }
}

#[test]
fn pipelined_questions_are_answered_in_order_or_there_is_a_reason() {
    simulate(200, async |net| {
        let mut random = net.random();
        serves(&net.host("server"), each::<Echo>);
        weather(&net, &mut random);
        let client = net.host("client");
        let heard = Arc::new(Mutex::new(0));
        let asker = Asker {
            heard: heard.clone(),
            asked: number(&mut random, 300),
        };
        let asked = asker.asked;
        let Ok(conn) = connect(&client, "sim:server:7").await else {
            return Ok(());
        };
        let why = Client::start(conn, asker).closed().await;
        let heard = *heard.lock().unwrap();
        net.note(format_args!("{heard} of {asked}: {why}"));
        match why {
            Closed::Local | Closed::Peer => assert_eq!(heard, asked),
            Closed::Reset | Closed::Aborted => {}
            Closed::TimedOut(Deadline::Close) => assert_eq!(heard, asked),
            Closed::Failed(error) => assert!(error.to_string().contains("timed out"), "{error}"),
            other => panic!("{other}"),
        }
        Ok(())
    });
}

/// Listens again and again, with few connections and little patience.
fn serves_and_drains(host: &Host) {
    host.start(|host| async move {
        loop {
            let mut limits = Limits::default();
            limits.connections = 3;
            limits.per_peer = 2;
            limits.idle = Some(ms(700));
            let mut options = ServerOptions::from(limits);
            options.schemes = host.schemes();
            let endpoint: ServerEndpoint = "sim:7:backlog=2".parse()?;
            let server = endpoint.listen_with(each::<Echo>(), options).await?;
            tokio::time::sleep(ms(3000)).await;
            server.drain(ms(200), ms(300)).await;
        }
    });
}

/// Connects somewhere, and does as the numbers say.
async fn anything(net: Network, host: Host, mut random: Random) {
    let to = *random.pick(&["a", "b", "c", "d", "localhost"]);
    let Ok(mut conn) = connect(&host, &format!("sim:{to}:7:timeout=4")).await else {
        return;
    };
    for _ in 0..random.within(0..=20) {
        let n = number(&mut random, 70_000);
        let patience = random.duration(ms(1)..=ms(2000));
        let done = match random.below(7) {
            0 | 1 => timeout(patience, conn.write_all(&vec![7; n])).await,
            2 | 3 => {
                timeout(patience, async {
                    let mut buffer = vec![0; n];
                    let n = conn.read(&mut buffer).await?;
                    assert!(buffer[..n].iter().all(|b| *b == 7));
                    Ok(())
                })
                .await
            }
            4 => timeout(patience, conn.shutdown()).await,
            5 => {
                tokio::time::sleep(patience).await;
                Ok(Ok(()))
            }
            _ => {
                let own = host.name();
                let others = [own.as_str(), "a"];
                let (from, to) = (*random.pick(&others), *random.pick(&others));
                match random.below(4) {
                    0 => net.partition(from, to),
                    1 => net.repair(from, to),
                    2 => net.reset(from, to),
                    _ => net.host(to).crash(),
                }
                Ok(Ok(()))
            }
        };
        if let Ok(Err(error)) = done {
            assert!(is_a_reason(&error), "{error}");
            return;
        }
    }
}

/// Hosts that do anything to each other for a while. Nothing is promised but
/// that it replays, ends, and leaves nothing behind.
#[test]
fn random_programs() {
    simulate(200, async |net| {
        let mut random = net.random();
        let names = ["a", "b", "c", "d"];
        for name in &names[..number(&mut random, 4)] {
            let host = net.host(name);
            match random.below(3) {
                0 => serves(&host, || echo),
                1 => serves(&host, each::<Echo>),
                _ => serves_and_drains(&host),
            }
        }
        weather(&net, &mut random);
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..random.within(1..=20) {
            let host = *random.pick(&["client", "a", "b", "c", "d"]);
            clients.spawn(anything(net.clone(), net.host(host), random.fork()));
            tokio::time::sleep(random.duration(ms(0)..=ms(300))).await;
        }
        while let Some(result) = clients.join_next().await {
            result?;
        }
        Ok(())
    });
}
