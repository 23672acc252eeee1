//! Data directories that no server uses: what is in them, and whether it is as it should be.

use std::fmt;
use std::path::{Path, PathBuf};

use fanlight_core::codec;
use fanlight_core::{Config, Fact, Limits, Time};

use super::clock::Clock;
use super::recovery::{self, RecoveryError, Seen};
use super::storage::{FileStorage, Position, Storage};

/// What was found in a directory that is sound.
pub(crate) struct Found {
    /// The snapshot's position and size.
    pub(crate) snapshot: Option<(u64, u64)>,
    pub(crate) segments: usize,
    /// Where the journal begins that counts, and where it ends.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) entries: u64,
    pub(crate) facts: u64,
    /// Bytes of a tail that a crash tore.
    pub(crate) torn_bytes: Option<u64>,
    pub(crate) last_time: Time,
    /// Whether the server stopped in good order.
    pub(crate) closed: bool,
    /// Batches that lie outside of journal and snapshot, and their bytes.
    pub(crate) bodies: (u64, u64),
    /// Bytes of all records that the broker holds.
    pub(crate) stored_bytes: u64,
}

/// A fact of the journal.
pub(crate) struct Dumped<'a> {
    pub(crate) position: u64,
    pub(crate) time: Time,
    pub(crate) fact: Fact<'a>,
}

/// What is wrong with a directory.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It cannot be read, or is damaged.
    Recovery(RecoveryError),
    /// Everything can be read, and what it says contradicts itself.
    Contradiction(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Recovery(error) => error.fmt(f),
            Fault::Contradiction(what) => write!(
                f,
                "every checksum is right, and yet what is kept contradicts itself: {what}; please \
                 report it"
            ),
        }
    }
}

impl<E: Into<RecoveryError>> From<E> for Fault {
    fn from(error: E) -> Fault {
        Fault::Recovery(error.into())
    }
}

/// Reads all of a directory, and looks whether it fits together.
pub(crate) fn check(dir: &Path) -> Result<Found, Fault> {
    let mut storage = FileStorage::look(dir)?;
    let config =
        Config { seed: 0, limits: Limits { stored_bytes_max: u64::MAX, ..Limits::default() } };
    let restored =
        recovery::restore(&mut storage, config, u64::MAX, (&Clock::wall, &|_| ()), &mut ())?;
    restored.broker.check().map_err(|violation| Fault::Contradiction(violation.to_string()))?;
    let shelf = storage.shelf().expect("files have a shelf");
    let bodies = shelf.verify()?;

    let from = restored.journal.snapshot;
    let Seen { entries, facts, last_time, closed } = restored.seen;
    let (segments, torn_bytes) = storage.segments();
    Ok(Found {
        snapshot: (from > Position(0)).then_some((from.0, restored.journal.snapshot_bytes)),
        segments,
        from: from.0,
        to: restored.journal.end.0,
        entries,
        facts,
        torn_bytes,
        last_time,
        closed,
        bodies,
        stored_bytes: restored.broker.stored_bytes(),
    })
}

/// The namespaces that have data in a directory beside the default one, by name.
pub(crate) fn namespaces(dir: &Path) -> Vec<(String, PathBuf)> {
    let Ok(there) = std::fs::read_dir(dir.join(super::namespaces::DIRECTORY)) else {
        return Vec::new();
    };
    let dirs = there.flatten().filter(|entry| entry.path().is_dir());
    let mut all: Vec<(String, PathBuf)> =
        dirs.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())).collect();
    all.sort();
    all
}

/// Shows every fact from a position of the journal on, or from the newest snapshot on, for as long
/// as `each` wants more.
pub(crate) fn dump(
    dir: &Path,
    from: Option<u64>,
    each: &mut dyn FnMut(Dumped<'_>) -> bool,
) -> Result<(), Fault> {
    let mut storage = FileStorage::look(dir)?;
    let snapshot = storage.load_snapshot()?.map_or(Position(0), |snapshot| snapshot.position);
    let from = from.map_or(snapshot, Position);
    let (mut wanted, mut foreign) = (true, None);
    storage.read(from, &mut |after, entry| {
        let mut rest: &[u8] = &entry.payload;
        while wanted && !rest.is_empty() {
            match codec::decode_fact(&mut rest, entry.payload.len()) {
                Ok(fact) => {
                    wanted = each(Dumped { position: after.0, time: entry.time, fact });
                }
                Err(error) => {
                    foreign.get_or_insert((after, error.to_string()));
                    return Ok(());
                }
            }
        }
        Ok(())
    })?;
    match foreign {
        None => Ok(()),
        Some((position, what)) => Err(RecoveryError::Foreign { position, what }.into()),
    }
}
