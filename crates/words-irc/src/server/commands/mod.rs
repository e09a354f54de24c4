//! The commands: which there are, who may give them, and what they cost.

pub(crate) mod accounts;
pub(crate) mod authenticate;
pub(crate) mod ban;
mod cap;
mod chathistory;
mod help;
mod info;
mod invite;
mod join;
mod list;
mod message;
mod mode;
pub(crate) mod monitor;
mod names;
mod oper;
mod part;
pub(crate) mod registration;
mod topic;
mod user;
pub(crate) mod webirc;
mod who;
mod whois;

use super::{link::charge, services, turn::Turn};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

/// A command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    run: fn(&mut Turn<'_>, &Message<'_>),
    /// The fewest parameters.
    params: usize,
    /// What it takes out of the bucket.
    weight: u32,
    /// Whether it may be given before registration.
    early: bool,
}

/// One for registered clients.
const fn command(
    name: &'static str,
    params: usize,
    weight: u32,
    run: fn(&mut Turn<'_>, &Message<'_>),
) -> Command {
    Command {
        name,
        run,
        params,
        weight,
        early: false,
    }
}

/// One that may be given before registration as well.
const fn early(
    name: &'static str,
    params: usize,
    weight: u32,
    run: fn(&mut Turn<'_>, &Message<'_>),
) -> Command {
    Command {
        early: true,
        ..command(name, params, weight, run)
    }
}

/// All of them, by name.
pub(crate) static COMMANDS: &[Command] = &[
    command("ADMIN", 0, 2, info::admin),
    early("AUTHENTICATE", 1, 1, authenticate::authenticate),
    command("AWAY", 0, 2, user::away),
    early("CAP", 1, 1, cap::cap),
    command("CHANSERV", 0, 2, services::cs),
    command("CHATHISTORY", 1, 5, chathistory::chathistory),
    command("CHGHOST", 2, 1, oper::chghost),
    command("CS", 0, 2, services::cs),
    command("DLINE", 0, 2, ban::dline),
    command("HELP", 0, 2, info::help),
    command("HELPOP", 0, 2, info::help),
    command("INFO", 0, 2, info::info),
    command("INVITE", 0, 2, invite::invite),
    command("ISON", 1, 1, user::ison),
    command("JOIN", 1, 2, join::join),
    command("KICK", 2, 1, part::kick),
    command("KILL", 1, 1, oper::kill),
    command("KLINE", 0, 2, ban::kline),
    command("LINKS", 0, 2, info::links),
    command("LIST", 0, 10, list::list),
    command("LUSERS", 0, 2, info::lusers),
    command("MODE", 1, 1, mode::mode),
    command("MONITOR", 1, 2, monitor::monitor),
    command("MOTD", 0, 4, info::motd),
    command("NAMES", 0, 4, names::names),
    early("NICK", 0, 2, registration::nick),
    command("NICKSERV", 0, 2, services::ns),
    command("NOTICE", 0, 1, message::notice),
    command("NS", 0, 2, services::ns),
    command("OPER", 2, 2, oper::oper),
    command("PART", 1, 2, part::part),
    early("PASS", 1, 1, registration::pass),
    early("PING", 0, 1, registration::ping),
    early("PONG", 0, 1, registration::pong),
    command("PRIVMSG", 0, 1, message::privmsg),
    early("QUIT", 0, 1, registration::quit),
    early("REGISTER", 3, 5, accounts::register),
    command("REHASH", 0, 1, oper::rehash),
    command("SETNAME", 1, 2, registration::setname),
    command("STATS", 1, 2, info::stats),
    command("TAGMSG", 1, 1, message::tagmsg),
    command("TIME", 0, 2, info::time),
    command("TOPIC", 1, 2, topic::topic),
    command("UNDLINE", 1, 2, ban::unset),
    command("UNKLINE", 1, 2, ban::unset),
    early("USER", 0, 1, registration::user),
    command("USERHOST", 1, 1, user::userhost),
    early("VERIFY", 2, 5, accounts::verify),
    command("VERSION", 0, 2, info::version),
    command("WALLOPS", 1, 2, oper::wallops),
    early("WEBIRC", 4, 5, webirc::webirc),
    command("WHO", 1, 4, who::who),
    command("WHOIS", 0, 2, whois::whois),
    command("WHOWAS", 0, 2, whois::whowas),
];

/// The bytes of a label at most (<https://ircv3.net/specs/extensions/labeled-response>).
const LABEL: usize = 64;

/// Does what a client asks.
pub(crate) fn run(turn: &mut Turn<'_>, message: &Message<'_>) {
    turn.net.tally.messages += 1;
    labelled(turn, message, |turn| dispatch(turn, message));
}

/// Answers a message, with its label if it has one.
pub(crate) fn labelled(
    turn: &mut Turn<'_>,
    message: &Message<'_>,
    answer: impl FnOnce(&mut Turn<'_>),
) {
    let label = (turn.has(Capability::LabeledResponse) && turn.has(Capability::Batch))
        .then(|| message.tags.get("label"))
        .flatten()
        .filter(|label| !label.is_empty() && label.len() <= LABEL);
    let start = turn.net.told.len();
    answer(turn);
    if let Some(label) = label {
        turn.label(&label, start);
    }
    if !turn.net.aside.is_empty() {
        let aside = std::mem::take(&mut turn.net.aside);
        turn.net.told.extend_from_slice(&aside);
    }
}

fn dispatch(turn: &mut Turn<'_>, message: &Message<'_>) {
    let mut upper = [0; 16];
    let Some(name) = upper.get_mut(..message.command.len()) else {
        return unknown(turn, message.command);
    };
    name.copy_from_slice(message.command.as_bytes());
    name.make_ascii_uppercase();
    let name = &*name;
    let Ok(at) = COMMANDS.binary_search_by(|command| command.name.as_bytes().cmp(name)) else {
        return unknown(turn, message.command);
    };
    let command = &COMMANDS[at];
    turn.net.used[at] += 1;
    charge(turn, command.weight);
    if !command.early && !turn.me().is_registered() {
        turn.reply(Numeric::ERR_NOTREGISTERED, &[], "You have not registered");
    } else if message.params.len() < command.params {
        turn.needs_params(command.name);
    } else {
        (command.run)(turn, message);
    }
}

/// A command that there is not.
pub(crate) fn unknown(turn: &mut Turn<'_>, line: &str) {
    charge(turn, 1);
    let name = line.trim_start().split(' ').next().unwrap_or_default();
    if !turn.me().is_registered() && is_http(name) {
        // A browser that was led here; whatever follows is not meant for us.
        turn.net.remove(turn.id, "This is not a web server");
        return;
    }
    turn.reply(Numeric::ERR_UNKNOWNCOMMAND, &[name], "Unknown command");
}

fn is_http(name: &str) -> bool {
    matches!(
        name,
        "GET" | "POST" | "PUT" | "HEAD" | "OPTIONS" | "CONNECT"
    )
}

/// The parts of a list between commas, without the empty ones.
fn list(param: &str) -> impl Iterator<Item = &str> {
    param.split(',').filter(|part| !part.is_empty())
}

/// Each target behind the first costs a unit: what a command's own weight is for is one.
fn charge_further(turn: &mut Turn<'_>, target: usize) {
    if target > 0 {
        charge(turn, 1);
    }
}

/// A text of so many bytes at most, cut between characters.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(COMMANDS.iter().all(|c| c.name.len() <= 16));
    }
}
