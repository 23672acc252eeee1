//! Messages that come twice: they are confirmed, and stored once.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use super::evolve::Evolved;
use super::route::{Part, Route};
use super::{Broker, Refused};
use crate::activity::Activity;
use crate::effect::Sink;
use crate::event::Duplicate;
use crate::fact::Stored;
use crate::id::{Append, ConnId, Offset, Place, QueueId};
use crate::map::Map;
use crate::queue::Queue;
use crate::record::{Batch, Records};
use crate::refusal::Code;
use crate::sameness::{Remembered, Sign};
use crate::set::Set;
use crate::time::Time;

/// What comes to one queue by a publish: it is counted over all parts of it.
#[derive(Default)]
struct Coming {
    /// Records so far, those that came before among them.
    seen: u32,
    /// Records that will be stored.
    kept: u64,
    /// Those of them that can be recognised.
    signs: BTreeMap<Sign, Offset>,
}

impl Coming {
    /// Keeps what is new to the queue, in a batch of its own unless that is everything; tells the
    /// others.
    fn keep(
        &mut self,
        queue: &Queue,
        now: Time,
        records: &Records<'_>,
        duplicates: &mut Vec<Duplicate>,
    ) -> Option<Batch> {
        let how = queue.policy.deduplication.expect("the queue recognises messages");
        let (mut batch, before) = (Batch::new(), duplicates.len());
        for (record, at) in records.iter().zip(0..) {
            let index = self.seen;
            self.seen += 1;
            let sign = Sign::of(&record, how.by);
            let first = sign.as_ref().and_then(|sign| {
                let older = queue.memory.find(sign, how.window, now);
                older.or_else(|| self.signs.get(sign).copied())
            });
            if let Some(offset) = first {
                duplicates.push(Duplicate { queue: queue.id, index, offset });
                continue;
            }
            if let Some(sign) = sign {
                self.signs.insert(sign, queue.work.end().plus(self.kept));
            }
            self.kept += 1;
            batch.push_raw(records.raw(at).expect("the record is there").as_bytes());
        }
        (duplicates.len() > before).then_some(batch)
    }
}

impl Broker {
    /// Takes out of what is published the messages that a queue was given before.
    pub(super) fn without_duplicates<'r>(
        &self,
        parts: Vec<Part<'r>>,
    ) -> Result<(Vec<Part<'r>>, Vec<Duplicate>), Refused> {
        let recognises = |id: QueueId| self.queues[&id].policy.deduplication.is_some();
        if !parts.iter().any(|part| part.route.queues.iter().any(recognises)) {
            return Ok((parts, Vec::new()));
        }
        let mut coming: Map<QueueId, Coming> = Map::default();
        let (mut sifted, mut duplicates) = (Vec::with_capacity(parts.len()), Vec::new());
        for mut part in parts {
            let mut own = Vec::new();
            for id in part.route.queues.clone().into_iter().filter(|id| recognises(*id)) {
                let coming = coming.get_or_insert_with(id, Coming::default);
                let queue = &self.queues[&id];
                let kept = coming.keep(queue, self.now, &part.records, &mut duplicates);
                let Some(kept) = kept else { continue };
                part.route.queues.remove(id);
                if let Some(records) = kept.finish() {
                    let route = Route { queues: Set::of(id), ..Route::default() };
                    own.push(Part { route, records });
                }
            }
            if !part.route.is_empty() {
                sifted.push(part);
            }
            sifted.append(&mut own);
        }
        for (id, coming) in coming.iter() {
            self.room_to_remember(&self.queues[id], coming.signs.len())?;
        }
        Ok((sifted, duplicates))
    }

    fn room_to_remember(&self, queue: &Queue, count: usize) -> Result<(), Refused> {
        let max = self.config.limits.deduplicated_max;
        let window = queue.policy.deduplication.map(|how| how.window).unwrap_or_default();
        if queue.memory.has_room(count, window, self.now, max) {
            return Ok(());
        }
        Err(Code::DeduplicationFull.because(format!(
            "queue {:?} remembers {} messages of the last {window}, and may remember {max}: try \
             again later, or choose a shorter window",
            queue.name,
            queue.memory.len()
        )))
    }

    pub(super) fn note_duplicates(
        &self,
        conn: ConnId,
        duplicates: &[Duplicate],
        out: &mut dyn Sink,
    ) {
        for Duplicate { queue, offset, .. } in duplicates {
            let (queue, offset) = (self.queue_name(*queue).into(), *offset);
            self.note(out, || Activity::CameBefore { queue, offset, conn });
        }
    }

    /// What was published is remembered where it is not to be stored twice.
    pub(super) fn remember(&mut self, at: Time, Stored { appends, records }: &Stored<'_>) {
        for Append { place, base } in appends.iter() {
            let Place::Queue(id) = place else { continue };
            let queue = self.queue_mut(*id);
            let Some(how) = queue.policy.deduplication else { continue };
            for (record, index) in records.iter().zip(0..) {
                if let Some(sign) = Sign::of(&record, how.by) {
                    let offset = base.plus(index);
                    queue.memory.remember(Remembered { at, offset, sign }, how.window);
                }
            }
        }
    }

    /// A message was taken back with its transaction: it may come again.
    pub(super) fn forget(&mut self, id: QueueId, offset: Offset) {
        let queue = &self.queues[&id];
        let Some(how) = queue.policy.deduplication else { return };
        let record = queue.log(&self.topics).raw(offset);
        if let Some(sign) = record.and_then(|record| Sign::of(&record.record(), how.by)) {
            self.queue_mut(id).memory.forget(&sign, offset);
        }
    }

    /// What a snapshot says a queue remembers.
    pub(super) fn remembered(
        &mut self,
        id: QueueId,
        anew: bool,
        messages: Vec<Remembered>,
    ) -> Evolved {
        let memory = &mut self.queue(id)?.memory;
        if anew {
            memory.clear();
        }
        messages.into_iter().for_each(|message| memory.put_back(message));
        Ok(())
    }
}
