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
use crate::set::Set;
use crate::time::{Span, Time};
use crate::timer::Due;
use crate::work::{Holder, Slot, State};

/// A message that was leased just now, and is still to be told.
struct Leased {
    to: ConsumerId,
    offset: Offset,
    delivery: u32,
    attempt: u32,
    until: Time,
}

impl Broker {
    pub(super) fn deliver_all(&mut self, queues: Set<QueueId>, out: &mut dyn Sink) {
        for queue in queues {
            if self.queues.contains_key(&queue) {
                self.deliver(queue, out);
            }
        }
    }

    /// Hands out what is ready: to receives that wait, then to consumers in turn.
    pub(super) fn deliver(&mut self, id: QueueId, out: &mut dyn Sink) {
        while let Some(wait) = self.queues[&id].waiting.front().copied() {
            if self.queues[&id].next_ready().is_none() {
                return;
            }
            let wait = self.stop_waiting(wait);
            let Awaits::Message { messages_max, visibility, .. } = wait.what else {
                unreachable!("a queue is waited on for messages");
            };
            self.deliver_received(wait.conn, wait.tag, id, messages_max, visibility, out);
        }
        let leased = self.lease_to_consumers(id);
        self.tell_consumers(id, leased, out);
    }

    /// Leases what is ready to the consumers that have credit, one message to each in turn.
    fn lease_to_consumers(&mut self, id: QueueId) -> Vec<Leased> {
        let mut leased = Vec::new();
        loop {
            let queue = self.queues.get_mut(&id).expect("the queue exists");
            let Some(&to) = queue.consumers.front() else { break };
            let Some(offset) = queue.next_ready() else { break };
            let consumer = self.consumers.get_mut(&to).expect("a queue's consumer is known");
            consumer.outstanding += 1;
            if consumer.outstanding >= consumer.prefetch {
                queue.consumers.pop_front();
            } else if queue.consumers.len() > 1 {
                queue.consumers.rotate_left(1);
            }
            let holder = Holder { conn: consumer.conn, consumer: Some(to) };
            let visibility = consumer.visibility;
            let (slot, until) = self.lease(id, offset, holder, visibility);
            let (delivery, attempt) = (slot.delivery, slot.failed + 1);
            leased.push(Leased { to, offset, delivery, attempt, until });
        }
        leased
    }

    fn lease(
        &mut self,
        id: QueueId,
        offset: Offset,
        holder: Holder,
        visibility: Option<Span>,
    ) -> (&Slot, Time) {
        let queue = self.queues.get_mut(&id).expect("the queue exists");
        let until = self.now + visibility.unwrap_or(queue.policy.visibility);
        let timer = self.timers.start(until, Due::Lease(id, offset));
        let conn = self.conns.get_mut(&holder.conn).expect("a holder's connection is open");
        conn.queues.insert(id);
        (queue.work.lease(offset, holder, until, timer), until)
    }

    fn tell_consumers(&mut self, id: QueueId, mut leased: Vec<Leased>, out: &mut dyn Sink) {
        leased.sort_unstable_by_key(|leased| (leased.to, leased.offset));
        for run in leased.chunk_by(|a, b| a.to == b.to) {
            let conn = self.consumers[&run[0].to].conn;
            let mut rest = run;
            while !rest.is_empty() {
                let deliveries = self.deliveries(id, rest);
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
            self.note_leased(id, leased, conn, Some(leased.to), out);
        }
    }

    /// As many of the deliveries as one event takes: at least one.
    fn deliveries(&self, id: QueueId, leased: &[Leased]) -> Vec<Delivery<'_>> {
        let mut room = self.config.limits.batch_bytes_max as usize;
        let mut deliveries = Vec::with_capacity(leased.len().min(DELIVERIES_PER_EVENT_MAX));
        for leased in leased.iter().take(DELIVERIES_PER_EVENT_MAX) {
            let record = self.record_at(id, leased.offset);
            let bytes = record.as_bytes().len();
            if bytes > room && !deliveries.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            deliveries.push(Delivery {
                lease: LeaseId {
                    queue: id,
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
        let (segment, index) = self.queues[&id].log.find(offset).expect("a leased message is held");
        let records = segment.records().expect("a found batch is held");
        records.raw(index).expect("a found record is there")
    }

    /// Answers a receive with what is ready.
    pub(super) fn deliver_received(
        &mut self,
        conn: ConnId,
        tag: Tag,
        id: QueueId,
        messages_max: u32,
        visibility: Option<Span>,
        out: &mut dyn Sink,
    ) {
        let mut leased = Vec::new();
        let mut room = self.config.limits.batch_bytes_max as usize;
        while (leased.len() as u32) < messages_max {
            let Some(offset) = self.queues[&id].next_ready() else { break };
            let bytes = self.record_at(id, offset).as_bytes().len();
            if bytes > room && !leased.is_empty() {
                break;
            }
            room = room.saturating_sub(bytes);
            let holder = Holder { conn, consumer: None };
            let (slot, until) = self.lease(id, offset, holder, visibility);
            let (delivery, attempt) = (slot.delivery, slot.failed + 1);
            leased.push(Leased { to: ConsumerId(0), offset, delivery, attempt, until });
        }
        let deliveries = self.deliveries(id, &leased);
        let event = Event::Received { tag, deliveries: Cow::Owned(deliveries) };
        self.tell(conn, event, out);
        for leased in &leased {
            self.note_leased(id, leased, conn, None, out);
        }
    }

    fn note_leased(
        &self,
        id: QueueId,
        leased: &Leased,
        conn: ConnId,
        consumer: Option<ConsumerId>,
        out: &mut dyn Sink,
    ) {
        self.note(out, || Activity::Leased {
            queue: self.queue_name(id).into(),
            offset: leased.offset,
            attempt: leased.attempt,
            conn,
            consumer,
            until: leased.until,
        });
    }

    /// Gives back the credit that a lease took; the lease itself is ended by its caller.
    pub(super) fn give_credit_back(&mut self, id: QueueId, offset: Offset) -> Option<Holder> {
        let slot = self.queues.get(&id)?.work.slot(offset)?;
        let State::Leased(holder) = slot.state else { return None };
        if let Some((to, consumer)) =
            holder.consumer.and_then(|to| Some((to, self.consumers.get_mut(&to)?)))
        {
            if consumer.outstanding == consumer.prefetch {
                let queue = self.queues.get_mut(&id).expect("the queue was found");
                queue.consumers.push_back(to);
            }
            consumer.outstanding -= 1;
        }
        Some(holder)
    }
}
