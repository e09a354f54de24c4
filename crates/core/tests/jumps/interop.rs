//! The same with the real programs: haproxy, curl, socat, microsocks, tinyproxy, systemd.
//!
//! A test stands in the module of the program that it needs, so that the runner can leave it out
//! where that is missing.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use ropewalk_core::{
    Address, ClientEndpoint, ConnectError, ConnectOptions, Connection, ProxyRefusal, Result,
    Server, ServerEndpoint, ServerOptions, testing::run_in_real_time, tls::TestCa,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A program that runs until it is dropped.
struct Daemon(Child);

impl Daemon {
    /// Starts it, and waits until it answers on its ports.
    fn start(command: &mut Command, ports: &[u16]) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut daemon = Self(child);
        for port in ports {
            while TcpStream::connect(("127.0.0.1", *port)).is_err() {
                let ended = daemon.0.try_wait().unwrap();
                assert!(ended.is_none(), "{command:?} ended: {ended:?}");
                std::thread::yield_now();
            }
        }
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ports that nobody has now.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Says who it speaks with, and what the proxy said besides.
async fn say(mut conn: Connection) -> Result {
    let peer = conn.peer();
    let mut said = format!("{peer} to {}", conn.local());
    if let Some(proxied) = &peer.proxied {
        let text = |bytes: &Option<Vec<u8>>| {
            String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
        };
        said += &format!(
            " id={} authority={:?}",
            text(&proxied.unique_id),
            proxied.authority
        );
        if let Some(tls) = &proxied.tls {
            said += &format!(" tls={:?} {}", tls.version, tls.certificate_shown);
        }
    }
    conn.write_all((said + "\n").as_bytes()).await?;
    conn.shutdown().await?;
    conn.linger().await;
    Ok(())
}

async fn serve(endpoint: &str) -> Server {
    let endpoint: ServerEndpoint = endpoint.parse().unwrap();
    endpoint.listen(say).await.unwrap()
}

/// What the other end says, to its end.
async fn heard(
    endpoint: impl AsRef<str>,
    options: &ConnectOptions,
) -> Result<String, ConnectError> {
    let endpoint: ClientEndpoint = endpoint.as_ref().parse().unwrap();
    let mut conn = endpoint.connect_with(options).await?;
    let mut said = String::new();
    conn.read_to_string(&mut said).await.unwrap();
    Ok(said)
}

async fn end(server: Server) {
    server.drain(Duration::ZERO, Duration::from_secs(5)).await;
}

fn reason(result: Result<String, ConnectError>) -> ProxyRefusal {
    match result {
        Err(ConnectError::Proxy { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

mod with_haproxy {
    use super::*;

    #[test]
    #[ignore = "needs haproxy; cargo xtask test runs it where it is installed"]
    fn its_headers_are_understood_and_ours_are_by_it() {
        run_in_real_time(async {
            let server = serve("haproxy/tcp:0").await;
            let to = server.port().unwrap();
            let [v1, v2, tls, accepts] = free_ports();
            let folder = tempfile::tempdir().unwrap();
            let ca = TestCa::new().unwrap();
            let (chain, key) = ca.issue(&["lab.test"]).unwrap();
            let pem = folder.path().join("lab.pem");
            std::fs::write(&pem, chain + &key).unwrap();
            let config = format!(
                "defaults\n  mode tcp\n  timeout connect 30s\n  timeout client 30s\n  timeout server 30s\n\
                 listen v1\n  bind 127.0.0.1:{v1}\n  server s 127.0.0.1:{to} send-proxy\n\
                 listen v2\n  bind 127.0.0.1:{v2}\n  unique-id-format %ci-id\n  \
                 server s 127.0.0.1:{to} send-proxy-v2 proxy-v2-options crc32c,unique-id\n\
                 listen tls\n  bind 127.0.0.1:{tls} ssl crt {}\n  \
                 server s 127.0.0.1:{to} send-proxy-v2 proxy-v2-options ssl,cert-cn,crc32c,authority\n\
                 listen accepts\n  bind 127.0.0.1:{accepts} accept-proxy\n  server s 127.0.0.1:{to} send-proxy-v2\n",
                pem.display()
            );
            let file = folder.path().join("haproxy.cfg");
            std::fs::write(&file, config).unwrap();
            let mut command = Command::new("haproxy");
            let _haproxy = Daemon::start(command.arg("-db").arg("-q").arg("-f").arg(&file), &[v1]);

            let mut options = ConnectOptions::default();
            let said = heard(format!("tcp:127.0.0.1:{v1}"), &options)
                .await
                .unwrap();
            assert!(said.starts_with("127.0.0.1:"), "{said}");
            assert!(said.contains(&format!(" to 127.0.0.1:{v1} ")), "{said}");
            let said = heard(format!("tcp:127.0.0.1:{v2}"), &options)
                .await
                .unwrap();
            assert!(
                said.contains(&format!(" to 127.0.0.1:{v2} id=127.0.0.1-id ")),
                "{said}"
            );

            options.tls = Some(ca.client().unwrap());
            let over_tls = format!("tls:127.0.0.1:{tls}:sni=lab.test");
            let said = heard(&over_tls, &options).await.unwrap();
            assert!(said.contains("authority=Some(\"lab.test\")"), "{said}");
            assert!(said.contains("tls=Some(\"TLSv1.3\") false"), "{said}");

            // Ours goes to it, and comes back by it.
            let (ann, here) = ("192.0.2.7:7777", "[2001:db8::1]:8888");
            for (ends, shown) in [
                (
                    Some((ann, "198.51.100.1:25")),
                    "192.0.2.7:7777 to 198.51.100.1:25",
                ),
                (
                    Some((here, here)),
                    "[2001:db8::1]:8888 to [2001:db8::1]:8888",
                ),
                (None, "127.0.0.1:"),
            ] {
                options.on_behalf_of = ends.map(|(client, to)| {
                    let inet = |text: &str| Address::Inet(text.parse().unwrap());
                    (inet(client), inet(to))
                });
                for version in [1, 2] {
                    let endpoint = format!("haproxy:version={version}/tcp:127.0.0.1:{accepts}");
                    let said = heard(&endpoint, &options).await.unwrap();
                    assert!(said.starts_with(shown), "version {version}: {said}");
                }
            }
            end(server).await;
        });
    }
}

/// Runs a program that must end well, and returns what it said.
async fn output(program: &str, arguments: &[&str], input: &str) -> String {
    let command = ropewalk_core::process::Command::new(program);
    let output = command
        .args(arguments)
        .output(input.to_owned())
        .await
        .unwrap();
    output.text().to_owned()
}

mod with_curl {
    use super::*;

    #[test]
    #[ignore = "needs curl; cargo xtask test runs it where it is installed"]
    fn its_header_is_understood() {
        run_in_real_time(async {
            let server = serve("haproxy/tcp:0").await;
            let url = format!("http://127.0.0.1:{}/", server.port().unwrap());
            let arguments = [
                "-sS",
                "--http0.9",
                "--haproxy-protocol",
                "--max-time",
                "60",
                &url,
            ];
            let said = output("curl", &arguments, "").await;
            let to = format!(" to 127.0.0.1:{} id=", server.port().unwrap());
            assert!(
                said.starts_with("127.0.0.1:") && said.contains(&to),
                "{said}"
            );
            end(server).await;
        });
    }
}

mod with_socat {
    use super::*;

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn a_header_may_come_over_a_unix_socket() {
        run_in_real_time(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s.sock");
            let server = serve(&format!("haproxy/unix:{}", path.display())).await;
            let to = format!("UNIX-CONNECT:{}", path.display());
            let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
            let said = output("socat", &["-t", "60", "-", &to], header).await;
            assert!(said.starts_with("192.0.2.1:1 to 192.0.2.2:2 "), "{said}");
            end(server).await;
        });
    }
}

mod with_microsocks {
    use super::*;

    #[test]
    #[ignore = "needs microsocks; cargo xtask test runs it where it is installed"]
    fn it_leads_on_by_name_and_address_and_to_another() {
        run_in_real_time(async {
            let [at, other, nobody] = free_ports();
            let start = |port: u16| {
                let mut command = Command::new("microsocks");
                let port_text = port.to_string();
                command.args(["-i", "127.0.0.1", "-p", &port_text]);
                Daemon::start(&mut command, &[port])
            };
            let _daemons = [start(at), start(other)];
            let options = ConnectOptions::default();
            let server = serve("tcp:0").await;
            let to = server.port().unwrap();
            for endpoint in [
                format!("socks5:127.0.0.1:{at}/tcp:127.0.0.1:{to}"),
                format!("socks5:localhost:{at}/tcp:localhost:{to}"),
                format!("socks5:127.0.0.1:{at}:resolve-locally/tcp:localhost:{to}"),
                format!("socks5:127.0.0.1:{at}/socks5:localhost:{other}/tcp:localhost:{to}"),
            ] {
                let said = heard(&endpoint, &options).await.unwrap();
                assert!(
                    said.contains(&format!(" to 127.0.0.1:{to}")),
                    "{endpoint}: {said}"
                );
            }
            let refused = heard(
                format!("socks5:127.0.0.1:{at}/tcp:127.0.0.1:{nobody}"),
                &options,
            );
            assert_eq!(reason(refused.await), ProxyRefusal::ConnectionRefused);
            end(server).await;
            let server = serve("tcp:[::1]:0").await;
            let to = server.port().unwrap();
            let said = heard(format!("socks5:127.0.0.1:{at}/tcp:[::1]:{to}"), &options).await;
            assert!(said.unwrap().contains(&format!(" to [::1]:{to}")));
            end(server).await;
        });
    }

    #[test]
    #[ignore = "needs microsocks; cargo xtask test runs it where it is installed"]
    fn it_asks_for_a_password() {
        run_in_real_time(async {
            let [at] = free_ports();
            let mut command = Command::new("microsocks");
            let port = at.to_string();
            command.args(["-i", "127.0.0.1", "-p", &port, "-u", "ann", "-P", "hunter2"]);
            let _daemon = Daemon::start(&mut command, &[at]);
            let folder = tempfile::tempdir().unwrap();
            let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
            std::fs::write(&good, "hunter2\n").unwrap();
            std::fs::write(&bad, "hunter3\n").unwrap();
            let options = ConnectOptions::default();
            let server = serve("tcp:0").await;
            let to = format!("tcp:localhost:{}", server.port().unwrap());
            let with = |file: &std::path::Path| {
                let file = ropewalk_core::endpoint::quote(file.to_str().unwrap());
                format!("socks5:127.0.0.1:{at}:user=ann:password-file={file}/{to}")
            };
            assert!(heard(&with(&good), &options).await.is_ok());
            let refused = heard(&with(&bad), &options).await;
            assert_eq!(reason(refused), ProxyRefusal::PasswordRefused);
            let refused = heard(format!("socks5:127.0.0.1:{at}/{to}"), &options).await;
            assert_eq!(reason(refused), ProxyRefusal::PasswordNeeded);
            end(server).await;
        });
    }
}

mod with_tinyproxy {
    use super::*;

    #[test]
    #[ignore = "needs tinyproxy; cargo xtask test runs it where it is installed"]
    fn it_leads_on_with_tls_inside_and_asks_for_a_password() {
        run_in_real_time(async {
            let [open, closed] = free_ports();
            let folder = tempfile::tempdir().unwrap();
            let start = |port: u16, more: &str| {
                let file = folder.path().join(format!("{port}.conf"));
                let config = format!(
                    "Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Critical\n{more}"
                );
                std::fs::write(&file, config).unwrap();
                let mut command = Command::new("tinyproxy");
                Daemon::start(command.arg("-d").arg("-c").arg(&file), &[port])
            };
            let _daemons = [start(open, ""), start(closed, "BasicAuth ann hunter2\n")];
            let password = folder.path().join("password");
            std::fs::write(&password, "hunter2\n").unwrap();
            let password = ropewalk_core::endpoint::quote(password.to_str().unwrap());

            let ca = TestCa::new().unwrap();
            let mut served = ServerOptions::default();
            served.tls = Some(ca.server(&["localhost"]).unwrap());
            let endpoint: ServerEndpoint = "tls:0".parse().unwrap();
            let server = endpoint.listen_with(say, served).await.unwrap();
            let to = server.port().unwrap();
            let mut options = ConnectOptions::default();
            options.tls = Some(ca.client().unwrap());
            for endpoint in [
                format!("http-connect:127.0.0.1:{open}/tls:localhost:{to}"),
                format!(
                    "http-connect:127.0.0.1:{closed}:user=ann:password-file={password}/tls:localhost:{to}"
                ),
                // Through the one to the other: tinyproxy refuses to be led to itself.
                format!(
                    "http-connect:127.0.0.1:{open}/http-connect:localhost:{closed}:user=ann:password-file={password}/tls:localhost:{to}"
                ),
            ] {
                let said = heard(&endpoint, &options).await.unwrap();
                assert!(
                    said.contains(&format!(" to 127.0.0.1:{to}")),
                    "{endpoint}: {said}"
                );
            }
            let refused = heard(
                format!("http-connect:127.0.0.1:{closed}/tls:localhost:{to}"),
                &options,
            );
            assert_eq!(reason(refused.await), ProxyRefusal::PasswordNeeded);
            let refused = heard(
                format!("http-connect:127.0.0.1:{open}/tcp:nobody.invalid:1"),
                &options,
            );
            let refused = reason(refused.await);
            assert!(
                matches!(refused, ProxyRefusal::Http { status: 500.., .. }),
                "{refused}"
            );
            end(server).await;
        });
    }
}

mod with_systemd_socket_activate {
    use super::*;

    const ACTIVATED: &str = "ROPEWALK_ACTIVATED";

    /// It has itself started by a connection, as a child that takes it.
    #[test]
    #[ignore = "needs systemd-socket-activate; cargo xtask test runs it where it is installed"]
    fn a_connection_starts_the_server() {
        const NAME: &str = "interop::with_systemd_socket_activate::a_connection_starts_the_server";
        if std::env::var_os(ACTIVATED).is_some() {
            return run_in_real_time(async {
                let server = serve("systemd:name=web").await;
                server.until_signal().await.unwrap();
            });
        }
        let [port] = free_ports();
        let listen = format!("127.0.0.1:{port}");
        let me = std::env::current_exe().unwrap();
        let mut command = Command::new("systemd-socket-activate");
        command.args([
            "-l",
            &listen,
            "--fdname=web",
            "-E",
            &format!("{ACTIVATED}=1"),
        ]);
        command.arg(me).args(["--exact", NAME, "--include-ignored"]);
        command.stdout(Stdio::null());
        // The connection that sees whether it listens is the one that starts it.
        let _daemon = Daemon::start(&mut command, &[port]);
        run_in_real_time(async {
            let said = heard(format!("tcp:{listen}"), &ConnectOptions::default())
                .await
                .unwrap();
            assert!(said.contains(&format!(" to {listen}")), "{said}");
        });
    }
}
