//! What happens in topics and groups, as it shows in the picture.

use fanlight_core::{Activity, ConnId, LeaveReason, MemberId, Offset, Time};

use super::parts::{
    ActorId, Cursor, Group, MessageRef, Name, Place, Role, StoryId, TAPE_MARKS_MAX, Tape, TapeMark,
};
use super::projector::{About, Arrival, Projector, spot};
use super::story::{Hop, HopKind, LineKind, Spot};

/// Records whose journeys get a line when many are read or committed at once.
const TOLD_MAX: u64 = 256;

/// A group's hold on one partition, as an activity names it.
#[derive(Clone, Copy)]
struct At<'a> {
    group: &'a str,
    topic: &'a str,
    partition: u32,
}

impl At<'_> {
    fn message(self, offset: Offset) -> MessageRef {
        MessageRef { place: Place::Partition(self.topic.into(), self.partition), offset }
    }
}

impl Tape {
    pub(super) fn push(&mut self, mark: TapeMark) {
        self.marks.push_back(mark);
        if self.marks.len() > TAPE_MARKS_MAX {
            self.marks.pop_front();
        }
    }
}

impl Group {
    pub(super) fn cursor(&mut self, topic: &str, partition: u32) -> &mut Cursor {
        let at = self
            .cursors
            .binary_search_by(|c| (&*c.topic, c.partition).cmp(&(topic, partition)))
            .unwrap_or_else(|at| {
                let cursor = Cursor {
                    topic: topic.into(),
                    partition,
                    committed: None,
                    position: None,
                    read_to: Offset(0),
                    lag: 0,
                    owner: None,
                };
                self.cursors.insert(at, cursor);
                at
            });
        &mut self.cursors[at]
    }
}

impl Projector {
    pub(super) fn tape(&mut self, topic: &str, partition: u32) -> Option<&mut Tape> {
        let topic = self.picture.topics.iter_mut().find(|t| &*t.name == topic)?;
        topic.tapes.get_mut(partition as usize)
    }

    pub(super) fn hear_of_group(&mut self, at: Time, activity: &Activity<'_>) {
        if let Activity::Appended { topic, partition, base, count, conn, exchange, routing_key } =
            activity
        {
            let place = Place::Partition((&**topic).into(), *partition);
            let arrival = Arrival {
                at,
                place,
                base: *base,
                count: *count,
                conn: *conn,
                exchange,
                routing_key,
            };
            let stories = self.arrive(&arrival);
            self.append(topic, *partition, *base, &stories);
            self.tell_arrival(&arrival, stories);
        } else if let Activity::MemberJoined { group, member, conn } = activity {
            self.joined(at, group, *member, *conn);
        } else if let Activity::MemberLeft { group, member, conn, reason } = activity {
            self.left(at, group, *member, *conn, *reason);
        } else if let Activity::PartitionAssigned {
            group,
            generation,
            topic,
            partition,
            member,
            position,
            again,
        } = activity
        {
            let place = At { group, topic, partition: *partition };
            if let Some(group) = self.group(group) {
                group.generation = *generation;
            }
            self.assigned(at, place, *member, *position, *again);
        } else if let Activity::Polled { group, member, topic, partition, from, to } = activity {
            let place = At { group, topic, partition: *partition };
            self.polled(at, place, *member, *from, *to);
        } else if let Activity::Committed { group, topic, partition, from, to, member } = activity {
            let place = At { group, topic, partition: *partition };
            self.committed(at, place, *from, *to, *member);
        } else if let Activity::Sought { group, member, topic, partition, to } = activity {
            let place = At { group, topic, partition: *partition };
            self.sought(at, place, *member, *to);
        }
    }

    fn group(&mut self, name: &str) -> Option<&mut Group> {
        self.picture.groups.iter_mut().find(|group| &*group.name == name)
    }

    fn end_of(&self, topic: &str, partition: u32) -> Option<Offset> {
        let topic = self.picture.topic(topic)?;
        topic.tapes.get(partition as usize).map(|tape| tape.end)
    }

    fn append(&mut self, topic: &str, partition: u32, base: Offset, stories: &[StoryId]) {
        let poison: Vec<bool> =
            stories.iter().map(|id| self.picture.stories.is_poison(*id)).collect();
        let Some(tape) = self.tape(topic, partition) else { return };
        for (n, (story, poison)) in stories.iter().zip(poison).enumerate() {
            let offset = base.plus(n as u64);
            if offset >= tape.end {
                tape.end = offset.plus(1);
                tape.push(TapeMark { offset, story: *story, poison });
            }
        }
        let end = tape.end;
        let start = tape.start;
        for group in &mut self.picture.groups {
            for cursor in &mut group.cursors {
                if &*cursor.topic == topic && cursor.partition == partition {
                    cursor.lag = lag(cursor, start, end);
                }
            }
        }
    }

    fn joined(&mut self, at: Time, group: &str, member: MemberId, conn: ConnId) {
        self.is_stale = true;
        let actor = self.who(conn);
        self.members.insert(member, actor);
        self.accounts.name_group(group);
        self.seen_as(actor, Role::Member { group: group.into() });
        let sentence = format!("{} joined group {group}", self.name_of(actor));
        self.say_group(at, group, Some(actor), sentence);
    }

    fn left(&mut self, at: Time, group: &str, member: MemberId, conn: ConnId, why: LeaveReason) {
        self.is_stale = true;
        let actor = self.who(conn);
        self.members.remove(&member);
        if let Some(group) = self.group(group) {
            group.members.retain(|other| other.id != member);
            for cursor in group.cursors.iter_mut().filter(|c| c.owner == Some(actor)) {
                cursor.owner = None;
                cursor.position = None;
            }
        }
        let why = match why {
            LeaveReason::Left => "it left in good order",
            LeaveReason::Disconnected => "its connection closed",
            LeaveReason::SessionTimeout => "it was silent for its session timeout",
            LeaveReason::TopicDeleted => "its topic was deleted",
            LeaveReason::RebalanceTimeout => "it took longer than its rebalance timeout",
            LeaveReason::InstanceFenced => "another joined under its instance's name",
            LeaveReason::Removed => "it was removed",
        };
        let sentence = format!("{} is out of group {group}: {why}", self.name_of(actor));
        self.say_group(at, group, Some(actor), sentence);
    }

    fn say_group(&mut self, at: Time, group: &str, actor: Option<ActorId>, sentence: String) {
        let about = About { actor, group: Some(group.into()), ..About::default() };
        self.say(at, LineKind::Group, sentence, about);
    }

    fn owner(&self, member: MemberId) -> (Option<ActorId>, Name) {
        let actor = self.members.get(&member).copied();
        let name = actor.map_or_else(|| member.to_string().into(), |actor| self.name_of(actor));
        (actor, name)
    }

    fn assigned(
        &mut self,
        at: Time,
        place: At<'_>,
        member: MemberId,
        position: Offset,
        again: u64,
    ) {
        let (actor, name) = self.owner(member);
        if let Some(group) = self.group(place.group) {
            let cursor = group.cursor(place.topic, place.partition);
            cursor.owner = actor;
            cursor.position = Some(position);
            cursor.read_to = cursor.read_to.max(position.plus(again));
        }
        let At { group, topic, partition } = place;
        let mut sentence = format!("{topic}/{partition} goes to {name}, from offset {position} on");
        if again > 0 {
            let records = if again == 1 { "record comes" } else { "records come" };
            sentence += &format!(": {again} {records} again, read before and never committed");
        }
        let kind = if again > 0 { LineKind::Return } else { LineKind::Group };
        let about = About {
            actor,
            group: Some(group.into()),
            place: Some(Place::Partition(topic.into(), partition)),
            stories: self.stories_of(place, position, position.plus(again)),
            message: (again > 0).then(|| place.message(position)),
        };
        self.say(at, kind, sentence, about);
    }

    fn stories_of(&self, place: At<'_>, from: Offset, to: Offset) -> Vec<StoryId> {
        (from.0..to.0.min(from.0.saturating_add(TOLD_MAX)))
            .filter_map(|offset| self.picture.story_at(&place.message(Offset(offset))))
            .collect()
    }

    /// What a line about a run of records concerns.
    fn about_run(&self, place: At<'_>, from: Offset, to: Offset, actor: Option<ActorId>) -> About {
        About {
            message: (from < to).then(|| place.message(from)),
            stories: self.stories_of(place, from, to),
            actor,
            group: Some(place.group.into()),
            place: Some(Place::Partition(place.topic.into(), place.partition)),
        }
    }

    fn polled(&mut self, at: Time, place: At<'_>, member: MemberId, from: Offset, to: Offset) {
        let (actor, name) = self.owner(member);
        let mut again = 0;
        if let Some(group) = self.group(place.group) {
            let cursor = group.cursor(place.topic, place.partition);
            again = cursor.read_to.min(to).0.saturating_sub(from.0);
            cursor.read_to = cursor.read_to.max(to);
            cursor.position = Some(to);
        }
        let count = to.0.saturating_sub(from.0);
        self.tally(at, |tally| {
            tally.delivered += count as u32;
            tally.redelivered += again as u32;
        });
        self.accounts.group(place.group).redelivered += again;
        let what = match count {
            1 => format!("{} at {}", self.called(&place.message(from)), place.message(from)),
            _ => format!(
                "{count} records of {}/{}, {from} to {}",
                place.topic,
                place.partition,
                to.0.saturating_sub(1)
            ),
        };
        let sentence = match again {
            0 => format!("{name} read {what}"),
            again if again == count => {
                format!("{name} read {what}, again: it had been read and never committed")
            }
            again => format!("{name} read {what}; the first {again} again, never committed before"),
        };
        if let Some(actor) = actor {
            self.hop_run(at, HopKind::Read, place, (from, to), actor, again > 0);
        }
        let about = self.about_run(place, from, to, actor);
        self.say(at, LineKind::Deliver, sentence, about);
    }

    fn hop_run(
        &mut self,
        at: Time,
        kind: HopKind,
        place: At<'_>,
        (from, to): (Offset, Offset),
        actor: ActorId,
        again: bool,
    ) {
        let first = place.message(from);
        let ends = match kind {
            HopKind::Commit => {
                (Spot::Actor(actor), spot(&place.message(Offset(to.0.saturating_sub(1)))))
            }
            HopKind::Read
            | HopKind::Publish
            | HopKind::Deliver
            | HopKind::Ack
            | HopKind::Return
            | HopKind::Expire
            | HopKind::DeadLetter
            | HopKind::Redrive
            | HopKind::Drop => (spot(&first), Spot::Actor(actor)),
        };
        self.hop(Hop {
            seq: 0,
            at,
            kind,
            from: ends.0,
            via: None,
            to: ends.1,
            story: self.picture.story_at(&first),
            count: to.0.saturating_sub(from.0) as u32,
            attempt: if again { 2 } else { 1 },
            poison: false,
        });
    }

    fn committed(
        &mut self,
        at: Time,
        place: At<'_>,
        from: Option<Offset>,
        to: Offset,
        member: Option<MemberId>,
    ) {
        let end = self.end_of(place.topic, place.partition);
        let start = self.tape(place.topic, place.partition).map_or(Offset(0), |tape| tape.start);
        if let Some(group) = self.group(place.group) {
            let cursor = group.cursor(place.topic, place.partition);
            cursor.committed = Some(to);
            cursor.lag = end.map_or(cursor.lag, |end| lag(cursor, start, end));
        }
        let before = from.unwrap_or(start);
        let tape = format!("{}/{}", place.topic, place.partition);
        let count = to.0.saturating_sub(before.0);
        let Some(member) = member else {
            let sentence = match from {
                Some(from) => format!("{} was reset on {tape}: from {from} to {to}", place.group),
                None => format!("{} was reset on {tape}: to {to}", place.group),
            };
            self.say_group(at, place.group, None, sentence);
            return;
        };
        let (actor, name) = self.owner(member);
        self.tally(at, |tally| tally.settled += count as u32);
        if let Some(actor) = self.stranger_of(actor) {
            actor.done += count;
        }
        if let (Some(actor), true) = (actor, count > 0) {
            self.hop_run(at, HopKind::Commit, place, (before, to), actor, false);
        }
        let sentence = format!(
            "{name} committed {tape} up to {to}: a crash of it would no longer bring back the \
             {count} before that"
        );
        let about = self.about_run(place, before, to, actor);
        self.say(at, LineKind::Settle, sentence, about);
    }

    fn stranger_of(&mut self, actor: Option<ActorId>) -> Option<&mut super::parts::Actor> {
        actor.and_then(|actor| self.stranger(actor))
    }

    fn sought(&mut self, at: Time, place: At<'_>, member: MemberId, to: Offset) {
        let (actor, name) = self.owner(member);
        if let Some(group) = self.group(place.group) {
            group.cursor(place.topic, place.partition).position = Some(to);
        }
        let sentence =
            format!("{name} moved its position in {}/{} to {to}", place.topic, place.partition);
        self.say_group(at, place.group, actor, sentence);
    }
}

/// Records between what is committed, or the log's start, and the log's end.
fn lag(cursor: &Cursor, start: Offset, end: Offset) -> u64 {
    end.0.saturating_sub(cursor.committed.map_or(start.0, |committed| committed.0.max(start.0)))
}
