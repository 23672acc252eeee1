//! A producer that numbers its batches, so that one that is sent again is stored once.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use crate::fact::Numbered;
use crate::id::{ProducerEpoch, ProducerId, TopicId};
use crate::limits::{
    NUMBERED_MAX, PRODUCER_IDLE_MAX, PRODUCER_LANES_MAX, PRODUCER_NAME_IDLE_MAX, SEQUENCE_MAX,
};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::refusal::{Code, Refusal};
use crate::request::Sequenced;
use crate::time::{Span, Time};
use crate::timer::TimerId;
use crate::transaction::Transaction;

/// What has a count of its own: a partition that is published to by its number, as in Kafka. None:
/// everything else.
pub(crate) type Lane = Option<(TopicId, u32)>;

#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) id: ProducerId,
    /// Its transactional name.
    pub(crate) name: Option<String>,
    pub(crate) epoch: ProducerEpoch,
    /// It named the epoch before this one to get this one, and may do so again.
    pub(crate) renewed: bool,
    /// How long its transactions may stay open.
    pub(crate) timeout: Span,
    /// When it was last heard of.
    pub(crate) seen: Time,
    /// Runs until it is idle for too long, and then perhaps on.
    pub(crate) timer: TimerId,
    pub(crate) lanes: Map<Lane, Numbers>,
    /// What is open.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// Whether its last transaction in this life was committed.
    pub(crate) ended: Option<bool>,
}

/// One count of a producer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Numbers {
    /// The number that comes next.
    pub(crate) next: u32,
    /// The newest batches, the oldest first.
    pub(crate) batches: VecDeque<Numbered<'static>>,
}

/// What a numbered batch is.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// The one that comes next.
    Next,
    /// One that was stored before.
    Again(&'a Numbered<'static>),
}

impl Producer {
    /// When it is forgotten if nothing more is heard of it.
    pub(crate) fn forgotten_at(&self) -> Time {
        let idle = if self.name.is_some() { PRODUCER_NAME_IDLE_MAX } else { PRODUCER_IDLE_MAX };
        self.seen + idle
    }

    /// Its epoch is another: the numbers begin at 0 again, and what had the old ones is forgotten.
    pub(crate) fn begin_epoch(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.lanes = Map::default();
            self.ended = None;
        }
    }

    /// Whether it still speaks for itself. One without a name may raise its epoch by itself, as
    /// Kafka's do after an error.
    pub(crate) fn may_speak(&self, epoch: ProducerEpoch) -> Result<(), Refusal<'static>> {
        if epoch == self.epoch || (epoch > self.epoch && self.name.is_none()) {
            return Ok(());
        }
        Err(Code::ProducerFenced.because(format!(
            "{} is in epoch {}, not {epoch}: another took its place, or its transaction was \
             aborted; initialise it again",
            self.id, self.epoch
        )))
    }

    /// What a batch of `count` records is, by its number.
    pub(crate) fn turn(
        &self,
        lane: Lane,
        by: Sequenced,
        count: u32,
    ) -> Result<Turn<'_>, Refusal<'static>> {
        let Sequenced { epoch, sequence, .. } = by;
        self.may_speak(epoch)?;
        if sequence > SEQUENCE_MAX {
            return Err(Code::BadArgument
                .because(format!("sequence is {sequence}; it is 0 to {SEQUENCE_MAX}")));
        }
        let numbers = self.lanes.get(&lane).filter(|_| epoch == self.epoch);
        let next = numbers.map_or(0, |numbers| numbers.next);
        if sequence == next {
            if numbers.is_none() && self.lanes.len() >= PRODUCER_LANES_MAX {
                return Err(Code::TooMany.because(format!(
                    "{} numbers its batches for {PRODUCER_LANES_MAX} partitions, and there may be \
                     no more: use another producer for others",
                    self.id
                )));
            }
            return Ok(Turn::Next);
        }
        let same = |batch: &&Numbered<'_>| (batch.sequence, batch.count) == (sequence, count);
        if let Some(batch) = numbers.and_then(|numbers| numbers.batches.iter().find(same)) {
            if planted(Planted::DuplicateIsStored) {
                return Ok(Turn::Next);
            }
            return Ok(Turn::Again(batch));
        }
        // Numbers go round, so what is at most half a round behind is old.
        if next.wrapping_sub(sequence) & SEQUENCE_MAX <= SEQUENCE_MAX / 2 {
            return Err(Code::DuplicateSequence.because(format!(
                "{} is at sequence {next}, and {sequence} was used before, by a batch that is no \
                 longer remembered or had another number of records",
                self.id
            )));
        }
        Err(Code::OutOfOrderSequence.because(format!(
            "{} is at sequence {next}, not yet at {sequence}: send what is missing first",
            self.id
        )))
    }
}

impl Numbers {
    /// A batch was stored.
    pub(crate) fn push(&mut self, batch: Numbered<'static>) {
        self.next = batch.sequence.wrapping_add(batch.count) & SEQUENCE_MAX;
        if self.batches.len() == NUMBERED_MAX {
            self.batches.pop_front();
        }
        self.batches.push_back(batch);
    }
}

impl Numbered<'_> {
    pub(crate) fn into_owned(self) -> Numbered<'static> {
        Numbered { appends: Cow::Owned(self.appends.into_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn producer(name: Option<&str>) -> Producer {
        Producer {
            id: ProducerId(1),
            name: name.map(String::from),
            epoch: ProducerEpoch(3),
            renewed: false,
            timeout: Span::ZERO,
            seen: Time::ZERO,
            timer: TimerId::NONE,
            lanes: Map::default(),
            transaction: None,
            ended: None,
        }
    }

    fn push(producer: &mut Producer, sequence: u32, count: u32) {
        let batch = Numbered { sequence, count, appends: Cow::Owned(Vec::new()) };
        producer.lanes.get_or_insert_with(None, Numbers::default).push(batch);
    }

    fn turn(producer: &Producer, sequence: u32, count: u32) -> Result<bool, Code> {
        let by = Sequenced { producer: producer.id, epoch: producer.epoch, sequence };
        match producer.turn(None, by, count) {
            Ok(Turn::Next) => Ok(true),
            Ok(Turn::Again(_)) => Ok(false),
            Err(refusal) => Err(refusal.code),
        }
    }

    #[test]
    fn the_last_five_batches_are_known_and_gaps_are_refused() {
        let mut producer = producer(None);
        assert_eq!(turn(&producer, 1, 1), Err(Code::OutOfOrderSequence));
        for sequence in 0..6 {
            assert_eq!(turn(&producer, sequence * 2, 2), Ok(true));
            push(&mut producer, sequence * 2, 2);
        }
        assert_eq!(turn(&producer, 0, 2), Err(Code::DuplicateSequence));
        assert_eq!(turn(&producer, 2, 2), Ok(false));
        assert_eq!(turn(&producer, 10, 2), Ok(false));
        assert_eq!(turn(&producer, 10, 1), Err(Code::DuplicateSequence));
        assert_eq!(turn(&producer, 13, 1), Err(Code::OutOfOrderSequence));
        assert_eq!(turn(&producer, SEQUENCE_MAX + 1, 1), Err(Code::BadArgument));
    }

    #[test]
    fn numbers_go_round() {
        let mut producer = producer(None);
        producer.lanes.get_or_insert_with(None, Numbers::default).next = SEQUENCE_MAX - 1;
        assert_eq!(turn(&producer, SEQUENCE_MAX - 1, 4), Ok(true));
        push(&mut producer, SEQUENCE_MAX - 1, 4);
        assert_eq!(turn(&producer, 2, 1), Ok(true));
        assert_eq!(turn(&producer, SEQUENCE_MAX - 1, 4), Ok(false));
        assert_eq!(turn(&producer, SEQUENCE_MAX, 1), Err(Code::DuplicateSequence));
        assert_eq!(turn(&producer, 3, 1), Err(Code::OutOfOrderSequence));
    }

    #[test]
    fn only_a_producer_without_a_name_raises_its_epoch_by_itself() {
        for (name, later) in [(None, Ok(())), (Some("pay"), Err(Code::ProducerFenced))] {
            let producer = producer(name);
            let speak = |epoch| producer.may_speak(ProducerEpoch(epoch)).map_err(|r| r.code);
            assert_eq!(speak(2), Err(Code::ProducerFenced));
            assert_eq!(speak(3), Ok(()));
            assert_eq!(speak(4), later);
        }
    }
}
