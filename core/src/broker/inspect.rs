//! Views of the state.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

use super::workgroup::WorkGroup;
use super::{Broker, Consumer, Refused, shown, within};
use crate::classic::Joiner;
use crate::effect::Sink;
use crate::event::Event;
use crate::exchange::{Binding, Exchange};
use crate::group::{Group, Member, Partition};
use crate::id::{
    ConnId, ConsumerId, Generation, Place, ProducerId, QueueId, RedriveId, Tag, TopicId,
};
use crate::limits::{GROUPS_PER_PAGE_MAX, OVERVIEW_ROWS_MAX};
use crate::log::Log;
use crate::queue::Queue;
use crate::refusal::Code;
use crate::request::{Inspect, Listed};
use crate::set::Set;
use crate::sort::sort_by;
use crate::topic::{Topic, Upkeep};
use crate::view::{
    BindingView, ConsumerView, ExchangeView, GroupPartitionView, GroupSummary, GroupView,
    MemberView, Overview, PartitionView, QueueView, TopicView, View, WorkGroupView,
};

impl Broker {
    pub(super) fn inspect(
        &mut self,
        conn: ConnId,
        tag: Tag,
        what: &Inspect<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let view = match what {
            Inspect::Overview => View::Overview(self.overview_of(OVERVIEW_ROWS_MAX)),
            Inspect::Queue(name) => {
                let id = self.part_or_queue_named(name)?;
                View::Queue(self.queue_with_consumers(id))
            }
            Inspect::WorkGroup(name) => {
                let group = self.work_groups.get_key_value(name.as_ref());
                let group = group.ok_or_else(|| {
                    Code::UnknownQueue.because(alloc::format!(
                        "there is no work group {}; create it first",
                        shown(name)
                    ))
                });
                View::WorkGroup(self.work_group_view(group?))
            }
            Inspect::Topic(name) => View::Topic(topic_view(&self.topics[&self.topic_named(name)?])),
            Inspect::Redrives => View::Redrives(self.redrive_views()),
            Inspect::Exchange(name) => {
                self.exchange_named(name)?;
                View::Exchange(self.exchange_view(name, &self.exchanges[name.as_ref()]))
            }
            Inspect::Group(name) => {
                View::Group(self.group_view(&self.groups[&self.group_named(name)?]))
            }
            Inspect::Groups { after, groups_max } => {
                let max = GROUPS_PER_PAGE_MAX as u64;
                within("groups_max", u64::from(*groups_max), 1, max)?;
                let from = (Bound::Excluded(after.as_ref()), Bound::Unbounded);
                let page = self.group_names.range::<str, _>(from).take(*groups_max as usize);
                View::Groups(page.map(|(_, id)| group_summary(&self.groups[id])).collect())
            }
            Inspect::Producers(from) => View::Producers(self.producers_view(*from)),
            Inspect::Producer(id) => View::Producers(alloc::vec![self.producer_described(*id)?]),
            Inspect::Transactions(from) => View::Producers(self.transactions_view(*from)),
            Inspect::ProducerNamed(name) => {
                View::Producers(alloc::vec![self.producer_described(self.producer_by(name)?)?])
            }
            Inspect::ProducersOf { topic, partition, from } => {
                let of = self.partition_named(topic, *partition)?;
                View::Producers(self.producers_of(of, *from))
            }
            Inspect::DeadLetterSources { queue, after, max } => {
                View::Page(self.dead_letter_sources(queue, after, *max)?)
            }
            Inspect::Connection(id) => View::Connection(self.connection_detail(*id)?),
            Inspect::Due { max } => View::Due(self.due_views(*max)?),
            Inspect::Message { queue, offset } => {
                let place = Place::Queue(self.part_or_queue_named(queue)?);
                View::Journey(self.journey(place, *offset)?)
            }
            Inspect::Record { topic, partition, offset } => {
                let (topic, partition) = self.partition_named(topic, *partition)?;
                View::Journey(self.journey(Place::Partition(topic, partition), *offset)?)
            }
            Inspect::List { of, after, max } => View::Page(self.page(*of, after, *max)?),
        };
        self.tell(conn, Event::Inspected { tag, view }, out);
        Ok(())
    }

    /// Everything but the messages, for whoever drives the broker. Clients ask by
    /// [`crate::Inspect::Overview`], which is bounded.
    pub fn overview(&self) -> Overview {
        self.overview_of(usize::MAX)
    }

    /// The names of all queues, in order; for whoever drives the broker.
    pub fn queue_names(&self) -> impl Iterator<Item = &str> {
        self.queue_names.keys().map(String::as_str)
    }

    /// What a queue is called, or the work group of which it is a part; for whoever drives the
    /// broker.
    pub fn name_of_queue(&self, id: QueueId) -> Option<&str> {
        self.queues.get(&id).map(|queue| queue.name.as_str())
    }

    /// Whether there is a queue with this name; for whoever drives the broker.
    pub fn has_queue(&self, name: &str) -> bool {
        self.queue_names.contains_key(name)
    }

    /// The transactional name of a producer that has one; for whoever drives the broker.
    pub fn producer_name(&self, id: ProducerId) -> Option<&str> {
        self.producers.get(&id)?.name.as_deref()
    }

    /// The queue out of which a job redrives; for whoever drives the broker.
    pub fn redrive_queue(&self, id: RedriveId) -> Option<&str> {
        let job = self.redrives.get(&id)?;
        Some(self.queue_name(job.task.queue))
    }

    /// Of each kind about so many rows.
    fn overview_of(&self, rows_max: usize) -> Overview {
        let mut overview = self.empty_overview();
        for of in Listed::ALL {
            let next = self.list(of, "", rows_max, &mut overview).expect("a list has its start");
            overview.more.extend(next.map(|after| (of, after)));
        }
        let own = |name: &str| !name.starts_with("amq.");
        overview.exchanges.retain(|view| own(&view.name) || !view.bindings.is_empty());
        overview
    }

    pub(super) fn queue_with_consumers(&self, id: QueueId) -> QueueView {
        let queue = &self.queues[&id];
        let mut view = self.queue_view(queue);
        let here = queue.all.iter().map(|id| self.consumer_view((&id, &self.consumers[&id])));
        view.consumers = here.collect();
        view
    }

    pub(super) fn work_group_view(&self, (name, group): (&String, &WorkGroup)) -> WorkGroupView {
        WorkGroupView {
            name: name.clone(),
            topic: self.topic_name(group.topic).to_string(),
            parts: group.parts.iter().map(|id| self.queue_with_consumers(*id)).collect(),
        }
    }

    pub(super) fn exchange_view(&self, name: &str, exchange: &Exchange) -> ExchangeView {
        let binding = |binding: &Binding| BindingView {
            pattern: binding.pattern.to_string(),
            to: self.destination(&binding.to),
            headers: binding.headers.as_deref().cloned().unwrap_or_default(),
        };
        let mut bindings: Vec<_> = exchange.bindings().map(binding).collect();
        sort_by(&mut bindings, |a, b| a.pattern < b.pattern);
        ExchangeView {
            name: name.to_string(),
            kind: exchange.kind,
            policy: exchange.policy.clone(),
            bindings,
        }
    }

    /// A queue without its consumers.
    fn queue_view(&self, queue: &Queue) -> QueueView {
        QueueView {
            id: queue.id,
            name: queue.name.clone(),
            policy: queue.policy.clone(),
            made_at: queue.made_at,
            altered_at: queue.altered_at,
            ready: queue.work.ready(),
            leased: queue.work.leased(),
            delayed: queue.work.delayed(),
            blocked: queue.work.blocked(),
            held: queue.work.held(),
            bytes: queue.own_bytes(),
            end: queue.work.end(),
            acked: queue.acked,
            dead_lettered: queue.dead_lettered,
            dropped: queue.dropped,
            oldest_at: self.oldest_at(queue),
            consumers: Vec::new(),
        }
    }

    pub(super) fn consumer_view(&self, (id, consumer): (&ConsumerId, &Consumer)) -> ConsumerView {
        let waits = |queue| self.queues[&queue].standby.contains(id);
        ConsumerView {
            id: *id,
            conn: consumer.conn,
            prefetch: consumer.prefetch,
            outstanding: consumer.outstanding,
            auto_ack: consumer.auto_ack,
            exclusive: consumer.exclusive,
            active: !consumer.queues.iter().all(waits),
        }
    }

    /// Every partition of each topic that a group has to do with: what it has not begun lags too.
    pub(super) fn partitions_of(&self, group: &Group) -> Vec<Partition> {
        let pending = self.pending_of(group.id);
        let named = group.committed.keys().chain(group.owned.keys()).copied();
        let topics: Set<TopicId> = named.chain(pending.iter()).map(|(topic, _)| topic).collect();
        let partitions = topics.iter().flat_map(|topic| {
            let count = self.topics[&topic].partitions.len() as u32;
            (0..count).map(move |partition| (topic, partition))
        });
        partitions.collect()
    }

    pub(super) fn group_view(&self, group: &Group) -> GroupView {
        let pending = self.pending_of(group.id);
        let partitions = self.partitions_of(group).into_iter();
        let partition = |partition: Partition| {
            let topic = &self.topics[&partition.0];
            let log = &topic.partitions[partition.1 as usize];
            let commit = group.committed.get(&partition);
            let committed = commit.map(|commit| commit.offset);
            let owned = group.owned.get(&partition);
            let (lag, oldest_at) = self.lag(group, partition);
            GroupPartitionView {
                topic: topic.name.clone(),
                partition: partition.1,
                committed,
                position: owned.map(|owned| owned.position),
                end: log.end(),
                lag,
                oldest_at,
                committed_at: commit.map(|commit| commit.at),
                metadata: commit.map_or_else(String::new, |commit| commit.metadata.clone()),
                is_pending: pending.contains(partition),
                owner: owned.map(|owned| owned.member),
            }
        };
        let none = Generation(0);
        let member = |(id, member): (&_, &Member)| MemberView {
            id: *id,
            conn: member.conn,
            client: member.client.clone(),
            instance: member.instance.clone(),
            metadata: Vec::new(),
            assignment: Vec::new(),
        };
        let joiner = |(id, joiner): (&_, &Joiner)| MemberView {
            id: *id,
            conn: joiner.conn,
            client: joiner.client.clone(),
            instance: joiner.instance.clone(),
            metadata: group.classic.as_ref().map_or(&[][..], |c| c.proposal(joiner)).to_vec(),
            assignment: joiner.assignment.clone(),
        };
        let joiners = group.classic.iter().flat_map(|classic| classic.members.iter());
        GroupView {
            id: group.id,
            name: group.name.clone(),
            state: group.state(),
            generation: group.generation,
            assignor: group.assignor,
            classic: group.classic.as_ref().map(|classic| classic.view()),
            vacated_at: group.vacated_at.filter(|_| group.is_empty() && group.generation > none),
            members: group.members.iter().map(member).chain(joiners.map(joiner)).collect(),
            partitions: partitions.map(partition).collect(),
        }
    }
}

fn group_summary(group: &Group) -> GroupSummary {
    GroupSummary {
        id: group.id,
        name: group.name.clone(),
        state: group.state(),
        generation: group.generation,
        members: group.size() as u32,
        protocol_type: group.classic.as_ref().map(|classic| classic.protocol_type.clone()),
    }
}

pub(super) fn topic_view(topic: &Topic) -> TopicView {
    let partition = |(log, upkeep): (&Log, &Upkeep)| PartitionView {
        start: log.start(),
        end: log.end(),
        bytes: log.bytes(),
        stable_end: log.stable_end(),
        clean: upkeep.cleaner.as_ref().map(|cleaner| cleaner.clean()),
    };
    TopicView {
        id: topic.id,
        name: topic.name.clone(),
        partitions: topic.partitions.iter().zip(&topic.upkeep).map(partition).collect(),
        policy: topic.policy.clone(),
    }
}
