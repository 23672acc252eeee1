//! Redriving: dead letters go back to where they died, or elsewhere.

use alloc::format;
use alloc::string::String;

use super::deadletter::with_deaths;
use super::evolve::{Evolved, broken};
use super::redrive_job::{holds, valid_filter};
use super::room::Arriving;
use super::{Broker, Refused, within};
use crate::activity::Activity;
use crate::death::deaths;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::Fact;
use crate::id::{Append, ConnId, Offset, Place, QueueId, Tag};
use crate::limits::{REDRIVE_MAX, REDRIVE_SCAN_MAX};
use crate::policy::QueueKind;
use crate::queue::Queue;
use crate::record::{Batch, Options, RawRecord, Record};
use crate::refusal::Code;
use crate::request::{Condition, Pick};
use crate::time::Time;
use crate::work::Arrival;

/// Where a message last died.
enum Origin {
    Queue(QueueId),
    /// A part of a work group, whose topic still has the record at this offset.
    Part(QueueId, Offset),
}

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
        let mut left = 0;
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
                left = from.work.ready().saturating_sub(REDRIVE_SCAN_MAX as u64);
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
        let left = if count < room { left } else { 0 };
        self.tell(conn, Event::Count { tag, count, left }, out);
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
            None => match self.origin(&queue.name, offset, &record)? {
                Origin::Queue(to) => to,
                Origin::Part(part, came) => {
                    let back = ((id, offset), (part, came));
                    return self.bring_back(back, body.is_some(), out);
                }
            },
        };
        if to == id {
            return Err(Code::BadArgument.because(format!(
                "message {offset} would go back to queue {:?}, where it lies; name another",
                queue.name
            )));
        }
        let target = &self.queues[&to];
        let to_offset = target.work.end();
        // It has waited as long as it was to wait.
        let options = Options { delay: None, ..record.options };
        let mut deaths = deaths(&record);
        if let Some(newest) = deaths.last_mut() {
            newest.redriven = true;
        }
        let record = with_deaths(&record, &deaths, &options, body.unwrap_or(record.body));
        let mut batch = Batch::new();
        batch.push_raw(record.as_bytes());
        let records = batch.finish().expect("there is one record");
        self.fits(target, &records)?;
        self.room_in(target, Arriving { count: 1, bytes: records.record_bytes() })?;
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

    /// Where a message last died.
    fn origin(&self, queue: &str, offset: Offset, record: &Record<'_>) -> Result<Origin, Refused> {
        let Some(death) = deaths(record).pop() else {
            return Err(Code::BadArgument.because(format!(
                "message {offset} of queue {queue:?} never died, so it has no origin; name a queue to move it to"
            )));
        };
        let name: String = death.queue;
        match (self.queue_names.get(&name), self.part_or_queue_named(&name)) {
            (Some(id), _) => Ok(Origin::Queue(*id)),
            (None, Ok(part)) => Ok(Origin::Part(part, death.offset)),
            (None, Err(_)) => Err(Code::UnknownQueue.because(format!(
                "message {offset} died in queue {name:?}, which is gone; name another to move it to"
            ))),
        }
    }

    /// A work group gets a dead letter back: it works once more on the record in its topic, which
    /// other groups and readers do not see again.
    fn bring_back(
        &mut self,
        ((id, offset), (part, came)): ((QueueId, Offset), (QueueId, Offset)),
        mended: bool,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        if let Some(why) = self.stays_away(part, came, mended) {
            let name = self.queue_name(part);
            return Err(Code::BadArgument.because(format!(
                "message {offset} was {name:?}@{came}, of a work group, and cannot go back: {why}; \
                 name a queue to move it to"
            )));
        }
        let (at, to, to_offset) = (self.now, part, came);
        self.record(Fact::BroughtBack { queue: id, offset, at, to, to_offset }, out);
        self.note(out, || Activity::Redriven {
            queue: self.queue_name(id).into(),
            offset,
            to: self.queue_name(to).into(),
            to_offset,
            mended: false,
        });
        Ok(())
    }

    /// Why a work group does not work on a record once more, if it does not.
    fn stays_away(&self, part: QueueId, came: Offset, mended: bool) -> Option<&'static str> {
        let queue = &self.queues[&part];
        if mended {
            return Some("its record is its topic's, and does not change");
        }
        if queue.policy.kind == QueueKind::Fifo {
            return Some("its message group has gone on");
        }
        if came >= queue.work.end() || queue.work.is_unsettled(came) {
            return Some("the work group was made anew, and has it");
        }
        let Some((at, record)) = self.in_topic(queue, came) else {
            return Some("its topic no longer has its record");
        };
        let lives = [record.record().options.ttl, queue.policy.ttl].into_iter().flatten().min();
        if lives.is_some_and(|ttl| at + ttl <= self.now) {
            return Some("it has outlived its time to live");
        }
        None
    }

    /// A record that a work group may work on, and when it came.
    fn in_topic<'b>(&'b self, queue: &'b Queue, offset: Offset) -> Option<(Time, RawRecord<'b>)> {
        let log = queue.log(&self.topics);
        let is_left = offset >= log.start() && !log.is_hidden(offset);
        let (segment, index) = log.find(offset).filter(|_| is_left)?;
        Some((segment.at, segment.raw(index)?))
    }

    /// Makes it true that a work group got a dead letter back.
    pub(super) fn brought_back(
        &mut self,
        (from, offset): (QueueId, Offset),
        at: Time,
        (to, came): (QueueId, Offset),
    ) -> Evolved {
        self.gone(from, offset)?;
        self.tend_kept(from);
        self.saw(at);
        let part = self.queues.get(&to).ok_or_else(|| broken("a part"))?;
        let settled = came < part.work.end() && !part.work.is_unsettled(came);
        let record = if settled { self.in_topic(part, came) } else { None };
        let Some((at, record)) = record else {
            return Err(broken(&format!("settled message {came} of {to}")));
        };
        let arrival = part.arrival(at, &record.record());
        let arrival = Arrival { group: None, ..arrival };
        let (part, mut clock) = self.queue_and_clock(to);
        part.may_expire |= arrival.expires < Time::MAX;
        part.work.revive(came, arrival, &mut clock);
        self.wake(to);
        Ok(())
    }
}
