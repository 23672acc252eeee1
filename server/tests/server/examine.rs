//! `fanlight check` and `fanlight dump`, on directories whose server ended well, badly, or not yet.

use std::fs;
use std::path::Path;

use fanlight_core::QueuePolicy;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{Client, batch, to_queue};
use crate::process::{Server, run};

async fn filled(args: &[&str], kill: bool) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), args);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for n in 0..100_u8 {
        let published = client.publish(to_queue("jobs"), batch(vec![vec![n; 1_000]; 3])).await;
        published.expect("the server is there").expect("there is room");
    }
    if kill {
        server.kill()
    } else {
        server.terminate()
    };
    dir
}

fn listing(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).expect("the directory lists");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            let bytes = fs::read(entry.path()).expect("it reads");
            (entry.file_name().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

fn name(dir: &TempDir) -> &str {
    dir.path().to_str().expect("a temporary directory has a plain name")
}

#[tokio::test]
async fn check_says_what_is_there_and_changes_nothing() {
    let little =
        ["--memory-bytes", "65536", "--segment-bytes", "32768", "--snapshot-bytes", "65536"];
    let dir = filled(&little, true).await;
    let before = listing(dir.path());
    let (status, said, wrong) = run(&["check", name(&dir), "--json"], &[]);
    assert_eq!((status, wrong.as_str()), (Some(0), ""));
    let found: Value = serde_json::from_str(&said).expect("it is JSON");
    assert_eq!(found["sound"], true);
    assert_eq!(found["journal"]["closed"], false);
    assert!(found["snapshot"]["position"].as_u64() > Some(0), "{said}");
    assert!(found["bodies"]["batches"].as_u64() > Some(10), "{said}");
    assert!(found["storedBytes"].as_u64() > Some(300_000), "{said}");
    let (status, said, _) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(0));
    assert!(said.contains("killed; nothing is torn") && said.contains("sound:"), "{said}");
    assert!(listing(dir.path()) == before, "nothing was changed");
    Server::start_in(dir.path(), &little).terminate();
    let (_, said, _) = run(&["check", name(&dir)], &[]);
    assert!(said.contains("stopped in good order"), "{said}");
}

#[tokio::test]
async fn check_tells_a_torn_tail_from_damage() {
    let dir = filled(&["--segment-bytes", "32768"], true).await;
    let mut segments = listing(dir.path());
    segments.retain(|(name, _)| name.starts_with("journal-"));
    let last = dir.path().join(&segments.last().expect("there are segments").0);
    let mut bytes = fs::read(&last).expect("it reads");
    bytes.extend_from_slice(&[0xCD; 99]);
    fs::write(&last, &bytes).expect("it writes");
    let (status, said, _) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(0));
    assert!(said.contains("torn: 99 bytes"), "{said}");
    assert_eq!(fs::read(&last).expect("it reads"), bytes, "it is not cut");

    let first = dir.path().join(&segments[0].0);
    let mut bytes = fs::read(&first).expect("it reads");
    bytes[9_000] ^= 1;
    fs::write(&first, bytes).expect("it writes");
    let (status, _, wrong) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains(&segments[0].0) && wrong.contains("corrupt at byte"), "{wrong}");
}

#[tokio::test]
async fn a_batch_on_disk_that_is_damaged_is_told() {
    let little =
        ["--memory-bytes", "4096", "--segment-bytes", "32768", "--snapshot-bytes", "65536"];
    let dir = filled(&little, false).await;
    let bodies = listing(dir.path()).into_iter().find(|(name, _)| name.starts_with("bodies-"));
    let (file, mut bytes) = bodies.expect("there are bodies");
    bytes[200] ^= 1;
    fs::write(dir.path().join(&file), bytes).expect("it writes");
    let (status, _, wrong) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains(&file) && wrong.contains("checksum"), "{wrong}");
}

#[tokio::test]
async fn dump_prints_facts_in_their_order() {
    let dir = filled(&[], false).await;
    let (status, said, _) = run(&["dump", name(&dir), "--json"], &[]);
    assert_eq!(status, Some(0));
    let lines: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), 1 + 1 + 100, "a start, a queue, and what was published");
    let positions: Vec<_> = lines.iter().map(|line| line["position"].as_u64()).collect();
    assert!(positions.is_sorted() && positions[0] > Some(0));
    assert!(lines[1]["fact"]["QueueMade"]["name"] == "jobs", "{}", lines[1]);
    let from = lines[99]["position"].to_string();
    let (_, said, _) = run(&["dump", name(&dir), "--from", &from], &[]);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.lines().all(|line| line.contains("Published")));
}

#[tokio::test]
async fn a_directory_in_use_and_one_that_is_none_are_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (status, _, wrong) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains("not a data directory"), "{wrong}");
    let _server = Server::start_in(dir.path(), &[]);
    let (status, _, wrong) = run(&["check", name(&dir)], &[]);
    assert_eq!(status, Some(1));
    assert!(wrong.contains("in use by another fanlight"), "{wrong}");
}
