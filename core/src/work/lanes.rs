//! Ordered lanes: of the messages of one group, only the oldest that is not settled is worked on.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::planted::{Planted, planted};

/// Which lane each message is in. A lane is there as long as it has a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    by_group: BTreeMap<Box<[u8]>, u32>,
    lanes: Vec<Lane>,
    free: Vec<u32>,
    of: BTreeMap<u64, u32>,
}

#[derive(Clone, Debug, Default)]
struct Lane {
    group: Box<[u8]>,
    /// Offsets, the oldest in front.
    messages: VecDeque<u64>,
}

impl Lanes {
    /// Whether no message is in a lane.
    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// Puts the newest message at the end of its group's lane.
    pub(crate) fn join(&mut self, group: &[u8], offset: u64) {
        let number = match self.by_group.get(group) {
            Some(number) => *number,
            None => {
                let number = self.free.pop().unwrap_or_else(|| {
                    self.lanes.push(Lane::default());
                    self.lanes.len() as u32 - 1
                });
                self.lanes[number as usize].group = group.into();
                self.by_group.insert(group.into(), number);
                number
            }
        };
        self.lanes[number as usize].messages.push_back(offset);
        self.of.insert(offset, number);
    }

    /// Whether a message has to wait for an older one of its group.
    pub(crate) fn is_blocked(&self, offset: u64) -> bool {
        let lane = self.of.get(&offset).map(|number| &self.lanes[*number as usize]);
        let waits = lane.is_some_and(|lane| lane.messages.front() != Some(&offset));
        waits && !planted(Planted::LanesAreNotKept)
    }

    /// Takes a settled message out of its lane; the one that now may go, if it waited for it.
    pub(crate) fn leave(&mut self, offset: u64) -> Option<u64> {
        if self.of.is_empty() {
            return None;
        }
        let number = self.of.remove(&offset)?;
        let lane = &mut self.lanes[number as usize];
        if lane.messages.front() != Some(&offset) {
            let at = lane.messages.binary_search(&offset).expect("a message is in its lane");
            lane.messages.remove(at);
            return None;
        }
        lane.messages.pop_front();
        let next = lane.messages.front().copied();
        if next.is_none() {
            self.by_group.remove(&lane.group);
            *lane = Lane::default();
            self.free.push(number);
        }
        next
    }
}
