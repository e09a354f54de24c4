//! Where a message's body ends (RFC 9112, section 6.3).

use http::{
    HeaderMap, Method, StatusCode,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};

use super::{Malformed, Version, field::list};

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Body {
    /// There is none.
    None,
    /// After so many bytes; there may be none here too, and was said so.
    Length(u64),
    /// Where its last chunk says.
    Chunked,
    /// Where the connection ends; responses alone.
    UntilClose,
    /// It is no body: the connection is a tunnel from here on (RFC 9110,
    /// section 9.3.6), or speaks another protocol (section 7.8).
    Tunnel,
}

impl Body {
    pub(super) fn of_request(version: Version, fields: &HeaderMap) -> Result<Self, Malformed> {
        Ok(match (transfer(version, fields)?, length(fields)?) {
            (true, _) => Self::Chunked,
            (false, Some(length)) => Self::Length(length),
            (false, None) => Self::None,
        })
    }

    pub(super) fn of_response(
        version: Version,
        status: StatusCode,
        fields: &HeaderMap,
        answers: &Method,
    ) -> Result<Self, Malformed> {
        // Looked at also where there can be no body: whoever stands in front might believe it.
        let (chunked, length) = (transfer(version, fields)?, length(fields)?);
        let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS
            || (status.is_success() && answers == Method::CONNECT);
        let is_bare = status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            || answers == Method::HEAD;
        Ok(match (chunked, length) {
            _ if is_tunnel => Self::Tunnel,
            _ if is_bare => Self::None,
            (true, _) => Self::Chunked,
            (false, Some(length)) => Self::Length(length),
            (false, None) => Self::UntilClose,
        })
    }
}

/// Whether the body is chunked. Nothing else is known here, and nothing less
/// than exactly that is believed.
fn transfer(version: Version, fields: &HeaderMap) -> Result<bool, Malformed> {
    let mut lines = fields.get_all(TRANSFER_ENCODING).iter();
    let (Some(_), second) = (lines.next(), lines.next()) else {
        return Ok(false);
    };
    if fields.contains_key(CONTENT_LENGTH) {
        return Err(Malformed::TwoLengths);
    }
    // HTTP/1.0 has no such thing, so that some in front may not have read it (section 6.1).
    if version == Version::Http10 || second.is_some() {
        return Err(Malformed::TransferEncoding);
    }
    let mut codings = list(fields, &TRANSFER_ENCODING);
    match (codings.next(), codings.next()) {
        (Some(one), None) if one.eq_ignore_ascii_case(b"chunked") => Ok(true),
        (Some(one), rest) => {
            let is_known = |coding: &[u8]| {
                let known: [&[u8]; 5] =
                    [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];
                known.iter().any(|it| coding.eq_ignore_ascii_case(it))
            };
            let last = codings.last().or(rest);
            let ends_chunked = last.is_some_and(|it| it.eq_ignore_ascii_case(b"chunked"));
            match is_known(one) && ends_chunked {
                true => Err(Malformed::TransferCoding),
                false => Err(Malformed::TransferEncoding),
            }
        }
        (None, _) => Err(Malformed::TransferEncoding),
    }
}

/// The length that is told, once and in digits.
fn length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut lines = fields.get_all(CONTENT_LENGTH).iter();
    let (Some(value), None) = (lines.next(), lines.next()) else {
        return match fields.contains_key(CONTENT_LENGTH) {
            true => Err(Malformed::ContentLength),
            false => Ok(None),
        };
    };
    let value = value.as_bytes();
    if value.is_empty() {
        return Err(Malformed::ContentLength);
    }
    let mut length = 0_u64;
    for &byte in value {
        let digit = match byte {
            b'0'..=b'9' => u64::from(byte - b'0'),
            _ => return Err(Malformed::ContentLength),
        };
        let next = length.checked_mul(10).and_then(|it| it.checked_add(digit));
        length = next.ok_or(Malformed::ContentLength)?;
    }
    Ok(Some(length))
}
