//! Compaction of a partition: which record is the newest of its key, and which may go.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::ControlFlow;

use crate::id::Offset;
use crate::limits::{COMPACTED_PER_APPLY_MAX, COMPACTION_SCAN_MAX};
use crate::log::Log;
use crate::planted::{Planted, planted};
use crate::sort::sort_by_key;
use crate::time::{Span, Time};

/// What is known of a compacted partition. Before `clean` each key is there once, and every record
/// has a key and was committed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleaner {
    clean: u64,
    newest: BTreeMap<Box<[u8]>, u64>,
    /// Where tombstones lie, and when they were found.
    tombstones: VecDeque<(Offset, Time)>,
}

/// What one step of compaction does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Everything before this is clean then.
    pub(crate) clean: Offset,
    /// What goes, in order.
    pub(crate) offsets: Vec<Offset>,
}

impl Cleaner {
    /// Of a log that was not compacted before.
    pub(crate) fn from_start(log: &Log) -> Cleaner {
        Cleaner { clean: log.start().0, ..Cleaner::default() }
    }

    pub(crate) fn clean(&self) -> Offset {
        Offset(self.clean)
    }

    pub(crate) fn tombstones(&self) -> impl Iterator<Item = (Offset, Time)> + '_ {
        self.tombstones.iter().copied()
    }

    /// Whether at least half of the log is not clean: Kafka's `min.cleanable.dirty.ratio` of 0.5.
    pub(crate) fn is_dirty(&self, log: &Log) -> bool {
        let dirty = log.stable_end().0.saturating_sub(self.clean.max(log.start().0));
        dirty > 0 && dirty >= self.newest.len() as u64
    }

    /// When the oldest tombstone may go.
    pub(crate) fn tombstone_due(&self, retention: Span) -> Option<Time> {
        self.tombstones.front().map(|(_, found)| *found + retention)
    }

    /// The next step: of what is not clean a bounded part, if there is `dirt` to look through, and
    /// the tombstones whose time is up.
    pub(crate) fn step(&self, log: &Log, dirt: bool, now: Time, retention: Span) -> Step {
        let mut offsets = Vec::new();
        let mut seen: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
        let stable = log.stable_end();
        let mut clean = Offset(self.clean);
        let mut looked = 0;
        log.each_record(clean, |offset, record| {
            if !dirt || offset >= stable {
                return ControlFlow::Break(());
            }
            let key = record.key.filter(|_| !log.is_hidden(offset));
            let old = match key {
                Some(key) => seen.insert(key.into(), offset.0).or(self.newest.get(key).copied()),
                None => Some(offset.0),
            };
            let old = if planted(Planted::CompactionDropsTheNewest) {
                old.and(Some(offset.0))
            } else {
                old
            };
            let old = old.map(Offset).filter(|old| log.find(*old).is_some());
            offsets.extend(old.filter(|old| *old >= log.start()));
            clean = offset.plus(1);
            looked += 1;
            if looked == COMPACTION_SCAN_MAX || offsets.len() == COMPACTED_PER_APPLY_MAX {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        if dirt && looked < COMPACTION_SCAN_MAX && offsets.len() < COMPACTED_PER_APPLY_MAX {
            clean = stable;
        }
        let due = self.tombstones.iter().take_while(|(_, found)| *found + retention <= now);
        let due = due.map(|(offset, _)| *offset).filter(|offset| log.find(*offset).is_some());
        offsets.extend(due.filter(|o| *o >= log.start()).take(COMPACTED_PER_APPLY_MAX));
        sort_by_key(&mut offsets, |offset| *offset);
        offsets.dedup();
        Step { clean, offsets }
    }

    /// Learns what lies between what was clean and what is now.
    pub(crate) fn learn(&mut self, log: &Log, clean: Offset, at: Option<Time>) {
        log.each_record(self.clean(), |offset, record| {
            if offset >= clean {
                return ControlFlow::Break(());
            }
            if let Some(key) = record.key.filter(|_| !log.is_hidden(offset)) {
                self.newest.insert(key.into(), offset.0);
                if let Some(at) = at.filter(|_| record.body.is_empty()) {
                    self.tombstones.push_back((offset, at));
                }
            }
            ControlFlow::Continue(())
        });
        self.clean = self.clean.max(clean.0);
    }

    /// Only in snapshots: the tombstones that were found.
    pub(crate) fn remember(&mut self, tombstones: &[(Offset, Time)]) {
        self.tombstones.extend(tombstones);
    }

    /// Forgets records before they go from the log.
    pub(crate) fn forget(&mut self, log: &Log, gone: impl Iterator<Item = Offset>) {
        for offset in gone {
            let Some(record) = log.raw(offset) else { continue };
            if let Some(key) = record.record().key
                && self.newest.get(key) == Some(&offset.0)
            {
                self.newest.remove(key);
            }
        }
    }

    /// Tombstones that went, or were followed by a newer record, are no longer waited for.
    pub(crate) fn tidy(&mut self, log: &Log) {
        let is_there = |offset| offset >= log.start() && log.find(offset).is_some();
        while self.tombstones.front().is_some_and(|(offset, _)| !is_there(*offset)) {
            self.tombstones.pop_front();
        }
        self.clean = self.clean.max(log.start().0);
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self, log: &Log) -> Option<&'static str> {
        let mut keys = 0;
        let mut fault = None;
        log.each_record(log.start(), |offset, record| {
            if offset.0 >= self.clean {
                return ControlFlow::Break(());
            }
            fault = match record.key {
                None => Some("a record without a key is clean"),
                Some(_) if log.is_hidden(offset) => Some("an aborted record is clean"),
                Some(key) if self.newest.get(key) != Some(&offset.0) => {
                    Some("a key is twice in what is clean")
                }
                Some(_) => None,
            };
            keys += 1;
            if fault.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if fault.is_some() {
            return fault;
        }
        if keys != self.newest.len() {
            return Some("a key is remembered whose record is gone");
        }
        (self.clean > log.stable_end().0).then_some("what is clean is not stable")
    }
}
