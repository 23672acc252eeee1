//! Squares the picture with an overview: what is there, and the exact counts.

use std::collections::VecDeque;
use std::rc::Rc;

use fanlight_core::{
    Destination, ExchangeView, Fetched, GroupView, MessageState, MessageView, Offset, Overview,
    QueueView, Record, Time, TopicView,
};

use super::parts::{
    Binding, BindingTo, Consumer, Exchange, Group, MarkState, Member, MessageRef, Name, Place,
    QUEUE_MARKS_MAX, Queue, QueueMark, StoryId, Tape, TapeMark, Topic,
};
use super::projector::{Projector, Want};
use super::story::Content;

/// Messages that are looked at in one go.
const LOOK_MAX: u32 = 128;

impl Projector {
    /// Takes an overview: it was made between the activities before and after it.
    pub(crate) fn square(&mut self, overview: &Overview) {
        self.is_stale = false;
        self.picture.now = self.picture.now.max(overview.now);
        for connection in &overview.connections {
            self.meet(connection.id, &connection.client);
        }
        for group in &overview.groups {
            for member in &group.members {
                let Some(conn) = member.conn else { continue };
                self.members.insert(member.id, self.who(conn));
            }
        }
        let before = self.layout();
        let exchanges = overview.exchanges.iter().map(exchange).collect();
        let topics: Vec<_> = overview.topics.iter().map(|view| self.topic_from(view)).collect();
        let queues = self.queues_from(&overview.queues);
        let groups = self.groups_from(&overview.groups);
        let picture = &mut self.picture;
        let changed = picture.exchanges != exchanges
            || picture.topics != topics
            || picture.queues != queues
            || picture.groups != groups;
        (picture.exchanges, picture.topics) = (exchanges, topics);
        (picture.queues, picture.groups) = (queues, groups);
        if changed {
            self.picture.revision += 1;
        }
        if self.layout() != before {
            self.lay_out();
        }
        self.note_beginnings();
    }

    /// What the stage has to place: a change of it is a change of the layout.
    fn layout(&self) -> Vec<(u8, Name, usize)> {
        let picture = &self.picture;
        let exchanges = picture.exchanges.iter().map(|e| (0, e.name.clone(), e.bindings.len()));
        let queues = picture.queues.iter().map(|q| (1, q.name.clone(), q.dead_letters_of.len()));
        let topics = picture.topics.iter().map(|t| (2, t.name.clone(), t.tapes.len()));
        let groups = picture.groups.iter().map(|g| (3, g.name.clone(), g.members.len()));
        exchanges.chain(queues).chain(topics).chain(groups).collect()
    }

    fn topic_from(&self, view: &TopicView) -> Topic {
        let known = self.picture.topic(&view.name).filter(|topic| topic.id == view.id);
        let tapes = view.partitions.iter().enumerate().map(|(n, partition)| {
            let mut marks = known
                .and_then(|topic| topic.tapes.get(n))
                .filter(|tape| tape.end == partition.end)
                .map_or_else(VecDeque::new, |tape| tape.marks.clone());
            marks.retain(|mark| mark.offset >= partition.start);
            Tape { start: partition.start, end: partition.end, marks }
        });
        Topic { id: view.id, name: view.name.as_str().into(), tapes: tapes.collect() }
    }

    fn queues_from(&self, views: &[QueueView]) -> Vec<Queue> {
        let dead_letters_of = |name: &str| {
            let into_it = views.iter().filter(|v| v.policy.dead_letter.as_deref() == Some(name));
            into_it.map(|v| Name::from(v.name.as_str())).collect()
        };
        let queue = |view: &QueueView| {
            let known = self.picture.queue(&view.name).filter(|queue| queue.id == view.id);
            Queue {
                id: view.id,
                name: view.name.as_str().into(),
                policy: view.policy.clone(),
                dead_letters_of: dead_letters_of(&view.name),
                ready: view.ready,
                leased: view.leased,
                delayed: view.delayed,
                end: view.end,
                acked: view.acked,
                dead_lettered: view.dead_lettered,
                marks: known.map_or_else(VecDeque::new, |queue| queue.marks.clone()),
                consumers: view
                    .consumers
                    .iter()
                    .map(|c| Consumer { id: c.id, actor: self.who(c.conn), prefetch: c.prefetch })
                    .collect(),
            }
        };
        views.iter().map(queue).collect()
    }

    /// Groups keep the order, letter and shape in which they were first seen.
    fn groups_from(&mut self, views: &[GroupView]) -> Vec<Group> {
        for view in views {
            self.accounts.name_group(&view.name);
        }
        let mut groups: Vec<_> = views.iter().map(|view| self.group_from(view)).collect();
        groups.sort_by_key(|group| group.shape);
        groups
    }

    fn group_from(&mut self, view: &GroupView) -> Group {
        let (shape, letter) = self.accounts.sign_of(&view.name);
        let mut group = Group {
            name: view.name.as_str().into(),
            letter,
            shape,
            generation: view.generation,
            members: view
                .members
                .iter()
                .filter_map(|member| Some(Member { id: member.id, actor: self.who(member.conn?) }))
                .collect(),
            cursors: Vec::new(),
        };
        let known = self.picture.group(&view.name).cloned();
        for place in &view.partitions {
            let read_before = known
                .as_ref()
                .and_then(|group| {
                    group
                        .cursors
                        .iter()
                        .find(|c| *c.topic == *place.topic && c.partition == place.partition)
                })
                .map_or(Offset(0), |cursor| cursor.read_to);
            let owner = place.owner.and_then(|member| self.members.get(&member).copied());
            let cursor = group.cursor(&place.topic, place.partition);
            cursor.committed = place.committed;
            cursor.position = place.position;
            cursor.read_to = read_before.max(place.position.unwrap_or(Offset(0)));
            cursor.lag = place.lag;
            cursor.owner = owner;
        }
        group
    }

    // --- contents -----------------------------------------------------------------------------

    /// What is shown and not known, or known to be there and not shown.
    pub(crate) fn wants(&self) -> Vec<Want> {
        let mut wants = Vec::new();
        for queue in &self.picture.queues {
            let place = Place::Queue(queue.name.clone());
            let looked_to = self.looked_to.get(&place).copied().unwrap_or_default();
            let total = queue.ready + queue.leased + queue.delayed;
            let few = (queue.marks.len() as u64) < total && queue.marks.len() < QUEUE_MARKS_MAX / 2;
            let unknown = queue
                .marks
                .iter()
                .find(|m| m.offset >= looked_to && !self.picture.stories.is_known(m.story));
            if few {
                wants.push(Want { place, from: Offset(0), count: QUEUE_MARKS_MAX as u32 });
            } else if let Some(mark) = unknown {
                wants.push(Want { place, from: mark.offset, count: LOOK_MAX });
            }
        }
        for topic in &self.picture.topics {
            for (n, tape) in topic.tapes.iter().enumerate() {
                let place = Place::Partition(topic.name.clone(), n as u32);
                let looked_to = self.looked_to.get(&place).copied().unwrap_or_default();
                let newest =
                    Offset(tape.end.0.saturating_sub(u64::from(LOOK_MAX)).max(tape.start.0));
                let unknown = tape
                    .marks
                    .iter()
                    .find(|m| m.offset >= looked_to && !self.picture.stories.is_known(m.story));
                let from = match unknown {
                    Some(mark) => mark.offset,
                    None if tape.marks.is_empty() && newest < tape.end => newest.max(looked_to),
                    None => continue,
                };
                if from < tape.end {
                    wants.push(Want { place, from, count: LOOK_MAX });
                }
            }
        }
        wants
    }

    /// Takes messages that were looked at in a queue. A look from its beginning also says exactly
    /// which messages lie there.
    pub(crate) fn saw_messages(&mut self, now: Time, want: &Want, views: &[MessageView<'_>]) {
        let (Place::Queue(queue), from) = (&want.place, want.from) else { return };
        let place = &want.place;
        let last = views.last().map_or(from, |view| view.offset);
        self.look_to(place, last.plus(1));
        let mut marks = VecDeque::new();
        for view in views {
            let message = MessageRef { place: place.clone(), offset: view.offset };
            let story = self.picture.stories.of(&message);
            self.learn(story, &message, &view.record.record());
            marks.push_back(QueueMark {
                offset: view.offset,
                story,
                since: view.at,
                state: self.state_of(now, view),
                attempt: view.attempts_failed
                    + u32::from(matches!(view.state, MessageState::Leased { .. })),
                poison: self.picture.stories.is_poison(story),
            });
        }
        let since = self.queue(queue).map(|queue| queue.marks.clone()).unwrap_or_default();
        for mark in &mut marks {
            let known = since.binary_search_by_key(&mark.offset, |m| m.offset).ok();
            let state = known.and_then(|at| since.get(at)).map(|mark| mark.state);
            // A view does not say since when a message is leased; the picture may know.
            if let (
                MarkState::Leased { since, holder, .. },
                Some(MarkState::Leased { since: began, holder: by, .. }),
            ) = (&mut mark.state, state)
                && *holder == by
            {
                *since = began;
            }
        }
        if let Some(queue) = self.queue(queue)
            && from == Offset(0)
        {
            marks.truncate(QUEUE_MARKS_MAX);
            queue.marks = marks;
        }
        self.picture.revision += 1;
    }

    fn state_of(&self, now: Time, view: &MessageView<'_>) -> MarkState {
        match view.state {
            // Who waits for others shows as waiting, like what is ready.
            MessageState::Ready | MessageState::Blocked | MessageState::Held => MarkState::Ready,
            MessageState::Leased { conn, until } => {
                MarkState::Leased { holder: self.who(conn), since: now, until }
            }
            MessageState::Delayed { until } => MarkState::Delayed { until },
        }
    }

    /// Takes records that were looked at in a partition.
    pub(crate) fn saw_records(&mut self, want: &Want, batch: Option<&Fetched<'_>>) {
        let (place, from) = (&want.place, want.from);
        let Place::Partition(topic, partition) = place else { return };
        let Some(batch) = batch else {
            self.look_to(place, from.plus(1));
            return;
        };
        let end = batch.next;
        self.look_to(place, end);
        let mut seen = Vec::new();
        for (record, n) in batch.records.iter().zip(0..) {
            let offset = batch.offset(n);
            let message = MessageRef { place: place.clone(), offset };
            let story = self.picture.stories.of(&message);
            self.learn(story, &message, &record);
            let poison = self.picture.stories.is_poison(story);
            seen.push(TapeMark { offset, story, poison });
        }
        if let Some(tape) = self.tape(topic, *partition)
            && tape.marks.is_empty()
            && end == tape.end
        {
            for mark in seen {
                tape.push(mark);
            }
        }
        self.picture.revision += 1;
    }

    /// One of our actors was handed a message.
    pub(crate) fn saw(&mut self, message: &MessageRef, record: &Record<'_>) {
        if let Some(story) = self.picture.story_at(message)
            && !self.picture.stories.is_known(story)
        {
            self.learn(story, message, record);
        }
    }

    fn look_to(&mut self, place: &Place, to: Offset) {
        let looked_to = self.looked_to.entry(place.clone()).or_default();
        *looked_to = (*looked_to).max(to);
    }

    /// A look was refused, or the thing is gone: it is not asked for again at this place.
    pub(crate) fn saw_nothing(&mut self, want: &Want) {
        self.look_to(&want.place, want.from.plus(u64::from(want.count)));
    }

    fn learn(&mut self, story: StoryId, at: &MessageRef, record: &Record<'_>) {
        let content = Rc::new(content(record));
        if !self.picture.stories.learn(story, at, &content) {
            return;
        }
        let poison = self.picture.stories.is_poison(story);
        let places =
            self.picture.story(story).map(|story| story.places.clone()).unwrap_or_default();
        for message in places {
            match &message.place {
                Place::Queue(name) => {
                    if let Some(mark) = self.queue(name).and_then(|q| q.mark(message.offset)) {
                        mark.poison = poison;
                    }
                }
                Place::Partition(topic, partition) => {
                    let tape = self.tape(topic, *partition);
                    let marks = tape.map(|tape| &mut tape.marks);
                    let mark = marks
                        .and_then(|marks| marks.iter_mut().find(|m| m.offset == message.offset));
                    if let Some(mark) = mark {
                        // A mended copy elsewhere does not mend what was appended here.
                        mark.poison |= poison;
                    }
                }
            }
        }
    }
}

/// A record as it is shown.
pub(crate) fn content(record: &Record<'_>) -> Content {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| format!("{byte:02x} ")).collect::<String>(),
    };
    Content {
        key: record.key.map(text),
        headers: record.headers.iter().map(|(name, v)| (name.to_owned(), text(v))).collect(),
        body: text(record.body),
        body_bytes: record.body.len(),
    }
}

fn exchange(view: &ExchangeView) -> Exchange {
    let binding = |to: &Destination<'_>| match to {
        Destination::Queue(name) => BindingTo::Queue((&**name).into()),
        Destination::Topic(name) => BindingTo::Topic((&**name).into()),
        Destination::Exchange(name) => BindingTo::Exchange((&**name).into()),
    };
    Exchange {
        name: view.name.as_str().into(),
        kind: view.kind,
        bindings: view
            .bindings
            .iter()
            .map(|b| Binding { pattern: b.pattern.as_str().into(), to: binding(&b.to) })
            .collect(),
    }
}
