//! What those who came in may do, what they may take, and what is written about what they may not.

use std::time::{Duration, Instant};

use fanlight_core::{
    Code, Destination, ExchangeKind, Inspect, Op, QueuePolicy, Target, TopicPolicy,
};
use fanlight_server::client::{Client, ClientError};

use crate::client::batch;
use crate::process::{PATIENCE, Server};
use crate::users::{Users, connect, password};

fn declare(name: &str) -> Op<'_> {
    Op::DeclareQueue { name: name.into(), policy: QueuePolicy::default() }
}

fn to_queue(name: &str, bytes: usize) -> Op<'_> {
    let target = Target::Queue { name: name.into() };
    Op::publish(target, true, batch([vec![7; bytes]]))
}

/// Asks for something that is refused; gives the kind and the sentence.
async fn refusal(client: &mut Client, op: Op<'_>) -> (Code, String) {
    match client.request(op).await {
        Err(ClientError::Refused(refusal)) => (refusal.code, refusal.message.into_owned()),
        Err(error) => panic!("{error}"),
        Ok(event) => panic!("it was done: {:?}", event.event()),
    }
}

async fn guest(server: &Server, user: &str) -> Client {
    connect(server, &password(user)).await.expect("it is let in")
}

#[tokio::test]
async fn a_user_may_what_its_patterns_match_and_nothing_else() {
    let users = Users::new();
    let patterns =
        ["--configure", "^mine\\.", "--write", "^mine\\.|^in$", "--read", "^mine\\.|^out$"];
    users.add("bob", &patterns);
    let server = users.start(&[]);
    let mut admin = guest(&server, "admin").await;
    for name in ["in", "out", "hidden"] {
        admin.done(declare(name)).await.expect("an admin may");
    }
    let create =
        Op::CreateTopic { name: "events".into(), partitions: 1, policy: TopicPolicy::default() };
    admin.done(create).await.expect("an admin may");
    admin.request(to_queue("out", 1)).await.expect("an admin may");

    let mut bob = guest(&server, "bob").await;
    bob.done(declare("mine.jobs")).await.expect("it may configure that");
    bob.request(to_queue("in", 1)).await.expect("it may write there");
    let receive = |queue: &'static str| Op::Receive {
        queue: queue.into(),
        messages_max: 1,
        wait: Default::default(),
        visibility: None,
        auto_ack: true,
    };
    bob.request(receive("out")).await.expect("it may read that");

    let default_exchange = Target::Exchange { name: "".into(), routing_key: "hidden".into() };
    let dead = QueuePolicy {
        dead_letter: Some("hidden".into()),
        deliveries_max: Some(1),
        ..QueuePolicy::default()
    };
    let bind = Op::Bind {
        exchange: "amq.topic".into(),
        to: Destination::Queue("mine.jobs".into()),
        pattern: "#".into(),
        headers: Default::default(),
    };
    let exchange = Op::DeclareExchange {
        name: "x".into(),
        kind: ExchangeKind::Fanout,
        policy: Default::default(),
    };
    let join = Op::Join {
        group: "mine.group".into(),
        topics: vec!["events".into()].into(),
        assignor: Default::default(),
        start: Default::default(),
        session_timeout: None,
        instance: None,
        rebalance_timeout: None,
    };
    let refused = [
        (declare("other"), "configure", "other"),
        (exchange, "configure", "x"),
        (to_queue("out", 1), "write", "out"),
        (Op::publish(default_exchange, true, batch(["x"])), "write", "hidden"),
        (receive("in"), "read", "in"),
        (Op::PurgeQueue { name: "hidden".into(), all: false }, "read", "hidden"),
        (Op::DeclareQueue { name: "mine.d".into(), policy: dead }, "write", "hidden"),
        (bind, "read", "amq.topic"),
        (join, "read", "events"),
        (Op::Inspect { what: Inspect::Queue("hidden".into()) }, "see", "hidden"),
        (Op::Inspect { what: Inspect::Due { max: 1 } }, "see", "what is due"),
        (Op::Watch { on: true }, "see", "everything"),
        (
            Op::DeleteQueue { name: "in".into(), if_empty: false, if_unused: false },
            "configure",
            "in",
        ),
    ];
    let count = refused.len();
    for (op, verb, name) in refused {
        let (code, sentence) = refusal(&mut bob, op).await;
        assert_eq!(code, Code::AccessRefused, "{sentence}");
        let words = sentence.contains("bob") && sentence.contains(verb) && sentence.contains(name);
        assert!(words, "{sentence}");
    }
    // What it sees is what it may.
    let overview = bob.overview().await.expect("a part of it");
    let names: Vec<&str> = overview.queues.iter().map(|queue| queue.name.as_str()).collect();
    assert_eq!(names, ["in", "mine.jobs", "out"]);
    assert!(overview.topics.is_empty() && overview.connections.is_empty());
    assert_eq!(admin.overview().await.expect("all of it").queues.len(), 4);

    let log = server.terminate().stderr;
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("audit: refused")).collect();
    // Ten at once, and the rest are counted.
    assert!((10..=count).contains(&lines.len()), "{log}");
    let first = lines[0];
    for part in
        ["user=\"bob\"", "peer=127.0.0.1:", "op=\"DeclareQueue\"", "name=\"other\"", "configure"]
    {
        assert!(first.contains(part), "{part} is missing in {first}");
    }
}

#[tokio::test]
async fn what_a_user_may_can_change_and_its_connections_hear_of_it() {
    let users = Users::new();
    users.add("bob", &[]);
    let server = users.start(&[]);
    let mut bob = guest(&server, "bob").await;
    assert_eq!(refusal(&mut bob, declare("jobs")).await.0, Code::AccessRefused);
    users.tell(&["permit", "bob", "--configure", "^jobs$"]);
    server.hang_up();
    let begun = Instant::now();
    while bob.overview().await.is_ok() {
        assert!(begun.elapsed() < PATIENCE, "it is told to connect again");
    }
    let mut bob = guest(&server, "bob").await;
    bob.done(declare("jobs")).await.expect("it may now");
}

#[tokio::test]
async fn a_user_has_as_many_connections_as_its_quota_and_not_one_more() {
    let users = Users::new();
    users.add("bob", &["--connections", "2"]);
    let server = users.start(&[]);
    let first = guest(&server, "bob").await;
    let _second = guest(&server, "bob").await;
    let Err(error) = connect(&server, &password("bob")).await else { panic!("a third came in") };
    assert!(error.to_string().contains("as many connections as it may"), "{error}");
    guest(&server, "admin").await;
    first.close().await;
    let begun = Instant::now();
    while connect(&server, &password("bob")).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "a connection that is closed makes room");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(server.terminate().stderr.contains("op=\"connect\""));
}

#[tokio::test]
async fn a_user_has_as_many_queues_as_its_quota_counted_by_its_own_names() {
    let users = Users::new();
    users.add("bob", &["--configure", "^bob\\.", "--queues", "2"]);
    let server = users.start(&[]);
    let mut admin = guest(&server, "admin").await;
    admin.done(declare("other")).await.expect("an admin may");
    let mut bob = guest(&server, "bob").await;
    bob.done(declare("bob.1")).await.expect("there is room");
    bob.done(declare("bob.2")).await.expect("there is room");
    let (code, sentence) = refusal(&mut bob, declare("bob.3")).await;
    assert_eq!((code, sentence.contains("2 queues")), (Code::QuotaExceeded, true), "{sentence}");
    bob.done(declare("bob.2")).await.expect("that one is there already");
    let delete = Op::DeleteQueue { name: "bob.1".into(), if_empty: false, if_unused: false };
    bob.done(delete).await.expect("it may");
    bob.done(declare("bob.3")).await.expect("there is room again");
}

#[tokio::test]
async fn who_publishes_more_than_it_may_is_told_and_then_not_listened_to() {
    let users = Users::new();
    users.add("bob", &["--write", ".*", "--publish-bytes", "1000"]);
    let server = users.start(&[]);
    let mut admin = guest(&server, "admin").await;
    admin.done(declare("q")).await.expect("an admin may");
    let mut bob = guest(&server, "bob").await;
    // One batch is always taken, and owed for.
    bob.request(to_queue("q", 60_000)).await.expect("it may");
    let (code, sentence) = refusal(&mut bob, to_queue("q", 10)).await;
    assert_eq!((code, sentence.contains("1000 bytes a second")), (Code::QuotaExceeded, true));
    assert!(code.is_transient());
    // Another connection is the same user, and what is not a publish is still answered.
    let mut other = guest(&server, "bob").await;
    assert_eq!(refusal(&mut other, to_queue("q", 10)).await.0, Code::QuotaExceeded);
    other.overview().await.expect("it is heard, if late");
    admin.request(to_queue("q", 60_000)).await.expect("others are not slowed");
}
