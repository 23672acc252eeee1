//! Any input: requests that no client would send, facts that no broker would write, bytes that
//! nobody encoded. Nothing panics, nothing takes long, and the state stays whole. Everything comes
//! from seeds; `FANLIGHT_FUZZ=100` runs a hundred times as many, `SEED=7` one alone.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Broker, Config, ConnId, Effect, Fact, Input, Op, PROTOCOL, QueuePolicy, RawRecord, Records,
    Request, Session, Tag, Target, Time,
};
use fanlight_tests::arbitrary::{Known, any};
use fanlight_tests::dice::Dice;
use fanlight_tests::run::{Run, Step, record, snapshot};
use fanlight_tests::shrink::{caught, failure, listing, shrink};
use fanlight_tests::workload::Workload;

const MAX: usize = 1 << 20;

/// The seeds to run: `SEED` alone if it is set, so many times `FANLIGHT_FUZZ` otherwise.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..count * number("FANLIGHT_FUZZ").unwrap_or(1),
    }
}

/// A workload in which every other request is arbitrary. Which requests were made, by their names.
fn requests(
    seed: u64,
    steps: &mut Vec<Step>,
    made: &mut BTreeSet<&'static str>,
) -> Result<(), String> {
    let (mut dice, mut known) = (Dice::new(seed ^ 0xf0f0), Known::default());
    let mut workload = Workload::new(seed);
    let mut run = Run::new(Workload::config(seed));
    for index in 0..120 {
        let due = run.broker().deadline().map(|(at, _)| at);
        let (at, mut input) = workload.next(due);
        if let Input::Request(_, Request { op, .. }) = &mut input
            && index > 25
            && dice.percent(50)
            && let Some(any) = (0..20).find_map(|_| any::<Op<'static>>(&mut dice, &known))
        {
            *op = any;
        }
        if let Input::Request(_, Request { op, .. }) = &input {
            made.insert(name(op));
        }
        let step = Step { at, input };
        steps.push(step.clone());
        let why = |why| format!("step {index}: {why}");
        let applied = run.apply(&step, |effect| {
            workload.hear(effect);
            if let Effect::Tell(_, event) = effect {
                known.hear(event);
            }
        });
        applied.map_err(why)?;
        if index % 40 == seed as usize % 40 || index == 119 {
            run.snapshot_is_whole().map_err(why)?;
            run.recovery_is_whole().map_err(why)?;
        }
    }
    Ok(())
}

/// The word that an op's debug output begins with.
fn name(op: &Op<'_>) -> &'static str {
    let shown = format!("{op:?}");
    let end = shown.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(shown.len());
    String::leak(shown[..end].into())
}

#[test]
fn no_sequence_of_requests_harms_the_broker() {
    let mut made = BTreeSet::new();
    for seed in seeds(600) {
        let mut steps = Vec::new();
        if let Err(why) = caught(|| requests(seed, &mut steps, &mut made)) {
            let config = Workload::config(seed);
            let short = shrink(&config, steps);
            let why = failure(&config, &short).unwrap_or(why);
            panic!(
                "seed {seed}: {why}\nthe shortest inputs that fail so, with {:?}:\n{}again: \
                 SEED={seed} cargo test -p fanlight-tests --test fuzz requests",
                config.limits,
                listing(&short)
            );
        }
    }
    println!("{} requests: {made:?}", made.len());
}

/// Facts, most of them out of a run, some arbitrary. How many were taken and how many refused.
fn facts(seed: u64, frames: &[Vec<u8>]) -> (usize, usize) {
    let (mut dice, known) = (Dice::new(seed ^ 0xfac7), Known::default());
    let mut broker = Broker::new(Config::default(), Time::ZERO);
    let (mut taken, mut refused) = (0, 0);
    let mut next = 0;
    for _ in 0..80 {
        let restored = if dice.percent(60) && next < frames.len() {
            let Ok(Frame::Fact(fact)) = codec::decode(&mut &frames[next][..], MAX) else {
                unreachable!("the frames are facts");
            };
            next += 1;
            broker.try_restore(fact)
        } else {
            match any::<Fact<'static>>(&mut dice, &known) {
                Some(fact) => broker.try_restore(fact),
                None => continue,
            }
        };
        match restored {
            Ok(()) => taken += 1,
            // A broker that refused a fact is not to be used any further.
            Err(_) => {
                refused += 1;
                broker = Broker::new(Config::default(), Time::ZERO);
                next = 0;
            }
        }
    }
    (taken, refused)
}

/// The facts of a run, a frame each.
fn frames(seed: u64) -> Vec<Vec<u8>> {
    let mut steps: Vec<Step> = Vec::new();
    record(seed, 120, &mut steps).expect("it runs");
    let mut broker = Broker::new(Config::default(), Time::ZERO);
    let mut frames = Vec::new();
    for Step { at, input } in steps {
        broker.apply(at, input, &mut |effect: Effect<'_>| {
            if let Effect::Fact(fact) = effect {
                let mut frame = Vec::new();
                codec::encode_fact(&fact, &mut frame);
                frames.push(frame);
            }
        });
    }
    frames
}

#[test]
fn no_sequence_of_facts_makes_recovery_panic_or_take_long() {
    let (mut taken, mut refused) = (0, 0);
    for seed in seeds(400) {
        let frames = frames(seed % 40);
        let begun = Instant::now();
        let (some, others) =
            caught(|| Ok(facts(seed, &frames))).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(5), "seed {seed} took {took:?}");
        taken += some;
        refused += others;
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 20 && refused > 20, "{taken} taken, {refused} refused");
}

/// Damages bytes here and there.
fn damaged(dice: &mut Dice, bytes: &mut Vec<u8>) {
    for _ in 0..dice.between(1, 4) {
        let at = dice.below(bytes.len() as u64 + 1) as usize;
        match dice.below(6) {
            0 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            1 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            2 => bytes.truncate(at),
            3 => bytes.extend((0..dice.below(9)).map(|_| dice.roll() as u8)),
            4 => {
                let from = dice.below(at as u64 + 1) as usize;
                let again = bytes[from..at].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.insert(at, *dice.pick(&[0, 1, 0x7f, 0x80, 0xff])),
        }
    }
}

#[test]
fn no_bytes_make_a_decoder_panic_or_take_long() {
    let frames: Vec<_> = (0..8).flat_map(frames).collect();
    for seed in seeds(20_000) {
        let mut dice = Dice::new(seed);
        let mut bytes = match dice.below(3) {
            0 => dice.pick(&frames).clone(),
            1 => frames[..frames.len().min(4)].concat(),
            _ => (0..dice.below(40)).map(|_| dice.roll() as u8).collect(),
        };
        damaged(&mut dice, &mut bytes);
        let decoded = caught(|| {
            let mut rest = &bytes[..];
            while let Ok(frame) = codec::decode(&mut rest, MAX) {
                let shown = format!("{frame:?}");
                assert!(!shown.is_empty(), "what was decoded can be shown");
            }
            drop(codec::decode_fact(&mut &bytes[..], MAX));
            for from in 0..bytes.len().min(12) {
                let _ = Records::parse(&bytes[from..]).map(|records| records.iter().count());
                drop(RawRecord::parse(&bytes[from..]));
            }
            Ok(())
        });
        decoded.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn no_damaged_snapshot_makes_loading_panic_or_take_long() {
    let mut whole = Vec::new();
    for seed in 0..8 {
        let mut run = Run::new(Workload::config(seed));
        let mut steps = Vec::new();
        record(seed, 160, &mut steps).expect("it runs");
        steps.iter().for_each(|step| run.apply(step, |_| {}).expect("it ran"));
        whole.push(snapshot(run.broker()));
    }
    let (mut loaded, mut refused) = (0, 0);
    for seed in seeds(3_000) {
        let mut dice = Dice::new(seed);
        let mut bytes = dice.pick(&whole).clone();
        damaged(&mut dice, &mut bytes);
        let begun = Instant::now();
        let load = || Ok(Broker::load(Config::default(), Time::ZERO, &bytes).is_ok());
        let ok = caught(load).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(begun.elapsed() < Duration::from_secs(5), "seed {seed} took long");
        if ok { loaded += 1 } else { refused += 1 }
    }
    println!("{loaded} loaded, {refused} refused");
}

/// The durable state after this batch was published to a queue.
fn published(records: Records<'_>) -> Vec<u8> {
    let mut broker = Broker::new(Config::default(), Time::ZERO);
    let conn = ConnId(1);
    let ask = |op| Input::Request(conn, Request { tag: Tag(1), op });
    let declare = Op::DeclareQueue { name: "q".into(), policy: QueuePolicy::default() };
    let session = Session { protocol: PROTOCOL, client: "any".into() };
    let publish = Op::publish(Target::Queue { name: "q".into() }, true, records);
    for input in [Input::Open(conn, session), ask(declare), ask(publish)] {
        broker.apply(Time::ZERO, input, &mut |_: Effect<'_>| {});
    }
    snapshot(&broker)
}

#[test]
fn a_batch_written_as_objects_counts_as_the_batch_that_its_bytes_are() {
    for seed in seeds(500) {
        let mut dice = Dice::new(seed);
        let Some(batch) = any::<Records<'static>>(&mut dice, &Known::default()) else { continue };
        let parsed = Records::parse(batch.as_bytes()).expect("what was made can be read");
        assert_eq!(published(parsed), published(batch.clone()), "seed {seed}");
    }
}
