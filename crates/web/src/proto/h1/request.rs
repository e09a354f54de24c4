//! A request's head (RFC 9112, section 3).

use bytes::Bytes;
use http::{
    HeaderMap, Method, Uri,
    header::{CONNECTION, EXPECT},
};
use memchr::memchr;

use super::{
    Body, Limits, Malformed,
    field::{self, is_token, list},
    scan::leading_line,
    target,
};

/// The version that a message claims; later minor ones of 1 are 1.1 (RFC 9110,
/// section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 (RFC 1945).
    Http10,
    /// HTTP/1.1.
    Http11,
}

impl Version {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        match bytes {
            b"HTTP/1.0" => Ok(Self::Http10),
            [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1'..=b'9'] => Ok(Self::Http11),
            [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
                Err(Malformed::Version)
            }
            _ => Err(Malformed::RequestLine),
        }
    }
}

/// A request's head, in which nothing is ambiguous.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// The target, in whichever form.
    pub uri: Uri,
    /// What the client speaks.
    pub version: Version,
    /// The fields; values share the head's bytes.
    pub fields: HeaderMap,
    /// Where the body ends.
    pub body: Body,
    /// Whether the connection may serve another request (RFC 9112, section
    /// 9.3).
    pub keeps_alive: bool,
}

impl Request {
    /// Parses a head whose end [`Scan`](super::Scan) has found.
    ///
    /// # Errors
    /// If it is none; the answer is [`Malformed::status`], and then the end of
    /// the connection.
    pub fn parse(head: &Bytes, limits: &Limits) -> Result<Self, Malformed> {
        let mut lines = field::lines(head, leading_line(head));
        let (start, end) = lines.next().ok_or(Malformed::RequestLine)?;
        let line = &head[start..end];
        let space = memchr(b' ', line).ok_or(Malformed::RequestLine)?;
        let (method, rest) = (&line[..space], &line[space + 1..]);
        let second = memchr(b' ', rest).ok_or(Malformed::RequestLine)?;
        let version = Version::parse(&rest[second + 1..])?;
        if !is_token(method) || second == 0 {
            return Err(Malformed::RequestLine);
        }
        if !rest[..second].iter().all(u8::is_ascii_graphic) {
            return Err(Malformed::Target);
        }
        let method = Method::from_bytes(method).map_err(|_| Malformed::RequestLine)?;
        let begin = start + space + 1;
        let uri = target::target(&method, head.slice(begin..begin + second))?;
        let fields = field::fields(head, lines, limits)?;
        target::host(version, &uri, &fields)?;
        Ok(Self {
            body: Body::of_request(version, &fields)?,
            keeps_alive: keeps_alive(version, &fields),
            method,
            uri,
            version,
            fields,
        })
    }

    /// Whether the client waits for `100 Continue` before it sends the body
    /// (RFC 9110, section 10.1.1). One of HTTP/1.0 cannot mean it.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        let expects = |it: &[u8]| it.eq_ignore_ascii_case(b"100-continue");
        self.version == Version::Http11 && list(&self.fields, &EXPECT).any(expects)
    }
}

/// Whether the connection stays (RFC 9112, section 9.3).
pub(super) fn keeps_alive(version: Version, fields: &HeaderMap) -> bool {
    let says = |word: &[u8]| list(fields, &CONNECTION).any(|it| it.eq_ignore_ascii_case(word));
    match version {
        Version::Http11 => !says(b"close"),
        Version::Http10 => says(b"keep-alive") && !says(b"close"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1::Scan;

    /// As a server reads it: scanned, then parsed.
    fn parse(wire: &[u8]) -> Result<Request, Malformed> {
        let limits = Limits::default();
        let length = Scan::default().request(wire, &limits)?;
        let length = length.expect("the head is whole");
        Request::parse(&Bytes::copy_from_slice(&wire[..length]), &limits)
    }

    fn with(fields: &str) -> Result<Request, Malformed> {
        parse(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    }

    fn line(line: &str) -> Result<Request, Malformed> {
        parse(format!("{line}\r\nHost: a\r\n\r\n").as_bytes())
    }

    #[test]
    fn an_ordinary_request_is_read() {
        let request = with("Accept:  text/html \t\r\nX-Empty:\r\nContent-Length: 12\r\n").unwrap();
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.fields["accept"], "text/html");
        assert_eq!(request.fields["x-empty"], "");
        assert_eq!(request.body, Body::Length(12));
        assert!(request.keeps_alive && !request.expects_continue());
    }

    #[test]
    fn connections_stay_as_versions_and_options_say() {
        let keeps = |version: &str, option: &str| {
            let wire = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {option}\r\n\r\n");
            parse(wire.as_bytes()).unwrap().keeps_alive
        };
        assert!(keeps("1.1", "upgrade") && keeps("1.0", "Keep-Alive, x") && keeps("1.2", ""));
        assert!(
            !keeps("1.1", "x, Close") && !keeps("1.0", "") && !keeps("1.0", "close, keep-alive")
        );
    }

    #[test]
    fn request_lines_that_are_none() {
        for bad in [
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / x HTTP/1.1",
            "G(T / HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/11",
            "GET / HTTP/1.10",
            "GET\t/ HTTP/1.1",
            "GET /\u{b}HTTP/1.1",
        ] {
            assert!(line(bad).is_err(), "{bad}");
        }
        assert_eq!(line("GET / HTTP/2.0").unwrap_err(), Malformed::Version);
        assert_eq!(line("GET / HTTP/0.9").unwrap_err(), Malformed::Version);
    }

    #[test]
    fn lies_about_where_the_body_ends() {
        for (fields, why) in [
            ("Content-Length: +3", Malformed::ContentLength),
            ("Content-Length: -3", Malformed::ContentLength),
            ("Content-Length: 0x3", Malformed::ContentLength),
            ("Content-Length:", Malformed::ContentLength),
            ("Content-Length: 3, 3", Malformed::ContentLength),
            ("Content-Length: 3 3", Malformed::ContentLength),
            (
                "Content-Length: 3\r\nContent-Length: 3",
                Malformed::ContentLength,
            ),
            (
                "Content-Length: 3\r\nContent-Length: 4",
                Malformed::ContentLength,
            ),
            (
                "Content-Length: 18446744073709551616",
                Malformed::ContentLength,
            ),
            (
                "Content-Length: 3\r\nTransfer-Encoding: chunked",
                Malformed::TwoLengths,
            ),
            (
                "Transfer-Encoding: chunked\r\nContent-Length: 3",
                Malformed::TwoLengths,
            ),
            ("Transfer-Encoding: xchunked", Malformed::TransferEncoding),
            (
                "Transfer-Encoding: chunked, identity",
                Malformed::TransferEncoding,
            ),
            ("Transfer-Encoding: identity", Malformed::TransferEncoding),
            (
                "Transfer-Encoding: chunked, chunked",
                Malformed::TransferEncoding,
            ),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                Malformed::TransferEncoding,
            ),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                Malformed::TransferEncoding,
            ),
            ("Transfer-Encoding:", Malformed::TransferEncoding),
            (
                "Transfer-Encoding: \"chunked\"",
                Malformed::TransferEncoding,
            ),
            (
                "Transfer-Encoding: chunked;q=1",
                Malformed::TransferEncoding,
            ),
            (
                "Transfer-Encoding: gzip, chunked",
                Malformed::TransferCoding,
            ),
            ("Transfer-Encoding: \u{b}chunked", Malformed::Control),
            ("Transfer-Encoding : chunked", Malformed::Field),
            ("Content-Length : 3", Malformed::Field),
            (" Content-Length: 3", Malformed::Field),
            ("X: a\r\n folded", Malformed::Field),
            ("X: a\rb", Malformed::Control),
            ("X: a\0b", Malformed::Control),
            ("X\0: a", Malformed::Field),
            (": a", Malformed::Field),
            ("nothing", Malformed::Field),
            ("Host: a", Malformed::Host),
        ] {
            assert_eq!(with(&format!("{fields}\r\n")).unwrap_err(), why, "{fields}");
        }
        assert_eq!(
            with("Transfer-Encoding: Chunked\r\n").unwrap().body,
            Body::Chunked
        );
        assert_eq!(
            with("Content-Length: 003\r\n").unwrap().body,
            Body::Length(3)
        );
    }

    #[test]
    fn http_1_0_has_no_transfer_encoding_and_needs_no_host() {
        let of = |fields: &str| parse(format!("GET / HTTP/1.0\r\n{fields}\r\n").as_bytes());
        assert_eq!(of("").unwrap().body, Body::None);
        assert_eq!(
            of("Transfer-Encoding: chunked\r\n").unwrap_err(),
            Malformed::TransferEncoding
        );
        assert!(!of("Expect: 100-continue\r\n").unwrap().expects_continue());
        assert_eq!(
            parse(b"GET / HTTP/1.1\r\n\r\n").unwrap_err(),
            Malformed::Host
        );
    }
}
