//! `ropewalk dns`: its own ways, and other people's programs as clients, primaries and secondaries.

mod dnspython;
mod forwarding;
mod over_tls;
mod reload;

use std::{
    fs,
    net::{SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use ropewalk_names_dns::proto::{
    Class, Header, Message, MessageWriter, Name, Rcode, RecordType, SoaNumbers, WireError,
};
use tempfile::TempDir;

use crate::common::{PATIENCE, Running, http, run, text};

/// A zone with this serial, and a host that tells it.
fn zone_text(serial: u32) -> String {
    format!(
        "$TTL 300\n\
         @ SOA ns hostmaster {serial} 3600 600 86400 60\n\
         @ NS ns\n\
         ns A 127.0.0.1\n\
         www A 192.0.2.{serial}\n\
         txt TXT \"a text\" \"of two\"\n"
    )
}

const KEY: &str = "key \"transfer.test.\" {\n\talgorithm hmac-sha256;\n\tsecret \"bm9ib2R5IGVsc2Uga25vd3MgdGhpcyBzZWNyZXQ=\";\n};\n";

/// A folder with a zone's file and a key's.
struct Scratch {
    folder: TempDir,
}

impl Scratch {
    fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        this.write("transfer.key", KEY);
        this.zone(1);
        this
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn zone(&self, serial: u32) {
        // A changed size shows in the file's data too, for those who look no closer than a second.
        self.write("example.test.zone", &zone_text(serial));
    }

    fn zone_option(&self) -> String {
        format!("example.test={}", self.path("example.test.zone"))
    }

    fn key_option(&self) -> String {
        format!("transfer.test={}", self.path("transfer.key"))
    }
}

fn question(id: u16, flags: u16, name: &str, record_type: RecordType) -> Vec<u8> {
    let name: Name = name.parse().unwrap();
    let mut writer = MessageWriter::new();
    let header = Header {
        id,
        flags,
        counts: [0; 4],
    };
    writer.begin(header, 512);
    writer
        .question(name.as_wire(), record_type, Class::IN)
        .unwrap();
    writer.finish().to_vec()
}

/// Asks a question over UDP, until there is an answer.
fn ask(to: SocketAddr, name: &str, record_type: RecordType) -> Vec<u8> {
    let question = question(4711, Header::RD, name, record_type);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let start = Instant::now();
    let mut answer = vec![0; 4096];
    loop {
        assert!(start.elapsed() < PATIENCE, "{to} does not answer");
        // A daemon that has not started yet refuses.
        if socket.send(&question).is_ok()
            && let Ok(length) = socket.recv(&mut answer)
        {
            answer.truncate(length);
            return answer;
        }
    }
}

/// The serial that a server has now.
fn serial(to: SocketAddr) -> Result<Option<u32>, WireError> {
    let answer = ask(to, "example.test.", RecordType::SOA);
    let message = Message::read(&answer)?;
    for record in message.records() {
        let record = record?;
        if record.record_type == RecordType::SOA {
            let mut rdata = Vec::new();
            record.expand_rdata(&mut rdata)?;
            return Ok(SoaNumbers::read(&rdata).map(|soa| soa.serial.0));
        }
    }
    Ok(None)
}

/// Waits until a server has this serial.
#[track_caller]
fn wait_for(to: SocketAddr, wanted: u32, whose: &str) {
    let start = Instant::now();
    while serial(to).unwrap() != Some(wanted) {
        assert!(
            start.elapsed() < PATIENCE,
            "{whose} does not come to serial {wanted}"
        );
        thread::yield_now();
    }
}

#[test]
fn check_says_what_is_wrong_and_how_bad_it_is() {
    let scratch = Scratch::new();
    let zone = scratch.zone_option();
    let (status, out, err) = run(&["dns", "--check", "--zone", &zone]);
    assert_eq!((status, &*err), (Some(0), ""));
    assert!(out.contains("hint: "), "{out}");
    scratch.write(
        "example.test.zone",
        "$TTL 300\n@ SOA ns h 9 3600 600 86400 60\n@ NS ns\n@ MX 10 www\nns A 127.0.0.1\nwww CNAME ns\n",
    );
    let (status, out, _) = run(&["dns", "--check", "--zone", &zone]);
    assert_eq!(status, Some(1));
    assert!(out.contains("example.test.zone:4: warning: "), "{out}");
    scratch.write(
        "example.test.zone",
        "$TTL 300\n@ SOA ns h x 3600 600 86400 60\n",
    );
    let (status, _, err) = run(&["dns", "--check", "--zone", &zone]);
    assert_eq!(status, Some(2));
    assert!(err.contains("example.test.zone:2:12: error: "), "{err}");
}

#[test]
fn arguments_that_cannot_be_are_told_with_what_is_expected() {
    let scratch = Scratch::new();
    let (zone, key) = (scratch.zone_option(), scratch.key_option());
    let missing = format!("other.test={}", scratch.path("transfer.key"));
    for (arguments, expected) in [
        (
            vec!["--listen", "udp:0"],
            "expected --zone, --secondary or --forward",
        ),
        (
            vec!["--listen", "udp:0", "--zone", "x"],
            "expected ORIGIN=FILE",
        ),
        (
            vec!["--listen", "udp:0", "--secondary", "x=udp:1.2.3.4:53"],
            "need a stream",
        ),
        (
            vec!["--listen", "udp:0", "--zone", &zone, "--zone", &zone],
            "expected each once",
        ),
        (
            vec!["--listen", "udp:0", "--zone", "x=/does/not/exist"],
            "/does/not/exist",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--zone",
                &zone,
                "--allow-transfer",
                "nobody.test",
            ],
            "expected a network or the name of a --tsig-key",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--zone",
                &zone,
                "--allow-transfer",
                "10.0.0.1/8",
            ],
            "no bit set behind its prefix",
        ),
        (
            vec!["--listen", "udp:0", "--zone", &zone, "--tsig-key", &missing],
            "no key of this name, but transfer.test.",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--zone",
                &zone,
                "--tsig-key",
                &key,
                "--notify",
                "x.test@::1",
            ],
            "expected the name of a --tsig-key before the @",
        ),
        (vec!["--listen", "tls:0", "--zone", &zone], "no certificate"),
        (
            vec!["--listen", "udp:0", "--zone", &zone, "--forward", "::1"],
            "--forward: not beside --zone or --secondary",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--secondary",
                "x=::1",
                "--forward",
                "::1",
            ],
            "--forward: not beside --zone or --secondary",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--zone",
                &zone,
                "--allow-forward",
                "::1",
            ],
            "expected --forward beside it",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--forward",
                "::1",
                "--allow-forward",
                "10.0.0.1/8",
            ],
            "no bit set behind its prefix",
        ),
        (
            vec!["--listen", "udp:0", "--forward", "tcp:"],
            "is no name server",
        ),
        (
            vec!["--listen", "udp:0", "--zone", &zone, "--notify", "x:y:z"],
            "expected an address, or an endpoint: udp, tcp, tls",
        ),
        (
            vec![
                "--listen",
                "udp:0",
                "--secondary",
                "x=tls:ns.test:853:ca=/does/not/exist",
            ],
            "/does/not/exist",
        ),
        (vec!["--zone", &zone], "--listen"),
    ] {
        let all = [vec!["dns"], arguments].concat();
        let (status, out, err) = run(&all);
        assert_eq!((status, &*out), (Some(2), ""), "{all:?}");
        assert!(
            err.contains(expected) && err.lines().count() == 1,
            "{all:?}: {err}"
        );
    }
}

/// A primary and a secondary of ours, with a key: each new version arrives, by what changed.
#[test]
fn ours_follows_ours_and_serves_what_it_kept() {
    let scratch = Scratch::new();
    let (zone, key) = (scratch.zone_option(), scratch.key_option());
    let port = free_port();
    let notified = format!("127.0.0.1:{port}");
    let mut primary = Running::start(
        &[
            "dns",
            "--listen",
            "udp:0",
            "--listen",
            "tcp:0",
            "--zone",
            &zone,
            "--tsig-key",
            &key,
            "--allow-transfer",
            "transfer.test",
            "--notify",
            &notified,
        ],
        2,
    );
    let source = format!("example.test=127.0.0.1:{}", primary.port("dns", "tcp"));
    let (udp, tcp) = (format!("udp:{port}"), format!("tcp:{port}"));
    let data = scratch.path("data");
    let arguments = [
        "dns",
        "--listen",
        &udp,
        "--listen",
        &tcp,
        "--metrics",
        "tcp:0",
        "--secondary",
        &source,
        "--tsig-key",
        &key,
        "--data",
        &data,
    ];
    let secondary = Running::start(&arguments, 3);
    let address = secondary.address("dns", "udp");
    wait_for(address, 1, "the secondary");
    for serial in 2..5 {
        scratch.zone(serial);
        primary.signal("HUP");
        wait_for(address, serial, "the secondary");
    }
    primary.logged("kind=\"differences\"");
    let metrics = |server: &Running| {
        let address = server.address("metrics", "tcp");
        http(address, "GET /metrics HTTP/1.1", "").body
    };
    let shown = metrics(&secondary);
    for line in [
        "ropewalk_dns_zone_serial{zone=\"example.test.\"} 4\n",
        "ropewalk_dns_zone_transfers_total{zone=\"example.test.\",outcome=\"failed\"} 0\n",
        "dns_answers_total{rcode=\"NOERROR\"} ",
        "dns_queries_total{transport=\"udp\"} ",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    assert!(
        !shown.contains("age_seconds{zone=\"example.test.\"} -1"),
        "{shown}"
    );
    secondary.end_well();
    primary.end_well();
    let secondary = Running::start(&arguments, 3);
    wait_for(address, 4, "the secondary without its primary");
    let start = Instant::now();
    let failed = "_transfers_total{zone=\"example.test.\",outcome=\"failed\"} 0\n";
    while metrics(&secondary).contains(failed) {
        assert!(start.elapsed() < PATIENCE, "it does not ask its primary");
    }
    secondary.end_well();
}

/// A port that is free for UDP and TCP; it may be taken until it is used, as every such port.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// A daemon of somebody else's, killed when the test is over.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, arguments: &[&str], folder: &Path) -> Self {
        let log = fs::File::create(folder.join("daemon.log")).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    fn reload(&self) {
        let status = Command::new("kill")
            .args(["-HUP", &self.0.id().to_string()])
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let ask = |signal: &str| {
            let _ = Command::new("kill")
                .args([signal, &self.0.id().to_string()])
                .status();
        };
        // Told first, since some have children of their own.
        ask("-TERM");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::yield_now();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What another program's configuration is made of.
struct Site<'a> {
    scratch: &'a Scratch,
    /// The daemon's port, and ours.
    port: u16,
    ours: u16,
}

/// A daemon as our primary: it notifies us, and each of its versions arrives.
fn as_primary(start: impl Fn(&Site<'_>) -> Daemon) {
    let scratch = Scratch::new();
    let key = scratch.key_option();
    let port = free_port();
    let (ours, source) = (free_port(), format!("example.test=127.0.0.1:{port}"));
    let (udp, tcp) = (format!("udp:{ours}"), format!("tcp:{ours}"));
    let mut server = Running::start(
        &[
            "dns",
            "--listen",
            &udp,
            "--listen",
            &tcp,
            "--secondary",
            &source,
            "--tsig-key",
            &key,
        ],
        2,
    );
    let daemon = start(&Site {
        scratch: &scratch,
        port,
        ours,
    });
    let address = server.address("dns", "udp");
    wait_for(address, 1, "our secondary");
    for serial in 2..4 {
        // Files are compared by their times of a second's width.
        let newer = std::time::SystemTime::now() + Duration::from_secs(2 * u64::from(serial));
        scratch.zone(serial);
        let file = fs::File::options()
            .append(true)
            .open(scratch.path("example.test.zone"));
        file.unwrap().set_modified(newer).unwrap();
        daemon.reload();
        wait_for(address, serial, "our secondary");
    }
    server.logged("a new version was transferred");
    server.end_well();
}

/// A daemon as our secondary: we notify it, and each of our versions arrives.
fn as_secondary(start: impl Fn(&Site<'_>) -> Daemon) {
    let scratch = Scratch::new();
    let (zone, key) = (scratch.zone_option(), scratch.key_option());
    let (port, ours) = (free_port(), free_port());
    let (udp, tcp) = (format!("udp:{ours}"), format!("tcp:{ours}"));
    let notified = format!("127.0.0.1:{port}");
    let mut server = Running::start(
        &[
            "dns",
            "--listen",
            &udp,
            "--listen",
            &tcp,
            "--zone",
            &zone,
            "--tsig-key",
            &key,
            "--allow-transfer",
            "transfer.test",
            "--notify",
            &notified,
        ],
        2,
    );
    let _daemon = start(&Site {
        scratch: &scratch,
        port,
        ours,
    });
    let theirs = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(theirs, 1, "their secondary");
    for serial in 2..4 {
        scratch.zone(serial);
        server.signal("HUP");
        wait_for(theirs, serial, "their secondary");
    }
    server.logged("kind=\"differences\"");
    server.end_well();
}

mod with_nsd {
    use super::*;

    fn nsd(site: &Site<'_>, zone: &str) -> Daemon {
        nsd_with(site, "", zone)
    }

    /// With more lines about the server.
    pub(super) fn nsd_with(site: &Site<'_>, more: &str, zone: &str) -> Daemon {
        let Site { scratch, port, .. } = site;
        let folder = scratch.folder.path().display();
        let config = format!(
            "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
             zonesdir: \"{folder}\"\n  database: \"\"\n  pidfile: \"{folder}/nsd.pid\"\n  \
             zonelistfile: \"{folder}/zone.list\"\n  xfrdfile: \"{folder}/xfrd.state\"\n  \
             xfrdir: \"{folder}\"\n  server-count: 1\n  verbosity: 2\n{more}\
             remote-control:\n  control-enable: no\n\
             key:\n  name: transfer.test\n  algorithm: hmac-sha256\n  \
             secret: \"bm9ib2R5IGVsc2Uga25vd3MgdGhpcyBzZWNyZXQ=\"\n\
             zone:\n  name: example.test\n{zone}"
        );
        scratch.write("nsd.conf", &config);
        Daemon::start(
            "nsd",
            &["-d", "-c", &scratch.path("nsd.conf")],
            scratch.folder.path(),
        )
    }

    #[test]
    #[ignore = "needs nsd; cargo xtask test runs it where it is installed"]
    fn nsd_is_our_primary() {
        as_primary(|site| {
            let ours = site.ours;
            nsd(
                site,
                &format!(
                    "  zonefile: example.test.zone\n  notify: 127.0.0.1@{ours} transfer.test\n  \
                     provide-xfr: 127.0.0.1 transfer.test\n  store-ixfr: yes\n  create-ixfr: yes\n"
                ),
            )
        });
    }

    #[test]
    #[ignore = "needs nsd; cargo xtask test runs it where it is installed"]
    fn nsd_is_our_secondary() {
        as_secondary(|site| {
            let ours = site.ours;
            nsd(
                site,
                &format!(
                    "  zonefile: kept.zone\n  request-xfr: 127.0.0.1@{ours} transfer.test\n  \
                     allow-notify: 127.0.0.1 transfer.test\n"
                ),
            )
        });
    }
}

mod with_knotd {
    use super::*;

    fn knotd(site: &Site<'_>, zone: &str) -> Daemon {
        let Site {
            scratch,
            port,
            ours,
        } = site;
        let folder = scratch.folder.path().display();
        let config = format!(
            "server:\n    listen: 127.0.0.1@{port}\n    rundir: {folder}\n\
             control:\n    listen: {folder}/knot.sock\n\
             database:\n    storage: {folder}/db\n\
             log:\n  - target: stderr\n    any: info\n\
             key:\n  - id: transfer.test\n    algorithm: hmac-sha256\n    \
             secret: bm9ib2R5IGVsc2Uga25vd3MgdGhpcyBzZWNyZXQ=\n\
             remote:\n  - id: ours\n    address: 127.0.0.1@{ours}\n    key: transfer.test\n\
             acl:\n  - id: ours\n    address: 127.0.0.1\n    key: transfer.test\n    \
             action: [transfer, notify]\n\
             zone:\n  - domain: example.test\n    storage: {folder}\n    acl: ours\n{zone}"
        );
        scratch.write("knot.conf", &config);
        // Without the folder of its journal, it loads a zone once and never a difference.
        fs::create_dir(scratch.path("db")).unwrap();
        Daemon::start(
            "knotd",
            &["-c", &scratch.path("knot.conf")],
            scratch.folder.path(),
        )
    }

    #[test]
    #[ignore = "needs knotd; cargo xtask test runs it where it is installed"]
    fn knot_is_our_primary() {
        as_primary(|site| {
            // It makes differences of what changes in the file, keeps them in its journal, and
            // leaves the file alone.
            let zone = "    file: example.test.zone\n    notify: ours\n    \
                        zonefile-load: difference\n    zonefile-sync: -1\n";
            knotd(site, zone)
        });
    }

    #[test]
    #[ignore = "needs knotd; cargo xtask test runs it where it is installed"]
    fn knot_is_our_secondary() {
        as_secondary(|site| knotd(site, "    file: kept.zone\n    master: ours\n"));
    }
}

mod with_named {
    use super::*;

    fn named(site: &Site<'_>, zone: &str) -> Daemon {
        named_with(site, "", "", zone)
    }

    /// With statements before all others, and between `listen-on port N` and its addresses.
    pub(super) fn named_with(site: &Site<'_>, first: &str, listen: &str, zone: &str) -> Daemon {
        let Site { scratch, port, .. } = site;
        let folder = scratch.folder.path().display();
        let config = format!(
            "{KEY}\n{first}\noptions {{\n directory \"{folder}\"; pid-file \"named.pid\";\n \
             session-keyfile none; listen-on port {port} {listen} {{ 127.0.0.1; }};\n \
             listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; notify explicit;\n \
             notify-delay 0; min-refresh-time 1; min-retry-time 1;\n}};\n\
             controls {{ }};\nzone \"example.test\" {{ {zone} }};\n"
        );
        scratch.write("named.conf", &config);
        Daemon::start(
            "named",
            &["-g", "-c", &scratch.path("named.conf")],
            scratch.folder.path(),
        )
    }

    #[test]
    #[ignore = "needs named; cargo xtask test runs it where it is installed"]
    fn bind_is_our_primary() {
        as_primary(|site| {
            let ours = site.ours;
            named(
                site,
                &format!(
                    "type primary; file \"example.test.zone\"; ixfr-from-differences yes;\n \
                     allow-transfer {{ key transfer.test; }};\n \
                     also-notify {{ 127.0.0.1 port {ours} key transfer.test; }};"
                ),
            )
        });
    }

    #[test]
    #[ignore = "needs named; cargo xtask test runs it where it is installed"]
    fn bind_is_our_secondary() {
        as_secondary(|site| {
            let ours = site.ours;
            named(
                site,
                &format!(
                    "type secondary; file \"kept.zone\";\n \
                     primaries {{ 127.0.0.1 port {ours} key transfer.test; }};"
                ),
            )
        });
    }
}

/// Runs a program to its end; its standard output.
#[track_caller]
fn ok(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {out}{err}"
    );
    out
}

/// A server of the zone, which it sends to whoever has the key.
fn server(scratch: &Scratch) -> (Running, String) {
    let (zone, key) = (scratch.zone_option(), scratch.key_option());
    let port = free_port();
    let (udp, tcp) = (format!("udp:{port}"), format!("tcp:{port}"));
    let server = Running::start(
        &[
            "dns",
            "--listen",
            &udp,
            "--listen",
            &tcp,
            "--zone",
            &zone,
            "--tsig-key",
            &key,
            "--allow-transfer",
            "transfer.test",
        ],
        2,
    );
    (server, port.to_string())
}

mod with_dig {
    use super::*;

    #[test]
    #[ignore = "needs dig; cargo xtask test runs it where it is installed"]
    fn dig_asks_and_transfers_with_the_key_alone() {
        let scratch = Scratch::new();
        let (mut server, port) = server(&scratch);
        let dig = |more: &[&str]| {
            let all = [&["@127.0.0.1", "-p", &port, "+tries=1", "+time=10"], more].concat();
            ok("dig", &all)
        };
        assert_eq!(dig(&["www.example.test", "+short"]), "192.0.2.1\n");
        assert_eq!(dig(&["www.example.test", "+short", "+tcp"]), "192.0.2.1\n");
        let refused = dig(&["example.test", "AXFR"]);
        assert!(refused.contains("Transfer failed"), "{refused}");
        let keys = scratch.path("transfer.key");
        let axfr = dig(&["-k", &keys, "example.test", "AXFR"]);
        assert_eq!(axfr.matches("SOA").count(), 2, "{axfr}");
        assert!(
            axfr.contains("www.example.test.\t300\tIN\tA\t192.0.2.1"),
            "{axfr}"
        );
        // A question may be signed as well.
        let signed = dig(&["-k", &keys, "+norecurse", "www.example.test"]);
        assert!(
            !signed.contains("WARNING") && signed.contains("hmac-sha256"),
            "{signed}"
        );
        scratch.zone(2);
        server.signal("HUP");
        server.logged("a zone was read again");
        wait_for(server.address("dns", "udp"), 2, "the server");
        let ixfr = dig(&["-k", &keys, "example.test", "IXFR=1"]);
        assert_eq!(ixfr.matches("SOA").count(), 4, "{ixfr}");
        server.end_well();
    }
}

mod with_kdig {
    use super::*;

    #[test]
    #[ignore = "needs kdig; cargo xtask test runs it where it is installed"]
    fn kdig_asks_the_lab_over_tls_and_checks_its_certificate() {
        let (lab, ca, _) = crate::lab::start();
        let port = lab.port("dns", "tls");
        let ca = format!("+tls-ca={ca}");
        let all = [
            "@127.0.0.1",
            "-p",
            &port,
            &ca,
            "+tls-hostname=localhost",
            "+short",
        ];
        let kdig = |more: &[&str]| ok("kdig", &[&all, more].concat());
        assert_eq!(kdig(&["www.lab.test", "A"]), "127.0.0.1\n");
        assert_eq!(kdig(&["lab.test", "MX"]), "10 mail.lab.test.\n");
        lab.end_well();
    }

    #[test]
    #[ignore = "needs kdig; cargo xtask test runs it where it is installed"]
    fn kdig_transfers_with_the_key() {
        let scratch = Scratch::new();
        let (server, port) = server(&scratch);
        let key = "hmac-sha256:transfer.test:bm9ib2R5IGVsc2Uga25vd3MgdGhpcyBzZWNyZXQ=";
        let question = ["-y", key, "example.test", "AXFR"];
        let axfr = ok(
            "kdig",
            &[&["@127.0.0.1", "-p", &port][..], &question].concat(),
        );
        assert_eq!(axfr.matches("SOA").count(), 2, "{axfr}");
        server.end_well();
    }
}

mod with_drill {
    use super::*;

    #[test]
    #[ignore = "needs drill; cargo xtask test runs it where it is installed"]
    fn drill_asks_over_udp_and_tcp() {
        let scratch = Scratch::new();
        let (server, port) = server(&scratch);
        for way in ["-u", "-t"] {
            let answer = ok(
                "drill",
                &[way, "-p", &port, "@127.0.0.1", "txt.example.test", "TXT"],
            );
            assert!(
                answer.contains("NOERROR") && answer.contains("\"a text\" \"of two\""),
                "{answer}"
            );
        }
        server.end_well();
    }
}

mod with_delv {
    use super::*;

    #[test]
    #[ignore = "needs delv; cargo xtask test runs it where it is installed"]
    fn delv_asks_without_a_root_of_trust() {
        let scratch = Scratch::new();
        let (server, port) = server(&scratch);
        let answer = ok(
            "delv",
            &[
                "-i",
                "+noroot",
                "@127.0.0.1",
                "-p",
                &port,
                "www.example.test",
            ],
        );
        assert!(answer.contains("192.0.2.1"), "{answer}");
        server.end_well();
    }
}

mod with_nsupdate {
    use super::*;

    #[test]
    #[ignore = "needs nsupdate; cargo xtask test runs it where it is installed"]
    fn nsupdate_is_refused_politely() {
        let scratch = Scratch::new();
        let (server, port) = server(&scratch);
        let update = format!(
            "server 127.0.0.1 {port}\nzone example.test\nupdate add new.example.test 1 A 192.0.2.9\nsend\n"
        );
        scratch.write("update", &update);
        let keys = scratch.path("transfer.key");
        for with_key in [&["-k", &*keys][..], &[]] {
            let output = Command::new("nsupdate")
                .args(with_key)
                .arg(scratch.path("update"))
                .output()
                .unwrap();
            let err = text(output.stderr);
            assert!(!output.status.success() && err.contains("REFUSED"), "{err}");
        }
        server.end_well();
    }
}

mod with_dnsperf {
    use super::*;

    #[test]
    #[ignore = "needs dnsperf; cargo xtask test runs it where it is installed"]
    fn dnsperf_loses_no_question() {
        let scratch = Scratch::new();
        let (server, port) = server(&scratch);
        scratch.write(
            "questions",
            "www.example.test A\nexample.test MX\nnone.example.test A\n",
        );
        let questions = scratch.path("questions");
        for mode in ["udp", "tcp"] {
            let report = ok(
                "dnsperf",
                &[
                    "-s",
                    "127.0.0.1",
                    "-p",
                    &port,
                    "-d",
                    &questions,
                    "-n",
                    "500",
                    "-m",
                    mode,
                ],
            );
            let line = |what: &str| {
                let line = report.lines().find(|line| line.trim().starts_with(what));
                line.unwrap_or_else(|| panic!("{report}")).to_owned()
            };
            assert!(line("Queries lost").contains(" 0 ("), "{report}");
            assert!(line("Queries completed").contains("1500 (100"), "{report}");
        }
        server.end_well();
    }
}
