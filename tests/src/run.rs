//! A broker under a sequence of inputs, watched at every step.

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Broker, Config, Effect, Input, Time};

use crate::answers::Answers;
use crate::digest::Digest;
use crate::workload::Workload;

/// One input and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Time,
    /// What.
    pub input: Input<'static>,
}

/// A broker, what it was given and what came out.
pub struct Run {
    config: Config,
    broker: Broker,
    answers: Answers,
    digest: Digest,
    facts: Vec<u8>,
}

impl Run {
    /// A run that begins with an empty broker at time zero.
    pub fn new(config: Config) -> Run {
        Run {
            broker: Broker::new(config.clone(), Time::ZERO),
            config,
            answers: Answers::default(),
            digest: Digest::default(),
            facts: Vec::new(),
        }
    }

    /// The broker.
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Everything that came out so far, as a number.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The facts that came out so far, as frames.
    pub fn facts(&self) -> &[u8] {
        &self.facts
    }

    /// Applies one step; `hear` gets each effect. What is wrong, if anything is.
    pub fn apply(&mut self, step: &Step, mut hear: impl FnMut(&Effect<'_>)) -> Result<(), String> {
        self.answers.ask(&step.input);
        let (answers, digest, facts) = (&mut self.answers, &mut self.digest, &mut self.facts);
        let mut wrong = Ok(());
        let mut frame = Vec::new();
        self.broker.apply(step.at, step.input.clone(), &mut |effect: Effect<'_>| {
            frame.clear();
            codec::encode_effect(&effect, &mut frame);
            digest.add(&frame);
            if let Effect::Fact(fact) = &effect {
                codec::encode_fact(fact, facts);
            }
            if wrong.is_ok() {
                wrong = answers.hear(&effect);
            }
            hear(&effect);
        });
        wrong?;
        self.answers.settled(&step.input)?;
        self.broker.check().map_err(|violation| violation.to_string())?;
        if self.broker.deadline().is_none() && self.answers.waiting() > 0 {
            return Err("a request waits, and nothing is due that would end it".into());
        }
        Ok(())
    }

    /// Whether the snapshot, loaded, gives the same snapshot again.
    pub fn snapshot_is_whole(&self) -> Result<(), String> {
        let before = snapshot(&self.broker);
        let loaded = Broker::load(self.config.clone(), self.broker.now(), &before)
            .map_err(|error| format!("the snapshot does not load: {error}"))?;
        loaded.check().map_err(|violation| format!("loaded from a snapshot: {violation}"))?;
        let after = snapshot(&loaded);
        if before == after {
            return Ok(());
        }
        Err(format!("snapshot, then load, gives another:\n{}", first_difference(&before, &after)))
    }

    /// Whether the facts so far, replayed into a new broker, give the durable state of this one.
    pub fn recovery_is_whole(&self) -> Result<(), String> {
        let mut recovered = Broker::new(self.config.clone(), self.broker.now());
        let mut rest = &self.facts[..];
        while !rest.is_empty() {
            match codec::decode(&mut rest, usize::MAX - 1) {
                Ok(Frame::Fact(fact)) => recovered.restore(fact),
                other => return Err(format!("a fact was written that reads as {other:?}")),
            }
        }
        recovered.check().map_err(|violation| format!("recovered: {violation}"))?;
        let (live, recovered) = (snapshot(&self.broker), snapshot(&recovered));
        if live == recovered {
            return Ok(());
        }
        Err(format!(
            "recovery from the facts gives another state:\n{}",
            first_difference(&live, &recovered)
        ))
    }
}

/// What a run has to keep over all of its steps; whole states are compared after each when
/// `thorough`, at the end otherwise.
pub fn verify(config: &Config, steps: &[Step], thorough: bool) -> Result<(), String> {
    let mut run = Run::new(config.clone());
    for (index, step) in steps.iter().enumerate() {
        let at = |why| format!("step {index}: {why}");
        run.apply(step, |_| {}).map_err(at)?;
        if thorough || index + 1 == steps.len() {
            run.snapshot_is_whole().map_err(at)?;
            run.recovery_is_whole().map_err(at)?;
        }
    }
    Ok(())
}

/// Runs the workload of a seed for so many steps, into `steps`, so that the inputs are there even
/// if a step panics. The digest of everything that came out.
pub fn record(seed: u64, count: usize, steps: &mut Vec<Step>) -> Result<Digest, String> {
    let mut workload = Workload::new(seed);
    let mut run = Run::new(Workload::config(seed));
    for index in 0..count {
        let due = run.broker().deadline().map(|(at, _)| at);
        let (at, input) = workload.next(due);
        let step = Step { at, input };
        steps.push(step.clone());
        let why = |why| format!("step {index}: {why}");
        run.apply(&step, |effect| workload.hear(effect)).map_err(why)?;
        if index % 16 == seed as usize % 16 || index + 1 == count {
            run.snapshot_is_whole().map_err(why)?;
            run.recovery_is_whole().map_err(why)?;
        }
    }
    Ok(run.digest())
}

/// A broker's durable state.
pub fn snapshot(broker: &Broker) -> Vec<u8> {
    let mut bytes = Vec::new();
    broker.snapshot(&mut bytes);
    bytes
}

/// The first facts in which two snapshots differ, for people.
pub fn first_difference(left: &[u8], right: &[u8]) -> String {
    let (mut left, mut right) = (&left[6..], &right[6..]);
    loop {
        let a = codec::decode(&mut left, usize::MAX - 1);
        let b = codec::decode(&mut right, usize::MAX - 1);
        if a != b {
            return format!("  one:   {a:?}\n  other: {b:?}");
        }
        if a.is_err() {
            return "  no fact differs".into();
        }
    }
}
