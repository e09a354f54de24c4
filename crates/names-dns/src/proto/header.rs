//! The twelve octets that every message begins with (RFC 1035, section 4.1.1;
//! RFC 4035, section 3.2, for AD and CD).

use super::{Opcode, Rcode};

/// The header of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Chosen by who asks, and repeated in the answer.
    pub id: u16,
    /// All of the second word: flags, opcode and rcode.
    pub flags: u16,
    /// How many questions, answers, authority records and additional records.
    pub counts: [u16; 4],
}

impl Header {
    /// Its length, in octets.
    pub const LENGTH: usize = 12;
    /// It is an answer.
    pub const QR: u16 = 0x8000;
    /// The answer comes from an authority.
    pub const AA: u16 = 0x0400;
    /// The answer is cut short: ask again over TCP.
    pub const TC: u16 = 0x0200;
    /// The asker wants recursion.
    pub const RD: u16 = 0x0100;
    /// The server offers recursion.
    pub const RA: u16 = 0x0080;
    /// The server has verified the data, or the asker understands this flag.
    pub const AD: u16 = 0x0020;
    /// The asker verifies by itself.
    pub const CD: u16 = 0x0010;

    /// Reads it; `None` if the message is shorter.
    #[inline]
    pub fn read(message: &[u8]) -> Option<Self> {
        let bytes: &[u8; 12] = message.first_chunk()?;
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        Some(Self {
            id: word(0),
            flags: word(2),
            counts: [word(4), word(6), word(8), word(10)],
        })
    }

    /// As it stands on the wire.
    #[inline]
    pub fn to_bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let words = [self.id, self.flags].into_iter().chain(self.counts);
        for (at, word) in bytes.chunks_exact_mut(2).zip(words) {
            at.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    /// Whether all of these flags are set.
    #[inline]
    pub fn has(self, flags: u16) -> bool {
        self.flags & flags == flags
    }

    /// What the message is for.
    #[inline]
    pub fn opcode(self) -> Opcode {
        Opcode((self.flags >> 11 & 0xF) as u8)
    }

    /// The four bits of the rcode that stand here.
    #[inline]
    pub fn rcode(self) -> Rcode {
        Rcode(self.flags & 0xF)
    }

    /// With this opcode.
    #[must_use]
    pub fn with_opcode(mut self, opcode: Opcode) -> Self {
        self.flags = self.flags & !0x7800 | u16::from(opcode.0 & 0xF) << 11;
        self
    }

    /// With the four bits of this rcode that stand here.
    #[must_use]
    pub fn with_rcode(mut self, rcode: Rcode) -> Self {
        self.flags = self.flags & !0xF | u16::from(rcode.low());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let bytes: Vec<u8> = (1..=12).collect();
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.to_bytes()[..], bytes[..]);
        assert_eq!(Header::read(&bytes[..11]), None);
        let header = Header::default()
            .with_opcode(Opcode::NOTIFY)
            .with_rcode(Rcode::BADVERS);
        assert_eq!(header.flags, 4 << 11);
        assert_eq!(header.opcode(), Opcode::NOTIFY);
    }
}
