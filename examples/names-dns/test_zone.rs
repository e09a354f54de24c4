//! A test of somebody's program with a fake name server: a server that is slow and then silent, an
//! hour of it, in no time.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]
use std::time::Duration;

use ropewalk_core::{Result, Schemes};
use ropewalk_names_dns::testing::{FakeDns, Fault};

fn main() -> Result {
    ropewalk_core::testing::run(async {
        let dns = FakeDns::new();
        dns.add_zone(
            "shop.test.",
            "$TTL 1h\n@ SOA ns admin 1 1h 10m 1d 1m\n@ NS ns\nns A 192.0.2.53\nwww A 192.0.2.80\n",
        )?;
        let schemes = Schemes::new();
        let server = dns.serve(&schemes, "mem:dns").await?;
        let resolver = dns.resolver(&schemes, "mem:dns")?;

        dns.fault(
            "www.shop.test.",
            Fault::Delay(Duration::from_millis(300)),
            1,
        );
        println!("slow: {:?}", resolver.lookup_ip("www.shop.test.").await?);
        tokio::time::sleep(Duration::from_secs(3700)).await;
        dns.fault(".", Fault::Silence, usize::MAX);
        println!("silent: {:?}", resolver.lookup_ip("www.shop.test.").await?);
        if let Err(error) = resolver.lookup_ip("new.shop.test.").await {
            println!("unknown: {error}");
        }
        println!("asked {} times", dns.questions().len());
        drop(resolver);
        server.end().await;
        Ok(())
    })
}
