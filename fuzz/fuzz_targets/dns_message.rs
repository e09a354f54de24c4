//! Messages, read and written.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/message.rs"]
#[allow(dead_code, reason = "two targets share their checks")]
mod message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| message::check_message(data));
