//! One server on several threads.

use std::{collections::HashSet, sync::Mutex, thread, time::Duration};

use ropewalk_core::{
    Allowance, Connection, Limits, ListenError, Metrics, Schemes, ServerEndpoint, ServerOptions,
    each, metrics::Exposition, testing,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{Echo, listen, lives};

static THREADS: Mutex<Option<HashSet<String>>> = Mutex::new(None);

async fn where_it_runs(mut conn: Connection) -> ropewalk_core::Result {
    let name = thread::current().name().unwrap_or_default().to_owned();
    THREADS.lock().unwrap().get_or_insert_default().insert(name);
    // What a handler spawns stays there.
    let here = thread::current().id();
    let spawned = tokio::spawn(async { thread::current().id() });
    assert_eq!(spawned.await?, here);
    let mut byte = [0];
    while conn.read(&mut byte).await? > 0 {
        conn.write_all(&byte).await?;
    }
    Ok(())
}

#[test]
fn shards_are_one_server() {
    testing::run_in_real_time(async {
        let metrics = Metrics::new();
        let server = listen("tcp:0", where_it_runs, |o| {
            o.shards = 4;
            o.limits.connections = 64;
            o.metrics = Some(metrics.clone());
        });
        let server = server.await;
        let address = server.local_address().inet().unwrap();
        assert_ne!(address.port(), 0);
        let mut peers = Vec::new();
        for _ in 0..64 {
            let mut peer = TcpStream::connect(address).await.unwrap();
            assert!(lives(&mut peer).await);
            peers.push(peer);
        }
        assert_eq!(server.connections().len(), 64, "of all shards");
        assert_eq!(server.counts().accepted, 64);
        let mut one_more = TcpStream::connect(address).await.unwrap();
        one_more.write_all(b"x").await.unwrap();
        let early = timeout(Duration::from_millis(50), one_more.read(&mut [0; 1])).await;
        assert!(early.is_err(), "the limit is that of all shards");

        // One that is killed makes room, on whichever shard it was.
        let id = server.connections()[0].id;
        assert!(server.kill(id));
        assert_eq!(one_more.read(&mut [0; 1]).await.unwrap(), 1);
        peers.push(one_more);
        let page = metrics.render(Exposition::Prometheus);
        let line =
            format!("ropewalk_connections{{service=\"server\",endpoint=\"tcp:{address}\"}} 64");
        assert!(page.lines().any(|l| l == line), "{page}");

        let leftover = server
            .drain(Duration::ZERO, Duration::from_millis(200))
            .await;
        assert_eq!(leftover.cut, 64, "these handlers do not listen to a drain");
        assert!(TcpStream::connect(address).await.is_err());
        let threads = THREADS.lock().unwrap().take().unwrap();
        assert!(
            threads.iter().all(|name| name.starts_with("shard-")),
            "{threads:?}"
        );
        // 64 connections that all hash to one of four sockets: never.
        assert!(threads.len() > 1, "{threads:?}");
    });
}

#[test]
fn a_sharded_server_says_goodbye() {
    testing::run_in_real_time(async {
        let server = listen("tcp:0", each::<Echo>(), |o| o.shards = 2).await;
        let address = server.local_address().inet().unwrap();
        let mut peers = Vec::new();
        for _ in 0..16 {
            let mut peer = TcpStream::connect(address).await.unwrap();
            assert!(lives(&mut peer).await);
            peers.push(peer);
        }
        let peers = async {
            for mut peer in peers {
                assert_eq!(peer.read(&mut [0; 1]).await.unwrap(), 0);
            }
        };
        let second = Duration::from_secs(1);
        let (leftover, ()) = tokio::join!(server.drain(second, second), peers);
        assert_eq!(leftover.cut, 0);
    });
}

#[test]
fn a_sharded_server_that_is_dropped_ends() {
    testing::run_in_real_time(async {
        let limits = Limits::default();
        let allowance = Allowance::new(&limits);
        let server = listen("tcp:0", each::<Echo>(), |o| {
            o.shards = 2;
            o.allowance = Some(allowance.clone());
        });
        let server = server.await;
        let address = server.local_address().inet().unwrap();
        let mut peer = TcpStream::connect(address).await.unwrap();
        assert!(lives(&mut peer).await);
        drop(server);
        // Closed or reset, but not left open.
        let read = timeout(Duration::from_secs(5), peer.read(&mut [0; 1])).await;
        assert!(matches!(read, Ok(Ok(0) | Err(_))), "{read:?}");
        while !allowance.connections().is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn what_cannot_be_sharded_says_so() {
    testing::run(async {
        for endpoint in ["mem:x", "stdio:", "unix:/nowhere/x"] {
            let endpoint: ServerEndpoint = endpoint.parse().unwrap();
            let mut options = ServerOptions::from(Schemes::new());
            options.shards = 2;
            let error = endpoint
                .listen_with(each::<Echo>(), options)
                .await
                .unwrap_err();
            assert!(
                matches!(error, ListenError::Unsupported { .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains("no shards"), "{error}");
        }
    });
}

#[cfg(feature = "tls")]
#[test]
fn a_new_certificate_reaches_all_shards() {
    use ropewalk_core::tls::{ServerName, TestCa};
    testing::run_in_real_time(async {
        let (old, new) = (TestCa::new().unwrap(), TestCa::new().unwrap());
        let own = old.server(&["localhost"]).unwrap();
        let server = listen("tls:0", each::<Echo>(), |o| {
            o.shards = 4;
            o.tls = Some(own);
        });
        let server = server.await;
        let address = server.local_address().inet().unwrap();
        for (reload, trusted) in [(false, &old), (true, &new)] {
            if reload {
                assert!(server.reload_tls(&new.server(&["localhost"]).unwrap()));
            }
            let client = trusted.client().unwrap();
            for _ in 0..16 {
                let plain = TcpStream::connect(address).await.unwrap();
                let name = ServerName::try_from("localhost").unwrap();
                let mut tls = client.connect(plain.into(), name).await.unwrap();
                assert!(lives(&mut tls).await);
            }
        }
        server.drain(Duration::ZERO, Duration::from_secs(5)).await;
    });
}
