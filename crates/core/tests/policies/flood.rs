//! More peers than there may be, and all of them silent; and accepting when the
//! system lacks what it takes.
//!
//! The server is this program once more, in a process of its own, so that each
//! end has its own open files and memory.

use std::{
    collections::VecDeque,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use ropewalk_core::{
    Accepted, Address, Bound, BoxFuture, ListenError, Listener, Metrics, Peer, Scheme, Schemes,
    each, endpoint::Description, metrics::Exposition, raise_open_files, testing,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    time::{Instant, timeout},
};

use crate::{Echo, listen, lives, log};

/// How many come, how many may, and how long they may be silent.
struct Flood {
    peers: usize,
    limit: usize,
    idle: Duration,
}

fn flood() -> Flood {
    match std::env::var_os("ROPEWALK_DEEP").is_some() {
        // As many as wait at most on an ordinary Linux: net.core.somaxconn.
        true => Flood {
            peers: 10_000,
            limit: 7000,
            idle: Duration::from_secs(30),
        },
        false => Flood {
            peers: 500,
            limit: 350,
            idle: Duration::from_secs(4),
        },
    }
}

const IN_A_CHILD: &str = "ROPEWALK_FLOODED";
const NAME: &str = "flood::silent_peers_beyond_the_limit_wait_and_are_given_up";

/// The flooded server. It answers questions on its standard input.
#[expect(clippy::print_stdout, reason = "its answers")]
fn flooded() {
    raise_open_files().unwrap();
    testing::run_in_real_time(async {
        let flood = flood();
        let server = listen("tcp:0:backlog=4096", each::<Echo>(), |o| {
            o.limits.connections = flood.limit;
            o.limits.idle = Some(flood.idle);
        });
        let server = server.await;
        println!("listening {}", server.local_address());
        let mut questions = tokio::io::BufReader::new(tokio::io::stdin()).lines();
        while let Some(question) = questions.next_line().await.unwrap() {
            if question == "drain" {
                break;
            }
            let counts = server.counts();
            println!("counts {} {} {}", counts.open, counts.accepted, resident());
        }
        let second = Duration::from_secs(1);
        let leftover = server.drain(second, 20 * second).await;
        println!("cut {}", leftover.cut);
    });
}

/// The memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kibibytes * 1024
}

struct Flooded {
    child: Child,
    answers: BufReader<ChildStdout>,
}

struct Counts {
    open: usize,
    accepted: usize,
    memory: usize,
}

impl Flooded {
    fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(IN_A_CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    /// What it says behind a word, among what the test harness says.
    fn hear(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.answers.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("it ended without saying {word:?}");
    }

    fn tell(&mut self, what: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{what}").unwrap();
    }

    fn counts(&mut self) -> Counts {
        self.tell("counts");
        let counts = self.hear("counts ");
        let counts: Vec<usize> = counts.split(' ').map(|n| n.parse().unwrap()).collect();
        Counts {
            open: counts[0],
            accepted: counts[1],
            memory: counts[2],
        }
    }
}

impl Drop for Flooded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn silent_peers_beyond_the_limit_wait_and_are_given_up() {
    if std::env::var_os(IN_A_CHILD).is_some() {
        return flooded();
    }
    let Flood { peers, limit, .. } = flood();
    let open_files = raise_open_files().unwrap();
    assert!(
        open_files >= peers as u64 + 64,
        "{open_files} open files are too few for this test: raise the hard limit (ulimit -Hn)"
    );
    let mut server = Flooded::start();
    let address: SocketAddr = server.hear("listening ").parse().unwrap();
    let before = server.counts().memory;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // The kernel connects all of them: those beyond the limit in the backlog.
        let mut silent: VecDeque<_> = stream::iter(0..peers)
            .map(|_| async { TcpStream::connect(address).await.unwrap() })
            .buffered(64)
            .collect()
            .await;
        let mut full = server.counts();
        while full.open < limit {
            full = server.counts();
        }
        assert_eq!((full.open, full.accepted), (limit, limit));
        let grown = full.memory.saturating_sub(before);
        // A mebibyte for what a server takes once; a connection in a build that
        // is not optimised has about three kibibytes.
        assert!(
            grown <= (1 << 20) + limit * 8192,
            "{grown} bytes for {limit}"
        );

        // As many as go, so many come.
        silent.drain(..50);
        let mut served = server.counts();
        while served.accepted < limit + 50 {
            served = server.counts();
            assert!(served.open <= limit, "{} of {limit}", served.open);
        }

        // Whoever speaks is served, once those before have been silent for too
        // long and those that waited after them.
        let mut lone = TcpStream::connect(address).await.unwrap();
        let served = timeout(Duration::from_secs(100), lives(&mut lone)).await;
        assert!(served.expect("the idle limit makes room"));
        let counts = server.counts();
        assert_eq!(counts.accepted, peers + 1, "nobody was lost");
        let mut given_up = 0;
        for peer in &mut silent {
            let read = timeout(Duration::from_secs(100), peer.read(&mut [0; 1])).await;
            given_up += usize::from(matches!(read, Ok(Ok(0) | Err(_))));
            if given_up == limit - 50 {
                break;
            }
        }
        assert_eq!(given_up, limit - 50, "all that were there first");
        server.tell("drain");
        assert_eq!(server.hear("cut "), "0");
        assert_eq!(lone.read(&mut [0; 1]).await.unwrap(), 0);
    });
    assert!(server.child.wait().unwrap().success());
}

/// A listener that fails as it is told, and otherwise accepts what comes.
struct Failing(Mutex<Option<Errors>>);

struct Errors {
    /// Errors of the system, by number; none is a connection.
    next: VecDeque<Option<i32>>,
    /// The peers of those that were accepted.
    peers: std::sync::Arc<Mutex<Vec<DuplexStream>>>,
}

impl Scheme for Failing {
    fn name(&self) -> &str {
        "failing"
    }
    fn listen<'a>(
        &'a self,
        _: &'a Description,
        _: &'a Schemes,
    ) -> BoxFuture<'a, ropewalk_core::Result<Bound, ListenError>> {
        let listener = self.0.lock().unwrap().take().expect("once");
        Box::pin(async move { Ok(Bound::new(listener)) })
    }
}

impl Listener for Errors {
    fn poll_accept(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Accepted>>> {
        Poll::Ready(match self.next.pop_front() {
            Some(Some(number)) => Some(Err(io::Error::from_raw_os_error(number))),
            Some(None) => {
                let (near, far) = duplex(100);
                self.peers.lock().unwrap().push(near);
                let address = Address::Other("failing".into());
                Some(Ok(Accepted::new(far, Peer::new(address.clone()), address)))
            }
            None => None,
        })
    }
    fn local(&self) -> Address {
        Address::Other("failing".into())
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_system_lacks_is_waited_for() {
    const NO_MEMORY: i32 = 12;
    const NO_FILES: i32 = 23;
    const TOO_MANY_FILES: i32 = 24;
    const ABORTED: i32 = 103;
    const NO_BUFFERS: i32 = 105;
    let (said, ()) = log::heard(tracing::Level::INFO, || {
        testing::run(async {
            let peers = std::sync::Arc::new(Mutex::new(Vec::new()));
            let metrics = Metrics::new();
            let mut next: VecDeque<Option<i32>> = VecDeque::new();
            // Each of these waits: 10, 20, 40 and 80 ms.
            next.extend([NO_FILES, TOO_MANY_FILES, NO_BUFFERS, NO_MEMORY].map(Some));
            next.push_back(None);
            // Peers that are gone again say nothing about the next one.
            next.extend([Some(ABORTED); 1000]);
            next.push_back(None);
            // Begins anew, and reaches a second: 10, 20, … 640, then 1000 each.
            next.extend([Some(TOO_MANY_FILES); 10]);
            next.push_back(None);
            let errors = Errors {
                next,
                peers: peers.clone(),
            };
            let schemes = Schemes::new().add(Failing(Mutex::new(Some(errors))));
            let begun = Instant::now();
            let server = listen("failing:", each::<Echo>(), |o| {
                o.schemes = schemes;
                o.metrics = Some(metrics.clone());
            });
            let mut server = server.await;
            for (number, waited) in [(1, 150), (2, 150), (3, 150 + 1270 + 3000)] {
                let accepted = || {
                    let mut accepted = peers.lock().unwrap();
                    (accepted.len() >= number).then(|| accepted.remove(number - 1))
                };
                let mut peer = loop {
                    match accepted() {
                        Some(peer) => break peer,
                        None => tokio::time::sleep(Duration::from_millis(1)).await,
                    }
                };
                let elapsed = begun.elapsed().as_millis();
                assert!(elapsed.abs_diff(waited) <= 20, "{number}: {elapsed} ms");
                assert!(lives(&mut peer).await);
                peers.lock().unwrap().insert(number - 1, peer);
            }
            let page = metrics.render(Exposition::Prometheus);
            for (reason, times) in [("connection", 1000), ("system", 14)] {
                let sample = format!("reason=\"{reason}\"}} {times}\n");
                assert!(page.contains(&sample), "no {sample} in {page}");
            }
            let rest = std::mem::take(&mut *peers.lock().unwrap());
            for mut peer in rest {
                peer.shutdown().await.unwrap();
            }
            server.until_exhausted().await;
        });
    });
    assert_eq!(said.matches("cannot accept").count(), 1, "{said}");
}
