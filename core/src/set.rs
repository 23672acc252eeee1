//! A small sorted set: what a connection has, who waits, where a batch goes.

use alloc::vec::Vec;

/// A set kept as a sorted `Vec`. The sets here are small, or are built in order; and unlike a
/// `BTreeSet` it adds next to nothing to the size of the wasm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set<T>(Vec<T>);

impl<T> Default for Set<T> {
    fn default() -> Set<T> {
        Set(Vec::new())
    }
}

impl<T: Ord + Copy> Set<T> {
    pub(crate) fn of(only: T) -> Set<T> {
        Set(alloc::vec![only])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> core::iter::Copied<core::slice::Iter<'_, T>> {
        self.0.iter().copied()
    }

    pub(crate) fn contains(&self, value: T) -> bool {
        self.0.binary_search(&value).is_ok()
    }

    /// Adds a value; false if it was there.
    pub(crate) fn insert(&mut self, value: T) -> bool {
        match self.0.last() {
            Some(last) if *last >= value => match self.0.binary_search(&value) {
                Ok(_) => false,
                Err(at) => {
                    self.0.insert(at, value);
                    true
                }
            },
            Some(_) | None => {
                self.0.push(value);
                true
            }
        }
    }

    /// Removes a value; false if it was not there.
    pub(crate) fn remove(&mut self, value: T) -> bool {
        match self.0.binary_search(&value) {
            Ok(at) => {
                self.0.remove(at);
                true
            }
            Err(_) => false,
        }
    }
}

impl<T: Ord + Copy> Extend<T> for Set<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.insert(value);
        }
    }
}

impl<T: Ord + Copy> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Set<T> {
        let mut set = Set::default();
        set.extend(values);
        set
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = alloc::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn does_what_a_btree_set_does() {
        let mut rng = Rng::new(1);
        let (mut set, mut model) = (Set::default(), BTreeSet::new());
        for _ in 0..2_000 {
            let value = rng.below(40);
            if rng.below(2) == 0 {
                assert_eq!(set.insert(value), model.insert(value));
            } else {
                assert_eq!(set.remove(value), model.remove(&value));
            }
            assert_eq!(set.contains(value), model.contains(&value));
            assert!(set.iter().eq(model.iter().copied()) && set.len() == model.len());
        }
    }
}
