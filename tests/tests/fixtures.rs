//! What an older build wrote still loads: a journal's facts and a snapshot, kept as they were
//! written, lead to the state that `fixtures/v1.txt` says. The text is made of fields that every
//! later build has too, so that a new field changes nothing here.
#![cfg(not(target_arch = "wasm32"))]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use fanlight_core::codec::{self, Frame};
use fanlight_core::{
    Broker, Budget, Config, ConnId, Effect, Event, Fetched, Input, MessageView, Offset, Op,
    Overview, PROTOCOL, Position, QueueView, Request, Session, Tag, Time, View,
};

/// After everything that the fixtures tell of, and before the last delay ends.
const NOW: Time = Time::from_millis(900);

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).expect("a fixture is there")
}

fn from_facts() -> Broker {
    let bytes = bytes("facts-v1.bin");
    let mut broker = Broker::new(Config::default(), NOW);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match codec::decode(&mut rest, usize::MAX - 1) {
            Ok(Frame::Fact(fact)) => broker.try_restore(fact).expect("the facts hold together"),
            other => panic!("a fact of an older build reads as {other:?}"),
        }
    }
    broker
}

fn from_snapshot() -> Broker {
    let bytes = bytes("snapshot-v1.bin");
    Broker::load(Config::default(), NOW, &bytes).expect("an older snapshot loads")
}

#[test]
fn the_facts_of_an_older_build_lead_to_the_state_they_led_to() {
    is_as_it_was(&mut from_facts());
}

#[test]
fn a_snapshot_of_an_older_build_loads_to_the_state_it_held() {
    is_as_it_was(&mut from_snapshot());
}

#[test]
fn both_give_the_same_snapshot_in_this_build() {
    let snapshot = |broker: Broker| fanlight_tests::run::snapshot(&broker);
    assert_eq!(snapshot(from_facts()), snapshot(from_snapshot()));
}

fn is_as_it_was(broker: &mut Broker) {
    broker.check().expect("every invariant holds");
    let wanted = std::fs::read_to_string(file("v1.txt")).expect("a fixture is there");
    let shown = shown(broker);
    broker.check().expect("every invariant holds");
    assert!(wanted == shown, "it should be\n{wanted}\nbut is\n{shown}");
}

/// Everything durable that a client can see.
fn shown(broker: &mut Broker) -> String {
    let overview = broker.overview();
    let mut out = String::new();
    show_overview(&overview, &mut out);
    let conn = ConnId(77);
    let session = Session { protocol: PROTOCOL, client: "reader".into() };
    broker.apply(NOW, Input::Open(conn, session), &mut |_: Effect<'_>| {});
    let mut ask = |op: Op<'_>, out: &mut String| {
        let request = Input::Request(conn, Request { tag: Tag(1), op });
        broker.apply(NOW, request, &mut |effect: Effect<'_>| {
            let Effect::Tell(_, event) = effect else { return };
            if let Event::Inspected { view: View::Messages(messages), .. } = &event {
                messages.iter().for_each(|message| show_message(message, out));
            } else if let Event::ReadDone { batch: Some(batch), .. } = &event {
                show_batch(batch, out);
            } else if let Event::Refused { refusal, .. } = &event {
                panic!("{refusal:?}");
            }
        });
    };
    for queue in &overview.queues {
        let name = queue.name.as_str();
        writeln!(out, "messages of {name}").expect("a String takes it");
        ask(Op::Peek { queue: name.into(), from: Offset(0), messages_max: 100 }, &mut out);
    }
    for topic in &overview.topics {
        for (partition, view) in (0..).zip(&topic.partitions) {
            writeln!(out, "records of {}/{partition}", topic.name).expect("a String takes it");
            for offset in view.start.0..view.end.0 {
                let (topic, from) = (topic.name.as_str().into(), Position::At(Offset(offset)));
                ask(Op::Read { topic, partition, from, budget: Budget::records(1) }, &mut out);
            }
        }
    }
    out
}

fn show_overview(overview: &Overview, out: &mut String) {
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes it");
    line(format!("epoch {}", overview.epoch));
    for exchange in &overview.exchanges {
        line(format!("exchange {} {:?}", exchange.name, exchange.kind));
        for binding in &exchange.bindings {
            line(format!("  {:?} to {:?}", binding.pattern, binding.to));
        }
    }
    for QueueView { id, name, policy, ready, leased, delayed, end, .. } in &overview.queues {
        line(format!("queue {name} {id} ends at {end}"));
        line(format!("  {ready} ready, {leased} leased, {delayed} delayed"));
        line(format!(
            "  visibility {} deliveries_max {:?} dead_letter {:?} messages_max {:?} retry_delay {}",
            policy.visibility,
            policy.deliveries_max,
            policy.dead_letter,
            policy.messages_max,
            policy.retry_delay
        ));
    }
    for topic in &overview.topics {
        line(format!("topic {} {}", topic.name, topic.id));
        for partition in &topic.partitions {
            line(format!("  {} to {}", partition.start, partition.end));
        }
    }
    for group in &overview.groups {
        line(format!("group {} {} generation {}", group.name, group.id, group.generation));
        for at in &group.partitions {
            let (topic, partition, committed) = (&at.topic, at.partition, at.committed);
            line(format!("  {topic}/{partition} committed {committed:?} lag {}", at.lag));
        }
    }
}

fn show_message(message: &MessageView<'_>, out: &mut String) {
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes it");
    let record = message.record.record();
    let headers = record.headers.iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ");
    line(format!(
        "  @{} came {} {:?} failed {} key {:?} headers [{headers}] {:?}",
        message.offset,
        message.at,
        message.state,
        message.attempts_failed,
        record.key.map(String::from_utf8_lossy),
        String::from_utf8_lossy(record.body),
    ));
    for attempt in &message.attempts {
        line(format!(
            "    attempt {} ended {} {:?} by {}",
            attempt.number, attempt.at, attempt.end, attempt.client
        ));
    }
    for death in &message.deaths {
        line(format!(
            "    died in {}@{} at {} {:?} after {} attempts, came {}",
            death.queue,
            death.offset,
            death.at,
            death.reason,
            death.attempts.len(),
            death.appended_at
        ));
    }
}

fn show_batch(batch: &Fetched<'_>, out: &mut String) {
    for record in batch.records.iter() {
        let (key, body) = (record.key.map(String::from_utf8_lossy), record.body);
        let (base, body) = (batch.base, String::from_utf8_lossy(body));
        writeln!(out, "  @{base} at {} key {key:?} {body:?}", batch.appended_at)
            .expect("a String takes it");
    }
}
