//! Datagrams: batches, timers, messages, topics, drain and refusals.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use ropewalk_core::{
    Address, Bytes, ClientEndpoint, Closed, DatagramProtocol, DatagramTransport, Datagrams,
    ListenError, Result, ServerEndpoint, Topic, Undelivered, testing::run_in_real_time,
};
use tokio::{net::UdpSocket, sync::mpsc};

/// Echoes, tells of what happens to it, and sends news to whoever spoke last.
struct Probe {
    news: Topic<Bytes>,
    heard: mpsc::UnboundedSender<String>,
    last: Option<Address>,
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
            self.last = Some(from.clone());
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
        if let Some(last) = &self.last {
            t.send(message, last);
        }
        Ok(())
    }

    fn timeout(&mut self, t: &mut DatagramTransport<Self>, which: u8) -> Result {
        if let Some(last) = &self.last {
            t.send([which], last);
        }
        Ok(())
    }

    fn undelivered(&mut self, _: &mut DatagramTransport<Self>, error: &Undelivered) -> Result {
        let _ = self.heard.send(format!("undelivered: {error}"));
        Ok(())
    }

    fn draining(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        if let Some(last) = &self.last {
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
            format!("undelivered: nobody receives datagrams at 127.0.0.1:{port}")
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

/// In memory and virtual time, where a schedule is the same each time.
mod in_memory {
    use ropewalk_core::{
        DatagramOption, DatagramOptions, MulticastGroup, Schemes,
        testing::{DatagramRig, run},
    };
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Answers a word after so many milliseconds as it has letters.
    #[derive(Default)]
    struct Slow;

    impl DatagramProtocol for Slow {
        type Message = (String, Address);
        type Timer = ();

        fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (word, from) in batch {
                let word = String::from_utf8_lossy(word).into_owned();
                let from = from.clone();
                t.defer(async move {
                    sleep(Duration::from_millis(word.len() as u64)).await;
                    (word.to_uppercase(), from)
                });
            }
            Ok(())
        }

        fn message(
            &mut self,
            t: &mut DatagramTransport<Self>,
            (word, from): (String, Address),
        ) -> Result {
            t.send(word, from);
            Ok(())
        }
    }

    /// Asks all its words at once, and closes at the last answer.
    struct Asker {
        words: &'static [&'static str],
        heard: mpsc::UnboundedSender<String>,
    }

    impl DatagramProtocol for Asker {
        type Message = ();
        type Timer = ();

        fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
            for word in self.words {
                t.send_to_peer(word);
            }
            Ok(())
        }

        fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (word, from) in batch {
                assert_eq!(Some(from), t.peer());
                let _ = self.heard.send(String::from_utf8_lossy(word).into_owned());
                self.words = &self.words[1..];
            }
            if self.words.is_empty() {
                t.close();
            }
            Ok(())
        }

        fn undelivered(&mut self, t: &mut DatagramTransport<Self>, error: &Undelivered) -> Result {
            let _ = self.heard.send(error.to_string());
            t.close();
            Ok(())
        }
    }

    #[test]
    fn each_client_has_its_answers() {
        run(async {
            let schemes = Schemes::new();
            let endpoint: ServerEndpoint = "mem:slow".parse().unwrap();
            let server = endpoint
                .listen_datagrams_with(Slow, schemes.clone())
                .await
                .unwrap();
            assert_eq!(server.local_endpoint(), "mem:slow");
            let taken = endpoint.listen_datagrams_with(Slow, schemes.clone()).await;
            assert!(matches!(taken, Err(ListenError::InUse { .. })));

            let begin = Instant::now();
            let words: [&'static [&'static str]; 2] = [&["three", "a", "xx"], &["four"]];
            let peer: ClientEndpoint = "mem:slow".parse().unwrap();
            let mut clients = Vec::new();
            for words in words {
                let (heard, hears) = mpsc::unbounded_channel();
                let asker = Asker { words, heard };
                let client = peer.start_datagrams_with(asker, schemes.clone()).await;
                clients.push((client.unwrap(), hears));
            }
            for ((client, mut hears), expected) in clients.into_iter().zip(["A XX THREE", "FOUR"]) {
                assert!(matches!(client.closed().await, Closed::Local));
                assert_eq!(client.counts().received, client.counts().sent);
                drop(client);
                let mut heard = Vec::new();
                while let Some(word) = hears.recv().await {
                    heard.push(word);
                }
                assert_eq!(heard.join(" "), expected);
            }
            assert_eq!(begin.elapsed().as_millis(), 5, "virtual");
            let counts = server.counts();
            assert_eq!((counts.received, counts.received_bytes), (4, 12));
            assert_eq!((counts.sent, counts.sent_bytes), (4, 12));
            assert_eq!((counts.dropped, counts.failed, counts.truncated), (0, 0, 0));
            assert!(server.drain(Duration::from_secs(1)).await);

            // Gone, and its name is free again.
            let (heard, mut hears) = mpsc::unbounded_channel();
            let words = &["hello"];
            let asker = Asker { words, heard };
            let client = peer.start_datagrams_with(asker, schemes.clone()).await;
            let expected = "nobody receives datagrams at slow";
            assert_eq!(hears.recv().await.unwrap(), expected);
            client.unwrap().closed().await;
            drop(endpoint.listen_datagrams_with(Slow, schemes).await.unwrap());
        });
    }

    #[test]
    fn a_drain_lets_work_end_within_its_grace() {
        for (grace, ends, expected) in [(100, true, Some("ANSWER")), (3, false, None)] {
            run(async {
                let schemes = Schemes::new();
                let endpoint: ServerEndpoint = "mem:slow".parse().unwrap();
                let server = endpoint.listen_datagrams_with(Slow, schemes.clone()).await;
                let (heard, mut hears) = mpsc::unbounded_channel();
                let words = &["answer"];
                let peer: ClientEndpoint = "mem:slow".parse().unwrap();
                let client = peer
                    .start_datagrams_with(Asker { words, heard }, schemes)
                    .await
                    .unwrap();
                while client.counts().sent == 0 {
                    tokio::task::yield_now().await;
                }
                // It is there, and perhaps not yet received.
                let ended = server.unwrap().drain(Duration::from_millis(grace)).await;
                assert_eq!(ended, ends);
                if let Some(expected) = expected {
                    assert_eq!(hears.recv().await.as_deref(), Some(expected));
                }
                drop(client);
                assert_eq!(hears.recv().await, None);
            });
        }
    }

    #[test]
    fn the_bench_has_no_network() {
        let (probe, news, mut heard) = Probe::new();
        let mut rig = DatagramRig::new(probe);
        rig.receive_batch([("one", "192.0.2.1:1"), ("two", "[2001:db8::1]:2")]);
        rig.receive("three", "someone");
        assert_eq!(
            rig.sent_text(),
            "192.0.2.1:1 one\n[2001:db8::1]:2 two\nsomeone three\n"
        );
        rig.receive("later", "someone");
        assert_eq!(rig.next_timer(), Some(Duration::from_millis(1)));
        rig.advance(Duration::from_millis(1));
        assert_eq!(rig.sent_text(), "someone \u{1}\n");
        rig.advance(Duration::from_secs(1));
        assert_eq!(rig.sent_text(), "someone \u{2}\n");
        rig.receive("work", "someone");
        news.publish("news");
        rig.poll().message("direct".into());
        assert_eq!(
            rig.sent_text(),
            "someone done\nsomeone news\nsomeone direct\n"
        );
        rig.refuse(std::io::ErrorKind::ConnectionRefused);
        assert!(heard.try_recv().unwrap().contains("nobody receives"));

        // Answers that do not leave hold back what comes, at half a mebibyte.
        rig.stall();
        let large = vec![b'x'; 60_000];
        for _ in 0..30 {
            rig.receive(&large, "someone");
        }
        assert_eq!(
            (rig.sent().len(), rig.transport().counts().received),
            (0, 14)
        );
        rig.unstall();
        assert_eq!(
            (rig.sent().len(), rig.transport().counts().received),
            (30, 35)
        );

        rig.drain();
        assert_eq!(rig.sent_text(), "someone goodbye\n");
        assert_eq!(heard.try_recv().unwrap(), "closed: closed");
        rig.finish();
    }

    #[test]
    fn what_is_too_long_is_said_both_ways() {
        let (probe, _, mut heard) = Probe::new();
        let mut options = DatagramOptions::default();
        options.largest = 10;
        options.unsent = 200_000;
        let mut rig = DatagramRig::with(probe, None, options);
        rig.receive([b'x'; 11], "someone")
            .receive([b'y'; 10], "someone");
        assert_eq!(rig.sent_text(), "someone yyyyyyyyyy\n");
        assert_eq!(rig.transport().counts().truncated, 1);

        rig.message(Bytes::from(vec![0; 65_536]));
        let said = heard.try_recv().unwrap();
        assert_eq!(
            said,
            "undelivered: a datagram of 65536 bytes to someone is too long"
        );
        // Beyond what may wait is dropped, as the network would.
        rig.stall();
        for _ in 0..4 {
            rig.message(Bytes::from(vec![0; 65_535]));
        }
        rig.unstall();
        assert_eq!(rig.sent().len(), 3);
        let counts = rig.transport().counts();
        assert_eq!((counts.dropped, counts.failed), (1, 1));
    }

    #[test]
    fn no_more_work_is_taken_than_is_allowed() {
        let mut options = DatagramOptions::default();
        options.deferred = 2;
        struct Never;
        impl DatagramProtocol for Never {
            type Message = ();
            type Timer = ();
            fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
                batch.iter().for_each(|_| t.defer(std::future::pending()));
                Ok(())
            }
        }
        let mut rig = DatagramRig::with(Never, None, options);
        for _ in 0..5 {
            rig.receive("x", "someone");
        }
        assert_eq!(rig.transport().counts().received, 2);
        rig.drain();
        assert!(!rig.is_closed(), "its work has not ended");
    }

    #[test]
    fn groups_are_joined_on_the_bench_too() {
        struct Member;
        impl DatagramProtocol for Member {
            type Message = ();
            type Timer = ();
            fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
                let group = MulticastGroup::new([224, 0, 0, 251]).on("eth0");
                t.join(&group)?;
                t.set(&DatagramOption::MulticastHops(255))?;
                Ok(t.leave(&group)?)
            }
            fn received(&mut self, _: &mut DatagramTransport<Self>, _: &Datagrams) -> Result {
                Ok(())
            }
        }
        let group = "224.0.0.251%eth0".parse::<MulticastGroup>().unwrap();
        let expected = [
            DatagramOption::Join(group.clone()),
            DatagramOption::MulticastHops(255),
            DatagramOption::Leave(group),
        ];
        assert_eq!(DatagramRig::new(Member).options(), expected);
    }
}
