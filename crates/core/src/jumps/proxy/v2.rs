//! Version 2: binary (section 2.2 of the specification).

use std::{
    ffi::OsStr,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
};

use super::{Ends, Header, ProxyHeaderError, Tlvs, v1::is_prefix};
use crate::Address;

/// The signature, command, family and length.
pub(super) const LEAST: usize = 16;

/// What may follow the first 16 bytes. The format has room for 64 KiB; nobody says so much, and a
/// header is held in memory until it is whole.
const MOST: usize = 16 * 1024;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

const VERSION: u8 = 0x20;
const LOCAL: u8 = 0;
const PROXY: u8 = 1;

const INET: u8 = 0x10;
const INET6: u8 = 0x20;
const UNIX: u8 = 0x30;
const STREAM: u8 = 1;

/// Bytes of one Unix address.
const PATH: usize = 108;

/// Looks at a header as far as it was read, after each byte.
pub(super) fn look(read: &[u8]) -> Result<Option<Header>, ProxyHeaderError> {
    if !is_prefix(read, SIGNATURE) {
        return Err(ProxyHeaderError::NoHeader);
    }
    match read.get(12) {
        Some(command) if command & 0xf0 != VERSION => return malformed("not of version 2"),
        Some(command) if command & 0x0f > PROXY => return malformed("an unknown command"),
        _ => {}
    }
    if let Some(family) = read.get(13)
        && (family & 0xf0 > UNIX || family & 0x0f > 2)
    {
        return malformed("an unknown family");
    }
    let Some(length) = length(read) else {
        return Ok(None);
    };
    if length > MOST {
        return Err(ProxyHeaderError::TooLong);
    }
    match read.len() < LEAST + length {
        true => Ok(None),
        false => parse(read).map(Some),
    }
}

/// How many bytes the header needs at least.
pub(super) fn missing(read: &[u8]) -> usize {
    (LEAST + length(read).unwrap_or(0)).saturating_sub(read.len())
}

fn length(read: &[u8]) -> Option<usize> {
    let (high, low) = (read.get(14)?, read.get(15)?);
    Some(u16::from_be_bytes([*high, *low]).into())
}

/// A whole header.
fn parse(read: &[u8]) -> Result<Header, ProxyHeaderError> {
    let (command, family) = (read[12] & 0x0f, read[13]);
    // The proxy's own, a health check as a rule: what follows is to be discarded.
    if command == LOCAL {
        return Ok(Header::Local);
    }
    let mut rest = &read[LEAST..];
    let ends = match family & 0xf0 {
        INET => {
            let [a, b] = [v4(&mut rest)?, v4(&mut rest)?];
            let [source, destination] = [port(&mut rest)?, port(&mut rest)?];
            Ends::inet((a, source).into(), (b, destination).into())
        }
        INET6 => {
            let [a, b] = [v6(&mut rest)?, v6(&mut rest)?];
            let [source, destination] = [port(&mut rest)?, port(&mut rest)?];
            Ends::inet((a, source).into(), (b, destination).into())
        }
        UNIX => Ends {
            source: path(take::<PATH>(&mut rest)?),
            destination: path(take::<PATH>(&mut rest)?),
            tlvs: Tlvs::default(),
        },
        // Without a family what follows has no form that we know, and is skipped.
        _ => return Ok(Header::Local),
    };
    let tlvs = Tlvs::read(rest, read)?;
    // A transport that the proxy had no name for: it gives addresses of nothing that we know.
    let known = family & 0x0f != 0;
    Ok(match known {
        true => Header::Proxied(Box::new(Ends { tlvs, ..ends })),
        false => Header::Local,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], ProxyHeaderError> {
    let Some((taken, behind)) = rest.split_first_chunk::<N>() else {
        return malformed("too short for its addresses");
    };
    *rest = behind;
    Ok(*taken)
}

fn v4(rest: &mut &[u8]) -> Result<Ipv4Addr, ProxyHeaderError> {
    take::<4>(rest).map(Ipv4Addr::from)
}

fn v6(rest: &mut &[u8]) -> Result<Ipv6Addr, ProxyHeaderError> {
    take::<16>(rest).map(Ipv6Addr::from)
}

fn port(rest: &mut &[u8]) -> Result<u16, ProxyHeaderError> {
    take::<2>(rest).map(u16::from_be_bytes)
}

/// A `sun_path`: up to the first zero byte, unless that is where an abstract name begins.
fn path(bytes: [u8; PATH]) -> Address {
    let upto = |bytes: &[u8]| {
        bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len())
    };
    match bytes.split_first() {
        Some((0, name)) if name[0] != 0 => Address::Abstract(name[..upto(name)].into()),
        Some((0, _)) | None => Address::Unix(None),
        Some(_) => {
            let path = Path::new(OsStr::from_bytes(&bytes[..upto(&bytes)]));
            Address::Unix(Some(Arc::from(path)))
        }
    }
}

fn malformed<T>(why: &'static str) -> Result<T, ProxyHeaderError> {
    Err(ProxyHeaderError::Malformed(why))
}

/// Of ends in one family; `LOCAL` if there are none.
pub(super) fn encode(ends: Option<&(Address, Address)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some((source, destination)) = ends else {
        header.extend([VERSION | LOCAL, 0, 0, 0]);
        return header;
    };
    header.push(VERSION | PROXY);
    let mut ends = Vec::new();
    let family = match (source.inet(), destination.inet()) {
        (Some(SocketAddr::V4(a)), Some(SocketAddr::V4(b))) => {
            ends.extend(a.ip().octets());
            ends.extend(b.ip().octets());
            INET | STREAM
        }
        (Some(SocketAddr::V6(a)), Some(SocketAddr::V6(b))) => {
            ends.extend(a.ip().octets());
            ends.extend(b.ip().octets());
            INET6 | STREAM
        }
        _ => match (sun_path(source), sun_path(destination)) {
            (Some(a), Some(b)) => {
                ends.extend(a);
                ends.extend(b);
                UNIX | STREAM
            }
            // Somebody's, and there are no words for whose.
            _ => 0,
        },
    };
    if let Some((source, destination)) = source.inet().zip(destination.inet()) {
        ends.extend(source.port().to_be_bytes());
        ends.extend(destination.port().to_be_bytes());
    }
    header.push(family);
    let length = u16::try_from(ends.len()).expect("two addresses are short");
    header.extend(length.to_be_bytes());
    header.extend(ends);
    header
}

fn sun_path(address: &Address) -> Option<[u8; PATH]> {
    let mut bytes = [0; PATH];
    match address {
        Address::Unix(None) => {}
        Address::Unix(Some(path)) => {
            let path = path.as_os_str().as_bytes();
            bytes.get_mut(..path.len())?.copy_from_slice(path);
        }
        Address::Abstract(name) => {
            bytes.get_mut(1..=name.len())?.copy_from_slice(name);
        }
        _ => return None,
    }
    Some(bytes)
}
