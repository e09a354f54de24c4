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
    /// Checkers that take the kind are asked in their order, and the first that
    /// knows the user decides: [`Refused::Unknown`] passes the question on,
    /// [`Refused::Denied`] is final, so a name that two of them have has one
    /// password, and one that is locked in the first cannot come in by the
    /// second. A checker in trouble may have been the one to decide, so nobody
    /// whom those before it did not let in gets past it; put the one that must
    /// work alone first. After a no the others are asked all the same, so that a
    /// failure costs the same whoever was named.
    ///
    /// Failures of what can be guessed count for back-off. The wait comes before
    /// the judgement, so a right guess waits as long as a wrong one. What one peer
    /// can try before its first failure is known is bounded by its connections
    /// (`Limits::per_peer` of the engine) and by the
    /// [`HashPool`](crate::HashPool).
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
        let judgement = self.judge(&shown).await;
        if guessable {
            match &judgement.outcome {
                Ok(_) => shown
                    .user()
                    .into_iter()
                    .for_each(|it| self.backoff.succeeded(it)),
                Err(_) if judgement.wrong => self.backoff.failed(shown.user(), peer),
                Err(_) => {}
            }
        }
        let act_as = shown
            .act_as()
            .map(|name| prepare_name(name).ok_or(Refused::MayNotActAs))
            .transpose()?;
        let admitted = self.realm.admit(judgement.outcome?, act_as.as_deref());
        admitted.await.map_err(|refused| match refused {
            Refused::Unknown => Refused::Denied,
            other => other,
        })
    }

    async fn judge(&self, shown: &Credentials) -> Judgement {
        // The proof was compared with the keys that a checker gave.
        if let Credentials::Scram(proof) = shown {
            return Judgement {
                wrong: proof.account().is_none(),
                outcome: proof.account().cloned().ok_or(Refused::Denied),
            };
        }
        let (mut decided, mut trouble, mut wrong) = (None, None, false);
        for checker in &self.checkers {
            if !checker.takes().iter().any(|it| it.fits(shown.kind())) {
                continue;
            }
            match checker.check(shown).await {
                Ok(account) if decided.is_none() && trouble.is_none() => {
                    return Judgement {
                        outcome: Ok(account),
                        wrong: false,
                    };
                }
                Ok(_) | Err(Refused::NotTaken) => {}
                Err(Refused::Unknown) => wrong = true,
                Err(error) if error.is_temporary() => trouble = trouble.or(Some(error)),
                Err(error) => {
                    wrong |= matches!(error, Refused::Denied);
                    decided = decided.or(Some(error));
                }
            }
        }
        // Trouble is told rather than a no, whoever said it: else names of the
        // others could be told while one is in trouble.
        let refused = trouble.or(decided).unwrap_or(if wrong {
            Refused::Denied
        } else {
            Refused::NotTaken
        });
        Judgement {
            outcome: Err(refused),
            wrong,
        }
    }

    /// The SCRAM keys of a user: of the first checker that has some, else fake
    /// ones of a checker that the name picks, so that those of each shape may be
    /// nobody's.
    pub async fn scram(&self, user: &str, hash: ScramHash) -> Result<ScramRecord, Refused> {
        let user = prepare_name(user).ok_or(Refused::Denied)?;
        let (mut found, mut fakes) = (None, Vec::new());
        for checker in &self.checkers {
            if !checker.takes().contains(&Takes::Scram(hash)) {
                continue;
            }
            let record = checker.scram(&user, hash).await?;
            if record.account.is_none() {
                fakes.push(record);
            } else {
                found = found.or(Some(record));
            }
        }
        if let Some(record) = found {
            return Ok(record);
        }
        let pick = fakes.first().map_or(0, |it| it.keys.pick(fakes.len()));
        fakes.into_iter().nth(pick).ok_or(Refused::NotTaken)
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

/// What the checkers make of credentials.
struct Judgement {
    outcome: Result<Account, Refused>,
    /// Whether it was a wrong guess, which counts for back-off also where the
    /// outcome is another checker's trouble.
    wrong: bool,
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
        Credentials::Token(it) => {
            // The name is the account wanted, and the key to its back-off.
            if let Some(name) = &mut it.user {
                *name = prepare_name(name).ok_or(Refused::Denied)?;
            }
            return Ok(shown);
        }
        Credentials::Certificate(_) | Credentials::Anonymous(_) | Credentials::Scram(_) => {
            return Ok(shown);
        }
    };
    *name = prepare_name(name).ok_or(Refused::Denied)?;
    Ok(shown)
}
