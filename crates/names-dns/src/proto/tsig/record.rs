//! The TSIG record of a message: finding it, and writing one (RFC 8945,
//! section 4.2).

use std::ops::Range;

use super::{Malformed, key::Key};
use crate::proto::Name;

/// The TSIG record of a message, as it stands there.
pub(super) struct Record {
    /// Where it begins, which is where the message it signs ends.
    pub(super) start: usize,
    /// The key's name in canonical form.
    pub(super) key: Vec<u8>,
    /// The algorithm's, in the same.
    pub(super) algorithm: Vec<u8>,
    /// Seconds since 1970, in 48 bits.
    pub(super) time: u64,
    /// By how many seconds it may be off.
    pub(super) fudge: u16,
    /// Where the signature stands.
    pub(super) mac: Range<usize>,
    pub(super) original_id: u16,
    pub(super) error: u16,
    /// Where the other data stands.
    pub(super) other: Range<usize>,
}

/// The number of the type.
const TSIG: u16 = 250;
/// The only class it has.
const ANY: u16 = 255;
/// Bytes of a header.
pub(super) const HEADER: usize = 12;

impl Record {
    /// Finds it. It may only stand at the very end (section 5.1).
    pub(super) fn find(message: &[u8]) -> Result<Option<Self>, Malformed> {
        if message.len() < HEADER {
            return Err(Malformed("the message is shorter than a header"));
        }
        let count = |n: usize| u32::from(u16::from_be_bytes([message[n], message[n + 1]]));
        let mut reader = Reader {
            message,
            at: HEADER,
        };
        for _ in 0..count(4) {
            reader.skip_name()?;
            reader.take(4)?;
        }
        let (before, additional) = (count(6) + count(8), count(10));
        let records = before + additional;
        for n in 1..=records {
            let start = reader.at;
            let name = reader.at;
            reader.skip_name()?;
            let (kind, class) = (reader.u16()?, reader.u16()?);
            let ttl = reader.take(4)?;
            let length = usize::from(reader.u16()?);
            let data = reader.at;
            reader.take(length)?;
            if kind != TSIG {
                continue;
            }
            if n <= before {
                return Err(Malformed("a TSIG stands outside the additional section"));
            }
            if n != records || reader.at != message.len() {
                return Err(Malformed("a TSIG is not the last of a message"));
            }
            if class != ANY || message[ttl] != [0; 4] {
                return Err(Malformed("a TSIG has a class but ANY, or a TTL"));
            }
            return Self::read(message, start, name, data).map(Some);
        }
        Ok(None)
    }

    fn read(message: &[u8], start: usize, name: usize, data: usize) -> Result<Self, Malformed> {
        let (key, _) = Name::from_message(message, name)
            .map_err(|_| Malformed("the owner of a TSIG is no name"))?;
        let key = key.to_lowercase().as_wire().to_vec();
        let mut reader = Reader { message, at: data };
        // The algorithm may not be compressed (section 4.2).
        let name = reader.at;
        let end = reader.skip_name()?;
        if end == NameEnd::Pointer {
            return Err(Malformed("the algorithm of a TSIG is compressed"));
        }
        let algorithm = message[name..reader.at].to_ascii_lowercase();
        let high = u64::from(reader.u16()?);
        let middle = u64::from(reader.u16()?);
        let low = u64::from(reader.u16()?);
        let fudge = reader.u16()?;
        let mac_len = usize::from(reader.u16()?);
        let mac = reader.take(mac_len)?;
        let (original_id, error) = (reader.u16()?, reader.u16()?);
        let other_len = usize::from(reader.u16()?);
        let other = reader.take(other_len)?;
        if reader.at != message.len() {
            return Err(Malformed("a TSIG is longer than what stands in it"));
        }
        Ok(Self {
            start,
            key,
            algorithm,
            time: high << 32 | middle << 16 | low,
            fudge,
            mac,
            original_id,
            error,
            other,
        })
    }
}

/// What is appended to a message.
pub(super) struct Fields<'a> {
    pub(super) time: u64,
    pub(super) fudge: u16,
    pub(super) mac: &'a [u8],
    pub(super) original_id: u16,
    pub(super) error: u16,
    pub(super) other: &'a [u8],
}

/// Appends a TSIG record, and counts it.
pub(super) fn append(message: &mut Vec<u8>, key: &Key, fields: &Fields<'_>) {
    append_for(message, key.wire(), &key.algorithm().wire(), fields);
}

/// The same, for a key that is not ours: its name and algorithm in canonical
/// form.
pub(super) fn append_for(message: &mut Vec<u8>, key: &[u8], algorithm: &[u8], fields: &Fields<'_>) {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    let data = algorithm.len() + 16 + fields.mac.len() + fields.other.len();
    message.extend_from_slice(key);
    message.extend_from_slice(&TSIG.to_be_bytes());
    message.extend_from_slice(&ANY.to_be_bytes());
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&u16::try_from(data).unwrap_or(u16::MAX).to_be_bytes());
    message.extend_from_slice(algorithm);
    message.extend_from_slice(&fields.time.to_be_bytes()[2..]);
    message.extend_from_slice(&fields.fudge.to_be_bytes());
    message.extend_from_slice(&length(fields.mac));
    message.extend_from_slice(fields.mac);
    message.extend_from_slice(&fields.original_id.to_be_bytes());
    message.extend_from_slice(&fields.error.to_be_bytes());
    message.extend_from_slice(&length(fields.other));
    message.extend_from_slice(fields.other);
    let count = u16::from_be_bytes([message[10], message[11]]).wrapping_add(1);
    message[10..12].copy_from_slice(&count.to_be_bytes());
}

/// Where a name ends.
#[derive(PartialEq, Eq)]
enum NameEnd {
    Root,
    Pointer,
}

/// A place in a message.
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The next `n` bytes, by where they stand.
    fn take(&mut self, n: usize) -> Result<Range<usize>, Malformed> {
        let end = self.at + n;
        if end > self.message.len() {
            return Err(Malformed("the message ends in the middle of a record"));
        }
        let range = self.at..end;
        self.at = end;
        Ok(range)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        let at = self.take(2)?.start;
        Ok(u16::from_be_bytes([self.message[at], self.message[at + 1]]))
    }

    fn skip_name(&mut self) -> Result<NameEnd, Malformed> {
        loop {
            let at = self.take(1)?.start;
            match self.message[at] {
                0 => return Ok(NameEnd::Root),
                length @ 1..=63 => self.take(length.into())?,
                192.. => {
                    self.take(1)?;
                    return Ok(NameEnd::Pointer);
                }
                _ => return Err(Malformed("a label has an unknown kind")),
            };
        }
    }
}
