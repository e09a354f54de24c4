//! The client's side of SCRAM.

use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

use super::{
    Binding, ScramHash,
    keys::xor,
    message::{ServerFinal, ServerFirst, encode_name},
    nonce,
};
use crate::{
    Secret, prepare_password,
    sasl::{ClientError, ClientOptions},
    secret,
};

/// One exchange.
#[derive(Debug)]
pub(crate) struct ScramClient {
    hash: ScramHash,
    password: Secret,
    iterations: std::ops::RangeInclusive<u32>,
    header: String,
    bare: String,
    nonce: String,
    binding: Option<Binding>,
    state: State,
}

#[derive(Debug)]
enum State {
    First,
    /// The first message is out.
    Proving,
    /// The proof is out; this is what the server must sign with.
    Verifying(Secret),
    Done,
    Failed,
}

/// What a client says of channel binding.
pub(crate) enum Bind {
    /// It has none to offer.
    Cannot,
    /// It has, but the server did not offer `-PLUS`.
    NotOffered,
    /// It uses this one.
    With(Binding),
}

impl ScramClient {
    pub(crate) fn new(
        hash: ScramHash,
        bind: Bind,
        user: &str,
        password: &Secret,
        act_as: Option<&str>,
        options: &ClientOptions,
    ) -> Self {
        let (flag, binding) = match bind {
            Bind::Cannot => ("n".to_owned(), None),
            Bind::NotOffered => ("y".to_owned(), None),
            Bind::With(binding) => (format!("p={}", binding.kind().name()), Some(binding)),
        };
        let act_as = act_as
            .map(|name| format!("a={}", encode_name(name)))
            .unwrap_or_default();
        let nonce = nonce(&options.random);
        Self {
            hash,
            password: prepare_password(password.expose()),
            iterations: options.fewest_iterations..=options.most_iterations,
            header: format!("{flag},{act_as},"),
            bare: format!("n={},r={nonce}", encode_name(user)),
            nonce,
            binding,
            state: State::First,
        }
    }

    /// The same with a nonce that an RFC's example has.
    #[cfg(test)]
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        self.bare = self.bare.replace(&self.nonce, nonce);
        self.nonce = nonce.to_owned();
        self
    }

    pub(crate) fn bound(&self) -> bool {
        self.binding.is_some()
    }

    pub(crate) fn hash(&self) -> ScramHash {
        self.hash
    }

    pub(crate) fn first(&mut self) -> String {
        self.state = State::Proving;
        format!("{}{}", self.header, self.bare)
    }

    pub(crate) fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        // Any error ends the exchange.
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Proving => self.prove(challenge),
            State::Verifying(signature) => self.verify(&signature, challenge).map(|()| Vec::new()),
            State::First | State::Done | State::Failed => Err(ClientError::OutOfTurn),
        }
    }

    fn prove(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ClientError> {
        let text =
            std::str::from_utf8(challenge).map_err(|_| ClientError::Malformed("not UTF-8"))?;
        if let Ok(ServerFinal::Error(error)) = ServerFinal::parse(text) {
            return Err(ClientError::server_said(error));
        }
        let server = ServerFirst::parse(text).map_err(ClientError::Malformed)?;
        // RFC 5802, section 5.1: it starts with ours, and has something of its own.
        if !server.nonce.starts_with(&self.nonce) || server.nonce.len() == self.nonce.len() {
            return Err(ClientError::Nonce);
        }
        if !self.iterations.contains(&server.iterations) {
            return Err(ClientError::Iterations {
                asked: server.iterations,
                fewest: *self.iterations.start(),
                most: *self.iterations.end(),
            });
        }
        let mut binding = self.header.clone().into_bytes();
        if let Some(bound) = &self.binding {
            binding.extend_from_slice(bound.data.expose());
        }
        let without_proof = format!("c={},r={}", STANDARD.encode(binding), server.nonce);
        let auth_message = format!("{},{text},{without_proof}", self.bare);
        let salted = self
            .hash
            .salted(self.password.expose(), &server.salt, server.iterations);
        let client = Zeroizing::new(self.hash.hmac(&salted, b"Client Key"));
        let signature = self
            .hash
            .hmac(&self.hash.digest(&client), auth_message.as_bytes());
        let proof = STANDARD.encode(xor(&client, &signature));
        let server_key = Zeroizing::new(self.hash.hmac(&salted, b"Server Key"));
        let signature = self.hash.hmac(&server_key, auth_message.as_bytes());
        self.state = State::Verifying(signature.into());
        Ok(format!("{without_proof},p={proof}").into_bytes())
    }

    fn verify(&mut self, signature: &Secret, message: &[u8]) -> Result<(), ClientError> {
        let text = std::str::from_utf8(message).map_err(|_| ClientError::Malformed("not UTF-8"))?;
        match ServerFinal::parse(text).map_err(ClientError::Malformed)? {
            ServerFinal::Error(error) => Err(ClientError::server_said(error)),
            ServerFinal::Verifier(theirs) if secret::same(&theirs, signature.expose()) => {
                self.state = State::Done;
                Ok(())
            }
            ServerFinal::Verifier(_) => Err(ClientError::ServerNotProven),
        }
    }

    /// The protocol says that it worked. It did only if the server has shown
    /// that it has the keys.
    pub(crate) fn finish(&mut self, data: Option<&[u8]>) -> Result<(), ClientError> {
        match (std::mem::replace(&mut self.state, State::Failed), data) {
            (State::Verifying(signature), Some(data)) => self.verify(&signature, data),
            (State::Done, None | Some([])) => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(ClientError::ServerNotProven),
        }
    }
}
