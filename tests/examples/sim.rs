//! The simulation for as long as one likes, on seeds that the tests do not run:
//! `cargo run --release -p fanlight-tests --example sim -- --seconds 60 [--from SEED]`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fanlight_tests::run::record;
use fanlight_tests::shrink::caught;
use fanlight_tests::simulation::{Planted, run};

/// The number after a flag.
fn number(args: &[String], flag: &str, otherwise: u64) -> Result<u64, String> {
    let Some(at) = args.iter().position(|arg| arg == flag) else { return Ok(otherwise) };
    let value = args.get(at + 1).and_then(|value| value.parse().ok());
    value.ok_or_else(|| format!("{flag} is followed by a number"))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let (seconds, from) = match (number(&args, "--seconds", 60), number(&args, "--from", 100_000)) {
        (Ok(seconds), Ok(from)) => (seconds, from),
        (Err(why), _) | (_, Err(why)) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let begun = Instant::now();
    let (mut seed, mut failed) = (from, 0u64);
    let (mut crashes, mut published, mut facts) = (0, 0, 0);
    let mut reported = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        match caught(|| run(seed, Planted::Nothing)) {
            Ok(summary) => {
                crashes += summary.crashes;
                published += summary.published;
                facts += summary.facts;
            }
            Err(why) => {
                failed += 1;
                println!(
                    "seed {seed}: {why}\nagain: SEED={seed} cargo test -p fanlight-tests \
                     --test simulation crashes"
                );
            }
        }
        if let Err(why) = caught(|| record(seed, 160, &mut Vec::new())) {
            failed += 1;
            println!(
                "seed {seed}: {why}\nagain: SEED={seed} cargo test -p fanlight-tests \
                 --test workload random"
            );
        }
        seed += 1;
        if reported.elapsed() > Duration::from_secs(10) {
            reported = Instant::now();
            println!("{} s: seeds {from} to {seed}, {failed} failed", begun.elapsed().as_secs());
        }
    }
    let (runs, took) = (seed - from, begun.elapsed().as_secs_f64());
    println!(
        "seeds {from} to {}: {runs} simulations and {runs} workloads in {took:.0} s ({:.0} of each \
         a second), {crashes} crashes, {published} messages, {facts} facts kept; {failed} failed",
        seed - 1,
        runs as f64 / took
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
