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
        match &self.last {
            Some(last) => t.send(message, last),
            None if t.peer().is_some() => t.send_to_peer(message),
            None => {}
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

/// Joins, sends to, and hears groups, on the loopback interface.
mod groups {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use ropewalk_core::{DatagramOption, DatagramServer, MulticastGroup};
    use tokio::time::timeout;

    use super::*;

    /// Does what it is told, and tells what it hears.
    struct Member(mpsc::UnboundedSender<String>);

    enum Tell {
        Send(&'static str, Address),
        Set(DatagramOption),
    }

    impl DatagramProtocol for Member {
        type Message = Tell;
        type Timer = ();

        fn received(&mut self, _: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (word, _) in batch {
                let _ = self.0.send(String::from_utf8_lossy(word).into_owned());
            }
            Ok(())
        }

        fn message(&mut self, t: &mut DatagramTransport<Self>, tell: Tell) -> Result {
            match tell {
                Tell::Send(word, to) => t.send(word, to),
                Tell::Set(option) => t.set(&option)?,
            }
            Ok(())
        }

        fn undelivered(&mut self, _: &mut DatagramTransport<Self>, error: &Undelivered) -> Result {
            let _ = self.0.send(error.to_string());
            Ok(())
        }
    }

    struct Heard {
        server: DatagramServer<Tell>,
        hears: mpsc::UnboundedReceiver<String>,
    }

    impl Heard {
        async fn listen(endpoint: &str) -> Self {
            let endpoint: ServerEndpoint = endpoint.parse().unwrap();
            let (heard, hears) = mpsc::unbounded_channel();
            let server = endpoint.listen_datagrams(Member(heard)).await.unwrap();
            Self { server, hears }
        }

        async fn tell(&self, tell: Tell) {
            assert!(self.server.handle().send(tell).await.is_ok());
        }

        async fn send(&self, word: &'static str, to: &str) {
            let to: std::net::SocketAddr = to.parse().unwrap();
            self.tell(Tell::Send(word, to.into())).await;
        }

        async fn next(&mut self) -> String {
            let next = timeout(Duration::from_secs(10), self.hears.recv()).await;
            next.expect("nothing came").unwrap()
        }

        fn port(&self) -> u16 {
            self.server.port().unwrap()
        }
    }

    /// A group on an interface of this machine, and a source there.
    struct Place {
        /// To join, without a source.
        group: String,
        /// To send to.
        address: String,
        source: String,
        /// The machine itself.
        own: &'static str,
        interface: u32,
    }

    /// IPv4 on loopback, which is number 1 in Linux; IPv6 where there is a way
    /// to its groups.
    fn places(v4: &str, v6: u16) -> Vec<Place> {
        let mut places = vec![Place {
            group: format!("{v4}%1"),
            address: v4.to_owned(),
            source: "127.0.0.2".to_owned(),
            own: "127.0.0.1",
            interface: 1,
        }];
        let way = (1..=32).find_map(|interface| {
            let group = Ipv6Addr::new(0xff32, 0, 0, 0, 0, 0, 0, v6);
            let socket = std::net::UdpSocket::bind("[::]:0").ok()?;
            socket.join_multicast_v6(&group, interface).ok()?;
            socket
                .connect(SocketAddrV6::new(group, 9, 0, interface))
                .ok()?;
            Some((group, interface, socket.local_addr().ok()?.ip()))
        });
        let Some((group, interface, source)) = way else {
            eprintln!("skipped: no interface here has a way to IPv6 groups");
            return places;
        };
        places.push(Place {
            group: format!("[{group}%{interface}]"),
            address: format!("[{group}%{interface}]"),
            source: format!("[{source}]"),
            own: "[::1]",
            interface,
        });
        places
    }

    impl Place {
        async fn member_and_sender(&self, source: &str) -> (Heard, Heard) {
            let any = if self.own == "[::1]" {
                "[::]"
            } else {
                "0.0.0.0"
            };
            let member = format!("udp:0:interface=*:join={source}{}", self.group);
            let interface = self.interface;
            let sender = format!("udp:{any}:0:multicast-interface={interface}:hops=0");
            (Heard::listen(&member).await, Heard::listen(&sender).await)
        }
    }

    #[test]
    fn a_member_hears_its_group_until_it_leaves() {
        run_in_real_time(async {
            for place in places("239.255.1.2", 0x1234) {
                let (mut member, sender) = place.member_and_sender("").await;
                let to = format!("{}:{}", place.address, member.port());
                let own = format!("{}:{}", place.own, member.port());
                sender.send("to all", &to).await;
                assert_eq!(member.next().await, "to all", "{to}");

                let group: MulticastGroup = place.group.parse().unwrap();
                let leave = DatagramOption::Leave(group.clone());
                member.tell(Tell::Set(leave)).await;
                // In order: once it was told directly, it has left.
                sender.send("again", &own).await;
                assert_eq!(member.next().await, "again");
                sender.send("unheard", &to).await;
                sender.send("heard", &own).await;
                assert_eq!(member.next().await, "heard", "{to}");

                member.tell(Tell::Set(DatagramOption::Join(group))).await;
                sender.send("ready", &own).await;
                assert_eq!(member.next().await, "ready");
                for option in [
                    DatagramOption::MulticastLoop(false),
                    DatagramOption::MulticastLoop(true),
                    DatagramOption::MulticastHops(0),
                ] {
                    sender.tell(Tell::Set(option)).await;
                }
                sender.send("heard again", &to).await;
                assert_eq!(member.next().await, "heard again", "{to}");
            }
        });
    }

    #[test]
    fn a_group_of_one_source() {
        run_in_real_time(async {
            for place in places("232.1.2.3", 0x4321) {
                let source = format!("{}@", place.source);
                let (mut member, other) = place.member_and_sender(&source).await;
                let to = format!("{}:{}", place.address, member.port());
                let own = format!("{}:{}", place.own, member.port());
                if place.own == "127.0.0.1" {
                    other.send("from another", &to).await;
                    other.send("directly", &own).await;
                    assert_eq!(member.next().await, "directly", "{to}");
                }
                // An address of the link has its interface beside it.
                let bind = match place.source.strip_prefix("[fe80:") {
                    Some(rest) => {
                        let rest = rest.trim_end_matches(']');
                        format!("[fe80:{rest}%{}]", place.interface)
                    }
                    None => place.source.clone(),
                };
                let interface = place.interface;
                let sender = format!("udp:{bind}:0:multicast-interface={interface}:hops=0");
                let sender = Heard::listen(&sender).await;
                sender.send("from the one", &to).await;
                assert_eq!(member.next().await, "from the one", "{to}");

                let group = format!("{source}{}", place.group).parse().unwrap();
                member.tell(Tell::Set(DatagramOption::Leave(group))).await;
                other.send("it has left", &own).await;
                assert_eq!(member.next().await, "it has left");
                sender.send("unheard", &to).await;
                other.send("heard", &own).await;
                assert_eq!(member.next().await, "heard", "{to}");
            }
        });
    }

    #[test]
    fn a_member_hears_no_group_but_its_own() {
        run_in_real_time(async {
            let place = &places("239.255.1.3", 0x1235)[0];
            let (mut other, sender) = place.member_and_sender("").await;
            let port = other.port();
            let member = format!("udp:{port}:interface=*:join=239.255.1.4%1:reuse-port");
            // The port is taken, unless both share it.
            let endpoint: ServerEndpoint = member.parse().unwrap();
            let taken = endpoint.listen_datagrams(Probe::new().0).await.unwrap_err();
            assert!(matches!(taken, ListenError::InUse { .. }), "{taken}");
            sender
                .send("not mine", &format!("239.255.1.4:{port}"))
                .await;
            sender.send("mine", &format!("239.255.1.3:{port}")).await;
            assert_eq!(other.next().await, "mine");
        });
    }

    #[test]
    fn several_members_of_one_host_share_a_port() {
        run_in_real_time(async {
            let first = "udp:0:interface=*:join=239.255.1.5%1:reuse-port";
            let mut first = Heard::listen(first).await;
            let port = first.port();
            let second = format!("udp:{port}:interface=*:join=239.255.1.5%1:reuse-port");
            let mut second = Heard::listen(&second).await;
            let sender = Heard::listen("udp:0:multicast-interface=1").await;
            sender.send("both", &format!("239.255.1.5:{port}")).await;
            assert_eq!(first.next().await, "both");
            assert_eq!(second.next().await, "both");
        });
    }

    #[test]
    fn what_cannot_be_joined_is_said() {
        run_in_real_time(async {
            let endpoint = "udp:0:interface=*:join=239.255.1.2%nowhere0";
            let endpoint: ServerEndpoint = endpoint.parse().unwrap();
            let error = endpoint.listen_datagrams(Probe::new().0).await.unwrap_err();
            assert!(
                error.to_string().contains("no network interface nowhere0"),
                "{error}"
            );
            // To leave what was not joined ends this protocol, which says so.
            let member = Heard::listen("udp:0:interface=*").await;
            let group = MulticastGroup::new([239, 255, 1, 2]);
            member.tell(Tell::Set(DatagramOption::Leave(group))).await;
            assert!(matches!(member.server.closed().await, Closed::Failed(_)));
        });
    }

    #[test]
    fn a_broadcast_has_to_be_asked_for() {
        run_in_real_time(async {
            let mut all = Heard::listen("udp:0:interface=*").await;
            let to = format!("127.255.255.255:{}", all.port());
            let mut sender = Heard::listen("udp:0").await;
            sender.send("hello", &to).await;
            let said = sender.next().await;
            assert!(
                said.starts_with("not allowed to send datagrams to 127.255"),
                "{said}"
            );
            sender
                .tell(Tell::Set(DatagramOption::Broadcast(true)))
                .await;
            sender.send("hello", &to).await;
            assert_eq!(all.next().await, "hello");

            let asked = Heard::listen("udp:0:broadcast").await;
            asked.send("hello again", &to).await;
            assert_eq!(all.next().await, "hello again");

            let client: ClientEndpoint = format!("udp:{to}").parse().unwrap();
            let (probe, _, _heard) = Probe::new();
            assert!(
                client.start_datagrams(probe).await.is_err(),
                "not asked for"
            );
            let client: ClientEndpoint = format!("udp:{to}:broadcast").parse().unwrap();
            let (probe, _, _heard) = Probe::new();
            let client = client.start_datagrams(probe).await.unwrap();
            assert_eq!(all.next().await, "hello");
            drop(client);
        });
    }

    #[test]
    fn too_long_for_the_network_is_said_and_the_rest_goes() {
        run_in_real_time(async {
            let mut receiver = Heard::listen("udp:0").await;
            let mut sender = Heard::listen("udp:0").await;
            let to = format!("127.0.0.1:{}", receiver.port());
            let long = String::leak("x".repeat(65_508));
            for word in ["one", long, "two"] {
                sender.send(word, &to).await;
            }
            let expected = format!("a datagram of 65508 bytes to {to} is too long");
            assert_eq!(sender.next().await, expected);
            assert_eq!(receiver.next().await, "one");
            assert_eq!(receiver.next().await, "two");
            let counts = sender.server.counts();
            assert_eq!((counts.sent, counts.failed), (2, 1));
        });
    }

    #[test]
    fn a_server_of_both_families_answers_in_that_of_the_question() {
        run_in_real_time(async {
            let (probe, _, _heard) = Probe::new();
            let endpoint: ServerEndpoint = "udp:0:interface=*".parse().unwrap();
            let server = endpoint.listen_datagrams(probe).await.unwrap();
            let port = server.port().unwrap();
            for address in ["127.0.0.1", "[::1]"] {
                let client = Heard::listen(&format!("udp:{address}:0")).await;
                let mut client = client;
                client.send("who?", &format!("{address}:{port}")).await;
                assert_eq!(client.next().await, "who?");
            }
            drop(server);
        });
    }
}

mod unix {
    use std::{
        os::unix::{fs::PermissionsExt, net::UnixDatagram as Plain},
        path::Path,
    };

    use tokio::net::UnixDatagram;

    use super::*;

    fn endpoint(path: &Path) -> String {
        format!("unix-datagram:{}", path.display())
    }

    #[test]
    fn by_path_by_name_and_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        let bind = folder.path().join("client");
        let name = format!("ropewalk-test-{}", std::process::id());
        run_in_real_time(async {
            for server in [
                endpoint(&path) + ":mode=600",
                format!("unix-datagram:@{name}"),
            ] {
                let (probe, _, _heard) = Probe::new();
                let endpoint: ServerEndpoint = server.parse().unwrap();
                assert!(endpoint.is_datagram());
                let server = endpoint.listen_datagrams(probe).await.unwrap();
                let address = server.local_endpoint();
                if let Ok(data) = std::fs::metadata(&path) {
                    assert_eq!(data.permissions().mode() & 0o777, 0o600);
                } else {
                    assert_eq!(address, format!("unix-datagram:@{name}"));
                }
                // The client greets; the greeting comes back, whatever its name.
                for bind in [String::new(), format!(":bind={}", bind.display())] {
                    let client: ClientEndpoint = format!("{address}{bind}").parse().unwrap();
                    let (heard, mut hears) = mpsc::unbounded_channel();
                    let client = client.start_datagrams(Greet(heard)).await.unwrap();
                    assert_eq!(hears.recv().await.unwrap(), "hello");
                    drop(client);
                    assert_eq!(hears.recv().await, None);
                }
                assert!(server.drain(Duration::from_secs(5)).await);
            }
            assert!(!path.exists() && !bind.exists(), "they are removed");
        });
    }

    #[test]
    fn where_it_listens_is_accepted_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a:b");
        run_in_real_time(async {
            let (probe, _, _heard) = Probe::new();
            let quoted = ropewalk_core::endpoint::quote(&path.display().to_string());
            let endpoint: ServerEndpoint = format!("unix-datagram:{quoted}").parse().unwrap();
            let server = endpoint.listen_datagrams(probe).await.unwrap();
            assert_eq!(server.local_endpoint(), endpoint.to_string());
            // What another one has bound in its place is not its to remove.
            std::fs::remove_file(&path).unwrap();
            let _other = Plain::bind(&path).unwrap();
            assert!(server.drain(Duration::from_secs(5)).await);
            assert!(path.exists());
        });
    }

    /// Greets its peer, and tells what comes back.
    struct Greet(mpsc::UnboundedSender<String>);

    impl DatagramProtocol for Greet {
        type Message = ();
        type Timer = ();

        fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
            t.send_to_peer("hello");
            Ok(())
        }

        fn received(&mut self, _: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
            for (word, _) in batch {
                let _ = self.0.send(String::from_utf8_lossy(word).into_owned());
            }
            Ok(())
        }

        fn undelivered(&mut self, _: &mut DatagramTransport<Self>, error: &Undelivered) -> Result {
            let _ = self.0.send(error.to_string());
            Ok(())
        }
    }

    #[test]
    fn a_socket_that_nobody_has_is_taken_over_and_another_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        run_in_real_time(async {
            let endpoint: ServerEndpoint = endpoint(&path).parse().unwrap();
            let taken = Plain::bind(&path).unwrap();
            let error = endpoint.listen_datagrams(Probe::new().0).await.unwrap_err();
            assert!(matches!(error, ListenError::InUse { .. }), "{error}");
            drop(taken);
            assert!(path.exists(), "left behind");
            drop(endpoint.listen_datagrams(Probe::new().0).await.unwrap());
            while path.exists() {
                tokio::task::yield_now().await;
            }
            // No socket of datagrams, and no socket at all.
            let stream = std::os::unix::net::UnixListener::bind(&path).unwrap();
            assert!(endpoint.listen_datagrams(Probe::new().0).await.is_err());
            drop(stream);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, "mine").unwrap();
            assert!(endpoint.listen_datagrams(Probe::new().0).await.is_err());
            assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        });
    }

    #[test]
    fn nobody_is_there_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server");
        run_in_real_time(async {
            let client: ClientEndpoint = endpoint(&path).parse().unwrap();
            let error = client.start_datagrams(Probe::new().0).await.unwrap_err();
            assert!(error.to_string().contains("cannot connect"), "{error}");
            let socket = UnixDatagram::bind(&path).unwrap();
            let (probe, _, mut heard) = Probe::new();
            let client = client.start_datagrams(probe).await.unwrap();
            let mut buffer = [0; 9];
            assert_eq!(socket.recv(&mut buffer).await.unwrap(), 5);
            drop(socket);
            client.handle().send("anybody?".into()).await.unwrap();
            let expected = format!(
                "undelivered: nobody receives datagrams at {}",
                path.display()
            );
            assert_eq!(heard.recv().await.unwrap(), expected);
            drop(client);
        });
    }

    #[test]
    fn one_that_does_not_keep_up_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (path, slow) = (folder.path().join("server"), folder.path().join("slow"));
        run_in_real_time(async {
            let (probe, _, mut heard) = Probe::new();
            let server: ServerEndpoint = endpoint(&path).parse().unwrap();
            let server = server.listen_datagrams(probe).await.unwrap();
            let slow = UnixDatagram::bind(&slow).unwrap();
            // Its queue holds a few; then the server's echoes find it full.
            let full = loop {
                slow.send_to(b"more", &path).await.unwrap();
                if let Ok(full) = heard.try_recv() {
                    break full;
                }
                tokio::task::yield_now().await;
            };
            assert!(
                full.ends_with("does not keep up with its datagrams"),
                "{full}"
            );
            let other: ClientEndpoint = endpoint(&path).parse().unwrap();
            let (probe, hears) = mpsc::unbounded_channel();
            let mut hears = hears;
            let other = other.start_datagrams(Greet(probe)).await.unwrap();
            assert_eq!(hears.recv().await.unwrap(), "hello");
            drop((other, server));
        });
    }
}

/// Runs a program that says `hello`, and hears it back.
#[track_caller]
fn echoed_to(program: &str, arguments: &[&str]) {
    use std::io::{Read, Write};
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(b"hello").unwrap();
    let mut heard = [0; 5];
    let read = child.stdout.as_mut().unwrap().read_exact(&mut heard);
    child.kill().unwrap();
    child.wait().unwrap();
    read.unwrap();
    assert_eq!(&heard, b"hello");
}

/// Runs a program against an echo on an endpoint, told where that is.
fn against_an_echo(endpoint: &str, run: impl FnOnce(String) + Send + 'static) {
    run_in_real_time(async {
        let (probe, _, _heard) = Probe::new();
        let endpoint: ServerEndpoint = endpoint.parse().unwrap();
        let server = endpoint.listen_datagrams(probe).await.unwrap();
        let at = match server.port() {
            Some(port) => port.to_string(),
            None => server.local_address().to_string(),
        };
        tokio::task::spawn_blocking(move || run(at)).await.unwrap();
        drop(server);
    });
}

mod with_socat {
    use super::*;

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn it_is_echoed_over_udp() {
        against_an_echo("udp:0", |port| {
            echoed_to("socat", &["-", &format!("UDP:127.0.0.1:{port}")]);
        });
        against_an_echo("udp:[::1]:0", |port| {
            echoed_to("socat", &["-", &format!("UDP6:[::1]:{port}")]);
        });
    }

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn it_is_echoed_by_a_member_of_its_group() {
        against_an_echo("udp:0:interface=*:join=239.255.1.9%1", |port| {
            let to = format!("UDP4-DATAGRAM:239.255.1.9:{port},ip-multicast-if=127.0.0.1");
            echoed_to("socat", &["-", &to]);
        });
    }

    #[test]
    #[ignore = "needs socat; cargo xtask test runs it where it is installed"]
    fn it_is_echoed_over_unix_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let (server, client) = (folder.path().join("s"), folder.path().join("c"));
        let bind = client.display().to_string();
        against_an_echo(
            &format!("unix-datagram:{}", server.display()),
            move |path| {
                echoed_to("socat", &["-", &format!("UNIX-SENDTO:{path},bind={bind}")]);
            },
        );
        let name = format!("ropewalk-socat-{}", std::process::id());
        against_an_echo(&format!("unix-datagram:@{name}"), move |_| {
            let to = format!("ABSTRACT-SENDTO:{name},bind={name}-client");
            echoed_to("socat", &["-", &to]);
        });
    }
}

mod with_nc {
    use super::*;

    #[test]
    #[ignore = "needs nc; cargo xtask test runs it where it is installed"]
    fn it_is_echoed_over_udp_and_unix_datagrams() {
        against_an_echo("udp:0", |port| echoed_to("nc", &["-u", "127.0.0.1", &port]));
        let folder = tempfile::tempdir().unwrap();
        let server = format!("unix-datagram:{}", folder.path().join("s").display());
        against_an_echo(&server, |path| echoed_to("nc", &["-uU", &path]));
    }
}
