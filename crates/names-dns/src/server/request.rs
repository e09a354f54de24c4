//! A request as a server takes it: the header, the one question and what stands
//! behind it, read by hand and in place.
//!
//! What is no request at all (an answer, half a header) is to be ignored: two
//! servers that answer each other's answers never end. What is malformed is
//! told so, with FORMERR.

use crate::proto::{
    Class, Edns, Header, Message, NameRef, Opcode, Rcode, RecordType, Section, name::MAX_NAME,
};

/// A request. Names are as they were asked, in their own case.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    bytes: &'a [u8],
    header: Header,
    name: NameRef<'a>,
    record_type: RecordType,
    class: Class,
    pub(super) question_end: usize,
    edns: Option<Edns<'a>>,
    signed: bool,
}

/// Why there is no request to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRequest<'a> {
    /// Nothing is to be said.
    Ignore,
    /// This is to be said, with the question as far as it was understood.
    Say(Rcode, Header, &'a [u8]),
    /// There is no question, which is a way to ask for a cookie (RFC 7873,
    /// section 5.4).
    Cookie(Header, Edns<'a>),
}

impl<'a> Request<'a> {
    /// Reads a request of any opcode that has a question.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, NoRequest<'a>> {
        let header = Header::read(bytes).ok_or(NoRequest::Ignore)?;
        if header.has(Header::QR) {
            return Err(NoRequest::Ignore);
        }
        match header.opcode() {
            Opcode::QUERY | Opcode::NOTIFY | Opcode::UPDATE => {}
            _ => return Err(NoRequest::Say(Rcode::NOTIMP, header, &[])),
        }
        let malformed = NoRequest::Say(Rcode::FORMERR, header, &[]);
        if header.counts[0] == 0 && header.opcode() == Opcode::QUERY {
            let message = Message::read(bytes).map_err(|_| malformed)?;
            let edns = Edns::find(&message).map_err(|_| malformed)?;
            let asks = |edns: &Edns<'_>| edns.option(crate::proto::OptionCode::COOKIE).is_some();
            return Err(edns
                .filter(asks)
                .map_or(malformed, |edns| NoRequest::Cookie(header, edns)));
        }
        if header.counts[0] != 1 {
            return Err(malformed);
        }
        let (name, rest) = NameRef::split_from(&bytes[Header::LENGTH..]).map_err(|_| malformed)?;
        let Some([t0, t1, c0, c1]) = rest.first_chunk().copied() else {
            return Err(malformed);
        };
        let question_end = Header::LENGTH + name.as_wire().len() + 4;
        debug_assert!(question_end <= Header::LENGTH + MAX_NAME + 4);
        let mut request = Self {
            bytes,
            header,
            name,
            record_type: RecordType(u16::from_be_bytes([t0, t1])),
            class: Class(u16::from_be_bytes([c0, c1])),
            question_end,
            edns: None,
            signed: false,
        };
        let question = &bytes[Header::LENGTH..question_end];
        let malformed = NoRequest::Say(Rcode::FORMERR, header, question);
        if header.counts[1..] != [0; 3] && !request.read_records() {
            return Err(malformed);
        }
        Ok(request)
    }

    /// Reads the records behind the question; false if they are malformed.
    fn read_records(&mut self) -> bool {
        let [_, answers, authorities, _] = self.header.counts;
        let is_query = self.header.opcode() == Opcode::QUERY;
        // A question brings no records, but that of IXFR the serial it has.
        let may_authorities = self.record_type == RecordType::IXFR && authorities == 1;
        if is_query && (answers > 0 || authorities > 0 && !may_authorities) {
            return false;
        }
        let Ok(message) = Message::read(self.bytes) else {
            return false;
        };
        for record in message.records() {
            let Ok(record) = record else { return false };
            // TSIG is the last of all (RFC 8945, section 5.1).
            if self.signed {
                return false;
            }
            match record.record_type {
                RecordType::OPT => {
                    let edns = Edns::read(&record);
                    let (None, Section::Additional, Ok(edns)) = (self.edns, record.section, edns)
                    else {
                        return false;
                    };
                    self.edns = Some(edns);
                }
                RecordType::TSIG => {
                    if record.section != Section::Additional {
                        return false;
                    }
                    self.signed = true;
                }
                _ => {}
            }
        }
        true
    }

    /// All of it, as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Its header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// All of its records, as a message.
    pub fn message(&self) -> Message<'a> {
        Message::read(self.bytes).expect("its header was read")
    }

    /// The name that is asked about; of a NOTIFY or UPDATE, the zone.
    pub fn name(&self) -> NameRef<'a> {
        self.name
    }

    /// The type that is asked for.
    pub fn record_type(&self) -> RecordType {
        self.record_type
    }

    /// The class that is asked for.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The question as it stands on the wire.
    pub fn question(&self) -> &'a [u8] {
        &self.bytes[Header::LENGTH..self.question_end]
    }

    /// Its OPT record.
    pub fn edns(&self) -> Option<&Edns<'a>> {
        self.edns.as_ref()
    }

    /// Whether it has a TSIG record.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Whether DNSSEC's records are wanted.
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{MessageWriter, put_option};

    fn plain() -> Vec<u8> {
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x03Org\0\0\x01\0\x01".to_vec()
    }

    #[test]
    fn a_question_is_read_in_place() {
        let bytes = plain();
        let request = Request::read(&bytes).unwrap();
        assert_eq!(request.name().as_wire(), b"\x01a\x03Org\0");
        assert_eq!(request.record_type(), RecordType::A);
        assert_eq!(request.question(), &bytes[12..]);
        assert!(request.edns().is_none() && !request.is_signed());
    }

    #[test]
    fn answers_and_fragments_are_ignored() {
        let mut bytes = plain();
        bytes[2] |= 0x80;
        assert_eq!(Request::read(&bytes).unwrap_err(), NoRequest::Ignore);
        for length in 0..12 {
            assert_eq!(
                Request::read(&plain()[..length]).unwrap_err(),
                NoRequest::Ignore
            );
        }
    }

    fn rcode(bytes: &[u8]) -> Rcode {
        match Request::read(bytes) {
            Err(NoRequest::Say(rcode, ..)) => rcode,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_malformed_is_told_so() {
        for length in 12..plain().len() {
            assert_eq!(rcode(&plain()[..length]), Rcode::FORMERR);
        }
        for count in [0, 2, 0xFFFF_u16] {
            let mut bytes = plain();
            bytes[4..6].copy_from_slice(&count.to_be_bytes());
            assert_eq!(rcode(&bytes), Rcode::FORMERR);
        }
        // More records than there are, records where none belong, and a
        // pointer in the question.
        for (at, byte) in [(11, 1), (7, 1), (9, 1), (12, 0xC0), (12, 0x40), (12, 0x80)] {
            let mut bytes = plain();
            bytes[at] = byte;
            assert_eq!(rcode(&bytes), Rcode::FORMERR, "{at}");
        }
        for opcode in [1, 2, 3, 6, 15] {
            let mut bytes = plain();
            bytes[2] = opcode << 3;
            assert_eq!(rcode(&bytes), Rcode::NOTIMP);
        }
    }

    fn with_records(records: &[(&[u8], RecordType, &[u8])]) -> Vec<u8> {
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), 4096);
        let (a, class) = (RecordType::A, Class::IN);
        writer.question(b"\x01a\0", a, class).unwrap();
        for (name, record_type, rdata) in records {
            let section = Section::Additional;
            writer
                .record(section, name, *record_type, Class(1232), 0, rdata)
                .unwrap();
        }
        writer.finish().to_vec()
    }

    #[test]
    fn opt_and_tsig_have_their_places() {
        let mut options = Vec::new();
        put_option(&mut options, crate::proto::OptionCode::NSID, b"");
        let opt = (&b"\0"[..], RecordType::OPT, &options[..]);
        let tsig = (&b"\x03key\0"[..], RecordType::TSIG, &b"unread"[..]);
        let bytes = with_records(&[opt, tsig]);
        let request = Request::read(&bytes).unwrap();
        assert_eq!(request.edns().unwrap().udp_size, 1232);
        assert!(request.is_signed());
        for wrong in [
            &[opt, opt][..],
            &[tsig, opt],
            &[tsig, tsig],
            &[(b"\x01a\0", RecordType::OPT, b"")],
            &[(b"\0", RecordType::OPT, &options[..3])],
        ] {
            assert_eq!(rcode(&with_records(wrong)), Rcode::FORMERR);
        }
    }

    #[test]
    fn no_question_but_a_cookie_is_a_request() {
        let mut options = Vec::new();
        put_option(&mut options, crate::proto::OptionCode::COOKIE, b"12345678");
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), 512);
        let edns = Edns {
            options: &options,
            ..Edns::default()
        };
        writer.opt(&edns).unwrap();
        let bytes = writer.finish();
        let NoRequest::Cookie(_, found) = Request::read(bytes).unwrap_err() else {
            panic!("it asks for a cookie");
        };
        assert_eq!(found.options, options);
    }
}
