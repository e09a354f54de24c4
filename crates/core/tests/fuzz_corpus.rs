//! Replays what the fuzzers know, so that ordinary test runs keep what a long run once found.

#[path = "properties/endpoint.rs"]
mod endpoint;
#[path = "properties/framing.rs"]
mod framing;
#[path = "properties/proxy.rs"]
mod proxy;
#[path = "../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn endpoint() {
    replay("endpoint", endpoint::check);
}

#[test]
fn framing() {
    replay("framing", framing::check);
}

#[test]
fn proxy() {
    replay("proxy", proxy::check);
}
