//! Datagrams over the same ways: late, twice, in another order, or never.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use super::{
    network::Network,
    state::{Due, State},
    trace::{What, hash_of},
};
use crate::{Address, DatagramSocket, Datagrams, UnsentDatagrams};

/// Bytes that wait to be received; what comes beyond is lost, as by a socket.
const CAPACITY: usize = 208 * 1024;

/// A port of a host that receives datagrams.
#[derive(Default)]
pub(super) struct Mailbox {
    inbox: VecDeque<(Bytes, SocketAddr)>,
    /// Bytes of these.
    waiting: usize,
    /// The only one it hears, if it is connected.
    peer: Option<SocketAddr>,
    /// Something it sent came where nobody listens.
    refused: bool,
    waker: Option<Waker>,
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    from: (usize, SocketAddr),
    to: (usize, SocketAddr),
    bytes: Bytes,
}

impl State {
    /// Takes a port for datagrams, if it is free.
    pub(super) fn open_datagrams(
        &mut self,
        host: usize,
        port: u16,
        peer: Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        let port = match port {
            0 => self.free_port(host),
            port => port,
        };
        let mailboxes = &mut self.hosts[host].mailboxes;
        if mailboxes.contains_key(&port) {
            return None;
        }
        let mailbox = Mailbox {
            peer,
            ..Mailbox::default()
        };
        mailboxes.insert(port, mailbox);
        if peer.is_none() {
            self.record(What::Listening((host, port)));
        }
        Some((self.hosts[host].ip, port).into())
    }

    fn send_datagram(&mut self, from: (usize, SocketAddr), to: SocketAddr, bytes: &[u8]) {
        let target = match to.ip() {
            ip if ip.is_loopback() => Some(from.0),
            ip => self.hosts.iter().position(|h| h.ip == ip),
        };
        let Some(target) = target else { return };
        let now = self.now();
        let way = self
            .ways
            .get_mut(&(from.0, target))
            .expect("a way between hosts");
        if bytes.len() > way.link.mtu || self.random.chance(way.link.loss) {
            return self.record(What::Lost(
                (from.0, from.1.port()),
                (target, to.port()),
                bytes.len(),
            ));
        }
        let copies = 1 + u8::from(self.random.chance(way.link.duplicate));
        for _ in 0..copies {
            let arrives = way.pass_datagram(now, bytes.len(), &mut self.random);
            let flight = Flight {
                from,
                to: (target, to),
                bytes: Bytes::copy_from_slice(bytes),
            };
            self.agenda.add(arrives, Due::Datagram(flight));
        }
    }

    pub(super) fn datagram(&mut self, flight: Flight) {
        let Flight { from, to, bytes } = flight;
        let ports = ((from.0, from.1.port()), (to.0, to.1.port()));
        let is_open = self.is_open(from.0, to.0);
        let mailbox = self.hosts[to.0].mailboxes.get_mut(&to.1.port());
        let (true, Some(mailbox)) = (is_open, mailbox) else {
            if is_open && self.is_open(to.0, from.0) {
                let arrives = self.pass(to.0, from.0);
                self.agenda.add(arrives, Due::Unreachable(from, to.1));
            }
            return self.record(What::Lost(ports.0, ports.1, bytes.len()));
        };
        if mailbox.peer.is_some_and(|peer| peer != from.1)
            || mailbox.waiting + bytes.len() > CAPACITY
        {
            return self.record(What::Lost(ports.0, ports.1, bytes.len()));
        }
        let what = What::Datagram(ports.0, ports.1, bytes.len(), hash_of(&bytes));
        mailbox.waiting += bytes.len();
        mailbox.inbox.push_back((bytes, from.1));
        self.wakes.extend(mailbox.waker.take());
        self.record(what);
    }

    /// Tells who is connected that nobody listens there.
    pub(super) fn unreachable(&mut self, (host, near): (usize, SocketAddr), far: SocketAddr) {
        if let Some(mailbox) = self.hosts[host].mailboxes.get_mut(&near.port())
            && mailbox.peer == Some(far)
        {
            mailbox.refused = true;
            self.wakes.extend(mailbox.waker.take());
        }
    }
}

/// A socket for datagrams on one host.
pub(super) struct SimSocket {
    pub(super) network: Network,
    pub(super) host: usize,
    pub(super) boot: u64,
    pub(super) local: SocketAddr,
    pub(super) peer: Option<SocketAddr>,
}

impl DatagramSocket for SimSocket {
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Datagrams,
    ) -> Poll<io::Result<()>> {
        let mut state = self.network.state();
        // Nothing comes to a host that has crashed; who waits is dropped soon.
        if state.is_dead(self.host, self.boot) {
            return Poll::Pending;
        }
        let mailboxes = &mut state.hosts[self.host].mailboxes;
        let Some(mailbox) = mailboxes.get_mut(&self.local.port()) else {
            return Poll::Pending;
        };
        if std::mem::take(&mut mailbox.refused) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        let mut any = false;
        while batch.room() > 0 {
            let Some((bytes, from)) = mailbox.inbox.pop_front() else {
                break;
            };
            any = true;
            mailbox.waiting -= bytes.len();
            batch.push(&bytes, from.into());
        }
        if any {
            return Poll::Ready(Ok(()));
        }
        mailbox.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        unsent: &mut UnsentDatagrams,
    ) -> Poll<io::Result<()>> {
        let mut state = self.network.state();
        let is_dead = state.is_dead(self.host, self.boot);
        while let Some((data, to)) = unsent.front() {
            let to = match to {
                Some(address) => address.inet(),
                None => self.peer,
            };
            let to = to.ok_or(io::ErrorKind::InvalidInput)?;
            if !is_dead {
                state.send_datagram((self.host, self.local), to, data);
            }
            unsent.sent(1);
        }
        Poll::Ready(Ok(()))
    }

    fn local(&self) -> Address {
        self.local.into()
    }

    fn peer(&self) -> Option<Address> {
        self.peer.map(Address::from)
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        let mut state = self.network.state();
        // After a crash the port may be somebody else's.
        if !state.is_dead(self.host, self.boot) {
            state.hosts[self.host].mailboxes.remove(&self.local.port());
        }
    }
}
