//! A topic: a log a partition.

use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{GroupId, MemberId, QueueId, TopicId};
use crate::log::Log;
use crate::map::Map;
use crate::set::Set;

#[derive(Clone, Debug)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) name: String,
    pub(crate) partitions: Vec<Log>,
    /// Members whose `Poll` waits for a record of this topic. Volatile.
    pub(crate) waiting: Set<(GroupId, MemberId)>,
    /// The parts of work groups, by the partition that they work on.
    pub(crate) workers: Map<u32, Set<QueueId>>,
}

impl Topic {
    pub(crate) fn new(id: TopicId, name: String, partitions: u32) -> Topic {
        let partitions = (0..partitions).map(|_| Log::default()).collect();
        Topic { id, name, partitions, waiting: Set::default(), workers: Map::default() }
    }

    pub(crate) fn partition(&self, partition: u32) -> Option<&Log> {
        self.partitions.get(partition as usize)
    }
}
