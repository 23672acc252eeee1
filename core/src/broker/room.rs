//! Whether a queue takes what comes: its bounds, where it refuses what is beyond them.

use alloc::format;

use super::{Broker, Refused, counted};
use crate::planted::{Planted, planted};
use crate::policy::{Overflow, QueueKind};
use crate::queue::Queue;
use crate::record::Records;
use crate::refusal::Code;

/// How much comes to a queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Arriving {
    pub(super) count: u64,
    pub(super) bytes: u64,
}

impl Arriving {
    /// With these records more.
    pub(super) fn and(self, records: &Records<'_>) -> Arriving {
        Arriving {
            count: self.count + u64::from(records.count()),
            bytes: self.bytes + records.record_bytes(),
        }
    }
}

impl Broker {
    /// Whether records may lie in a queue at all.
    pub(super) fn fits(&self, queue: &Queue, records: &Records<'_>) -> Result<(), Refused> {
        if queue.policy.kind == QueueKind::Fifo && records.iter().any(|r| r.key.is_none()) {
            return Err(Code::BadArgument.because(format!(
                "queue {:?} is FIFO: each record needs a key, which is its message group",
                queue.name
            )));
        }
        let bytes_max = queue.policy.bytes_max.unwrap_or(u64::MAX);
        if records.record_bytes() <= bytes_max {
            return Ok(());
        }
        let largest = records.record_bytes_max();
        if largest as u64 > bytes_max {
            return Err(Code::TooLarge.because(format!(
                "a record of {largest} bytes for queue {:?}, which may hold {bytes_max}",
                queue.name
            )));
        }
        Ok(())
    }

    /// Whether a queue has room for so much more. One that drops what is beyond its bounds has.
    pub(super) fn room_in(&self, queue: &Queue, arriving: Arriving) -> Result<(), Refused> {
        if queue.policy.overflow != Overflow::Refuse {
            return Ok(());
        }
        let Arriving { count, bytes } = arriving;
        let (name, max) = (&queue.name, self.messages_max(queue));
        if count > max {
            return Err(Code::TooLarge.because(format!(
                "a batch of {} for queue {name:?}, which may hold {max}: publish smaller batches",
                counted(count, "message")
            )));
        }
        let bytes_max = queue.policy.bytes_max.unwrap_or(u64::MAX);
        if bytes > bytes_max {
            return Err(Code::TooLarge.because(format!(
                "a batch of {bytes} bytes for queue {name:?}, which may hold {bytes_max}: publish \
                 smaller batches"
            )));
        }
        let holds = queue.work.unsettled();
        if holds + count > max && !planted(Planted::QueueFullIsIgnored) {
            return Err(Code::QueueFull.because(format!(
                "queue {name:?} holds {} and may hold {max}; nothing of this batch of {count} was \
                 stored anywhere: try again when some are settled",
                counted(holds, "message"),
            )));
        }
        if queue.policy.bytes_max.is_some() && queue.bytes + bytes > bytes_max {
            return Err(Code::QueueFull.because(format!(
                "queue {name:?} holds {} bytes and may hold {bytes_max}; nothing of this batch of \
                 {bytes} bytes was stored anywhere: try again when some are settled",
                queue.bytes
            )));
        }
        Ok(())
    }
}
