//! What a program is made of: services that start in order, are watched over,
//! and stop in reverse order.
//!
//! A [`Service`] is something that runs until it is told to stop: a
//! [`Server`](crate::Server), a [`ClientService`](crate::ClientService), a
//! [`LoopingCall`](crate::schedule::LoopingCall), a loop of your own
//! ([`service_fn`]). [`Services`] is a set of them, and a service itself, so
//! that sets make trees. [`Program`] runs one from `main`: signals, the
//! account to run as, and what systemd wants to know.
//!
//! ```no_run
//! use std::time::Duration;
//! use ropewalk_core::{*, schedule::LoopingCall, service::listen};
//! # #[derive(Default)]
//! # struct Echo;
//! # impl Protocol for Echo {
//! #     type Message = ();
//! #     type Timer = ();
//! #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
//! #         t.write(data);
//! #         Ok(())
//! #     }
//! # }
//!
//! fn main() -> std::process::ExitCode {
//!     let hourly = LoopingCall::new(Duration::from_secs(3600), async |_| Ok(()));
//!     run(Services::new()
//!         .add(hourly)
//!         .add(listen("tcp:1234", each::<Echo>())))
//! }
//! ```
//!
//! The order of a program's life: everything is bound ([`Service::bind`]),
//! privileges are dropped if they are to be, then each service runs once the
//! one before it is ready. At a signal they stop in reverse order, each within
//! its [`Stop`], or all at the same time where the set is
//! [`together`](Services::together).
//!
//! It does not run other programs, and does not go into the background: that
//! is for whoever starts it.

mod life;
mod listen;
mod notify;
mod privileges;
mod program;
mod set;
mod status;
mod supervise;

use std::{future::Future, sync::Arc};

pub use life::{Life, Stop};
pub use listen::{Listen, listen};
pub use notify::Notify;
pub use privileges::{Account, PrivilegeError, drop_privileges};
pub use program::Program;
pub use set::Services;
pub use status::{ServiceState, ServiceStatus, Status};
pub use supervise::{Restart, Running, ServiceError, ServiceOptions};

use crate::{BoxFuture, Result};

/// Something that runs until it is told to stop.
///
/// Its methods take `&self`, so that whoever made it may keep an [`Arc`] of it
/// and talk to it while it runs.
///
/// ```
/// use ropewalk_core::{Result, service::{Life, Service}};
///
/// struct Cache;
///
/// impl Service for Cache {
///     fn name(&self) -> String {
///         "cache".into()
///     }
///     async fn run(&self, life: Life) -> Result {
///         // Read the cache from its file; then others may use it.
///         life.ready();
///         life.stopping().await;
///         // Write it back.
///         Ok(())
///     }
/// }
/// ```
pub trait Service: Send + Sync + 'static {
    /// What the log and status pages call it.
    fn name(&self) -> String;

    /// Acquires what is to be had before privileges are dropped: sockets, keys.
    /// Called at most once, before the first [`run`](Self::run), and only by a
    /// [`Program`]: a service that was not bound does in `run` what it must.
    ///
    /// # Errors
    /// An error ends the program before it began.
    fn bind(&self) -> impl Future<Output = Result> + Send {
        async { Ok(()) }
    }

    /// Runs: says when it is ready ([`Life::ready`]), and returns soon after it
    /// is told to stop ([`Life::stopping`]). Called again when it is restarted.
    ///
    /// A future that does not return in time is dropped.
    ///
    /// # Errors
    /// An error is a failure, which its [`Restart`] policy answers.
    fn run(&self, life: Life) -> impl Future<Output = Result> + Send;

    /// Reads its files again, while it runs.
    ///
    /// # Errors
    /// An error is logged; the service goes on as it was.
    fn reload(&self) -> impl Future<Output = Result> + Send {
        async { Ok(()) }
    }

    /// The state of what it consists of, where it is a set of services and
    /// bounds the end of each itself. Default none.
    fn status(&self) -> Option<Status> {
        None
    }

    /// Runs it in a task of its own, with no set around it.
    fn start(self) -> Running
    where
        Self: Sized,
    {
        Running::start(Arc::new(self), ServiceOptions::default())
    }
}

impl<S: Service> Service for Arc<S> {
    fn name(&self) -> String {
        (**self).name()
    }

    fn bind(&self) -> impl Future<Output = Result> + Send {
        (**self).bind()
    }

    fn run(&self, life: Life) -> impl Future<Output = Result> + Send {
        (**self).run(life)
    }

    fn reload(&self) -> impl Future<Output = Result> + Send {
        (**self).reload()
    }

    fn status(&self) -> Option<Status> {
        (**self).status()
    }
}

/// A service of a function that is called for each run.
///
/// ```
/// use ropewalk_core::{Services, service::service_fn};
///
/// let services = Services::new().add(service_fn("greeter", |life| async move {
///     life.ready();
///     life.stopping().await;
///     Ok(())
/// }));
/// ```
pub fn service_fn<F, Fut>(name: impl Into<String>, run: F) -> impl Service
where
    F: Fn(Life) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result> + Send,
{
    struct Function<F>(String, F);

    impl<F, Fut> Service for Function<F>
    where
        F: Fn(Life) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send,
    {
        fn name(&self) -> String {
            self.0.clone()
        }

        fn run(&self, life: Life) -> impl Future<Output = Result> + Send {
            (self.1)(life)
        }
    }

    Function(name.into(), run)
}

/// A service of any kind.
pub(crate) trait AnyService: Send + Sync {
    fn name(&self) -> String;
    fn bind(&self) -> BoxFuture<'_, Result>;
    fn run(&self, life: Life) -> BoxFuture<'_, Result>;
    fn reload(&self) -> BoxFuture<'_, Result>;
    fn status(&self) -> Option<Status>;
}

impl<S: Service> AnyService for S {
    fn name(&self) -> String {
        Service::name(self)
    }

    fn bind(&self) -> BoxFuture<'_, Result> {
        Box::pin(Service::bind(self))
    }

    fn run(&self, life: Life) -> BoxFuture<'_, Result> {
        Box::pin(Service::run(self, life))
    }

    fn reload(&self) -> BoxFuture<'_, Result> {
        Box::pin(Service::reload(self))
    }

    fn status(&self) -> Option<Status> {
        Service::status(self)
    }
}
