//! What an operator does with a server that runs: looks at its numbers, renews its certificates,
//! limits it.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{fs::MetadataExt as _, net::UnixDatagram},
    path::Path,
};

use ropewalk_core::{ClientEndpoint, tls::TestCa};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Answer, PATIENCE, Running, connect, exchange, http, run};

#[test]
fn the_numbers_and_the_health_are_told_over_http() {
    let arguments = ["echo", "--listen", "tcp:0", "--metrics", "tcp:0"];
    let server = Running::start(&arguments, 2);
    let services: Vec<_> = server.listening.iter().map(|(s, _)| s.as_str()).collect();
    assert_eq!(services, ["echo", "metrics"]);
    let mut open = connect(server.address("echo", "tcp"));
    exchange(&mut open, "hello");
    let to = server.address("metrics", "tcp");
    let answer = http(to, "GET /metrics HTTP/1.1", "");
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain"), "{kind}");
    let endpoint = server.endpoint("echo", "tcp");
    for line in [
        format!("ropewalk_connections{{service=\"echo\",endpoint=\"{endpoint}\"}} 1"),
        format!("ropewalk_received_bytes_total{{service=\"echo\",endpoint=\"{endpoint}\"}} 5"),
    ] {
        assert!(
            answer.body.lines().any(|it| it == line),
            "{line}: {}",
            answer.body
        );
    }
    let open_metrics = "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text";
    let answer = http(to, open_metrics, "");
    assert!(answer.body.ends_with("# EOF\n"));
    for (head, status, body) in [
        ("GET /healthz", 200, "ok\n"),
        ("GET /readyz", 200, "ready\n"),
        ("HEAD /readyz", 200, ""),
        ("GET /", 404, "not found\n"),
        ("POST /metrics", 405, ""),
    ] {
        let answer = http(to, &format!("{head} HTTP/1.1"), "");
        assert_eq!((answer.status, &*answer.body), (status, body), "{head}");
    }
    drop(open);
    let (status, _, log) = {
        server.signal("TERM");
        server.ended()
    };
    // Looking is not being served.
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("drained served=1"), "{log}");
}

#[test]
fn in_a_drain_it_is_well_and_not_ready() {
    let mut server = Running::start(
        &[
            "forward",
            "--listen",
            "tcp:0",
            "--to",
            "exec:cat",
            "--metrics",
            "tcp:0",
            "--drain",
            "600",
            "--log",
            "debug",
        ],
        2,
    );
    let mut through = connect(server.address("forward", "tcp"));
    exchange(&mut through, "hello");
    // Two who have begun to ask.
    let mut asking = ["/readyz", "/healthz"].map(|path| {
        let mut stream = connect(server.address("metrics", "tcp"));
        write!(stream, "GET {path} HTTP/1.1\r\n").unwrap();
        stream
    });
    server.signal("TERM");
    server.logged("not ready any more");
    let answers = asking.each_mut().map(|stream| {
        stream.write_all(b"Host: x\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::parse(answer).status
    });
    assert_eq!(answers, [503, 200]);
    drop(through);
    let (status, _, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn limits_are_of_all_listeners_together_and_not_of_who_looks() {
    let server = Running::start(
        &[
            "echo",
            "--listen",
            "tcp:0",
            "--listen",
            "tcp:0",
            "--metrics",
            "tcp:0",
            "--max-per-peer",
            "1",
            "--max-connections",
            "1",
        ],
        3,
    );
    let address = |n: usize| server.listening[n].1["tcp:".len()..].parse().unwrap();
    let mut first = connect(address(0));
    exchange(&mut first, "hello");
    let mut second = connect(address(1));
    second.write_all(b"hello").unwrap();
    // There is room for one, so that this one waits; it would be refused if there were more.
    let body = http(address(2), "GET /metrics HTTP/1.1", "").body;
    let open: Vec<_> = body
        .lines()
        .filter(|line| line.starts_with("ropewalk_connections{service=\"echo\""))
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(open.len(), 2, "{body}");
    assert_eq!(open.iter().filter(|n| **n == "1").count(), 1, "{body}");
    drop(first);
    let mut back = [0; 5];
    second.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn metrics_that_cannot_be_served_are_refused() {
    for (endpoint, expected) in [
        ("udp:0", "expected tcp, unix"),
        ("tls:0", "tls with cert=FILE"),
        ("quic:1", "the schemes are"),
        ("tcp:x", "port"),
    ] {
        let arguments = ["echo", "--listen", "tcp:0", "--metrics", endpoint];
        let (status, out, err) = run(&arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert!(err.contains("--metrics") && err.contains(expected), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("tcp:{}", taken.local_addr().unwrap());
    let arguments = ["echo", "--listen", &taken, "--metrics", &taken];
    let (status, _, err) = run(&arguments);
    assert_eq!(status, Some(2), "{err}");
    assert!(
        err.contains(&format!("--metrics \"{taken}\": echo listen")),
        "{err}"
    );
}

/// A certificate of a new authority, with its key, in a file; returns the authority's file.
fn certify(folder: &Path, name: &str, names: &[&str]) -> String {
    let ca = TestCa::new().unwrap();
    let (chain, key) = ca.issue(names).unwrap();
    let ca_file = folder.join(format!("{name}-ca.pem.txt"));
    fs::write(&ca_file, ca.pem()).unwrap();
    let file = folder.join(format!("{name}.pem"));
    // In one step, so that nobody reads half of it.
    let new = folder.join(format!("{name}.new"));
    fs::write(&new, chain + &key).unwrap();
    fs::rename(new, file).unwrap();
    ca_file.to_str().unwrap().to_owned()
}

/// Whether the echo at this endpoint proves itself to who trusts this authority, for this name.
async fn trusts(endpoint: &str, ca: &str, name: &str) -> bool {
    let endpoint: ClientEndpoint = format!("{endpoint}:ca={ca}:sni={name}").parse().unwrap();
    let Ok(mut conn) = endpoint.connect().await else {
        return false;
    };
    conn.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    conn.read_exact(&mut back).await.unwrap();
    &back == b"hello"
}

fn scratch() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    (folder, path)
}

#[tokio::test]
async fn a_hangup_reloads_certificates_and_keeps_the_old_where_the_new_is_bad() {
    let (folder, path) = scratch();
    let before = certify(folder.path(), "site", &["localhost"]);
    let own = certify(folder.path(), "own", &["localhost"]);
    let mut server = Running::start(
        &[
            "echo",
            "--listen",
            "tls:0",
            "--listen",
            &format!("tls:0:cert={path}/own.pem"),
            "--tls-cert",
            &format!("{path}/site.pem"),
        ],
        2,
    );
    let [site, with_own] = [0, 1].map(|n| server.listening[n].1.clone());
    assert!(trusts(&site, &before, "localhost").await);
    assert!(trusts(&with_own, &own, "localhost").await);
    assert!(!trusts(&with_own, &before, "localhost").await);
    // One that stays open through all of it.
    let endpoint: ClientEndpoint = format!("{site}:ca={before}:sni=localhost").parse().unwrap();
    let mut open = endpoint.connect().await.unwrap();

    let before = fs::rename(&before, folder.path().join("before.txt"));
    before.unwrap();
    let before = folder.path().join("before.txt").display().to_string();
    let after = certify(folder.path(), "site", &["localhost"]);
    server.signal("HUP");
    let line = server.logged("SIGHUP: reloaded");
    assert!(line.contains(&site) && line.contains(&with_own), "{line}");
    assert!(trusts(&site, &after, "localhost").await);
    assert!(!trusts(&site, &before, "localhost").await);
    assert!(trusts(&with_own, &own, "localhost").await);

    fs::write(folder.path().join("site.pem"), "no certificate").unwrap();
    server.signal("HUP");
    let line = server.logged("is kept");
    assert!(
        line.contains("site.pem") && line.contains("ERROR"),
        "{line}"
    );
    assert!(trusts(&site, &after, "localhost").await);
    open.write_all(b"hello").await.unwrap();
    open.read_exact(&mut [0; 5]).await.unwrap();
    drop(open);
    server.end_well();
}

#[test]
fn a_hangup_where_there_is_nothing_to_reload_ends_nothing() {
    let mut server = Running::start(&["echo", "--listen", "tcp:0"], 1);
    let mut open = connect(server.address("echo", "tcp"));
    exchange(&mut open, "hello");
    server.signal("HUP");
    server.logged("nothing to reload");
    exchange(&mut open, "still here");
    drop(open);
    server.end_well();
}

#[tokio::test]
async fn a_folder_of_certificates_serves_each_name_its_own() {
    let (folder, path) = scratch();
    let one = certify(folder.path(), "one", &["one.test"]);
    let two = certify(folder.path(), "two", &["two.test"]);
    let arguments = ["echo", "--listen", "tls:0", "--tls-certs", &path];
    let server = Running::start(&arguments, 1);
    let endpoint = server.endpoint("echo", "tls").to_owned();
    assert!(trusts(&endpoint, &one, "one.test").await);
    assert!(trusts(&endpoint, &two, "two.test").await);
    assert!(!trusts(&endpoint, &one, "two.test").await);
    server.end_well();
    for (arguments, expected) in [
        (
            ["--tls-certs", "/nowhere"],
            "expected a folder of certificates",
        ),
        (
            ["--tls-certs", "/proc/self/fd"],
            "expected a folder of certificates",
        ),
    ] {
        let all = [&["echo", "--listen", "tls:0"][..], &arguments].concat();
        let (status, out, err) = run(&all);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert!(
            err.contains("--tls-certs") && err.contains(expected),
            "{err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
    }
}

#[test]
fn the_service_manager_hears_of_the_start_of_reloads_and_of_the_end() {
    let (folder, _path) = scratch();
    let socket = folder.path().join("notify.sock");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let hears = || {
        let mut message = [0; 512];
        let n = manager.recv(&mut message).unwrap();
        String::from_utf8(message[..n].to_vec()).unwrap()
    };
    let socket = socket.to_str().unwrap();
    let arguments = ["echo", "--listen", "tcp:0"];
    let mut server = Running::spawn_with(&arguments, &[("NOTIFY_SOCKET", socket)]);
    assert_eq!(hears(), "READY=1");
    // It is ready when it says what listens, and not before.
    assert!(server.out_line().starts_with("listening echo tcp:"));
    server.signal("HUP");
    assert!(hears().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hears(), "READY=1");
    server.signal("TERM");
    assert_eq!(hears(), "STOPPING=1");
    let (status, _, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");

    // A watchdog hears of it at least twice in its time, and at once.
    let variables = [("NOTIFY_SOCKET", socket), ("WATCHDOG_USEC", "1000000")];
    let server = Running::spawn_with(&arguments, &variables);
    let heard = [hears(), hears(), hears()];
    assert_eq!(heard, ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]);
    server.end_well();
}

#[test]
fn it_becomes_another_account_once_it_listens() {
    for account in ["nobody-of-this-name", "a:b:c", ":", "root"] {
        let arguments = ["echo", "--listen", "tcp:0", "--user", account];
        let (status, out, err) = run(&arguments);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains("--user") && err.contains(account), "{err}");
    }
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        // Nobody else may become anybody.
        let (status, out, err) = run(&["echo", "--listen", "tcp:0", "--user", "65533:65533"]);
        assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("permission denied"), "{err}");
        return;
    }
    let arguments = ["echo", "--listen", "tcp:0", "--user", "65534:65534"];
    let server = Running::start(&arguments, 1);
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    for line in ["Uid:", "Gid:"] {
        let ids: Vec<_> = status
            .lines()
            .find_map(|it| it.strip_prefix(line))
            .unwrap()
            .split_whitespace()
            .collect();
        assert_eq!(ids, ["65534"; 4], "{line}");
    }
    exchange(&mut connect(server.address("echo", "tcp")), "hello");
    server.end_well();
}
