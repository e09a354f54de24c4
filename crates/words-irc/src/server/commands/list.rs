//! `LIST`, with what `ELIST` promises (<https://modern.ircdocs.horse/#list-message>).

use std::ops::Bound;

use super::{
    super::{
        channel::Channel,
        pages::{PAGE, Pages},
        turn::Turn,
    },
    list as parts,
};
use crate::proto::{casemap::Folded, mask::Mask, message::Message, numeric::Numeric};

/// Channels looked at for a page, where few of them are wanted.
const EXAMINED: usize = 2000;

pub(super) fn list(turn: &mut Turn<'_>, message: &Message<'_>) {
    let settings = turn.net.settings.clone();
    let most = settings.options.limits.targets;
    let mut conditions = Vec::new();
    let mut named = Vec::new();
    for part in message.param(0).into_iter().flat_map(parts).take(most) {
        match condition(part, &settings) {
            Some(condition) => conditions.push(condition),
            None => named.push(settings.fold(part)),
        }
    }
    turn.reply(Numeric::RPL_LISTSTART, &["Channel"], "Users  Name");
    if !named.is_empty() {
        for name in named {
            let channel = turn
                .net
                .names
                .get(&name)
                .and_then(|c| turn.net.channels.get(*c));
            if let Some(line) = channel.and_then(|channel| shown(turn, channel, &conditions)) {
                line.say(turn);
            }
        }
        return turn.reply(Numeric::RPL_LISTEND, &[], "End of /LIST");
    }
    turn.answer(List {
        conditions,
        after: None,
    });
}

/// What a channel must be to be listed.
enum Condition {
    Members(Bounds),
    /// In minutes.
    Age(Bounds),
    /// In minutes; only those that have a topic.
    TopicAge(Bounds),
    Name(Mask),
    NotName(Mask),
}

/// Above or below a number.
enum Bounds {
    Above(u64),
    Below(u64),
}

impl Bounds {
    fn parse(text: &str) -> Option<Self> {
        match text.split_at_checked(1)? {
            (">", number) => Some(Self::Above(number.parse().ok()?)),
            ("<", number) => Some(Self::Below(number.parse().ok()?)),
            _ => None,
        }
    }

    fn hold(&self, number: u64) -> bool {
        match self {
            Self::Above(than) => number > *than,
            Self::Below(than) => number < *than,
        }
    }
}

/// What a part of the request asks for; none if it is the name of a channel.
fn condition(part: &str, settings: &super::super::settings::Settings) -> Option<Condition> {
    if let Some(members) = Bounds::parse(part) {
        return Some(Condition::Members(members));
    }
    if let Some(age) = part.strip_prefix(['C', 'c']).and_then(Bounds::parse) {
        return Some(Condition::Age(age));
    }
    if let Some(age) = part.strip_prefix(['T', 't']).and_then(Bounds::parse) {
        return Some(Condition::TopicAge(age));
    }
    let mask = |text: &str| Mask::parse(text, settings.mapping()).ok();
    if let Some(not) = part.strip_prefix('!') {
        return mask(not).map(Condition::NotName);
    }
    part.contains(['*', '?'])
        .then(|| mask(part).map(Condition::Name))?
}

impl Condition {
    fn holds(&self, channel: &Channel, now: u64) -> bool {
        let minutes = |since: u64| now.saturating_sub(since) / 60;
        match self {
            Self::Members(bounds) => bounds.hold(channel.members.len() as u64),
            Self::Age(bounds) => bounds.hold(minutes(channel.created)),
            Self::TopicAge(bounds) => {
                let topic = channel.topic.as_ref();
                topic.is_some_and(|topic| bounds.hold(minutes(topic.at)))
            }
            Self::Name(mask) => mask.matches(&channel.name),
            Self::NotName(mask) => !mask.matches(&channel.name),
        }
    }
}

/// A channel as it is listed.
struct Shown {
    name: Box<str>,
    members: usize,
    topic: Box<str>,
}

impl Shown {
    fn say(self, turn: &mut Turn<'_>) {
        let params = [&*self.name, &self.members.to_string()];
        turn.reply(Numeric::RPL_LIST, &params, &self.topic);
    }
}

fn shown(turn: &Turn<'_>, channel: &Channel, conditions: &[Condition]) -> Option<Shown> {
    let now = turn.net.clock.seconds();
    let number = turn.net.names.get(&channel.folded).copied();
    let member = number.is_some_and(|number| turn.me().membership(number).is_some());
    let visible = !channel.members.is_empty() && (!channel.is_secret() || member);
    let wanted = visible && conditions.iter().all(|c| c.holds(channel, now));
    wanted.then(|| Shown {
        name: channel.name.clone(),
        members: channel.members.len(),
        topic: channel
            .topic
            .as_ref()
            .map_or_else(|| "".into(), |topic| topic.text.clone()),
    })
}

/// In the order of names, from where the last page ended.
struct List {
    conditions: Vec<Condition>,
    after: Option<Folded>,
}

impl Pages for List {
    fn page(&mut self, turn: &mut Turn<'_>) -> bool {
        let from = match &self.after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Unbounded,
        };
        let mut lines = Vec::new();
        let mut over = true;
        let rest = turn.net.names.range((from, Bound::Unbounded));
        for (examined, (name, channel)) in rest.enumerate() {
            if lines.len() == PAGE || examined == EXAMINED {
                over = false;
                break;
            }
            self.after = Some(name.clone());
            let channel = turn.net.channels.get(*channel);
            lines.extend(channel.and_then(|channel| shown(turn, channel, &self.conditions)));
        }
        for line in lines {
            line.say(turn);
        }
        if over {
            turn.reply(Numeric::RPL_LISTEND, &[], "End of /LIST");
        }
        over
    }
}
