//! Look-ups over a network that loses, doubles, delays and cuts, from many seeds.

use std::time::Duration;

use ropewalk_core::testing::sim::simulate;
use ropewalk_names_dns::{
    client::{LookupError, Resolver, ResolverOptions},
    testing::{FakeDns, Fault},
};

const RECORDS: &str = "
    example.test. 60 SOA ns.example.test. admin.example.test. 1 3600 600 86400 60
    www.example.test. 60 A 192.0.2.1
    text.example.test. 60 TXT text";

/// Whatever the network does: an answer is the right one, a look-up ends in its time, and nothing
/// is left behind.
#[test]
fn answers_are_right_or_there_are_none() {
    simulate(100, async |net| {
        let mut random = net.random();
        let dns = FakeDns::new();
        dns.add(RECORDS)?;
        let mut servers = Vec::new();
        for name in ["one", "two"] {
            let host = net.host(name);
            servers.push(dns.serve(&host.schemes(), "sim:53").await?);
        }
        let client = net.host("client");
        net.links(|link| {
            link.loss = 0.2;
            link.duplicate = 0.1;
            link.latency = Duration::from_millis(1)..=Duration::from_millis(900);
        });
        let upstreams = ["sim:one:53", "sim:two:53"].map(|s| s.parse().unwrap());
        let resolver = Resolver::with(upstreams, ResolverOptions::from(client.schemes()));
        for round in 0..10 {
            let fault = [
                None,
                Some(Fault::Truncated),
                Some(Fault::FoldedCase),
                Some(Fault::WrongId),
                Some(Fault::Garbage),
            ][usize::try_from(random.within(0..=4)).unwrap()]
            .clone();
            if let Some(fault) = fault {
                dns.fault(".", fault, 1);
            }
            match random.within(0..=3) {
                0 => net.partition("client", "one"),
                1 => net.repair("client", "one"),
                _ => {}
            }
            let begin = tokio::time::Instant::now();
            let name = format!("n{round}.example.test.");
            let (www, text, none) = tokio::join!(
                resolver.ipv4("www.example.test."),
                resolver.txt("text.example.test."),
                resolver.ipv4(name),
            );
            if let Ok(addresses) = &www {
                assert_eq!(addresses[0].to_string(), "192.0.2.1");
            }
            if let Ok(texts) = &text {
                assert_eq!(&*texts[0].txt_data[0], b"text");
            }
            assert!(none.is_err());
            for error in [www.err(), text.err()].into_iter().flatten() {
                assert!(!error.is_negative(), "{error}");
            }
            assert!(begin.elapsed() <= Duration::from_secs(13));
            tokio::time::sleep(random.duration(Duration::ZERO..=Duration::from_secs(70))).await;
            net.note(format_args!(
                "round {round}: {}",
                dns.take_questions().len()
            ));
        }
        net.repair("client", "one");
        drop(resolver);
        for server in servers {
            server.end().await;
        }
        Ok(())
    });
}

/// A server that is gone costs the first questions their wait, and later ones nothing.
#[test]
fn a_server_that_is_gone_is_asked_last() {
    simulate(20, async |net| {
        let dns = FakeDns::new();
        dns.add(RECORDS)?;
        let host = net.host("two");
        let server = dns.serve(&host.schemes(), "sim:53").await?;
        let (_one, client) = (net.host("one"), net.host("client"));
        net.partition("client", "one");
        let upstreams = ["sim:one:53", "sim:two:53"].map(|s| s.parse().unwrap());
        let mut options = ResolverOptions::from(client.schemes());
        options.exchange.selection = ropewalk_names_dns::client::Selection::InOrder;
        let resolver = Resolver::with(upstreams, options);
        let mut slow = 0;
        for n in 0..20 {
            let begin = tokio::time::Instant::now();
            let error = resolver.ipv4(format!("n{n}.example.test.")).await;
            assert!(matches!(error, Err(LookupError::NoName { .. })));
            slow += u32::from(begin.elapsed() > Duration::from_millis(500));
        }
        assert!(slow <= 4, "{slow} waited");
        drop(resolver);
        server.end().await;
        Ok(())
    });
}
