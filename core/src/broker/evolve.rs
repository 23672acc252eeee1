//! The only place where durable state changes: each fact, made true.

use alloc::format;

use super::produce::Produced;
use super::redrive_job::Task;
use super::{Broker, Violation};
use crate::exchange::Leads;
use crate::fact::{Fact, StoredCommit};
use crate::group::Group;
use crate::id::{GroupId, Place, QueueId, TopicId};
use crate::log::Log;
use crate::policy::{QueuePolicy, TopicPolicy};
use crate::queue::Queue;
use crate::request::{Condition, HeaderMatch, Sequenced};
use crate::time::Time;

pub(super) type Evolved = Result<(), Violation>;

impl Broker {
    pub(super) fn evolve(&mut self, fact: Fact<'_>) -> Evolved {
        match fact {
            Fact::Started { epoch } => self.epoch = epoch,
            Fact::ExchangeDeclared { name, kind } => self.exchange_made(name, kind, &[])?,
            Fact::ExchangeMade { name, kind, settings } => {
                self.exchange_made(name, kind, &settings)?;
            }
            Fact::ExchangeDeleted { name } => self.exchange_deleted(&name)?,
            Fact::QueueDeclared { id, name, policy } => {
                self.queue_made(id, name, self.now, policy.into())?;
            }
            Fact::QueueDeleted { id } => self.queue_deleted(id)?,
            Fact::TopicCreated { id, name, partitions } => {
                self.topic_made(id, name, partitions, TopicPolicy::default())?;
            }
            Fact::TopicDeleted { id } => self.topic_deleted(id)?,
            Fact::Bound { exchange, to, pattern } => {
                self.bound(&exchange, &to, &pattern, &HeaderMatch::default())?;
            }
            Fact::BoundByHeaders { exchange, to, pattern, headers } => {
                self.bound(&exchange, &to, &pattern, &headers)?;
            }
            Fact::Unbound { exchange, to, pattern } => {
                self.unbound(&exchange, &to, &pattern, &HeaderMatch::default())?;
            }
            Fact::UnboundByHeaders { exchange, to, pattern, headers } => {
                self.unbound(&exchange, &to, &pattern, &headers)?;
            }
            Fact::Published { at, batches } => {
                self.saw(at);
                batches.iter().try_for_each(|batch| self.stored(at, batch))?;
            }
            Fact::Settled { queue, offsets } => {
                self.all_gone(queue, &offsets)?;
                self.tend_kept(queue);
            }
            Fact::AttemptEnded { queue, offset, at, end, client, ready_at } => {
                self.attempt_ended(queue, offset, (at, end, client), ready_at)?;
            }
            Fact::DeadLettered { queue, offset, at, to, to_offset, record, reason: _ }
            | Fact::Redriven { queue, offset, at, to, to_offset, record } => {
                self.moved((queue, offset), at, (to, to_offset), &record)?;
            }
            Fact::BroughtBack { queue, offset, at, to, to_offset } => {
                self.brought_back((queue, offset), at, (to, to_offset))?;
            }
            Fact::Died { queue, offset, at, to, record, reason: _ } => {
                self.died((queue, offset), at, to, &record)?;
            }
            Fact::RedriveStarted { id, queue, until, at, filter, to, rate, dry_run } => {
                let filter = filter.iter().cloned().map(Condition::into_owned).collect();
                let task = Task { queue, until, at, filter, to, rate, dry_run };
                self.redrive_started(id, task)?;
            }
            Fact::RedriveStepped { id, next, moved, skipped } => {
                self.redrive_stepped(id, (next, moved, skipped))?;
            }
            Fact::RedriveEnded { id } => self.redrive_ended(id)?,
            Fact::RedrivesFrom { next } => self.next_redrive = self.next_redrive.max(next),
            Fact::CameVia { queue, from, via } => self.came_via(queue, from, via)?,
            Fact::GroupCreated { id, name } => {
                let name = name.into_owned();
                let is_new = !self.group_names.contains_key(&name) && id >= self.next_group;
                fresh(is_new, &name)?;
                self.next_group = GroupId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
                self.group_names.insert(name.clone(), id);
                self.groups.insert(id, Group::new(id, name));
            }
            Fact::Rebalanced { group, generation } => {
                let group = self.group(group)?;
                (group.generation, group.vacated_at) = (generation, None);
            }
            Fact::GroupVacated { group, at } => {
                self.saw(at);
                self.group(group)?.vacated_at = Some(at);
            }
            Fact::Committed { group, topic, partition, offset, at } => {
                self.saw(at);
                let metadata = "".into();
                let commit = StoredCommit { topic, partition, offset, metadata };
                self.offsets_committed(group, at, &[commit])?;
            }
            Fact::GroupDeleted { id } => {
                let group = self.groups.remove(&id).ok_or_else(|| broken("group"))?;
                self.timers.stop(group.keeping);
                self.group_names.remove(&group.name);
                self.forget_commits(|group, _| group == id);
            }
            Fact::LogStarts { place, next } => self.log_starts(place, next)?,
            Fact::NumbersFrom { queue, topic, group } => {
                self.next_queue = self.next_queue.max(queue);
                self.next_topic = self.next_topic.max(topic);
                self.next_group = self.next_group.max(group);
            }
            Fact::MessageState { queue, offset, attempts_failed, ready_at, attempts } => {
                let attempts = attempts.into_owned();
                self.message_state(queue, offset, attempts_failed, ready_at, attempts)?;
            }
            Fact::QueueMade { id, name, at, settings } => {
                self.queue_made(id, name, at, QueuePolicy::of(&settings))?;
            }
            Fact::Remembered { queue, anew, messages } => {
                self.remembered(queue, anew, messages.into_owned())?;
            }
            Fact::QueueAltered { id, at, settings } => self.queue_altered(id, at, &settings)?,
            Fact::ProducerInitialised { id, name, epoch, renewed, timeout, at } => {
                self.producer_initialised(id, name, (epoch, renewed), timeout, at)?;
            }
            Fact::Produced {
                at,
                producer,
                epoch,
                lane,
                sequence,
                count,
                transactional,
                batches,
            } => {
                let by = Sequenced { producer, epoch, sequence };
                self.produced(&Produced { at, by, lane, count, transactional }, &batches)?;
            }
            Fact::ProducerExpired { id } => self.producer_expired(id)?,
            Fact::ProducerSequence { producer, lane, next, batches } => {
                self.producer_sequence(producer, lane, next, &batches)?;
            }
            Fact::TopicMade { id, name, at, partitions, settings } => {
                self.saw(at);
                self.topic_made(id, name, partitions, TopicPolicy::of(&settings))?;
            }
            Fact::TopicAltered { id, at, settings } => {
                self.topic_altered(id, at, TopicPolicy::of(&settings))?;
            }
            Fact::PartitionsAdded { topic, at, partitions } => {
                self.topic_widened(topic, at, partitions)?;
            }
            Fact::LogTrimmed { place, at, start } => self.trimmed(place, at, start)?,
            Fact::Compacted { topic, partition, at, clean, offsets } => {
                self.compacted((topic, partition), at, clean, &offsets)?;
            }
            Fact::SparseBatch { topic, partition, base, count, at, kept, records } => {
                self.sparse_batch((topic, partition), (base, count, at), &kept, &records)?;
            }
            Fact::CompactionState { topic, partition, clean, tombstones } => {
                self.compaction_state((topic, partition), clean, &tombstones)?;
            }
            Fact::ProducersFrom { next } => self.next_producer = self.next_producer.max(next),
            Fact::RunsSettled { queue, runs } => self.runs_gone(queue, &runs)?,
            Fact::OffsetsCommitted { group, at, offsets } => {
                self.saw(at);
                self.offsets_committed(group, at, &offsets)?;
            }
            Fact::OffsetsDeleted { group, topic, partitions } => {
                let group = self.group(group)?;
                partitions.iter().for_each(|p| drop(group.committed.remove(&(topic, *p))));
            }
            Fact::OffsetsPending { at, producer, group, offsets, epoch: _ } => {
                self.offsets_pending((producer, at), group, &offsets)?;
            }
            Fact::TransactionEnded { at, producer, epoch, commit } => {
                self.transaction_ended((producer, epoch), at, commit)?;
            }
            Fact::TransactionOpen { producer, began, written } => {
                self.transaction_open(producer, began, &written)?;
            }
            Fact::TransactionOutcome { producer, committed } => {
                self.producer(producer)?.ended = Some(committed);
            }
            Fact::Aborted { written } => self.aborted(&written)?,
            Fact::WorkGroupMade { name, topic, at, settings, parts } => {
                self.work_group_made((name, topic), at, QueuePolicy::of(&settings), &parts)?;
            }
            Fact::KeptGone { queue, at, start } => self.kept_gone(queue, at, start)?,
            Fact::WorkGroupDeleted { name } => self.work_group_deleted(&name)?,
            Fact::BatchAway { place, base, .. } => {
                return Err(Violation(format!(
                    "a batch at offset {base} of {place} lies elsewhere: only who loads a snapshot \
                     knows where"
                )));
            }
        }
        Ok(())
    }

    /// Time does not go back behind what is known to have happened.
    pub(super) fn saw(&mut self, at: Time) {
        self.now = self.now.max(at);
    }

    pub(super) fn group(&mut self, id: GroupId) -> Result<&mut Group, Violation> {
        self.groups.get_mut(&id).ok_or_else(|| broken(&format!("group {id}")))
    }

    fn queue_deleted(&mut self, id: QueueId) -> Evolved {
        let queue = self.queue_removed(id)?;
        self.queue_names.remove(&queue.name);
        self.stored_bytes -= queue.own_bytes();
        self.forget_writes(|place| place == Place::Queue(id));
        self.unbind_all(&Leads::Queue(id));
        Ok(())
    }

    /// A queue, or a part of a work group, goes: nobody holds anything of it, nothing is due.
    pub(super) fn queue_removed(&mut self, id: QueueId) -> Result<Queue, Violation> {
        self.dead_letters_go(id, None);
        let queue = self.queues.remove(&id).ok_or_else(|| broken("queue"))?;
        self.forget_leases_of(&queue);
        queue.work.stop_timers(&mut self.timers);
        self.timers.stop(queue.tended.1);
        self.timers.stop(queue.keeping);
        self.woken.retain(|woken| *woken != id);
        Ok(queue)
    }

    fn topic_deleted(&mut self, id: TopicId) -> Evolved {
        for name in self.work_groups_on(id) {
            self.work_group_deleted(&name)?;
        }
        let topic = self.topics.remove(&id).ok_or_else(|| broken("topic"))?;
        self.topic_names.remove(&topic.name);
        self.stored_bytes -= topic.partitions.iter().map(Log::bytes).sum::<u64>();
        for upkeep in &topic.upkeep {
            self.timers.stop(upkeep.retention);
            if let Some((_, timer)) = upkeep.cleaning {
                self.timers.stop(timer);
            }
        }
        for group in self.groups.values_mut() {
            group.committed.retain(|partition, _| partition.0 != id);
            group.owned.retain(|partition, _| partition.0 != id);
            group.reached.retain(|partition, _| partition.0 != id);
            group.begun.retain(|partition, _| partition.0 != id);
            for member in group.members.values_mut() {
                member.owns = member.owns.iter().filter(|partition| partition.0 != id).collect();
                member.going = member.going.iter().filter(|partition| partition.0 != id).collect();
            }
        }
        for producer in self.producers.values_mut() {
            producer.lanes.retain(|lane, _| lane.is_none_or(|(topic, _)| topic != id));
        }
        self.forget_writes(|place| matches!(place, Place::Partition(topic, _) if topic == id));
        self.forget_commits(|_, topic| topic == id);
        self.unbind_all(&Leads::Topic(id));
        Ok(())
    }
}

/// A fact names something that is not there.
pub(super) fn broken(what: &str) -> Violation {
    Violation(format!("a fact names what is not there: {what}"))
}

/// What comes to be was not there before, and has a number that was not given yet.
pub(super) fn fresh(is_new: bool, name: &str) -> Evolved {
    if is_new { Ok(()) } else { Err(Violation(format!("a fact makes {name:?}, which is there"))) }
}
