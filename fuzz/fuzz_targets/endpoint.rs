//! Endpoint strings: nothing panics, and what parses is the same after printing.

#![no_main]

#[path = "../../crates/core/tests/properties/endpoint.rs"]
mod endpoint;

libfuzzer_sys::fuzz_target!(|data: &[u8]| endpoint::check(data));
