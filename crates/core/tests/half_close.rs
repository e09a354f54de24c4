//! One side of a connection ends before the other: by us, by the peer, and by
//! both; and what a peer sees of an abort, which ends both at once.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are test too")]

use std::{
    io::{self, ErrorKind, Read},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    Bytes, Client, ClientEndpoint, Closed, ConnectOptions, Deadline, Input, Limits, Protocol,
    Result, Schemes, Server, ServerEndpoint, ServerOptions, Transport, Violation, each, protocol,
    testing::{Dialogue, Pair, Rig, run_in_real_time},
    tls::TestCa,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Says how much came once the peer has said all.
#[derive(Default)]
struct Count(usize);

impl Protocol for Count {
    type Message = ();
    type Timer = ();

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        self.0 += data.take_all().len();
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(format_args!("{}\n", self.0));
        t.close();
        Ok(())
    }
}

/// Says something, streams a body, ends its side, and hears the answer.
#[derive(Default)]
struct Ask {
    heard: Vec<u8>,
}

/// Bytes of the body.
const BODY: usize = 300_000;

impl Protocol for Ask {
    type Message = ();
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write("12345");
        let pieces = (0..BODY / 1000).map(|_| Ok(Bytes::from(vec![b'.'; 1000])));
        t.send_stream(futures_util::stream::iter(pieces), ());
        t.write("67890");
        t.finish();
        assert!(t.is_finished() && !t.is_closing());
        Ok(())
    }

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        self.heard.extend_from_slice(&data.take_all());
        Ok(())
    }
}

/// Runs both protocols over an endpoint; says how the asker ended.
async fn ask(listen: &str, options: ServerOptions, connect: ConnectOptions) -> (Vec<u8>, Closed) {
    let endpoint: ServerEndpoint = listen.parse().unwrap();
    let server = endpoint
        .listen_with(each::<Count>(), options)
        .await
        .unwrap();
    let endpoint = match server.port() {
        Some(port) => format!("{}:127.0.0.1:{port}", endpoint.scheme()),
        None => listen.to_owned(),
    };
    let endpoint: ClientEndpoint = endpoint.parse().unwrap();
    let conn = endpoint.connect_with(&connect).await.unwrap();
    let (ask, why) = conn.run(Ask::default()).await;
    server.until_connections(|open| open == 0).await;
    drop(server);
    (ask.heard, why)
}

#[test]
fn the_answer_comes_after_all_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let schemes = Schemes::new();
        let unix = format!("unix:{}", socket.display());
        for endpoint in ["tcp:0", "tls:0", &unix, "mem:ask"] {
            let mut options = ServerOptions::from(schemes.clone());
            options.tls = Some(ca.server(&["127.0.0.1"]).unwrap());
            let mut connect = ConnectOptions::default();
            connect.schemes = schemes.clone();
            connect.tls = Some(ca.client().unwrap());
            let (heard, why) = ask(endpoint, options, connect).await;
            assert_eq!(
                String::from_utf8(heard).unwrap(),
                format!("{}\n", BODY + 10),
                "{endpoint}"
            );
            assert!(matches!(why, Closed::Peer), "{endpoint}: {why}");
        }
        // A child sees the end of its standard input.
        let endpoint: ClientEndpoint = "exec:wc -c".parse().unwrap();
        let (ask, why) = endpoint.connect().await.unwrap().run(Ask::default()).await;
        let heard = String::from_utf8(ask.heard).unwrap();
        assert_eq!(heard.trim(), (BODY + 10).to_string());
        assert!(
            matches!(why, Closed::Exit(status) if status.success()),
            "{why}"
        );
    });
}

#[test]
fn a_server_may_end_its_side_first() {
    /// Greets, says no more, and writes down what it is told.
    struct Listen(Arc<Mutex<(String, Option<Closed>)>>);
    impl Protocol for Listen {
        type Message = ();
        type Timer = ();
        fn connected(&mut self, t: &mut Transport<Self>) -> Result {
            t.write("go on\n");
            t.finish();
            Ok(())
        }
        fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
            let mut heard = self.0.lock().unwrap();
            heard.0 += str::from_utf8(&data.take_all())?;
            Ok(())
        }
        /// Both sides have ended, so there is nothing to close.
        fn half_closed(&mut self, _: &mut Transport<Self>) -> Result {
            self.0.lock().unwrap().0 += " told";
            Ok(())
        }
        fn closed(&mut self, why: Closed) {
            self.0.lock().unwrap().1 = Some(why);
        }
    }
    run_in_real_time(async {
        let heard = Arc::new(Mutex::new((String::new(), None)));
        let told = heard.clone();
        let server: ServerEndpoint = "tcp:0".parse().unwrap();
        let server = server
            .listen(protocol(move |_| Listen(told.clone())))
            .await
            .unwrap();
        let mut peer = tokio::net::TcpStream::connect(("127.0.0.1", server.port().unwrap()))
            .await
            .unwrap();
        let mut said = String::new();
        peer.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "go on\n");
        for word in ["one ", "two"] {
            peer.write_all(word.as_bytes()).await.unwrap();
        }
        assert_eq!(server.connections().len(), 1, "it still listens");
        peer.shutdown().await.unwrap();
        server.until_connections(|open| open == 0).await;
        drop(server);
        let heard = heard.lock().unwrap();
        assert_eq!(heard.0, "one two told");
        assert!(matches!(heard.1, Some(Closed::Peer)), "{:?}", heard.1);
    });
}

#[test]
fn what_is_written_after_the_end_is_an_error() {
    #[derive(Default)]
    struct Late;
    impl Protocol for Late {
        type Message = ();
        type Timer = ();
        fn connected(&mut self, t: &mut Transport<Self>) -> Result {
            t.write("last words");
            t.finish();
            Ok(())
        }
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            match &data.take_all()[..] {
                b"write" => t.write("more"),
                b"stream" => t.send_stream(futures_util::stream::empty(), ()),
                b"finish" => t.finish(),
                _ => {
                    t.write("more");
                    t.close();
                }
            }
            Ok(())
        }
    }
    for way in ["write", "stream", "write and close"] {
        let mut rig = Rig::new(Late);
        rig.receive(way);
        assert_eq!(rig.sent(), b"last words");
        let Some(Closed::Failed(error)) = rig.closed() else {
            panic!("{way}: {:?}", rig.closed());
        };
        let violation = error.downcast_ref::<Violation>();
        assert_eq!(violation, Some(&Violation::Finished), "{way}");
    }
    let mut rig = Rig::new(Late);
    rig.receive("finish");
    assert!(!rig.is_closed(), "twice is once");
}

#[test]
fn a_pair_and_a_transcript_know_it() {
    let mut pair = Pair::new(Ask::default(), Count::default()).segments(1000);
    pair.run();
    assert!(pair.client.is_closed() && pair.server.is_closed());
    let expected = format!("{}\n", BODY + 10);
    assert_eq!(pair.client.protocol().heard, expected.as_bytes());

    /// Answers one line, and takes note of the rest.
    struct Answer;
    impl Protocol for Answer {
        type Message = ();
        type Timer = ();
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            while let Some(line) = data.line(100)? {
                if line == b"QUIT" {
                    t.write("bye\r\n");
                    t.finish();
                }
            }
            Ok(())
        }
    }
    let text = "C: HELLO\nC: QUIT\nS: bye\n(finished)\nC: and another thing\n(eof)\n(closed)\n";
    let dialogue: Dialogue = text.parse().unwrap();
    assert_eq!(dialogue.over_rig(&mut Rig::new(Answer)), text);
    run_in_real_time(async {
        let server: ServerEndpoint = "tcp:0".parse().unwrap();
        let server = server.listen(protocol(|_| Answer)).await.unwrap();
        let endpoint = format!("tcp:127.0.0.1:{}", server.port().unwrap());
        let peer = endpoint.parse::<ClientEndpoint>().unwrap().connect().await;
        assert_eq!(dialogue.over(peer.unwrap()).await.unwrap(), text);
        server.until_connections(|open| open == 0).await;
        drop(server);
    });
}

/// Aborts at its first input, which it takes or leaves unread.
struct Abort {
    takes: bool,
}

impl Protocol for Abort {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        if self.takes {
            data.take_all();
        }
        t.write("never said");
        t.abort();
        Ok(())
    }
}

#[test]
fn an_abort_is_a_reset_where_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let unix = format!("unix:{}", socket.display());
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let schemes = Schemes::new();
        for endpoint in ["tcp:0", "tls:0", &unix, "mem:abort"] {
            let mut options = ServerOptions::from(schemes.clone());
            options.tls = Some(ca.server(&["127.0.0.1"]).unwrap());
            let listen: ServerEndpoint = endpoint.parse().unwrap();
            let handler = protocol(|_| Abort { takes: true });
            let server = listen.listen_with(handler, options).await.unwrap();
            let connect = match server.port() {
                Some(port) => format!("{}:127.0.0.1:{port}", listen.scheme()),
                None => endpoint.to_owned(),
            };
            let mut options = ConnectOptions::default();
            options.schemes = schemes.clone();
            options.tls = Some(ca.client().unwrap());
            let connect: ClientEndpoint = connect.parse().unwrap();
            let mut peer = connect.connect_with(&options).await.unwrap();
            peer.write_all(b"x").await.unwrap();
            peer.flush().await.unwrap();
            let end = peer.read(&mut [0; 20]).await;
            match endpoint {
                "tcp:0" | "tls:0" => {
                    let error = end.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{endpoint}");
                }
                _ => assert_eq!(end.unwrap(), 0, "{endpoint}"),
            }
            drop(peer);
            server.until_connections(|open| open == 0).await;
            drop(server);
        }
    });
}

#[test]
fn a_protocol_of_ours_hears_of_a_reset() {
    run_in_real_time(async {
        let server: ServerEndpoint = "tcp:0".parse().unwrap();
        let handler = protocol(|_| Abort { takes: false });
        let server = server.listen(handler).await.unwrap();
        let endpoint = format!("tcp:127.0.0.1:{}", server.port().unwrap());
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        let (_, why) = endpoint.connect().await.unwrap().run(Ask::default()).await;
        assert!(matches!(why, Closed::Reset), "{why}");
        server.until_connections(|open| open == 0).await;
        drop(server);
    });
}

/// Says something to a child, and closes.
struct Dismiss;

impl Protocol for Dismiss {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.write(Bytes::from(vec![b'x'; BODY]));
        t.close();
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
        panic!("it has closed");
    }
}

async fn dismiss(command: &str, limits: Limits) -> Closed {
    let endpoint: ClientEndpoint = format!("exec:{command}").parse().unwrap();
    let mut options = ConnectOptions::default();
    options.limits = limits;
    let conn = endpoint.connect_with(&options).await.unwrap();
    Client::start(conn, Dismiss).closed().await
}

#[test]
fn a_child_may_say_all_it_has_before_it_ends() {
    run_in_real_time(async {
        // More than a pipe holds: while it listens, and when it has heard all.
        for command in [
            "sh -c 'cat; exit 3'",
            "sh -c 'cat >/dev/null; head -c 1000000 /dev/zero; exit 3'",
            "sh -c 'exec >&-; cat >/dev/null; exit 3'",
        ] {
            let why = dismiss(command, Limits::client()).await;
            let Closed::Exit(status) = why else {
                panic!("{command}: {why}");
            };
            assert_eq!(status.code(), Some(3), "{command}");
        }
        // It does not end, with and without a word.
        for command in [
            "sh -c 'cat >/dev/null; yes'",
            "sh -c 'cat >/dev/null; exec sleep 1000'",
        ] {
            let mut limits = Limits::client();
            limits.close = Duration::from_millis(100);
            let why = dismiss(command, limits).await;
            assert!(
                matches!(why, Closed::TimedOut(Deadline::Close)),
                "{command}: {why}"
            );
        }
    });
}

/// Runs a client program against a server; what it says, once both have ended.
async fn against(server: Server, program: &mut Command, says: &str) -> String {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let says = says.to_owned();
    let heard = tokio::task::spawn_blocking(move || {
        io::Write::write_all(&mut stdin, says.as_bytes())?;
        drop(stdin);
        let mut heard = String::new();
        child.stdout.take().unwrap().read_to_string(&mut heard)?;
        child.wait()?;
        io::Result::Ok(heard)
    });
    let heard = heard.await.unwrap().unwrap();
    server.until_connections(|open| open == 0).await;
    drop(server);
    heard
}

async fn counter() -> Server {
    let server: ServerEndpoint = "tcp:0".parse().unwrap();
    server.listen(each::<Count>()).await.unwrap()
}

mod with_socat {
    use super::*;

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn it_ends_its_side_and_hears_the_answer() {
        run_in_real_time(async {
            let server = counter().await;
            let address = format!("TCP:127.0.0.1:{},shut-down", server.port().unwrap());
            let mut socat = Command::new("socat");
            socat.args(["-t", "10", "-", &address]);
            assert_eq!(against(server, &mut socat, "four").await, "4\n");
        });
    }

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn it_is_asked_by_one_that_ends_its_side() {
        run_in_real_time(async {
            // A child on its standard streams, whose own child sees our end.
            let endpoint: ClientEndpoint = "exec:socat -t 10 - \"EXEC:wc -c\"".parse().unwrap();
            let (ask, why) = endpoint.connect().await.unwrap().run(Ask::default()).await;
            let heard = String::from_utf8(ask.heard).unwrap();
            assert_eq!(heard.trim(), (BODY + 10).to_string());
            assert!(
                matches!(why, Closed::Exit(status) if status.success()),
                "{why}"
            );
        });
    }
}

mod with_nc {
    use super::*;

    #[test]
    #[ignore = "needs nc; cargo xtask test runs it where it is installed"]
    fn it_ends_its_side_and_hears_the_answer() {
        run_in_real_time(async {
            let server = counter().await;
            let port = server.port().unwrap().to_string();
            let mut nc = Command::new("nc");
            nc.args(["-N", "127.0.0.1", &port]);
            assert_eq!(against(server, &mut nc, "four").await, "4\n");
        });
    }
}
