//! Transfers over TLS (XoT, RFC 9103): the server proves its name, or there is no zone.

use ropewalk_core::tls::TestCa;

use super::*;

/// Writes a CA's certificate, and one for `dns.test` with its key.
fn certificates(scratch: &Scratch) {
    let ca = TestCa::new().unwrap();
    let (chain, key) = ca.issue(&["dns.test"]).unwrap();
    scratch.write("ca.pem", ca.pem());
    scratch.write("cert.pem", &chain);
    scratch.write("key.pem", &key);
}

/// What a secondary of ours asks: this port, over TLS, by this name.
fn source(scratch: &Scratch, port: impl std::fmt::Display, name: &str) -> String {
    let ca = scratch.path("ca.pem");
    format!("example.test=tls:127.0.0.1:{port}:ca={ca}:sni={name}")
}

/// A primary of ours that is reached by UDP, and over TLS at the same port.
fn primary(scratch: &Scratch, port: u16, notified: &str) -> Running {
    let (zone, key) = (scratch.zone_option(), scratch.key_option());
    let (udp, tls) = (format!("udp:{port}"), format!("tls:{port}"));
    let (cert, secret) = (scratch.path("cert.pem"), scratch.path("key.pem"));
    Running::start(
        &[
            "dns",
            "--listen",
            &udp,
            "--listen",
            &tls,
            "--tls-cert",
            &cert,
            "--tls-key",
            &secret,
            "--zone",
            &zone,
            "--tsig-key",
            &key,
            "--allow-transfer",
            "transfer.test",
            "--notify",
            notified,
        ],
        2,
    )
}

fn secondary(scratch: &Scratch, port: u16, source: &str) -> Running {
    let key = scratch.key_option();
    let udp = format!("udp:{port}");
    Running::start(
        &[
            "dns",
            "--listen",
            &udp,
            "--secondary",
            source,
            "--tsig-key",
            &key,
        ],
        1,
    )
}

#[test]
fn ours_follows_ours_that_proves_its_name() {
    let scratch = Scratch::new();
    certificates(&scratch);
    let (ours, theirs) = (free_port(), free_port());
    let primary = primary(&scratch, theirs, &format!("127.0.0.1:{ours}"));
    let mut wrong = secondary(&scratch, 0, &source(&scratch, theirs, "other.test"));
    let secondary = secondary(&scratch, ours, &source(&scratch, theirs, "dns.test"));
    let address = secondary.address("dns", "udp");
    wait_for(address, 1, "the secondary");
    scratch.zone(2);
    primary.signal("HUP");
    wait_for(address, 2, "the secondary");
    let line = wrong.logged("no primary could be asked");
    assert!(line.contains("certificate"), "{line}");
    assert_eq!(serial(wrong.address("dns", "udp")), Ok(None));
    for server in [wrong, secondary, primary] {
        server.end_well();
    }
}

/// A daemon is our primary, over TLS at its port.
fn as_primary_over_tls(start: impl Fn(&Site<'_>) -> Daemon) {
    let scratch = Scratch::new();
    certificates(&scratch);
    let (port, ours) = (free_port(), free_port());
    let site = Site {
        scratch: &scratch,
        port,
        ours,
    };
    let _daemon = start(&site);
    let mut wrong = secondary(&scratch, 0, &source(&scratch, port, "other.test"));
    let server = secondary(&scratch, ours, &source(&scratch, port, "dns.test"));
    wait_for(server.address("dns", "udp"), 1, "our secondary");
    let start = Instant::now();
    // Before the daemon listens, another thing is wrong.
    while !wrong
        .logged_next("a primary cannot be asked")
        .contains("certificate")
    {
        assert!(
            start.elapsed() < PATIENCE,
            "nobody looked at the certificate"
        );
    }
    assert_eq!(serial(wrong.address("dns", "udp")), Ok(None));
    server.end_well();
    wrong.end_well();
}

/// A daemon is our secondary, over TLS at our port.
fn as_secondary_over_tls(start: impl Fn(&Site<'_>) -> Daemon) {
    let scratch = Scratch::new();
    certificates(&scratch);
    let (port, ours) = (free_port(), free_port());
    let mut server = primary(&scratch, ours, &format!("127.0.0.1:{port}"));
    let site = Site {
        scratch: &scratch,
        port,
        ours,
    };
    let _daemon = start(&site);
    let theirs = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(theirs, 1, "their secondary");
    scratch.zone(2);
    server.signal("HUP");
    wait_for(theirs, 2, "their secondary");
    server.logged("a transfer begins");
    server.end_well();
}

mod with_nsd {
    use super::{super::with_nsd::nsd_with, *};

    #[test]
    #[ignore = "needs nsd; cargo xtask test runs it where it is installed"]
    fn nsd_is_our_primary_over_tls() {
        as_primary_over_tls(|site| {
            let (port, path) = (site.port, |name| site.scratch.path(name));
            let more = format!(
                "  tls-port: {port}\n  tls-service-key: \"{}\"\n  tls-service-pem: \"{}\"\n",
                path("key.pem"),
                path("cert.pem")
            );
            let zone = "  zonefile: example.test.zone\n  provide-xfr: 127.0.0.1 transfer.test\n";
            nsd_with(site, &more, zone)
        });
    }

    #[test]
    #[ignore = "needs nsd; cargo xtask test runs it where it is installed"]
    fn nsd_is_our_secondary_over_tls() {
        as_secondary_over_tls(|site| {
            let (ours, ca) = (site.ours, site.scratch.path("ca.pem"));
            let zone = format!(
                "  zonefile: kept.zone\n  request-xfr: 127.0.0.1@{ours} transfer.test ours\n  \
                 allow-notify: 127.0.0.1 transfer.test\n\
                 tls-auth:\n  name: ours\n  auth-domain-name: \"dns.test\"\n"
            );
            nsd_with(site, &format!("  tls-cert-bundle: \"{ca}\"\n"), &zone)
        });
    }
}

mod with_named {
    use super::{super::with_named::named_with, *};

    #[test]
    #[ignore = "needs named; cargo xtask test runs it where it is installed"]
    fn bind_is_our_primary_over_tls() {
        as_primary_over_tls(|site| {
            let path = |name| site.scratch.path(name);
            let tls = format!(
                "tls ours {{ cert-file \"{}\"; key-file \"{}\"; }};",
                path("cert.pem"),
                path("key.pem")
            );
            let zone = "type primary; file \"example.test.zone\";\n \
                        allow-transfer { key transfer.test; };";
            named_with(site, &tls, "tls ours", zone)
        });
    }

    #[test]
    #[ignore = "needs named; cargo xtask test runs it where it is installed"]
    fn bind_is_our_secondary_over_tls() {
        as_secondary_over_tls(|site| {
            let (ours, ca) = (site.ours, site.scratch.path("ca.pem"));
            let tls = format!("tls ours {{ ca-file \"{ca}\"; remote-hostname \"dns.test\"; }};");
            let zone = format!(
                "type secondary; file \"kept.zone\";\n \
                 primaries {{ 127.0.0.1 port {ours} key transfer.test tls ours; }};"
            );
            named_with(site, &tls, "", &zone)
        });
    }
}
