//! The signals that end a program, and the one that has it read its files
//! again.

use std::{
    future::{Future, pending},
    io,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Mutex,
};

use crate::Result;

/// A second signal came before a drain was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: connections were cut")]
pub struct Interrupted;

/// SIGINT and SIGTERM, and SIGHUP where it is asked for, from the moment this
/// is made.
///
/// Make it before what it is to end: a signal that comes earlier kills the
/// program as it always does.
pub struct Signals {
    end: Mutex<(Signal, Signal)>,
    reload: Option<Mutex<Signal>>,
}

impl Signals {
    /// Listens for SIGINT and SIGTERM. SIGHUP does what it always does: a
    /// program that has nothing to reload ends with its terminal.
    ///
    /// # Errors
    /// If the system has no room for a handler.
    pub fn new() -> io::Result<Self> {
        let end = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        Ok(Self {
            end: Mutex::new(end),
            reload: None,
        })
    }

    /// Listens for SIGHUP too, for [`reload`](Self::reload). From now on and
    /// to its end, the program does not die of it.
    ///
    /// # Errors
    /// If the system has no room for a handler.
    pub fn with_reload() -> io::Result<Self> {
        let reload = signal(SignalKind::hangup())?;
        Ok(Self {
            reload: Some(Mutex::new(reload)),
            ..Self::new()?
        })
    }

    /// Waits for the next SIGINT or SIGTERM.
    pub async fn first(&self) {
        let mut end = self.end.lock().await;
        let (interrupt, terminate) = &mut *end;
        tokio::select! {
            _ = interrupt.recv() => tracing::info!("SIGINT: draining"),
            _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        }
    }

    /// Waits for the next SIGHUP; for ever, unless this was made by
    /// [`with_reload`](Self::with_reload). Several that come while nobody
    /// waits are one.
    ///
    /// Dropping the future loses no signal.
    pub async fn reload(&self) {
        let Some(reload) = &self.reload else {
            return pending().await;
        };
        if reload.lock().await.recv().await.is_none() {
            return pending().await;
        }
        tracing::info!("SIGHUP: reloading");
    }

    /// Waits for `work`, unless another SIGINT or SIGTERM comes first.
    ///
    /// # Errors
    /// [`Interrupted`] if one does; `work` is dropped.
    pub async fn unless_second<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        let mut end = self.end.lock().await;
        let (interrupt, terminate) = &mut *end;
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

#[cfg(test)]
mod tests {
    use std::process::{Command, id};

    use super::*;

    #[tokio::test]
    async fn sighup_reloads_and_ends_nothing() {
        let signals = Signals::with_reload().expect("there is room for a handler");
        for _ in 0..2 {
            let pid = id().to_string();
            let kill = Command::new("kill").args(["-HUP", &pid]).status();
            assert!(kill.expect("kill is there").success());
            tokio::select! {
                () = signals.reload() => {}
                () = signals.first() => panic!("SIGHUP ends nothing"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_did_not_ask_is_told_to_reload() {
        let signals = Signals::new().expect("there is room for a handler");
        let told = tokio::time::timeout(std::time::Duration::from_secs(3600), signals.reload());
        assert!(told.await.is_err());
    }
}
