//! The server, as its clients see it.
#![allow(
    clippy::unwrap_used,
    reason = "an error in a test is a failure of the test"
)]

#[path = "server/attacks.rs"]
mod attacks;
#[path = "properties/irc_accounts.rs"]
mod irc_accounts;
#[path = "server/live.rs"]
mod live;
#[path = "server/logins.rs"]
mod logins;
#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "server/script.rs"]
mod script;
#[path = "server/simulation.rs"]
mod simulation;
#[path = "server/transcripts.rs"]
mod transcripts;
#[cfg(feature = "websocket")]
#[path = "server/websocket.rs"]
mod websocket;

/// What the fuzzers know, so that ordinary test runs keep what a long run once
/// found.
#[test]
fn corpus() {
    replay::replay("irc_accounts", irc_accounts::check);
}
