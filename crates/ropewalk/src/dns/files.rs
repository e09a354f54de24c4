//! Files of zones: read, checked, and read again.

use std::{path::Path, sync::Arc};

use ropewalk_names_dns::{
    proto::Name,
    server::replication::Transfers,
    zone::{Entry, Level, ReadOptions, Zone, ZoneReader},
};

use super::spec::ZoneFile;
use crate::{failure::Failure, listen::say, plan::Plan};

/// The files of `--zone`.
pub(super) struct Files(Vec<ZoneFile>);

impl Files {
    pub(super) fn new(zones: &[ZoneFile]) -> Self {
        Self(zones.to_vec())
    }

    /// Reads all of them, and notes what is wrong.
    pub(super) fn read(&self, plan: &mut Plan) -> Vec<Arc<Zone>> {
        let mut zones = Vec::new();
        let mut origins: Vec<&Name> = Vec::new();
        for ZoneFile { origin, path } in &self.0 {
            if origins.contains(&origin) {
                let why = "this zone is served already, expected each once";
                plan.fault(Failure::usage("--zone", origin, why));
            }
            origins.push(origin);
            match read(origin, path) {
                Ok(zone) => zones.push(Arc::new(zone)),
                Err(lines) => plan.fault(Failure::Files(lines)),
            }
        }
        zones
    }

    /// Reads all of them again, and publishes those that have changed. Of a file that is broken the
    /// zone of before is kept.
    pub(super) fn reload(&self, transfers: &Transfers) -> Result<(), Failure> {
        let mut broken = Vec::new();
        for ZoneFile { origin, path } in &self.0 {
            let zone = match read(origin, path) {
                Ok(zone) => zone,
                Err(lines) => {
                    broken.push(Failure::Files(lines));
                    continue;
                }
            };
            let zones = transfers.zones().current();
            let before = zones.entry(origin.as_ref()).and_then(Entry::zone);
            let serial = zone.serial();
            if let Some(before) = before
                && before.serial() == serial
            {
                if is_same(before, &zone) {
                    continue;
                }
                tracing::warn!(
                    zone = %origin, serial,
                    "the zone has changed and its serial has not: other servers will not see it"
                );
            }
            tracing::info!(zone = %origin, serial, records = zone.len(), "a zone was read again");
            transfers.publish(Arc::new(zone));
        }
        match broken.is_empty() {
            true => Ok(()),
            false => Err(Failure::of(broken)),
        }
    }

    /// Says all that is wrong with them, and what looks so.
    pub(super) fn check(&self, plan: &mut Plan) {
        let (mut warnings, mut errors) = (0, Vec::new());
        for ZoneFile { origin, path } in &self.0 {
            let mut reader = ZoneReader::new(origin.clone(), ReadOptions::default());
            reader.read_file(path);
            for finding in reader.check() {
                match finding.level {
                    Level::Error => errors.push(finding.to_string()),
                    level => {
                        warnings += usize::from(level == Level::Warning);
                        say(&format!("{finding}\n"));
                    }
                }
            }
        }
        if !errors.is_empty() {
            return plan.fault(Failure::Files(errors));
        }
        if warnings > 0 {
            let why = match warnings {
                1 => "there is a warning".to_owned(),
                many => format!("there are {many} warnings"),
            };
            plan.at_end(move || Err(Failure::run(why)));
        }
    }
}

/// A zone, or what is wrong with its file, one a line.
fn read(origin: &Name, path: &Path) -> Result<Zone, Vec<String>> {
    Zone::from_file(path, origin.clone(), &ReadOptions::default())
        .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
}

fn is_same(a: &Zone, b: &Zone) -> bool {
    a.len() == b.len()
        && a.records().zip(b.records()).all(|(a, b)| {
            a.rdata == b.rdata
                && a.set.record_type() == b.set.record_type()
                && a.set.ttl() == b.set.ttl()
                && a.set.node().name() == b.set.node().name()
        })
}
