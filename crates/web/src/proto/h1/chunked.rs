//! The chunked coding, read (RFC 9112, section 7.1).

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
        COOKIE, HOST, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use memchr::memchr;

use super::{Limits, Malformed, Scan, field, field::is_token_byte};

/// Reads a chunked body, piece by piece.
#[derive(Clone, Debug)]
pub struct Chunked {
    state: State,
    limits: Limits,
    /// What all extensions took so far.
    extensions: usize,
    /// Up to where the line of a chunk's size has been looked at.
    seen: usize,
    trailers: Scan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Over,
}

/// What a chunked body has next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// So many bytes at the beginning of what is unread are the body's.
    Data(usize),
    /// The body is over; these stood behind it.
    End(HeaderMap),
    /// More has to arrive first.
    More,
}

impl Chunked {
    /// At the beginning of a body.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            state: State::Size,
            limits,
            extensions: 0,
            seen: 0,
            trailers: Scan::default(),
        }
    }

    /// Takes what is not data off the front of `unread`, and says what is
    /// there then. Data stays for the caller to take, all of it, before the
    /// next call.
    ///
    /// # Errors
    /// If it is no chunked body; what was read so far is not to be trusted
    /// either.
    pub fn next(&mut self, unread: &mut &[u8]) -> Result<Piece, Malformed> {
        loop {
            match self.state {
                State::Size => {
                    let Some(size) = self.size(unread)? else {
                        return Ok(Piece::More);
                    };
                    self.state = match size {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(0) => self.state = State::DataEnd,
                State::Data(left) => {
                    let here =
                        usize::try_from(left).map_or(unread.len(), |it| it.min(unread.len()));
                    if here == 0 {
                        return Ok(Piece::More);
                    }
                    self.state = State::Data(left - here as u64);
                    return Ok(Piece::Data(here));
                }
                State::DataEnd => match **unread {
                    [b'\r', b'\n', ref rest @ ..] => {
                        *unread = rest;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Piece::More),
                    _ => return Err(Malformed::Chunk),
                },
                State::Trailers => {
                    let Some(length) = self.trailers.trailers(unread, &self.limits)? else {
                        return Ok(Piece::More);
                    };
                    let trailers = self.read_trailers(&unread[..length])?;
                    *unread = &unread[length..];
                    self.state = State::Over;
                    return Ok(Piece::End(trailers));
                }
                State::Over => return Ok(Piece::End(HeaderMap::new())),
            }
        }
    }

    /// The size of a chunk, off the front of `unread`, if its line is whole.
    fn size(&mut self, unread: &mut &[u8]) -> Result<Option<u64>, Malformed> {
        let digits = unread
            .iter()
            .take_while(|it| it.is_ascii_hexdigit())
            .count();
        // Sixteen digits are all that fit; more are a trick, zeroes too.
        if digits > 16 {
            return Err(Malformed::Chunk);
        }
        match unread.get(digits) {
            None => return Ok(None),
            Some(b'\r' | b';') if digits > 0 => {}
            Some(_) => return Err(Malformed::Chunk),
        }
        // What ends the line is not waited for once it cannot come any more.
        if let Some([b'\r', byte]) = unread.get(digits..digits + 2)
            && *byte != b'\n'
        {
            return Err(Malformed::Chunk);
        }
        let room = digits + self.limits.extensions - self.extensions;
        let Some(found) = memchr(b'\n', &unread[self.seen..]) else {
            self.seen = unread.len();
            return match unread.len() > room + 1 {
                true => Err(Malformed::LongExtensions(self.limits.extensions)),
                false => Ok(None),
            };
        };
        let lf = self.seen + found;
        self.seen = 0;
        let (b'\r', extension) = (unread[lf - 1], &unread[digits..lf - 1]) else {
            return Err(Malformed::Chunk);
        };
        if digits + extension.len() > room {
            return Err(Malformed::LongExtensions(self.limits.extensions));
        }
        if !is_extension(extension) {
            return Err(Malformed::Chunk);
        }
        self.extensions += extension.len();
        let value = |byte: u8| (byte as char).to_digit(16).map_or(0, u64::from);
        let size = unread[..digits]
            .iter()
            .fold(0, |sum, &digit| (sum << 4) | value(digit));
        *unread = &unread[lf + 1..];
        Ok(Some(size))
    }

    fn read_trailers(&self, lines: &[u8]) -> Result<HeaderMap, Malformed> {
        let lines = Bytes::copy_from_slice(lines);
        let trailers = field::fields(&lines, field::lines(&lines, 0), &self.limits)?;
        match NOT_BEHIND.iter().any(|name| trailers.contains_key(name)) {
            true => Err(Malformed::Trailer),
            false => Ok(trailers),
        }
    }
}

/// Fields that say how a message is read, who may, and to whom it goes: too
/// late behind the body (RFC 9110, section 6.5.1).
const NOT_BEHIND: [HeaderName; 14] = [
    AUTHORIZATION,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    HOST,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// `;name`, `;name=token` or `;name="string"`, any number of them (RFC 9112,
/// section 7.1.1). The blanks that the grammar lets recipients bear are not
/// borne.
fn is_extension(mut bytes: &[u8]) -> bool {
    let token = |bytes: &[u8]| bytes.iter().take_while(|&&it| is_token_byte(it)).count();
    while let [b';', rest @ ..] = bytes {
        let name = token(rest);
        if name == 0 {
            return false;
        }
        bytes = &rest[name..];
        let [b'=', value @ ..] = bytes else { continue };
        bytes = match value {
            [b'"', quoted @ ..] => match quoted_string(quoted) {
                Some(rest) => rest,
                None => return false,
            },
            value => match token(value) {
                0 => return false,
                length => &value[length..],
            },
        };
    }
    bytes.is_empty()
}

/// What is behind a string whose first quote has been read (RFC 9110, section
/// 5.6.4).
fn quoted_string(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        bytes = match bytes {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] if is_text(*byte) => rest,
            [byte, rest @ ..] if *byte != b'\\' && is_text(*byte) => rest,
            _ => return None,
        };
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body and its trailers, of a wire that arrives in these pieces; and
    /// how much of it was left.
    fn read(wire: &[u8], step: usize) -> Result<Option<(Vec<u8>, HeaderMap, usize)>, Malformed> {
        let mut chunked = Chunked::new(Limits::default());
        let (mut buffer, mut body) = (Vec::new(), Vec::new());
        for piece in wire.chunks(step.max(1)) {
            buffer.extend_from_slice(piece);
            let mut unread = &buffer[..];
            loop {
                match chunked.next(&mut unread)? {
                    Piece::Data(length) => {
                        body.extend_from_slice(&unread[..length]);
                        unread = &unread[length..];
                    }
                    Piece::End(trailers) => return Ok(Some((body, trailers, unread.len()))),
                    Piece::More => break,
                }
            }
            buffer = unread.to_vec();
        }
        Ok(None)
    }

    fn body(wire: &str) -> Result<Option<Vec<u8>>, Malformed> {
        let whole = read(wire.as_bytes(), wire.len());
        let bytewise = read(wire.as_bytes(), 1);
        match (&whole, &bytewise) {
            (Ok(Some(a)), Ok(Some(b))) => assert_eq!((&a.0, &a.1), (&b.0, &b.1)),
            _ => assert_eq!(whole, bytewise),
        }
        Ok(whole?.map(|it| it.0))
    }

    #[test]
    fn chunks_are_joined_and_what_is_behind_is_left() {
        let wire = b"5\r\nhello\r\n6;a=b;c=\"d;\\\" e\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nGET";
        let (joined, trailers, left) = read(wire, 7).unwrap().unwrap();
        assert_eq!(joined, b"hello world");
        assert_eq!(trailers["x-sum"], "1");
        assert!(left <= 3);
        assert_eq!(body("0\r\n\r\n"), Ok(Some(vec![])));
        assert_eq!(body("A\r\n0123456789\r\n"), Ok(None));
    }

    #[test]
    fn sizes_that_are_none() {
        for bad in [
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "-1\r\n",
            " 5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            "\r\n",
            "g\r\n",
            "5\nhello\r\n",
            "00000000000000005\r\nhello\r\n",
            "10000000000000000\r\n",
            "5\r\nhello\n",
            "5\r\nhelloX",
            "5\r\nhello!\r\n0\r\n\r\n",
            "5;\r\nhello\r\n",
            "5;a\n",
            "5;a=\r\nhello\r\n",
            "5;a=\"b\r\n",
            "5;a b\r\n",
            "5\rX",
        ] {
            assert!(body(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn extensions_are_bounded_over_the_whole_body() {
        let extension = "x".repeat(1000);
        let chunk = format!("1;{extension}\r\na\r\n");
        assert!(body(&chunk.repeat(4)).is_ok());
        let why = Malformed::LongExtensions(4096);
        assert_eq!(body(&chunk.repeat(5)), Err(why));
        assert_eq!(body(&format!("1;{}", "x".repeat(9000))), Err(why));
    }

    #[test]
    fn trailers_do_not_say_where_messages_end() {
        let trailer = |line: &str| body(&format!("0\r\n{line}\r\n\r\n"));
        assert_eq!(trailer("Content-Length: 3"), Err(Malformed::Trailer));
        assert_eq!(
            trailer("transfer-encoding: chunked"),
            Err(Malformed::Trailer)
        );
        assert_eq!(trailer("Host : a"), Err(Malformed::Field));
        assert!(trailer("X: a").is_ok());
        assert!(matches!(
            body(&format!("0\r\nX: {}\r\n\r\n", "y".repeat(70_000))),
            Err(Malformed::LongHead(_))
        ));
    }

    proptest! {
        #[test]
        fn what_was_cut_in_chunks_is_read_back(
            body in proptest::collection::vec(any::<u8>(), 0..200),
            chunk in 1_usize..50,
            step in 1_usize..50,
        ) {
            let mut wire = Vec::new();
            for piece in body.chunks(chunk) {
                wire.extend(format!("{:x}\r\n", piece.len()).bytes());
                wire.extend_from_slice(piece);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
            let (read, _, left) = read(&wire, step).unwrap().unwrap();
            prop_assert_eq!(read, body);
            prop_assert_eq!(left, 0);
        }

        #[test]
        fn whatever_comes_is_read_the_same_in_any_pieces(
            wire in "[0-9a-f;=\\r\\n x]{0,40}",
            step in 1_usize..10,
        ) {
            let whole = read(wire.as_bytes(), wire.len());
            let pieces = read(wire.as_bytes(), step);
            prop_assert_eq!(whole.map(|it| it.map(|it| it.0)), pieces.map(|it| it.map(|it| it.0)));
        }
    }
}
