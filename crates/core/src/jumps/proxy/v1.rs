//! Version 1: one line of text (section 2.1 of the specification).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Ends, Header, ProxyHeaderError};
use crate::Address;

/// `PROXY UNKNOWN` and its line's end: no header is shorter.
pub(super) const LEAST: usize = 15;

/// The longest line that the specification allows, its end included.
const MOST: usize = 107;

/// Looks at a line as far as it was read, after each byte.
pub(super) fn look(read: &[u8]) -> Result<Option<Header>, ProxyHeaderError> {
    if !is_prefix(read, b"PROXY ") {
        return Err(ProxyHeaderError::NoHeader);
    }
    let (before, last) = read.split_at(read.len() - 1);
    match (before.last(), last) {
        (Some(b'\r'), b"\n") => return line(&before[..before.len() - 1]).map(Some),
        (Some(b'\r'), _) | (_, b"\n") => return malformed("its line ends otherwise than by CR LF"),
        (_, [b'\r' | b' '..=b'~']) => {}
        _ => return malformed("a line that is no text"),
    }
    match read.len() < MOST {
        true => Ok(None),
        false => Err(ProxyHeaderError::TooLong),
    }
}

/// How many bytes the line needs at least, so that what follows it is not read.
pub(super) fn missing(read: &[u8]) -> usize {
    if read.len() < LEAST {
        return LEAST - read.len();
    }
    if read.ends_with(b"\r") {
        return 1;
    }
    let mut fields = read.split(|byte| *byte == b' ').skip(1);
    // The shortest that each field can be.
    let least: [usize; 4] = match fields.next() {
        Some(b"TCP4") => [7, 7, 1, 1],
        Some(b"TCP6") => [2, 2, 1, 1],
        _ => return 2,
    };
    let begun = fields.clone().count();
    let empty = fields.last().is_none_or(<[u8]>::is_empty);
    let current = match begun.checked_sub(1).and_then(|current| least.get(current)) {
        Some(least) if empty => *least,
        _ => 0,
    };
    let rest = least.iter().skip(begun).map(|least| least + 1);
    current + rest.sum::<usize>() + 2
}

/// The line without its end.
fn line(line: &[u8]) -> Result<Header, ProxyHeaderError> {
    let line = str::from_utf8(line).map_err(|_| ProxyHeaderError::Malformed("no text"))?;
    let mut fields = line.split(' ').skip(1);
    let protocol = fields.next().unwrap_or_default();
    let v4 = match protocol {
        // Whatever else it says is to be ignored.
        "UNKNOWN" => return Ok(Header::Local),
        "TCP4" => true,
        "TCP6" => false,
        _ => return malformed("a protocol other than TCP4, TCP6 and UNKNOWN"),
    };
    let fields: Vec<_> = fields.collect();
    let [source, destination, source_port, destination_port] = fields.as_slice() else {
        return malformed("other than two addresses and two ports");
    };
    let ends = address(source, v4)
        .zip(port(source_port))
        .zip(address(destination, v4).zip(port(destination_port)));
    let Some((source, destination)) = ends else {
        return malformed("an address or port that is none");
    };
    Ok(Header::Proxied(Box::new(Ends::inet(
        SocketAddr::from(source),
        SocketAddr::from(destination),
    ))))
}

fn address(text: &str, v4: bool) -> Option<IpAddr> {
    match v4 {
        true => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        false => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
    }
}

/// A number without sign or leading zero.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn malformed<T>(why: &'static str) -> Result<T, ProxyHeaderError> {
    Err(ProxyHeaderError::Malformed(why))
}

/// Whether what was read agrees with how a header begins, as far as both go.
pub(super) fn is_prefix(read: &[u8], begins: &[u8]) -> bool {
    let both = read.len().min(begins.len());
    read[..both] == begins[..both]
}

/// Of ends in one family.
pub(super) fn encode(ends: Option<&(Address, Address)>) -> Vec<u8> {
    let inet = ends.and_then(|(source, destination)| source.inet().zip(destination.inet()));
    let Some((source, destination)) = inet else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let protocol = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {protocol} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}
