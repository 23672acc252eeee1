//! Spans, as a collector gets them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use fanlight_core::{Batch, QueuePolicy, Records};
use serde_json::Value;

use crate::client::{Client, to_queue};
use crate::exposition;
use crate::process::Server;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const ABOVE: &str = "b7ad6b7169203331";

/// A collector that takes whatever comes.
struct Collector {
    address: String,
    /// The head and the body of every request.
    taken: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("it has one"));
        let taken = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let to = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let request = take(stream.expect("somebody connects"));
                to.lock().expect("nobody panics with it").push(request);
            }
        });
        Collector { address, taken }
    }

    /// Every span that came.
    fn spans(&self) -> Vec<Value> {
        let taken = self.taken.lock().expect("nobody panics with it");
        let spans = taken.iter().flat_map(|(_, body)| {
            let scope = &body["resourceSpans"][0]["scopeSpans"][0];
            scope["spans"].as_array().expect("spans").clone()
        });
        spans.collect()
    }
}

/// Reads a request and says that all is well.
fn take(stream: TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).expect("it goes on") > 0, "{head}");
    }
    let lower = head.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    reader.read_exact(&mut body).expect("as much as it said");
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    reader.get_mut().write_all(answer).expect("it reads the answer");
    (lower, serde_json::from_slice(&body).expect("JSON"))
}

fn attribute<'v>(span: &'v Value, key: &str) -> Option<&'v str> {
    let all = span["attributes"].as_array().expect("attributes");
    let value = &all.iter().find(|attribute| attribute["key"] == key)?["value"];
    value["stringValue"].as_str().or_else(|| value["intValue"].as_str())
}

fn records(headers: &[(&str, &str)], count: usize) -> Records<'static> {
    let mut batch = Batch::new();
    for _ in 0..count {
        batch
            .push(None, headers.iter().map(|(name, value)| (*name, value.as_bytes())), None, b"x")
            .expect("it is well-formed");
    }
    batch.finish().expect("it has a record")
}

async fn publish(client: &mut Client, queue: &str, records: Records<'_>) {
    // A refusal has its span, too.
    let _ = client.publish(to_queue(queue), records).await.expect("the server is there");
}

#[tokio::test]
async fn a_traced_message_has_spans_for_its_way() {
    let collector = Collector::start();
    let server = Server::start(&[
        "--otlp-endpoint",
        &collector.address,
        "--otlp-headers",
        "authorization=Bearer sesame",
    ]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    let parent = format!("00-{TRACE}-{ABOVE}-01");
    let not_kept = format!("00-{TRACE}-{ABOVE}-00");
    let traced =
        [("traceparent", parent.as_str()), ("tracestate", "a=b"), ("correlation-id", "order 7")];
    publish(&mut client, "jobs", records(&traced, 2)).await;
    publish(&mut client, "jobs", records(&[("traceparent", &not_kept)], 1)).await;
    publish(&mut client, "jobs", records(&[("traceparent", "nonsense")], 1)).await;
    publish(&mut client, "nowhere", records(&traced, 1)).await;
    let got = client.take("jobs", 10).await.expect("the server is there");
    assert_eq!(got.len(), 4);
    let leases: Vec<_> = got.iter().map(|got| got.lease).collect();
    assert_eq!(client.ack(&leases).await.expect("the server is there"), 4);
    let ended = server.terminate();
    assert!(ended.status.success() && !ended.stderr.contains("sesame"), "{ended:?}");

    let spans = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap_or("")).collect();
    assert_eq!(names, ["publish jobs", "publish nowhere", "deliver jobs", "ack jobs"]);
    for (span, kind) in spans.iter().zip(["send", "send", "receive", "settle"]) {
        assert_eq!(span["traceId"], TRACE);
        assert_eq!(span["traceState"], "a=b");
        assert_eq!(span["spanId"].as_str().map(str::len), Some(16));
        assert_eq!(attribute(span, "messaging.system"), Some("fanlight"));
        assert_eq!(attribute(span, "messaging.operation.type"), Some(kind));
        assert_eq!(attribute(span, "fanlight.namespace"), Some("default"));
        let at = |key: &str| span[key].as_str().and_then(|at| at.parse::<u64>().ok());
        assert!(at("startTimeUnixNano") <= at("endTimeUnixNano"), "{span}");
    }
    let [published, refused, delivered, settled] = &spans[..] else { panic!("{names:?}") };
    for span in [published, refused, delivered] {
        assert_eq!(span["parentSpanId"], ABOVE);
        assert_eq!(attribute(span, "messaging.message.conversation_id"), Some("order 7"));
    }
    assert_eq!(settled["parentSpanId"], delivered["spanId"], "settling is below the delivery");
    for span in [published, delivered, settled] {
        assert_eq!(attribute(span, "messaging.destination.name"), Some("jobs"));
        assert_eq!(attribute(span, "messaging.batch.message_count"), Some("2"));
        assert_eq!(span["status"], serde_json::json!({}));
    }
    assert_eq!(
        (&refused["status"]["code"], attribute(refused, "error.type")),
        (&2.into(), Some("UnknownQueue"))
    );
    let taken = collector.taken.lock().expect("nobody panics with it");
    let (head, body) = &taken[0];
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer sesame"), "{head}");
    let resource = &body["resourceSpans"][0]["resource"];
    assert_eq!(attribute(resource, "service.name"), Some("fanlight"));
}

#[tokio::test]
async fn a_part_of_what_brings_no_trace_begins_one() {
    let collector = Collector::start();
    let server = Server::start(&["--otlp-endpoint", &collector.address, "--otlp-ratio", "1"]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    publish(&mut client, "jobs", records(&[], 3)).await;
    let not_kept = format!("00-{TRACE}-{ABOVE}-00");
    publish(&mut client, "jobs", records(&[("traceparent", &not_kept)], 1)).await;
    server.terminate();
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "who decided not to keep a trace is heeded: {spans:?}");
    assert_eq!(
        (&spans[0]["name"], &spans[0]["parentSpanId"]),
        (&"publish jobs".into(), &"".into())
    );
    assert_eq!(attribute(&spans[0], "messaging.batch.message_count"), Some("3"));
}

#[tokio::test]
async fn a_collector_that_does_not_answer_holds_nobody_up_and_what_is_dropped_is_counted() {
    // Connections wait in its backlog for ever.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = format!("http://{}", listener.local_addr().expect("it has one"));
    let server = Server::start(&["--otlp-endpoint", &address]);
    let mut client = Client::open(&server).await;
    client.declare_queue("jobs", QueuePolicy::default()).await;
    for round in 0..48 {
        let mut batch = Batch::new();
        for n in 0..200 {
            let parent = format!("00-{TRACE}-{:016x}-01", round * 200 + n + 1);
            let headers = [("traceparent", parent.as_bytes())];
            batch.push(None, headers, None, b"x").expect("it is well-formed");
        }
        let records = batch.finish().expect("it has records");
        publish(&mut client, "jobs", records).await;
    }
    let (_, _, body) = server.get("/metrics");
    let page = exposition::read(&String::from_utf8_lossy(&body)).expect("a page");
    let value = |name: &str| page[name].samples[0].value;
    assert!(value("fanlight_spans_dropped_total") > 0.0);
    assert_eq!(value("fanlight_spans_exported_total"), 0.0);
    assert_eq!(value("fanlight_messages_published_total"), 9_600.0);
}
