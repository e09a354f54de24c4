//! Every way in which a connection ends: what is called before, and that
//! `closed` is called once, last, and with the reason.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]
#![allow(clippy::unit_arg, reason = "what a callback does fits one expression")]

use std::{
    future::pending,
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use ropewalk_core::{
    Address, Bytes, Client, Closed, ConnectOptions, Connection, Factory, Input, Limits, Peer,
    Protocol, Result, Schemes, Server, ServerOptions, Stream, Transport, factory, testing,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::{Instant, sleep},
};

type Way = fn(&mut Transport<Recorder>) -> Result;
type Log = Arc<Mutex<Vec<String>>>;
type Act = Arc<dyn Fn(&str, &mut Transport<Recorder>) -> Result + Send + Sync>;

/// Writes down what is called, and does then what the test wants.
struct Recorder {
    log: Log,
    act: Act,
    panics_at_the_end: bool,
}

impl Recorder {
    fn new(
        log: &Log,
        act: impl Fn(&str, &mut Transport<Self>) -> Result + Send + Sync + 'static,
    ) -> Self {
        Self {
            log: log.clone(),
            act: Arc::new(act),
            panics_at_the_end: false,
        }
    }

    fn note(&self, callback: &str, t: &mut Transport<Self>) -> Result {
        self.log.lock().unwrap().push(callback.to_owned());
        (self.act)(callback, t)
    }
}

impl Protocol for Recorder {
    type Message = &'static str;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        self.note("connected", t)
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        self.note("received", t)
    }
    fn message(&mut self, t: &mut Transport<Self>, _: &'static str) -> Result {
        self.note("message", t)
    }
    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        self.note("timeout", t)
    }
    fn writable(&mut self, t: &mut Transport<Self>) -> Result {
        self.note("writable", t)
    }
    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        self.note("upgraded", t)
    }
    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        self.note("half_closed", t)
    }
    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        self.note("draining", t)
    }
    fn closed(&mut self, why: Closed) {
        self.log.lock().unwrap().push(format!("[{why}]"));
        assert!(!self.panics_at_the_end, "closed panics");
    }
}

struct One(Mutex<Option<Recorder>>);

impl Factory for One {
    type Protocol = Recorder;
    fn build(&self, _: &Peer) -> Option<Recorder> {
        self.0.lock().unwrap().take()
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

async fn listen(
    recorder: Option<Recorder>,
    options: impl Into<ServerOptions>,
) -> (Server, Connection) {
    let mut options = options.into();
    options.schemes = Schemes::new();
    let schemes = options.schemes.clone();
    let handler = factory(One(Mutex::new(recorder)));
    let server = "mem:x".parse::<ropewalk_core::ServerEndpoint>().unwrap();
    let server = server.listen_with(handler, options).await.unwrap();
    let peer = schemes.connect(&"mem:x".parse().unwrap()).await.unwrap();
    while server.counts().accepted == 0 {
        tokio::task::yield_now().await;
    }
    (server, peer)
}

/// Serves one connection, lets the peer do its part, waits for the end, and
/// compares the callbacks.
#[track_caller]
fn check(
    options: impl Into<ServerOptions>,
    act: impl Fn(&str, &mut Transport<Recorder>) -> Result + Send + Sync + 'static,
    peer: impl AsyncFnOnce(&mut Server, &mut Connection),
    expected: &str,
) {
    let log = Log::default();
    let recorder = Recorder::new(&log, act);
    testing::run(async {
        let (mut server, mut connection) = listen(Some(recorder), options).await;
        peer(&mut server, &mut connection).await;
        server.until_connections(|open| open == 0).await;
    });
    assert_log(&log, expected);
}

#[track_caller]
fn assert_log(log: &Log, expected: &str) {
    let log = log.lock().unwrap().join(" ");
    assert_eq!(log, expected);
    assert_eq!(log.matches('[').count(), 1, "once: {log}");
    assert!(log.ends_with(']'), "last: {log}");
}

fn idle(_: &str, _: &mut Transport<Recorder>) -> Result {
    Ok(())
}

/// Does `what` in that callback.
fn at(
    callback: &'static str,
    what: impl Fn(&mut Transport<Recorder>) -> Result + Send + Sync + 'static,
) -> impl Fn(&str, &mut Transport<Recorder>) -> Result + Send + Sync {
    move |called, t| if called == callback { what(t) } else { Ok(()) }
}

async fn nothing(_: &mut Server, _: &mut Connection) {}

async fn hello(_: &mut Server, c: &mut Connection) {
    c.write_all(b"hello").await.unwrap();
    let _ = c.read_to_end(&mut Vec::new()).await;
}

async fn hello_and_end(server: &mut Server, c: &mut Connection) {
    c.write_all(b"hello").await.unwrap();
    c.shutdown().await.unwrap();
    hello_end(server, c).await;
}

async fn hello_end(_: &mut Server, c: &mut Connection) {
    let _ = c.read_to_end(&mut Vec::new()).await;
}

#[test]
fn the_peer_ends() {
    let close = at("half_closed", |t| Ok(t.close()));
    check(
        Limits::default(),
        close,
        hello_and_end,
        "connected received half_closed [closed by the peer]",
    );
}

#[test]
fn we_close() {
    check(
        Limits::default(),
        at("received", |t| Ok(t.close())),
        hello,
        "connected received [closed]",
    );
    check(
        Limits::default(),
        at("connected", |t| Ok(t.close())),
        hello_end,
        "connected [closed]",
    );
}

/// The ways to end it from within a callback, each tried in each callback.
#[test]
fn every_callback_may_end_it() {
    const ALL: [&str; 8] = [
        "connected",
        "writable",
        "message",
        "upgraded",
        "timeout",
        "received",
        "half_closed",
        "draining",
    ];
    let ways: [(&str, Way); 6] = [
        ("[failed: no]", |_| Err("no".into())),
        ("[failed: no]", |t| {
            t.abort();
            Err("no".into())
        }),
        ("[failed: no]", |t| {
            t.close();
            Err("no".into())
        }),
        ("[aborted]", |_| panic!("on purpose")),
        ("[aborted]", |t| Ok(t.abort())),
        ("[closed]", |t| Ok(t.close())),
    ];
    for (index, last) in ALL.into_iter().enumerate() {
        for (mut why, way) in ways {
            if why == "[closed]" && index >= 6 {
                why = "[closed by the peer]";
            }
            let act = move |called: &str, t: &mut Transport<Recorder>| {
                match called {
                    _ if called == last => return way(t),
                    "connected" => {
                        t.write(Bytes::from(vec![0; 100_000]));
                        t.set_timer((), Duration::from_secs(1));
                    }
                    "writable" => t.defer(async { "deferred" }),
                    "message" => t.upgrade(async |stream| Ok(stream)),
                    _ => {}
                }
                Ok(())
            };
            let peer = async |server: &mut Server, c: &mut Connection| {
                let (mut read, mut write) = tokio::io::split(c);
                let reads = async { drop(read.read_to_end(&mut Vec::new()).await) };
                let writes = async {
                    sleep(Duration::from_secs(2)).await;
                    let _ = write.write_all(b"x").await;
                    sleep(Duration::from_secs(2)).await;
                    let _ = write.shutdown().await;
                    sleep(Duration::from_secs(2)).await;
                    // A drain takes the server; another stands in for it.
                    let ended = std::mem::replace(server, listen(None, Limits::default()).await.0);
                    ended.drain(Duration::from_secs(60), Duration::ZERO).await;
                };
                tokio::join!(reads, writes);
            };
            let expected = ALL[..=index].join(" ") + " " + why;
            check(Limits::default(), act, peer, &expected);
        }
    }
}

#[test]
fn a_second_panic_is_no_worse() {
    let log = Log::default();
    let mut recorder = Recorder::new(&log, |_, _| panic!("on purpose"));
    recorder.panics_at_the_end = true;
    testing::run(async {
        let (server, mut peer) = listen(Some(recorder), Limits::default()).await;
        assert_eq!(peer.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        server.until_connections(|open| open == 0).await;
    });
    assert_log(&log, "connected [aborted]");
}

#[test]
fn a_panic_in_closed_ends_the_connection_too() {
    let log = Log::default();
    let mut recorder = Recorder::new(&log, at("connected", |t| Ok(t.close())));
    recorder.panics_at_the_end = true;
    testing::run(async {
        let (server, peer) = listen(Some(recorder), Limits::default()).await;
        drop(peer);
        server.until_connections(|open| open == 0).await;
    });
    assert_log(&log, "connected [closed]");
}

/// A stream that ends in its own way: at the first read, or at a write.
struct Broken(io::ErrorKind, bool);

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.1 {
            true => Poll::Pending,
            false => Poll::Ready(Err(self.0.into())),
        }
    }
}

impl AsyncWrite for Broken {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(self.0.into()))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Err(self.0.into()))
    }
}

#[test]
fn the_stream_fails() {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, Other, UnexpectedEof, WriteZero};
    let write: Way = |t| Ok(t.write("x"));
    let fail: Way = |t| {
        t.write("x");
        Err("first".into())
    };
    let rest: Way = |_| Ok(());
    let close: Way = |t| Ok(t.close());
    for (kind, at_write, act, expected) in [
        (
            ConnectionReset,
            false,
            rest,
            "connected [reset by the peer]",
        ),
        (BrokenPipe, true, write, "connected [reset by the peer]"),
        (Other, false, rest, "connected [failed: other error]"),
        (WriteZero, true, write, "connected [failed: write zero]"),
        // A shutdown that fails is a peer that is gone, and no failure now.
        (ConnectionReset, false, close, "connected [closed]"),
        (BrokenPipe, true, fail, "connected [failed: first]"),
        (
            UnexpectedEof,
            false,
            rest,
            "connected half_closed [cut off without a TLS close_notify]",
        ),
    ] {
        let log = Log::default();
        let recorder = Recorder::new(&log, move |called, t| match called {
            "connected" => act(t),
            _ => Ok(t.close()),
        });
        let here = Address::Memory("here".into());
        testing::run(async {
            let stream = Stream::new(Broken(kind, at_write));
            let connection = Connection::new(stream, Peer::new(here.clone()), here);
            connection.run(recorder).await
        });
        assert_log(&log, expected);
    }
}

#[cfg(feature = "tls")]
#[test]
fn tls_ends_with_and_without_a_word() {
    use ropewalk_core::tls::{ServerName, TestCa};
    let ca = TestCa::new().unwrap();
    for (polite, expected) in [
        (true, "connected received half_closed [closed by the peer]"),
        (
            false,
            "connected received half_closed [cut off without a TLS close_notify]",
        ),
    ] {
        let mut options = ServerOptions::default();
        options
            .layers
            .push(Arc::new(ca.server(&["x.test"]).unwrap()));
        let client = ca.client().unwrap();
        let peer = async move |_: &mut Server, c: &mut Connection| {
            let here = Address::Memory("gone".into());
            let gone = Connection::new(
                Stream::new(tokio::io::empty()),
                Peer::new(here.clone()),
                here,
            );
            let plain = std::mem::replace(c, gone);
            let name = ServerName::try_from("x.test").unwrap();
            let mut tls = plain.wrap(|s| client.connect(s, name)).await.unwrap();
            hello_once(&mut tls).await;
            if polite {
                tls.shutdown().await.unwrap();
            }
        };
        let act = |called: &str, t: &mut Transport<Recorder>| match called {
            "half_closed" => Ok(t.close()),
            _ => answer(called, t),
        };
        check(options, act, peer, expected);
    }
}

/// How long it takes matters here, and that it does end.
#[track_caller]
fn check_time(
    options: Limits,
    act: impl Fn(&str, &mut Transport<Recorder>) -> Result + Send + Sync + 'static,
    seconds: u64,
    expected: &str,
) {
    let took = Arc::new(Mutex::new(Duration::ZERO));
    let peer = async |server: &mut Server, _: &mut Connection| {
        let begun = Instant::now();
        server.until_connections(|open| open == 0).await;
        *took.lock().unwrap() = begun.elapsed();
    };
    check(options, act, peer, expected);
    assert_eq!(took.lock().unwrap().as_millis(), u128::from(seconds) * 1000);
}

#[test]
fn deadlines() {
    let default = Limits::default;
    check_time(
        limits(|l| l.idle = Some(Duration::from_secs(5))),
        idle,
        5,
        "connected [timed out: nothing came or went]",
    );
    let upgrade = at("connected", |t| Ok(t.upgrade(async |_| pending().await)));
    check_time(
        default(),
        upgrade,
        10,
        "connected [timed out: the handshake did not end]",
    );
    let goodbye = at("connected", |t| {
        t.write(Bytes::from(vec![0; 1_000_000]));
        Ok(t.close())
    });
    check_time(
        default(),
        goodbye,
        10,
        "connected [timed out: the peer did not read what was left to say]",
    );
    let failure = at("connected", |t| {
        t.write(Bytes::from(vec![0; 1_000_000]));
        Err("first".into())
    });
    check_time(default(), failure, 10, "connected [failed: first]");
    // The peer keeps its side open and says nothing: we linger.
    check_time(
        default(),
        at("connected", |t| Ok(t.close())),
        2,
        "connected [closed]",
    );
}

#[test]
fn killed_by_its_number() {
    let kill = async |server: &mut Server, c: &mut Connection| {
        hello_once(c).await;
        let id = server.connections()[0].id;
        assert!(server.kill(id));
        assert_eq!(c.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(!server.kill(id), "it is gone");
    };
    check(
        Limits::default(),
        at("received", |t| Ok(t.write("."))),
        kill,
        "connected received [aborted]",
    );
}

/// Something goes there and back, so that the server's side is under way.
async fn hello_once(c: &mut Connection) {
    c.write_all(b"x").await.unwrap();
    c.read_exact(&mut [0; 1]).await.unwrap();
}

fn answer(called: &str, t: &mut Transport<Recorder>) -> Result {
    if called == "received" {
        t.write(".");
    }
    Ok(())
}

#[test]
fn a_drain_cuts_who_will_not_go() {
    let log = Log::default();
    testing::run(async {
        let (server, mut peer) = listen(Some(Recorder::new(&log, answer)), Limits::default()).await;
        hello_once(&mut peer).await;
        let begun = Instant::now();
        let left = server
            .drain(Duration::from_secs(1), Duration::from_secs(2))
            .await;
        assert_eq!((left.cut, begun.elapsed().as_secs()), (1, 3));
    });
    assert_log(&log, "connected received draining [aborted]");
}

#[test]
fn a_young_connection_is_drained_within_a_second() {
    let log = Log::default();
    testing::run(async {
        let (server, _peer) = listen(
            Some(Recorder::new(&log, at("draining", |t| Ok(t.close())))),
            Limits::default(),
        )
        .await;
        tokio::task::yield_now().await;
        let begun = Instant::now();
        let left = server
            .drain(Duration::from_secs(9), Duration::from_secs(9))
            .await;
        assert_eq!(left.cut, 0);
        // The second, and the short linger of a drain.
        assert_eq!(begun.elapsed().as_millis(), 1200);
    });
    assert_log(&log, "connected draining [closed]");
}

#[test]
fn drained_during_an_upgrade_and_while_paused() {
    for paused in [false, true] {
        let log = Log::default();
        let act = move |called: &str, t: &mut Transport<Recorder>| {
            match called {
                "received" if paused => t.pause(),
                "received" => t.upgrade(async |stream| {
                    sleep(Duration::from_secs(3)).await;
                    Ok(stream)
                }),
                "draining" => t.close(),
                _ => {}
            }
            Ok(())
        };
        testing::run(async {
            let (server, mut peer) =
                listen(Some(Recorder::new(&log, act)), Limits::default()).await;
            peer.write_all(b"x").await.unwrap();
            sleep(Duration::from_secs(1)).await;
            let left = server.drain(Duration::from_secs(9), Duration::ZERO).await;
            assert_eq!(left.cut, 0);
        });
        let upgraded = if paused { "" } else { "upgraded " };
        assert_log(
            &log,
            &format!("connected received {upgraded}draining [closed]"),
        );
    }
}

#[test]
fn the_server_is_dropped() {
    let log = Log::default();
    testing::run(async {
        let (server, mut peer) = listen(Some(Recorder::new(&log, answer)), Limits::default()).await;
        hello_once(&mut peer).await;
        drop(server);
        assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
    });
    assert_log(&log, "connected received [aborted]");
}

#[test]
fn the_runtime_is_shut_down() {
    let log = Log::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kept = runtime.block_on(async {
        let (server, mut peer) = listen(Some(Recorder::new(&log, answer)), Limits::default()).await;
        hello_once(&mut peer).await;
        (server, peer)
    });
    drop(runtime);
    assert_log(&log, "connected received [aborted]");
    drop(kept);
}

#[test]
fn the_last_client_is_dropped() {
    let log = Log::default();
    let over = testing::run(async {
        let schemes = Schemes::new();
        let mut options = ServerOptions::from(schemes.clone());
        options.limits = Limits::default();
        let server = "mem:x".parse::<ropewalk_core::ServerEndpoint>().unwrap();
        let handler = async |mut c: Connection| {
            c.write_all(b"hi").await?;
            c.read_to_end(&mut Vec::new()).await?;
            Ok(())
        };
        let _server = server.listen_with(handler, options).await.unwrap();
        let mut options = ConnectOptions::default();
        options.schemes = schemes;
        let endpoint: ropewalk_core::ClientEndpoint = "mem:x".parse().unwrap();
        let connection = endpoint.connect_with(&options).await.unwrap();
        let client = Client::start(
            connection,
            Recorder::new(&log, at("draining", |t| Ok(t.close()))),
        );
        let other = client.clone();
        drop(client);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            *log.lock().unwrap(),
            ["connected", "received"],
            "one is left"
        );
        let closed = tokio::spawn(async move { other.closed().await });
        sleep(Duration::from_secs(1)).await;
        // The one who waits for the end holds it too, until it asks.
        closed.abort();
        sleep(Duration::from_secs(5)).await;
        log.lock().unwrap().join(" ")
    });
    assert_eq!(over, "connected received draining [closed]");
}

#[test]
fn the_factory_declines() {
    testing::run(async {
        let (server, mut peer) = listen(None, Limits::default()).await;
        assert_eq!(peer.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        server.until_connections(|open| open == 0).await;
        assert_eq!(server.counts().accepted, 1);
    });
}

#[test]
fn handed_over_it_lives_on() {
    let log = Log::default();
    let heard = Log::default();
    let ears = heard.clone();
    let act = at("received", move |t| {
        t.write("bye");
        let ears = ears.clone();
        t.hand_over(move |mut c: Connection| {
            let ears = ears.clone();
            async move {
                let mut rest = String::new();
                c.read_to_string(&mut rest).await?;
                ears.lock().unwrap().push(rest);
                Ok(())
            }
        });
        Ok(())
    });
    testing::run(async {
        let (server, mut peer) = listen(Some(Recorder::new(&log, act)), Limits::default()).await;
        peer.write_all(b"first").await.unwrap();
        peer.read_exact(&mut [0; 3]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            log.lock().unwrap().join(" "),
            "connected received [handed over]"
        );
        assert_eq!(server.counts().open, 1, "the handler has it");
        peer.write_all(b"second").await.unwrap();
        peer.shutdown().await.unwrap();
        server.until_connections(|open| open == 0).await;
    });
    assert_log(&log, "connected received [handed over]");
    assert_eq!(*heard.lock().unwrap(), ["second"]);
}

#[test]
fn bodies_that_break_off() {
    let short = at("connected", |t| {
        t.receive_into(10, Vec::new(), |_, _| "received");
        Ok(())
    });
    check(
        Limits::default(),
        short,
        hello_and_end,
        "connected [failed: the stream ended 5 bytes before the end of what was announced]",
    );

    // Ours is sent whole all the same.
    let both = at("connected", |t| {
        let pieces = (0..20).map(|_| Ok(Bytes::from(vec![b'.'; 10_000])));
        t.send_stream(futures_util::stream::iter(pieces), "sent");
        t.write("after");
        t.receive_into(10, Vec::new(), |_, _| "received");
        Ok(())
    });
    let peer = async |_: &mut Server, c: &mut Connection| {
        c.shutdown().await.unwrap();
        let mut all = Vec::new();
        c.read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 200_005);
    };
    check(
        Limits::default(),
        both,
        peer,
        "connected writable writable [failed: the stream ended 10 bytes before the end of what was announced]",
    );

    // One that is announced after the end of the stream will never come.
    let late = at("half_closed", |t| {
        t.receive_into(10, Vec::new(), |_, _| "received");
        Ok(())
    });
    check(
        Limits::default(),
        late,
        hello_and_end,
        "connected received half_closed [failed: the stream ended 10 bytes before the end of what was announced]",
    );

    let broken = at("connected", |t| {
        let pieces = [
            Ok(Bytes::from_static(b"one")),
            Err(io::Error::other("disk")),
        ];
        t.send_stream(futures_util::stream::iter(pieces), "sent");
        t.write("two");
        Ok(())
    });
    let peer = async |_: &mut Server, c: &mut Connection| {
        let mut all = String::new();
        c.read_to_string(&mut all).await.unwrap();
        assert_eq!(
            all, "one",
            "what stands behind the body is not sent in its place"
        );
    };
    check(Limits::default(), broken, peer, "connected [failed: disk]");

    let forever = at("connected", |t| {
        let pieces = std::iter::repeat_with(|| Err(io::Error::other("disk")));
        t.send_stream(futures_util::stream::iter(pieces), "sent");
        Ok(())
    });
    check(
        Limits::default(),
        forever,
        nothing,
        "connected [failed: disk]",
    );
}

#[test]
fn rules_that_are_broken() {
    let upgrade = |called: &str, t: &mut Transport<Recorder>| {
        if called == "connected" {
            t.pause();
            t.set_timer((), Duration::from_secs(1));
        } else if called == "timeout" {
            t.upgrade(async |_| unreachable!("the peer said something before"));
        }
        Ok(())
    };
    check(
        Limits::default(),
        upgrade,
        hello,
        "connected timeout [failed: 5 bytes came before the stream was upgraded]",
    );
}

#[test]
fn who_waits_for_connections_hears_of_new_ones() {
    testing::run(async {
        let schemes = Schemes::new();
        let log = Log::default();
        let handler = factory(One(Mutex::new(Some(Recorder::new(&log, idle)))));
        let server = "mem:x".parse::<ropewalk_core::ServerEndpoint>().unwrap();
        let server = server.listen_with(handler, schemes.clone()).await.unwrap();
        let connect = async {
            // The wait below has begun.
            tokio::task::yield_now().await;
            schemes.connect(&"mem:x".parse().unwrap()).await.unwrap()
        };
        let opened = server.until_connections(|open| open == 1);
        let ((), peer) = tokio::join!(biased; opened, connect);
        drop(peer);
        server.until_connections(|open| open == 0).await;
        drop(server);
    });
}
