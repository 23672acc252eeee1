//! Topics come, change and grow.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;

use super::evolve::{Evolved, broken, fresh};
use super::stream::resolve;
use super::{Broker, Refused, counted, out_of_range, span_within, valid_name, within};
use crate::activity::{Activity, TrimReason};
use crate::cleaner::Cleaner;
use crate::effect::Sink;
use crate::fact::Fact;
use crate::id::{Place, TopicId};
use crate::limits::{PARTITIONS_MAX, RETENTION_MAX};
use crate::policy::TopicPolicy;
use crate::record::Records;
use crate::refusal::Code;
use crate::request::{Isolation, Position};
use crate::set::Set;
use crate::time::{Span, Time};
use crate::topic::Topic;

impl Broker {
    pub(super) fn create_topic(
        &mut self,
        name: &str,
        partitions: u32,
        policy: &TopicPolicy,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if let Some(id) = self.topic_names.get(name) {
            return self.is_same(&self.topics[id], partitions, policy);
        }
        valid_name("topic", name)?;
        let max = self.config.limits.partitions_max;
        within("partitions", u64::from(partitions), 1, u64::from(max))?;
        valid(policy)?;
        self.room_for("topics", self.topics.len(), self.config.limits.topics_max)?;
        let fact = Fact::TopicMade {
            id: self.next_topic,
            name: name.into(),
            at: self.now,
            partitions,
            settings: policy.settings().into(),
        };
        self.record(fact, out);
        self.changed(out, || format!("topic {name} was created, partitions: {partitions}"));
        Ok(())
    }

    fn is_same(&self, topic: &Topic, partitions: u32, policy: &TopicPolicy) -> Result<(), Refused> {
        let (name, has) = (&topic.name, topic.partitions.len());
        if has != partitions as usize {
            return Err(Code::Conflict.because(format!(
                "topic {name:?} exists with {}, not {partitions}",
                counted(has as u64, "partition")
            )));
        }
        if topic.policy != *policy {
            return Err(Code::Conflict.because(format!(
                "topic {name:?} exists with another policy; alter it, or take another name"
            )));
        }
        Ok(())
    }

    pub(super) fn alter_topic(
        &mut self,
        name: &str,
        policy: &TopicPolicy,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.topic_named(name)?;
        valid(policy)?;
        if self.topics[&id].policy == *policy {
            return Ok(());
        }
        let settings = policy.settings().into();
        self.record(Fact::TopicAltered { id, at: self.now, settings }, out);
        self.changed(out, || format!("topic {name} has another policy"));
        Ok(())
    }

    /// More partitions, as with Kafka's CreatePartitions: what is there stays where it is, so a
    /// key's newer records may lie in another partition than its older ones.
    pub(super) fn add_partitions(
        &mut self,
        name: &str,
        partitions: u32,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.topic_named(name)?;
        let has = self.topics[&id].partitions.len();
        if partitions as usize <= has {
            return Err(Code::BadArgument.because(format!(
                "topic {name:?} has {} already; partitions can be added, not taken away: name a \
                 greater number",
                counted(has as u64, "partition")
            )));
        }
        let max = self.config.limits.partitions_max;
        within("partitions", u64::from(partitions), 1, u64::from(max))?;
        self.record(Fact::PartitionsAdded { topic: id, at: self.now, partitions }, out);
        self.changed(out, || format!("topic {name} has {partitions} partitions now"));
        let reads = self
            .groups
            .values()
            .filter(|group| group.members.values().any(|member| member.topics.contains(id)));
        let reads: Set<_> = reads.map(|group| group.id).collect();
        for group in reads.iter() {
            self.rebalance(group, out);
        }
        Ok(())
    }

    /// Kafka's DeleteRecords. What an open transaction wrote, and all after it, stays.
    pub(super) fn delete_records(
        &mut self,
        topic: &str,
        partition: u32,
        before: Position,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (id, partition) = self.partition_named(topic, partition)?;
        let log = &self.topics[&id].partitions[partition as usize];
        let (from, stable) = (log.start(), log.stable_end());
        let to = match before {
            Position::At(offset) if offset < from => from,
            Position::Earliest | Position::Latest | Position::At(_) | Position::Since(_) => {
                resolve(log, before, Isolation::Committed)?.min(stable)
            }
        };
        if let Position::At(offset) = before
            && offset > stable
        {
            return Err(out_of_range(offset, from, stable));
        }
        if to > from {
            self.trim_log(id, partition, to, TrimReason::Deleted, out);
        }
        Ok(())
    }

    /// Takes away what is before `to`.
    pub(super) fn trim_log(
        &mut self,
        topic: TopicId,
        partition: u32,
        to: crate::id::Offset,
        reason: TrimReason,
        out: &mut dyn Sink,
    ) {
        let place = Place::Partition(topic, partition);
        let from = self.topics[&topic].partitions[partition as usize].start();
        self.record(Fact::LogTrimmed { place, at: self.now, start: to }, out);
        self.note(out, || Activity::Trimmed {
            topic: self.topic_name(topic).into(),
            partition,
            from,
            to,
            reason,
        });
    }

    /// A record of a compacted topic has a key: it would be in nobody's way, and never go (Kafka
    /// refuses it with INVALID_RECORD).
    pub(super) fn check_keys(
        &self,
        topics: &Set<TopicId>,
        records: &Records<'_>,
    ) -> Result<(), Refused> {
        let mut compacted = topics.iter().filter(|id| self.topics[id].policy.compact);
        let Some(id) = compacted.next() else { return Ok(()) };
        match records.iter().position(|record| record.key.is_none()) {
            None => Ok(()),
            Some(index) => Err(Code::KeyMissing.because(format!(
                "record {index} of the batch has no key, and topic {:?} is compacted: it keeps the \
                 newest record of each key",
                self.topic_name(id)
            ))),
        }
    }

    pub(super) fn topic_made(
        &mut self,
        id: TopicId,
        name: Cow<'_, str>,
        partitions: u32,
        policy: TopicPolicy,
    ) -> Evolved {
        let name = name.into_owned();
        let is_new = !self.topic_names.contains_key(&name) && id >= self.next_topic;
        fresh(is_new, &name)?;
        self.next_topic = TopicId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
        if !(1..=PARTITIONS_MAX).contains(&partitions) {
            return Err(broken(&format!("topic {name} with {partitions} partitions")));
        }
        self.topic_names.insert(name.clone(), id);
        self.topics.insert(id, Topic::new(id, name, partitions, policy));
        Ok(())
    }

    pub(super) fn topic_altered(&mut self, id: TopicId, at: Time, policy: TopicPolicy) -> Evolved {
        self.saw(at);
        let topic = self.topics.get_mut(&id).ok_or_else(|| broken(&format!("topic {id}")))?;
        for (upkeep, log) in topic.upkeep.iter_mut().zip(&topic.partitions) {
            if upkeep.cleaner.is_some() != policy.compact {
                upkeep.cleaner = policy.compact.then(|| Box::new(Cleaner::from_start(log)));
            }
            self.timers.stop(upkeep.retention);
            upkeep.retention = crate::timer::TimerId::NONE;
            if let Some((_, timer)) = upkeep.cleaning.take() {
                self.timers.stop(timer);
            }
        }
        topic.policy = policy;
        for partition in 0..topic.partitions.len() as u32 {
            self.keep_up(id, partition);
        }
        Ok(())
    }

    pub(super) fn topic_widened(&mut self, id: TopicId, at: Time, partitions: u32) -> Evolved {
        self.saw(at);
        let topic = self.topics.get_mut(&id).ok_or_else(|| broken(&format!("topic {id}")))?;
        if partitions as usize <= topic.partitions.len() || partitions > PARTITIONS_MAX {
            return Err(broken(&format!("topic {id} with {partitions} partitions")));
        }
        topic.widen(partitions);
        self.work_groups_widened(id)?;
        Ok(())
    }
}

fn valid(policy: &TopicPolicy) -> Result<(), Refused> {
    if let Some(retention) = policy.retention {
        span_within("retention", retention, Span::from_millis(1), RETENTION_MAX)?;
    }
    span_within("tombstone_retention", policy.tombstone_retention, Span::ZERO, RETENTION_MAX)
}
