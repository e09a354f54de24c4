//! Certificates with their keys: which one a client is served, and how they
//! are exchanged while a server runs.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak},
    time::Duration,
};

use rustls::{
    SignatureScheme,
    crypto::CryptoProvider,
    pki_types::CertificateDer,
    server::{ClientHello, ResolvesServerCert},
    sign::{CertifiedKey, SigningKey},
};
use tokio::{
    runtime::Handle,
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use super::{
    Fingerprint, TlsError,
    folder::{Contents, Listing, Problem},
    pem::{certificates, config_error, private_key, read},
    unix_now,
    x509::{Validity, date, names_and_validity},
};

/// A certificate with its chain and key, ready to be served.
pub(super) struct Served {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
    validity: Validity,
    /// Every file that it or its key came from.
    files: Vec<PathBuf>,
    fingerprint: Fingerprint,
}

impl Served {
    pub(super) fn new(
        chain: Vec<CertificateDer<'static>>,
        key: Arc<dyn SigningKey>,
        names: Vec<String>,
        validity: Validity,
        files: Vec<PathBuf>,
    ) -> Self {
        Self {
            fingerprint: Fingerprint::of(&chain[0]),
            key: Arc::new(CertifiedKey::new(chain, key)),
            names,
            validity,
            files,
        }
    }

    fn can_sign(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }

    /// Its names, for people.
    fn named(&self) -> String {
        match self.names.is_empty() {
            true => "no name".to_owned(),
            false => self.names.join(", "),
        }
    }

    fn is_default(&self) -> bool {
        let called = |part: Option<&std::ffi::OsStr>| part.is_some_and(|p| p == "default");
        self.files
            .iter()
            .any(|file| called(file.file_stem()) || called(file.parent().and_then(Path::file_name)))
    }
}

/// All that a server may serve, and by what name.
pub(super) struct Certificates {
    all: Vec<Arc<Served>>,
    /// Exact names, and wildcards as they are written; the longest validity
    /// first.
    by_name: HashMap<String, Vec<Arc<Served>>>,
    /// For unknown names and for none, the preferred first.
    default: Vec<Arc<Served>>,
}

impl Certificates {
    /// In the order of their files' names.
    fn new(all: Vec<Arc<Served>>) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<Served>>> = HashMap::new();
        for served in &all {
            for name in &served.names {
                by_name
                    .entry(name.clone())
                    .or_default()
                    .push(served.clone());
            }
        }
        for candidates in by_name.values_mut() {
            candidates.sort_by_key(|s| std::cmp::Reverse(s.validity.until));
        }
        let mut default = all.clone();
        default.sort_by_key(|served| !served.is_default());
        Self {
            all,
            by_name,
            default,
        }
    }

    fn candidates(&self, name: Option<&str>) -> &[Arc<Served>] {
        let Some(name) = name else {
            return &self.default;
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        let known = self.by_name.get(&name).or_else(wildcard);
        known.unwrap_or(&self.default)
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        if let [only] = self.all.as_slice() {
            return Some(only.key.clone());
        }
        let candidates = self.candidates(name);
        let now = unix_now();
        let fits = |s: &&Arc<Served>| s.can_sign(schemes);
        let good = |s: &&Arc<Served>| s.validity.holds(now) && s.can_sign(schemes);
        let best = candidates.iter().find(good);
        // Who is shown a certificate that has expired is at least told so.
        let best = best.or_else(|| candidates.iter().find(fits));
        best.or(candidates.first()).map(|s| s.key.clone())
    }

    /// Whether anybody is served this one: it is the best for one of its
    /// names, or the default.
    fn is_in_use(&self, served: &Arc<Served>, now: i64) -> bool {
        let best = |candidates: &[Arc<Served>]| {
            let best = candidates.iter().find(|s| s.validity.holds(now));
            best.or(candidates.first())
                .is_some_and(|best| Arc::ptr_eq(best, served))
        };
        let mut names = served.names.iter();
        best(&self.default) || names.any(|name| best(&self.by_name[name]))
    }
}

fn is_among(all: &[Arc<Served>], which: Fingerprint) -> bool {
    all.iter().any(|served| served.fingerprint == which)
}

/// Where certificates come from.
enum Origin {
    Memory,
    Files { chain: PathBuf, key: PathBuf },
    Folder(PathBuf),
}

/// The certificates of a server, exchanged as a whole when their files change.
pub(super) struct Keys {
    origin: Origin,
    current: RwLock<Arc<Certificates>>,
    seen: Mutex<Seen>,
    /// The task that looks at the files now and then.
    watcher: Mutex<Option<JoinHandle<()>>>,
}

/// What is known from the last look at the files.
#[derive(Default)]
struct Seen {
    /// None where the next look must read in any case.
    listing: Option<Listing>,
    /// What was said already.
    problems: BTreeSet<Problem>,
    /// Some files are gone, and may come back.
    waits: bool,
    /// When each was last said to expire.
    expiring: HashMap<Fingerprint, i64>,
}

/// How a folder is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At the start, or since somebody asked: what is gone is gone.
    Asked,
    /// Now and then: what has just gone may be on its way.
    Polled,
}

impl Keys {
    pub(super) fn from_pem(
        chain: &[u8],
        key: &[u8],
        provider: &CryptoProvider,
    ) -> Result<Arc<Self>, TlsError> {
        let served = pair("PEM", chain, "PEM", key, Vec::new(), provider)?;
        Ok(Self::new(Origin::Memory, vec![Arc::new(served)]))
    }

    pub(super) fn from_files(
        chain: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<Arc<Self>, TlsError> {
        let served = pair_of_files(chain, key, provider)?;
        let now = unix_now();
        if let Some(why) = served.validity.problem(now)
            && now < served.validity.from
        {
            tracing::warn!(file = %chain.display(), why, "certificate is served before its time");
        }
        let (chain, key) = (chain.to_owned(), key.to_owned());
        let keys = Self::new(Origin::Files { chain, key }, vec![Arc::new(served)]);
        say(keys.seen().expiring(&keys.current()));
        keys.watch();
        Ok(keys)
    }

    pub(super) fn from_folder(folder: &Path) -> Result<Arc<Self>, TlsError> {
        let keys = Self::new(Origin::Folder(folder.to_owned()), Vec::new());
        let notices = keys.look_at(folder, Look::Asked);
        if keys.current().all.is_empty() {
            return Err(failure(&notices).expect("an empty folder is a problem"));
        }
        say(notices);
        keys.watch();
        Ok(keys)
    }

    fn new(origin: Origin, all: Vec<Arc<Served>>) -> Arc<Self> {
        Arc::new(Self {
            origin,
            current: RwLock::new(Arc::new(Certificates::new(all))),
            seen: Mutex::default(),
            watcher: Mutex::new(None),
        })
    }

    fn current(&self) -> Arc<Certificates> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn exchange(&self, all: Vec<Arc<Served>>) {
        let new = Arc::new(Certificates::new(all));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the files again, if it came from files.
    pub(super) fn reload(&self, provider: &CryptoProvider) -> Result<(), TlsError> {
        match &self.origin {
            Origin::Memory => Ok(()),
            Origin::Files { chain, key } => self.reload_files(chain, key, provider),
            Origin::Folder(folder) => {
                let notices = self.look_at(folder, Look::Asked);
                let failure = failure(&notices);
                say(notices);
                failure.map_or(Ok(()), Err)
            }
        }
    }

    fn reload_files(
        &self,
        chain: &Path,
        key: &Path,
        provider: &CryptoProvider,
    ) -> Result<(), TlsError> {
        let new = pair_of_files(chain, key, provider)?;
        let now = unix_now();
        let mut seen = self.seen();
        let old = self.current();
        let old_holds = old.all.iter().any(|old| old.validity.holds(now));
        if let Some(why) = new.validity.problem(now)
            && old_holds
        {
            let place = chain.display().to_string();
            return Err(TlsError::NotValid { place, why });
        }
        self.exchange(vec![Arc::new(new)]);
        let notices = seen.expiring(&self.current());
        drop(seen);
        say(notices);
        Ok(())
    }

    /// Looks at a folder, and takes what is in order there. What there is to
    /// say comes back.
    fn look_at(&self, folder: &Path, look: Look) -> Vec<Notice> {
        let mut seen = self.seen();
        let old = self.current();
        let now = unix_now();
        let listing = match Listing::of(folder) {
            Ok(listing) => listing,
            Err(error) => {
                seen.listing = None;
                let problem = BTreeSet::from([Problem::new(folder, error.to_string())]);
                return seen.problems(problem, look, &old.all);
            }
        };
        if look == Look::Polled && seen.listing.as_ref() == Some(&listing) {
            return seen.expiring(&old);
        }
        let Contents {
            served,
            mut problems,
            not_valid,
        } = Contents::read(&listing, now);
        let in_trouble = problems.iter().chain(not_valid.iter().map(|(_, p)| p));
        let in_trouble: BTreeSet<_> = in_trouble.map(|p| p.path.clone()).collect();
        let (mut kept, mut waits) = (Vec::new(), false);
        for old in old
            .all
            .iter()
            .filter(|old| !is_among(&served, old.fingerprint))
        {
            if old.files.iter().any(|file| in_trouble.contains(file)) {
                kept.push(old.clone());
            } else if !old.files.iter().any(|file| listing.contains(file))
                && look == Look::Polled
                && !seen.waits
            {
                kept.push(old.clone());
                waits = true;
            }
        }
        // That one which is served has come to its end is said daily instead.
        let new = |which| look == Look::Asked || !is_among(&old.all, which);
        let not_valid = not_valid.into_iter().filter(|(which, _)| new(*which));
        problems.extend(not_valid.map(|(_, problem)| problem));

        let mut notices = Vec::new();
        if served.is_empty() && kept.is_empty() {
            if problems.is_empty() {
                let why = "no certificate with its key is in this folder";
                problems.insert(Problem::new(folder, why));
            }
            kept.clone_from(&old.all);
        } else {
            let new = served.iter().filter(|s| !is_among(&old.all, s.fingerprint));
            notices.extend(new.cloned().map(Notice::Taken));
            let mut all = served;
            all.extend(kept.iter().cloned());
            // Those that are kept stand where they stood.
            all.sort_by(|a, b| a.files.iter().min().cmp(&b.files.iter().min()));
            let gone = old.all.iter().filter(|s| !is_among(&all, s.fingerprint));
            notices.extend(gone.cloned().map(Notice::GivenUp));
            self.exchange(all);
        }
        notices.extend(seen.problems(problems, look, &kept));
        notices.extend(seen.expiring(&self.current()));
        seen.waits = waits;
        seen.listing = (listing.is_settled() && !waits).then_some(listing);
        notices
    }

    /// What is done now and then, on a thread that may wait for the disk.
    fn poll(&self) -> Vec<Notice> {
        match &self.origin {
            Origin::Folder(folder) => self.look_at(folder, Look::Polled),
            _ => self.seen().expiring(&self.current()),
        }
    }

    /// Looks now and then from here on, if it does not yet and there is a
    /// runtime to do it on.
    pub(super) fn watch(self: &Arc<Self>) {
        let every = match self.origin {
            Origin::Memory => return,
            Origin::Files { .. } => EXPIRY,
            Origin::Folder(_) => WATCH,
        };
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        // The runtime that it was on may be gone.
        if watcher.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            *watcher = Some(runtime.spawn(poll(Arc::downgrade(self), every)));
        }
    }
}

async fn poll(keys: Weak<Keys>, every: Duration) {
    loop {
        sleep(every).await;
        let Some(keys) = keys.upgrade() else { return };
        // Said here, so that it is said where the server speaks.
        match spawn_blocking(move || keys.poll()).await {
            Ok(notices) => say(notices),
            Err(error) => tracing::error!(%error, "looking at certificates failed"),
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let watcher = self
            .watcher
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = watcher.take() {
            task.abort();
        }
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
            .choose(hello.server_name(), hello.signature_schemes())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Seen {
    /// Of these problems, what is to be said: all to who asked, and what is
    /// new to the log.
    fn problems(
        &mut self,
        problems: BTreeSet<Problem>,
        look: Look,
        kept: &[Arc<Served>],
    ) -> Vec<Notice> {
        let said = std::mem::replace(&mut self.problems, problems);
        let new = self
            .problems
            .iter()
            .filter(|p| look == Look::Asked || !said.contains(*p));
        let notice = |problem: &Problem| {
            let kept = kept
                .iter()
                .filter(|served| served.files.contains(&problem.path));
            Notice::Problem(problem.clone(), kept.cloned().collect())
        };
        new.map(notice).collect()
    }

    /// What is about to expire, once a day each.
    fn expiring(&mut self, certificates: &Certificates) -> Vec<Notice> {
        let now = unix_now();
        let soon = certificates.all.iter().filter(|served| {
            served.validity.until.saturating_sub(now) < SOON && certificates.is_in_use(served, now)
        });
        let soon: Vec<_> = soon.cloned().collect();
        let known: HashSet<_> = soon.iter().map(|served| served.fingerprint).collect();
        self.expiring
            .retain(|fingerprint, _| known.contains(fingerprint));
        let mut notices = Vec::new();
        for served in soon {
            let said = self.expiring.get(&served.fingerprint);
            if said.is_none_or(|said| now - said >= DAY) {
                self.expiring.insert(served.fingerprint, now);
                notices.push(Notice::Expiring(served, now));
            }
        }
        notices
    }
}

/// What the operator is told.
enum Notice {
    Taken(Arc<Served>),
    GivenUp(Arc<Served>),
    /// With what is served on in its stead.
    Problem(Problem, Vec<Arc<Served>>),
    /// With the time of this.
    Expiring(Arc<Served>, i64),
}

fn say(notices: Vec<Notice>) {
    for notice in notices {
        match notice {
            Notice::Taken(served) => {
                let (names, until) = (served.named(), date(served.validity.until));
                tracing::info!(names, until, "certificate taken");
            }
            Notice::GivenUp(served) => {
                tracing::info!(names = served.named(), "certificate given up");
            }
            Notice::Problem(Problem { path, why }, kept) if kept.is_empty() => {
                tracing::warn!(file = %path.display(), why, "cannot be used for certificates");
            }
            Notice::Problem(Problem { path, why }, kept) => {
                let until = kept.iter().map(|old| old.validity.until).min();
                let until = until.map_or_else(String::new, date);
                let names = kept
                    .iter()
                    .map(|old| old.named())
                    .collect::<Vec<_>>()
                    .join(", ");
                tracing::warn!(
                    file = %path.display(), why, names, until,
                    "the certificate of before is kept"
                );
            }
            Notice::Expiring(served, now) => {
                let (names, until) = (served.named(), date(served.validity.until));
                let file = served
                    .files
                    .first()
                    .map_or_else(String::new, |f| f.display().to_string());
                match served.validity.until < now {
                    true => tracing::warn!(file, names, until, "certificate has expired"),
                    false => tracing::warn!(file, names, until, "certificate is about to expire"),
                }
            }
        }
    }
}

/// The first problem, as who asked is told.
fn failure(notices: &[Notice]) -> Option<TlsError> {
    notices.iter().find_map(|notice| match notice {
        Notice::Problem(Problem { path, why }, _) => Some(TlsError::Folder {
            path: path.clone(),
            why: why.clone(),
        }),
        _ => None,
    })
}

fn pair_of_files(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<Served, TlsError> {
    let place = |path: &Path| path.display().to_string();
    let files = vec![chain.to_owned(), key.to_owned()];
    pair(
        &place(chain),
        &read(chain)?,
        &place(key),
        &read(key)?,
        files,
        provider,
    )
}

/// A chain as it is written, and its key.
fn pair(
    chain_at: &str,
    chain: &[u8],
    key_at: &str,
    key: &[u8],
    files: Vec<PathBuf>,
    provider: &CryptoProvider,
) -> Result<Served, TlsError> {
    let chain = certificates(chain_at, chain)?;
    let key = private_key(key_at, key)?;
    let (names, validity) = names_and_validity(&chain[0]);
    let key =
        CertifiedKey::from_der(chain, key, provider).map_err(|e| config_error(chain_at, e))?;
    Ok(Served::new(key.cert, key.key, names, validity, files))
}

/// How often a folder is looked at: nobody waits long for a renewed
/// certificate, and a look costs a few system calls.
pub(super) const WATCH: Duration = Duration::from_secs(10);

/// How often it is looked whether a certificate is about to expire.
const EXPIRY: Duration = Duration::from_secs(60 * 60);

const DAY: i64 = 24 * 60 * 60;

/// How long before its end a certificate is said to expire: half of it remains
/// when a renewal by certbot has failed for a fortnight.
const SOON: i64 = 14 * DAY;
