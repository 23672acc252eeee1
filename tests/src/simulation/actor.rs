//! A client of the simulation: a producer, a worker of a queue, or a reader of a topic.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, Budget, CommitOffset, ConnId, Event, LeaseId, MemberId, Offset, Op, Pick, Position,
    RedriveId, Request, Span, Start, Tag,
};

use super::copier::Copier;
use super::publisher::Publisher;
use super::teller::Teller;
use super::{cast, queues, streams};
use crate::client::Client;
use crate::dice::Dice;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Producer(Goods),
    /// Of this queue or work group.
    Worker(&'static str),
    /// Of these topics.
    Reader(&'static [&'static str]),
    /// Publishes with numbers, and again what was not answered.
    Numbered,
    /// Copies what is committed, in transactions of this name.
    Copier(&'static str),
    /// Writes into topics and queues in transactions of this name.
    Teller(&'static str),
    /// Drives back what died, by jobs.
    Redriver,
    /// Deletes the oldest records.
    Deleter,
    /// Declares what the others need, and drives back what died.
    Admin,
}

/// What a producer publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goods {
    Everyday,
    /// Messages with options.
    Parcels,
    /// Records with keys.
    Records,
}

/// A client, connected or not.
pub(super) struct Actor {
    pub(super) role: Role,
    pub(super) conn: Option<ConnId>,
    client: Client,
    tag: u32,
    /// A receive, poll or join that is not answered; one at a time.
    waits: Option<Tag>,
    script: Vec<Op<'static>>,
    publisher: Publisher,
    copier: Copier,
    teller: Teller,
    /// The job it started last.
    job: Option<RedriveId>,
}

impl Actor {
    pub(super) fn new(role: Role) -> Actor {
        let name = match role {
            Role::Copier(name) | Role::Teller(name) => name,
            Role::Producer(_)
            | Role::Worker(_)
            | Role::Reader(_)
            | Role::Numbered
            | Role::Redriver
            | Role::Deleter
            | Role::Admin => "",
        };
        Actor {
            role,
            conn: None,
            client: Client::default(),
            tag: 0,
            waits: None,
            script: Vec::new(),
            publisher: Publisher::default(),
            copier: Copier::new(name),
            teller: Teller::new(name),
            job: None,
        }
    }

    /// It is connected now, and knows nothing of before.
    pub(super) fn connected(&mut self, conn: ConnId, script: Vec<Op<'static>>) {
        self.conn = Some(conn);
        self.client = Client::default();
        self.waits = None;
        self.script = script;
        self.publisher.connected();
        self.copier.connected();
        self.teller.connected();
    }

    /// It is told something.
    pub(super) fn hear(&mut self, event: &Event<'_>, dice: &mut Dice, bodies: &mut u64) {
        match self.role {
            Role::Numbered => return self.publisher.hear(event),
            Role::Copier(_) => return self.copier.hear(event, dice, bodies),
            Role::Teller(_) => return self.teller.hear(event),
            Role::Producer(_)
            | Role::Worker(_)
            | Role::Reader(_)
            | Role::Redriver
            | Role::Deleter
            | Role::Admin => {}
        }
        if let Event::RedriveStarted { redrive, .. } = event {
            self.job = Some(*redrive);
        }
        self.client.hear(event);
        if crate::answers::answer(event).map(|(tag, _)| tag) == self.waits {
            self.waits = None;
        }
    }

    /// What it asks next, if anything; `calm` when it should only finish what there is.
    pub(super) fn next(
        &mut self,
        dice: &mut Dice,
        bodies: &mut u64,
        calm: bool,
    ) -> Option<Request<'static>> {
        let op = match self.script.pop() {
            Some(op) => op,
            None => match self.role {
                Role::Admin if calm || dice.percent(80) => return None,
                Role::Admin => {
                    let pick = Pick::Oldest { messages_max: dice.between(1, 4) as u32 };
                    Op::Redrive { queue: "dead".into(), pick, to: None }
                }
                Role::Producer(_) | Role::Redriver | Role::Deleter if calm => return None,
                Role::Producer(Goods::Everyday) => cast::publish(dice, bodies),
                Role::Producer(Goods::Parcels) => queues::publish(dice, bodies),
                Role::Producer(Goods::Records) => streams::publish(dice, bodies),
                Role::Redriver | Role::Deleter if dice.percent(70) => return None,
                Role::Redriver => queues::redrive(dice, self.job),
                Role::Deleter => streams::delete(dice),
                Role::Worker(queue) => self.work(queue, dice, calm)?,
                Role::Reader(topics) => self.read(topics, dice, calm)?,
                Role::Numbered => self.publisher.next(Tag(self.tag + 1), dice, bodies, calm)?,
                Role::Copier(_) => self.copier.next(Tag(self.tag + 1), dice, calm)?,
                Role::Teller(_) => self.teller.next(Tag(self.tag + 1), dice, bodies, calm)?,
            },
        };
        self.tag += 1;
        let tag = Tag(self.tag);
        if let Op::Poll { member, .. } = &op {
            self.client.polls(tag, *member);
        }
        let own = matches!(self.role, Role::Numbered | Role::Copier(_) | Role::Teller(_));
        if !own && matches!(op, Op::Poll { .. } | Op::Receive { .. } | Op::Join { .. }) {
            self.waits = Some(tag);
        }
        Some(Request { tag, op })
    }

    fn leases(&mut self, dice: &mut Dice) -> Option<Cow<'static, [LeaseId]>> {
        let held = &mut self.client.leases;
        let take = dice.below(held.len() as u64 + 1).max(1).min(held.len() as u64) as usize;
        let leases: Vec<_> = held.drain(..take).collect();
        if leases.is_empty() { None } else { Some(leases.into()) }
    }

    fn work(&mut self, queue: &'static str, dice: &mut Dice, calm: bool) -> Option<Op<'static>> {
        if self.client.leases.is_empty() || (!calm && dice.percent(20)) {
            if self.waits.is_some() {
                return None;
            }
            if self.client.consumers.is_empty() && dice.percent(30) {
                let prefetch = dice.between(1, 4) as u32;
                return Some(Op::Consume {
                    queue: queue.into(),
                    prefetch,
                    visibility: None,
                    auto_ack: false,
                    exclusive: false,
                });
            }
            let (messages_max, wait) = (dice.between(1, 5) as u32, Span::from_millis(20));
            return Some(Op::Receive {
                queue: queue.into(),
                messages_max,
                wait,
                visibility: None,
                auto_ack: false,
            });
        }
        let what = if calm { 0 } else { dice.weighted(&[60, 15, 5, 8, 6, 6]) };
        if what == 5 {
            return None;
        }
        let leases = self.leases(dice)?;
        Some(match what {
            0 => Op::Ack { leases },
            1 => Op::Nack { leases, delay: Span::from_millis(*dice.pick(&[0, 0, 10, 200])) },
            2 => Op::Reject { leases },
            3 => Op::Release { leases },
            _ => Op::Extend { leases, visibility: Span::from_millis(*dice.pick(&[0, 50, 300])) },
        })
    }

    fn read(
        &mut self,
        topics: &'static [&'static str],
        dice: &mut Dice,
        calm: bool,
    ) -> Option<Op<'static>> {
        if self.waits.is_some() {
            return None;
        }
        let Some((member, reader)) = self.client.members.iter().next() else {
            return Some(Op::Join {
                group: "billing".into(),
                topics: topics.iter().copied().map(Cow::from).collect(),
                assignor: *dice.pick(&[Assignor::Range, Assignor::CooperativeSticky]),
                start: Start::Earliest,
                session_timeout: Some(Span::from_millis(500)),
                instance: None,
                rebalance_timeout: Some(Span::from_millis(400)),
            });
        };
        let member: MemberId = *member;
        if let Some(generation) = reader.given_up.filter(|_| calm || dice.percent(60)) {
            self.client.gave_up(member);
            return Some(Op::Revoked { member, generation });
        }
        let what = dice.weighted(if calm { &[50, 50] } else { &[55, 35, 5, 5] });
        if what == 1 && !reader.positions.is_empty() {
            let offsets =
                reader.positions.iter().map(|((topic, partition), position)| CommitOffset {
                    topic: topic.clone().into(),
                    partition: *partition,
                    offset: *position,
                    metadata: "".into(),
                });
            let offsets: Vec<_> = offsets.collect();
            let generation = reader.generation;
            return Some(Op::Commit { member, generation, offsets: offsets.into() });
        }
        if what == 2 {
            let (topic, partition) = (Cow::from(*dice.pick(topics)), dice.below(3) as u32);
            let back = Position::At(Offset(dice.below(5)));
            let to = *dice.pick(&[Position::Earliest, back]);
            return Some(Op::Seek { member, topic, partition, to });
        }
        if what == 3 {
            self.client.members.clear();
            return Some(Op::Leave { member });
        }
        let (records_max, wait) = (dice.between(1, 10) as u32, Span::from_millis(20));
        Some(Op::Poll { member, budget: Budget::waiting(records_max, wait) })
    }
}
