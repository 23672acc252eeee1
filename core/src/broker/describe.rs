//! Producers and their transactions, described (Kafka's `ListTransactions`, `DescribeTransactions`
//! and `DescribeProducers`).

use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Broker, Refused};
use crate::id::{Place, ProducerId};
use crate::limits::{PRODUCERS_SHOWN_MAX, WRITES_SHOWN_MAX};
use crate::producer::Producer;
use crate::transaction::Transaction;
use crate::view::{ProducerView, SequenceView, TransactionView, WriteView};

impl Broker {
    /// Producers from this number on.
    pub(super) fn producers_view(&self, from: ProducerId) -> Vec<ProducerView> {
        let producers = self.producers.iter().filter(|(id, _)| **id >= from);
        producers.take(PRODUCERS_SHOWN_MAX).map(|(_, p)| self.producer_view(p)).collect()
    }

    /// One producer, with its numbers and what its transaction wrote.
    pub(super) fn producer_described(&self, id: ProducerId) -> Result<ProducerView, Refused> {
        let producer = self.producer_known(id)?;
        let mut view = self.producer_view(producer);
        let sequence = |(lane, numbers): (&Option<_>, &crate::producer::Numbers)| SequenceView {
            topic: lane.map(|(topic, _)| self.topic_name(topic).to_string()),
            partition: lane.map(|(_, partition)| partition),
            next: numbers.next,
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

    fn writes_view(&self, open: &Transaction) -> Vec<WriteView> {
        let name = |place| match place {
            Place::Queue(id) => self.queue_name(id).to_string(),
            Place::Partition(topic, _) => self.topic_name(topic).to_string(),
        };
        let write = |(place, runs): (Place, &[(crate::id::Offset, u64)])| WriteView {
            place,
            name: name(place),
            first: runs[0].0,
            records: runs.iter().map(|(_, count)| count).sum(),
        };
        open.writes().take(WRITES_SHOWN_MAX).map(write).collect()
    }
}
