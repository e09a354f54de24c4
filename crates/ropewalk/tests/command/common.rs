//! A process of the command under test, and clients for it.

use std::{
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// The longest that anything here may take; a machine with much else to do is slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The command, to be given arguments, with no environment that would change what it says.
pub(crate) fn ropewalk<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ropewalk"));
    command.args(arguments);
    for variable in [
        "RUST_LOG",
        "NO_COLOR",
        "ROPEWALK_LOG_FORMAT",
        "NOTIFY_SOCKET",
    ] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the command to its end: its status, and what it wrote.
pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = ropewalk(arguments.iter().copied())
        .output()
        .expect("the binary is there");
    (status.code(), text(stdout), text(stderr))
}

pub(crate) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("it writes UTF-8")
}

/// A server that runs, killed when the test is over.
pub(crate) struct Running {
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
    log: Vec<String>,
    /// Its folder for temporary files, since one that is killed leaves some behind.
    _scratch: TempDir,
    /// Service and endpoint of each listening line so far.
    pub(crate) listening: Vec<(String, String)>,
}

impl Running {
    /// Starts a server, and waits until so many listeners have said that they accept.
    pub(crate) fn start(arguments: &[&str], listeners: usize) -> Self {
        let mut running = Self::spawn(arguments);
        while running.listening.len() < listeners {
            let line = running.out_line();
            let Some((service, endpoint)) = line
                .strip_prefix("listening ")
                .and_then(|line| line.split_once(' '))
            else {
                panic!("not a listening line: {line}");
            };
            let listening = (service.to_owned(), endpoint.to_owned());
            running.listening.push(listening);
        }
        running
    }

    /// Starts a server, and waits for nothing.
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_with(arguments, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn spawn_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let scratch = tempfile::tempdir().expect("there is room");
        let mut child = ropewalk(arguments.iter().copied())
            .args(["--log-format", "text"])
            .env("TMPDIR", scratch.path())
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is there");
        let out = lines(child.stdout.take().expect("it is piped"));
        let err = lines(child.stderr.take().expect("it is piped"));
        Self {
            child,
            out,
            err,
            log: Vec::new(),
            _scratch: scratch,
            listening: Vec::new(),
        }
    }

    /// The next line of its standard output; panics with what it logged if there is none.
    pub(crate) fn out_line(&mut self) -> String {
        match self.out.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(why) => {
                self.log.extend(self.err.try_iter());
                panic!("no line on standard output: {why}; log: {:#?}", self.log);
            }
        }
    }

    /// The next line of its standard output; none if it has ended.
    pub(crate) fn try_out_line(&mut self) -> Option<String> {
        match self.out.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("it neither speaks nor ends"),
        }
    }

    /// The endpoint of a service, by its scheme.
    pub(crate) fn endpoint(&self, service: &str, scheme: &str) -> &str {
        let found = self
            .listening
            .iter()
            .find(|(s, e)| s == service && e.starts_with(&format!("{scheme}:")));
        match found {
            Some((_, endpoint)) => endpoint,
            None => panic!("no {service} over {scheme} in {:?}", self.listening),
        }
    }

    /// Where a service listens.
    pub(crate) fn address(&self, service: &str, scheme: &str) -> SocketAddr {
        let endpoint = self.endpoint(service, scheme);
        endpoint[scheme.len() + 1..].parse().expect("an address")
    }

    pub(crate) fn port(&self, service: &str, scheme: &str) -> String {
        self.address(service, scheme).port().to_string()
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("there is a shell").success(), "{kill}");
    }

    /// Waits for a line of its log that holds this.
    pub(crate) fn logged(&mut self, what: &str) -> String {
        loop {
            if let Some(line) = self.log.iter().find(|line| line.contains(what)) {
                return line.clone();
            }
            match self.err.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(why) => panic!("{what} was not logged: {why}; log: {:#?}", self.log),
            }
        }
    }

    /// Waits for the next line of its log that holds this.
    pub(crate) fn logged_next(&mut self, what: &str) -> String {
        loop {
            match self.err.recv_timeout(PATIENCE) {
                Ok(line) => self.log.push(line),
                Err(why) => panic!("{what} was not logged: {why}; log: {:#?}", self.log),
            }
            if let Some(line) = self.log.last().filter(|line| line.contains(what)) {
                return line.clone();
            }
        }
    }

    /// Waits for its end: its status, what else it wrote to standard output, and its log.
    pub(crate) fn ended(mut self) -> (Option<i32>, String, String) {
        let out = rest(&self.out);
        self.log.extend(rest(&self.err));
        let status = self.child.wait().expect("it is a child of ours");
        (status.code(), out.join("\n"), self.log.join("\n"))
    }

    /// Tells it to end, and checks that it ends well.
    pub(crate) fn end_well(self) {
        self.signal("TERM");
        let (status, _, log) = self.ended();
        assert_eq!(status, Some(0), "{log}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// All lines until the pipe is closed, which is when the process has ended.
fn rest(lines: &Receiver<String>) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => all.push(line),
            Err(RecvTimeoutError::Disconnected) => return all,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far: {all:#?}"),
        }
    }
}

/// A client's connection that does not wait for ever.
pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
    stream
}

/// Sends a text, and expects it back.
pub(crate) fn exchange(stream: &mut (impl Read + Write), text: &str) {
    stream.write_all(text.as_bytes()).expect("it reads");
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).expect("it answers");
    assert_eq!(back, text.as_bytes());
}

/// Expects the end of the stream, and nothing before it.
pub(crate) fn expect_end(stream: &mut impl Read) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("a clean end");
    assert_eq!(rest, b"");
}

/// An answer of HTTP: status, head, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (its, value) = line.split_once(": ")?;
            its.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn parse(bytes: Vec<u8>) -> Self {
        let text = text(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
        Self {
            status: status.expect("a status"),
            head: head.into(),
            body: body.into(),
        }
    }
}

/// One request on a connection of its own; `head` is its lines without the usual ones.
pub(crate) fn http(to: SocketAddr, head: &str, body: &str) -> Answer {
    let mut stream = connect(to);
    let request = format!("{head}\r\nHost: lab.test\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("a clean end");
    Answer::parse(answer)
}
