//! A topic: a log a partition.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::cleaner::Cleaner;
use crate::id::{GroupId, QueueId, TopicId};
use crate::log::Log;
use crate::map::Map;
use crate::policy::TopicPolicy;
use crate::set::Set;
use crate::time::Time;
use crate::timer::TimerId;

#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) name: String,
    pub(crate) policy: TopicPolicy,
    pub(crate) partitions: Vec<Log>,
    /// Beside each partition's log.
    pub(crate) upkeep: Vec<Upkeep>,
    /// The partition that the last batch without keys went to. Volatile, as what follows.
    pub(crate) sticky: Option<u32>,
    /// The parts of work groups, by the partition that they work on.
    pub(crate) workers: Map<u32, Set<QueueId>>,
    /// In which groups polls wait for a record of this topic, and how many.
    pub(crate) polled: Map<GroupId, u32>,
}

/// What a partition needs beside its log.
#[derive(Clone, Debug)]
pub(crate) struct Upkeep {
    /// Only of a compacted topic.
    pub(crate) cleaner: Option<Box<Cleaner>>,
    /// When the oldest batch may go.
    pub(crate) retention: TimerId,
    /// When compaction goes on, and by which timer.
    pub(crate) cleaning: Option<(Time, TimerId)>,
    /// The reads that wait for a record.
    pub(crate) readers: Map<u64, ()>,
}

impl Upkeep {
    fn new(policy: &TopicPolicy) -> Upkeep {
        Upkeep {
            cleaner: policy.compact.then(Box::default),
            retention: TimerId::NONE,
            cleaning: None,
            readers: Map::default(),
        }
    }
}

impl Topic {
    pub(crate) fn new(id: TopicId, name: String, partitions: u32, policy: TopicPolicy) -> Topic {
        let mut topic = Topic {
            id,
            name,
            policy,
            partitions: Vec::new(),
            upkeep: Vec::new(),
            workers: Map::default(),
            sticky: None,
            polled: Map::default(),
        };
        topic.widen(partitions);
        topic
    }

    /// Gives it so many partitions, if it has fewer.
    pub(crate) fn widen(&mut self, partitions: u32) {
        while self.partitions.len() < partitions as usize {
            self.partitions.push(Log::default());
            self.upkeep.push(Upkeep::new(&self.policy));
        }
    }

    pub(crate) fn partition(&self, partition: u32) -> Option<&Log> {
        self.partitions.get(partition as usize)
    }
}
