//! Changing a users file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::file::{self, Line, UsersError};
use crate::{
    Argon2Cost, CostError, PasswordHash,
    sasl::{ScramHash, ScramKeys},
};

/// How new passwords are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NewHash {
    /// As argon2id: the hardest to guess if the file is lost. Clients log in by
    /// PLAIN or LOGIN, within TLS.
    Argon2id(Argon2Cost),
    /// As SCRAM-SHA-256 keys, of so many iterations: the server never sees the
    /// password, but the file is quicker to guess from. SCRAM is offered once
    /// all users have such keys.
    ScramSha256 {
        /// [`ScramHash::ITERATIONS`], or more.
        iterations: u32,
    },
}

impl Default for NewHash {
    fn default() -> Self {
        Self::Argon2id(Argon2Cost::default())
    }
}

/// A user of a file, without the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedUser {
    /// The name.
    pub name: String,
    /// The scheme of the hash ([`PasswordHash::scheme`]); `plain` for a
    /// password in the clear, and none where there is no hash to read.
    pub scheme: Option<&'static str>,
    /// Whether the user is locked out.
    pub locked: bool,
}

/// A users file in hand: `ropewalk user`. Comments, order, and lines that are
/// not touched stay as they are.
///
/// Nothing is written before [`save`](Self::save), which replaces the file
/// as a whole: a reader sees the old one or the new one. Until it is dropped, an
/// editor holds a lock on the file's folder, and another waits.
///
/// It blocks; keep it off async threads.
///
/// ```
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("users");
/// use ropewalk_cred::*;
/// let quick = NewHash::Argon2id(Argon2Cost::default().memory_kib(64));     // for the example only
/// let mut editor = UsersEditor::open_or_create(&path)?;
/// editor.add("alice", b"secret", quick)?;
/// editor.save()?;
/// assert_eq!(editor.names().collect::<Vec<_>>(), ["alice"]);
/// let users = UsersFile::open(&path, UsersOptions::default())?;
/// assert_eq!(users.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct UsersEditor {
    path: PathBuf,
    lines: Vec<(Option<String>, Zeroizing<String>)>,
    /// Its lock ends with it.
    _folder: File,
}

impl UsersEditor {
    /// Opens a file that there is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EditError> {
        Self::begin(path.as_ref(), false)
    }

    /// Opens a file, or begins one, which only its owner may read.
    pub fn open_or_create(path: impl AsRef<Path>) -> Result<Self, EditError> {
        Self::begin(path.as_ref(), true)
    }

    fn begin(path: &Path, create: bool) -> Result<Self, EditError> {
        let failed = |source| {
            EditError::File(UsersError::Unreadable {
                path: path.to_owned(),
                source,
            })
        };
        // A symbolic link is followed, or it would be replaced by a file.
        let path = match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => path.to_owned(),
            other => other.map_err(failed)?,
        };
        let folder = File::open(folder_of(&path)).map_err(failed)?;
        folder.lock().map_err(failed)?;
        let text = Zeroizing::new(match file::text_of(&path) {
            Err(UsersError::Unreadable { source, .. })
                if create && source.kind() == io::ErrorKind::NotFound =>
            {
                String::new()
            }
            other => other?,
        });
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            match file::read(line) {
                Ok(Line::Nothing) => lines.push((None, line.to_owned().into())),
                Ok(Line::User { name, .. }) => lines.push((Some(name), line.to_owned().into())),
                Err(what) => wrong.push(file::BadLine { number, what }),
            }
        }
        if !wrong.is_empty() {
            return Err(UsersError::Lines { path, lines: wrong }.into());
        }
        Ok(Self {
            path,
            lines,
            _folder: folder,
        })
    }

    /// The users, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|(name, _)| name.as_deref())
    }

    /// Whether there is a user of this name.
    ///
    /// # Errors
    /// [`EditError::Name`] if no user can have it.
    pub fn has(&self, name: &str) -> Result<bool, EditError> {
        let name = file::read_name(name).map_err(EditError::Name)?;
        Ok(self.names().any(|it| it == name))
    }

    /// The users in the file's order, and how the password of each is kept.
    ///
    /// # Errors
    /// [`EditError::File`] with the lines whose hash cannot be read. An editor
    /// leaves them as they are, and no server would read them.
    pub fn users(&self) -> Result<Vec<ListedUser>, EditError> {
        let lines: Vec<&str> = self.lines.iter().map(|(_, line)| line.as_str()).collect();
        let text = Zeroizing::new(lines.join("\n"));
        let users = file::read_all(&text, true, false).map_err(|lines| UsersError::Lines {
            path: self.path.clone(),
            lines,
        })?;
        let listed = |user: file::User| ListedUser {
            scheme: user.hash.as_ref().map(PasswordHash::scheme),
            name: user.name,
            locked: user.locked,
        };
        Ok(users.into_iter().map(listed).collect())
    }

    /// Adds a user.
    pub fn add(&mut self, name: &str, password: &[u8], hash: NewHash) -> Result<(), EditError> {
        let name = file::read_name(name).map_err(EditError::Name)?;
        if self.names().any(|it| it == name) {
            return Err(EditError::Exists(name));
        }
        let line = line(&name, password, hash)?;
        self.lines.push((Some(name), line));
        Ok(())
    }

    /// Gives a user another password. Fields after the hash stay, and a lock too.
    pub fn passwd(&mut self, name: &str, password: &[u8], hash: NewHash) -> Result<(), EditError> {
        let name = file::read_name(name).map_err(EditError::Name)?;
        let fresh = line(&name, password, hash)?;
        let mut found = false;
        for (_, line) in self
            .lines
            .iter_mut()
            .filter(|(it, _)| it.as_ref() == Some(&name))
        {
            let (_, old, rest) = fields(line);
            let mut new = Zeroizing::new(format!("{}{rest}", *fresh));
            if old.starts_with('!') {
                new.insert(name.len() + 1, '!');
            }
            *line = new;
            found = true;
        }
        if found {
            Ok(())
        } else {
            Err(EditError::Unknown(name))
        }
    }

    /// Locks a user out, or lets one in again with the password there was, by a
    /// `!` before the hash.
    pub fn lock(&mut self, name: &str, locked: bool) -> Result<(), EditError> {
        let name = file::read_name(name).map_err(EditError::Name)?;
        let mut found = false;
        for (_, line) in self
            .lines
            .iter_mut()
            .filter(|(it, _)| it.as_ref() == Some(&name))
        {
            let (shown, hash, rest) = fields(line);
            let hash = hash.strip_prefix('!').unwrap_or(hash);
            let mark = match (locked, hash) {
                (true, _) => "!",
                // Nothing is behind the mark: an account without a password.
                (false, "") => "*",
                (false, _) => "",
            };
            *line = Zeroizing::new(format!("{shown}:{mark}{hash}{rest}"));
            found = true;
        }
        if found {
            Ok(())
        } else {
            Err(EditError::Unknown(name))
        }
    }

    /// Removes a user.
    pub fn remove(&mut self, name: &str) -> Result<(), EditError> {
        let name = file::read_name(name).map_err(EditError::Name)?;
        let before = self.lines.len();
        self.lines.retain(|(it, _)| it.as_ref() != Some(&name));
        if self.lines.len() < before {
            Ok(())
        } else {
            Err(EditError::Unknown(name))
        }
    }

    /// Writes the file: beside the old one, to the disk, then in its place.
    /// Owner and mode stay.
    pub fn save(&self) -> Result<(), EditError> {
        let failed = |source| EditError::Write {
            path: self.path.clone(),
            source,
        };
        let mut text = Zeroizing::new(String::new());
        for (_, line) in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        // Mode 0600 until it is known to be otherwise.
        let mut new = tempfile::Builder::new()
            .prefix(".users-")
            .tempfile_in(folder_of(&self.path))
            .map_err(failed)?;
        new.write_all(text.as_bytes()).map_err(failed)?;
        if let Ok(old) = fs::metadata(&self.path) {
            keep_owner(new.as_file(), &old).map_err(failed)?;
            new.as_file()
                .set_permissions(old.permissions())
                .map_err(failed)?;
        }
        new.as_file().sync_all().map_err(failed)?;
        new.persist(&self.path)
            .map_err(|error| failed(error.error))?;
        self._folder.sync_all().map_err(failed)
    }
}

/// A server that runs as another user must still be able to read it.
fn keep_owner(new: &File, old: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let fresh = new.metadata()?;
    if (fresh.uid(), fresh.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(new, Some(old.uid()), Some(old.gid()))
}

fn line(name: &str, password: &[u8], hash: NewHash) -> Result<Zeroizing<String>, EditError> {
    if password.is_empty() || password.len() > crate::LONGEST_PASSWORD {
        return Err(EditError::Password);
    }
    let hash = match hash {
        NewHash::Argon2id(cost) => cost.hash(password)?,
        NewHash::ScramSha256 { iterations } => {
            let iterations = iterations.clamp(ScramKeys::FEWEST, ScramKeys::MOST);
            format!(
                "{{SCRAM-SHA-256}}{}",
                ScramKeys::generate(ScramHash::Sha256, password, iterations).to_text()
            )
        }
    };
    Ok(format!("{name}:{hash}").into())
}

/// A user's name, hash, and the fields behind it with their colon.
fn fields(line: &str) -> (&str, &str, &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    let (hash, rest) = value.split_at(value.find(':').unwrap_or(value.len()));
    (name, hash, rest)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Why a users file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] UsersError),
    /// It cannot be written.
    #[error("users file {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is such a user already.
    #[error("user {0:?} exists; expected a new name")]
    Exists(String),
    /// There is no such user.
    #[error("found no user {0:?}; expected the name of one in the file")]
    Unknown(String),
    /// No user can have that name.
    #[error("{0}")]
    Name(String),
    /// No user can have that password.
    #[error("expected a password of 1 to 1024 bytes")]
    Password,
    /// The cost of the hash is out of bounds.
    #[error(transparent)]
    Cost(#[from] CostError),
}
