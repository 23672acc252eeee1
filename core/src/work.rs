//! Work: which messages of a log are ready, in whose hands, or waiting, one by one.
//!
//! Only the window from the oldest message that is not settled to the newest that was ever touched
//! has a slot a message; what lies beyond is fresh, and costs nothing but its record.
//!
//! ```text
//!            ┌──────────── lease ends, nack, disconnect ────────────┐
//!            ▼                                                      │
//! fresh ─▶ ready ──────────────────── lease ────────────────────▶ leased ──▶ settled
//!            ▲                                                      │         (acked, dead-lettered,
//!            └──────── delay ends ──────── delayed ◀── with delay ──┘          dropped, redriven)
//! ```

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::id::{ConnId, ConsumerId, Offset};
use crate::limits::HISTORY_MAX;
use crate::time::Time;
use crate::timer::TimerId;
use crate::view::Attempt;

const BLOCK: usize = 64;

/// What a message of the window is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Leased(Holder),
    Delayed,
    Settled,
}

/// In whose hands a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) conn: ConnId,
    /// None: it was received, not pushed.
    pub(crate) consumer: Option<ConsumerId>,
}

/// A message of the window.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// When the lease or the delay ends.
    pub(crate) until: Time,
    /// Runs while leased or delayed.
    pub(crate) timer: TimerId,
    /// Attempts that ended without an acknowledgement.
    pub(crate) failed: u32,
    /// How often it was delivered in this life of the broker.
    pub(crate) delivery: u32,
}

const FRESH: Slot =
    Slot { state: State::Ready, until: Time::ZERO, timer: TimerId::NONE, failed: 0, delivery: 0 };

#[derive(Clone, Debug)]
struct Block {
    /// Slots that are not settled, those not touched yet among them.
    live: usize,
    slots: [Slot; BLOCK],
}

/// The state of every message of one log, for one crowd of workers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Work {
    /// The number of the first block.
    first: u64,
    blocks: VecDeque<Option<Box<Block>>>,
    /// The first offset that was never touched.
    fresh: u64,
    /// Those of the window that are ready.
    ready: BTreeSet<u64>,
    leased: u64,
    delayed: u64,
    history: BTreeMap<u64, Vec<Attempt>>,
}

impl Work {
    /// The first offset that was never touched.
    pub(crate) fn fresh(&self) -> Offset {
        Offset(self.fresh)
    }

    /// How many are ready, of a log that ends there.
    pub(crate) fn ready(&self, end: Offset) -> u64 {
        self.ready.len() as u64 + (end.0 - self.fresh)
    }

    pub(crate) fn leased(&self) -> u64 {
        self.leased
    }

    pub(crate) fn delayed(&self) -> u64 {
        self.delayed
    }

    /// How many are not settled, of a log that ends there.
    pub(crate) fn unsettled(&self, end: Offset) -> u64 {
        self.ready(end) + self.leased + self.delayed
    }

    /// The next one to deliver.
    pub(crate) fn next_ready(&self, end: Offset) -> Option<Offset> {
        match self.ready.first() {
            Some(offset) => Some(Offset(*offset)),
            None => (self.fresh < end.0).then_some(Offset(self.fresh)),
        }
    }

    /// The slot of a message that is not settled, if it was touched.
    pub(crate) fn slot(&self, offset: Offset) -> Option<&Slot> {
        let block = (offset.0 / BLOCK as u64).checked_sub(self.first)?;
        let slot = &self.blocks.get(block as usize)?.as_ref()?.slots[offset.0 as usize % BLOCK];
        (offset.0 < self.fresh && slot.state != State::Settled).then_some(slot)
    }

    fn slot_mut(&mut self, offset: Offset) -> &mut Slot {
        let block = (offset.0 / BLOCK as u64 - self.first) as usize;
        let block = self.blocks[block].as_mut().expect("a block with a live slot is there");
        &mut block.slots[offset.0 as usize % BLOCK]
    }

    /// Whether the message is ready: fresh, or in the window and ready.
    pub(crate) fn is_ready(&self, offset: Offset, end: Offset) -> bool {
        (self.fresh..end.0).contains(&offset.0) || self.ready.contains(&offset.0)
    }

    /// Whether the message is not settled.
    pub(crate) fn is_unsettled(&self, offset: Offset, end: Offset) -> bool {
        (self.fresh..end.0).contains(&offset.0) || self.slot(offset).is_some()
    }

    /// Attempts at a message that failed, the newest [`HISTORY_MAX`] of them.
    pub(crate) fn history(&self, offset: Offset) -> &[Attempt] {
        self.history.get(&offset.0).map_or(&[], Vec::as_slice)
    }

    /// Leases a ready message; the timer that ends it is the caller's. Returns the slot.
    pub(crate) fn lease(
        &mut self,
        offset: Offset,
        holder: Holder,
        until: Time,
        timer: TimerId,
    ) -> &Slot {
        if offset.0 == self.fresh {
            self.touch();
        } else {
            assert!(self.ready.remove(&offset.0), "only a ready message is leased");
        }
        self.leased += 1;
        let slot = self.slot_mut(offset);
        slot.state = State::Leased(holder);
        slot.until = until;
        slot.timer = timer;
        slot.delivery += 1;
        slot
    }

    /// Whether the timer that fired is still the message's, which then has none any more.
    pub(crate) fn timer_fired(&mut self, offset: Offset, timer: TimerId) -> bool {
        let held = self.slot(offset).is_some_and(|slot| slot.timer == timer);
        if held {
            self.slot_mut(offset).timer = TimerId::NONE;
        }
        held
    }

    /// Moves the end of a lease.
    pub(crate) fn extend(&mut self, offset: Offset, until: Time, timer: TimerId) {
        let slot = self.slot_mut(offset);
        slot.until = until;
        slot.timer = timer;
    }

    /// Counts a failed attempt.
    pub(crate) fn attempt_failed(&mut self, offset: Offset, attempt: Attempt) {
        self.reach(offset);
        self.slot_mut(offset).failed += 1;
        self.remember(offset, attempt);
    }

    /// Sets what a snapshot knows of a message's attempts.
    pub(crate) fn set_failed(&mut self, offset: Offset, failed: u32, attempts: Vec<Attempt>) {
        self.reach(offset);
        self.slot_mut(offset).failed = failed;
        attempts.into_iter().for_each(|attempt| self.remember(offset, attempt));
    }

    fn remember(&mut self, offset: Offset, attempt: Attempt) {
        let history = self.history.entry(offset.0).or_default();
        if history.len() == HISTORY_MAX {
            history.remove(0);
        }
        history.push(attempt);
    }

    /// Makes a message ready that is in the window; its timer is the caller's.
    pub(crate) fn make_ready(&mut self, offset: Offset) {
        self.leave(offset);
        let slot = self.slot_mut(offset);
        slot.state = State::Ready;
        slot.timer = TimerId::NONE;
        self.ready.insert(offset.0);
    }

    /// Makes a message of the window wait; the timer that ends it is the caller's.
    pub(crate) fn make_delayed(&mut self, offset: Offset, until: Time, timer: TimerId) {
        self.leave(offset);
        let slot = self.slot_mut(offset);
        slot.state = State::Delayed;
        slot.until = until;
        slot.timer = timer;
        self.delayed += 1;
    }

    /// Settles a message, whatever it was doing; returns the timer that it had.
    pub(crate) fn settle(&mut self, offset: Offset) -> TimerId {
        self.reach(offset);
        self.leave(offset);
        self.history.remove(&offset.0);
        let slot = self.slot_mut(offset);
        let timer = slot.timer;
        slot.state = State::Settled;
        slot.timer = TimerId::NONE;
        let index = (offset.0 / BLOCK as u64 - self.first) as usize;
        let block = self.blocks[index].as_mut().expect("the block of a live slot is there");
        block.live -= 1;
        if block.live == 0 {
            self.blocks[index] = None;
            while matches!(self.blocks.front(), Some(None)) {
                self.blocks.pop_front();
                self.first += 1;
            }
        }
        timer
    }

    /// An empty log goes on from `next`: what was before is settled.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        while self.fresh < next.0 {
            if self.blocks.is_empty() && self.fresh / (BLOCK as u64) < next.0 / BLOCK as u64 {
                self.fresh = next.0 / BLOCK as u64 * BLOCK as u64;
                self.first = self.fresh / BLOCK as u64;
                continue;
            }
            let offset = Offset(self.fresh);
            self.reach(offset);
            self.settle(offset);
        }
    }

    /// The window's messages that are not settled, oldest first.
    pub(crate) fn window(&self) -> impl Iterator<Item = (Offset, &Slot)> {
        let blocks = self.blocks.iter().enumerate();
        blocks
            .filter_map(|(index, block)| Some((index, block.as_ref()?)))
            .flat_map(|(index, block)| {
                let base = (self.first + index as u64) * BLOCK as u64;
                let slots = block.slots.iter().enumerate();
                slots.map(move |(at, slot)| (Offset(base + at as u64), slot))
            })
            .filter(|(offset, slot)| offset.0 < self.fresh && slot.state != State::Settled)
    }

    /// Every message that is not settled, of a log that ends there, oldest first, from `from` on.
    pub(crate) fn offsets(&self, from: Offset, end: Offset) -> impl Iterator<Item = Offset> {
        let window = self.window().map(|(offset, _)| offset);
        window.chain((self.fresh.max(from.0)..end.0).map(Offset)).filter(move |o| *o >= from)
    }

    /// Takes a message out of the count of what it was doing.
    fn leave(&mut self, offset: Offset) {
        match self.slot_mut(offset).state {
            State::Ready => drop(self.ready.remove(&offset.0)),
            State::Leased(_) => self.leased -= 1,
            State::Delayed => self.delayed -= 1,
            State::Settled => unreachable!("a settled message does nothing more"),
        }
    }

    /// Draws the window up to and over `offset`; what it then holds is ready.
    fn reach(&mut self, offset: Offset) {
        while self.fresh <= offset.0 {
            self.ready.insert(self.fresh);
            self.touch();
        }
    }

    /// Draws the window over the first fresh message.
    fn touch(&mut self) {
        let block = self.fresh / BLOCK as u64;
        if self.blocks.is_empty() {
            self.first = block;
        }
        let index = (block - self.first) as usize;
        if index == self.blocks.len() {
            let mut slots = [const { FRESH }; BLOCK];
            // What was settled before the window began again in this block stays settled.
            let settled = self.fresh as usize % BLOCK;
            slots[..settled].iter_mut().for_each(|slot| slot.state = State::Settled);
            self.blocks.push_back(Some(Box::new(Block { live: BLOCK - settled, slots })));
        }
        self.fresh += 1;
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let (mut ready, mut leased, mut delayed) = (0, 0, 0);
        for (offset, slot) in self.window() {
            match slot.state {
                State::Ready => {
                    ready += 1;
                    if !self.ready.contains(&offset.0) {
                        return Some("a ready message is not among the ready");
                    }
                }
                State::Leased(_) => leased += 1,
                State::Delayed => delayed += 1,
                State::Settled => return Some("the window shows a settled message"),
            }
            let timed = slot.timer != TimerId::NONE;
            if timed != matches!(slot.state, State::Leased(_) | State::Delayed) {
                return Some("a lease or delay without a timer, or a timer without either");
            }
        }
        if self.history.keys().any(|offset| self.slot(Offset(*offset)).is_none()) {
            return Some("the history of a message that is settled");
        }
        let counted = (ready, leased, delayed);
        (counted != (self.ready.len(), self.leased, self.delayed))
            .then_some("the counts are not those of the slots")
    }
}
