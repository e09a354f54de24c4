//! From the connection to the end of the message of the day, and away again.
//!
//! Connections a second are of the server's processor time, since the clients'
//! part shares the core.

use ropewalk_bench_kit::{Line, Load, Options, Running, Target, compare_servers, print_samples};
use tokio::{io::AsyncReadExt, task::JoinSet};

use crate::{
    client::{Client, within},
    fanout::against_best,
    peers::servers,
};

/// Clients that register at the same time: a turn lasts a second with InspIRCd,
/// which lets newcomers in at its beat.
const AT_ONCE: usize = 50;

pub(crate) fn registration(options: &Options) -> Vec<Line> {
    let servers = servers();
    let start: Vec<_> = servers.iter().map(|server| || server.start()).collect();
    let samples = compare_servers(&start, &Newcomers, options);
    let what = "registration to the end of the MOTD";
    print_samples(what, servers, &samples);
    // The inverse, so that more is better; the best has the most.
    against_best(
        servers,
        &samples,
        |sample| sample.cpu,
        Target::AtMost(1.0 / 3.0),
    )
    .map(|(peer, ratio, [ours, theirs], target)| Line {
        what: format!("{what}: connections/s of the server's CPU (ratio: CPU each)"),
        peer,
        ours: format!("{:.0}/s", 1e9 / ours),
        theirs: format!("{:.0}/s", 1e9 / theirs),
        ratio,
        target,
    })
    .collect()
}

struct Newcomers;

impl Load for Newcomers {
    /// Turns so far.
    type Clients = (std::net::SocketAddr, usize);

    /// Each lasts a second with InspIRCd.
    fn turns(&self) -> usize {
        5
    }

    async fn connect(&self, server: &Running) -> Self::Clients {
        (server.address, 0)
    }

    async fn work(&self, (address, turn): &mut Self::Clients) -> usize {
        *turn += 1;
        let mut tasks = JoinSet::new();
        for n in 0..AT_ONCE {
            let mut client = Client::connect(*address).await;
            let nick = format!("n{turn}x{n}");
            tasks.spawn(async move {
                client.register(&nick).await;
                client.send("QUIT\r\n").await;
                let mut rest = Vec::new();
                let end = client.stream.read_to_end(&mut rest);
                let _ = within("the end after QUIT", end).await;
            });
        }
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        AT_ONCE
    }
}
