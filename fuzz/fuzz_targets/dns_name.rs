//! Names on the wire and as text.

#![no_main]

#[path = "../../crates/names-dns/tests/properties/zone.rs"]
#[allow(dead_code, reason = "the targets of zones share their checks")]
mod zone;

libfuzzer_sys::fuzz_target!(|data: &[u8]| zone::check_name(data));
