//! Publishing zones, and answering AXFR and IXFR.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::StreamExt as _;
use ropewalk_core::wall_clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    access::Access,
    history::{Difference, History},
    source::{Differences, Records, WholeZone},
};
use crate::{
    proto::{
        Message, MessageWriter, Name, NameRef, Rcode, RecordType, Section, Serial, SoaNumbers,
        transfer::Outbound,
    },
    server::{Asker, Reply, Request},
    zone::{Entry, Zone, Zones},
};

/// What [`Transfers`] allows, and what it keeps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferOptions {
    /// Who may transfer zones. Default nobody.
    pub access: Access,
    /// Transfers at a time; further ones are answered by SERVFAIL, and tried
    /// again later. Default 64: each holds a version of a zone.
    pub at_a_time: usize,
    /// Versions of each zone that differences are kept of. Default 100.
    pub versions: usize,
    /// Octets of those differences, for each zone. Default 8 MiB.
    pub history: usize,
}

impl Default for TransferOptions {
    fn default() -> Self {
        Self {
            access: Access::nobody(),
            at_a_time: 64,
            versions: 100,
            history: 8 << 20,
        }
    }
}

/// Publishes zones and answers who wants them whole. Cheap to clone; clones
/// are the same.
#[derive(Clone)]
pub struct Transfers(Arc<Inner>);

struct Inner {
    zones: Zones,
    options: TransferOptions,
    permits: Arc<Semaphore>,
    histories: Mutex<HashMap<Name, History>>,
    /// Zones that were published and not told about yet.
    published: Mutex<BTreeSet<Name>>,
    news: tokio::sync::Notify,
}

impl Transfers {
    /// For these zones, with none published yet.
    pub fn new(zones: Zones, options: TransferOptions) -> Self {
        Self(Arc::new(Inner {
            zones,
            permits: Arc::new(Semaphore::new(options.at_a_time)),
            options,
            histories: Mutex::default(),
            published: Mutex::default(),
            news: tokio::sync::Notify::new(),
        }))
    }

    /// The zones that it publishes to.
    pub fn zones(&self) -> &Zones {
        &self.0.zones
    }

    /// Serves a zone from now on, notes what changed since the version before,
    /// and has the [`Notifier`](super::Notifier) tell others. Compares both
    /// versions whole, which takes a second for a million records: where that
    /// matters, call it beside the runtime's threads.
    pub fn publish(&self, zone: Arc<Zone>) {
        let origin = zone.origin().to_name();
        let before = self.0.zones.current();
        let before = before.entry(origin.as_ref()).and_then(Entry::zone).cloned();
        if let Some(before) = before {
            let (old, new) = (Serial(before.serial()), Serial(zone.serial()));
            let most = self.0.options.history;
            let difference = match new.is_newer_than(old) {
                true => Difference::between(&before, &zone, most),
                false => None,
            };
            let versions = self.0.options.versions;
            let mut histories = lock(&self.0.histories);
            let history = histories.entry(origin.clone()).or_default();
            history.push(difference, versions, most);
        }
        self.0.zones.insert(zone);
        lock(&self.0.published).insert(origin);
        self.0.news.notify_one();
    }

    /// Waits until a zone has been published, and takes those that were.
    pub(super) async fn published(&self) -> BTreeSet<Name> {
        loop {
            let news = self.0.news.notified();
            let zones = std::mem::take(&mut *lock(&self.0.published));
            if !zones.is_empty() {
                return zones;
            }
            news.await;
        }
    }

    /// Answers an AXFR or IXFR.
    pub fn answer(&self, request: &Request<'_>, asker: &Asker) -> Reply {
        let (zone, records, permit) = match self.ask(request, asker) {
            Ok(found) => found,
            Err(rcode) => {
                tracing::debug!(from = %asker.address, zone = %request.name(), %rcode, "no transfer");
                return Reply::Rcode(rcode);
            }
        };
        let name = zone.origin().to_name();
        let kind = records.kind();
        let mut outgoing = Outgoing {
            outbound: Outbound::new(
                records,
                request.header(),
                name.clone(),
                request.record_type(),
                request.class(),
            )
            .at_most(asker.longest),
            writer: MessageWriter::new(),
            zone: name,
            messages: 0,
            octets: 0,
            over: false,
            _permit: permit,
        };
        if !asker.via.is_stream() {
            let message = outgoing
                .outbound
                .next_message(&mut outgoing.writer, asker.now);
            return match message {
                Ok(Some(message)) => Reply::Message(message),
                _ => Reply::Rcode(Rcode::SERVFAIL),
            };
        }
        let key = asker.key.as_ref().map(ToString::to_string);
        tracing::info!(
            zone = %outgoing.zone, serial = zone.serial(), to = %asker.address, key, kind,
            "a transfer begins"
        );
        Reply::Messages(futures_util::stream::iter(outgoing).boxed())
    }

    fn ask(
        &self,
        request: &Request<'_>,
        asker: &Asker,
    ) -> Result<(Arc<Zone>, Records, OwnedSemaphorePermit), Rcode> {
        let is_datagram = !asker.via.is_stream();
        let have = match request.record_type() {
            RecordType::IXFR => Some(serial_of(&request.message(), request.name())?),
            // Not defined over UDP (RFC 5936, section 4.2).
            _ if is_datagram => return Err(Rcode::FORMERR),
            _ => None,
        };
        let zones = self.0.zones.current();
        let entry = zones.entry(request.name()).ok_or(Rcode::NOTAUTH)?;
        if !self
            .0
            .options
            .access
            .admits(&asker.address, asker.key.as_ref())
        {
            return Err(Rcode::REFUSED);
        }
        let zone = entry.zone().ok_or(Rcode::SERVFAIL)?;
        if request.class() != zone.class() {
            return Err(Rcode::NOTAUTH);
        }
        let permit = self.0.permits.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Rcode::SERVFAIL)?;
        let newest = Serial(zone.serial());
        let records = match have {
            Some(have) if !newest.is_newer_than(have) || is_datagram => Records::soa(zone),
            Some(have) => {
                let histories = lock(&self.0.histories);
                let known = histories.get(&zone.origin().to_name());
                let way = known
                    .and_then(|history| history.since(have))
                    .and_then(|differences| Differences::new(differences, zone.class()))
                    // The version that is served may just have been replaced.
                    .filter(|way| way.newest() == Some(newest));
                match way {
                    Some(way) => Records::Differences(way),
                    None => Records::Whole(WholeZone::new(zone.clone())),
                }
            }
            None => Records::Whole(WholeZone::new(zone.clone())),
        };
        Ok((zone.clone(), records, permit))
    }
}

impl std::fmt::Debug for Transfers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfers")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

/// The serial of an IXFR: in the SOA of its authority section (RFC 1995,
/// section 3).
fn serial_of(request: &Message<'_>, zone: NameRef<'_>) -> Result<Serial, Rcode> {
    for record in request.records() {
        let record = record.map_err(|_| Rcode::FORMERR)?;
        if record.section == Section::Authority && record.record_type == RecordType::SOA {
            let name = record.name().map_err(|_| Rcode::FORMERR)?;
            let mut rdata = Vec::new();
            record
                .expand_rdata(&mut rdata)
                .map_err(|_| Rcode::FORMERR)?;
            if name.as_bytes().eq_ignore_ascii_case(zone.as_wire())
                && let Some(numbers) = SoaNumbers::read(&rdata)
            {
                return Ok(numbers.serial);
            }
        }
    }
    Err(Rcode::FORMERR)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole values are put there, so a panic elsewhere leaves good ones.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The messages of a transfer, made one by one as they are asked for. One that
/// cannot go on ends without its last SOA, so that nobody takes a part for the
/// whole.
struct Outgoing {
    outbound: Outbound<Records>,
    writer: MessageWriter,
    zone: Name,
    messages: u64,
    octets: u64,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Iterator for Outgoing {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if self.over {
            return None;
        }
        match self.outbound.next_message(&mut self.writer, wall_clock()) {
            Ok(Some(message)) => {
                self.messages += 1;
                self.octets += message.len() as u64;
                return Some(message);
            }
            Ok(None) => {
                let (messages, octets) = (self.messages, self.octets);
                tracing::info!(zone = %self.zone, messages, octets, "a transfer ends");
            }
            Err(_) => {
                tracing::error!(zone = %self.zone, "a transfer cannot go on: a record is longer than a message");
            }
        }
        self.over = true;
        None
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        if !self.over && self.messages > 0 {
            tracing::info!(zone = %self.zone, messages = self.messages, "a transfer was cut");
        }
    }
}
