//! Look-ups by a fake server in memory: what is asked, and what comes of it.

use std::{net::IpAddr, time::Duration};

use ropewalk_core::{Metrics, Result, Schemes, metrics::Exposition, testing::run};
use ropewalk_names_dns::{
    client::{
        ExtendedError, Families, LookupError, Resolver, ResolverOptions, Selection, Upstream,
    },
    hickory_proto::{
        op::ResponseCode,
        rr::{Name, RecordType},
    },
    testing::{FakeDns, FakeServer, Fault},
};

/// A fake server with some records, and a resolver that asks it.
pub(crate) struct Bench {
    pub(crate) dns: FakeDns,
    pub(crate) resolver: Resolver,
    server: FakeServer,
}

pub(crate) const RECORDS: &str = "
    example.test. 3600 SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
    example.test. 300 MX 20 backup.example.test.
    example.test. 300 MX 10 mx.example.test.
    www.example.test. 300 A 192.0.2.1
    www.example.test. 300 A 192.0.2.2
    www.example.test. 300 AAAA 2001:db8::1
    alias.example.test. 300 CNAME www.example.test.
    away.example.test. 300 CNAME host.elsewhere.test.
    loop.example.test. 300 CNAME pool.example.test.
    pool.example.test. 300 CNAME loop.example.test.
    only4.example.test. 300 A 192.0.2.4
    text.example.test. 300 TXT \"a text\" \"and another\"
    1.2.0.192.in-addr.arpa. 300 PTR www.example.test.";

pub(crate) async fn bench(change: impl FnOnce(&mut ResolverOptions)) -> Bench {
    let (dns, schemes) = (FakeDns::new(), Schemes::new());
    dns.add(RECORDS).unwrap();
    let server = dns.serve(&schemes, "mem:dns").await.unwrap();
    let mut options = ResolverOptions::from(schemes);
    change(&mut options);
    let resolver = Resolver::with(["mem:dns".parse().unwrap()], options);
    Bench {
        dns,
        resolver,
        server,
    }
}

impl Bench {
    async fn end(self) {
        drop(self.resolver);
        self.server.end().await;
    }

    fn asked(&self) -> usize {
        self.dns.take_questions().len()
    }
}

fn test(body: impl AsyncFnOnce(&Bench)) {
    run(async {
        let bench = bench(|_| ()).await;
        body(&bench).await;
        bench.end().await;
    });
}

fn ips(all: &[&str]) -> Vec<IpAddr> {
    all.iter().map(|ip| ip.parse().unwrap()).collect()
}

#[test]
fn verbs() {
    test(async |bench| {
        let r = &bench.resolver;
        let addresses = r.lookup_ip("www.example.test.").await.unwrap();
        assert_eq!(addresses, ips(&["2001:db8::1", "192.0.2.1", "192.0.2.2"]));
        assert_eq!(r.ipv4("www.example.test.").await.unwrap().len(), 2);
        assert_eq!(r.ipv6("www.example.test.").await.unwrap().len(), 1);
        let mx = r.mx("example.test.").await.unwrap();
        assert_eq!(
            mx.iter().map(|mx| mx.preference).collect::<Vec<_>>(),
            [10, 20]
        );
        let txt = r.txt("text.example.test.").await.unwrap();
        assert_eq!(&*txt[0].txt_data[1], b"and another");
        assert_eq!(r.soa("example.test.").await.unwrap().serial, 1);
        let names = r.reverse("192.0.2.1".parse().unwrap()).await.unwrap();
        assert_eq!(names[0].to_string(), "www.example.test.");
        // Not asked about: addresses, and names that are special.
        bench.dns.take_questions();
        assert_eq!(r.lookup_ip("[::1]").await.unwrap(), ips(&["::1"]));
        assert_eq!(
            r.lookup_ip("db.localhost").await.unwrap(),
            ips(&["::1", "127.0.0.1"])
        );
        assert!(r.lookup_ip("hidden.onion").await.unwrap_err().is_negative());
        assert!(matches!(
            r.lookup_ip(&"x".repeat(64)).await,
            Err(LookupError::BadName { .. })
        ));
        assert_eq!(bench.asked(), 0);
    });
}

#[test]
fn aliases_are_followed_to_their_end_or_refused() {
    test(async |bench| {
        let r = &bench.resolver;
        let found = r
            .lookup("alias.example.test.", RecordType::A)
            .await
            .unwrap();
        assert_eq!(found.records().len(), 2);
        assert_eq!(found.aliases()[0].to_string(), "www.example.test.");
        let error = r.lookup("loop.example.test.", RecordType::A).await;
        assert!(
            matches!(
                error,
                Err(LookupError::Refused {
                    code: ResponseCode::ServFail,
                    ..
                })
            ),
            "the fake server finds the circle itself"
        );
        let error = r
            .lookup("away.example.test.", RecordType::A)
            .await
            .unwrap_err();
        let LookupError::NoName { query, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(query.name().to_string(), "host.elsewhere.test.");
    });
}

#[test]
fn what_is_not_there_is_told_with_how_long_that_holds() {
    test(async |bench| {
        let r = &bench.resolver;
        for _ in 0..2 {
            let error = r
                .lookup("no.example.test.", RecordType::A)
                .await
                .unwrap_err();
            let LookupError::NoName { ttl, .. } = error else {
                panic!("{error}");
            };
            assert!(ttl.unwrap() <= Duration::from_secs(60));
            let error = r.lookup("text.example.test.", RecordType::A).await;
            assert!(matches!(error, Err(LookupError::NoRecords { .. })));
        }
        assert_eq!(bench.asked(), 2, "denials are kept");
        let addresses = r.lookup_ip("only4.example.test.").await.unwrap();
        assert_eq!(addresses, ips(&["192.0.2.4"]));
    });
}

#[test]
fn a_refusal_says_who_and_why() {
    test(async |bench| {
        let why = ExtendedError::new(9, "no key for example.test.");
        let fault = Fault::Extended(ResponseCode::ServFail, why);
        bench.dns.fault("www.example.test.", fault, 1);
        let r = &bench.resolver;
        let error = r
            .lookup("www.example.test.", RecordType::A)
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("mem:dns answered"), "{said}");
        assert!(
            said.ends_with("DNSKEY missing (no key for example.test.)"),
            "{said}"
        );
        // It is remembered for five seconds, and no longer.
        let error = r.lookup("www.example.test.", RecordType::A).await;
        assert!(matches!(error, Err(LookupError::RememberedFailure { .. })));
        assert_eq!(bench.asked(), 1);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(r.lookup("www.example.test.", RecordType::A).await.is_ok());
    });
}

#[test]
fn silence_is_asked_again_and_ends() {
    test(async |bench| {
        bench.dns.fault(".", Fault::Silence, 2);
        let r = &bench.resolver;
        assert!(r.lookup("www.example.test.", RecordType::A).await.is_ok());
        let questions = bench.dns.take_questions();
        assert_eq!(questions.len(), 3);
        assert!(
            questions
                .windows(2)
                .all(|w| w[0].id != w[1].id || w[0].from != w[1].from)
        );
        bench.dns.fault(".", Fault::Silence, usize::MAX);
        let begin = tokio::time::Instant::now();
        let error = r
            .lookup("text.example.test.", RecordType::TXT)
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                LookupError::NoAnswer {
                    timed_out: true,
                    ..
                }
            ),
            "{error}"
        );
        assert!(begin.elapsed() <= Duration::from_secs(12));
        assert_eq!(bench.asked(), 3);
    });
}

#[test]
fn what_does_not_fit_is_asked_for_by_a_stream_that_is_kept() {
    test(async |bench| {
        let text = "x".repeat(200);
        for n in 0..20 {
            let line = format!("long{}.example.test. 300 TXT {text}{n}", n % 2);
            bench.dns.add(&line).unwrap();
        }
        let r = &bench.resolver;
        for name in ["long0.example.test.", "long1.example.test."] {
            assert_eq!(r.txt(name).await.unwrap().len(), 10);
        }
        let ways: Vec<bool> = bench.dns.questions().iter().map(|q| q.by_stream).collect();
        assert_eq!(ways, [false, true, false, true]);
        let from: Vec<_> = bench
            .dns
            .take_questions()
            .into_iter()
            .map(|q| q.from)
            .collect();
        assert_eq!(from[1], from[3], "one connection");
        bench
            .dns
            .fault("www.example.test.", Fault::TruncatedAlways, usize::MAX);
        let error = r.lookup("www.example.test.", RecordType::A).await;
        assert!(matches!(error, Err(LookupError::NoAnswer { .. })));
        assert_eq!(
            bench.asked(),
            2,
            "and no more, since it will not get shorter"
        );
    });
}

#[test]
fn forgeries_and_nonsense_are_not_believed() {
    for fault in [Fault::WrongId, Fault::WrongQuestion, Fault::Garbage] {
        test(async |bench| {
            bench.dns.fault("www.example.test.", fault.clone(), 1);
            let found = bench.resolver.ipv4("www.example.test.").await.unwrap();
            assert_eq!(found.len(), 2, "{fault:?}");
            assert_eq!(bench.asked(), 2);
        });
    }
}

#[test]
fn a_server_that_folds_case_is_asked_by_a_stream_and_then_in_lower_case() {
    test(async |bench| {
        bench.dns.fault(".", Fault::FoldedCase, usize::MAX);
        bench.resolver.ipv4("www.example.test.").await.unwrap();
        bench.resolver.ipv6("www.example.test.").await.unwrap();
        let ways: Vec<bool> = bench
            .dns
            .take_questions()
            .iter()
            .map(|q| q.by_stream)
            .collect();
        assert_eq!(ways, [false, true, false]);
    });
}

#[test]
fn case_is_drawn_for_every_question() {
    test(async |bench| {
        let mut shapes = std::collections::BTreeSet::new();
        for n in 0..20 {
            let name = format!("a-longer-name-{n:02}.example.test.");
            let _ = bench.resolver.ipv4(name).await;
        }
        for asked in bench.dns.take_questions() {
            let name = asked.name.to_string();
            shapes.insert(name.chars().map(|c| c.is_uppercase()).collect::<Vec<_>>());
        }
        assert!(shapes.len() > 15);
    });
}

#[test]
fn equal_questions_are_asked_once() {
    test(async |bench| {
        bench
            .dns
            .fault(".", Fault::Delay(Duration::from_millis(100)), usize::MAX);
        let all = (0..100).map(|n| {
            let name = if n % 2 == 0 {
                "www.example.test."
            } else {
                "WWW.Example.test."
            };
            bench.resolver.ipv4(name)
        });
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(bench.asked(), 1, "one outstanding query per question");
        // The first who asked may go; the others have their answer.
        let first = bench.resolver.ipv6("www.example.test.");
        let second = bench.resolver.ipv6("www.example.test.");
        let first = tokio::time::timeout(Duration::from_millis(10), first);
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_err() && second.is_ok());
        assert_eq!(bench.asked(), 1);
    });
}

#[test]
fn a_look_up_that_is_dropped_leaves_nothing_and_can_be_asked_again() {
    test(async |bench| {
        bench.dns.fault(".", Fault::Silence, 1);
        let lookup = bench.resolver.ipv4("www.example.test.");
        assert!(
            tokio::time::timeout(Duration::from_millis(10), lookup)
                .await
                .is_err()
        );
        assert!(bench.resolver.ipv4("www.example.test.").await.is_ok());
        assert_eq!(bench.asked(), 2);
    });
}

#[test]
fn names_are_searched_for() {
    run(async {
        let bench = bench(|options| {
            let domains = ["no.test.", "example.test."];
            options.search = domains.map(|d| Name::from_ascii(d).unwrap()).to_vec();
        })
        .await;
        let addresses = bench.resolver.lookup_ip("www").await.unwrap();
        assert_eq!(addresses.len(), 3);
        let names: std::collections::BTreeSet<String> = bench
            .dns
            .take_questions()
            .iter()
            .map(|q| q.name.to_lowercase().to_string())
            .collect();
        assert_eq!(
            names.into_iter().collect::<Vec<_>>(),
            ["www.example.test.", "www.no.test."]
        );
        assert!(
            bench
                .resolver
                .lookup_ip("nowhere")
                .await
                .unwrap_err()
                .is_negative()
        );
        assert!(
            bench
                .resolver
                .lookup_ip("www.")
                .await
                .unwrap_err()
                .is_negative()
        );
        bench.end().await;
    });
}

#[test]
fn an_expired_answer_is_better_than_none() {
    test(async |bench| {
        let r = &bench.resolver;
        r.ipv4("www.example.test.").await.unwrap();
        tokio::time::sleep(Duration::from_secs(301)).await;
        bench.dns.fault(".", Fault::Silence, usize::MAX);
        let begin = tokio::time::Instant::now();
        let found = r.lookup("www.example.test.", RecordType::A).await.unwrap();
        assert!(found.is_stale(), "while a fresh one is waited for");
        assert_eq!(found.ttl(), Duration::from_secs(30));
        let took = begin.elapsed();
        assert!(took <= Duration::from_millis(1801), "{took:?}");
        // By the end of the question, its failure is known, and nobody waits for a while.
        tokio::time::sleep(Duration::from_secs(12)).await;
        let begin = tokio::time::Instant::now();
        let found = r.lookup("www.example.test.", RecordType::A).await.unwrap();
        assert!(found.is_stale() && begin.elapsed() == Duration::ZERO);
        // Then it is asked again, and fresh.
        bench.dns.heal();
        tokio::time::sleep(Duration::from_secs(31)).await;
        assert!(
            !r.lookup("www.example.test.", RecordType::A)
                .await
                .unwrap()
                .is_stale()
        );
    });
}

#[test]
fn what_expired_is_said_to_be_so_where_asking_failed_just_now() {
    test(async |bench| {
        let r = &bench.resolver;
        let found = r.lookup("www.example.test.", RecordType::A).await.unwrap();
        assert!(!found.is_stale());
        tokio::time::sleep(Duration::from_secs(301)).await;
        let fault = Fault::Code(ResponseCode::ServFail);
        bench.dns.fault(".", fault, usize::MAX);
        let begin = tokio::time::Instant::now();
        let found = r.lookup("www.example.test.", RecordType::A).await.unwrap();
        assert!(found.is_stale() && begin.elapsed() == Duration::ZERO);
    });
}

/// What may not be kept is as fresh as anything when it comes.
#[test]
fn an_answer_that_holds_for_no_time_is_not_stale() {
    test(async |bench| {
        bench.dns.add("moment.test. 0 A 192.0.2.7").unwrap();
        let r = &bench.resolver;
        for _ in 0..2 {
            let found = r.lookup("moment.test.", RecordType::A).await.unwrap();
            assert!(!found.is_stale());
            assert_eq!(found.ttl(), Duration::ZERO);
        }
        assert_eq!(bench.asked(), 2);
    });
}

#[test]
fn servers_fail_each_for_itself() {
    run(async {
        let (dns, schemes) = (FakeDns::new(), Schemes::new());
        dns.add(RECORDS).unwrap();
        let one = dns.serve(&schemes, "mem:one").await.unwrap();
        let two = dns.serve(&schemes, "mem:two").await.unwrap();
        dns.fault("www.example.test.", Fault::Silence, 1);
        for endpoint in ["mem:one", "mem:two"] {
            let resolver = dns.resolver(&schemes, endpoint).unwrap();
            resolver.ipv4("www.example.test.").await.unwrap();
            let asked: Vec<_> = dns.take_questions();
            assert_eq!(asked.len(), 2, "asked again");
            assert!(asked.iter().all(|q| &*q.server == endpoint));
        }
        one.end().await;
        two.end().await;
    });
}

#[test]
fn questions_share_a_port_as_the_options_say() {
    for (per_port, ports) in [(1, 12), (4, 3), (32, 1)] {
        run(async {
            let bench = bench(|options| options.per_port = per_port).await;
            let names = (0..12).map(|n| bench.resolver.ipv4(format!("n{n}.test.")));
            futures_util::future::join_all(names).await;
            let asked = bench.dns.take_questions();
            let from: std::collections::BTreeSet<_> = asked.iter().map(|q| &q.from).collect();
            assert_eq!((asked.len(), from.len()), (12, ports), "{per_port}");
            bench.end().await;
        });
    }
}

#[test]
fn what_is_asked_for_often_is_fetched_in_advance() {
    test(async |bench| {
        let r = &bench.resolver;
        r.ipv4("www.example.test.").await.unwrap();
        tokio::time::sleep(Duration::from_secs(290)).await;
        assert!(r.ipv4("www.example.test.").await.is_ok());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(bench.asked(), 2);
        let found = r.lookup("www.example.test.", RecordType::A).await.unwrap();
        assert!(found.ttl() > Duration::from_secs(290));
        assert_eq!(bench.asked(), 0);
    });
}

#[test]
fn private_addresses_are_refused_where_they_are_not_wanted() {
    run(async {
        let bench = bench(|options| {
            options.private_addresses = false;
            options.private_names = [Name::from_ascii("inner.test.").unwrap()].into();
        })
        .await;
        bench
            .dns
            .add("evil.test. A 10.0.0.1\ndb.inner.test. A 10.0.0.2")
            .unwrap();
        let error = bench.resolver.ipv4("evil.test.").await;
        assert!(matches!(error, Err(LookupError::Rebinding { .. })));
        assert!(bench.resolver.ipv4("db.inner.test.").await.is_ok());
        assert!(bench.resolver.ipv4("www.example.test.").await.is_ok());
        bench.end().await;
    });
}

#[test]
fn families_are_as_the_options_say() {
    run(async {
        let bench = bench(|options| options.families = Families::Ipv4).await;
        let addresses = bench.resolver.lookup_ip("www.example.test.").await.unwrap();
        assert_eq!(addresses, ips(&["192.0.2.1", "192.0.2.2"]));
        assert_eq!(bench.asked(), 1);
        bench.end().await;
    });
}

#[test]
fn the_servers_that_answer_are_asked() {
    run(async {
        let (dns, schemes) = (FakeDns::new(), Schemes::new());
        dns.add(RECORDS).unwrap();
        let server = dns.serve(&schemes, "mem:good").await.unwrap();
        let mut options = ResolverOptions::from(schemes);
        options.exchange.selection = Selection::InOrder;
        let metrics = Metrics::new();
        options.metrics = Some(metrics.clone());
        let servers: Vec<Upstream> = ["mem:nobody", "mem:good"]
            .map(|s| s.parse().unwrap())
            .into();
        let resolver = Resolver::with(servers, options);
        let begin = tokio::time::Instant::now();
        for name in [
            "www.example.test.",
            "only4.example.test.",
            "text.example.test.",
        ] {
            let _ = resolver.ipv4(name).await;
        }
        assert_eq!(
            begin.elapsed(),
            Duration::ZERO,
            "a refusal is heard at once"
        );
        let page = metrics.render(Exposition::Prometheus);
        assert!(
            page.contains("ropewalk_dns_client_answers_total 3"),
            "{page}"
        );
        drop(resolver);
        let none = Resolver::new([]);
        assert!(matches!(
            none.ipv4("a.test.").await,
            Err(LookupError::NoServers)
        ));
        server.end().await;
    });
}

#[test]
fn files_are_read_again_when_they_change() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (conf, hosts) = (
            folder.path().join("resolv.conf"),
            folder.path().join("hosts"),
        );
        std::fs::write(&conf, "nameserver 192.0.2.53\noptions timeout:1 attempts:1").unwrap();
        std::fs::write(&hosts, "192.0.2.9 printer.test printer").unwrap();
        let resolver = Resolver::from_files(&conf, &hosts, ResolverOptions::from(Schemes::new()));
        assert_eq!(resolver.servers()[0].0, "udp:192.0.2.53:53");
        assert_eq!(
            resolver.lookup_ip("Printer").await.unwrap(),
            ips(&["192.0.2.9"])
        );
        let names = resolver
            .reverse("192.0.2.9".parse().unwrap())
            .await
            .unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(resolver.ipv4("printer.test.").await.unwrap().len(), 1);
        let error = resolver.ipv6("printer.test.").await;
        assert!(matches!(error, Err(LookupError::NoRecords { .. })));

        std::fs::write(&conf, "nameserver ::1\nnameserver 192.0.2.54\n").unwrap();
        std::fs::write(&hosts, "192.0.2.10 printer\n# changed").unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(
            resolver.lookup_ip("printer").await.unwrap(),
            ips(&["192.0.2.10"])
        );
        let names: Vec<String> = resolver
            .servers()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["udp:[::1]:53", "udp:192.0.2.54:53"]);
    });
}
