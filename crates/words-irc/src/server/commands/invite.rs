//! `INVITE` (<https://modern.ircdocs.horse/#invite-message>).

use super::super::{
    channel::{Flags, Ranks},
    turn::Turn,
};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

pub(super) fn invite(turn: &mut Turn<'_>, message: &Message<'_>) {
    let [nick, name, ..] = message.params[..] else {
        return match message.param(0) {
            None => list(turn),
            Some(_) => turn.needs_params("INVITE"),
        };
    };
    let Some(target) = turn.net.named(nick) else {
        return turn.no_such_nick(nick);
    };
    let (target, nick, away) = (target.id, target.nick.clone(), target.away.clone());
    let Some(channel) = turn.net.channel_named(name) else {
        return turn.no_such_channel(name);
    };
    let Some(ranks) = turn.net.ranks(turn.id, channel) else {
        return turn.not_on_channel(name);
    };
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    let (name, folded, serial) = (found.name.clone(), found.folded.clone(), found.serial);
    if found.flags.has(Flags::INVITE_ONLY) && !ranks.at_least(Ranks::HALFOP) {
        return turn.not_operator(&name);
    }
    if turn.net.ranks(target, channel).is_some() {
        let text = "is already on channel";
        return turn.reply(Numeric::ERR_USERONCHANNEL, &[&nick, &name], text);
    }
    let most = turn.net.settings.options.limits.invitations;
    if let Some(target) = turn.net.client_mut(target) {
        target.invitations.retain(|(invited, _)| *invited != folded);
        target.invitations.push((folded, serial));
        if target.invitations.len() > most {
            target.invitations.remove(0);
        }
    }
    turn.reply_params(Numeric::RPL_INVITING, &[&nick, &name]);
    let event = turn.event(turn.by_me("INVITE").param(&nick).param(&name));
    turn.net.deliver(target, &event);
    let members = turn.net.members(channel);
    let id = turn.id;
    let told = turn.net.only(&members, |client| {
        client.id != id && client.capabilities.has(Capability::InviteNotify)
    });
    turn.net.deliver_all(&told, &event);
    if let Some(away) = away {
        turn.reply(Numeric::RPL_AWAY, &[&nick], &away);
    }
}

fn list(turn: &mut Turn<'_>) {
    for (invited, serial) in turn.me().invitations.clone() {
        let channel = turn.net.names.get(&invited);
        let channel = channel.and_then(|channel| turn.net.channels.get(*channel));
        let channel = channel.filter(|channel| channel.serial == serial);
        if let Some(name) = channel.map(|channel| channel.name.clone()) {
            turn.reply_params(Numeric::RPL_INVITELIST, &[&name]);
        }
    }
    turn.reply(Numeric::RPL_ENDOFINVITELIST, &[], "End of /INVITE list");
}
