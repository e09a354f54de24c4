//! Questions over a stream that is kept: TCP (RFC 7766) and TLS (RFC 7858).
//!
//! One connection at a time serves a server. Questions follow each other without waiting, and are
//! told apart by their ids; answers come in any order (RFC 7766, section 6.2.1.1). A connection that
//! the server closed while it was idle is made anew, once.

use std::time::Duration;

use ropewalk_core::{
    Client, ClientEndpoint, ConnectOptions, FrameError, Framing, Input, Protocol, Reply,
    Result as CoreResult, Transport,
};

use super::Counters;
use crate::proto::exchange::{
    Trouble,
    pending::{Arrival, Pending},
};

/// Answers to nobody's question that one connection may bring: those who asked may have given up.
const STRAYS: u64 = 1000;

/// The connection that is kept with one server.
pub(super) struct Kept {
    endpoint: ClientEndpoint,
    options: ConnectOptions,
    idle: Duration,
    counters: Counters,
    /// Held while connecting, so that the others wait for that connection.
    client: tokio::sync::Mutex<Option<Client<Dialog>>>,
}

impl Kept {
    pub(super) fn new(
        endpoint: ClientEndpoint,
        options: ConnectOptions,
        idle: Duration,
        counters: Counters,
    ) -> Self {
        Self {
            endpoint,
            options,
            idle,
            counters,
            client: tokio::sync::Mutex::new(None),
        }
    }

    /// Sends a query, and waits for the answer for as long as the caller does.
    pub(super) async fn ask(&self, query: Vec<u8>) -> Result<Vec<u8>, Trouble> {
        loop {
            let (client, is_new) = self.client().await?;
            let asked = query.clone();
            self.counters.sent.increment();
            match client
                .ask(|reply| Ask {
                    query: asked,
                    reply,
                })
                .await
            {
                Ok(answer) => return answer,
                Err(why) if is_new => return Err(Trouble::Ended(why.to_string())),
                // It had been idle, and is gone.
                Err(_) => {}
            }
        }
    }

    async fn client(&self) -> Result<(Client<Dialog>, bool), Trouble> {
        let mut kept = self.client.lock().await;
        if let Some(client) = kept.as_ref().filter(|client| !client.is_closed()) {
            return Ok((client.clone(), false));
        }
        *kept = None;
        let connection = self.endpoint.connect_with(&self.options).await;
        let connection = connection.map_err(|error| Trouble::Unreachable(error.to_string()))?;
        self.counters.connections.increment();
        let dialog = Dialog {
            pending: Pending::new(),
            sweep_at: SWEEP,
            idle: self.idle,
        };
        let client = Client::start(connection, dialog);
        *kept = Some(client.clone());
        Ok((client, true))
    }
}

pub(super) struct Ask {
    query: Vec<u8>,
    reply: Reply<Result<Vec<u8>, Trouble>>,
}

/// The questions of one connection.
pub(super) struct Dialog {
    pending: Pending<Reply<Result<Vec<u8>, Trouble>>>,
    /// At so many, those whose askers wait no more are let go.
    sweep_at: usize,
    idle: Duration,
}

/// Questions that a connection may have out before it is looked who still waits.
const SWEEP: usize = 64;

/// What a server must not send.
#[derive(Debug, thiserror::Error)]
enum Nonsense {
    #[error("the server sent an empty message")]
    Empty,
    #[error("the server sent {STRAYS} answers that nobody asked for")]
    Strays,
    #[error("the server said nothing for {0:?} while questions were out")]
    Silent(Duration),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Protocol for Dialog {
    type Message = Ask;
    type Timer = ();

    fn connected(&mut self, t: &mut Transport<Self>) -> CoreResult {
        t.set_timer((), self.idle);
        Ok(())
    }

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> CoreResult {
        for message in data.frames(Framing::Length16, usize::from(u16::MAX)) {
            let message = message.map_err(Nonsense::from)?;
            if message.is_empty() {
                return Err(Nonsense::Empty.into());
            }
            match self.pending.arrived(message) {
                // Nobody else can write here, so the case says nothing.
                Arrival::Answer(reply) | Arrival::WrongCase(reply) => {
                    reply.send(Ok(message.to_vec()));
                }
                Arrival::Stray if self.pending.strays() >= STRAYS => {
                    return Err(Nonsense::Strays.into());
                }
                Arrival::Stray => {}
            }
        }
        t.set_timer((), self.idle);
        Ok(())
    }

    fn message(&mut self, t: &mut Transport<Self>, ask: Ask) -> CoreResult {
        let Ask { mut query, reply } = ask;
        if self.pending.len() >= self.sweep_at {
            // A server may leave some unanswered for ever.
            self.pending.retain(|reply| !reply.is_closed());
            self.sweep_at = SWEEP.max(2 * self.pending.len());
        }
        // While others are out the server has its time since it was heard last: a connection that
        // leads nowhere any more must not be kept by questions that it swallows.
        if self.pending.is_empty() {
            t.set_timer((), self.idle);
        }
        match self
            .pending
            .add(&mut query, reply, &mut ropewalk_core::random)
        {
            Ok(_) => t.write(Framing::Length16.frame(query)?),
            Err(reply) => reply.send(Err(Trouble::Ended("too many questions".to_owned()))),
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut Transport<Self>, (): ()) -> CoreResult {
        if self.pending.is_empty() {
            t.close();
            return Ok(());
        }
        self.pending.retain(|reply| !reply.is_closed());
        match self.pending.is_empty() {
            // Nobody waits for what it owes, nor for a goodbye.
            true => t.abort(),
            false => return Err(Nonsense::Silent(self.idle).into()),
        }
        Ok(())
    }
}
