//! What the server logs: by level, for people and for programs.

use serde_json::Value;

use crate::client::Client;
use crate::process::{Server, refused};

/// Every line of a log, as an object.
fn objects(log: &str) -> Vec<Value> {
    let line = |line| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value.is_object(), "{line}");
        value
    };
    log.lines().map(line).collect()
}

#[tokio::test]
async fn a_log_for_programs_has_an_object_a_line() {
    let server = Server::start(&["--log-format", "json", "--log-level", "debug"]);
    drop(Client::open(&server).await);
    let log = server.terminate().stderr;
    let lines = objects(&log);
    let with = |message: &str| {
        let found = lines
            .iter()
            .find(|line| line["message"].as_str().is_some_and(|said| said.starts_with(message)));
        found.unwrap_or_else(|| panic!("nobody says {message:?} in\n{log}"))
    };
    let connected = with("connected");
    assert_eq!(connected["conn"], 1);
    assert_eq!(
        (&connected["namespace"], &connected["level"]),
        (&"default".into(), &"DEBUG".into())
    );
    assert!(connected["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")));
    assert!(connected["timestamp"].is_string() && connected["user"].is_string(), "{connected}");
    let gone = with("gone");
    assert!(gone["conn"] == 1 && gone["seconds"].is_f64() && gone["because"].is_string(), "{gone}");
    assert_eq!(with("told to end")["level"], "INFO");
}

#[test]
fn also_why_it_does_not_start_is_an_object_then() {
    let server = Server::start(&[]);
    let listen = server.address.to_string();
    let refused = refused(&["--log-format", "json", "--listen", &listen]);
    let lines = objects(&refused.stderr);
    let said = lines[0]["message"].as_str().unwrap_or_default();
    assert!(said.contains("another program listens there"), "{said}");
    assert_eq!((lines.len(), &lines[0]["level"]), (1, &"ERROR".into()));
}

#[tokio::test]
async fn what_is_logged_is_what_was_asked_for() {
    for (level, expected) in
        [("info", &["stopping"][..]), ("error", &[]), ("info,fanlight=off", &[])]
    {
        let server = Server::start(&["--log-level", level]);
        drop(Client::open(&server).await);
        let log = server.terminate().stderr;
        assert_eq!(log.lines().count(), expected.len(), "{level}: {log}");
        assert!(expected.iter().all(|word| log.contains(word)), "{level}: {log}");
    }
    let wrong = refused(&["--log-level", "info,audit=loud"]);
    assert!(wrong.stderr.contains("it should be error, warn, info"), "{}", wrong.stderr);
}
