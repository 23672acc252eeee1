//! Which messages of a queue a connection holds.

use alloc::collections::VecDeque;

use crate::id::Offset;

const BLOCK: u64 = 64;
/// Empty blocks between others are swept out when there are so many, and more than the others.
const SWEEP_MIN: usize = 16;

/// A set of offsets, as a bit each. Leases are given out about in order and end about in that
/// order, so blocks come at the back and go at the front, and both adding and removing is finding a
/// block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    /// By number. One without bits waits to be swept out.
    blocks: VecDeque<(u64, u64)>,
    empty: usize,
    len: u64,
}

impl Held {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        match self.blocks.back() {
            None => return Err(0),
            Some((back, _)) if *back == number => return Ok(self.blocks.len() - 1),
            Some((back, _)) if *back < number => return Err(self.blocks.len()),
            Some(_) => {}
        }
        self.blocks.binary_search_by_key(&number, |(number, _)| *number)
    }

    /// Adds so many offsets in a row that are not there.
    pub(crate) fn add(&mut self, first: Offset, count: u64) {
        each_block(first, count, |number, mask| {
            match self.find(number) {
                Ok(at) => {
                    let bits = &mut self.blocks[at].1;
                    self.empty -= usize::from(*bits == 0);
                    *bits |= mask;
                }
                Err(at) => self.blocks.insert(at, (number, mask)),
            }
            self.len += u64::from(mask.count_ones());
        });
    }

    /// Removes of so many offsets in a row those that are there.
    pub(crate) fn remove(&mut self, first: Offset, count: u64) {
        each_block(first, count, |number, mask| {
            let Ok(at) = self.find(number) else { return };
            let bits = &mut self.blocks[at].1;
            let there = *bits & mask;
            *bits &= !mask;
            self.len -= u64::from(there.count_ones());
            if *bits == 0 && there != 0 {
                self.empty += 1;
                self.sweep();
            }
        });
    }

    fn sweep(&mut self) {
        while matches!(self.blocks.front(), Some((_, 0))) {
            self.blocks.pop_front();
            self.empty -= 1;
        }
        if self.empty > (self.blocks.len() - self.empty).max(SWEEP_MIN) {
            self.blocks.retain(|(_, bits)| *bits != 0);
            self.empty = 0;
        }
    }

    pub(crate) fn first(&self) -> Option<Offset> {
        self.iter().next()
    }

    /// The offsets, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Offset> {
        self.blocks.iter().flat_map(|(number, bits)| {
            let set = (0..BLOCK).filter(move |bit| bits & (1 << bit) != 0);
            set.map(move |bit| Offset(number * BLOCK + bit))
        })
    }
}

/// Tells of each block that has some of these offsets: its number, and their bits.
fn each_block(first: Offset, count: u64, mut tell: impl FnMut(u64, u64)) {
    let (mut from, end) = (first.0, first.0 + count);
    while from < end {
        let number = from / BLOCK;
        let to = end.min((number + 1) * BLOCK);
        let bits = u64::MAX >> (BLOCK - (to - from));
        tell(number, bits << (from % BLOCK));
        from = to;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn does_what_a_btree_set_does() {
        for seed in 0..20 {
            let mut rng = Rng::new(seed);
            let (mut held, mut model) = (Held::default(), BTreeSet::new());
            let range = 100 << rng.below(10);
            for _ in 0..2_000 {
                let offset = Offset(u64::from(rng.below(range)));
                let count = 1 + u64::from(rng.below(100));
                let run = || (offset.0..offset.0 + count).map(Offset);
                if rng.below(2) == 0 {
                    if run().all(|offset| !model.contains(&offset)) {
                        held.add(offset, count);
                        model.extend(run());
                    }
                } else {
                    held.remove(offset, count);
                    model.retain(|held| run().all(|offset| offset != *held));
                }
                assert_eq!(held.first(), model.first().copied(), "seed {seed}");
                assert_eq!((held.len(), held.is_empty()), (model.len() as u64, model.is_empty()));
            }
            assert!(held.iter().eq(model), "seed {seed}");
        }
    }
}
