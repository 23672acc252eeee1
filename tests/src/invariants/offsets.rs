//! Offsets are dense and only rise, over crashes too: what a client was told of a log's offsets
//! stays true.

use std::collections::BTreeMap;

use fanlight_core::{Event, Fetched};

use super::ledger::Ledger;
use super::{Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Offsets {
    ledger: Ledger,
    /// What readers were told lies at each offset of a partition.
    read: BTreeMap<(String, u32, u64), Vec<u8>>,
}

impl Offsets {
    fn fetched(&mut self, fetched: &Fetched<'_>) -> Result<(), String> {
        for (record, index) in fetched.records.iter().zip(0..) {
            let at = fetched.offset(index).0;
            let key = (fetched.topic.clone().into_owned(), fetched.partition, at);
            let before = self.read.entry(key).or_insert_with(|| record.body.to_vec());
            if before != record.body {
                return Err(format!(
                    "{}/{}@{at} was {before:?}, and is {:?}",
                    fetched.topic, fetched.partition, record.body
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for Offsets {
    fn name(&self) -> &'static str {
        "offsets are dense and only rise"
    }

    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.ledger.learn(fact),
            Moment::Told { event: Event::Polled { batches, .. }, .. } => {
                batches.iter().try_for_each(|fetched| self.fetched(fetched))
            }
            Moment::Recovered { history, .. } => {
                self.ledger = Ledger::of(history)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
