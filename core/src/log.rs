//! A log: records with rising offsets, held as the batches they came in.
//!
//! Offsets are dense as they are given out. Later a log may have gaps: compaction takes single
//! records away, retention the oldest batches; and what an aborted transaction wrote is not shown
//! to those who read only what was committed.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::home::Home;
use crate::id::Offset;
use crate::planted::{Planted, planted};
use crate::policy::TopicPolicy;
use crate::record::{RawRecord, Records};
use crate::request::Isolation;
use crate::set::Set;
use crate::time::Time;

mod chunk;
mod read;
mod segment;

pub(crate) use chunk::Away;
pub(crate) use read::{Ask, Run};
pub(crate) use segment::Segment;

use chunk::Chunk;

/// Records with rising offsets. Those of a queue are released one by one as they are settled; a
/// batch's memory goes when its last record is released.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    floor: u64,
    end: u64,
    bytes: u64,
    /// Of these, those that lie elsewhere.
    bytes_away: u64,
    /// Before this no batch lies here.
    put_away: u64,
    dead: usize,
    segments: VecDeque<Segment>,
    /// Where open transactions began to write, and their producers.
    open: Set<(u64, u64)>,
    /// What aborted transactions wrote, from and to, in order; neighbours are one.
    aborted: Vec<(u64, u64)>,
}

/// Dead segments between live ones are swept out when there are so many, and more than half.
const SWEEP_MIN: usize = 64;
/// No log comes so far: that would be a record each nanosecond for 146 years. A fact that says so is
/// damaged, and would leave no room to count on.
pub(crate) const OFFSET_MAX: Offset = Offset(1 << 62);

impl Log {
    /// The oldest offset that can be read, or the end. Gaps may follow it.
    pub(crate) fn start(&self) -> Offset {
        Offset(self.floor)
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// The last stable offset: before it every transaction has ended.
    pub(crate) fn stable_end(&self) -> Offset {
        Offset(self.open.iter().next().map_or(self.end, |(first, _)| first))
    }

    /// Where a reader finds the end.
    pub(crate) fn end_for(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::Uncommitted => self.end(),
            Isolation::Committed => self.stable_end(),
        }
    }

    /// Bytes of the batches that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn append(&mut self, at: Time, records: Records<'static>) {
        let count = records.count();
        self.push(Segment {
            base: self.end,
            count,
            at,
            live: count,
            latest: Time::ZERO,
            kept: None,
            chunk: Some(Chunk::Here(records)),
        });
    }

    fn push(&mut self, mut segment: Segment) {
        let before = self.segments.back().map_or(Time::ZERO, |last| last.latest);
        segment.latest = before.max(segment.newest());
        self.bytes += segment.bytes();
        self.bytes_away += segment.bytes_away();
        self.end = segment.end();
        self.segments.push_back(segment);
    }

    /// Lets a queue's log go on from `next`; if it is empty, it starts there.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        self.leave_gap(next);
        if self.segments.is_empty() {
            self.floor = self.end;
        }
    }

    /// Lets the log go on from `next`; what is between is a gap.
    pub(crate) fn leave_gap(&mut self, next: Offset) {
        self.end = self.end.max(next.0);
    }

    /// The first batch that ends after `offset`.
    fn reaching(&self, offset: u64) -> usize {
        match self.segments.front() {
            Some(first) if offset < first.end() => 0,
            _ => self.segments.partition_point(|segment| segment.end() <= offset),
        }
    }

    fn position(&self, offset: Offset) -> Option<usize> {
        let index = self.reaching(offset.0);
        (self.segments.get(index)?.base <= offset.0).then_some(index)
    }

    /// The batch that holds this record, and the record's index in it.
    pub(crate) fn find(&self, offset: Offset) -> Option<(&Segment, u32)> {
        let segment = &self.segments[self.position(offset)?];
        segment.chunk.as_ref()?;
        Some((segment, segment.index(offset)?))
    }

    /// The record at this offset, as it is encoded, if it is left.
    pub(crate) fn raw(&self, offset: Offset) -> Option<RawRecord<'_>> {
        let (segment, index) = self.find(offset)?;
        segment.raw(index)
    }

    /// The batch that holds this record, the record's index in it, and how many records from there
    /// on are certain to be in a row.
    pub(crate) fn in_a_row(&self, offset: Offset) -> Option<(&Segment, u32, u64)> {
        let (segment, index) = self.find(offset)?;
        let count = if segment.kept().is_some() { 1 } else { segment.end() - offset.0 };
        Some((segment, index, count))
    }

    /// Gives up records of one batch of a queue's log; they have not been given up before.
    fn release(&mut self, index: usize, count: u32) {
        let segment = &mut self.segments[index];
        segment.live = segment.live.checked_sub(count).expect("a record is released once");
        if segment.live > 0 {
            return;
        }
        self.bytes -= segment.bytes();
        self.bytes_away -= segment.bytes_away();
        segment.chunk = None;
        self.dead += 1;
        self.sweep();
        self.floor = self.segments.front().map_or(self.end, |segment| segment.base);
    }

    fn sweep(&mut self) {
        while self.segments.front().is_some_and(|segment| segment.live == 0) {
            self.segments.pop_front();
            self.dead -= 1;
        }
        if self.dead > SWEEP_MIN && self.dead * 2 > self.segments.len() {
            self.segments.retain(|segment| segment.live > 0);
            self.dead = 0;
        }
    }

    /// Gives up what is held of a run of records of a queue's log; none that is held was given up.
    pub(crate) fn release_run(&mut self, start: Offset, end: Offset) {
        let mut from = start.0;
        while from < end.0 {
            let next = self.reaching(from);
            let Some(segment) = self.segments.get_mut(next) else { return };
            from = from.max(segment.base);
            let to = segment.end().min(end.0);
            if from >= to {
                return;
            }
            self.release(next, (to - from) as u32);
            from = to;
        }
    }

    /// A producer's transaction begins to write at this offset, or has begun before: until it
    /// [ends](Log::close) nothing from there on is stable.
    pub(crate) fn open_at(&mut self, producer: u64, first: Offset) {
        if !self.open.iter().any(|(_, by)| by == producer) {
            self.open.insert((first.0, producer));
        }
    }

    /// The producer's transaction ended.
    pub(crate) fn close(&mut self, producer: u64) {
        let open = self.open.iter().find(|(_, by)| *by == producer);
        open.map(|open| self.open.remove(open));
    }

    /// What lies here, whole batches, was written by a transaction that was aborted.
    pub(crate) fn hide(&mut self, base: Offset, count: u64) {
        let (mut from, mut to) = (base.0, base.0 + count);
        let first = self.aborted.partition_point(|(_, end)| *end < from);
        let after = self.aborted.partition_point(|(begin, _)| *begin <= to);
        if first < after {
            from = from.min(self.aborted[first].0);
            to = to.max(self.aborted[after - 1].1);
        }
        self.aborted.splice(first..after, [(from, to)]);
    }

    /// What aborted transactions wrote: the first offset of each run, and how many follow.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = (Offset, u64)> + '_ {
        self.aborted.iter().map(|(from, to)| (Offset(*from), to - from))
    }

    /// Where the aborted run that holds this offset ends.
    fn past_aborted(&self, offset: u64) -> Option<u64> {
        let run = self.aborted.partition_point(|(_, to)| *to <= offset);
        self.aborted.get(run).filter(|(from, _)| *from <= offset).map(|(_, to)| *to)
    }

    /// Where who has read up to `from` goes on: behind what it is not shown.
    pub(crate) fn resume(&self, from: Offset, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::Committed => self.past_aborted(from.0).map_or(from, Offset),
            Isolation::Uncommitted => from,
        }
    }

    /// Whether an aborted transaction wrote this.
    pub(crate) fn is_hidden(&self, offset: Offset) -> bool {
        self.past_aborted(offset.0).is_some()
    }

    /// Takes away all before `start`; a batch goes when all of it is before.
    pub(crate) fn trim(&mut self, start: Offset) {
        self.floor = self.floor.max(start.0);
        while let Some(first) = self.segments.front() {
            if first.end() > self.floor && first.live > 0 {
                break;
            }
            self.dead -= usize::from(first.live == 0);
            self.bytes -= first.bytes();
            self.bytes_away -= first.bytes_away();
            self.segments.pop_front();
        }
        self.aborted.retain(|(_, to)| *to > self.floor);
        self.mend_latest();
    }

    /// The newest timestamp so far no longer counts what went from the front.
    fn mend_latest(&mut self) {
        let mut latest = Time::ZERO;
        for segment in self.segments.iter_mut() {
            latest = latest.max(segment.newest());
            if latest >= segment.latest {
                return;
            }
            segment.latest = latest;
        }
    }

    /// Takes single records away: their offsets, rising.
    pub(crate) fn remove(&mut self, offsets: &[Offset]) {
        let mut rest = offsets;
        while let Some(first) = rest.first() {
            let index = self.position(*first).expect("a record that is removed is held");
            let segment = &mut self.segments[index];
            let (here, after) = rest.split_at(rest.partition_point(|o| o.0 < segment.end()));
            self.bytes -= segment.bytes();
            self.bytes_away -= segment.bytes_away();
            segment.remove(here);
            self.bytes += segment.bytes();
            self.bytes_away += segment.bytes_away();
            self.dead += usize::from(segment.live == 0);
            // What was cut down lies here again.
            self.put_away = self.put_away.min(segment.base);
            rest = after;
        }
        self.sweep();
    }

    /// Bytes of batches that lie here.
    pub(crate) fn bytes_here(&self) -> u64 {
        self.bytes - self.bytes_away
    }

    /// Lets batches go to homes, the oldest first, until so many bytes are gone from here.
    pub(crate) fn put_away(
        &mut self,
        bytes: u64,
        mut home: impl FnMut(&Records<'static>) -> Arc<dyn Home>,
    ) {
        let stop = self.bytes_here().saturating_sub(bytes);
        let mut index = self.reaching(self.put_away);
        while self.bytes_here() > stop
            && let Some(segment) = self.segments.get_mut(index)
        {
            self.bytes_away -= segment.bytes_away();
            segment.put_away(&mut home);
            self.bytes_away += segment.bytes_away();
            self.put_away = segment.end();
            index += 1;
        }
    }

    /// Up to where the oldest batches may go, at most so many of them; None if none may.
    pub(crate) fn outlived(
        &self,
        policy: &TopicPolicy,
        now: Time,
        batches_max: usize,
    ) -> Option<Offset> {
        let stable = self.stable_end().0;
        let mut left = self.bytes;
        let mut until = None;
        for segment in self.segments.iter().take(batches_max) {
            let size = segment.bytes();
            let old = policy.retention.is_some_and(|span| segment.latest + span <= now);
            let many = policy.retention_bytes.is_some_and(|bytes| left - size >= bytes);
            let is_open = segment.end() > stable && !planted(Planted::RetentionPassesStable);
            if is_open || !(old || many) {
                break;
            }
            left -= size;
            until = Some(Offset(segment.end()));
        }
        until
    }

    /// When its oldest batch may go; None while none may. Of bytes a sixteenth more is held, so
    /// that not every append takes something away.
    pub(crate) fn oldest_due(&self, policy: &TopicPolicy, now: Time) -> Option<Time> {
        let first = self.segments.front().filter(|first| first.end() <= self.stable_end().0)?;
        let left = self.bytes - first.bytes();
        let many = policy.retention_bytes.is_some_and(|bytes| left >= bytes + bytes / 16);
        if many {
            return Some(now);
        }
        policy.retention.map(|span| first.latest + span)
    }

    /// A batch with gaps, as a snapshot keeps it: it begins where the log ends, or later.
    pub(crate) fn append_sparse(
        &mut self,
        (base, count, at): (Offset, u32, Time),
        kept: Vec<(u32, u32)>,
        records: Records<'static>,
    ) -> Result<(), &'static str> {
        if kept.is_empty() {
            return Err("a batch without a record");
        }
        check_sparse((base, count), &kept, records.count(), self.end)?;
        self.push(Segment {
            base: base.0,
            count,
            at,
            live: kept.len() as u32,
            latest: Time::ZERO,
            kept: Some(Box::new(kept)),
            chunk: Some(Chunk::Here(records)),
        });
        Ok(())
    }

    /// A batch that lies elsewhere, as a snapshot keeps it: it begins where the log ends, or later.
    pub(crate) fn append_away(
        &mut self,
        (base, count, at): (Offset, u32, Time),
        kept: Vec<(u32, u32)>,
        away: Away,
    ) -> Result<(), &'static str> {
        check_sparse((base, count), &kept, away.count, self.end)?;
        self.push(Segment {
            base: base.0,
            count,
            at,
            live: if kept.is_empty() { count } else { kept.len() as u32 },
            latest: Time::ZERO,
            kept: (!kept.is_empty()).then(|| Box::new(kept)),
            chunk: Some(Chunk::Away(away)),
        });
        Ok(())
    }

    /// The batches that are held.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.chunk.is_some())
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let mut from = 0;
        let mut bytes = 0;
        for segment in &self.segments {
            if segment.base < from {
                return Some("batches overlap");
            }
            if (segment.live == 0) != segment.chunk.is_none() {
                return Some("a batch is held without a live record, or the reverse");
            }
            if segment
                .kept()
                .is_some_and(|kept| !kept.is_sorted() || kept.len() != segment.live as usize)
            {
                return Some("the records that are left of a batch are miscounted");
            }
            from = segment.end();
            bytes += segment.bytes();
        }
        if from > self.end || self.floor > self.end {
            return Some("a batch, or the start, lies beyond the end");
        }
        if self.segments.front().is_some_and(|first| first.end() <= self.floor) {
            return Some("a batch lies before the start");
        }
        if !self.aborted.windows(2).all(|two| two[0].1 < two[1].0) {
            return Some("aborted runs are out of order");
        }
        (bytes != self.bytes).then_some("the bytes are not the sum of the batches'")
    }
}

/// Whether a batch of a snapshot fits in: where what is left of it lies, and after what.
fn check_sparse(
    (base, count): (Offset, u32),
    kept: &[(u32, u32)],
    records: u32,
    end: u64,
) -> Result<(), &'static str> {
    let rises = kept.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1);
    let fits = match kept.last() {
        Some(last) => last.0 < count && last.1 < records,
        None => count == records,
    };
    if !rises || !fits || base.0 < end || base > OFFSET_MAX {
        return Err("the records of a batch are not in order");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
