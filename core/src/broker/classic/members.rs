//! Who is in a group whose members assign, and who no longer is.

use alloc::format;
use alloc::vec::Vec;

use crate::activity::{Activity, LeaveReason, RebalanceCause};
use crate::broker::check::{Checked, hold};
use crate::broker::{Awaits, Broker, Refused, Violation, Wait};
use crate::classic::{Classic, Joiner};
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::group::Group;
use crate::id::{ConnId, Generation, GroupId, MemberId, Tag};
use crate::refusal::Code;
use crate::timer::{Due, TimerId};

impl Broker {
    pub(in crate::broker) fn classic(&self, id: GroupId) -> &Classic {
        self.groups[&id].classic.as_ref().expect("its members assign")
    }

    pub(in crate::broker) fn classic_mut(&mut self, id: GroupId) -> &mut Classic {
        self.group_mut(id).classic.as_mut().expect("its members assign")
    }

    pub(in crate::broker) fn joiner_mut(&mut self, id: GroupId, member: MemberId) -> &mut Joiner {
        self.classic_mut(id).members.get_mut(&member).expect("a known member")
    }

    /// The name of a member's group, if its members assign; for whoever drives the broker.
    pub fn classic_group(&self, member: MemberId) -> Option<&str> {
        let id = self.is_classic(member)?;
        Some(&self.groups[&id].name)
    }

    /// Whether a member is in a group whose members assign.
    pub(in crate::broker) fn is_classic(&self, member: MemberId) -> Option<GroupId> {
        let id = *self.members.get(&member)?;
        self.groups[&id].classic.is_some().then_some(id)
    }

    /// The group of a member whose group's members assign. As in Kafka, such a member is not bound
    /// to a connection: whoever names it speaks for it.
    pub(super) fn classic_group_of(&self, member: MemberId) -> Result<GroupId, Refused> {
        self.is_not_fenced(member)?;
        self.is_classic(member).ok_or_else(|| unknown(member))
    }

    /// A request waits for others, however long they take.
    pub(super) fn park(&mut self, conn: ConnId, tag: Tag, what: Awaits) -> u64 {
        let number = self.number();
        self.waits.insert(number, Wait { conn, tag, timer: TimerId::NONE, what });
        self.conn_mut(conn).waits.insert(number);
        number
    }

    /// A member speaks through this connection from now on; it is known that there is room.
    pub(super) fn speaks_through(&mut self, id: GroupId, conn: ConnId, member: MemberId) {
        let before = self.joiner_mut(id, member).conn.replace(conn);
        if before == Some(conn) {
            return;
        }
        if let Some(before) = before.and_then(|before| self.conns.get_mut(&before)) {
            before.members.remove(member);
        }
        self.conn_mut(conn).members.insert(member);
    }

    pub(in crate::broker) fn renew_joiner(&mut self, id: GroupId, member: MemberId) {
        let group = self.groups.get_mut(&id).expect("a known group exists");
        let classic = group.classic.as_mut().expect("its members assign");
        let joiner = classic.members.get_mut(&member).expect("a known member");
        self.timers.stop(joiner.timer);
        joiner.timer = self.timers.start(self.now + joiner.session, Due::Session(member));
    }

    /// A member was silent. One that waits for an answer is not.
    pub(in crate::broker) fn joiner_silent(
        &mut self,
        id: GroupId,
        member: MemberId,
        timer: TimerId,
        out: &mut dyn Sink,
    ) {
        let joiner = &self.classic(id).members[&member];
        if joiner.timer != timer {
            return;
        }
        if joiner.joining.is_some() || joiner.syncing.is_some() {
            return self.renew_joiner(id, member);
        }
        self.expel_joiners(id, alloc::vec![member], LeaveReason::SessionTimeout, out);
    }

    pub(in crate::broker) fn leave_classic(
        &mut self,
        id: GroupId,
        member: MemberId,
        out: &mut dyn Sink,
    ) {
        self.remove_joiner(id, member, LeaveReason::Left, out);
        self.after_leave(id, member, out);
    }

    /// Its connection closed: who knows its number may come back with it.
    pub(in crate::broker) fn disconnect_joiner(
        &mut self,
        id: GroupId,
        member: MemberId,
        out: &mut dyn Sink,
    ) {
        let joiner = self.joiner_mut(id, member);
        joiner.conn = None;
        if joiner.known || joiner.instance.is_some() {
            return self.renew_joiner(id, member);
        }
        self.remove_joiner(id, member, LeaveReason::Disconnected, out);
        self.after_leave(id, member, out);
    }

    /// Puts members out, and has the others join again.
    pub(in crate::broker) fn expel_joiners(
        &mut self,
        id: GroupId,
        members: Vec<MemberId>,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) {
        for member in &members {
            self.expel_joiner(id, *member, reason, out);
        }
        if let Some(last) = members.last() {
            self.after_leave(id, *last, out);
        }
    }

    pub(super) fn expel_joiner(
        &mut self,
        id: GroupId,
        member: MemberId,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) {
        let conn = self.classic(id).members[&member].conn;
        self.tell_member(conn, Event::Expelled { member, reason }, out);
        self.remove_joiner(id, member, reason, out);
    }

    fn remove_joiner(
        &mut self,
        id: GroupId,
        member: MemberId,
        reason: LeaveReason,
        out: &mut dyn Sink,
    ) {
        self.refuse_waits(id, member, || unknown(member), out);
        let gone = self.forget_joiner(id, member);
        if let Some(instance) = &gone.instance {
            self.group_mut(id).instances.remove(instance);
        }
        let conn = gone.joined_by;
        let name = &self.groups[&id].name;
        self.note(out, || Activity::MemberLeft {
            group: name.as_str().into(),
            member,
            conn,
            reason,
        });
    }

    pub(super) fn forget_joiner(&mut self, id: GroupId, member: MemberId) -> Joiner {
        self.members.remove(&member);
        let gone = self.classic_mut(id).members.remove(&member).expect("a known member");
        self.timers.stop(gone.timer);
        if let Some(conn) = gone.conn.and_then(|conn| self.conns.get_mut(&conn)) {
            conn.members.remove(member);
        }
        gone
    }

    /// Refuses what a member waits for.
    pub(super) fn refuse_waits(
        &mut self,
        id: GroupId,
        member: MemberId,
        because: impl Fn() -> Refused,
        out: &mut dyn Sink,
    ) {
        let joiner = &self.classic(id).members[&member];
        for number in [joiner.joining, joiner.syncing].into_iter().flatten() {
            let wait = self.stop_waiting(number);
            self.tell(wait.conn, Event::Refused { tag: wait.tag, refusal: because() }, out);
        }
    }

    /// Members are gone: the others need another generation, if there are any.
    fn after_leave(&mut self, id: GroupId, member: MemberId, out: &mut dyn Sink) {
        let classic = self.classic_mut(id);
        let Some(first) = classic.members.first_key() else {
            return self.emptied(id, out);
        };
        if !classic.members.contains_key(&classic.leader) {
            classic.leader = first;
        }
        self.prepare(id, (member, RebalanceCause::Left), out);
    }

    /// The last member is out.
    pub(super) fn emptied(&mut self, id: GroupId, out: &mut dyn Sink) {
        let classic = self.group_mut(id).classic.take().expect("its members assigned");
        self.timers.stop(classic.timer);
        let generation = Generation(self.groups[&id].generation.0 + 1);
        self.record(Fact::Rebalanced { group: id, generation }, out);
        self.vacated(id, out);
    }

    /// A member's request no longer waits.
    pub(in crate::broker) fn joiner_waits_no_more(
        &mut self,
        id: GroupId,
        member: MemberId,
        number: u64,
    ) {
        let joiner = self.joiner_mut(id, member);
        for waits in [&mut joiner.joining, &mut joiner.syncing] {
            if *waits == Some(number) {
                *waits = None;
            }
        }
    }

    pub(in crate::broker) fn check_classic(&self, group: &Group) -> Checked {
        let Some(classic) = &group.classic else { return Ok(()) };
        let name = &group.name;
        hold(group.members.is_empty() && group.owned.is_empty(), || {
            format!("group {name}: the broker assigns, and so do its members")
        })?;
        if let Some(fault) = classic.fault() {
            return Err(Violation(format!("group {name}: {fault}")));
        }
        for (id, joiner) in classic.members.iter() {
            hold(self.members.get(id) == Some(&group.id), || {
                format!("group {name}: {id} is not known to be in it")
            })?;
            let named = joiner.instance.as_ref().map(|instance| group.instances.get(instance));
            hold(named.is_none_or(|named| named == Some(id)), || {
                format!("group {name}: {id} is not found under its instance's name")
            })?;
            let open = joiner.conn.map(|conn| self.conns.get(&conn));
            hold(open.is_none_or(|c| c.is_some_and(|conn| conn.members.contains(*id))), || {
                format!("group {name}: {id} speaks through a connection that is not its")
            })?;
            hold(joiner.conn.is_some() || joiner.known || joiner.instance.is_some(), || {
                format!("group {name}: {id} cannot come back, and is still there")
            })?;
            for number in [joiner.joining, joiner.syncing].into_iter().flatten() {
                hold(self.waits.contains_key(&number), || {
                    format!("group {name}: {id} waits, and no request of it does")
                })?;
            }
        }
        hold(group.instances.values().all(|id| classic.members.contains_key(id)), || {
            format!("group {name}: an instance's name stands for nobody")
        })
    }
}

pub(in crate::broker) fn join_again() -> Refused {
    Code::RebalanceInProgress.because("the group rebalances; join again")
}

fn unknown(member: MemberId) -> Refused {
    Code::UnknownMember.because(format!(
        "{member} is in no group whose members assign; its session may have timed out: join again"
    ))
}
