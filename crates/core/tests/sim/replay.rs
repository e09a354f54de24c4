//! A seed brings the same run again: same trace, same randomness, same time on
//! the wall.

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ropewalk_core::{
    Topic, each, fill_random, protocol, random,
    testing::{
        self,
        sim::{Faults, Simulation, Trace},
    },
    wall_clock,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Passes each line on to all.
struct Chat(Topic<String>);

impl Protocol for Chat {
    type Message = String;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.subscribe(&self.0);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(10_000) {
            self.0
                .publish(format!("{} {:x} {}\n", t.peer(), random(), line?));
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, line: String) -> Result {
        t.write(line);
        Ok(())
    }
}

/// Handlers, protocols, fan-out, drain and faults, all at once.
async fn commotion(net: Network) -> Trace {
    net.host("chat").start(|host| async move {
        let topic = Topic::new();
        loop {
            let topic = topic.clone();
            let chat = protocol(move |_| Chat(topic.clone()));
            let server = listen(&host, "sim:7", chat).await?;
            tokio::time::sleep(ms(4000)).await;
            server.drain(ms(500), ms(500)).await;
        }
    });
    serves(&net.host("handler"), || echo);
    serves(&net.host("protocol"), each::<Echo>);
    let mut faults = Faults::default().with_crashes();
    faults.every = ms(10)..=ms(1000);
    faults.lasts = ms(10)..=ms(2000);
    net.inject(faults);
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..12 {
        let host = net.host(["one", "two", "three"][number % 3]);
        let (net, mut random) = (net.clone(), net.random());
        clients.spawn(async move {
            for _ in 0..5 {
                tokio::time::sleep(random.duration(ms(0)..=ms(3000))).await;
                let server = *random.pick(&["chat", "handler", "protocol"]);
                let mut line = vec![b'a'; usize::try_from(random.below(5000)).unwrap()];
                line.push(b'\n');
                let talk = async {
                    let mut conn = connect(&host, &format!("sim:{server}:7")).await?;
                    conn.write_all(&line).await?;
                    conn.read_exact(&mut vec![0; line.len()]).await?;
                    Ok::<_, ropewalk_core::Error>(())
                };
                let talked = tokio::time::timeout(ms(3000), talk).await;
                let well = talked.is_ok_and(|result| result.is_ok());
                net.note(format_args!("{number} had {server}: {well}"));
            }
        });
    }
    while clients.join_next().await.is_some() {}
    net.trace()
}

#[test]
fn a_seed_has_one_trace_and_no_two_seeds_the_same() {
    let seeds = if std::env::var_os("ROPEWALK_DEEP").is_some() {
        1000
    } else {
        50
    };
    let mut hashes = BTreeSet::new();
    let (mut good, mut bad) = (0, 0);
    for seed in 0..seeds {
        let trace = Simulation::from_seed(seed).run(commotion);
        let again = Simulation::from_seed(seed).run(commotion);
        assert_eq!(trace.to_string(), again.to_string(), "seed {seed}");
        assert_eq!(trace.hash(), again.hash(), "seed {seed}");
        hashes.insert(trace.hash());
        good += trace.to_string().matches(": true").count();
        bad += trace.to_string().matches(": false").count();
    }
    assert_eq!(hashes.len() as u64, seeds);
    // There was something to replay, of either kind.
    assert!(good > bad && bad > 50, "{good} good, {bad} bad");
}

#[test]
fn what_arrives_at_once_arrives_in_an_order_of_the_seeds() {
    let order = |seed| {
        Simulation::from_seed(seed).run(async |net| {
            let client = net.host("client");
            serves(&net.host("server"), || echo);
            exact(&net, ms(10));
            let endpoint = "sim:server:7".parse().unwrap();
            let schemes = client.schemes();
            let conns = (0..4).map(|_| schemes.connect(&endpoint));
            let conns = futures_util::future::try_join_all(conns).await.unwrap();
            assert_eq!(net.elapsed(), ms(20));
            drop(conns);
            let trace = net.trace().to_string();
            let connected = trace.lines().filter(|l| l.ends_with("connected"));
            connected.map(|l| l[16..18].to_owned()).collect::<String>()
        })
    };
    let orders: BTreeSet<String> = (0..20).map(order).collect();
    assert!(orders.len() > 5, "{orders:?}");
}

#[test]
fn randomness_is_the_seeds() {
    let draw = |seed| {
        Simulation::from_seed(seed).run(async |net| {
            let mut bytes = [0; 32];
            fill_random(&mut bytes);
            (bytes, random(), net.random(), net.random())
        })
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let (_, _, one, other) = draw(1);
    assert_ne!(one, other);
}

#[test]
fn the_wall_clock_moves_with_virtual_time() {
    let hour = Duration::from_secs(3600);
    let started = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    Simulation::from_seed(1).run(async |_| {
        assert_eq!(wall_clock(), started);
        tokio::time::sleep(hour).await;
        assert_eq!(wall_clock(), started + hour);
    });
    let birth = UNIX_EPOCH + Duration::from_secs(1);
    Simulation::new()
        .begins(birth)
        .run(async |_| assert_eq!(wall_clock(), birth));
    testing::run(async {
        let start = wall_clock();
        tokio::time::sleep(hour).await;
        assert_eq!(wall_clock(), start + hour);
    });
    // Outside it is the world's.
    assert!(wall_clock().duration_since(SystemTime::now()).is_err());
}
