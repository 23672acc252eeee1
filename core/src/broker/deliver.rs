//! From ready to leased: messages go to whoever wants them.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Awaits, Broker};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Delivery, Event};
use crate::id::{ConnId, ConsumerId, LeaseId, Offset, QueueId, Tag};
use crate::limits::DELIVERIES_PER_EVENT_MAX;
use crate::record::RawRecord;
use crate::time::{Span, Time};
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

    /// Hands out what is ready: to receives that wait, then to consumers in turn.
    fn deliver(&mut self, id: QueueId, out: &mut dyn Sink) {
        while let Some(wait) = self.queues[&id].waiting.front().copied() {
            if self.queues[&id].work.next_ready().is_none() {
                return;
            }
            let wait = self.stop_waiting(wait);
            let Awaits::Message { queues, messages_max, visibility } = wait.what else {
                unreachable!("a queue is waited on for messages");
            };
            let asked = (messages_max, visibility);
            self.deliver_received(wait.conn, wait.tag, &queues, asked, out);
        }
        let leased = self.lease_to_consumers(id);
        self.tell_consumers(leased, out);
    }

    /// Leases what is ready to the consumers that have credit, one message to each in turn.
    fn lease_to_consumers(&mut self, id: QueueId) -> Vec<Leased> {
        let mut leased = Vec::new();
        loop {
            let queue = self.queues.get_mut(&id).expect("the queue exists");
            let Some(&to) = queue.consumers.front() else { break };
            if queue.work.next_ready().is_none() {
                break;
            }
            let consumer = self.consumers.get_mut(&to).expect("a queue's consumer is known");
            if consumer.outstanding >= consumer.prefetch {
                // Another part of its work group used its credit up.
                consumer.unlisted.insert(id);
                queue.consumers.pop_front();
                continue;
            }
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
        let conn = self.conns.get_mut(&holder.conn).expect("a holder's connection is open");
        conn.queues.insert(id);
        let (queue, mut clock) = self.queue_and_clock(id);
        let until = clock.now + visibility.unwrap_or(queue.policy.visibility);
        let (offset, slot) = queue.work.lease_next(holder, until, &mut clock)?;
        let (delivery, attempt) = (slot.delivery, slot.failed + 1);
        let to = holder.consumer.unwrap_or_default();
        Some(Leased { to, queue: id, offset, delivery, attempt, until })
    }

    fn tell_consumers(&mut self, mut leased: Vec<Leased>, out: &mut dyn Sink) {
        leased.sort_by_key(|leased| leased.to);
        for run in leased.chunk_by(|a, b| a.to == b.to) {
            let conn = self.consumers[&run[0].to].conn;
            let mut rest = run;
            while !rest.is_empty() {
                let deliveries = self.deliveries(rest);
                rest = &rest[deliveries.len()..];
                let event = Event::Delivered { consumer: run[0].to, deliveries: deliveries.into() };
                self.tell(conn, event, out);
            }
        }
        if self.watchers.is_empty() {
            return;
        }
        leased.sort_unstable_by_key(|leased| leased.offset);
        for leased in &leased {
            let conn = self.consumers[&leased.to].conn;
            self.note_leased(leased, conn, Some(leased.to), out);
        }
    }

    /// As many of the deliveries as one event takes: at least one.
    fn deliveries(&self, leased: &[Leased]) -> Vec<Delivery<'_>> {
        let mut room = self.config.limits.batch_bytes_max as usize;
        let mut deliveries = Vec::with_capacity(leased.len().min(DELIVERIES_PER_EVENT_MAX));
        for leased in leased.iter().take(DELIVERIES_PER_EVENT_MAX) {
            let record = self.record_at(leased.queue, leased.offset);
            let bytes = record.as_bytes().len();
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
                record,
            });
        }
        deliveries
    }

    fn record_at(&self, id: QueueId, offset: Offset) -> RawRecord<'_> {
        let found = self.queues[&id].log(&self.topics).find(offset);
        let (segment, index) = found.expect("a message that is not settled is held");
        let records = segment.records().expect("a found batch is held");
        records.raw(index).expect("a found record is there")
    }

    /// Answers a receive with what is ready.
    pub(super) fn deliver_received(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queues: &[QueueId],
        (messages_max, visibility): (u32, Option<Span>),
        out: &mut dyn Sink,
    ) {
        let mut leased = Vec::new();
        let mut room = self.config.limits.batch_bytes_max as usize;
        'queues: for id in queues.iter().copied() {
            while let Some(offset) = self.queues[&id].work.next_ready() {
                let bytes = self.record_at(id, offset).as_bytes().len();
                let full = bytes > room && !leased.is_empty();
                if full || leased.len() as u32 == messages_max {
                    break 'queues;
                }
                room = room.saturating_sub(bytes);
                let holder = Holder { conn, consumer: None };
                leased.extend(self.lease_next(id, holder, visibility));
            }
        }
        let deliveries = self.deliveries(&leased);
        let event = Event::Received { tag, deliveries: Cow::Owned(deliveries) };
        self.tell(conn, event, out);
        for leased in &leased {
            self.note_leased(leased, conn, None, out);
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
