//! A worker of a queue: takes messages, works on them one by one, and settles each by itself.

use std::collections::{BTreeMap, VecDeque};

use fanlight_core::{Delivery, Event, LeaseId, Op, Span, Tag, Time};

use super::actor::{Desk, InHand, Note, Part};
use super::orders;
use crate::picture::{MessageRef, Name, Place, Role};

/// How long one request waits for a message.
const WAIT: Span = Span::from_secs(20);
/// How long it waits after a refusal before it asks again.
const ASK_AGAIN: Span = Span::from_secs(2);

/// A worker. It asks for messages when it has room, rather than have them pushed: one that has
/// fallen silent then asks for no more, and takes none down with it but what it holds.
#[derive(Clone)]
pub(crate) struct Worker {
    queue: Name,
    asked: Option<Tag>,
    ask_at: Option<Time>,
    held: VecDeque<Held>,
    work: Option<(Time, Time)>,
    settling: BTreeMap<Tag, MessageRef>,
    stopping: bool,
}

#[derive(Clone)]
struct Held {
    lease: LeaseId,
    attempt: u32,
    body: Vec<u8>,
    message: MessageRef,
}

impl Worker {
    pub(crate) fn new(queue: &str) -> Worker {
        Worker {
            queue: queue.into(),
            asked: None,
            ask_at: None,
            held: VecDeque::new(),
            work: None,
            settling: BTreeMap::new(),
            stopping: false,
        }
    }

    fn ask(&mut self, desk: &mut Desk<'_>) {
        self.ask_at = None;
        let room = (desk.tuning.prefetch.max(1) as usize).saturating_sub(self.held.len());
        if self.stopping || self.asked.is_some() || room == 0 {
            return;
        }
        self.asked = Some(desk.send(Op::Receive {
            queue: self.queue.to_string().into(),
            messages_max: room as u32,
            wait: WAIT,
            visibility: None,
            auto_ack: false,
        }));
    }

    fn take(&mut self, desk: &mut Desk<'_>, deliveries: &[Delivery<'_>]) {
        for delivery in deliveries {
            let message = MessageRef {
                place: Place::Queue(self.queue.clone()),
                offset: delivery.lease.offset,
            };
            desk.note(Note::Saw(message.clone(), delivery.record.as_bytes().to_vec()));
            self.held.push_back(Held {
                lease: delivery.lease,
                attempt: delivery.attempt,
                body: delivery.record.record().body.to_vec(),
                message,
            });
        }
        self.go_on(desk);
    }

    /// Begins with the first in hand, and asks for more where there is room.
    fn go_on(&mut self, desk: &mut Desk<'_>) {
        if self.work.is_none() && !self.held.is_empty() {
            self.work = Some((desk.now, desk.work_ends()));
        }
        if self.work.is_none() && self.stopping {
            desk.leave();
            return;
        }
        self.ask(desk);
    }

    fn finish(&mut self, desk: &mut Desk<'_>) {
        self.work = None;
        let Some(held) = self.held.pop_front() else { return };
        let leases = vec![held.lease].into();
        let tag = match orders::check(&held.body) {
            Ok(_) => {
                desk.note(Note::Worked(held.message.clone()));
                desk.send(Op::Ack { leases })
            }
            Err(why) => {
                desk.note(Note::Failed(held.message.clone(), why));
                desk.send(Op::Nack { leases, delay: Span::ZERO })
            }
        };
        self.settling.insert(tag, held.message);
        if self.stopping {
            let leases: Vec<_> = self.held.drain(..).map(|held| held.lease).collect();
            if !leases.is_empty() {
                // Nobody has begun with these: they go back without a failed attempt.
                desk.send(Op::Release { leases: leases.into() });
            }
        }
        self.go_on(desk);
    }
}

impl Part for Worker {
    fn opened(&mut self, desk: &mut Desk<'_>) {
        self.ask(desk);
    }

    fn hear(&mut self, desk: &mut Desk<'_>, event: &Event<'_>) {
        if let Event::Received { tag, deliveries, .. } = event
            && self.asked == Some(*tag)
        {
            self.asked = None;
            self.take(desk, deliveries);
        } else if let Event::Settled { tag, stale, .. } = event
            && let Some(message) = self.settling.remove(tag)
        {
            if !stale.is_empty() {
                desk.note(Note::Stale(message));
            }
        } else if let Event::Refused { tag, refusal } = event {
            if self.asked == Some(*tag) {
                self.asked = None;
                self.ask_at = Some(desk.now + ASK_AGAIN);
            }
            desk.note(Note::Trouble(refusal.to_string()));
        }
    }

    fn wake(&mut self, desk: &mut Desk<'_>) {
        if self.work.is_some_and(|(_, until)| until <= desk.now) {
            self.finish(desk);
        }
        if self.ask_at.is_some_and(|at| at <= desk.now) {
            self.ask(desk);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.work.map(|(_, until)| until).into_iter().chain(self.ask_at).min()
    }

    fn tuned(&mut self, desk: &mut Desk<'_>) {
        self.ask(desk);
    }

    fn stop(&mut self, desk: &mut Desk<'_>) {
        self.stopping = true;
        if self.work.is_none() {
            desk.leave();
        }
    }

    fn closed(&mut self) {
        *self = Worker::new(&self.queue.clone());
    }

    fn role(&self) -> Role {
        Role::Worker { queue: self.queue.clone() }
    }

    fn in_hand(&self) -> InHand {
        InHand {
            held: self.held.iter().map(|held| held.message.clone()).collect(),
            attempt: self.held.front().map_or(0, |held| held.attempt),
            work: self.work,
        }
    }
}
