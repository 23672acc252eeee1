//! One line a seed: the seed, and the digest of every effect of its run.

use std::fmt::Write;

use crate::run::Run;
use crate::run::Step;
use crate::workload::Workload;

/// How many seeds are compared between targets.
pub const SEEDS: u64 = 1_200;
/// How many inputs each seed's run has.
const STEPS: usize = 120;

/// The line of one seed, without a line's end.
pub fn line(seed: u64) -> String {
    let mut workload = Workload::new(seed);
    let mut run = Run::new(Workload::config(seed));
    for _ in 0..STEPS {
        let due = run.broker().deadline().map(|(at, _)| at);
        let (at, input) = workload.next(due);
        // Whether the run is right is for the workload's test to say; here only if it is the same.
        drop(run.apply(&Step { at, input }, |effect| workload.hear(effect)));
    }
    format!("{seed} {}", run.digest())
}

/// The lines of all seeds.
pub fn lines() -> String {
    let mut lines = String::new();
    for seed in 0..SEEDS {
        writeln!(lines, "{}", line(seed)).expect("writing to a String cannot fail");
    }
    lines
}

/// Which seeds' lines differ, or are missing on one side.
pub fn differing(left: &str, right: &str) -> Vec<String> {
    let (mut left, mut right) = (left.lines(), right.lines());
    let mut differing = Vec::new();
    loop {
        match (left.next(), right.next()) {
            (None, None) => return differing,
            (one, other) if one == other => {}
            (one, other) => differing.push(format!(
                "{} here, {} there",
                one.unwrap_or("nothing"),
                other.unwrap_or("nothing")
            )),
        }
    }
}
