//! Drives one datagram protocol on one socket: a future that ends with it.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    sync::oneshot,
    time::{Sleep, sleep_until},
};

use super::{DatagramProtocol, session::Session};
use crate::{Closed, Result, timers::clock, topic::Turn};

/// Turns in one poll; then other tasks of the thread have theirs.
const TURNS: usize = 32;

pub(super) struct Driver<P: DatagramProtocol> {
    session: Session<P>,
    sleep: Option<Pin<Box<Sleep>>>,
    drain: Option<oneshot::Receiver<()>>,
}

impl<P: DatagramProtocol> Driver<P> {
    pub(super) fn new(session: Session<P>, drain: oneshot::Receiver<()>) -> Self {
        Self {
            session,
            sleep: None,
            drain: Some(drain),
        }
    }

    fn turns(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>> {
        self.session.transport.now = None;
        let turn = Turn::begin();
        for _ in 0..TURNS {
            let mut progress = self.session.turn(cx)?;
            progress |= self.tell_of_drain(cx)?;
            progress |= self.timers(cx)?;
            self.session.hold(&turn);
            if self.session.is_over() {
                return Ok(Poll::Ready(()));
            }
            if !progress {
                self.session.release();
                return Ok(Poll::Pending);
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }

    fn tell_of_drain(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let Some(drain) = &mut self.drain else {
            return Ok(false);
        };
        let Poll::Ready(asked) = Pin::new(drain).poll(cx) else {
            return Ok(false);
        };
        self.drain = None;
        // A server that is gone without a drain asks for nothing.
        if asked.is_ok() {
            self.session.draining()?;
        }
        Ok(asked.is_ok())
    }

    fn timers(&mut self, cx: &mut Context<'_>) -> Result<bool> {
        let mut called = false;
        // One that is set again to go off at once does so in the next turn.
        for _ in 0..self.session.transport.timers.len() {
            let Some(at) = self.session.transport.timers.next() else {
                break;
            };
            let until = tokio::time::Instant::from_std(at);
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if sleep.deadline() != until {
                sleep.as_mut().reset(until);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                break;
            }
            called |= self.session.timer(clock())?;
        }
        Ok(called)
    }
}

impl<P: DatagramProtocol> Future for Driver<P> {
    type Output = Closed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        let why = match self.turns(cx) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => Closed::Local,
            Err(error) => Closed::failed(error),
        };
        self.session.end(why.clone());
        Poll::Ready(why)
    }
}

impl<P: DatagramProtocol> Unpin for Driver<P> {}

impl<P: DatagramProtocol> Drop for Driver<P> {
    fn drop(&mut self) {
        let mut end = || self.session.end(Closed::Aborted);
        if std::thread::panicking() {
            // A callback panicked, and left the protocol who knows how. A
            // second panic would end the whole program.
            let _ = catch_unwind(AssertUnwindSafe(end));
        } else {
            end();
        }
    }
}
