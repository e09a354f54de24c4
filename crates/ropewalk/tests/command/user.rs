//! `user`: a users file, by passwords from standard input and from a terminal.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    process::{Output, Stdio},
};

use ropewalk_core::process::{Command, Terminal};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{ropewalk, run, text};

/// A folder, and the path of a users file in it that is not there yet.
fn scratch() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users").to_str().unwrap().to_owned();
    (folder, path)
}

/// Runs `ropewalk user` with this on standard input: status, output, errors.
fn user(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let all = [&["user"], arguments].concat();
    let mut child = ropewalk(all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[track_caller]
fn ok(arguments: &[&str], input: &str) -> String {
    let (status, out, err) = user(arguments, input);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    out
}

/// Expects this status, nothing on standard output, and one line with all of these.
#[track_caller]
fn fails(expected: i32, arguments: &[&str], input: &str, parts: &[&str]) {
    let (status, out, err) = user(arguments, input);
    assert_eq!((status, out.as_str()), (Some(expected), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    for part in parts {
        assert!(err.contains(part), "{part} is not in {err}");
    }
}

#[test]
fn users_come_change_and_go() {
    let (folder, path) = scratch();
    let with = |action, name| [action, "--users", &path, name, "--password-stdin"];
    assert_eq!(ok(&with("add", "alice"), "secret\n"), "");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A line without its end, and one of another system.
    ok(&with("add", "bob"), "secret");
    ok(&with("add", "carol of the hills"), "secret\r\n");
    let listed = ok(&["list", "--users", &path], "");
    assert_eq!(
        listed,
        "alice\targon2id\nbob\targon2id\ncarol of the hills\targon2id\n"
    );

    let before = fs::read_to_string(&path).unwrap();
    assert!(before.starts_with("alice:$argon2id$"));
    ok(&with("passwd", "alice"), "another\n");
    let after = fs::read_to_string(&path).unwrap();
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert_ne!(lines(&before)[0], lines(&after)[0]);
    assert_eq!(lines(&before)[1..], lines(&after)[1..]);

    ok(&["remove", "--users", &path, "bob"], "");
    let json = ok(&["list", "--users", &path, "--json"], "");
    let names: Vec<_> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|user| {
            (
                user["name"].clone(),
                user["scheme"].clone(),
                user["locked"].clone(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("alice".into(), "argon2id".into(), false.into()),
            ("carol of the hills".into(), "argon2id".into(), false.into()),
        ]
    );
    // Nothing is left beside it.
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);

    let users = ropewalk_cred::UsersFile::open(&path, Default::default()).unwrap();
    let portal = ropewalk_cred::Portal::new().checker(users);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for (name, password, fits) in [
        ("alice", "another", true),
        ("alice", "secret", false),
        ("carol of the hills", "secret", true),
    ] {
        let shown = ropewalk_cred::Credentials::password(name, password);
        let result = runtime.block_on(portal.login(&shown, None));
        assert_eq!(result.is_ok(), fits, "{name} {password}: {result:?}");
    }
}

#[test]
fn what_cannot_be_done_is_one_line_and_leaves_the_file_as_it_is() {
    let (_folder, path) = scratch();
    let with = |action, name| [action, "--users", &path, name, "--password-stdin"];
    // There is no file yet: 2, as for every file that is not as it should be.
    let missing = [&*path, "there is none", "ropewalk user add"];
    fails(2, &with("passwd", "alice"), "x\n", &missing);
    fails(2, &["remove", "--users", &path, "alice"], "", &missing);
    fails(2, &["list", "--users", &path], "", &missing);
    assert!(!fs::exists(&path).unwrap());

    ok(&with("add", "alice"), "secret\n");
    let before = fs::read(&path).unwrap();
    // The arguments are right, and the answer is no.
    let exists = [&*path, "user \"alice\" exists", "expected a new name"];
    fails(1, &with("add", "alice"), "x\n", &exists);
    let unknown = [&*path, "no user \"bob\"", "expected the name of one"];
    fails(1, &with("passwd", "bob"), "x\n", &unknown);
    fails(1, &["remove", "--users", &path, "bob"], "", &unknown);
    // The arguments are wrong.
    for name in ["a:b", "", " a", "#a", "a\nb"] {
        let expected = ["NAME", "expected 1 to 255 bytes"];
        fails(2, &with("add", name), "x\n", &expected);
    }
    let long = "x".repeat(1025);
    for password in ["", "\n", &long] {
        let expected = ["expected a password of 1 to 1024 bytes"];
        fails(2, &with("add", "bob"), password, &expected);
    }
    fails(2, &["add", "--users", &path], "", &["<NAME>"]);
    fails(2, &["add", "bob"], "", &["--users <FILE>"]);
    fails(2, &["list", "--users", &path, "bob"], "", &["'bob'"]);
    fails(
        2,
        &["add", "--users", &path, "bob", "secret"],
        "",
        &["'secret'"],
    );
    fails(
        2,
        &["add", "--users", "/dev/null/x", "a", "--password-stdin"],
        "x\n",
        &["/dev/null/x"],
    );
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_bad_file_is_told_with_its_lines() {
    let (_folder, path) = scratch();
    fs::write(&path, "alice:$apr1$salt$hash\n# ours\nbob\n").unwrap();
    let line = format!("ropewalk: {path}:3: found no colon, expected name:hash");
    fails(2, &["list", "--users", &path], "", &[&line]);
    fails(2, &["remove", "--users", &path, "alice"], "", &[&line]);
    fs::write(&path, "alice:$apr1$salt$hash\n").unwrap();
    let line = format!("{path}:1: alice: ");
    fails(2, &["list", "--users", &path], "", &[&line, "MD5"]);
}

#[test]
fn many_editors_lose_no_user() {
    let (_folder, path) = scratch();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let name = format!("user{n}");
                let arguments = ["add", "--users", path, &name, "--password-stdin"];
                ok(&arguments, "secret\n");
            });
        }
    });
    assert_eq!(ok(&["list", "--users", &path], "").lines().count(), 8);
}

#[test]
fn without_a_terminal_the_password_must_come_from_standard_input() {
    let (_folder, path) = scratch();
    // In a session of its own there is no terminal, whatever this test runs in.
    let output = std::process::Command::new("setsid")
        .arg("--wait")
        .arg(env!("CARGO_BIN_EXE_ropewalk"))
        .args(["user", "add", "--users", &path, "alice"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = text(output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(
        err.contains("--password-stdin") && err.lines().count() == 1,
        "{err}"
    );
}

/// Types at a terminal: waits for each prompt, and types the line. Returns the status and all that
/// was seen.
async fn type_at_it(arguments: &[&str], lines: &[(&str, &str)]) -> (Option<i32>, String) {
    let (process, mut terminal) = Command::new(env!("CARGO_BIN_EXE_ropewalk"))
        .args(arguments.iter().copied())
        .terminal(Terminal::new(80, 24))
        .spawn()
        .unwrap();
    let mut seen = Vec::new();
    for (prompt, line) in lines {
        while !String::from_utf8_lossy(&seen).ends_with(prompt) {
            let mut byte = [0];
            terminal.read_exact(&mut byte).await.unwrap();
            seen.extend(byte);
        }
        terminal.write_all(line.as_bytes()).await.unwrap();
    }
    // A terminal whose last user has gone may end in an error; what was seen is seen.
    let _ = terminal.read_to_end(&mut seen).await;
    (process.exited().await.code(), text(seen))
}

#[tokio::test]
async fn at_a_terminal_it_asks_twice_and_shows_nothing() {
    let (_folder, path) = scratch();
    let add = ["user", "add", "--users", &path, "alice"];
    let both = [("New password: ", "secret\r"), ("Again: ", "secret\r")];
    let (status, seen) = type_at_it(&add, &both).await;
    assert_eq!(status, Some(0), "{seen}");
    assert!(!seen.contains("secret"), "{seen}");
    assert_eq!(ok(&["list", "--users", &path], ""), "alice\targon2id\n");
    let hash = fs::read_to_string(&path).unwrap();
    let hash = hash.trim_end().strip_prefix("alice:").unwrap();
    assert!(
        ropewalk_cred::PasswordHash::parse(hash)
            .unwrap()
            .verify(b"secret")
    );

    // Who cannot be added is told before anything is asked.
    let (status, seen) = type_at_it(&add, &[]).await;
    assert_eq!(status, Some(1));
    assert!(
        seen.contains("exists") && !seen.contains("assword:"),
        "{seen}"
    );

    let before = fs::read(&path).unwrap();
    let passwd = ["user", "passwd", "--users", &path, "alice"];
    let different = [("New password: ", "one\r"), ("Again: ", "two\r")];
    let (status, seen) = type_at_it(&passwd, &different).await;
    assert_eq!(status, Some(1));
    assert!(seen.contains("the two passwords differ"), "{seen}");
    let interrupted = [("New password: ", "one\r"), ("Again: ", "t\u{3}")];
    let (status, seen) = type_at_it(&passwd, &interrupted).await;
    assert_eq!(status, Some(1));
    assert!(seen.contains("interrupted; nothing was changed"), "{seen}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn the_manual_has_a_page_for_each_subcommand() {
    let (status, page, err) = run(&["man"]);
    assert_eq!((status, err.as_str()), (Some(0), ""));
    assert!(
        page.contains(".TH ropewalk 1") && page.contains("ropewalk\\-echo(1)"),
        "{page}"
    );
    let (_, page, _) = run(&["man", "echo"]);
    assert!(page.contains(".TH ropewalk-echo 1"), "{page}");
    assert!(page.contains("\\-\\-max\\-per\\-peer"), "{page}");
    let (status, page, _) = run(&["man", "user", "add"]);
    assert_eq!(status, Some(0));
    assert!(page.contains("\\-\\-password\\-stdin"), "{page}");
    let (status, out, err) = run(&["man", "ecko"]);
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("SUBCOMMAND \"ecko\"") && err.contains("echo"),
        "{err}"
    );

    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    let (status, out, err) = run(&["man", "--dir", dir.to_str().unwrap()]);
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "", ""));
    for page in ["ropewalk.1", "ropewalk-serve.1", "ropewalk-user-passwd.1"] {
        assert!(fs::read_to_string(dir.join(page)).unwrap().contains(".TH "));
    }
    let (status, _, err) = run(&["man", "--dir", "/dev/null/x"]);
    assert_eq!(status, Some(1), "{err}");
}
