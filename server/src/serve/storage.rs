//! Where a broker's facts are kept: the seam between the server and its disk.
//!
//! A journal is a log of entries with one writer. Files keep it here; the same few operations
//! (take hold of it, append at an expected position, read from a position, store and load a
//! snapshot, trim) are all that a replicated log would have to offer in their place.

pub(crate) mod backup;
mod bodies;
mod directory;
mod disk;
#[cfg(test)]
pub(crate) mod faulty;
mod files;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod volatile;

pub(crate) use bodies::{Body, Lying, Pins, Shelf};
#[cfg(test)]
pub(crate) use disk::simulated;
pub(crate) use files::FileStorage;
pub(crate) use volatile::VolatileStorage;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanlight_core::Time;

/// A place in the journal: how many bytes of entries came before it since the journal began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What became true in one turn of the shard: fact frames.
    Facts,
    /// The server stopped in good order here; no payload.
    Closed,
}

/// One entry of the journal: whole or not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What it says.
    pub(crate) kind: Kind,
    /// The broker's time when it was decided; recovery goes on from the last one.
    pub(crate) time: Time,
    /// The frames.
    pub(crate) payload: Bytes,
}

/// A broker's whole durable state at one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Recovery reads the journal from here on.
    pub(crate) position: Position,
    /// The broker's time then.
    pub(crate) time: Time,
    /// What [`fanlight_core::Broker::snapshot`] wrote.
    pub(crate) state: Vec<u8>,
}

/// How far a storage is that syncs without being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    /// Everything before this is durable.
    pub(crate) durable: Position,
    /// How long the sync took that has ended since it was last asked.
    pub(crate) took: Option<Duration>,
}

/// What takes an entry that was read, and the position after it.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Position, Entry) -> Result<(), StorageError>;

/// A journal and its snapshots. Whoever has one is the only writer.
///
/// After any error the state of what was being written is unknown: the storage is not to be used
/// again, and only reading it anew tells what is there.
pub(crate) trait Storage: Send {
    /// Whether what is appended can be read again after a restart. If not, nothing need be
    /// appended at all.
    fn keeps(&self) -> bool;
    /// The newest snapshot.
    fn load_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError>;
    /// Hands every entry from `from` on to `each`, makes sure that what was read is durable, and
    /// says where the journal ends. It comes before the first append.
    fn read(&mut self, from: Position, each: Each<'_>) -> Result<Position, StorageError>;
    /// Appends entries at `at`, which has to be the journal's end, and says where it ends then.
    /// They survive the end of this process, but not yet that of the machine.
    fn append(&mut self, at: Position, entries: &[Entry]) -> Result<Position, StorageError>;
    /// Makes everything appended so far durable.
    fn sync(&mut self) -> Result<(), StorageError>;
    /// Sees to it that what was appended becomes durable, without waiting for it, and says how far
    /// it is. A sync that failed meanwhile is told by the next call of anything.
    fn sync_behind(&mut self) -> Result<Behind, StorageError>;
    /// What stores snapshots, for use beside the journal on another thread.
    fn snapshots(&self) -> Box<dyn SnapshotStore>;
    /// Gives back the space of entries before `before`, which a stored snapshot covers.
    fn trim(&mut self, before: Position) -> Result<(), StorageError>;
    /// Bytes that the journal takes, snapshots aside.
    fn bytes(&self) -> u64;
    /// Of these, what a snapshot taken now would give back.
    fn bytes_closed(&self) -> u64;
    /// Files of the journal.
    fn segments(&self) -> u64;
    /// Where batches can lie that are not held in memory.
    fn shelf(&self) -> Option<Arc<Shelf>>;
}

/// Stores snapshots.
pub(crate) trait SnapshotStore: Send {
    /// Stores one in place of the one before; if it fails, the one before is still there.
    fn store(&mut self, snapshot: &Snapshot) -> Result<(), StorageError>;
}

/// Why a storage did not open, or failed.
#[derive(Debug)]
pub(crate) enum StorageError {
    /// The operating system refused something.
    Io {
        /// What was being done, as in "write to".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process has the directory.
    Locked {
        /// Which directory.
        dir: PathBuf,
        /// The process's number, if it left it.
        holder: Option<u32>,
    },
    /// The directory holds something, but no data of ours.
    NotOurs {
        /// Which directory.
        dir: PathBuf,
        /// The name of something in it.
        found: String,
    },
    /// A newer version wrote it.
    Newer {
        /// Which file.
        path: PathBuf,
        /// The format in it.
        found: u32,
        /// The newest format that this build reads.
        known: u32,
    },
    /// What was written is not there any more.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// From which of its bytes on.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A test wanted it to fail.
    #[cfg(test)]
    Planted(&'static str),
}

impl StorageError {
    fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StorageError + 'a {
        move |source| StorageError::Io { doing, path: path.to_owned(), source }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Io { doing, path, source } => {
                write!(f, "cannot {doing} {}: {source}", path.display())
            }
            StorageError::Locked { dir, holder } => {
                write!(f, "the data directory {} is in use by another fanlight", dir.display())?;
                if let Some(pid) = holder {
                    write!(f, " (process {pid})")?;
                }
                f.write_str("; stop that one, or choose another directory with --data")
            }
            StorageError::NotOurs { dir, found } => write!(
                f,
                "{} is not a data directory of fanlight: it holds {found:?}; choose an empty or \
                 new directory with --data",
                dir.display()
            ),
            StorageError::Newer { path, found, known } => write!(
                f,
                "{} is written in format {found}, and this fanlight reads formats up to {known}; \
                 start the newer fanlight that wrote it, or choose another directory with --data",
                path.display()
            ),
            StorageError::Corrupt { path, offset, what } => write!(
                f,
                "{} is corrupt at byte {offset}: {what}; nothing was changed: restore the data \
                 directory from a backup, or choose another with --data",
                path.display()
            ),
            #[cfg(test)]
            StorageError::Planted(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StorageError {}
