use std::fs;
use std::io::{self, Read};

use super::*;
use crate::proto::Name;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

const HEAD: &str = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n  NS ns\n";

/// The records behind [`HEAD`], as they are written.
fn records(text: &str) -> String {
    let zone = Zone::from_text(name("example"), &format!("{HEAD}{text}"))
        .unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    zone.to_text()
        .lines()
        .skip(2)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn errors(text: &str) -> String {
    Zone::from_text(name("example"), &format!("{HEAD}{text}"))
        .unwrap_err()
        .to_string()
}

#[test]
fn all_forms_of_an_entry_are_the_same() {
    for text in [
        "a 60 IN A 192.0.2.1\n",
        "a IN 60 A 192.0.2.1\n",
        "a IN 1m A 192.0.2.1\n",
        "a A 192.0.2.1",
        "A.example. a 192.0.2.1\r\n",
        "a\tin\ta\t(192.0.2.1)\n",
        "a ( IN ; comment )\n A\n 192.0.2.1 ) ; more\n",
        "$ORIGIN EXAMPLE.\na A 192.0.2.1\n",
        "$ORIGIN a\n@ A 192.0.2.1\n",
        "a TYPE1 \\# 4 C0000201\n",
        "a CLASS1 A \\# 4 c000 0201\n",
        "$GENERATE 1-1 a A 192.0.2.$\n",
        "\\097 A 192.0.2.1\n",
        "\"a\" A 192.0.2.1\n",
        "; nothing\n\n  \na A 192.0.2.1\n a 192.0.2.1\n",
    ] {
        let found = records(text).to_lowercase();
        assert_eq!(found, "a.example. 60 in a 192.0.2.1\n", "{text}");
    }
}

#[test]
fn ttls_come_from_where_bind_takes_them() {
    let ttls = |text: &str| -> Vec<u32> {
        let zone = Zone::from_text(name("example"), text).unwrap();
        zone.records().map(|record| record.set.ttl()).collect()
    };
    // The SOA's minimum where nothing else is said.
    assert_eq!(ttls("@ SOA ns h 1 2 3 4 5\n NS ns\n"), [5, 5]);
    // The last that was said.
    assert_eq!(
        ttls("@ 7 SOA ns h 1 2 3 4 5\n NS ns\na 8 A 192.0.2.1\nb A 192.0.2.1\n"),
        [7, 7, 8, 8]
    );
    // `$TTL` before the last that was said.
    assert_eq!(
        ttls("$TTL 1h\n@ 7 SOA ns h 1 2 3 4 5\n NS ns\n$TTL 2w\na A 192.0.2.1\n"),
        [7, 3600, 1_209_600]
    );
}

#[test]
fn errors_name_line_and_column_and_reading_goes_on() {
    assert_eq!(
        errors(
            "a A 192.0.2\nb MX (\n 10\n a..b )\nc CH A x.\nd X 1\ne 1x A 1\n$FOO\n\"x\n) x\nf A 1.2.3.4 5\n\
                g A\nh 60 60 A 1\n$TTL\n$ORIGIN a b\n$INCLUDE /etc/passwd\n.. A 192.0.2.1\n A 192.0.2.1\n"
        ),
        "text:4:5: A: an IPv4 address expected, not `192.0.2`\n\
         text:7:2: MX: an empty label (two dots in a row, or one in front)\n\
         text:8:3: the zone's class expected, not `CH`\n\
         text:9:3: a TTL, a class or a record type expected, not `X`\n\
         text:10:3: a TTL, as `3600` or `1h30m` up to 2147483647 seconds, expected, not `1x`\n\
         text:11:1: $ORIGIN, $TTL, $INCLUDE, $GENERATE or an owner expected, not `$FOO`\n\
         text:12:1: `\"` expected at the end of the text that begins here, on the same line\n\
         text:13:1: a parenthesis that was not opened\n\
         text:14:13: A: more than the type has fields\n\
         text:15:3: A: an IPv4 address expected, and nothing is there\n\
         text:16:6: a class or a record type expected, not `60`\n\
         text:17:1: a TTL expected, and the entry ends\n\
         text:18:11: the entry's end expected, not `b`\n\
         text:19:10: $INCLUDE: this zone is of no file, and includes none\n\
         text:20:1: a domain name expected: an empty label (two dots in a row, or one in front)\n\
         text:21:2: an owner before this record expected, and the entry ends",
    );
    let many = "x\n".repeat(100);
    assert_eq!(errors(&many).lines().count(), 21);
    assert!(errors(&many).ends_with("text:23:0: too many errors; the rest was not read"));
    assert_eq!(
        errors("c CNAME a\nc A 192.0.2.1\n"),
        "text:5:0: c.example.: a CNAME beside other records"
    );
    assert_eq!(
        Zone::from_text(name("example"), "a A 192.0.2.1\n")
            .unwrap_err()
            .to_string(),
        "text:1:3: a TTL, or `$TTL` before this record, expected, and the entry ends",
    );
}

#[test]
fn what_is_not_of_the_zone_is_left_out() {
    assert_eq!(records("a.other. A 192.0.2.1\nxexample. A 192.0.2.1\n"), "");
}

/// Blanks without end, and how many were taken.
struct Endless(u64);

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        buffer.fill(b'x');
        self.0 += buffer.len() as u64;
        Ok(buffer.len())
    }
}

#[test]
fn a_line_without_end_is_refused_and_not_read() {
    for start in ["", "a TXT \"", "a TXT ( ", ";", "a TXT (;"] {
        let mut endless = Endless(0);
        let mut reader = ZoneReader::new(name("example"), ReadOptions::default());
        reader.read(
            "endless",
            start.as_bytes().chain(&mut endless).take(1 << 30),
        );
        let errors = reader.finish().unwrap_err().to_string();
        assert_eq!(
            errors, "endless:1:0: an entry of more than 1048576 octets",
            "{start}"
        );
        assert!(endless.0 < 4 << 20, "{}", endless.0);
    }
}

#[test]
fn an_entry_may_be_as_long_as_a_record_can() {
    // 65,535 octets, each escaped, in strings of 255.
    let string = format!("\"{}\"\n ", "\\001".repeat(255));
    let text = format!("a TXT ( {} )\n", string.repeat(255));
    assert!(records(&text).len() > 255 * 255 * 4);
}

#[test]
fn generate_is_bounded() {
    assert_eq!(
        errors("$GENERATE 0-2147483648 a$ A 192.0.2.1\n"),
        "text:4:11: $GENERATE: a range of 2147483649 numbers: at most 65536 expected",
    );
    assert_eq!(
        errors("$GENERATE 0-4294967296 a$ A 192.0.2.1\n"),
        "text:4:11: $GENERATE: a range as `1-254` or `0-255/2` expected",
    );
    assert_eq!(
        errors("$GENERATE 255-256 a$ A 192.0.2.$\n"),
        "text:4:24: A: an IPv4 address expected, not `192.0.2.256`",
    );
    assert_eq!(
        records("$GENERATE 1-2 h-${0,2} 5 IN MX \"$0 m$.o.\"\n$GENERATE 1-1 t TXT \"a b$\" c$\n"),
        "h-01.example. 5 IN MX 10 m1.o.\nh-02.example. 5 IN MX 20 m2.o.\nt.example. 60 IN TXT \"a b1\" \"c1\"\n",
    );
}

#[test]
fn files_are_included_from_below_the_zone_s_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("zones");
    fs::create_dir_all(root.join("parts")).unwrap();
    let write = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
    fs::write(folder.path().join("secret"), "s A 192.0.2.66\n").unwrap();
    std::os::unix::fs::symlink(folder.path().join("secret"), root.join("link")).unwrap();
    write("parts/a", "x A 192.0.2.1\n$ORIGIN deep\ny A 192.0.2.2\n");
    write("circle", "$INCLUDE circle\n");
    write("fan", "$INCLUDE fan2\n".repeat(40).as_str());
    write("fan2", "$INCLUDE none\n".repeat(40).as_str());
    write("none", "");
    let read = |text: &str| {
        write("zone", &format!("{HEAD}{text}"));
        Zone::from_file(&root.join("zone"), name("example"), &ReadOptions::default())
            .map(|zone| {
                zone.to_text()
                    .lines()
                    .skip(2)
                    .map(|line| format!("{line}\n"))
                    .collect::<String>()
            })
            .map_err(|errors| {
                errors
                    .to_string()
                    .replace(&format!("{}/", root.display()), "")
            })
    };
    // Neither origin nor owner change for who includes.
    assert_eq!(
        read("o A 192.0.2.3\n$INCLUDE parts/a sub\n A 192.0.2.4\n$INCLUDE \"parts/a\"\nz A 192.0.2.5\n").unwrap(),
        "y.deep.example. 60 IN A 192.0.2.2\no.example. 60 IN A 192.0.2.3\no.example. 60 IN A 192.0.2.4\n\
         y.deep.sub.example. 60 IN A 192.0.2.2\nx.sub.example. 60 IN A 192.0.2.1\n\
         x.example. 60 IN A 192.0.2.1\nz.example. 60 IN A 192.0.2.5\n",
    );
    for outside in ["../secret", "/etc/hostname", "parts/../../secret", "link"] {
        assert_eq!(
            read(&format!("$INCLUDE {outside}\n")).unwrap_err(),
            "zone:4:10: $INCLUDE: a file in the zone's own folder or below expected",
            "{outside}",
        );
    }
    assert_eq!(
        read("$INCLUDE parts\n").unwrap_err(),
        "zone:4:10: $INCLUDE: a regular file expected"
    );
    assert!(
        read("$INCLUDE missing\n")
            .unwrap_err()
            .starts_with("zone:4:10: No such file")
    );
    assert_eq!(
        read("$INCLUDE circle\n").unwrap_err(),
        "circle:1:10: $INCLUDE: files are included too deep, perhaps in a circle",
    );
    assert!(
        read("$INCLUDE fan\n")
            .unwrap_err()
            .contains("fan2:24:10: $INCLUDE: too many files")
    );
    let missing = Zone::from_file(&root.join("no"), name("example"), &ReadOptions::default());
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .contains("no:0:0: No such file")
    );
}
