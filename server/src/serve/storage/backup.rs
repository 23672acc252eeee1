//! Backups: a data directory of its own, written beside a server that goes on.

use std::fs;
use std::io;
use std::path::Path;

use fanlight_core::Time;

use super::directory::{self, sync_directory};
use super::{Pins, Position, Snapshot, SnapshotStore, StorageError, segment, snapshot};

/// Where the journal of a backup begins: there is a snapshot of what came before.
const BEGIN: Position = Position(1);

/// Writes a data directory with this state, and gives its bytes. The directory may not be there
/// yet. It can be served only when it is whole: what says that it is one of ours comes last.
pub(crate) fn write(
    to: &Path,
    time: Time,
    state: Vec<u8>,
    pins: Option<&Pins>,
) -> Result<u64, StorageError> {
    let above = to.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(above).map_err(StorageError::io("make", above))?;
    fs::create_dir(to).map_err(StorageError::io("make", to))?;
    let written = fill(to, time, state, pins).and_then(|()| {
        sync_directory(above)?;
        size(to)
    });
    if written.is_err() {
        // What is left of it says of itself that it is no data directory.
        let _ = fs::remove_dir_all(to);
    }
    written
}

fn fill(to: &Path, time: Time, state: Vec<u8>, pins: Option<&Pins>) -> Result<(), StorageError> {
    for from in pins.map(Pins::paths).unwrap_or_default() {
        let copy = to.join(from.file_name().expect("a file has a name"));
        fs::copy(&from, &copy).map_err(StorageError::io("copy", &from))?;
        let synced = fs::File::open(&copy).and_then(|file| file.sync_all());
        synced.map_err(StorageError::io("sync", &copy))?;
    }
    segment::create(to, BEGIN)?;
    snapshot::Files::new(to).store(&Snapshot { position: BEGIN, time, state })?;
    directory::write_format(to)
}

fn size(of: &Path) -> Result<u64, StorageError> {
    let sizes =
        || -> io::Result<u64> { fs::read_dir(of)?.map(|entry| Ok(entry?.metadata()?.len())).sum() };
    sizes().map_err(StorageError::io("list", of))
}
