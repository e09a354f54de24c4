//! Replays what the fuzzers know, so that ordinary test runs keep what a long run once found.

#[path = "properties/irc_message.rs"]
mod irc_message;
#[path = "properties/irc_server.rs"]
mod irc_server;
#[path = "../../../fuzz/replay.rs"]
mod replay;

use replay::replay;

#[test]
fn irc_message() {
    replay("irc_message", irc_message::check);
}

#[test]
fn irc_server() {
    replay("irc_server", irc_server::check);
}
