//! What was leased just now, and is still to be told: runs of messages, and where their records lie.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::id::{ConsumerId, Offset, QueueId};
use crate::record::{RawRecord, Records};
use crate::time::Time;
use crate::work::LeasedRun;

/// Messages in a row that were leased together.
#[derive(Clone, Copy)]
pub(super) struct Leased {
    pub(super) to: ConsumerId,
    pub(super) queue: QueueId,
    pub(super) run: LeasedRun,
    pub(super) until: Time,
}

impl Leased {
    pub(super) fn offsets(&self) -> impl Iterator<Item = Offset> + use<> {
        let start = self.run.start;
        (0..self.run.count).map(move |n| start.plus(n))
    }

    /// Adds messages to those before them, if they are alike and go on where those end.
    pub(super) fn join(all: &mut Vec<Leased>, next: Leased) {
        if let Some(last) = all.last_mut()
            && (last.to, last.queue, last.until) == (next.to, next.queue, next.until)
            && last.run.goes_on_with(&next.run)
        {
            last.run.count += next.run.count;
        } else {
            all.push(next);
        }
    }

    /// Leaves out the first so many of them.
    pub(super) fn skip(all: &mut [Leased], mut count: u64) -> &mut [Leased] {
        let mut rest = all;
        while let [first, ..] = rest {
            let run = &mut first.run;
            let skipped = count.min(run.count);
            (run.start, run.count) = (run.start.plus(skipped), run.count - skipped);
            count -= skipped;
            if run.count > 0 {
                break;
            }
            rest = &mut rest[1..];
        }
        rest
    }
}

/// Messages in a row of one batch.
pub(super) struct Piece<'b> {
    pub(super) queue: QueueId,
    pub(super) first: Offset,
    pub(super) count: u64,
    pub(super) records: Cow<'b, Records<'static>>,
    /// The first one's place in the batch.
    pub(super) index: u32,
    /// When they came.
    pub(super) at: Time,
}

impl<'b> Piece<'b> {
    /// Does something with each record, at most so many, until that is enough.
    pub(super) fn each(
        &self,
        max: u64,
        mut each: impl FnMut(RawRecord<'b>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let count = self.count.min(max) as u32;
        match &self.records {
            Cow::Borrowed(records) => records.raws(self.index, count).try_for_each(each),
            Cow::Owned(records) => {
                records.raws(self.index, count).try_for_each(|record| each(record.into_owned()))
            }
        }
    }

    pub(super) fn has(&self, queue: QueueId, offset: Offset) -> bool {
        self.queue == queue && offset >= self.first && offset < self.first.plus(self.count)
    }

    /// The piece from one of its messages on.
    pub(super) fn from(&'b self, offset: Offset) -> Piece<'b> {
        let passed = offset.0 - self.first.0;
        Piece {
            queue: self.queue,
            first: offset,
            count: self.count - passed,
            records: Cow::Borrowed(&self.records),
            index: self.index + passed as u32,
            at: self.at,
        }
    }

    /// The piece, without what it was lent.
    pub(super) fn into_owned(self) -> Piece<'static> {
        let Piece { queue, first, count, records, index, at } = self;
        Piece { queue, first, count, records: Cow::Owned(records.into_owned()), index, at }
    }
}
