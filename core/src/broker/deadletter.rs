//! Death and what comes after it: dead letters, and looking at them.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::evolve::Evolved;
use super::{Broker, Refused, within};
use crate::activity::{Activity, Loss};
use crate::death::{self, deaths, is_cycle, keep_newest};
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::{Fact, Stored, Via};
use crate::id::{Append, ConnId, Offset, Place, QueueId, Tag};
use crate::limits::PEEK_MAX;
use crate::record::{Batch, DEATHS, Options, RawRecord, Record};
use crate::time::Time;
use crate::view::{Attempt, AttemptEnd, Death, DeathReason, MessageState, MessageView, View};
use crate::work::State;

/// A message that dies.
struct Dead {
    offset: Offset,
    reason: DeathReason,
    /// How many it had.
    attempts: u32,
    deaths: Vec<Death>,
    record: RawRecord<'static>,
    /// The routing key that it had come with.
    routing_key: String,
}

/// The record with these deaths, these options and this body.
pub(super) fn with_deaths(
    record: &Record<'_>,
    deaths: &Vec<Death>,
    options: &Options<'_>,
    body: &[u8],
) -> RawRecord<'static> {
    let value = death::encode(deaths);
    let headers = record.headers.iter().filter(|(name, _)| *name != DEATHS);
    let headers = headers.chain((!deaths.is_empty()).then_some((DEATHS, value.as_slice())));
    RawRecord::encode(record.key, headers, record.timestamp, options, body)
        .expect("a published record leaves room for its deaths")
}

impl Broker {
    /// A message dies: it comes to lie in its queue's dead-letter queue, or where its dead-letter
    /// exchange routes it, in one fact; or it is gone, if there is neither. If it was leased, the
    /// lease ends as `end` says.
    ///
    /// A dead-letter queue takes dead letters beyond its own maximum, and beyond the broker's limit
    /// of bytes: they were accepted before, and one that dies takes little more room than it had.
    /// (RabbitMQ drops what a full dead-letter queue refuses.) Through an exchange they may become
    /// several: those after the first are dropped where the broker has no room for them.
    pub(super) fn die(
        &mut self,
        id: QueueId,
        offset: Offset,
        reason: DeathReason,
        end: Option<AttemptEnd>,
        out: &mut dyn Sink,
    ) {
        let policy = &self.queues[&id].policy;
        let (queue, exchange) = (policy.dead_letter.clone(), policy.dead_letter_exchange.clone());
        if queue.is_none() && exchange.is_none() {
            return self.drop_message(id, offset, reason, out);
        }
        let dead = self.dead(id, offset, reason, end);
        if let Some(exchange) = exchange {
            return self.die_into_exchange(id, dead, &exchange, out);
        }
        let name = queue.expect("there is a dead-letter queue or exchange");
        if is_cycle(&dead.deaths, &name) {
            return self.die_nowhere(id, &dead, Loss::Cycle, out);
        }
        let to = self.queue_names[name.as_ref()];
        let to_offset = self.queues[&to].work.end();
        self.come_via(&[Append { place: Place::Queue(to), base: to_offset }], None, out);
        let (at, record) = (self.now, dead.record.clone());
        let fact = Fact::DeadLettered { queue: id, offset, at, reason, to, to_offset, record };
        self.record(fact, out);
        self.queue_mut(id).dead_lettered += 1;
        let to = self.queue_name(to).to_owned();
        self.note_dead_letter(id, &dead, (&to, to_offset), out);
    }

    /// The message as it will lie where it goes: with this death in its history.
    fn dead(
        &self,
        id: QueueId,
        offset: Offset,
        reason: DeathReason,
        end: Option<AttemptEnd>,
    ) -> Dead {
        let queue = &self.queues[&id];
        let (segment, index) =
            queue.log(&self.topics).find(offset).expect("a message that dies is held");
        let record = segment.raw(index).expect("a message that dies is held");
        let record = record.record();

        let mut attempts = queue.work.history(offset).to_vec();
        let mut number = queue.work.slot(offset).map_or(0, |slot| slot.failed);
        if let Some(end) = end {
            number += 1;
            let holder = self.holder(id, offset).expect("a lease that ends was begun");
            let client = self.client(holder.conn);
            attempts.push(Attempt { number, at: self.now, end, client });
        }
        keep_newest(&mut attempts);
        let via = queue.ways.of(offset);
        let routing_key = via.map_or(queue.name.as_str(), |via| &via.routing_key).to_owned();
        let mut deaths = deaths(&record);
        let death = Death {
            queue: queue.name.clone(),
            offset,
            reason,
            at: self.now,
            appended_at: segment.at,
            attempts,
            count: 1,
            first_at: self.now,
            exchange: via.map(|via| via.exchange.clone().into_owned()).unwrap_or_default(),
            routing_key: routing_key.clone(),
            ttl: record.options.ttl,
            redriven: false,
        };
        death::add(&mut deaths, death);
        // It has waited as long as it was to wait, and does not die of its age twice.
        let options = Options { ttl: None, delay: None, ..record.options };
        let record = with_deaths(&record, &deaths, &options, record.body);
        Dead { offset, reason, attempts: number, deaths, record, routing_key }
    }

    fn die_into_exchange(&mut self, id: QueueId, dead: Dead, exchange: &str, out: &mut dyn Sink) {
        let key = self.queues[&id].policy.dead_letter_key.clone();
        let key = key.as_deref().unwrap_or(&dead.routing_key);
        let mut route = match self.route_dead(exchange, key, &dead.record) {
            Some(route) => route,
            None => return self.die_nowhere(id, &dead, Loss::NoExchange, out),
        };
        if route.is_empty() {
            return self.die_nowhere(id, &dead, Loss::Unroutable, out);
        }
        let goes_round = |queue: &QueueId| is_cycle(&dead.deaths, self.queue_name(*queue));
        route.queues = route.queues.iter().filter(|queue| !goes_round(queue)).collect();
        if route.is_empty() {
            return self.die_nowhere(id, &dead, Loss::Cycle, out);
        }
        let mut batch = Batch::new();
        batch.push_raw(dead.record.as_bytes());
        let records = batch.finish().expect("there is one record");
        // One record is not split by its key: every part is all of it.
        let mut appends: Vec<Append> = Vec::new();
        for Stored { appends: some, .. } in self.place(&route, &records) {
            appends.extend(some.iter().copied());
        }
        let needs = records.as_bytes().len() as u64 * appends.len() as u64;
        if self.check_bytes(needs).is_err() && appends.len() > 1 {
            appends.truncate(1);
            self.note_loss(id, &dead, Loss::NoRoom, out);
        }
        self.come_via(&appends, Some((exchange, key)).filter(|way| !way.0.is_empty()), out);
        self.record(
            Fact::Died {
                queue: id,
                offset: dead.offset,
                at: self.now,
                reason: dead.reason,
                to: Cow::Borrowed(&appends),
                record: dead.record.clone(),
            },
            out,
        );
        self.queue_mut(id).dead_lettered += 1;
        let came = (records.as_bytes().len(), 1);
        for Append { place, base } in appends {
            let to = match place {
                Place::Queue(to) => self.queue_name(to).to_owned(),
                Place::Partition(topic, partition) => {
                    self.wake_readers((topic, partition), came, out);
                    format!("{}/{partition}", self.topic_name(topic))
                }
            };
            self.note_dead_letter(id, &dead, (&to, base), out);
        }
    }

    /// Makes a death true that went through an exchange.
    pub(super) fn died(
        &mut self,
        (queue, offset): (QueueId, Offset),
        at: Time,
        to: Cow<'_, [Append]>,
        record: &RawRecord<'_>,
    ) -> Evolved {
        self.gone(queue, offset)?;
        self.tend_kept(queue);
        self.saw(at);
        let mut batch = Batch::new();
        batch.push_raw(record.as_bytes());
        let records = batch.finish().expect("there is one record");
        self.stored(at, &Stored { appends: to, records })
    }

    /// A dead message goes nowhere, and is gone.
    fn die_nowhere(&mut self, id: QueueId, dead: &Dead, loss: Loss, out: &mut dyn Sink) {
        let before = self.cause.dies_of.replace(dead.reason);
        self.record(Fact::Settled { queue: id, offsets: Cow::Borrowed(&[dead.offset]) }, out);
        self.cause.dies_of = before;
        self.note_loss(id, dead, loss, out);
    }

    fn note_loss(&self, id: QueueId, dead: &Dead, loss: Loss, out: &mut dyn Sink) {
        let (offset, reason) = (dead.offset, dead.reason);
        let queue = self.queue_name(id).into();
        self.note(out, || Activity::DeadLetterLost { queue, offset, reason, loss });
    }

    fn note_dead_letter(
        &self,
        id: QueueId,
        dead: &Dead,
        (to, to_offset): (&str, Offset),
        out: &mut dyn Sink,
    ) {
        let (attempts, reason) = (dead.attempts, dead.reason);
        let to = Cow::from(to);
        self.note(out, || Activity::DeadLettered {
            queue: self.queue_name(id).into(),
            offset: dead.offset,
            attempts,
            reason,
            to: to.into_owned().into(),
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

    pub(super) fn message(&self, id: QueueId, offset: Offset) -> MessageView<'_> {
        let queue = &self.queues[&id];
        let found = queue.log(&self.topics).find(offset);
        let (segment, index) = found.expect("an unsettled message is held");
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
        let record = segment.raw(index).expect("a found record is there");
        MessageView {
            offset,
            at: segment.at,
            via: queue.ways.of(offset).map(Via::borrowed),
            state,
            attempts: queue.work.history(offset).to_vec(),
            attempts_failed: slot.map_or(0, |slot| slot.failed),
            deaths: deaths(&record.record()),
            record,
        }
    }
}

/// About how many bytes a message takes in a view: its record, and what is told beside it.
fn shown_bytes(message: &MessageView<'_>) -> usize {
    let of_attempt = |attempt: &Attempt| attempt.client.len() + 24;
    let attempts: usize = message.attempts.iter().map(of_attempt).sum();
    let of_death = |death: &Death| {
        death.queue.len() + 40 + death.attempts.iter().map(of_attempt).sum::<usize>()
    };
    let deaths: usize = message.deaths.iter().map(of_death).sum();
    let via = message.via.as_ref().map_or(0, Via::bytes);
    message.record.as_bytes().len() + via + attempts + deaths
}
