//! Who it turned out to be, and the refusal when it did not.

use std::{error::Error as StdError, sync::Arc, time::Duration};

use crate::Kind;

/// Somebody known.
///
/// It is a name and no more: what an account *has* (a mailbox, a home, a
/// session) belongs to the protocol that asks, which looks it up by this name.
/// Twisted's avatar is that protocol's own type here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The account to act as: what protocols use.
    pub name: String,
    /// Who proved to be there: the same name, unless a
    /// realm let one act as another. For logs.
    pub proven: String,
    /// By what it was proven.
    pub by: Kind,
}

impl Account {
    /// An account, proven by what is of kind `by`.
    pub fn new(name: impl Into<String>, by: Kind) -> Self {
        let name = name.into();
        Self {
            proven: name.clone(),
            name,
            by,
        }
    }

    /// Whether nothing was proven.
    pub fn is_anonymous(&self) -> bool {
        self.by == Kind::Anonymous
    }
}

/// Why somebody was not let in. None of it says whether the user exists.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The name or the proof is wrong; which of them is not said. The peer's
    /// fault. From a [`Checker`](crate::Checker) it is final: the name is one of
    /// its own, and the checkers behind it are not to let it in.
    #[error("the credentials are not valid")]
    Denied,
    /// What a [`Checker`](crate::Checker) says of a name, key or token that is
    /// none of its own, so that the one behind it decides. A portal never says
    /// it: it makes it `Denied`.
    #[error("the credentials are not valid")]
    Unknown,
    /// The proof is right, but the account may not act as the one named
    /// (RFC 4422, section 3.6). The peer's fault.
    #[error("this account may not act as the one named")]
    MayNotActAs,
    /// Nothing here judges credentials of this kind. The operator's choice.
    #[error("credentials of this kind are not taken here")]
    NotTaken,
    /// Too many attempts, or too many at once. Not this attempt's fault.
    #[error("too many attempts; try again in {} s", .retry_after.as_secs().max(1))]
    TooMany {
        /// When it makes sense to come again.
        retry_after: Duration,
    },
    /// The place where accounts are kept did not answer. Ours; protocols tell
    /// the peer to try later.
    #[error("accounts cannot be looked up at present")]
    Unavailable(#[source] Arc<dyn StdError + Send + Sync>),
}

impl Refused {
    /// A checker's own trouble, as a refusal.
    pub fn unavailable(why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(why.into()))
    }

    /// Whether the same attempt may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::TooMany { .. } | Self::Unavailable(_))
    }
}
