//! A child whose output is shown as it comes and read line by line, and which may not hang.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::cannot_run;
use crate::failure::{Failure, Result};

/// Runs a command with its standard output shown and handed on by lines.
///
/// When nothing was printed for `patience`, what the command has started is killed, and it goes on:
/// cargo then runs the next test binary.
pub(crate) fn watch(
    command: &mut Command,
    patience: Duration,
    show: &mut impl Write,
    mut line: impl FnMut(&str),
) -> Result<ExitStatus> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_run(command, &error))?;
    let mut output = child.stdout.take().expect("it was asked for just above");
    let (sender, chunks) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = output.read(&mut buffer) {
            if sender.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });

    let mut lines = Lines::default();
    let mut heard = Instant::now();
    loop {
        match chunks.recv_timeout(Duration::from_secs(1)) {
            Ok(chunk) => {
                heard = Instant::now();
                // Whoever closed our output does not want to read on; the exit status still counts.
                let _ = show.write_all(&chunk).and_then(|()| show.flush());
                lines.push(&chunk, &mut line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if has_ended(&mut child) {
                    println!(
                        "\nwarning: a process that a test started is still running and holds the output"
                    );
                    break;
                }
                if heard.elapsed() > patience {
                    println!(
                        "\nerror: no output for {} s; killing what runs",
                        patience.as_secs()
                    );
                    kill_descendants(&mut child);
                    heard = Instant::now();
                }
            }
        }
    }
    lines.end(&mut line);
    child
        .wait()
        .map_err(|error| Failure::new(format!("cannot wait for a child: {error}")))
}

fn has_ended(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(_)))
}

/// Kills all that a process has started, and itself only where there is nothing of that kind.
fn kill_descendants(child: &mut Child) {
    let mut found = Vec::new();
    let mut parents = vec![child.id()];
    while let Some(parent) = parents.pop() {
        let children = children(parent);
        found.extend(&children);
        parents.extend(children);
    }
    if found.is_empty() {
        // It may have ended this moment.
        let _ = child.kill();
    } else {
        // The shell's own `kill`, because a small system has no other.
        let numbers = found
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        let _ = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -KILL {numbers}"))
            .status();
    }
}

/// The children of each thread of a process; none where the system has no such file.
fn children(of: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{of}/task")) else {
        return Vec::new();
    };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Bytes put together to lines.
#[derive(Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8], line: &mut impl FnMut(&str)) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end(line);
            }
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&str)) {
        if !self.begun.is_empty() {
            line(String::from_utf8_lossy(&self.begun).trim_end_matches(['\r', '\n']));
            self.begun.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_chunks() {
        let text = b"running 1 test\r\n\ntest \xff ... ok\nno end";
        for size in 1..=text.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            let mut see = |line: &str| seen.push(line.to_owned());
            text.chunks(size)
                .for_each(|chunk| lines.push(chunk, &mut see));
            lines.end(&mut see);
            assert_eq!(
                seen,
                ["running 1 test", "", "test \u{fffd} ... ok", "no end"],
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn a_silent_child_is_killed() {
        let began = Instant::now();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "sleep 60; echo killed"])
            .stderr(Stdio::null());
        let (mut shown, mut seen) = (Vec::new(), Vec::new());
        let status = watch(&mut shell, Duration::ZERO, &mut shown, |line| {
            seen.push(line.to_owned())
        });
        assert!(began.elapsed() < Duration::from_secs(30));
        if children_are_known() {
            assert!(status.unwrap().success());
            assert_eq!(seen, ["killed"]);
            assert_eq!(shown, b"killed\n");
        }
    }

    fn children_are_known() -> bool {
        fs::exists("/proc/thread-self/children").unwrap_or(false)
    }
}
