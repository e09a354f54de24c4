//! With real programs: servers that we ask, and programs that ask our forwarder.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use ropewalk_core::{
    DatagramServer, Schemes, Server, ServerEndpoint, ServerOptions, testing::run_in_real_time,
    tls::TestCa,
};
use ropewalk_names_dns::{
    answering::LateDatagram,
    client::{LookupError, Resolver, ResolverOptions},
    forward::Forwarder,
    hickory_proto::rr::RecordType,
    testing::FakeDns,
};

use tempfile::NamedTempFile;

use crate::{
    daemon::{self, Daemon},
    lookups::RECORDS,
};

const ZONE: &str = "$ORIGIN example.test.
$TTL 300
@ SOA ns admin 1 1h 10m 1d 1m
@ NS ns
ns A 127.0.0.1
www A 192.0.2.1
www AAAA 2001:db8::1
alias CNAME www
@ MX 10 mx
_imap._tcp SRV 0 0 143 www
long TXT xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
";

/// A zone with an answer that fits into no datagram.
fn zone() -> String {
    let long: String = (0..40)
        .map(|n| format!("big TXT {}{n}\n", "y".repeat(100)))
        .collect();
    format!("{ZONE}{long}")
}

/// The zone as a file, for daemons.
fn zone_file() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), zone()).unwrap();
    file
}

/// Starts a daemon with the zone, and asks it what every server must answer alike.
fn check(start: impl FnOnce(&[(&str, PathBuf)]) -> Daemon) {
    let file = zone_file();
    let daemon = start(&[("example.test.", file.path().to_owned())]);
    run_in_real_time(check_answers(&daemon));
}

async fn check_answers(daemon: &Daemon) {
    let r = Resolver::new([daemon.address.to_string().parse().unwrap()]);
    let addresses = r.lookup_ip("alias.example.test.").await.unwrap();
    assert_eq!(addresses.len(), 2);
    assert_eq!(r.mx("example.test.").await.unwrap()[0].preference, 10);
    assert_eq!(
        r.srv("_imap._tcp.example.test.").await.unwrap()[0].port,
        143
    );
    let error = r.ipv4("no.example.test.").await.unwrap_err();
    let LookupError::NoName { ttl, .. } = &error else {
        panic!("{error}");
    };
    assert!(ttl.unwrap() <= Duration::from_secs(60));
    let error = r.txt("www.example.test.").await.unwrap_err();
    assert!(matches!(error, LookupError::NoRecords { .. }), "{error}");
    // Does not fit into a datagram.
    assert_eq!(r.txt("big.example.test.").await.unwrap().len(), 40);
}

mod with_named {
    use super::*;

    #[test]
    #[ignore = "needs named; cargo xtask test runs it where it is installed"]
    fn answers_the_stub() {
        check(daemon::named);
    }
}

mod with_nsd {
    use super::*;

    #[test]
    #[ignore = "needs nsd; cargo xtask test runs it where it is installed"]
    fn answers_the_stub() {
        check(daemon::nsd);
    }
}

mod with_knotd {
    use super::*;

    #[test]
    #[ignore = "needs knotd; cargo xtask test runs it where it is installed"]
    fn answers_the_stub() {
        check(daemon::knot);
    }
}

mod with_unbound {
    use super::*;

    #[test]
    #[ignore = "needs unbound; cargo xtask test runs it where it is installed"]
    fn answers_the_stub() {
        check(|zones| daemon::unbound(zones, |_| String::new()));
    }

    #[test]
    #[ignore = "needs unbound; cargo xtask test runs it where it is installed"]
    fn answers_the_stub_over_tls() {
        let ca = TestCa::new().unwrap();
        let (chain, key) = ca.issue(&["dns.test"]).unwrap();
        let port = Cell::new(0);
        // Drawn anew for each try.
        let more = |folder: &Path| {
            std::fs::write(folder.join("cert.pem"), &chain).unwrap();
            std::fs::write(folder.join("key.pem"), &key).unwrap();
            port.set(daemon::free_port());
            let (port, folder) = (port.get(), folder.display());
            format!(
                " interface: 127.0.0.1@{port}\n tls-port: {port}\n \
                 tls-service-pem: \"{folder}/cert.pem\"\n tls-service-key: \"{folder}/key.pem\"\n"
            )
        };
        let file = zone_file();
        let zones = [("example.test.", file.path().to_owned())];
        let _daemon = daemon::unbound(&zones, more);
        let tls = port.get();
        run_in_real_time(async {
            let mut options = ResolverOptions::default();
            options.tls = Some(ca.client().unwrap());
            let server = format!("tls:127.0.0.1:{tls}:sni=dns.test").parse().unwrap();
            let resolver = Resolver::with([server], options.clone());
            assert_eq!(resolver.txt("big.example.test.").await.unwrap().len(), 40);
            assert!(resolver.lookup_ip("alias.example.test.").await.is_ok());
            let wrong = format!("tls:127.0.0.1:{tls}:sni=other.test")
                .parse()
                .unwrap();
            let resolver = Resolver::with([wrong], options);
            let error = resolver.ipv4("www.example.test.").await.unwrap_err();
            assert!(error.to_string().contains("TLS"), "{error}");
        });
    }
}

/// Our forwarder on a port of loopback, in front of a fake server.
struct Forwarding {
    _datagrams: DatagramServer<LateDatagram>,
    _streams: Server,
    _tls: Server,
    port: u16,
    tls_port: u16,
    ca: NamedTempFile,
    _fake: ropewalk_names_dns::testing::FakeServer,
}

async fn forwarding() -> Forwarding {
    let (dns, schemes) = (FakeDns::new(), Schemes::new());
    dns.add(RECORDS).unwrap();
    for n in 0..30 {
        let text = "z".repeat(100);
        dns.add(&format!("big.example.test. 300 TXT {text}{n}"))
            .unwrap();
    }
    let fake = dns.serve(&schemes, "mem:dns").await.unwrap();
    let forwarder = Forwarder::new(dns.resolver(&schemes, "mem:dns").unwrap());
    let tcp: ServerEndpoint = "tcp:0".parse().unwrap();
    let streams = tcp.listen(forwarder.handler()).await.unwrap();
    let port = streams.port().unwrap();
    let udp: ServerEndpoint = format!("udp:{port}").parse().unwrap();
    let datagrams = udp
        .listen_datagrams_with(forwarder.datagrams(), forwarder.datagram_options())
        .await
        .unwrap();
    let ca = TestCa::new().unwrap();
    let mut options = ServerOptions::default();
    options.tls = Some(ca.server(&["dns.test"]).unwrap());
    let tls: ServerEndpoint = "tls:0".parse().unwrap();
    let tls = tls.listen_with(forwarder.handler(), options).await.unwrap();
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ca.pem()).unwrap();
    Forwarding {
        _datagrams: datagrams,
        _streams: streams,
        tls_port: tls.port().unwrap(),
        _tls: tls,
        port,
        ca: file,
        _fake: fake,
    }
}

async fn run(program: &'static str, words: Vec<String>) -> String {
    let run = move || Command::new(program).args(words).output().unwrap();
    let Output {
        stdout,
        status,
        stderr,
    } = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{said}{}",
        String::from_utf8_lossy(&stderr)
    );
    said
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn path(file: &Path) -> String {
    file.to_str().unwrap().to_owned()
}

mod with_dig {
    use super::*;

    #[test]
    #[ignore = "needs dig; cargo xtask test runs it where it is installed"]
    fn asks_the_forwarder() {
        run_in_real_time(async {
            let f = forwarding().await;
            let dig = async |rest: &str| {
                run("dig", words(&format!("@127.0.0.1 -p {} {rest}", f.port))).await
            };
            let said = dig("alias.example.test A +dnssec +nsid").await;
            assert!(
                said.contains("status: NOERROR") && said.contains("ANSWER: 3"),
                "{said}"
            );
            assert!(
                said.contains("flags: qr rd ra;") && said.contains("flags: do;"),
                "{said}"
            );
            let said = dig("no.example.test A").await;
            assert!(said.contains("status: NXDOMAIN"), "{said}");
            let said = dig("big.example.test TXT +ignore").await;
            assert!(
                said.contains(" tc ") && said.contains("ANSWER: 0"),
                "{said}"
            );
            let said = dig("big.example.test TXT").await;
            assert!(
                said.contains("ANSWER: 30") && said.contains("(TCP)"),
                "{said}"
            );
            let said = dig("www.example.test A +norec").await;
            assert!(said.contains("status: REFUSED"), "{said}");
            let said = dig("example.test AXFR").await;
            assert!(said.contains("failed"), "{said}");
            let tls = format!(
                "@127.0.0.1 -p {} +tls-ca={} +tls-hostname=dns.test www.example.test AAAA",
                f.tls_port,
                path(f.ca.path())
            );
            let said = run("dig", words(&tls)).await;
            assert!(
                said.contains("2001:db8::1") && said.contains("(TLS)"),
                "{said}"
            );
        });
    }
}

mod with_kdig {
    use super::*;

    #[test]
    #[ignore = "needs kdig; cargo xtask test runs it where it is installed"]
    fn asks_the_forwarder_over_tls() {
        run_in_real_time(async {
            let f = forwarding().await;
            let ca = path(f.ca.path());
            let tls = format!(
                "@127.0.0.1 -p {} +tls-ca={ca} +tls-hostname=dns.test +padding +keepopen \
                 www.example.test A www.example.test AAAA",
                f.tls_port
            );
            let said = run("kdig", words(&tls)).await;
            assert!(
                said.contains("192.0.2.1") && said.contains("2001:db8::1"),
                "{said}"
            );
            assert!(said.contains("Received 468 B"), "padded: {said}");
            let plain = format!("@127.0.0.1 -p {} big.example.test TXT", f.port);
            assert!(run("kdig", words(&plain)).await.contains("ANSWER: 30"));
        });
    }
}

mod with_delv {
    use super::*;

    #[test]
    #[ignore = "needs delv; cargo xtask test runs it where it is installed"]
    fn asks_the_forwarder_unsigned() {
        run_in_real_time(async {
            let f = forwarding().await;
            let said = format!(
                "@127.0.0.1 -p {} -i www.example.test {}",
                f.port,
                RecordType::A
            );
            let said = run("delv", words(&said)).await;
            assert!(said.contains("192.0.2.1"), "{said}");
        });
    }
}
