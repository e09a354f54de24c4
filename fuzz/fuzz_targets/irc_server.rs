//! Any lines of two clients of an IRC server.

#![no_main]

#[path = "../../crates/words-irc/tests/properties/irc_server.rs"]
mod irc_server;

libfuzzer_sys::fuzz_target!(|data: &[u8]| irc_server::check(data));
