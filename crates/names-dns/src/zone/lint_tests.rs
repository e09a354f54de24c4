use super::*;

fn findings(text: &str) -> Vec<String> {
    let mut reader = ZoneReader::new("example".parse().unwrap(), ReadOptions::default());
    reader.read("z", text.as_bytes());
    reader.check().iter().map(ToString::to_string).collect()
}

const HEAD: &str = "$TTL 1h\n@ SOA ns h 1 4h 1h 2w 5m\n NS ns\n NS ns.other.\nns A 192.0.2.1\n";

/// What is found of lines behind a head with which all is well.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(findings(&format!("{HEAD}{text}")), expected, "{text}");
}

#[test]
fn a_good_zone_has_no_findings() {
    check(
        "@ MX 10 mail\n MX 20 mail.other.\nmail AAAA 2001:db8::1\nwww CNAME @\n* CNAME www\n\
         child NS ns.child\n NS ns.other.\n DS 1 8 2 ( D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B83\n\
         83F6A1E4469DA50A )\nns.child A 192.0.2.2\n_sip._tcp SRV 0 0 5060 mail\nnomail MX 0 .\n\
         old DNAME new.other.\nx CNAME a.old\ny CNAME ns.child\nz CNAME deep.child\n",
        &[],
    );
}

#[test]
fn what_is_not_served_is_an_error() {
    assert_eq!(
        findings(""),
        [
            "error: the zone has no SOA [missing-soa]",
            "error: the zone has no NS at its top [missing-ns]",
        ]
    );
    check(
        "a CNAME ns\na TXT x\n",
        &["z:7: error: a.example.: a CNAME beside other records [cname-and-other]"],
    );
    check(
        "a CNAME ns\na CNAME ns.other.\n",
        &["z:7: error: a.example.: more than one CNAME [several-cnames]"],
    );
    check(
        "a DNAME x.\na DNAME y.\n",
        &["z:7: error: a.example.: more than one DNAME [several-dnames]"],
    );
    check(
        "a A 1.2.3\n",
        &["z:6:5: error: A: an IPv4 address expected, not `1.2.3` [syntax]"],
    );
    check(
        "@ SOA ns h 2 4h 1h 2w 5m\n",
        &["z:6: error: example.: more than one SOA [several-soas]"],
    );
    check(
        "a SOA ns h 2 4h 1h 2w 5m\n",
        &["z:6: error: a.example.: an SOA that is not at the zone's top [soa-below-apex]"],
    );
}

#[test]
fn records_that_do_not_count_are_told() {
    check(
        "a.other. A 192.0.2.1\n",
        &["z:6: warning: a.other. is not in the zone example. [out-of-zone]"],
    );
    check(
        "a A 192.0.2.1\nb A 192.0.2.1\nA A 192.0.2.1\n",
        &["z:8: warning: a.example. has this A already [duplicate-record]"],
    );
    check(
        "a 5 A 192.0.2.1\na 6 A 192.0.2.2\n",
        &["z:7: warning: a TTL of 6: other A of a.example. have 5, and it counts [ttl-mismatch]"],
    );
    check(
        "a 0 A 192.0.2.1\n",
        &["z:6: hint: a.example. A has a TTL of 0, and is asked for each time [odd-ttl]"],
    );
    check(
        "a 2w A 192.0.2.1\n",
        &["z:6: hint: a.example. A has a TTL of 1209600, more than a week [odd-ttl]"],
    );
    check(
        "a SPF \"v=spf1 -all\"\n",
        &["z:6: hint: SPF is a TXT since RFC 7208; nobody asks for this type [obsolete-type]"],
    );
    check(
        "a MD x.other.\n",
        &["z:6: hint: MD is obsolete [obsolete-type]"],
    );
    check(
        "c NS ns.other.\nx.c TXT x\n",
        &["z:7: warning: TXT of x.c.example. is hidden by the delegation above it [occluded-data]"],
    );
    check(
        "c NS ns.other.\nc TXT x\n",
        &["z:7: warning: TXT of c.example. is hidden, since NS delegate it [occluded-data]"],
    );
    check(
        "d DNAME x.\na.d TXT x\n",
        &["z:7: warning: a.d.example. is hidden by a DNAME above it [occluded-data]"],
    );
    check(
        "d DNAME x.\nd NS ns\n",
        &["z:6: warning: d.example. is both delegated and an alias of a tree [dname-and-ns]"],
    );
    check(
        "d DS 1 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118\n",
        &["z:6: warning: d.example. has DS, and is not delegated [ds-without-ns]"],
    );
}

#[test]
fn what_records_point_to_is_looked_at() {
    check(
        "@ MX 1 w\nw CNAME ns\n",
        &["z:6: warning: MX to w.example., which is an alias [target-is-alias]"],
    );
    check(
        "@ NS w\nw CNAME ns\n",
        &["z:6: warning: NS to w.example., which is an alias [target-is-alias]"],
    );
    check(
        "@ MX 1 w\nx.w TXT x\n",
        &["z:6: warning: MX to w.example., which has no address [missing-address]"],
    );
    check(
        "_a._tcp SRV 1 1 1 w\n",
        &["z:6: warning: SRV to w.example., which is not there [missing-address]"],
    );
    check("@ MX 1 w\n* A 192.0.2.1\n", &[]);
    check(
        "c NS ns.c\n",
        &[
            "z:6: warning: ns.c.example. is below what it serves, and its address is not here [missing-glue]",
        ],
    );
    check(
        "c NS c\n",
        &[
            "z:6: warning: c.example. is below what it serves, and its address is not here [missing-glue]",
        ],
    );
    check("c NS ns.d\nd NS ns.other.\n", &[]);
    check(
        "a CNAME b\n",
        &[
            "z:6: warning: a.example. is an alias of b.example., which is not there [dangling-alias]",
        ],
    );
    check(
        "a CNAME b\nb CNAME a\n",
        &[
            "z:6: warning: a.example. is an alias of itself [alias-loop]",
            "z:7: warning: b.example. is an alias of itself [alias-loop]",
        ],
    );
    check(
        "a CNAME ns.example\n",
        &[
            "z:6: warning: a.example. is an alias of ns.example.example., which is not there [dangling-alias]",
            "z:6: warning: ns.example.example. ends with example. twice: is its last dot missing? [missing-dot]",
        ],
    );
    check(
        "@ MX 1 192.0.2.1.\n",
        &["z:6: warning: MX to 192.0.2.1., which is an address, no name [address-as-name]"],
    );
    check(
        "@ MX 1 a_b.other.\n",
        &["z:6: warning: MX to a_b.other., which is no name of a host [host-name]"],
    );
    check(
        "a_b A 192.0.2.1\n",
        &["z:6: warning: a_b.example. has an address, and is no name of a host [host-name]"],
    );
    check(
        "@ MX 0 .\n MX 1 ns\n",
        &["z:6: warning: example. says that it takes no mail, beside other MX [null-mx-and-other]"],
    );
}

#[test]
fn wildcards_texts_and_the_soa_are_looked_at() {
    check(
        "* NS ns.other.\n",
        &["z:6: warning: NS of a wildcard: what it means is not defined [wildcard-oddity]"],
    );
    check(
        "a.* TXT x\n",
        &[
            "z:6: warning: a.*.example. is below a wildcard, and stands for itself alone [wildcard-oddity]",
        ],
    );
    check(
        "*a TXT x\n",
        &[
            "z:6: warning: *a.example. has `*` within a label, where it stands for itself [wildcard-oddity]",
        ],
    );
    let long = format!("\"{}\" ", "x".repeat(250)).repeat(5);
    check(
        &format!("a TXT {long}\n"),
        &[
            "z:6: warning: a.example. TXT is of 1267 octets, more than an answer over UDP takes [long-txt]",
        ],
    );
    check(
        "a TXT \"v=spf1 -all\"\na TXT \"v=spf1 +all\"\n",
        &["z:7: warning: a.example. has two policies for mail, which is as none [several-spf]"],
    );
    assert_eq!(
        findings("@ 60 SOA ns.other. h 0 10 10 15 2d\n NS ns.other.\n"),
        [
            "z:1: warning: a retry of 10 s is not below the refresh of 10 s [soa-timers]",
            "z:1: warning: after 15 s a secondary expires, before it has tried twice (10 + 10 s) [soa-timers]",
            "z:1: warning: a refresh of 10 s keeps secondaries busy: 20 min to 12 h is usual [soa-timers]",
            "z:1: warning: a minimum of 172800 s: what is missing stays so for more than a day [soa-timers]",
            "z:1: warning: a serial of 0, which some secondaries take for none [soa-serial]",
            "z:2: hint: example. has one name server only [single-name-server]",
        ]
    );
}

#[test]
fn each_rule_has_a_name_of_its_own() {
    let mut names: Vec<_> = LintRule::ALL.iter().map(|rule| rule.name()).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
