//! What a connection costs that does nothing: heap, after one exchange.

use std::{convert::Infallible, io, sync::Arc, sync::LazyLock, time::Duration};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ropewalk_core::{
    ServerOptions, each,
    tls::{TestCa, TlsServer, rustls},
};
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use ropewalk_bench_kit::{Line, Options, Side, Spread, Target, by_hand, connect, meter, runtime};

use crate::{
    echo::{Echo, OURS},
    side::ropewalk,
};

/// An exchange, and what is held open after it.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Plain,
    Tls,
    Http,
}

/// Both rows: in the clear, and under TLS.
pub(crate) fn idle(options: &Options) -> Vec<Line> {
    const HYPER: Side = Side {
        name: "hyper",
        serve: |told| by_hand(http, told),
    };
    const HAND: Side = Side {
        name: "by hand, 8 KiB buffer",
        serve: |told| by_hand(echo, told),
    };
    const OUR_TLS: Side = Side {
        name: "ropewalk, tls",
        serve: |told| {
            let mut options = ServerOptions::default();
            options.tls = Some(TlsServer::from_config(CERTIFICATE.server.clone()));
            ropewalk("tls:0", each::<Echo>(), options, told)
        },
    };
    const HAND_TLS: Side = Side {
        name: "tokio-rustls, 8 KiB buffer",
        serve: |told| {
            let acceptor = TlsAcceptor::from(CERTIFICATE.server.clone());
            let serve = move |stream| {
                let handshake = acceptor.accept(stream);
                async move { echo(handshake.await?).await }
            };
            by_hand(serve, told)
        },
    };
    let idle = if options.quick { 200 } else { 1000 };
    let ours = measure(&OURS, Wire::Plain, idle);
    let hyper = measure(&HYPER, Wire::Http, idle);
    let hand = measure(&HAND, Wire::Plain, idle);
    let our_tls = measure(&OUR_TLS, Wire::Tls, idle);
    let hand_tls = measure(&HAND_TLS, Wire::Tls, idle);
    println!("heap of an idle connection, of {} after one exchange", idle);
    for (side, bytes) in [
        (&OURS, ours),
        (&HAND, hand),
        (&HYPER, hyper),
        (&OUR_TLS, our_tls),
        (&HAND_TLS, hand_tls),
    ] {
        println!("  {:<28}{bytes:>8.0} B", side.name);
    }
    println!();
    let most = Target::Bytes {
        most: 1500.0,
        held: ours,
    };
    vec![
        line("plain", "hyper http1", ours, hyper, most),
        line(
            "TLS",
            "tokio-rustls loop with an 8 KiB buffer",
            our_tls,
            hand_tls,
            Target::AtMost(0.70),
        ),
    ]
}

fn line(wire: &str, peer: &'static str, ours: f64, theirs: f64, target: Target) -> Line {
    Line {
        what: format!("heap of an idle connection, {wire}"),
        peer,
        ours: format!("{ours:.0} B"),
        theirs: format!("{theirs:.0} B"),
        ratio: Spread::of([ours / theirs]),
        target,
    }
}

pub(crate) struct Certificate {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
    /// Chain and key, as files have them.
    pub(crate) pem: String,
}

/// Made once, so that all sides have the same.
pub(crate) static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let ca = TestCa::new().unwrap();
    let (chain, key) = ca.issue(&["localhost"]).unwrap();
    let (server, client) = configs(&chain, &key, ca.pem());
    Certificate {
        server: Arc::new(server),
        client: Arc::new(client),
        pem: chain + &key,
    }
});

fn configs(chain: &str, key: &str, ca: &str) -> (ServerConfig, ClientConfig) {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let certificates = |pem: &str| {
        CertificateDer::pem_slice_iter(pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .unwrap()
    };
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates(chain), key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca));
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, client)
}

async fn http(stream: TcpStream) -> io::Result<()> {
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(String::from("hello")))
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

async fn echo(mut stream: impl Stream) -> io::Result<()> {
    let mut buffer = vec![0; 8192];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
        stream.flush().await?;
    }
}

/// Bytes of heap that each of so many connections holds at its server.
fn measure(side: &Side, wire: Wire, connections: u32) -> f64 {
    /// What happens once a server, and not once a connection, is over by then.
    const FIRST: u32 = 32;
    let server = side.start();
    let heap = runtime().block_on(async {
        let connector = TlsConnector::from(CERTIFICATE.client.clone());
        let mut held: Vec<Box<dyn Stream>> = Vec::new();
        let mut before = 0;
        for i in 0..FIRST + connections {
            if i == FIRST {
                settle().await;
                before = meter::live();
            }
            let stream = connect(server.address).await;
            let mut stream: Box<dyn Stream> = if wire == Wire::Tls {
                let name = ServerName::try_from("localhost").unwrap();
                Box::new(connector.connect(name, stream).await.unwrap())
            } else {
                Box::new(stream)
            };
            exchange(&mut stream, wire).await;
            held.push(stream);
        }
        settle().await;
        (meter::live() - before) as f64 / f64::from(connections)
    });
    server.stop();
    heap
}

async fn exchange(stream: &mut Box<dyn Stream>, wire: Wire) {
    let mut buffer = [0; 1024];
    if wire == Wire::Http {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut n = 0;
        while !buffer[..n].ends_with(b"hello") {
            n += stream.read(&mut buffer[n..]).await.unwrap();
        }
    } else {
        stream.write_all(b"hello\n").await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut buffer[..6]).await.unwrap();
    }
}

/// Until the server has done what it had to do after its last answer.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
