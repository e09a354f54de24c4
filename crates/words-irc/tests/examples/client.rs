//! Those of the client, against a server of ours.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ropewalk_core::{Server, ServerEndpoint, factory, testing::run_in_real_time};
use ropewalk_words_irc::{
    client::{Client, Event, Kind, Pace},
    server::{Network, NetworkOptions},
};
use tokio::time::timeout;

/// An example that runs; killed when dropped.
struct Example(Child);

impl Example {
    fn command(name: &str) -> Command {
        // Beside the folder of the test binaries.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples");
        path.push(name);
        Command::new(path)
    }

    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Self::command(name);
        let child = command.args(arguments).stdout(Stdio::piped()).spawn();
        Self(child.unwrap_or_else(|e| panic!("{command:?}: {e}; cargo build --examples")))
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn network() -> (Server, String) {
    let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
    let mut options = NetworkOptions::default();
    options.flood.disabled = true;
    let network = Network::new(options);
    let server = endpoint.listen(factory(network)).await.unwrap();
    let endpoint = server.local_endpoint();
    (server, endpoint)
}

/// Somebody in the channel, who waits for nothing: neither for the pace that is for networks of
/// others, nor for the server's.
async fn ada(endpoint: &str) -> Client {
    let ada = Client::builder("ada").channel("#rope").pace(Pace::UNPACED);
    let mut ada = ada.connect(endpoint).await.unwrap();
    until(&mut ada, |it| matches!(it.kind, Kind::Joined { .. })).await;
    ada
}

async fn until(client: &mut Client, is_it: impl Fn(&Event) -> bool) -> Event {
    let found = async {
        loop {
            let event = client.next().await.unwrap();
            if is_it(&event) {
                return event;
            }
        }
    };
    timeout(Duration::from_secs(60), found).await.unwrap()
}

#[test]
fn irc_bot() {
    run_in_real_time(async {
        let (server, endpoint) = network().await;
        let mut ada = ada(&endpoint).await;
        let bot = Example::start("irc_bot", &[&endpoint]);
        until(&mut ada, |it| {
            matches!(it.kind, Kind::Join { .. }) && !it.is_own
        })
        .await;
        ada.privmsg("#rope", "!hello").await.unwrap();
        let hello = until(&mut ada, |it| it.text().is_some() && !it.is_own).await;
        assert_eq!(
            (hello.nick(), hello.text()),
            ("ropebot", Some("hello, ada"))
        );
        drop(bot);
        ada.quit("").await;
        server.drain(Duration::ZERO, Duration::from_secs(10)).await;
    });
}

#[test]
fn irc_logger() {
    run_in_real_time(async {
        let (server, endpoint) = network().await;
        let mut ada = ada(&endpoint).await;
        let mut log = Example::start("irc_logger", &[&endpoint, "#rope"]);
        until(&mut ada, |it| {
            matches!(it.kind, Kind::Join { .. }) && !it.is_own
        })
        .await;
        ada.privmsg("#rope", "\u{2}hello\u{2}, log").await.unwrap();
        ada.action("#rope", "waves").await.unwrap();
        ada.set_topic("#rope", "ropes").await.unwrap();
        // What it answers comes behind what it was told.
        ada.ctcp("ropelog", "PING", "1").await.unwrap();
        ada.ping().await.unwrap();
        let mut out = BufReader::new(log.0.stdout.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("topic") {
            assert!(out.read_line(&mut lines).unwrap() > 0, "{lines}");
        }
        let pid = log.0.id().to_string();
        Command::new("kill")
            .args(["-s", "TERM", &pid])
            .status()
            .unwrap();
        let quit = until(&mut ada, |it| matches!(it.kind, Kind::Quit { .. })).await;
        assert_eq!(quit.nick(), "ropelog");
        assert!(log.0.wait().unwrap().success());
        out.read_to_string(&mut lines).unwrap();
        let texts: Vec<_> = lines
            .lines()
            .map(|it| it.split_once(' ').unwrap().1)
            .collect();
        let expected = [
            "ropelog joins",
            "<ada> hello, log",
            "* ada waves",
            "ada sets the topic: ropes",
        ];
        assert_eq!(texts[..4], expected, "{lines}");
        ada.quit("").await;
        server.drain(Duration::ZERO, Duration::from_secs(10)).await;
    });
}

#[test]
fn irc_test() {
    let out = Example::command("irc_test").output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    assert_eq!(out.stdout, b"an hour passed, and the tea was ready\n");
}
