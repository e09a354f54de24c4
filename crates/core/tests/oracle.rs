//! The bench against the engine: whatever comes when, `Rig` and the driver
//! call the same callbacks in the same order and send the same bytes.
//!
//! A protocol that uses all that a transport offers is driven by random
//! schedules of segments, messages and time. A failure prints the smallest
//! schedule that shows it; `ROPEWALK_DEEP` in the environment tries more.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use proptest::prelude::*;
use ropewalk_core::{
    Bytes, Closed, Connection, Handle, Input, Limits, Payload, Peer, Protocol, Result, Schemes,
    ServerEndpoint, ServerOptions, Transport, protocol,
    testing::{self, Rig},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    task::yield_now,
    time::sleep,
};

type Log = Arc<Mutex<String>>;

/// Does what its lines say, one line a call.
struct Everything {
    log: Log,
    /// None where nobody sends it messages: the engine then knows that only
    /// input and timers can call it, and spares itself some of its turns.
    handle: Option<Arc<Mutex<Option<Handle<Message>>>>>,
    /// Deferred work waits for it.
    gate: Option<oneshot::Sender<()>>,
    /// A body was sent: how often the low mark is reached depends then on how
    /// much the stream takes at a time.
    streamed: bool,
    stays_half_open: bool,
    fails_when_told: bool,
    /// It writes though it has finished its side.
    forgets: bool,
}

#[derive(Debug, Clone)]
enum Message {
    Say(u8),
    Open,
    Close,
    Done(&'static str),
    Body(Vec<u8>, bool),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Timer {
    Tick,
    Resume,
    Fail,
}

impl Everything {
    fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            handle: None,
            gate: None,
            streamed: false,
            stays_half_open: false,
            fails_when_told: false,
            forgets: false,
        }
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        writeln!(self.log.lock().unwrap(), "{what}").unwrap();
    }

    fn say(&self, t: &mut Transport<Self>, what: impl Payload) {
        if self.forgets || !t.is_finished() {
            t.write(what);
        }
    }

    fn obey(&mut self, t: &mut Transport<Self>, line: &str) -> Result {
        let (verb, number) = line.split_once(' ').unwrap_or((line, ""));
        let n: usize = number.parse().unwrap_or(1);
        match verb {
            "echo" => self.say(t, format_args!("{line}\n")),
            "big" => self.say(t, Bytes::from(vec![b'b'; n * 1000])),
            "defer" => {
                t.pause();
                t.defer(async { Message::Done("deferred") });
            }
            "gate" => {
                t.pause();
                let (gate, opened) = oneshot::channel();
                self.gate = Some(gate);
                t.defer(async move {
                    let _ = opened.await;
                    Message::Done("opened")
                });
            }
            "tick" => t.set_timer(Timer::Tick, Duration::from_millis(n as u64)),
            "untick" => t.cancel_timer(Timer::Tick),
            "explode" => t.set_timer(Timer::Fail, Duration::from_millis(n as u64)),
            "pause" => {
                t.pause();
                t.set_timer(Timer::Resume, Duration::from_millis(n as u64));
            }
            "stream" if t.is_finished() && !self.forgets => {}
            "stream" => {
                self.streamed = true;
                let pieces = (0..n).map(|i| Ok(Bytes::from(vec![b"0123456789"[i % 10]; 7000])));
                t.send_stream(futures_util::stream::iter(pieces), Message::Done("sent"));
                t.write("after\n");
            }
            "take" => t.receive_into(n as u64, Vec::new(), |body, result| {
                Message::Body(body, result.is_ok())
            }),
            "upgrade" => t.upgrade(async |stream| Ok(stream)),
            "hand" => {
                let log = self.log.clone();
                t.hand_over(move |c: Connection| {
                    let (_, rest) = c.into_parts();
                    writeln!(
                        log.lock().unwrap(),
                        "left {:?}",
                        rest.escape_ascii().to_string()
                    )
                    .unwrap();
                    std::future::ready(Ok(()))
                });
            }
            "fin" => t.finish(),
            "forget" => self.forgets = true,
            "half" => self.stays_half_open = true,
            "grim" => self.fails_when_told = true,
            "close" => t.close(),
            "abort" => t.abort(),
            "fail" => return Err("as told".into()),
            _ => return Err(format!("what is {line:?}?").into()),
        }
        Ok(())
    }
}

impl Protocol for Everything {
    type Message = Message;
    type Timer = Timer;

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        self.note(format_args!("connected"));
        if let Some(handle) = &self.handle {
            *handle.lock().unwrap() = Some(t.handle());
        }
        t.write("hello\n");
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let before = data.len();
        match data.line(60) {
            Ok(None) => Ok(()),
            Ok(Some(line)) => {
                let line = String::from_utf8_lossy(line).into_owned();
                self.note(format_args!("received {line}"));
                self.obey(t, &line)
            }
            Err(_) => {
                self.note(format_args!("too long"));
                self.say(t, "too long\n");
                assert!(data.len() < before, "it is gone");
                Ok(())
            }
        }
    }

    fn message(&mut self, t: &mut Transport<Self>, message: Message) -> Result {
        match &message {
            // When a body has left is for the stream to say; its place among
            // other callbacks is no business of this test.
            Message::Done("sent") => return Ok(()),
            Message::Body(body, ok) => self.note(format_args!("body {} {ok}", body.escape_ascii())),
            message => self.note(format_args!("message {message:?}")),
        }
        match message {
            Message::Say(n) => self.say(t, [n]),
            Message::Open => {
                if let Some(gate) = self.gate.take() {
                    let _ = gate.send(());
                }
            }
            Message::Close => t.close(),
            Message::Done(_) => t.resume(),
            Message::Body(..) => self.say(t, "taken\n"),
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, which: Timer) -> Result {
        self.note(format_args!("timeout {which:?}"));
        match which {
            Timer::Tick => self.say(t, "tick\n"),
            Timer::Resume => t.resume(),
            Timer::Fail => return Err("exploded".into()),
        }
        Ok(())
    }

    fn writable(&mut self, t: &mut Transport<Self>) -> Result {
        assert!(t.is_writable());
        if !self.streamed {
            self.note(format_args!("writable"));
        }
        Ok(())
    }

    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        self.note(format_args!("upgraded"));
        self.say(t, "upgraded\n");
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        self.note(format_args!("half_closed"));
        if self.stays_half_open && self.handle.is_some() {
            self.say(t, "go on\n");
        } else {
            t.close();
        }
        Ok(())
    }

    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        self.note(format_args!("draining"));
        if self.fails_when_told {
            return Err("not now".into());
        }
        self.say(t, "bye\n");
        t.close();
        Ok(())
    }

    fn closed(&mut self, why: Closed) {
        self.note(format_args!("closed: {why}"));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Segment(Vec<u8>),
    Say(u8),
    Open,
    Wait(u64),
    Eof,
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    // A rig has no idle deadline.
    limits.idle = None;
    limits.unread = 1000;
    limits
}

/// What a rig makes of a schedule: the bytes sent, and the callbacks.
fn on_a_rig(steps: &[Step], hears: bool, drains: bool) -> (Vec<u8>, String) {
    let log = Log::default();
    // The engine's changes the stream at once.
    let upgrade = |rig: &mut Rig<Everything>| {
        while rig.is_upgrading() {
            rig.upgrade();
        }
    };
    let address = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
    let protocol = Everything {
        handle: hears.then(Arc::default),
        ..Everything::new(&log)
    };
    let mut rig = Rig::with(protocol, Peer::new(address), limits());
    for step in steps {
        match step {
            Step::Segment(bytes) => drop(rig.receive(bytes)),
            Step::Say(n) => drop(rig.message(Message::Say(*n))),
            Step::Open => drop(rig.message(Message::Open)),
            Step::Wait(millis) => {
                for _ in 0..*millis {
                    rig.advance(Duration::from_millis(1));
                    upgrade(&mut rig);
                }
            }
            Step::Eof => drop(rig.eof()),
        }
        upgrade(&mut rig);
    }
    if drains {
        rig.drain();
    }
    if hears {
        rig.message(Message::Close);
    } else {
        rig.eof();
        upgrade(&mut rig);
    }
    for _ in 0..1000 {
        rig.advance(Duration::from_millis(1));
        upgrade(&mut rig);
    }
    if let Some(rest) = rig.handed_over() {
        writeln!(
            log.lock().unwrap(),
            "left {:?}",
            rest.escape_ascii().to_string()
        )
        .unwrap();
    }
    let sent = rig.sent();
    rig.finish();
    let log = std::mem::take(&mut *log.lock().unwrap());
    (sent, log)
}

/// What the engine makes of it, over a `mem:` endpoint in virtual time.
fn on_the_engine(steps: &[Step], hears: bool, drains: bool) -> (Vec<u8>, String) {
    let log = Log::default();
    let out = Arc::new(Mutex::new(Vec::new()));
    testing::run(async {
        let mut options = ServerOptions::from(Schemes::new());
        options.limits = limits();
        let schemes = options.schemes.clone();
        let handle = Arc::new(Mutex::new(None));
        let make = {
            let (log, handle) = (log.clone(), handle.clone());
            protocol(move |_| Everything {
                handle: hears.then(|| handle.clone()),
                ..Everything::new(&log)
            })
        };
        let endpoint: ServerEndpoint = "mem:oracle".parse().unwrap();
        let server = endpoint.listen_with(make, options).await.unwrap();
        let peer = schemes
            .connect(&"mem:oracle".parse().unwrap())
            .await
            .unwrap();
        let (mut read, mut write) = tokio::io::split(peer);
        let heard = out.clone();
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; 10_000];
            while let Ok(n @ 1..) = read.read(&mut buffer).await {
                heard.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        let settle = async || {
            let mut before = (usize::MAX, 0);
            loop {
                let now = (log.lock().unwrap().len(), out.lock().unwrap().len());
                if now == before {
                    break;
                }
                before = now;
                for _ in 0..20 {
                    yield_now().await;
                }
            }
        };
        let tell = |message| {
            let handle = handle.lock().unwrap();
            if let Some(handle) = &*handle {
                let _ = Handle::try_send(handle, message);
            }
        };
        settle().await;
        for step in steps {
            match step {
                Step::Segment(bytes) => drop(write.write_all(bytes).await),
                Step::Say(n) => tell(Message::Say(*n)),
                Step::Open => tell(Message::Open),
                Step::Wait(millis) => sleep(Duration::from_millis(*millis)).await,
                Step::Eof => drop(write.shutdown().await),
            }
            settle().await;
        }
        let minute = Duration::from_secs(60);
        let close = async {
            if drains {
                // One that said nothing yet is told when it is a second old.
                sleep(Duration::from_secs(2)).await;
            }
            settle().await;
            tell(Message::Close);
            if !hears {
                let _ = write.shutdown().await;
            }
            sleep(Duration::from_secs(1)).await;
            drop(write);
            let _ = reader.await;
        };
        if drains {
            let (left, ()) = tokio::join!(server.drain(minute, minute), close);
            assert_eq!(left.cut, 0);
        } else {
            close.await;
            server.until_connections(|open| open == 0).await;
        }
    });
    let log = std::mem::take(&mut *log.lock().unwrap());
    let out = std::mem::take(&mut *out.lock().unwrap());
    (out, log)
}

fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "echo [a-z]{0,9}",
        // Each passes the high mark alone: together with the rest of another it
        // would depend on how much of that had left.
        2 => (66..400_u32).prop_map(|n| format!("big {n}")),
        2 => Just("defer".to_owned()),
        2 => Just("gate".to_owned()),
        2 => (1..50_u32).prop_map(|n| format!("tick {n}")),
        1 => Just("untick".to_owned()),
        2 => (0..50_u32).prop_map(|n| format!("pause {n}")),
        2 => (0..60_u32).prop_map(|n| format!("stream {n}")),
        2 => (0..40_u32).prop_map(|n| format!("take {n}")),
        1 => Just("upgrade".to_owned()),
        1 => Just("half".to_owned()),
        1 => Just("fin".to_owned()),
        1 => Just("forget".to_owned()),
        1 => Just("grim".to_owned()),
        1 => "echo [a-z]{60,90}",
        1 => prop_oneof![
            Just("hand".to_owned()), Just("close".to_owned()), Just("abort".to_owned()),
            Just("fail".to_owned()), Just("explode 5".to_owned()), "echo [a-z]{2000}",
        ],
    ]
}

/// Lines in segments that heed no line's end, and what comes between.
fn schedule(hears: bool) -> impl Strategy<Value = Vec<Step>> {
    let between = prop_oneof![
        1 => Just(None),
        1 => any::<u8>().prop_map(|n| Some(Step::Say(n))),
        1 => Just(Some(Step::Open)),
        2 => (0..40_u64).prop_map(|n| Some(Step::Wait(n))),
    ];
    let lines = prop::collection::vec((line(), any::<bool>()), 0..14);
    let cuts = prop::collection::vec((1..80_usize, between), 0..20);
    (lines, cuts, any::<bool>()).prop_map(move |(lines, cuts, ends)| {
        let mut bytes = Vec::new();
        for (line, cr) in lines {
            if line == "gate" && !hears {
                continue; // nobody could open it
            }
            bytes.extend(line.bytes());
            bytes.extend_from_slice(if cr { b"\r\n" } else { b"\n" });
        }
        let mut steps = Vec::new();
        for (cut, between) in cuts {
            let rest = bytes.split_off(cut.min(bytes.len()));
            let segment = std::mem::replace(&mut bytes, rest);
            if !segment.is_empty() {
                steps.push(Step::Segment(segment));
            }
            let is_message = matches!(between, Some(Step::Say(_) | Step::Open));
            steps.extend(between.filter(|_| hears || !is_message));
        }
        if !bytes.is_empty() {
            steps.push(Step::Segment(bytes));
        }
        if ends {
            steps.extend([Step::Eof, Step::Wait(60)]);
            steps.extend(hears.then_some(Step::Open));
        }
        steps
    })
}

fn config() -> ProptestConfig {
    let cases = if std::env::var_os("ROPEWALK_DEEP").is_some() {
        20_000
    } else {
        300
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn check(steps: &[Step], hears: bool, drains: bool) -> Result<(), TestCaseError> {
    let (rig_sent, rig_log) = on_a_rig(steps, hears, drains);
    let (sent, log) = on_the_engine(steps, hears, drains);
    prop_assert_eq!(&rig_log, &log, "the engine's callbacks stand on the right");
    let aborted = log.contains("closed: aborted");
    // What an abort throws away is a matter of how much had left.
    prop_assert!(
        rig_sent == sent || aborted,
        "rig {} bytes, engine {}",
        rig_sent.len(),
        sent.len()
    );
    let last = log
        .lines()
        .rfind(|l| !l.starts_with("left "))
        .unwrap_or_default();
    prop_assert!(last.starts_with("closed: "), "{}", log);
    prop_assert_eq!(log.matches("closed: ").count(), 1);
    Ok(())
}

/// Whether it makes no difference what else is there when it is obeyed. What
/// comes behind a request for an upgrade is an error, where what comes after it
/// is not; the end of a body, an abort and a hand-over meet what was said by
/// then.
#[expect(clippy::ptr_arg, reason = "a filter of proptest's gets this")]
fn is_alike(line: &String) -> bool {
    !["upgrade", "abort", "hand"].contains(&line.as_str()) && !line.starts_with("stream")
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_rig_and_the_engine_agree(steps in schedule(true), drains in any::<bool>()) {
        check(&steps, true, drains)?;
    }

    #[test]
    fn they_agree_where_nobody_sends_messages(steps in schedule(false), drains in any::<bool>()) {
        check(&steps, false, drains)?;
    }

    #[test]
    fn segments_do_not_matter(lines in prop::collection::vec(line().prop_filter("they do there", is_alike), 0..8)) {
        let bytes = (lines.join("\n") + "\n").into_bytes();
        let whole = on_a_rig(&[Step::Segment(bytes.clone())], true, false);
        let bytewise: Vec<Step> = bytes.iter().map(|b| Step::Segment(vec![*b])).collect();
        // More than a protocol may leave unread is counted when it is there.
        prop_assume!(bytes.len() < 500);
        prop_assert_eq!(&on_a_rig(&bytewise, true, false), &whole);
        for at in 1..bytes.len() {
            let parts = [Step::Segment(bytes[..at].to_vec()), Step::Segment(bytes[at..].to_vec())];
            prop_assert_eq!(&on_a_rig(&parts, true, false), &whole, "split at {}", at);
        }
    }
}
