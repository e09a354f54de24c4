//! Bytes that arrived and are not yet taken, and the framing that reads them.

use std::{fmt, ops::Deref};

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::Decoder;

use crate::{
    FrameError, Frames, Framing,
    buffer::{CHUNK, give_back, lend},
};

/// Pieces below this are copied: a kept slice of a read buffer would pin all
/// of its 64 KiB.
pub(crate) const COPY_BELOW: usize = 4096;

/// A read is made into at least this much room.
const ROOM: usize = CHUNK / 4;

/// Bytes that arrived and are not yet taken.
///
/// It reads as a slice and as a [`Buf`]. What a callback leaves is there at
/// the next one, with more behind it.
///
/// Each way of reading takes up where the last one ended, so a protocol changes
/// between lines and raw bytes as it likes:
///
/// ```
/// use ropewalk_core::{Input, Protocol, Result, Transport, testing::Rig};
///
/// /// Reads lines, and behind each `DATA n` as many bytes as that says.
/// #[derive(Default)]
/// struct Store { missing: usize, stored: Vec<u8> }
///
/// impl Protocol for Store {
///     type Message = ();
///     type Timer = ();
///     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
///         loop {
///             if self.missing > 0 {
///                 let here = data.take(data.len().min(self.missing));
///                 self.missing -= here.len();
///                 self.stored.extend_from_slice(&here);
///                 if self.missing > 0 { return Ok(()) }
///                 t.write("stored\r\n");
///             }
///             match data.line(100)? {
///                 Some([b'D', b'A', b'T', b'A', b' ', n @ ..]) => self.missing = str::from_utf8(n)?.parse()?,
///                 Some(_) => t.write("what?\r\n"),
///                 None => return Ok(()),
///             }
///         }
///     }
/// }
/// let mut rig = Rig::new(Store::default());
/// rig.receive_bytewise("hello\r\nDATA 5\r\na\r\nbcnoop\r\n");
/// assert_eq!(rig.sent_text(), "what?\r\nstored\r\nwhat?\r\n");
/// assert_eq!(rig.protocol().stored, b"a\r\nbc");
/// ```
#[derive(Default)]
pub struct Input {
    buffer: BytesMut,
    /// Where the unread part begins: cheaper than moving the buffer's start,
    /// and it lets [`line`](Self::line) lend what it takes.
    start: usize,
    /// How many unread bytes are known to hold no line feed.
    scanned: usize,
    /// Inside a line that was refused as too long.
    skipping: bool,
}

impl Input {
    /// Takes `n` bytes. Below 4 KiB they are copied, since a slice that is
    /// kept would pin the whole read buffer; above, they are shared.
    ///
    /// # Panics
    /// If fewer than `n` bytes are unread.
    pub fn take(&mut self, n: usize) -> Bytes {
        if n >= COPY_BELOW {
            self.settle();
            self.scanned = self.scanned.saturating_sub(n);
            return self.buffer.split_to(n).freeze();
        }
        let taken = Bytes::copy_from_slice(&self[..n]);
        self.advance(n);
        taken
    }

    /// Takes everything.
    pub fn take_all(&mut self) -> Bytes {
        self.take(self.len())
    }

    /// The next whole line, without its CR LF or LF; `None` if it is not all
    /// there. The line is lent, not copied, and how far was searched is
    /// remembered, so that a line that comes byte by byte is searched once.
    ///
    /// # Errors
    /// [`TooLong`], once, for a line of more than `limit` bytes (its end not
    /// counted), as soon as that much of it is here. What comes of that line
    /// is thrown away, so a protocol may answer and go on with the next.
    pub fn line(&mut self, limit: usize) -> Result<Option<&[u8]>, TooLong> {
        self.lines(limit).next().transpose().map(|l| l.map(|l| l.0))
    }

    /// The whole lines that are here, each as by [`line`](Self::line). Lines
    /// not asked for stay unread.
    #[inline]
    pub fn lines(&mut self, limit: usize) -> Lines<'_> {
        let searched = self.start + self.scanned;
        Lines {
            ends: memchr::memchr_iter(b'\n', &self.buffer[searched..]),
            buffer: &self.buffer,
            searched,
            start: &mut self.start,
            scanned: &mut self.scanned,
            skipping: &mut self.skipping,
            limit,
        }
    }

    /// The next whole message of a stream of counted ones; `None` if it is not
    /// all there. It is lent, not copied.
    ///
    /// A message that is waited for stays unread until it is whole, so `limit`
    /// should be below [`Limits::unread`](crate::Limits::unread), less the
    /// length before it; larger ones are for
    /// [`Transport::receive_into`](crate::Transport::receive_into).
    ///
    /// # Errors
    /// [`FrameError`], for a message of more than `limit` bytes as soon as its
    /// length is here, and for what is no frame. The connection should end: the
    /// input stays as it is, and another call fails the same.
    pub fn frame(&mut self, framing: Framing, limit: usize) -> Result<Option<&[u8]>, FrameError> {
        self.frames(framing, limit).next().transpose()
    }

    /// The whole messages that are here, each as by [`frame`](Self::frame).
    /// Those not asked for stay unread; after an error there are no more.
    ///
    /// ```
    /// use ropewalk_core::{Framing, Input, Protocol, Result, Transport, testing::Rig};
    ///
    /// /// Answers netstrings with netstrings.
    /// struct Shout;
    /// impl Protocol for Shout {
    ///     type Message = ();
    ///     type Timer = ();
    ///     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
    ///         for word in data.frames(Framing::Netstring, 1000) {
    ///             t.write(Framing::Netstring.frame(word?.to_ascii_uppercase())?);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// let mut rig = Rig::new(Shout);
    /// rig.receive("5:hello,2:yo,1001:");
    /// assert_eq!(rig.sent(), b"5:HELLO,2:YO,");
    /// assert!(rig.is_closed(), "longer than it takes");
    /// ```
    #[inline]
    pub fn frames(&mut self, framing: Framing, limit: usize) -> Frames<'_> {
        Frames {
            buffer: &self.buffer,
            start: &mut self.start,
            scanned: &mut self.scanned,
            framing,
            limit,
            failed: false,
        }
    }

    /// One frame, by any codec of the tokio-util kind; `None` if it is not all
    /// there.
    ///
    /// # Errors
    /// Those of the codec.
    pub fn decode<D: Decoder>(&mut self, codec: &mut D) -> Result<Option<D::Item>, D::Error> {
        self.settle();
        self.scanned = 0;
        codec.decode(&mut self.buffer)
    }

    /// Puts bytes behind those that are unread.
    pub(crate) fn extend(&mut self, data: &[u8]) {
        self.settle();
        if self.buffer.capacity() == 0 && data.len() <= CHUNK {
            self.buffer = lend();
        }
        self.buffer.extend_from_slice(data);
    }

    /// The buffer, with room for a read behind the unread bytes.
    #[inline]
    pub(crate) fn for_reading(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() == 0 {
            self.buffer = lend();
        } else {
            self.settle();
            self.buffer.reserve(ROOM);
        }
        &mut self.buffer
    }

    /// Moves everything to `out` by exchange of the two buffers, where that
    /// costs less than a copy. False if it does not, and nothing moved.
    #[inline]
    pub(crate) fn swap_into(&mut self, out: &mut BytesMut) -> bool {
        if self.len() < COPY_BELOW && out.capacity() > 0 || !out.is_empty() {
            return false;
        }
        self.settle();
        self.scanned = 0;
        std::mem::swap(&mut self.buffer, out);
        true
    }

    /// Gives memory back before the task sleeps: all of it if nothing is
    /// unread, and a small rest moves to a buffer of its own size.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.buffer.capacity() == 0 {
            return;
        }
        if self.is_empty() {
            self.start = 0;
            give_back(std::mem::take(&mut self.buffer));
        } else if self.len() < ROOM && self.buffer.capacity() > 2 * ROOM {
            let small = BytesMut::from(&self[..]);
            self.start = 0;
            give_back(std::mem::replace(&mut self.buffer, small));
        }
    }

    /// Makes the buffer begin at the first unread byte.
    #[inline]
    fn settle(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
        } else if self.start > 0 {
            self.buffer.advance(self.start);
        }
        self.start = 0;
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        if self.buffer.capacity() > 0 {
            give_back(std::mem::take(&mut self.buffer));
        }
    }
}

impl Deref for Input {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

impl AsRef<[u8]> for Input {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Buf for Input {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, n: usize) {
        assert!(n <= self.len(), "no more than is unread can be taken");
        self.start += n;
        self.scanned = self.scanned.saturating_sub(n);
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Input({} bytes)", self.len())
    }
}

impl<T: AsRef<[u8]> + ?Sized> From<&T> for Input {
    fn from(data: &T) -> Self {
        let mut input = Self::default();
        input.extend(data.as_ref());
        input
    }
}

/// The lines of an [`Input`]; see [`Input::lines`].
pub struct Lines<'a> {
    ends: memchr::Memchr<'a>,
    buffer: &'a [u8],
    /// Where `ends` began to search.
    searched: usize,
    start: &'a mut usize,
    scanned: &'a mut usize,
    skipping: &'a mut bool,
    limit: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Result<Line<'a>, TooLong>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(end) = self.ends.next() else {
                return self.rest();
            };
            let end = self.searched + end;
            let line = &self.buffer[*self.start..end];
            *self.start = end + 1;
            *self.scanned = 0;
            if std::mem::take(self.skipping) {
                continue;
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            return Some(if line.len() > self.limit {
                Err(TooLong { limit: self.limit })
            } else {
                Ok(Line(line))
            });
        }
    }
}

impl Lines<'_> {
    /// What stands behind the last line feed: kept, or refused, or thrown away.
    #[inline(never)]
    fn rest(&mut self) -> Option<Result<Line<'static>, TooLong>> {
        let rest = &self.buffer[*self.start..];
        // A carriage return at the very end may be half of the line's end.
        let length = rest.len() - usize::from(rest.ends_with(b"\r"));
        if *self.skipping || length > self.limit {
            *self.start = self.buffer.len();
            *self.scanned = 0;
            let first = !std::mem::replace(self.skipping, true);
            return first.then_some(Err(TooLong { limit: self.limit }));
        }
        *self.scanned = rest.len();
        None
    }
}

impl fmt::Debug for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("limit", &self.limit).finish()
    }
}

/// One line, without its end. Its bytes are as they came; shown with
/// `{}` it is UTF-8, with U+FFFD for what is not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line<'a>(pub &'a [u8]);

impl Deref for Line<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.0
    }
}

impl AsRef<[u8]> for Line<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_str("\u{fffd}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// A line was longer than its protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of more than {limit} bytes")]
pub struct TooLong {
    /// The longest line allowed, in bytes, without its end.
    pub limit: usize,
}

#[cfg(test)]
#[allow(
    clippy::needless_borrow,
    reason = "on a value that is no reference, `take` is that of `Buf`"
)]
mod tests {
    use super::*;

    fn lines(input: &mut Input, limit: usize) -> Vec<Result<String, TooLong>> {
        input
            .lines(limit)
            .map(|l| l.map(|l| l.to_string()))
            .collect()
    }

    #[test]
    fn lines_end_in_crlf_or_lf() {
        let mut input = Input::from("one\r\ntwo\n\r\n\nrest");
        let got = lines(&mut input, 10);
        assert_eq!(got, ["one", "two", "", ""].map(|l| Ok(l.to_owned())));
        assert_eq!(&input[..], b"rest");
    }

    #[test]
    fn a_line_that_comes_byte_by_byte_is_whole() {
        let mut input = Input::default();
        for byte in b"hello\r" {
            input.extend(&[*byte]);
            assert_eq!(input.line(5), Ok(None));
        }
        input.extend(b"\nx");
        assert_eq!(input.line(5), Ok(Some(&b"hello"[..])));
        assert_eq!(&input[..], b"x");
    }

    #[test]
    fn a_long_line_is_refused_once_before_it_is_whole() {
        let mut input = Input::from("123456");
        assert_eq!(input.line(5), Err(TooLong { limit: 5 }));
        assert!(input.is_empty());
        input.extend(&[b'7'; 100]);
        assert_eq!(input.line(5), Ok(None));
        assert!(input.is_empty(), "nothing of it is kept");
        input.extend(b"89\r\nnext\r\n");
        assert_eq!(input.line(5), Ok(Some(&b"next"[..])));
    }

    #[test]
    fn a_long_line_that_is_whole_is_refused_and_the_next_is_read() {
        let mut input = Input::from("123456\r\n12345\r\n");
        assert_eq!(input.line(5), Err(TooLong { limit: 5 }));
        assert_eq!(input.line(5), Ok(Some(&b"12345"[..])));
    }

    #[test]
    fn lines_not_asked_for_stay() {
        let mut input = Input::from("one\ntwo\n");
        assert_eq!(input.lines(9).next(), Some(Ok(Line(b"one"))));
        assert_eq!(&input[..], b"two\n");
    }

    #[test]
    fn taking_forgets_what_was_searched() {
        let mut input = Input::from("abcdef");
        assert_eq!(input.line(10), Ok(None));
        assert_eq!(&(&mut input).take(3)[..], b"abc");
        input.extend(b"\n");
        assert_eq!(input.line(10), Ok(Some(&b"def"[..])));
        input.extend(&vec![b'x'; 5000]);
        assert_eq!(input.line(9000), Ok(None));
        assert_eq!((&mut input).take(4999).len(), 4999);
        input.extend(b"y\n");
        assert_eq!(input.line(10), Ok(Some(&b"xy"[..])));
    }

    #[test]
    fn any_codec_decodes() {
        let mut codec = tokio_util::codec::LengthDelimitedCodec::new();
        let mut input = Input::from(&[9, 0, 0, 0, 2, b'h', b'i', 0]);
        input.advance(1);
        assert_eq!(&input.decode(&mut codec).unwrap().unwrap()[..], b"hi");
        assert!(input.decode(&mut codec).unwrap().is_none());
    }

    #[test]
    fn a_line_shows_bytes_that_are_no_utf8() {
        assert_eq!(Line(b"a\xffb\xf0\x9f").to_string(), "a\u{fffd}b\u{fffd}");
    }
}
