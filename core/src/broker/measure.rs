//! Numbers for whoever watches over a broker.

use alloc::string::{String, ToString};
use core::ops::Bound;

use super::Broker;
use crate::group::Group;
use crate::id::{Offset, TopicId};
use crate::log::Log;
use crate::measure::{
    Counts, GroupMeasure, LagMeasure, Measures, PartMeasure, PartitionMeasure, QueueMeasure,
    WorkMeasure,
};
use crate::queue::Queue;
use crate::request::Listed;
use crate::time::Time;

impl Broker {
    /// How many there are of what is measured; for whoever drives the broker.
    pub fn counts(&self) -> Counts {
        Counts {
            queues: self.queue_names.len() as u64,
            work_groups: self.work_groups.len() as u64,
            topics: self.topic_names.len() as u64,
            groups: self.group_names.len() as u64,
        }
    }

    /// Measures queues, work groups, topics or groups, after a name, until there are so many rows; a
    /// topic, a group or a work group has all of its partitions. Returns the name to go on after, if
    /// there are more. For whoever drives the broker.
    pub fn measure(
        &self,
        of: Listed,
        after: &str,
        rows_max: usize,
        into: &mut Measures,
    ) -> Option<String> {
        let rest = (Bound::Excluded(after), Bound::Unbounded);
        let mut rows = 0;
        let mut last = None;
        let mut is_full = |name: &str, more: usize| {
            let full = rows >= rows_max;
            if !full {
                rows += more;
                last = Some(name.to_string());
            }
            full
        };
        let is_cut = match of {
            Listed::Queues => self.queue_names.range::<str, _>(rest).any(|(name, id)| {
                let full = is_full(name, 1);
                if !full {
                    into.queues.push(self.queue_measure(&self.queues[id]));
                }
                full
            }),
            Listed::WorkGroups => self.work_groups.range::<str, _>(rest).any(|(name, group)| {
                let full = is_full(name, group.parts.len());
                if !full {
                    let topic = self.topic_name(group.topic);
                    let part = |(partition, id)| PartMeasure {
                        group: name.clone(),
                        topic: topic.to_string(),
                        partition,
                        work: self.work_measure(&self.queues[id]),
                    };
                    into.parts.extend((0..).zip(&group.parts).map(part));
                }
                full
            }),
            Listed::Topics => self.topic_names.range::<str, _>(rest).any(|(name, id)| {
                let logs = &self.topics[id].partitions;
                let full = is_full(name, logs.len());
                if !full {
                    into.partitions.extend((0..).zip(logs).map(|at| partition_measure(name, at)));
                }
                full
            }),
            Listed::Groups => self.group_names.range::<str, _>(rest).any(|(name, id)| {
                let group = &self.groups[id];
                let full = is_full(name, 1 + group.committed.len().max(group.owned.len()));
                if !full {
                    into.groups.push(self.group_measure(group));
                }
                full
            }),
            // Nothing of these is measured.
            Listed::Exchanges | Listed::Connections => false,
        };
        last.filter(|_| is_cut)
    }

    fn queue_measure(&self, queue: &Queue) -> QueueMeasure {
        QueueMeasure {
            name: queue.name.clone(),
            takes_dead_letters: self.dead_letters_of.contains_key(&queue.name),
            bytes: queue.own_bytes(),
            stored: queue.work.end().0,
            work: self.work_measure(queue),
        }
    }

    fn work_measure(&self, queue: &Queue) -> WorkMeasure {
        let work = &queue.work;
        WorkMeasure {
            ready: work.ready(),
            leased: work.leased(),
            delayed: work.delayed(),
            blocked: work.blocked(),
            held: work.held(),
            delivered: work.delivered(),
            acked: queue.acked,
            dead_lettered: queue.dead_lettered,
            dropped: queue.dropped,
            oldest_at: self.oldest_at(queue),
            consumers: queue.all.len() as u64,
        }
    }

    /// When a queue's oldest unsettled message came.
    pub(super) fn oldest_at(&self, queue: &Queue) -> Option<Time> {
        let oldest = queue.work.offsets(Offset(0)).next()?;
        queue.log(&self.topics).find(oldest).map(|(segment, _)| segment.at)
    }

    fn group_measure(&self, group: &Group) -> GroupMeasure {
        let partitions = self.partitions_of(group).into_iter();
        let lags = partitions.map(|partition| {
            let topic = &self.topics[&partition.0];
            let (messages, oldest_at) = self.lag(group, partition);
            LagMeasure { topic: topic.name.clone(), partition: partition.1, messages, oldest_at }
        });
        GroupMeasure {
            name: group.name.clone(),
            members: group.size() as u64,
            generation: group.generation.0.into(),
            lags: lags.collect(),
        }
    }

    /// How many records a group has not committed, and when the oldest of them came.
    pub(super) fn lag(&self, group: &Group, at: (TopicId, u32)) -> (u64, Option<Time>) {
        let log = &self.topics[&at.0].partitions[at.1 as usize];
        let committed = group.committed.get(&at).map(|commit| commit.offset);
        let from = committed.unwrap_or(log.start()).max(log.start());
        // Of what compaction took away at the end nobody is behind.
        let Some((oldest_at, _)) = log.next_batch(from) else { return (0, None) };
        (log.end().0.saturating_sub(from.0), Some(oldest_at))
    }
}

fn partition_measure(topic: &str, (partition, log): (u32, &Log)) -> PartitionMeasure {
    PartitionMeasure {
        topic: topic.to_string(),
        partition,
        start: log.start().0,
        end: log.end().0,
        bytes: log.bytes(),
    }
}
