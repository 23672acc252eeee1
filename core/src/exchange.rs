//! Exchanges: what a routing key leads to.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{QueueId, TopicId};
use crate::request::ExchangeKind;

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leads {
    Queue(QueueId),
    Topic(TopicId),
    Exchange(String),
}

/// An exchange and its bindings.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: ExchangeKind,
    bindings: BTreeMap<String, BTreeSet<Leads>>,
    patterns: Patterns,
}

impl Exchange {
    pub(crate) fn new(kind: ExchangeKind) -> Exchange {
        Exchange { kind, bindings: BTreeMap::new(), patterns: Patterns::default() }
    }

    /// Whether there is such a binding.
    pub(crate) fn is_bound(&self, pattern: &str, to: &Leads) -> bool {
        self.bindings.get(pattern).is_some_and(|leads| leads.contains(to))
    }

    /// Adds a binding; false if it was there.
    pub(crate) fn bind(&mut self, pattern: &str, to: Leads) -> bool {
        if self.kind == ExchangeKind::Topic {
            self.patterns.add(pattern, &to);
        }
        self.bindings.entry(pattern.to_owned()).or_default().insert(to)
    }

    /// Removes the bindings that `gone` names; how many those were.
    pub(crate) fn unbind(&mut self, mut gone: impl FnMut(&str, &Leads) -> bool) -> usize {
        let mut removed = 0;
        self.bindings.retain(|pattern, leads| {
            let before = leads.len();
            leads.retain(|to| !gone(pattern, to));
            removed += before - leads.len();
            !leads.is_empty()
        });
        if removed > 0 && self.kind == ExchangeKind::Topic {
            self.patterns = Patterns::default();
            for (pattern, leads) in &self.bindings {
                leads.iter().for_each(|to| self.patterns.add(pattern, to));
            }
        }
        removed
    }

    /// Every binding: pattern and where it leads.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (&str, &Leads)> {
        self.bindings.iter().flat_map(|(p, leads)| leads.iter().map(move |to| (p.as_str(), to)))
    }

    /// What a routing key leads to, in no order that matters, and perhaps more than once.
    pub(crate) fn route<'e>(&'e self, routing_key: &str, mut to: impl FnMut(&'e Leads)) {
        match self.kind {
            ExchangeKind::Direct => {
                self.bindings.get(routing_key).into_iter().flatten().for_each(to);
            }
            ExchangeKind::Fanout => self.bindings.values().flatten().for_each(to),
            ExchangeKind::Topic => self.patterns.matches(routing_key, &mut to),
        }
    }
}

/// Binding patterns as a trie over words, walked as an automaton: all places that the words so far
/// can have led to, one word at a time. So matching costs what the matching patterns have in common
/// with the key, not what was bound.
#[derive(Clone, Debug)]
struct Patterns {
    nodes: Vec<Node>,
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
    leads: BTreeSet<Leads>,
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns { nodes: alloc::vec![Node::default()] }
    }
}

impl Patterns {
    fn add(&mut self, pattern: &str, to: &Leads) {
        let mut at = 0;
        for word in words(pattern) {
            let next = self.nodes.len();
            let node = &mut self.nodes[at];
            let found = match word {
                "*" => *node.one.get_or_insert(next),
                "#" if node.stays => at,
                "#" => *node.many.get_or_insert(next),
                word => match node.words.get(word) {
                    Some(found) => *found,
                    None => {
                        node.words.insert(word.to_owned(), next);
                        next
                    }
                },
            };
            if found == next {
                self.nodes.push(Node { stays: word == "#", ..Node::default() });
            }
            at = found;
        }
        self.nodes[at].leads.insert(to.clone());
    }

    fn matches<'e>(&'e self, key: &str, to: &mut impl FnMut(&'e Leads)) {
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
            self.nodes[place].leads.iter().for_each(&mut *to);
        }
    }

    /// Adds the places that are reached because `#` takes no word at all.
    fn close(&self, places: &mut Vec<usize>) {
        let mut index = 0;
        while let Some(place) = places.get(index) {
            places.extend(self.nodes[*place].many);
            index += 1;
        }
        places.sort_unstable();
        places.dedup();
    }
}

/// The words of a key or pattern; the empty one has none.
pub(crate) fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split('.').take(if key.is_empty() { 0 } else { usize::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn matches_slowly(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), None) => matches_slowly(rest, key),
            (Some((&"#", rest)), Some((_, tail))) => {
                matches_slowly(rest, key) || matches_slowly(pattern, tail)
            }
            (Some((&"*", rest)), Some((_, tail))) => matches_slowly(rest, tail),
            (Some((word, rest)), Some((head, tail))) => word == head && matches_slowly(rest, tail),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    #[test]
    fn a_topic_exchange_matches_words_stars_and_hashes() {
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let mut pick = |of: &[&'static str], max: u32| -> Vec<&'static str> {
                (0..rng.below(max)).map(|_| of[rng.below(of.len() as u32) as usize]).collect()
            };
            let mut exchange = Exchange::new(ExchangeKind::Topic);
            let patterns: Vec<_> = (0..12).map(|_| pick(&["a", "b", "*", "#"], 6)).collect();
            for (id, pattern) in patterns.iter().enumerate() {
                exchange.bind(&pattern.join("."), Leads::Queue(QueueId(id as u32)));
            }
            for _ in 0..20 {
                let key = pick(&["a", "b", "c"], 6);
                let mut found = BTreeSet::new();
                exchange.route(&key.join("."), |to| found.extend([to.clone()]));
                let expected: BTreeSet<_> = (0..patterns.len())
                    .filter(|id| matches_slowly(&patterns[*id], &key))
                    .map(|id| Leads::Queue(QueueId(id as u32)))
                    .collect();
                assert_eq!(found, expected, "seed {seed}, key {key:?}, patterns {patterns:?}");
            }
        }
    }
}
