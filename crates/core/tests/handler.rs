//! Handlers are held to the idle limit too, and told of a drain; two connections make a relay.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use ropewalk_core::{
    Closed, Connection, Deadline, Handler, Limits, Result, Schemes, Server, ServerEndpoint,
    ServerOptions, relay, testing::run,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep},
};

async fn listen(handler: impl Handler, limits: Limits) -> (Server, Connection) {
    let schemes = Schemes::new();
    let mut options = ServerOptions::from(limits);
    options.schemes = schemes.clone();
    let endpoint: ServerEndpoint = "mem:handler".parse().unwrap();
    let server = endpoint.listen_with(handler, options).await.unwrap();
    let conn = schemes.connect(&"mem:handler".parse().unwrap()).await;
    (server, conn.unwrap())
}

#[test]
fn a_handler_that_waits_for_a_silent_peer_is_woken_at_the_idle_limit() {
    run(async {
        let heard = Arc::new(Mutex::new(None));
        let told = heard.clone();
        let handler = move |mut conn: Connection| {
            let told = told.clone();
            async move {
                let mut byte = [0];
                let error = loop {
                    match conn.read_exact(&mut byte).await {
                        Ok(_) => {}
                        Err(error) => break error,
                    }
                };
                let inner = error.get_ref().and_then(|e| e.downcast_ref::<Closed>());
                let is_idle = matches!(inner, Some(Closed::TimedOut(Deadline::Idle)));
                *told.lock().unwrap() = Some((error.kind(), is_idle));
                Result::Ok(())
            }
        };
        let mut limits = Limits::default();
        limits.idle = Some(Duration::from_secs(60));
        let (server, mut conn) = listen(handler, limits).await;
        let began = Instant::now();
        // Each byte gives it a minute more.
        for _ in 0..3 {
            sleep(Duration::from_secs(50)).await;
            conn.write_all(b"x").await.unwrap();
        }
        assert_eq!(conn.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(began.elapsed().as_secs(), 210);
        assert_eq!(*heard.lock().unwrap(), Some((ErrorKind::TimedOut, true)));
        server.drain(Duration::ZERO, Duration::from_secs(1)).await;
    });
}

#[test]
fn a_handler_is_told_of_a_drain_and_a_young_one_a_little_later() {
    async fn until_drained(mut conn: Connection) -> Result {
        conn.draining().await;
        conn.write_all(b"bye").await?;
        Ok(conn.shutdown().await?)
    }
    run(async {
        let (server, mut conn) = listen(until_drained, Limits::default()).await;
        server.until_connections(|open| open <= 1).await;
        let began = Instant::now();
        let drained = tokio::spawn(server.drain(Duration::from_secs(1), Duration::from_secs(9)));
        let mut said = String::new();
        conn.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "bye");
        // Nothing came of it, so it had its first second whole.
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        assert_eq!(drained.await.unwrap().cut, 0);
    });
}

#[test]
fn a_handler_that_does_not_listen_is_cut_at_the_end_of_the_drain() {
    async fn deaf(mut conn: Connection) -> Result {
        let mut byte = [0];
        while conn.read(&mut byte).await? > 0 {}
        Ok(())
    }
    run(async {
        let (server, mut conn) = listen(deaf, Limits::default()).await;
        conn.write_all(b"x").await.unwrap();
        let drained = server.drain(Duration::from_secs(1), Duration::from_secs(9));
        assert_eq!(drained.await.cut, 1);
        assert_eq!(conn.read(&mut [0]).await.unwrap(), 0);
    });
}

/// A relay in the middle changes nothing: all bytes both ways, more than any
/// buffer holds, and each end where it was.
/// A connection that its handler gave to another task cannot be cut with the handler's. A drain
/// ends all the same.
#[test]
fn a_drain_does_not_wait_for_a_task_that_it_cannot_end() {
    run(async {
        let elsewhere = Arc::new(Mutex::new(None));
        let there = elsewhere.clone();
        let handler = move |mut conn: Connection| {
            let task = tokio::spawn(async move {
                conn.write_all(b"!").await.unwrap();
                std::future::pending::<()>().await;
                drop(conn);
            });
            *there.lock().unwrap() = Some(task);
            async { Result::Ok(()) }
        };
        let (server, mut conn) = listen(handler, Limits::default()).await;
        assert_eq!(conn.read(&mut [0]).await.unwrap(), 1);
        let drained = server.drain(Duration::ZERO, Duration::from_secs(1));
        let drained = tokio::time::timeout(Duration::from_secs(60), drained).await;
        assert_eq!(drained.expect("the drain ends").cut, 1);
        let task = elsewhere.lock().unwrap().take().unwrap();
        task.abort();
    });
}

#[test]
fn a_relay_passes_on_bytes_and_ends() {
    run(async {
        let schemes = Schemes::new();
        let far: ServerEndpoint = "mem:far".parse().unwrap();
        let answer = async |mut conn: Connection| -> Result {
            let mut said = Vec::new();
            conn.read_to_end(&mut said).await?;
            said.reverse();
            conn.write_all(&said).await?;
            Ok(conn.shutdown().await?)
        };
        let far = far.listen_with(answer, schemes.clone()).await.unwrap();
        let near: ServerEndpoint = "mem:near".parse().unwrap();
        let inner = schemes.clone();
        let forward = move |conn: Connection| {
            let schemes = inner.clone();
            async move {
                let to = schemes.connect(&"mem:far".parse()?).await?;
                Ok(relay(conn, to).await?)
            }
        };
        let near = near.listen_with(forward, schemes.clone()).await.unwrap();
        let to = "mem:near".parse().unwrap();
        let mut conn = schemes.connect(&to).await.unwrap();
        let mut sent: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        conn.write_all(&sent).await.unwrap();
        conn.shutdown().await.unwrap();
        let mut heard = Vec::new();
        conn.read_to_end(&mut heard).await.unwrap();
        sent.reverse();
        assert_eq!(heard, sent);
        drop(conn);
        for server in [near, far] {
            server.drain(Duration::ZERO, Duration::ZERO).await;
        }
    });
}
