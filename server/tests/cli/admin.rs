//! Altering, resetting by a shift, removing members, and looking at single messages.

use fanlight_core::{Batch, Event, Op, Sequenced, Target, Unroutable};

use crate::harness::{ORDERS, Server, eventually};

fn rows(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn a_topic_is_altered_gets_partitions_and_is_trimmed() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "2", "--retention", "24h"]);
    assert_eq!(
        server.out(&["topics", "alter", "orders", "--retention", "none", "--partitions", "3"]),
        "topic orders: retention 1day → forever, partitions 2 → 3\n"
    );
    assert_eq!(server.out(&["topics", "alter", "orders"]), "topic orders is as it was\n");
    let topic = server.json(&["topics", "describe", "orders"]);
    assert_eq!(topic["partitions"].as_array().expect("a list").len(), 3);
    assert!(topic["policy"]["retention"].is_null(), "{topic}");

    let input: String = (0..600).map(|n| format!("{n}\n")).collect();
    server.run_with(&input, &["publish", "orders", "--partition", "1"]).succeeded();
    let trim = ["topics", "trim", "orders", "--before", "latest"];
    assert!(server.run(&trim).failed(2).contains("before the end will be gone"));
    let trim: Vec<&str> = trim.iter().chain(&["--yes"]).copied().collect();
    assert_eq!(server.json(&trim)["deleted"], 600);
    assert_eq!(server.json(&["topics", "describe", "orders"])["partitions"][1]["start"], 600);
}

#[test]
fn a_queues_policy_is_altered_and_what_is_not_named_stays() {
    let server = Server::start();
    server.out(&["queues", "declare", "dead"]);
    server.out(&["queues", "declare", "jobs", "--deliveries-max", "5", "--dead-letter", "dead"]);
    let altered = server.out(&[
        "queues",
        "alter",
        "jobs",
        "--retry-delay",
        "1s",
        "--backoff-max",
        "10m",
        "--messages-max",
        "7",
        "--overflow",
        "drop-oldest",
    ]);
    assert_eq!(
        altered,
        "queue jobs: messages max the server's limit → 7, retry delay 0s → 1s, overflow as by \
         default → the oldest are dropped, backoff as by default → doubles, up to 10m\n"
    );
    let policy = server.json(&["queues", "describe", "jobs"])["policy"].clone();
    assert_eq!(policy["deliveriesMax"], 5, "{policy}");
    assert_eq!(policy["messagesMax"], 7, "{policy}");
    let ran = server.run(&["queues", "alter", "jobs", "--dead-letter", "daed"]);
    assert!(ran.failed(1).contains("did you mean the queue dead?"), "{}", ran.err);
    let ran = server.run(&["queues", "alter", "jobs", "--dead-letter", "none"]);
    assert!(ran.failed(2).contains("--deliveries-max needs --dead-letter"), "{}", ran.err);
    let ran = server.run(&["queues", "declare", "jobs"]);
    assert!(ran.failed(1).contains("`fanlight queues alter jobs` changes it"), "{}", ran.err);
}

#[test]
fn a_group_is_shifted_as_far_as_its_partitions_reach() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    server.run_with(ORDERS, &["publish", "orders"]).succeeded();
    server.out(&["consume", "orders", "--group", "g"]);
    let shift = |by: &'static str, more: &[&'static str]| {
        let args = ["groups", "reset", "g", "--topic", "orders", "--shift", by];
        let args: Vec<&str> = args.iter().chain(more).copied().collect();
        server.run(&args)
    };
    let committed = || server.json(&["groups", "describe", "g"])[0]["partitions"][0].clone();
    let dry = shift("-100", &["--dry-run"]).succeeded();
    assert_eq!(rows(&dry)[1], ["g", "orders", "0", "500", "400", "-100"]);
    assert_eq!(committed()["committed"], 500);
    shift("-100", &[]).succeeded();
    assert_eq!(committed()["committed"], 400);
    let moved = shift("-1000", &["--json"]).succeeded();
    let moved: serde_json::Value = serde_json::from_str(&moved).expect("JSON");
    assert_eq!(moved["partitions"][0]["to"], 0);
    assert_eq!(moved["dryRun"], false);
    let all = ["groups", "reset", "g", "--all-topics", "--to", "latest"];
    assert_eq!(rows(&server.out(&all))[1], ["g", "orders", "0", "0", "500", "+500"]);
    let forget = ["groups", "forget", "g", "--topic", "orders", "--yes"];
    assert_eq!(server.json(&forget)["forgotten"], 1);
    assert!(shift("1", &[]).failed(1).contains("nothing to shift from"));
}

#[test]
fn an_active_group_is_not_reset_until_its_members_are_out() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    let reads = ["consume", "orders", "--group", "g", "--follow"];
    let mut reader = server.command(&reads).spawn().expect("it runs");
    eventually("the reader is a member", || {
        server.run(&["groups", "describe", "g", "--members"]).out.contains("fanlight consume")
    });
    let reset = ["groups", "reset", "g", "--topic", "orders", "--to", "earliest", "--dry-run"];
    let ran = server.run(&reset);
    assert!(
        ran.failed(1).starts_with("group g is active: it has 1 member, member-"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("`fanlight groups remove-members g --all`"), "{}", ran.err);
    let ran = server.run(&["groups", "remove-members", "g", "member-77"]);
    assert!(ran.failed(1).contains("--members` shows who is in it"), "{}", ran.err);
    assert_eq!(server.json(&["groups", "remove-members", "g", "--all"])["removed"], 1);
    assert_eq!(reader.wait().expect("it ends").code(), Some(1));
    server.run(&reset).succeeded();
    assert_eq!(rows(&server.out(&["groups"]))[1][..3], ["g", "Empty", "0"]);
}

#[test]
fn messages_are_peeked_at_shown_and_followed_without_being_taken() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "2"]);
    let input: String = (0..700).map(|n| format!("{n}\n")).collect();
    server.run_with(&input, &["publish", "orders", "--partition", "1"]).succeeded();
    let peeked = server.out(&["messages", "peek", "orders", "--from", "100", "--max", "600"]);
    let peeked = rows(&peeked);
    assert_eq!(peeked.len(), 601, "more than one read brings");
    assert_eq!((peeked[1][1], peeked[1][4]), ("100", "100"));
    let last = server.out(&["messages", "peek", "orders", "--last", "--max", "1", "--json"]);
    let last: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!((&last["offset"], &last["body"]), (&699.into(), &699.into()));
    assert_eq!(server.json(&["messages", "show", "orders/1@14"])["body"], 14);
    let ran = server.run(&["messages", "show", "orders@14"]);
    assert!(ran.failed(2).contains("as orders/0@14"), "{}", ran.err);

    server.out(&["queues", "declare", "dead"]);
    server.out(&["queues", "declare", "jobs", "--dead-letter", "dead"]);
    server.run_with("{\"n\":1}\n", &["publish", "jobs"]).succeeded();
    let shown = server.out(&["messages", "show", "jobs@0"]);
    assert!(shown.starts_with("jobs@0  ready, came ") && shown.contains("{\"n\":1}"), "{shown}");
    assert_eq!(rows(&server.out(&["messages", "peek", "jobs"])).len(), 2);
    server.out(&["consume", "jobs", "--reject"]);
    let ran = server.run(&["messages", "show", "jobs@0"]);
    assert!(ran.failed(1).contains("`fanlight messages journey jobs@0`"), "{}", ran.err);
    let journey = server.out(&["messages", "journey", "jobs@0"]);
    let told: Vec<Vec<&str>> = rows(&journey).into_iter().map(|row| row[1..3].to_vec()).collect();
    assert_eq!(
        told,
        [["MESSAGE", "WHAT"], ["jobs@0", "published"], ["jobs@0", "handed"], ["jobs@0", "died"]]
    );
    assert_eq!(server.json(&["messages", "journey", "dead@0"])["steps"][2]["place"], "jobs");
    let ran = server.run(&["messages", "journey", "jobz@0"]);
    assert!(ran.failed(1).contains("did you mean the queue jobs?"), "{}", ran.err);
}

#[test]
fn a_list_of_more_than_a_page_is_shown_whole() {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().expect("it starts");
    runtime.block_on(async {
        let mut client = server.connect().await;
        for n in 0..1_050 {
            let name = format!("q{n:04}");
            let op = fanlight_core::Op::DeclareQueue {
                name: name.into(),
                policy: fanlight_core::QueuePolicy::default(),
            };
            client.done(op).await.expect("it is declared");
        }
    });
    let listed = server.out(&["queues"]);
    assert_eq!(listed.lines().count(), 1_051);
    assert!(listed.lines().last().expect("a line").starts_with("q1049"), "{listed}");
    assert_eq!(server.json(&["queues"]).as_array().expect("a list").len(), 1_050);
}

#[test]
fn a_headers_exchange_is_bound_by_headers_and_lists_them() {
    let server = Server::start();
    server.out(&["queues", "declare", "blue"]);
    server.out(&["exchanges", "declare", "rest", "--kind", "fanout"]);
    let declare = ["exchanges", "declare", "tenants", "--kind", "headers", "--alternate", "rest"];
    server.out(&declare);
    let bind = ["exchanges", "bind", "tenants", "--queue", "blue", "--header", "tenant=blue"];
    let any: Vec<&str> =
        bind.iter().chain(&["--header", "vip", "--match", "any"]).copied().collect();
    server.out(&any);
    let listed = server.out(&["exchanges"]);
    assert!(listed.contains("any of tenant=blue vip"), "{listed}");
    assert_eq!(server.json(&["exchanges"])[1]["policy"]["alternate"], "rest");
    let publish = ["publish", "tenants", "--header", "tenant=blue"];
    server.run_with("1\n", &publish).succeeded();
    assert_eq!(server.out(&["consume", "blue"]), "1\n");
}

#[test]
fn producers_and_their_open_transactions_are_listed_and_described() {
    let server = Server::start();
    assert_eq!(server.out(&["producers"]), "no producer numbers its batches\n");
    assert_eq!(server.out(&["transactions"]), "no transaction is open\n");
    server.out(&["topics", "create", "orders"]);
    let runtime = tokio::runtime::Runtime::new().expect("it starts");
    let producer = runtime.block_on(async {
        let mut client = server.connect().await;
        let op = Op::InitProducer { name: Some("billing-tx".into()), timeout: None, current: None };
        let answer = client.request(op).await.expect("a producer");
        let Event::ProducerReady { producer, epoch, .. } = answer.event().expect("an event") else {
            panic!("{answer:?}");
        };
        let records = Batch::new().push_body(b"1").push_body(b"2").finish().expect("two records");
        let publish = Op::Publish {
            to: Target::Topic { name: "orders".into(), partition: Some(0) },
            confirm: true,
            unroutable: Unroutable::Refuse,
            records,
            by: Some(Sequenced { producer, epoch, sequence: 0 }),
            transactional: true,
        };
        client.request(publish).await.expect("it is published");
        producer.to_string()
    });
    let open = server.out(&["transactions"]);
    let row = &rows(&open)[1];
    assert_eq!((row[0], row[1], row[5]), (producer.as_str(), "billing-tx", "2"), "{open}");
    assert!(server.out(&["producers"]).contains("billing-tx"));
    for name in ["billing-tx", &producer] {
        let described = server.out(&["producers", "describe", name]);
        let last: Vec<&str> = described.lines().last().expect("a row").split_whitespace().collect();
        assert_eq!(last, ["orders", "0", "0", "2"], "{described}");
    }
    let ran = server.run(&["producers", "describe", "nobody"]);
    assert!(ran.failed(1).contains("`fanlight producers` lists"), "{}", ran.err);
}
