//! The checker of a users file.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use super::file::{self, UsersError};
use crate::{
    Account, Argon2Cost, BoxFuture, Checker, Credentials, HashPool, Kind, PasswordHash, Random,
    Refused, Secret,
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
    /// Take `Alice` for `alice`, as mail clients' users expect. Names then are in
    /// lower case everywhere, accounts' too. Default false.
    pub ignore_case: bool,
    /// Where the secret behind `scram_seed` comes from if that is not given.
    /// Default the system; a simulation that must replay brings its own.
    pub random: Random,
}

/// A users file: `name:hash` lines, as Ropewalk, htpasswd or Dovecot write
/// them ([`PasswordHash`] lists the schemes). A hash behind a `!` is locked, as
/// `usermod -L` does it; a `*` in place of one is an account without a password.
/// Neither logs in.
///
/// A user who does not exist, or has no password, costs what one of the file's
/// users costs: the name, mixed with a secret, picks one, whose hash is verified
/// and whose answer is thrown away. So names cannot be told by time, in files
/// with several schemes either.
///
/// Mechanisms are offered that work for every user of the file: SCRAM only if
/// each has keys of that hash function (or a password in the clear).
///
/// # When it is read
///
/// At [`open`](Self::open), and when the program says so: [`reload`](Self::reload)
/// at SIGHUP, or [`reload_if_changed`](Self::reload_if_changed) from a timer. It
/// does not watch the file by itself: who edits one by hand saves it half done
/// now and then, and a login must not wait for a disk. A file that is wrong
/// changes nothing, and the error names each wrong line.
///
/// A hundred thousand users are read in 0.4 s into some 35 to 50 MB (measured
/// with argon2id hashes, optimised, on two busy cores), and looked up by a hash
/// table.
pub struct UsersFile {
    path: PathBuf,
    options: UsersOptions,
    seed: Secret,
    read: RwLock<Read>,
}

/// What was read, and of which file. It is replaced as a whole.
struct Read {
    table: Arc<Table>,
    stamp: Option<Stamp>,
}

/// By what a file is known to be another one, or changed.
type Stamp = (u64, u64, u64, Option<SystemTime>);

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.len(), data.modified().ok()))
}

/// What is to be asked of a hash.
type Judge = Box<dyn FnOnce(&PasswordHash) -> bool + Send>;

struct Table {
    users: HashMap<Box<str>, User>,
    /// All hashes, to pick from for who has none.
    hashes: Vec<Arc<PasswordHash>>,
    takes: Vec<Takes>,
    /// Verified for everybody while there is nobody.
    nobody: Option<Arc<PasswordHash>>,
}

struct User {
    hash: Option<Arc<PasswordHash>>,
    locked: bool,
}

/// Whose hash it is that is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The user's.
    Own,
    /// The user's, and whatever comes out is a no.
    Locked,
    /// Another's: the user has none, and whatever comes out is a no.
    Passwordless,
    /// Another's: the file does not have the user.
    Nobodys,
}

impl UsersFile {
    /// Reads a file. This blocks; call it before serving, or where that is
    /// allowed.
    pub fn open(path: impl AsRef<Path>, options: UsersOptions) -> Result<Self, UsersError> {
        let path = path.as_ref().to_owned();
        let seed = options
            .scram_seed
            .clone()
            .unwrap_or_else(|| options.random.bytes::<32>().as_slice().into());
        let read = RwLock::new(Read::new(&path, &options)?);
        Ok(Self {
            path,
            options,
            seed,
            read,
        })
    }

    /// Reads it again, at SIGHUP say. If it is wrong, or gone, what was read
    /// before stays. This blocks.
    pub fn reload(&self) -> Result<(), UsersError> {
        let read = Read::new(&self.path, &self.options)?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    /// Reads it again if it is another file than before, or its length or time
    /// has changed; says whether. As cheap as one `stat` if not, so that a timer
    /// may call it every few seconds. This blocks.
    ///
    /// A file that is wrong is told once, not at each call.
    pub fn reload_if_changed(&self) -> Result<bool, UsersError> {
        let now = stamp(&self.path);
        {
            let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
            if read.stamp == now {
                return Ok(false);
            }
            read.stamp = now;
        }
        self.reload().map(|()| true)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many users it has.
    pub fn len(&self) -> usize {
        self.table().users.len()
    }

    /// Whether `fits` is true of a user's name, locked or not: for who must not
    /// give the name to somebody else.
    pub fn any(&self, fits: impl FnMut(&str) -> bool) -> bool {
        self.table().users.keys().map(|name| &**name).any(fits)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(
            &self
                .read
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .table,
        )
    }

    /// The name as the table has it.
    fn key<'a>(&self, user: &'a str) -> Cow<'a, str> {
        if self.options.ignore_case {
            user.to_lowercase().into()
        } else {
            user.into()
        }
    }

    /// The hash to verify for a user, and whose it is. There is one in any case.
    fn hash_of(&self, user: &str) -> (Option<Arc<PasswordHash>>, Whose) {
        let table = self.table();
        // Made for everybody, so that it does not show by its time for whom it is
        // needed.
        let pick = ScramHash::Sha256.hmac(self.seed.expose(), user.as_bytes());
        let pick = pick.iter().fold(0usize, |n, byte| {
            n.wrapping_mul(256).wrapping_add(usize::from(*byte))
        });
        let stand_in = match table.hashes.len() {
            0 => &table.nobody,
            n => &table.hashes.get(pick % n).cloned(),
        };
        match table.users.get(user) {
            None => (stand_in.clone(), Whose::Nobodys),
            Some(User { hash: None, .. }) => (stand_in.clone(), Whose::Passwordless),
            Some(User { hash, locked: true }) => (hash.clone(), Whose::Locked),
            Some(User { hash, .. }) => (hash.clone(), Whose::Own),
        }
    }
}

/// Users are counted, not named.
impl fmt::Debug for UsersFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsersFile")
            .field("path", &self.path)
            .field("users", &self.len())
            .finish_non_exhaustive()
    }
}

impl Read {
    fn new(path: &Path, options: &UsersOptions) -> Result<Self, UsersError> {
        // Before it is read: what changes meanwhile is then seen next time.
        let stamp = stamp(path);
        let table = Arc::new(Table::read(path, options)?);
        Ok(Self { table, stamp })
    }
}

impl Table {
    fn read(path: &Path, options: &UsersOptions) -> Result<Self, UsersError> {
        let text = zeroize::Zeroizing::new(file::text_of(path)?);
        let plaintext = options.allow_plaintext_passwords_in_file;
        let read = file::read_all(&text, plaintext, options.ignore_case).map_err(|lines| {
            UsersError::Lines {
                path: path.to_owned(),
                lines,
            }
        })?;
        let mut hashes = Vec::with_capacity(read.len());
        let mut users = HashMap::with_capacity(read.len());
        for user in read {
            let hash = user.hash.map(Arc::new);
            hashes.extend(hash.clone());
            let locked = user.locked;
            users.insert(user.name.into_boxed_str(), User { hash, locked });
        }
        let every = |has: &dyn Fn(&PasswordHash) -> bool| {
            !hashes.is_empty() && hashes.iter().all(|it| has(it))
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
        let nobody = hashes
            .is_empty()
            .then(|| options.empty_cost.hash(&secret::random::<16>()).ok())
            .flatten();
        let nobody = nobody
            .and_then(|text| PasswordHash::parse(&text).ok())
            .map(Arc::new);
        Ok(Self {
            users,
            hashes,
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
            let (user, judge): (&str, Judge) = match shown {
                Credentials::Password(it) => {
                    let password = it.password.clone();
                    let judge = move |hash: &PasswordHash| hash.verify(password.expose());
                    (&it.user, Box::new(judge))
                }
                Credentials::CramMd5(it) => {
                    let answer = it.clone();
                    let judge = move |hash: &PasswordHash| {
                        hash.plaintext()
                            .is_some_and(|password| answer.fits(password.expose()))
                    };
                    (&it.user, Box::new(judge))
                }
                _ => return Err(Refused::NotTaken),
            };
            let user = self.key(user);
            let (hash, whose) = self.hash_of(&user);
            let pool = &self.options.pool;
            let fits = pool
                .run(move || hash.is_some_and(|hash| judge(&hash)))
                .await?;
            match whose {
                Whose::Own if fits => Ok(Account::new(user, shown.kind())),
                Whose::Own | Whose::Locked | Whose::Passwordless => Err(Refused::Denied),
                Whose::Nobodys => Err(Refused::Unknown),
            }
        })
    }

    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        Box::pin(async move {
            let (user, seed) = (self.key(user), self.seed.expose());
            let (stored, whose) = self.hash_of(&user);
            let keys = match stored {
                None => None,
                Some(stored) => match (stored.scram_keys(), stored.plaintext().cloned()) {
                    (Some(keys), _) if keys.hash() == hash => Some(keys.clone()),
                    (_, Some(password)) => {
                        // The salt of a password in the clear is made as a fake one
                        // is, so that it is the same each time.
                        let shape = ScramKeys::fake(hash, &user, seed, 16, ScramKeys::FEWEST);
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
            let Some(keys) = keys else {
                return Ok(nobodys_keys(hash, &user, seed));
            };
            // Made for everybody, as above.
            let fake = ScramKeys::fake(hash, &user, seed, keys.salt().len(), keys.iterations());
            let account = (whose == Whose::Own).then(|| Account::new(&*user, Kind::Scram));
            // A locked user's salt stays what it was.
            let keys = match whose {
                Whose::Own | Whose::Locked => keys,
                Whose::Passwordless | Whose::Nobodys => fake,
            };
            Ok(ScramRecord { keys, account })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> UsersFile {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        std::fs::write(&path, text).unwrap();
        let options = UsersOptions {
            empty_cost: Argon2Cost::with(128, 1, 1),
            random: Random::predictable(1),
            ..UsersOptions::default()
        };
        UsersFile::open(path, options).unwrap()
    }

    /// Whose hash is verified, of which there is always one: with the count of the
    /// pool, which is one for each login, that is all that a login costs.
    #[test]
    fn what_stands_in_is_one_of_the_users_own_hashes() {
        let argon2 = Argon2Cost::with(64, 1, 1).hash(b"x").unwrap();
        let sha = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";
        let users = of(&format!("a:{argon2}\nb:{sha}\nlocked:!{sha}\nnone:*\n"));
        let table = users.table();
        let mut schemes = std::collections::BTreeSet::new();
        for n in 0..64 {
            let (hash, whose) = users.hash_of(&format!("nobody{n}"));
            let hash = hash.expect("there is always one");
            assert_eq!(whose, Whose::Nobodys);
            assert!(table.hashes.iter().any(|it| Arc::ptr_eq(it, &hash)));
            schemes.insert(hash.scheme());
        }
        assert_eq!(schemes.len(), 2, "of every scheme that the file has");
        let look = |user| {
            let (hash, whose) = users.hash_of(user);
            (hash.map(|it| it.scheme()), whose)
        };
        assert_eq!(look("a"), (Some("argon2id"), Whose::Own));
        assert_eq!(look("b"), (Some("sha256-crypt"), Whose::Own));
        assert_eq!(look("locked"), (Some("sha256-crypt"), Whose::Locked));
        assert_eq!(look("none").1, Whose::Passwordless);
        assert!(users.any(|name| name == "locked") && !users.any(|name| name == "c"));
        assert!(look("none").0.is_some());
    }

    #[test]
    fn an_empty_file_costs_what_the_options_say() {
        for text in ["", "none:*\n", "none:!\n"] {
            let users = of(text);
            for user in ["none", "nobody"] {
                let (hash, _) = users.hash_of(user);
                assert_eq!(hash.expect("one stands in").scheme(), "argon2id");
            }
        }
    }

    /// Its salts are those of whom they belong to, and a simulation's are again the
    /// same.
    #[tokio::test]
    async fn an_account_without_a_password_shows_nobodys_salt() {
        let keys = ScramKeys::generate(ScramHash::Sha256, b"x", 4096);
        let text = format!("a:{{SCRAM-SHA-256}}{}\nnone:*\n", keys.to_text());
        let (users, again) = (of(&text), of(&text));
        let ask =
            async |users: &UsersFile, user| users.scram(user, ScramHash::Sha256).await.unwrap();
        let none = ask(&users, "none").await;
        assert!(none.account.is_none() && none.keys.salt() != keys.salt());
        assert_eq!(none.keys, ask(&again, "none").await.keys);
        assert_eq!(ask(&users, "a").await.keys, keys);
    }
}
