//! One host: what runs on it, and how it fails.

use std::{fmt, future::Future, net::IpAddr, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;

use super::{network::Network, scheme::Sim, trace::What};
use crate::{Result, Schemes, work::BoxFuture};

/// What a host runs, again after each restart.
pub(super) type Program = Arc<dyn Fn(Host) -> BoxFuture<'static, Result> + Send + Sync>;

/// A host of a [`Network`], as it is since its last restart: what an earlier
/// one of the same host does comes to nothing.
#[derive(Clone)]
pub struct Host {
    network: Network,
    id: usize,
    boot: u64,
}

impl Host {
    pub(super) fn new(network: Network, id: usize) -> Self {
        let boot = network.state().hosts[id].boot;
        Self { network, id, boot }
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.network.state().hosts[self.id].name.to_string()
    }

    /// Its address.
    pub fn address(&self) -> IpAddr {
        self.network.state().hosts[self.id].ip
    }

    /// The network it is on.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The schemes for what runs on this host: it listens and connects with
    /// them, by `sim:` endpoints. `mem:` names are this value's own.
    pub fn schemes(&self) -> Schemes {
        Schemes::new().add(Sim {
            network: self.network.clone(),
            host: self.id,
            boot: self.boot,
        })
    }

    /// Runs a program on this host now, and again after each restart. It is
    /// dropped when the host crashes and when the simulation ends. An error or
    /// a panic of it fails the simulation.
    ///
    /// A host that has crashed is restarted with it, whatever it ran before.
    ///
    /// # Panics
    /// If it runs another already.
    ///
    /// ```
    /// # use ropewalk_core::{Connection, Result, ServerEndpoint, testing::sim::Simulation};
    /// # async fn greet(_: Connection) -> Result { Ok(()) }
    /// # Simulation::from_seed(1).run(async |net| {
    /// net.host("mail").start(|host| async move {
    ///     let endpoint: ServerEndpoint = "sim:143".parse()?;
    ///     let _server = endpoint.listen_with(greet, host.schemes()).await?;
    ///     std::future::pending().await
    /// });
    /// # });
    /// ```
    pub fn start<F, Fut>(&self, program: F)
    where
        F: Fn(Self) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        let program: Program = Arc::new(move |host| Box::pin(program(host)));
        let mut state = self.network.state();
        let host = &mut state.hosts[self.id];
        assert!(
            host.program.is_none() || !host.is_running,
            "{} runs a program already; `Host::crash` ends it",
            host.name
        );
        host.program = Some(program);
        if host.is_running {
            state.starting.push(self.id);
        } else {
            state.restart(self.id);
        }
        drop(state);
        self.network.start_programs();
    }

    /// Runs a task on this host, which ends when the host crashes. What a
    /// program spawns otherwise lives on without its connections, and must end
    /// by that.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.network.state().is_dead(self.id, self.boot) {
            return;
        }
        let network = self.network.clone();
        let handle = tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                network.state().fail("a task of a host panicked".to_owned());
            }
        });
        let mut state = self.network.state();
        let tasks = &mut state.hosts[self.id].tasks;
        tasks.retain(|task| !task.is_finished());
        tasks.push(handle.abort_handle());
    }

    /// Ends all that runs on it, at once: its program and tasks are dropped,
    /// its ports are free, its peers' connections are reset. Until
    /// [`restart`](Self::restart) connects are refused.
    pub fn crash(&self) {
        self.network.state().crash(self.id, true);
    }

    /// Takes its power away: as a crash, but nobody hears of it. Until
    /// [`restart`](Self::restart) nothing is answered; what its peers still
    /// send after it is answered by resets.
    pub fn power_off(&self) {
        self.network.state().crash(self.id, false);
    }

    /// Crashes it if it is running, and runs its program anew, if it has one.
    pub fn restart(&self) {
        self.network.state().restart(self.id);
        self.network.start_programs();
    }

    pub(super) fn run_program(&self) {
        let program = {
            let mut state = self.network.state();
            state.record(What::Started(self.id));
            state.hosts[self.id].program.clone()
        };
        let Some(program) = program else { return };
        let host = Self::new(self.network.clone(), self.id);
        let network = self.network.clone();
        let name = self.name();
        host.clone().spawn(async move {
            if let Err(error) = program(host).await {
                network
                    .state()
                    .fail(format!("the program of {name} failed: {error}"));
            }
        });
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Host({})", self.name())
    }
}
