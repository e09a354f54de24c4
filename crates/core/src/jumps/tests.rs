//! Conversations with proxies, byte by byte.

use super::{http_connect::HttpConnect, socks5::Socks5, *};
use crate::ProxyRefusal;

/// Feeds an answer in pieces of at most so many bytes; what was sent, how many bytes were taken,
/// and whether it is over.
fn talk<O: Opening>(
    mut opening: O,
    answer: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, usize, bool), O::Error> {
    let mut sent = opening.output();
    let mut at = 0;
    while at < answer.len() && opening.wants() > 0 {
        let upto = answer.len().min(at + opening.wants().min(piece));
        opening.received(&answer[at..upto])?;
        sent.extend(opening.output());
        at = upto;
    }
    Ok((sent, at, opening.wants() == 0))
}

/// An answer that leads on, however it is cut; a banner behind it stays. Returns what was sent.
fn leads_on<O: Opening<Error: PartialEq + std::fmt::Debug>>(
    make: impl Fn() -> O,
    answer: &[u8],
) -> Vec<u8> {
    let long = [answer, b"220 hello\r\n"].concat();
    let whole = talk(make(), &long, usize::MAX).unwrap();
    for piece in 1..30 {
        assert_eq!(talk(make(), &long, piece).as_ref(), Ok(&whole));
    }
    for cut in 0..answer.len() {
        assert!(!talk(make(), &answer[..cut], usize::MAX).unwrap().2);
    }
    let (sent, taken, over) = whole;
    assert!(over);
    assert_eq!(taken, answer.len());
    sent
}

fn refused<O: Opening<Error = ProxyRefusal>>(make: impl Fn() -> O, answer: &[u8]) -> ProxyRefusal {
    let bytewise = talk(make(), answer, 1).unwrap_err();
    assert_eq!(talk(make(), answer, usize::MAX).unwrap_err(), bytewise);
    bytewise
}

fn name() -> Destination {
    Destination::Name("lab.test".to_owned())
}

fn login() -> Option<Login> {
    Some(Login {
        user: "ann".to_owned(),
        password: "secret".to_owned(),
    })
}

#[test]
fn socks5_asks_for_names_and_addresses() {
    let v4 = || Destination::Address([192, 0, 2, 1].into());
    let v6 = || Destination::Address("2001:db8::1".parse().unwrap());
    let ok = b"\x05\0\x05\0\0\x01\0\0\0\0\0\0";
    let sent = leads_on(|| Socks5::new(name(), 443, None), ok);
    assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x03\x08lab.test\x01\xbb");
    let sent = leads_on(|| Socks5::new(v4(), 25, None), ok);
    assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x01\xc0\0\x02\x01\0\x19");
    let sent = leads_on(|| Socks5::new(v6(), 25, None), ok);
    let expected = b"\x05\x01\0\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\0\x19";
    assert_eq!(sent, expected);
    // The proxy tells its own address in whatever kind it likes.
    leads_on(
        || Socks5::new(name(), 25, None),
        b"\x05\0\x05\0\0\x03\x05proxy\0\x01",
    );
    leads_on(
        || Socks5::new(name(), 25, None),
        b"\x05\0\x05\0\0\x03\0\0\x01",
    );
    let long = [&b"\x05\0\x05\0\0\x04"[..], &[7; 18]].concat();
    leads_on(|| Socks5::new(name(), 25, None), &long);
}

#[test]
fn socks5_says_who_it_is_when_asked() {
    let make = || Socks5::new(name(), 443, login());
    let sent = leads_on(make, b"\x05\x02\x01\0\x05\0\0\x01\0\0\0\0\0\0");
    let expected = b"\x05\x02\0\x02\x01\x03ann\x06secret\x05\x01\0\x03\x08lab.test\x01\xbb";
    assert_eq!(sent, expected);
    // A proxy that does not want to know is not told.
    let sent = leads_on(make, b"\x05\0\x05\0\0\x01\0\0\0\0\0\0");
    assert!(!sent.windows(6).any(|part| part == b"secret"));
    assert_eq!(
        refused(make, b"\x05\x02\x01\x01"),
        ProxyRefusal::PasswordRefused
    );
    let without = || Socks5::new(name(), 443, None);
    assert_eq!(refused(without, b"\x05\xff"), ProxyRefusal::PasswordNeeded);
}

#[test]
fn socks5_refuses_for_reasons() {
    use ProxyRefusal as R;
    let make = || Socks5::new(name(), 443, None);
    for (reply, reason) in [
        (1, R::Failed),
        (2, R::NotAllowed),
        (3, R::NetworkUnreachable),
        (4, R::HostUnreachable),
        (5, R::ConnectionRefused),
        (6, R::TimedOut),
        (7, R::CommandNotSupported),
        (8, R::AddressNotSupported),
        (9, R::Other(9)),
        (255, R::Other(255)),
    ] {
        assert_eq!(refused(make, &[5, 0, 5, reply, 0, 1]), reason);
    }
    for nonsense in [
        &b"\x04\0"[..],
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\x05\x02",
        b"\x05\x01",
        b"\x05\0\x04\0",
        b"\x05\0\x05\0\0\x02",
    ] {
        assert!(matches!(refused(make, nonsense), R::Malformed(_)));
    }
    let make = || Socks5::new(name(), 443, login());
    for nonsense in [&b"\x05\xff"[..], b"\x05\x02\x05\0"] {
        assert!(matches!(refused(make, nonsense), R::Malformed(_)));
    }
}

#[test]
fn connect_asks_for_names_and_addresses() {
    let ok = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let sent = leads_on(|| HttpConnect::new(&name(), 443, None), ok);
    assert_eq!(
        sent,
        b"CONNECT lab.test:443 HTTP/1.1\r\nHost: lab.test:443\r\n\r\n"
    );
    let v6 = Destination::Address("2001:db8::1".parse().unwrap());
    let sent = leads_on(|| HttpConnect::new(&v6, 25, login().as_ref()), ok);
    let expected = b"CONNECT [2001:db8::1]:25 HTTP/1.1\r\nHost: [2001:db8::1]:25\r\n\
        Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n";
    assert_eq!(sent, expected);
    for ok in [
        &b"HTTP/1.0 200 OK\r\nProxy-agent: x/1\r\nContent-Length: 3\r\nX:\r\n\r\n"[..],
        b"HTTP/1.1 204 \r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 200 \xe4\r\nA: \tb\xff\r\n\r\n",
    ] {
        leads_on(|| HttpConnect::new(&name(), 443, None), ok);
    }
}

#[test]
fn connect_refuses_for_reasons() {
    use ProxyRefusal as R;
    let make = || HttpConnect::new(&name(), 443, None);
    let reason = refused(make, b"HTTP/1.1 403 Access denied\r\nA: b\r\n\r\nno");
    let expected = R::Http {
        status: 403,
        reason: "Access denied".to_owned(),
    };
    assert_eq!(reason, expected);
    assert_eq!(
        reason.to_string(),
        r#"the proxy answered 403 "Access denied""#
    );
    let asks = b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n";
    assert_eq!(refused(make, asks), R::PasswordNeeded);
    let with = || HttpConnect::new(&name(), 443, login().as_ref());
    assert_eq!(refused(with, asks), R::PasswordRefused);
    let long = [&b"HTTP/1.1 200 OK\r\nA: "[..], &[b'a'; 16 * 1024]].concat();
    assert_eq!(refused(make, &long), R::Malformed("too long an answer"));
    for nonsense in [
        &b"SSH-2.0-x\r\n"[..],
        b"\x05\xff",
        b"HTTP/2 200 OK\r\n",
        b"HTTP/1.x 200 OK\r\n",
        b"HTTP/1.1  200 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 099 OK\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200 OK\r\r",
        b"HTTP/1.1 200 O\x1bK",
        b"HTTP/1.1 200 OK\r\nno field\r\n",
        b"HTTP/1.1 200 OK\r\n: b\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
    ] {
        let reason = refused(make, nonsense);
        assert!(matches!(reason, R::Malformed(_)), "{nonsense:?}: {reason}");
    }
}
