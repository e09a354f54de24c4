//! Twisted's echo server, in a process of its own.
//!
//! It is asked for by `--twisted`, since it installs Twisted with pip, into a
//! virtual environment under `target`.

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    compare::compare_servers,
    echo::{Echoes, OURS, cpu_line},
    report::{Line, Options, Spread, Target, print_samples},
    side::{Running, Side},
};

const VERSION: &str = "26.10.0";

/// As its documentation has it, with Nagle's algorithm off as on our side.
const PROGRAM: &str = r#"
from twisted.internet import protocol, reactor
class Echo(protocol.Protocol):
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
    def dataReceived(self, data):
        self.transport.write(data)
factory = protocol.Factory.forProtocol(Echo)
port = reactor.listenTCP(0, factory, interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"#;

/// The small echo again. Clients cost more than our server, so the ratio of
/// requests understates that of the servers; the processor time has its own
/// line.
pub(crate) fn twisted(options: &Options) -> Vec<Line> {
    let python = match install() {
        Ok(python) => python,
        Err(error) => {
            println!("skipped Twisted: {error}\n");
            return Vec::new();
        }
    };
    let theirs = || {
        let child = Command::new(&python)
            .args(["-c", PROGRAM])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut port = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().unwrap();
        Running::process(child, ([127, 0, 0, 1], port).into())
    };
    let ours = || OURS.start();
    let servers: [&dyn Fn() -> Running; 2] = [&theirs, &ours];
    let samples = compare_servers(&servers, &Echoes::SMALL, options);
    let twisted = Side {
        name: "Twisted",
        ..OURS
    };
    let title = "echo of 64 B, 64 connections, against Twisted";
    print_samples(title, &[twisted, OURS], &samples);
    let (theirs, ours) = (&samples[0], &samples[1]);
    let rate = |samples: &[_]| {
        let rate = Spread::of(samples.iter().map(|s: &crate::report::Sample| s.rate));
        format!("{:.1} k/s", rate.median / 1000.0)
    };
    let requests = Line {
        what: "echo 64 B, 64 connections: requests".into(),
        peer: "Twisted, epoll reactor",
        ours: rate(ours),
        theirs: rate(theirs),
        ratio: Spread::of_ratios(ours, theirs, |s| s.rate),
        target: Target::AtLeast(20.0),
    };
    let what = "the same: server CPU a message";
    let cpu = cpu_line(what, "Twisted, epoll reactor", ours, theirs, Target::None);
    vec![requests, cpu]
}

/// Twisted in an environment of its own; says which Python has it.
fn install() -> io::Result<PathBuf> {
    // The benchmark stands in target/release/deps.
    let program = env::current_exe()?;
    let target = program.ancestors().nth(3).unwrap_or(&program);
    let venv = target.join("twisted");
    let python = venv.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let wanted = format!("twisted=={VERSION}");
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &wanted]))?;
    println!("twisted {VERSION}\n");
    Ok(python)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.stdin(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{command:?} failed: {status}"))),
    }
}
