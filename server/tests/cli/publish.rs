//! `fanlight publish`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use serde_json::Value;

use crate::harness::{ORDERS, Ran, Server, eventually, interrupt};

/// A number in a JSON document.
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn events_published_by_key_lie_where_kafka_would_put_them_and_groups_show_the_lag() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "4"]);
    let events = ORDERS.repeat(10);
    let args = ["publish", "orders", "--key", "country", "--json"];
    let published: Value =
        serde_json::from_str(&server.run_with(&events, &args).succeeded()).expect("JSON");
    assert_eq!(published["messages"], 5_000);
    assert_eq!(published["bytes"], events.len() - 5_000);

    // By country, as Kafka's default partitioner has it: the same key, the same partition.
    let mut expected = BTreeMap::<u64, u64>::new();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let country = event["country"].as_str().expect("a country").as_bytes();
        *expected.entry(u64::from(fanlight_core::partition_of(country, 4))).or_default() += 1;
    }
    let told: BTreeMap<u64, u64> = published["to"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|to| (number(&to["partition"]), number(&to["messages"])))
        .collect();
    assert_eq!(told, expected);
    assert!(told.len() > 1, "one partition proves nothing: {told:?}");

    let read = server.out(&["consume", "orders", "--group", "billing", "--max", "1200"]);
    assert_eq!(read.lines().count(), 1_200);
    let table = server.out(&["groups", "describe", "billing"]);
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(
        lines.next().expect("headers"),
        [
            "GROUP",
            "TOPIC",
            "PARTITION",
            "CURRENT-OFFSET",
            "LOG-END-OFFSET",
            "LAG",
            "BEHIND",
            "OWNER"
        ]
    );
    let (mut current, mut lag) = (0, 0);
    for row in lines {
        let cell = |at: usize| row[at].parse::<u64>().unwrap_or(0);
        assert_eq!(cell(4), expected.get(&cell(2)).copied().unwrap_or(0), "{table}");
        assert_eq!(cell(5), cell(4) - cell(3), "{table}");
        (current, lag) = (current + cell(3), lag + cell(5));
    }
    assert_eq!((current, lag), (1_200, 3_800), "{table}");
}

#[test]
fn a_null_key_publishes_without_one_and_every_partitions_count_is_told() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "3"]);
    let args = ["publish", "orders", "--key", "customer_id", "--json"];
    let published: Value =
        serde_json::from_str(&server.run_with(ORDERS, &args).succeeded()).expect("JSON");
    let topic = server.json(&["topics", "describe", "orders"]);
    for to in published["to"].as_array().expect("a list") {
        let end = &topic["partitions"][number(&to["partition"]) as usize]["end"];
        assert_eq!(&to["messages"], end, "{published} {topic}");
    }
    let keys: BTreeSet<bool> = server
        .out(&["consume", "orders", "--format", "json"])
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["key"].is_null())
        .collect();
    assert_eq!(keys, BTreeSet::from([false, true]));
}

#[test]
fn a_line_that_is_not_json_is_named_and_all_lines_before_it_are_published() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    let good: String = ORDERS.lines().take(250).map(|line| format!("{line}\n")).collect();
    let input = format!("{good}{{\"country\": \"France\",}}\n{good}");
    let ran = server.run_with(&input, &["publish", "orders", "--batch", "100"]);
    let sentence = ran.failed(1);
    assert!(sentence.starts_with("standard input:251:22: this is not JSON"), "{sentence}");
    assert!(sentence.contains("one JSON value"), "{sentence}");
    assert!(
        sentence.ends_with("The 250 messages before it are published and confirmed"),
        "{sentence}"
    );
    assert_eq!(server.out(&["consume", "orders"]), good);
}

#[test]
fn lines_that_are_not_right_can_be_skipped_and_are_counted() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let input = "{\"id\":1}\n[2]\n{\"id\":3\n\n{\"ID\":4}\n{\"id\":5}\n";
    let ran = server.run_with(input, &["publish", "jobs", "--key", "id", "--skip-invalid"]);
    assert!(ran.succeeded().contains("3 invalid lines skipped"));
    assert_eq!(server.out(&["consume", "jobs"]), "{\"id\":1}\n{\"id\":5}\n");
}

#[test]
fn a_line_without_the_key_says_what_it_has_instead() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    let ran = server.run_with(ORDERS, &["publish", "orders", "--key", "contry"]);
    assert_eq!(
        ran.failed(1),
        "standard input:1: the object has no field contry; did you mean country?; with --key \
         contry every line has to have that field; --skip-invalid passes over lines that are not \
         right. Nothing was published"
    );
    assert_eq!(server.out(&["consume", "orders"]), "");
}

#[test]
fn a_full_queue_takes_what_fits_and_what_it_did_not_take_is_named() {
    let server = Server::start();
    server.out(&["queues", "declare", "small", "--messages-max", "120"]);
    let args = ["publish", "small", "--batch", "50", "--retry-for", "200ms"];
    let ran = server.run_with(ORDERS, &args);
    let sentence = ran.failed(1);
    assert!(sentence.starts_with("standard input:121: "), "{sentence}");
    assert!(sentence.contains("QueueFull") && sentence.contains("--retry-for"), "{sentence}");
    assert!(sentence.ends_with("120 messages are published and confirmed"), "{sentence}");
    assert!(ran.err.contains("trying again"), "{}", ran.err);
    let kept: String = ORDERS.lines().take(120).map(|line| format!("{line}\n")).collect();
    assert_eq!(server.out(&["consume", "small"]), kept);
}

#[test]
fn a_full_queue_is_waited_for_and_with_one_batch_in_flight_the_order_is_kept() {
    let server = Server::start();
    server.out(&["queues", "declare", "small", "--messages-max", "70"]);
    let args = ["publish", "small", "--batch", "40", "--in-flight", "1"];
    let publishing = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| server.run_with(ORDERS, &args));
        let mut consumed = String::new();
        eventually("all is published and consumed", || {
            consumed += &server.out(&["consume", "small"]);
            consumed.lines().count() >= 500
        });
        assert_eq!(consumed, ORDERS);
        publishing.join().expect("it does not panic")
    });
    assert!(publishing.succeeded().contains("500 messages"));
}

#[test]
fn a_batch_that_is_too_large_is_cut_until_the_one_message_is_found_that_is() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    let huge = format!("\"{}\"\n", "x".repeat(3 << 20));
    let input = format!("1\n2\n3\n{huge}5\n");
    let ran = server.run_with(&input, &["publish", "orders"]);
    let sentence = ran.failed(1);
    assert!(sentence.starts_with("standard input:4: ") && sentence.contains("TooLarge"));
    // The line after it may have been on its way already; what is told is what is there.
    let kept = server.out(&["consume", "orders"]);
    assert!(kept.starts_with("1\n2\n3\n"), "{kept}");
    let told = format!("{} messages are published and confirmed", kept.lines().count());
    assert!(sentence.ends_with(&told), "{sentence}");
}

#[test]
fn lines_piped_in_slowly_are_published_as_they_come() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let mut command = server.command(&["publish", "jobs"]);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"{\"id\":1}\n").expect("it reads");
    let ready = || number(&server.json(&["queues", "describe", "jobs"])["ready"]);
    eventually("the first line is there while the input is open", || ready() == 1);
    stdin.write_all(b"{\"id\":2}\n").expect("it reads");
    eventually("the second line is there while the input is open", || ready() == 2);

    interrupt(&child);
    let output = child.wait_with_output().expect("it ends");
    let ran = Ran::of(&["publish"], &output);
    assert_eq!(ran.failed(130), "interrupted: 2 messages published and confirmed");
    drop(stdin);
}

#[test]
fn a_rate_spreads_messages_over_time() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let input: String = ORDERS.lines().take(30).map(|line| format!("{line}\n")).collect();
    let args = ["publish", "jobs", "--rate", "100/s", "--json"];
    let published: Value =
        serde_json::from_str(&server.run_with(&input, &args).succeeded()).expect("JSON");
    // The first batch of ten leaves at once, the third 0.2 s later.
    let seconds = published["seconds"].as_f64().expect("a number");
    assert!(seconds >= 0.2, "{seconds} s is too fast");
}

#[test]
fn files_are_read_in_order_and_headers_go_on_every_message() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(path("a"), "\u{feff}{\"id\":1}\r\n").expect("written");
    std::fs::write(path("b"), "{\"id\":2}").expect("written");
    let (a, b) = (path("a"), path("b"));
    server.out(&["publish", "jobs", &a, &b, "--header", "source=shell"]);
    let out = server.out(&["consume", "jobs", "--json"]);
    let messages: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(messages[0]["body"]["id"], 1);
    assert_eq!(messages[1]["body"]["id"], 2);
    assert!(messages.iter().all(|message| message["headers"]["source"] == "shell"));

    let missing = server.run(&["publish", "jobs", &a, &path("c")]);
    assert!(missing.failed(1).contains("nothing was published"));
    assert_eq!(server.out(&["consume", "jobs"]), "");
}

#[test]
fn an_exchange_routes_to_what_is_bound_and_the_summary_says_where() {
    let server = Server::start();
    server.out(&["queues", "declare", "payment"]);
    server.out(&["topics", "create", "audit", "--partitions", "2"]);
    server.out(&["exchanges", "declare", "shop", "--kind", "topic"]);
    server.out(&["exchanges", "bind", "shop", "--queue", "payment", "--pattern", "order.*"]);
    server.out(&["exchanges", "bind", "shop", "--topic", "audit", "--pattern", "#"]);
    let args = ["publish", "shop", "--routing-key", "order.placed", "--key", "order_id", "--json"];
    let published: Value =
        serde_json::from_str(&server.run_with(ORDERS, &args).succeeded()).expect("JSON");
    let to = published["to"].as_array().expect("a list");
    let sum = |field: &str, name: &str| -> u64 {
        let there = to.iter().filter(|place| place[field] == name);
        there.map(|place| number(&place["messages"])).sum()
    };
    assert_eq!((sum("queue", "payment"), sum("topic", "audit")), (500, 500));
    assert_eq!(server.out(&["consume", "audit"]).lines().count(), 500);

    let args = ["publish", "shop", "--routing-key", "other"];
    server.run_with("1\n", &args).succeeded();
    server.out(&["exchanges", "unbind", "shop", "--topic", "audit", "--pattern", "#"]);
    let ran = server.run_with("1\n", &args);
    assert!(ran.failed(1).contains("Unroutable"), "{}", ran.err);
}
