//! A disk for tests, under the storage as it is: it does what it is told in a real directory, and
//! knows what of it would survive. When the power goes, what was synced is there; what was not is
//! there, or not, or in part, or as something else, each file and each name by itself.
//!
//! It is strict where file systems differ: a file that was synced is there only if its directory
//! was synced too, and names come and go in any order until then.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What is lost, lost or garbage together.
const SECTOR: usize = 64;

static DISKS: LazyLock<Mutex<HashMap<PathBuf, Shared>>> = LazyLock::new(Mutex::default);

/// A disk that a test has beside the storage that uses it.
pub(crate) type Shared = Arc<Mutex<Disk>>;

/// Chooses what is random: a number below its argument.
pub(crate) type Dice<'a> = &'a mut dyn FnMut(u64) -> u64;

/// A directory on a simulated disk.
#[derive(Default)]
pub(crate) struct Disk {
    /// Bytes of each file, by its number: as they are, and as they were synced.
    files: Vec<Content>,
    names: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    unsynced: Vec<Change>,
    /// How many operations there were.
    pub(crate) operations: u64,
    /// At which operation the power goes.
    pub(crate) off_at: Option<u64>,
    /// From which operation on there is no space.
    pub(crate) full_at: Option<u64>,
    /// The first sync from this operation on fails, and the disk forgets what it should have kept.
    pub(crate) sync_fails_at: Option<u64>,
    /// Whether that has happened, or there was no space.
    pub(crate) failed: bool,
    /// A planted bug: syncs of files whose names begin so are left out; "." is the directory's.
    pub(crate) skips_sync: Option<&'static str>,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
    /// From where on a sync that failed has lost it.
    lost: Option<usize>,
}

#[derive(Clone)]
enum Change {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

/// The name of a file.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Tells the disk that this file is on; None: it is on none.
pub(super) fn on<T>(
    path: &Path,
    told: impl FnOnce(&mut Disk, &str) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let dir = path.parent().expect("a file is in a directory");
    on_directory(dir, |disk| told(disk, &name_of(path)))
}

/// The same for the directory itself.
pub(super) fn on_directory<T>(
    dir: &Path,
    told: impl FnOnce(&mut Disk) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let disk = locked(&DISKS).get(dir).cloned();
    let Some(disk) = disk else { return Ok(None) };
    let mut disk = locked(&disk);
    disk.operations += 1;
    if disk.is_off() {
        return Err(io::Error::other("the power is off"));
    }
    told(&mut disk).map(Some)
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A disk that holds these files, all of them durable.
pub(crate) fn new(files: &[(String, Vec<u8>)]) -> Shared {
    let mut disk = Disk::default();
    for (number, (name, bytes)) in files.iter().enumerate() {
        disk.files.push(Content { now: bytes.clone(), synced: bytes.clone(), lost: None });
        disk.names.insert(name.clone(), number);
    }
    disk.synced = disk.names.clone();
    Arc::new(Mutex::new(disk))
}

/// The same disk for another process.
pub(crate) fn go_on(disk: &Disk) -> Shared {
    let (files, names, synced) = (disk.files.clone(), disk.names.clone(), disk.synced.clone());
    let unsynced = disk.unsynced.clone();
    Arc::new(Mutex::new(Disk { files, names, synced, unsynced, ..Disk::default() }))
}

/// Puts a disk under an empty directory.
pub(crate) fn begin(dir: &Path, disk: &Shared) {
    for (name, bytes) in locked(disk).contents() {
        fs::write(dir.join(name), bytes).expect("a temporary directory can be written to");
    }
    let dir = fs::canonicalize(dir).expect("it is there");
    locked(&DISKS).insert(dir, disk.clone());
}

/// The disk is no more.
pub(crate) fn end(dir: &Path) {
    let dir = fs::canonicalize(dir).expect("it is there");
    locked(&DISKS).remove(&dir);
}

impl Disk {
    /// Whether the power is gone.
    pub(crate) fn is_off(&self) -> bool {
        self.off_at.is_some_and(|at| self.operations >= at)
    }

    fn is_full(&mut self) -> bool {
        let full = self.full_at.is_some_and(|at| self.operations >= at);
        self.failed |= full;
        full
    }

    fn file(&mut self, name: &str) -> &mut Content {
        let number = self.names[name];
        &mut self.files[number]
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<()> {
        if self.is_full() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let number = self.files.len();
        self.files.push(Content::default());
        self.names.insert(name.to_owned(), number);
        self.unsynced.push(Change::Link(name.to_owned(), number));
        Ok(())
    }

    /// How much is written, and what comes of the rest.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let full = self.is_full();
        let part = if full { bytes.len() / 2 } else { bytes.len() };
        self.file(name).now.extend_from_slice(&bytes[..part]);
        (part, full.then(|| io::ErrorKind::StorageFull.into()))
    }

    pub(super) fn cut(&mut self, name: &str, bytes: usize) -> io::Result<()> {
        self.file(name).now.truncate(bytes);
        Ok(())
    }

    pub(super) fn sync(&mut self, name: &str) -> io::Result<()> {
        if self.skips_sync.is_some_and(|skipped| name.starts_with(skipped)) {
            return Ok(());
        }
        let fails = self.sync_fails_at.take_if(|at| self.operations >= *at).is_some();
        self.failed |= fails;
        let file = self.file(name);
        if fails {
            file.lost = Some(file.synced.len().min(file.now.len()));
            return Err(io::Error::other("input/output error"));
        }
        file.synced = file.now.clone();
        if let Some(lost) = file.lost {
            // What the failed sync dropped is clean to the system, and never written again.
            file.synced[lost..].fill(0);
        }
        Ok(())
    }

    pub(super) fn sync_directory(&mut self) -> io::Result<()> {
        if self.skips_sync != Some(".") {
            self.synced = self.names.clone();
            self.unsynced.clear();
        }
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let number = self.names.remove(from).expect("it is there");
        self.names.insert(to.to_owned(), number);
        self.unsynced.push(Change::Rename(from.to_owned(), to.to_owned(), number));
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.names.remove(name);
        self.unsynced.push(Change::Unlink(name.to_owned()));
        Ok(())
    }

    /// What is there as long as there is power.
    pub(crate) fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let names = self.names.iter();
        names.map(|(name, number)| (name.clone(), self.files[*number].now.clone())).collect()
    }

    /// What is there after the power was gone.
    pub(crate) fn survivors(&self, dice: Dice<'_>) -> Vec<(String, Vec<u8>)> {
        let mut names = self.synced.clone();
        // Mostly all of it, or nothing, and sometimes each by itself.
        let mood = dice(4);
        for change in &self.unsynced {
            if mood == 0 || (mood > 1 && dice(2) == 0) {
                continue;
            }
            match change.clone() {
                Change::Link(name, number) => {
                    names.insert(name, number);
                }
                Change::Rename(from, to, number) => {
                    names.remove(&from);
                    names.insert(to, number);
                }
                Change::Unlink(name) => {
                    names.remove(&name);
                }
            }
        }
        names.into_iter().map(|(name, number)| (name, self.files[number].survive(dice))).collect()
    }
}

impl Content {
    fn survive(&self, dice: Dice<'_>) -> Vec<u8> {
        let mood = dice(4);
        let Some(rest) = self.now.strip_prefix(&self.synced[..]) else {
            // It was cut, or its sync has failed.
            return if mood < 2 { self.synced.clone() } else { self.now.clone() };
        };
        let mut bytes = self.synced.clone();
        if mood == 0 {
            return bytes;
        }
        let mut rest = rest.to_vec();
        rest.truncate(dice(rest.len() as u64 + 1) as usize);
        if mood > 1 {
            for sector in rest.chunks_mut(SECTOR) {
                match dice(6) {
                    0 => sector.fill(0),
                    1 => sector.fill(0xA5),
                    2 => sector[0] ^= 1 << dice(8),
                    _ => {}
                }
            }
        }
        bytes.extend(rest);
        bytes
    }
}
