//! What the server is told, and that it does what it is told.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use fanlight_core::{Code, Event, Op, QueuePolicy};

use crate::client::{Client, batch, to_queue};
use crate::process::{PATIENCE, Server, refused, run};

#[test]
fn what_is_in_force_is_told_with_whoever_said_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("fanlight.toml");
    fs::write(&file, "sync = \"never\"\n[limits]\nqueues_max = 9\ntopics_max = 8\n")
        .expect("it writes");
    let file = file.to_str().expect("a plain name");
    let args = ["config", "--changed", "--limits-topics-max", "7", "--json"];
    let (code, out, err) = run(&args, &[("FANLIGHT_CONFIG", file), ("FANLIGHT_SYNC", "interval")]);
    assert_eq!(code, Some(0), "{err}");
    let said: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let said: Vec<String> = said
        .as_array()
        .expect("a list")
        .iter()
        .map(|s| format!("{} {} {}", s["key"], s["value"], s["from"]).replace('"', ""))
        .collect();
    let queues = format!("limits.queues_max 9 {file}:3");
    let expected =
        ["sync interval FANLIGHT_SYNC", queues.as_str(), "limits.topics_max 7 --limits-topics-max"];
    assert_eq!(said, expected);
    let (code, table, _) = run(&["config"], &[]);
    assert_eq!(code, Some(0));
    let listen = table.lines().find(|line| line.starts_with("listen ")).expect("a row");
    assert!(listen.contains("127.0.0.1:7420") && listen.contains("default"), "{listen}");
}

#[test]
fn a_mistake_in_the_file_stops_the_server_with_its_place() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("fanlight.toml");
    fs::write(&path, "listen = \"127.0.0.1:0\"\n[limits]\nqueue_max = 9\n").expect("it writes");
    let file = path.to_str().expect("a plain name");
    let ended = refused(&["--config", file]);
    assert_eq!(ended.status.code(), Some(2));
    let expected = format!(
        "error: {file}:3: there is no setting limits.queue_max; did you mean limits.queues_max?\n"
    );
    assert_eq!(ended.stderr, expected);
}

#[tokio::test]
async fn a_limit_that_is_set_is_kept() {
    let server = Server::start(&["--limits-queues-max", "1"]);
    let mut client = Client::open(&server).await;
    client.declare_queue("one", QueuePolicy::default()).await;
    let op = Op::DeclareQueue { name: "two".into(), policy: QueuePolicy::default() };
    let tag = client.ask(op).await.expect("the server is there");
    let code = client.expect(|event| match event {
        Event::Refused { tag: t, refusal } if t == tag => Some(refusal.code),
        _ => None,
    });
    assert_eq!(code.await.expect("an answer"), Code::TooMany);
}

#[tokio::test]
async fn who_connects_and_says_nothing_is_told_to_go() {
    let server = Server::start(&["--connections-session-wait", "200ms"]);
    let mut talks = Client::open(&server).await;
    let mut silent = Client::connect(&server).await;
    let (code, reason) = silent.closed().await.expect("a close frame");
    assert_eq!((code, reason.contains("no session came within 200ms")), (1008, true), "{reason}");
    talks.declare_queue("q", QueuePolicy::default()).await;
}

#[test]
fn half_a_request_does_not_keep_a_socket() {
    let server = Server::start(&["--connections-handshake-wait", "200ms"]);
    let mut socket = TcpStream::connect(server.address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.write_all(b"GET / HTTP/1.1\r\nHost:").expect("it takes that");
    let mut said = Vec::new();
    socket.read_to_end(&mut said).expect("the server closes it");
}

#[tokio::test]
async fn beyond_the_maximum_of_sockets_the_next_is_told_so_until_there_is_room() {
    let server = Server::start(&["--connections-max", "1"]);
    let client = Client::open(&server).await;
    let (status, _, body) = server.get("/healthz");
    assert_eq!(status, 503);
    assert_eq!(String::from_utf8_lossy(&body), "there are as many sockets as may be open");
    drop(client);
    let begun = std::time::Instant::now();
    while server.get("/healthz").0 != 200 {
        assert!(begun.elapsed() < PATIENCE, "the place of a closed WebSocket is free again");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn who_is_not_heard_of_is_gone_and_its_place_is_free() {
    let server = Server::start(&[
        "--connections-ping-every",
        "100ms",
        "--connections-silence-max",
        "300ms",
        "--connections-session-wait",
        "1m",
    ]);
    // A socket that takes what is sent, and never says anything: not even a pong.
    let mut socket = TcpStream::connect(server.address).expect("it listens");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let upgrade = format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    socket.write_all(upgrade.as_bytes()).expect("it takes that");
    let mut said = Vec::new();
    socket.read_to_end(&mut said).expect("the server closes it");
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("nothing was heard for 300ms, not even a pong"), "{said}");
}

#[tokio::test]
async fn who_does_not_read_is_closed_at_the_bound_that_is_set() {
    let server = Server::start(&["--connections-outgoing-bytes-max", "1MiB"]);
    let mut client = Client::open(&server).await;
    client.declare_queue("q", QueuePolicy::default()).await;
    for _ in 0..64 {
        let published = client.publish(to_queue("q"), batch([vec![7; 1_000_000]])).await;
        published.expect("the server is there").expect("there is room");
    }
    let consume = Op::Consume {
        queue: "q".into(),
        prefetch: 1_000,
        visibility: None,
        auto_ack: false,
        exclusive: false,
    };
    client.ask(consume).await.expect("the server is there");
    // It reads nothing until everything that there is has been sent, or given up.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let (code, reason) = client.closed().await.expect("a close frame");
    assert_eq!((code, reason.contains("more than 1 MiB wait")), (1008, true), "{reason}");
}

#[test]
fn a_terminal_that_is_closed_ends_a_server_that_has_nothing_to_read_again() {
    let server = Server::start(&[]);
    server.hang_up();
    let ended = server.ended();
    assert!(ended.status.success(), "{ended:?}");
    assert!(ended.stderr.contains("hung up: stopping"), "{ended:?}");
}
