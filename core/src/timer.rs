//! Everything that is due later: a hierarchical timer wheel.
//!
//! Eight levels of 64 slots; a slot of level 0 is one tick of 2^20 ns (about a millisecond) wide,
//! one of level n 64 times as wide as one of level n - 1. An entry lies at the level of the highest
//! digit in which its tick differs from the wheel's, so entries of a lower level are always due
//! before those of a higher, and starting and stopping a timer costs the same however many there
//! are. Entries keep their exact nanosecond; what is due fires by deadline, then by age.

use alloc::vec::Vec;

use crate::id::{GroupId, MemberId, Offset, ProducerId, QueueId, RedriveId, TopicId};
use crate::limits::DUE_SCAN_MAX;
use crate::sort::sort_by_key;
use crate::time::Time;
use crate::view::DeadlineReason;

const TICK_BITS: u32 = 20;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 8;
const NONE: u32 = u32::MAX;
/// In a slot with more entries than this the exact next deadline is not searched for; the slot's
/// beginning, which is earlier, is given instead.
const SCAN_MAX: usize = 64;

const _: () = assert!(TICK_BITS as usize + SLOT_BITS as usize * LEVELS >= u64::BITS as usize);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// A lease of this message ends.
    Lease(QueueId, Offset),
    /// The delay of this message ends.
    Delay(QueueId, Offset),
    /// This message is too old to be delivered.
    Expiry(QueueId, Offset),
    /// This queue has kept settled messages long enough.
    Kept(QueueId),
    /// This member's session times out.
    Session(MemberId),
    /// This member should have given up its partitions.
    Revocation(MemberId),
    /// This request has waited long enough.
    Wait(u64),
    /// This producer may have been idle for too long.
    Producer(ProducerId),
    /// This producer's transaction was open for too long.
    Transaction(ProducerId),
    /// This queue has something to do about itself, first of all this.
    Tend(QueueId, DeadlineReason),
    /// The oldest batch of this partition may go.
    Retention(TopicId, u32),
    /// Compaction of this partition goes on.
    Compaction(TopicId, u32),
    /// A job goes on redriving.
    Redrive(RedriveId),
    /// The members of this group should have joined, or synced.
    Rebalance(GroupId),
    /// Offsets of this group may have been kept for long enough.
    Offsets(GroupId),
}

impl Due {
    pub(crate) fn reason(self) -> DeadlineReason {
        match self {
            Due::Lease(..) => DeadlineReason::LeaseEnds,
            Due::Delay(..) => DeadlineReason::DelayEnds,
            Due::Expiry(..) => DeadlineReason::MessageExpires,
            Due::Kept(_) => DeadlineReason::KeptLongEnough,
            Due::Session(_) => DeadlineReason::SessionEnds,
            Due::Revocation(_) => DeadlineReason::RebalanceEnds,
            Due::Wait(_) => DeadlineReason::WaitEnds,
            Due::Redrive(_) => DeadlineReason::RedriveGoesOn,
            Due::Rebalance(_) => DeadlineReason::RebalanceEnds,
            Due::Offsets(_) => DeadlineReason::OffsetsExpire,
            Due::Producer(_) => DeadlineReason::ProducerIdle,
            Due::Transaction(_) => DeadlineReason::TransactionEnds,
            Due::Tend(_, reason) => reason,
            Due::Retention(..) => DeadlineReason::RetentionEnds,
            Due::Compaction(..) => DeadlineReason::CompactionDue,
        }
    }
}

/// A timer: where its entry is, and which of the timers that were there. So one that has fired or
/// was stopped is told from the one that came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerId {
    entry: u32,
    generation: u32,
}

impl TimerId {
    /// No timer: what is held by what has none.
    pub(crate) const NONE: TimerId = TimerId { entry: NONE, generation: 0 };
}

#[derive(Clone, Debug)]
struct Entry {
    deadline: u64,
    age: u64,
    due: Due,
    prev: u32,
    next: u32,
    /// Level times 64 plus slot; `NONE` in a free entry, whose `next` is the next free one.
    home: u32,
}

/// The wheel.
#[derive(Clone, Debug)]
pub(crate) struct Timers {
    tick: u64,
    age: u64,
    running: usize,
    entries: Vec<Entry>,
    free: u32,
    heads: Vec<u32>,
    occupied: [u64; LEVELS],
    due: Vec<u32>,
}

impl Timers {
    pub(crate) fn new(now: Time) -> Timers {
        Timers {
            tick: now.0 >> TICK_BITS,
            age: 0,
            running: 0,
            entries: Vec::new(),
            free: NONE,
            heads: alloc::vec![NONE; SLOTS * LEVELS],
            occupied: [0; LEVELS],
            due: Vec::new(),
        }
    }

    /// How many timers run.
    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn start(&mut self, at: Time, due: Due) -> TimerId {
        self.age += 1;
        self.running += 1;
        let entry =
            Entry { deadline: at.0, age: self.age, due, prev: NONE, next: NONE, home: NONE };
        let id = if self.free == NONE {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 timers run")
        } else {
            let id = self.free;
            self.free = self.entries[id as usize].next;
            self.entries[id as usize] = entry;
            id
        };
        self.link(id);
        self.id(id)
    }

    /// Stops a timer, if it still runs.
    pub(crate) fn stop(&mut self, timer: TimerId) {
        let Some(entry) = self.entries.get(timer.entry as usize) else { return };
        if entry.home != NONE && self.id(timer.entry) == timer {
            self.unlink(timer.entry);
            self.release(timer.entry);
        }
    }

    fn id(&self, entry: u32) -> TimerId {
        TimerId { entry, generation: self.entries[entry as usize].age as u32 }
    }

    /// Takes up to `max` of what is due at `now`, by deadline and then by age. What one of them
    /// brings with it may make a later one pointless: its timer is then no longer the one held.
    pub(crate) fn take_due(&mut self, now: Time, max: usize, out: &mut Vec<(TimerId, Due)>) {
        let now_tick = now.0 >> TICK_BITS;
        while out.len() < max {
            let Some((level, start, home)) = self.first_slot() else {
                self.tick = self.tick.max(now_tick);
                return;
            };
            if start > now_tick {
                self.tick = self.tick.max(now_tick);
                return;
            }
            self.tick = self.tick.max(start);
            if level > 0 {
                self.cascade(home);
            } else if !self.fire(home, now, max, out) {
                return;
            }
        }
    }

    /// When something is due next, or a time before that, and what it is.
    pub(crate) fn next(&self) -> Option<(Time, DeadlineReason)> {
        let (level, start, home) = self.first_slot()?;
        let mut id = self.heads[home];
        let first = &self.entries[id as usize];
        let (mut best, mut seen) = (first, 0);
        while id != NONE {
            let entry = &self.entries[id as usize];
            if (entry.deadline, entry.age) < (best.deadline, best.age) {
                best = entry;
            }
            id = entry.next;
            seen += 1;
            if level > 0 && seen > SCAN_MAX {
                return Some((Time(start << TICK_BITS), first.due.reason()));
            }
        }
        Some((Time(best.deadline), best.due.reason()))
    }

    /// What is due soonest, in order, at most so many.
    pub(crate) fn soonest(&self, max: usize) -> Vec<(Time, Due)> {
        let mut found = Vec::new();
        let mut budget = DUE_SCAN_MAX;
        for (level, slots) in self.occupied.iter().enumerate() {
            // Every entry of a lower level is due before those of a higher, and so is every entry
            // of a lower slot of the level.
            for slot in (0..SLOTS).filter(|slot| slots & (1 << slot) != 0) {
                let already = found.len();
                let mut id = self.heads[level * SLOTS + slot];
                while id != NONE && budget > 0 {
                    let entry = &self.entries[id as usize];
                    found.push((entry.deadline, entry.age, entry.due));
                    (id, budget) = (entry.next, budget - 1);
                }
                sort_by_key(&mut found[already..], |(at, age, _)| (*at, *age));
                if found.len() >= max || budget == 0 {
                    found.truncate(max);
                    return found.into_iter().map(|(at, _, due)| (Time(at), due)).collect();
                }
            }
        }
        found.into_iter().map(|(at, _, due)| (Time(at), due)).collect()
    }

    /// The slot that is due first: its level, its first tick, and where it is.
    fn first_slot(&self) -> Option<(usize, u64, usize)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = SLOT_BITS * level as u32;
        let above = shift + SLOT_BITS;
        let base = self.tick >> above << above;
        Some((level, base | u64::from(slot) << shift, level * SLOTS + slot as usize))
    }

    /// Moves a slot's entries down to where they now belong.
    fn cascade(&mut self, home: usize) {
        let mut id = core::mem::replace(&mut self.heads[home], NONE);
        self.occupied[home / SLOTS] &= !(1 << (home % SLOTS));
        while id != NONE {
            let next = self.entries[id as usize].next;
            self.link(id);
            id = next;
        }
    }

    /// Fires what is due of a slot of level 0; false if nothing was.
    fn fire(&mut self, home: usize, now: Time, max: usize, out: &mut Vec<(TimerId, Due)>) -> bool {
        let mut due = core::mem::take(&mut self.due);
        let mut id = self.heads[home];
        while id != NONE {
            let entry = &self.entries[id as usize];
            if entry.deadline <= now.0 {
                due.push(id);
            }
            id = entry.next;
        }
        due.sort_unstable_by_key(|id| {
            let entry = &self.entries[*id as usize];
            (entry.deadline, entry.age)
        });
        let room = max - out.len();
        for id in due.iter().take(room) {
            out.push((self.id(*id), self.entries[*id as usize].due));
            self.unlink(*id);
            self.release(*id);
        }
        let fired = !due.is_empty();
        due.clear();
        self.due = due;
        fired
    }

    fn link(&mut self, id: u32) {
        let tick = (self.entries[id as usize].deadline >> TICK_BITS).max(self.tick);
        let differs = tick ^ self.tick;
        let level = if differs == 0 { 0 } else { differs.ilog2() / SLOT_BITS };
        let slot = (tick >> (SLOT_BITS * level)) as usize % SLOTS;
        let home = level as usize * SLOTS + slot;
        let head = self.heads[home];
        let entry = &mut self.entries[id as usize];
        (entry.prev, entry.next, entry.home) = (NONE, head, home as u32);
        if head != NONE {
            self.entries[head as usize].prev = id;
        }
        self.heads[home] = id;
        self.occupied[level as usize] |= 1 << slot;
    }

    fn unlink(&mut self, id: u32) {
        let Entry { prev, next, home, .. } = self.entries[id as usize];
        assert!(home != NONE, "a timer is stopped or fires once");
        let home = home as usize;
        if prev == NONE {
            self.heads[home] = next;
            if next == NONE {
                self.occupied[home / SLOTS] &= !(1 << (home % SLOTS));
            }
        } else {
            self.entries[prev as usize].next = next;
        }
        if next != NONE {
            self.entries[next as usize].prev = prev;
        }
    }

    fn release(&mut self, id: u32) {
        let free = self.free;
        let entry = &mut self.entries[id as usize];
        (entry.home, entry.next) = (NONE, free);
        self.free = id;
        self.running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::rng::Rng;

    /// Against a sorted map, over every level and with stops in between.
    #[test]
    fn fires_what_a_sorted_map_would() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut wheel = Timers::new(Time(0));
            let mut model = BTreeMap::new();
            let (mut now, mut age) = (0u64, 0u64);
            for _ in 0..400 {
                match rng.below(4) {
                    0 | 1 => {
                        let at = now + (u64::from(rng.below(1 << 20)) << rng.below(30));
                        age += 1;
                        let id = wheel.start(Time(at), Due::Wait(age));
                        model.insert((at, age), id);
                    }
                    2 => {
                        let n = model.len() as u32;
                        if n > 0 {
                            let nth = rng.below(n) as usize;
                            let key = *model.keys().nth(nth).expect("nth is below n");
                            wheel.stop(model.remove(&key).expect("it is there"));
                        }
                    }
                    _ => {
                        now += u64::from(rng.below(1 << 20)) << rng.below(24);
                        let max = 1 + rng.below(8) as usize;
                        let mut fired = Vec::new();
                        wheel.take_due(Time(now), max, &mut fired);
                        let due: Vec<_> =
                            model.range(..=(now, u64::MAX)).take(max).map(|(k, _)| *k).collect();
                        let expected: Vec<_> =
                            due.iter().map(|key| (model[key], Due::Wait(key.1))).collect();
                        assert_eq!(fired, expected, "seed {seed}");
                        model.retain(|key, _| !due.contains(key));
                    }
                }
                assert_eq!(wheel.running(), model.len(), "seed {seed}");
                let soonest: Vec<_> = wheel.soonest(5).into_iter().map(|(at, _)| at.0).collect();
                let first: Vec<_> = model.keys().take(5).map(|(at, _)| *at).collect();
                assert_eq!(soonest, first, "seed {seed}");
                let next = wheel.next().map(|(at, _)| at.0);
                match model.keys().next() {
                    None => assert_eq!(next, None, "seed {seed}"),
                    Some((at, _)) => assert!(next.is_some_and(|n| n <= *at), "seed {seed}"),
                }
            }
        }
    }

    #[test]
    fn a_few_timers_give_their_exact_next_deadline() {
        let mut wheel = Timers::new(Time(0));
        wheel.start(Time::from_millis(30_000), Due::Wait(1));
        wheel.start(Time(29_999_999_999), Due::Wait(2));
        assert_eq!(wheel.next(), Some((Time(29_999_999_999), DeadlineReason::WaitEnds)));
    }
}
