//! A zone that is kept as its primaries have it (RFC 1034, section 4.3.5).

use std::{
    future::pending,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ropewalk_core::{
    BackOff, ConnectOptions, Result as CoreResult, Retry, random,
    service::{Life, Service},
    wall_clock,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Access, Transfers,
    apply::Receiving,
    beside,
    disk::Folder,
    exchange::{Dialog, ExchangeError, Remote, Timeouts, Version},
};
use crate::{
    proto::{
        Class, Name, Serial, SoaNumbers,
        transfer::{InboundOptions, Progress},
    },
    server::Asker,
    zone::Zone,
};

/// Where a [`Secondary`] has its zone from, and how it keeps it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecondaryOptions {
    /// Who has the zone, asked in this order. Default nobody, so name one.
    pub primaries: Vec<Remote>,
    /// Who may send NOTIFY besides the primaries themselves (by address, or by
    /// their keys). Default nobody.
    pub notify: Access,
    /// The folder to keep the zone in, so that a restart serves it at once.
    /// Default none.
    pub folder: Option<PathBuf>,
    /// How connections are made.
    pub connect: ConnectOptions,
    /// How long primaries may take.
    pub timeouts: Timeouts,
    /// What a transfer may cost.
    pub limits: InboundOptions,
    /// The waits between attempts while there is no zone, and so no SOA that
    /// would say how long. Default from 2 s to 10 minutes.
    pub back_off: BackOff,
    /// The shortest refresh and retry of an SOA that are taken as they are.
    /// Default 10 s: a primary may be mistaken, and none wants to be asked more
    /// often.
    pub shortest: Duration,
    /// The longest. Default four weeks.
    pub longest: Duration,
    /// The time between two looks at the primaries that NOTIFY can cause.
    /// Default 2 s, however many come.
    pub notify_every: Duration,
}

impl Default for SecondaryOptions {
    fn default() -> Self {
        let mut back_off = BackOff::default();
        back_off.initial = Duration::from_secs(2);
        back_off.maximum = Duration::from_secs(600);
        Self {
            primaries: Vec::new(),
            notify: Access::nobody(),
            folder: None,
            connect: ConnectOptions::default(),
            timeouts: Timeouts::default(),
            limits: InboundOptions::default(),
            back_off,
            shortest: Duration::from_secs(10),
            longest: Duration::from_secs(28 * 24 * 60 * 60),
            notify_every: Duration::from_secs(2),
        }
    }
}

/// How it stands with a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecondaryState {
    /// The version that is there.
    pub serial: Option<Serial>,
    /// Nobody has confirmed it for longer than its SOA allows: it is not
    /// served.
    pub expired: bool,
    /// When a primary was last asked with success.
    pub checked: Option<SystemTime>,
    /// What went wrong since then.
    pub error: Option<String>,
    /// New versions that were transferred since the start.
    pub transfers: u64,
    /// Times since the start that no primary could be asked, or sent what it has.
    pub failures: u64,
}

/// A service that keeps one zone.
///
/// It looks at its primaries by the refresh and retry times of the zone's SOA,
/// a part of each left to chance, and whenever it is [notified](Self::notified).
/// A new version is transferred, by IXFR where there is an old one, published,
/// and kept on disk. When nobody could be asked for as long as the SOA says, the
/// zone expires: questions get SERVFAIL until it is there again.
#[derive(Debug)]
pub struct Secondary {
    origin: Name,
    class: Class,
    transfers: Transfers,
    options: SecondaryOptions,
    folder: Option<Folder>,
    look: Notify,
    state: watch::Sender<SecondaryState>,
}

impl Secondary {
    /// A secondary of a zone, which publishes it to these transfers.
    pub fn new(
        origin: Name,
        class: Class,
        transfers: Transfers,
        options: SecondaryOptions,
    ) -> Arc<Self> {
        // Until there is one, questions are not refused.
        if transfers.zones().current().entry(origin.as_ref()).is_none() {
            transfers.zones().insert_unavailable(&origin);
        }
        Arc::new(Self {
            origin,
            class,
            transfers,
            folder: options.folder.as_deref().map(Folder::new),
            options,
            look: Notify::new(),
            state: watch::Sender::default(),
        })
    }

    /// The zone's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// How it stands, and what changes.
    pub fn state(&self) -> watch::Receiver<SecondaryState> {
        self.state.subscribe()
    }

    /// Whether somebody may say that the zone has changed.
    pub fn may_notify(&self, asker: &Asker) -> bool {
        let from = asker.address.inet().map(|address| address.ip());
        let is_primary = self.options.primaries.iter().any(|primary| {
            let key = primary.key.as_ref().map(|key| key.name());
            (from.is_some() && primary.address() == from)
                || (key.is_some() && key == asker.key.as_ref())
        });
        is_primary
            || self
                .options
                .notify
                .admits(&asker.address, asker.key.as_ref())
    }

    /// Looks at the primaries soon, unless the version it is told of is there
    /// already.
    pub fn notified(&self, serial: Option<Serial>) {
        let state = self.state.borrow();
        let news = match (serial, state.serial) {
            (Some(theirs), Some(ours)) => state.expired || theirs.is_newer_than(ours),
            _ => true,
        };
        if news {
            self.look.notify_one();
        }
    }
}

/// Where a zone stands while the service runs.
struct Keeping {
    zone: Option<Arc<Zone>>,
    /// When it was last known to be the primary's.
    checked: Instant,
    expired: bool,
    /// When to look next.
    next: Instant,
    /// When was looked last.
    looked: Option<Instant>,
    retry: Retry,
}

/// What a primary has.
enum Found {
    UpToDate,
    New(Arc<Zone>),
}

impl Service for Secondary {
    fn name(&self) -> String {
        format!("secondary {}", self.origin)
    }

    async fn run(&self, life: Life) -> CoreResult {
        life.ready();
        let mut keeping = Keeping {
            zone: None,
            checked: Instant::now(),
            expired: false,
            next: Instant::now(),
            looked: None,
            retry: self.options.back_off.start(),
        };
        self.load(&mut keeping).await;
        let mut stopping = std::pin::pin!(life.stopping());
        loop {
            // Until it is time to look.
            loop {
                tokio::select! {
                    biased;
                    _ = &mut stopping => return Ok(()),
                    () = until(self.expiry(&keeping)) => self.expire(&mut keeping),
                    () = self.look.notified() => {
                        let now = Instant::now();
                        let soonest = keeping.looked.map(|looked| looked + self.options.notify_every);
                        keeping.next = keeping.next.min(soonest.unwrap_or(now).max(now));
                    }
                    () = sleep_until(keeping.next) => break,
                }
            }
            let base = keeping.zone.clone();
            let look = self.look_at_all(base.as_ref());
            let mut look = std::pin::pin!(look);
            let found = loop {
                tokio::select! {
                    biased;
                    _ = &mut stopping => return Ok(()),
                    () = until(self.expiry(&keeping)) => self.expire(&mut keeping),
                    found = &mut look => break found,
                }
            };
            self.looked(&mut keeping, found).await;
        }
    }
}

/// Waits for a time, if there is one.
async fn until(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => pending().await,
    }
}

impl Secondary {
    /// Serves what was kept, if it has not expired meanwhile.
    async fn load(&self, keeping: &mut Keeping) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let (origin, class) = (self.origin.clone(), self.class);
        // How long it takes is known afterwards.
        let most = folder
            .file(&origin)
            .metadata()
            .map_or(0, |file| file.len() / 32);
        let records = usize::try_from(most).unwrap_or(usize::MAX);
        let loaded = beside(records, move || folder.load(&origin, class)).await;
        let (zone, checked) = match loaded {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(zone = %self.origin, %error, "what was kept of a zone cannot be read");
                return;
            }
        };
        // A clock that was set back makes it no younger than now.
        let age = wall_clock().duration_since(checked).unwrap_or_default();
        let zone = Arc::new(zone);
        let expires = numbers(&zone).map_or(Duration::ZERO, |soa| expiry(&soa));
        keeping.checked = Instant::now().checked_sub(age).unwrap_or(keeping.checked);
        keeping.zone = Some(zone.clone());
        self.state.send_modify(|state| {
            state.serial = Some(Serial(zone.serial()));
            state.checked = Some(checked);
        });
        if age >= expires {
            keeping.expired = true;
            self.state.send_modify(|state| state.expired = true);
            tracing::warn!(zone = %self.origin, serial = zone.serial(), "what was kept of a zone has expired");
            return;
        }
        tracing::info!(zone = %self.origin, serial = zone.serial(), "serving what was kept of a zone");
        self.publish(zone).await;
    }

    async fn publish(&self, zone: Arc<Zone>) {
        let transfers = self.transfers.clone();
        beside(zone.len(), move || transfers.publish(zone)).await;
    }

    fn expiry(&self, keeping: &Keeping) -> Option<Instant> {
        let zone = keeping.zone.as_ref().filter(|_| !keeping.expired)?;
        let soa = numbers(zone)?;
        keeping.checked.checked_add(expiry(&soa))
    }

    fn expire(&self, keeping: &mut Keeping) {
        keeping.expired = true;
        self.transfers.zones().insert_unavailable(&self.origin);
        self.state.send_modify(|state| state.expired = true);
        tracing::error!(zone = %self.origin, "the zone has expired: no primary could be asked for too long");
    }

    /// Asks the primaries, one after the other, until one has something new.
    async fn look_at_all(&self, base: Option<&Arc<Zone>>) -> Result<Found, ExchangeError> {
        let mut result = Err(ExchangeError::Connect("there is no primary".into()));
        for primary in &self.options.primaries {
            let deadline = self.options.timeouts.transfer;
            let looked = match timeout(deadline, self.look_at(primary, base)).await {
                Ok(looked) => looked,
                Err(_) => Err(ExchangeError::TimedOut("send the zone")),
            };
            match looked {
                Ok(Found::New(zone)) => return Ok(Found::New(zone)),
                // Another may have heard of a newer one.
                Ok(Found::UpToDate) => result = Ok(Found::UpToDate),
                Err(error) => {
                    tracing::warn!(zone = %self.origin, %primary, %error, "a primary cannot be asked");
                    if result.is_err() {
                        result = Err(error);
                    }
                }
            }
        }
        result
    }

    async fn look_at(
        &self,
        primary: &Remote,
        base: Option<&Arc<Zone>>,
    ) -> Result<Found, ExchangeError> {
        let SecondaryOptions {
            connect, timeouts, ..
        } = &self.options;
        let mut dialog = Dialog::connect(primary, connect, timeouts).await?;
        let have = base.map(|zone| Version::of(zone));
        if let Some(version) = &have {
            let soa = dialog.soa(&self.origin, self.class).await?;
            if !soa.serial.is_newer_than(version.serial) {
                if soa.serial != version.serial {
                    tracing::warn!(
                        zone = %self.origin, %primary, theirs = %soa.serial, ours = %version.serial,
                        "a primary has an older version"
                    );
                }
                return Ok(Found::UpToDate);
            }
            match self.transfer(&mut dialog, base, true).await {
                Err(error) if error.is_for_axfr() => {
                    tracing::info!(zone = %self.origin, %primary, %error, "no differences; taking the whole zone");
                    dialog = Dialog::connect(primary, connect, timeouts).await?;
                }
                result => return result,
            }
        }
        self.transfer(&mut dialog, base, false).await
    }

    async fn transfer(
        &self,
        dialog: &mut Dialog<'_>,
        base: Option<&Arc<Zone>>,
        incremental: bool,
    ) -> Result<Found, ExchangeError> {
        let have = base.map(|zone| Version::of(zone));
        let (origin, class) = (&self.origin, self.class);
        let mut receiving = Receiving::new(origin.clone(), class, base.cloned());
        let limits = &self.options.limits;
        let progress = dialog
            .transfer(
                &mut receiving,
                origin,
                class,
                have.as_ref(),
                incremental,
                limits,
            )
            .await?;
        let Progress::Complete(serial) = progress else {
            return Ok(Found::UpToDate);
        };
        let zone = beside(receiving.records(), move || receiving.finish()).await;
        let zone = zone.map_err(ExchangeError::Zone)?;
        if Serial(zone.serial()) != serial {
            return Err(ExchangeError::Zone(
                "its SOA is not the one it was said to have".into(),
            ));
        }
        Ok(Found::New(Arc::new(zone)))
    }

    /// What follows from a look.
    async fn looked(&self, keeping: &mut Keeping, found: Result<Found, ExchangeError>) {
        let now = Instant::now();
        keeping.looked = Some(now);
        let error = match found {
            Ok(found) => {
                self.confirmed(keeping, found).await;
                return;
            }
            Err(error) => error,
        };
        let wait = match keeping.zone.as_deref().and_then(numbers) {
            Some(soa) => self.part_of(soa.retry),
            None => {
                let wait = keeping.retry.after(Duration::ZERO);
                wait.unwrap_or(self.options.back_off.maximum)
            }
        };
        keeping.next = now + wait;
        tracing::warn!(zone = %self.origin, %error, again_in = ?wait, "no primary could be asked");
        self.state.send_modify(|state| {
            state.error = Some(error.to_string());
            state.failures += 1;
        });
    }

    /// A primary has said which version it has.
    async fn confirmed(&self, keeping: &mut Keeping, found: Found) {
        let checked = wall_clock();
        let news = match found {
            Found::New(zone) => {
                let from = keeping.zone.as_ref().map(|zone| zone.serial());
                tracing::info!(
                    zone = %self.origin, serial = zone.serial(), from, records = zone.len(),
                    "a new version was transferred"
                );
                Some(zone)
            }
            Found::UpToDate => None,
        };
        let is_new = news.is_some();
        if let Some(zone) = news.or_else(|| keeping.zone.clone().filter(|_| keeping.expired)) {
            keeping.zone = Some(zone.clone());
            self.publish(zone).await;
        }
        let now = Instant::now();
        keeping.checked = now;
        keeping.expired = false;
        keeping.retry.reset();
        let Some(zone) = &keeping.zone else { return };
        let refresh = numbers(zone).map_or(self.options.longest, |soa| soa.refresh);
        keeping.next = now + self.part_of(refresh);
        if let Some(folder) = self.folder.clone() {
            let (zone, origin) = (zone.clone(), self.origin.clone());
            let kept = beside(zone.len(), move || match is_new {
                true => folder.save(zone, checked),
                false => folder.touch(&origin, checked),
            });
            if let Err(error) = kept.await {
                tracing::error!(zone = %self.origin, %error, "the zone cannot be kept on disk");
            }
        }
        let serial = Serial(zone.serial());
        self.state.send_modify(|state| {
            state.serial = Some(serial);
            state.expired = false;
            state.checked = Some(checked);
            state.error = None;
            state.transfers += u64::from(is_new);
        });
    }

    /// A time of an SOA within its bounds, less up to a tenth by chance, so that
    /// a thousand zones are not asked for in one instant.
    fn part_of(&self, time: Duration) -> Duration {
        let time = time.clamp(self.options.shortest, self.options.longest);
        #[expect(clippy::cast_precision_loss, reason = "of 32 bits nothing is lost")]
        let draw = (random() >> 32) as f64 / f64::from(u32::MAX);
        time.mul_f64(1.0 - draw / 10.0)
    }
}

fn numbers(zone: &Zone) -> Option<SoaNumbers> {
    SoaNumbers::read(zone.soa().first())
}

/// A zone does not expire before it could be looked for.
fn expiry(soa: &SoaNumbers) -> Duration {
    soa.expire.max(soa.refresh + soa.retry)
}
