//! Every order in which a few clients can take their steps, with one crash anywhere among them:
//! between two steps, or in the middle of one. Orders that lead to the same state go on as one.

use std::collections::BTreeMap;

use fanlight_core::codec;
use fanlight_core::{
    Batch, Broker, CommitOffset, Config, ConnId, Effect, Event, Fact, Input, Offset, Op, PROTOCOL,
    Request, Session, Span, Tag, Target, Time, View,
};

use crate::ask;
use crate::client::Client;
use crate::digest::Digest;
use crate::invariants::{Invariants, Moment};

/// One step of a client.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Publishes one record with this key.
    Publish(&'static str, &'static str),
    /// Asks the queue for one message.
    Receive,
    /// Settles everything it holds.
    Ack,
    /// Gives everything back that it holds.
    Nack,
    /// Reads on, one record at most, after joining the group if it is in none.
    Poll,
    /// Commits where it is.
    Commit,
    /// So many milliseconds pass, and what is due happens.
    Pass(u64),
}

/// Clients and what they do.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is there from the beginning.
    pub declared: Vec<Op<'static>>,
    /// The queue, or the work group on one partition, that is received from.
    pub queue: Option<&'static str>,
    /// The topic that is published to, instead of the queue, and read in a group.
    pub topic: Option<&'static str>,
    /// What each client does, one step after the other.
    pub scripts: Vec<Vec<Step>>,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    /// Orders of all steps, counting each place where the crash can be.
    pub orders: u128,
    /// States that differ.
    pub states: usize,
    /// Steps that were taken.
    pub steps: usize,
}

/// The one crash: whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    /// The connection of the client whose turn it is breaks, before it hears its answers.
    Connection,
    /// Power fails, and of the facts of this step so many were written.
    Power { kept: usize },
}

#[derive(Clone)]
struct Actor {
    conn: Option<ConnId>,
    client: Client,
    /// The next step of its script.
    next: usize,
}

#[derive(Clone)]
struct World<'s> {
    scenario: &'s Scenario,
    broker: Broker,
    now: Time,
    actors: Vec<Actor>,
    history: Vec<Vec<u8>>,
    invariants: Invariants,
    last_conn: u64,
    last_tag: u32,
    crashed: bool,
    /// What was told, and is not heard yet: each with the number of facts before it.
    told: Vec<(ConnId, Vec<u8>, usize)>,
    way: Vec<String>,
}

/// Takes every order of a scenario's steps; what is wrong in which, if anything is.
pub fn explore(scenario: &Scenario) -> Result<Looked, String> {
    let mut looked = Looked::default();
    let world = World::new(scenario)?;
    let mut known = BTreeMap::new();
    looked.orders = go_on(&world, &mut known, &mut looked)?;
    looked.states = known.len();
    Ok(looked)
}

/// In how many orders it can go on from here.
fn go_on(
    world: &World<'_>,
    known: &mut BTreeMap<[u8; 8], u128>,
    looked: &mut Looked,
) -> Result<u128, String> {
    let key = world.key();
    if let Some(orders) = known.get(&key) {
        return Ok(*orders);
    }
    let mut orders = 0;
    for index in 0..world.actors.len() {
        if world.actors[index].next == world.scenario.scripts[index].len() {
            continue;
        }
        let mut after = world.clone();
        let facts = after.history.len();
        looked.steps += 1;
        let result = after.take(index);
        result.map_err(|why| after.failed(&why))?;
        let written = after.history.len() - facts;
        let power = (0..=written).map(|kept| Crash::Power { kept: facts + kept });
        let crashes = [Crash::Connection].into_iter().chain(power);
        for crash in crashes.filter(|_| !world.crashed) {
            if crash == Crash::Connection && after.actors[index].conn.is_none() {
                continue;
            }
            let mut crashed = after.clone();
            let result = crashed.crash(index, crash);
            result.map_err(|why| crashed.failed(&why))?;
            orders += go_on(&crashed, known, looked)?;
        }
        let result = after.tell();
        result.map_err(|why| after.failed(&why))?;
        orders += go_on(&after, known, looked)?;
    }
    if world.actors.iter().zip(&world.scenario.scripts).all(|(a, script)| a.next == script.len()) {
        let mut end = world.clone();
        let result = end.drain();
        result.map_err(|why| end.failed(&why))?;
        orders = 1;
    }
    known.insert(key, orders);
    Ok(orders)
}

impl<'s> World<'s> {
    fn new(scenario: &'s Scenario) -> Result<World<'s>, String> {
        let actor = || Actor { conn: None, client: Client::default(), next: 0 };
        let mut world = World {
            scenario,
            broker: Broker::new(Config::default(), Time::ZERO),
            now: Time::ZERO,
            actors: scenario.scripts.iter().map(|_| actor()).collect(),
            history: Vec::new(),
            invariants: Invariants::default(),
            last_conn: 0,
            last_tag: 0,
            crashed: false,
            told: Vec::new(),
            way: Vec::new(),
        };
        let admin = world.open()?;
        for op in &scenario.declared {
            world.ask(admin, op.clone())?;
        }
        world.invariants.see(&Moment::Gone(admin))?;
        world.apply(Input::Closed(admin))?;
        world.open_all()?;
        Ok(world)
    }

    fn failed(&self, why: &str) -> String {
        format!("{why}\nafter: {}", self.way.join("; "))
    }

    /// What the future depends on: the durable state, what is in whose hands, and what clients
    /// know. (How often numbers were given makes no difference to anybody.)
    fn key(&self) -> [u8; 8] {
        let mut digest = Digest::default();
        let mut snapshot = Vec::new();
        self.broker.snapshot(&mut snapshot);
        digest.add(&snapshot);
        let mut broker = self.broker.clone();
        let mut add = |shown: String| digest.add(shown.as_bytes());
        if let Some(queue) = self.scenario.queue {
            let conn = ConnId(u64::MAX);
            let session = Session { protocol: PROTOCOL, client: "eye".into() };
            broker.apply(self.now, Input::Open(conn, session), &mut |_: Effect<'_>| {});
            let part = match self.scenario.topic {
                Some(_) => format!("{queue}/0"),
                None => queue.into(),
            };
            let op = Op::Peek { queue: part.into(), from: Offset(0), messages_max: 100 };
            let request = Request { tag: Tag(0), op };
            broker.apply(self.now, Input::Request(conn, request), &mut |effect: Effect<'_>| {
                let Effect::Tell(_, Event::Inspected { view: View::Messages(messages), .. }) =
                    effect
                else {
                    return;
                };
                for message in messages {
                    add(format!("{} {:?}", message.offset, message.state));
                }
            });
        }
        for group in self.broker.overview().groups {
            add(format!("{:?}", group.partitions));
        }
        for actor in &self.actors {
            let Client { leases, members, .. } = &actor.client;
            add(format!("{:?} {} {leases:?} {members:?}", actor.conn, actor.next));
        }
        add(format!("{} {}", self.now, self.crashed));
        digest.to_bytes()
    }

    /// Takes a client's next step; it is still to hear what it is told.
    fn take(&mut self, index: usize) -> Result<(), String> {
        let step = self.scenario.scripts[index][self.actors[index].next];
        self.actors[index].next += 1;
        self.way.push(format!("client {index}: {step:?}"));
        if let Step::Pass(ms) = step {
            self.now = self.now + Span::from_millis(ms);
            self.invariants.see(&Moment::At(self.now))?;
            return self.apply(Input::Tick);
        }
        let conn = self.actors[index].conn.expect("everybody is connected, or was again");
        if matches!(step, Step::Poll) && self.actors[index].client.members.is_empty() {
            let join = ask::join("crew", &[self.scenario.topic.expect("a poll is of a topic")]);
            self.ask(conn, join)?;
            self.tell()?;
        }
        match self.op(index, step) {
            Some(op) => self.ask(conn, op),
            None => Ok(()),
        }
    }

    fn op(&mut self, index: usize, step: Step) -> Option<Op<'static>> {
        let client = &mut self.actors[index].client;
        let queue = self.scenario.queue;
        Some(match step {
            Step::Publish(key, name) => {
                let mut batch = Batch::new();
                let key = (!key.is_empty()).then_some(key.as_bytes());
                batch.push(key, [], None, name.as_bytes()).expect("it is well formed");
                let to = match self.scenario.topic {
                    Some(name) => Target::Topic { name: name.into(), partition: None },
                    None => Target::Queue { name: queue?.into() },
                };
                Op::publish(to, true, batch.finish().expect("there is a record"))
            }
            Step::Receive => ask::receive(queue?, 1),
            Step::Ack if client.leases.is_empty() => return None,
            Step::Ack => Op::Ack { leases: std::mem::take(&mut client.leases).into() },
            Step::Nack if client.leases.is_empty() => return None,
            Step::Nack => {
                let leases = std::mem::take(&mut client.leases).into();
                Op::Nack { leases, delay: Span::ZERO }
            }
            Step::Poll => ask::poll(*client.members.keys().next()?, 1),
            Step::Commit => {
                let (member, reader) = client.members.iter().next()?;
                let commit = |((topic, partition), offset): (&(String, u32), &Offset)| {
                    let (topic, offset) = (topic.clone().into(), *offset);
                    CommitOffset { topic, partition: *partition, offset, metadata: "".into() }
                };
                let offsets: Vec<_> = reader.positions.iter().map(commit).collect();
                if offsets.is_empty() {
                    return None;
                }
                let (member, generation) = (*member, reader.generation);
                Op::Commit { member, generation, offsets: offsets.into() }
            }
            Step::Pass(_) => return None,
        })
    }

    /// Who is not connected connects: all in one order, so that it makes no difference to what
    /// follows who was the first.
    fn open_all(&mut self) -> Result<(), String> {
        for index in 0..self.actors.len() {
            if self.actors[index].conn.is_none() {
                let (conn, next) = (Some(self.open()?), self.actors[index].next);
                self.actors[index] = Actor { conn, client: Client::default(), next };
            }
        }
        self.tell()
    }

    fn open(&mut self) -> Result<ConnId, String> {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.apply(Input::Open(conn, Session { protocol: PROTOCOL, client: "one".into() }))?;
        Ok(conn)
    }

    fn ask(&mut self, conn: ConnId, op: Op<'static>) -> Result<(), String> {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        if let Op::Poll { member, .. } = &op {
            let actor = self.actors.iter_mut().find(|actor| actor.conn == Some(conn));
            actor.ok_or("who polls is a client")?.client.polls(tag, *member);
        }
        let request = Request { tag, op };
        self.invariants.see(&Moment::At(self.now))?;
        self.invariants.see(&Moment::Asked(conn, &request))?;
        self.apply(Input::Request(conn, request))
    }

    fn apply(&mut self, input: Input<'_>) -> Result<(), String> {
        let mut outcomes = Vec::new();
        self.broker.apply(self.now, input, &mut |effect: Effect<'_>| {
            let mut frame = Vec::new();
            let to = match &effect {
                Effect::Fact(fact) => {
                    codec::encode_fact(fact, &mut frame);
                    None
                }
                Effect::Tell(conn, event) => {
                    codec::encode_event(event, &mut frame);
                    Some(*conn)
                }
                Effect::Close(conn, reason) => panic!("{conn} was closed: {reason:?}"),
            };
            outcomes.push((to, frame));
        });
        for (to, frame) in outcomes {
            match to {
                None => {
                    let fact = crate::simulation::fact(&frame)?;
                    self.invariants.see(&Moment::Fact(&fact))?;
                    self.history.push(frame);
                }
                Some(conn) => {
                    let event = crate::simulation::event(&frame)?;
                    self.invariants.see(&Moment::Decided(conn, &event))?;
                    self.told.push((conn, frame, self.history.len()));
                }
            }
        }
        self.invariants.see(&Moment::Looked(&self.broker))?;
        self.broker.check().map_err(|violation| violation.to_string())
    }

    /// Everything is durable, and everybody hears what they are told.
    fn tell(&mut self) -> Result<(), String> {
        let durable = self.history.len();
        for (conn, frame, needs) in std::mem::take(&mut self.told) {
            let Some(actor) = self.actors.iter_mut().find(|actor| actor.conn == Some(conn)) else {
                continue;
            };
            let event = crate::simulation::event(&frame)?;
            let moment = Moment::Told { conn, event: &event, needs, durable };
            self.invariants.see(&moment)?;
            actor.client.hear(&event);
        }
        Ok(())
    }

    fn crash(&mut self, index: usize, crash: Crash) -> Result<(), String> {
        self.crashed = true;
        self.way.push(format!("{crash:?}"));
        match crash {
            Crash::Connection => {
                let conn = self.actors[index].conn.take().ok_or("it is connected")?;
                self.told.retain(|(to, ..)| *to != conn);
                self.invariants.see(&Moment::Gone(conn))?;
                self.apply(Input::Closed(conn))?;
                self.told.retain(|(to, ..)| *to != conn);
                self.tell()?;
            }
            Crash::Power { kept } => self.recover(kept)?,
        }
        self.open_all()
    }

    fn recover(&mut self, kept: usize) -> Result<(), String> {
        self.told.clear();
        self.history.truncate(kept);
        self.actors.iter_mut().for_each(|actor| actor.conn = None);
        self.broker = Broker::new(Config::default(), self.now);
        for frame in &self.history {
            let fact: Fact<'_> = crate::simulation::fact(frame)?;
            self.broker.try_restore(fact).map_err(|violation| violation.to_string())?;
        }
        // What no fact tells was durable is what nobody was told of.
        let (durable, history, broker) = (0, &self.history[..], &self.broker);
        self.invariants.see(&Moment::Recovered { durable, history, broker })
    }

    /// Everybody is gone; another client works off what is left, and then all is as it should be.
    fn drain(&mut self) -> Result<(), String> {
        self.way.push("all is worked off".into());
        for index in 0..self.actors.len() {
            if let Some(conn) = self.actors[index].conn.take() {
                self.invariants.see(&Moment::Gone(conn))?;
                self.apply(Input::Closed(conn))?;
            }
        }
        self.told.clear();
        self.now = self.now + Span::from_secs(60);
        self.invariants.see(&Moment::At(self.now))?;
        let conn = self.open()?;
        self.actors.push(Actor { conn: Some(conn), client: Client::default(), next: 0 });
        let index = self.actors.len() - 1;
        self.tell()?;
        if let Some(topic) = self.scenario.topic {
            self.ask(conn, ask::join("crew", &[topic]))?;
            self.tell()?;
        }
        for _ in 0..8 {
            for step in [Step::Receive, Step::Ack, Step::Poll, Step::Commit] {
                if let Some(op) = self.op(index, step) {
                    self.ask(conn, op)?;
                    self.tell()?;
                }
            }
        }
        self.invariants.see(&Moment::Drained(&self.broker))?;
        self.recover(self.history.len())
    }
}
