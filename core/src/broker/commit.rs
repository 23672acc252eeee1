//! Commits, seeks and resets: how far a group is, said by its members or for it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::evolve::broken;
use super::stream::resolve;
use super::{Broker, Refused, Violation, out_of_range, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Event, OffsetChange};
use crate::fact::{Fact, StoredCommit};
use crate::group::{Commit, Owned};
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, Tag, TopicId};
use crate::limits::{COMMIT_METADATA_BYTES_MAX, COMMITS_PER_REQUEST_MAX};
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{CommitOffset, Isolation, Position};
use crate::set::Set;
use crate::time::Time;

impl Broker {
    pub(super) fn commit(
        &mut self,
        conn: ConnId,
        member: MemberId,
        generation: Generation,
        offsets: &[CommitOffset<'_>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if let Some(id) = self.is_classic(member) {
            self.may_commit_classic(id, generation, false)?;
            let offsets = self.commits_asked(offsets)?;
            offsets.iter().try_for_each(|commit| self.in_log(commit))?;
            self.renew_joiner(id, member);
            self.record_commits(id, &offsets, Some(member), out);
            return Ok(());
        }
        let id = self.group_of(conn, member)?;
        let offsets = self.commits_asked(offsets)?;
        for commit in &offsets {
            self.may_commit(id, member, generation, commit)?;
        }
        self.renew_session(id, member);
        self.record_commits(id, &offsets, Some(member), out);
        Ok(())
    }

    /// Commits for a group without members, which it makes if there is none.
    pub(super) fn commit_group(
        &mut self,
        name: &str,
        offsets: &[CommitOffset<'_>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let offsets = self.commits_asked(offsets)?;
        offsets.iter().try_for_each(|commit| self.in_log(commit))?;
        let id = match self.group_names.contains_key(name) {
            true => self.without_members(name)?,
            false => self.create_group(name, out)?,
        };
        self.record_commits(id, &offsets, None, out);
        Ok(())
    }

    /// What a request wants to commit, as it will be stored.
    pub(super) fn commits_asked<'a>(
        &self,
        offsets: &'a [CommitOffset<'a>],
    ) -> Result<Vec<StoredCommit<'a>>, Refused> {
        within("the number of offsets", offsets.len() as u64, 1, COMMITS_PER_REQUEST_MAX as u64)?;
        let mut named = Set::default();
        let commit = |CommitOffset { topic: name, partition, offset, metadata }: &'a _| {
            let (topic, partition) = self.partition_named(name, *partition)?;
            if metadata.len() > COMMIT_METADATA_BYTES_MAX {
                return Err(Code::TooLarge.because(format!(
                    "the metadata of {name}/{partition} has {} bytes; it may have \
                     {COMMIT_METADATA_BYTES_MAX}",
                    metadata.len()
                )));
            }
            if named.insert((topic, partition)) {
                let metadata = Cow::Borrowed(metadata.as_ref());
                return Ok(StoredCommit { topic, partition, offset: *offset, metadata });
            }
            Err(Code::BadArgument
                .because(format!("{name}/{partition} stands in the commit twice; once is enough")))
        };
        offsets.iter().map(commit).collect()
    }

    pub(super) fn in_log(&self, commit: &StoredCommit<'_>) -> Result<(), Refused> {
        let log = &self.topics[&commit.topic].partitions[commit.partition as usize];
        if commit.offset <= log.end() {
            return Ok(());
        }
        Err(out_of_range(commit.offset, log.start(), log.end()))
    }

    /// Whether a member may commit this.
    pub(super) fn may_commit(
        &self,
        id: GroupId,
        member: MemberId,
        generation: Generation,
        commit: &StoredCommit<'_>,
    ) -> Result<(), Refused> {
        let (group, offset) = (&self.groups[&id], commit.offset);
        let partition = (commit.topic, commit.partition);
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
        self.in_log(commit)?;
        let committed = group.committed(partition).unwrap_or_default();
        if offset < sought.unwrap_or(committed).min(committed) {
            return Err(Code::OffsetOutOfRange.because(format!(
                "{offset} is before {committed}, which is committed on {shown}; to go back, seek \
                 there first, or reset the group's offsets"
            )));
        }
        Ok(())
    }

    fn record_commits(
        &mut self,
        id: GroupId,
        offsets: &[StoredCommit<'_>],
        member: Option<MemberId>,
        out: &mut dyn Sink,
    ) {
        let group = &self.groups[&id];
        let of = |commit: &StoredCommit<'_>| group.committed((commit.topic, commit.partition));
        let before: Vec<_> = offsets.iter().map(of).collect();
        let fact = Fact::OffsetsCommitted { group: id, at: self.now, offsets: offsets.into() };
        self.record(fact, out);
        self.commits_moved(id, offsets, &before, member, out);
    }

    /// What follows for readers and watchers from commits that were made true; `before` is what was
    /// committed on each of the partitions.
    pub(super) fn commits_moved(
        &mut self,
        id: GroupId,
        offsets: &[StoredCommit<'_>],
        before: &[Option<Offset>],
        member: Option<MemberId>,
        out: &mut dyn Sink,
    ) {
        for (StoredCommit { topic, partition, offset, .. }, from) in offsets.iter().zip(before) {
            let group = self.group_mut(id);
            let at = (*topic, *partition);
            if group.reached.get(&at).is_some_and(|reached| reached <= offset) {
                group.reached.remove(&at);
            }
            if let Some(owned) = group.owned.get_mut(&at) {
                owned.sought = None;
            }
            self.note(out, || Activity::Committed {
                group: self.groups[&id].name.as_str().into(),
                topic: self.topic_name(*topic).into(),
                partition: *partition,
                from: *from,
                to: *offset,
                member,
            });
        }
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
        let to = resolve(log, to, Isolation::Uncommitted)?;
        let group = self.groups.get_mut(&id).expect("a member's group exists");
        let committed = group.committed(partition).unwrap_or_default();
        match group
            .owned
            .get_mut(&partition)
            .filter(|owned| owned.member == member && owned.going.is_none())
        {
            Some(owned) => {
                owned.position = to;
                group.begun.insert(partition, (member, owned.since));
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
        (conn, tag): (ConnId, Tag),
        group: &str,
        (topic, partition): (&str, Option<u32>),
        (to, dry_run): (Position, bool),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.without_members(group)?;
        let (topic_id, partitions) = self.partitions_named(topic, partition)?;
        let mut resets = Vec::new();
        for partition in partitions {
            let log = &self.topics[&topic_id].partitions[partition as usize];
            let offset = resolve(log, to, Isolation::Uncommitted)?;
            let metadata = Cow::Borrowed("");
            resets.push(StoredCommit { topic: topic_id, partition, offset, metadata });
        }
        let change = |reset: &StoredCommit<'_>| OffsetChange {
            topic: topic.into(),
            partition: reset.partition,
            from: self.groups[&id].committed((topic_id, reset.partition)),
            to: reset.offset,
        };
        let changes: Vec<_> = resets.iter().map(change).collect();
        if !dry_run {
            for reset in &resets {
                self.group_mut(id).reached.remove(&(topic_id, reset.partition));
            }
            self.record_commits(id, &resets, None, out);
        }
        self.tell(conn, Event::OffsetsReset { tag, changes: changes.into() }, out);
        Ok(())
    }

    pub(super) fn delete_offsets(
        &mut self,
        (conn, tag): (ConnId, Tag),
        group: &str,
        (topic, partition): (&str, Option<u32>),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.group_named(group)?;
        let (topic_id, partitions) = self.partitions_named(topic, partition)?;
        let state = &self.groups[&id];
        if state.members.values().any(|member| member.topics.contains(topic_id)) {
            return Err(Code::InUse.because(format!(
                "a member of group {group:?} reads topic {topic:?}; stop it first"
            )));
        }
        if state.classic.is_some() {
            return Err(Code::InUse.because(format!(
                "the members of group {group:?} assign by themselves, so any of them may read topic \
                 {topic:?}; stop them first"
            )));
        }
        let partitions: Vec<_> =
            partitions.filter_map(|p| Some((p, state.committed((topic_id, p))?))).collect();
        if !partitions.is_empty() {
            let gone: Vec<u32> = partitions.iter().map(|(partition, _)| *partition).collect();
            let partitions = Cow::Borrowed(&gone[..]);
            self.record(Fact::OffsetsDeleted { group: id, topic: topic_id, partitions }, out);
        }
        for (partition, from) in &partitions {
            self.group_mut(id).reached.remove(&(topic_id, *partition));
            let (group, topic) = (group.into(), topic.into());
            let (partition, from) = (*partition, *from);
            self.note(out, || Activity::OffsetDeleted { group, topic, partition, from });
        }
        self.tell(conn, Event::Count { tag, count: partitions.len() as u64, left: 0 }, out);
        Ok(())
    }

    /// One partition of a topic, or all of them.
    fn partitions_named(
        &self,
        topic: &str,
        partition: Option<u32>,
    ) -> Result<(TopicId, core::ops::Range<u32>), Refused> {
        let id = self.topic_named(topic)?;
        let Some(partition) = partition else {
            return Ok((id, 0..self.topics[&id].partitions.len() as u32));
        };
        self.partition_named(topic, partition)?;
        Ok((id, partition..partition + 1))
    }

    /// Makes commits true.
    pub(super) fn offsets_committed(
        &mut self,
        group: GroupId,
        at: Time,
        offsets: &[StoredCommit<'_>],
    ) -> Result<(), Violation> {
        for StoredCommit { topic, partition, offset, .. } in offsets {
            let log = self.topics.get(topic).and_then(|topic| topic.partition(*partition));
            if log.is_none_or(|log| *offset > log.end()) {
                return Err(broken(&format!("offset {offset} of {topic}/{partition}")));
            }
        }
        let group = self.groups.get_mut(&group).ok_or_else(|| broken(&format!("group {group}")))?;
        for StoredCommit { topic, partition, offset, metadata } in offsets {
            let commit = Commit { offset: *offset, at, metadata: metadata.to_string() };
            group.committed.insert((*topic, *partition), commit);
        }
        Ok(())
    }
}
