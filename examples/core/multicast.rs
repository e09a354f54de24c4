//! Programs on one machine that find each other: start it several times, each
//! with a name of its own, and every one prints who is there.
#![expect(clippy::print_stdout, reason = "it tells its user")]

use std::{collections::HashSet, env::args, net::SocketAddr, process::ExitCode};

use ropewalk_core::*;

const GROUP: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(239, 255, 77, 77)),
    7777,
);

struct Here {
    name: String,
    seen: HashSet<String>,
}

impl DatagramProtocol for Here {
    type Message = ();
    type Timer = ();

    fn started(&mut self, t: &mut DatagramTransport<Self>) -> Result {
        t.send(format!("hello {}", self.name), GROUP);
        Ok(())
    }

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (said, _) in batch {
            let said = String::from_utf8_lossy(said);
            let Some((greeting, name)) = said.split_once(' ') else {
                continue;
            };
            // Who is new does not know us yet; we hear ourselves too.
            if greeting == "hello" && name != self.name {
                t.send(format!("here {}", self.name), GROUP);
            }
            if self.seen.len() < 1000 && self.seen.insert(name.to_owned()) {
                println!("{name} is there");
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    run(async {
        let name = args().nth(1).unwrap_or_else(|| "nobody".to_owned());
        let seen = HashSet::new();
        // Several programs share the port, and what they say stays on this machine.
        let endpoint =
            "udp:7777:interface=*:join=239.255.77.77%lo:multicast-interface=lo:hops=0:reuse-port";
        let endpoint: ServerEndpoint = endpoint.parse()?;
        let server = endpoint.listen_datagrams(Here { name, seen }).await?;
        tracing::info!("listening on {}", server.local_endpoint());
        server.until_signal().await
    })
}
