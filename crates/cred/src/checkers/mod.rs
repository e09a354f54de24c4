//! Checkers that come with the crate.

mod edit;
mod file;
mod memory;
mod users;

pub use edit::{EditError, NewHash, UsersEditor};
pub use file::{BadLine, UsersError};
pub use memory::{AllowAnonymous, Memory};
pub use users::{UsersFile, UsersOptions};
