//! What lies where, by the facts alone.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use fanlight_core::{
    Append, Fact, Offset, Place, QueueId, RawRecord, Record, Span, Stored, Time, TopicId,
};

use super::transactions::Written;

/// A message or record, as it came.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) body: Vec<u8>,
    pub(super) key: Option<Vec<u8>>,
    /// When it was appended.
    pub(super) at: Time,
    pub(super) ttl: Option<Span>,
    pub(super) delay: Option<Span>,
}

impl Message {
    fn of(record: &Record<'_>, at: Time) -> Rc<Message> {
        Rc::new(Message {
            body: record.body.to_vec(),
            key: record.key.map(<[u8]>::to_vec),
            at,
            ttl: record.options.ttl,
            delay: record.options.delay,
        })
    }
}

/// A part of a work group: what of a partition is settled, for this group alone.
#[derive(Clone, Default)]
struct Part {
    start: u64,
    settled: BTreeSet<u64>,
    /// What died, and was brought back.
    revived: BTreeSet<u64>,
}

/// Which partition each part of a work group works on.
#[derive(Clone, Default)]
struct Parts(BTreeMap<QueueId, (TopicId, u32)>);

impl Parts {
    fn learn(&mut self, fact: &Fact<'_>) {
        if let Fact::WorkGroupMade { topic, parts, .. } = fact {
            let of = parts.iter().zip(0..).map(|((id, _), partition)| (*id, (*topic, partition)));
            self.0.extend(of);
        }
    }

    /// Where the messages of a queue, or of a part of a work group, lie.
    fn place(&self, queue: QueueId) -> Place {
        match self.0.get(&queue) {
            Some((topic, partition)) => Place::Partition(*topic, *partition),
            None => Place::Queue(queue),
        }
    }

    fn on(&self, place: Place) -> impl Iterator<Item = QueueId> {
        let parts = self.0.iter();
        let on = parts.filter(move |(_, (t, p))| Place::Partition(*t, *p) == place);
        on.map(|(id, _)| *id)
    }
}

/// The messages that are in each log, and which of them each work group has settled.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    ends: BTreeMap<Place, u64>,
    messages: BTreeMap<(Place, Offset), Rc<Message>>,
    /// Messages that are not settled, of queues and of parts of work groups.
    counts: BTreeMap<QueueId, u64>,
    of: Parts,
    parts: BTreeMap<QueueId, Part>,
    written: Written,
}

impl Ledger {
    pub(super) fn learn(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::TransactionEnded { producer, commit: false, .. } = fact {
            let taken_back: Vec<_> = self.written.of(*producer).copied().collect();
            for (place, offset) in taken_back {
                self.taken_back(place, offset);
            }
        }
        self.written.learn(fact);
        if let Fact::Published { at, batches } | Fact::Produced { at, batches, .. } = fact {
            for Stored { appends, records } in batches.iter() {
                for Append { place, base } in appends.iter() {
                    self.append(*place, *base, records.iter().map(|r| Message::of(&r, *at)))?;
                }
            }
        } else if let Fact::Settled { queue, offsets } = fact {
            offsets.iter().try_for_each(|offset| self.gone(*queue, *offset))?;
        } else if let Fact::RunsSettled { queue, runs } = fact {
            for (start, count) in runs.iter() {
                (start.0..start.0 + count).try_for_each(|gone| self.gone(*queue, Offset(gone)))?;
            }
        } else if let Fact::Died { queue, offset, at, to, record, .. } = fact {
            self.gone(*queue, *offset)?;
            for Append { place, base } in to.iter() {
                self.append(*place, *base, [Message::of(&record.record(), *at)].into_iter())?;
            }
        } else if let Fact::DeadLettered { queue, offset, at, to, to_offset, record, .. }
        | Fact::Redriven { queue, offset, at, to, to_offset, record } = fact
        {
            self.moved((*queue, *offset), (*to, *to_offset), (record, *at))?;
        } else if let Fact::BroughtBack { queue, offset, to, to_offset, .. } = fact {
            self.gone(*queue, *offset)?;
            self.brought_back(*to, *to_offset)?;
        } else {
            return self.of_a_topic(fact);
        }
        Ok(())
    }

    fn of_a_topic(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::WorkGroupMade { parts, .. } = fact {
            self.of.learn(fact);
            for (id, start) in parts.iter() {
                let place = self.of.place(*id);
                let from = (place, *start)..=(place, Offset(u64::MAX));
                let there = self.messages.range(from).map(|(key, _)| *key);
                let count = there.filter(|(place, at)| !self.written.is_aborted(*place, *at));
                self.counts.insert(*id, count.count() as u64);
                self.parts.insert(*id, Part { start: start.0, ..Part::default() });
            }
        } else if let Fact::LogTrimmed { place, start, .. } = fact {
            let gone = self.offsets(*place).take_while(|offset| offset < start);
            let gone: Vec<_> = gone.collect();
            gone.into_iter().for_each(|offset| self.lost(*place, offset));
        } else if let Fact::Compacted { topic, partition, offsets, .. } = fact {
            let place = Place::Partition(*topic, *partition);
            for offset in offsets.iter() {
                if !self.messages.contains_key(&(place, *offset)) {
                    return Err(format!("{place}@{offset} is compacted, and is not there"));
                }
                self.lost(place, *offset);
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        place: Place,
        base: Offset,
        messages: impl Iterator<Item = Rc<Message>>,
    ) -> Result<(), String> {
        let end = self.ends.entry(place).or_default();
        if base.0 != *end {
            return Err(format!("a batch at {base} of {place}, which ends at {end}"));
        }
        for message in messages {
            self.messages.insert((place, Offset(*end)), message);
            *end += 1;
        }
        let came = *end - base.0;
        if let Place::Queue(queue) = place {
            *self.counts.entry(queue).or_default() += came;
        }
        for part in self.of.on(place) {
            *self.counts.entry(part).or_default() += came;
        }
        Ok(())
    }

    fn gone(&mut self, queue: QueueId, offset: Offset) -> Result<(), String> {
        if !self.is_there(queue, offset) {
            return Err(format!("{queue}@{offset} goes, and is not there"));
        }
        *self.counts.entry(queue).or_default() -= 1;
        match self.parts.get_mut(&queue) {
            Some(part) => drop(part.settled.insert(offset.0)),
            None => drop(self.messages.remove(&(Place::Queue(queue), offset))),
        }
        Ok(())
    }

    /// A record of a topic is worked on anew.
    fn brought_back(&mut self, part: QueueId, offset: Offset) -> Result<(), String> {
        let place = self.of.place(part);
        let is_held = self.messages.contains_key(&(place, offset));
        let of = self.parts.get_mut(&part).ok_or_else(|| format!("{part} is no work group's"))?;
        if !is_held || !of.settled.remove(&offset.0) {
            return Err(format!("{part}@{offset} is brought back, and never went"));
        }
        of.revived.insert(offset.0);
        *self.counts.entry(part).or_default() += 1;
        Ok(())
    }

    /// What an aborted transaction wrote leaves queues and workers; in a topic it stays, for those
    /// who read all there is.
    fn taken_back(&mut self, place: Place, offset: Offset) {
        match place {
            Place::Queue(queue) => {
                let was = self.messages.remove(&(place, offset));
                *self.counts.entry(queue).or_default() -= u64::from(was.is_some());
            }
            Place::Partition(..) => self.unworked(place, offset),
        }
    }

    /// A record of a partition is gone for everybody.
    fn lost(&mut self, place: Place, offset: Offset) {
        if !self.written.is_aborted(place, offset) {
            self.unworked(place, offset);
        }
        self.messages.remove(&(place, offset));
    }

    fn unworked(&mut self, place: Place, offset: Offset) {
        for id in self.of.on(place) {
            if self.messages.contains_key(&(place, offset)) && !self.parts[&id].settles(offset) {
                *self.counts.entry(id).or_default() -= 1;
            }
        }
    }

    fn moved(
        &mut self,
        (from, offset): (QueueId, Offset),
        (to, to_offset): (QueueId, Offset),
        (record, at): (&RawRecord<'_>, Time),
    ) -> Result<(), String> {
        self.gone(from, offset)?;
        let message = Message::of(&record.record(), at);
        self.append(Place::Queue(to), to_offset, [message].into_iter())
    }

    /// Whether a message is in a queue, or is not settled in a part of a work group.
    fn is_there(&self, queue: QueueId, offset: Offset) -> bool {
        self.message(queue, offset).is_some()
    }

    /// A message of a queue, or of a part of a work group, if it is not settled.
    pub(super) fn message(&self, queue: QueueId, offset: Offset) -> Option<&Message> {
        let place = self.of.place(queue);
        if self.parts.get(&queue).is_some_and(|part| part.settles(offset))
            || self.written.is_aborted(place, offset)
        {
            return None;
        }
        self.record(place, offset)
    }

    /// The offsets of the messages of a queue that are not settled, rising.
    pub(super) fn unsettled(&self, queue: QueueId) -> impl Iterator<Item = Offset> {
        let all = self.offsets(self.of.place(queue));
        all.filter(move |offset| self.is_there(queue, *offset))
    }

    /// Whether a message has died before, and was brought back to where it lies: it is in no order
    /// with the others.
    pub(super) fn is_revived(&self, queue: QueueId, offset: Offset) -> bool {
        self.parts.get(&queue).is_some_and(|part| part.revived.contains(&offset.0))
    }

    /// What lies in a log.
    pub(super) fn record(&self, place: Place, offset: Offset) -> Option<&Message> {
        self.messages.get(&(place, offset)).map(Rc::as_ref)
    }

    /// The offsets of what lies in a log, rising.
    pub(super) fn offsets(&self, place: Place) -> impl Iterator<Item = Offset> {
        let all = self.messages.range((place, Offset(0))..=(place, Offset(u64::MAX)));
        all.map(|((_, offset), _)| *offset)
    }

    /// Whether no transaction that is open or was aborted wrote a message of a queue or part.
    pub(super) fn is_committed(&self, queue: QueueId, offset: Offset) -> bool {
        self.written.is_committed(self.of.place(queue), offset)
    }

    /// What transactions wrote.
    pub(super) fn written(&self) -> &Written {
        &self.written
    }

    /// The offset after the last one.
    pub(super) fn end(&self, place: Place) -> u64 {
        self.ends.get(&place).copied().unwrap_or_default()
    }

    /// Where the messages of a queue, or of a part of a work group, lie.
    pub(super) fn place(&self, queue: QueueId) -> Place {
        self.of.place(queue)
    }

    /// The offset after the last one of a queue, or of the partition that a part works on.
    pub(super) fn queue_end(&self, queue: QueueId) -> u64 {
        self.end(self.of.place(queue))
    }

    /// How many messages of a queue, or of a part of a work group, are not settled.
    pub(super) fn count(&self, queue: QueueId) -> u64 {
        self.counts.get(&queue).copied().unwrap_or_default()
    }
}

impl Part {
    /// Whether the work group has nothing to do with it, or nothing more.
    fn settles(&self, offset: Offset) -> bool {
        offset.0 < self.start || self.settled.contains(&offset.0)
    }
}
