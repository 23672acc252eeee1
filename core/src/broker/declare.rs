//! Queues and topics come and go.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::tend::deleted;
use super::{Broker, Refused, counted, valid_name};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{ConnId, QueueId, Tag, TopicId};
use crate::limits::SETTLED_PER_FACT_MAX;
use crate::policy::QueuePolicy;
use crate::refusal::Code;
use crate::set::Set;
use crate::sort::sort_by_key;

impl Broker {
    pub(super) fn declare_queue(
        &mut self,
        conn: ConnId,
        name: &str,
        policy: QueuePolicy<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if let Some(id) = self.queue_names.get(name).copied() {
            self.not_anothers(conn, id)?;
            if self.queues[&id].policy == policy {
                self.queue_mut(id).used_at = self.now;
                return Ok(());
            }
            return Err(Code::Conflict.because(format!(
                "queue {name:?} exists with another policy; delete it first, or take another name"
            )));
        }
        valid_name("queue", name)?;
        self.valid_policy(name, &policy)?;
        self.room_for("queues", self.queues.len(), self.config.limits.queues_max)?;
        let (id, settings) = (self.next_queue, policy.settings().into());
        self.record(Fact::QueueMade { id, name: name.into(), at: self.now, settings }, out);
        if policy.exclusive {
            self.queue_mut(id).owner = Some(conn);
            self.conn_mut(conn).exclusive.insert(id);
        }
        self.wake(id);
        self.changed(out, || format!("queue {name} was declared"));
        Ok(())
    }

    pub(super) fn delete_queue(
        &mut self,
        conn: ConnId,
        name: &str,
        (if_empty, if_unused): (bool, bool),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.queue_for(conn, name)?;
        if let Some(user) = self.dead_letters_come_from(name) {
            return Err(Code::InUse.because(format!(
                "queue {name:?} is the dead-letter queue of {:?}; delete that one first",
                user.name
            )));
        }
        let queue = &self.queues[&id];
        let holds = queue.work.unsettled();
        if if_empty && holds > 0 {
            return Err(Code::InUse.because(format!(
                "queue {name:?} holds {}, and is to be deleted only if it is empty",
                counted(holds, "message")
            )));
        }
        if if_unused && queue.attached > 0 {
            return Err(Code::InUse.because(format!(
                "queue {name:?} has {}, and is to be deleted only if it has none",
                counted(u64::from(queue.attached), "consumer")
            )));
        }
        self.remove_queue(id, "", out);
        Ok(())
    }

    /// A queue goes, because somebody asks for it, or by itself.
    pub(super) fn remove_queue(&mut self, id: QueueId, why: &str, out: &mut dyn Sink) {
        let gone = self.dismiss(&[id]);
        let name = self.queue_name(id).to_owned();
        self.record(Fact::QueueDeleted { id }, out);
        self.tell_dismissed(gone, &deleted(&format!("{name:?}"), why), out);
        self.changed(out, || deleted(&name, why));
    }

    pub(super) fn purge_queue(
        &mut self,
        conn: ConnId,
        tag: Tag,
        name: &str,
        all: bool,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let mut purged = 0;
        for id in self.worked_by(conn, name)? {
            let work = &self.queues[&id].work;
            let mut runs: Vec<_> = work.ready_runs().collect();
            if all {
                runs.extend(work.in_hand_or_waiting().map(|offset| (offset, 1)));
            }
            sort_by_key(&mut runs, |run| *run);
            for runs in runs.chunks(SETTLED_PER_FACT_MAX) {
                self.record(Fact::RunsSettled { queue: id, runs: Cow::Borrowed(runs) }, out);
            }
            for (base, count) in &runs {
                let (queue, base, count) = (self.queue_name(id).into(), *base, *count);
                self.note(out, || Activity::Purged { queue, base, count });
                purged += count;
            }
        }
        self.tell(conn, Event::Count { tag, count: purged, left: 0 }, out);
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, name: &str, out: &mut dyn Sink) -> Result<(), Refused> {
        let id = self.topic_named(name)?;
        let (groups, idle) = self.unsubscribe_all(id);
        let readers = self.topics[&id].upkeep.iter().flat_map(|upkeep| upkeep.readers.keys());
        // A fetch may wait at several of its partitions.
        let readers: Set<u64> = readers.copied().collect();
        let readers: Vec<_> = readers.into_iter().map(|wait| self.stop_waiting(wait)).collect();
        let work_groups = self.work_groups_on(id);
        let parts = work_groups.iter().flat_map(|name| self.work_groups[name].parts.iter());
        let parts: Vec<QueueId> = parts.copied().collect();
        let gone = self.dismiss(&parts);
        self.record(Fact::TopicDeleted { id }, out);
        self.tell_dismissed(gone, &format!("topic {name:?} was deleted"), out);
        for wait in readers {
            let refusal = Code::UnknownTopic.because(format!("topic {name:?} was deleted"));
            self.tell(wait.conn, Event::Refused { tag: wait.tag, refusal }, out);
        }
        self.changed(out, || format!("topic {name} was deleted"));
        for (member, conn) in idle {
            let reason = LeaveReason::TopicDeleted;
            self.tell_member(conn, Event::Expelled { member, reason }, out);
            self.remove_member(member, reason, out);
        }
        for group in groups.iter() {
            self.rebalance(group, out);
        }
        Ok(())
    }

    pub(super) fn room_for(&self, what: &str, have: usize, max: u32) -> Result<(), Refused> {
        if have < max as usize {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "there are {have} {what}, and there may be {max}; delete some, or raise the limit"
        )))
    }

    pub(super) fn changed(&self, out: &mut dyn Sink, what: impl FnOnce() -> alloc::string::String) {
        self.note(out, || Activity::TopologyChanged { what: what().into() });
    }

    pub(super) fn queue_name(&self, id: QueueId) -> &str {
        &self.queues[&id].name
    }

    pub(super) fn topic_name(&self, id: TopicId) -> &str {
        &self.topics[&id].name
    }
}
