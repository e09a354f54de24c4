//! The end of a server: signals, drains, and connections that are open then.

use std::{
    collections::BTreeSet,
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::mpsc::{Sender, channel},
    thread,
};

use crate::common::{Answer, PATIENCE, Running, connect, exchange, expect_end};

#[test]
fn a_signal_ends_open_connections_and_the_status_is_0() {
    for signal in ["TERM", "INT"] {
        let arguments = [
            "echo", "--listen", "tcp:0", "--listen", "tcp:0", "--listen", "udp:0",
        ];
        let echo = Running::start(&arguments, 3);
        let mut open = Vec::new();
        for (_, endpoint) in &echo.listening[..2] {
            let mut spoken = connect(endpoint["tcp:".len()..].parse().unwrap());
            exchange(&mut spoken, "hello");
            open.push(spoken);
        }
        // One that never said a word ends as well.
        open.push(connect(echo.address("echo", "tcp")));
        echo.signal(signal);
        for stream in &mut open {
            expect_end(stream);
        }
        drop(open);
        let (status, _, log) = echo.ended();
        assert_eq!(status, Some(0), "{log}");
        assert!(log.contains("drained served=3"), "{log}");
    }
}

#[test]
fn the_lab_ends_well_with_connections_open() {
    let lab = Running::start(&["lab", "--any-port"], 9);
    let mut echo = connect(lab.address("echo", "tcp"));
    exchange(&mut echo, "hello");
    // Kept alive, as browsers do.
    let mut web = connect(lab.address("web", "tcp"));
    web.write_all(b"GET /counter HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n1") {
        let mut some = [0; 512];
        let n = web.read(&mut some).unwrap();
        assert!(n > 0);
        answer.extend(&some[..n]);
    }
    // Not one byte.
    let mut silent = connect(lab.address("web", "tcp"));
    lab.signal("INT");
    for stream in [&mut echo, &mut web, &mut silent] {
        expect_end(stream);
    }
    let (status, _, log) = lab.ended();
    assert_eq!(status, Some(0), "{log}");
}

/// A forward with a connection through it, to an echo.
fn forwarded(drain: &str) -> (Running, Running, TcpStream) {
    let echo = Running::start(&["echo", "--listen", "tcp:0"], 1);
    let to = echo.endpoint("echo", "tcp").to_owned();
    let arguments = [
        "forward", "--listen", "tcp:0", "--to", &to, "--drain", drain,
    ];
    let forward = Running::start(&arguments, 1);
    let mut through = connect(forward.address("forward", "tcp"));
    exchange(&mut through, "hello");
    (echo, forward, through)
}

#[test]
fn transfers_go_on_in_a_drain() {
    let (_echo, mut forward, mut through) = forwarded("600");
    forward.signal("TERM");
    forward.logged("draining");
    exchange(&mut through, "still here");
    drop(through);
    let (status, _, log) = forward.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("drained served=1"), "{log}");
}

#[test]
fn what_is_open_at_the_end_of_a_drain_is_cut_and_the_status_is_0() {
    let (_echo, forward, mut through) = forwarded("0.2");
    forward.signal("TERM");
    let (status, _, log) = forward.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("cut=1"), "{log}");
    assert!(matches!(through.read(&mut [0; 8]), Ok(0) | Err(_)));
}

#[test]
fn a_second_signal_cuts_and_the_status_is_1() {
    for (first, second) in [("TERM", "TERM"), ("INT", "INT"), ("TERM", "INT")] {
        let (_echo, mut forward, mut through) = forwarded("600");
        forward.signal(first);
        forward.logged("draining");
        forward.signal(second);
        let (status, _, log) = forward.ended();
        assert_eq!(status, Some(1), "{log}");
        assert!(log.contains("interrupted"), "{log}");
        assert!(matches!(through.read(&mut [0; 8]), Ok(0) | Err(_)));
    }
}

/// What one connection came to.
enum Outcome<T> {
    Answered(T),
    /// It was made, and ended before the first byte of an answer: the kernel had made it, and the
    /// listener was closed before the server took it.
    Unanswered,
    /// There was nobody to connect to.
    Refused,
}

/// Connects, asks, shuts our side and reads to the end; what came is for `check`, which panics if
/// that is not a whole answer.
fn ask<T>(to: SocketAddr, request: &[u8], check: impl Fn(Vec<u8>) -> T) -> Outcome<T> {
    let Ok(mut stream) = TcpStream::connect(to) else {
        return Outcome::Refused;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    let asked = stream
        .write_all(request)
        .and_then(|()| read_answer(&mut stream, &mut answer));
    match asked {
        Ok(()) => Outcome::Answered(check(answer)),
        Err(error) if answer.is_empty() => {
            assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "nobody answered");
            Outcome::Unanswered
        }
        Err(error) => panic!("half an answer ({} bytes): {error}", answer.len()),
    }
}

/// Ends the request, and reads to the end of the answer; none at all is an error.
fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(answer)?;
    match answer.is_empty() {
        true => Err(io::ErrorKind::UnexpectedEof.into()),
        false => Ok(()),
    }
}

/// Clients that ask again and again, each time by a new connection, until there is nobody to
/// connect to; the signal comes in the middle. Returns all answers.
fn under_load<T: Send + 'static>(
    server: &Running,
    to: SocketAddr,
    request: &'static [u8],
    check: fn(Vec<u8>) -> T,
) -> Vec<T> {
    const CLIENTS: usize = 8;
    const BEFORE: usize = 200;
    let client = move |answers: Sender<T>| {
        loop {
            match ask(to, request, check) {
                Outcome::Answered(answer) => answers.send(answer).unwrap(),
                Outcome::Unanswered => {}
                Outcome::Refused => break,
            }
        }
    };
    let (sender, answers) = channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let sender = sender.clone();
            thread::spawn(move || client(sender))
        })
        .collect();
    drop(sender);
    let mut all = Vec::new();
    while all.len() < BEFORE {
        all.push(answers.recv_timeout(PATIENCE).unwrap());
    }
    server.signal("TERM");
    all.extend(answers.iter());
    for client in clients {
        client.join().unwrap();
    }
    all
}

/// Every connection that the server took was answered whole: as many answers as it counted.
#[test]
fn a_drain_under_load_loses_no_accepted_connection() {
    let echo = Running::start(&["echo", "--listen", "tcp:0"], 1);
    static REQUEST: &[u8] = b"a request\n";
    let to = echo.address("echo", "tcp");
    let answers = under_load(&echo, to, REQUEST, |answer| assert_eq!(answer, REQUEST));
    let (status, _, log) = echo.ended();
    assert_eq!(status, Some(0), "{log}");
    let served = format!("drained served={}", answers.len());
    assert!(log.contains(&served), "{served}: {log}");
}

/// Every visit that was counted was told: the numbers have no gap.
#[test]
fn a_drain_under_load_loses_no_request_of_http() {
    let lab = Running::start(&["lab", "--any-port", "--only", "web"], 2);
    static REQUEST: &[u8] = b"GET /counter HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let to = lab.address("web", "tcp");
    let answers = under_load(&lab, to, REQUEST, |answer| {
        let answer = Answer::parse(answer);
        assert_eq!(answer.status, 200);
        answer.body.parse::<usize>().unwrap()
    });
    let (status, _, log) = lab.ended();
    assert_eq!(status, Some(0), "{log}");
    let count = answers.len();
    let numbers = BTreeSet::from_iter(answers);
    assert_eq!(numbers, BTreeSet::from_iter(1..=count));
    assert!(log.contains(&format!("drained served={count}")), "{log}");
}
