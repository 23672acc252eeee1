//! The invariants of the state, for tests: each is a sentence that has to be true.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Awaits, Broker};
use crate::group::{Commit, Group, Partition};
use crate::held::Held;
use crate::id::{ConsumerId, Offset, QueueId};
use crate::log::Log;
use crate::map::Map;
use crate::queue::Queue;
use crate::set::Set;
use crate::timer::TimerId;
use crate::topic::Topic;
use crate::work::State;

/// An invariant that does not hold, or a fact that contradicts the ones before it: a fault of
/// ours, or a damaged journal, never a client's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Violation {}

pub(super) type Checked = Result<(), Violation>;

pub(super) fn hold(condition: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if condition { Ok(()) } else { Err(Violation(otherwise())) }
}

impl Broker {
    /// Checks every invariant of the state. It looks at everything, so it is for tests.
    pub fn check(&self) -> Result<(), Violation> {
        for queue in self.queues.values() {
            self.check_queue(queue)?;
        }
        self.check_work_groups()?;
        self.check_consumers()?;
        self.check_held()?;
        self.check_dead_letters()?;
        for topic in self.topics.values() {
            self.check_topic(topic)?;
        }
        for group in self.groups.values() {
            self.check_group(group)?;
        }
        self.check_waits()?;
        self.check_producers()?;
        self.check_bindings()?;
        self.check_transactions()?;
        self.check_pressure()?;
        self.check_ways()?;
        self.check_totals()
    }

    fn check_queue(&self, queue: &Queue) -> Checked {
        let name = &queue.name;
        let log = queue.log(&self.topics);
        check_log(name, log)?;
        if let Some(fault) = queue.work.fault(queue.id) {
            return Err(Violation(format!("queue {name}: {fault}")));
        }
        hold(queue.work.end() == log.end(), || {
            format!("queue {name}: the log ends elsewhere than the work on it")
        })?;
        for offset in queue.work.offsets(Offset(0)) {
            hold(log.find(offset).is_some(), || {
                format!("queue {name}: message {offset} is not settled, and its record is gone")
            })?;
        }
        let max = queue.policy.deliveries_max.unwrap_or(u32::MAX);
        for (offset, slot) in queue.work.touched() {
            // A maximum that was lowered counts with the next attempt.
            hold(slot.failed < max || queue.altered, || {
                format!("queue {name}: message {offset} failed {} times of {max}", slot.failed)
            })?;
            if let State::Leased(holder) = slot.state {
                let open = self.conns.get(&holder.conn).map(|conn| &conn.held);
                let held = open.or_else(|| self.leaving.get(&holder.conn).map(|left| &left.held));
                let held = held.and_then(|held| held.get(&queue.id));
                hold(held.is_some_and(|held| held.iter().any(|o| o == offset)), || {
                    format!("queue {name}: message {offset} is leased to one who does not hold it")
                })?;
            }
        }
        let has_credit = |id: &ConsumerId| {
            let consumer = &self.consumers[id];
            let conn = &self.conns[&consumer.conn];
            let blocked = conn.prefetch > 0 && conn.outstanding >= conn.prefetch;
            consumer.outstanding < consumer.prefetch && (consumer.auto_ack || !blocked)
        };
        let later = queue.tended.0 <= self.now;
        let wanted = queue.consumers.iter().any(has_credit) || !queue.waiting.is_empty();
        self.check_tended(queue)?;
        hold(later || !(wanted && queue.work.next_ready().is_some()), || {
            format!("queue {name}: a message is ready and somebody waits for it")
        })
    }

    fn check_work_groups(&self) -> Checked {
        for (name, group) in &self.work_groups {
            let topic = &self.topics[&group.topic];
            hold(group.parts.len() == topic.partitions.len(), || {
                format!("work group {name} has not a part for each partition")
            })?;
            for (id, partition) in group.parts.iter().zip(0..) {
                let place = self.queues.get(id).and_then(Queue::partition);
                let fed = topic.workers.get(&partition).is_some_and(|fed| fed.contains(*id));
                hold(place == Some((group.topic, partition)) && fed, || {
                    format!("part {partition} of work group {name} works on another partition")
                })?;
            }
        }
        let parts: usize = self.work_groups.values().map(|group| group.parts.len()).sum();
        hold(parts + self.queue_names.len() == self.queues.len(), || {
            format!("{} queues have neither a name nor a work group", self.queues.len())
        })
    }

    fn check_consumers(&self) -> Checked {
        let mut outstanding = BTreeMap::new();
        let mut together = BTreeMap::new();
        for queue in self.queues.values() {
            for (_, slot) in queue.work.touched() {
                if let State::Leased(holder) = slot.state {
                    *outstanding.entry(holder.consumer).or_insert(0) += 1;
                    let counts = u32::from(holder.consumer.is_some());
                    *together.entry(holder.conn).or_insert(0) += counts;
                }
            }
        }
        for (id, consumer) in self.consumers.iter() {
            let holds = outstanding.get(&Some(*id)).copied().unwrap_or(0);
            hold(consumer.outstanding == holds && holds <= consumer.prefetch, || {
                format!("{id} counts {}, holds {holds}", consumer.outstanding)
            })?;
            for queue in consumer.queues.iter() {
                hold(self.queues[&queue].all.contains(*id), || {
                    format!("{id} consumes {queue}, which does not know it")
                })?;
                let consumers = self.queues[&queue].consumers.iter();
                let listed = consumers.filter(|other| *other == id).count();
                let unlisted = usize::from(consumer.unlisted.contains(queue));
                let standby = self.queues[&queue].standby.iter();
                let standby = standby.filter(|other| *other == id).count();
                hold(listed + unlisted + standby == 1, || {
                    format!("{id} is not listed once by {queue}")
                })?;
            }
            let blocked = self.conns[&consumer.conn].blocked.contains(*id);
            hold(holds == consumer.prefetch || blocked || consumer.unlisted.is_empty(), || {
                format!("{id} has credit, and a queue does not list it")
            })?;
        }
        for (id, conn) in self.conns.iter() {
            let holds = together.get(id).copied().unwrap_or(0);
            hold(conn.outstanding == holds, || {
                format!("{id} counts {} deliveries, its consumers hold {holds}", conn.outstanding)
            })?;
            let full = conn.prefetch > 0 && holds >= conn.prefetch;
            hold(full || conn.blocked.is_empty(), || {
                format!("{id} has credit, and a consumer of it waits for some")
            })?;
        }
        Ok(())
    }

    fn check_group(&self, group: &Group) -> Checked {
        self.check_classic(group)?;
        self.check_vacant(group)?;
        let name = &group.name;
        for (partition, Commit { offset, .. }) in group.committed.iter() {
            let log = self.topics.get(&partition.0).and_then(|t| t.partition(partition.1));
            hold(log.is_some_and(|log| *offset <= log.end()), || {
                format!("group {name}: {offset} is committed beyond the end of {partition:?}")
            })?;
        }
        for (partition, owned) in group.owned.iter() {
            let member = group.members.get(&owned.member);
            hold(member.is_some_and(|m| m.topics.contains(partition.0)), || {
                format!("group {name}: the owner of {partition:?} does not read it")
            })?;
            let log = self.topics.get(&partition.0).and_then(|t| t.partition(partition.1));
            hold(log.is_some_and(|log| owned.position <= log.end()), || {
                format!("group {name}: a position beyond the end of {partition:?}")
            })?;
            let to = owned.going.map(|going| going.to);
            hold(to.is_none_or(|to| group.members.contains_key(&to)), || {
                format!("group {name}: {partition:?} is given up for nobody")
            })?;
            hold(owned.since <= group.generation, || {
                format!("group {name}: {partition:?} is owned since a later generation")
            })?;
        }
        for (id, member) in group.members.iter() {
            let owned = group.owned.iter().filter(|(_, owned)| owned.member == *id);
            let (going, owned): (Vec<_>, Vec<_>) =
                owned.partition(|(_, owned)| owned.going.is_some());
            let known = |known: &Set<Partition>, of: Vec<(&Partition, _)>| {
                of.into_iter().map(|(partition, _)| *partition).eq(known.iter())
            };
            hold(known(&member.owns, owned) && known(&member.going, going), || {
                format!("group {name}: {id} does not know what it owns")
            })?;
            hold((member.revoking == TimerId::NONE) == member.going.is_empty(), || {
                format!("group {name}: {id} is waited for without a reason, or for ever")
            })?;
            let named = member.instance.as_ref().and_then(|name| group.instances.get(name));
            hold(named.copied() == member.instance.as_ref().map(|_| *id), || {
                format!("group {name}: {id} is not found under its instance's name")
            })?;
            let open = member.conn.and_then(|conn| self.conns.get(&conn));
            let speaks = open.is_some_and(|conn| conn.members.contains(*id));
            hold(speaks || (member.conn.is_none() && member.instance.is_some()), || {
                format!("group {name}: {id} has no connection")
            })?;
        }
        let subscribed: BTreeSet<_> =
            group.members.values().flat_map(|member| member.topics.iter()).collect();
        for topic in subscribed {
            let partitions = self.topics[&topic].partitions.len() as u32;
            hold((0..partitions).all(|p| group.owned.contains_key(&(topic, p))), || {
                format!("group {name}: a partition of {topic} is read by nobody")
            })?;
        }
        Ok(())
    }

    fn check_topic(&self, topic: &Topic) -> Checked {
        let Topic { name, policy, partitions, upkeep, .. } = topic;
        hold(partitions.len() == upkeep.len(), || {
            format!("topic {name}: not every partition is kept up")
        })?;
        for ((log, upkeep), partition) in partitions.iter().zip(upkeep).zip(0u32..) {
            check_log(name, log)?;
            hold(upkeep.cleaner.is_some() == policy.compact, || {
                format!(
                    "topic {name}/{partition}: it is compacted and should not be, or the reverse"
                )
            })?;
            if let Some(fault) = upkeep.cleaner.as_ref().and_then(|cleaner| cleaner.fault(log)) {
                return Err(Violation(format!("topic {name}/{partition}: {fault}")));
            }
            hold(
                log.oldest_due(policy, self.now).is_none() || upkeep.retention != TimerId::NONE,
                || {
                    format!(
                        "topic {name}/{partition}: nothing looks after what is retained too long"
                    )
                },
            )?;
            let dirty = upkeep.cleaner.as_ref().is_some_and(|cleaner| cleaner.is_dirty(log));
            hold(!dirty || upkeep.cleaning.is_some(), || {
                format!("topic {name}/{partition}: it is dirty and will not be compacted")
            })?;
        }
        let mut polls = BTreeMap::new();
        for group in self.groups.values() {
            let waiting = group.members.values().filter(|member| member.waiting.is_some());
            let waiting = waiting.filter(|member| member.topics.contains(topic.id)).count();
            if waiting > 0 {
                polls.insert(group.id, waiting as u32);
            }
        }
        hold(topic.polled.iter().map(|(id, polls)| (*id, *polls)).eq(polls), || {
            format!("topic {name}: the polls that wait for it are miscounted")
        })
    }

    fn is_reader(&self, wait: u64, (topic, partition): Partition) -> bool {
        self.topics[&topic].upkeep[partition as usize].readers.contains_key(&wait)
    }

    fn check_waits(&self) -> Checked {
        for (number, wait) in self.waits.iter() {
            let known = match wait.what {
                Awaits::Message { ref queues, .. } => {
                    queues.iter().all(|queue| self.queues[queue].waiting.contains(number))
                }
                Awaits::Record { group, member, .. } => {
                    self.groups[&group].members[&member].waiting == Some(*number)
                }
                Awaits::Joined { group, member } => {
                    self.classic(group).members[&member].joining == Some(*number)
                }
                Awaits::Synced { group, member } => {
                    self.classic(group).members[&member].syncing == Some(*number)
                }
                Awaits::Read { partition, .. } => self.is_reader(*number, partition),
                Awaits::Fetch { ref aims, .. } => {
                    aims.iter().all(|aim| self.is_reader(*number, aim.partition))
                }
            };
            hold(known, || format!("wait {number} is not where it would be woken"))?;
        }
        Ok(())
    }

    /// Connections hold what is leased to them, and claim no more than that and their credit.
    fn check_held(&self) -> Checked {
        let leased: u64 = self.queues.values().map(|queue| queue.work.leased()).sum();
        let of = |held: &Map<QueueId, Held>| -> u64 { held.values().map(Held::len).sum() };
        let held: u64 = self.conns.values().map(|conn| of(&conn.held)).sum();
        let left: u64 = self.leaving.values().map(|left| of(&left.held)).sum();
        hold(held + left == leased, || {
            format!("{leased} messages are leased, connections hold {held} and {left}")
        })?;
        for (id, conn) in self.conns.iter() {
            let credit = conn.consumers.iter().map(|consumer| {
                let consumer = &self.consumers[&consumer];
                u64::from(consumer.prefetch - consumer.outstanding)
            });
            let claims = of(&conn.held) + credit.sum::<u64>();
            hold(conn.claims == claims, || {
                format!("{id} counts {} claims, and has {claims}", conn.claims)
            })?;
            hold(claims <= u64::from(self.config.limits.leases_per_connection_max), || {
                format!("{id} claims {claims} messages, more than it may")
            })?;
        }
        Ok(())
    }

    /// Whose dead letters go where is known without looking at every queue.
    fn check_dead_letters(&self) -> Checked {
        let policies = self.queues.values().map(|queue| (&queue.policy.dead_letter, queue.id));
        let named = policies.filter_map(|(to, id)| Some((to.as_deref()?, id)));
        let known = self.dead_letters_of.iter();
        let known = known.flat_map(|(to, from)| from.iter().map(move |id| (to.as_str(), id)));
        hold(named.collect::<BTreeSet<_>>() == known.collect(), || {
            "not every queue is known by where its dead letters go".into()
        })
    }

    /// Publishers know whether to slow down.
    fn check_pressure(&self) -> Checked {
        let (held, limits) = (self.stored_bytes, &self.config.limits);
        hold(!self.is_high || held > limits.low_mark(), || {
            format!("{held} bytes are held, not above the low mark, and publishers are slowed")
        })?;
        hold(self.is_high || !self.started || held <= limits.high_mark(), || {
            format!("{held} bytes are held, above the high mark, and no publisher is slowed")
        })?;
        let publish = || self.conns.iter().filter(|(_, conn)| conn.publishes);
        hold(publish().map(|(id, _)| id).eq(self.publishers.keys()), || {
            format!("{} publishers are listed, not those who publish", self.publishers.len())
        })?;
        for (id, conn) in publish() {
            hold(conn.slowed == self.is_high, || {
                format!("{id} was told the opposite of what is the case")
            })?;
        }
        Ok(())
    }

    fn check_totals(&self) -> Checked {
        let queues: u64 = self.queues.values().map(Queue::own_bytes).sum();
        let topics = self.topics.values().flat_map(|topic| &topic.partitions);
        let bytes = queues + topics.map(Log::bytes).sum::<u64>();
        hold(bytes == self.stored_bytes, || {
            format!("{} bytes are counted, {bytes} are held", self.stored_bytes)
        })?;
        let bound: usize = self.exchanges.values().map(|e| e.bindings().len()).sum();
        hold(bound == self.bindings, || {
            format!("{} bindings are counted, there are {bound}", self.bindings)
        })?;
        let timed = self.queues.values().map(|queue| queue.work.timers());
        let sessions = self.groups.values().flat_map(|group| group.members.values());
        let idle = self.producers.len() + self.transactions.len();
        let tended = self.queues.values().filter(|queue| queue.tended.1 != TimerId::NONE).count();
        let kept = self.topics.values().flat_map(|topic| &topic.upkeep);
        let kept = kept.map(|upkeep| {
            usize::from(upkeep.retention != TimerId::NONE) + usize::from(upkeep.cleaning.is_some())
        });
        let kept = kept.sum::<usize>();
        let keeping = self.queues.values().filter(|queue| queue.keeping != TimerId::NONE).count();
        let timers = sessions.flat_map(|member| [member.timer, member.revoking]);
        let timers = timers.chain(self.groups.values().map(|group| group.keeping));
        let classic = self.groups.values().filter_map(|group| group.classic.as_deref());
        let timers = timers.chain(classic.flat_map(|classic| {
            let sessions = classic.members.values().map(|member| member.timer);
            sessions.chain([classic.timer])
        }));
        let timers = timers.chain(self.waits.values().map(|wait| wait.timer));
        let sessions = timers.filter(|timer| *timer != TimerId::NONE).count();
        let due = timed.sum::<usize>()
            + keeping
            + sessions
            + idle
            + tended
            + kept
            + self.redrive_timers();
        hold(due == self.timers.running(), || {
            format!("{} timers run, {due} have a reason", self.timers.running())
        })
    }
}

fn check_log(name: &str, log: &Log) -> Checked {
    match log.fault() {
        Some(fault) => Err(Violation(format!("{name}: {fault}"))),
        None => Ok(()),
    }
}
