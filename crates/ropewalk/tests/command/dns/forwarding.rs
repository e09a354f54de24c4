//! `ropewalk dns --forward`: what others say, kept, and for whom.

use super::*;

/// The code of an answer, its flags, and the last octet of it.
fn said(to: SocketAddr, flags: u16, name: &str) -> (Rcode, Header, u8) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
        .send(&question(77, flags, name, RecordType::A))
        .unwrap();
    let mut answer = vec![0; 4096];
    let length = socket.recv(&mut answer).unwrap();
    let header = Header::read(&answer[..length]).unwrap();
    assert_eq!(header.id, 77);
    (header.rcode(), header, answer[length - 1])
}

/// The value of a metric without labels.
fn metric(server: &Running, name: &str) -> u64 {
    let answer = http(
        server.address("metrics", "tcp"),
        "GET /metrics HTTP/1.1",
        "",
    );
    let line = answer.body.lines().find_map(|line| line.strip_prefix(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {}", answer.body));
    line.trim().parse().unwrap()
}

fn forwarder(more: &[&str]) -> Running {
    let all = [
        &[
            "dns",
            "--listen",
            "udp:0",
            "--listen",
            "tcp:0",
            "--metrics",
            "tcp:0",
        ],
        more,
    ];
    Running::start(&all.concat(), 3)
}

/// An answer comes from the upstream, and from the cache when that has gone; it is counted.
fn forwards(upstream: Running, way: &str, name: &str, last: u8) {
    let server = forwarder(&["--forward", way]);
    let address = server.address("dns", "udp");
    let (rcode, header, octet) = said(address, Header::RD, name);
    assert_eq!((rcode, octet), (Rcode::NOERROR, last));
    assert!(header.has(Header::RA) && !header.has(Header::AA));
    // What others asked is not told to who wants no more than that.
    assert_eq!(said(address, 0, name).0, Rcode::REFUSED);
    let misses = metric(&server, "ropewalk_dns_forward_misses_total ");
    assert_eq!(misses, 1);
    upstream.end_well();
    let (rcode, header, octet) = said(address, Header::RD, name);
    assert_eq!((rcode, octet), (Rcode::NOERROR, last));
    assert!(header.has(Header::RA));
    assert_eq!(metric(&server, "ropewalk_dns_forward_hits_total "), 1);
    assert_eq!(
        metric(&server, "ropewalk_dns_forward_misses_total "),
        misses
    );
    assert_eq!(metric(&server, "ropewalk_dns_forward_requests_total "), 3);
    // What is not there cannot be had any more.
    let other = format!("other.{name}");
    assert_eq!(said(address, Header::RD, &other).0, Rcode::SERVFAIL);
    assert_eq!(metric(&server, "ropewalk_dns_forward_failures_total "), 1);
    server.end_well();
}

fn authority(scratch: &Scratch) -> (Running, String) {
    let zone = scratch.zone_option();
    let port = free_port();
    let (udp, tcp) = (format!("udp:{port}"), format!("tcp:{port}"));
    let arguments = ["dns", "--listen", &udp, "--listen", &tcp, "--zone", &zone];
    (Running::start(&arguments, 2), format!("127.0.0.1:{port}"))
}

#[test]
fn what_a_server_says_over_udp_is_kept_when_it_has_gone() {
    let scratch = Scratch::new();
    let (upstream, way) = authority(&scratch);
    forwards(upstream, &way, "www.example.test.", 1);
}

#[test]
fn over_tls_the_server_proves_its_name() {
    let (lab, ca, _) = crate::lab::start();
    let port = lab.port("dns", "tls");
    // The authority is asked, and what it is called is not what its certificate says.
    let wrong = format!("tls:127.0.0.1:{port}:ca={ca}:sni=other.test");
    let server = forwarder(&["--forward", &wrong]);
    let address = server.address("dns", "udp");
    assert_eq!(
        said(address, Header::RD, "www.lab.test.").0,
        Rcode::SERVFAIL
    );
    server.end_well();
    let way = format!("tls:127.0.0.1:{port}:ca={ca}:sni=localhost");
    forwards(lab, &way, "www.lab.test.", 1);
}

#[test]
fn who_is_not_allowed_is_refused_and_never_forwarded() {
    let scratch = Scratch::new();
    let (upstream, way) = authority(&scratch);
    let server = forwarder(&["--forward", &way, "--allow-forward", "192.0.2.0/24"]);
    let address = server.address("dns", "udp");
    let refused = said(address, Header::RD, "www.example.test.").0;
    assert_eq!(refused, Rcode::REFUSED);
    assert_eq!(metric(&server, "ropewalk_dns_forward_misses_total "), 0);
    server.end_well();
    let allowed = ["192.0.2.0/24", "127.0.0.1"];
    let allowed = allowed.map(|net| ["--allow-forward", net]).concat();
    let server = forwarder(&[&["--forward", &way][..], &allowed].concat());
    let answered = said(
        server.address("dns", "udp"),
        Header::RD,
        "www.example.test.",
    );
    assert_eq!(answered.0, Rcode::NOERROR);
    server.end_well();
    upstream.end_well();
}

#[test]
fn help_names_every_option_and_who_is_served() {
    let (status, out, err) = run(&["dns", "--help"]);
    assert_eq!((status, &*err), (Some(0), ""));
    for option in [
        "--listen <ENDPOINT>",
        "--zone <ORIGIN=FILE>",
        "--secondary <ORIGIN=ADDR,…>",
        "--forward <ADDR>",
        "--allow-forward <NET>",
        "--tsig-key <NAME=FILE>",
        "--allow-transfer <NET|KEY>",
        "--allow-notify <NET|KEY>",
        "--notify <ADDR>",
        "--data <DIR>",
        "--check",
        "--tls-cert <FILE>",
    ] {
        assert!(out.contains(option), "{option}: {out}");
    }
    assert!(out.contains("[default: nobody]"), "{out}");
    let words: Vec<_> = out.split_whitespace().collect();
    let words = words.join(" ");
    assert!(
        words.contains("[default: this machine, and private networks]"),
        "{words}"
    );
}
