//! What the stub client reads itself: files of the system, and servers' answers.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/client.rs"]
mod client;

libfuzzer_sys::fuzz_target!(|data: &[u8]| client::check(data));
