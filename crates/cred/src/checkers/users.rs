//! The checker of a users file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use super::file::{self, UsersError};
use crate::{
    Account, Argon2Cost, BoxFuture, Checker, Credentials, HashPool, Kind, PasswordHash, Refused,
    Secret,
    checker::nobodys_keys,
    sasl::{ScramHash, ScramKeys, ScramRecord, Takes},
    secret,
};

/// How a [`UsersFile`] is read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsersOptions {
    /// Read passwords in the clear, `{PLAIN}secret`. Default false: whoever
    /// sees the file has them.
    pub allow_plaintext_passwords_in_file: bool,
    /// Where hashes are computed. Default a pool of its own; share one.
    pub pool: HashPool,
    /// What the salts of users who do not exist are made of. Default random,
    /// new at each start: who asks before and after a restart, or two servers
    /// with one file, can then tell who does not exist. 32 random bytes that
    /// are kept close the gap.
    pub scram_seed: Option<Secret>,
    /// What checking somebody costs while the file has nobody at all.
    pub empty_cost: Argon2Cost,
}

/// A users file: `name:hash` lines, as Ropewalk, htpasswd or Dovecot write
/// them ([`PasswordHash`] lists the schemes).
///
/// A user who does not exist costs what one of the file's users costs: the
/// name, mixed with a secret, picks one, whose hash is verified and whose
/// answer is thrown away. So names cannot be told by time, in files with
/// several schemes either.
///
/// Mechanisms are offered that work for every user of the file: SCRAM only if
/// each has keys of that hash function (or a password in the clear).
#[derive(Debug)]
pub struct UsersFile {
    path: PathBuf,
    options: UsersOptions,
    seed: Secret,
    table: RwLock<Arc<Table>>,
}

/// What is to be asked of a hash.
type Judge = Box<dyn FnOnce(&PasswordHash) -> bool + Send>;

/// What was read. It is replaced as a whole.
#[derive(Debug)]
struct Table {
    users: Vec<(String, Arc<PasswordHash>)>,
    by_name: HashMap<String, usize>,
    takes: Vec<Takes>,
    /// Verified for everybody while there is nobody.
    nobody: Option<Arc<PasswordHash>>,
}

impl UsersFile {
    /// Reads a file. This blocks; call it before serving, or where that is
    /// allowed.
    pub fn open(path: impl AsRef<Path>, options: UsersOptions) -> Result<Self, UsersError> {
        let path = path.as_ref().to_owned();
        let seed = options
            .scram_seed
            .clone()
            .unwrap_or_else(|| secret::random::<32>().as_slice().into());
        let table = RwLock::new(Arc::new(Table::read(&path, &options)?));
        Ok(Self {
            path,
            options,
            seed,
            table,
        })
    }

    /// Reads it again. If it is wrong, or gone, what was read before stays. This
    /// blocks.
    pub fn reload(&self) -> Result<(), UsersError> {
        let table = Arc::new(Table::read(&self.path, &self.options)?);
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many users it has.
    pub fn len(&self) -> usize {
        self.table().users.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The user's hash, or somebody's, and whether it is the user's.
    fn hash_of(&self, user: &str) -> (Option<Arc<PasswordHash>>, bool) {
        let table = self.table();
        let pick = ScramHash::Sha256.hmac(self.seed.expose(), user.as_bytes());
        let pick = pick.iter().fold(0usize, |n, byte| {
            n.wrapping_mul(256).wrapping_add(usize::from(*byte))
        });
        match table.by_name.get(user) {
            Some(at) => (table.users.get(*at).map(|(_, hash)| Arc::clone(hash)), true),
            None if table.users.is_empty() => (table.nobody.clone(), false),
            None => (
                table
                    .users
                    .get(pick % table.users.len())
                    .map(|(_, hash)| Arc::clone(hash)),
                false,
            ),
        }
    }
}

impl Table {
    fn read(path: &Path, options: &UsersOptions) -> Result<Self, UsersError> {
        let text = zeroize::Zeroizing::new(file::text_of(path)?);
        let users =
            file::read_all(&text, options.allow_plaintext_passwords_in_file).map_err(|lines| {
                UsersError::Lines {
                    path: path.to_owned(),
                    lines,
                }
            })?;
        let users: Vec<_> = users
            .into_iter()
            .map(|(name, hash)| (name, Arc::new(hash)))
            .collect();
        let every = |has: &dyn Fn(&PasswordHash) -> bool| {
            !users.is_empty() && users.iter().all(|(_, it)| has(it))
        };
        let mut takes = vec![Takes::Passwords];
        for hash in [ScramHash::Sha1, ScramHash::Sha256] {
            let has = |it: &PasswordHash| {
                it.plaintext().is_some() || it.scram_keys().is_some_and(|k| k.hash() == hash)
            };
            takes.extend(every(&has).then_some(Takes::Scram(hash)));
        }
        takes.extend(every(&|it| it.plaintext().is_some()).then_some(Takes::CramMd5));
        // Only the cost of it matters: the password is one that nobody has.
        let nobody = users
            .is_empty()
            .then(|| options.empty_cost.hash(&secret::random::<16>()).ok())
            .flatten();
        let nobody = nobody
            .and_then(|text| PasswordHash::parse(&text).ok())
            .map(Arc::new);
        let by_name = users
            .iter()
            .enumerate()
            .map(|(at, (name, _))| (name.clone(), at))
            .collect();
        Ok(Self {
            users,
            by_name,
            takes,
            nobody,
        })
    }
}

impl Checker for UsersFile {
    fn takes(&self) -> Vec<Takes> {
        self.table().takes.clone()
    }

    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
        Box::pin(async move {
            let (user, judge): (String, Judge) = match shown.clone() {
                Credentials::Password(it) => (
                    it.user,
                    Box::new(move |hash| hash.verify(it.password.expose())),
                ),
                Credentials::CramMd5(it) => (
                    it.user.clone(),
                    Box::new(move |hash| {
                        hash.plaintext()
                            .is_some_and(|password| it.fits(password.expose()))
                    }),
                ),
                _ => return Err(Refused::NotTaken),
            };
            let (hash, known) = self.hash_of(&user);
            let fits = self
                .options
                .pool
                .run(move || hash.is_some_and(|hash| judge(&hash)))
                .await?;
            if fits && known {
                Ok(Account::new(user, shown.kind()))
            } else {
                Err(Refused::Denied)
            }
        })
    }

    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        Box::pin(async move {
            let seed = self.seed.expose();
            let (stored, known) = self.hash_of(user);
            let keys = match stored {
                None => None,
                Some(stored) => match (stored.scram_keys(), stored.plaintext().cloned()) {
                    (Some(keys), _) if keys.hash() == hash => Some(keys.clone()),
                    (_, Some(password)) => {
                        // The salt of a password in the clear is made as a fake one
                        // is, so that it is the same each time.
                        let shape = ScramKeys::fake(hash, user, seed, 16, ScramKeys::FEWEST);
                        let derive = move || {
                            ScramKeys::derive(
                                hash,
                                password.expose(),
                                shape.salt(),
                                shape.iterations(),
                            )
                        };
                        Some(self.options.pool.run(derive).await?)
                    }
                    _ => None,
                },
            };
            Ok(match keys {
                Some(keys) if known => ScramRecord {
                    keys,
                    account: Some(Account::new(user, Kind::Scram)),
                },
                Some(like) => {
                    let keys =
                        ScramKeys::fake(hash, user, seed, like.salt().len(), like.iterations());
                    ScramRecord {
                        keys,
                        account: None,
                    }
                }
                None => nobodys_keys(hash, user, seed),
            })
        })
    }
}
