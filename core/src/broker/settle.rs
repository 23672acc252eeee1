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
use crate::journey::Did;
use crate::limits::{LEASES_PER_REQUEST_MAX, VISIBILITY_MAX};
use crate::policy::Overflow;
use crate::sort::sort_by_key;
use crate::time::{Span, Time};
use crate::view::{AttemptEnd, DeathReason};
use crate::work::{Holder, State};

/// The leases of a request: those that the connection holds, once each and by queue, and those
/// that are stale.
struct Named {
    held: Vec<LeaseId>,
    stale: Vec<LeaseId>,
}

impl Named {
    /// Tells what became of them. What they make possible follows at the end of the input.
    fn settled(self, tag: Tag) -> Event<'static> {
        Event::Settled { tag, count: self.held.len() as u32, stale: Cow::Owned(self.stale) }
    }
}

impl Broker {
    pub(super) fn ack(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let named = self.named(conn, leases)?;
        for run in named.held.chunk_by(|a, b| a.queue == b.queue) {
            let id = run[0].queue;
            let attempts: Vec<_> = if self.watchers.is_empty() {
                Vec::new()
            } else {
                run.iter().map(|lease| self.attempt_of(id, lease.offset)).collect()
            };
            let offsets: Vec<_> = run.iter().map(|lease| lease.offset).collect();
            self.record(Fact::Settled { queue: id, offsets: Cow::Borrowed(&offsets) }, out);
            self.queue_mut(id).acked += run.len() as u64;
            for (offset, attempt) in offsets.into_iter().zip(attempts) {
                let queue = self.queue_name(id).into();
                self.note(out, || Activity::Acked { queue, offset, attempt, conn });
            }
        }
        self.tell(conn, named.settled(tag), out);
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
        let named = self.named(conn, leases)?;
        for lease in &named.held {
            self.end_attempt(lease.queue, lease.offset, AttemptEnd::Nacked, delay, out);
        }
        self.tell(conn, named.settled(tag), out);
        Ok(())
    }

    pub(super) fn reject(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let named = self.named(conn, leases)?;
        for LeaseId { queue, offset, .. } in &named.held {
            let (queue, offset) = (*queue, *offset);
            if self.queues[&queue].policy.has_dead_letter() {
                let end = Some(AttemptEnd::Rejected);
                self.die(queue, offset, DeathReason::Rejected, end, out);
            } else {
                self.drop_message(queue, offset, DeathReason::Rejected, out);
            }
        }
        self.tell(conn, named.settled(tag), out);
        Ok(())
    }

    /// A message is gone for good, without a copy elsewhere.
    pub(super) fn drop_message(
        &mut self,
        queue: QueueId,
        offset: Offset,
        reason: DeathReason,
        out: &mut dyn Sink,
    ) {
        let before = self.cause.dies_of.replace(reason);
        self.record(Fact::Settled { queue, offsets: Cow::Borrowed(&[offset]) }, out);
        self.cause.dies_of = before;
        self.queue_mut(queue).dropped += 1;
        let queue = self.queue_name(queue).into();
        self.note(out, || Activity::Dropped { queue, offset, reason });
    }

    pub(super) fn release(
        &mut self,
        conn: ConnId,
        tag: Tag,
        leases: &[LeaseId],
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let named = self.named(conn, leases)?;
        for LeaseId { queue: id, offset, .. } in &named.held {
            let (id, offset) = (*id, *offset);
            let (queue, mut clock) = self.queue_and_clock(id);
            let state = queue.work.state(offset);
            queue.work.give_back(offset, Time::ZERO, &mut clock);
            self.let_go(id, offset, state);
            self.step(id, offset, Did::Released { conn });
            let queue = self.queue_name(id).into();
            self.note(out, || Activity::Released { queue, offset, conn });
        }
        self.tell(conn, named.settled(tag), out);
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
        let named = self.named(conn, leases)?;
        let until = self.now + visibility;
        for LeaseId { queue: id, offset, .. } in &named.held {
            let (id, offset) = (*id, *offset);
            if visibility == Span::ZERO {
                self.end_attempt(id, offset, AttemptEnd::Expired, Span::ZERO, out);
                continue;
            }
            let (queue, mut clock) = self.queue_and_clock(id);
            queue.work.extend(offset, until, &mut clock);
            self.step(id, offset, Did::Extended { until });
            let queue = self.queue_name(id).into();
            self.note(out, || Activity::Extended { queue, offset, until });
        }
        self.tell(conn, named.settled(tag), out);
        Ok(())
    }

    fn named(&self, conn: ConnId, leases: &[LeaseId]) -> Result<Named, Refused> {
        within("the number of leases", leases.len() as u64, 1, LEASES_PER_REQUEST_MAX as u64)?;
        let (mut held, mut stale) = (Vec::with_capacity(leases.len()), Vec::new());
        let mut rest = leases;
        while let [first, others @ ..] = rest {
            let queue = self.queues.get(&first.queue).filter(|_| first.epoch == self.epoch);
            match queue.map_or(0, |queue| queue.work.leased_in_a_row(rest, conn)) {
                0 => {
                    stale.push(*first);
                    rest = others;
                }
                count => {
                    held.extend_from_slice(&rest[..count]);
                    rest = &rest[count..];
                }
            }
        }
        if !held.is_sorted_by(|a, b| a < b) {
            sort_by_key(&mut held, |lease| *lease);
            held.dedup();
        }
        Ok(Named { held, stale })
    }

    fn attempt_of(&self, queue: QueueId, offset: Offset) -> u32 {
        self.queues[&queue].work.slot(offset).map_or(1, |slot| slot.failed + 1)
    }

    /// In whose hands a message is; None if it is in nobody's.
    pub(super) fn holder(&self, queue: QueueId, offset: Offset) -> Option<Holder> {
        match self.queues.get(&queue)?.work.state(offset) {
            State::Leased(holder) => Some(holder),
            State::Ready | State::Delayed | State::Blocked | State::Held | State::Settled => None,
        }
    }

    /// Ends a lease as a failed attempt: the message is ready again, now or later, or dies if it
    /// was its last.
    pub(super) fn end_attempt(
        &mut self,
        id: QueueId,
        offset: Offset,
        end: AttemptEnd,
        delay: Span,
        out: &mut dyn Sink,
    ) {
        let holder = self.holder(id, offset).expect("an attempt ends that was begun");
        let attempt = self.attempt_of(id, offset);
        let queue = &self.queues[&id];
        let deliveries_max = queue.policy.deliveries_max;
        if deliveries_max.is_some_and(|max| attempt >= max) {
            return self.die(id, offset, DeathReason::DeliveriesExhausted, Some(end), out);
        }
        let retry = queue.policy.retry_after(attempt, &mut self.rng);
        let ready_at = self.now + delay.max(retry);
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

    /// A delay is over: the message is ready.
    pub(super) fn delay_ended(&mut self, id: QueueId, offset: Offset, out: &mut dyn Sink) {
        let (queue, mut clock) = self.queue_and_clock(id);
        queue.work.give_back(offset, Time::ZERO, &mut clock);
        self.wake(id);
        self.step(id, offset, Did::Due);
        let queue = self.queue_name(id).into();
        self.note(out, || Activity::Due { queue, offset });
    }

    /// A message was not delivered in time.
    pub(super) fn expired(&mut self, id: QueueId, offset: Offset, out: &mut dyn Sink) {
        self.lose(id, offset, DeathReason::Expired, out);
    }

    /// A message that is not leased dies, or is gone where nobody keeps the dead.
    pub(super) fn lose(
        &mut self,
        id: QueueId,
        offset: Offset,
        reason: DeathReason,
        out: &mut dyn Sink,
    ) {
        let policy = &self.queues[&id].policy;
        let drops = reason == DeathReason::MaxLength && policy.overflow == Overflow::DropOldest;
        if policy.has_dead_letter() && !drops {
            self.die(id, offset, reason, None, out);
        } else {
            self.drop_message(id, offset, reason, out);
        }
    }

    /// What a connection is called, also while it leaves.
    pub(super) fn client(&self, conn: ConnId) -> String {
        let open = self.conns.get(&conn).map(|conn| &conn.client);
        let client = open.or_else(|| self.leaving.get(&conn).map(|left| &left.client));
        client.cloned().unwrap_or_default()
    }
}
