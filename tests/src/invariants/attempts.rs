//! Attempts are counted without a gap, never pass the maximum, and then there is exactly one dead
//! letter.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{DeathReason, Event, Fact, Offset, QueueId};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Attempts {
    failed: BTreeMap<(QueueId, Offset), u32>,
    dead: BTreeSet<(QueueId, Offset)>,
}

fn max(books: &Books, queue: QueueId) -> u32 {
    books.policies.queue(queue).deliveries_max.unwrap_or(u32::MAX)
}

impl Attempts {
    fn fact(&mut self, books: &Books, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::AttemptEnded { queue, offset, .. } = fact {
            let failed = self.failed.entry((*queue, *offset)).or_default();
            *failed += 1;
            if *failed >= max(books, *queue) {
                return Err(format!("{queue}@{offset} failed {failed} times and lives"));
            }
        } else if let Fact::DeadLettered { queue, offset, reason, .. }
        | Fact::Died { queue, offset, reason, .. } = fact
        {
            let attempts = self.failed.get(&(*queue, *offset)).copied().unwrap_or_default() + 1;
            let max = max(books, *queue);
            if *reason == DeathReason::DeliveriesExhausted && attempts != max {
                return Err(format!("{queue}@{offset} died after {attempts} attempts of {max}"));
            }
            if !self.dead.insert((*queue, *offset)) {
                return Err(format!("{queue}@{offset} died twice"));
            }
        } else if let Fact::BroughtBack { to, to_offset, .. } = fact {
            self.failed.remove(&(*to, *to_offset));
            self.dead.remove(&(*to, *to_offset));
        }
        Ok(())
    }

    fn decided(&self, books: &Books, event: &Event<'_>) -> Result<(), String> {
        let (Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. }) = event
        else {
            return Ok(());
        };
        for delivery in deliveries.iter() {
            let (queue, offset) = (delivery.lease.queue, delivery.lease.offset);
            let failed = self.failed.get(&(queue, offset)).copied().unwrap_or_default();
            let max = max(books, queue);
            if delivery.attempt != failed + 1 || delivery.attempt > max {
                return Err(format!(
                    "{queue}@{offset} is attempt {} of {max}, after {failed} that failed",
                    delivery.attempt
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for Attempts {
    fn name(&self) -> &'static str {
        "attempts never pass the maximum, then one dead letter"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.fact(books, fact),
            Moment::Decided(_, event) => self.decided(books, event),
            Moment::Recovered { history, .. } => {
                *self = Attempts::default();
                super::facts(history).try_for_each(|fact| self.fact(books, &fact))
            }
            _ => Ok(()),
        }
    }
}
