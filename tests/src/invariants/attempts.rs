//! Attempts are counted without a gap, never pass the maximum, and then there is exactly one dead
//! letter.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{DeathReason, Event, Fact, Offset, QueueId, QueuePolicy};

use super::{Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Attempts {
    deliveries_max: BTreeMap<QueueId, u32>,
    failed: BTreeMap<(QueueId, Offset), u32>,
    dead: BTreeSet<(QueueId, Offset)>,
}

impl Attempts {
    fn fact(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::QueueMade { id, settings, .. } | Fact::QueueAltered { id, settings, .. } = fact
        {
            let max = QueuePolicy::of(settings).deliveries_max;
            self.deliveries_max.insert(*id, max.unwrap_or(u32::MAX));
        } else if let Fact::AttemptEnded { queue, offset, .. } = fact {
            let failed = self.failed.entry((*queue, *offset)).or_default();
            *failed += 1;
            if *failed >= self.deliveries_max[queue] {
                return Err(format!("{queue}@{offset} failed {failed} times and lives"));
            }
        } else if let Fact::DeadLettered { queue, offset, reason, .. }
        | Fact::Died { queue, offset, reason, .. } = fact
        {
            let attempts = self.failed.get(&(*queue, *offset)).copied().unwrap_or_default() + 1;
            let max = self.deliveries_max[queue];
            if *reason == DeathReason::DeliveriesExhausted && attempts != max {
                return Err(format!("{queue}@{offset} died after {attempts} attempts of {max}"));
            }
            if !self.dead.insert((*queue, *offset)) {
                return Err(format!("{queue}@{offset} died twice"));
            }
        }
        Ok(())
    }

    fn decided(&self, event: &Event<'_>) -> Result<(), String> {
        let (Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. }) = event
        else {
            return Ok(());
        };
        for delivery in deliveries.iter() {
            let (queue, offset) = (delivery.lease.queue, delivery.lease.offset);
            let failed = self.failed.get(&(queue, offset)).copied().unwrap_or_default();
            let max = self.deliveries_max[&queue];
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

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.fact(fact),
            Moment::Decided(_, event) => self.decided(event),
            Moment::Recovered { history, .. } => {
                *self = Attempts::default();
                super::facts(history).try_for_each(|fact| self.fact(&fact))
            }
            _ => Ok(()),
        }
    }
}
