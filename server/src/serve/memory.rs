//! How much of the broker's batches is held in memory, and that the rest lies on disk.

use std::sync::Arc;

use bytes::Bytes;
use fanlight_core::{Broker, Home, Homes};

use super::crash_points::{self, Point};
use super::storage::{Pins, Shelf, StorageError};

/// Batches are put away until this many quarters of the bound are left, so that it is not done for
/// every publish.
const QUARTERS_LEFT: u64 = 3;

/// Keeps the batches in memory within a bound, if there is a disk to put the others on.
pub(crate) struct Memory {
    shelf: Option<Arc<Shelf>>,
    bytes_max: u64,
    /// Bytes that the broker counts more than once, as they lie in several logs.
    shared: u64,
}

/// A batch that could not be put away, for the moments until the server stops.
#[derive(Debug)]
struct Unplaced(Bytes);

impl Home for Unplaced {
    fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    fn reference(&self) -> u64 {
        u64::MAX
    }
}

impl Homes for Memory {
    fn find(&self, reference: u64, bytes: u32) -> Option<Arc<dyn Home>> {
        let body = self.shelf.as_ref()?.find(reference, bytes)?;
        Some(body)
    }
}

impl Memory {
    /// Holds at most so many bytes of batches, about; without a shelf all of them.
    pub(crate) fn new(shelf: Option<Arc<Shelf>>, bytes_max: u64) -> Memory {
        Memory { shelf, bytes_max, shared: 0 }
    }

    /// Bytes of batches that are in memory, about.
    pub(crate) fn held(&self, broker: &Broker) -> u64 {
        let live = self.shelf.as_ref().map_or(0, |shelf| shelf.live());
        broker.stored_bytes().saturating_sub(live + self.shared)
    }

    /// Puts batches away if the broker holds too many.
    pub(crate) fn balance(&mut self, broker: &mut Broker) -> Result<(), StorageError> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        if let Some(error) = shelf.take_failure() {
            return Err(error);
        }
        if self.held(broker) <= self.bytes_max {
            return Ok(());
        }
        let mut failed = None;
        let left = self.bytes_max / 4 * QUARTERS_LEFT;
        let held = broker.put_away(left, &mut |records| match shelf.put(records.as_bytes()) {
            Ok(body) => body,
            Err(error) => {
                failed.get_or_insert(error);
                Arc::new(Unplaced(Bytes::copy_from_slice(records.as_bytes())))
            }
        });
        failed.map_or(Ok(()), Err)?;
        shelf.flush()?;
        crash_points::pass(Point::PutAway);
        self.shared = broker.stored_bytes().saturating_sub(shelf.live() + held);
        Ok(())
    }

    /// Takes a snapshot, with what it names on the shelf.
    pub(crate) fn snapshot(
        &mut self,
        broker: &Broker,
    ) -> Result<(Vec<u8>, Option<Pins>), StorageError> {
        let mut state = Vec::new();
        let Some(shelf) = &self.shelf else {
            broker.snapshot(&mut state);
            return Ok((state, None));
        };
        // What is moved meanwhile is named where it lay, or where it lies.
        let before = shelf.pin()?;
        broker.snapshot(&mut state);
        Ok((state, Some(before.and(shelf.pin()?))))
    }
}
