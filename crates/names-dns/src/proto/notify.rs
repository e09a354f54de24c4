//! NOTIFY: a primary tells that a zone has changed (RFC 1996); and the
//! question for the SOA that a secondary asks then.
//!
//! Both are one message and its answer, without I/O.

use std::time::SystemTime;

use super::{
    Class, Header, LONGEST_MESSAGE, Message, MessageWriter, Name, NameRef, Opcode, Rcode,
    RecordType, Section, Serial, SoaNumbers, WireError,
    transfer::TransferError,
    tsig::{self, Key, Verifier, VerifyError},
};

/// What a NOTIFY says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notify {
    /// The zone that has changed.
    pub zone: Name,
    /// Its class.
    pub class: Class,
    /// Its new serial, which is a hint and may be missing or wrong.
    pub serial: Option<Serial>,
}

impl Notify {
    /// Reads one.
    ///
    /// ```
    /// use ropewalk_names_dns::proto::{Class, Message, Serial, notify::{Call, Notify}};
    ///
    /// let zone = "example.org.".parse::<ropewalk_names_dns::proto::Name>()?;
    /// let (call, message) = Call::notify(zone.clone(), Class::IN, 7, None, None);
    /// let notify = Notify::read(&Message::read(&message)?)?;
    /// assert_eq!((notify.zone, notify.serial), (zone, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// What is no NOTIFY for a zone; it is answered by FORMERR.
    pub fn read(message: &Message<'_>) -> Result<Self, WireError> {
        let header = message.header();
        let question = match message.question() {
            Some(question) if header.counts[0] == 1 => question?,
            _ => return Err(WireError::Short),
        };
        if question.record_type != RecordType::SOA || header.has(Header::QR) {
            return Err(WireError::Rdata);
        }
        let zone = NameRef::from_wire(question.name()?.as_bytes())
            .map_err(|_| WireError::Label)?
            .to_name();
        let mut serial = None;
        if let Some(record) = message.records().next() {
            let record = record?;
            if record.section == Section::Answer && record.record_type == RecordType::SOA {
                let mut rdata = Vec::new();
                record.expand_rdata(&mut rdata)?;
                serial = SoaNumbers::read(&rdata).map(|numbers| numbers.serial);
            }
        }
        Ok(Self {
            zone,
            class: question.class,
            serial,
        })
    }
}

/// The answer to a NOTIFY or any other request with one question: its header
/// and question, with a code and no records. What is no request cannot be
/// answered, and has none.
pub fn answer(request: &Message<'_>, rcode: Rcode) -> Option<Vec<u8>> {
    let asked = request.header();
    if asked.has(Header::QR) {
        return None;
    }
    let is_told = asked.opcode() == Opcode::NOTIFY && rcode == Rcode::NOERROR;
    let header = Header {
        id: asked.id,
        flags: Header::QR
            | asked.flags & (0x7800 | Header::RD)
            | if is_told { Header::AA } else { 0 },
        counts: [0; 4],
    }
    .with_rcode(rcode);
    let mut writer = MessageWriter::new();
    writer.begin(header, LONGEST_MESSAGE);
    if let Some(Ok(question)) = request.question()
        && let Ok(name) = question.name()
    {
        // A question always has room.
        let _ = writer.question(name.as_bytes(), question.record_type, question.class);
    }
    Some(writer.finish().to_vec())
}

/// A question of one message, and what it expects.
#[derive(Debug)]
pub struct Call {
    zone: Name,
    class: Class,
    id: u16,
    opcode: Opcode,
    verifier: Option<Verifier>,
}

impl Call {
    /// Tells that a zone has changed; returns the message too. The SOA, as its
    /// TTL and data, is a hint for the other side.
    pub fn notify(
        zone: Name,
        class: Class,
        id: u16,
        soa: Option<(u32, &[u8])>,
        key: Option<(&Key, SystemTime)>,
    ) -> (Self, Vec<u8>) {
        Self::new(Opcode::NOTIFY, zone, class, id, soa, key)
    }

    /// Asks for the SOA of a zone; returns the message too.
    pub fn soa(
        zone: Name,
        class: Class,
        id: u16,
        key: Option<(&Key, SystemTime)>,
    ) -> (Self, Vec<u8>) {
        Self::new(Opcode::QUERY, zone, class, id, None, key)
    }

    fn new(
        opcode: Opcode,
        zone: Name,
        class: Class,
        id: u16,
        soa: Option<(u32, &[u8])>,
        key: Option<(&Key, SystemTime)>,
    ) -> (Self, Vec<u8>) {
        let flags = if opcode == Opcode::NOTIFY {
            Header::AA
        } else {
            0
        };
        let header = Header {
            id,
            flags,
            counts: [0; 4],
        };
        let mut writer = MessageWriter::new();
        writer.begin(header.with_opcode(opcode), LONGEST_MESSAGE);
        let name = zone.as_wire();
        let written = writer.question(name, RecordType::SOA, class);
        written.expect("a question has room");
        if let Some((ttl, rdata)) = soa {
            let written = writer.record(Section::Answer, name, RecordType::SOA, class, ttl, rdata);
            written.expect("an SOA has room");
        }
        let mut message = writer.finish().to_vec();
        let verifier = key.map(|(key, now)| tsig::sign(&mut message, key, now));
        let this = Self {
            zone,
            class,
            id,
            opcode,
            verifier,
        };
        (this, message)
    }

    /// Reads the answer: the SOA in it, for [`soa`](Self::soa); none for
    /// [`notify`](Self::notify).
    ///
    /// # Errors
    /// [`TransferError::Stray`] is not the answer, and the right one may still
    /// come; so may a [`TransferError::Signature`] over UDP. Any other error is
    /// the answer.
    pub fn read(
        &mut self,
        message: &mut Vec<u8>,
        now: SystemTime,
    ) -> Result<Option<SoaNumbers>, TransferError> {
        let header = Header::read(message).ok_or(WireError::Short)?;
        if header.id != self.id || !header.has(Header::QR) || header.opcode() != self.opcode {
            return Err(TransferError::Stray("no answer, or of another id"));
        }
        if let Some(verifier) = &mut self.verifier {
            match verifier.verify(message, now) {
                Ok(_) => {}
                Err(VerifyError::Unsigned) if header.rcode() != Rcode::NOERROR => {
                    return Err(TransferError::Refused(header.rcode()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let message = Message::read(message)?;
        if let Some(question) = message.question() {
            let question = question?;
            if question.record_type != RecordType::SOA
                || question.class != self.class
                || !question
                    .name()?
                    .as_bytes()
                    .eq_ignore_ascii_case(self.zone.as_wire())
            {
                return Err(TransferError::Stray("another question"));
            }
        }
        if header.rcode() != Rcode::NOERROR {
            return Err(TransferError::Refused(header.rcode()));
        }
        if self.opcode == Opcode::NOTIFY {
            return Ok(None);
        }
        for record in message.records() {
            let record = record?;
            if record.section == Section::Answer
                && record.record_type == RecordType::SOA
                && record
                    .name()?
                    .as_bytes()
                    .eq_ignore_ascii_case(self.zone.as_wire())
            {
                let mut rdata = Vec::new();
                record.expand_rdata(&mut rdata)?;
                return SoaNumbers::read(&rdata)
                    .map(Some)
                    .ok_or(TransferError::Malformed(WireError::Rdata));
            }
        }
        // A lame server: a referral, or nothing.
        Err(TransferError::Sequence("the server does not have the zone"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn zone() -> Name {
        "Example.".parse().unwrap()
    }

    const RDATA: &[u8] = b"\0\0\0\0\0\x07\0\0\0\x02\0\0\0\x03\0\0\0\x04\0\0\0\x05";

    #[test]
    fn a_notify_and_its_answer() {
        let (mut call, message) = Call::notify(zone(), Class::IN, 9, Some((60, RDATA)), None);
        let request = Message::read(&message).unwrap();
        assert_eq!(request.header().flags, 4 << 11 | Header::AA);
        let notify = Notify::read(&request).unwrap();
        assert_eq!(notify.serial, Some(Serial(7)));
        let mut reply = answer(&request, Rcode::NOERROR).unwrap();
        let header = Header::read(&reply).unwrap();
        assert_eq!(header.flags, 4 << 11 | Header::AA | Header::QR);
        assert_eq!(call.read(&mut reply.clone(), UNIX_EPOCH), Ok(None));
        let mut refused = answer(&request, Rcode::REFUSED).unwrap();
        assert_eq!(
            call.read(&mut refused, UNIX_EPOCH),
            Err(TransferError::Refused(Rcode::REFUSED))
        );
        // Nobody answers an answer.
        assert_eq!(
            answer(&Message::read(&reply).unwrap(), Rcode::REFUSED),
            None
        );
        assert!(Notify::read(&Message::read(&reply).unwrap()).is_err());
        reply[1] ^= 1;
        assert!(matches!(
            call.read(&mut reply, UNIX_EPOCH),
            Err(TransferError::Stray(_))
        ));
    }

    #[test]
    fn the_soa_is_found_and_nothing_else_is_taken_for_it() {
        let (mut call, message) = Call::soa(zone(), Class::IN, 9, None);
        let request = Message::read(&message).unwrap();
        let reply = |owner: &[u8], section, rdata| {
            let mut writer = MessageWriter::new();
            let flags = Header::QR;
            writer.begin(
                Header {
                    id: 9,
                    flags,
                    ..Header::default()
                },
                512,
            );
            writer
                .question(zone().as_wire(), RecordType::SOA, Class::IN)
                .unwrap();
            writer
                .record(section, owner, RecordType::SOA, Class::IN, 1, rdata)
                .unwrap();
            writer.finish().to_vec()
        };
        let mut good = reply(b"\x07example\0", Section::Answer, RDATA);
        let soa = call.read(&mut good, UNIX_EPOCH).unwrap().unwrap();
        assert_eq!(soa.serial, Serial(7));
        let bare = answer(&request, Rcode::NOERROR).unwrap();
        for mut bad in [
            bare,
            reply(b"\x07examplf\0", Section::Answer, RDATA),
            reply(b"\x07example\0", Section::Authority, RDATA),
            reply(b"\x07example\0", Section::Answer, &RDATA[1..]),
        ] {
            assert!(call.read(&mut bad, UNIX_EPOCH).is_err());
        }
    }
}
