//! `WHO` and WHOX (<https://modern.ircdocs.horse/#who-message>,
//! <https://ircv3.net/specs/extensions/whox>).

use super::super::{
    channel::{Channel, Ranks},
    client::{Client, ClientId},
    event::Line,
    pages::{PAGE, Pages},
    turn::Turn,
};
use crate::proto::{capability::Capability, mask::Mask, message::Message, numeric::Numeric};

/// Clients looked at for a page, where few of them are wanted.
const EXAMINED: u32 = 2000;

pub(super) fn who(turn: &mut Turn<'_>, message: &Message<'_>) {
    let asked = message.params[0];
    let query = Query::parse(asked, message.param(1).unwrap_or_default());
    let settings = turn.net.settings.clone();
    if asked.starts_with('#') {
        let channel = turn.net.channel_named(asked);
        let found = channel.and_then(|channel| turn.net.channels.get(channel));
        let Some((channel, found)) = channel.zip(found) else {
            return query.end(turn);
        };
        let pages = OfChannel {
            query,
            name: found.name.clone(),
            channel,
            left: found.members.len(),
        };
        return turn.answer(pages);
    }
    if let Some(client) = turn.net.named(asked).map(|client| client.id) {
        let line = turn
            .net
            .client(client)
            .map(|client| query.line(turn, client, None));
        if let Some(line) = line.filter(|_| query.wants(turn, client)) {
            turn.tell(line);
        }
        return query.end(turn);
    }
    // Some say 0 where they mean everybody.
    let mask = if asked == "0" { "*" } else { asked };
    match Mask::parse(mask, settings.mapping()) {
        Ok(mask) => turn.answer(OfMask { query, mask, at: 0 }),
        Err(_) => query.end(turn),
    }
}

/// What was asked, and how it is to be answered.
struct Query {
    asked: String,
    opers_only: bool,
    /// Of WHOX, in the order in which they are given.
    fields: Option<String>,
    token: String,
}

impl Query {
    fn parse(asked: &str, how: &str) -> Self {
        let (flags, fields) = match how.split_once('%') {
            Some((flags, fields)) => (flags, Some(fields)),
            None => (how, None),
        };
        let (fields, token) =
            match fields.map(|fields| fields.split_once(',').unwrap_or((fields, ""))) {
                Some((fields, token)) => (Some(fields.to_owned()), token),
                None => (None, ""),
            };
        let numbered = token.len() <= 3 && token.bytes().all(|c| c.is_ascii_digit());
        Self {
            asked: asked.to_owned(),
            opers_only: flags.contains('o'),
            fields,
            token: if numbered && !token.is_empty() {
                token
            } else {
                "0"
            }
            .to_owned(),
        }
    }

    fn wants(&self, turn: &Turn<'_>, id: ClientId) -> bool {
        !self.opers_only || turn.net.client(id).is_some_and(Client::is_oper)
    }

    /// A client, as it is listed; with its ranks, in a channel.
    fn line(&self, turn: &Turn<'_>, client: &Client, channel: Option<(&Channel, Ranks)>) -> Line {
        let settings = &turn.net.settings;
        let me = turn.me();
        let name = channel.map_or("*", |(channel, _)| &channel.name);
        let mut flags = String::from(if client.away.is_some() { "G" } else { "H" });
        if client.is_oper() {
            flags.push('*');
        }
        if client.is_bot() {
            flags.push('B');
        }
        if let Some((_, ranks)) = channel {
            flags.extend(ranks.signs(turn.has(Capability::MultiPrefix)));
        }
        let server = settings.server();
        let Some(fields) = &self.fields else {
            return Line::numeric(server, Numeric::RPL_WHOREPLY, &me.nick)
                .params(&[
                    name,
                    &client.user,
                    &client.host,
                    server,
                    &client.nick,
                    &flags,
                ])
                .text(&format!("0 {}", client.real_name));
        };
        let mut line = Line::numeric(server, Numeric::RPL_WHOSPCRPL, &me.nick);
        for field in "tcuihsnfdlao"
            .chars()
            .filter(|field| fields.contains(*field))
        {
            line = match field {
                't' => line.param(&self.token),
                'c' => line.param(name),
                'u' => line.param(&client.user),
                // Where somebody really is, is for themselves and for operators.
                'i' if client.id == me.id || me.is_oper() => line.param(&client.address),
                'i' => line.param("255.255.255.255"),
                'h' => line.param(&client.host),
                's' => line.param(server),
                'n' => line.param(&client.nick),
                'f' => line.param(&flags),
                'd' => line.param("0"),
                'l' => line.param(&client.idle(turn.net.clock.now).as_secs().to_string()),
                'a' => line.param(client.account.as_deref().unwrap_or("0")),
                _ => line.param("n/a"),
            };
        }
        if fields.contains('r') {
            line = line.text(&client.real_name);
        }
        line
    }

    fn end(&self, turn: &mut Turn<'_>) {
        turn.reply(Numeric::RPL_ENDOFWHO, &[&self.asked], "End of WHO list");
    }
}

/// The members of a channel, from the last to the first: see the names of a channel.
struct OfChannel {
    query: Query,
    name: Box<str>,
    channel: u32,
    left: usize,
}

impl Pages for OfChannel {
    fn page(&mut self, turn: &mut Turn<'_>) -> bool {
        let member = turn.me().membership(self.channel).is_some();
        let mut lines = Vec::new();
        let same = |channel: &&Channel| channel.name == self.name;
        let channel = turn.net.channels.get(self.channel).filter(same);
        let channel = channel.filter(|channel| member || !channel.is_secret());
        if let Some(channel) = channel {
            self.left = self.left.min(channel.members.len());
            while self.left > 0 && lines.len() < PAGE {
                self.left -= 1;
                let listed = channel.members[self.left];
                let Some(client) = turn.net.client(listed.client) else {
                    continue;
                };
                let visible = member || !client.is_invisible() || turn.me().is_oper();
                if visible && self.query.wants(turn, client.id) {
                    lines.push(self.query.line(turn, client, Some((channel, listed.ranks))));
                }
            }
        } else {
            self.left = 0;
        }
        for line in lines {
            turn.tell(line);
        }
        if self.left == 0 {
            self.query.end(turn);
        }
        self.left == 0
    }
}

/// Those whose nick, user name, host or real name is of a pattern, and whom the client may see.
struct OfMask {
    query: Query,
    mask: Mask,
    at: u32,
}

impl OfMask {
    fn fits(&self, turn: &Turn<'_>, client: &Client) -> bool {
        client.is_registered()
            && self.query.wants(turn, client.id)
            && [&client.nick, &client.user, &client.host, &client.real_name]
                .into_iter()
                .any(|name| self.mask.matches(name))
            && (!client.is_invisible()
                || client.id == turn.id
                || turn.me().is_oper()
                || turn.net.share(turn.id, client.id))
    }
}

impl Pages for OfMask {
    fn page(&mut self, turn: &mut Turn<'_>) -> bool {
        let mut lines = Vec::new();
        let to = self.at.saturating_add(EXAMINED);
        let mut over = true;
        for client in turn.net.clients.from(self.at) {
            if lines.len() == PAGE || client.id.index >= to {
                over = false;
                break;
            }
            self.at = client.id.index + 1;
            if self.fits(turn, client) {
                lines.push(self.query.line(turn, client, None));
            }
        }
        for line in lines {
            turn.tell(line);
        }
        if over {
            self.query.end(turn);
        }
        over
    }
}
