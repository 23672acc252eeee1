//! `fanlight backup`: what was confirmed before it is in it, and it is served as any directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fanlight_core::QueuePolicy;
use serde_json::Value;

use crate::client::{Client, batch, to_queue};
use crate::process::{Server, run};

const LITTLE: [&str; 6] =
    ["--memory-bytes", "65536", "--segment-bytes", "65536", "--snapshot-bytes", "131072"];

fn body(n: u32) -> Vec<u8> {
    let mut body = n.to_le_bytes().to_vec();
    body.resize(700 + n as usize % 90, n as u8);
    body
}

fn back_up(server: &Server, name: &str) -> (Option<i32>, String, String) {
    run(&["backup", name, "--json", "--server", &server.url()], &[])
}

/// Publishes numbered messages until it is told to stop; gives how many were confirmed.
async fn publish(url: String, from: u32, stop: Arc<AtomicBool>) -> u32 {
    let mut client = Client::try_open_at(&url).await.expect("the server is there");
    let mut next = from;
    while !stop.load(Ordering::Relaxed) {
        let records = batch((next..next + 10).map(body));
        let published = client.publish(to_queue("jobs"), records).await;
        published.expect("the server is there").expect("there is room");
        next += 10;
    }
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_while_serving_has_everything_that_was_confirmed_before() {
    let (data, backups) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let backup_dir = backups.path().to_str().expect("it has a plain name");
    let args = [&LITTLE[..], &["--backup-dir", backup_dir]].concat();
    let server = Server::start_in(data.path(), &args);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for n in 0..100 {
        let published = client.publish(to_queue("jobs"), batch((0..10).map(|m| body(n * 10 + m))));
        published.await.expect("the server is there").expect("there is room");
    }
    let stop = Arc::new(AtomicBool::new(false));
    let publishing = tokio::spawn(publish(server.url(), 1_000, stop.clone()));
    let (status, said, wrong) = tokio::task::block_in_place(|| back_up(&server, "monday"));
    assert_eq!((status, wrong.as_str()), (Some(0), ""));
    let said: Value = serde_json::from_str(&said).expect("it is JSON");
    assert!(said["bytes"].as_u64() > Some(600_000), "{said}");
    let (status, _, wrong) = tokio::task::block_in_place(|| back_up(&server, "monday"));
    assert_eq!(status, Some(1));
    assert!(wrong.contains("is there already"), "{wrong}");
    stop.store(true, Ordering::Relaxed);
    let confirmed = publishing.await.expect("it publishes");
    server.kill();

    let restored = backups.path().join("monday");
    let (status, said, wrong) = run(&["check", restored.to_str().expect("plain")], &[]);
    assert_eq!(status, Some(0), "{said}{wrong}");
    let server = Server::start_in(&restored, &LITTLE);
    let mut client = Client::open(&server).await;
    let mut found = 0;
    loop {
        let got = client.take("jobs", 100).await.expect("the server is there");
        if got.is_empty() {
            break;
        }
        for message in got {
            assert_eq!(message.body, body(found), "in order, and whole");
            found += 1;
        }
    }
    assert!((1_000..=confirmed).contains(&found), "{found} of up to {confirmed}");
    assert_eq!(found % 10, 0, "no batch is there in part");
    // It goes on from there as any directory does.
    let published = client.publish(to_queue("jobs"), batch(["next"])).await;
    let base = published.expect("the server is there").expect("there is room")[0];
    assert_eq!(base.0, u64::from(found));
    server.kill();
    Server::start_in(&restored, &LITTLE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_only_where_the_server_was_told() {
    let backups = tempfile::tempdir().expect("one");
    let backup_dir = backups.path().to_str().expect("it has a plain name");
    let server = Server::start(&[]);
    let (status, _, wrong) = tokio::task::block_in_place(|| back_up(&server, "monday"));
    assert_eq!(status, Some(1));
    assert!(wrong.contains("--backup-dir"), "{wrong}");
    let server = Server::start(&["--backup-dir", backup_dir]);
    for name in ["../monday", "/tmp/monday", "", ".monday", "a/b"] {
        let (status, _, wrong) = tokio::task::block_in_place(|| back_up(&server, name));
        assert_eq!(status, Some(1), "{name}");
        assert!(wrong.contains("is no name for a backup"), "{wrong}");
    }
    assert_eq!(std::fs::read_dir(backups.path()).expect("it lists").count(), 0);
}
