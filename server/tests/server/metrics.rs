//! The page of metrics: what it says, in which form, and that the documentation says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use fanlight_core::{Assignor, Event, Op, Position, QueuePolicy, Start, Target, TopicPolicy};

use serde_json::Value;

use crate::client::{Client, batch, to_queue};
use crate::exposition::{self, Exposition};
use crate::process::{PATIENCE, Server};

/// A name that has to be escaped.
const JOBS: &str = "jo\"bs\\";

fn scrape(server: &Server) -> Exposition {
    let (status, head, body) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let page = String::from_utf8(body).expect("it is text");
    exposition::read(&page).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

/// The value of the one sample with these labels, among others.
fn value(page: &Exposition, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let has = |sample: &&exposition::Sample| {
        labels.iter().all(|(k, v)| sample.labels.get(*k).is_some_and(|value| value == v))
    };
    let found: Vec<_> = page[name].samples.iter().filter(has).collect();
    assert!(found.len() <= 1, "{name} {labels:?} is {found:?}");
    found.first().map(|sample| sample.value)
}

/// A server with one of everything that has samples.
async fn busy(server: &Server) -> Client {
    let mut client = Client::open(server).await;
    client.declare_queue("dead", QueuePolicy::default()).await;
    let policy = QueuePolicy { dead_letter: Some("dead".into()), ..QueuePolicy::default() };
    client.declare_queue(JOBS, policy).await;
    let published = client.publish(to_queue(JOBS), batch(["a", "b", "c", "d"])).await;
    published.expect("the server is there").expect("there is room");
    let got = client.take(JOBS, 3).await.expect("the server is there");
    client.ack(&[got[0].lease]).await.expect("the server is there");
    let leases = [got[1].lease];
    let tag = client.ask(Op::Reject { leases: (&leases).into() }).await;
    client.settled(tag.expect("the server is there")).await.expect("the server is there");

    let name = || "clicks".into();
    let policy = TopicPolicy::default();
    let topic = Op::CreateTopic { name: name(), partitions: 2, policy };
    client.done(topic).await.expect("the server is there");
    let group = Op::CreateWorkGroup {
        name: "workers".into(),
        topic: name(),
        policy: QueuePolicy::default(),
        from: Position::Earliest,
    };
    client.done(group).await.expect("the server is there");
    let to = Target::Topic { name: name(), partition: Some(1) };
    let published = client.publish(to, batch(["x", "y"])).await;
    published.expect("the server is there").expect("there is room");
    let got = client.take("workers", 1).await.expect("the server is there");
    client.ack(&[got[0].lease]).await.expect("the server is there");
    let topics = [name()];
    let join = Op::Join {
        group: "readers".into(),
        topics: (&topics).into(),
        assignor: Assignor::default(),
        start: Start::Earliest,
        session_timeout: None,
        instance: None,
        rebalance_timeout: None,
    };
    client.ask(join).await.expect("the server is there");
    let joined = client.expect(|event| matches!(event, Event::Joined { .. }).then_some(())).await;
    joined.expect("it joins");
    client
}

#[tokio::test]
async fn queues_work_groups_topics_and_groups_are_measured() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &[]);
    let _client = busy(&server).await;
    let page = scrape(&server);
    let jobs = ("queue", JOBS);
    let dead = ("queue", "dead");
    let part = [("group", "workers"), ("topic", "clicks"), ("partition", "1")];
    let lag = [("group", "readers"), ("topic", "clicks"), ("partition", "1")];
    for (name, labels, expected) in [
        ("fanlight_connections", &[][..], 1.0),
        ("fanlight_messages_published_total", &[("namespace", "default")], 6.0),
        ("fanlight_queue_messages", &[jobs, ("state", "ready")], 1.0),
        ("fanlight_queue_messages", &[jobs, ("state", "leased")], 1.0),
        ("fanlight_queue_messages", &[jobs, ("state", "delayed")], 0.0),
        ("fanlight_queue_published_total", &[jobs], 4.0),
        ("fanlight_queue_delivered_total", &[jobs], 3.0),
        ("fanlight_queue_acknowledged_total", &[jobs], 1.0),
        ("fanlight_queue_dead_lettered_total", &[jobs], 1.0),
        ("fanlight_queue_dead_letters", &[dead], 1.0),
        ("fanlight_queue_consumers", &[jobs], 0.0),
        ("fanlight_work_group_messages", &[&part[..], &[("state", "ready")]].concat(), 1.0),
        ("fanlight_work_group_delivered_total", &part, 1.0),
        ("fanlight_work_group_acknowledged_total", &part, 1.0),
        ("fanlight_partition_end_offset", &part[1..], 2.0),
        ("fanlight_group_members", &lag[..1], 1.0),
        ("fanlight_group_lag_messages", &lag, 2.0),
        ("fanlight_metrics_left_out", &[("kind", "queues")], 0.0),
    ] {
        assert_eq!(value(&page, name, labels), Some(expected), "{name} {labels:?}");
    }
    assert_eq!(value(&page, "fanlight_queue_dead_letters", &[jobs]), None);
    for (name, labels) in [
        ("fanlight_queue_oldest_seconds", &[jobs][..]),
        ("fanlight_work_group_oldest_seconds", &part),
        ("fanlight_group_lag_seconds", &lag),
        ("fanlight_journal_segments", &[]),
        ("fanlight_journal_bytes", &[]),
        ("fanlight_batches_memory_bytes", &[]),
        ("fanlight_recovery_seconds", &[]),
        ("process_resident_memory_bytes", &[]),
        ("process_start_time_seconds", &[]),
    ] {
        let value = value(&page, name, labels);
        assert!(value.is_some_and(|value| value > 0.0), "{name} {labels:?} is {value:?}");
    }
}

#[tokio::test]
async fn a_queue_that_is_deleted_takes_its_samples_with_it_and_what_is_counted_in_all_stays() {
    let server = Server::start(&[]);
    let mut client = busy(&server).await;
    client
        .done(Op::DeleteQueue { name: JOBS.into(), if_empty: false, if_unused: false })
        .await
        .expect("the server is there");
    let page = scrape(&server);
    assert_eq!(value(&page, "fanlight_queue_published_total", &[("queue", JOBS)]), None);
    assert_eq!(value(&page, "fanlight_messages_published_total", &[]), Some(6.0));
    client.declare_queue(JOBS, QueuePolicy::default()).await;
    let page = scrape(&server);
    for name in ["published", "delivered", "acknowledged", "dead_lettered"] {
        let name = format!("fanlight_queue_{name}_total");
        assert_eq!(value(&page, &name, &[("queue", JOBS)]), Some(0.0), "{name}");
    }
}

#[tokio::test]
async fn the_page_has_no_more_samples_than_it_may_and_counts_what_it_leaves_out() {
    let server = Server::start(&["--metrics-samples-max", "300"]);
    let mut client = busy(&server).await;
    for n in 0..600 {
        client.declare_queue(&format!("q{n:03}"), QueuePolicy::default()).await;
    }
    let page = scrape(&server);
    let queues = page["fanlight_queue_bytes"].samples.len();
    assert!((1..=300 / 14).contains(&queues), "{queues}");
    let left_out = |kind| value(&page, "fanlight_metrics_left_out", &[("kind", kind)]);
    assert_eq!(left_out("queues"), Some(602.0 - queues as f64));
    assert_eq!(left_out("groups"), Some(0.0), "queues take no place from groups");
    assert_eq!(page["fanlight_group_lag_messages"].samples.len(), 2);

    let server = Server::start(&[]);
    let mut client = Client::open(&server).await;
    for n in 0..600 {
        client.declare_queue(&format!("q{n:03}"), QueuePolicy::default()).await;
    }
    let page = scrape(&server);
    assert_eq!(page["fanlight_queue_bytes"].samples.len(), 600, "over several pieces");
}

/// The rows of the documentation's table, as the page has them.
fn documented(page: &Exposition) -> String {
    let mut table = String::from("| Metric | Type | Labels | What it says |\n|---|---|---|---|\n");
    for (name, family) in page {
        let labels: BTreeSet<&str> =
            family.samples.iter().flat_map(|s| s.labels.keys().map(String::as_str)).collect();
        let labels: Vec<String> =
            labels.iter().filter(|l| **l != "le").map(|l| format!("`{l}`")).collect();
        let (kind, labels, help) = (&family.kind, labels.join(" "), &family.help);
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").expect("it is a String");
    }
    table
}

#[tokio::test]
async fn the_documentation_names_every_metric_and_no_other() {
    const BEGIN: &str = "<!-- made by a test: metrics -->\n";
    const END: &str = "<!-- end -->\n";
    let dir = tempfile::tempdir().expect("a temporary directory");
    let server = Server::start_in(dir.path(), &["--snapshot-bytes", "1"]);
    let _client = busy(&server).await;
    let until = Instant::now() + PATIENCE;
    let mut page = scrape(&server);
    while page["fanlight_snapshot_age_seconds"].samples.is_empty() {
        assert!(Instant::now() < until, "no snapshot is taken");
        page = scrape(&server);
    }
    let table = documented(&page);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the table has its place");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let expected = format!("{before}{BEGIN}{table}{END}{after}");
    if std::env::var_os("FANLIGHT_BLESS").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    } else {
        assert_eq!(page, expected, "run this with FANLIGHT_BLESS=1 to write the page anew");
    }
}

/// Everything in a dashboard that asks Prometheus for something.
fn questions(dashboard: &Value, found: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || name == "query" => {
                        found.push(text.clone());
                    }
                    other => questions(other, found),
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|value| questions(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_there_are() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let read = |name: &str| std::fs::read_to_string(docs.join(name)).expect("it is there");
    let page = read("metrics.md");
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.trim_end_matches('`').to_owned();
        let (kind, labels) = (cells.next()?.to_owned(), cells.next()?.replace('`', ""));
        Some((name, (kind, labels)))
    });
    let metrics: BTreeMap<String, (String, String)> = rows.collect();
    let dashboard: Value = serde_json::from_str(&read("grafana.json")).expect("it is JSON");
    let mut asked = Vec::new();
    questions(&dashboard, &mut asked);
    assert!(asked.len() > 40, "{}", asked.len());
    let mut seen = BTreeSet::new();
    for question in &asked {
        let words = question.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for word in words.filter(|w| w.starts_with("fanlight_") || w.starts_with("process_")) {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            let (kind, labels) =
                metrics.get(name).unwrap_or_else(|| panic!("there is no {name}: {question}"));
            assert_eq!(name != word, kind == "histogram", "{question}");
            let rated = question.contains(&format!("rate({word}"));
            assert_eq!(rated, kind == "counter" || kind == "histogram", "{question}");
            let by_namespace = question.contains("namespace=~");
            assert!(!by_namespace || labels.contains("namespace"), "{question}");
            seen.insert(name.to_owned());
        }
    }
    let known = seen.len() * 10 / metrics.len();
    assert!(known >= 8, "the dashboard shows few of them: {seen:?}");
}
