//! A set of offsets, kept as runs of consecutive ones.

use alloc::collections::BTreeMap;

/// A set of offsets that costs as much as it has gaps: a million messages that came one after
/// another are one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// The first run: where it begins, and the offset after its last. Most queues have no other,
    /// and so need no tree. Nought to nought if there is none at all.
    head: (u64, u64),
    /// The end of each further run, and its beginning. By their ends, so that taking the first
    /// offset of all moves a beginning, and nothing else.
    starts: BTreeMap<u64, u64>,
    len: u64,
}

impl Runs {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.first_run().map(|(start, _)| start)
    }

    /// The first run: where it begins, and the offset after its last.
    pub(crate) fn first_run(&self) -> Option<(u64, u64)> {
        (self.len > 0).then_some(self.head)
    }

    /// Each run: where it begins, and the offset after its last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        let others = self.starts.iter().map(|(end, start)| (*start, *end));
        self.first_run().into_iter().chain(others)
    }

    /// The run that `from` lies in, from there on, or the next after it.
    pub(crate) fn run_from(&self, from: u64) -> Option<(u64, u64)> {
        let (start, end) = self.head;
        if from < end {
            return Some((from.max(start), end));
        }
        if self.starts.is_empty() {
            return None;
        }
        let (end, start) = self.starts.range(from.checked_add(1)?..).next()?;
        Some((from.max(*start), *end))
    }

    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.run_from(offset).is_some_and(|(start, _)| start == offset)
    }

    /// Adds `start..end`, of which nothing was there.
    pub(crate) fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let none = self.len == 0;
        self.len += end - start;
        if none {
            self.head = (start, end);
        } else if start == self.head.1 {
            self.head.1 = end;
            if let Some(next) = self.starts.first_entry().filter(|next| *next.get() == end) {
                self.head.1 = *next.key();
                next.remove();
            }
        } else if end == self.head.0 {
            self.head.0 = start;
        } else if end < self.head.0 {
            self.starts.insert(self.head.1, self.head.0);
            self.head = (start, end);
        } else {
            let start = self.starts.remove(&start).unwrap_or(start);
            // A run that begins where this one ends takes it in.
            match self.starts.range_mut(end..).next() {
                Some((_, after)) if *after == end => *after = start,
                Some(_) | None => drop(self.starts.insert(end, start)),
            }
        }
    }

    /// Takes out the first so many of the first run, which has as many.
    pub(crate) fn take_first(&mut self, count: u64) {
        self.head.0 += count;
        self.len -= count;
        self.mend_head();
    }

    /// Has the next run in front if the first is used up.
    fn mend_head(&mut self) {
        if self.head.0 == self.head.1 {
            let next = self.starts.pop_first();
            self.head = next.map_or((0, 0), |(end, start)| (start, end));
        }
    }

    /// Takes out of `start..end` what is there; how many those were.
    pub(crate) fn remove(&mut self, start: u64, end: u64) -> u64 {
        let before = self.len;
        while let Some((from, run_end)) = self.run_from(start).filter(|(from, _)| *from < end) {
            let to = run_end.min(end);
            self.len -= to - from;
            if run_end == self.head.1 {
                let run_start = self.head.0;
                if run_start < from {
                    self.head.1 = from;
                    if to < run_end {
                        self.starts.insert(run_end, to);
                    }
                } else {
                    self.head.0 = to;
                    self.mend_head();
                }
                continue;
            }
            let run_start = self.starts.remove(&run_end).expect("the run was found");
            if run_start < from {
                self.starts.insert(from, run_start);
            }
            if to < run_end {
                self.starts.insert(run_end, to);
            }
        }
        before - self.len
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn are_the_set_of_their_offsets() {
        for seed in 0..100 {
            let mut rng = Rng::new(seed);
            let (mut runs, mut model) = (Runs::default(), BTreeSet::new());
            for _ in 0..300 {
                let start = u64::from(rng.below(60));
                let end = start + u64::from(rng.below(9));
                match rng.below(4) {
                    0 | 1 if (start..end).all(|offset| !model.contains(&offset)) => {
                        runs.insert(start, end);
                        model.extend(start..end);
                    }
                    2 => {
                        let gone = (start..end).filter(|offset| model.remove(offset)).count();
                        assert_eq!(runs.remove(start, end), gone as u64, "seed {seed}");
                    }
                    _ => {
                        if let Some((start, end)) = runs.first_run() {
                            let count = 1 + u64::from(rng.below((end - start) as u32));
                            runs.take_first(count);
                            let taken: Vec<_> = (0..count).map(|_| model.pop_first()).collect();
                            assert!(taken.into_iter().flatten().eq(start..start + count));
                        }
                    }
                }
                let all: Vec<_> = runs.iter().flat_map(|(start, end)| start..end).collect();
                assert!(all.iter().eq(model.iter()), "seed {seed}: {runs:?} is not {model:?}");
                assert_eq!(runs.len(), model.len() as u64, "seed {seed}");
                assert_eq!(runs.first(), model.first().copied(), "seed {seed}");
                assert!(runs.iter().zip(runs.iter().skip(1)).all(|(a, b)| a.1 < b.0), "{runs:?}");
                assert_eq!(runs.contains(start), model.contains(&start), "seed {seed}");
                let next = runs.run_from(start).map(|(next, _)| next);
                assert_eq!(next, model.range(start..).next().copied(), "seed {seed}");
            }
        }
    }
}
