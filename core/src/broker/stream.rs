//! Reading partitions: by offset, or as a member of a group; positions and commits.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::{Awaits, Broker, Refused, out_of_range, span_within, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Event, Fetched};
use crate::fact::Fact;
use crate::group::{Owned, Partition};
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, Tag, TopicId};
use crate::limits::{BATCH_RECORDS_MAX, COMMITS_PER_REQUEST_MAX, WAIT_MAX};
use crate::log::Log;
use crate::refusal::Code;
use crate::request::{CommitOffset, Position};
use crate::set::Set;
use crate::time::Span;

impl Broker {
    pub(super) fn read(
        &mut self,
        conn: ConnId,
        tag: Tag,
        (topic, partition): (&str, u32),
        from: Position,
        records_max: u32,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (id, partition) = self.partition_named(topic, partition)?;
        within("records_max", u64::from(records_max), 1, BATCH_RECORDS_MAX as u64)?;
        let log = &self.topics[&id].partitions[partition as usize];
        let from = resolve(log, from)?;
        let (start, end) = (log.start(), log.end());
        let batch = log.read(from, records_max, self.config.limits.batch_bytes_max as usize);
        let batch = batch.map(|(base, appended_at, records)| Fetched {
            topic: self.topic_name(id).into(),
            partition,
            base,
            appended_at,
            records,
        });
        self.tell(conn, Event::ReadDone { tag, start, end, batch }, out);
        Ok(())
    }

    pub(super) fn poll(
        &mut self,
        conn: ConnId,
        tag: Tag,
        member: MemberId,
        records_max: u32,
        wait: Span,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let group = self.group_of(conn, member)?;
        within("records_max", u64::from(records_max), 1, BATCH_RECORDS_MAX as u64)?;
        span_within("wait", wait, Span::ZERO, WAIT_MAX)?;
        if self.groups[&group].members[&member].waiting.is_some() {
            return Err(Code::BadArgument
                .because(format!("a poll of {member} waits already; one at a time")));
        }
        if self.serve_poll(group, member, (conn, tag), records_max, out) {
            self.renew_session(group, member);
            return Ok(());
        }
        if wait == Span::ZERO {
            self.renew_session(group, member);
            self.tell(conn, Event::Polled { tag, batches: Cow::Borrowed(&[]) }, out);
            return Ok(());
        }
        let number = self.wait(conn, tag, wait, Awaits::Record { group, member, records_max })?;
        self.renew_session(group, member);
        let state = self.groups.get_mut(&group).expect("a member's group exists");
        let reader = state.members.get_mut(&member).expect("a known member is in its group");
        reader.waiting = Some(number);
        for topic in reader.topics.iter() {
            let topic = self.topics.get_mut(&topic).expect("a member reads topics that exist");
            topic.waiting.insert((group, member));
        }
        Ok(())
    }

    /// Answers a poll with what there is, moving positions; false if there is nothing.
    fn serve_poll(
        &mut self,
        id: GroupId,
        member: MemberId,
        (conn, tag): (ConnId, Tag),
        records_max: u32,
        out: &mut dyn Sink,
    ) -> bool {
        let group = &self.groups[&id];
        let mut room = records_max;
        let mut bytes = self.config.limits.batch_bytes_max as usize;
        let mut batches = Vec::new();
        let mut moved: Vec<(Partition, Offset, Offset)> = Vec::new();
        // Begin after the partition that was read last, so that none starves.
        let polled = group.members[&member].polled;
        let after = group.owned_by(member).filter(|(p, _)| Some(*p) > polled);
        let before = group.owned_by(member).filter(|(p, _)| Some(*p) <= polled);
        for (partition, owned) in after.chain(before) {
            let log = &self.topics[&partition.0].partitions[partition.1 as usize];
            let Some((base, appended_at, records)) = log.read(owned.position, room, bytes) else {
                continue;
            };
            if !batches.is_empty() && records.as_bytes().len() > bytes {
                break;
            }
            let count = records.count();
            moved.push((partition, base, base.plus(u64::from(count))));
            room -= count;
            bytes = bytes.saturating_sub(records.as_bytes().len());
            batches.push(Fetched {
                topic: self.topic_name(partition.0).into(),
                partition: partition.1,
                base,
                appended_at,
                records,
            });
            if room == 0 || bytes == 0 {
                break;
            }
        }
        if batches.is_empty() {
            return false;
        }
        self.tell(conn, Event::Polled { tag, batches: batches.into() }, out);
        self.move_positions(id, member, &moved, out);
        true
    }

    fn move_positions(
        &mut self,
        id: GroupId,
        member: MemberId,
        moved: &[(Partition, Offset, Offset)],
        out: &mut dyn Sink,
    ) {
        let group = self.group_mut(id);
        for (partition, _, to) in moved {
            let owned = group.owned.get_mut(partition).expect("a member reads what it owns");
            owned.position = *to;
            let reached = group.reached.get_or_insert_with(*partition, Offset::default);
            *reached = (*reached).max(*to);
        }
        let last = moved.last().map(|(partition, ..)| *partition);
        group.members.get_mut(&member).expect("it is there").polled = last;
        for ((topic, partition), from, to) in moved {
            self.note(out, || Activity::Polled {
                group: self.groups[&id].name.as_str().into(),
                member,
                topic: self.topic_name(*topic).into(),
                partition: *partition,
                from: *from,
                to: *to,
            });
        }
    }

    /// Answers the polls that wait for a record of this partition.
    pub(super) fn wake_polls(&mut self, topic: TopicId, partition: u32, out: &mut dyn Sink) {
        let owner = |(group, member): &(GroupId, MemberId)| {
            let owned = self.groups[group].owned.get(&(topic, partition));
            owned.is_some_and(|owned| owned.member == *member)
        };
        let Some(state) = self.topics.get(&topic) else { return };
        let woken: Vec<_> = state.waiting.iter().filter(owner).collect();
        for (group, member) in woken {
            self.wake_poll(group, member, out);
        }
    }

    /// Answers a member's poll if one waits and there is something for it now.
    pub(super) fn wake_poll(&mut self, group: GroupId, member: MemberId, out: &mut dyn Sink) {
        let Some(number) = self.groups[&group].members[&member].waiting else { return };
        let wait = &self.waits[&number];
        let Awaits::Record { records_max, .. } = wait.what else {
            unreachable!("a member waits for records");
        };
        if self.serve_poll(group, member, (wait.conn, wait.tag), records_max, out) {
            self.stop_waiting(number);
            self.renew_session(group, member);
        }
    }

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
        let owned = group.owned.get(&partition).filter(|owned| owned.member == member);
        let Some(Owned { since, sought, .. }) = owned else {
            return Err(Code::Fenced.because(format!(
                "{member} does not own {shown} in generation {} of group {:?}; another may have it",
                group.generation, group.name
            )));
        };
        if !(*since..=group.generation).contains(&generation) {
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

/// The offset that a position stands for.
fn resolve(log: &Log, position: Position) -> Result<Offset, Refused> {
    match position {
        Position::Earliest => Ok(log.start()),
        Position::Latest => Ok(log.end()),
        Position::Since(at) => Ok(log.since(at)),
        Position::At(offset) if offset < log.start() || offset > log.end() => {
            Err(out_of_range(offset, log.start(), log.end()))
        }
        Position::At(offset) => Ok(offset),
    }
}
