//! A publish lies in all of its logs or in none: one fact holds it, so no crash can part it.

use std::collections::BTreeSet;

use fanlight_core::{Fact, Stored};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Atomic {
    stored: BTreeSet<Vec<u8>>,
}

impl Atomic {
    fn fact(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let (Fact::Published { batches, .. } | Fact::Produced { batches, .. }) = fact else {
            return Ok(());
        };
        let mut bodies = BTreeSet::new();
        for Stored { records, .. } in batches.iter() {
            // A tombstone has no body that would tell it from another.
            let named = records.iter().filter(|record| !record.body.is_empty());
            bodies.extend(named.map(|record| record.body.to_vec()));
        }
        if let Some(twice) = self.stored.intersection(&bodies).next() {
            return Err(format!("{:?} is in two facts", String::from_utf8_lossy(twice)));
        }
        self.stored.append(&mut bodies);
        Ok(())
    }
}

impl Invariant for Atomic {
    fn name(&self) -> &'static str {
        "a publish lies in all of its logs or in none"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => self.fact(fact),
            Moment::Recovered { history, .. } => {
                self.stored.clear();
                super::facts(history).try_for_each(|fact| self.fact(&fact))
            }
            _ => Ok(()),
        }
    }
}
