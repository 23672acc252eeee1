//! The records of a key lie in one partition, the one that Kafka's partitioner gives it, unless
//! whoever published them named another. Partitions are read in order and without gaps, as other
//! invariants see to: so the records of a key are read in the order in which they came.

use std::collections::BTreeMap;

use fanlight_core::{Fact, Op, Place, Stored, Target, TopicId, partition_of};

use super::{Books, Invariant, Moment, facts};

#[derive(Clone, Default)]
pub(super) struct Keys {
    partitions: BTreeMap<TopicId, u32>,
    /// Whether what is asked names a partition.
    names_partition: bool,
}

impl Keys {
    fn learn(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::TopicMade { id, partitions, .. } | Fact::TopicCreated { id, partitions, .. } => {
                self.partitions.insert(*id, *partitions);
            }
            Fact::PartitionsAdded { topic, partitions, .. } => {
                self.partitions.insert(*topic, *partitions);
            }
            _ => {}
        }
    }

    fn stored(&self, batch: &Stored<'_>) -> Result<(), String> {
        for append in batch.appends.iter() {
            let Place::Partition(topic, partition) = append.place else { continue };
            let partitions = self.partitions.get(&topic).ok_or("a topic without a fact")?;
            let keys = batch.records.iter().filter_map(|record| record.key.map(<[u8]>::to_vec));
            for key in keys {
                let right = partition_of(&key, *partitions);
                if right != partition {
                    return Err(format!(
                        "a record with key {key:?} lies in {topic}/{partition}, and not in {right}"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Invariant for Keys {
    fn name(&self) -> &'static str {
        "the records of a key lie in one partition"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(_, request) => {
                self.names_partition = matches!(
                    &request.op,
                    Op::Publish { to: Target::Topic { partition: Some(_), .. }, .. }
                );
            }
            Moment::Fact(fact) => {
                self.learn(fact);
                if let Fact::Published { batches, .. } | Fact::Produced { batches, .. } = fact
                    && !self.names_partition
                {
                    return batches.iter().try_for_each(|batch| self.stored(batch));
                }
            }
            Moment::Recovered { history, .. } => {
                *self = Keys::default();
                facts(history).for_each(|fact| self.learn(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
