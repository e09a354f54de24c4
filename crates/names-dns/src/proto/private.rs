//! Private addresses in answers about public names: how a web site reaches into its visitors'
//! networks (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::{rr::Name, serialize::binary::BinDecodable};

use super::{RecordType, Section, walk::Walk};

/// The first private address in an answer, unless its question is below one of `except`.
pub(crate) fn found_in(message: &[u8], except: &[Name]) -> Option<IpAddr> {
    let walk = Walk::read(message).ok()?;
    let address = walk.records().flatten().find_map(|record| {
        let data = record.rdata();
        let address = match record.record_type {
            _ if record.section == Section::Authority => return None,
            RecordType::A => IpAddr::from(<[u8; 4]>::try_from(data).ok()?),
            RecordType::AAAA => IpAddr::from(<[u8; 16]>::try_from(data).ok()?),
            _ => return None,
        };
        is_private(address).then_some(address)
    })?;
    let name = Name::from_bytes(walk.name()).ok()?;
    let is_excepted = except.iter().any(|above| above.zone_of(&name));
    (!is_excepted).then_some(address)
}

/// Whether an address is of this machine or of its own network, and of no public one.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => {
            let mapped = ip.to_ipv4_mapped().or_else(|| nat64(ip));
            mapped.map_or_else(|| is_private_v6(ip), is_private_v4)
        }
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    // With "this network" and the space between a provider and its customers (RFC 6598).
    a == 0
        || ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || (a == 100 && b & 0xc0 == 64)
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local()
}

/// The address that the well-known prefix of RFC 6052 stands before.
fn nat64(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = ip.octets();
    let prefix = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
    octets
        .strip_prefix(&prefix)
        .and_then(|rest| <[u8; 4]>::try_from(rest).ok())
        .map(Ipv4Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_is_what_no_public_name_should_have() {
        for text in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "0.0.0.0",
            "100.64.0.1",
            "::1",
            "::",
            "fd00::1",
            "fe80::1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in [
            "192.0.2.1",
            "172.32.0.1",
            "100.128.0.1",
            "2001:db8::1",
            "64:ff9b::808:808",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }
}
