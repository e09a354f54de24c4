//! Whether two servers' endpoints want one address.
//!
//! Plain text against plain text, for whoever reads a configuration and opens nothing: what other
//! processes hold shows only when it listens.

use std::net::Ipv4Addr;

use super::address::{Interface, ScopedIp, UnixPath};
use super::server::{ServerEndpoint, ServerSpec};
use super::systemd::SystemdListen;

impl ServerEndpoint {
    /// Whether both would listen at one place, so that the second cannot: the same port of one
    /// interface or of all, whether with TLS or without; the same path, name or descriptor; twice
    /// standard input. Behind a jump the inner endpoint counts. Port 0, and a port that both share
    /// by `reuse-port`, are never in the way.
    ///
    /// ```
    /// use ropewalk_core::ServerEndpoint;
    ///
    /// let plain: ServerEndpoint = "tcp:443:interface=*".parse()?;
    /// let secure: ServerEndpoint = "tls:127.0.0.1:443".parse()?;
    /// assert!(plain.overlaps(&secure));
    /// # Ok::<(), ropewalk_core::endpoint::ParseError>(())
    /// ```
    pub fn overlaps(&self, other: &Self) -> bool {
        match (Place::of(self), Place::of(other)) {
            (Some(one), Some(other)) => one.overlaps(&other),
            _ => false,
        }
    }
}

/// Where an endpoint listens.
#[derive(PartialEq, Eq)]
enum Place {
    Port {
        datagrams: bool,
        port: u16,
        interface: Interface,
        shared: bool,
    },
    Unix(UnixPath),
    /// An abstract name of datagrams, which are apart from those of streams.
    AbstractDatagrams(String),
    Descriptor(i32),
    Standard,
    Memory(String),
    Passed(SystemdListen),
}

impl Place {
    /// None for schemes of somebody else's.
    fn of(endpoint: &ServerEndpoint) -> Option<Self> {
        let port = |datagrams, interface: &Interface, port, shared| Self::Port {
            datagrams,
            port,
            interface: interface.clone(),
            shared,
        };
        Some(match &endpoint.spec {
            ServerSpec::Tcp(tcp) => port(false, &tcp.interface, tcp.port, tcp.reuse_port),
            ServerSpec::Tls(tls) => {
                port(false, &tls.tcp.interface, tls.tcp.port, tls.tcp.reuse_port)
            }
            ServerSpec::Udp(udp) => port(true, &udp.interface, udp.port, udp.reuse_port),
            ServerSpec::Unix(unix) => Self::Unix(unix.path.clone()),
            ServerSpec::UnixDatagram(unix) => match &unix.path {
                UnixPath::Abstract(name) => Self::AbstractDatagrams(name.clone()),
                path => Self::Unix(path.clone()),
            },
            ServerSpec::Fd(number) => Self::Descriptor(*number),
            ServerSpec::Stdio => Self::Standard,
            ServerSpec::Mem(name) => Self::Memory(name.clone()),
            ServerSpec::Haproxy(haproxy) => return Self::of(&haproxy.inner),
            // Without a number, each takes the next socket of its name.
            ServerSpec::Systemd(systemd) => {
                systemd.index?;
                Self::Passed(systemd.clone())
            }
            ServerSpec::Other(description) => {
                let inner = description.inner()?.parse().ok()?;
                return Self::of(&inner);
            }
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let (
            Self::Port {
                datagrams,
                port,
                interface,
                shared,
            },
            Self::Port {
                datagrams: other_datagrams,
                port: other_port,
                interface: other_interface,
                shared: other_shared,
            },
        ) = (self, other)
        else {
            return self == other;
        };
        datagrams == other_datagrams
            && port == other_port
            && *port != 0
            && !(*shared && *other_shared)
            && meet(interface, other_interface)
    }
}

/// Whether a packet could be for both interfaces.
fn meet(one: &Interface, other: &Interface) -> bool {
    let (Some(one), Some(other)) = (address(one), address(other)) else {
        // `*` is all of both families.
        return true;
    };
    one.ip.is_ipv4() == other.ip.is_ipv4()
        && (one == other || one.ip.is_unspecified() || other.ip.is_unspecified())
}

/// The one address of an interface; none for all.
fn address(interface: &Interface) -> Option<ScopedIp> {
    match interface {
        Interface::All => None,
        Interface::Loopback => Some(ScopedIp {
            ip: Ipv4Addr::LOCALHOST.into(),
            scope: None,
        }),
        Interface::Address(address) => Some(address.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str, expected: bool) {
        let [one, other]: [ServerEndpoint; 2] = [one, other].map(|text| text.parse().unwrap());
        assert_eq!(one.overlaps(&other), expected, "{one} and {other}");
        assert_eq!(other.overlaps(&one), expected, "{other} and {one}");
    }

    #[test]
    fn sockets_of_one_name_are_taken_in_turn_and_those_by_number_once() {
        check("systemd:name=a", "systemd:name=a", false);
        check("systemd:index=0", "systemd:index=0", true);
        check("systemd:name=a:index=0", "systemd:name=a:index=1", false);
    }

    #[test]
    fn a_port_is_one_listeners() {
        check("tcp:80", "tcp:127.0.0.1:80", true);
        check("tcp:80", "tls:80", true);
        check("tcp:80", "tcp:81", false);
        check("tcp:80", "udp:80", false);
        check("udp:80", "udp:80", true);
        check("tcp:80:interface=*", "tcp:[::1]:80", true);
        check("tcp:0.0.0.0:80", "tcp:80", true);
        check("tcp:0.0.0.0:80", "tcp:[::]:80", false);
        check("tcp:[::]:80", "tcp:[::1]:80", true);
        check("tcp:127.0.0.2:80", "tcp:80", false);
        check("haproxy/tcp:80", "tls:80", true);
    }

    #[test]
    fn unless_the_system_chooses_or_they_share_it() {
        check("tcp:0", "tcp:0", false);
        check("tcp:80:reuse-port", "tcp:80:reuse-port", false);
        check("tcp:80:reuse-port", "tcp:80", true);
    }

    #[test]
    fn paths_names_and_descriptors_too() {
        check("unix:/x", "unix:/x:mode=600", true);
        check("unix:/x", "unix:@/x", false);
        check("mem:a", "mem:a", true);
        check("mem:a", "mem:b", false);
        check("fd:3", "fd:3", true);
        check("stdio:", "stdio:", true);
        check("stdio:", "fd:3", false);
        check("quic:1", "quic:1", false);
    }
}
