//! Frames of counted length: netstrings, and a length of one, two or four
//! bytes before each message.
//!
//! Reading is done by [`Input::frames`](crate::Input::frames), where nothing is
//! copied; writing by [`Framing::frame`]. Lines are
//! [`Input::lines`](crate::Input::lines); other framings are codecs of the
//! tokio-util kind, for [`Input::decode`](crate::Input::decode).
//!
//! Netstrings follow D. J. Bernstein's note of 1 February 1997
//! (<https://cr.yp.to/proto/netstrings.txt>): no leading zeros, nothing but
//! digits before the colon, a comma behind.

use std::fmt;

use crate::{Output, Payload};

/// How messages of known length stand one behind the other in a stream.
///
/// ```
/// use ropewalk_core::{Framing, Input, Output};
///
/// let mut out = Output::default();
/// out.put(Framing::Length16.frame("question")?);
/// out.put(Framing::Length16.frame("another")?);
/// let mut input = Input::from(&out.take());
///
/// let frames: Result<Vec<_>, _> = input.frames(Framing::Length16, 512).collect();
/// assert_eq!(frames?, [&b"question"[..], b"another"]);
///
/// // What cannot be said so is refused where it is made.
/// assert!(Framing::Length8.frame(vec![0; 256]).is_err());
/// # Ok::<(), ropewalk_core::FrameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// A netstring: `5:hello,`.
    Netstring,
    /// One byte of length before each message.
    Length8,
    /// Two bytes of length, big-endian, as before DNS messages over TCP
    /// (RFC 1035, section 4.2.2).
    Length16,
    /// Four bytes of length, big-endian.
    Length32,
}

impl Framing {
    /// A message as one frame, to be written.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] where the length has no room for it. A netstring
    /// may be of any length.
    pub fn frame<D: AsRef<[u8]> + Payload>(self, data: D) -> Result<Frame<D>, FrameError> {
        let length = data.as_ref().len();
        let longest = self.longest();
        if length > longest {
            return Err(FrameError::TooLong {
                length,
                limit: longest,
            });
        }
        Ok(Frame {
            framing: self,
            data,
        })
    }

    /// The longest message, in bytes, that can be said so.
    pub fn longest(self) -> usize {
        match self {
            Self::Netstring => usize::MAX,
            Self::Length8 => usize::from(u8::MAX),
            Self::Length16 => usize::from(u16::MAX),
            Self::Length32 => usize::try_from(u32::MAX).unwrap_or(usize::MAX),
        }
    }

    /// The next message in `bytes` and all that its frame takes, if it is all
    /// there.
    #[inline]
    pub(crate) fn split(
        self,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Option<(&[u8], usize)>, FrameError> {
        let Some((prefix, length)) = self.length(bytes, limit)? else {
            return Ok(None);
        };
        // As soon as that is said, and before any of it is waited for.
        if length > limit {
            return Err(FrameError::TooLong { length, limit });
        }
        let rest = &bytes[prefix..];
        if self != Self::Netstring {
            return Ok(rest.get(..length).map(|data| (data, prefix + length)));
        }
        match rest.get(length) {
            None => Ok(None),
            Some(b',') => Ok(Some((&rest[..length], prefix + length + 1))),
            Some(other) => Err(FrameError::NoComma(*other)),
        }
    }

    /// The length of the prefix, and that which it announces.
    #[inline]
    fn length(self, bytes: &[u8], limit: usize) -> Result<Option<(usize, usize)>, FrameError> {
        let length = match self {
            Self::Netstring => return netstring_length(bytes, limit),
            Self::Length8 => bytes.first().map(|n| (1, usize::from(*n))),
            Self::Length16 => bytes
                .first_chunk()
                .map(|n| (2, usize::from(u16::from_be_bytes(*n)))),
            Self::Length32 => bytes.first_chunk().map(|n| {
                let length = u32::from_be_bytes(*n);
                (4, usize::try_from(length).unwrap_or(usize::MAX))
            }),
        };
        Ok(length)
    }
}

/// Reads digit by digit, so that the answer does not depend on how many of them
/// are here: a prefix is refused at the first digit that makes it too long.
fn netstring_length(bytes: &[u8], limit: usize) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b':' if at > 0 => return Ok(Some((at + 1, length))),
            b'0'..=b'9' if at == 0 || length > 0 => {
                let digit = usize::from(byte - b'0');
                length = length.saturating_mul(10).saturating_add(digit);
                if length > limit || length == usize::MAX {
                    return Err(FrameError::TooLong { length, limit });
                }
            }
            other => return Err(FrameError::NoLength(*other)),
        }
    }
    Ok(None)
}

/// A message on its way out, with its length; made by [`Framing::frame`].
#[derive(Clone, Copy, Debug)]
pub struct Frame<D> {
    framing: Framing,
    data: D,
}

impl<D: AsRef<[u8]> + Payload> Payload for Frame<D> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a frame is made only of what has room in its length"
    )]
    fn write_to(self, out: &mut Output) {
        let length = self.data.as_ref().len();
        match self.framing {
            Framing::Netstring => out.put(format_args!("{length}:")),
            Framing::Length8 => out.put([length as u8]),
            Framing::Length16 => out.put((length as u16).to_be_bytes()),
            Framing::Length32 => out.put((length as u32).to_be_bytes()),
        }
        out.put(self.data);
        if self.framing == Framing::Netstring {
            out.put(b",");
        }
    }
}

/// The whole frames of an input; see
/// [`Input::frames`](crate::Input::frames).
pub struct Frames<'a> {
    pub(crate) buffer: &'a [u8],
    pub(crate) start: &'a mut usize,
    pub(crate) scanned: &'a mut usize,
    pub(crate) framing: Framing,
    pub(crate) limit: usize,
    pub(crate) failed: bool,
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        match self.framing.split(&self.buffer[*self.start..], self.limit) {
            Ok(None) => None,
            Ok(Some((data, taken))) => {
                *self.start += taken;
                *self.scanned = self.scanned.saturating_sub(taken);
                Some(Ok(data))
            }
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

impl fmt::Debug for Frames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("framing", &self.framing)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A frame that cannot be read or made. What comes behind one that cannot be
/// read means nothing, so the connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A message is longer than it may be: the peer announced it, or our
    /// program made it.
    #[error("a message of {length} bytes or more, where {limit} are allowed")]
    TooLong {
        /// The length, as far as it was read.
        length: usize,
        /// The longest allowed, in bytes.
        limit: usize,
    },
    /// A netstring does not begin with its length in digits, without leading
    /// zeros and with a colon behind. The peer is at fault.
    #[error("\"{}\" in the length of a netstring", .0.escape_ascii())]
    NoLength(u8),
    /// A netstring does not end with a comma. The peer is at fault.
    #[error("\"{}\" in place of the comma behind a netstring", .0.escape_ascii())]
    NoComma(u8),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Input};

    /// What is read, in order, and how much is left.
    type Read = (Vec<Result<Vec<u8>, FrameError>>, usize);

    fn read(framing: Framing, limit: usize, bytes: &[u8]) -> Read {
        let mut input = Input::from(bytes);
        let frames = input
            .frames(framing, limit)
            .map(|f| f.map(<[u8]>::to_vec))
            .collect();
        (frames, input.len())
    }

    #[test]
    fn netstrings_as_they_are_written_down() {
        let ok = |text: &str| Ok(text.as_bytes().to_vec());
        let cases: [(&[u8], Read); 13] = [
            (b"", (vec![], 0)),
            (b"0:,", (vec![ok("")], 0)),
            (
                b"12:hello world!,0:,1",
                (vec![ok("hello world!"), ok("")], 1),
            ),
            (b"3:a:,,2", (vec![ok("a:,")], 1)),
            (b"5:hello", (vec![], 7)),
            (b"5:hello;", (vec![Err(FrameError::NoComma(b';'))], 8)),
            (b"00:,", (vec![Err(FrameError::NoLength(b'0'))], 4)),
            (b"01:x,", (vec![Err(FrameError::NoLength(b'1'))], 5)),
            (b":,", (vec![Err(FrameError::NoLength(b':'))], 2)),
            (b"1x:", (vec![Err(FrameError::NoLength(b'x'))], 3)),
            (b"-1:", (vec![Err(FrameError::NoLength(b'-'))], 3)),
            (b" 1:a,", (vec![Err(FrameError::NoLength(b' '))], 5)),
            // No end of the digits is waited for.
            (b"1:a,99999999999999999999999", {
                let (length, limit) = (999, 100);
                let error = FrameError::TooLong { length, limit };
                (vec![ok("a"), Err(error)], 23)
            }),
        ];
        for (bytes, expected) in cases {
            let shown = bytes.escape_ascii();
            assert_eq!(read(Framing::Netstring, 100, bytes), expected, "{shown}");
        }
        let endless = [b'9'; 40];
        let (frames, _) = read(Framing::Netstring, usize::MAX, &endless);
        assert!(matches!(frames[..], [Err(FrameError::TooLong { .. })]));
    }

    #[test]
    fn lengths_are_big_endian_and_refused_before_what_they_announce() {
        let bytes = b"\0\0\0\x02hi\0\0\0\0\xff\xff\xff\xff";
        let too_long = FrameError::TooLong {
            length: 0xffff_ffff,
            limit: 1000,
        };
        assert_eq!(
            read(Framing::Length32, 1000, bytes),
            (vec![Ok(b"hi".to_vec()), Ok(vec![]), Err(too_long)], 4)
        );
        assert_eq!(
            read(Framing::Length16, 2, b"\0\x02hi\0"),
            (vec![Ok(b"hi".to_vec())], 1)
        );
        let too_long = FrameError::TooLong {
            length: 3,
            limit: 2,
        };
        assert_eq!(read(Framing::Length8, 2, b"\x03"), (vec![Err(too_long)], 1));
    }

    #[test]
    fn what_is_framed_reads_back() {
        use Framing::{Length8, Length16, Length32, Netstring};
        for framing in [Netstring, Length8, Length16, Length32] {
            for length in [0, 1, 9, 10, 255, 256, 65_535, 65_536] {
                let data = Bytes::from(vec![b'x'; length]);
                let Ok(frame) = framing.frame(&data) else {
                    let limit = framing.longest();
                    assert!(length > limit);
                    let error = FrameError::TooLong { length, limit };
                    assert_eq!(framing.frame(&data[..]).unwrap_err(), error);
                    continue;
                };
                let mut out = Output::default();
                out.put(frame);
                out.put("rest");
                let mut input = Input::from(&out.take());
                assert_eq!(input.frame(framing, length), Ok(Some(&data[..])));
                assert_eq!(&input[..], b"rest");
            }
        }
    }

    #[test]
    fn an_error_is_said_once_by_the_iterator_and_again_by_the_next() {
        let mut input = Input::from("x");
        let error = Err(FrameError::NoLength(b'x'));
        let mut frames = input.frames(Framing::Netstring, 9);
        assert_eq!((frames.next(), frames.next()), (Some(error), None));
        assert_eq!(
            input.frame(Framing::Netstring, 9),
            Err(FrameError::NoLength(b'x'))
        );
    }

    #[test]
    fn lines_and_frames_by_turns() {
        let mut input = Input::from("no line yet, 12");
        assert_eq!(input.line(100), Ok(None));
        input.extend(b"3\n1:a,\n");
        assert_eq!(input.line(100), Ok(Some(&b"no line yet, 123"[..])));
        assert_eq!(input.line(3), Err(crate::TooLong { limit: 3 }));
        input.extend(b"1:a,\n");
        assert_eq!(input.frame(Framing::Netstring, 3), Ok(Some(&b"a"[..])));
        assert_eq!(input.line(3), Ok(Some(&b""[..])));
    }
}
