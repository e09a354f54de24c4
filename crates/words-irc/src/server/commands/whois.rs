//! `WHOIS` and `WHOWAS` (<https://modern.ircdocs.horse/#user-based-queries>).

use super::super::{
    client::{Client, ClientId},
    turn::Turn,
};
use crate::proto::{casemap::CaseMapping, mask::Mask, message::Message, numeric::Numeric};

pub(super) fn whois(turn: &mut Turn<'_>, message: &Message<'_>) {
    let nick = match message.params[..] {
        [] => "",
        [nick] => nick,
        [server, nick, ..] => {
            let ours = turn.net.settings.server();
            let named = Mask::parse(server, CaseMapping::Ascii).is_ok_and(|m| m.matches(ours));
            if !named && turn.net.named(server).is_none() {
                return turn.reply(Numeric::ERR_NOSUCHSERVER, &[server], "No such server");
            }
            nick
        }
    };
    let Some(nick) = super::list(nick).next() else {
        return turn.reply(Numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
    };
    match turn.net.named(nick).map(|client| client.id) {
        Some(id) => about(turn, id),
        None => turn.no_such_nick(nick),
    }
    turn.reply(Numeric::RPL_ENDOFWHOIS, &[nick], "End of /WHOIS list");
}

fn about(turn: &mut Turn<'_>, id: ClientId) {
    let settings = turn.net.settings.clone();
    let server = settings.server();
    let Some(client) = turn.net.client(id) else {
        return;
    };
    let nick = client.nick.clone();
    let own = id == turn.id || turn.me().is_oper();
    let mut replies: Vec<(Numeric, Vec<String>, String)> = Vec::new();
    let mut say = |numeric, params: &[&str], text: &str| {
        let params = params.iter().map(|param| (*param).to_owned()).collect();
        replies.push((numeric, params, text.to_owned()));
    };
    let params = [&*client.user, &*client.host, "*"];
    say(Numeric::RPL_WHOISUSER, &params, &client.real_name);
    if client.is_bot() {
        say(
            Numeric::RPL_WHOISBOT,
            &[],
            &format!("is a bot on {}", settings.options.network),
        );
    }
    for channels in channels(turn, client, own) {
        say(Numeric::RPL_WHOISCHANNELS, &[], &channels);
    }
    say(
        Numeric::RPL_WHOISSERVER,
        &[server],
        &settings.options.description,
    );
    if client.is_oper() {
        say(Numeric::RPL_WHOISOPERATOR, &[], "is an IRC operator");
    }
    if own {
        let modes = format!("is using modes {}", client.modes.to_text());
        say(Numeric::RPL_WHOISMODES, &[], &modes);
        let address = format!(
            "is connecting from {}@{} {}",
            client.user, client.host, client.address
        );
        say(Numeric::RPL_WHOISHOST, &[], &address);
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = client.tls.as_ref().filter(|_| own)
        && let Some(identity) = tls.identity()
    {
        let text = format!(
            "has client certificate fingerprint {}",
            identity.fingerprint
        );
        say(Numeric::RPL_WHOISCERTFP, &[], &text);
    }
    if client.secure {
        say(
            Numeric::RPL_WHOISSECURE,
            &[],
            "is using a secure connection",
        );
    }
    if let Some(account) = &client.account {
        say(Numeric::RPL_WHOISACCOUNT, &[account], "is logged in as");
    }
    if let Some(away) = &client.away {
        say(Numeric::RPL_AWAY, &[], away);
    }
    let idle = client.idle(turn.net.clock.now).as_secs().to_string();
    let params = [&*idle, &client.since.to_string()];
    say(Numeric::RPL_WHOISIDLE, &params, "seconds idle, signon time");
    for (numeric, params, text) in replies {
        let params: Vec<&str> = params.iter().map(String::as_str).collect();
        turn.reply(numeric, &[&[&*nick], &*params].concat(), &text);
    }
}

/// The channels of a client that may be told, in lists that fit into a line. A secret one only to
/// its members; those of somebody invisible only where both are.
fn channels(turn: &Turn<'_>, client: &Client, own: bool) -> Vec<String> {
    let room = 400_usize.saturating_sub(turn.me().nick.len() + client.nick.len());
    let mut lists = vec![String::new()];
    for membership in &client.memberships {
        let Some(channel) = turn.net.channels.get(membership.channel) else {
            continue;
        };
        let shared = turn.me().membership(membership.channel).is_some();
        let hidden = channel.is_secret() || (client.is_invisible() && !own);
        if hidden && !shared {
            continue;
        }
        let ranks = channel
            .members
            .get(membership.place as usize)
            .map(|m| m.ranks);
        let all = turn.has(crate::proto::capability::Capability::MultiPrefix);
        let signs: String = ranks.unwrap_or_default().signs(all).collect();
        if let Some(list) = lists.last_mut() {
            if !list.is_empty() && list.len() + channel.name.len() + 6 > room {
                lists.push(String::new());
            } else if !list.is_empty() {
                list.push(' ');
            }
        }
        if let Some(list) = lists.last_mut() {
            list.push_str(&signs);
            list.push_str(&channel.name);
        }
    }
    lists.retain(|list| !list.is_empty());
    lists
}

/// Entries of one nick at most, however many are asked for.
const ENTRIES: usize = 20;

pub(super) fn whowas(turn: &mut Turn<'_>, message: &Message<'_>) {
    let nick = message.params.first().copied().unwrap_or_default();
    let Some(nick) = super::list(nick).next() else {
        return turn.reply(Numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
    };
    let settings = turn.net.settings.clone();
    let count = message.param(1).and_then(|count| count.parse().ok());
    let count = count
        .filter(|count| *count > 0)
        .unwrap_or(ENTRIES)
        .min(ENTRIES);
    let gone = turn.net.whowas.of(&settings.fold(nick), count);
    if gone.is_empty() {
        let text = "There was no such nickname";
        turn.reply(Numeric::ERR_WASNOSUCHNICK, &[nick], text);
    }
    for gone in gone {
        let params = [&*gone.nick, &*gone.user, &*gone.host, "*"];
        turn.reply(Numeric::RPL_WHOWASUSER, &params, &gone.real_name);
        let at = super::super::clock::Stamp::of(std::time::Duration::from_secs(gone.at));
        let params = [&*gone.nick, settings.server()];
        turn.reply(Numeric::RPL_WHOISSERVER, &params, at.as_str());
    }
    turn.reply(Numeric::RPL_ENDOFWHOWAS, &[nick], "End of WHOWAS");
}
