//! Signed messages, keys, and what is signed by us.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/transfer.rs"]
#[allow(dead_code, reason = "two targets share their checks")]
mod transfer;

libfuzzer_sys::fuzz_target!(|data: &[u8]| transfer::check_tsig(data));
