//! Which mechanisms a server offers, and which of them a client takes.

use std::fmt;

use super::{
    Channel, Client, ClientError, ClientOptions, Login, ScramHash, Server, TokenAdvice,
    scram::{Bind, ScramClient},
};
use crate::{Random, prepare_name};

/// A mechanism. They are ordered by strength, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mechanism {
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 5802.
    ScramSha1,
    /// RFC 4422, appendix A.
    External,
    /// RFC 7628.
    OAuthBearer,
    /// Google's predecessor of it, which others took over.
    XOAuth2,
    /// RFC 2195, obsolete: passwords kept in the clear, guessed at leisure.
    CramMd5,
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login, obsolete and widely used.
    Login,
    /// RFC 4505.
    Anonymous,
}

impl Mechanism {
    /// All of them, the strongest first.
    pub const ALL: [Self; 11] = [
        Self::ScramSha256Plus,
        Self::ScramSha1Plus,
        Self::ScramSha256,
        Self::ScramSha1,
        Self::External,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::CramMd5,
        Self::Plain,
        Self::Login,
        Self::Anonymous,
    ];

    /// Its registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::External => "EXTERNAL",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism of a name, in any case, as the protocols compare it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|it| it.name().eq_ignore_ascii_case(name))
    }

    /// Whether the client speaks first, so that a protocol may carry its first
    /// message with the command.
    pub fn client_first(self) -> bool {
        !matches!(self, Self::Login | Self::CramMd5)
    }

    /// SCRAM's hash function, and whether with channel binding.
    pub(super) fn scram(self) -> Option<(ScramHash, bool)> {
        match self {
            Self::ScramSha256Plus => Some((ScramHash::Sha256, true)),
            Self::ScramSha1Plus => Some((ScramHash::Sha1, true)),
            Self::ScramSha256 => Some((ScramHash::Sha256, false)),
            Self::ScramSha1 => Some((ScramHash::Sha1, false)),
            _ => None,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a server's checkers take; a portal says it for all of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Takes {
    /// Names and passwords.
    Passwords,
    /// SCRAM of this kind: every user has keys for it. Were it offered with
    /// some who have none, their clients would choose it and fail.
    Scram(ScramHash),
    /// Public keys.
    PublicKeys,
    /// TLS client certificates.
    Certificates,
    /// Bearer tokens.
    Tokens,
    /// Anybody.
    Anonymous,
    /// CRAM-MD5: every password is kept in the clear.
    CramMd5,
}

/// What a server allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Offer PLAIN, LOGIN and tokens without TLS, where anybody on the way
    /// reads them. Default false.
    pub allow_passwords_without_tls: bool,
    /// Offer CRAM-MD5 (where passwords are kept in the clear). Default false:
    /// it is broken for twenty years, and TLS with PLAIN is better.
    pub allow_obsolete_cram_md5: bool,
    /// What a client is told whose token is refused, or who asks with none.
    /// Default nothing but that it is refused.
    pub token_advice: TokenAdvice,
    /// Where nonces and challenges come from. Default the system; a simulation
    /// that must replay brings its own.
    pub random: Random,
}

/// A set of mechanisms, the strongest first: what a server offers.
///
/// `Display` writes the names with spaces between, as SMTP and POP3 list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(Vec<Mechanism>);

impl Mechanisms {
    /// What to offer on this connection.
    pub fn offered(takes: &[Takes], channel: &Channel, options: &ServerOptions) -> Self {
        let takes = |what| takes.contains(&what);
        let secret = channel.encrypted || options.allow_passwords_without_tls;
        let fits = |mechanism: &Mechanism| match mechanism {
            Mechanism::ScramSha256Plus => {
                takes(Takes::Scram(ScramHash::Sha256)) && !channel.bindings.is_empty()
            }
            Mechanism::ScramSha1Plus => {
                takes(Takes::Scram(ScramHash::Sha1)) && !channel.bindings.is_empty()
            }
            Mechanism::ScramSha256 => takes(Takes::Scram(ScramHash::Sha256)),
            Mechanism::ScramSha1 => takes(Takes::Scram(ScramHash::Sha1)),
            Mechanism::External => takes(Takes::Certificates) && channel.certificate.is_some(),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => takes(Takes::Tokens) && secret,
            Mechanism::CramMd5 => takes(Takes::CramMd5) && options.allow_obsolete_cram_md5,
            Mechanism::Plain | Mechanism::Login => takes(Takes::Passwords) && secret,
            Mechanism::Anonymous => takes(Takes::Anonymous),
        };
        Self(Mechanism::ALL.into_iter().filter(fits).collect())
    }

    /// Reads a server's list, with spaces or commas between. Unknown names are
    /// passed over.
    pub fn parse(list: &str) -> Self {
        list.split([' ', ','])
            .filter_map(Mechanism::parse)
            .collect()
    }

    /// The mechanisms, the strongest first.
    pub fn iter(&self) -> impl Iterator<Item = Mechanism> {
        self.0.iter().copied()
    }

    /// Whether it is among them.
    pub fn contains(&self, mechanism: Mechanism) -> bool {
        self.0.contains(&mechanism)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Starts a server's exchange by the mechanism that the client named, if
    /// this set, which is the one that was offered, has it.
    pub fn start(
        &self,
        name: &str,
        channel: &Channel,
        options: &ServerOptions,
    ) -> Result<Server, NotOffered> {
        let mechanism = Mechanism::parse(name)
            .filter(|it| self.contains(*it))
            .ok_or(NotOffered)?;
        Ok(Server::new(mechanism, self, channel, options))
    }

    /// Chooses the strongest that fits what the client has, is safe on this
    /// connection, and is allowed by its options.
    pub fn choose(
        &self,
        login: &Login,
        channel: &Channel,
        options: &ClientOptions,
    ) -> Result<Client, ClientError> {
        login.sendable()?;
        let secret = channel.encrypted || options.allow_passwords_without_tls;
        let fits = |mechanism: &Mechanism| match (mechanism, login) {
            (Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus, Login::Password(_)) => {
                !channel.bindings.is_empty()
            }
            (Mechanism::ScramSha256 | Mechanism::ScramSha1, Login::Password(_))
            | (Mechanism::External, Login::Certificate { .. })
            | (Mechanism::Anonymous, Login::Anonymous(_)) => true,
            (Mechanism::Plain, Login::Password(_))
            | (Mechanism::OAuthBearer, Login::Token(_) | Login::Discovery { .. }) => secret,
            // Neither can say whom to act as.
            (Mechanism::Login, Login::Password(it)) => secret && it.act_as.is_none(),
            (Mechanism::CramMd5, Login::Password(it)) => {
                options.allow_obsolete_cram_md5 && it.act_as.is_none()
            }
            (Mechanism::XOAuth2, Login::Token(it)) => secret && it.user.is_some(),
            _ => false,
        };
        let chosen = self.iter().find(fits);
        let mechanism = chosen.ok_or_else(|| ClientError::NoMechanism {
            offered: self.to_string(),
        })?;
        let scram = match (mechanism.scram(), login) {
            (Some((hash, plus)), Login::Password(it)) => {
                let bind = match channel.bindings.first() {
                    Some(binding) if plus => Bind::With(binding.clone()),
                    Some(_) => Bind::NotOffered,
                    None => Bind::Cannot,
                };
                // RFC 5802, section 5.1: prepared before it is sent, so that what is
                // signed is what the server looks up.
                let prepared =
                    |name| prepare_name(name).ok_or(ClientError::Unsendable("the user name"));
                let act_as = it.act_as.as_deref().map(prepared).transpose()?;
                Some(ScramClient::new(
                    hash,
                    bind,
                    &prepared(&it.user)?,
                    &it.password,
                    act_as.as_deref(),
                    options,
                ))
            }
            _ => None,
        };
        Ok(Client::new(mechanism, login.clone(), scram))
    }
}

impl FromIterator<Mechanism> for Mechanisms {
    fn from_iter<I: IntoIterator<Item = Mechanism>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort();
        all.dedup();
        Self(all)
    }
}

impl fmt::Display for Mechanisms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mechanism) in self.iter().enumerate() {
            write!(f, "{}{mechanism}", if n > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}

/// The client named a mechanism that was not offered: the peer's fault
/// (SMTP 504).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this mechanism is not offered")]
pub struct NotOffered;
