//! Answers from a warm cache: our forwarder beside Unbound.
//!
//! Each is a process with one thread, in front of one process of our authority, which has nothing
//! more to do once the caches are warm. Unbound checks no signatures here, as we do not.

use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ropewalk_bench_kit::{
    Line, Options, Running, Spread, Target, compare_servers, meter::CpuClock, print_samples,
    runtime,
};
use ropewalk_core::ServerEndpoint;
use ropewalk_names_dns::{
    client::Resolver,
    forward::Forwarder,
    proto::{Header, Name, RecordType},
};

use crate::{ask::ask, authority, daemon, load::Udp, zone::ORIGIN};

/// This program as a forwarder to the server at this address.
pub(crate) const FORWARD: &str = "--forward";

/// Names that are asked for again and again: those of one turn, so that all are in the caches
/// before anything is measured.
const NAMES: usize = 2000;

pub(crate) fn cache(options: &Options) -> Vec<Line> {
    let questions = (0..NAMES).map(|n| {
        let name: Name = format!("host{n}.{ORIGIN}").parse().unwrap();
        let edns = (n % 3 > 0).then_some((1232, false));
        ask(name.as_ref(), RecordType::A, Header::RD, edns)
    });
    let load = Udp(questions.collect());
    let server = authority::ours("udp");
    let upstream = server.address;
    let mut names = vec!["ours"];
    let mut servers: Vec<Box<dyn Fn() -> Running>> = vec![Box::new(move || ours(upstream))];
    if Command::new("unbound").arg("-h").output().is_ok() {
        names.push("Unbound");
        servers.push(Box::new(move || unbound(upstream)));
    }
    let samples = compare_servers(&servers, &load, options);
    server.stop();
    let what = "warm cache, UDP";
    print_samples(what, &names, &samples);
    let [ours, theirs] = &samples[..] else {
        return Vec::new();
    };
    let cpu = |side: &[_]| Spread::of(side.iter().map(|s: &ropewalk_bench_kit::Sample| s.cpu));
    vec![Line {
        what: format!("{what}: server CPU a query"),
        peer: names[1],
        ours: format!("{:.2} µs", cpu(ours).median / 1000.0),
        theirs: format!("{:.2} µs", cpu(theirs).median / 1000.0),
        ratio: Spread::of_ratios(ours, theirs, |s| s.cpu),
        target: Target::AtMost(1.0),
    }]
}

fn unbound(upstream: SocketAddr) -> Running {
    // A zone of its own, by which one can see that it is there.
    let more = |_: &Path| {
        format!(
            " local-zone: \"ready.\" static\n local-data: \"ready. SOA ns. admin. 1 2 3 4 5\"\n\
             remote-control:\n control-enable: no\n\
             forward-zone:\n name: \"{ORIGIN}\"\n forward-addr: {}@{}\n",
            upstream.ip(),
            upstream.port()
        )
    };
    let daemon = daemon::unbound(&[("ready.", PathBuf::new())], more);
    let clock = CpuClock::Process(daemon.id());
    Running::other(daemon.address, clock, move || drop(daemon))
}

fn ours(upstream: SocketAddr) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([FORWARD, &upstream.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    Running::process(child, line.trim().parse().unwrap())
}

/// Forwards until it is killed, or who started it has ended.
pub(crate) fn run(upstream: &str) -> io::Result<()> {
    authority::end_with_who_started();
    let upstream = upstream.parse().map_err(io::Error::other)?;
    runtime().block_on(async {
        let forwarder = Forwarder::new(Resolver::new([upstream]));
        let endpoint: ServerEndpoint = "udp:127.0.0.1:0".parse().unwrap();
        let options = forwarder.datagram_options();
        let server = endpoint.listen_datagrams_with(forwarder.datagrams(), options);
        let server = server.await.map_err(io::Error::other)?;
        println!("{}", server.local_address());
        server.closed().await;
        Ok(())
    })
}
