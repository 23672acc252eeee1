//! The simulation for as long as one likes, on seeds that the tests do not run; what fails is made
//! as short as it goes and written as a golden trace:
//! `cargo xtask sim --seconds 600`, or
//! `cargo run --release -p fanlight-tests --example sim -- --seconds 60 [--from SEED] [--threads N]
//! [--into DIR]`. `--trace FILE` plays such a trace again, under every invariant.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fanlight_core::Config;
use fanlight_tests::replay::{Happened, replay, shortest};
use fanlight_tests::run::{Step, record, verify};
use fanlight_tests::shrink::{caught, failure, shrink};
use fanlight_tests::simulation::{self, Planted, Summary};
use fanlight_tests::trace;
use fanlight_tests::workload::Workload;

/// Inputs of one workload.
const STEPS: usize = 160;
/// One seed of so many is run twice, to see that it is the same again.
const TWICE_EVERY: u64 = 16;

/// The word after a flag.
fn after<'a>(args: &'a [String], flag: &str) -> Option<&'a String> {
    args.get(args.iter().position(|arg| arg == flag)? + 1)
}

/// The number after a flag.
fn number(args: &[String], flag: &str, otherwise: u64) -> Result<u64, String> {
    let Some(value) = after(args, flag) else { return Ok(otherwise) };
    value.parse().map_err(|_| format!("{flag} is followed by a number"))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let done = match after(&args, "--trace") {
        Some(file) => again(Path::new(file)),
        None => long(&args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Plays a trace; whether nothing is wrong with it.
fn again(file: &Path) -> Result<bool, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let (config, what) = trace::happened(&text);
    let wrong = caught(|| replay(&config, &what)).and_then(|()| {
        let inputs: Option<Vec<Step>> = what.iter().map(step).collect();
        inputs.map_or(Ok(()), |steps| caught(|| verify(&config, &steps, true)))
    });
    match &wrong {
        Ok(()) => println!("{} inputs, nothing is wrong", what.len()),
        Err(why) => println!("{} inputs: {why}", what.len()),
    }
    Ok(wrong.is_ok())
}

fn step(happened: &Happened) -> Option<Step> {
    match happened {
        Happened::Input(at, input) => Some(Step { at: *at, input: input.clone() }),
        Happened::Restart { .. } => None,
    }
}

/// What all threads did.
struct Done {
    next: AtomicU64,
    failed: AtomicU64,
    sum: Mutex<Summary>,
    into: PathBuf,
}

fn long(args: &[String]) -> Result<bool, String> {
    let (seconds, from) = (number(args, "--seconds", 60)?, number(args, "--from", 100_000)?);
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = number(args, "--threads", cores)?.max(1);
    let into = after(args, "--into").map_or_else(|| PathBuf::from("target/sim"), PathBuf::from);
    let (next, failed) = (AtomicU64::new(from), AtomicU64::new(0));
    let done = Done { next, failed, sum: Mutex::default(), into };
    let begun = Instant::now();
    let time = Duration::from_secs(seconds);
    println!("seeds from {from} on, {threads} at a time, for {seconds} s");
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while begun.elapsed() < time {
                    done.seed(done.next.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
        let mut reported = Instant::now();
        while begun.elapsed() < time {
            thread::sleep(Duration::from_millis(50));
            if reported.elapsed() > Duration::from_secs(10) {
                reported = Instant::now();
                let (seed, failed) = (&done.next, done.failed.load(Ordering::Relaxed));
                let (so_far, seed) = (begun.elapsed().as_secs(), seed.load(Ordering::Relaxed));
                println!("{so_far} s: seeds {from} to {seed}, {failed} failed");
            }
        }
    });
    let (took, last) = (begun.elapsed().as_secs_f64(), done.next.load(Ordering::Relaxed));
    let (runs, failed) = (last - from, done.failed.load(Ordering::Relaxed));
    let sum = done.sum.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "seeds {from} to {}: {runs} simulations and {runs} workloads in {took:.0} s ({:.0} of each \
         a second), {} crashes, {} messages, {} facts kept; {failed} failed",
        last.saturating_sub(1),
        runs as f64 / took,
        sum.crashes,
        sum.published,
        sum.facts
    );
    Ok(failed == 0)
}

impl Done {
    fn seed(&self, seed: u64) {
        match caught(|| simulation::run(seed, Planted::Nothing)) {
            Ok(summary) => {
                let again = || caught(|| simulation::run(seed, Planted::Nothing));
                if seed.is_multiple_of(TWICE_EVERY) && again() != Ok(summary) {
                    self.fail(seed, "the same seed gives another run", None);
                }
                let mut sum = self.sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum.crashes += summary.crashes;
                sum.published += summary.published;
                sum.facts += summary.facts;
            }
            Err(why) => self.simulation_failed(seed, &why),
        }
        let mut steps = Vec::new();
        if let Err(why) = caught(|| record(seed, STEPS, &mut steps)) {
            let config = Workload::config(seed);
            let short = shrink(&config, steps);
            let why = failure(&config, &short).unwrap_or(why);
            let what = short.into_iter().map(|step| Happened::Input(step.at, step.input));
            self.fail(seed, &why, Some((config, what.collect(), "workload")));
        }
    }

    fn simulation_failed(&self, seed: u64, why: &str) {
        let mut happened = Vec::new();
        drop(caught(|| simulation::run_written(seed, &mut happened)));
        let config = simulation::config(seed);
        match shortest(&config, happened) {
            Some((short, why)) => self.fail(seed, &why, Some((config, short, "simulation"))),
            None => self.fail(seed, why, None),
        }
    }

    /// Says what failed, and how to see it again.
    fn fail(&self, seed: u64, why: &str, short: Option<(Config, Vec<Happened>, &str)>) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        println!("seed {seed}: {why}");
        let Some((config, what, by)) = short else {
            let test = "cargo test -p fanlight-tests --test simulation crashes";
            println!("replayed without its disk it does not fail; again: SEED={seed} {test}");
            return;
        };
        let about = format!("Found by the {by}, seed {seed}: {why}");
        let file = self.into.join(format!("{by}-{seed}.trace"));
        let text = trace::written(&config, &what, &about);
        let kept = std::fs::create_dir_all(&self.into).and_then(|()| std::fs::write(&file, text));
        match kept {
            Ok(()) => println!(
                "{} inputs show it; again: cargo xtask sim --trace {}",
                what.len(),
                file.display()
            ),
            Err(error) => println!("{} cannot be written: {error}", file.display()),
        }
    }
}
