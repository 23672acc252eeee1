//! HTTP with JSON: what is refused, and how.

use serde_json::{Value, json};

use crate::api::{answer, send};
use crate::process::Server;
use crate::users::{PASSWORD, Users};

#[test]
fn a_full_queue_says_when_to_try_again_and_stores_nothing() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &json!({ "messagesMax": 1 }));
    let one = json!({ "body": 1 });
    server.does("POST", "/v1/queues/jobs/messages", &one);
    let full = server.api("POST", "/v1/queues/jobs/messages", &one);
    assert_eq!((full.status, full.code()), (429, "QueueFull"), "{full:?}");
    assert_eq!(full.body["error"]["number"], 401);
    let seconds = full.header("retry-after").and_then(|value| value.parse::<u64>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{full:?}");
    assert_eq!(server.queue("jobs")["end"], 1);
    server.does("POST", "/v1/queues/jobs/receive", &json!({ "autoAck": true }));
    server.does("POST", "/v1/queues/jobs/messages", &one);
}

#[test]
fn whoever_asks_wrongly_is_told_what_would_be_right() {
    let server =
        Server::start(&["--limits-record-bytes-max", "1000", "--limits-batch-bytes-max", "2000"]);
    server.does("PUT", "/v1/queues/jobs", &Value::Null);
    let long = "x".repeat(1_500);
    let receive = "/v1/queues/jobs/receive";
    let publish = "/v1/queues/jobs/messages";
    for (method, path, body, status, code, word) in [
        ("POST", receive, json!({ "mx": 1 }), 422, "BadArgument", "max"),
        ("POST", receive, json!({ "wait": 20 }), 422, "BadArgument", "unit"),
        ("POST", receive, json!({ "max": 0 }), 422, "BadArgument", "1"),
        ("POST", receive, json!([]), 422, "BadArgument", "body"),
        ("POST", publish, json!({}), 422, "BadArgument", "body"),
        ("POST", publish, json!([]), 422, "BadArgument", "at least one"),
        ("POST", publish, json!({ "body": long }), 413, "TooLarge", "1000"),
        ("PUT", "/v1/queues/jobs", json!({ "ttl": "1s" }), 409, "Conflict", "jobs"),
        ("PUT", "/v1/queues/x", json!({ "exclusive": true }), 422, "BadArgument", "exclusive"),
        ("GET", "/v1/queues?maxx=1", Value::Null, 422, "BadArgument", "maxx"),
        ("GET", "/v1/queues?max=1&max=2", Value::Null, 422, "BadArgument", "more than once"),
        ("GET", "/v1/queues/nope", Value::Null, 404, "UnknownQueue", "nope"),
        ("GET", "/v1/nope", Value::Null, 404, "NoSuchAddress", "openapi.json"),
        ("GET", "/v1/queues?namespace=nope", Value::Null, 404, "UnknownNamespace", "nope"),
        ("GET", "/v1/queues/jobs/messages/7", Value::Null, 404, "UnknownMessage", "7"),
        ("GET", "/v1/queues/jobs/messages/-1", Value::Null, 422, "BadArgument", "number"),
        ("PATCH", "/v1/queues/jobs", Value::Null, 405, "MethodNotAllowed", "Allow"),
        ("POST", "/v1/queues/jobs/ack", json!({ "receipts": ["x"] }), 422, "BadArgument", "x"),
    ] {
        let told = server.api(method, path, &body);
        let message = told.body["error"]["message"].as_str().unwrap_or_default();
        assert_eq!((told.status, told.code()), (status, code), "{method} {path}: {told:?}");
        assert!(message.contains(word), "{word} is missing: {message}");
        assert_eq!(told.header("allow").is_some(), status == 405, "{told:?}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let told = answer(send(server.address, ("POST", publish), &form, b"a=b"));
    assert_eq!((told.status, told.code()), (415, "UnsupportedMediaType"), "{told:?}");
    let json = [("content-type", "application/json")];
    let told = answer(send(server.address, ("POST", publish), &json, b"{\"body\":"));
    assert_eq!((told.status, told.code()), (400, "BadJson"), "{told:?}");
    let told = answer(send(server.address, ("POST", publish), &json, &vec![b' '; 400_000]));
    assert_eq!((told.status, told.code()), (413, "TooLarge"), "{told:?}");
    assert_eq!(server.queue("jobs")["end"], 0);
}

#[test]
fn a_page_from_elsewhere_cannot_publish() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &Value::Null);
    // What a page can send without asking first.
    let evil = [("origin", "https://evil.example"), ("content-type", "text/plain")];
    let path = "/v1/queues/jobs/messages";
    let told = answer(send(server.address, ("POST", path), &evil, b"hello"));
    assert_eq!((told.status, told.code()), (403, "OriginRefused"), "{told:?}");
    assert_eq!(server.queue("jobs")["end"], 0);
    let own = format!("http://{}", server.address);
    let own = [("origin", own.as_str()), ("content-type", "text/plain")];
    assert_eq!(answer(send(server.address, ("POST", path), &own, b"hello")).status, 202);
}

#[test]
fn users_may_what_they_are_permitted_and_settle_only_what_is_theirs() {
    let users = Users::new();
    users.add("bob", &["--write", "^in$", "--read", "^out$"]);
    let server = users.start(&[]);
    let json = ("content-type", "application/json");
    let basic = |user: &str| {
        let credentials = format!("{user}:{PASSWORD}");
        format!("Basic {}", data_encoding::BASE64.encode(credentials.as_bytes()))
    };
    let (admin, bob) = (basic("admin"), basic("bob"));
    let (admin, bob) = ([json, ("authorization", &admin)], [json, ("authorization", &bob)]);
    let told = server.api("GET", "/v1/queues", &Value::Null);
    assert_eq!((told.status, told.code()), (401, "NotLetIn"), "{told:?}");
    assert!(told.header("www-authenticate").is_some(), "{told:?}");

    for queue in ["in", "out", "hidden"] {
        let made = server.api_with("PUT", &format!("/v1/queues/{queue}"), &admin, &Value::Null);
        assert_eq!(made.status, 200, "{made:?}");
    }
    let work = json!({ "body": "work" });
    let publish = |queue: &str, who: &[(&str, &str)]| {
        server.api_with("POST", &format!("/v1/queues/{queue}/messages"), who, &work).status
    };
    assert_eq!((publish("in", &bob), publish("out", &bob)), (202, 403));
    assert_eq!(publish("out", &admin), 202);
    let told = server.api_with("PUT", "/v1/queues/mine", &bob, &Value::Null);
    assert_eq!((told.status, told.code()), (403, "AccessRefused"), "{told:?}");
    assert!(told.body["error"]["message"].as_str().is_some_and(|m| m.contains("configure")));
    let list = server.api_with("GET", "/v1/queues", &bob, &Value::Null);
    let names: Vec<_> = list.body["queues"].as_array().expect("a list").iter().collect();
    assert!(names.iter().all(|queue| queue["name"] != "hidden"), "{names:?}");

    let got = server.api_with("POST", "/v1/queues/out/receive", &bob, &json!({}));
    let receipts = json!({ "receipts": [got.receipt(0)] });
    let others = server.api_with("POST", "/v1/queues/out/ack", &admin, &receipts);
    assert_eq!(others.body["settled"], 0, "{others:?}");
    let own = server.api_with("POST", "/v1/queues/out/ack", &bob, &receipts);
    assert_eq!(own.body["settled"], 1, "{own:?}");
}
