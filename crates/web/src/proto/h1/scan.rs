//! Where a head ends, however its bytes arrive.

use memchr::memchr;

use super::Malformed;

/// How large a message's head and its chunks' lines may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bytes of the first line, 8 KiB: as much as other servers take of a
    /// URI.
    pub line: usize,
    /// The bytes of the whole head, with its line ends, 64 KiB; and of a
    /// body's trailers.
    pub head: usize,
    /// Fields in a head, and in trailers, 100.
    pub fields: usize,
    /// The bytes of all extensions of a chunked body together, 4 KiB: nobody
    /// uses them but to make work.
    pub extensions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 8 * 1024,
            head: 64 * 1024,
            fields: 100,
            extensions: 4 * 1024,
        }
    }
}

/// Looks for the end of a head, and looks at no byte twice.
///
/// It is given all that is unread each time, and what it was given before is
/// still at the beginning of that.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// Where the line begins that has no end yet.
    line: usize,
    /// Up to where there is no LF.
    seen: usize,
    lines: usize,
}

impl Scan {
    /// The length of a request's head with the empty line that ends it, and
    /// with the one that may stand before it (RFC 9112, section 2.2).
    ///
    /// # Errors
    /// As soon as it is plain that this is no head, or a larger one than may
    /// be: an answer need not wait for the rest.
    pub fn request(&mut self, unread: &[u8], limits: &Limits) -> Result<Option<usize>, Malformed> {
        let start = leading_line(unread);
        // TLS on a port without it begins with a control character, so this is
        // answered at once.
        if let Some(&first) = unread.get(start)
            && !super::field::is_token_byte(first)
            && first != b'\r'
        {
            return Err(Malformed::RequestLine);
        }
        self.head(unread, start, limits)
    }

    /// The length of a response's head.
    ///
    /// # Errors
    /// As for a request.
    pub fn response(&mut self, unread: &[u8], limits: &Limits) -> Result<Option<usize>, Malformed> {
        let known = unread.len().min(5);
        if unread[..known] != b"HTTP/"[..known] {
            return Err(Malformed::StatusLine);
        }
        self.head(unread, 0, limits)
    }

    /// The length of a chunked body's trailers, with the empty line.
    pub(super) fn trailers(
        &mut self,
        unread: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, Malformed> {
        // There is no first line, and the first may be the empty one.
        self.lines = self.lines.max(1);
        self.head(unread, 0, limits)
    }

    fn head(
        &mut self,
        unread: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, Malformed> {
        self.line = self.line.max(start);
        self.seen = self.seen.max(self.line);
        while let Some(found) = memchr(b'\n', &unread[self.seen..]) {
            let lf = self.seen + found;
            if lf == self.line || unread[lf - 1] != b'\r' {
                return Err(Malformed::Control);
            }
            let length = lf - 1 - self.line;
            if self.lines == 0 && length > limits.line {
                return Err(Malformed::LongLine(limits.line));
            }
            if lf + 1 > limits.head {
                return Err(Malformed::LongHead(limits.head));
            }
            (self.line, self.seen) = (lf + 1, lf + 1);
            if length == 0 {
                return match self.lines {
                    0 => Err(Malformed::RequestLine),
                    _ => Ok(Some(lf + 1)),
                };
            }
            self.lines += 1;
            if self.lines - 1 > limits.fields {
                return Err(Malformed::Fields(limits.fields));
            }
        }
        self.seen = unread.len();
        if self.lines == 0 && unread.len().saturating_sub(self.line) > limits.line + 1 {
            return Err(Malformed::LongLine(limits.line));
        }
        if unread.len() >= limits.head {
            return Err(Malformed::LongHead(limits.head));
        }
        Ok(None)
    }
}

/// The length of the one empty line that may stand before a request.
pub(super) fn leading_line(head: &[u8]) -> usize {
    match head.starts_with(b"\r\n") {
        true => 2,
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn scan(unread: &[u8]) -> Result<Option<usize>, Malformed> {
        Scan::default().request(unread, &Limits::default())
    }

    #[test]
    fn a_head_ends_where_it_ends_however_it_arrives() {
        let mut wire = HEAD.to_vec();
        wire.extend(b"body\r\n\r\n");
        assert_eq!(scan(&wire), Ok(Some(HEAD.len())));
        let mut bytewise = Scan::default();
        for end in 1..HEAD.len() {
            assert_eq!(bytewise.request(&wire[..end], &Limits::default()), Ok(None));
        }
        assert_eq!(
            bytewise.request(&wire, &Limits::default()),
            Ok(Some(HEAD.len()))
        );
    }

    #[test]
    fn one_empty_line_may_stand_before_a_request_and_not_two() {
        let before = |lines: &str| scan(&[lines.as_bytes(), HEAD].concat());
        assert_eq!(before("\r\n"), Ok(Some(HEAD.len() + 2)));
        assert_eq!(before("\r\n\r\n"), Err(Malformed::RequestLine));
        assert_eq!(before("\n"), Err(Malformed::RequestLine));
    }

    #[test]
    fn what_is_no_request_is_refused_at_its_first_byte() {
        assert_eq!(scan(b"\x16"), Err(Malformed::RequestLine));
        assert_eq!(scan(b" "), Err(Malformed::RequestLine));
        assert_eq!(
            Scan::default().response(b"SSH", &Limits::default()),
            Err(Malformed::StatusLine)
        );
    }

    #[test]
    fn lines_end_in_cr_lf() {
        assert_eq!(scan(b"GET / HTTP/1.1\n"), Err(Malformed::Control));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
            Err(Malformed::Control)
        );
    }

    #[test]
    fn limits_hold_before_the_end_is_there() {
        let limits = Limits {
            line: 20,
            head: 60,
            fields: 2,
            extensions: 0,
        };
        let scan = |wire: &str| Scan::default().request(wire.as_bytes(), &limits);
        let line = |length: usize| format!("GET /{}", "x".repeat(length - 5));
        assert_eq!(scan(&line(20)), Ok(None));
        assert_eq!(scan(&(line(20) + "\r")), Ok(None));
        assert_eq!(scan(&line(22)), Err(Malformed::LongLine(20)));
        assert_eq!(scan(&(line(21) + "\r\n")), Err(Malformed::LongLine(20)));
        let head = |rest: &str| scan(&(line(20) + "\r\n" + rest));
        assert_eq!(head("a: 1\r\nb: 2\r\n\r\n"), Ok(Some(36)));
        assert_eq!(head("a: 1\r\nb: 2\r\nc: 3\r\n"), Err(Malformed::Fields(2)));
        assert_eq!(head(&"x".repeat(37)), Ok(None));
        assert_eq!(head(&"x".repeat(38)), Err(Malformed::LongHead(60)));
    }
}
