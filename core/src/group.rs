//! A consumer group: who reads which partition, how far it is, and how far it has committed.

use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, TopicId};
use crate::map::Map;
use crate::request::{Assignor, Start};
use crate::set::Set;
use crate::time::{Span, Time};
use crate::timer::TimerId;

/// A partition of a topic.
pub(crate) type Partition = (TopicId, u32);

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    pub(crate) generation: Generation,
    pub(crate) committed: Map<Partition, (Offset, Time)>,
    /// The first member's choice. Volatile, as all that follows.
    pub(crate) assignor: Assignor,
    pub(crate) members: Map<MemberId, Member>,
    pub(crate) owned: Map<Partition, Owned>,
    /// How far members have read that have not committed it: what will be read again.
    pub(crate) reached: Map<Partition, Offset>,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) conn: ConnId,
    pub(crate) topics: Set<TopicId>,
    pub(crate) start: Start,
    pub(crate) session: Span,
    pub(crate) timer: TimerId,
    /// The `Poll` that waits.
    pub(crate) waiting: Option<u64>,
    /// The partition after which the next poll begins, so that none starves.
    pub(crate) polled: Option<Partition>,
}

/// A partition in the hands of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) member: MemberId,
    /// The generation in which the member got it.
    pub(crate) since: Generation,
    /// The next offset that it will poll.
    pub(crate) position: Offset,
    /// The member moved its position back to here, and so may commit from here on.
    pub(crate) sought: Option<Offset>,
}

impl Group {
    pub(crate) fn new(id: GroupId, name: String) -> Group {
        Group {
            id,
            name,
            generation: Generation(0),
            committed: Map::default(),
            assignor: Assignor::Range,
            members: Map::default(),
            owned: Map::default(),
            reached: Map::default(),
        }
    }

    /// What a member owns.
    pub(crate) fn owned_by(&self, member: MemberId) -> impl Iterator<Item = (Partition, &Owned)> {
        self.owned.iter().filter(move |(_, o)| o.member == member).map(|(p, o)| (*p, o))
    }

    /// Who should own what, given how many partitions each topic has.
    pub(crate) fn assignment(&self, topics: &[(TopicId, u32)]) -> Map<Partition, MemberId> {
        match self.assignor {
            Assignor::Range => self.range(topics),
            Assignor::RoundRobin => self.round_robin(topics),
        }
    }

    fn subscribers(&self, topic: TopicId) -> Vec<MemberId> {
        let members = self.members.iter().filter(|(_, m)| m.topics.contains(topic));
        members.map(|(id, _)| *id).collect()
    }

    /// Of each topic a run of partitions to each subscriber; the first ones get one more.
    fn range(&self, topics: &[(TopicId, u32)]) -> Map<Partition, MemberId> {
        let mut to = Map::default();
        for (topic, partitions) in topics {
            let members = self.subscribers(*topic);
            let n = members.len() as u32;
            let mut next = 0;
            for (member, index) in members.into_iter().zip(0..) {
                let share = partitions / n + u32::from(index < partitions % n);
                for partition in next..next + share {
                    to.insert((*topic, partition), member);
                }
                next += share;
            }
        }
        to
    }

    /// All partitions of all topics in order, each to the next member that subscribes to its topic.
    fn round_robin(&self, topics: &[(TopicId, u32)]) -> Map<Partition, MemberId> {
        let mut to = Map::default();
        let members: Vec<_> = self.members.iter().collect();
        let mut turn = 0;
        for (topic, partitions) in topics {
            if self.subscribers(*topic).is_empty() {
                continue;
            }
            for partition in 0..*partitions {
                while !members[turn % members.len()].1.topics.contains(*topic) {
                    turn += 1;
                }
                to.insert((*topic, partition), *members[turn % members.len()].0);
                turn += 1;
            }
        }
        to
    }
}
