//! Connects to a service by its SRV records, and shows what the server says first:
//! `srv_connect srv:_imap._tcp.example.org [SERVER…]`.
#![allow(clippy::print_stdout, reason = "an example shows what it found")]
use std::process::ExitCode;

use ropewalk_core::*;
use ropewalk_names_dns::client::{Resolver, SrvScheme};
use tokio::io::AsyncReadExt;

fn main() -> ExitCode {
    run(async {
        let mut words = std::env::args().skip(1);
        let service: ClientEndpoint = words
            .next()
            .ok_or("usage: srv_connect srv:SERVICE")?
            .parse()?;
        let servers = words.map(|s| s.parse()).collect::<Result<Vec<_>, _>>()?;
        let resolver = match servers.is_empty() {
            true => Resolver::system(),
            false => Resolver::new(servers),
        };
        let schemes = Schemes::new().add(SrvScheme::new(resolver));
        let mut conn = schemes.connect(&service).await?;
        println!("connected to {}", conn.peer());
        let mut said = vec![0; 512];
        let length = conn.read(&mut said).await?;
        print!("{}", String::from_utf8_lossy(&said[..length]));
        Ok(())
    })
}
