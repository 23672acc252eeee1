//! A transaction: what a producer wrote, and which offsets it committed, that is decided at once.
//!
//! ```text
//!          publish, commit offsets                end, commit
//! none ──────────────────────────────▶ open ─┬─────────────────▶ committed
//!                                            │ end, abort; its time is up;
//!                                            └ another takes the name ───▶ aborted
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::group::Partition;
use crate::id::{GroupId, Offset, Place};
use crate::map::Map;
use crate::time::Time;
use crate::timer::TimerId;

/// What is open.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    pub(crate) began: Time,
    /// Runs until its time is up.
    pub(crate) timer: TimerId,
    /// What it wrote in each log, in order: from where, and how many. Neighbours are one.
    writes: Map<Place, Vec<(Offset, u64)>>,
    /// How many records these are.
    records: u64,
    /// The offsets that groups will have committed.
    pub(crate) commits: Map<(GroupId, Partition), Pending>,
}

/// An offset that waits for its transaction.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) offset: Offset,
    pub(crate) metadata: String,
    /// When it was asked for.
    pub(crate) at: Time,
}

impl Transaction {
    pub(crate) fn new(began: Time, timer: TimerId) -> Transaction {
        let (writes, commits) = (Map::default(), Map::default());
        Transaction { began, timer, writes, records: 0, commits }
    }

    /// Takes note of a run that it wrote, after all that it wrote in that log before. Returns
    /// whether it is the first there.
    pub(crate) fn wrote(&mut self, place: Place, base: Offset, count: u64) -> bool {
        self.records += count;
        let runs = self.writes.get_or_insert_with(place, Vec::new);
        match runs.last_mut() {
            Some((last, length)) if last.plus(*length) == base => *length += count,
            Some(_) | None => runs.push((base, count)),
        }
        matches!(&runs[..], [(first, _)] if *first == base)
    }

    /// What it wrote, log by log.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (Place, &[(Offset, u64)])> {
        self.writes.iter().map(|(place, runs)| (*place, &runs[..]))
    }

    /// How many records it wrote.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    /// Logs went, with what it wrote there.
    pub(crate) fn forget(&mut self, gone: impl Fn(Place) -> bool) {
        let counted = |runs: &Vec<(Offset, u64)>| runs.iter().map(|(_, count)| count).sum::<u64>();
        let lost: u64 =
            self.writes.iter().filter(|(p, _)| gone(**p)).map(|(_, runs)| counted(runs)).sum();
        self.records -= lost;
        self.writes.retain(|place, _| !gone(*place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::QueueId;

    #[test]
    fn neighbours_are_one_run() {
        let (here, there) = (Place::Queue(QueueId(1)), Place::Queue(QueueId(2)));
        let mut transaction = Transaction::new(Time::ZERO, TimerId::NONE);
        assert!(transaction.wrote(here, Offset(3), 2));
        assert!(!transaction.wrote(here, Offset(5), 1));
        assert!(transaction.wrote(there, Offset(0), 1));
        assert!(!transaction.wrote(here, Offset(9), 1));
        let wrote: Vec<_> = transaction.writes().collect();
        assert_eq!(wrote[0], (here, &[(Offset(3), 3), (Offset(9), 1)][..]));
        assert_eq!(transaction.records(), 5);
        transaction.forget(|place| place == here);
        assert_eq!((transaction.records(), transaction.writes().count()), (1, 1));
    }
}
