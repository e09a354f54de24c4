//! Twisted's echo server and its publisher, each in a process of its own.
//!
//! It is asked for by `--twisted`, since it installs Twisted with pip, into a
//! virtual environment under `target`.

use std::{
    env,
    io::{self, BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Side, Spread, Target, compare_servers, print_samples,
};

use crate::{
    echo::{self, Echoes, cpu_line},
    fanout::{self, Bursts},
};

const VERSION: &str = "26.10.0";

/// As its documentation has it, with Nagle's algorithm off as on our side.
const ECHO: &str = r#"
from twisted.internet import protocol
class Server(protocol.Protocol):
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
    def dataReceived(self, data):
        self.transport.write(data)
"#;

/// The same for lines to all who asked for them.
const PUBLISHER: &str = r#"
from twisted.protocols import basic
subscribers = set()
class Server(basic.LineOnlyReceiver):
    delimiter = b"\n"
    def connectionMade(self):
        self.transport.setTcpNoDelay(True)
    def lineReceived(self, line):
        if line == b"SUB":
            subscribers.add(self)
            self.sendLine(b"OK")
        else:
            for subscriber in subscribers:
                subscriber.sendLine(line)
    def connectionLost(self, reason):
        subscribers.discard(self)
"#;

const SERVE: &str = r#"
from twisted.internet import protocol, reactor
port = reactor.listenTCP(0, protocol.Factory.forProtocol(Server), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"#;

const PEER: &str = "Twisted, epoll reactor";

/// The small echo and the bursts again. Clients cost more than our server, so
/// the ratios of rates understate those of the servers; the processor time has
/// lines of its own.
pub(crate) fn twisted(options: &Options) -> Vec<Line> {
    let python = match install() {
        Ok(python) => python,
        Err(error) => {
            println!("skipped Twisted: {error}\n");
            return Vec::new();
        }
    };
    let run = |program: &str| {
        let child = Command::new(&python)
            .args(["-c", &(program.to_owned() + SERVE)])
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut port = String::new();
        let output = child.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut port).unwrap();
        let port: u16 = port.trim().parse().unwrap();
        Running::process(child, ([127, 0, 0, 1], port).into())
    };
    let title = "echo of 64 B, 64 connections, against Twisted";
    let echo = measure(title, &|| run(ECHO), &echo::OURS, &Echoes::SMALL, options);
    let title = "fan-out in bursts of 100, against Twisted";
    let fanout = measure(
        title,
        &|| run(PUBLISHER),
        &fanout::OURS,
        &Bursts(100),
        options,
    );
    let [rate, cpu, deliveries, delivery_cpu] = [
        "echo 64 B, 64 connections: requests",
        "the same: server CPU a message",
        "pub/sub, 1 to 500, bursts of 100 lines: deliveries",
        "the same: server CPU a delivery",
    ];
    vec![
        rate_line(rate, &echo, Target::AtLeast(20.0)),
        cpu_line(cpu, PEER, &echo.ours, &echo.theirs, Target::None),
        rate_line(deliveries, &fanout, Target::AtLeast(30.0)),
        cpu_line(
            delivery_cpu,
            PEER,
            &fanout.ours,
            &fanout.theirs,
            Target::None,
        ),
    ]
}

struct Measured {
    ours: Vec<Sample>,
    theirs: Vec<Sample>,
}

fn measure(
    title: &str,
    theirs: &dyn Fn() -> Running,
    ours: &Side,
    load: &impl Load,
    options: &Options,
) -> Measured {
    let start = || ours.start();
    let servers: [&dyn Fn() -> Running; 2] = [theirs, &start];
    let mut samples = compare_servers(&servers, load, options);
    print_samples(title, &["Twisted", ours.name], &samples);
    let ours = samples.pop().unwrap_or_default();
    let theirs = samples.pop().unwrap_or_default();
    Measured { ours, theirs }
}

fn rate_line(what: &str, measured: &Measured, target: Target) -> Line {
    let rate = |samples: &[Sample]| {
        let rate = Spread::of(samples.iter().map(|s| s.rate));
        format!("{:.1} k/s", rate.median / 1000.0)
    };
    let Measured { ours, theirs } = measured;
    Line {
        what: what.into(),
        peer: PEER,
        ours: rate(ours),
        theirs: rate(theirs),
        ratio: Spread::of_ratios(ours, theirs, |s| s.rate),
        target,
    }
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
