//! `forward`: what passes through it, and how it ends.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener},
    process::Stdio,
    thread,
};

use ropewalk_core::ClientEndpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Running, connect, expect_end, ropewalk};

/// A server of one connection, in a thread.
fn serve_once(
    serve: impl FnOnce(std::net::TcpStream) + Send + 'static,
) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || serve(listener.accept().unwrap().0));
    (endpoint, thread)
}

fn forward_to(to: &str) -> Running {
    Running::start(&["forward", "--listen", "tcp:0", "--to", to], 1)
}

#[test]
fn half_closes_are_passed_on() {
    let (to, server) = serve_once(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"question");
        // The other direction is still open.
        stream.write_all(b"answer").unwrap();
    });
    let forward = forward_to(&to);
    let mut client = connect(forward.address("forward", "tcp"));
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"answer");
    server.join().unwrap();
}

#[test]
fn the_target_hears_for_whom_a_connection_is() {
    let (to, server) = serve_once(|mut stream| {
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        stream.write_all(all.as_bytes()).unwrap();
    });
    let forward = forward_to(&format!("haproxy:version=1/{to}"));
    let listens = forward.address("forward", "tcp");
    let mut client = connect(listens);
    let (from, to) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut all = String::new();
    client.read_to_string(&mut all).unwrap();
    let (ips, ports) = ((from.ip(), to.ip()), (from.port(), to.port()));
    let header = format!("PROXY TCP4 {} {} {} {}\r\n", ips.0, ips.1, ports.0, ports.1);
    assert_eq!(all, header + "question");
    server.join().unwrap();
}

#[test]
fn an_answer_that_comes_before_all_is_read_arrives() {
    // As a server does that refuses a large upload.
    let (to, server) = serve_once(|mut stream| {
        stream.read_exact(&mut [0; 16]).unwrap();
        stream.write_all(b"too large").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // What is unread resets the connection.
    });
    let forward = forward_to(&to);
    let mut client = connect(forward.address("forward", "tcp"));
    client.write_all(&[0; 64 * 1024]).unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).unwrap();
    assert_eq!(all, b"too large");
    server.join().unwrap();
}

#[test]
fn much_goes_through_whole() {
    const SIZE: usize = 8 * 1024 * 1024;
    let echo = Running::start(&["echo", "--listen", "tcp:0"], 1);
    let forward = forward_to(echo.endpoint("echo", "tcp"));
    let mut client = connect(forward.address("forward", "tcp"));
    let sent: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let mut writer = client.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    client.read_to_end(&mut back).unwrap();
    writing.join().unwrap();
    assert!(back == sent, "{} bytes came back", back.len());
}

#[test]
fn a_target_that_is_not_there_is_logged_once_and_the_next_one_tries_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut forward = forward_to(&format!("tcp:{address}"));
    expect_end(&mut connect(forward.address("forward", "tcp")));
    let line = forward.logged("cannot connect");
    assert!(line.contains(&address.to_string()), "{line}");
    // The line says who was turned away.
    assert!(line.contains("peer=127.0.0.1:"), "{line}");
    expect_end(&mut connect(forward.address("forward", "tcp")));
    forward.signal("TERM");
    let (status, _, log) = forward.ended();
    assert_eq!(status, Some(0));
    assert_eq!(log.matches("cannot connect").count(), 2, "{log}");
}

#[test]
fn stdio_makes_it_a_netcat_that_ends_when_it_is_done() {
    let echo = Running::start(&["echo", "--listen", "tcp:0"], 1);
    let to = echo.endpoint("echo", "tcp");
    let mut netcat = ropewalk(["forward", "--listen", "stdio:", "--to", to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = netcat.stdin.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    drop(stdin);
    let output = netcat.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
    assert!(output.status.success());
}

#[test]
fn a_netcat_ends_with_its_peer_though_its_input_is_open() {
    let (to, server) = serve_once(|mut stream| stream.write_all(b"goodbye\n").unwrap());
    let mut netcat = ropewalk(["forward", "--listen", "stdio:", "--to", &to])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Open until the process has ended; `wait_with_output` would close it.
    let stdin = netcat.stdin.take();
    let mut out = String::new();
    netcat
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(out, "goodbye\n");
    assert!(netcat.wait().unwrap().success());
    drop(stdin);
    server.join().unwrap();
}

#[test]
fn a_netcat_with_nobody_to_talk_to_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("tcp:{}", listener.local_addr().unwrap());
    drop(listener);
    let (status, out, err) = crate::common::run(&["forward", "--listen", "stdio:", "--to", &to]);
    assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("cannot connect"), "{err}");
}

/// TLS on the way in, a process as the target: `--listen tls: --to exec:`.
#[tokio::test]
async fn tls_on_the_way_in_with_a_certificate_of_the_command_line() {
    let ca = ropewalk_core::tls::TestCa::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = ca.issue(&["127.0.0.1"]).unwrap();
    let [ca_file, chain_file, key_file] = [
        ("ca.pem", ca.pem()),
        ("cert.pem", chain.as_str()),
        ("key.pem", key.as_str()),
    ]
    .map(|(name, content)| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    });
    let forward = Running::start(
        &[
            "forward",
            "--listen",
            "tls:0",
            "--tls-cert",
            &chain_file,
            "--tls-key",
            &key_file,
            "--to",
            "exec:cat",
        ],
        1,
    );
    let to: ClientEndpoint = format!("{}:ca={ca_file}", forward.endpoint("forward", "tls"))
        .parse()
        .unwrap();
    let mut client = to.connect().await.unwrap();
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut back = String::new();
    client.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "hello");
    drop(client);
    forward.end_well();
}
