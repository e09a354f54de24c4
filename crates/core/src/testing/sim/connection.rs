//! What a connection does: it is asked for and granted, its bytes go over, it
//! ends.
//!
//! As TCP shows itself to programs (RFC 9293), without its packets: segments
//! arrive whole and in order, what is lost on the way comes later, and
//! acknowledgements cost nothing and are never lost, so that a way that is cut
//! in one direction stops the bytes of that direction alone.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    task::{Context, Poll, Waker},
};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;

use super::{
    link::ns,
    state::{Due, Side, State},
    trace::{Step, hash_of},
};

pub(super) struct Connection {
    /// The client's and the server's.
    pub(super) ends: [End; 2],
    /// What each of them sent.
    pipes: [Pipe; 2],
    phase: Phase,
    connector: Option<Waker>,
    /// How often it was asked for in vain.
    pub(super) tries: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Asked,
    /// The server has it; the client does not know yet.
    Granted,
    Open,
    Refused,
}

pub(super) struct End {
    pub(super) host: usize,
    pub(super) address: SocketAddr,
    life: Life,
    /// Somebody has it: a stream, or the backlog of a port.
    held: bool,
    /// Dropping it resets.
    abort: bool,
    inbox: VecDeque<Bytes>,
    /// Bytes in the inbox.
    unread: usize,
    /// The other side has ended.
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    /// Dropped by who had it.
    Closed,
    Failed(io::ErrorKind),
}

/// One direction: what was written and has not arrived.
#[derive(Default)]
struct Pipe {
    segments: VecDeque<Segment>,
    /// Bytes of these.
    in_flight: usize,
    /// When the last of them arrives.
    last: u64,
    /// So many have come to where the way is cut, the first at that time.
    stuck: usize,
    stuck_since: u64,
    /// No more will be written.
    ended: bool,
    /// That nobody takes it has been answered.
    rejected: bool,
}

struct Segment {
    /// None is the end.
    bytes: Option<Bytes>,
    leaves: u64,
    /// Answered by a reset on the way.
    reset: bool,
}

impl End {
    fn new(host: usize, address: SocketAddr, held: bool) -> Self {
        Self {
            host,
            address,
            life: Life::Open,
            held,
            abort: false,
            inbox: VecDeque::new(),
            unread: 0,
            ended: false,
            reader: None,
            writer: None,
        }
    }

    fn empty(&mut self) {
        self.inbox.clear();
        self.unread = 0;
    }
}

impl Pipe {
    /// Takes back what has not left by now.
    fn cut_off(&mut self, now: u64) {
        while let Some(segment) = self.segments.pop_back_if(|s| s.leaves > now) {
            self.in_flight -= segment.len();
        }
        self.ended = true;
    }

    fn clear(&mut self) {
        self.segments.clear();
        self.in_flight = 0;
        self.stuck = 0;
        self.ended = true;
    }
}

impl Segment {
    fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, Bytes::len)
    }
}

impl Connection {
    /// From which host to which this side's bytes go.
    fn hosts(&self, from: Side) -> (usize, usize) {
        let host = |side: Side| self.ends[side.index()].host;
        (host(from), host(from.other()))
    }

    fn end(&mut self, side: Side) -> &mut End {
        &mut self.ends[side.index()]
    }
}

/// Connecting.
impl State {
    /// Asks for a connection; [`poll_connect`](Self::poll_connect) tells what
    /// became of it.
    pub(super) fn connect(&mut self, from: usize, to: usize, port: u16) -> u64 {
        let own_port = self.free_port(from);
        let near = SocketAddr::from((self.hosts[from].ip, own_port));
        let far = SocketAddr::from((self.hosts[to].ip, port));
        let id = self.trace.connection((from, own_port), (to, port));
        let connection = Connection {
            ends: [End::new(from, near, true), End::new(to, far, false)],
            pipes: Default::default(),
            phase: Phase::Asked,
            connector: None,
            tries: 0,
        };
        self.connections.insert(id, connection);
        self.step(id, Side::Client, Step::Connecting);
        let arrives = self.pass(from, to);
        self.agenda.add(arrives, Due::Ask(id));
        id
    }

    pub(super) fn asked(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (from, to) = connection.hosts(Side::Client);
        let port = connection.ends[1].address.port();
        if !self.is_open(from, to) {
            return self.ask_again(id, Due::Ask);
        }
        let refuse = self.ways[&(from, to)].link.refuse;
        let refused = self.random.chance(refuse);
        let listening = self.hosts[to].ports.get_mut(&port);
        let Some(listening) = listening.filter(|_| !refused) else {
            let arrives = self.pass(to, from);
            return self.agenda.add(arrives, Due::Refuse(id));
        };
        if listening.pending.len() >= listening.backlog {
            return self.ask_again(id, Due::Ask);
        }
        listening.pending.push_back(id);
        self.wakes.extend(listening.waker.take());
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.ends[1].held = true;
            connection.phase = Phase::Granted;
            connection.tries = 0;
        }
        let arrives = self.pass(to, from);
        self.agenda.add(arrives, Due::Grant(id));
    }

    pub(super) fn granted(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (to, from) = connection.hosts(Side::Server);
        if connection.phase != Phase::Granted || connection.ends[0].life != Life::Open {
            return;
        }
        if !self.is_open(to, from) {
            return self.ask_again(id, Due::Grant);
        }
        self.settle(id, Phase::Open, Step::Connected);
    }

    pub(super) fn refused(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (to, from) = connection.hosts(Side::Server);
        if !self.is_open(to, from) {
            return self.ask_again(id, Due::Ask);
        }
        self.settle(id, Phase::Refused, Step::Refused);
    }

    fn settle(&mut self, id: u64, phase: Phase, step: Step) {
        self.step(id, Side::Server, step);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.phase = phase;
            self.wakes.extend(connection.connector.take());
        }
    }

    /// The addresses of a connection that was asked for, once it is open.
    pub(super) fn poll_connect(
        &mut self,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(SocketAddr, SocketAddr)>> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if let Life::Failed(kind) = connection.ends[0].life {
            return Poll::Ready(Err(kind.into()));
        }
        match connection.phase {
            Phase::Open => {
                let [near, far] = &connection.ends;
                Poll::Ready(Ok((near.address, far.address)))
            }
            Phase::Refused => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            Phase::Asked | Phase::Granted => {
                connection.connector = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The next connection that waits at a port, and whose it is.
    pub(super) fn accept(&mut self, host: usize, port: u16) -> Option<(u64, SocketAddr)> {
        let listening = self.hosts[host].ports.get_mut(&port)?;
        let id = listening.pending.pop_front()?;
        let connection = self.connections.get(&id)?;
        Some((id, connection.ends[0].address))
    }

    /// Gives a port up; connections that wait there are reset.
    pub(super) fn unlisten(&mut self, host: usize, port: u16) {
        if let Some(listening) = self.hosts[host].ports.remove(&port) {
            for id in listening.pending {
                self.reset_on_drop(id, Side::Server);
                self.close(id, Side::Server);
            }
        }
    }
}

/// What a stream does.
impl State {
    pub(super) fn poll_read(
        &mut self,
        id: u64,
        side: Side,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = self.held(id);
        let end = connection.end(side);
        if let Life::Failed(kind) = end.life {
            return Poll::Ready(Err(kind.into()));
        }
        let Some(segment) = end.inbox.front_mut() else {
            if end.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            end.reader = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let n = segment.len().min(buf.remaining());
        buf.put_slice(&segment[..n]);
        segment.advance(n);
        if segment.is_empty() {
            end.inbox.pop_front();
        }
        end.unread -= n;
        let writer = connection.end(side.other()).writer.take();
        self.wakes.extend(writer);
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_write(
        &mut self,
        id: u64,
        side: Side,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let now = self.now();
        let connection = self.connections.get_mut(&id).expect("a stream holds it");
        let (from, to) = connection.hosts(side);
        if let Life::Failed(kind) = connection.end(side).life {
            return Poll::Ready(Err(kind.into()));
        }
        let unread = connection.end(side.other()).unread;
        let pipe = &mut connection.pipes[side.index()];
        if pipe.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let offered: usize = bufs.iter().map(|b| b.len()).sum();
        let way = self.ways.get_mut(&(from, to)).expect("a way between hosts");
        let room = way.link.window.max(1);
        let room = room.saturating_sub(pipe.in_flight + unread);
        if room == 0 && offered > 0 {
            connection.end(side).writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let written = room.min(offered);
        let mut bytes = BytesMut::with_capacity(written);
        for buf in bufs {
            let n = buf.len().min(written - bytes.len());
            bytes.extend_from_slice(&buf[..n]);
        }
        let mut bytes = bytes.freeze();
        while !bytes.is_empty() {
            let segment = bytes.split_to(way.segment(bytes.len(), &mut self.random));
            let passage = way.pass(now, segment.len(), &mut self.random);
            pipe.last = pipe.last.max(passage.arrives);
            pipe.in_flight += segment.len();
            pipe.segments.push_back(Segment {
                bytes: Some(segment),
                leaves: passage.leaves,
                reset: self.random.chance(way.link.reset),
            });
            self.agenda.add(pipe.last, Due::Deliver(id, side));
        }
        Poll::Ready(Ok(written))
    }

    /// Ends this side's direction.
    pub(super) fn shutdown(&mut self, id: u64, side: Side) -> io::Result<()> {
        let connection = self.held(id);
        if let Life::Failed(kind) = connection.end(side).life {
            return Err(kind.into());
        }
        self.finish(id, side);
        Ok(())
    }

    pub(super) fn reset_on_drop(&mut self, id: u64, side: Side) {
        self.held(id).end(side).abort = true;
    }

    /// Who had this side has dropped it.
    pub(super) fn close(&mut self, id: u64, side: Side) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let is_open = connection.phase == Phase::Open || side == Side::Server;
        let end = connection.end(side);
        end.held = false;
        if end.life == Life::Open {
            end.life = Life::Closed;
            let good = is_open && end.unread == 0 && !end.abort;
            end.empty();
            if good {
                self.finish(id, side);
            } else {
                connection.pipes[side.index()].cut_off(now);
                self.send_reset(id, side);
            }
        }
        self.forget(id);
    }

    fn held(&mut self, id: u64) -> &mut Connection {
        self.connections.get_mut(&id).expect("a stream holds it")
    }

    fn finish(&mut self, id: u64, side: Side) {
        let connection = self.held(id);
        let (from, to) = connection.hosts(side);
        if std::mem::replace(&mut connection.pipes[side.index()].ended, true) {
            return;
        }
        let arrives = self.pass(from, to);
        let leaves = self.now();
        let pipe = &mut self.held(id).pipes[side.index()];
        pipe.last = pipe.last.max(arrives);
        pipe.segments.push_back(Segment {
            bytes: None,
            leaves,
            reset: false,
        });
        let last = pipe.last;
        self.agenda.add(last, Due::Deliver(id, side));
    }

    /// Tells the other side that this one has no such connection.
    fn send_reset(&mut self, id: u64, from: Side) {
        let (host, to) = self.held(id).hosts(from);
        let arrives = self.pass(host, to);
        let pipe = &mut self.held(id).pipes[from.index()];
        pipe.last = pipe.last.max(arrives);
        let last = pipe.last;
        self.agenda.add(last, Due::Reset(id, from.other()));
    }

    /// Forgets a connection that nobody has.
    fn forget(&mut self, id: u64) {
        let held = |c: &Connection| c.ends.iter().any(|end| end.held);
        if self.connections.get(&id).is_some_and(|c| !held(c)) {
            self.connections.remove(&id);
        }
    }
}

/// What arrives, and what does not.
impl State {
    pub(super) fn deliver(&mut self, id: u64, from: Side) {
        let now = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let (host, to) = connection.hosts(from);
        if connection.pipes[from.index()].segments.is_empty() {
            return;
        }
        if !self.is_open(host, to) {
            let give_up = self.ways[&(host, to)].link.give_up;
            let pipe = &mut self.held(id).pipes[from.index()];
            pipe.stuck += 1;
            if pipe.stuck == 1 {
                pipe.stuck_since = now;
                self.agenda
                    .add(now.saturating_add(ns(give_up)), Due::GiveUp(id, from, now));
                self.step(id, from, Step::Stuck);
            }
            return;
        }
        let connection = self.held(id);
        let pipe = &mut connection.pipes[from.index()];
        let Some(segment) = pipe.segments.pop_front() else {
            return;
        };
        pipe.in_flight -= segment.len();
        if segment.reset {
            self.step(id, from, Step::Reset);
            self.fail_end(id, from.other(), io::ErrorKind::ConnectionReset);
            self.send_reset(id, from.other());
            return;
        }
        let end = connection.end(from.other());
        let reader = end.reader.take();
        match (segment.bytes, end.life) {
            (Some(bytes), Life::Open) => {
                end.unread += bytes.len();
                let step = Step::Bytes(bytes.len(), hash_of(&bytes));
                end.inbox.push_back(bytes);
                self.step(id, from, step);
            }
            (None, Life::Open) => {
                end.ended = true;
                self.step(id, from, Step::End);
            }
            // Nobody takes them: as a host answers what it knows nothing of.
            (Some(_), _) => {
                let pipe = &mut connection.pipes[from.index()];
                if !std::mem::replace(&mut pipe.rejected, true) {
                    self.send_reset(id, from.other());
                }
            }
            (None, _) => {}
        }
        self.wakes.extend(reader);
    }

    pub(super) fn reset(&mut self, id: u64, at: Side) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (host, to) = connection.hosts(at.other());
        if !self.is_open(host, to) {
            return self.step(id, at.other(), Step::ResetLost);
        }
        self.step(id, at.other(), Step::Reset);
        self.fail_end(id, at, io::ErrorKind::ConnectionReset);
    }

    pub(super) fn give_up(&mut self, id: u64, side: Side, since: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let pipe = &connection.pipes[side.index()];
        if pipe.stuck > 0 && pipe.stuck_since == since {
            self.step(id, side, Step::GaveUp);
            self.fail_end(id, side, io::ErrorKind::TimedOut);
        }
    }

    /// What got stuck on a way that was cut goes on.
    pub(super) fn release(&mut self, from: usize, to: usize) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            for side in [Side::Client, Side::Server] {
                let connection = self.held(id);
                if connection.hosts(side) != (from, to) {
                    continue;
                }
                let stuck = std::mem::take(&mut connection.pipes[side.index()].stuck);
                for _ in 0..stuck {
                    let arrives = self.pass(from, to);
                    let pipe = &mut self.held(id).pipes[side.index()];
                    pipe.last = pipe.last.max(arrives);
                    let last = pipe.last;
                    self.agenda.add(last, Due::Deliver(id, side));
                }
            }
        }
    }

    /// The host of this side is gone; its peer hears of it if there is power.
    pub(super) fn die(&mut self, id: u64, side: Side, power: bool) {
        let now = self.now();
        let connection = self.held(id);
        let is_known = connection.phase != Phase::Asked || side == Side::Client;
        if connection.end(side).life != Life::Open || !is_known {
            return;
        }
        connection.pipes[side.index()].cut_off(now);
        if power {
            self.send_reset(id, side);
        }
        self.end_life(id, side, io::ErrorKind::ConnectionReset);
    }

    /// This side fails, and what it sent is lost.
    pub(super) fn fail_end(&mut self, id: u64, side: Side, kind: io::ErrorKind) {
        self.held(id).pipes[side.index()].clear();
        self.end_life(id, side, kind);
    }

    fn end_life(&mut self, id: u64, side: Side, kind: io::ErrorKind) {
        let connection = self.held(id);
        let end = connection.end(side);
        if end.life != Life::Open {
            return;
        }
        end.life = Life::Failed(kind);
        // RFC 9293, section 3.10.7.4: a reset flushes what was not read.
        end.empty();
        let wakes = [end.reader.take(), end.writer.take()];
        let connector = connection.connector.take();
        self.wakes.extend(wakes.into_iter().flatten());
        if side == Side::Client {
            self.wakes.extend(connector);
        }
    }

    /// Resets every connection between two hosts, for both sides.
    pub(super) fn reset_between(&mut self, a: usize, b: usize) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        for id in ids {
            let connection = self.held(id);
            let (from, to) = connection.hosts(Side::Client);
            if connection.phase == Phase::Open && ((from, to) == (a, b) || (from, to) == (b, a)) {
                self.send_reset(id, Side::Client);
                self.send_reset(id, Side::Server);
            }
        }
    }
}
