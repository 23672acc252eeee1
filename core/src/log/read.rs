//! Reading a log: runs of records, one batch's or several batches' together.

use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::Log;
use crate::id::Offset;
use crate::record::{Batch, Record, Records};
use crate::request::Isolation;
use crate::time::Time;

/// What is asked of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) from: Offset,
    pub(crate) records_max: u32,
    /// Of records, after the first.
    pub(crate) bytes_max: usize,
    /// A batch with fewer is not handed on alone, if more is there.
    pub(crate) bytes_min: usize,
    pub(crate) isolation: Isolation,
}

/// Records that were read: those of `offsets`, or, where that is empty, dense from `base` on.
#[derive(Clone, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) base: Offset,
    pub(crate) offsets: Vec<Offset>,
    /// When the first was appended.
    pub(crate) appended_at: Time,
    pub(crate) records: Records<'a>,
    /// Where to read on.
    pub(crate) next: Offset,
}

impl Log {
    /// A run of records from `from` on: at most so many records, and, after the first, so many
    /// bytes. Whole batches are handed on as they are.
    pub(crate) fn read(&self, ask: Ask) -> Option<Run<'_>> {
        let from = ask.from.0.max(self.floor);
        let (index, skip) = self.first(from, ask.isolation)?;
        let first = &self.segments[index];
        let size = first.bytes() as usize;
        let last = index + 1 == self.segments.len();
        let whole = first.readable();
        if skip == 0
            && whole <= ask.records_max
            && (last || whole >= ask.records_max / 2 && size >= ask.bytes_min)
            && size <= ask.bytes_max
            && first.is_whole()
        {
            let offsets = match first.kept() {
                None => Vec::new(),
                Some(_) => first.left().map(|(offset, _)| offset).collect(),
            };
            return Some(Run {
                base: first.nth(0).0,
                offsets,
                appended_at: first.at,
                records: first.records()?.into_owned(),
                next: self.resume(Offset(first.end()), ask.isolation),
            });
        }
        self.gather(ask, index, skip)
    }

    /// The first batch with a record that may be read, and how many of its records come before.
    fn first(&self, from: u64, isolation: Isolation) -> Option<(usize, u32)> {
        let stop = self.end_for(isolation).0;
        let mut index = self.reaching(from);
        loop {
            let segment = self.segments.get(index)?;
            if segment.base >= stop {
                return None;
            }
            let hidden = match isolation {
                Isolation::Committed => self.past_aborted(segment.base),
                Isolation::Uncommitted => None,
            };
            let skip = segment.before(from);
            match hidden {
                Some(past) => index = self.reaching(past),
                None if segment.chunk.is_some() && skip < segment.readable() => {
                    return Some((index, skip));
                }
                None => index += 1,
            }
        }
    }

    /// The first batch of which records are left from `from` on: when it came, and how many.
    pub(crate) fn next_batch(&self, from: Offset) -> Option<(Time, u32)> {
        let (index, skip) = self.first(from.0.max(self.floor), Isolation::Uncommitted)?;
        let segment = &self.segments[index];
        Some((segment.at, segment.readable() - skip))
    }

    /// Copies records of several batches, or a part of one, together.
    fn gather(&self, ask: Ask, mut index: usize, mut skip: u32) -> Option<Run<'_>> {
        let mut batch = Batch::new();
        let (base, _) = self.segments[index].nth(skip);
        let appended_at = self.segments[index].at;
        let mut offsets = Vec::new();
        let mut next = base;
        'run: loop {
            let segment = &self.segments[index];
            let records = segment.records().expect("first gives batches that are held");
            for nth in skip..segment.readable() {
                let (offset, at) = segment.nth(nth);
                let record = records.raw(at).expect("the segment has so many records");
                let full = batch.record_bytes() + record.as_bytes().len() > ask.bytes_max;
                if batch.len() as u32 >= ask.records_max || (full && !batch.is_empty()) {
                    break 'run;
                }
                if offset != next && offsets.is_empty() {
                    offsets.extend((0..batch.len() as u64).map(|n| base.plus(n)));
                }
                if !offsets.is_empty() {
                    offsets.push(offset);
                }
                next = offset.plus(1);
                batch.push_raw(record.as_bytes());
            }
            let Some(more) = self.first(segment.end(), ask.isolation) else {
                next = Offset(segment.end());
                break;
            };
            (index, skip) = more;
        }
        let next = self.resume(next, ask.isolation);
        batch.finish().map(|records| Run { base, offsets, appended_at, records, next })
    }

    /// The first record whose timestamp is `at` or later; the end if there is none.
    pub(crate) fn since(&self, at: Time) -> Offset {
        let index = self.segments.partition_point(|segment| segment.latest < at);
        // More than one batch is looked through only where the newest of one was compacted away.
        let found = self.segments.range(index..).find_map(|s| s.since(at, self.start()));
        found.unwrap_or(self.end())
    }

    /// Shows every record that is left from `from` on, in order, for as long as `each` wants more.
    pub(crate) fn each_record(
        &self,
        from: Offset,
        mut each: impl FnMut(Offset, Record<'_>) -> ControlFlow<()>,
    ) {
        for segment in self.segments.range(self.reaching(from.0)..) {
            let Some(records) = segment.records() else { continue };
            for (offset, index) in segment.left().filter(|(offset, _)| *offset >= from) {
                let record = records.record(index).expect("what is left is in the batch");
                if each(offset, record).is_break() {
                    return;
                }
            }
        }
    }

    /// The offsets of the records that are left.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = Offset> + '_ {
        self.segments.iter().flat_map(|segment| segment.left().map(|(offset, _)| offset))
    }
}
