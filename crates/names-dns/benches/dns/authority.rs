//! Rows of the authority: ours, NSD and Knot, in turn.

use std::{
    fs, io,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Spread, Target, compare_servers, meter::CpuClock,
    print_samples, runtime,
};
use ropewalk_core::ServerEndpoint;
use ropewalk_names_dns::{
    proto::Name,
    server::{Authority, AuthorityOptions},
    zone::{Zone, Zones},
};

use crate::{
    daemon,
    load::{Tcp, Udp},
    zone::{self, Kind},
};

/// This program as our server: `udp` or `tcp`.
pub(crate) const SERVE: &str = "--serve";

const MIX: [Kind; 8] = [
    Kind::Hit,
    Kind::Hit,
    Kind::Missing,
    Kind::Hit,
    Kind::Wildcard,
    Kind::Hit,
    Kind::Referral,
    Kind::Hit,
];

/// Questions that are asked again and again.
const QUESTIONS: usize = 40_000;

pub(crate) fn udp_mix(options: &Options) -> Vec<Line> {
    udp("UDP, mixed questions", &MIX, Target::AtMost(0.85), options)
}

pub(crate) fn udp_hit(options: &Options) -> Vec<Line> {
    udp(
        "UDP, records that are there",
        &[Kind::Hit],
        Target::None,
        options,
    )
}

pub(crate) fn udp_missing(options: &Options) -> Vec<Line> {
    udp(
        "UDP, names that are not",
        &[Kind::Missing],
        Target::None,
        options,
    )
}

pub(crate) fn udp_wildcard(options: &Options) -> Vec<Line> {
    udp(
        "UDP, names of a wildcard",
        &[Kind::Wildcard],
        Target::None,
        options,
    )
}

pub(crate) fn udp_referral(options: &Options) -> Vec<Line> {
    udp("UDP, referrals", &[Kind::Referral], Target::None, options)
}

fn udp(what: &str, kinds: &[Kind], cpu: Target, options: &Options) -> Vec<Line> {
    let load = Udp(zone::questions(kinds, QUESTIONS));
    let rate = match cpu {
        Target::None => None,
        _ => Some(Target::AtLeast(1.0)),
    };
    rows(what, "udp", &load, cpu, rate, options)
}

pub(crate) fn tcp_mix(options: &Options) -> Vec<Line> {
    let load = Tcp(zone::questions(&MIX, QUESTIONS));
    let rate = Some(Target::AtLeast(1.0));
    rows(
        "TCP, mixed questions, 16 pipelined",
        "tcp",
        &load,
        Target::None,
        rate,
        options,
    )
}

type Start = Box<dyn Fn() -> Running>;

fn rows(
    what: &str,
    over: &'static str,
    load: &impl Load,
    cpu: Target,
    rate: Option<Target>,
    options: &Options,
) -> Vec<Line> {
    let mut names = vec!["ours"];
    let mut servers: Vec<Start> = vec![Box::new(move || ours(over))];
    let is_here = |program: &str| Command::new(program).arg("-h").output().is_ok();
    if is_here("nsd") {
        names.push("NSD");
        servers.push(Box::new(nsd));
    }
    if is_here("knotd") {
        names.push("Knot");
        servers.push(Box::new(knot));
    }
    let samples = compare_servers(&servers, load, options);
    print_samples(what, &names, &samples);
    let mut lines = Vec::new();
    let median =
        |samples: &[Sample], part: fn(&Sample) -> f64| Spread::of(samples.iter().map(part)).median;
    for (peer, theirs) in names.iter().zip(&samples).skip(1) {
        let ours = &samples[0];
        lines.push(Line {
            what: format!("{what}: server CPU a query"),
            peer,
            ours: format!("{:.2} µs", median(ours, |s| s.cpu) / 1000.0),
            theirs: format!("{:.2} µs", median(theirs, |s| s.cpu) / 1000.0),
            ratio: Spread::of_ratios(ours, theirs, |s| s.cpu),
            target: cpu,
        });
        if let Some(target) = rate {
            lines.push(Line {
                what: format!("{what}: queries a second"),
                peer,
                ours: format!("{:.0}", median(ours, |s| s.rate)),
                theirs: format!("{:.0}", median(theirs, |s| s.rate)),
                ratio: Spread::of_ratios(ours, theirs, |s| s.rate),
                target,
            });
        }
    }
    lines
}

/// The zone file, written once.
fn zone_file() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let file = folder.join("bench.zone");
        zone::write(&file);
        file
    });
    file.clone()
}

fn nsd() -> Running {
    let daemon = daemon::nsd(&[(zone::ORIGIN, zone_file())]);
    // The process that answers is a child of a child.
    let server = descendants(daemon.id())
        .into_iter()
        .find(|id| {
            let name = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
            name.contains("server")
        })
        .expect("NSD has a process that serves");
    let clock = CpuClock::Process(server);
    Running::other(daemon.address, clock, move || drop(daemon))
}

fn descendants(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    children
        .flat_map(|child| [vec![child], descendants(child)].concat())
        .collect()
}

fn knot() -> Running {
    let daemon = daemon::knot(&[(zone::ORIGIN, zone_file())]);
    let clock = CpuClock::Process(daemon.id());
    Running::other(daemon.address, clock, move || drop(daemon))
}

/// Ours, as a process of its own.
pub(crate) fn ours(over: &str) -> Running {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([SERVE, over])
        // Its end is how the server learns of ours.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    Running::process(child, line.trim().parse().unwrap())
}

/// Ends this process when who started it has ended.
pub(crate) fn end_with_who_started() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}

/// Serves the zone until it is killed, or who started it has ended.
pub(crate) fn serve(over: &str) -> io::Result<()> {
    end_with_who_started();
    let origin: Name = zone::ORIGIN.parse().map_err(io::Error::other)?;
    let zone = Zone::from_text(origin, &zone::text()).map_err(io::Error::other)?;
    let zones = Zones::new();
    zones.insert(Arc::new(zone));
    let mut options = AuthorityOptions::default();
    options.rate_limit = None;
    // Connections wait while the other servers start.
    options.idle = Duration::from_secs(120);
    let authority = Authority::new(zones, options);
    runtime().block_on(async {
        let endpoint: ServerEndpoint = format!("{over}:0").parse().unwrap();
        if over == "udp" {
            let options = authority.datagram_options();
            let datagrams = authority.datagrams();
            let server = endpoint.listen_datagrams_with(datagrams, options).await;
            let server = server.map_err(io::Error::other)?;
            println!("{}", server.local_address());
            server.closed().await;
        } else {
            let handler = authority.handler();
            let server = endpoint.listen_with(handler, authority.limits()).await;
            let server = server.map_err(io::Error::other)?;
            println!("{}", server.local_address());
            std::future::pending::<()>().await;
        }
        Ok(())
    })
}
