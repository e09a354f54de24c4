//! The examples, run as a reader would run them.
#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(all(feature = "client", feature = "server", feature = "testing"))]

use std::{
    io::{BufRead, BufReader, Read},
    net::UdpSocket,
    process::{Child, ChildStderr, Command, Stdio},
    time::Duration,
};

use ropewalk_core::{Connection, Result, ServerEndpoint, testing::run_in_real_time};
use ropewalk_names_dns::{
    answering::AnswerDatagrams,
    hickory_proto::{
        op::{Message, Query},
        rr::{Name, RecordType},
    },
    testing::FakeDns,
};
use tokio::io::AsyncWriteExt;

fn command(name: &str) -> Command {
    // Beside the folder of the test binaries.
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    let mut command = Command::new(path);
    command.env("RUST_LOG", "info").env("NO_COLOR", "1");
    command
}

async fn output(name: &'static str, words: Vec<String>) -> String {
    let run = move || {
        let output = command(name).args(words).output();
        let output = output.unwrap_or_else(|e| panic!("{name}: {e}; cargo build --examples"));
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A fake server on a port of loopback.
async fn serve(dns: &FakeDns) -> (impl Sized, String) {
    let endpoint: ServerEndpoint = "udp:0".parse().unwrap();
    let server = endpoint
        .listen_datagrams(AnswerDatagrams::new(dns.answers()))
        .await
        .unwrap();
    let at = server.local_endpoint();
    (server, at)
}

#[test]
fn lookup() {
    run_in_real_time(async {
        let dns = FakeDns::new();
        dns.add("example.test. 300 MX 10 mx.example.test.").unwrap();
        let (_server, at) = serve(&dns).await;
        let said = output("lookup", vec!["example.test".into(), "MX".into(), at]).await;
        assert_eq!(
            said.split_whitespace().collect::<Vec<_>>().join(" "),
            "example.test. 300 IN MX 10 mx.example.test."
        );
    });
}

#[test]
fn srv_connect() {
    async fn greet(mut conn: Connection) -> Result {
        conn.write_all(b"* OK ready\r\n").await?;
        Ok(conn.shutdown().await?)
    }
    run_in_real_time(async {
        let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
        let imap = endpoint.listen(greet).await.unwrap();
        let dns = FakeDns::new();
        let port = imap.port().unwrap();
        dns.add(&format!(
            "_imap._tcp.example.test. SRV 0 0 {port} imap.example.test.\nimap.example.test. A 127.0.0.1"
        ))
        .unwrap();
        let (_server, at) = serve(&dns).await;
        let said = output(
            "srv_connect",
            vec!["srv:_imap._tcp.example.test".into(), at],
        )
        .await;
        assert_eq!(
            said,
            format!("connected to 127.0.0.1:{port}\n* OK ready\r\n")
        );
    });
}

#[test]
fn test_zone() {
    run_in_real_time(async {
        let said = output("test_zone", Vec::new()).await;
        assert!(
            said.starts_with("slow: [192.0.2.80]\nsilent: [192.0.2.80]\nunknown: no answer"),
            "{said}"
        );
    });
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until_listening(log: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    while log.read_line(&mut line).unwrap() > 0 {
        if let Some((_, at)) = line.trim_end().split_once("listening on udp:") {
            // The log is JSON where nobody sits before it.
            let end = at.find('"').unwrap_or(at.len());
            return at[..end].to_owned();
        }
        line.clear();
    }
    panic!("it ended without listening");
}

#[test]
fn dns_forwarder() {
    run_in_real_time(async {
        let dns = FakeDns::new();
        dns.add("www.example.test. 300 A 192.0.2.80").unwrap();
        let (_server, at) = serve(&dns).await;
        let ask = move || {
            let mut command = command("dns_forwarder");
            let child = command.args(["udp:0", &at]).stderr(Stdio::piped()).spawn();
            let mut child = Running(child.unwrap());
            let mut log = BufReader::new(child.0.stderr.take().unwrap());
            let at = until_listening(&mut log);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(&at).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(30)))
                .unwrap();
            let mut asked = Message::query();
            asked.metadata.recursion_desired = true;
            let name = Name::from_ascii("www.example.test.").unwrap();
            asked.add_query(Query::query(name, RecordType::A));
            let mut answer = [0; 512];
            for _ in 0..2 {
                socket.send(&asked.to_vec().unwrap()).unwrap();
                let length = socket.recv(&mut answer).unwrap();
                let answer = Message::from_vec(&answer[..length]).unwrap();
                assert_eq!(answer.answers.len(), 1);
            }
            let pid = child.0.id().to_string();
            let status = Command::new("kill").args(["-s", "TERM", &pid]).status();
            assert!(status.unwrap().success());
            assert!(child.0.wait().unwrap().success());
            let mut rest = String::new();
            log.read_to_string(&mut rest).unwrap();
        };
        tokio::task::spawn_blocking(ask).await.unwrap();
        let asked = dns.questions();
        let asked = asked.iter().filter(|q| q.record_type == RecordType::A);
        assert_eq!(asked.count(), 1, "the second answer is the cache's");
    });
}

#[test]
fn zone_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zone");
    let write = |address: &str| {
        let text = format!("@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nns 60 A {address}\n");
        std::fs::write(&file, text).unwrap();
    };
    write("192.0.2.1");
    let mut command = command("zone_server");
    let child = command.arg(&file).args(["example.test", "0"]);
    let mut child = Running(child.stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap());
    let at = until_listening(&mut log);
    let at = at.split(' ').next().unwrap();
    let ask = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(at).unwrap();
        let patience = Some(Duration::from_secs(30));
        socket.set_read_timeout(patience).unwrap();
        let mut asked = Message::query();
        let name = Name::from_ascii("ns.example.test.").unwrap();
        asked.add_query(Query::query(name, RecordType::A));
        socket.send(&asked.to_vec().unwrap()).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        answer.answers[0].data.to_string()
    };
    assert_eq!(ask(), "192.0.2.1");
    write("192.0.2.2");
    let signal = |name: &str| {
        let pid = child.0.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    };
    signal("HUP");
    let mut line = String::new();
    while !line.contains("read the zone again") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
    }
    assert_eq!(ask(), "192.0.2.2");
    signal("TERM");
    assert!(child.0.wait().unwrap().success());
}
