//! What lies where, by the facts alone.

use std::collections::BTreeMap;

use fanlight_core::{Append, Fact, Offset, Place, QueueId, RawRecord, Stored};

use super::transactions::Written;

/// The messages that are in each log.
#[derive(Clone, Default)]
pub(super) struct Ledger {
    ends: BTreeMap<Place, u64>,
    bodies: BTreeMap<(Place, Offset), Vec<u8>>,
    written: Written,
}

impl Ledger {
    /// The ledger of a history.
    pub(super) fn of(history: &[Vec<u8>]) -> Result<Ledger, String> {
        let mut ledger = Ledger::default();
        super::facts(history).try_for_each(|fact| ledger.learn(&fact))?;
        Ok(ledger)
    }

    pub(super) fn learn(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::TransactionEnded { producer, commit: false, .. } = fact {
            // In a topic it stays, for those who read all there is.
            for (place, offset) in self.written.of(*producer) {
                if let Place::Queue(_) = place {
                    self.bodies.remove(&(*place, *offset));
                }
            }
        }
        self.written.learn(fact);
        if let Fact::Published { batches, .. } | Fact::Produced { batches, .. } = fact {
            for Stored { appends, records } in batches.iter() {
                for Append { place, base } in appends.iter() {
                    let bodies = records.iter().map(|record| record.body.to_vec());
                    self.append(*place, *base, bodies)?;
                }
            }
        } else if let Fact::Settled { queue, offsets } = fact {
            offsets.iter().try_for_each(|offset| self.gone(*queue, *offset))?;
        } else if let Fact::RunsSettled { queue, runs } = fact {
            for (start, count) in runs.iter() {
                (start.0..start.0 + count).try_for_each(|gone| self.gone(*queue, Offset(gone)))?;
            }
        } else if let Fact::Died { queue, offset, to, record, .. } = fact {
            self.gone(*queue, *offset)?;
            for Append { place, base } in to.iter() {
                self.append(*place, *base, [record.record().body.to_vec()].into_iter())?;
            }
        } else if let Fact::DeadLettered { queue, offset, to, to_offset, record, .. }
        | Fact::Redriven { queue, offset, to, to_offset, record, .. } = fact
        {
            self.moved((*queue, *offset), (*to, *to_offset), record)?;
        } else if let Fact::BroughtBack { queue, offset, .. } = fact {
            // Where it goes, its record lies in the topic as before.
            self.gone(*queue, *offset)?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        place: Place,
        base: Offset,
        bodies: impl Iterator<Item = Vec<u8>>,
    ) -> Result<(), String> {
        let end = self.ends.entry(place).or_default();
        if base.0 != *end {
            return Err(format!("a batch at {base} of {place}, which ends at {end}"));
        }
        for body in bodies {
            self.bodies.insert((place, Offset(*end)), body);
            *end += 1;
        }
        Ok(())
    }

    fn gone(&mut self, queue: QueueId, offset: Offset) -> Result<(), String> {
        let body = self.bodies.remove(&(Place::Queue(queue), offset));
        body.map(drop).ok_or_else(|| format!("{queue}@{offset} goes, and is not there"))
    }

    fn moved(
        &mut self,
        (from, offset): (QueueId, Offset),
        (to, to_offset): (QueueId, Offset),
        record: &RawRecord<'_>,
    ) -> Result<(), String> {
        self.gone(from, offset)?;
        let body = record.record().body.to_vec();
        self.append(Place::Queue(to), to_offset, [body].into_iter())
    }

    /// The body of a message, if it is there.
    pub(super) fn body(&self, place: Place, offset: Offset) -> Option<&[u8]> {
        self.bodies.get(&(place, offset)).map(Vec::as_slice)
    }

    /// The offset after the last one.
    pub(super) fn end(&self, place: Place) -> u64 {
        self.ends.get(&place).copied().unwrap_or_default()
    }

    /// How many messages are in a log.
    pub(super) fn count(&self, place: Place) -> u64 {
        let from = (place, Offset(0));
        self.bodies.range(from..=(place, Offset(u64::MAX))).count() as u64
    }
}
