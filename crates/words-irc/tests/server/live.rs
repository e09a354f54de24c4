//! Scripts of several clients whose commands take time: what is hashed, what is
//! written. As those of `script`, and beside them
//!
//! ```text
//! options insecure=yes    what differs from the defaults; before anybody comes
//! local ada               comes from this machine, which is as good as TLS
//! from ada 192.0.2.9      comes from there
//! restart                 the server ends and begins again; nobody is there
//! ada AUTHENTICATE b64(\0ada\0secret)
//! ```

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use ropewalk_core::{Address, Limits, Peer, testing::Rig};
use ropewalk_cred::{NewHash, PasswordHash, UsersFile, UsersOptions};
use ropewalk_words_irc::server::{
    Connection, Gateway, Network, NetworkOptions, Oper, ServerBan,
    accounts::{AccountOptions, Accounts, Courier, CourierError, Letter, NickReservation},
    registered::{MemoryDisk, Store},
};

use super::script::{steady, unescape};

#[test]
fn every_transcript_is_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        eprintln!("{}", path.display());
        let played = ropewalk_core::testing::run(async { play(&script).await });
        expect_test::expect_file![path].assert_eq(&played);
    }
}

async fn play(script: &str) -> String {
    let mut stage = Stage::new();
    let mut out = String::new();
    for line in script.lines().filter(|line| !line.starts_with("    ")) {
        out.push_str(line);
        out.push('\n');
        if !line.is_empty() && !line.starts_with('#') {
            out.push_str(&stage.play(line).await);
        }
    }
    out
}

/// A network with accounts, and who is there.
pub(crate) struct Stage {
    pub(crate) disk: Arc<MemoryDisk>,
    options: NetworkOptions,
    accounts: AccountOptions,
    /// Letters with codes are brought, and the code is always shown as `CODE`.
    mail: Option<Arc<std::sync::Mutex<Vec<Letter>>>>,
    /// Who is in an operator's users file.
    user: Option<String>,
    peers: BTreeMap<String, Peer>,
    network: Option<Network>,
    clients: Vec<(String, Rig<Connection>)>,
    /// Names, in the order in which they were first used.
    order: Vec<String>,
}

struct Box_(Arc<std::sync::Mutex<Vec<Letter>>>);

impl Courier for Box_ {
    fn bring(&self, letter: Letter) -> ropewalk_core::BoxFuture<'_, Result<(), CourierError>> {
        self.0.lock().unwrap().push(letter);
        Box::pin(async { Ok(()) })
    }
}

impl Stage {
    pub(crate) fn new() -> Self {
        let mut options = NetworkOptions::default();
        options.flood.disabled = true;
        let mut accounts = AccountOptions::default();
        accounts.hash = NewHash::ScramSha256 { iterations: 4096 };
        Self {
            disk: Arc::new(MemoryDisk::new()),
            options,
            accounts,
            mail: None,
            user: None,
            peers: BTreeMap::new(),
            network: None,
            clients: Vec::new(),
            order: Vec::new(),
        }
    }

    pub(crate) fn network(&mut self) -> Network {
        if let Some(network) = &self.network {
            return network.clone();
        }
        let store = Store::open_shared(self.disk.clone(), self.options.case_mapping).unwrap();
        let mut accounts = Accounts::new(store, self.accounts.clone());
        if let Some(mail) = &self.mail {
            accounts = accounts.courier(Box_(mail.clone()));
        }
        if let Some(user) = &self.user {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, format!("{user}:{{PLAIN}}hunter2\n")).unwrap();
            let mut options = UsersOptions::default();
            options.allow_plaintext_passwords_in_file = true;
            let users = UsersFile::open(file.path(), options).unwrap();
            accounts = accounts.users_file(Arc::new(users));
        }
        let mut options = self.options.clone();
        options.accounts = Some(Arc::new(accounts));
        self.network.insert(Network::new(options)).clone()
    }

    pub(crate) async fn play(&mut self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "options" => rest.split(';').for_each(|option| self.set(option.trim())),
            "local" => {
                for name in rest.split(' ') {
                    let local = Peer::new(Address::Memory("local".into()));
                    self.peers.insert(name.to_owned(), local);
                }
            }
            "from" => {
                let (name, address) = rest.split_once(' ').unwrap();
                let address = SocketAddr::new(address.parse().unwrap(), 49152);
                self.peers.insert(name.to_owned(), Peer::new(address));
            }
            "restart" => {
                self.clients.clear();
                // What nobody waits for is written when a server ends.
                let network = self.network.take().unwrap();
                network.saved().await.unwrap();
            }
            "enter" => {
                let (names, capabilities) = rest.split_once(" +").unwrap_or((rest, ""));
                for name in names.split(' ') {
                    let list = capabilities.replace(',', " ");
                    let lines = format!(
                        "CAP REQ :{list}\r\nNICK {name}\r\nUSER {name} 0 * :{name}\r\nCAP END\r\n"
                    );
                    self.client(name).receive(lines);
                    let told = self.answered(name).await;
                    assert!(told.contains(" 001 "), "{name} cannot enter: {told}");
                }
            }
            "wait" => {
                let by = Duration::from_secs(rest.parse().unwrap());
                tokio::time::sleep(by).await;
                for (_, rig) in &mut self.clients {
                    rig.advance(by);
                }
                return self.told();
            }
            name => {
                let mut line = encode(rest);
                if let Some(mail) = &self.mail
                    && let Some(letter) = mail.lock().unwrap().last()
                {
                    line = line.replace("CODE", &letter.code);
                }
                let line = [&unescape(&line)[..], b"\r\n"].concat();
                self.client(name).receive(line);
                return self.answered(name).await;
            }
        }
        String::new()
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once('=').unwrap();
        let (yes, number) = (value == "yes", || value.parse().unwrap());
        match name {
            "insecure" => self.accounts.allow_passwords_without_tls = yes,
            "registration" => self.accounts.registration = yes,
            "before" => self.accounts.before_connect = yes,
            "custom" => self.accounts.custom_account_name = yes,
            "mail" => self.mail = Some(Arc::default()),
            "channels" => self.accounts.channels = number(),
            "accounts" => self.accounts.accounts = number(),
            "ban" => self.options.bans.push(ServerBan::new(value, "go away")),
            "user" => self.user = Some(value.to_owned()),
            "playback" => self.options.playback = number(),
            "kept" => self.options.history.messages = number(),
            "monitor" => self.options.limits.monitor = number(),
            "nicks" => {
                self.accounts.nicks = match value {
                    "strict" => NickReservation::Strict,
                    "off" => NickReservation::Off,
                    seconds => {
                        NickReservation::Rename(Duration::from_secs(seconds.parse().unwrap()))
                    }
                }
            }
            "oper" => {
                let hash = PasswordHash::parse_with_plaintext("{PLAIN}secret").unwrap();
                self.options.opers.push(Oper::new(value, hash));
            }
            "gateway" => {
                let hash = PasswordHash::parse_with_plaintext("{PLAIN}hunter2").unwrap();
                let gateway = Gateway::new([value.parse().unwrap()], hash);
                self.options.gateways.push(gateway);
            }
            _ => panic!("no option {name}"),
        }
    }

    pub(crate) fn client(&mut self, name: &str) -> &mut Rig<Connection> {
        let there = |it: &(String, Rig<Connection>)| it.0 == name && !it.1.is_closed();
        if let Some(at) = self.clients.iter().position(there) {
            return &mut self.clients[at].1;
        }
        if !self.order.iter().any(|it| it == name) {
            self.order.push(name.to_owned());
        }
        let address = SocketAddr::from(([192, 0, 2, 1], 49152));
        let peer = self.peers.get(name).cloned();
        let peer = peer.unwrap_or_else(|| Peer::new(address));
        let connection = Connection::new(self.network());
        let rig = Rig::with(connection, peer, Limits::default());
        self.clients.push((name.to_owned(), rig));
        &mut self.clients.last_mut().unwrap().1
    }

    /// What everybody is told, once whoever acts has its answer: commands are
    /// answered in their order, and this one is behind it.
    pub(crate) async fn answered(&mut self, name: &str) -> String {
        const SYNC: &str = "PONG irc.local :sync";
        // By client, in the order in which they came: what is hashed and written on
        // other threads is done at any moment between two looks.
        let mut heard: Vec<(String, String)> = Vec::new();
        let there = |stage: &Self| {
            let mut clients = stage.clients.iter();
            clients.any(|it| it.0 == name && !it.1.is_closed())
        };
        if there(self) {
            self.client(name).receive("PING :sync\r\n");
        }
        let (mut answered, mut looks) = (false, 0);
        while looks < 2 {
            answered |= !there(self);
            for line in self.told().lines() {
                if line.contains(SYNC) {
                    answered = true;
                    continue;
                }
                let who = line.trim_start().split(' ').next().unwrap().to_owned();
                let at = heard.iter().position(|(it, _)| *it == who);
                let at = at.unwrap_or_else(|| {
                    heard.push((who, String::new()));
                    heard.len() - 1
                });
                heard[at].1 += &format!("{line}\n");
            }
            // Whoever was looked at before the others had their turn has a last look.
            looks += usize::from(answered);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        heard.sort_by_key(|(who, _)| self.order.iter().position(|it| it == who));
        heard.into_iter().map(|(_, lines)| lines).collect()
    }

    fn told(&mut self) -> String {
        let mut told = String::new();
        for (name, rig) in &mut self.clients {
            let text = rig.poll().sent_text();
            for line in text.split_terminator("\r\n") {
                told += &format!("    {name} {}\n", shown(line));
            }
            if rig.is_closed() {
                told += &format!("    {name} is gone\n");
            }
        }
        self.clients.retain(|(_, rig)| !rig.is_closed());
        told
    }
}

/// A line without what differs from run to run.
fn shown(line: &str) -> String {
    let mut line = steady(line);
    let key = "registered on ";
    if let Some(at) = line.find(key) {
        let from = at + key.len();
        line.replace_range(from..from + 10, "DAY");
    }
    if let Some(at) = line.find("Guest") {
        let digits = line[at + 5..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        line.replace_range(at + 5..at + 5 + digits, "N");
    }
    line
}

/// `b64(…)` in a line, with `\0` in it, and `rep(A,400)`.
fn encode(line: &str) -> String {
    if let Some((before, rest)) = line.split_once("b64(") {
        let (text, after) = rest.split_once(')').unwrap();
        let text = text.replace("\\0", "\0");
        return format!("{before}{}{after}", STANDARD.encode(text));
    }
    if let Some((before, rest)) = line.split_once("rep(") {
        let (what, after) = rest.split_once(')').unwrap();
        let (text, times) = what.split_once(',').unwrap();
        return format!("{before}{}{after}", text.repeat(times.parse().unwrap()));
    }
    line.to_owned()
}
