//! From ready to leased: messages go to whoever wants them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::leased::{Leased, Piece};
use super::{Asked, Awaits, Broker, Consumer};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::{Delivery, Event};
use crate::fact::{Fact, Via};
use crate::id::{ConnId, ConsumerId, LeaseId, Offset, Place, QueueId, Tag};
use crate::journey::Did;
use crate::limits::{AUTO_ACK_PER_APPLY_MAX, DELIVERIES_PER_EVENT_MAX};
use crate::sort::sort_by_key;
use crate::time::Span;
use crate::view::DeadlineReason;
use crate::work::{Clock, Holder, LeasedRun};

/// How much more fits in the answer to a receive.
struct Room {
    messages: u64,
    bytes: usize,
}

impl Broker {
    /// From now on no message of a queue is handed out to those who wait: its driver is about to
    /// stop, and lets what is in hand be settled. For whoever drives the broker, which refuses
    /// requests for more by itself.
    pub fn hand_out_nothing(&mut self) {
        self.is_ending = true;
    }

    /// How many messages are in hand; for whoever drives the broker.
    pub fn leased(&self) -> u64 {
        self.queues.values().map(|queue| queue.work.leased()).sum()
    }

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
        if self.is_ending {
            return self.look_after(id, out);
        }
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
            self.lease_in_turn(id, &mut leased);
        }
        leased
    }

    /// Leases to the consumers of a queue as long as they have credit and something is ready; where
    /// messages may be too old, only the next, which is not.
    fn lease_in_turn(&mut self, id: QueueId, leased: &mut Vec<Leased>) {
        let Broker { queues, consumers, conns, timers, now, .. } = self;
        let queue = queues.get_mut(&id).expect("the queue exists");
        let mut clock = Clock { now: *now, timers, queue: id };
        while let Some(to) = queue.consumers.front().copied()
            && queue.work.next_ready().is_some()
        {
            let consumer = consumers.get_mut(&to).expect("a queue's consumer is known");
            let conn = conns.get_mut(&consumer.conn).expect("a consumer has its connection");
            let bounded = !consumer.auto_ack && conn.prefetch > 0;
            let allowed = match bounded {
                true => conn.prefetch.saturating_sub(conn.outstanding),
                false => u32::MAX,
            };
            let credit = allowed.min(consumer.prefetch - consumer.outstanding);
            if credit == 0 {
                // Its connection's credit, or another part of its work group, used its own up.
                if allowed == 0 {
                    conn.blocked.insert(to);
                }
                consumer.unlisted.insert(id);
                queue.consumers.pop_front();
                continue;
            }
            let alone = queue.consumers.len() == 1 && !queue.may_expire;
            let holder = Holder { conn: consumer.conn, consumer: Some(to) };
            let until = clock.now + consumer.visibility.unwrap_or(queue.policy.visibility);
            let max = if alone { u64::from(credit) } else { 1 };
            let run = queue.work.lease_run(max, holder, until, &mut clock);
            let run = run.expect("a message is ready");
            conn.takes(id, (run.start, run.count), true);
            conn.outstanding += if consumer.auto_ack { 0 } else { run.count as u32 };
            consumer.outstanding += run.count as u32;
            if consumer.outstanding == consumer.prefetch {
                consumer.unlisted.insert(id);
                queue.consumers.pop_front();
            } else if queue.consumers.len() > 1 {
                queue.consumers.rotate_left(1);
            }
            Leased::join(leased, Leased { to, queue: id, run, until });
            if queue.may_expire {
                return;
            }
        }
    }

    fn tell_consumers(&mut self, mut leased: Vec<Leased>, out: &mut dyn Sink) {
        sort_by_key(&mut leased, |leased| leased.to);
        let noted = if self.watchers.is_empty() { Vec::new() } else { leased.clone() };
        for run in leased.chunk_by_mut(|a, b| a.to == b.to) {
            let to = run[0].to;
            let Consumer { conn, auto_ack, .. } = self.consumers[&to];
            self.trace_leases(run, conn, Some(to));
            let settled = match auto_ack {
                true => self.settle_at_once(run, (conn, Some(to)), out),
                false => Vec::new(),
            };
            let mut rest = run;
            while !rest.is_empty() {
                let deliveries = self.deliveries(rest, &settled);
                rest = Leased::skip(rest, deliveries.len() as u64);
                let event = Event::Delivered { consumer: to, deliveries: deliveries.into() };
                self.tell(conn, event, out);
            }
        }
        self.note_leases(&noted, out);
    }

    /// Tells those who watch of leases that are not settled yet, by offset.
    fn note_leases(&self, leased: &[Leased], out: &mut dyn Sink) {
        let each = leased.iter().flat_map(|leased| leased.offsets().map(move |at| (at, leased)));
        let mut each: Vec<_> = each.collect();
        sort_by_key(&mut each, |(offset, _)| *offset);
        for (offset, leased) in each {
            let Consumer { conn, auto_ack, .. } = self.consumers[&leased.to];
            if !auto_ack {
                self.note_leased(leased, offset, (conn, Some(leased.to)), out);
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
    ) -> Vec<Piece<'static>> {
        let mut held = Vec::new();
        for Leased { queue, run, .. } in leased {
            let mut taken = 0;
            while taken < run.count {
                let piece = self.piece(*queue, run.start.plus(taken), run.count - taken);
                taken += piece.count;
                held.push(piece.into_owned());
            }
        }
        self.note_taken(leased, (conn, consumer), out);
        let cause = self.acked_by(conn);
        for run in leased.chunk_by(|a, b| a.queue == b.queue) {
            let id = run[0].queue;
            let offsets: Vec<_> = run.iter().flat_map(Leased::offsets).collect();
            let count = offsets.len();
            self.record(Fact::Settled { queue: id, offsets: offsets.into() }, out);
            self.queue_mut(id).acked += count as u64;
            self.automatic += count;
            if self.watchers.is_empty() {
                continue;
            }
            for leased in run {
                let attempt = leased.run.attempt;
                for offset in leased.offsets() {
                    let queue = self.queue_name(id).into();
                    self.note(out, || Activity::Acked { queue, offset, attempt, conn });
                }
            }
        }
        self.cause = cause;
        held
    }

    /// As many of the deliveries as one event takes: at least one. Those that are settled have
    /// their records with them.
    fn deliveries<'b>(
        &'b self,
        leased: &[Leased],
        settled: &'b [Piece<'static>],
    ) -> Vec<Delivery<'b>> {
        let mut room = self.config.limits.batch_bytes_max as usize;
        let count: u64 = leased.iter().map(|leased| leased.run.count).sum();
        let count = count.min(DELIVERIES_PER_EVENT_MAX as u64) as usize;
        let mut deliveries = Vec::with_capacity(count);
        let mut settled = settled.iter().peekable();
        for leased in leased {
            let queue = &self.queues[&leased.queue];
            let mut run = leased.run;
            while run.count > 0 {
                while settled.next_if(|piece| !piece.has(leased.queue, run.start)).is_some() {}
                let piece = match settled.peek() {
                    Some(piece) => piece.from(run.start),
                    None => self.piece(leased.queue, run.start, run.count),
                };
                let appended_at = piece.at;
                let (via, until) = queue.ways.in_a_row(run.start);
                let via_bytes = via.map_or(0, Via::bytes);
                let count = run.count.min(until.0 - run.start.0);
                let told = piece.each(count, |record| {
                    let bytes = record.as_bytes().len() + via_bytes;
                    if deliveries.len() == DELIVERIES_PER_EVENT_MAX
                        || bytes > room && !deliveries.is_empty()
                    {
                        return ControlFlow::Break(());
                    }
                    room = room.saturating_sub(bytes);
                    let lease = LeaseId {
                        queue: leased.queue,
                        offset: run.start,
                        delivery: run.delivery,
                        epoch: self.epoch,
                    };
                    deliveries.push(Delivery {
                        lease,
                        attempt: run.attempt,
                        deadline: leased.until,
                        appended_at,
                        via: via.map(Via::borrowed),
                        record,
                    });
                    (run.start, run.count) = (run.start.plus(1), run.count - 1);
                    ControlFlow::Continue(())
                });
                if told.is_break() {
                    return deliveries;
                }
            }
        }
        deliveries
    }

    /// Messages from `first` on, at most so many, that lie in one batch.
    fn piece(&self, id: QueueId, first: Offset, max: u64) -> Piece<'_> {
        let found = self.queues[&id].log(&self.topics).in_a_row(first);
        let (segment, index, count) = found.expect("a message that is not settled is held");
        let records = segment.records().expect("a found batch is held");
        Piece { queue: id, first, count: count.min(max), records, index, at: segment.at }
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
        let mut left =
            Room { messages: messages_max, bytes: self.config.limits.batch_bytes_max as usize };
        'queues: for id in queues.iter().copied() {
            while self.next_to_lease(id, out).is_some() {
                let count = self.fitting(id, &mut left, leased.is_empty());
                if count == 0 {
                    break 'queues;
                }
                self.lease_received(id, count, (conn, visibility), &mut leased);
            }
        }
        self.trace_leases(&leased, conn, None);
        let settled = match auto_ack {
            true => self.settle_at_once(&leased, (conn, None), out),
            false => Vec::new(),
        };
        let left = queues.iter().map(|id| self.queues[id].work.ready()).sum();
        let deliveries = self.deliveries(&leased, &settled);
        let event = Event::Received { tag, deliveries: Cow::Owned(deliveries), left };
        self.tell(conn, event, out);
        if !auto_ack {
            self.note_taken(&leased, (conn, None), out);
        }
    }

    /// How many of the messages that are next in a queue fit in what is left of an answer.
    fn fitting(&self, id: QueueId, left: &mut Room, is_first: bool) -> u64 {
        let queue = &self.queues[&id];
        let (start, end) = queue.work.next_run().expect("a message is ready");
        let most = if queue.may_expire { 1 } else { end.0 - start.0 };
        let mut count = 0;
        while count < most.min(left.messages) {
            let next = start.plus(count);
            let piece = self.piece(id, next, most.min(left.messages) - count);
            let (via, until) = queue.ways.in_a_row(next);
            let via_bytes = via.map_or(0, Via::bytes);
            let fits = piece.each(until.0 - next.0, |record| {
                let bytes = record.as_bytes().len() + via_bytes;
                if bytes > left.bytes && !(is_first && count == 0) {
                    return ControlFlow::Break(());
                }
                left.bytes = left.bytes.saturating_sub(bytes);
                count += 1;
                ControlFlow::Continue(())
            });
            if fits.is_break() {
                break;
            }
        }
        left.messages -= count;
        count
    }

    /// Leases so many messages, which are next in a queue, to a connection that asked for them.
    fn lease_received(
        &mut self,
        id: QueueId,
        mut count: u64,
        (conn, visibility): (ConnId, Option<Span>),
        leased: &mut Vec<Leased>,
    ) {
        let Broker { queues, conns, timers, now, .. } = self;
        let queue = queues.get_mut(&id).expect("the queue exists");
        let taker = conns.get_mut(&conn).expect("a request comes from an open connection");
        let mut clock = Clock { now: *now, timers, queue: id };
        let until = clock.now + visibility.unwrap_or(queue.policy.visibility);
        let holder = Holder { conn, consumer: None };
        while count > 0 {
            let run = queue.work.lease_run(count, holder, until, &mut clock);
            let run = run.expect("so many messages are ready");
            taker.takes(id, (run.start, run.count), false);
            count -= run.count;
            Leased::join(leased, Leased { to: ConsumerId::default(), queue: id, run, until });
        }
    }

    /// Notes leases of one queue for their journeys.
    fn trace_leases(&mut self, leased: &[Leased], conn: ConnId, consumer: Option<ConsumerId>) {
        for run in leased.chunk_by(|a, b| a.queue == b.queue) {
            let runs = run.iter().map(|leased| {
                let Leased { run: LeasedRun { start, count, attempt, .. }, until, .. } = *leased;
                (start, count as u32, Did::Leased { conn, consumer, attempt, until })
            });
            self.journeys.note_each(self.now, Place::Queue(run[0].queue), runs);
        }
    }

    /// Tells those who watch of leases, in their order.
    fn note_taken(&self, leased: &[Leased], to: (ConnId, Option<ConsumerId>), out: &mut dyn Sink) {
        if self.watchers.is_empty() {
            return;
        }
        for leased in leased {
            leased.offsets().for_each(|offset| self.note_leased(leased, offset, to, out));
        }
    }

    fn note_leased(
        &self,
        leased: &Leased,
        offset: Offset,
        (conn, consumer): (ConnId, Option<ConsumerId>),
        out: &mut dyn Sink,
    ) {
        self.note(out, || Activity::Leased {
            queue: self.queue_name(leased.queue).into(),
            offset,
            attempt: leased.run.attempt,
            conn,
            consumer,
            until: leased.until,
        });
    }
}
