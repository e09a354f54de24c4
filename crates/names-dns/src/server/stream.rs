//! The authority over streams, in the clear or over TLS: pipelined requests,
//! each answered as soon as it is read, all answers of a turn in one flush (RFC
//! 7766; RFC 7858).

use bytes::Bytes;
use futures_util::StreamExt;
use ropewalk_core::{Framing, Input, Protocol, Result, Transport};

use super::{
    Authority, Via,
    responder::Outcome,
    special::{Settled, Special},
};
use crate::proto::{Header, LONGEST_MESSAGE};

/// Answers the requests of one connection; made by
/// [`Authority::handler`](super::Authority::handler).
pub(super) struct Stream {
    authority: Authority,
    via: Via,
    /// Requests that an extension has not answered.
    pending: usize,
    /// The peer asks no more.
    ended: bool,
}

/// What comes back to a connection.
pub(super) enum Message {
    /// What an extension took a while to say.
    Late(Special),
    /// All messages of an answer have left.
    Sent,
}

/// A frame that cannot hold a header: its sender speaks something else.
#[derive(Debug, thiserror::Error)]
#[error("a frame of {0} octets is no DNS message")]
struct NoMessage(usize);

impl Stream {
    pub(super) fn new(authority: Authority, via: Via) -> Self {
        Self {
            authority,
            via,
            pending: 0,
            ended: false,
        }
    }

    fn rest(&self, t: &mut Transport<Self>) {
        t.set_timer((), self.authority.options().idle);
    }

    fn settle(&mut self, t: &mut Transport<Self>, special: Special) {
        match special.settle() {
            Settled::Nothing => {}
            Settled::Message(message) => write(t, message),
            Settled::Messages(messages) => {
                self.pending += 1;
                let frames = messages.map(|message| Ok(frame(&message)));
                t.send_stream(frames, Message::Sent);
            }
            Settled::Later(special) => {
                self.pending += 1;
                t.defer(async move { Message::Late(special.await) });
            }
        }
        if self.pending >= self.authority.options().pending.max(1) {
            t.pause();
        }
    }
}

fn write(t: &mut Transport<Stream>, message: Vec<u8>) {
    // What is longer is no message; extensions are told so.
    if let Ok(frame) = Framing::Length16.frame(message) {
        t.write(frame);
    }
}

fn frame(message: &[u8]) -> Bytes {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut frame = Vec::with_capacity(2 + message.len());
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message[..usize::from(length)]);
    frame.into()
}

impl Protocol for Stream {
    type Message = Message;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        self.rest(t);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let now = t.now();
        let from = t.peer().address.clone();
        let lane = self.authority.clone();
        let mut responder = lane.lane();
        responder.begin();
        let mut specials = Vec::new();
        let mut any = false;
        // While an extension has as much to do as it may, the rest waits.
        let most = self.authority.options().pending.max(1);
        while self.pending + specials.len() < most
            && t.is_writable()
            && let Some(request) = data.frame(Framing::Length16, LONGEST_MESSAGE)?
        {
            if request.len() < Header::LENGTH {
                return Err(Box::new(NoMessage(request.len())));
            }
            any = true;
            match responder.respond(request, &from, self.via, now) {
                Outcome::Nothing => {}
                Outcome::Answer => t.write(Framing::Length16.frame(responder.answer())?),
                Outcome::Special(special) => specials.push(special),
            }
        }
        responder.end();
        drop(responder);
        for special in specials {
            self.settle(t, special);
        }
        if any {
            self.rest(t);
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, message: Message) -> Result {
        self.pending = self.pending.saturating_sub(1);
        t.resume();
        if let Message::Late(special) = message {
            self.settle(t, special);
        }
        self.rest(t);
        if self.ended && self.pending == 0 {
            t.close();
        }
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        // Who asks and says that it was all still wants the answers.
        self.ended = true;
        if self.pending == 0 {
            t.close();
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        // An answer that takes a while is not the asker's idleness; one that it
        // does not read is.
        match self.pending > 0 && t.waiting() == 0 {
            true => self.rest(t),
            false => t.close(),
        }
        Ok(())
    }
}
