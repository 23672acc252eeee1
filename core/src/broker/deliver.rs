//! From ready to leased: messages go to whoever wants them.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Asked, Awaits, Broker, Consumer};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Delivery, Event};
use crate::fact::{Fact, Via};
use crate::id::{ConnId, ConsumerId, LeaseId, Offset, Place, QueueId, Tag};
use crate::journey::Did;
use crate::limits::{AUTO_ACK_PER_APPLY_MAX, DELIVERIES_PER_EVENT_MAX};
use crate::queue::Queue;
use crate::record::{RawRecord, Records};
use crate::time::{Span, Time};
use crate::view::DeadlineReason;
use crate::work::Holder;

/// A message that was leased just now, and is still to be told.
struct Leased {
    to: ConsumerId,
    queue: QueueId,
    offset: Offset,
    delivery: u32,
    attempt: u32,
    until: Time,
}

/// A message that was settled before it is told, and when it came.
struct Taken {
    records: Records<'static>,
    index: u32,
    at: Time,
}

impl Broker {
    /// Hands out what became ready, or what credit allows that came back.
    pub(super) fn deliver_woken(&mut self, out: &mut dyn Sink) {
        while !self.woken.is_empty() {
            for queue in core::mem::take(&mut self.woken) {
                self.queue_mut(queue).woken = false;
                self.deliver(queue, out);
            }
        }
    }

    /// Hands out what is ready: to receives that wait, then to consumers in turn. What is left is
    /// held to the queue's bounds.
    fn deliver(&mut self, id: QueueId, out: &mut dyn Sink) {
        if self.automatic >= AUTO_ACK_PER_APPLY_MAX && self.settles_at_once(id) {
            return self.tend_at(id, self.now, DeadlineReason::QueueOverflows);
        }
        while let Some(wait) = self.queues[&id].waiting.front().copied() {
            if self.next_to_lease(id, out).is_none() {
                break;
            }
            let wait = self.stop_waiting(wait);
            let Awaits::Message { queues, asked } = wait.what else {
                unreachable!("a queue is waited on for messages");
            };
            self.deliver_received(wait.conn, wait.tag, &queues, asked, out);
        }
        let leased = self.lease_to_consumers(id, out);
        self.tell_consumers(leased, out);
        self.look_after(id, out);
    }

    /// Whether somebody who has credit is given what is settled already.
    fn settles_at_once(&self, id: QueueId) -> bool {
        self.queues[&id].consumers.iter().any(|consumer| self.consumers[consumer].auto_ack)
    }

    /// Leases what is ready to the consumers that have credit, one message to each in turn.
    fn lease_to_consumers(&mut self, id: QueueId, out: &mut dyn Sink) -> Vec<Leased> {
        let mut leased = Vec::new();
        while !self.queues[&id].consumers.is_empty() && self.next_to_lease(id, out).is_some() {
            let queue = self.queues.get_mut(&id).expect("the queue exists");
            let to = queue.consumers[0];
            let consumer = self.consumers.get_mut(&to).expect("a queue's consumer is known");
            let conn = self.conns.get_mut(&consumer.conn).expect("a consumer has its connection");
            let blocked = !consumer.auto_ack && conn.prefetch > 0;
            let blocked = blocked && conn.outstanding >= conn.prefetch;
            if blocked || consumer.outstanding >= consumer.prefetch {
                // Its connection's credit, or another part of its work group, used its own up.
                if blocked {
                    conn.blocked.insert(to);
                }
                consumer.unlisted.insert(id);
                queue.consumers.pop_front();
                continue;
            }
            conn.outstanding += u32::from(!consumer.auto_ack);
            consumer.outstanding += 1;
            if consumer.outstanding == consumer.prefetch {
                consumer.unlisted.insert(id);
                queue.consumers.pop_front();
            } else if queue.consumers.len() > 1 {
                queue.consumers.rotate_left(1);
            }
            let holder = Holder { conn: consumer.conn, consumer: Some(to) };
            let visibility = consumer.visibility;
            leased.extend(self.lease_next(id, holder, visibility));
        }
        leased
    }

    /// Leases the next message of a queue; None if nothing is ready.
    fn lease_next(
        &mut self,
        id: QueueId,
        holder: Holder,
        visibility: Option<Span>,
    ) -> Option<Leased> {
        let (queue, mut clock) = self.queue_and_clock(id);
        let until = clock.now + visibility.unwrap_or(queue.policy.visibility);
        let (offset, slot) = queue.work.lease_next(holder, until, &mut clock)?;
        let (delivery, attempt) = (slot.delivery, slot.failed + 1);
        self.takes(holder, id, offset);
        let to = holder.consumer.unwrap_or_default();
        Some(Leased { to, queue: id, offset, delivery, attempt, until })
    }

    fn tell_consumers(&mut self, mut leased: Vec<Leased>, out: &mut dyn Sink) {
        leased.sort_by_key(|leased| leased.to);
        for run in leased.chunk_by(|a, b| a.to == b.to) {
            let to = run[0].to;
            let Consumer { conn, auto_ack, .. } = self.consumers[&to];
            self.trace_leases(run, conn, Some(to));
            let settled = match auto_ack {
                true => self.settle_at_once(run, (conn, Some(to)), out),
                false => Vec::new(),
            };
            let mut told = 0;
            while told < run.len() {
                let deliveries = self.deliveries(&run[told..], settled.get(told..));
                told += deliveries.len();
                let event = Event::Delivered { consumer: to, deliveries: deliveries.into() };
                self.tell(conn, event, out);
            }
        }
        if self.watchers.is_empty() {
            return;
        }
        leased.sort_unstable_by_key(|leased| leased.offset);
        for leased in &leased {
            let Consumer { conn, auto_ack, .. } = self.consumers[&leased.to];
            if !auto_ack {
                self.note_leased(leased, conn, Some(leased.to), out);
            }
        }
    }

    /// Settles what goes to somebody who need not settle it, before it is told: so it is delivered
    /// at most once. Returns the records, which are in their log no longer.
    fn settle_at_once(
        &mut self,
        leased: &[Leased],
        (conn, consumer): (ConnId, Option<ConsumerId>),
        out: &mut dyn Sink,
    ) -> Vec<Taken> {
        let held = leased.iter().map(|leased| {
            let found = self.queues[&leased.queue].log(&self.topics).find(leased.offset);
            let (segment, index) = found.expect("a message that is not settled is held");
            let records = segment.records().expect("a found batch is held").into_owned();
            Taken { records, index, at: segment.at }
        });
        let held = held.collect();
        for leased in leased {
            self.note_leased(leased, conn, consumer, out);
        }
        let cause = self.acked_by(conn);
        for run in leased.chunk_by(|a, b| a.queue == b.queue) {
            let id = run[0].queue;
            let offsets: Vec<_> = run.iter().map(|leased| leased.offset).collect();
            self.record(Fact::Settled { queue: id, offsets: offsets.into() }, out);
            self.queue_mut(id).acked += run.len() as u64;
            for Leased { offset, attempt, .. } in run {
                let (offset, attempt) = (*offset, *attempt);
                let queue = self.queue_name(id).into();
                self.note(out, || Activity::Acked { queue, offset, attempt, conn });
            }
        }
        self.cause = cause;
        self.automatic += leased.len();
        held
    }

    /// As many of the deliveries as one event takes: at least one. Those that are settled have
    /// their records with them.
    fn deliveries<'b>(
        &'b self,
        leased: &[Leased],
        settled: Option<&'b [Taken]>,
    ) -> Vec<Delivery<'b>> {
        let mut room = self.config.limits.batch_bytes_max as usize;
        let mut deliveries = Vec::with_capacity(leased.len().min(DELIVERIES_PER_EVENT_MAX));
        for (at, leased) in leased.iter().take(DELIVERIES_PER_EVENT_MAX).enumerate() {
            let queue = &self.queues[&leased.queue];
            let (record, appended_at) = match settled.and_then(|settled| settled.get(at)) {
                Some(Taken { records, index, at }) => {
                    (records.raw(*index).expect("a found record is there"), *at)
                }
                None => self.lying(queue, leased.offset),
            };
            let via = queue.ways.of(leased.offset);
            let bytes = record.as_bytes().len() + via.map_or(0, Via::bytes);
            if bytes > room && !deliveries.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            deliveries.push(Delivery {
                lease: LeaseId {
                    queue: leased.queue,
                    offset: leased.offset,
                    delivery: leased.delivery,
                    epoch: self.epoch,
                },
                attempt: leased.attempt,
                deadline: leased.until,
                appended_at,
                via: via.map(Via::borrowed),
                record,
            });
        }
        deliveries
    }

    /// A message that is not settled, and when it came.
    fn lying<'b>(&'b self, queue: &'b Queue, offset: Offset) -> (RawRecord<'b>, Time) {
        let found = queue.log(&self.topics).find(offset);
        let (segment, index) = found.expect("a message that is not settled is held");
        (segment.raw(index).expect("a found record is there"), segment.at)
    }

    /// Answers a receive with what is ready.
    pub(super) fn deliver_received(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queues: &[QueueId],
        Asked { messages_max, visibility, auto_ack }: Asked,
        out: &mut dyn Sink,
    ) {
        let mut leased = Vec::new();
        let messages_max = self.leases_allowed(conn).min(u64::from(messages_max));
        let mut room = self.config.limits.batch_bytes_max as usize;
        'queues: for id in queues.iter().copied() {
            while let Some(offset) = self.next_to_lease(id, out) {
                let queue = &self.queues[&id];
                let via = queue.ways.of(offset).map_or(0, Via::bytes);
                let bytes = self.lying(queue, offset).0.as_bytes().len() + via;
                let full = bytes > room && !leased.is_empty();
                if full || leased.len() as u64 == messages_max {
                    break 'queues;
                }
                room = room.saturating_sub(bytes);
                let holder = Holder { conn, consumer: None };
                leased.extend(self.lease_next(id, holder, visibility));
            }
        }
        self.trace_leases(&leased, conn, None);
        let settled = match auto_ack {
            true => self.settle_at_once(&leased, (conn, None), out),
            false => Vec::new(),
        };
        let left = queues.iter().map(|id| self.queues[id].work.ready()).sum();
        let deliveries = self.deliveries(&leased, Some(&settled));
        let event = Event::Received { tag, deliveries: Cow::Owned(deliveries), left };
        self.tell(conn, event, out);
        if !auto_ack {
            for leased in &leased {
                self.note_leased(leased, conn, None, out);
            }
        }
    }

    /// Notes leases of one queue for their journeys.
    fn trace_leases(&mut self, leased: &[Leased], conn: ConnId, consumer: Option<ConsumerId>) {
        for run in leased.chunk_by(|a, b| a.queue == b.queue) {
            let messages = run.iter().map(|leased| {
                let Leased { offset, attempt, until, .. } = *leased;
                (offset, Did::Leased { conn, consumer, attempt, until })
            });
            self.journeys.note_each(self.now, Place::Queue(run[0].queue), messages);
        }
    }

    fn note_leased(
        &self,
        leased: &Leased,
        conn: ConnId,
        consumer: Option<ConsumerId>,
        out: &mut dyn Sink,
    ) {
        self.note(out, || Activity::Leased {
            queue: self.queue_name(leased.queue).into(),
            offset: leased.offset,
            attempt: leased.attempt,
            conn,
            consumer,
            until: leased.until,
        });
    }
}
