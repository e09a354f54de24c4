//! The client, whole: against scripts, our own server, and servers of others.
#![allow(
    clippy::unwrap_used,
    reason = "an error in a test is a failure of the test"
)]

#[path = "properties/irc_client.rs"]
mod irc_client;
#[path = "client/logins.rs"]
mod logins;
#[path = "client/ours.rs"]
mod ours;
#[path = "client/process.rs"]
mod process;
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "client/rust_irc.rs"]
mod rust_irc;
#[path = "client/scripted.rs"]
mod scripted;
#[path = "client/simulation.rs"]
mod simulation;
#[path = "client/talk.rs"]
mod talk;
#[path = "client/with_inspircd.rs"]
mod with_inspircd;
#[path = "client/with_ngircd.rs"]
mod with_ngircd;

/// What the fuzzers know, so that ordinary test runs keep what a long run once
/// found.
#[test]
fn corpus() {
    replay::replay("irc_client", irc_client::check);
}
