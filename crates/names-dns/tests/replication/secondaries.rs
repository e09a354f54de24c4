//! Secondaries by the timers of an SOA, by NOTIFY, from disk.

use std::{sync::Arc, time::Duration};

use ropewalk_core::{
    Schemes,
    service::{Running as RunningService, Service},
    testing::run,
};
use ropewalk_names_dns::{
    proto::{Class, Rcode, Serial},
    server::replication::{
        Notifier, NotifierOptions, Remote, Secondary, SecondaryOptions, TransferOptions, Transfers,
    },
};
use tokio::time::Instant;

use crate::servers::*;

fn remote(endpoint: &str) -> Remote {
    Remote::new(endpoint.parse().unwrap()).with_key(key())
}

fn options(schemes: &Schemes, primaries: &[&str]) -> SecondaryOptions {
    let mut options = SecondaryOptions::default();
    options.primaries = primaries.iter().map(|primary| remote(primary)).collect();
    options.connect.schemes = schemes.clone();
    options
}

/// A secondary that runs, and what it publishes to.
struct Kept {
    transfers: Transfers,
    secondary: Arc<Secondary>,
    running: RunningService,
}

fn keep(options: SecondaryOptions) -> Kept {
    let transfers = transfers(TransferOptions::default());
    let secondary = Secondary::new(origin(), Class::IN, transfers.clone(), options);
    Kept {
        transfers,
        running: secondary.clone().start(),
        secondary,
    }
}

impl Kept {
    /// Waits until it has a version; says how long that took.
    async fn has(&self, serial: u32) -> Duration {
        let start = Instant::now();
        let mut state = self.secondary.state();
        let has = state.wait_for(|state| state.serial == Some(Serial(serial)) && !state.expired);
        has.await.unwrap();
        start.elapsed()
    }

    async fn until_expired(&self) -> Duration {
        let start = Instant::now();
        self.secondary
            .state()
            .wait_for(|state| state.expired)
            .await
            .unwrap();
        start.elapsed()
    }
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_zone_follows_its_primary_by_the_timers_of_its_soa() {
    run(async {
        let schemes = Schemes::new();
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 50));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let kept = keep(options(&schemes, &["mem:primary"]));
        assert!(kept.has(1).await < secs(1));
        primary.publish(zone(2, 60));
        let took = kept.has(2).await;
        assert!(took >= secs(54) && took <= secs(61), "{took:?}");
        let zones = kept.transfers.zones().current();
        let here = zones.entry(origin().as_ref()).unwrap().zone().unwrap();
        assert_eq!(content(here), content(&zone(2, 60)));
        // A serial that goes back is no news.
        primary.publish(zone(1, 1));
        tokio::time::sleep(secs(200)).await;
        assert_eq!(serial(&kept.transfers), Some(Serial(2)));
        kept.running.stop().await.unwrap();
        server.drain().await;
    });
}

#[test]
fn a_zone_expires_without_its_primary_and_comes_back_with_it() {
    run(async {
        let schemes = Schemes::new();
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 5));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let kept = keep(options(&schemes, &["mem:primary"]));
        kept.has(1).await;
        let front = serve(&schemes, "mem:secondary", &kept.transfers, vec![]).await;
        let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x07example\x04test\0\0\x06\0\x01";
        assert_eq!(
            rcode(&schemes, "mem:secondary", question).await,
            Rcode::NOERROR
        );
        server.drain().await;
        let took = kept.until_expired().await;
        assert!(took >= secs(590) && took <= secs(601), "{took:?}");
        assert_eq!(serial(&kept.transfers), None);
        assert_eq!(
            rcode(&schemes, "mem:secondary", question).await,
            Rcode::SERVFAIL
        );
        // It is retried all the same, and the version of before is good again.
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let took = kept.has(1).await;
        assert!(took <= secs(21), "{took:?}");
        assert_eq!(
            rcode(&schemes, "mem:secondary", question).await,
            Rcode::NOERROR
        );
        kept.running.stop().await.unwrap();
        front.drain().await;
        server.drain().await;
    });
}

#[test]
fn a_zone_without_a_primary_is_tried_for_with_back_off() {
    run(async {
        let schemes = Schemes::new();
        let kept = keep(options(&schemes, &["mem:primary"]));
        let front = serve(&schemes, "mem:secondary", &kept.transfers, vec![]).await;
        tokio::time::sleep(secs(30)).await;
        // Ours, and not there: SERVFAIL, not REFUSED.
        let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x07example\x04test\0\0\x06\0\x01";
        assert_eq!(
            rcode(&schemes, "mem:secondary", question).await,
            Rcode::SERVFAIL
        );
        let state = kept.secondary.state().borrow().clone();
        assert!(state.error.is_some() && state.serial.is_none(), "{state:?}");
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 5));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        assert!(kept.has(1).await < secs(64));
        kept.running.stop().await.unwrap();
        front.drain().await;
        server.drain().await;
    });
}

#[test]
fn the_first_primary_that_has_news_is_taken() {
    run(async {
        let schemes = Schemes::new();
        let [old, new] = [3, 9].map(|serial| {
            let primary = transfers(allowed(&["transfer.test"]));
            primary.publish(zone(serial, 5));
            primary
        });
        let old_server = serve(&schemes, "mem:old", &old, vec![]).await;
        let new_server = serve(&schemes, "mem:new", &new, vec![]).await;
        let kept = keep(options(&schemes, &["mem:gone", "mem:old", "mem:new"]));
        assert!(kept.has(3).await < secs(1));
        assert!(kept.has(9).await <= secs(60));
        // The old one is not gone back to.
        new_server.drain().await;
        tokio::time::sleep(secs(300)).await;
        assert_eq!(serial(&kept.transfers), Some(Serial(9)));
        kept.running.stop().await.unwrap();
        old_server.drain().await;
    });
}

#[test]
fn a_change_is_told_and_taken_at_once_down_a_chain() {
    run(async {
        let schemes = Schemes::new();
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 500));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let notifier = |transfers: &Transfers, whom: &str| {
            let mut options = NotifierOptions::default();
            options.remotes = vec![remote(whom)];
            options.connect.schemes = schemes.clone();
            Notifier::new(transfers.clone(), options).start()
        };
        // The middle one is secondary of the first and primary of the last.
        let middle = transfers(allowed(&["transfer.test"]));
        let first = options(&schemes, &["mem:primary"]);
        let secondary = Secondary::new(origin(), Class::IN, middle.clone(), first);
        let middle_server = serve(&schemes, "mem:middle", &middle, vec![secondary.clone()]).await;
        let middle_runs = secondary.start();
        let last = keep(options(&schemes, &["mem:middle"]));
        let last_server = serve(
            &schemes,
            "mem:last",
            &last.transfers,
            vec![last.secondary.clone()],
        )
        .await;
        let tells = [
            notifier(&primary, "mem:middle"),
            notifier(&middle, "mem:last"),
        ];
        last.has(1).await;
        for serial in 2..10 {
            tokio::time::sleep(secs(7)).await;
            primary.publish(zone(serial, 500));
            let took = last.has(serial).await;
            assert!(took < secs(1), "{serial}: {took:?}");
        }
        for tell in tells {
            tell.stop().await.unwrap();
        }
        last.running.stop().await.unwrap();
        middle_runs.stop().await.unwrap();
        for server in [server, middle_server, last_server] {
            server.drain().await;
        }
    });
}

/// A version that is published twice is told once more, and not less often: who was away hears of it.
#[test]
fn what_is_published_twice_is_told_when_the_other_is_back() {
    run(async {
        let schemes = Schemes::new();
        let primary = transfers(allowed(&["transfer.test"]));
        let mut options_of = NotifierOptions::default();
        options_of.remotes = vec![remote("mem:last")];
        options_of.connect.schemes = schemes.clone();
        let tell = Notifier::new(primary.clone(), options_of).start();
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        primary.publish(zone(1, 5));
        let last = keep(options(&schemes, &["mem:primary"]));
        last.has(1).await;
        primary.publish(zone(2, 5));
        tokio::time::sleep(secs(1)).await;
        primary.publish(zone(2, 5));
        tokio::time::sleep(secs(1)).await;
        // Only now there is somebody to hear it; the refresh would be a minute.
        let last_server = serve(
            &schemes,
            "mem:last",
            &last.transfers,
            vec![last.secondary.clone()],
        )
        .await;
        let took = last.has(2).await;
        assert!(took < secs(20), "{took:?}");
        tell.stop().await.unwrap();
        last.running.stop().await.unwrap();
        for server in [server, last_server] {
            server.drain().await;
        }
    });
}

#[test]
fn a_restart_serves_what_was_kept() {
    run(async {
        let schemes = Schemes::new();
        let folder = tempfile::tempdir().unwrap();
        let primary = transfers(allowed(&["transfer.test"]));
        primary.publish(zone(1, 5000));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        let options = || {
            let mut options = options(&schemes, &["mem:primary"]);
            options.folder = Some(folder.path().to_owned());
            options
        };
        let kept = keep(options());
        kept.has(1).await;
        kept.running.stop().await.unwrap();
        server.drain().await;

        // Nobody is there, and the zone is; with what is left of its time.
        tokio::time::sleep(secs(400)).await;
        let kept = keep(options());
        assert_eq!(kept.has(1).await, secs(0));
        let zones = kept.transfers.zones().current();
        let here = zones.entry(origin().as_ref()).unwrap().zone().unwrap();
        assert_eq!(content(here), content(&zone(1, 5000)));
        let took = kept.until_expired().await;
        assert!(took >= secs(195) && took <= secs(201), "{took:?}");
        kept.running.stop().await.unwrap();

        // Long after, it is not served, but its differences can still be asked for.
        let kept = keep(options());
        kept.until_expired().await;
        primary.publish(zone(2, 5001));
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        kept.has(2).await;
        kept.running.stop().await.unwrap();
        server.drain().await;

        // What is broken is not served, and asked for anew.
        let file = folder.path().join("example.test.axfr");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.truncate(bytes.len() - 1);
        std::fs::write(&file, bytes).unwrap();
        let kept = keep(options());
        tokio::time::sleep(secs(1)).await;
        assert_eq!(serial(&kept.transfers), None);
        let server = serve(&schemes, "mem:primary", &primary, vec![]).await;
        kept.has(2).await;
        kept.running.stop().await.unwrap();
        server.drain().await;
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "nothing is left beside it");
    });
}
