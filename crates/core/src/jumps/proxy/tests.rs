use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::jumps::Opening;

/// Reads a header from bytes, in pieces of at most so many, as [`converse`] would; says how many
/// bytes it took.
fn read(bytes: &[u8], piece: usize) -> Result<(Option<Header>, usize), ProxyHeaderError> {
    let mut decoder = Decoder::default();
    let mut at = 0;
    while decoder.wants() > 0 && at < bytes.len() {
        let upto = bytes.len().min(at + decoder.wants().min(piece));
        decoder.received(&bytes[at..upto])?;
        at = upto;
    }
    Ok((decoder.header(), at))
}

/// A header, with something behind it that stays, however it is cut.
fn header(bytes: &[u8]) -> Result<Header, ProxyHeaderError> {
    let long = [bytes, b"GET / HTTP/1.1\r\n"].concat();
    let whole = read(&long, usize::MAX);
    for piece in 1..20 {
        assert_eq!(read(&long, piece), whole, "in pieces of {piece}");
    }
    let (header, taken) = whole?;
    assert_eq!(taken, bytes.len(), "no more than the header is taken");
    for cut in 0..bytes.len() {
        assert_eq!(
            read(&bytes[..cut], usize::MAX),
            Ok((None, cut)),
            "cut at {cut}"
        );
    }
    Ok(header.unwrap())
}

fn ends(source: &str, destination: &str) -> Header {
    let inet = |text: &str| text.parse().unwrap();
    Header::Proxied(Box::new(Ends::inet(inet(source), inet(destination))))
}

#[test]
fn version_1() {
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n",
            ends("192.0.2.1:56324", "198.51.100.1:443"),
        ),
        (
            "PROXY TCP4 1.1.1.1 2.2.2.2 0 1\r\n",
            ends("1.1.1.1:0", "2.2.2.2:1"),
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:DB8::2 65535 443\r\n",
            ends("[2001:db8::1]:65535", "[2001:db8::2]:443"),
        ),
        ("PROXY TCP6 :: :: 0 0\r\n", ends("[::]:0", "[::]:0")),
        // A mapped address is shown as what it is.
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n",
            ends("192.0.2.1:1", "192.0.2.2:2"),
        ),
        ("PROXY UNKNOWN\r\n", Header::Local),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Header::Local,
        ),
    ] {
        assert_eq!(header(line.as_bytes()), Ok(expected), "{line}");
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 16));
    assert_eq!(header(longest.as_bytes()), Ok(Header::Local));
}

#[test]
fn version_1_gone_wrong() {
    use ProxyHeaderError as E;
    let malformed = |e: &E| matches!(e, E::Malformed(_));
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.1 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 +43\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324 043\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.1 56324 443\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 56324 443\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 56324 443\r\n",
        "PROXY UDP4 192.0.2.1 192.0.2.2 56324 443\r\n",
        "PROXY UNKNOWN\n\n",
        "PROXY UNKNOWN \u{7}\r\n",
        "PROXY \r\n         ",
    ] {
        let error = header(line.as_bytes()).unwrap_err();
        assert!(malformed(&error), "{line}: {error}");
    }
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(107 - 15));
    assert_eq!(header(long.as_bytes()), Err(E::TooLong));
    for other in [
        "GET / HTTP/1.1\r\n",
        "PROX",
        "proxy TCP4 ",
        "PROXYY",
        "\r\n\r\n\0\r\nQUIT\r",
    ] {
        assert_eq!(header(other.as_bytes()), Err(E::NoHeader), "{other}");
    }
}

/// A header of version 2 of these parts.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    header.extend(rest);
    header
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

fn v4_ends() -> Header {
    ends("192.0.2.1:56324", "198.51.100.1:443")
}

#[test]
fn version_2() {
    assert_eq!(header(&v2(0x21, 0x11, &V4)), Ok(v4_ends()));
    // What a proxy had from a client over UDP.
    assert_eq!(header(&v2(0x21, 0x12, &V4)), Ok(v4_ends()));
    let mut v6 = [0; 36];
    (v6[0], v6[15], v6[16], v6[31], v6[33], v6[35]) = (0x20, 1, 0x20, 2, 7, 8);
    assert_eq!(
        header(&v2(0x21, 0x21, &v6)),
        Ok(ends("[2000::1]:7", "[2000::2]:8"))
    );

    let mut unix = [0; 216];
    unix[..6].copy_from_slice(b"/run/a");
    unix[108..112].copy_from_slice(b"\0abc");
    let Ok(Header::Proxied(found)) = header(&v2(0x21, 0x31, &unix)) else {
        panic!("two Unix addresses");
    };
    assert_eq!(found.source.to_string(), "/run/a");
    assert_eq!(found.destination, Address::Abstract(b"abc"[..].into()));

    // LOCAL, with whatever behind it; a family or transport of no name.
    for local in [
        v2(0x20, 0, b""),
        v2(0x20, 0x11, &V4),
        v2(0x20, 0x11, b"x"),
        v2(0x21, 0, b""),
        v2(0x21, 0, b"\x01anything"),
        v2(0x21, 0x10, &V4),
    ] {
        assert_eq!(header(&local), Ok(Header::Local), "{local:?}");
    }
}

#[test]
fn version_2_gone_wrong() {
    use ProxyHeaderError as E;
    for bad in [
        v2(0x11, 0x11, &V4),
        v2(0x22, 0x11, &V4),
        v2(0x21, 0x41, &V4),
        v2(0x21, 0x13, &V4),
        v2(0x21, 0x11, &V4[..11]),
        v2(0x21, 0x21, &V4),
        v2(0x21, 0x31, &[0; 215]),
        v2(0x21, 0x11, &[&V4[..], &[1]].concat()),
        v2(0x21, 0x11, &[&V4[..], &[1, 0, 5, 1]].concat()),
        v2(0x21, 0x11, &[&V4[..], &tlv(2, b"\xff")].concat()),
        v2(
            0x21,
            0x11,
            &[&V4[..], &tlv(2, b"a"), &tlv(2, b"b")].concat(),
        ),
        v2(0x21, 0x11, &[&V4[..], &tlv(5, &[0; 129])].concat()),
        v2(0x21, 0x11, &[&V4[..], &tlv(0x20, &[1, 0, 0, 0])].concat()),
        v2(0x21, 0x11, &[&V4[..], &tlv(3, &[1, 0, 0])].concat()),
    ] {
        let error = header(&bad).unwrap_err();
        assert!(matches!(error, E::Malformed(_)), "{bad:?}: {error}");
    }
    assert_eq!(
        header(&v2(0x21, 0x11, &[0; 16 * 1024 + 1])),
        Err(E::TooLong)
    );
}

#[test]
fn what_else_a_proxy_says() {
    let mut ssl = vec![0b111, 0, 0, 0, 0];
    ssl.extend(tlv(0x21, b"TLSv1.3"));
    ssl.extend(tlv(0x22, b"alice"));
    ssl.extend(tlv(0x23, b"TLS_AES_128_GCM_SHA256"));
    ssl.extend(tlv(0x7f, b"?"));
    let tlvs = [
        tlv(1, b"h2"),
        tlv(2, b"lab.test"),
        tlv(4, &[0; 5]),
        tlv(4, b""),
        tlv(5, b"unique"),
        tlv(0x20, &ssl),
        tlv(0x30, b"blue"),
        tlv(0xea, b"vpce-1"),
        tlv(0xea, b"vpce-2"),
    ]
    .concat();
    let mut bytes = v2(0x21, 0x11, &[&V4[..], &tlvs, &tlv(3, &[0; 4])].concat());
    let sum = crc32c::crc32c(bytes.iter().copied());
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&sum.to_be_bytes());

    let Ok(Header::Proxied(ends)) = header(&bytes) else {
        panic!("it says much");
    };
    let said = ends.tlvs.of(Peer::new(Address::Unix(None)));
    assert_eq!(said.alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(said.authority.as_deref(), Some("lab.test"));
    assert_eq!(said.unique_id.as_deref(), Some(&b"unique"[..]));
    assert_eq!(said.network_namespace.as_deref(), Some("blue"));
    assert_eq!(
        said.other,
        [(0xea, b"vpce-1".to_vec()), (0xea, b"vpce-2".to_vec())]
    );
    let tls = said.tls.unwrap();
    assert!(tls.over_tls && tls.certificate_shown && tls.certificate_verified);
    assert_eq!(tls.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(tls.common_name.as_deref(), Some("alice"));
    assert_eq!(tls.other, [(0x7f, b"?".to_vec())]);

    // Any bit of it turned over is found out, by the sum if by nothing else.
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let found = read(&damaged, usize::MAX);
        assert!(
            !matches!(found, Ok((Some(Header::Proxied(_)), _))),
            "byte {at}: {found:?}"
        );
    }
}

#[test]
fn a_certificate_that_was_not_shown_was_not_verified() {
    let ssl = tlv(0x20, &[1, 0, 0, 0, 0]);
    let Ok(Header::Proxied(ends)) = header(&v2(0x21, 0x11, &[&V4[..], &ssl].concat())) else {
        panic!("a header");
    };
    let tls = ends.tlvs.of(Peer::new(Address::Unix(None))).tls.unwrap();
    assert!(tls.over_tls && !tls.certificate_shown && !tls.certificate_verified);
}

#[test]
fn what_is_written_is_read_back() {
    let inet = |text: &str| Address::from(text.parse::<SocketAddr>().unwrap());
    let path = |text: &str| Address::Unix(Some(Arc::from(std::path::Path::new(text))));
    for (source, destination, by_line) in [
        (inet("192.0.2.1:1"), inet("192.0.2.2:65535"), true),
        (inet("[2001:db8::1]:1"), inet("[2001:db8::2]:2"), true),
        // Of two families: IPv4 is mapped, and comes back as what it is.
        (inet("192.0.2.1:1"), inet("[2001:db8::2]:2"), true),
        (path("/run/a"), path("/run/b"), false),
        (
            Address::Unix(None),
            Address::Abstract(b"b"[..].into()),
            false,
        ),
    ] {
        let tlvs = Tlvs::default();
        let expected = Header::Proxied(Box::new(Ends {
            source: source.clone(),
            destination: destination.clone(),
            tlvs,
        }));
        let behalf = (source, destination);
        assert_eq!(
            header(&encode(ProxyVersion::V2, Some(&behalf))),
            Ok(expected.clone())
        );
        let line = header(&encode(ProxyVersion::V1, Some(&behalf)));
        assert_eq!(line, Ok(if by_line { expected } else { Header::Local }));
    }
    // There are no words for these.
    let behalf = (Address::Stdio, inet("192.0.2.1:1"));
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        assert_eq!(header(&encode(version, Some(&behalf))), Ok(Header::Local));
        assert_eq!(header(&encode(version, None)), Ok(Header::Local));
    }
}

#[test]
fn who_is_believed() {
    let trust = |from: &str| {
        let endpoint = format!("haproxy{from}/tcp:1");
        let endpoint: crate::ServerEndpoint = endpoint.parse().unwrap();
        let crate::endpoint::ServerSpec::Haproxy(haproxy) = endpoint.spec else {
            panic!("haproxy");
        };
        Trust::new(haproxy.from)
    };
    let peer = |ip: IpAddr| Address::from(SocketAddr::new(ip, 1));
    let (near, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 1, 2, 3]));
    let default = trust("");
    assert!(default.covers(&peer(near)) && !default.covers(&peer(far)));
    assert!(default.covers(&Address::Unix(None)) && default.covers(&Address::Stdio));
    let named = trust(r":from=10.0.0.0\/8,192.0.2.1");
    assert!(named.covers(&peer(far)) && !named.covers(&peer(near)));
    assert!(named.covers(&peer(Ipv4Addr::new(192, 0, 2, 1).into())));
    assert!(named.covers(&Address::Unix(None)));
    // What another crate's scheme calls its peers in words may be anywhere.
    let words = Address::Other("203.0.113.1:80".into());
    assert!(!default.covers(&words) && !named.covers(&words));
}
