//! Answers kept ready: what was made once for a question is copied the next
//! time, with the asker's id, flags and case of letters around it.
//!
//! Besides whole questions it knows families of them that have the same answer
//! but for the question's length: missing names with one closest encloser,
//! those that one wildcard stands for, those below one delegation, types that a
//! name has not. So no list of random names can fill it: its entries are as
//! many as the zones' own names and types, and bounded in bytes besides. In an
//! answer of a family, compression pointers lead to the question's end or to
//! what stands behind it; all of them move by the difference of the lengths.

/// What an answer is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key<'a> {
    /// Which family, and whether with DNSSEC.
    pub(super) family: u8,
    /// The type, or 0 where the family is of all.
    pub(super) record_type: u16,
    /// The name in lower case, or what else tells it from others.
    pub(super) name: &'a [u8],
}

/// An answer that is ready.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready<'a> {
    /// The second word of the header, without what is the asker's.
    pub(super) flags: u16,
    pub(super) counts: [u16; 3],
    pub(super) kind: u8,
    /// What rate limits count it by.
    pub(super) bucket: u64,
    /// Where the question ended for which it was made.
    question_end: u16,
    /// Where the pointers are that move with the question's length, in `body`.
    pointers: &'a [[u8; 2]],
    /// All that stands behind the question, but OPT.
    pub(super) body: &'a [u8],
}

impl Ready<'_> {
    /// Appends the sections, behind a question that ends where `out` does.
    #[inline]
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(self.body);
        let shift = u16::try_from(begin)
            .unwrap_or(self.question_end)
            .wrapping_sub(self.question_end);
        if shift != 0 {
            for at in self.pointers {
                let at = begin + usize::from(u16::from_le_bytes(*at));
                let pointer = u16::from_be_bytes([out[at], out[at + 1]]).wrapping_add(shift);
                out[at..at + 2].copy_from_slice(&pointer.to_be_bytes());
            }
        }
    }
}

/// An answer to be kept.
pub(super) struct Made<'a> {
    pub(super) flags: u16,
    pub(super) counts: [u16; 3],
    pub(super) kind: u8,
    pub(super) bucket: u64,
    pub(super) question_end: usize,
    /// Where in the message pointers are that move.
    pub(super) pointers: &'a [u16],
    pub(super) body: &'a [u8],
}

#[derive(Clone, Copy, Default)]
struct Slot {
    hash: u64,
    at: u32,
    length: u32,
}

/// The answers of one thread.
pub(super) struct Hot {
    /// Two places for each hash; an empty one has no length.
    slots: Box<[Slot]>,
    bytes: Vec<u8>,
    limit: usize,
    seed: u64,
}

/// Octets before the key: flags, counts, kind, bucket, end of the question,
/// how many pointers; family, type, length of the name.
const FIXED: usize = 2 + 6 + 1 + 8 + 2 + 1 + 4;

impl Hot {
    /// With room for so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        let slots = match limit {
            0 => 0,
            _ => (limit / 64).next_power_of_two().max(64),
        };
        Self {
            slots: vec![Slot::default(); slots].into(),
            bytes: Vec::new(),
            // Places have four octets.
            limit: limit.min(u32::MAX as usize),
            seed: ropewalk_core::random(),
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        if !self.bytes.is_empty() {
            self.slots.fill(Slot::default());
            self.bytes.clear();
        }
    }

    #[inline]
    pub(super) fn get(&self, key: Key<'_>) -> Option<Ready<'_>> {
        let hash = self.hash(key);
        let index = self.index(hash)?;
        for slot in &self.slots[index..index + 2] {
            if slot.hash == hash && slot.length > 0 {
                let entry = &self.bytes[slot.at as usize..][..slot.length as usize];
                if let Some(ready) = read(entry, key) {
                    return Some(ready);
                }
            }
        }
        None
    }

    pub(super) fn put(&mut self, key: Key<'_>, made: &Made<'_>) {
        let (Ok(count), Ok(name), Ok(end)) = (
            u8::try_from(made.pointers.len()),
            u8::try_from(key.name.len()),
            u16::try_from(made.question_end),
        ) else {
            return;
        };
        let length = FIXED + key.name.len() + made.pointers.len() * 2 + made.body.len();
        if length > self.limit {
            return;
        }
        if self.bytes.len() + length > self.limit {
            self.clear();
        }
        let hash = self.hash(key);
        let Some(index) = self.index(hash) else {
            return;
        };
        let at = self.bytes.len();
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&made.flags.to_le_bytes());
        for count in made.counts {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.push(made.kind);
        bytes.extend_from_slice(&made.bucket.to_le_bytes());
        bytes.extend_from_slice(&end.to_le_bytes());
        bytes.push(count);
        bytes.push(key.family);
        bytes.extend_from_slice(&key.record_type.to_le_bytes());
        bytes.push(name);
        bytes.extend_from_slice(key.name);
        for pointer in made.pointers {
            let at = pointer.wrapping_sub(end);
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        bytes.extend_from_slice(made.body);
        let slot = Slot {
            hash,
            at: u32::try_from(at).unwrap_or(0),
            length: u32::try_from(length).unwrap_or(0),
        };
        // The newer one stands first.
        if self.slots[index].length > 0 {
            self.slots[index + 1] = self.slots[index];
        }
        self.slots[index] = slot;
    }

    #[inline]
    fn index(&self, hash: u64) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        Some((hash >> 32) as usize & mask & !1)
    }

    #[inline]
    fn hash(&self, key: Key<'_>) -> u64 {
        let first = u64::from(key.family) << 16 | u64::from(key.record_type);
        hash(self.seed ^ first, key.name)
    }
}

#[inline]
fn read<'a>(entry: &'a [u8], key: Key<'_>) -> Option<Ready<'a>> {
    let (fixed, rest): (&[u8; FIXED], _) = entry.split_first_chunk()?;
    let [
        f0,
        f1,
        a0,
        a1,
        n0,
        n1,
        d0,
        d1,
        kind,
        b0,
        b1,
        b2,
        b3,
        b4,
        b5,
        b6,
        b7,
        e0,
        e1,
        pointers,
        family,
        t0,
        t1,
        length,
    ] = *fixed;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    if family != key.family || u16::from_le_bytes([t0, t1]) != key.record_type || name != key.name {
        return None;
    }
    let (pointers, body) = rest.split_at_checked(usize::from(pointers) * 2)?;
    Some(Ready {
        flags: u16::from_le_bytes([f0, f1]),
        counts: [
            u16::from_le_bytes([a0, a1]),
            u16::from_le_bytes([n0, n1]),
            u16::from_le_bytes([d0, d1]),
        ],
        kind,
        bucket: u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
        question_end: u16::from_le_bytes([e0, e1]),
        pointers: pointers.as_chunks().0,
        body,
    })
}

/// Eight octets at a time, folded; nobody outside knows the seed.
#[inline]
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
        let low = product as u64;
        low ^ (product >> 64) as u64
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut state = seed ^ MIX;
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MIX);
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let state = fold(state ^ u64::from_le_bytes(last), MIX ^ bytes.len() as u64);
    fold(state ^ seed, MIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &[u8]) -> Key<'_> {
        Key {
            family: 1,
            record_type: 1,
            name,
        }
    }

    fn made<'a>(pointers: &'a [u16], body: &'a [u8]) -> Made<'a> {
        Made {
            flags: 0x8400,
            counts: [1, 2, 3],
            kind: 4,
            bucket: 5,
            question_end: 20,
            pointers,
            body,
        }
    }

    #[test]
    fn what_was_put_is_there_and_moves() {
        let mut hot = Hot::new(4096);
        assert!(hot.get(key(b"a")).is_none());
        let body = b"\xc0\x10ab\xc0\x20";
        hot.put(key(b"a"), &made(&[20, 24], body));
        let ready = hot.get(key(b"a")).unwrap();
        assert_eq!(
            (ready.flags, ready.counts, ready.kind, ready.bucket),
            (0x8400, [1, 2, 3], 4, 5)
        );
        let mut out = vec![0; 20];
        ready.put(&mut out);
        assert_eq!(&out[20..], body);
        let mut out = vec![0; 23];
        ready.put(&mut out);
        assert_eq!(&out[23..], b"\xc0\x13ab\xc0\x23");
        let mut out = vec![0; 17];
        ready.put(&mut out);
        assert_eq!(&out[17..], b"\xc0\x0dab\xc0\x1d");
        for other in [
            key(b"b"),
            Key {
                family: 2,
                ..key(b"a")
            },
            Key {
                record_type: 2,
                ..key(b"a")
            },
        ] {
            assert!(hot.get(other).is_none());
        }
        hot.clear();
        assert!(hot.get(key(b"a")).is_none());
    }

    #[test]
    fn it_never_takes_more_than_its_room() {
        let mut hot = Hot::new(1000);
        for number in 0..10_000_u32 {
            hot.put(key(&number.to_le_bytes()), &made(&[], &[7; 50]));
            assert!(hot.bytes.len() <= 1000);
            assert!(hot.get(key(&number.to_le_bytes())).is_some());
        }
        hot.put(key(b"big"), &made(&[], &[7; 2000]));
        assert!(hot.get(key(b"big")).is_none());
        let mut none = Hot::new(0);
        none.put(key(b"a"), &made(&[], b""));
        assert!(none.get(key(b"a")).is_none());
    }
}
