//! The broker.
use crate::{DeadlineReason, Fact, Input, Limits, Sink, Time};
use alloc::string::String;
use alloc::vec::Vec;

/// What a broker is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where every arbitrary choice comes from.
    pub seed: u64,
    /// The bounds.
    pub limits: Limits,
}

/// The broker.
#[derive(Clone, Debug)]
pub struct Broker {}

/// An invariant that does not hold: a fault of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

impl Broker {
    /// An empty broker.
    pub fn new(_config: Config, _now: Time) -> Broker {
        Broker {}
    }
    /// Takes one input.
    pub fn apply(&mut self, _now: Time, _input: Input<'_>, _out: &mut impl Sink) {}
    /// When a `Tick` is due, and why.
    pub fn deadline(&self) -> Option<(Time, DeadlineReason)> {
        None
    }
    /// Makes a fact true.
    pub fn restore(&mut self, _fact: Fact<'_>) {}
    /// Appends a snapshot.
    pub fn snapshot(&self, _out: &mut Vec<u8>) {}
    /// Checks every invariant.
    pub fn check(&self) -> Result<(), Violation> {
        Ok(())
    }
}
