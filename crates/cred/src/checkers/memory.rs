//! A checker whose users are in the program: tests, labs, a single account
//! from a configuration.

use std::collections::HashMap;

use crate::{
    Account, BoxFuture, CertificateName, Checker, Credentials, Fingerprint, Kind, PublicKey,
    Random, Refused, Secret, prepare_name, prepare_password,
    sasl::{ScramHash, ScramKeys, ScramRecord, Takes},
    secret,
};

/// Users in memory, with passwords, keys, certificates and tokens.
///
/// Passwords are kept in the clear, so that all mechanisms work. For more than
/// a few accounts take a [`UsersFile`](crate::UsersFile).
#[derive(Debug, Default)]
pub struct Memory {
    passwords: HashMap<String, User>,
    keys: Vec<PublicKey>,
    certificates: HashMap<CertificateName, String>,
    fingerprints: HashMap<Fingerprint, String>,
    tokens: Vec<(Secret, String)>,
    seed: Seed,
    random: Random,
}

#[derive(Debug)]
struct User {
    password: Secret,
    scram: [ScramKeys; 2],
}

/// What fake salts are made of.
#[derive(Debug)]
struct Seed(Secret);

impl Default for Seed {
    fn default() -> Self {
        Self(secret::random::<32>().as_slice().into())
    }
}

impl Memory {
    /// Nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nobody, with salts from `random`, which a simulation brings.
    pub fn with_random(random: Random) -> Self {
        Self {
            seed: Seed(random.bytes::<32>().as_slice().into()),
            random,
            ..Self::default()
        }
    }

    /// And this user. A name that is none (see
    /// [`prepare_name`](crate::prepare_name)) is never logged in.
    pub fn user(mut self, name: &str, password: impl Into<Secret>) -> Self {
        let password = prepare_password(password.into().expose());
        let keys = |hash| {
            ScramKeys::generate_with(&self.random, hash, password.expose(), ScramKeys::FEWEST)
        };
        let scram = [ScramHash::Sha1, ScramHash::Sha256].map(keys);
        if let Some(name) = prepare_name(name) {
            self.passwords.insert(name, User { password, scram });
        }
        self
    }

    /// And this public key of a user.
    pub fn public_key(mut self, key: PublicKey) -> Self {
        self.keys.push(key);
        self
    }

    /// And whoever shows a certificate with this name is `user`: the first of a
    /// certificate's names that is known decides, after its fingerprint.
    pub fn certificate(mut self, name: CertificateName, user: impl Into<String>) -> Self {
        self.certificates.insert(name, user.into());
        self
    }

    /// And whoever shows the certificate of this fingerprint is `user`.
    pub fn fingerprint(mut self, fingerprint: Fingerprint, user: impl Into<String>) -> Self {
        self.fingerprints.insert(fingerprint, user.into());
        self
    }

    /// And whoever shows this token is `user`.
    pub fn token(mut self, token: impl Into<Secret>, user: impl Into<String>) -> Self {
        self.tokens.push((token.into(), user.into()));
        self
    }

    fn find(&self, shown: &Credentials) -> Option<String> {
        match shown {
            Credentials::Password(it) => {
                // Compared with something in any case.
                let wanted = self
                    .passwords
                    .get(&it.user)
                    .map_or(&self.seed.0, |user| &user.password);
                let fits = prepare_password(it.password.expose()) == *wanted;
                (fits && self.passwords.contains_key(&it.user)).then(|| it.user.clone())
            }
            Credentials::CramMd5(it) => {
                let wanted = self
                    .passwords
                    .get(&it.user)
                    .map_or(&self.seed.0, |user| &user.password);
                let fits = it.fits(wanted.expose());
                (fits && self.passwords.contains_key(&it.user)).then(|| it.user.clone())
            }
            Credentials::PublicKey(it) => {
                (it.is_verified() && self.has(it)).then(|| it.user.clone())
            }
            Credentials::Certificate(it) => self
                .fingerprints
                .get(&it.fingerprint())
                .or_else(|| it.names.iter().find_map(|name| self.certificates.get(name)))
                .cloned(),
            Credentials::Token(it) => {
                // All are compared, so that the place in the list does not tell.
                let fits = self.tokens.iter().filter(|(token, _)| *token == it.token);
                fits.fold(None, |found, (_, user)| found.or(Some(user.clone())))
            }
            Credentials::Anonymous(_) | Credentials::Scram(_) => None,
        }
    }

    fn has(&self, key: &PublicKey) -> bool {
        self.keys
            .iter()
            .any(|it| (&it.user, &it.algorithm, &it.blob) == (&key.user, &key.algorithm, &key.blob))
    }
}

impl Checker for Memory {
    fn takes(&self) -> Vec<Takes> {
        let mut takes = Vec::new();
        if !self.passwords.is_empty() {
            let scram = [ScramHash::Sha1, ScramHash::Sha256].map(Takes::Scram);
            takes.extend([Takes::Passwords, Takes::CramMd5].into_iter().chain(scram));
        }
        takes.extend((!self.keys.is_empty()).then_some(Takes::PublicKeys));
        let certificates = !self.certificates.is_empty() || !self.fingerprints.is_empty();
        takes.extend(certificates.then_some(Takes::Certificates));
        takes.extend((!self.tokens.is_empty()).then_some(Takes::Tokens));
        takes
    }

    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        let taken = self.takes().iter().any(|it| it.fits(shown.kind()));
        let found = self
            .find(shown)
            .map(|name| Account::new(name, shown.kind()));
        let known = match shown {
            Credentials::Password(it) => self.passwords.contains_key(&it.user),
            Credentials::CramMd5(it) => self.passwords.contains_key(&it.user),
            _ => false,
        };
        Box::pin(async move {
            found.ok_or(match (taken, known) {
                (true, true) => Refused::Denied,
                (true, false) => Refused::Unknown,
                (false, _) => Refused::NotTaken,
            })
        })
    }

    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        // Both are made for everybody, so that neither shows by its time.
        let fake = ScramKeys::fake(hash, user, self.seed.0.expose(), 16, ScramKeys::FEWEST);
        let known = self.passwords.get(user);
        let record = match known.and_then(|it| it.scram.iter().find(|keys| keys.hash() == hash)) {
            Some(keys) => ScramRecord {
                keys: keys.clone(),
                account: Some(Account::new(user, Kind::Scram)),
            },
            None => ScramRecord {
                keys: fake,
                account: None,
            },
        };
        Box::pin(async move { Ok(record) })
    }

    fn knows_key<'a>(&'a self, key: &'a PublicKey) -> BoxFuture<'a, Result<bool, Refused>> {
        let known = self.has(key);
        Box::pin(async move { Ok(known) })
    }
}

/// Takes everybody who shows nothing (RFC 4505), as the account `anonymous`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAnonymous;

impl Checker for AllowAnonymous {
    fn takes(&self) -> Vec<Takes> {
        vec![Takes::Anonymous]
    }

    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        let taken = shown.kind() == Kind::Anonymous;
        Box::pin(async move {
            if taken {
                Ok(Account::new("anonymous", Kind::Anonymous))
            } else {
                Err(Refused::NotTaken)
            }
        })
    }
}
