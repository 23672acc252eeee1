//! Whether work contradicts itself.

use super::{State, Work};
use crate::id::{Offset, QueueId};
use crate::timer::TimerId;

impl Work {
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
