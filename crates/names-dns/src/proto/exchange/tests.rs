//! Transcripts of exchanges: what is sent, what comes, when.

use hickory_proto::{
    op::{Edns, Message, MessageType},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{self, opt::EdnsOption},
    },
};

use super::*;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// An exchange with a clock, and with randomness that counts.
struct Bench {
    exchange: Exchange,
    servers: Servers,
    now: Instant,
    count: u64,
}

impl Bench {
    fn new(ways: &[Ways]) -> Self {
        Self::with(ways, |options| options.selection = Selection::InOrder)
    }

    fn with(ways: &[Ways], change: impl FnOnce(&mut ExchangeOptions)) -> Self {
        let mut options = ExchangeOptions::default();
        change(&mut options);
        let now = Instant::now();
        let mut servers = Servers::new(ways.iter().copied());
        let name = Name::from_ascii("www.example.org.").unwrap();
        let question = Query::new(&name, RecordType::A);
        Self {
            exchange: Exchange::new(question, &options, &mut servers, now, &mut || 0),
            servers,
            now,
            count: 0,
        }
    }

    fn poll(&mut self) -> Step {
        let count = &mut self.count;
        self.exchange.poll(&mut self.servers, self.now, &mut || {
            *count += 1;
            *count
        })
    }

    #[track_caller]
    fn sends(&mut self) -> Attempt {
        match self.poll() {
            Step::Send(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn waits(&mut self) -> Duration {
        match self.poll() {
            Step::Wait(until) => until - self.now,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn replies(&mut self) -> Reply {
        match self.poll() {
            Step::Done(Ok(reply)) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn fails(&mut self) -> Failure {
        match self.poll() {
            Step::Done(Err(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, to: &Attempt, change: impl FnOnce(&mut Message)) {
        let mut message = Message::from_vec(&to.query).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        message.edns = message.edns.take().map(|_| Edns::new());
        change(&mut message);
        let bytes = message.to_vec().unwrap();
        self.exchange
            .answered(to.number, bytes, &mut self.servers, self.now);
    }

    fn fail(&mut self, attempt: &Attempt, trouble: Trouble) {
        self.exchange
            .failed(attempt.number, trouble, &mut self.servers, self.now);
    }
}

fn address(message: &mut Message) {
    let name = message.queries[0].name().clone();
    let address = RData::A(rdata::A::new(192, 0, 2, 1));
    message.add_answer(Record::from_rdata(name, 60, address));
}

#[test]
fn an_answer_is_the_end() {
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let attempt = bench.sends();
    assert_eq!(bench.waits(), ms(1000));
    bench.now += ms(30);
    bench.answer(&attempt, address);
    assert_eq!(bench.replies().server, 0);
    assert_eq!(bench.servers.round_trip(0), Some(ms(30)));
}

#[test]
fn silence_leads_to_the_next_and_back_with_more_patience() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::PLAIN]);
    let mut sent = Vec::new();
    let mut waits = Vec::new();
    loop {
        match bench.poll() {
            Step::Send(attempt) => sent.push(attempt.server),
            Step::Wait(until) => {
                waits.push((until - bench.now).as_secs());
                bench.now = until;
            }
            Step::Done(done) => {
                assert_eq!(done.unwrap_err().tried.len(), sent.len());
                break;
            }
        }
    }
    assert_eq!(sent, [0, 1, 0, 1, 0, 1]);
    assert_eq!(waits, [1, 1, 2, 2, 4, 2], "doubling, to the deadline");
}

#[test]
fn a_late_answer_of_the_first_counts() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::PLAIN]);
    let first = bench.sends();
    let wait = bench.waits();
    bench.now += wait;
    let _second = bench.sends();
    bench.answer(&first, address);
    assert_eq!(bench.replies().server, 0);
}

#[test]
fn truncation_asks_the_same_server_by_a_stream() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::PLAIN]);
    let first = bench.sends();
    bench.answer(&first, |m| m.metadata.truncation = true);
    let second = bench.sends();
    assert_eq!((second.server, second.way), (0, Way::Stream));
    bench.answer(&second, address);
    assert_eq!(bench.replies().way, Way::Stream);
}

#[test]
fn truncation_without_end_ends() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::PLAIN]);
    loop {
        match bench.poll() {
            Step::Send(attempt) => bench.answer(&attempt, |m| m.metadata.truncation = true),
            Step::Wait(_) => panic!("there is nothing to wait for"),
            Step::Done(done) => {
                let tried = done.unwrap_err().tried;
                assert_eq!(tried.len(), 4);
                assert!(tried.iter().all(|t| t.trouble == Trouble::Truncated));
                break;
            }
        }
    }
}

#[test]
fn a_refusal_leads_on_at_once_and_the_telling_one_is_kept() {
    let mut bench = Bench::new(&[Ways::PLAIN; 3]);
    for code in [
        ResponseCode::Refused,
        ResponseCode::ServFail,
        ResponseCode::Refused,
    ] {
        let attempt = bench.sends();
        bench.answer(&attempt, |m| m.metadata.response_code = code);
    }
    let failure = bench.fails();
    let (server, message) = failure.refusal.unwrap();
    assert_eq!(server, 1);
    let message = Message::from_vec(&message).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
}

#[test]
fn without_edns_where_it_is_not_understood_and_that_is_remembered() {
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let first = bench.sends();
    assert!(Message::from_vec(&first.query).unwrap().edns.is_some());
    bench.answer(&first, |m| {
        m.metadata.response_code = ResponseCode::FormErr;
        m.edns = None;
    });
    let second = bench.sends();
    assert!(Message::from_vec(&second.query).unwrap().edns.is_none());
    bench.answer(&second, address);
    bench.replies();
    assert!(!bench.servers.speaks_edns(0, bench.now));
    // A server that speaks EDNS and finds an error means it.
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let first = bench.sends();
    bench.answer(&first, |m| m.metadata.response_code = ResponseCode::FormErr);
    assert!(bench.fails().refusal.is_some());
}

fn with_cookie(bytes: Vec<u8>) -> impl FnOnce(&mut Message) {
    move |message| {
        let edns = message.edns.get_or_insert_with(Edns::new);
        edns.options_mut().insert(EdnsOption::Unknown(10, bytes));
        address(message);
    }
}

fn cookie_of(attempt: &Attempt) -> Vec<u8> {
    let walk = Walk::read(&attempt.query).unwrap();
    walk.opt()
        .unwrap()
        .unwrap()
        .option(OptionCode::COOKIE)
        .unwrap()
        .to_vec()
}

#[test]
fn a_wrong_cookie_is_not_believed() {
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let first = bench.sends();
    bench.answer(&first, with_cookie(b"forged!!abcdefgh".to_vec()));
    let second = bench.sends();
    assert_eq!(second.way, Way::Stream);
    let good = [cookie_of(&second), b"abcdefgh".to_vec()].concat();
    bench.answer(&second, with_cookie(good.clone()));
    bench.replies();
    // From now on, an answer without one is as good as forged.
    assert!(!bench.servers.check_cookie(0, &good, None));
}

#[test]
fn badcookie_is_asked_again_twice_and_then_over_a_stream() {
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let mut ways = Vec::new();
    loop {
        match bench.poll() {
            Step::Send(attempt) => {
                ways.push(attempt.way);
                let ours = cookie_of(&attempt)[..8].to_vec();
                bench.answer(&attempt, |m| {
                    with_cookie([ours, b"abcdefgh".to_vec()].concat())(m);
                    m.answers.clear();
                    m.metadata.response_code = ResponseCode::BADCOOKIE;
                });
            }
            Step::Wait(_) => panic!("there is nothing to wait for"),
            Step::Done(done) => break assert!(done.is_err()),
        }
    }
    assert_eq!(ways, [Way::Datagram, Way::Datagram, Way::Stream]);
}

#[test]
fn the_wrong_case_is_asked_again_where_nobody_guesses() {
    let mut bench = Bench::new(&[Ways::PLAIN]);
    let first = bench.sends();
    assert_ne!(first.query, first.query.to_ascii_lowercase());
    bench.fail(&first, Trouble::WrongCase);
    let second = bench.sends();
    assert_eq!(second.way, Way::Stream);
    assert_eq!(second.query[12..], second.query.to_ascii_lowercase()[12..]);
}

#[test]
fn who_cannot_be_reached_is_not_asked_again() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::SECURE]);
    let first = bench.sends();
    bench.fail(&first, Trouble::Unreachable("refused".into()));
    let second = bench.sends();
    assert_eq!((second.server, second.way), (1, Way::Stream));
    assert_eq!(second.query.len() % 128, 0, "padded, and no cookie");
    bench.fail(&second, Trouble::Unreachable("refused".into()));
    assert_eq!(bench.fails().tried.len(), 2);
}

#[test]
fn a_referral_is_no_answer_to_a_stub() {
    let mut bench = Bench::new(&[Ways::PLAIN, Ways::PLAIN]);
    let first = bench.sends();
    bench.answer(&first, |m| {
        m.metadata.recursion_available = false;
        let zone = Name::from_ascii("org.").unwrap();
        let ns = RData::NS(rdata::NS(Name::from_ascii("a.nic.org.").unwrap()));
        m.add_authority(Record::from_rdata(zone, 60, ns));
    });
    assert_eq!(bench.sends().server, 1);
}

#[test]
fn the_budget_holds_whatever_the_servers_say() {
    let mut bench = Bench::with(&[Ways::PLAIN; 8], |options| {
        options.budget = 5;
        options.rounds = 100;
    });
    let mut sent = 0;
    loop {
        match bench.poll() {
            Step::Send(attempt) => {
                sent += 1;
                bench.answer(&attempt, |m| m.metadata.truncation = true);
            }
            Step::Wait(until) => bench.now = until,
            Step::Done(done) => break assert!(done.is_err()),
        }
    }
    assert_eq!(sent, 5);
}

#[test]
fn no_servers_are_no_answer() {
    assert!(Bench::new(&[]).fails().tried.is_empty());
}
