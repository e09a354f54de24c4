//! Who is logged in: sessions with what they bring, and what is to happen when
//! they end. Twisted's `mind` and `logout`.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Account, Refused};

/// Open sessions by account, each with a *mind*: whatever reaches its client. It
/// may be a handle to the connection, a channel, or `()`.
///
/// A protocol enters after its [`Portal`](crate::Portal) has let somebody in,
/// keeps the [`Session`] as long as its connection, and drops it with it. Others
/// find an account's minds here: to tell all its clients of new mail, to throw
/// them out when the account is closed. Clones share the list.
///
/// ```
/// use ropewalk_cred::*;
/// use std::sync::mpsc;
///
/// let sessions = Sessions::new(SessionLimits::default());
/// let (mind, heard) = mpsc::channel();
/// let mut session = sessions.enter(Account::new("alice", Kind::Password), mind)?;
/// let (said, bye) = mpsc::channel();
/// session.on_logout(move |account| { let _ = said.send(account.name.clone()); });
///
/// for mind in sessions.minds("alice") {
///     mind.send("you have mail").unwrap();
/// }
/// assert_eq!(heard.recv().unwrap(), "you have mail");
/// drop(session);
/// assert_eq!(bye.recv().unwrap(), "alice");
/// assert_eq!(sessions.len(), 0);
/// # Ok::<(), Refused>(())
/// ```
pub struct Sessions<M> {
    limits: SessionLimits,
    open: Arc<Mutex<Open<M>>>,
}

/// How many sessions there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Of one account. Default 100: mail programs hold a handful each, and
    /// everybody who is `anonymous` counts as one account.
    pub per_account: usize,
    /// In all. Default 100,000; connections have a limit of their own.
    pub total: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            per_account: 100,
            total: 100_000,
        }
    }
}

struct Open<M> {
    next: u64,
    total: usize,
    by_account: HashMap<String, Vec<(u64, Arc<M>)>>,
}

impl<M> Sessions<M> {
    /// Nobody, yet.
    pub fn new(limits: SessionLimits) -> Self {
        let open = Open {
            next: 0,
            total: 0,
            by_account: HashMap::new(),
        };
        Self {
            limits,
            open: Arc::new(Mutex::new(open)),
        }
    }

    /// Somebody has come in. [`Refused::TooMany`] where the account has as many
    /// sessions as it may.
    pub fn enter(&self, account: Account, mind: M) -> Result<Session<M>, Refused> {
        let mind = Arc::new(mind);
        let mut open = lock(&self.open);
        let of_account = open.by_account.get(&account.name).map_or(0, Vec::len);
        if of_account >= self.limits.per_account || open.total >= self.limits.total {
            return Err(Refused::TooMany {
                // Nobody knows when one ends.
                retry_after: Duration::from_secs(60),
            });
        }
        let id = open.next;
        open.next += 1;
        open.total += 1;
        let sessions = open.by_account.entry(account.name.clone()).or_default();
        sessions.push((id, Arc::clone(&mind)));
        Ok(Session {
            id,
            account,
            mind,
            open: Arc::clone(&self.open),
            logout: Vec::new(),
        })
    }

    /// The minds of an account's sessions, the oldest first.
    pub fn minds(&self, account: &str) -> Vec<Arc<M>> {
        let open = lock(&self.open);
        let sessions = open.by_account.get(account).into_iter().flatten();
        sessions.map(|(_, mind)| Arc::clone(mind)).collect()
    }

    /// Accounts that are in, and how many sessions each has, in no order.
    pub fn accounts(&self) -> Vec<(String, usize)> {
        let open = lock(&self.open);
        let counts = open
            .by_account
            .iter()
            .map(|(name, it)| (name.clone(), it.len()));
        counts.collect()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        lock(&self.open).total
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<M> Clone for Sessions<M> {
    fn clone(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            open: Arc::clone(&self.open),
        }
    }
}

impl<M> Default for Sessions<M> {
    fn default() -> Self {
        Self::new(SessionLimits::default())
    }
}

impl<M> fmt::Debug for Sessions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("open", &self.len())
            .finish_non_exhaustive()
    }
}

/// Somebody who is in. It ends when it is dropped, however that comes: then it
/// leaves the list, and what was asked for by [`on_logout`](Self::on_logout) is
/// done, the last first.
pub struct Session<M> {
    id: u64,
    account: Account,
    mind: Arc<M>,
    open: Arc<Mutex<Open<M>>>,
    logout: Vec<Logout>,
}

type Logout = Box<dyn FnOnce(&Account) + Send>;

impl<M> Session<M> {
    /// Who it is.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// What it came with.
    pub fn mind(&self) -> &Arc<M> {
        &self.mind
    }

    /// Does this when the session ends: once, on the thread that drops it, so it
    /// must not block. Twisted's `logout`.
    pub fn on_logout(&mut self, then: impl FnOnce(&Account) + Send + 'static) {
        self.logout.push(Box::new(then));
    }
}

impl<M> Drop for Session<M> {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        if let Some(sessions) = open.by_account.get_mut(&self.account.name) {
            sessions.retain(|(id, _)| *id != self.id);
            if sessions.is_empty() {
                open.by_account.remove(&self.account.name);
            }
            open.total -= 1;
        }
        // Hooks may enter, or look who is in.
        drop(open);
        while let Some(then) = self.logout.pop() {
            then(&self.account);
        }
    }
}

impl<M> fmt::Debug for Session<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

fn lock<M>(open: &Mutex<Open<M>>) -> MutexGuard<'_, Open<M>> {
    // The list is whole after any panic: nothing of others runs under the lock.
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
