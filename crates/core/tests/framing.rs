//! Framing over bytes that nobody thought of; see `properties/framing.rs`.

use proptest::prelude::*;

#[path = "properties/framing.rs"]
mod framing;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn segments_do_not_matter(
        how in 0..8_u8,
        limit in 0..20_u8,
        // Mostly what frames are made of.
        bytes in prop::collection::vec(prop::sample::select(&b"\r\n\r\n\n{0123456789abc\0\0\x01\x02\x05\xff::,,"[..]), 0..200),
    ) {
        framing::check(&[&[how, limit], &bytes[..]].concat());
    }
}
