//! A response's head (RFC 9112, section 4).

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use super::{Body, Limits, Malformed, Version, field, request::keeps_alive};

/// A response's head, in which nothing is ambiguous.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// How it went.
    pub status: StatusCode,
    /// What the server speaks.
    pub version: Version,
    /// The fields; values share the head's bytes.
    pub fields: HeaderMap,
    /// Where the body ends.
    pub body: Body,
    /// Whether the connection may serve another request.
    pub keeps_alive: bool,
}

impl Response {
    /// Parses a head whose end [`Scan`](super::Scan) has found; `answers` is
    /// the method of the request, without which the body's end is not known.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(head: &Bytes, answers: &Method, limits: &Limits) -> Result<Self, Malformed> {
        let mut lines = field::lines(head, 0);
        let (start, end) = lines.next().ok_or(Malformed::StatusLine)?;
        let line = &head[start..end];
        let version = line.get(..8).ok_or(Malformed::StatusLine)?;
        let version = Version::parse(version).map_err(|why| match why {
            Malformed::Version => why,
            _ => Malformed::StatusLine,
        })?;
        // Many servers leave out the space before a reason that they do not give.
        let (b' ', status, b"" | [b' ', ..]) = (
            *line.get(8).ok_or(Malformed::StatusLine)?,
            line.get(9..12).ok_or(Malformed::StatusLine)?,
            &line[12..],
        ) else {
            return Err(Malformed::StatusLine);
        };
        let reason_fits = |&byte: &u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        if !line[12..].iter().all(reason_fits) {
            return Err(Malformed::Control);
        }
        let status = StatusCode::from_bytes(status).map_err(|_| Malformed::StatusLine)?;
        let fields = field::fields(head, lines, limits)?;
        let body = Body::of_response(version, status, &fields, answers)?;
        Ok(Self {
            keeps_alive: keeps_alive(version, &fields) && body != Body::UntilClose,
            body,
            status,
            version,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::h1::Scan;

    fn parse(wire: &str, answers: &Method) -> Result<Response, Malformed> {
        let limits = Limits::default();
        let length = Scan::default().response(wire.as_bytes(), &limits)?;
        let head = Bytes::copy_from_slice(&wire.as_bytes()[..length.expect("it is whole")]);
        Response::parse(&head, answers, &limits)
    }

    fn body(head: &str, answers: &Method) -> Body {
        parse(&format!("HTTP/1.1 {head}\r\n\r\n"), answers)
            .unwrap()
            .body
    }

    #[test]
    fn bodies_end_as_the_status_and_the_request_say() {
        let get = &Method::GET;
        assert_eq!(body("200 OK", get), Body::UntilClose);
        assert_eq!(body("200 OK\r\nContent-Length: 3", get), Body::Length(3));
        assert_eq!(
            body("200 OK\r\nContent-Length: 3", &Method::HEAD),
            Body::None
        );
        assert_eq!(
            body("200 OK\r\nTransfer-Encoding: chunked", get),
            Body::Chunked
        );
        assert_eq!(
            body("304 Not Modified\r\nContent-Length: 3", get),
            Body::None
        );
        assert_eq!(body("204", get), Body::None);
        assert_eq!(body("103 Early Hints", get), Body::None);
        assert_eq!(body("101 Switching Protocols", get), Body::Tunnel);
        assert_eq!(body("200 OK", &Method::CONNECT), Body::Tunnel);
        assert_eq!(body("407 No", &Method::CONNECT), Body::UntilClose);
    }

    #[test]
    fn a_body_until_the_end_keeps_nothing_alive() {
        let response = parse("HTTP/1.1 200 OK\r\n\r\n", &Method::GET).unwrap();
        assert!(!response.keeps_alive);
    }

    #[test]
    fn status_lines_that_are_none() {
        for bad in [
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1  200 OK",
            "HTTP/1.1 099 x",
            "HTTP/1.1 abc",
            "HTTP/1.1\t200 OK",
            "HTTP/2 200",
            "HTTP/1.1 200 a\rb",
        ] {
            assert!(
                parse(&format!("{bad}\r\n\r\n"), &Method::GET).is_err(),
                "{bad}"
            );
        }
        assert!(parse("HTTP/1.1 200\r\n\r\n", &Method::GET).is_ok());
        assert!(parse("HTTP/1.1 299 \u{e9}\r\n\r\n", &Method::GET).is_ok());
    }
}
