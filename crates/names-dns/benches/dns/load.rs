//! Clients that keep questions in flight.

use std::time::Duration;

use ropewalk_bench_kit::{Load, Running};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

/// Sockets, each with questions in flight.
const SOCKETS: usize = 4;

/// Questions in flight on each socket.
const IN_FLIGHT: usize = 16;

/// Questions of one turn on each socket.
const TURN: usize = 32 * IN_FLIGHT;

/// A server that says nothing for so long is none.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks over UDP.
pub(crate) struct Udp(pub(crate) Vec<Vec<u8>>);

/// Sockets, and which question comes next.
pub(crate) struct Clients<S> {
    sockets: Vec<S>,
    next: usize,
}

impl Load for Udp {
    type Clients = Clients<UdpSocket>;

    async fn connect(&self, server: &Running) -> Self::Clients {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(server.address).await.unwrap();
            sockets.push(socket);
        }
        Clients { sockets, next: 0 }
    }

    async fn work(&self, clients: &mut Self::Clients) -> usize {
        let mut buffer = [0; 2048];
        for _ in 0..TURN / IN_FLIGHT {
            for socket in &clients.sockets {
                for _ in 0..IN_FLIGHT {
                    let question = &self.0[clients.next];
                    clients.next = (clients.next + 1) % self.0.len();
                    socket.send(question).await.unwrap();
                }
            }
            for socket in &clients.sockets {
                for _ in 0..IN_FLIGHT {
                    let answer = timeout(PATIENCE, socket.recv(&mut buffer));
                    let length = answer.await.expect("no datagram is lost").unwrap();
                    assert!(
                        length > 12 && buffer[2] & 0x82 == 0x80,
                        "an answer, and whole"
                    );
                }
            }
        }
        SOCKETS * TURN
    }
}

/// Asks over TCP, pipelined: for each answer that was read, another question
/// is sent. So questions take the acknowledgements along, and a server that
/// leaves Nagle's algorithm on is not measured by the client's delays.
pub(crate) struct Tcp(pub(crate) Vec<Vec<u8>>);

/// A connection, and what was read of it.
pub(crate) struct Pipe {
    stream: TcpStream,
    buffer: Vec<u8>,
    have: usize,
}

impl Pipe {
    /// Reads once; says how many answers that completed.
    async fn answers(&mut self) -> usize {
        let more = timeout(PATIENCE, self.stream.read(&mut self.buffer[self.have..]));
        let more = more.await.expect("an answer comes").unwrap();
        assert!(more > 0, "it goes on serving");
        self.have += more;
        let (mut at, mut answers) = (0, 0);
        while self.have - at >= 2 {
            let length = u16::from_be_bytes([self.buffer[at], self.buffer[at + 1]]);
            let end = at + 2 + usize::from(length);
            if end > self.have {
                break;
            }
            assert!(
                length > 12 && self.buffer[at + 4] & 0x82 == 0x80,
                "an answer, and whole"
            );
            at = end;
            answers += 1;
        }
        self.buffer.copy_within(at..self.have, 0);
        self.have -= at;
        answers
    }
}

impl Tcp {
    async fn ask(&self, stream: &mut TcpStream, next: &mut usize, count: usize) {
        let mut frames = Vec::new();
        for _ in 0..count {
            let question = &self.0[*next];
            *next = (*next + 1) % self.0.len();
            let length = u16::try_from(question.len()).unwrap();
            frames.extend_from_slice(&length.to_be_bytes());
            frames.extend_from_slice(question);
        }
        stream.write_all(&frames).await.unwrap();
    }
}

impl Load for Tcp {
    type Clients = Clients<Pipe>;

    async fn connect(&self, server: &Running) -> Self::Clients {
        let mut clients = Clients {
            sockets: Vec::new(),
            next: 0,
        };
        for _ in 0..SOCKETS {
            let mut stream = ropewalk_bench_kit::connect(server.address).await;
            self.ask(&mut stream, &mut clients.next, IN_FLIGHT).await;
            clients.sockets.push(Pipe {
                stream,
                buffer: vec![0; 65_536],
                have: 0,
            });
        }
        clients
    }

    /// As many questions are in flight at its end as were at its beginning.
    async fn work(&self, clients: &mut Self::Clients) -> usize {
        let mut done = 0;
        while done < SOCKETS * TURN {
            for pipe in &mut clients.sockets {
                let answers = pipe.answers().await;
                self.ask(&mut pipe.stream, &mut clients.next, answers).await;
                done += answers;
            }
        }
        done
    }
}
