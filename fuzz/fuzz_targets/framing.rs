//! Framing: lines and counted frames are the same, whatever the segments.

#![no_main]

#[path = "../../crates/core/tests/properties/framing.rs"]
mod framing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| framing::check(data));
