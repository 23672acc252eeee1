//! Nothing is handed out after its expiry: neither after the time to live that it brought, nor
//! after its queue's.

use fanlight_core::{Delivery, Event, Time};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Expiries {
    now: Time,
}

impl Expiries {
    fn handed_out(&self, delivery: &Delivery<'_>, books: &Books) -> Result<(), String> {
        let lease = delivery.lease;
        let Some(message) = books.ledger.message(lease.queue, lease.offset) else { return Ok(()) };
        let expires_at = books.policies.expires_at(lease.queue, message);
        if self.now > expires_at {
            return Err(format!("{lease} was handed out at {}, after {expires_at}", self.now));
        }
        Ok(())
    }
}

impl Invariant for Expiries {
    fn name(&self) -> &'static str {
        "nothing is handed out after its expiry"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::At(now) => self.now = *now,
            Moment::Decided(
                _,
                Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
            ) => return deliveries.iter().try_for_each(|one| self.handed_out(one, books)),
            _ => {}
        }
        Ok(())
    }
}
