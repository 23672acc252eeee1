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

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::id::{ConnId, ConsumerId, LeaseId, Offset, QueueId};
use crate::limits::HISTORY_MAX;
use crate::planted::{Planted, planted};
use crate::time::Time;
use crate::timer::{TimerId, Timers};
use crate::view::Attempt;

mod check;
mod lanes;
mod runs;
mod settle;
mod slots;

use lanes::Lanes;
use runs::Runs;
pub(crate) use slots::Slot;
use slots::{At, Slots, UNTOUCHED};

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

/// Messages in a row that were leased together: their leases have the same number, and it is the
/// same attempt at each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LeasedRun {
    pub(crate) start: Offset,
    pub(crate) count: u64,
    pub(crate) delivery: u32,
    pub(crate) attempt: u32,
}

impl LeasedRun {
    /// Whether another run begins where this one ends, and is like it.
    pub(crate) fn goes_on_with(&self, next: &LeasedRun) -> bool {
        self.start.plus(self.count) == next.start
            && (self.delivery, self.attempt) == (next.delivery, next.attempt)
    }
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
    /// An offset without a slot is ready if it is in the runs of priority 0, and settled otherwise.
    slots: Slots,
    /// By priority, the highest first. The last, of priority 0, is always there.
    levels: Vec<Level>,
    leased: u64,
    delayed: u64,
    blocked: u64,
    held: u64,
    lanes: Lanes,
    /// How often any one of its messages was delivered in this life of the broker, at most.
    deliveries: u32,
    /// How many deliveries there were in this life of the broker.
    delivered: u64,
    history: BTreeMap<u64, Vec<Attempt>>,
}

impl Default for Work {
    fn default() -> Work {
        Work {
            end: 0,
            slots: Slots::default(),
            levels: alloc::vec![Level::default()],
            leased: 0,
            delayed: 0,
            blocked: 0,
            held: 0,
            lanes: Lanes::default(),
            deliveries: 0,
            delivered: 0,
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

    /// How many deliveries there were in this life of the broker.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
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

    /// The next to deliver that are in a row and of one priority: the first, and the offset after
    /// the last.
    pub(crate) fn next_run(&self) -> Option<(Offset, Offset)> {
        let run = self.levels.iter().find_map(|level| level.ready.first_run());
        run.map(|(start, end)| (Offset(start), Offset(end)))
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

    /// The slot of a message that is not settled, if it was touched.
    pub(crate) fn slot(&self, offset: Offset) -> Option<&Slot> {
        let slot = self.slots.get(offset.0)?;
        (offset.0 < self.end && slot.state != State::Settled).then_some(slot)
    }

    /// How many of these leases, from the first on, name messages in a row that are leased to this
    /// connection by these very leases. Fewer are counted where it would take more than one look.
    pub(crate) fn leased_in_a_row(&self, leases: &[LeaseId], conn: ConnId) -> usize {
        let LeaseId { queue, offset, epoch, .. } = leases[0];
        let slots = self.slots.run_from(offset.0).iter().zip(offset.0..);
        let is_held = |(lease, (slot, offset)): &(&LeaseId, (&Slot, u64))| {
            let named = LeaseId { queue, offset: Offset(*offset), delivery: slot.delivery, epoch };
            **lease == named && matches!(slot.state, State::Leased(by) if by.conn == conn)
        };
        leases.iter().zip(slots).take_while(is_held).count()
    }

    /// What a message is doing.
    pub(crate) fn state(&self, offset: Offset) -> State {
        if offset.0 >= self.end {
            return State::Settled;
        }
        match self.slots.get(offset.0) {
            Some(slot) => slot.state,
            None if self.plain().contains(offset.0) => State::Ready,
            None => State::Settled,
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
        self.slots.at(at, offset.0)
    }

    fn reach(&mut self, offset: Offset) -> At {
        let plain = &self.levels.last().expect("the level of priority 0 is always there").ready;
        self.slots.reach(offset.0, plain, self.end)
    }

    /// A settled message is to be worked on once more, as if it had just come.
    pub(crate) fn revive(&mut self, offset: Offset, arrival: Arrival<'_>, clock: &mut Clock<'_>) {
        assert!(offset.0 < self.end && !self.is_unsettled(offset), "only what is settled revives");
        let at = self.reach(offset);
        let slot = Slot {
            priority: arrival.priority,
            expires: arrival.expires,
            until: arrival.ready_at,
            // Leases of before stay stale.
            delivery: self.deliveries,
            ..UNTOUCHED
        };
        self.slots.revive(at, offset.0, slot);
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

    fn leave_at(&mut self, at: At, offset: Offset, clock: &mut Clock<'_>) -> State {
        let slot = self.slots.at(at, offset.0);
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

    /// Leases what is next: messages in a row that are alike, at most so many.
    pub(crate) fn lease_run(
        &mut self,
        max: u64,
        holder: Holder,
        until: Time,
        clock: &mut Clock<'_>,
    ) -> Option<LeasedRun> {
        let level = self.levels.iter().position(|level| level.ready.len() > 0)?;
        let (start, end) = self.levels[level].ready.first_run()?;
        // The slots are made while the runs still tell that the messages are ready.
        let at = self.reach(Offset(start));
        let slots = self.slots.run(at, start, end.min(start.saturating_add(max)));
        let (failed, delivery) = (slots[0].failed, slots[0].delivery + 1);
        let mut count = 0;
        for (slot, offset) in slots.iter_mut().zip(start..) {
            if (slot.failed, slot.delivery + 1) != (failed, delivery) {
                break;
            }
            clock.timers.stop(slot.timer);
            slot.state = State::Leased(holder);
            slot.until = until;
            slot.delivery = delivery;
            arm(slot, Offset(offset), clock);
            count += 1;
        }
        self.levels[level].ready.take_first(count);
        self.leased += count;
        self.delivered += count;
        self.deliveries = self.deliveries.max(delivery);
        Some(LeasedRun { start: Offset(start), count, delivery, attempt: failed + 1 })
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

    /// Goes on from `next`: what would have come before is settled.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        self.slots.pass_over(self.end, next.0);
        self.end = self.end.max(next.0);
    }

    /// The messages that were touched and are not settled, oldest first.
    pub(crate) fn touched(&self) -> impl Iterator<Item = (Offset, &Slot)> {
        let slots = self.slots.iter();
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
                let (has_slots, end) = self.slots.stretch(next);
                if has_slots {
                    next += 1;
                    if self.is_unsettled(offset) {
                        return Some(offset);
                    }
                    continue;
                }
                let end = end.min(self.end);
                let ready = self.plain().run_from(next).map(|(first, _)| first);
                if let Some(ready) = ready.filter(|ready| *ready < end) {
                    next = ready + 1;
                    return Some(Offset(ready));
                }
                next = end;
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
}

/// Starts the timer of what is due for a message next.
fn arm(slot: &mut Slot, offset: Offset, clock: &mut Clock<'_>) {
    slot.timer = match slot.due(clock.queue, offset) {
        Some((at, due)) => clock.timers.start(at, due),
        None => TimerId::NONE,
    };
}
