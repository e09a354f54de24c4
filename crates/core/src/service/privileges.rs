//! Becoming another account for good, once what needs root is bound.
//!
//! It does not change the root directory, and drops no single capability:
//! where that is wanted, whoever starts the program does it better
//! (`CapabilityBoundingSet=`, `RootDirectory=`).

use std::{fmt, io, str::FromStr};

/// An account to run as: a user, and a group if it is not the user's own; by
/// name or by number. As a string it is `user` or `user:group`.
///
/// ```
/// use ropewalk_core::service::Account;
///
/// let account: Account = "www-data:adm".parse()?;
/// assert_eq!(account, Account::user("www-data").group("adm"));
/// # Ok::<(), ropewalk_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Account {
    user: String,
    group: Option<String>,
}

impl Account {
    /// A user, with the groups that the system's database has for it.
    pub fn user(name: impl Into<String>) -> Self {
        Self {
            user: name.into(),
            group: None,
        }
    }

    /// With this group in the place of the user's own.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Looks it up, so that a wrong name is told before anything is bound.
    /// Whether the process may become it shows when it does.
    ///
    /// # Errors
    /// [`PrivilegeError`]: there is no such user or group, or it is root's.
    #[cfg(target_os = "linux")]
    pub fn check(&self) -> Result<(), PrivilegeError> {
        Ids::of(self).map(drop)
    }

    /// Looks it up, so that a wrong name is told before anything is bound.
    ///
    /// # Errors
    /// [`PrivilegeError::Unsupported`] on this system.
    #[cfg(not(target_os = "linux"))]
    pub fn check(&self) -> Result<(), PrivilegeError> {
        Err(PrivilegeError::Unsupported(self.clone()))
    }
}

impl FromStr for Account {
    type Err = PrivilegeError;

    fn from_str(text: &str) -> Result<Self, PrivilegeError> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        if user.is_empty() || group.is_some_and(|g| g.is_empty() || g.contains(':')) {
            return Err(PrivilegeError::NoAccount(text.to_owned()));
        }
        Ok(Self {
            user: user.to_owned(),
            group: group.map(str::to_owned),
        })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user)?;
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

/// Why the process is not the account that it should be.
///
/// After any of these that stands for a failed change, some ids may be the new
/// ones and some the old: the program should end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivilegeError {
    /// The string is neither `user` nor `user:group`.
    #[error("{0:?} is no account: expected USER or USER:GROUP")]
    NoAccount(String),
    /// There is no such user, or no such group.
    #[error("there is no {what} {name}")]
    Unknown {
        /// "user" or "group".
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// A user known by number only has no group of its own.
    #[error("user {0} has no entry in the system's database: name a group as well ({0}:GROUP)")]
    NoGroup(u32),
    /// To become root is no drop of privileges.
    #[error("{0} is root's: privileges are dropped to an account that has none")]
    Root(Account),
    /// The process may not become another account.
    #[error(
        "cannot become {account}: permission denied; start the program as root, or as {account} to begin with"
    )]
    Denied {
        /// Who it should have become.
        account: Account,
    },
    /// The system refused for another reason.
    #[error("cannot become {account}: {source}")]
    Io {
        /// Who it should have become.
        account: Account,
        /// What the system said.
        source: io::Error,
    },
    /// It could become root again; something has kept it capabilities.
    #[error("became {0}, and could become root again")]
    Regained(Account),
    /// A thread has other ids than the rest: it was made, or changed, past the
    /// C library.
    #[error("became {account}, but thread {thread} did not")]
    Thread {
        /// Who it should have become.
        account: Account,
        /// The thread's number.
        thread: i32,
    },
    /// This system has no way to do it that was tested.
    #[error("cannot become {0}: not supported on this system")]
    Unsupported(Account),
}

/// Becomes `account`, for good: its groups, then its group, then its user,
/// since each step takes away the right to the one before.
///
/// All threads change together: the ids are the kernel's per thread, and the C
/// library (glibc's NPTL, musl) sets them in every thread that it knows, a
/// runtime's workers included. That it did, and that root cannot be had back,
/// is verified. A process that is this account already is left as it is.
///
/// # Errors
/// [`PrivilegeError`]; after one the program should end.
#[cfg(target_os = "linux")]
pub fn drop_privileges(account: &Account) -> Result<(), PrivilegeError> {
    use nix::{
        errno::Errno,
        unistd::{getresgid, getresuid, initgroups, setgroups, setresgid, setresuid},
    };

    let ids = Ids::of(account)?;
    let failed = |error: Errno| match error {
        Errno::EPERM => PrivilegeError::Denied {
            account: account.clone(),
        },
        error => PrivilegeError::Io {
            account: account.clone(),
            source: error.into(),
        },
    };
    let is_changed = || {
        let (user, group) = (getresuid()?, getresgid()?);
        Ok([user.real, user.effective, user.saved] == [ids.user; 3]
            && [group.real, group.effective, group.saved] == [ids.group; 3])
    };
    if is_changed().map_err(failed)? {
        return Ok(());
    }
    let change = || {
        match &ids.name {
            Some(name) => initgroups(name, ids.group)?,
            None => setgroups(&[ids.group])?,
        }
        setresgid(ids.group, ids.group, ids.group)?;
        setresuid(ids.user, ids.user, ids.user)
    };
    change().map_err(failed)?;
    if !is_changed().map_err(failed)? || root_is_within_reach() {
        return Err(PrivilegeError::Regained(account.clone()));
    }
    if let Some(thread) = other_thread() {
        return Err(PrivilegeError::Thread {
            account: account.clone(),
            thread,
        });
    }
    tracing::info!(%account, uid = ids.user.as_raw(), gid = ids.group.as_raw(), "dropped privileges");
    Ok(())
}

/// Becomes `account`, for good.
///
/// # Errors
/// [`PrivilegeError::Unsupported`] on this system.
#[cfg(not(target_os = "linux"))]
pub fn drop_privileges(account: &Account) -> Result<(), PrivilegeError> {
    Err(PrivilegeError::Unsupported(account.clone()))
}

/// An account as the kernel has it.
#[cfg(target_os = "linux")]
struct Ids {
    user: nix::unistd::Uid,
    group: nix::unistd::Gid,
    /// The name by which its further groups are found.
    name: Option<std::ffi::CString>,
}

#[cfg(target_os = "linux")]
impl Ids {
    /// Looked up while it still may be: the new account may not read what is
    /// needed for it.
    fn of(account: &Account) -> Result<Self, PrivilegeError> {
        use nix::unistd::{Gid, Group, Uid, User};

        let failed = |error: nix::errno::Errno| PrivilegeError::Io {
            account: account.clone(),
            source: error.into(),
        };
        let unknown = |what, name: &str| PrivilegeError::Unknown {
            what,
            name: name.to_owned(),
        };
        let by_name = User::from_name(&account.user).map_err(failed)?;
        let (user, entry) = match (by_name, account.user.parse()) {
            (Some(entry), _) => (entry.uid, Some(entry)),
            (None, Ok(number)) => {
                let user = Uid::from_raw(number);
                (user, User::from_uid(user).map_err(failed)?)
            }
            (None, Err(_)) => return Err(unknown("user", &account.user)),
        };
        let group = match &account.group {
            Some(name) => match (Group::from_name(name).map_err(failed)?, name.parse()) {
                (Some(entry), _) => entry.gid,
                (None, Ok(number)) => Gid::from_raw(number),
                (None, Err(_)) => return Err(unknown("group", name)),
            },
            None => match &entry {
                Some(entry) => entry.gid,
                None => return Err(PrivilegeError::NoGroup(user.as_raw())),
            },
        };
        // -1 means "unchanged" to the calls that are to come.
        if user.as_raw() == u32::MAX {
            return Err(unknown("user", &account.user));
        }
        if group.as_raw() == u32::MAX {
            return Err(unknown(
                "group",
                account.group.as_deref().unwrap_or_default(),
            ));
        }
        if user.is_root() || group.as_raw() == 0 {
            return Err(PrivilegeError::Root(account.clone()));
        }
        let name = entry.and_then(|entry| std::ffi::CString::new(entry.name).ok());
        Ok(Self { user, group, name })
    }
}

/// Whether any call gives root's user or group back.
#[cfg(target_os = "linux")]
fn root_is_within_reach() -> bool {
    use nix::unistd::{Gid, Uid, setegid, seteuid, setgid, setuid};

    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    seteuid(user).is_ok() || setuid(user).is_ok() || setegid(group).is_ok() || setgid(group).is_ok()
}

/// A thread whose ids are not those of the one that asks. Where `/proc` is not
/// mounted, none is found.
#[cfg(target_os = "linux")]
fn other_thread() -> Option<i32> {
    let ids = |path: &std::path::Path| {
        let status = std::fs::read_to_string(path.join("status")).ok()?;
        let is_of_ids = |line: &&str| {
            ["Uid:", "Gid:", "Groups:"]
                .iter()
                .any(|l| line.starts_with(l))
        };
        Some(
            status
                .lines()
                .filter(is_of_ids)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    };
    let own = ids("/proc/thread-self".as_ref())?;
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    threads.flatten().find_map(|thread| {
        // One that has ended meanwhile has no ids.
        let differs = ids(&thread.path()).is_some_and(|ids| ids != own);
        let number = thread.file_name().to_str()?.parse().ok()?;
        differs.then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_user_and_perhaps_a_group() {
        for text in ["www-data", "www-data:adm", "1000:1000"] {
            let account: Account = text.parse().expect("an account");
            assert_eq!(account.to_string(), text);
        }
        for text in ["", ":", "user:", ":group", "a:b:c"] {
            let error = text.parse::<Account>().expect_err(text);
            assert!(matches!(error, PrivilegeError::NoAccount(_)), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_account_is_refused_before_anything_changes() {
        let check = |text: &str, expected: &str| {
            let account: Account = text.parse().expect("an account");
            let error = drop_privileges(&account).expect_err(text);
            assert_eq!(error.to_string(), expected);
        };
        check(
            "root",
            "root is root's: privileges are dropped to an account that has none",
        );
        check(
            "0:0",
            "0:0 is root's: privileges are dropped to an account that has none",
        );
        check(
            "12345:0",
            "12345:0 is root's: privileges are dropped to an account that has none",
        );
        check("no-such-user", "there is no user no-such-user");
        check("12345:no-such-group", "there is no group no-such-group");
        check("4294967295:1", "there is no user 4294967295");
        check(
            "4294967294",
            "user 4294967294 has no entry in the system's database: name a group as well (4294967294:GROUP)",
        );
    }
}
