//! A read passes over nothing: an offset that it does not show was trimmed, compacted, or written
//! by a transaction that was aborted; and a member that did not move reads on where it was.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{ConnId, Event, Fetched, Isolation, MemberId, Offset, Op, Place, Tag, TopicId};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Gaps {
    polls: BTreeMap<(ConnId, Tag), (MemberId, Isolation)>,
    /// Where each member goes on.
    positions: BTreeMap<(MemberId, TopicId, u32), Offset>,
}

impl Gaps {
    fn read(
        &mut self,
        books: &Books,
        member: MemberId,
        isolation: Isolation,
        fetched: &Fetched<'_>,
    ) -> Result<(), String> {
        let topic = books.policies.topic_named(&fetched.topic).ok_or("a topic without a fact")?;
        let key = (member, topic, fetched.partition);
        let place = Place::Partition(topic, fetched.partition);
        let from = self.positions.insert(key, fetched.next).unwrap_or(fetched.base);
        if fetched.base < from {
            return Err(format!("{member} was at {from} of {place}, and reads {}", fetched.base));
        }
        let shown: BTreeSet<_> = (0..fetched.records.count()).map(|i| fetched.offset(i)).collect();
        let passed = books.ledger.offsets(place).skip_while(|offset| *offset < from);
        for offset in passed.take_while(|offset| *offset < fetched.next) {
            let is_hidden = isolation == Isolation::Committed
                && books.ledger.written().is_aborted(place, offset);
            if !shown.contains(&offset) && !is_hidden {
                return Err(format!("{member} reads {place} up to {}, not {offset}", fetched.next));
            }
        }
        Ok(())
    }

    fn decided(&mut self, books: &Books, conn: ConnId, event: &Event<'_>) -> Result<(), String> {
        if let Event::Polled { tag, batches } = event
            && let Some((member, isolation)) = self.polls.remove(&(conn, *tag))
        {
            return batches
                .iter()
                .try_for_each(|fetched| self.read(books, member, isolation, fetched));
        }
        if let Event::Assigned { member, partitions, .. } = event {
            let told = |topic: TopicId, partition: u32| {
                partitions.iter().find(|told| {
                    books.policies.topic_named(&told.topic) == Some(topic)
                        && told.partition == partition
                })
            };
            let mut kept = BTreeMap::new();
            for (key, at) in &self.positions {
                let (of, topic, partition) = *key;
                let position = match told(topic, partition) {
                    _ if of != *member => Some(*at),
                    told => told.map(|told| told.position),
                };
                kept.extend(position.map(|position| (*key, position)));
            }
            self.positions = kept;
        }
        Ok(())
    }
}

impl Invariant for Gaps {
    fn name(&self) -> &'static str {
        "a read passes over nothing"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => match &request.op {
                Op::Poll { member, budget } => {
                    self.polls.insert((*conn, request.tag), (*member, budget.isolation));
                }
                Op::Seek { member, .. } => self.positions.retain(|key, _| key.0 != *member),
                _ => {}
            },
            Moment::Decided(conn, event) => return self.decided(books, *conn, event),
            Moment::Recovered { .. } => *self = Gaps::default(),
            _ => {}
        }
        Ok(())
    }
}
