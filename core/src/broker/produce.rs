//! Producers that number their batches: how they come, begin anew, and are forgotten.

use alloc::borrow::{Cow, ToOwned};
use alloc::format;
use alloc::vec::Vec;

use super::check::hold;
use super::evolve::{Evolved, broken};
use super::{Broker, Refused, shown, span_within, valid_name};
use crate::activity::{Activity, TransactionEnd};
use crate::effect::Sink;
use crate::event::Event;
use crate::fact::{Fact, Numbered, Stored};
use crate::id::{Append, ConnId, ProducerEpoch, ProducerId, Tag};
use crate::limits::{
    NUMBERED_MAX, PRODUCER_APPENDS_MAX, PRODUCER_EPOCH_MAX, SEQUENCE_MAX,
    TRANSACTION_TIMEOUT_DEFAULT, TRANSACTION_TIMEOUT_MAX,
};
use crate::map::Map;
use crate::producer::{Lane, Numbers, Producer, Turn};
use crate::refusal::Code;
use crate::request::{Sequenced, Target};
use crate::time::{Span, Time};
use crate::timer::{Due, TimerId};

/// What a numbered batch is, before it is known where it goes.
pub(super) enum Ordered {
    /// It is the next of this count.
    Next(Lane, Sequenced),
    /// It lies there already.
    Stored(Sequenced, Vec<Append>),
}

/// What was produced, beside its batches: see [`Fact::Produced`].
pub(super) struct Produced {
    pub(super) at: Time,
    pub(super) by: Sequenced,
    pub(super) lane: Lane,
    pub(super) count: u32,
    pub(super) transactional: bool,
}

impl Broker {
    pub(super) fn init_producer(
        &mut self,
        conn: ConnId,
        tag: Tag,
        name: Option<&str>,
        (timeout, current): (Option<Span>, Option<(ProducerId, ProducerEpoch)>),
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let timeout = timeout.unwrap_or(TRANSACTION_TIMEOUT_DEFAULT);
        span_within("timeout", timeout, Span::from_millis(1), TRANSACTION_TIMEOUT_MAX)?;
        let known = name.and_then(|name| self.producer_names.get(name)).copied();
        let (id, epoch) = match known {
            Some(id) => self.next_life(id, current, out)?,
            None => {
                if let Some(name) = name {
                    valid_name("producer", name)?;
                }
                if let (Some(name), Some((id, _))) = (name, current) {
                    return Err(Code::UnknownProducer.because(format!(
                        "no producer has the name {}, and so {id} has not either: initialise it \
                         without naming its epoch",
                        shown(name)
                    )));
                }
                let max = self.config.limits.producers_max;
                self.room_for("producers", self.producers.len(), max)?;
                (self.next_producer, Some(ProducerEpoch(0)))
            }
        };
        if let Some(epoch) = epoch {
            let renewed = current.is_some();
            let name = name.map(Cow::Borrowed);
            let at = self.now;
            self.record(Fact::ProducerInitialised { id, name, epoch, renewed, timeout, at }, out);
        }
        let producer = &self.producers[&id];
        let epoch = producer.epoch;
        self.tell(conn, Event::ProducerReady { tag, producer: id, epoch }, out);
        self.note(out, || Activity::ProducerReady {
            producer: id,
            epoch,
            name: producer.name.as_deref().unwrap_or("").into(),
            conn,
        });
        Ok(())
    }

    /// The number and epoch that a name gets anew; no epoch if it keeps the one that it has,
    /// because it asked for it before and may not have heard the answer.
    fn next_life(
        &mut self,
        id: ProducerId,
        current: Option<(ProducerId, ProducerEpoch)>,
        out: &mut dyn Sink,
    ) -> Result<(ProducerId, Option<ProducerEpoch>), Refused> {
        let producer = &self.producers[&id];
        if let Some((named, epoch)) = current {
            let again = producer.renewed && epoch.0.checked_add(1) == Some(producer.epoch.0);
            if named == id && again {
                return Ok((id, None));
            }
            if named != id || epoch != producer.epoch {
                return Err(Code::ProducerFenced.because(format!(
                    "the name {} belongs to {id} in epoch {}, not to {named} in epoch {epoch}: \
                     another took it",
                    shown(producer.name.as_deref().unwrap_or("")),
                    producer.epoch
                )));
            }
        }
        let next = ProducerEpoch(producer.epoch.0 + 1);
        if producer.transaction.is_some() {
            self.finish(id, next, TransactionEnd::Fenced, out);
        }
        if next.0 <= PRODUCER_EPOCH_MAX {
            return Ok((id, Some(next)));
        }
        self.record(Fact::ProducerExpired { id }, out);
        Ok((self.next_producer, Some(ProducerEpoch(0))))
    }

    /// Which of its producer's batches this one is.
    pub(super) fn ordered(
        &self,
        to: &Target<'_>,
        by: Sequenced,
        count: u32,
    ) -> Result<Ordered, Refused> {
        let producer = self.producer_known(by.producer)?;
        let lane = match to {
            Target::Topic { name, partition: Some(partition) } => {
                Some(self.partition_named(name, *partition)?)
            }
            Target::Topic { partition: None, .. }
            | Target::Queue { .. }
            | Target::Exchange { .. } => None,
        };
        match producer.turn(lane, by, count)? {
            Turn::Next => Ok(Ordered::Next(lane, by)),
            Turn::Again(batch) => Ok(Ordered::Stored(by, batch.appends.to_vec())),
        }
    }

    /// Answers a batch that was stored when it was sent before.
    pub(super) fn published_before(
        &self,
        (conn, tag): (ConnId, Tag),
        confirm: bool,
        (by, count): (Sequenced, u32),
        appends: &[Append],
        out: &mut dyn Sink,
    ) {
        if confirm {
            let appends = Cow::Borrowed(appends);
            self.tell(
                conn,
                Event::Published { tag, appends, duplicate: true, duplicates: Cow::Borrowed(&[]) },
                out,
            );
        }
        let Sequenced { producer, sequence, .. } = by;
        self.note(out, || Activity::Deduplicated { producer, sequence, count, conn });
    }

    pub(super) fn producer_known(&self, id: ProducerId) -> Result<&Producer, Refused> {
        self.producers.get(&id).ok_or_else(|| {
            Code::UnknownProducer.because(format!(
                "there is no {id}: it was never initialised, or nothing was heard of it for long"
            ))
        })
    }

    /// What is remembered of a batch has a bound.
    pub(super) fn may_remember(&self, batches: &[Stored<'_>]) -> Result<(), Refused> {
        let logs: usize = batches.iter().map(|batch| batch.appends.len()).sum();
        if logs <= PRODUCER_APPENDS_MAX {
            return Ok(());
        }
        Err(Code::TooMany.because(format!(
            "a numbered batch lies in {PRODUCER_APPENDS_MAX} logs at most, and this one would in \
             {logs}: publish it without a number"
        )))
    }

    /// A producer may have been idle for too long.
    pub(super) fn producer_idle(&mut self, id: ProducerId, timer: TimerId, out: &mut dyn Sink) {
        let Some(producer) = self.producers.get_mut(&id) else { return };
        if producer.timer != timer {
            return;
        }
        let at = producer.forgotten_at();
        if at > self.now {
            producer.timer = self.timers.start(at, Due::Producer(id));
            return;
        }
        producer.timer = TimerId::NONE;
        let name = producer.name.clone().unwrap_or_default();
        self.record(Fact::ProducerExpired { id }, out);
        self.note(out, || Activity::ProducerExpired { producer: id, name: name.into() });
    }

    pub(super) fn producer_initialised(
        &mut self,
        id: ProducerId,
        name: Option<Cow<'_, str>>,
        (epoch, renewed): (ProducerEpoch, bool),
        timeout: Span,
        at: Time,
    ) -> Evolved {
        self.saw(at);
        let name = name.map(Cow::into_owned);
        if let Some(producer) = self.producers.get_mut(&id) {
            if producer.name != name || epoch < producer.epoch {
                return Err(broken(&format!("{id} in epoch {epoch}")));
            }
            producer.begin_epoch(epoch);
            producer.renewed = renewed;
            producer.timeout = timeout;
            producer.seen = at;
            return Ok(());
        }
        if id < self.next_producer {
            return Err(broken(&format!("{id}, which is gone")));
        }
        self.next_producer = ProducerId(id.0.checked_add(1).ok_or_else(|| broken("a number"))?);
        if let Some(name) = &name
            && self.producer_names.insert(name.clone(), id).is_some()
        {
            return Err(broken(&format!("another producer {name}")));
        }
        let mut producer = Producer {
            id,
            name,
            epoch,
            renewed,
            timeout,
            seen: at,
            timer: TimerId::NONE,
            lanes: Map::default(),
            transaction: None,
            ended: None,
        };
        producer.timer = self.timers.start(producer.forgotten_at(), Due::Producer(id));
        self.producers.insert(id, producer);
        Ok(())
    }

    pub(super) fn produced(&mut self, what: &Produced, batches: &[Stored<'_>]) -> Evolved {
        let Produced { at, by, lane, count, transactional } = *what;
        self.saw(at);
        if transactional {
            // Before they lie there, so that nobody sees them as stable.
            self.unsettle(by.producer, batches)?;
        }
        batches.iter().try_for_each(|batch| self.stored(at, batch))?;
        let producer = self.producer(by.producer)?;
        producer.begin_epoch(by.epoch);
        producer.seen = at;
        let numbers = producer.lanes.get_or_insert_with(lane, Numbers::default);
        if numbers.next != by.sequence {
            return Err(broken(&format!("sequence {} of {}", by.sequence, by.producer)));
        }
        let appends = batches.iter().flat_map(|batch| batch.appends.iter().copied()).collect();
        numbers.push(Numbered { sequence: by.sequence, count, appends });
        if transactional { self.wrote(by.producer, at, batches) } else { Ok(()) }
    }

    pub(super) fn producer_expired(&mut self, id: ProducerId) -> Evolved {
        let producer = self.producers.remove(&id).ok_or_else(|| broken(&format!("{id}")))?;
        if let Some(name) = &producer.name {
            self.producer_names.remove(name);
        }
        if producer.transaction.is_some() {
            return Err(broken(&format!("{id}, whose transaction is open")));
        }
        self.timers.stop(producer.timer);
        Ok(())
    }

    pub(super) fn producer_sequence(
        &mut self,
        id: ProducerId,
        lane: Lane,
        next: u32,
        batches: &[Numbered<'_>],
    ) -> Evolved {
        if next > SEQUENCE_MAX || batches.len() > NUMBERED_MAX {
            return Err(broken(&format!("sequence {next} of {id}")));
        }
        let batches = batches.iter().map(|batch| batch.to_owned().into_owned()).collect();
        self.producer(id)?.lanes.insert(lane, Numbers { next, batches });
        Ok(())
    }

    pub(super) fn producer(&mut self, id: ProducerId) -> Result<&mut Producer, super::Violation> {
        self.producers.get_mut(&id).ok_or_else(|| broken(&format!("{id}")))
    }

    /// What a snapshot says of the producers.
    pub(super) fn put_producers(&self, put: &mut impl FnMut(Fact<'_>)) {
        for producer in self.producers.values() {
            put(Fact::ProducerInitialised {
                id: producer.id,
                name: producer.name.as_deref().map(Cow::Borrowed),
                epoch: producer.epoch,
                renewed: producer.renewed,
                timeout: producer.timeout,
                at: producer.seen,
            });
            for (lane, numbers) in producer.lanes.iter() {
                let batches: Vec<_> = numbers.batches.iter().cloned().collect();
                put(Fact::ProducerSequence {
                    producer: producer.id,
                    lane: *lane,
                    next: numbers.next,
                    batches: batches.into(),
                });
            }
            self.put_transaction(producer, put);
        }
        self.put_aborted(put);
        if self.next_producer > ProducerId(1) {
            put(Fact::ProducersFrom { next: self.next_producer });
        }
    }

    /// What has to hold of the producers.
    pub(super) fn check_producers(&self) -> Result<(), super::Violation> {
        let named = self.producers.values().filter(|producer| producer.name.is_some()).count();
        hold(named == self.producer_names.len(), || "a producer's name is not known".to_owned())?;
        for producer in self.producers.values() {
            let id = producer.id;
            hold(id < self.next_producer, || format!("{id} will be given again"))?;
            for (lane, numbers) in producer.lanes.iter() {
                let mut next = None;
                for batch in &numbers.batches {
                    hold(next.is_none_or(|next| next == batch.sequence), || {
                        format!("{id} has a gap before sequence {} of {lane:?}", batch.sequence)
                    })?;
                    next = Some(batch.sequence.wrapping_add(batch.count) & SEQUENCE_MAX);
                }
                hold(next.is_none_or(|next| next == numbers.next), || {
                    format!("{id} is not at sequence {} of {lane:?}", numbers.next)
                })?;
            }
        }
        Ok(())
    }
}
