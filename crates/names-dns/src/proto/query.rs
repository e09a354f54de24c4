//! What is asked, in the one form that the cache, the exchange and the wire take.

use std::fmt;

use hickory_proto::{
    rr::{DNSClass, Name, RecordType},
    serialize::binary::{BinDecodable, BinEncodable},
};

#[cfg(any(feature = "server", test))]
use super::{Header, walk::Walk};

/// A question, and what of its circumstances decides the answer: whether DNSSEC's records are wanted
/// (the DO bit, RFC 3225), and whether they go unchecked (the CD bit, RFC 4035 section 3.2.2).
///
/// Names are compared without case. Cheap to compare and to hash.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Query(Box<[u8]>);

const DNSSEC_OK: u8 = 1;
const CHECKING_DISABLED: u8 = 2;

#[cfg(any(feature = "server", test))]
/// The longest [`Query`]: a name, type, class, and the bits.
pub(crate) const LONGEST: usize = 255 + 5;

impl Query {
    /// Asks for the records of one type, in class IN.
    ///
    /// ```
    /// use ropewalk_names_dns::{Query, hickory_proto::rr::{Name, RecordType}};
    ///
    /// let query = Query::new(&Name::from_ascii("Example.ORG.")?, RecordType::MX);
    /// assert_eq!(query.to_string(), "example.org. MX");
    /// # Ok::<(), ropewalk_names_dns::hickory_proto::ProtoError>(())
    /// ```
    pub fn new(name: &Name, record_type: RecordType) -> Self {
        Self::of_class(name, record_type, DNSClass::IN)
    }

    /// Asks in another class, as `version.bind` wants (CH).
    pub fn of_class(name: &Name, record_type: RecordType, class: DNSClass) -> Self {
        let mut name = name.clone();
        name.set_fqdn(true);
        // A name by its type has a form on the wire.
        let mut bytes = name.to_bytes().unwrap_or_else(|_| vec![0]);
        bytes.make_ascii_lowercase();
        bytes.extend(u16::from(record_type).to_be_bytes());
        bytes.extend(u16::from(class).to_be_bytes());
        bytes.push(0);
        Self(bytes.into())
    }

    /// With or without DNSSEC's records.
    #[must_use]
    pub fn dnssec_ok(mut self, on: bool) -> Self {
        self.set(DNSSEC_OK, on);
        self
    }

    /// Asks a validating server not to check the answer.
    #[must_use]
    pub fn checking_disabled(mut self, on: bool) -> Self {
        self.set(CHECKING_DISABLED, on);
        self
    }

    fn set(&mut self, bit: u8, on: bool) {
        if let Some(bits) = self.0.last_mut() {
            *bits = *bits & !bit | if on { bit } else { 0 };
        }
    }

    /// The name that is asked about, in lower case.
    pub fn name(&self) -> Name {
        Name::from_bytes(self.wire_name()).unwrap_or_default()
    }

    /// The type that is asked for.
    pub fn record_type(&self) -> RecordType {
        self.word(5).into()
    }

    /// The class, which is nearly always IN.
    pub fn class(&self) -> DNSClass {
        self.word(3).into()
    }

    /// Whether DNSSEC's records are wanted.
    pub fn wants_dnssec(&self) -> bool {
        self.bits() & DNSSEC_OK != 0
    }

    /// Whether the server is asked not to check.
    pub fn is_unchecked(&self) -> bool {
        self.bits() & CHECKING_DISABLED != 0
    }

    /// The two bytes that begin so far from the end.
    fn word(&self, from_end: usize) -> u16 {
        let at = self.0.len() - from_end;
        u16::from_be_bytes([self.0[at], self.0[at + 1]])
    }

    fn bits(&self) -> u8 {
        self.0.last().copied().unwrap_or_default()
    }

    pub(crate) fn wire_name(&self) -> &[u8] {
        &self.0[..self.0.len() - 5]
    }

    /// Name, type and class as in the question section.
    pub(crate) fn wire(&self) -> &[u8] {
        &self.0[..self.0.len() - 1]
    }

    /// What it is found by.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0
    }

    #[cfg(feature = "server")]
    pub(crate) fn from_key(key: &[u8]) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.record_type())?;
        match self.class() {
            DNSClass::IN => Ok(()),
            class => write!(f, " {class}"),
        }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({self})")
    }
}

#[cfg(any(feature = "server", test))]
/// The key of a message's question, on the stack: what a cache is asked with before anything is
/// allocated.
pub(crate) struct Key {
    bytes: [u8; LONGEST],
    length: usize,
}

#[cfg(any(feature = "server", test))]
impl Key {
    /// `None` where there is no question.
    pub(crate) fn of(walk: &Walk<'_>, dnssec_ok: bool) -> Option<Self> {
        let question = walk.question();
        if question.is_empty() {
            return None;
        }
        let mut key = Self {
            bytes: [0; LONGEST],
            length: question.len() + 1,
        };
        let copy = key.bytes.get_mut(..question.len())?;
        copy.copy_from_slice(question);
        // Lengths of labels are below 64, and so no letters.
        copy[..question.len() - 4].make_ascii_lowercase();
        let bits = u8::from(dnssec_ok) * DNSSEC_OK
            + u8::from(walk.header().has(Header::CD)) * CHECKING_DISABLED;
        key.bytes[key.length - 1] = bits;
        Some(key)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_the_same_in_a_message_and_by_its_parts() {
        let name = Name::from_ascii("WWW.example.Org.").unwrap();
        let query = Query::new(&name, RecordType::AAAA).dnssec_ok(true);
        let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(b"\x03wwW\x07ExAmple\x03oRg\0\0\x1c\0\x01");
        let walk = Walk::read(&message).unwrap();
        assert_eq!(Key::of(&walk, true).unwrap().as_slice(), query.key());
        assert_ne!(Key::of(&walk, false).unwrap().as_slice(), query.key());
        assert_eq!(query.to_string(), "www.example.org. AAAA");
        assert_eq!(query.name(), name);
        assert!(query.wants_dnssec() && !query.is_unchecked());
    }
}
