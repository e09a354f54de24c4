//! A zone of 1,000,000 records, read from its file: processor time and memory
//! beside NSD and Knot.
//!
//! Each reader is a process of its own: this program again for ours,
//! `nsd-checkzone` and `kzonecheck` for theirs, which read a zone into the same
//! memory as the servers do, and end. Time is that of the whole process, memory
//! its peak.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs, io, thread};

use ropewalk_bench_kit::{Line, Options, Spread, Target};
use ropewalk_names_dns::zone::{ReadOptions, Zone};

/// How many records the zone has.
const RECORDS: usize = 1_000_000;

/// What a record may take in the end, in octets.
const MOST: f64 = 120.0;

/// The argument by which this program becomes the one that reads.
pub(crate) const READ: &str = "--read-zone";

/// Reads a zone, says how many octets a record takes, and ends.
pub(crate) fn read(path: &str) -> io::Result<()> {
    let origin = "example.org".parse().map_err(io::Error::other)?;
    let zone = Zone::from_file(Path::new(path), origin, &ReadOptions::default())
        .map_err(io::Error::other)?;
    assert!(zone.len() >= RECORDS);
    println!("{}", zone.memory() as f64 / zone.len() as f64);
    // As the peers do, the system takes the memory back.
    std::process::exit(0)
}

pub(crate) fn zone_load(options: &Options) -> Vec<Line> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zone");
    fs::write(&path, zone_of(RECORDS)).unwrap();
    let rounds = options.rounds.clamp(1, 5);
    let peers: Vec<Peer> = PEERS
        .iter()
        .filter(|peer| peer.is_here())
        .copied()
        .collect();
    let mut ours = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    let mut octets = 0.0;
    for _ in 0..rounds {
        let mut command = Command::new(env::current_exe().unwrap());
        let (used, said) = watch(command.arg(READ).arg(&path));
        octets = said.trim().parse().unwrap();
        ours.push(used);
        for (peer, samples) in peers.iter().zip(&mut theirs) {
            samples.push(watch(&mut peer.command(&path)).0);
        }
    }
    println!("{RECORDS} records, ours: {octets:.1} octets a record in the end\n");
    let mut lines = vec![Line {
        what: "memory of a record, zone of 1,000,000".to_owned(),
        peer: "what is allowed",
        ours: format!("{octets:.1} B"),
        theirs: format!("{MOST} B"),
        ratio: Spread::of([octets / MOST].into_iter()),
        target: Target::AtMost(1.0),
    }];
    for (peer, samples) in peers.iter().zip(&theirs) {
        let mut line = |what: &str, of: fn(&Used) -> f64, unit: &str| {
            let mean =
                |samples: &[Used]| samples.iter().map(of).sum::<f64>() / samples.len() as f64;
            lines.push(Line {
                what: format!("{what}, zone of 1,000,000"),
                peer: peer.name,
                ours: format!("{:.2} {unit}", mean(&ours)),
                theirs: format!("{:.2} {unit}", mean(samples)),
                ratio: Spread::of(ours.iter().zip(samples).map(|(a, b)| of(a) / of(b))),
                target: Target::AtMost(1.0),
            });
        };
        line("CPU to read", |used| used.seconds, "s");
        line("peak memory to read", |used| used.mebibytes, "MiB");
    }
    lines
}

/// A program that reads a zone and ends.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

const PEERS: &[Peer] = &[
    Peer {
        name: "NSD (nsd-checkzone)",
        program: "nsd-checkzone",
        arguments: &["example.org"],
    },
    Peer {
        name: "Knot (kzonecheck)",
        program: "kzonecheck",
        arguments: &["-d", "off", "-o", "example.org"],
    },
];

impl Peer {
    fn is_here(&self) -> bool {
        // Whether it starts is all that is asked.
        Command::new(self.program)
            .arg("-h")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    }

    fn command(&self, path: &PathBuf) -> Command {
        let mut command = Command::new(self.program);
        command.args(self.arguments).arg(path);
        command
    }
}

/// What a process used in all.
#[derive(Clone, Copy)]
struct Used {
    seconds: f64,
    mebibytes: f64,
}

/// Runs a command to its end; gives what it used, and what it said.
fn watch(command: &mut Command) -> (Used, String) {
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut used = Used {
        seconds: 0.0,
        mebibytes: 0.0,
    };
    // A process that has ended keeps its times until it is waited for, but not its memory.
    while !has_ended(&child, &mut used) {
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    (used, String::from_utf8(output.stdout).unwrap())
}

fn has_ended(child: &Child, used: &mut Used) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    let peak = read("status").lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    });
    used.mebibytes = peak.map_or(used.mebibytes, |kibibytes: f64| kibibytes / 1024.0);
    let stat = read("stat");
    // Behind the name, which may hold anything: state, then user and system time as numbers 12 and 13.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 1..]
        .split_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    // Linux tells user space of 100 a second, whatever it uses itself.
    used.seconds = ticks / 100.0;
    fields[0] == "Z"
}

/// A zone with what zones of many names have: addresses, mail, text, aliases, delegations; its
/// names in an order that is not theirs.
fn zone_of(records: usize) -> String {
    let mut text = String::from(
        "$TTL 3600\n@ IN SOA ns h 1 14400 3600 1209600 300\n@ IN NS ns\nns IN A 192.0.2.53\n",
    );
    let mut count = 3;
    let mut next = 0_u32;
    while count < records {
        // An odd factor passes all numbers below a power of two once.
        let i = next.wrapping_mul(40_503) & 0xF_FFFF;
        next += 1;
        let (high, low) = (i >> 16, i & 0xFFFF);
        writeln!(text, "host-{i} IN A 10.{high}.{}.{}", low >> 8, low & 0xFF).unwrap();
        count += 1;
        if i.is_multiple_of(2) {
            writeln!(text, "host-{i} IN AAAA 2001:db8::{high:x}:{low:x}").unwrap();
            count += 1;
        }
        match i % 10 {
            1 | 5 => writeln!(text, "host-{i} IN MX 10 mail-{}.example.net.", i % 100).unwrap(),
            2 => writeln!(
                text,
                "host-{i} IN TXT \"v=spf1 include:_spf.example.net -all\""
            )
            .unwrap(),
            3 | 8 => writeln!(text, "www.host-{i} IN CNAME host-{i}").unwrap(),
            4 => {
                writeln!(
                    text,
                    "sub-{i} IN NS ns1.sub-{i}\nsub-{i} IN NS ns2.example.net."
                )
                .unwrap();
                writeln!(text, "ns1.sub-{i} IN A 192.0.2.1").unwrap();
                count += 2;
            }
            _ => continue,
        }
        count += 1;
    }
    text
}
