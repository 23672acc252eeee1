//! Work: which messages of a log are ready, in whose hands, or waiting, one by one.
//!
//! A message that nobody has touched yet costs next to nothing: it is part of a run of ready
//! offsets. It gets a slot when it is leased, or when it is not like the others from the start: it
//! has a delay, an expiry, a priority, a group, or belongs to a transaction that is open.
//!
//! ```text
//!            ┌─────────── lease ends, nack, disconnect ───────────┐
//!            ▼                                                    │
//! ─────▶ ready ───────────────────── lease ───────────────────▶ leased ──▶ settled
//!   │      ▲ ▲ ▲                                                  │        (acked, dead-lettered,
//!   │      │ │ └── delay ends ──────── delayed ◀── with delay ────┘         dropped, redriven;
//!   ├──────┼─┴── the older one of its group is settled ── blocked           from any state)
//!   └──────┴──── its transaction commits ── held
//! ```

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::id::{ConnId, ConsumerId, Offset, QueueId};
use crate::limits::HISTORY_MAX;
use crate::planted::{Planted, planted};
use crate::time::Time;
use crate::timer::{Due, TimerId, Timers};
use crate::view::Attempt;

mod lanes;
mod runs;

use lanes::Lanes;
pub(crate) use runs::Runs;

const BLOCK: u64 = 64;

/// What a message is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Ready,
    Leased(Holder),
    Delayed,
    /// An older message of its group is not settled.
    Blocked,
    /// Its transaction is open.
    Held,
    Settled,
}

/// In whose hands a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) conn: ConnId,
    /// None: it was received, not pushed.
    pub(crate) consumer: Option<ConsumerId>,
}

/// What is known of a message that was touched.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// When the lease or the delay ends.
    pub(crate) until: Time,
    /// When it is too old to be delivered.
    pub(crate) expires: Time,
    /// Runs while something is due.
    timer: TimerId,
    /// Attempts that ended without an acknowledgement.
    pub(crate) failed: u32,
    /// How often it was delivered in this life of the broker.
    pub(crate) delivery: u32,
    pub(crate) priority: u8,
}

const UNTOUCHED: Slot = Slot {
    state: State::Ready,
    until: Time::ZERO,
    expires: Time::MAX,
    timer: TimerId::NONE,
    failed: 0,
    delivery: 0,
    priority: 0,
};

impl Slot {
    /// When something is due for it, and what.
    fn due(&self, queue: QueueId, offset: Offset) -> Option<(Time, Due)> {
        match self.state {
            State::Leased(_) => Some((self.until, Due::Lease(queue, offset))),
            State::Delayed if self.until <= self.expires => {
                Some((self.until, Due::Delay(queue, offset)))
            }
            State::Ready | State::Delayed | State::Blocked => {
                (self.expires < Time::MAX).then_some((self.expires, Due::Expiry(queue, offset)))
            }
            State::Held | State::Settled => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Block {
    number: u64,
    /// Slots that are not settled, those of offsets to come among them.
    live: usize,
    slots: Box<[Slot; BLOCK as usize]>,
}

/// A message that comes, and is not like the others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    /// Higher goes first.
    pub(crate) priority: u8,
    /// Not before.
    pub(crate) ready_at: Time,
    /// Not after.
    pub(crate) expires: Time,
    /// In order with the others of this group.
    pub(crate) group: Option<&'a [u8]>,
    /// Not until its transaction commits.
    pub(crate) held: bool,
}

impl Arrival<'_> {
    fn is_plain(&self, now: Time) -> bool {
        let Arrival { priority, ready_at, expires, group, held } = *self;
        priority == 0 && ready_at <= now && expires == Time::MAX && group.is_none() && !held
    }
}

/// Where timers are started and stopped, and for which queue.
pub(crate) struct Clock<'t> {
    pub(crate) now: Time,
    pub(crate) timers: &'t mut Timers,
    pub(crate) queue: QueueId,
}

/// The ready messages of one priority.
#[derive(Clone, Debug, Default)]
struct Level {
    priority: u8,
    ready: Runs,
}

/// The state of every message of one log, for one crowd of workers.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    /// The offset after the newest.
    end: u64,
    /// By number; an offset without a block is ready if it is in the runs of priority 0, and
    /// settled otherwise.
    blocks: VecDeque<Block>,
    /// By priority, the highest first. The last, of priority 0, is always there.
    levels: Vec<Level>,
    leased: u64,
    delayed: u64,
    blocked: u64,
    held: u64,
    lanes: Lanes,
    /// How often any one of its messages was delivered in this life of the broker, at most.
    deliveries: u32,
    history: BTreeMap<u64, Vec<Attempt>>,
}

impl Default for Work {
    fn default() -> Work {
        Work {
            end: 0,
            blocks: VecDeque::new(),
            levels: alloc::vec![Level::default()],
            leased: 0,
            delayed: 0,
            blocked: 0,
            held: 0,
            lanes: Lanes::default(),
            deliveries: 0,
            history: BTreeMap::new(),
        }
    }
}

impl Work {
    /// Begins with the message at `start`: what was before is none of its business.
    pub(crate) fn starting_at(start: Offset) -> Work {
        Work { end: start.0, ..Work::default() }
    }

    /// The offset after the newest message.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.end)
    }

    /// How many are ready.
    pub(crate) fn ready(&self) -> u64 {
        self.levels.iter().map(|level| level.ready.len()).sum()
    }

    pub(crate) fn leased(&self) -> u64 {
        self.leased
    }

    pub(crate) fn delayed(&self) -> u64 {
        self.delayed
    }

    /// How many wait for an older one of their group.
    pub(crate) fn blocked(&self) -> u64 {
        self.blocked
    }

    /// How many wait for their transaction.
    pub(crate) fn held(&self) -> u64 {
        self.held
    }

    /// How many are not settled.
    pub(crate) fn unsettled(&self) -> u64 {
        self.ready() + self.leased + self.delayed + self.blocked + self.held
    }

    /// The next one to deliver: of the highest priority the oldest.
    pub(crate) fn next_ready(&self) -> Option<Offset> {
        self.levels.iter().find_map(|level| level.ready.first()).map(Offset)
    }

    /// The oldest that is ready, whatever its priority.
    pub(crate) fn oldest_ready(&self) -> Option<Offset> {
        self.levels.iter().filter_map(|level| level.ready.first()).min().map(Offset)
    }

    /// The first that is ready from `from` on, whatever its priority.
    pub(crate) fn ready_from(&self, from: Offset) -> Option<Offset> {
        let runs = self.levels.iter().filter_map(|level| level.ready.run_from(from.0));
        runs.map(|(first, _)| Offset(first)).min()
    }

    /// Runs of ready messages, of any priority, in no order that matters.
    pub(crate) fn ready_runs(&self) -> impl Iterator<Item = (Offset, u64)> {
        let runs = self.levels.iter().flat_map(|level| level.ready.iter());
        runs.map(|(start, end)| (Offset(start), end - start))
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        let Some(front) = self.blocks.front() else { return Err(0) };
        // Most often there are no gaps between blocks.
        let guess = number.wrapping_sub(front.number) as usize;
        match self.blocks.get(guess) {
            Some(block) if block.number == number => Ok(guess),
            Some(_) | None => self.blocks.binary_search_by_key(&number, |block| block.number),
        }
    }

    /// The slot of a message that is not settled, if it was touched.
    pub(crate) fn slot(&self, offset: Offset) -> Option<&Slot> {
        let block = &self.blocks[self.find(offset.0 / BLOCK).ok()?];
        let slot = &block.slots[(offset.0 % BLOCK) as usize];
        (offset.0 < self.end && slot.state != State::Settled).then_some(slot)
    }

    /// What a message is doing.
    pub(crate) fn state(&self, offset: Offset) -> State {
        match self.find(offset.0 / BLOCK) {
            _ if offset.0 >= self.end => State::Settled,
            Ok(at) => self.blocks[at].slots[(offset.0 % BLOCK) as usize].state,
            Err(_) if self.plain().contains(offset.0) => State::Ready,
            Err(_) => State::Settled,
        }
    }

    pub(crate) fn is_ready(&self, offset: Offset) -> bool {
        self.state(offset) == State::Ready
    }

    pub(crate) fn is_unsettled(&self, offset: Offset) -> bool {
        self.state(offset) != State::Settled
    }

    /// Attempts at a message that failed, the newest [`HISTORY_MAX`] of them.
    pub(crate) fn history(&self, offset: Offset) -> &[Attempt] {
        self.history.get(&offset.0).map_or(&[], Vec::as_slice)
    }

    /// The ready messages of priority 0.
    fn plain(&self) -> &Runs {
        &self.levels.last().expect("the level of priority 0 is always there").ready
    }

    fn level(&mut self, priority: u8) -> &mut Runs {
        let at = match priority {
            0 => self.levels.len() - 1,
            _ => match self.levels.binary_search_by(|level| priority.cmp(&level.priority)) {
                Ok(at) => at,
                Err(at) => {
                    self.levels.insert(at, Level { priority, ready: Runs::default() });
                    at
                }
            },
        };
        &mut self.levels[at].ready
    }

    /// The slot of a message that is not settled; made if it was not touched yet.
    fn slot_mut(&mut self, offset: Offset) -> &mut Slot {
        let at = self.reach(offset);
        self.slot_at(at, offset)
    }

    /// Where the block of an offset is; made if it was not needed yet.
    fn reach(&mut self, offset: Offset) -> usize {
        let number = offset.0 / BLOCK;
        self.find(number).unwrap_or_else(|at| {
            let block = self.block(number);
            self.blocks.insert(at, block);
            at
        })
    }

    fn slot_at(&mut self, at: usize, offset: Offset) -> &mut Slot {
        &mut self.blocks[at].slots[(offset.0 % BLOCK) as usize]
    }

    /// A block that was not needed so far: some of its messages are ready, some settled, some
    /// still to come.
    fn block(&self, number: u64) -> Block {
        let base = number * BLOCK;
        let mut slots =
            Box::new([const { Slot { state: State::Settled, ..UNTOUCHED } }; BLOCK as usize]);
        let mut live = 0;
        let mut make_ready = |from: u64, to: u64| {
            let (from, to) = (from.max(base), to.min(base + BLOCK));
            for slot in &mut slots[(from - base) as usize..to.max(from) as usize - base as usize] {
                slot.state = State::Ready;
                live += 1;
            }
        };
        let mut from = base;
        while let Some((start, end)) = self.plain().run_from(from) {
            if start >= base + BLOCK {
                break;
            }
            make_ready(start, end);
            from = end;
        }
        if self.end < base + BLOCK {
            make_ready(self.end, base + BLOCK);
        }
        Block { number, live, slots }
    }

    /// A settled message is to be worked on once more, as if it had just come.
    pub(crate) fn revive(&mut self, offset: Offset, arrival: Arrival<'_>, clock: &mut Clock<'_>) {
        assert!(offset.0 < self.end && !self.is_unsettled(offset), "only what is settled revives");
        let at = self.reach(offset);
        let block = &mut self.blocks[at];
        block.live += 1;
        block.slots[(offset.0 % BLOCK) as usize] = Slot {
            priority: arrival.priority,
            expires: arrival.expires,
            until: arrival.ready_at,
            // Leases of before stay stale.
            delivery: self.deliveries,
            ..UNTOUCHED
        };
        self.enter(offset, clock);
    }

    /// Messages come that are like most.
    pub(crate) fn append(&mut self, count: u64) {
        let from = self.end;
        self.end += count;
        let end = self.end;
        self.level(0).insert(from, end);
    }

    /// A message comes.
    pub(crate) fn arrive(&mut self, arrival: Arrival<'_>, clock: &mut Clock<'_>) {
        if arrival.is_plain(clock.now) {
            return self.append(1);
        }
        let offset = Offset(self.end);
        if let Some(group) = arrival.group {
            self.lanes.join(group, offset.0);
        }
        // The slot is made while its offset is still to come.
        let slot = self.slot_mut(offset);
        slot.priority = arrival.priority;
        slot.expires = arrival.expires;
        slot.until = arrival.ready_at;
        self.end += 1;
        if arrival.held {
            self.slot_mut(offset).state = State::Held;
            self.held += 1;
        } else {
            self.enter(offset, clock);
        }
    }

    /// A message came in a transaction that is open.
    pub(crate) fn hold(&mut self, offset: Offset, clock: &mut Clock<'_>) {
        self.leave(offset, clock);
        self.slot_mut(offset).state = State::Held;
        self.held += 1;
    }

    /// The transaction of a held message committed.
    pub(crate) fn commit(&mut self, offset: Offset, clock: &mut Clock<'_>) {
        assert!(self.state(offset) == State::Held, "only what is held is committed");
        self.held -= 1;
        self.enter(offset, clock);
    }

    /// Puts a message, which is counted nowhere, where it now belongs.
    fn enter(&mut self, offset: Offset, clock: &mut Clock<'_>) {
        let blocked = self.lanes.is_blocked(offset.0);
        let slot = self.slot_mut(offset);
        slot.state = match slot.until > clock.now {
            _ if blocked => State::Blocked,
            true => State::Delayed,
            false => State::Ready,
        };
        arm(slot, offset, clock);
        let (state, priority) = (slot.state, slot.priority);
        match state {
            State::Blocked => self.blocked += 1,
            State::Delayed => self.delayed += 1,
            State::Ready => self.level(priority).insert(offset.0, offset.0 + 1),
            State::Leased(_) | State::Held | State::Settled => unreachable!("none of the three"),
        }
    }

    /// Takes a message out of the count of what it was doing; its timer stops.
    fn leave(&mut self, offset: Offset, clock: &mut Clock<'_>) -> State {
        let at = self.reach(offset);
        self.leave_at(at, offset, clock)
    }

    fn leave_at(&mut self, at: usize, offset: Offset, clock: &mut Clock<'_>) -> State {
        let slot = self.slot_at(at, offset);
        let (state, priority) = (slot.state, slot.priority);
        let timer = core::mem::replace(&mut slot.timer, TimerId::NONE);
        if !planted(Planted::TimersAreNotStopped) {
            clock.timers.stop(timer);
        }
        match state {
            State::Ready => {
                let removed = self.level(priority).remove(offset.0, offset.0 + 1);
                assert!(removed == 1, "a ready message is among the ready");
            }
            State::Leased(_) => self.leased -= 1,
            State::Delayed => self.delayed -= 1,
            State::Blocked => self.blocked -= 1,
            State::Held => self.held -= 1,
            State::Settled => unreachable!("a settled message does nothing more"),
        }
        state
    }

    /// Leases the message that is next.
    pub(crate) fn lease_next(
        &mut self,
        holder: Holder,
        until: Time,
        clock: &mut Clock<'_>,
    ) -> Option<(Offset, &Slot)> {
        let level = self.levels.iter().position(|level| level.ready.len() > 0)?;
        let offset = Offset(self.levels[level].ready.first()?);
        // The slot is made while the runs still tell that the message is ready.
        let at = self.reach(offset);
        self.levels[level].ready.take_first();
        self.leased += 1;
        let slot = self.slot_at(at, offset);
        clock.timers.stop(slot.timer);
        slot.state = State::Leased(holder);
        slot.until = until;
        slot.delivery += 1;
        let delivery = slot.delivery;
        arm(slot, offset, clock);
        self.deliveries = self.deliveries.max(delivery);
        Some((offset, self.slot_at(at, offset)))
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
    pub(crate) fn extend(&mut self, offset: Offset, until: Time, clock: &mut Clock<'_>) {
        let slot = self.slot_mut(offset);
        clock.timers.stop(slot.timer);
        slot.until = until;
        arm(slot, offset, clock);
    }

    /// Counts a failed attempt, and lets the message be ready then, or now.
    pub(crate) fn attempt_failed(
        &mut self,
        offset: Offset,
        attempt: Attempt,
        ready_at: Time,
        clock: &mut Clock<'_>,
    ) {
        self.slot_mut(offset).failed += 1;
        self.remember(offset, attempt);
        self.give_back(offset, ready_at, clock);
    }

    /// Sets what a snapshot knows of a message.
    pub(crate) fn set_failed(
        &mut self,
        offset: Offset,
        failed: u32,
        attempts: Vec<Attempt>,
        ready_at: Time,
        clock: &mut Clock<'_>,
    ) {
        self.slot_mut(offset).failed = failed;
        attempts.into_iter().for_each(|attempt| self.remember(offset, attempt));
        self.give_back(offset, ready_at, clock);
    }

    fn remember(&mut self, offset: Offset, attempt: Attempt) {
        let history = self.history.entry(offset.0).or_default();
        if history.len() == HISTORY_MAX {
            history.remove(0);
        }
        history.push(attempt);
    }

    /// Lets a message be ready then, or now, whatever it was doing.
    pub(crate) fn give_back(&mut self, offset: Offset, ready_at: Time, clock: &mut Clock<'_>) {
        self.leave(offset, clock);
        self.slot_mut(offset).until = ready_at;
        self.enter(offset, clock);
    }

    /// Settles a message; what it was doing. None if it was settled, or is not there yet.
    pub(crate) fn settle(&mut self, offset: Offset, clock: &mut Clock<'_>) -> Option<State> {
        if offset.0 >= self.end {
            return None;
        }
        let Ok(at) = self.find(offset.0 / BLOCK) else {
            let removed = self.level(0).remove(offset.0, offset.0 + 1);
            return (removed == 1).then_some(State::Ready);
        };
        if self.slot_at(at, offset).state == State::Settled {
            return None;
        }
        let state = self.leave_at(at, offset, clock);
        if !self.history.is_empty() {
            self.history.remove(&offset.0);
        }
        self.slot_settled(at, offset);
        if let Some(next) = self.lanes.leave(offset.0).map(Offset)
            && self.state(next) == State::Blocked
        {
            self.leave(next, clock);
            self.enter(next, clock);
        }
        Some(state)
    }

    fn slot_settled(&mut self, at: usize, offset: Offset) {
        let block = &mut self.blocks[at];
        block.slots[(offset.0 % BLOCK) as usize].state = State::Settled;
        block.live -= 1;
        if block.live == 0 {
            self.blocks.remove(at);
        }
    }

    /// Settles what is not settled of a run; `each` is told what those that had a slot were doing.
    pub(crate) fn settle_run(
        &mut self,
        (start, end): (Offset, Offset),
        clock: &mut Clock<'_>,
        mut each: impl FnMut(Offset, State),
    ) {
        let mut from = start.0;
        let end = end.0.min(self.end);
        while from < end {
            let at = self.find(from / BLOCK);
            let to = match at {
                Ok(_) => (from / BLOCK + 1) * BLOCK,
                Err(at) => self.blocks.get(at).map_or(end, |block| block.number * BLOCK),
            };
            let to = to.min(end);
            if at.is_err() {
                self.level(0).remove(from, to);
            } else {
                for offset in (from..to).map(Offset) {
                    if let Some(state) = self.settle(offset, clock) {
                        each(offset, state);
                    }
                }
            }
            from = to;
        }
    }

    /// Goes on from `next`: what would have come before is settled.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        // Slots of offsets that are passed over were made in advance, as ready.
        for at in (0..self.blocks.len()).rev() {
            let base = self.blocks[at].number * BLOCK;
            if base + BLOCK <= self.end {
                break;
            }
            for passed in self.end.max(base)..next.0.min(base + BLOCK) {
                self.slot_settled(at, Offset(passed));
            }
        }
        self.end = self.end.max(next.0);
    }

    /// The messages that were touched and are not settled, oldest first.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (Offset, &Slot)> {
        let slots = self.blocks.iter().flat_map(|block| {
            let offsets = (block.number * BLOCK..).map(Offset);
            offsets.zip(block.slots.iter())
        });
        slots.filter(|(offset, slot)| offset.0 < self.end && slot.state != State::Settled)
    }

    /// The messages that are leased, delayed, or wait for an older one of their group.
    pub(crate) fn in_hand_or_waiting(&self) -> impl Iterator<Item = Offset> {
        let is = |state| match state {
            State::Leased(_) | State::Delayed | State::Blocked => true,
            State::Ready | State::Held | State::Settled => false,
        };
        self.touched().filter(move |(_, slot)| is(slot.state)).map(|(offset, _)| offset)
    }

    /// Every message that is not settled, oldest first, from `from` on.
    pub(crate) fn offsets(&self, from: Offset) -> impl Iterator<Item = Offset> {
        let mut next = from.0;
        core::iter::from_fn(move || {
            while next < self.end {
                let offset = Offset(next);
                match self.find(next / BLOCK) {
                    Ok(_) => {
                        next += 1;
                        if self.is_unsettled(offset) {
                            return Some(offset);
                        }
                    }
                    Err(at) => {
                        let block = self.blocks.get(at).map(|block| block.number * BLOCK);
                        let block = block.unwrap_or(self.end);
                        let ready = self.plain().run_from(next).map(|(first, _)| first);
                        if let Some(ready) = ready.filter(|ready| *ready < block) {
                            next = ready + 1;
                            return Some(Offset(ready));
                        }
                        next = block;
                    }
                }
            }
            None
        })
    }

    /// Stops every timer: the queue is going.
    pub(crate) fn stop_timers(&self, timers: &mut Timers) {
        self.touched().for_each(|(_, slot)| timers.stop(slot.timer));
    }

    /// How many timers run for its messages.
    pub(crate) fn timers(&self) -> usize {
        self.touched().filter(|(_, slot)| slot.timer != TimerId::NONE).count()
    }

    /// What is wrong with it, if anything is.
    pub(crate) fn fault(&self, queue: QueueId) -> Option<&'static str> {
        let (mut leased, mut delayed, mut blocked, mut held) = (0, 0, 0, 0);
        for (offset, slot) in self.touched() {
            let level = self.levels.iter().find(|level| level.priority == slot.priority);
            let listed = level.is_some_and(|level| level.ready.contains(offset.0));
            if listed != (slot.state == State::Ready) {
                return Some("a ready message is not among the ready, or another is");
            }
            match slot.state {
                State::Ready => {}
                State::Leased(_) => leased += 1,
                State::Delayed => delayed += 1,
                State::Blocked => blocked += 1,
                State::Held => held += 1,
                State::Settled => return Some("what was touched shows a settled message"),
            }
            if (slot.timer != TimerId::NONE) != slot.due(queue, offset).is_some() {
                return Some("something is due without a timer, or a timer runs for nothing");
            }
            let waits = matches!(slot.state, State::Blocked);
            if self.lanes.is_blocked(offset.0) != waits && slot.state != State::Held {
                return Some("a message overtakes its group, or waits for nobody");
            }
        }
        if self.history.keys().any(|offset| self.slot(Offset(*offset)).is_none()) {
            return Some("the history of a message that is settled");
        }
        if self.levels.iter().any(|level| level.ready.run_from(self.end).is_some()) {
            return Some("a message is ready that is not there yet");
        }
        let counted = (leased, delayed, blocked, held);
        (counted != (self.leased, self.delayed, self.blocked, self.held))
            .then_some("the counts are not those of the slots")
    }
}

/// Starts the timer of what is due for a message next.
fn arm(slot: &mut Slot, offset: Offset, clock: &mut Clock<'_>) {
    slot.timer = match slot.due(clock.queue, offset) {
        Some((at, due)) => clock.timers.start(at, due),
        None => TimerId::NONE,
    };
}
