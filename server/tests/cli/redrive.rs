//! Jobs that redrive, and work groups.

use serde_json::Value;

use crate::harness::{Server, eventually, interrupt};

/// A server with `count` dead messages, of which every second has a header.
fn with_dead(count: u32) -> Server {
    let server = Server::start();
    server.out(&["queues", "declare", "dead"]);
    server.out(&["queues", "declare", "jobs", "--dead-letter", "dead"]);
    let half: String = (0..count / 2).map(|n| format!("{n}\n")).collect();
    server.run_with(&half, &["publish", "jobs", "--header", "tenant=blue"]).succeeded();
    server.run_with(&half, &["publish", "jobs"]).succeeded();
    server.out(&["consume", "jobs", "--reject"]);
    server
}

#[test]
fn a_filter_picks_what_is_redriven_and_a_dry_run_moves_nothing() {
    let server = with_dead(600);
    let redrive = |more: &[&str]| {
        let args: Vec<&str> = ["dlq", "redrive", "dead"].iter().chain(more).copied().collect();
        server.run(&args)
    };
    let blue = ["--header", "tenant=blue", "--reason", "rejected", "--since", "1h"];
    let dry = redrive(&[&blue[..], &["--dry-run"]].concat()).succeeded();
    assert!(dry.contains("\n300 messages would be redriven from dead to where each"), "{dry}");
    assert_eq!(
        dry.lines().count(),
        1 + 16 + 1,
        "a header, the first ones and what would be: {dry}"
    );
    assert_eq!(server.json(&["queues", "describe", "dead"])["ready"], 600);

    let moved = redrive(&[&blue[..], &["--json"]].concat()).succeeded();
    let moved: Value = serde_json::from_str(&moved).expect("JSON");
    assert_eq!((&moved["redriven"], &moved["state"]), (&300.into(), &"done".into()), "{moved}");
    assert_eq!(server.json(&["queues", "describe", "jobs"])["ready"], 300);
    assert_eq!(
        redrive(&["--reason", "expired"]).succeeded(),
        "0 messages redriven from dead to where each had died\n"
    );
    let ran = redrive(&["--all", "--to", "jabs"]);
    assert!(ran.failed(1).contains("did you mean the queue jobs?"), "{}", ran.err);
    assert_eq!(redrive(&[]).code, Some(2));
    assert_eq!(redrive(&["--all", "--max", "3"]).code, Some(2));
}

#[test]
fn a_job_goes_on_alone_is_listed_and_is_stopped() {
    let server = with_dead(200);
    let args = ["dlq", "redrive", "dead", "--all", "--rate", "1/s", "--detach"];
    let job = server.json(&args)["job"].as_str().expect("a name").to_owned();
    let jobs = server.out(&["dlq", "jobs"]);
    let row: Vec<&str> = jobs.lines().last().expect("a row").split_whitespace().collect();
    assert_eq!(row[..4], [&job, "dead", "origin", "running"], "{jobs}");
    let ran = server.run(&["dlq", "redrive", "dead", "--all"]);
    assert!(ran.failed(1).contains(&format!("{job} redrives queue")), "{}", ran.err);
    let stopped = server.out(&["dlq", "stop", &job]);
    assert!(stopped.starts_with(&format!("{job} is stopped; it had redriven ")), "{stopped}");
    assert_eq!(server.json(&["dlq", "jobs"])[0]["state"], "stopped");
    let ran = server.run(&["dlq", "stop", &job]);
    assert!(ran.failed(1).ends_with("no job is running"), "{}", ran.err);
}

#[test]
fn a_job_that_is_waited_for_stops_with_its_command() {
    let server = with_dead(200);
    let args = ["dlq", "redrive", "dead", "--all", "--rate", "1/s"];
    let waiting = server.command(&args).spawn().expect("it runs");
    eventually("the job runs", || server.json(&["dlq", "jobs"])[0]["state"] == "running");
    interrupt(&waiting);
    let output = waiting.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("redrive-1 is stopped"), "{said}");
    assert_eq!(server.json(&["dlq", "jobs"])[0]["state"], "stopped");
}

#[test]
fn a_work_group_takes_a_topics_records_one_by_one() {
    let server = Server::start();
    server.out(&["topics", "create", "orders", "--partitions", "2"]);
    server.run_with("1\n2\n3\n", &["publish", "orders", "--partition", "1"]).succeeded();
    assert!(server.out(&["work-groups"]).starts_with("there are no work groups"));
    let ran = server.run(&["work-groups", "create", "packers", "--topic", "ordres"]);
    assert!(ran.failed(1).contains("did you mean the topic orders?"), "{}", ran.err);
    let create = ["work-groups", "create", "packers", "--topic", "orders", "--visibility", "5s"];
    server.out(&create);
    assert_eq!(server.out(&["consume", "packers", "--max", "2"]), "1\n2\n");
    let listed = server.out(&["work-groups"]);
    let row: Vec<&str> = listed.lines().last().expect("a row").split_whitespace().collect();
    assert_eq!(row[..4], ["packers", "orders", "2", "1"], "{listed}");
    let described = server.out(&["work-groups", "describe", "packers"]);
    assert!(described.contains("visibility         5s\n"), "{described}");
    assert_eq!(server.json(&["work-groups", "describe", "packers"])["parts"][1]["acked"], 2);
    let ran = server.run(&["messages", "peek", "packers"]);
    assert!(ran.failed(2).contains("name a part, as packers/0"), "{}", ran.err);
    assert_eq!(server.json(&["messages", "show", "packers/1@2"])["body"], 3);

    // A second one is made by who consumes in it.
    let consume = ["consume", "orders", "--work-group", "auditors"];
    assert_eq!(server.out(&consume), "1\n2\n3\n");
    assert_eq!(server.out(&consume), "");
    server.out(&["topics", "create", "mail"]);
    let ran = server.run(&["consume", "mail", "--work-group", "auditors"]);
    assert!(ran.failed(2).contains("works on topic orders, not on mail"), "{}", ran.err);
    server.out(&["work-groups", "delete", "auditors", "--yes"]);
    let ran = server.run(&["work-groups", "describe", "auditors"]);
    assert!(ran.failed(1).contains("no work group called auditors"), "{}", ran.err);
}
