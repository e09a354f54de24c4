//! Users files: their lines, and what is wrong with them.
//!
//! ```text
//! # comments and empty lines are kept
//! alice:$argon2id$v=19$m=19456,t=2,p=1$…$…
//! bob:$2y$10$…                              as htpasswd -B writes it
//! carol:{SHA512-CRYPT}$6$…:1000:1000::/home/carol::
//! dave:!$2y$10$…                            locked, as `usermod -L` does it
//! erin:*                                    has no password
//! ```
//!
//! A line is `name:hash`. What follows a third field's colon (Dovecot's uid,
//! gid, home …) is passed over. So a `{PLAIN}` password cannot have a colon, as
//! with Dovecot.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use crate::{PasswordHash, prepare_name};

/// A line, read.
pub(super) enum Line<'a> {
    /// Empty, or a comment.
    Nothing,
    User {
        name: String,
        locked: bool,
        /// None in an account without a password.
        hash: Option<&'a str>,
    },
}

/// Reads a line, but not its hash.
pub(super) fn read(line: &str) -> Result<Line<'_>, String> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.trim().is_empty() || line.trim_start().starts_with('#') {
        return Ok(Line::Nothing);
    }
    // The value may be a password, so it is not shown.
    let (name, rest) = line
        .split_once(':')
        .ok_or("found no colon, expected name:hash")?;
    let hash = rest.split(':').next().unwrap_or_default();
    if hash.is_empty() {
        return Err(format!("found no hash for {name:?}, expected name:hash"));
    }
    let (locked, hash) = match hash.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (hash == "*", hash),
    };
    Ok(Line::User {
        name: read_name(name)?,
        locked,
        hash: Some(hash).filter(|it| !matches!(*it, "" | "*" | "!")),
    })
}

/// A name that a users file can have: as it is compared, with no colon, no
/// leading `#`, no spaces at its ends.
pub(super) fn read_name(name: &str) -> Result<String, String> {
    // Looked at as it will be written: a wide colon becomes a colon when it is
    // prepared, and would begin another field.
    let fits = |name: &String| !name.contains(':') && !name.starts_with('#');
    prepare_name(name).filter(fits).ok_or_else(|| {
        let shown: String = name.chars().take(40).collect();
        format!("found the user name {shown:?}, expected 1 to 255 bytes without a colon, a leading # or spaces at its ends")
    })
}

/// A user, read.
pub(super) struct User {
    pub(super) name: String,
    pub(super) locked: bool,
    pub(super) hash: Option<PasswordHash>,
}

/// All users of a text, in their order, or all lines that are wrong.
pub(super) fn read_all(
    text: &str,
    plaintext: bool,
    ignore_case: bool,
) -> Result<Vec<User>, Vec<BadLine>> {
    let (mut users, mut wrong): (Vec<User>, _) = (Vec::new(), Vec::new());
    let mut first = std::collections::HashMap::new();
    for (number, line) in (1..).zip(text.split('\n')) {
        let user = read(line).and_then(|line| match line {
            Line::Nothing => Ok(None),
            Line::User { name, locked, hash } => {
                let name = if ignore_case {
                    name.to_lowercase()
                } else {
                    name
                };
                let read = if plaintext {
                    PasswordHash::parse_with_plaintext
                } else {
                    PasswordHash::parse
                };
                let hash = hash
                    .map(read)
                    .transpose()
                    .map_err(|error| format!("{name}: {error}"))?;
                match first.insert(name.clone(), number) {
                    Some(first) => Err(format!(
                        "found {name:?} again, expected it once; the first is in line {first}"
                    )),
                    None => Ok(Some(User { name, locked, hash })),
                }
            }
        });
        match user {
            Ok(user) => users.extend(user),
            Err(what) => wrong.push(BadLine { number, what }),
        }
    }
    if wrong.is_empty() {
        Ok(users)
    } else {
        Err(wrong)
    }
}

/// The file's text.
pub(super) fn text_of(path: &Path) -> Result<String, UsersError> {
    fs::read(path)
        .and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
        })
        .map_err(|source| UsersError::Unreadable {
            path: path.to_owned(),
            source,
        })
}

/// A line that is wrong. It shows names and schemes, no hash and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub number: usize,
    /// What was found, and what was expected.
    pub what: String,
}

/// Why a users file cannot be used: the operator's to mend.
#[derive(Debug)]
#[non_exhaustive]
pub enum UsersError {
    /// It is not there, or may not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Some of its lines are wrong. None of it is used: an account that is
    /// missing without a word is worse than a server that does not start.
    Lines {
        /// The file.
        path: PathBuf,
        /// All of them.
        lines: Vec<BadLine>,
    },
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
                write!(
                    f,
                    "users file {}: there is none; expected lines of name:hash (`ropewalk user add --users {0} NAME` makes one)",
                    path.display()
                )
            }
            Self::Unreadable { path, source } => {
                write!(f, "users file {}: {source}", path.display())
            }
            Self::Lines { path, lines } => {
                for (n, line) in lines.iter().take(10).enumerate() {
                    let gap = if n > 0 { "\n" } else { "" };
                    write!(f, "{gap}{}:{}: {}", path.display(), line.number, line.what)?;
                }
                match lines.len().saturating_sub(10) {
                    0 => Ok(()),
                    more => write!(f, "\nand {more} more"),
                }
            }
        }
    }
}

impl std::error::Error for UsersError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Lines { .. } => None,
        }
    }
}
