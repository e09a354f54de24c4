//! The servers that are compared: ours and those of others, each a process.
//!
//! Nobody is throttled, since a benchmark is a flood. ngIRCd has its penalties
//! off (`MaxPenaltyTime = 0`). InspIRCd delays nobody (`fakelag = no`), and the
//! penalties after which it would part from a client are out of reach
//! (`threshold`), as are its queues' ends. Ours has its flood control and its
//! limits set as far away. None of them asks a name server or ident, and all
//! send the same message of the day. ngIRCd knows neither tags nor the time of
//! a message, so that its lines are shorter; InspIRCd has the modules for both
//! loaded, and for message ids.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use ropewalk_bench_kit::Running;

use crate::ours;

/// Who serves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Server {
    Ngircd,
    Inspircd,
    Ours,
}

impl AsRef<str> for Server {
    fn as_ref(&self) -> &str {
        self.name()
    }
}

impl Server {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ngircd => "ngIRCd",
            Self::Inspircd => "InspIRCd",
            Self::Ours => "ropewalk",
        }
    }

    /// What it says of itself; nothing where it is not installed.
    fn version(self) -> Option<String> {
        let output = self.command()?.arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let first = text.lines().next()?.replacen('-', " ", 1);
        // ngIRCd tells all that it was built with, too.
        let version: Vec<_> = first.splitn(3, ' ').take(2).collect();
        Some(match self {
            Self::Ngircd => version.join(" ").split('-').next()?.to_owned(),
            _ => version.join(" "),
        })
    }

    /// The program, where it is on the path or where Debian has daemons.
    fn command(self) -> Option<Command> {
        let name = match self {
            Self::Ngircd => "ngircd",
            Self::Inspircd => "inspircd",
            Self::Ours => return None,
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let program = folders
            .map(|folder| folder.join(name))
            .find(|f| f.is_file())?;
        Some(Command::new(program))
    }

    /// Starts it, at a port that was free a moment ago.
    pub(crate) fn start(self) -> Running {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let child = match self {
            Self::Ngircd => self.run(&ngircd(address).unwrap(), &["--nodaemon", "--config"]),
            Self::Inspircd => self.run(
                &inspircd(address).unwrap(),
                &["--nofork", "--nolog", "--nopid", "--runasroot", "--config"],
            ),
            Self::Ours => ours::start(address),
        };
        let running = Running::process(child, address);
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let patience = begun.elapsed() < Duration::from_secs(10);
            assert!(patience, "{} does not listen at {address}", self.name());
            thread::sleep(Duration::from_millis(1));
        }
        running
    }

    fn run(self, config: &Path, arguments: &[&str]) -> Child {
        let mut command = self.command().expect("it is started where it is installed");
        command.args(arguments).arg(config);
        for output in [Command::stdout, Command::stderr] {
            output(&mut command, Stdio::null());
        }
        command.stdin(Stdio::null()).spawn().unwrap()
    }
}

/// Those that are here, ours last; who is missing is told once.
pub(crate) fn servers() -> &'static [Server] {
    static SERVERS: OnceLock<Vec<Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let mut servers = Vec::new();
        for peer in [Server::Ngircd, Server::Inspircd] {
            match peer.version() {
                Some(_) => servers.push(peer),
                None => println!("skipped {}: it is not installed\n", peer.name()),
            }
        }
        servers.push(Server::Ours);
        servers
    })
}

/// The versions of those that are here.
pub(crate) fn versions() -> Vec<String> {
    [Server::Ngircd, Server::Inspircd]
        .into_iter()
        .filter_map(Server::version)
        .collect()
}

/// A message of the day as networks have it, the same for all.
pub(crate) const MOTD: &str = "\
Welcome to the network of the benchmark.

Be kind. Do not flood, unless you are asked to, as here you are.
Channels are made by joining them, and belong to who came first.
What is said here is kept by nobody, and read by a machine.

Where to ask: #help. Who runs this: see /ADMIN.
";

/// A folder beside the benchmark's program; ngIRCd reads as another account.
pub(crate) fn folder() -> io::Result<PathBuf> {
    let folder = std::env::current_exe()?.with_file_name("irc-peers");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("motd"), MOTD)?;
    Ok(folder)
}

fn ngircd(address: SocketAddr) -> io::Result<PathBuf> {
    let folder = folder()?;
    let text = format!(
        "[Global]\n Name = irc.bench.test\n Listen = {}\n Ports = {}\n MotdFile = {}\n\
         [Limits]\n MaxConnections = 0\n MaxConnectionsIP = 0\n MaxJoins = 0\n MaxPenaltyTime = 0\n \
         PingTimeout = 36000\n PongTimeout = 36000\n\
         [Options]\n DNS = no\n Ident = no\n PAM = no\n",
        address.ip(),
        address.port(),
        folder.join("motd").display(),
    );
    let config = folder.join(format!("ngircd-{}.conf", address.port()));
    fs::write(&config, text)?;
    Ok(config)
}

fn inspircd(address: SocketAddr) -> io::Result<PathBuf> {
    let folder = folder()?;
    let modules: String = [
        "cap",
        "ircv3_ctctags",
        "ircv3_servertime",
        "ircv3_msgid",
        "ircv3_batch",
    ]
    .map(|module| format!("<module name=\"{module}\">\n"))
    .concat();
    let text = format!(
        "<server name=\"irc.bench.test\" description=\"benchmark\" network=\"Bench\" id=\"1BE\">\n\
         <admin name=\"a\" nick=\"a\" email=\"a@bench.test\">\n\
         <bind address=\"{}\" port=\"{}\" type=\"clients\">\n\
         <connect name=\"main\" allow=\"*\" timeout=\"600\" pingfreq=\"36000\" hardsendq=\"1000M\" \
          softsendq=\"1000M\" recvq=\"100M\" threshold=\"1000000000\" commandrate=\"1000000000\" \
          fakelag=\"no\" localmax=\"100000\" globalmax=\"100000\" maxconnwarn=\"no\" \
          resolvehostnames=\"no\" useident=\"no\" limit=\"100000\">\n\
         <performance softlimit=\"100000\" somaxconn=\"4096\" clonesonconnect=\"no\">\n\
         <channels users=\"100\" opers=\"100\">\n\
         <files motd=\"{}\">\n\
         <path configdir=\"{folder}\" datadir=\"{folder}\" logdir=\"{folder}\" runtimedir=\"{folder}\">\n\
         <options allowzerolimit=\"no\" defaultmodes=\"nt\">\n\
         {modules}",
        address.ip(),
        address.port(),
        folder.join("motd").display(),
        folder = folder.display(),
    );
    let config = folder.join(format!("inspircd-{}.conf", address.port()));
    fs::write(&config, text)?;
    Ok(config)
}
