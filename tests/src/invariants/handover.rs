//! Where members give up what moves first, a partition is given on only after its owner has said
//! that it gave it up, or is out of the group.

use std::collections::{BTreeMap, BTreeSet};

use fanlight_core::{Assignor, ConnId, Event, Generation, MemberId, Op, Tag};

use super::{Books, Invariant, Moment};

/// Of which group, and which partition of which topic.
type Partition = (String, String, u32);

#[derive(Clone, Default)]
pub(super) struct Handover {
    joins: BTreeMap<(ConnId, Tag), String>,
    /// Members that give up first: their group, and their connection.
    members: BTreeMap<MemberId, (String, ConnId)>,
    /// Who was told to read it last, and when it was told not to, if it was.
    readers: BTreeMap<Partition, (MemberId, Option<Generation>)>,
}

impl Handover {
    fn assigned(
        &mut self,
        member: MemberId,
        generation: Generation,
        told: BTreeSet<Partition>,
    ) -> Result<(), String> {
        for (partition, (reader, until)) in &mut self.readers {
            if *reader == member && until.is_none() && !told.contains(partition) {
                *until = Some(generation);
            }
        }
        for partition in told {
            let before = self.readers.insert(partition.clone(), (member, None));
            if let Some((reader, until)) = before.filter(|(reader, _)| *reader != member) {
                return Err(format!(
                    "{partition:?} goes to {member}, and {reader}, told in {until:?}, has it"
                ));
            }
        }
        Ok(())
    }

    fn out(&mut self, gone: impl Fn(MemberId, ConnId) -> bool) {
        let gone: Vec<_> =
            self.members.iter().filter(|(id, of)| gone(**id, of.1)).map(|(id, _)| *id).collect();
        for member in gone {
            self.members.remove(&member);
            self.readers.retain(|_, (reader, _)| *reader != member);
        }
    }
}

impl Invariant for Handover {
    fn name(&self) -> &'static str {
        "what moves is given up first"
    }

    fn see(&mut self, moment: &Moment<'_>, _: &Books) -> Result<(), String> {
        match moment {
            Moment::Asked(conn, request) => match &request.op {
                Op::Join { group, assignor: Assignor::CooperativeSticky, .. } => {
                    self.joins.insert((*conn, request.tag), group.clone().into_owned());
                }
                Op::Revoked { member, generation } => {
                    self.readers.retain(|_, (reader, until)| {
                        *reader != *member || until.is_none_or(|until| until > *generation)
                    });
                }
                Op::Leave { member } => self.out(|id, _| id == *member),
                _ => {}
            },
            Moment::Decided(conn, Event::Joined { tag, member, .. }) => {
                if let Some(group) = self.joins.remove(&(*conn, *tag)) {
                    self.members.insert(*member, (group, *conn));
                }
            }
            Moment::Decided(_, Event::Assigned { member, generation, partitions, .. }) => {
                let Some((group, _)) = self.members.get(member) else { return Ok(()) };
                let told = partitions
                    .iter()
                    .map(|told| (group.clone(), told.topic.clone().into_owned(), told.partition));
                let told = told.collect();
                return self.assigned(*member, *generation, told);
            }
            Moment::Decided(_, Event::Expelled { member, .. }) => self.out(|id, _| id == *member),
            Moment::Gone(gone) => self.out(|_, conn| conn == *gone),
            Moment::Recovered { .. } => *self = Handover::default(),
            _ => {}
        }
        Ok(())
    }
}
