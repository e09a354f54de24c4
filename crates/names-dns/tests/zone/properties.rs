//! What holds of any zone, with zones made of pieces that zones are made of.

use proptest::prelude::*;

use crate::zone;

/// Words and marks as zone files have them, right and wrong.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: &[&str] = &[
        "@",
        "a",
        "b.example.",
        "*.a",
        "A",
        "NS",
        "MX",
        "TXT",
        "CNAME",
        "SVCB",
        "LOC",
        "IN",
        "CH",
        "60",
        "1h30m",
        "10",
        "192.0.2.1",
        "2001:db8::1",
        "\\#",
        "4",
        "C0000201",
        "TYPE65280",
        "alpn=h2",
        "key9=\"x\"",
        "$ORIGIN",
        "$TTL",
        "$GENERATE",
        "1-3",
        "a$",
        "${1,2,x}",
        "(",
        ")",
        "\"a b\"",
        "\"",
        "; c",
        "\\065",
        "\\.",
        "\\",
        "\n",
        "\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\n ",
    ];
    prop_oneof![
        9 => proptest::sample::select(WORDS).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

/// An entry that is probably right.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    const LINES: &[&str] = &[
        "A 192.0.2.1",
        "AAAA 2001:db8::1",
        "MX 10 b",
        "TXT \"x y\" \\000z",
        "CNAME c",
        "NS ns.@",
        "DNAME d.",
        "SRV 0 0 53 @",
        "CAA 0 issue \";\"",
        "TYPE65280 \\# 2 ABCD",
        "NSEC \\000.a A TXT TYPE300",
        "SVCB 1 . port=53 key9=\"\\001\"",
        "LOC 1 N 2 E 3m",
        "APL !1:10.0.0.0/8",
        "RP . a",
    ];
    (
        "[a-c*]{1,2}(\\\\[0-9.@]{1,3})?(\\.[A-D]){0,2}",
        proptest::sample::select(LINES),
    )
        .prop_map(|(owner, line)| format!("{owner} {line}\n").into_bytes())
}

fn cases() -> ProptestConfig {
    let deep = std::env::var_os("ROPEWALK_DEEP").is_some();
    ProptestConfig::with_cases(if deep { 20_000 } else { 200 })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn zones_of_entries_read_back_the_same(entries in proptest::collection::vec(entry(), 0..12)) {
        zone::check_zone(&entries.concat());
    }

    #[test]
    fn anything_is_read_in_pieces_as_it_is_whole(pieces in proptest::collection::vec((piece(), " ?"), 0..30)) {
        let text: Vec<u8> = pieces
            .into_iter()
            .flat_map(|(piece, blank)| [piece, blank.into_bytes()].concat())
            .collect();
        zone::check_zone(&text);
    }

    #[test]
    fn rdata_of_any_octets_holds(data in proptest::collection::vec(any::<u8>(), 0..40), record_type in 0_u8..=70) {
        zone::check_rdata(&[&[0, record_type][..], &data].concat());
        zone::check_name(&data);
    }
}
