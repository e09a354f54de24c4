//! From services to a program: signals, the account to run as, the service
//! manager.

use std::future::{IntoFuture, pending};

use tokio::{sync::watch, time::sleep};

use super::{Account, Life, Notify, Service, ServiceState, ServiceStatus, Services, Status, Stop};
use crate::{BoxFuture, Result, Signals};

/// Runs [`Services`] as a program does, until they end or the program is told
/// to.
///
/// SIGINT and SIGTERM stop it, a second one at once; SIGHUP reloads
/// ([`Service::reload`]). Where systemd wants to know (`Type=notify`,
/// `notify-reload`), it is told when all is ready, reloads and stops, and, if
/// it asks (`WatchdogSec=`), that all is well: for as long as no service has
/// failed or waits to be restarted. So a watchdog should be more patient than
/// a back-off that one means to sit out.
///
/// It is a future, to be awaited or given to [`run`](crate::run). [`Services`]
/// do as well where there is nothing to set.
///
/// ```no_run
/// # use ropewalk_core::{Connection, Services, run, service::{Account, Program, listen}};
/// # async fn handler(_: Connection) -> ropewalk_core::Result { Ok(()) }
/// fn main() -> std::process::ExitCode {
///     let services = Services::new().add(listen("tcp:80:interface=*", handler));
///     run(Program::new(services).account(Account::user("www-data")))
/// }
/// ```
#[derive(Debug)]
#[must_use = "a program does nothing until it is run"]
pub struct Program {
    services: Services,
    account: Option<Account>,
    notify: Option<Notify>,
}

impl Program {
    /// Runs these.
    pub fn new(services: Services) -> Self {
        Self {
            services,
            account: None,
            notify: None,
        }
    }

    /// Becomes this account once everything is bound, for good.
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// Tells this service manager, and not the one in the environment.
    pub fn notify(mut self, notify: Notify) -> Self {
        self.notify = Some(notify);
        self
    }

    async fn run(self) -> Result {
        let signals = Signals::with_reload()?;
        let manager = match self.notify {
            Some(notify) => Some(notify),
            None => Notify::from_env()?,
        };
        let services = &self.services;
        let bound = async {
            services.bind().await?;
            if let Some(account) = &self.account {
                super::drop_privileges(account)?;
            }
            Ok::<(), crate::Error>(())
        };
        tokio::select! {
            bound = bound => bound.inspect_err(|_| services.node().set(ServiceState::Failed))?,
            () = signals.first() => return Ok(()),
        }
        let (stop, stopping) = watch::channel(false);
        let life = Life {
            run: services.node().begin(),
            node: services.node().clone(),
            stop: Stop::default(),
            stopping,
        };
        let status = Status(services.node().clone());
        let until_told = async {
            signals.first().await;
            tell(&manager, async |m| m.stopping().await).await;
            stop.send_replace(true);
            // From here on it is up to the services, and to a second signal.
            signals.unless_second(pending::<()>()).await
        };
        let reloads = async {
            loop {
                signals.reload().await;
                tell(&manager, async |m| m.reloading().await).await;
                services.reload().await?;
                tell(&manager, async |m| m.ready().await).await;
            }
        };
        let ended: Result = tokio::select! {
            ended = services.run(life) => ended,
            second = until_told => second.map_err(Into::into),
            failed = reloads => failed,
            () = report(&manager, &status) => Ok(()),
            () = watch_over(&manager, &status) => Ok(()),
        };
        services.node().set(match ended {
            Ok(()) => ServiceState::Ended,
            Err(_) => ServiceState::Failed,
        });
        ended
    }
}

impl IntoFuture for Program {
    type Output = Result;
    type IntoFuture = BoxFuture<'static, Result>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl IntoFuture for Services {
    type Output = Result;
    type IntoFuture = BoxFuture<'static, Result>;

    fn into_future(self) -> Self::IntoFuture {
        Program::new(self).into_future()
    }
}

/// Tells the manager, if there is one. That it does not listen is its affair.
async fn tell(manager: &Option<Notify>, what: impl AsyncFnOnce(&Notify) -> std::io::Result<()>) {
    if let Some(manager) = manager
        && let Err(error) = what(manager).await
    {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

/// Says when all is ready, and what is not; never ends.
async fn report(manager: &Option<Notify>, status: &Status) {
    let mut said = String::new();
    let mut ready = false;
    loop {
        let is_ready = |now: &ServiceStatus| now.state == ServiceState::Ready;
        let is_news = |now: &ServiceStatus| line(now) != said || (!ready && is_ready(now));
        let now = status.until(is_news).await;
        if !ready && is_ready(&now) {
            ready = true;
            tracing::debug!("all services are ready");
            tell(manager, async |m| m.ready().await).await;
        }
        said = line(&now);
        tell(manager, async |m| m.status(&said).await).await;
    }
}

/// The services in a line for people.
fn line(status: &ServiceStatus) -> String {
    let mut all = 0;
    let mut ready = 0;
    let mut others = String::new();
    let mut nodes: Vec<&ServiceStatus> = status.children.iter().rev().collect();
    while let Some(node) = nodes.pop() {
        if !node.children.is_empty() {
            nodes.extend(node.children.iter().rev());
            continue;
        }
        all += 1;
        match node.state {
            ServiceState::Ready | ServiceState::Ended => ready += 1,
            state => others += &format!("; {} is {state}", node.name),
        }
    }
    format!("{ready} of {all} services ready{others}")
}

/// Says that all is well, as often as it is asked for and while it is so;
/// never ends.
async fn watch_over(manager: &Option<Notify>, status: &Status) {
    let Some(heartbeat) = manager.as_ref().and_then(Notify::heartbeat) else {
        return pending().await;
    };
    loop {
        if status.snapshot().is_healthy() {
            tell(manager, async |m| m.alive().await).await;
        }
        sleep(heartbeat).await;
    }
}
