//! A datagram protocol with its transport: which callback is called when. The
//! driver and the test kit's `DatagramRig` differ only in where time comes
//! from, and in the socket.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use super::{
    DatagramOptions, DatagramProtocol, DatagramSocket, DatagramTransport, Datagrams, Undelivered,
    batch::BATCH, transport::State,
};
use crate::{Closed, Result, topic::Turn};

pub(crate) struct Session<P: DatagramProtocol> {
    pub(crate) protocol: P,
    pub(crate) transport: DatagramTransport<P>,
    batch: Datagrams,
    started: bool,
    ended: bool,
}

impl<P: DatagramProtocol> Session<P> {
    pub(crate) fn new(
        protocol: P,
        socket: Box<dyn DatagramSocket>,
        options: DatagramOptions,
    ) -> Self {
        Self {
            protocol,
            batch: Datagrams::new(options.largest),
            transport: DatagramTransport::new(socket, options),
            started: false,
            ended: false,
        }
    }

    /// Messages, a batch, then the answers; true if a callback was called,
    /// which may have asked for any of these again.
    pub(crate) fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut progress = false;
        if !std::mem::replace(&mut self.started, true) {
            self.protocol.started(&mut self.transport)?;
            progress = true;
        }
        progress |= self.messages(cx)?;
        progress |= self.refused(cx)?;
        progress |= self.receive(cx)?;
        progress |= self.flush(cx)?;
        Ok(progress)
    }

    pub(crate) fn draining(&mut self) -> Result {
        self.protocol.draining(&mut self.transport)
    }

    pub(crate) fn message(&mut self, message: P::Message) -> Result {
        self.protocol.message(&mut self.transport, message)
    }

    /// Calls the earliest timer if it is due.
    pub(crate) fn timer(&mut self, now: Instant) -> Result<bool> {
        self.transport.now = Some(now);
        let Some(which) = self.transport.timers.take_due(now) else {
            return Ok(false);
        };
        self.protocol.timeout(&mut self.transport, which)?;
        Ok(true)
    }

    /// Takes over what a turn's publishing must wait for.
    pub(crate) fn hold(&mut self, turn: &Turn) {
        let holds = turn.holds();
        if !holds.is_empty() {
            self.transport.work.hold(holds);
        }
    }

    /// Whether it has closed, and all has left.
    pub(crate) fn is_over(&self) -> bool {
        let t = &self.transport;
        let closed = match t.state {
            State::Open | State::Last(_) => false,
            State::Working => t.work.deferred() == 0,
            State::Closing => true,
        };
        closed && t.out.is_empty() && t.refused.is_empty()
    }

    /// Tells the protocol that it is over, once.
    pub(crate) fn end(&mut self, why: Closed) {
        if !std::mem::replace(&mut self.ended, true) {
            self.protocol.closed(why);
        }
    }

    /// Gives memory back before the task sleeps.
    pub(crate) fn release(&mut self) {
        self.batch.release();
        self.transport.out.release();
    }

    fn messages(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut called = self.transport.work.poll_holds(cx);
        for _ in 0..BATCH {
            if self.transport.state == State::Closing {
                break;
            }
            let Poll::Ready(message) = self.transport.work.poll(cx) else {
                break;
            };
            self.message(message?)?;
            called = true;
        }
        Ok(called)
    }

    /// Tells of what was sent and did not go.
    fn refused(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut called = false;
        // What it sends in answer to these is for the next turn.
        for error in std::mem::take(&mut self.transport.refused) {
            self.protocol.undelivered(&mut self.transport, &error)?;
            called = true;
        }
        if let Poll::Ready(source) = self.transport.socket.poll_refused(cx) {
            self.peer_refused(source)?;
            called = true;
        }
        Ok(called)
    }

    /// A connected socket heard of something sent before.
    fn peer_refused(&mut self, source: std::io::Error) -> Result {
        self.transport.totals.failed.add(1);
        let error = Undelivered::new(self.transport.destination(None), None, source);
        self.protocol.undelivered(&mut self.transport, &error)
    }

    /// Reads a batch; true if there was one.
    fn receive(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        if !self.transport.takes_input() {
            return Ok(false);
        }
        let mut called = false;
        let mut waits = false;
        // Those that are thrown away take no room, and time all the same.
        for _ in 0..BATCH {
            if self.batch.room() == 0 || waits {
                break;
            }
            let result = self.transport.socket.poll_receive(cx, &mut self.batch);
            match result {
                Poll::Pending => waits = true,
                Poll::Ready(Ok(())) => called = true,
                Poll::Ready(Err(source)) => {
                    self.peer_refused(source)?;
                    called = true;
                }
            }
        }
        let (count, bytes) = (self.batch.len(), self.batch.bytes());
        let totals = &self.transport.totals;
        totals.truncated.add(self.batch.take_truncated());
        totals.received.add(count as u64);
        totals.received_bytes.add(bytes as u64);
        if count > 0 {
            self.protocol.received(&mut self.transport, &self.batch)?;
            self.batch.clear();
        }
        if let State::Last(left) = self.transport.state {
            self.transport.state = match left.saturating_sub(count) {
                left if left > 0 && !waits => State::Last(left),
                _ => State::Working,
            };
            called = true;
        }
        Ok(called)
    }

    /// Sends what waits; true if a callback was called, or a full queue has
    /// room again.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let took = self.transport.takes_input();
        let mut called = false;
        loop {
            let t = &mut self.transport;
            let (waiting, bytes) = (t.out.len(), t.out.bytes());
            if waiting == 0 {
                break;
            }
            let result = t.socket.poll_send(cx, &mut t.out);
            t.totals.sent.add((waiting - t.out.len()) as u64);
            t.totals.sent_bytes.add((bytes - t.out.bytes()) as u64);
            match result {
                Poll::Pending => break,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(source)) => {
                    // One that cannot be sent is lost, as on the network.
                    let Some((length, to)) = t.out.pop() else {
                        continue;
                    };
                    t.totals.failed.add(1);
                    let error = Undelivered::new(t.destination(to), Some(length), source);
                    tracing::debug!(%error, "a datagram could not be sent");
                    self.protocol.undelivered(t, &error)?;
                    called = true;
                    // What it sends in answer is for the next turn.
                    break;
                }
            }
        }
        Ok(called || !took && self.transport.takes_input())
    }
}
