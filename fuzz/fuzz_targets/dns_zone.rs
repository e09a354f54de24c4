//! Zone files: read in pieces of any size, and what is written reads back the same.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/zone.rs"]
#[allow(dead_code, reason = "the targets of zones share their checks")]
mod zone;

libfuzzer_sys::fuzz_target!(|data: &[u8]| zone::check_zone(data));
