//! The client of a transfer: what it asks, and what it makes of the answer.

use std::time::SystemTime;

use super::Entry;
use crate::proto::{
    Class, Full, Header, LONGEST_MESSAGE, Message, MessageWriter, Name, NameRef, Opcode, Rcode,
    RecordType, Section, Serial, SoaNumbers, WireError, rdata,
    tsig::{self, Key, Verifier, VerifyError},
};

/// What a transfer may cost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboundOptions {
    /// Octets of all its messages together. Default 2 GiB: some twenty million
    /// records.
    pub octets: u64,
    /// Records. Default twenty million.
    pub records: u64,
    /// Versions that one incremental transfer goes through. Default 10,000;
    /// with more, a whole zone is cheaper.
    pub differences: u32,
    /// Messages in a row without a record. Default 16: a server that has
    /// nothing to say should end.
    pub empty: u32,
}

impl Default for InboundOptions {
    fn default() -> Self {
        Self {
            octets: 2 << 30,
            records: 20_000_000,
            differences: 10_000,
            empty: 16,
        }
    }
}

/// What happens to the zone, in order. None of it counts before the transfer
/// is [complete](Progress::Complete): until then it may be forged or cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The whole zone follows; what is known of it is not in it.
    Whole,
    /// This record is in it. The SOA comes first.
    Add(Entry<'a>),
    /// This record is in it no more. An SOA begins each difference.
    Remove(Entry<'a>),
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to come.
    More,
    /// The server has nothing newer: its serial.
    UpToDate(Serial),
    /// All is there, and this is the new version.
    Complete(Serial),
}

/// Why a transfer failed. The zone stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The server answered with an error.
    #[error("the server answered {0}{hint}", hint = match *.0 {
        Rcode::REFUSED => ": it must allow this transfer, by address or key",
        Rcode::NOTAUTH => ": it does not serve the zone, or not by this key",
        _ => "",
    })]
    Refused(Rcode),
    /// The signature is not good.
    #[error(transparent)]
    Signature(#[from] VerifyError),
    /// A message is not well formed.
    #[error("a malformed message: {0}")]
    Malformed(#[from] WireError),
    /// A message is no answer to what was asked.
    #[error("the answer is not to this request: {0}")]
    Stray(&'static str),
    /// Records come in an order that makes no transfer.
    #[error("the records make no transfer: {0}")]
    Sequence(&'static str),
    /// A record that this zone cannot have.
    #[error("{record_type} of {name} cannot be in the zone: {why}")]
    Foreign {
        /// Whose record.
        name: Name,
        /// Its type.
        record_type: RecordType,
        /// Why not.
        why: &'static str,
    },
    /// The server's version is not newer than ours.
    #[error("serial {theirs} is not newer than {ours}, which we have")]
    NotNewer {
        /// The server's.
        theirs: Serial,
        /// Ours.
        ours: Serial,
    },
    /// It is more than [`InboundOptions`] allow.
    #[error("too much: more than {0}")]
    TooMuch(&'static str),
    /// What came cannot be applied to the zone that we have.
    #[error("it does not fit the zone that we have: {0}")]
    Conflict(&'static str),
}

/// The client of one transfer.
///
/// ```
/// use std::time::SystemTime;
/// use ropewalk_names_dns::proto::{Class, transfer::{Inbound, InboundOptions}};
///
/// let zone = "example.org.".parse()?;
/// let (mut transfer, request) = Inbound::axfr(zone, Class::IN, 7, None, InboundOptions::default());
/// // The request goes out, and each message that comes goes in:
/// # let mut message = request.clone();
/// let error = transfer.receive(&mut message, SystemTime::now(), &mut |_| Ok(())).unwrap_err();
/// assert!(error.to_string().contains("no answer"));
/// # Ok::<(), ropewalk_names_dns::proto::NameError>(())
/// ```
#[derive(Debug)]
pub struct Inbound {
    zone: Name,
    class: Class,
    id: u16,
    /// What the version must be newer than.
    have: Option<Serial>,
    incremental: bool,
    verifier: Option<Verifier>,
    pub(super) options: InboundOptions,
    state: State,
    first_message: bool,
    /// The first SOA: its TTL and data.
    soa: (u32, Vec<u8>),
    /// Its serial, which the zone will have.
    serial: Serial,
    /// The serial that the differences have come to.
    at: Serial,
    octets: u64,
    records: u64,
    differences: u32,
    empty: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// The first SOA of an IXFR was there; the next record tells what this is.
    Undecided,
    Whole,
    Removing,
    Adding,
    UpToDate,
    Done,
}

impl Inbound {
    /// Asks for the whole zone; returns the request too, signed if there is a
    /// key. The answer's version may be any; see
    /// [`newer_than`](Self::newer_than).
    pub fn axfr(
        zone: Name,
        class: Class,
        id: u16,
        key: Option<(&Key, SystemTime)>,
        options: InboundOptions,
    ) -> (Self, Vec<u8>) {
        Self::new(zone, class, id, None, key, options)
    }

    /// Asks for what changed since the version of this SOA: its TTL and data.
    /// The server may send the whole zone all the same.
    ///
    /// # Panics
    /// If the data is no SOA's: it is our own.
    pub fn ixfr(
        zone: Name,
        class: Class,
        id: u16,
        soa: (u32, &[u8]),
        key: Option<(&Key, SystemTime)>,
        options: InboundOptions,
    ) -> (Self, Vec<u8>) {
        Self::new(zone, class, id, Some(soa), key, options)
    }

    fn new(
        zone: Name,
        class: Class,
        id: u16,
        soa: Option<(u32, &[u8])>,
        key: Option<(&Key, SystemTime)>,
        options: InboundOptions,
    ) -> (Self, Vec<u8>) {
        let have = soa.map(|(_, rdata)| {
            let numbers = SoaNumbers::read(rdata).expect("our own SOA is one");
            numbers.serial
        });
        let asked = match soa {
            Some(_) => RecordType::IXFR,
            None => RecordType::AXFR,
        };
        let mut request = question(&zone, asked, class, id, soa);
        let verifier = key.map(|(key, now)| tsig::sign(&mut request, key, now));
        let this = Self {
            zone,
            class,
            id,
            have,
            incremental: soa.is_some(),
            verifier,
            options,
            state: State::Start,
            first_message: true,
            soa: (0, Vec::new()),
            serial: Serial(0),
            at: Serial(0),
            octets: 0,
            records: 0,
            differences: 0,
            empty: 0,
        };
        (this, request)
    }

    /// Refuses a version that is not newer than this.
    #[must_use]
    pub fn newer_than(mut self, serial: Serial) -> Self {
        self.have = Some(serial);
        self
    }

    /// The next message of the answer: checks it, takes the signature off it,
    /// and hands what it says to `sink`, which may refuse it.
    ///
    /// # Errors
    /// [`TransferError`]; the transfer is over then.
    pub fn receive(
        &mut self,
        message: &mut Vec<u8>,
        now: SystemTime,
        sink: &mut dyn FnMut(Change<'_>) -> Result<(), TransferError>,
    ) -> Result<Progress, TransferError> {
        self.octets += message.len() as u64;
        if self.octets > self.options.octets {
            return Err(TransferError::TooMuch("its limit of octets"));
        }
        let header = Header::read(message).ok_or(WireError::Short)?;
        if header.id != self.id || !header.has(Header::QR) || header.opcode() != Opcode::QUERY {
            return Err(TransferError::Stray("no answer, or of another id"));
        }
        if let Some(verifier) = &mut self.verifier {
            match verifier.verify(message, now) {
                Ok(_) => {}
                // Servers that do not know the key at all say so unsigned. Whoever forges
                // that on a stream could as well cut it.
                Err(VerifyError::Unsigned) if header.rcode() != Rcode::NOERROR => {
                    return Err(TransferError::Refused(header.rcode()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let message = Message::read(message)?;
        self.check(&message)?;
        let before = self.records;
        for record in message.records() {
            let record = record?;
            if record.section != Section::Answer {
                break;
            }
            let mut rdata = Vec::with_capacity(64);
            record.expand_rdata(&mut rdata)?;
            let name = record.name()?;
            let entry = Entry {
                name: NameRef::from_wire(name.as_bytes())
                    .map_err(|_| TransferError::Malformed(WireError::Label))?,
                record_type: record.record_type,
                class: record.class,
                // RFC 2181, section 8.
                ttl: if record.ttl >> 31 == 0 { record.ttl } else { 0 },
                rdata: &rdata,
            };
            self.records += 1;
            if self.records > self.options.records {
                return Err(TransferError::TooMuch("its limit of records"));
            }
            self.check_entry(&entry)?;
            self.record(&entry, sink)?;
        }
        self.first_message = false;
        self.empty = if self.records == before {
            self.empty + 1
        } else {
            0
        };
        if self.empty > self.options.empty || (self.records == 0 && self.empty > 0) {
            return Err(TransferError::Sequence("messages without records"));
        }
        self.progress()
    }

    fn check(&self, message: &Message<'_>) -> Result<(), TransferError> {
        let header = message.header();
        if header.rcode() != Rcode::NOERROR {
            return Err(TransferError::Refused(header.rcode()));
        }
        if header.has(Header::TC) {
            return Err(TransferError::Stray("it is truncated"));
        }
        // Further messages may leave the question out (RFC 5936, section 2.2.1).
        match message.question() {
            None if self.first_message => Err(TransferError::Stray("it has no question")),
            None => Ok(()),
            Some(question) => {
                let question = question?;
                let asked = match self.incremental {
                    true => RecordType::IXFR,
                    false => RecordType::AXFR,
                };
                let name = question.name()?;
                match question.record_type == asked
                    && question.class == self.class
                    && name.as_bytes().eq_ignore_ascii_case(self.zone.as_wire())
                    && header.counts[0] == 1
                {
                    true => Ok(()),
                    false => Err(TransferError::Stray("another question")),
                }
            }
        }
    }

    /// Whether the zone can have such a record at all.
    fn check_entry(&self, entry: &Entry<'_>) -> Result<(), TransferError> {
        let why = if !entry.name.is_at_or_below(self.zone.as_ref()) {
            "it is outside"
        } else if entry.class != self.class {
            "it is of another class"
        } else if is_meta(entry.record_type) {
            "such records are in no zone"
        } else if entry.record_type == RecordType::SOA && entry.name != self.zone.as_ref() {
            "an SOA stands only at the top"
        } else if rdata::check(entry.class, entry.record_type, entry.rdata).is_err() {
            "its data is not what the type has"
        } else {
            return Ok(());
        };
        Err(TransferError::Foreign {
            name: entry.name.to_name(),
            record_type: entry.record_type,
            why,
        })
    }

    fn record(
        &mut self,
        entry: &Entry<'_>,
        sink: &mut dyn FnMut(Change<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        let soa = match entry.record_type {
            RecordType::SOA => Some(serial(entry)?),
            _ => None,
        };
        match (self.state, soa) {
            (State::Start, Some(serial)) => self.begin(entry, serial, sink),
            (State::Start, None) => Err(TransferError::Sequence("the first is no SOA")),
            (State::Undecided, Some(serial)) if serial == self.serial => {
                // A zone of an SOA and nothing else.
                self.begin_whole(sink)?;
                self.end_whole(entry)
            }
            (State::Undecided, Some(serial)) if Some(serial) == self.have => {
                self.at = serial;
                self.begin_difference(entry, sink)
            }
            (State::Undecided, Some(_)) => Err(TransferError::Sequence(
                "the differences do not begin with the version that we have",
            )),
            (State::Undecided, None) => {
                self.begin_whole(sink)?;
                sink(Change::Add(*entry))
            }
            (State::Whole, Some(_)) => self.end_whole(entry),
            (State::Whole | State::Adding, None) => sink(Change::Add(*entry)),
            (State::Removing, None) => sink(Change::Remove(*entry)),
            (State::Removing, Some(serial)) => {
                // Each version is newer than the one before and none is beyond the last, or
                // this could go round for ever.
                if !serial.is_newer_than(self.at)
                    || (serial != self.serial && !self.serial.is_newer_than(serial))
                {
                    return Err(TransferError::Sequence(
                        "the versions do not follow each other",
                    ));
                }
                self.at = serial;
                self.state = State::Adding;
                sink(Change::Add(*entry))
            }
            (State::Adding, Some(serial)) if serial != self.at => {
                Err(TransferError::Sequence("a version is missing"))
            }
            (State::Adding, Some(serial)) if serial == self.serial => self.end_whole(entry),
            (State::Adding, Some(_)) => self.begin_difference(entry, sink),
            (State::UpToDate | State::Done, _) => {
                Err(TransferError::Sequence("there is more behind the end"))
            }
        }
    }

    /// The first SOA.
    fn begin(
        &mut self,
        entry: &Entry<'_>,
        serial: Serial,
        sink: &mut dyn FnMut(Change<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.serial = serial;
        self.soa = (entry.ttl, entry.rdata.to_vec());
        match (self.incremental, self.have) {
            (true, Some(have)) if !serial.is_newer_than(have) => self.state = State::UpToDate,
            (true, _) => self.state = State::Undecided,
            (false, Some(ours)) if !serial.is_newer_than(ours) => {
                let theirs = serial;
                return Err(TransferError::NotNewer { theirs, ours });
            }
            (false, _) => self.begin_whole(sink)?,
        }
        Ok(())
    }

    fn begin_whole(
        &mut self,
        sink: &mut dyn FnMut(Change<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.state = State::Whole;
        sink(Change::Whole)?;
        sink(Change::Add(Entry {
            name: self.zone.as_ref(),
            record_type: RecordType::SOA,
            class: self.class,
            ttl: self.soa.0,
            rdata: &self.soa.1,
        }))
    }

    fn begin_difference(
        &mut self,
        entry: &Entry<'_>,
        sink: &mut dyn FnMut(Change<'_>) -> Result<(), TransferError>,
    ) -> Result<(), TransferError> {
        self.differences += 1;
        if self.differences > self.options.differences {
            return Err(TransferError::TooMuch("its limit of differences"));
        }
        self.state = State::Removing;
        sink(Change::Remove(*entry))
    }

    /// The last SOA, which is the first again.
    fn end_whole(&mut self, entry: &Entry<'_>) -> Result<(), TransferError> {
        if serial(entry)? != self.serial {
            return Err(TransferError::Sequence("the last SOA is not the first one"));
        }
        self.state = State::Done;
        Ok(())
    }

    fn progress(&self) -> Result<Progress, TransferError> {
        let progress = match self.state {
            State::Done => Progress::Complete(self.serial),
            State::UpToDate => Progress::UpToDate(self.serial),
            _ => return Ok(Progress::More),
        };
        // What is not signed to its end may have been cut.
        match &self.verifier {
            Some(verifier) if !verifier.is_complete() => Err(VerifyError::Unsigned.into()),
            _ => Ok(progress),
        }
    }
}

fn serial(entry: &Entry<'_>) -> Result<Serial, TransferError> {
    let numbers = SoaNumbers::read(entry.rdata).ok_or(WireError::Rdata)?;
    Ok(numbers.serial)
}

/// Types that are no data (RFC 6895, section 3.1): 0, OPT, and those of
/// questions.
fn is_meta(record_type: RecordType) -> bool {
    matches!(record_type.0, 0 | 41 | 128..=255)
}

/// A request for a zone: its question, and the SOA of the version that is
/// there already (RFC 1995, section 3).
fn question(
    zone: &Name,
    record_type: RecordType,
    class: Class,
    id: u16,
    soa: Option<(u32, &[u8])>,
) -> Vec<u8> {
    let mut writer = MessageWriter::new();
    let header = Header {
        id,
        ..Header::default()
    };
    writer.begin(header, LONGEST_MESSAGE);
    let written = writer
        .question(zone.as_wire(), record_type, class)
        .and_then(|()| match soa {
            Some((ttl, rdata)) => writer.record(
                Section::Authority,
                zone.as_wire(),
                RecordType::SOA,
                class,
                ttl,
                rdata,
            ),
            None => Ok::<(), Full>(()),
        });
    written.expect("a question and an SOA have room");
    writer.finish().to_vec()
}
