//! Facts whose numbers are far beyond what they stand for: damaged, or made to do harm. Each is
//! refused with a sentence, or taken at its word without a loop or a piece of memory as large as
//! the number; and the broker serves on.
#![cfg(target_os = "linux")]

use std::borrow::Cow;
use std::time::{Duration, Instant};

use fanlight_core::codec;
use fanlight_core::{
    Append, Batch, Broker, Config, ConnId, Effect, Fact, Input, Numbered, Offset, Op, PROTOCOL,
    Place, ProducerEpoch, ProducerId, QueueId, RedriveId, Request, Session, Span, Stored, Tag,
    Target, Time, TopicId, Written,
};
use fanlight_tests::shrink::caught;

const QUEUE: QueueId = QueueId(1);
const TOPIC: TopicId = TopicId(1);
const PARTITION: Place = Place::Partition(TOPIC, 0);
const PRODUCER: ProducerId = ProducerId(1);

/// What the broker may take for any of them.
const MEMORY_MAX_KB: u64 = 64 << 10;
const TIME_MAX: Duration = Duration::from_secs(5);

fn records() -> fanlight_core::Records<'static> {
    Batch::new().push_body(b"one").push_body(b"two").finish().expect("there are records")
}

/// A queue and a partition with two records each, and a producer.
fn broker() -> Broker {
    let mut broker = Broker::new(Config::default(), Time::ZERO);
    let base = Offset(0);
    let appends =
        vec![Append { place: Place::Queue(QUEUE), base }, Append { place: PARTITION, base }];
    let stored = Stored { appends: appends.into(), records: records() };
    let (at, timeout) = (Time::ZERO, Span::from_secs(60));
    let (id, name, epoch) = (PRODUCER, Some("p".into()), ProducerEpoch(0));
    for fact in [
        Fact::QueueMade { id: QUEUE, name: "jobs".into(), at, settings: Cow::default() },
        Fact::TopicCreated { id: TOPIC, name: "log".into(), partitions: 1 },
        Fact::ProducerInitialised { id, name, epoch, renewed: false, timeout, at },
        Fact::Published { at, batches: vec![stored].into() },
    ] {
        broker.restore(fact);
    }
    broker
}

fn of_logs() -> Vec<Fact<'static>> {
    const MAX: Offset = Offset(u64::MAX);
    let (at, topic, partition) = (Time::ZERO, TOPIC, 0);
    let batch = |base| {
        let appends = vec![Append { place: PARTITION, base }].into();
        vec![Stored { appends, records: records() }].into()
    };
    vec![
        Fact::LogStarts { place: Place::Queue(QUEUE), next: MAX },
        Fact::LogStarts { place: PARTITION, next: MAX },
        Fact::LogStarts { place: Place::Queue(QUEUE), next: Offset(1 << 40) },
        Fact::LogStarts { place: PARTITION, next: Offset(1 << 40) },
        Fact::LogTrimmed { place: PARTITION, at, start: MAX },
        Fact::KeptGone { queue: QUEUE, at, start: MAX },
        Fact::Compacted { topic, partition, at, clean: MAX, offsets: Cow::default() },
        Fact::CompactionState { topic, partition, clean: MAX, tombstones: Cow::default() },
        Fact::Published { at, batches: batch(MAX) },
        Fact::Published { at, batches: batch(Offset(u64::MAX - 1)) },
        Fact::SparseBatch {
            topic,
            partition,
            base: Offset(2),
            count: u32::MAX,
            at,
            kept: vec![(u32::MAX - 1, 1)].into(),
            records: records(),
        },
        Fact::SparseBatch {
            topic,
            partition,
            base: MAX,
            count: u32::MAX,
            at,
            kept: vec![(0, 0)].into(),
            records: records(),
        },
        Fact::RunsSettled { queue: QUEUE, runs: vec![(Offset(0), u64::MAX)].into() },
        Fact::RunsSettled { queue: QUEUE, runs: vec![(MAX, u64::MAX)].into() },
        Fact::Settled { queue: QUEUE, offsets: vec![MAX].into() },
        Fact::MessageState {
            queue: QUEUE,
            offset: MAX,
            attempts_failed: u32::MAX,
            ready_at: Time::MAX,
            attempts: Cow::default(),
        },
        Fact::MessageState {
            queue: QUEUE,
            offset: Offset(0),
            attempts_failed: u32::MAX,
            ready_at: Time::MAX,
            attempts: Cow::default(),
        },
    ]
}

fn of_the_rest() -> Vec<Fact<'static>> {
    const MAX: Offset = Offset(u64::MAX);
    let (at, producer, epoch) = (Time::ZERO, PRODUCER, ProducerEpoch(0));
    let all = |place| vec![Written { place, base: Offset(0), count: u64::MAX }].into();
    let topic_made = |partitions| Fact::TopicMade {
        id: TopicId(2),
        name: "wide".into(),
        at,
        partitions,
        settings: Cow::default(),
    };
    vec![
        topic_made(u32::MAX),
        Fact::TopicCreated { id: TopicId(2), name: "wide".into(), partitions: u32::MAX },
        Fact::PartitionsAdded { topic: TOPIC, at, partitions: u32::MAX },
        Fact::WorkGroupMade {
            name: "workers".into(),
            topic: TOPIC,
            at,
            settings: Cow::default(),
            parts: vec![(QueueId(u32::MAX), MAX)].into(),
        },
        Fact::Aborted { written: all(PARTITION) },
        Fact::Aborted { written: all(Place::Queue(QUEUE)) },
        Fact::TransactionOpen { producer, began: at, written: all(PARTITION) },
        Fact::TransactionOpen { producer, began: at, written: all(Place::Queue(QUEUE)) },
        Fact::Produced {
            at,
            producer,
            epoch,
            lane: None,
            sequence: u32::MAX,
            count: u32::MAX,
            transactional: true,
            batches: Cow::default(),
        },
        Fact::ProducerSequence {
            producer,
            lane: None,
            next: u32::MAX,
            batches: vec![Numbered {
                sequence: u32::MAX,
                count: u32::MAX,
                appends: Cow::default(),
            }]
            .into(),
        },
        Fact::RedriveStarted {
            id: RedriveId(1),
            queue: QUEUE,
            until: MAX,
            at,
            filter: Cow::default(),
            to: None,
            rate: Some(u32::MAX),
            dry_run: false,
        },
    ]
}

/// The most memory that this process has asked for so far.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmPeak:")).expect("it is there");
    let words: Vec<_> = line.split_whitespace().collect();
    words[1].parse().expect("kilobytes")
}

/// Takes a fact, and serves on if it was taken.
fn takes(fact: Fact<'static>) -> Result<(), String> {
    let mut broker = broker();
    if let Err(violation) = broker.try_restore(fact) {
        let said = violation.to_string();
        assert!(said.len() > 10, "it says what is wrong: {said:?}");
        return Ok(());
    }
    broker.check().map_err(|violation| violation.to_string())?;
    let conn = ConnId(1);
    let open = Input::Open(conn, Session { protocol: PROTOCOL, client: "one".into() });
    broker.apply(Time::ZERO, open, &mut |_: Effect<'_>| {});
    let queue = Target::Queue { name: "jobs".into() };
    let partition = Target::Topic { name: "log".into(), partition: Some(0) };
    for to in [queue, partition] {
        let request = Request { tag: Tag(1), op: Op::publish(to, true, records()) };
        broker.apply(Time::ZERO, Input::Request(conn, request), &mut |_: Effect<'_>| {});
        broker.check().map_err(|violation| violation.to_string())?;
    }
    Ok(())
}

/// Takes a fact by itself and in a snapshot; what is wrong, if anything is.
fn harm(fact: &Fact<'static>) -> Result<(), String> {
    let (before, began) = (peak_kb(), Instant::now());
    caught(|| takes(fact.clone()))?;
    let mut snapshot = Vec::new();
    broker().snapshot(&mut snapshot);
    codec::encode_fact(fact, &mut snapshot);
    caught(|| match Broker::load(Config::default(), Time::ZERO, &snapshot) {
        Ok(broker) => broker.check().map_err(|violation| violation.to_string()),
        Err(_) => Ok(()),
    })?;
    let (took, grew) = (began.elapsed(), peak_kb() - before);
    if grew > MEMORY_MAX_KB {
        return Err(format!("it takes {grew} KB"));
    }
    if took > TIME_MAX { Err(format!("it takes {took:?}")) } else { Ok(()) }
}

#[test]
fn a_huge_number_in_a_fact_costs_neither_memory_nor_time() {
    let facts = of_logs().into_iter().chain(of_the_rest());
    let harms = facts.filter_map(|fact| Some(format!("{fact:?}: {}\n", harm(&fact).err()?)));
    let harms: String = harms.collect();
    assert!(harms.is_empty(), "{harms}");
}
