//! Serves a zone file, over UDP and TCP: `zone_server FILE ORIGIN [PORT]`, then
//! `dig @127.0.0.1 -p 5300 www.example.org`. SIGHUP reads the file again; no
//! question is lost meanwhile.
use std::{path::PathBuf, process::ExitCode, sync::Arc};

use ropewalk_core::*;
use ropewalk_names_dns::{
    proto::Name,
    server::{Authority, AuthorityOptions},
    zone::{ReadOptions, Zone, Zones},
};
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    run(async {
        let mut words = std::env::args().skip(1);
        let (Some(file), Some(origin)) = (words.next(), words.next()) else {
            return Err("usage: zone_server FILE ORIGIN [PORT]".into());
        };
        let port = words.next().unwrap_or_else(|| "5300".into());
        let (file, origin) = (PathBuf::from(file), origin.parse::<Name>()?);
        let read = move || Zone::from_file(&file, origin.clone(), &ReadOptions::default());

        let zones = Zones::new();
        zones.insert(Arc::new(read()?));
        let authority = Authority::new(zones.clone(), AuthorityOptions::default());

        let udp: ServerEndpoint = format!("udp:{port}").parse()?;
        let udp = udp.listen_datagrams_with(authority.datagrams(), authority.datagram_options());
        let udp = udp.await?;
        let tcp: ServerEndpoint = format!("tcp:{}", udp.port().unwrap_or_default()).parse()?;
        let tcp = tcp
            .listen_with(authority.handler(), authority.limits())
            .await?;
        tracing::info!(
            "listening on {} and {}",
            udp.local_endpoint(),
            tcp.local_endpoint()
        );

        let mut hangup = signal(SignalKind::hangup())?;
        let reload = async {
            while hangup.recv().await.is_some() {
                match read() {
                    Ok(zone) => {
                        zones.insert(Arc::new(zone));
                        tracing::info!("read the zone again");
                    }
                    // The old one goes on being served.
                    Err(error) => tracing::error!("{error}"),
                }
            }
        };
        tokio::select! {
            served = tcp.until_signal() => served?,
            () = reload => {}
        }
        Ok(())
    })
}
