//! Thousands of random runs: no panic, every invariant after every input, every request answered
//! once, snapshots and recovery that lose nothing, and the same seed the same run.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;

use fanlight_tests::run::{Step, record};
use fanlight_tests::shrink::{caught, failure, kind, listing, shrink};
use fanlight_tests::workload::Workload;

const STEPS: usize = 160;

/// The seeds to run: `SEED` alone if it is set, so many otherwise.
fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

/// The failures of some seeds: the first seed of each kind, and how many more there were.
#[derive(Default)]
struct Failures(BTreeMap<String, (u64, Vec<Step>, usize)>);

impl Failures {
    fn run(&mut self, seed: u64) {
        let mut steps = Vec::new();
        if let Err(why) = caught(|| record(seed, STEPS, &mut steps)) {
            self.0.entry(kind(&why)).or_insert((seed, steps, 0)).2 += 1;
        }
    }

    fn report(self) -> String {
        let report = |(kind, (seed, steps, count)): (String, (u64, Vec<Step>, usize))| {
            let config = Workload::config(seed);
            let short = shrink(&config, steps);
            let why = failure(&config, &short).unwrap_or_else(|| format!("{kind}, but not again"));
            format!(
                "seed {seed} and {} more: {why}\nthe shortest inputs that fail so, with {:?}:\n\
                 {}again: SEED={seed} cargo test -p fanlight-tests --test workload\n\n",
                count - 1,
                config.limits,
                listing(&short)
            )
        };
        self.0.into_iter().map(report).collect()
    }
}

#[test]
fn random_runs_keep_every_invariant() {
    let mut failures = Failures::default();
    seeds(2_000).for_each(|seed| failures.run(seed));
    let report = failures.report();
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in seeds(50) {
        let first = record(seed, STEPS, &mut Vec::new()).expect("it runs");
        let second = record(seed, STEPS, &mut Vec::new()).expect("it runs");
        assert_eq!(first, second, "seed {seed}");
    }
    let (one, other) = (record(1, STEPS, &mut Vec::new()), record(2, STEPS, &mut Vec::new()));
    assert_ne!(one, other, "another seed gives another run");
}
