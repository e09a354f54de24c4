//! Users files: their lines and hashes, read and edited.

#![no_main]

#[path = "../../crates/cred/tests/properties/users.rs"]
mod users;

libfuzzer_sys::fuzz_target!(|data: &[u8]| users::check(data));
