//! `MONITOR`: who is told of whose coming and going
//! (<https://ircv3.net/specs/extensions/monitor>).

use super::list;
use crate::{
    proto::{message::Message, numeric::Numeric},
    server::{client::ClientId, event::Line, state::State, turn::Turn},
};

/// `MONITOR (+|-) <nicks>`, `MONITOR (C|L|S)`
pub(crate) fn monitor(turn: &mut Turn<'_>, message: &Message<'_>) {
    let nicks = message.params.get(1).copied();
    match (message.params[0], nicks) {
        ("+", Some(nicks)) => add(turn, nicks),
        ("-", Some(nicks)) => {
            for nick in list(nicks) {
                let folded = turn.net.settings.fold(nick);
                turn.net.records.monitor.remove(turn.id, &folded);
            }
        }
        ("+" | "-", None) => turn.needs_params("MONITOR"),
        ("C" | "c", _) => turn.net.records.monitor.clear(turn.id),
        ("L" | "l", _) => {
            let watched = turn.net.records.monitor.list(turn.id);
            let nicks: Vec<_> = watched.map(|(_, nick)| nick.to_owned()).collect();
            tell(turn, Numeric::RPL_MONLIST, &nicks);
            let text = "End of MONITOR list";
            turn.reply(Numeric::RPL_ENDOFMONLIST, &[], text);
        }
        ("S" | "s", _) => {
            let watched = turn.net.records.monitor.list(turn.id);
            let nicks: Vec<_> = watched.map(|(_, nick)| nick.to_owned()).collect();
            status(turn, &nicks);
        }
        _ => {}
    }
}

fn add(turn: &mut Turn<'_>, nicks: &str) {
    let limit = turn.net.settings.options.limits.monitor;
    let mut added = Vec::new();
    let mut rest = list(nicks).peekable();
    while let Some(nick) = rest.peek() {
        // What cannot be a nick, a mask above all, is nobody.
        if turn.net.settings.is_nick(nick) {
            let folded = turn.net.settings.fold(nick);
            if !turn.net.records.monitor.add(turn.id, nick, folded, limit) {
                break;
            }
            added.push((*nick).to_owned());
        }
        rest.next();
    }
    let left: Vec<_> = rest.collect();
    status(turn, &added);
    if !left.is_empty() {
        let (limit, left) = (limit.to_string(), left.join(","));
        let text = "Monitor list is full";
        turn.reply(Numeric::ERR_MONLISTFULL, &[&limit, &left], text);
    }
}

/// Who of them is there, and who is not.
fn status(turn: &mut Turn<'_>, nicks: &[String]) {
    let (mut here, mut gone) = (Vec::new(), Vec::new());
    for nick in nicks {
        match turn.net.named(nick) {
            Some(client) => here.push(client.source.to_string()),
            None => gone.push(nick.clone()),
        }
    }
    tell(turn, Numeric::RPL_MONONLINE, &here);
    tell(turn, Numeric::RPL_MONOFFLINE, &gone);
}

/// The same reply as often as it takes for all names.
fn tell(turn: &mut Turn<'_>, numeric: Numeric, names: &[String]) {
    let mut rest = names;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |name: &&String| {
            bytes += name.len() + 1;
            bytes <= ROOM
        };
        let n = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at(n);
        turn.reply(numeric, &[], &now.join(","));
        rest = later;
    }
}

/// The bytes of names in a reply.
const ROOM: usize = 380;

/// Tells who watches a nick that somebody has it, or that nobody has.
pub(crate) fn notify(state: &mut State, nick: &str, source: Option<&str>) {
    let folded = state.settings.fold(nick);
    let watchers: Vec<ClientId> = state.records.monitor.watchers(&folded).collect();
    let (numeric, text) = match source {
        Some(source) => (Numeric::RPL_MONONLINE, source),
        None => (Numeric::RPL_MONOFFLINE, nick),
    };
    for id in watchers {
        let Some(watcher) = state.client(id) else {
            continue;
        };
        let line = Line::numeric(state.settings.server(), numeric, &watcher.nick).text(text);
        let event = state.notice(line);
        state.deliver(id, &event);
    }
}
