//! The traffic log, and what streams keep of what is inside them.

use std::{
    io::IoSlice,
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    ClientEndpoint, Closed, Connection, Input, Layer, Protocol, Result, Schemes, Throttle,
    TrafficLog, Transport, each, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use crate::{Echo, listen, lives, log};

async fn connect(schemes: &Schemes) -> Connection {
    schemes
        .connect(&"mem:traffic".parse().unwrap())
        .await
        .unwrap()
}

#[test]
fn both_ways_are_shown() {
    testing::run(async {
        let schemes = Schemes::new();
        let records = Arc::new(Mutex::new(Vec::new()));
        let sink = records.clone();
        let traffic = TrafficLog::to(move |record| {
            let mut records = sink.lock().unwrap();
            records.push(format!("{record}"));
            records.push(format!("{record:x}"));
        });
        let server = listen("mem:traffic", each::<Echo>(), |o| {
            o.schemes = schemes.clone();
            o.layers
                .push(Arc::new(traffic.record_limit(8).total_limit(20)));
        });
        let server = server.await;
        let mut peer = connect(&schemes).await;
        peer.write_all(b"a\r\n\0\xff\"").await.unwrap();
        peer.read_exact(&mut [0; 6]).await.unwrap();
        peer.write_all(b"0123456789").await.unwrap();
        peer.read_exact(&mut [0; 10]).await.unwrap();
        peer.write_all(b"never seen").await.unwrap();
        peer.shutdown().await.unwrap();
        server.until_connections(|open| open == 0).await;
        assert_eq!(
            *records.lock().unwrap(),
            [
                r#"< a\r\n\x00\xff\""#,
                "< 610d0a00ff22",
                r#"> a\r\n\x00\xff\""#,
                "> 610d0a00ff22",
                "< 01234567 (+2) (no more is shown)",
                "< 3031323334353637 (+2) (no more is shown)",
            ]
        );
    });
}

#[test]
fn it_goes_to_the_log_by_default() {
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run(async {
            let schemes = Schemes::new();
            let server = listen("mem:traffic", each::<Echo>(), |o| {
                o.schemes = schemes.clone();
                o.layers.push(Arc::new(TrafficLog::new()));
            });
            let server = server.await;
            let mut peer = connect(&schemes).await;
            assert!(lives(&mut peer).await);
            drop(peer);
            server.until_connections(|open| open == 0).await;
        });
    });
    for line in ["< x", "> x", "< (end)", "> (end)"] {
        assert!(said.contains(line), "no {line} in {said}");
    }
}

/// All layers at once: what a connection says and knows is as without them.
#[test]
fn vectored_writes_go_through() {
    testing::run_in_real_time(async {
        let handler = async |mut conn: Connection| {
            assert!(conn.is_write_vectored());
            let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
            let written = conn.write_vectored(&parts).await?;
            assert_eq!(written, 5, "in one write");
            Ok(conn.shutdown().await?)
        };
        let server = listen("tcp:0", handler, |o| {
            let silent = TrafficLog::to(|_| {});
            o.layers.push(Arc::new(silent));
            o.layers.push(Arc::new(Throttle::new().write(1000)));
        });
        let server = server.await;
        let address = server.local_address().inet().unwrap();
        let mut said = String::new();
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "abcde");
        drop(peer);
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

/// Parts of a vectored write that a throttle lets through go in order.
#[test]
fn a_throttled_vectored_write_is_cut_where_it_must() {
    testing::run(async {
        let schemes = Schemes::new();
        let handler = async |mut conn: Connection| {
            let parts = [
                IoSlice::new(b"0123"),
                IoSlice::new(b"4567"),
                IoSlice::new(b"89abcdefghij"),
            ];
            assert_eq!(
                conn.write_vectored(&parts).await?,
                8,
                "two whole ones of ten bytes"
            );
            let parts = [IoSlice::new(b"89abcdefghij")];
            assert_eq!(
                conn.write_vectored(&parts).await?,
                2,
                "what was left of them"
            );
            conn.write_all(b"abcdefghij").await?;
            Ok(conn.shutdown().await?)
        };
        let server = listen("mem:traffic", handler, |o| {
            o.schemes = schemes.clone();
            o.layers.push(Arc::new(Throttle::new().write(10)));
        });
        let server = server.await;
        let mut said = String::new();
        connect(&schemes)
            .await
            .read_to_string(&mut said)
            .await
            .unwrap();
        assert_eq!(said, "0123456789abcdefghij");
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

/// Says nothing and waits for the end.
struct Listen;

impl Protocol for Listen {
    type Message = ();
    type Timer = ();
    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        data.take_all();
        Ok(())
    }
}

#[test]
fn how_a_process_ended_is_known_through_layers() {
    testing::run_in_real_time(async {
        let endpoint: ClientEndpoint = "exec:sh -c 'exit 3'".parse().unwrap();
        let conn = endpoint.connect().await.unwrap();
        let conn = TrafficLog::to(|_| {}).wrap(conn).await.unwrap();
        let conn = Throttle::new().read(1000).wrap(conn).await.unwrap();
        let (_, why) = conn.run(Listen).await;
        assert!(
            matches!(why, Closed::Exit(status) if status.code() == Some(3)),
            "{why}"
        );
    });
}
