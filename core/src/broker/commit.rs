//! Commits, seeks and resets: how far a group is, said by its members or for it.

use alloc::format;
use alloc::vec::Vec;

use super::stream::resolve;
use super::{Broker, Refused, out_of_range, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::fact::Fact;
use crate::group::{Owned, Partition};
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset};
use crate::limits::COMMITS_PER_REQUEST_MAX;
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{CommitOffset, Position};
use crate::set::Set;

impl Broker {
    pub(super) fn commit(
        &mut self,
        conn: ConnId,
        member: MemberId,
        generation: Generation,
        offsets: &[CommitOffset<'_>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.group_of(conn, member)?;
        within("the number of offsets", offsets.len() as u64, 1, COMMITS_PER_REQUEST_MAX as u64)?;
        let mut commits = Vec::with_capacity(offsets.len());
        let mut named = Set::default();
        for CommitOffset { topic, partition, offset } in offsets {
            let partition = self.partition_named(topic, *partition)?;
            if !named.insert(partition) {
                return Err(Code::BadArgument.because(format!(
                    "{topic}/{} stands in the commit twice; once is enough",
                    partition.1
                )));
            }
            self.may_commit(id, member, generation, partition, *offset)?;
            commits.push((partition, *offset));
        }
        self.renew_session(id, member);
        for (partition, offset) in commits {
            self.record_commit(id, partition, offset, Some(member), out);
        }
        Ok(())
    }

    fn may_commit(
        &self,
        id: GroupId,
        member: MemberId,
        generation: Generation,
        partition: Partition,
        offset: Offset,
    ) -> Result<(), Refused> {
        let group = &self.groups[&id];
        let shown = format!("{}/{}", self.topic_name(partition.0), partition.1);
        let open = planted(Planted::CommitsAreNotFenced);
        let owned = group.owned.get(&partition).filter(|owned| owned.member == member || open);
        let Some(Owned { since, sought, .. }) = owned else {
            return Err(Code::Fenced.because(format!(
                "{member} does not own {shown} in generation {} of group {:?}; another may have it",
                group.generation, group.name
            )));
        };
        if !(*since..=group.generation).contains(&generation) && !open {
            return Err(Code::Fenced.because(format!(
                "{member} owns {shown} since generation {since}, and group {:?} is in generation \
                 {}; it spoke for generation {generation}",
                group.name, group.generation
            )));
        }
        let log = &self.topics[&partition.0].partitions[partition.1 as usize];
        if offset > log.end() {
            return Err(out_of_range(offset, log.start(), log.end()));
        }
        let committed = group.committed.get(&partition).map_or(Offset(0), |(offset, _)| *offset);
        if offset < sought.unwrap_or(committed).min(committed) {
            return Err(Code::OffsetOutOfRange.because(format!(
                "{offset} is before {committed}, which is committed on {shown}; to go back, seek \
                 there first, or reset the group's offsets"
            )));
        }
        Ok(())
    }

    fn record_commit(
        &mut self,
        id: GroupId,
        (topic, partition): Partition,
        offset: Offset,
        member: Option<MemberId>,
        out: &mut dyn Sink,
    ) {
        let from = self.groups[&id].committed.get(&(topic, partition)).map(|(offset, _)| *offset);
        let at = self.now;
        self.record(Fact::Committed { group: id, topic, partition, offset, at }, out);
        let group = self.group_mut(id);
        if group.reached.get(&(topic, partition)).is_some_and(|reached| *reached <= offset) {
            group.reached.remove(&(topic, partition));
        }
        if let Some(owned) = group.owned.get_mut(&(topic, partition)) {
            owned.sought = None;
        }
        self.note(out, || Activity::Committed {
            group: self.groups[&id].name.as_str().into(),
            topic: self.topic_name(topic).into(),
            partition,
            from,
            to: offset,
            member,
        });
    }

    pub(super) fn seek(
        &mut self,
        conn: ConnId,
        member: MemberId,
        (topic, partition): (&str, u32),
        to: Position,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.group_of(conn, member)?;
        let partition = self.partition_named(topic, partition)?;
        let log = &self.topics[&partition.0].partitions[partition.1 as usize];
        let to = resolve(log, to)?;
        let group = self.groups.get_mut(&id).expect("a member's group exists");
        let committed = group.committed.get(&partition).map_or(Offset(0), |(offset, _)| *offset);
        match group.owned.get_mut(&partition).filter(|owned| owned.member == member) {
            Some(owned) => {
                owned.position = to;
                if to < committed {
                    owned.sought = Some(owned.sought.map_or(to, |sought| sought.min(to)));
                }
            }
            None => {
                return Err(Code::Fenced.because(format!(
                    "{member} does not own {topic}/{}; another may have it",
                    partition.1
                )));
            }
        }
        self.note(out, || Activity::Sought {
            group: self.groups[&id].name.as_str().into(),
            member,
            topic: self.topic_name(partition.0).into(),
            partition: partition.1,
            to,
        });
        self.wake_poll(id, member, out);
        Ok(())
    }

    pub(super) fn reset_offsets(
        &mut self,
        group: &str,
        topic: &str,
        partition: Option<u32>,
        to: Position,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.without_members(group)?;
        let topic_id = self.topic_named(topic)?;
        let partitions = match partition {
            Some(partition) => {
                self.partition_named(topic, partition)?;
                partition..partition + 1
            }
            None => 0..self.topics[&topic_id].partitions.len() as u32,
        };
        let mut resets = Vec::new();
        for partition in partitions {
            let log = &self.topics[&topic_id].partitions[partition as usize];
            resets.push(((topic_id, partition), resolve(log, to)?));
        }
        for (partition, offset) in resets {
            self.group_mut(id).reached.remove(&partition);
            self.record_commit(id, partition, offset, None, out);
        }
        Ok(())
    }
}
