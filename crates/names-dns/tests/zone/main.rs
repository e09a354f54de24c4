//! Zone files: read, written, checked, and read as other servers read them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
#[path = "../../../../fuzz/replay.rs"]
mod replay;
#[path = "../properties/zone.rs"]
mod zone;

mod properties;

#[test]
fn corpus_of_names() {
    replay::replay("dns_name", zone::check_name);
}

#[test]
fn corpus_of_rdata() {
    replay::replay("dns_rdata", zone::check_rdata);
}

#[test]
fn corpus_of_zones() {
    replay::replay("dns_zone", zone::check_zone);
}
