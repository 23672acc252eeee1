//! Nothing is handed out before its delay ends.

use std::collections::BTreeMap;

use fanlight_core::{Delivery, Event, Fact, Offset, QueueId, QueuePolicy, Span, Time};

use super::{Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Delays {
    visibility: BTreeMap<QueueId, Span>,
    ready_at: BTreeMap<(QueueId, Offset), Time>,
}

impl Delays {
    fn fact(&mut self, fact: &Fact<'_>) {
        if let Fact::QueueMade { id, settings, .. } | Fact::QueueAltered { id, settings, .. } = fact
        {
            self.visibility.insert(*id, QueuePolicy::of(settings).visibility);
        } else if let Fact::AttemptEnded { queue, offset, ready_at, .. } = fact {
            self.ready_at.insert((*queue, *offset), *ready_at);
        }
    }

    /// Every client of the simulation leases for as long as the queue says, so the lease's end
    /// tells when it began.
    fn handed_out(&self, delivery: &Delivery<'_>) -> Result<(), String> {
        let key = (delivery.lease.queue, delivery.lease.offset);
        let at = delivery.deadline - self.visibility[&key.0];
        match self.ready_at.get(&key) {
            Some(ready_at) if at < *ready_at => {
                Err(format!("{} was handed out at {at}, before {ready_at}", delivery.lease))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Invariant for Delays {
    fn name(&self) -> &'static str {
        "nothing is handed out before its delay ends"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.fact(fact),
            Moment::Decided(
                _,
                Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
            ) => return deliveries.iter().try_for_each(|delivery| self.handed_out(delivery)),
            Moment::Recovered { history, .. } => {
                *self = Delays::default();
                super::facts(history).for_each(|fact| self.fact(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
