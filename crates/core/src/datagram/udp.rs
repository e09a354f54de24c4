//! `udp:`, many datagrams a system call where the system can (Linux).

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as SystemSocket},
    os::fd::AsFd,
    sync::Arc,
    task::{Context, Poll, ready},
};

use socket2::{InterfaceIndexOrAddress, SockRef};
use tokio::{
    io::{Interest, Ready, unix::AsyncFd},
    net::UdpSocket,
};

use super::{
    DatagramOption, DatagramSocket, Datagrams, MulticastGroup, UnsentDatagrams, batch::BATCH,
};
use crate::{
    Address, Schemes,
    endpoint::{UdpConnect, UdpListen},
    schemes::{bind_udp, resolve_host, socket_address},
    sys,
    work::BoxFuture,
};

/// The buffer of a thread, into which datagrams are received before they are
/// put behind each other: a batch of short ones fits, or three of the longest.
const SCRATCH: usize = 256 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(crate) struct Udp {
    /// Watched for what arrives, and no more: the system tells whoever watches
    /// for room of each datagram that has left, and there always is room.
    socket: Arc<AsyncFd<SystemSocket>>,
    /// The same socket while it has no room, watched until it does.
    full: Option<AsyncFd<SystemSocket>>,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    /// Waits for an error, on a connected socket: the runtime tells a reader
    /// of data only.
    refused: Option<BoxFuture<'static, io::Error>>,
}

pub(crate) fn listen(udp: &UdpListen) -> io::Result<Udp> {
    let mut udp_socket = Udp::new(bind_udp(udp)?, None)?;
    for option in udp.options() {
        udp_socket.set(&option)?;
    }
    Ok(udp_socket)
}

/// A socket that listens already.
pub(crate) fn passed(socket: UdpSocket) -> io::Result<Udp> {
    Udp::new(socket, None)
}

/// Takes the first address that the system has a way to; that somebody is
/// there does not show.
pub(crate) async fn connect(udp: &UdpConnect, schemes: &Schemes) -> io::Result<Udp> {
    let bind = match &udp.bind {
        Some(bind) => Some(socket_address(bind, 0)?),
        None => None,
    };
    let mut last = io::ErrorKind::AddrNotAvailable.into();
    for peer in resolve_host(&udp.host, udp.port, schemes).await? {
        let any = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let attempt = async {
            let socket = UdpSocket::bind(bind.unwrap_or(any)).await?;
            if udp.broadcast {
                socket.set_broadcast(true)?;
            }
            socket.connect(peer).await?;
            Udp::new(socket, Some(peer))
        };
        match attempt.await {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Udp {
    fn new(socket: UdpSocket, peer: Option<SocketAddr>) -> io::Result<Self> {
        let local = socket.local_addr()?;
        let interest = match peer {
            Some(_) => Interest::READABLE | Interest::ERROR,
            None => Interest::READABLE,
        };
        let socket = Arc::new(sys::watched_socket(socket.into_std()?, interest)?);
        Ok(Self {
            refused: peer.map(|_| refusal(socket.clone())),
            socket,
            full: None,
            local,
            peer,
        })
    }

    /// The address as this socket's family writes it.
    fn address(&self, to: &Address) -> io::Result<SocketAddr> {
        let Some(to) = to.inet() else {
            let what = format!("{to} is no address of UDP");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        };
        match to {
            SocketAddr::V4(v4) if self.local.is_ipv6() => {
                Ok((v4.ip().to_ipv6_mapped(), v4.port()).into())
            }
            to => Ok(to),
        }
    }

    /// How many of those at the front were sent: at least one.
    #[cfg(target_os = "linux")]
    fn send(&self, unsent: &UnsentDatagrams) -> io::Result<usize> {
        let mut addressed = Vec::with_capacity(unsent.len().min(BATCH));
        for (data, to) in unsent.iter().take(BATCH) {
            let to = to.map(|to| self.address(to)).transpose();
            match to {
                Ok(to) => addressed.push((data, to)),
                // Those before it go first; it is then at the front.
                Err(error) if addressed.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        sys::send_datagrams(self.socket.get_ref().as_fd(), &addressed)
    }

    #[cfg(not(target_os = "linux"))]
    fn send(&self, unsent: &UnsentDatagrams) -> io::Result<usize> {
        let Some((data, to)) = unsent.front() else {
            return Ok(0);
        };
        match to {
            Some(to) => {
                SockRef::from(self.socket.get_ref()).send_to(data, &self.address(to)?.into())?
            }
            None => SockRef::from(self.socket.get_ref()).send(data)?,
        };
        Ok(1)
    }

    fn group(&self, group: &MulticastGroup, joins: bool) -> io::Result<()> {
        let socket = SockRef::from(self.socket.get_ref());
        let index = match &group.interface {
            Some(name) => sys::interface_index(name)?,
            None => 0,
        };
        if joins {
            // Without that, Linux gives a socket what any other one joined.
            #[cfg(target_os = "linux")]
            match group.address {
                IpAddr::V4(_) => socket.set_multicast_all_v4(false)?,
                IpAddr::V6(_) => socket.set_multicast_all_v6(false)?,
            }
        }
        let interface = InterfaceIndexOrAddress::Index(index);
        match (group.address, group.source) {
            (IpAddr::V4(address), None) if joins => {
                socket.join_multicast_v4_n(&address, &interface)
            }
            (IpAddr::V4(address), None) => socket.leave_multicast_v4_n(&address, &interface),
            (IpAddr::V6(address), None) if joins => socket.join_multicast_v6(&address, index),
            (IpAddr::V6(address), None) => socket.leave_multicast_v6(&address, index),
            (address, Some(source)) => {
                sys::source_membership(self.socket.get_ref().as_fd(), address, source, index, joins)
            }
        }
    }
}

impl DatagramSocket for Udp {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Datagrams,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            match receive(self.socket.get_ref(), self.peer, batch) {
                Ok(true) => {}
                // What came in between is told again by the runtime, so asking
                // the system once more in vain is spared.
                Ok(false) => ready.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.clear_ready();
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            return Poll::Ready(Ok(()));
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>> {
        loop {
            let ready = match &self.full {
                Some(full) => Some(ready!(full.poll_write_ready(cx))?),
                None => None,
            };
            match self.send(unsent) {
                Ok(sent) => {
                    unsent.sent(sent);
                    if unsent.is_empty() {
                        self.full = None;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match ready {
                    Some(mut ready) => ready.clear_ready(),
                    None => {
                        let same = self.socket.get_ref().try_clone()?;
                        self.full = Some(sys::watched_socket(same, Interest::WRITABLE)?);
                    }
                },
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn poll_refused(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some(refused) = &mut self.refused else {
            return Poll::Pending;
        };
        let error = ready!(refused.as_mut().poll(cx));
        self.refused = Some(refusal(self.socket.clone()));
        Poll::Ready(error)
    }

    fn local(&self) -> Address {
        self.local.into()
    }

    fn peer(&self) -> Option<Address> {
        self.peer.map(Address::from)
    }

    fn set(&mut self, option: &DatagramOption) -> io::Result<()> {
        let socket = SockRef::from(self.socket.get_ref());
        let v6 = self.local.is_ipv6();
        match option {
            DatagramOption::Join(group) => self.group(group, true),
            DatagramOption::Leave(group) => self.group(group, false),
            // A socket of both families has these of both.
            DatagramOption::MulticastHops(hops) => {
                if v6 {
                    socket.set_multicast_hops_v6((*hops).into())?;
                }
                socket.set_multicast_ttl_v4((*hops).into())
            }
            DatagramOption::MulticastLoop(on) => {
                if v6 {
                    socket.set_multicast_loop_v6(*on)?;
                }
                socket.set_multicast_loop_v4(*on)
            }
            DatagramOption::MulticastInterface(name) => {
                let index = sys::interface_index(name)?;
                if v6 {
                    socket.set_multicast_if_v6(index)?;
                }
                sys::set_multicast_interface_v4(self.socket.get_ref().as_fd(), index)
            }
            DatagramOption::Broadcast(on) => socket.set_broadcast(*on),
        }
    }
}

/// Receives what is there, as much as the thread's buffer holds; returns
/// whether there may be more.
#[cfg(target_os = "linux")]
fn receive(
    socket: &SystemSocket,
    peer: Option<SocketAddr>,
    batch: &mut Datagrams,
) -> io::Result<bool> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(SCRATCH, 0);
        // One byte more, which shows that a datagram is longer.
        let slot = (batch.largest() + 1).min(SCRATCH);
        let room = batch.room();
        sys::receive_datagrams(socket.as_fd(), buffer, slot, room, |data, from| {
            if let Some(from) = from.map(canonical).or(peer) {
                batch.push(data, from.into());
            }
        })
    })
}

#[cfg(not(target_os = "linux"))]
fn receive(
    socket: &SystemSocket,
    peer: Option<SocketAddr>,
    batch: &mut Datagrams,
) -> io::Result<bool> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(SCRATCH, 0);
        let (length, from) = match peer {
            Some(peer) => (socket.recv(buffer)?, peer),
            None => socket.recv_from(buffer)?,
        };
        batch.push(&buffer[..length], canonical(from).into());
        Ok(true)
    })
}

/// A dual-stack socket shows IPv4 peers as mapped addresses; everyone who looks
/// at an address wants the one the peer has.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => (ip, address.port()).into(),
        // With its scope, which an answer needs.
        IpAddr::V6(_) => address,
    }
}

/// Waits for the next error of a socket.
fn refusal(socket: Arc<AsyncFd<SystemSocket>>) -> BoxFuture<'static, io::Error> {
    Box::pin(async move {
        loop {
            let mut ready = match socket.ready(Interest::ERROR).await {
                Ok(ready) => ready,
                Err(error) => return error,
            };
            let error = socket.get_ref().take_error();
            // Says that there is no more, so that the next wait waits.
            ready.clear_ready_matching(Ready::ERROR);
            match error {
                Ok(Some(error)) | Err(error) => return error,
                Ok(None) => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// A socket that had no room is asked again when it has, and is watched for
    /// that no longer once all has left.
    #[tokio::test]
    async fn what_waited_for_room_leaves() {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let other = bind().await.unwrap();
        let mut udp = Udp::new(bind().await.unwrap(), None).unwrap();
        let same = udp.socket.get_ref().try_clone().unwrap();
        udp.full = Some(sys::watched_socket(same, Interest::WRITABLE).unwrap());
        let mut unsent = UnsentDatagrams::default();
        let to = Address::from(other.local_addr().unwrap());
        for n in 0..u8::try_from(BATCH + 1).unwrap() {
            unsent.push([n].to_vec(), Some(to.clone()), |_| true);
        }
        poll_fn(|cx| udp.poll_send(cx, &mut unsent)).await.unwrap();
        assert!(unsent.len() == 1 && udp.full.is_some());
        poll_fn(|cx| udp.poll_send(cx, &mut unsent)).await.unwrap();
        assert!(unsent.is_empty() && udp.full.is_none());
        let mut buffer = [0; 8];
        for n in 0..=BATCH {
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 1);
            assert_eq!(usize::from(buffer[0]), n);
        }
    }
}
