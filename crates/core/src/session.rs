//! A protocol with its transport and unread input: all of a connection but
//! its stream.
//!
//! The rules of when a callback is called are here, once: the driver and the
//! test kit's `Rig` differ only in where bytes and time come from.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use crate::{Closed, Input, Protocol, Result, Transport, Violation, topic::Turn, transport::State};

/// Messages taken in one turn, so that a busy inbox does not starve the rest.
const MESSAGES: usize = 256;

pub(crate) struct Session<P: Protocol> {
    pub(crate) protocol: P,
    pub(crate) transport: Transport<P>,
    pub(crate) input: Input,
    pub(crate) end: EndOfInput,
    ended: bool,
}

/// How far the end of the peer's side has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum EndOfInput {
    /// Not here yet.
    No,
    /// The stream ended; what came before is still offered.
    Seen,
    /// The protocol was told.
    Told,
}

impl<P: Protocol> Session<P> {
    pub(crate) fn new(protocol: P, transport: Transport<P>, input: Input) -> Self {
        let mut session = Self {
            protocol,
            transport,
            input,
            end: EndOfInput::No,
            ended: false,
        };
        session.transport.look_again = !session.input.is_empty();
        session
    }

    pub(crate) fn connected(&mut self) -> Result {
        self.protocol.connected(&mut self.transport)
    }

    pub(crate) fn draining(&mut self) -> Result {
        if self.transport.state == State::Open {
            self.transport.look_again = true;
            self.protocol.draining(&mut self.transport)?;
        }
        Ok(())
    }

    pub(crate) fn upgraded(&mut self) -> Result {
        self.transport.look_again = true;
        self.protocol.upgraded(&mut self.transport)
    }

    /// Offers unread input, and then its end, for as long as the protocol
    /// takes it. True if a callback was called.
    pub(crate) fn offer(&mut self) -> Result<bool> {
        let mut called = false;
        while self.transport.look_again && self.transport.takes_input() {
            self.transport.look_again = false;
            if self.input.is_empty() {
                break;
            }
            let before = self.input.len();
            self.protocol
                .received(&mut self.transport, &mut self.input)?;
            called = true;
            if self.input.len() < before && !self.input.is_empty() {
                self.transport.look_again = true;
            }
        }
        if self.end == EndOfInput::Seen && self.transport.takes_input() {
            self.end = EndOfInput::Told;
            self.protocol.half_closed(&mut self.transport)?;
            called = true;
        }
        if self.input.len() >= self.transport.limits.unread
            && self.transport.takes_input()
            && self.end == EndOfInput::No
        {
            return Err(Box::new(Violation::Unread(self.input.len())));
        }
        Ok(called)
    }

    /// Delivers messages while there is room for their answers.
    pub(crate) fn messages(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let Some(work) = &mut self.transport.work else {
            return Ok(false);
        };
        let mut called = work.poll_holds(cx);
        self.transport.look_again |= called;
        for _ in 0..MESSAGES {
            if self.transport.state != State::Open || !self.transport.has_room() {
                break;
            }
            let Some(work) = &mut self.transport.work else {
                break;
            };
            let Poll::Ready(message) = work.poll(cx) else {
                break;
            };
            self.message(message?)?;
            called = true;
        }
        Ok(called)
    }

    pub(crate) fn message(&mut self, message: P::Message) -> Result {
        self.transport.look_again = true;
        self.protocol.message(&mut self.transport, message)
    }

    /// Moves streamed bodies, both ways.
    pub(crate) fn bodies(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut called = false;
        loop {
            let t = &mut self.transport;
            let Some(flow) = &mut t.flow else { break };
            // A close lets bodies on their way out end, and asks for no more.
            if let Poll::Ready(done) = flow.poll_send(&mut t.out, t.limits.write_high, cx) {
                let done = done?;
                if t.state == State::Open {
                    self.message(done)?;
                }
            } else if t.state == State::Open
                && let Poll::Ready(done) = flow.poll_receive(&mut self.input, cx)
            {
                self.message(done)?;
            } else {
                break;
            }
            called = true;
        }
        if self.end == EndOfInput::Seen
            && let Some(flow) = &self.transport.flow
            && flow.missing() > self.input.len() as u64
        {
            let missing = flow.missing() - self.input.len() as u64;
            return Err(Box::new(Violation::Short(missing)));
        }
        Ok(called)
    }

    /// Calls the timers that are due.
    pub(crate) fn timers(&mut self, now: Instant) -> Result<bool> {
        let mut called = false;
        while self.transport.state == State::Open
            && let Some(which) = self.transport.timers.take_due(now)
        {
            self.transport.look_again = true;
            self.protocol.timeout(&mut self.transport, which)?;
            called = true;
        }
        Ok(called)
    }

    /// Notes, before a flush, that the high mark is passed.
    pub(crate) fn throttle(&mut self) {
        self.transport.throttled |= !self.transport.is_writable();
    }

    /// Notes, after a flush, that the low mark is reached, and says so.
    pub(crate) fn unthrottle(&mut self) -> Result<bool> {
        let t = &mut self.transport;
        if !t.throttled || t.waiting() > t.limits.write_low {
            return Ok(false);
        }
        t.throttled = false;
        if t.state == State::Open {
            t.look_again = true;
            self.protocol.writable(t)?;
        }
        Ok(true)
    }

    /// Takes over what a turn's publishing must wait for.
    pub(crate) fn hold(&mut self, turn: &Turn) {
        let holds = turn.holds();
        if !holds.is_empty() {
            self.transport.work().hold(holds);
        }
    }

    /// Whether everything written has been given to the stream.
    pub(crate) fn is_flushed(&self) -> bool {
        self.transport.out.is_empty()
            && self.transport.flow.as_ref().is_none_or(|f| !f.is_sending())
    }

    /// Tells the protocol that it is over, once.
    pub(crate) fn end(&mut self, why: Closed) {
        if !std::mem::replace(&mut self.ended, true) {
            self.transport.timers.clear();
            // The inbox closes before the protocol can drop a question, so
            // that the asker learns of the end and not of a refusal.
            self.transport.work = None;
            self.transport.flow = None;
            self.protocol.closed(why);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}
