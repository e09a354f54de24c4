//! Which process has an address that is in use, as far as `/proc` tells (proc(5)).
//!
//! For the error's words only: nothing depends on the answer, and where there is no `/proc`, or the
//! process is somebody else's, there is none. It reads the descriptors of every process, so it is
//! asked only after a listener has failed.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::{
    ServerEndpoint,
    endpoint::{Interface, ServerSpec, UnixPath},
};

/// The process that listens where `endpoint` wants to: `nginx (pid 812)`.
pub(super) fn of(endpoint: &str) -> Option<String> {
    let endpoint: ServerEndpoint = endpoint.parse().ok()?;
    let inode = match &endpoint.spec {
        ServerSpec::Tcp(tcp) => inet("tcp", &tcp.interface, tcp.port),
        ServerSpec::Tls(tls) => inet("tcp", &tls.tcp.interface, tls.tcp.port),
        ServerSpec::Udp(udp) => inet("udp", &udp.interface, udp.port),
        ServerSpec::Unix(unix) => local(&match &unix.path {
            UnixPath::File(path) => path.to_str()?.to_owned(),
            UnixPath::Abstract(name) => format!("@{name}"),
        }),
        _ => None,
    }?;
    holder(inode)
}

/// The socket that is in the way of this interface and port.
fn inet(protocol: &str, interface: &Interface, port: u16) -> Option<u64> {
    let wanted = match interface {
        Interface::Loopback => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Interface::All => None,
        Interface::Address(address) => Some(address.ip.to_canonical()),
    };
    ["", "6"].iter().find_map(|family| {
        let table = fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok()?;
        find_inet(&table, protocol == "tcp", wanted, port)
    })
}

/// Looks for the line of a socket that listens (state 0A for TCP) on the port,
/// at this address or at all.
fn find_inet(table: &str, listens: bool, wanted: Option<IpAddr>, port: u16) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (address, its_port) = fields.nth(1)?.split_once(':')?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let address = address_of(address)?;
        let meets =
            wanted.is_none_or(|w| w == address || w.is_unspecified()) || address.is_unspecified();
        let is_it =
            u16::from_str_radix(its_port, 16).ok()? == port && meets && (!listens || state == "0A");
        is_it.then_some(inode)
    })
}

/// An address as the tables have it: words of 32 bits in the machine's order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (i, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(i * 8)?);
            }
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

/// The Unix socket of this path; an abstract one begins with `@`.
fn local(path: &str) -> Option<u64> {
    let table = fs::read_to_string("/proc/net/unix").ok()?;
    find_local(&table, path)
}

/// Looks for the line of a socket that is bound to the path and connected to nobody (state 01):
/// accepted connections bear their listener's path too, and those that wait have no inode.
fn find_local(table: &str, path: &str) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        // Seven fields and the path, which may hold spaces.
        let mut fields = line.split_ascii_whitespace();
        let state = fields.nth(5)?;
        let inode = fields.next()?;
        let its = line.split_once(&format!(" {inode} "))?.1;
        (state == "01" && its == path).then(|| inode.parse().ok())?
    })
}

/// The first process that holds a socket, by its name and number.
fn holder(inode: u64) -> Option<String> {
    let socket = format!("socket:[{inode}]");
    let holds = |pid: u32| {
        // Another account's descriptors are not ours to see.
        fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|descriptors| {
            descriptors.flatten().any(|descriptor| {
                fs::read_link(descriptor.path()).is_ok_and(|to| to.as_os_str() == &*socket)
            })
        })
    };
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // It may have ended since.
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        // Processes choose their names, and this one ends up in a line of a log.
        holds(pid).then(|| format!("{} (pid {pid})", name.trim_end().escape_debug()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_of_ours_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = format!("(pid {})", std::process::id());
        for endpoint in [
            format!("tcp:{port}"),
            format!("tls:{port}:cert=x"),
            format!("tcp:{port}:interface=*"),
            format!("tcp:0.0.0.0:{port}"),
        ] {
            assert!(of(&endpoint).unwrap().ends_with(&me), "{endpoint}");
        }
        // Another address, and another protocol.
        assert_eq!(of(&format!("tcp:127.0.0.2:{port}")), None);
        assert_eq!(of("mem:x"), None);
    }

    #[test]
    fn a_socket_for_datagrams_is_found() {
        let socket = std::net::UdpSocket::bind("[::1]:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let owner = of(&format!("udp:[::1]:{port}")).unwrap();
        assert!(owner.ends_with(&format!("(pid {})", std::process::id())));
    }

    #[test]
    fn a_unix_socket_is_found_by_its_whole_path() {
        let table = "Num RefCount Protocol Flags Type St Inode Path\n\
            0: 00000002 00000000 00000000 0001 02     0 /run/a b.sock\n\
            0: 00000003 00000000 00000000 0001 03 12344 /run/a b.sock\n\
            0: 00000002 00000000 00010000 0001 01 12345 /run/a b.sock\n\
            0: 00000003 00000000 00000000 0001 03 12346\n\
            0: 00000002 00000000 00010000 0001 01 12347 @name\n";
        assert_eq!(find_local(table, "/run/a b.sock"), Some(12345));
        assert_eq!(find_local(table, "@name"), Some(12347));
        assert_eq!(find_local(table, "b.sock"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn connections_of_the_port_are_not_its_listener() {
        let table = |state| {
            format!(
                "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode\n\
                 0: 0100007F:1F90 0100007F:D431 {state} 0:0 00:0 00000000 0 0 8 1 0\n"
            )
        };
        let localhost = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(find_inet(&table("01"), true, localhost, 8080), None);
        assert_eq!(find_inet(&table("0A"), true, localhost, 8080), Some(8));
        assert_eq!(find_inet(&table("0A"), true, localhost, 8081), None);
    }
}
