//! Where files are kept, step by step, so that a test can end the world between
//! any two of them.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// A folder of files. Its methods block.
///
/// [`replace`](Self::replace) is made of the others, which are what a system
/// promises: what was written is there after a crash once it was synced, and a
/// name once the folder was.
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// The whole of a file; none if there is none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;
    /// Begins a file anew, and writes it.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Waits until what was written of a file is on the disk.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name, in the place of whatever had that.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Waits until names are on the disk.
    fn sync_names(&self) -> io::Result<()>;

    /// Replaces a file as a whole: whoever reads it, after whatever crash, finds
    /// the old one or the new one.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let fresh = format!("{name}.new");
        self.write(&fresh, bytes)?;
        self.sync(&fresh)?;
        self.rename(&fresh, name)?;
        self.sync_names()
    }
}

/// A folder of the file system, which is made if there is none. It is locked
/// while this is there, so that two servers do not share it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// Opens a folder, which only its owner may read if it is new.
    ///
    /// # Errors
    /// As the system has it; [`io::ErrorKind::WouldBlock`] if another server has
    /// it.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = path.as_ref().to_owned();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        let handle = File::open(&path)?;
        handle.try_lock().map_err(io::Error::from)?;
        Ok(Self { path, handle })
    }
}

impl Disk for Folder {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // There are hashes in it.
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.path.join(name))?.write_all(bytes)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        File::open(self.path.join(name))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

/// Files in memory, as a machine has them that can lose its power: for tests, and
/// for a server that keeps nothing.
///
/// After [`crash`](Self::crash) there is what was synced, and of the rest as
/// much as chance has it.
#[derive(Debug, Default)]
pub struct MemoryDisk(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// What programs see.
    files: BTreeMap<String, Contents>,
    /// The names that are surely there after a crash.
    durable: BTreeMap<String, Contents>,
    /// Steps that still succeed; all if there is none.
    steps: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    written: Vec<u8>,
    synced: Vec<u8>,
}

impl MemoryDisk {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// So many steps succeed from now on, then none until
    /// [`crash`](Self::crash).
    pub fn fail_after(&self, steps: u64) {
        self.memory().steps = Some(steps);
    }

    /// The power goes and comes back. `chance` gives a number below its argument:
    /// what was not synced is there in part, or not at all, and a name that was
    /// not synced may be the old one.
    pub fn crash(&self, mut chance: impl FnMut(u64) -> u64) {
        let mut memory = self.memory();
        memory.steps = None;
        let mut left = BTreeMap::new();
        let names: Vec<_> = memory
            .files
            .keys()
            .chain(memory.durable.keys())
            .cloned()
            .collect();
        for name in names {
            let new = memory.files.get(&name).filter(|_| chance(2) == 0);
            let Some(contents) = new.or_else(|| memory.durable.get(&name)) else {
                continue;
            };
            let bytes = if contents.written == contents.synced || chance(2) == 0 {
                contents.synced.clone()
            } else {
                let most = u64::try_from(contents.written.len()).unwrap_or(u64::MAX);
                let part = usize::try_from(chance(most + 1)).unwrap_or(usize::MAX);
                contents.written[..part.min(contents.written.len())].to_vec()
            };
            let synced = bytes.clone();
            left.insert(
                name,
                Contents {
                    written: bytes,
                    synced,
                },
            );
        }
        memory.files.clone_from(&left);
        memory.durable = left;
    }

    fn step(&self) -> io::Result<std::sync::MutexGuard<'_, Memory>> {
        let mut memory = self.memory();
        match &mut memory.steps {
            Some(0) => Err(io::Error::other("no disk")),
            Some(steps) => {
                *steps -= 1;
                Ok(memory)
            }
            None => Ok(memory),
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let memory = self.memory();
        Ok(memory
            .files
            .get(name)
            .map(|contents| contents.written.clone()))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let stopped = self.step().map(|_| ());
        // A step that fails has done some of its work.
        let written = if stopped.is_ok() {
            bytes
        } else {
            &bytes[..bytes.len() / 2]
        };
        let mut memory = self.memory();
        let contents = memory.files.entry(name.to_owned()).or_default();
        contents.written = written.to_vec();
        contents.synced.clear();
        stopped
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut memory = self.step()?;
        if let Some(contents) = memory.files.get_mut(name) {
            contents.synced.clone_from(&contents.written);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut memory = self.step()?;
        if let Some(contents) = memory.files.remove(from) {
            memory.files.insert(to.to_owned(), contents);
        }
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut memory = self.step()?;
        memory.durable = memory.files.clone();
        Ok(())
    }
}
