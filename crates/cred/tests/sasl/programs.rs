//! Our sides of each mechanism against GNU SASL's. Its command has no TLS of its
//! own, so no channel binding; and no callbacks for a server of EXTERNAL and
//! ANONYMOUS, nor any OAUTHBEARER.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;

/// A `gsasl` that speaks base64, a line for each message.
struct Gsasl {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Gsasl {
    fn start(mechanism: Mechanism, arguments: &[&str]) -> Self {
        // Killed if the two wait for each other.
        let mut child = Command::new("timeout")
            .args([
                "30",
                "gsasl",
                "--quiet",
                "-d",
                "-m",
                mechanism.name(),
                "-r",
                "example.com",
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut gsasl = Self {
            child,
            stdin,
            stdout,
        };
        assert_eq!(gsasl.line().as_deref(), Some(mechanism.name()));
        gsasl
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stdout.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim_end().to_owned())
    }

    /// What it says next; `None` if it has ended.
    fn hear(&mut self) -> Option<Vec<u8>> {
        Some(STANDARD.decode(self.line()?).unwrap())
    }

    fn say(&mut self, message: &[u8]) {
        // It may have ended in between; its status tells.
        let _ = writeln!(self.stdin, "{}", STANDARD.encode(message));
    }

    /// Whether it is content.
    fn ends_well(mut self) -> bool {
        drop(self.stdin);
        self.child.wait().unwrap().success()
    }
}

/// Our client, its server; whether both are content.
fn our_client(mechanism: Mechanism, password: &str) -> bool {
    let mut gsasl = Gsasl::start(mechanism, &["-s", "-p", "pencil"]);
    let mut client = Mechanisms::from_iter([mechanism])
        .choose(
            &Login::password("user", password),
            &Channel::encrypted(),
            &generous().1,
        )
        .unwrap();
    let responses = match mechanism {
        Mechanism::Plain | Mechanism::CramMd5 => 1,
        _ => 2,
    };
    for _ in 0..responses {
        let Some(challenge) = gsasl.hear() else {
            return false;
        };
        let response = client.respond(&challenge).unwrap();
        gsasl.say(&response);
    }
    let Some(data) = gsasl.hear() else {
        return false;
    };
    gsasl.say(b"");
    client.finish(Some(&data)).unwrap();
    gsasl.ends_well()
}

/// Its client, our server; who came in, if it is content too.
fn our_server(mechanism: Mechanism, arguments: &[&str]) -> Option<String> {
    let mut gsasl = Gsasl::start(mechanism, &[&["-c", "--no-cb"], arguments].concat());
    let offered = Mechanisms::offered(&EVERYTHING, &channel(), &generous().0);
    // It has no channel binding here, and says so.
    let mut server = offered
        .start(mechanism.name(), &channel(), &generous().0)
        .unwrap();
    let first = gsasl.hear()?;
    let initial = mechanism != Mechanism::CramMd5;
    let mut step = server.step(initial.then_some(&first[..]));
    loop {
        step = match step {
            Step::Challenge(challenge) => {
                gsasl.say(&challenge);
                let response = gsasl.hear()?;
                server.step(Some(&response))
            }
            Step::Ask(question) => server.answered(decide(question, "user", "pencil")),
            Step::Success { account, data } => {
                gsasl.say(&data.unwrap_or_default());
                // It answers SCRAM's last data, and wants a line for that too.
                gsasl.say(b"");
                return gsasl.ends_well().then_some(account.name);
            }
            Step::Failure(_) => return None,
        };
    }
}

const BY_PASSWORD: [Mechanism; 5] = [
    Mechanism::ScramSha256,
    Mechanism::ScramSha1,
    Mechanism::CramMd5,
    Mechanism::Plain,
    Mechanism::Login,
];

mod with_gsasl {
    use super::*;

    #[test]
    #[ignore = "needs gsasl; cargo xtask test runs it where it is installed"]
    fn our_client_logs_in_to_its_server() {
        for mechanism in BY_PASSWORD {
            assert!(our_client(mechanism, "pencil"), "{mechanism}");
            assert!(!our_client(mechanism, "pen"), "{mechanism}");
        }
    }

    #[test]
    #[ignore = "needs gsasl; cargo xtask test runs it where it is installed"]
    fn its_client_logs_in_to_our_server() {
        for mechanism in BY_PASSWORD {
            let tried = |password| our_server(mechanism, &["-a", "user", "-p", password]);
            assert_eq!(tried("pencil").as_deref(), Some("user"), "{mechanism}");
            assert_eq!(tried("pen"), None, "{mechanism}");
        }
        let external = our_server(Mechanism::External, &["-z", "tim@example.com"]);
        assert_eq!(external.as_deref(), Some("tim@example.com"));
        let anonymous = our_server(Mechanism::Anonymous, &["-n", "sirhc"]);
        assert_eq!(anonymous.as_deref(), Some("anonymous"));
    }

    /// Keys that its `--mkpasswd` makes are ours, both hashes.
    #[test]
    #[ignore = "needs gsasl; cargo xtask test runs it where it is installed"]
    fn its_stored_keys_are_read() {
        for hash in [ScramHash::Sha1, ScramHash::Sha256] {
            let output = Command::new("gsasl")
                .args(["--mkpasswd", "-p", "pencil", "-m", hash.mechanism()])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let keys = text
                .trim()
                .strip_prefix(&format!("{{{}}}", hash.mechanism()))
                .unwrap();
            let keys = ScramKeys::parse(hash, keys).unwrap();
            assert!(keys.fit(b"pencil") && !keys.fit(b"pen"));
        }
    }
}
