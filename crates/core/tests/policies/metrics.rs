//! What servers show of themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    Connection, Factory, Metrics, Peer, Schemes, Server, each, factory, metrics::Exposition,
    testing,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Echo, listen, lives};

/// The value of a sample, by how its line begins.
fn value(metrics: &Metrics, sample: &str) -> f64 {
    let page = metrics.render(Exposition::Prometheus);
    let mut found = page.lines().filter_map(|line| line.strip_prefix(sample));
    let value = found
        .next()
        .unwrap_or_else(|| panic!("no {sample} in\n{page}"));
    assert_eq!(found.next(), None, "{sample} is there twice");
    value.trim().parse().unwrap()
}

const MINE: &str = r#"{service="echo",endpoint="mem:metrics"}"#;

fn with(label: &str, is: &str) -> String {
    format!(r#"{{service="echo",endpoint="mem:metrics",{label}="{is}"}}"#)
}

async fn echo(schemes: &Schemes, metrics: &Metrics) -> Server {
    listen("mem:metrics", each::<Echo>(), |o| {
        o.schemes = schemes.clone();
        o.metrics = Some(metrics.clone());
        o.service = "echo".into();
    })
    .await
}

async fn connect(schemes: &Schemes) -> Connection {
    schemes
        .connect(&"mem:metrics".parse().unwrap())
        .await
        .unwrap()
}

#[test]
fn sums_of_the_open_and_the_closed() {
    testing::run(async {
        let (schemes, metrics) = (Schemes::new(), Metrics::new());
        let server = echo(&schemes, &metrics).await;
        let get = |name: &str| value(&metrics, &format!("{name}{MINE}"));
        assert_eq!(get("ropewalk_connections"), 0.0);
        let mut stays = connect(&schemes).await;
        stays.write_all(b"hello").await.unwrap();
        stays.read_exact(&mut [0; 5]).await.unwrap();
        let mut goes = connect(&schemes).await;
        assert!(lives(&mut goes).await);
        assert_eq!(get("ropewalk_connections"), 2.0);
        assert_eq!(
            get("ropewalk_received_bytes_total"),
            6.0,
            "of the open ones"
        );
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(goes);
        server.until_connections(|open| open == 1).await;
        assert_eq!(get("ropewalk_connections"), 1.0);
        assert_eq!(get("ropewalk_received_bytes_total"), 6.0, "of both");
        assert_eq!(get("ropewalk_sent_bytes_total"), 6.0);
        assert_eq!(get("ropewalk_connections_accepted_total"), 2.0);
        let peer = with("reason", "peer");
        assert_eq!(
            value(
                &metrics,
                &format!("ropewalk_connections_closed_total{peer}")
            ),
            1.0
        );
        for (bound, within) in [("1.0", 0.0), ("10.0", 1.0), ("+Inf", 1.0)] {
            let bucket = format!(
                "ropewalk_connection_duration_seconds_bucket{}",
                with("le", bound)
            );
            assert_eq!(value(&metrics, &bucket), within, "{bound}");
        }
        let lasted = get("ropewalk_connection_duration_seconds_sum");
        assert!((5.0..5.1).contains(&lasted), "{lasted}");

        // Another server of the same name goes on counting where this one ended.
        drop(server);
        while get("ropewalk_connections") > 0.0 {
            tokio::task::yield_now().await;
        }
        let aborted = with("reason", "aborted");
        assert_eq!(
            value(
                &metrics,
                &format!("ropewalk_connections_closed_total{aborted}")
            ),
            1.0
        );
        let server = echo(&schemes, &metrics).await;
        let mut again = connect(&schemes).await;
        assert!(lives(&mut again).await);
        assert_eq!(get("ropewalk_connections_accepted_total"), 3.0);
        assert_eq!(get("ropewalk_received_bytes_total"), 7.0);
        drop((server, stays, again));
    });
}

/// Declines all but every second.
struct Picky(std::sync::atomic::AtomicUsize);

impl Factory for Picky {
    type Protocol = Echo;
    fn build(&self, _: &Peer) -> Option<Echo> {
        let number = self.0.fetch_add(1, Relaxed);
        number.is_multiple_of(2).then_some(Echo)
    }
}

#[test]
fn reasons_are_told_apart() {
    testing::run(async {
        let (schemes, metrics) = (Schemes::new(), Metrics::new());
        let server = listen("mem:metrics", factory(Picky(0.into())), |o| {
            o.schemes = schemes.clone();
            o.metrics = Some(metrics.clone());
            o.service = "echo".into();
            o.limits.idle = Some(Duration::from_secs(7));
        });
        let server = server.await;
        let reason = |family: &str, why: &str| {
            let labels = with("reason", why);
            value(
                &metrics,
                &format!("ropewalk_connections_{family}_total{labels}"),
            )
        };
        let mut silent = connect(&schemes).await;
        let mut declined = connect(&schemes).await;
        assert_eq!(declined.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(reason("refused", "declined"), 1.0);
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        assert_eq!(reason("closed", "idle"), 1.0);
        let killed = connect(&schemes).await;
        while server.connections().is_empty() {
            tokio::task::yield_now().await;
        }
        server.kill(server.connections()[0].id);
        server.until_connections(|open| open == 0).await;
        assert_eq!(reason("closed", "aborted"), 1.0);
        assert_eq!(reason("closed", "declined"), 1.0);
        drop(killed);
    });
}

/// What a handler ends with is a reason too.
#[test]
fn handlers_have_reasons() {
    testing::run(async {
        let (schemes, metrics) = (Schemes::new(), Metrics::new());
        let handler = async |mut conn: Connection| match conn.read_u8().await? {
            b'f' => Err("failed".into()),
            b'w' => {
                conn.read_u8().await?;
                Ok(())
            }
            _ => Ok(()),
        };
        let server = listen("mem:metrics", handler, |o| {
            o.schemes = schemes.clone();
            o.metrics = Some(metrics.clone());
            o.service = "echo".into();
            o.limits.idle = Some(Duration::from_secs(7));
        });
        let server = server.await;
        for said in [&b"o"[..], b"f", b"w", b""] {
            let mut peer = connect(&schemes).await;
            peer.write_all(said).await.unwrap();
            if said.is_empty() {
                peer.shutdown().await.unwrap();
            }
            assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
        for (why, times) in [
            ("local", 1.0),
            ("failed", 1.0),
            ("idle", 1.0),
            ("truncated", 1.0),
        ] {
            let labels = with("reason", why);
            let sample = format!("ropewalk_connections_closed_total{labels}");
            assert_eq!(value(&metrics, &sample), times, "{why}");
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn handshakes_are_counted() {
    use ropewalk_core::{
        Throttle,
        tls::{ServerName, TestCa},
    };
    use std::sync::Arc;
    testing::run(async {
        let (schemes, metrics) = (Schemes::new(), Metrics::new());
        let ca = TestCa::new().unwrap();
        let own = ca.server(&["localhost"]).unwrap();
        let server = listen("mem:metrics", each::<Echo>(), |o| {
            o.schemes = schemes.clone();
            o.metrics = Some(metrics.clone());
            o.service = "echo".into();
            o.layers.push(Arc::new(own));
            o.layers.push(Arc::new(Throttle::new().read(1_000_000)));
        });
        let server = server.await;
        let client = ca.client().unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let conn = connect(&schemes).await;
        let mut tls = conn.wrap(|s| client.connect(s, name)).await.unwrap();
        assert!(lives(&mut tls).await);
        let mut silent = connect(&schemes).await;
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        let result = |how: &str| {
            let labels = with("result", how);
            value(&metrics, &format!("ropewalk_handshakes_total{labels}"))
        };
        assert_eq!((result("ok"), result("timed_out")), (1.0, 1.0));
        let labels = with("reason", "handshake");
        let closed = format!("ropewalk_connections_closed_total{labels}");
        assert_eq!(value(&metrics, &closed), 1.0);
        drop((server, tls));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_shows_itself() {
    let metrics = Metrics::new();
    let value = |name| value(&metrics, &format!("process_{name} "));
    assert!(value("open_fds") >= 3.0);
    assert!(value("max_fds") >= value("open_fds"));
    assert!(value("resident_memory_bytes") > 100_000.0);
    assert!(value("cpu_seconds_total") >= 0.0);
    let began = value("start_time_seconds");
    let now = std::time::SystemTime::now();
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    // The clock may have been set since.
    assert!(now - began < 1e7, "{began}");
}

#[test]
fn what_is_known_elsewhere_is_asked_for_at_each_look() {
    let metrics = Metrics::new();
    let count = Arc::new(AtomicU64::new(1));
    let of = |count: &Arc<AtomicU64>, times| {
        let count = count.clone();
        move || count.load(Relaxed) * times
    };
    let labels = [("queue", "in")];
    metrics.counter_asked("seen_total", "Seen.", &labels, of(&count, 1));
    metrics.gauge_asked("depth", "Depth.", &[], || -3);
    assert_eq!(value(&metrics, "seen_total{queue=\"in\"}"), 1.0);
    assert_eq!(value(&metrics, "depth"), -3.0);
    count.store(5, Relaxed);
    assert_eq!(value(&metrics, "seen_total{queue=\"in\"}"), 5.0);
    // Whoever comes next is asked in its place.
    metrics.counter_asked("seen_total", "Seen.", &labels, of(&count, 2));
    assert_eq!(value(&metrics, "seen_total{queue=\"in\"}"), 10.0);
    let page = metrics.render(Exposition::Prometheus);
    assert_eq!(page.matches("\nseen_total{").count(), 1);
}

#[test]
fn counts_of_a_program_of_its_own() {
    static BOUNDS: [f64; 2] = [0.5, 2.0];
    let metrics = Metrics::new();
    let one = metrics.counter("mails_total", "Mails.", &[("way", "in")]);
    let same = metrics.counter("mails", "Mails.", &[("way", "in")]);
    let other = metrics.counter("mails", "Mails.", &[("way", "out")]);
    one.increment();
    same.add(2);
    other.increment();
    metrics.gauge("queue", "Waiting.", &[]).set(-3);
    let wait = metrics.histogram("wait", "Waited.", &[], &BOUNDS);
    for seconds in [0.5, 1.0, 3.0, f64::NAN] {
        wait.observe(seconds);
    }
    assert_eq!(value(&metrics, "mails_total{way=\"in\"}"), 3.0);
    assert_eq!(value(&metrics, "mails_total{way=\"out\"}"), 1.0);
    assert_eq!(value(&metrics, "queue "), -3.0);
    assert_eq!(value(&metrics, "wait_bucket{le=\"2.0\"}"), 2.0);
    assert_eq!(value(&metrics, "wait_sum "), 4.5);
    assert_eq!(value(&metrics, "wait_count "), 3.0);
    let page = metrics.render(Exposition::OpenMetrics);
    assert!(page.ends_with("# EOF\n"), "{page}");
    let wrong = std::panic::catch_unwind(|| metrics.gauge("mails", "", &[]));
    assert!(wrong.is_err(), "it is a counter");
}

#[test]
fn datagrams_are_counted() {
    use ropewalk_core::{
        ClientEndpoint, DatagramOptions, DatagramProtocol, DatagramTransport, Datagrams, Result,
        ServerEndpoint,
    };
    use tokio::sync::mpsc;

    /// Echoes, or says what came.
    struct Ends(Option<mpsc::UnboundedSender<usize>>);
    impl DatagramProtocol for Ends {
        type Message = ();
        type Timer = ();
        fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
            if self.0.is_some() {
                t.send_to_peer("hello");
            }
            Ok(())
        }
        fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (data, from) in batch {
                match &self.0 {
                    Some(heard) => heard.send(data.len())?,
                    None => t.send(data, from),
                }
            }
            Ok(())
        }
    }

    testing::run(async {
        let metrics = Metrics::new();
        let schemes = Schemes::new();
        let mut options = DatagramOptions::from(schemes.clone());
        options.metrics = Some(metrics.clone());
        options.service = "dns".into();
        let endpoint: ServerEndpoint = "mem:dns".parse().unwrap();
        let server = endpoint
            .listen_datagrams_with(Ends(None), options)
            .await
            .unwrap();
        let (heard, mut hears) = mpsc::unbounded_channel();
        let to: ClientEndpoint = "mem:dns".parse().unwrap();
        let client = to
            .start_datagrams_with(Ends(Some(heard)), schemes)
            .await
            .unwrap();
        assert_eq!(hears.recv().await, Some(5));
        let labels = r#"{service="dns",endpoint="mem:dns"}"#;
        let get = |name: &str| value(&metrics, &format!("ropewalk_{name}_total{labels}"));
        for _ in 0..2 {
            assert_eq!(get("datagrams_received"), 1.0);
            assert_eq!(get("datagram_sent_bytes"), 5.0);
            let reason = r#"{service="dns",endpoint="mem:dns",reason="dropped"}"#;
            let lost = value(&metrics, &format!("ropewalk_datagrams_lost_total{reason}"));
            assert_eq!(lost, 0.0);
        }
        server.drain(Duration::from_secs(1)).await;
        client.drain(Duration::from_secs(1)).await;
        assert_eq!(get("datagrams_received"), 1.0, "also when it has gone");
    });
}
