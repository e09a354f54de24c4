//! What a simulation says when it fails, and that it fails when it should.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use ropewalk_core::{each, testing::sim::Simulation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// The report of a simulation that must fail.
fn report(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("it must fail");
    *payload.downcast::<String>().unwrap()
}

#[track_caller]
fn says(report: &str, what: &[&str]) {
    for what in what {
        assert!(report.contains(what), "{what:?} is not in: {report}");
    }
}

#[test]
fn an_error_names_its_seed_and_shows_the_end_of_the_trace() {
    let why = report(|| {
        Simulation::new().over(20, async |net| {
            let client = net.host("client");
            serves(&net.host("server"), each::<Echo>);
            let mut conn = connect(&client, "sim:server:7").await?;
            conn.write_all(b"hello").await?;
            conn.read_exact(&mut [0; 5]).await?;
            if net.random().below(4) == 0 {
                return Err("the seventh seal".into());
            }
            Ok(())
        });
    });
    let seed = why.strip_prefix("simulation failed with seed ").unwrap();
    let seed: u64 = seed.split(':').next().unwrap().parse().unwrap();
    says(
        &why,
        &[
            "the test failed: the seventh seal",
            &format!(
                "ROPEWALK_SEED={seed} cargo test --all-features -p ropewalk-core -- --exact reports::an_error_names"
            ),
            "client:49152 -> server:7  connecting",
            "client:49152 <- server:7  connected",
        ],
    );
    // That seed alone fails as well.
    let again = report(|| {
        Simulation::from_seed(seed).run(async |net| {
            net.host("client");
            net.host("server");
            assert_ne!(net.random().below(4), 0, "the seventh seal");
        });
    });
    says(
        &again,
        &[&format!("failed with seed {seed}"), "the seventh seal"],
    );
}

#[test]
fn a_panic_anywhere_fails_it() {
    struct Panics;
    impl Protocol for Panics {
        type Message = ();
        type Timer = ();
        fn received(&mut self, _: &mut Transport<Self>, _: &mut Input) -> Result {
            panic!("of a protocol")
        }
    }
    let why = report(|| {
        Simulation::new().run(async |net| {
            let client = net.host("client");
            serves(&net.host("server"), || ropewalk_core::protocol(|_| Panics));
            let mut conn = connect(&client, "sim:server:7").await.unwrap();
            conn.write_all(b"x").await.unwrap();
            std::future::pending::<()>().await;
        });
    });
    says(&why, &["seed 0", "of a protocol", "1 byte"]);
    let why = report(|| {
        Simulation::new().run(async |net| {
            net.host("server")
                .start(|_| async { panic!("of a program") });
            std::future::pending::<()>().await;
        });
    });
    says(&why, &["of a program"]);
}

#[test]
fn a_program_that_fails_fails_it() {
    let why = report(|| {
        Simulation::new().run(async |net| {
            net.host("mail").start(|host| async move {
                tokio::time::sleep(ms(10)).await;
                let _bound = bind(&host, "sim:7").await?;
                let _again = bind(&host, "sim:7").await?;
                Ok(())
            });
            std::future::pending::<()>().await;
        });
    });
    says(
        &why,
        &["the program of mail failed", "in use", "mail:7 listens"],
    );
}

#[test]
fn what_is_left_behind_fails_it() {
    let why = report(|| {
        Simulation::new().run(async |net| {
            let client = net.host("client");
            serves(&net.host("server"), || echo);
            let conn = connect(&client, "sim:server:7").await.unwrap();
            Box::leak(Box::new(conn));
        });
    });
    says(
        &why,
        &["left 0 tasks and 1 connections behind", "10.0.0.2:7"],
    );
    let why = report(|| {
        Simulation::new().run(async |_| {
            tokio::spawn(tokio::time::sleep(ms(1)));
        });
    });
    says(&why, &["left 1 tasks"]);
}

#[test]
fn a_deadlock_and_a_day_too_short_fail_it() {
    let day = Simulation::new().limit(Duration::from_secs(86_400));
    let why = report(|| {
        day.clone().run(async |net| {
            let (client, server) = (net.host("client"), net.host("server"));
            exact(&net, ms(10));
            let far = bind(&server, "sim:7").await.unwrap();
            let mut conn = connect(&client, "sim:server:7").await.unwrap();
            // The other side waits for us, if there were one.
            let _ = conn.read_u8().await;
            drop(far);
        });
    });
    says(&why, &["within 86400s of virtual time", "quiet since 20ms"]);
    let why = report(|| {
        day.limit(Duration::from_secs(600)).run(async |net| {
            loop {
                tokio::time::sleep(Duration::from_secs(60)).await;
                net.note("still here");
            }
        });
    });
    says(&why, &["within 600s of virtual time", "quiet since 540s"]);
}

#[test]
fn a_test_that_does_not_replay_is_refused() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let test = async |net: Network| {
        // As a HashMap's order would, and surely.
        let order = HashMap::from([(RUNS.fetch_add(1, Relaxed), ())]);
        net.note("the same");
        net.note(format_args!("{order:?}"));
        Ok(())
    };
    let why = report(|| Simulation::new().over(1, test));
    says(
        &why,
        &[
            "two runs of this seed differ",
            "event 1 is once",
            "note: {0: ()}",
            "note: {1: ()}",
        ],
    );
    Simulation::new().without_replay().over(3, test);
    assert!(RUNS.load(Relaxed) >= 5);
}
