//! A storage for tests: it lies in memory, remembers what was durable, and fails when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::bodies::Shelf;
use super::{Behind, Each, Entry, Position, Snapshot, SnapshotStore, Storage, StorageError};

/// What a test sees of a [`FaultyStorage`], and sets.
#[derive(Default)]
pub(crate) struct Disk {
    /// Every entry, with the position after it.
    pub(crate) entries: Vec<(Position, Entry)>,
    /// How many of them are durable.
    pub(crate) durable: usize,
    /// How many syncs there were, and the failed one too.
    pub(crate) syncs: usize,
    /// The newest snapshot.
    pub(crate) snapshot: Option<Snapshot>,
    /// Up to where entries were given up.
    pub(crate) trimmed: Position,
    /// Fail this sync, counted from 1.
    pub(crate) fail_sync: Option<usize>,
    /// Fail to write.
    pub(crate) fail_append: bool,
    /// Fail to store a snapshot.
    pub(crate) fail_snapshot: bool,
}

/// A storage in memory that fails when its [`Disk`] says so.
#[derive(Clone, Default)]
pub(crate) struct FaultyStorage(pub(crate) Arc<Mutex<Disk>>);

impl FaultyStorage {
    /// Looks at the disk.
    pub(crate) fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.0.lock().expect("no test panics while it looks"))
    }
}

impl Storage for FaultyStorage {
    fn keeps(&self) -> bool {
        true
    }

    fn load_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.disk(|disk| disk.snapshot.clone()))
    }

    fn read(&mut self, from: Position, each: Each<'_>) -> Result<Position, StorageError> {
        let entries = self.disk(|disk| {
            disk.durable = disk.entries.len();
            disk.entries.clone()
        });
        let mut end = Position(0);
        for (after, entry) in entries {
            if end >= from {
                each(after, entry)?;
            }
            end = after;
        }
        Ok(end)
    }

    fn append(&mut self, at: Position, entries: &[Entry]) -> Result<Position, StorageError> {
        self.disk(|disk| {
            if disk.fail_append {
                return Err(StorageError::Planted("cannot write: no space left"));
            }
            let mut end = at;
            for entry in entries {
                end = Position(end.0 + 1 + entry.payload.len() as u64);
                disk.entries.push((end, entry.clone()));
            }
            Ok(end)
        })
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.disk(|disk| {
            disk.syncs += 1;
            if disk.fail_sync == Some(disk.syncs) {
                return Err(StorageError::Planted("cannot sync: input/output error"));
            }
            disk.durable = disk.entries.len();
            Ok(())
        })
    }

    fn sync_behind(&mut self) -> Result<Behind, StorageError> {
        self.sync()?;
        let durable = self.disk(|disk| disk.entries.last().map_or(Position(0), |(end, _)| *end));
        Ok(Behind { durable, took: Some(Duration::from_millis(1)) })
    }

    fn snapshots(&self) -> Box<dyn SnapshotStore> {
        Box::new(self.clone())
    }

    fn trim(&mut self, before: Position) -> Result<(), StorageError> {
        self.disk(|disk| disk.trimmed = before);
        Ok(())
    }

    fn bytes_closed(&self) -> u64 {
        0
    }

    fn segments(&self) -> u64 {
        0
    }

    fn shelf(&self) -> Option<Arc<Shelf>> {
        None
    }

    fn bytes(&self) -> u64 {
        self.disk(|disk| disk.entries.last().map_or(0, |(after, _)| after.0))
    }
}

impl SnapshotStore for FaultyStorage {
    fn store(&mut self, snapshot: &Snapshot) -> Result<(), StorageError> {
        self.disk(|disk| {
            if disk.fail_snapshot {
                return Err(StorageError::Planted("cannot write: no space left"));
            }
            disk.snapshot = Some(snapshot.clone());
            Ok(())
        })
    }
}
