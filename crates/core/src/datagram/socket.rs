//! The seam: what a protocol's driver needs of a socket that carries
//! datagrams, whether it is one of the system's, a name in memory, or
//! simulated.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    task::{Context, Poll},
};

use super::{Datagrams, UnsentDatagrams};
use crate::Address;

/// A socket that carries datagrams: what a [`Scheme`](crate::Scheme) makes of
/// an endpoint for [`DatagramProtocol`](crate::DatagramProtocol)s.
///
/// Both polls move as many datagrams as they can in one go, and wake the task
/// as any poll does. Closing is dropping it.
pub trait DatagramSocket: Send + 'static {
    /// Appends what has arrived to `batch`, as many as have
    /// [`room`](Datagrams::room). Ready with `Ok` if there was at least one,
    /// even if it was thrown away as too long.
    ///
    /// # Errors
    /// Something that was sent before was refused on its way (as a connected
    /// UDP socket hears). The socket goes on.
    fn poll_receive(&mut self, cx: &mut Context<'_>, batch: &mut Datagrams)
    -> Poll<io::Result<()>>;

    /// Sends from the front of `unsent` and takes off what was
    /// [`sent`](UnsentDatagrams::sent). Ready with `Ok` if at least one was.
    /// It is asked only when there is one.
    ///
    /// # Errors
    /// The datagram that is then at the front cannot be sent; it is given up.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>>;

    /// Ready when something sent before was refused on its way, where
    /// `poll_receive` is not woken for that. By default it never is.
    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let _ = cx;
        Poll::Pending
    }

    /// Our end.
    fn local(&self) -> Address;

    /// The other end, if it is connected to one.
    fn peer(&self) -> Option<Address> {
        None
    }

    /// Sets an option.
    ///
    /// # Errors
    /// What stands in the way; by default, that there is no such option here.
    fn set(&mut self, option: &DatagramOption) -> io::Result<()> {
        let what = format!("there is no {option:?} here");
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }
}

/// What can be set on a socket while it is open; see
/// [`DatagramTransport::set`](crate::DatagramTransport::set).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatagramOption {
    /// Receives what is sent to a group. Further groups may be joined; a socket
    /// hears only its own.
    Join(MulticastGroup),
    /// Receives no more of what is sent to a group that was joined.
    Leave(MulticastGroup),
    /// How many networks a datagram to a group may cross: IPv4's time to live,
    /// IPv6's hop limit, from 0 (this host) to 255. The system's default is 1,
    /// the network at hand.
    MulticastHops(u8),
    /// Whether groups on this host hear what is sent from here, ourselves
    /// included. The system's default is that they do.
    MulticastLoop(bool),
    /// The interface that datagrams to groups leave by, by name or number;
    /// without one the system's routes say.
    MulticastInterface(String),
    /// Whether datagrams may go to all of a network (IPv4 broadcast). The
    /// system refuses those otherwise.
    Broadcast(bool),
}

/// A multicast group, and how it is to be joined.
///
/// As text it is `[SOURCE@]ADDRESS[%INTERFACE]`, with an IPv6 address in
/// brackets, its interface inside.
///
/// ```
/// use ropewalk_core::MulticastGroup;
///
/// let mdns: MulticastGroup = "224.0.0.251%eth0".parse()?;
/// assert_eq!(mdns, MulticastGroup::new([224, 0, 0, 251]).on("eth0"));
/// let news: MulticastGroup = "[2001:db8::1]@[ff35::1%2]".parse()?;
/// assert_eq!(news.to_string(), "[2001:db8::1]@[ff35::1%2]");
/// assert!("192.0.2.1".parse::<MulticastGroup>().is_err());
/// # Ok::<(), ropewalk_core::NoGroup>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MulticastGroup {
    /// The group's address.
    pub address: IpAddr,
    /// Only what comes from this source is received (RFC 4607). Of the same
    /// family as the group.
    pub source: Option<IpAddr>,
    /// The interface to join on, by name or number; without one the system's
    /// routes say which.
    pub interface: Option<String>,
}

impl MulticastGroup {
    /// A group, from any source, on the interface that the system chooses.
    pub fn new(address: impl Into<IpAddr>) -> Self {
        Self {
            address: address.into(),
            source: None,
            interface: None,
        }
    }

    /// From this source alone.
    #[must_use]
    pub fn from_source(mut self, source: impl Into<IpAddr>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// On this interface, by name or number.
    #[must_use]
    pub fn on(mut self, interface: impl Into<String>) -> Self {
        self.interface = Some(interface.into());
        self
    }
}

/// A text that names no multicast group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no multicast group: it is [SOURCE@]ADDRESS[%INTERFACE], as 224.0.0.251, \
     [ff02::fb%eth0] or 192.0.2.1@232.1.2.3"
)]
pub struct NoGroup(pub String);

impl FromStr for MulticastGroup {
    type Err = NoGroup;

    fn from_str(text: &str) -> Result<Self, NoGroup> {
        read_group(text).ok_or_else(|| NoGroup(text.to_owned()))
    }
}

fn read_group(text: &str) -> Option<MulticastGroup> {
    let (source, group) = match text.rsplit_once('@') {
        Some((source, group)) => (Some(source), group),
        None => (None, text),
    };
    let bare = |text: &str| -> Option<(String, bool)> {
        match text.strip_prefix('[') {
            Some(text) => Some((text.strip_suffix(']')?.to_owned(), true)),
            None => Some((text.to_owned(), false)),
        }
    };
    let address = |text: &str, in_brackets: bool| -> Option<IpAddr> {
        match in_brackets {
            true => Some(text.parse::<Ipv6Addr>().ok()?.into()),
            false => Some(text.parse::<Ipv4Addr>().ok()?.into()),
        }
    };
    let (group, in_brackets) = bare(group)?;
    let (group, interface) = match group.split_once('%') {
        Some((group, interface)) => (group, Some(interface)),
        None => (group.as_str(), None),
    };
    let group = address(group, in_brackets).filter(IpAddr::is_multicast)?;
    let source = match source {
        Some(text) => {
            let (text, in_brackets) = bare(text)?;
            let source = address(&text, in_brackets)?;
            if source.is_multicast() || source.is_ipv4() != group.is_ipv4() {
                return None;
            }
            Some(source)
        }
        None => None,
    };
    let is_letter = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    let is_interface = |name: &&str| (1..=15).contains(&name.len()) && name.bytes().all(is_letter);
    if interface.is_some_and(|name| !is_interface(&name)) {
        return None;
    }
    Some(MulticastGroup {
        address: group,
        source,
        interface: interface.map(str::to_owned),
    })
}

impl fmt::Display for MulticastGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = Zone(self.interface.as_deref());
        match self.source {
            Some(IpAddr::V4(source)) => write!(f, "{source}@")?,
            Some(IpAddr::V6(source)) => write!(f, "[{source}]@")?,
            None => {}
        }
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}{zone}"),
            IpAddr::V6(address) => write!(f, "[{address}{zone}]"),
        }
    }
}

struct Zone<'a>(Option<&'a str>);

impl fmt::Display for Zone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |interface| write!(f, "%{interface}"))
    }
}

/// A datagram that did not go, as far as one hears of that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Undelivered {
    /// Nobody receives there. Only a connected socket hears of it, and only if
    /// the other host says so.
    #[error("nobody receives datagrams at {to}")]
    Refused {
        /// Where it was to go.
        to: Address,
    },
    /// It is longer than a datagram may be, there or at all. The program is at
    /// fault.
    #[error("a datagram of {length} bytes to {to} is too long")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// Where it was to go.
        to: Address,
    },
    /// The system forbids it: most often a broadcast by a socket that did not
    /// ask for [`DatagramOption::Broadcast`].
    #[error("not allowed to send datagrams to {to} (a broadcast has to be asked for)")]
    Denied {
        /// Where it was to go.
        to: Address,
    },
    /// The receiver, on this machine, does not keep up.
    #[error("{to} does not keep up with its datagrams")]
    Full {
        /// Where it was to go.
        to: Address,
    },
    /// There is no way to that network or host.
    #[error("no route to {to}")]
    NoRoute {
        /// Where it was to go.
        to: Address,
    },
    /// The system refused for another reason.
    #[error("cannot send to {to}: {source}")]
    Io {
        /// Where it was to go.
        to: Address,
        /// What the system said.
        source: io::Error,
    },
}

impl Undelivered {
    /// What the system said of a datagram of this length.
    pub(super) fn new(to: Address, length: Option<usize>, source: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match source.kind() {
            Kind::ConnectionRefused => Self::Refused { to },
            Kind::PermissionDenied => Self::Denied { to },
            Kind::WouldBlock => Self::Full { to },
            Kind::HostUnreachable | Kind::NetworkUnreachable => Self::NoRoute { to },
            _ if source.raw_os_error() == Some(libc::EMSGSIZE) => match length {
                Some(length) => Self::TooLong { length, to },
                None => Self::Io { to, source },
            },
            _ => Self::Io { to, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_read_as_they_are_written() {
        for text in [
            "224.0.0.251",
            "224.0.0.251%eth0",
            "[ff02::fb]",
            "[ff02::fb%2]",
            "192.0.2.1@232.1.2.3%eth0",
            "[2001:db8::1]@[ff35::1]",
        ] {
            assert_eq!(text.parse::<MulticastGroup>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "192.0.2.1",
            "[224.0.0.1]",
            "ff02::fb",
            "[ff02::fb",
            "[ff02::fb]%eth0",
            "224.0.0.1%",
            "224.0.0.1%an-interface-too-long",
            "224.0.0.1%a b",
            "@224.0.0.1",
            "224.0.0.1@224.0.0.2",
            "192.0.2.1@[ff35::1]",
            "192.0.2.1%eth0@232.1.2.3",
        ] {
            assert!(text.parse::<MulticastGroup>().is_err(), "{text}");
        }
    }
}
