//! Steps of journeys, noted as facts are made true. What is no fact (leases, reads) is noted where
//! it happens.

use alloc::borrow::ToOwned;
use alloc::sync::Arc;

use super::Broker;
use crate::fact::Fact;
use crate::group::Partition;
use crate::id::{Append, ConnId, GroupId, Offset, Place, ProducerId, QueueId};
use crate::journey::{Covered, Did, Via};
use crate::log::Log;
use crate::request::{Op, Target};
use crate::view::DeathReason;

/// Why facts come to be: the request that is worked on. None while time alone is the reason.
#[derive(Clone, Debug, Default)]
pub(super) struct Cause {
    pub(super) conn: Option<ConnId>,
    via: Option<Arc<Via>>,
    acks: bool,
    /// Of what a message dies that is about to be gone.
    pub(super) dies_of: Option<DeathReason>,
}

impl Broker {
    /// What is done from now on is done because of this request.
    pub(super) fn because_of(&mut self, conn: ConnId, op: &Op<'_>) {
        let named = if let Op::Publish { to: Target::Exchange { name, routing_key }, .. } = op {
            (self.journeys.on() && !name.is_empty()).then_some((name, routing_key))
        } else {
            None
        };
        let via = named.map(|(exchange, routing_key)| {
            let (exchange, routing_key) =
                (exchange.as_ref().to_owned(), routing_key.as_ref().to_owned());
            Arc::new(Via { exchange, routing_key })
        });
        let acks = matches!(op, Op::Ack { .. });
        self.cause = Cause { conn: Some(conn), via, acks, dies_of: None };
    }

    /// What is settled from now on is acknowledged by this connection; returns why things were
    /// done before.
    pub(super) fn acked_by(&mut self, conn: ConnId) -> Cause {
        let now = Cause { conn: Some(conn), acks: true, ..self.cause.clone() };
        core::mem::replace(&mut self.cause, now)
    }

    /// Notes what a fact is about to do to messages.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what moves no message is no step of one")]
    pub(super) fn trace(&mut self, fact: &Fact<'_>) {
        if !self.journeys.on() {
            return;
        }
        let at = self.now;
        match fact {
            Fact::Published { batches, .. } | Fact::Produced { batches, .. } => {
                for batch in batches.iter() {
                    let count = u64::from(batch.records.count());
                    for append in batch.appends.iter() {
                        let (by, via) = (self.cause.conn, self.cause.via.clone());
                        let run = Covered::of(append.base, count);
                        self.journeys.note(at, append.place, run, Did::Published { by, via });
                    }
                }
            }
            Fact::Settled { queue, offsets } => {
                let did = match self.cause.conn {
                    Some(conn) if self.cause.acks => Did::Acked { conn },
                    _ => Did::Dropped { reason: self.cause.dies_of },
                };
                self.journeys.note_all(at, Place::Queue(*queue), offsets, &did);
            }
            Fact::RunsSettled { queue, runs } => {
                for (base, count) in runs.iter() {
                    let run = Covered::of(*base, *count);
                    self.journeys.note(at, Place::Queue(*queue), run, Did::Purged);
                }
            }
            Fact::AttemptEnded { queue, offset, end, ready_at, .. } => {
                let (conn, attempt) = self.attempt_ending(*queue, *offset);
                let ready_at = (*ready_at > at).then_some(*ready_at);
                let did = Did::Returned { conn, end: *end, attempt, ready_at };
                self.journeys.note(at, Place::Queue(*queue), Covered::one(*offset), did);
            }
            Fact::DeadLettered { queue, offset, reason, to, to_offset, .. } => {
                let (to, to_offset) = (Place::Queue(*to), *to_offset);
                let did = Did::DeadLettered { reason: *reason, to, to_offset };
                self.journeys.note(at, Place::Queue(*queue), Covered::one(*offset), did);
            }
            Fact::Died { queue, offset, reason, to, .. } => {
                for Append { place, base } in to.iter() {
                    let did = Did::DeadLettered { reason: *reason, to: *place, to_offset: *base };
                    self.journeys.note(at, Place::Queue(*queue), Covered::one(*offset), did);
                }
            }
            Fact::Redriven { queue, offset, to, to_offset, .. } => {
                let did = Did::Redriven { to: Place::Queue(*to), to_offset: *to_offset };
                self.journeys.note(at, Place::Queue(*queue), Covered::one(*offset), did);
            }
            Fact::BroughtBack { queue, offset, to, to_offset, .. } => {
                let did = Did::Redriven { to: Place::Queue(*to), to_offset: *to_offset };
                self.journeys.note(at, Place::Queue(*queue), Covered::one(*offset), did);
            }
            Fact::TransactionEnded { producer, commit, .. } => self.trace_end(*producer, *commit),
            Fact::LogTrimmed { place, start, .. } => self.trace_trim(*place, *start),
            Fact::KeptGone { queue, start, .. } => self.trace_trim(Place::Queue(*queue), *start),
            Fact::Compacted { topic, partition, offsets, .. } => {
                let place = Place::Partition(*topic, *partition);
                self.journeys.note_all(at, place, offsets, &Did::Compacted);
            }
            Fact::Committed { group, topic, partition, offset, .. } => {
                self.trace_commit(*group, (*topic, *partition), *offset);
            }
            Fact::OffsetsCommitted { group, offsets, .. } => {
                for commit in offsets.iter() {
                    self.trace_commit(*group, (commit.topic, commit.partition), commit.offset);
                }
            }
            _ => {}
        }
    }

    /// Notes what a group commits beyond what it had committed.
    fn trace_commit(&mut self, group: GroupId, partition: Partition, to: Offset) {
        let before = self.groups.get(&group).and_then(|of| of.committed.get(&partition));
        let from = before.map_or(Offset(0), |commit| commit.offset);
        if from < to {
            let (topic, partition) = partition;
            let run = Covered::of(from, to.0 - from.0);
            let place = Place::Partition(topic, partition);
            self.journeys.note(self.now, place, run, Did::Committed { group });
        }
    }

    /// Notes how the transaction ends of what it wrote.
    fn trace_end(&mut self, producer: ProducerId, commit: bool) {
        let open = self.producers.get(&producer).and_then(|p| p.transaction.as_deref());
        let Some(open) = open else { return };
        for (place, runs) in open.writes() {
            for (base, count) in runs {
                let did = Did::TransactionEnded { producer, commit };
                self.journeys.note(self.now, place, Covered::of(*base, *count), did);
            }
        }
    }

    /// Notes what a log lets go of, up to where it is to start.
    fn trace_trim(&mut self, place: Place, start: Offset) {
        let log = match place {
            Place::Queue(id) => self.queues.get(&id).and_then(|queue| queue.own_log()),
            Place::Partition(id, partition) => {
                self.topics.get(&id).and_then(|topic| topic.partition(partition))
            }
        };
        let Some(first) = log.map(Log::start).filter(|first| *first < start) else { return };
        let run = Covered::of(first, start.0 - first.0);
        self.journeys.note(self.now, place, run, Did::Trimmed);
    }

    /// Whose attempt at a message ends, and which one it is.
    fn attempt_ending(&self, queue: QueueId, offset: Offset) -> (Option<ConnId>, u32) {
        let slot = self.queues.get(&queue).and_then(|queue| queue.work.slot(offset));
        let conn = self.holder(queue, offset).map(|holder| holder.conn);
        (conn, slot.map_or(1, |slot| slot.failed + 1))
    }

    /// Notes steps that are no facts, if journeys are kept.
    pub(super) fn step(&mut self, queue: QueueId, offset: Offset, did: Did) {
        self.journeys.note(self.now, Place::Queue(queue), Covered::one(offset), did);
    }
}
