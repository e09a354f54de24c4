//! `serve`: a site with one configuration.

use std::{fs, io::Read as _, path::PathBuf};

use tempfile::TempDir;

use crate::common::{Running, connect, exchange, http, run};

/// A configuration in a file, with a folder of its own.
struct Config {
    folder: TempDir,
    path: String,
}

impl Config {
    /// `{}` in the text stands for the folder.
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ropewalk.toml");
        let text = text.replace("{}", folder.path().to_str().unwrap());
        fs::write(&path, text).unwrap();
        Self {
            path: path.to_str().unwrap().to_owned(),
            folder,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn check(&self) -> (Option<i32>, String, String) {
        run(&["serve", "--check", "--config", &self.path])
    }

    /// Expects these lines, each with its number and what it holds.
    #[track_caller]
    fn is_wrong(&self, lines: &[(usize, &[&str])]) {
        let (status, out, err) = self.check();
        assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
        assert_eq!(err.lines().count(), lines.len(), "{err}");
        for (said, (number, parts)) in err.lines().zip(lines) {
            let start = format!("ropewalk: {}:{number}: ", self.path);
            assert!(said.starts_with(&start), "{said} is not of line {number}");
            for part in *parts {
                assert!(said.contains(part), "{part} is not in {said}");
            }
        }
        // To serve it is refused alike.
        let (status, out, same) = run(&["serve", "--config", &self.path]);
        assert_eq!((status, out.as_str()), (Some(2), ""));
        assert_eq!(same, err);
    }
}

#[test]
fn services_start_together_and_drain_together() {
    let config = Config::new(
        r#"
        max-per-peer = 0
        drain = 5.5

        [[service]]
        kind = "echo"
        listen = ["tcp:0", "udp:0", "unix:{}/echo.sock"]

        [[service]]
        kind = "web"
        listen = "tcp:0"
        path = "{}"

        [[service]]
        kind = "daytime"
        listen = "tcp:0"
        "#,
    );
    let (status, out, err) = config.check();
    assert_eq!((status, out.as_str(), err.as_str()), (Some(0), "ok\n", ""));
    assert!(!config.file("echo.sock").exists());

    let site = Running::start(&["serve", "--config", &config.path], 5);
    let services: Vec<_> = site.listening.iter().map(|(s, _)| s.as_str()).collect();
    assert_eq!(services, ["echo", "echo", "echo", "web", "daytime"]);
    let mut open = connect(site.address("echo", "tcp"));
    exchange(&mut open, "hello");
    let answer = http(
        site.address("web", "tcp"),
        "GET /ropewalk.toml HTTP/1.1",
        "",
    );
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("max-per-peer"));
    let mut line = String::new();
    connect(site.address("daytime", "tcp"))
        .read_to_string(&mut line)
        .unwrap();
    assert!(line.ends_with("GMT\r\n"), "{line}");
    site.signal("TERM");
    crate::common::expect_end(&mut open);
    drop(open);
    let (status, _, log) = site.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("drained served=3"), "{log}");
    assert!(!config.file("echo.sock").exists());
}

#[test]
fn nothing_is_announced_if_one_service_cannot_listen() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let config = Config::new(&format!(
        "[[service]]\nkind = 'echo'\nlisten = 'tcp:0'\n\
         [[service]]\nkind = 'discard'\nlisten = 'tcp:{taken}'\n"
    ));
    // That it is in use shows only when it listens.
    let (status, out, err) = config.check();
    assert_eq!((status, out.as_str()), (Some(0), "ok\n"), "{err}");
    let (status, out, err) = run(&["serve", "--config", &config.path]);
    assert_eq!((status, out.as_str()), (Some(1), ""), "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(
        err.contains(&format!("tcp:{taken}: the address is in use")),
        "{err}"
    );
}

#[test]
fn the_command_line_goes_before_the_file() {
    let config = Config::new(
        "json = true\nlog = 'error'\nmax-per-peer = 1\n\
         [[service]]\nkind = 'echo'\nlisten = 'tcp:0'\n",
    );
    let arguments = ["serve", "--config", &config.path, "--max-per-peer", "2"];
    let mut site = Running::spawn(&arguments);
    let line: serde_json::Value = serde_json::from_str(&site.out_line()).unwrap();
    assert_eq!(line["service"], "echo");
    let address = line["endpoint"].as_str().unwrap()["tcp:".len()..]
        .parse()
        .unwrap();
    let mut two = [connect(address), connect(address)];
    for stream in &mut two {
        exchange(stream, "hello");
    }
    let mut third = connect(address);
    assert!(matches!(third.read(&mut [0; 8]), Ok(0) | Err(_)));
    site.signal("TERM");
    let (status, _, log) = site.ended();
    // Nothing of what `info` would say is in the log.
    assert_eq!((status, log.as_str()), (Some(0), ""));
    let (status, out, _) = run(&["serve", "--check", "--config", &config.path]);
    assert_eq!((status, out.as_str()), (Some(0), "{\"event\":\"ok\"}\n"));
}

#[test]
fn every_bad_key_and_value_is_told_with_its_line() {
    Config::new(
        "max_connections = 5\n\
         drain = 'soon'\n\
         listen = 'tcp:80'\n\
         \n\
         [[service]]\n\
         kind = 'echo'\n\
         listen = ['tcp:0', 'tcp:99999',\n\
         \x20         true]\n\
         lisen = 4\n\
         \n\
         [[service]]\n\
         kind = 'eco'\n\
         \n\
         [[service]]\n\
         kind = 'forward'\n\
         listen = 'tcp:5555'\n\
         json = true\n\
         [[service]]\n\
         listen = 'tcp:0'\n",
    )
    .is_wrong(&[
        (
            1,
            &["unknown key \"max_connections\"", "\"max-connections\""],
        ),
        (2, &["drain \"soon\"", "expected seconds"]),
        (3, &["listen is for one service", "[[service]]"]),
        (7, &["listen \"tcp:99999\"", "at 4", "port"]),
        (8, &["listen: found boolean", "expected a string"]),
        (9, &["unknown key \"lisen\"", "\"listen\""]),
        (12, &["kind \"eco\"", "\"echo\"", "discard"]),
        (14, &["expected to in this table"]),
        (17, &["json is for all services", "at the top"]),
        (18, &["expected kind", "web"]),
    ]);
}

#[test]
fn files_endpoints_and_addresses_are_checked_before_anything_listens() {
    let config = Config::new(
        "tls-cert = '/nowhere.pem'\n\
         [[service]]\n\
         kind = 'echo'\n\
         listen = ['tcp:5555', 'tls:0']\n\
         [[service]]\n\
         kind = 'discard'\n\
         listen = [\n\
         'tls:5555:interface=*',\n\
         'udp:5555',\n\
         'udp:127.0.0.1:5555',\n\
         ]\n\
         [[service]]\n\
         kind = 'web'\n\
         listen = ['tls:0:cert=/nowhere', 'quic:7', 'udp:0']\n\
         path = '/nowhere'\n\
         [[service]]\n\
         kind = 'forward'\n\
         listen = 'stdio:'\n\
         to = 'tls:a:5:ca=/nowhere'\n",
    );
    config.is_wrong(&[
        (
            1,
            &["tls-cert: /nowhere.pem", "expected a certificate chain"],
        ),
        (
            8,
            &[
                "tls:5555:interface=*",
                "echo listen \"tcp:5555\" has this address",
            ],
        ),
        (10, &["udp:127.0.0.1:5555", "discard listen \"udp:5555\""]),
        (
            14,
            &["listen \"tls:0:cert=/nowhere\"", "expected a certificate"],
        ),
        (14, &["listen \"udp:0\"", "datagrams cannot carry web"]),
        (14, &["quic:7", "the schemes are tcp"]),
        (15, &["path \"/nowhere\"", "expected a folder"]),
        (18, &["listen \"stdio:\"", "the only one"]),
        (19, &["to \"tls:a:5:ca=/nowhere\"", "expected certificates"]),
    ]);
    let config = Config::new(
        "user = 'nobody-of-this-name'\nmetrics = ['tcp:5555', 'udp:0']\n\
         [[service]]\nkind = 'echo'\nlisten = 'tcp:5555'\n",
    );
    config.is_wrong(&[
        (1, &["user \"nobody-of-this-name\"", "expected an account"]),
        (
            2,
            &[
                "metrics \"tcp:5555\"",
                "echo listen \"tcp:5555\" has this address",
            ],
        ),
        (2, &["metrics \"udp:0\"", "expected tcp"]),
    ]);
    let config = Config::new("[[service]]\nkind = 'echo'\nlisten = 'tls:0'\n");
    config.is_wrong(&[(3, &["listen \"tls:0\"", "expected --tls-cert FILE"])]);
}

#[test]
fn what_is_no_configuration_is_told_too() {
    Config::new("").is_wrong(&[(1, &["no service", "[[service]]"])]);
    Config::new("json = true\nservice = 5\n").is_wrong(&[(2, &["service", "[[service]]"])]);
    Config::new("[service]\nkind = 'echo'\n").is_wrong(&[(1, &["service", "[[service]]"])]);
    Config::new("\njson = yes\n").is_wrong(&[(2, &["not TOML"])]);
    let (status, out, err) = run(&["serve", "--config", "/nowhere.toml"]);
    assert_eq!((status, out.as_str()), (Some(2), ""), "{err}");
    assert!(
        err.contains("--config \"/nowhere.toml\"") && err.contains("expected a file"),
        "{err}"
    );
    let (status, _, err) = run(&["serve"]);
    assert_eq!(status, Some(2));
    assert!(err.contains("--config <FILE>"), "{err}");
}

#[test]
fn certificates_at_the_top_are_for_all_that_name_none() {
    let ca = ropewalk_core::tls::TestCa::new().unwrap();
    let (chain, key) = ca.issue(&["127.0.0.1"]).unwrap();
    let config = Config::new(
        r#"
        tls-cert = "{}/site.pem"
        [[service]]
        kind = "echo"
        listen = "tls:0"
        [[service]]
        kind = "daytime"
        listen = "tls:0"
        tls-cert = "{}/site.pem"
        "#,
    );
    fs::write(config.file("site.pem"), chain + &key).unwrap();
    let site = Running::start(&["serve", "--config", &config.path], 2);
    assert!(site.endpoint("echo", "tls").starts_with("tls:127.0.0.1:"));
    site.end_well();
}

/// The options of a subcommand, from its help.
fn options_of(subcommand: &str) -> Vec<String> {
    let (status, out, err) = run(&[subcommand, "--help"]);
    assert_eq!((status, err.as_str()), (Some(0), ""), "{subcommand}");
    assert!(out.contains("Usage: ropewalk "), "{out}");
    let word = |line: &str| {
        let option = line.trim_start().strip_prefix("--")?;
        option.split(' ').next().map(str::to_owned)
    };
    out.lines().filter_map(word).collect()
}

/// The subcommands, from the help of the command.
fn subcommands() -> Vec<String> {
    let (_, out, _) = run(&["--help"]);
    out.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

/// A value of a type that no option has shows whether a key is known.
#[test]
fn every_option_of_a_server_is_a_key_and_every_subcommand_has_help() {
    let common = options_of("serve");
    let mut servers = 0;
    for subcommand in subcommands() {
        if subcommand == "help" {
            continue;
        }
        let options = options_of(&subcommand);
        let is_server = options.iter().any(|option| option == "listen");
        if !is_server {
            continue;
        }
        servers += 1;
        for option in options {
            // What is checked is a service's files, or the whole configuration by the command line.
            let at_the_top = option != "check" && common.contains(&option);
            let line = format!("{option} = 1979-05-27\n");
            let service = format!("[[service]]\nkind = '{subcommand}'\n");
            let config = Config::new(&match at_the_top {
                true => line + &service,
                false => service + &line,
            });
            let (status, _, err) = config.check();
            assert_eq!(status, Some(2));
            let said = format!("{option}: found datetime, expected ");
            assert!(err.contains(&said), "{subcommand} {option}: {err}");
        }
    }
    assert!(servers >= 7, "{servers}");
}
