//! What many connections cost that do nothing: processor time, with their idle
//! timeouts armed.
//!
//! Another process holds their other ends, so that each has its own open files.

use std::{
    env,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use ropewalk_bench_kit::{Line, Options, Spread, Target};

use crate::echo::OURS;

/// How many, as far as open files go.
const CONNECTIONS: usize = 10_000;

/// The share of a core that they may take, in percent.
const MOST: f64 = 0.1;

pub(crate) fn crowd(options: &Options) -> Vec<Line> {
    let server = OURS.start();
    let mut holder = Command::new(env::current_exe().unwrap())
        .args([HOLD, &server.address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It says so once each has been served.
    holder
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut [0])
        .unwrap();
    thread::sleep(Duration::from_secs(1));
    let mut shares = Vec::new();
    for _ in 0..options.rounds.min(10) {
        let before = server.cpu.read().unwrap();
        thread::sleep(Duration::from_secs(1));
        // Nanoseconds in a second.
        shares.push((server.cpu.read().unwrap() - before) / 1e9 * 100.0);
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    server.stop();
    let share = shares.iter().sum::<f64>() / shares.len() as f64;
    println!("{CONNECTIONS} idle connections: {share:.4} % of a core\n");
    vec![Line {
        what: format!("CPU of {CONNECTIONS} idle connections with idle timeouts"),
        peer: "what is allowed",
        ours: format!("{share:.4} %"),
        theirs: format!("{MOST} % of a core"),
        ratio: Spread::of(shares.iter().map(|share| share / MOST)),
        target: Target::AtMost(1.0),
    }]
}

/// The argument by which this program becomes the one that holds them.
pub(crate) const HOLD: &str = "--hold";

/// Connects, has each connection answered once, says so, and holds them until
/// it is killed or nobody listens to it any more.
pub(crate) fn hold(address: &str) -> io::Result<()> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let mut held = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"x")?;
        stream.read_exact(&mut [0])?;
        held.push(stream);
    }
    io::stdout().write_all(b".")?;
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
