//! The parts that endpoints of both sides share: hosts, addresses, interfaces and socket paths.
//!
//! What parses here is fit for its use: a [`Host`] can be connected to, an [`Interface`] listened
//! on, as far as their text tells. Names are not looked up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::error::{ParseError, Problem};
use super::fields::{Part, path_text};
use super::grammar::Escaped;

/// An IP address, with the zone of an IPv6 one (`fe80::1%eth0`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopedIp {
    /// The address itself.
    pub(crate) ip: IpAddr,
    /// The zone as written: an interface's name or its index. Only with IPv6.
    pub(crate) scope: Option<String>,
}

impl ScopedIp {
    /// With brackets or without; only where it reads as an address.
    fn read(text: &str) -> Option<Self> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let (ip, scope) = match bare.unwrap_or(text).split_once('%') {
            Some((ip, scope)) => (ip, Some(scope)),
            None => (bare.unwrap_or(text), None),
        };
        if bare.is_none() && scope.is_none() {
            return Some(Self {
                ip: ip.parse().ok()?,
                scope: None,
            });
        }
        // Only IPv6 has brackets and zones.
        let ip = IpAddr::V6(ip.parse::<Ipv6Addr>().ok()?);
        match scope {
            Some(scope) if is_zone(scope) => Some(Self {
                ip,
                scope: Some(scope.to_owned()),
            }),
            Some(_) => None,
            None => Some(Self { ip, scope: None }),
        }
    }
}

impl fmt::Display for ScopedIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.ip, &self.scope) {
            (IpAddr::V4(ip), _) => write!(f, "{ip}"),
            (IpAddr::V6(ip), None) => write!(f, "[{ip}]"),
            (IpAddr::V6(ip), Some(scope)) => write!(f, "[{ip}%{scope}]"),
        }
    }
}

/// Whom a client connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A DNS name, in lower case; a name, and not an address, by its grammar.
    Name(String),
    /// An address that can be connected to: neither unspecified nor multicast, and everyone on the
    /// link only where that is asked for.
    Address(ScopedIp),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Interface {
    /// Only this machine; what `tcp:8080` and `localhost` mean.
    Loopback,
    /// Every interface, IPv4 and IPv6: `*`.
    All,
    /// One address, as written. `0.0.0.0` and `::` stand here too.
    Address(ScopedIp),
}

/// The name of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum UnixPath {
    /// A path in the file system.
    File(PathBuf),
    /// A name in Linux's abstract namespace, without the `@` that it is written with.
    Abstract(String),
}

impl fmt::Display for UnixPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, text) = match self {
            Self::File(path) => ("", path_text(path)),
            Self::Abstract(name) => ("@", name.into()),
        };
        write!(
            f,
            "{at}{}",
            Escaped {
                text: &text,
                positional: true,
                jump: false
            }
        )
    }
}

impl Part<'_> {
    /// An address, or a name by the rules of host names: labels of letters, digits, hyphens (not at
    /// their ends) and, because they are seen in use, underscores. A last label of digits alone
    /// makes it a mistyped IPv4 address, which no resolver should be asked about.
    pub(super) fn host(&self) -> Result<Host, ParseError> {
        let Some(address) = ScopedIp::read(self.text) else {
            let name = self.text.strip_suffix('.').unwrap_or(self.text);
            let last = name.rsplit('.').next().unwrap_or_default();
            let number = last.bytes().all(|c| c.is_ascii_digit());
            if name.len() > MAX_NAME || number || !name.split('.').all(is_label) {
                let expected =
                    "a host name (in ASCII), an IPv4 address, or an IPv6 one in brackets";
                return Err(self.invalid(expected));
            }
            return Ok(Host::Name(self.text.to_ascii_lowercase()));
        };
        if address.ip.is_unspecified() {
            let expected = "the address of one host; this one stands for all and is for listening";
            return Err(self.invalid(expected));
        }
        if is_group(address.ip) {
            return Err(self.invalid("the address of one host, not of a group"));
        }
        Ok(Host::Address(address))
    }

    /// A host, or IPv4's address of everyone on the link.
    pub(super) fn host_or_all(&self) -> Result<Host, ParseError> {
        match self.text.parse() {
            Ok(ip @ IpAddr::V4(Ipv4Addr::BROADCAST)) => {
                Ok(Host::Address(ScopedIp { ip, scope: None }))
            }
            _ => self.host(),
        }
    }

    /// The name to verify a peer by: a host, without a zone, which no certificate knows.
    pub(super) fn peer_name(&self) -> Result<Host, ParseError> {
        match self.host()? {
            Host::Address(ScopedIp { scope: Some(_), .. }) => {
                Err(self.invalid("a host name, or an address without a zone"))
            }
            host => Ok(host),
        }
    }

    /// An address of this machine, to connect from.
    pub(super) fn local_address(&self) -> Result<ScopedIp, ParseError> {
        let address = ScopedIp::read(self.text).filter(|address| !is_group(address.ip));
        address.ok_or_else(|| self.invalid("an IP address of this machine"))
    }

    /// `*`, `localhost` or an address. Other names are refused, because a name may have many
    /// addresses, and other ones tomorrow: what is open to whom should stand in the string.
    pub(super) fn interface(&self) -> Result<Interface, ParseError> {
        if self.text == "*" {
            return Ok(Interface::All);
        }
        if self.text.eq_ignore_ascii_case("localhost") {
            return Ok(Interface::Loopback);
        }
        let address = ScopedIp::read(self.text).filter(|address| !is_group(address.ip));
        let address = address.map(Interface::Address);
        address.ok_or_else(|| self.invalid("an IP address, localhost, or * for all interfaces"))
    }

    /// A network interface, by name or number.
    pub(super) fn zone(&self) -> Result<String, ParseError> {
        match is_zone(self.text) {
            true => Ok(self.text.to_owned()),
            false => Err(self.invalid("the name of a network interface, or its number")),
        }
    }

    /// The path of a Unix socket, or `@` and an abstract name.
    pub(super) fn socket_path(&self) -> Result<UnixPath, ParseError> {
        let (path, text) = match self.text.strip_prefix('@') {
            Some(name) => (UnixPath::Abstract(name.to_owned()), name),
            None => (UnixPath::File(self.file()), self.text),
        };
        if text.is_empty() {
            return Err(self.error(Problem::Empty, "a name behind \"@\""));
        }
        if text.len() > MAX_SOCKET_PATH {
            let expected =
                format!("at most {MAX_SOCKET_PATH}, which is all that a socket address holds");
            return Err(self.error(Problem::TooLong(text.len()), expected));
        }
        Ok(path)
    }
}

fn is_label(label: &str) -> bool {
    let letters = label
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'));
    let length = (1..=MAX_LABEL).contains(&label.len());
    letters && length && !label.starts_with('-') && !label.ends_with('-')
}

/// RFC 6874's ZoneID without its percent escapes, as long as an interface's name may be.
fn is_zone(scope: &str) -> bool {
    let letters = scope
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c));
    letters && (1..=15).contains(&scope.len())
}

/// Multicast and IPv4's broadcast to everyone on the link.
fn is_group(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// RFC 1035 has 255 octets on the wire, which leaves 253 of text without the final dot.
const MAX_NAME: usize = 253;

const MAX_LABEL: usize = 63;

/// Linux's `sun_path` has 108 bytes; one ends a path, and one begins an abstract name.
const MAX_SOCKET_PATH: usize = 107;
