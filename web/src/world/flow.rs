//! The order flow on a broker, however that is reached: the actors, the watcher that feeds the
//! picture, and the operator through whom the user acts and asks.

use std::collections::BTreeMap;
use std::rc::Rc;

use fanlight_core::{
    Batch, Event, Inspect, Op, Pick, Position, Request, Span, Tag, Target, Time, View,
};

use super::act::{Act, Answer, Notice, Question, ShownMessage, Ticket};
use super::actor::{Actor, Job, Note, Out, for_each_event};
use super::orders::Order;
use super::scenario::{self, ACTORS_MAX, EXCHANGE, QUEUE};
use crate::link::{Link, Told, Wire};
use crate::picture::{
    Actor as Shown, ActorId, ActorState, LineKind, Picture, Place, Projector, Role, Tuning, Want,
    Work,
};

/// How often the picture is squared with an overview, and what is not known is looked at.
const LOOK_EVERY: Span = Span::from_millis(500);
/// Orders in one burst.
const BURST_MAX: u32 = 500;

/// What an answer on the watcher's or operator's connection is for.
#[derive(Clone)]
enum Asked {
    Overview,
    Look(Want),
    Topology,
    Act(String),
    Publish,
    Question(Ticket),
}

/// One of the page's own two connections.
#[derive(Clone, Default)]
struct Desk {
    wire: Option<Wire>,
    last_tag: u32,
    asked: BTreeMap<Tag, Asked>,
}

/// The order flow on one broker.
#[derive(Clone)]
pub(crate) struct Flow<L> {
    pub(crate) link: L,
    seed: u64,
    actors: Vec<Actor>,
    projector: Projector,
    watcher: Desk,
    operator: Desk,
    look_at: Option<Time>,
    is_looking: bool,
    answers: BTreeMap<Ticket, Answer>,
    pub(crate) notices: Vec<Notice>,
    /// Why the watcher's connection is gone, if it is.
    pub(crate) lost: Option<String>,
    /// When the broker's clock stood where, as it said when the watcher came.
    pub(crate) opened_at: Option<Time>,
    /// Whether the first overview has come; and if so, whether the broker was empty then.
    pub(crate) was_empty: Option<bool>,
}

impl<L: Link> Flow<L> {
    /// The flow with nobody connected yet.
    pub(crate) fn new(link: L, seed: u64, orders: Rc<[Order]>) -> Flow<L> {
        let mut flow = Flow {
            link,
            seed,
            actors: Vec::new(),
            projector: Projector::new(),
            watcher: Desk::default(),
            operator: Desk::default(),
            look_at: None,
            is_looking: false,
            answers: BTreeMap::new(),
            notices: Vec::new(),
            lost: None,
            opened_at: None,
            was_empty: None,
        };
        for actor in scenario::cast(seed, orders) {
            flow.add(actor);
        }
        flow
    }

    fn add(&mut self, actor: Actor) -> usize {
        self.projector.add_actor(shown(&actor));
        self.actors.push(actor);
        self.actors.len() - 1
    }

    /// Connects the watcher and the operator.
    pub(crate) fn connect(&mut self, now: Time) {
        self.lost = None;
        self.is_looking = false;
        self.projector.reconnected();
        self.watcher =
            Desk { wire: Some(self.link.open(now, "the page's watcher")), ..Desk::default() };
        self.operator = Desk { wire: Some(self.link.open(now, "you")), ..Desk::default() };
        self.ask_watcher(now, Op::Watch { on: true }, Asked::Topology);
        self.look(now);
        self.pump(now);
    }

    /// Makes the scenario's topology where it is not there.
    pub(crate) fn declare(&mut self, now: Time) {
        for op in scenario::topology() {
            self.ask_operator(now, op, Asked::Topology);
        }
        self.pump(now);
    }

    /// Starts everyone.
    pub(crate) fn start_all(&mut self, now: Time) {
        for at in 0..self.actors.len() {
            let mut outs = Vec::new();
            if self.actors[at].start(now, &mut outs).is_ok() {
                self.perform(now, at, outs);
            }
        }
        self.pump(now);
    }

    /// What to draw.
    pub(crate) fn picture(&self) -> &Picture {
        &self.projector.picture
    }

    /// The number of the newest line of the log.
    pub(crate) fn lines(&self) -> u64 {
        self.projector.lines()
    }

    /// How many of the shop's orders were confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.actors
            .iter()
            .map(|actor| match &actor.job {
                Job::Shop(shop) => shop.confirmed(),
                Job::Member(_) | Job::Worker(_) => 0,
            })
            .sum()
    }

    // --- time ---------------------------------------------------------------------------------

    /// When something is due next.
    pub(crate) fn deadline(&self) -> Option<Time> {
        let actors = self.actors.iter().filter_map(Actor::deadline).min();
        [actors, self.link.deadline(), self.look_at].into_iter().flatten().min()
    }

    /// Does all that is due at `now`, once: what comes due by it is due again at once.
    pub(crate) fn wake(&mut self, now: Time) {
        if self.link.deadline().is_some_and(|at| at <= now) {
            self.link.tick(now);
            self.pump(now);
        }
        for at in 0..self.actors.len() {
            if self.actors[at].deadline().is_some_and(|deadline| deadline <= now) {
                let mut outs = Vec::new();
                self.actors[at].wake(now, &mut outs);
                self.perform(now, at, outs);
                self.pump(now);
            }
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look(now);
            self.pump(now);
        }
    }

    /// The picture's clock moves though nothing happened; and the ledger is made up.
    pub(crate) fn settle(&mut self, now: Time) {
        self.projector.picture.now = now;
        self.projector.balance();
    }

    /// Squares the picture now.
    #[cfg(test)]
    pub(super) fn square_now(&mut self, now: Time) {
        self.is_looking = true;
        self.ask_watcher(now, Op::Inspect { what: Inspect::Overview }, Asked::Overview);
        self.pump(now);
    }

    // --- frames -------------------------------------------------------------------------------

    /// Hands on everything that has come.
    pub(crate) fn pump(&mut self, now: Time) {
        loop {
            while let Some((wire, told)) = self.link.take() {
                self.hand_on(now, wire, told);
            }
            if self.projector.is_stale && !self.is_looking && self.watcher.wire.is_some() {
                self.is_looking = true;
                let what = Inspect::Overview;
                self.ask_watcher(now, Op::Inspect { what }, Asked::Overview);
            } else {
                return;
            }
        }
    }

    fn hand_on(&mut self, now: Time, wire: Wire, told: Told) {
        if self.watcher.wire == Some(wire) {
            self.watched(now, told);
        } else if self.operator.wire == Some(wire) {
            self.answered(now, told);
        } else if let Some(at) = self.actors.iter().position(|actor| actor.wire == Some(wire)) {
            let mut outs = Vec::new();
            let before = self.actors[at].conn;
            self.actors[at].hear(now, told, &mut outs);
            if let (None, Some(conn)) = (before, self.actors[at].conn) {
                self.projector.claim(conn, self.actors[at].id);
            }
            self.perform(now, at, outs);
        }
    }

    fn perform(&mut self, now: Time, at: usize, outs: Vec<Out>) {
        for out in outs {
            let id = self.actors[at].id;
            match out {
                Out::Open => {
                    let wire = self.link.open(now, &self.actors[at].name);
                    self.actors[at].wire = Some(wire);
                }
                Out::Send(request) => {
                    if let Some(wire) = self.actors[at].wire {
                        self.link.send(now, wire, &request);
                    }
                }
                Out::Close => {
                    if let Some(wire) = self.actors[at].wire {
                        self.link.close(now, wire);
                    }
                    self.actors[at].hung_up();
                }
                Out::Note(note) => self.note(now, at, id, note),
            }
        }
        self.projector.set_actor(shown(&self.actors[at]));
    }

    fn note(&mut self, now: Time, at: usize, id: ActorId, note: Note) {
        match note {
            Note::Publishing { key, body } => {
                self.actors[at].done += 1;
                self.projector.expect(id, Some(&key), &body);
            }
            Note::Worked(message) => {
                self.actors[at].done += 1;
                self.projector.worked(now, id, &message);
            }
            Note::Failed(message, why) => {
                self.actors[at].failed += 1;
                self.projector.failed(now, id, &message, &why);
            }
            Note::Stale(message) => self.projector.too_late(now, id, &message),
            Note::Trouble(sentence) => {
                let sentence = format!("{}: {sentence}", self.actors[at].name);
                self.projector.say_of(now, id, LineKind::Refusal, sentence);
            }
        }
    }

    // --- the watcher --------------------------------------------------------------------------

    fn ask_watcher(&mut self, now: Time, op: Op<'static>, asked: Asked) {
        let desk = &mut self.watcher;
        let Some(wire) = desk.wire else { return };
        desk.last_tag += 1;
        let tag = Tag(desk.last_tag);
        desk.asked.insert(tag, asked);
        self.link.send(now, wire, &Request { tag, op });
    }

    /// Squares the picture, and looks at what it shows and does not know.
    fn look(&mut self, now: Time) {
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
                    records_max: want.count,
                },
            };
            self.ask_watcher(now, op, Asked::Look(want));
        }
    }

    fn watched(&mut self, now: Time, told: Told) {
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

    fn watched_event(&mut self, now: Time, event: &Event<'_>) {
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

    // --- the operator -------------------------------------------------------------------------

    fn ask_operator(&mut self, now: Time, op: Op<'static>, asked: Asked) {
        let desk = &mut self.operator;
        let Some(wire) = desk.wire else { return };
        desk.last_tag += 1;
        let tag = Tag(desk.last_tag);
        desk.asked.insert(tag, asked);
        self.link.send(now, wire, &Request { tag, op });
    }

    /// Asks something that changes nothing.
    pub(crate) fn ask(&mut self, now: Time, ticket: Ticket, question: Question) {
        let op = match question {
            Question::Peek { queue, from, messages_max } => {
                Op::Peek { queue: queue.into(), from, messages_max }
            }
            Question::Read { topic, partition, from, records_max } => {
                let from = Position::At(from);
                Op::Read { topic: topic.into(), partition, from, records_max }
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

    fn answered(&mut self, now: Time, told: Told) {
        match told {
            Told::Frames(bytes) => for_each_event(&bytes, |event| self.answered_event(now, event)),
            Told::Closed(_) => self.operator = Desk::default(),
        }
    }

    fn answered_event(&mut self, now: Time, event: &Event<'_>) {
        if let Event::Opened { conn, .. } = event {
            self.projector.hide(*conn);
            self.projector.claim(*conn, ActorId::YOU);
        } else if let Event::Done { tag } | Event::Published { tag, .. } = event {
            match self.operator.asked.remove(tag) {
                Some(Asked::Act(what)) => self.notice(false, what),
                Some(Asked::Publish) => self.notice(false, "published".to_owned()),
                Some(Asked::Overview | Asked::Look(_) | Asked::Topology | Asked::Question(_))
                | None => {}
            }
        } else if let Event::Count { tag, count } = event {
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

    fn notice(&mut self, is_problem: bool, sentence: String) {
        self.notices.push(Notice { is_problem, sentence });
    }

    // --- what the user does -------------------------------------------------------------------

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
                let op = Op::PurgeQueue { name: queue.clone().into() };
                self.operate(now, op, "purged")
            }
            Act::ResetOffsets { group, topic, partition, to } => {
                let op = Op::ResetOffsets {
                    group: group.clone().into(),
                    topic: topic.clone().into(),
                    partition: *partition,
                    to: *to,
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

    fn start(&mut self, now: Time, id: ActorId) -> Result<(), String> {
        let at = self.find(id)?;
        let was_silent = self.actors[at].state == ActorState::Silent;
        if self.actors.iter().all(|actor| actor.state == ActorState::Idle) {
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
        self.ask_operator(now, Op::Publish { to, confirm: true, records }, Asked::Publish);
        Ok(())
    }
}

fn shown(actor: &Actor) -> Shown {
    let in_hand = actor.in_hand();
    let work = in_hand.work.zip(in_hand.held.first()).map(|((since, until), message)| Work {
        message: message.clone(),
        attempt: in_hand.attempt,
        since,
        until,
    });
    Shown {
        id: actor.id,
        name: actor.name.clone(),
        tag: actor.tag.clone(),
        role: actor.role(),
        conn: actor.conn,
        state: actor.state,
        work,
        held: in_hand.held,
        done: actor.done,
        failed: actor.failed,
        tuning: Some(actor.tuning),
    }
}
