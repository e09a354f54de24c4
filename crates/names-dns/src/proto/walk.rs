//! Walks through a message where it lies, and builds nothing: its header, its one question, where
//! each record begins and ends, and the OPT record.
//!
//! For those who pass messages on (the exchange, the cache, the forwarder) and need to know what is
//! in them, not to have it. Names in records are stepped over, never followed, so that a walk takes
//! time in proportion to the message's length, whatever its pointers say. Whoever wants names,
//! records and types takes hickory-proto's `Message`.

use std::ops::Range;

/// Bytes of a header (RFC 1035, section 4.1.1).
pub(crate) const HEADER: usize = 12;

/// The type of an OPT record (RFC 6891).
pub(crate) const OPT: u16 = 41;

/// A message that has a whole header and one whole question at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    message: &'a [u8],
    /// Where the question's name ends, and the question; both 12 where there is none.
    name_end: usize,
    question_end: usize,
}

/// What is not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DNS message")]
pub(crate) struct Malformed;

/// A record, as where it stands.
#[derive(Clone, Debug)]
pub(crate) struct RawRecord {
    /// 0 is the answer section, 1 authority, 2 additional.
    pub(crate) section: usize,
    /// Where the owner's name begins.
    pub(crate) start: usize,
    pub(crate) record_type: u16,
    /// The class; in an OPT record the largest datagram that its sender takes.
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Where the TTL stands.
    pub(crate) ttl_at: usize,
    pub(crate) data: Range<usize>,
}

/// What an OPT record says.
#[derive(Clone, Debug)]
pub(crate) struct Opt<'a> {
    /// The largest datagram that its sender takes, in bytes.
    pub(crate) payload: u16,
    /// The upper eight bits of the response code.
    pub(crate) extended_code: u8,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    pub(crate) options: &'a [u8],
    /// Where the record begins.
    pub(crate) start: usize,
}

impl<'a> Walk<'a> {
    /// Reads the header and the question. There may be none, as in a server's FORMERR; two are not
    /// a message (RFC 9619).
    pub(crate) fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut walk = Self {
            message,
            name_end: HEADER,
            question_end: HEADER,
        };
        if message.len() < HEADER || message.len() > usize::from(u16::MAX) {
            return Err(Malformed);
        }
        match walk.count(0) {
            0 => {}
            1 => {
                let mut at = HEADER;
                loop {
                    let length = usize::from(*message.get(at).ok_or(Malformed)?);
                    // There is nothing that the first name could point to.
                    if length > 63 {
                        return Err(Malformed);
                    }
                    at += 1 + length;
                    if at - HEADER > 255 {
                        return Err(Malformed);
                    }
                    if length == 0 {
                        break;
                    }
                }
                walk.name_end = at;
                walk.question_end = at + 4;
                if message.len() < walk.question_end {
                    return Err(Malformed);
                }
            }
            _ => return Err(Malformed),
        }
        Ok(walk)
    }

    /// The header's bytes.
    pub(crate) fn header(&self) -> &'a [u8] {
        &self.message[..HEADER]
    }

    pub(crate) fn id(&self) -> u16 {
        be16(self.message, 0)
    }

    pub(crate) fn is_response(&self) -> bool {
        self.message[2] & 0x80 != 0
    }

    pub(crate) fn op_code(&self) -> u8 {
        self.message[2] >> 3 & 15
    }

    pub(crate) fn is_truncated(&self) -> bool {
        self.message[2] & 2 != 0
    }

    pub(crate) fn recursion_desired(&self) -> bool {
        self.message[2] & 1 != 0
    }

    pub(crate) fn authoritative(&self) -> bool {
        self.message[2] & 4 != 0
    }

    pub(crate) fn recursion_available(&self) -> bool {
        self.message[3] & 0x80 != 0
    }

    pub(crate) fn authentic_data(&self) -> bool {
        self.message[3] & 0x20 != 0
    }

    pub(crate) fn checking_disabled(&self) -> bool {
        self.message[3] & 0x10 != 0
    }

    /// The four bits of the header; see [`Opt::extended_code`] for the rest.
    pub(crate) fn response_code(&self) -> u8 {
        self.message[3] & 15
    }

    /// How many entries section 0 to 3 has, the question's being the first.
    pub(crate) fn count(&self, section: usize) -> u16 {
        be16(self.message, 4 + 2 * section)
    }

    pub(crate) fn has_question(&self) -> bool {
        self.question_end > HEADER
    }

    /// The question's name, as it is on the wire; empty if there is no question.
    pub(crate) fn name(&self) -> &'a [u8] {
        &self.message[HEADER..self.name_end]
    }

    /// The question, if there is one: name, type and class as they are on the wire.
    pub(crate) fn question(&self) -> &'a [u8] {
        &self.message[HEADER..self.question_end]
    }

    pub(crate) fn question_end(&self) -> usize {
        self.question_end
    }

    pub(crate) fn record_type(&self) -> u16 {
        match self.has_question() {
            true => be16(self.message, self.name_end),
            false => 0,
        }
    }

    pub(crate) fn class(&self) -> u16 {
        match self.has_question() {
            true => be16(self.message, self.name_end + 2),
            false => 0,
        }
    }

    /// Goes through the records, as many as are announced; one that is not all there is an error,
    /// and the last.
    pub(crate) fn records(&self) -> Records<'a> {
        Records {
            message: self.message,
            at: self.question_end,
            section: 0,
            left: [self.count(1), self.count(2), self.count(3)],
        }
    }

    /// The OPT record, if there is one.
    ///
    /// # Errors
    /// A record that is not all there, an OPT record outside the additional section or not of the
    /// root, or two of them (RFC 6891, section 6.1.1).
    pub(crate) fn opt(&self) -> Result<Option<Opt<'a>>, Malformed> {
        let mut found = None;
        for record in self.records() {
            let record = record?;
            if record.record_type != OPT {
                continue;
            }
            if found.is_some() || record.section != 2 || self.message[record.start] != 0 {
                return Err(Malformed);
            }
            let [extended_code, version, flags, _] = record.ttl.to_be_bytes();
            found = Some(Opt {
                payload: record.class,
                extended_code,
                version,
                dnssec_ok: flags & 0x80 != 0,
                options: &self.message[record.data],
                start: record.start,
            });
        }
        Ok(found)
    }
}

impl<'a> Opt<'a> {
    /// Goes through the options: code and data. What is not all there ends it.
    pub(crate) fn options(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.options;
        std::iter::from_fn(move || {
            let (head, behind) = rest.split_at_checked(4)?;
            let (data, behind) = behind.split_at_checked(usize::from(be16(head, 2)))?;
            rest = behind;
            Some((be16(head, 0), data))
        })
    }

    /// The data of the first option of this code.
    pub(crate) fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options().find(|(c, _)| *c == code).map(|(_, d)| d)
    }
}

/// Goes through the records of a message.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    message: &'a [u8],
    at: usize,
    section: usize,
    left: [u16; 3],
}

impl Records<'_> {
    fn read(&mut self) -> Option<RawRecord> {
        let start = self.at;
        let fixed = skip_name(self.message, start)?;
        let data = fixed + 10;
        let head = self.message.get(fixed..data)?;
        let end = data + usize::from(be16(head, 8));
        self.message.get(data..end)?;
        self.at = end;
        Some(RawRecord {
            section: self.section,
            start,
            record_type: be16(head, 0),
            class: be16(head, 2),
            ttl: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ttl_at: fixed + 4,
            data: data..end,
        })
    }
}

impl Iterator for Records<'_> {
    type Item = Result<RawRecord, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left.get(self.section) == Some(&0) {
            self.section += 1;
        }
        *self.left.get_mut(self.section)? -= 1;
        let record = self.read();
        if record.is_none() {
            self.left = [0; 3];
        }
        Some(record.ok_or(Malformed))
    }
}

/// Where the name that begins at `at` ends; a pointer is its last part.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    let start = at;
    loop {
        let length = *message.get(at)?;
        match length {
            0 => return Some(at + 1),
            1..=63 => at += 1 + usize::from(length),
            0xc0.. => {
                message.get(at + 1)?;
                return Some(at + 2);
            }
            _ => return None,
        }
        if at - start > 254 {
            return None;
        }
    }
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Edns, Message, MessageType, OpCode, Query},
        rr::{Name, RData, Record, RecordType, rdata},
    };

    use super::*;

    fn message() -> Vec<u8> {
        let name = Name::from_ascii("www.Example.org.").unwrap();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name.clone(), RecordType::A));
        let address = RData::A(rdata::A::new(192, 0, 2, 1));
        message.add_answer(Record::from_rdata(name.clone(), 300, address));
        let server = Name::from_ascii("ns.example.org.").unwrap();
        let ns = RData::NS(rdata::NS(server));
        message.add_authority(Record::from_rdata(name.base_name(), 60, ns));
        let mut edns = Edns::new();
        edns.set_max_payload(1400).set_dnssec_ok(true);
        message.set_edns(edns);
        message.to_vec().unwrap()
    }

    #[test]
    fn a_message_is_seen_where_it_lies() {
        let bytes = message();
        let walk = Walk::read(&bytes).unwrap();
        assert_eq!(walk.name(), b"\x03www\x07Example\x03org\0");
        assert_eq!((walk.record_type(), walk.class(), walk.id()), (1, 1, 7));
        let records: Vec<_> = walk.records().map(Result::unwrap).collect();
        let seen: Vec<_> = records
            .iter()
            .map(|r| (r.section, r.record_type, r.ttl))
            .collect();
        assert_eq!(seen[..2], [(0, 1, 300), (1, 2, 60)]);
        assert_eq!(bytes[records[0].data.clone()], [192, 0, 2, 1]);
        let opt = walk.opt().unwrap().unwrap();
        assert!(opt.dnssec_ok && opt.payload == 1400);
    }

    #[test]
    fn no_cut_of_a_message_is_whole_and_none_panics() {
        let bytes = message();
        for end in 0..bytes.len() {
            let cut = Walk::read(&bytes[..end]).and_then(|walk| walk.opt().map(|_| ()));
            assert_eq!(cut, Err(Malformed), "{end}");
        }
    }

    #[test]
    fn counts_and_lengths_that_lie_end_the_walk() {
        let mut bytes = message();
        bytes[6] = 0xff;
        let walk = Walk::read(&bytes).unwrap();
        assert!(walk.records().count() <= 4);
        assert!(walk.records().any(|record| record.is_err()));
        let mut bytes = message();
        bytes[5] = 2;
        assert_eq!(Walk::read(&bytes).unwrap_err(), Malformed);
        // A label of a kind that is reserved (RFC 1035, section 4.1.4).
        for label in [0x40, 0x80, 0xc0] {
            let mut bytes = message();
            bytes[HEADER] = label;
            assert_eq!(Walk::read(&bytes).unwrap_err(), Malformed);
        }
    }

    #[test]
    fn two_opt_records_are_not_a_message() {
        let mut bytes = message();
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        bytes[11] += 1;
        assert!(matches!(Walk::read(&bytes).unwrap().opt(), Err(Malformed)));
    }
}
