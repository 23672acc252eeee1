//! A run on the broker in the page: a pure function of its seed and of the user's acts with their
//! times, however it is cut into frames, paused, stepped, or run again.

use std::collections::VecDeque;
use std::rc::Rc;

use fanlight_core::{Span, Time};

use super::act::{Act, Script};
use super::flow::Flow;
use super::orders::{self, Order};
use crate::link::PageLink;
use crate::picture::Tally;

/// Runs kept to go back to.
const KEPT_MAX: usize = 8;
/// How far apart they are at first; twice as far whenever there are too many.
const KEEP_EVERY: Span = Span::from_secs(10);
/// Instants that one step passes over at most before it gives up: nothing happens any more.
const STEP_INSTANTS_MAX: usize = 20_000;
/// What one instant may bring about; more is a fault of an actor that never lets time go on.
const WAKES_PER_INSTANT_MAX: usize = 10_000;
/// A script longer than this is not run: it would hold the page up.
pub(crate) const RUN_MAX: Span = Span::from_secs(6 * 60 * 60);

/// A run at one of its instants.
#[derive(Clone)]
struct Run {
    flow: Flow<PageLink>,
    now: Time,
    /// How many of the acts have been done.
    acts_done: usize,
}

/// The run in the page, with its past.
pub(crate) struct Page {
    seed: u64,
    orders: Rc<[Order]>,
    run: Run,
    acts: Vec<(Time, Act)>,
    /// Runs to go back to, by their time; they may lie ahead of where the run stands.
    kept: Vec<Run>,
    keep_every: Span,
    /// What is known of the time that was gone back over, and how far it went.
    ahead: VecDeque<Tally>,
    reached: Time,
}

impl Page {
    /// The run of a seed, at its beginning: everyone is on the way to the broker.
    pub(crate) fn new(seed: u64) -> Page {
        let orders: Rc<[Order]> = orders::sample().into();
        Page {
            seed,
            run: begin(seed, &orders),
            orders,
            acts: Vec::new(),
            kept: Vec::new(),
            keep_every: KEEP_EVERY,
            ahead: VecDeque::new(),
            reached: Time::ZERO,
        }
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    pub(crate) fn now(&self) -> Time {
        self.run.now
    }

    /// The furthest that the run was taken, where it was gone back from.
    pub(crate) fn reached(&self) -> Time {
        self.reached.max(self.run.now)
    }

    /// The run second by second, as far as it was taken.
    pub(crate) fn tallies(&self) -> &VecDeque<Tally> {
        if self.run.now < self.reached { &self.ahead } else { &self.run.flow.picture().tallies }
    }

    pub(crate) fn flow(&self) -> &Flow<PageLink> {
        &self.run.flow
    }

    pub(crate) fn flow_mut(&mut self) -> &mut Flow<PageLink> {
        &mut self.run.flow
    }

    /// Runs on to an instant.
    pub(crate) fn run_to(&mut self, to: Time) {
        self.pass(to);
        self.run.flow.settle(self.run.now);
    }

    fn pass(&mut self, to: Time) {
        let mut wakes = 0;
        loop {
            let due = self.run.flow.deadline().filter(|at| *at <= to);
            let act = self.acts.get(self.run.acts_done).filter(|(at, _)| *at <= to);
            let at = match (due, act) {
                (Some(due), None) => due,
                (Some(due), Some((at, _))) if due <= *at => due,
                (_, Some((at, act))) => {
                    self.run.now = self.run.now.max(*at);
                    self.run.acts_done += 1;
                    // It was accepted when the user did it; where a run differs it may not be.
                    let _ = self.run.flow.act(self.run.now, act);
                    continue;
                }
                (None, None) => break,
            };
            wakes = if at > self.run.now { 0 } else { wakes + 1 };
            assert!(wakes < WAKES_PER_INSTANT_MAX, "time stands still at {}", self.run.now);
            self.keep(at);
            self.run.now = self.run.now.max(at);
            self.run.flow.wake(self.run.now);
        }
        self.run.now = self.run.now.max(to);
    }

    /// Keeps the run as it is before `next`, if it is time to.
    fn keep(&mut self, next: Time) {
        let last = self.kept.last().map_or(Time::ZERO, |run| run.now);
        if next <= self.run.now || self.run.now.since(last) < self.keep_every {
            return;
        }
        self.kept.push(self.run.clone());
        if self.kept.len() > KEPT_MAX {
            let mut nth = 0;
            self.kept.retain(|_| {
                nth += 1;
                nth % 2 == 0
            });
            self.keep_every = Span(self.keep_every.0 * 2);
        }
    }

    /// Runs on to the next instant at which something happens that the log tells of.
    pub(crate) fn step(&mut self) {
        let before = self.run.flow.lines();
        for _ in 0..STEP_INSTANTS_MAX {
            let act = self.acts.get(self.run.acts_done).map(|(at, _)| *at);
            let Some(next) = self.run.flow.deadline().into_iter().chain(act).min() else { break };
            self.pass(next.max(self.run.now));
            if self.run.flow.lines() != before {
                break;
            }
        }
        self.run.flow.settle(self.run.now);
    }

    /// Goes to an instant, back or forth.
    pub(crate) fn seek(&mut self, to: Time) {
        if to < self.run.now && self.run.now >= self.reached {
            self.reached = self.run.now;
            self.ahead.clone_from(&self.run.flow.picture().tallies);
        }
        let kept = self.kept.iter().rev().find(|run| run.now <= to);
        if let Some(run) = kept.filter(|run| to < self.run.now || run.now > self.run.now) {
            self.run = run.clone();
        } else if to < self.run.now {
            self.run = begin(self.seed, &self.orders);
        }
        self.run_to(to);
        // What was said when it happened is not said again.
        self.run.flow.notices.clear();
    }

    /// Does something now. What was done later, in a future that was left, is forgotten.
    pub(crate) fn act(&mut self, act: Act) -> Result<(), String> {
        self.run.flow.act(self.run.now, &act)?;
        self.acts.truncate(self.run.acts_done);
        self.kept.retain(|run| run.now <= self.run.now);
        self.reached = self.run.now;
        self.acts.push((self.run.now, act));
        self.run.acts_done += 1;
        self.run_to(self.run.now);
        Ok(())
    }

    pub(crate) fn script(&self) -> Script {
        Script {
            version: Script::VERSION,
            seed: self.seed,
            acts: self.acts.clone(),
            until: self.run.now,
        }
    }

    /// The run of a script, at the script's end.
    pub(crate) fn from_script(script: &Script) -> Result<Page, String> {
        if script.version == 0 || script.version > Script::VERSION {
            return Err(format!(
                "the run is of format {}, and this page reads 1 to {}: a newer playground wrote it",
                script.version,
                Script::VERSION
            ));
        }
        if script.until > Time::ZERO + RUN_MAX {
            return Err(format!(
                "the run goes on for {}; at most {RUN_MAX} can be run again",
                script.until
            ));
        }
        if !script.acts.is_sorted_by_key(|(at, _)| *at) {
            return Err("the run's acts are not in the order of their times".to_owned());
        }
        let mut page = Page::new(script.seed);
        page.acts.clone_from(&script.acts);
        page.seek(script.until);
        Ok(page)
    }
}

fn begin(seed: u64, orders: &Rc<[Order]>) -> Run {
    let mut flow = Flow::new(PageLink::new(seed), seed, orders.clone());
    flow.connect(Time::ZERO);
    flow.declare(Time::ZERO);
    flow.start_all(Time::ZERO);
    flow.settle(Time::ZERO);
    Run { flow, now: Time::ZERO, acts_done: 0 }
}
