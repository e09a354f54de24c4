//! The authority over datagrams: a batch of requests, a batch of answers.

use ropewalk_core::{Address, DatagramProtocol, DatagramTransport, Datagrams, Result};

use super::{
    Via,
    responder::{Outcome, Responder},
    special::{Settled, Special},
};

/// Answers the datagrams of one socket; made by
/// [`Authority::datagrams`](super::Authority::datagrams).
pub struct AuthorityDatagrams {
    pub(super) responder: Responder,
}

/// What an extension took a while to say, and to whom.
pub struct LateAnswer {
    special: Special,
    to: Address,
}

impl AuthorityDatagrams {
    fn settle(t: &mut DatagramTransport<Self>, special: Special, to: Address) {
        match special.settle() {
            Settled::Message(message) => t.send(message, to),
            Settled::Later(special) => t.defer(async move {
                LateAnswer {
                    special: special.await,
                    to,
                }
            }),
            // A stream of messages does not come by datagrams.
            Settled::Nothing | Settled::Messages(_) => {}
        }
    }
}

impl DatagramProtocol for AuthorityDatagrams {
    type Message = LateAnswer;
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        let now = t.now();
        self.responder.begin();
        for (data, from) in batch {
            match self.responder.respond(data, from, Via::Udp, now) {
                Outcome::Nothing => {}
                Outcome::Answer => t.send(self.responder.answer(), from),
                Outcome::Special(special) => Self::settle(t, special, from.clone()),
            }
        }
        self.responder.end();
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, late: LateAnswer) -> Result {
        Self::settle(t, late.special, late.to);
        Ok(())
    }
}

impl std::fmt::Debug for AuthorityDatagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AuthorityDatagrams")
    }
}

impl std::fmt::Debug for LateAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LateAnswer(to {})", self.to)
    }
}
