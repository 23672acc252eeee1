//! Groups without members: what they have committed is kept for a while, and then forgotten, as
//! Kafka does it after `offsets.retention.minutes`.
//!
//! A group's timer runs while it has no members, until the first moment at which something of it
//! may be too old. What is found then is up to date, so it may run too early, and does no harm.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::check::{Checked, hold};
use super::{Broker, Refused};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::fact::Fact;
use crate::group::{Group, Partition};
use crate::id::{GroupId, MemberId, Offset, TopicId};
use crate::limits::{
    FENCED_REMEMBERED_MAX, OFFSETS_EXPIRED_PER_APPLY_MAX, TRANSACTION_TIMEOUT_MAX,
};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::time::{Span, Time};
use crate::timer::{Due, TimerId};

impl Broker {
    /// A group has no members any more.
    pub(super) fn vacated(&mut self, id: GroupId, out: &mut dyn Sink) {
        self.record(Fact::GroupVacated { group: id, at: self.now }, out);
        self.keep_offsets(id);
    }

    /// A life begins: whoever was in a group is gone with the one before.
    pub(super) fn begin_vacant(&mut self, out: &mut dyn Sink) {
        let groups: Vec<_> = self.groups.keys().copied().collect();
        for id in groups {
            match self.groups[&id].vacated_at {
                Some(_) => self.keep_offsets(id),
                None => self.vacated(id, out),
            }
        }
    }

    /// A group has somebody in it: it keeps what it has committed.
    pub(super) fn occupied(&mut self, id: GroupId) {
        let group = self.group_mut(id);
        let timer = core::mem::replace(&mut group.keeping, TimerId::NONE);
        self.timers.stop(timer);
    }

    /// Sees to it that what a group without members has committed goes in time.
    pub(super) fn keep_offsets(&mut self, id: GroupId) {
        let group = &self.groups[&id];
        if group.keeping == TimerId::NONE && group.is_empty() {
            let since = match planted(Planted::OffsetsExpireByAgeAlone) {
                true => Time::ZERO,
                false => group.vacated_at.unwrap_or(self.now),
            };
            self.keep_offsets_until(id, since);
        }
    }

    /// Has a group looked after when what it committed at `since`, or before, is too old.
    pub(super) fn keep_offsets_until(&mut self, id: GroupId, since: Time) {
        let Some(retention) = self.config.limits.offsets_retention() else { return };
        let timer = self.timers.start(since + retention, Due::Offsets(id));
        self.group_mut(id).keeping = timer;
    }

    /// Something that a group has committed may be too old.
    pub(super) fn offsets_due(&mut self, id: GroupId, timer: TimerId, out: &mut dyn Sink) {
        let Some(retention) = self.config.limits.offsets_retention() else { return };
        let Some(group) = self.groups.get_mut(&id).filter(|group| group.keeping == timer) else {
            return;
        };
        group.keeping = TimerId::NONE;
        if self.has_pending(id) {
            let later = self.now + retention.min(TRANSACTION_TIMEOUT_MAX);
            self.group_mut(id).keeping = self.timers.start(later, Due::Offsets(id));
            return;
        }
        let (old, next) = self.too_old(id, retention);
        self.forget_offsets(id, &old, retention, out);
        let group = &self.groups[&id];
        match next {
            Some(since) => self.keep_offsets_until(id, since),
            None if group.committed.is_empty() => {
                let name = group.name.clone();
                self.record(Fact::GroupDeleted { id }, out);
                self.changed(out, || {
                    format!("group {name} was deleted: it had no members and no offsets")
                });
            }
            // More than goes in one step.
            None => self.group_mut(id).keeping = self.timers.start(self.now, Due::Offsets(id)),
        }
    }

    /// What was committed too long ago, as much as goes in one step; and when the oldest of what is
    /// not too old was.
    fn too_old(&self, id: GroupId, retention: Span) -> (Vec<(Partition, Offset)>, Option<Time>) {
        let group = &self.groups[&id];
        let vacated = group.vacated_at.unwrap_or(self.now);
        let (mut old, mut next) = (Vec::new(), None);
        for (partition, commit) in group.committed.iter() {
            let since = match planted(Planted::OffsetsExpireByAgeAlone) {
                true => commit.at,
                false => commit.at.max(vacated),
            };
            if since + retention > self.now {
                next = Some(next.map_or(since, |next: Time| next.min(since)));
            } else if old.len() < OFFSETS_EXPIRED_PER_APPLY_MAX {
                old.push((*partition, commit.offset));
            } else {
                return (old, None);
            }
        }
        (old, next)
    }

    fn forget_offsets(
        &mut self,
        id: GroupId,
        old: &[(Partition, Offset)],
        kept: Span,
        out: &mut dyn Sink,
    ) {
        let mut by_topic: Map<TopicId, Vec<u32>> = Map::default();
        for ((topic, partition), _) in old {
            by_topic.get_or_insert_with(*topic, Vec::new).push(*partition);
        }
        for (topic, partitions) in by_topic.iter() {
            let partitions = Cow::Borrowed(&partitions[..]);
            self.record(Fact::OffsetsDeleted { group: id, topic: *topic, partitions }, out);
        }
        for (partition, from) in old {
            self.group_mut(id).reached.remove(partition);
            self.note(out, || Activity::OffsetExpired {
                group: self.groups[&id].name.as_str().into(),
                topic: self.topic_name(partition.0).into(),
                partition: partition.1,
                from: *from,
                kept,
            });
        }
    }

    pub(super) fn check_vacant(&self, group: &Group) -> Checked {
        let name = &group.name;
        let keeping = group.keeping != TimerId::NONE;
        hold(group.is_empty() || !keeping, || {
            format!("group {name} has members, and its offsets would go")
        })?;
        hold(!self.started || !group.is_empty() || group.vacated_at.is_some(), || {
            format!("group {name} has no members, and it is not known since when")
        })?;
        let kept = self.config.limits.offsets_retention().is_none() || keeping;
        hold(kept || !self.started || !group.is_empty(), || {
            format!("group {name} has no members, and its offsets would stay")
        })
    }

    /// Another took a member's instance name.
    pub(super) fn fence(&mut self, member: MemberId) {
        self.fenced.insert(member);
        let oldest = self.fenced.iter().next();
        if let Some(oldest) = oldest.filter(|_| self.fenced.len() > FENCED_REMEMBERED_MAX) {
            self.fenced.remove(oldest);
        }
    }

    pub(super) fn is_not_fenced(&self, member: MemberId) -> Result<(), Refused> {
        if !self.fenced.contains(member) {
            return Ok(());
        }
        Err(Code::FencedInstanceId.because(format!(
            "another has joined under the instance name of {member}, and has its place; two cannot \
             run under one name"
        )))
    }
}
