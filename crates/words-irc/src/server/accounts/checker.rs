//! What is registered, as one of a portal's checkers.

use std::sync::Arc;

use ropewalk_cred::{
    Account, BoxFuture, Checker, Credentials, HashPool, Kind, PasswordHash, Refused,
    sasl::{ScramHash, ScramKeys, ScramRecord, Takes},
};

use crate::server::registered::Store;

/// Judges by what is registered.
pub(super) struct Stored {
    pub(super) store: Arc<Store>,
    pub(super) pool: HashPool,
    /// The iterations of new accounts' SCRAM keys, if they have such; it is then
    /// offered before there is one.
    pub(super) scram: Option<u32>,
}

impl Stored {
    /// Keys that nobody's password fits, and that look and cost like those of
    /// accounts.
    fn nobodys(&self, user: &str) -> ScramKeys {
        let iterations = self.scram.unwrap_or(ScramHash::ITERATIONS);
        self.store.read(|it| {
            let name = it.mapping().fold(user);
            let seed = it.seed().expose();
            ScramKeys::fake(ScramHash::Sha256, name.as_str(), seed, 16, iterations)
        })
    }

    /// The hash of an account, read.
    fn hash_of(&self, user: &str) -> Option<(String, Option<PasswordHash>)> {
        let (name, hash) = self.store.read(|it| {
            let account = it.account(user)?;
            Some((account.name.clone(), account.hash.clone()))
        })?;
        // What is there was read when it came.
        Some((name, PasswordHash::parse(&hash).ok()))
    }

    /// Somebody's hash to verify in the place of one that there is not: another
    /// account's, or nobody's.
    fn stand_in(&self) -> Option<PasswordHash> {
        let hash = self.store.read(|it| {
            let with_hash = it.accounts().find(|account| account.hash != "*");
            with_hash.map(|account| account.hash.clone())
        })?;
        PasswordHash::parse(&hash).ok()
    }
}

impl Checker for Stored {
    fn takes(&self) -> Vec<Takes> {
        let mut takes = vec![Takes::Passwords, Takes::Certificates];
        if self.scram.is_some() && self.store.read(|it| it.all_have_scram_keys()) {
            takes.push(Takes::Scram(ScramHash::Sha256));
        }
        takes
    }

    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        Box::pin(async move {
            match shown {
                Credentials::Password(shown) => {
                    let (name, hash) = match self.hash_of(&shown.user) {
                        Some((name, hash)) => (Some(name), hash),
                        None => (None, None),
                    };
                    let own = hash.is_some();
                    let hash = hash.or_else(|| self.stand_in());
                    let fake = self.nobodys(&shown.user);
                    let password = shown.password.clone();
                    let verify = move || match hash {
                        Some(hash) => hash.verify(password.expose()),
                        None => fake.fit(password.expose()),
                    };
                    let fits = self.pool.run(verify).await?;
                    match name {
                        Some(name) if own && fits => Ok(Account::new(name, Kind::Password)),
                        Some(_) => Err(Refused::Denied),
                        None => Err(Refused::Unknown),
                    }
                }
                Credentials::Certificate(shown) => {
                    let fingerprint = shown.fingerprint().to_string();
                    self.store.read(|it| {
                        let account = it.account_of_certificate(&fingerprint);
                        let account = account.ok_or(Refused::Unknown)?;
                        Ok(Account::new(account.name.clone(), Kind::Certificate))
                    })
                }
                _ => Err(Refused::NotTaken),
            }
        })
    }

    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        Box::pin(async move {
            if hash != ScramHash::Sha256 {
                return Err(Refused::NotTaken);
            }
            // Made for everybody, so that neither shows by its time.
            let fake = self.nobodys(user);
            let known = self.hash_of(user);
            let keys = known.and_then(|(name, hash)| Some((name, hash?.scram_keys()?.clone())));
            Ok(match keys {
                Some((name, keys)) => ScramRecord {
                    keys,
                    account: Some(Account::new(name, Kind::Scram)),
                },
                None => ScramRecord {
                    keys: fake,
                    account: None,
                },
            })
        })
    }
}
