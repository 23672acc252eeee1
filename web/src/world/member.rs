//! A member of a consumer group: reads its partitions, works record by record, and commits now and
//! then. What it has processed and not committed comes again if it dies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fanlight_core::{
    Assignment, Assignor, Budget, Code, CommitOffset, Event, Fetched, Generation, MemberId, Offset,
    Op, Refusal, Span, Start, Tag, Time,
};

use super::actor::{Desk, InHand, Note, Part};
use crate::picture::{MessageRef, Name, Place, Role};

/// How long one poll waits for a record.
const WAIT: Span = Span::from_secs(5);
/// Silent for this long, the member is out. Short, so that it can be watched.
const SESSION_TIMEOUT: Span = Span::from_secs(6);
/// How often it says that it lives.
const HEARTBEAT: Span = Span::from_secs(2);
/// What is processed is committed after this long at the latest (Kafka's
/// `auto.commit.interval.ms`).
const COMMIT_AFTER: Span = Span::from_secs(5);
/// How long it waits after a refusal before it joins again.
const JOIN_AGAIN: Span = Span::from_secs(2);

/// A partition of a topic.
type Partition = (Name, u32);

/// A member.
#[derive(Clone)]
pub(crate) struct Member {
    group: Name,
    topic: Name,
    joining: Option<Tag>,
    join_at: Option<Time>,
    member: Option<MemberId>,
    generation: Generation,
    /// What is assigned, and up to where it was read.
    owned: BTreeMap<Partition, Offset>,
    polling: Option<Tag>,
    held: VecDeque<MessageRef>,
    work: Option<(Time, Time)>,
    /// What is processed and not committed: the next offset to read, by partition.
    pending: BTreeMap<Partition, Offset>,
    processed: u32,
    commit_at: Option<Time>,
    committing: BTreeSet<Tag>,
    beat_at: Option<Time>,
    stopping: bool,
}

impl Member {
    pub(crate) fn new(group: &str, topic: &str) -> Member {
        Member {
            group: group.into(),
            topic: topic.into(),
            joining: None,
            join_at: None,
            member: None,
            generation: Generation(0),
            owned: BTreeMap::new(),
            polling: None,
            held: VecDeque::new(),
            work: None,
            pending: BTreeMap::new(),
            processed: 0,
            commit_at: None,
            committing: BTreeSet::new(),
            beat_at: None,
            stopping: false,
        }
    }

    fn join(&mut self, desk: &mut Desk<'_>) {
        let topics = vec![self.topic.to_string().into()];
        self.joining = Some(desk.send(Op::Join {
            group: self.group.to_string().into(),
            topics: topics.into(),
            assignor: Assignor::Range,
            start: Start::Earliest,
            session_timeout: Some(SESSION_TIMEOUT),
            instance: None,
            rebalance_timeout: None,
        }));
    }

    /// It is in no group any more: all that it had is forgotten.
    fn reset(&mut self) {
        *self = Member { stopping: self.stopping, ..Member::new(&self.group, &self.topic) };
    }

    /// Keeps of what it has in hand what it still owns and will not read again.
    fn assigned(&mut self, generation: Generation, partitions: &[Assignment<'_>]) {
        self.generation = generation;
        self.owned =
            partitions.iter().map(|a| ((Name::from(&*a.topic), a.partition), a.position)).collect();
        let first = self.held.front().cloned();
        let owned = &self.owned;
        self.held.retain(|message| {
            part_of(message)
                .and_then(|part| owned.get(&part))
                .is_some_and(|position| message.offset < *position)
        });
        self.pending.retain(|part, next| owned.get(part).is_some_and(|at| *next <= *at));
        if self.held.front() != first.as_ref() {
            self.work = None;
        }
    }

    fn polled(&mut self, desk: &mut Desk<'_>, batches: &[Fetched<'_>]) {
        for batch in batches {
            let part = (Name::from(&*batch.topic), batch.partition);
            let end = batch.next;
            for n in 0..batch.records.count() {
                let message = MessageRef {
                    place: Place::Partition(part.0.clone(), part.1),
                    offset: batch.offset(n),
                };
                if let Some(record) = batch.records.raw(n) {
                    desk.note(Note::Saw(message.clone(), record.as_bytes().to_vec()));
                }
                self.held.push_back(message);
            }
            if desk.tuning.commit_first {
                self.pending.insert(part.clone(), end);
            }
            self.owned.insert(part, end);
        }
        if desk.tuning.commit_first && !batches.is_empty() {
            self.commit(desk);
        }
    }

    fn go_on(&mut self, desk: &mut Desk<'_>) {
        if self.work.is_none() && !self.held.is_empty() && !self.stopping {
            self.work = Some((desk.now, desk.work_ends()));
        }
        if self.work.is_none() && self.stopping {
            self.depart(desk);
        } else if let Some(member) = self.member
            && self.held.is_empty()
            && self.polling.is_none()
        {
            let records_max = desk.tuning.prefetch.max(1);
            self.polling =
                Some(desk.send(Op::Poll { member, budget: Budget::waiting(records_max, WAIT) }));
        }
    }

    fn finish(&mut self, desk: &mut Desk<'_>) {
        self.work = None;
        let Some(message) = self.held.pop_front() else { return };
        if !desk.tuning.commit_first
            && let Some(part) = part_of(&message)
        {
            self.pending.insert(part, message.offset.plus(1));
            self.processed += 1;
            self.commit_at = self.commit_at.or(Some(desk.now + COMMIT_AFTER));
        }
        desk.note(Note::Worked(message));
        if self.processed >= desk.tuning.commit_every.max(1) {
            self.commit(desk);
        }
        self.go_on(desk);
    }

    fn commit(&mut self, desk: &mut Desk<'_>) {
        self.commit_at = None;
        self.processed = 0;
        let pending = std::mem::take(&mut self.pending);
        let (Some(member), false) = (self.member, pending.is_empty()) else { return };
        let offsets: Vec<_> = pending
            .into_iter()
            .map(|((topic, partition), offset)| CommitOffset {
                topic: topic.to_string().into(),
                partition,
                offset,
                metadata: "".into(),
            })
            .collect();
        let generation = self.generation;
        let tag = desk.send(Op::Commit { member, generation, offsets: offsets.into() });
        self.committing.insert(tag);
    }

    fn depart(&mut self, desk: &mut Desk<'_>) {
        self.commit(desk);
        if let Some(member) = self.member.take() {
            desk.send(Op::Leave { member });
        }
        desk.leave();
    }

    fn refused(&mut self, desk: &mut Desk<'_>, tag: Tag, refusal: &Refusal<'_>) {
        let was_commit = self.committing.remove(&tag);
        if self.polling == Some(tag) {
            self.polling = None;
        }
        if was_commit {
            desk.note(Note::Trouble(format!("its commit was refused: {}", refusal.message)));
        } else {
            desk.note(Note::Trouble(refusal.to_string()));
        }
        if self.joining == Some(tag) {
            self.joining = None;
            self.join_at = Some(desk.now + JOIN_AGAIN);
        } else if refusal.code == Code::UnknownMember && self.joining.is_none() && !self.stopping {
            self.reset();
            self.join(desk);
        } else if !was_commit {
            self.go_on(desk);
        }
    }
}

fn part_of(message: &MessageRef) -> Option<Partition> {
    match &message.place {
        Place::Partition(topic, partition) => Some((topic.clone(), *partition)),
        Place::Queue(_) => None,
    }
}

impl Part for Member {
    fn opened(&mut self, desk: &mut Desk<'_>) {
        self.join(desk);
    }

    fn hear(&mut self, desk: &mut Desk<'_>, event: &Event<'_>) {
        if let Event::Joined { tag, member } = event
            && self.joining == Some(*tag)
        {
            self.joining = None;
            self.member = Some(*member);
            self.beat_at = Some(desk.now + HEARTBEAT);
            self.go_on(desk);
        } else if let Event::Assigned { member, generation, partitions } = event
            && self.member == Some(*member)
        {
            self.assigned(*generation, partitions);
            self.go_on(desk);
        } else if let Event::Polled { tag, batches } = event
            && self.polling == Some(*tag)
        {
            self.polling = None;
            self.polled(desk, batches);
            self.go_on(desk);
        } else if let Event::Done { tag } = event {
            self.committing.remove(tag);
        } else if let Event::Expelled { member, .. } = event
            && self.member == Some(*member)
        {
            self.reset();
            self.join(desk);
        } else if let Event::Refused { tag, refusal } = event {
            self.refused(desk, *tag, refusal);
        }
    }

    fn wake(&mut self, desk: &mut Desk<'_>) {
        if self.work.is_some_and(|(_, until)| until <= desk.now) {
            self.finish(desk);
        }
        if self.commit_at.is_some_and(|at| at <= desk.now) {
            self.commit(desk);
        }
        if self.beat_at.is_some_and(|at| at <= desk.now) {
            self.beat_at = Some(desk.now + HEARTBEAT);
            if let Some(member) = self.member {
                desk.send(Op::Heartbeat { member, generation: None });
            }
        }
        if self.join_at.is_some_and(|at| at <= desk.now) {
            self.join_at = None;
            self.join(desk);
        }
    }

    fn deadline(&self) -> Option<Time> {
        [self.work.map(|(_, until)| until), self.commit_at, self.beat_at, self.join_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn tuned(&mut self, _desk: &mut Desk<'_>) {}

    fn stop(&mut self, desk: &mut Desk<'_>) {
        self.stopping = true;
        if self.work.is_none() {
            self.depart(desk);
        }
    }

    fn closed(&mut self) {
        *self = Member::new(&self.group, &self.topic);
    }

    fn role(&self) -> Role {
        Role::Member { group: self.group.clone() }
    }

    fn in_hand(&self) -> InHand {
        InHand { held: self.held.iter().cloned().collect(), attempt: 1, work: self.work }
    }
}
