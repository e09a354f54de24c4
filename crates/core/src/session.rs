//! A protocol with its transport and unread input: all of a connection but
//! its stream.
//!
//! The rules of when a callback is called are here, once: the driver and the
//! test kit's `Rig` differ only in where bytes and time come from.

use std::{
    task::{Context, Poll},
    time::Instant,
};

use crate::{
    Closed, Input, Protocol, Result, Transport, Violation,
    topic::Turn,
    transport::{Finish, State},
};

/// Messages taken in one turn, so that a busy inbox does not starve the rest.
///
/// It is well below what tokio lets a task do in one poll (128 operations);
/// else an inbox that is never empty would use that up before the socket is
/// read.
const MESSAGES: usize = 64;

/// The same where most come from topics, which tokio does not count: all of a
/// burst should leave in one write.
const MESSAGES_AND_ITEMS: usize = 256;

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
        self.protocol.connected(&mut self.transport)?;
        self.check_finish()
    }

    pub(crate) fn draining(&mut self) -> Result {
        if self.transport.state == State::Open {
            self.transport.look_again = true;
            self.protocol.draining(&mut self.transport)?;
            self.check_finish()?;
        }
        Ok(())
    }

    pub(crate) fn upgraded(&mut self) -> Result {
        self.transport.look_again = true;
        self.protocol.upgraded(&mut self.transport)?;
        self.check_finish()
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
            self.check_finish()?;
            called = true;
            // Whatever it asked for: one that took nothing would be asked the
            // same again, for ever.
            self.transport.look_again = self.input.len() < before && !self.input.is_empty();
        }
        if self.end == EndOfInput::Seen && self.transport.takes_input() {
            self.end = EndOfInput::Told;
            // A last request without its end is offered once more.
            self.transport.look_again = true;
            self.protocol.half_closed(&mut self.transport)?;
            self.check_finish()?;
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
        let moved = self.transport.outbox.is_some() && self.outbox(cx);
        Ok(self.inbox(cx)? || moved)
    }

    /// Takes what others want written; true if there was something.
    fn outbox(&mut self, cx: &Context<'_>) -> bool {
        let t = &mut self.transport;
        // A stream that changes, or has ended on our side, is not written to.
        if t.state != State::Open || t.change.is_some() || t.finish != Finish::No {
            return false;
        }
        let high = if t.has_room() { t.high() } else { 0 };
        // Behind a body on its way, as what the protocol writes would be.
        let out = match t.flow.as_mut().and_then(|f| f.tail()) {
            Some(tail) => tail,
            None => &mut t.out,
        };
        let Some(outbox) = &mut t.outbox else {
            return false;
        };
        let drained = outbox.poll_into(out, high, cx);
        if drained.over {
            t.close();
        }
        drained.moved || drained.over
    }

    fn inbox(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let Some(work) = &mut self.transport.work else {
            return Ok(false);
        };
        let mut called = work.poll_holds(cx);
        self.transport.look_again |= called;
        let mut messages = 0;
        for _ in 0..MESSAGES_AND_ITEMS {
            if self.transport.state != State::Open || self.transport.change.is_some() {
                break;
            }
            if !self.transport.has_room() {
                self.check_feeds(cx)?;
                break;
            }
            let Some(work) = &mut self.transport.work else {
                break;
            };
            let Poll::Ready(message) = work.poll(cx) else {
                break;
            };
            messages += usize::from(!work.was_item());
            self.message(message?)?;
            called = true;
            if messages == MESSAGES {
                break;
            }
        }
        Ok(called)
    }

    /// Fails if a topic gave this subscriber up. One that is not read takes no
    /// messages, and would not hear of it otherwise.
    fn check_feeds(&mut self, cx: &mut Context<'_>) -> Result {
        match self.transport.work.as_mut().map(|w| w.poll_cut(cx)) {
            Some(Poll::Ready(violation)) => Err(Box::new(violation)),
            _ => Ok(()),
        }
    }

    pub(crate) fn message(&mut self, message: P::Message) -> Result {
        self.transport.look_again = true;
        self.protocol.message(&mut self.transport, message)?;
        self.check_finish()
    }

    /// Moves streamed bodies, both ways. True if a callback was called, or
    /// input was used up, so that there is room to read again.
    #[inline]
    pub(crate) fn bodies(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        if self.transport.flow.is_none() {
            return Ok(false);
        }
        self.move_bodies(cx)
    }

    fn move_bodies(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let unread = self.input.len();
        let mut called = false;
        loop {
            let t = &mut self.transport;
            let (low, high) = (t.limits.write_low, t.high());
            let Some(flow) = &mut t.flow else { break };
            // A close lets bodies on their way out end, and asks for no more.
            if let Poll::Ready(done) = flow.poll_send(&mut t.out, low, high, cx) {
                let Ok(done) = done else {
                    // What stands behind a body that broke off would be taken
                    // for the rest of it.
                    t.flow = None;
                    return done.map(|_| true).map_err(Into::into);
                };
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
        if self.end != EndOfInput::No
            && self.transport.state == State::Open
            && let Some(flow) = &self.transport.flow
            && flow.missing() > self.input.len() as u64
        {
            let missing = flow.missing() - self.input.len() as u64;
            return Err(Box::new(Violation::Short(missing)));
        }
        Ok(called || self.input.len() < unread)
    }

    /// Calls the timers that are due. One that is set again to go off at once
    /// does so in the next turn.
    pub(crate) fn timers(&mut self, now: Instant) -> Result<bool> {
        let mut called = false;
        for _ in 0..self.transport.timers.len() {
            if self.transport.state != State::Open {
                break;
            }
            let Some(which) = self.transport.timers.take_due(now) else {
                break;
            };
            self.transport.look_again = true;
            self.protocol.timeout(&mut self.transport, which)?;
            self.check_finish()?;
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
            self.check_finish()?;
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

    /// Fails if the callback that was just called wrote after our side was
    /// finished.
    #[inline]
    fn check_finish(&self) -> Result {
        let t = &self.transport;
        match t.finish == Finish::Broken && t.state != State::Aborting {
            true => Err(Box::new(Violation::Finished)),
            false => Ok(()),
        }
    }

    /// Whether it is time to end our side: that was asked, and all has left.
    pub(crate) fn is_to_finish(&self) -> bool {
        self.transport.finish == Finish::Asked
            && self.transport.state == State::Open
            && self.is_flushed()
    }

    /// Closes when both sides have ended: nothing can come or go any more.
    pub(crate) fn close_if_over(&mut self) {
        let t = &mut self.transport;
        if t.finish == Finish::Done
            && self.end == EndOfInput::Told
            && !t.look_again
            && t.change.is_none()
        {
            t.close();
        }
    }

    /// Lets nothing more come in: it closes, and only what was written is of
    /// interest. A subscription that is not read holds its topic up.
    pub(crate) fn closing(&mut self) {
        self.transport.state = State::Closing;
        self.transport.change = None;
        self.transport.work = None;
        self.transport.outbox = None;
    }

    /// Tells the protocol that it is over, once.
    pub(crate) fn end(&mut self, why: Closed) {
        if !std::mem::replace(&mut self.ended, true) {
            self.transport.timers.clear();
            // The inbox closes before the protocol can drop a question, so
            // that the asker learns of the end and not of a refusal.
            self.transport.work = None;
            self.transport.outbox = None;
            self.transport.flow = None;
            self.protocol.closed(why);
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }
}
