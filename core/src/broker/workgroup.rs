//! Work groups: crowds of workers on a topic, each record leased and settled by itself (as in
//! Kafka's share groups, KIP-932). A work group has a part for each partition: a queue whose log is
//! the partition. Several groups work on one topic without knowing of each other, and beside the
//! consumer groups that read it as a stream.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::evolve::{Evolved, broken, fresh};
use super::messages::Doing;
use super::stream::resolve;
use super::{Broker, Refused, counted, shown, valid_name};
use crate::effect::Sink;
use crate::fact::Fact;
use crate::id::{ConnId, Offset, Place, QueueId, TopicId};
use crate::log::Ask;
use crate::policy::QueuePolicy;
use crate::queue::Queue;
use crate::refusal::Code;
use crate::request::{Isolation, Position};
use crate::set::Set;
use crate::time::Time;

/// A crowd of workers on a topic.
#[derive(Clone, Debug)]
pub(crate) struct WorkGroup {
    pub(crate) topic: TopicId,
    pub(crate) policy: QueuePolicy<'static>,
    pub(crate) made_at: Time,
    /// By partition.
    pub(crate) parts: Vec<QueueId>,
    /// How many receives it has had: each begins with another part. Volatile.
    pub(crate) turn: usize,
}

impl Broker {
    pub(super) fn create_work_group(
        &mut self,
        name: &str,
        topic: &str,
        policy: QueuePolicy<'_>,
        from: Position,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.topic_named(topic)?;
        if let Some(group) = self.work_groups.get(name) {
            if group.topic == id && group.policy == policy {
                return Ok(());
            }
            return Err(Code::Conflict.because(format!(
                "work group {name:?} exists with another topic or policy; delete it first, or take \
                 another name"
            )));
        }
        valid_name("work group", name)?;
        if self.queue_names.contains_key(name) {
            return Err(Code::Conflict.because(format!(
                "there is a queue {name:?}, and consumers could not tell it from a work group; \
                 take another name"
            )));
        }
        self.valid_work_policy(name, &policy)?;
        let partitions = &self.topics[&id].partitions;
        let have = self.queues.len() + partitions.len() - 1;
        self.room_for("queues and parts of work groups", have, self.config.limits.queues_max)?;
        let begin = |log| resolve(log, from, Isolation::Uncommitted);
        let offsets: Result<Vec<Offset>, _> = partitions.iter().map(begin).collect();
        let numbers = (self.next_queue.0..).map(QueueId);
        let parts: Vec<_> = numbers.zip(offsets?).collect();
        let what = format!("work group {name} was created on topic {topic}");
        self.record(
            Fact::WorkGroupMade {
                name: name.into(),
                topic: id,
                at: self.now,
                settings: policy.settings().into(),
                parts: parts.into(),
            },
            out,
        );
        self.changed(out, || what);
        Ok(())
    }

    /// What a work group can be told about its messages: nothing that is about storing them,
    /// because they are the topic's.
    fn valid_work_policy(&self, name: &str, policy: &QueuePolicy<'_>) -> Result<(), Refused> {
        let storing = [
            (policy.messages_max.is_some(), "messages_max"),
            (policy.bytes_max.is_some(), "bytes_max"),
            (policy.deduplication.is_some(), "deduplication"),
            (policy.keep.is_some(), "keep"),
            (policy.expires.is_some(), "expires"),
            (policy.exclusive, "exclusive"),
            (policy.auto_delete, "auto_delete"),
        ];
        if let Some((_, what)) = storing.into_iter().find(|(is_set, _)| *is_set) {
            return Err(Code::BadArgument.because(format!(
                "{what} is for queues; the records of work group {name:?} are its topic's, whose \
                 policy says how long they stay"
            )));
        }
        self.valid_policy(name, policy)
    }

    pub(super) fn delete_work_group(
        &mut self,
        name: &str,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let Some(group) = self.work_groups.get(name) else {
            return Err(Code::UnknownQueue
                .because(format!("there is no work group {}; create it first", shown(name))));
        };
        let parts = group.parts.clone();
        let gone = self.dismiss(&parts);
        self.record(Fact::WorkGroupDeleted { name: name.into() }, out);
        self.tell_dismissed(gone, name, out);
        self.changed(out, || format!("work group {name} was deleted"));
        Ok(())
    }

    /// What a connection works on under this name: a queue, or the parts of a work group.
    pub(super) fn worked_by(&self, conn: ConnId, name: &str) -> Result<Vec<QueueId>, Refused> {
        if let Some(group) = self.work_groups.get(name) {
            return Ok(group.parts.clone());
        }
        let id = match self.queue_names.get(name) {
            Some(_) => self.queue_for(conn, name)?,
            None => self.part_or_queue_named(name)?,
        };
        Ok(alloc::vec![id])
    }

    /// The queue of this name, or, as `group/partition`, one part of a work group.
    pub(super) fn part_or_queue_named(&self, name: &str) -> Result<QueueId, Refused> {
        if let Some(id) = self.queue_names.get(name) {
            return Ok(*id);
        }
        if let Some(group) = self.work_groups.get(name) {
            return Err(Code::BadArgument.because(format!(
                "{name:?} is a work group with {}; name one: {name}/0",
                counted(group.parts.len() as u64, "part")
            )));
        }
        let part = name.rsplit_once('/').and_then(|(group, partition)| {
            let partition: usize = partition.parse().ok()?;
            self.work_groups.get(group)?.parts.get(partition).copied()
        });
        part.map_or_else(|| self.queue_named(name), Ok)
    }

    pub(super) fn work_group_made(
        &mut self,
        (name, topic): (Cow<'_, str>, TopicId),
        made_at: Time,
        policy: QueuePolicy<'_>,
        parts: &[(QueueId, Offset)],
    ) -> Evolved {
        self.saw(made_at);
        let name = name.into_owned();
        fresh(!self.work_groups.contains_key(&name), &name)?;
        let logs = self.topics.get(&topic).map_or(0, |topic| topic.partitions.len());
        if parts.len() != logs {
            return Err(broken(&format!("topic {topic} with {} partitions", parts.len())));
        }
        let policy = policy.into_owned();
        let group = WorkGroup { topic, policy, made_at, parts: Vec::new(), turn: 0 };
        self.work_groups.insert(name.clone(), group);
        parts.iter().try_for_each(|(id, start)| self.part_made(&name, *id, *start))
    }

    /// The next partition of a work group's topic gets its part.
    fn part_made(&mut self, name: &str, id: QueueId, start: Offset) -> Evolved {
        fresh(!self.queues.contains_key(&id), name)?;
        let next = id.0.checked_add(1).ok_or_else(|| broken("a number"))?;
        self.next_queue = self.next_queue.max(QueueId(next));
        let group = self.work_groups.get_mut(name).ok_or_else(|| broken(name))?;
        let partition = group.parts.len() as u32;
        let topic = self.topics.get_mut(&group.topic).ok_or_else(|| broken("a topic"))?;
        let log = topic.partition(partition).ok_or_else(|| broken("a partition"))?;
        if start > log.end() {
            return Err(broken(&format!("offset {start} of {}/{partition}", group.topic)));
        }
        group.parts.push(id);
        topic.workers.get_or_insert_with(partition, Default::default).insert(id);
        let shown = format!("{name}/{partition}");
        let policy = (group.made_at, group.policy.clone());
        let place = (group.topic, partition);
        self.dead_letters_go(id, policy.1.dead_letter.as_deref());
        self.queues.insert(id, Queue::of_partition((id, shown), policy, place, start));
        self.feed(id);
        self.pass_over_unstable(id, place);
        Ok(())
    }

    /// A topic has more partitions now: its work groups get more parts.
    pub(super) fn work_groups_widened(&mut self, topic: TopicId) -> Evolved {
        let groups = self.work_groups.iter().filter(|(_, group)| group.topic == topic);
        let names: Vec<String> = groups.map(|(name, _)| name.to_string()).collect();
        for name in names {
            let partitions = self.topics[&topic].partitions.len();
            for _ in self.work_groups[&name].parts.len()..partitions {
                self.part_made(&name, self.next_queue, Offset(0))?;
            }
        }
        Ok(())
    }

    pub(super) fn work_group_deleted(&mut self, name: &str) -> Evolved {
        let group = self.work_groups.remove(name).ok_or_else(|| broken(name))?;
        for id in group.parts {
            let part = self.queue_removed(id)?;
            let (topic, partition) = part.partition().ok_or_else(|| broken(name))?;
            let workers = self.topics.get_mut(&topic).map(|topic| &mut topic.workers);
            let workers = workers.and_then(|workers| workers.get_mut(&partition));
            workers.map(|workers| workers.remove(id));
        }
        Ok(())
    }

    /// The work groups on a topic, which is going.
    pub(super) fn work_groups_on(&self, topic: TopicId) -> Vec<String> {
        let groups = self.work_groups.iter().filter(|(_, group)| group.topic == topic);
        groups.map(|(name, _)| name.to_string()).collect()
    }

    /// Of what a part found in its partition, workers never see what was aborted, and what belongs
    /// to an open transaction only when that commits.
    fn pass_over_unstable(&mut self, id: QueueId, (topic, partition): (TopicId, u32)) {
        let place = Place::Partition(topic, partition);
        let open: Vec<_> = self.open_writes(place).collect();
        let (queue, mut clock) = self.queue_and_clock(id);
        for (base, count) in open {
            for offset in (base.0..base.0 + count).map(Offset) {
                if queue.work.is_unsettled(offset) {
                    queue.work.hold(offset, &mut clock);
                }
            }
        }
        let aborted: Vec<_> = self.topics[&topic].partitions[partition as usize].hidden().collect();
        self.unworked_by(id, &aborted);
    }

    /// Gives a part what its partition has that is new.
    pub(super) fn feed(&mut self, id: QueueId) {
        loop {
            let queue = &self.queues[&id];
            let (from, log) = (queue.work.end(), queue.log(&self.topics));
            let end = log.end();
            // Delays and times to live begin when a batch came, so each is read by itself.
            let run = log.next_batch(from).and_then(|(_, records_max)| {
                let isolation = Isolation::Uncommitted;
                log.read(Ask { from, records_max, bytes_max: usize::MAX, bytes_min: 0, isolation })
            });
            let Some(run) = run else {
                self.queue_mut(id).work.skip_to(end);
                return;
            };
            let (base, records, offsets) = (run.base, run.records.to_shared(), run.offsets);
            let offset = |index: u32| {
                offsets.get(index as usize).copied().unwrap_or(base.plus(u64::from(index)))
            };
            let mut from = 0;
            while from < records.count() {
                let log = self.queues[&id].log(&self.topics);
                let (segment, _) = log.find(offset(from)).expect("what was read is held");
                // A run may be of several batches, which came at different times.
                let (at, end) = (segment.at, Offset(segment.end()));
                let more = (from + 1..records.count()).take_while(|next| {
                    offset(*next) < end && offset(*next) == offset(next - 1).plus(1)
                });
                let count = 1 + more.count() as u32;
                self.queue_mut(id).work.skip_to(offset(from));
                let part = records.part(from, count).expect("it is a part of the run");
                self.arrived(id, at, &part);
                from += count;
            }
        }
    }

    /// The parts of work groups that work on a partition.
    pub(super) fn parts_on(&self, topic: TopicId, partition: u32) -> Set<QueueId> {
        self.topics[&topic].workers.get(&partition).cloned().unwrap_or_default()
    }

    /// Gives every part that works on a partition what is there now.
    pub(super) fn feed_workers(&mut self, topic: TopicId, partition: u32) {
        let Some(topic) = self.topics.get(&topic) else { return };
        for part in topic.workers.get(&partition).cloned().unwrap_or_default() {
            self.feed(part);
        }
    }

    /// Records of a partition are gone, by retention or compaction: nobody works on them any more.
    pub(super) fn unworked(&mut self, topic: TopicId, partition: u32, gone: &[(Offset, u64)]) {
        let Some(topic) = self.topics.get(&topic) else { return };
        for id in topic.workers.get(&partition).cloned().unwrap_or_default() {
            self.unworked_by(id, gone);
        }
    }

    fn unworked_by(&mut self, id: QueueId, gone: &[(Offset, u64)]) {
        for (start, count) in gone {
            let (queue, mut clock) = self.queue_and_clock(id);
            let mut gone = Vec::new();
            let each = |first, state| gone.push(Doing { first, count: 1, state });
            let run = (*start, start.plus(*count));
            queue.work.settle_run(run, &mut clock, each);
            self.let_go_all(id, &gone);
        }
    }
}
