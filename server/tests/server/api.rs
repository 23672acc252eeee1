//! HTTP with JSON: messages published, received and settled with requests alone.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::client::{Client, batch, to_queue};
use crate::process::{PATIENCE, Server};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    /// The body in one line.
    pub(crate) text: String,
    /// The same as JSON; null where there is none.
    pub(crate) body: Value,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(of, _)| *of == name).map(|(_, value)| value)
    }

    /// The name of a failure.
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The receipt of the message at this place.
    pub(crate) fn receipt(&self, at: usize) -> Value {
        let receipt = &self.body["messages"][at]["receipt"];
        assert!(receipt.is_string(), "no receipt: {self:?}");
        receipt.clone()
    }

    /// How many messages came.
    pub(crate) fn messages(&self) -> usize {
        self.body["messages"].as_array().unwrap_or_else(|| panic!("no messages: {self:?}")).len()
    }
}

/// Sends a request of its own connection, without waiting for the answer.
pub(crate) fn send(
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time is set");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).expect("it reads");
    // It may have answered and closed without reading the body.
    let _ = stream.write_all(body);
    stream
}

/// Waits for the answer.
pub(crate) fn answer(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // An answer that came before the connection broke is one.
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("it is text");
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        panic!("no answer: {read:?}, {text:?}")
    };
    let head = head.to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let text = body.trim().to_owned();
    let body = match text.as_str() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    };
    Answer { status: status.expect("a status"), head, text, body }
}

impl Server {
    /// Makes a request with a body in JSON, unless that is null.
    pub(crate) fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.api_with(method, path, &[("content-type", "application/json")], body)
    }

    /// The same with other headers.
    pub(crate) fn api_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        answer(send(self.address, (method, path), headers, &bytes))
    }

    /// A request that has to be done.
    pub(crate) fn does(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.api(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        answer.body
    }

    /// A look at a queue.
    pub(crate) fn queue(&self, name: &str) -> Value {
        self.does("GET", &format!("/v1/queues/{name}"), &Value::Null)
    }
}

#[test]
fn what_is_published_is_received_by_who_waits_and_gone_when_it_is_acknowledged() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &Value::Null);
    let wait = json!({ "max": 2, "wait": "30s" });
    let json = [("content-type", "application/json")];
    let path = "/v1/queues/jobs/receive";
    let waiting = send(server.address, ("POST", path), &json, wait.to_string().as_bytes());
    while waiters(&server) == 0 {
        std::thread::yield_now();
    }
    let sent = json!({
        "body": { "n": 1 }, "key": "k", "headers": { "a": "b" }, "ttl": "5m", "priority": 3,
    });
    let published = server.api("POST", "/v1/queues/jobs/messages", &sent);
    assert_eq!(published.status, 202, "{published:?}");
    assert_eq!(published.body["published"], 1);
    assert_eq!(published.body["places"][0]["queue"], "jobs");

    let received = answer(waiting);
    assert_eq!((received.status, received.messages()), (200, 1), "{received:?}");
    let message = &received.body["messages"][0];
    for (name, value) in sent.as_object().expect("an object") {
        assert_eq!(&message[name], value, "{message}");
    }
    assert_eq!((&message["attempt"], &message["bodyEncoding"]), (&json!(1), &json!("json")));
    assert_eq!(server.queue("jobs")["leased"], 1);
    let receipts = json!({ "receipts": [received.receipt(0)] });
    let settled = server.does("POST", "/v1/queues/jobs/ack", &receipts);
    assert_eq!(settled, json!({ "settled": 1, "stale": [] }));
    let again = server.does("POST", "/v1/queues/jobs/ack", &receipts);
    assert_eq!(again, json!({ "settled": 0, "stale": receipts["receipts"] }));
    assert_eq!(server.queue("jobs")["acked"], 1);
}

/// How many requests wait, on all connections.
fn waiters(server: &Server) -> usize {
    let list = server.does("GET", "/v1/connections", &Value::Null);
    let connections = list["connections"].as_array().expect("a list");
    let waits = connections.iter().map(|connection| {
        let path = format!("/v1/connections/{}", connection["id"]);
        let detail = server.api("GET", &path, &Value::Null);
        detail.body["waits"].as_array().map_or(0, Vec::len)
    });
    waits.sum()
}

#[test]
fn bodies_come_back_as_what_they_were() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &Value::Null);
    let path = "/v1/queues/jobs/messages";
    let messages = json!([
        { "body": "text" },
        { "body": "text", "bodyEncoding": "json" },
        { "body": "/wAB", "bodyEncoding": "base64", "key": "base64:/wA=" },
        { "body": null },
    ]);
    server.does("POST", path, &messages);
    let lines = b"{\"body\":1}\n\n{\"body\":[2]}\n";
    let kind = [("content-type", "application/x-ndjson")];
    assert_eq!(answer(send(server.address, ("POST", path), &kind, lines)).status, 202);
    let kind = [("content-type", "application/octet-stream")];
    let path_with_key = format!("{path}?key=a%2Fb&delay=0s");
    assert_eq!(answer(send(server.address, ("POST", &path_with_key), &kind, b"\xff")).status, 202);

    let shown = server.does("GET", path, &Value::Null);
    let shown: Vec<_> = shown["messages"].as_array().expect("a list").iter().collect();
    let is = |at: usize, encoding: &str, body: Value, key: Value| {
        let message: &Value = shown[at];
        let seen = (&message["bodyEncoding"], &message["body"], &message["key"]);
        assert_eq!(seen, (&json!(encoding), &body, &key));
    };
    is(0, "text", json!("text"), Value::Null);
    is(1, "json", json!("text"), Value::Null);
    is(2, "base64", json!("/wAB"), json!("base64:/wA="));
    is(3, "json", Value::Null, Value::Null);
    is(4, "json", json!(1), Value::Null);
    is(5, "json", json!([2]), Value::Null);
    is(6, "base64", json!("/w=="), json!("a/b"));
    assert_eq!(shown.len(), 7);
}

#[test]
fn a_message_given_back_comes_again_after_its_delay_and_then_is_a_dead_letter() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/dead", &Value::Null);
    let policy = json!({ "deliveriesMax": 2, "deadLetter": "dead" });
    server.does("PUT", "/v1/queues/jobs", &policy);
    server.does("POST", "/v1/queues/jobs/messages", &json!({ "body": "work" }));
    let receive = |wait: &str| {
        let answer = server.api("POST", "/v1/queues/jobs/receive", &json!({ "wait": wait }));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    };
    let first = receive("0s");
    let nack = json!({ "receipts": [first.receipt(0)], "delay": "300ms" });
    assert_eq!(server.does("POST", "/v1/queues/jobs/nack", &nack)["settled"], 1);
    assert_eq!(receive("0s").messages(), 0);
    let second = receive("30s");
    assert_eq!(second.body["messages"][0]["attempt"], 2);
    let nack = json!({ "receipts": [second.receipt(0)] });
    assert_eq!(server.does("POST", "/v1/queues/jobs/nack", &nack)["settled"], 1);

    let dead = server.does("GET", "/v1/dead-letters", &Value::Null);
    assert_eq!(dead["deadLetters"][0]["sources"], json!(["jobs"]));
    assert_eq!(dead["deadLetters"][0]["queue"]["ready"], 1);
    let message = server.does("GET", "/v1/queues/dead/messages/0", &Value::Null);
    assert_eq!(message["deaths"][0]["reason"], "deliveriesExhausted");
    assert_eq!(message["deaths"][0]["attempts"].as_array().map(Vec::len), Some(2));
    let try_it = json!({ "dryRun": true, "filter": { "origin": "jobs" } });
    let found = server.does("POST", "/v1/queues/dead/redrives", &try_it);
    assert_eq!((&found["job"]["moved"], &found["messages"][0]["offset"]), (&json!(1), &json!(0)));
    let moved = server.does("POST", "/v1/queues/dead/redrive", &json!({ "max": 10 }));
    assert_eq!(moved, json!({ "queue": "dead", "moved": 1, "left": 0 }));
    assert_eq!(receive("0s").body["messages"][0]["body"], "work");
}

#[test]
fn what_nobody_settles_comes_again_and_its_first_receipt_is_stale() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &json!({ "visibility": "200ms" }));
    server.does("POST", "/v1/queues/jobs/messages", &json!({ "body": 1 }));
    let receive = json!({ "wait": "30s", "visibility": "10m" });
    let first = server.api("POST", "/v1/queues/jobs/receive", &json!({}));
    let second = server.api("POST", "/v1/queues/jobs/receive", &receive);
    assert_eq!(second.body["messages"][0]["attempt"], 2);
    let late = json!({ "receipts": [first.receipt(0)] });
    assert_eq!(server.does("POST", "/v1/queues/jobs/ack", &late)["stale"], late["receipts"]);
    let extend = json!({ "receipts": [second.receipt(0)], "visibility": "0s" });
    assert_eq!(server.does("POST", "/v1/queues/jobs/extend", &extend)["settled"], 1);
    let third = server.api("POST", "/v1/queues/jobs/receive", &receive);
    assert_eq!(third.body["messages"][0]["attempt"], 3);
    let release = json!({ "receipts": [third.receipt(0)] });
    assert_eq!(server.does("POST", "/v1/queues/jobs/release", &release)["settled"], 1);
    let fourth = server.api("POST", "/v1/queues/jobs/receive", &receive);
    assert_eq!(fourth.body["messages"][0]["attempt"], 3, "a release counts no attempt");
}

#[tokio::test]
async fn a_wait_ends_with_its_client_and_takes_nothing_with_it() {
    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", Default::default()).await;
    let json = [("content-type", "application/json")];
    let wait = br#"{"wait":"60s"}"#;
    let waiting = send(server.address, ("POST", "/v1/queues/jobs/receive"), &json, wait);
    while waiters(&server) == 0 {
        tokio::task::yield_now().await;
    }
    drop(waiting);
    while waiters(&server) > 0 {
        tokio::task::yield_now().await;
    }
    let published = client.publish(to_queue("jobs"), batch(["a"])).await;
    published.expect("the server is there").expect("there is room");
    let got = client.take("jobs", 1).await.expect("the server is there");
    assert_eq!(got[0].attempt, 1);
}

#[test]
fn a_wait_is_told_when_the_server_goes_down() {
    let server = Server::start(&[]);
    server.does("PUT", "/v1/queues/jobs", &Value::Null);
    let json = [("content-type", "application/json")];
    let wait = br#"{"wait":"60s"}"#;
    let waiting = send(server.address, ("POST", "/v1/queues/jobs/receive"), &json, wait);
    while waiters(&server) == 0 {
        std::thread::yield_now();
    }
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    let told = answer(waiting);
    assert_eq!((told.status, told.code()), (503, "ShuttingDown"), "{told:?}");
    assert!(told.header("retry-after").is_some(), "{told:?}");
}
