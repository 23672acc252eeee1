//! The wire format stays as it is: every frame in `tests/vectors` reads as it did, and is written
//! as it was. `FANLIGHT_BLESS=1` adds examples of what has none yet, from the golden traces; it
//! changes none that is there, because what is in a journal stays in it.
#![cfg(not(target_arch = "wasm32"))]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fanlight_core::codec::{self, Frame};
use fanlight_core::{Activity, Event, Fact, Op, View};
use fanlight_tests::trace;
use fanlight_tests::vectors::{Vector, encode, parse, shown, words};

const KINDS: [&str; 6] = ["session", "request", "event", "fact", "input", "effect"];

fn file(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(kind).with_extension("txt")
}

fn vectors(kind: &str) -> Vec<Vector> {
    let text = std::fs::read_to_string(file(kind)).expect("each kind has its file");
    parse(&text).unwrap_or_else(|why| panic!("{kind}: {why}"))
}

fn decoded(bytes: &[u8]) -> Frame<'_> {
    let mut rest = bytes;
    let frame = codec::decode(&mut rest, usize::MAX - 1).expect("a vector is a frame");
    assert!(rest.is_empty(), "a vector is one frame");
    frame
}

#[test]
fn every_frame_reads_as_it_did_and_is_written_as_it_was() {
    if std::env::var_os("FANLIGHT_BLESS").is_some() {
        KINDS.into_iter().for_each(add_what_is_missing);
    }
    for kind in KINDS {
        for Vector { name, bytes, says } in vectors(kind) {
            let frame = decoded(&bytes);
            assert_eq!(format!("{frame:?}"), says, "{kind}: {name}");
            assert_eq!(encode(&frame), bytes, "{kind}: {name}");
        }
    }
}

/// Adds frames from the golden traces that have a word that no frame of the kind has yet.
fn add_what_is_missing(kind: &str) {
    let mut text = std::fs::read_to_string(file(kind)).unwrap_or_default();
    let known = parse(&text).expect("the vectors that are there can be read");
    let mut seen: BTreeSet<String> =
        known.iter().flat_map(|vector| words(&vector.says).map(String::from)).collect();
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let traces = std::fs::read_dir(traces).expect("there are traces");
    let mut traces: Vec<_> = traces.map(|file| file.expect("it can be listed").path()).collect();
    traces.sort();
    for path in traces {
        let trace = std::fs::read_to_string(path).expect("it can be read");
        for bytes in trace::frames(&trace).expect("it can be played") {
            let says = format!("{:?}", decoded(&bytes));
            let first = words(&says).next().expect("a frame has a kind").to_lowercase();
            let mut news: Vec<String> = Vec::new();
            for word in words(&says).filter(|word| !seen.contains(*word)) {
                if !news.iter().any(|other| other == word) {
                    news.push(word.into());
                }
            }
            if first != kind || news.is_empty() {
                continue;
            }
            let name = format!("{kind} {}", news.join(" "));
            seen.extend(news);
            text.push_str(&shown(&Vector { name, bytes, says }));
        }
    }
    std::fs::write(file(kind), text).expect("vectors can be written");
}

macro_rules! variants {
    ($($all:ident $enum:ident: $($name:ident)*;)*) => {
        $(
            const $all: &[&str] = &[$(stringify!($name)),*];
        )*
        /// Does not compile when a variant is not listed.
        #[expect(dead_code, reason = "it is there to be compiled")]
        fn listed() {
            $(
                let _ = |value: &$enum<'_>| match value { $($enum::$name { .. } => {})* };
            )*
        }
    };
}

variants! {
    OPS Op: DeclareExchange DeleteExchange DeclareQueue DeleteQueue PurgeQueue CreateTopic
        DeleteTopic Bind Unbind Publish Consume Cancel Receive Ack Nack Reject Extend Peek Redrive
        Read Join Heartbeat Leave Poll Commit Seek ResetOffsets DeleteGroup Watch Inspect Release
        AlterQueue InitProducer CommitGroup DeleteOffsets CommitInTransaction EndTransaction
        Prefetch AlterTopic AddPartitions DeleteRecords CreateWorkGroup DeleteWorkGroup Replay
        Revoked StartRedrive StopRedrive JoinClassic Sync RemoveMembers Subscribe Fetch;
    EVENTS Event: Opened Done Count Refused Published Consuming Cancelled Delivered Received
        Settled Joined Assigned Expelled Polled ReadDone Inspected Activity ProducerReady Returned
        OffsetsReset Pressure RedriveStarted RedriveEnded JoinedClassic Synced MembersRemoved
        FetchDone;
    FACTS Fact: Started ExchangeDeclared ExchangeDeleted QueueDeclared QueueDeleted TopicCreated
        TopicDeleted Bound Unbound Published Settled AttemptEnded DeadLettered Redriven
        GroupCreated Rebalanced Committed GroupDeleted LogStarts NumbersFrom MessageState QueueMade
        QueueAltered ProducerInitialised Produced ProducerExpired ProducerSequence ProducersFrom
        RunsSettled ExchangeMade BoundByHeaders UnboundByHeaders OffsetsCommitted OffsetsDeleted
        OffsetsPending TransactionEnded TransactionOpen TransactionOutcome Aborted TopicMade
        TopicAltered PartitionsAdded LogTrimmed Compacted SparseBatch CompactionState WorkGroupMade
        WorkGroupDeleted KeptGone Died CameVia Remembered
        RedriveStarted RedriveStepped RedriveEnded RedrivesFrom BatchAway BroughtBack GroupVacated;
    ACTIVITIES Activity: Connected Disconnected TopologyChanged Enqueued Appended Leased Extended
        Returned Due Acked DeadLettered Dropped Redriven MemberJoined MemberLeft PartitionAssigned
        Polled Committed Sought Released Refused ProducerReady Deduplicated ProducerExpired Purged
        Unrouted OffsetDeleted TransactionBegan TransactionEnded ConsumerActive Trimmed Compacted
        Pressure DeadLetterLost PartitionRevoked MemberReturned CameBefore GroupRebalancing
        LeaderChosen LeaderAssigned SubscriptionChanged OffsetExpired;
    VIEWS View: Overview Queue Topic Group Messages Exchange Groups Producers Connection Due
        Journey Page WorkGroup Redrives;
}

#[test]
fn there_is_an_example_of_everything() {
    let of = |kind: &str| -> BTreeSet<String> {
        vectors(kind).iter().flat_map(|v| words(&v.says).map(String::from)).collect()
    };
    let (requests, events, facts) = (of("request"), of("event"), of("fact"));
    let missing = |all: &[&'static str], of: &BTreeSet<String>| -> Vec<&str> {
        all.iter().copied().filter(|name| !of.contains(*name)).collect()
    };
    let none: Vec<&str> = Vec::new();
    assert_eq!(missing(OPS, &requests), none, "requests");
    let inner = ["Direct", "Topic", "Fanout", "Queue", "Exchange", "One", "Oldest", "Earliest"];
    assert_eq!(missing(&inner, &requests), none, "inside requests");
    let inner = ["Latest", "At", "Since", "Range", "RoundRobin", "Overview", "Group"];
    assert_eq!(missing(&inner, &requests), none, "inside requests");
    assert_eq!(missing(EVENTS, &events), none, "events");
    assert_eq!(missing(ACTIVITIES, &events), none, "activities");
    assert_eq!(missing(VIEWS, &events), none, "views");
    let inner = ["Ready", "Leased", "Delayed", "Left", "Disconnected", "SessionTimeout"];
    assert_eq!(missing(&inner, &events), none, "inside events");
    assert_eq!(missing(FACTS, &facts), none, "facts");
    let inner = ["Expired", "Nacked", "Rejected", "Disconnected", "DeliveriesExhausted"];
    assert_eq!(missing(&inner, &facts), none, "inside facts");
    assert_eq!(missing(&["Open", "Request", "Closed", "Tick"], &of("input")), none, "inputs");
    let inner = ["Fact", "Tell", "Close", "BadProtocol", "TooMany", "NotOpen"];
    assert_eq!(missing(&inner, &of("effect")), none, "effects");
}
