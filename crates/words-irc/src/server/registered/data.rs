//! The data, and the lines of its file.
//!
//! Each line is one JSON object. The first names the format, the last the number
//! of those between, so that a file that lost its end is noticed wherever it was
//! cut. Unknown fields are an error: an older version would lose them at its next
//! write.
//!
//! ```text
//! {"ropewalk-irc":{"version":1,"seed":"…"}}
//! {"account":{"name":"ada","hash":"{SCRAM-SHA-256}…","created":1795377600}}
//! {"channel":{"name":"#rope","founder":"ada","created":1795377600,"modes":"nt"}}
//! {"end":{"records":2}}
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use ropewalk_cred::{PasswordHash, Secret};
use serde::{Deserialize, Serialize};

use crate::proto::casemap::{CaseMapping, Folded};

/// An account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Account {
    /// Its name, as it was registered.
    pub name: String,
    /// The hash of its password, as [`PasswordHash`] reads it; `*` if it has
    /// none, and logs in by certificate only.
    pub hash: String,
    /// When it was registered, in seconds since 1970.
    pub created: u64,
    /// Where its owner can be written to, if that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// SHA-256 fingerprints of the certificates that log it in, in hexadecimal
    /// digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<String>,
    /// Nobody else may have its nick, not for a moment.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strict: bool,
}

impl Account {
    /// One with a password's hash.
    pub fn new(name: impl Into<String>, hash: impl Into<String>, created: u64) -> Self {
        Self {
            name: name.into(),
            hash: hash.into(),
            created,
            email: None,
            certificates: Vec::new(),
            strict: false,
        }
    }

    /// Whether its hash does for SCRAM-SHA-256.
    pub fn has_scram_keys(&self) -> bool {
        self.hash.starts_with("{SCRAM-SHA-256}")
    }
}

/// Without the hash.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What somebody is in a registered channel, by their account. They are in the
/// order of their power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// `+v`
    Voice,
    /// `+h`
    Halfop,
    /// `+o`
    Operator,
    /// `+a`
    Admin,
    /// `+q`; beside the one who registered it, whom only a transfer changes.
    Founder,
}

impl Role {
    /// The mode that it gives.
    pub const fn letter(self) -> char {
        match self {
            Self::Voice => 'v',
            Self::Halfop => 'h',
            Self::Operator => 'o',
            Self::Admin => 'a',
            Self::Founder => 'q',
        }
    }

    /// By a mode, or by a name: `o`, `+o`, `op`, `operator`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match &*name.trim_start_matches('+').to_ascii_lowercase() {
            "v" | "voice" => Self::Voice,
            "h" | "halfop" => Self::Halfop,
            "o" | "op" | "operator" => Self::Operator,
            "a" | "admin" => Self::Admin,
            "q" | "founder" | "owner" => Self::Founder,
            _ => return None,
        })
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Halfop => "halfop",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Founder => "founder",
        }
    }
}

/// What a channel is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The text.
    pub text: String,
    /// Who set it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// A mask in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedMask {
    /// The mask.
    pub mask: String,
    /// Who set it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// A channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Channel {
    /// Its name, as it was registered.
    pub name: String,
    /// The account whose it is.
    pub founder: String,
    /// When it came to be, in seconds since 1970.
    pub created: u64,
    /// When it was registered, in seconds since 1970.
    #[serde(default)]
    pub registered: u64,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Topic>,
    /// Its modes without a parameter, letters in any order.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub modes: String,
    /// `+k`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// `+l`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `+b`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bans: Vec<ListedMask>,
    /// `+e`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<ListedMask>,
    /// `+I`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invite_exceptions: Vec<ListedMask>,
    /// What accounts are in it, by their names as they are compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub access: BTreeMap<String, Role>,
}

/// Somebody who is not let in, set by an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Ban {
    /// A mask of `user@host`, or a network such as `192.0.2.0/24`.
    pub mask: String,
    /// What they are told.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Until when, in seconds since 1970; for good if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl Ban {
    /// One for good.
    pub fn new(
        mask: impl Into<String>,
        reason: impl Into<String>,
        by: impl Into<String>,
        at: u64,
    ) -> Self {
        Self {
            mask: mask.into(),
            reason: reason.into(),
            by: by.into(),
            at,
            until: None,
        }
    }
}

#[derive(Serialize, Deserialize)]
enum Line {
    #[serde(rename = "ropewalk-irc")]
    Head(Head),
    #[serde(rename = "account")]
    Account(Account),
    #[serde(rename = "channel")]
    Channel(Channel),
    #[serde(rename = "ban")]
    Ban(Ban),
    #[serde(rename = "end")]
    End(End),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    seed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    records: usize,
}

const VERSION: u32 = 1;

/// A file that cannot be read as it stands: the operator's to mend, from a copy.
/// It shows no hashes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
#[non_exhaustive]
pub struct BadFile {
    /// The line, from 1.
    pub line: usize,
    /// What was found, and what was expected.
    pub what: String,
}

/// Everything that is registered.
#[derive(Clone, Debug)]
pub struct Registered {
    mapping: CaseMapping,
    /// What the salts of accounts that do not exist are made of, kept so that they
    /// stay the same.
    seed: Secret,
    accounts: BTreeMap<Folded, Account>,
    channels: BTreeMap<Folded, Channel>,
    bans: Vec<Ban>,
    /// Whose certificate it is.
    fingerprints: HashMap<String, Folded>,
    without_scram: usize,
}

impl Registered {
    /// Nothing yet, with a fresh seed.
    pub fn new(mapping: CaseMapping) -> Self {
        let mut seed = [0; 32];
        ropewalk_core::fill_random(&mut seed);
        Self {
            mapping,
            seed: seed.as_slice().into(),
            accounts: BTreeMap::new(),
            channels: BTreeMap::new(),
            bans: Vec::new(),
            fingerprints: HashMap::new(),
            without_scram: 0,
        }
    }

    /// How names are compared.
    pub fn mapping(&self) -> CaseMapping {
        self.mapping
    }

    /// What the salts of accounts that do not exist are made of.
    pub fn seed(&self) -> &Secret {
        &self.seed
    }

    /// An account by its name.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(&self.mapping.fold(name))
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> impl ExactSizeIterator<Item = &Account> {
        self.accounts.values()
    }

    /// Whether SCRAM works for each account that has a password.
    pub fn all_have_scram_keys(&self) -> bool {
        self.without_scram == 0
    }

    /// The account of a certificate.
    pub fn account_of_certificate(&self, fingerprint: &str) -> Option<&Account> {
        self.accounts.get(self.fingerprints.get(fingerprint)?)
    }

    /// Adds an account; false if there is one of its name, or one of its
    /// certificates is another's.
    pub fn add_account(&mut self, account: Account) -> bool {
        let folded = self.mapping.fold(&account.name);
        let taken = |it: &String| self.fingerprints.contains_key(it);
        if self.accounts.contains_key(&folded) || account.certificates.iter().any(taken) {
            return false;
        }
        self.index(&folded, &account);
        self.accounts.insert(folded, account);
        true
    }

    /// Changes an account, but for its name. None if there is none, or if it
    /// would have another's certificate; nothing has changed then.
    pub fn change_account<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Account) -> T,
    ) -> Option<T> {
        let folded = self.mapping.fold(name);
        let old = self.accounts.get(&folded)?.clone();
        let mut new = old.clone();
        let changed = change(&mut new);
        new.name.clone_from(&old.name);
        let taken = |it: &String| self.fingerprints.get(it).is_some_and(|of| *of != folded);
        if new.certificates.iter().any(taken) {
            return None;
        }
        self.unindex(&old);
        self.index(&folded, &new);
        self.accounts.insert(folded, new);
        Some(changed)
    }

    /// Removes an account, its place in access lists, and the channels that it
    /// founded, whose names it returns.
    pub fn remove_account(&mut self, name: &str) -> Option<Vec<String>> {
        let folded = self.mapping.fold(name);
        let account = self.accounts.remove(&folded)?;
        self.unindex(&account);
        let mut founded = Vec::new();
        let mapping = self.mapping;
        self.channels.retain(|_, channel| {
            let keep = !mapping.eq(&channel.founder, name);
            if keep {
                channel.access.remove(folded.as_str());
            } else {
                founded.push(channel.name.clone());
            }
            keep
        });
        Some(founded)
    }

    fn index(&mut self, folded: &Folded, account: &Account) {
        for fingerprint in &account.certificates {
            self.fingerprints
                .insert(fingerprint.clone(), folded.clone());
        }
        if account.hash != "*" && !account.has_scram_keys() {
            self.without_scram += 1;
        }
    }

    fn unindex(&mut self, account: &Account) {
        for fingerprint in &account.certificates {
            self.fingerprints.remove(fingerprint);
        }
        if account.hash != "*" && !account.has_scram_keys() {
            self.without_scram -= 1;
        }
    }

    /// A channel by its name.
    pub fn channel(&self, name: &str) -> Option<&Channel> {
        self.channels.get(&self.mapping.fold(name))
    }

    /// All channels, by name.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.channels.values()
    }

    /// The channels of a founder.
    pub fn founded_by(&self, account: &str) -> impl Iterator<Item = &Channel> {
        let of = move |channel: &&Channel| self.mapping.eq(&channel.founder, account);
        self.channels.values().filter(of)
    }

    /// Adds a channel; false if there is one of its name, or no such founder.
    pub fn add_channel(&mut self, channel: Channel) -> bool {
        let folded = self.mapping.fold(&channel.name);
        if self.channels.contains_key(&folded) || self.account(&channel.founder).is_none() {
            return false;
        }
        self.channels.insert(folded, channel);
        true
    }

    /// Changes a channel, but for its name. None if there is none.
    pub fn change_channel<T>(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut Channel) -> T,
    ) -> Option<T> {
        let channel = self.channels.get_mut(&self.mapping.fold(name))?;
        let name = channel.name.clone();
        let changed = change(channel);
        channel.name = name;
        Some(changed)
    }

    /// Removes a channel; false if there is none.
    pub fn remove_channel(&mut self, name: &str) -> bool {
        self.channels.remove(&self.mapping.fold(name)).is_some()
    }

    /// What somebody is in a channel, by their account.
    pub fn role(&self, channel: &str, account: &str) -> Option<Role> {
        let channel = self.channel(channel)?;
        if self.mapping.eq(&channel.founder, account) {
            return Some(Role::Founder);
        }
        channel
            .access
            .get(self.mapping.fold(account).as_str())
            .copied()
    }

    /// The bans that operators set.
    pub fn bans(&self) -> &[Ban] {
        &self.bans
    }

    /// The same, to change them.
    pub fn bans_mut(&mut self) -> &mut Vec<Ban> {
        &mut self.bans
    }

    /// The file.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let seed = hexadecimal(self.seed.expose());
        write_line(
            &mut out,
            &Line::Head(Head {
                version: VERSION,
                seed,
            }),
        );
        for account in self.accounts.values() {
            write_line(&mut out, &Line::Account(account.clone()));
        }
        for channel in self.channels.values() {
            write_line(&mut out, &Line::Channel(channel.clone()));
        }
        for ban in &self.bans {
            write_line(&mut out, &Line::Ban(ban.clone()));
        }
        let records = self.accounts.len() + self.channels.len() + self.bans.len();
        write_line(&mut out, &Line::End(End { records }));
        out
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`BadFile`], with the first line that is not as it should be. Nothing of
    /// such a file is used: an account that is missing without a word is worse
    /// than a server that does not start.
    pub fn read(bytes: &[u8], mapping: CaseMapping) -> Result<Self, BadFile> {
        let mut registered = None;
        let mut ended = false;
        let mut records = 0;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let before = &bytes[..error.valid_up_to()];
                let line = 1 + memchr::memchr_iter(b'\n', before).count();
                return Err(bad(line, "found bytes that are not UTF-8"));
            }
        };
        let mut last = 0;
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            last = number;
            let Some(line) = line.strip_suffix('\n') else {
                return Err(bad(number, "found no end of line, expected a whole file"));
            };
            if ended {
                return Err(bad(number, "found more behind the end"));
            }
            let line: Line =
                serde_json::from_str(line).map_err(|error| bad(number, &told(&error)))?;
            let registered: &mut Self = match (&mut registered, line) {
                (None, Line::Head(head)) => {
                    registered =
                        Some(Self::of_head(head, mapping).map_err(|what| bad(number, what))?);
                    continue;
                }
                (None, _) => return Err(bad(number, "expected {\"ropewalk-irc\":…} first")),
                (Some(registered), line) => match registered.take(line, records) {
                    Ok(true) => {
                        ended = true;
                        continue;
                    }
                    Ok(false) => registered,
                    Err(what) => return Err(bad(number, &what)),
                },
            };
            let _ = registered;
            records += 1;
        }
        match registered {
            Some(registered) if ended => Ok(registered),
            _ => Err(bad(
                last + 1,
                "found the end of the file, expected {\"end\":…} before it",
            )),
        }
    }

    fn of_head(head: Head, mapping: CaseMapping) -> Result<Self, &'static str> {
        if head.version != VERSION {
            return Err("found another version of the format, expected 1");
        }
        let seed = of_hexadecimal(&head.seed)
            .ok_or("expected a seed of 32 bytes in hexadecimal digits")?;
        Ok(Self {
            seed: seed.as_slice().into(),
            ..Self::new(mapping)
        })
    }

    /// Takes a line behind the first; true if it was the last.
    fn take(&mut self, line: Line, records: usize) -> Result<bool, String> {
        match line {
            Line::Head(_) => Err("found a second first line".to_owned()),
            Line::Account(account) => {
                let name = account.name.clone();
                if account.hash != "*"
                    && let Err(error) = PasswordHash::parse(&account.hash)
                {
                    return Err(format!("account {name:?}: {error}"));
                }
                match self.add_account(account) {
                    true => Ok(false),
                    false => Err(format!(
                        "account {name:?}: found its name or its certificate before"
                    )),
                }
            }
            Line::Channel(channel) => {
                let (name, founder) = (channel.name.clone(), channel.founder.clone());
                match self.add_channel(channel) {
                    true => Ok(false),
                    false => Err(format!(
                        "channel {name:?}: found its name before, or no account {founder:?}"
                    )),
                }
            }
            Line::Ban(ban) => {
                self.bans.push(ban);
                Ok(false)
            }
            Line::End(end) if end.records == records => Ok(true),
            Line::End(end) => Err(format!(
                "found {records} records, expected {}: lines are missing",
                end.records
            )),
        }
    }
}

fn write_line(out: &mut Vec<u8>, line: &Line) {
    serde_json::to_writer(&mut *out, line).expect("strings and numbers can be written to memory");
    out.push(b'\n');
}

fn bad(line: usize, what: &str) -> BadFile {
    BadFile {
        line,
        what: what.to_owned(),
    }
}

/// What serde says may show a value, a hash say; its kind and place do not.
fn told(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "found an end within a record",
        Category::Syntax => "found what is no JSON",
        Category::Data | Category::Io => {
            "found an unknown field, one too few, or one of another kind"
        }
    };
    format!("{what}, at column {}", error.column())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_hexadecimal(text: &str) -> Option<[u8; 32]> {
    // The same digits as a certificate's fingerprint has.
    let fingerprint: ropewalk_cred::Fingerprint = text.parse().ok()?;
    Some(fingerprint.0)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
