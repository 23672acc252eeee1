//! A batch in a log, and which of its records are left.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::chunk::{Away, Chunk};
use crate::home::Home;
use crate::id::Offset;
use crate::record::{Batch, RawRecord, Records};
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
    pub(super) chunk: Option<Chunk>,
}

impl Segment {
    pub(crate) fn end(&self) -> u64 {
        self.base + u64::from(self.count)
    }

    /// Its records, also those that are gone from the log; fetched, if they are not here.
    pub(crate) fn records(&self) -> Option<Cow<'_, Records<'static>>> {
        self.chunk.as_ref().map(Chunk::records)
    }

    /// A record of it.
    pub(crate) fn raw(&self, index: u32) -> Option<RawRecord<'_>> {
        match self.chunk.as_ref()? {
            Chunk::Here(records) => records.raw(index),
            Chunk::Away(away) => Some(away.fetch().raw(index)?.into_owned()),
        }
    }

    /// What is known of it, if it does not lie here.
    pub(crate) fn away(&self) -> Option<&Away> {
        match &self.chunk {
            Some(Chunk::Away(away)) => Some(away),
            Some(Chunk::Here(_)) | None => None,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.chunk.as_ref().map_or(0, |chunk| chunk.bytes() as u64)
    }

    /// Those of its bytes that the broker does not hold.
    pub(super) fn bytes_away(&self) -> u64 {
        self.away().map_or(0, |away| u64::from(away.bytes))
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
        let readable = if self.chunk.is_some() { self.readable() } else { 0 };
        (0..readable).map(|nth| self.nth(nth))
    }

    /// Whether every record of the batch is left, or all that went were cut out of it.
    pub(super) fn is_whole(&self) -> bool {
        self.chunk.as_ref().is_some_and(|chunk| self.readable() == chunk.count())
    }

    /// The newest timestamp of its records; where one has none, it is when it was appended.
    pub(super) fn newest(&self) -> Time {
        match &self.chunk {
            None => Time::ZERO,
            Some(Chunk::Away(away)) => away.newest,
            Some(Chunk::Here(records)) => self.newest_of(records),
        }
    }

    fn newest_of(&self, records: &Records<'_>) -> Time {
        if !records.have_timestamps() {
            return self.at;
        }
        let each = self.left().filter_map(|(_, index)| records.record(index));
        each.map(|record| record.timestamp.unwrap_or(self.at)).max().unwrap_or(self.at)
    }

    /// Its first record from `start` on whose timestamp is `at` or later.
    pub(super) fn since(&self, at: Time, start: Offset) -> Option<Offset> {
        let chunk = self.chunk.as_ref()?;
        let mut left = self.left().filter(|(offset, _)| *offset >= start);
        if !chunk.have_timestamps() {
            return left.next().map(|(first, _)| first).filter(|_| self.at >= at);
        }
        let records = chunk.records();
        let stamped = |index| records.record(index).and_then(|record| record.timestamp);
        let found = left.find(|(_, index)| stamped(*index).unwrap_or(self.at) >= at);
        found.map(|(offset, _)| offset)
    }

    /// Finds the newest timestamp anew where it is remembered.
    fn find_newest(&mut self) {
        let Some(Chunk::Away(away)) = &self.chunk else { return };
        if Records::flags_have_timestamps(away.flags) {
            let newest = self.newest_of(&away.fetch());
            if let Some(Chunk::Away(away)) = &mut self.chunk {
                away.newest = newest;
            }
        }
    }

    /// Lets its bytes go to a home, if they are here.
    pub(super) fn put_away(&mut self, home: impl FnOnce(&Records<'static>) -> Arc<dyn Home>) {
        let Some(Chunk::Here(records)) = &self.chunk else { return };
        let away = Away {
            home: home(records),
            bytes: records.as_bytes().len() as u32,
            count: records.count(),
            flags: records.flags(),
            newest: self.newest(),
        };
        self.chunk = Some(Chunk::Away(away));
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
        let chunk = self.chunk.take();
        if kept.is_empty() {
            return;
        }
        let chunk = chunk.expect("a batch with a record left is held");
        if kept.len() * 2 > chunk.count() as usize {
            self.chunk = Some(chunk);
            self.kept = Some(Box::new(kept));
            return self.find_newest();
        }
        let records = chunk.records();
        let mut batch = Batch::new();
        for (index, (_, at)) in (0..).zip(&mut kept) {
            let record = records.raw(*at).expect("what is kept is there");
            batch.push_raw(record.as_bytes());
            *at = index;
        }
        self.chunk = Some(Chunk::Here(batch.finish().expect("a record is left")));
        self.kept = Some(Box::new(kept));
    }
}
