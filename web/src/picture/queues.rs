//! What happens in queues, as it shows in the picture.

use fanlight_core::{Activity, AttemptEnd, DeathReason, Offset, Time};

use super::parts::{
    ActorId, MarkState, MessageRef, Name, Place, QUEUE_MARKS_MAX, Queue, QueueMark, Role, StoryId,
};
use super::projector::{About, Arrival, Projector, spot};
use super::story::{HopKind, LineKind, Spot};

/// A message's state without who and when: which count it is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    Ready,
    Leased,
    Delayed,
}

/// Why a message is gone that nobody acknowledged.
#[derive(Clone, Copy)]
enum Loss {
    Purged,
    Expired,
    Overflowed,
    Rejected,
}

impl Queue {
    pub(super) fn mark(&mut self, offset: Offset) -> Option<&mut QueueMark> {
        let at = self.marks.binary_search_by_key(&offset, |mark| mark.offset).ok()?;
        self.marks.get_mut(at)
    }

    fn unmark(&mut self, offset: Offset) -> Option<QueueMark> {
        let at = self.marks.binary_search_by_key(&offset, |mark| mark.offset).ok()?;
        self.marks.remove(at)
    }

    fn count(&mut self, count: Count) -> &mut u64 {
        match count {
            Count::Ready => &mut self.ready,
            Count::Leased => &mut self.leased,
            Count::Delayed => &mut self.delayed,
        }
    }

    /// Moves one message from one count to another; None: it came, or it is gone.
    fn recount(&mut self, from: Option<Count>, to: Option<Count>) {
        if let Some(from) = from {
            let count = self.count(from);
            *count = count.saturating_sub(1);
        }
        if let Some(to) = to {
            *self.count(to) += 1;
        }
    }

    /// Takes a message out, from whatever it was doing.
    fn take_out(&mut self, offset: Offset, otherwise: Count) {
        let was = self.unmark(offset).map_or(otherwise, |mark| mark.state.count());
        self.recount(Some(was), None);
    }
}

impl MarkState {
    fn count(self) -> Count {
        match self {
            MarkState::Ready => Count::Ready,
            MarkState::Leased { .. } => Count::Leased,
            MarkState::Delayed { .. } => Count::Delayed,
        }
    }
}

fn in_queue(queue: &str, offset: Offset) -> MessageRef {
    MessageRef { place: Place::Queue(queue.into()), offset }
}

impl Projector {
    pub(super) fn queue(&mut self, name: &str) -> Option<&mut Queue> {
        self.picture.queues.iter_mut().find(|queue| &*queue.name == name)
    }

    pub(super) fn hear_of_queue(&mut self, at: Time, activity: &Activity<'_>) {
        if let Activity::Enqueued { queue, base, count, conn, exchange, routing_key } = activity {
            let arrival = Arrival {
                at,
                place: Place::Queue((&**queue).into()),
                base: *base,
                count: *count,
                conn: *conn,
                exchange,
                routing_key,
            };
            let stories = self.arrive(&arrival);
            self.lay_in(at, queue, *base, &stories);
            self.tell_arrival(&arrival, stories);
        } else if let Activity::Leased { queue, offset, attempt, conn, until, .. } = activity {
            let lease = (*attempt, self.who(*conn), *until);
            self.leased(at, &in_queue(queue, *offset), queue, lease);
        } else if let Activity::Extended { queue, offset, until } = activity {
            self.extended(at, queue, *offset, *until);
        } else if let Activity::Returned {
            queue,
            offset,
            attempt,
            deliveries_max,
            conn,
            end,
            ready_at,
        } = activity
        {
            let message = in_queue(queue, *offset);
            let attempts = (*attempt, *deliveries_max);
            self.returned(at, &message, queue, attempts, self.who(*conn), *end, *ready_at);
        } else if let Activity::Released { queue, offset, conn } = activity {
            self.released(at, queue, &in_queue(queue, *offset), self.who(*conn));
        } else if let Activity::Due { queue, offset } = activity {
            self.due(at, queue, *offset);
        } else if let Activity::Acked { queue, offset, attempt, conn } = activity {
            self.acked(at, queue, &in_queue(queue, *offset), *attempt, self.who(*conn));
        } else if let Activity::DeadLettered { queue, offset, attempts, reason, to, to_offset } =
            activity
        {
            let (from, to_message) = (in_queue(queue, *offset), in_queue(to, *to_offset));
            self.died(at, (queue, &from), (to, &to_message), *attempts, *reason);
        } else if let Activity::Dropped { queue, offset, reason } = activity {
            self.vanished(at, queue, &in_queue(queue, *offset), loss_of(*reason));
        } else if let Activity::DeadLetterLost { queue, offset, reason, loss } = activity {
            if *loss != fanlight_core::Loss::NoRoom {
                self.vanished(at, queue, &in_queue(queue, *offset), loss_of(*reason));
            }
        } else if let Activity::Purged { queue, base, count } = activity {
            for offset in base.0..base.0 + count {
                self.vanished(at, queue, &in_queue(queue, Offset(offset)), Loss::Purged);
            }
        } else if let Activity::Redriven { queue, offset, to, to_offset, mended } = activity {
            let (from, to_message) = (in_queue(queue, *offset), in_queue(to, *to_offset));
            self.redriven(at, (queue, &from), (to, &to_message), *mended);
        }
    }

    /// Lays messages into a queue. What lies there already stays as it is, so that a broker may
    /// tell of a dead letter both as a death and as an arrival.
    fn lay_in(&mut self, at: Time, queue: &str, base: Offset, stories: &[StoryId]) {
        let poison: Vec<bool> =
            stories.iter().map(|id| self.picture.stories.is_poison(*id)).collect();
        let Some(queue) = self.queue(queue) else { return };
        for (n, (story, poison)) in stories.iter().zip(poison).enumerate() {
            let offset = base.plus(n as u64);
            if offset < queue.end {
                continue;
            }
            queue.end = offset.plus(1);
            queue.ready += 1;
            if queue.marks.len() < QUEUE_MARKS_MAX {
                queue.marks.push_back(QueueMark {
                    offset,
                    story: *story,
                    since: at,
                    state: MarkState::Ready,
                    attempt: 0,
                    poison,
                });
            }
        }
    }

    fn leased(
        &mut self,
        at: Time,
        message: &MessageRef,
        queue: &str,
        (attempt, holder, until): (u32, ActorId, Time),
    ) {
        self.seen_as(holder, Role::Worker { queue: queue.into() });
        let mut max = None;
        if let Some(queue) = self.queue(queue) {
            max = queue.policy.deliveries_max;
            let mut was = Count::Ready;
            if let Some(mark) = queue.mark(message.offset) {
                was = mark.state.count();
                mark.state = MarkState::Leased { holder, since: at, until };
                mark.attempt = attempt;
            }
            queue.recount(Some(was), Some(Count::Leased));
        }
        if let Some(actor) = self.stranger(holder) {
            actor.held.push(message.clone());
        }
        let (what, name) = (self.called(message), self.name_of(holder));
        let sentence = match self.returns.get(message) {
            None if attempt <= 1 => {
                format!("{what} delivered to {name}, leased for {}", until.since(at))
            }
            None => format!("{what} delivered again, to {name}: attempt {}", of(attempt, max)),
            Some((before, end)) => format!(
                "{what} delivered again, to {name}: attempt {}, because {}",
                of(attempt, max),
                because(*end, before)
            ),
        };
        self.tally(at, |tally| {
            tally.delivered += 1;
            tally.redelivered += u32::from(attempt > 1);
        });
        if attempt > 1 {
            self.accounts.queue(queue).redelivered += 1;
        }
        let ends = (spot(message), Spot::Actor(holder));
        self.move_one(at, HopKind::Deliver, message, ends, attempt);
        self.say(at, LineKind::Deliver, sentence, self.about(message, Some(holder)));
    }

    fn extended(&mut self, at: Time, queue: &str, offset: Offset, until: Time) {
        let message = in_queue(queue, offset);
        let mut by = None;
        if let Some(mark) = self.queue(queue).and_then(|queue| queue.mark(offset))
            && let MarkState::Leased { holder, until: ends, .. } = &mut mark.state
        {
            by = Some(*holder);
            *ends = until;
        }
        let sentence =
            format!("{} stays leased for another {}", self.called(&message), until.since(at));
        self.say(at, LineKind::Deliver, sentence, self.about(&message, by));
    }

    #[expect(clippy::too_many_arguments, reason = "they are the activity's own fields")]
    fn returned(
        &mut self,
        at: Time,
        message: &MessageRef,
        queue: &str,
        (attempt, max): (u32, Option<u32>),
        by: ActorId,
        end: AttemptEnd,
        ready_at: Option<Time>,
    ) {
        if let Some(queue) = self.queue(queue) {
            let state = match ready_at {
                Some(until) => MarkState::Delayed { until },
                None => MarkState::Ready,
            };
            let mut was = Count::Leased;
            if let Some(mark) = queue.mark(message.offset) {
                was = mark.state.count();
                mark.state = state;
                mark.attempt = attempt;
            }
            queue.recount(Some(was), Some(state.count()));
        }
        self.let_go(by, message);
        let name = self.name_of(by);
        self.returns.insert(message.clone(), (name.clone(), end));
        let again = match ready_at {
            Some(ready_at) => format!("ready again in {}", ready_at.since(at)),
            None => "ready again".to_owned(),
        };
        let sentence = format!(
            "{} is back in {queue}, {again}: {}; that was attempt {}",
            self.called(message),
            because(end, &name),
            of(attempt, max)
        );
        let kind = match end {
            AttemptEnd::Expired => HopKind::Expire,
            AttemptEnd::Nacked | AttemptEnd::Rejected | AttemptEnd::Disconnected => HopKind::Return,
        };
        self.move_one(at, kind, message, (Spot::Actor(by), spot(message)), attempt);
        self.say(at, LineKind::Return, sentence, self.about(message, Some(by)));
    }

    fn released(&mut self, at: Time, queue: &str, message: &MessageRef, by: ActorId) {
        let mut attempt = 1;
        if let Some(queue) = self.queue(queue) {
            if let Some(mark) = queue.mark(message.offset) {
                attempt = mark.attempt;
                mark.state = MarkState::Ready;
                mark.attempt = attempt.saturating_sub(1);
            }
            queue.recount(Some(Count::Leased), Some(Count::Ready));
        }
        self.let_go(by, message);
        let sentence = format!(
            "{} is back in {queue}: {} had not begun with it, so no attempt is counted",
            self.called(message),
            self.name_of(by)
        );
        let ends = (Spot::Actor(by), spot(message));
        self.move_one(at, HopKind::Return, message, ends, attempt);
        self.say(at, LineKind::Return, sentence, self.about(message, Some(by)));
    }

    fn due(&mut self, at: Time, queue: &str, offset: Offset) {
        let message = in_queue(queue, offset);
        if let Some(queue) = self.queue(queue) {
            if let Some(mark) = queue.mark(offset) {
                mark.state = MarkState::Ready;
            }
            queue.recount(Some(Count::Delayed), Some(Count::Ready));
        }
        let sentence = format!("{} is ready again: its delay is over", self.called(&message));
        self.say(at, LineKind::Return, sentence, self.about(&message, None));
    }

    fn acked(&mut self, at: Time, queue: &str, message: &MessageRef, attempt: u32, by: ActorId) {
        if let Some(queue) = self.queue(queue) {
            queue.take_out(message.offset, Count::Leased);
            queue.acked += 1;
        }
        self.let_go(by, message);
        if let Some(actor) = self.stranger(by) {
            actor.done += 1;
        }
        self.returns.remove(message);
        self.tally(at, |tally| tally.settled += 1);
        let which = if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
        let (name, what) = (self.name_of(by), self.called(message));
        let sentence = format!("{name} acknowledged {what}{which}: it is gone from {queue}");
        self.move_one(at, HopKind::Ack, message, (Spot::Actor(by), spot(message)), attempt);
        self.say(at, LineKind::Settle, sentence, self.about(message, Some(by)));
    }

    fn died(
        &mut self,
        at: Time,
        (queue, from): (&str, &MessageRef),
        (to, to_message): (&str, &MessageRef),
        attempts: u32,
        reason: DeathReason,
    ) {
        let story = self.picture.stories.of(from);
        self.picture.stories.also_at(story, to_message);
        let mut holder = None;
        if let Some(queue) = self.queue(queue) {
            if let Some(mark) = queue.mark(from.offset)
                && let MarkState::Leased { holder: by, .. } = mark.state
            {
                holder = Some(by);
            }
            queue.take_out(from.offset, Count::Leased);
            queue.dead_lettered += 1;
        }
        if let Some(by) = holder {
            self.let_go(by, from);
        }
        self.returns.remove(from);
        self.lay_in(at, to, to_message.offset, &[story]);
        self.tally(at, |tally| tally.died += 1);
        let why = match reason {
            DeathReason::DeliveriesExhausted => "that is its maximum of deliveries".to_owned(),
            DeathReason::Rejected => "a consumer rejected it for good".to_owned(),
            DeathReason::Expired => "it was not delivered in time".to_owned(),
            DeathReason::MaxLength => "its queue held more than it may".to_owned(),
        };
        let times = if attempts == 1 { "attempt" } else { "attempts" };
        let sentence = format!(
            "{} died in {queue} after {attempts} {times}: {why}; it lies in {to}",
            self.called(from)
        );
        self.move_one(at, HopKind::DeadLetter, from, (spot(from), spot(to_message)), attempts);
        let about = About { message: Some(to_message.clone()), ..self.about(from, holder) };
        self.say(at, LineKind::Death, sentence, about);
    }

    fn vanished(&mut self, at: Time, queue: &str, message: &MessageRef, why: Loss) {
        let was = match why {
            Loss::Purged | Loss::Expired | Loss::Overflowed => Count::Ready,
            Loss::Rejected => Count::Leased,
        };
        let mut holder = None;
        if let Some(queue) = self.queue(queue) {
            if let Some(mark) = queue.mark(message.offset)
                && let MarkState::Leased { holder: by, .. } = mark.state
            {
                holder = Some(by);
            }
            queue.take_out(message.offset, was);
        }
        if let Some(by) = holder {
            self.let_go(by, message);
        }
        self.returns.remove(message);
        let what = self.called(message);
        let sentence = match why {
            Loss::Purged => format!("{what} was purged from {queue} and is gone"),
            Loss::Expired => {
                format!("{what} was too old for {queue} and is gone: it has no dead-letter queue")
            }
            Loss::Overflowed => format!("{what} is gone: {queue} held more than it may"),
            Loss::Rejected => {
                format!("{what} was rejected and is gone: {queue} has no dead-letter queue")
            }
        };
        self.move_one(at, HopKind::Drop, message, (spot(message), Spot::Nowhere), 1);
        self.say(at, LineKind::Death, sentence, self.about(message, holder));
    }

    fn redriven(
        &mut self,
        at: Time,
        (queue, from): (&str, &MessageRef),
        (to, to_message): (&str, &MessageRef),
        mended: bool,
    ) {
        let story = self.picture.stories.of(from);
        self.picture.stories.also_at(story, to_message);
        let what = self.called(from);
        if mended {
            self.picture.stories.mended(story);
        }
        if let Some(queue) = self.queue(queue) {
            queue.take_out(from.offset, Count::Ready);
        }
        self.lay_in(at, to, to_message.offset, &[story]);
        let how = if mended { ", mended" } else { " as it was" };
        let sentence =
            format!("{what} redriven from {queue} to {to}{how}: its attempts begin anew");
        self.move_one(at, HopKind::Redrive, from, (spot(from), spot(to_message)), 1);
        let about = About { message: Some(to_message.clone()), ..self.about(from, None) };
        self.say(at, LineKind::Redrive, sentence, about);
    }

    fn let_go(&mut self, by: ActorId, message: &MessageRef) {
        if let Some(actor) = self.stranger(by) {
            actor.held.retain(|held| held != message);
        }
    }
}

fn of(attempt: u32, max: Option<u32>) -> String {
    match max {
        Some(max) => format!("{attempt} of {max}"),
        None => attempt.to_string(),
    }
}

fn because(end: AttemptEnd, name: &Name) -> String {
    match end {
        AttemptEnd::Expired => format!("{name} held it until its lease ran out"),
        AttemptEnd::Nacked => format!("{name} gave it back"),
        AttemptEnd::Rejected => format!("{name} rejected it"),
        AttemptEnd::Disconnected => format!("{name}'s connection closed while it held it"),
    }
}

/// How a message is lost that died and went nowhere.
fn loss_of(reason: DeathReason) -> Loss {
    match reason {
        DeathReason::Expired => Loss::Expired,
        DeathReason::MaxLength => Loss::Overflowed,
        DeathReason::Rejected | DeathReason::DeliveriesExhausted => Loss::Rejected,
    }
}
