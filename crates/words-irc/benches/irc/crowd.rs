//! Ten thousand connections: what each costs idle, and how long a message takes
//! to all of them in one channel.
//!
//! A process of its own holds the clients of a server, so that each side has
//! its own open files, and keeps to the cores that the server is not on: on the
//! server's core the last client would wait for nine thousand others to read.
//! Memory is what the server's process grew by, as the system counts it
//! (VmRSS), which has all that an allocator keeps.

use std::{
    env, fs,
    io::{self, BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Instant,
};

use futures_util::future::join_all;
use ropewalk_bench_kit::{
    Line, Options, Running, Sample, Spread, Target,
    meter::{self, CpuClock},
    runtime,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _},
    net::TcpStream,
    sync::{Semaphore, mpsc},
};

use crate::{
    client::{Client, within},
    fanout::against_best,
    peers::{Server, servers},
};

fn members(options: &Options) -> usize {
    match options.quick {
        true => 1000,
        false => 10_000,
    }
}

/// Ours may hold so many bytes a client.
const MOST: f64 = 4000.0;

/// Both rows.
pub(crate) fn crowd(options: &Options) -> Vec<Line> {
    let members = members(options);
    let servers = servers();
    // What it does for one grows with how many there are: it takes the better part
    // of a minute to let ten thousand in, before any of them joins.
    let patient = |server: &&Server| options.quick || **server != Server::Ngircd;
    let servers: Vec<_> = servers.iter().filter(patient).copied().collect();
    let mut lines = Vec::new();
    let mut crowds: Vec<_> = servers
        .iter()
        .map(|server| Crowd::gather(*server, members))
        .collect();
    println!("memory of {members} registered clients, each");
    for crowd in &crowds {
        println!("  {:<24}{:>8.0} B", crowd.name, crowd.memory);
    }
    println!();
    let (ours, theirs) = crowds.split_last().expect("ours is always measured");
    for peer in theirs {
        lines.push(Line {
            what: format!("{members} idle clients, registered: memory each"),
            peer: peer.name,
            ours: format!("{:.0} B", ours.memory),
            theirs: format!("{:.0} B", peer.memory),
            ratio: Spread::of([ours.memory / peer.memory]),
            target: Target::Bytes {
                most: MOST,
                held: ours.memory,
            },
        });
    }
    for crowd in &mut crowds {
        crowd.tell("join");
    }
    let mut samples = vec![Vec::new(); crowds.len()];
    for round in 0..options.rounds {
        for i in 0..crowds.len() {
            // Another one first each time.
            let next = (i + round) % crowds.len();
            samples[next].push(crowds[next].message(members));
        }
    }
    let what = format!("one message to {members} in one channel: p99");
    println!("{what}, and server CPU a delivery");
    for (crowd, own) in crowds.iter().zip(&samples) {
        let p99 = Spread::of(own.iter().map(|s| s.p99 / 1e6));
        let cpu = Spread::of(own.iter().map(|s| s.sample.cpu));
        println!("  {:<24}{p99} ms, {cpu} ns", crowd.name);
    }
    println!();
    crowds.into_iter().for_each(Crowd::disperse);
    // A sample's time of the clients stands where its processor time would.
    let latencies: Vec<Vec<Sample>> = samples
        .iter()
        .map(|own| own.iter().map(Message::latency).collect())
        .collect();
    let costs: Vec<Vec<Sample>> = samples
        .iter()
        .map(|own| own.iter().map(|message| message.sample).collect())
        .collect();
    lines.extend(
        against_best(&servers, &latencies, |s| s.cpu, Target::AtMost(0.5)).map(
            |(peer, ratio, [ours, theirs], target)| Line {
                what: what.clone(),
                peer,
                ours: format!("{:.1} ms", ours / 1e6),
                theirs: format!("{:.1} ms", theirs / 1e6),
                ratio,
                target,
            },
        ),
    );
    lines.extend(against_best(&servers, &costs, |s| s.cpu, Target::None).map(
        |(peer, ratio, [ours, theirs], target)| Line {
            what: "the same: server CPU a delivery".into(),
            peer,
            ours: format!("{ours:.0} ns"),
            theirs: format!("{theirs:.0} ns"),
            ratio,
            target,
        },
    ));
    lines
}

/// A server with its clients.
struct Crowd {
    name: &'static str,
    /// Bytes a client, before any joined.
    memory: f64,
    server: Running,
    holder: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What one message cost.
#[derive(Clone)]
struct Message {
    /// Nanoseconds until all but one in a hundred had it.
    p99: f64,
    sample: Sample,
}

impl Message {
    fn latency(&self) -> Sample {
        Sample {
            cpu: self.p99,
            ..self.sample
        }
    }
}

impl Crowd {
    fn gather(server: Server, members: usize) -> Self {
        let running = server.start();
        let before = memory(&running.cpu).unwrap();
        let mut holder = Command::new(env::current_exe().unwrap())
            .args([HOLD, &format!("{} {members}", running.address)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let ask = holder.stdin.take().expect("it is piped");
        let answers = BufReader::new(holder.stdout.take().expect("it is piped"));
        let mut crowd = Self {
            name: server.name(),
            memory: 0.0,
            server: running,
            holder,
            ask,
            answers,
        };
        crowd.answer();
        crowd.memory = (memory(&crowd.server.cpu).unwrap() - before) / members as f64;
        crowd
    }

    fn tell(&mut self, what: &str) -> String {
        writeln!(self.ask, "{what}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(!answer.is_empty(), "{}: its clients failed", self.name);
        answer
    }

    fn message(&mut self, members: usize) -> Message {
        let before = self.server.cpu.read().unwrap();
        let p99: f64 = self.tell("speak").trim().parse().unwrap();
        let cpu = self.server.cpu.read().unwrap() - before;
        let sample = Sample {
            rate: 1e9 / p99,
            cpu: cpu / members as f64,
            allocations: 0.0,
        };
        Message { p99, sample }
    }

    fn disperse(mut self) {
        self.holder.kill().unwrap();
        self.holder.wait().unwrap();
        self.server.stop();
    }
}

/// Bytes that a process has in memory.
fn memory(process: &CpuClock) -> io::Result<f64> {
    let CpuClock::Process(id) = process else {
        return Err(io::Error::other("a thread has no memory of its own"));
    };
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|it| it.split_whitespace().next());
    let kilobytes: f64 = kilobytes
        .unwrap_or_default()
        .parse()
        .map_err(io::Error::other)?;
    Ok(kilobytes * 1024.0)
}

/// The argument by which this program becomes the one that holds them.
pub(crate) const HOLD: &str = "--hold";

/// Registers so many clients (`ADDRESS NUMBER`) and says so; then does, line by
/// line, what it is told to: `join` a channel, `speak` in it and say after how
/// many nanoseconds all but one in a hundred had heard it.
pub(crate) fn hold(what: &str) -> io::Result<()> {
    let (address, members) = what.split_once(' ').unwrap_or_default();
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let members: usize = members.parse().map_err(io::Error::other)?;
    meter::leave_this_core()?;
    let _ = ropewalk_core::raise_open_files();
    runtime().block_on(async {
        let mut clients = Vec::new();
        for _ in 0..=members {
            clients.push(Client::connect(address).await);
        }
        let newcomers = clients.iter_mut().enumerate();
        let registered =
            join_all(newcomers.map(async |(n, client)| client.register(&format!("m{n}")).await));
        within("all to register", registered).await;
        let mut speaker = clients.pop().expect("there is one more than members");
        say("registered")?;
        let mut orders = tokio::io::BufReader::new(tokio::io::stdin()).lines();
        let (heard, mut hearings) = mpsc::unbounded_channel();
        while let Some(order) = orders.next_line().await? {
            if order == "join" {
                // Many at a time: alone, each would wait for all before it to hear of it; all
                // in one go, a server holds half the square of them in lines.
                let joined = Arc::new(Semaphore::new(0));
                let mut newcomers = clients.drain(..).peekable();
                while newcomers.peek().is_some() {
                    let mut wave = 0;
                    for mut client in newcomers.by_ref().take(WAVE) {
                        let (heard, joined) = (heard.clone(), joined.clone());
                        tokio::spawn(async move {
                            client.send(&format!("JOIN {CHANNEL}\r\n")).await;
                            client.skip_to(" 366 ").await;
                            joined.add_permits(1);
                            // It reads on meanwhile, of those who come after it.
                            client.skip_to(" PRIVMSG ").await;
                            let _ = heard.send(Instant::now());
                            listen(client.into_stream(), &heard).await;
                        });
                        wave += 1;
                    }
                    let all = joined.acquire_many(wave);
                    within("newcomers to join", all).await.unwrap().forget();
                }
                speaker.join(CHANNEL).await;
                speaker.send(MESSAGE).await;
                hear(&mut hearings, members).await;
                say("joined")?;
            } else {
                let begun = Instant::now();
                speaker.send(MESSAGE).await;
                let mut times = hear(&mut hearings, members).await;
                times.sort();
                let p99 = times[members * 99 / 100].duration_since(begun);
                say(&p99.as_nanos().to_string())?;
            }
        }
        Ok(())
    })
}

/// When each member heard it.
async fn hear(hearings: &mut mpsc::UnboundedReceiver<Instant>, members: usize) -> Vec<Instant> {
    let mut times = Vec::with_capacity(members);
    within("all members to hear the message", async {
        while times.len() < members {
            times.push(hearings.recv().await.expect("we have a sender, too"));
        }
    })
    .await;
    times
}

/// Clients that join at the same time.
const WAVE: usize = 500;
const CHANNEL: &str = "#bench";
const MESSAGE: &str = "PRIVMSG #bench :the rope is made of strands, each of them of yarns\r\n";

fn say(what: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{what}")?;
    io::stdout().flush()
}

async fn listen(mut stream: TcpStream, heard: &mpsc::UnboundedSender<Instant>) {
    let mut buffer = [0; 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        for _ in memchr::memchr_iter(b'\n', &buffer[..n]) {
            let _ = heard.send(Instant::now());
        }
    }
}
