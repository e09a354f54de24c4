//! The lab, by clients of our own; other people's are in `interop`.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use ropewalk_core::{ClientEndpoint, Connection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Answer, Running, connect, exchange, http};

/// The lab with every service; all of its table has been printed when this returns.
fn lab(arguments: &[&str]) -> (Running, Vec<String>) {
    let all: Vec<_> = ["lab", "--any-port"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    let mut lab = Running::start(&all, 12);
    let mut table = Vec::new();
    while !table
        .last()
        .is_some_and(|line: &String| line.starts_with("Ctrl-C"))
    {
        table.push(lab.out_line());
    }
    (lab, table)
}

/// The path of the CA's certificate, as the table has it.
pub(crate) fn ca(table: &[String]) -> String {
    let line = table
        .iter()
        .find_map(|l| l.strip_prefix("CA certificate: "));
    line.expect("the table names it").to_owned()
}

/// The rows of the table: service, address, and a line to try it.
pub(crate) fn rows(table: &[String]) -> Vec<[String; 3]> {
    table
        .iter()
        .skip_while(|line| !line.starts_with("SERVICE"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .map(|row| {
            let (service, rest) = row.split_once(' ').expect("three columns");
            let (address, line) = rest.trim_start().split_once("  ").expect("three columns");
            [service, address, line.trim_start()].map(str::to_owned)
        })
        .collect()
}

/// A lab for `interop`: the process, its CA's file, and its table.
pub(crate) fn start() -> (Running, String, Vec<String>) {
    let (lab, table) = lab(&[]);
    let ca = ca(&table);
    (lab, ca, table)
}

async fn secure(lab: &Running, service: &str, options: &str) -> Result<Connection, String> {
    let endpoint = format!("{}:{options}", lab.endpoint(service, "tls"));
    let endpoint: ClientEndpoint = endpoint.parse().unwrap();
    endpoint.connect().await.map_err(|error| error.to_string())
}

async fn exchange_securely(conn: &mut Connection, text: &str) {
    conn.write_all(text.as_bytes()).await.unwrap();
    let mut back = vec![0; text.len()];
    conn.read_exact(&mut back).await.unwrap();
    assert_eq!(back, text.as_bytes());
}

#[test]
fn the_table_names_every_listener_once() {
    let (lab, table) = lab(&[]);
    let rows: Vec<_> = rows(&table)
        .into_iter()
        .map(|[service, address, _]| (service, address))
        .collect();
    assert_eq!(rows, lab.listening);
    lab.end_well();
}

#[test]
fn the_folder_is_for_this_account_alone_and_gone_at_the_end() {
    let (lab, table) = lab(&[]);
    let ca = ca(&table);
    let folder = Path::new(&ca).parent().unwrap().to_owned();
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut keys = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap_or_default();
        keys += usize::from(text.contains("PRIVATE KEY"));
    }
    assert_eq!(keys, 0);
    lab.end_well();
    assert!(!folder.exists());
}

#[test]
fn the_folder_is_gone_after_a_second_signal_too() {
    let (mut lab, table) = lab(&[]);
    // A request that is not over holds the drain.
    let mut held = connect(lab.address("web", "tcp"));
    held.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1")
        .unwrap();
    held.read_exact(&mut [0; 1]).unwrap();
    let ca = ca(&table);
    lab.signal("TERM");
    lab.logged("draining");
    lab.signal("TERM");
    let (status, _, log) = lab.ended();
    assert_eq!(status, Some(1), "{log}");
    assert!(!Path::new(&ca).parent().unwrap().exists(), "{log}");
}

#[test]
fn a_folder_that_was_named_is_kept_with_what_is_in_it() {
    let scratch = tempfile::tempdir().unwrap();
    // A name that a shell and an endpoint would both take apart.
    let folder = scratch.path().join("my lab: it's");
    let site = folder.join("site");
    fs::create_dir_all(&site).unwrap();
    fs::write(site.join("index.html"), "mine").unwrap();
    let (lab, _) = lab(&["--dir", folder.to_str().unwrap()]);
    let answer = http(lab.address("web", "tcp"), "GET / HTTP/1.1", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, "mine"));
    let mut unix = std::os::unix::net::UnixStream::connect(folder.join("echo.sock")).unwrap();
    exchange(&mut unix, "hello");
    drop(unix);
    lab.end_well();
    assert!(folder.join("ca.pem").exists() && !folder.join("echo.sock").exists());
}

#[test]
fn only_what_was_asked_for() {
    let mut lab = Running::spawn(&["lab", "--any-port", "--json", "--only", "web,echo"]);
    let services: Vec<_> = (0..6)
        .map(|_| {
            let line: serde_json::Value = serde_json::from_str(&lab.out_line()).unwrap();
            assert_eq!(line["event"], "listening");
            line["service"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(services, ["echo", "echo", "echo", "echo", "web", "web"]);
    lab.signal("TERM");
    let (status, out, log) = lab.ended();
    // In JSON there is no table.
    assert_eq!((status, out.as_str()), (Some(0), ""), "{log}");
}

/// The ports are the default ones and the base; another process may have one of them, so this tries
/// a few bases.
#[test]
fn a_base_is_added_to_every_port() {
    let first = 10_000 + std::process::id() % 20_000;
    for base in (first..first + 20_000).step_by(997) {
        let argument = base.to_string();
        let mut lab = Running::spawn(&["lab", "--json", "--base-port", &argument]);
        let Some(line) = lab.try_out_line() else {
            let (status, _, log) = lab.ended();
            assert_eq!(status, Some(1), "{log}");
            assert!(log.contains("in use"), "{log}");
            continue;
        };
        let mut ports = vec![port(&line)];
        ports.extend((0..11).map(|_| port(&lab.out_line())));
        ports.retain(|port| *port != 0);
        let expected = [
            5300, 5300, 8530, 7007, 7007, 7008, 7009, 8080, 8443, 6667, 6697,
        ];
        let expected = expected.map(|port| port + base);
        assert_eq!(ports, expected);
        lab.end_well();
        return;
    }
    panic!("none of the bases was free");
}

/// The port of a listening line in JSON; 0 for a Unix socket.
fn port(line: &str) -> u32 {
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let endpoint = line["endpoint"].as_str().unwrap();
    let port = endpoint.rsplit_once(':').unwrap().1;
    port.parse().unwrap_or(0)
}

#[tokio::test]
async fn the_certificate_is_good_for_the_names_of_the_lab() {
    let (lab, ca, _) = start();
    for name in [
        "localhost",
        "lab.test",
        "mail.lab.test",
        "127.0.0.1",
        "[::1]",
    ] {
        let mut conn = secure(&lab, "echo", &format!("ca={ca}:sni={name}"))
            .await
            .unwrap();
        exchange_securely(&mut conn, "hello").await;
    }
    let error = secure(&lab, "echo", &format!("ca={ca}:sni=example.org")).await;
    assert!(error.unwrap_err().contains("not valid for name"));
    // Nobody else's trust holds.
    let error = secure(&lab, "echo", "sni=localhost").await;
    assert!(error.is_err());
    // Whoever does not mind the name is served.
    let mut conn = secure(&lab, "echo", "sni=example.org:insecure-no-verify")
        .await
        .unwrap();
    exchange_securely(&mut conn, "hello").await;
}

#[tokio::test]
async fn the_forward_takes_tls_in_and_echoes() {
    let (lab, ca, _) = start();
    let mut conn = secure(&lab, "forward", &format!("ca={ca}")).await.unwrap();
    exchange_securely(&mut conn, "hello").await;
    conn.shutdown().await.unwrap();
    let mut rest = Vec::new();
    conn.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn the_forward_alone_has_an_echo_of_its_own() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().to_str().unwrap();
    let arguments = ["lab", "--any-port", "--only", "forward", "--dir", folder];
    let lab = Running::start(&arguments, 1);
    let mut conn = secure(&lab, "forward", &format!("ca={folder}/ca.pem"))
        .await
        .unwrap();
    exchange_securely(&mut conn, "hello").await;
    drop(conn);
    lab.end_well();
}

#[test]
fn the_counter_counts_visits_and_nothing_else() {
    let (lab, _) = lab(&[]);
    let web = lab.address("web", "tcp");
    for visit in ["1", "2"] {
        let answer = http(web, "GET /counter HTTP/1.1", "");
        assert_eq!((answer.status, answer.body.as_str()), (200, visit));
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("content-length"), Some("1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    for method in ["HEAD", "POST", "PUT", "DELETE"] {
        let answer = http(web, &format!("{method} /counter HTTP/1.1"), "");
        assert_eq!(answer.status, 405);
        assert_eq!(answer.header("allow"), Some("GET"));
    }
    assert_eq!(http(web, "GET /counter HTTP/1.1", "").body, "3");
}

#[test]
fn a_body_is_echoed_as_it_comes() {
    let (lab, _) = lab(&[]);
    let web = lab.address("web", "tcp");
    let head = "POST /echo HTTP/1.1\r\nContent-Type: text/x-a\r\nContent-Length: 5";
    let answer = http(web, head, "hello");
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
    assert_eq!(answer.header("content-type"), Some("text/x-a"));
    let answer = http(web, "GET /echo HTTP/1.1", "");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));

    // The first half of the answer is here before the second half of the question.
    let mut stream = connect(web);
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"half").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"half") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.extend(byte);
    }
    stream.write_all(b"more").unwrap();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Answer::parse(answer).body, "halfmore");
}

#[test]
fn a_body_that_is_announced_too_long_is_refused() {
    let (lab, _) = lab(&[]);
    let head = "POST /echo HTTP/1.1\r\nContent-Length: 1073741825";
    let answer = http(lab.address("web", "tcp"), head, "");
    assert_eq!(answer.status, 413);
}

#[test]
fn the_site_is_served_and_nothing_beside_it() {
    let (lab, _) = lab(&[]);
    let web = lab.address("web", "tcp");
    let answer = http(web, "GET / HTTP/1.1", "");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert!(answer.body.contains("The lab of Ropewalk"));
    let answer = http(web, "HEAD /style.css HTTP/1.1", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(http(web, "POST / HTTP/1.1", "").status, 405);
    for path in [
        "/../ca.pem",
        "/%2e%2e/ca.pem",
        "/..%2fca.pem",
        "/site/../../ca.pem",
        "//etc/passwd",
        "/%2fetc/passwd",
        "/.%00./ca.pem",
        "/nothing",
    ] {
        let answer = http(web, &format!("GET {path} HTTP/1.1"), "");
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
    }
}

#[test]
fn what_is_no_http_ends_the_connection_only() {
    let (lab, _) = lab(&[]);
    let web = lab.address("web", "tcp");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET\r\n\r\n",
        &[b'a'; 700_000],
    ] {
        let mut stream = connect(web);
        // It may have hung up before all is written.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"));
    }
    assert_eq!(http(web, "GET /counter HTTP/1.1", "").body, "1");
    lab.end_well();
}
