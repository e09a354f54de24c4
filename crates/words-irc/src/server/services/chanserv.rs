//! `ChanServ`: channels.

use super::{Order, Service, Words, account, day, say, sorry};
use crate::server::{
    accounts::{AccountError, Accounts},
    channel::Ranks,
    link::charge,
    registered::Role,
    turn::Turn,
    work::work,
};
use std::sync::Arc;

const ME: Service = Service::ChanServ;

pub(super) const ORDERS: &[Order] = &[
    Order {
        name: "REGISTER",
        usage: "<channel>",
        about: "makes a channel yours that you are an operator of.",
        words: 1,
        run: register,
    },
    Order {
        name: "DROP",
        usage: "<channel> <channel>",
        about: "gives a channel up; its name twice, since what was kept of it is lost.",
        words: 2,
        run: drop_channel,
    },
    Order {
        name: "INFO",
        usage: "<channel>",
        about: "tells whose a channel is.",
        words: 1,
        run: info,
    },
    Order {
        name: "LIST",
        usage: "",
        about: "lists the channels that are yours.",
        words: 0,
        run: list,
    },
    Order {
        name: "ACCESS",
        usage: "<channel> LIST | ADD <account> <role> | DEL <account>",
        about: "who gets which rank on joining; roles are voice, halfop, operator, admin, founder.",
        words: 2,
        run: access,
    },
    Order {
        name: "TRANSFER",
        usage: "<channel> <account>",
        about: "gives a channel to another account.",
        words: 2,
        run: transfer,
    },
    Order {
        name: "UP",
        usage: "<channel>",
        about: "gives you the rank that is yours in a channel that you are in.",
        words: 1,
        run: up,
    },
    Order {
        name: "CLEAR",
        usage: "<channel>",
        about: "opens a channel of yours: no bans, no key, no limit, not by invitation alone.",
        words: 1,
        run: clear,
    },
];

fn accounts(turn: &Turn<'_>) -> Option<Arc<Accounts>> {
    turn.net.settings.options.accounts.clone()
}

/// The client's account, and its role in a registered channel; who has none is
/// told so.
fn role(turn: &mut Turn<'_>, channel: &str, least: Role) -> Option<(Arc<Accounts>, String)> {
    let account = account(turn, ME)?;
    let accounts = accounts(turn)?;
    let role = accounts.store().read(|it| it.role(channel, &account));
    if role.is_some_and(|role| role >= least) {
        return Some((accounts, account));
    }
    let registered = accounts.store().read(|it| it.channel(channel).is_some());
    let text = if registered && role.is_some() {
        format!("That takes the role {} in {channel}.", least.name())
    } else {
        format!("{channel} is not registered, or not to you.")
    };
    say(turn, ME, &text);
    None
}

/// Whose a channel is, by the account that registered it.
fn is_founder(accounts: &Accounts, channel: &str, account: &str) -> bool {
    accounts.store().read(|it| {
        let channel = it.channel(channel);
        channel.is_some_and(|channel| it.mapping().eq(&channel.founder, account))
    })
}

fn register(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(account) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let channel = turn.net.channel_named(words.at(0));
    let ranks = channel.and_then(|channel| turn.net.ranks(turn.id, channel));
    let (Some(at), true) = (
        channel,
        ranks.is_some_and(|it| it.at_least(Ranks::OPERATOR)),
    ) else {
        return say(turn, ME, "You must be an operator of that channel.");
    };
    let most = accounts.options().channels;
    let (there, count, known) = accounts.store().read(|it| {
        (
            it.channel(words.at(0)).is_some(),
            it.founded_by(&account).count(),
            it.account(&account).is_some(),
        )
    });
    if there {
        return say(turn, ME, "That channel is registered already.");
    }
    if count >= most {
        return say(
            turn,
            ME,
            &format!("You have {most} channels, which is as many as one may have."),
        );
    }
    let Some(mut record) = turn.net.snapshot(at) else {
        return;
    };
    record.founder.clone_from(&account);
    record.registered = turn.net.clock.seconds();
    let name = record.name.clone();
    let store = accounts.store().clone();
    // An account of an operator's file has no record here, and gets one that
    // logs nobody in.
    let added = store.change(|it| {
        if !known {
            it.add_account(crate::server::registered::Account::new(
                &account,
                "*",
                record.registered,
            ));
        }
        it.add_channel(record)
    });
    if !added {
        return say(turn, ME, "That channel is registered already.");
    }
    turn.defer(work(
        async move {
            let saved = store.saved().await;
            if saved.is_err() {
                store.change(|it| it.remove_channel(&name));
            }
            (name, saved)
        },
        |turn, (name, saved)| match saved {
            Ok(()) => {
                turn.net.channel_registered(&name);
                say(turn, ME, &format!("{name} is yours."));
                raise(turn, &name);
            }
            Err(error) => sorry(turn, ME, &AccountError::Unavailable(error)),
        },
    ));
}

/// Gives the client the rank that is its own.
fn raise(turn: &mut Turn<'_>, channel: &str) {
    if let Some(channel) = turn.net.channel_named(channel) {
        turn.net.grant_role(turn.id, channel);
    }
}

fn drop_channel(turn: &mut Turn<'_>, words: &Words<'_>) {
    let name = words.at(0);
    let Some((accounts, account)) = role(turn, name, Role::Founder) else {
        return;
    };
    if !is_founder(&accounts, name, &account) {
        return say(turn, ME, "That is for the account that registered it.");
    }
    if !turn.net.settings.mapping().eq(name, words.at(1)) {
        return say(
            turn,
            ME,
            "Give the channel's name twice: what was kept of it is lost.",
        );
    }
    let store = accounts.store().clone();
    let name = name.to_owned();
    store.change(|it| it.remove_channel(&name));
    turn.net.channel_dropped(&name);
    saved(turn, &accounts, format!("{name} is nobody's any more."));
}

/// Says something once what has changed is on the disk.
fn saved(turn: &mut Turn<'_>, accounts: &Accounts, text: String) {
    let store = accounts.store().clone();
    turn.defer(work(
        async move { store.saved().await },
        move |turn, saved| match saved {
            Ok(()) => say(turn, ME, &text),
            Err(error) => sorry(turn, ME, &AccountError::Unavailable(error)),
        },
    ));
}

fn info(turn: &mut Turn<'_>, words: &Words<'_>) {
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let name = words.at(0);
    let account = turn.me().account.as_deref().unwrap_or("*").to_owned();
    let here = turn.net.channel_named(name);
    let member = here.is_some_and(|channel| turn.net.ranks(turn.id, channel).is_some());
    let oper = turn.me().is_oper();
    let told = accounts.store().read(|it| {
        let channel = it.channel(name)?;
        let secret = channel.modes.contains('s');
        if secret && !member && !oper && it.role(name, &account).is_none() {
            return None;
        }
        Some(format!(
            "{} is {}'s, registered on {}; {} on its access list.",
            channel.name,
            channel.founder,
            day(channel.registered),
            channel.access.len(),
        ))
    });
    let text = told.unwrap_or_else(|| format!("{name} is not registered."));
    say(turn, ME, &text);
}

fn list(turn: &mut Turn<'_>, _: &Words<'_>) {
    let Some(account) = account(turn, ME) else {
        return;
    };
    let Some(accounts) = accounts(turn) else {
        return;
    };
    let names: Vec<String> = accounts.store().read(|it| {
        it.founded_by(&account)
            .map(|channel| channel.name.clone())
            .collect()
    });
    if names.is_empty() {
        say(turn, ME, "No channel is yours.");
    }
    for name in names {
        say(turn, ME, &name);
    }
}

fn access(turn: &mut Turn<'_>, words: &Words<'_>) {
    let name = words.at(0);
    match (words.at(1).to_ascii_uppercase().as_str(), words.get(2)) {
        ("LIST", _) => {
            let Some((accounts, _)) = role(turn, name, Role::Voice) else {
                return;
            };
            let listed = accounts.store().read(|it| {
                let channel = it.channel(name)?;
                let mut listed = vec![format!("{} founder, who registered it", channel.founder)];
                let access = channel.access.iter();
                listed.extend(access.map(|(account, role)| format!("{account} {}", role.name())));
                Some(listed)
            });
            for line in listed.unwrap_or_default() {
                say(turn, ME, &line);
            }
        }
        ("ADD", Some(account)) => add_access(turn, name, account, words.get(3)),
        ("DEL", Some(account)) => del_access(turn, name, account),
        _ => say(
            turn,
            ME,
            "Usage: ACCESS <channel> LIST | ADD <account> <role> | DEL <account>",
        ),
    }
}

/// One gives what is below one's own; the founder anything.
fn may_give(accounts: &Accounts, channel: &str, giver: &str, role: Role) -> bool {
    is_founder(accounts, channel, giver)
        || accounts
            .store()
            .read(|it| it.role(channel, giver))
            .is_some_and(|own| own > role)
}

fn add_access(turn: &mut Turn<'_>, name: &str, account: &str, given: Option<&str>) {
    let Some((accounts, mine)) = role(turn, name, Role::Admin) else {
        return;
    };
    let Some(given) = given.and_then(Role::named) else {
        return say(
            turn,
            ME,
            "Roles are voice, halfop, operator, admin, founder.",
        );
    };
    let old = accounts.store().read(|it| it.role(name, account));
    let may = |role| may_give(&accounts, name, &mine, role);
    if !may(given) || old.is_some_and(|old| !may(old)) {
        return say(
            turn,
            ME,
            "You may give and take what is below your own role.",
        );
    }
    let most = accounts.options().access;
    let folded = turn.net.settings.fold(account);
    // Else whoever registers the name some day would have it. Asking costs, since
    // it tells which accounts there are.
    charge(turn, 4);
    if !accounts.is_known(account) {
        return say(turn, ME, "There is no such account.");
    }
    let added = accounts.store().change(|it| {
        it.change_channel(name, |channel| {
            let room = channel.access.len() < most || channel.access.contains_key(folded.as_str());
            if room {
                channel.access.insert(folded.as_str().to_owned(), given);
            }
            room
        })
    });
    if added != Some(true) {
        return say(
            turn,
            ME,
            &format!("The access list has {most} accounts, and is full."),
        );
    }
    grant_all(turn, name, account);
    saved(
        turn,
        &accounts,
        format!("{account} is {} of {name}.", given.name()),
    );
}

/// Gives those who are in a channel by an account the rank that is theirs.
fn grant_all(turn: &mut Turn<'_>, name: &str, account: &str) {
    let Some(channel) = turn.net.channel_named(name) else {
        return;
    };
    for id in turn.net.members(channel) {
        let theirs = turn.net.client(id).and_then(|it| it.account.as_deref());
        if theirs.is_some_and(|it| turn.net.settings.mapping().eq(it, account)) {
            turn.net.grant_role(id, channel);
        }
    }
}

fn del_access(turn: &mut Turn<'_>, name: &str, account: &str) {
    let Some((accounts, mine)) = role(turn, name, Role::Voice) else {
        return;
    };
    let old = accounts.store().read(|it| {
        let folded = it.mapping().fold(account);
        it.channel(name)?.access.get(folded.as_str()).copied()
    });
    let Some(old) = old else {
        return say(turn, ME, &format!("{account} is not on the access list."));
    };
    // Anybody may leave the list.
    let own = turn.net.settings.mapping().eq(account, &mine);
    if !own && !may_give(&accounts, name, &mine, old) {
        return say(
            turn,
            ME,
            "You may give and take what is below your own role.",
        );
    }
    let folded = turn.net.settings.fold(account);
    accounts
        .store()
        .change(|it| it.change_channel(name, |channel| channel.access.remove(folded.as_str())));
    saved(
        turn,
        &accounts,
        format!("{account} is no longer on the access list of {name}."),
    );
}

fn transfer(turn: &mut Turn<'_>, words: &Words<'_>) {
    let (name, to) = (words.at(0), words.at(1));
    let Some((accounts, mine)) = role(turn, name, Role::Founder) else {
        return;
    };
    if !is_founder(&accounts, name, &mine) {
        return say(turn, ME, "That is for the account that registered it.");
    }
    let most = accounts.options().channels;
    // Only to who is here, so that nobody asks which accounts there are.
    let here = turn.net.channel_named(name).is_some_and(|channel| {
        turn.net.members(channel).into_iter().any(|id| {
            let theirs = turn.net.client(id).and_then(|it| it.account.as_deref());
            theirs.is_some_and(|it| turn.net.settings.mapping().eq(it, to))
        })
    });
    let given = here
        && accounts.store().change(|it| {
            let Some(to) = it.account(to).map(|account| account.name.clone()) else {
                return false;
            };
            if it.founded_by(&to).count() >= most {
                return false;
            }
            let folded = it.mapping().fold(&to);
            let old = it.mapping().fold(&mine);
            it.change_channel(name, |channel| {
                channel.access.remove(folded.as_str());
                channel.access.insert(old.as_str().to_owned(), Role::Admin);
                channel.founder = to;
            })
            .is_some()
        });
    if !given {
        let text = "A channel is given to an account whose owner is in it and may have another.";
        return say(turn, ME, text);
    }
    grant_all(turn, name, to);
    saved(turn, &accounts, format!("{name} is {to}'s."));
}

fn up(turn: &mut Turn<'_>, words: &Words<'_>) {
    if role(turn, words.at(0), Role::Voice).is_some() {
        raise(turn, words.at(0));
    }
}

fn clear(turn: &mut Turn<'_>, words: &Words<'_>) {
    let name = words.at(0);
    let Some((accounts, _)) = role(turn, name, Role::Admin) else {
        return;
    };
    turn.net.open_channel(name);
    saved(turn, &accounts, format!("{name} is open."));
}
