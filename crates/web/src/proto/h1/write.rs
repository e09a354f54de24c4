//! Heads and chunks, written (RFC 9112).
//!
//! What the types of `http` hold cannot break a line, so that nothing that an
//! application puts into a field splits a message; a reason phrase is the
//! standard one or none.

use std::io::Write as _;

use http::{HeaderMap, Method, StatusCode};

/// Appends a response's head.
///
/// The fields that frame the body are the caller's, as are Date and the rest.
///
/// ```
/// use http::{HeaderMap, StatusCode};
///
/// let mut out = Vec::new();
/// ropewalk_web::proto::h1::write::response(&mut out, StatusCode::NO_CONTENT, &HeaderMap::new());
/// assert_eq!(out, b"HTTP/1.1 204 No Content\r\n\r\n");
/// ```
pub fn response(out: &mut Vec<u8>, status: StatusCode, fields: &HeaderMap) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    self::fields(out, fields);
}

/// Appends a request's head; `target` is in the form that the method and the
/// way ask for (RFC 9112, section 3.2).
///
/// # Panics
/// If the target holds a blank or a control character: it comes from a parsed
/// URI, which has none.
pub fn request(out: &mut Vec<u8>, method: &Method, target: &str, fields: &HeaderMap) {
    assert!(
        target.bytes().all(|byte| byte.is_ascii_graphic()),
        "a target comes from a parsed URI"
    );
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    self::fields(out, fields);
}

/// Appends fields, and the empty line that ends a head or trailers.
pub fn fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    for (name, value) in fields {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends what stands before a chunk's data; behind it stands CR LF. No chunk
/// is empty but the last ([`last_chunk`]).
pub fn chunk_size(out: &mut Vec<u8>, size: usize) {
    debug_assert!(size > 0, "an empty chunk would be the last");
    let _ = write!(out, "{size:x}\r\n");
}

/// Appends the end of a chunked body, with its trailers.
pub fn last_chunk(out: &mut Vec<u8>, trailers: &HeaderMap) {
    out.extend_from_slice(b"0\r\n");
    fields(out, trailers);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::proto::h1::{Body, Chunked, Limits, Piece, Request, Scan};

    #[test]
    fn what_is_written_is_read_back() {
        let mut fields_of = HeaderMap::new();
        fields_of.insert("host", HeaderValue::from_static("a:80"));
        fields_of.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        fields_of.append("x", HeaderValue::from_static("1"));
        fields_of.append("x", HeaderValue::from_static("2"));
        let mut out = Vec::new();
        request(&mut out, &Method::PUT, "/a?b", &fields_of);
        let limits = Limits::default();
        let length = Scan::default().request(&out, &limits).unwrap().unwrap();
        let read = Request::parse(&Bytes::copy_from_slice(&out[..length]), &limits).unwrap();
        assert_eq!((read.fields, read.body), (fields_of, Body::Chunked));
        let mut trailers = HeaderMap::new();
        trailers.insert("sum", HeaderValue::from_static("1"));
        out.clear();
        chunk_size(&mut out, 17);
        out.extend_from_slice(b"seventeen letters\r\n");
        last_chunk(&mut out, &trailers);
        let (mut chunked, mut unread) = (Chunked::new(limits), &out[..]);
        assert_eq!(chunked.next(&mut unread), Ok(Piece::Data(17)));
        unread = &unread[17..];
        assert_eq!(chunked.next(&mut unread), Ok(Piece::End(trailers)));
    }
}
