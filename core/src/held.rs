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

    /// Adds an offset that is not there.
    pub(crate) fn add(&mut self, offset: Offset) {
        let (number, bit) = (offset.0 / BLOCK, 1 << (offset.0 % BLOCK));
        match self.find(number) {
            Ok(at) => {
                let bits = &mut self.blocks[at].1;
                self.empty -= usize::from(*bits == 0);
                *bits |= bit;
            }
            Err(at) => self.blocks.insert(at, (number, bit)),
        }
        self.len += 1;
    }

    /// Removes an offset, if it is there.
    pub(crate) fn remove(&mut self, offset: Offset) -> bool {
        let (number, bit) = (offset.0 / BLOCK, 1 << (offset.0 % BLOCK));
        let Ok(at) = self.find(number) else { return false };
        let bits = &mut self.blocks[at].1;
        if *bits & bit == 0 {
            return false;
        }
        *bits &= !bit;
        self.len -= 1;
        if *bits == 0 {
            self.empty += 1;
            self.sweep();
        }
        true
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
                if !model.contains(&offset) && rng.below(2) == 0 {
                    held.add(offset);
                    model.insert(offset);
                } else {
                    assert_eq!(held.remove(offset), model.remove(&offset), "seed {seed}");
                }
                assert_eq!(held.first(), model.first().copied(), "seed {seed}");
                assert_eq!((held.len(), held.is_empty()), (model.len() as u64, model.is_empty()));
            }
            assert!(held.iter().eq(model), "seed {seed}");
        }
    }
}
