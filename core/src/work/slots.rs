//! What is known of messages one by one, of those that need it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::{Runs, State};
use crate::id::{Offset, QueueId};
use crate::time::Time;
use crate::timer::{Due, TimerId};

const BLOCK: u64 = 64;

/// What is known of a message that was touched.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// When the lease or the delay ends.
    pub(crate) until: Time,
    /// When it is too old to be delivered.
    pub(crate) expires: Time,
    /// Runs while something is due.
    pub(super) timer: TimerId,
    /// Attempts that ended without an acknowledgement.
    pub(crate) failed: u32,
    /// How often it was delivered in this life of the broker.
    pub(crate) delivery: u32,
    pub(crate) priority: u8,
}

pub(super) const UNTOUCHED: Slot = Slot {
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
    pub(super) fn due(&self, queue: QueueId, offset: Offset) -> Option<(Time, Due)> {
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
    live: u64,
    slots: Box<[Slot; BLOCK as usize]>,
}

/// The slots, in blocks of offsets in a row. Where there is no block nothing is known of a message
/// but that it is ready, or settled.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    /// By number.
    blocks: VecDeque<Block>,
}

/// Where an offset's block is among the others.
#[derive(Clone, Copy)]
pub(super) struct At(usize);

fn place(offset: u64) -> usize {
    (offset % BLOCK) as usize
}

/// The offset after the last of an offset's block.
fn block_end(offset: u64) -> u64 {
    (offset / BLOCK + 1) * BLOCK
}

impl Slots {
    fn position(&self, number: u64) -> Result<usize, usize> {
        let Some(front) = self.blocks.front() else { return Err(0) };
        // Most often there are no gaps between blocks.
        let guess = number.wrapping_sub(front.number) as usize;
        match self.blocks.get(guess) {
            Some(block) if block.number == number => Ok(guess),
            Some(_) | None => self.blocks.binary_search_by_key(&number, |block| block.number),
        }
    }

    /// Where the block of an offset is, if there is one.
    pub(super) fn find(&self, offset: u64) -> Option<At> {
        self.position(offset / BLOCK).ok().map(At)
    }

    pub(super) fn get(&self, offset: u64) -> Option<&Slot> {
        let At(at) = self.find(offset)?;
        Some(&self.blocks[at].slots[place(offset)])
    }

    /// The slots of an offset and of those after it in its block; none if there is no block.
    pub(super) fn run_from(&self, offset: u64) -> &[Slot] {
        self.find(offset).map_or(&[], |At(at)| &self.blocks[at].slots[place(offset)..])
    }

    /// Where the block of an offset is; made if it was not needed so far: of its messages those
    /// are ready that are in `ready`, those from `end` on are to come, and the others settled.
    pub(super) fn reach(&mut self, offset: u64, ready: &Runs, end: u64) -> At {
        let number = offset / BLOCK;
        At(self.position(number).unwrap_or_else(|at| {
            self.blocks.insert(at, Block::of(number, ready, end));
            at
        }))
    }

    pub(super) fn at(&mut self, At(at): At, offset: u64) -> &mut Slot {
        &mut self.blocks[at].slots[place(offset)]
    }

    /// The slots from `start` on, up to `end` or the end of the block.
    pub(super) fn run(&mut self, At(at): At, start: u64, end: u64) -> &mut [Slot] {
        let count = (end.min(block_end(start)) - start) as usize;
        &mut self.blocks[at].slots[place(start)..][..count]
    }

    /// So many messages of a block were settled.
    pub(super) fn settled(&mut self, At(at): At, count: u64) {
        let block = &mut self.blocks[at];
        block.live -= count;
        if block.live == 0 {
            self.blocks.remove(at);
        }
    }

    /// A message of a block that was settled is there once more.
    pub(super) fn revive(&mut self, At(at): At, offset: u64, slot: Slot) {
        let block = &mut self.blocks[at];
        block.live += 1;
        block.slots[place(offset)] = slot;
    }

    /// From `offset` on, as far as all of it has a block, or none has: whether it has one, and
    /// where that ends.
    pub(super) fn stretch(&self, offset: u64) -> (bool, u64) {
        match self.position(offset / BLOCK) {
            Ok(_) => (true, block_end(offset)),
            Err(at) => (false, self.blocks.get(at).map_or(u64::MAX, |block| block.number * BLOCK)),
        }
    }

    /// Offsets from `end` up to `next` are passed over: they count as settled, if there is a block
    /// that has them as still to come.
    pub(super) fn pass_over(&mut self, end: u64, next: u64) {
        for at in (0..self.blocks.len()).rev() {
            let base = self.blocks[at].number * BLOCK;
            if base + BLOCK <= end {
                break;
            }
            let (from, to) = (end.max(base), next.min(base + BLOCK));
            if from < to {
                let passed = self.run(At(at), from, to);
                passed.iter_mut().for_each(|slot| slot.state = State::Settled);
                self.settled(At(at), to - from);
            }
        }
    }

    /// Every slot, also of what is settled or to come, by offset.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Offset, &Slot)> {
        self.blocks.iter().flat_map(|block| {
            let offsets = (block.number * BLOCK..).map(Offset);
            offsets.zip(block.slots.iter())
        })
    }
}

impl Block {
    fn of(number: u64, ready: &Runs, end: u64) -> Block {
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
        while let Some((start, end)) = ready.run_from(from) {
            if start >= base + BLOCK {
                break;
            }
            make_ready(start, end);
            from = end;
        }
        if end < base + BLOCK {
            make_ready(end, base + BLOCK);
        }
        Block { number, live, slots }
    }
}
