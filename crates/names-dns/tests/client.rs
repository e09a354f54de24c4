//! The stub client, the forwarder and connecting by SRV: whole, in memory and in virtual time, over
//! simulated networks, and with real programs.
#![allow(clippy::unwrap_used, reason = "a test")]
#![cfg(all(feature = "client", feature = "server", feature = "testing"))]

#[path = "authority/ask.rs"]
#[allow(dead_code, reason = "shared with the authority's tests")]
mod ask;
#[path = "client/by_hand.rs"]
mod by_hand;
#[path = "authority/daemon.rs"]
#[allow(dead_code, reason = "shared with the authority's tests")]
mod daemon;
#[path = "client/forwarding.rs"]
mod forwarding;
#[cfg(feature = "doh")]
#[path = "client/https.rs"]
mod https;
#[path = "client/interop.rs"]
mod interop;
#[path = "client/lookups.rs"]
mod lookups;
#[path = "properties/client.rs"]
mod properties;
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "client/service.rs"]
mod service;
#[path = "client/simulation.rs"]
mod simulation;

/// The corpus of the fuzz target `dns_client`.
#[test]
fn what_the_client_reads() {
    replay::replay("dns_client", properties::check);
}
