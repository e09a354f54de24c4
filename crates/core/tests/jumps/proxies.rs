//! `socks5:…` and `http-connect:…`, with proxies that play their part by a script.

use std::{io::Write as _, sync::Arc};

use ropewalk_core::{
    Address, BoxFuture, CancellationToken, ClientEndpoint, ConnectError, ConnectOptions,
    Connection, Peer, ProxyRefusal, Result, Route, Scheme, Schemes, Stream, endpoint::Description,
    testing::run_in_real_time, tls::TestCa,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener},
};

/// What a proxy expects, and what it answers.
type Script = Vec<(Vec<u8>, Vec<u8>)>;

/// Plays a script on a connection.
async fn play(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), script: Script) {
    for (expected, answer) in script {
        let mut heard = vec![0; expected.len()];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(
            heard.escape_ascii().to_string(),
            expected.escape_ascii().to_string()
        );
        stream.write_all(&answer).await.unwrap();
    }
}

/// A proxy that plays its script once; returns its port, and the connection when it has.
async fn proxy(script: Script) -> (u16, tokio::task::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        play(&mut stream, script).await;
        stream
    });
    (port, task)
}

/// SOCKS5's answer to a request for a name.
fn socks(name: &str, port: u16, then: &[u8]) -> Script {
    let length = u8::try_from(name.len()).unwrap();
    let mut request = vec![5, 1, 0, 3, length];
    request.extend(name.as_bytes());
    request.extend(port.to_be_bytes());
    let answer = [&b"\x05\0\0\x01\x7f\0\0\x01\0\x07"[..], then].concat();
    vec![
        (b"\x05\x01\0".to_vec(), b"\x05\0".to_vec()),
        (request, answer),
    ]
}

fn http(authority: &str, then: &[u8]) -> Script {
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let answer = [&b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"[..], then].concat();
    vec![(request.into_bytes(), answer)]
}

async fn connect(endpoint: &str) -> Result<Connection, ConnectError> {
    endpoint.parse::<ClientEndpoint>().unwrap().connect().await
}

async fn read(conn: &mut Connection, length: usize) -> String {
    let mut heard = vec![0; length];
    conn.read_exact(&mut heard).await.unwrap();
    String::from_utf8(heard).unwrap()
}

#[test]
fn a_banner_right_behind_the_answer_is_the_destinations() {
    run_in_real_time(async {
        for (script, scheme) in [
            (socks("mx.test", 25, b"220 hi"), "socks5"),
            (http("mx.test:25", b"220 hi"), "http-connect"),
        ] {
            let (port, task) = proxy(script).await;
            let endpoint = format!("{scheme}:127.0.0.1:{port}/tcp:mx.test:25");
            let mut conn = connect(&endpoint).await.unwrap();
            assert_eq!(conn.peer().address, Address::Other("mx.test:25".into()));
            assert_eq!(read(&mut conn, 6).await, "220 hi");
            conn.write_all(b"ehlo").await.unwrap();
            let mut far = task.await.unwrap();
            let mut heard = [0; 4];
            far.read_exact(&mut heard).await.unwrap();
            assert_eq!(&heard, b"ehlo");
        }
    });
}

#[test]
fn an_address_is_asked_for_as_one() {
    run_in_real_time(async {
        let request = b"\x05\x01\0\x01\xc0\0\x02\x01\0\x19".to_vec();
        let script = vec![
            (b"\x05\x01\0".to_vec(), b"\x05\0".to_vec()),
            (request, b"\x05\0\0\x01\0\0\0\0\0\0".to_vec()),
        ];
        let (port, task) = proxy(script).await;
        let endpoint = format!("socks5:127.0.0.1:{port}/tcp:192.0.2.1:25");
        let conn = connect(&endpoint).await.unwrap();
        assert_eq!(conn.peer().address.to_string(), "192.0.2.1:25");
        task.await.unwrap();
        // A name that is looked up here, too. localhost has two addresses, or one.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                play(
                    &mut stream,
                    vec![(b"\x05\x01\0".to_vec(), b"\x05\0".to_vec())],
                )
                .await;
                let mut kind = [0; 4];
                stream.read_exact(&mut kind).await.unwrap();
                let rest = if kind[3] == 1 { 6 } else { 18 };
                stream.read_exact(&mut vec![0; rest]).await.unwrap();
                // This proxy knows no IPv6.
                let reply = if kind[3] == 1 { 0 } else { 8 };
                stream
                    .write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                if reply == 0 {
                    return;
                }
            }
        });
        let endpoint = format!("socks5:127.0.0.1:{port}:resolve-locally/tcp:localhost:25");
        let conn = connect(&endpoint).await.unwrap();
        assert_eq!(conn.peer().address.to_string(), "127.0.0.1:25");
        task.await.unwrap();
    });
}

#[test]
fn one_proxy_leads_to_the_next() {
    run_in_real_time(async {
        let mut script = socks("b.test", 3128, b"");
        script.extend(http("c.test:1080", b""));
        script.extend(socks("mx.test", 25, b"220 hi"));
        let (port, task) = proxy(script).await;
        let endpoint = format!(
            "socks5:127.0.0.1:{port}/http-connect:b.test:3128/socks5:c.test:1080/tcp:mx.test:25"
        );
        let mut conn = connect(&endpoint).await.unwrap();
        assert_eq!(read(&mut conn, 6).await, "220 hi");
        task.await.unwrap();

        // A header stands where the endpoint says: before the proxy's, or behind it.
        let line = b"PROXY UNKNOWN\r\n";
        let mut before = socks("mx.test", 25, b"");
        before.insert(0, (line.to_vec(), Vec::new()));
        let (port, task) = proxy(before).await;
        let endpoint = format!("haproxy:version=1/socks5:127.0.0.1:{port}/tcp:mx.test:25");
        drop(connect(&endpoint).await.unwrap());
        task.await.unwrap();
        let mut behind = socks("mx.test", 25, b"");
        behind.push((line.to_vec(), Vec::new()));
        let (port, task) = proxy(behind).await;
        let endpoint = format!("socks5:127.0.0.1:{port}/haproxy:version=1/tcp:mx.test:25");
        drop(connect(&endpoint).await.unwrap());
        task.await.unwrap();
    });
}

#[test]
fn tls_runs_to_the_host_behind_the_proxy_and_to_the_proxy() {
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let server = ca.server(&["mx.test", "proxy.test"]).unwrap();
        let mut options = ConnectOptions::default();
        options.tls = Some(ca.client().unwrap());
        let hello = async |stream: Stream| {
            let mut stream = server.accept(stream).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.flush().await.unwrap();
            stream
        };

        // The certificate is for the host's name, whatever the proxy's is.
        let (port, task) = proxy(socks("mx.test", 993, b"")).await;
        let endpoint = format!("socks5:127.0.0.1:{port}/tls:mx.test:993");
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        // Prepared, too: what stands behind the jump is read in advance.
        let options = options.prepare(&endpoint).unwrap();
        let client = async {
            let mut conn = endpoint.connect_with(&options).await.unwrap();
            assert_eq!(read(&mut conn, 5).await, "hello");
            assert!(conn.peer().tls.is_some());
            assert_eq!(conn.peer().to_string(), "mx.test:993");
        };
        let far = async { hello(task.await.unwrap().into()).await };
        tokio::join!(client, far);

        let (port, task) = proxy(socks("evil.test", 993, b"")).await;
        let endpoint = format!("socks5:127.0.0.1:{port}/tls:evil.test:993");
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        let far = async { server.accept(task.await.unwrap().into()).await.is_err() };
        let (error, refused) = tokio::join!(endpoint.connect_with(&options), far);
        assert!(
            matches!(error, Err(ConnectError::Handshake { .. })),
            "{error:?}"
        );
        assert!(refused);

        // TLS with the proxy, and then with the host inside.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = format!("http-connect:127.0.0.1:{port}:tls:sni=proxy.test/tls:mx.test:993");
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        let client = async {
            let mut conn = endpoint.connect_with(&options).await.unwrap();
            assert_eq!(read(&mut conn, 5).await, "hello");
            let error = conn.read_to_end(&mut Vec::new()).await;
            drop((conn, error));
        };
        let far = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = server.accept(stream.into()).await.unwrap();
            play(&mut stream, http("mx.test:993", b"")).await;
            stream.flush().await.unwrap();
            drop(hello(stream).await);
        };
        tokio::join!(client, far);
    });
}

#[test]
fn a_password_comes_from_its_file_and_is_shown_nowhere() {
    run_in_real_time(async {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"hunter2\r\nsecond line\n").unwrap();
        let path = ropewalk_core::endpoint::quote(file.path().to_str().unwrap());
        let login = format!("user=ann:password-file={path}");
        let mut script = socks("mx.test", 25, b"");
        script[0] = (b"\x05\x02\0\x02".to_vec(), b"\x05\x02".to_vec());
        script.insert(1, (b"\x01\x03ann\x07hunter2".to_vec(), b"\x01\0".to_vec()));
        let (port, task) = proxy(script).await;
        let endpoint = format!("socks5:127.0.0.1:{port}:{login}/tcp:mx.test:25");
        connect(&endpoint).await.unwrap();
        task.await.unwrap();

        let request = "CONNECT mx.test:25 HTTP/1.1\r\nHost: mx.test:25\r\n\
            Proxy-Authorization: Basic YW5uOmh1bnRlcjI=\r\n\r\n";
        let answer = b"HTTP/1.1 407 No\r\n\r\n".to_vec();
        let (port, task) = proxy(vec![(request.into(), answer)]).await;
        let endpoint = format!("http-connect:127.0.0.1:{port}:{login}/tcp:mx.test:25");
        let error = connect(&endpoint).await.unwrap_err();
        task.await.unwrap();
        let ConnectError::Proxy { proxy, reason, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*proxy, format!("http-connect:127.0.0.1:{port}"));
        assert_eq!(*reason, ProxyRefusal::PasswordRefused);
        assert!(!format!("{error} {error:?}").contains("hunter2"));

        for (text, why) in [
            ("", "a first line of 1 to 255 bytes"),
            (&"x".repeat(300), "1 to 255"),
        ] {
            std::fs::write(file.path(), text).unwrap();
            let error = connect(&endpoint).await.unwrap_err();
            assert!(matches!(error, ConnectError::Password { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
        drop(file);
        let error = connect(&endpoint).await.unwrap_err();
        assert!(matches!(error, ConnectError::Password { .. }), "{error}");
    });
}

#[test]
fn what_a_proxy_refuses_is_told_apart() {
    run_in_real_time(async {
        let failure = async |script, scheme: &str, then_close: bool| {
            let (port, task) = proxy(script).await;
            let endpoint = format!("{scheme}:127.0.0.1:{port}/tcp:mx.test:25");
            let played = async {
                let stream = task.await.unwrap();
                (!then_close).then_some(stream)
            };
            let (result, _stream) = tokio::join!(connect(&endpoint), played);
            match result.unwrap_err() {
                ConnectError::Proxy { reason, .. } => reason,
                error => panic!("{error}"),
            }
        };
        let mut script = socks("mx.test", 25, b"");
        script[1].1 = b"\x05\x05\0\x01\0\0\0\0\0\0".to_vec();
        let reason = failure(script, "socks5", false).await;
        assert_eq!(reason, ProxyRefusal::ConnectionRefused);
        let mut script = socks("mx.test", 25, b"");
        script[1].1.truncate(4);
        assert_eq!(failure(script, "socks5", true).await, ProxyRefusal::Closed);
        let mut script = http("mx.test:25", b"");
        script[0].1 = b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec();
        let reason = failure(script, "http-connect", false).await;
        assert_eq!(
            reason.to_string(),
            r#"the proxy answered 502 "Bad Gateway""#
        );
    });
}

#[test]
fn a_proxy_that_is_not_there_or_says_nothing_is_what_the_error_names() {
    run_in_real_time(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = format!("socks5:127.0.0.1:{port}:timeout=0.05/tcp:mx.test:25");
        let error = connect(&endpoint).await.unwrap_err();
        let ConnectError::TimedOut { endpoint: named } = &error else {
            panic!("{error}");
        };
        assert_eq!(*named, format!("socks5:127.0.0.1:{port}"));
        // The last endpoint's time is that of all.
        let all = format!("socks5:127.0.0.1:{port}/tcp:mx.test:25:timeout=0.05");
        let error = connect(&all).await.unwrap_err();
        let ConnectError::TimedOut { endpoint: named } = &error else {
            panic!("{error}");
        };
        assert_eq!(*named, all);
        drop(listener);
        let error = connect(&endpoint).await.unwrap_err();
        let ConnectError::Refused { endpoint: named } = &error else {
            panic!("{error}");
        };
        assert_eq!(*named, format!("tcp:127.0.0.1:{port}:timeout=0.05"));
    });
}

#[test]
fn connecting_is_cancelled_by_its_token_and_by_dropping_it() {
    run_in_real_time(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let endpoint = format!("http-connect:127.0.0.1:{port}/tls:mx.test:25");
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        let mut options = ConnectOptions::default();
        let cancel = CancellationToken::new();
        options.cancel = Some(cancel.clone());
        let asked = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            cancel.cancel();
            // The proxy sees the end of it.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let (result, ()) = tokio::join!(endpoint.connect_with(&options), asked);
        let error = result.unwrap_err();
        assert!(matches!(error, ConnectError::Cancelled { .. }), "{error}");
        assert_eq!(
            error.to_string(),
            format!("cannot connect to {endpoint}: cancelled")
        );

        let connecting = tokio::spawn(async move { endpoint.connect().await });
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        connecting.abort();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        assert!(connecting.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_proxy_may_be_on_a_unix_socket() {
    run_in_real_time(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            play(&mut stream, socks("mx.test", 25, b"220 hi")).await;
        });
        let path = ropewalk_core::endpoint::quote(path.to_str().unwrap());
        let endpoint = format!("socks5:unix={path}/tcp:mx.test:25");
        let mut conn = connect(&endpoint).await.unwrap();
        assert_eq!(read(&mut conn, 6).await, "220 hi");
        task.await.unwrap();
    });
}

/// `ssh:` as another crate would bring it: it reaches its host by the route, and leads on from
/// there. In the place of SSH it says in a line where it goes.
struct Bastion(Arc<std::sync::Mutex<Vec<String>>>);

impl Scheme for Bastion {
    fn name(&self) -> &str {
        "ssh"
    }

    fn jump<'a>(
        &'a self,
        description: &'a Description,
        to: &'a ClientEndpoint,
        route: &'a Route<'a>,
    ) -> BoxFuture<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            let at = description.positional(0).unwrap_or_default();
            let host = at.rsplit('@').next().unwrap_or_default();
            let port = description.positional(1).unwrap_or("22");
            let bastion: ClientEndpoint = format!("tcp:{host}:{port}").parse()?;
            let mut conn = route.connect(&bastion).await?;
            self.0.lock().unwrap().push(to.to_string());
            let line = format!("to {to}\n");
            let sent = conn.write_all(line.as_bytes()).await;
            sent.map_err(|source| ConnectError::new(to.to_string(), source))?;
            let (stream, _) = conn.into_parts();
            let peer = Peer::new(Address::Other(to.to_string().into()));
            Ok(Connection::new(stream, peer, Address::Other(at.into())))
        })
    }
}

#[test]
fn a_scheme_of_another_crate_is_a_jump() {
    run_in_real_time(async {
        let went = Arc::default();
        let mut options = ConnectOptions::default();
        options.schemes = Schemes::new().add(Bastion(Arc::clone(&went)));
        let connect = async |endpoint: String| {
            let endpoint: ClientEndpoint = endpoint.parse().unwrap();
            endpoint.connect_with(&options).await
        };
        let to = |place: &str| vec![(format!("to {place}\n").into_bytes(), b"220 hi".to_vec())];
        let (port, task) = proxy(to("tcp:inner:143")).await;
        let conn = connect(format!("ssh:user@127.0.0.1:{port}/tcp:inner:143")).await;
        let mut conn = conn.unwrap();
        assert_eq!(read(&mut conn, 6).await, "220 hi");
        task.await.unwrap();

        // Behind a proxy, before another one, and to what only it can reach.
        let mut script = socks("bastion", 22, b"");
        script.extend(to("tcp:inner:1080"));
        script[2].1.clear();
        script.extend(socks("mx.test", 25, b"220 hi"));
        let (port, task) = proxy(script).await;
        let endpoint =
            format!("socks5:127.0.0.1:{port}/ssh:me@bastion/socks5:inner:1080/tcp:mx.test:25");
        let mut conn = connect(endpoint).await.unwrap();
        assert_eq!(read(&mut conn, 6).await, "220 hi");
        task.await.unwrap();
        let (port, task) = proxy(to("exec:cat /etc/hosts")).await;
        connect(format!("ssh:me@127.0.0.1:{port}/exec:cat /etc/hosts"))
            .await
            .unwrap();
        task.await.unwrap();
        assert_eq!(
            *went.lock().unwrap(),
            ["tcp:inner:143", "tcp:inner:1080", "exec:cat /etc/hosts"]
        );
        let error = "ssh:a/tcp:b:1"
            .parse::<ClientEndpoint>()
            .unwrap()
            .connect()
            .await;
        let error = error.unwrap_err();
        assert!(matches!(error, ConnectError::Unsupported { .. }), "{error}");
    });
}

/// TLS comes after what another crate's jump makes.
#[test]
fn tls_runs_inside_a_jump_of_another_crate() {
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let mut options = ConnectOptions::default();
        options.schemes = Schemes::new().add(Bastion(Arc::default()));
        options.tls = Some(ca.client().unwrap());
        let script = vec![(b"to tcp:inner:993\n".to_vec(), Vec::new())];
        let (port, task) = proxy(script).await;
        let endpoint = format!("ssh:me@127.0.0.1:{port}/tls:inner:993:sni=lab.test");
        let endpoint: ClientEndpoint = endpoint.parse().unwrap();
        let server = ca.server(&["lab.test"]).unwrap();
        let far = async { server.accept(task.await.unwrap().into()).await.unwrap() };
        let (conn, _far) = tokio::join!(endpoint.connect_with(&options), far);
        assert!(conn.unwrap().peer().tls.is_some());
    });
}

/// A client's own address and port, and the errors about them.
#[test]
fn the_local_address_and_port_are_what_was_asked_for() {
    run_in_real_time(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = free.local_addr().unwrap().port();
        let endpoint = format!("tcp:127.0.0.1:{port}:bind-port={own}:keepalive=60");
        let error = connect(&endpoint).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::AddressInUse { .. }),
            "{error}"
        );
        drop(free);
        let conn = connect(&endpoint).await.unwrap();
        assert_eq!(conn.local().inet().unwrap().port(), own);
        let (_stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.port(), own);
        let endpoint = format!("tcp:127.0.0.1:{port}:bind=127.0.0.3");
        let conn = connect(&endpoint).await.unwrap();
        assert_eq!(conn.local().inet().unwrap().ip().to_string(), "127.0.0.3");
    });
}

#[test]
#[cfg(target_os = "linux")]
fn no_way_is_said_as_such() {
    // ENETUNREACH and EHOSTUNREACH; which addresses they are said of is the machine's affair.
    for number in [101, 113] {
        let source = std::io::Error::from_raw_os_error(number);
        let error = ConnectError::new("tcp:h:1", source);
        assert!(matches!(error, ConnectError::NoRoute { .. }), "{error}");
    }
}
