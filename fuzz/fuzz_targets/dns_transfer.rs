//! The answer to a request for a zone: a stream of messages.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/transfer.rs"]
#[allow(dead_code, reason = "two targets share their checks")]
mod transfer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| transfer::check_transfer(data));
