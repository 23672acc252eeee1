//! What facts do to the messages of queues: they come, fail, are settled, move.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::evolve::{Evolved, broken};
use super::{Broker, Violation};
use crate::fact::Stored;
use crate::id::{Append, Offset, Place, QueueId};
use crate::log::{Log, OFFSET_MAX};
use crate::planted::{Planted, planted};
use crate::queue::Queue;
use crate::record::{Batch, RawRecord, Records};
use crate::time::Time;
use crate::view::{Attempt, AttemptEnd};
use crate::work::{Holder, State};

/// Messages in a row, and what they were doing.
pub(super) struct Doing {
    pub(super) first: Offset,
    pub(super) count: u64,
    pub(super) state: State,
}

impl Broker {
    pub(super) fn queue(&mut self, id: QueueId) -> Result<&mut Queue, Violation> {
        self.queues.get_mut(&id).ok_or_else(|| broken(&format!("queue {id}")))
    }

    /// An unsettled message's queue.
    fn holding(&mut self, id: QueueId, offset: Offset) -> Result<&mut Queue, Violation> {
        let queue = self.queue(id)?;
        if queue.work.is_unsettled(offset) {
            return Ok(queue);
        }
        Err(broken(&format!("message {offset} of queue {id}")))
    }

    /// A batch that was published came to lie in its logs.
    pub(super) fn stored(&mut self, at: Time, stored: &Stored<'_>) -> Evolved {
        self.lies(at, stored)?;
        self.remember(at, stored);
        Ok(())
    }

    fn lies(&mut self, at: Time, stored: &Stored<'_>) -> Evolved {
        let records = stored.records.to_shared();
        for Append { place, base } in stored.appends.iter() {
            let log = self.log(*place)?;
            if log.end() != *base {
                return Err(Violation(format!(
                    "a batch at offset {base} of {place}, whose end is {}",
                    log.end()
                )));
            }
            log.append(at, records.clone());
            self.stored_bytes += records.as_bytes().len() as u64;
            match place {
                Place::Queue(id) => {
                    self.arrived(*id, at, &records);
                    self.tend_kept(*id);
                }
                Place::Partition(topic, partition) => {
                    self.feed_workers(*topic, *partition);
                    self.keep_up(*topic, *partition);
                }
            }
        }
        Ok(())
    }

    /// Records came to lie in the log that a queue works on.
    pub(super) fn arrived(&mut self, id: QueueId, at: Time, records: &Records<'_>) {
        let (queue, mut clock) = self.queue_and_clock(id);
        queue.arrive(at, records, &mut clock);
        self.wake(id);
    }

    pub(super) fn log(&mut self, place: Place) -> Result<&mut Log, Violation> {
        let log = match place {
            Place::Queue(id) => self.queues.get_mut(&id).and_then(Queue::own_log_mut),
            Place::Partition(id, partition) => self
                .topics
                .get_mut(&id)
                .and_then(|topic| topic.partitions.get_mut(partition as usize)),
        };
        log.ok_or_else(|| broken(&format!("{place}")))
    }

    /// A message is gone from its queue, whatever it was doing.
    pub(super) fn gone(&mut self, id: QueueId, offset: Offset) -> Evolved {
        self.all_gone(id, &[offset])
    }

    /// Messages are gone from their queue, whatever they were doing. What their going means to
    /// others is looked at once for all of them that were in the same hands.
    pub(super) fn all_gone(&mut self, id: QueueId, offsets: &[Offset]) -> Evolved {
        if self.queue(id)?.policy.bytes_max.is_some() {
            for offset in offsets {
                self.holding(id, *offset)?;
                self.count_bytes_gone(id, *offset);
            }
        }
        let (queue, mut clock) = self.queue_and_clock(id);
        let mut gone: Vec<Doing> = Vec::new();
        let settled = queue.work.settle_all(offsets, &mut clock, |first, count, state| match gone
            .last_mut()
        {
            Some(last) if last.state == state && last.first.plus(last.count) == first => {
                last.count += count;
            }
            Some(_) | None => gone.push(Doing { first, count, state }),
        });
        if let Err(offset) = settled {
            return Err(broken(&format!("message {offset} of queue {id}")));
        }
        let before = queue.own_bytes();
        if let Some(log) = queue.emptying_log_mut() {
            for Doing { first, count, .. } in &gone {
                log.release_run(*first, first.plus(*count));
            }
        }
        let after = queue.own_bytes();
        self.stored_bytes -= before - after;
        self.let_go_all(id, &gone);
        Ok(())
    }

    /// Takes a message that is to be gone out of the bytes of its queue, where they have a bound.
    fn count_bytes_gone(&mut self, id: QueueId, offset: Offset) {
        let queue = &self.queues[&id];
        if queue.policy.bytes_max.is_some() {
            let bytes = self.bytes_of(queue, offset);
            self.queue_mut(id).bytes -= bytes;
        }
    }

    fn bytes_of(&self, queue: &Queue, offset: Offset) -> u64 {
        let record = queue.log(&self.topics).raw(offset);
        record.map_or(0, |record| record.as_bytes().len() as u64)
    }

    /// Counts the bytes of a queue anew: they have a bound now, or have one no longer.
    pub(super) fn count_bytes(&mut self, id: QueueId) {
        let queue = &self.queues[&id];
        let bytes = match queue.policy.bytes_max {
            Some(_) => queue.work.offsets(Offset(0)).map(|o| self.bytes_of(queue, o)).sum(),
            None => 0,
        };
        self.queue_mut(id).bytes = bytes;
    }

    /// Every message of these runs is gone that was not gone before.
    pub(super) fn runs_gone(&mut self, id: QueueId, runs: &[(Offset, u64)]) -> Evolved {
        for (start, count) in runs {
            let end = start.plus(*count);
            if end > self.queue(id)?.work.end() {
                return Err(broken(&format!("messages up to {end} of queue {id}")));
            }
            if self.queues[&id].policy.bytes_max.is_some() {
                let gone = self.queues[&id].work.offsets(*start);
                let gone: Vec<_> = gone.take_while(|offset| *offset < end).collect();
                gone.into_iter().for_each(|offset| self.count_bytes_gone(id, offset));
            }
            let (queue, mut clock) = self.queue_and_clock(id);
            let mut gone = Vec::new();
            let each = |first, state| gone.push(Doing { first, count: 1, state });
            queue.work.settle_run((*start, end), &mut clock, each);
            let before = queue.own_bytes();
            if let Some(log) = queue.emptying_log_mut() {
                log.release_run(*start, end);
            }
            self.stored_bytes -= before - self.queues[&id].own_bytes();
            self.let_go_all(id, &gone);
        }
        self.tend_kept(id);
        Ok(())
    }

    pub(super) fn attempt_ended(
        &mut self,
        id: QueueId,
        offset: Offset,
        (at, end, client): (Time, AttemptEnd, Cow<'_, str>),
        ready_at: Time,
    ) -> Evolved {
        self.saw(at);
        let queue = self.holding(id, offset)?;
        let number = queue.work.slot(offset).map_or(0, |slot| slot.failed) + 1;
        let state = queue.work.state(offset);
        let attempt = Attempt { number, at, end, client: client.into_owned() };
        let (queue, mut clock) = self.queue_and_clock(id);
        if end == AttemptEnd::Expired && planted(Planted::ExpiryCountsNoAttempt) {
            queue.work.give_back(offset, ready_at, &mut clock);
        } else {
            queue.work.attempt_failed(offset, attempt, ready_at, &mut clock);
        }
        self.let_go(id, offset, state);
        Ok(())
    }

    /// Messages stop what they were doing.
    pub(super) fn let_go_all(&mut self, id: QueueId, messages: &[Doing]) {
        for alike in messages.chunk_by(|a, b| a.state == b.state) {
            match alike[0].state {
                State::Leased(holder) => self.let_go_of(id, holder, alike),
                State::Ready | State::Delayed | State::Blocked | State::Held | State::Settled => {
                    self.wake(id)
                }
            }
        }
    }

    /// A message stops what it was doing.
    pub(super) fn let_go(&mut self, id: QueueId, first: Offset, state: State) {
        self.let_go_all(id, &[Doing { first, count: 1, state }]);
    }

    /// Leases end of one holder: credit that they took comes back, and others may go.
    fn let_go_of(&mut self, id: QueueId, holder: Holder, leases: &[Doing]) {
        self.gives(holder, id, leases.iter().map(|doing| (doing.first, doing.count)));
        let Holder { conn, consumer: Some(number) } = holder else { return self.wake(id) };
        let count = leases.iter().map(|doing| doing.count as u32).sum();
        if self.consumers.get(&number).is_none_or(|consumer| !consumer.auto_ack) {
            self.credit_back(conn, count);
        }
        // A consumer that was cancelled has no credit to get back.
        let Some(consumer) = self.consumers.get_mut(&number) else { return self.wake(id) };
        consumer.outstanding -= count;
        let unlisted = core::mem::take(&mut consumer.unlisted);
        // The parts of a work group take turns: the ones after this go first.
        let later = unlisted.iter().filter(|part| *part > id);
        for part in later.chain(unlisted.iter().filter(|part| *part <= id)) {
            self.queue_mut(part).consumers.push_back(number);
            self.wake(part);
        }
        self.wake(id);
    }

    /// A queue may have something to hand out.
    pub(super) fn wake(&mut self, id: QueueId) {
        let queue = self.queue_mut(id);
        if !core::mem::replace(&mut queue.woken, true) {
            self.woken.push(id);
        }
    }

    /// A message leaves one queue and comes to lie in another.
    pub(super) fn moved(
        &mut self,
        (from, offset): (QueueId, Offset),
        at: Time,
        (to, to_offset): (QueueId, Offset),
        record: &RawRecord<'_>,
    ) -> Evolved {
        if !planted(Planted::MovedStaysToo) {
            self.gone(from, offset)?;
            self.tend_kept(from);
        }
        let mut batch = Batch::new();
        batch.push_raw(record.as_bytes());
        let records = batch.finish().expect("there is one record");
        let append = Append { place: Place::Queue(to), base: to_offset };
        self.saw(at);
        self.lies(at, &Stored { appends: Cow::Borrowed(&[append]), records })
    }

    pub(super) fn log_starts(&mut self, place: Place, next: Offset) -> Evolved {
        let log = self.log(place)?;
        if next < log.end() || next > OFFSET_MAX {
            let end = log.end();
            return Err(broken(&format!(
                "a log that starts at {next}, and may from its end {end} to {OFFSET_MAX}"
            )));
        }
        match place {
            Place::Queue(id) => {
                log.skip_to(next);
                self.queue(id)?.work.skip_to(next);
            }
            Place::Partition(..) => log.leave_gap(next),
        }
        Ok(())
    }

    pub(super) fn message_state(
        &mut self,
        id: QueueId,
        offset: Offset,
        failed: u32,
        ready_at: Time,
        attempts: Vec<Attempt>,
    ) -> Evolved {
        self.holding(id, offset)?;
        if failed == u32::MAX {
            return Err(broken(&format!("message {offset} of {id}, which failed {failed} times")));
        }
        let (queue, mut clock) = self.queue_and_clock(id);
        queue.work.set_failed(offset, failed, attempts, ready_at, &mut clock);
        Ok(())
    }
}
