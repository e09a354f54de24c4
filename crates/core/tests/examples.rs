//! The examples, run as a reader would run them: the built programs, at the
//! ports that they name.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream, UdpSocket},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// An example that runs; killed when dropped.
struct Example {
    child: Child,
    log: BufReader<std::process::ChildStderr>,
}

impl Example {
    fn command(name: &str) -> Command {
        // Beside the folder of the test binaries.
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        path.push("examples");
        path.push(name);
        Command::new(path)
    }

    /// Starts it, and waits until it listens.
    fn start(name: &str, endpoint: &str) -> Self {
        Self::start_command(Self::command(name), endpoint)
    }

    fn start_command(mut command: Command, endpoint: &str) -> Self {
        let mut child = command
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}; cargo build --examples"));
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut example = Self { child, log };
        example.until_logged(&format!("listening on {endpoint}"));
        example
    }

    fn until_logged(&mut self, what: &str) {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            if line.contains(what) {
                return;
            }
            line.clear();
        }
        panic!("it ended without saying {what:?}");
    }

    /// Ends it by a signal, and expects the exit status of a drain.
    fn drain(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    stream
}

#[test]
fn echo() {
    let example = Example::start("echo", "tcp:127.0.0.1:1234");
    let mut stream = connect(1234);
    for byte in b"abc" {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut echoed = String::new();
    stream.read_to_string(&mut echoed).unwrap();
    assert_eq!(echoed, "abc");
    example.drain();
}

#[test]
fn pubsub() {
    let example = Example::start("pubsub", "tcp:127.0.0.1:1025");
    let mut readers: Vec<_> = (0..3).map(|_| BufReader::new(connect(1025))).collect();
    // A line of each reaches all of them, so all have subscribed by then.
    for i in 0..readers.len() {
        let mut publisher = readers[i].get_ref();
        publisher.write_all(b"here\r\n").unwrap();
        for reader in &mut readers[..=i] {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            assert!(line.ends_with("> here\r\n"), "{line:?}");
        }
    }
    let mut publisher = readers[0].get_ref();
    let sender = publisher.local_addr().unwrap();
    let lines: String = (0..1000).map(|n| format!("line {n}\r\n")).collect();
    publisher.write_all(lines.as_bytes()).unwrap();
    for reader in &mut readers {
        let mut line = String::new();
        for n in 0..1000 {
            line.clear();
            // Those who subscribed early have the greetings of the later ones.
            while line.is_empty() || line.ends_with("> here\r\n") {
                line.clear();
                reader.read_line(&mut line).unwrap();
            }
            assert_eq!(line, format!("<{sender}> line {n}\r\n"));
        }
    }
    example.drain();
}

#[test]
fn http() {
    let example = Example::start("http", "tcp:127.0.0.1:1280");
    let mut stream = connect(1280);
    let request = "GET /tea HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("you asked for /tea\n"), "{answer}");
    example.drain();
}

#[test]
fn udp() {
    let example = Example::start("udp", "udp:127.0.0.1:1234");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket.connect("127.0.0.1:1234").unwrap();
    for datagram in [&b"one"[..], b"", &[7; 9000]] {
        socket.send(datagram).unwrap();
        let mut buffer = [0; 10_000];
        let length = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], datagram);
    }
    example.drain();
}

#[test]
fn multicast() {
    let start = |name: &str| {
        let mut child = Example::command("multicast")
            .arg(name)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        (child, said)
    };
    let line = |said: &mut BufReader<std::process::ChildStdout>| {
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        line
    };
    let (mut ada, mut heard_by_ada) = start("ada");
    assert_eq!(line(&mut heard_by_ada), "ada is there\n");
    let (mut bob, mut heard_by_bob) = start("bob");
    assert_eq!(line(&mut heard_by_ada), "bob is there\n");
    let mut both = [line(&mut heard_by_bob), line(&mut heard_by_bob)];
    both.sort();
    assert_eq!(both, ["ada is there\n", "bob is there\n"]);
    for child in [&mut ada, &mut bob] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn starttls() {
    let output = Example::command("starttls").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"250 open sesame\n");
}

#[test]
fn process_pipe() {
    let output = Example::command("process_pipe").output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "strand\nrope\nhemp\nthe process ended: exit status: 0\n"
    );
}

#[test]
fn partition() {
    let run = |seed| {
        let output = Example::command("partition").arg(seed).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run("1");
    let deliveries = told.matches("delivered").count();
    assert_eq!(
        (deliveries, told.matches("repaired").count()),
        (4, 1),
        "{told}"
    );
    assert!(told.contains("2: cannot connect to sim:server:1"), "{told}");
    assert_eq!(told, run("1"));
    assert_ne!(told, run("2"));
}

#[test]
fn virtual_time() {
    let output = Example::command("virtual_time").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "\"hellobye\\r\\n\" after 1800s of virtual time\n"
    );
}

#[test]
fn custom_scheme() {
    let output = Example::command("custom_scheme").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"hello from service:greeter\n");
}

#[test]
fn tls_client_certs() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    let output = Example::command("tls_client_certs")
        .env("SSLKEYLOGFILE", &keys)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"hello, ada.test\nit echoes\n");
    // Both sides write down their keys, for Wireshark.
    let keys = std::fs::read_to_string(keys).unwrap();
    let count = |label: &str| keys.lines().filter(|l| l.starts_with(label)).count();
    assert_eq!(count("CLIENT_TRAFFIC_SECRET_0 "), 2, "{keys}");
}

#[test]
fn service() {
    // We stand in the place of systemd.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let until_told = |what: &str| {
        let mut buffer = [0; 1000];
        loop {
            let length = manager.recv(&mut buffer).unwrap();
            let told = std::str::from_utf8(&buffer[..length]).unwrap();
            if told.starts_with(what) {
                return told.to_owned();
            }
        }
    };
    let mut command = Example::command("service");
    command.env("NOTIFY_SOCKET", &path);
    command.env("WATCHDOG_USEC", "20000");
    let mut example = Example::start_command(command, "tcp:127.0.0.1:1235");
    example.until_logged(r#""minute":1,"bytes":0"#);
    until_told("READY=1");
    until_told("STATUS=2 of 2 services ready");
    for _ in 0..3 {
        until_told("WATCHDOG=1");
    }
    let mut stream = connect(1235);
    stream.write_all(b"abc").unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    example.signal("HUP");
    let reloading = until_told("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    until_told("READY=1");
    // Nobody was cut off by that.
    stream.write_all(b"abc").unwrap();
    stream.read_exact(&mut [0; 3]).unwrap();
    example.drain();
    until_told("STOPPING=1");
}
