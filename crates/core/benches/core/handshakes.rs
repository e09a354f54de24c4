//! TLS handshakes, full and resumed.
//!
//! Measured is the server's processor time; how many handshakes a second that
//! allows is what is reported, since on one core the clients' half would hide
//! what ours costs.

use std::sync::{Arc, LazyLock};

use ropewalk_core::{
    ServerOptions, each,
    tls::{TlsServer, rustls},
};
use rustls::{
    ClientConfig, ServerConfig, client::Resumption, crypto::aws_lc_rs::Ticketer,
    pki_types::ServerName,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Side, Spread, Target, by_hand, compare, connect,
    print_samples,
};

use crate::{echo::Echo, idle::CERTIFICATE, side::ropewalk};

const OURS: Side = Side {
    name: "ropewalk, tls",
    serve: |told| {
        let mut options = ServerOptions::default();
        let pem = CERTIFICATE.pem.as_bytes();
        options.tls = Some(TlsServer::from_pem(pem, pem).unwrap());
        ropewalk("tls:0", each::<Echo>(), options, told)
    },
};

const HAND: Side = Side {
    name: "tokio-rustls, accept loop",
    serve: |told| {
        let acceptor = TlsAcceptor::from(RESUMING.clone());
        let serve = move |stream| {
            let handshake = acceptor.accept(stream);
            async move {
                let mut stream = handshake.await?;
                let mut buffer = [0; 64];
                loop {
                    let n = stream.read(&mut buffer).await?;
                    if n == 0 {
                        return stream.shutdown().await;
                    }
                    stream.write_all(&buffer[..n]).await?;
                    stream.flush().await?;
                }
            }
        };
        by_hand(serve, told)
    },
};

/// With stateless tickets, as ours has them.
static RESUMING: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let mut config = ServerConfig::clone(&CERTIFICATE.server);
    config.ticketer = Ticketer::new().unwrap();
    Arc::new(config)
});

/// Both rows.
pub(crate) fn handshakes(options: &Options) -> Vec<Line> {
    let sides = [HAND, HAND.again(), OURS];
    let row = |load: Handshakes, what: &str| {
        let samples = compare(&sides, &load, options);
        print_samples(what, &sides, &samples);
        Line {
            what: format!("{what}/s of the server's CPU"),
            peer: "the same rustls behind a bare tokio accept loop",
            ours: rate(&samples[2]),
            theirs: rate(&samples[0]),
            ratio: Spread::of_ratios(&samples[0], &samples[2], |s| s.cpu),
            target: Target::AtLeast(0.97),
        }
    };
    vec![
        row(Handshakes { resumed: false }, "TLS handshakes, full"),
        row(Handshakes { resumed: true }, "TLS handshakes, resumed"),
    ]
}

fn rate(samples: &[Sample]) -> String {
    let cpu = Spread::of(samples.iter().map(|s| s.cpu)).median;
    format!("{:.0}/s", 1e9 / cpu)
}

/// One after the other, each with a word there and back, so that it has ended
/// on both sides, and the tickets have come.
struct Handshakes {
    resumed: bool,
}

impl Load for Handshakes {
    type Clients = (std::net::SocketAddr, TlsConnector);

    async fn connect(&self, server: &Running) -> Self::Clients {
        let mut config = ClientConfig::clone(&CERTIFICATE.client);
        config.resumption = match self.resumed {
            true => Resumption::default(),
            false => Resumption::disabled(),
        };
        let clients = (server.address, TlsConnector::from(Arc::new(config)));
        // What there is to resume.
        visit(&clients).await;
        clients
    }

    async fn work(&self, clients: &mut Self::Clients) -> usize {
        for _ in 0..TIMES {
            let resumed = visit(clients).await;
            assert_eq!(resumed, self.resumed);
        }
        TIMES
    }
}

async fn visit((address, connector): &(std::net::SocketAddr, TlsConnector)) -> bool {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connect(*address).await;
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.flush().await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
    stream.shutdown().await.unwrap();
    // Its close_notify: then it has done all that it does.
    let _ = stream.read(&mut [0]).await;
    resumed
}

/// In one turn.
const TIMES: usize = 20;
