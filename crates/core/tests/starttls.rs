//! TLS from the middle of a connection, on both sides: nothing that came
//! before is read as if it came after, and both know what was agreed upon.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]
#![cfg(feature = "tls")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    Client, Closed, ConnectOptions, Connection, Input, Limits, Protocol, Reply, Result, Schemes,
    Server, ServerEndpoint, ServerOptions, Transport, each, protocol, testing,
    tls::{ServerName, TestCa, TlsClient, TlsInfo, TlsServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

/// What a side knows, and how it ended.
type Facts = Arc<Mutex<(Option<Arc<TlsInfo>>, Option<Closed>)>>;

/// Answers `STARTTLS` with `go ahead`, and after that each line with itself.
struct Host {
    tls: TlsServer,
    facts: Facts,
}

impl Protocol for Host {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        match data.line(100)? {
            Some(b"STARTTLS") => {
                t.write("go ahead\n");
                t.start_tls(&self.tls);
            }
            Some(line) => {
                let line = [line, b"\n"].concat();
                t.write(line);
            }
            None => {}
        }
        Ok(())
    }
    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        self.facts.lock().unwrap().0 = t.peer().tls.clone();
        t.write("safe\n");
        Ok(())
    }
    fn closed(&mut self, why: Closed) {
        self.facts.lock().unwrap().1 = Some(why);
    }
}

/// Asks for TLS, and then whatever it is asked.
struct Guest {
    tls: TlsClient,
    name: ServerName<'static>,
    /// Sent with `STARTTLS`, in the same breath.
    injected: &'static str,
    facts: Facts,
    asked: Option<Reply<String>>,
    safe: bool,
}

impl Protocol for Guest {
    type Message = Reply<String>;
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(format_args!("STARTTLS\n{}", self.injected));
        Ok(())
    }
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        while let Some(line) = data.line(100)? {
            match line {
                b"go ahead" => {
                    t.start_tls_client(&self.tls, &self.name);
                    break;
                }
                b"safe" => {
                    self.safe = true;
                    t.write("hello\n");
                }
                line => {
                    let line = String::from_utf8_lossy(line).into_owned();
                    assert!(self.safe, "{line} came before TLS");
                    if let Some(asked) = self.asked.take() {
                        asked.send(line);
                    }
                }
            }
        }
        Ok(())
    }
    fn message(&mut self, _: &mut Transport<Self>, asked: Reply<String>) -> Result {
        self.asked = Some(asked);
        Ok(())
    }
    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        self.facts.lock().unwrap().0 = t.peer().tls.clone();
        Ok(())
    }
    fn closed(&mut self, why: Closed) {
        self.facts.lock().unwrap().1 = Some(why);
    }
}

/// What a conversation came to: the answer or why there is none, and what
/// either side knows.
struct Outcome {
    answer: Result<String, Closed>,
    host: (Option<Arc<TlsInfo>>, Option<Closed>),
    guest: (Option<Arc<TlsInfo>>, Option<Closed>),
}

async fn meet(
    endpoint: &'static str,
    tls: TlsServer,
    client: TlsClient,
    name: &'static str,
    injected: &'static str,
) -> Outcome {
    let (host, guest) = (Facts::default(), Facts::default());
    let mut options = ConnectOptions::default();
    options.schemes = Schemes::new();
    let facts = host.clone();
    let make = protocol(move |_| Host {
        tls: tls.clone(),
        facts: facts.clone(),
    });
    let server: ServerEndpoint = endpoint.parse().unwrap();
    let served = ServerOptions::from(options.schemes.clone());
    let server = server.listen_with(make, served).await.unwrap();
    let endpoint: ropewalk_core::ClientEndpoint = server.local_endpoint().parse().unwrap();
    let connection = endpoint.connect_with(&options).await.unwrap();
    let protocol = Guest {
        tls: client,
        name: ServerName::try_from(name).unwrap(),
        injected,
        facts: guest.clone(),
        asked: None,
        safe: false,
    };
    let client = Client::start(connection, protocol);
    let answer = client.ask(|reply| reply).await;
    drop(client);
    server.until_connections(|open| open == 0).await;
    while guest.lock().unwrap().1.is_none() {
        tokio::task::yield_now().await;
    }
    let take = |facts: Facts| std::mem::take(&mut *facts.lock().unwrap());
    Outcome {
        answer,
        host: take(host),
        guest: take(guest),
    }
}

#[test]
fn both_sides_go_on_with_tls_and_know_the_same() {
    let ca = TestCa::new().unwrap();
    let tls = ca.server(&["mail.test"]).unwrap().alpn(&["b", "a"]);
    let client = ca.client().unwrap().alpn(&["a", "b"]);
    let check = async |endpoint| {
        let met = meet(endpoint, tls.clone(), client.clone(), "mail.test", "").await;
        assert_eq!(met.answer.unwrap(), "hello");
        let (host, guest) = (met.host.0.unwrap(), met.guest.0.unwrap());
        assert_eq!(
            host.alpn.as_deref(),
            Some(&b"b"[..]),
            "as the server prefers"
        );
        assert_eq!(guest.alpn, host.alpn);
        assert_eq!(
            (host.sni.as_deref(), &guest.sni),
            (Some("mail.test"), &None)
        );
        assert_eq!(host.version, guest.version);
        assert!(host.exporter.is_some(), "a channel to bind to");
        assert_eq!(host.exporter, guest.exporter);
        assert_eq!((host.certificates.len(), guest.certificates.len()), (0, 1));
        assert!(matches!(met.host.1, Some(Closed::Peer)), "{:?}", met.host.1);
        assert!(
            matches!(met.guest.1, Some(Closed::Local)),
            "{:?}",
            met.guest.1
        );
        host.exporter
    };
    let first = testing::run(check("mem:starttls"));
    let second = testing::run_in_real_time(check("tcp:0"));
    assert_ne!(first, second, "it is of one channel alone");
}

/// CVE-2011-0411: what stands behind STARTTLS came in the clear.
#[test]
fn what_was_injected_behind_the_request_is_refused() {
    let ca = TestCa::new().unwrap();
    for endpoint in ["mem:starttls", "tcp:0"] {
        let tls = ca.server(&["mail.test"]).unwrap();
        let client = ca.client().unwrap();
        let met = testing::run_in_real_time(meet(endpoint, tls, client, "mail.test", "DELETE\n"));
        met.answer.unwrap_err();
        assert!(
            met.host.0.is_none() && met.guest.0.is_none(),
            "no TLS began"
        );
        let why = met.host.1.unwrap().to_string();
        assert_eq!(why, "failed: 7 bytes came before the stream was upgraded");
    }
}

/// And the same the other way: a server's word in the clear is not taken for
/// one that is safe.
#[test]
fn what_was_injected_behind_the_answer_is_refused() {
    let ca = TestCa::new().unwrap();
    let facts = Facts::default();
    let guest = Guest {
        tls: ca.client().unwrap(),
        name: ServerName::try_from("mail.test").unwrap(),
        injected: "",
        facts: facts.clone(),
        asked: None,
        safe: false,
    };
    let mut rig = testing::Rig::new(guest);
    rig.receive("go ahead\nsafe\n");
    let why = rig.closed().unwrap().to_string();
    assert_eq!(why, "failed: 5 bytes came before the stream was upgraded");
}

#[test]
fn a_handshake_that_fails_ends_both() {
    let (ca, other) = (TestCa::new().unwrap(), TestCa::new().unwrap());
    for (trust, name, expected) in [
        (&other, "mail.test", "invalid peer certificate"),
        (&ca, "else.test", "not valid for name"),
    ] {
        let tls = ca.server(&["mail.test"]).unwrap();
        let met = testing::run(meet("mem:starttls", tls, trust.client().unwrap(), name, ""));
        let why = met.answer.unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
        assert!(met.guest.0.is_none());
        assert!(
            matches!(met.host.1, Some(Closed::Failed(_))),
            "{:?}",
            met.host.1
        );
    }
}

#[test]
fn a_peer_that_asks_for_tls_and_is_silent_is_given_up() {
    testing::run(async {
        let facts = Facts::default();
        let schemes = Schemes::new();
        let tls = TestCa::new().unwrap().server(&["mail.test"]).unwrap();
        let shared = facts.clone();
        let make = protocol(move |_| Host {
            tls: tls.clone(),
            facts: shared.clone(),
        });
        let endpoint: ServerEndpoint = "mem:starttls".parse().unwrap();
        let options = ServerOptions::from(schemes.clone());
        let _server = endpoint.listen_with(make, options).await.unwrap();
        let mut peer = schemes
            .connect(&"mem:starttls".parse().unwrap())
            .await
            .unwrap();
        peer.write_all(b"STARTTLS\n").await.unwrap();
        let begun = Instant::now();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        assert_eq!(
            (heard.as_str(), begun.elapsed()),
            ("go ahead\n", Limits::default().handshake)
        );
        let why = facts.lock().unwrap().1.take().unwrap().to_string();
        assert_eq!(why, "timed out: the handshake did not end");
    });
}

/// Messages wait for the upgrade, so that none is answered in the clear.
#[test]
fn what_is_sent_during_an_upgrade_waits_for_its_end() {
    struct Secret(TlsServer);
    impl Protocol for Secret {
        type Message = &'static str;
        type Timer = ();
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            data.take_all();
            // More than the stream takes at once, so that the change waits.
            t.write(vec![b'.'; 40_000]);
            t.write(vec![b'.'; 40_000]);
            t.start_tls(&self.0);
            let handle = t.handle();
            assert!(handle.try_send("secret").is_ok());
            t.defer(async { "secret" });
            Ok(())
        }
        fn message(&mut self, t: &mut Transport<Self>, secret: &'static str) -> Result {
            assert!(t.peer().tls.is_some(), "in the clear");
            t.write(secret);
            Ok(())
        }
    }
    testing::run(async {
        let ca = TestCa::new().unwrap();
        let tls = ca.server(&["mail.test"]).unwrap();
        let schemes = Schemes::new();
        let endpoint: ServerEndpoint = "mem:starttls".parse().unwrap();
        let make = protocol(move |_| Secret(tls.clone()));
        let options = ServerOptions::from(schemes.clone());
        let _server: Server = endpoint.listen_with(make, options).await.unwrap();
        let mut peer = schemes
            .connect(&"mem:starttls".parse().unwrap())
            .await
            .unwrap();
        peer.write_all(b"STARTTLS\n").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        peer.read_exact(&mut [0; 80_000]).await.unwrap();
        let client = ca.client().unwrap();
        let name = ServerName::try_from("mail.test").unwrap();
        let mut safe = peer
            .wrap(|stream| client.connect(stream, name))
            .await
            .unwrap();
        let mut heard = [0; 12];
        safe.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"secretsecret");
    });
}

/// Hands over with what it has not read.
#[derive(Default)]
struct Porter;

impl Protocol for Porter {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        if data.line(100)?.is_some() {
            t.write("this way\n");
            t.hand_over(async |mut c: Connection| {
                let mut all = String::new();
                c.read_to_string(&mut all).await?;
                c.write_all(all.to_uppercase().as_bytes()).await?;
                Ok(c.shutdown().await?)
            });
        }
        Ok(())
    }
}

#[test]
fn a_handler_gets_what_was_left_over_first() {
    for segments in [
        &["in\nleft ", "over"][..],
        &["in\n", "left over"],
        &["in\nleft over"],
    ] {
        testing::run(async {
            let schemes = Schemes::new();
            let endpoint: ServerEndpoint = "mem:starttls".parse().unwrap();
            let options = ServerOptions::from(schemes.clone());
            let _server = endpoint
                .listen_with(each::<Porter>(), options)
                .await
                .unwrap();
            let mut peer = schemes
                .connect(&"mem:starttls".parse().unwrap())
                .await
                .unwrap();
            for segment in segments {
                peer.write_all(segment.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            peer.shutdown().await.unwrap();
            let mut heard = String::new();
            peer.read_to_string(&mut heard).await.unwrap();
            assert_eq!(heard, "this way\nLEFT OVER");
        });
    }
}
