//! Death and what comes after it: dead letters, and looking at them.

use alloc::vec::Vec;

use super::{Broker, Refused, within};
use crate::activity::Activity;
use crate::codec;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{ConnId, Offset, QueueId, Tag};
use crate::limits::{HISTORY_MAX, PEEK_MAX};
use crate::record::{DEATHS, Options, RawRecord, Record};
use crate::view::{Attempt, AttemptEnd, Death, DeathReason, MessageState, MessageView, View};
use crate::work::State;

/// A message's deaths so far; none if it has not died.
pub(super) fn deaths(record: &Record<'_>) -> Vec<Death> {
    let deaths = record.headers.find(DEATHS).and_then(codec::decode_value);
    let mut deaths: Vec<Death> = deaths.unwrap_or_default();
    keep_newest(&mut deaths);
    deaths
}

impl Broker {
    /// Moves a message to its queue's dead-letter queue, in one fact. If it was leased, the lease
    /// ends as `end` says.
    pub(super) fn die(
        &mut self,
        id: QueueId,
        offset: Offset,
        reason: DeathReason,
        end: Option<AttemptEnd>,
        out: &mut dyn Sink,
    ) {
        let queue = &self.queues[&id];
        let name =
            queue.policy.dead_letter.as_deref().expect("who can die has a dead-letter queue");
        let to = self.queue_names[name];
        let to_offset = self.queues[&to].work.end();
        let (segment, index) =
            queue.log(&self.topics).find(offset).expect("a message that dies is held");
        let record = segment.records().and_then(|records| records.record(index));
        let record = record.expect("a message that dies is held");

        let mut attempts = queue.work.history(offset).to_vec();
        let mut number = queue.work.slot(offset).map_or(0, |slot| slot.failed);
        if let Some(end) = end {
            number += 1;
            let holder = self.holder(id, offset).expect("a lease that ends was begun");
            let client = self.client(holder.conn);
            attempts.push(Attempt { number, at: self.now, end, client });
        }
        keep_newest(&mut attempts);
        let mut deaths = deaths(&record);
        deaths.push(Death {
            queue: queue.name.clone(),
            offset,
            reason,
            at: self.now,
            appended_at: segment.at,
            attempts,
        });
        keep_newest(&mut deaths);
        let deaths = codec::encode_value(&deaths);
        let headers = record.headers.iter().filter(|(name, _)| *name != DEATHS);
        let headers = headers.chain([(DEATHS, deaths.as_slice())]);
        // It has waited as long as it was to wait, and does not die of its age twice.
        let options = Options { ttl: None, delay: None, ..record.options };
        let (key, timestamp) = (record.key, record.timestamp);
        let record = RawRecord::encode(key, headers, timestamp, &options, record.body)
            .expect("a published record leaves room for its deaths");

        let at = self.now;
        let fact = Fact::DeadLettered { queue: id, offset, at, reason, to, to_offset, record };
        self.record(fact, out);
        self.queue_mut(id).dead_lettered += 1;
        self.note(out, || Activity::DeadLettered {
            queue: self.queue_name(id).into(),
            offset,
            attempts: number,
            reason,
            to: self.queue_name(to).into(),
            to_offset,
        });
    }

    pub(super) fn peek(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        from: Offset,
        messages_max: u32,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.part_or_queue_named(queue)?;
        within("messages_max", u64::from(messages_max), 1, PEEK_MAX as u64)?;
        let queue = &self.queues[&id];
        let mut messages = Vec::new();
        let mut bytes = 0;
        for offset in queue.work.offsets(from).take(messages_max as usize) {
            let message = self.message(id, offset);
            bytes += shown_bytes(&message);
            if bytes > self.config.limits.batch_bytes_max as usize && !messages.is_empty() {
                break;
            }
            messages.push(message);
        }
        self.tell(conn, Event::Inspected { tag, view: View::Messages(messages) }, out);
        Ok(())
    }

    fn message(&self, id: QueueId, offset: Offset) -> MessageView<'_> {
        let queue = &self.queues[&id];
        let found = queue.log(&self.topics).find(offset);
        let (segment, index) = found.expect("an unsettled message is held");
        let records = segment.records().expect("a found batch is held");
        let slot = queue.work.slot(offset);
        let state = match slot.map(|slot| (slot.state, slot.until)) {
            Some((State::Leased(holder), until)) => {
                MessageState::Leased { conn: holder.conn, until }
            }
            Some((State::Delayed, until)) => MessageState::Delayed { until },
            Some((State::Blocked, _)) => MessageState::Blocked,
            Some((State::Held, _)) => MessageState::Held,
            Some((State::Ready | State::Settled, _)) | None => MessageState::Ready,
        };
        let record = records.raw(index).expect("a found record is there");
        MessageView {
            offset,
            at: segment.at,
            state,
            attempts: queue.work.history(offset).to_vec(),
            attempts_failed: slot.map_or(0, |slot| slot.failed),
            deaths: deaths(&record.record()),
            record,
        }
    }
}

fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(HISTORY_MAX);
    list.drain(..surplus);
}

/// About how many bytes a message takes in a view: its record, and what is told beside it.
fn shown_bytes(message: &MessageView<'_>) -> usize {
    let of_attempt = |attempt: &Attempt| attempt.client.len() + 24;
    let attempts: usize = message.attempts.iter().map(of_attempt).sum();
    let of_death = |death: &Death| {
        death.queue.len() + 40 + death.attempts.iter().map(of_attempt).sum::<usize>()
    };
    let deaths: usize = message.deaths.iter().map(of_death).sum();
    message.record.as_bytes().len() + attempts + deaths
}
