//! `ropewalk user`: who may log in, in a users file.
//!
//! The file and its editing are of `ropewalk-cred`; here are the arguments, and the asking for
//! passwords, which are never arguments: those can be seen by every account of the machine.

mod terminal;

use std::{
    io::{self, BufRead as _, Read as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use ropewalk_cred::{EditError, LONGEST_PASSWORD, ListedUser, NewHash, UsersEditor, UsersError};
use terminal::Silent;
use zeroize::Zeroizing;

use crate::{failure::Failure, listen::say};

/// The arguments of `ropewalk user`.
#[derive(Args)]
pub(crate) struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Add a user; the first one makes the file, which only its owner may read
    Add(Password),
    /// Give a user another password
    Passwd(Password),
    /// Remove a user
    Remove(Name),
    /// List the users, and how the password of each is kept
    List(List),
}

#[derive(Args)]
struct Name {
    /// The users file: lines of name:hash
    #[arg(long, value_name = "FILE")]
    users: PathBuf,

    /// The user's name
    name: String,
}

#[derive(Args)]
struct Password {
    #[command(flatten)]
    user: Name,

    /// Read the password from standard input, one line, instead of asking for it at the terminal
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Args)]
struct List {
    /// The users file: lines of name:hash
    #[arg(long, value_name = "FILE")]
    users: PathBuf,

    /// List in JSON, one object a line
    #[arg(long)]
    json: bool,
}

impl User {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Add(args) => {
                let Name { users, name } = &args.user;
                let password = args.password(users, |editor| match editor.has(name)? {
                    true => Err(EditError::Exists(name.clone())),
                    false => Ok(()),
                })?;
                edit(users, true, |editor| {
                    editor.add(name, &password, NewHash::default())
                })
            }
            Action::Passwd(args) => {
                let Name { users, name } = &args.user;
                let password = args.password(users, |editor| match editor.has(name)? {
                    true => Ok(()),
                    false => Err(EditError::Unknown(name.clone())),
                })?;
                edit(users, false, |editor| {
                    editor.passwd(name, &password, NewHash::default())
                })
            }
            Action::Remove(Name { users, name }) => {
                edit(&users, false, |editor| editor.remove(&name))
            }
            Action::List(List { users, json }) => list(&users, json),
        }
    }
}

impl Password {
    /// The new password, from standard input or from the terminal. Who types is first told what is
    /// wrong with the name; the file is not held meanwhile, so it is looked at again afterwards.
    fn password(
        &self,
        users: &Path,
        check: impl FnOnce(&UsersEditor) -> Result<(), EditError>,
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        if self.password_stdin {
            return from_stdin();
        }
        // A file that is not there is for the edit to make, or to miss.
        if users.exists() {
            UsersEditor::open(users)
                .and_then(|editor| check(&editor))
                .map_err(|error| failure(users, error))?;
        }
        from_terminal()
    }
}

/// Changes the file, while no other editor does.
fn edit(
    users: &Path,
    create: bool,
    change: impl FnOnce(&mut UsersEditor) -> Result<(), EditError>,
) -> Result<(), Failure> {
    let edit = || {
        let mut editor = match create {
            true => UsersEditor::open_or_create(users)?,
            false => UsersEditor::open(users)?,
        };
        change(&mut editor)?;
        editor.save()
    };
    edit().map_err(|error| failure(users, error))
}

fn list(users: &Path, json: bool) -> Result<(), Failure> {
    let users = UsersEditor::open(users)
        .and_then(|editor| editor.users())
        .map_err(|error| failure(users, error))?;
    let line = |user: ListedUser| {
        let ListedUser {
            name,
            scheme,
            locked,
            ..
        } = user;
        if json {
            let line = serde_json::json!({ "name": name, "scheme": scheme, "locked": locked });
            return format!("{line}\n");
        }
        let locked = if locked { "\tlocked" } else { "" };
        format!("{name}\t{}{locked}\n", scheme.unwrap_or("none"))
    };
    say(&users.into_iter().map(line).collect::<String>());
    Ok(())
}

/// One line of standard input, without its end.
fn from_stdin() -> Result<Zeroizing<Vec<u8>>, Failure> {
    // The longest one, the end of its line, and one more byte that shows what is too long.
    let most = u64::try_from(LONGEST_PASSWORD).unwrap_or(u64::MAX) + 3;
    let mut line = Zeroizing::new(Vec::new());
    let mut input = io::stdin().lock().take(most);
    input
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::run(format!("standard input: {error}")))?;
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    }
    Ok(line)
}

/// What is typed, twice the same.
fn from_terminal() -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut terminal = Silent::open().map_err(|error| {
        let why = format!("no terminal to ask for the password ({error})");
        Failure::arguments(format!("{why}, expected one, or --password-stdin"))
    })?;
    let mut ask = |prompt| match terminal.ask(prompt) {
        Ok(typed) => Ok(typed),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            Err(Failure::run("interrupted; nothing was changed"))
        }
        Err(error) => Err(Failure::run(format!("terminal: {error}"))),
    };
    let password = ask("New password: ")?;
    let again = ask("Again: ")?;
    match password == again {
        true => Ok(password),
        false => Err(Failure::run(
            "the two passwords differ; nothing was changed",
        )),
    }
}

/// Why the file was not changed: by whose fault.
fn failure(users: &Path, error: EditError) -> Failure {
    let users = users.display();
    match error {
        // It names the file and the line itself, in a line for each.
        EditError::File(error @ (UsersError::Unreadable { .. } | UsersError::Lines { .. })) => {
            Failure::Files(error.to_string().lines().map(str::to_owned).collect())
        }
        EditError::Name(why) => Failure::arguments(format!("NAME: {why}")),
        EditError::Password => Failure::arguments(error),
        EditError::Exists(_) | EditError::Unknown(_) => {
            Failure::run(format!("users file {users}: {error}"))
        }
        error => Failure::run(error),
    }
}
