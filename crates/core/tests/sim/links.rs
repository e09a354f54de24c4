//! Latency, bandwidth, windows and segments, to the millisecond.

use std::{io, time::Duration};

use ropewalk_core::{each, testing::sim::Simulation};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use super::*;

/// A connection of `client` that `server` accepted.
async fn pair(net: &Network) -> (Connection, Connection) {
    let (sender, mut accepted) = tokio::sync::mpsc::channel(1);
    let give = move |conn: Connection| {
        let sender = sender.clone();
        async move {
            sender
                .send(conn)
                .await
                .map_err(|_| "the test is over".into())
        }
    };
    let server = listen(&net.host("server"), "sim:0", give).await.unwrap();
    let near = format!("sim:server:{}", server.port().unwrap());
    let near = connect(&net.host("client"), &near).await.unwrap();
    let far = accepted.recv().await.unwrap();
    drop(server);
    (near, far)
}

#[test]
fn connecting_takes_a_round_trip_and_so_does_a_refusal() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        exact(&net, ms(30));
        let listening = listen(&server, "sim:7", each::<Echo>()).await.unwrap();
        let conn = connect(&client, "sim:server:7").await.unwrap();
        assert_eq!(net.elapsed(), ms(60));
        assert_eq!(conn.peer().to_string(), format!("{}:7", server.address()));
        assert_eq!(conn.local().inet().unwrap().ip(), client.address());
        let error = connect(&client, "sim:server:8").await.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
        assert_eq!(net.elapsed(), ms(120));
        drop((conn, listening));
    });
}

#[test]
fn bytes_take_their_time_each_way() {
    Simulation::from_seed(1).run(async |net| {
        net.host("client");
        net.host("server");
        exact(&net, ms(10));
        net.link_one_way("server", "client", |link| {
            link.latency = ms(70)..=ms(70);
        });
        let (mut near, mut far) = pair(&net).await;
        let start = Instant::now();
        near.write_all(b"x").await.unwrap();
        far.read_u8().await.unwrap();
        assert_eq!(start.elapsed(), ms(10));
        far.write_all(b"y").await.unwrap();
        near.read_u8().await.unwrap();
        assert_eq!(start.elapsed(), ms(80));
    });
}

#[test]
fn bandwidth_is_shared_and_exact() {
    Simulation::from_seed(1).run(async |net| {
        net.host("client");
        net.host("server");
        exact(&net, ms(10));
        net.links(|link| link.window = 1 << 20);
        let (mut one, mut one_far) = pair(&net).await;
        let (mut two, mut two_far) = pair(&net).await;
        net.links(|link| link.bandwidth = Some(100_000));
        let start = Instant::now();
        one.write_all(&[1; 50_000]).await.unwrap();
        two.write_all(&[2; 50_000]).await.unwrap();
        let (mut a, mut b) = (vec![0; 50_000], vec![0; 50_000]);
        one_far.read_exact(&mut a).await.unwrap();
        assert_eq!(start.elapsed(), ms(510));
        two_far.read_exact(&mut b).await.unwrap();
        assert_eq!(start.elapsed(), ms(1010));
        assert!(a.iter().all(|b| *b == 1) && b.iter().all(|b| *b == 2));
    });
}

#[test]
fn a_window_holds_the_writer_back() {
    Simulation::from_seed(1).run(async |net| {
        net.host("client");
        net.host("server");
        exact(&net, ms(10));
        net.links(|link| link.window = 1500);
        let (mut near, mut far) = pair(&net).await;
        let start = Instant::now();
        near.write_all(&[7; 1500]).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
        let more = near.write_all(&[7; 1]);
        tokio::time::timeout(ms(1000), more).await.unwrap_err();
        let mut buffer = [0; 4000];
        // A read ends where a segment does.
        assert_eq!(far.read(&mut buffer).await.unwrap(), 1000);
        assert_eq!(far.read(&mut buffer).await.unwrap(), 500);
        near.write_all(&[7; 1]).await.unwrap();
        assert_eq!(far.read(&mut buffer).await.unwrap(), 1);
    });
}

#[test]
fn a_loss_delays_what_comes_behind_it() {
    Simulation::from_seed(1).run(async |net| {
        net.host("client");
        net.host("server");
        exact(&net, ms(10));
        let (mut near, mut far) = pair(&net).await;
        let start = Instant::now();
        net.links(|link| link.loss = 1.0);
        near.write_all(b"late").await.unwrap();
        net.links(|link| link.loss = 0.0);
        near.write_all(b"next").await.unwrap();
        let mut said = [0; 8];
        far.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"latenext");
        assert_eq!(start.elapsed(), ms(10 + 8 * 200));
    });
}

#[test]
fn each_side_ends_for_itself() {
    Simulation::from_seed(1).run(async |net| {
        let (mut near, mut far) = pair(&net).await;
        near.write_all(b"question").await.unwrap();
        near.shutdown().await.unwrap();
        let error = near.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let mut heard = String::new();
        far.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "question");
        far.write_all(b"answer").await.unwrap();
        drop(far);
        heard.clear();
        near.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "answer");
    });
}

#[test]
fn dropping_what_is_unread_resets() {
    Simulation::from_seed(1).run(async |net| {
        let (mut near, far) = pair(&net).await;
        near.write_all(b"unheard").await.unwrap();
        tokio::time::sleep(ms(100)).await;
        drop(far);
        let error = near.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = near.write_all(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn writing_to_one_who_is_gone_is_answered_by_a_reset() {
    Simulation::from_seed(1).run(async |net| {
        let (mut near, far) = pair(&net).await;
        drop(far);
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        near.write_all(b"hello?").await.unwrap();
        tokio::time::sleep(ms(100)).await;
        let error = near.write_all(b"hello?").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn endpoints_are_those_of_this_host() {
    Simulation::from_seed(1).run(async |net| {
        let (mail, other) = (net.host("mail"), net.host("other"));
        let server = listen(&mail, "sim:0", each::<Echo>()).await.unwrap();
        assert_eq!(server.port(), Some(49152));
        assert_eq!(server.local_endpoint(), "sim:10.0.0.1:49152");
        server.drain(ms(0), ms(0)).await;
        // What a listening line says is taken back.
        let server = listen(&mail, "sim:10.0.0.1:49152", echo).await.unwrap();
        let error = bind(&mail, "sim:49152").await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        for (endpoint, why) in [
            ("sim:other:1", "address not available"),
            ("sim:1:2:3", "expected sim:PORT"),
            ("sim:x", "expected a number"),
            ("sim:1:backlog=0", "expected a number from 1"),
            ("sim:1:colour=red", "no other than backlog"),
        ] {
            let error = bind(&mail, endpoint).await.unwrap_err().to_string();
            assert!(error.contains(why), "{endpoint}: {error}");
        }
        for (endpoint, why) in [
            ("sim:nobody:1", "unknown host"),
            ("sim:mail", "expected sim:HOST:PORT"),
            ("sim:mail:0", "expected a number"),
            ("sim:mail:1:timeout=-1", "seconds, above 0"),
            ("sim:mail:1:colour=red", "no other than timeout"),
        ] {
            let error = connect(&other, endpoint).await.unwrap_err().to_string();
            assert!(error.contains(why), "{endpoint}: {error}");
        }
        // By name, by address, and from the same host.
        for (host, endpoint) in [
            (&other, "sim:mail:49152"),
            (&other, "sim:10.0.0.1:49152"),
            (&mail, "sim:localhost:49152"),
        ] {
            let mut conn = connect(host, endpoint).await.unwrap();
            conn.write_all(b"hello").await.unwrap();
            conn.read_exact(&mut [0; 5]).await.unwrap();
        }
        let six = net.host_at("six", "fd00::1".parse().unwrap());
        let server6 = listen(&six, "sim:[fd00::1]:5", echo).await.unwrap();
        assert_eq!(server6.local_endpoint(), "sim:[fd00::1]:5");
        let conn = connect(&other, "sim:[fd00::1]:5").await.unwrap();
        assert_eq!(conn.peer().to_string(), "[fd00::1]:5");
        drop((conn, server, server6));
    });
}

#[test]
fn a_full_backlog_makes_them_wait_and_not_fail() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        exact(&net, ms(1));
        let bound = bind(&server, "sim:7:backlog=2").await.unwrap();
        let one = connect(&client, "sim:server:7").await.unwrap();
        let two = connect(&client, "sim:server:7").await.unwrap();
        let error = connect(&client, "sim:server:7:timeout=2.5").await;
        assert!(error.unwrap_err().to_string().contains("timed out"));
        assert_eq!(net.elapsed(), ms(2504));
        drop((one, two, bound));
    });
}

#[test]
fn what_waits_at_a_port_that_is_given_up_is_reset() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        let bound = bind(&server, "sim:7").await.unwrap();
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        drop(bound);
        let error = conn.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}
