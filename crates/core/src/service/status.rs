//! What a tree of services is doing, for readiness probes and status pages.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use tokio::sync::watch;

use crate::{Error, timers::clock};

/// What a service is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServiceState {
    /// It has not begun.
    Idle,
    /// It runs and is not ready yet.
    Starting,
    /// It does what it is for.
    Ready,
    /// It failed, and will be restarted then.
    Waiting {
        /// When.
        until: Instant,
    },
    /// It was told to stop, and has not ended yet.
    Stopping,
    /// It ended well: it was told to, or its work was done.
    Ended,
    /// It failed, and is not restarted.
    Failed,
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "idle",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Waiting { .. } => "waiting to be restarted",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
        })
    }
}

/// One service at one moment, and what it consists of. Shown with `{}` it is a
/// line each, children indented.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: ServiceState,
    /// Since when.
    pub since: Instant,
    /// How many times it was restarted.
    pub restarts: u64,
    /// Its last failure, in words.
    pub last_error: Option<String>,
    /// Of a set: its services, in the order of their start.
    pub children: Vec<Self>,
}

impl ServiceStatus {
    /// Whether it and all its children are ready, or ended well.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, ServiceState::Ready | ServiceState::Ended)
            && self.children.iter().all(Self::is_ready)
    }

    /// Whether nothing in it has failed or waits to be restarted.
    pub fn is_healthy(&self) -> bool {
        !matches!(
            self.state,
            ServiceState::Waiting { .. } | ServiceState::Failed
        ) && self.children.iter().all(Self::is_healthy)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let Self { name, state, .. } = self;
        write!(f, "{:indent$}{name}: {state}", "", indent = depth * 2)?;
        if self.restarts > 0 {
            write!(f, ", restarted {} times", self.restarts)?;
        }
        if let Some(error) = &self.last_error {
            write!(f, ", last error: {error}")?;
        }
        writeln!(f)?;
        self.children.iter().try_for_each(|c| c.write(f, depth + 1))
    }
}

impl fmt::Display for ServiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Where to ask for the state of a service while it runs. Cheap to clone.
///
/// ```
/// # use ropewalk_core::{Services, service::{Service, ServiceState}};
/// let services = Services::new();
/// let status = services.status().expect("a set has one");
/// // Run the services elsewhere, and answer `/readyz` with:
/// assert!(!status.is_ready());
/// assert_eq!(status.snapshot().state, ServiceState::Idle);
/// ```
#[derive(Clone)]
pub struct Status(pub(super) Arc<Node>);

impl Status {
    /// The state of it all at this moment.
    pub fn snapshot(&self) -> ServiceStatus {
        self.0.snapshot()
    }

    /// Whether it all is ready now, or ended well.
    pub fn is_ready(&self) -> bool {
        self.snapshot().is_ready()
    }

    /// Waits until `enough` is true of the state, as it changes.
    pub async fn until(&self, enough: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
        let mut changes = self.0.changes.subscribe();
        loop {
            changes.borrow_and_update();
            let now = self.snapshot();
            if enough(&now) {
                return now;
            }
            // The sender is in `self`.
            let _ = changes.changed().await;
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// The record of one service in the tree.
pub(crate) struct Node {
    pub(super) name: String,
    record: Mutex<Record>,
    /// Told of every change here and below.
    changes: watch::Sender<()>,
    children: Mutex<Vec<Arc<Self>>>,
    parent: Mutex<Weak<Self>>,
}

#[derive(Clone)]
struct Record {
    state: ServiceState,
    since: Instant,
    runs: u64,
    last_error: Option<String>,
}

impl Node {
    pub(super) fn new(name: String) -> Arc<Self> {
        Arc::new(Self {
            name,
            record: Mutex::new(Record {
                state: ServiceState::Idle,
                since: clock(),
                runs: 0,
                last_error: None,
            }),
            changes: watch::Sender::new(()),
            children: Mutex::default(),
            parent: Mutex::default(),
        })
    }

    pub(super) fn adopt(self: &Arc<Self>, child: Arc<Self>) {
        *lock(&child.parent) = Arc::downgrade(self);
        lock(&self.children).push(child);
    }

    /// Another run begins; says which.
    pub(super) fn begin(&self) -> u64 {
        let mut run = 0;
        self.change(|record| {
            record.runs += 1;
            run = record.runs;
            record.state = ServiceState::Starting;
        });
        run
    }

    /// This run is ready, if it is still starting.
    pub(super) fn ready(&self, run: u64) {
        self.change(|record| {
            if record.runs == run && record.state == ServiceState::Starting {
                record.state = ServiceState::Ready;
            }
        });
    }

    pub(super) fn set(&self, state: ServiceState) {
        self.change(|record| record.state = state);
    }

    pub(super) fn failed(&self, error: &Error) {
        self.change(|record| record.last_error = Some(error.to_string()));
    }

    pub(super) fn state(&self) -> ServiceState {
        lock(&self.record).state
    }

    /// Waits until `enough` is true of its own state.
    pub(super) async fn until(&self, enough: impl Fn(ServiceState) -> bool) {
        let mut changes = self.changes.subscribe();
        while !enough(self.state()) {
            let _ = changes.changed().await;
        }
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        {
            let mut record = lock(&self.record);
            let before = record.state;
            change(&mut record);
            if record.state != before {
                record.since = clock();
            }
        }
        self.changes.send_replace(());
        let mut above = lock(&self.parent).upgrade();
        while let Some(node) = above {
            node.changes.send_replace(());
            above = lock(&node.parent).upgrade();
        }
    }

    fn snapshot(&self) -> ServiceStatus {
        let record = lock(&self.record).clone();
        ServiceStatus {
            name: self.name.clone(),
            state: record.state,
            since: record.since,
            restarts: record.runs.saturating_sub(1),
            last_error: record.last_error,
            children: lock(&self.children).iter().map(|c| c.snapshot()).collect(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
