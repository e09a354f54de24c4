//! The log of a program, as machines read it.

use std::process::{Command, ExitCode};

use ropewalk_core::{Connection, Schemes, run};
use tokio::io::AsyncReadExt;

use crate::listen;

const IN_A_CHILD: &str = "ROPEWALK_LOGS";

/// A program of its own, since a process has one log: it serves one
/// connection, and fails.
fn program() -> ExitCode {
    run(async {
        let schemes = Schemes::new();
        let handler = async |_: Connection| {
            tracing::warn!(limit = 7, "two\nlines");
            Ok(())
        };
        let _server = listen("mem:logs", handler, |o| o.schemes = schemes.clone()).await;
        let mut peer = schemes.connect(&"mem:logs".parse()?).await?;
        assert_eq!(peer.read(&mut [0; 1]).await?, 0);
        Err("that was all".into())
    })
}

fn logged(format: Option<&str>) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "logs::one_object_a_line", "--nocapture"])
        .env(IN_A_CHILD, "1")
        .env("RUST_LOG", "info,ropewalk_core=debug")
        .env_remove("ROPEWALK_LOG_FORMAT");
    if let Some(format) = format {
        command.env("ROPEWALK_LOG_FORMAT", format);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn one_object_a_line() {
    if std::env::var_os(IN_A_CHILD).is_some() {
        assert_eq!(program(), ExitCode::FAILURE);
        return;
    }
    // Standard error is no terminal here.
    for format in [None, Some("json"), Some("neither")] {
        let log = logged(format);
        let records: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {log}")))
            .collect();
        for record in &records {
            for key in ["timestamp", "level", "target", "message"] {
                assert!(record[key].is_string(), "no {key} in {record}");
            }
        }
        let find = |message: &str| {
            let found = records.iter().find(|r| r["message"] == message);
            found.unwrap_or_else(|| panic!("no {message:?} in {log}"))
        };
        let warning = find("two\nlines");
        assert_eq!(warning["level"], "WARN");
        assert_eq!(warning["limit"], 7);
        assert_eq!(find("that was all")["level"], "ERROR");
        assert_eq!(warning["target"], "policies::logs");
        assert_eq!(warning["span"]["name"], "connection");
        assert_eq!(warning["span"]["peer"], "logs");
        assert!(warning["span"]["id"].is_string(), "{warning}");
    }
    let text = logged(Some("text"));
    assert!(text.contains("WARN") && !text.starts_with('{'), "{text}");
}
