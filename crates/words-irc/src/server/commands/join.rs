//! `JOIN` (<https://modern.ircdocs.horse/#join-message>).

use super::{
    super::{
        channel::{Channel, Flags, Ranks, is_name},
        hooks,
        registered::Role,
        turn::Turn,
    },
    charge_further, list, names, part, topic,
};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

pub(super) fn join(turn: &mut Turn<'_>, message: &Message<'_>) {
    if message.params[0] == "0" {
        let all: Vec<u32> = turn.me().memberships.iter().map(|m| m.channel).collect();
        for channel in all {
            part::leave(turn, channel, None);
        }
        return;
    }
    let most = turn.net.settings.options.limits.joins;
    let mut keys = message.param(1).unwrap_or_default().split(',');
    for (n, name) in list(message.params[0]).enumerate() {
        if n >= most {
            let text = "Too many targets";
            return turn.reply(Numeric::ERR_TOOMANYTARGETS, &[name], text);
        }
        charge_further(turn, n);
        enter(turn, name, keys.next().unwrap_or_default());
    }
}

fn enter(turn: &mut Turn<'_>, name: &str, key: &str) {
    let settings = turn.net.settings.clone();
    let limits = &settings.options.limits;
    let folded = settings.fold(name);
    let found = turn.net.names.get(folded.as_str()).copied();
    if let Some(channel) = found {
        if turn.me().membership(channel).is_some() {
            return;
        }
    } else if !is_name(name, limits.channel) {
        return turn.no_such_channel(name);
    }
    if turn.me().memberships.len() >= limits.channels {
        let text = "You have joined too many channels";
        return turn.reply(Numeric::ERR_TOOMANYCHANNELS, &[name], text);
    }
    let (channel, ranks) = match found {
        Some(channel) => {
            if let Some((numeric, text)) = refusal(turn, channel, key) {
                return turn.reply(numeric, &[name], text);
            }
            (channel, Ranks::NONE)
        }
        None => {
            let mut new = Channel::new(name, folded.clone(), turn.net.clock.seconds());
            for flag in settings
                .options
                .channel_modes
                .chars()
                .filter_map(Flags::named)
            {
                new.flags.set(flag, flag != Flags::REGISTERED);
            }
            let channel = turn.net.channels.insert(new);
            turn.net.names.insert(folded.clone(), channel);
            (channel, Ranks::OPERATOR)
        }
    };
    turn.me_mut()
        .invitations
        .retain(|(invited, _)| *invited != folded);
    turn.net.add_member(turn.id, channel, ranks);
    if found.is_none() {
        hooks::founded(turn.net, channel);
    }
    announce(turn, channel);
    topic::show_if_set(turn, channel);
    names::names_of(turn, channel);
    hooks::joined(turn, channel);
}

/// Why a client may not come in, if so. An invitation overrides what keeps others out.
fn refusal(turn: &Turn<'_>, number: u32, key: &str) -> Option<(Numeric, &'static str)> {
    let channel = turn.net.channels.get(number)?;
    // Who is to keep order there is not kept out.
    if turn
        .net
        .role(turn.id, number)
        .is_some_and(|role| role >= Role::Operator)
    {
        return None;
    }
    let me = turn.me();
    let invited = |(_, serial): &(_, u64)| *serial == channel.serial;
    if me.invitations.iter().any(invited) {
        return None;
    }
    if channel.bans(me) && !channel.invites(me) {
        return Some((Numeric::ERR_BANNEDFROMCHAN, "Cannot join channel (+b)"));
    }
    if channel.flags.has(Flags::INVITE_ONLY) && !channel.invites(me) {
        return Some((Numeric::ERR_INVITEONLYCHAN, "Cannot join channel (+i)"));
    }
    if channel.flags.has(Flags::REGISTERED_ONLY) && me.account.is_none() {
        let text = "You need to be logged in to join that channel";
        return Some((Numeric::ERR_NEEDREGGEDNICK, text));
    }
    if channel.key.as_deref().is_some_and(|wanted| wanted != key) {
        return Some((Numeric::ERR_BADCHANNELKEY, "Cannot join channel (+k)"));
    }
    let full = channel
        .limit
        .is_some_and(|limit| channel.members.len() >= limit as usize);
    full.then_some((Numeric::ERR_CHANNELISFULL, "Cannot join channel (+l)"))
}

/// Tells all members, the new one with them, that it has come.
fn announce(turn: &mut Turn<'_>, channel: u32) {
    let Some(name) = turn.net.channels.get(channel).map(|c| c.name.clone()) else {
        return;
    };
    let members = turn.net.members(channel);
    let has = |turn: &Turn<'_>, capability| {
        turn.net
            .only(&members, move |client| client.capabilities.has(capability))
    };
    let extended = has(turn, Capability::ExtendedJoin);
    let plain = turn
        .net
        .only(&members, |c| !c.capabilities.has(Capability::ExtendedJoin));
    let me = turn.me();
    let account = me.account.as_deref().unwrap_or("*").to_owned();
    let real_name = me.real_name.clone();
    let event = turn.event(turn.by_me("JOIN").param(&name));
    turn.net.deliver_all(&plain, &event);
    let event = turn.event(
        turn.by_me("JOIN")
            .param(&name)
            .param(&account)
            .text(&real_name),
    );
    turn.net.deliver_all(&extended, &event);
    if let Some(reason) = turn.me().away.clone() {
        let id = turn.id;
        let told = turn.net.only(&members, |client| {
            client.id != id && client.capabilities.has(Capability::AwayNotify)
        });
        let event = turn.event(turn.by_me("AWAY").text(&reason));
        turn.net.deliver_all(&told, &event);
    }
}
