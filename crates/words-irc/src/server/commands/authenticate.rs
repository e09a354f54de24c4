//! `AUTHENTICATE`: logging in, before registration and at any time after it
//! (<https://ircv3.net/specs/extensions/sasl-3.2>).

use std::{net::IpAddr, sync::Arc};

use ropewalk_cred::{
    Account, Refused,
    sasl::{Channel, Failure, Mechanisms, Server, ServerOptions, Step},
};

use crate::{
    proto::{
        authenticate::{self, Incoming, Piece},
        message::Message,
        numeric::Numeric,
    },
    server::{accounts::Accounts, client::Client, turn::Turn, work::work},
};

/// An exchange under way.
pub(crate) struct Exchange {
    server: Server,
    incoming: Incoming,
    /// Who is logged in once the client has seen the last of the server's words.
    proven: Option<Account>,
}

/// What may be offered to a client.
pub(crate) fn mechanisms(accounts: &Accounts, client: &Client) -> Mechanisms {
    let offered = Mechanisms::offered(
        &accounts.gate().takes(),
        &channel(client),
        &options(accounts),
    );
    // LOGIN is mail's; nobody here asks for it.
    let ours = |it: &ropewalk_cred::sasl::Mechanism| it.client_first();
    offered.iter().filter(ours).collect()
}

/// The value of `sasl` in `CAP LS 302`.
pub(crate) fn capability(accounts: &Accounts, client: &Client) -> Option<String> {
    let names: Vec<_> = mechanisms(accounts, client)
        .iter()
        .map(|it| it.name())
        .collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn options(accounts: &Accounts) -> ServerOptions {
    let mut options = ServerOptions::default();
    options.allow_passwords_without_tls = accounts.options().allow_passwords_without_tls;
    options.random = ropewalk_cred::Random::from_fn(ropewalk_core::fill_random);
    options
}

/// What is known of a client's connection.
fn channel(client: &Client) -> Channel {
    let channel = if client.secure {
        Channel::encrypted()
    } else {
        Channel::clear()
    };
    #[cfg(feature = "tls")]
    let channel = bound(channel, client);
    channel
}

/// The same with what TLS knows.
#[cfg(feature = "tls")]
fn bound(mut channel: Channel, client: &Client) -> Channel {
    if let Some(tls) = &client.tls {
        if let Some(exported) = &tls.exporter {
            channel = channel.with_binding(ropewalk_cred::sasl::Binding::tls_exporter(exported));
        }
        if let Some(certificate) = tls.certificates.first() {
            let shown = ropewalk_cred::Certificate::new([], certificate.as_ref());
            channel = channel.with_certificate(shown);
        }
    }
    channel
}

/// Where a client is, for who counts guesses.
pub(crate) fn peer(client: &Client) -> Option<IpAddr> {
    client.address.parse().ok()
}

/// `AUTHENTICATE <mechanism>`, `AUTHENTICATE <base64>`, `AUTHENTICATE *`
pub(crate) fn authenticate(turn: &mut Turn<'_>, message: &Message<'_>) {
    let Some(accounts) = turn.net.settings.options.accounts.clone() else {
        return failed(turn);
    };
    let piece = message.params[0];
    let Some(mut exchange) = turn.me_mut().exchange.take() else {
        return match piece {
            "*" => aborted(turn),
            _ if piece.len() > authenticate::PIECE => too_long(turn),
            _ => begin(turn, &accounts, piece),
        };
    };
    match exchange.incoming.piece(piece) {
        Ok(Piece::More) => turn.me_mut().exchange = Some(exchange),
        Ok(Piece::Abort) => aborted(turn),
        Ok(Piece::Whole(message)) => {
            if let Some(account) = exchange.proven {
                // RFC 4422, section 3.6: nothing is left to say.
                return match message.is_empty() {
                    true => proven(turn, &account),
                    false => failed(turn),
                };
            }
            let step = exchange.server.step(Some(&message));
            go_on(turn, &accounts, exchange, step);
        }
        Err(authenticate::PieceError::TooLong) => too_long(turn),
        Err(_) => failed(turn),
    }
}

fn begin(turn: &mut Turn<'_>, accounts: &Arc<Accounts>, name: &str) {
    let offered = mechanisms(accounts, turn.me());
    let started = offered.start(name, &channel(turn.me()), &options(accounts));
    let Ok(mut server) = started else {
        let names: Vec<_> = offered.iter().map(|it| it.name()).collect();
        let names = if names.is_empty() {
            "*".to_owned()
        } else {
            names.join(",")
        };
        turn.reply(
            Numeric::RPL_SASLMECHS,
            &[&names],
            "are available SASL mechanisms",
        );
        return failed(turn);
    };
    let step = server.step(None);
    let exchange = Exchange {
        server,
        incoming: Incoming::new(),
        proven: None,
    };
    go_on(turn, accounts, Box::new(exchange), step);
}

fn go_on(turn: &mut Turn<'_>, accounts: &Arc<Accounts>, mut exchange: Box<Exchange>, step: Step) {
    match step {
        Step::Challenge(challenge) => {
            challenge_with(turn, &challenge);
            turn.me_mut().exchange = Some(exchange);
        }
        Step::Ask(question) => {
            let peer = peer(turn.me());
            let accounts = accounts.clone();
            turn.defer(work(
                async move {
                    let answer = accounts.gate().answer(&question, peer).await;
                    (accounts, answer)
                },
                move |turn, (accounts, answer)| {
                    let step = exchange.server.answered(answer);
                    go_on(turn, &accounts, exchange, step);
                },
            ));
        }
        Step::Success {
            account,
            data: Some(data),
        } => {
            challenge_with(turn, &data);
            exchange.proven = Some(account);
            turn.me_mut().exchange = Some(exchange);
        }
        Step::Success {
            account,
            data: None,
        } => proven(turn, &account),
        Step::Failure(failure) => {
            tracing::debug!(%failure, mechanism = %exchange.server.mechanism(), "SASL failed");
            match failure {
                Failure::TooLong => too_long(turn),
                Failure::Refused(error @ Refused::TooMany { .. }) => {
                    turn.reply(
                        Numeric::ERR_SASLFAIL,
                        &[],
                        &format!("SASL authentication failed: {error}"),
                    );
                }
                Failure::Refused(error @ Refused::Unavailable(_)) => {
                    tracing::error!(%error, "nobody can log in");
                    turn.reply(
                        Numeric::ERR_SASLFAIL,
                        &[],
                        &format!("SASL authentication failed: {error}"),
                    );
                }
                _ => failed(turn),
            }
        }
    }
}

fn challenge_with(turn: &mut Turn<'_>, challenge: &[u8]) {
    for piece in authenticate::pieces(challenge) {
        let line = crate::server::event::Line::bare("AUTHENTICATE").param(&piece);
        turn.tell(line);
    }
}

fn proven(turn: &mut Turn<'_>, account: &Account) {
    turn.log_in(&account.name);
    turn.reply(
        Numeric::RPL_SASLSUCCESS,
        &[],
        "SASL authentication successful",
    );
}

fn failed(turn: &mut Turn<'_>) {
    turn.reply(Numeric::ERR_SASLFAIL, &[], "SASL authentication failed");
}

fn too_long(turn: &mut Turn<'_>) {
    turn.reply(Numeric::ERR_SASLTOOLONG, &[], "SASL message too long");
}

/// Also of an exchange that registration has overtaken.
pub(crate) fn aborted(turn: &mut Turn<'_>) {
    turn.reply(Numeric::ERR_SASLABORTED, &[], "SASL authentication aborted");
}
