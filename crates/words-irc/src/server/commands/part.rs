//! `PART` and `KICK` (<https://modern.ircdocs.horse/#part-message>).

use super::{
    super::{hooks, turn::Turn},
    charge_further, cut, list,
};
use crate::proto::{message::Message, numeric::Numeric};

pub(super) fn part(turn: &mut Turn<'_>, message: &Message<'_>) {
    let most = turn.net.settings.options.limits.joins;
    for (n, name) in list(message.params[0]).enumerate() {
        if n >= most {
            return turn.reply(Numeric::ERR_TOOMANYTARGETS, &[name], "Too many targets");
        }
        charge_further(turn, n);
        let Some(channel) = turn.net.channel_named(name) else {
            turn.no_such_channel(name);
            continue;
        };
        if turn.me().membership(channel).is_none() {
            turn.not_on_channel(name);
            continue;
        }
        leave(
            turn,
            channel,
            message.param(1).filter(|reason| !reason.is_empty()),
        );
    }
}

/// Leaves a channel that the client is in.
pub(super) fn leave(turn: &mut Turn<'_>, channel: u32, reason: Option<&str>) {
    let Some(name) = turn.net.channels.get(channel).map(|c| c.name.clone()) else {
        return;
    };
    let most = turn.net.settings.options.limits.quit;
    let mut line = turn.by_me("PART").param(&name);
    if let Some(reason) = reason {
        line = line.text(cut(reason, most));
    }
    let event = turn.event(line);
    let members = turn.net.members(channel);
    turn.net.deliver_all(&members, &event);
    turn.net.remove_member(turn.id, channel);
}

/// One channel and several nicks, or as many channels as nicks.
pub(super) fn kick(turn: &mut Turn<'_>, message: &Message<'_>) {
    let channels: Vec<&str> = list(message.params[0]).collect();
    let nicks: Vec<&str> = list(message.params[1]).collect();
    if channels.is_empty() || nicks.is_empty() {
        return turn.needs_params("KICK");
    }
    if channels.len() != 1 && channels.len() != nicks.len() {
        return turn.needs_params("KICK");
    }
    let limits = turn.net.settings.options.limits.clone();
    let reason = match message.param(2) {
        Some(reason) if !reason.is_empty() => cut(reason, limits.kick).to_owned(),
        _ => turn.nick(),
    };
    for (n, nick) in nicks.iter().enumerate() {
        if n >= limits.targets {
            return turn.reply(Numeric::ERR_TOOMANYTARGETS, &[nick], "Too many targets");
        }
        charge_further(turn, n);
        let channel = if channels.len() == 1 {
            channels[0]
        } else {
            channels[n]
        };
        kick_one(turn, channel, nick, &reason);
    }
}

fn kick_one(turn: &mut Turn<'_>, name: &str, nick: &str, reason: &str) {
    let Some(channel) = turn.net.channel_named(name) else {
        return turn.no_such_channel(name);
    };
    let Some(mine) = turn.net.ranks(turn.id, channel) else {
        return turn.not_on_channel(name);
    };
    let Some(target) = turn.net.named(nick).map(|client| client.id) else {
        return turn.no_such_nick(nick);
    };
    let Some(theirs) = turn.net.ranks(target, channel) else {
        let text = "They aren't on that channel";
        return turn.reply(Numeric::ERR_USERNOTINCHANNEL, &[nick, name], text);
    };
    if !mine.may_kick(theirs) {
        return turn.not_operator(name);
    }
    let name = turn
        .net
        .channels
        .get(channel)
        .map_or_else(|| name.into(), |c| c.name.clone());
    let nick = turn
        .net
        .client(target)
        .map_or_else(|| nick.into(), |c| c.nick.clone());
    let event = turn.named_event(turn.by_me("KICK").param(&name).param(&nick).text(reason));
    let members = turn.net.members(channel);
    turn.net.deliver_all(&members, &event);
    hooks::happened(turn.net, channel, &event);
    turn.net.remove_member(target, channel);
}
