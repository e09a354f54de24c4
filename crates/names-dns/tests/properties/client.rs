//! What holds of anything that the stub client reads itself: shared by the tests and the fuzz target
//! `dns_client`.
//!
//! The first octet says what the rest is: resolv.conf, hosts, or what a server answers.

use std::time::{Duration, Instant};

use ropewalk_names_dns::{
    client::{Cache, CacheOptions, Hosts, Query, ResolvConf},
    hickory_proto::rr::{Name, RecordType},
    proto::{
        Edns, Header, Message,
        exchange::{Exchange, ExchangeOptions, Servers, Step, Ways},
    },
};

pub(crate) fn check(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else {
        return;
    };
    match kind % 3 {
        0 => check_resolv_conf(&String::from_utf8_lossy(rest)),
        1 => check_hosts(&String::from_utf8_lossy(rest)),
        _ => check_answers(rest),
    }
}

fn check_resolv_conf(text: &str) {
    let conf = ResolvConf::parse(text);
    assert!(conf.servers.len() <= ResolvConf::MAX_SERVERS);
    assert!(conf.search.len() <= ResolvConf::MAX_SEARCH);
    assert!(conf.ndots <= 15 && (1..=5).contains(&conf.attempts));
    assert!((1..=30).contains(&conf.timeout.as_secs()));
    let lines = text.lines().count();
    assert!(
        conf.unknown
            .iter()
            .all(|(line, _)| (1..=lines).contains(line))
    );
    for (text, is_whole) in [
        ("www", false),
        ("www.example", false),
        ("www.example.", true),
    ] {
        let candidates = conf.candidates(&Name::from_ascii(text).expect("a name"));
        assert!(candidates.iter().all(Name::is_fqdn));
        assert!(!candidates.is_empty() && candidates.len() <= conf.search.len() + 1);
        assert!(!is_whole || candidates.len() == 1);
    }
}

/// Each name leads to its addresses, and these back to it.
fn check_hosts(text: &str) {
    let hosts = Hosts::parse(text);
    for word in text.split_ascii_whitespace().take(100) {
        let addresses = hosts.addresses(word);
        for (n, address) in addresses.iter().enumerate() {
            assert!(!addresses[..n].contains(address), "each once");
            let mut name = Name::from_ascii(word).expect("it was taken for a name");
            name.set_fqdn(true);
            assert!(hosts.names(*address).contains(&name), "{name}");
        }
    }
}

/// A server that answers each query with a part of the data: under its id and question, since a
/// socket lets nothing else through, and then anything.
fn check_answers(data: &[u8]) {
    let name = Name::from_ascii("www.example.org.").expect("a name");
    let query = Query::new(&name, RecordType::A);
    let options = ExchangeOptions::default();
    let mut now = Instant::now();
    let mut servers = Servers::new([Ways::PLAIN, Ways::STREAM]);
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state
    };
    let mut exchange = Exchange::new(query.clone(), &options, &mut servers, now, &mut random);
    let mut parts = data.split(|byte| *byte == 0xfe);
    loop {
        match exchange.poll(&mut servers, now, &mut random) {
            Step::Send(attempt) => {
                assert!(exchange.queries() <= options.budget);
                // Without a part there is silence.
                let Some(part) = parts.next() else { continue };
                let message = answer(&attempt.query, part);
                exchange.answered(attempt.number, message, &mut servers, now);
            }
            Step::Wait(until) => {
                assert!(until > now, "it waits for what is to come");
                now = until;
            }
            Step::Done(Ok(reply)) => return check_kept(&query, &reply.message, now),
            Step::Done(Err(failure)) => {
                assert_eq!(failure.tried.len(), exchange.queries());
                return;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Flags, counts and what follows the question are the data's.
fn answer(query: &[u8], part: &[u8]) -> Vec<u8> {
    let (head, rest) = part.split_at_checked(8).unwrap_or((part, &[]));
    let mut message = query[..Header::LENGTH].to_vec();
    message[2..4].copy_from_slice(&[0x81, 0x80]);
    for (at, byte) in [2, 3, 6, 7, 8, 9, 10, 11].into_iter().zip(head) {
        message[at] = *byte;
    }
    message[2] |= 0x80;
    message[4..6].copy_from_slice(&[0, 1]);
    let name = query[Header::LENGTH..].iter().position(|byte| *byte == 0);
    let question = Header::LENGTH + name.unwrap_or_default() + 5;
    message.extend_from_slice(&query[Header::LENGTH..question]);
    message.extend_from_slice(rest);
    message
}

/// What a cache keeps of it can be read, has no OPT record, and grows no longer.
fn check_kept(query: &Query, message: &[u8], now: Instant) {
    let cache = Cache::new(CacheOptions::default());
    let Some(found) = cache.store(query, message, now) else {
        return;
    };
    assert!(!found.is_stale && found.remaining <= cache.options().max_ttl);
    let kept = cache.get(query, now);
    assert_eq!(kept.is_some(), !found.remaining.is_zero());
    let Some((kept, again)) = kept else { return };
    assert_eq!((again.kind, again.remaining), (found.kind, found.remaining));
    assert!(kept.len() <= message.len());
    let read = Message::read(&kept).expect("a header");
    assert!(read.records().all(|record| record.is_ok()));
    assert_eq!(Edns::find(&read), Ok(None));
    // A second before its end it is there, at its end only for want of better.
    let late = cache.get(query, now + found.remaining - Duration::from_secs(1));
    assert!(!late.expect("it holds").1.is_stale);
    let over = cache
        .get(query, now + found.remaining)
        .expect("it is kept longer");
    assert!(over.1.is_stale);
}
