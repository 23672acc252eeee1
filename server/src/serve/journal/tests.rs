//! When the journal tells, and what it does when its storage fails.

use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use super::super::mailbox::Outgoing;
use super::super::storage::faulty::FaultyStorage;
use super::*;

struct Bench {
    storage: FaultyStorage,
    mailbox: Arc<Mailbox>,
    metrics: Arc<Metrics>,
    due: SnapshotDue,
    journal: Journal,
}

fn bench(policy: SyncPolicy) -> Bench {
    let storage = FaultyStorage::default();
    let metrics = Arc::new(Metrics::default());
    let due = SnapshotDue::default();
    let recovered = Recovered {
        end: Position(0),
        snapshot: Position(0),
        snapshot_at: None,
        snapshot_bytes: 0,
        pins: None,
        took: Duration::ZERO,
    };
    let journal = Journal::new(
        Box::new(storage.clone()),
        policy,
        recovered,
        100,
        due.clone(),
        metrics.clone(),
    );
    Bench { storage, mailbox: Arc::new(Mailbox::new(64 << 20)), metrics, due, journal }
}

impl Bench {
    fn turn(&self, fact: &'static str, event: &'static str) -> Job {
        self.mailbox.announce(event.len());
        let payload = Bytes::from_static(fact.as_bytes());
        let entry = Entry { kind: Kind::Facts, time: Time(1), payload };
        let frames = Bytes::from_static(event.as_bytes());
        Job::Turn(Turn {
            facts: (!fact.is_empty()).then_some(entry),
            parcels: vec![Parcel {
                mailbox: self.mailbox.clone(),
                frames,
                text: None,
                closing: None,
            }],
            stored_bytes: 0,
            spans: None,
        })
    }

    fn told(&self) -> String {
        told(&self.mailbox)
    }
}

fn told(mailbox: &Mailbox) -> String {
    let mut told = String::new();
    let mut context = Context::from_waker(Waker::noop());
    loop {
        let next = std::pin::pin!(mailbox.next());
        let Poll::Ready(Outgoing::Frames(frames)) = next.poll(&mut context) else { return told };
        told.push_str(std::str::from_utf8(&frames).expect("tests tell text"));
    }
}

#[test]
fn a_group_is_synced_once_and_then_told() {
    let mut bench = bench(SyncPolicy::Always);
    let group = vec![bench.turn("f1", "e1 "), bench.turn("", "e2 "), bench.turn("f3", "e3")];
    assert!(!bench.journal.work(group).expect("it works"));
    assert_eq!(bench.told(), "e1 e2 e3");
    assert_eq!(bench.storage.disk(|disk| (disk.entries.len(), disk.durable)), (2, 2));
    assert_eq!(bench.metrics.syncs(), 1);
}

#[test]
fn events_without_facts_need_no_sync() {
    let mut bench = bench(SyncPolicy::Always);
    let group = vec![bench.turn("", "e1")];
    bench.journal.work(group).expect("it works");
    assert_eq!(bench.told(), "e1");
    assert_eq!(bench.metrics.syncs(), 0);
}

#[test]
fn after_a_failed_sync_nothing_is_told() {
    let mut bench = bench(SyncPolicy::Always);
    bench.storage.disk(|disk| disk.fail_sync = Some(2));
    let (send, jobs) = mpsc::channel();
    let group = vec![bench.turn("f1", "e1")];
    bench.journal.work(group).expect("the first sync works");
    for job in [bench.turn("f2", "e2"), bench.turn("f3", "e3"), bench.turn("", "e4")] {
        send.send(job).expect("the journal listens");
    }
    assert_eq!(bench.told(), "e1");
    let (storage, mailbox) = (bench.storage.clone(), bench.mailbox.clone());
    let error = bench.journal.run(&jobs).expect_err("the second sync fails");
    assert_eq!(error.to_string(), "cannot sync: input/output error");
    assert_eq!(storage.disk(|disk| (disk.durable, disk.syncs)), (1, 2));
    assert_eq!(told(&mailbox), "");
}

#[test]
fn after_a_failed_write_nothing_is_told() {
    for policy in [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never] {
        let mut bench = bench(policy);
        bench.storage.disk(|disk| disk.fail_append = true);
        let group = vec![bench.turn("f1", "e1")];
        bench.journal.work(group).expect_err("the write fails");
        assert_eq!(bench.told(), "");
    }
}

#[test]
fn interval_tells_when_written_and_syncs_within_a_tenth_of_a_second() {
    let mut bench = bench(SyncPolicy::Interval);
    let group = vec![bench.turn("f1", "e1")];
    bench.journal.work(group).expect("it works");
    assert_eq!((bench.told().as_str(), bench.metrics.syncs()), ("e1", 0));
    let (send, jobs) = mpsc::channel();
    let storage = bench.storage.clone();
    let thread = std::thread::spawn(move || bench.journal.run(&jobs));
    while storage.disk(|disk| disk.durable) == 0 {
        std::thread::yield_now();
    }
    drop(send);
    thread.join().expect("it does not panic").expect("it works");
}

#[test]
fn a_failed_sync_that_nobody_waited_for_stops_the_journal() {
    let mut bench = bench(SyncPolicy::Interval);
    bench.storage.disk(|disk| disk.fail_sync = Some(1));
    let group = vec![bench.turn("f1", "e1")];
    bench.journal.work(group).expect("it is written");
    let (_send, jobs) = mpsc::channel();
    let error = bench.journal.run(&jobs).expect_err("the sync fails, though nothing comes");
    assert_eq!(error.to_string(), "cannot sync: input/output error");
}

#[test]
fn stopping_syncs_whatever_the_policy_and_says_that_it_was_in_good_order() {
    for policy in [SyncPolicy::Always, SyncPolicy::Interval, SyncPolicy::Never] {
        let mut bench = bench(policy);
        let group = vec![bench.turn("f1", "e1"), Job::Stop { time: Time(9) }];
        assert!(bench.journal.work(group).expect("it works"));
        assert_eq!(bench.told(), "e1");
        let last = bench.storage.disk(|disk| {
            assert_eq!(disk.durable, 2);
            disk.entries.last().expect("two entries").1.clone()
        });
        assert_eq!((last.kind, last.time), (Kind::Closed, Time(9)));
    }
}

#[test]
fn a_long_journal_asks_for_a_snapshot_and_is_trimmed_by_it() {
    let mut bench = bench(SyncPolicy::Never);
    let fact = "a fact of forty bytes, more or less long";
    for expected in [false, false, true] {
        let group = vec![bench.turn(fact, "e")];
        bench.journal.work(group).expect("it works");
        let mut context = Context::from_waker(Waker::noop());
        let asked = std::pin::pin!(bench.due.notified()).poll(&mut context).is_ready();
        assert_eq!(asked, expected);
    }
    let end = bench.journal.end;
    let state = vec![1; 60];
    let group =
        vec![Job::Snapshot { time: Time(3), state, pins: None }, Job::Stop { time: Time(4) }];
    bench.journal.work(group).expect("it works");
    bench.storage.disk(|disk| {
        assert_eq!(disk.trimmed, end);
        assert_eq!(disk.snapshot.as_ref().expect("it is stored").position, end);
    });
}

#[test]
fn a_snapshot_that_fails_costs_no_message() {
    let mut bench = bench(SyncPolicy::Always);
    bench.storage.disk(|disk| disk.fail_snapshot = true);
    let snapshot = Job::Snapshot { time: Time(3), state: vec![1], pins: None };
    let group = vec![bench.turn("f1", "e1 "), snapshot, bench.turn("f2", "e2")];
    bench.journal.work(group).expect("it goes on");
    bench.journal.work(vec![Job::Stop { time: Time(4) }]).expect("it goes on");
    assert_eq!(bench.told(), "e1 e2");
    bench.storage.disk(|disk| {
        assert_eq!((disk.durable, disk.trimmed), (3, Position(0)));
    });
}
