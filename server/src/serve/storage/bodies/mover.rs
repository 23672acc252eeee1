//! The mover: gives space back, beside the shard.

use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use super::super::super::crash_points::{self, Point};
use super::{BODY_HEADER_BYTES, Body, Place, Shelf, StorageError, locked, remove};

/// Starts the mover's thread. It ends with its shelf.
pub(super) fn start(shelf: &Arc<Shelf>, woken: Receiver<()>) {
    let shelf = Arc::downgrade(shelf);
    let mover = std::thread::Builder::new().name("mover".to_owned()).spawn(move || {
        while woken.recv().is_ok() {
            let Some(shelf) = shelf.upgrade() else { return };
            if let Err(error) = shelf.reclaim() {
                // What lies on the shelf lies there still; the shard is told, and stops.
                shelf.fail(error);
                return;
            }
        }
    });
    mover.expect("a server that has just started can start a thread");
}

impl Shelf {
    /// Removes the files that nobody needs, and empties those that are less than half full.
    pub(super) fn reclaim(self: &Arc<Shelf>) -> Result<(), StorageError> {
        if !self.begun.load(Ordering::Acquire) {
            return Ok(());
        }
        loop {
            self.remove_gone()?;
            let Some(bodies) = self.take_sparse() else { return Ok(()) };
            for body in bodies {
                if let Some(body) = body.upgrade() {
                    self.move_body(&body)?;
                }
            }
        }
    }

    fn remove_gone(&self) -> Result<(), StorageError> {
        let mut gone = Vec::new();
        locked(&self.files).retain(|number, kept| {
            let is_gone = kept.is_gone();
            gone.extend(is_gone.then_some(*number));
            !is_gone
        });
        gone.into_iter().try_for_each(|number| {
            remove(&self.path(number))?;
            crash_points::pass(Point::BodiesRemoved);
            Ok(())
        })
    }

    /// What is left of the emptiest file.
    fn take_sparse(&self) -> Option<Vec<Weak<Body>>> {
        let mut files = locked(&self.files);
        let sparse = files.values_mut().filter(|kept| kept.is_sparse() && !kept.bodies.is_empty());
        let emptiest = sparse.min_by_key(|kept| kept.live)?;
        Some(std::mem::take(&mut emptiest.bodies))
    }

    /// Copies a body to the end, and lets it lie there from then on.
    fn move_body(self: &Arc<Shelf>, body: &Arc<Body>) -> Result<(), StorageError> {
        let bytes = self.read_file(body)?;
        let mut open = locked(&self.open);
        let to = self.write(&mut open, &bytes)?;
        self.flush_open(&mut open)?;
        crash_points::pass(Point::BodyCopied);
        let mut files = locked(&self.files);
        let from = Place::of(body.place.swap(to.reference(), Ordering::AcqRel));
        let size = BODY_HEADER_BYTES + u64::from(body.length);
        let kept = files.get_mut(&from.file).expect("a file stays as long as its bodies");
        kept.live -= size;
        let kept = files.get_mut(&to.file).expect("the open file is among them");
        kept.live += size;
        kept.bodies.push(Arc::downgrade(body));
        crash_points::pass(Point::BodyMoved);
        Ok(())
    }
}
