//! A batch in a log, and which of its records are left.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::id::Offset;
use crate::record::{Batch, Records};
use crate::time::Time;

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    /// How many offsets it spans.
    pub(crate) count: u32,
    pub(crate) at: Time,
    /// How many records are left.
    pub(super) live: u32,
    /// The newest timestamp of this batch and of those before it.
    pub(super) latest: Time,
    /// Where each record that is left lies, once some went from between others: as the offset's
    /// distance from the base and the index in the batch.
    #[expect(
        clippy::box_collection,
        reason = "most batches have all their records, and no such list"
    )]
    pub(super) kept: Option<Box<Vec<(u32, u32)>>>,
    /// None once the last was released.
    pub(super) records: Option<Records<'static>>,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    pub(crate) fn records(&self) -> Option<&Records<'static>> {
        self.records.as_ref()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.records.as_ref().map_or(0, |records| records.as_bytes().len() as u64)
    }

    /// Where each record that is left lies, unless none went.
    pub(crate) fn kept(&self) -> Option<&[(u32, u32)]> {
        self.kept.as_deref().map(Vec::as_slice)
    }

    /// The index in the batch of the record at this offset.
    pub(super) fn index(&self, offset: Offset) -> Option<u32> {
        let from_base = (offset.0 - self.base) as u32;
        match self.kept() {
            None => Some(from_base),
            Some(kept) => {
                let at = kept.binary_search_by_key(&from_base, |(at, _)| *at).ok()?;
                Some(kept[at].1)
            }
        }
    }

    /// How many of the records that are left come before this offset.
    pub(super) fn before(&self, offset: u64) -> u32 {
        let from_base = offset.saturating_sub(self.base).min(u64::from(self.count)) as u32;
        match self.kept() {
            None => from_base,
            Some(kept) => kept.partition_point(|(at, _)| *at < from_base) as u32,
        }
    }

    /// How many records can be read.
    pub(super) fn readable(&self) -> u32 {
        self.kept().map_or(self.count, |kept| kept.len() as u32)
    }

    /// Offset and index of the record that is the `nth` of those left.
    pub(super) fn nth(&self, nth: u32) -> (Offset, u32) {
        let (at, index) = self.kept().map_or((nth, nth), |kept| kept[nth as usize]);
        (Offset(self.base + u64::from(at)), index)
    }

    /// The offsets of the records that are left, with their indices in the batch.
    pub(crate) fn left(&self) -> impl Iterator<Item = (Offset, u32)> + '_ {
        let readable = if self.records.is_some() { self.readable() } else { 0 };
        (0..readable).map(|nth| self.nth(nth))
    }

    /// Whether every record of the batch is left, or all that went were cut out of it.
    pub(super) fn is_whole(&self, records: &Records<'_>) -> bool {
        self.readable() == records.count()
    }

    /// The newest timestamp of its records; where one has none, it is when it was appended.
    pub(super) fn newest(&self) -> Time {
        let Some(records) = &self.records else { return Time::ZERO };
        if !records.have_timestamps() {
            return self.at;
        }
        let each = self.left().filter_map(|(_, index)| records.record(index));
        each.map(|record| record.timestamp.unwrap_or(self.at)).max().unwrap_or(self.at)
    }

    /// Its first record from `start` on whose timestamp is `at` or later.
    pub(super) fn since(&self, at: Time, start: Offset) -> Option<Offset> {
        let records = self.records.as_ref()?;
        let mut left = self.left().filter(|(offset, _)| *offset >= start);
        if !records.have_timestamps() {
            return left.next().map(|(first, _)| first).filter(|_| self.at >= at);
        }
        let stamped = |index| records.record(index).and_then(|record| record.timestamp);
        let found = left.find(|(_, index)| stamped(*index).unwrap_or(self.at) >= at);
        found.map(|(offset, _)| offset)
    }

    /// Takes records out of the middle. The batch is cut down to what is left when that is half of
    /// it, so that its memory is given back.
    pub(super) fn remove(&mut self, gone: &[Offset]) {
        let mut kept = match self.kept.take() {
            Some(kept) => *kept,
            None => (0..self.count).map(|at| (at, at)).collect(),
        };
        kept.retain(|(at, _)| gone.binary_search(&Offset(self.base + u64::from(*at))).is_err());
        self.live = kept.len() as u32;
        let records = self.records.take();
        if kept.is_empty() {
            return;
        }
        let mut records = records.expect("a batch with a record left is held");
        if kept.len() * 2 <= records.count() as usize {
            let mut batch = Batch::new();
            for (index, (_, at)) in (0..).zip(&mut kept) {
                let record = records.raw(*at).expect("what is kept is there");
                batch.push_raw(record.as_bytes());
                *at = index;
            }
            records = batch.finish().expect("a record is left");
        }
        self.records = Some(records);
        self.kept = Some(Box::new(kept));
    }
}
