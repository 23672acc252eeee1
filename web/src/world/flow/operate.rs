//! The operator: what the user does, to the actors, and through a connection of its own to the
//! broker.

use fanlight_core::{Batch, Event, Op, Pick, Request, Tag, Target, Time};

use super::{Asked, BURST_MAX, Desk, Flow, shown};
use crate::link::{Link, Told};
use crate::picture::{ActorId, ActorState, LineKind, Role, Tuning};
use crate::world::act::{Act, Notice};
use crate::world::actor::{Job, for_each_event};
use crate::world::scenario::{self, ACTORS_MAX, EXCHANGE, QUEUE};

impl<L: Link> Flow<L> {
    pub(super) fn ask_operator(&mut self, now: Time, op: Op<'static>, asked: Asked) {
        let desk = &mut self.operator;
        let Some(wire) = desk.wire else { return };
        desk.last_tag += 1;
        let tag = Tag(desk.last_tag);
        desk.asked.insert(tag, asked);
        self.link.send(now, wire, &Request { tag, op });
    }

    pub(super) fn answered(&mut self, now: Time, told: Told) {
        match told {
            Told::Frames(bytes) => for_each_event(&bytes, |event| self.answered_event(now, event)),
            Told::Closed(_) => self.operator = Desk::default(),
        }
    }

    pub(super) fn answered_event(&mut self, now: Time, event: &Event<'_>) {
        if let Event::Opened { conn, .. } = event {
            self.projector.hide(*conn);
            self.projector.claim(*conn, ActorId::YOU);
        } else if let Event::Done { tag }
        | Event::Published { tag, .. }
        | Event::OffsetsReset { tag, .. } = event
        {
            match self.operator.asked.remove(tag) {
                Some(Asked::Act(what)) => self.notice(false, what),
                Some(Asked::Publish) => self.notice(false, "published".to_owned()),
                Some(Asked::Overview | Asked::Look(_) | Asked::Topology | Asked::Question(_))
                | None => {}
            }
        } else if let Event::Count { tag, count, .. } = event {
            if let Some(Asked::Act(what)) = self.operator.asked.remove(tag) {
                let plural = if *count == 1 { "message" } else { "messages" };
                self.notice(false, format!("{count} {plural} {what}"));
            }
        } else if let Event::Refused { tag, refusal } = event {
            match self.operator.asked.remove(tag) {
                Some(Asked::Topology) => {
                    let sentence = format!("{}; it is used as it is", refusal.message);
                    self.projector.say_of(now, ActorId::YOU, LineKind::Refusal, sentence.clone());
                    self.notice(true, sentence);
                }
                Some(
                    Asked::Act(_)
                    | Asked::Publish
                    | Asked::Overview
                    | Asked::Look(_)
                    | Asked::Question(_),
                )
                | None => {
                    self.notice(true, refusal.to_string());
                }
            }
        }
    }

    pub(super) fn notice(&mut self, is_problem: bool, sentence: String) {
        self.notices.push(Notice { is_problem, sentence });
    }

    /// Does it.
    pub(crate) fn act(&mut self, now: Time, act: &Act) -> Result<(), String> {
        let result = self.try_act(now, act);
        self.pump(now);
        result
    }

    fn try_act(&mut self, now: Time, act: &Act) -> Result<(), String> {
        match act {
            Act::Start { actor } => self.start(now, *actor),
            Act::Stop { actor } => self.stop(now, *actor),
            Act::Crash { actor } => self.crash(now, *actor),
            Act::Silence { actor } => self.silence(now, *actor),
            Act::Tune { actor, tuning } => self.tune(now, *actor, *tuning),
            Act::PoisonNext => self.poison_next(now),
            Act::Burst { orders } => self.burst(now, *orders),
            Act::AddWorker => self.add_worker(now),
            Act::AddMember { group } => self.add_member(now, group),
            Act::Publish { routing_key, key, body } => {
                self.publish(now, routing_key, key.as_deref(), body)
            }
            Act::Redrive { queue, offset, body } => {
                let what = if body.is_some() { "mended and redriven" } else { "redriven" };
                let body = body.as_ref().map(|body| body.as_bytes().to_vec().into());
                let pick = Pick::One { offset: *offset, body };
                let op = Op::Redrive { queue: queue.clone().into(), pick, to: None };
                self.operate(now, op, what)
            }
            Act::RedriveAll { queue, messages_max } => {
                let pick = Pick::Oldest { messages_max: *messages_max };
                let op = Op::Redrive { queue: queue.clone().into(), pick, to: None };
                self.operate(now, op, "redriven")
            }
            Act::Purge { queue } => {
                let op = Op::PurgeQueue { name: queue.clone().into(), all: false };
                self.operate(now, op, "purged")
            }
            Act::ResetOffsets { group, topic, partition, to } => {
                let op = Op::ResetOffsets {
                    group: group.clone().into(),
                    topic: topic.clone().into(),
                    partition: *partition,
                    to: *to,
                    dry_run: false,
                };
                self.operate(now, op, "the group's offsets were reset")
            }
        }
    }

    fn operate(&mut self, now: Time, op: Op<'static>, what: &str) -> Result<(), String> {
        if self.operator.wire.is_none() {
            return Err("there is no connection to the broker".to_owned());
        }
        self.ask_operator(now, op, Asked::Act(what.to_owned()));
        Ok(())
    }

    fn find(&self, id: ActorId) -> Result<usize, String> {
        self.actors
            .iter()
            .position(|actor| actor.id == id)
            .ok_or_else(|| "that client is not this page's, so it cannot be controlled".to_owned())
    }

    /// Whether any of our actors was ever started here.
    pub(crate) fn has_started(&self) -> bool {
        self.actors.iter().any(|actor| actor.state != ActorState::Idle)
    }

    fn start(&mut self, now: Time, id: ActorId) -> Result<(), String> {
        let at = self.find(id)?;
        let was_silent = self.actors[at].state == ActorState::Silent;
        if !self.has_started() {
            // The first actor on a server: what it works with has to be there.
            self.declare(now);
        }
        let mut outs = Vec::new();
        self.actors[at].start(now, &mut outs)?;
        let name = &self.actors[at].name;
        let sentence = if was_silent {
            format!("you woke {name}: it goes on where it was")
        } else {
            format!("you started {name}")
        };
        self.projector.say_of(now, id, LineKind::User, sentence);
        self.perform(now, at, outs);
        Ok(())
    }

    fn stop(&mut self, now: Time, id: ActorId) -> Result<(), String> {
        let at = self.find(id)?;
        let mut outs = Vec::new();
        self.actors[at].stop(now, &mut outs)?;
        let sentence = format!("you stopped {} in good order", self.actors[at].name);
        self.projector.say_of(now, id, LineKind::User, sentence);
        self.perform(now, at, outs);
        Ok(())
    }

    fn crash(&mut self, now: Time, id: ActorId) -> Result<(), String> {
        let at = self.find(id)?;
        let held = self.actors[at].in_hand().held.len();
        let mut outs = Vec::new();
        self.actors[at].crash(&mut outs)?;
        let sentence = match held {
            0 => format!("you crashed {}; it had nothing in hand", self.actors[at].name),
            1 => format!("you crashed {} with a message in hand", self.actors[at].name),
            n => format!("you crashed {} with {n} messages in hand", self.actors[at].name),
        };
        self.projector.say_of(now, id, LineKind::User, sentence);
        self.projector.count_fault(now);
        self.perform(now, at, outs);
        Ok(())
    }

    fn silence(&mut self, now: Time, id: ActorId) -> Result<(), String> {
        let at = self.find(id)?;
        self.actors[at].silence()?;
        let sentence = format!(
            "you made {} fall silent: it stays connected, and does nothing",
            self.actors[at].name
        );
        self.projector.say_of(now, id, LineKind::User, sentence);
        self.projector.count_fault(now);
        self.projector.set_actor(shown(&self.actors[at]));
        Ok(())
    }

    fn tune(&mut self, now: Time, id: ActorId, tuning: Tuning) -> Result<(), String> {
        if !tuning.rate.is_finite() || !(0.0..=1_000.0).contains(&tuning.rate) {
            return Err(format!("{} orders a second: it may be 0 to 1000", tuning.rate));
        }
        if tuning.work_ms > 600_000 {
            return Err(format!("{} ms for one message: it may be 0 to 600000", tuning.work_ms));
        }
        let at = self.find(id)?;
        let mut outs = Vec::new();
        self.actors[at].tune(now, tuning, &mut outs);
        self.perform(now, at, outs);
        Ok(())
    }

    fn shop(&mut self) -> Result<usize, String> {
        self.actors
            .iter()
            .position(|actor| matches!(actor.job, Job::Shop(_)))
            .filter(|at| self.actors[*at].state == ActorState::Running)
            .ok_or_else(|| "the shop does not run; start it first".to_owned())
    }

    fn poison_next(&mut self, now: Time) -> Result<(), String> {
        let at = self.shop()?;
        if let Job::Shop(shop) = &mut self.actors[at].job {
            shop.poison_next();
        }
        let sentence = "you poisoned the shop's next order: its price will be 0".to_owned();
        self.projector.say_of(now, self.actors[at].id, LineKind::User, sentence);
        Ok(())
    }

    fn burst(&mut self, now: Time, orders: u32) -> Result<(), String> {
        if !(1..=BURST_MAX).contains(&orders) {
            return Err(format!("a burst of {orders} orders: it may be 1 to {BURST_MAX}"));
        }
        let at = self.shop()?;
        let sentence = format!("you had the shop place {orders} orders at once");
        self.projector.say_of(now, self.actors[at].id, LineKind::User, sentence);
        for _ in 0..orders {
            let mut outs = Vec::new();
            self.actors[at].place_order(now, &mut outs);
            self.perform(now, at, outs);
            self.pump(now);
        }
        Ok(())
    }

    fn next_id(&self) -> Result<ActorId, String> {
        if self.actors.len() >= ACTORS_MAX {
            return Err(format!("there are {ACTORS_MAX} actors already, which is the most"));
        }
        Ok(ActorId(self.actors.iter().map(|actor| actor.id.0).max().unwrap_or(0) + 1))
    }

    fn add_worker(&mut self, now: Time) -> Result<(), String> {
        let id = self.next_id()?;
        let role = Role::Worker { queue: QUEUE.into() };
        let nth = self.actors.iter().filter(|actor| actor.role() == role).count() + 1;
        self.add(scenario::another_worker(self.seed, id, nth));
        self.start(now, id)
    }

    fn add_member(&mut self, now: Time, group: &str) -> Result<(), String> {
        let id = self.next_id()?;
        let role = Role::Member { group: group.into() };
        let nth = self.actors.iter().filter(|actor| actor.role() == role).count() + 1;
        self.add(scenario::another_member(self.seed, id, group, nth));
        self.start(now, id)
    }

    fn publish(
        &mut self,
        now: Time,
        routing_key: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(), String> {
        if self.operator.wire.is_none() {
            return Err("there is no connection to the broker".to_owned());
        }
        let mut batch = Batch::new();
        batch
            .push(key.map(str::as_bytes), [], Some(now), body.as_bytes())
            .map_err(|malformed| malformed.to_string())?;
        let records = batch.finish().expect("one record was added");
        self.projector.expect(ActorId::YOU, key, body);
        let to =
            Target::Exchange { name: EXCHANGE.into(), routing_key: routing_key.to_owned().into() };
        self.ask_operator(now, Op::publish(to, true, records), Asked::Publish);
        Ok(())
    }
}
