//! `NickServ`: accounts.

use ropewalk_cred::{Fingerprint, Refused, Secret};

use super::{Order, Service, Words, account, day, say, sorry};
use crate::server::{
    accounts::{AccountError, Accounts, Outcome},
    commands::{accounts::may_show_passwords, authenticate::peer},
    link::charge,
    turn::Turn,
    work::work,
};
use std::sync::Arc;

const ME: Service = Service::NickServ;

pub(super) const ORDERS: &[Order] = &[
    Order {
        name: "REGISTER",
        usage: "<password> [<mail address>]",
        about: "makes an account of your nick.",
        words: 1,
        run: register,
    },
    Order {
        name: "VERIFY",
        usage: "<account> <code>",
        about: "completes a registration by the code that came by mail.",
        words: 2,
        run: verify,
    },
    Order {
        name: "IDENTIFY",
        usage: "[<account>] <password>",
        about: "logs you in; SASL does so before you are seen.",
        words: 1,
        run: identify,
    },
    Order {
        name: "LOGOUT",
        usage: "",
        about: "logs you out.",
        words: 0,
        run: logout,
    },
    Order {
        name: "INFO",
        usage: "",
        about: "tells what is kept of your account.",
        words: 0,
        run: info,
    },
    Order {
        name: "PASSWD",
        usage: "<old password> <new password>",
        about: "changes your password.",
        words: 2,
        run: passwd,
    },
    Order {
        name: "SET",
        usage: "STRICT ON|OFF",
        about: "whether nobody else gets your nick, not for a moment.",
        words: 2,
        run: set,
    },
    Order {
        name: "CERT",
        usage: "LIST | ADD [<fingerprint>] | DEL <fingerprint>",
        about: "TLS certificates that log you in by SASL EXTERNAL.",
        words: 1,
        run: cert,
    },
    Order {
        name: "REGAIN",
        usage: "<nick>",
        about: "takes your nick back from whoever has it, and gives it to you.",
        words: 1,
        run: regain,
    },
    Order {
        name: "DROP",
        usage: "<account> <password>",
        about: "removes your account, and the channels that it founded.",
        words: 2,
        run: drop_account,
    },
];

fn accounts(turn: &Turn<'_>) -> Option<Arc<Accounts>> {
    turn.net.settings.options.accounts.clone()
}

/// Where a password was shown: it is too late for this one, but not for the next.
fn guarded(turn: &mut Turn<'_>) -> Option<Arc<Accounts>> {
    let accounts = accounts(turn)?;
    if !may_show_passwords(&accounts, turn.me()) {
        say(
            turn,
            ME,
            "Passwords are taken over TLS only; others may have read this one.",
        );
        return None;
    }
    // Each costs a hash.
    charge(turn, 4);
    Some(accounts)
}

fn register(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(accounts) = guarded(turn) else {
        return;
    };
    if turn.me().account.is_some() {
        return say(turn, ME, "You are logged in already.");
    }
    let name = turn.nick();
    let (password, email) = (Secret::from(words.at(0)), words.get(1).map(str::to_owned));
    let peer = peer(turn.me());
    turn.defer(work(
        async move {
            accounts
                .register(&name, email.as_deref(), &password, peer)
                .await
        },
        registered,
    ));
}

fn verify(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let (name, code) = (words.at(0).to_owned(), words.at(1).to_owned());
    turn.defer(work(
        async move { accounts.verify(&name, &code).await },
        registered,
    ));
}

fn registered(turn: &mut Turn<'_>, done: Result<Outcome, AccountError>) {
    match done {
        Ok(Outcome::Registered(name)) => {
            say(turn, ME, &format!("The account {name} is yours."));
            turn.log_in(&name);
        }
        Ok(Outcome::VerificationRequired(name)) => {
            let text = format!("A code was sent to you; VERIFY {name} <code> completes it.");
            say(turn, ME, &text);
        }
        Err(error) => sorry(turn, ME, &error),
    }
}

fn identify(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(accounts) = guarded(turn) else {
        return;
    };
    let (name, password) = match words.get(1) {
        Some(password) => (words.at(0).to_owned(), password),
        None => (turn.nick(), words.at(0)),
    };
    let password = Secret::from(password);
    let peer = peer(turn.me());
    turn.defer(work(
        async move { accounts.log_in(&name, &password, peer).await },
        |turn, done| match done {
            Ok(name) => {
                say(turn, ME, &format!("You are logged in as {name}."));
                turn.log_in(&name);
            }
            Err(error) => refused(turn, &error),
        },
    ));
}

fn refused(turn: &mut Turn<'_>, error: &Refused) {
    let text = match error {
        Refused::TooMany { .. } | Refused::Unavailable(_) => format!("Not now: {error}."),
        _ => "That account and password do not fit.".to_owned(),
    };
    say(turn, ME, &text);
}

fn logout(turn: &mut Turn<'_>, _: &Words<'_>) {
    if account(turn, ME).is_some() {
        turn.set_account(None);
        say(turn, ME, "You are logged out.");
    }
}

fn info(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let mine = turn.me().account.as_deref().map(str::to_owned);
    // Of others operators alone learn whether there are any.
    let name = match words.get(0) {
        Some(name) if turn.me().is_oper() => Some(name.to_owned()),
        Some(name) => mine.filter(|mine| turn.net.settings.mapping().eq(mine, name)),
        None => mine,
    };
    let Some(name) = name else {
        return say(
            turn,
            ME,
            "I tell you of your own account, once you are logged in.",
        );
    };
    let told = accounts.store().read(|it| {
        let account = it.account(&name)?;
        let channels: Vec<_> = it
            .founded_by(&name)
            .map(|channel| channel.name.as_str())
            .collect();
        let mut told = vec![format!(
            "Account {}, registered on {}.",
            account.name,
            day(account.created)
        )];
        if let Some(email) = &account.email {
            told.push(format!("Mail address: {email}"));
        }
        if account.strict {
            told.push("Nobody else gets its nick.".to_owned());
        }
        if !channels.is_empty() {
            told.push(format!("Channels: {}", channels.join(" ")));
        }
        Some(told)
    });
    match told {
        Some(lines) => lines.iter().for_each(|line| say(turn, ME, line)),
        None => say(turn, ME, "There is nothing kept of that account here."),
    }
}

fn passwd(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(name) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = guarded(turn) else {
        return;
    };
    let (old, new) = (Secret::from(words.at(0)), Secret::from(words.at(1)));
    let peer = peer(turn.me());
    turn.defer(work(
        async move {
            accounts.log_in(&name, &old, peer).await.map_err(Ok)?;
            accounts.set_password(&name, &new).await.map_err(Err)
        },
        |turn, done: Result<(), Result<Refused, AccountError>>| match done {
            Ok(()) => say(turn, ME, "Your password is changed."),
            Err(Ok(error)) => refused(turn, &error),
            Err(Err(error)) => sorry(turn, ME, &error),
        },
    ));
}

fn set(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(name) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let on = match words.at(1).to_ascii_lowercase().as_str() {
        "on" => true,
        "off" => false,
        _ => return say(turn, ME, "Usage: SET STRICT ON|OFF"),
    };
    if !words.at(0).eq_ignore_ascii_case("strict") {
        return say(turn, ME, "Usage: SET STRICT ON|OFF");
    }
    turn.defer(work(
        async move { accounts.change(&name, |account| account.strict = on).await },
        move |turn, done| match done {
            Ok(()) if on => say(turn, ME, "Nobody else gets your nick now."),
            Ok(()) => say(turn, ME, "Others with your nick are asked to log in."),
            Err(error) => sorry(turn, ME, &error),
        },
    ));
}

fn cert(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(name) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let given = words.get(1).map(str::parse::<Fingerprint>);
    let fingerprint = match given {
        Some(Ok(given)) => Some(given),
        Some(Err(error)) => return say(turn, ME, &format!("{error}.")),
        None => turn.me().certificate(),
    };
    match (words.at(0).to_ascii_uppercase().as_str(), fingerprint) {
        ("LIST", _) => {
            let listed = accounts.store().read(|it| {
                it.account(&name)
                    .map(|account| account.certificates.clone())
            });
            let listed = listed.unwrap_or_default();
            if listed.is_empty() {
                say(turn, ME, "No certificate logs you in.");
            }
            for fingerprint in listed {
                say(turn, ME, &fingerprint);
            }
        }
        ("ADD", Some(fingerprint)) => turn.defer(work(
            async move { accounts.add_certificate(&name, fingerprint).await },
            move |turn, done| match done {
                Ok(()) => say(turn, ME, &format!("{fingerprint} logs you in now.")),
                Err(error) => sorry(turn, ME, &error),
            },
        )),
        ("ADD", None) => say(turn, ME, "You show no certificate; give a fingerprint."),
        ("DEL", Some(fingerprint)) if words.get(1).is_some() => {
            let text = fingerprint.to_string();
            turn.defer(work(
                async move {
                    accounts
                        .change(&name, |account| {
                            let before = account.certificates.len();
                            account.certificates.retain(|it| *it != text);
                            account.certificates.len() < before
                        })
                        .await
                },
                |turn, done| match done {
                    Ok(true) => say(turn, ME, "That certificate no longer logs you in."),
                    Ok(false) => say(turn, ME, "That certificate does not log you in."),
                    Err(error) => sorry(turn, ME, &error),
                },
            ));
        }
        _ => say(
            turn,
            ME,
            "Usage: CERT LIST | ADD [<fingerprint>] | DEL <fingerprint>",
        ),
    }
}

fn regain(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(account) = account(turn, ME) else {
        return;
    };
    let nick = words.at(0);
    let settings = turn.net.settings.clone();
    // An operator's file has accounts that can be nobody's nick.
    if !settings.mapping().eq(nick, &account) || !settings.is_nick(nick) {
        return say(turn, ME, "That nick is not your account's.");
    }
    if let Some(id) = turn.net.holder(nick)
        && id != turn.id
    {
        let same = turn.net.client(id).and_then(|it| it.account.as_deref()) == Some(&*account);
        if same {
            // Oneself, on a connection that hangs.
            turn.net.remove(id, "Regained by its owner");
        } else {
            turn.net.rename_away(id);
        }
    }
    let nick = nick.to_owned();
    crate::server::commands::registration::take_nick(turn, &nick);
}

fn drop_account(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(mine) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = guarded(turn) else {
        return;
    };
    if !turn.net.settings.mapping().eq(&mine, words.at(0)) {
        return say(
            turn,
            ME,
            "You can drop the account that you are logged in to.",
        );
    }
    let password = Secret::from(words.at(1));
    let peer = peer(turn.me());
    turn.defer(work(
        async move {
            accounts.log_in(&mine, &password, peer).await.map_err(Ok)?;
            let founded = accounts.remove(&mine).await.map_err(Err)?;
            Ok((mine, founded))
        },
        |turn, done: Result<(String, Vec<String>), Result<Refused, AccountError>>| match done {
            Ok((name, founded)) => {
                for channel in &founded {
                    turn.net.channel_dropped(channel);
                }
                turn.net.account_dropped(&name);
                say(turn, ME, &format!("The account {name} is no more."));
                turn.log_out_all(&name);
            }
            Err(Ok(error)) => refused(turn, &error),
            Err(Err(error)) => sorry(turn, ME, &error),
        },
    ));
}
