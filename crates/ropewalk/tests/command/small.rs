//! The small services: what they answer over streams and datagrams.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, UdpSocket},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::common::{PATIENCE, Running, connect, expect_end};

/// A server over TCP and UDP.
fn start(service: &str) -> Running {
    let arguments = [service, "--listen", "tcp:0", "--listen", "udp:0"];
    Running::start(&arguments, 2)
}

/// A socket that is connected to the service.
fn datagrams(server: &Running, service: &str) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server.address(service, "udp")).unwrap();
    socket
}

/// The answer to one datagram.
fn ask(socket: &UdpSocket, question: &[u8]) -> Vec<u8> {
    socket.send(question).unwrap();
    let mut answer = [0; 2048];
    let n = socket.recv(&mut answer).unwrap();
    answer[..n].to_vec()
}

#[test]
fn discard_takes_everything_and_answers_nothing() {
    let server = start("discard");
    let mut stream = connect(server.address("discard", "tcp"));
    for _ in 0..64 {
        stream.write_all(&[b'x'; 64 * 1024]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    expect_end(&mut stream);
    let socket = datagrams(&server, "discard");
    socket.send(b"hello").unwrap();
    // Nothing is refused: the next one goes out as well, and no answer comes before the end.
    socket.send(b"hello").unwrap();
    server.end_well();
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 8]).is_err());
}

#[test]
fn chargen_sends_the_pattern_until_it_is_told_to_end() {
    let server = start("chargen");
    let mut stream = connect(server.address("chargen", "tcp"));
    // What it is sent is thrown away.
    stream.write_all(b"whatever\r\n").unwrap();
    let mut some = vec![0; 74 * 95 * 3];
    stream.read_exact(&mut some).unwrap();
    let text = String::from_utf8(some).unwrap();
    let lines: Vec<_> = text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 95 * 3);
    assert!(lines[0].starts_with(" !\"#$%&'()") && lines[1].starts_with("!\"#$%&'()*"));
    assert!(lines.iter().all(|line| line.len() == 72));
    assert_eq!(lines[..95], lines[95..190]);
    // A half-close ends it, with a whole line.
    stream.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.len().is_multiple_of(74) && (rest.is_empty() || rest.ends_with(b"\r\n")));
    server.end_well();
}

#[test]
fn chargen_waits_for_who_does_not_read_and_drains_all_the_same() {
    let server = start("chargen");
    // This one reads nothing for now; its buffers fill up, and no more.
    let mut idle = connect(server.address("chargen", "tcp"));
    let mut busy = connect(server.address("chargen", "tcp"));
    let mut some = vec![0; 8 * 1024 * 1024];
    busy.read_exact(&mut some).unwrap();
    let rss = format!("/proc/{}/statm", server.id());
    if let Ok(pages) = std::fs::read_to_string(rss) {
        let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        // Pages are 4 KiB where this is asked.
        assert!(resident < 100 * 256, "{pages}");
    }
    server.signal("TERM");
    for stream in [&mut busy, &mut idle] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.ends_with(b"\r\n"));
    }
    let (status, _, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("drained served=2"), "{log}");
}

#[test]
fn chargen_answers_a_datagram_by_no_more_than_it_brought() {
    let server = start("chargen");
    let socket = datagrams(&server, "chargen");
    for (length, expected) in [(0, 0), (1, 1), (100, 100), (512, 512), (1400, 512)] {
        let answer = ask(&socket, &vec![b'?'; length]);
        assert_eq!(answer.len(), expected);
        assert!(b" !\"#$%&'()".starts_with(&answer[..answer.len().min(10)]));
    }
    server.end_well();
}

#[test]
fn daytime_says_the_date_in_a_line_and_ends() {
    let server = start("daytime");
    let mut line = String::new();
    connect(server.address("daytime", "tcp"))
        .read_to_string(&mut line)
        .unwrap();
    let datagram = ask(&datagrams(&server, "daytime"), b"");
    for line in [line, String::from_utf8(datagram).unwrap()] {
        let line = line.strip_suffix("\r\n").unwrap();
        // Sun, 06 Nov 1994 08:49:37 GMT
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(
            (words.len(), words[5], line.len()),
            (6, "GMT", 29),
            "{line}"
        );
        assert!(words[3].parse::<u32>().unwrap() >= 2026, "{line}");
    }
    server.end_well();
}

#[test]
fn time_says_the_seconds_since_1900() {
    let now = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs() + 2_208_988_800
    };
    let before = now();
    let server = start("time");
    let mut answer = Vec::new();
    connect(server.address("time", "tcp"))
        .read_to_end(&mut answer)
        .unwrap();
    let datagram = ask(&datagrams(&server, "time"), b"");
    for answer in [answer, datagram] {
        let seconds = u32::from_be_bytes(answer.try_into().unwrap());
        // Both in the same era, whichever that is.
        let era = |seconds: u64| u32::try_from(seconds % (1 << 32)).unwrap();
        let since = seconds.wrapping_sub(era(before));
        assert!(u64::from(since) <= now() - before, "{seconds}");
    }
    server.end_well();
}
