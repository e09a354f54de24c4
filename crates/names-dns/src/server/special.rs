//! An extension's answer on its way: signed, cut to what the asker takes, and
//! waited for.

use std::fmt;

use futures_util::{StreamExt, stream::BoxStream};
use ropewalk_core::BoxFuture;

use super::{Reply, Via};
use crate::proto::{Header, Rcode, tsig::Signer};

/// What an extension said, with what is to be done with it.
pub(super) struct Special {
    reply: Reply,
    /// The header and question of an answer without records.
    head: Vec<u8>,
    signer: Option<Signer>,
    limit: usize,
    via: Via,
}

/// What is to be sent.
pub(super) enum Settled {
    Nothing,
    Message(Vec<u8>),
    Messages(BoxStream<'static, Vec<u8>>),
    Later(BoxFuture<'static, Special>),
}

impl Special {
    pub(super) fn new(
        reply: Reply,
        head: Vec<u8>,
        signer: Option<Signer>,
        limit: usize,
        via: Via,
    ) -> Self {
        Self {
            reply,
            head,
            signer,
            limit,
            via,
        }
    }

    /// Signs what is there.
    pub(super) fn settle(self) -> Settled {
        let Self {
            reply,
            head,
            mut signer,
            limit,
            via,
        } = self;
        let mut sign = |mut message: Vec<u8>| {
            if let Some(signer) = &mut signer {
                signer.sign(&mut message, ropewalk_core::wall_clock());
            }
            message
        };
        let flagged = |flags: u16| {
            let mut head = head.clone();
            let all = u16::from_be_bytes([head[2], head[3]]) | flags;
            head[2..4].copy_from_slice(&all.to_be_bytes());
            head
        };
        match reply {
            Reply::Nothing => Settled::Nothing,
            Reply::Rcode(rcode) => Settled::Message(sign(flagged(rcode.low().into()))),
            Reply::Message(message) if message.len() <= limit => Settled::Message(sign(message)),
            Reply::Message(_) if !via.is_stream() => Settled::Message(sign(flagged(Header::TC))),
            // More than any message holds is the extension's mistake.
            Reply::Message(_) => Settled::Message(sign(flagged(Rcode::SERVFAIL.low().into()))),
            Reply::Messages(_) if !via.is_stream() => Settled::Message(sign(flagged(Header::TC))),
            Reply::Messages(messages) => Settled::Messages(
                messages
                    .map(move |mut message| {
                        if let Some(signer) = &mut signer {
                            signer.sign(&mut message, ropewalk_core::wall_clock());
                        }
                        message
                    })
                    .boxed(),
            ),
            Reply::Later(reply) => Settled::Later(Box::pin(async move {
                Self {
                    reply: reply.await,
                    head,
                    signer,
                    limit,
                    via,
                }
            })),
        }
    }
}

impl fmt::Debug for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Special")
            .field("reply", &self.reply)
            .field("via", &self.via)
            .finish_non_exhaustive()
    }
}
