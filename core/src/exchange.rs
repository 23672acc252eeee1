//! Exchanges: what a routing key, or a record's headers, lead to.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::{QueueId, TopicId};
use crate::record::Headers;
use crate::request::{ExchangeKind, ExchangePolicy, HeaderMatch};

mod patterns;
mod wants;

use patterns::Patterns;
pub(crate) use patterns::words;
use wants::Wants;

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leads {
    Queue(QueueId),
    Topic(TopicId),
    Exchange(String),
}

/// One binding of an exchange: AMQP's destination, routing key and arguments. Ordered by where it
/// leads, so that those that lead to one place stand together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Binding {
    pub(crate) to: Leads,
    pub(crate) pattern: Arc<str>,
    /// None: it wants no headers.
    pub(crate) headers: Option<Arc<HeaderMatch<'static>>>,
}

impl Binding {
    pub(crate) fn new(to: Leads, pattern: &str, headers: &HeaderMatch<'_>) -> Binding {
        let headers = (!headers.is_default()).then(|| Arc::new(headers.clone().into_owned()));
        Binding { to, pattern: pattern.into(), headers }
    }
}

/// How many bindings lead there.
type Counts = BTreeMap<Leads, u32>;

fn add(counts: &mut Counts, to: &Leads) {
    match counts.get_mut(to) {
        Some(count) => *count += 1,
        None => drop(counts.insert(to.clone(), 1)),
    }
}

fn remove(counts: &mut Counts, to: &Leads) {
    let count = counts.get_mut(to).expect("a binding is taken back that was there");
    *count -= 1;
    if *count == 0 {
        counts.remove(to);
    }
}

/// Bindings in the shape in which they are found.
#[derive(Clone, Debug)]
enum Table {
    Direct(BTreeMap<Arc<str>, Counts>),
    Topic(Patterns),
    /// Every binding is found.
    Fanout,
    Headers(Wants),
}

/// An exchange and its bindings.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) kind: ExchangeKind,
    pub(crate) policy: ExchangePolicy<'static>,
    bindings: BTreeSet<Binding>,
    table: Table,
}

impl Exchange {
    pub(crate) fn new(kind: ExchangeKind, policy: ExchangePolicy<'static>) -> Exchange {
        let table = match kind {
            ExchangeKind::Direct => Table::Direct(BTreeMap::new()),
            ExchangeKind::Topic => Table::Topic(Patterns::default()),
            ExchangeKind::Fanout => Table::Fanout,
            ExchangeKind::Headers => Table::Headers(Wants::default()),
        };
        Exchange { kind, policy, bindings: BTreeSet::new(), table }
    }

    /// Whether there is such a binding.
    pub(crate) fn is_bound(&self, binding: &Binding) -> bool {
        self.bindings.contains(binding)
    }

    /// Adds a binding; false if it was there.
    pub(crate) fn bind(&mut self, binding: Binding) -> bool {
        if self.bindings.contains(&binding) {
            return false;
        }
        match &mut self.table {
            Table::Direct(keys) => {
                add(keys.entry(binding.pattern.clone()).or_default(), &binding.to);
            }
            Table::Topic(patterns) => patterns.add(&binding.pattern, &binding.to),
            Table::Fanout => {}
            Table::Headers(wants) => wants.add(&binding),
        }
        self.bindings.insert(binding)
    }

    /// Removes a binding; false if it was not there.
    pub(crate) fn unbind(&mut self, binding: &Binding) -> bool {
        if !self.bindings.remove(binding) {
            return false;
        }
        match &mut self.table {
            Table::Direct(keys) => {
                let key = keys.get_mut(&binding.pattern).expect("a binding's key is there");
                remove(key, &binding.to);
                if key.is_empty() {
                    keys.remove(&binding.pattern);
                }
            }
            Table::Topic(patterns) => patterns.remove(&binding.pattern, &binding.to),
            Table::Fanout => {}
            Table::Headers(wants) => wants.remove(binding),
        }
        true
    }

    /// Removes every binding that leads there; how many those were.
    pub(crate) fn unbind_all(&mut self, to: &Leads) -> usize {
        let gone: Vec<_> = self.leading_to(to).cloned().collect();
        gone.iter().filter(|binding| self.unbind(binding)).count()
    }

    /// The bindings that lead there.
    pub(crate) fn leading_to(&self, to: &Leads) -> impl Iterator<Item = &Binding> {
        let first = Binding { to: to.clone(), pattern: "".into(), headers: None };
        self.bindings.range(first..).take_while(move |binding| binding.to == *to)
    }

    /// Every binding, by where it leads.
    pub(crate) fn bindings(&self) -> impl ExactSizeIterator<Item = &Binding> {
        self.bindings.iter()
    }

    /// What a routing key, or in a headers exchange a record's headers, lead to: in no order that
    /// matters, and perhaps more than once.
    pub(crate) fn route<'e>(
        &'e self,
        routing_key: &str,
        headers: Headers<'_>,
        mut to: impl FnMut(&'e Leads),
    ) {
        match &self.table {
            Table::Direct(keys) => {
                keys.get(routing_key).into_iter().flat_map(Counts::keys).for_each(to);
            }
            Table::Fanout => self.bindings.iter().for_each(|binding| to(&binding.to)),
            Table::Topic(patterns) => patterns.matches(routing_key, &mut to),
            Table::Headers(wants) => wants.matches(headers, &mut to),
        }
    }
}

#[cfg(test)]
mod tests;
