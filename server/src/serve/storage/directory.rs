//! The data directory: whose it is, in which format, and that only one process has it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{StorageError, disk};
use crate::access::USERS_FILE;

/// The format of a directory that this build writes, and the newest that it reads. In format 2
/// snapshots may name batches in files of their own; everything of format 1 is in it.
const FORMAT: u32 = 2;
/// The format of segments and snapshots.
pub(super) const FILE_FORMAT: u32 = 1;

const FORMAT_FILE: &str = "FORMAT";
const FORMAT_FILE_NEW: &str = "FORMAT.new";
const FORMAT_WORDS: &str = "fanlight data ";
const LOCK_FILE: &str = "LOCK";
/// How long a holder may take to be gone: a process that was killed gives its memory back first.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// What a file system itself puts at the top of a disk.
const LOST_AND_FOUND: &str = "lost+found";

/// A data directory that this process alone may write to.
pub(super) struct Directory {
    path: PathBuf,
    /// Held for as long as it is open; the operating system lets go of it when the process ends.
    _lock: File,
}

impl Directory {
    /// Takes hold of a directory, making it if there is none.
    pub(super) fn open(path: &Path) -> Result<Directory, StorageError> {
        fs::create_dir_all(path).map_err(StorageError::io("make the data directory", path))?;
        // Absolute, so that messages say which directory it is wherever they are read.
        let path = fs::canonicalize(path).map_err(StorageError::io("find", path))?;
        let format = format_of(&path)?;
        let lock = lock(&path)?;
        let directory = Directory { path, _lock: lock };
        if format != Some(FORMAT) {
            write_format(&directory.path)?;
        }
        Ok(directory)
    }

    /// Looks at a directory that holds data and that nobody uses; nothing in it is changed.
    pub(super) fn look(path: &Path) -> Result<Directory, StorageError> {
        let path = fs::canonicalize(path).map_err(StorageError::io("find", path))?;
        if format_of(&path)?.is_none() {
            let found = "no file FORMAT".to_owned();
            return Err(StorageError::NotOurs { dir: path, found });
        }
        let lock = path.join(LOCK_FILE);
        // A copy of a directory may have none.
        let lock = match lock.exists() {
            true => hold(&lock, &path, OpenOptions::new().read(true))?,
            false => File::open(&path).map_err(StorageError::io("open", &path))?,
        };
        Ok(Directory { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the files in it.
    pub(super) fn names(&self) -> Result<Vec<String>, StorageError> {
        names(&self.path)
    }
}

/// Says that a directory is one of ours, and in which format.
pub(super) fn write_format(path: &Path) -> Result<(), StorageError> {
    let new = path.join(FORMAT_FILE_NEW);
    let how = OpenOptions::new().write(true).create(true).truncate(true).clone();
    let file = disk::create(&new, &how).map_err(StorageError::io("make", &new))?;
    disk::write(&file, &new, format!("{FORMAT_WORDS}{FORMAT}\n").as_bytes())
        .and_then(|()| disk::sync(&file, &new))
        .map_err(StorageError::io("write to", &new))?;
    let named = path.join(FORMAT_FILE);
    disk::rename(&new, &named).map_err(StorageError::io("rename", &new))?;
    sync_directory(path)
}

/// Makes the coming and going of files in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StorageError> {
    disk::sync_directory(path).map_err(StorageError::io("sync", path))
}

fn names(path: &Path) -> Result<Vec<String>, StorageError> {
    let list = || -> std::io::Result<Vec<String>> {
        fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    list().map_err(StorageError::io("list", path))
}

/// The format of the data that the directory holds; None if it is empty. Refuses one that holds something
/// else, so that a slip of the hand does not fill a home directory with segments.
fn format_of(dir: &Path) -> Result<Option<u32>, StorageError> {
    let path = dir.join(FORMAT_FILE);
    if !path.try_exists().map_err(StorageError::io("look for", &path))? {
        // Users may be made before the server is started for the first time.
        let ours = [FORMAT_FILE_NEW, LOCK_FILE, LOST_AND_FOUND, USERS_FILE];
        let found = names(dir)?.into_iter().find(|name| !ours.contains(&name.as_str()));
        return match found {
            Some(found) => Err(StorageError::NotOurs { dir: dir.to_owned(), found }),
            None => Ok(None),
        };
    }
    let text = fs::read(&path).map_err(StorageError::io("read", &path))?;
    let text = String::from_utf8_lossy(&text);
    let version = text.strip_prefix(FORMAT_WORDS).and_then(|rest| rest.trim_end().parse().ok());
    match version {
        Some(found) if found > FORMAT => Err(StorageError::Newer { path, found, known: FORMAT }),
        Some(found @ 1..) => Ok(Some(found)),
        Some(0) | None => Err(StorageError::Corrupt {
            path,
            offset: 0,
            what: format!("it should say {:?}", format!("{FORMAT_WORDS}{FORMAT}")),
        }),
    }
}

/// Takes hold of a directory, and says in it who has.
fn lock(dir: &Path) -> Result<File, StorageError> {
    let path = dir.join(LOCK_FILE);
    let how = OpenOptions::new().create(true).truncate(false).read(true).write(true).clone();
    let mut file = hold(&path, dir, &how)?;
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(StorageError::io("write to", &path))?;
    Ok(file)
}

fn hold(path: &Path, dir: &Path, how: &OpenOptions) -> Result<File, StorageError> {
    let mut file = how.open(path).map_err(StorageError::io("open", path))?;
    let begun = Instant::now();
    let mut locked = file.try_lock();
    while matches!(locked, Err(TryLockError::WouldBlock)) && begun.elapsed() < LOCK_WAIT {
        std::thread::sleep(LOCK_WAIT / 20);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Who holds it is only a help: the refusal stands without it.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim().parse().ok();
            return Err(StorageError::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => {
            return Err(StorageError::Io { doing: "lock", path: path.to_owned(), source });
        }
    }
    Ok(file)
}
