//! Accounts: who may log in, and how one comes to have one.
//!
//! [`Accounts`] judges by `ropewalk_cred`'s portal, over what is
//! [registered](super::registered) and, where there is one, an operator's users
//! file. What is hashed is hashed on blocking threads, a bounded number at a
//! time; what is answered does not say whether a name is known, but to who
//! registers, and these are counted by their address.
//!
//! It knows nothing of clients and their lines; `AUTHENTICATE`, `REGISTER` and
//! `NickServ` do.

mod checker;
mod courier;
mod options;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt, io,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ropewalk_cred::{
    Backoff, BackoffOptions, BoxFuture, Credentials, Fingerprint, HashPool, NewHash, OnlyOneself,
    Portal, Realm, Refused, Secret,
    sasl::{ScramHash, ScramKeys},
};
use tokio::time::Instant;

pub use courier::{Courier, CourierError, Letter};
pub use options::{AccountOptions, NickReservation};

use self::checker::Stored;
use super::registered::{Account, Store};
use crate::proto::casemap::{CaseMapping, Folded};

/// Who may log in, and how one comes to have an account.
pub struct Accounts {
    store: Arc<Store>,
    options: AccountOptions,
    portal: Portal,
    pool: HashPool,
    /// Registrations by address.
    attempts: Backoff,
    reserved: Option<Arc<ropewalk_cred::UsersFile>>,
    courier: Option<Arc<dyn Courier>>,
    pending: Mutex<BTreeMap<Folded, Pending>>,
}

/// An account whose owner has yet to show that its mail address is theirs.
struct Pending {
    account: Account,
    code: Secret,
    until: Instant,
    tries: u32,
}

/// How a registration went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is such an account now, and it is on the disk.
    Registered(String),
    /// A code is on its way to the mail address that was given.
    VerificationRequired(String),
}

/// Why an account was not registered, changed, or verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// This network has no registration. The operator's choice.
    #[error("Account registration is disabled")]
    Closed,
    /// There is an account of that name, or it is kept for somebody.
    #[error("An account with that name already exists")]
    Exists,
    /// No account can have that name.
    #[error("That is not a name for an account")]
    BadName,
    /// The password is too short, or is the account's name.
    #[error("A password has at least {0} characters, and is not the account's name")]
    WeakPassword(usize),
    /// The password is too long.
    #[error("A password has at most {LONGEST_PASSWORD} bytes")]
    LongPassword,
    /// A mail address is needed, or the one given is none.
    #[error("A valid mail address is required")]
    BadEmail,
    /// The mail address cannot be written to.
    #[error("That mail address cannot be written to")]
    Undeliverable(#[source] CourierError),
    /// Too many registrations from one address, or in all.
    #[error("Too many registrations; try again later")]
    TooMany,
    /// The code is wrong, or too old, or there is nothing to verify.
    #[error("That code is not valid")]
    BadCode,
    /// What is registered cannot be written: the operator's to mend.
    #[error("Accounts cannot be kept at present; try again later")]
    Unavailable(#[source] io::Error),
    /// There is no such account, or the certificate is another's.
    #[error("That cannot be done to this account")]
    NotPossible,
}

impl AccountError {
    /// Its code in `FAIL REGISTER` and `FAIL VERIFY`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Exists => "ACCOUNT_EXISTS",
            Self::BadName | Self::NotPossible => "BAD_ACCOUNT_NAME",
            Self::WeakPassword(_) => "WEAK_PASSWORD",
            Self::LongPassword => "UNACCEPTABLE_PASSWORD",
            Self::BadEmail => "INVALID_EMAIL",
            Self::Undeliverable(_) => "UNACCEPTABLE_EMAIL",
            Self::BadCode => "INVALID_CODE",
            Self::Closed | Self::TooMany | Self::Unavailable(_) => "TEMPORARILY_UNAVAILABLE",
        }
    }
}

/// The longest password that is taken, in bytes, since it must fit into a line
/// to `NickServ` (the specification of `REGISTER` says as much).
pub const LONGEST_PASSWORD: usize = 300;

/// Codes that may be tried before a new registration is needed.
const TRIES: u32 = 5;

/// Registrations that may wait for their codes.
const MOST_PENDING: usize = 1000;

/// How long a code is good.
const CODE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

impl Accounts {
    /// Of what is registered.
    pub fn new(store: Arc<Store>, options: AccountOptions) -> Self {
        let pool = HashPool::new(&options.hashing);
        let portal = Self::portal(&store, &pool, &options, None);
        let attempts = Backoff::new({
            let mut limits = BackoffOptions::default();
            // Four times as many are free for an address, which may be shared.
            limits.free = options.registrations / 4;
            limits.first = Duration::from_secs(60);
            limits.peer_cap = Duration::from_secs(60 * 60);
            limits.forget = Duration::from_secs(60 * 60);
            limits.loopback_exempt = options.loopback_exempt;
            limits
        });
        Self {
            store,
            options,
            portal,
            pool,
            attempts,
            reserved: None,
            courier: None,
            pending: Mutex::default(),
        }
    }

    /// The same with an operator's users file, whose names nobody registers and
    /// who decides over them.
    #[must_use]
    pub fn users_file(mut self, users: Arc<ropewalk_cred::UsersFile>) -> Self {
        self.portal = Self::portal(&self.store, &self.pool, &self.options, Some(users.clone()));
        self.reserved = Some(users);
        self
    }

    /// The same with somebody who brings codes to mail addresses, so that accounts
    /// are verified.
    #[must_use]
    pub fn courier(mut self, courier: impl Courier) -> Self {
        self.courier = Some(Arc::new(courier));
        self
    }

    fn portal(
        store: &Arc<Store>,
        pool: &HashPool,
        options: &AccountOptions,
        users: Option<Arc<ropewalk_cred::UsersFile>>,
    ) -> Portal {
        let mapping = store.read(super::registered::Registered::mapping);
        let mut portal = Portal::new().realm(SameAccount(mapping));
        if let Some(users) = users {
            portal = portal.shared_checker(users);
        }
        let mut limits = BackoffOptions::default();
        limits.loopback_exempt = options.loopback_exempt;
        portal.backoff(Backoff::new(limits)).checker(Stored {
            store: store.clone(),
            pool: pool.clone(),
            scram: match options.hash {
                NewHash::ScramSha256 { iterations } => {
                    Some(iterations.clamp(ScramKeys::FEWEST, ScramKeys::MOST))
                }
                _ => None,
            },
        })
    }

    /// What judges those who log in.
    pub fn gate(&self) -> &Portal {
        &self.portal
    }

    /// What is registered.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What was decided of them.
    pub fn options(&self) -> &AccountOptions {
        &self.options
    }

    /// Where passwords are hashed.
    pub(crate) fn pool(&self) -> &HashPool {
        &self.pool
    }

    /// Whether a mail address must be given.
    pub fn needs_email(&self) -> bool {
        self.options.email_required || self.courier.is_some()
    }

    /// The account whose a nick is: that of its name.
    pub fn owner(&self, nick: &str) -> Option<String> {
        self.store
            .read(|it| it.account(nick).map(|account| account.name.clone()))
    }

    /// Registers an account. It is there once this has answered, and on the disk;
    /// where it is given up before, it may be there all the same.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn register(
        &self,
        name: &str,
        email: Option<&str>,
        password: &Secret,
        peer: Option<IpAddr>,
    ) -> Result<Outcome, AccountError> {
        if !self.options.registration {
            return Err(AccountError::Closed);
        }
        let email = match email {
            Some(email) if is_mail_address(email) => Some(email.to_owned()),
            None if !self.needs_email() => None,
            _ => return Err(AccountError::BadEmail),
        };
        self.check_password(name, password)?;
        // Asking whether a name is taken counts as much as taking it.
        match self.attempts.wait(None, peer) {
            Ok(wait) if wait.is_zero() => self.attempts.failed(None, peer),
            Ok(_) | Err(_) => return Err(AccountError::TooMany),
        }
        if ropewalk_cred::prepare_name(name).as_deref() != Some(name) {
            return Err(AccountError::BadName);
        }
        let folded = self.fold(name);
        if self.is_taken(name, &folded) {
            return Err(AccountError::Exists);
        }
        if self.store.read(|it| it.accounts().len()) >= self.options.accounts {
            return Err(AccountError::TooMany);
        }
        let hash = self.hash(password).await?;
        let created = seconds();
        let mut account = Account::new(name, hash, created);
        account.email.clone_from(&email);
        if let (Some(courier), Some(email)) = (&self.courier, email) {
            let code = self.put_aside(folded.clone(), account)?;
            let letter = Letter::new(name, email, &code);
            if let Err(error) = courier.bring(letter).await {
                self.pending().remove(&folded);
                return Err(AccountError::Undeliverable(error));
            }
            return Ok(Outcome::VerificationRequired(name.to_owned()));
        }
        self.add(account).await
    }

    /// Completes a registration by the code that came by mail.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn verify(&self, name: &str, code: &str) -> Result<Outcome, AccountError> {
        let folded = self.fold(name);
        let account = {
            let mut pending = self.pending();
            let now = Instant::now();
            let Some(waiting) = pending.get_mut(&folded).filter(|it| it.until > now) else {
                return Err(AccountError::BadCode);
            };
            waiting.tries += 1;
            let fits = waiting.code == Secret::from(code);
            if !fits && waiting.tries < TRIES {
                return Err(AccountError::BadCode);
            }
            let waiting = pending.remove(&folded);
            waiting
                .filter(|_| fits)
                .ok_or(AccountError::BadCode)?
                .account
        };
        self.add(account).await
    }

    async fn add(&self, account: Account) -> Result<Outcome, AccountError> {
        let name = account.name.clone();
        if !self.store.change(|it| it.add_account(account)) {
            return Err(AccountError::Exists);
        }
        if let Err(error) = self.store.saved().await {
            self.store.change(|it| it.remove_account(&name));
            return Err(AccountError::Unavailable(error));
        }
        Ok(Outcome::Registered(name))
    }

    /// Gives an account another password.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_password(&self, name: &str, password: &Secret) -> Result<(), AccountError> {
        self.check_password(name, password)?;
        let hash = self.hash(password).await?;
        self.change(name, |account| account.hash = hash).await
    }

    /// Lets a certificate log an account in.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn add_certificate(
        &self,
        name: &str,
        fingerprint: Fingerprint,
    ) -> Result<(), AccountError> {
        let text = fingerprint.to_string();
        let most = self.options.certificates;
        let fits = self.change(name, |account| {
            if account.certificates.contains(&text) {
                return true;
            }
            let fits = account.certificates.len() < most;
            if fits {
                account.certificates.push(text);
            }
            fits
        });
        if fits.await? {
            Ok(())
        } else {
            Err(AccountError::NotPossible)
        }
    }

    /// Changes an account, but for its name, and waits until that is on the disk.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change<T>(
        &self,
        name: &str,
        change: impl FnOnce(&mut Account) -> T,
    ) -> Result<T, AccountError> {
        let changed = self.store.change(|it| it.change_account(name, change));
        let changed = changed.ok_or(AccountError::NotPossible)?;
        self.store
            .saved()
            .await
            .map_err(AccountError::Unavailable)?;
        Ok(changed)
    }

    /// Removes an account, and the channels that it founded, whose names it
    /// returns.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn remove(&self, name: &str) -> Result<Vec<String>, AccountError> {
        let founded = self.store.change(|it| it.remove_account(name));
        let founded = founded.ok_or(AccountError::NotPossible)?;
        self.store
            .saved()
            .await
            .map_err(AccountError::Unavailable)?;
        Ok(founded)
    }

    /// Whether a name and a password fit, in the portal's time and by its count.
    ///
    /// # Errors
    /// [`Refused`].
    pub async fn log_in(
        &self,
        name: &str,
        password: &Secret,
        peer: Option<IpAddr>,
    ) -> Result<String, Refused> {
        let shown = Credentials::password(name, password.clone());
        let account = self.portal.login(&shown, peer).await?;
        Ok(account.name)
    }

    fn check_password(&self, name: &str, password: &Secret) -> Result<(), AccountError> {
        let least = self.options.shortest_password;
        if password.len() > LONGEST_PASSWORD {
            return Err(AccountError::LongPassword);
        }
        let text = String::from_utf8_lossy(password.expose());
        if text.chars().count() < least.max(1) || self.fold(&text) == self.fold(name) {
            return Err(AccountError::WeakPassword(least));
        }
        Ok(())
    }

    async fn hash(&self, password: &Secret) -> Result<String, AccountError> {
        let (password, how) = (password.clone(), self.options.hash);
        let hashed = self.pool.run(move || match how {
            NewHash::Argon2id(cost) => cost.hash(password.expose()).map_err(io::Error::other),
            NewHash::ScramSha256 { iterations } => {
                let iterations = iterations.clamp(ScramKeys::FEWEST, ScramKeys::MOST);
                let keys = ScramKeys::generate(ScramHash::Sha256, password.expose(), iterations);
                Ok(format!("{{SCRAM-SHA-256}}{}", keys.to_text()))
            }
            // Whatever cred has learnt since.
            _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
        });
        match hashed.await {
            Ok(hash) => hash.map_err(AccountError::Unavailable),
            Err(Refused::TooMany { .. }) => Err(AccountError::TooMany),
            Err(error) => Err(AccountError::Unavailable(io::Error::other(error))),
        }
    }

    /// Whether there is an account of a name, registered or an operator's.
    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.is_taken(name, &self.fold(name))
    }

    fn is_taken(&self, name: &str, folded: &Folded) -> bool {
        let now = Instant::now();
        self.store.read(|it| it.account(name).is_some())
            || self.reserved.as_ref().is_some_and(|users| {
                let mapping = self.mapping();
                users.any(|known| mapping.eq(known, name))
            })
            || self.pending().get(folded).is_some_and(|it| it.until > now)
    }

    /// Keeps a registration until its code comes, and makes the code.
    fn put_aside(&self, folded: Folded, account: Account) -> Result<String, AccountError> {
        let mut bytes = [0; 10];
        ropewalk_core::fill_random(&mut bytes);
        let code: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let now = Instant::now();
        let mut pending = self.pending();
        pending.retain(|_, it| it.until > now);
        if pending.contains_key(&folded) {
            return Err(AccountError::Exists);
        }
        if pending.len() >= MOST_PENDING {
            return Err(AccountError::TooMany);
        }
        let waiting = Pending {
            account,
            code: code.as_str().into(),
            until: now + CODE_LIFE,
            tries: 0,
        };
        pending.insert(folded, waiting);
        Ok(code)
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<Folded, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mapping(&self) -> CaseMapping {
        self.store.read(super::registered::Registered::mapping)
    }

    fn fold(&self, name: &str) -> Folded {
        self.mapping().fold(name)
    }
}

/// Accounts are not named.
impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// One may act as oneself, in whatever case one writes the name.
struct SameAccount(CaseMapping);

impl Realm for SameAccount {
    fn admit<'a>(
        &'a self,
        who: ropewalk_cred::Account,
        act_as: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ropewalk_cred::Account, Refused>> {
        let act_as = act_as.filter(|name| !self.0.eq(name, &who.name));
        OnlyOneself.admit(who, act_as)
    }
}

/// Not whether it can be written to, which only a letter shows.
fn is_mail_address(text: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',');
    text.len() <= 254
        && text.chars().all(fits)
        && text
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

pub(super) fn seconds() -> u64 {
    crate::proto::timestamp::Timestamp::from(ropewalk_core::wall_clock()).seconds()
}
