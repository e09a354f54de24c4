//! `CHATHISTORY`: what was said before
//! (<https://ircv3.net/specs/extensions/chathistory>).
//!
//! A channel's history is told to its members, a conversation's to the account
//! whose copy it is. Who asks for what is not theirs learns no more than who asks
//! for what there is not.

use crate::{
    proto::{
        capability::Capability,
        chathistory::{Range, Request},
        message::Message,
        timestamp::Timestamp,
    },
    server::{
        event::{Event, Line},
        history::{Target, View},
        turn::Turn,
    },
};

/// `CHATHISTORY <subcommand> …`
pub(crate) fn chathistory(turn: &mut Turn<'_>, message: &Message<'_>) {
    match Request::parse(&message.params) {
        Ok(Request::Messages {
            target,
            range,
            limit,
        }) => messages(turn, &target, &range, limit, message),
        Ok(Request::Targets { from, to, limit }) => targets(turn, (from, to), limit),
        Err(error) => turn.fail(
            "CHATHISTORY",
            error.code(),
            &error.context(),
            &error.to_string(),
        ),
    }
}

fn messages(turn: &mut Turn<'_>, name: &str, range: &Range, limit: usize, message: &Message<'_>) {
    let Some((target, shown)) = target(turn, name) else {
        let command = message.params[0].to_ascii_uppercase();
        let text = "Messages could not be retrieved";
        return turn.fail("CHATHISTORY", "INVALID_TARGET", &[&command, name], text);
    };
    let view = view(turn);
    let found = turn.net.records.history.select(&target, range, limit, view);
    let found: Vec<_> = found
        .into_iter()
        .map(|entry| entry.content.clone())
        .collect();
    play(turn, &shown, found.iter().map(|event| &**event));
}

/// Tells what was said, in a batch for who knows these.
pub(crate) fn play<'a>(
    turn: &mut Turn<'_>,
    name: &str,
    events: impl IntoIterator<Item = &'a Event>,
) {
    turn.batch(&["chathistory", name], events);
}

/// The target of a name as the client may ask for it, and as it is shown.
fn target(turn: &Turn<'_>, name: &str) -> Option<(Target, String)> {
    if name.starts_with('#') {
        let channel = turn.net.channel_named(name)?;
        turn.net.ranks(turn.id, channel)?;
        let channel = turn.net.channels.get(channel)?;
        return Some((Target::Channel(channel.folded.clone()), name.to_owned()));
    }
    let settings = &turn.net.settings;
    if !settings.is_nick(name) {
        return None;
    }
    let owner = settings.fold(turn.me().account.as_deref().unwrap_or("*"));
    // Whoever has the nick now, by their account.
    let account = turn.net.named(name).and_then(|it| it.account.as_deref());
    let with = settings.fold(account.unwrap_or(name));
    let same = |nick: &str| settings.mapping().eq(nick, name);
    let target = turn.net.records.history.conversation(&owner, &with, same);
    Some((target, name.to_owned()))
}

fn view(turn: &Turn<'_>) -> View {
    let now = turn.net.timestamp();
    View {
        events: turn.has(Capability::EventPlayback),
        since: now.before(turn.net.records.history.limits().age),
    }
}

fn targets(turn: &mut Turn<'_>, range: (Timestamp, Timestamp), limit: usize) {
    let view = view(turn);
    let net = &*turn.net;
    let me = turn.me();
    let joined = me
        .memberships
        .iter()
        .filter_map(|it| net.channels.get(it.channel));
    let channels: Vec<_> = joined.map(|channel| (&channel.folded, view)).collect();
    let owner = me
        .account
        .as_deref()
        .map(|account| net.settings.fold(account));
    let owner = owner.as_ref().map(|owner| (owner, view));
    let found = net.records.history.targets(channels, owner, range, limit);
    let server = net.settings.server();
    let lines: Vec<Event> = found
        .into_iter()
        .map(|(name, at)| {
            let line = Line::new(server, "CHATHISTORY")
                .param("TARGETS")
                .param(name);
            net.notice(line.param(&at.to_string()))
        })
        .collect();
    turn.batch(&["draft/chathistory-targets"], &lines);
}
