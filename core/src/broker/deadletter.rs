//! Death and what comes after it: dead letters, looking at them, and driving them back.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Broker, Refused, counted, within};
use crate::activity::Activity;
use crate::codec;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{ConnId, Offset, QueueId, Tag};
use crate::limits::{HISTORY_MAX, PEEK_MAX, REDRIVE_MAX, REDRIVE_SCAN_MAX};
use crate::record::{RawRecord, Record};
use crate::refusal::Code;
use crate::request::Pick;
use crate::set::Set;
use crate::view::{Attempt, AttemptEnd, Death, DeathReason, MessageState, MessageView, View};
use crate::work::{Holder, State};

/// The header that keeps a message's deaths, as AMQP brokers have it; its value is a list of
/// [`Death`]s in the codec's format.
pub(crate) const DEATHS: &str = "x-death";

/// A message's deaths so far; none if it has not died.
pub(super) fn deaths(record: &Record<'_>) -> Vec<Death> {
    let deaths = record.headers.find(DEATHS).and_then(codec::decode_value);
    let mut deaths: Vec<Death> = deaths.unwrap_or_default();
    keep_newest(&mut deaths);
    deaths
}

impl Broker {
    /// Moves a message to its queue's dead-letter queue, in one fact. Its lease has ended as `end`
    /// says, and its credit is given back.
    pub(super) fn die(
        &mut self,
        id: QueueId,
        offset: Offset,
        reason: DeathReason,
        end: (AttemptEnd, Option<Holder>),
        queues: &mut Set<QueueId>,
        out: &mut dyn Sink,
    ) {
        let queue = &self.queues[&id];
        let name =
            queue.policy.dead_letter.as_deref().expect("who can die has a dead-letter queue");
        let to = self.queue_names[name];
        let to_offset = self.queues[&to].log.end();
        let (segment, index) = queue.log.find(offset).expect("a message that dies is held");
        let record = segment.records().and_then(|records| records.record(index));
        let record = record.expect("a message that dies is held");

        let mut attempts = queue.work.history(offset).to_vec();
        let number = queue.work.slot(offset).map_or(0, |slot| slot.failed) + 1;
        let client = end.1.map(|holder| self.client(holder.conn)).unwrap_or_default();
        attempts.push(Attempt { number, at: self.now, end: end.0, client });
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
        let record = RawRecord::encode(record.key, headers, record.timestamp, record.body)
            .expect("a published record leaves room for its deaths");

        let at = self.now;
        let fact = Fact::DeadLettered { queue: id, offset, at, reason, to, to_offset, record };
        self.record(fact, out);
        self.queue_mut(id).dead_lettered += 1;
        queues.extend([id, to]);
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
        let id = self.queue_named(queue)?;
        within("messages_max", u64::from(messages_max), 1, PEEK_MAX as u64)?;
        let queue = &self.queues[&id];
        let mut messages = Vec::new();
        let mut bytes = 0;
        for offset in queue.work.offsets(from, queue.log.end()).take(messages_max as usize) {
            let message = self.message(id, offset);
            bytes += message.record.as_bytes().len();
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
        let (segment, index) = queue.log.find(offset).expect("an unsettled message is held");
        let records = segment.records().expect("a found batch is held");
        let slot = queue.work.slot(offset);
        let state = match slot.map(|slot| (slot.state, slot.until)) {
            Some((State::Leased(holder), until)) => {
                MessageState::Leased { conn: holder.conn, until }
            }
            Some((State::Delayed, until)) => MessageState::Delayed { until },
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

    pub(super) fn redrive(
        &mut self,
        conn: ConnId,
        tag: Tag,
        queue: &str,
        pick: &Pick<'_>,
        to: Option<&str>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.queue_named(queue)?;
        let to = to.map(|to| self.queue_named(to)).transpose()?;
        let from = &self.queues[&id];
        let end = from.log.end();
        let (offsets, body) = match pick {
            Pick::One { offset, body } => {
                if !from.work.is_ready(*offset, end) {
                    return Err(self.not_ready(id, *offset));
                }
                (alloc::vec![*offset], body.as_deref())
            }
            Pick::Oldest { messages_max } => {
                within("messages_max", u64::from(*messages_max), 1, REDRIVE_MAX as u64)?;
                let all = from.work.offsets(Offset(0), end);
                let ready = all.filter(|offset| from.work.is_ready(*offset, end));
                (ready.take(REDRIVE_SCAN_MAX).collect(), None)
            }
        };
        let room = match pick {
            Pick::One { .. } => 1,
            Pick::Oldest { messages_max } => u64::from(*messages_max),
        };
        let (mut count, mut refused) = (0, None);
        let mut queues = Set::default();
        for offset in offsets {
            if count == room {
                break;
            }
            match self.redrive_one(id, offset, to, body, out) {
                Ok(to) => {
                    queues.extend([to]);
                    count += 1;
                }
                Err(refusal) => {
                    // One that cannot go anywhere holds up nobody; a target that is full does.
                    let is_full = refusal.code.is_transient();
                    refused.get_or_insert(refusal);
                    if is_full {
                        break;
                    }
                }
            }
        }
        if let Some(refusal) = refused.filter(|_| count == 0) {
            return Err(refusal);
        }
        self.tell(conn, Event::Count { tag, count }, out);
        self.deliver_all(queues, out);
        Ok(())
    }

    fn not_ready(&self, id: QueueId, offset: Offset) -> Refused {
        let queue = &self.queues[&id];
        let name = &queue.name;
        Code::UnknownMessage.because(if queue.work.is_unsettled(offset, queue.log.end()) {
            format!(
                "message {offset} of queue {name:?} is leased or delayed; wait until it is ready"
            )
        } else {
            format!("queue {name:?} holds no message {offset}")
        })
    }

    fn redrive_one(
        &mut self,
        id: QueueId,
        offset: Offset,
        to: Option<QueueId>,
        body: Option<&[u8]>,
        out: &mut dyn Sink,
    ) -> Result<QueueId, Refused> {
        let queue = &self.queues[&id];
        let (segment, index) = queue.log.find(offset).expect("a ready message is held");
        let record = segment.records().and_then(|records| records.record(index));
        let record = record.expect("a ready message is held");
        let to = match to {
            Some(to) => to,
            None => self.origin(&queue.name, offset, &record)?,
        };
        if to == id {
            return Err(Code::BadArgument.because(format!(
                "message {offset} would go back to queue {:?}, where it lies; name another",
                queue.name
            )));
        }
        let target = &self.queues[&to];
        let max = target.policy.messages_max.unwrap_or(self.config.limits.queue_messages_max);
        if target.unsettled() >= max {
            return Err(Code::QueueFull.because(format!(
                "queue {:?} holds {} and may hold no more",
                target.name,
                counted(max, "message")
            )));
        }
        let to_offset = target.log.end();
        let new_body = body.unwrap_or(record.body);
        let record =
            RawRecord::encode(record.key, record.headers.iter(), record.timestamp, new_body)
                .expect("a record that is held can be encoded again");
        if body.is_some() {
            self.check_mended(record.as_bytes().len())?;
        }
        let at = self.now;
        self.record(Fact::Redriven { queue: id, offset, at, to, to_offset, record }, out);
        self.note(out, || Activity::Redriven {
            queue: self.queue_name(id).into(),
            offset,
            to: self.queue_name(to).into(),
            to_offset,
            mended: body.is_some(),
        });
        Ok(to)
    }

    /// Whether a mended record is small enough, and there is room for it. One that only moves takes
    /// no more room than before.
    fn check_mended(&self, bytes: usize) -> Result<(), Refused> {
        let limits = &self.config.limits;
        if bytes > limits.record_bytes_max as usize {
            return Err(Code::TooLarge.because(format!(
                "a record of {bytes} bytes with its key and headers; it has at most {}",
                limits.record_bytes_max
            )));
        }
        if self.stored_bytes + bytes as u64 > limits.stored_bytes_max {
            return Err(Code::BrokerFull.because(format!(
                "the broker holds {} bytes, may hold {}, and would need {bytes} more for this: \
                 settle messages or raise the limit",
                self.stored_bytes, limits.stored_bytes_max
            )));
        }
        Ok(())
    }

    /// The queue in which a message last died.
    fn origin(&self, queue: &str, offset: Offset, record: &Record<'_>) -> Result<QueueId, Refused> {
        let Some(death) = deaths(record).pop() else {
            return Err(Code::BadArgument.because(format!(
                "message {offset} of queue {queue:?} never died, so it has no origin; name a queue to move it to"
            )));
        };
        let name: String = death.queue;
        self.queue_names.get(&name).copied().ok_or_else(|| {
            Code::UnknownQueue.because(format!(
                "message {offset} died in queue {name:?}, which is gone; name another to move it to"
            ))
        })
    }
}

fn keep_newest<T>(list: &mut Vec<T>) {
    let surplus = list.len().saturating_sub(HISTORY_MAX);
    list.drain(..surplus);
}
