//! A set of offsets, kept as runs: consumers work nearly in order, so a run or two is all there is.

use std::collections::BTreeMap;

/// The set: each run's first offset, and the one after its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets(BTreeMap<u64, u64>);

impl Offsets {
    /// Adds one; false if it was there.
    pub(crate) fn insert(&mut self, offset: u64) -> bool {
        if self.contains(offset) {
            return false;
        }
        let mut start = offset;
        let mut end = offset + 1;
        if let Some((&before, &to)) = self.0.range(..offset).next_back()
            && to == offset
        {
            start = before;
        }
        if let Some(after) = self.0.remove(&end) {
            end = after;
        }
        self.0.insert(start, end);
        true
    }

    /// Whether it is there.
    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.0.range(..=offset).next_back().is_some_and(|(_, &end)| offset < end)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// How many there are from `from` to before `to`.
    pub(crate) fn len_within(&self, from: u64, to: u64) -> u64 {
        self.0.range(..to).map(|(&start, &end)| end.min(to).saturating_sub(start.max(from))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_and_join_and_are_counted() {
        let mut offsets = Offsets::default();
        for offset in [3, 1, 5, 2, 9] {
            assert!(offsets.insert(offset));
        }
        assert!(!offsets.insert(2));
        assert_eq!(offsets, Offsets(BTreeMap::from([(1, 4), (5, 6), (9, 10)])));
        assert!(offsets.contains(5) && !offsets.contains(4) && !offsets.contains(0));
        assert_eq!(offsets.len(), 5);
        assert_eq!(offsets.len_within(2, 6), 3);
    }
}
