//! One connection that stays: a client that connects again when it is lost.
//!
//! It keeps one connection of one protocol. It is no pool, and what was asked
//! of a connection that is lost is not asked again on the next one: only the
//! protocol's author knows what may be repeated.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    BackOff, BoxFuture, Client, ClientEndpoint, Closed, ConnectError, ConnectOptions, Error,
    Protocol, Result,
    service::{Life, Service},
    timers::clock,
};

/// The time that a connection has to say goodbye after it was prepared in
/// vain.
const GOODBYE: Duration = Duration::from_secs(5);

/// Keeps one connection of a protocol: connects, prepares it (a login), and
/// connects again with back-off when it is lost. Cheap to clone; clones are
/// the same connection.
///
/// It is a [`Service`]: it connects while it is run, by
/// [`start`](Service::start) or in [`Services`](crate::Services).
///
/// ```
/// # use ropewalk_core::*;
/// # #[derive(Default)]
/// # struct Lines { waiting: Option<Reply<String>> }
/// # enum Ask { Line(&'static str, Reply<String>) }
/// # impl Protocol for Lines {
/// #     type Message = Ask;
/// #     type Timer = ();
/// #     fn message(&mut self, t: &mut Transport<Self>, ask: Ask) -> Result {
/// #         let Ask::Line(line, reply) = ask;
/// #         self.waiting = Some(reply);
/// #         t.write(format_args!("{line}\r\n"));
/// #         Ok(())
/// #     }
/// #     fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
/// #         for line in data.lines(100) {
/// #             let line = line?.to_string();
/// #             if let Some(reply) = self.waiting.take() { reply.send(line); }
/// #         }
/// #         Ok(())
/// #     }
/// # }
/// # #[derive(Default)]
/// # struct Echo;
/// # impl Protocol for Echo {
/// #     type Message = ();
/// #     type Timer = ();
/// #     fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
/// #         t.write(data);
/// #         Ok(())
/// #     }
/// # }
/// # testing::run(async {
/// # let server: ServerEndpoint = "mem:client-service-doc".parse()?;
/// # let server = server.listen(each::<Echo>()).await?;
/// // Elsewhere it would be `tls:db.example.org:5432`.
/// let endpoint = "mem:client-service-doc".parse()?;
/// let database = ClientService::new(endpoint, Lines::default)
///     .prepare(|client| async move {
///         client.ask(|reply| Ask::Line("LOGIN alice", reply)).await?;
///         Ok(())
///     });
/// let running = database.clone().start();
///
/// let client = database.connected().await?;
/// let answer = client.ask(|reply| Ask::Line("PING", reply)).await?;
/// assert_eq!(answer, "PING");
///
/// running.stop().await?;
/// # server.drain(Default::default(), Default::default()).await;
/// # Ok::<(), Error>(())
/// # }).unwrap();
/// ```
pub struct ClientService<P: Protocol> {
    name: Arc<str>,
    endpoint: Arc<ClientEndpoint>,
    make: Arc<dyn Fn() -> P + Send + Sync>,
    prepare: Option<Arc<Prepare<P>>>,
    options: Arc<ClientServiceOptions>,
    shared: Arc<Shared<P>>,
}

type Prepare<P> = dyn Fn(Client<P>) -> BoxFuture<'static, Result> + Send + Sync;

/// How a [`ClientService`] connects, and what it allows.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientServiceOptions {
    /// How each connection is made. Default [`ConnectOptions::default`].
    pub connect: ConnectOptions,
    /// The waits between attempts. Default [`BackOff::default`]: from one
    /// second to one minute, for ever.
    pub back_off: BackOff,
    /// Time for an attempt, from the first packet to the end of the prepare
    /// step. Default 30 s, as long as a connect alone has by default.
    pub attempt: Duration,
    /// Callers of [`connected`](ClientService::connected) that wait at a time;
    /// further ones fail at once. Default 1024: when the other side is down,
    /// what waits for it should not grow for ever.
    pub waiting: usize,
    /// Whether the service is ready only once it has connected; then services
    /// behind it in a set wait for that. Default false: it is there to outlast
    /// what it connects to.
    pub ready_when_connected: bool,
}

impl Default for ClientServiceOptions {
    fn default() -> Self {
        Self {
            connect: ConnectOptions::default(),
            back_off: BackOff::default(),
            attempt: Duration::from_secs(30),
            waiting: 1024,
            ready_when_connected: false,
        }
    }
}

/// What a [`ClientService`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientState {
    /// It was not started yet.
    Idle,
    /// It connects, or prepares the connection.
    Connecting,
    /// The connection stands, and is prepared.
    Connected {
        /// Since when.
        since: Instant,
    },
    /// The last attempt failed, or the connection was lost.
    Waiting {
        /// When the next attempt is made.
        until: Instant,
    },
    /// It was stopped, or gave up.
    Stopped,
}

/// What a [`ClientService`] is doing, and how it went.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientStatus {
    /// What it is doing.
    pub state: ClientState,
    /// Attempts that failed since the last one that did not.
    pub failures: u32,
    /// Why the last attempt failed, or the last connection was lost.
    pub last_error: Option<Arc<AttemptError>>,
}

/// Why there is no connection for now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttemptError {
    /// It could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The prepare step failed.
    #[error("cannot prepare the connection to {endpoint}: {source}")]
    Prepare {
        /// Where to.
        endpoint: String,
        /// What the step said.
        source: Error,
    },
    /// It was not made and prepared in time.
    #[error("the connection to {endpoint} was not made and prepared within {after:?}")]
    TimedOut {
        /// Where to.
        endpoint: String,
        /// The time there was.
        after: Duration,
    },
    /// It was made, and ended.
    #[error("the connection to {endpoint} ended: {why}")]
    Lost {
        /// Where to.
        endpoint: String,
        /// How.
        why: Closed,
    },
}

impl AttemptError {
    /// Whether another attempt can only fail in the same way.
    fn is_final(&self) -> bool {
        match self {
            Self::Connect(error) => matches!(
                error,
                ConnectError::Endpoint(_) | ConnectError::Unsupported { .. }
            ),
            Self::Prepare { source, .. } => source.is::<GiveUp>(),
            _ => false,
        }
    }
}

/// Wrapped around the error of a prepare step, it says that no other attempt
/// is to be made: a password that is wrong will be wrong in a minute, and
/// trying it again may lock the account.
///
/// ```
/// # use ropewalk_core::{Error, GiveUp, Result};
/// # fn check(accepted: bool) -> Result {
/// if !accepted {
///     return Err(GiveUp::new("the password was refused").into());
/// }
/// # Ok(())
/// # }
/// # assert_eq!(check(false).unwrap_err().to_string(), "the password was refused");
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct GiveUp(Error);

impl GiveUp {
    /// For this reason.
    pub fn new(reason: impl Into<Error>) -> Self {
        Self(reason.into())
    }
}

/// Why a caller of [`ClientService::connected`] gets no client.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotConnected {
    /// The service was stopped.
    #[error("the client service was stopped")]
    Stopped,
    /// The service made as many attempts as it may, or one that can only fail
    /// again.
    #[error("gave up: {0}")]
    GaveUp(Arc<AttemptError>),
    /// As many attempts failed as the caller was ready to wait for.
    #[error("{attempts} attempts failed: {last}")]
    Failing {
        /// How many.
        attempts: u32,
        /// The last one.
        last: Arc<AttemptError>,
    },
    /// As many callers wait as may ([`ClientServiceOptions::waiting`]).
    #[error("{0} callers wait for the connection already, and that is the limit")]
    TooManyWaiting(usize),
}

/// What the service and its callers share.
struct Shared<P: Protocol> {
    now: watch::Sender<Now<P>>,
    waiting: AtomicUsize,
}

struct Now<P: Protocol> {
    status: ClientStatus,
    client: Option<Client<P>>,
    /// Attempts that failed since the service was made.
    failed: u64,
    gave_up: bool,
}

impl<P: Protocol> ClientService<P> {
    /// A connection to `endpoint`, with a fresh protocol by `make` each time.
    pub fn new(endpoint: ClientEndpoint, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        let now = Now {
            status: ClientStatus {
                state: ClientState::Idle,
                failures: 0,
                last_error: None,
            },
            client: None,
            failed: 0,
            gave_up: false,
        };
        Self {
            name: endpoint.to_string().into(),
            endpoint: Arc::new(endpoint),
            make: Arc::new(make),
            prepare: None,
            options: Arc::default(),
            shared: Arc::new(Shared {
                now: watch::Sender::new(now),
                waiting: AtomicUsize::new(0),
            }),
        }
    }

    /// With a name for the log and status pages, in the place of its endpoint.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// With other options.
    #[must_use]
    pub fn options(mut self, options: ClientServiceOptions) -> Self {
        self.options = Arc::new(options);
        self
    }

    /// With a step that each connection passes before anybody gets it. An
    /// error of it ends that connection; another is made, unless the error is
    /// a [`GiveUp`].
    #[must_use]
    pub fn prepare<F, Fut>(mut self, prepare: F) -> Self
    where
        F: Fn(Client<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result> + Send + 'static,
    {
        self.prepare = Some(Arc::new(move |client| Box::pin(prepare(client))));
        self
    }

    /// The connection, once it stands and is prepared; waits for as long as
    /// that takes, also for the service to be started.
    ///
    /// It is the connection of this moment. When it is lost, its questions
    /// fail, and whoever wants to go on calls this again. Dropping the future
    /// gives up waiting, and nothing else.
    ///
    /// # Errors
    /// [`NotConnected`], if the service is stopped or gives up, or too many
    /// wait.
    pub async fn connected(&self) -> Result<Client<P>, NotConnected> {
        self.connected_within(u32::MAX).await
    }

    /// As [`connected`](Self::connected), for as long as fewer than so many
    /// attempts fail from now on (Twisted's `failAfterFailures`).
    ///
    /// # Errors
    /// [`NotConnected`].
    pub async fn connected_within(&self, attempts: u32) -> Result<Client<P>, NotConnected> {
        if let Some(client) = self.client() {
            return Ok(client);
        }
        let limit = self.options.waiting;
        let _waiting = Waiting::one_more(&self.shared.waiting, limit)
            .ok_or(NotConnected::TooManyWaiting(limit))?;
        let mut now = self.shared.now.subscribe();
        let enough = match attempts {
            u32::MAX => u64::MAX,
            attempts => now.borrow().failed + u64::from(attempts),
        };
        loop {
            {
                let now = now.borrow_and_update();
                if let Some(client) = now.live_client() {
                    return Ok(client);
                }
                let last = now.status.last_error.clone();
                match last {
                    Some(last) if now.gave_up => return Err(NotConnected::GaveUp(last)),
                    Some(last) if now.failed >= enough => {
                        return Err(NotConnected::Failing { attempts, last });
                    }
                    _ if now.status.state == ClientState::Stopped => {
                        return Err(NotConnected::Stopped);
                    }
                    _ => {}
                }
            }
            // The sender is in `self`.
            let _ = now.changed().await;
        }
    }

    /// The connection, if it stands at this moment.
    pub fn client(&self) -> Option<Client<P>> {
        self.shared.now.borrow().live_client()
    }

    /// What the service is doing.
    pub fn state(&self) -> ClientStatus {
        self.shared.now.borrow().status.clone()
    }

    /// Waits until `enough` is true of what the service is doing.
    pub async fn until(&self, enough: impl Fn(&ClientStatus) -> bool) -> ClientStatus {
        let mut now = self.shared.now.subscribe();
        loop {
            {
                let now = now.borrow_and_update();
                if enough(&now.status) {
                    return now.status.clone();
                }
            }
            let _ = now.changed().await;
        }
    }

    /// One attempt: a connection that is prepared.
    async fn attempt(&self) -> Result<Client<P>, AttemptError> {
        let connection = self.endpoint.connect_with(&self.options.connect).await?;
        let client = Client::start(connection, (self.make)());
        let Some(prepare) = &self.prepare else {
            return Ok(client);
        };
        let unready = AbortOnDrop(Some(client.clone()));
        let prepared = tokio::select! {
            biased;
            prepared = prepare(client.clone()) => prepared,
            why = client.closed() => return Err(self.lost(why)),
        };
        match prepared {
            Ok(()) => {
                unready.keep();
                Ok(client)
            }
            Err(source) => {
                // `unready` aborts one that does not part in time.
                part(&client, GOODBYE).await;
                let endpoint = self.endpoint.to_string();
                Err(AttemptError::Prepare { endpoint, source })
            }
        }
    }

    fn lost(&self, why: Closed) -> AttemptError {
        AttemptError::Lost {
            endpoint: self.endpoint.to_string(),
            why,
        }
    }

    fn set(&self, state: ClientState) {
        self.shared.now.send_modify(|now| now.status.state = state);
    }
}

impl<P: Protocol> Service for ClientService<P> {
    fn name(&self) -> String {
        self.name.to_string()
    }

    async fn run(&self, life: Life) -> Result {
        let _stopped = StoppedOnDrop(&self.shared);
        self.shared.now.send_modify(|now| now.gave_up = false);
        if !self.options.ready_when_connected {
            life.ready();
        }
        let mut retry = self.options.back_off.start();
        loop {
            self.set(ClientState::Connecting);
            let attempt = timeout(self.options.attempt, self.attempt());
            let Some(attempt) = life.unless_stopping(attempt).await else {
                return Ok(());
            };
            let attempt = attempt.unwrap_or_else(|_| {
                Err(AttemptError::TimedOut {
                    endpoint: self.endpoint.to_string(),
                    after: self.options.attempt,
                })
            });
            let (error, lasted) = match attempt {
                Err(error) => {
                    self.shared.now.send_modify(|now| {
                        now.failed += 1;
                        now.status.failures = now.status.failures.saturating_add(1);
                    });
                    (error, Duration::ZERO)
                }
                Ok(client) => {
                    let since = clock();
                    self.shared.now.send_modify(|now| {
                        now.status.state = ClientState::Connected { since };
                        now.status.failures = 0;
                        now.client = Some(client.clone());
                    });
                    life.ready();
                    tracing::info!(service = %self.name, "connected");
                    let why = tokio::select! {
                        biased;
                        stop = life.stopping() => {
                            self.set(ClientState::Stopped);
                            part(&client, stop.total()).await;
                            return Ok(());
                        }
                        why = client.closed() => why,
                    };
                    (self.lost(why), clock() - since)
                }
            };
            let error = Arc::new(error);
            let wait = match error.is_final() {
                true => None,
                false => retry.after(lasted),
            };
            self.shared.now.send_modify(|now| {
                now.client = None;
                now.status.last_error = Some(error.clone());
                match wait {
                    Some(wait) => {
                        let until = clock() + wait;
                        now.status.state = ClientState::Waiting { until };
                    }
                    None => {
                        now.status.state = ClientState::Stopped;
                        now.gave_up = true;
                    }
                }
            });
            let Some(wait) = wait else {
                return Err(NotConnected::GaveUp(error).into());
            };
            tracing::info!(service = %self.name, %error, ?wait, "not connected; trying again");
            if life.unless_stopping(sleep(wait)).await.is_none() {
                return Ok(());
            }
        }
    }
}

impl<P: Protocol> Clone for ClientService<P> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            endpoint: self.endpoint.clone(),
            make: self.make.clone(),
            prepare: self.prepare.clone(),
            options: self.options.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<P: Protocol> fmt::Debug for ClientService<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientService")
            .field("name", &self.name)
            .field("state", &self.state().state)
            .finish_non_exhaustive()
    }
}

impl<P: Protocol> Now<P> {
    /// The client, unless its end is merely not noticed yet: who lost it and
    /// asks for another must not get the same one.
    fn live_client(&self) -> Option<Client<P>> {
        let is_connected = matches!(self.status.state, ClientState::Connected { .. });
        let client = self.client.as_ref().filter(|_| is_connected)?;
        (!client.is_closed()).then(|| client.clone())
    }
}

/// Asks a connection to say goodbye, and aborts it if that takes too long.
async fn part<P: Protocol>(client: &Client<P>, within: Duration) {
    client.close();
    if timeout(within, client.closed()).await.is_err() {
        client.abort();
        client.closed().await;
    }
}

/// One caller that waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn one_more(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        waiting
            .fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1))
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A connection that nobody has been given yet.
struct AbortOnDrop<P: Protocol>(Option<Client<P>>);

impl<P: Protocol> AbortOnDrop<P> {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl<P: Protocol> Drop for AbortOnDrop<P> {
    fn drop(&mut self) {
        if let Some(client) = &self.0 {
            client.abort();
        }
    }
}

/// Whoever waits is told that the run is over, however that came; a connection
/// that is left is cut.
struct StoppedOnDrop<'a, P: Protocol>(&'a Shared<P>);

impl<P: Protocol> Drop for StoppedOnDrop<'_, P> {
    fn drop(&mut self) {
        self.0.now.send_modify(|now| {
            now.status.state = ClientState::Stopped;
            if let Some(client) = now.client.take() {
                client.abort();
            }
        });
    }
}
