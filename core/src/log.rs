//! A log: records with dense offsets, held as the batches they came in.

use alloc::collections::VecDeque;

use crate::id::Offset;
use crate::record::{Batch, Records};
use crate::time::Time;

/// Records with dense offsets. Those of a queue are released one by one as they are settled; a
/// batch's memory goes when its last record is released.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    end: u64,
    bytes: u64,
    dead: usize,
    segments: VecDeque<Segment>,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) base: u64,
    pub(crate) count: u32,
    pub(crate) at: Time,
    /// How many records are not released.
    live: u32,
    /// None once the last was released.
    records: Option<Records<'static>>,
}

impl Segment {
    fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    pub(crate) fn records(&self) -> Option<&Records<'static>> {
        self.records.as_ref()
    }
}

/// Dead segments between live ones are swept out when there are so many, and more than half.
const SWEEP_MIN: usize = 64;

impl Log {
    /// The offset of the oldest record that is held, or the end.
    pub(crate) fn start(&self) -> Offset {
        Offset(self.segments.front().map_or(self.end, |segment| segment.base))
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// Bytes of the batches that are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn append(&mut self, at: Time, records: Records<'static>) {
        let count = records.count();
        self.bytes += records.as_bytes().len() as u64;
        self.segments.push_back(Segment {
            base: self.end,
            count,
            at,
            live: count,
            records: Some(records),
        });
        self.end += u64::from(count);
    }

    /// Lets an empty log go on from `next`.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        self.end = self.end.max(next.0);
    }

    fn position(&self, offset: Offset) -> Option<usize> {
        let first = self.segments.front()?;
        let index = if offset.0 < first.end() {
            0
        } else {
            self.segments.partition_point(|segment| segment.end() <= offset.0)
        };
        (self.segments.get(index)?.base <= offset.0).then_some(index)
    }

    /// The batch that holds this record, and the record's index in it.
    pub(crate) fn find(&self, offset: Offset) -> Option<(&Segment, u32)> {
        let segment = &self.segments[self.position(offset)?];
        segment.records.as_ref()?;
        Some((segment, (offset.0 - segment.base) as u32))
    }

    /// Gives up one record of a queue's log; it has not been given up before.
    pub(crate) fn release(&mut self, offset: Offset) {
        let index = self.position(offset).expect("a record is released once, while it is held");
        let segment = &mut self.segments[index];
        segment.live = segment.live.checked_sub(1).expect("a record is released once");
        if segment.live > 0 {
            return;
        }
        let records = segment.records.take().expect("a batch with a live record is held");
        self.bytes -= records.as_bytes().len() as u64;
        self.dead += 1;
        while self.segments.front().is_some_and(|segment| segment.live == 0) {
            self.segments.pop_front();
            self.dead -= 1;
        }
        if self.dead > SWEEP_MIN && self.dead * 2 > self.segments.len() {
            self.segments.retain(|segment| segment.live > 0);
            self.dead = 0;
        }
    }

    /// A run of records from `from` on: at most so many records, and, after the first, so many
    /// bytes. Whole batches are handed on as they are.
    pub(crate) fn read(
        &self,
        from: Offset,
        records_max: u32,
        bytes_max: usize,
    ) -> Option<(Offset, Time, Records<'_>)> {
        let from = from.max(self.start());
        let mut index = self.position(from)?;
        let first = &self.segments[index];
        let skip = (from.0 - first.base) as u32;
        let records = first.records.as_ref()?;
        let whole = first.count - skip;
        let last = index + 1 == self.segments.len();
        if skip == 0
            && whole <= records_max
            && records.as_bytes().len() <= bytes_max
            && (last || whole >= records_max / 2)
        {
            return Some((from, first.at, records.clone()));
        }
        let mut batch = Batch::new();
        let mut skip = skip;
        'run: while let Some(segment) = self.segments.get(index) {
            let Some(records) = segment.records.as_ref() else { break };
            for at in skip..segment.count {
                let record = records.raw(at).expect("the segment has so many records");
                let full = batch.record_bytes() + record.as_bytes().len() > bytes_max;
                if batch.len() as u32 >= records_max || (full && !batch.is_empty()) {
                    break 'run;
                }
                batch.push_raw(record.as_bytes());
            }
            skip = 0;
            index += 1;
        }
        batch.finish().map(|records| (from, first.at, records))
    }

    /// The first offset whose batch came at `at` or later; the end if none did.
    pub(crate) fn since(&self, at: Time) -> Offset {
        let index = self.segments.partition_point(|segment| segment.at < at);
        Offset(self.segments.get(index).map_or(self.end, |segment| segment.base))
    }

    /// The batches that are held.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|segment| segment.records.is_some())
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let mut from = 0;
        let mut bytes = 0;
        for segment in &self.segments {
            if segment.base < from {
                return Some("batches overlap");
            }
            if (segment.live == 0) != segment.records.is_none() {
                return Some("a batch is held without a live record, or the reverse");
            }
            from = segment.end();
            bytes += segment.records.as_ref().map_or(0, |r| r.as_bytes().len() as u64);
        }
        if from > self.end {
            return Some("a batch lies beyond the end");
        }
        (bytes != self.bytes).then_some("the bytes are not the sum of the batches'")
    }
}
