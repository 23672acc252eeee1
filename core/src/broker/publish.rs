//! Publishing: a batch comes to lie in the logs that its route names, all of them or none.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::produce::Ordered;
use super::room::Arriving;
use super::route::{Part, Route, Routed};
use super::via::way;
use super::{Broker, Refused, span_within};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::{Fact, Stored};
use crate::id::{Append, ConnId, Place, QueueId, Tag, TopicId};
use crate::limits::{FACT_BYTES_MAX, HEADERS_MAX, TTL_MAX};
use crate::map::Map;
use crate::murmur2::partition_of;
use crate::planted::{Planted, planted};
use crate::policy::Timestamps;
use crate::producer::Lane;
use crate::record::{Batch, Records};
use crate::refusal::Code;
use crate::request::{Sequenced, Target, Unroutable};
use crate::time::Span;

/// How a batch is published, beside where to.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) confirm: bool,
    pub(super) by: Option<Sequenced>,
    pub(super) transactional: bool,
    pub(super) unroutable: Unroutable,
}

impl Broker {
    pub(super) fn publish(
        &mut self,
        conn: ConnId,
        tag: Tag,
        to: &Target<'_>,
        how: How,
        records: &Records<'_>,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let How { confirm, transactional, unroutable, .. } = how;
        let numbered = match self.numbering(to, how, records.count())? {
            Some(Ordered::Stored(by, appends)) => {
                let batch = (by, records.count());
                self.published_before((conn, tag), confirm, batch, &appends, out);
                return Ok(());
            }
            Some(Ordered::Next(lane, by)) => Some((lane, by)),
            None => None,
        };
        self.check_size(records)?;
        let Routed { parts, unroutable: nowhere } = self.routed(to, unroutable, records)?;
        let (parts, duplicates) = self.without_duplicates(parts)?;
        let batches = self.placed(&parts)?;
        if let Some((_, by)) = &numbered {
            self.may_remember(&batches)?;
            if transactional {
                self.may_hold(by.producer, &batches)?;
            }
        }
        let appends = appends_of(&batches);
        let stored = Event::Published {
            tag,
            appends: Cow::Borrowed(&appends),
            duplicate: false,
            duplicates: Cow::Borrowed(&duplicates),
        };
        let confirms_early = planted(Planted::ConfirmBeforeFact);
        if confirm && confirms_early {
            self.tell(conn, stored.clone(), out);
        }
        self.come_via(appends.iter(), way(to), out);
        self.store(numbered, &batches, (records.count(), transactional), out);
        let via = named_way(to);
        if let Some((records, refusal)) = nowhere {
            let count = records.count();
            let returned = unroutable == Unroutable::Return;
            if returned {
                self.tell(conn, Event::Returned { tag, refusal, records }, out);
            }
            self.note_unrouted(conn, count, via, returned, out);
        }
        if confirm && !confirms_early {
            self.tell(conn, stored, out);
        }
        self.note_stored(conn, &batches, via, out);
        self.note_duplicates(conn, &duplicates, out);
        self.deliver_woken(out);
        self.wake_readers_of(&batches, out);
        Ok(())
    }

    /// What the numbers of a batch say of it; None if its publisher does not number what it
    /// publishes.
    fn numbering(
        &self,
        to: &Target<'_>,
        How { by, transactional, .. }: How,
        count: u32,
    ) -> Result<Option<Ordered>, Refused> {
        let Some(by) = by else {
            if transactional {
                return Err(Code::InvalidTransaction.because(
                    "a publish in a transaction says whose it is: give it its producer, epoch and \
                     sequence",
                ));
            }
            return Ok(None);
        };
        let ordered = self.ordered(to, by, count)?;
        if let Ordered::Next(_, by) = &ordered {
            self.may_publish_in((by.producer, by.epoch), transactional)?;
        }
        Ok(Some(ordered))
    }

    /// Where parts of a batch will lie, if all of it may lie there.
    fn placed(&mut self, parts: &[Part<'_>]) -> Result<Vec<Stored<'static>>, Refused> {
        self.check_room(parts)?;
        for part in parts {
            self.check_keys(&part.route.topics, &part.records)?;
        }
        let batches = self.place_all(parts);
        let bytes: u64 = batches.iter().map(|batch| batch.records.as_bytes().len() as u64).sum();
        if bytes > FACT_BYTES_MAX {
            return Err(Code::TooLarge.because(format!(
                "split over partitions the batch has {bytes} bytes, and may have {FACT_BYTES_MAX}: \
                 publish smaller batches"
            )));
        }
        Ok(batches)
    }

    /// Makes it a fact that batches lie where they are to lie; and that their producer, if it
    /// numbers them, is at its next number.
    fn store(
        &mut self,
        numbered: Option<(Lane, Sequenced)>,
        batches: &[Stored<'_>],
        (count, transactional): (u32, bool),
        out: &mut dyn Sink,
    ) {
        let Some((lane, Sequenced { producer, epoch, sequence })) = numbered else {
            if !batches.is_empty() {
                self.record_published(batches, out);
            }
            return;
        };
        let fact = Fact::Produced {
            at: self.now,
            producer,
            epoch,
            lane,
            sequence,
            count,
            transactional,
            batches: Cow::Borrowed(batches),
        };
        let begins = transactional && self.is_idle(producer);
        self.record(fact, out);
        if begins {
            self.note_begin(producer, out);
        }
    }

    /// Readers that wait may have enough now.
    fn wake_readers_of(&mut self, batches: &[Stored<'_>], out: &mut dyn Sink) {
        for Stored { appends, records } in batches {
            let came = (records.as_bytes().len(), records.count());
            for append in appends.iter() {
                if let Place::Partition(topic, partition) = append.place {
                    self.wake_readers((topic, partition), came, out);
                }
            }
        }
    }

    /// Tells those who watch where batches came to lie.
    fn note_stored(
        &self,
        conn: ConnId,
        batches: &[Stored<'_>],
        via: (&str, &str),
        out: &mut dyn Sink,
    ) {
        if self.watchers.is_empty() {
            return;
        }
        for batch in batches {
            for append in batch.appends.iter() {
                self.note_append(conn, *append, batch.records.count(), via, out);
            }
        }
    }

    fn record_published(&mut self, batches: &[Stored<'_>], out: &mut dyn Sink) {
        let at = self.now;
        if planted(Planted::FanOutIsTorn) {
            for Stored { appends, records } in batches {
                for append in appends.iter() {
                    let one =
                        Stored { appends: alloc::vec![*append].into(), records: records.clone() };
                    let batches = Cow::Borrowed(core::slice::from_ref(&one));
                    self.record(Fact::Published { at, batches }, out);
                }
            }
            return;
        }
        self.record(Fact::Published { at, batches: Cow::Borrowed(batches) }, out);
    }

    fn note_unrouted(
        &self,
        conn: ConnId,
        count: u32,
        (exchange, routing_key): (&str, &str),
        returned: bool,
        out: &mut dyn Sink,
    ) {
        let (exchange, routing_key) = (Cow::Borrowed(exchange), Cow::Borrowed(routing_key));
        self.note(out, || Activity::Unrouted {
            conn,
            count,
            exchange: exchange.into_owned().into(),
            routing_key: routing_key.into_owned().into(),
            returned,
        });
    }

    fn note_append(
        &self,
        conn: ConnId,
        append: Append,
        count: u32,
        via: (&str, &str),
        out: &mut dyn Sink,
    ) {
        let base = append.base;
        let (exchange, routing_key) = (Cow::Borrowed(via.0), Cow::Borrowed(via.1));
        match append.place {
            Place::Queue(id) => {
                let queue = self.queue_name(id).into();
                self.note(out, || Activity::Enqueued {
                    queue,
                    base,
                    count,
                    conn,
                    exchange: exchange.into_owned().into(),
                    routing_key: routing_key.into_owned().into(),
                });
            }
            Place::Partition(id, partition) => {
                let topic = self.topic_name(id).into();
                self.note(out, || Activity::Appended {
                    topic,
                    partition,
                    base,
                    count,
                    conn,
                    exchange: exchange.into_owned().into(),
                    routing_key: routing_key.into_owned().into(),
                });
            }
        }
    }

    fn check_size(&self, records: &Records<'_>) -> Result<(), Refused> {
        let limits = &self.config.limits;
        let bytes = records.as_bytes().len();
        if bytes > limits.batch_bytes_max as usize {
            return Err(Code::TooLarge.because(format!(
                "a batch of {bytes} bytes; it has at most {}: publish smaller batches",
                limits.batch_bytes_max
            )));
        }
        // No record is larger than its batch, so only a large batch is looked through.
        if bytes > limits.record_bytes_max as usize {
            self.check_record(records.record_bytes_max())?;
        }
        let survey = records.survey();
        let headers = survey.headers_max;
        if headers > HEADERS_MAX {
            return Err(Code::TooMany
                .because(format!("a record has {headers} headers; it has at most {HEADERS_MAX}")));
        }
        if survey.died {
            return Err(Code::BadArgument.because(
                "the header \"x-death\" is the broker's own: leave it out, or let the broker move \
                 dead letters with a redrive",
            ));
        }
        span_within("a record's ttl or delay", survey.wait_max, Span::ZERO, TTL_MAX)
    }

    fn check_room(&self, parts: &[Part<'_>]) -> Result<(), Refused> {
        let mut needs = 0;
        for Part { route, records } in parts {
            for id in route.queues.iter() {
                self.fits(&self.queues[&id], records)?;
            }
            let logs = (route.queues.len() + route.topics.len()) as u64;
            needs += records.as_bytes().len() as u64 * logs;
        }
        if let [Part { route, records }] = parts {
            let arriving = Arriving::default().and(records);
            for id in route.queues.iter() {
                self.room_in(&self.queues[&id], arriving)?;
            }
            return self.check_bytes(needs);
        }
        let mut arriving: Map<QueueId, Arriving> = Map::default();
        for Part { route, records } in parts {
            for id in route.queues.iter() {
                let arriving = arriving.get_or_insert_with(id, Arriving::default);
                *arriving = arriving.and(records);
            }
        }
        for (id, arriving) in arriving.iter() {
            self.room_in(&self.queues[id], *arriving)?;
        }
        self.check_bytes(needs)
    }

    /// Whether the broker may hold so many bytes more.
    pub(super) fn check_bytes(&self, needs: u64) -> Result<(), Refused> {
        let max = self.config.limits.stored_bytes_max;
        if needs > max {
            return Err(Code::TooLarge.because(format!(
                "this needs {needs} bytes, and the broker may hold {max}: publish smaller batches"
            )));
        }
        if self.stored_bytes + needs > max {
            return Err(Code::BrokerFull.because(format!(
                "the broker holds {} bytes, may hold {max}, and would need {needs} more for this: \
                 settle messages or raise the limit",
                self.stored_bytes
            )));
        }
        Ok(())
    }

    /// Whether a record is small enough.
    pub(super) fn check_record(&self, bytes: usize) -> Result<(), Refused> {
        let max = self.config.limits.record_bytes_max;
        if bytes > max as usize {
            return Err(Code::TooLarge.because(format!(
                "a record of {bytes} bytes with its key and headers; it has at most {max}"
            )));
        }
        Ok(())
    }

    /// Decides where every part will lie, one behind the other.
    fn place_all(&mut self, parts: &[Part<'_>]) -> Vec<Stored<'static>> {
        if let [only] = parts {
            return self.place(&only.route, &only.records.to_shared());
        }
        let mut taken: Map<Place, u64> = Map::default();
        let mut batches = Vec::with_capacity(parts.len());
        for part in parts {
            for mut batch in self.place(&part.route, &part.records.to_shared()) {
                for append in batch.appends.to_mut() {
                    let taken = taken.get_or_insert_with(append.place, || 0);
                    append.base = append.base.plus(*taken);
                    *taken += u64::from(batch.records.count());
                }
                batches.push(batch);
            }
        }
        batches
    }

    /// Decides where the batch will lie: as a whole, and in parts where its keys spread.
    pub(super) fn place(
        &mut self,
        route: &Route,
        records: &Records<'static>,
    ) -> Vec<Stored<'static>> {
        let mut whole: Vec<Append> = Vec::with_capacity(route.queues.len() + route.topics.len());
        whole.extend(
            route
                .queues
                .iter()
                .map(|id| Append { place: Place::Queue(id), base: self.queues[&id].work.end() }),
        );
        let mut parts = Vec::new();
        // Topics with as many partitions share the parts, unless the broker writes into them.
        let mut alike: Map<(bool, u32), Vec<TopicId>> = Map::default();
        for id in route.topics.iter() {
            let topic = &self.topics[&id];
            let stamps = topic.policy.timestamps == Timestamps::Broker;
            let partitions = topic.partitions.len() as u32;
            alike.get_or_insert_with((stamps, partitions), Vec::new).push(id);
        }
        for ((stamps, _), topics) in alike {
            let stamped = stamps.then(|| records.stamped(self.now));
            let records = stamped.as_ref().unwrap_or(records);
            let split = match route.partition {
                Some(partition) => alloc::vec![(partition, None)],
                None => self.split(&topics, records),
            };
            for (partition, part) in split {
                let appends = topics.iter().map(|id| {
                    let base = self.topics[id].partitions[partition as usize].end();
                    Append { place: Place::Partition(*id, partition), base }
                });
                let part = part.map(|part| part.finish().expect("each part has a record"));
                match part.or(stamped.clone()) {
                    None => whole.extend(appends),
                    Some(records) => parts.push(Stored { appends: appends.collect(), records }),
                }
            }
        }
        if !whole.is_empty() {
            parts.insert(0, Stored { appends: whole.into(), records: records.clone() });
        }
        parts
    }

    /// The partition for records without a key: the same for the whole batch, and not the one that
    /// the batch before went to (Kafka's sticky partitioner, KIP-480).
    fn next_sticky(&mut self, topics: &[TopicId]) -> u32 {
        let topic = &self.topics[&topics[0]];
        let partitions = topic.partitions.len() as u32;
        let next = match topic.sticky {
            Some(before) if partitions > 1 => {
                let other = self.rng.below(partitions - 1);
                other + u32::from(other >= before)
            }
            _ => self.rng.below(partitions),
        };
        for id in topics {
            self.topics.get_mut(id).expect("a batch is routed to topics that exist").sticky =
                Some(next);
        }
        next
    }

    /// Which records go to which partition; a part is only made where there are several.
    fn split(&mut self, topics: &[TopicId], records: &Records<'_>) -> Vec<(u32, Option<Batch>)> {
        let partitions = self.topics[&topics[0]].partitions.len() as u32;
        if !records.have_keys() {
            return alloc::vec![(self.next_sticky(topics), None)];
        }
        let mut sticky = None;
        let mut to = Vec::with_capacity(records.count() as usize);
        for record in records.iter() {
            to.push(match record.key {
                Some(key) => partition_of(key, partitions),
                None => *sticky.get_or_insert_with(|| self.next_sticky(topics)),
            });
        }
        if to.iter().all(|partition| *partition == to[0]) {
            return alloc::vec![(to[0], None)];
        }
        let mut split: Map<u32, Option<Batch>> = Map::default();
        for (partition, index) in to.into_iter().zip(0..) {
            let batch = split.get_or_insert_with(partition, || Some(Batch::new()));
            let batch = batch.as_mut().expect("a part is made with its batch");
            batch.push_raw(records.raw(index).expect("index is below count").as_bytes());
        }
        split.into_iter().collect()
    }
}

/// Where batches lie, one after the other.
fn appends_of<'b>(batches: &'b [Stored<'_>]) -> Cow<'b, [Append]> {
    match batches {
        [one] => Cow::Borrowed(&one.appends),
        _ => batches.iter().flat_map(|batch| batch.appends.iter().copied()).collect(),
    }
}

/// The exchange and the routing key that a publish names; empty where it names none.
fn named_way<'t>(to: &'t Target<'_>) -> (&'t str, &'t str) {
    match to {
        Target::Exchange { name, routing_key } => (name, routing_key),
        Target::Queue { .. } | Target::Topic { .. } => ("", ""),
    }
}
