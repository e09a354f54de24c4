//! The server's side of an exchange.

use super::{
    Channel, Failure, LONGEST_MESSAGE, Mechanism, Mechanisms, ScramHash, ScramRecord,
    ServerOptions, TokenAdvice, messages,
    scram::ScramServer,
    tokens::{self, Bearer},
};
use crate::{Account, Anonymous, Certificate, Credentials, Refused};

/// What a server is to do next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Send this, and give the client's response to [`Server::step`].
    Challenge(Vec<u8>),
    /// Ask a portal, and give its answer to [`Server::answered`].
    Ask(Question),
    /// Somebody is logged in. A protocol without a field for last data in its
    /// success message sends them as a challenge, and takes an empty response
    /// (RFC 4422, section 3.6).
    Success {
        /// Who.
        account: Account,
        /// What shows the client that it talks to the right server.
        data: Option<Vec<u8>>,
    },
    /// It is over, and nobody is.
    Failure(Failure),
}

/// What a server cannot know by itself.
#[derive(Clone, Debug)]
pub enum Question {
    /// Who is this?
    Login(Credentials),
    /// Which SCRAM keys are this user's?
    Scram {
        /// The name, prepared.
        user: String,
        /// For which hash function.
        hash: ScramHash,
    },
}

/// The answer to a [`Question`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// To `Login`.
    Login(Result<Account, Refused>),
    /// To `Scram`. Of users who are not known there are fake ones.
    Scram(Result<ScramRecord, Refused>),
}

/// A server's exchange; [`Mechanisms::start`] makes one.
#[derive(Debug)]
pub struct Server {
    mechanism: Mechanism,
    kind: Kind,
    phase: Phase,
}

#[derive(Debug)]
enum Kind {
    Plain,
    Login {
        user: Option<String>,
    },
    External(Certificate),
    Token {
        advice: TokenAdvice,
        /// Why it was refused, once the client has been told.
        refused: Option<Failure>,
    },
    Anonymous,
    CramMd5 {
        challenge: Vec<u8>,
    },
    Scram(Box<ScramServer>),
}

#[derive(Debug)]
enum Phase {
    /// Nothing was said.
    Start,
    /// A response is to come.
    Response,
    /// An answer is to come.
    Answer,
    Over,
}

impl Server {
    pub(super) fn new(
        mechanism: Mechanism,
        offered: &Mechanisms,
        channel: &Channel,
        options: &ServerOptions,
    ) -> Self {
        let kind = match mechanism {
            Mechanism::ScramSha256Plus | Mechanism::ScramSha256 => {
                let plus_offered = offered.contains(Mechanism::ScramSha256Plus);
                let plus = mechanism == Mechanism::ScramSha256Plus;
                Self::scram(ScramHash::Sha256, plus, plus_offered, channel, options)
            }
            Mechanism::ScramSha1Plus | Mechanism::ScramSha1 => {
                let plus_offered = offered.contains(Mechanism::ScramSha1Plus);
                Self::scram(
                    ScramHash::Sha1,
                    mechanism == Mechanism::ScramSha1Plus,
                    plus_offered,
                    channel,
                    options,
                )
            }
            Mechanism::External => Kind::External(channel.certificate.clone().unwrap_or_default()),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => Kind::Token {
                advice: options.token_advice.clone(),
                refused: None,
            },
            Mechanism::Plain => Kind::Plain,
            Mechanism::Login => Kind::Login { user: None },
            Mechanism::Anonymous => Kind::Anonymous,
            Mechanism::CramMd5 => {
                // RFC 2195 wants a mail message's identifier; nothing reads it.
                let [a, b] =
                    [options.random.bytes(), options.random.bytes()].map(u64::from_be_bytes);
                Kind::CramMd5 {
                    challenge: format!("<{a:016x}.{b:016x}@ropewalk>").into_bytes(),
                }
            }
        };
        Self {
            mechanism,
            kind,
            phase: Phase::Start,
        }
    }

    fn scram(
        hash: ScramHash,
        plus: bool,
        plus_offered: bool,
        channel: &Channel,
        options: &ServerOptions,
    ) -> Kind {
        Kind::Scram(Box::new(ScramServer::new(
            hash,
            plus,
            plus_offered,
            channel.bindings.clone(),
            &options.random,
        )))
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes the client's response. First its initial one: `None` if the
    /// protocol carried none, which is not the same as an empty one
    /// (RFC 4422, section 5.1).
    pub fn step(&mut self, response: Option<&[u8]>) -> Step {
        let step = self.take(response);
        self.enter(step)
    }

    /// Takes the answer to a [`Question`].
    pub fn answered(&mut self, answer: Answer) -> Step {
        let step = match (std::mem::replace(&mut self.phase, Phase::Over), answer) {
            (Phase::Answer, Answer::Login(Ok(account))) => {
                let data = match &self.kind {
                    Kind::Scram(scram) => scram.success(),
                    _ => None,
                };
                Ok(Step::Success { account, data })
            }
            (Phase::Answer, Answer::Login(Err(refused)))
                if matches!(self.kind, Kind::Token { .. }) && !refused.is_temporary() =>
            {
                Ok(self.refuse_token(refused.into()))
            }
            (Phase::Answer, Answer::Login(Err(refused))) => Err(refused.into()),
            (Phase::Answer, Answer::Scram(Ok(record))) => match &mut self.kind {
                Kind::Scram(scram) => scram
                    .keys(record)
                    .map(|message| Step::Challenge(message.into_bytes())),
                _ => Err(Failure::OutOfTurn),
            },
            (Phase::Answer, Answer::Scram(Err(refused))) => Err(refused.into()),
            _ => Err(Failure::OutOfTurn),
        };
        self.enter(step)
    }

    fn take(&mut self, response: Option<&[u8]>) -> Result<Step, Failure> {
        if response.is_some_and(|it| it.len() > LONGEST_MESSAGE) {
            return Err(Failure::TooLong);
        }
        match (std::mem::replace(&mut self.phase, Phase::Over), response) {
            (Phase::Start, None) => Ok(Step::Challenge(match &self.kind {
                Kind::Login { .. } => b"Username:".to_vec(),
                Kind::CramMd5 { challenge } => challenge.clone(),
                _ => Vec::new(),
            })),
            (Phase::Start, Some(_)) if matches!(self.kind, Kind::CramMd5 { .. }) => {
                Err(Failure::Malformed("a response before the challenge"))
            }
            (Phase::Start | Phase::Response, Some(response)) => self.response(response),
            _ => Err(Failure::OutOfTurn),
        }
    }

    /// RFC 7628, section 3.2.2: it is told why, and says that it heard.
    fn refuse_token(&mut self, why: Failure) -> Step {
        let google = self.mechanism == Mechanism::XOAuth2;
        match &mut self.kind {
            Kind::Token { advice, refused } => {
                *refused = Some(why);
                Step::Challenge(advice.refusal(google))
            }
            _ => Step::Failure(why),
        }
    }

    fn response(&mut self, response: &[u8]) -> Result<Step, Failure> {
        let credentials = match &mut self.kind {
            Kind::Plain => Credentials::Password(messages::parse_plain(response)?),
            Kind::Login { user } => match user.take() {
                // Some clients send the name with the command; so may these.
                None => {
                    *user = Some(messages::parse_name(response)?);
                    return Ok(Step::Challenge(b"Password:".to_vec()));
                }
                Some(user) => Credentials::Password(messages::login_password(&user, response)?),
            },
            Kind::External(certificate) => {
                let name = messages::parse_name(response)?;
                let act_as = (!name.is_empty()).then_some(name);
                Credentials::Certificate(Certificate {
                    act_as,
                    ..std::mem::take(certificate)
                })
            }
            Kind::Token {
                refused: Some(why), ..
            } => {
                // Whatever it says now: it was to say that it heard.
                return Err(why.clone());
            }
            Kind::Token { .. } => {
                let parsed = if self.mechanism == Mechanism::XOAuth2 {
                    tokens::parse_xoauth2(response)?
                } else {
                    tokens::parse_oauthbearer(response)?
                };
                match parsed {
                    Bearer::Token(token) => Credentials::Token(token),
                    Bearer::Question => return Ok(self.refuse_token(Failure::Discovery)),
                }
            }
            Kind::Anonymous => Credentials::Anonymous(Anonymous {
                trace: messages::parse_trace(response)?,
            }),
            Kind::CramMd5 { challenge } => {
                Credentials::CramMd5(messages::parse_cram_md5(response, challenge)?)
            }
            Kind::Scram(scram) if scram.at_first() => {
                let user = scram.first(response)?;
                return Ok(Step::Ask(Question::Scram {
                    user,
                    hash: scram.hash(),
                }));
            }
            Kind::Scram(scram) => scram.proof(response)?,
        };
        Ok(Step::Ask(Question::Login(credentials)))
    }

    fn enter(&mut self, step: Result<Step, Failure>) -> Step {
        let step = step.unwrap_or_else(Step::Failure);
        self.phase = match &step {
            Step::Challenge(_) => Phase::Response,
            Step::Ask(_) => Phase::Answer,
            Step::Success { .. } | Step::Failure(_) => Phase::Over,
        };
        step
    }

    /// Whether a `-PLUS` mechanism ties the exchange to the TLS connection.
    pub fn is_bound(&self) -> bool {
        matches!(&self.kind, Kind::Scram(scram) if scram.plus())
    }
}
