//! The files that say whom to ask and what is known without asking, read again when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::network::now;
use crate::proto::{Hosts, ResolvConf};

/// How often the files are looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Bytes of such a file that are read: those with lists of names to block have some megabytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// By what a file's change shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    /// `None` where there is no such file.
    fn of(path: &Path) -> Option<Self> {
        let data = std::fs::metadata(path).ok()?;
        Some(Self {
            modified: data.modified().ok(),
            length: data.len(),
            #[cfg(unix)]
            inode: std::os::unix::fs::MetadataExt::ino(&data),
        })
    }
}

/// The text of a file; empty where it cannot be read, which the log tells.
fn read(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let file = std::fs::File::open(path)?;
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    read().unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "cannot read a file of the resolver");
        String::new()
    })
}

/// The files of a resolver.
pub(super) struct Files {
    paths: Paths,
    looked: Mutex<Option<Instant>>,
    /// Held while looking, so that the others wait for that.
    seen: tokio::sync::Mutex<Seen>,
}

#[derive(Clone)]
struct Paths {
    resolv_conf: PathBuf,
    hosts: PathBuf,
}

/// What was there when they were looked at last; `None` for no file.
#[derive(Clone, Debug, Default)]
struct Seen {
    resolv_conf: Option<Stamp>,
    hosts: Option<Stamp>,
}

/// What has changed.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) resolv_conf: Option<ResolvConf>,
    pub(super) hosts: Option<Hosts>,
}

impl Files {
    /// Reads resolv.conf, on the caller's thread: whoever makes a resolver is not yet answering
    /// anybody. The other file is read when something is asked.
    pub(super) fn new(resolv_conf: PathBuf, hosts: PathBuf) -> (Self, ResolvConf) {
        let seen = Seen {
            resolv_conf: Stamp::of(&resolv_conf),
            hosts: None,
        };
        let conf = ResolvConf::parse(&read(&resolv_conf));
        let files = Self {
            paths: Paths { resolv_conf, hosts },
            looked: Mutex::default(),
            seen: tokio::sync::Mutex::new(seen),
        };
        (files, conf)
    }

    /// What is new, at most once in [`LOOK_EVERY`]; on a thread that may wait for a disk, or for a
    /// server's disk. `None` if nobody looked.
    pub(super) async fn look(&self) -> Option<News> {
        if !self.is_due() {
            return None;
        }
        let mut seen = self.seen.lock().await;
        // Another may have looked in the meantime.
        if !self.is_due() {
            return None;
        }
        let (paths, before) = (self.paths.clone(), seen.clone());
        let looking = tokio::task::spawn_blocking(move || paths.look(before));
        let (news, now_seen) = looking.await.ok()?;
        *seen = now_seen;
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = Some(now());
        Some(news)
    }

    fn is_due(&self) -> bool {
        let looked = *self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        looked.is_none_or(|looked| now() - looked >= LOOK_EVERY)
    }
}

impl Paths {
    fn look(&self, mut seen: Seen) -> (News, Seen) {
        let mut news = News::default();
        let stamp = Stamp::of(&self.resolv_conf);
        // A file that is gone for a moment is being replaced.
        if stamp.is_some() && stamp != seen.resolv_conf {
            news.resolv_conf = Some(ResolvConf::parse(&read(&self.resolv_conf)));
            seen.resolv_conf = stamp;
        }
        let stamp = Stamp::of(&self.hosts);
        if stamp != seen.hosts {
            news.hosts = Some(match stamp {
                Some(_) => Hosts::parse(&read(&self.hosts)),
                None => Hosts::default(),
            });
            seen.hosts = stamp;
        }
        (news, seen)
    }
}
