//! A committed offset never regresses, unless its reader moved back or it was reset; and a commit
//! that was answered is in the history that a crash leaves.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{ConnId, Event, Fact, GroupId, MemberId, Op, ProducerId, StoredCommit, Tag};

use super::{Books, Invariant, Moment};

#[derive(Clone, Default)]
pub(super) struct Commits {
    /// By group, topic and partition.
    committed: BTreeMap<(u32, u32, u32), u64>,
    /// Partitions in which a member moved since its last commit.
    sought: BTreeSet<(MemberId, u32, u32)>,
    /// Who asks, if it is to commit.
    by: Option<MemberId>,
    asked: BTreeMap<(ConnId, Tag), Vec<(u32, u64)>>,
    answered: BTreeSet<(u32, u64)>,
    pending: Pending,
}

/// What producers' transactions will commit.
#[derive(Clone, Default)]
struct Pending(BTreeMap<ProducerId, Vec<(GroupId, Vec<StoredCommit<'static>>)>>);

impl Pending {
    /// What is committed by this fact, because it ends a transaction.
    fn learn(&mut self, fact: &Fact<'_>) -> Vec<(GroupId, Vec<StoredCommit<'static>>)> {
        if let Fact::OffsetsPending { producer, group, offsets, .. } = fact {
            let owned = |commit: &StoredCommit<'_>| StoredCommit {
                metadata: commit.metadata.clone().into_owned().into(),
                ..*commit
            };
            let offsets = offsets.iter().map(owned).collect();
            self.0.entry(*producer).or_default().push((*group, offsets));
        } else if let Fact::TransactionEnded { producer, commit, .. } = fact {
            let ended = self.0.remove(producer).unwrap_or_default();
            return if *commit { ended } else { Vec::new() };
        }
        Vec::new()
    }
}

impl Commits {
    fn fact(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::OffsetsCommitted { group, offsets, .. } = fact {
            return self.committed(*group, offsets);
        }
        for (group, offsets) in self.pending.learn(fact) {
            self.committed(group, &offsets)?;
        }
        Ok(())
    }

    fn committed(&mut self, group: GroupId, offsets: &[StoredCommit<'_>]) -> Result<(), String> {
        for StoredCommit { topic, partition, offset, .. } in offsets {
            let before = self.committed.insert((group.0, topic.0, *partition), offset.0);
            let by = self.by;
            let back = by.is_some_and(|by| self.sought.remove(&(by, topic.0, *partition)));
            if before.is_some_and(|before| offset.0 < before && !back) {
                return Err(format!(
                    "{group} had committed {before:?} of {topic}/{partition}, and commits {offset}"
                ));
            }
        }
        Ok(())
    }

    fn recovered(&mut self, history: &[Vec<u8>]) -> Result<(), String> {
        let mut found = BTreeSet::new();
        self.committed.clear();
        self.pending = Pending::default();
        for fact in super::facts(history) {
            for (group, offsets) in self.pending.learn(&fact) {
                for StoredCommit { topic, partition, offset, .. } in offsets {
                    self.committed.insert((group.0, topic.0, partition), offset.0);
                }
            }
            let Fact::OffsetsCommitted { group, offsets, .. } = fact else { continue };
            for StoredCommit { topic, partition, offset, .. } in offsets.iter() {
                found.insert((*partition, offset.0));
                self.committed.insert((group.0, topic.0, *partition), offset.0);
            }
        }
        match self.answered.difference(&found).next() {
            Some((partition, offset)) => {
                Err(format!("the commit of {offset} in partition {partition} is lost"))
            }
            None => Ok(()),
        }
    }
}

impl Invariant for Commits {
    fn name(&self) -> &'static str {
        "committed offsets never regress"
    }

    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                self.by = None;
                if let Op::Seek { member, topic, partition, .. } = &request.op {
                    let topic = books.policies.topic_named(topic);
                    self.sought.extend(topic.map(|topic| (*member, topic.0, *partition)));
                }
                if let Op::Commit { member, offsets, .. } = &request.op {
                    self.by = Some(*member);
                    let offsets = offsets.iter().map(|o| (o.partition, o.offset.0)).collect();
                    self.asked.insert((*conn, request.tag), offsets);
                }
                Ok(())
            }
            Moment::Fact(fact) => self.fact(fact),
            Moment::Told { conn, event: Event::Done { tag }, .. } => {
                self.answered.extend(self.asked.remove(&(*conn, *tag)).unwrap_or_default());
                Ok(())
            }
            Moment::Recovered { history, .. } => self.recovered(history),
            _ => Ok(()),
        }
    }
}
