//! The lab and other people's programs: each talks to each service that it can.
//!
//! A test stands in the module of the program that it needs, so that the runner can leave it out
//! where that is missing.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Output, Stdio},
};

use crate::{common::text, lab};

/// Runs a program with this on its standard input, which then ends.
fn feed(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it is a child of ours")
}

/// The same for a program that must end well; returns its standard output.
#[track_caller]
fn ok(program: &str, arguments: &[&str], input: &str) -> String {
    let output = feed(program, arguments, input);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {err}");
    text(output.stdout)
}

mod with_curl {
    use super::*;

    #[track_caller]
    fn curl(arguments: &[&str]) -> String {
        let all = [&["--silent", "--show-error", "--max-time", "60"], arguments].concat();
        ok("curl", &all, "")
    }

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn counts_over_http_and_over_tls_together() {
        let (lab, ca, _) = lab::start();
        let plain = format!("http://{}/counter", lab.address("web", "tcp"));
        let secure = format!("https://localhost:{}/counter", lab.port("web", "tls"));
        assert_eq!(curl(&[&plain]), "1");
        assert_eq!(curl(&["--cacert", &ca, &secure]), "2");
        // Two on one connection.
        assert_eq!(curl(&["--cacert", &ca, &secure, &secure]), "34");
        lab.end_well();
    }

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn verifies_every_name_of_the_lab_and_agrees_on_http_1_1() {
        let (lab, ca, _) = lab::start();
        let port = lab.port("web", "tls");
        for name in ["localhost", "lab.test", "www.lab.test", "127.0.0.1"] {
            let resolve = format!("{name}:{port}:127.0.0.1");
            let url = format!("https://{name}:{port}/");
            let written = "%{http_version} %{ssl_verify_result}";
            let page = curl(&[
                "--cacert",
                &ca,
                "--resolve",
                &resolve,
                "--output",
                "/dev/null",
                "--write-out",
                written,
                &url,
            ]);
            assert_eq!(page, "1.1 0", "{name}");
        }
        let resolve = format!("example.org:{port}:127.0.0.1");
        let url = format!("https://example.org:{port}/");
        let output = feed("curl", &["--cacert", &ca, "--resolve", &resolve, &url], "");
        // 60: the peer's certificate could not be verified.
        assert_eq!(output.status.code(), Some(60));
        lab.end_well();
    }

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn echoes_bodies_small_large_and_of_unknown_length() {
        let (lab, ca, _) = lab::start();
        let secure = format!("https://127.0.0.1:{}/echo", lab.port("web", "tls"));
        let common = ["--cacert", &ca, &secure];
        let answer = curl(
            &[
                &["--data", "hello", "--write-out", " %{content_type}"],
                &common[..],
            ]
            .concat(),
        );
        assert_eq!(answer, "hello application/x-www-form-urlencoded");
        let large = "ropewalk ".repeat(500_000);
        for length in ["Content-Type: text/plain", "Transfer-Encoding: chunked"] {
            let arguments = ["--silent", "--data-binary", "@-", "--header", length];
            let answer = ok("curl", &[&arguments[..], &common].concat(), &large);
            assert!(answer == large, "{length}: {} bytes", answer.len());
        }
        lab.end_well();
    }

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn reads_the_site_and_nothing_beside_it() {
        let (lab, _, _) = lab::start();
        let base = format!("http://{}", lab.address("web", "tcp"));
        assert!(curl(&[&format!("{base}/")]).contains("The lab of Ropewalk"));
        assert!(curl(&[&format!("{base}/style.css")]).contains("sans-serif"));
        for path in ["/../ca.pem", "/%2e%2e/ca.pem", "/..%2fca.pem", "/nothing"] {
            let url = format!("{base}{path}");
            let written = [
                "--path-as-is",
                "--output",
                "/dev/null",
                "--write-out",
                "%{http_code}",
            ];
            assert_eq!(curl(&[&written[..], &[&url]].concat()), "404", "{path}");
        }
        let url = format!("{base}/counter");
        let head = curl(&["--head", &url]);
        assert!(
            head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET"),
            "{head}"
        );
        lab.end_well();
    }
}

mod with_openssl {
    use super::*;

    /// Talks as long as it takes: s_client ends with its input, which therefore stays open until
    /// the answer is there.
    fn s_client(arguments: &[&str], line: &str) -> (Option<i32>, String) {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-no_ign_eof", "-verify_return_error"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // If it has given up, its status says so.
        let _ = stdin.write_all(line.as_bytes());
        let mut answer = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut answer).unwrap();
        drop(stdin);
        (child.wait().unwrap().code(), answer)
    }

    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn echoes_through_tls_and_through_the_forward() {
        let (lab, ca, _) = lab::start();
        for service in ["echo", "forward"] {
            let to = lab.address(service, "tls").to_string();
            for version in ["-tls1_2", "-tls1_3"] {
                let arguments = [
                    "-connect",
                    &to,
                    "-CAfile",
                    &ca,
                    "-verify_hostname",
                    "lab.test",
                    version,
                ];
                let (status, answer) = s_client(&arguments, "hello\n");
                assert_eq!((status, answer.as_str()), (Some(0), "hello\n"), "{service}");
            }
        }
        lab.end_well();
    }

    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn sees_the_certificate_whatever_name_it_asks_for() {
        let (lab, ca, _) = lab::start();
        let to = lab.address("echo", "tls").to_string();
        let common = ["-connect", &to, "-CAfile", &ca];
        for name in [&["-servername", "example.org"][..], &["-noservername"]] {
            let (status, answer) = s_client(&[&common[..], name].concat(), "hello\n");
            assert_eq!((status, answer.as_str()), (Some(0), "hello\n"), "{name:?}");
        }
        let wrong = ["-verify_hostname", "example.org"];
        let (status, answer) = s_client(&[&common[..], &wrong].concat(), "hello\n");
        assert_eq!((status, answer.as_str()), (Some(1), ""));
        lab.end_well();
    }
}

mod with_socat {
    use super::*;

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn echoes_over_every_transport() {
        let (lab, ca, _) = lab::start();
        let unix = &lab.endpoint("echo", "unix")["unix:".len()..];
        for address in [
            format!("TCP:{}", lab.address("echo", "tcp")),
            format!("OPENSSL:{},cafile={ca}", lab.address("echo", "tls")),
            format!("OPENSSL:{},cafile={ca}", lab.address("forward", "tls")),
            format!("UNIX-CONNECT:{unix}"),
        ] {
            // A minute to answer after our side has ended.
            let answer = ok("socat", &["-t", "60", "-", &address], "hello\n");
            assert_eq!(answer, "hello\n", "{address}");
        }
        lab.end_well();
    }

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn echoes_datagrams() {
        let (lab, _, _) = lab::start();
        let address = format!("UDP:{}", lab.address("echo", "udp"));
        // A datagram has no end; `head` is content with a line, and then the pipes are closed.
        let line = format!("(echo hello; cat) | socat - {address} | head -n 1");
        let mut shell = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = shell.stdin.take();
        let mut answer = String::new();
        BufReader::new(shell.stdout.take().unwrap())
            .read_line(&mut answer)
            .unwrap();
        assert_eq!(answer, "hello\n");
        drop(stdin);
        shell.wait().unwrap();
        lab.end_well();
    }

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn does_not_trust_the_lab_without_its_ca() {
        let (lab, _, _) = lab::start();
        let address = format!("OPENSSL:{}", lab.address("echo", "tls"));
        let output = feed("socat", &["-", &address], "hello\n");
        assert!(!output.status.success());
        assert_eq!(output.stdout, b"");
        lab.end_well();
    }
}

mod with_nc {
    use super::*;

    #[test]
    #[ignore = "needs nc; cargo xtask test runs it where it is installed"]
    fn echoes_over_tcp_udp_and_a_unix_socket() {
        let (lab, _, _) = lab::start();
        let tcp = lab.port("echo", "tcp");
        let udp = lab.port("echo", "udp");
        let unix = &lab.endpoint("echo", "unix")["unix:".len()..];
        for arguments in [
            &["-N", "127.0.0.1", &tcp][..],
            &["-N", "-U", unix],
            // A datagram has no end: it gives up after a silent second, or after one datagram.
            &["-u", "-w", "1", "-W", "1", "127.0.0.1", &udp],
        ] {
            assert_eq!(ok("nc", arguments, "hello\n"), "hello\n", "{arguments:?}");
        }
        lab.end_well();
    }
}

mod table {
    mod with_curl {
        mod with_dig {
            mod with_kdig {
                mod with_nc {
                    mod with_openssl {
                        mod with_socat {
                            use crate::{interop::ok, lab};

                            /// What the table promises: its lines, pasted into a shell.
                            #[test]
                            #[ignore = "needs curl, dig, kdig, nc, openssl and socat; cargo xtask test runs it where they are installed"]
                            fn every_line_works() {
                                let (lab, _, table) = lab::start();
                                let rows = lab::rows(&table);
                                assert_eq!(rows.len(), 12);
                                for [service, _, line] in rows {
                                    // That needs a terminal; `irc` has it.
                                    if line.starts_with("irssi ") {
                                        continue;
                                    }
                                    let answer = ok("sh", &["-c", &line], "");
                                    let is_right = match &*service {
                                        "irc" => answer.contains(" 332 guest #lab :Welcome"),
                                        "dns" => {
                                            answer.contains("status: NOERROR")
                                                && !answer.contains("ANSWER: 0")
                                        }
                                        _ => ["hello", "1"].contains(&answer.trim()),
                                    };
                                    assert!(is_right, "{line}: {answer}");
                                }
                                lab.end_well();
                            }
                        }
                    }
                }
            }
        }
    }
}
