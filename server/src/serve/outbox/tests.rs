//! What the outbox does with connections that do not read what they are sent.

use fanlight_core::codec::Frame;
use fanlight_core::{Code, Offset};

use super::*;

const CONN: ConnId = ConnId(7);
const QUEUED_BYTES_MAX: usize = 64 << 20;
const WATCHED_BYTES_MAX: usize = QUEUED_BYTES_MAX / WATCHED_PART;
const NOW: Time = Time(1_000);

fn outbox() -> (Outbox, Arc<Mailbox>) {
    let mut outbox = Outbox::new(true, Arc::default());
    let mailbox = Arc::new(Mailbox::new(QUEUED_BYTES_MAX));
    outbox.add(CONN, mailbox.clone(), None);
    (outbox, mailbox)
}

fn activity(outbox: &mut Outbox, offset: u64) {
    let activity = Activity::Due { queue: "jobs".into(), offset: Offset(offset) };
    outbox.emit(Effect::Tell(CONN, Event::Activity { at: NOW, activity }));
}

/// What a turn tells, in words.
fn told(turn: Option<Turn>) -> Vec<String> {
    let mut told = Vec::new();
    for parcel in turn.map(|turn| turn.parcels).unwrap_or_default() {
        let mut rest: &[u8] = &parcel.frames;
        while !rest.is_empty() {
            let frame = codec::decode(&mut rest, usize::MAX - 1).expect("the outbox makes frames");
            told.push(match &frame {
                Frame::Event(Event::Activity { activity, .. }) => activity.to_string(),
                Frame::Event(event) => format!("{event:?}"),
                Frame::Session(_)
                | Frame::Request(_)
                | Frame::Fact(_)
                | Frame::Input(..)
                | Frame::Effect(_) => panic!("events are told, and nothing else: {frame:?}"),
            });
        }
        told.extend(parcel.closing.map(|closing| format!("close {}", closing.code)));
    }
    told
}

#[test]
fn a_large_turn_does_not_make_those_after_it_keep_as_much() {
    let mut expected = Expected::default();
    for (bytes, next) in [(1 << 20, 0), (100, 100), (200, 100), (300, 200), (50, 50), (50, 50)] {
        expected.saw(bytes);
        assert_eq!(expected.bytes(), next);
    }
}

#[test]
fn connections_that_follow_each_other_are_far_apart_when_hashed() {
    let hash = |number| {
        let mut hasher = ByNumber::default();
        hasher.write_u64(number);
        // The highest seven bits and the lowest are what a table looks at.
        (hasher.finish() >> 57, hasher.finish() & 0xff)
    };
    let seen: std::collections::HashSet<_> = (0..256).map(hash).collect();
    assert!(seen.len() > 250, "{}", seen.len());
}

#[test]
fn a_turn_holds_facts_and_events_in_their_order() {
    let (mut outbox, _) = outbox();
    activity(&mut outbox, 1);
    outbox.emit(Effect::Fact(Fact::ExchangeDeleted { name: "x".into() }));
    activity(&mut outbox, 2);
    let turn = outbox.end_turn(NOW, 0).expect("something happened");
    let facts = turn.facts.as_ref().expect("there is a fact");
    assert_eq!((facts.kind, facts.time), (Kind::Facts, NOW));
    assert_eq!(
        told(Some(turn)),
        ["jobs@1 is ready: its delay ended", "jobs@2 is ready: its delay ended"]
    );
    assert!(outbox.end_turn(NOW, 0).is_none());
}

#[test]
fn without_a_journal_no_fact_is_written_down() {
    let mut outbox = Outbox::new(false, Arc::default());
    outbox.emit(Effect::Fact(Fact::ExchangeDeleted { name: "x".into() }));
    assert!(outbox.end_turn(NOW, 0).is_none());
}

#[test]
fn a_watcher_that_reads_too_slowly_misses_activities_and_is_told_how_many() {
    let (mut outbox, mailbox) = outbox();
    mailbox.announce(WATCHED_BYTES_MAX + 1);
    for offset in 0..3 {
        activity(&mut outbox, offset);
    }
    assert!(outbox.end_turn(NOW, 0).is_none(), "nothing is queued for a watcher that lags");
    outbox.emit(Effect::Tell(CONN, Event::Done { tag: Tag(5) }));
    assert_eq!(told(outbox.end_turn(NOW, 0)).len(), 1, "answers are never dropped");
    mailbox.wrote(WATCHED_BYTES_MAX + 1);
    activity(&mut outbox, 3);
    activity(&mut outbox, 4);
    let told = told(outbox.end_turn(NOW, 0));
    assert_eq!(told.len(), 3);
    assert!(told[0].starts_with("3 activities before this are not shown"), "{}", told[0]);
    assert_eq!(told[2], "jobs@4 is ready: its delay ended");
    assert_eq!(outbox.metrics.activities_dropped.read(), 3);
}

#[test]
fn a_connection_that_does_not_read_is_closed_with_the_reason() {
    let (mut outbox, mailbox) = outbox();
    mailbox.announce(QUEUED_BYTES_MAX + 1);
    outbox.emit(Effect::Tell(CONN, Event::Done { tag: Tag(5) }));
    let (conn, closing) = outbox.take_overflown().expect("it has too much to read");
    assert_eq!((conn, closing.code), (CONN, 1008));
    assert!(closing.reason.contains("64 MiB"), "{}", closing.reason);
    outbox.set_opened(conn, "test");
    assert!(outbox.close(conn, closing), "the broker has to be told");
    assert!(!outbox.has(conn));
    let told = told(outbox.end_turn(NOW, 0));
    assert_eq!(told.last().map(String::as_str), Some("close 1008"));
}

#[test]
fn what_the_broker_closes_hears_why_after_everything_before() {
    let (mut outbox, _) = outbox();
    outbox.set_opened(CONN, "test");
    outbox.refuse(CONN, Code::BadProtocol.because("no"));
    outbox.emit(Effect::Close(CONN, CloseReason::BadProtocol));
    outbox.emit(Effect::Tell(CONN, Event::Done { tag: Tag(1) }));
    assert!(!outbox.remove(CONN), "the broker has forgotten it already");
    let told = told(outbox.end_turn(NOW, 0));
    assert_eq!(told.len(), 2, "nothing comes after the close: {told:?}");
    assert_eq!(told[1], "close 1002");
}
