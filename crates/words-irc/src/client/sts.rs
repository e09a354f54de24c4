//! Which servers want TLS and nothing else
//! (<https://ircv3.net/specs/extensions/sts>).

use std::{collections::BTreeMap, fmt, sync::Mutex, time::SystemTime};

/// What a server wants, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StsEntry {
    /// The port at which it speaks TLS.
    pub port: u16,
    /// From then on it does not matter any more.
    pub until: SystemTime,
}

/// Keeps policies beyond a connection. A program that ends and comes back keeps
/// them in a file of its own; what is lost is only asked for anew, in the
/// clear.
pub trait StsStore: Send + Sync + 'static {
    /// The policy of a host; it may be over.
    fn policy(&self, host: &str) -> Option<StsEntry>;

    /// A host has stated a policy, or has taken it back.
    fn remember(&self, host: &str, policy: Option<StsEntry>);
}

/// Policies in memory: gone with the program.
#[derive(Default)]
pub struct MemorySts(Mutex<BTreeMap<String, StsEntry>>);

/// The hosts at most; a program talks to few.
const HOSTS: usize = 1000;

impl StsStore for MemorySts {
    fn policy(&self, host: &str) -> Option<StsEntry> {
        let policies = self.0.lock().unwrap_or_else(|it| it.into_inner());
        policies.get(host).copied()
    }

    fn remember(&self, host: &str, policy: Option<StsEntry>) {
        let mut policies = self.0.lock().unwrap_or_else(|it| it.into_inner());
        match policy {
            Some(policy) if policies.len() < HOSTS || policies.contains_key(host) => {
                policies.insert(host.to_owned(), policy);
            }
            Some(_) => {}
            None => {
                policies.remove(host);
            }
        }
    }
}

impl fmt::Debug for MemorySts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemorySts")
    }
}
