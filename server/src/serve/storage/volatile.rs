//! No storage at all: what happens is gone when the process is.

use std::sync::Arc;

use super::bodies::Shelf;
use super::{Behind, Each, Entry, Position, Snapshot, SnapshotStore, Storage, StorageError};

/// Keeps nothing.
pub(crate) struct VolatileStorage;

impl Storage for VolatileStorage {
    fn keeps(&self) -> bool {
        false
    }

    fn load_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(None)
    }

    fn read(&mut self, from: Position, _each: Each<'_>) -> Result<Position, StorageError> {
        Ok(from)
    }

    fn append(&mut self, at: Position, _entries: &[Entry]) -> Result<Position, StorageError> {
        Ok(at)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }

    fn sync_behind(&mut self) -> Result<Behind, StorageError> {
        Ok(Behind { durable: Position(u64::MAX), took: None })
    }

    fn snapshots(&self) -> Box<dyn SnapshotStore> {
        Box::new(VolatileStorage)
    }

    fn trim(&mut self, _before: Position) -> Result<(), StorageError> {
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
        0
    }
}

impl SnapshotStore for VolatileStorage {
    fn store(&mut self, _snapshot: &Snapshot) -> Result<(), StorageError> {
        Ok(())
    }
}
