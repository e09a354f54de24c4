//! What a request asks for: the target and Host (RFC 9112, section 3.2).

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, header::HOST, uri::Authority};

use super::{Malformed, Version};

/// The target, in the form that its method asks for.
pub(super) fn target(method: &Method, bytes: Bytes) -> Result<Uri, Malformed> {
    let form_fits = match (method, bytes.first()) {
        // Authority-form, which nothing else has.
        (&Method::CONNECT, _) => is_host_and_port(&bytes),
        (&Method::OPTIONS, Some(b'*')) => bytes.len() == 1,
        (_, Some(b'/')) => true,
        _ => is_absolute(&bytes),
    };
    // A fragment is never sent; a library would cut it off in silence.
    if !form_fits || bytes.contains(&b'#') {
        return Err(Malformed::Target);
    }
    Uri::from_maybe_shared(bytes).map_err(|_| Malformed::Target)
}

fn is_absolute(bytes: &[u8]) -> bool {
    let scheme = |scheme: &[u8]| {
        let start = bytes.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    scheme(b"http://") || scheme(b"https://")
}

fn is_host_and_port(bytes: &[u8]) -> bool {
    let port = bytes.iter().rposition(|&byte| byte == b':');
    port.is_some_and(|colon| {
        let (host, port) = (&bytes[..colon], &bytes[colon + 1..]);
        is_host(host) && matches!(port.len(), 1..=5) && port.iter().all(u8::is_ascii_digit)
    })
}

/// Holds Host to its rules, and to the target.
pub(super) fn host(version: Version, uri: &Uri, fields: &HeaderMap) -> Result<(), Malformed> {
    let mut hosts = fields.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    let Some(host) = host else {
        return match version {
            Version::Http10 => Ok(()),
            Version::Http11 => Err(Malformed::Host),
        };
    };
    if second.is_some() || !is_authority(host.as_bytes()) {
        return Err(Malformed::Host);
    }
    let named = uri.authority().map(Authority::as_str);
    match named {
        Some(named) if !same(named, host.as_bytes(), uri) => Err(Malformed::HostMismatch),
        _ => Ok(()),
    }
}

/// Whether both name the same host and port; the scheme's port may be left out.
fn same(named: &str, host: &[u8], uri: &Uri) -> bool {
    let port: &[u8] = match uri.scheme_str() {
        Some("https") => b":443",
        Some(_) => b":80",
        None => b"",
    };
    let bare = |it: &[u8]| it.strip_suffix(port).unwrap_or(it).to_ascii_lowercase();
    bare(named.as_bytes()) == bare(host)
}

/// `host[:port]`, with no one before an `@` (RFC 9110, section 7.2).
fn is_authority(bytes: &[u8]) -> bool {
    // The colons of an IPv6 address stand within brackets.
    let colon = match bytes.iter().position(|&byte| byte == b']') {
        Some(bracket) => bracket + 1,
        None => bytes
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(bytes.len()),
    };
    let (host, rest) = bytes.split_at(colon);
    let port_fits = match rest {
        [] => true,
        [b':', port @ ..] => port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    is_host(host) && port_fits
}

/// A name, an IPv4 address, or an IPv6 address in brackets (RFC 3986, section
/// 3.2.2), and never nothing.
fn is_host(bytes: &[u8]) -> bool {
    if let [b'[', inner @ .., b']'] = bytes {
        let address = std::str::from_utf8(inner).ok();
        return address.is_some_and(|it| it.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'%'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b';'
                    | b'='
            )
    };
    !bytes.is_empty() && bytes.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(method: &Method, it: &'static str) -> bool {
        target(method, Bytes::from_static(it.as_bytes())).is_ok()
    }

    #[test]
    fn each_method_has_its_forms() {
        assert!(form(&Method::GET, "/a?b=c"));
        assert!(form(&Method::GET, "http://example.com/"));
        assert!(form(&Method::GET, "HTTPS://example.com"));
        assert!(form(&Method::OPTIONS, "*"));
        assert!(form(&Method::CONNECT, "example.com:443"));
        assert!(form(&Method::CONNECT, "[::1]:443"));
        for other in [
            "",
            "*",
            "a/b",
            "example.com:80",
            "ftp://a/",
            "/a#b",
            "/\u{7f}",
        ] {
            assert!(!form(&Method::GET, other), "{other}");
        }
        for other in [
            "/",
            "example.com",
            "example.com:",
            "a@b:443",
            "http://a/",
            "a:123456",
        ] {
            assert!(!form(&Method::CONNECT, other), "{other}");
        }
        assert!(!form(&Method::OPTIONS, "**"));
    }

    #[test]
    fn a_host_is_a_host() {
        for host in [
            "a",
            "a.b:80",
            "127.0.0.1",
            "[::1]",
            "[::1]:8080",
            "a:",
            "a_b",
        ] {
            assert!(is_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a b", "a/b", "u@a", "a:b", "a:1:2", "[::1", "::1", "[x]", "a,b",
            "a:123456", "[::1]x",
        ] {
            assert!(!is_authority(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn target_and_host_agree() {
        let check = |uri: &'static str, it: &str| {
            let mut fields = HeaderMap::new();
            fields.insert(HOST, it.parse().unwrap());
            host(Version::Http11, &Uri::from_static(uri), &fields)
        };
        assert_eq!(check("http://a/", "A"), Ok(()));
        assert_eq!(check("http://a:80/", "a"), Ok(()));
        assert_eq!(check("https://a/", "a:443"), Ok(()));
        assert_eq!(check("/", "anything"), Ok(()));
        assert_eq!(check("http://a/", "b"), Err(Malformed::HostMismatch));
        assert_eq!(check("http://a/", "a:81"), Err(Malformed::HostMismatch));
        assert_eq!(check("http://u@a/", "a"), Err(Malformed::HostMismatch));
    }
}
