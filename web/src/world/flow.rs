//! The order flow on a broker, however that is reached: the actors, the watcher that feeds the
//! picture, and the operator through whom the user acts and asks.

mod operate;
mod watch;

use std::collections::BTreeMap;
use std::rc::Rc;

use fanlight_core::{Inspect, Op, RawRecord, Span, Tag, Time};

use super::act::{Answer, Notice, Ticket};
use super::actor::{Actor, Job, Note, Out};
use super::orders::Order;
use super::scenario;
use crate::link::{Link, Told, Wire};
use crate::picture::{Actor as Shown, ActorId, LineKind, Picture, Projector, Want, Work};

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
    /// How much is taken at once of what has come.
    pub(crate) messages_max: usize,
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
            messages_max: usize::MAX,
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
        self.was_empty = None;
        self.is_looking = false;
        self.projector.reconnected();
        for actor in &self.actors {
            // Those who came back before the watcher did, or never were gone.
            if let Some(conn) = actor.conn {
                self.projector.claim(conn, actor.id);
            }
        }
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

    /// Hands on what has come: all of it, or as much of it as is taken at once.
    pub(crate) fn pump(&mut self, now: Time) {
        for _ in 0..self.messages_max {
            if let Some((wire, told)) = self.link.take() {
                self.hand_on(now, wire, told);
            } else if self.projector.is_stale && !self.is_looking && self.watcher.wire.is_some() {
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
            Note::Saw(message, record) => {
                if let Ok(record) = RawRecord::parse(&record) {
                    self.projector.saw(&message, &record.record());
                }
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
