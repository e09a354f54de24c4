//! The files that say whom to ask and what is known without asking, read again when they change.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use super::network::LOOK_EVERY;
use crate::proto::Hosts;

/// Bytes of such a file that are read: those with lists of names to block have some megabytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// By what a file's change shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

impl Stamp {
    /// `None` where there is no such file.
    pub(super) fn of(path: &Path) -> Option<Self> {
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
pub(super) fn read(path: &Path) -> String {
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

/// A hosts file.
pub(super) struct HostsFile {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hosts: Arc<Hosts>,
    looked: Option<Instant>,
    seen: Option<Stamp>,
}

impl HostsFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            state: Mutex::default(),
        }
    }

    /// What it says now.
    pub(super) fn current(&self, now: Instant) -> Arc<Hosts> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.is_none_or(|looked| now - looked >= LOOK_EVERY) {
            let stamp = Stamp::of(&self.path);
            if stamp != state.seen || state.looked.is_none() {
                state.hosts = Arc::new(match stamp {
                    Some(_) => Hosts::parse(&read(&self.path)),
                    None => Hosts::default(),
                });
                state.seen = stamp;
            }
            state.looked = Some(now);
        }
        state.hosts.clone()
    }
}
