use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{self, opt::EdnsOption},
    },
};

use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn query(text: &str) -> Query {
    Query::new(&name(text), RecordType::A)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn response(query: &Query) -> Message {
    let mut message = Message::new(99, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_query(hickory_proto::op::Query::query(
        query.name(),
        query.record_type(),
    ));
    message
}

fn address(query: &Query, ttl: u32) -> Vec<u8> {
    let mut message = response(query);
    let data = RData::A(rdata::A::new(192, 0, 2, 1));
    message.add_answer(Record::from_rdata(query.name(), ttl, data));
    message.set_edns(Edns::new());
    message.to_vec().unwrap()
}

fn denial(query: &Query, ttl: u32, minimum: u32, code: ResponseCode) -> Vec<u8> {
    let mut message = response(query);
    message.metadata.response_code = code;
    let zone = name("example.");
    let soa = rdata::SOA::new(zone.clone(), zone.clone(), 1, 2, 3, 4, minimum);
    message.add_authority(Record::from_rdata(zone, ttl, RData::SOA(soa)));
    message.to_vec().unwrap()
}

fn ttl_of(message: &[u8]) -> u32 {
    let first = Walk::read(message).unwrap().records().next();
    first.unwrap().unwrap().ttl
}

#[test]
fn an_answer_counts_down_and_ends() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    assert!(cache.get(&query, now).is_none());
    cache.store(&query, &address(&query, 300), now).unwrap();
    let (message, found) = cache.get(&query, now + secs(100)).unwrap();
    assert_eq!((found.kind, found.remaining), (Kind::Records, secs(200)));
    assert_eq!(ttl_of(&message), 200);
    let message = Message::from_vec(&message).unwrap();
    assert!(message.edns.is_none() && !message.metadata.authoritative);
    assert_eq!((message.metadata.id, message.answers.len()), (0, 1));
    let (message, found) = cache.get(&query, now + secs(300)).unwrap();
    assert!(found.is_stale && !found.is_held);
    assert_eq!(ttl_of(&message), 30);
    assert!(cache.get(&query, now + secs(300 + 86_400)).is_none());
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.stale), (1, 2, 1));
}

#[test]
fn questions_that_differ_in_a_bit_do_not_meet() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    cache.store(&query, &address(&query, 300), now).unwrap();
    for other in [
        query.clone().dnssec_ok(true),
        query.clone().checking_disabled(true),
        Query::new(&query.name(), RecordType::AAAA),
    ] {
        assert!(cache.get(&other, now).is_none(), "{other:?}");
    }
    // And what answers another question is not kept for this one.
    let other = Query::new(&name("other.example."), RecordType::A);
    assert!(cache.store(&other, &address(&query, 300), now).is_none());
}

#[test]
fn a_denial_lives_as_its_soa_says() {
    let cache = Cache::new(CacheOptions::default());
    let now = Instant::now();
    for (code, kind) in [
        (ResponseCode::NXDomain, Kind::NoName),
        (ResponseCode::NoError, Kind::NoRecords),
    ] {
        let query = query("no.example.");
        let found = cache.store(&query, &denial(&query, 600, 60, code), now);
        let found = found.unwrap();
        assert_eq!((found.kind, found.remaining), (kind, secs(60)));
        let (message, _) = cache.get(&query, now + secs(10)).unwrap();
        assert_eq!(ttl_of(&message), 50);
        // Never for longer than an hour.
        let found = cache.store(&query, &denial(&query, 90_000, 90_000, code), now);
        assert_eq!(found.unwrap().remaining, secs(3600));
        // Without an SOA it is not kept.
        cache.forget(&query);
        let mut bare = response(&query);
        bare.metadata.response_code = code;
        let found = cache.store(&query, &bare.to_vec().unwrap(), now).unwrap();
        assert_eq!((found.kind, found.remaining), (kind, Duration::ZERO));
        assert!(cache.get(&query, now).is_none());
    }
}

#[test]
fn ttls_are_held_to_their_bounds() {
    let options = CacheOptions {
        min_ttl: secs(5),
        max_ttl: secs(1000),
        ..CacheOptions::default()
    };
    let cache = Cache::new(options);
    let (now, query) = (Instant::now(), query("www.example."));
    for (ttl, kept) in [(0, 5), (7, 7), (5000, 1000), (0x8000_0001, 5)] {
        let found = cache.store(&query, &address(&query, ttl), now).unwrap();
        assert_eq!(found.remaining, secs(kept), "{ttl}");
    }
    // By default, what says 0 is for this one use.
    let cache = Cache::new(CacheOptions::default());
    cache.store(&query, &address(&query, 0), now);
    assert!(cache.get(&query, now).is_none());
}

#[test]
fn failures_are_remembered_shortly_and_do_not_displace_what_expired() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    cache.store_failure(&query, None, &[ExtendedError::new(22, "")], now);
    let (message, found) = cache.get(&query, now + secs(4)).unwrap();
    assert_eq!(found.kind, Kind::Failure);
    assert_eq!(found.errors[0].code, 22);
    let message = Message::from_vec(&message).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert!(cache.get(&query, now + secs(5)).is_none());

    cache.store(&query, &address(&query, 10), now).unwrap();
    let later = now + secs(60);
    cache.store_failure(&query, None, &[], later);
    let (_, found) = cache.get(&query, later + secs(29)).unwrap();
    assert!(found.is_stale && found.is_held && found.kind == Kind::Records);
    let (_, found) = cache.get(&query, later + secs(31)).unwrap();
    assert!(found.is_stale && !found.is_held);
}

#[test]
fn a_refresh_is_wanted_once_near_the_end() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    cache.store(&query, &address(&query, 100), now).unwrap();
    let wants = |after| {
        cache
            .get(&query, now + secs(after))
            .unwrap()
            .1
            .wants_refresh
    };
    assert_eq!([89, 91, 92].map(wants), [false, true, false]);
}

#[test]
fn bytes_are_bounded_and_what_is_used_stays() {
    let options = CacheOptions {
        bytes: 100_000,
        ..CacheOptions::default()
    };
    let cache = Cache::new(options);
    let now = Instant::now();
    let favourite = query("favourite.example.");
    cache.store(&favourite, &address(&favourite, 300), now);
    for n in 0..5000 {
        let query = query(&format!("name-{n}.example."));
        cache.store(&query, &address(&query, 300), now);
        assert!(cache.get(&favourite, now).is_some(), "{n}");
        assert!(cache.counts().bytes <= 100_000);
    }
    let counts = cache.counts();
    assert!(counts.entries > 100 && counts.evicted == 5001 - counts.entries);
    cache.clear();
    assert_eq!((cache.counts().entries, cache.counts().bytes), (0, 0));
    let options = CacheOptions {
        bytes: 0,
        ..CacheOptions::default()
    };
    let none = Cache::new(options);
    none.store(&favourite, &address(&favourite, 300), now);
    assert_eq!(none.counts().entries, 0);
}

#[test]
fn what_a_server_says_besides_is_kept_and_its_opt_record_is_not() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    let mut message = Message::from_vec(&address(&query, 60)).unwrap();
    let mut edns = Edns::new();
    let ede = ExtendedError::new(29, "made up").to_bytes();
    edns.options_mut().insert(EdnsOption::Unknown(15, ede));
    message.set_edns(edns);
    let extra = RData::A(rdata::A::new(192, 0, 2, 9));
    message.add_additional(Record::from_rdata(name("extra.example."), 60, extra));
    cache
        .store(&query, &message.to_vec().unwrap(), now)
        .unwrap();
    let (kept, found) = cache.get(&query, now).unwrap();
    assert_eq!(found.errors[0].text, "made up");
    let kept = Message::from_vec(&kept).unwrap();
    assert!(kept.edns.is_none() && kept.additionals.len() == 1);
}

#[test]
fn what_is_cut_or_garbled_is_not_kept() {
    let cache = Cache::new(CacheOptions::default());
    let (now, query) = (Instant::now(), query("www.example."));
    let whole = address(&query, 60);
    for end in 0..whole.len() {
        assert!(cache.store(&query, &whole[..end], now).is_none(), "{end}");
    }
    let mut truncated = whole.clone();
    truncated[2] |= 2;
    assert!(cache.store(&query, &truncated, now).is_none());
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut garbled = whole.clone();
            garbled[at] ^= 1 << bit;
            cache.store(&query, &garbled, now);
            let _ = cache.get(&query, now);
        }
    }
}
