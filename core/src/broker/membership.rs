//! Who is in a consumer group, and which partitions that gives them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::{Broker, Refused, counted, span_within, valid_name, within};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::{Assignment, Event};
use crate::fact::Fact;
use crate::group::{Group, Member, Owned, Partition};
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, Tag, TopicId};
use crate::limits::{
    SESSION_TIMEOUT_DEFAULT, SESSION_TIMEOUT_MAX, SESSION_TIMEOUT_MIN, SUBSCRIPTIONS_MAX,
};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{Assignor, Start};
use crate::set::Set;
use crate::time::Span;
use crate::timer::{Due, TimerId};

impl Broker {
    pub(super) fn join(
        &mut self,
        conn: ConnId,
        tag: Tag,
        name: &str,
        topics: &[Cow<'_, str>],
        (assignor, start, session): (Assignor, Start, Option<Span>),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        within("the number of topics", topics.len() as u64, 1, SUBSCRIPTIONS_MAX as u64)?;
        let topics: Result<Set<TopicId>, _> =
            topics.iter().map(|topic| self.topic_named(topic)).collect();
        let topics = topics?;
        let session = session.unwrap_or(SESSION_TIMEOUT_DEFAULT);
        span_within("session_timeout", session, SESSION_TIMEOUT_MIN, SESSION_TIMEOUT_MAX)?;
        self.room_on(conn)?;
        let group = match self.group_names.get(name) {
            Some(id) => self.may_join(&self.groups[id], assignor)?,
            None => self.create_group(name, out)?,
        };
        let member = MemberId(self.number());
        let timer = self.timers.start(self.now + session, Due::Session(member));
        let owns = Set::default();
        let joined =
            Member { conn, topics, owns, start, session, timer, waiting: None, polled: None };
        let state = self.group_mut(group);
        state.assignor = assignor;
        state.members.insert(member, joined);
        self.members.insert(member, group);
        self.conn_mut(conn).members.insert(member);
        self.tell(conn, Event::Joined { tag, member }, out);
        self.note(out, || Activity::MemberJoined { group: name.into(), member, conn });
        self.rebalance(group, out);
        Ok(())
    }

    pub(super) fn create_group(
        &mut self,
        name: &str,
        out: &mut dyn Sink,
    ) -> Result<GroupId, Refused> {
        valid_name("group", name)?;
        self.room_for("groups", self.groups.len(), self.config.limits.groups_max)?;
        let id = self.next_group;
        self.record(Fact::GroupCreated { id, name: name.into() }, out);
        self.changed(out, || format!("group {name} was created"));
        Ok(id)
    }

    fn may_join(&self, group: &Group, assignor: Assignor) -> Result<GroupId, Refused> {
        self.room_for("members", group.members.len(), self.config.limits.members_max)?;
        if !group.members.is_empty() && group.assignor != assignor {
            return Err(Code::Conflict.because(format!(
                "group {:?} shares its partitions by {:?} as long as it has members, not by \
                 {assignor:?}",
                group.name, group.assignor
            )));
        }
        Ok(group.id)
    }

    pub(super) fn heartbeat(&mut self, conn: ConnId, member: MemberId) -> Result<(), Refused> {
        let group = self.group_of(conn, member)?;
        self.renew_session(group, member);
        Ok(())
    }

    /// The group of a member that this connection speaks for.
    pub(super) fn group_of(&self, conn: ConnId, member: MemberId) -> Result<GroupId, Refused> {
        if !self.conns[&conn].members.contains(member) {
            return Err(Code::UnknownMember.because(format!(
                "this connection has no {member}; its session may have timed out: join again"
            )));
        }
        Ok(self.members[&member])
    }

    pub(super) fn renew_session(&mut self, group: GroupId, member: MemberId) {
        let group = self.groups.get_mut(&group).expect("a member's group exists");
        let reader = group.members.get_mut(&member).expect("a known member is in its group");
        self.timers.stop(reader.timer);
        reader.timer = self.timers.start(self.now + reader.session, Due::Session(member));
    }

    pub(super) fn leave(
        &mut self,
        conn: ConnId,
        member: MemberId,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        self.group_of(conn, member)?;
        self.remove_members(Set::of(member), LeaveReason::Left, out);
        Ok(())
    }

    /// A member was silent for its session timeout. One whose poll waits is not silent: it is the
    /// broker that makes it wait.
    pub(super) fn session_expired(&mut self, member: MemberId, timer: TimerId, out: &mut dyn Sink) {
        let Some(group) = self.members.get(&member).copied() else { return };
        let reader = &self.groups[&group].members[&member];
        if reader.timer != timer {
            return;
        }
        if reader.waiting.is_some() {
            return self.renew_session(group, member);
        }
        self.tell(reader.conn, Event::Expelled { member }, out);
        self.remove_members(Set::of(member), LeaveReason::SessionTimeout, out);
    }

    /// Takes members out of their groups, and shares out anew what they had.
    pub(super) fn remove_members(
        &mut self,
        members: Set<MemberId>,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) {
        let mut groups = Set::default();
        for member in members {
            groups.insert(self.remove_member(member, reason, out));
        }
        for group in groups {
            self.rebalance(group, out);
        }
    }

    pub(super) fn remove_member(
        &mut self,
        member: MemberId,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) -> GroupId {
        let group = self.members[&member];
        if let Some(wait) = self.groups[&group].members[&member].waiting {
            let wait = self.stop_waiting(wait);
            if reason != LeaveReason::Disconnected {
                let event = Event::Polled { tag: wait.tag, batches: Cow::Borrowed(&[]) };
                self.tell(wait.conn, event, out);
            }
        }
        self.members.remove(&member);
        let reader = self.group_mut(group).members.remove(&member).expect("a known member");
        self.timers.stop(reader.timer);
        if let Some(conn) = self.conns.get_mut(&reader.conn) {
            conn.members.remove(member);
        }
        let name = &self.groups[&group].name;
        self.note(out, || Activity::MemberLeft {
            group: name.as_str().into(),
            member,
            conn: reader.conn,
            reason,
        });
        group
    }

    /// Takes a topic, which is going, out of every subscription. Returns the groups whose
    /// assignment this changes, and the members that read nothing else.
    pub(super) fn unsubscribe_all(
        &mut self,
        topic: TopicId,
    ) -> (Set<GroupId>, Vec<(MemberId, ConnId)>) {
        let (mut groups, mut idle) = (Set::default(), Vec::new());
        for group in self.groups.values_mut() {
            for (id, member) in group.members.iter_mut() {
                if member.topics.remove(topic) {
                    groups.insert(group.id);
                    if member.topics.is_empty() {
                        idle.push((*id, member.conn));
                    }
                }
            }
        }
        (groups, idle)
    }

    /// Shares out a group's partitions anew and tells its members. Who keeps a partition keeps its
    /// position in it; who gets one begins where the group has committed.
    pub(super) fn rebalance(&mut self, id: GroupId, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        let generation = Generation(group.generation.0 + 1);
        let topics: Set<TopicId> =
            group.members.values().flat_map(|member| member.topics.iter()).collect();
        let topics: Vec<_> = topics
            .into_iter()
            .filter_map(|topic| Some((topic, self.topics.get(&topic)?.partitions.len() as u32)))
            .collect();
        let mut owned = Map::default();
        for (partition, member) in group.assignment(&topics) {
            let kept = group.owned.get(&partition).filter(|owned| owned.member == member);
            let start = group.members[&member].start;
            let fresh = || Owned {
                member,
                since: generation,
                position: self.first_position(group, partition, start),
                sought: None,
            };
            owned.insert(partition, kept.copied().unwrap_or_else(fresh));
        }
        self.record(Fact::Rebalanced { group: id, generation }, out);
        let group = self.group_mut(id);
        let before = core::mem::replace(&mut group.owned, owned);
        group.members.values_mut().for_each(|member| member.owns = Set::default());
        for (partition, owned) in group.owned.iter() {
            let owner = group.members.get_mut(&owned.member).expect("an owner is a member");
            owner.owns.insert(*partition);
        }
        self.tell_assignments(id, out);
        self.note_assignments(id, &before, out);
        let members: Vec<_> = self.groups[&id].members.keys().copied().collect();
        for member in members {
            self.wake_poll(id, member, out);
        }
    }

    fn first_position(&self, group: &Group, partition: Partition, start: Start) -> Offset {
        let log = &self.topics[&partition.0].partitions[partition.1 as usize];
        match (group.committed.get(&partition), start) {
            (Some(commit), _) if planted(Planted::ResumeSkipsARecord) => {
                commit.offset.plus(1).clamp(log.start(), log.end())
            }
            (Some(commit), _) => commit.offset.clamp(log.start(), log.end()),
            (None, Start::Earliest) => log.start(),
            (None, Start::Latest) => log.end(),
        }
    }

    fn tell_assignments(&self, id: GroupId, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        for (member, reader) in group.members.iter() {
            let told = group.owned.iter().filter(|((_, partition), owned)| {
                owned.member == *member || (planted(Planted::PartitionGoesToAll) && *partition == 0)
            });
            let partitions = told.map(|((topic, partition), owned)| Assignment {
                topic: self.topic_name(*topic).into(),
                partition: *partition,
                position: owned.position,
            });
            let partitions = partitions.collect();
            let generation = group.generation;
            let event = Event::Assigned { member: *member, generation, partitions };
            self.tell(reader.conn, event, out);
        }
    }

    fn note_assignments(&self, id: GroupId, before: &Map<Partition, Owned>, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        for (partition, owned) in group.owned.iter() {
            if before.get(partition).is_some_and(|before| before.member == owned.member) {
                continue;
            }
            let reached = group.reached.get(partition).copied().unwrap_or_default();
            self.note(out, || Activity::PartitionAssigned {
                group: group.name.as_str().into(),
                generation: group.generation,
                topic: self.topic_name(partition.0).into(),
                partition: partition.1,
                member: owned.member,
                position: owned.position,
                again: reached.0.saturating_sub(owned.position.0),
            });
        }
    }

    pub(super) fn delete_group(&mut self, name: &str, out: &mut dyn Sink) -> Result<(), Refused> {
        let id = self.without_members(name)?;
        self.record(Fact::GroupDeleted { id }, out);
        self.changed(out, || format!("group {name} was deleted"));
        Ok(())
    }

    /// A group, if it has no members.
    pub(super) fn without_members(&self, name: &str) -> Result<GroupId, Refused> {
        let id = self.group_named(name)?;
        let members = self.groups[&id].members.len();
        if members == 0 {
            return Ok(id);
        }
        Err(Code::InUse.because(format!(
            "group {name:?} has {}; stop them first, or wait for their sessions to end",
            counted(members as u64, "member")
        )))
    }

    pub(super) fn group_mut(&mut self, id: GroupId) -> &mut Group {
        self.groups.get_mut(&id).expect("a known group exists")
    }
}
