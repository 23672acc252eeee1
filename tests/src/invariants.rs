//! What has to be true of every run of the simulation, each in a file of its own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an invariant looks at the moments that concern it, and a new kind is none of them"
)]

use std::collections::BTreeSet;

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, ConnId, Event, Fact, RedriveId, Request, Time};

use ledger::Ledger;
use policies::Policies;

mod accounting;
mod answers;
mod atomic;
mod attempts;
mod commits;
mod confirms;
mod delays;
mod deliveries;
pub(crate) mod draining;
mod duplicates;
mod durability;
mod expiries;
mod gaps;
mod handover;
mod keys;
mod lanes;
mod leases;
mod ledger;
mod losses;
mod offsets;
mod once;
mod order;
mod policies;
mod readers;
mod recovery;
mod redrives;
mod retention;
mod transactions;

/// Something that happened in the simulation, seen from above.
pub enum Moment<'m> {
    /// It is this time now, and something is about to happen.
    At(Time),
    /// A client asked.
    Asked(ConnId, &'m Request<'static>),
    /// The broker made a fact.
    Fact(&'m Fact<'m>),
    /// The broker decided on an event; it has not left yet.
    Decided(ConnId, &'m Event<'m>),
    /// An event reached its client: so many facts came before it, and so many are durable.
    Told { conn: ConnId, event: &'m Event<'m>, needs: usize, durable: usize },
    /// A connection ended.
    Gone(ConnId),
    /// Power failed, and the broker recovered: how many facts were durable, and the frames of
    /// those that were found.
    Recovered { durable: usize, history: &'m [Vec<u8>], broker: &'m Broker },
    /// Somebody looks at the state, between inputs.
    Looked(&'m Broker),
    /// Faults have been off for long enough that nothing should be left to do.
    Drained(&'m Broker),
}

/// Something that has to hold.
pub trait Invariant: Copied {
    /// What holds, in words.
    fn name(&self) -> &'static str;
    /// Takes note of a moment; what is wrong, if anything is. A fact is not in the books yet.
    fn see(&mut self, moment: &Moment<'_>, books: &Books) -> Result<(), String>;
}

/// What is watched on several ways into the future is watched by a copy on each.
pub trait Copied {
    /// The same, with what it knows so far.
    fn copied(&self) -> Box<dyn Invariant>;
}

impl<T: Invariant + Clone + 'static> Copied for T {
    fn copied(&self) -> Box<dyn Invariant> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Invariant> {
    fn clone(&self) -> Self {
        (**self).copied()
    }
}

/// What all of them know, by the facts alone.
#[derive(Clone, Default)]
pub struct Books {
    ledger: Ledger,
    policies: Policies,
    /// Jobs that redrive, and have not ended.
    jobs: BTreeSet<RedriveId>,
}

impl Books {
    fn learn(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::RedriveStarted { id, .. } = fact {
            self.jobs.insert(*id);
        } else if let Fact::RedriveEnded { id } = fact {
            self.jobs.remove(id);
        }
        self.policies.learn(fact);
        let learned = self.ledger.learn(fact);
        learned.map_err(|why| format!("the facts do not fit together: {why}"))
    }
}

/// All of them, and what they know together.
#[derive(Clone)]
pub struct Invariants {
    books: Books,
    all: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    /// Whether a job that redrives has not ended.
    pub fn is_redriving(&self) -> bool {
        !self.books.jobs.is_empty()
    }

    /// Shows a moment to every invariant.
    pub fn see(&mut self, moment: &Moment<'_>) -> Result<(), String> {
        if let Moment::Recovered { history, .. } = moment {
            self.books = Books::default();
            facts(history).try_for_each(|fact| self.books.learn(&fact))?;
        }
        for invariant in &mut self.all {
            let seen = invariant.see(moment, &self.books);
            seen.map_err(|why| format!("\"{}\" does not hold: {why}", invariant.name()))?;
        }
        if let Moment::Fact(fact) = moment {
            self.books.learn(fact)?;
        }
        Ok(())
    }
}

impl Default for Invariants {
    fn default() -> Invariants {
        let all: Vec<Box<dyn Invariant>> = vec![
            Box::new(durability::Durability),
            Box::new(confirms::Confirms::default()),
            Box::new(deliveries::Deliveries::default()),
            Box::new(offsets::Offsets::default()),
            Box::new(gaps::Gaps::default()),
            Box::new(readers::Owners::default()),
            Box::new(commits::Commits::default()),
            Box::new(leases::Leases::default()),
            Box::new(attempts::Attempts::default()),
            Box::new(order::Order::default()),
            Box::new(keys::Keys::default()),
            Box::new(lanes::Lanes),
            Box::new(delays::Delays::default()),
            Box::new(expiries::Expiries::default()),
            Box::new(losses::Losses::default()),
            Box::new(retention::Retention::default()),
            Box::new(accounting::Accounting),
            Box::new(recovery::Recovery::default()),
            Box::new(readers::Readers::default()),
            Box::new(atomic::Atomic::default()),
            Box::new(answers::Answers::default()),
            Box::new(transactions::Transactions::default()),
            Box::new(once::Once::default()),
            Box::new(duplicates::Duplicates::default()),
            Box::new(redrives::Redrives::default()),
            Box::new(handover::Handover::default()),
            Box::new(draining::Draining),
        ];
        Invariants { books: Books::default(), all }
    }
}

/// The facts of a history.
fn facts(history: &[Vec<u8>]) -> impl Iterator<Item = Fact<'_>> {
    history.iter().map(|frame| match codec::decode(&mut &frame[..], usize::MAX - 1) {
        Ok(Frame::Fact(fact)) => fact,
        other => unreachable!("a history holds facts, not {other:?}"),
    })
}
