//! Replays what the fuzzers know, so that ordinary test runs keep what a long run once found.

#[path = "../../../fuzz/replay.rs"]
mod replay;
#[path = "properties/sasl.rs"]
mod sasl;
#[path = "properties/users.rs"]
mod users;

use replay::replay;

#[test]
fn sasl() {
    replay("sasl", sasl::check);
}

#[test]
fn users() {
    replay("users", users::check);
}
