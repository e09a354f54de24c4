//! Servers of others, each in a scratch folder, at an address of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use ropewalk_core::ClientEndpoint;
use tempfile::TempDir;

/// A server that runs; killed when dropped.
pub(crate) struct Server {
    program: &'static str,
    arguments: &'static [&'static str],
    config: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    _folder: TempDir,
}

impl Server {
    /// Starts a program with the config that `config` writes of its address and
    /// folder.
    pub(crate) fn start(
        program: &'static str,
        arguments: &'static [&'static str],
        config: impl Fn(SocketAddr, &str) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // An address of loopback that nobody else is likely to have, so that a
        // port that was free a moment ago still is.
        let [a, b, ..] = std::process::id().to_be_bytes().map(|it| it.clamp(1, 254));
        let [.., c, d] = std::process::id().to_be_bytes().map(|it| it.clamp(1, 254));
        let host = format!("127.{}.{c}.{d}:0", a.max(b));
        let address = TcpListener::bind(host).unwrap().local_addr().unwrap();
        let path = folder.path().join("irc.conf");
        fs::write(&path, config(address, folder.path().to_str().unwrap())).unwrap();
        let mut server = Self {
            program,
            arguments,
            config: path,
            address,
            child: None,
            _folder: folder,
        };
        server.run();
        server
    }

    /// Ends it, and starts it again where it was.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    fn run(&mut self) {
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(&self.config);
        command.env(
            "PATH",
            format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
        );
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{} does not listen",
                self.program
            );
            std::thread::yield_now();
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub(crate) fn endpoint(&self) -> ClientEndpoint {
        format!("tcp:{}", self.address).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
