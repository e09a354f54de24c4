//! Forwarding: bytes from a backend through a forward to clients, in the clear
//! and with TLS ended on the way, beside haproxy.
//!
//! It is left out where haproxy is not installed.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
};

use ropewalk_core::{
    ClientEndpoint, Connection, Result, ServerOptions, relay,
    tls::{ServerName, TlsServer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Side, Spread, Target, by_hand, compare_servers, connect,
    print_samples,
};

use crate::{
    echo::cpu_line,
    idle::{CERTIFICATE, Stream},
    side::ropewalk,
};

const CONNECTIONS: usize = 8;

/// What a client asks for at a time, in bytes.
const PIECE: usize = 1 << 20;

/// Where the bytes come from: a server of ours, the same for all sides.
static BACKEND: OnceLock<SocketAddr> = OnceLock::new();

fn backend() -> SocketAddr {
    *BACKEND.get().expect("it starts first")
}

/// For each byte that it gets, a piece of many.
const SOURCE: Side = Side {
    name: "source",
    serve: |told| {
        by_hand(
            async |mut stream: TcpStream| {
                let piece = vec![b'x'; PIECE];
                while stream.read_u8().await.is_ok() {
                    stream.write_all(&piece).await?;
                }
                Ok(())
            },
            told,
        )
    },
};

const OURS: Side = Side {
    name: "ropewalk",
    serve: |told| ropewalk("tcp:0", forward, ServerOptions::default(), told),
};

const OURS_TLS: Side = Side {
    name: "ropewalk",
    serve: |told| {
        let mut options = ServerOptions::default();
        options.tls = Some(TlsServer::from_config(CERTIFICATE.server.clone()));
        ropewalk("tls:0", forward, options, told)
    },
};

async fn forward(near: Connection) -> Result {
    let to: ClientEndpoint = format!("tcp:{}", backend()).parse()?;
    Ok(relay(near, to.connect().await?).await?)
}

/// haproxy as it comes, and with splicing, which it can do where bytes are not
/// ciphered.
pub(crate) fn forwards(options: &Options) -> Vec<Line> {
    let found = Command::new("haproxy").arg("-v").output();
    let Some(version) = found.ok().and_then(|v| String::from_utf8(v.stdout).ok()) else {
        println!("skipped forwards: haproxy is not installed\n");
        return Vec::new();
    };
    println!("{}\n", version.lines().next().unwrap_or_default());
    let source = SOURCE.start();
    let address = *BACKEND.get_or_init(|| source.address);
    assert_eq!(address, source.address, "it is measured once in a run");
    let lines = [false, true].map(|tls| rows(tls, options));
    source.stop();
    lines.into_iter().flatten().collect()
}

fn rows(tls: bool, options: &Options) -> Vec<Line> {
    let ours = if tls { OURS_TLS } else { OURS };
    let haproxy = Side {
        name: "haproxy",
        ..OURS
    };
    let splicing = Side {
        name: "haproxy, splicing",
        ..OURS
    };
    let start_ours = || ours.start();
    let as_it_comes = || haproxy_process(tls, false);
    let spliced = || haproxy_process(tls, true);
    let servers: [&dyn Fn() -> Running; 3] = [&as_it_comes, &spliced, &start_ours];
    let samples = compare_servers(&servers, &Pieces { tls }, options);
    let what = match tls {
        false => "TCP forward",
        true => "TLS-terminating forward",
    };
    print_samples(
        &format!("{what}, {CONNECTIONS} connections, a MiB at a time"),
        &[haproxy, splicing, ours],
        &samples,
    );
    let rate = |samples: &[ropewalk_bench_kit::Sample]| {
        let rate = Spread::of(samples.iter().map(|s| s.rate)).median;
        format!("{rate:.0} MiB/s")
    };
    let mut lines = Vec::new();
    let mut against = |peer, theirs: usize, target| {
        lines.push(Line {
            what: format!("{what}, {CONNECTIONS} connections: throughput"),
            peer,
            ours: rate(&samples[2]),
            theirs: rate(&samples[theirs]),
            ratio: Spread::of_ratios(&samples[2], &samples[theirs], |s| s.rate),
            target,
        });
    };
    against("haproxy", 0, Target::AtLeast(1.0));
    if !tls {
        against("haproxy, option splice-auto", 1, Target::None);
    }
    let what = "the same: server CPU a MiB";
    lines.push(cpu_line(
        what,
        "haproxy",
        &samples[2],
        &samples[0],
        Target::None,
    ));
    lines
}

/// haproxy with one thread, at a port that was free a moment ago.
fn haproxy_process(tls: bool, splice: bool) -> Running {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let folder = folder(tls).unwrap();
    let pem = folder.join("both.pem");
    let config = folder.join("haproxy.cfg");
    let crt = match tls {
        true => format!(" ssl crt {}", pem.display()),
        false => String::new(),
    };
    let splice = if splice { "option splice-auto" } else { "" };
    let text = format!(
        "global\n nbthread 1\n\
         defaults\n mode tcp\n timeout connect 10s\n timeout client 1h\n timeout server 1h\n {splice}\n\
         listen forward\n bind {address}{crt}\n server source {}\n",
        backend()
    );
    fs::write(&config, text).unwrap();
    let child = Command::new("haproxy")
        .args(["-db", "-q", "-f"])
        .arg(&config)
        .stdin(Stdio::null())
        .spawn();
    let running = Running::process(child.unwrap(), address);
    while std::net::TcpStream::connect(address).is_err() {
        thread::yield_now();
    }
    running
}

/// A folder beside the benchmark's program, with the certificate.
fn folder(tls: bool) -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.with_file_name("haproxy");
    fs::create_dir_all(&folder)?;
    if tls {
        fs::write(folder.join("both.pem"), &CERTIFICATE.pem)?;
    }
    Ok(folder)
}

struct Pieces {
    tls: bool,
}

impl Load for Pieces {
    type Clients = Vec<Box<dyn Stream>>;

    async fn connect(&self, server: &Running) -> Self::Clients {
        let mut clients: Self::Clients = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = connect(server.address).await;
            clients.push(match self.tls {
                false => Box::new(stream),
                true => {
                    let connector = TlsConnector::from(CERTIFICATE.client.clone());
                    let name = ServerName::try_from("localhost").unwrap();
                    Box::new(connector.connect(name, stream).await.unwrap())
                }
            });
        }
        clients
    }

    /// Counts in MiB.
    async fn work(&self, clients: &mut Self::Clients) -> usize {
        let tasks: Vec<_> = clients
            .drain(..)
            .map(|client| tokio::spawn(fetch(client)))
            .collect();
        for task in tasks {
            clients.push(task.await.unwrap());
        }
        CONNECTIONS
    }
}

async fn fetch(mut stream: Box<dyn Stream>) -> Box<dyn Stream> {
    stream.write_all(b"?").await.unwrap();
    stream.flush().await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let mut left = PIECE;
    while left > 0 {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "the forward broke off");
        left -= n;
    }
    stream
}
