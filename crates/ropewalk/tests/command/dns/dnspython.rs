//! The Python package `dnspython` as a client.

mod with_python_dnspython {
    use ropewalk_core::tls::TestCa;

    use super::super::*;

    const SCRIPT: &str = r#"
import sys
import dns.flags, dns.message, dns.name, dns.opcode, dns.query, dns.rcode
import dns.tsig, dns.tsigkeyring, dns.update, dns.xfr, dns.zone

port, tls, ca = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
there = dict(where="127.0.0.1", port=port, timeout=30)
keys = dns.tsigkeyring.from_text({"transfer.test.": "bm9ib2R5IGVsc2Uga25vd3MgdGhpcyBzZWNyZXQ="})
wrong = dns.tsigkeyring.from_text({"transfer.test.": "c29tZWJvZHkgZWxzZQ=="})

question = dns.message.make_query("www.example.test", "A", use_edns=0)
answers = [
    dns.query.udp(question, **there),
    dns.query.tcp(question, **there),
    dns.query.tls(question, "127.0.0.1", port=tls, timeout=30, server_hostname="dns.test", verify=ca),
]
for answer in answers:
    assert answer.rcode() == dns.rcode.NOERROR and answer.flags & dns.flags.AA, answer
    assert answer.answer[0][0].address == "192.0.2.1", answer
try:
    dns.query.tls(question, "127.0.0.1", port=tls, timeout=30, server_hostname="other.test", verify=ca)
    raise SystemExit("another name is believed")
except OSError as error:
    assert "CERTIFICATE_VERIFY_FAILED" in str(error), error

none = dns.query.udp(dns.message.make_query("none.example.test", "A"), **there)
assert none.rcode() == dns.rcode.NXDOMAIN and none.authority, none

def transfer(zone, **signed):
    query, _ = dns.xfr.make_query(zone, **signed)
    dns.query.inbound_xfr("127.0.0.1", zone, query, port=port, timeout=30, lifetime=60)

zone = dns.zone.Zone("example.test")
try:
    transfer(zone)
    raise SystemExit("a transfer without a key")
except dns.xfr.TransferError as error:
    assert error.rcode == dns.rcode.REFUSED, error
try:
    transfer(zone, keyring=wrong, keyname="transfer.test.", keyalgorithm=dns.tsig.HMAC_SHA256)
    raise SystemExit("a transfer with a wrong key")
except dns.tsig.PeerBadSignature:
    pass
for _ in range(2):
    # The second time it asks for what is newer.
    transfer(zone, keyring=keys, keyname="transfer.test.", keyalgorithm=dns.tsig.HMAC_SHA256)
assert zone.get_rdataset("@", "SOA")[0].serial == 1
assert sorted(str(name) for name in zone) == ["@", "ns", "txt", "www"], list(zone)
zone.check_origin()

notify = dns.message.make_query("example.test", "SOA", flags=dns.flags.AA)
notify.set_opcode(dns.opcode.NOTIFY)
update = dns.update.UpdateMessage("example.test")
update.add("new", 300, "A", "192.0.2.9")
signed = dns.update.UpdateMessage("example.test", keyring=keys, keyalgorithm=dns.tsig.HMAC_SHA256)
signed.add("new", 300, "A", "192.0.2.9")
for message in [notify, update, signed]:
    for way in [dns.query.udp, dns.query.tcp]:
        answer = way(message, **there)
        assert answer.rcode() == dns.rcode.REFUSED, answer
        assert answer.opcode() == message.opcode(), answer
# The last one was signed, and so is its answer.
assert answer.had_tsig, answer
print("done")
"#;

    #[test]
    #[ignore = "needs the Python package dnspython; cargo xtask test runs it where it is installed"]
    fn asks_transfers_and_is_refused_politely() {
        let scratch = Scratch::new();
        let ca = TestCa::new().unwrap();
        let (chain, key) = ca.issue(&["dns.test"]).unwrap();
        scratch.write("ca.pem", ca.pem());
        scratch.write("cert.pem", &chain);
        scratch.write("key.pem", &key);
        let port = free_port();
        let (udp, tcp) = (format!("udp:{port}"), format!("tcp:{port}"));
        let server = Running::start(
            &[
                "dns",
                "--listen",
                &udp,
                "--listen",
                &tcp,
                "--listen",
                "tls:0",
                "--tls-cert",
                &scratch.path("cert.pem"),
                "--tls-key",
                &scratch.path("key.pem"),
                "--zone",
                &scratch.zone_option(),
                "--tsig-key",
                &scratch.key_option(),
                "--allow-transfer",
                "transfer.test",
            ],
            3,
        );
        let python = std::env::var("ROPEWALK_PYTHON").expect("cargo xtask test says where");
        let arguments = [
            "-c",
            SCRIPT,
            &port.to_string(),
            &server.port("dns", "tls"),
            &scratch.path("ca.pem"),
        ];
        assert_eq!(ok(&python, &arguments), "done\n");
        server.end_well();
    }
}
