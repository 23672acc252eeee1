//! Topics, queues, exchanges, groups, dead letters, watching and measuring.

use serde_json::Value;

use crate::harness::{ORDERS, Server, eventually};

fn cells(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(cells).collect()
}

#[test]
fn topics_come_are_listed_and_go() {
    let server = Server::start();
    assert!(server.out(&["topics"]).starts_with("there are no topics"));
    assert_eq!(
        server.out(&["topics", "create", "orders", "--partitions", "2"]),
        "topic orders has 2 partitions\n"
    );
    server.run_with("1\n2\n3\n", &["publish", "orders", "--partition", "1"]).succeeded();
    let listed = server.out(&["topics", "list"]);
    assert_eq!(table(&listed)[0], ["TOPIC", "PARTITIONS", "RECORDS", "BYTES"]);
    assert_eq!(table(&listed)[1][..3], ["orders", "2", "3"]);
    let described = server.out(&["topics", "describe", "orders"]);
    assert!(described.starts_with("retention          forever\n"), "{described}");
    let rows = table(&described);
    let rows: Vec<_> = rows.iter().filter(|row| row.first() == Some(&"orders")).collect();
    assert_eq!(rows[0][..5], ["orders", "0", "0", "0", "0"]);
    assert_eq!(rows[1][..5], ["orders", "1", "0", "3", "3"]);
    assert_eq!(server.json(&["topics"])[0]["partitions"][1]["end"], 3);
    let ran = server.run(&["topics", "delete", "orders"]);
    assert!(ran.failed(2).contains("with its 3 records"), "{}", ran.err);
    server.out(&["topics", "delete", "orders", "--yes"]);
    assert_eq!(server.json(&["topics", "list"]), Value::Array(Vec::new()));
}

#[test]
fn a_queue_is_declared_with_its_policy_purged_and_deleted() {
    let server = Server::start();
    server.out(&["queues", "declare", "dead"]);
    server.out(&[
        "queues",
        "declare",
        "jobs",
        "--visibility",
        "500ms",
        "--deliveries-max",
        "5",
        "--dead-letter",
        "dead",
        "--messages-max",
        "10",
        "--retry-delay",
        "2h",
    ]);
    let described = server.out(&["queues", "describe", "jobs"]);
    for (what, value) in [
        ("visibility", "500ms"),
        ("deliveries max", "5"),
        ("dead-letter queue", "dead"),
        ("messages max", "10"),
        ("retry delay", "2h"),
    ] {
        assert!(described.contains(&format!("{what:<18} {value}\n")), "{what}: {described}");
    }
    server.run_with("1\n2\n", &["publish", "jobs"]).succeeded();
    assert!(server.run(&["queues", "purge", "jobs"]).failed(2).contains("add --yes"));
    assert!(server.run(&["queues", "delete", "jobs"]).failed(2).contains("its 2 messages"));
    assert_eq!(server.out(&["queues", "purge", "jobs", "-y"]), "2 messages purged from jobs\n");
    let ran = server.run(&["queues", "delete", "dead"]);
    assert!(ran.failed(1).contains("InUse"), "{}", ran.err);
    server.out(&["queues", "delete", "jobs"]);
    server.out(&["queues", "delete", "dead"]);
    assert!(server.out(&["queues"]).starts_with("there are no queues"));
}

#[test]
fn exchanges_are_listed_with_their_bindings() {
    let server = Server::start();
    server.out(&["queues", "declare", "mail"]);
    server.out(&["exchanges", "declare", "shop", "--kind", "topic"]);
    server.out(&["exchanges", "declare", "all", "--kind", "fanout"]);
    server.out(&["exchanges", "bind", "shop", "--queue", "mail", "--pattern", "order.#"]);
    server.out(&["exchanges", "bind", "all", "--exchange", "shop"]);
    let listed = server.out(&["exchanges"]);
    assert_eq!(
        table(&listed),
        [
            vec!["EXCHANGE", "KIND", "PATTERN", "TO"],
            vec!["all", "fanout", "-", "exchange", "shop"],
            vec!["shop", "topic", "order.#", "queue", "mail"],
        ]
    );
    let ran = server.run(&["exchanges", "bind", "shop", "--queue", "mial"]);
    assert!(ran.failed(1).contains("did you mean the queue mail?"), "{}", ran.err);
    let ran = server.run(&["exchanges", "bind", "shop"]);
    assert_eq!(ran.code, Some(2));
    server.out(&["exchanges", "delete", "all"]);
    assert_eq!(server.json(&["exchanges"]).as_array().expect("a list").len(), 1);
}

#[test]
fn a_group_is_reset_only_when_it_is_not_a_dry_run() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    server.run_with(ORDERS, &["publish", "orders"]).succeeded();
    server.out(&["consume", "orders", "--group", "g"]);
    let committed = || server.json(&["groups", "describe", "g"])[0]["partitions"][0].clone();
    assert_eq!(committed()["committed"], 500);

    let reset = ["groups", "reset", "g", "--topic", "orders", "--to"];
    let to = |place: &'static str, more: &[&'static str]| {
        let args: Vec<&str> = reset.iter().chain([&place]).chain(more).copied().collect();
        server.run(&args)
    };
    let dry = to("earliest", &["--dry-run"]).succeeded();
    assert_eq!(table(&dry)[1], ["g", "orders", "0", "500", "0", "-500"]);
    assert!(dry.ends_with("nothing was changed: this was a dry run\n"));
    assert_eq!(committed()["committed"], 500);

    to("120", &["--partition", "0"]).succeeded();
    assert_eq!(committed()["lag"], 380);
    to("latest", &[]).succeeded();
    assert_eq!(committed()["lag"], 0);
    to("1h", &[]).succeeded();
    assert_eq!(committed()["committed"], 0);
    assert!(to("501", &[]).failed(1).contains("OffsetOutOfRange"));
    assert_eq!(server.out(&["consume", "orders", "--group", "g"]), ORDERS);
    server.out(&["groups", "delete", "g"]);
    assert!(server.run(&["groups", "delete", "g"]).failed(1).contains("no group called g"));
}

#[test]
fn dead_messages_are_listed_mended_redriven_and_purged() {
    let server = Server::start();
    server.out(&["queues", "declare", "dead"]);
    server.out(&["queues", "declare", "jobs", "--dead-letter", "dead"]);
    server.out(&["queues", "declare", "other"]);
    let input: String = (0..250).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    server.run_with(&input, &["publish", "jobs"]).succeeded();
    assert_eq!(server.out(&["consume", "jobs", "--reject"]), input);

    let listed = server.out(&["dlq"]);
    assert_eq!(table(&listed)[1][..4], ["dead", "250", "0", "0"]);
    assert_eq!(table(&listed)[1][5], "jobs");
    let first: Value =
        serde_json::from_str(&server.out(&["dlq", "show", "dead", "--offset", "0", "--json"]))
            .expect("JSON");
    assert_eq!(first["deaths"][0]["queue"], "jobs");
    assert_eq!(first["deaths"][0]["reason"], "rejected");

    let some = server.run(&["dlq", "show", "dead", "--max", "2"]);
    assert_eq!(some.err, "dead holds more than these 2: --max shows more\n");
    assert_eq!(some.succeeded().matches("died in jobs@").count(), 2);

    let mended = ["dlq", "redrive", "dead", "--offset", "3", "--body", "{\"mended\":true}"];
    assert_eq!(server.out(&mended), "1 message redriven from dead to where each had died\n");
    let back = server.out(&["consume", "jobs", "--json"]);
    let back: Value = serde_json::from_str(&back).expect("JSON");
    assert_eq!(back["body"]["mended"], true);
    assert_eq!(back["deaths"][0]["offset"], 3);

    let ran = server.run(&["dlq", "show", "dead", "--offset", "3"]);
    assert!(ran.failed(1).contains("holds no message at offset 3"), "{}", ran.err);
    assert_eq!(server.json(&["dlq", "redrive", "dead", "--max", "4", "--to", "other"]), {
        serde_json::json!({ "queue": "dead", "redriven": 4, "to": "other" })
    });
    assert_eq!(server.json(&["dlq", "redrive", "dead", "--all"])["redriven"], 245);
    assert_eq!(server.out(&["consume", "jobs", "--reject"]).lines().count(), 245);
    assert_eq!(server.out(&["dlq", "purge", "dead", "--yes"]), "245 messages purged from dead\n");
}

#[test]
fn watching_prints_what_happens_in_sentences() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let mut watching = server.command(&["watch", "--max", "6", "--json"]).spawn().expect("it runs");
    // It may not watch yet when the first message comes.
    eventually("six things happened", || {
        server.run_with("1\n", &["publish", "jobs"]).succeeded();
        watching.try_wait().expect("it can be asked").is_some()
    });
    let output = watching.wait_with_output().expect("it ends");
    let lines: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 6);
    let enqueued = lines.iter().find(|line| line["activity"]["enqueued"].is_object());
    let sentence = enqueued.expect("a publish")["sentence"].as_str().expect("text");
    assert!(sentence.starts_with("queue jobs got 1 message from offset"), "{sentence}");
}
