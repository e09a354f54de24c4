//! Answers from its cache, and asks the servers that it is given for the rest; says every ten seconds
//! how it does: `dns_forwarder udp:5300 9.9.9.9`, and then `dig @127.0.0.1 -p 5300 example.org`.
use std::{process::ExitCode, time::Duration};

use ropewalk_core::{metrics::Exposition, schedule::LoopingCall, service::Service, *};
use ropewalk_names_dns::{
    client::{Resolver, ResolverOptions},
    forward::{Forwarder, ForwarderOptions},
};

fn main() -> ExitCode {
    run(async {
        let mut words = std::env::args().skip(1);
        let udp: ServerEndpoint = words.next().as_deref().unwrap_or("udp:5300").parse()?;
        let servers = words.map(|s| s.parse()).collect::<Result<Vec<_>, _>>()?;
        let metrics = Metrics::new();
        let mut options = ResolverOptions::default();
        options.metrics = Some(metrics.clone());
        let mut forwarding = ForwarderOptions::default();
        forwarding.metrics = Some(metrics.clone());
        let forwarder = Forwarder::with(Resolver::with(servers, options), forwarding);

        let options = forwarder.datagram_options();
        let udp = udp
            .listen_datagrams_with(forwarder.datagrams(), options)
            .await?;
        let tcp = udp.local_endpoint().replace("udp:", "tcp:");
        let tcp: ServerEndpoint = tcp.parse()?;
        let _tcp = tcp.listen(forwarder.handler()).await?;
        tracing::info!("listening on {}", udp.local_endpoint());
        for server in forwarder.check_loops().await {
            tracing::error!("{server} asks us what we ask it");
        }
        let telling = LoopingCall::new(Duration::from_secs(10), move |_| {
            let page = metrics.render(Exposition::Prometheus);
            let ours = page.lines().filter(|line| line.starts_with("ropewalk_dns"));
            tracing::info!("\n{}", ours.collect::<Vec<_>>().join("\n"));
            async { Ok(()) }
        });
        let _telling = telling.start();
        udp.until_signal().await
    })
}
