//! Offsets are dense and only rise, over crashes too: what a client was told of a log's offsets
//! stays true. (That each batch is appended where its log ends, the books see to.)

use std::collections::BTreeMap;

use fanlight_core::{Event, Fetched};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Offsets {
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

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Told { event: Event::Polled { batches, .. }, .. } => {
                batches.iter().try_for_each(|fetched| self.fetched(fetched))
            }
            _ => Ok(()),
        }
    }
}
