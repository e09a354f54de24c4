//! Servers that have zones from each other: transfers, NOTIFY, secondaries, in virtual time.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are tests, which clippy cannot know"
)]

mod attacks;
#[path = "../properties/transfer.rs"]
mod properties;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
mod secondaries;
mod servers;
mod simulation;
mod transfers;

#[test]
fn signatures_of_the_corpus_are_good_or_refused() {
    replay::replay("dns_tsig", properties::check_tsig);
}

#[test]
fn transfers_of_the_corpus_are_whole_or_none() {
    replay::replay("dns_transfer", properties::check_transfer);
}

/// Neighbours of every input of both: an octet changed, or cut off.
#[test]
fn and_so_are_their_neighbours() {
    fn near(bytes: &[u8], check: fn(&[u8])) {
        for at in 0..bytes.len() {
            for change in [0x01, 0x80] {
                let mut near = bytes.to_vec();
                near[at] ^= change;
                check(&near);
            }
            check(&bytes[..at]);
        }
    }
    replay::replay("dns_tsig", |bytes| near(bytes, properties::check_tsig));
    replay::replay("dns_transfer", |bytes| {
        near(bytes, properties::check_transfer);
    });
}
