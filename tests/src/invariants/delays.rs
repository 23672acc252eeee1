//! Nothing is handed out before its delay ends: that of its publish, or that of its last attempt.

use std::collections::BTreeMap;

use fanlight_core::{Delivery, Event, Fact, Offset, QueueId, Time};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Delays {
    now: Time,
    /// When what failed is ready again.
    ready_at: BTreeMap<(QueueId, Offset), Time>,
}

impl Delays {
    fn fact(&mut self, fact: &Fact<'_>) {
        if let Fact::AttemptEnded { queue, offset, ready_at, .. } = fact {
            self.ready_at.insert((*queue, *offset), *ready_at);
        } else if let Fact::BroughtBack { to, to_offset, .. } = fact {
            self.ready_at.remove(&(*to, *to_offset));
        }
    }

    fn handed_out(&self, delivery: &Delivery<'_>, books: &Books) -> Result<(), String> {
        let key = (delivery.lease.queue, delivery.lease.offset);
        let message = books.ledger.message(key.0, key.1);
        let first = message.map(|message| books.policies.ready_at(key.0, message));
        let again = self.ready_at.get(&key).copied();
        match first.max(again) {
            Some(ready_at) if self.now < ready_at => {
                Err(format!("{} was handed out at {}, before {ready_at}", delivery.lease, self.now))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Invariant for Delays {
    fn name(&self) -> &'static str {
        "nothing is handed out before its delay ends"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::At(now) => self.now = *now,
            Moment::Fact(fact) => self.fact(fact),
            Moment::Decided(
                _,
                Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
            ) => return deliveries.iter().try_for_each(|one| self.handed_out(one, books)),
            Moment::Recovered { history, .. } => {
                self.ready_at.clear();
                super::facts(history).for_each(|fact| self.fact(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
