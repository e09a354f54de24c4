//! What others want written to a connection: shared bytes, bounded in bytes.
//!
//! A [`Topic`](crate::Topic) bounds what it keeps for all together and gives each item to the
//! protocol; an outbox bounds what waits for one, and the protocol never sees it. That is what
//! fan-out wants: a piece written once stands by reference in the outbox of each receiver, each
//! driver moves it into its own output, and one that does not read is found by its sender.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;

use crate::Output;

/// Bytes for a connection, from anywhere. Cheap to clone; clones are the same outbox.
///
/// Pieces leave in the order in which they were pushed, each whole: what the protocol itself
/// writes comes between two of them. The connection is woken by the first piece that it has not
/// yet taken, and by no other.
///
/// ```
/// use ropewalk_core::{Bytes, Input, Outbox, Protocol, Result, Transport, testing::Rig};
///
/// struct Listener(Option<ropewalk_core::OutboxDrain>);
/// impl Protocol for Listener {
///     type Message = ();
///     type Timer = ();
///     fn connected(&mut self, t: &mut Transport<Self>) -> Result {
///         if let Some(drain) = self.0.take() {
///             t.drain_outbox(drain);
///         }
///         Ok(())
///     }
///     fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
///         data.take_all();
///         Ok(())
///     }
/// }
/// let (outbox, drain) = Outbox::new(10);
/// let mut rig = Rig::new(Listener(Some(drain)));
/// assert!(outbox.push(Bytes::from("one ")).is_ok());
/// assert!(outbox.push(Bytes::from("two")).is_ok());
/// assert!(outbox.push(Bytes::from("three")).is_err(), "more than ten bytes");
/// outbox.close();
/// assert_eq!(rig.poll().sent_text(), "one two");
/// assert!(rig.is_closed());
/// ```
#[derive(Clone)]
pub struct Outbox(Arc<Shared>);

/// The other end of an [`Outbox`]: given to a connection by
/// [`Transport::drain_outbox`](crate::Transport::drain_outbox), or read by a task of its own.
pub struct OutboxDrain(Arc<Shared>);

/// The outbox is full, or the connection is over: nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// So many bytes wait already that these are over the limit. The peer does not read.
    #[error("{0} bytes wait already")]
    Full(usize),
    /// It was closed, or the connection ended.
    #[error("the connection is over")]
    Closed,
}

struct Shared {
    state: Mutex<State>,
    limit: usize,
}

struct State {
    queue: VecDeque<Bytes>,
    /// Bytes in `queue`.
    bytes: usize,
    waker: Option<Waker>,
    /// The drain was woken, and has not looked since.
    woken: bool,
    /// Nothing more may be pushed.
    closed: bool,
}

impl Outbox {
    /// An outbox in which so many bytes may wait. What the connection has taken, up to
    /// [`Limits::write_high`](crate::Limits::write_high), does not count.
    pub fn new(limit: usize) -> (Self, OutboxDrain) {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                bytes: 0,
                waker: None,
                woken: false,
                closed: false,
            }),
            limit,
        });
        (Self(shared.clone()), OutboxDrain(shared))
    }

    /// Queues a piece by reference.
    ///
    /// # Errors
    /// [`PushError`]; the piece is not queued then.
    pub fn push(&self, piece: Bytes) -> Result<(), PushError> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(PushError::Closed);
        }
        if state.bytes + piece.len() > self.0.limit {
            return Err(PushError::Full(state.bytes));
        }
        state.bytes += piece.len();
        state.queue.push_back(piece);
        state.wake();
        Ok(())
    }

    /// Closes the connection once all that waits has left. Nothing more can be pushed.
    pub fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.wake();
    }

    /// Throws away what waits, and closes the connection with `last`, whatever the limit is.
    pub fn cut(&self, last: Bytes) {
        let mut state = self.0.lock();
        if !state.closed {
            state.queue = VecDeque::new();
            state.bytes = last.len();
            state.queue.push_back(last);
            state.closed = true;
            state.wake();
        }
    }

    /// The bytes that wait.
    pub fn waiting(&self) -> usize {
        self.0.lock().bytes
    }

    /// Whether it was closed, or the connection is over.
    pub fn is_closed(&self) -> bool {
        self.0.lock().closed
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} bytes)", self.waiting())
    }
}

impl OutboxDrain {
    /// The next piece, once there is one; `None` when it is closed and all has been taken. For
    /// connections that are not driven by a [`Protocol`](crate::Protocol).
    pub async fn next(&mut self) -> Option<Bytes> {
        poll_fn(|cx| {
            let mut state = self.0.lock();
            if let Some(piece) = state.pop() {
                return Poll::Ready(Some(piece));
            }
            if state.closed {
                return Poll::Ready(None);
            }
            state.listen(cx);
            Poll::Pending
        })
        .await
    }

    /// The next piece, if one waits.
    pub fn try_next(&mut self) -> Option<Bytes> {
        self.0.lock().pop()
    }

    /// Whether it is closed, with nothing left to take.
    pub fn is_over(&self) -> bool {
        let state = self.0.lock();
        state.closed && state.queue.is_empty()
    }

    /// Moves pieces into `out` until that holds `high` bytes, and all if it was closed.
    pub(crate) fn poll_into(&mut self, out: &mut Output, high: usize, cx: &Context<'_>) -> Drained {
        let mut state = self.0.lock();
        let mut moved = false;
        while (out.len() < high || state.closed)
            && let Some(piece) = state.pop()
        {
            out.put(piece);
            moved = true;
        }
        state.listen(cx);
        if state.queue.is_empty() && state.queue.capacity() > 8 {
            state.queue = VecDeque::new();
        }
        Drained {
            moved,
            over: state.closed,
        }
    }
}

impl Drop for OutboxDrain {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.queue = VecDeque::new();
        state.bytes = 0;
        state.waker = None;
    }
}

impl fmt::Debug for OutboxDrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutboxDrain({} bytes)", self.0.lock().bytes)
    }
}

/// What became of what waited.
pub(crate) struct Drained {
    /// Something was taken.
    pub(crate) moved: bool,
    /// It was closed, and all of it was taken.
    pub(crate) over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pop(&mut self) -> Option<Bytes> {
        let piece = self.queue.pop_front()?;
        self.bytes -= piece.len();
        Some(piece)
    }

    fn wake(&mut self) {
        if !std::mem::replace(&mut self.woken, true)
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
    }

    /// From now on a push wakes again.
    fn listen(&mut self, cx: &Context<'_>) {
        self.woken = false;
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => self.waker = Some(cx.waker().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Count(AtomicUsize);

    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_connection_is_woken_once_for_all_that_comes_until_it_looks() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let cx = Context::from_waker(&waker);
        let (outbox, mut drain) = Outbox::new(100);
        let mut out = Output::default();
        assert!(!drain.poll_into(&mut out, 10, &cx).moved);
        for _ in 0..5 {
            outbox.push(Bytes::from("12345678")).unwrap();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(drain.poll_into(&mut out, 10, &cx).moved);
        assert_eq!(out.len(), 16, "no more than is over the mark");
        assert_eq!(outbox.waiting(), 24);
        outbox.push(Bytes::from("9")).unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn at_its_limit_it_takes_no_more_and_a_cut_forgets_the_rest() {
        let (outbox, mut drain) = Outbox::new(10);
        outbox.push(Bytes::from("0123456789")).unwrap();
        assert_eq!(outbox.push(Bytes::from("x")), Err(PushError::Full(10)));
        outbox.cut(Bytes::from("too slow"));
        assert_eq!(outbox.push(Bytes::from("x")), Err(PushError::Closed));
        let mut out = Output::default();
        let drained = drain.poll_into(&mut out, 1, &Context::from_waker(Waker::noop()));
        assert!(drained.over && drain.is_over());
        assert_eq!(out.take(), b"too slow");
    }

    #[test]
    fn nothing_can_be_pushed_for_a_connection_that_is_gone() {
        let (outbox, drain) = Outbox::new(10);
        outbox.push(Bytes::from("x")).unwrap();
        drop(drain);
        assert!(outbox.is_closed());
        assert_eq!(outbox.waiting(), 0);
        assert_eq!(outbox.push(Bytes::from("x")), Err(PushError::Closed));
    }
}
