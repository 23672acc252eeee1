//! A sorted map with little code: what a broker finds by number.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Index;

/// A map kept as a `Vec` sorted by key. Its keys are numbers that rise as they are given out, so an
/// insertion is nearly always a push; a removal moves what comes after it, so the values are boxed.
/// Unlike a `BTreeMap` it adds next to nothing to the size of the wasm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Map<K, V>(Vec<(K, Box<V>)>);

impl<K, V> Default for Map<K, V> {
    fn default() -> Map<K, V> {
        Map(Vec::new())
    }
}

impl<K: Ord + Copy, V> Map<K, V> {
    fn find(&self, key: K) -> Result<usize, usize> {
        match self.0.last() {
            Some((last, _)) if *last >= key => self.0.binary_search_by(|(k, _)| k.cmp(&key)),
            Some(_) | None => Err(self.0.len()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(*key).is_ok()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(*key).ok().map(|at| &*self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(*key).ok().map(|at| &mut *self.0[at].1)
    }

    /// The value under `key`, put there by `make` if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(key) {
            Ok(at) => at,
            Err(at) => {
                self.0.insert(at, (key, Box::new(make())));
                at
            }
        };
        &mut self.0[at].1
    }

    /// Puts a value under `key`, in place of the one that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(key) {
            Ok(at) => *self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, Box::new(value))),
        }
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.find(*key).ok().map(|at| *self.0.remove(at).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, &**value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.0.iter_mut().map(|(key, value)| (&*key, &mut **value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| &**value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| &mut **value)
    }
}

impl<K: Ord + Copy, V> Index<&K> for Map<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("whoever indexes knows that the key is there")
    }
}

impl<K: Ord + Copy, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = core::iter::Map<alloc::vec::IntoIter<(K, Box<V>)>, fn((K, Box<V>)) -> (K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(key, value)| (key, *value))
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn does_what_a_btree_map_does() {
        let mut rng = Rng::new(1);
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        for step in 0..2_000 {
            let key = rng.below(40);
            match rng.below(3) {
                0 => {
                    map.insert(key, step);
                    model.insert(key, step);
                }
                1 => assert_eq!(map.remove(&key), model.remove(&key)),
                _ => {
                    let made = *map.get_or_insert_with(key, || step);
                    assert_eq!(made, *model.entry(key).or_insert(step));
                }
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert!(map.iter().eq(model.iter()) && map.len() == model.len());
        }
    }
}
