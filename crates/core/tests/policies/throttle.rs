//! Fewer bytes a second than the network gives: exactly so many, and fairly.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use ropewalk_core::{Connection, Rate, Schemes, Server, Throttle, testing};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{Nowhere, listen};

/// Sends bytes without an end, or until the peer has gone.
async fn flood(mut conn: Connection) -> ropewalk_core::Result {
    while conn.write_all(&[b'x'; 10_000]).await.is_ok() {}
    Ok(())
}

/// Reads without an end.
async fn swallow(mut conn: Connection) -> ropewalk_core::Result {
    while conn.read(&mut [0; 10_000]).await? > 0 {}
    Ok(())
}

/// A server of these throttles, the outermost first, and its peers.
struct Throttled {
    server: Server,
    peers: Vec<DuplexStream>,
}

async fn throttled(
    throttles: Vec<Throttle>,
    from: &[&str],
    handler: impl ropewalk_core::Handler,
) -> Throttled {
    let (arrive, arrivals) = mpsc::unbounded_channel();
    let schemes = Schemes::new().add(Nowhere(Mutex::new(Some(arrivals))));
    let server = listen("nowhere:", handler, |o| {
        o.schemes = schemes;
        for throttle in throttles {
            o.layers.push(Arc::new(throttle));
        }
    });
    let server = server.await;
    let mut peers = Vec::new();
    for address in from {
        // So large that the peer never makes it wait.
        let (near, far) = duplex(1 << 20);
        let address: SocketAddr = address.parse().unwrap();
        arrive.send((far, address.into())).unwrap();
        peers.push(near);
    }
    Throttled { server, peers }
}

/// How many bytes came to each peer within a time.
async fn received(peers: &mut [DuplexStream], within: Duration) -> Vec<usize> {
    let counts = peers.iter_mut().map(|peer| async {
        let (mut count, mut buffer) = (0, vec![0; 65_536]);
        let read = async {
            loop {
                count += peer.read(&mut buffer).await.unwrap();
            }
        };
        let _: Result<(), _> = timeout(within, read).await;
        count
    });
    join_all(counts).await
}

const A: &str = "198.51.100.1:1";
const B: &str = "203.0.113.1:1";
const SECOND: Duration = Duration::from_secs(1);

/// A moment before the next share would be there.
const TEN_SECONDS: Duration = Duration::from_millis(10_050);

#[test]
fn all_connections_together() {
    testing::run(async {
        let all = Throttle::in_all().write(1000);
        let mut t = throttled(vec![all], &[A, A, B, B], flood).await;
        let got = received(&mut t.peers, TEN_SECONDS).await;
        // The second's worth that was there went to who came first; the rest
        // is shared.
        assert_eq!(got.iter().sum::<usize>(), 11_000, "{got:?}");
        assert_eq!(got, [1000 + 2500, 2500, 2500, 2500]);
        drop(t.peers);
        t.server.drain(Duration::ZERO, SECOND).await;
    });
}

#[test]
fn the_connections_of_each_peer() {
    testing::run(async {
        let peer = Throttle::per_peer().write(Rate::per_second(1000).burst(200));
        let from = [A, "[2001:db8::1]:1", A, "[2001:db8::ffff:1]:1", B];
        let mut t = throttled(vec![peer], &from, flood).await;
        let got = received(&mut t.peers, TEN_SECONDS).await;
        assert_eq!(got[0] + got[2], 10_200, "one address: {got:?}");
        assert_eq!(got[1] + got[3], 10_200, "one /64: {got:?}");
        assert_eq!(got[4], 10_200, "{got:?}");
        assert!(got[0].abs_diff(got[2]) <= 300, "{got:?}");
        drop(t.peers);
        t.server.drain(Duration::ZERO, SECOND).await;
    });
}

/// Who comes back has not been forgotten.
#[test]
fn a_new_connection_is_no_new_bucket() {
    testing::run(async {
        let (arrive, arrivals) = mpsc::unbounded_channel();
        let schemes = Schemes::new().add(Nowhere(Mutex::new(Some(arrivals))));
        let server = listen("nowhere:", flood, |o| {
            o.schemes = schemes;
            o.layers.push(Arc::new(Throttle::per_peer().write(1000)));
        });
        let server = server.await;
        let mut sum = 0;
        for port in 0..10 {
            let (near, far) = duplex(1 << 20);
            let address: SocketAddr = format!("198.51.100.1:{port}").parse().unwrap();
            arrive.send((far, address.into())).unwrap();
            let mut near = [near];
            sum += received(&mut near, SECOND).await[0];
            drop(near);
            server.until_connections(|open| open == 0).await;
        }
        assert!((10_000..=11_000).contains(&sum), "{sum}");
    });
}

#[test]
fn one_inside_the_other() {
    // (connection, peer, all) and what A, A and B get in ten seconds.
    for (rates, expected) in [
        ((1000, 10_000, 100_000), [10_000, 10_000, 10_000]),
        ((10_000, 1000, 100_000), [5000, 5000, 10_000]),
        ((10_000, 10_000, 3000), [10_000, 10_000, 10_000]),
        ((1000, 1000, 1200), [3500, 3500, 5000]),
    ] {
        testing::run(async {
            let small = |rate| Rate::per_second(rate).burst(rate / 10);
            let throttles = vec![
                Throttle::new().write(small(rates.0)),
                Throttle::per_peer().write(small(rates.1)),
                Throttle::in_all().write(small(rates.2)),
            ];
            let mut t = throttled(throttles, &[A, A, B], flood).await;
            let got = received(&mut t.peers, TEN_SECONDS).await;
            for (got_one, expected) in got.iter().zip(expected) {
                let off = got_one.abs_diff(expected);
                assert!(off <= expected / 5, "{rates:?}: {got:?} for {expected:?}");
            }
            drop(t.peers);
            t.server.drain(Duration::ZERO, SECOND).await;
        });
    }
}

#[test]
fn what_comes_in_is_bounded_too() {
    testing::run(async {
        let all = Throttle::in_all().read(1000);
        let mut t = throttled(vec![all], &[A, B], swallow).await;
        for peer in &mut t.peers {
            peer.write_all(&[b'x'; 100_000]).await.unwrap();
        }
        sleep(TEN_SECONDS).await;
        let read: Vec<u64> = t.server.connections().iter().map(|c| c.read).collect();
        assert_eq!(read.iter().sum::<u64>(), 11_000, "{read:?}");
        // Without the burst, which one had alone.
        assert!((read[0] - 1000).abs_diff(read[1]) <= 200, "{read:?}");
        drop(t.peers);
        t.server.drain(Duration::ZERO, SECOND).await;
    });
}

/// One that was promised its share and does not come for it keeps nobody
/// waiting, and what it did not take is not lost.
#[test]
fn who_sleeps_holds_nobody_up() {
    testing::run(async {
        let first = std::sync::atomic::AtomicBool::new(true);
        let sleeper = Arc::new(first);
        let handler = move |mut conn: Connection| {
            let sleeps = sleeper.swap(false, std::sync::atomic::Ordering::Relaxed);
            async move {
                if sleeps {
                    let mut whole = [0; 1000];
                    conn.read_exact(&mut whole).await?;
                    let more = timeout(Duration::from_millis(1), conn.read(&mut whole)).await;
                    assert!(more.is_err(), "it has booked a share, and waits");
                    sleep(Duration::from_secs(60)).await;
                    return Ok(());
                }
                swallow(conn).await
            }
        };
        let all = Throttle::in_all().read(1000);
        let mut t = throttled(vec![all], &[A, B], handler).await;
        for peer in &mut t.peers {
            peer.write_all(&[b'x'; 100_000]).await.unwrap();
        }
        sleep(TEN_SECONDS).await;
        let read: Vec<u64> = t.server.connections().iter().map(|c| c.read).collect();
        assert_eq!(read, [1000, 9900]);
        drop(t);
    });
}

/// Idle connections hold nothing of a shared bucket.
#[test]
fn who_has_nothing_to_read_takes_nothing() {
    testing::run(async {
        let all = Throttle::in_all().read(1000);
        let mut t = throttled(vec![all], &[A, A, A, A, B], swallow).await;
        sleep(SECOND).await;
        let begun = Instant::now();
        t.peers[4].write_all(&[b'x'; 3000]).await.unwrap();
        t.peers[4].shutdown().await.unwrap();
        t.server.until_connections(|open| open == 4).await;
        // A second's worth was there; and the end is found with the next share.
        assert_eq!(begun.elapsed(), 2 * SECOND + SECOND / 10);
        drop(t);
    });
}
