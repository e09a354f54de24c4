//! AXFR and IXFR out: who may, and what comes.

use ropewalk_core::{Schemes, testing::run};
use ropewalk_names_dns::proto::{
    Rcode, Serial,
    transfer::{Progress, TransferError},
};

use crate::servers::*;

#[test]
fn a_zone_is_sent_whole_to_whom_it_is_allowed() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(allowed(&["transfer.test"]));
        transfers.publish(zone(7, 3000));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let (changes, progress) = transfer(&schemes, "mem:dns", None, true).await;
        assert_eq!(progress, Ok(Progress::Complete(Serial(7))));
        assert_eq!(changes.len(), 1 + 1 + 1 + 3000);
        assert_eq!(changes[..2], ["whole", "+example.test. SOA"]);
        // The same without a signature is refused.
        let (changes, progress) = transfer(&schemes, "mem:dns", None, false).await;
        assert_eq!(progress, Err(TransferError::Refused(Rcode::REFUSED)));
        assert!(changes.is_empty());
        server.drain().await;
    });
}

/// RFC 1995: differences where they are known, the whole zone where not, one SOA where there is
/// nothing new.
#[test]
fn differences_are_sent_as_far_as_they_are_known() {
    run(async {
        let schemes = Schemes::new();
        let mut options = allowed(&["transfer.test"]);
        options.versions = 2;
        let transfers = transfers(options);
        for serial in 1..=4 {
            transfers.publish(zone(serial, 100 + serial));
        }
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let ixfr = async |have: u32| {
            let have = zone(have, 1);
            let (changes, progress) = transfer(&schemes, "mem:dns", Some(&have), true).await;
            (changes.join(" "), progress)
        };
        let (changes, progress) = ixfr(3).await;
        assert_eq!(progress, Ok(Progress::Complete(Serial(4))));
        assert_eq!(
            changes,
            "-example.test. SOA -h0.example.test. A \
             +example.test. SOA +h0.example.test. A +h103.example.test. A"
        );
        let (changes, progress) = ixfr(2).await;
        assert_eq!(progress, Ok(Progress::Complete(Serial(4))));
        assert_eq!(changes.matches('-').count(), 4);
        // The first version is forgotten; one from elsewhere was never known.
        for have in [1, 0, u32::MAX] {
            let (changes, progress) = ixfr(have).await;
            assert_eq!(progress, Ok(Progress::Complete(Serial(4))));
            assert!(changes.starts_with("whole "), "{have}: {changes}");
        }
        for have in [4, 5] {
            assert_eq!(
                ixfr(have).await,
                (String::new(), Ok(Progress::UpToDate(Serial(4))))
            );
        }
        // A serial that went back breaks the way.
        transfers.publish(zone(2, 1));
        let (changes, _) = ixfr(1).await;
        assert!(changes.starts_with("whole "), "{changes}");
        server.drain().await;
    });
}

#[test]
fn a_transfer_under_way_is_of_one_version() {
    run(async {
        let schemes = Schemes::new();
        let transfers = transfers(allowed(&["transfer.test"]));
        transfers.publish(zone(1, 20_000));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        let moving = async {
            for serial in 2..50 {
                tokio::task::yield_now().await;
                transfers.publish(zone(serial, 3));
            }
        };
        let ((changes, progress), ()) =
            tokio::join!(transfer(&schemes, "mem:dns", None, true), moving);
        let Ok(Progress::Complete(serial)) = progress else {
            panic!("{progress:?}");
        };
        let expected = if serial == Serial(1) { 20_003 } else { 6 };
        assert_eq!(changes.len(), expected, "{serial}");
        server.drain().await;
    });
}

#[test]
fn transfers_at_a_time_are_bounded_and_end_with_their_connection() {
    run(async {
        let schemes = Schemes::new();
        let mut options = allowed(&["transfer.test"]);
        options.at_a_time = 1;
        let transfers = transfers(options);
        transfers.publish(zone(1, 20_000));
        let server = serve(&schemes, "mem:dns", &transfers, vec![]).await;
        // One that does not read keeps the only place.
        let mut slow = connect(&schemes, "mem:dns").await;
        let key = key();
        let (_, request) = ropewalk_names_dns::proto::transfer::Inbound::axfr(
            origin(),
            ropewalk_names_dns::proto::Class::IN,
            1,
            Some((&key, ropewalk_core::wall_clock())),
            Default::default(),
        );
        send(&mut slow, &request).await;
        receive(&mut slow).await;
        let (_, progress) = transfer(&schemes, "mem:dns", None, true).await;
        assert_eq!(progress, Err(TransferError::Refused(Rcode::SERVFAIL)));
        drop(slow);
        let progress = loop {
            let (_, progress) = transfer(&schemes, "mem:dns", None, true).await;
            if progress.is_ok() {
                break progress;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(progress, Ok(Progress::Complete(Serial(1))));
        server.drain().await;
    });
}
