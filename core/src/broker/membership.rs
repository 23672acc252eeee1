//! Who is in a consumer group that the broker shares partitions out in.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::{Broker, Refused, counted, span_within, valid_name};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::group::{Group, Member};
use crate::id::{ConnId, Generation, GroupId, MemberId, Tag, TopicId};
use crate::limits::{
    REBALANCE_TIMEOUT_DEFAULT, REBALANCE_TIMEOUT_MAX, REBALANCE_TIMEOUT_MIN,
    SESSION_TIMEOUT_DEFAULT, SESSION_TIMEOUT_MAX, SESSION_TIMEOUT_MIN,
};
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::request::{Assignor, Start};
use crate::set::Set;
use crate::time::Span;
use crate::timer::{Due, TimerId};

/// What a member wants when it joins, beside topics.
pub(super) struct Joining<'a> {
    pub(super) assignor: Assignor,
    pub(super) start: Start,
    /// Of its session, and of a rebalance.
    pub(super) timeouts: (Option<Span>, Option<Span>),
    pub(super) instance: Option<&'a str>,
}

impl Broker {
    pub(super) fn join(
        &mut self,
        (conn, tag): (ConnId, Tag),
        name: &str,
        topics: &[Cow<'_, str>],
        asked: Joining<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let Joining { assignor, start, timeouts, instance } = asked;
        let topics = self.topics_asked(topics)?;
        let (session, rebalance) = valid_timeouts(timeouts)?;
        instance.map_or(Ok(()), |instance| valid_name("instance", instance))?;
        self.room_on(conn)?;
        let group = self.group_names.get(name).map(|id| &self.groups[id]);
        let before = instance.and_then(|instance| group?.instances.get(instance).copied());
        let id = match group {
            Some(group) => self.may_join(group, assignor, before)?,
            None => self.create_group(name, out)?,
        };
        self.occupied(id);
        let member = MemberId(self.number());
        let timer = self.timers.start(self.now + session, Due::Session(member));
        let joined = Member {
            conn: Some(conn),
            joined_by: conn,
            client: self.conns[&conn].client.clone(),
            instance: instance.map(ToOwned::to_owned),
            topics,
            owns: Set::default(),
            going: Set::default(),
            rebalance,
            revoking: TimerId::NONE,
            start,
            session,
            timer,
            waiting: None,
            polled: None,
        };
        self.members.insert(member, id);
        self.conn_mut(conn).members.insert(member);
        self.tell(conn, Event::Joined { tag, member }, out);
        if let Some(before) = before {
            self.take_place(id, before, (member, joined), out);
            return Ok(());
        }
        let state = self.group_mut(id);
        state.assignor = assignor;
        if let Some(instance) = instance {
            state.instances.insert(instance.to_owned(), member);
        }
        state.members.insert(member, joined);
        self.note(out, || Activity::MemberJoined { group: name.into(), member, conn });
        self.rebalance(id, out);
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
        self.keep_offsets_until(id, self.now);
        self.changed(out, || format!("group {name} was created"));
        Ok(id)
    }

    fn may_join(
        &self,
        group: &Group,
        assignor: Assignor,
        before: Option<MemberId>,
    ) -> Result<GroupId, Refused> {
        if group.classic.is_some() {
            return Err(Code::InconsistentGroupProtocol.because(format!(
                "the members of group {:?} assign by themselves as long as there are any; join as \
                 they do, or wait until they have left",
                group.name
            )));
        }
        if before.is_none() {
            self.room_for("members", group.members.len(), self.config.limits.members_max)?;
        }
        if !group.members.is_empty() && group.assignor != assignor {
            return Err(Code::Conflict.because(format!(
                "group {:?} shares its partitions by {:?} as long as it has members, not by \
                 {assignor:?}",
                group.name, group.assignor
            )));
        }
        Ok(group.id)
    }

    /// A static member came back: it gets what its instance had, from what was committed on, and
    /// the one before is out. The group does not share out anew, unless other topics are wanted.
    fn take_place(
        &mut self,
        id: GroupId,
        before: MemberId,
        (member, mut joined): (MemberId, Member),
        out: &mut dyn Sink,
    ) {
        let reason = LeaveReason::InstanceFenced;
        let former = self.groups[&id].members[&before].conn;
        self.tell_member(former, Event::Expelled { member: before, reason }, out);
        let old = self.forget_member(id, before, reason, out);
        self.fence(before);
        let others = joined.topics != old.topics;
        joined.owns = old.owns;
        joined.going = old.going;
        if !joined.going.is_empty() {
            let due = self.now + joined.rebalance;
            joined.revoking = self.timers.start(due, Due::Revocation(member));
        }
        let instance = joined.instance.clone().unwrap_or_default();
        let conn = joined.conn.expect("who joins has a connection");
        let group = self.group_mut(id);
        group.instances.insert(instance.clone(), member);
        group.members.insert(member, joined);
        for owned in group.owned.values_mut() {
            if owned.member == before {
                owned.member = member;
            }
            if let Some(going) = owned.going.as_mut().filter(|going| going.to == before) {
                going.to = member;
            }
        }
        self.note(out, || Activity::MemberReturned {
            group: self.groups[&id].name.as_str().into(),
            instance: instance.as_str().into(),
            member,
            before,
            conn,
        });
        if !planted(Planted::ReturnKeepsThePosition) {
            self.begin_again(id, member);
        }
        if others {
            self.rebalance(id, out);
        } else {
            self.tell_assignment(id, member, out);
            self.note_owned(id, |owned| owned.member == member, out);
        }
        // It has begun anew, so it reads nothing of what the one before was to give up.
        self.give_up(id, member, Generation(u32::MAX), out);
        self.wake_poll(id, member, out);
    }

    pub(super) fn heartbeat(
        &mut self,
        conn: ConnId,
        member: MemberId,
        generation: Option<Generation>,
    ) -> Result<(), Refused> {
        if let Some(id) = self.is_classic(member) {
            return self.heartbeat_classic(id, conn, member, generation);
        }
        let group = self.group_of(conn, member)?;
        generation.map_or(Ok(()), |generation| self.has_come(group, generation))?;
        self.renew_session(group, member);
        Ok(())
    }

    /// Refuses to hear of a generation that the group has not reached.
    pub(super) fn has_come(&self, id: GroupId, generation: Generation) -> Result<(), Refused> {
        let group = &self.groups[&id];
        if generation <= group.generation {
            return Ok(());
        }
        Err(Code::IllegalGeneration.because(format!(
            "group {:?} is in generation {}, and has not come to {generation}",
            group.name, group.generation
        )))
    }

    /// The group of a member that this connection speaks for, where the broker assigns.
    pub(super) fn group_of(&self, conn: ConnId, member: MemberId) -> Result<GroupId, Refused> {
        if let Some(id) = self.is_classic(member) {
            return Err(Code::InconsistentGroupProtocol.because(format!(
                "the members of group {:?} assign by themselves, so the broker does not know what \
                 {member} reads: it reads partitions by itself",
                self.groups[&id].name
            )));
        }
        if self.conns[&conn].members.contains(member) {
            return Ok(self.members[&member]);
        }
        self.is_not_fenced(member)?;
        Err(Code::UnknownMember.because(format!(
            "this connection has no {member}; its session may have timed out: join again"
        )))
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
        if let Some(id) = self.is_classic(member) {
            self.leave_classic(id, member, out);
            return Ok(());
        }
        self.group_of(conn, member)?;
        self.remove_members(Set::of(member), LeaveReason::Left, out);
        Ok(())
    }

    /// A member was silent for its session timeout. One whose poll waits is not silent: it is the
    /// broker that makes it wait.
    pub(super) fn session_expired(&mut self, member: MemberId, timer: TimerId, out: &mut dyn Sink) {
        if let Some(id) = self.is_classic(member) {
            return self.joiner_silent(id, member, timer, out);
        }
        let Some(group) = self.members.get(&member).copied() else { return };
        let reader = &self.groups[&group].members[&member];
        if reader.timer != timer {
            return;
        }
        if reader.waiting.is_some() {
            return self.renew_session(group, member);
        }
        self.expel(member, LeaveReason::SessionTimeout, out);
    }

    pub(super) fn expel(&mut self, member: MemberId, reason: LeaveReason, out: &mut dyn Sink) {
        let conn = self.groups[&self.members[&member]].members[&member].conn;
        self.tell_member(conn, Event::Expelled { member, reason }, out);
        self.remove_members(Set::of(member), reason, out);
    }

    /// Tells a member's connection, if it has one.
    pub(super) fn tell_member(&self, conn: Option<ConnId>, event: Event<'_>, out: &mut dyn Sink) {
        if let Some(conn) = conn {
            self.tell(conn, event, out);
        }
    }

    /// Their connection closed: static members wait for another one, the others are out.
    pub(super) fn disconnect_members(&mut self, members: Set<MemberId>, out: &mut dyn Sink) {
        let mut gone = Set::default();
        for member in members {
            let id = self.members[&member];
            if self.groups[&id].classic.is_some() {
                self.disconnect_joiner(id, member, out);
                continue;
            }
            let reader = self.group_mut(id).members.get_mut(&member).expect("a known member");
            if reader.instance.is_none() {
                gone.insert(member);
                continue;
            }
            reader.conn = None;
            self.renew_session(id, member);
        }
        self.remove_members(gone, LeaveReason::Disconnected, out);
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
        let id = self.members[&member];
        let gone = self.forget_member(id, member, reason, out);
        if let Some(instance) = &gone.instance {
            self.group_mut(id).instances.remove(instance);
        }
        let name = &self.groups[&id].name;
        let conn = gone.joined_by;
        self.note(out, || Activity::MemberLeft {
            group: name.as_str().into(),
            member,
            conn,
            reason,
        });
        id
    }

    /// Takes a member out of everything but what it owns.
    fn forget_member(
        &mut self,
        id: GroupId,
        member: MemberId,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) -> Member {
        if let Some(wait) = self.groups[&id].members[&member].waiting {
            let wait = self.stop_waiting(wait);
            if reason != LeaveReason::Disconnected {
                let event = Event::Polled { tag: wait.tag, batches: Cow::Borrowed(&[]) };
                self.tell(wait.conn, event, out);
            }
        }
        self.members.remove(&member);
        let reader = self.group_mut(id).members.remove(&member).expect("a known member");
        self.timers.stop(reader.timer);
        self.timers.stop(reader.revoking);
        if let Some(conn) = reader.conn.and_then(|conn| self.conns.get_mut(&conn)) {
            conn.members.remove(member);
        }
        reader
    }

    /// Takes a topic, which is going, out of every subscription. Returns the groups whose
    /// assignment this changes, and the members that read nothing else.
    pub(super) fn unsubscribe_all(
        &mut self,
        topic: TopicId,
    ) -> (Set<GroupId>, Vec<(MemberId, Option<ConnId>)>) {
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

    pub(super) fn delete_group(&mut self, name: &str, out: &mut dyn Sink) -> Result<(), Refused> {
        let id = self.without_members(name)?;
        self.record(Fact::GroupDeleted { id }, out);
        self.changed(out, || format!("group {name} was deleted"));
        Ok(())
    }

    /// A group, if it has no members.
    pub(super) fn without_members(&self, name: &str) -> Result<GroupId, Refused> {
        let id = self.group_named(name)?;
        let members = self.groups[&id].size();
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

/// A member's session timeout and its rebalance timeout.
pub(super) fn valid_timeouts(
    (session, rebalance): (Option<Span>, Option<Span>),
) -> Result<(Span, Span), Refused> {
    let session = session.unwrap_or(SESSION_TIMEOUT_DEFAULT);
    span_within("session_timeout", session, SESSION_TIMEOUT_MIN, SESSION_TIMEOUT_MAX)?;
    let rebalance = rebalance.unwrap_or(REBALANCE_TIMEOUT_DEFAULT);
    span_within("rebalance_timeout", rebalance, REBALANCE_TIMEOUT_MIN, REBALANCE_TIMEOUT_MAX)?;
    Ok((session, rebalance))
}
