//! `fanlight bench`: what it counts adds up, and it leaves nothing behind.

use serde_json::Value;

use super::harness::{Ran, Server, eventually, interrupt};

const SHORT: [&str; 5] = ["bench", "--messages", "2050", "--warmup", "20ms"];

fn measured(server: &Server, args: &[&str]) -> Value {
    let args: Vec<&str> = SHORT.iter().chain(args).copied().collect();
    server.json(&args)
}

#[track_caller]
fn number(value: &Value, name: &str) -> f64 {
    value[name].as_f64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// One side's numbers agree with each other.
#[track_caller]
fn assert_sound(side: &Value, messages: u64, size: f64) {
    assert_eq!(side["messages"], messages, "{side}");
    let (rate, seconds) = (number(side, "messagesPerSecond"), number(side, "seconds"));
    assert!((rate * seconds / messages as f64 - 1.0).abs() < 1e-6, "{side}");
    let megabytes = number(side, "megabytesPerSecond");
    assert!((megabytes / (rate * size / 1e6) - 1.0).abs() < 1e-6, "{side}");
    let latency = &side["latencyMs"];
    if latency.is_null() {
        return;
    }
    assert_eq!(latency["count"], messages, "{side}");
    let quantiles = ["p50", "p90", "p99", "p999", "max"].map(|name| number(latency, name));
    assert!(quantiles.is_sorted() && quantiles[0] > 0.0, "{side}");
    assert!(number(latency, "mean") <= quantiles[4], "{side}");
}

#[track_caller]
fn assert_empty(server: &Server) {
    for what in ["topics", "queues"] {
        assert_eq!(server.json(&[what]), Value::Array(Vec::new()));
    }
    let exchanges = server.json(&["exchanges"]).to_string();
    assert!(!exchanges.contains("bench"), "{exchanges}");
}

#[test]
fn every_workload_counts_each_message_once_a_copy_and_leaves_nothing_behind() {
    let server = Server::start();
    for (workload, copies) in [("stream", 1), ("queue", 1), ("queue-batch", 1), ("fanout", 2)] {
        for more in [&["--batch", "50"][..], &["--rate", "20000", "--producers", "3"]] {
            let args = ["--workload", workload, "--consumers", "2", "--size", "100"];
            let args: Vec<&str> = args.iter().chain(more).copied().collect();
            let document = measured(&server, &args);
            assert_sound(&document["publish"], 2_050, 100.0);
            assert_sound(&document["consume"], 2_050 * copies, 100.0);
            assert_eq!(document["load"]["workload"], workload);
            assert!(number(&document["machine"], "cores") >= 1.0, "{document}");
        }
    }
    assert_empty(&server);
}

#[test]
fn sides_that_are_measured_apart_count_the_same_and_claim_no_latency_of_the_whole() {
    let server = Server::start();
    for workload in ["stream", "queue"] {
        let document = measured(&server, &["--workload", workload, "--apart", "--batch", "100"]);
        assert_sound(&document["publish"], 2_050, 1024.0);
        assert_sound(&document["consume"], 2_050, 1024.0);
        assert!(document["consume"]["latencyMs"].is_null(), "{document}");
    }
    assert_empty(&server);
}

#[test]
fn a_rate_is_kept_to_for_the_time_that_was_asked_for() {
    let server = Server::start();
    let args = ["bench", "--rate", "1000", "--duration", "400ms", "--warmup", "100ms"];
    let document = server.json(&[&args[..], &["--producers", "2"]].concat());
    // As many as are due in that time, however slow the machine is.
    assert_sound(&document["publish"], 400, 1024.0);
    assert_sound(&document["consume"], 400, 1024.0);
}

#[test]
fn a_server_of_its_own_is_measured_beside_the_floors_and_gone_with_its_data() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().to_str().expect("a path");
    let nobody = Server::start();
    let args = ["--sync", "always", "--data", data, "--floor", "--batch", "50"];
    let document = measured(&nobody, &args);
    assert_sound(&document["publish"], 2_050, 1024.0);
    assert_eq!(document["server"]["sync"], "always");
    for floor in ["echo", "append", "appendAndSync"] {
        assert!(number(&document["floors"][floor], "messagesPerSecond") > 0.0, "{document}");
    }
    let echo = number(&document["floors"]["echo"], "messagesPerSecond");
    let ratio = number(&document["publish"], "messagesPerSecond") / echo;
    assert!((number(&document["ratios"], "publishRateToEcho") / ratio - 1.0).abs() < 1e-6);
    let left: Vec<_> = std::fs::read_dir(data).expect("it is there").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_interrupted_run_removes_what_it_made() {
    let server = Server::start();
    for workload in ["fanout", "stream"] {
        let args = ["bench", "--duration", "1h", "--rate", "100", "--workload", workload];
        let child = server.command(&args).spawn().expect("it runs");
        let made = if workload == "fanout" { "queues" } else { "topics" };
        eventually("it makes something", || {
            server.json(&[made]).as_array().is_some_and(|all| !all.is_empty())
        });
        interrupt(&child);
        let ran = Ran::of(&args, &child.wait_with_output().expect("it ends"));
        assert!(ran.failed(130).contains("interrupted"), "{ran:?}");
        assert_empty(&server);
    }
}

#[test]
fn people_see_a_line_for_each_side_and_floor() {
    let server = Server::start();
    let args: Vec<&str> = SHORT.iter().chain(&["--floor", "--batch", "10"]).copied().collect();
    let out = server.out(&args);
    for begin in
        ["machine ", "load ", "publish ", "consume ", "raw echo ", "raw append ", "ratios "]
    {
        assert!(out.lines().any(|line| line.starts_with(begin)), "no {begin:?} in\n{out}");
    }
    let floors = server.json(&["bench", "--workload", "floor", "--duration", "20ms"]);
    assert!(number(&floors["floors"]["echo"], "messagesPerSecond") > 0.0, "{floors}");
}

#[test]
fn a_run_that_makes_no_sense_is_refused_with_what_would() {
    let server = Server::start();
    for (args, what) in [
        (&["--batch", "300"][..], "raise --in-flight 256"),
        (&["--duration", "0s"], "--duration is zero"),
        (&["--data", "/tmp"], "say with --sync how"),
        (&["--sync", "memory", "--data", "/tmp"], "say with --sync how"),
    ] {
        let args: Vec<&str> = ["bench"].iter().chain(args).copied().collect();
        let ran = server.run(&args);
        assert!(ran.failed(2).contains(what), "{ran:?}");
    }
    assert_empty(&server);
}
