//! What stands in the way of a client is said as what it is.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{self, ErrorKind},
    net::IpAddr,
};

use ropewalk_core::{
    BoxFuture, ClientEndpoint, ConnectError, ConnectOptions, Connection, ListenError, Resolve,
    Result, Schemes, ServerEndpoint, testing::run_in_real_time, tls::TestCa,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

async fn failure(endpoint: &str) -> ConnectError {
    let endpoint: ClientEndpoint = endpoint.parse().unwrap();
    endpoint.connect().await.unwrap_err()
}

/// A port on which nobody listens: one that somebody just left.
async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn say_hello(mut conn: Connection) -> Result {
    conn.write_all(b"hello").await?;
    Ok(conn.shutdown().await?)
}

#[test]
fn nobody_listens() {
    run_in_real_time(async {
        let endpoint = format!("tcp:127.0.0.1:{}", free_port().await);
        let error = failure(&endpoint).await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        let expected = format!("cannot connect to {endpoint}: connection refused");
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn no_such_socket_file() {
    run_in_real_time(async {
        let error = failure("unix:/nonexistent/socket").await;
        let ConnectError::Io { source, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(source.kind(), ErrorKind::NotFound);
    });
}

/// Knows one host, and fails at another.
struct Table;

impl Resolve for Table {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            match host {
                "ours.test" => Ok(vec![IpAddr::from([127, 0, 0, 1])]),
                "broken.test" => Err(ErrorKind::TimedOut.into()),
                _ => Ok(Vec::new()),
            }
        })
    }
}

#[test]
fn hosts_are_looked_up_by_a_resolver_of_ones_own() {
    run_in_real_time(async {
        let endpoint: ServerEndpoint = "tcp:0".parse().unwrap();
        let server = endpoint.listen(say_hello).await.unwrap();
        let port = server.port().unwrap();
        let schemes = Schemes::new().resolve_with(Table);
        let connect = async |host: &str| {
            let endpoint = format!("tcp:{host}:{port}").parse().unwrap();
            schemes.connect(&endpoint).await
        };
        let mut said = String::new();
        let mut conn = connect("ours.test").await.unwrap();
        conn.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "hello");
        let error = connect("other.test").await.unwrap_err();
        assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error}");
        let error = connect("broken.test").await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        let udp = "udp:other.test:53".parse().unwrap();
        let error = schemes.connect_datagrams(&udp).await.err().unwrap();
        assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error}");
        drop(server);
    });
}

#[test]
fn no_such_host() {
    run_in_real_time(async {
        // RFC 6761, section 6.4: this name never exists.
        let error = failure("tcp:nobody.invalid:80").await;
        assert!(matches!(error, ConnectError::UnknownHost { .. }), "{error}");
    });
}

#[test]
fn no_such_local_address() {
    run_in_real_time(async {
        let error = failure("tcp:127.0.0.1:9:bind=192.0.2.1").await;
        assert!(
            matches!(error, ConnectError::LocalAddress { .. }),
            "{error}"
        );
    });
}

#[test]
fn no_such_memory_name_or_scheme() {
    run_in_real_time(async {
        let error = failure("mem:nobody").await;
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        let error = failure("carrier-pigeon:home").await;
        assert!(matches!(error, ConnectError::Unsupported { .. }), "{error}");
        assert!(
            error.to_string().contains("the schemes are tcp, tls"),
            "{error}"
        );
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    run_in_real_time(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let error = failure(&format!("tls:127.0.0.1:{port}:timeout=0.05")).await;
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    });
}

#[test]
fn a_certificate_must_be_trusted_and_the_right_one() {
    run_in_real_time(async {
        let ca = TestCa::new().unwrap();
        let mut options = ropewalk_core::ServerOptions::default();
        options.tls = Some(ca.server(&["lab.test"]).unwrap());
        let endpoint: ServerEndpoint = "tls:0".parse().unwrap();
        let server = endpoint.listen_with(say_hello, options).await.unwrap();
        let port = server.port().unwrap();

        // Not trusted by the platform, nor by another authority.
        let mut other = ConnectOptions::default();
        other.tls = Some(TestCa::new().unwrap().client().unwrap());
        let mut ours = ConnectOptions::default();
        ours.tls = Some(ca.client().unwrap());
        for (endpoint, options, trusted) in [
            (format!("tls:127.0.0.1:{port}:sni=lab.test"), &other, false),
            // Trusted, but it is not the certificate of 127.0.0.1.
            (format!("tls:127.0.0.1:{port}"), &ours, false),
            (format!("tls:127.0.0.1:{port}:sni=lab.test"), &ours, true),
            (
                format!("tls:127.0.0.1:{port}:insecure-no-verify"),
                &ours,
                true,
            ),
        ] {
            let endpoint: ClientEndpoint = endpoint.parse().unwrap();
            match endpoint.connect_with(options).await {
                Ok(mut conn) => {
                    assert!(trusted, "{endpoint}");
                    let mut said = String::new();
                    conn.read_to_string(&mut said).await.unwrap();
                    assert_eq!(said, "hello");
                }
                Err(ConnectError::Handshake { source, .. }) => {
                    assert!(!trusted, "{endpoint}: {source}");
                }
                Err(error) => panic!("{endpoint}: {error}"),
            }
        }
        server.until_connections(|open| open == 0).await;
        drop(server);
    });
}

#[test]
fn a_host_with_two_addresses_is_reached_at_the_one_that_answers() {
    run_in_real_time(async {
        // localhost is 127.0.0.1 and, where there is IPv6, ::1 as well, where
        // nobody listens.
        let endpoint: ServerEndpoint = "tcp:127.0.0.1:0".parse().unwrap();
        let server = endpoint.listen(say_hello).await.unwrap();
        let port = server.port().unwrap();
        let endpoint: ClientEndpoint = format!("tcp:localhost:{port}").parse().unwrap();
        let mut conn = endpoint.connect().await.unwrap();
        let mut said = String::new();
        conn.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "hello");
        drop(conn);
        server.until_connections(|open| open == 0).await;
        drop(server);
    });
}

#[test]
fn datagrams_are_not_connections() {
    run_in_real_time(async {
        let error = failure("udp:127.0.0.1:9").await;
        assert!(error.to_string().contains("start_datagrams"), "{error}");
        let endpoint: ServerEndpoint = "udp:0".parse().unwrap();
        let error = endpoint.listen(say_hello).await.unwrap_err();
        assert!(matches!(error, ListenError::Unsupported { .. }), "{error}");
    });
}

#[test]
fn a_tls_server_needs_a_certificate() {
    run_in_real_time(async {
        let endpoint: ServerEndpoint = "tls:0".parse().unwrap();
        let error = endpoint.listen(say_hello).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "tls:0 needs a certificate: name it by cert= and key=, or a folder of them by certs="
        );
        let endpoint: ServerEndpoint = "tls:0:cert=/nonexistent.pem".parse().unwrap();
        let error = endpoint.listen(say_hello).await.unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent.pem: "),
            "{error}"
        );
    });
}
