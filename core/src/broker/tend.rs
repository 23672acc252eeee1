//! What a queue does about itself: its messages grow too old, it holds too many, nobody uses it.
//!
//! One timer a queue is enough for all of it, however many messages it holds: it runs until the
//! first of what may be due. What is found then is up to date, so it may run too early, and does
//! no harm.

use alloc::format;
use alloc::string::String;

use super::check::{Checked, hold};
use super::{Broker, Refused, Violation};
use crate::effect::Sink;
use crate::id::{ConnId, Offset, QueueId};
use crate::limits::{EXPIRIES_PER_APPLY_MAX, OVERFLOW_PER_APPLY_MAX};
use crate::planted::{Planted, planted};
use crate::policy::{Overflow, QueuePolicy};
use crate::queue::Queue;
use crate::refusal::Code;
use crate::time::Time;
use crate::timer::{Due, TimerId};
use crate::view::{DeadlineReason, DeathReason};
use crate::work::State;

impl Broker {
    /// A queue's timer fired.
    pub(super) fn tend(&mut self, id: QueueId, timer: TimerId, out: &mut dyn Sink) {
        let now = self.now;
        let Some(queue) = self.queues.get_mut(&id).filter(|queue| queue.tended.1 == timer) else {
            return;
        };
        queue.tended = (Time::MAX, TimerId::NONE);
        if queue.policy.exclusive && queue.owner.is_none() {
            return self.remove_queue(id, "its connection is gone", out);
        }
        if let Some(expires) = queue.policy.expires
            && queue.is_unused()
            && queue.used_at + expires <= now
        {
            return self.remove_queue(id, &format!("nobody used it for {expires}"), out);
        }
        for _ in 0..EXPIRIES_PER_APPLY_MAX {
            let oldest = self.queues[&id].work.oldest_ready();
            let Some(oldest) = oldest.filter(|oldest| self.expires_at(id, *oldest) <= now) else {
                break;
            };
            self.expired(id, oldest, out);
        }
        // What is left of it is found when the queue hands out what it has.
        self.wake(id);
    }

    /// When a message is too old to be delivered.
    fn expires_at(&self, id: QueueId, offset: Offset) -> Time {
        let own = self.queues[&id].work.slot(offset).map_or(Time::MAX, |slot| slot.expires);
        own.min(self.aged_at(id, offset))
    }

    /// When a message is too old for its queue's time to live. Its own is timed with its other
    /// states.
    fn aged_at(&self, id: QueueId, offset: Offset) -> Time {
        let queue = &self.queues[&id];
        let Some(ttl) = queue.policy.ttl else { return Time::MAX };
        let (segment, _) = queue.log(&self.topics).find(offset).expect("a ready message is held");
        segment.at + ttl
    }

    /// The next message to hand out, after those before it are gone that are too old. One that
    /// expires at this very moment may still go, so that a time to live of zero means: now or never
    /// (RabbitMQ has it so).
    pub(super) fn next_to_lease(&mut self, id: QueueId, out: &mut dyn Sink) -> Option<Offset> {
        for _ in 0..EXPIRIES_PER_APPLY_MAX {
            let queue = &self.queues[&id];
            let next = queue.work.next_ready()?;
            let is_young = !queue.may_expire || self.expires_at(id, next) >= self.now;
            if is_young || planted(Planted::AgeIsNotLookedAt) {
                return Some(next);
            }
            self.expired(id, next, out);
        }
        self.tend_at(id, self.now, DeadlineReason::MessageExpires);
        None
    }

    /// Drops or dead-letters what is beyond a queue's bounds, and sees to it that its timer runs.
    pub(super) fn look_after(&mut self, id: QueueId, out: &mut dyn Sink) {
        let Some(queue) = self.queues.get(&id) else { return };
        if queue.policy.overflow != Overflow::Refuse {
            self.trim(id, out);
        }
        let queue = &self.queues[&id];
        if queue.policy.exclusive && queue.owner.is_none() {
            self.tend_at(id, self.now, DeadlineReason::QueueExpires);
        } else if let Some(expires) = queue.policy.expires.filter(|_| queue.is_unused()) {
            self.tend_at(id, queue.used_at + expires, DeadlineReason::QueueExpires);
        }
        let queue = &self.queues[&id];
        if let Some(oldest) = queue.policy.ttl.and_then(|_| queue.work.oldest_ready()) {
            self.tend_at(id, self.aged_at(id, oldest), DeadlineReason::MessageExpires);
        }
    }

    fn trim(&mut self, id: QueueId, out: &mut dyn Sink) {
        for _ in 0..OVERFLOW_PER_APPLY_MAX {
            let Some(surplus) = self.surplus(id) else { return };
            self.lose(id, surplus, DeathReason::MaxLength, out);
        }
        if self.surplus(id).is_some() {
            self.tend_at(id, self.now, DeadlineReason::QueueOverflows);
        }
    }

    /// A message that is beyond the queue's bounds: the oldest that is ready, then the oldest that
    /// still waits. What is leased does not count, and is none; nor is the last that is left.
    fn surplus(&self, id: QueueId) -> Option<Offset> {
        let queue = &self.queues[&id];
        let work = &queue.work;
        let waiting = work.ready() + work.delayed() + work.blocked();
        let bytes_max = queue.policy.bytes_max.unwrap_or(u64::MAX);
        let within = waiting <= self.messages_max(queue) && queue.bytes <= bytes_max;
        if within || (waiting <= 1 && waiting <= self.messages_max(queue)) {
            return None;
        }
        work.oldest_ready().or_else(|| {
            let mut touched = work.touched();
            let waits = |state| matches!(state, State::Delayed | State::Blocked);
            touched.find(|(_, slot)| waits(slot.state)).map(|(offset, _)| offset)
        })
    }

    pub(super) fn messages_max(&self, queue: &Queue) -> u64 {
        queue.policy.messages_max.unwrap_or(self.config.limits.queue_messages_max)
    }

    /// Has a queue looked after then, or earlier.
    pub(super) fn tend_at(&mut self, id: QueueId, at: Time, why: DeadlineReason) {
        let queue = self.queues.get_mut(&id).expect("who tends a queue has found it");
        if at >= queue.tended.0 {
            return;
        }
        self.timers.stop(queue.tended.1);
        queue.tended = (at, self.timers.start(at, Due::Tend(id, why)));
    }

    /// A life begins: who owned or used queues is gone, and their time begins anew (as RabbitMQ's
    /// `x-expires` does when the server restarts).
    pub(super) fn begin_tending(&mut self) {
        let now = self.now;
        let mut ids = alloc::vec::Vec::new();
        for queue in self.queues.values_mut() {
            queue.used_at = now;
            let QueuePolicy { ttl, overflow, .. } = &queue.policy;
            let bounded = ttl.is_some() || *overflow != Overflow::Refuse;
            if bounded || queue.policy.goes_by_itself() {
                ids.push(queue.id);
            }
        }
        ids.into_iter().for_each(|id| self.wake(id));
    }

    /// A queue is somebody's alone, and this connection is not it.
    pub(super) fn not_anothers(&self, conn: ConnId, id: QueueId) -> Result<(), Refused> {
        let queue = &self.queues[&id];
        if !queue.policy.exclusive || queue.owner == Some(conn) {
            return Ok(());
        }
        Err(Code::Exclusive.because(format!(
            "queue {:?} is exclusive: only the connection that declared it may use it",
            queue.name
        )))
    }

    /// A queue that this connection may use.
    pub(super) fn queue_for(&self, conn: ConnId, name: &str) -> Result<QueueId, Refused> {
        let id = self.queue_named(name)?;
        self.not_anothers(conn, id)?;
        Ok(id)
    }

    pub(super) fn check_tended(&self, queue: &Queue) -> Checked {
        let name = &queue.name;
        let runs = queue.tended.1 != TimerId::NONE;
        hold(runs == (queue.tended.0 < Time::MAX), || format!("queue {name}: is it tended?"))?;
        let attached = self.consumers.values().filter(|c| c.queues.contains(queue.id)).count();
        hold(attached == queue.attached as usize, || {
            format!("queue {name}: {attached} consumers, {} are counted", queue.attached)
        })?;
        if queue.policy.bytes_max.is_some() {
            let log = queue.log(&self.topics);
            let bytes = queue.work.offsets(Offset(0)).filter_map(|offset| log.raw(offset));
            let bytes: u64 = bytes.map(|record| record.as_bytes().len() as u64).sum();
            hold(bytes == queue.bytes, || {
                format!("queue {name}: {bytes} bytes, {} are counted", queue.bytes)
            })?;
        }
        if let Some(fault) = queue.memory.fault() {
            return Err(Violation(format!("queue {name}: {fault}")));
        }
        if queue.woken || !self.started {
            return Ok(());
        }
        let limited = queue.policy.overflow != Overflow::Refuse && queue.tended.0 > self.now;
        hold(!limited || self.surplus(queue.id).is_none(), || {
            format!("queue {name} holds more than it may")
        })?;
        let oldest = queue.policy.ttl.and_then(|_| queue.work.oldest_ready());
        hold(oldest.is_none_or(|o| queue.tended.0 <= self.aged_at(queue.id, o)), || {
            format!("queue {name}: a message grows too old, and no timer runs")
        })?;
        let mortal = queue.policy.expires.is_some() && queue.is_unused();
        hold(!mortal || queue.tended.1 != TimerId::NONE, || {
            format!("queue {name} is unused, and would stay")
        })?;
        let owner = queue.owner.is_none_or(|owner| self.conns.contains_key(&owner));
        hold(owner, || format!("queue {name} outlived its connection"))
    }
}

/// Why a queue that goes by itself goes, as a sentence.
pub(super) fn deleted(name: &str, why: &str) -> String {
    if why.is_empty() {
        format!("queue {name} was deleted")
    } else {
        format!("queue {name} was deleted: {why}")
    }
}
