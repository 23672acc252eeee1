//! Redriving: dead letters go back to where they died, or elsewhere.

use alloc::format;
use alloc::string::String;

use super::deadletter::with_deaths;
use super::redrive_job::{holds, valid_filter};
use super::{Broker, Refused, counted, within};
use crate::activity::Activity;
use crate::death::deaths;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{Append, ConnId, Offset, Place, QueueId, Tag};
use crate::limits::{REDRIVE_MAX, REDRIVE_SCAN_MAX};
use crate::record::{Options, Record};
use crate::refusal::Code;
use crate::request::{Condition, Pick};

impl Broker {
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
        let (offsets, body) = match pick {
            Pick::One { offset, body } => {
                if !from.work.is_ready(*offset) {
                    return Err(self.not_ready(id, *offset));
                }
                (alloc::vec![*offset], body.as_deref())
            }
            Pick::Oldest { messages_max } => {
                within("messages_max", u64::from(*messages_max), 1, REDRIVE_MAX as u64)?;
                let all = from.work.offsets(Offset(0));
                let ready = all.filter(|offset| from.work.is_ready(*offset));
                (ready.take(REDRIVE_SCAN_MAX).collect(), None)
            }
            Pick::Filtered { filter, messages_max } => {
                within("messages_max", u64::from(*messages_max), 1, REDRIVE_MAX as u64)?;
                valid_filter(filter)?;
                let ready = from.work.offsets(Offset(0)).filter(|o| from.work.is_ready(*o));
                let looked_at = ready.take(REDRIVE_SCAN_MAX);
                (looked_at.filter(|offset| self.is_wanted(id, *offset, filter)).collect(), None)
            }
        };
        let room = match pick {
            Pick::One { .. } => 1,
            Pick::Oldest { messages_max } | Pick::Filtered { messages_max, .. } => {
                u64::from(*messages_max)
            }
        };
        let (mut count, mut refused) = (0, None);
        for offset in offsets {
            if count == room {
                break;
            }
            match self.redrive_one(id, offset, to, body, out) {
                Ok(()) => count += 1,
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
        Ok(())
    }

    fn is_wanted(&self, id: QueueId, offset: Offset, filter: &[Condition<'_>]) -> bool {
        let record = self.queues[&id].log(&self.topics).raw(offset);
        holds(filter, &record.expect("a ready message is held").record())
    }

    fn not_ready(&self, id: QueueId, offset: Offset) -> Refused {
        let queue = &self.queues[&id];
        let name = &queue.name;
        Code::UnknownMessage.because(if queue.work.is_unsettled(offset) {
            format!(
                "message {offset} of queue {name:?} is leased or delayed; wait until it is ready"
            )
        } else {
            format!("queue {name:?} holds no message {offset}")
        })
    }

    pub(super) fn redrive_one(
        &mut self,
        id: QueueId,
        offset: Offset,
        to: Option<QueueId>,
        body: Option<&[u8]>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let queue = &self.queues[&id];
        let record = queue.log(&self.topics).raw(offset).expect("a ready message is held");
        let record = record.record();
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
        if target.work.unsettled() >= max {
            return Err(Code::QueueFull.because(format!(
                "queue {:?} holds {} and may hold no more",
                target.name,
                counted(max, "message")
            )));
        }
        let to_offset = target.work.end();
        // It has waited as long as it was to wait.
        let options = Options { delay: None, ..record.options };
        let mut deaths = deaths(&record);
        if let Some(newest) = deaths.last_mut() {
            newest.redriven = true;
        }
        let record = with_deaths(&record, &deaths, &options, body.unwrap_or(record.body));
        if body.is_some() {
            // One that only moves takes no more room than before.
            self.check_record(record.as_bytes().len())?;
            self.check_bytes(record.as_bytes().len() as u64)?;
        }
        self.come_via(&[Append { place: Place::Queue(to), base: to_offset }], None, out);
        let at = self.now;
        self.record(Fact::Redriven { queue: id, offset, at, to, to_offset, record }, out);
        self.note(out, || Activity::Redriven {
            queue: self.queue_name(id).into(),
            offset,
            to: self.queue_name(to).into(),
            to_offset,
            mended: body.is_some(),
        });
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
