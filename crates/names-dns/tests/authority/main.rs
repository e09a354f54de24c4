//! The authority as others see it: beside NSD and Knot, under attack, and over
//! sockets.
#![allow(clippy::unwrap_used, reason = "a test")]

mod around;
mod ask;
mod attacks;
#[allow(dead_code, reason = "shared with the benchmark")]
mod daemon;
mod differential;
#[path = "../properties/message.rs"]
mod message;
#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn messages_of_the_corpus_go_both_ways() {
    replay::replay("dns_message", message::check_message);
}

#[test]
fn datagrams_of_the_corpus_are_answered_by_the_rules() {
    replay::replay("dns_answer", message::check_answer);
}

/// Neighbours of every question of the corpus: an octet changed, cut off, or
/// added.
#[test]
fn and_so_are_their_neighbours() {
    replay::replay("dns_answer", |bytes| {
        for at in 0..bytes.len() {
            for change in [0x01, 0x20, 0x80, 0xC0, 0xFF] {
                let mut near = bytes.to_vec();
                near[at] ^= change;
                message::check_answer(&near);
                message::check_message(&near);
            }
            message::check_answer(&bytes[..at]);
            message::check_message(&bytes[..at]);
        }
    });
}
