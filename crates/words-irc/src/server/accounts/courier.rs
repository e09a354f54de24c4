//! Who brings codes to those who register.

use ropewalk_core::BoxFuture;

/// Brings a letter to a mail address. This crate has none: a program that can
/// send mail makes one, by a relay or by a program.
///
/// ```
/// use ropewalk_words_irc::server::accounts::{Courier, CourierError, Letter};
///
/// /// Writes codes into the log, for trying things out.
/// struct Log;
///
/// impl Courier for Log {
///     fn bring(&self, letter: Letter) -> ropewalk_core::BoxFuture<'_, Result<(), CourierError>> {
///         Box::pin(async move {
///             tracing::info!(account = letter.account, code = letter.code, "a letter");
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait Courier: Send + Sync + 'static {
    /// Brings it, or hands it to somebody who will.
    fn bring(&self, letter: Letter) -> BoxFuture<'_, Result<(), CourierError>>;
}

/// What is to be brought.
#[derive(Clone)]
#[non_exhaustive]
pub struct Letter {
    /// The account that is to be verified.
    pub account: String,
    /// Where to.
    pub email: String,
    /// What its owner is to give to `VERIFY`.
    pub code: String,
}

impl Letter {
    pub(super) fn new(account: &str, email: String, code: &str) -> Self {
        Self {
            account: account.to_owned(),
            email,
            code: code.to_owned(),
        }
    }
}

/// Without the code.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter")
            .field("account", &self.account)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

/// It could not be brought.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CourierError(pub String);
