//! Passwords that are not accounts': the network's own, operators' and gateways'.
//!
//! A hash takes tens of milliseconds and megabytes on purpose. So a bounded number is computed at a
//! time, on blocking threads, and who guesses waits longer each time, whatever connections they open.

use std::{net::IpAddr, sync::Arc};

use ropewalk_cred::{Backoff, BackoffOptions, HashPool, PasswordHash, Refused};

use super::{accounts::Accounts, commands::authenticate::peer, turn::Turn, work::work};

/// What judges such passwords. Clones are the same.
#[derive(Clone)]
pub(crate) struct Passwords {
    pool: HashPool,
    guesses: Arc<Backoff>,
}

impl Passwords {
    /// Hashing shares its bound with that of accounts, where there are any.
    pub(crate) fn new(accounts: Option<&Accounts>) -> Self {
        Self {
            pool: accounts.map_or_else(HashPool::default, |accounts| accounts.pool().clone()),
            guesses: Arc::new(Backoff::new(BackoffOptions::default())),
        }
    }

    /// Whether a password fits one of these hashes.
    async fn judge(
        &self,
        who: Option<String>,
        peer: Option<IpAddr>,
        hashes: Vec<Arc<PasswordHash>>,
        password: String,
    ) -> Result<bool, Refused> {
        let fits = move || hashes.iter().any(|hash| hash.verify(password.as_bytes()));
        let fits = self.pool.run(fits).await?;
        self.judged(who.as_deref(), peer, fits);
        Ok(fits)
    }

    fn judged(&self, who: Option<&str>, peer: Option<IpAddr>, fits: bool) {
        match (fits, who) {
            (false, _) => self.guesses.failed(who, peer),
            (true, Some(who)) => self.guesses.succeeded(who),
            (true, None) => {}
        }
    }
}

/// Whether a password fits one of these hashes: at once where that costs nothing and nobody has
/// guessed, else beside the network. `who` is whom it is to show, where there are several.
///
/// [`Refused::TooMany`] says that it was not looked at.
pub(crate) fn check(
    turn: &mut Turn<'_>,
    who: Option<&str>,
    hashes: Vec<Arc<PasswordHash>>,
    password: &str,
    then: impl FnOnce(&mut Turn<'_>, Result<bool, Refused>) + Send + 'static,
) {
    let (passwords, peer) = (turn.net.passwords.clone(), peer(turn.me()));
    let wait = match passwords.guesses.wait(who, peer) {
        Ok(wait) => wait,
        Err(error) => return then(turn, Err(error)),
    };
    if wait.is_zero() && hashes.iter().all(|hash| hash.plaintext().is_some()) {
        let fits = hashes.iter().any(|hash| hash.verify(password.as_bytes()));
        passwords.judged(who, peer, fits);
        return then(turn, Ok(fits));
    }
    let (who, password) = (who.map(str::to_owned), password.to_owned());
    turn.defer(work(
        async move {
            tokio::time::sleep(wait).await;
            passwords.judge(who, peer, hashes, password).await
        },
        then,
    ));
}
