//! How messages are done with: one by one, and in runs.

use super::{Clock, State, Work};
use crate::id::Offset;
use crate::planted::{Planted, planted};
use crate::timer::TimerId;

impl Work {
    /// Settles a message; what it was doing. None if it was settled, or is not there yet.
    fn settle(&mut self, offset: Offset, clock: &mut Clock<'_>) -> Option<State> {
        if offset.0 >= self.end {
            return None;
        }
        let Some(at) = self.slots.find(offset.0) else {
            let removed = self.level(0).remove(offset.0, offset.0 + 1);
            return (removed == 1).then_some(State::Ready);
        };
        if self.slots.at(at, offset.0).state == State::Settled {
            return None;
        }
        let state = self.leave_at(at, offset, clock);
        if !self.history.is_empty() {
            self.history.remove(&offset.0);
        }
        self.slots.at(at, offset.0).state = State::Settled;
        self.slots.settled(at, 1);
        if let Some(next) = self.lanes.leave(offset.0).map(Offset)
            && self.state(next) == State::Blocked
        {
            self.leave(next, clock);
            self.enter(next, clock);
        }
        Some(state)
    }

    /// Settles these messages, one after the other; `each` is told of so many in a row what they
    /// were doing. Ends at one that was settled, or is not there yet, and returns it.
    pub(crate) fn settle_all(
        &mut self,
        offsets: &[Offset],
        clock: &mut Clock<'_>,
        mut each: impl FnMut(Offset, u64, State),
    ) -> Result<(), Offset> {
        let mut rest = offsets;
        while let [first, ..] = rest {
            let (count, state) = match self.settle_leased(rest, clock) {
                Some(settled) => settled,
                None => (1, self.settle(*first, clock).ok_or(*first)?),
            };
            each(*first, count as u64, state);
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Settles the first of these messages as long as they are in a row, leased to the same, and
    /// nothing else is known of them; how many it were.
    fn settle_leased(
        &mut self,
        offsets: &[Offset],
        clock: &mut Clock<'_>,
    ) -> Option<(usize, State)> {
        let first = offsets[0].0;
        if first >= self.end || !self.history.is_empty() || !self.lanes.is_empty() {
            return None;
        }
        let at = self.slots.find(first)?;
        let state = self.slots.at(at, first).state;
        if !matches!(state, State::Leased(_)) {
            return None;
        }
        let slots = self.slots.run(at, first, u64::MAX);
        let mut count = 0;
        for ((slot, offset), next) in slots.iter_mut().zip(offsets).zip(first..) {
            if offset.0 != next || slot.state != state {
                break;
            }
            slot.state = State::Settled;
            let timer = core::mem::replace(&mut slot.timer, TimerId::NONE);
            if !planted(Planted::TimersAreNotStopped) {
                clock.timers.stop(timer);
            }
            count += 1;
        }
        self.leased -= count as u64;
        self.slots.settled(at, count as u64);
        Some((count, state))
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
            let (has_slots, to) = self.slots.stretch(from);
            let to = to.min(end);
            if has_slots {
                for offset in (from..to).map(Offset) {
                    if let Some(state) = self.settle(offset, clock) {
                        each(offset, state);
                    }
                }
            } else {
                self.level(0).remove(from, to);
            }
            from = to;
        }
    }
}
