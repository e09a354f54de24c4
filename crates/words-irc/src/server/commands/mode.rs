//! `MODE` of a channel or of oneself (<https://modern.ircdocs.horse/#mode-message>).

use super::{
    super::{
        channel::{Entry, Flags, OF_ACCOUNT, Ranks, kind},
        client::UserModes,
        hooks,
        link::charge,
        turn::Turn,
    },
    cut,
};
use crate::proto::{
    mask::Mask,
    message::Message,
    mode::{self, Change, Item, Kind},
    numeric::Numeric,
};

pub(super) fn mode(turn: &mut Turn<'_>, message: &Message<'_>) {
    let target = message.params[0];
    if target.starts_with('#') {
        of_channel(turn, target, &message.params[1..]);
    } else {
        of_user(turn, target, &message.params[1..]);
    }
}

fn of_user(turn: &mut Turn<'_>, nick: &str, params: &[&str]) {
    let Some(target) = turn.net.named(nick).map(|client| client.id) else {
        return turn.no_such_nick(nick);
    };
    if target != turn.id {
        let text = "Cant change mode for other users";
        return turn.reply(Numeric::ERR_USERSDONTMATCH, &[], text);
    }
    let before = turn.me().modes;
    let Some(letters) = params.first() else {
        return turn.reply_params(Numeric::RPL_UMODEIS, &[&before.to_text()]);
    };
    let (mut set, mut unknown) = (true, false);
    let mut after = before;
    for letter in letters.chars() {
        match (letter, UserModes::named(letter)) {
            ('+', _) => set = true,
            ('-', _) => set = false,
            (_, None) => unknown = true,
            // Only OPER gives the one, and only logging in the other.
            (_, Some(UserModes::REGISTERED)) => {}
            (_, Some(UserModes::OPER)) if set => {}
            (_, Some(mode)) => after.set(mode, set),
        }
    }
    if unknown {
        turn.reply(Numeric::ERR_UMODEUNKNOWNFLAG, &[], "Unknown MODE flag");
    }
    set_user_modes(turn, after);
}

/// Changes the modes of the client, which is told what is different.
pub(super) fn set_user_modes(turn: &mut Turn<'_>, after: UserModes) {
    let before = turn.me().modes;
    let changes = UserModes::ALL.iter().filter_map(|(letter, mode)| {
        let set = after.has(*mode);
        (set != before.has(*mode)).then_some(Change {
            set,
            letter: *letter,
            param: None,
        })
    });
    let texts = mode::write(changes, 1, 100);
    let was_oper = turn.me().is_oper();
    let me = turn.me_mut();
    me.modes = after;
    if !after.has(UserModes::OPER) {
        me.oper = None;
    }
    let (is_oper, is_invisible) = (me.is_oper(), me.is_invisible());
    let tally = &mut turn.net.tally;
    if was_oper && !is_oper {
        tally.opers -= 1;
    }
    match (before.has(UserModes::INVISIBLE), is_invisible) {
        (false, true) => tally.invisible += 1,
        (true, false) => tally.invisible -= 1,
        _ => {}
    }
    let nick = turn.nick();
    for text in texts {
        let event = turn.event(turn.by_me("MODE").param(&nick).param(&text));
        turn.net.deliver(turn.id, &event);
    }
}

fn of_channel(turn: &mut Turn<'_>, name: &str, params: &[&str]) {
    let Some(channel) = turn.net.channel_named(name) else {
        return turn.no_such_channel(name);
    };
    let ranks = turn.net.ranks(turn.id, channel);
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    if found.is_secret() && ranks.is_none() {
        return turn.no_such_channel(name);
    }
    let name = found.name.clone();
    let Some((letters, params)) = params.split_first() else {
        // The key is for those who are in.
        let (letters, values) = found.modes(ranks.is_some());
        let created = found.created.to_string();
        let mut all = vec![&*name, &letters];
        all.extend(values.iter().map(String::as_str));
        turn.reply_params(Numeric::RPL_CHANNELMODEIS, &all);
        return turn.reply_params(Numeric::RPL_CREATIONTIME, &[&name, &created]);
    };
    let mut changes = Changes {
        channel,
        name,
        ranks,
        done: Vec::new(),
        refused: false,
        listed: Vec::new(),
        with_param: 0,
    };
    // More letters than there are modes twice over are not meant.
    for item in mode::parse(&kind, cut(letters, 128), params) {
        changes.item(turn, item);
    }
    changes.announce(turn);
}

/// What one `MODE` changes.
struct Changes {
    channel: u32,
    name: Box<str>,
    /// Those of the client; none if it is not a member.
    ranks: Option<Ranks>,
    done: Vec<(bool, char, Option<String>)>,
    /// It was said that the client may not do that.
    refused: bool,
    /// Lists that were shown.
    listed: Vec<char>,
    with_param: usize,
}

impl Changes {
    fn item(&mut self, turn: &mut Turn<'_>, item: Item<'_>) {
        match item {
            Item::Query(letter) => self.show(turn, letter),
            Item::Unknown(letter) => {
                let text = "is unknown mode char to me";
                turn.reply(Numeric::ERR_UNKNOWNMODE, &[&letter.to_string()], text);
            }
            // To take a key away one need not know it.
            Item::Missing(change) if change.letter == 'k' && !change.set => {
                self.change(turn, change);
            }
            Item::Missing(_) => {
                if self.may(turn, Ranks::HALFOP) {
                    turn.needs_params("MODE");
                }
            }
            Item::Change(change) => {
                if change.param.is_some() {
                    self.with_param += 1;
                    if self.with_param > turn.net.settings.options.limits.modes {
                        return;
                    }
                    charge(turn, 1);
                }
                self.change(turn, change);
            }
        }
    }

    /// Whether the client may do what needs such a rank; if not, it is told so, once.
    fn may(&mut self, turn: &mut Turn<'_>, rank: Ranks) -> bool {
        let may = self.ranks.is_some_and(|ranks| ranks.at_least(rank));
        if !may {
            self.refuse(turn);
        }
        may
    }

    fn refuse(&mut self, turn: &mut Turn<'_>) {
        if !std::mem::replace(&mut self.refused, true) {
            match self.ranks {
                Some(_) => turn.not_operator(&self.name),
                None => turn.not_on_channel(&self.name),
            }
        }
    }

    fn change(&mut self, turn: &mut Turn<'_>, change: Change<'_>) {
        let Change { set, letter, param } = change;
        match kind(letter) {
            Some(Kind::Rank) => self.rank(turn, set, letter, param.unwrap_or_default()),
            _ if !self.may(turn, Ranks::HALFOP) => {}
            Some(Kind::List) => self.list(turn, set, letter, param.unwrap_or_default()),
            Some(Kind::Never) => self.flag(turn, set, letter),
            _ if letter == 'k' => self.key(turn, set, param.unwrap_or_default()),
            _ => self.limit(turn, set, param.unwrap_or_default()),
        }
    }

    fn flag(&mut self, turn: &mut Turn<'_>, set: bool, letter: char) {
        let Some(flag) = Flags::named(letter) else {
            return;
        };
        if flag == Flags::REGISTERED {
            let text = "is a mode that only registering a channel sets";
            return turn.reply(Numeric::ERR_UNKNOWNMODE, &[&letter.to_string()], text);
        }
        if let Some(channel) = turn.net.channels.get_mut(self.channel)
            && channel.flags.has(flag) != set
        {
            channel.flags.set(flag, set);
            self.done.push((set, letter, None));
        }
    }

    fn key(&mut self, turn: &mut Turn<'_>, set: bool, key: &str) {
        let most = turn.net.settings.options.limits.key;
        let fits = |c: char| c.is_ascii_graphic() && c != ',';
        let well =
            !key.is_empty() && key.len() <= most && !key.starts_with(':') && key.chars().all(fits);
        if set && !well {
            let text = "Key is not well-formed";
            return turn.reply(Numeric::ERR_INVALIDKEY, &[&self.name], text);
        }
        let Some(channel) = turn.net.channels.get_mut(self.channel) else {
            return;
        };
        if set {
            if channel.key.as_deref() != Some(key) {
                channel.key = Some(key.into());
                self.done.push((true, 'k', Some(key.to_owned())));
            }
        } else if channel.key.take().is_some() {
            self.done.push((false, 'k', Some("*".to_owned())));
        }
    }

    fn limit(&mut self, turn: &mut Turn<'_>, set: bool, limit: &str) {
        let wanted = match set {
            false => None,
            true => match limit.parse() {
                Ok(limit) if limit > 0 => Some(limit),
                _ => {
                    let params = [&*self.name, "l", limit];
                    let text = "A limit is a number above nought";
                    return turn.reply(Numeric::ERR_INVALIDMODEPARAM, &params, text);
                }
            },
        };
        if let Some(channel) = turn.net.channels.get_mut(self.channel)
            && channel.limit != wanted
        {
            channel.limit = wanted;
            self.done
                .push((set, 'l', wanted.map(|limit: u32| limit.to_string())));
        }
    }

    fn list(&mut self, turn: &mut Turn<'_>, set: bool, letter: char, mask: &str) {
        let settings = turn.net.settings.clone();
        // As a last parameter it came with anything; told on, it would be another, or several.
        if mask.is_empty() || mask.starts_with(':') || mask.contains(char::is_whitespace) {
            let params = [&*self.name, &letter.to_string(), "*"];
            let text = "A mask is not empty, has no spaces, and does not begin with a colon";
            return turn.reply(Numeric::ERR_INVALIDMODEPARAM, &params, text);
        }
        let text = match mask.strip_prefix(OF_ACCOUNT) {
            Some(account) if !account.is_empty() => mask.to_owned(),
            _ => Mask::complete(mask),
        };
        let Ok(mask) = Mask::parse(&text, settings.mapping()) else {
            let params = [&*self.name, &letter.to_string(), "*"];
            return turn.reply(
                Numeric::ERR_INVALIDMODEPARAM,
                &params,
                "That mask is too long",
            );
        };
        let (by, at) = (turn.me().source.clone(), turn.net.clock.seconds());
        let Some(channel) = turn.net.channels.get_mut(self.channel) else {
            return;
        };
        let full = channel.listed() >= settings.options.limits.list;
        let list = channel.list_mut(letter);
        let found = list
            .iter()
            .position(|e| settings.mapping().eq(e.mask.as_str(), &text));
        match (set, found) {
            (true, Some(_)) | (false, None) => {}
            (true, None) if full => {
                let params = [&*self.name, &letter.to_string()];
                turn.reply(Numeric::ERR_BANLISTFULL, &params, "Channel list is full");
            }
            (true, None) => {
                list.push(Entry { mask, by, at });
                self.done.push((true, letter, Some(text)));
            }
            (false, Some(at)) => {
                let gone = list.remove(at);
                self.done
                    .push((false, letter, Some(gone.mask.as_str().to_owned())));
            }
        }
    }

    fn rank(&mut self, turn: &mut Turn<'_>, set: bool, letter: char, nick: &str) {
        let Some(rank) = Ranks::of_letter(letter) else {
            return;
        };
        let target = turn
            .net
            .named(nick)
            .map(|client| (client.id, client.nick.to_string()));
        // One may always give up what one has.
        let own = !set && target.as_ref().is_some_and(|(id, _)| *id == turn.id);
        let may = own || self.ranks.is_some_and(|ranks| ranks.may_grant(rank));
        if !may {
            return self.refuse(turn);
        }
        let Some((id, nick)) = target else {
            return turn.no_such_nick(nick);
        };
        let place = turn
            .net
            .client(id)
            .and_then(|client| client.membership(self.channel));
        let channel = turn.net.channels.get_mut(self.channel);
        let member = place.and_then(|p| channel?.members.get_mut(p.place as usize));
        let Some(member) = member else {
            let params = [&*nick, &*self.name];
            let text = "They aren't on that channel";
            return turn.reply(Numeric::ERR_USERNOTINCHANNEL, &params, text);
        };
        if member.ranks.has(rank) != set {
            member.ranks.set(rank, set);
            self.done.push((set, letter, Some(nick)));
        }
        if id == turn.id {
            self.ranks = turn.net.ranks(turn.id, self.channel);
        }
    }

    fn show(&mut self, turn: &mut Turn<'_>, letter: char) {
        // Asked for once is enough, and who is let in besides is for those who run the channel.
        if self.listed.contains(&letter) || (letter != 'b' && !self.may(turn, Ranks::HALFOP)) {
            return;
        }
        self.listed.push(letter);
        let (numeric, end, text) = match letter {
            'e' => (
                Numeric::RPL_EXCEPTLIST,
                Numeric::RPL_ENDOFEXCEPTLIST,
                "End of channel exception list",
            ),
            'I' => (
                Numeric::RPL_INVEXLIST,
                Numeric::RPL_ENDOFINVEXLIST,
                "End of channel invite exception list",
            ),
            _ => (
                Numeric::RPL_BANLIST,
                Numeric::RPL_ENDOFBANLIST,
                "End of channel ban list",
            ),
        };
        charge(turn, 2);
        let list = turn
            .net
            .channels
            .get(self.channel)
            .map(|c| c.list(letter).clone());
        for entry in list.unwrap_or_default() {
            let params = [
                &*self.name,
                entry.mask.as_str(),
                &*entry.by,
                &entry.at.to_string(),
            ];
            turn.reply_params(numeric, &params);
        }
        turn.reply(end, &[&self.name], text);
    }

    /// Tells all members what is different now.
    fn announce(self, turn: &mut Turn<'_>) {
        if self.done.is_empty() {
            return;
        }
        let changes = self.done.iter().map(|(set, letter, param)| Change {
            set: *set,
            letter: *letter,
            param: param.as_deref(),
        });
        let most = turn.net.settings.options.limits.modes;
        let room = 500_usize.saturating_sub(turn.me().source.len() + self.name.len() + 10);
        let members = turn.net.members(self.channel);
        for text in mode::write(changes, most, room) {
            let mut parts = text.split(' ');
            let letters = parts.next().unwrap_or_default();
            let params: Vec<&str> = parts.collect();
            let line = turn
                .by_me("MODE")
                .param(&self.name)
                .param(letters)
                .params(&params);
            let event = turn.named_event(line);
            turn.net.deliver_all(&members, &event);
            // Who comes later does not learn what keys there were.
            if !letters.contains('k') {
                hooks::happened(turn.net, self.channel, &event);
            }
        }
        hooks::changed(turn.net, self.channel);
    }
}
