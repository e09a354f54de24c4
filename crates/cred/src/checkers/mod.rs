//! Checkers that come with the crate.

mod edit;
mod file;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
mod spec;
mod users;

pub use edit::{EditError, ListedUser, NewHash, UsersEditor};
pub use file::{BadLine, UsersError};
pub use memory::{AllowAnonymous, Memory};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresError, PostgresOptions, PostgresUsers};
pub use spec::{CheckerError, checker};
pub use users::{UsersFile, UsersOptions};
