//! The server of a transfer: records in, messages out.

use std::time::SystemTime;

use super::Entry;
use crate::proto::{
    Class, Full, Header, LONGEST_MESSAGE, MessageWriter, Name, RecordType, Section, tsig::Signer,
};

/// Where the records of a transfer come from: in its order, from the first SOA
/// to the last.
pub trait Source: Send {
    /// The record that is next; none at the end.
    fn current(&self) -> Option<Entry<'_>>;

    /// Goes on to the one behind it.
    fn advance(&mut self);
}

/// A message is begun anew behind so many octets. Compression reaches no
/// further (RFC 1035, section 4.1.4), and a reader gets something to do early.
const MESSAGE: usize = 16 * 1024;

/// The answer to an AXFR or IXFR, message by message.
pub struct Outbound<S> {
    source: S,
    zone: Name,
    asked: RecordType,
    class: Class,
    header: Header,
    signer: Option<Signer>,
    longest: usize,
    first: bool,
}

impl<S: Source> Outbound<S> {
    /// The answer with these records to a request of this header and question.
    pub fn new(source: S, request: Header, zone: Name, asked: RecordType, class: Class) -> Self {
        let header = Header {
            id: request.id,
            flags: Header::QR | Header::AA | request.flags & Header::RD,
            counts: [0; 4],
        };
        Self {
            source,
            zone,
            asked,
            class,
            header,
            signer: None,
            longest: LONGEST_MESSAGE,
            first: true,
        }
    }

    /// Signs each message.
    #[must_use]
    pub fn signed(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// With messages of so many octets at most, which leaves room for somebody
    /// else's signature.
    #[must_use]
    pub fn at_most(mut self, octets: usize) -> Self {
        self.longest = octets;
        self
    }

    /// The next message; none when all has been said.
    ///
    /// # Errors
    /// [`Full`], if a record has no room in a message of its own. The transfer
    /// cannot go on then, and the connection must end, so that nobody takes
    /// what was sent for the whole.
    pub fn next_message(
        &mut self,
        writer: &mut MessageWriter,
        now: SystemTime,
    ) -> Result<Option<Vec<u8>>, Full> {
        if !self.first && self.source.current().is_none() {
            return Ok(None);
        }
        writer.begin(self.header, self.longest);
        writer.reserve(self.signer.as_ref().map_or(0, Signer::room));
        // Later messages need none (RFC 5936, section 2.2.1).
        if self.first {
            writer.question(self.zone.as_wire(), self.asked, self.class)?;
            self.first = false;
        }
        let mut empty = true;
        while let Some(entry) = self.source.current() {
            let written = writer.record(
                Section::Answer,
                entry.name.as_wire(),
                entry.record_type,
                entry.class,
                entry.ttl,
                entry.rdata,
            );
            match written {
                Err(Full) if !empty => break,
                written => written?,
            }
            empty = false;
            self.source.advance();
            if writer.len() >= MESSAGE {
                break;
            }
        }
        let mut message = writer.finish().to_vec();
        if let Some(signer) = &mut self.signer {
            signer.sign(&mut message, now);
        }
        Ok(Some(message))
    }
}

impl<S> std::fmt::Debug for Outbound<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("zone", &self.zone)
            .field("asked", &self.asked)
            .finish_non_exhaustive()
    }
}
