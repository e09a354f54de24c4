//! `KLINE`, `DLINE`, `UNKLINE`, `UNDLINE`: who is not let in, set by operators at
//! a keyboard, for a time or for good, and kept.
//!
//! A K-line is a mask of `user@host` or `nick!user@host`, a D-line an address or
//! a network such as `192.0.2.0/24`. They hold for who registers, and for who is
//! here already, but not for operators, who could not take them back.

use std::net::IpAddr;

use super::{
    super::{client::Client, registered::Ban, turn::Turn, work::work},
    cut, oper,
};
use crate::proto::{casemap::CaseMapping, mask::Mask, message::Message, numeric::Numeric};

/// Bans at most: each is looked at for each client that registers.
const MOST: usize = 1000;

/// `KLINE [<duration>] <mask> [<reason>]`; without a parameter, the list.
pub(super) fn kline(turn: &mut Turn<'_>, message: &Message<'_>) {
    set(turn, message, false);
}

/// `DLINE [<duration>] <network> [<reason>]`; without a parameter, the list.
pub(super) fn dline(turn: &mut Turn<'_>, message: &Message<'_>) {
    set(turn, message, true);
}

/// `UNKLINE <mask>`, `UNDLINE <network>`
pub(super) fn unset(turn: &mut Turn<'_>, message: &Message<'_>) {
    if !oper::is_oper(turn) {
        return;
    }
    let Some(accounts) = turn.net.settings.options.accounts.clone() else {
        return nowhere(turn);
    };
    let mask = message.params[0].to_owned();
    let gone = accounts.store().change(|it| {
        let before = it.bans().len();
        it.bans_mut()
            .retain(|ban| !ban.mask.eq_ignore_ascii_case(&mask));
        it.bans().len() < before
    });
    let text = match gone {
        true => format!("{mask} is banned no more"),
        false => format!("{mask} is not banned"),
    };
    tell(turn, &text);
}

fn set(turn: &mut Turn<'_>, message: &Message<'_>, network: bool) {
    if !oper::is_oper(turn) {
        return;
    }
    let Some(accounts) = turn.net.settings.options.accounts.clone() else {
        return nowhere(turn);
    };
    let now = turn.net.clock.seconds();
    if message.params.is_empty() {
        let bans = accounts.store().read(|it| it.bans().to_vec());
        for ban in bans
            .iter()
            .filter(|ban| is_network(ban) == network && !is_over(ban, now))
        {
            let until = ban.until.map_or("for good".to_owned(), |until| {
                format!("{} more minutes", until.saturating_sub(now).div_ceil(60))
            });
            tell(
                turn,
                &format!("{} by {}, {until}: {}", ban.mask, ban.by, ban.reason),
            );
        }
        return tell(turn, "End of the list of bans");
    }
    let (lasts, rest) = match duration(message.params[0]) {
        Some(seconds) => (Some(seconds), &message.params[1..]),
        None => (None, &message.params[..]),
    };
    let Some(mask) = rest.first() else {
        return turn.needs_params(if network { "DLINE" } else { "KLINE" });
    };
    let reason = rest
        .get(1)
        .copied()
        .filter(|it| !it.is_empty())
        .unwrap_or("No reason");
    let mut ban = Ban::new(
        *mask,
        cut(reason, turn.net.settings.options.limits.quit),
        turn.nick(),
        now,
    );
    ban.until = lasts.map(|seconds| now.saturating_add(seconds));
    let good = match network {
        true => is_network(&ban),
        false => !is_network(&ban) && holds(mask, turn.net.settings.mapping()),
    };
    if !good {
        let text = if network {
            "Expected an address, or a network such as 192.0.2.0/24"
        } else {
            "Expected a mask such as *@evil.example.com that spares somebody"
        };
        return tell(turn, text);
    }
    let full = accounts.store().change(|it| {
        it.bans_mut()
            .retain(|old| !is_over(old, now) && !old.mask.eq_ignore_ascii_case(mask));
        let full = it.bans().len() >= MOST;
        if !full {
            it.bans_mut().push(ban.clone());
        }
        full
    });
    if full {
        return tell(
            turn,
            &format!("There are {MOST} bans, which is as many as there may be"),
        );
    }
    tracing::info!(mask = ban.mask, by = ban.by, reason = ban.reason, "banned");
    let mapping = turn.net.settings.mapping();
    let hit: Vec<_> = turn
        .net
        .clients
        .iter()
        .filter(|client| !client.is_oper() && bans(&ban, client, mapping))
        .map(|client| client.id)
        .collect();
    for id in hit {
        turn.net.remove(id, &format!("Banned: {}", ban.reason));
    }
    let store = accounts.store().clone();
    turn.defer(work(
        async move { store.saved().await },
        move |turn, saved| match saved {
            Ok(()) => tell(turn, &format!("{} is banned", ban.mask)),
            Err(error) => tell(
                turn,
                &format!("{} is banned, and not on the disk: {error}", ban.mask),
            ),
        },
    ));
}

/// Why a client is not let in, if it is not.
pub(crate) fn banned(turn: &Turn<'_>) -> Option<String> {
    let accounts = turn.net.settings.options.accounts.as_ref()?;
    let (now, mapping) = (turn.net.clock.seconds(), turn.net.settings.mapping());
    let me = turn.me();
    accounts.store().read(|it| {
        let mut bans_now = it.bans().iter().filter(|ban| !is_over(ban, now));
        bans_now
            .find(|ban| bans(ban, me, mapping))
            .map(|ban| ban.reason.clone())
    })
}

fn is_over(ban: &Ban, now: u64) -> bool {
    ban.until.is_some_and(|until| until <= now)
}

fn is_network(ban: &Ban) -> bool {
    network(&ban.mask).is_some()
}

fn bans(ban: &Ban, client: &Client, mapping: CaseMapping) -> bool {
    if let Some((network, bits)) = network(&ban.mask) {
        let address = client.address.parse::<IpAddr>();
        return address.is_ok_and(|address| prefix(address, bits) == prefix(network, bits));
    }
    let Ok(mask) = Mask::parse(&Mask::complete(&ban.mask), mapping) else {
        return false;
    };
    let hidden = format!("{}!{}@{}", client.nick, client.user, client.address);
    mask.matches(&client.source) || mask.matches(&hidden)
}

/// Whether a mask can be one, and is not everybody's.
fn holds(mask: &str, mapping: CaseMapping) -> bool {
    let complete = Mask::complete(mask);
    let says_something = |c: char| !matches!(c, '*' | '?' | '!' | '@' | '.' | ':');
    complete.contains(says_something) && Mask::parse(&complete, mapping).is_ok()
}

/// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (1..=most).contains(&bits).then_some((address, bits))
}

/// The first bits of an address, and of which kind it is.
fn prefix(address: IpAddr, bits: u32) -> (bool, u128) {
    match address {
        IpAddr::V4(it) => (true, u128::from(it.to_bits()) >> (32 - bits.min(32))),
        IpAddr::V6(it) => (
            false,
            it.to_bits().checked_shr(128 - bits.min(128)).unwrap_or(0),
        ),
    }
}

/// `30` minutes, or `1d12h`, `90m`, `45s`, `2w`; in seconds.
fn duration(text: &str) -> Option<u64> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.contains(['.', ':', '@', '/']) {
        return None;
    }
    let (mut seconds, mut number) = (0_u64, String::new());
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'w' => 7 * 24 * 60 * 60,
            'd' => 24 * 60 * 60,
            'h' => 60 * 60,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let count: u64 = std::mem::take(&mut number).parse().ok()?;
        seconds = seconds.checked_add(count.checked_mul(unit)?)?;
    }
    if !number.is_empty() {
        let minutes: u64 = number.parse().ok()?;
        seconds = seconds.checked_add(minutes.checked_mul(60)?)?;
    }
    (seconds > 0).then_some(seconds)
}

fn nowhere(turn: &mut Turn<'_>) {
    let text = "Permission Denied- Bans are kept where accounts are, and there are none";
    turn.reply(Numeric::ERR_NOPRIVILEGES, &[], text);
}

fn tell(turn: &mut Turn<'_>, text: &str) {
    let nick = turn.nick();
    let line = turn.by_server("NOTICE").param(&nick).text(text);
    turn.tell(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("30", Some(1800)),
            ("1d12h", Some(129_600)),
            ("2w", Some(1_209_600)),
            ("45s", Some(45)),
            ("0", None),
            ("*@host", None),
            ("1x", None),
            ("d", None),
            ("10.0.0.1", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(duration(text), seconds, "{text}");
        }
    }

    #[test]
    fn networks() {
        let within = |text: &str, address: &str| {
            let (network, bits) = network(text).unwrap();
            prefix(network, bits) == prefix(address.parse().unwrap(), bits)
        };
        assert!(within("192.0.2.7", "192.0.2.7") && !within("192.0.2.7", "192.0.2.8"));
        assert!(within("192.0.2.0/24", "192.0.2.8") && !within("192.0.2.0/24", "192.0.3.8"));
        assert!(within("2001:db8::/32", "2001:db8:1::1") && !within("2001:db8::/32", "2001:db9::"));
        assert!(!within("::/1", "1.2.3.4") && within("128.0.0.0/1", "255.0.0.0"));
        for text in [
            "",
            "a",
            "1.2.3.4/0",
            "1.2.3.4/33",
            "::/129",
            "1.2.3.4/x",
            "*@1.2.3.4",
        ] {
            assert_eq!(network(text), None, "{text}");
        }
    }

    #[test]
    fn nobody_bans_everybody() {
        let holds = |mask| holds(mask, CaseMapping::Ascii);
        assert!(holds("*@evil.example.com") && holds("eve") && holds("eve!*@*"));
        assert!(!holds("*") && !holds("*@*") && !holds("*!*@*.*") && !holds("?*@*"));
    }
}
