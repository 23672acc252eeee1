//! A record of a topic goes only if the topic's policy says so, or somebody asked for it; and of a
//! compacted topic the newest record of each key stays.

use std::collections::BTreeMap;

use fanlight_core::{Append, Fact, Offset, Op, Place, Position, Stored, Time, TopicId};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Retention {
    /// Bytes of each batch, by its first offset.
    batches: BTreeMap<(Place, Offset), (u64, u64)>,
    /// What the input at hand asks to be deleted, and before where.
    asked: Option<(String, u32, Position)>,
    /// Since when what lies before an offset is clean: each step of compaction.
    cleaned: BTreeMap<Place, Vec<(Offset, Time)>>,
}

impl Retention {
    fn learn(&mut self, fact: &Fact<'_>) {
        if let Fact::Published { batches, .. } | Fact::Produced { batches, .. } = fact {
            for Stored { appends, records } in batches.iter() {
                for Append { place, base } in appends.iter() {
                    let size = (u64::from(records.count()), records.as_bytes().len() as u64);
                    self.batches.insert((*place, *base), size);
                }
            }
        } else if let Fact::Compacted { topic, partition, at, clean, .. } = fact {
            let place = Place::Partition(*topic, *partition);
            self.cleaned.entry(place).or_default().push((*clean, *at));
        }
    }

    fn allowed(&self, books: &Books, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::LogTrimmed { place: Place::Partition(topic, partition), at, start } = fact {
            self.may_be_trimmed(books, (*topic, *partition), *at, *start)
        } else if let Fact::Compacted { topic, partition, at, clean, offsets } = fact {
            let place = Place::Partition(*topic, *partition);
            if !books.ledger.written().is_stable(place, *clean) {
                return Err(format!("{place} is compacted to {clean}, over an open transaction"));
            }
            offsets
                .iter()
                .try_for_each(|o| self.may_be_compacted(books, (*topic, place), *at, *o, offsets))
        } else {
            Ok(())
        }
    }

    fn was_asked_for(&self, books: &Books, topic: TopicId, partition: u32, start: Offset) -> bool {
        let asked = self.asked.as_ref().filter(|(name, p, _)| {
            books.policies.topic_named(name) == Some(topic) && *p == partition
        });
        match asked {
            Some((_, _, Position::At(before))) => start <= *before,
            asked => asked.is_some(),
        }
    }

    fn may_be_trimmed(
        &self,
        books: &Books,
        (topic, partition): (TopicId, u32),
        at: Time,
        start: Offset,
    ) -> Result<(), String> {
        let place = Place::Partition(topic, partition);
        if !books.ledger.written().is_stable(place, start) {
            return Err(format!("{place} is trimmed to {start}, over an open transaction"));
        }
        if self.was_asked_for(books, topic, partition, start) {
            return Ok(());
        }
        let policy = books.policies.topic(topic);
        let batches = self.batches.range((place, Offset(0))..(place, start));
        for ((_, base), (count, _)) in batches {
            let end = base.plus(*count);
            if end > start {
                return Err(format!("{place} is trimmed to {start}, in the midst of a batch"));
            }
            let there = (base.0..end.0).map(Offset);
            let newest = there.filter_map(|o| books.ledger.record(place, o)).map(|r| r.at).max();
            let Some(newest) = newest else { continue };
            let is_old = policy.retention.is_some_and(|span| newest + span <= at);
            let rest = self.batches.range((place, end)..=(place, Offset(u64::MAX)));
            let left: u64 = rest.map(|(_, (_, bytes))| bytes).sum();
            let is_much = policy.retention_bytes.is_some_and(|bytes| left >= bytes);
            if !is_old && !is_much {
                return Err(format!("{place}@{base} of {newest} goes at {at}, with {left} B left"));
            }
        }
        Ok(())
    }

    fn may_be_compacted(
        &self,
        books: &Books,
        (topic, place): (TopicId, Place),
        at: Time,
        offset: Offset,
        offsets: &[Offset],
    ) -> Result<(), String> {
        let written = books.ledger.written();
        if written.is_aborted(place, offset) {
            return Ok(());
        }
        let record = books.ledger.record(place, offset);
        let record = record.ok_or_else(|| format!("{place}@{offset} goes twice"))?;
        let Some(key) = &record.key else { return Ok(()) };
        let newer = books.ledger.offsets(place).skip_while(|o| *o <= offset).find(|newer| {
            let other = books.ledger.record(place, *newer);
            other.is_some_and(|other| other.key.as_ref() == Some(key))
                && written.is_committed(place, *newer)
        });
        if newer.is_some_and(|newer| written.is_stable(place, newer)) {
            return Ok(());
        }
        let cleaned = self.cleaned.get(&place).into_iter().flatten();
        let found = cleaned.filter(|(clean, _)| offset < *clean).map(|(_, at)| *at).min();
        let span = books.policies.topic(topic).tombstone_retention;
        if record.body.is_empty() && found.is_some_and(|found| found + span <= at) {
            return Ok(());
        }
        let key = String::from_utf8_lossy(key);
        Err(format!("{place}@{offset}, the newest of {key:?}, goes at {at} with {offsets:?}"))
    }
}

impl Invariant for Retention {
    fn name(&self) -> &'static str {
        "a record goes only by its topic's policy"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::At(_) => self.asked = None,
            Moment::Asked(_, request) => {
                if let Op::DeleteRecords { topic, partition, before } = &request.op {
                    self.asked = Some((topic.clone().into_owned(), *partition, *before));
                }
            }
            Moment::Fact(fact) => {
                self.allowed(books, fact)?;
                self.learn(fact);
            }
            Moment::Recovered { history, .. } => {
                *self = Retention::default();
                super::facts(history).for_each(|fact| self.learn(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
