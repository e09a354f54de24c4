//! Field lines (RFC 9112, section 5; RFC 9110, section 5).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;

use super::{Limits, Malformed};

/// Whether a token may hold this byte (RFC 9110, section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    ) || byte.is_ascii_alphanumeric()
}

/// Whether these bytes are a token.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// The lines of a head that a [`Scan`](super::Scan) has found the end of: the
/// place of each, without CR LF and without the empty one.
pub(super) fn lines(head: &[u8], start: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let lf = at + memchr(b'\n', head.get(at..)?)?;
        let line = (at, lf.saturating_sub(1));
        at = lf + 1;
        (line.0 < line.1).then_some(line)
    })
}

/// The fields in these lines of a head. Values share its bytes.
pub(super) fn fields(
    head: &Bytes,
    lines: impl Iterator<Item = (usize, usize)>,
    limits: &Limits,
) -> Result<HeaderMap, Malformed> {
    let mut fields = HeaderMap::with_capacity(12);
    for (start, end) in lines {
        let line = &head[start..end];
        let colon = memchr(b':', line).ok_or(Malformed::Field)?;
        // A name with a space behind it, or none, or a folded line, is no token.
        if !is_token(&line[..colon]) {
            return Err(Malformed::Field);
        }
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Malformed::Field)?;
        let value = &line[colon + 1..];
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let before = value.iter().take_while(|byte| blank(byte)).count();
        let after = value[before..]
            .iter()
            .rev()
            .take_while(|byte| blank(byte))
            .count();
        let value = head.slice(start + colon + 1 + before..end - after);
        // Visible characters, spaces, tabs and what is not ASCII; a CR that no LF follows is none.
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| Malformed::Control)?;
        let added = fields.try_append(name, value);
        if added.is_err() || fields.len() > limits.fields {
            return Err(Malformed::Fields(limits.fields));
        }
    }
    Ok(fields)
}

/// The members of a field that is a list, over all of its lines, empty ones
/// left out (RFC 9110, section 5.6.1). Quoted strings are not told apart: no
/// list that is asked about here has any.
pub(super) fn list<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = fields.get_all(name).into_iter();
    let members = values.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    members.map(<[u8]>::trim_ascii).filter(|it| !it.is_empty())
}
