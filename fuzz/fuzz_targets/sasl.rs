//! SASL: a server told any messages, and a client told any, by each mechanism.

#![no_main]

#[path = "../../crates/cred/tests/properties/sasl.rs"]
mod sasl;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sasl::check(data));
