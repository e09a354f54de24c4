//! Primaries and secondaries over many seeds of a network that breaks: in the end all have the
//! newest version.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use ropewalk_core::{
    Result, Service as _, Services,
    testing::sim::{Faults, Host, Network, simulate},
};
use ropewalk_names_dns::{
    proto::{Class, Serial},
    server::replication::{
        Notifier, NotifierOptions, Remote, Secondary, SecondaryOptions, Transfers,
    },
};
use tokio::time::{Instant, sleep};

use crate::servers::*;

/// The newest version: the zone's serial, and how many hosts it has.
#[derive(Clone, Default)]
struct Newest(Arc<AtomicU32>);

impl Newest {
    fn zone(&self) -> Arc<ropewalk_names_dns::zone::Zone> {
        let serial = self.0.load(Relaxed);
        zone(serial, 20 + serial % 7)
    }
}

fn remote(host: &str) -> Remote {
    Remote::new(format!("sim:{host}:53").parse().unwrap()).with_key(key())
}

fn notifier(host: &Host, transfers: &Transfers, whom: &[&str]) -> Notifier {
    let mut options = NotifierOptions::default();
    options.remotes = whom.iter().map(|host| remote(host)).collect();
    options.connect.schemes = host.schemes();
    Notifier::new(transfers.clone(), options)
}

/// A primary that looks for a new version each second, as an operator would bring it.
async fn primary(host: Host, newest: Newest, secondaries: &'static [&'static str]) -> Result {
    let transfers = transfers(allowed(&["transfer.test"]));
    transfers.publish(newest.zone());
    let _server = serve(&host.schemes(), "sim:53", &transfers, vec![]).await;
    let notifier = notifier(&host, &transfers, secondaries);
    let publishing = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            if serial(&transfers) != Some(Serial(newest.0.load(Relaxed))) {
                transfers.publish(newest.zone());
            }
        }
    };
    let mut services = Services::new().add(notifier).start();
    tokio::select! {
        biased;
        ended = services.ended() => ended,
        () = publishing => Ok(()),
    }
}

async fn secondary(
    host: Host,
    primaries: &'static [&'static str],
    secondaries: &'static [&'static str],
    folder: Option<std::path::PathBuf>,
    seen: Arc<AtomicU32>,
) -> Result {
    let transfers = transfers(allowed(&["transfer.test"]));
    let mut options = SecondaryOptions::default();
    options.primaries = primaries.iter().map(|host| remote(host)).collect();
    options.connect.schemes = host.schemes();
    options.folder = folder;
    let secondary = Secondary::new(origin(), Class::IN, transfers.clone(), options);
    let _server = serve(
        &host.schemes(),
        "sim:53",
        &transfers,
        vec![secondary.clone()],
    )
    .await;
    let notifier = notifier(&host, &transfers, secondaries);
    let mut state = secondary.state();
    let watching = async {
        while state.changed().await.is_ok() {
            let now = serial(&transfers);
            // Whatever is served is one of the primary's versions, whole.
            if let Some(Serial(number)) = now {
                let zones = transfers.zones().current();
                let here = zones.entry(origin().as_ref()).unwrap().zone().unwrap();
                assert_eq!(content(here), content(&zone(number, 20 + number % 7)));
                seen.store(number, Relaxed);
            }
        }
    };
    let mut services = Services::new().add(secondary).add(notifier).start();
    tokio::select! {
        biased;
        ended = services.ended() => ended,
        () = watching => Ok(()),
    }
}

/// Brings new versions while things break, and then waits until all have the last.
async fn versions(net: &Network, newest: &Newest, seen: &[Arc<AtomicU32>]) -> Result {
    let mut random = net.random();
    for _ in 0..random.within(2..=6) {
        sleep(random.duration(Duration::from_millis(10)..=Duration::from_secs(20))).await;
        newest
            .0
            .fetch_add(u32::try_from(random.within(1..=3))?, Relaxed);
    }
    net.calm();
    let last = newest.0.load(Relaxed);
    let start = Instant::now();
    while seen.iter().any(|seen| seen.load(Relaxed) != last) {
        sleep(Duration::from_millis(500)).await;
        // A refresh on each of two steps, with what a retry may add.
        if start.elapsed() > Duration::from_secs(300) {
            return Err(format!("not all have {last}: {seen:?}").into());
        }
    }
    Ok(())
}

#[test]
fn all_have_the_newest_version_in_the_end() {
    simulate(60, async |net| {
        let newest = Newest::default();
        newest.0.store(1, Relaxed);
        let seen = [Arc::<AtomicU32>::default(), Arc::default()];
        let at_primary = newest.clone();
        net.host("primary")
            .start(move |host| primary(host, at_primary.clone(), &["middle"]));
        let folder = tempfile::tempdir()?;
        let (kept, here) = (folder.path().to_owned(), seen[0].clone());
        net.host("middle").start(move |host| {
            let kept = Some(kept.clone());
            secondary(host, &["primary"], &["last"], kept, here.clone())
        });
        let here = seen[1].clone();
        net.host("last")
            .start(move |host| secondary(host, &["middle", "primary"], &[], None, here.clone()));
        net.inject(Faults::default().with_crashes());
        versions(&net, &newest, &seen).await
    });
}

/// The primary is gone for longer than the zone lives, and what was served until then was good.
#[test]
fn a_zone_outlives_its_primary_for_as_long_as_it_may() {
    simulate(10, async |net| {
        let newest = Newest::default();
        newest.0.store(1, Relaxed);
        let seen = Arc::<AtomicU32>::default();
        let at_primary = newest.clone();
        net.host("primary")
            .start(move |host| primary(host, at_primary.clone(), &["last"]));
        let here = seen.clone();
        net.host("last")
            .start(move |host| secondary(host, &["primary"], &[], None, here.clone()));
        while seen.load(Relaxed) == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        net.partition("primary", "last");
        newest.0.store(u32::MAX / 2, Relaxed);
        sleep(Duration::from_secs(900)).await;
        assert_eq!(seen.load(Relaxed), 1);
        net.repair("primary", "last");
        versions(&net, &newest, &[seen]).await
    });
}
