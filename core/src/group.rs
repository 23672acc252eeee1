//! A consumer group: who reads which partition, how far it is, and how far it has committed.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::assign::{Subscriber, share};
use crate::classic::Classic;
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, TopicId};
use crate::map::Map;
use crate::request::{Assignor, Start};
use crate::set::Set;
use crate::time::{Span, Time};
use crate::timer::TimerId;
use crate::view::GroupState;

/// A partition of a topic.
pub(crate) type Partition = (TopicId, u32);

#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) name: String,
    pub(crate) generation: Generation,
    pub(crate) committed: Map<Partition, Commit>,
    /// Since when it has no members; None: it has, or had when this life of the broker began.
    pub(crate) vacated_at: Option<Time>,
    /// Runs while it has no members, until something that it committed is too old. Volatile, as all
    /// that follows.
    pub(crate) keeping: TimerId,
    /// Its members, where they assign; it has then none in `members`.
    pub(crate) classic: Option<Box<Classic>>,
    /// The first member's choice.
    pub(crate) assignor: Assignor,
    pub(crate) members: Map<MemberId, Member>,
    /// Static members by their instance's name.
    pub(crate) instances: BTreeMap<String, MemberId>,
    pub(crate) owned: Map<Partition, Owned>,
    /// How far members have read that have not committed it: what will be read again.
    pub(crate) reached: Map<Partition, Offset>,
    /// Which owner has begun to read a partition, and since when it has it.
    pub(crate) begun: Map<Partition, (MemberId, Generation)>,
}

/// How far a group says it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The next offset to read.
    pub(crate) offset: Offset,
    /// When it was committed.
    pub(crate) at: Time,
    /// What the member noted beside it.
    pub(crate) metadata: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// None: a static member whose connection closed; it may come back until its session ends.
    pub(crate) conn: Option<ConnId>,
    /// The connection with which it joined.
    pub(crate) joined_by: ConnId,
    /// What that connection is called, or was.
    pub(crate) client: String,
    /// The name under which it comes back (Kafka's `group.instance.id`).
    pub(crate) instance: Option<String>,
    pub(crate) topics: Set<TopicId>,
    /// The partitions that are its own in `Group::owned`, so that they are found without a search.
    pub(crate) owns: Set<Partition>,
    /// Those of `Group::owned` that it was told to give up and has not given up yet.
    pub(crate) going: Set<Partition>,
    /// How long it may take to give up partitions.
    pub(crate) rebalance: Span,
    /// Runs while it has partitions to give up.
    pub(crate) revoking: TimerId,
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
    /// The member was told to give it up, for another.
    pub(crate) going: Option<Going>,
}

/// A partition on its way from one member to another, where members give up what moves before it
/// is given on (Kafka's KIP-429 and KIP-848). Its old owner may still commit.
///
/// ```text
///             an assignment without it
///   owned ────────────────────────────────▶ going ──▶ owned by the next
///     by its owner, who polls and commits     │ the owner says `Revoked`, leaves, or is put out
///                                             │ because its rebalance timeout ends
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Going {
    /// Who gets it then; perhaps the owner again, if another rebalance came between.
    pub(crate) to: MemberId,
    /// The generation in which the owner was told.
    pub(crate) since: Generation,
}

impl Group {
    pub(crate) fn new(id: GroupId, name: String) -> Group {
        Group {
            id,
            name,
            generation: Generation(0),
            committed: Map::default(),
            vacated_at: Some(Time::ZERO),
            keeping: TimerId::NONE,
            classic: None,
            assignor: Assignor::Range,
            members: Map::default(),
            instances: BTreeMap::new(),
            owned: Map::default(),
            reached: Map::default(),
            begun: Map::default(),
        }
    }

    /// Whether a partition's owner has begun to read it.
    pub(crate) fn has_begun(&self, partition: Partition, owned: &Owned) -> bool {
        self.begun.get(&partition) == Some(&(owned.member, owned.since))
    }

    /// What a member owns.
    pub(crate) fn owned_by(&self, member: MemberId) -> impl Iterator<Item = (Partition, &Owned)> {
        self.members[&member].owns.iter().map(|partition| (partition, &self.owned[&partition]))
    }

    /// What was committed last on a partition.
    pub(crate) fn committed(&self, partition: Partition) -> Option<Offset> {
        self.committed.get(&partition).map(|commit| commit.offset)
    }

    /// How many members it has, whoever assigns.
    pub(crate) fn size(&self) -> usize {
        self.members.len() + self.classic.as_ref().map_or(0, |classic| classic.members.len())
    }

    /// Whether it has no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.classic.is_none()
    }

    /// What it is doing.
    pub(crate) fn state(&self) -> GroupState {
        if let Some(classic) = &self.classic {
            classic.state()
        } else if self.members.is_empty() {
            GroupState::Empty
        } else if self.members.values().any(|member| !member.going.is_empty()) {
            GroupState::Reconciling
        } else {
            GroupState::Stable
        }
    }

    /// Who should own what, given how many partitions each topic has.
    pub(crate) fn assignment(&self, topics: &[(TopicId, u32)]) -> Vec<(Partition, MemberId)> {
        let members = self.members.iter();
        let members = members
            .map(|(id, Member { instance, topics, .. })| Subscriber {
                id: *id,
                instance: instance.as_deref(),
                topics,
            })
            .collect();
        let before = self.owned.iter().map(|(partition, owned)| {
            let next = owned.going.map(|going| going.to);
            let next = next.filter(|member| self.members.contains_key(member));
            (*partition, next.unwrap_or(owned.member))
        });
        share(self.assignor, members, topics, before)
    }
}
