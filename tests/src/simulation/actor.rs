//! A client of the simulation: a producer, a worker of a queue, or a reader of a topic.

use std::borrow::Cow;

use fanlight_core::{
    Assignor, Batch, Budget, CommitOffset, ConnId, Event, LeaseId, MemberId, Offset, Op, Pick,
    Position, Request, Span, Start, Tag, Target,
};

use super::copier::Copier;
use super::publisher::Publisher;
use crate::client::Client;
use crate::dice::Dice;

/// What a client is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Producer,
    /// Of this queue.
    Worker(&'static str),
    Reader,
    /// Publishes with numbers, and again what was not answered.
    Numbered,
    /// Copies what is committed, in transactions of this name.
    Copier(&'static str),
    /// Declares what the others need, and drives back what died.
    Admin,
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
}

impl Actor {
    pub(super) fn new(role: Role) -> Actor {
        let name = if let Role::Copier(name) = role { name } else { "" };
        Actor {
            role,
            conn: None,
            client: Client::default(),
            tag: 0,
            waits: None,
            script: Vec::new(),
            publisher: Publisher::default(),
            copier: Copier::new(name),
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
    }

    /// It is told something.
    pub(super) fn hear(&mut self, event: &Event<'_>, dice: &mut Dice, bodies: &mut u64) {
        match self.role {
            Role::Numbered => return self.publisher.hear(event),
            Role::Copier(_) => return self.copier.hear(event, dice, bodies),
            Role::Producer | Role::Worker(_) | Role::Reader | Role::Admin => {}
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
                Role::Producer if calm => return None,
                Role::Producer => publish(dice, bodies),
                Role::Worker(queue) => self.work(queue, dice, calm)?,
                Role::Reader => self.read(dice, calm)?,
                Role::Numbered => self.publisher.next(Tag(self.tag + 1), dice, bodies, calm)?,
                Role::Copier(_) => self.copier.next(Tag(self.tag + 1), dice, calm)?,
            },
        };
        self.tag += 1;
        let tag = Tag(self.tag);
        if let Op::Poll { member, .. } = &op {
            self.client.polls(tag, *member);
        }
        let own = matches!(self.role, Role::Numbered | Role::Copier(_));
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

    fn read(&mut self, dice: &mut Dice, calm: bool) -> Option<Op<'static>> {
        if self.waits.is_some() {
            return None;
        }
        let Some((member, reader)) = self.client.members.iter().next() else {
            return Some(Op::Join {
                group: "billing".into(),
                topics: vec!["events".into()].into(),
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
            let (topic, partition) = (Cow::from("events"), dice.below(3) as u32);
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

fn publish(dice: &mut Dice, bodies: &mut u64) -> Op<'static> {
    let mut batch = Batch::new();
    for _ in 0..dice.between(1, 4) {
        *bodies += 1;
        let key = [b'a' + dice.below(8) as u8];
        let key = dice.percent(70).then_some(&key[..]);
        batch.push(key, [], None, format!("m{bodies}").as_bytes()).expect("it is well formed");
    }
    let to = match dice.below(3) {
        0 => Target::Queue { name: "jobs".into() },
        1 => Target::Exchange { name: "all".into(), routing_key: "".into() },
        _ => Target::Topic { name: "events".into(), partition: None },
    };
    let records = batch.finish().expect("there is a record");
    Op::publish(to, dice.percent(90), records)
}
