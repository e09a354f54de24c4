//! What operators do: `OPER`, `KILL`, `REHASH`, `WALLOPS`, `CHGHOST`
//! (<https://modern.ircdocs.horse/#operator-messages>).

use std::sync::Arc;

use super::{
    super::{
        client::{ClientId, UserModes},
        options::Oper,
        passwords::check,
        turn::Turn,
    },
    cut, mode,
};
use crate::proto::{capability::Capability, mask::Mask, message::Message, numeric::Numeric};

pub(super) fn oper(turn: &mut Turn<'_>, message: &Message<'_>) {
    let (name, password) = (message.params[0], message.params[1]);
    let settings = turn.net.settings.clone();
    let me = turn.me();
    let from = format!("{}@{}", me.user, me.host);
    let found = settings
        .opers
        .iter()
        .find(|oper| oper.name == name)
        .cloned();
    let Some(oper) = found else {
        return refuse(turn, Numeric::ERR_PASSWDMISMATCH, "Password incorrect");
    };
    let fits =
        |mask: &String| Mask::parse(mask, settings.mapping()).is_ok_and(|m| m.matches(&from));
    if !oper.hosts.is_empty() && !oper.hosts.iter().any(fits) {
        return refuse(turn, Numeric::ERR_NOOPERHOST, "No O-lines for your host");
    }
    let hash = oper.password.clone();
    let who = format!("operator {name}");
    check(
        turn,
        Some(&who),
        vec![hash],
        password,
        move |turn, right| match right {
            Ok(true) => promote(turn, &oper),
            Ok(false) => refuse(turn, Numeric::ERR_PASSWDMISMATCH, "Password incorrect"),
            Err(error) => refuse(turn, Numeric::ERR_PASSWDMISMATCH, &error.to_string()),
        },
    );
}

fn refuse(turn: &mut Turn<'_>, numeric: Numeric, text: &str) {
    // Guessing costs as much as a flood.
    super::super::link::charge(turn, 8);
    tracing::warn!(
        nick = &*turn.me().nick,
        address = &*turn.me().address,
        "OPER refused"
    );
    turn.reply(numeric, &[], text);
}

fn promote(turn: &mut Turn<'_>, oper: &Arc<Oper>) {
    let me = turn.me_mut();
    let already = me.oper.replace(oper.clone()).is_some();
    let mut modes = me.modes;
    modes.set(UserModes::OPER, true);
    tracing::info!(
        oper = oper.name,
        nick = &*me.nick,
        address = &*me.address,
        "an operator"
    );
    turn.net.tally.opers += usize::from(!already);
    turn.reply(Numeric::RPL_YOUREOPER, &[], "You are now an IRC operator");
    mode::set_user_modes(turn, modes);
}

/// Whether the client is an operator; if not, it was told so.
pub(super) fn is_oper(turn: &mut Turn<'_>) -> bool {
    let is = turn.me().is_oper();
    if !is {
        let text = "Permission Denied- You're not an IRC operator";
        turn.reply(Numeric::ERR_NOPRIVILEGES, &[], text);
    }
    is
}

pub(super) fn kill(turn: &mut Turn<'_>, message: &Message<'_>) {
    if !is_oper(turn) {
        return;
    }
    let nick = message.params[0];
    let most = turn.net.settings.options.limits.quit;
    let reason = cut(message.param(1).unwrap_or("No reason"), most);
    if nick.eq_ignore_ascii_case(turn.net.settings.server()) {
        let text = "You cant kill a server!";
        return turn.reply(Numeric::ERR_CANTKILLSERVER, &[], text);
    }
    let Some(target) = turn.net.named(nick) else {
        return turn.no_such_nick(nick);
    };
    let (id, nick) = (target.id, target.nick.clone());
    let by = turn.nick();
    tracing::info!(%nick, %by, reason, "killed");
    let event = turn.event(turn.by_me("KILL").param(&nick).text(reason));
    turn.net.deliver(id, &event);
    turn.net.remove(id, &format!("Killed ({by} ({reason}))"));
}

pub(super) fn rehash(turn: &mut Turn<'_>, _: &Message<'_>) {
    if !is_oper(turn) {
        return;
    }
    let server = turn.net.settings.server().to_owned();
    turn.reply(Numeric::RPL_REHASHING, &[&server], "Rehashing");
    turn.net.rehash_asked = true;
}

pub(super) fn wallops(turn: &mut Turn<'_>, message: &Message<'_>) {
    if !is_oper(turn) {
        return;
    }
    let event = turn.event(turn.by_me("WALLOPS").text(message.params[0]));
    let listens = |modes: UserModes| modes.has(UserModes::WALLOPS);
    let told = turn
        .net
        .clients
        .iter()
        .filter(|c| c.is_registered() && listens(c.modes));
    let told: Vec<ClientId> = told.map(|client| client.id).collect();
    turn.net.deliver_all(&told, &event);
}

/// `CHGHOST nick host`: what others see of where somebody is.
pub(super) fn chghost(turn: &mut Turn<'_>, message: &Message<'_>) {
    if !is_oper(turn) {
        return;
    }
    let (nick, host) = (message.params[0], message.params[1]);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '/' | '_' | ':');
    if host.is_empty() || host.len() > 64 || host.starts_with(':') || !host.chars().all(fits) {
        let text = "That is no name of a host";
        return turn.standard("FAIL", "CHGHOST", "INVALID_HOST", &[], text);
    }
    match turn.net.named(nick).map(|client| client.id) {
        Some(id) => {
            let user = turn
                .net
                .client(id)
                .map(|c| c.user.clone())
                .unwrap_or_default();
            turn.net.change_host(id, &user, host);
        }
        None => turn.no_such_nick(nick),
    }
}

impl super::super::state::State {
    /// Shows somebody at another host; whoever knows of them is told
    /// (<https://ircv3.net/specs/extensions/chghost>).
    pub(crate) fn change_host(&mut self, id: ClientId, user: &str, host: &str) {
        use super::super::event::{Event, Line};
        let Some(client) = self.client(id) else {
            return;
        };
        if *client.user == *user && *client.host == *host {
            return;
        }
        let event = Event {
            account: client.account.clone(),
            bot: client.is_bot(),
            ..self.notice(Line::new(&client.source, "CHGHOST").param(user).param(host))
        };
        let (registered, nick) = (client.is_registered(), client.nick.clone());
        let told = client.capabilities.has(Capability::Chghost);
        if registered {
            let peers = self.peers(id);
            let mut peers = self.only(&peers, |peer| peer.capabilities.has(Capability::Chghost));
            peers.extend(self.watchers_with(id, Capability::Chghost));
            peers.sort_unstable();
            peers.dedup();
            self.deliver_all(&peers, &event);
            if told {
                self.deliver(id, &event);
            }
        }
        if let Some(client) = self.client_mut(id) {
            client.user = user.into();
            client.host = host.into();
            client.renew_source();
        }
        if registered {
            let text = "is now your displayed host";
            let line = Line::numeric(self.settings.server(), Numeric::RPL_VISIBLEHOST, &nick);
            let event = self.notice(line.param(host).text(text));
            self.deliver(id, &event);
        }
    }
}
