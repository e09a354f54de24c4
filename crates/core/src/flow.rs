//! Bodies streamed through a connection in constant memory, both ways.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::Stream;
use tokio::io::AsyncWrite;

use crate::{Input, Output};

type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The bodies on their way out and the one on its way in.
pub(crate) struct Flow<M> {
    sending: VecDeque<Sending<M>>,
    /// A body was held at the high mark and goes on at the low one. Were it topped up sooner, a
    /// reader that is never quite done would keep the connection past its low mark, and so unread,
    /// for as long as the body is.
    held: bool,
    receiving: Option<Box<dyn Receive<M>>>,
}

struct Sending<M> {
    body: Body,
    done: M,
    /// What was written after the body was handed in, and comes after it.
    after: Output,
}

impl<M: Send + 'static> Flow<M> {
    pub(crate) fn new() -> Self {
        Self {
            sending: VecDeque::new(),
            held: false,
            receiving: None,
        }
    }

    pub(crate) fn send(&mut self, body: Body, done: M) {
        self.sending.push_back(Sending {
            body,
            done,
            after: Output::default(),
        });
    }

    pub(crate) fn receive(&mut self, receive: Box<dyn Receive<M>>) {
        debug_assert!(self.receiving.is_none(), "one body comes in at a time");
        self.receiving = Some(receive);
    }

    /// Where a write goes while a body is on its way: behind it.
    pub(crate) fn tail(&mut self) -> Option<&mut Output> {
        self.sending.back_mut().map(|s| &mut s.after)
    }

    /// Bytes that wait behind bodies.
    pub(crate) fn waiting(&self) -> usize {
        self.sending.iter().map(|s| s.after.len()).sum()
    }

    pub(crate) fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }

    pub(crate) fn is_receiving(&self) -> bool {
        self.receiving.is_some()
    }

    /// The bytes still to come of what is received.
    pub(crate) fn missing(&self) -> u64 {
        self.receiving.as_ref().map_or(0, |r| r.missing())
    }

    /// Moves the body into `out` up to `high`, and again from `low` on; ready
    /// with its message at its end.
    pub(crate) fn poll_send(
        &mut self,
        out: &mut Output,
        low: usize,
        high: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<M>> {
        let Some(sending) = self.sending.front_mut() else {
            return Poll::Pending;
        };
        if self.held && out.len() > low {
            return Poll::Pending;
        }
        self.held = false;
        while out.len() < high {
            match ready!(sending.body.as_mut().poll_next(cx)) {
                Some(piece) => out.put(piece?),
                None => {
                    let mut ended = self.sending.pop_front().expect("it was at the front");
                    out.append(&mut ended.after);
                    return Poll::Ready(Ok(ended.done));
                }
            }
        }
        self.held = true;
        Poll::Pending
    }

    /// Moves input into the sink; ready with its message at its end.
    pub(crate) fn poll_receive(&mut self, input: &mut Input, cx: &mut Context<'_>) -> Poll<M> {
        let Some(receiving) = &mut self.receiving else {
            return Poll::Pending;
        };
        ready!(receiving.poll(input, cx));
        let ended = self.receiving.take().expect("it was there");
        Poll::Ready(ended.finish())
    }
}

/// A body on its way in, with its sink erased.
pub(crate) trait Receive<M>: Send {
    fn missing(&self) -> u64;
    fn poll(&mut self, input: &mut Input, cx: &mut Context<'_>) -> Poll<()>;
    fn finish(self: Box<Self>) -> M;
}

pub(crate) struct IntoSink<S, F> {
    pub(crate) missing: u64,
    pub(crate) sink: S,
    pub(crate) done: F,
    pub(crate) failed: Option<io::Error>,
}

impl<M, S, F> Receive<M> for IntoSink<S, F>
where
    S: AsyncWrite + Unpin + Send,
    F: FnOnce(S, io::Result<()>) -> M + Send,
{
    fn missing(&self) -> u64 {
        self.missing
    }

    fn poll(&mut self, input: &mut Input, cx: &mut Context<'_>) -> Poll<()> {
        while self.missing > 0 {
            let here = usize::try_from(self.missing).map_or(input.len(), |m| m.min(input.len()));
            if here == 0 {
                return Poll::Pending;
            }
            // Once the sink failed the rest is read and thrown away: what
            // follows it on the wire must still be found.
            let taken = if self.failed.is_some() {
                here
            } else {
                match ready!(Pin::new(&mut self.sink).poll_write(cx, &input[..here])) {
                    Ok(0) => {
                        self.failed = Some(io::ErrorKind::WriteZero.into());
                        continue;
                    }
                    Ok(n) => n,
                    Err(error) => {
                        self.failed = Some(error);
                        continue;
                    }
                }
            };
            input.advance(taken);
            self.missing -= taken as u64;
        }
        if self.failed.is_none() {
            self.failed = ready!(Pin::new(&mut self.sink).poll_flush(cx)).err();
        }
        Poll::Ready(())
    }

    fn finish(self: Box<Self>) -> M {
        (self.done)(self.sink, self.failed.map_or(Ok(()), Err))
    }
}
