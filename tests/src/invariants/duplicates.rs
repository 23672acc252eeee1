//! One offset per deduplicated publish: a numbered batch is stored once, and so is a message that
//! its queue recognises, as long as it remembers it; and who sends one again is told where the
//! first one lies.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{
    Append, Event, Fact, Offset, Place, ProducerEpoch, ProducerId, QueueId, Record, Sameness,
    Stored, Time, TopicId,
};

use super::{Books, Invariant, Moment};

type Number = (ProducerId, ProducerEpoch, Option<(TopicId, u32)>, u32);

#[derive(Clone, Default)]
pub(super) struct Duplicates {
    numbered: BTreeSet<Number>,
    /// What each queue was given, by what it recognises it by: when it came last, and where to.
    known: BTreeMap<(QueueId, Vec<u8>), (Time, Offset)>,
    /// What was given in a transaction that is open.
    open: BTreeMap<ProducerId, Vec<(QueueId, Vec<u8>)>>,
    /// Every offset at which something recognisable came to lie.
    given: BTreeSet<(QueueId, Offset)>,
}

fn sign(record: &Record<'_>, by: Sameness) -> Option<Vec<u8>> {
    let id = record.options.id.map(|id| [b"id ", id].concat());
    match by {
        Sameness::Id => id,
        Sameness::Content => id.or_else(|| Some([b"body ", record.body].concat())),
    }
}

impl Duplicates {
    fn fact(&mut self, books: &Books, fact: &Fact<'_>) -> Result<(), String> {
        let mut by = None;
        if let Fact::Produced { producer, epoch, lane, sequence, transactional, .. } = fact {
            let number = (*producer, *epoch, *lane, *sequence);
            if !self.numbered.insert(number) {
                return Err(format!("{number:?} is stored twice"));
            }
            by = transactional.then_some(*producer);
        }
        if let Fact::Published { at, batches } | Fact::Produced { at, batches, .. } = fact {
            for Stored { appends, records } in batches.iter() {
                for Append { place, base } in appends.iter() {
                    let Place::Queue(queue) = place else { continue };
                    for (record, n) in records.iter().zip(0..) {
                        self.stored(books, (*queue, base.plus(n)), *at, &record, by)?;
                    }
                }
            }
        } else if let Fact::TransactionEnded { producer, commit, .. } = fact {
            let given = self.open.remove(producer).unwrap_or_default();
            for sign in given.iter().filter(|_| !commit) {
                self.known.remove(sign);
            }
        }
        Ok(())
    }

    fn stored(
        &mut self,
        books: &Books,
        (queue, offset): (QueueId, Offset),
        at: Time,
        record: &Record<'_>,
        by: Option<ProducerId>,
    ) -> Result<(), String> {
        let Some(how) = books.policies.queue(queue).deduplication else { return Ok(()) };
        let Some(sign) = sign(record, how.by) else { return Ok(()) };
        let shown = String::from_utf8_lossy(&sign).into_owned();
        let before = self.known.insert((queue, sign.clone()), (at, offset));
        if let Some((first, lies)) = before.filter(|(first, _)| at < *first + how.window) {
            return Err(format!(
                "{shown} came to {queue}@{lies} at {first}, and to {offset} at {at}"
            ));
        }
        self.given.insert((queue, offset));
        if let Some(by) = by {
            self.open.entry(by).or_default().push((queue, sign));
        }
        Ok(())
    }
}

impl Invariant for Duplicates {
    fn name(&self) -> &'static str {
        "one offset per deduplicated publish"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Fact(fact) => return self.fact(books, fact),
            Moment::Decided(_, Event::Published { duplicates, .. }) => {
                let unknown =
                    duplicates.iter().find(|d| !self.given.contains(&(d.queue, d.offset)));
                if let Some(duplicate) = unknown {
                    return Err(format!("{duplicate:?} is none"));
                }
            }
            Moment::Recovered { history, .. } => {
                *self = Duplicates::default();
                return super::facts(history).try_for_each(|fact| self.fact(books, &fact));
            }
            _ => {}
        }
        Ok(())
    }
}
