//! RDATA as the words of a zone file: what [`super::from_text`] reads, and BIND shows.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER};

use super::super::name::{self, NameRef};
use super::super::{Class, RecordType};
use super::wire::{end_of, gateway_end};
use super::{Field, SVC_KEYS, calendar, layout, loc};

/// The text of RDATA: names complete, one line, nothing left out.
///
/// What the type does not know, or is not well-formed, is written as RFC 3597 has it.
pub fn to_text(class: Class, record_type: RecordType, rdata: &[u8]) -> String {
    let mut out = Vec::new();
    write_text(class, record_type, rdata, &mut out);
    // All that is not printable ASCII is escaped.
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends what [`to_text`] gives.
pub fn write_text(class: Class, record_type: RecordType, rdata: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let known = layout(class, record_type)
        .filter(|_| super::check(class, record_type, rdata).is_ok())
        .and_then(|fields| write_fields(fields, rdata, out));
    if known.is_none() {
        out.truncate(start);
        // Writing to memory does not fail.
        let _ = write!(out, "\\# {}", rdata.len());
        if !rdata.is_empty() {
            out.push(b' ');
            out.extend(HEXUPPER.encode(rdata).into_bytes());
        }
    }
}

/// Nothing where the text could not be read back.
fn write_fields(fields: &[Field], rdata: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut at = 0;
    for &field in fields {
        let end = end_of(field, rdata, at).ok()?;
        let before = out.len();
        if at > 0 {
            out.push(b' ');
        }
        let begin = out.len();
        write_field(field, &rdata[at..end], out)?;
        if out.len() == begin {
            // Nothing to say, no blank before it.
            out.truncate(before);
        }
        at = end;
    }
    Some(())
}

fn write_field(field: Field, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match field {
        Field::Name(_) => NameRef::from_wire(data).ok()?.write_text(out),
        Field::U8 | Field::Algorithm => decimal(out, data[0]),
        Field::U16 => decimal(out, u16_of(data)?),
        Field::CertType => decimal(out, u16_of(data)?),
        Field::Type => word(out, RecordType(u16_of(data)?)),
        Field::U32 | Field::Period => decimal(out, u32_of(data)?),
        Field::Octal => word(out, format_args!("{:o}", u16_of(data)?)),
        Field::Time => {
            let seconds = u32_of(data)?;
            let (year, month, day) = calendar::date(seconds / 86_400);
            let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
            let text = format_args!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}");
            word(out, text);
        }
        Field::Ipv4 => word(out, ipv4(data)?),
        Field::Ipv6 => word(out, ipv6(data)?),
        Field::Eui48 | Field::Eui64 => {
            let pairs: Vec<String> = data.iter().map(|octet| format!("{octet:02x}")).collect();
            word(out, pairs.join("-"));
        }
        Field::Locator => {
            let groups: Vec<String> = data
                .chunks(2)
                .map(|pair| format!("{:02x}{:02x}", pair[0], pair[1]))
                .collect();
            word(out, groups.join(":"));
        }
        Field::String | Field::OptionalString | Field::Strings => {
            let mut strings = data;
            while let [length, rest @ ..] = strings {
                if strings.len() < data.len() {
                    out.push(b' ');
                }
                let (string, rest) = rest.split_at_checked(usize::from(*length))?;
                quoted(string, out);
                strings = rest;
            }
        }
        Field::Quoted => quoted(data, out),
        Field::Tag => out.extend_from_slice(&data[1..]),
        Field::Base64 | Field::OptionalBase64 => word(out, BASE64.encode(data)),
        Field::DashBase64 if data.is_empty() => out.push(b'-'),
        Field::DashBase64 => word(out, BASE64.encode(data)),
        Field::Hex => word(out, HEXUPPER.encode(data)),
        Field::Salt if data.len() == 1 => out.push(b'-'),
        Field::Salt => word(out, HEXUPPER.encode(&data[1..])),
        Field::Hash => word(out, BASE32HEX_NOPAD.encode(&data[1..])),
        Field::Bitmap => {
            let mut windows = data;
            let mut types = Vec::new();
            while let [window, length, rest @ ..] = windows {
                let (bits, rest) = rest.split_at_checked(usize::from(*length))?;
                types.extend(set_bits(bits).map(|low| u16::from(*window) << 8 | low));
                windows = rest;
            }
            write_types(types, out);
        }
        Field::OldBitmap => write_types(set_bits(data).collect(), out),
        Field::SvcParams => svc_params(data, out)?,
        Field::Loc => word(out, loc::text(data)?),
        Field::Apl => apl(data, out)?,
        Field::Services => {
            decimal(out, data[0]);
            for port in set_bits(&data[1..]) {
                word(out, format_args!(" {port}"));
            }
            // Zeros at the end are not told by the text.
            if data.len() > 1 && data.last() == Some(&0) {
                return None;
            }
        }
        Field::IpsecKey => {
            let &[precedence, kind, algorithm, ..] = data else {
                return None;
            };
            word(out, format_args!("{precedence} {kind} {algorithm} "));
            let end = gateway_end(kind, data, 3).ok()?;
            gateway(kind, &data[3..end], out)?;
            if end < data.len() {
                word(out, format_args!(" {}", BASE64.encode(&data[end..])));
            }
        }
        Field::AmtRelay => {
            let &[precedence, kind, ..] = data else {
                return None;
            };
            word(
                out,
                format_args!("{precedence} {} {} ", kind >> 7, kind & 0x7F),
            );
            gateway(kind & 0x7F, &data[2..], out)?;
        }
        Field::Hip => {
            let &[tag, algorithm, high, low, ref rest @ ..] = data else {
                return None;
            };
            let (tag, rest) = rest.split_at_checked(usize::from(tag))?;
            let (key, rest) =
                rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            let (tag, key) = (HEXUPPER.encode(tag), BASE64.encode(key));
            word(out, format_args!("{algorithm} {tag} {key}"));
            let mut servers = rest;
            while !servers.is_empty() {
                let (name, rest) = NameRef::split_from(servers).ok()?;
                out.push(b' ');
                name.write_text(out);
                servers = rest;
            }
        }
        Field::A6 => {
            let (&prefix, rest) = data.split_first()?;
            decimal(out, prefix);
            let suffix = 16 - usize::from(prefix / 8);
            let (suffix, name) = rest.split_at_checked(suffix)?;
            if prefix < 128 {
                let mut address = [0; 16];
                address[16 - suffix.len()..].copy_from_slice(suffix);
                word(out, format_args!(" {}", Ipv6Addr::from(address)));
            }
            if prefix > 0 {
                out.push(b' ');
                NameRef::from_wire(name).ok()?.write_text(out);
            }
        }
        Field::Nsap => word(out, format_args!("0x{}", HEXUPPER.encode(data))),
        Field::Atma => match data {
            [0, address @ ..] if !address.is_empty() => word(out, HEXUPPER.encode(address)),
            [1, digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                out.push(b'+');
                out.extend_from_slice(digits);
            }
            _ => return None,
        },
    }
    Some(())
}

fn word(out: &mut Vec<u8>, text: impl std::fmt::Display) {
    // Writing to memory does not fail.
    let _ = write!(out, "{text}");
}

fn decimal(out: &mut Vec<u8>, number: impl Into<u32>) {
    word(out, number.into());
}

fn u16_of(data: &[u8]) -> Option<u16> {
    data.try_into().ok().map(u16::from_be_bytes)
}

fn u32_of(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_be_bytes)
}

fn ipv4(data: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from)
}

fn ipv6(data: &[u8]) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(data).ok().map(Ipv6Addr::from)
}

/// A text in quotes.
fn quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &octet in text {
        match octet {
            b'"' | b'\\' => out.extend([b'\\', octet]),
            0x20..=0x7E => out.push(octet),
            _ => name::write_decimal_escape(octet, out),
        }
    }
    out.push(b'"');
}

fn set_bits(bits: &[u8]) -> impl Iterator<Item = u16> {
    (0_u16..).zip(bits).flat_map(|(at, octet)| {
        (0..8)
            .filter(move |bit| octet & 0x80 >> bit != 0)
            .map(move |bit| at * 8 + bit)
    })
}

fn write_types(types: Vec<u16>, out: &mut Vec<u8>) {
    for (at, number) in types.into_iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        word(out, RecordType(number));
    }
}

fn apl(mut items: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let all = items.len();
    while let [high, low, prefix, length, rest @ ..] = items {
        if items.len() < all {
            out.push(b' ');
        }
        let (data, rest) = rest.split_at_checked(usize::from(length & 0x7F))?;
        if length & 0x80 != 0 {
            out.push(b'!');
        }
        let mut address = [0; 16];
        address.get_mut(..data.len())?.copy_from_slice(data);
        match u16::from_be_bytes([*high, *low]) {
            1 => word(out, format_args!("1:{}/{prefix}", ipv4(&address[..4])?)),
            2 => word(out, format_args!("2:{}/{prefix}", Ipv6Addr::from(address))),
            // No text is agreed upon.
            _ => return None,
        }
        items = rest;
    }
    Some(())
}

fn gateway(kind: u8, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match kind {
        0 => out.push(b'.'),
        1 => word(out, ipv4(data)?),
        2 => word(out, ipv6(data)?),
        _ => NameRef::from_wire(data).ok()?.write_text(out),
    }
    Some(())
}

fn svc_params(mut params: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let all = params.len();
    while let [k1, k2, l1, l2, rest @ ..] = params {
        if params.len() < all {
            out.push(b' ');
        }
        let key = u16::from_be_bytes([*k1, *k2]);
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l1, *l2])))?;
        params = rest;
        svc_key(key, out);
        // RFC 9460, 2.1: no value is the same as an empty one.
        if value.is_empty() {
            continue;
        }
        out.push(b'=');
        match key {
            0 => {
                for (at, pair) in value.chunks(2).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    svc_key(u16_of(pair)?, out);
                }
            }
            1 => {
                let mut list = Vec::new();
                let mut ids = value;
                while let [length, rest @ ..] = ids {
                    if ids.len() < value.len() {
                        list.push(b',');
                    }
                    let (id, rest) = rest.split_at_checked(usize::from(*length))?;
                    for &octet in id {
                        if matches!(octet, b',' | b'\\') {
                            list.push(b'\\');
                        }
                        list.push(octet);
                    }
                    ids = rest;
                }
                quoted(&list, out);
            }
            3 => decimal(out, u16_of(value)?),
            4 | 6 => {
                for (at, address) in value.chunks(if key == 4 { 4 } else { 16 }).enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    match ipv4(address) {
                        Some(address) => word(out, address),
                        None => word(out, ipv6(address)?),
                    }
                }
            }
            5 => word(out, BASE64.encode(value)),
            _ => quoted(value, out),
        }
    }
    Some(())
}

fn svc_key(key: u16, out: &mut Vec<u8>) {
    match SVC_KEYS.iter().find(|(number, _)| *number == key) {
        Some((_, name)) => word(out, name),
        None => word(out, format_args!("key{key}")),
    }
}
