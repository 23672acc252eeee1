//! How much of the broker's batches is held in memory, and that the rest lies on disk.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use fanlight_core::{Broker, Home, Homes};

use super::crash_points::{self, Point};
use super::storage::{Body, Lying, Pins, Shelf, StorageError};

/// Batches are put away until this many quarters of the bound are left, so that it is not done for
/// every publish.
const QUARTERS_LEFT: u64 = 3;

/// Keeps the batches in memory within a bound, if there is a disk to put the others on.
pub(crate) struct Memory {
    shelf: Option<Arc<Shelf>>,
    bytes_max: u64,
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
        Some(Arc::new(Lying::of(body)))
    }
}

impl Memory {
    /// Holds at most so many bytes of batches, about; without a shelf all of them.
    pub(crate) fn new(shelf: Option<Arc<Shelf>>, bytes_max: u64) -> Memory {
        Memory { shelf, bytes_max }
    }

    /// Bytes of batches that are in memory. One that lies in several logs counts for each of them.
    pub(crate) fn held(&self, broker: &Broker) -> u64 {
        let lying = self.shelf.as_ref().map_or(0, |shelf| shelf.lying());
        broker.stored_bytes().saturating_sub(lying)
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
        // What was published to several logs is the same memory in all of them.
        let mut bodies: HashMap<*const u8, Arc<Body>> = HashMap::new();
        broker.put_away(left, &mut |records| {
            let bytes = records.as_bytes();
            let body = match bodies.get(&bytes.as_ptr()) {
                Some(body) if body.holds(bytes.len()) => Ok(body.clone()),
                Some(_) | None => shelf.put(bytes),
            };
            match body {
                Ok(body) => {
                    bodies.insert(bytes.as_ptr(), body.clone());
                    Arc::new(Lying::of(body))
                }
                Err(error) => {
                    failed.get_or_insert(error);
                    Arc::new(Unplaced(Bytes::copy_from_slice(bytes)))
                }
            }
        });
        failed.map_or(Ok(()), Err)?;
        shelf.flush()?;
        crash_points::pass(Point::PutAway);
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
        if let Some(error) = shelf.take_failure() {
            return Err(error);
        }
        // What is moved meanwhile is named where it lay, or where it lies.
        let before = shelf.pin()?;
        broker.snapshot(&mut state);
        Ok((state, Some(before.and(shelf.pin()?))))
    }
}
