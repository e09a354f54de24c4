//! `TOPIC` (<https://modern.ircdocs.horse/#topic-message>).

use super::{
    super::{
        channel::{Flags, Ranks, Topic},
        hooks,
        turn::Turn,
    },
    cut,
};
use crate::proto::{message::Message, numeric::Numeric};

pub(super) fn topic(turn: &mut Turn<'_>, message: &Message<'_>) {
    let name = message.params[0];
    let Some(channel) = turn.net.channel_named(name) else {
        return turn.no_such_channel(name);
    };
    let ranks = turn.net.ranks(turn.id, channel);
    match message.param(1) {
        None if turn.sees(channel) => show(turn, channel),
        None => turn.no_such_channel(name),
        Some(text) => {
            let Some(ranks) = ranks else {
                return turn.not_on_channel(name);
            };
            let Some(found) = turn.net.channels.get(channel) else {
                return;
            };
            if found.flags.has(Flags::TOPIC) && !ranks.at_least(Ranks::HALFOP) {
                return turn.not_operator(name);
            }
            set(turn, channel, text);
        }
    }
}

fn show(turn: &mut Turn<'_>, channel: u32) {
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    let name = found.name.clone();
    if found.topic.is_none() {
        return turn.reply(Numeric::RPL_NOTOPIC, &[&name], "No topic is set");
    }
    show_if_set(turn, channel);
}

/// Says what the topic is, and whose, if there is one.
pub(super) fn show_if_set(turn: &mut Turn<'_>, channel: u32) {
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    let Some(topic) = found.topic.clone() else {
        return;
    };
    let name = found.name.clone();
    turn.reply(Numeric::RPL_TOPIC, &[&name], &topic.text);
    let params = [&*name, &*topic.by, &topic.at.to_string()];
    turn.reply_params(Numeric::RPL_TOPICWHOTIME, &params);
}

fn set(turn: &mut Turn<'_>, channel: u32, text: &str) {
    let most = turn.net.settings.options.limits.topic;
    let text = cut(text, most);
    let (by, at) = (turn.me().source.clone(), turn.net.clock.seconds());
    let Some(found) = turn.net.channels.get_mut(channel) else {
        return;
    };
    found.topic = (!text.is_empty()).then(|| Topic {
        text: text.into(),
        by,
        at,
    });
    let name = found.name.clone();
    let event = turn.named_event(turn.by_me("TOPIC").param(&name).text(text));
    let members = turn.net.members(channel);
    turn.net.deliver_all(&members, &event);
    hooks::happened(turn.net, channel, &event);
    hooks::changed(turn.net, channel);
}
