//! Echoes datagrams: `socat - UDP:127.0.0.1:1234`.
use std::process::ExitCode;

use ropewalk_core::*;

struct Echo;

impl DatagramProtocol for Echo {
    type Message = ();
    type Timer = ();
    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Result {
        for (data, from) in batch {
            t.send(data, from);
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    run(async {
        let endpoint: ServerEndpoint = "udp:1234".parse()?;
        let server = endpoint.listen_datagrams(Echo).await?;
        tracing::info!("listening on {}", server.local_endpoint());
        server.until_signal().await
    })
}
