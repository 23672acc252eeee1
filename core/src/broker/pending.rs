//! Offsets that a group has committed when a transaction commits (Kafka's `TxnOffsetCommit`).

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::evolve::{Evolved, broken};
use super::transact::Life;
use super::{Broker, Refused, counted};
use crate::effect::Sink;
use crate::fact::{Fact, StoredCommit};
use crate::group::Partition;
use crate::id::{Generation, GroupId, MemberId, Offset, Place, ProducerId, TopicId};
use crate::limits::TRANSACTION_OFFSETS_MAX;
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::producer::Producer;
use crate::refusal::Code;
use crate::request::{CommitOffset, Isolation};
use crate::set::Set;
use crate::time::Time;
use crate::transaction::{Pending, Transaction};

/// An offset, when it was asked for, and what was committed before.
pub(super) type Commits = ((StoredCommit<'static>, Time), Option<Offset>);

impl Broker {
    /// Commits a group's offsets when the transaction commits (Kafka's `TxnOffsetCommit`).
    pub(super) fn commit_in_transaction(
        &mut self,
        life: Life,
        group: &str,
        member: Option<(MemberId, Generation)>,
        offsets: &[CommitOffset<'_>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let producer = self.may_begin(life)?;
        let offsets = self.commits_asked(offsets)?;
        let held = producer.transaction.as_ref().map_or(0, |t| t.commits.len());
        if held + offsets.len() > TRANSACTION_OFFSETS_MAX {
            return Err(Code::TooMany.because(format!(
                "the transaction of {} commits {}, and may commit {TRANSACTION_OFFSETS_MAX}: end \
                 it, and go on in another",
                life.0,
                counted(held as u64, "offset")
            )));
        }
        let id = match member {
            Some((member, generation)) => {
                let id = self.group_named(group)?;
                if self.members.get(&member) != Some(&id) {
                    return Err(Code::Fenced
                        .because(format!("{member} is not in group {group:?}, or no longer")));
                }
                if self.is_classic(member).is_some() {
                    self.may_commit_classic(id, generation, true)?;
                    offsets.iter().try_for_each(|commit| self.in_log(commit))?;
                } else {
                    for commit in &offsets {
                        self.may_commit(id, member, generation, commit)?;
                    }
                }
                id
            }
            None => self.group_to_commit(group, &offsets, out)?,
        };
        let (producer, epoch) = life;
        let begins = self.is_idle(producer);
        let (at, offsets) = (self.now, Cow::Borrowed(&offsets[..]));
        self.record(Fact::OffsetsPending { at, producer, epoch, group: id, offsets }, out);
        if begins {
            self.note_begin(producer, out);
        }
        Ok(())
    }

    /// The group for which a producer commits that does not say for which member: as in Kafka its
    /// own epoch is all that fences it. It is made if there is none.
    fn group_to_commit(
        &mut self,
        name: &str,
        offsets: &[StoredCommit<'_>],
        out: &mut dyn Sink,
    ) -> Result<GroupId, Refused> {
        offsets.iter().try_for_each(|commit| self.in_log(commit))?;
        let Some(id) = self.group_names.get(name).copied() else {
            return self.create_group(name, out);
        };
        let group = &self.groups[&id];
        for StoredCommit { topic, partition, offset, .. } in offsets {
            let committed = group.committed((*topic, *partition)).unwrap_or_default();
            if *offset < committed {
                return Err(Code::OffsetOutOfRange.because(format!(
                    "{offset} is before {committed}, which group {name:?} has committed on {}/\
                     {partition}; to go back, reset the group's offsets",
                    self.topic_name(*topic)
                )));
            }
        }
        Ok(id)
    }

    /// What a transaction commits for each group, when that was asked for, and what is committed
    /// there now.
    pub(super) fn commits_due(&self, open: &Transaction) -> Map<GroupId, Vec<Commits>> {
        let mut due: Map<GroupId, Vec<_>> = Map::default();
        for ((group, partition), pending) in open.commits.iter() {
            if !self.is_newest(*group, *partition, pending) {
                continue;
            }
            let commit = StoredCommit {
                topic: partition.0,
                partition: partition.1,
                offset: pending.offset,
                metadata: Cow::Owned(pending.metadata.clone()),
            };
            let before = self.groups[group].committed(*partition);
            due.get_or_insert_with(*group, Vec::new).push(((commit, pending.at), before));
        }
        due
    }

    /// Whether nobody committed on the partition after this was asked for: as in Kafka what was
    /// committed later stays.
    fn is_newest(&self, group: GroupId, partition: (TopicId, u32), pending: &Pending) -> bool {
        let committed = self.groups[&group].committed.get(&partition);
        committed.is_none_or(|c| (c.at, c.offset) <= (pending.at, pending.offset))
    }

    /// Whether an open transaction may still commit anything of a group.
    pub(super) fn has_pending(&self, group: GroupId) -> bool {
        !self.pending_of(group).is_empty()
    }

    /// The partitions on which open transactions may still commit how far a group has read.
    pub(super) fn pending_of(&self, group: GroupId) -> Set<Partition> {
        let mut pending = Set::default();
        for producer in self.transactions.iter().map(|id| &self.producers[&id]) {
            let Some(open) = &producer.transaction else { continue };
            let those = open.commits.from((group, (TopicId(0), 0))).map(|(at, _)| *at);
            let those = those.take_while(|(of, _)| *of == group);
            pending.extend(those.map(|(_, partition)| partition));
        }
        pending
    }

    /// Whether an open transaction may still commit how far a group has read a partition.
    pub(super) fn is_pending(&self, group: GroupId, partition: Partition) -> bool {
        let open =
            self.transactions.iter().filter_map(|id| self.producers[&id].transaction.as_ref());
        open.into_iter().any(|open| open.commits.contains_key(&(group, partition)))
    }

    /// Where a member that reads only what is committed goes on: in the partitions that it got where
    /// the group has committed, and in none behind what it is not shown. Where a transaction may
    /// still commit how far a partition was read, the member waits for the end of that, or it would
    /// work on the same again (Kafka's `UNSTABLE_OFFSET_COMMIT`, KIP-447).
    pub(super) fn resume_committed(&mut self, id: GroupId, member: MemberId) {
        let group = &self.groups[&id];
        let mut moves = Vec::new();
        for (partition, owned) in group.owned_by(member) {
            let log = &self.topics[&partition.0].partitions[partition.1 as usize];
            let mut position = owned.position;
            if !group.has_begun(partition, owned) {
                if self.is_pending(id, partition) && !planted(Planted::UnstableIsRead) {
                    continue;
                }
                let committed = group.committed(partition).unwrap_or(position);
                position = committed.clamp(log.start(), log.end());
            }
            let position = log.resume(position, Isolation::Committed);
            if position != owned.position || !group.has_begun(partition, owned) {
                moves.push((partition, owned.since, position));
            }
        }
        let group = self.group_mut(id);
        for (partition, since, position) in moves {
            group.begun.insert(partition, (member, since));
            let owned = group.owned.get_mut(&partition).expect("it was listed as owned");
            owned.position = position;
        }
    }

    pub(super) fn offsets_pending(
        &mut self,
        (id, at): (ProducerId, Time),
        group: GroupId,
        offsets: &[StoredCommit<'_>],
    ) -> Evolved {
        self.saw(at);
        self.group(group)?;
        for commit in offsets {
            let end = self.log(Place::Partition(commit.topic, commit.partition))?.end();
            if commit.offset > end {
                return Err(broken(&format!("offset {} of {}", commit.offset, commit.topic)));
            }
        }
        let open = self.open_transaction(id, at)?;
        for StoredCommit { topic, partition, offset, metadata } in offsets {
            let metadata = metadata.as_ref().to_owned();
            let pending = Pending { offset: *offset, metadata, at };
            open.commits.insert((group, (*topic, *partition)), pending);
        }
        let producer = self.producer(id)?;
        producer.seen = producer.seen.max(at);
        Ok(())
    }

    /// Topics or groups are gone, and with them the offsets that wait for open transactions.
    pub(super) fn forget_commits(&mut self, gone: impl Fn(GroupId, TopicId) -> bool) {
        for producer in self.producers.values_mut() {
            if let Some(open) = &mut producer.transaction {
                open.commits.retain(|(group, (topic, _)), _| !gone(*group, *topic));
            }
        }
    }
}

/// Only in snapshots: the offsets that wait.
pub(super) fn put_pending(producer: &Producer, open: &Transaction, put: &mut impl FnMut(Fact<'_>)) {
    for ((group, (topic, partition)), pending) in open.commits.iter() {
        let commit = StoredCommit {
            topic: *topic,
            partition: *partition,
            offset: pending.offset,
            metadata: pending.metadata.as_str().into(),
        };
        put(Fact::OffsetsPending {
            at: pending.at,
            producer: producer.id,
            epoch: producer.epoch,
            group: *group,
            offsets: Cow::Borrowed(&[commit]),
        });
    }
}
