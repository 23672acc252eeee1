//! Bugs in the broker, switched on one at a time: each has to be caught by the check that is there
//! for it, within a few seeds, and the same seeds have to pass without it. (Bugs of a driver are
//! planted in `simulation.rs`.) Run it with `--features planted`; nothing else is built so.
#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;

use fanlight_core::planted::{Planted, plant};
use fanlight_tests::replay::{Happened, replay, shortest};
use fanlight_tests::run::record;
use fanlight_tests::shrink::caught;
use fanlight_tests::{simulation, trace};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

#[path = "model/machine.rs"]
mod machine;

/// Who catches a bug, and a part of what is said then.
enum By {
    /// The simulation, by this invariant.
    Simulation(&'static str),
    /// The random workload, by this check.
    Workload(&'static str),
    /// The model of sorted maps.
    Model,
    /// This golden trace.
    Trace(&'static str),
}

const SEEDS: u64 = 200;

/// Does something with a bug switched on; how it failed, if it did.
fn with(bug: Option<Planted>, work: impl FnOnce() -> Result<(), String>) -> Option<String> {
    plant(bug);
    let failed = caught(work).err();
    plant(None);
    failed
}

/// Looks for a seed that shows the bug; without the bug that seed has to pass.
fn by_seed(bug: Planted, words: &str, run: impl Fn(u64) -> Result<(), String>) {
    let seeds = 0..SEEDS;
    let found = seeds.into_iter().find_map(|seed| Some((seed, with(Some(bug), || run(seed))?)));
    let (seed, why) = found.unwrap_or_else(|| panic!("{bug:?} was not caught"));
    assert!(why.contains(words), "{bug:?} was caught by another: {why}");
    assert_eq!(with(None, || run(seed)), None, "seed {seed} without the bug");
}

/// The model's test with its choices from a seed.
fn model(seed: u64) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config.clone(), rng);
    let acts = machine::Reference::sequential_strategy(1..60);
    for _ in 0..20 {
        let (model, acts, _) = acts.new_tree(&mut runner).map_err(|why| why.to_string())?.current();
        machine::System::test_sequential(config.clone(), model, acts, None);
    }
    Ok(())
}

fn golden(name: &str) -> Result<(), String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces").join(name);
    let text = std::fs::read_to_string(file.with_extension("trace")).expect("it is there");
    let played = trace::play(&text)?;
    if text == played { Ok(()) } else { Err(format!("{name} is not what happens")) }
}

fn is_caught(bug: Planted, by: By) {
    match by {
        By::Simulation(words) => by_seed(bug, words, |seed| {
            simulation::run(seed, simulation::Planted::Nothing).map(drop)
        }),
        By::Workload(words) => {
            by_seed(bug, words, |seed| record(seed, 160, &mut Vec::new()).map(drop));
        }
        By::Model => by_seed(bug, "assertion", model),
        By::Trace(name) => {
            let why = with(Some(bug), || golden(name));
            assert!(why.is_some(), "{bug:?} does not show in {name}");
            assert_eq!(with(None, || golden(name)), None, "without the bug");
        }
    }
}

#[test]
fn a_failure_is_shrunk_to_a_trace_that_shows_it_again() {
    let bug = Some(Planted::ExpiryCountsNoAttempt);
    let (mut what, config) = (Vec::new(), simulation::config(1));
    let failed = with(bug, || simulation::run_written(1, &mut what).map(drop));
    assert!(failed.is_some(), "seed 1 shows the bug");
    let long = what.len();
    plant(bug);
    let found = shortest(&config, what);
    let (short, why) = found.expect("it shows without the disk, too");
    let text = trace::written(&config, &short, &why);
    plant(None);
    assert!(
        short.len() < 16 && long > 3 * short.len(),
        "{} of {long} inputs are left",
        short.len()
    );
    let (config, again) = trace::happened(&text);
    let inputs = |what: &[Happened]| what.len();
    assert_eq!(inputs(&again), inputs(&short), "{text}");
    let shown = with(bug, || replay(&config, &again));
    assert!(shown.is_some_and(|why| why.contains("attempts never pass")), "{text}");
    assert_eq!(with(None, || replay(&config, &again)), None, "without the bug: {text}");
}

macro_rules! planted {
    ($($test:ident: $bug:ident by $by:expr;)*) => {
        const TESTED: &[Planted] = &[$(Planted::$bug),*];
        $(
            #[test]
            fn $test() {
                is_caught(Planted::$bug, $by);
            }
        )*
        /// Does not compile when a bug has no test.
        #[test]
        fn every_bug_is_planted_once() {
            for (index, bug) in TESTED.iter().enumerate() {
                match bug { $(Planted::$bug => {})* }
                assert!(!TESTED[..index].contains(bug), "{bug:?} twice");
            }
            assert!(TESTED.len() >= 12, "{} bugs", TESTED.len());
        }
    };
}

planted! {
    a_duplicate_that_is_stored: DuplicateIsStored by By::Simulation("sequence");
    a_message_of_a_transaction_that_is_ready: HeldIsReady
        by By::Simulation("what is not committed is handed out to nobody");
    an_abort_that_is_not_hidden: AbortIsNotHidden
        by By::Simulation("what is not committed is handed out to nobody");
    a_partition_that_is_read_while_a_zombie_commits: UnstableIsRead
        by By::Simulation("what is read is copied once");
    an_expiry_that_counts_no_attempt: ExpiryCountsNoAttempt by By::Simulation("attempts never pass");
    a_snapshot_that_forgets_delays: SnapshotForgetsDelays
        by By::Workload("gives another");
    a_life_with_the_number_of_the_last: EpochStays by By::Trace("attempts-survive-a-restart");
    commits_that_are_not_fenced: CommitsAreNotFenced by By::Simulation("commits");
    a_poll_that_skips_a_record: PollSkipsARecord by By::Workload("a position beyond the end");
    a_resume_that_skips_a_record: ResumeSkipsARecord by By::Model;
    a_partition_that_goes_to_all: PartitionGoesToAll by By::Simulation("one reader at a time");
    a_confirm_before_its_fact: ConfirmBeforeFact by By::Simulation("no confirmed message is lost");
    a_fan_out_that_is_torn: FanOutIsTorn by By::Simulation("all of its logs or in none");
    a_full_queue_that_takes_more: QueueFullIsIgnored by By::Trace("a-full-queue-refuses-a-publish");
    a_timer_that_outlives_its_message: TimersAreNotStopped by By::Workload("timers run");
    a_partition_given_on_while_it_is_read: NothingIsGivenUpFirst
        by By::Simulation("what moves is given up first");
    a_message_that_is_too_old_and_goes_out: AgeIsNotLookedAt
        by By::Simulation("nothing is handed out after its expiry");
    a_message_that_overtakes_its_group: LanesAreNotKept
        by By::Simulation("a message group is worked in its order");
    a_message_that_is_forgotten_too_soon: WindowIsHalf
        by By::Simulation("one offset per deduplicated publish");
    what_a_snapshot_forgets_of_what_came: MemoryIsNotPutBack
        by By::Simulation("one offset per deduplicated publish");
    retention_that_passes_an_open_transaction: RetentionPassesStable
        by By::Simulation("a record goes only by its topic's policy");
    compaction_that_drops_the_newest: CompactionDropsTheNewest
        by By::Simulation("a record goes only by its topic's policy");
    a_delay_that_is_ignored: FirstDelayIsIgnored
        by By::Simulation("nothing is handed out before its delay ends");
    a_priority_that_is_ignored: PriorityIsIgnored by By::Trace("urgent-messages-go-first");
    a_redriving_job_that_counts_twice: RedriveCountsTwice
        by By::Simulation("a redriving job counts what it moves");
    a_single_active_consumer_that_is_not: ActiveIsNotSingle by By::Trace("only-one-consumer-is-active");
    a_message_that_moves_and_stays: MovedStaysToo by By::Simulation("ready, leased and delayed");
    a_sync_that_is_answered_before_the_leaders: SyncedBeforeTheLeader
        by By::Trace("members-bring-proposals-and-a-leader-assigns");
    a_commit_of_an_old_generation: OldGenerationCommits
        by By::Trace("a-member-that-comes-makes-the-others-join-again");
    a_leader_that_misses_a_member: LeaderMissesAMember
        by By::Trace("members-bring-proposals-and-a-leader-assigns");
    a_return_that_keeps_the_position: ReturnKeepsThePosition
        by By::Trace("a-static-member-comes-back-to-what-it-had");
    offsets_that_expire_by_age_alone: OffsetsExpireByAgeAlone
        by By::Trace("offsets-of-a-group-without-members-expire");
}
