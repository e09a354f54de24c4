//! What a server allows and for how long: limits, deadlines, throttle, and
//! peers that are silent, noisy or too many.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

mod flood;
#[path = "../common/log.rs"]
mod log;
#[cfg(feature = "run")]
mod logs;
mod metrics;
mod shards;
mod shared;
mod throttle;
mod traffic;

use std::{
    io::{Read, Seek},
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    Accepted, Address, Bound, Closed, Handler, Input, ListenError, Listener, Peer, Protocol,
    Result, Scheme, Schemes, Server, ServerEndpoint, ServerOptions, Throttle, Transport, each,
    endpoint::Description, protocol, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};

#[derive(Default)]
struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

async fn listen(
    endpoint: &str,
    handler: impl Handler,
    change: impl FnOnce(&mut ServerOptions),
) -> Server {
    let mut options = ServerOptions::from(Schemes::new());
    change(&mut options);
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    endpoint.listen_with(handler, options).await.unwrap()
}

/// One round of echo; false if the connection is closed instead.
async fn lives(peer: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> bool {
    if peer.write_all(b"x").await.is_err() {
        return false;
    }
    matches!(peer.read(&mut [0; 1]).await, Ok(1))
}

/// Counts its seconds by a timer of its own, and says how many there were.
struct Clockwork {
    seconds: u32,
    ended: Arc<Mutex<Option<(u32, Closed)>>>,
}

impl Protocol for Clockwork {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.set_timer((), Duration::from_secs(1));
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        self.seconds += 1;
        t.set_timer((), Duration::from_secs(1));
        Ok(())
    }
    fn closed(&mut self, why: Closed) {
        *self.ended.lock().unwrap() = Some((self.seconds, why));
    }
}

#[test]
fn idle_time_and_a_protocol_of_its_own_timers() {
    for throttled in [false, true] {
        let ended = Arc::new(Mutex::new(None));
        testing::run(async {
            let schemes = Schemes::new();
            let shared = ended.clone();
            let make = protocol(move |_| Clockwork {
                seconds: 0,
                ended: shared.clone(),
            });
            let server = listen("mem:policies", make, |o| {
                o.schemes = schemes.clone();
                o.limits.idle = Some(Duration::from_secs(10));
                if throttled {
                    o.layers
                        .push(Arc::new(Throttle::new().read(1000).write(1000)));
                }
            });
            let server = server.await;
            let endpoint = "mem:policies".parse().unwrap();
            let mut peer = schemes.connect(&endpoint).await.unwrap();
            let begun = Instant::now();
            // A second's worth is there at once; the rest comes at the rate,
            // and its timers tick meanwhile.
            let (mut read, mut write) = tokio::io::split(&mut peer);
            let sends = async { write.write_all(&[b'x'; 5000]).await.unwrap() };
            let mut heard = vec![0; 5000];
            let hears = async { read.read_exact(&mut heard).await.unwrap() };
            tokio::join!(sends, hears);
            let expected = if throttled { 4 } else { 0 };
            assert_eq!(begun.elapsed().as_secs(), expected);
            // Ticking is no traffic.
            server.until_connections(|open| open == 0).await;
            let idle = begun.elapsed().as_secs_f64() - f64::from(u8::try_from(expected).unwrap());
            assert!((9.9..10.5).contains(&idle), "{idle}");
        });
        let (seconds, why) = ended.lock().unwrap().take().unwrap();
        assert_eq!(why.to_string(), "timed out: nothing came or went");
        assert!(seconds >= if throttled { 13 } else { 9 }, "{seconds}");
    }
}

/// Connections from wherever the test says.
struct Nowhere(Mutex<Option<mpsc::UnboundedReceiver<(DuplexStream, Address)>>>);

struct FromNowhere(mpsc::UnboundedReceiver<(DuplexStream, Address)>);

impl Scheme for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }
    fn listen<'a>(
        &'a self,
        _: &'a Description,
        _: &'a Schemes,
    ) -> ropewalk_core::BoxFuture<'a, Result<Bound, ListenError>> {
        let listener = FromNowhere(self.0.lock().unwrap().take().expect("once"));
        Box::pin(async move { Ok(Bound::new(listener)) })
    }
}

impl Listener for FromNowhere {
    fn poll_accept(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Accepted>>> {
        self.0.poll_recv(cx).map(|next| {
            next.map(|(stream, from)| Ok(Accepted::new(stream, Peer::new(from.clone()), from)))
        })
    }
    fn local(&self) -> Address {
        Address::Other("nowhere".into())
    }
}

#[test]
fn one_network_has_its_share() {
    for (exempt, from, served) in [
        (true, &["198.51.100.1:1"; 4][..], 2),
        (
            true,
            &["198.51.100.1:1", "198.51.100.2:1", "198.51.100.1:2"],
            3,
        ),
        // A household has a /64.
        (
            true,
            &[
                "[2001:db8::1]:1",
                "[2001:db8::2]:1",
                "[2001:db8::ffff:0:0:1]:1",
            ],
            2,
        ),
        (
            true,
            &[
                "[2001:db8::1]:1",
                "[2001:db8:0:1::1]:1",
                "[2001:db8:0:2::1]:1",
            ],
            3,
        ),
        (true, &["127.0.0.1:1"; 4], 4),
        (true, &["[::1]:1"; 4], 4),
        (false, &["127.0.0.1:1"; 4], 2),
        (false, &["[::1]:1"; 4], 2),
        // The same peer, whichever socket it came to.
        (
            true,
            &[
                "198.51.100.1:1",
                "[::ffff:198.51.100.1]:1",
                "198.51.100.1:1",
            ],
            2,
        ),
    ] {
        testing::run(async {
            let (arrive, arrivals) = mpsc::unbounded_channel();
            let schemes = Schemes::new().add(Nowhere(Mutex::new(Some(arrivals))));
            let server = listen("nowhere:", each::<Echo>(), |o| {
                o.schemes = schemes;
                o.limits.per_peer = 2;
                o.limits.loopback_exempt = exempt;
            });
            let server = server.await;
            let mut peers = Vec::new();
            for address in from {
                let (near, far) = duplex(1000);
                let address: std::net::SocketAddr = address.parse().unwrap();
                arrive.send((far, address.into())).unwrap();
                peers.push(near);
            }
            let mut alive = Vec::new();
            for mut peer in peers {
                if lives(&mut peer).await {
                    alive.push(peer);
                }
            }
            assert_eq!(alive.len(), served, "{from:?}");
            let counts = server.counts();
            assert_eq!(counts.refused, (from.len() - served) as u64);
            // Who has gone makes room.
            drop(alive.pop());
            server.until_connections(|open| open < served).await;
            let (mut near, far) = duplex(1000);
            let last: std::net::SocketAddr = from.last().unwrap().parse().unwrap();
            arrive.send((far, last.into())).unwrap();
            assert!(lives(&mut near).await);
        });
    }
}

#[test]
fn one_too_many_waits_for_its_turn() {
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run_in_real_time(async {
            let server = listen("tcp:0", each::<Echo>(), |o| o.limits.connections = 2).await;
            let address = server.local_address().inet().unwrap();
            let mut first = TcpStream::connect(address).await.unwrap();
            let mut second = TcpStream::connect(address).await.unwrap();
            assert!(lives(&mut first).await && lives(&mut second).await);
            let mut third = TcpStream::connect(address).await.unwrap();
            third.write_all(b"x").await.unwrap();
            for _ in 0..10 {
                assert!(lives(&mut first).await);
            }
            assert_eq!(server.counts().accepted, 2);
            drop(second);
            assert_eq!(third.read(&mut [0; 1]).await.unwrap(), 1);
        });
    });
    assert_eq!(
        said.matches("as many connections as allowed").count(),
        1,
        "{said}"
    );
}

#[test]
fn silent_peers_are_given_up() {
    testing::run(async {
        let schemes = Schemes::new();
        let server = listen("mem:policies", each::<Echo>(), |o| {
            o.schemes = schemes.clone()
        })
        .await;
        let endpoint = "mem:policies".parse().unwrap();
        let mut silent = schemes.connect(&endpoint).await.unwrap();
        let begun = Instant::now();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(begun.elapsed(), Duration::from_secs(3600), "by default");
        assert_eq!(server.counts().open, 0);
    });
}

/// Says how long each line is, and of each that is too long that it was.
#[derive(Default)]
struct Measure;

impl Protocol for Measure {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(100) {
            match line {
                Ok(line) => t.write(format_args!("{}\n", line.len())),
                Err(error) => t.write(format_args!("{error}\n")),
            }
        }
        Ok(())
    }
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
    testing::run(async {
        let schemes = Schemes::new();
        let server = listen("mem:policies", each::<Measure>(), |o| {
            o.schemes = schemes.clone()
        });
        let _server = server.await;
        let endpoint = "mem:policies".parse().unwrap();
        let mut peer = schemes.connect(&endpoint).await.unwrap();
        peer.write_all(b"abc\r\n").await.unwrap();
        for _ in 0..100 {
            // Ten megabytes: nothing of them is kept.
            peer.write_all(&[b'x'; 100_000]).await.unwrap();
        }
        peer.write_all(b"\r\nabcd\n").await.unwrap();
        peer.shutdown().await.unwrap();
        let mut all = String::new();
        peer.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "3\na line of more than 100 bytes\n4\n");
    });
}

#[cfg(feature = "tls")]
#[test]
fn garbage_at_a_tls_listener_ends_itself_alone() {
    use ropewalk_core::tls::{ServerName, TestCa};
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run_in_real_time(async {
            let ca = TestCa::new().unwrap();
            let own = ca.server(&["localhost"]).unwrap();
            let server = listen("tls:0", each::<Echo>(), |o| o.tls = Some(own)).await;
            let address = server.local_address().inet().unwrap();
            let mut peer = TcpStream::connect(address).await.unwrap();
            peer.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .await
                .unwrap();
            let mut alert = Vec::new();
            let closed = timeout(Duration::from_secs(5), peer.read_to_end(&mut alert));
            let _ = closed.await.expect("closed at once");
            server.until_connections(|open| open == 0).await;
            let plain = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let client = ca.client().unwrap();
            let mut tls = client.connect(plain.into(), name).await.unwrap();
            assert!(lives(&mut tls).await, "the server lives");
        });
    });
    assert_eq!(said.matches("connection failed").count(), 1, "{said}");
}

#[cfg(feature = "tls")]
#[test]
fn a_handshake_has_a_deadline() {
    use ropewalk_core::tls::TestCa;
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run(async {
            let schemes = Schemes::new();
            let own = TestCa::new().unwrap().server(&["localhost"]).unwrap();
            let server = listen("mem:policies", each::<Echo>(), |o| {
                o.schemes = schemes.clone();
                o.layers.push(Arc::new(own));
            });
            let server = server.await;
            let endpoint = "mem:policies".parse().unwrap();
            let mut silent = schemes.connect(&endpoint).await.unwrap();
            let begun = Instant::now();
            assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
            assert_eq!(begun.elapsed(), Duration::from_secs(10));
            assert_eq!(server.counts().open, 0);
        });
    });
    assert!(said.contains("the handshake did not end in time"), "{said}");
}

#[test]
fn a_port_in_use_is_said_to_be() {
    testing::run_in_real_time(async {
        let first = listen("tcp:0", each::<Echo>(), |_| {}).await;
        let endpoint: ServerEndpoint = first.local_endpoint().parse().unwrap();
        let second = endpoint.listen(each::<Echo>()).await;
        assert!(
            matches!(second, Err(ListenError::InUse { .. })),
            "{second:?}"
        );
        let schemes = Schemes::new();
        let _mem = listen("mem:policies", each::<Echo>(), |o| {
            o.schemes = schemes.clone()
        })
        .await;
        let endpoint: ServerEndpoint = "mem:policies".parse().unwrap();
        let again = endpoint
            .listen_with(each::<Echo>(), ServerOptions::from(schemes))
            .await;
        assert!(matches!(again, Err(ListenError::InUse { .. })), "{again:?}");
    });
}

const IN_A_CHILD: &str = "ROPEWALK_FEW_DESCRIPTORS";

/// With no descriptor left a server neither exits nor spins, and serves again
/// when there are some. It runs itself as a child, whose limit is low.
#[test]
fn descriptors_run_out_and_come_back() {
    const NAME: &str = "descriptors_run_out_and_come_back";
    if std::env::var_os(IN_A_CHILD).is_some() {
        let (said, ()) = log::heard(tracing::Level::INFO, without_descriptors);
        assert_eq!(said.matches("cannot accept").count(), 1, "{said}");
        return;
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(IN_A_CHILD, "1")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success() && out.contains("1 passed"),
        "{out}\n{err}"
    );
}

fn without_descriptors() {
    testing::run_in_real_time(async {
        let server = listen("tcp:0", each::<Echo>(), |_| {}).await;
        let address = server.local_address().inet().unwrap();
        let mut early = TcpStream::connect(address).await.unwrap();
        assert!(lives(&mut early).await);
        let mut usage = std::fs::File::open("/proc/self/stat").unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            hoard.push(file);
        }
        hoard.pop();
        // The kernel connects it; there is no descriptor to accept it with.
        let mut late = TcpStream::connect(address).await.unwrap();
        late.write_all(b"x").await.unwrap();
        let mut byte = [0; 1];
        let before = ticks(&mut usage);
        let served = timeout(Duration::from_millis(400), late.read(&mut byte));
        served.await.expect_err("nothing to accept it with");
        let spent = ticks(&mut usage) - before;
        assert!(
            spent < 15,
            "{spent} hundredths of a second of CPU: it spins"
        );
        assert!(lives(&mut early).await, "who is there is served");
        drop(hoard);
        let served = timeout(Duration::from_secs(5), late.read(&mut byte));
        assert_eq!(served.await.expect("served again").unwrap(), 1);
    });
}

/// The CPU time of this process, in the system's ticks of 10 ms.
fn ticks(stat: &mut std::fs::File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let (_, fields) = text.rsplit_once(')').unwrap();
    let fields: Vec<&str> = fields.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
