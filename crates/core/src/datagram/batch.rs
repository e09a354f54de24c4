//! Datagrams on their way, in batches: those that arrived, and those to be
//! sent. Each batch is one buffer, however many datagrams stand in it.

use std::{collections::VecDeque, fmt};

use crate::{Address, Output, Payload};

/// Datagrams of one batch at most; then it is the turn of the answers.
pub(super) const BATCH: usize = 64;

/// Bytes after which a batch takes no more, so that answers as long as what
/// they answer have room to wait.
const BATCH_BYTES: usize = 256 * 1024;

/// The largest datagram there is (IPv6 without jumbograms).
pub(super) const LARGEST: usize = 65_535;

/// The most that a batch takes for one: what would be more is a slip of the pen.
const MOST: usize = 1024 * 1024;

/// Datagrams that arrived together; iterate over it.
pub struct Datagrams {
    bytes: Vec<u8>,
    /// Where each ends, and whence it came.
    ends: Vec<(usize, Address)>,
    largest: usize,
    truncated: u64,
}

impl Datagrams {
    pub(super) fn new(largest: usize) -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
            largest: largest.min(MOST),
            truncated: 0,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Goes through them, each with whence it came.
    pub fn iter(&self) -> DatagramsIter<'_> {
        DatagramsIter {
            rest: &self.bytes,
            at: 0,
            ends: self.ends.iter(),
        }
    }

    /// The longest datagram that is taken, in bytes; for a
    /// [`DatagramSocket`](crate::DatagramSocket).
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// How many more have room, fewer if they are long; for a
    /// [`DatagramSocket`](crate::DatagramSocket).
    pub fn room(&self) -> usize {
        match self.bytes.len() < BATCH_BYTES {
            true => BATCH.saturating_sub(self.len()),
            false => 0,
        }
    }

    /// Puts one behind the others; for a
    /// [`DatagramSocket`](crate::DatagramSocket). One that is longer than
    /// [`largest`](Self::largest), as far as it was read, is thrown away and
    /// counted: half a message may read as another one.
    pub fn push(&mut self, data: &[u8], from: Address) {
        if data.len() > self.largest {
            self.truncated += 1;
            return;
        }
        self.bytes.extend_from_slice(data);
        self.ends.push((self.bytes.len(), from));
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn take_truncated(&mut self) -> u64 {
        std::mem::take(&mut self.truncated)
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Gives the buffer of an idle socket back.
    pub(super) fn release(&mut self) {
        self.bytes = Vec::new();
        self.ends = Vec::new();
    }
}

impl fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Datagrams({})", self.len())
    }
}

impl<'a> IntoIterator for &'a Datagrams {
    type Item = (&'a [u8], &'a Address);
    type IntoIter = DatagramsIter<'a>;

    fn into_iter(self) -> DatagramsIter<'a> {
        self.iter()
    }
}

/// Goes through [`Datagrams`].
#[derive(Clone, Debug)]
pub struct DatagramsIter<'a> {
    rest: &'a [u8],
    at: usize,
    ends: std::slice::Iter<'a, (usize, Address)>,
}

impl<'a> Iterator for DatagramsIter<'a> {
    type Item = (&'a [u8], &'a Address);

    fn next(&mut self) -> Option<Self::Item> {
        let (end, from) = self.ends.next()?;
        let (data, rest) = self.rest.split_at(end - self.at);
        self.rest = rest;
        self.at = *end;
        Some((data, from))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for DatagramsIter<'_> {}

/// Datagrams that wait to be sent, oldest first: what a
/// [`DatagramSocket`](crate::DatagramSocket) takes from.
#[derive(Default)]
pub struct UnsentDatagrams {
    bytes: Vec<u8>,
    /// How much of `bytes` has left.
    gone: usize,
    /// The length of each, and where it goes if not to the peer.
    queue: VecDeque<(usize, Option<Address>)>,
    scratch: Output,
}

impl UnsentDatagrams {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The oldest, and where it goes; `None` where that is the peer of a
    /// connected socket.
    pub fn front(&self) -> Option<(&[u8], Option<&Address>)> {
        self.iter().next()
    }

    /// Goes through them, oldest first, for sending many at a time.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&Address>)> {
        let mut rest = &self.bytes[self.gone..];
        self.queue.iter().map(move |(length, to)| {
            let (data, behind) = rest.split_at(*length);
            rest = behind;
            (data, to.as_ref())
        })
    }

    /// Takes the `n` oldest off, which were sent.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn sent(&mut self, n: usize) {
        assert!(n <= self.len(), "no more can be sent than there are");
        self.gone += self
            .queue
            .drain(..n)
            .map(|(length, _)| length)
            .sum::<usize>();
        if self.queue.is_empty() {
            self.bytes.clear();
            self.gone = 0;
        } else if self.gone >= LARGEST {
            // Most of the buffer is what has left, or it costs little to move.
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() - self.gone
    }

    /// Puts one behind the others, unless `fits` refuses its length; returns
    /// the length.
    pub(super) fn push(
        &mut self,
        data: impl Payload,
        to: Option<Address>,
        fits: impl FnOnce(usize) -> bool,
    ) -> usize {
        self.scratch.put(data);
        let length = self.scratch.len();
        if fits(length) {
            self.scratch.move_into(&mut self.bytes);
            self.queue.push_back((length, to));
        } else {
            self.scratch.clear();
        }
        length
    }

    /// Takes the oldest off, which cannot be sent: its length, and where to.
    pub(super) fn pop(&mut self) -> Option<(usize, Option<Address>)> {
        let (length, to) = self.queue.front()?.clone();
        self.sent(1);
        Some((length, to))
    }

    /// Gives the buffers of an idle socket back.
    pub(super) fn release(&mut self) {
        self.scratch.release();
        if self.queue.is_empty() && self.bytes.capacity() > LARGEST {
            self.bytes = Vec::new();
        }
    }
}

impl fmt::Debug for UnsentDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnsentDatagrams({})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        std::net::SocketAddr::from(([192, 0, 2, 1], port)).into()
    }

    #[test]
    fn no_batch_makes_room_without_end() {
        assert_eq!(Datagrams::new(usize::MAX).largest(), MOST);
        assert_eq!(Datagrams::new(512).largest(), 512);
    }

    #[test]
    fn each_datagram_is_by_itself() {
        let mut batch = Datagrams::new(5);
        batch.push(b"one", at(1));
        batch.push(b"", at(2));
        batch.push(b"longer", at(3));
        batch.push(b"three", at(4));
        let all: Vec<_> = batch.iter().collect();
        let expected = [(&b"one"[..], &at(1)), (b"", &at(2)), (b"three", &at(4))];
        assert_eq!(all, expected);
        assert_eq!((batch.take_truncated(), batch.room()), (1, BATCH - 3));
    }

    #[test]
    fn what_is_sent_goes_from_the_front() {
        let mut unsent = UnsentDatagrams::default();
        for n in 0..20_u8 {
            let length = usize::from(n) * 1000;
            unsent.push(vec![n; length], Some(at(n.into())), |_| true);
        }
        assert_eq!(unsent.push("no", None, |length| length > 2), 2);
        for n in 0..20_u8 {
            let length = usize::from(n) * 1000;
            let (data, to) = unsent.front().unwrap();
            assert_eq!((data, to), (&vec![n; length][..], Some(&at(n.into()))));
            if n % 2 == 0 {
                unsent.sent(1);
            } else {
                assert_eq!(unsent.pop(), Some((length, Some(at(n.into())))));
            }
        }
        assert_eq!((unsent.len(), unsent.bytes()), (0, 0));
        assert_eq!(unsent.pop(), None);
    }
}
