//! What a client knows: the least that one needs to keep of what it was told, so that what it asks
//! next makes sense.

use std::collections::BTreeMap;

use fanlight_core::{
    Assignment, ConsumerId, Event, Fetched, Generation, LeaseId, MemberId, Offset, Tag,
};

/// One open connection, seen from the client's side.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Deliveries it has not settled, the oldest first; some of them may have expired.
    pub leases: Vec<LeaseId>,
    /// Its consumers.
    pub consumers: Vec<ConsumerId>,
    /// Its members of groups.
    pub members: BTreeMap<MemberId, Reader>,
    /// Which member a poll was for.
    polls: BTreeMap<Tag, MemberId>,
}

/// A member of a group, as its client sees it.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The newest generation it was told of.
    pub generation: Generation,
    /// The next offset of each partition it reads.
    pub positions: BTreeMap<(String, u32), Offset>,
}

impl Client {
    /// Remembers which member a poll is for, so that its answer can be understood.
    pub fn polls(&mut self, tag: Tag, member: MemberId) {
        self.polls.insert(tag, member);
    }

    /// Takes note of what it was told.
    pub fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Consuming { consumer, .. } => self.consumers.push(*consumer),
            Event::Cancelled { consumer } => self.consumers.retain(|other| other != consumer),
            Event::Delivered { deliveries, .. } | Event::Received { deliveries, .. } => {
                self.leases.extend(deliveries.iter().map(|delivery| delivery.lease));
            }
            Event::Joined { member, .. } => drop(self.members.insert(*member, Reader::default())),
            Event::Assigned { member, generation, partitions } => {
                self.assigned(*member, *generation, partitions);
            }
            Event::Expelled { member } => drop(self.members.remove(member)),
            Event::Polled { tag, batches } => self.polled(*tag, batches),
            Event::Refused { tag, .. } => drop(self.polls.remove(tag)),
            Event::Opened { .. }
            | Event::Done { .. }
            | Event::Count { .. }
            | Event::Published { .. }
            | Event::Settled { .. }
            | Event::ReadDone { .. }
            | Event::Inspected { .. }
            | Event::Activity { .. } => {}
        }
    }

    fn assigned(
        &mut self,
        member: MemberId,
        generation: Generation,
        partitions: &[Assignment<'_>],
    ) {
        let positions = partitions
            .iter()
            .map(|a| ((a.topic.clone().into_owned(), a.partition), a.position))
            .collect();
        self.members.insert(member, Reader { generation, positions });
    }

    fn polled(&mut self, tag: Tag, batches: &[Fetched<'_>]) {
        let Some(reader) = self.polls.remove(&tag).and_then(|member| self.members.get_mut(&member))
        else {
            return;
        };
        for fetched in batches {
            let partition = (fetched.topic.clone().into_owned(), fetched.partition);
            reader.positions.insert(partition, fetched.next);
        }
    }
}
