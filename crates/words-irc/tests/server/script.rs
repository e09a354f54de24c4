//! A script of several clients: who sends what, and behind it what each is told.
//!
//! ```text
//! options motd=hello      what differs from the defaults; before anybody comes
//! enter ada bob           they register, and what they are told then is not shown
//! enter ada +batch,sasl   with capabilities
//! ada JOIN #rope          a line; \xNN stands for a byte
//! wait 90                 so many seconds
//! hangup ada              the end of what ada sends
//!     ada :irc …          what was told, behind what made it so
//! # a comment
//! ```
//!
//! What changes from run to run is written as `TIME` and `ID`.

use std::{sync::Arc, time::Duration};

use ropewalk_core::testing::Rig;
use ropewalk_cred::PasswordHash;
use ropewalk_words_irc::{
    proto::casemap::CaseMapping,
    server::{Admin, Connection, Network, NetworkOptions, Oper, ServerBan},
};

/// A client, by the name that the script has for it.
struct Client {
    name: String,
    rig: Rig<Connection>,
    gone: bool,
}

/// Plays a script; says what it becomes with what was told.
pub(crate) fn play(script: &str) -> String {
    let mut options = NetworkOptions::default();
    options.flood.disabled = true;
    let mut stage = Stage {
        network: None,
        options,
        clients: Vec::new(),
    };
    let mut out = String::new();
    // What was told before is told anew.
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        out.push_str(line);
        out.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            out.push_str(&stage.play(line));
        }
    }
    out
}

/// The network of a script, and who is there.
pub(crate) struct Stage {
    network: Option<Network>,
    options: NetworkOptions,
    clients: Vec<Client>,
}

impl Stage {
    fn network(&mut self) -> Network {
        let options = &self.options;
        let network = self
            .network
            .get_or_insert_with(|| Network::new(options.clone()));
        network.clone()
    }

    fn play(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "options" => {
                rest.split(';').for_each(|option| self.set(option.trim()));
                if let Some(network) = &self.network {
                    network.reload(self.options.clone());
                }
                String::new()
            }
            "enter" => {
                self.enter(rest);
                String::new()
            }
            "wait" => {
                let by = Duration::from_secs(rest.parse().unwrap());
                for client in self.clients.iter_mut().filter(|client| !client.gone) {
                    client.rig.advance(by);
                }
                self.told()
            }
            "hangup" => {
                self.client(rest).rig.eof();
                self.told()
            }
            name => {
                let line = unescape(rest);
                let client = self.client(name);
                client.rig.receive([&line[..], b"\r\n"].concat());
                self.told()
            }
        }
    }

    fn enter(&mut self, rest: &str) {
        let (names, capabilities) = rest.split_once(" +").unwrap_or((rest, ""));
        for name in names.split(' ') {
            let lines = match capabilities {
                "" => format!("NICK {name}\r\nUSER {name} 0 * :{name} real\r\n"),
                list => format!(
                    "CAP REQ :{}\r\nNICK {name}\r\nUSER {name} 0 * :{name} real\r\nCAP END\r\n",
                    list.replace(',', " ")
                ),
            };
            let client = self.client(name);
            client.rig.receive(lines);
            let told = client.rig.sent_text();
            assert!(told.contains(" 001 "), "{name} cannot enter: {told}");
            for told in [self.told(), self.told()] {
                assert_eq!(told, "", "somebody is told that {name} enters");
            }
        }
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once('=').unwrap();
        let value = value.to_owned();
        let options = &mut self.options;
        let number = || value.parse().unwrap();
        let hash = |text: &str| PasswordHash::parse_with_plaintext(&format!("{{PLAIN}}{text}"));
        match name {
            "motd" => options.motd = value.split('|').map(str::to_owned).collect(),
            "password" => options.password = Some(Arc::new(hash(&value).unwrap())),
            "oper" => options
                .opers
                .push(Oper::new(value.clone(), hash("secret").unwrap())),
            "ban" => options.bans.push(ServerBan::new(value, "go away")),
            "admin" => options.admin = Some(Admin::new(value, "Rope makers", "admin@example.org")),
            "casemapping" => options.case_mapping = CaseMapping::named(&value).unwrap(),
            "utf8only" => options.utf8_only = value == "yes",
            "cookie" => options.ping_cookie = value == "yes",
            "usermodes" => options.user_modes = value,
            "targets" => options.limits.targets = number(),
            "channels" => options.limits.channels = number(),
            "list" => options.limits.list = number(),
            "modes" => options.limits.modes = number(),
            "sendq" => options.limits.send_queue = number(),
            "flood" => options.flood.disabled = value == "no",
            "burst" => options.flood.burst = value.parse().unwrap(),
            _ => panic!("no option {name}"),
        }
    }

    fn client(&mut self, name: &str) -> &mut Client {
        let open = |client: &Client| client.name == name && !client.gone;
        if let Some(at) = self.clients.iter().position(open) {
            return &mut self.clients[at];
        }
        let client = Client {
            name: name.to_owned(),
            rig: Rig::new(Connection::new(self.network())),
            gone: false,
        };
        self.clients.push(client);
        self.clients.last_mut().unwrap()
    }

    /// What everybody was told since it was last asked.
    fn told(&mut self) -> String {
        let mut told = String::new();
        for client in self.clients.iter_mut().filter(|client| !client.gone) {
            let text = client.rig.poll().sent();
            let text = String::from_utf8(text).unwrap();
            for line in text.split_terminator("\r\n") {
                told += &format!("    {} {}\n", client.name, steady(line));
            }
            if client.rig.is_closed() {
                client.gone = true;
                told += &format!("    {} is gone\n", client.name);
            }
        }
        told
    }
}

pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// A line without what differs from run to run.
pub(crate) fn steady(line: &str) -> String {
    let mut line = line.replace(concat!("ropewalk-", env!("CARGO_PKG_VERSION")), "VERSION");
    for (key, stands) in [("time=", "TIME"), ("msgid=", "ID")] {
        if let Some(at) = line.find(key).filter(|_| line.starts_with('@')) {
            let from = at + key.len();
            let to = from + line[from..].find([';', ' ']).unwrap();
            line.replace_range(from..to, stands);
        }
    }
    // Times in replies: of a year's distance, in seconds, and as dates.
    let words: Vec<String> = line
        .split(' ')
        .map(|word| steady_word(word).to_owned())
        .collect();
    let escape = |c: char| match c {
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    words.join(" ").chars().map(escape).collect()
}

fn steady_word(word: &str) -> &str {
    let seconds =
        word.len() == 10 && word.starts_with('1') && word.bytes().all(|c| c.is_ascii_digit());
    let bare = word.trim_start_matches(':');
    let date = bare.len() == 24 && bare.starts_with("20") && bare.ends_with('Z');
    match (seconds, date) {
        (true, _) => "SECONDS",
        (_, true) => "DATE",
        _ => word,
    }
}
