//! Binding patterns of topic exchanges: words, `*` for one and `#` for any number of them.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Counts, Leads, add, remove};
use crate::sort::sort_by_key;

/// Binding patterns as a trie over words, walked as an automaton: all places that the words so far
/// can have led to, one word at a time. So matching costs what the matching patterns have in common
/// with the key, not what was bound; and a pattern comes and goes at the cost of its words.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    nodes: Vec<Node>,
    /// Nodes that nothing leads to, to be used again.
    free: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    words: BTreeMap<String, usize>,
    /// After `*`.
    one: Option<usize>,
    /// After `#`.
    many: Option<usize>,
    /// Whether this node was reached by `#`, and so takes any further word.
    stays: bool,
    leads: Counts,
}

impl Node {
    fn next(&self, at: usize, word: &str) -> Option<usize> {
        match word {
            "*" => self.one,
            "#" if self.stays => Some(at),
            "#" => self.many,
            word => self.words.get(word).copied(),
        }
    }

    fn is_bare(&self) -> bool {
        self.leads.is_empty() && self.words.is_empty() && self.one.is_none() && self.many.is_none()
    }
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns { nodes: alloc::vec![Node::default()], free: Vec::new() }
    }
}

impl Patterns {
    pub(super) fn add(&mut self, pattern: &str, to: &Leads) {
        let mut at = 0;
        for word in words(pattern) {
            at = match self.nodes[at].next(at, word) {
                Some(next) => next,
                None => self.grow(at, word),
            };
        }
        add(&mut self.nodes[at].leads, to);
    }

    fn grow(&mut self, at: usize, word: &str) -> usize {
        let grown = Node { stays: word == "#", ..Node::default() };
        let next = match self.free.pop() {
            Some(next) => {
                self.nodes[next] = grown;
                next
            }
            None => {
                self.nodes.push(grown);
                self.nodes.len() - 1
            }
        };
        let node = &mut self.nodes[at];
        match word {
            "*" => node.one = Some(next),
            "#" => node.many = Some(next),
            word => drop(node.words.insert(word.to_owned(), next)),
        }
        next
    }

    /// Takes one such binding back; it is there.
    pub(super) fn remove(&mut self, pattern: &str, to: &Leads) {
        let mut path = Vec::new();
        let mut at = 0;
        for word in words(pattern) {
            let next = self.nodes[at].next(at, word).expect("a pattern that was added is there");
            if next != at {
                path.push((at, word));
            }
            at = next;
        }
        remove(&mut self.nodes[at].leads, to);
        while let Some((parent, word)) = path.pop().filter(|_| self.nodes[at].is_bare()) {
            self.free.push(at);
            let node = &mut self.nodes[parent];
            match word {
                "*" => node.one = None,
                "#" => node.many = None,
                word => drop(node.words.remove(word)),
            }
            at = parent;
        }
    }

    pub(super) fn matches<'e>(&'e self, key: &str, to: &mut impl FnMut(&'e Leads)) {
        let mut places = alloc::vec![0];
        let mut next = Vec::new();
        self.close(&mut places);
        for word in words(key) {
            next.clear();
            for place in &places {
                let node = &self.nodes[*place];
                next.extend(node.words.get(word));
                next.extend(node.one);
                if node.stays {
                    next.push(*place);
                }
            }
            self.close(&mut next);
            core::mem::swap(&mut places, &mut next);
        }
        for place in places {
            self.nodes[place].leads.keys().for_each(&mut *to);
        }
    }

    /// Adds the places that are reached because `#` takes no word at all.
    fn close(&self, places: &mut Vec<usize>) {
        let mut index = 0;
        while let Some(place) = places.get(index) {
            places.extend(self.nodes[*place].many);
            index += 1;
        }
        sort_by_key(places, |place| *place);
        places.dedup();
    }

    #[cfg(test)]
    pub(super) fn nodes_in_use(&self) -> usize {
        self.nodes.len() - self.free.len()
    }
}

/// The words of a key or pattern; the empty one has none.
pub(crate) fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').take(if key.is_empty() { 0 } else { usize::MAX })
}
