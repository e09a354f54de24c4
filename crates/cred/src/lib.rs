//! Who is asking: credentials, what judges them, and the mechanisms by which
//! they come over the wire.
#![forbid(unsafe_code)]

mod account;
#[cfg(feature = "checkers")]
mod backoff;
#[cfg(feature = "checkers")]
mod checker;
#[cfg(feature = "checkers")]
mod checkers;
mod credentials;
#[cfg(feature = "checkers")]
mod hash;
#[cfg(feature = "checkers")]
mod pool;
#[cfg(feature = "checkers")]
mod portal;
mod prepare;
pub mod sasl;
mod secret;

pub use account::{Account, Refused};
#[cfg(feature = "checkers")]
pub use backoff::{Backoff, BackoffOptions};
#[cfg(feature = "checkers")]
pub use checker::{BoxFuture, Checker};
#[cfg(feature = "checkers")]
pub use checkers::{
    AllowAnonymous, BadLine, EditError, Memory, NewHash, UsersEditor, UsersError, UsersFile,
    UsersOptions,
};
pub use credentials::{
    Anonymous, Certificate, CramMd5, Credentials, Kind, Password, PublicKey, ScramProof, Token,
};
#[cfg(feature = "checkers")]
pub use hash::{Argon2Cost, CostError, HashError, PasswordHash};
#[cfg(feature = "checkers")]
pub use pool::{HashLimits, HashPool};
#[cfg(feature = "checkers")]
pub use portal::{OnlyOneself, Portal, Realm};
pub use prepare::{LONGEST_NAME, LONGEST_PASSWORD, prepare_name, prepare_password};
pub use secret::Secret;
