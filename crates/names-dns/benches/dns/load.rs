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
const TURN: usize = 64 * IN_FLIGHT;

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

/// Asks over TCP, pipelined.
pub(crate) struct Tcp(pub(crate) Vec<Vec<u8>>);

impl Load for Tcp {
    type Clients = Clients<TcpStream>;

    async fn connect(&self, server: &Running) -> Self::Clients {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            sockets.push(ropewalk_bench_kit::connect(server.address).await);
        }
        Clients { sockets, next: 0 }
    }

    async fn work(&self, clients: &mut Self::Clients) -> usize {
        let mut buffer = vec![0; 65_536];
        let mut frames = Vec::new();
        for _ in 0..TURN / IN_FLIGHT {
            for socket in &mut clients.sockets {
                frames.clear();
                for _ in 0..IN_FLIGHT {
                    let question = &self.0[clients.next];
                    clients.next = (clients.next + 1) % self.0.len();
                    let length = u16::try_from(question.len()).unwrap();
                    frames.extend_from_slice(&length.to_be_bytes());
                    frames.extend_from_slice(question);
                }
                socket.write_all(&frames).await.unwrap();
            }
            for socket in &mut clients.sockets {
                let (mut have, mut answers) = (0, 0);
                while answers < IN_FLIGHT {
                    let more = timeout(PATIENCE, socket.read(&mut buffer[have..]));
                    let more = more.await.expect("an answer comes").unwrap();
                    assert!(more > 0, "it goes on serving");
                    have += more;
                    let mut at = 0;
                    while have - at >= 2 {
                        let length = u16::from_be_bytes([buffer[at], buffer[at + 1]]);
                        let end = at + 2 + usize::from(length);
                        if end > have {
                            break;
                        }
                        assert!(buffer[at + 4] & 0x82 == 0x80, "an answer, and whole");
                        at = end;
                        answers += 1;
                    }
                    buffer.copy_within(at..have, 0);
                    have -= at;
                }
            }
        }
        SOCKETS * TURN
    }
}
