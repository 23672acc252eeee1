//! First attempts come in the queue's order, where nothing says otherwise (a delay, a priority, a
//! message group, a transaction): to each consumer, and to the receives of each
//! connection, a message that they are the first to get lies behind all that they were the first to
//! get before.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{
    Append, ConnId, ConsumerId, Delivery, Event, Fact, LeaseId, Offset, Place, QueueId, QueueKind,
    Span,
};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Order {
    newest: BTreeMap<(QueueId, ConnId, Option<ConsumerId>), Offset>,
    /// What came in a transaction, and so could be handed out only later.
    held: BTreeSet<(Place, Offset)>,
}

/// Whether nothing but its place says when its turn is.
fn is_plain(books: &Books, lease: &LeaseId) -> bool {
    let policy = books.policies.queue(lease.queue);
    let message = books.ledger.message(lease.queue, lease.offset);
    let waits = message.and_then(|message| message.delay).unwrap_or(policy.delay);
    policy.kind == QueueKind::Standard
        && policy.priorities == 0
        && waits == Span::ZERO
        && !books.ledger.is_revived(lease.queue, lease.offset)
}

impl Order {
    fn learn(&mut self, fact: &Fact<'_>) {
        let Fact::Produced { transactional: true, batches, .. } = fact else { return };
        for batch in batches.iter() {
            for Append { place, base } in batch.appends.iter() {
                let count = u64::from(batch.records.count());
                self.held.extend((0..count).map(|n| (*place, base.plus(n))));
            }
        }
    }

    fn handed_out(
        &mut self,
        books: &Books,
        conn: ConnId,
        consumer: Option<ConsumerId>,
        deliveries: &[Delivery<'_>],
    ) -> Result<(), String> {
        for Delivery { lease, attempt, .. } in deliveries {
            // What was released is handed out a second time for its first attempt.
            let held = self.held.contains(&(books.ledger.place(lease.queue), lease.offset));
            if *attempt > 1 || lease.delivery > 1 || held || !is_plain(books, lease) {
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

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Decided(conn, Event::Delivered { consumer, deliveries }) => {
                self.handed_out(books, *conn, Some(*consumer), deliveries)
            }
            Moment::Decided(conn, Event::Received { deliveries, .. }) => {
                self.handed_out(books, *conn, None, deliveries)
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
