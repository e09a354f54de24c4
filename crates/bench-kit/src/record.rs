//! Puts the table into BENCHMARKS.md, with what it holds for.

use std::{fs, io, path::Path, process::Command};

use crate::program::Benchmark;

/// Replaces what stands between the benchmark's two marks.
pub(crate) fn record(
    benchmark: &Benchmark,
    table: &str,
    peers: &str,
    rounds: usize,
) -> io::Result<()> {
    let name = benchmark.name;
    let begin = format!("<!-- {name}: begin -->\n");
    let end = format!("<!-- {name}: end -->");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = root.join("BENCHMARKS.md");
    let text = fs::read_to_string(&file)?;
    let marked = text
        .split_once(&begin)
        .and_then(|(head, rest)| Some((head, rest.split_once(&end)?.1)));
    let Some((head, tail)) = marked else {
        let why = format!("BENCHMARKS.md has no marks for {name}");
        return Err(io::Error::other(why));
    };
    let facts = facts(&root, benchmark.sources);
    fs::write(
        &file,
        format!("{head}{begin}\n{facts}\nPeers: {peers}. {rounds} rounds.\n\n{table}\n{end}{tail}"),
    )
}

/// The machine, and the state of the sources.
fn facts(root: &Path, sources: &str) -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    // Those of the machine: this process may have kept itself to one.
    let cores = cpuinfo
        .lines()
        .filter(|l| l.starts_with("processor"))
        .count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let congestion = read("/proc/sys/net/ipv4/tcp_congestion_control");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let output = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(root)
            .output();
        output.map_or(String::new(), |o| {
            String::from_utf8_lossy(&o.stdout).trim().to_owned()
        })
    };
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    let changes = ["status", "--porcelain", "--", sources];
    let changed = match output("git", &changes).is_empty() {
        true => String::new(),
        false => format!(", with changes to {sources} that are not committed"),
    };
    let rustc = output("rustc", &["--version"]);
    let date = output("date", &["-u", "+%F"]);
    format!(
        "{date}, commit {commit}{changed}. {model}, {cores} cores, Linux {} ({} congestion \
         control), load at the end {load}, {rustc}.\n",
        kernel.trim(),
        congestion.trim()
    )
}
