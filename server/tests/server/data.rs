//! Data directories that are in use, damaged, or from somewhere else.

use std::fs;
use std::path::{Path, PathBuf};

use fanlight_core::{Op, Position, QueuePolicy, Target};
use tempfile::TempDir;

use crate::client::{Client, batch, to_queue};
use crate::process::{PATIENCE, Server, refused_in};

/// A directory with `batches` confirmed batches of a kilobyte, in segments of 16 KiB; the server
/// was killed, or told to stop.
async fn filled(batches: usize, kill: bool) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--segment-bytes", "16384"]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for n in 0..batches {
        let published = client.publish(to_queue("jobs"), batch([vec![n as u8; 1_000]])).await;
        published.expect("the server is there").expect("there is room");
    }
    if kill {
        server.kill()
    } else {
        server.terminate()
    };
    dir
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("the directory lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains("journal-"))
        .collect();
    paths.sort();
    paths
}

async fn count(server: &Server) -> usize {
    let mut client = Client::open(server).await;
    let mut count = 0;
    loop {
        let got = client.take("jobs", 100).await.expect("the server is there");
        if got.is_empty() {
            return count;
        }
        count += got.len();
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &[]);
    let name = dir.path().display().to_string();
    refused_in(dir.path()).expect_sentence(&[&name, "in use", "process", "--data"]);
    assert_eq!(server.get("/healthz").0, 200, "the first does not mind");
    server.kill();
    Server::start_in(dir.path(), &[]);
}

#[tokio::test]
async fn a_byte_flipped_in_a_middle_segment_is_refused_by_file_and_offset() {
    let dir = filled(60, true).await;
    let path = segments(dir.path())[1].clone();
    let mut bytes = fs::read(&path).expect("it reads");
    let kept = bytes.clone();
    bytes[5_000] ^= 1;
    fs::write(&path, bytes).expect("it writes");
    let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
    refused_in(dir.path()).expect_sentence(&[&name, "corrupt at byte", "backup"]);
    fs::write(&path, kept).expect("it writes");
    assert_eq!(count(&Server::start_in(dir.path(), &[])).await, 60, "refusing changed nothing");
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_the_rest_is_there() {
    let dir = filled(20, true).await;
    let path = segments(dir.path()).pop().expect("there is a segment");
    let mut bytes = fs::read(&path).expect("it reads");
    bytes.extend_from_slice(&[0xAB; 777]);
    fs::write(&path, bytes).expect("it writes");
    let server = Server::start_in(dir.path(), &[]);
    assert_eq!(count(&server).await, 20);
    let ended = server.kill();
    assert!(ended.stderr.contains("torn tail of 777 bytes"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = filled(1, false).await;
    let path = dir.path().join("FORMAT");
    let text = fs::read_to_string(&path).expect("it reads").replace('2', "3");
    fs::write(&path, text).expect("it writes");
    refused_in(dir.path()).expect_sentence(&["format 3", "newer fanlight", "--data"]);
}

#[tokio::test]
async fn a_directory_of_something_else_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    fs::write(dir.path().join("thesis.tex"), "years of work").expect("it writes");
    refused_in(dir.path()).expect_sentence(&["thesis.tex", "empty", "--data"]);
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("it writes");
    refused_in(&file.join("data")).expect_sentence(&["file", "cannot make the data directory"]);
}

#[tokio::test]
async fn snapshots_take_the_place_of_the_journal_and_nothing_is_lost() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let small = ["--segment-bytes", "16384", "--snapshot-bytes", "65536", "--sync", "never"];
    let server = Server::start_in(dir.path(), &small);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    client.declare_queue("kept", QueuePolicy::default()).await;
    let op = Op::CreateTopic { name: "events".into(), partitions: 2, policy: Default::default() };
    client.done(op).await.expect("the server is there");
    let published = client.publish(to_queue("kept"), batch(["a", "b"])).await;
    published.expect("the server is there").expect("there is room");
    let topic = || Target::Topic { name: "events".into(), partition: Some(1) };
    for n in 0..1_000_u32 {
        let published = client.publish(to_queue("jobs"), batch([vec![7; 900]])).await;
        published.expect("the server is there").expect("there is room");
        if n % 100 == 0 {
            let published = client.publish(topic(), batch([n.to_le_bytes()])).await;
            published.expect("the server is there").expect("there is room");
        }
        let got = client.take("jobs", 10).await.expect("the server is there");
        let leases: Vec<_> = got.iter().map(|m| m.lease).collect();
        client.ack(&leases).await.expect("the server is there");
    }
    let page = String::from_utf8(server.get("/metrics").2).expect("it is text");
    let line = page.lines().find(|l| l.starts_with("fanlight_snapshots_total "));
    assert_ne!(line, Some("fanlight_snapshots_total 0"), "no snapshot was stored");
    server.kill();
    let bytes: u64 = segments(dir.path())
        .iter()
        .map(|path| fs::metadata(path).expect("it is there").len())
        .sum();
    assert!(bytes < 600_000, "{bytes} bytes of journal for a megabyte that is settled");

    let server = Server::start_in(dir.path(), &small);
    let mut client = Client::open(&server).await;
    assert!(client.take("jobs", 1).await.expect("the server is there").is_empty());
    let got = client.take("kept", 10).await.expect("the server is there");
    let bodies: Vec<&[u8]> = got.iter().map(|m| m.body.as_slice()).collect();
    assert_eq!(bodies, [b"a", b"b"]);
    let records = crate::crash::read_all(&mut client, "events", 1, Position::Earliest).await;
    let expected: Vec<Vec<u8>> = (0..10_u32).map(|n| (n * 100).to_le_bytes().to_vec()).collect();
    assert_eq!(records, expected);
    // The numbers go on where they were, snapshot or not.
    let published = client.publish(to_queue("jobs"), batch(["next"])).await;
    let base = published.expect("the server is there").expect("there is room")[0];
    assert_eq!(base.0, 1_000);
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_stops_the_server_and_keeps_what_was_confirmed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_with_file_size_limit(dir.path(), 64 << 10);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let mut confirmed = 0;
    while let Ok(published) = client.publish(to_queue("jobs"), batch([vec![7; 1_000]])).await {
        published.expect("the broker has room, the disk does not");
        confirmed += 1;
        assert!(confirmed < 100, "the limit is ignored");
    }
    assert!(confirmed > 30, "{confirmed} were confirmed before the limit");
    server.ended().expect_sentence(&["the journal failed", "cannot write to", "start it again"]);
    let found = count(&Server::start_in(dir.path(), &[])).await;
    assert_eq!(found, confirmed);
}

fn bytes_in(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).expect("the directory lists");
    let sizes = entries.map(|entry| entry.expect("an entry").metadata().map_or(0, |m| m.len()));
    sizes.sum()
}

fn bodies(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the directory lists");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("bodies-")).collect()
}

const LITTLE_MEMORY: [&str; 6] =
    ["--memory-bytes", "65536", "--segment-bytes", "131072", "--snapshot-bytes", "262144"];

fn numbered(n: usize) -> Vec<u8> {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(1_000 + n % 7, n as u8);
    body
}

/// A directory whose queue has a backlog of 2,000 messages, most of which are not in memory.
async fn backlogged() -> (TempDir, Server) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &LITTLE_MEMORY);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for n in 0..200 {
        let records = batch((0..10).map(|at| numbered(10 * n + at)));
        let published = client.publish(to_queue("jobs"), records).await;
        published.expect("the server is there").expect("there is room");
    }
    assert!(!bodies(dir.path()).is_empty(), "most of it is not in memory");
    (dir, server)
}

/// Takes and acknowledges the next messages, which are those with these numbers.
async fn work(server: &Server, numbers: std::ops::Range<usize>) {
    let mut client = Client::open(server).await;
    let mut next = numbers.start;
    while next < numbers.end {
        let got = client.take("jobs", 7.min((numbers.end - next) as u32)).await;
        let got = got.expect("the server is there");
        assert!(!got.is_empty(), "message {next} is not there");
        for message in &got {
            assert_eq!(message.body, numbered(next));
            next += 1;
        }
        let leases: Vec<_> = got.iter().map(|message| message.lease).collect();
        assert_eq!(client.ack(&leases).await.expect("the server is there"), leases.len() as u32);
    }
}

#[tokio::test]
async fn a_backlog_lies_on_disk_and_comes_back_from_there() {
    let (dir, server) = backlogged().await;
    work(&server, 0..500).await;
    server.kill();
    let server = Server::start_in(dir.path(), &LITTLE_MEMORY);
    work(&server, 500..1_000).await;
    server.terminate();
    // One that may hold more reads what lies there all the same.
    let server = Server::start_in(dir.path(), &[]);
    work(&server, 1_000..1_500).await;
    server.kill();
    let server = Server::start_in(dir.path(), &LITTLE_MEMORY);
    work(&server, 1_500..2_000).await;
    assert_eq!(count(&server).await, 0);
}

/// One message in four stays: every file is emptier than half then.
async fn falls_to_twice_what_is_live(memory: &str) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = ["--segment-bytes", "32768", "--snapshot-bytes", "65536", "--sync", "never"];
    let server = Server::start_in(dir.path(), &[&files[..], &["--memory-bytes", memory]].concat());
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    client.declare_queue("other", QueuePolicy::default()).await;
    for n in 0..1_200 {
        let published = client.publish(to_queue("jobs"), batch([numbered(n)])).await;
        published.expect("the server is there").expect("there is room");
    }
    for _ in 0..12 {
        let got = client.take("jobs", 100).await.expect("the server is there");
        let done: Vec<_> =
            got.iter().filter(|m| m.lease.offset.0 % 4 != 0).map(|m| m.lease).collect();
        assert_eq!(client.ack(&done).await.expect("the server is there"), done.len() as u32);
    }
    // The rest: two files that are open, what a snapshot is not worth, and what is done meanwhile.
    let bound = 2 * 300 * 1_020 + 150_000;
    let begun = std::time::Instant::now();
    while bytes_in(dir.path()) > bound {
        assert!(begun.elapsed() < PATIENCE, "{} bytes stay", bytes_in(dir.path()));
        let published = client.publish(to_queue("other"), batch([vec![0; 2_000]])).await;
        published.expect("the server is there").expect("there is room");
        let got = client.take("other", 10).await.expect("the server is there");
        let leases: Vec<_> = got.iter().map(|message| message.lease).collect();
        client.ack(&leases).await.expect("the server is there");
    }
    server.kill();
    let server = Server::start_in(dir.path(), &files);
    assert_eq!(count(&server).await, 300, "what is live is there");
}

#[tokio::test]
async fn disk_use_falls_to_twice_what_is_live_with_bodies_on_disk() {
    falls_to_twice_what_is_live("65536").await;
}

#[tokio::test]
async fn disk_use_falls_to_twice_what_is_live_with_bodies_in_memory() {
    falls_to_twice_what_is_live("1073741824").await;
}

#[tokio::test]
async fn disk_space_comes_back_when_messages_go() {
    let (dir, server) = backlogged().await;
    assert!(bytes_in(dir.path()) > 2_000_000, "everything is there");
    work(&server, 0..1_990).await;
    // Bodies are at most half empty; besides there is a journal of 128 KiB and two snapshots of it.
    let mut client = Client::open(&server).await;
    client.declare_queue("other", QueuePolicy::default()).await;
    let begun = std::time::Instant::now();
    while bytes_in(dir.path()) > 1_000_000 {
        assert!(begun.elapsed() < PATIENCE, "{} bytes stay", bytes_in(dir.path()));
        // What gives space back runs beside the server's work, and after some of it.
        let published = client.publish(to_queue("other"), batch([vec![0; 5_000]])).await;
        published.expect("the server is there").expect("there is room");
        let got = client.take("other", 10).await.expect("the server is there");
        let leases: Vec<_> = got.iter().map(|message| message.lease).collect();
        client.ack(&leases).await.expect("the server is there");
    }
    work(&server, 1_990..2_000).await;
}

#[tokio::test]
async fn a_batch_that_is_damaged_on_disk_is_never_served() {
    let (dir, server) = backlogged().await;
    server.terminate();
    for path in bodies(dir.path()) {
        let mut bytes = fs::read(&path).expect("it reads");
        for byte in bytes.iter_mut().skip(30).step_by(500) {
            *byte ^= 1;
        }
        fs::write(&path, bytes).expect("it writes");
    }
    let server = Server::start_in(dir.path(), &LITTLE_MEMORY);
    // It may find the damage by itself, while it empties a file, before anybody asks.
    if let Ok(mut client) = Client::try_open_at(&server.url()).await {
        let taken = client.take("jobs", 10).await;
        assert!(taken.is_err(), "{} messages of a damaged batch", taken.expect("it is").len());
    }
    let ended = server.ended();
    assert!(ended.stderr.contains("bodies-") && ended.stderr.contains("corrupt"), "{ended:?}");
}
