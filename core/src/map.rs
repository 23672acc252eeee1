//! A sorted map with little code: what a broker finds by number.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Index;

use crate::group::Partition;
use crate::id::{
    ConnId, ConsumerId, GroupId, MemberId, Place, ProducerId, QueueId, RedriveId, TopicId,
};
use crate::producer::Lane;

/// Removed entries are swept out when there are so many, and more than the others.
const SWEEP_MIN: usize = 32;

/// A map kept as a `Vec` sorted by key. Its keys are numbers that rise as they are given out, so an
/// insertion is nearly always a push. A removal leaves its place empty until there are more empty
/// places than others; so it costs no more than finding the key, and the values are boxed. Unlike a
/// `BTreeMap` it adds next to nothing to the size of the wasm.
#[derive(Clone, Debug)]
pub(crate) struct Map<K, V> {
    places: Vec<(K, Option<Box<V>>)>,
    /// The first place that is not empty, or the end.
    first: usize,
    len: usize,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Map<K, V> {
        Map { places: Vec::new(), first: 0, len: 0 }
    }
}

/// What things are found by.
pub(crate) trait Key: Ord + Copy {
    /// At most so many keys lie between a lesser key and this one, the lesser one counted.
    fn places_after(self, lesser: Self) -> usize;
}

impl Key for u64 {
    fn places_after(self, lesser: u64) -> usize {
        usize::try_from(self - lesser).unwrap_or(usize::MAX)
    }
}

impl Key for u32 {
    fn places_after(self, lesser: u32) -> usize {
        u64::from(self).places_after(u64::from(lesser))
    }
}

impl Key for Partition {
    fn places_after(self, (topic, partition): Partition) -> usize {
        if self.0 == topic { self.1.places_after(partition) } else { usize::MAX }
    }
}

macro_rules! numbers {
    ($($id:ty),*) => {
        $(impl Key for $id {
            fn places_after(self, lesser: $id) -> usize {
                self.0.places_after(lesser.0)
            }
        })*
    };
}

numbers!(ConnId, ConsumerId, GroupId, MemberId, ProducerId, QueueId, RedriveId, TopicId);

/// Keys that say nothing of what lies between them.
macro_rules! sparse {
    ($($key:ty),*) => {
        $(impl Key for $key {
            fn places_after(self, _: $key) -> usize {
                usize::MAX
            }
        })*
    };
}

sparse!(Place, Lane, (GroupId, Partition), (bool, u32));

impl<K: Key, V> Map<K, V> {
    #[inline]
    fn find(&self, key: K) -> Result<usize, usize> {
        let Some((first, _)) = self.places.first() else { return Err(0) };
        if key < *first {
            return Err(0);
        }
        // Where no number is missing a key is as far from the first as their numbers are.
        let guess = key.places_after(*first);
        match self.places.get(guess) {
            Some((found, _)) if *found == key => Ok(guess),
            Some(_) | None => self.search(key, guess),
        }
    }

    /// Finds a key that is not at the guessed place, and so nearer to the first.
    fn search(&self, key: K, guess: usize) -> Result<usize, usize> {
        if self.places.last().is_none_or(|(last, _)| *last < key) {
            return Err(self.places.len());
        }
        let mut high = guess.min(self.places.len() - 1);
        let mut step = 1;
        while self.places[high].0 > key {
            let low = high.saturating_sub(step);
            if self.places[low].0 < key {
                let between = &self.places[low + 1..high];
                let found = between.binary_search_by(|(k, _)| k.cmp(&key));
                return found.map(|at| at + low + 1).map_err(|at| at + low + 1);
            }
            (high, step) = (low, step * 2);
        }
        Ok(high)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(*key).ok().and_then(|at| self.places[at].1.as_deref())
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(*key).ok().and_then(|at| self.places[at].1.as_deref_mut())
    }

    /// The value under `key`, put there by `make` if there is none.
    pub(crate) fn get_or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let at = match self.find(key) {
            Ok(at) => {
                if self.places[at].1.is_none() {
                    self.fill(at, make());
                }
                at
            }
            Err(at) => {
                self.put(at, key, make());
                at
            }
        };
        self.places[at].1.as_mut().expect("it is there, or was put there")
    }

    /// Puts a value under `key`, in place of the one that was there.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.find(key) {
            Ok(at) => match &mut self.places[at].1 {
                Some(held) => **held = value,
                None => self.fill(at, value),
            },
            Err(at) => self.put(at, key, value),
        }
    }

    fn fill(&mut self, at: usize, value: V) {
        self.places[at].1 = Some(Box::new(value));
        self.first = self.first.min(at);
        self.len += 1;
    }

    fn put(&mut self, at: usize, key: K, value: V) {
        self.places.insert(at, (key, Some(Box::new(value))));
        // What was first may have moved up; what comes before it is empty.
        self.first = self.first.min(at);
        self.len += 1;
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.find(*key).ok()?;
        let value = self.places[at].1.take()?;
        self.len -= 1;
        if self.len == 0 {
            self.places.clear();
        }
        while matches!(self.places.last(), Some((_, None))) {
            self.places.pop();
        }
        while matches!(self.places.get(self.first), Some((_, None))) {
            self.first += 1;
        }
        if self.places.len() - self.len > self.len.max(SWEEP_MIN) {
            self.places.retain(|(_, value)| value.is_some());
            self.first = 0;
        }
        self.first = self.first.min(self.places.len());
        Some(*value)
    }

    /// The least key.
    pub(crate) fn first_key(&self) -> Option<K> {
        self.places.get(self.first).map(|(key, _)| *key)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.places.retain(|(key, value)| value.as_ref().is_some_and(|value| keep(key, value)));
        (self.first, self.len) = (0, self.places.len());
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        let places = self.places[self.first..].iter();
        places.filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        let places = self.places[self.first..].iter_mut();
        places.filter_map(|(key, value)| Some((&*key, value.as_deref_mut()?)))
    }

    /// The entries whose keys are `from` or greater, in order.
    pub(crate) fn from(&self, from: K) -> impl Iterator<Item = (&K, &V)> {
        let at = self.find(from).unwrap_or_else(|at| at);
        self.places[at..].iter().filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }
}

impl<K: Key, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Map<K, V>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<K: Key, V: Eq> Eq for Map<K, V> {}

impl<K: Key, V> Index<&K> for Map<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("whoever indexes knows that the key is there")
    }
}

impl<K: Key, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = core::iter::FilterMap<
        alloc::vec::IntoIter<(K, Option<Box<V>>)>,
        fn((K, Option<Box<V>>)) -> Option<(K, V)>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter().filter_map(|(key, value)| Some((key, *value?)))
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
        for step in 0..20_000 {
            let key = rng.below(120);
            match rng.below(4) {
                0 => {
                    map.insert(key, step);
                    model.insert(key, step);
                }
                1 | 2 => assert_eq!(map.remove(&key), model.remove(&key)),
                _ => {
                    let made = *map.get_or_insert_with(key, || step);
                    assert_eq!(made, *model.entry(key).or_insert(step));
                }
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert!(map.iter().eq(model.iter()) && map.len() == model.len());
            assert_eq!(map.first_key(), model.keys().next().copied());
            assert!(map.from(key).eq(model.range(key..)));
            if step % 5_000 == 0 {
                map.retain(|key, _| key % 3 == 0);
                model.retain(|key, _| key % 3 == 0);
            }
        }
    }
}
