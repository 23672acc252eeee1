//! The watcher: the connection that is told of everything, and through which the picture looks at
//! what it does not know. What it asks changes nothing and leaves no trace in the log.

use fanlight_core::{Budget, Event, Inspect, Op, Position, Request, Tag, Time, View};

use super::{Asked, Flow, LOOK_EVERY};
use crate::link::{Link, Told};
use crate::picture::{ActorId, LineKind, Place};
use crate::world::act::{Answer, Question, ShownMessage, Ticket};
use crate::world::actor::for_each_event;

impl<L: Link> Flow<L> {
    pub(super) fn ask_watcher(&mut self, now: Time, op: Op<'static>, asked: Asked) {
        let desk = &mut self.watcher;
        let Some(wire) = desk.wire else { return };
        desk.last_tag += 1;
        let tag = Tag(desk.last_tag);
        desk.asked.insert(tag, asked);
        self.link.send(now, wire, &Request { tag, op });
    }

    /// Squares the picture, and looks at what it shows and does not know.
    pub(super) fn look(&mut self, now: Time) {
        self.look_at = Some(now + LOOK_EVERY);
        if self.is_looking {
            return;
        }
        self.is_looking = true;
        self.ask_watcher(now, Op::Inspect { what: Inspect::Overview }, Asked::Overview);
        if self.watcher.asked.values().any(|asked| matches!(asked, Asked::Look(_))) {
            return;
        }
        for want in self.projector.wants() {
            let op = match &want.place {
                Place::Queue(queue) => Op::Peek {
                    queue: queue.to_string().into(),
                    from: want.from,
                    messages_max: want.count,
                },
                Place::Partition(topic, partition) => Op::Read {
                    topic: topic.to_string().into(),
                    partition: *partition,
                    from: Position::At(want.from),
                    budget: Budget::records(want.count),
                },
            };
            self.ask_watcher(now, op, Asked::Look(want));
        }
    }

    pub(super) fn watched(&mut self, now: Time, told: Told) {
        match told {
            Told::Frames(bytes) => for_each_event(&bytes, |event| self.watched_event(now, event)),
            Told::Closed(why) => {
                for asked in std::mem::take(&mut self.watcher).asked.into_values() {
                    if let Asked::Question(ticket) = asked {
                        self.answers.insert(ticket, Answer::Refused(why.clone()));
                    }
                }
                self.look_at = None;
                self.lost = Some(why.clone());
                self.projector.say_of(now, ActorId::YOU, LineKind::Client, why);
            }
        }
    }

    pub(super) fn watched_event(&mut self, now: Time, event: &Event<'_>) {
        if let Event::Opened { conn, now, .. } = event {
            self.projector.hide(*conn);
            self.opened_at = Some(*now);
        } else if let Event::Activity { at, activity } = event {
            self.projector.hear(*at, activity);
        } else if let Event::Inspected { tag, view } = event {
            match (self.watcher.asked.remove(tag), view) {
                (Some(Asked::Overview), View::Overview(overview)) => {
                    self.is_looking = false;
                    let is_empty = overview.queues.is_empty()
                        && overview.topics.is_empty()
                        && overview.exchanges.is_empty();
                    self.was_empty.get_or_insert(is_empty);
                    self.projector.square(overview);
                }
                (Some(Asked::Look(want)), View::Messages(messages)) => {
                    self.projector.saw_messages(now, &want, messages);
                }
                (Some(Asked::Question(ticket)), View::Messages(messages)) => {
                    let shown = messages.iter().map(ShownMessage::of_message).collect();
                    self.answers.insert(ticket, Answer::Messages(shown));
                }
                (_, _) => {}
            }
        } else if let Event::ReadDone { tag, batch, .. } = event {
            match self.watcher.asked.remove(tag) {
                Some(Asked::Look(want)) => self.projector.saw_records(&want, batch.as_ref()),
                Some(Asked::Question(ticket)) => {
                    let shown = batch.as_ref().map(ShownMessage::of_records).unwrap_or_default();
                    self.answers.insert(ticket, Answer::Messages(shown));
                }
                Some(Asked::Overview | Asked::Topology | Asked::Act(_) | Asked::Publish) | None => {
                }
            }
        } else if let Event::Refused { tag, refusal } = event {
            match self.watcher.asked.remove(tag) {
                Some(Asked::Look(want)) => self.projector.saw_nothing(&want),
                Some(Asked::Overview) => self.is_looking = false,
                Some(Asked::Question(ticket)) => {
                    self.answers.insert(ticket, Answer::Refused(refusal.to_string()));
                }
                Some(Asked::Topology | Asked::Act(_) | Asked::Publish) | None => {}
            }
        } else if let Event::Done { tag } = event {
            self.watcher.asked.remove(tag);
        }
    }

    /// Asks something that changes nothing.
    pub(crate) fn ask(&mut self, now: Time, ticket: Ticket, question: Question) {
        let op = match question {
            Question::Peek { queue, from, messages_max } => {
                Op::Peek { queue: queue.into(), from, messages_max }
            }
            Question::Read { topic, partition, from, records_max } => {
                let from = Position::At(from);
                Op::Read {
                    topic: topic.into(),
                    partition,
                    from,
                    budget: Budget::records(records_max),
                }
            }
        };
        if self.watcher.wire.is_none() {
            let why = "there is no connection to the broker".to_owned();
            self.answers.insert(ticket, Answer::Refused(why));
            return;
        }
        // The watcher asks, not the operator: what it asks leaves no trace in the log.
        self.ask_watcher(now, op, Asked::Question(ticket));
        self.pump(now);
    }

    /// The answer, once it is there.
    pub(crate) fn answer(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket)
    }
}
