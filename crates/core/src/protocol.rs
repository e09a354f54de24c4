//! The state machine of one connection, and why a connection ended.
//!
//! A [`Protocol`] is synchronous and sans I/O: bytes, messages and time come
//! in as callbacks, bytes go out through the [`Transport`]. It never sees a
//! socket, so the same value runs over TCP, TLS, a pipe, or a unit test.
//! What needs `async` (hyper, an SSH library) is a
//! [`Handler`](crate::Handler) instead.

use std::{fmt, io, process::ExitStatus, sync::Arc};

use crate::{Input, Transport};

/// Any error; what callbacks and handlers end with.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of callbacks, handlers and programs.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// The state machine of one connection.
///
/// Callbacks run one at a time on the connection's own task, in this order:
/// `connected` first, then any of the others, `closed` exactly once and last.
/// An error from a callback ends this connection, and no other, with
/// [`Closed::Failed`]; it is logged once with the peer.
///
/// ```
/// use ropewalk_core::{Input, Protocol, Result, Transport};
///
/// #[derive(Default)]
/// struct Echo;
///
/// impl Protocol for Echo {
///     type Message = ();
///     type Timer = ();
///     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
///         t.write(data);
///         Ok(())
///     }
/// }
/// ```
pub trait Protocol: Sized + Send + 'static {
    /// What other tasks and deferred work send here; `()` where nothing does.
    type Message: Send + 'static;

    /// The names of this protocol's timers, as an enum; `()` where there is
    /// one or none.
    type Timer: Copy + Eq + Send + 'static;

    /// The connection stands. A protocol whose server speaks first does so here.
    ///
    /// # Errors
    /// An error ends the connection.
    fn connected(&mut self, t: &mut Transport<Self>) -> Result {
        let _ = t;
        Ok(())
    }

    /// There is unread input. Take what is complete and leave the rest.
    ///
    /// It is called again when more arrives; when it took something and left
    /// something; and, with something left, after [`Transport::resume`], after
    /// `writable`, and after any other callback. So a protocol may take one
    /// request a call and [`pause`](Transport::pause) while the answer is out.
    ///
    /// # Errors
    /// An error ends the connection.
    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result;

    /// A message from a [`Handle`](crate::Handle), a [`Topic`](crate::Topic),
    /// or deferred work.
    ///
    /// # Errors
    /// An error ends the connection.
    fn message(&mut self, t: &mut Transport<Self>, message: Self::Message) -> Result {
        let _ = (t, message);
        Ok(())
    }

    /// A timer fired; it is no longer set. By default the connection closes.
    ///
    /// # Errors
    /// An error ends the connection.
    fn timeout(&mut self, t: &mut Transport<Self>, which: Self::Timer) -> Result {
        let _ = which;
        t.close();
        Ok(())
    }

    /// What waits to be written has been over the high mark and fell to the
    /// low mark.
    ///
    /// # Errors
    /// An error ends the connection.
    fn writable(&mut self, t: &mut Transport<Self>) -> Result {
        let _ = t;
        Ok(())
    }

    /// The stream asked for by [`Transport::upgrade`] is in place.
    ///
    /// # Errors
    /// An error ends the connection.
    fn upgraded(&mut self, t: &mut Transport<Self>) -> Result {
        let _ = t;
        Ok(())
    }

    /// The peer sends no more, and all it sent has been offered to `received`.
    /// By default the connection closes once what was written is flushed. One
    /// that does not close may go on writing; to end our own side first, see
    /// [`Transport::finish`].
    ///
    /// # Errors
    /// An error ends the connection.
    fn half_closed(&mut self, t: &mut Transport<Self>) -> Result {
        t.close();
        Ok(())
    }

    /// The server drains, or the last [`Client`](crate::Client) was dropped:
    /// say goodbye in the protocol's own words. By default the connection
    /// closes once what was written is flushed.
    ///
    /// # Errors
    /// An error ends the connection.
    fn draining(&mut self, t: &mut Transport<Self>) -> Result {
        t.close();
        Ok(())
    }

    /// The connection is over. Called exactly once, and last, however it ended.
    fn closed(&mut self, why: Closed) {
        let _ = why;
    }
}

/// Why a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Closed {
    /// The peer ended its side, and nothing was left to say.
    Peer,
    /// We closed, and what was written has left.
    Local,
    /// We gave up at once: [`Transport::abort`], a kill, the end of a drain,
    /// or the task was dropped.
    Aborted,
    /// The peer vanished, or threw the connection away.
    Reset,
    /// The peer ended a TLS stream without saying so: what it sent may have
    /// been cut short by somebody on the way.
    Truncated,
    /// A deadline of the driver passed.
    TimedOut(Deadline),
    /// The stream went on to a handler, as [`Transport::hand_over`] asked.
    HandedOver,
    /// The process at the other end ended.
    Exit(ExitStatus),
    /// A callback failed, or the stream did.
    Failed(Arc<dyn std::error::Error + Send + Sync>),
}

impl Closed {
    /// Whether the connection ended as one of both sides wished.
    pub fn is_clean(&self) -> bool {
        match self {
            Self::Peer | Self::Local | Self::HandedOver => true,
            Self::Exit(status) => status.success(),
            _ => false,
        }
    }

    pub(crate) fn failed(error: impl Into<Error>) -> Self {
        let error: Error = error.into();
        // An error that is already a reason stays that reason.
        match error.downcast::<Self>() {
            Ok(closed) => *closed,
            Err(error) => Self::Failed(error.into()),
        }
    }

    /// The reason behind an error of the stream itself.
    pub(crate) fn from_io(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match error.kind() {
            ConnectionReset | ConnectionAborted | BrokenPipe => Self::Reset,
            UnexpectedEof => Self::Truncated,
            _ => Self::Failed(Arc::new(error)),
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => f.write_str("closed by the peer"),
            Self::Local => f.write_str("closed"),
            Self::Aborted => f.write_str("aborted"),
            Self::Reset => f.write_str("reset by the peer"),
            Self::Truncated => f.write_str("cut off without a TLS close_notify"),
            Self::TimedOut(deadline) => write!(f, "timed out: {deadline}"),
            Self::HandedOver => f.write_str("handed over"),
            Self::Exit(status) => write!(f, "the process ended: {status}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl std::error::Error for Closed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// A deadline that the driver keeps for every connection; their lengths are
/// in [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deadline {
    /// No byte came or went for [`Limits::idle`](crate::Limits::idle).
    Idle,
    /// A handshake, of a listener's layers or of an upgrade, did not end.
    Handshake,
    /// The peer did not take what was still to be written at the close.
    Close,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "nothing came or went",
            Self::Handshake => "the handshake did not end",
            Self::Close => "the peer did not read what was left to say",
        })
    }
}

/// Errors of the driver's own rules, found behind [`Closed::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The peer sent bytes behind the request for another stream (the STARTTLS
    /// injection of CVE-2011-0411). The peer is at fault.
    #[error("{0} bytes came before the stream was upgraded")]
    BytesBeforeUpgrade(usize),
    /// The protocol left more unread than
    /// [`Limits::unread`](crate::Limits::unread) allows. The peer sent
    /// something longer than the protocol takes in.
    #[error("{0} bytes are unread, and that is the limit")]
    Unread(usize),
    /// The peer ended the stream inside what
    /// [`Transport::receive_into`] was to receive.
    #[error("the stream ended {0} bytes before the end of what was announced")]
    Short(u64),
    /// The protocol wrote after [`Transport::finish`]. The program is at fault.
    #[error("written after our side was finished")]
    Finished,
    /// This subscriber did not keep up with its [`Topic`](crate::Topic).
    #[error("{0} bytes behind its topic, and that is the limit")]
    Behind(usize),
}
