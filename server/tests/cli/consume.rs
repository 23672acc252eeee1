//! `fanlight consume`.

use std::io::{BufRead, BufReader};

use fanlight_core::{Activity, Event, LeaveReason, Op};
use serde_json::Value;

use crate::harness::{ORDERS, Server, eventually, interrupt};

fn with_topic() -> Server {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "4"]);
    server.run_with(ORDERS, &["publish", "orders", "--key", "order_id"]).succeeded();
    server
}

fn with_queue(lines: usize) -> Server {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs.dead"]);
    server.out(&[
        "queues",
        "declare",
        "jobs",
        "--deliveries-max",
        "2",
        "--dead-letter",
        "jobs.dead",
    ]);
    let input: String = (0..lines).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    server.run_with(&input, &["publish", "jobs"]).succeeded();
    server
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn queue(server: &Server, name: &str, field: &str) -> u64 {
    server.json(&["queues", "describe", name])[field].as_u64().expect("a number")
}

#[test]
fn a_topic_is_read_from_end_to_end_as_often_as_wanted() {
    let server = with_topic();
    for _ in 0..2 {
        assert_eq!(sorted(&server.out(&["consume", "orders"])), sorted(ORDERS));
    }
    assert_eq!(server.out(&["consume", "orders", "--from", "latest"]), "");
    assert_eq!(server.out(&["consume", "orders", "--max", "7"]).lines().count(), 7);
    let all = sorted(ORDERS).len();
    assert_eq!(server.out(&["consume", "orders", "--from", "10m"]).lines().count(), all);
}

#[test]
fn one_partition_is_read_from_an_offset() {
    let server = with_topic();
    let args = ["consume", "orders", "--partition", "1", "--from", "5", "--json", "--max", "3"];
    let offsets: Vec<Value> = server
        .out(&args)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .inspect(|message| assert_eq!(message["partition"], 1))
        .map(|message| message["offset"].clone())
        .collect();
    assert_eq!(offsets, [5, 6, 7]);
    let ran = server.run(&["consume", "orders", "--partition", "4"]);
    assert_eq!(ran.failed(1), "topic orders has no partition 4; it has 0 to 3");
    let ran = server.run(&["consume", "orders", "--partition", "1", "--from", "9999"]);
    assert!(ran.failed(1).contains("9999"), "{}", ran.err);
}

#[test]
fn a_group_goes_on_where_it_was() {
    let server = with_topic();
    let args = ["consume", "orders", "--group", "g", "--max", "200"];
    let first = server.out(&args);
    let second = server.out(&args);
    let rest = server.out(&["consume", "orders", "--group", "g"]);
    assert_eq!((first.lines().count(), second.lines().count()), (200, 200));
    assert_eq!(sorted(&format!("{first}{second}{rest}")), sorted(ORDERS));
    assert_eq!(server.out(&["consume", "orders", "--group", "g"]), "");
}

#[tokio::test]
async fn an_interrupted_member_leaves_its_group_and_what_it_printed_is_committed() {
    let server = with_topic();
    let mut watcher = server.connect().await;
    watcher.done(Op::Watch { on: true }).await.expect("done");
    let mut command = server.command(&["consume", "orders", "--group", "g", "--follow"]);
    let mut child = command.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    for _ in 0..500 {
        lines.next().expect("another line").expect("readable");
    }
    let members = || {
        let groups = server.json(&["groups", "describe", "g"]);
        groups[0]["members"].as_array().expect("a list").len()
    };
    assert_eq!(members(), 1);
    let lag = || -> u64 {
        let groups = server.json(&["groups", "list"]);
        let partitions = groups[0]["partitions"].as_array().expect("a list");
        partitions.iter().map(|partition| partition["lag"].as_u64().expect("a number")).sum()
    };
    eventually("everything printed is committed", || lag() == 0);
    interrupt(&child);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(members(), 0);
    let why = loop {
        let frame = watcher.next().await.expect("an event");
        let Event::Activity { activity, .. } = frame.event().expect("decodes") else { continue };
        if let Activity::MemberLeft { reason, .. } = activity {
            break reason;
        }
    };
    assert_eq!(why, LeaveReason::Left, "it said so, rather than just going away");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly_and_what_it_missed_is_not_committed() {
    let server = Server::start();
    server.out(&["topics", "create", "orders"]);
    server.run_with(&ORDERS.repeat(20), &["publish", "orders"]).succeeded();
    let mut child =
        server.command(&["consume", "orders", "--group", "g"]).spawn().expect("it runs");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    stdout.read_line(&mut first).expect("readable");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let committed = &server.json(&["groups", "list"])[0]["partitions"][0]["committed"];
    assert!(committed.as_u64().unwrap_or(0) < 10_000, "{committed}");
}

#[test]
fn a_queues_messages_are_gone_once_they_are_printed() {
    let server = with_queue(300);
    let first = server.out(&["consume", "jobs", "--max", "50", "--prefetch", "20"]);
    assert_eq!(first.lines().count(), 50);
    assert_eq!(queue(&server, "jobs", "ready"), 250);
    let rest = server.out(&["consume", "jobs"]);
    let all: String = (0..300).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    assert_eq!(format!("{first}{rest}"), all);
    assert_eq!(queue(&server, "jobs", "ready"), 0);
}

#[test]
fn peeking_takes_nothing_and_nothing_counts_as_an_attempt() {
    let server = with_queue(5);
    let args = ["consume", "jobs", "--peek", "--from", "3"];
    assert_eq!(server.out(&args), "{\"n\":3}\n{\"n\":4}\n");
    assert_eq!(server.out(&args), "{\"n\":3}\n{\"n\":4}\n");
    let table = server.out(&["queues", "peek", "jobs", "--max", "1"]);
    let row: Vec<&str> = table.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(row[..3], ["0", "ready", "0"], "{table}");
}

#[test]
fn messages_given_back_are_taken_once_a_run_and_fall_into_the_dead_letter_queue() {
    let server = with_queue(3);
    assert_eq!(server.out(&["consume", "jobs", "--nack"]).lines().count(), 3);
    assert_eq!(queue(&server, "jobs", "ready"), 3);
    assert_eq!(server.out(&["consume", "jobs", "--no-ack"]).lines().count(), 3);
    eventually("the connection's end gave them back a second time", || {
        queue(&server, "jobs.dead", "ready") == 3
    });

    let story = server.out(&["dlq", "show", "jobs.dead", "--offset", "1"]);
    for part in [
        "jobs.dead@1  ready",
        "died in jobs@1",
        "it reached its maximum of deliveries, 2 failed attempts",
        "attempt 1 by fanlight consume ended",
        "its consumer gave it back",
        "its consumer's connection closed",
        "body    {\"n\":1}",
    ] {
        assert!(story.contains(part), "{part:?} is not in\n{story}");
    }
    assert!(!story.contains("x-death"), "{story}");
}

#[test]
fn following_a_queue_prints_what_comes_until_it_is_interrupted() {
    let server = with_queue(2);
    let mut child = server.command(&["consume", "jobs", "-f"]).spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || lines.next().expect("another line").expect("readable");
    assert_eq!((next(), next()), ("{\"n\":0}".to_owned(), "{\"n\":1}".to_owned()));
    server.run_with("{\"n\":2}\n", &["publish", "jobs"]).succeeded();
    assert_eq!(next(), "{\"n\":2}");
    eventually("what was printed is acknowledged", || queue(&server, "jobs", "acked") == 3);
    interrupt(&child);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn what_was_taken_and_not_printed_goes_back_without_an_attempt() {
    let server = with_queue(2_000);
    let peeked = || server.out(&["queues", "peek", "jobs", "--max", "2000", "--json"]);
    let untouched = |count: usize| {
        let messages = peeked();
        assert_eq!(messages.lines().count(), count);
        for line in messages.lines() {
            let message: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(
                (&message["state"], &message["attemptsFailed"]),
                (&"ready".into(), &0.into())
            );
        }
    };
    // As each message is acknowledged, another takes its place in the prefetch.
    let args = ["consume", "jobs", "--follow", "--max", "3"];
    assert_eq!(server.out(&args).lines().count(), 3);
    untouched(1_997);

    // A reader that has gone before anything could be printed.
    let args = ["consume", "jobs", "--prefetch", "256", "--format", "json"];
    let mut child = server.command(&args).spawn().expect("it runs");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
    untouched(1_997);
}

#[test]
fn following_a_topic_prints_what_comes_after_its_end() {
    let server = with_topic();
    let args = ["consume", "orders", "--from", "latest", "--follow", "--max", "2"];
    let child = server.command(&args).spawn().expect("it runs");
    // Whatever is published before it has begun to read is not for it: so more is published
    // until it has seen two.
    let mut child = child;
    eventually("two messages came", || {
        server.run_with("{\"new\":true}\n", &["publish", "orders"]).succeeded();
        child.try_wait().expect("it can be asked").is_some()
    });
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"new\":true}\n{\"new\":true}\n");
}

#[test]
fn bodies_that_are_not_json_are_shown_as_text_or_marked_as_base64() {
    let server = Server::start();
    server.out(&["queues", "declare", "jobs"]);
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("raw");
    std::fs::write(&path, b"plain\n\xff\x00\n").expect("written");
    server.out(&["publish", "jobs", "--raw", path.to_str().expect("UTF-8")]);
    assert_eq!(server.out(&["consume", "jobs", "--peek"]), "plain\nbase64:/wA=\n");
    let json = server.out(&["consume", "jobs", "--json"]);
    let last: Value = serde_json::from_str(json.lines().last().expect("two")).expect("JSON");
    assert_eq!((&last["bodyEncoding"], &last["body"]), (&"base64".into(), &"/wA=".into()));
}
