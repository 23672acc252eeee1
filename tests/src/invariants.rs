//! What has to be true of every run of the simulation, each in a file of its own.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an invariant looks at the moments that concern it, and a new kind is none of them"
)]

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, ConnId, Event, Fact, Request};

mod accounting;
mod answers;
mod atomic;
mod attempts;
mod commits;
mod confirms;
mod delays;
mod deliveries;
pub(crate) mod draining;
mod durability;
mod handover;
mod leases;
mod ledger;
mod offsets;
mod once;
mod order;
mod readers;
mod recovery;
mod transactions;

/// Something that happened in the simulation, seen from above.
pub enum Moment<'m> {
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
    /// Takes note of a moment; what is wrong, if anything is.
    fn see(&mut self, moment: &Moment<'_>) -> Result<(), String>;
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

/// Shows a moment to every invariant.
pub fn see(invariants: &mut [Box<dyn Invariant>], moment: &Moment<'_>) -> Result<(), String> {
    for invariant in invariants {
        let seen = invariant.see(moment);
        seen.map_err(|why| format!("\"{}\" does not hold: {why}", invariant.name()))?;
    }
    Ok(())
}

/// All of them.
pub fn all() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(durability::Durability),
        Box::new(confirms::Confirms::default()),
        Box::new(deliveries::Deliveries::default()),
        Box::new(offsets::Offsets::default()),
        Box::new(commits::Commits::default()),
        Box::new(leases::Leases::default()),
        Box::new(attempts::Attempts::default()),
        Box::new(order::Order::default()),
        Box::new(delays::Delays::default()),
        Box::new(accounting::Accounting::default()),
        Box::new(recovery::Recovery::default()),
        Box::new(readers::Readers::default()),
        Box::new(readers::Owners::default()),
        Box::new(atomic::Atomic::default()),
        Box::new(answers::Answers::default()),
        Box::new(transactions::Transactions::default()),
        Box::new(once::Once::default()),
        Box::new(handover::Handover::default()),
        Box::new(draining::Draining),
    ]
}

/// The facts of a history.
fn facts(history: &[Vec<u8>]) -> impl Iterator<Item = Fact<'_>> {
    history.iter().map(|frame| match codec::decode(&mut &frame[..], usize::MAX - 1) {
        Ok(Frame::Fact(fact)) => fact,
        other => unreachable!("a history holds facts, not {other:?}"),
    })
}
