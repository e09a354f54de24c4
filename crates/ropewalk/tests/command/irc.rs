//! `ropewalk irc`, by a client of a few lines; other people's clients are in `irc/clients.rs`.

mod clients;

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

use crate::common::{PATIENCE, Running, connect, http, run};

/// A client that says lines and waits for what is told.
struct Client {
    lines: BufReader<TcpStream>,
}

impl Client {
    fn connect(to: SocketAddr) -> Self {
        let stream = connect(to);
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            lines: BufReader::new(stream),
        }
    }

    /// One that has registered.
    fn register(to: SocketAddr, nick: &str) -> Self {
        let mut client = Self::connect(to);
        client.say(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}"));
        client.until(" 001 ");
        client
    }

    fn say(&mut self, lines: &str) {
        write!(self.lines.get_mut(), "{lines}\r\n").unwrap();
    }

    /// The next line that holds this.
    #[track_caller]
    fn until(&mut self, what: &str) -> String {
        let mut heard = String::new();
        loop {
            let start = heard.len();
            let n = self.lines.read_line(&mut heard).unwrap_or(0);
            assert!(n > 0, "no {what:?} in\n{heard}");
            let line = heard[start..].trim_end();
            if line.contains(what) {
                return line.to_owned();
            }
        }
    }
}

/// A users file with one user.
fn add_user(file: &Path, name: &str, password: &str) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ropewalk"))
        .args(["user", "add", "--password-stdin", "--users"])
        .args([file.to_str().unwrap(), name])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn two_talk_and_both_are_told_when_it_drains() {
    let mut server = Running::start(&["irc", "--listen", "tcp:0", "--name", "Testnet"], 1);
    let at = server.address("irc", "tcp");
    let mut ada = Client::register(at, "ada");
    let mut bob = Client::register(at, "bob");
    ada.say("JOIN #rope");
    ada.until(" 366 ");
    bob.say("JOIN #rope");
    bob.until(" 353 bob = #rope ");
    ada.until("bob!~bob@127.0.0.1 JOIN");
    ada.say("PRIVMSG #rope :hello");
    assert_eq!(
        bob.until("PRIVMSG"),
        ":ada!~ada@127.0.0.1 PRIVMSG #rope :hello"
    );
    server.signal("TERM");
    for client in [&mut ada, &mut bob] {
        client.until("ERROR :Closing Link");
    }
    server.logged("drained");
    let (status, _, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
}

#[test]
fn files_are_read_again_at_a_hangup_and_kept_where_they_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("motd"), "the first\n").unwrap();
    fs::write(path("bans"), "# nobody yet\n").unwrap();
    add_user(Path::new(&path("opers")), "root", "first secret");
    let mut server = Running::start(
        &[
            "irc",
            "--listen",
            "tcp:0",
            "--motd",
            &path("motd"),
            "--bans",
            &path("bans"),
            "--opers",
            &path("opers"),
        ],
        1,
    );
    let at = server.address("irc", "tcp");
    let mut ada = Client::register(at, "ada");
    ada.until(":- the first");
    ada.say("OPER root :first secret");
    ada.until(" 381 ");

    fs::write(path("motd"), "the second\n").unwrap();
    fs::write(path("bans"), "mallory!*@* Not you\n").unwrap();
    server.signal("HUP");
    server.logged("reloaded the message of the day");
    ada.say("MOTD");
    ada.until(":- the second");
    let mut mallory = Client::connect(at);
    mallory.say("NICK mallory\r\nUSER m 0 * :m");
    mallory.until("Not you");

    fs::write(path("motd"), b"\xff\n").unwrap();
    server.signal("HUP");
    let line = server.logged("of before are kept");
    assert!(line.contains("motd") && line.contains("UTF-8"), "{line}");
    ada.say("MOTD");
    ada.until(":- the second");
    server.end_well();
}

#[test]
fn everybody_gives_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password").display().to_string();
    fs::write(&file, "open sesame\n").unwrap();
    let server = Running::start(&["irc", "--listen", "tcp:0", "--password-file", &file], 1);
    let at = server.address("irc", "tcp");
    let mut knows = Client::connect(at);
    knows.say("PASS :open sesame\r\nNICK ada\r\nUSER ada 0 * :ada");
    knows.until(" 001 ada ");
    let mut guesses = Client::connect(at);
    guesses.say("PASS sesame\r\nNICK bob\r\nUSER bob 0 * :bob");
    guesses.until(" 464 ");
    server.end_well();
}

#[test]
fn a_user_of_the_file_logs_in_and_is_gone_after_a_hangup_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("users");
    add_user(&users, "alice", "secret");
    let mut server = Running::start(
        &[
            "irc",
            "--listen",
            "tcp:0",
            "--users",
            users.to_str().unwrap(),
            "--allow-passwords-without-tls",
        ],
        1,
    );
    let at = server.address("irc", "tcp");
    let log_in = |expected: &str| {
        let mut client = Client::connect(at);
        client.say("CAP REQ sasl\r\nNICK alice\r\nUSER alice 0 * :alice\r\nAUTHENTICATE PLAIN");
        client.until("AUTHENTICATE +");
        // alice NUL alice NUL secret
        client.say("AUTHENTICATE YWxpY2UAYWxpY2UAc2VjcmV0");
        client.until(expected);
    };
    log_in(" 903 ");
    add_user(&users, "bob", "hunter22");
    let text = fs::read_to_string(&users).unwrap();
    let rest: String = text
        .lines()
        .filter(|line| !line.starts_with("alice:"))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&users, rest).unwrap();
    server.signal("HUP");
    server.logged("reloaded users");
    log_in(" 904 ");
    server.end_well();
}

#[test]
fn who_registers_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let arguments = [
        "irc",
        "--listen",
        "tcp:0",
        "--data",
        &data,
        "--allow-passwords-without-tls",
    ];
    let server = Running::start(&arguments, 1);
    let mut ada = Client::register(server.address("irc", "tcp"), "ada");
    ada.say("CAP REQ draft/account-registration\r\nREGISTER * * correct-horse");
    ada.until("REGISTER SUCCESS ada");
    // A second one does not share the folder, and a look at it changes nothing.
    let (status, _, err) = run(&arguments);
    assert_eq!(status, Some(2), "{err}");
    assert!(
        err.contains("--data") && err.contains("another server"),
        "{err}"
    );
    server.end_well();
    let server = Running::start(&arguments, 1);
    let mut ada = Client::connect(server.address("irc", "tcp"));
    ada.say("CAP REQ sasl\r\nNICK ada\r\nUSER ada 0 * :ada\r\nAUTHENTICATE PLAIN");
    ada.until("AUTHENTICATE +");
    // NUL ada NUL correct-horse
    ada.say("AUTHENTICATE AGFkYQBjb3JyZWN0LWhvcnNl");
    ada.until(" 903 ");
    server.end_well();
}

#[test]
fn a_second_signal_loses_nothing_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.display().to_string();
    let mut arguments = vec!["irc", "--listen", "tcp:0", "--data", &path];
    arguments.extend(["--drain", "600", "--allow-passwords-without-tls"]);
    let server = Running::start(&arguments, 1);
    let address = server.address("irc", "tcp");
    let mut ada = Client::register(address, "ada");
    ada.say("CAP REQ draft/account-registration\r\nREGISTER * * correct-horse");
    ada.until("REGISTER SUCCESS ada");
    ada.say("JOIN #rope\r\nPRIVMSG ChanServ :REGISTER #rope");
    ada.until("#rope is yours");
    // Written a second later, if there were one.
    ada.say("TOPIC #rope :of three strands");
    ada.until(" TOPIC #rope ");
    server.signal("TERM");
    ada.until("ERROR");
    server.signal("TERM");
    let (status, _, log) = server.ended();
    assert_eq!(status, Some(1), "{log}");
    let kept = fs::read_to_string(data.join("registered.jsonl")).unwrap();
    assert!(kept.contains("of three strands"), "{kept}");
}

#[test]
fn its_numbers_are_served() {
    let arguments = [
        "irc",
        "--listen",
        "tcp:0",
        "--metrics",
        "tcp:0",
        "--name",
        "Counted",
    ];
    let server = Running::start(&arguments, 2);
    let mut ada = Client::register(server.address("irc", "tcp"), "ada");
    ada.say("JOIN #rope");
    ada.until(" 366 ");
    let page = http(
        server.address("metrics", "tcp"),
        "GET /metrics HTTP/1.1",
        "",
    )
    .body;
    for sample in [
        "ropewalk_irc_users{network=\"Counted\"} 1",
        "ropewalk_irc_channels{network=\"Counted\"} 1",
        "ropewalk_irc_messages_total{network=\"Counted\"} 3",
    ] {
        assert!(page.contains(sample), "no {sample} in\n{page}");
    }
    server.end_well();
}

#[test]
fn what_is_wrong_is_named_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("opers"), "root:secret\n").unwrap();
    fs::write(path("two"), "one\ntwo\n").unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--server-name", "irc"],
            &["--server-name", "host name with a dot"],
        ),
        (&["--name", "a b"], &["--name", "without spaces"]),
        (&["--oper", "root"], &["--oper", "NAME:HASH"]),
        (&["--oper", "root:secret"], &["--oper", "expected a hash"]),
        (
            &["--opers", &path("opers")],
            &["opers:1", "expected a hash"],
        ),
        (
            &["--motd", &path("none")],
            &["--motd", "none", "expected a file"],
        ),
        (
            &["--password-file", &path("two")],
            &["--password-file", "expected one line"],
        ),
        (&["--users", &path("none")], &["none", "name:hash"]),
        (&["--webirc", "gate=x"], &["--webirc", "IP addresses"]),
        (
            &["--listen", "udp:0"],
            &["--listen", "udp:0", "datagrams cannot carry irc"],
        ),
        (&["--listen", "tls:0"], &["--listen", "tls:0", "--tls-cert"]),
        (&["--websocket", "udp:0"], &["--websocket", "datagrams"]),
    ];
    for (arguments, expected) in cases {
        let all = [&["irc", "--listen", "tcp:0"], *arguments].concat();
        let (status, out, err) = run(&all);
        assert_eq!(
            (status, out.as_str()),
            (Some(2), ""),
            "{arguments:?}: {err}"
        );
        assert_eq!(err.lines().count(), 1, "{err}");
        for part in *expected {
            assert!(err.contains(part), "{arguments:?}: no {part:?} in {err}");
        }
    }
}

#[test]
fn a_site_is_checked_without_making_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = folder.path().join("site.toml");
    let text = format!(
        "[[service]]\nkind = \"irc\"\nlisten = [\"tcp:0\"]\nname = \"Sitenet\"\ndata = {:?}\n",
        data.display().to_string()
    );
    fs::write(&config, text).unwrap();
    let (status, out, err) = run(&["serve", "--config", config.to_str().unwrap(), "--check"]);
    assert_eq!((status, out.as_str()), (Some(0), "ok\n"), "{err}");
    assert!(!data.exists());
}
