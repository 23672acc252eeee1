//! Queues that keep what is settled, to be read again as a log. What goes at last goes from the
//! front, and never what is not settled.

use alloc::format;

use super::evolve::{Evolved, broken};
use super::stream::resolve;
use super::{Broker, Refused, within};
use crate::effect::Sink;
use crate::event::{Event, Fetched};
use crate::fact::Fact;
use crate::id::{ConnId, Offset, QueueId, Tag};
use crate::limits::{BATCH_RECORDS_MAX, SETTLED_PER_FACT_MAX};
use crate::log::Ask;
use crate::refusal::Code;
use crate::request::{Isolation, Position};
use crate::time::Time;
use crate::timer::{Due, TimerId};

impl Broker {
    /// Reads a queue that keeps what is settled, as if it were a partition.
    pub(super) fn replay(
        &mut self,
        (conn, tag): (ConnId, Tag),
        name: &str,
        from: Position,
        (records_max, bytes_max): (u32, Option<u32>),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.queue_named(name)?;
        within("records_max", u64::from(records_max), 1, BATCH_RECORDS_MAX as u64)?;
        let queue = &self.queues[&id];
        let Some(log) = queue.own_log().filter(|_| queue.policy.keep.is_some()) else {
            return Err(Code::BadArgument.because(format!(
                "queue {name:?} does not keep what is settled, so there is nothing to replay; \
                 declare it with keep"
            )));
        };
        let from = resolve(log, from, Isolation::Committed)?;
        let most = self.config.limits.batch_bytes_max;
        let ask = Ask {
            from,
            records_max,
            bytes_max: bytes_max.unwrap_or(most).min(most) as usize,
            bytes_min: 0,
            // What a transaction did not commit was never in the queue.
            isolation: Isolation::Committed,
        };
        let (start, end, stable_end) = (log.start(), log.end(), log.stable_end());
        let batch = log.read(ask).map(|run| Fetched {
            topic: queue.name.as_str().into(),
            partition: 0,
            base: run.base,
            offsets: run.offsets.into(),
            next: run.next,
            appended_at: run.appended_at,
            records: run.records,
        });
        self.tell(conn, Event::ReadDone { tag, start, end, stable_end, batch }, out);
        Ok(())
    }

    /// Up to where a queue need not keep its records any more: the oldest batches, if all that
    /// they hold is settled, and they are too old or too much.
    fn outlived(&self, id: QueueId, batches_max: usize) -> Option<Offset> {
        let queue = &self.queues[&id];
        let (keep, log) = (queue.policy.keep?, queue.own_log()?);
        let settled = queue.work.offsets(Offset(0)).next().unwrap_or(log.end());
        let mut bytes = log.bytes();
        let mut to = None;
        for segment in log.segments().take(batches_max) {
            let end = segment.base + u64::from(segment.count);
            let is_old = keep.time.is_some_and(|time| segment.at + time <= self.now);
            let is_much = keep.bytes.is_some_and(|max| bytes > max);
            if end > settled.0 || !(is_old || is_much) {
                break;
            }
            bytes -= segment.records().map_or(0, |records| records.as_bytes().len() as u64);
            to = Some(Offset(end));
        }
        to
    }

    /// Sees to it that a queue is looked at when it next has something to give up. Whoever brings
    /// it records or settles some calls it.
    pub(super) fn tend_kept(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get(&id) else { return };
        let (Some(keep), Some(log)) = (queue.policy.keep, queue.own_log()) else { return };
        let at = if self.outlived(id, 1).is_some() {
            Some(self.now)
        } else {
            // Nothing that is settled is too old yet; the oldest will be first. What is not
            // settled is looked at again when it is.
            let oldest = log.segments().next();
            let settled = queue.work.offsets(Offset(0)).next().unwrap_or(log.end());
            let oldest = oldest.filter(|s| s.base + u64::from(s.count) <= settled.0);
            keep.time.zip(oldest).map(|(time, segment)| segment.at + time)
        };
        let before = queue.keeping;
        self.timers.stop(before);
        let timer = at.map_or(TimerId::NONE, |at| self.timers.start(at, Due::Kept(id)));
        self.queue_mut(id).keeping = timer;
    }

    /// Gives up what a queue has kept long enough.
    pub(super) fn kept_long_enough(&mut self, id: QueueId, timer: TimerId, out: &mut dyn Sink) {
        let Some(queue) = self.queues.get_mut(&id).filter(|queue| queue.keeping == timer) else {
            return;
        };
        queue.keeping = TimerId::NONE;
        if let Some(start) = self.outlived(id, SETTLED_PER_FACT_MAX) {
            self.record(Fact::KeptGone { queue: id, at: self.now, start }, out);
        }
        self.tend_kept(id);
    }

    pub(super) fn kept_gone(&mut self, id: QueueId, at: Time, start: Offset) -> Evolved {
        self.saw(at);
        let queue = self.queue(id)?;
        let unsettled = queue.work.offsets(Offset(0)).next().unwrap_or(queue.work.end());
        if start > unsettled {
            return Err(broken(&format!("{id} without its message {unsettled}")));
        }
        let before = queue.own_bytes();
        queue.own_log_mut().ok_or_else(|| broken(&format!("the log of {id}")))?.trim(start);
        let freed = before - queue.own_bytes();
        self.stored_bytes -= freed;
        Ok(())
    }
}
