//! Why a task could not be done, in words for whoever ran it.

use std::fmt;
use std::process::ExitCode;

/// What every task returns: whether what it ran went well, or why it could not run.
pub(crate) type Result<T = bool> = std::result::Result<T, Failure>;

/// A sentence that says what to do, and whose fault it was.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    usage: bool,
}

impl Failure {
    /// Something went wrong outside.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            usage: false,
        }
    }

    /// The command line was wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            usage: true,
        }
    }

    /// As clap and the shell's own commands have it: 2 for a wrong command line.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(format!("{error}; `cargo xtask help` tells more"))
    }
}
