//! Many clients that do whatever comes to their minds, over seeds: what each was told of the
//! channels that it is in is what the server says of them when it is asked.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_core::{
    random,
    testing::{
        Rig,
        sim::{Random, simulate},
    },
};
use ropewalk_words_irc::{
    proto::{
        message::Message,
        mode::{self, Item, Kind},
    },
    server::{Connection, Network, NetworkOptions},
};

const CHANNELS: [&str; 3] = ["#a", "#b", "#c"];
const SIGNS: [(char, char); 5] = [('~', 'q'), ('&', 'a'), ('@', 'o'), ('%', 'h'), ('+', 'v')];

/// What a client knows of a channel that it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    /// The ranks of its members, by nick.
    members: BTreeMap<String, BTreeSet<char>>,
    /// The modes that have no mask, with what they are set to.
    modes: BTreeMap<char, String>,
}

struct Client {
    rig: Rig<Connection>,
    nick: String,
    views: BTreeMap<String, View>,
    /// What each has said last, by a number that grows.
    heard: BTreeMap<String, u64>,
    gone: bool,
}

impl Client {
    fn enter(network: &Network, nick: String, random: &mut Random) -> Self {
        let mut rig = Rig::new(Connection::new(network.clone()));
        let others = [
            "server-time",
            "message-tags",
            "account-tag",
            "extended-join",
            "echo-message",
            "away-notify",
            "userhost-in-names",
        ];
        let chosen = others.iter().filter(|_| random.chance(0.5)).copied();
        let list: Vec<_> = chosen.chain(["multi-prefix"]).collect();
        rig.receive(format!("CAP REQ :{}\r\nNICK {nick}\r\n", list.join(" ")));
        rig.receive("USER u 0 * :u\r\nCAP END\r\n");
        Self {
            rig,
            nick,
            views: BTreeMap::new(),
            heard: BTreeMap::new(),
            gone: false,
        }
    }

    /// Takes note of what it was told.
    fn listen(&mut self) {
        let told = String::from_utf8(self.rig.poll().sent()).unwrap();
        for line in told.split_terminator("\r\n") {
            self.hear(&Message::parse(line).unwrap());
        }
        self.gone |= self.rig.is_closed();
    }

    fn hear(&mut self, message: &Message<'_>) {
        let source = message.source.map_or("", |source| source.nick()).to_owned();
        let params = &message.params[..];
        match (message.command, params) {
            ("JOIN", [channel, ..]) => {
                if source == self.nick {
                    self.views.insert((*channel).to_owned(), View::default());
                    self.rig.receive(format!("MODE {channel}\r\n"));
                }
                self.of(channel).members.insert(source, BTreeSet::new());
            }
            ("PART", [channel, ..]) => self.leaves(channel, &source),
            ("KICK", [channel, nick, ..]) => self.leaves(channel, nick),
            ("QUIT", _) => {
                self.heard.remove(&source);
                for view in self.views.values_mut() {
                    view.members.remove(&source);
                }
            }
            ("NICK", [nick]) => {
                if source == self.nick {
                    self.nick = (*nick).to_owned();
                }
                for view in self.views.values_mut() {
                    if let Some(ranks) = view.members.remove(&source) {
                        view.members.insert((*nick).to_owned(), ranks);
                    }
                }
                // Their messages go on under the other name.
                if let Some(last) = self.heard.remove(&source) {
                    self.heard.insert((*nick).to_owned(), last);
                }
            }
            ("MODE", [channel, letters, values @ ..]) if channel.starts_with('#') => {
                self.modes(channel, letters, values);
            }
            ("PRIVMSG", [channel, text]) if channel.starts_with('#') && source != self.nick => {
                let number: u64 = text.parse().unwrap();
                let last = self.heard.insert(source, number);
                assert!(
                    last.is_none_or(|last| last < number),
                    "out of order: {message:?}"
                );
            }
            ("353", [_, _, channel, names]) => {
                for name in names.split(' ') {
                    let (nick, ranks) = member(name);
                    self.of(channel).members.insert(nick, ranks);
                }
            }
            // It may have left since it asked.
            ("324", [_, channel, letters, values @ ..]) if self.views.contains_key(*channel) => {
                self.of(channel).modes.clear();
                self.modes(channel, letters, values);
            }
            _ => {}
        }
    }

    fn of(&mut self, channel: &str) -> &mut View {
        let view = self.views.get_mut(channel);
        view.unwrap_or_else(|| panic!("{} hears of {channel}, where it is not", self.nick))
    }

    fn leaves(&mut self, channel: &str, nick: &str) {
        if nick == self.nick {
            self.views.remove(channel);
        } else {
            self.of(channel).members.remove(nick);
        }
    }

    fn modes(&mut self, channel: &str, letters: &str, values: &[&str]) {
        for item in mode::parse(&kind, letters, values) {
            let Item::Change(change) = item else {
                panic!("{item:?}");
            };
            let value = change.param.unwrap_or_default().to_owned();
            let view = self.of(channel);
            match (kind(change.letter), change.set) {
                (Some(Kind::Rank), set) => {
                    let ranks = view.members.get_mut(&value).unwrap();
                    match set {
                        true => ranks.insert(change.letter),
                        false => ranks.remove(&change.letter),
                    };
                }
                (Some(Kind::List), _) => {}
                (_, true) => {
                    view.modes.insert(change.letter, value);
                }
                (_, false) => {
                    view.modes.remove(&change.letter);
                }
            }
        }
    }
}

fn member(name: &str) -> (String, BTreeSet<char>) {
    let nick = name.trim_start_matches(['~', '&', '@', '%', '+']);
    let signs = &name[..name.len() - nick.len()];
    let rank = |sign| SIGNS.iter().find(|(s, _)| *s == sign).unwrap().1;
    let nick = nick.split('!').next().unwrap();
    (nick.to_owned(), signs.chars().map(rank).collect())
}

fn kind(letter: char) -> Option<Kind> {
    Some(match letter {
        'b' | 'e' | 'I' => Kind::List,
        'k' => Kind::Always,
        'l' => Kind::WhenSet,
        'q' | 'a' | 'o' | 'h' | 'v' => Kind::Rank,
        _ => Kind::Never,
    })
}

/// What somebody does next.
fn command(random: &mut Random, nicks: &[String], number: u64) -> String {
    let channel = *random.pick(&CHANNELS);
    let nick = random.pick(nicks).clone();
    match random.below(16) {
        0..=3 => format!("JOIN {channel} key"),
        4 => format!("PART {channel} :bye"),
        5 => format!("KICK {channel} {nick}"),
        6 => format!("NICK n{}", random.below(20)),
        7 => format!("TOPIC {channel} :{number}"),
        8 => format!("INVITE {nick} {channel}"),
        9 => format!("AWAY :{number}"),
        10 => format!("JOIN {},{}", CHANNELS[0], CHANNELS[2]),
        11 => {
            let sign = if random.chance(0.6) { '+' } else { '-' };
            let rank = random.pick(&['o', 'h', 'v', 'o', 'a']);
            format!("MODE {channel} {sign}{rank} {nick}")
        }
        12 => {
            let changes = [
                "+m-m", "+i", "-i", "+k key", "-k x", "+l 5", "-l", "+b n1", "-b n1", "+s", "-s",
                "+n-t",
            ];
            format!("MODE {channel} {}", random.pick(&changes))
        }
        _ => format!("PRIVMSG {channel} {number}"),
    }
}

#[test]
fn what_clients_were_told_is_how_it_is() {
    simulate(12, async |_| {
        let mut random = Random::from_seed(random());
        let mut options = NetworkOptions::default();
        options.flood.disabled = true;
        let network = Network::new(options);
        let (mut entered, mut said) = (0, 0);
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..400 {
            if clients.len() < 4 || (clients.len() < 9 && random.chance(0.05)) {
                entered += 1;
                clients.push(Client::enter(&network, format!("m{entered}"), &mut random));
            }
            let at = usize::try_from(random.below(clients.len() as u64)).unwrap();
            let nicks: Vec<_> = clients.iter().map(|client| client.nick.clone()).collect();
            if random.chance(0.02) {
                clients[at].rig.eof();
            } else if random.chance(0.02) {
                clients[at].rig.receive("QUIT :enough\r\n");
            } else {
                // Sometimes several at once, as one read brings them.
                for _ in 0..=random.below(3) {
                    let mut lines = String::new();
                    for _ in 0..=random.below(3) {
                        said += 1;
                        lines += &command(&mut random, &nicks, said);
                        lines += "\r\n";
                    }
                    clients[at].rig.receive(lines);
                }
            }
            // What one is told may make it ask something.
            for _ in 0..2 {
                clients.iter_mut().for_each(Client::listen);
            }
            clients.retain(|client| !client.gone);
        }
        for client in &mut clients {
            let known = client.views.clone();
            for (channel, view) in &known {
                client.views.insert(channel.clone(), View::default());
                client
                    .rig
                    .receive(format!("NAMES {channel}\r\nMODE {channel}\r\n"));
                client.listen();
                let now = &client.views[channel];
                assert_eq!(view, now, "{} in {channel}", client.nick);
            }
        }
        assert_eq!(network.counts().users, clients.len());
        // When all have gone, nothing is left.
        for client in &mut clients {
            client.rig.eof();
        }
        let counts = network.counts();
        assert_eq!(
            (counts.users, counts.unregistered, counts.channels),
            (0, 0, 0)
        );
        Ok(())
    });
}
