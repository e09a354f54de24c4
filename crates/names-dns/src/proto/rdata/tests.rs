use super::*;

/// A text of each type, as it is read and as it is written; `""` where both are the same.
const TEXTS: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", ""),
    ("NS", "ns.example.", ""),
    ("MD", "a.", ""),
    ("MF", "a.", ""),
    ("CNAME", r"a\.b.", ""),
    (
        "SOA",
        "ns.a. host.a. ( 1 1h 15m 2w 1d )",
        "ns.a. host.a. 1 3600 900 1209600 86400",
    ),
    ("MB", "a.", ""),
    ("MG", "a.", ""),
    ("MR", "a.", ""),
    ("NULL", r"\# 3 616263", ""),
    ("WKS", "192.0.2.1 tcp smtp 80", "192.0.2.1 6 25 80"),
    ("PTR", "a.", ""),
    ("HINFO", "PC \"Net BSD\"", "\"PC\" \"Net BSD\""),
    ("MINFO", "a. b.", ""),
    ("MX", "10 a.", ""),
    (
        "TXT",
        r#"a "b c" "\"\\\065\000é""#,
        r#""a" "b c" "\"\\A\000\195\169""#,
    ),
    ("RP", "a. b.", ""),
    ("AFSDB", "1 a.", ""),
    ("X25", "311061700956", "\"311061700956\""),
    ("ISDN", "150862028003217 004", "\"150862028003217\" \"004\""),
    ("ISDN", "\"150862028003217\"", ""),
    ("RT", "2 a.", ""),
    ("NSAP", "0x47.0005.80005a00", "0x47000580005A00"),
    ("NSAP-PTR", "a.", ""),
    (
        "SIG",
        "A RSASHA1 3 3600 20040101000000 20031201000000 42 a. AQID",
        "A 5 3 3600 20040101000000 20031201000000 42 a. AQID",
    ),
    ("KEY", "49152 3 1", ""),
    ("KEY", "256 3 RSASHA1 AQID", "256 3 5 AQID"),
    ("PX", "10 a. b.", ""),
    (
        "GPOS",
        "-32.6882 116.8652 10.0",
        "\"-32.6882\" \"116.8652\" \"10.0\"",
    ),
    ("AAAA", "2001:DB8::0:1", "2001:db8::1"),
    (
        "LOC",
        "42 21 54 N 71 06 18 W -24m 30m",
        "42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m",
    ),
    (
        "LOC",
        "52 S 4 53 1.5 E 0",
        "52 0 0.000 S 4 53 1.500 E 0.00m 1.00m 10000.00m 10.00m",
    ),
    ("NXT", "a. A NXT SIG", "a. A SIG NXT"),
    ("EID", "ABCD", ""),
    ("NIMLOC", "ab cd", "ABCD"),
    ("SRV", "0 5 443 a.", ""),
    ("ATMA", "+31.20", "+3120"),
    ("ATMA", "39.246f", "39246F"),
    (
        "NAPTR",
        r#"100 10 u sip+E2U "!^.*$!sip:a@b!" ."#,
        r#"100 10 "u" "sip+E2U" "!^.*$!sip:a@b!" ."#,
    ),
    ("KX", "10 a.", ""),
    ("CERT", "PGP 0 0 AQID", "3 0 0 AQID"),
    ("A6", "64 ::1:2:3:4 a.", "64 ::1:2:3:4 a."),
    ("A6", "0 2001:db8::1", ""),
    ("A6", "128 a.", ""),
    ("DNAME", "a.", ""),
    ("SINK", "1 0 0 AQID", ""),
    (
        "APL",
        "1:192.168.32.0/21 !1:192.168.38.0/28 2:2001:db8::/32",
        "",
    ),
    ("APL", "", ""),
    (
        "DS",
        "60485 RSASHA1 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
        "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    ),
    ("SSHFP", "2 9 00", ""),
    ("IPSECKEY", "10 1 2 192.0.2.38 AQID", ""),
    ("IPSECKEY", "10 0 2 . AQID", ""),
    ("IPSECKEY", "10 2 0 2001:db8::1", ""),
    ("IPSECKEY", "10 3 2 a. AQID", ""),
    (
        "RRSIG",
        "TYPE65280 13 3 3600 1700000000 20231114221320 42 a. AQID",
        "TYPE65280 13 3 3600 20231114221320 20231114221320 42 a. AQID",
    ),
    ("NSEC", "a. A RRSIG NSEC TYPE1234", ""),
    ("DNSKEY", "256 3 ED25519 AQID", "256 3 15 AQID"),
    ("DHCID", "AAIB Y2/A", "AAIBY2/A"),
    (
        "NSEC3",
        "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
        "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR A RRSIG",
    ),
    ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", ""),
    ("NSEC3PARAM", "1 0 0 -", ""),
    ("TLSA", "3 1 0 ABCD", ""),
    ("SMIMEA", "3 1 0 ABCD", ""),
    ("HIP", "2 200100107B1A74DF AwEA a. b.", ""),
    ("NINFO", "\"a\"", ""),
    ("RKEY", "0 3 8 AQID", ""),
    ("TALINK", "a. b.", ""),
    ("CDS", "0 0 0 00", ""),
    ("CDNSKEY", "0 3 0 AA==", ""),
    ("OPENPGPKEY", "AQID", ""),
    ("CSYNC", "66 3 A NS AAAA", ""),
    ("ZONEMD", "2018031500 1 240 0102030405060708090A0B0C", ""),
    ("SVCB", "0 a.", ""),
    (
        "SVCB",
        "1 . key667=\"a\\ b\" port=53 alpn=\"h2,h\\\\\\\\3,x\\\\,y\" mandatory=alpn,port",
        "1 . mandatory=alpn,port alpn=\"h2,h\\\\\\\\3,x\\\\,y\" port=53 key667=\"a b\"",
    ),
    (
        "HTTPS",
        "1 a. alpn=h2 no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ech=AQID ipv6hint=2001:db8::1 dohpath=/q{?dns}",
        "1 a. alpn=\"h2\" no-default-alpn ipv4hint=192.0.2.1,192.0.2.2 ech=AQID ipv6hint=2001:db8::1 dohpath=\"/q{?dns}\"",
    ),
    ("DSYNC", "CDS 1 5300 a.", ""),
    ("SPF", "\"v=spf1 -all\"", ""),
    ("UINFO", r"\# 0", ""),
    ("UID", r"\# 1 00", ""),
    ("GID", r"\# 1 00", ""),
    ("UNSPEC", r"\# 1 00", ""),
    ("NID", "10 14:4fff:ff20:ee64", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 192.0.2.1", ""),
    ("L64", "10 2001:0db8:1140:1000", ""),
    ("LP", "10 a.", ""),
    ("EUI48", "00-00-5e-00-53-2a", ""),
    ("EUI64", "00-00-5e-ef-10-00-00-2a", ""),
    ("URI", "10 1 \"ftp://a/b c\"", ""),
    ("CAA", "0 issue \"ca.example; a=b\"", ""),
    ("AVC", "\"a\"", ""),
    ("DOA", "0 1 2 \"\" aGVsbG8=", ""),
    ("DOA", "0 1 2 \"text/plain\" -", ""),
    ("AMTRELAY", "10 1 3 a.", ""),
    ("AMTRELAY", "10 0 0 .", ""),
    ("RESINFO", "\"qnamemin\" \"exterr=15-17\"", ""),
    ("WALLET", "\"ETH\" \"0x1\"", ""),
    ("TA", "1 8 0 AB", ""),
    ("DLV", "1 8 0 AB", ""),
    ("TYPE65280", r"\# 2 ABCD", ""),
];

#[test]
fn every_type_is_read_and_written_the_same() {
    for (record_type, text, again) in TEXTS {
        let record_type: RecordType = record_type.parse().unwrap();
        let wire = from_text(Class::IN, record_type, text)
            .unwrap_or_else(|error| panic!("{record_type} {text}: {error}"));
        assert_eq!(
            check(Class::IN, record_type, &wire),
            Ok(()),
            "{record_type} {text}"
        );
        let expected = if again.is_empty() { text } else { again };
        assert_eq!(
            to_text(Class::IN, record_type, &wire),
            *expected,
            "{record_type}"
        );
        assert_eq!(
            from_text(Class::IN, record_type, expected).unwrap(),
            wire,
            "{record_type}"
        );
        // The same data in the form for types that are not known.
        let hex: String = wire.iter().map(|octet| format!("{octet:02x}")).collect();
        let generic = format!("\\# {} {hex}", wire.len());
        assert_eq!(
            from_text(Class::IN, record_type, &generic).unwrap(),
            wire,
            "{generic}"
        );
    }
}

#[test]
fn every_type_of_the_table_has_its_text() {
    for number in 0..=u16::MAX {
        let record_type = RecordType(number);
        if record_type.mnemonic().is_some() && !record_type.is_meta() {
            let name = record_type.to_string();
            assert!(TEXTS.iter().any(|(known, _, _)| *known == name), "{name}");
        }
    }
}

#[test]
fn data_that_ends_early_or_late_is_refused() {
    for (record_type, text, _) in TEXTS {
        let record_type: RecordType = record_type.parse().unwrap();
        let mut wire = from_text(Class::IN, record_type, text).unwrap();
        for end in 0..wire.len() {
            // All that matters is that nothing panics; some types may end anywhere.
            let cut = &wire[..end];
            if check(Class::IN, record_type, cut).is_ok() {
                let text = to_text(Class::IN, record_type, cut);
                assert_eq!(
                    from_text(Class::IN, record_type, &text).unwrap(),
                    cut,
                    "{text}"
                );
            }
            let mut out = Vec::new();
            let taken = unpack(Class::IN, record_type, cut, 0, end, &mut out);
            assert_eq!(taken.is_ok(), check(Class::IN, record_type, cut).is_ok());
            assert!(taken.is_err() || out == cut);
        }
        if matches!(
            record_type,
            RecordType::MX | RecordType::A | RecordType::SRV | RecordType::SOA
        ) {
            wire.push(0);
            assert_eq!(
                check(Class::IN, record_type, &wire),
                Err(RdataError::Trailing)
            );
        }
    }
}

#[test]
fn text_that_is_wrong_says_what_is_expected() {
    for (record_type, text, expected) in [
        (
            "A",
            "192.0.2.300",
            "an IPv4 address expected, not `192.0.2.300`",
        ),
        ("A", "192.0.2.1 x", "more than the type has fields"),
        ("A", "", "an IPv4 address expected, and nothing is there"),
        (
            "A",
            "\\# 3 010203",
            "an IPv4 address expected, and nothing is there",
        ),
        (
            "AAAA",
            "192.0.2.1",
            "an IPv6 address expected, not `192.0.2.1`",
        ),
        (
            "MX",
            "65536 a.",
            "a number up to 65535 expected, not `65536`",
        ),
        ("MX", "+1 a.", "a number up to 65535 expected, not `+1`"),
        (
            "NS",
            "a..b.",
            "an empty label (two dots in a row, or one in front)",
        ),
        (
            "SOA",
            "a. b. 1 1h30 1 1 1",
            "a number of seconds, as `3600` or `1h30m`, expected, not `1h30`",
        ),
        (
            "DS",
            "1 8 2 AB",
            "a digest of the length that its kind has expected",
        ),
        ("DNSKEY", "256 3 8 A", "base64 expected, not `A`"),
        (
            "TXT",
            "\"\\25\"",
            "three digits up to 255, or a character, behind `\\` expected, not `\\25`",
        ),
        (
            "RRSIG",
            "A 8 1 1 20230229000000 1 1 a. AQID",
            "a time as `YYYYMMDDHHmmSS`, or in seconds expected, not `20230229000000`",
        ),
        (
            "LOC",
            "91 N 0 E 0",
            "a latitude as `52 22 23.000 N` expected, not `91`",
        ),
        (
            "SVCB",
            "1 . port=1 port=2",
            "SvcParams in ascending order of keys expected",
        ),
        (
            "SVCB",
            "1 . mandatory=port",
            "a SvcParam's value is not well-formed",
        ),
        (
            "SVCB",
            "1 . ipv4hint=1.2.3",
            "IPv4 addresses with `,` between expected, not `ipv4hint=1.2.3`",
        ),
        (
            "APL",
            "1:192.0.2.0/33",
            "an address prefix as `1:192.0.2.0/24` expected, not `1:192.0.2.0/33`",
        ),
        (
            "TYPE65280",
            "abc",
            "`\\#`, a number of octets and hexadecimal digits expected for this type",
        ),
        ("CAA", "0 is-sue x", "a tag of letters and digits expected"),
        ("NULL", "\\# 1 0", "hexadecimal digits expected, not `0`"),
        (
            "NULL",
            "\\# 2 00",
            "as many octets as the number before says expected",
        ),
    ] {
        let record_type: RecordType = record_type.parse().unwrap();
        let error = from_text(Class::IN, record_type, text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{record_type} {text}");
    }
    let long = "x".repeat(256);
    assert!(from_text(Class::IN, RecordType::TXT, &long).is_err());
    assert!(from_text(Class::IN, RecordType::TXT, &long[1..]).is_ok());
    let many = "x ".repeat(32_768);
    assert_eq!(
        from_text(Class::IN, RecordType::TXT, many.trim_end()),
        Err(RdataError::TooLong)
    );
}

#[test]
fn names_are_found_unpacked_and_lowered() {
    // `EXAMPLE` at 0, `b.EXAMPLE` by a pointer, then an MX to `mail` below it.
    let message = b"\x07EXAMPLE\0\x01b\xC0\0\x00\x0A\x04Mail\xC0\x09";
    let mut wire = Vec::new();
    unpack(
        Class::IN,
        RecordType::MX,
        message,
        13,
        message.len(),
        &mut wire,
    )
    .unwrap();
    assert_eq!(wire, b"\0\x0A\x04Mail\x01b\x07EXAMPLE\0");
    let parts: Vec<_> = names(Class::IN, RecordType::MX, &wire).collect();
    assert_eq!((parts.len(), parts[0].at), (1, 2));
    canonicalise(Class::IN, RecordType::MX, &mut wire);
    assert_eq!(wire, b"\0\x0A\x04mail\x01b\x07example\0");
    // SVCB's target is never compressed, and keeps its case.
    assert_eq!(
        unpack(
            Class::IN,
            RecordType::SVCB,
            b"\x01a\0\0\x01\xC0\0",
            3,
            7,
            &mut Vec::new()
        ),
        Err(RdataError::Name(NameError::Compressed)),
    );
    let mut svcb = b"\0\x01\x01A\0".to_vec();
    canonicalise(Class::IN, RecordType::SVCB, &mut svcb);
    assert_eq!(svcb, b"\0\x01\x01A\0");
    let soa = from_text(Class::IN, RecordType::SOA, "A. B. 1 2 3 4 5").unwrap();
    assert_eq!(names(Class::IN, RecordType::SOA, &soa).count(), 2);
    // The address of CHAOS has a name, that of the Internet has none.
    let chaos = from_text(Class::CH, RecordType::A, "a. 177777").unwrap();
    assert_eq!(chaos, b"\x01a\0\xFF\xFF");
    assert_eq!(names(Class::CH, RecordType::A, &chaos).count(), 1);
}

#[test]
fn hickory_agrees_where_it_knows_a_type() {
    let mut known = 0;
    for (name, text, _) in TEXTS {
        let record_type: RecordType = name.parse().unwrap();
        let wire = from_text(Class::IN, record_type, text).unwrap();
        let Ok(theirs) = to_hickory(record_type, &wire) else {
            // SIG and the old KEYs are what it has its own mind about.
            assert!(
                matches!(*name, "SIG" | "KEY" | "CDNSKEY" | "CDS" | "RRSIG" | "DS"),
                "{name} {text}"
            );
            continue;
        };
        let (again, their_wire) =
            from_hickory(&theirs).unwrap_or_else(|e| panic!("{name} {text}: {e}"));
        assert_eq!(again, record_type);
        assert_eq!(their_wire, wire, "{name} {text}");
        known += 1;
    }
    assert!(known > 80, "{known}");
}
