//! Consumers and waiting receives: who wants messages of a queue.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Asked, Awaits, Broker, Consumer, Refused, Wait, span_within, within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::Event;
use crate::id::{ConnId, ConsumerId, QueueId, Tag};
use crate::limits::{DELIVERIES_PER_EVENT_MAX, VISIBILITY_MAX, WAIT_MAX};
use crate::planted::{Planted, planted};
use crate::refusal::Code;
use crate::set::Set;
use crate::time::Span;
use crate::timer::Due;
use crate::work::{Holder, State};

/// How a consumer consumes.
pub(super) struct Consumption {
    pub(super) prefetch: u32,
    pub(super) visibility: Option<Span>,
    pub(super) auto_ack: bool,
    pub(super) exclusive: bool,
}

/// Who wanted messages of queues that are gone.
pub(super) struct Dismissed {
    waits: Vec<Wait>,
    consumers: Vec<(ConsumerId, ConnId)>,
}

impl Broker {
    pub(super) fn consume(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        Consumption { prefetch, visibility, auto_ack, exclusive }: Consumption,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let queues = self.worked_by(conn, queue)?;
        within("prefetch", u64::from(prefetch), 1, u64::from(self.config.limits.prefetch_max))?;
        valid_visibility(visibility)?;
        self.room_on(conn)?;
        self.may_be_handed(conn, u64::from(prefetch))?;
        let max = self.config.limits.consumers_per_queue_max;
        let most = queues.iter().map(|id| self.queues[id].all.len()).max();
        self.room_for("consumers of this queue", most.unwrap_or(0), max)?;
        queues.iter().try_for_each(|id| self.shares_with(*id, exclusive))?;
        let consumer = ConsumerId(self.number());
        let made = Consumer {
            conn,
            queues: queues.iter().copied().collect(),
            unlisted: Set::default(),
            prefetch,
            outstanding: 0,
            visibility,
            auto_ack,
            exclusive,
        };
        self.consumers.insert(consumer, made);
        let claimant = self.conn_mut(conn);
        claimant.consumers.insert(consumer);
        claimant.claims += u64::from(prefetch);
        for queue in queues {
            self.attach(queue, consumer);
            self.wake(queue);
        }
        self.tell(conn, Event::Consuming { tag, consumer }, out);
        Ok(())
    }

    /// Whether a queue may have one consumer more: exclusive ones are alone.
    fn shares_with(&self, id: QueueId, exclusive: bool) -> Result<(), Refused> {
        let queue = &self.queues[&id];
        let Some(other) = queue.all.iter().next() else { return Ok(()) };
        let why = match (self.consumers[&other].exclusive, exclusive) {
            (true, _) => "is exclusive",
            (false, true) => "consumes it, and an exclusive one is alone",
            (false, false) => return Ok(()),
        };
        Err(Code::InUse
            .because(format!("{other} of queue {:?} {why}; cancel it first", queue.name)))
    }

    /// A queue has one consumer more. Where only one is active, others wait for it to go.
    fn attach(&mut self, queue: QueueId, consumer: ConsumerId) {
        let queue = self.queue_mut(queue);
        let is_single = queue.policy.single_active && !planted(Planted::ActiveIsNotSingle);
        if is_single && queue.attached > 0 {
            queue.standby.push_back(consumer);
        } else {
            queue.consumers.push_back(consumer);
        }
        queue.attached += 1;
        queue.all.insert(consumer);
    }

    pub(super) fn cancel(
        &mut self,
        conn: ConnId,
        consumer: ConsumerId,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if !self.conn_mut(conn).consumers.remove(consumer) {
            return Err(Code::UnknownConsumer.because(format!(
                "this connection has no {consumer}; it may be cancelled already"
            )));
        }
        for queue in self.forget_consumer(consumer, out) {
            self.remove_queue(queue, "its last consumer is gone", out);
        }
        Ok(())
    }

    /// Takes a consumer out of its queue. What it holds stays leased to its connection. Returns the
    /// queues that go with it.
    pub(super) fn forget_consumer(
        &mut self,
        number: ConsumerId,
        out: &mut dyn Sink,
    ) -> Set<QueueId> {
        let consumer = self.consumers.remove(&number).expect("a known consumer");
        if let Some(conn) = self.conns.get_mut(&consumer.conn) {
            conn.blocked.remove(number);
            conn.claims -= u64::from(consumer.prefetch - consumer.outstanding);
        }
        let mut left = Set::default();
        for id in consumer.queues {
            let now = self.now;
            let queue = self.queue_mut(id);
            queue.attached -= 1;
            queue.all.remove(number);
            queue.used_at = now;
            queue.consumers.retain(|other| *other != number);
            let waited = queue.standby.iter().position(|other| *other == number);
            let next = match waited {
                Some(at) => queue.standby.remove(at).and(None),
                None => queue.standby.pop_front(),
            };
            if queue.attached == 0 && queue.policy.auto_delete {
                left.insert(id);
            }
            if let Some(next) = next {
                queue.consumers.push_back(next);
                let queue = self.queue_name(id).into();
                self.note(out, || Activity::ConsumerActive { queue, consumer: next });
            }
            self.wake(id);
        }
        left
    }

    /// Bounds what all consumers of a connection may hold together.
    pub(super) fn prefetch(&mut self, conn: ConnId, max: u32) {
        self.conn_mut(conn).prefetch = max;
        self.unblock(conn);
    }

    /// A connection's consumers hold so many deliveries less.
    pub(super) fn credit_back(&mut self, id: ConnId, count: u32) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.outstanding -= count;
        if !conn.blocked.is_empty() {
            self.unblock(id);
        }
    }

    /// Lists the consumers again that waited for their connection's credit.
    fn unblock(&mut self, conn: ConnId) {
        for number in core::mem::take(&mut self.conn_mut(conn).blocked) {
            let consumer = self.consumers.get_mut(&number).expect("a blocked consumer is there");
            for queue in core::mem::take(&mut consumer.unlisted) {
                self.queue_mut(queue).consumers.push_back(number);
                self.wake(queue);
            }
        }
    }

    /// What the consumers of a queue hold is theirs no longer: the queue goes.
    pub(super) fn forget_leases(&mut self, id: QueueId) {
        let holders = self.queues[&id].work.touched().filter_map(|(_, slot)| match slot.state {
            State::Leased(Holder { conn, consumer: Some(_) }) => Some(conn),
            State::Leased(_)
            | State::Ready
            | State::Delayed
            | State::Blocked
            | State::Held
            | State::Settled => None,
        });
        let holders: Vec<_> = holders.collect();
        holders.into_iter().for_each(|conn| self.credit_back(conn, 1));
    }

    /// Takes everybody away from queues that are going: their consumers and waiting receives.
    pub(super) fn dismiss(&mut self, queues: &[QueueId]) -> Dismissed {
        let mut waits: Set<u64> = Set::default();
        for id in queues {
            waits.extend(self.queues[id].waiting.iter().copied());
        }
        let waits = waits.into_iter().map(|wait| self.stop_waiting(wait)).collect();
        let mut consumers: Set<ConsumerId> = Set::default();
        for id in queues {
            consumers.extend(self.queues[id].all.iter());
            self.forget_leases(*id);
        }
        let mut dismissed = Vec::with_capacity(consumers.len());
        for number in consumers {
            let consumer = self.consumers.remove(&number).expect("a queue's consumer is known");
            let conn = self.conn_mut(consumer.conn);
            conn.consumers.remove(number);
            conn.blocked.remove(number);
            conn.claims -= u64::from(consumer.prefetch - consumer.outstanding);
            dismissed.push((number, consumer.conn));
        }
        for id in queues {
            let owner = self.queues[id].owner;
            if let Some(conn) = owner.and_then(|owner| self.conns.get_mut(&owner)) {
                conn.exclusive.remove(*id);
            }
        }
        Dismissed { waits, consumers: dismissed }
    }

    pub(super) fn tell_dismissed(&self, gone: Dismissed, why: &str, out: &mut dyn Sink) {
        for wait in gone.waits {
            let refusal = Code::UnknownQueue.because(String::from(why));
            self.tell(wait.conn, Event::Refused { tag: wait.tag, refusal }, out);
        }
        for (consumer, conn) in gone.consumers {
            self.tell(conn, Event::Cancelled { consumer }, out);
        }
    }

    pub(super) fn receive(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        (asked, wait): (Asked, Span),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let mut queues = self.worked_by(conn, queue)?;
        let max = DELIVERIES_PER_EVENT_MAX as u64;
        within("messages_max", u64::from(asked.messages_max), 1, max)?;
        span_within("wait", wait, Span::ZERO, WAIT_MAX)?;
        valid_visibility(asked.visibility)?;
        if self.queues[&queues[0]].policy.single_active {
            return Err(Code::BadArgument.because(format!(
                "queue {:?} has a single active consumer, which a receive would pass by: consume \
                 it",
                self.queue_name(queues[0])
            )));
        }
        self.may_be_handed(conn, 1)?;
        if let Some(group) = self.work_groups.get_mut(queue) {
            // Its parts take turns.
            group.turn = (group.turn + 1) % queues.len();
            queues.rotate_left(group.turn);
        }
        let now = self.now;
        queues.iter().for_each(|id| self.queue_mut(*id).used_at = now);
        let mut ready = false;
        for queue in &queues {
            ready |= self.next_to_lease(*queue, out).is_some();
        }
        if !ready {
            if wait == Span::ZERO {
                self.tell(
                    conn,
                    Event::Received { tag, deliveries: Cow::Borrowed(&[]), left: 0 },
                    out,
                );
                return Ok(());
            }
            let max = self.config.limits.waits_per_queue_max;
            let longest = queues.iter().map(|id| self.queues[id].waiting.len()).max();
            self.room_for("waiting requests of this queue", longest.unwrap_or(0), max)?;
            let what = Awaits::Message { queues: queues.clone(), asked };
            let number = self.wait(conn, tag, wait, what)?;
            queues.iter().for_each(|id| self.queue_mut(*id).waiting.push_back(number));
            return Ok(());
        }
        self.deliver_received(conn, tag, &queues, asked, out);
        Ok(())
    }

    /// Puts a request aside until there is something to answer it with, or its time is up.
    pub(super) fn wait(
        &mut self,
        conn: ConnId,
        tag: Tag,
        wait: Span,
        what: Awaits,
    ) -> Result<u64, Refused> {
        self.room_on(conn)?;
        let number = self.number();
        let timer = self.timers.start(self.now + wait, Due::Wait(number));
        self.waits.insert(number, Wait { conn, tag, timer, what });
        self.conn_mut(conn).waits.insert(number);
        Ok(number)
    }

    pub(super) fn room_on(&self, conn: ConnId) -> Result<(), Refused> {
        self.room_for_more_on(conn, 1)
    }

    /// Whether a connection may have so many consumers, members and waiting requests more.
    pub(super) fn room_for_more_on(&self, conn: ConnId, more: usize) -> Result<(), Refused> {
        let max = self.config.limits.consumers_per_connection_max;
        let conn = &self.conns[&conn];
        let have = conn.consumers.len() + conn.members.len() + conn.waits.len();
        if more == 0 || have + more <= max as usize {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "this connection has {have} consumers, members and waiting requests, and may have {max}"
        )))
    }
}

fn valid_visibility(visibility: Option<Span>) -> Result<(), Refused> {
    match visibility {
        Some(span) => span_within("visibility", span, Span::from_millis(1), VISIBILITY_MAX),
        None => Ok(()),
    }
}
