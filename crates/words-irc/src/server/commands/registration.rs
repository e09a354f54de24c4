//! How a client comes and goes: `PASS`, `NICK`, `USER`, `PING`, `PONG`, `QUIT`.
//!
//! <https://modern.ircdocs.horse/#connection-messages>

use super::{
    super::{
        client::UserModes, event::Line, hooks, passwords::check, services::Service, turn::Turn,
    },
    authenticate, ban, cut, info,
};
use crate::proto::{capability::Capability, message::Message, numeric::Numeric};

pub(super) fn pass(turn: &mut Turn<'_>, message: &Message<'_>) {
    match turn.net.registering(turn.id) {
        Some(registering) => registering.password = Some(message.params[0].into()),
        None => already(turn),
    }
}

fn already(turn: &mut Turn<'_>) {
    turn.reply(
        Numeric::ERR_ALREADYREGISTERED,
        &[],
        "You may not reregister",
    );
}

pub(super) fn nick(turn: &mut Turn<'_>, message: &Message<'_>) {
    let Some(nick) = message.param(0).filter(|nick| !nick.is_empty()) else {
        return turn.reply(Numeric::ERR_NONICKNAMEGIVEN, &[], "No nickname given");
    };
    let settings = turn.net.settings.clone();
    if !is_nick(nick) || nick.len() > settings.options.limits.nick {
        return turn.reply(Numeric::ERR_ERRONEUSNICKNAME, &[nick], "Erroneous nickname");
    }
    if turn
        .net
        .nicks
        .get(settings.fold(nick).as_str())
        .is_some_and(|id| *id != turn.id)
    {
        let text = "Nickname is already in use";
        return turn.reply(Numeric::ERR_NICKNAMEINUSE, &[nick], text);
    }
    take_nick(turn, nick);
}

/// Gives the client a nick that is free, unless it is another's for good.
pub(crate) fn take_nick(turn: &mut Turn<'_>, nick: &str) {
    // Before it is registered it may yet log in.
    if turn.me().is_registered() && turn.net.is_withheld(turn.id, nick)
        || Service::is_reserved(&turn.net.settings, nick)
    {
        return withheld(turn, nick);
    }
    change_nick(turn, nick);
}

fn withheld(turn: &mut Turn<'_>, nick: &str) {
    let text = "Nickname is reserved by its owner";
    turn.reply(Numeric::ERR_NICKNAMEINUSE, &[nick], text);
}

/// Gives the client a nick that it may have.
pub(crate) fn change_nick(turn: &mut Turn<'_>, nick: &str) {
    if let Some(registering) = turn.net.registering(turn.id) {
        registering.nick = true;
        turn.net.rename(turn.id, nick);
        return try_register(turn);
    }
    if *turn.me().nick == *nick {
        return;
    }
    let event = turn.event(turn.by_me("NICK").text(nick));
    let settings = turn.net.settings.clone();
    let same = settings.mapping().eq(&turn.me().nick, nick);
    if !same {
        let seconds = turn.net.clock.seconds();
        let state = &mut *turn.net;
        if let Some(me) = state.clients.get(turn.id.index) {
            state.whowas.add(me, seconds, &settings);
        }
        turn.net.nick_left_by(turn.id);
    }
    turn.net.deliver(turn.id, &event);
    turn.tell_peers(&event, None);
    turn.net.rename(turn.id, nick);
    if !same {
        hooks::online(turn.net, turn.id);
    }
}

/// Whether a text can be a nick: RFC 2812, section 2.3.1, in ASCII alone, so that none can be taken
/// for another that looks like it.
pub(crate) fn is_nick(nick: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"-[]\\`^{}_|".contains(&c);
    !nick.is_empty()
        && nick.bytes().all(fits)
        && !nick.starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

pub(super) fn user(turn: &mut Turn<'_>, message: &Message<'_>) {
    if turn.me().is_registered() {
        return already(turn);
    }
    let [user, _, _, real_name, ..] = message.params[..] else {
        return turn.needs_params("USER");
    };
    if real_name.is_empty() {
        return turn.needs_params("USER");
    }
    let limits = turn.net.settings.options.limits.clone();
    // What cannot stand in a mask is left out; nobody has vouched for the name, so it has a tilde.
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let kept: String = user.chars().filter(fits).collect();
    if kept.is_empty() {
        return turn.needs_params("USER");
    }
    let user = format!("~{kept}");
    let me = turn.me_mut();
    me.user = cut(&user, limits.user).into();
    me.real_name = cut(real_name, limits.real_name).into();
    me.renew_source();
    if let Some(registering) = &mut me.registering {
        registering.user = true;
    }
    try_register(turn);
}

pub(super) fn ping(turn: &mut Turn<'_>, message: &Message<'_>) {
    let Some(token) = message.param(0) else {
        return turn.needs_params("PING");
    };
    if token.is_empty() {
        return turn.reply(Numeric::ERR_NOORIGIN, &[], "No origin specified");
    }
    let server = turn.net.settings.server().to_owned();
    let line = turn.by_server("PONG").param(&server).text(token);
    turn.tell(line);
}

pub(super) fn pong(turn: &mut Turn<'_>, message: &Message<'_>) {
    // That it was heard of is noted for every line. Here it may answer the cookie.
    let token = message.params.last().copied();
    if let Some(registering) = turn.net.registering(turn.id)
        && registering.cookie.is_some()
        && registering.cookie.as_deref() == token
    {
        registering.cookie_fits = true;
        try_register(turn);
    }
}

pub(super) fn quit(turn: &mut Turn<'_>, message: &Message<'_>) {
    let most = turn.net.settings.options.limits.quit;
    let reason = match message.param(0) {
        Some(reason) if !reason.is_empty() => format!("Quit: {}", cut(reason, most)),
        _ => "Quit".to_owned(),
    };
    turn.net.remove(turn.id, &reason);
}

/// Lets the client in, if nothing is missing any more.
pub(crate) fn try_register(turn: &mut Turn<'_>) {
    let settings = turn.net.settings.clone();
    let Some(registering) = turn.net.registering(turn.id) else {
        return;
    };
    if !registering.nick || !registering.user || registering.negotiating {
        return;
    }
    if let Some(hash) = &settings.options.password
        && !registering.password_fits
    {
        let Some(password) = registering.password.take() else {
            return refuse_password(turn, "Password incorrect");
        };
        check(turn, None, vec![hash.clone()], &password, |turn, fits| {
            match fits {
                Ok(true) => {}
                Ok(false) => return refuse_password(turn, "Password incorrect"),
                Err(error) => return refuse_password(turn, &error.to_string()),
            }
            if let Some(registering) = turn.net.registering(turn.id) {
                registering.password_fits = true;
            }
            try_register(turn);
        });
        return;
    }
    if settings.options.ping_cookie && !registering.cookie_fits {
        if registering.cookie.is_none() {
            let cookie = format!("{:08x}", ropewalk_core::random() >> 32);
            registering.cookie = Some(cookie.as_str().into());
            turn.tell(Line::bare("PING").text(&cookie));
        }
        return;
    }
    let nick = turn.nick();
    if turn.net.is_withheld(turn.id, &nick) {
        withheld(turn, &nick);
        // Its owner may want it meanwhile.
        return turn.net.release_nick(turn.id);
    }
    let me = turn.me();
    // A gateway may have said another host than the address.
    let by_address = format!("{}!{}@{}", me.nick, me.user, me.address);
    let banned = settings
        .bans
        .iter()
        .find(|(mask, _)| mask.matches(&me.source) || mask.matches(&by_address));
    let reason = banned.map(|(_, reason)| reason.clone());
    if let Some(reason) = reason.or_else(|| ban::banned(turn)) {
        let text = format!("You are banned from this server: {reason}");
        turn.reply(Numeric::ERR_YOUREBANNEDCREEP, &[], &text);
        turn.net.remove(turn.id, "Banned");
        return;
    }
    welcome(turn);
}

fn refuse_password(turn: &mut Turn<'_>, why: &str) {
    turn.reply(Numeric::ERR_PASSWDMISMATCH, &[], why);
    turn.net.remove(turn.id, "Bad password");
}

fn welcome(turn: &mut Turn<'_>) {
    // SASL 3.2: what registration overtakes is given up before the client is let in.
    if turn.me_mut().exchange.take().is_some() {
        authenticate::aborted(turn);
    }
    let settings = turn.net.settings.clone();
    let options = &settings.options;
    let now = turn.net.clock.now;
    let since = turn.net.clock.seconds();
    let me = turn.me_mut();
    me.registering = None;
    me.spoke = now;
    me.since = since;
    for mode in options.user_modes.chars().filter_map(UserModes::named) {
        if !matches!(mode, UserModes::OPER | UserModes::REGISTERED) {
            me.modes.set(mode, true);
        }
    }
    let (source, modes, invisible) = (me.source.clone(), me.modes, me.is_invisible());
    let tally = &mut turn.net.tally;
    tally.users += 1;
    tally.invisible += usize::from(invisible);
    tally.most = tally.most.max(tally.users);

    let (server, network) = (settings.server(), &options.network);
    let text = format!("Welcome to the {network} IRC network {source}");
    turn.reply(Numeric::RPL_WELCOME, &[], &text);
    let text = format!("Your host is {server}, running version {}", info::VERSION);
    turn.reply(Numeric::RPL_YOURHOST, &[], &text);
    let text = format!("This server was created {}", turn.net.created());
    turn.reply(Numeric::RPL_CREATED, &[], &text);
    info::my_info(turn);
    info::isupport(turn);
    info::counts(turn);
    info::message_of_the_day(turn);
    if modes != UserModes::default() {
        let nick = turn.nick();
        let event = turn.event(turn.by_me("MODE").param(&nick).param(&modes.to_text()));
        turn.net.deliver(turn.id, &event);
    }
    if turn.me().account.is_some() {
        turn.me_mut().modes.set(UserModes::REGISTERED, true);
    }
    hooks::online(turn.net, turn.id);
}

/// `SETNAME` (<https://ircv3.net/specs/extensions/setname>).
pub(super) fn setname(turn: &mut Turn<'_>, message: &Message<'_>) {
    let most = turn.net.settings.options.limits.real_name;
    let name = message.params[0];
    if name.is_empty() || name.len() > most {
        let text = "That is no name that you can have here";
        return turn.standard("FAIL", "SETNAME", "INVALID_REALNAME", &[], text);
    }
    turn.me_mut().real_name = name.into();
    let event = turn.event(turn.by_me("SETNAME").text(name));
    if turn.has(Capability::Setname) {
        turn.net.deliver(turn.id, &event);
    }
    turn.tell_peers(&event, Some(Capability::Setname));
}

#[cfg(test)]
mod tests {
    use super::is_nick;

    #[test]
    fn nicks() {
        for good in ["a", "A1-", "[x]\\`^{}_|", "_"] {
            assert!(is_nick(good), "{good}");
        }
        for bad in [
            "", "1a", "-a", "a b", "a!b", "a@b", "#a", ":a", "é", "a.b", "a,b", "*", "~a",
        ] {
            assert!(!is_nick(bad), "{bad}");
        }
    }
}
