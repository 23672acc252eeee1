//! No delivery without its publish: what is handed out was asked to be published, and lies where
//! it is said to lie.

use std::collections::BTreeSet;

use fanlight_core::{Event, Op};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Deliveries {
    asked: BTreeSet<Vec<u8>>,
}

impl Deliveries {
    fn handed_out(&self, body: &[u8], lies: Option<&[u8]>) -> Result<(), String> {
        let shown = String::from_utf8_lossy(body);
        if !self.asked.contains(body) {
            return Err(format!("{shown:?} was handed out, and never published"));
        }
        if lies != Some(body) {
            return Err(format!("{shown:?} was handed out, and {lies:?} lies there"));
        }
        Ok(())
    }

    fn event(&self, event: &Event<'_>, books: &Books) -> Result<(), String> {
        if let Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } = event {
            for delivery in deliveries.iter() {
                let lies = books.ledger.message(delivery.lease.queue, delivery.lease.offset);
                let lies = lies.map(|message| message.body.as_slice());
                self.handed_out(delivery.record.record().body, lies)?;
            }
        }
        Ok(())
    }
}

impl Invariant for Deliveries {
    fn name(&self) -> &'static str {
        "no delivery without its publish"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(_, request) => {
                if let Op::Publish { records, .. } = &request.op {
                    self.asked.extend(records.iter().map(|record| record.body.to_vec()));
                }
                Ok(())
            }
            Moment::Decided(_, event) => self.event(event, books),
            Moment::Told { event: Event::Polled { batches, .. }, .. } => {
                let mut bodies = batches.iter().flat_map(|fetched| fetched.records.iter());
                match bodies.find(|record| !self.asked.contains(record.body)) {
                    Some(record) => Err(format!("{record:?} was read, and never published")),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}
