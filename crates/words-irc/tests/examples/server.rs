//! That of the server, with clients that are no more than lines.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The example, at a port of its own; killed when dropped.
struct Example {
    child: Child,
    port: u16,
}

impl Example {
    fn start(name: &str) -> Self {
        // Beside the folder of the test binaries.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples");
        path.push(name);
        let mut command = Command::new(path);
        command
            .arg("tcp:0")
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1");
        let child = command.stderr(Stdio::piped()).spawn();
        let mut child =
            child.unwrap_or_else(|e| panic!("{command:?}: {e}; cargo build --examples"));
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let port = log.find_map(|line| {
            let line = line.unwrap();
            let (_, port) = line.split_once("listening on tcp:127.0.0.1:")?;
            let digits = port
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(port.len());
            port[..digits].parse().ok()
        });
        // What it says further is read, so that it can say it.
        std::thread::spawn(move || log.for_each(drop));
        let port = port.expect("it says where it listens");
        Self { child, port }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn enter(port: u16, nick: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut client = Self(BufReader::new(stream));
        client.send(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}"));
        client.until(" 376 ");
        client.send("JOIN #rope");
        client.until(" 366 ");
        client
    }

    fn send(&mut self, line: &str) {
        self.0
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())
            .unwrap();
    }

    fn until(&mut self, part: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.0.read_line(&mut line).unwrap() > 0,
                "it ended before {part:?}"
            );
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
        }
    }
}

#[test]
fn irc_server() {
    let mut example = Example::start("irc_server");
    let mut ada = Client::enter(example.port, "ada");
    let mut bob = Client::enter(example.port, "bob");
    bob.send("PRIVMSG #rope :hello");
    assert_eq!(
        ada.until("PRIVMSG"),
        ":bob!~bob@127.0.0.1 PRIVMSG #rope :hello"
    );
    let pid = example.child.id().to_string();
    let killed = Command::new("kill").args(["-s", "TERM", &pid]).status();
    assert!(killed.unwrap().success());
    for client in [&mut ada, &mut bob] {
        client.until("ERROR :Closing Link: 127.0.0.1 (Server shutting down)");
    }
    assert!(example.child.wait().unwrap().success());
}
