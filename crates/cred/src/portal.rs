//! The door: credentials in, an account out.

use std::{net::IpAddr, sync::Arc};

use crate::{
    Account, Backoff, BoxFuture, Checker, Credentials, PublicKey, Refused,
    prepare::LONGEST_PASSWORD,
    prepare_name,
    sasl::{Answer, Question, ScramHash, ScramRecord, Takes},
};

/// Checkers in their order, back-off, and a [`Realm`]: Twisted's `Portal`.
///
/// ```
/// use ropewalk_cred::*;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let portal = Portal::new().checker(Memory::new().user("alice", "secret"));
/// let account = portal.login(&Credentials::password("alice", "secret"), Some("192.0.2.1".parse()?)).await?;
/// assert_eq!(account.name, "alice");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Portal {
    checkers: Vec<Arc<dyn Checker>>,
    backoff: Backoff,
    realm: Box<dyn Realm>,
}

/// Says as which account somebody who has proven to be `who` goes on: Twisted's
/// `IRealm`, without the avatar, which each protocol makes for itself.
///
/// It is a trait because there is a decision to make, and in one place: whether
/// one may act as another (SASL's authorization identity: a secretary, an
/// administrator, a proxy), and whether an account is closed at present. The
/// realm of a portal that is given none is [`OnlyOneself`].
///
/// ```
/// use ropewalk_cred::*;
///
/// /// `root` may act as anybody.
/// struct Root;
///
/// impl Realm for Root {
///     fn admit<'a>(&'a self, who: Account, act_as: Option<&'a str>) -> BoxFuture<'a, Result<Account, Refused>> {
///         Box::pin(async move {
///             let Some(wanted) = act_as.filter(|_| who.proven == "root") else {
///                 return OnlyOneself.admit(who, act_as).await;
///             };
///             let mut account = who;
///             account.name = wanted.to_owned();
///             Ok(account)
///         })
///     }
/// }
/// let portal = Portal::new().realm(Root);
/// ```
pub trait Realm: Send + Sync + 'static {
    /// The account to go on as; [`Refused::MayNotActAs`] if that is not allowed.
    /// `act_as` is prepared.
    fn admit<'a>(
        &'a self,
        who: Account,
        act_as: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Account, Refused>>;
}

impl std::fmt::Debug for dyn Realm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Realm")
    }
}

/// Nobody may act as another.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnlyOneself;

impl Realm for OnlyOneself {
    fn admit<'a>(
        &'a self,
        who: Account,
        act_as: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Account, Refused>> {
        let same = act_as.is_none_or(|name| name == who.name);
        Box::pin(async move {
            if same {
                Ok(who)
            } else {
                Err(Refused::MayNotActAs)
            }
        })
    }
}

impl Portal {
    /// A portal that lets nobody in, with back-off as it is by default.
    pub fn new() -> Self {
        Self {
            checkers: Vec::new(),
            backoff: Backoff::default(),
            realm: Box::new(OnlyOneself),
        }
    }

    /// The same with one more checker, asked after those before it.
    pub fn checker(self, checker: impl Checker) -> Self {
        self.shared_checker(Arc::new(checker))
    }

    /// The same with a checker that somebody else keeps too, to reload it say.
    pub fn shared_checker(mut self, checker: Arc<dyn Checker>) -> Self {
        self.checkers.push(checker);
        self
    }

    /// The same with another back-off.
    pub fn backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same with another realm.
    pub fn realm(self, realm: impl Realm) -> Self {
        Self {
            realm: Box::new(realm),
            ..self
        }
    }

    /// What its checkers take: all that any does, but SCRAM and CRAM-MD5 only
    /// if all that take passwords do, since clients choose them first.
    pub fn takes(&self) -> Vec<Takes> {
        let all: Vec<_> = self.checkers.iter().map(|it| it.takes()).collect();
        let mut union = all.concat();
        union.sort();
        union.dedup();
        union.retain(|take| match take {
            Takes::Scram(_) | Takes::CramMd5 => all
                .iter()
                .all(|each| each.contains(take) || !each.contains(&Takes::Passwords)),
            _ => true,
        });
        union
    }

    /// Lets somebody in, or not.
    ///
    /// Checkers that take the kind are asked in their order until one says yes.
    /// One that says [`Refused::Denied`] does not hinder the next; a failure so
    /// costs the same whoever was named. Failures of what can be guessed count
    /// for back-off. The wait comes before the judgement, so a right guess waits
    /// as long as a wrong one. What one peer can try before its first failure is
    /// known is bounded by its connections (`Limits::per_peer` of the engine)
    /// and by the [`HashPool`](crate::HashPool).
    pub async fn login(
        &self,
        shown: &Credentials,
        peer: Option<IpAddr>,
    ) -> Result<Account, Refused> {
        let shown = prepared(shown)?;
        let guessable = match shown {
            Credentials::Password(_)
            | Credentials::Scram(_)
            | Credentials::CramMd5(_)
            | Credentials::Token(_) => true,
            // Nobody guesses a key; and SSH clients show one after the other.
            Credentials::PublicKey(_) | Credentials::Certificate(_) | Credentials::Anonymous(_) => {
                false
            }
        };
        if guessable {
            let wait = self.backoff.wait(shown.user(), peer)?;
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let known = self.judge(&shown).await;
        match &known {
            Ok(_) if guessable => {
                if let Some(user) = shown.user() {
                    self.backoff.succeeded(user);
                }
            }
            Err(Refused::Denied) if guessable => self.backoff.failed(shown.user(), peer),
            _ => {}
        }
        let act_as = shown
            .act_as()
            .map(|name| prepare_name(name).ok_or(Refused::MayNotActAs))
            .transpose()?;
        self.realm.admit(known?, act_as.as_deref()).await
    }

    async fn judge(&self, shown: &Credentials) -> Result<Account, Refused> {
        // The proof was compared with the keys that a checker gave.
        if let Credentials::Scram(proof) = shown {
            return proof.account().cloned().ok_or(Refused::Denied);
        }
        let mut refused = Refused::NotTaken;
        for checker in &self.checkers {
            if !checker.takes().iter().any(|it| it.fits(shown.kind())) {
                continue;
            }
            match checker.check(shown).await {
                Ok(account) => return Ok(account),
                // Trouble is told rather than a no that it may have caused.
                Err(Refused::NotTaken) => {}
                Err(error) if !refused.is_temporary() => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// The SCRAM keys of a user: of the first checker that has some, else the
    /// first's fake ones.
    pub async fn scram(&self, user: &str, hash: ScramHash) -> Result<ScramRecord, Refused> {
        let user = prepare_name(user).ok_or(Refused::Denied)?;
        let mut found: Option<ScramRecord> = None;
        for checker in &self.checkers {
            if !checker.takes().contains(&Takes::Scram(hash)) {
                continue;
            }
            let record = checker.scram(&user, hash).await?;
            if found
                .as_ref()
                .is_none_or(|it| it.account.is_none() && record.account.is_some())
            {
                found = Some(record);
            }
        }
        found.ok_or(Refused::NotTaken)
    }

    /// Whether it makes sense to ask for a signature by this key.
    pub async fn knows_key(&self, key: &PublicKey) -> Result<bool, Refused> {
        for checker in &self.checkers {
            if checker.knows_key(key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The answer to what a SASL exchange asks.
    pub async fn answer(&self, question: &Question, peer: Option<IpAddr>) -> Answer {
        match question {
            Question::Login(shown) => Answer::Login(self.login(shown, peer).await),
            Question::Scram { user, hash } => Answer::Scram(self.scram(user, *hash).await),
        }
    }
}

impl Default for Portal {
    fn default() -> Self {
        Self::new()
    }
}

/// The same credentials with the name prepared; refused if they are beyond the
/// limits, before anybody hashes them.
fn prepared(shown: &Credentials) -> Result<Credentials, Refused> {
    let mut shown = shown.clone();
    let name = match &mut shown {
        Credentials::Password(it) if it.password.len() > LONGEST_PASSWORD => {
            return Err(Refused::Denied);
        }
        Credentials::PublicKey(it) if !it.is_verified() => return Err(Refused::Denied),
        Credentials::Password(it) => &mut it.user,
        Credentials::CramMd5(it) => &mut it.user,
        Credentials::PublicKey(it) => &mut it.user,
        Credentials::Token(_)
        | Credentials::Certificate(_)
        | Credentials::Anonymous(_)
        | Credentials::Scram(_) => {
            return Ok(shown);
        }
    };
    *name = prepare_name(name).ok_or(Refused::Denied)?;
    Ok(shown)
}
