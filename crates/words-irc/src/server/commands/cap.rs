//! `CAP` (<https://ircv3.net/specs/extensions/capability-negotiation>).

use super::super::{capabilities, turn::Turn};
use crate::proto::{
    capability::{self, Capability, Entry, Set},
    message::Message,
    numeric::Numeric,
};

/// The bytes of a list in one line.
const ROOM: usize = 400;

pub(super) fn cap(turn: &mut Turn<'_>, message: &Message<'_>) {
    let sub = message.params[0].to_ascii_uppercase();
    match &*sub {
        "LS" => ls(turn, message.param(1)),
        "LIST" => list(turn),
        "REQ" => request(turn, message.param(1).unwrap_or_default()),
        "END" => {
            if let Some(registering) = turn.net.registering(turn.id) {
                registering.negotiating = false;
                super::registration::try_register(turn);
            }
        }
        _ => turn.reply(
            Numeric::ERR_INVALIDCAPCMD,
            &[message.params[0]],
            "Invalid CAP command",
        ),
    }
}

fn ls(turn: &mut Turn<'_>, version: Option<&str>) {
    negotiate(turn);
    let modern = version
        .and_then(|version| version.parse().ok())
        .is_some_and(|version: u32| version >= capability::VERSION);
    if modern {
        // Who asks for 302 wants to hear of changes, and cannot take that back.
        let capabilities = turn.me().capabilities.with(Capability::CapNotify);
        turn.me_mut().cap_notify = true;
        turn.net.set_capabilities(turn.id, capabilities);
    }
    let offered = capabilities::offered(&turn.net.settings, turn.me());
    let values = turn.me().cap_notify;
    let lists = capability::lists(capabilities::entries(&offered, values), ROOM);
    answer(turn, "LS", &lists);
}

fn list(turn: &mut Turn<'_>) {
    let entries = turn.me().capabilities.iter().map(|capability| Entry {
        off: false,
        name: capability.name(),
        value: None,
    });
    let lists = capability::lists(entries, ROOM);
    answer(turn, "LIST", &lists);
}

fn answer(turn: &mut Turn<'_>, sub: &str, lists: &[String]) {
    let nick = turn.nick();
    // Only version 302 has answers of several lines; to others what fits into one must do.
    let lists = if turn.me().cap_notify {
        lists
    } else {
        &lists[..1]
    };
    for (n, list) in lists.iter().enumerate() {
        let mut line = turn.by_server("CAP").param(&nick).param(sub);
        if n + 1 < lists.len() {
            line = line.param("*");
        }
        turn.tell(line.text(list));
    }
}

fn request(turn: &mut Turn<'_>, list: &str) {
    negotiate(turn);
    let offered = capabilities::set(&capabilities::offered(&turn.net.settings, turn.me()));
    let wanted = apply(turn.me().capabilities, offered, turn.me().cap_notify, list);
    let sub = if wanted.is_some() { "ACK" } else { "NAK" };
    let nick = turn.nick();
    // As it came, so that the client can tell which of its requests it was.
    let line = turn.by_server("CAP").param(&nick).param(sub);
    turn.tell(line.text(list));
    if let Some(wanted) = wanted {
        turn.net.set_capabilities(turn.id, wanted);
    }
}

/// What a client has after a request: all of it, or none where one is not to be had.
fn apply(now: Set, offered: Set, notified: bool, list: &str) -> Option<Set> {
    capability::parse(list).try_fold(now, |set, entry| {
        let capability = Capability::named(entry.name).filter(|c| offered.has(*c))?;
        match entry.off {
            true if capability == Capability::CapNotify && notified => None,
            true => Some(set.without(capability)),
            false => Some(set.with(capability)),
        }
    })
}

/// Registration waits for `CAP END` from now on.
fn negotiate(turn: &mut Turn<'_>) {
    if let Some(registering) = turn.net.registering(turn.id) {
        registering.negotiating = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_granted_whole_or_not_at_all() {
        let offered: Set = [Capability::Batch, Capability::CapNotify]
            .into_iter()
            .collect();
        let now = Set::NONE.with(Capability::CapNotify);
        let apply = |list| apply(now, offered, true, list);
        assert_eq!(apply("batch"), Some(now.with(Capability::Batch)));
        assert_eq!(apply("batch nonsense"), None);
        assert_eq!(apply("batch sasl"), None, "not offered");
        assert_eq!(apply("-cap-notify"), None);
        assert_eq!(apply("batch -batch"), Some(now));
        assert_eq!(apply(""), Some(now));
    }
}
