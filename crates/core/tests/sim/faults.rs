//! What breaks, by the test's own hand and by the seed's.

use std::io;

use ropewalk_core::{
    Client, Closed, each,
    testing::sim::{Faults, Simulation},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

#[test]
fn bytes_wait_for_the_end_of_a_partition() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        exact(&net, ms(10));
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        net.partition("client", "server");
        conn.write_all(b"hello").await.unwrap();
        timeout(ms(30_000), conn.read_u8()).await.unwrap_err();
        net.repair("client", "server");
        let repaired = net.elapsed();
        conn.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(net.elapsed() - repaired, ms(20));
    });
}

#[test]
fn who_waits_too_long_times_out_and_the_other_hears_nothing() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        let far = bind(&net.host("server"), "sim:7").await.unwrap();
        exact(&net, ms(10));
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        let start = net.elapsed();
        net.partition("client", "server");
        conn.write_all(b"hello").await.unwrap();
        let error = conn.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(net.elapsed() - start, ms(60_010));
        assert!(!net.trace().to_string().contains("  reset"));
        drop((conn, far));
    });
}

#[test]
fn a_way_may_be_cut_in_one_direction() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        net.partition_one_way("server", "client");
        conn.write_all(b"hello").await.unwrap();
        timeout(ms(1000), conn.read_u8()).await.unwrap_err();
        let trace = net.trace().to_string();
        assert!(trace.contains("client:49152 -> server:7"), "{trace}");
        assert!(
            trace.contains("bytes wait for a way that is cut"),
            "{trace}"
        );
        net.repair("client", "server");
        conn.read_exact(&mut [0; 5]).await.unwrap();
    });
}

#[test]
fn a_connect_into_nowhere_times_out_and_one_in_time_succeeds() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        exact(&net, ms(10));
        net.partition("client", "server");
        let start = net.elapsed();
        let error = connect(&client, "sim:server:7:timeout=5")
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
        assert_eq!(net.elapsed() - start, ms(5000));
        let later = async {
            tokio::time::sleep(ms(2500)).await;
            net.repair("client", "server");
        };
        let (conn, ()) = tokio::join!(connect(&client, "sim:server:7"), later);
        // Asked after 0, 1 and 3 seconds.
        assert_eq!(net.elapsed() - start, ms(5000 + 3000 + 20));
        drop(conn.unwrap());
    });
}

#[test]
fn a_reset_ends_both_sides() {
    Simulation::from_seed(1).run(async |net| {
        let (client, server) = (net.host("client"), net.host("server"));
        let listening = listen(&server, "sim:7", each::<Echo>()).await.unwrap();
        let mut plain = connect(&client, "sim:server:7").await.unwrap();
        let protocol = Client::start(connect(&client, "sim:server:7").await.unwrap(), Echo);
        plain.write_all(b"hello").await.unwrap();
        plain.read_exact(&mut [0; 5]).await.unwrap();
        net.reset("server", "client");
        let error = plain.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(matches!(protocol.closed().await, Closed::Reset));
        listening.until_connections(|open| open == 0).await;
        drop(listening);
    });
}

#[test]
fn an_abort_is_a_reset() {
    struct Abrupt;
    impl Protocol for Abrupt {
        type Message = ();
        type Timer = ();
        fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
            t.write(data);
            t.abort();
            Ok(())
        }
    }
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || ropewalk_core::protocol(|_| Abrupt));
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        conn.write_all(b"hello").await.unwrap();
        let error = conn.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn links_reset_and_refuse_as_often_as_they_are_told() {
    Simulation::from_seed(1).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        net.link_one_way("client", "server", |link| link.refuse = 0.3);
        let mut refused = 0;
        for _ in 0..200 {
            match connect(&client, "sim:server:7").await {
                Ok(_) => {}
                Err(ConnectError::Refused { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert!((40..80).contains(&refused), "{refused}");
        net.links(|link| {
            link.refuse = 0.0;
            link.reset = 1.0;
        });
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        conn.write_all(b"hello").await.unwrap();
        let error = conn.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn injected_faults_come_end_and_are_repaired() {
    for seed in 0..20 {
        Simulation::from_seed(seed).run(async |net| {
            let client = net.host("client");
            serves(&net.host("server"), || echo);
            net.inject(Faults::default().with_crashes());
            tokio::time::sleep(ms(120_000)).await;
            let count = |what: &str| net.trace().to_string().matches(what).count();
            assert!(
                count("fault: ") + count("server crashes") > 5,
                "{}",
                net.trace()
            );
            assert_eq!(count("cut: "), count("repaired: "));
            // All is well again.
            let mut conn = connect(&client, "sim:server:7").await.unwrap();
            conn.write_all(b"hello").await.unwrap();
            conn.read_exact(&mut [0; 5]).await.unwrap();
        });
    }
}

#[test]
fn calm_repairs_at_once() {
    Simulation::from_seed(3).run(async |net| {
        let client = net.host("client");
        serves(&net.host("server"), || echo);
        let mut faults = Faults::default().with_crashes();
        faults.lasts = ms(3_600_000)..=ms(3_600_000);
        net.inject(faults);
        tokio::time::sleep(ms(60_000)).await;
        net.calm();
        let start = net.elapsed();
        exact(&net, ms(10));
        tokio::time::sleep(ms(1)).await;
        let mut conn = connect(&client, "sim:server:7").await.unwrap();
        conn.write_all(b"hello").await.unwrap();
        conn.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(net.elapsed() - start, ms(41));
    });
}

#[test]
#[should_panic(expected = "there is no host \"sevrer\"")]
fn a_name_that_no_host_has_is_a_mistake() {
    Simulation::from_seed(1).run(async |net| {
        net.host("server");
        net.partition("server", "sevrer");
    });
}
