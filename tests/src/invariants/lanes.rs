//! Order per message group, always: a message of a FIFO queue is handed out only when every older
//! one of its group is settled, however often that was tried.

use fanlight_core::{Delivery, Event, QueueKind};

use super::{Books, Invariant, Moment};

#[derive(Clone)]
pub(super) struct Lanes;

fn handed_out(delivery: &Delivery<'_>, books: &Books) -> Result<(), String> {
    let lease = delivery.lease;
    if books.policies.queue(lease.queue).kind != QueueKind::Fifo {
        return Ok(());
    }
    let group = |offset| {
        let message = books.ledger.message(lease.queue, offset);
        let message = message.filter(|_| !books.ledger.is_revived(lease.queue, offset));
        message?.key.as_deref()
    };
    let Some(own) = group(lease.offset) else { return Ok(()) };
    let mut older = books.ledger.unsettled(lease.queue).take_while(|at| *at < lease.offset);
    match older.find(|offset| group(*offset) == Some(own)) {
        Some(older) => {
            let own = String::from_utf8_lossy(own);
            Err(format!("{lease} of group {own:?} was handed out before {older}"))
        }
        None => Ok(()),
    }
}

impl Invariant for Lanes {
    fn name(&self) -> &'static str {
        "a message group is worked in its order"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Decided(
                _,
                Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. },
            ) => deliveries.iter().try_for_each(|delivery| handed_out(delivery, books)),
            _ => Ok(()),
        }
    }
}
