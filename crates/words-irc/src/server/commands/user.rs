//! `AWAY`, `ISON`, `USERHOST` (<https://modern.ircdocs.horse/#optional-messages>).

use super::{super::turn::Turn, cut};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

pub(super) fn away(turn: &mut Turn<'_>, message: &Message<'_>) {
    let most = turn.net.settings.options.limits.away;
    let reason = message.param(0).filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| cut(reason, most).into());
    let me = turn.me_mut();
    let changed = me.away != reason;
    me.away.clone_from(&reason);
    match &reason {
        Some(_) => {
            let text = "You have been marked as being away";
            turn.reply(Numeric::RPL_NOWAWAY, &[], text);
        }
        None => {
            let text = "You are no longer marked as being away";
            turn.reply(Numeric::RPL_UNAWAY, &[], text);
        }
    }
    if changed {
        let line = turn.by_me("AWAY");
        let line = match &reason {
            Some(reason) => line.text(reason),
            None => line,
        };
        let event = turn.event(line);
        turn.tell_peers(&event, Some(Capability::AwayNotify));
    }
}

/// Nicks of one `ISON` at most: what fits into a line.
pub(super) fn ison(turn: &mut Turn<'_>, message: &Message<'_>) {
    let asked = message.params.iter().flat_map(|nicks| nicks.split(' '));
    let online = asked
        .filter_map(|nick| turn.net.named(nick))
        .map(|client| &*client.nick);
    let online: Vec<&str> = online.collect();
    let online = online.join(" ");
    turn.reply(Numeric::RPL_ISON, &[], &online);
}

pub(super) fn userhost(turn: &mut Turn<'_>, message: &Message<'_>) {
    let asked = message
        .params
        .iter()
        .flat_map(|nicks| nicks.split(' '))
        .take(5);
    let replies = asked.filter_map(|nick| turn.net.named(nick)).map(|client| {
        let oper = if client.is_oper() { "*" } else { "" };
        let here = if client.away.is_some() { '-' } else { '+' };
        format!(
            "{}{oper}={here}{}@{}",
            client.nick, client.user, client.host
        )
    });
    let replies: Vec<String> = replies.collect();
    turn.reply(Numeric::RPL_USERHOST, &[], &replies.join(" "));
}
