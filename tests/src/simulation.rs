//! A broker, its disk and its clients in one process and on virtual time, with power failures and
//! connections that break, all from one seed.

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Config, ConnId, Event, Fact, Input, Op, PROTOCOL, Session, Span, Time};

use crate::dice::Dice;
use crate::digest::Digest;
use crate::invariants::{Invariants, Moment, draining};
use crate::replay::Happened;

mod actor;
mod cast;
mod copier;
mod disk;
mod node;
mod publisher;
mod queues;
mod streams;
mod teller;

pub use copier::GROUP as COPYING;

pub use node::Planted;

use actor::{Actor, Role};
use cast::Cast;
use node::{Node, Outcome};

/// Steps with faults, and steps at most until everything has to be drained.
const STEPS: usize = 600;
const DRAIN_STEPS: usize = 20_000;

/// What is due in days, such as the end of an idle producer, does not come within a run.
const LEAP_MAX: Span = Span::from_secs(10);

/// What a run did, for those who ask whether it did anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Everything that clients were told, as a number.
    pub digest: Digest,
    /// How often power failed.
    pub crashes: u64,
    /// Messages that were asked to be published.
    pub published: u64,
    /// Facts of the history in the end.
    pub facts: u64,
    /// Events that were told.
    pub told: u64,
}

/// Runs one seed; what broke, if anything did.
pub fn run(seed: u64, planted: Planted) -> Result<Summary, String> {
    let mut world = World::new(seed, planted);
    world.work().map_err(|why| format!("at {}: {why}", world.now))?;
    Ok(world.summary)
}

/// Runs one seed and writes down what happens, also if it ends in a panic.
pub fn run_written(seed: u64, happened: &mut Vec<Happened>) -> Result<Summary, String> {
    let mut world = World::new(seed, Planted::Nothing);
    world.happened = Some(happened);
    world.work().map_err(|why| format!("at {}: {why}", world.now))?;
    Ok(world.summary)
}

/// The configuration of a seed.
pub fn config(seed: u64) -> Config {
    Config { seed, ..Config::default() }
}

struct World<'h> {
    dice: Dice,
    now: Time,
    node: Node,
    actors: Vec<Actor>,
    declared: Vec<Op<'static>>,
    rests: bool,
    last_conn: u64,
    bodies: u64,
    /// The frames of the facts that are, as far as anybody knows.
    history: Vec<Vec<u8>>,
    invariants: Invariants,
    summary: Summary,
    calm: bool,
    happened: Option<&'h mut Vec<Happened>>,
}

impl<'h> World<'h> {
    fn new(seed: u64, planted: Planted) -> World<'h> {
        let Cast { roles, declared, rests } = Cast::of(seed);
        World {
            dice: Dice::new(seed),
            now: Time::ZERO,
            node: Node::new(config(seed), planted),
            actors: roles.into_iter().map(Actor::new).collect(),
            declared,
            rests,
            last_conn: 0,
            bodies: 0,
            history: Vec::new(),
            invariants: Invariants::default(),
            summary: Summary::default(),
            calm: false,
            happened: None,
        }
    }

    fn work(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step()?;
        }
        self.calm = true;
        for _ in 0..DRAIN_STEPS {
            self.step()?;
            let is_done =
                !self.invariants.is_redriving() && draining::left(self.node.broker()).is_none();
            if is_done && self.dice.percent(20) {
                break;
            }
        }
        self.node.sync();
        self.tell()?;
        self.summary.published = self.bodies;
        self.summary.facts = self.history.len() as u64;
        let World { invariants, node, .. } = self;
        invariants.see(&Moment::Drained(node.broker()))
    }

    fn step(&mut self) -> Result<(), String> {
        self.advance();
        self.invariants.see(&Moment::At(self.now))?;
        let faults: &[u32] = if self.calm { &[0, 0, 0] } else { &[6, 10, 10] };
        let [crash, hang_up, checkpoint] = [faults[0], faults[1], faults[2]];
        match self.dice.weighted(&[crash, hang_up, checkpoint, 100, 300, 600]) {
            0 => self.crash()?,
            1 => self.hang_up()?,
            2 => {
                self.node.checkpoint();
                self.tell()?;
            }
            3 => self.apply(Input::Tick)?,
            4 => {
                self.node.sync();
                self.tell()?;
            }
            _ => self.act()?,
        }
        let World { invariants, node, .. } = self;
        invariants.see(&Moment::Looked(node.broker()))?;
        node.broker().check().map_err(|violation| violation.to_string())
    }

    fn advance(&mut self) {
        let due = self.node.broker().deadline().map(|(at, _)| at);
        let rest = if self.rests { 10 } else { 0 };
        self.now = match self.dice.weighted(&[600, 300, 100, rest]) {
            0 => self.now,
            1 => self.now + Span::from_millis(self.dice.between(1, 20)),
            3 => self.now + Span::from_millis(self.dice.between(100, 20_000)),
            _ => due.map_or(self.now, |due| due.max(self.now)).min(self.now + LEAP_MAX),
        };
    }

    fn act(&mut self) -> Result<(), String> {
        let index = self.dice.below(self.actors.len() as u64) as usize;
        let Some(conn) = self.actors[index].conn else { return self.connect(index) };
        let World { actors, dice, bodies, calm, .. } = self;
        let Some(request) = actors[index].next(dice, bodies, *calm) else { return Ok(()) };
        self.invariants.see(&Moment::Asked(conn, &request))?;
        self.apply(Input::Request(conn, request))
    }

    fn connect(&mut self, index: usize) -> Result<(), String> {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        let actor = &mut self.actors[index];
        let script = if actor.role == Role::Admin { self.declared.clone() } else { Vec::new() };
        actor.connected(conn, script);
        let client = format!("{:?}", actor.role).into();
        self.apply(Input::Open(conn, Session { protocol: PROTOCOL, client }))
    }

    fn hang_up(&mut self) -> Result<(), String> {
        let index = self.dice.below(self.actors.len() as u64) as usize;
        let Some(conn) = self.actors[index].conn.take() else { return Ok(()) };
        self.node.forget(conn);
        self.invariants.see(&Moment::Gone(conn))?;
        self.apply(Input::Closed(conn))?;
        self.node.forget(conn);
        Ok(())
    }

    fn apply(&mut self, input: Input<'static>) -> Result<(), String> {
        if let Some(happened) = &mut self.happened {
            happened.push(Happened::Input(self.now, input.clone()));
        }
        for outcome in self.node.apply(self.now, input) {
            match outcome {
                Outcome::Fact(frame) => {
                    self.invariants.see(&Moment::Fact(&fact(&frame)?))?;
                    self.history.push(frame);
                }
                Outcome::Decided(conn, frame) => {
                    self.invariants.see(&Moment::Decided(conn, &event(&frame)?))?;
                }
                Outcome::Closed(conn) => return Err(format!("{conn} was closed by the broker")),
            }
        }
        self.tell()
    }

    fn tell(&mut self) -> Result<(), String> {
        for told in self.node.tell(&mut self.dice) {
            // Who hung up is told nothing more.
            let is_there = |actor: &&mut Actor| actor.conn == Some(told.conn);
            let Some(actor) = self.actors.iter_mut().find(is_there) else { continue };
            let event = event(&told.frame)?;
            self.summary.told += 1;
            self.summary.digest.add(&told.frame);
            let (conn, needs, durable) = (told.conn, told.needs, told.durable);
            let moment = Moment::Told { conn, event: &event, needs, durable };
            self.invariants.see(&moment)?;
            actor.hear(&event, &mut self.dice, &mut self.bodies);
        }
        Ok(())
    }

    fn crash(&mut self) -> Result<(), String> {
        self.summary.crashes += 1;
        let durable = self.node.durable();
        for actor in &mut self.actors {
            actor.conn = None;
        }
        let (before, records) = self.node.crash(self.now, &mut self.dice)?;
        let written = self.history.len();
        self.history.truncate(before);
        self.history.extend(records);
        if let Some(happened) = &mut self.happened {
            happened.push(Happened::Restart { lost: written.saturating_sub(self.history.len()) });
        }
        let World { invariants, history, node, .. } = self;
        invariants.see(&Moment::Recovered { durable, history, broker: node.broker() })
    }
}

pub(crate) fn fact(frame: &[u8]) -> Result<Fact<'_>, String> {
    match codec::decode(&mut &frame[..], usize::MAX - 1) {
        Ok(Frame::Fact(fact)) => Ok(fact),
        other => Err(format!("a fact's frame reads as {other:?}")),
    }
}

pub(crate) fn event(frame: &[u8]) -> Result<Event<'_>, String> {
    match codec::decode(&mut &frame[..], usize::MAX - 1) {
        Ok(Frame::Event(event)) => Ok(event),
        other => Err(format!("an event's frame reads as {other:?}")),
    }
}
