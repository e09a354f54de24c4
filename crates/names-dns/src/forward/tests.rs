//! A client's request and what it is told, without sockets.

use std::net::SocketAddr;

use hickory_proto::{
    op::{Edns, Message, Query as Question},
    rr::rdata::opt::{EdnsCode, EdnsOption},
};
use ropewalk_core::Address;

use super::*;

const CLIENT: [u8; 8] = *b"8 octets";

struct Bench {
    forwarder: Forwarder,
    now: Instant,
}

impl Bench {
    fn new(change: impl FnOnce(&mut ForwarderOptions)) -> Self {
        let mut options = ForwarderOptions::default();
        change(&mut options);
        Self {
            forwarder: Forwarder::with(Resolver::new([]), options),
            now: Instant::now(),
        }
    }

    /// The answer that is at hand.
    fn ask(&self, from: &str, by_stream: bool, request: &Message) -> Option<Message> {
        let from = Address::from(from.parse::<SocketAddr>().unwrap());
        let asked = Asked {
            from: &from,
            by_stream,
            secure: false,
            now: self.now,
        };
        let mut out = Vec::new();
        match self
            .forwarder
            .0
            .take(&request.to_vec().unwrap(), &asked, &mut out)
        {
            Taken::Answered => Some(Message::from_vec(&out).unwrap()),
            Taken::Nothing => None,
            Taken::Later(_) => panic!("it asks others"),
        }
    }
}

/// Asks for a name whose answer every forwarder has, with a cookie if there is one.
fn request(cookie: &[u8]) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii("localhost.").unwrap();
    message.add_query(Question::query(name, RecordType::A));
    if !cookie.is_empty() {
        let mut edns = Edns::new();
        let cookie = EdnsOption::Unknown(10, cookie.to_vec());
        edns.options_mut().insert(cookie);
        message.set_edns(edns);
    }
    message
}

fn cookie(answer: &Message) -> Option<Vec<u8>> {
    match answer.edns.as_ref()?.option(EdnsCode::Cookie)? {
        EdnsOption::Unknown(_, data) => Some(data.clone()),
        _ => None,
    }
}

#[test]
fn cookies_are_given_and_known_again() {
    let bench = Bench::new(|_| ());
    let from = "192.168.0.9:1000";
    let first = bench.ask(from, false, &request(&CLIENT)).unwrap();
    assert_eq!(first.answers.len(), 1);
    let both = cookie(&first).unwrap();
    assert_eq!((both.len(), &both[..8]), (24, &CLIENT[..]));
    // A wrong one is answered with a right one.
    let wrong = [&CLIENT[..], &[7; 16]].concat();
    let answer = bench.ask(from, false, &request(&wrong)).unwrap();
    assert_eq!(
        (answer.answers.len(), cookie(&answer).unwrap().len()),
        (1, 24)
    );
    // Lengths that no cookie has (RFC 7873, section 5.2.2).
    for length in [1, 7, 9, 15, 41] {
        let answer = bench.ask(from, false, &request(&vec![1; length])).unwrap();
        assert_eq!(u16::from(answer.metadata.response_code), 1, "{length}");
    }
    // None is asked for, and none is said; and none where the options say so.
    let answer = bench.ask(from, false, &request(b"")).unwrap();
    assert!(answer.edns.is_none());
    let without = Bench::new(|options| options.cookies = None);
    let answer = without.ask(from, false, &request(&CLIENT)).unwrap();
    assert!(answer.edns.is_some() && cookie(&answer).is_none());
}

#[test]
fn a_cookie_alone_is_answered_with_one() {
    let bench = Bench::new(|_| ());
    let mut request = request(&CLIENT);
    request.queries.clear();
    let answer = bench.ask("192.168.0.9:1000", false, &request).unwrap();
    assert_eq!(u16::from(answer.metadata.response_code), 0);
    assert!(answer.queries.is_empty());
    assert_eq!(cookie(&answer).unwrap().len(), 24);
}

/// RRL's means: what may be forged is dropped or cut short, and who proves its address has an
/// allowance of its own.
#[test]
fn a_flood_in_a_clients_name_gets_little_and_takes_nothing_from_it() {
    let bench = Bench::new(|options| options.rate = Some(10));
    // Names of the machine's own are not counted: this one has to be refused.
    let (from, mut flood) = ("192.168.0.9:1000", request(&CLIENT));
    let name = Name::from_ascii("www.example.test.").unwrap();
    flood.queries[0].set_name(name);
    let (mut cut, mut refused, mut dropped) = (0, 0, 0);
    let mut given = Vec::new();
    let admits = |proven: bool| {
        bench
            .forwarder
            .0
            .clients
            .admits(Some("192.168.0.9".parse().unwrap()), proven, bench.now)
    };
    while admits(false) {}
    for _ in 0..100 {
        match bench.ask(from, false, &flood) {
            Some(answer) if answer.metadata.truncation => {
                assert!(answer.answers.is_empty());
                given = cookie(&answer).unwrap();
                cut += 1;
            }
            Some(_) => refused += 1,
            None => dropped += 1,
        }
    }
    assert_eq!((cut, refused, dropped), (50, 0, 50));
    // With the cookie that it was told, and by a stream, it has not asked too much.
    assert!(admits(true));
    while admits(true) {}
    let mut proven = request(&given);
    proven.queries = flood.queries.clone();
    for (by_stream, request) in [(false, &proven), (true, &flood)] {
        let answer = bench.ask(from, by_stream, request).unwrap();
        assert_eq!(u16::from(answer.metadata.response_code), 5, "told, not cut");
        assert!(!answer.metadata.truncation);
    }
}
