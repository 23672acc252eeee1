//! What a topic's policy takes away by itself: the oldest batches, and what compaction finds.
//!
//! Both go by timer and in bounded steps. Each step is a fact that names what went, so recovery
//! takes the same away, whatever the policy was meanwhile.

use alloc::format;
use alloc::vec::Vec;

use super::evolve::{Evolved, broken};
use super::{Broker, Violation};
use crate::activity::{Activity, TrimReason};
use crate::effect::Sink;
use crate::fact::Fact;
use crate::id::{Offset, Place, TopicId};
use crate::limits::{COMPACTION_PAUSE, RETENTION_PAUSE_MAX, TRIMMED_PER_APPLY_MAX};
use crate::log::Log;
use crate::record::Records;
use crate::time::{Span, Time};
use crate::timer::{Due, TimerId};
use crate::topic::Topic;

impl Broker {
    /// Sees to it that the partition is looked at when its policy next has something to take away.
    /// Whoever changes its log or its stable end calls it.
    pub(super) fn keep_up(&mut self, id: TopicId, partition: u32) {
        let topic = self.topics.get(&id).expect("a topic that is tended exists");
        let policy = &topic.policy;
        if policy.compact {
            self.tend_cleaner(id, partition);
        } else if policy.retention.is_none() && policy.retention_bytes.is_none() {
            return;
        }
        self.tend_retention(id, partition, Span::ZERO);
    }

    fn tend_retention(&mut self, id: TopicId, partition: u32, pause: Span) {
        let topic = self.topics.get_mut(&id).expect("a topic that is tended exists");
        let at = topic.partitions[partition as usize].oldest_due(&topic.policy, self.now);
        let upkeep = &mut topic.upkeep[partition as usize];
        // A timer that runs was set for an older batch; only bytes make it earlier.
        if upkeep.retention != TimerId::NONE && at.is_none_or(|at| at > self.now) {
            return;
        }
        self.timers.stop(upkeep.retention);
        upkeep.retention = TimerId::NONE;
        if let Some(at) = at {
            let at = if at > self.now { at.max(self.now + pause) } else { at };
            upkeep.retention = self.timers.start(at, Due::Retention(id, partition));
        }
    }

    /// Takes away what has outlived its topic's policy.
    pub(super) fn retention_ends(
        &mut self,
        id: TopicId,
        partition: u32,
        timer: TimerId,
        out: &mut dyn Sink,
    ) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let upkeep = &mut topic.upkeep[partition as usize];
        if upkeep.retention != timer {
            return;
        }
        upkeep.retention = TimerId::NONE;
        let pause = topic.policy.retention.map_or(Span::ZERO, |span| Span(span.0 / 64));
        let (policy, log) = (&topic.policy, &topic.partitions[partition as usize]);
        let kept = log.outlived(policy, self.now, TRIMMED_PER_APPLY_MAX);
        if let Some(to) = kept {
            self.trim_log(id, partition, to, TrimReason::Retention, out);
            let upkeep = &mut self.topics.get_mut(&id).expect("it is there").upkeep;
            let upkeep = &mut upkeep[partition as usize];
            self.timers.stop(upkeep.retention);
            upkeep.retention = TimerId::NONE;
        }
        self.tend_retention(id, partition, pause.min(RETENTION_PAUSE_MAX));
    }

    fn tend_cleaner(&mut self, id: TopicId, partition: u32) {
        let topic = self.topics.get_mut(&id).expect("a topic that is tended exists");
        let log = &topic.partitions[partition as usize];
        let upkeep = &mut topic.upkeep[partition as usize];
        let Some(cleaner) = &upkeep.cleaner else { return };
        let tombstone = cleaner.tombstone_due(topic.policy.tombstone_retention);
        let dirt = cleaner.is_dirty(log).then(|| self.now + COMPACTION_PAUSE);
        let at = tombstone.into_iter().chain(dirt).min();
        match (at, upkeep.cleaning) {
            (Some(at), Some((set, _))) if set <= at => {}
            (Some(at), set) => {
                if let Some((_, timer)) = set {
                    self.timers.stop(timer);
                }
                let timer = self.timers.start(at, Due::Compaction(id, partition));
                upkeep.cleaning = Some((at, timer));
            }
            (None, _) => {}
        }
    }

    /// One step of compaction.
    pub(super) fn compaction_due(
        &mut self,
        id: TopicId,
        partition: u32,
        timer: TimerId,
        out: &mut dyn Sink,
    ) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let upkeep = &mut topic.upkeep[partition as usize];
        if upkeep.cleaning.is_none_or(|(_, set)| set != timer) {
            return;
        }
        upkeep.cleaning = None;
        let Some(cleaner) = &upkeep.cleaner else { return };
        let log = &topic.partitions[partition as usize];
        let (was, dirt) = (cleaner.clean(), cleaner.is_dirty(log));
        let step = cleaner.step(log, dirt, self.now, topic.policy.tombstone_retention);
        let more = dirt && step.clean < log.stable_end();
        if step.clean > was || !step.offsets.is_empty() {
            let (clean, removed) = (step.clean, step.offsets.len() as u64);
            let offsets = step.offsets.into();
            let at = self.now;
            self.record(Fact::Compacted { topic: id, partition, at, clean, offsets }, out);
            self.note(out, || Activity::Compacted {
                topic: self.topic_name(id).into(),
                partition,
                clean,
                removed,
            });
        } else if let Some(cleaner) = self.cleaner_mut(id, partition) {
            cleaner.0.tidy(cleaner.1);
        }
        self.tend_cleaner(id, partition);
        if more {
            self.clean_on(id, partition);
        }
    }

    /// What is due has to wait for the next `apply`, because this one has done enough.
    pub(super) fn tend_later(&mut self, id: TopicId, partition: u32, timer: TimerId) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        let upkeep = &mut topic.upkeep[partition as usize];
        if upkeep.retention == timer {
            upkeep.retention = self.timers.start(self.now, Due::Retention(id, partition));
        } else if let Some((_, set)) = &mut upkeep.cleaning
            && *set == timer
        {
            *set = self.timers.start(self.now, Due::Compaction(id, partition));
        }
    }

    /// Goes on with compaction in the next `apply`.
    fn clean_on(&mut self, id: TopicId, partition: u32) {
        let topic = self.topics.get_mut(&id).expect("a topic that is tended exists");
        let upkeep = &mut topic.upkeep[partition as usize];
        if let Some((_, timer)) = upkeep.cleaning {
            self.timers.stop(timer);
        }
        let timer = self.timers.start(self.now, Due::Compaction(id, partition));
        upkeep.cleaning = Some((self.now, timer));
    }

    fn cleaner_mut(
        &mut self,
        id: TopicId,
        partition: u32,
    ) -> Option<(&mut crate::cleaner::Cleaner, &Log)> {
        let Topic { partitions, upkeep, .. } = self.topics.get_mut(&id)?;
        let cleaner = upkeep.get_mut(partition as usize)?.cleaner.as_deref_mut()?;
        Some((cleaner, &partitions[partition as usize]))
    }

    /// Changes a partition's log, and counts the bytes that this frees.
    fn shrink(
        &mut self,
        (id, partition): (TopicId, u32),
        change: impl FnOnce(&mut Log),
    ) -> Evolved {
        let log = self.log(Place::Partition(id, partition))?;
        let before = log.bytes();
        change(log);
        let freed = before - log.bytes();
        self.stored_bytes -= freed;
        if let Some((cleaner, log)) = self.cleaner_mut(id, partition) {
            cleaner.tidy(log);
        }
        Ok(())
    }

    pub(super) fn trimmed(&mut self, place: Place, at: Time, start: Offset) -> Evolved {
        self.saw(at);
        let Place::Partition(id, partition) = place else {
            return Err(broken(&format!("a trimmed log {place}")));
        };
        let log = self.log(place)?;
        if start > log.end() {
            return Err(broken(&format!("a start {start} of {place}, after its end")));
        }
        if let Some((cleaner, log)) = self.cleaner_mut(id, partition) {
            let gone = log.offsets().filter(|offset| *offset >= log.start());
            cleaner.forget(log, gone.take_while(|offset| *offset < start));
        }
        self.shrink((id, partition), |log| log.trim(start))?;
        self.unworked(id, partition, &[(Offset(0), start.0)]);
        self.retention_anew(id, partition);
        Ok(())
    }

    /// The timer that runs may have been set for a batch that went.
    fn retention_anew(&mut self, id: TopicId, partition: u32) {
        let topic = self.topics.get_mut(&id).expect("its log was found");
        let upkeep = &mut topic.upkeep[partition as usize];
        self.timers.stop(upkeep.retention);
        upkeep.retention = TimerId::NONE;
        self.keep_up(id, partition);
    }

    pub(super) fn compacted(
        &mut self,
        (id, partition): (TopicId, u32),
        at: Time,
        clean: Offset,
        offsets: &[Offset],
    ) -> Evolved {
        self.saw(at);
        let what = || format!("{id}/{partition}, compacted to {clean}");
        let (cleaner, log) = self.cleaner_mut(id, partition).ok_or_else(|| broken(&what()))?;
        let rises = offsets.windows(2).all(|two| two[0] < two[1]);
        let held = |offset: &Offset| *offset >= log.start() && log.find(*offset).is_some();
        if !rises || !offsets.iter().all(held) || clean > log.stable_end() {
            return Err(broken(&what()));
        }
        cleaner.learn(log, clean, Some(at));
        cleaner.forget(log, offsets.iter().copied());
        self.shrink((id, partition), |log| log.remove(offsets))?;
        let gone: Vec<_> = offsets.iter().map(|offset| (*offset, 1)).collect();
        self.unworked(id, partition, &gone);
        self.retention_anew(id, partition);
        Ok(())
    }

    /// Only in snapshots: a batch of which records went.
    pub(super) fn sparse_batch(
        &mut self,
        (id, partition): (TopicId, u32),
        (base, count, at): (Offset, u32, Time),
        kept: &[(u32, u32)],
        records: &Records<'_>,
    ) -> Evolved {
        self.saw(at);
        let log = self.log(Place::Partition(id, partition))?;
        let added = log.append_sparse((base, count, at), kept.to_vec(), records.to_shared());
        added.map_err(|fault| Violation(format!("{id}/{partition}: {fault}")))?;
        self.stored_bytes += records.as_bytes().len() as u64;
        self.keep_up(id, partition);
        Ok(())
    }

    /// Only in snapshots: how far a partition is compacted.
    pub(super) fn compaction_state(
        &mut self,
        (id, partition): (TopicId, u32),
        clean: Offset,
        tombstones: &[(Offset, Time)],
    ) -> Evolved {
        let what = || broken(&format!("{id}/{partition}, compacted to {clean}"));
        let (cleaner, log) = self.cleaner_mut(id, partition).ok_or_else(what)?;
        cleaner.learn(log, clean, None);
        cleaner.remember(tombstones);
        // It looked dirty while its batches came.
        let topic = self.topics.get_mut(&id).expect("its cleaner was found");
        if let Some((_, timer)) = topic.upkeep[partition as usize].cleaning.take() {
            self.timers.stop(timer);
        }
        self.keep_up(id, partition);
        Ok(())
    }
}
