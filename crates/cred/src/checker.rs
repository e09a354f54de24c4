//! Who judges credentials.

use std::{fmt, future::Future, pin::Pin};

use crate::{
    Account, Credentials, Kind, PublicKey, Refused,
    sasl::{ScramHash, ScramKeys, ScramRecord, Takes},
};

/// A boxed future, so that checkers can be `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Judges credentials: Twisted's `ICredentialsChecker`.
///
/// A checker must take as long for a name that it does not know as for one
/// that it does. It refuses the first with [`Refused::Unknown`], so that the
/// checker behind it decides, and the second with [`Refused::Denied`], which is
/// final; the peer is told the same.
///
/// ```
/// use ropewalk_cred::{sasl::Takes, *};
///
/// /// Everybody whose password is their name, backwards.
/// struct Backwards;
///
/// impl Checker for Backwards {
///     fn takes(&self) -> Vec<Takes> {
///         vec![Takes::Passwords]
///     }
///     fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>> {
///         Box::pin(async move {
///             let Credentials::Password(it) = shown else { return Err(Refused::NotTaken) };
///             let wanted = Secret::from(it.user.chars().rev().collect::<String>());
///             if it.password == wanted { Ok(Account::new(&it.user, Kind::Password)) } else { Err(Refused::Denied) }
///         })
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let portal = Portal::new().checker(Backwards);
/// assert_eq!(portal.login(&Credentials::password("alice", "ecila"), None).await?.name, "alice");
/// assert!(portal.login(&Credentials::password("alice", "alice"), None).await.is_err());
/// # Ok::<(), Refused>(())
/// # }).unwrap();
/// ```
pub trait Checker: Send + Sync + 'static {
    /// What it takes at present; servers offer mechanisms by it.
    fn takes(&self) -> Vec<Takes>;

    /// Judges. For kinds that it does not take: [`Refused::NotTaken`].
    ///
    /// Names and passwords come as the [`Portal`](crate::Portal) has prepared
    /// and limited them. Who takes public keys must refuse those that are not
    /// [verified](PublicKey::is_verified).
    fn check<'a>(&'a self, shown: &'a Credentials) -> BoxFuture<'a, Result<Account, Refused>>;

    /// The SCRAM keys of a user; for one who has none, [fake
    /// ones](ScramKeys::fake) that look like the others'.
    fn scram<'a>(
        &'a self,
        user: &'a str,
        hash: ScramHash,
    ) -> BoxFuture<'a, Result<ScramRecord, Refused>> {
        let _ = (user, hash);
        Box::pin(async { Err(Refused::NotTaken) })
    }

    /// Whether a signature by this key would log its user in (RFC 4252,
    /// section 7).
    fn knows_key<'a>(&'a self, key: &'a PublicKey) -> BoxFuture<'a, Result<bool, Refused>> {
        let _ = key;
        Box::pin(async { Ok(false) })
    }
}

impl fmt::Debug for dyn Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker")
            .field("takes", &self.takes())
            .finish()
    }
}

impl Takes {
    /// Whether credentials of this kind are among what is taken.
    pub fn fits(self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Passwords, Kind::Password)
                | (Self::Scram(_), Kind::Scram)
                | (Self::PublicKeys, Kind::PublicKey)
                | (Self::Certificates, Kind::Certificate)
                | (Self::Tokens, Kind::Token)
                | (Self::Anonymous, Kind::Anonymous)
                | (Self::CramMd5, Kind::CramMd5)
        )
    }
}

/// Fake keys of the usual size, where a checker has nobody to take after.
pub(crate) fn nobodys_keys(hash: ScramHash, user: &str, seed: &[u8]) -> ScramRecord {
    ScramRecord {
        keys: ScramKeys::fake(hash, user, seed, 16, ScramHash::ITERATIONS),
        account: None,
    }
}
