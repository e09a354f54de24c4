//! `NAMES` (<https://modern.ircdocs.horse/#names-message>).

use super::{
    super::{
        channel::Channel,
        client::Client,
        pages::{PAGE, Pages},
        turn::Turn,
    },
    list,
};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

pub(super) fn names(turn: &mut Turn<'_>, message: &Message<'_>) {
    // Without a channel it would be a list of everybody, which is what LIST and WHO are bounded
    // for.
    let Some(name) = message.param(0).and_then(|names| list(names).next()) else {
        return turn.reply(Numeric::RPL_ENDOFNAMES, &["*"], "End of /NAMES list");
    };
    let channel = turn.net.channel_named(name);
    match channel.filter(|channel| turn.sees(*channel)) {
        Some(channel) => names_of(turn, channel),
        None => turn.reply(Numeric::RPL_ENDOFNAMES, &[name], "End of /NAMES list"),
    }
}

/// Lists the members of a channel, as far as the client may see them.
pub(super) fn names_of(turn: &mut Turn<'_>, channel: u32) {
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    let names = Names {
        name: found.name.clone(),
        channel,
        left: found.members.len(),
    };
    turn.answer(names);
}

/// From the last member to the first: whoever goes meanwhile leaves a place to the last, who was
/// named already, and whoever comes is behind the place where this stands. So nobody is missed.
struct Names {
    name: Box<str>,
    channel: u32,
    left: usize,
}

impl Pages for Names {
    fn page(&mut self, turn: &mut Turn<'_>) -> bool {
        let (all, whole) = (
            turn.has(Capability::MultiPrefix),
            turn.has(Capability::UserhostInNames),
        );
        // The number may be that of another channel by now.
        let same = |channel: &&Channel| channel.name == self.name;
        let member = turn.me().membership(self.channel).is_some();
        let channel = turn.net.channels.get(self.channel).filter(same);
        let channel = channel.filter(|channel| member || !channel.is_secret());
        let Some(channel) = channel else {
            turn.reply(Numeric::RPL_ENDOFNAMES, &[&self.name], "End of /NAMES list");
            return true;
        };
        let symbol = if channel.is_secret() { "@" } else { "=" };
        // `:server 353 nick = #channel :…` and CR LF.
        let around = turn.net.settings.server().len() + turn.me().nick.len() + self.name.len() + 14;
        let room = 512_usize.saturating_sub(around).max(100);
        let mut lines = vec![String::new()];
        self.left = self.left.min(channel.members.len());
        while self.left > 0 && lines.len() <= PAGE {
            self.left -= 1;
            let listed = channel.members[self.left];
            let Some(client) = turn.net.client(listed.client) else {
                continue;
            };
            if !member && client.is_invisible() {
                continue;
            }
            let shown = shown(client, whole);
            let signs = listed.ranks.signs(all);
            let line = lines
                .last_mut()
                .filter(|line| line.len() + shown.len() + 6 <= room);
            let line = match line {
                Some(line) => line,
                None => {
                    lines.push(String::new());
                    let Some(line) = lines.last_mut() else {
                        continue;
                    };
                    line
                }
            };
            if !line.is_empty() {
                line.push(' ');
            }
            line.extend(signs);
            line.push_str(shown);
        }
        for line in lines.iter().filter(|line| !line.is_empty()) {
            turn.reply(Numeric::RPL_NAMREPLY, &[symbol, &self.name], line);
        }
        if self.left == 0 {
            turn.reply(Numeric::RPL_ENDOFNAMES, &[&self.name], "End of /NAMES list");
        }
        self.left == 0
    }
}

fn shown(client: &Client, whole: bool) -> &str {
    if whole { &client.source } else { &client.nick }
}
