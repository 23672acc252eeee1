//! Producers and their transactions, described (Kafka's `ListTransactions`, `DescribeTransactions`
//! and `DescribeProducers`).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Broker, Refused, shown};
use crate::id::{Offset, Place, ProducerId, TopicId};
use crate::limits::{PRODUCERS_SHOWN_MAX, WRITES_SHOWN_MAX};
use crate::producer::{Lane, Numbers, Producer};
use crate::refusal::Code;
use crate::transaction::Transaction;
use crate::view::{ProducerView, SequenceView, TransactionView, WriteView};

impl Broker {
    /// Producers from this number on.
    pub(super) fn producers_view(&self, from: ProducerId) -> Vec<ProducerView> {
        let producers = self.producers.iter().filter(|(id, _)| **id >= from);
        producers.take(PRODUCERS_SHOWN_MAX).map(|(_, p)| self.producer_view(p)).collect()
    }

    /// Producers whose transaction is open, from this number on.
    pub(super) fn transactions_view(&self, from: ProducerId) -> Vec<ProducerView> {
        let open = self.transactions.iter().filter(|id| *id >= from).take(PRODUCERS_SHOWN_MAX);
        open.map(|id| self.producer_view(&self.producers[&id])).collect()
    }

    /// The producer with this transactional name.
    pub(super) fn producer_by(&self, name: &str) -> Result<ProducerId, Refused> {
        self.producer_names.get(name).copied().ok_or_else(|| {
            Code::UnknownProducer.because(format!(
                "there is no producer with the transactional name {}, or it was forgotten",
                shown(name)
            ))
        })
    }

    /// Producers that have to do with a partition, from this number on, and what that is.
    pub(super) fn producers_of(
        &self,
        (topic, partition): (TopicId, u32),
        from: ProducerId,
    ) -> Vec<ProducerView> {
        let place = Place::Partition(topic, partition);
        let view = |(_, producer): (_, &Producer)| {
            let numbers = producer.lanes.get(&Some((topic, partition)));
            let open = producer.transaction.as_ref();
            let writes = open.map_or(Vec::new(), |open| {
                let here = open.writes().filter(|(other, _)| *other == place);
                here.map(|write| self.write_view(write)).collect()
            });
            if numbers.is_none() && writes.is_empty() {
                return None;
            }
            let mut view = self.producer_view(producer);
            view.sequences = numbers.into_iter().map(|n| self.sequence_view(place, n)).collect();
            if let Some(open) = &mut view.transaction {
                open.writes = writes;
            }
            Some(view)
        };
        self.producers.from(from).filter_map(view).take(PRODUCERS_SHOWN_MAX).collect()
    }

    /// One producer, with its numbers and what its transaction wrote.
    pub(super) fn producer_described(&self, id: ProducerId) -> Result<ProducerView, Refused> {
        let producer = self.producer_known(id)?;
        let mut view = self.producer_view(producer);
        let sequence = |(lane, numbers): (&Lane, &Numbers)| match lane {
            Some((topic, partition)) => {
                self.sequence_view(Place::Partition(*topic, *partition), numbers)
            }
            None => SequenceView { topic: None, partition: None, next: numbers.next },
        };
        view.sequences = producer.lanes.iter().map(sequence).collect();
        if let (Some(view), Some(open)) = (&mut view.transaction, &producer.transaction) {
            view.writes = self.writes_view(open);
        }
        Ok(view)
    }

    fn producer_view(&self, producer: &Producer) -> ProducerView {
        let transaction = producer.transaction.as_ref().map(|open| TransactionView {
            began: open.began,
            until: open.began + producer.timeout,
            records: open.records(),
            logs: open.writes().count() as u32,
            offsets: open.commits.len() as u32,
            writes: Vec::new(),
        });
        ProducerView {
            id: producer.id,
            name: producer.name.clone(),
            epoch: producer.epoch,
            timeout: producer.timeout,
            seen: producer.seen,
            forgotten_at: producer.forgotten_at(),
            sequences: Vec::new(),
            transaction,
        }
    }

    fn sequence_view(&self, place: Place, numbers: &Numbers) -> SequenceView {
        let (topic, partition) = match place {
            Place::Partition(topic, partition) => (Some(topic), Some(partition)),
            Place::Queue(_) => (None, None),
        };
        let topic = topic.map(|topic| self.topic_name(topic).to_string());
        SequenceView { topic, partition, next: numbers.next }
    }

    fn write_view(&self, (place, runs): (Place, &[(Offset, u64)])) -> WriteView {
        let name = match place {
            Place::Queue(id) => self.queue_name(id).to_string(),
            Place::Partition(topic, _) => self.topic_name(topic).to_string(),
        };
        let records = runs.iter().map(|(_, count)| count).sum();
        WriteView { place, name, first: runs[0].0, records }
    }

    fn writes_view(&self, open: &Transaction) -> Vec<WriteView> {
        open.writes().take(WRITES_SHOWN_MAX).map(|write| self.write_view(write)).collect()
    }
}
