//! The signals that end a program.

use std::{future::Future, io};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
};

use crate::Result;

/// A second signal came before a drain was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: connections were cut")]
pub struct Interrupted;

/// SIGINT and SIGTERM, from the moment this is made.
///
/// Make it before what it is to end: a signal that comes earlier kills the
/// program as it always does.
pub struct Signals(Mutex<(Signal, Signal)>);

impl Signals {
    /// Listens for both.
    ///
    /// # Errors
    /// If the system has no room for a handler.
    pub fn new() -> io::Result<Self> {
        let pair = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        Ok(Self(Mutex::new(pair)))
    }

    /// Waits for the next of them.
    pub async fn first(&self) {
        let mut pair = self.0.lock().await;
        let (interrupt, terminate) = &mut *pair;
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        }
    }

    /// Waits for `work`, unless another signal comes first.
    ///
    /// # Errors
    /// [`Interrupted`] if one does; `work` is dropped.
    pub async fn unless_second<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut pair = self.0.lock().await;
        let (interrupt, terminate) = &mut *pair;
        tokio::select! {
            done = work => Ok(done),
            _ = interrupt.recv() => Err(Interrupted),
            _ = terminate.recv() => Err(Interrupted),
        }
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signals")
    }
}
