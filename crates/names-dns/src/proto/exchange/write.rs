//! Writing a query: header, question, and the OPT record with what we say of ourselves.

use crate::proto::{OptionCode, Query, put_option};

/// A secure channel's queries are of a length that is a multiple of this (RFC 8467, section 4.1).
const BLOCK: usize = 128;

/// How a query is written, beyond its question.
#[derive(Clone, Debug)]
pub(super) struct Style<'a> {
    /// The RD bit.
    pub(super) recursion_desired: bool,
    /// The AD bit, by which we say that we understand it in the answer (RFC 6840, section 5.7).
    pub(super) authentic_data: bool,
    /// Without it there is no OPT record.
    pub(super) edns: Option<Edns<'a>>,
}

#[derive(Clone, Debug)]
pub(super) struct Edns<'a> {
    /// The largest datagram that we take, in bytes.
    pub(super) payload: u16,
    /// The cookies, ours and the server's (RFC 7873, section 4); empty for none.
    pub(super) cookie: &'a [u8],
    /// Whether the length is to say little (RFC 7830).
    pub(super) padded: bool,
}

/// The query, with id 0: whoever sends it knows which are free.
pub(super) fn write(question: &Query, style: &Style<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + question.wire().len() + 11 + 44);
    let first = u8::from(style.recursion_desired);
    let second = u8::from(style.authentic_data) << 5 | u8::from(question.is_unchecked()) << 4;
    out.extend([0, 0, first, second, 0, 1, 0, 0, 0, 0, 0]);
    out.push(u8::from(style.edns.is_some()));
    out.extend(question.wire());
    let Some(edns) = &style.edns else { return out };
    out.extend([0, 0, 41]);
    out.extend(edns.payload.to_be_bytes());
    let flags = u8::from(question.wants_dnssec()) << 7;
    out.extend([0, 0, flags, 0, 0, 0]);
    let length_at = out.len() - 2;
    if !edns.cookie.is_empty() {
        put_option(&mut out, OptionCode::COOKIE, edns.cookie);
    }
    if edns.padded {
        let missing = (out.len() + 4).next_multiple_of(BLOCK) - (out.len() + 4);
        put_option(&mut out, OptionCode::PADDING, &[0; BLOCK][..missing]);
    }
    let length = u16::try_from(out.len() - length_at - 2).unwrap_or_default();
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
    out
}

/// Gives each letter of a query's name a case of its own: a forger has to guess them all
/// (draft-vixie-dnsext-dns0x20).
pub(super) fn shuffle_case(query: &mut [u8], name: usize, random: &mut dyn FnMut() -> u64) {
    let mut bits = 0;
    let mut left = 0;
    for byte in &mut query[12..12 + name] {
        if byte.is_ascii_alphabetic() {
            if left == 0 {
                (bits, left) = (random(), 64);
            }
            *byte ^= u8::from(bits & 1 == 1) << 5;
            bits >>= 1;
            left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::{
        op::Message,
        rr::{Name, RecordType, rdata::opt::EdnsCode},
    };

    use super::*;

    fn question() -> Query {
        let name = Name::from_ascii("a.long-enough.example.").unwrap();
        Query::new(&name, RecordType::TXT)
    }

    #[test]
    fn another_reader_reads_what_is_written() {
        let style = Style {
            recursion_desired: true,
            authentic_data: true,
            edns: Some(Edns {
                payload: 1232,
                cookie: b"01234567",
                padded: true,
            }),
        };
        let bytes = write(&question().dnssec_ok(true), &style);
        assert_eq!(bytes.len() % BLOCK, 0);
        let message = Message::from_vec(&bytes).unwrap();
        assert!(message.metadata.recursion_desired && message.metadata.authentic_data);
        assert_eq!(message.queries[0].name(), &question().name());
        let edns = message.edns.unwrap();
        assert!(edns.flags().dnssec_ok && edns.max_payload() == 1232);
        assert!(edns.option(EdnsCode::Cookie).is_some());
        let style = Style {
            edns: None,
            ..style
        };
        assert!(
            Message::from_vec(&write(&question(), &style))
                .unwrap()
                .edns
                .is_none()
        );
    }

    #[test]
    fn case_is_drawn_for_letters_alone() {
        let style = Style {
            recursion_desired: true,
            authentic_data: false,
            edns: None,
        };
        let plain = write(&question(), &style);
        let mut shuffled = plain.clone();
        shuffle_case(&mut shuffled, question().wire_name().len(), &mut || {
            u64::MAX
        });
        assert_eq!(
            &shuffled[12..],
            b"\x01A\x0bLONG-ENOUGH\x07EXAMPLE\0\0\x10\0\x01"
        );
        assert!(shuffled.eq_ignore_ascii_case(&plain));
    }
}
