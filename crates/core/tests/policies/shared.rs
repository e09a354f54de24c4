//! Limits that several servers share.

use std::time::Duration;

use ropewalk_core::{
    Allowance, ClientEndpoint, Connection, Limits, Schemes, ServerOptions, each, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{Echo, listen, lives, log};

fn of(connections: usize) -> Allowance {
    let mut limits = Limits::default();
    limits.connections = connections;
    Allowance::new(&limits)
}

fn shared(options: &mut ServerOptions, schemes: &Schemes, allowance: &Allowance, name: &str) {
    options.schemes = schemes.clone();
    options.allowance = Some(allowance.clone());
    options.service = name.into();
}

async fn connect(schemes: &Schemes, to: &str) -> Connection {
    let endpoint: ClientEndpoint = to.parse().unwrap();
    schemes.connect(&endpoint).await.unwrap()
}

/// Whether it is answered now; virtual time passes when all wait.
async fn is_served(peer: &mut Connection) -> bool {
    timeout(Duration::from_secs(1), peer.read(&mut [0; 1]))
        .await
        .is_ok_and(|read| read.unwrap() == 1)
}

#[test]
fn several_servers_share_one_limit() {
    testing::run(async {
        let (schemes, allowance) = (Schemes::new(), of(3));
        let set = |name: &'static str| {
            let (schemes, allowance) = (schemes.clone(), allowance.clone());
            move |o: &mut ServerOptions| shared(o, &schemes, &allowance, name)
        };
        let a = listen("mem:a", each::<Echo>(), set("a")).await;
        let b = listen("mem:b", each::<Echo>(), set("b")).await;
        let mut peers = Vec::new();
        for to in ["mem:a", "mem:b", "mem:a"] {
            let mut peer = connect(&schemes, to).await;
            assert!(lives(&mut peer).await);
            peers.push(peer);
        }
        let listed = allowance.connections();
        let services: Vec<_> = listed.iter().map(|c| &*c.service).collect();
        assert_eq!(services, ["a", "b", "a"]);
        assert_eq!(allowance.counts().open, 3);

        // Neither has room now, whichever server the others came to.
        let (mut four, mut five) = (
            connect(&schemes, "mem:b").await,
            connect(&schemes, "mem:a").await,
        );
        four.write_all(b"x").await.unwrap();
        five.write_all(b"x").await.unwrap();
        assert!(!is_served(&mut four).await && !is_served(&mut five).await);
        drop(peers.remove(1));
        assert!(is_served(&mut four).await ^ is_served(&mut five).await);
        assert!(allowance.kill(listed[0].id));
        let rest = [is_served(&mut four).await, is_served(&mut five).await];
        assert_eq!(
            rest.iter().filter(|served| **served).count(),
            1,
            "the other one"
        );
        assert!(!allowance.kill(listed[0].id), "it is gone");
        assert_eq!(allowance.counts().accepted, 5);

        // A server that ends gives back what it held.
        drop(a);
        b.until_connections(|open| open <= 1).await;
        let mut six = connect(&schemes, "mem:b").await;
        assert!(lives(&mut six).await);
    });
}

/// One listener always has somebody waiting; those of the other have their turn
/// all the same, and no place is lost on the way.
#[test]
fn a_busy_listener_starves_nobody() {
    testing::run(async {
        let (schemes, allowance) = (Schemes::new(), of(1));
        let set = |name: &'static str| {
            let (schemes, allowance) = (schemes.clone(), allowance.clone());
            move |o: &mut ServerOptions| shared(o, &schemes, &allowance, name)
        };
        let _busy = listen("mem:busy", each::<Echo>(), set("busy")).await;
        let _quiet = listen("mem:quiet", each::<Echo>(), set("quiet")).await;
        let _idle = listen("mem:idle", each::<Echo>(), set("idle")).await;
        let mut first = connect(&schemes, "mem:busy").await;
        assert!(lives(&mut first).await);
        let mut crowd = Vec::new();
        for _ in 0..20 {
            let mut peer = connect(&schemes, "mem:busy").await;
            peer.write_all(b"x").await.unwrap();
            crowd.push(peer);
        }
        let mut lone = connect(&schemes, "mem:quiet").await;
        lone.write_all(b"x").await.unwrap();
        drop(first);
        let mut before = 0;
        for mut peer in crowd {
            if allowance
                .connections()
                .iter()
                .any(|c| &*c.service == "quiet")
            {
                break;
            }
            assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 1);
            before += 1;
            drop(peer);
            // Until the next one has the place.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(before <= 2, "it had to wait for {before} of the crowd");
        assert!(is_served(&mut lone).await);
    });
}

#[test]
fn one_warning_speaks_for_all() {
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run(async {
            let (schemes, allowance) = (Schemes::new(), of(1));
            let mut servers = Vec::new();
            for name in ["a", "b", "c"] {
                let endpoint = format!("mem:{name}");
                let server = listen(&endpoint, each::<Echo>(), |o| {
                    shared(o, &schemes, &allowance, name);
                });
                servers.push(server.await);
            }
            let mut first = connect(&schemes, "mem:a").await;
            assert!(lives(&mut first).await);
            let waiting = [
                connect(&schemes, "mem:b").await,
                connect(&schemes, "mem:c").await,
            ];
            let begun = Instant::now();
            tokio::time::sleep(Duration::from_secs(59)).await;
            assert_eq!(begun.elapsed().as_secs(), 59);
            drop(waiting);
        });
    });
    assert_eq!(
        said.matches("as many connections as allowed").count(),
        1,
        "{said}"
    );
}

/// Many connections come and go at two listeners of one small allowance, in
/// real time: it is never exceeded, and everybody is served in the end.
#[test]
fn nobody_is_forgotten() {
    testing::run_in_real_time(async {
        let allowance = of(3);
        let mut addresses = Vec::new();
        let mut servers = Vec::new();
        for _ in 0..2 {
            let server = listen("tcp:0", each::<Echo>(), |o| {
                o.allowance = Some(allowance.clone());
            });
            let server = server.await;
            addresses.push(server.local_address().inet().unwrap());
            servers.push(server);
        }
        let peers = (0..200).map(|i| {
            let (address, allowance) = (addresses[i % 2], &allowance);
            async move {
                let mut peer = TcpStream::connect(address).await.unwrap();
                assert!(lives(&mut peer).await);
                assert!(allowance.counts().open <= 3);
            }
        });
        let all = futures_util::future::join_all(peers);
        timeout(Duration::from_secs(20), all)
            .await
            .expect("all have their turn");
        assert_eq!(allowance.counts().accepted, 200);
        for server in servers {
            server.drain(Duration::ZERO, Duration::from_secs(5)).await;
        }
    });
}

/// Who comes again and again must not fill the log.
#[test]
fn refusals_are_said_once_a_minute() {
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run_in_real_time(async {
            let server = listen("tcp:0", each::<Echo>(), |o| {
                o.limits.per_peer = 1;
                o.limits.loopback_exempt = false;
            })
            .await;
            let port = server.port().unwrap();
            let mut first = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            assert!(lives(&mut first).await);
            for _ in 0..5 {
                let mut refused = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                assert!(!lives(&mut refused).await);
            }
            assert_eq!(server.counts().refused, 5);
        });
    });
    assert_eq!(said.matches("refused: ").count(), 1, "{said}");
}
