//! What is done to a member of a group beside its coming and going: an administrator puts it out,
//! or it reads other topics.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::{Broker, Refused, shown, within};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::{Event, NotRemoved};
use crate::id::{ConnId, GroupId, MemberId, Tag, TopicId};
use crate::limits::{REMOVALS_PER_REQUEST_MAX, SUBSCRIPTIONS_MAX};
use crate::refusal::Code;
use crate::request::MemberName;
use crate::set::Set;

impl Broker {
    /// Puts members out of a group; those that cannot be are told, and the others are out.
    pub(super) fn remove_named(
        &mut self,
        (conn, tag): (ConnId, Tag),
        group: &str,
        members: &[MemberName<'_>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let max = REMOVALS_PER_REQUEST_MAX as u64;
        within("the number of members", members.len() as u64, 1, max)?;
        let id = self.group_named(group)?;
        let mut found = Set::default();
        let mut refused = Vec::new();
        for (name, index) in members.iter().zip(0..) {
            match self.member_named(id, name) {
                Ok(member) if found.insert(member) => {}
                Ok(member) => {
                    let refusal = Code::UnknownMember
                        .because(format!("{member} is named twice, and out already"));
                    refused.push(NotRemoved { index, refusal });
                }
                Err(refusal) => refused.push(NotRemoved { index, refusal }),
            }
        }
        let reason = LeaveReason::Removed;
        if self.groups[&id].classic.is_some() {
            self.expel_joiners(id, found.iter().collect(), reason, out);
        } else {
            for member in found.iter() {
                let conn = self.groups[&id].members[&member].conn;
                self.tell_member(conn, Event::Expelled { member, reason }, out);
            }
            self.remove_members(found, reason, out);
        }
        self.tell(conn, Event::MembersRemoved { tag, refused: refused.into() }, out);
        Ok(())
    }

    /// The member of a group that is meant.
    fn member_named(&self, id: GroupId, name: &MemberName<'_>) -> Result<MemberId, Refused> {
        let group = &self.groups[&id];
        if let Some(instance) = &name.instance {
            let known = group.instances.get(instance.as_ref()).copied();
            let Some(known) = known else {
                return Err(Code::UnknownMember.because(format!(
                    "group {:?} has no member of the instance name {}",
                    group.name,
                    shown(instance)
                )));
            };
            if name.member.is_none_or(|member| member == known) {
                return Ok(known);
            }
            return Err(Code::FencedInstanceId.because(format!(
                "{known} has the instance name {}, not the member that is named",
                shown(instance)
            )));
        }
        let Some(member) = name.member else {
            return Err(Code::BadArgument
                .because("a member is named by its number, its instance's name, or both"));
        };
        if self.members.get(&member) == Some(&id) {
            return Ok(member);
        }
        Err(Code::UnknownMember.because(format!("group {:?} has no {member}", group.name)))
    }

    /// A member reads other topics from now on.
    pub(super) fn subscribe(
        &mut self,
        conn: ConnId,
        member: MemberId,
        names: &[Cow<'_, str>],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.group_of(conn, member)?;
        let topics = self.topics_asked(names)?;
        self.renew_session(id, member);
        if self.groups[&id].members[&member].topics == topics {
            return Ok(());
        }
        let waits = self.groups[&id].members[&member].waiting.is_some();
        if waits {
            self.polls_end(id, member);
        }
        let group = self.group_mut(id);
        group.members.get_mut(&member).expect("a known member").topics = topics;
        if waits {
            self.polls_begin(id, member);
        }
        self.note(out, || Activity::SubscriptionChanged {
            group: self.groups[&id].name.as_str().into(),
            member,
            topics: names.join(", ").into(),
        });
        self.rebalance(id, out);
        Ok(())
    }

    /// The topics that a member wants to read.
    pub(super) fn topics_asked(&self, names: &[Cow<'_, str>]) -> Result<Set<TopicId>, Refused> {
        within("the number of topics", names.len() as u64, 1, SUBSCRIPTIONS_MAX as u64)?;
        names.iter().map(|topic| self.topic_named(topic)).collect()
    }

    /// A poll of this member waits: its topics know.
    pub(super) fn polls_begin(&mut self, id: GroupId, member: MemberId) {
        for topic in self.groups[&id].members[&member].topics.iter() {
            let topic = self.topics.get_mut(&topic).expect("a member reads topics that exist");
            *topic.polled.get_or_insert_with(id, || 0) += 1;
        }
    }

    /// It waits no longer.
    pub(super) fn polls_end(&mut self, id: GroupId, member: MemberId) {
        for topic in self.groups[&id].members[&member].topics.iter() {
            let topic = self.topics.get_mut(&topic).expect("a member reads topics that exist");
            let polls = topic.polled.get_mut(&id).expect("it is counted there");
            *polls -= 1;
            if *polls == 0 {
                topic.polled.remove(&id);
            }
        }
    }
}
