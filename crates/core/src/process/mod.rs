//! Programs as peers: a child's standard streams, or a terminal, as a
//! connection; its signals, and how it ended.
//!
//! An `exec:` endpoint starts a command in one string. This is the same with
//! everything that a string does not say: environment, folder, account, where
//! the errors go, a terminal. [`Command::output`] runs one to its end; as a
//! [service](crate::service), one is kept running.
//!
//! No shell is involved anywhere; whoever wants one names it.
//!
//! ```
//! # ropewalk_core::testing::run_in_real_time(async {
//! use ropewalk_core::process::Command;
//!
//! let sorted = Command::new("sort").output("beta\nalpha\n").await?;
//! assert_eq!(sorted.text(), "alpha\nbeta\n");
//! # Ok::<(), ropewalk_core::Error>(())
//! # }).unwrap();
//! ```

mod child;
mod monitor;
mod output;
mod terminal;

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

pub(crate) use child::Child;
pub use child::Process;

pub use output::Output;
pub use terminal::Terminal;
pub use tokio::signal::unix::SignalKind;

use tokio::process::ChildStderr;

use crate::{Address, Connection, Peer, Stream, schemes::SYSTEMD_VARIABLES};

/// A program that cannot be run, or did not run as it was to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It cannot be started: there is no such program, or it may not be run.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It said more than it may; it was killed.
    #[error("{program} said more than {limit} bytes; raise the limit if it may")]
    TooMuchOutput {
        /// The program.
        program: String,
        /// What was allowed, in bytes.
        limit: usize,
    },
    /// It did not end in time; it was killed.
    #[error("{program} did not end within {after:?}")]
    TimedOut {
        /// The program.
        program: String,
        /// The time it had.
        after: Duration,
    },
    /// It ended with a status other than success.
    #[error("{program} ended: {status}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// It has ended already, and cannot be told anything.
    #[error("the process has ended")]
    Ended,
    /// What the system said otherwise.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where a program's standard error goes. In a terminal it goes there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stderr {
    /// Where ours goes.
    #[default]
    Inherit,
    /// To its standard output, in the order written.
    Join,
    /// To the log, a line each, at the level `info` with the program and its
    /// number. A line is cut at 8 KiB.
    Log,
    /// Nowhere.
    Discard,
}

/// What to run, and how. Cheap to clone, and can be started again and again.
#[derive(Clone, Debug)]
pub struct Command {
    program: OsString,
    args: Vec<OsString>,
    /// None takes a variable away.
    variables: Vec<(OsString, Option<OsString>)>,
    bare: bool,
    folder: Option<PathBuf>,
    account: Option<(u32, u32)>,
    own_group: bool,
    stderr: Stderr,
    terminal: Option<Terminal>,
    limit: usize,
    deadline: Option<Duration>,
}

impl Command {
    /// A program, by its path or by a name that is looked for in `PATH`. It
    /// gets our environment, folder and account.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            variables: Vec::new(),
            bare: false,
            folder: None,
            account: None,
            own_group: false,
            stderr: Stderr::Inherit,
            terminal: None,
            limit: output::LIMIT,
            deadline: None,
        }
    }

    /// With one more argument, as it is.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.args.push(argument.into());
        self
    }

    /// With more arguments, as they are.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), Some(value.into())));
        self
    }

    /// Without a variable of our environment.
    #[must_use]
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), None));
        self
    }

    /// With nothing of our environment, but what is set by [`env`](Self::env).
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// In this folder.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// As this user and group, and in no other group; takes the right to do so.
    #[must_use]
    pub fn account(mut self, uid: u32, gid: u32) -> Self {
        self.account = Some((uid, gid));
        self
    }

    /// In a process group of its own, so that signals, and its end, reach
    /// whatever it has started as well. A Ctrl-C in our terminal then does
    /// not reach it. In a [`terminal`](Self::terminal) it always is.
    #[must_use]
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Where its standard error goes. Default [`Stderr::Inherit`].
    #[must_use]
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.stderr = stderr;
        self
    }

    /// In a terminal of its own instead of pipes: what it writes to any of its
    /// standard streams comes to us, as a terminal would show it (lines end
    /// in CR LF, and what we write comes back as an echo).
    #[must_use]
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// Bytes that [`output`](Self::output) takes of each of its streams.
    /// Default 1 MiB.
    #[must_use]
    pub fn limit(mut self, bytes: usize) -> Self {
        self.limit = bytes;
        self
    }

    /// Time that [`output`](Self::output) gives it. Default none: a time-out
    /// is the caller's to choose.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Starts it. What we write to the connection is its standard input, what
    /// we read its standard output; a [`Protocol`](crate::Protocol) on it
    /// ends with [`Closed::Exit`](crate::Closed::Exit).
    ///
    /// It is killed when both the connection and the last [`Process`] are
    /// dropped.
    ///
    /// # Errors
    /// [`ProcessError::Start`].
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn spawn(&self) -> Result<(Process, Connection), ProcessError> {
        let (process, child) = self.launch().map_err(|source| ProcessError::Start {
            program: self.program_name(),
            source,
        })?;
        let peer = Peer::new(Address::Process(self.to_string().into()));
        let connection = Connection::new(Stream::from(child), peer, Address::Stdio);
        Ok((process, connection))
    }

    pub(crate) fn launch(&self) -> io::Result<(Process, Child)> {
        if let Some(terminal) = &self.terminal {
            return terminal.start(self.command());
        }
        let (process, child, stderr) = self.start_with_pipes(false)?;
        if let Some(stderr) = stderr {
            tokio::spawn(child::log_lines(
                self.program_name(),
                process.watch(),
                stderr,
            ));
        }
        Ok((process, child))
    }

    /// Starts it with pipes. Its standard error comes back where it is to be
    /// logged; with `captured`, also where it would be inherited.
    fn start_with_pipes(
        &self,
        captured: bool,
    ) -> io::Result<(Process, Child, Option<ChildStderr>)> {
        let mut command = self.command();
        command.stdin(Stdio::piped());
        let joined = match self.stderr {
            Stderr::Join => {
                let (ours, theirs) = io::pipe()?;
                command.stdout(theirs.try_clone()?).stderr(theirs);
                Some(ours)
            }
            how => {
                command.stdout(Stdio::piped()).stderr(match how {
                    Stderr::Discard => Stdio::null(),
                    Stderr::Inherit if !captured => Stdio::inherit(),
                    _ => Stdio::piped(),
                });
                None
            }
        };
        if self.own_group {
            command.process_group(0);
        }
        let mut child = command.spawn()?;
        // Our copies of the child's end of the pipe go with it.
        drop(command);
        let ends = child::Ends::of(&mut child, joined)?;
        let stderr = child.stderr.take();
        let process = Process::new(child, self.own_group, None);
        Ok((process.clone(), Child::new(process, ends), stderr))
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args);
        if self.bare {
            command.env_clear();
        }
        // Sockets that were passed to this process are none of a child's.
        for name in SYSTEMD_VARIABLES {
            command.env_remove(name);
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some((uid, gid)) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// The program without the way to it and its arguments, which may hold
    /// secrets.
    fn program_name(&self) -> String {
        let path = std::path::Path::new(&self.program);
        path.file_name()
            .unwrap_or(&self.program)
            .to_string_lossy()
            .into_owned()
    }
}

/// The program and its arguments, as a shell would need them.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = std::iter::once(&self.program).chain(&self.args);
        for (n, word) in words.enumerate() {
            if n > 0 {
                f.write_str(" ")?;
            }
            let word = word.to_string_lossy();
            f.write_str(&shlex::try_quote(&word).unwrap_or_else(|_| word.clone()))?;
        }
        Ok(())
    }
}

impl<S: AsRef<OsStr> + ?Sized> From<&S> for Command {
    fn from(program: &S) -> Self {
        Self::new(program)
    }
}

/// How a process ended, once it has; shared by all who ask.
type Exit = futures_util::future::Shared<crate::BoxFuture<'static, ExitStatus>>;
