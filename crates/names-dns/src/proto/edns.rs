//! Extensions of DNS: the OPT record and its options (RFC 6891).
//!
//! Known by number here: NSID (RFC 5001), client subnet (RFC 7871), cookies
//! (RFC 7873), TCP keep-alive (RFC 7828), padding (RFC 7830), extended errors
//! (RFC 8914).

use super::{Message, Record, RecordType, Section, WireError};

/// The number of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionCode(pub u16);

impl OptionCode {
    /// Who the server is (RFC 5001).
    pub const NSID: Self = Self(3);
    /// The network that the asker asks for (RFC 7871).
    pub const CLIENT_SUBNET: Self = Self(8);
    /// That the asker's address is its own (RFC 7873).
    pub const COOKIE: Self = Self(10);
    /// How long a TCP connection may stay idle (RFC 7828).
    pub const TCP_KEEPALIVE: Self = Self(11);
    /// Nothing, so that lengths tell nothing (RFC 7830).
    pub const PADDING: Self = Self(12);
    /// What went wrong, more exactly (RFC 8914).
    pub const EXTENDED_ERROR: Self = Self(15);
}

/// An OPT record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'a> {
    /// The longest UDP message that its sender takes, in octets. Less than 512
    /// counts as 512.
    pub udp_size: u16,
    /// The upper eight bits of the rcode.
    pub extended_rcode: u8,
    /// The version: 0.
    pub version: u8,
    /// Flags; DO is [`DO`](Self::DO).
    pub flags: u16,
    /// The options as they stand on the wire.
    pub options: &'a [u8],
}

impl<'a> Edns<'a> {
    /// The sender wants DNSSEC's records (RFC 3225).
    pub const DO: u16 = 0x8000;

    /// Reads an OPT record.
    ///
    /// # Errors
    /// [`WireError::Opt`] where the owner is not the root, and
    /// [`WireError::Rdata`] where the options are not of the lengths they say.
    pub fn read(record: &Record<'a>) -> Result<Self, WireError> {
        if record.name()?.as_bytes() != [0] {
            return Err(WireError::Opt);
        }
        let [extended_rcode, version, high, low] = record.ttl.to_be_bytes();
        let edns = Self {
            udp_size: record.class.0,
            extended_rcode,
            version,
            flags: u16::from_be_bytes([high, low]),
            options: record.rdata(),
        };
        match edns.options().all(|option| option.is_ok()) {
            true => Ok(edns),
            false => Err(WireError::Rdata),
        }
    }

    /// The OPT record of a message, if it has one.
    ///
    /// # Errors
    /// [`WireError::Opt`] where there are two.
    pub fn find(message: &Message<'a>) -> Result<Option<Self>, WireError> {
        let mut found = None;
        for record in message.records() {
            let record = record?;
            if record.record_type == RecordType::OPT {
                if found.is_some() || record.section != Section::Additional {
                    return Err(WireError::Opt);
                }
                found = Some(Self::read(&record)?);
            }
        }
        Ok(found)
    }

    /// Whether DNSSEC's records are wanted.
    pub fn dnssec_ok(&self) -> bool {
        self.flags & Self::DO != 0
    }

    /// Goes through the options.
    pub fn options(&self) -> Options<'a> {
        Options { rest: self.options }
    }

    /// The data of the first option with this number.
    pub fn option(&self, code: OptionCode) -> Option<&'a [u8]> {
        self.options()
            .filter_map(Result::ok)
            .find_map(|(found, data)| (found == code).then_some(data))
    }
}

/// Goes through options; ends after the first error.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<(OptionCode, &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parts = self.rest.split_first_chunk().and_then(|(head, rest)| {
            let [c0, c1, l0, l1]: [u8; 4] = *head;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (data, rest) = rest.split_at_checked(length)?;
            Some((OptionCode(u16::from_be_bytes([c0, c1])), data, rest))
        });
        let Some((code, data, rest)) = parts else {
            self.rest = &[];
            return Some(Err(WireError::Rdata));
        };
        self.rest = rest;
        Some(Ok((code, data)))
    }
}

/// Appends an option to those of an [`Edns`].
///
/// # Panics
/// If its data is longer than 65,535 octets.
pub fn put_option(options: &mut Vec<u8>, code: OptionCode, data: &[u8]) {
    let length = u16::try_from(data.len()).expect("an option has a length of two octets");
    options.extend_from_slice(&code.0.to_be_bytes());
    options.extend_from_slice(&length.to_be_bytes());
    options.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_both_ways() {
        let mut options = Vec::new();
        put_option(&mut options, OptionCode::NSID, b"");
        put_option(&mut options, OptionCode::COOKIE, b"12345678");
        let edns = Edns {
            options: &options,
            ..Edns::default()
        };
        let all: Result<Vec<_>, _> = edns.options().collect();
        let expected = [
            (OptionCode::NSID, &b""[..]),
            (OptionCode::COOKIE, b"12345678"),
        ];
        assert_eq!(all.unwrap(), expected);
        assert_eq!(edns.option(OptionCode::COOKIE), Some(&b"12345678"[..]));
        assert_eq!(edns.option(OptionCode::PADDING), None);
        let short = Edns {
            options: &options[..options.len() - 1],
            ..Edns::default()
        };
        assert_eq!(short.options().last(), Some(Err(WireError::Rdata)));
    }
}
