//! What comes to a protocol from elsewhere: messages, deferred work, topics.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};

use crate::{Closed, Violation};

/// A boxed future, as traits return it that are used as `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A subscription, with its items already made into messages.
pub(crate) trait Feed<M>: Send {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<M, Violation>>;

    /// Which topic it is of, by its address.
    fn topic(&self) -> usize;

    /// Ready once its topic gave it up; asked while nothing can be taken.
    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Violation>;
}

/// The inbox, the deferred futures and the subscriptions of one connection.
pub(crate) struct Work<M> {
    inbox: Option<(mpsc::Sender<M>, mpsc::Receiver<M>)>,
    deferred: FuturesUnordered<BoxFuture<'static, M>>,
    feeds: Vec<Box<dyn Feed<M>>>,
    /// Topics that this connection filled: until they have room again, it is
    /// not read.
    holds: Vec<(usize, BoxFuture<'static, ()>)>,
    /// Which source is asked first: the one behind that which had something,
    /// so that none starves the others.
    first: usize,
}

impl<M: Send + 'static> Work<M> {
    pub(crate) fn new() -> Self {
        Self {
            inbox: None,
            deferred: FuturesUnordered::new(),
            feeds: Vec::new(),
            holds: Vec::new(),
            first: 0,
        }
    }

    pub(crate) fn handle(&mut self, capacity: usize) -> Handle<M> {
        let (sender, _) = self
            .inbox
            .get_or_insert_with(|| mpsc::channel(capacity.max(1)));
        Handle(sender.clone())
    }

    pub(crate) fn defer(&mut self, work: impl Future<Output = M> + Send + 'static) {
        self.deferred.push(Box::pin(work));
    }

    /// How many futures run.
    pub(crate) fn deferred(&self) -> usize {
        self.deferred.len()
    }

    pub(crate) fn feed(&mut self, feed: Box<dyn Feed<M>>) {
        self.feeds.push(feed);
    }

    pub(crate) fn hold(&mut self, holds: Vec<(usize, BoxFuture<'static, ()>)>) {
        for (topic, until) in holds {
            if self.holds.iter().all(|(t, _)| *t != topic) {
                self.holds.push((topic, until));
            }
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        !self.holds.is_empty()
    }

    /// True when the last hold ended.
    pub(crate) fn poll_holds(&mut self, cx: &mut Context<'_>) -> bool {
        let held = self.is_held();
        self.holds
            .retain_mut(|(_, until)| until.as_mut().poll(cx).is_pending());
        held && !self.is_held()
    }

    /// The next message, from wherever. `Pending` also when there is nowhere
    /// it could come from.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<M, Violation>> {
        if self.is_held() {
            return self.poll_held(cx);
        }
        let sources = 2 + self.feeds.len();
        for step in 0..sources {
            let source = (self.first + step) % sources;
            if let Poll::Ready(item) = self.poll_source(source, cx) {
                self.first = source + 1;
                return Poll::Ready(item);
            }
        }
        Poll::Pending
    }

    /// While a topic that this connection filled has no room, nothing comes
    /// that it could publish more for, but for the items of that topic itself:
    /// to take those may be what makes room.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<Result<M, Violation>> {
        for (index, feed) in self.feeds.iter_mut().enumerate() {
            let topic = feed.topic();
            if !self.holds.iter().any(|(held, _)| *held == topic) {
                if let Poll::Ready(violation) = feed.poll_cut(cx) {
                    return Poll::Ready(Err(violation));
                }
            } else if let Poll::Ready(item) = feed.poll_next(cx) {
                self.first = index + 3;
                return Poll::Ready(item);
            }
        }
        Poll::Pending
    }

    /// Whether the last message was the item of a topic.
    pub(crate) fn was_item(&self) -> bool {
        self.first > 2
    }

    fn poll_source(&mut self, source: usize, cx: &mut Context<'_>) -> Poll<Result<M, Violation>> {
        let message = match source {
            0 => match &mut self.inbox {
                Some((_, inbox)) => ready!(inbox.poll_recv(cx)),
                None => None,
            },
            // Asked in vain, it would take note of the waker each time.
            1 if self.deferred.is_empty() => None,
            1 => ready!(self.deferred.poll_next_unpin(cx)),
            feed => return self.feeds[feed - 2].poll_next(cx),
        };
        message.map_or(Poll::Pending, |m| Poll::Ready(Ok(m)))
    }

    /// Ready once a topic gave this subscriber up.
    pub(crate) fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<Violation> {
        let mut cut = self.feeds.iter_mut().map(|f| f.poll_cut(cx));
        cut.find(Poll::is_ready).unwrap_or(Poll::Pending)
    }
}

/// A way for other tasks to reach a connection. Cheap to clone.
///
/// The inbox is bounded ([`Limits::inbox`](crate::Limits::inbox)): a
/// connection that does not keep up holds its senders back.
pub struct Handle<M>(mpsc::Sender<M>);

impl<M> Clone for Handle<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M> fmt::Debug for Handle<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl<M> Handle<M> {
    /// Sends, and waits while the inbox is full.
    ///
    /// # Errors
    /// The message back, if the connection is over.
    pub async fn send(&self, message: M) -> Result<(), M> {
        self.0.send(message).await.map_err(|e| e.0)
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The message back, if the inbox is full or the connection is over.
    pub fn try_send(&self, message: M) -> Result<(), M> {
        self.0
            .try_send(message)
            .map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Whether the connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Where the answer to a question goes; see
/// [`Client::ask`](crate::Client::ask). Dropped, it tells the asker that there
/// will be none.
pub struct Reply<T>(oneshot::Sender<T>);

impl<T> Reply<T> {
    pub(crate) fn new() -> (Self, oneshot::Receiver<T>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers. If nobody waits any more, the answer is dropped.
    pub fn send(self, answer: T) {
        let _ = self.0.send(answer);
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// Why a question to a connection has no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer: {0}")]
pub(crate) struct NoAnswer(pub(crate) &'static str);

impl From<NoAnswer> for Closed {
    fn from(error: NoAnswer) -> Self {
        Self::failed(error)
    }
}
