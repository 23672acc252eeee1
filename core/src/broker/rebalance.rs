//! Sharing out a group's partitions, and handing on what moves.

use alloc::vec::Vec;

use super::{Broker, Refused};
use crate::activity::{Activity, LeaveReason};
use crate::effect::Sink;
use crate::event::{Assignment, Event};
use crate::fact::Fact;
use crate::group::{Going, Group, Owned, Partition};
use crate::id::{ConnId, Generation, GroupId, MemberId, Offset, TopicId};
use crate::map::Map;
use crate::planted::{Planted, planted};
use crate::request::{Assignor, Start};
use crate::set::Set;
use crate::timer::{Due, TimerId};

impl Broker {
    /// Shares out a group's partitions anew and tells its members. Who keeps a partition keeps its
    /// position in it; who gets one begins where the group has committed. Cooperatively, what
    /// moves stays with its owner until that has given it up.
    pub(super) fn rebalance(&mut self, id: GroupId, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        let generation = Generation(group.generation.0 + 1);
        let topics: Set<TopicId> =
            group.members.values().flat_map(|member| member.topics.iter()).collect();
        let topics: Vec<_> = topics
            .into_iter()
            .filter_map(|topic| Some((topic, self.topics.get(&topic)?.partitions.len() as u32)))
            .collect();
        let cooperative = group.assignor == Assignor::CooperativeSticky;
        let mut owned = Map::default();
        for (partition, member) in group.assignment(&topics) {
            let had = group.owned.get(&partition);
            // Who does not read the topic any more has given it up by that.
            let reads = |had: &&Owned| {
                group.members.get(&had.member).is_some_and(|m| m.topics.contains(partition.0))
            };
            let next = match had.filter(reads) {
                Some(had) if had.member == member && had.going.is_none() => *had,
                Some(had) if cooperative && !planted(Planted::NothingIsGivenUpFirst) => {
                    let since = had.going.map_or(generation, |going| going.since);
                    Owned { going: Some(Going { to: member, since }), ..*had }
                }
                Some(_) | None => self.fresh(group, partition, member, generation),
            };
            owned.insert(partition, next);
        }
        self.record(Fact::Rebalanced { group: id, generation }, out);
        let group = self.groups.get_mut(&id).expect("a known group exists");
        let before = core::mem::replace(&mut group.owned, owned);
        for member in group.members.values_mut() {
            (member.owns, member.going) = Default::default();
        }
        for (partition, owned) in group.owned.iter() {
            let owner = group.members.get_mut(&owned.member).expect("an owner is a member");
            let set = if owned.going.is_some() { &mut owner.going } else { &mut owner.owns };
            set.insert(*partition);
        }
        for (id, member) in group.members.iter_mut() {
            if member.going.is_empty() {
                self.timers.stop(core::mem::replace(&mut member.revoking, TimerId::NONE));
            } else if member.revoking == TimerId::NONE {
                let due = self.now + member.rebalance;
                member.revoking = self.timers.start(due, Due::Revocation(*id));
            }
        }
        let members: Vec<_> = group.members.keys().copied().collect();
        for member in &members {
            self.tell_assignment(id, *member, out);
        }
        if members.is_empty() {
            return self.vacated(id, out);
        }
        self.note_going(id, &before, out);
        self.note_owned(id, |owned| owned.since == generation, out);
        for member in members {
            self.wake_poll(id, member, out);
        }
    }

    /// A partition in new hands.
    fn fresh(
        &self,
        group: &Group,
        partition: Partition,
        member: MemberId,
        since: Generation,
    ) -> Owned {
        let start = group.members[&member].start;
        let position = self.first_position(group, partition, start);
        Owned { member, since, position, sought: None, going: None }
    }

    fn first_position(&self, group: &Group, partition: Partition, start: Start) -> Offset {
        let log = &self.topics[&partition.0].partitions[partition.1 as usize];
        match (group.committed.get(&partition), start) {
            (Some(commit), _) if planted(Planted::ResumeSkipsARecord) => {
                commit.offset.plus(1).clamp(log.start(), log.end())
            }
            (Some(commit), _) => commit.offset.clamp(log.start(), log.end()),
            (None, Start::Earliest) => log.start(),
            (None, Start::Latest) => log.end(),
        }
    }

    /// A member reads what it owns from where the group has committed.
    pub(super) fn begin_again(&mut self, id: GroupId, member: MemberId) {
        let group = &self.groups[&id];
        let since = group.generation;
        let owned: Vec<_> = group.members[&member]
            .owns
            .iter()
            .map(|partition| (partition, self.fresh(group, partition, member, since)))
            .collect();
        let group = self.group_mut(id);
        owned.into_iter().for_each(|(partition, owned)| group.owned.insert(partition, owned));
    }

    pub(super) fn revoked(
        &mut self,
        conn: ConnId,
        member: MemberId,
        generation: Generation,
        out: &mut dyn Sink,
    ) -> Result<(), Refused> {
        let id = self.group_of(conn, member)?;
        self.has_come(id, generation)?;
        self.renew_session(id, member);
        self.give_up(id, member, generation, out);
        Ok(())
    }

    /// Hands on what a member was told to give up in this generation or before.
    pub(super) fn give_up(
        &mut self,
        id: GroupId,
        member: MemberId,
        generation: Generation,
        out: &mut dyn Sink,
    ) {
        let group = &self.groups[&id];
        let told = |partition: &Partition| {
            let going = group.owned[partition].going.expect("it was told to give it up");
            (going.since <= generation).then_some((*partition, going.to))
        };
        let given: Vec<_> = group.members[&member].going.iter().filter_map(|p| told(&p)).collect();
        let since = group.generation;
        let mut takers = Set::default();
        for (partition, to) in &given {
            let owned = self.fresh(&self.groups[&id], *partition, *to, since);
            let group = self.group_mut(id);
            group.owned.insert(*partition, owned);
            let giver = group.members.get_mut(&member).expect("it is a member");
            giver.going.remove(*partition);
            let taker = group.members.get_mut(to).expect("what is given up is given to a member");
            taker.owns.insert(*partition);
            takers.insert(*to);
        }
        let group = self.groups.get_mut(&id).expect("a known group exists");
        let giver = group.members.get_mut(&member).expect("it is a member");
        if giver.going.is_empty() {
            self.timers.stop(core::mem::replace(&mut giver.revoking, TimerId::NONE));
        }
        for taker in takers.iter() {
            self.tell_assignment(id, taker, out);
        }
        for (partition, _) in &given {
            self.note_assigned(id, *partition, out);
        }
        for taker in takers {
            self.wake_poll(id, taker, out);
        }
    }

    /// A member has not given up in time what others wait for.
    pub(super) fn revocation_expired(
        &mut self,
        member: MemberId,
        timer: TimerId,
        out: &mut dyn Sink,
    ) {
        let Some(group) = self.members.get(&member) else { return };
        if self.groups[group].members[&member].revoking == timer {
            self.expel(member, LeaveReason::RebalanceTimeout, out);
        }
    }

    pub(super) fn tell_assignment(&self, id: GroupId, member: MemberId, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        let to_all = |(partition, owned): (&Partition, &Owned)| {
            let given = planted(Planted::PartitionGoesToAll) && partition.1 == 0;
            (given && owned.member != member).then_some((*partition, owned.position))
        };
        let more = planted(Planted::PartitionGoesToAll).then(|| group.owned.iter());
        let owned = group.owned_by(member).map(|(partition, owned)| (partition, owned.position));
        let partitions = owned
            .chain(more.into_iter().flatten().filter_map(to_all))
            .map(|((topic, partition), position)| Assignment {
                topic: self.topic_name(topic).into(),
                partition,
                position,
            })
            .collect();
        let generation = group.generation;
        let event = Event::Assigned { member, generation, partitions };
        self.tell_member(group.members[&member].conn, event, out);
    }

    fn note_assigned(&self, id: GroupId, partition: Partition, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        let owned = &group.owned[&partition];
        let reached = group.reached.get(&partition).copied().unwrap_or_default();
        self.note(out, || Activity::PartitionAssigned {
            group: group.name.as_str().into(),
            generation: group.generation,
            topic: self.topic_name(partition.0).into(),
            partition: partition.1,
            member: owned.member,
            position: owned.position,
            again: reached.0.saturating_sub(owned.position.0),
        });
    }

    /// Notes who got the partitions that `new` says are new in their hands.
    pub(super) fn note_owned(&self, id: GroupId, new: impl Fn(&Owned) -> bool, out: &mut dyn Sink) {
        for (partition, owned) in self.groups[&id].owned.iter() {
            if owned.going.is_none() && new(owned) {
                self.note_assigned(id, *partition, out);
            }
        }
    }

    fn note_going(&self, id: GroupId, before: &Map<Partition, Owned>, out: &mut dyn Sink) {
        let group = &self.groups[&id];
        for (partition, owned) in group.owned.iter() {
            let was = before.get(partition).and_then(|before| before.going);
            let Some(going) = owned.going.filter(|_| was.is_none()) else { continue };
            self.note(out, || Activity::PartitionRevoked {
                group: group.name.as_str().into(),
                generation: group.generation,
                topic: self.topic_name(partition.0).into(),
                partition: partition.1,
                member: owned.member,
                to: going.to,
            });
        }
    }
}
