//! A partition has one reader at a time, and only its reader commits: nobody else is told to read
//! it in that generation, and a commit counts only from who was told last.

use std::collections::BTreeMap;

use fanlight_core::{
    ConnId, Event, Fact, Generation, GroupId, MemberId, Op, StoredCommit, Tag, TopicId,
};

use super::{Books, Invariant, Moment};

/// Of which group, and which partition of which topic.
type Partition = (String, String, u32);

/// Who reads what, by what members were told.
#[derive(Clone, Default)]
struct Told {
    joins: BTreeMap<(ConnId, Tag), String>,
    groups: BTreeMap<MemberId, String>,
    readers: BTreeMap<Partition, (Generation, MemberId)>,
}

impl Told {
    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => {
                if let Op::Join { group, .. } = &request.op {
                    self.joins.insert((*conn, request.tag), group.clone().into_owned());
                }
            }
            Moment::Decided(conn, Event::Joined { tag, member, .. }) => {
                if let Some(group) = self.joins.remove(&(*conn, *tag)) {
                    self.groups.insert(*member, group);
                }
            }
            Moment::Decided(_, Event::Assigned { member, generation, partitions, .. }) => {
                let group = self.groups.get(member).ok_or("assigned, and never joined")?;
                for told in partitions.iter() {
                    let partition =
                        (group.clone(), told.topic.clone().into_owned(), told.partition);
                    let reader = (*generation, *member);
                    let before = self.readers.insert(partition.clone(), reader);
                    if before.is_some_and(|(at, by)| at == *generation && by != *member) {
                        return Err(format!("{partition:?} goes to {before:?} and to {reader:?}"));
                    }
                }
            }
            Moment::Recovered { .. } => *self = Told::default(),
            _ => {}
        }
        Ok(())
    }
}

/// A partition has one reader at a time.
#[derive(Clone, Default)]
pub(super) struct Readers(Told);

impl Invariant for Readers {
    fn name(&self) -> &'static str {
        "a partition has one reader at a time"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        self.0.see(moment)
    }
}

/// Only the owner of a partition commits on it.
#[derive(Clone, Default)]
pub(super) struct Owners {
    told: Told,
    groups: BTreeMap<GroupId, String>,
    topics: BTreeMap<TopicId, String>,
    /// Who asked last, if it was to commit.
    commits: Option<MemberId>,
}

impl Owners {
    fn fact(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::GroupCreated { id, name } = fact {
            self.groups.insert(*id, name.clone().into_owned());
        } else if let Fact::TopicCreated { id, name, .. } | Fact::TopicMade { id, name, .. } = fact
        {
            self.topics.insert(*id, name.clone().into_owned());
        } else if let (Fact::OffsetsCommitted { group, offsets, .. }, Some(by)) =
            (fact, self.commits)
        {
            for StoredCommit { topic, partition, .. } in offsets.iter() {
                let place = (self.groups[group].clone(), self.topics[topic].clone(), *partition);
                let reader = self.told.readers.get(&place);
                if reader.is_none_or(|(_, reader)| *reader != by) {
                    return Err(format!("{by} commits on {place:?}, which {reader:?} reads"));
                }
            }
        }
        Ok(())
    }
}

impl Invariant for Owners {
    fn name(&self) -> &'static str {
        "only the owner commits"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        // What was told wrongly is for the other invariant to say.
        drop(self.told.see(moment));
        match moment {
            Moment::Asked(_, request) => {
                self.commits = match &request.op {
                    Op::Commit { member, .. } => Some(*member),
                    _ => None,
                };
            }
            Moment::Fact(fact) => return self.fact(fact),
            Moment::Recovered { history, .. } => {
                *self = Owners::default();
                return super::facts(history).try_for_each(|fact| self.fact(&fact));
            }
            _ => {}
        }
        Ok(())
    }
}
