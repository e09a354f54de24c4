//! Networks in CIDR notation, for fields that say whom to believe.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A network: `10.0.0.0/8`, `[2001:db8::]/32`, or one address.
///
/// ```
/// use ropewalk_core::endpoint::Network;
///
/// let network: Network = "192.0.2.0/24".parse()?;
/// assert!(network.contains("192.0.2.7".parse()?));
/// assert!("192.0.2.7/24".parse::<Network>().is_err(), "there are bits behind the prefix");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// With no bit set behind the prefix.
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Reads an address with or without its prefix length (RFC 4632, section 3.1; RFC 4291,
    /// section 2.3). IPv6 may stand in brackets, so that its colons need no escapes.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address = match address.strip_prefix('[').and_then(|a| a.strip_suffix(']')) {
            Some(inside) => IpAddr::V6(inside.parse::<Ipv6Addr>().ok()?),
            None => address.parse().ok()?,
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) if prefix != "0" && prefix.starts_with(['0', '+']) => return None,
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= most)?,
            None => most,
        };
        let network = Self { address, prefix };
        // Bits behind the prefix mean that somebody thought of another network.
        (network.masked(address) == address).then_some(network)
    }

    /// Whether the address lies in it. IPv4 and IPv6 are apart; an address is compared as the
    /// engine shows it, with no mapped ones.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4() && self.masked(address) == self.address
    }

    fn masked(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix));
                IpAddr::V4((u32::from(v4) & mask.unwrap_or(0)).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix));
                IpAddr::V6((u128::from(v6) & mask.unwrap_or(0)).into())
            }
        }
    }
}

/// A text that is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no network, expected an address, or a network such as 10.0.0.0/8 or [2001:db8::]/32 with no \
     bit set behind the prefix"
)]
pub struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        Self::read(text).ok_or(NotANetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = match self.address {
            IpAddr::V4(address) => {
                write!(f, "{address}")?;
                32
            }
            IpAddr::V6(address) => {
                write!(f, "[{address}]")?;
                128
            }
        };
        match self.prefix {
            prefix if prefix == most => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_lies_in_its_network_alone() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "203.0.113.1", "::1"),
            ("[2001:db8::]/32", "2001:db8:1::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network = Network::read(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
            assert_eq!(Network::read(&network.to_string()), Some(network));
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0/8",
            "[10.0.0.0]/8",
            "::/129",
            "[::1",
            "a.test",
        ] {
            assert_eq!(Network::read(text), None, "{text}");
        }
    }
}
