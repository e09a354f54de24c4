//! Programs as peers: real ones, which every system has.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{os::unix::process::ExitStatusExt, time::Duration};

use ropewalk_core::{
    BackOff, Closed, Connection, Error, Input, Protocol, Result, Services, Transport,
    process::{Command, ProcessError, SignalKind, Stderr, Terminal},
    service::{Restart, Service, ServiceOptions, Stop},
    testing::{self, run_in_real_time},
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

#[path = "common/log.rs"]
mod log;

fn shell(script: &str) -> Command {
    Command::new("sh").args(["-c", script])
}

fn run(test: impl Future<Output = Result<(), Error>>) {
    run_in_real_time(test).unwrap();
}

async fn read_line(from: &mut (impl AsyncBufReadExt + Unpin)) -> String {
    let mut line = String::new();
    from.read_line(&mut line).await.unwrap();
    line
}

/// Keeps what it hears, and says how its connection ended.
#[derive(Default)]
struct Listener(String);

impl Protocol for Listener {
    type Message = ();
    type Timer = ();

    fn received(&mut self, _: &mut Transport<Self>, data: &mut Input) -> Result {
        self.0.push_str(std::str::from_utf8(&data.take_all())?);
        Ok(())
    }
}

async fn listen(program: &Command) -> (String, Closed) {
    let (_, connection) = program.spawn().unwrap();
    let (listener, closed) = connection.run(Listener::default()).await;
    (listener.0, closed)
}

#[test]
fn a_protocol_hears_the_program_and_how_it_ended() {
    run(async {
        let (said, closed) = listen(&shell("echo one; exit 3")).await;
        assert_eq!(said, "one\n");
        let Closed::Exit(status) = closed else {
            panic!("{closed}")
        };
        assert_eq!(status.code(), Some(3));
        let (_, closed) = listen(&shell("kill -9 $$")).await;
        let Closed::Exit(status) = closed else {
            panic!("{closed}")
        };
        assert_eq!(status.signal(), Some(9));
        Ok(())
    });
}

#[test]
fn what_it_gets_is_what_was_asked_for() {
    run(async {
        let folder = tempfile::tempdir()?;
        let program = shell("echo $KEPT $GONE; pwd; echo $1")
            .args(["sh", "two words"])
            .env("KEPT", "kept")
            .env("GONE", "there")
            .env_remove("GONE")
            .folder(folder.path());
        let said = program.output("").await?.text();
        let folder = folder.path().canonicalize()?;
        assert_eq!(said, format!("kept\n{}\ntwo words\n", folder.display()));
        let bare = Command::new("/usr/bin/env").bare().env("ONLY", "this");
        assert_eq!(bare.output("").await?.text(), "ONLY=this\n");
        Ok(())
    });
}

#[test]
fn both_outputs_apart_or_joined_in_order() {
    run(async {
        let both = shell("echo one; echo two >&2; echo three");
        let apart = both.output("").await?;
        assert_eq!(apart.text(), "one\nthree\n");
        assert_eq!(apart.stderr, "two\n");
        let joined = both.clone().stderr(Stderr::Join).output("").await?;
        assert_eq!(joined.text(), "one\ntwo\nthree\n");
        assert!(joined.stderr.is_empty());
        let discarded = both.stderr(Stderr::Discard).output("").await?;
        assert!(discarded.stderr.is_empty());
        Ok(())
    });
}

#[test]
fn its_errors_are_logged_line_by_line() {
    let (logged, ()) = log::heard(tracing::Level::INFO, || {
        run(async {
            let program = shell("printf 'first\\nbell \\007\\n' >&2; printf last >&2; exit 1");
            let (_, closed) = listen(&program.stderr(Stderr::Log)).await;
            assert!(matches!(closed, Closed::Exit(_)), "{closed}");
            Ok(())
        });
    });
    for line in ["message=first\n", "message=bell \\u{7}\n", "message=last\n"] {
        assert!(logged.contains(line), "{line:?} in {logged:?}");
    }
    assert!(logged.contains("program=\"sh\""), "{logged:?}");
}

#[test]
fn one_that_is_missing_is_named() {
    run(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert!(matches!(error, ProcessError::Start { .. }));
        let text = error.to_string();
        assert!(text.starts_with("cannot start program: "), "{text}");
        Ok(())
    });
}

#[test]
fn one_that_says_too_much_or_never_ends_is_killed() {
    run(async {
        let error = Command::new("yes").limit(100_000).output("").await;
        let error = error.unwrap_err();
        assert_eq!(
            error.to_string(),
            "yes said more than 100000 bytes; raise the limit if it may"
        );
        Ok(())
    });
    // Its deadline is of the runtime's clock; the program knows nothing of it.
    testing::run(async {
        let patient = Command::new("sleep").arg("1000");
        let error = patient.deadline(Duration::from_secs(60)).output("").await;
        assert!(matches!(
            error.unwrap_err(),
            ProcessError::TimedOut { after, .. } if after == Duration::from_secs(60)
        ));
    });
}

#[test]
fn one_that_does_not_read_its_input_does_not_stall() {
    run(async {
        let input = vec![b'x'; 1024 * 1024];
        let output = Command::new("true").output(input.clone()).await?;
        assert!(output.status.success());
        let counted = Command::new("wc").arg("-c").output(input).await?;
        assert_eq!(counted.text().trim(), "1048576");
        Ok(())
    });
}

#[test]
fn signals_reach_it_and_after_its_end_nobody() {
    run(async {
        let (process, conn) =
            shell("trap 'echo heard; exit 7' USR1; echo ready; while :; do sleep 0.01; done")
                .spawn()?;
        let mut conn = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "ready\n");
        process.signal(SignalKind::user_defined1())?;
        assert_eq!(read_line(&mut conn).await, "heard\n");
        assert_eq!(process.exited().await.code(), Some(7));
        assert_eq!(process.id(), None);
        let error = process.signal(SignalKind::user_defined1()).unwrap_err();
        assert!(matches!(error, ProcessError::Ended));
        Ok(())
    });
}

#[test]
fn many_wait_for_one_end() {
    run(async {
        let (process, conn) = Command::new("cat").spawn()?;
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let process = process.clone();
                tokio::spawn(async move { process.exited().await })
            })
            .collect();
        tokio::task::yield_now().await;
        let mut conn = conn;
        conn.shutdown().await?;
        for waiting in waiting {
            assert!(waiting.await?.success());
        }
        Ok(())
    });
}

#[test]
fn terminate_asks_first() {
    run(async {
        let (process, conn) = Command::new("sleep").arg("1000").spawn()?;
        let status = process.terminate(Duration::from_secs(60)).await;
        assert_eq!(status.signal(), Some(15));
        drop(conn);
        // One that does not listen.
        let (process, conn) =
            shell("trap '' TERM; echo ready; while :; do sleep 0.01; done").spawn()?;
        let mut conn = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "ready\n");
        let status = process.terminate(Duration::ZERO).await;
        assert_eq!(status.signal(), Some(9));
        Ok(())
    });
}

#[test]
fn what_it_started_ends_with_its_group() {
    run(async {
        // The one in the background holds the pipe open: its end is the pipe's.
        let script = "sleep 1000 & echo ready; wait";
        let (process, conn) = shell(script).own_group().spawn()?;
        let mut conn = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "ready\n");
        process.terminate(Duration::from_secs(60)).await;
        assert_eq!(read_line(&mut conn).await, "");
        Ok(())
    });
}

#[test]
fn it_is_killed_when_nobody_holds_it_any_more() {
    run(async {
        let (process, conn) = shell("echo ready; exec cat").spawn()?;
        let mut conn = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "ready\n");
        let other = process.clone();
        let end = tokio::spawn(async move { other.exited().await });
        drop(process);
        // The task above still holds it; standard input has ended.
        drop(conn);
        assert!(end.await?.success());

        let (process, conn) = shell("trap '' HUP PIPE; echo $$; exec sleep 1000 <&-").spawn()?;
        let mut conn = BufReader::new(conn);
        let pid: i32 = read_line(&mut conn).await.trim().parse()?;
        drop(process);
        drop(conn);
        // Gone, or waiting to be waited for.
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            match stat {
                Ok(stat) if !stat.contains(") Z ") => tokio::task::yield_now().await,
                _ => break,
            }
        }
        Ok(())
    });
}

/// A terminal shows what is typed, ends lines in CR LF, and knows its size.
#[test]
fn a_terminal_is_one() {
    run(async {
        let program = shell(
            "test -t 0 && test -t 1 && test -t 2 && echo $TERM; stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done",
        );
        let (process, conn) = program.terminal(Terminal::new(100, 30)).spawn()?;
        let mut conn = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "xterm-256color\r\n");
        assert_eq!(read_line(&mut conn).await, "30 100\r\n");
        assert_eq!(read_line(&mut conn).await, "ready\r\n");
        process.resize(132, 50)?;
        assert_eq!(read_line(&mut conn).await, "50 132\r\n");
        let mut rest = String::new();
        conn.read_to_string(&mut rest).await?;
        assert_eq!(rest, "");
        assert!(process.exited().await.success());
        Ok(())
    });
}

#[test]
fn a_terminal_echoes_and_its_control_characters_work() {
    run(async {
        let (process, mut conn) = shell("echo ready; exec cat")
            .terminal(Terminal::default())
            .spawn()?;
        let mut ready = [0; 7];
        conn.read_exact(&mut ready).await?;
        conn.write_all(b"hi\n").await?;
        let mut twice = [0; 8];
        conn.read_exact(&mut twice).await?;
        assert_eq!(&twice, b"hi\r\nhi\r\n");
        conn.shutdown().await?;
        let mut rest = Vec::new();
        conn.read_to_end(&mut rest).await?;
        assert!(process.exited().await.success());

        // Ctrl-C, as typed.
        let (process, mut conn) = shell("echo ready; exec cat")
            .terminal(Terminal::default())
            .spawn()?;
        conn.read_exact(&mut ready).await?;
        conn.write_all(b"\x03").await?;
        assert_eq!(process.exited().await.signal(), Some(2));
        Ok(())
    });
}

#[test]
fn a_terminal_that_is_dropped_hangs_up() {
    run(async {
        let (process, conn) = shell("echo ready; exec cat")
            .terminal(Terminal::default())
            .spawn()?;
        let mut conn: BufReader<Connection> = BufReader::new(conn);
        assert_eq!(read_line(&mut conn).await, "ready\r\n");
        let other = process.clone();
        drop((process, conn));
        // Neither asked to end nor killed: the handle is still held.
        let status = other.terminate(Duration::from_secs(60)).await;
        assert!(matches!(status.signal(), Some(1 | 15)), "{status}");
        Ok(())
    });
}

#[test]
fn without_a_terminal_there_is_no_size() {
    run(async {
        let (process, conn) = Command::new("cat").spawn()?;
        assert!(process.resize(80, 24).is_err());
        drop(conn);
        assert!(process.exited().await.success());
        Ok(())
    });
}

#[test]
fn a_program_is_shown_as_a_shell_needs_it() {
    let program = Command::new("grep").args(["two words", "it's", ""]);
    assert_eq!(program.to_string(), "grep 'two words' \"it's\" ''");
}

/// It fails twice, and then stays; what it says is in the log, and it goes
/// with all that it started.
#[test]
fn as_a_service_it_is_run_again_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let script = "echo x >> $COUNT; test $(wc -l < $COUNT) -lt 3 && exit 3; echo up; echo bad >&2; sleep 1000 & wait";
    let command = shell(script).env("COUNT", &count);
    let (logged, ()) = log::heard(tracing::Level::INFO, || {
        run(async {
            let mut options = ServiceOptions::from(Restart::OnFailure);
            options.back_off = BackOff::default();
            options.back_off.initial = Duration::from_millis(1);
            let stop = Stop::new(Duration::ZERO, Duration::from_secs(60));
            let services = Services::new()
                .stop(stop)
                .add_with(command.clone(), options);
            let running = services.start();
            let status = running.status();
            // The third run is the one that stays.
            status.until(|s| s.children[0].restarts == 2).await;
            while std::fs::read_to_string(&count)? != "x\nx\nx\n" {
                tokio::task::yield_now().await;
            }
            assert!(status.is_ready());
            running.stop().await
        });
    });
    assert_eq!(std::fs::read_to_string(&count).unwrap(), "x\nx\nx\n");
    assert!(logged.contains("exit status: 3"), "{logged}");
}

#[test]
fn as_a_service_it_may_end_and_what_it_said_is_logged() {
    let (logged, ()) = log::heard(tracing::Level::INFO, || {
        run(async {
            let mut running = shell("echo out; echo err >&2; read line || echo no input").start();
            running.ended().await
        });
    });
    for line in ["message=out\n", "message=err\n", "message=no input\n"] {
        assert!(logged.contains(line), "{line:?} in {logged:?}");
    }
    run(async {
        let error = shell("exit 4").start().ended().await.unwrap_err();
        assert!(
            error.to_string().contains("sh ended: exit status: 4"),
            "{error}"
        );
        let error = Command::new("/no/such/program").start().ended().await;
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("cannot start program")
        );
        Ok(())
    });
}
