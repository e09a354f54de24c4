//! Checkers by a string, for configurations and command lines: Twisted's
//! `strcred`.

use std::sync::Arc;

use crate::{AllowAnonymous, Checker, Memory, UsersError, UsersFile, UsersOptions, prepare_name};

/// A checker as a string says it:
///
/// - `file:PATH`: a [`UsersFile`];
/// - `memory:NAME:PASSWORD`, and more pairs: [`Memory`], for tests, since others
///   read command lines;
/// - `anonymous`: [`AllowAnonymous`];
/// - `postgres:CONNECTION`, with that feature: `PostgresUsers`, by its default
///   query.
///
/// This may read a file, and so block.
///
/// ```
/// use ropewalk_cred::*;
/// let portal = Portal::new()
///     .shared_checker(checker("memory:alice:secret:bob:battery")?)
///     .shared_checker(checker("anonymous")?);
/// let error = checker("file:").unwrap_err().to_string();
/// assert_eq!(error, "checker \"file:\": found no path, expected file:PATH");
/// # Ok::<(), CheckerError>(())
/// ```
pub fn checker(text: &str) -> Result<Arc<dyn Checker>, CheckerError> {
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    // What stands behind the colon may be a password.
    let wrong = |what| CheckerError::Text {
        shown: format!("{}:", kind.chars().take(40).collect::<String>()),
        what,
    };
    match kind {
        "anonymous" if rest.is_empty() => Ok(Arc::new(AllowAnonymous)),
        "anonymous" => Err(wrong("found more, expected anonymous alone")),
        "file" if rest.is_empty() => Err(wrong("found no path, expected file:PATH")),
        "file" => Ok(Arc::new(UsersFile::open(rest, UsersOptions::default())?)),
        "memory" => {
            let parts: Vec<_> = rest.split(':').collect();
            let mut memory = Memory::new();
            for pair in parts.chunks(2) {
                match pair {
                    [name, password] if prepare_name(name).is_some() && !password.is_empty() => {
                        memory = memory.user(name, *password);
                    }
                    _ => return Err(wrong("expected memory:NAME:PASSWORD, and more pairs")),
                }
            }
            Ok(Arc::new(memory))
        }
        #[cfg(feature = "postgres")]
        "postgres" => {
            let options = super::PostgresOptions::default();
            Ok(Arc::new(super::PostgresUsers::new(rest, options)?))
        }
        _ => Err(wrong(
            "expected file:PATH, memory:NAME:PASSWORD or anonymous",
        )),
    }
}

/// Why a string is no checker: the operator's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckerError {
    /// It is of no kind that there is, or lacks something.
    #[error("checker {shown:?}: {what}")]
    Text {
        /// Its kind; what stands behind it may be secret.
        shown: String,
        /// What was found, and what was expected.
        what: &'static str,
    },
    /// Its users file cannot be used.
    #[error(transparent)]
    Users(#[from] UsersError),
    /// Its database cannot be asked.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] super::PostgresError),
}
