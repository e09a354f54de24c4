//! Messages as they come: a reader that allocates nothing, follows no loop, and
//! does work in proportion to what it is asked for (RFC 1035, section 4.1).
//!
//! A [`Message`] is a view of octets. [`Message::read`] looks at the header and
//! no further; questions and records are found as one iterates, and names are
//! expanded when they are asked for. A compression pointer must point to before
//! the name it stands in, and a name may follow 128 of them at most, so a
//! malicious message costs no more than a long one.

use std::{fmt, ops::Range};

use super::{
    Class, Header, RecordType,
    layout::{Part, layout},
};

/// What is wrong with a message. The peer is at fault; a server answers
/// FORMERR, a client ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// It ends before what its counts or lengths announce.
    #[error("the message ends too early")]
    Short,
    /// A label of a type that is not known (0x40 and 0x80).
    #[error("a label is neither a label nor a pointer")]
    Label,
    /// A pointer that does not point to before its own name, or one too many
    /// of them.
    #[error("a compression pointer leads nowhere")]
    Pointer,
    /// A name of more than 255 octets.
    #[error("a name is longer than 255 octets")]
    LongName,
    /// RDATA whose length is not that of what stands in it.
    #[error("the length of RDATA is wrong")]
    Rdata,
    /// More than one OPT, or one that is not the root's (RFC 6891, section 6.1.1).
    #[error("the OPT record is out of place")]
    Opt,
    /// A TSIG that is not the last record (RFC 8945, section 5.1).
    #[error("the TSIG record is not the last")]
    Tsig,
}

/// The longest name, in octets, with its final zero (RFC 1035, section 2.3.4).
pub(crate) const LONGEST_NAME: usize = 255;

/// Pointers in one name: a name has 127 labels at most, and who compresses
/// needs no more pointers than labels.
const POINTERS: usize = 128;

/// A name as it stands on the wire, uncompressed, with no allocation.
#[derive(Clone, Copy)]
pub struct NameBuffer {
    length: u8,
    bytes: [u8; LONGEST_NAME],
}

impl NameBuffer {
    /// The root.
    pub fn root() -> Self {
        Self {
            length: 1,
            bytes: [0; LONGEST_NAME],
        }
    }

    /// Its labels, each with its length before it, and the final zero.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// With ASCII letters in lower case.
    #[inline]
    pub fn make_lowercase(&mut self) {
        // Lengths are below 64, and so no letters.
        self.bytes[..usize::from(self.length)].make_ascii_lowercase();
    }
}

impl AsRef<[u8]> for NameBuffer {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for NameBuffer {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl Eq for NameBuffer {}

impl fmt::Debug for NameBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

/// Where the name at `at` ends, in the message: behind its final zero, or
/// behind its first pointer. Where that leads is not looked at.
pub(crate) fn skip_name(message: &[u8], at: usize) -> Result<usize, WireError> {
    let mut here = at;
    loop {
        let length = *message.get(here).ok_or(WireError::Short)?;
        match length {
            0 => here += 1,
            1..=63 => {
                here += 1 + usize::from(length);
                if here - at >= LONGEST_NAME {
                    return Err(WireError::LongName);
                }
                continue;
            }
            0xC0.. if message.len() > here + 1 => here += 2,
            0xC0.. => return Err(WireError::Short),
            _ => return Err(WireError::Label),
        }
        return Ok(here);
    }
}

/// Expands the name at `at`; returns where it ends in the message.
pub(crate) fn read_name(
    message: &[u8],
    at: usize,
    name: &mut NameBuffer,
) -> Result<usize, WireError> {
    let (mut here, mut end) = (at, None);
    // What is pointed to lies before this.
    let mut before = at;
    let mut pointers = 0;
    let mut length = 0;
    loop {
        let first = *message.get(here).ok_or(WireError::Short)?;
        match first {
            0..=63 => {
                let size = 1 + usize::from(first);
                let label = message.get(here..here + size).ok_or(WireError::Short)?;
                let place = name.bytes.get_mut(length..length + size);
                place.ok_or(WireError::LongName)?.copy_from_slice(label);
                length += size;
                here += size;
                if first == 0 {
                    break;
                }
            }
            0xC0.. => {
                let second = *message.get(here + 1).ok_or(WireError::Short)?;
                end.get_or_insert(here + 2);
                here = usize::from(u16::from_be_bytes([first & 0x3F, second]));
                pointers += 1;
                if here >= before || pointers > POINTERS {
                    return Err(WireError::Pointer);
                }
                before = here;
            }
            _ => return Err(WireError::Label),
        }
    }
    // It fits: a name has room in the buffer, or is an error.
    name.length = u8::try_from(length).map_err(|_| WireError::LongName)?;
    Ok(end.unwrap_or(here))
}

fn word(message: &[u8], at: usize) -> Result<u16, WireError> {
    let bytes = message.get(at..).and_then(|rest| rest.first_chunk());
    bytes
        .map(|bytes| u16::from_be_bytes(*bytes))
        .ok_or(WireError::Short)
}

/// A view of a message.
///
/// ```
/// use ropewalk_names_dns::proto::{Message, RecordType};
///
/// let bytes = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\
///     \x07example\x03org\0\0\x01\0\x01\
///     \xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01";
/// let message = Message::read(bytes)?;
/// let question = message.question().unwrap()?;
/// assert_eq!(question.record_type, RecordType::A);
/// for record in message.records() {
///     let record = record?;
///     assert_eq!(record.name()?, question.name()?);
///     assert_eq!((record.ttl, record.rdata()), (3600, &[192, 0, 2, 1][..]));
/// }
/// # Ok::<(), ropewalk_names_dns::proto::WireError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
}

impl<'a> Message<'a> {
    /// Looks at the header.
    ///
    /// # Errors
    /// [`WireError::Short`] if there is not even that.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let header = Header::read(bytes).ok_or(WireError::Short)?;
        Ok(Self { bytes, header })
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// All of its octets.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Goes through the questions.
    pub fn questions(&self) -> Questions<'a> {
        Questions {
            bytes: self.bytes,
            at: Header::LENGTH,
            left: self.header.counts[0],
        }
    }

    /// The first question; `None` if there is none.
    pub fn question(&self) -> Option<Result<Question<'a>, WireError>> {
        self.questions().next()
    }

    /// Goes through the records of all sections.
    pub fn records(&self) -> Records<'a> {
        let mut questions = self.questions();
        let skipped = questions.by_ref().find_map(Result::err);
        Records {
            bytes: self.bytes,
            at: questions.at,
            left: [
                self.header.counts[1],
                self.header.counts[2],
                self.header.counts[3],
            ],
            failed: skipped,
        }
    }
}

/// One question (RFC 1035, section 4.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where it ends in the message.
    pub(crate) end: usize,
    /// What is asked for.
    pub record_type: RecordType,
    /// Of which class.
    pub class: Class,
}

impl Question<'_> {
    /// The name that is asked about.
    ///
    /// # Errors
    /// [`WireError`]: where the name is none.
    pub fn name(&self) -> Result<NameBuffer, WireError> {
        let mut name = NameBuffer::root();
        read_name(self.bytes, self.at, &mut name)?;
        Ok(name)
    }
}

/// Goes through questions; ends after the first error.
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for Questions<'a> {
    type Item = Result<Question<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = || {
            let behind = skip_name(self.bytes, self.at)?;
            Ok(Question {
                bytes: self.bytes,
                at: self.at,
                end: behind + 4,
                record_type: RecordType(word(self.bytes, behind)?),
                class: Class(word(self.bytes, behind + 2)?),
            })
        };
        let question = read();
        match &question {
            Ok(question) => self.at = question.end,
            Err(_) => self.left = 0,
        }
        Some(question)
    }
}

/// Which part of a message a record stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who knows, and why there is no answer.
    Authority,
    /// What else may be of use.
    Additional,
}

impl Section {
    /// All, in their order.
    pub const ALL: [Self; 3] = [Self::Answer, Self::Authority, Self::Additional];
}

/// One record (RFC 1035, section 4.1.3).
#[derive(Clone)]
pub struct Record<'a> {
    message: &'a [u8],
    /// Where it begins.
    pub(crate) start: usize,
    data: Range<usize>,
    /// The section it stands in.
    pub section: Section,
    /// What it holds.
    pub record_type: RecordType,
    /// Its class; in OPT, the size of a UDP message.
    pub class: Class,
    /// How long it may be kept, in seconds; in OPT, flags.
    pub ttl: u32,
}

impl<'a> Record<'a> {
    /// Whose record it is.
    ///
    /// # Errors
    /// [`WireError`]: where the name is none.
    pub fn name(&self) -> Result<NameBuffer, WireError> {
        let mut name = NameBuffer::root();
        read_name(self.message, self.start, &mut name)?;
        Ok(name)
    }

    /// Where its TTL stands: before the length of its data.
    #[cfg(feature = "client")]
    pub(crate) fn ttl_at(&self) -> usize {
        self.data.start - 6
    }

    /// Its data as it stands in the message: names in it may be compressed.
    pub fn rdata(&self) -> &'a [u8] {
        &self.message[self.data.clone()]
    }

    /// Appends its data with names expanded, as a zone has it. All types that
    /// others compress, or once did, are known (RFC 3597, section 4).
    ///
    /// # Errors
    /// [`WireError`]: where a name is none or the length is wrong; then nothing
    /// is appended.
    pub fn expand_rdata(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let before = out.len();
        let result = self.try_expand(out);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    fn try_expand(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let Range { start, end } = self.data;
        let mut at = start;
        for part in layout(self.record_type) {
            let next = match part {
                Part::Fixed(length) => at + length,
                Part::Text => at + 1 + usize::from(*self.message.get(at).ok_or(WireError::Rdata)?),
                Part::Name => {
                    let mut name = NameBuffer::root();
                    // Nothing of it may stand behind the data's end.
                    let next = read_name(&self.message[..end], at, &mut name)?;
                    out.extend_from_slice(name.as_bytes());
                    at = next;
                    continue;
                }
            };
            if next > end {
                return Err(WireError::Rdata);
            }
            out.extend_from_slice(&self.message[at..next]);
            at = next;
        }
        out.extend_from_slice(&self.message[at..end]);
        Ok(())
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("section", &self.section)
            .field("name", &self.name())
            .field("record_type", &self.record_type)
            .field("class", &self.class)
            .field("ttl", &self.ttl)
            .field("rdata", &self.rdata().escape_ascii().to_string())
            .finish()
    }
}

/// Goes through records; ends after the first error.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    left: [u16; 3],
    failed: Option<WireError>,
}

impl<'a> Records<'a> {
    /// Where the next record would begin, in octets: behind the last one, the end of the message.
    pub fn position(&self) -> usize {
        self.at
    }

    fn read(&mut self, section: Section) -> Result<Record<'a>, WireError> {
        let start = self.at;
        let behind = skip_name(self.bytes, start)?;
        let fixed: &[u8; 10] = self
            .bytes
            .get(behind..)
            .and_then(|rest| rest.first_chunk())
            .ok_or(WireError::Short)?;
        let [t0, t1, c0, c1, l0, l1, l2, l3, n0, n1] = *fixed;
        let from = behind + 10;
        let to = from + usize::from(u16::from_be_bytes([n0, n1]));
        if to > self.bytes.len() {
            return Err(WireError::Short);
        }
        self.at = to;
        Ok(Record {
            message: self.bytes,
            start,
            data: from..to,
            section,
            record_type: RecordType(u16::from_be_bytes([t0, t1])),
            class: Class(u16::from_be_bytes([c0, c1])),
            ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.left = [0; 3];
            return Some(Err(error));
        }
        let index = self.left.iter().position(|left| *left > 0)?;
        self.left[index] -= 1;
        let record = self.read(Section::ALL[index]);
        if record.is_err() {
            self.left = [0; 3];
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(message: &[u8], at: usize) -> Result<(Vec<u8>, usize), WireError> {
        let mut name = NameBuffer::root();
        let end = read_name(message, at, &mut name)?;
        Ok((name.as_bytes().to_vec(), end))
    }

    #[test]
    fn names_are_expanded() {
        let message = b"\x03org\0\x01a\xc0\0\x01b\xc0\x05";
        assert_eq!(expand(message, 0), Ok((b"\x03org\0".to_vec(), 5)));
        assert_eq!(
            expand(message, 9),
            Ok((b"\x01b\x01a\x03org\0".to_vec(), 13))
        );
        assert_eq!(skip_name(message, 9), Ok(13));
    }

    #[test]
    fn pointers_lead_backwards_and_not_for_ever() {
        // To itself, ahead, to each other, into its own labels.
        for (message, at) in [
            (&b"\xc0\0"[..], 0),
            (b"\xc0\x02\0", 0),
            (b"\xc0\x02\xc0\0", 2),
            (b"\x01a\xc0\0", 0),
            (b"\x01a\xc0\x02", 0),
        ] {
            assert_eq!(expand(message, at), Err(WireError::Pointer));
        }
        // A chain of pointers to pointers.
        let mut message = vec![0];
        message.extend((0..1000_u16).flat_map(|n| {
            let to = if n == 0 { 0 } else { n * 2 - 1 };
            (0xC000 | to).to_be_bytes()
        }));
        assert_eq!(expand(&message, 127 * 2 + 1), Ok((vec![0], 127 * 2 + 3)));
        assert_eq!(expand(&message, 128 * 2 + 1), Err(WireError::Pointer));
    }

    #[test]
    fn labels_and_names_have_their_length() {
        assert_eq!(expand(b"\x40a\0", 0), Err(WireError::Label));
        assert_eq!(expand(b"\x80a\0", 0), Err(WireError::Label));
        assert_eq!(skip_name(b"\x40a\0", 0), Err(WireError::Label));
        assert_eq!(expand(b"\x05abc", 0), Err(WireError::Short));
        assert_eq!(expand(b"", 0), Err(WireError::Short));
        let label = |n: u8| [vec![n], vec![b'a'; n.into()]].concat();
        let longest = [label(63), label(63), label(63), label(61), vec![0]].concat();
        assert_eq!(expand(&longest, 0), Ok((longest.clone(), 255)));
        assert_eq!(skip_name(&longest, 0), Ok(255));
        let longer = [label(63), label(63), label(63), label(62), vec![0]].concat();
        assert_eq!(expand(&longer, 0), Err(WireError::LongName));
        assert_eq!(skip_name(&longer, 0), Err(WireError::LongName));
        // The same by way of a pointer.
        let joined = [label(63), vec![0], longest[64..].to_vec()].concat();
        let at = joined.len();
        let pointed = [joined, label(1), vec![0xC0, 65]].concat();
        assert!(expand(&pointed, at).is_ok());
        let at = pointed.len();
        let too_long = [pointed, label(63), label(1), vec![0xC0, 65]].concat();
        assert_eq!(expand(&too_long, at), Err(WireError::LongName));
    }

    #[test]
    fn counts_announce_no_more_than_there_is() {
        let mut message = vec![0; 12];
        message[4..12].fill(0xFF);
        let view = Message::read(&message).unwrap();
        assert_eq!(view.questions().count(), 1);
        assert_eq!(view.records().count(), 1);
        message[4..6].fill(0);
        let view = Message::read(&message).unwrap();
        assert!(view.question().is_none());
        assert_eq!(
            view.records().next().unwrap().unwrap_err(),
            WireError::Short
        );
    }

    #[test]
    fn data_is_within_its_length() {
        // An MX whose name goes on behind it.
        let mut message = Header {
            counts: [0, 1, 0, 0],
            ..Header::default()
        }
        .to_bytes()
        .to_vec();
        message.extend(b"\0\0\x0f\0\x01\0\0\0\0\0\x05\0\x0a\x02mx\0");
        let record = Message::read(&message).unwrap().records().next();
        let record = record.unwrap().unwrap();
        let mut out = vec![1];
        assert_eq!(record.expand_rdata(&mut out), Err(WireError::Short));
        assert_eq!(out, [1]);
        message[22] = 6;
        let record = Message::read(&message).unwrap().records().next();
        let record = record.unwrap().unwrap();
        assert_eq!(record.expand_rdata(&mut out), Ok(()));
        assert_eq!(out, b"\x01\0\x0a\x02mx\0");
    }
}
