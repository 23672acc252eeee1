//! Where batches lie whose bytes the broker does not hold: with the driver, on a disk, say.

use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

/// A batch that lies with the driver. The broker asks for its bytes when it needs them, and lets go
/// of the home when the batch is gone: so dropping it is what says that its place is free.
pub trait Home: fmt::Debug + Send + Sync {
    /// The batch, byte for byte as it was handed over. What the broker decides may depend on it,
    /// so a driver that cannot read it any more has to stop rather than give something else.
    fn bytes(&self) -> Bytes;

    /// What a snapshot says in the batch's place, and [`Homes::find`] understands.
    fn reference(&self) -> u64;
}

/// Where a broker's batches can lie: what loading a snapshot asks for those that lay outside of it.
pub trait Homes {
    /// The home of a batch of so many bytes. None if there is no such place.
    fn find(&self, reference: u64, bytes: u32) -> Option<Arc<dyn Home>>;
}

/// No home at all: for drivers that leave everything with the broker.
impl Homes for () {
    fn find(&self, _reference: u64, _bytes: u32) -> Option<Arc<dyn Home>> {
        None
    }
}
