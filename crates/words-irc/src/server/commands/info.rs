//! What the server says of itself: `MOTD`, `LUSERS`, `VERSION`, `TIME`, `INFO`, `ADMIN`, `STATS`,
//! `LINKS`, `HELP`.
//!
//! <https://modern.ircdocs.horse/#server-queries-and-commands>

use super::{
    super::{
        channel::{Flags, Ranks},
        client::UserModes,
        state::State,
        turn::Turn,
    },
    COMMANDS,
};
use crate::proto::{casemap::CaseMapping, mask::Mask, message::Message, numeric::Numeric};

/// What the server calls itself.
pub(crate) const VERSION: &str = concat!("ropewalk-", env!("CARGO_PKG_VERSION"));

/// Tokens of `ISUPPORT` in one line (<https://modern.ircdocs.horse/#rplisupport-005>).
const TOKENS: usize = 13;

impl State {
    /// When the server began, as people read it.
    pub(crate) fn created(&self) -> String {
        let since = std::time::Duration::from_secs(self.started);
        super::super::clock::Stamp::of(since).as_str().to_owned()
    }
}

/// Whether a query is for this server: without a name, by its name or a mask of it, or by the nick
/// of somebody on it. Otherwise 402 was answered.
fn is_for_us(turn: &mut Turn<'_>, target: Option<&str>) -> bool {
    let Some(target) = target.filter(|target| !target.is_empty()) else {
        return true;
    };
    let server = turn.net.settings.server();
    let named = Mask::parse(target, CaseMapping::Ascii).is_ok_and(|mask| mask.matches(server));
    if named || turn.net.named(target).is_some() {
        return true;
    }
    turn.reply(Numeric::ERR_NOSUCHSERVER, &[target], "No such server");
    false
}

pub(super) fn my_info(turn: &mut Turn<'_>) {
    let settings = turn.net.settings.clone();
    let user: String = UserModes::ALL.iter().map(|(letter, _)| *letter).collect();
    let flags: String = Flags::ALL.iter().map(|(letter, _)| *letter).collect();
    let ranks: String = Ranks::ALL.iter().map(|rank| rank.0).collect();
    let channel = format!("beIkl{flags}{ranks}");
    let with_param = format!("beIkl{ranks}");
    let params = [settings.server(), VERSION, &user, &channel, &with_param];
    turn.reply_params(Numeric::RPL_MYINFO, &params);
}

pub(super) fn isupport(turn: &mut Turn<'_>) {
    let settings = turn.net.settings.clone();
    // With the nick and the text, no line becomes longer than it may.
    let mut lines: Vec<Vec<&str>> = vec![Vec::new()];
    let mut bytes = 0;
    for token in &settings.tokens {
        let full = |line: &Vec<&str>| line.len() == TOKENS || bytes + token.len() > 380;
        if lines.last().is_some_and(full) {
            lines.push(Vec::new());
            bytes = 0;
        }
        bytes += token.len() + 1;
        if let Some(line) = lines.last_mut() {
            line.push(token);
        }
    }
    for line in lines {
        turn.reply(Numeric::RPL_ISUPPORT, &line, "are supported by this server");
    }
}

pub(super) fn motd(turn: &mut Turn<'_>, message: &Message<'_>) {
    if is_for_us(turn, message.param(0)) {
        message_of_the_day(turn);
    }
}

pub(super) fn message_of_the_day(turn: &mut Turn<'_>) {
    let settings = turn.net.settings.clone();
    let motd = &settings.options.motd;
    if motd.is_empty() {
        return turn.reply(Numeric::ERR_NOMOTD, &[], "MOTD File is missing");
    }
    let text = format!("- {} Message of the day -", settings.server());
    turn.reply(Numeric::RPL_MOTDSTART, &[], &text);
    for line in motd {
        turn.reply(Numeric::RPL_MOTD, &[], &format!("- {line}"));
    }
    turn.reply(Numeric::RPL_ENDOFMOTD, &[], "End of /MOTD command.");
}

pub(super) fn lusers(turn: &mut Turn<'_>, message: &Message<'_>) {
    if is_for_us(turn, message.param(1)) {
        counts(turn);
    }
}

pub(super) fn counts(turn: &mut Turn<'_>) {
    let tally = turn.net.tally;
    let (users, most) = (tally.users, tally.most);
    let unknown = turn.net.clients.len() - users;
    let channels = turn.net.channels.len();
    let visible = users - tally.invisible;
    let text = format!(
        "There are {visible} users and {} invisible on 1 servers",
        tally.invisible
    );
    turn.reply(Numeric::RPL_LUSERCLIENT, &[], &text);
    turn.reply(
        Numeric::RPL_LUSEROP,
        &[&tally.opers.to_string()],
        "operator(s) online",
    );
    turn.reply(
        Numeric::RPL_LUSERUNKNOWN,
        &[&unknown.to_string()],
        "unknown connection(s)",
    );
    turn.reply(
        Numeric::RPL_LUSERCHANNELS,
        &[&channels.to_string()],
        "channels formed",
    );
    let text = format!("I have {users} clients and 0 servers");
    turn.reply(Numeric::RPL_LUSERME, &[], &text);
    let (users, most) = (users.to_string(), most.to_string());
    let text = format!("Current local users {users}, max {most}");
    turn.reply(Numeric::RPL_LOCALUSERS, &[&users, &most], &text);
    let text = format!("Current global users {users}, max {most}");
    turn.reply(Numeric::RPL_GLOBALUSERS, &[&users, &most], &text);
}

pub(super) fn version(turn: &mut Turn<'_>, message: &Message<'_>) {
    if is_for_us(turn, message.param(0)) {
        let settings = turn.net.settings.clone();
        let text = "the engine of many protocols";
        turn.reply(Numeric::RPL_VERSION, &[VERSION, settings.server()], text);
        isupport(turn);
    }
}

pub(super) fn time(turn: &mut Turn<'_>, message: &Message<'_>) {
    if is_for_us(turn, message.param(0)) {
        let settings = turn.net.settings.clone();
        let seconds = turn.net.clock.seconds().to_string();
        let stamp = turn.net.clock.stamp();
        let params = [settings.server(), &seconds, "+0000"];
        turn.reply(Numeric::RPL_TIME, &params, stamp.as_str());
    }
}

pub(super) fn info(turn: &mut Turn<'_>, message: &Message<'_>) {
    if is_for_us(turn, message.param(0)) {
        let created = turn.net.created();
        let lines = [
            format!("{VERSION}, an IRC server on Ropewalk, the event-driven networking engine"),
            env!("CARGO_PKG_REPOSITORY").to_owned(),
            format!("Online since {created}"),
        ];
        for line in lines {
            turn.reply(Numeric::RPL_INFO, &[], &line);
        }
        turn.reply(Numeric::RPL_ENDOFINFO, &[], "End of /INFO list");
    }
}

pub(super) fn admin(turn: &mut Turn<'_>, message: &Message<'_>) {
    if !is_for_us(turn, message.param(0)) {
        return;
    }
    let settings = turn.net.settings.clone();
    let server = settings.server();
    let Some(admin) = &settings.options.admin else {
        let text = "No administrative info available";
        return turn.reply(Numeric::ERR_NOADMININFO, &[server], text);
    };
    turn.reply(Numeric::RPL_ADMINME, &[server], "Administrative info");
    turn.reply(Numeric::RPL_ADMINLOC1, &[], &admin.location);
    turn.reply(Numeric::RPL_ADMINLOC2, &[], &admin.organisation);
    turn.reply(Numeric::RPL_ADMINEMAIL, &[], &admin.email);
}

pub(super) fn stats(turn: &mut Turn<'_>, message: &Message<'_>) {
    let query = message.params[0].chars().next().unwrap_or('*');
    if !is_for_us(turn, message.param(1)) {
        return;
    }
    match query {
        'u' => {
            let up = turn.net.clock.seconds().saturating_sub(turn.net.started);
            let (days, hours, minutes) = (up / 86_400, up / 3600 % 24, up / 60 % 60);
            let text = format!("Server Up {days} days {hours}:{minutes:02}:{:02}", up % 60);
            turn.reply(Numeric::RPL_STATSUPTIME, &[], &text);
        }
        'm' if turn.me().is_oper() => {
            for (at, command) in COMMANDS.iter().enumerate() {
                let count = turn.net.used[at];
                if count > 0 {
                    let params = [command.name, &count.to_string()];
                    turn.reply_params(Numeric::RPL_STATSCOMMANDS, &params);
                }
            }
        }
        'm' => {
            let text = "Permission Denied- You're not an IRC operator";
            turn.reply(Numeric::ERR_NOPRIVILEGES, &[], text);
        }
        _ => {}
    }
    let query = query.to_string();
    turn.reply(Numeric::RPL_ENDOFSTATS, &[&query], "End of /STATS report");
}

pub(super) fn links(turn: &mut Turn<'_>, message: &Message<'_>) {
    let settings = turn.net.settings.clone();
    let server = settings.server();
    let mask = message.params.last().copied().unwrap_or("*");
    if Mask::parse(mask, CaseMapping::Ascii).is_ok_and(|mask| mask.matches(server)) {
        let text = format!("0 {}", settings.options.description);
        turn.reply(Numeric::RPL_LINKS, &[server, server], &text);
    }
    turn.reply(Numeric::RPL_ENDOFLINKS, &[mask], "End of /LINKS list");
}

pub(super) fn help(turn: &mut Turn<'_>, message: &Message<'_>) {
    let subject = message.param(0).unwrap_or("INDEX").to_ascii_uppercase();
    if subject == "INDEX" {
        turn.reply(
            Numeric::RPL_HELPSTART,
            &[&subject],
            "The commands of this server:",
        );
        for names in COMMANDS.chunks(8) {
            let names: Vec<_> = names.iter().map(|command| command.name).collect();
            turn.reply(Numeric::RPL_HELPTXT, &[&subject], &names.join(" "));
        }
    } else if let Some((usage, what)) = super::help::of(&subject) {
        turn.reply(Numeric::RPL_HELPSTART, &[&subject], usage);
        turn.reply(Numeric::RPL_HELPTXT, &[&subject], what);
    } else {
        let text = "No help available on this topic";
        return turn.reply(Numeric::ERR_HELPNOTFOUND, &[&subject], text);
    }
    turn.reply(Numeric::RPL_ENDOFHELP, &[&subject], "End of /HELP");
}
