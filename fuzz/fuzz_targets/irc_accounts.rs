//! What an IRC server reads of strangers and of its disk: requests for history,
//! SASL's pieces, what is registered.

#![no_main]

#[path = "../../crates/words-irc/tests/properties/irc_accounts.rs"]
mod irc_accounts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| irc_accounts::check(data));
