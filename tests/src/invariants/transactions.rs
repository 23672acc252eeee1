//! What an open or an aborted transaction wrote is handed out to nobody: no message of it is
//! delivered, and no record of it is read by who reads only what is committed.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{
    Append, Broker, ConnId, Event, Fact, Fetched, Isolation, Offset, Op, Place, ProducerId, Tag,
    TopicId,
};

use super::{Books, Invariant, Moment};

/// What transactions wrote, by the facts alone.
#[derive(Clone, Default)]
pub(super) struct Written {
    open: BTreeMap<ProducerId, BTreeSet<(Place, Offset)>>,
    aborted: BTreeSet<(Place, Offset)>,
}

impl Written {
    pub(super) fn learn(&mut self, fact: &Fact<'_>) {
        if let Fact::Produced { producer, transactional: true, batches, .. } = fact {
            let open = self.open.entry(*producer).or_default();
            for batch in batches.iter() {
                let count = u64::from(batch.records.count());
                for Append { place, base } in batch.appends.iter() {
                    open.extend((0..count).map(|n| (*place, base.plus(n))));
                }
            }
        } else if let Fact::TransactionEnded { producer, commit, .. } = fact {
            let ended = self.open.remove(producer).unwrap_or_default();
            if !commit {
                self.aborted.extend(ended);
            }
        }
    }

    /// What a transaction has written that is open, until now.
    pub(super) fn of(&self, producer: ProducerId) -> impl Iterator<Item = &(Place, Offset)> {
        self.open.get(&producer).into_iter().flatten()
    }

    pub(super) fn is_aborted(&self, place: Place, offset: Offset) -> bool {
        self.aborted.contains(&(place, offset))
    }

    pub(super) fn is_committed(&self, place: Place, offset: Offset) -> bool {
        let written = (place, offset);
        !self.aborted.contains(&written) && !self.open.values().any(|open| open.contains(&written))
    }

    /// Whether a transaction is open that wrote before this.
    pub(super) fn is_stable(&self, place: Place, offset: Offset) -> bool {
        let before = (place, Offset(0))..(place, offset);
        !self.open.values().any(|open| open.range(before.clone()).next().is_some())
    }
}

#[derive(Clone, Default)]
pub(super) struct Transactions {
    topics: BTreeMap<String, TopicId>,
    /// Polls of those who read only what is committed.
    polls: BTreeSet<(ConnId, Tag)>,
}

impl Transactions {
    fn look(&mut self, broker: &Broker) {
        let topics = broker.overview().topics.into_iter();
        self.topics = topics.map(|topic| (topic.name, topic.id)).collect();
    }

    fn read(&self, books: &Books, fetched: &Fetched<'_>) -> Result<(), String> {
        let topic = self.topics.get(fetched.topic.as_ref()).ok_or("a topic that is not there")?;
        let place = Place::Partition(*topic, fetched.partition);
        let written = books.ledger.written();
        for index in 0..fetched.records.count() {
            let offset = fetched.offset(index);
            if !written.is_committed(place, offset) || !written.is_stable(place, offset) {
                return Err(format!("{place}@{offset} is read, and not committed"));
            }
        }
        Ok(())
    }

    fn decided(&mut self, books: &Books, conn: ConnId, event: &Event<'_>) -> Result<(), String> {
        if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = event {
            for delivery in deliveries.iter() {
                let (queue, offset) = (delivery.lease.queue, delivery.lease.offset);
                if !books.ledger.is_committed(queue, offset) {
                    return Err(format!("{queue}@{offset} is handed out, and not committed"));
                }
            }
        } else if let Event::Polled { tag, batches } = event
            && self.polls.remove(&(conn, *tag))
        {
            return batches.iter().try_for_each(|fetched| self.read(books, fetched));
        }
        Ok(())
    }
}

impl Invariant for Transactions {
    fn name(&self) -> &'static str {
        "what is not committed is handed out to nobody"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                if let Op::Poll { budget, .. } = &request.op
                    && budget.isolation == Isolation::Committed
                {
                    self.polls.insert((*conn, request.tag));
                }
            }
            Moment::Decided(conn, event) => return self.decided(books, *conn, event),
            Moment::Looked(broker) => self.look(broker),
            Moment::Recovered { broker, .. } => {
                self.polls.clear();
                self.look(broker);
            }
            _ => {}
        }
        Ok(())
    }
}
