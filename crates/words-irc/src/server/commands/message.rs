//! What people say: `PRIVMSG`, `NOTICE`, `TAGMSG`
//! (<https://modern.ircdocs.horse/#sending-messages>,
//! <https://ircv3.net/specs/extensions/message-tags>).

use super::{
    super::{
        channel::{Flags, Ranks},
        client::ClientId,
        event::{Event, Line},
        hooks::{self, Said},
        services::{self, Service},
        turn::Turn,
    },
    charge_further, list,
};
use crate::proto::{
    capability::Capability, ctcp::Ctcp, format, message::Message, numeric::Numeric, tags,
};

/// Which of them it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Privmsg,
    Notice,
    Tagmsg,
}

impl Kind {
    fn command(self) -> &'static str {
        match self {
            Self::Privmsg => "PRIVMSG",
            Self::Notice => "NOTICE",
            Self::Tagmsg => "TAGMSG",
        }
    }
}

pub(super) fn privmsg(turn: &mut Turn<'_>, message: &Message<'_>) {
    say(turn, message, Kind::Privmsg);
}

pub(super) fn notice(turn: &mut Turn<'_>, message: &Message<'_>) {
    say(turn, message, Kind::Notice);
}

pub(super) fn tagmsg(turn: &mut Turn<'_>, message: &Message<'_>) {
    // It means nothing to who cannot see tags, nor without any.
    if turn.has(Capability::MessageTags) && message.tags.of_client().next().is_some() {
        say(turn, message, Kind::Tagmsg);
    }
}

/// What is said, ready to be told to each target.
struct Saying<'a> {
    kind: Kind,
    text: &'a str,
    client_tags: String,
}

fn say(turn: &mut Turn<'_>, message: &Message<'_>, kind: Kind) {
    let Some(targets) = message.param(0).filter(|targets| !targets.is_empty()) else {
        if kind == Kind::Privmsg {
            let text = "No recipient given (PRIVMSG)";
            turn.reply(Numeric::ERR_NORECIPIENT, &[], text);
        }
        return;
    };
    let text = message.param(1).unwrap_or_default();
    if text.is_empty() && kind != Kind::Tagmsg {
        if kind == Kind::Privmsg {
            turn.reply(Numeric::ERR_NOTEXTTOSEND, &[], "No text to send");
        }
        return;
    }
    let client_tags = match turn.has(Capability::MessageTags) {
        true => client_tags(message),
        false => String::new(),
    };
    let saying = Saying {
        kind,
        text,
        client_tags,
    };
    let now = turn.net.clock.now;
    turn.me_mut().spoke = now;
    let most = turn.net.settings.options.limits.targets;
    for (n, target) in list(targets).enumerate() {
        if n >= most {
            if kind != Kind::Notice {
                turn.reply(Numeric::ERR_TOOMANYTARGETS, &[target], "Too many targets");
            }
            return;
        }
        charge_further(turn, n);
        say_to(turn, target, &saying);
    }
}

/// The tags that clients send each other, as they came.
fn client_tags(message: &Message<'_>) -> String {
    let mut text = String::new();
    for tag in message.tags.of_client().filter(|tag| tags::is_key(tag.key)) {
        if !text.is_empty() {
            text.push(';');
        }
        text.push_str(tag.key);
        if !tag.escaped.is_empty() {
            text.push('=');
            text.push_str(tag.escaped);
        }
    }
    text
}

fn say_to(turn: &mut Turn<'_>, target: &str, saying: &Saying<'_>) {
    let name = target.trim_start_matches(|c| Ranks::of_sign(c).is_some());
    if name.starts_with('#') {
        let rank = target.chars().find_map(Ranks::of_sign);
        say_in_channel(turn, target, name, rank, saying);
    } else {
        say_to_user(turn, target, saying);
    }
}

/// What is told, with an id and the tags of the client.
fn event(turn: &mut Turn<'_>, target: &str, saying: &Saying<'_>) -> Event {
    let line = Line::new(&turn.me().source, saying.kind.command()).param(target);
    let line = match saying.kind {
        Kind::Tagmsg => line,
        _ => line.text(saying.text),
    };
    Event {
        msgid: turn.net.msgid(),
        client_tags: saying.client_tags.clone(),
        ..turn.event(line)
    }
}

fn say_in_channel(
    turn: &mut Turn<'_>,
    target: &str,
    name: &str,
    rank: Option<Ranks>,
    saying: &Saying<'_>,
) {
    let Some(channel) = turn.net.channel_named(name) else {
        if saying.kind != Kind::Notice {
            turn.no_such_channel(name);
        }
        return;
    };
    if let Some(text) = refusal(turn, channel, saying) {
        match saying.kind {
            Kind::Notice => {}
            _ if turn.sees(channel) => {
                turn.reply(Numeric::ERR_CANNOTSENDTOCHAN, &[name], text);
            }
            _ => turn.no_such_channel(name),
        }
        return;
    }
    // By the name that it has, whatever case the sender used; of several ranks the first counts.
    let Some(found) = turn.net.channels.get(channel) else {
        return;
    };
    let shown = match target.chars().next().filter(|_| rank.is_some()) {
        Some(sign) => format!("{sign}{}", found.name),
        None => found.name.to_string(),
    };
    let event = event(turn, &shown, saying);
    match (rank, saying.kind) {
        (None, Kind::Privmsg | Kind::Notice) => turn.net.say(channel, turn.id, &event),
        _ => {
            let told = some_of(turn, channel, rank.unwrap_or(Ranks::NONE), saying.kind);
            turn.net.deliver_all(&told, &event);
        }
    }
    echo(turn, &event, saying.kind);
    let said = Said {
        by: turn.id,
        target: &shown,
        to_ranks: rank.is_some(),
        event: &event,
    };
    hooks::said(turn.net, &said);
}

/// The members of a rank or a higher one; those who see tags, where there is nothing else to see.
fn some_of(turn: &Turn<'_>, channel: u32, rank: Ranks, kind: Kind) -> Vec<ClientId> {
    let Some(found) = turn.net.channels.get(channel) else {
        return Vec::new();
    };
    let members = found.members.iter();
    let members = members.filter(|m| m.client != turn.id && m.ranks.at_least(rank));
    let members: Vec<_> = members.map(|m| m.client).collect();
    match kind {
        Kind::Tagmsg => turn
            .net
            .only(&members, |c| c.capabilities.has(Capability::MessageTags)),
        _ => members,
    }
}

/// Why a client may not say that in a channel, if so.
fn refusal(turn: &Turn<'_>, channel: u32, saying: &Saying<'_>) -> Option<&'static str> {
    let found = turn.net.channels.get(channel)?;
    let ranks = turn.net.ranks(turn.id, channel);
    let flags = found.flags;
    if flags.has(Flags::NO_OUTSIDE) && ranks.is_none() {
        return Some("Cannot send to channel (+n)");
    }
    if !ranks.unwrap_or(Ranks::NONE).at_least(Ranks::VOICE) {
        let me = turn.me();
        if flags.has(Flags::MODERATED) {
            return Some("Cannot send to channel (+m)");
        }
        if flags.has(Flags::REGISTERED_SPEAK) && me.account.is_none() {
            return Some("Cannot send to channel (+M)");
        }
        if found.bans(me) {
            return Some("Cannot send to channel (+b)");
        }
    }
    let ctcp = Ctcp::parse(saying.text).is_some_and(|ctcp| !ctcp.is("ACTION"));
    if flags.has(Flags::NO_CTCP) && ctcp {
        return Some("Cannot send to channel (+C): no CTCP");
    }
    if flags.has(Flags::NO_COLOURS) && format::is_formatted(saying.text) {
        return Some("Cannot send to channel (+c): no colours");
    }
    None
}

fn say_to_user(turn: &mut Turn<'_>, nick: &str, saying: &Saying<'_>) {
    if let Some(service) = Service::named(&turn.net.settings, nick) {
        if saying.kind == Kind::Privmsg {
            let event = event(turn, service.name(), saying);
            echo(turn, &event, saying.kind);
            services::ask(turn, service, saying.text);
        }
        return;
    }
    let Some(target) = turn.net.named(nick) else {
        if saying.kind != Kind::Notice {
            turn.no_such_nick(nick);
        }
        return;
    };
    let (to, nick) = (target.id, target.nick.clone());
    let away = target.away.clone().filter(|_| saying.kind == Kind::Privmsg);
    let sees = saying.kind != Kind::Tagmsg || target.capabilities.has(Capability::MessageTags);
    let event = event(turn, &nick, saying);
    if to == turn.id {
        // What one tells oneself arrives, and is no answer to the command; the echo is.
        turn.net.deliver_aside(&event);
    } else if sees {
        turn.net.deliver(to, &event);
    }
    echo(turn, &event, saying.kind);
    if let Some(away) = away {
        turn.reply(Numeric::RPL_AWAY, &[&nick], &away);
    }
    let said = Said {
        by: turn.id,
        target: &nick,
        to_ranks: false,
        event: &event,
    };
    hooks::said(turn.net, &said);
}

/// <https://ircv3.net/specs/extensions/echo-message>
fn echo(turn: &mut Turn<'_>, event: &Event, kind: Kind) {
    let sees = kind != Kind::Tagmsg || turn.has(Capability::MessageTags);
    if sees && turn.has(Capability::EchoMessage) {
        turn.net.deliver(turn.id, event);
    }
}
