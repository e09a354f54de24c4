//! `NickServ` and `ChanServ`: accounts and channels for people at a keyboard,
//! by messages to nicks that nobody has, or by `NS` and `CS`.
//!
//! They answer by notices, to who asked alone. What they can do, commands with
//! names of their own can do too where IRC has them (`AUTHENTICATE`,
//! `REGISTER`); nothing of what they are sent is kept in a history.

mod chanserv;
mod nickserv;

use super::{accounts::AccountError, event::Line, settings::Settings, turn::Turn};
use crate::proto::message::Message;

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    NickServ,
    ChanServ,
}

impl Service {
    const ALL: [Self; 2] = [Self::NickServ, Self::ChanServ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NickServ => "NickServ",
            Self::ChanServ => "ChanServ",
        }
    }

    /// The service of a nick. There are none where there are no accounts.
    pub(crate) fn named(settings: &Settings, nick: &str) -> Option<Self> {
        settings.options.accounts.as_ref()?;
        let mut all = Self::ALL.into_iter();
        all.find(|service| settings.mapping().eq(service.name(), nick))
    }

    pub(crate) fn source(self, settings: &Settings) -> String {
        let name = self.name();
        format!("{name}!{name}@services.{}", settings.server())
    }

    /// Whether a name is one of theirs, whether they are there or not: nobody
    /// else is called so.
    pub(crate) fn is_reserved(settings: &Settings, nick: &str) -> bool {
        let fits = |name: &str| settings.mapping().eq(name, nick);
        fits("NickServ") || fits("ChanServ")
    }
}

/// A command of a service.
struct Order {
    name: &'static str,
    /// What stands behind it.
    usage: &'static str,
    about: &'static str,
    /// The fewest words behind it.
    words: usize,
    run: fn(&mut Turn<'_>, &Words<'_>),
}

/// What stands behind a command.
struct Words<'a> {
    list: Vec<&'a str>,
}

impl<'a> Words<'a> {
    fn get(&self, n: usize) -> Option<&'a str> {
        self.list.get(n).copied()
    }

    /// One that must be there: the table says how many do.
    fn at(&self, n: usize) -> &'a str {
        self.get(n).unwrap_or_default()
    }
}

/// `NS <command>`
pub(crate) fn ns(turn: &mut Turn<'_>, message: &Message<'_>) {
    alias(turn, Service::NickServ, message);
}

/// `CS <command>`
pub(crate) fn cs(turn: &mut Turn<'_>, message: &Message<'_>) {
    alias(turn, Service::ChanServ, message);
}

fn alias(turn: &mut Turn<'_>, service: Service, message: &Message<'_>) {
    if turn.net.settings.options.accounts.is_none() {
        return super::commands::unknown(turn, message.command);
    }
    ask(turn, service, &message.params.join(" "));
}

/// Does what a client asks a service.
pub(crate) fn ask(turn: &mut Turn<'_>, service: Service, text: &str) {
    let mut words = text.split_ascii_whitespace();
    let Some(name) = words.next() else {
        return say(turn, service, "HELP lists what I can do.");
    };
    let orders = match service {
        Service::NickServ => nickserv::ORDERS,
        Service::ChanServ => chanserv::ORDERS,
    };
    let words = Words {
        list: words.collect(),
    };
    if name.eq_ignore_ascii_case("HELP") {
        return help(turn, service, orders, words.get(0));
    }
    let Some(order) = orders.iter().find(|it| it.name.eq_ignore_ascii_case(name)) else {
        return say(
            turn,
            service,
            "I do not know that command; HELP lists those there are.",
        );
    };
    if words.list.len() < order.words {
        let usage = format!("Usage: {} {}", order.name, order.usage);
        return say(turn, service, &usage);
    }
    (order.run)(turn, &words);
}

fn help(turn: &mut Turn<'_>, service: Service, orders: &[Order], about: Option<&str>) {
    if let Some(name) = about
        && let Some(order) = orders.iter().find(|it| it.name.eq_ignore_ascii_case(name))
    {
        say(
            turn,
            service,
            format!("{} {}", order.name, order.usage).trim_end(),
        );
        return say(turn, service, order.about);
    }
    let first = match service {
        Service::NickServ => "An account keeps your nick, your conversations and your channels.",
        Service::ChanServ => "A registered channel stays, with its topic, its modes and its lists.",
    };
    say(turn, service, first);
    for order in orders {
        say(
            turn,
            service,
            &format!("\u{2}{}\u{2} {}: {}", order.name, order.usage, order.about),
        );
    }
}

/// Tells the client.
fn say(turn: &mut Turn<'_>, service: Service, text: &str) {
    let source = service.source(&turn.net.settings);
    let line = Line::new(&source, "NOTICE").param(&turn.nick()).text(text);
    turn.tell(line);
}

/// Tells the client what went wrong.
fn sorry(turn: &mut Turn<'_>, service: Service, error: &AccountError) {
    if let AccountError::Unavailable(source) = error {
        tracing::error!(error = %source, "what is registered cannot be kept");
    }
    say(turn, service, &format!("{error}."));
}

/// The client's account; who has none is told so.
fn account(turn: &mut Turn<'_>, service: Service) -> Option<String> {
    let account = turn.me().account.as_deref().map(str::to_owned);
    if account.is_none() {
        say(
            turn,
            service,
            "You must be logged in to an account for that.",
        );
    }
    account
}

/// A day, for people.
fn day(seconds: u64) -> String {
    let time = crate::proto::timestamp::Timestamp::from_millis(seconds.saturating_mul(1000));
    time.to_string()[..10].to_owned()
}
