//! Datagrams: batches, timers, messages, topics, drain and refusals.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{io, time::Duration};

use ropewalk_core::{
    Bytes, ClientEndpoint, Closed, DatagramProtocol, DatagramTransport, Datagrams, ListenError,
    Result, ServerEndpoint, Topic, testing::run_in_real_time,
};
use tokio::{net::UdpSocket, sync::mpsc};

/// Echoes, tells of what happens to it, and sends news to whoever spoke last.
struct Probe {
    news: Topic<Bytes>,
    heard: mpsc::UnboundedSender<String>,
    last: Option<std::net::SocketAddr>,
}

impl Probe {
    fn new() -> (Self, Topic<Bytes>, mpsc::UnboundedReceiver<String>) {
        let (heard, receiver) = mpsc::unbounded_channel();
        let news = Topic::new();
        let probe = Self {
            news: news.clone(),
            heard,
            last: None,
        };
        (probe, news, receiver)
    }
}

impl DatagramProtocol for Probe {
    type Message = Bytes;
    type Timer = u8;

    fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        t.subscribe(&self.news);
        if t.peer().is_some() {
            t.send_to_peer("hello");
        }
        Ok(())
    }

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, from) in batch {
            self.last = Some(from);
            match data {
                b"later" => {
                    t.set_timer(2, Duration::from_millis(2));
                    t.set_timer(1, Duration::from_millis(1));
                    t.set_timer(3, Duration::from_millis(3));
                    t.cancel_timer(3);
                }
                b"work" => t.defer(async { Bytes::from_static(b"done") }),
                b"fail" => return Err("told to".into()),
                _ => t.send(data, from),
            }
        }
        Ok(())
    }

    fn message(&mut self, t: &mut DatagramTransport<Self>, message: Bytes) -> Result {
        if let Some(last) = self.last {
            t.send(message, last);
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut DatagramTransport<Self>, which: u8) -> Result {
        if let Some(last) = self.last {
            t.send([which], last);
        }
        Ok(())
    }

    fn undelivered(&mut self, _: &mut DatagramTransport<Self>, error: &io::Error) -> Result {
        let _ = self.heard.send(format!("undelivered: {:?}", error.kind()));
        Ok(())
    }

    fn draining(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        if let Some(last) = self.last {
            t.send("goodbye", last);
        }
        t.close();
        Ok(())
    }

    fn closed(&mut self, why: Closed) {
        let _ = self.heard.send(format!("closed: {why}"));
    }
}

async fn client_of(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(("127.0.0.1", port)).await.unwrap();
    socket
}

async fn hear(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let length = socket.recv(&mut buffer).await.unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn a_whole_life() {
    run_in_real_time(async {
        let (probe, news, mut heard) = Probe::new();
        let endpoint: ServerEndpoint = "udp:0".parse().unwrap();
        let server = endpoint.listen_datagrams(probe).await.unwrap();
        let port = server.local_address().inet().unwrap().port();
        let client = client_of(port).await;

        // A batch, with an empty datagram and a large one: each is by itself.
        let sent = [vec![1], Vec::new(), vec![2; 60_000], vec![3; 3]];
        for datagram in &sent {
            client.send(datagram).await.unwrap();
        }
        for datagram in &sent {
            assert_eq!(&hear(&client).await, datagram);
        }
        client.send(b"later").await.unwrap();
        assert_eq!(hear(&client).await, [1]);
        assert_eq!(hear(&client).await, [2], "in the order they are due");
        client.send(b"work").await.unwrap();
        assert_eq!(hear(&client).await, b"done");
        news.publish("news");
        assert_eq!(hear(&client).await, b"news");
        server.handle().send("direct".into()).await.unwrap();
        assert_eq!(hear(&client).await, b"direct");

        assert!(server.drain(Duration::from_secs(5)).await);
        assert_eq!(hear(&client).await, b"goodbye");
        assert_eq!(heard.recv().await.unwrap(), "closed: closed");
        assert!(heard.recv().await.is_none(), "closed once, and last");
    });
}

#[test]
fn an_error_ends_it_and_is_told() {
    run_in_real_time(async {
        let (probe, _, mut heard) = Probe::new();
        let endpoint: ServerEndpoint = "udp:0".parse().unwrap();
        let server = endpoint.listen_datagrams(probe).await.unwrap();
        let port = server.local_address().inet().unwrap().port();
        client_of(port).await.send(b"fail").await.unwrap();
        assert!(matches!(server.closed().await, Closed::Failed(_)));
        assert_eq!(heard.recv().await.unwrap(), "closed: failed: told to");
    });
}

#[test]
fn a_dropped_server_is_aborted() {
    run_in_real_time(async {
        let (probe, _, mut heard) = Probe::new();
        let endpoint: ServerEndpoint = "udp:0".parse().unwrap();
        drop(endpoint.listen_datagrams(probe).await.unwrap());
        assert_eq!(heard.recv().await.unwrap(), "closed: aborted");
    });
}

#[test]
fn a_client_hears_its_peer_and_that_nobody_is_there() {
    run_in_real_time(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let endpoint: ClientEndpoint = format!("udp:127.0.0.1:{port}").parse().unwrap();
        let (probe, _, mut heard) = Probe::new();
        let client = endpoint.start_datagrams(probe).await.unwrap();
        let mut buffer = [0; 10];
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"hello");

        // What comes from there is echoed to there; once the socket is gone,
        // the system says so.
        socket.send_to(b"one", from).await.unwrap();
        let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"one");
        socket.send_to(b"work", from).await.unwrap();
        drop(socket);
        assert_eq!(
            heard.recv().await.unwrap(),
            "undelivered: ConnectionRefused"
        );
        drop(client);
        assert_eq!(heard.recv().await.unwrap(), "closed: aborted");
    });
}

#[test]
fn the_port_is_taken() {
    run_in_real_time(async {
        let taken = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let endpoint: ServerEndpoint = format!("udp:{port}").parse().unwrap();
        let (probe, _, _heard) = Probe::new();
        let error = endpoint.listen_datagrams(probe).await.unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
    });
}
