//! Exactly once: what is read is copied by a transaction that commits how far it read. So what lies
//! before the committed offsets is copied, once, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{Broker, Fact, Offset, Place, ProducerId, TopicId};

use super::{Books, Invariant, Moment};
use crate::simulation::COPYING;

#[derive(Clone, Default)]
pub(super) struct Once {
    /// What lies in the topic that is copied.
    sources: BTreeMap<(TopicId, u32, Offset), String>,
    /// What transactions that are open copied.
    open: BTreeMap<ProducerId, Vec<String>>,
    copied: BTreeSet<String>,
}

impl Once {
    fn learn(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::Published { batches, .. } | Fact::Produced { batches, .. } = fact {
            for batch in batches.iter() {
                for append in batch.appends.iter() {
                    let Place::Partition(topic, partition) = append.place else { continue };
                    for (record, n) in batch.records.iter().zip(0..) {
                        let body = String::from_utf8_lossy(record.body).into_owned();
                        self.sources.insert((topic, partition, append.base.plus(n)), body);
                    }
                }
            }
        }
        if let Fact::Produced { producer, transactional: true, batches, .. } = fact {
            let bodies = batches.iter().flat_map(|batch| batch.records.iter());
            let bodies = bodies.map(|record| String::from_utf8_lossy(record.body).into_owned());
            let copies = bodies.filter_map(|body| Some(body.split_once(':')?.1.to_owned()));
            self.open.entry(*producer).or_default().extend(copies);
        } else if let Fact::TransactionEnded { producer, commit, .. } = fact {
            let copies = self.open.remove(producer).unwrap_or_default();
            for source in copies.into_iter().filter(|_| *commit) {
                if !self.copied.insert(source.clone()) {
                    return Err(format!("{source:?} is copied twice"));
                }
            }
        }
        Ok(())
    }

    fn look(&self, broker: &Broker) -> Result<(), String> {
        let overview = broker.overview();
        let topics: BTreeMap<_, _> =
            overview.topics.iter().map(|topic| (topic.name.as_str(), topic.id)).collect();
        let mut committed = BTreeMap::new();
        for group in overview.groups.iter().filter(|group| group.name == COPYING) {
            for at in &group.partitions {
                let offset = at.committed.unwrap_or_default();
                committed.insert((topics[at.topic.as_str()], at.partition), offset);
            }
        }
        for ((topic, partition, offset), source) in &self.sources {
            let read = committed.get(&(*topic, *partition)).is_some_and(|until| offset < until);
            let copied = self.copied.contains(source);
            if read != copied && source.starts_with('m') {
                let and = if read { "read, and not copied" } else { "copied, and not read" };
                return Err(format!("{source:?} at {topic}/{partition}@{offset} is {and}"));
            }
        }
        Ok(())
    }
}

impl Invariant for Once {
    fn name(&self) -> &'static str {
        "what is read is copied once"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.learn(fact),
            Moment::Looked(broker) | Moment::Drained(broker) => self.look(broker),
            Moment::Recovered { history, broker, .. } => {
                *self = Once::default();
                super::facts(history).try_for_each(|fact| self.learn(&fact))?;
                self.look(broker)
            }
            _ => Ok(()),
        }
    }
}
