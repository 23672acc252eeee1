//! A broker whose batches lie elsewhere decides as one that holds them all: the same inputs, the
//! same effects, and snapshots that say the same.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fanlight_core::codec::{self, Frame};
use fanlight_core::{Append, Broker, Effect, Fact, Home, Homes, Place, Records, Stored, Time};
use fanlight_tests::dice::Dice;
use fanlight_tests::run::{Step, record};
use fanlight_tests::workload::Workload;

const STEPS: usize = 160;
const SEEDS: u64 = 300;

/// Where batches lie: what is dropped is not there any more.
#[derive(Clone, Debug, Default)]
struct Shelf(Arc<Mutex<BTreeMap<u64, Bytes>>>);

/// A place on the shelf.
#[derive(Debug)]
struct Spot {
    number: u64,
    shelf: Shelf,
}

impl Shelf {
    fn put(&self, last: &mut u64, records: &Records<'_>) -> Arc<dyn Home> {
        *last += 1;
        let bytes = Bytes::copy_from_slice(records.as_bytes());
        self.0.lock().expect("no holder panics").insert(*last, bytes);
        Arc::new(Spot { number: *last, shelf: self.clone() })
    }

    fn bytes(&self, number: u64) -> Bytes {
        self.0.lock().expect("no holder panics")[&number].clone()
    }

    /// The same after a restart: everything that lay there still does.
    fn found_again(&self) -> Shelf {
        Shelf(Arc::new(Mutex::new(self.0.lock().expect("no holder panics").clone())))
    }

    fn is_empty(&self) -> bool {
        self.0.lock().expect("no holder panics").is_empty()
    }
}

impl Home for Spot {
    fn bytes(&self) -> Bytes {
        self.shelf.bytes(self.number)
    }

    fn reference(&self) -> u64 {
        self.number
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        self.shelf.0.lock().expect("no holder panics").remove(&self.number);
    }
}

impl Homes for Shelf {
    fn find(&self, reference: u64, bytes: u32) -> Option<Arc<dyn Home>> {
        let found = self.0.lock().expect("no holder panics").get(&reference).cloned();
        let home = Spot { number: reference, shelf: self.clone() };
        found.filter(|found| found.len() == bytes as usize).map(|_| Arc::new(home) as Arc<dyn Home>)
    }
}

fn apply(broker: &mut Broker, step: &Step) -> Vec<u8> {
    let mut effects = Vec::new();
    broker.apply(step.at, step.input.clone(), &mut |effect: Effect<'_>| {
        codec::encode_effect(&effect, &mut effects);
    });
    effects
}

/// What a snapshot says, with every batch in it.
fn told(snapshot: &[u8], shelf: &Shelf) -> Vec<u8> {
    let mut rest = &snapshot[6..];
    let mut facts = Vec::new();
    while !rest.is_empty() {
        let frame = codec::decode(&mut rest, usize::MAX - 1).expect("a snapshot is fact frames");
        let Frame::Fact(fact) = frame else { panic!("{frame:?} in a snapshot") };
        let Fact::BatchAway { place, base, count, at, kept, away } = fact else {
            codec::encode_fact(&fact, &mut facts);
            continue;
        };
        let bytes = shelf.bytes(away.reference);
        let records = Records::parse(&bytes).expect("what was put away is a batch");
        assert_eq!((away.records, away.bytes as usize), (records.count(), bytes.len()));
        let fact = match place {
            Place::Partition(topic, partition) if !kept.is_empty() => {
                Fact::SparseBatch { topic, partition, base, count, at, kept, records }
            }
            Place::Partition(..) | Place::Queue(_) => {
                assert!(kept.is_empty() && count == records.count(), "{place} has no gaps");
                let appends = vec![Append { place, base }].into();
                Fact::Published { at, batches: vec![Stored { appends, records }].into() }
            }
        };
        codec::encode_fact(&fact, &mut facts);
    }
    facts
}

fn snapshot(broker: &Broker) -> Vec<u8> {
    let mut snapshot = Vec::new();
    broker.snapshot(&mut snapshot);
    snapshot
}

fn run(seed: u64) {
    let mut steps = Vec::new();
    record(seed, STEPS, &mut steps).expect("random runs keep every invariant");
    let config = Workload::config(seed);
    let mut here = Broker::new(config.clone(), Time::ZERO);
    let mut away = Broker::new(config.clone(), Time::ZERO);
    let (shelf, mut last, mut dice) = (Shelf::default(), 0, Dice::new(seed));
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(apply(&mut here, step), apply(&mut away, step), "seed {seed}, step {at}");
        if dice.percent(50) {
            let left = if dice.percent(50) { 0 } else { here.stored_bytes() / 2 };
            let held = away.put_away(left, &mut |records| shelf.put(&mut last, records));
            assert!(held <= left, "seed {seed}, step {at}: {held} bytes are still held");
        }
        if at % 16 == 0 {
            away.check()
                .unwrap_or_else(|violation| panic!("seed {seed}, step {at}: {violation:?}"));
        }
    }
    let (whole, slim) = (snapshot(&here), snapshot(&away));
    assert!(told(&slim, &shelf) == whole[6..], "seed {seed}: the snapshots say the same");

    let found = shelf.found_again();
    let loaded = Broker::load_with(config.clone(), here.now(), &slim, &found);
    let loaded = loaded.expect("a snapshot loads where its batches are");
    loaded.check().unwrap_or_else(|violation| panic!("seed {seed}, loaded: {violation:?}"));
    let plain = Broker::load(config, here.now(), &whole).expect("a snapshot loads");
    let same = told(&snapshot(&loaded), &found) == snapshot(&plain)[6..];
    assert!(same, "seed {seed}: the loaded brokers say the same");

    drop((away, loaded));
    for shelf in [shelf, found] {
        assert!(shelf.is_empty(), "seed {seed}: nobody needs what lies there, and it stays");
    }
}

#[test]
fn it_makes_no_difference_where_batches_lie() {
    (0..SEEDS).for_each(run);
}

#[test]
fn a_snapshot_does_not_load_where_its_batches_are_not() {
    let steps = |seed| {
        let mut steps = Vec::new();
        record(seed, STEPS, &mut steps).expect("random runs keep every invariant");
        steps
    };
    let config = Workload::config(0);
    let mut broker = Broker::new(config.clone(), Time::ZERO);
    let (shelf, mut last) = (Shelf::default(), 0);
    for step in steps(0) {
        apply(&mut broker, &step);
        broker.put_away(0, &mut |records| shelf.put(&mut last, records));
        if !shelf.is_empty() {
            break;
        }
    }
    assert!(!shelf.is_empty(), "something was put away");
    let error =
        Broker::load(config, broker.now(), &snapshot(&broker)).expect_err("it is not there");
    let why = error.to_string();
    assert!(why.contains("is the home of no batch"), "{why}");
    assert_eq!(broker.put_away(0, &mut |_| panic!("nothing is left")), 0);
}
