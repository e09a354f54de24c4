//! Zones on several servers: transfers out, NOTIFY both ways, and secondaries.
//!
//! - [`Transfers`] publishes zones: it keeps what changed between versions, and
//!   answers AXFR and IXFR for whom an [`Access`] list admits.
//! - [`Notifier`] is a service that tells others when a zone was published.
//! - [`Secondary`] is a service that keeps a zone as its primaries have it, by
//!   the timers of its SOA and whenever it is told to look.
//! - [`Secondaries`] takes NOTIFY from those who may send it.
//!
//! All of them share one set of [`Zones`](crate::zone::Zones) with the server
//! that answers. What carries requests in is that server; this module connects
//! to others only, by endpoints of the core.

mod access;
mod apply;
mod disk;
mod exchange;
mod history;
mod notifier;
mod secondaries;
mod secondary;
mod source;
mod transfers;

pub use access::{Access, Grant};
pub use exchange::{ExchangeError, Remote, Timeouts};
pub use notifier::{Notifier, NotifierOptions};
pub use secondaries::Secondaries;
pub use secondary::{Secondary, SecondaryOptions, SecondaryState};
pub use transfers::{TransferOptions, Transfers};

/// Does work that takes long with a zone of this many records beside the
/// runtime's threads, and other work at once: a simulation stays on its thread.
async fn beside<T: Send + 'static>(records: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if records < 20_000 {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
