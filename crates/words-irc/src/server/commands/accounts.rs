//! `REGISTER` and `VERIFY`: accounts, by whoever wants one
//! (<https://ircv3.net/specs/extensions/account-registration>).

use ropewalk_cred::Secret;

use super::authenticate::peer;
use crate::{
    proto::message::Message,
    server::{
        accounts::{AccountError, Accounts, Outcome},
        client::Client,
        settings::Settings,
        turn::Turn,
        work::work,
    },
};

/// The value of `draft/account-registration`; none where there is no
/// registration for a client.
pub(crate) fn capability(
    accounts: &Accounts,
    settings: &Settings,
    client: &Client,
) -> Option<String> {
    if !accounts.options().registration || !may_show_passwords(accounts, client) {
        return None;
    }
    let options = accounts.options();
    let keys = [
        (before_connect(accounts, settings), "before-connect"),
        (options.custom_account_name, "custom-account-name"),
        (accounts.needs_email(), "email-required"),
    ];
    let keys: Vec<_> = keys
        .iter()
        .filter(|(on, _)| *on)
        .map(|(_, key)| *key)
        .collect();
    Some(keys.join(","))
}

/// Nobody comes around the network's password by registering.
fn before_connect(accounts: &Accounts, settings: &Settings) -> bool {
    accounts.options().before_connect && settings.options.password.is_none()
}

/// Whether passwords may be taken from a client.
pub(crate) fn may_show_passwords(accounts: &Accounts, client: &Client) -> bool {
    client.secure || accounts.options().allow_passwords_without_tls
}

/// `REGISTER <account> <email> <password>`
pub(crate) fn register(turn: &mut Turn<'_>, message: &Message<'_>) {
    let (account, email, password) = (message.params[0], message.params[1], message.params[2]);
    let Some(accounts) = may(turn, "REGISTER", account) else {
        return;
    };
    let nick = turn.nick();
    if nick == "*" {
        return turn.fail("REGISTER", "NEED_NICK", &["*"], "A nick is needed first");
    }
    let name = if account == "*" {
        nick.as_str()
    } else {
        account
    };
    if !turn.net.settings.mapping().eq(name, &nick) {
        if !accounts.options().custom_account_name {
            let text = "An account has the name of your nick";
            return turn.fail("REGISTER", "ACCOUNT_NAME_MUST_BE_NICK", &[name], text);
        }
        if !turn.net.settings.is_nick(name) {
            return turn.fail(
                "REGISTER",
                "BAD_ACCOUNT_NAME",
                &[name],
                "That is no name for an account",
            );
        }
        // Nobody takes the name of who is there.
        if turn.net.holder(name).is_some() {
            let text = AccountError::Exists.to_string();
            return turn.fail("REGISTER", "ACCOUNT_EXISTS", &[name], &text);
        }
    }
    let email = (email != "*").then(|| email.to_owned());
    let (name, password) = (name.to_owned(), Secret::from(password));
    let peer = peer(turn.me());
    turn.defer(work(
        async move {
            let done = accounts
                .register(&name, email.as_deref(), &password, peer)
                .await;
            (name, done)
        },
        |turn, (name, done)| told(turn, "REGISTER", &name, done),
    ));
}

/// `VERIFY <account> <code>`
pub(crate) fn verify(turn: &mut Turn<'_>, message: &Message<'_>) {
    let (name, code) = (message.params[0], message.params[1]);
    let Some(accounts) = may(turn, "VERIFY", name) else {
        return;
    };
    let (name, code) = (name.to_owned(), code.to_owned());
    turn.defer(work(
        async move {
            let done = accounts.verify(&name, &code).await;
            (name, done)
        },
        |turn, (name, done)| told(turn, "VERIFY", &name, done),
    ));
}

/// Whether a client may have an account now.
fn may(turn: &mut Turn<'_>, command: &str, account: &str) -> Option<std::sync::Arc<Accounts>> {
    let settings = turn.net.settings.clone();
    let Some(accounts) = settings.options.accounts.clone() else {
        let text = AccountError::Closed.to_string();
        turn.fail(command, "TEMPORARILY_UNAVAILABLE", &[account], &text);
        return None;
    };
    if !turn.me().is_registered() && !before_connect(&accounts, &settings) {
        let text = "Complete your registration with the network first";
        turn.fail(command, "COMPLETE_CONNECTION_REQUIRED", &[account], text);
        return None;
    }
    if turn.me().account.is_some() {
        let text = "You are logged in already";
        turn.fail(command, "ALREADY_AUTHENTICATED", &[account], text);
        return None;
    }
    if !may_show_passwords(&accounts, turn.me()) {
        let text = "Passwords are taken over TLS only";
        turn.fail(command, "TEMPORARILY_UNAVAILABLE", &[account], text);
        return None;
    }
    Some(accounts)
}

fn told(turn: &mut Turn<'_>, command: &str, name: &str, done: Result<Outcome, AccountError>) {
    match done {
        Ok(Outcome::Registered(name)) => {
            let line = turn.by_server(command).param("SUCCESS").param(&name);
            turn.tell(line.text("Account created"));
            turn.log_in(&name);
        }
        Ok(Outcome::VerificationRequired(name)) => {
            let line = turn
                .by_server(command)
                .param("VERIFICATION_REQUIRED")
                .param(&name);
            turn.tell(line.text("A code was sent to your mail address; give it to VERIFY"));
        }
        Err(error) => {
            if let AccountError::Unavailable(source) = &error {
                tracing::error!(error = %source, "accounts cannot be kept");
            }
            turn.fail(command, error.code(), &[name], &error.to_string());
        }
    }
}
