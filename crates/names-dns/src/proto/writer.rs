//! Messages on their way out: sections in order, names compressed, and never
//! longer than allowed (RFC 1035, section 4.1.4).
//!
//! Compression knows every name that was written, in any case, and takes one
//! look at a table for each label: a message of 64 kB whose names are all
//! different costs as much a name as a short one.

use super::{
    Class, Edns, Header, RecordType, Section,
    layout::{Part, compressed},
};

/// There is no room for it, and nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has no room for that")]
pub struct Full;

/// The longest message there is (RFC 1035, section 4.2.2).
pub const LONGEST_MESSAGE: usize = 65_535;

/// Writes one message after the other, with the same buffers.
///
/// Names are uncompressed and as on the wire, data is as in a zone. Sections
/// come in their order; a record of an earlier section than the last one is a
/// mistake of the caller, and panics.
///
/// ```
/// use ropewalk_names_dns::proto::{Class, Header, MessageWriter, RecordType, Section};
///
/// let mut writer = MessageWriter::new();
/// let name = b"\x07example\x03org\0";
/// writer.begin(Header { id: 1, flags: Header::QR, ..Header::default() }, 512);
/// writer.question(name, RecordType::A, Class::IN)?;
/// writer.record(Section::Answer, name, RecordType::A, Class::IN, 3600, &[192, 0, 2, 1])?;
/// let message = writer.finish();
/// assert_eq!(&message[29..31], b"\xc0\x0c");
/// # Ok::<(), ropewalk_names_dns::proto::Full>(())
/// ```
#[derive(Debug)]
pub struct MessageWriter {
    bytes: Vec<u8>,
    header: Header,
    limit: usize,
    reserved: usize,
    names: Names,
    /// Whether the name that is written is an owner's.
    owner: bool,
    /// Where the pointers are; with [`OWNER`], those that are an owner's name.
    pointers: Vec<u16>,
}

/// Marks a pointer that is an owner's name, in [`MessageWriter::pointers`]:
/// that of one in data is followed by another record's.
pub(crate) const OWNER: u16 = 0x8000;

/// A place in a message, to come back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    length: usize,
    counts: [u16; 4],
}

impl Default for MessageWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl MessageWriter {
    /// With no message yet.
    pub fn new() -> Self {
        Self {
            bytes: Vec::new(),
            header: Header::default(),
            limit: LONGEST_MESSAGE,
            reserved: 0,
            names: Names::default(),
            owner: false,
            pointers: Vec::new(),
        }
    }

    /// Begins a message of `limit` octets at most, in the place of the one
    /// before; 65,535 where `limit` is more. Counts of the header are counted
    /// anew.
    pub fn begin(&mut self, header: Header, limit: usize) {
        self.bytes.clear();
        self.names.clear();
        self.pointers.clear();
        self.bytes.extend_from_slice(&[0; Header::LENGTH]);
        self.header = Header {
            counts: [0; 4],
            ..header
        };
        self.limit = limit.min(LONGEST_MESSAGE);
        self.reserved = 0;
    }

    /// Keeps room for something that comes at the end: OPT, TSIG.
    pub fn reserve(&mut self, octets: usize) {
        self.reserved = octets;
    }

    /// The header so far.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Changes flags, opcode or rcode.
    pub fn set_flags(&mut self, flags: u16) {
        self.header.flags = flags;
    }

    /// Octets so far.
    #[expect(clippy::len_without_is_empty, reason = "it has a header at least")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Octets that there is room for.
    pub fn room(&self) -> usize {
        (self.limit.saturating_sub(self.reserved)).saturating_sub(self.bytes.len())
    }

    /// This place, to [come back](Self::back_to) to.
    pub fn mark(&self) -> Mark {
        Mark {
            length: self.bytes.len(),
            counts: self.header.counts,
        }
    }

    /// Takes back what was written since.
    pub fn back_to(&mut self, mark: Mark) {
        self.bytes.truncate(mark.length);
        self.names.forget_from(mark.length);
        while let Some(at) = self.pointers.last()
            && usize::from(at & !OWNER) >= mark.length
        {
            self.pointers.pop();
        }
        self.header.counts = mark.counts;
    }

    /// A question.
    ///
    /// # Errors
    /// [`Full`].
    ///
    /// # Panics
    /// If a record was written before.
    pub fn question(
        &mut self,
        name: &[u8],
        record_type: RecordType,
        class: Class,
    ) -> Result<(), Full> {
        assert!(
            self.header.counts[1..] == [0; 3],
            "questions come before records"
        );
        self.all_or_nothing(0, |writer| {
            writer.put_name(name);
            writer.put(&record_type.0.to_be_bytes());
            writer.put(&class.0.to_be_bytes());
        })
    }

    /// A record, with its owner's name compressed, and those in its data where
    /// that is allowed.
    ///
    /// # Errors
    /// [`Full`].
    ///
    /// # Panics
    /// If a record of a later section was written before.
    pub fn record(
        &mut self,
        section: Section,
        name: &[u8],
        record_type: RecordType,
        class: Class,
        ttl: u32,
        rdata: &[u8],
    ) -> Result<(), Full> {
        let index = section as usize + 1;
        assert!(
            self.header.counts[index + 1..].iter().all(|n| *n == 0),
            "sections come in their order"
        );
        if self.header.counts[index] == u16::MAX {
            return Err(Full);
        }
        self.all_or_nothing(index, |writer| {
            writer.owner = true;
            writer.put_name(name);
            writer.owner = false;
            writer.put(&record_type.0.to_be_bytes());
            writer.put(&class.0.to_be_bytes());
            writer.put(&ttl.to_be_bytes());
            let at = writer.bytes.len();
            writer.put(&[0; 2]);
            writer.put_rdata(record_type, rdata);
            // More than that is over any limit.
            let length = u16::try_from(writer.bytes.len() - at - 2).unwrap_or(u16::MAX);
            writer.bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
        })
    }

    /// The OPT record, which takes what was reserved.
    ///
    /// # Errors
    /// [`Full`].
    pub fn opt(&mut self, edns: &Edns<'_>) -> Result<(), Full> {
        self.reserved = 0;
        let [high, low] = edns.flags.to_be_bytes();
        let ttl = u32::from_be_bytes([edns.extended_rcode, edns.version, high, low]);
        let class = Class(edns.udp_size);
        let (section, opt) = (Section::Additional, RecordType::OPT);
        self.record(section, &[0], opt, class, ttl, edns.options)
    }

    /// The message.
    pub fn finish(&mut self) -> &[u8] {
        self.bytes[..Header::LENGTH].copy_from_slice(&self.header.to_bytes());
        &self.bytes
    }

    fn all_or_nothing(&mut self, index: usize, write: impl FnOnce(&mut Self)) -> Result<(), Full> {
        let mark = self.mark();
        write(self);
        if self.bytes.len() > self.limit.saturating_sub(self.reserved) {
            self.back_to(mark);
            return Err(Full);
        }
        self.header.counts[index] = self.header.counts[index].saturating_add(1);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn put_name(&mut self, name: &[u8]) {
        if !self.names.put(&mut self.bytes, name) {
            return;
        }
        // Behind this, nobody asks for them: such an answer is not kept.
        if let Ok(at @ ..OWNER) = u16::try_from(self.bytes.len() - 2) {
            let owner = if self.owner { OWNER } else { 0 };
            self.pointers.push(at | owner);
        }
    }

    /// Where compression pointers are, below 32,768.
    #[cfg(feature = "server")]
    pub(crate) fn pointers(&self) -> &[u16] {
        &self.pointers
    }

    /// What was written so far; the header is not yet in its place.
    #[cfg(feature = "server")]
    pub(crate) fn written(&self) -> &[u8] {
        &self.bytes
    }

    fn put_rdata(&mut self, record_type: RecordType, rdata: &[u8]) {
        let mut rest = rdata;
        for part in compressed(record_type) {
            let length = match part {
                Part::Fixed(length) => *length,
                Part::Text => rest.first().map_or(0, |n| 1 + usize::from(*n)),
                Part::Name => {
                    let length = name_length(rest);
                    // What is no name is written as it is.
                    if length > 0 {
                        self.put_name(&rest[..length]);
                    }
                    rest = &rest[length..];
                    continue;
                }
            };
            let (head, tail) = rest.split_at(length.min(rest.len()));
            self.put(head);
            rest = tail;
        }
        self.put(rest);
    }
}

/// The length of the uncompressed name that `bytes` begin with; 0 if it is none.
pub(crate) fn name_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(length) = bytes.get(at) {
        at += 1 + usize::from(*length);
        match length {
            0 => return at,
            1..=63 => {}
            _ => return 0,
        }
    }
    0
}

/// Names that were written, as a tree: each label with its parent is found in
/// one step, by the hash of both.
#[derive(Debug, Default)]
struct Names {
    /// Open addressing; 0 is an empty slot, otherwise one more than the index
    /// of `labels`.
    slots: Vec<u16>,
    /// In the order of their writing.
    labels: Vec<Label>,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    /// Where it stands.
    at: u16,
    /// Where the label behind it stands; the root's is [`ROOT`].
    parent: u16,
    slot: u16,
}

/// No place that can be pointed to.
const ROOT: u16 = u16::MAX;

/// The first place that no pointer reaches.
const UNREACHABLE: usize = 0x4000;

/// Slots that are looked at; who makes more names collide gains a longer
/// message, and no time of ours.
const PROBES: usize = 16;

impl Names {
    fn clear(&mut self) {
        self.forget_from(0);
    }

    /// Forgets what stands at `length` and behind. The last that was put into
    /// the table goes first, so what was put there before it is still found.
    fn forget_from(&mut self, length: usize) {
        while let Some(label) = self.labels.last() {
            if usize::from(label.at) < length {
                break;
            }
            self.slots[usize::from(label.slot)] = 0;
            self.labels.pop();
        }
    }

    /// Writes a name; says whether it ends in a pointer.
    fn put(&mut self, bytes: &mut Vec<u8>, name: &[u8]) -> bool {
        let mut starts = [0_u8; 128];
        let (mut count, mut at) = (0, 0);
        while let Some(length @ 1..) = name.get(at).copied() {
            // Positions in a name fit, since it has 255 octets at most.
            starts[count] = u8::try_from(at).unwrap_or(u8::MAX);
            count += 1;
            at += 1 + usize::from(length);
        }
        let label = |index: usize| {
            let start = usize::from(starts[index]);
            &name[start..=start + usize::from(name[start])]
        };
        let mut parent = ROOT;
        let mut unknown = count;
        while unknown > 0
            && let Some(known) = self.find(bytes, parent, label(unknown - 1))
        {
            parent = known;
            unknown -= 1;
        }
        let begin = bytes.len();
        match unknown < count {
            true => {
                bytes.extend_from_slice(&name[..usize::from(starts[unknown])]);
                bytes.extend_from_slice(&(0xC000 | parent).to_be_bytes());
            }
            false => bytes.extend_from_slice(name),
        }
        for index in (0..unknown).rev() {
            let at = begin + usize::from(starts[index]);
            match u16::try_from(at) {
                Ok(at) if usize::from(at) < UNREACHABLE => {
                    self.insert(bytes, at, parent, label(index));
                    parent = at;
                }
                // Nor can those before it be said by way of it.
                _ => break,
            }
        }
        unknown < count
    }

    fn find(&self, bytes: &[u8], parent: u16, label: &[u8]) -> Option<u16> {
        for slot in self.probe(parent, label) {
            let index = self.slots[slot].checked_sub(1)?;
            let known = &self.labels[usize::from(index)];
            let at = usize::from(known.at);
            // Another, longer label may be looked for at the end of the message.
            let there = bytes.get(at..at + label.len());
            if known.parent == parent && there.is_some_and(|it| it.eq_ignore_ascii_case(label)) {
                return Some(known.at);
            }
        }
        None
    }

    fn insert(&mut self, bytes: &[u8], at: u16, parent: u16, label: &[u8]) {
        if (self.labels.len() + 1) * 2 > self.slots.len() {
            self.grow(bytes);
        }
        self.place(at, parent, label);
    }

    fn place(&mut self, at: u16, parent: u16, label: &[u8]) {
        let free = self
            .probe(parent, label)
            .find(|slot| self.slots[*slot] == 0);
        // There are fewer labels than places that a pointer reaches.
        let (Some(slot), Ok(index)) = (free, u16::try_from(self.labels.len() + 1)) else {
            return;
        };
        self.slots[slot] = index;
        self.labels.push(Label {
            at,
            parent,
            slot: u16::try_from(slot).unwrap_or(u16::MAX),
        });
    }

    fn grow(&mut self, bytes: &[u8]) {
        let size = (self.slots.len() * 2).clamp(64, 0x8000);
        if size == self.slots.len() {
            return;
        }
        self.slots.clear();
        self.slots.resize(size, 0);
        for Label { at, parent, .. } in std::mem::take(&mut self.labels) {
            let start = usize::from(at);
            let end = start + usize::from(bytes[start]);
            self.place(at, parent, &bytes[start..=end]);
        }
    }

    fn probe(&self, parent: u16, label: &[u8]) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut hash = u64::from(parent) ^ 0xcbf2_9ce4_8422_2325;
        for byte in label {
            hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3);
        }
        // The upper half, where every octet has had its say.
        let first = usize::try_from(hash >> 32).unwrap_or(0);
        let probes = if self.slots.is_empty() { 0 } else { PROBES };
        (0..probes).map(move |step| (first + step) & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Message, WireError};

    fn name(text: &str) -> Vec<u8> {
        let mut wire = Vec::new();
        for label in text.split('.').filter(|label| !label.is_empty()) {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }

    fn owners(message: &[u8]) -> Vec<Vec<u8>> {
        let records = Message::read(message).unwrap().records();
        let owners: Result<_, WireError> = records
            .map(|record| Ok(record?.name()?.as_bytes().to_vec()))
            .collect();
        owners.unwrap()
    }

    fn put(writer: &mut MessageWriter, owner: &str) -> Result<(), Full> {
        let (section, a) = (Section::Answer, RecordType::A);
        writer.record(section, &name(owner), a, Class::IN, 1, &[1, 2, 3, 4])
    }

    #[test]
    fn names_share_their_tails_in_any_case() {
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), 512);
        let asked = name("www.Example.ORG");
        writer.question(&asked, RecordType::A, Class::IN).unwrap();
        put(&mut writer, "WWW.example.org").unwrap();
        assert_eq!(writer.len(), 12 + 21 + 16);
        put(&mut writer, "a.b.example.org").unwrap();
        assert_eq!(writer.len(), 49 + 4 + 16);
        put(&mut writer, "org").unwrap();
        put(&mut writer, "").unwrap();
        put(&mut writer, "example.net").unwrap();
        let message = writer.finish();
        let expected = [
            "www.Example.ORG",
            "a.b.Example.ORG",
            "ORG",
            "",
            "example.net",
        ];
        assert_eq!(owners(message), expected.map(name));
    }

    #[test]
    fn names_in_data_are_compressed_where_everybody_can_read_them() {
        let mut writer = MessageWriter::new();
        let owner = name("example.org");
        let mut length = |record_type, rdata: &[u8]| {
            writer.begin(Header::default(), 512);
            let class = Class::IN;
            writer.question(&owner, record_type, class).unwrap();
            let answer = Section::Answer;
            writer
                .record(answer, &owner, record_type, class, 1, rdata)
                .unwrap();
            let message = writer.finish().to_vec();
            let record = Message::read(&message).unwrap().records().next().unwrap();
            let mut expanded = Vec::new();
            record.unwrap().expand_rdata(&mut expanded).unwrap();
            assert_eq!(expanded, rdata);
            message.len() - 12 - 17 - 12
        };
        let mx = [&[0, 10][..], &name("mx.example.org")].concat();
        assert_eq!(length(RecordType::MX, &mx), 2 + 5);
        let srv = [&[0; 6][..], &name("mx.example.org")].concat();
        assert_eq!(length(RecordType::SRV, &srv), srv.len());
        let soa = [
            name("ns.example.org"),
            name("a.ns.example.org"),
            vec![1; 20],
        ]
        .concat();
        assert_eq!(length(RecordType::SOA, &soa), 5 + 4 + 20);
        // What is no name is left alone.
        for (record_type, rdata) in [(RecordType::MX, &[0][..]), (RecordType::NS, &[])] {
            writer.begin(Header::default(), 512);
            let (answer, class) = (Section::Answer, Class::IN);
            writer
                .record(answer, &[0], record_type, class, 1, rdata)
                .unwrap();
            assert_eq!(&writer.finish()[12 + 11..], rdata);
        }
    }

    #[test]
    fn what_has_no_room_leaves_no_trace() {
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), 60);
        put(&mut writer, "one.example").unwrap();
        let before = writer.len();
        assert_eq!(put(&mut writer, "a.long.name.that.has.no.room"), Err(Full));
        assert_eq!(writer.len(), before);
        // Its labels are forgotten: nothing points to them.
        writer.limit = 512;
        put(&mut writer, "other.room").unwrap();
        put(&mut writer, "no.room").unwrap();
        let expected = ["one.example", "other.room", "no.room"].map(name);
        assert_eq!(owners(writer.finish()), expected);
        assert_eq!(writer.header().counts, [0, 3, 0, 0]);
        writer.begin(Header::default(), 60);
        writer.reserve(11);
        assert_eq!(writer.room(), 60 - 12 - 11);
    }

    #[test]
    fn a_long_message_of_many_names_reads_back() {
        let mut writer = MessageWriter::new();
        for _ in 0..2 {
            writer.begin(Header::default(), LONGEST_MESSAGE);
            let mut expected = Vec::new();
            for number in 0.. {
                let owner = match number % 3 {
                    0 => format!("n{number}.example"),
                    1 => format!("x.n{}.example", number - 1),
                    _ => format!("n{number}.{number}"),
                };
                if put(&mut writer, &owner).is_err() {
                    break;
                }
                expected.push(name(&owner));
            }
            assert!(expected.len() > 2000);
            assert_eq!(owners(writer.finish()), expected);
        }
    }

    #[test]
    fn distinct_suffixes_cost_one_look_each() {
        let mut writer = MessageWriter::new();
        writer.begin(Header::default(), LONGEST_MESSAGE);
        for number in 0..2500 {
            let owner = format!("{number:04}.{:04}", 9999 - number);
            put(&mut writer, &owner).unwrap();
        }
        // Work, counted: the longest way to a label in the table.
        let names = &writer.names;
        let mut longest = 0;
        for label in &names.labels {
            let at = usize::from(label.at);
            let text = &writer.bytes[at..=at + usize::from(writer.bytes[at])];
            let way = names.probe(label.parent, text);
            let way = way.take_while(|slot| *slot != usize::from(label.slot));
            longest = longest.max(way.count());
        }
        assert!(longest < PROBES, "{longest}");
    }
}
