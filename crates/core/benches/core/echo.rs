//! Echo: small messages, large ones, and lines by the hundred.

use std::{io, time::Duration};

use ropewalk_core::{Bytes, Input, Protocol, Result, ServerOptions, Transport, each};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use ropewalk_bench_kit::{
    Line, Load, Options, Running, Sample, Side, Spread, Target, by_hand, compare, connect,
    print_samples,
};

use crate::side::ropewalk;

/// Answers with what it got: the whole of the program.
#[derive(Default)]
pub(crate) struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        t.write(data);
        Ok(())
    }
}

/// Answers each line by itself.
#[derive(Default)]
struct EchoLines;

impl Protocol for EchoLines {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Result {
        for line in data.lines(8192) {
            t.write(line?);
            t.write("\n");
        }
        Ok(())
    }
}

pub(crate) const OURS: Side = Side {
    name: "ropewalk",
    serve: |told| ropewalk("tcp:0", each::<Echo>(), ServerOptions::default(), told),
};

const OUR_LINES: Side = Side {
    name: "ropewalk, lines()",
    serve: |told| ropewalk("tcp:0", each::<EchoLines>(), ServerOptions::default(), told),
};

/// The loop that one would write by hand, and the least that one would want of
/// it in production: it ends by a signal, and when its peer says nothing.
async fn echo(mut stream: TcpStream, size: usize, stop: CancellationToken) -> io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let read = timeout(Duration::from_secs(3600), stream.read(&mut buffer));
        let n = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            read = read => read??,
        };
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// The same, with the signal waited for once and not once a message: what one
/// would write who has measured it.
async fn echo_outer(stream: TcpStream, size: usize, stop: CancellationToken) -> io::Result<()> {
    async fn serve(mut stream: TcpStream, size: usize) -> io::Result<()> {
        let mut buffer = vec![0; size];
        loop {
            let n = timeout(Duration::from_secs(3600), stream.read(&mut buffer)).await??;
            if n == 0 {
                return Ok(());
            }
            stream.write_all(&buffer[..n]).await?;
        }
    }
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        done = serve(stream, size) => done,
    }
}

/// Lines as tokio's documentation would have them, flushed when none is left.
async fn echo_lines(mut stream: TcpStream) -> io::Result<()> {
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::new(writer));
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        writer.write_all(&line).await?;
        line.clear();
        if reader.buffer().is_empty() {
            writer.flush().await?;
        }
    }
    Ok(())
}

/// What is sent, and by how many.
#[derive(Clone, Copy)]
pub(crate) struct Echoes {
    connections: usize,
    /// Bytes sent at a time, and awaited before more are sent.
    size: usize,
    /// Lines among them.
    lines: usize,
    /// How often, in one turn.
    times: usize,
}

impl Echoes {
    pub(crate) const SMALL: Self = Self {
        connections: 64,
        size: 64,
        lines: 1,
        times: 8,
    };
    const LARGE: Self = Self {
        connections: 8,
        size: 64 * 1024,
        lines: 1,
        times: 12,
    };
    const LINES: Self = Self {
        connections: 8,
        size: 1600,
        lines: 100,
        times: 20,
    };
}

/// 64 bytes over 64 connections.
pub(crate) fn small(options: &Options) -> Vec<Line> {
    const HAND: Side = Side {
        name: "by hand",
        serve: |told| {
            let stop = CancellationToken::new();
            by_hand(move |s| echo_outer(s, 8192, stop.clone()), told)
        },
    };
    const SELECTING: Side = Side {
        name: "by hand, select! inside",
        serve: |told| {
            let stop = CancellationToken::new();
            by_hand(move |s| echo(s, 8192, stop.clone()), told)
        },
    };
    let sides = [HAND, HAND.again(), SELECTING, OURS];
    let samples = compare(&sides, &Echoes::SMALL, options);
    print_samples("echo of 64 B, 64 connections", &sides, &samples);
    vec![cpu_line(
        "echo 64 B, 64 connections: server CPU a message",
        "hand-written loop with idle timeout and shutdown",
        &samples[3],
        &samples[0],
        Target::AtMost(1.02),
    )]
}

/// 64 KiB over 8 connections.
pub(crate) fn large(options: &Options) -> Vec<Line> {
    const HAND: Side = Side {
        name: "by hand",
        serve: |told| {
            let stop = CancellationToken::new();
            by_hand(move |s| echo_outer(s, 64 * 1024, stop.clone()), told)
        },
    };
    let sides = [HAND, HAND.again(), OURS];
    let samples = compare(&sides, &Echoes::LARGE, options);
    print_samples("echo of 64 KiB, 8 connections", &sides, &samples);
    let (ours, theirs) = (&samples[2], &samples[0]);
    vec![Line {
        what: "echo 64 KiB, 8 connections: throughput".into(),
        peer: "the same loop with a 64 KiB buffer",
        ours: throughput(ours),
        theirs: throughput(theirs),
        ratio: Spread::of_ratios(ours, theirs, |s| s.rate),
        target: Target::AtLeast(0.98),
    }]
}

/// A hundred lines at a time.
pub(crate) fn lines(options: &Options) -> Vec<Line> {
    const HAND: Side = Side {
        name: "BufReader and BufWriter",
        serve: |told| by_hand(echo_lines, told),
    };
    let sides = [HAND, HAND.again(), OUR_LINES];
    let samples = compare(&sides, &Echoes::LINES, options);
    let title = "100 pipelined lines of 16 B, 8 connections";
    print_samples(title, &sides, &samples);
    vec![cpu_line(
        "100 pipelined lines, `lines()`: server CPU a line",
        "BufReader + BufWriter",
        &samples[2],
        &samples[0],
        Target::AtMost(0.90),
    )]
}

pub(crate) fn cpu_line(
    what: &str,
    peer: &'static str,
    ours: &[Sample],
    theirs: &[Sample],
    target: Target,
) -> Line {
    let cpu = |samples: &[Sample]| {
        let cpu = Spread::of(samples.iter().map(|s| s.cpu)).median;
        format!("{cpu:.0} ns")
    };
    Line {
        what: what.into(),
        peer,
        ours: cpu(ours),
        theirs: cpu(theirs),
        ratio: Spread::of_ratios(ours, theirs, |s| s.cpu),
        target,
    }
}

fn throughput(samples: &[Sample]) -> String {
    let rate = Spread::of(samples.iter().map(|s| s.rate)).median;
    format!("{:.0} MiB/s", rate / 16.0)
}

impl Load for Echoes {
    type Clients = Vec<TcpStream>;

    async fn connect(&self, server: &Running) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..self.connections {
            streams.push(connect(server.address).await);
        }
        streams
    }

    async fn work(&self, streams: &mut Vec<TcpStream>) -> usize {
        let line = [&vec![b'x'; self.size / self.lines - 1][..], b"\n"].concat();
        let message: Bytes = line.repeat(self.lines).into();
        let clients: Vec<_> = streams
            .drain(..)
            .map(|stream| tokio::spawn(client(stream, message.clone(), self.times)))
            .collect();
        for client in clients {
            streams.push(client.await.unwrap());
        }
        self.connections * self.times * self.lines
    }
}

/// Sends, waits for the echo, and sends again.
async fn client(mut stream: TcpStream, message: Bytes, times: usize) -> TcpStream {
    let mut answer = vec![0; message.len()];
    for _ in 0..times {
        if message.len() <= 4096 {
            stream.write_all(&message).await.unwrap();
            stream.read_exact(&mut answer).await.unwrap();
        } else {
            // Both ways at once: neither side could take it all.
            let (mut read, mut write) = stream.split();
            tokio::try_join!(write.write_all(&message), read.read_exact(&mut answer)).unwrap();
        }
    }
    stream
}
