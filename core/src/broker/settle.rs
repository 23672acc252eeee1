//! How a lease ends: acknowledged, given back, refused, extended, or run out.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Broker, Refused, span_within, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{ConnId, LeaseId, Offset, QueueId, Tag};
use crate::limits::{LEASES_PER_REQUEST_MAX, VISIBILITY_MAX};
use crate::set::Set;
use crate::time::Span;
use crate::timer::Due;
use crate::view::{AttemptEnd, DeathReason};
use crate::work::{Holder, State};

impl Broker {
    pub(super) fn ack(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (held, stale) = self.held(conn, leases)?;
        for run in held.chunk_by(|a, b| a.queue == b.queue) {
            let id = run[0].queue;
            let attempts: Vec<_> = if self.watchers.is_empty() {
                Vec::new()
            } else {
                run.iter().map(|lease| self.attempt_of(id, lease.offset)).collect()
            };
            let mut offsets = Vec::with_capacity(run.len());
            for lease in run {
                self.give_credit_back(id, lease.offset);
                offsets.push(lease.offset);
            }
            self.record(Fact::Settled { queue: id, offsets: Cow::Borrowed(&offsets) }, out);
            self.queue_mut(id).acked += run.len() as u64;
            for (offset, attempt) in offsets.into_iter().zip(attempts) {
                let queue = self.queue_name(id).into();
                self.note(out, || Activity::Acked { queue, offset, attempt, conn });
            }
        }
        self.settled(conn, tag, &held, &stale, out);
        Ok(())
    }

    pub(super) fn nack(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        delay: Span,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        span_within("delay", delay, Span::ZERO, VISIBILITY_MAX)?;
        let (held, stale) = self.held(conn, leases)?;
        let mut queues = Set::default();
        for lease in &held {
            let end = AttemptEnd::Nacked;
            self.end_attempt(lease.queue, lease.offset, end, delay, &mut queues, out);
        }
        self.settled(conn, tag, &held, &stale, out);
        self.deliver_all(queues, out);
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (held, stale) = self.held(conn, leases)?;
        let mut queues = Set::default();
        for LeaseId { queue, offset, .. } in &held {
            let (queue, offset) = (*queue, *offset);
            if self.queues[&queue].policy.dead_letter.is_some() {
                let holder = self.give_credit_back(queue, offset);
                let end = (AttemptEnd::Rejected, holder);
                self.die(queue, offset, DeathReason::Rejected, end, &mut queues, out);
                continue;
            }
            self.give_credit_back(queue, offset);
            self.record(Fact::Settled { queue, offsets: Cow::Borrowed(&[offset]) }, out);
            let name = self.queue_name(queue).into();
            self.note(out, || Activity::Dropped { queue: name, offset, purged: false });
        }
        self.settled(conn, tag, &held, &stale, out);
        self.deliver_all(queues, out);
        Ok(())
    }

    pub(super) fn release(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let (held, stale) = self.held(conn, leases)?;
        for LeaseId { queue, offset, .. } in &held {
            self.give_credit_back(*queue, *offset);
            let work = &mut self.queues.get_mut(queue).expect("a lease's queue").work;
            let slot = work.slot(*offset).expect("a leased message has a slot");
            self.timers.stop(slot.timer);
            work.make_ready(*offset);
            let (name, offset) = (self.queue_name(*queue).into(), *offset);
            self.note(out, || Activity::Released { queue: name, offset, conn });
        }
        self.settled(conn, tag, &held, &stale, out);
        Ok(())
    }

    pub(super) fn extend(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        visibility: Span,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        span_within("visibility", visibility, Span::ZERO, VISIBILITY_MAX)?;
        let (held, stale) = self.held(conn, leases)?;
        let until = self.now + visibility;
        let mut queues = Set::default();
        for LeaseId { queue: id, offset, .. } in &held {
            let (id, offset) = (*id, *offset);
            if visibility == Span::ZERO {
                let end = AttemptEnd::Expired;
                self.end_attempt(id, offset, end, Span::ZERO, &mut queues, out);
                continue;
            }
            let work = &mut self.queues.get_mut(&id).expect("a lease's queue").work;
            self.timers.stop(work.slot(offset).expect("a leased message has a slot").timer);
            let timer = self.timers.start(until, Due::Lease(id, offset));
            work.extend(offset, until, timer);
            let queue = self.queue_name(id).into();
            self.note(out, || Activity::Extended { queue, offset, until });
        }
        self.settled(conn, tag, &held, &stale, out);
        self.deliver_all(queues, out);
        Ok(())
    }

    /// Tells what became of the leases, and hands out what their credit allows.
    fn settled(
        &mut self,
        conn: ConnId,
        tag: Tag,
        held: &[LeaseId],
        stale: &[LeaseId],
        out: &mut dyn Sink,
    ) {
        let count = held.len() as u32;
        self.tell(conn, Event::Settled { tag, count, stale: Cow::Borrowed(stale) }, out);
        for run in held.chunk_by(|a, b| a.queue == b.queue) {
            self.deliver(run[0].queue, out);
        }
    }

    /// Which of the leases this connection holds, once each and by queue, and which are stale.
    fn held(
        &self,
        conn: ConnId,
        leases: &[LeaseId],
    ) -> Result<(Vec<LeaseId>, Vec<LeaseId>), Refused> {
        within("the number of leases", leases.len() as u64, 1, LEASES_PER_REQUEST_MAX as u64)?;
        let holds = |lease: &LeaseId| {
            let slot = self.queues.get(&lease.queue).and_then(|q| q.work.slot(lease.offset));
            slot.is_some_and(|slot| {
                lease.epoch == self.epoch
                    && lease.delivery == slot.delivery
                    && matches!(slot.state, State::Leased(Holder { conn: by, .. }) if by == conn)
            })
        };
        let (mut held, mut stale) = (Vec::with_capacity(leases.len()), Vec::new());
        for lease in leases {
            if holds(lease) { held.push(*lease) } else { stale.push(*lease) }
        }
        if !held.is_sorted_by(|a, b| a < b) {
            held.sort_unstable();
            held.dedup();
        }
        Ok((held, stale))
    }

    fn attempt_of(&self, queue: QueueId, offset: Offset) -> u32 {
        self.queues[&queue].work.slot(offset).map_or(1, |slot| slot.failed + 1)
    }

    pub(super) fn lease_expired(
        &mut self,
        queue: QueueId,
        offset: Offset,
        queues: &mut Set<QueueId>,
        out: &mut dyn Sink,
    ) {
        self.end_attempt(queue, offset, AttemptEnd::Expired, Span::ZERO, queues, out);
    }

    /// Ends a lease as a failed attempt: the message is ready again, now or later, or dies if it
    /// was its last. `queues` gathers those that have something to hand out.
    pub(super) fn end_attempt(
        &mut self,
        id: QueueId,
        offset: Offset,
        end: AttemptEnd,
        delay: Span,
        queues: &mut Set<QueueId>,
        out: &mut dyn Sink,
    ) {
        let holder = self.give_credit_back(id, offset).expect("an attempt ends that was begun");
        let attempt = self.attempt_of(id, offset);
        let queue = &self.queues[&id];
        let deliveries_max = queue.policy.deliveries_max;
        queues.insert(id);
        if deliveries_max.is_some_and(|max| attempt >= max) {
            let end = (end, Some(holder));
            return self.die(id, offset, DeathReason::DeliveriesExhausted, end, queues, out);
        }
        let ready_at = self.now + delay.max(queue.policy.retry_delay);
        let client = self.client(holder.conn);
        let at = self.now;
        let client = Cow::Borrowed(client.as_str());
        self.record(Fact::AttemptEnded { queue: id, offset, at, end, client, ready_at }, out);
        self.note(out, || Activity::Returned {
            queue: self.queue_name(id).into(),
            offset,
            attempt,
            deliveries_max,
            conn: holder.conn,
            end,
            ready_at: (ready_at > at).then_some(ready_at),
        });
    }

    pub(super) fn client(&self, conn: ConnId) -> String {
        self.conns.get(&conn).map(|conn| conn.client.clone()).unwrap_or_default()
    }

    /// The messages of a queue that a connection holds.
    pub(super) fn held_by(&self, conn: ConnId, queue: QueueId) -> Vec<Offset> {
        let Some(queue) = self.queues.get(&queue) else { return Vec::new() };
        let held = queue.work.window().filter(
            |(_, slot)| matches!(slot.state, State::Leased(Holder { conn: by, .. }) if by == conn),
        );
        held.map(|(offset, _)| offset).collect()
    }
}
