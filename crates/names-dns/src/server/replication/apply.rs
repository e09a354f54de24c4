//! From the changes that a transfer brings to the new version of a zone.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use crate::{
    proto::{
        Class, Name, RecordType, rdata,
        transfer::{Change, Entry, TransferError},
    },
    zone::{RecordError, Zone, ZoneBuilder},
};

/// What a transfer has brought so far.
pub(super) struct Receiving {
    origin: Name,
    class: Class,
    /// The version that differences are of.
    base: Option<Arc<Zone>>,
    incoming: Incoming,
    /// What the zone would not take, told in full.
    pub(super) fault: Option<RecordError>,
}

enum Incoming {
    Whole(Box<ZoneBuilder>),
    /// By record, what is to become of it.
    Differences(HashMap<Key, Fate>),
}

/// A record but for its TTL, in the form that compares.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    name: Name,
    record_type: RecordType,
    rdata: Vec<u8>,
}

struct Fate {
    /// It must be in the version that the differences are of.
    was_there: bool,
    /// It is in the new one, so: its TTL and data.
    added: Option<(u32, Vec<u8>)>,
}

impl Receiving {
    /// Nothing yet.
    pub(super) fn new(origin: Name, class: Class, base: Option<Arc<Zone>>) -> Self {
        Self {
            origin,
            class,
            base,
            incoming: Incoming::Differences(HashMap::new()),
            fault: None,
        }
    }

    /// Takes the next change.
    pub(super) fn change(&mut self, change: Change<'_>) -> Result<(), TransferError> {
        let class = self.class;
        let of = |entry: &Entry<'_>| {
            let name = entry.name.to_lowercase();
            key(class, name, entry.record_type, entry.rdata)
        };
        match (change, &mut self.incoming) {
            (Change::Whole, incoming) => {
                let builder = ZoneBuilder::new(self.origin.clone(), self.class);
                *incoming = Incoming::Whole(Box::new(builder));
                Ok(())
            }
            (Change::Add(entry), Incoming::Whole(builder)) => {
                let pushed = builder.push(entry.name, entry.record_type, entry.ttl, entry.rdata);
                pushed.map_err(|error| {
                    self.fault = Some(error);
                    TransferError::Conflict("a record that no zone takes")
                })
            }
            (Change::Remove(_), Incoming::Whole(_)) => {
                Err(TransferError::Sequence("a whole zone removes nothing"))
            }
            (Change::Add(entry), Incoming::Differences(fates)) => {
                let added = Some((entry.ttl, entry.rdata.to_vec()));
                let fate = fates.entry(of(&entry));
                fate.or_insert(Fate {
                    was_there: false,
                    added: None,
                })
                .added = added;
                Ok(())
            }
            (Change::Remove(entry), Incoming::Differences(fates)) => {
                match fates.entry(of(&entry)) {
                    hash_map::Entry::Vacant(fate) => {
                        fate.insert(Fate {
                            was_there: true,
                            added: None,
                        });
                    }
                    hash_map::Entry::Occupied(mut fate) => {
                        if fate.get_mut().added.take().is_none() {
                            return Err(TransferError::Conflict("a record goes twice"));
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// How many records there are to put together.
    pub(super) fn records(&self) -> usize {
        match &self.incoming {
            Incoming::Whole(builder) => builder.len(),
            Incoming::Differences(_) => self.base.as_ref().map_or(0, |zone| zone.len()),
        }
    }

    /// The new version.
    ///
    /// # Errors
    /// In words: differences that are not of our version, or a zone that
    /// cannot be served.
    pub(super) fn finish(self) -> Result<Zone, String> {
        let builder = match self.incoming {
            Incoming::Whole(builder) => *builder,
            Incoming::Differences(fates) => {
                let Some(base) = &self.base else {
                    return Err("differences of a version that is not there".into());
                };
                apply(base, fates)?
            }
        };
        builder.finish().map_err(|errors| errors.to_string())
    }
}

fn key(class: Class, name: Name, record_type: RecordType, rdata: &[u8]) -> Key {
    let mut rdata = rdata.to_vec();
    rdata::canonicalise(class, record_type, &mut rdata);
    Key {
        name,
        record_type,
        rdata,
    }
}

/// The records of the old version that stay, and those that came.
fn apply(base: &Zone, fates: HashMap<Key, Fate>) -> Result<ZoneBuilder, String> {
    let class = base.class();
    let mut builder = ZoneBuilder::new(base.origin().to_name(), class);
    let mut missing = fates.values().filter(|fate| fate.was_there).count();
    for node in base.nodes() {
        let name = node.name();
        let lower = name.to_lowercase();
        for set in node.rrsets() {
            for rdata in set.rdata() {
                let fate = fates.get(&key(class, lower.clone(), set.record_type(), rdata));
                if let Some(fate) = fate {
                    missing -= usize::from(fate.was_there);
                    continue;
                }
                let pushed = builder.push(name.as_ref(), set.record_type(), set.ttl(), rdata);
                pushed.map_err(|error| error.to_string())?;
            }
        }
    }
    if missing > 0 {
        return Err(format!("{missing} records go that are not there"));
    }
    // In an order that does not depend on a hash, since the first of a set says its TTL.
    let mut added: Vec<_> = fates
        .into_iter()
        .filter_map(|(key, fate)| Some((key, fate.added?)))
        .collect();
    added.sort_by(|(a, _), (b, _)| {
        (&a.name, a.record_type, &a.rdata).cmp(&(&b.name, b.record_type, &b.rdata))
    });
    for (key, (ttl, rdata)) in added {
        let pushed = builder.push(key.name.as_ref(), key.record_type, ttl, &rdata);
        pushed.map_err(|error| error.to_string())?;
    }
    Ok(builder)
}
