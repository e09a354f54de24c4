//! What a jump begins with (PROXY headers, the answers of SOCKS5 and CONNECT proxies): read alike
//! whatever the segments, and not a byte too much.

#![no_main]

#[path = "../../crates/core/tests/properties/proxy.rs"]
mod proxy;

libfuzzer_sys::fuzz_target!(|data: &[u8]| proxy::check(data));
