//! Other people's clients in the lab's network: they log in by SASL over TLS where they can, join,
//! see the topic and who is there, talk, change their nick, part and quit; somebody else there sees
//! all of it.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use super::Client;
use crate::{
    common::Running,
    lab::{self, ca},
};

/// The lab's IRC, its CA's file, and somebody in its channel who sees accounts.
fn lab() -> (Running, String, Client) {
    let mut lab = Running::start(&["lab", "--any-port", "--only", "irc"], 2);
    let mut table = Vec::new();
    while !table
        .last()
        .is_some_and(|line: &String| line.starts_with("Ctrl-C"))
    {
        table.push(lab.out_line());
    }
    assert_eq!(lab::rows(&table).len(), 2);
    let mut watcher = Client::register(lab.address("irc", "tcp"), "watcher");
    watcher.say("CAP REQ extended-join\r\nJOIN #lab");
    watcher.until(" 366 ");
    (lab, ca(&table), watcher)
}

/// A client's program, killed when the test is over.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    fn type_line(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a program's output until a line holds this.
#[track_caller]
fn until(lines: &mut impl Iterator<Item = String>, what: &str) -> String {
    let mut heard = Vec::new();
    for line in lines {
        if line.contains(what) {
            return line;
        }
        heard.push(line);
    }
    panic!("no {what:?} in {heard:#?}");
}

/// What all of them do, as somebody else sees it.
fn sees_it_all(watcher: &mut Client, nick: &str, account: &str) {
    let join = watcher.until(" JOIN #lab ");
    assert!(join.starts_with(&format!(":{nick}!")), "{join}");
    assert!(join.contains(&format!(" JOIN #lab {account} :")), "{join}");
    watcher.until(" PRIVMSG #lab :hello from ");
    let change = watcher.until(" NICK ");
    assert!(change.starts_with(&format!(":{nick}!")), "{change}");
    assert!(change.trim_end().ends_with("other"), "{change}");
    let part = watcher.until(" PART #lab");
    assert!(part.starts_with(":other!"), "{part}");
}

mod with_irssi {
    use std::sync::{Arc, Mutex};

    use ropewalk_core::process::{Command, Terminal};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn config(port: &str, ca: &str) -> String {
        format!(
            "servers = ( {{ address = \"localhost\"; chatnet = \"lab\"; port = \"{port}\"; \
             use_tls = \"yes\"; tls_cafile = \"{ca}\"; tls_verify = \"yes\"; autoconnect = \"yes\"; \
             family = \"inet\"; }} );\n\
             chatnets = {{ lab = {{ type = \"IRC\"; sasl_mechanism = \"PLAIN\"; \
             sasl_username = \"alice\"; sasl_password = \"secret\"; }}; }};\n\
             channels = ( {{ name = \"#lab\"; chatnet = \"lab\"; autojoin = \"yes\"; }} );\n\
             settings = {{ core = {{ real_name = \"Alice\"; user_name = \"alice\"; nick = \"alice\"; }}; \
             \"fe-common/core\" = {{ term_charset = \"UTF-8\"; }}; }};\n"
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "needs irssi; cargo xtask test runs it where it is installed"]
    async fn logs_in_talks_and_goes() {
        let (lab, ca, mut watcher) = lab();
        let home = tempfile::tempdir().unwrap();
        fs::write(
            home.path().join("config"),
            config(&lab.port("irc", "tls"), &ca),
        )
        .unwrap();
        let (process, terminal) = Command::new("irssi")
            .arg(format!("--home={}", home.path().display()))
            .env("TERM", "xterm")
            .terminal(Terminal::new(200, 50))
            .spawn()
            .unwrap();
        let (mut screen, mut keys) = tokio::io::split(terminal);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let drawn = shown.clone();
        tokio::spawn(async move {
            let mut some = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut some).await {
                drawn.lock().unwrap().extend_from_slice(&some[..n]);
            }
        });
        let join = watcher.until(" JOIN #lab ");
        assert!(join.contains(" JOIN #lab alice :"), "{join}");
        // The channel's window shows the topic and who is there, and what is typed goes there.
        keys.write_all(b"/window 2\r").await.unwrap();
        let topic = async {
            loop {
                let text = String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
                if text.contains("Welcome to the lab") && text.contains("watcher") {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let seen = tokio::time::timeout(crate::common::PATIENCE, topic).await;
        let text = String::from_utf8_lossy(&shown.lock().unwrap()).into_owned();
        seen.unwrap_or_else(|_| panic!("no topic on the screen: {text}"));
        // One at a time: what comes at once is a paste.
        for (line, seen) in [
            (
                "/msg #lab hello from irssi",
                ":alice!~alice@127.0.0.1 PRIVMSG #lab :hello from irssi",
            ),
            ("/nick other", ":alice!~alice@127.0.0.1 NICK :other"),
            ("/part #lab bye", ":other!~alice@127.0.0.1 PART #lab :bye"),
        ] {
            keys.write_all(format!("{line}\r").as_bytes())
                .await
                .unwrap();
            watcher.until(seen);
        }
        keys.write_all(b"/quit\r").await.unwrap();
        let _ = process;
        lab.end_well();
    }
}

mod with_weechat {
    use super::*;

    #[test]
    #[ignore = "needs weechat-headless; cargo xtask test runs it where it is installed"]
    fn logs_in_talks_and_goes() {
        let (lab, ca, mut watcher) = lab();
        let home = tempfile::tempdir().unwrap();
        let port = lab.port("irc", "tls");
        let set = [
            format!("/set weechat.network.gnutls_ca_user \"{ca}\""),
            format!("/server add lab localhost/{port} -ssl"),
            "/set irc.server.lab.ipv6 off".into(),
            "/set irc.server.lab.nicks alice".into(),
            "/set irc.server.lab.sasl_mechanism scram-sha-256".into(),
            "/set irc.server.lab.sasl_username alice".into(),
            "/set irc.server.lab.sasl_password secret".into(),
            "/set irc.server.lab.sasl_fail disconnect".into(),
            "/set irc.server.lab.anti_flood_prio_high 0".into(),
            "/set irc.server.lab.anti_flood_prio_low 0".into(),
            // Unless it is escaped, a semicolon ends the command here already.
            r#"/set irc.server.lab.command "/join #lab\;/msg #lab hello from weechat\;/nick other\;/part #lab bye""#
                .into(),
            // Once its last line has come back: what it leaves unread would reset the connection, and
            // with it what the server has not read yet.
            r#"/trigger add gone signal "lab,irc_in_PART" "" "" "/quit""#.into(),
        ];
        let mut command = Command::new("weechat-headless");
        command.args(["--dir", home.path().to_str().unwrap()]);
        for line in set.iter().map(String::as_str).chain(["/connect lab"]) {
            command.args(["--run-command", line]);
        }
        let mut weechat = Program::start(&mut command);
        sees_it_all(&mut watcher, "alice", "alice");
        assert!(weechat.0.wait().unwrap().success());
        lab.end_well();
    }
}

mod with_python_irc {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    #[ignore = "needs python_irc; cargo xtask test runs it where it is installed"]
    fn logs_in_talks_and_goes() {
        let (lab, ca, mut watcher) = lab();
        let python = std::env::var_os("ROPEWALK_PYTHON").unwrap_or_else(|| "python3".into());
        let port = lab.port("irc", "tls");
        let mut program =
            Program::start(Command::new(python).args(["-u", "-c", PYTHON, &port, &ca]));
        let mut out = BufReader::new(program.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        sees_it_all(&mut watcher, "alice", "alice");
        let topic = until(&mut out, "topic ");
        assert!(topic.contains("Welcome to the lab"), "{topic}");
        let names = until(&mut out, "names ");
        assert!(
            names.contains("watcher") && names.contains("alice"),
            "{names}"
        );
        assert!(program.0.wait().unwrap().success());
        lab.end_well();
    }

    /// A bot as its users write them.
    const PYTHON: &str = r##"
import functools, ssl, sys
import irc.client, irc.connection

port, ca = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=ca)
wrap = functools.partial(context.wrap_socket, server_hostname="localhost")

class Bot(irc.client.SimpleIRCClient):
    def on_welcome(self, connection, event):
        connection.join("#lab")
    def on_currenttopic(self, connection, event):
        print("topic", event.arguments)
    def on_namreply(self, connection, event):
        print("names", event.arguments)
    def on_endofnames(self, connection, event):
        connection.privmsg("#lab", "hello from python")
        connection.nick("other")
    def on_nick(self, connection, event):
        connection.part("#lab", "bye")
    def on_part(self, connection, event):
        connection.quit("done")
    def on_disconnect(self, connection, event):
        sys.exit(0)

bot = Bot()
bot.connect("127.0.0.1", port, "alice", password="secret", sasl_login="alice",
            connect_factory=irc.connection.Factory(wrapper=wrap))
bot.start()
"##;
}

mod with_sic {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    #[test]
    #[ignore = "needs sic; cargo xtask test runs it where it is installed"]
    fn talks_and_goes() {
        let (lab, _, mut watcher) = lab();
        let port = lab.port("irc", "tcp");
        let mut sic = Program::start(Command::new("sic").args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-n",
            "sicker",
        ]));
        // One at a time: what it reads together it does not notice until more comes.
        sic.type_line(":j #lab");
        let join = watcher.until(" JOIN #lab ");
        assert!(
            join.contains(":sicker!") && join.contains(" JOIN #lab * :"),
            "{join}"
        );
        sic.type_line(":m #lab hello from sic");
        watcher.until(":sicker!~sicker@127.0.0.1 PRIVMSG #lab :hello from sic");
        sic.type_line(":NICK other");
        watcher.until(":sicker!~sicker@127.0.0.1 NICK :other");
        watcher.say("PRIVMSG #lab :hello sic");
        let mut out = BufReader::new(sic.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        until(&mut out, "Welcome to the lab");
        until(&mut out, "hello sic");
        sic.type_line(":l #lab");
        watcher.until(":other!~sicker@127.0.0.1 PART #lab");
        lab.end_well();
    }
}

mod with_ii {
    use super::*;

    /// It is files: what is written into `in` is said, what is heard is in `out`.
    #[test]
    #[ignore = "needs ii; cargo xtask test runs it where it is installed"]
    fn talks_and_goes() {
        let (lab, _, mut watcher) = lab();
        let folder = tempfile::tempdir().unwrap();
        let port = lab.port("irc", "tcp");
        let _ii = Program::start(Command::new("ii").args([
            "-s",
            "127.0.0.1",
            "-p",
            &port,
            "-n",
            "iinick",
            "-i",
            folder.path().to_str().unwrap(),
        ]));
        let server = folder.path().join("127.0.0.1");
        // It takes commands before it has registered, and the server does not.
        wait(&server, "Welcome to the Lab IRC network");
        let mut commands = open(&server);
        writeln!(commands, "/j #lab").unwrap();
        let join = watcher.until(" JOIN #lab ");
        assert!(join.contains(":iinick!"), "{join}");
        let mut channel = open(&server.join("#lab"));
        writeln!(channel, "hello from ii").unwrap();
        watcher.until(":iinick!~iinick@127.0.0.1 PRIVMSG #lab :hello from ii");
        writeln!(commands, "/n other").unwrap();
        watcher.until(" NICK :other");
        writeln!(channel, "/l bye").unwrap();
        watcher.until(":other!~iinick@127.0.0.1 PART #lab");
        lab.end_well();
    }

    /// Waits until this was heard.
    fn wait(folder: &Path, what: &str) {
        let begun = std::time::Instant::now();
        let path = folder.join("out");
        while !fs::read_to_string(&path).is_ok_and(|out| out.contains(what)) {
            assert!(begun.elapsed() < crate::common::PATIENCE, "no {what}");
            std::thread::yield_now();
        }
    }

    /// Opens the pipe once it is there; that waits for its reader. It stays open: a reader that sees
    /// its end opens it anew, and loses what is written meanwhile.
    fn open(folder: &Path) -> fs::File {
        let path = folder.join("in");
        let begun = std::time::Instant::now();
        while !path.exists() {
            assert!(
                begun.elapsed() < crate::common::PATIENCE,
                "no {}",
                path.display()
            );
            std::thread::yield_now();
        }
        fs::OpenOptions::new().write(true).open(path).unwrap()
    }
}
