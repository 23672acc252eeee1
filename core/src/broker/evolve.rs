//! The only place where durable state changes: each fact, made true.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::produce::Produced;
use super::{Broker, Violation};
use crate::exchange::{Exchange, Leads};
use crate::fact::{Fact, Stored};
use crate::group::Group;
use crate::id::{Append, GroupId, Offset, Place, QueueId, TopicId};
use crate::limits::PARTITIONS_MAX;
use crate::log::Log;
use crate::planted::{Planted, planted};
use crate::policy::QueuePolicy;
use crate::queue::Queue;
use crate::record::{Batch, RawRecord};
use crate::request::Sequenced;
use crate::time::Time;
use crate::timer::Due;
use crate::topic::Topic;
use crate::view::{Attempt, AttemptEnd};

pub(super) type Evolved = Result<(), Violation>;

impl Broker {
    pub(super) fn evolve(&mut self, fact: Fact<'_>) -> Evolved {
        match fact {
            Fact::Started { epoch } => self.epoch = epoch,
            Fact::ExchangeDeclared { name, kind } => {
                fresh(!self.exchanges.contains_key(name.as_ref()), &name)?;
                self.exchanges.insert(name.into_owned(), Exchange::new(kind));
            }
            Fact::ExchangeDeleted { name } => self.exchange_deleted(&name)?,
            Fact::QueueDeclared { id, name, policy } => {
                self.queue_made(id, name, self.now, policy.into())?;
            }
            Fact::QueueDeleted { id } => self.queue_deleted(id)?,
            Fact::TopicCreated { id, name, partitions } => {
                let name = name.into_owned();
                let is_new = !self.topic_names.contains_key(&name) && id >= self.next_topic;
                fresh(is_new, &name)?;
                self.next_topic = TopicId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
                if !(1..=PARTITIONS_MAX).contains(&partitions) {
                    return Err(broken(&format!("topic {name} with {partitions} partitions")));
                }
                self.topic_names.insert(name.clone(), id);
                self.topics.insert(id, Topic::new(id, name, partitions));
            }
            Fact::TopicDeleted { id } => self.topic_deleted(id)?,
            Fact::Bound { exchange, to, pattern } => {
                let leads = self.leads(&to).map_err(|refusal| broken(&refusal.message))?;
                let exchange =
                    self.exchanges.get_mut(exchange.as_ref()).ok_or_else(|| broken("exchange"))?;
                self.bindings += usize::from(exchange.bind(&pattern, leads));
            }
            Fact::Unbound { exchange, to, pattern } => {
                let leads = self.leads(&to).map_err(|refusal| broken(&refusal.message))?;
                let exchange =
                    self.exchanges.get_mut(exchange.as_ref()).ok_or_else(|| broken("exchange"))?;
                self.bindings -= exchange.unbind(|p, to| p == pattern && *to == leads);
            }
            Fact::Published { at, batches } => {
                self.saw(at);
                batches.iter().try_for_each(|batch| self.stored(at, batch))?;
            }
            Fact::Settled { queue, offsets } => {
                offsets.iter().try_for_each(|offset| self.gone(queue, *offset))?;
            }
            Fact::AttemptEnded { queue, offset, at, end, client, ready_at } => {
                self.attempt_ended(queue, offset, (at, end, client), ready_at)?;
            }
            Fact::DeadLettered { queue, offset, at, to, to_offset, record, reason: _ }
            | Fact::Redriven { queue, offset, at, to, to_offset, record } => {
                self.moved((queue, offset), at, (to, to_offset), &record)?;
            }
            Fact::GroupCreated { id, name } => {
                let name = name.into_owned();
                let is_new = !self.group_names.contains_key(&name) && id >= self.next_group;
                fresh(is_new, &name)?;
                self.next_group = GroupId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
                self.group_names.insert(name.clone(), id);
                self.groups.insert(id, Group::new(id, name));
            }
            Fact::Rebalanced { group, generation } => self.group(group)?.generation = generation,
            Fact::Committed { group, topic, partition, offset, at } => {
                self.saw(at);
                if offset > self.log(Place::Partition(topic, partition))?.end() {
                    return Err(broken(&format!("offset {offset} of {topic}/{partition}")));
                }
                self.group(group)?.committed.insert((topic, partition), (offset, at));
            }
            Fact::GroupDeleted { id } => {
                let group = self.groups.remove(&id).ok_or_else(|| broken("group"))?;
                self.group_names.remove(&group.name);
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
                transactional: _,
                batches,
            } => {
                let by = Sequenced { producer, epoch, sequence };
                self.produced(&Produced { at, by, lane, count }, &batches)?;
            }
            Fact::ProducerExpired { id } => self.producer_expired(id)?,
            Fact::ProducerSequence { producer, lane, next, batches } => {
                self.producer_sequence(producer, lane, next, &batches)?;
            }
            Fact::ProducersFrom { next } => self.next_producer = self.next_producer.max(next),
        }
        Ok(())
    }

    /// Time does not go back behind what is known to have happened.
    pub(super) fn saw(&mut self, at: Time) {
        self.now = self.now.max(at);
    }

    pub(super) fn queue(&mut self, id: QueueId) -> Result<&mut Queue, Violation> {
        self.queues.get_mut(&id).ok_or_else(|| broken(&format!("queue {id}")))
    }

    fn group(&mut self, id: GroupId) -> Result<&mut Group, Violation> {
        self.groups.get_mut(&id).ok_or_else(|| broken(&format!("group {id}")))
    }

    /// An unsettled message's queue.
    fn holding(&mut self, id: QueueId, offset: Offset) -> Result<&mut Queue, Violation> {
        let queue = self.queue(id)?;
        if queue.work.is_unsettled(offset, queue.log.end()) {
            return Ok(queue);
        }
        Err(broken(&format!("message {offset} of queue {id}")))
    }

    fn exchange_deleted(&mut self, name: &str) -> Evolved {
        let exchange = self.exchanges.remove(name).ok_or_else(|| broken("exchange"))?;
        self.bindings -= exchange.bindings().count();
        self.unbind_all(&Leads::Exchange(name.to_owned()));
        Ok(())
    }

    fn queue_deleted(&mut self, id: QueueId) -> Evolved {
        let queue = self.queues.remove(&id).ok_or_else(|| broken("queue"))?;
        self.queue_names.remove(&queue.name);
        self.stored_bytes -= queue.log.bytes();
        for (_, slot) in queue.work.window() {
            self.timers.stop(slot.timer);
        }
        self.unbind_all(&Leads::Queue(id));
        Ok(())
    }

    fn topic_deleted(&mut self, id: TopicId) -> Evolved {
        let topic = self.topics.remove(&id).ok_or_else(|| broken("topic"))?;
        self.topic_names.remove(&topic.name);
        self.stored_bytes -= topic.partitions.iter().map(Log::bytes).sum::<u64>();
        for group in self.groups.values_mut() {
            group.committed.retain(|partition, _| partition.0 != id);
            group.owned.retain(|partition, _| partition.0 != id);
            group.reached.retain(|partition, _| partition.0 != id);
        }
        for producer in self.producers.values_mut() {
            producer.lanes.retain(|lane, _| lane.is_none_or(|(topic, _)| topic != id));
        }
        self.unbind_all(&Leads::Topic(id));
        Ok(())
    }

    pub(super) fn stored(&mut self, at: Time, Stored { appends, records }: &Stored<'_>) -> Evolved {
        let records = records.to_shared();
        for Append { place, base } in appends.iter() {
            let log = self.log(*place)?;
            if log.end() != *base {
                return Err(Violation(format!(
                    "a batch at offset {base} of {place}, whose end is {}",
                    log.end()
                )));
            }
            log.append(at, records.clone());
            self.stored_bytes += records.as_bytes().len() as u64;
        }
        Ok(())
    }

    fn log(&mut self, place: Place) -> Result<&mut Log, Violation> {
        let log = match place {
            Place::Queue(id) => self.queues.get_mut(&id).map(|queue| &mut queue.log),
            Place::Partition(id, partition) => self
                .topics
                .get_mut(&id)
                .and_then(|topic| topic.partitions.get_mut(partition as usize)),
        };
        log.ok_or_else(|| broken(&format!("{place}")))
    }

    /// A message is gone from its queue, whatever it was doing.
    fn gone(&mut self, id: QueueId, offset: Offset) -> Evolved {
        let queue = self.holding(id, offset)?;
        let before = queue.log.bytes();
        let timer = queue.settle(offset);
        let freed = before - queue.log.bytes();
        self.stored_bytes -= freed;
        if !planted(Planted::SettledKeepsTimer) {
            self.timers.stop(timer);
        }
        Ok(())
    }

    fn attempt_ended(
        &mut self,
        id: QueueId,
        offset: Offset,
        (at, end, client): (Time, AttemptEnd, Cow<'_, str>),
        ready_at: Time,
    ) -> Evolved {
        self.saw(at);
        let queue = self.holding(id, offset)?;
        let number = queue.work.slot(offset).map_or(0, |slot| slot.failed) + 1;
        let attempt = Attempt { number, at, end, client: client.into_owned() };
        if end != AttemptEnd::Expired || !planted(Planted::ExpiryCountsNoAttempt) {
            queue.work.attempt_failed(offset, attempt);
        }
        self.ready_from(id, offset, ready_at);
        Ok(())
    }

    /// Makes a message of the window ready, now or then.
    fn ready_from(&mut self, id: QueueId, offset: Offset, ready_at: Time) {
        let queue = self.queues.get_mut(&id).expect("the caller found the queue");
        if let Some(slot) = queue.work.slot(offset) {
            self.timers.stop(slot.timer);
        }
        if ready_at > self.now {
            let timer = self.timers.start(ready_at, Due::Delay(id, offset));
            queue.work.make_delayed(offset, ready_at, timer);
        } else {
            queue.work.make_ready(offset);
        }
    }

    /// A message leaves one queue and comes to lie in another.
    fn moved(
        &mut self,
        (from, offset): (QueueId, Offset),
        at: Time,
        (to, to_offset): (QueueId, Offset),
        record: &RawRecord<'_>,
    ) -> Evolved {
        if !planted(Planted::MovedStaysToo) {
            self.gone(from, offset)?;
        }
        let mut batch = Batch::new();
        batch.push_raw(record.as_bytes());
        let records = batch.finish().expect("there is one record");
        let append = Append { place: Place::Queue(to), base: to_offset };
        self.saw(at);
        self.stored(at, &Stored { appends: Cow::Borrowed(&[append]), records })
    }

    fn log_starts(&mut self, place: Place, next: Offset) -> Evolved {
        let end = self.log(place)?.end();
        if next < end {
            return Err(broken(&format!("a log that starts at {next}, before its end {end}")));
        }
        match place {
            Place::Queue(id) => self.queue(id)?.skip_to(next),
            Place::Partition(..) => self.log(place)?.leave_gap(next),
        }
        Ok(())
    }

    fn message_state(
        &mut self,
        id: QueueId,
        offset: Offset,
        failed: u32,
        ready_at: Time,
        attempts: Vec<Attempt>,
    ) -> Evolved {
        let queue = self.holding(id, offset)?;
        queue.work.set_failed(offset, failed, attempts);
        self.ready_from(id, offset, ready_at);
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
