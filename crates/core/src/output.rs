//! Bytes on their way out, and what may be written.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::{
    Input,
    buffer::{CHUNK, give_back, lend},
    input::COPY_BELOW,
};

/// Slices handed to one vectored write; more gain nothing.
const SLICES: usize = 64;

/// Something that can be written.
///
/// Strings and bytes in all their shapes, [`Bytes`] by reference from 4 KiB
/// up, `&mut Input` (which it empties), and `format_args!`, which is printed
/// straight into the buffer. Implement it for a message of your own to write
/// it with no detour:
///
/// ```
/// use ropewalk_core::{Output, Payload};
///
/// struct Status(u16, &'static str);
/// impl Payload for Status {
///     fn write_to(self, out: &mut Output) {
///         out.put(format_args!("{} {}\r\n", self.0, self.1));
///     }
/// }
/// let mut out = Output::default();
/// out.put(Status(250, "Ok"));
/// assert_eq!(out.take(), b"250 Ok\r\n");
/// ```
pub trait Payload {
    /// Appends the bytes of `self`.
    fn write_to(self, out: &mut Output);
}

/// Bytes waiting to be written, in order.
///
/// Small pieces are copied behind each other and leave in one system call;
/// large [`Bytes`] are queued by reference and leave vectored.
#[derive(Default)]
pub struct Output {
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`.
    queued: usize,
    tail: BytesMut,
    /// How much of `tail` has left.
    gone: usize,
}

impl Output {
    /// Appends what `data` holds.
    #[inline]
    pub fn put(&mut self, data: impl Payload) {
        data.write_to(self);
    }

    /// How many bytes wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.queued + self.tail.len() - self.gone
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything, as one piece: for tests, and for codecs tried on their own.
    pub fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        for piece in self.queue.drain(..) {
            all.extend_from_slice(&piece);
        }
        all.extend_from_slice(&self.tail[self.gone..]);
        self.clear();
        all
    }

    /// Moves everything behind what `to` holds.
    pub(crate) fn move_into(&mut self, to: &mut Vec<u8>) {
        for piece in self.queue.drain(..) {
            to.extend_from_slice(&piece);
        }
        self.queued = 0;
        to.extend_from_slice(&self.tail[self.gone..]);
        self.tail.clear();
        self.gone = 0;
    }

    /// Throws away what waits.
    pub(crate) fn clear(&mut self) {
        self.queue = VecDeque::new();
        (self.queued, self.gone) = (0, 0);
        self.tail.clear();
        self.release();
    }

    /// Appends what waits in `other`, by reference where that is worth it.
    pub(crate) fn append(&mut self, other: &mut Self) {
        for piece in other.queue.drain(..) {
            self.put(piece);
        }
        other.queued = 0;
        self.copy(&other.tail[other.gone..]);
        other.clear();
    }

    #[inline]
    fn copy(&mut self, data: &[u8]) {
        // Room there is nearly always; the rest is not for every caller's code.
        if self.tail.capacity() - self.tail.len() < data.len() {
            self.make_room(data.len());
        }
        self.tail.extend_from_slice(data);
    }

    #[cold]
    fn make_room(&mut self, additional: usize) {
        if self.tail.capacity() == 0 {
            self.tail = lend();
        }
        self.tail.reserve(additional);
    }

    fn share(&mut self, data: Bytes) {
        if data.len() < COPY_BELOW {
            return self.copy(&data);
        }
        if self.tail.len() > self.gone {
            self.tail.advance(self.gone);
            self.gone = 0;
            let head = self.tail.split().freeze();
            self.queued += head.len();
            self.queue.push_back(head);
        }
        self.queued += data.len();
        self.queue.push_back(data);
    }

    /// Writes until nothing waits, here or in the stream.
    pub(crate) fn poll_flush<S: AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let tail = &self.tail[self.gone..];
            let result = match self.queue.front() {
                None => Pin::new(&mut *stream).poll_write(cx, tail),
                Some(only) if self.queue.len() == 1 && tail.is_empty() => {
                    Pin::new(&mut *stream).poll_write(cx, only)
                }
                Some(_) => {
                    let mut slices = [IoSlice::new(&[]); SLICES];
                    let pieces = self.queue.iter().map(|b| &b[..]).chain([tail]);
                    let count = slices
                        .iter_mut()
                        .zip(pieces)
                        .map(|(slice, piece)| *slice = IoSlice::new(piece))
                        .count();
                    Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count])
                }
            };
            let n = ready!(result)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(n);
        }
        Pin::new(stream).poll_flush(cx)
    }

    /// Gives memory back before the task sleeps.
    #[inline]
    pub(crate) fn release(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > 8 {
            self.queue = VecDeque::new();
        }
        if self.tail.capacity() > 0 && self.tail.len() == self.gone {
            self.gone = 0;
            give_back(std::mem::take(&mut self.tail));
        }
    }

    #[inline]
    fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let Some(front) = self.queue.front_mut() else {
                self.gone += n;
                if self.gone == self.tail.len() {
                    self.tail.clear();
                    self.gone = 0;
                } else if self.gone >= CHUNK {
                    self.tail.advance(self.gone);
                    self.gone = 0;
                }
                return;
            };
            let step = n.min(front.len());
            front.advance(step);
            self.queued -= step;
            n -= step;
            if front.is_empty() {
                self.queue.pop_front();
            }
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes)", self.len())
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.copy(s.as_bytes());
        Ok(())
    }
}

macro_rules! copied {
    ($($type:ty),* $(,)?) => {$(
        impl Payload for $type {
            #[inline]
            fn write_to(self, out: &mut Output) {
                out.copy(AsRef::<[u8]>::as_ref(&self));
            }
        }
    )*};
}

copied!(
    &str,
    &String,
    &&str,
    &[u8],
    &&[u8],
    &Vec<u8>,
    crate::Line<'_>,
);

impl<const N: usize> Payload for &[u8; N] {
    #[inline]
    fn write_to(self, out: &mut Output) {
        out.copy(self);
    }
}

impl<const N: usize> Payload for [u8; N] {
    #[inline]
    fn write_to(self, out: &mut Output) {
        out.copy(&self);
    }
}

impl Payload for Cow<'_, str> {
    fn write_to(self, out: &mut Output) {
        out.copy(self.as_bytes());
    }
}

impl Payload for Bytes {
    fn write_to(self, out: &mut Output) {
        out.share(self);
    }
}

impl Payload for &Bytes {
    fn write_to(self, out: &mut Output) {
        if self.len() < COPY_BELOW {
            out.copy(self);
        } else {
            out.share(self.clone());
        }
    }
}

impl Payload for BytesMut {
    fn write_to(self, out: &mut Output) {
        if self.len() < COPY_BELOW {
            out.copy(&self);
        } else {
            out.share(self.freeze());
        }
    }
}

impl Payload for Vec<u8> {
    fn write_to(self, out: &mut Output) {
        if self.len() < COPY_BELOW {
            out.copy(&self);
        } else {
            out.share(self.into());
        }
    }
}

impl Payload for String {
    fn write_to(self, out: &mut Output) {
        self.into_bytes().write_to(out);
    }
}

impl Payload for fmt::Arguments<'_> {
    fn write_to(self, out: &mut Output) {
        // `write_str` above never fails; a failure is that of a `Display`
        // inside, and what it printed until then stands, as with `print!`.
        let _ = fmt::Write::write_fmt(out, self);
    }
}

impl Payload for &mut Input {
    fn write_to(self, out: &mut Output) {
        if out.queue.is_empty() && out.tail.len() == out.gone {
            out.tail.clear();
            out.gone = 0;
            if self.swap_into(&mut out.tail) {
                return;
            }
        }
        if self.len() < COPY_BELOW {
            out.copy(self);
            self.advance(self.len());
        } else {
            out.share(self.take_all());
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::needless_borrow,
    reason = "on a value that is no reference, `take` is that of `Buf`"
)]
mod tests {
    use super::*;

    #[test]
    fn pieces_leave_in_order_whatever_their_size() {
        let mut out = Output::default();
        let big = Bytes::from(vec![b'x'; 10_000]);
        out.put("a");
        out.put(&big);
        out.put(format_args!("{}-{}", 1, 2));
        let mut input = Input::from(&[b'i'; 9]);
        out.put((&mut input).take(9));
        out.put(&mut Input::from(&vec![b'y'; 5000]));
        assert_eq!(out.len(), 1 + 10_000 + 3 + 9 + 5000);
        let all = out.take();
        assert!(out.is_empty());
        let expected = [&b"a"[..], &big, b"1-2iiiiiiiii", &[b'y'; 5000]].concat();
        assert_eq!(all, expected);
    }

    #[test]
    fn an_input_is_emptied_by_exchange_of_buffers() {
        let mut input = Input::from(&vec![b'z'; 60_000]);
        let at = input.as_ptr();
        let mut out = Output::default();
        out.put(&mut input);
        assert!(input.is_empty());
        assert_eq!(out.tail.as_ptr(), at, "not copied");
        assert_eq!(out.take(), vec![b'z'; 60_000]);
    }

    #[tokio::test]
    async fn what_could_not_leave_stays_in_order() {
        use tokio::io::AsyncReadExt;
        let (mut near, mut far) = tokio::io::duplex(7);
        let mut out = Output::default();
        let mut expected = Vec::new();
        for i in 0..50u8 {
            let piece = vec![i; 1 + usize::from(i) * 300];
            expected.extend_from_slice(&piece);
            out.put(piece);
        }
        let total = expected.len();
        let write = std::future::poll_fn(|cx| out.poll_flush(&mut near, cx));
        let mut got = vec![0; total];
        let (written, read) = tokio::join!(write, far.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        assert_eq!(got, expected);
    }
}
