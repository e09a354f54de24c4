//! Services that belong together.

use std::{fmt, sync::Arc};

use tokio::{sync::watch, task::JoinSet};
use tracing::Instrument;

use super::{
    AnyService, Life, Service, ServiceOptions, ServiceState, Status, Stop,
    status::Node,
    supervise::{joined, node_of, supervise},
};
use crate::{Error, Result};

/// A set of services, started in order, watched over, and stopped in reverse
/// order; itself a service, so that sets make trees.
///
/// Each service starts once the one before it is ready. One that fails is
/// restarted as its [`ServiceOptions`] say, and at last takes the set down:
/// the others stop, and the set fails with its error. A set all of whose
/// services have ended has ended.
///
/// As a future (`.await`, or [`run`](crate::run) in `main`) it is a
/// [`Program`](super::Program).
pub struct Services {
    node: Arc<Node>,
    children: Vec<Child>,
    together: bool,
    stop: Stop,
}

struct Child {
    service: Arc<dyn AnyService>,
    node: Arc<Node>,
    options: ServiceOptions,
}

impl Default for Services {
    fn default() -> Self {
        Self::new()
    }
}

impl Services {
    /// None yet; they will stop one after the other, the last one first.
    pub fn new() -> Self {
        Self::named("services")
    }

    /// As [`new`](Self::new), with a name for the log and status pages.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            node: Node::new(name.into()),
            children: Vec::new(),
            together: false,
            stop: Stop::default(),
        }
    }

    /// They all stop at the same time. That is for the servers of a program:
    /// all announce their end together, and together they stop accepting.
    #[must_use]
    pub fn together(mut self) -> Self {
        self.together = true;
        self
    }

    /// How the services stop that are not told otherwise.
    #[must_use]
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// With one more service, whose failure takes the set down.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "one adds a service to services; nobody will look for an operator"
    )]
    pub fn add(self, service: impl Service) -> Self {
        self.add_with(service, ServiceOptions::default())
    }

    /// With one more service, and how it is treated. A [`Restart`] alone will
    /// do.
    ///
    /// [`Restart`]: super::Restart
    #[must_use]
    pub fn add_with(mut self, service: impl Service, options: impl Into<ServiceOptions>) -> Self {
        let node = node_of(&service);
        self.node.adopt(node.clone());
        self.children.push(Child {
            service: Arc::new(service),
            node,
            options: options.into(),
        });
        self
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }
}

impl Service for Services {
    fn name(&self) -> String {
        self.node.name.clone()
    }

    async fn bind(&self) -> Result {
        for child in &self.children {
            child
                .service
                .bind()
                .await
                .map_err(|source| match source.downcast() {
                    Ok(named) => Error::from(named as Box<super::ServiceError>),
                    Err(source) => {
                        let name = child.node.name.clone();
                        super::ServiceError::Failed { name, source }.into()
                    }
                })?;
        }
        Ok(())
    }

    async fn run(&self, life: Life) -> Result {
        let mut tasks = Tasks {
            set: self,
            stops: Vec::new(),
            ended: vec![false; self.children.len()],
            tasks: JoinSet::new(),
        };
        let failed = match tasks.start(&life).await {
            Ok(true) => {
                life.ready();
                tasks.watch(&life).await
            }
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        // The first failure is the cause; later ones may be its consequences.
        let stopped = tasks.stop().await;
        failed.and(stopped)
    }

    async fn reload(&self) -> Result {
        for child in &self.children {
            if child.node.state() != ServiceState::Ready {
                continue;
            }
            let reload = tokio::time::timeout(child.options.start, child.service.reload());
            let service = &child.node.name;
            match reload.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(service, error, "cannot reload"),
                Err(_) => tracing::error!(service, "did not reload in time"),
            }
        }
        Ok(())
    }

    fn status(&self) -> Option<Status> {
        Some(Status(self.node.clone()))
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("name", &self.node.name)
            .field("services", &self.children.len())
            .finish_non_exhaustive()
    }
}

/// The tasks of one run of a set; dropped, they end at once.
struct Tasks<'a> {
    set: &'a Services,
    /// How to tell each that was started to stop.
    stops: Vec<watch::Sender<bool>>,
    ended: Vec<bool>,
    tasks: JoinSet<(usize, Result)>,
}

impl Tasks<'_> {
    /// Starts one after the other. False if it was told to stop before all
    /// were ready.
    async fn start(&mut self, life: &Life) -> Result<bool> {
        for (index, child) in self.set.children.iter().enumerate() {
            let (stop, stopping) = watch::channel(false);
            self.stops.push(stop);
            let mut options = child.options.clone();
            options.stop.get_or_insert(self.set.stop);
            let service = child.service.clone();
            let run = supervise(service, options, child.node.clone(), stopping);
            // What it was in an earlier run of the set says nothing now.
            child.node.set(ServiceState::Idle);
            let span = tracing::debug_span!("service", name = child.node.name);
            self.tasks
                .spawn(async move { (index, run.await) }.instrument(span));
            let ready = child
                .node
                .until(|state| matches!(state, ServiceState::Ready | ServiceState::Ended));
            let mut ready = std::pin::pin!(ready);
            loop {
                tokio::select! {
                    biased;
                    _ = life.stopping() => return Ok(false),
                    Some(ended) = self.tasks.join_next() => {
                        let (index, ended) = joined(ended.map(Ok))?;
                        self.ended[index] = true;
                        ended?;
                    }
                    () = &mut ready => break,
                }
            }
        }
        Ok(true)
    }

    /// Waits until one fails, all have ended, or the set is told to stop.
    async fn watch(&mut self, life: &Life) -> Result {
        loop {
            tokio::select! {
                biased;
                _ = life.stopping() => return Ok(()),
                ended = self.tasks.join_next() => {
                    let Some(ended) = ended else { return Ok(()) };
                    let (index, ended) = joined(ended.map(Ok))?;
                    self.ended[index] = true;
                    ended?;
                }
            }
        }
    }

    /// Stops those that run: the first of their failures.
    async fn stop(&mut self) -> Result {
        self.set.node.set(ServiceState::Stopping);
        if self.set.together {
            for stop in &self.stops {
                stop.send_replace(true);
            }
        }
        let mut result = Ok(());
        for index in (0..self.stops.len()).rev() {
            self.stops[index].send_replace(true);
            while !self.ended[index] {
                let Some(ended) = self.tasks.join_next().await else {
                    break;
                };
                let (which, ended) = joined(ended.map(Ok))?;
                self.ended[which] = true;
                result = result.and(ended);
            }
        }
        result
    }
}
