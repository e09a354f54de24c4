//! Arguments, listening lines, exit statuses and one-line errors.

use std::net::{TcpListener, UdpSocket};

use crate::common::{Running, connect, exchange, run};

/// A bad use: status 2, nothing on standard output, one line that holds all of these.
#[track_caller]
fn bad(arguments: &[&str], parts: &[&str]) {
    let (status, out, err) = run(arguments);
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    for part in parts {
        assert!(err.contains(part), "{part} is not in {err}");
    }
}

#[test]
fn a_bad_use_is_one_line_with_option_value_and_what_is_expected() {
    bad(
        &[],
        &["subcommand", "lab, serve, web, dns, forward, irc, echo"],
    );
    bad(&["ecko"], &["'ecko'", "'echo'"]);
    bad(&["echo"], &["--listen <ENDPOINT>"]);
    bad(&["echo", "--lisen", "tcp:0"], &["'--lisen'", "'--listen'"]);
    bad(
        &["echo", "--listen", "tcp:0", "--drain", "soon"],
        &["'soon'", "--drain", "expected seconds"],
    );
    bad(
        &["echo", "--listen", "tcp:0", "--max-connections", "0"],
        &["'0'", "--max-connections", "1 or more"],
    );
    bad(
        &["echo", "--listen", "tcp:0", "--log", "loud"],
        &["'loud'", "--log", "error, warn, info, debug, trace"],
    );
    bad(
        &["lab", "--only", "echo,ftp"],
        &["'ftp'", "--only", "echo, forward"],
    );
    bad(
        &["lab", "--base-port", "57006"],
        &["--base-port", "57006", "57005 at most"],
    );
    bad(
        &["lab", "--base-port", "1", "--any-port"],
        &["--base-port", "--any-port"],
    );
    bad(
        &["lab", "--dir", "/dev/null"],
        &["--dir", "/dev/null", "expected a folder"],
    );
    bad(&["completions", "fishy"], &["'fishy'", "bash", "zsh"]);
}

#[test]
fn a_bad_file_of_the_other_side_is_told_at_the_start() {
    bad(
        &[
            "forward",
            "--listen",
            "tcp:0",
            "--to",
            "tls:lab.test:1:ca=/nowhere.pem",
        ],
        &[
            "--to",
            "tls:lab.test:1",
            "/nowhere.pem: ",
            "expected certificates",
        ],
    );
}

#[test]
fn a_bad_endpoint_is_told_with_its_position() {
    bad(
        &["echo", "--listen", "tcp:80:bklog=5"],
        &["--listen", "at 7: unknown keyword \"bklog\"", "backlog"],
    );
    bad(
        &["echo", "--listen", "tcp:99999"],
        &["--listen", "at 4", "\"99999\""],
    );
    bad(
        &["echo", "--listen", "exec:date"],
        &["--listen", "at 0: \"exec\" cannot serve"],
    );
    bad(
        &["echo", "--listen", "quic:1"],
        &["--listen", "quic:1", "the schemes are tcp, tls"],
    );
    bad(
        &["forward", "--listen", "tcp:0", "--to", "tcp:80"],
        &["--to", "at 6: no port", "tcp:HOST:PORT"],
    );
    bad(
        &["forward", "--listen", "tcp:0", "--to", "ssh:a/tcp:b:2"],
        &["--to", "ssh", "expected tcp, tls, unix"],
    );
    for datagrams in ["udp:a:1", "unix-datagram:/x"] {
        bad(
            &["forward", "--listen", "tcp:0", "--to", datagrams],
            &["--to", "cannot forward to", "expected tcp, tls, unix"],
        );
    }
    bad(
        &["forward", "--listen", "udp:0", "--to", "tcp:localhost:1"],
        &["--listen", "udp:0", "datagrams"],
    );
    bad(
        &["echo", "--listen", "stdio:", "--listen", "tcp:0"],
        &["--listen", "stdio:", "the only one"],
    );
    // A value cannot begin a line of its own, or speak to the terminal.
    bad(
        &["echo", "--listen", "tcp:0\n\u{1b}[1mroot:"],
        &["--listen"],
    );
}

#[test]
fn tls_without_a_certificate_is_refused() {
    bad(
        &["echo", "--listen", "tls:0"],
        &["--listen", "tls:0", "expected --tls-cert FILE"],
    );
    bad(
        &["echo", "--listen", "tls:0", "--tls-cert", "/nowhere.pem"],
        &["--tls-cert", "/nowhere.pem", "expected a certificate"],
    );
    bad(
        &["echo", "--listen", "tls:0:cert=/nowhere.pem"],
        &["--listen", "/nowhere.pem", "expected a certificate"],
    );
    bad(
        &["echo", "--listen", "tcp:0", "--tls-key", "/nowhere.pem"],
        &["--tls-cert"],
    );
}

#[test]
fn a_port_in_use_is_told_with_the_process_that_has_it() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a socket");
    let _unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for endpoint in [
        format!("tcp:{}", tcp.local_addr().unwrap()),
        format!("udp:{}", udp.local_addr().unwrap()),
        format!("unix:{}", path.display()),
    ] {
        let (status, out, err) = run(&["echo", "--listen", &endpoint]);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(&endpoint), "{err}");
        if cfg!(target_os = "linux") {
            let by = format!("(pid {})", std::process::id());
            assert!(err.contains(&by), "{err}");
        }
    }
}

#[test]
fn nothing_is_announced_if_one_listener_fails() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", taken.local_addr().unwrap());
    let (status, out, _) = run(&["echo", "--listen", "tcp:0", "--listen", &endpoint]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
}

#[test]
fn each_listener_is_announced_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("echo:1.sock");
    let escaped = socket.display().to_string().replace(':', "\\:");
    let unix = format!("unix:{escaped}:mode=600");
    let echo = Running::start(
        &[
            "echo",
            "--listen",
            "tcp:0",
            "--listen",
            "tcp:[::1]:0",
            "--listen",
            "udp:0",
            "--listen",
            &unix,
            "--listen",
            "mem:echo",
        ],
        5,
    );
    let endpoints: Vec<_> = echo.listening.iter().map(|(_, e)| e.as_str()).collect();
    assert!(endpoints[0].starts_with("tcp:127.0.0.1:"), "{endpoints:?}");
    assert!(endpoints[1].starts_with("tcp:[::1]:"), "{endpoints:?}");
    assert!(endpoints[2].starts_with("udp:127.0.0.1:"), "{endpoints:?}");
    assert_eq!(endpoints[3], format!("unix:{escaped}"));
    assert_eq!(endpoints[4], "mem:echo");
    assert!(echo.listening.iter().all(|(service, _)| service == "echo"));

    exchange(&mut connect(echo.address("echo", "tcp")), "hello");
    let mut unix = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    exchange(&mut unix, "hello");
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(echo.address("echo", "udp")).unwrap();
    udp.send(b"hello").unwrap();
    let mut back = [0; 16];
    assert_eq!(udp.recv(&mut back).unwrap(), 5);
    drop(unix);
    echo.end_well();
    assert!(!socket.exists());
}

#[test]
fn in_json_there_are_only_objects() {
    let arguments = ["echo", "--listen", "tcp:0", "--listen", "udp:0", "--json"];
    let mut echo = Running::spawn(&arguments);
    for scheme in ["tcp", "udp"] {
        let line = echo.out_line();
        let start = format!(
            "{{\"event\":\"listening\",\"service\":\"echo\",\"endpoint\":\"{scheme}:127.0.0.1:"
        );
        assert!(line.starts_with(&start), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["event"], "listening");
    }
    echo.signal("TERM");
    let (status, out, log) = echo.ended();
    assert_eq!((status, out.as_str()), (Some(0), ""), "{log}");
}

#[test]
fn the_log_is_json_where_it_is_not_read_on_a_terminal() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp:{}", taken.local_addr().unwrap());
    let (_, _, err) = run(&["echo", "--listen", &endpoint]);
    let line: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(line["level"], "ERROR");
    let (_, _, err) = run(&["echo", "--listen", &endpoint, "--log-format", "text"]);
    assert!(err.contains("ERROR") && !err.contains('{'), "{err}");
}

#[test]
fn standard_input_and_output_can_be_the_connection() {
    use std::{io::Write, process::Stdio};
    let mut echo = crate::common::ropewalk(["echo", "--listen", "stdio:"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = echo.stdin.take().unwrap();
    stdin.write_all(b"hello\n").unwrap();
    drop(stdin);
    let output = echo.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"hello\n");
    assert!(output.status.success());
}

#[test]
fn a_limit_per_peer_that_is_named_holds_for_loopback_too() {
    use std::io::Read;
    let arguments = ["echo", "--listen", "tcp:0", "--max-per-peer", "1"];
    let echo = Running::start(&arguments, 1);
    let address = echo.address("echo", "tcp");
    let mut first = connect(address);
    exchange(&mut first, "hello");
    let mut second = connect(address);
    assert!(matches!(second.read(&mut [0; 8]), Ok(0) | Err(_)));
    exchange(&mut first, "still here");
}

#[test]
fn help_and_version_are_for_standard_output() {
    let (status, out, err) = run(&["--version"]);
    let version = format!("ropewalk {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((status, out, err.as_str()), (Some(0), version, ""));
    let (status, out, err) = run(&["echo", "--help"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(out.contains("--max-per-peer"), "{out}");
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (status, out, err) = run(&["completions", shell]);
        assert_eq!((status, err.as_str()), (Some(0), ""), "{shell}");
        assert!(out.contains("max-per-peer"), "{shell}");
    }
}
