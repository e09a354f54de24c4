//! The server's side of SCRAM.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    Binding, ScramHash, ScramKeys, ScramRecord,
    message::{ClientFinal, ClientFirst, Flag},
    nonce,
};
use crate::{
    Account, Credentials, Random, ScramProof, Secret, prepare_name,
    sasl::{Failure, messages},
    secret,
};

/// One exchange.
#[derive(Debug)]
pub(crate) struct ScramServer {
    hash: ScramHash,
    /// Whether `-PLUS` is spoken.
    plus: bool,
    /// Whether `-PLUS` was offered for this hash, so that a client that has
    /// channel binding would have taken it.
    plus_offered: bool,
    bindings: Vec<Binding>,
    nonce: String,
    first: Option<First>,
    signature: Option<Secret>,
}

/// What is kept of the first messages.
#[derive(Debug)]
struct First {
    user: String,
    act_as: Option<String>,
    bare: String,
    /// What the client must bind to.
    binding: Secret,
    /// Both nonces.
    nonce: String,
    answered: Option<Answered>,
}

#[derive(Debug)]
struct Answered {
    message: String,
    keys: ScramKeys,
    account: Option<Account>,
}

impl ScramServer {
    pub(crate) fn new(
        hash: ScramHash,
        plus: bool,
        plus_offered: bool,
        bindings: Vec<Binding>,
        random: &Random,
    ) -> Self {
        Self {
            hash,
            plus,
            plus_offered,
            bindings,
            nonce: nonce(random),
            first: None,
            signature: None,
        }
    }

    /// The same with a nonce that an RFC's example has.
    #[cfg(test)]
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        nonce.clone_into(&mut self.nonce);
        self
    }

    pub(crate) fn hash(&self) -> ScramHash {
        self.hash
    }

    pub(crate) fn plus(&self) -> bool {
        self.plus
    }

    /// Whether the next message is the client's first.
    pub(crate) fn at_first(&self) -> bool {
        self.first.is_none()
    }

    /// Takes the client's first message; the user whose keys are wanted.
    pub(crate) fn first(&mut self, message: &[u8]) -> Result<String, Failure> {
        let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
        let client = ClientFirst::parse(text).map_err(Failure::Malformed)?;
        let mut binding = client.header.as_bytes().to_vec();
        match (&client.flag, self.plus) {
            (Flag::Uses(name), true) => {
                let known = self.bindings.iter().find(|it| it.kind().name() == name);
                let bound = known.ok_or(Failure::ChannelBinding)?;
                binding.extend_from_slice(bound.data.expose());
            }
            // RFC 5802, section 6: somebody between struck -PLUS from our list.
            (Flag::ServerHasNot, false) if self.plus_offered => return Err(Failure::Downgrade),
            (Flag::None | Flag::ServerHasNot, false) => {}
            (Flag::Uses(_), false) => {
                return Err(Failure::Malformed("channel binding without -PLUS"));
            }
            (_, true) => return Err(Failure::Malformed("-PLUS without channel binding")),
        }
        let user =
            prepare_name(&client.user).ok_or(Failure::Malformed("a name that cannot be one"))?;
        self.first = Some(First {
            user: user.clone(),
            act_as: client.act_as.as_deref().map(messages::name).transpose()?,
            bare: client.bare.to_owned(),
            binding: binding.into(),
            nonce: format!("{}{}", client.nonce, self.nonce),
            answered: None,
        });
        Ok(user)
    }

    /// Takes the keys; the server's first message.
    pub(crate) fn keys(&mut self, record: ScramRecord) -> Result<String, Failure> {
        let first = self.first.as_mut().ok_or(Failure::OutOfTurn)?;
        let ScramRecord { keys, account } = record;
        if keys.hash() != self.hash {
            return Err(Failure::OutOfTurn);
        }
        let message = format!(
            "r={},s={},i={}",
            first.nonce,
            STANDARD.encode(keys.salt()),
            keys.iterations()
        );
        first.answered = Some(Answered {
            message: message.clone(),
            keys,
            account,
        });
        Ok(message)
    }

    /// Takes the client's final message; the credentials that it amounts to.
    pub(crate) fn proof(&mut self, message: &[u8]) -> Result<Credentials, Failure> {
        let Some(First {
            user,
            act_as,
            bare,
            binding,
            nonce,
            answered: Some(answered),
        }) = self.first.take()
        else {
            return Err(Failure::OutOfTurn);
        };
        let text = std::str::from_utf8(message).map_err(|_| Failure::Malformed("not UTF-8"))?;
        let client = ClientFinal::parse(text).map_err(Failure::Malformed)?;
        if client.nonce != nonce {
            return Err(Failure::Malformed("another exchange's nonce"));
        }
        if !secret::same(&client.binding, binding.expose()) {
            return Err(Failure::ChannelBinding);
        }
        let auth_message = format!("{bare},{},{}", answered.message, client.without_proof);
        let proven = answered.keys.proven(auth_message.as_bytes(), &client.proof);
        let signature = answered.keys.server_signature(auth_message.as_bytes());
        self.signature = Some(signature.into());
        let fits = answered.account.filter(|_| proven);
        Ok(Credentials::Scram(ScramProof { user, act_as, fits }))
    }

    /// The server's final message.
    pub(crate) fn success(&self) -> Option<Vec<u8>> {
        let signature = STANDARD.encode(self.signature.as_ref()?.expose());
        Some(format!("v={signature}").into_bytes())
    }
}
