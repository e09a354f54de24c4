//! An IRC client, and a server that may say anything.

#![no_main]

#[path = "../../crates/words-irc/tests/properties/irc_client.rs"]
mod irc_client;

libfuzzer_sys::fuzz_target!(|data: &[u8]| irc_client::check(data));
