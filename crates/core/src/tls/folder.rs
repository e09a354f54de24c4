//! A folder of PEM files: what is in it, and which certificates that makes.
//!
//! Reading only; what becomes of the certificates of before is said in
//! [`keys`](super::keys).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{PemObject, SectionKind},
    },
    sign::SigningKey,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    Fingerprint,
    chain::{Known, chain},
    keys::Served,
    x509::{Validity, dns_names},
};

/// The files of a folder, and what tells whether one has changed.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Listing(BTreeMap<PathBuf, Option<Stamp>>);

/// A file as it was; a symbolic link is the file behind it.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Listing {
    /// Looks at a folder and its sub-folders.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::default();
        listing.add(folder, true)?;
        Ok(listing)
    }

    fn add(&mut self, folder: &Path, with_sub_folders: bool) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .file_name()
                .is_none_or(|n| n.as_encoded_bytes().starts_with(b"."))
            {
                continue;
            }
            let data = fs::metadata(&path);
            if data.as_ref().is_ok_and(fs::Metadata::is_dir) {
                // One that may not be read is a problem of its own, and is
                // found by reading it as a file.
                if with_sub_folders && self.add(&path, false).is_err() {
                    self.0.insert(path, None);
                }
                continue;
            }
            let is_pem = path
                .extension()
                .is_some_and(|e| ENDINGS.iter().any(|ending| e.eq_ignore_ascii_case(ending)));
            if !is_pem || data.as_ref().is_ok_and(|data| !data.is_file()) {
                continue;
            }
            self.0.insert(path, data.ok().map(|data| Stamp::of(&data)));
            if self.0.len() > FILES {
                return Err(io::Error::other(format!("more than {FILES} files")));
            }
        }
        Ok(())
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Whether nothing changed so lately that another change could leave no
    /// trace in the times, whose grain may be coarse.
    pub(super) fn is_settled(&self) -> bool {
        let settled = SystemTime::now() - GRAIN;
        let settled = settled
            .duration_since(SystemTime::UNIX_EPOCH)
            .map(|d| d.as_secs());
        let settled = settled
            .ok()
            .and_then(|s| i64::try_from(s).ok())
            .unwrap_or(i64::MAX);
        let mut stamps = self.0.values().flatten();
        stamps.all(|s| s.modified.0 < settled && s.changed.0 < settled)
    }
}

impl Stamp {
    fn of(data: &fs::Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    pub(super) path: PathBuf,
    pub(super) why: String,
}

impl Problem {
    pub(super) fn new(path: &Path, why: impl Into<String>) -> Self {
        let (path, why) = (path.to_owned(), why.into());
        Self { path, why }
    }
}

/// What the files of a folder make.
#[derive(Default)]
pub(super) struct Contents {
    /// Certificates with their keys, by the names of their files.
    pub(super) served: Vec<Arc<Served>>,
    pub(super) problems: BTreeSet<Problem>,
    /// Among the certificates, those that are not valid now.
    pub(super) not_valid: Vec<(Fingerprint, Problem)>,
}

impl Contents {
    /// Reads the files of a listing.
    pub(super) fn read(listing: &Listing, now: i64) -> Self {
        let mut contents = Self::default();
        let mut found = Found::default();
        for path in listing.0.keys() {
            match sections(path) {
                Ok(sections) => sections.into_iter().for_each(|s| found.add(path, s)),
                Err(why) => drop(contents.problems.insert(Problem::new(path, why))),
            }
        }
        contents.pair(&found, now);
        contents
    }

    /// Gives keys to certificates.
    fn pair(&mut self, found: &Found, now: i64) {
        let mut problems = found.problems.clone();
        let mut pool: Vec<Known<'_>> = Vec::new();
        for (path, der) in &found.certificates {
            match X509Certificate::from_der(der) {
                Ok((_, x509)) => pool.push(Known { der, x509, path }),
                Err(_) => problems.push(Problem::new(
                    path,
                    "holds a certificate that cannot be read",
                )),
            }
        }
        let mut used = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for leaf in &pool {
            let public = leaf.x509.public_key().raw;
            let names = dns_names(&leaf.x509);
            let key = found.keys.get(public);
            if key.is_some() {
                used.insert(public);
            }
            // An authority is here for the chains.
            if (leaf.x509.is_ca() && names.is_empty()) || !seen.insert(leaf.der.as_ref()) {
                continue;
            }
            let Some(Key { key, files }) = key else {
                if !leaf.x509.is_ca() {
                    let why = format!("no key for the certificate of {}", names.join(", "));
                    problems.push(Problem::new(leaf.path, why));
                }
                continue;
            };
            let validity = Validity::of(&leaf.x509);
            if let Some(why) = validity.problem(now) {
                let problem = Problem::new(leaf.path, format!("the certificate {why}"));
                self.not_valid.push((Fingerprint::of(leaf.der), problem));
            }
            let same = pool.iter().filter(|known| known.der == leaf.der);
            let there = same.map(|known| known.path.to_owned());
            let files = there.chain(files.iter().cloned()).collect();
            let chain = chain(leaf, &pool, now);
            let served = Served::new(chain, key.clone(), names, validity, files);
            self.served.push(Arc::new(served));
        }
        for (public, Key { files, .. }) in &found.keys {
            if !used.contains(public.as_slice()) {
                let why = "no certificate for this key";
                problems.extend(files.iter().map(|path| Problem::new(path, why)));
            }
        }
        self.problems.extend(problems);
    }
}

/// What stands in the files, not yet put together.
#[derive(Default)]
struct Found {
    /// By the order of files, and within one as they stand there.
    certificates: Vec<(PathBuf, CertificateDer<'static>)>,
    /// By the public key, as a certificate holds it.
    keys: HashMap<Vec<u8>, Key>,
    problems: Vec<Problem>,
}

struct Key {
    key: Arc<dyn SigningKey>,
    files: Vec<PathBuf>,
}

impl Found {
    fn add(&mut self, path: &Path, (kind, der): (SectionKind, Vec<u8>)) {
        if kind == SectionKind::Certificate {
            self.certificates.push((path.to_owned(), der.into()));
            return;
        }
        // What is neither a certificate nor a key is of no use here.
        let Some(key) = PrivateKeyDer::from_pem(kind, der) else {
            return;
        };
        let key = any_supported_type(&key).ok();
        match key.and_then(|key| Some((key.public_key()?.to_vec(), key))) {
            Some((public, key)) => {
                let files = Vec::new();
                let Key { files, .. } = self.keys.entry(public).or_insert(Key { key, files });
                files.push(path.to_owned());
            }
            None => {
                let why = "holds a private key of a kind that is not supported";
                self.problems.push(Problem::new(path, why));
            }
        }
    }
}

/// The sections of a file, all or none: half a file says nothing about the
/// other half.
fn sections(path: &Path) -> Result<Vec<(SectionKind, Vec<u8>)>, String> {
    if fs::metadata(path).map_err(|e| e.to_string())?.is_dir() {
        let why = fs::read_dir(path).err().map(|e| e.to_string());
        return Err(why.unwrap_or_else(|| "cannot be listed".to_owned()));
    }
    let mut pem = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut pem))
        .map_err(|e| e.to_string())?;
    if pem.len() as u64 > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    let contains = |what: &[u8]| memchr::memmem::find(&pem, what).is_some();
    if !contains(b"-----BEGIN ") {
        return Err("holds no PEM".to_owned());
    }
    if contains(b"BEGIN ENCRYPTED PRIVATE KEY") || contains(b"Proc-Type: 4,ENCRYPTED") {
        return Err("holds an encrypted key, and nobody is asked for its passphrase".to_owned());
    }
    let sections: Result<Vec<_>, _> = PemObject::pem_slice_iter(&pem).collect();
    sections.map_err(|_| "holds PEM that is broken or not yet whole".to_owned())
}

/// How a file's name ends if it is read.
const ENDINGS: [&str; 4] = ["pem", "crt", "cer", "key"];

/// A folder with more was named by mistake.
const FILES: usize = 10_000;

/// A file with more was too.
const LONGEST_FILE: u64 = 1024 * 1024;

/// The coarsest grain of a file's times that is still in use.
const GRAIN: Duration = Duration::from_secs(2);
