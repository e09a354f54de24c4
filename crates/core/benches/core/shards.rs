//! One server on all processors: shards, or one runtime that moves work between
//! its threads. Each is a process of its own, so that all of its threads count.
//!
//! It says something about more than one processor with `--apart` only.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
};

use ropewalk_core::{ServerEndpoint, ServerOptions, each};

use ropewalk_bench_kit::{Line, Options, Running, Spread, Target, compare_servers, print_samples};

use crate::echo::{Echo, Echoes, cpu_line};

pub(crate) fn shards(options: &Options) -> Vec<Line> {
    let start = |how: &'static str| {
        move || {
            let child = Command::new(env::current_exe().unwrap())
                .args([SERVE, how])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let mut child = child.unwrap();
            let mut address = String::new();
            let output = child.stdout.as_mut().unwrap();
            BufReader::new(output).read_line(&mut address).unwrap();
            Running::process(child, address.trim().parse().unwrap())
        }
    };
    let servers = [start("threads"), start("shards")];
    let samples = compare_servers(&servers, &Echoes::SMALL, options);
    let sides = ["multi-thread runtime", "shards"];
    let title = "echo of 64 B, 64 connections, on all processors";
    print_samples(title, &sides, &samples);
    let (theirs, ours) = (&samples[0], &samples[1]);
    let peer = "the same server on the multi-thread runtime";
    let rate = |samples: &[_]| {
        let rate = Spread::of(samples.iter().map(|s: &ropewalk_bench_kit::Sample| s.rate)).median;
        format!("{rate:.0}/s")
    };
    vec![
        Line {
            what: "sharded echo 64 B, 64 connections: requests".into(),
            peer,
            ours: rate(ours),
            theirs: rate(theirs),
            ratio: Spread::of_ratios(ours, theirs, |s| s.rate),
            target: Target::None,
        },
        cpu_line(
            "the same: server CPU a message",
            peer,
            ours,
            theirs,
            Target::None,
        ),
    ]
}

/// The argument by which this program becomes such a server.
pub(crate) const SERVE: &str = "--serve";

/// Serves until its standard input ends.
pub(crate) fn serve(how: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut options = ServerOptions::default();
        if how == "shards" {
            options.shards = thread::available_parallelism()?.get();
        }
        let endpoint: ServerEndpoint = "tcp:0".parse().map_err(io::Error::other)?;
        let server = endpoint.listen_with(each::<Echo>(), options).await;
        let server = server.map_err(io::Error::other)?;
        writeln!(io::stdout(), "{}", server.local_address())?;
        let ended = tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new()));
        ended.await.map_err(io::Error::other)??;
        Ok(())
    })
}
