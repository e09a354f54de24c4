//! `ropewalk echo`: sends every byte back (RFC 862), over streams and datagrams.

use clap::Args;
use ropewalk_core::{
    DatagramProtocol, DatagramTransport, Datagrams, Input, Protocol, Result as Served,
    ServerEndpoint, Transport, each,
};

use crate::{
    failure::Failure,
    listen::{self, Servers, Service},
    options::{Common, Tls, check_stdio},
};

pub(crate) const ECHO: Service = Service {
    name: "echo",
    files: 1,
};

/// Send every byte back
#[derive(Args)]
pub(crate) struct EchoServer {
    /// Where to listen: tcp:PORT (loopback; interface=* for all), tls:PORT, udp:PORT, unix:PATH,
    /// fd:NUMBER, stdio:, mem:NAME; may be repeated
    #[arg(long, value_name = "ENDPOINT", required = true)]
    listen: Vec<ServerEndpoint>,

    #[command(flatten)]
    tls: Tls,

    #[command(flatten)]
    common: Common,
}

impl EchoServer {
    pub(crate) fn run(self) -> Result<(), Failure> {
        check_stdio(&self.listen)?;
        let tls = self.tls.server(&self.listen)?;
        listen::run(&self.common, async {
            let mut servers = Servers::new(&self.common)?;
            for endpoint in &self.listen {
                if endpoint.scheme() == "udp" {
                    servers.datagrams(ECHO, endpoint, Echo).await?;
                } else {
                    let mut options = servers.options();
                    options.tls = tls.clone();
                    servers
                        .stream(ECHO, endpoint, each::<Echo>(), options)
                        .await?;
                }
            }
            servers.serve().await
        })
    }
}

/// Sends back what it is sent.
#[derive(Default)]
pub(crate) struct Echo;

impl Protocol for Echo {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut Transport<Self>, data: &mut Input) -> Served {
        t.write(data);
        Ok(())
    }
}

impl DatagramProtocol for Echo {
    type Message = ();
    type Timer = ();

    fn received(&mut self, t: &mut DatagramTransport<Self>, batch: &Datagrams) -> Served {
        for (data, from) in batch {
            t.send(data, from);
        }
        Ok(())
    }
}
