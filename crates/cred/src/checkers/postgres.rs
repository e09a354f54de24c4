//! A checker whose users are in a PostgreSQL database.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_postgres::{
    Client, Config, NoTls, Statement, config::Host, error::SqlState, types::ToSql,
};

use crate::{
    Account, Argon2Cost, BoxFuture, Checker, Credentials, HashPool, Kind, PasswordHash, Random,
    Refused, Secret,
    checker::nobodys_keys,
    sasl::{ScramHash, ScramKeys, ScramRecord, Takes},
};

/// How [`PostgresUsers`] asks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// The query. It has one parameter, the name (prepared, as text), and gives
    /// at most one row: the hash, as a users file has it
    /// ([`PasswordHash`] lists the schemes), or NULL for an account without a
    /// password; and, if there is a second column, the account's name, where that
    /// is not the one asked for. Default
    /// `SELECT password FROM users WHERE name = $1`.
    ///
    /// A hash behind a `!` is locked, as in a users file. Who wants names in any
    /// case writes `lower(name) = lower($1)`, and gives the account's name back.
    pub query: String,
    /// How long a connection may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long an answer may take; a connection that is slower is given up.
    /// Default 5 s.
    pub query_timeout: Duration,
    /// After a connection failed, refuse for this long without trying again, so
    /// that a flood of logins does not become one of connections. Default 1 s.
    pub retry_after: Duration,
    /// Read passwords in the clear, `{PLAIN}secret`. Default false.
    pub allow_plaintext_passwords: bool,
    /// Connect to another machine than this one, in the clear: whoever is on the
    /// way reads all hashes. Default false, which leaves Unix sockets and
    /// loopback addresses.
    pub allow_remote_without_tls: bool,
    /// The hash functions of which **every** user has SCRAM keys (or a password
    /// in the clear): SCRAM is then offered. Default none.
    pub scram: Vec<ScramHash>,
    /// What checking a name costs that is not there: a hash like those of the
    /// table. Default argon2id at its default cost.
    pub stand_in: Option<PasswordHash>,
    /// Where hashes are computed. Default a pool of its own; share one.
    pub pool: HashPool,
    /// What the salts of users who do not exist are made of, as
    /// [`UsersOptions::scram_seed`](crate::UsersOptions::scram_seed) says.
    pub scram_seed: Option<Secret>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            query: "SELECT password FROM users WHERE name = $1".to_owned(),
            connect_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(5),
            retry_after: Duration::from_secs(1),
            allow_plaintext_passwords: false,
            allow_remote_without_tls: false,
            scram: Vec::new(),
            stand_in: None,
            pool: HashPool::default(),
            scram_seed: None,
        }
    }
}

/// Users in a PostgreSQL table, whatever its shape: the query is yours.
///
/// One connection is kept, over which logins are pipelined; it is made when
/// somebody first logs in, and again when it was lost. While there is none, logins
/// are refused with [`Refused::Unavailable`], and the server goes on.
///
/// A name that is not there costs a query and a hash like any other. No TLS is
/// spoken: the database is on this machine, or behind a tunnel.
///
/// ```no_run
/// use ropewalk_cred::*;
/// let mut options = PostgresOptions::default();
/// options.query = "SELECT hash FROM mailboxes WHERE address = $1 AND active".to_owned();
/// let users = PostgresUsers::new("host=/run/postgresql user=mail dbname=mail", options)?;
/// let portal = Portal::new().checker(users);
/// # Ok::<(), PostgresError>(())
/// ```
pub struct PostgresUsers {
    config: Config,
    options: PostgresOptions,
    stand_in: Arc<PasswordHash>,
    seed: Secret,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// When a connection last failed.
    failed: Option<Instant>,
}

/// A connection, and the task that drives it, which ends with it.
struct Link {
    client: Client,
    statement: Statement,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A row.
struct Found {
    hash: Option<PasswordHash>,
    locked: bool,
    account: String,
}

impl PostgresUsers {
    /// Users by a connection string of libpq's form, `host=/run/postgresql
    /// user=mail dbname=mail`, or an address, `postgres://mail@127.0.0.1/mail`.
    /// It connects when somebody logs in; [`connect`](Self::connect) says at once
    /// whether it can.
    pub fn new(connection: &str, options: PostgresOptions) -> Result<Self, PostgresError> {
        let config: Config = connection.parse().map_err(PostgresError::Connection)?;
        if !options.allow_remote_without_tls && !is_local(&config) {
            return Err(PostgresError::Remote);
        }
        let stand_in = match &options.stand_in {
            Some(hash) => hash.clone(),
            None => Argon2Cost::default()
                .hash(&Random::system().bytes::<16>())
                .ok()
                .and_then(|text| PasswordHash::parse(&text).ok())
                .expect("the default cost is within bounds"),
        };
        let seed = options
            .scram_seed
            .clone()
            .unwrap_or_else(|| Random::system().bytes::<32>().as_slice().into());
        Ok(Self {
            config,
            options,
            stand_in: Arc::new(stand_in),
            seed,
            state: Mutex::default(),
        })
    }

    /// Connects and prepares the query, for a server that wants to know at its
    /// start.
    pub async fn connect(&self) -> Result<(), PostgresError> {
        self.link().await.map(|_| ())
    }

    /// The connection there is, or a new one. Others wait meanwhile, and take it.
    async fn link(&self) -> Result<Arc<Link>, PostgresError> {
        let mut state = self.state.lock().await;
        if let Some(link) = state.link.as_ref().filter(|it| !it.client.is_closed()) {
            return Ok(Arc::clone(link));
        }
        state.link = None;
        if state
            .failed
            .is_some_and(|at| at.elapsed() < self.options.retry_after)
        {
            return Err(PostgresError::Lately);
        }
        // If whoever connects goes away, the next one begins anew.
        let made = timeout(self.options.connect_timeout, self.open()).await;
        match made.unwrap_or(Err(PostgresError::TimedOut)) {
            Ok(link) => {
                let link = Arc::new(link);
                state.failed = None;
                state.link = Some(Arc::clone(&link));
                Ok(link)
            }
            Err(error) => {
                state.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<Link, PostgresError> {
        let connected = self.config.connect(NoTls).await;
        let (client, connection) = connected.map_err(PostgresError::Database)?;
        // Its end shows in the client.
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        // The driver ends with the link, also if preparing fails.
        let guard = Guard(Some(driver));
        let statement = client.prepare(&self.options.query).await;
        let statement = statement.map_err(PostgresError::Database)?;
        let columns = statement.columns().len();
        if statement.params().len() != 1 || !(1..=2).contains(&columns) {
            return Err(PostgresError::Query);
        }
        Ok(Link {
            client,
            statement,
            driver: guard.into_inner(),
        })
    }

    /// Forgets a connection that failed, unless another has been made already.
    async fn give_up(&self, link: &Arc<Link>) {
        let mut state = self.state.lock().await;
        if state.link.as_ref().is_some_and(|it| Arc::ptr_eq(it, link)) {
            state.link = None;
        }
    }

    async fn find(&self, user: &str) -> Result<Option<Found>, PostgresError> {
        let mut again = true;
        let row = loop {
            let link = self.link().await?;
            let parameters: [&(dyn ToSql + Sync); 1] = [&user];
            let asked = link.client.query_opt(&link.statement, &parameters);
            match timeout(self.options.query_timeout, asked).await {
                Ok(Ok(row)) => break row,
                // The server was restarted, or the table changed: not this login's
                // fault.
                Ok(Err(error)) if is_stale(&error) || link.client.is_closed() => {
                    self.give_up(&link).await;
                    if !std::mem::take(&mut again) {
                        return Err(PostgresError::Database(error));
                    }
                }
                Ok(Err(error)) => return Err(PostgresError::Database(error)),
                Err(_) => {
                    // Others behind it in the pipeline would wait as long.
                    self.give_up(&link).await;
                    return Err(PostgresError::TimedOut);
                }
            }
        };
        let Some(row) = row else {
            return Ok(None);
        };
        let text: Option<&str> = row.try_get(0).map_err(PostgresError::Database)?;
        let account: Option<&str> = match row.len() {
            1 => None,
            _ => row.try_get(1).map_err(PostgresError::Database)?,
        };
        let text = text.unwrap_or("*");
        let (locked, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let hash = match text {
            "" | "*" => None,
            _ if self.options.allow_plaintext_passwords => {
                Some(PasswordHash::parse_with_plaintext(text))
            }
            _ => Some(PasswordHash::parse(text)),
        };
        let hash = hash.transpose().map_err(|error| PostgresError::Row {
            user: user.to_owned(),
            error,
        })?;
        Ok(Some(Found {
            hash,
            locked,
            account: account.unwrap_or(user).to_owned(),
        }))
    }
}

/// Ends a driver that nobody has taken.
struct Guard(Option<JoinHandle<()>>);

impl Guard {
    fn into_inner(mut self) -> JoinHandle<()> {
        self.0.take().expect("it is taken once")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(driver) = &self.0 {
            driver.abort();
        }
    }
}

impl Checker for PostgresUsers {
    fn takes(&self) -> Vec<Takes> {
        let scram = self.options.scram.iter().map(|hash| Takes::Scram(*hash));
        [Takes::Passwords].into_iter().chain(scram).collect()
    }

    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        Box::pin(async move {
            let Credentials::Password(it) = shown else {
                return Err(Refused::NotTaken);
            };
            let found = self.find(&it.user).await.map_err(Refused::unavailable)?;
            let (known, may, hash, account) = match found {
                None => (false, false, None, String::new()),
                Some(it) => {
                    let may = !it.locked && it.hash.is_some();
                    (true, may, it.hash.map(Arc::new), it.account)
                }
            };
            // There is always one to verify.
            let hash = hash.unwrap_or_else(|| Arc::clone(&self.stand_in));
            let password = it.password.clone();
            let pool = &self.options.pool;
            let fits = pool.run(move || hash.verify(password.expose())).await?;
            match (known, may && fits) {
                (_, true) => Ok(Account::new(account, Kind::Password)),
                (true, _) => Err(Refused::Denied),
                (false, _) => Err(Refused::Unknown),
            }
        })
    }

    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        Box::pin(async move {
            if !self.options.scram.contains(&hash) {
                return Err(Refused::NotTaken);
            }
            let found = self.find(user).await.map_err(Refused::unavailable)?;
            // The shape of who has none: as the stand-in's, if that has keys.
            let shape = self.stand_in.scram_keys().filter(|it| it.hash() == hash);
            let seed = self.seed.expose();
            let fake = match shape {
                Some(like) => ScramRecord {
                    keys: ScramKeys::fake(hash, user, seed, like.salt().len(), like.iterations()),
                    account: None,
                },
                None => nobodys_keys(hash, user, seed),
            };
            let Some(found) = found else {
                return Ok(fake);
            };
            let Some(stored) = found.hash else {
                return Ok(fake);
            };
            let keys = match (stored.scram_keys(), stored.plaintext().cloned()) {
                (Some(keys), _) if keys.hash() == hash => keys.clone(),
                (_, Some(password)) => {
                    let (salt, iterations) = (fake.keys.salt().to_vec(), fake.keys.iterations());
                    let derive =
                        move || ScramKeys::derive(hash, password.expose(), &salt, iterations);
                    self.options.pool.run(derive).await?
                }
                _ => return Ok(fake),
            };
            let account = (!found.locked).then(|| Account::new(found.account, Kind::Scram));
            Ok(ScramRecord { keys, account })
        })
    }
}

/// Neither users nor the connection's password.
impl fmt::Debug for PostgresUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresUsers")
            .field("query", &self.options.query)
            .finish_non_exhaustive()
    }
}

/// Whether another connection may do better.
fn is_stale(error: &tokio_postgres::Error) -> bool {
    let stale = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        // The columns of the table are others than when the query was prepared.
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    error.is_closed() || error.code().is_some_and(|code| stale.contains(code))
}

/// Whether none of the hosts is another machine. With none named, libpq takes the
/// local socket, and so do we.
fn is_local(config: &Config) -> bool {
    let hosts = config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost"
                || name
                    .parse()
                    .is_ok_and(|it: std::net::IpAddr| it.is_loopback())
        }
    });
    hosts && config.get_hostaddrs().iter().all(|it| it.is_loopback())
}

/// Why a database did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The connection string is none: the operator's to mend.
    #[error("found no connection string; expected host=/run/postgresql user=NAME dbname=NAME")]
    Connection(#[source] tokio_postgres::Error),
    /// It names another machine, and nothing would hide the hashes on the way.
    #[error(
        "found a database on another machine; expected a Unix socket or a loopback address, unless \
         remote connections without TLS are allowed by name"
    )]
    Remote,
    /// The query has another shape than it should: the operator's to mend.
    #[error(
        "expected a query with one parameter, the name, and one or two columns, hash and account"
    )]
    Query,
    /// A hash in the table is none that is taken: the operator's to mend.
    #[error("the password of {user:?}: {error}")]
    Row {
        /// The user.
        user: String,
        /// What is wrong with it.
        error: crate::HashError,
    },
    /// The database refused, or is not there.
    #[error("the database does not answer")]
    Database(#[source] tokio_postgres::Error),
    /// It took too long.
    #[error("the database did not answer in time")]
    TimedOut,
    /// It was not there a moment ago, and was not asked again.
    #[error("the database did not answer a moment ago")]
    Lately,
}
