//! `haproxy/…`: who a connection is from when a proxy says so, and who may say so.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{
    Address, Client, ClientEndpoint, Closed, ConnectOptions, Connection, Input, Limits, Peer,
    Protocol, Result, Schemes, Server, ServerEndpoint, ServerOptions, Transport, each, testing,
    tls::TestCa,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::log::heard;

/// Says who the client is, by what address it came in, and by whom.
async fn whoami(mut conn: Connection) -> Result {
    let peer = conn.peer();
    let by = peer
        .proxied
        .as_ref()
        .map_or("nobody".to_owned(), |p| p.to_string());
    let said = format!("{peer} to {} by {by}\n", conn.local());
    conn.write_all(said.as_bytes()).await?;
    conn.flush().await?;
    // What follows the header is for whoever serves.
    let mut rest = String::new();
    conn.read_to_string(&mut rest).await?;
    conn.write_all(rest.as_bytes()).await?;
    Ok(conn.shutdown().await?)
}

async fn serve(endpoint: &str, options: impl Into<ServerOptions>) -> Server {
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    endpoint.listen_with(whoami, options).await.unwrap()
}

fn options(schemes: &Schemes) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.schemes = schemes.clone();
    options
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse().unwrap())
}

/// Sends bytes, ends its side, and hears the rest.
async fn answer(mut conn: Connection, bytes: &[u8]) -> String {
    conn.write_all(bytes).await.unwrap();
    let _ = conn.shutdown().await;
    let mut heard = String::new();
    let _ = conn.read_to_string(&mut heard).await;
    heard
}

#[test]
fn the_client_is_who_the_proxy_says_it_is() {
    testing::run(async {
        let schemes = Schemes::new();
        let server = serve("haproxy/mem:x", schemes.clone()).await;
        let raw: ClientEndpoint = "mem:x".parse().unwrap();
        for (header, said) in [
            (
                &b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"[..],
                "192.0.2.1:56324 to 198.51.100.1:443 by x\n",
            ),
            (b"PROXY UNKNOWN\r\n", "x to x by nobody\n"),
            (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "x to x by nobody\n"),
            (
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb",
                "192.0.2.1:56324 to 198.51.100.1:443 by x\n",
            ),
        ] {
            let conn = schemes.connect(&raw).await.unwrap();
            let bytes = [header, b"and more"].concat();
            assert_eq!(answer(conn, &bytes).await, format!("{said}and more"));
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

#[test]
fn our_own_header_is_understood() {
    testing::run(async {
        let schemes = Schemes::new();
        let server = serve("haproxy/mem:x", schemes.clone()).await;
        let mut options = options(&schemes);
        for version in [1, 2] {
            let endpoint = format!("haproxy:version={version}/mem:x");
            let endpoint: ClientEndpoint = endpoint.parse().unwrap();
            options.on_behalf_of = None;
            let conn = endpoint.connect_with(&options).await.unwrap();
            assert_eq!(answer(conn, b"").await, "x to x by nobody\n");
            options.on_behalf_of = Some((inet("192.0.2.7:7"), inet("[2001:db8::1]:8")));
            let conn = endpoint.connect_with(&options).await.unwrap();
            let said = "192.0.2.7:7 to [2001:db8::1]:8 by x\n!";
            assert_eq!(answer(conn, b"!").await, said);
        }
        // Two proxies in a row, each with a header of its own.
        drop(server);
        let server = serve("haproxy/haproxy/mem:y", schemes.clone()).await;
        let endpoint: ClientEndpoint = "haproxy/haproxy/mem:y".parse().unwrap();
        options.on_behalf_of = Some((inet("127.0.0.1:7"), inet("127.0.0.1:8")));
        let conn = endpoint.connect_with(&options).await.unwrap();
        let said = "127.0.0.1:7 to 127.0.0.1:8 by 127.0.0.1:7\n";
        assert_eq!(answer(conn, b"").await, said);
        // The second is believed from whom the first names, or not.
        options.on_behalf_of = Some((inet("192.0.2.7:7"), inet("127.0.0.1:8")));
        let conn = endpoint.connect_with(&options).await.unwrap();
        assert_eq!(answer(conn, b"").await, "");
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

/// The jump that stands first is the nearest one: its networks are for who connects, and the next
/// one's for whom that header names.
#[test]
fn each_of_two_proxies_is_believed_by_its_own_networks() {
    testing::run_in_real_time(async {
        let endpoint = r"haproxy:from=127.0.0.1/haproxy:from=192.0.2.0\/24/tcp:0";
        let server = serve(endpoint, ServerOptions::default()).await;
        let endpoint = server.local_endpoint().parse::<ClientEndpoint>().unwrap();
        for (outer, believed) in [("192.0.2.9", true), ("203.0.113.9", false)] {
            let headers = format!(
                "PROXY TCP4 {outer} 192.0.2.10 1 2\r\nPROXY TCP4 198.51.100.7 192.0.2.11 3 4\r\n"
            );
            let conn = endpoint.connect().await.unwrap();
            let said = answer(conn, headers.as_bytes()).await;
            let expected = format!("198.51.100.7:3 to 192.0.2.11:4 by {outer}:1\n");
            assert_eq!(said, if believed { expected } else { String::new() });
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

#[test]
fn the_header_comes_before_tls() {
    testing::run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let mut served = ServerOptions::default();
        served.tls = Some(ca.server(&["lab.test"]).unwrap());
        let server = serve("haproxy/tls:0", served).await;
        assert!(server.local_endpoint().starts_with("tls:127.0.0.1:"));
        let mut options = ConnectOptions::default();
        options.tls = Some(ca.client().unwrap());
        options.on_behalf_of = Some((inet("192.0.2.7:7"), inet("192.0.2.8:8")));
        let port = server.port().unwrap();
        for version in [1, 2] {
            let endpoint = format!("haproxy:version={version}/tls:127.0.0.1:{port}:sni=lab.test");
            let endpoint: ClientEndpoint = endpoint.parse().unwrap();
            let conn = endpoint.connect_with(&options).await.unwrap();
            let said = answer(conn, b"!").await;
            assert!(
                said.starts_with("192.0.2.7:7 to 192.0.2.8:8 by 127.0.0.1:"),
                "{said}"
            );
            assert!(said.ends_with("\n!"), "{said}");
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

#[test]
fn who_is_not_believed_is_refused_with_one_line() {
    let (said, ()) = heard(tracing::Level::INFO, || {
        testing::run_in_real_time(async {
            let endpoint = r"haproxy:from=192.0.2.0\/24/tcp:0";
            let server = serve(endpoint, ServerOptions::default()).await;
            let endpoint = server.local_endpoint().parse::<ClientEndpoint>().unwrap();
            let conn = endpoint.connect().await.unwrap();
            let header = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n";
            assert_eq!(answer(conn, header).await, "");
            server.until_connections(|open| open == 0).await;
            drop(server);
        });
    });
    assert_eq!(said.matches("connection failed").count(), 1, "{said}");
    assert!(said.contains("name its network by haproxy:from="), "{said}");
    assert!(said.contains("peer=127.0.0.1:"), "{said}");
}

#[test]
fn what_is_no_header_or_too_slow_ends_the_connection() {
    let (said, ()) = heard(tracing::Level::INFO, || {
        testing::run(async {
            let schemes = Schemes::new();
            let server = serve("haproxy/mem:x", schemes.clone()).await;
            let raw: ClientEndpoint = "mem:x".parse().unwrap();
            for bytes in [
                &b"GET / HTTP/1.1\r\n"[..],
                b"",
                b"PROXY TCP4 1",
                b"\r\n\r\n\0\r\nQUIT\n\x31",
            ] {
                let conn = schemes.connect(&raw).await.unwrap();
                assert_eq!(answer(conn, bytes).await, "");
            }
            // Nobody ends this one but the deadline.
            let mut conn = schemes.connect(&raw).await.unwrap();
            conn.write_all(b"PROXY").await.unwrap();
            let before = tokio::time::Instant::now();
            assert_eq!(conn.read(&mut [0; 9]).await.unwrap(), 0);
            assert_eq!(before.elapsed(), Limits::default().handshake);
            server.drain(Duration::ZERO, Duration::from_secs(1)).await;
        });
    });
    for what in [
        "no PROXY header came first",
        "ended in the middle of it",
        "not of version 2",
        "did not end in time",
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

/// Waits, and says whom it serves.
#[derive(Default)]
struct Guest;

impl Protocol for Guest {
    type Message = ();
    type Timer = ();
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let said = format!("{} at {}\n", t.peer(), t.local());
        t.write(said);
        Ok(())
    }
    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        Ok(())
    }
}

/// Limits count the clients of a proxy, and not the proxy.
#[test]
fn a_client_behind_a_proxy_has_its_own_limit() {
    testing::run_in_real_time(async {
        let mut limits = Limits::default();
        limits.per_peer = 2;
        limits.loopback_exempt = false;
        let endpoint: ServerEndpoint = "haproxy/tcp:0".parse().unwrap();
        let server = endpoint.listen_with(each::<Guest>(), limits).await.unwrap();
        let port = server.port().unwrap();
        let connect = async |client: &str| {
            let mut conn = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let header = format!("PROXY TCP4 {client} 198.51.100.1 1 2\r\n");
            conn.write_all(header.as_bytes()).await.unwrap();
            let mut said = [0; 64];
            let read = conn.read(&mut said).await.unwrap_or(0);
            (conn, String::from_utf8_lossy(&said[..read]).into_owned())
        };
        // The proxy itself, as it connects and says nothing yet, is not counted.
        let mut silent = Vec::new();
        for _ in 0..3 {
            silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        let mut kept = Vec::new();
        for (client, welcome) in [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("192.0.2.1", false),
            ("192.0.2.2", true),
            ("192.0.2.1", false),
        ] {
            let (conn, said) = connect(client).await;
            let expected = format!("{client}:1 at 198.51.100.1:2\n");
            assert_eq!(said, if welcome { expected } else { String::new() });
            if welcome {
                kept.push(conn);
            }
        }
        assert_eq!(server.counts().refused, 2);
        let peers: Vec<_> = server
            .connections()
            .iter()
            .map(|c| c.peer.to_string())
            .collect();
        let of = |client| {
            peers
                .iter()
                .filter(|peer| **peer == format!("{client}:1"))
                .count()
        };
        assert_eq!((of("192.0.2.1"), of("192.0.2.2")), (2, 1));
        // One goes, another may come.
        drop(kept.remove(0));
        server.until_connections(|open| open < 6).await;
        assert!(!connect("192.0.2.1").await.1.is_empty());
        drop((kept, silent));
        server.drain(Duration::ZERO, Duration::ZERO).await;
    });
}

/// An account is known of who connects, which is the proxy.
#[test]
fn a_client_behind_a_proxy_has_not_the_proxys_account() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sock");
    let endpoint = format!("haproxy/unix:{}", path.display());
    testing::run_in_real_time(async {
        let seen: Arc<std::sync::Mutex<Option<Peer>>> = Arc::default();
        let shared = seen.clone();
        let look = move |conn: Connection| {
            *shared.lock().unwrap() = Some(conn.peer().clone());
            async { Ok(()) }
        };
        let server: ServerEndpoint = endpoint.parse().unwrap();
        let server = server.listen(look).await.unwrap();
        let client: ClientEndpoint = endpoint.parse().unwrap();
        let mut options = ConnectOptions::default();
        for (behalf, own) in [
            (None, true),
            (Some((inet("192.0.2.1:1"), inet("192.0.2.2:2"))), false),
        ] {
            options.on_behalf_of = behalf;
            let mut conn = client.connect_with(&options).await.unwrap();
            conn.read_to_end(&mut Vec::new()).await.unwrap();
            let peer = seen.lock().unwrap().take().unwrap();
            assert_eq!(peer.credentials.is_some(), own);
            let proxied = peer.proxied.as_ref();
            assert_eq!(proxied.is_some_and(|p| p.proxy.credentials.is_some()), !own);
        }
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

/// A protocol that ends by itself, behind a header that we send.
#[test]
fn a_protocol_runs_behind_a_header() {
    testing::run(async {
        let schemes = Schemes::new();
        let endpoint: ServerEndpoint = "haproxy/mem:x".parse().unwrap();
        let server = endpoint
            .listen_with(each::<Guest>(), schemes.clone())
            .await
            .unwrap();
        let endpoint: ClientEndpoint = "haproxy/mem:x".parse().unwrap();
        let conn = endpoint.connect_with(&options(&schemes)).await.unwrap();
        let client = Client::start(conn, Guest);
        client.close();
        assert!(matches!(client.closed().await, Closed::Local));
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}
