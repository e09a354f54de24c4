//! Datagrams: the same callbacks over UDP, Unix datagrams and names in memory,
//! in batches.
//!
//! There are no connections and so no registry and no upgrade: one protocol
//! serves one socket. A [`DatagramSocket`] is the seam between the driver and
//! what carries the datagrams.

mod batch;
mod driver;
mod memory;
mod server;
pub(crate) mod session;
mod socket;
mod transport;
mod udp;
mod unix;

pub use batch::{Datagrams, DatagramsIter, UnsentDatagrams};
pub(crate) use memory::Mailboxes;
pub use server::{DatagramCounts, DatagramOptions, DatagramServer};
pub use socket::{DatagramOption, DatagramSocket, MulticastGroup, NoGroup, Undelivered};
pub use transport::DatagramTransport;
pub(crate) use transport::Totals;
pub(crate) use udp::{connect as connect_udp, listen as listen_udp, passed as passed_udp};
pub(crate) use unix::{connect as connect_unix, listen as listen_unix};

use crate::{Closed, Result};

/// The state machine of one datagram socket.
///
/// ```
/// use ropewalk_core::{DatagramProtocol, Datagrams, DatagramTransport, Result};
///
/// struct Echo;
/// impl DatagramProtocol for Echo {
///     type Message = ();
///     type Timer = ();
///     fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
///         for (data, from) in batch {
///             t.send(data, from);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait DatagramProtocol: Sized + Send + 'static {
    /// What other tasks and deferred work send here.
    type Message: Send + 'static;
    /// The names of this protocol's timers.
    type Timer: Copy + Eq + Send + 'static;

    /// The socket is open.
    ///
    /// # Errors
    /// An error ends the protocol and closes its socket.
    fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        let _ = t;
        Ok(())
    }

    /// Datagrams arrived: one, or as many as were there, 64 at most.
    ///
    /// # Errors
    /// An error ends the protocol; what one peer sent should not be one.
    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result;

    /// A message from a handle, a topic, or deferred work.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn message(&mut self, t: &mut DatagramTransport<Self>, message: Self::Message) -> Result {
        let _ = (t, message);
        Ok(())
    }

    /// A timer fired; it is no longer set.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn timeout(&mut self, t: &mut DatagramTransport<Self>, which: Self::Timer) -> Result {
        let _ = (t, which);
        Ok(())
    }

    /// Something that was sent did not go, as far as one hears of that: it was
    /// too long, the system forbids it, nobody receives there. By default that
    /// is as good as lost on the way.
    ///
    /// # Errors
    /// An error ends the protocol.
    fn undelivered(&mut self, t: &mut DatagramTransport<Self>, error: &Undelivered) -> Result {
        let _ = (t, error);
        Ok(())
    }

    /// The server drains. By default it takes what is here already, lets
    /// deferred work end, and closes once the answers have left
    /// ([`DatagramTransport::close_after_work`]).
    ///
    /// # Errors
    /// An error ends the protocol.
    fn draining(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        t.close_after_work();
        Ok(())
    }

    /// It is over. Called exactly once, and last.
    fn closed(&mut self, why: Closed) {
        let _ = why;
    }
}
