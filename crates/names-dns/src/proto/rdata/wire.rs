//! RDATA on the wire: checked, taken out of messages, and the names in it.

use super::super::name::{self, NameRef};
use super::super::{Class, RecordType};
use super::{Field, NameKind, RdataError, check_rules, layout};

/// Checks RDATA that stands alone, with no names compressed.
///
/// # Errors
///
/// What the type does not allow. RDATA of a type that the table does not have is all right.
pub fn check(class: Class, record_type: RecordType, rdata: &[u8]) -> Result<(), RdataError> {
    if rdata.len() > super::MAX_RDATA {
        return Err(RdataError::TooLong);
    }
    let Some(fields) = layout(class, record_type) else {
        return Ok(());
    };
    let mut at = 0;
    for &field in fields {
        at = end_of(field, rdata, at)?;
    }
    if at != rdata.len() {
        return Err(RdataError::Trailing);
    }
    check_rules(record_type, rdata)
}

/// Appends the RDATA that stands at `start..end` of a message to `out`, with
/// its names no longer compressed, checked as [`check`] does.
///
/// # Errors
///
/// What the type does not allow; `out` may then hold a part.
///
/// # Panics
///
/// Where `start..end` is no range of `message`.
pub fn unpack(
    class: Class,
    record_type: RecordType,
    message: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    // Octets behind the RDATA are not its, so that nothing reads past its end.
    let message = &message[..end];
    let Some(fields) = layout(class, record_type) else {
        out.extend_from_slice(&message[start..]);
        return Ok(());
    };
    let begin = out.len();
    let mut at = start;
    for &field in fields {
        match field {
            Field::Name(NameKind::Compressed | NameKind::Tolerated) => {
                at = name::unpack(message, at, out)?;
            }
            _ => {
                let next = end_of(field, message, at)?;
                out.extend_from_slice(&message[at..next]);
                at = next;
            }
        }
    }
    if at != end {
        return Err(RdataError::Trailing);
    }
    if out.len() - begin > super::MAX_RDATA {
        return Err(RdataError::TooLong);
    }
    check_rules(record_type, &out[begin..])
}

/// A name within RDATA.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct NamePart<'a> {
    /// Where it begins, in octets from the beginning of the RDATA.
    pub at: usize,
    /// The name.
    pub name: NameRef<'a>,
    /// How it is treated.
    pub kind: NameKind,
}

/// The names in RDATA that [`check`] has found well: what to compress, and whose addresses to add.
///
/// Gateways (IPSECKEY, AMTRELAY), rendezvous servers (HIP) and A6's prefix
/// are not among them: they are neither compressed nor looked up.
pub fn names(class: Class, record_type: RecordType, rdata: &[u8]) -> Names<'_> {
    Names {
        fields: layout(class, record_type).unwrap_or(&[]),
        rdata,
        at: 0,
    }
}

/// What [`names`] gives.
#[derive(Debug, Clone)]
pub struct Names<'a> {
    fields: &'static [Field],
    rdata: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Names<'a> {
    type Item = NamePart<'a>;

    fn next(&mut self) -> Option<NamePart<'a>> {
        while let [field, rest @ ..] = self.fields {
            self.fields = rest;
            let at = self.at;
            if let Field::Name(kind) = *field {
                let (name, _) = NameRef::split_from(self.rdata.get(at..)?).ok()?;
                self.at += name.as_wire().len();
                return Some(NamePart { at, name, kind });
            }
            // Nothing of use stands behind the last name.
            if !rest.iter().any(|field| matches!(field, Field::Name(_))) {
                return None;
            }
            self.at = end_of(*field, self.rdata, at).ok()?;
        }
        None
    }
}

/// Brings RDATA that [`check`] has found well into canonical form (RFC 4034, 6.2): names of the
/// types that are named there become lower case.
pub fn canonicalise(class: Class, record_type: RecordType, rdata: &mut [u8]) {
    let Some(fields) = layout(class, record_type) else {
        return;
    };
    let mut at = 0;
    for &field in fields {
        let Ok(end) = end_of(field, rdata, at) else {
            return;
        };
        if matches!(field, Field::Name(kind) if kind != NameKind::Plain) {
            rdata[at..end].make_ascii_lowercase();
        }
        at = end;
    }
}

/// Where a field that begins at `at` ends in `rdata`, if it is well-formed.
pub(super) fn end_of(field: Field, rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    let rest = rdata.get(at..).ok_or(RdataError::Missing("a field"))?;
    let fixed = |length: usize, what| {
        if rest.len() < length {
            Err(RdataError::Missing(what))
        } else {
            Ok(at + length)
        }
    };
    let to_end = Ok(rdata.len());
    let counted = |what| match rest.split_first() {
        Some((&length, data)) if data.len() >= usize::from(length) => {
            Ok(at + 1 + usize::from(length))
        }
        _ => Err(RdataError::Missing(what)),
    };
    match field {
        Field::Name(_) => {
            let (name, _) = NameRef::split_from(rest)?;
            Ok(at + name.as_wire().len())
        }
        Field::U8 | Field::Algorithm => fixed(1, "an octet"),
        Field::U16 | Field::Octal | Field::Type | Field::CertType => fixed(2, "16 bits"),
        Field::U32 | Field::Period | Field::Time => fixed(4, "32 bits"),
        Field::Ipv4 => fixed(4, "an IPv4 address"),
        Field::Ipv6 => fixed(16, "an IPv6 address"),
        Field::Eui48 => fixed(6, "48 bits"),
        Field::Eui64 | Field::Locator => fixed(8, "64 bits"),
        Field::String => counted("a character-string"),
        Field::OptionalString if rest.is_empty() => to_end,
        Field::OptionalString => counted("a character-string"),
        Field::Strings => {
            let mut strings = rest;
            loop {
                let (&length, data) = strings
                    .split_first()
                    .ok_or(RdataError::Missing("a character-string"))?;
                strings = data
                    .get(usize::from(length)..)
                    .ok_or(RdataError::Missing("the rest of a character-string"))?;
                if strings.is_empty() {
                    return to_end;
                }
            }
        }
        Field::Quoted | Field::OptionalBase64 | Field::DashBase64 => to_end,
        Field::Tag => {
            let end = counted("a tag")?;
            let tag = &rdata[at + 1..end];
            if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
                return Err(RdataError::Rule("a tag of letters and digits expected"));
            }
            Ok(end)
        }
        Field::Base64 | Field::Hex | Field::Nsap | Field::Atma if rest.is_empty() => {
            Err(RdataError::Missing("data"))
        }
        Field::Base64 | Field::Hex | Field::Nsap | Field::Atma => to_end,
        Field::Salt => counted("a salt"),
        Field::Hash => {
            let end = counted("a hash")?;
            if end == at + 1 {
                return Err(RdataError::Missing("a hash"));
            }
            Ok(end)
        }
        Field::Bitmap => check_bitmap(rest).map(|()| rdata.len()),
        Field::OldBitmap => match rest {
            // RFC 2535, 5.2: a first bit says that it is another format.
            [first, .., last] if rest.len() <= 16 && first & 0x80 == 0 && *last != 0 => to_end,
            [one] if one & 0x80 == 0 && *one != 0 => to_end,
            _ => Err(RdataError::Rule("a bitmap of up to 16 octets expected")),
        },
        Field::SvcParams => check_svc_params(rest).map(|()| rdata.len()),
        Field::Loc => match rest {
            [
                0,
                size,
                horizontal,
                vertical,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
            ] => {
                for precision in [size, horizontal, vertical] {
                    if precision >> 4 > 9 || precision & 15 > 9 {
                        return Err(RdataError::Rule("two decimal digits expected in a size"));
                    }
                }
                to_end
            }
            [0, ..] | [] => Err(RdataError::Rule("16 octets of LOC expected")),
            _ => Err(RdataError::Rule("LOC of version 0 expected")),
        },
        Field::Apl => check_apl(rest).map(|()| rdata.len()),
        Field::Services => match rest {
            [] => Err(RdataError::Missing("a protocol")),
            [_, ports @ ..] if ports.len() <= 8192 => to_end,
            _ => Err(RdataError::Rule("a bitmap of up to 8192 octets expected")),
        },
        Field::IpsecKey => {
            let [_, kind, algorithm, ..] = *rest else {
                return Err(RdataError::Missing("a gateway's kind and an algorithm"));
            };
            let end = gateway_end(kind, rdata, at + 3)?;
            if algorithm != 0 && end == rdata.len() {
                return Err(RdataError::Missing("a key"));
            }
            to_end
        }
        Field::AmtRelay => {
            let [_, kind, ..] = *rest else {
                return Err(RdataError::Missing("a relay's kind"));
            };
            gateway_end(kind & 0x7F, rdata, at + 2)
        }
        Field::Hip => {
            let [hit, _, high, low, data @ ..] = rest else {
                return Err(RdataError::Missing("lengths of a tag and a key"));
            };
            let key = usize::from(u16::from_be_bytes([*high, *low]));
            if *hit == 0 || key == 0 {
                return Err(RdataError::Rule("a tag and a key of some length expected"));
            }
            let mut servers = data
                .get(usize::from(*hit) + key..)
                .ok_or(RdataError::Missing("the rest of a key"))?;
            while !servers.is_empty() {
                (_, servers) = NameRef::split_from(servers)?;
            }
            to_end
        }
        Field::A6 => {
            let prefix = *rest.first().ok_or(RdataError::Missing("a prefix length"))?;
            if prefix > 128 {
                return Err(RdataError::Rule("a prefix length of at most 128 expected"));
            }
            let suffix = 16 - usize::from(prefix / 8);
            let suffix_end = fixed(1 + suffix, "an address suffix")?;
            if prefix == 0 {
                return Ok(suffix_end);
            }
            if prefix % 8 != 0 && rdata[at + 1] >> (8 - prefix % 8) != 0 {
                return Err(RdataError::Rule("zero bits before the suffix expected"));
            }
            end_of(Field::Name(NameKind::Lower), rdata, suffix_end)
        }
    }
}

/// Where the gateway of IPSECKEY (RFC 4025, 2.5) or AMTRELAY (RFC 8777, 4.2.4) ends.
pub(super) fn gateway_end(kind: u8, rdata: &[u8], at: usize) -> Result<usize, RdataError> {
    match kind {
        0 => Ok(at),
        1 => end_of(Field::Ipv4, rdata, at),
        2 => end_of(Field::Ipv6, rdata, at),
        3 => end_of(Field::Name(NameKind::Plain), rdata, at),
        _ => Err(RdataError::Rule("a gateway of kind 0 to 3 expected")),
    }
}

/// RFC 4034, 4.1.2: windows in ascending order, each of 1 to 32 octets, the last not zero.
fn check_bitmap(mut windows: &[u8]) -> Result<(), RdataError> {
    let rule = RdataError::Rule("a type bitmap is not well-formed");
    let mut next = 0;
    while let [window, length, data @ ..] = windows {
        let length = usize::from(*length);
        if u16::from(*window) < next || !(1..=32).contains(&length) || data.len() < length {
            return Err(rule);
        }
        if data[length - 1] == 0 {
            return Err(rule);
        }
        next = u16::from(*window) + 1;
        windows = &data[length..];
    }
    if windows.is_empty() {
        Ok(())
    } else {
        Err(rule)
    }
}

/// RFC 3123, section 4.
fn check_apl(mut items: &[u8]) -> Result<(), RdataError> {
    while let [high, low, prefix, length, data @ ..] = items {
        let length = usize::from(length & 0x7F);
        let (most_bits, most_octets) = match u16::from_be_bytes([*high, *low]) {
            1 => (32, 4),
            2 => (128, 16),
            _ => (255, 127),
        };
        if *prefix > most_bits || length > most_octets || data.len() < length {
            return Err(RdataError::Rule("an address prefix is not well-formed"));
        }
        if length > 0 && data[length - 1] == 0 {
            return Err(RdataError::Rule(
                "an address prefix without zeros at its end expected",
            ));
        }
        items = &data[length..];
    }
    if items.is_empty() {
        Ok(())
    } else {
        Err(RdataError::Rule("an address prefix is not well-formed"))
    }
}

/// RFC 9460, 2.2 and 7: keys in ascending order, and values as the known ones have them.
fn check_svc_params(mut params: &[u8]) -> Result<(), RdataError> {
    let all = params;
    let mut next = 0;
    while let [k1, k2, l1, l2, data @ ..] = params {
        let key = u16::from_be_bytes([*k1, *k2]);
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        if u32::from(key) < next {
            return Err(RdataError::Rule(
                "SvcParams in ascending order of keys expected",
            ));
        }
        next = u32::from(key) + 1;
        let value = data
            .get(..length)
            .ok_or(RdataError::Missing("the rest of a SvcParam"))?;
        check_svc_value(key, value, all)?;
        params = &data[length..];
    }
    if params.is_empty() {
        Ok(())
    } else {
        Err(RdataError::Missing("the rest of a SvcParam"))
    }
}

fn check_svc_value(key: u16, value: &[u8], all: &[u8]) -> Result<(), RdataError> {
    let fine = match key {
        // mandatory: keys in ascending order, each of them there, itself not named.
        0 => {
            let keys: Vec<u16> = value
                .chunks(2)
                .map(|pair| {
                    pair.iter()
                        .fold(0, |key, &octet| key << 8 | u16::from(octet))
                })
                .collect();
            !value.is_empty()
                && value.len().is_multiple_of(2)
                && keys[0] != 0
                && keys.windows(2).all(|pair| pair[0] < pair[1])
                && keys.iter().all(|&key| has_svc_key(all, key))
        }
        // alpn
        1 => {
            let mut ids = value;
            while let [length, rest @ ..] = ids {
                match rest.get(usize::from(*length)..) {
                    Some(rest) if *length > 0 => ids = rest,
                    _ => break,
                }
            }
            !value.is_empty() && ids.is_empty()
        }
        // no-default-alpn
        2 => value.is_empty() && has_svc_key(all, 1),
        // port
        3 => value.len() == 2,
        // ipv4hint
        4 => !value.is_empty() && value.len().is_multiple_of(4),
        // ech
        5 => !value.is_empty(),
        // ipv6hint
        6 => !value.is_empty() && value.len().is_multiple_of(16),
        // dohpath
        7 => std::str::from_utf8(value).is_ok_and(|path| path.starts_with('/')),
        // ohttp
        8 => value.is_empty(),
        // RFC 9460, 14.3.2: never a key.
        65_535 => false,
        _ => true,
    };
    if fine {
        Ok(())
    } else {
        Err(RdataError::Rule("a SvcParam's value is not well-formed"))
    }
}

/// Whether the parameters have this key; they are walked as far as they are well-formed.
fn has_svc_key(mut params: &[u8], wanted: u16) -> bool {
    while let [k1, k2, l1, l2, data @ ..] = params {
        if u16::from_be_bytes([*k1, *k2]) == wanted {
            return true;
        }
        match data.get(usize::from(u16::from_be_bytes([*l1, *l2]))..) {
            Some(rest) => params = rest,
            None => return false,
        }
    }
    false
}
