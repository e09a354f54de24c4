//! Looks names up as the system is configured: `lookup example.org MX`, or by the servers named after
//! that: `lookup example.org A tls:9.9.9.9:sni=dns.quad9.net`.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]
use std::process::ExitCode;

use ropewalk_core::*;
use ropewalk_names_dns::{client::Resolver, hickory_proto::rr::RecordType};

fn main() -> ExitCode {
    run(async {
        let mut words = std::env::args().skip(1);
        let name = words.next().ok_or("usage: lookup NAME [TYPE [SERVER…]]")?;
        let record_type: RecordType = words.next().as_deref().unwrap_or("A").parse()?;
        let servers = words.map(|s| s.parse()).collect::<Result<Vec<_>, _>>()?;
        let resolver = match servers.is_empty() {
            true => Resolver::system(),
            false => Resolver::new(servers),
        };
        print!("{}", resolver.lookup(name, record_type).await?);
        Ok(())
    })
}
