//! A message of one question, where it lies, for those who pass it on: the exchange, the cache, the
//! forwarder.
//!
//! [`Message`] finds the records and [`Edns`] reads OPT. What is added here is what those need who
//! keep bytes and change a few of them: a question whose octets can be compared as they are, and
//! where OPT begins. Names in records are stepped over, never followed, so that a walk takes time in
//! proportion to the message's length, whatever its pointers say.

use std::ops::Deref;

use super::{Class, Edns, Header, Message, NameRef, Record, RecordType, WireError};

/// A message that has a whole header and one whole question at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    message: Message<'a>,
    /// Where the question's name ends, and the question; both 12 where there is none.
    name_end: usize,
    question_end: usize,
}

/// An OPT record, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt<'a> {
    edns: Edns<'a>,
    /// Where the record begins.
    pub(crate) start: usize,
}

impl<'a> Deref for Walk<'a> {
    type Target = Message<'a>;

    fn deref(&self) -> &Message<'a> {
        &self.message
    }
}

impl<'a> Deref for Opt<'a> {
    type Target = Edns<'a>;

    fn deref(&self) -> &Edns<'a> {
        &self.edns
    }
}

impl<'a> Walk<'a> {
    /// Reads the header and the question. There may be none, as in a server's FORMERR; two are not
    /// a message (RFC 9619), and neither is a question whose name is compressed, since there is
    /// nothing before it.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut walk = Self {
            message: Message::read(bytes)?,
            name_end: Header::LENGTH,
            question_end: Header::LENGTH,
        };
        if bytes.len() > usize::from(u16::MAX) || walk.header().counts[0] > 1 {
            return Err(WireError::Short);
        }
        if walk.header().counts[0] == 1 {
            let question = &bytes[Header::LENGTH..];
            let (name, rest) = NameRef::split_from(question).map_err(|_| WireError::Label)?;
            walk.name_end = Header::LENGTH + name.as_wire().len();
            walk.question_end = walk.name_end + 4;
            if rest.len() < 4 {
                return Err(WireError::Short);
            }
        }
        Ok(walk)
    }

    pub(crate) fn has_question(&self) -> bool {
        self.question_end > Header::LENGTH
    }

    /// The question's name, as it is on the wire; empty if there is no question.
    pub(crate) fn name(&self) -> &'a [u8] {
        &self.message.as_bytes()[Header::LENGTH..self.name_end]
    }

    /// The question, if there is one: name, type and class as they are on the wire.
    pub(crate) fn question(&self) -> &'a [u8] {
        &self.message.as_bytes()[Header::LENGTH..self.question_end]
    }

    pub(crate) fn question_end(&self) -> usize {
        self.question_end
    }

    /// The question's type and class, if there is one.
    pub(crate) fn asked(&self) -> Option<(RecordType, Class)> {
        let question = self.message.question()?.ok()?;
        Some((question.record_type, question.class))
    }

    /// The OPT record, if there is one.
    ///
    /// # Errors
    /// A record that is not all there, an OPT record outside the additional section or not of the
    /// root, two of them (RFC 6891, section 6.1.1), or options of wrong lengths.
    pub(crate) fn opt(&self) -> Result<Option<Opt<'a>>, WireError> {
        let Some(edns) = Edns::find(&self.message)? else {
            return Ok(None);
        };
        let mut records = self.message.records().flatten();
        let start = records.find(|record| record.record_type == RecordType::OPT);
        Ok(start.map(|Record { start, .. }| Opt { edns, start }))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::{Edns, Message, MessageType, OpCode, Query},
        rr::{Name, RData, Record, rdata},
    };

    use super::{Class, Header, RecordType, Walk, WireError};

    fn message() -> Vec<u8> {
        let name = Name::from_ascii("www.Example.org.").unwrap();
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(name.clone(), hickory_proto::rr::RecordType::A));
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
        assert_eq!(walk.asked(), Some((RecordType::A, Class::IN)));
        assert_eq!(walk.header().id, 7);
        let records: Vec<_> = walk.records().map(Result::unwrap).collect();
        assert_eq!(records[0].rdata(), [192, 0, 2, 1]);
        let ttl_at = records[1].ttl_at();
        assert_eq!(bytes[ttl_at..ttl_at + 4], 60_u32.to_be_bytes());
        let opt = walk.opt().unwrap().unwrap();
        assert!(opt.dnssec_ok() && opt.udp_size == 1400);
        assert_eq!(opt.start, records[2].start);
    }

    #[test]
    fn no_cut_of_a_message_is_whole_and_none_panics() {
        let bytes = message();
        for end in 0..bytes.len() {
            let cut = Walk::read(&bytes[..end]).and_then(|walk| walk.opt().map(|_| ()));
            assert!(cut.is_err(), "{end}");
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
        assert!(Walk::read(&bytes).is_err());
        // A label of a kind that is reserved (RFC 1035, section 4.1.4).
        for label in [0x40, 0x80, 0xc0] {
            let mut bytes = message();
            bytes[Header::LENGTH] = label;
            assert!(Walk::read(&bytes).is_err(), "{label:x}");
        }
    }

    #[test]
    fn two_opt_records_are_not_a_message() {
        let mut bytes = message();
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        bytes[11] += 1;
        assert!(matches!(
            Walk::read(&bytes).unwrap().opt(),
            Err(WireError::Opt)
        ));
    }
}
