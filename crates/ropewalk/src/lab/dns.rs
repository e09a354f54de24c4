//! The lab's DNS: the zone `lab.test`, which names the lab's services.

use std::fmt::Write as _;

use ropewalk_names_dns::{
    proto::Name,
    server::{Authority, AuthorityOptions},
    zone::{Zone, Zones},
};

use crate::failure::Failure;

/// The zone as a file has it; `services` are names of services with their ports.
fn text(services: &[(&str, u16)]) -> String {
    let mut zone = String::from(
        "$TTL 60\n\
         @        SOA   ns hostmaster 1 3600 600 86400 60\n\
         @        NS    ns\n\
         @        A     127.0.0.1\n\
         @        AAAA  ::1\n\
         @        MX    10 mail\n\
         @        TXT   \"v=spf1 a mx -all\"\n\
         ns       A     127.0.0.1\n\
         ns       AAAA  ::1\n\
         *        A     127.0.0.1\n\
         *        AAAA  ::1\n\
         *        TXT   \"a service of the lab\"\n",
    );
    for (service, port) in services {
        // A service without a port that is known has no SRV.
        if *port != 0 {
            // What it is written to is a string.
            let _ = writeln!(zone, "{service:<16} SRV 0 0 {port} localhost.");
        }
    }
    zone
}

/// What serves it.
pub(super) fn authority(services: &[(&str, u16)]) -> Result<Authority, Failure> {
    let origin: Name = "lab.test.".parse().map_err(Failure::run)?;
    let zone = Zone::from_text(origin, &text(services)).map_err(Failure::run)?;
    let zones = Zones::new();
    zones.insert(std::sync::Arc::new(zone));
    Ok(Authority::new(zones, AuthorityOptions::default()))
}
