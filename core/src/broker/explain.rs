//! Answers to "why": what is due next, what a connection has, what happened to a message.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Awaits, Broker, Refused, Wait, counted, within};
use crate::id::{ConnId, GroupId, Offset, Place};
use crate::journey::{Did, Step};
use crate::limits::DUE_VIEW_MAX;
use crate::refusal::Code;
use crate::timer::Due;
use crate::view::{
    ConnectionDetail, DeadlineReason, DueView, GroupMemberView, Happened, HoldsView, JourneyStep,
    JourneyView, QueueConsumerView, WaitView,
};
use crate::work::Holder;

impl Broker {
    /// What will happen by itself, in order.
    pub(super) fn due_views(&self, max: u32) -> Result<Vec<DueView>, Refused> {
        within("max", u64::from(max), 1, DUE_VIEW_MAX as u64)?;
        let due = self.timers.soonest(max as usize);
        Ok(due
            .into_iter()
            .map(|(at, due)| DueView { at, reason: due.reason(), what: self.due_words(due) })
            .collect())
    }

    fn due_words(&self, due: Due) -> String {
        match due {
            Due::Lease(queue, offset) => {
                let place = self.place_name(Place::Queue(queue));
                match self.holder(queue, offset) {
                    Some(Holder { conn, .. }) => format!(
                        "{place}@{offset} is ready again, unless {conn} settles it or asks for \
                         longer before"
                    ),
                    None => format!("{place}@{offset} is ready again"),
                }
            }
            Due::Delay(queue, offset) => {
                format!("the delay of {}@{offset} is over", self.place_name(Place::Queue(queue)))
            }
            Due::Expiry(queue, offset) => {
                let place = self.place_name(Place::Queue(queue));
                format!("{place}@{offset} is too old, unless it is delivered before")
            }
            Due::Kept(queue) => {
                let place = self.place_name(Place::Queue(queue));
                format!("{place} has kept its oldest settled messages for long enough")
            }
            Due::Session(member) => match self.members.get(&member) {
                Some(group) => format!(
                    "{member} of {} is put out, unless it is heard of before",
                    self.groups[group].name
                ),
                None => format!("{member} is put out"),
            },
            Due::Revocation(member) => match self.members.get(&member) {
                Some(group) => {
                    let group = self.groups[group].name.as_str();
                    format!("{member} of group {group} is put out, unless it gives up what moves")
                }
                None => format!("{member}, which is gone, was to give up what moves"),
            },
            Due::Producer(id) => match self.producers.get(&id) {
                Some(_) => format!("{id} is forgotten, unless it publishes before"),
                None => format!("{id} is forgotten"),
            },
            Due::Redrive(id) => format!("{id} goes on moving messages"),
            Due::Rebalance(id) => {
                let group = self.group_words(id);
                format!("members of group {group} are put out, unless they join or sync before")
            }
            Due::Offsets(id) => format!(
                "group {} forgets what it committed, unless a member joins before",
                self.group_words(id)
            ),
            Due::Transaction(id) => {
                format!("the transaction of {id} is aborted, unless it ends before")
            }
            Due::Tend(queue, reason) => {
                let place = self.place_name(Place::Queue(queue));
                match reason {
                    DeadlineReason::MessageExpires => {
                        format!("the oldest message of {place} is too old")
                    }
                    DeadlineReason::QueueExpires => {
                        format!("{place} goes, unless it is used before")
                    }
                    DeadlineReason::QueueOverflows => {
                        format!("{place} has more to drop or hand out")
                    }
                    DeadlineReason::LeaseEnds
                    | DeadlineReason::DelayEnds
                    | DeadlineReason::SessionEnds
                    | DeadlineReason::WaitEnds
                    | DeadlineReason::ProducerIdle
                    | DeadlineReason::RetentionEnds
                    | DeadlineReason::CompactionDue
                    | DeadlineReason::KeptLongEnough
                    | DeadlineReason::TransactionEnds
                    | DeadlineReason::RebalanceEnds
                    | DeadlineReason::OffsetsExpire
                    | DeadlineReason::RedriveGoesOn => format!("{place} is looked after"),
                }
            }
            Due::Retention(topic, partition) => {
                let place = self.place_name(Place::Partition(topic, partition));
                format!("the oldest records of {place} have been kept for long enough")
            }
            Due::Compaction(topic, partition) => {
                format!("{} is compacted", self.place_name(Place::Partition(topic, partition)))
            }
            Due::Wait(number) => match self.waits.get(&number) {
                Some(wait) => {
                    format!("{} of {} ends without any", wait_words(self, wait), wait.conn)
                }
                None => String::from("a wait ends"),
            },
        }
    }

    /// The name of a log, or its number if it is gone.
    pub(super) fn place_name(&self, place: Place) -> String {
        match place {
            Place::Queue(id) => {
                self.queues.get(&id).map_or_else(|| id.to_string(), |queue| queue.name.clone())
            }
            Place::Partition(id, partition) => match self.topics.get(&id) {
                Some(topic) => format!("{}/{partition}", topic.name),
                None => format!("{id}/{partition}"),
            },
        }
    }

    pub(super) fn connection_detail(&self, id: ConnId) -> Result<ConnectionDetail, Refused> {
        let Some(conn) = self.conns.get(&id) else {
            return Err(Code::NotOpen.because(format!("there is no open connection {id}")));
        };
        let consumers = conn.consumers.iter().map(|consumer| {
            let state = &self.consumers[&consumer];
            let of = state.queues.iter().next().map(Place::Queue);
            QueueConsumerView {
                queue: of.map(|place| self.place_name(place)).unwrap_or_default(),
                consumer: self.consumer_view((&consumer, state)),
            }
        });
        let members = conn.members.iter().map(|member| GroupMemberView {
            group: self.groups[&self.members[&member]].name.clone(),
            member,
        });
        let waits = conn.waits.iter().map(|number| {
            let wait = &self.waits[&number];
            WaitView { tag: wait.tag, what: wait_words(self, wait) }
        });
        let holds = conn.held.iter().map(|(queue, held)| HoldsView {
            queue: self.place_name(Place::Queue(*queue)),
            leases: held.len(),
        });
        Ok(ConnectionDetail {
            id,
            client: conn.client.clone(),
            watches: self.watchers.contains(id),
            publishes: conn.publishes,
            is_slowed: conn.slowed,
            consumers: consumers.collect(),
            members: members.collect(),
            waits: waits.collect(),
            holds: holds.filter(|holds| holds.leases > 0).collect(),
        })
    }

    /// What happened to a message, as far as the broker remembers.
    pub(super) fn journey(&self, place: Place, offset: Offset) -> Result<JourneyView, Refused> {
        if !self.journeys.on() {
            return Err(Code::BadArgument.because(
                "this broker keeps no journeys: its limit journey_steps_max is 0; raise it",
            ));
        }
        let also = self.shares(place);
        let steps =
            self.journeys.of(place, offset, also).into_iter().map(|(offset, step)| JourneyStep {
                at: step.at,
                place: self.place_name(step.place),
                offset,
                what: self.happened(step),
            });
        Ok(JourneyView { steps: steps.collect(), forgotten: self.journeys.forgotten() })
    }

    /// Where the messages of a place lie, too: in the partition that a work group works on, and with
    /// the work groups that work on a partition.
    fn shares(&self, place: Place) -> Vec<Place> {
        match place {
            Place::Queue(id) => {
                let of = self.queues.get(&id).and_then(|queue| queue.partition());
                of.map(|(topic, partition)| Place::Partition(topic, partition))
                    .into_iter()
                    .collect()
            }
            Place::Partition(topic, partition) => {
                self.parts_on(topic, partition).iter().map(Place::Queue).collect()
            }
        }
    }

    fn happened(&self, step: &Step) -> Happened {
        match &step.did {
            Did::Published { by, via } => {
                let (exchange, routing_key) = match via {
                    Some(via) => (via.exchange.clone(), via.routing_key.clone()),
                    None => Default::default(),
                };
                Happened::Published { conn: *by, exchange, routing_key }
            }
            Did::Leased { conn, consumer, attempt, until } => Happened::Leased {
                conn: *conn,
                consumer: *consumer,
                attempt: *attempt,
                until: *until,
            },
            Did::Extended { until } => Happened::Extended { until: *until },
            Did::Released { conn } => Happened::Released { conn: *conn },
            Did::Returned { conn, end, attempt, ready_at } => Happened::Returned {
                conn: *conn,
                end: *end,
                attempt: *attempt,
                ready_at: *ready_at,
            },
            Did::Due => Happened::Due,
            Did::Acked { conn } => Happened::Acked { conn: *conn },
            Did::Dropped { reason } => Happened::Dropped { reason: *reason },
            Did::Purged => Happened::Purged,
            Did::DeadLettered { reason, to, to_offset } => Happened::DeadLettered {
                reason: *reason,
                to: self.place_name(*to),
                to_offset: *to_offset,
            },
            Did::Redriven { to, to_offset } => {
                Happened::Redriven { to: self.place_name(*to), to_offset: *to_offset }
            }
            Did::Polled { group, member } => {
                Happened::Polled { group: self.group_words(*group), member: *member }
            }
            Did::Committed { group } => Happened::Committed { group: self.group_words(*group) },
            Did::TransactionEnded { producer, commit } => {
                Happened::TransactionEnded { producer: *producer, commit: *commit }
            }
            Did::Trimmed => Happened::Trimmed,
            Did::Compacted => Happened::Compacted,
        }
    }

    fn group_words(&self, id: GroupId) -> String {
        self.groups.get(&id).map_or_else(|| id.to_string(), |group| group.name.clone())
    }
}

fn wait_words(broker: &Broker, wait: &Wait) -> String {
    match &wait.what {
        Awaits::Message { queues, .. } => {
            let of = queues.first().map(|queue| broker.place_name(Place::Queue(*queue)));
            format!("the wait for a message of {}", of.unwrap_or_default())
        }
        Awaits::Read { partition: (topic, partition), from, .. } => {
            let place = broker.place_name(Place::Partition(*topic, *partition));
            format!("the wait for records of {place} from {from}")
        }
        Awaits::Joined { group, member } => {
            let group = broker.group_words(*group);
            format!("the wait of {member} for the others of {group} to join")
        }
        Awaits::Synced { group, member } => {
            let group = broker.group_words(*group);
            format!("the wait of {member} for what the leader of {group} assigns")
        }
        Awaits::Fetch { aims, .. } => {
            format!("the wait for records of {}", counted(aims.len() as u64, "partition"))
        }
        Awaits::Record { group, member, .. } => {
            format!("the wait of {member} for a record of {}", broker.group_words(*group))
        }
    }
}
