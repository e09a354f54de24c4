//! A server of one's own answers, over datagrams and streams: what carries a [`Forwarder`] and the
//! fake server of tests.
//!
//! Whoever has answers says them at once or later ([`Answers`]); sockets, framing, pipelining, limits
//! and deadlines are here (RFC 7766, RFC 9210).
//!
//! [`Forwarder`]: crate::forward::Forwarder

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use ropewalk_core::{
    Address, BoxFuture, DatagramProtocol, DatagramTransport, Datagrams, Factory, FrameError,
    Framing, Handler, Input, Peer, Protocol, Result, Transport,
};

use crate::proto::Header;

/// How a request came.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Asked<'a> {
    /// From whom; over datagrams, what these say of themselves.
    pub from: &'a Address,
    /// Over a stream: the answer may have any length, and the address is not made up.
    pub by_stream: bool,
    /// Over TLS.
    pub secure: bool,
    /// The time of this turn.
    pub now: Instant,
}

impl<'a> Asked<'a> {
    /// A request that came by a way of the program's own, which carries answers of any length, as
    /// HTTPS does.
    pub fn by_stream(from: &'a Address, secure: bool, now: Instant) -> Self {
        Self {
            from,
            by_stream: true,
            secure,
            now,
        }
    }
}

/// What becomes of a request.
pub enum Taken {
    /// It gets no answer.
    Nothing,
    /// The answer was written behind what was in the buffer.
    Answered,
    /// It comes later, or not.
    Later(BoxFuture<'static, Option<Vec<u8>>>),
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Answered => "Answered",
            Self::Later(_) => "Later",
        })
    }
}

/// Whoever has answers to requests.
pub trait Answers: Send + Sync + 'static {
    /// Takes a request, whatever its bytes are; writes the answer to `out`, which is empty, if it is
    /// at hand.
    fn take(&self, request: &[u8], asked: &Asked<'_>, out: &mut Vec<u8>) -> Taken;
}

/// What a connection may do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// How long a connection may be silent (RFC 7766, section 6.2.3). Default 10 s.
    pub idle: Duration,
    /// Requests of one connection that wait for their answers; then it is read no further. Default
    /// 100.
    pub pending: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(10),
            pending: 100,
        }
    }
}

/// Answers over datagrams.
pub struct AnswerDatagrams<A> {
    answers: Arc<A>,
    out: Vec<u8>,
}

impl<A: Answers> AnswerDatagrams<A> {
    /// What answers here.
    pub fn new(answers: Arc<A>) -> Self {
        Self {
            answers,
            out: Vec::new(),
        }
    }
}

impl<A> fmt::Debug for AnswerDatagrams<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerDatagrams")
    }
}

/// An answer that came later, and to whom it goes.
#[derive(Debug)]
pub struct LateDatagram {
    answer: Option<Vec<u8>>,
    to: Address,
}

impl<A: Answers> DatagramProtocol for AnswerDatagrams<A> {
    type Message = LateDatagram;
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        let now = t.now();
        for (request, from) in batch {
            let asked = Asked {
                from,
                by_stream: false,
                secure: false,
                now,
            };
            self.out.clear();
            match self.answers.take(request, &asked, &mut self.out) {
                Taken::Nothing => {}
                Taken::Answered => t.send(&self.out[..], from),
                Taken::Later(answer) => {
                    let to = from.clone();
                    t.defer(async move {
                        LateDatagram {
                            answer: answer.await,
                            to,
                        }
                    });
                }
            }
        }
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, late: LateDatagram) -> Result {
        if let Some(answer) = late.answer {
            t.send(answer, late.to);
        }
        Ok(())
    }
}

/// Answers over streams, in the order in which they are had (RFC 7766, section 6.2.1.1).
pub struct AnswerStream<A> {
    answers: Arc<A>,
    limits: StreamLimits,
    secure: bool,
    pending: usize,
    /// The peer has asked all that it will ask.
    is_last: bool,
    out: Vec<u8>,
}

impl<A> fmt::Debug for AnswerStream<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerStream")
    }
}

/// Serves every connection with these answers.
pub fn answer_streams<A: Answers>(answers: Arc<A>, limits: StreamLimits) -> impl Handler + use<A> {
    ropewalk_core::factory(Streams { answers, limits })
}

struct Streams<A> {
    answers: Arc<A>,
    limits: StreamLimits,
}

impl<A: Answers> Factory for Streams<A> {
    type Protocol = AnswerStream<A>;

    fn build(&self, peer: &Peer) -> Option<AnswerStream<A>> {
        #[cfg(feature = "tls")]
        let secure = peer.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let secure = {
            let _ = peer;
            false
        };
        Some(AnswerStream {
            answers: self.answers.clone(),
            limits: self.limits.clone(),
            secure,
            pending: 0,
            is_last: false,
            out: Vec::new(),
        })
    }
}

/// A frame that cannot hold a header: its sender speaks something else.
#[derive(Debug, thiserror::Error)]
#[error("a frame of {0} bytes is no DNS message")]
struct NoMessage(usize);

impl<A: Answers> Protocol for AnswerStream<A> {
    type Message = Option<Vec<u8>>;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        t.set_timer((), self.limits.idle);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        let now = t.now();
        let from = t.peer().address.clone();
        while self.pending < self.limits.pending.max(1) && t.is_writable() {
            let frame: Option<&[u8]> = data.frame(Framing::Length16, usize::from(u16::MAX))?;
            let Some(request) = frame else { break };
            if request.len() < Header::LENGTH {
                return Err(NoMessage(request.len()).into());
            }
            let asked = Asked {
                from: &from,
                by_stream: true,
                secure: self.secure,
                now,
            };
            self.out.clear();
            match self.answers.take(request, &asked, &mut self.out) {
                Taken::Nothing => {}
                Taken::Answered => write(t, &self.out[..])?,
                Taken::Later(answer) => {
                    self.pending += 1;
                    t.defer(answer);
                }
            }
            t.set_timer((), self.limits.idle);
        }
        if self.pending >= self.limits.pending.max(1) {
            t.pause();
        }
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, answer: Option<Vec<u8>>) -> Result {
        self.pending = self.pending.saturating_sub(1);
        t.resume();
        t.set_timer((), self.limits.idle);
        if let Some(answer) = answer {
            write(t, &answer[..])?;
        }
        if self.is_last && self.pending == 0 {
            t.close();
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> Result {
        // An answer that takes a while is not the asker's idleness; one that it does not read is.
        match self.pending > 0 && t.waiting() == 0 {
            true => t.set_timer((), self.limits.idle),
            false => t.close(),
        }
        Ok(())
    }

    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        // Who asks and says that it was all still wants the answers.
        self.is_last = true;
        if self.pending == 0 {
            t.close();
        }
        Ok(())
    }
}

fn write<A: Answers>(
    t: &mut Transport<AnswerStream<A>>,
    answer: &[u8],
) -> std::result::Result<(), FrameError> {
    t.write(Framing::Length16.frame(answer)?);
    Ok(())
}
