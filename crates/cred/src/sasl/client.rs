//! The client's side of an exchange.

use super::{
    ClientError, LONGEST_MESSAGE, Mechanism, TokenRefusal, messages, scram::ScramClient, tokens,
};
use crate::{LONGEST_NAME, Password, Random, Secret, Token, prepare::LONGEST_PASSWORD};

/// What a client has to log in with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Login {
    /// A name and a password.
    Password(Password),
    /// A bearer token.
    Token(Token),
    /// No token yet: ask which would do (RFC 7628, section 4.3). The exchange
    /// always fails; [`Client::token_refusal`] has the answer.
    Discovery {
        /// The account that a token is wanted for, if that matters.
        user: Option<String>,
    },
    /// The certificate that TLS has shown.
    Certificate {
        /// The account to act as, if not the certificate's own.
        act_as: Option<String>,
    },
    /// Nothing, but a trace to leave: a mail address, or any word
    /// (RFC 4505, section 2).
    Anonymous(String),
}

impl Login {
    /// A name and a password.
    pub fn password(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Password(Password {
            user: user.into(),
            password: password.into(),
            act_as: None,
        })
    }

    /// A bearer token for an account.
    pub fn token(user: impl Into<String>, token: impl Into<Secret>) -> Self {
        Self::Token(Token {
            token: token.into(),
            user: Some(user.into()),
            host: None,
            port: None,
        })
    }

    /// Whether the grammars have room for it: found here rather than by a
    /// server that understands something else.
    pub(super) fn sendable(&self) -> Result<(), ClientError> {
        let no = |what| Err(ClientError::Unsendable(what));
        let odd = |text: &str| text.contains(char::is_control);
        let (user, act_as) = match self {
            Self::Password(it) => {
                let secret = it.password.expose();
                if secret.is_empty() || secret.len() > LONGEST_PASSWORD || secret.contains(&0) {
                    return no("the password");
                }
                (Some(&it.user), it.act_as.as_ref())
            }
            Self::Token(it) if !tokens::is_token(it.token.expose()) => return no("the token"),
            Self::Token(it) if it.host.as_deref().is_some_and(|it| !tokens::is_host(it)) => {
                return no("the host");
            }
            Self::Token(it) => (it.user.as_ref(), None),
            Self::Discovery { user } => (user.as_ref(), None),
            Self::Certificate { act_as } => (None, act_as.as_ref()),
            Self::Anonymous(trace) if !messages::is_trace(trace) => return no("the trace"),
            Self::Anonymous(_) => (None, None),
        };
        let cannot = |name: &String| name.is_empty() || odd(name) || name.len() > LONGEST_NAME;
        if user.is_some_and(cannot) || act_as.is_some_and(cannot) {
            return no("the user name");
        }
        Ok(())
    }
}

/// What a client allows a server to ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The fewest SCRAM iterations. Default 4,096 (RFC 5802, section 5.1): with
    /// fewer a false server learns what it can guess the password from.
    pub fewest_iterations: u32,
    /// The most. Default 600,000, which takes some tenths of a second: more
    /// would be a server's way to hold us up.
    pub most_iterations: u32,
    /// Send passwords and tokens without TLS, where anybody on the way reads
    /// them. Default false.
    pub allow_passwords_without_tls: bool,
    /// Take CRAM-MD5 where the server has nothing stronger. Default false.
    pub allow_obsolete_cram_md5: bool,
    /// Where nonces come from. Default the system; a simulation that must
    /// replay brings its own.
    pub random: Random,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            fewest_iterations: 4096,
            most_iterations: 600_000,
            allow_passwords_without_tls: false,
            allow_obsolete_cram_md5: false,
            random: Random::system(),
        }
    }
}

/// A client's exchange; [`Mechanisms::choose`](super::Mechanisms::choose)
/// makes one.
///
/// Send [`mechanism`](Self::mechanism)'s name, with [`initial`](Self::initial)
/// if the protocol can carry it; answer each challenge with
/// [`respond`](Self::respond); when the protocol says that it worked, ask
/// [`finish`](Self::finish) whether it did.
#[derive(Debug)]
pub struct Client {
    mechanism: Mechanism,
    login: Login,
    scram: Option<ScramClient>,
    /// Messages sent.
    sent: u8,
    /// What the server said against a token; it is told that we heard.
    refused: Option<(TokenRefusal, ClientError)>,
}

impl Client {
    pub(super) fn new(mechanism: Mechanism, login: Login, scram: Option<ScramClient>) -> Self {
        Self {
            mechanism,
            login,
            scram,
            sent: 0,
            refused: None,
        }
    }

    /// What to name to the server.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Whether the exchange is bound to the TLS connection.
    pub fn is_bound(&self) -> bool {
        self.scram.as_ref().is_some_and(ScramClient::bound)
    }

    /// SCRAM's hash function, if that is spoken.
    pub fn scram_hash(&self) -> Option<super::ScramHash> {
        self.scram.as_ref().map(ScramClient::hash)
    }

    /// The first message, if the client speaks first. `None` means that there
    /// is none; an empty one is a message, which protocols write as `=`
    /// (RFC 4422, section 5.1). A protocol that cannot carry it waits for the
    /// empty challenge instead, and does not call this.
    pub fn initial(&mut self) -> Option<Vec<u8>> {
        if !self.mechanism.client_first() || self.sent > 0 {
            return None;
        }
        self.sent = 1;
        Some(match (&self.login, &mut self.scram) {
            (_, Some(scram)) => scram.first().into_bytes(),
            (Login::Password(it), _) => {
                messages::write_plain(it.act_as.as_deref(), &it.user, &it.password)
            }
            (Login::Token(it), _) if self.mechanism == Mechanism::XOAuth2 => {
                tokens::write_xoauth2(it)
            }
            (Login::Token(it), _) => tokens::write_oauthbearer(Some(it), it.user.as_deref()),
            (Login::Discovery { user }, _) => tokens::write_oauthbearer(None, user.as_deref()),
            (Login::Certificate { act_as }, _) => act_as.clone().unwrap_or_default().into_bytes(),
            (Login::Anonymous(trace), _) => trace.clone().into_bytes(),
        })
    }

    /// The answer to a challenge. After an error the exchange is to be
    /// cancelled (`*`).
    pub fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        if challenge.len() > LONGEST_MESSAGE {
            return Err(ClientError::TooLong);
        }
        if self.sent == 0 && self.mechanism.client_first() {
            // RFC 4422, section 3: the empty challenge of a protocol that
            // could not carry the first message.
            return match challenge {
                [] => self.initial().ok_or(ClientError::OutOfTurn),
                _ => Err(ClientError::Malformed(
                    "a challenge before the first message",
                )),
            };
        }
        if let Some(scram) = &mut self.scram {
            return scram.respond(challenge);
        }
        self.sent = self.sent.saturating_add(1);
        match (self.mechanism, &self.login, self.sent) {
            // The prompts are "User Name" and "Password" in the draft,
            // "Username:" and "Password:" in life: their order counts.
            (Mechanism::Login, Login::Password(it), 1) => Ok(it.user.clone().into_bytes()),
            (Mechanism::Login, Login::Password(it), 2) => Ok(it.password.expose().to_vec()),
            (Mechanism::CramMd5, Login::Password(it), 1) => {
                let digest = messages::cram_md5_digest(it.password.expose(), challenge);
                Ok(format!("{} {digest}", it.user).into_bytes())
            }
            // RFC 7628, section 3.2.3: refused; say that it was heard.
            (
                Mechanism::OAuthBearer | Mechanism::XOAuth2,
                Login::Token(_) | Login::Discovery { .. },
                2,
            ) => {
                let refusal = TokenRefusal::parse(challenge);
                let error = ClientError::server_said(&refusal.status);
                self.refused = Some((refusal, error));
                Ok(if self.mechanism == Mechanism::OAuthBearer {
                    tokens::HEARD.to_vec()
                } else {
                    Vec::new()
                })
            }
            _ => Err(ClientError::OutOfTurn),
        }
    }

    /// What a server said against a token: more than the protocol's bare no.
    pub fn refusal(&self) -> Option<&ClientError> {
        self.refused.as_ref().map(|(_, error)| error)
    }

    /// The same in its parts: where to get a token that will do.
    pub fn token_refusal(&self) -> Option<&TokenRefusal> {
        self.refused.as_ref().map(|(refusal, _)| refusal)
    }

    /// The protocol reports success, with the server's last data where it can
    /// carry them. With SCRAM it is one only if the server has proven itself.
    pub fn finish(&mut self, data: Option<&[u8]>) -> Result<(), ClientError> {
        if data.is_some_and(|it| it.len() > LONGEST_MESSAGE) {
            return Err(ClientError::TooLong);
        }
        if let Some((_, error)) = &self.refused {
            return Err(error.clone());
        }
        match &mut self.scram {
            Some(scram) => scram.finish(data),
            // Nothing was asked for that could be granted.
            None if self.sent == 0 || matches!(self.login, Login::Discovery { .. }) => {
                Err(ClientError::OutOfTurn)
            }
            None => Ok(()),
        }
    }
}
