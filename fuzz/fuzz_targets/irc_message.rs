//! Lines of IRC: written as they were parsed, and taken alike however they are cut.

#![no_main]

#[path = "../../crates/words-irc/tests/properties/irc_message.rs"]
mod irc_message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| irc_message::check(data));
