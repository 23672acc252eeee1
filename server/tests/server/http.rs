//! Health and the page.

use std::time::Instant;

use fanlight_core::QueuePolicy;

use crate::client::Client;
use crate::process::{PATIENCE, Server};

#[test]
fn health_is_ok() {
    let server = Server::start(&[]);
    let (status, _, body) = server.get("/healthz");
    assert_eq!((status, body.as_slice()), (200, &b"ok\n"[..]));
}

#[test]
fn there_is_a_page_of_the_right_kind() {
    let server = Server::start(&[]);
    let (status, head, body) = server.get("/");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/html"), "{head}");
    assert!(head.contains("cache-control: no-cache"), "{head}");
    assert!(String::from_utf8_lossy(&body).contains("Fanlight"));
    let (status, ..) = server.get("/no/such/thing");
    assert_eq!(status, 404);
}

fn upgrade(server: &Server, headers: &[(&str, &str)]) -> String {
    let begin = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let head = server.get_head("/ws", &[&begin[..], headers].concat());
    head.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn pages_from_elsewhere_do_not_connect_unless_they_are_named() {
    let server = Server::start(&["--allow-origin", "https://good.example"]);
    let own = format!("http://{}", server.address);
    for (origin, status) in [
        (own.as_str(), "101"),
        ("http://localhost:8080", "101"),
        ("https://good.example", "101"),
        ("https://evil.example", "403"),
        ("null", "403"),
    ] {
        assert_eq!(upgrade(&server, &[("Origin", origin)]), status, "{origin}");
    }
    let log = server.terminate().stderr;
    assert!(log.contains("audit: not let in") && log.contains("evil.example"), "{log}");
}

#[test]
fn a_name_that_was_made_to_lead_here_leads_nowhere() {
    let server = Server::start(&["--allow-host", "proxy.example"]);
    for (host, status) in
        [("localhost:1", 200), ("proxy.example", 200), ("rebound.example:7420", 421)]
    {
        assert_eq!(server.get_with("/healthz", &[("Host", host)]).0, status, "{host}");
    }
    let origin = ("Origin", "http://rebound.example:7420");
    assert_eq!(upgrade(&server, &[("Host", "rebound.example:7420"), origin]), "421");
}

/// A snapshot that comes through a pipe keeps a server reading for as long as a test likes.
#[tokio::test]
async fn a_server_that_recovers_lives_and_says_how_far_it_is() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--snapshot-bytes", "1"]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let snapshot = || {
        let files = std::fs::read_dir(dir.path()).expect("it lists").flatten();
        let mut names = files.filter_map(|file| file.file_name().into_string().ok());
        names.find(|name| name.starts_with("snapshot-")).map(|name| dir.path().join(name))
    };
    let until = Instant::now() + PATIENCE;
    while snapshot().is_none() {
        assert!(Instant::now() < until, "no snapshot is taken");
        assert_eq!(server.get("/readyz").0, 200);
    }
    server.terminate();
    let path = snapshot().expect("it was just there");
    let content = std::fs::read(&path).expect("it can be read");
    std::fs::remove_file(&path).expect("it can be removed");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("there is a mkfifo command").success());

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has one");
    drop(listener);
    let starting = Server::begin_in(dir.path(), address);
    let ask = |path: &str| {
        let until = Instant::now() + PATIENCE;
        loop {
            match starting.ask(path) {
                Ok((status, head, body)) => {
                    return (status, head, String::from_utf8_lossy(&body).into_owned());
                }
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        }
    };
    assert_eq!(ask("/healthz").0, 200);
    for path in ["/readyz", "/metrics", "/ws", "/"] {
        let (status, head, body) = ask(path);
        assert_eq!((status, body.as_str()), (503, "recovering the journal: 0 %\n"), "{path}");
        assert!(head.contains("retry-after: 1"), "{head}");
    }
    std::fs::write(&path, &content).expect("somebody reads the pipe");
    let server = starting.ready();
    assert_eq!(server.get("/readyz").0, 200);
    let mut client = Client::open(&server).await;
    assert!(client.take("jobs", 1).await.expect("the server is there").is_empty());
}
