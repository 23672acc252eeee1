//! The log against a sorted map of its records.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::*;
use crate::record::Batch;
use crate::rng::Rng;

/// One record a model: its body, whether it is hidden, when it was appended, its timestamp.
type Model = BTreeMap<u64, (u8, bool, Time, Option<Time>)>;

struct Pair {
    log: Log,
    model: Model,
    open: BTreeSet<u64>,
    batches: Vec<(u64, u64)>,
    now: u64,
}

impl Pair {
    fn append(&mut self, rng: &mut Rng) {
        let count = 1 + rng.below(6);
        self.now += u64::from(rng.below(3));
        let mut batch = Batch::new();
        let base = self.log.end().0;
        for n in 0..count {
            let stamp = (rng.below(3) == 0).then(|| Time(u64::from(rng.below(60))));
            let body = rng.below(256) as u8;
            batch.push(None, [], stamp, &[body]).expect("it is a record");
            self.model.insert(base + u64::from(n), (body, false, Time(self.now), stamp));
        }
        if rng.below(4) == 0 {
            self.log.open_at(base, Offset(base));
            self.open.insert(base);
        }
        self.batches.push((base, u64::from(count)));
        self.log.append(Time(self.now), batch.finish().expect("there are records"));
    }

    fn end_transaction(&mut self, rng: &mut Rng) {
        let Some(at) = self.open.pop_first() else { return };
        self.log.close(at);
        if rng.below(2) == 0 {
            let batch = self.batches.iter().find(|(base, _)| *base == at);
            let (_, count) = batch.expect("it was appended");
            self.log.hide(Offset(at), *count);
            for (_, (_, hidden, ..)) in self.model.range_mut(at..at + count) {
                *hidden = true;
            }
        }
    }

    fn remove(&mut self, rng: &mut Rng) {
        let gone: Vec<_> = self.model.keys().filter(|_| rng.below(5) == 0).copied().collect();
        self.model.retain(|at, _| !gone.contains(at));
        let gone: Vec<_> = gone.into_iter().map(Offset).collect();
        self.log.remove(&gone);
    }

    fn trim(&mut self, rng: &mut Rng) {
        let (start, end) = (self.log.start().0, self.log.end().0);
        let to = start + u64::from(rng.below(8)).min(end - start);
        self.log.trim(Offset(to));
        self.model.retain(|at, _| *at >= to);
    }

    fn read(&self, rng: &mut Rng) {
        let isolation = [Isolation::Uncommitted, Isolation::Committed][rng.below(2) as usize];
        let (start, end) = (self.log.start().0, self.log.end().0);
        let stable = self.open.first().copied().unwrap_or(end);
        assert_eq!(self.log.stable_end().0, stable);
        let from = start + u64::from(rng.below(1 + (end - start) as u32));
        let (records_max, bytes_max) = (1 + rng.below(9), 1 + rng.below(40) as usize);
        let ask = Ask { from: Offset(from), records_max, bytes_max, bytes_min: 0, isolation };
        let committed = isolation == Isolation::Committed;
        let seen = self
            .model
            .range(from..)
            .filter(|(at, (_, hidden, ..))| !committed || (!hidden && **at < stable));
        let mut seen = seen.map(|(at, (body, ..))| (*at, *body));
        let Some(run) = self.log.read(ask) else {
            assert_eq!(seen.next(), None);
            return;
        };
        let count = run.records.count();
        assert!(count <= records_max && (count == 1 || run.records.as_bytes().len() <= 400));
        let offset = |at: u32| match &run.offsets[..] {
            [] => run.base.plus(u64::from(at)).0,
            offsets => offsets[at as usize].0,
        };
        for at in 0..count {
            let record = run.records.record(at).expect("at is below count");
            assert_eq!(seen.next(), Some((offset(at), record.body[0])));
        }
        assert!(run.next.0 > offset(count - 1));
        assert!(seen.next().is_none_or(|(at, _)| at >= run.next.0));
    }

    fn since(&self, rng: &mut Rng) {
        let at = Time(u64::from(rng.below(70)));
        let stamped = |(_, (_, _, appended, stamp)): &(&u64, &(_, _, Time, Option<Time>))| {
            stamp.unwrap_or(*appended) >= at
        };
        let first: Option<u64> = self.model.iter().find(stamped).map(|(offset, _)| *offset);
        assert_eq!(self.log.since(at).0, first.unwrap_or(self.log.end().0));
    }
}

#[test]
fn holds_and_reads_what_a_sorted_map_would() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let (log, model) = (Log::default(), BTreeMap::new());
        let mut pair = Pair { log, model, open: BTreeSet::new(), batches: Vec::new(), now: 0 };
        for _ in 0..120 {
            match rng.below(10) {
                0..=3 => pair.append(rng),
                4 => pair.end_transaction(rng),
                5 => pair.remove(rng),
                6 => pair.trim(rng),
                7 => pair.since(rng),
                _ => pair.read(rng),
            }
            assert_eq!(pair.log.fault(), None, "seed {seed}");
            for offset in pair.log.start().0..pair.log.end().0 {
                let held = pair.log.find(Offset(offset)).is_some();
                assert_eq!(held, pair.model.contains_key(&offset), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_batch_that_is_mostly_gone_gives_its_memory_back() {
    let mut log = Log::default();
    let mut batch = Batch::new();
    for _ in 0..10 {
        batch.push_body(&[7; 1_000]);
    }
    log.append(Time(1), batch.finish().expect("there are records"));
    let whole = log.bytes();
    log.remove(&[1, 2, 3, 4].map(Offset));
    assert_eq!(log.bytes(), whole);
    log.remove(&[5, 6, 7, 8].map(Offset));
    assert!(log.bytes() < whole / 4, "{} of {whole}", log.bytes());
    let ask = Ask {
        from: Offset(0),
        records_max: 10,
        bytes_max: 1 << 20,
        bytes_min: 0,
        isolation: Isolation::Uncommitted,
    };
    let run = log.read(ask).expect("two are left");
    assert_eq!((run.offsets, run.next), (Vec::from([Offset(0), Offset(9)]), Offset(10)));
}
