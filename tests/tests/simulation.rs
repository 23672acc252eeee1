//! The simulation: safety under crashes, then liveness when they stop; and driver bugs, planted on
//! purpose, each of which has to be caught.
#![cfg(not(target_arch = "wasm32"))]

use fanlight_tests::shrink::caught;
use fanlight_tests::simulation::{Planted, Summary, run};

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

fn again(seed: u64) -> String {
    format!("again: SEED={seed} cargo test -p fanlight-tests --test simulation crashes")
}

#[test]
fn crashes_lose_nothing_that_was_confirmed() {
    let mut sum = Summary::default();
    for seed in seeds(150) {
        let summary = caught(|| run(seed, Planted::Nothing));
        let summary = summary.unwrap_or_else(|why| panic!("seed {seed}: {why}\n{}", again(seed)));
        sum.crashes += summary.crashes;
        sum.published += summary.published;
        sum.told += summary.told;
    }
    println!("{sum:?}");
    assert!(sum.published > 100 && sum.told > 100, "a simulation in which something happens");
    assert!(sum.crashes > 0, "a simulation in which power fails: {sum:?}");
}

#[test]
fn the_same_seed_gives_the_same_simulation() {
    for seed in seeds(20) {
        let first = run(seed, Planted::Nothing).expect("it runs");
        assert_eq!(first, run(seed, Planted::Nothing).expect("it runs"), "seed {seed}");
    }
}

/// How a planted bug is caught, within so many seeds.
fn caught_by(planted: Planted) -> String {
    let found = (0..60).find_map(|seed| caught(|| run(seed, planted)).err());
    found.unwrap_or_else(|| panic!("{planted:?} was not caught"))
}

#[test]
fn telling_before_facts_are_durable_is_caught() {
    let why = caught_by(Planted::TellBeforeDurable);
    assert!(why.contains("no event before its facts are durable"), "{why}");
}

#[test]
fn a_synced_fact_that_recovery_drops_is_caught() {
    let why = caught_by(Planted::DropSyncedFact);
    assert!(why.contains("recovery") || why.contains("is lost"), "{why}");
}

#[test]
fn a_fact_that_recovery_replays_twice_is_caught() {
    let why = caught_by(Planted::ReplayTwice);
    assert!(why.contains("recovery") || why.contains("does not hold"), "{why}");
}

#[test]
fn an_event_that_is_told_twice_is_caught() {
    let why = caught_by(Planted::TellTwice);
    assert!(why.contains("second time") || why.contains("answered once"), "{why}");
}

#[test]
fn an_event_that_is_lost_is_caught() {
    let why = caught_by(Planted::LoseEvent);
    assert!(why.contains("answered once") || why.contains("drains"), "{why}");
}

#[test]
fn a_snapshot_that_recovery_forgets_is_caught() {
    let why = caught_by(Planted::ForgetSnapshot);
    assert!(why.contains("recovery") || why.contains("does not hold"), "{why}");
}

#[test]
fn a_sync_that_does_not_sync_is_caught() {
    let why = caught_by(Planted::SyncTooLittle);
    assert!(why.contains("is lost") || why.contains("were durable"), "{why}");
}
