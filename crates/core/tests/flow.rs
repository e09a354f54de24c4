//! Back-pressure: whoever is slow waits alone, and nothing grows meanwhile.
//!
//! Memory is counted by the allocator of this binary, so that its tests take
//! turns.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use ropewalk_core::{
    Bytes, Closed, Connection, Handle, Input, Limits, Protocol, Result, Schemes, Server,
    ServerEndpoint, ServerOptions, Transport, each, protocol, testing,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::yield_now,
    time::{Sleep, sleep, timeout},
};

const MIB: usize = 1024 * 1024;

/// What may be held for one connection, both ways, with its peer.
const BUFFERS: usize = 1_000_000;

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; it only counts"
)]
// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        MOST.fetch_max(held, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test at a time, since they share an allocator.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How much more is held at the most meanwhile than before.
async fn most(what: impl Future<Output = ()>) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    what.await;
    MOST.load(Relaxed) - before
}

fn a_lot() -> usize {
    match std::env::var_os("ROPEWALK_DEEP") {
        Some(_) => 1024 * MIB,
        None => 64 * MIB,
    }
}

async fn listen(
    endpoint: &str,
    handler: impl ropewalk_core::Handler,
    change: impl FnOnce(&mut Limits),
) -> (Server, Schemes) {
    let mut options = ServerOptions::from(Schemes::new());
    change(&mut options.limits);
    let schemes = options.schemes.clone();
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    let server = endpoint.listen_with(handler, options).await.unwrap();
    (server, schemes)
}

async fn dial(server: &Server, schemes: &Schemes) -> Connection {
    let endpoint = server.local_endpoint().parse().unwrap();
    schemes.connect(&endpoint).await.unwrap()
}

/// In virtual time over memory, and by the wall clock over loopback.
fn over_both<F: Future<Output = ()>>(test: impl Fn(&'static str) -> F) {
    let _alone = alone();
    testing::run(test("mem:flow"));
    testing::run_in_real_time(test("tcp:0"));
}

async fn read_slowly(mut from: impl AsyncRead + Unpin, octets: usize) {
    let mut buffer = [0; 4096];
    let mut got = 0;
    while got < octets {
        let n = from.read(&mut buffer).await.unwrap();
        assert!(n > 0, "ended after {got} bytes");
        got += n;
        yield_now().await;
    }
}

async fn write_all(mut to: impl AsyncWrite + Unpin, octets: usize) {
    let piece = [b'x'; 16 * 1024];
    for _ in 0..octets / piece.len() {
        to.write_all(&piece).await.unwrap();
    }
    to.flush().await.unwrap();
}

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

#[test]
fn a_lot_is_echoed_in_constant_memory() {
    over_both(async |endpoint| {
        let (server, schemes) = listen(endpoint, each::<Echo>(), |_| {}).await;
        let (read, write) = tokio::io::split(dial(&server, &schemes).await);
        let held = most(async {
            let writes = tokio::spawn(write_all(write, a_lot()));
            read_slowly(read, a_lot()).await;
            writes.await.unwrap();
        });
        let held = held.await;
        assert!(held < BUFFERS, "{held} bytes were held");
    });
}

/// Sends a body of `octets`, and takes one, at the same time.
struct Bodies {
    octets: usize,
    done: u8,
}

enum Moved {
    Sent,
    Taken(io::Result<()>),
}

impl Protocol for Bodies {
    type Message = Moved;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let piece = Bytes::from_static(&[b'y'; 16 * 1024]);
        let pieces = (0..self.octets / piece.len()).map(move |_| Ok(piece.clone()));
        t.send_stream(futures_util::stream::iter(pieces), Moved::Sent);
        t.receive_into(self.octets as u64, tokio::io::sink(), |_, result| {
            Moved::Taken(result)
        });
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
        unreachable!("the body takes all")
    }
    fn message(&mut self, t: &mut Transport<Self>, moved: Moved) -> Result {
        if let Moved::Taken(result) = moved {
            result?;
        }
        self.done += 1;
        if self.done == 2 {
            t.close();
        }
        Ok(())
    }
}

#[test]
fn bodies_go_both_ways_in_constant_memory() {
    over_both(async |endpoint| {
        let octets = a_lot();
        let make = protocol(move |_| Bodies { octets, done: 0 });
        let (server, schemes) = listen(endpoint, make, |_| {}).await;
        let (mut read, write) = tokio::io::split(dial(&server, &schemes).await);
        let held = most(async {
            let writes = tokio::spawn(write_all(write, octets));
            read_slowly(&mut read, octets).await;
            writes.await.unwrap();
        });
        let held = held.await;
        assert!(held < BUFFERS, "{held} bytes were held");
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

/// Sends without end, until it is told that it is enough.
#[derive(Default)]
struct Endless {
    enough: Arc<AtomicBool>,
}

impl Protocol for Endless {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let enough = self.enough.clone();
        let piece = Bytes::from_static(&[b'z'; 7000]);
        let next = move |_: &mut Context<'_>| {
            Poll::Ready((!enough.load(Relaxed)).then(|| Ok(piece.clone())))
        };
        t.send_stream(futures_util::stream::poll_fn(next), ());
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        self.enough.store(true, Relaxed);
        t.close();
        Ok(())
    }
}

#[test]
fn a_peer_that_reads_without_end_is_heard_all_the_same() {
    over_both(async |endpoint| {
        let (server, schemes) = listen(endpoint, each::<Endless>(), |_| {}).await;
        let mut conn = dial(&server, &schemes).await;
        conn.write_all(b"enough").await.unwrap();
        // Never so much that it catches up with the sender.
        let mut piece = [0; 1000];
        let mut read = 0;
        loop {
            match conn.read(&mut piece).await.unwrap() {
                0 => break,
                n => read += n,
            }
            assert!(read < 64 * MIB, "it was not heard");
            yield_now().await;
        }
    });
}

/// Answers each line with a thousand bytes.
#[derive(Default)]
struct Talker;

impl Protocol for Talker {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        while t.is_writable()
            && let Some(_) = data.line(100)?
        {
            t.write([b'.'; 1000]);
        }
        Ok(())
    }
}

#[test]
fn a_peer_that_never_reads_stalls_itself_alone() {
    let _alone = alone();
    testing::run(async {
        let (server, schemes) = listen("mem:flow", each::<Talker>(), |_| {}).await;
        let mut deaf = dial(&server, &schemes).await;
        let asks = async {
            // A hundred megabytes of answers, had it its way.
            let piece = b"x\n".repeat(1000);
            timeout(Duration::from_secs(1), async {
                for _ in 0..100 {
                    deaf.write_all(&piece).await.unwrap();
                }
            })
            .await
            .unwrap_err();
        };
        let held = most(asks).await;
        assert!(held < BUFFERS, "{held} bytes were held");
        let mut other = dial(&server, &schemes).await;
        other.write_all(b"x\n").await.unwrap();
        other.read_exact(&mut [0; 1000]).await.unwrap();
        assert_eq!(server.counts().open, 2);
    });
}

/// Takes 50,000 bytes, then needs a millisecond, and may break.
struct Slow {
    taken: Vec<u8>,
    room: usize,
    breaks_at: usize,
    rest: Option<Pin<Box<Sleep>>>,
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.taken.len() >= self.breaks_at {
            return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
        }
        if self.room == 0 {
            let rest = self
                .rest
                .get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(1))));
            std::task::ready!(rest.as_mut().poll(cx));
            (self.rest, self.room) = (None, 50_000);
        }
        let n = data.len().min(self.room);
        self.room -= n;
        self.taken.extend_from_slice(&data[..n]);
        Poll::Ready(Ok(n))
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

struct Upload {
    octets: u64,
    breaks_at: usize,
}

impl Protocol for Upload {
    type Message = (Slow, io::Result<()>);
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let sink = Slow {
            taken: Vec::new(),
            room: 50_000,
            breaks_at: self.breaks_at,
            rest: None,
        };
        t.receive_into(self.octets, sink, |sink, result| (sink, result));
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, (sink, result): Self::Message) -> Result {
        assert!(sink.taken.iter().all(|b| *b == b'x'));
        t.write(format_args!("{} {}\n", sink.taken.len(), result.is_ok()));
        Ok(())
    }
}

#[test]
fn a_sink_sets_the_pace_and_may_fail() {
    let _alone = alone();
    for (breaks_at, expected) in [
        (usize::MAX, "999424 true\nQUIT"),
        (100_000, "100000 false\nQUIT"),
    ] {
        testing::run(async {
            let octets = 999_424;
            let make = protocol(move |_| Upload { octets, breaks_at });
            let (server, schemes) = listen("mem:flow", make, |_| {}).await;
            let mut peer = dial(&server, &schemes).await;
            // Bursts that fill what is read ahead while the sink rests; nobody
            // else would wake the connection then.
            let sends = timeout(Duration::from_secs(60), async {
                for burst in 0..61 {
                    write_all(&mut peer, 16 * 1024).await;
                    if burst % 7 == 0 {
                        sleep(Duration::from_millis(burst)).await;
                    }
                }
                peer.write_all(b"QUIT").await.unwrap();
            });
            sends.await.expect("the connection sleeps");
            let mut answer = vec![0; expected.len()];
            let answered = timeout(Duration::from_secs(60), peer.read_exact(&mut answer));
            answered.await.expect("the connection sleeps").unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), expected);
        });
    }
}

/// Takes nothing, and tells how it ended.
struct Mute(Option<oneshot::Sender<Closed>>, bool);

impl Protocol for Mute {
    type Message = Bytes;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        if self.1 {
            t.pause();
        }
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, data: Bytes) -> Result {
        t.write(data);
        Ok(())
    }
    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        assert!(!t.is_paused(), "it is told when it goes on");
        t.close();
        Ok(())
    }
    fn closed(&mut self, why: Closed) {
        if let Some(told) = self.0.take() {
            let _ = told.send(why);
        }
    }
}

fn mute(paused: bool) -> (impl ropewalk_core::Handler, oneshot::Receiver<Closed>) {
    let (told, closed) = oneshot::channel();
    let told = Mutex::new(Some(told));
    let make = protocol(move |_| Mute(told.lock().unwrap().take(), paused));
    (make, closed)
}

#[test]
fn what_stays_unread_is_bounded() {
    let _alone = alone();
    testing::run(async {
        let (make, closed) = mute(false);
        let (server, schemes) = listen("mem:flow", make, |l| l.unread = 10_000).await;
        let mut peer = dial(&server, &schemes).await;
        peer.write_all(&[b'x'; 9_999]).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(server.counts().open, 1, "one byte less than the limit");
        peer.write_all(b"x").await.unwrap();
        let Ok(Closed::Failed(error)) = closed.await else {
            panic!("it failed")
        };
        assert_eq!(
            error.to_string(),
            "10000 bytes are unread, and that is the limit"
        );
    });
}

#[test]
fn paused_it_reads_little_and_still_sees_the_peer_go() {
    let _alone = alone();
    testing::run_in_real_time(async {
        let (make, closed) = mute(true);
        let (server, schemes) = listen("tcp:0", make, |_| {}).await;
        let address = server.local_address().inet().unwrap();
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(&[b'x'; 10_000]).await.unwrap();
        while server.connections().first().is_none_or(|c| c.read < 10_000) {
            yield_now().await;
        }
        socket2::SockRef::from(&peer)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(peer);
        assert!(matches!(closed.await, Ok(Closed::Reset)));
        drop(schemes);
    });
    testing::run(async {
        let (make, _closed) = mute(true);
        let (server, schemes) = listen("mem:flow", make, |_| {}).await;
        let mut peer = dial(&server, &schemes).await;
        let endless = async {
            loop {
                write_all(&mut peer, 16 * 1024).await;
            }
        };
        let _: Result<(), _> = timeout(Duration::from_secs(9), endless).await;
        let read = server.connections()[0].read;
        assert!(read < 100_000, "{read} bytes were read while paused");
    });
}

#[test]
fn a_full_inbox_holds_senders_back() {
    struct Writer(Arc<Mutex<Option<Handle<Bytes>>>>);
    impl Protocol for Writer {
        type Message = Bytes;
        type Timer = ();
        fn connected(&mut self, t: &mut Transport<Self>) -> Result {
            *self.0.lock().unwrap() = Some(t.handle());
            Ok(())
        }
        fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
            data.take_all();
            Ok(())
        }
        fn message(&mut self, t: &mut Transport<Self>, data: Bytes) -> Result {
            t.write(data);
            Ok(())
        }
    }
    let _alone = alone();
    testing::run(async {
        let slot = Arc::new(Mutex::new(None));
        let shared = slot.clone();
        let make = protocol(move |_| Writer(shared.clone()));
        let (server, schemes) = listen("mem:flow", make, |l| l.inbox = 5).await;
        let mut peer = dial(&server, &schemes).await;
        sleep(Duration::from_secs(1)).await;
        let handle: Handle<Bytes> = slot.lock().unwrap().clone().unwrap();
        let message = Bytes::from(vec![b'm'; 50_000]);
        let mut sent = 0;
        let send = async |sent: &mut usize| {
            while timeout(Duration::from_secs(1), handle.send(message.clone()))
                .await
                .is_ok()
            {
                *sent += 1;
            }
        };
        send(&mut sent).await;
        // Until the high mark is passed, which the peer's 64 KiB put off; then
        // what the inbox holds.
        assert!((7..=9).contains(&sent), "{sent} were taken");
        assert!(handle.try_send(message.clone()).is_err());
        for _ in 0..sent {
            peer.read_exact(&mut vec![0; 50_000]).await.unwrap();
        }
        assert!(handle.try_send(message.clone()).is_ok(), "it goes on");
        peer.read_exact(&mut vec![0; 50_000]).await.unwrap();
        drop(server);
        sleep(Duration::from_secs(1)).await;
        assert!(handle.is_closed());
        assert_eq!(handle.send(message.clone()).await, Err(message.clone()));
    });
}

/// Says a word at the first line, and closes.
#[derive(Default)]
struct Curt;

impl Protocol for Curt {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take(1);
        t.write("no\n");
        t.close();
        Ok(())
    }
}

#[test]
fn the_last_answer_is_not_lost_to_a_reset() {
    let _alone = alone();
    testing::run_in_real_time(async {
        let (server, _) = listen("tcp:0", each::<Curt>(), |_| {}).await;
        let address = server.local_address().inet().unwrap();
        for _ in 0..20 {
            let mut peer = TcpStream::connect(address).await.unwrap();
            // It says more than anybody reads, and listens only then.
            for _ in 0..20 {
                peer.write_all(&[b'x'; 10_000]).await.unwrap();
                yield_now().await;
            }
            let mut answer = String::new();
            peer.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, "no\n");
        }
    });
}

/// Writes and streams in turns.
#[derive(Default)]
struct Mixed;

impl Protocol for Mixed {
    type Message = u8;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("a");
        for n in 0..3 {
            let body = vec![Ok(Bytes::from(vec![b'0' + n; 70_000]))];
            t.send_stream(futures_util::stream::iter(body), n);
            t.write(format_args!("b{n}"));
            t.write(Bytes::from(vec![b'B'; 5000]));
        }
        t.write("c");
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
        Ok(())
    }
    fn message(&mut self, t: &mut Transport<Self>, n: u8) -> Result {
        t.write(format_args!("m{n}"));
        if n == 2 {
            t.close();
        }
        Ok(())
    }
}

#[test]
fn what_is_written_behind_a_body_stays_behind_it() {
    over_both(async |endpoint| {
        let (server, schemes) = listen(endpoint, each::<Mixed>(), |_| {}).await;
        let mut peer = dial(&server, &schemes).await;
        let mut all = String::new();
        peer.read_to_string(&mut all).await.unwrap();
        let runs: Vec<String> = all
            .as_bytes()
            .chunk_by(|a, b| a == b)
            .map(|run| format!("{}{}", char::from(run[0]), run.len()))
            .collect();
        // `m0` and `m1` come when their bodies end, behind what was there then.
        assert_eq!(
            runs.join(" "),
            "a1 070000 b1 01 B5000 170000 b1 11 B5000 270000 b1 21 B5000 c1 m1 01 m1 11 m1 21"
        );
    });
}

/// Sends a megabyte at once, and closes if it is told to.
struct Big(bool);

impl Protocol for Big {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(Bytes::from(vec![b'.'; MIB]));
        if self.0 {
            t.close();
        }
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
        Ok(())
    }
}

/// A peer that takes its time is not taken for one that is gone: neither by the
/// idle deadline nor by that of a close.
#[test]
fn a_slow_peer_gets_all() {
    let _alone = alone();
    for closes in [false, true] {
        testing::run(async {
            let idle = |l: &mut Limits| l.idle = Some(Duration::from_secs(10));
            let (server, schemes) = listen("mem:flow", protocol(move |_| Big(closes)), idle).await;
            let mut peer = dial(&server, &schemes).await;
            let mut buffer = vec![0; 16 * 1024];
            for _ in 0..MIB / buffer.len() {
                peer.read_exact(&mut buffer).await.unwrap();
                sleep(Duration::from_secs(2)).await;
            }
            assert_eq!(peer.read(&mut buffer).await.unwrap(), 0);
        });
    }
}

/// One that takes a byte now and then is: what is left at a close must leave at
/// some rate.
#[test]
fn a_peer_that_takes_single_bytes_does_not_hold_a_close() {
    let _alone = alone();
    testing::run(async {
        let (server, schemes) = listen("mem:flow", protocol(|_| Big(true)), |_| {}).await;
        let mut peer = dial(&server, &schemes).await;
        let mut byte = [0];
        let mut seconds = 0;
        while !server.connections().is_empty() || seconds == 0 {
            peer.read_exact(&mut byte).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            seconds += 1;
            assert!(seconds < 60, "it is still there after a minute");
        }
    });
}
