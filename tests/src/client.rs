//! What a client knows: the least that one needs to keep of what it was told, so that what it asks
//! next makes sense.

use std::collections::BTreeMap;

use fanlight_core::{
    Assignment, Code, ConsumerId, Event, Fetched, Generation, LeaseId, MemberId, Offset, Op,
    ProducerEpoch, ProducerId, Sequenced, Tag, Target,
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
    /// Its members of groups whose members assign.
    pub seats: BTreeMap<MemberId, Seat>,
    /// Producers that it initialised, and the number that comes next in each of their counts.
    pub producers: BTreeMap<ProducerId, Numbering>,
    /// Numbered batches that it does not know to be stored.
    numbered: BTreeMap<Tag, (Sequenced, Option<(String, u32)>)>,
    /// Whether a producer that was asked for has a name.
    initialised: BTreeMap<Tag, bool>,
    /// Which member a poll was for.
    polls: BTreeMap<Tag, MemberId>,
}

/// A producer, as its client sees it.
#[derive(Clone, Debug, Default)]
pub struct Numbering {
    /// Its epoch.
    pub epoch: ProducerEpoch,
    /// Whether it has a transactional name.
    pub is_named: bool,
    /// Whether it believes that it has a transaction open.
    pub is_open: bool,
    /// The next number for a partition that is named, and for everything else.
    pub next: BTreeMap<Option<(String, u32)>, u32>,
    /// What it published last.
    pub last: Option<Op<'static>>,
}

/// A member of a group, as its client sees it.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    /// The newest generation it was told of.
    pub generation: Generation,
    /// In which generation it was told to give up partitions, if it has not yet said that it did.
    pub given_up: Option<Generation>,
    /// The next offset of each partition it reads.
    pub positions: BTreeMap<(String, u32), Offset>,
}

/// A member of a group whose members assign, as its client sees it.
#[derive(Clone, Debug, Default)]
pub struct Seat {
    /// The generation that it joined.
    pub generation: Generation,
    /// If it leads: whom it assigns to.
    pub members: Vec<MemberId>,
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
            Event::JoinedClassic { member, generation, members, .. } => {
                let members = members.iter().map(|proposal| proposal.member).collect();
                self.seats.insert(*member, Seat { generation: *generation, members });
            }
            Event::Expelled { member, .. } => {
                self.members.remove(member);
                self.seats.remove(member);
            }
            Event::Polled { tag, batches } => self.polled(*tag, batches),
            Event::Refused { tag, refusal } => {
                self.polls.remove(tag);
                self.not_published(*tag, refusal.code);
            }
            Event::Published { tag, .. } => drop(self.numbered.remove(tag)),
            Event::ProducerReady { tag, producer, epoch } => {
                let is_named = self.initialised.remove(tag).unwrap_or_default();
                let numbering = Numbering { epoch: *epoch, is_named, ..Numbering::default() };
                self.producers.insert(*producer, numbering);
            }
            Event::Opened { .. }
            | Event::Done { .. }
            | Event::Count { .. }
            | Event::Returned { .. }
            | Event::RedriveStarted { .. }
            | Event::RedriveEnded { .. }
            | Event::Synced { .. }
            | Event::MembersRemoved { .. }
            | Event::Settled { .. }
            | Event::ReadDone { .. }
            | Event::FetchDone { .. }
            | Event::Inspected { .. }
            | Event::OffsetsReset { .. }
            | Event::Activity { .. }
            | Event::Pressure { .. } => {}
        }
    }

    /// Remembers what a producer asks now.
    pub fn publishes(&mut self, tag: Tag, op: &Op<'static>) {
        if let Op::InitProducer { name, .. } = op {
            self.initialised.insert(tag, name.is_some());
        } else if let Op::EndTransaction { producer, .. } = op
            && let Some(numbering) = self.producers.get_mut(producer)
        {
            numbering.is_open = false;
        }
        let Op::Publish { to, records, by: Some(by), transactional, .. } = op else { return };
        let Some(numbering) = self.producers.get_mut(&by.producer) else { return };
        numbering.is_open |= transactional;
        let lane = match to {
            Target::Topic { name, partition: Some(partition) } => {
                Some((name.clone().into_owned(), *partition))
            }
            Target::Topic { partition: None, .. }
            | Target::Queue { .. }
            | Target::Exchange { .. } => None,
        };
        numbering.last = Some(op.clone());
        let next = numbering.next.entry(lane.clone()).or_default();
        if *next == by.sequence {
            *next += records.count();
            self.numbered.insert(tag, (*by, lane));
        }
    }

    fn not_published(&mut self, tag: Tag, code: Code) {
        let Some((by, lane)) = self.numbered.remove(&tag) else { return };
        if matches!(code, Code::ProducerFenced | Code::UnknownProducer) {
            self.producers.remove(&by.producer);
        } else if let Some(numbering) = self.producers.get_mut(&by.producer) {
            numbering.next.insert(lane, by.sequence);
        }
    }

    /// Remembers that a member has said that it gave up what it was told to.
    pub fn gave_up(&mut self, member: MemberId) {
        if let Some(reader) = self.members.get_mut(&member) {
            reader.given_up = None;
        }
    }

    fn assigned(
        &mut self,
        member: MemberId,
        generation: Generation,
        partitions: &[Assignment<'_>],
    ) {
        let positions: BTreeMap<_, _> = partitions
            .iter()
            .map(|a| ((a.topic.clone().into_owned(), a.partition), a.position))
            .collect();
        let before = self.members.remove(&member).unwrap_or_default();
        let loses = before.positions.keys().any(|partition| !positions.contains_key(partition));
        let given_up = if loses { Some(generation) } else { before.given_up };
        self.members.insert(member, Reader { generation, given_up, positions });
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
