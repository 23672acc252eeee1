//! First attempts come in the queue's order: to each consumer, and to the receives of each
//! connection, a message that they are the first to get lies behind all that they were the first to
//! get before.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{ConnId, ConsumerId, Delivery, Event, Fact, Offset, Place, QueueId};

use super::{Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Order {
    newest: BTreeMap<(QueueId, ConnId, Option<ConsumerId>), Offset>,
    /// What came in a transaction, and so could be handed out only later.
    held: BTreeSet<(QueueId, Offset)>,
}

impl Order {
    fn learn(&mut self, fact: &Fact<'_>) {
        let Fact::Produced { transactional: true, batches, .. } = fact else { return };
        for batch in batches.iter() {
            for append in batch.appends.iter() {
                let Place::Queue(queue) = append.place else { continue };
                let count = u64::from(batch.records.count());
                self.held.extend((0..count).map(|n| (queue, append.base.plus(n))));
            }
        }
    }

    fn handed_out(
        &mut self,
        conn: ConnId,
        consumer: Option<ConsumerId>,
        deliveries: &[Delivery<'_>],
    ) -> Result<(), String> {
        for Delivery { lease, attempt, .. } in deliveries {
            // What was released is handed out a second time for its first attempt.
            let held = self.held.contains(&(lease.queue, lease.offset));
            if *attempt > 1 || lease.delivery > 1 || held {
                continue;
            }
            let newest = self.newest.insert((lease.queue, conn, consumer), lease.offset);
            if let Some(newest) = newest.filter(|newest| *newest >= lease.offset) {
                return Err(format!("{conn} {consumer:?} gets {lease} first after {newest}"));
            }
        }
        Ok(())
    }
}

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "first attempts come in the queue's order"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Decided(conn, Event::Delivered { consumer, deliveries }) => {
                self.handed_out(*conn, Some(*consumer), deliveries)
            }
            Moment::Decided(conn, Event::Received { deliveries, .. }) => {
                self.handed_out(*conn, None, deliveries)
            }
            Moment::Fact(fact) => {
                self.learn(fact);
                Ok(())
            }
            Moment::Recovered { history, .. } => {
                self.newest.clear();
                self.held.clear();
                super::facts(history).for_each(|fact| self.learn(&fact));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
