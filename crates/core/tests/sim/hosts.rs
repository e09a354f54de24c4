//! Hosts that crash, lose power and come back; limits and drain on them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use ropewalk_core::{
    Client, Closed, Limits, ServerOptions, each,
    testing::sim::{Simulation, simulate},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn round(conn: &mut Connection) -> io::Result<()> {
    conn.write_all(b"hello").await?;
    conn.read_exact(&mut [0; 5]).await?;
    Ok(())
}

#[test]
fn a_crash_resets_refuses_and_is_over_after_a_restart() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        let starts = Arc::new(AtomicUsize::new(0));
        let (count, alive) = (starts.clone(), Arc::new(()));
        let held = Arc::downgrade(&alive);
        server.start(move |host| {
            count.fetch_add(1, Relaxed);
            let alive = alive.clone();
            async move {
                let task = alive.clone();
                host.spawn(async move {
                    let _task = task;
                    std::future::pending().await
                });
                let _server = listen(&host, "sim:7", each::<Echo>()).await?;
                let _alive = alive;
                std::future::pending().await
            }
        });
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        round(&mut conn).await.unwrap();
        assert_eq!((starts.load(Relaxed), held.strong_count()), (1, 3));
        server.crash();
        let error = conn.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        // What ran there is gone; the program itself is kept for a restart.
        assert_eq!(held.strong_count(), 1);
        let error = connect(&client, "sim:server:7").await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        // What is left of the crashed one can do nothing any more.
        assert!(bind(&server, "sim:9").await.is_err());
        assert!(connect(&server, "sim:server:7").await.is_err());
        server.restart();
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        round(&mut conn).await.unwrap();
        assert_eq!((starts.load(Relaxed), held.strong_count()), (2, 3));
        // A restart is a crash where nothing has crashed before.
        server.restart();
        assert!(round(&mut conn).await.is_err());
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        round(&mut conn).await.unwrap();
    });
}

#[test]
fn nobody_hears_of_a_loss_of_power_until_it_is_back() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        serves(&server, || echo);
        exact(&net, ms(10));
        let mut idle = connect(&client, "sim:server:7").await.unwrap();
        round(&mut idle).await.unwrap();
        server.power_off();
        let read = tokio::time::timeout(ms(3_000_000), idle.read_u8());
        assert!(read.await.is_err());
        let error = connect(&client, "sim:server:7:timeout=9")
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        server.restart();
        let error = round(&mut idle).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        round(&mut connect(&client, "sim:server:7").await.unwrap())
            .await
            .unwrap();
    });
}

#[test]
fn a_protocol_hears_of_the_crash_of_its_own_host() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        let conn = connect(&client, "sim:server:7").await.unwrap();
        let protocol = Client::start(conn, Echo);
        client.crash();
        assert!(matches!(protocol.closed().await, Closed::Reset));
    });
}

#[test]
fn a_peer_is_one_host_to_the_limits() {
    Simulation::from_seed(1).run(async |net| {
        let server = net.host("server");
        let mut limits = Limits::default();
        limits.per_peer = 2;
        let mut options = ServerOptions::from(limits);
        options.schemes = server.schemes();
        let endpoint: ServerEndpoint = "sim:7".parse().unwrap();
        let listening = endpoint.listen_with(echo, options).await.unwrap();
        let mut kept = Vec::new();
        for host in ["one", "other"] {
            let host = net.host(host);
            for _ in 0..2 {
                let mut conn = connect(&host, "sim:server:7").await.unwrap();
                round(&mut conn).await.unwrap();
                kept.push(conn);
            }
            let mut third = connect(&host, "sim:server:7").await.unwrap();
            assert!(round(&mut third).await.is_err());
        }
        assert_eq!(
            (listening.counts().open, listening.counts().refused),
            (4, 2)
        );
        drop((kept, listening));
    });
}

#[test]
fn a_drain_waits_for_those_who_end_and_cuts_the_rest() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        exact(&net, ms(10));
        let listening = listen(&server, "sim:7", echo).await.unwrap();
        let mut ends = connect(&client, "sim:server:7").await.unwrap();
        let stays = connect(&client, "sim:server:7").await.unwrap();
        round(&mut ends).await.unwrap();
        let leave = async {
            tokio::time::sleep(ms(2000)).await;
            ends.shutdown().await.unwrap();
            // Refused by then.
            assert!(connect(&client, "sim:server:7").await.is_err());
        };
        let start = net.elapsed();
        let (leftover, ()) = tokio::join!(listening.drain(ms(1000), ms(5000)), leave);
        assert_eq!(leftover.cut, 1);
        assert_eq!(net.elapsed() - start, ms(6000));
        drop(stays);
    });
}

#[test]
fn an_idle_limit_speaks_over_a_partition() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        let listening = listen(&server, "sim:7", each::<Echo>()).await.unwrap();
        let conn = connect(&client, "sim:server:7").await.unwrap();
        net.partition("client", "server");
        listening.until_connections(|open| open == 0).await;
        assert!(net.elapsed() >= ms(3_600_000));
        drop((conn, listening));
    });
}

#[test]
#[should_panic(expected = "runs a program already")]
fn a_host_runs_one_program() {
    Simulation::from_seed(1).run(async |net| {
        serves(&net.host("server"), || echo);
        serves(&net.host("server"), || echo);
    });
}

#[test]
fn programs_may_end_and_be_replaced() {
    simulate(3, async |net| {
        let server = net.host("server");
        server.start(|_| async { Ok(()) });
        tokio::time::sleep(ms(1)).await;
        server.crash();
        serves(&server, || echo);
        round(&mut connect(&net.host("client"), "sim:server:7").await?).await?;
        Ok(())
    });
}
