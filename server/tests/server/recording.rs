//! A run of a server that is recorded, and done again.

use std::fs;
use std::path::{Path, PathBuf};

use fanlight_core::{Op, QueuePolicy, Span};
use serde_json::{Value, json};

use crate::client::{Client, batch, to_queue};
use crate::process::{Server, refused, run, run_with};

struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        Files { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn name(&self, name: &str) -> String {
        self.path(name).to_str().expect("a plain name").to_owned()
    }
}

/// What a replay says for programs, and on standard error; and its exit code.
fn replay(file: &Path) -> (Option<i32>, Value, String) {
    let file = file.to_str().expect("a plain name");
    let (code, out, err) = run(&["replay", file, "--json"], &[]);
    (code, serde_json::from_str(&out).unwrap_or(Value::Null), err)
}

fn equal(file: &Path) -> Value {
    let (code, found, err) = replay(file);
    assert_eq!((code, &found["equal"]), (Some(0), &json!(true)), "{found} {err}");
    found
}

/// Publishes and consumes by the command line, and lets a consumer crash.
async fn load(server: &Server) {
    let url = server.url();
    let cli = |args: &[&str], input: &str| {
        let (code, _, err) = run_with(input, &[args, &["--server", &url]].concat(), &[]);
        assert_eq!(code, Some(0), "{args:?}: {err}");
    };
    cli(&["topics", "create", "orders", "--partitions", "3"], "");
    cli(&["queues", "declare", "jobs", "--visibility", "100ms"], "");
    let lines: String =
        (0..2_000).map(|n| format!("{{\"n\":{n},\"pad\":\"{n:0>90}\"}}\n")).collect();
    cli(&["publish", "orders", "--key", "n"], &lines);
    cli(&["publish", "jobs"], &lines);
    cli(&["consume", "orders", "--group", "billing", "--max", "1500"], "");
    cli(&["consume", "jobs", "--max", "700"], "");
    let mut crashing = Client::open(server).await;
    let consume = Op::Consume {
        queue: "jobs".into(),
        prefetch: 50,
        visibility: Some(Span::from_millis(100)),
        auto_ack: false,
        exclusive: false,
    };
    crashing.ask(consume).await.expect("the server is there");
    for _ in 0..3 {
        let (_, attempt) = crashing.delivered().await;
        assert!(attempt >= 1);
    }
    drop(crashing);
    // What it held goes to others, so the crash has been noticed.
    cli(&["consume", "jobs", "--max", "1300"], "");
}

#[tokio::test]
async fn a_run_under_load_is_done_again_bit_for_bit() {
    let files = Files::new();
    let (first, second) = (files.name("first"), files.name("second"));
    let little = ["--memory-bytes", "16KiB", "--snapshot-bytes", "64KiB", "--sync", "never"];
    let start = |file: &str| {
        Server::start_in(&files.path("data"), &[&little[..], &["--record", file]].concat())
    };
    let server = start(&first);
    load(&server).await;
    assert_eq!(server.terminate().status.code(), Some(0));
    let found = equal(&files.path("first"));
    assert!(found["inputs"].as_u64() > Some(60), "{found}");
    assert!(found["effects"].as_u64() > found["inputs"].as_u64(), "{found}");
    assert_eq!(found["tornBytes"], Value::Null);

    // Once more on what is on disk by now, of which little is in memory, and with a crash.
    let server = start(&second);
    let (code, _, err) = run(
        &["consume", "orders", "--group", "other", "--max", "2000", "--server", &server.url()],
        &[],
    );
    assert_eq!(code, Some(0), "{err}");
    server.kill();
    let found = equal(&files.path("second"));
    assert!(found["inputs"].as_u64() > Some(3), "{found}");
    assert!(found["tornBytes"].is_u64(), "{found}");

    let (code, out, _) = run(&["replay", &first, "--print"], &[]);
    assert_eq!(code, Some(0));
    let line = out.lines().find(|line| line.contains("CreateTopic")).expect("it was created");
    assert!(line.contains("\"fanlight topics\"") && line.contains("orders"), "{line}");
}

/// A short run whose messages can be found in its recording.
async fn short_run(file: &str) {
    let server = Server::start(&["--clock", "virtual", "--record", file]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for body in ["the first needle", "the second needle"] {
        let published = client.publish(to_queue("jobs"), batch([body])).await;
        published.expect("the server is there").expect("there is room");
    }
    assert_eq!(client.take("jobs", 2).await.expect("the server is there").len(), 2);
    client.control(json!({"clock": {"advance": "1m"}})).await;
    assert_eq!(server.terminate().status.code(), Some(0));
}

#[tokio::test]
async fn what_is_not_as_it_was_recorded_is_named() {
    let files = Files::new();
    short_run(&files.name("run")).await;
    let whole = fs::read(files.path("run")).expect("it was recorded");
    equal(&files.path("run"));
    // It is there in the request, the fact, and the delivery.
    let needle = b"the second needle";
    let found: Vec<usize> =
        (0..whole.len()).filter(|at| whole[*at..].starts_with(needle)).collect();
    assert_eq!(found.len(), 3);
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at + 4] = b'$';
        fs::write(files.path("flipped"), bytes).expect("there is room");
        replay(&files.path("flipped"))
    };

    let (code, told, err) = flipped(found[1]);
    assert_eq!((code, &told["equal"]), (Some(1), &json!(false)));
    assert_eq!((&told["at"]["input"], &told["effect"]), (&json!(4), &json!(1)), "{told}");
    assert_eq!((&told["at"]["connection"], &told["at"]["client"]), (&json!(1), &json!("test")));
    assert_eq!(told["at"]["at"], "2000-01-01T00:00:00.000Z");
    assert!(told["at"]["what"].as_str().expect("text").starts_with("Publish"), "{told}");
    assert!(told["expected"].as_str().expect("text").contains("Published"), "{told}");
    assert_ne!(told["expected"], told["got"]);
    assert!(err.contains("what follows from input 4 is not what was recorded"), "{err}");

    let (_, told, _) = flipped(found[2]);
    assert_eq!((&told["at"]["input"], &told["effect"]), (&json!(5), &json!(1)), "{told}");
    // Another request leads to another fact.
    let (_, told, _) = flipped(found[0]);
    assert_eq!((&told["at"]["input"], &told["effect"]), (&json!(4), &json!(1)), "{told}");
}

#[tokio::test]
async fn an_effect_too_few_or_too_many_is_a_difference() {
    let files = Files::new();
    short_run(&files.name("run")).await;
    let whole = fs::read(files.path("run")).expect("it was recorded");
    // Every frame, with where it lies; the first 12 bytes are the head.
    let mut frames = Vec::new();
    let mut at = 12;
    while at < whole.len() {
        let length = u32::from_le_bytes(whole[at..at + 4].try_into().expect("four bytes"));
        frames.push((whole[at + 4], at..at + 4 + length as usize));
        at += 4 + length as usize;
    }
    let effect = |n: usize| {
        let effects = frames.iter().filter(|(kind, _)| *kind == 6);
        effects.map(|(_, range)| range.clone()).nth(n).expect("there are some")
    };
    let (third, fourth) = (effect(2), effect(3));
    let without = [&whole[..third.start], &whole[third.end..]].concat();
    fs::write(files.path("fewer"), without).expect("there is room");
    let (code, told, _) = replay(&files.path("fewer"));
    assert_eq!((code, &told["equal"]), (Some(1), &json!(false)));
    assert!(told["got"].is_string(), "{told}");

    let with = [&whole[..third.end], &whole[fourth.clone()], &whole[third.end..]].concat();
    fs::write(files.path("more"), with).expect("there is room");
    let (code, told, _) = replay(&files.path("more"));
    assert_eq!((code, &told["equal"]), (Some(1), &json!(false)), "{told}");
}

#[tokio::test]
async fn a_recording_that_ends_anywhere_is_read_up_to_its_last_whole_input() {
    let files = Files::new();
    short_run(&files.name("run")).await;
    let whole = fs::read(files.path("run")).expect("it was recorded");
    let all = equal(&files.path("run"))["inputs"].as_u64().expect("a number");
    let mut seen = Vec::new();
    for at in (12..whole.len()).step_by(29).chain([whole.len() - 1]) {
        fs::write(files.path("cut"), &whole[..at]).expect("there is room");
        let found = equal(&files.path("cut"));
        assert!(found["tornBytes"].is_u64(), "cut at {at}: {found}");
        seen.push(found["inputs"].as_u64().expect("a number"));
    }
    assert!(seen.is_sorted());
    assert_eq!((seen[0], seen[seen.len() - 1]), (0, all - 1));
    fs::write(files.path("cut"), &whole[..7]).expect("there is room");
    let (code, _, err) = replay(&files.path("cut"));
    assert_eq!(code, Some(1));
    assert!(err.contains("is not a recording"), "{err}");
}

#[test]
fn a_recording_overwrites_nothing() {
    let files = Files::new();
    fs::write(files.path("mine"), "dear diary").expect("there is room");
    let ended = refused(&["--listen", "127.0.0.1:0", "--record", &files.name("mine")]);
    ended.expect_sentence(&["mine already", "--record"]);
    assert_eq!(fs::read_to_string(files.path("mine")).expect("it is there"), "dear diary");
}

#[tokio::test]
async fn a_full_disk_stops_the_recording_and_not_the_server() {
    let files = Files::new();
    let server = Server::start_limited(&["--record", &files.name("run")], 64 << 10);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for _ in 0..20 {
        let published = client.publish(to_queue("jobs"), batch([vec![b'x'; 8 << 10]])).await;
        published.expect("the server is there").expect("there is room");
    }
    let ended = server.terminate();
    assert_eq!(ended.status.code(), Some(0));
    let told = ended.stderr.lines().filter(|line| line.contains("recording")).count();
    assert_eq!(told, 1, "{}", ended.stderr);
    let found = equal(&files.path("run"));
    assert!(found["inputs"].as_u64() >= Some(2), "{found}");
}

#[tokio::test]
async fn each_namespace_has_a_recording_of_its_own() {
    let files = Files::new();
    let file = files.name("run");
    let server = Server::start(&["--namespaces", "other", "--record", &file]);
    let mut there = Client::open_at(&format!("{}?namespace=other", server.url())).await;
    there.declare_queue("only-there", QueuePolicy::default()).await;
    assert_eq!(server.terminate().status.code(), Some(0));
    assert_eq!(equal(&files.path("run"))["inputs"], 0);
    let found = equal(&files.path("run.other"));
    assert_eq!((&found["namespace"], &found["inputs"]), (&json!("other"), &json!(3)), "{found}");
}
