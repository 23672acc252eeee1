//! Two producers, two consumers, three messages and one crash: every order of their steps, the
//! crash at every place, and every invariant of the simulation after each step. A bug that needs a
//! certain order of a few steps has nowhere to hide; rare orders of many steps are the
//! simulation's.
#![cfg(not(target_arch = "wasm32"))]

use fanlight_core::{Op, Position, QueueKind, QueuePolicy, Span};
use fanlight_tests::interleavings::{Looked, Scenario, Step, explore};

fn hold(what: &str, scenario: &Scenario) {
    let begun = std::time::Instant::now();
    let looked = explore(scenario).unwrap_or_else(|why| panic!("{why}"));
    let Looked { orders, states, steps } = looked;
    let took = begun.elapsed();
    println!("{what}: {orders} orders, {states} states, {steps} steps, {took:?}");
    assert!(orders > 20_000, "{looked:?}");
}

fn jobs() -> QueuePolicy<'static> {
    QueuePolicy {
        visibility: Span::from_millis(100),
        deliveries_max: Some(2),
        dead_letter: Some("dead".into()),
        ..QueuePolicy::default()
    }
}

#[test]
fn a_queue_keeps_every_invariant_in_every_order() {
    let declare = |name: &'static str, policy| Op::DeclareQueue { name: name.into(), policy };
    hold(
        "a queue with a dead-letter queue",
        &Scenario {
            declared: vec![declare("dead", QueuePolicy::default()), declare("jobs", jobs())],
            queue: Some("jobs"),
            topic: None,
            scripts: vec![
                vec![Step::Publish("", "a"), Step::Publish("", "b")],
                vec![Step::Publish("", "c")],
                vec![Step::Receive, Step::Ack, Step::Receive, Step::Ack],
                vec![Step::Receive, Step::Nack, Step::Receive],
                vec![Step::Pass(100)],
            ],
        },
    );
}

#[test]
fn a_group_keeps_every_invariant_in_every_order() {
    hold(
        "a topic with a group",
        &Scenario {
            declared: vec![Op::CreateTopic {
                name: "log".into(),
                partitions: 2,
                policy: Default::default(),
            }],
            queue: None,
            topic: Some("log"),
            scripts: vec![
                vec![Step::Publish("a", "a"), Step::Publish("b", "b")],
                vec![Step::Publish("a", "c")],
                vec![Step::Poll, Step::Commit, Step::Poll, Step::Commit],
                vec![Step::Poll, Step::Poll, Step::Commit],
            ],
        },
    );
}

#[test]
fn a_fifo_queue_keeps_every_invariant_in_every_order() {
    let fifo = QueuePolicy { kind: QueueKind::Fifo, ..jobs() };
    let declare = |name: &'static str, policy| Op::DeclareQueue { name: name.into(), policy };
    hold(
        "a FIFO queue with two message groups",
        &Scenario {
            declared: vec![declare("dead", QueuePolicy::default()), declare("lanes", fifo)],
            queue: Some("lanes"),
            topic: None,
            scripts: vec![
                vec![Step::Publish("g", "a"), Step::Publish("h", "b")],
                vec![Step::Publish("g", "c")],
                vec![Step::Receive, Step::Ack, Step::Receive],
                vec![Step::Receive, Step::Nack, Step::Receive],
            ],
        },
    );
}

#[test]
fn a_work_group_beside_a_group_keeps_every_invariant_in_every_order() {
    let (name, partitions) = ("log".into(), 1);
    hold(
        "a topic with a work group and a group",
        &Scenario {
            declared: vec![
                Op::DeclareQueue { name: "dead".into(), policy: QueuePolicy::default() },
                Op::CreateTopic { name, partitions, policy: Default::default() },
                Op::CreateWorkGroup {
                    name: "workers".into(),
                    topic: "log".into(),
                    policy: jobs(),
                    from: Position::Earliest,
                },
            ],
            queue: Some("workers"),
            topic: Some("log"),
            scripts: vec![
                vec![Step::Publish("a", "a"), Step::Publish("b", "b")],
                vec![Step::Publish("a", "c")],
                vec![Step::Receive, Step::Ack, Step::Receive, Step::Nack],
                vec![Step::Poll, Step::Commit, Step::Poll],
            ],
        },
    );
}
