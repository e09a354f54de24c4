//! What is registered, in hand and on the disk.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ropewalk_core::service::{Life, Service};
use tokio::sync::{Mutex as Turn, Notify};

use super::{BadFile, Disk, Registered};
use crate::proto::casemap::CaseMapping;

/// What is registered. Changes are made in memory at once; they are on the disk
/// when [`saved`](Self::saved) says so, and soon in any case where
/// [`keep`](Self::keep) runs.
///
/// Files are written on blocking threads, one at a time, each as a whole. Those
/// who wait at the same time share one writing.
#[derive(Debug)]
pub struct Store {
    data: Mutex<Data>,
    /// None keeps nothing.
    disk: Option<Arc<dyn Disk>>,
    writing: Arc<Turn<()>>,
    changed: Notify,
}

#[derive(Debug)]
struct Data {
    registered: Registered,
    /// Counts changes.
    version: u64,
    /// The version that is on the disk.
    saved: u64,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file cannot be read or written: the operator's to mend.
    #[error("{FILE}: {0}")]
    Disk(#[from] io::Error),
    /// The file is damaged. It is left as it is.
    #[error("{FILE}: {0}; mend the line, or put a copy of the file in its place")]
    Damaged(#[from] BadFile),
}

/// The file's name.
const FILE: &str = "registered.jsonl";

/// How long changes that nobody waits for are gathered before they are written.
const GATHER: Duration = Duration::from_secs(1);

/// How long it waits after a failure.
const AGAIN: Duration = Duration::from_secs(10);

impl Store {
    /// What is on a disk, or nothing if there is nothing. This blocks.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(disk: impl Disk, mapping: CaseMapping) -> Result<Arc<Self>, StoreError> {
        Self::open_shared(Arc::new(disk), mapping)
    }

    /// The same of a disk that somebody else keeps too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open_shared(disk: Arc<dyn Disk>, mapping: CaseMapping) -> Result<Arc<Self>, StoreError> {
        let (registered, fresh) = match disk.read(FILE)? {
            Some(bytes) => (Registered::read(&bytes, mapping)?, false),
            None => (Registered::new(mapping), true),
        };
        let store = Self::of(registered, Some(disk));
        if fresh {
            // Whether it can be written is better known now than at the first
            // registration.
            store.write_now()?;
        }
        Ok(Arc::new(store))
    }

    /// Nothing, which is kept in memory only.
    pub fn in_memory(mapping: CaseMapping) -> Arc<Self> {
        Arc::new(Self::of(Registered::new(mapping), None))
    }

    fn of(registered: Registered, disk: Option<Arc<dyn Disk>>) -> Self {
        Self {
            data: Mutex::new(Data {
                registered,
                version: 0,
                saved: 0,
            }),
            disk,
            writing: Arc::default(),
            changed: Notify::new(),
        }
    }

    /// Whether what is registered outlives the process.
    pub fn is_kept(&self) -> bool {
        self.disk.is_some()
    }

    /// Looks at what there is. Briefly: others wait.
    pub fn read<T>(&self, look: impl FnOnce(&Registered) -> T) -> T {
        look(&self.data().registered)
    }

    /// Changes what there is. Briefly: others wait.
    pub fn change<T>(&self, change: impl FnOnce(&mut Registered) -> T) -> T {
        let changed = {
            let mut data = self.data();
            data.version += 1;
            change(&mut data.registered)
        };
        self.changed.notify_one();
        changed
    }

    /// Waits until what there is now is on the disk. A writing that has begun
    /// ends also if nobody waits for it any longer.
    ///
    /// # Errors
    /// As the disk has it. What there is in memory stays.
    pub async fn saved(self: &Arc<Self>) -> io::Result<()> {
        let wanted = self.data().version;
        if self.disk.is_none() {
            return Ok(());
        }
        let turn = Arc::clone(&self.writing).lock_owned().await;
        // Somebody before us may have written it with theirs.
        if self.data().saved >= wanted {
            return Ok(());
        }
        let store = Arc::clone(self);
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            store.write_now()
        });
        written.await.map_err(io::Error::other)?
    }

    fn write_now(&self) -> io::Result<()> {
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        let (registered, version) = {
            let data = self.data();
            (data.registered.clone(), data.version)
        };
        disk.replace(FILE, &registered.write())?;
        let mut data = self.data();
        data.saved = data.saved.max(version);
        Ok(())
    }

    /// The service that writes what changes, soon after it does, and once more when
    /// it is told to stop. Add it before what serves clients, so that it stops
    /// behind them.
    pub fn keeper(self: &Arc<Self>) -> impl Service + use<> {
        Keeper(Arc::clone(self))
    }

    /// Writes what changes, some time after it does, for ever. Whoever ends it
    /// waits for [`saved`](Self::saved) once more.
    pub async fn keep(self: Arc<Self>) {
        loop {
            self.changed.notified().await;
            tokio::time::sleep(GATHER).await;
            while let Err(error) = self.saved().await {
                tracing::error!(%error, file = FILE, "what is registered cannot be written");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }

    fn data(&self) -> std::sync::MutexGuard<'_, Data> {
        // A panic within a change is a bug, and the change is whole or not there.
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keeper(Arc<Store>);

impl Service for Keeper {
    fn name(&self) -> String {
        "what is registered".to_owned()
    }

    async fn run(&self, life: Life) -> ropewalk_core::Result {
        life.ready();
        life.unless_stopping(Arc::clone(&self.0).keep()).await;
        Ok(self.0.saved().await?)
    }
}
