//! The TSIG record of a message: finding it, and writing one (RFC 8945,
//! section 4.2).

use std::ops::Range;

use super::{Malformed, key::Key};
use crate::proto::{Class, Message, NameRef, RecordType, Section};

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

impl Record {
    /// Finds it. It may only stand at the very end (section 5.1).
    pub(super) fn find(message: &[u8]) -> Result<Option<Self>, Malformed> {
        let parsed = Message::read(message)
            .map_err(|_| Malformed("the message is shorter than a header"))?;
        let mut records = parsed.records();
        while let Some(record) = records.next() {
            let record = record.map_err(|_| Malformed("a record is not well formed"))?;
            if record.record_type != RecordType::TSIG {
                continue;
            }
            if record.section != Section::Additional {
                return Err(Malformed("a TSIG stands outside the additional section"));
            }
            if records.position() != message.len() || records.next().is_some() {
                return Err(Malformed("a TSIG is not the last of a message"));
            }
            if record.class != Class::ANY || record.ttl != 0 {
                return Err(Malformed("a TSIG has a class but ANY, or a TTL"));
            }
            let mut key = record
                .name()
                .map_err(|_| Malformed("the owner of a TSIG is no name"))?;
            key.make_lowercase();
            let read = Self::read(message, record.start, key.as_bytes(), record.rdata());
            return read.map(Some);
        }
        Ok(None)
    }

    /// Reads its data, with which the message ends.
    fn read(message: &[u8], start: usize, key: &[u8], data: &[u8]) -> Result<Self, Malformed> {
        // The algorithm may not be compressed (section 4.2).
        let (algorithm, rest) = NameRef::split_from(data)
            .map_err(|_| Malformed("the algorithm of a TSIG is no name, or compressed"))?;
        let mut rest = Rest {
            bytes: rest,
            end: message.len(),
        };
        let [high, middle, low] = [rest.u16()?, rest.u16()?, rest.u16()?].map(u64::from);
        let fudge = rest.u16()?;
        let mac = rest.counted()?;
        let (original_id, error) = (rest.u16()?, rest.u16()?);
        let other = rest.counted()?;
        if !rest.bytes.is_empty() {
            return Err(Malformed("a TSIG is longer than what stands in it"));
        }
        Ok(Self {
            start,
            key: key.to_vec(),
            algorithm: algorithm.as_wire().to_ascii_lowercase(),
            time: high << 32 | middle << 16 | low,
            fudge,
            mac,
            original_id,
            error,
            other,
        })
    }
}

/// What is left of a record's data, the last of its message.
struct Rest<'a> {
    bytes: &'a [u8],
    /// Where they end in the message.
    end: usize,
}

impl Rest<'_> {
    fn u16(&mut self) -> Result<u16, Malformed> {
        let (first, rest) = self.bytes.split_first_chunk().ok_or(SHORT)?;
        self.bytes = rest;
        Ok(u16::from_be_bytes(*first))
    }

    /// Octets with their number before them, by where they stand in the message.
    fn counted(&mut self) -> Result<Range<usize>, Malformed> {
        let length = usize::from(self.u16()?);
        let start = self.end - self.bytes.len();
        self.bytes = self.bytes.get(length..).ok_or(SHORT)?;
        Ok(start..start + length)
    }
}

const SHORT: Malformed = Malformed("a TSIG ends in the middle of what stands in it");

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
    message.extend_from_slice(&RecordType::TSIG.0.to_be_bytes());
    message.extend_from_slice(&Class::ANY.0.to_be_bytes());
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
