//! Other name servers, run by a test: unprivileged, in a scratch folder, at a
//! port of loopback that was free.

use std::{
    fmt::Write,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// A server that runs until it is dropped.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    child: Child,
    folder: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Politely, since NSD has children of its own.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").arg(pid).status();
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free for both kinds of sockets, as far as one can know.
pub(crate) fn free_port() -> u16 {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = udp.local_addr().unwrap().port();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn start(
    program: &str,
    zones: &[(&str, PathBuf)],
    arguments: impl Fn(&Path) -> Vec<String>,
    configuration: impl Fn(&Path, u16, &[(&str, PathBuf)]) -> String,
) -> Daemon {
    // A port may be taken in between: another try, then.
    for _ in 0..5 {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let file = folder.path().join("conf");
        fs::write(&file, configuration(folder.path(), port, zones)).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments(&file))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}"));
        let mut daemon = Daemon {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            child,
            folder,
        };
        if daemon.answers(zones) {
            return daemon;
        }
        let log = fs::read_to_string(daemon.folder.path().join("log")).unwrap_or_default();
        eprintln!("{program} did not serve:\n{log}");
    }
    panic!("{program} cannot be started");
}

impl Daemon {
    /// The number of its first process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until all zones are served.
    fn answers(&mut self, zones: &[(&str, PathBuf)]) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        let mut client = crate::ask::Client::new(self.address, Duration::from_millis(200));
        zones.iter().all(|(name, _)| {
            while Instant::now() < end {
                if let Ok(Some(_)) = self.child.try_wait() {
                    return false;
                }
                let answer = client.try_udp(&crate::ask::question(name, "SOA"));
                if answer.is_some_and(|answer| answer[3] & 0xF == 0 && answer[7] > 0) {
                    return true;
                }
            }
            false
        })
    }
}

/// NSD with one server process and no limits.
pub(crate) fn nsd(zones: &[(&str, PathBuf)]) -> Daemon {
    let arguments = |file: &Path| vec!["-d".into(), "-c".into(), file.display().to_string()];
    start("nsd", zones, arguments, |folder, port, zones| {
        let folder = folder.display();
        let mut text = format!(
            "server:\n server-count: 1\n ip-address: 127.0.0.1@{port}\n port: {port}\n username: \"\"\n \
             chroot: \"\"\n zonesdir: \"{folder}\"\n database: \"\"\n pidfile: \"{folder}/pid\"\n \
             xfrdfile: \"{folder}/xfrd\"\n xfrdir: \"{folder}\"\n zonelistfile: \"{folder}/list\"\n \
             minimal-responses: yes\n rrl-ratelimit: 0\n round-robin: no\n answer-cookie: no\n \
             ipv4-edns-size: 1232\n ipv6-edns-size: 1232\nremote-control:\n control-enable: no\n"
        );
        for (name, file) in zones {
            let file = file.display();
            let _ = write!(
                text,
                "zone:\n name: {name}\n zonefile: {file}\n provide-xfr: 127.0.0.1 NOKEY\n"
            );
        }
        text
    })
}

/// Knot with one worker for each kind of socket.
pub(crate) fn knot(zones: &[(&str, PathBuf)]) -> Daemon {
    let arguments = |file: &Path| vec!["-c".into(), file.display().to_string()];
    start("knotd", zones, arguments, |folder, port, zones| {
        let folder = folder.display();
        let mut text = format!(
            "server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  tcp-workers: 1\n  \
             background-workers: 1\n  tcp-idle-timeout: 120\n  udp-max-payload: 1232\ndatabase:\n  storage: {folder}\n\
             log:\n - target: stderr\n   any: warning\nzone:\n"
        );
        for (name, file) in zones {
            let file = file.display();
            let _ = writeln!(
                text,
                " - domain: {name}\n   file: {file}\n   zonefile-sync: -1"
            );
        }
        text
    })
}

/// BIND as an authority.
pub(crate) fn named(zones: &[(&str, PathBuf)]) -> Daemon {
    let arguments = |file: &Path| vec!["-g".into(), "-c".into(), file.display().to_string()];
    start("named", zones, arguments, |folder, port, zones| {
        let folder = folder.display();
        let mut text = format!(
            "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; \
             listen-on-v6 {{ none; }}; pid-file none; recursion no; session-keyfile none; }};\n\
             controls {{ }};\n"
        );
        for (name, file) in zones {
            let file = file.display();
            let _ = writeln!(
                text,
                "zone \"{name}\" {{ type primary; file \"{file}\"; }};"
            );
        }
        text
    })
}

/// Unbound with one thread and zones of its own; `more` is put behind its options.
pub(crate) fn unbound(zones: &[(&str, PathBuf)], more: impl Fn(&Path) -> String) -> Daemon {
    let arguments = |file: &Path| vec!["-d".into(), "-c".into(), file.display().to_string()];
    start("unbound", zones, arguments, |folder, port, zones| {
        let mut text = format!(
            "server:\n interface: 127.0.0.1@{port}\n port: {port}\n num-threads: 1\n chroot: \"\"\n \
             username: \"\"\n directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n \
             do-not-query-localhost: no\n module-config: \"iterator\"\n \
             local-zone: \"test.\" nodefault\n{}",
            folder.display(),
            more(folder)
        );
        for (name, file) in zones {
            let file = file.display();
            // One that is elsewhere is asked about, as `more` says.
            if !file.to_string().is_empty() {
                let _ = write!(
                    text,
                    "auth-zone:\n name: {name}\n zonefile: {file}\n for-downstream: yes\n for-upstream: no\n"
                );
            }
        }
        text
    })
}
