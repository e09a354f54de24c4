//! Real programs as the other side.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    thread::JoinHandle,
};

use ropewalk_core::{
    Connection, Result, ServerEndpoint,
    tls::{HandshakeCounts, TlsInfo},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    sync::oneshot,
};

use crate::{authority::Authority, site::Folder};

/// A server of HTTP that says who is there; to programs that speak none it is
/// one that answers a line.
struct Served {
    port: u16,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<HandshakeCounts>,
}

async fn who(conn: Connection) -> Result {
    let tls: TlsInfo = (**conn.peer().tls.as_ref().unwrap()).clone();
    let mut conn = BufReader::new(conn);
    let mut line = String::new();
    conn.read_line(&mut line).await?;
    let body = format!(
        "{} {} {} {}\n",
        tls.identity()
            .map_or_else(|| "nobody".to_owned(), |i| i.dns_names.join(",")),
        tls.sni.unwrap_or_else(|| "-".to_owned()),
        tls.version.and_then(|v| v.as_str()).unwrap_or("-"),
        if tls.resumed { "resumed" } else { "full" },
    );
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    conn.write_all(head.as_bytes()).await?;
    conn.write_all(body.as_bytes()).await?;
    conn.shutdown().await?;
    conn.into_inner().linger().await;
    Ok(())
}

impl Served {
    fn at(endpoint: &str) -> Self {
        let endpoint: ServerEndpoint = endpoint.parse().unwrap();
        let (told, port) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            ropewalk_core::testing::run_in_real_time(async {
                let server = endpoint.listen(who).await.unwrap();
                told.send(server.port().unwrap()).unwrap();
                let _ = stopped.await;
                server.tls().unwrap().handshakes()
            })
        });
        let port = port.recv().unwrap();
        Self { port, stop, thread }
    }

    fn end(self) -> HandshakeCounts {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

/// A folder with certificates for two names, an authority's client, and files
/// with them all.
fn files() -> Folder {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let clients = Authority::new("clients");
    let ada = clients.issue(&["ada.test"]);
    Folder::new(&[
        ("root.pem", &root.pem),
        ("clients.pem", &clients.pem),
        ("ada.pem", &ada.chain),
        ("ada.key", &ada.key),
        ("site/a.pem", &root.issue(&["a.test", "127.0.0.1"]).both()),
        ("site/b.pem", &middle.issue(&["*.b.test"]).both()),
        ("site/middle.pem", &middle.pem),
    ])
}

fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // If it has given up, its status says so.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

mod with_openssl {
    use ropewalk_core::tls::HandshakeFailure;

    use super::*;

    /// What `s_client` says, of itself and of the answer, and whether it was
    /// content.
    fn s_client(files: &Folder, port: u16, arguments: &[&str]) -> (String, bool) {
        let output = run(
            Command::new("openssl")
                .current_dir(files.path())
                .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
                .args(["-CAfile", "root.pem", "-verify_return_error", "-ign_eof"])
                .args(arguments),
            "GET / HTTP/1.1\r\n\r\n",
        );
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (said, output.status.success())
    }

    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn is_served_the_certificate_of_the_name_that_it_asks_for() {
        let files = files();
        let served = Served::at(&format!("tls:0:certs={}/site", files.path().display()));
        for (name, shown, verifies) in [
            ("a.test", "CN = a.test", true),
            ("x.b.test", "CN = *.b.test", true),
            ("x.y.b.test", "CN = a.test", false),
        ] {
            let names = ["-servername", name, "-verify_hostname", name];
            let (said, well) = s_client(&files, served.port, &names);
            assert!(said.contains(&format!(" 0 s:{shown}\n")), "{said}");
            assert_eq!(well, verifies, "{said}");
            assert_eq!(
                said.contains(&format!("nobody {name} TLSv1_3 full")),
                verifies,
                "{said}"
            );
        }
        let (said, _) = s_client(&files, served.port, &["-noservername"]);
        assert!(said.contains("nobody - TLSv1_3 full"), "{said}");
        served.end();
    }

    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn must_show_a_certificate() {
        let files = files();
        let at = files.path().display();
        let served = Served::at(&format!("tls:0:certs={at}/site:client-ca={at}/clients.pem"));
        for version in ["-tls1_2", "-tls1_3"] {
            let own = [
                version,
                "-servername",
                "a.test",
                "-cert",
                "ada.pem",
                "-key",
                "ada.key",
            ];
            let (said, well) = s_client(&files, served.port, &own);
            assert!(well && said.contains("ada.test a.test TLSv1_"), "{said}");
            // It is told whose certificates are taken.
            assert!(said.contains("CN = clients"), "{said}");
            let (said, _) = s_client(&files, served.port, &[version, "-servername", "a.test"]);
            assert!(!said.contains("nobody"), "{said}");
            let alert = ["handshake failure", "certificate required"];
            assert!(alert.iter().any(|alert| said.contains(alert)), "{said}");
        }
        let counts = served.end();
        assert_eq!(counts.failed(HandshakeFailure::NoClientCertificate), 2);
        assert_eq!(counts.full, 2);
    }

    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn resumes_a_session_that_it_kept_in_a_file() {
        let files = files();
        let served = Served::at(&format!("tls:0:certs={}/site", files.path().display()));
        for version in ["-tls1_2", "-tls1_3"] {
            let common = [version, "-servername", "a.test"];
            for (option, kind) in [("-sess_out", "full"), ("-sess_in", "resumed")] {
                let arguments = [&common[..], &[option, "session"]].concat();
                let (said, well) = s_client(&files, served.port, &arguments);
                assert!(well && said.contains(kind), "{version}: {said}");
                let reused = if kind == "full" {
                    "New, TLSv1"
                } else {
                    "Reused, TLSv1"
                };
                assert!(said.contains(reused), "{version}: {said}");
            }
        }
        let counts = served.end();
        assert_eq!((counts.full, counts.resumed), (2, 2));
    }

    /// From OpenSSL 3.5 on.
    #[test]
    #[ignore = "needs openssl; cargo xtask test runs it where it is installed"]
    fn agrees_on_post_quantum_keys_if_it_knows_them() {
        let listed = Command::new("openssl")
            .args(["list", "-kem-algorithms"])
            .output()
            .unwrap();
        let knows = String::from_utf8_lossy(&listed.stdout).contains("X25519MLKEM768");
        let group = if knows { "X25519MLKEM768" } else { "X25519" };
        let files = files();
        let served = Served::at(&format!("tls:0:certs={}/site", files.path().display()));
        let names = ["-servername", "a.test", "-groups", group];
        let (said, well) = s_client(&files, served.port, &names);
        assert!(
            well && said.contains("nobody a.test TLSv1_3 full"),
            "{said}"
        );
        assert!(said.contains(group), "{said}");
        served.end();
    }
}

mod with_sslscan {
    use super::*;

    #[test]
    #[ignore = "needs sslscan; cargo xtask test runs it where it is installed"]
    fn finds_no_old_version_and_no_weak_cipher() {
        let files = files();
        let served = Served::at(&format!("tls:0:certs={}/site", files.path().display()));
        let address = format!("127.0.0.1:{}", served.port);
        let mut command = Command::new("sslscan");
        let said = run(
            command.args(["--no-colour", "--sni-name=a.test", &address]),
            "",
        )
        .stdout;
        let said = String::from_utf8_lossy(&said);
        for (version, state) in [
            ("SSLv2", "disabled"),
            ("SSLv3", "disabled"),
            ("TLSv1.0", "disabled"),
            ("TLSv1.1", "disabled"),
            ("TLSv1.2", "enabled"),
            ("TLSv1.3", "enabled"),
        ] {
            let line = said.lines().find(|line| line.starts_with(version)).unwrap();
            assert!(line.ends_with(state), "{said}");
        }
        let ciphers: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("Preferred") || line.starts_with("Accepted"))
            .collect();
        assert!(ciphers.len() >= 6, "{said}");
        for cipher in ciphers {
            // Forward secrecy and authenticated encryption, in all of them.
            let good = ["TLS_AES_", "TLS_CHACHA20_", "ECDHE-"];
            assert!(good.iter().any(|good| cipher.contains(good)), "{cipher}");
            let sealed = ["GCM", "CHACHA20"];
            assert!(
                sealed.iter().any(|sealed| cipher.contains(sealed)),
                "{cipher}"
            );
        }
        assert!(said.contains("not vulnerable to heartbleed"), "{said}");
        served.end();
    }
}

mod with_curl {
    use super::*;

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn shows_its_certificate() {
        let files = files();
        let at = files.path().display();
        let served = Served::at(&format!(
            "tls:0:certs={at}/site:client-ca={at}/clients.pem:client-cert-optional"
        ));
        let curl = |name: &str, arguments: &[&str]| {
            let port = served.port;
            let mut command = Command::new("curl");
            command
                .current_dir(files.path())
                .args(["-sS", "--cacert", "root.pem"]);
            command.args(["--connect-to", &format!("::127.0.0.1:{port}")]);
            let output = run(command.args(arguments).arg(format!("https://{name}/")), "");
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let own = ["--cert", "ada.pem", "--key", "ada.key"];
        assert_eq!(curl("a.test", &own), "ada.test a.test TLSv1_3 full\n");
        assert_eq!(
            curl("x.b.test", &["--tls-max", "1.2"]),
            "nobody x.b.test TLSv1_2 full\n"
        );
        served.end();
    }

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn that_speaks_plain_http_is_named_for_it() {
        use ropewalk_core::tls::HandshakeFailure;
        let files = files();
        let served = Served::at(&format!("tls:0:certs={}/site", files.path().display()));
        let url = format!("http://127.0.0.1:{}/", served.port);
        let output = run(Command::new("curl").args(["-sS", "--http0.9", &url]), "");
        drop(output);
        let counts = served.end();
        assert_eq!(counts.failed(HandshakeFailure::PlainHttp), 1);
    }
}
