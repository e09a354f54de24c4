//! `tcp:` and the sockets of `udp:`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::{Accepted, Listener, Schemes, backlog, error::UnknownHost};
use crate::{
    Address, Peer,
    endpoint::{Host, Interface, ScopedIp, TcpConnect, TcpListen, UdpListen},
};

/// How long one address has before the next is tried beside it (RFC 8305,
/// section 5).
const STAGGER: Duration = Duration::from_millis(250);

pub(super) struct Tcp {
    listener: TcpListener,
    local: SocketAddr,
}

impl Tcp {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }
}

impl Listener for Tcp {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        let (stream, peer) = ready!(self.listener.poll_accept(cx))?;
        Poll::Ready(Some(accepted(stream, peer)))
    }

    fn local(&self) -> Address {
        self.local.into()
    }

    fn finish(self: Box<Self>) -> Vec<Accepted> {
        // The runtime may not have heard yet of what the kernel holds, so it
        // is asked directly.
        let Ok(listener) = self.listener.into_std() else {
            return Vec::new();
        };
        backlog(|| listener.accept())
            .filter_map(|(stream, peer)| {
                stream.set_nonblocking(true).ok()?;
                accepted(TcpStream::from_std(stream).ok()?, peer).ok()
            })
            .collect()
    }
}

fn accepted(stream: TcpStream, peer: SocketAddr) -> io::Result<Accepted> {
    // A turn is written at once, so waiting for more to go with it only delays.
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    // A dual-stack socket shows IPv4 peers as mapped addresses; everyone who
    // looks at an address wants the one the peer has.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let local = SocketAddr::new(local.ip().to_canonical(), local.port());
    Ok(Accepted::new(stream, Peer::new(peer), local.into()))
}

pub(super) fn listen(tcp: &TcpListen) -> io::Result<Tcp> {
    let backlog = i32::try_from(tcp.backlog).unwrap_or(i32::MAX);
    let socket = bind(&tcp.interface, tcp.port, Type::STREAM, tcp.reuse_port)?;
    // Accepted sockets have it from the one that listens.
    keep_alive(&socket, tcp.keepalive)?;
    socket.listen(backlog)?;
    Tcp::new(TcpListener::from_std(socket.into())?)
}

/// Has the system probe a peer that was silent for so long, again and again at
/// least every minute, and give up when it says how often (Linux: nine times).
fn keep_alive<'a>(socket: impl Into<SockRef<'a>>, after: Option<Duration>) -> io::Result<()> {
    let Some(after) = after else { return Ok(()) };
    let interval = after.min(Duration::from_secs(60));
    let probes = TcpKeepalive::new().with_time(after).with_interval(interval);
    socket.into().set_tcp_keepalive(&probes)
}

/// A bound socket for `udp:`.
pub(crate) fn bind_udp(udp: &UdpListen) -> io::Result<UdpSocket> {
    let is_of = |v4: bool| {
        let mut groups = udp.groups.iter();
        !udp.groups.is_empty() && groups.all(|g| g.address.is_ipv4() == v4)
    };
    let unspecified = |ip: IpAddr| Interface::Address(ScopedIp { ip, scope: None });
    // Of the family of its groups: what is sent to them leaves by that.
    let interface = match &udp.interface {
        Interface::All if is_of(true) => unspecified(Ipv4Addr::UNSPECIFIED.into()),
        Interface::All if is_of(false) => unspecified(Ipv6Addr::UNSPECIFIED.into()),
        interface => interface.clone(),
    };
    let socket = bind(&interface, udp.port, Type::DGRAM, udp.reuse_port)?;
    UdpSocket::from_std(socket.into())
}

fn bind(interface: &Interface, port: u16, kind: Type, reuse_port: bool) -> io::Result<Socket> {
    let addresses = match interface {
        Interface::Loopback => vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))],
        // One socket for both families; where there is no IPv6, IPv4 alone.
        Interface::All => vec![
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
            SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        ],
        Interface::Address(address) => vec![socket_address(address, port)?],
    };
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses {
        match bind_one(address, *interface == Interface::All, kind, reuse_port) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => last = error,
            result => return result,
        }
    }
    Err(last)
}

fn bind_one(address: SocketAddr, dual: bool, kind: Type, reuse_port: bool) -> io::Result<Socket> {
    let protocol = match kind {
        Type::STREAM => Protocol::TCP,
        _ => Protocol::UDP,
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // A restarted server need not wait for its old connections to be
        // forgotten.
        socket.set_reuse_address(true)?;
    }
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

pub(crate) fn socket_address(address: &ScopedIp, port: u16) -> io::Result<SocketAddr> {
    let IpAddr::V6(ip) = address.ip else {
        return Ok((address.ip, port).into());
    };
    let scope = match &address.scope {
        None => 0,
        Some(name) => crate::sys::interface_index(name)?,
    };
    Ok(SocketAddrV6::new(ip, port, 0, scope).into())
}

/// The addresses of a host, in the order to try them: families in turn, as
/// RFC 8305 (section 4) has it, beginning with what the resolver puts first.
pub(crate) async fn resolve(
    host: &Host,
    port: u16,
    schemes: &Schemes,
) -> io::Result<Vec<SocketAddr>> {
    let name = match host {
        Host::Address(address) => return Ok(vec![socket_address(address, port)?]),
        Host::Name(name) => name,
    };
    let found: Vec<SocketAddr> = match &schemes.resolver {
        Some(resolver) => {
            let found = resolver.resolve(name).await?;
            found.into_iter().map(|ip| (ip, port).into()).collect()
        }
        None => tokio::net::lookup_host((name.as_str(), port))
            .await
            .map_err(|_| io::Error::other(UnknownHost))?
            .collect(),
    };
    let Some(first) = found.first() else {
        return Err(io::Error::other(UnknownHost));
    };
    let (mut one, mut other): (Vec<SocketAddr>, Vec<SocketAddr>) = found
        .iter()
        .copied()
        .partition(|a| a.is_ipv4() == first.is_ipv4());
    let mut ordered = Vec::with_capacity(found.len());
    one.reverse();
    other.reverse();
    while !one.is_empty() || !other.is_empty() {
        ordered.extend(one.pop());
        ordered.extend(other.pop());
    }
    Ok(ordered)
}

/// Connects to the first address that answers: each has a head start over the
/// next (happy eyeballs, RFC 8305).
pub(super) async fn connect(tcp: &TcpConnect, schemes: &Schemes) -> io::Result<Accepted> {
    let port = tcp.bind_port.unwrap_or(0);
    let bind = match &tcp.bind {
        Some(address) => Some(socket_address(address, port)?),
        None => None,
    };
    let mut waiting = resolve(&tcp.host, tcp.port, schemes).await?;
    waiting.retain(|a| bind.is_none_or(|b| a.is_ipv4() == b.is_ipv4()));
    let mut waiting = waiting.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    loop {
        let next = waiting.next();
        let last = next.is_none();
        attempts.extend(next.map(|address| attempt(address, bind, tcp)));
        if attempts.is_empty() {
            return Err(failed);
        }
        let head_start = async {
            match last {
                true => std::future::pending().await,
                false => tokio::time::sleep(STAGGER).await,
            }
        };
        tokio::select! {
            Some(result) = attempts.next() => match result {
                Ok((stream, peer)) => return accepted(stream, peer),
                // A refusal lets the next one begin at once.
                Err(error) => failed = error,
            },
            () = head_start => {}
        }
    }
}

async fn attempt(
    address: SocketAddr,
    bind: Option<SocketAddr>,
    tcp: &TcpConnect,
) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    keep_alive(&socket, tcp.keepalive)?;
    let any = || match address {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
    };
    let bind_port = || tcp.bind_port.map(|port| (any(), port).into());
    if let Some(bind) = bind.or_else(bind_port) {
        // Its last connection from there may not be forgotten yet.
        socket.set_reuseaddr(tcp.bind_port.is_some())?;
        socket.bind(bind)?;
    }
    Ok((socket.connect(address).await?, address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ClientEndpoint, ServerEndpoint,
        endpoint::{ClientSpec, ServerSpec},
        testing,
    };

    #[test]
    fn keep_alive_is_on_where_it_is_asked_for_and_delay_is_off() {
        testing::run_in_real_time(async {
            for (options, after) in [(":keepalive=77", Some(77)), ("", None)] {
                let server: ServerEndpoint = format!("tcp:0{options}").parse().unwrap();
                let ServerSpec::Tcp(server) = &server.spec else {
                    panic!("tcp");
                };
                let listener = listen(server).unwrap();
                let client = format!("tcp:{}{options}", listener.local);
                let client: ClientEndpoint = client.parse().unwrap();
                let ClientSpec::Tcp(client) = &client.spec else {
                    panic!("tcp");
                };
                let schemes = Schemes::new();
                let (near, far) =
                    tokio::join!(connect(client, &schemes), listener.listener.accept());
                let accepted = accepted(far.unwrap().0, listener.local).unwrap();
                for end in [near.unwrap(), accepted] {
                    let socket = end.stream.tcp().map(SockRef::from).unwrap();
                    assert!(socket.tcp_nodelay().unwrap());
                    assert_eq!(socket.keepalive().unwrap(), after.is_some());
                    if let Some(after) = after {
                        let time = socket.tcp_keepalive_time().unwrap();
                        assert_eq!(time, Duration::from_secs(after));
                        let interval = socket.tcp_keepalive_interval().unwrap();
                        assert_eq!(interval, Duration::from_secs(60));
                    }
                }
            }
        });
    }
}
