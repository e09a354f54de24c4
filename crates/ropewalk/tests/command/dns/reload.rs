//! Zones that are read again while many ask: every question is asked once, and answered once.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst},
    },
};

use super::*;
use crate::common::connect;

/// Questions that one client has out.
const WINDOW: usize = 16;

/// What clients and the test know of each other.
#[derive(Default)]
struct Shared {
    /// The serial that everybody sees already, and the one that somebody may see.
    oldest: AtomicU32,
    newest: AtomicU32,
    over: AtomicBool,
}

/// What a client does, on a thread of its own.
type Asks = Box<dyn FnOnce(&Shared, &AtomicU64) + Send>;

/// A way to ask: questions go, and answers come in any order.
trait Way {
    fn send(&mut self, question: &[u8]);
    fn receive(&mut self) -> Vec<u8>;
}

impl Way for UdpSocket {
    fn send(&mut self, question: &[u8]) {
        Self::send(self, question).expect("it listens all the while");
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut answer = vec![0; 4096];
        let length = self.recv(&mut answer).expect("no question is lost");
        answer.truncate(length);
        answer
    }
}

impl Way for TcpStream {
    fn send(&mut self, question: &[u8]) {
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        self.write_all(&[&length[..], question].concat()).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.read_exact(&mut length).expect("no question is lost");
        let mut answer = vec![0; u16::from_be_bytes(length).into()];
        self.read_exact(&mut answer).expect("no question is lost");
        answer
    }
}

/// A connection for each question.
struct Anew(SocketAddr, Vec<TcpStream>);

impl Way for Anew {
    fn send(&mut self, question: &[u8]) {
        let mut stream = connect(self.0);
        Way::send(&mut stream, question);
        self.1.push(stream);
    }

    fn receive(&mut self) -> Vec<u8> {
        self.1.remove(0).receive()
    }
}

/// Asks until it is over, and then waits for what is out; counts the answers.
fn client(mut way: impl Way, shared: &Shared, answered: &AtomicU64) {
    let mut out = HashMap::new();
    let mut next = 0_u16;
    loop {
        while out.len() < WINDOW && !shared.over.load(SeqCst) {
            let (name, record_type) = match next % 3 {
                0 => ("example.test.", RecordType::SOA),
                _ => ("www.example.test.", RecordType::A),
            };
            let before = shared.oldest.load(SeqCst);
            way.send(&question(next, 0, name, record_type));
            assert!(out.insert(next, (record_type, before)).is_none());
            next = next.wrapping_add(1);
        }
        if out.is_empty() {
            return;
        }
        let answer = way.receive();
        let message = Message::read(&answer).unwrap();
        let header = message.header();
        let asked = out.remove(&header.id);
        let (record_type, before) = asked.expect("one answer to each question");
        assert_eq!(header.rcode(), Rcode::NOERROR);
        assert!(header.has(Header::AA) && !header.has(Header::TC));
        let record = message.records().next().expect("an answer").unwrap();
        assert_eq!(record.record_type, record_type);
        let mut rdata = Vec::new();
        record.expand_rdata(&mut rdata).unwrap();
        let serial = match record_type {
            RecordType::SOA => SoaNumbers::read(&rdata).unwrap().serial.0,
            _ => u32::from(rdata[3]),
        };
        let newest = shared.newest.load(SeqCst);
        assert!(
            (before..=newest).contains(&serial),
            "{before} {serial} {newest}"
        );
        answered.fetch_add(1, SeqCst);
    }
}

#[test]
fn zones_are_read_again_without_a_lost_question_and_broken_ones_are_not() {
    let scratch = Scratch::new();
    let zone = scratch.zone_option();
    let arguments = [
        "dns", "--listen", "udp:0", "--listen", "tcp:0", "--zone", &zone,
    ];
    let mut server = Running::start(&arguments, 2);
    let (udp, tcp) = (server.address("dns", "udp"), server.address("dns", "tcp"));
    assert_eq!(serial(udp), Ok(Some(1)));
    let shared = Arc::new(Shared {
        oldest: 1.into(),
        newest: 1.into(),
        ..Shared::default()
    });
    let mut clients = Vec::new();
    let mut ask_by = |way: Asks| {
        let (shared, answered) = (shared.clone(), Arc::new(AtomicU64::new(0)));
        let counted = answered.clone();
        clients.push((thread::spawn(move || way(&shared, &counted)), answered));
    };
    for _ in 0..2 {
        ask_by(Box::new(move |shared, answered| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(udp).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            client(socket, shared, answered);
        }));
    }
    ask_by(Box::new(move |shared, answered| {
        client(connect(tcp), shared, answered);
    }));
    ask_by(Box::new(move |shared, answered| {
        client(Anew(tcp, Vec::new()), shared, answered);
    }));
    // Everybody has asked and been answered since.
    let all_go_on = || {
        let start = Instant::now();
        for (thread, answered) in &clients {
            let before = answered.load(SeqCst);
            // Those that were out may have been answered before.
            while answered.load(SeqCst) < before + 2 * WINDOW as u64 && !thread.is_finished() {
                assert!(start.elapsed() < PATIENCE, "a client waits");
                thread::yield_now();
            }
        }
    };
    all_go_on();
    for serial in 2..20 {
        shared.newest.store(serial, SeqCst);
        scratch.zone(serial);
        server.signal("HUP");
        // Now and then the next signal comes while the last one is worked on.
        if serial % 4 != 0 {
            wait_for(udp, serial, "the server");
            wait_for_stream(tcp, serial);
            shared.oldest.store(serial, SeqCst);
            all_go_on();
        }
    }
    scratch.write(
        "example.test.zone",
        "$TTL 300\n@ SOA ns h 99 1 1 1 1\n@ NS ns\nns A 1.2.3\n",
    );
    server.signal("HUP");
    server.logged("example.test.zone:4:6: ");
    all_go_on();
    shared.over.store(true, SeqCst);
    for (thread, _) in clients {
        thread.join().unwrap();
    }
    assert_eq!(serial(udp), Ok(Some(19)));
    server.end_well();
}

/// Waits until a new connection sees this serial.
fn wait_for_stream(to: SocketAddr, wanted: u32) {
    let start = Instant::now();
    loop {
        let mut stream = connect(to);
        stream.send(&question(1, 0, "www.example.test.", RecordType::A));
        if stream.receive().last().copied().map(u32::from) == Some(wanted) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "no serial {wanted} over TCP");
    }
}
