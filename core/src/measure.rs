//! Numbers about what there is, for whoever watches over a broker: fewer than a view has, and made
//! without copying what a view shows.

use alloc::string::String;
use alloc::vec::Vec;

use crate::time::Time;

/// Numbers about a part of what there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measures {
    /// About queues, by name.
    pub queues: Vec<QueueMeasure>,
    /// About the parts of work groups, by the group's name and the partition.
    pub parts: Vec<PartMeasure>,
    /// About partitions, by topic.
    pub partitions: Vec<PartitionMeasure>,
    /// About groups, by name.
    pub groups: Vec<GroupMeasure>,
}

/// How many there are of what is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Queues.
    pub queues: u64,
    /// Work groups.
    pub work_groups: u64,
    /// Topics.
    pub topics: u64,
    /// Groups.
    pub groups: u64,
}

/// Numbers about a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueMeasure {
    /// Its name.
    pub name: String,
    /// Whether another queue sends its dead letters here.
    pub takes_dead_letters: bool,
    /// Bytes of its records.
    pub bytes: u64,
    /// Messages that ever came.
    pub stored: u64,
    /// What became of them.
    pub work: WorkMeasure,
}

/// Numbers about a work group's part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartMeasure {
    /// The group's name.
    pub group: String,
    /// The topic that it works on.
    pub topic: String,
    /// Which partition.
    pub partition: u32,
    /// What became of its messages.
    pub work: WorkMeasure,
}

/// What became of the messages that somebody works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkMeasure {
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages in the hands of consumers.
    pub leased: u64,
    /// Messages that wait for their delay to end.
    pub delayed: u64,
    /// Messages that wait for an older one of their group.
    pub blocked: u64,
    /// Messages that wait for their transaction to end.
    pub held: u64,
    /// Messages handed out since this broker started, every attempt counted.
    pub delivered: u64,
    /// Messages acknowledged since this broker started.
    pub acked: u64,
    /// Messages that died since this broker started.
    pub dead_lettered: u64,
    /// Messages that died since this broker started, and that no queue keeps.
    pub dropped: u64,
    /// When the oldest unsettled message came.
    pub oldest_at: Option<Time>,
    /// Consumers.
    pub consumers: u64,
}

/// Numbers about a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionMeasure {
    /// The topic.
    pub topic: String,
    /// Which partition.
    pub partition: u32,
    /// The oldest offset.
    pub start: u64,
    /// The offset after the newest: how many records ever came.
    pub end: u64,
    /// Bytes of its records.
    pub bytes: u64,
}

/// Numbers about a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupMeasure {
    /// Its name.
    pub name: String,
    /// Its members.
    pub members: u64,
    /// How often its assignment changed.
    pub generation: u64,
    /// How far it is behind, by partition.
    pub lags: Vec<LagMeasure>,
}

/// How far a group is behind in a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LagMeasure {
    /// Which topic.
    pub topic: String,
    /// Which partition.
    pub partition: u32,
    /// Records between the committed offset (or the log's start) and the end.
    pub messages: u64,
    /// When the oldest of these came; None: there is none.
    pub oldest_at: Option<Time>,
}
