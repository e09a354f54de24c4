//! Watching over one service: readiness, restarts, and its end in time.

use std::{any::Any, fmt, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::Instrument;

use super::{
    AnyService, Life, ServiceState, Status, Stop,
    status::{Node, ServiceState as State},
};
use crate::{BackOff, Error, Result, timers::clock};

/// What a service is given beyond its [`Stop`] before it is cut: one that ends
/// by its own deadline at that very moment should be heard.
const MARGIN: Duration = Duration::from_secs(1);

/// What follows when a service ends without having been told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Restart {
    /// A failure takes the set down with it; an end without error is an end.
    #[default]
    Never,
    /// After a failure it is run again; an end without error is an end.
    OnFailure,
    /// It is run again however it ended.
    Always,
}

/// How a set treats one of its services.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// What follows when it ends without having been told to. Default
    /// [`Restart::Never`].
    pub restart: Restart,
    /// The waits between restarts. Its `attempts` is what limits their
    /// intensity: so many runs in a row, of which none held for `reset_after`,
    /// and the service has failed for good. Default that of [`BackOff`], with
    /// 10 attempts.
    pub back_off: BackOff,
    /// Time for a run to say that it is ready; then it has failed. Default
    /// one minute. A set among the services has no such limit, but each in it.
    pub start: Duration,
    /// How it is to stop. Default that of the set ([`Services::stop`]).
    ///
    /// [`Services::stop`]: super::Services::stop
    pub stop: Option<Stop>,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            restart: Restart::default(),
            back_off: BackOff {
                attempts: Some(10),
                ..BackOff::default()
            },
            start: Duration::from_secs(60),
            stop: None,
        }
    }
}

impl From<Restart> for ServiceOptions {
    fn from(restart: Restart) -> Self {
        Self {
            restart,
            ..Self::default()
        }
    }
}

/// How a service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It ended with an error.
    #[error("{name}: {source}")]
    Failed {
        /// The service.
        name: String,
        /// Its error.
        source: Error,
    },
    /// It panicked: a bug in it.
    #[error("{name} panicked: {message}")]
    Panicked {
        /// The service.
        name: String,
        /// What it said.
        message: String,
    },
    /// It did not say in time that it is ready.
    #[error("{name} was not ready within {after:?}")]
    NotReady {
        /// The service.
        name: String,
        /// The time it had.
        after: Duration,
    },
    /// It ended without error again and again, and should not have.
    #[error("{name} ended {runs} times in a row; giving up")]
    Ended {
        /// The service.
        name: String,
        /// How many times.
        runs: u32,
    },
}

/// Runs a service until it ends for good. The error is that of its last run,
/// with its name.
pub(super) async fn supervise(
    service: Arc<dyn AnyService>,
    options: ServiceOptions,
    node: Arc<Node>,
    stopping: watch::Receiver<bool>,
) -> Result {
    let mut retry = options.back_off.start();
    loop {
        let life = Life {
            run: node.begin(),
            node: node.clone(),
            stop: options.stop.unwrap_or_default(),
            stopping: stopping.clone(),
        };
        let began = clock();
        let ended = run(&*service, &life, options.start).await;
        if let Err(error) = &ended {
            node.failed(error);
        }
        let again = match options.restart {
            _ if life.is_stopping() => false,
            Restart::Never => false,
            Restart::OnFailure => ended.is_err(),
            Restart::Always => true,
        };
        if !again {
            node.set(match ended {
                Ok(()) => State::Ended,
                Err(_) => State::Failed,
            });
            return ended;
        }
        let Some(wait) = retry.after(clock() - began) else {
            node.set(State::Failed);
            return Err(ended.err().unwrap_or_else(|| {
                let error = ServiceError::Ended {
                    name: node.name.clone(),
                    runs: retry.failures(),
                };
                error.into()
            }));
        };
        match &ended {
            Ok(()) => tracing::warn!(service = node.name, ?wait, "ended; restarting"),
            Err(error) => tracing::warn!(error, ?wait, "restarting"),
        }
        node.set(State::Waiting {
            until: clock() + wait,
        });
        if life.unless_stopping(sleep(wait)).await.is_none() {
            node.set(State::Ended);
            return Ok(());
        }
    }
}

/// One run of a service.
async fn run(service: &dyn AnyService, life: &Life, start: Duration) -> Result {
    let is_set = service.status().is_some();
    let name = || life.node.name.clone();
    let named = |result: std::thread::Result<Result>| match result {
        Ok(Ok(())) => Ok(()),
        // Whichever of the set it was is named already.
        Ok(Err(error)) if is_set => Err(error),
        Ok(Err(source)) => Err(ServiceError::Failed {
            name: name(),
            source,
        }
        .into()),
        Err(panic) => Err(ServiceError::Panicked {
            name: name(),
            message: message(&*panic),
        }
        .into()),
    };
    // A service that panicked is not called again, or anew as if after an error.
    let mut run = pin!(AssertUnwindSafe(service.run(life.clone())).catch_unwind());
    let late = async {
        let started = life.node.until(|state| state != State::Starting);
        if is_set || timeout(start, started).await.is_ok() {
            std::future::pending().await
        }
    };
    tokio::select! {
        biased;
        ended = &mut run => return named(ended),
        _ = life.stopping() => {}
        () = late => return Err(ServiceError::NotReady { name: name(), after: start }.into()),
    }
    life.node.set(State::Stopping);
    if is_set {
        return named(run.await);
    }
    let total = life.stop.total();
    let Ok(ended) = timeout(total.saturating_add(MARGIN), run).await else {
        tracing::warn!(service = life.node.name, after = ?total, "did not stop in time, and was cut");
        return Ok(());
    };
    named(ended)
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a word".to_owned())
}

/// A service that runs in a task of its own; see [`Service::start`].
/// Dropping it ends the service at once.
///
/// [`Service::start`]: super::Service::start
#[must_use = "a service that is dropped stops at once"]
pub struct Running {
    node: Arc<Node>,
    stopping: watch::Sender<bool>,
    task: JoinHandle<Result>,
}

impl Running {
    pub(super) fn start(service: Arc<dyn AnyService>, options: ServiceOptions) -> Self {
        let node = node_of(&*service);
        let (stopping, told) = watch::channel(false);
        let span = tracing::debug_span!("service", name = node.name);
        let supervised = supervise(service, options, node.clone(), told);
        Self {
            node,
            stopping,
            task: tokio::spawn(supervised.instrument(span)),
        }
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Its last error in words, if it ended before it was ready.
    pub async fn ready(&self) -> Result {
        let over = |state| matches!(state, State::Ended | State::Failed);
        self.node
            .until(|state| state == ServiceState::Ready || over(state))
            .await;
        match self.status().snapshot() {
            status if status.state == State::Failed => {
                Err(status.last_error.unwrap_or_default().into())
            }
            _ => Ok(()),
        }
    }

    /// What it is doing.
    pub fn status(&self) -> Status {
        Status(self.node.clone())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Its failure.
    pub async fn ended(&mut self) -> Result {
        joined((&mut self.task).await)
    }

    /// Tells it to stop, and waits until it has.
    ///
    /// # Errors
    /// Its failure.
    pub async fn stop(mut self) -> Result {
        self.stopping.send_replace(true);
        self.ended().await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("service", &self.node.name)
            .field("state", &self.node.state())
            .finish_non_exhaustive()
    }
}

/// The record of a service: a set has its own.
pub(super) fn node_of(service: &dyn AnyService) -> Arc<Node> {
    service
        .status()
        .map_or_else(|| Node::new(service.name()), |status| status.0)
}

/// What came of the task of a service. A panic that reaches it is ours.
pub(super) fn joined<T>(result: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match result {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ended.
            Err(error) => Err(error.into()),
        },
    }
}
